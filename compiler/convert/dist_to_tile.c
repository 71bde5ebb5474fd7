/* hct-lower-to-tile
 *
 *   %y = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.sharding = ["[4@tr,8] sum(c)"]} : ...
 * becomes
 *   %X = "hct_tile.dram"() {name = "x", layout = "[4@tr,16@c]", ...}
 *   scf.for %t = %c0 to %c2 step %c1 {
 *     %x = "hct_tile.alloc"() {layout = "[4@tr,16@c]", section = 0}
 *     "hct_tile.load"(%x, %X, %t)
 *     "hct_tile.matmul"(%y, %x, %w) {loops = ["4@tr", "8", "16@c"], maps = ...}
 *   }
 *
 * Each stage (fusion group) is: loads of its weights, accumulators, the loop over micro-batches, then what needs the whole batch
 * (gradient reductions, optimizer). Weights and accumulators stay in SRAM through the loop (method.md, "Schedule"). */
#include "compiler/convert/dist_to_tile.h"

#include <string.h>

#include "ir/dialect/piece.h"

const hct_dist_value *tile_info(const lowering *l, size_t value) { return &l->program->values[value]; }

/* ---- structure ---- */
MlirValue tile_index(lowering *l, int64_t value) {
  for (size_t i = 0; i < l->constants.count; i++)
    if (l->constants.items[i].number == value) return l->constants.items[i].value;
  hct_named attributes[] = {{"value", mlirIntegerAttrGet(l->index, value)}};
  tile_constant made = {value, hct_build_value(&l->top, "arith.constant", 0, NULL, l->index, 1, attributes)};
  HCT_PUSH(l->arena, &l->constants, made);
  return made.value;
}

MlirValue tile_loop_open(lowering *l, int64_t first, int64_t end, hct_builder *out_body) {
  MlirLocation location = l->at->location;
  MlirValue from = tile_index(l, first), to = tile_index(l, end), step = tile_index(l, 1), bounds[] = {from, to, step};
  MlirRegion region = mlirRegionCreate();
  MlirBlock block = mlirBlockCreate(1, &l->index, &location);
  mlirRegionAppendOwnedBlock(region, block);
  MlirOperationState state = mlirOperationStateGet(hct_ref("scf.for"), location);
  mlirOperationStateAddOperands(&state, 3, bounds);
  mlirOperationStateAddOwnedRegions(&state, 1, &region);
  MlirOperation loop = mlirOperationCreate(&state);
  HCT_BUG_ON(mlirOperationIsNull(loop), "scf.for");
  if (mlirOperationIsNull(l->at->before)) mlirBlockAppendOwnedOperation(l->at->block, loop);
  else mlirBlockInsertOwnedOperationBefore(l->at->block, l->at->before, loop);
  *out_body = (hct_builder){.context = l->context, .block = block, .location = location};
  return mlirBlockGetArgument(block, 0);
}

void tile_loop_close(lowering *l, hct_builder *body) {
  (void)l;
  hct_build(body, "scf.yield", 0, NULL, 0, NULL, 0, NULL);
}

static MlirValue dram_tensor(lowering *l, const char *name, const char *role, const hct_shape *shape, const hct_layout *layout, MlirAttribute data) {
  hct_layout stored = tile_layout_stored(layout);
  hct_piece piece;
  if (strcmp(role, "spill") && hct_piece_parse(l->arena, name, &piece)) {
    if (!hct_piece_layout(&piece, &stored, &l->pass->package, &stored)) l->status = hct_error(l->pass->diags, HCT_E_PARTITION, (hct_loc){.file = name}, "the mesh does not split the piece in equal runs of %lld parts", (long long)piece.parts);
    name = piece.whole;
  }
  hct_text text = {0};
  hct_layout_print(&stored, &text);
  hct_named attributes[5] = {
      {"name", hct_attr_str(l->context, name)},
      {"role", hct_attr_str(l->context, role)},
      {"dtype", hct_attr_str(l->context, hct_dtype_name(shape->dtype))},
      {"layout", hct_attr_str(l->context, text.data)},
      {"data", data},
  };
  hct_text_fini(&text);
  l->top.location = l->at->location;
  return hct_build_value(&l->top, "hct_tile.dram", 0, NULL, l->dram, mlirAttributeIsNull(data) ? 4 : 5, attributes);
}

/* ---- values ---- */
void tile_value_set(lowering *l, size_t value, const tile_view *view) {
  const hct_dist_value *info = tile_info(l, value);
  l->views[value] = *view;
  if (info->timed) l->scopes[value] = l->scope_body;
  else if (info->op == SIZE_MAX || info->spilled || hct_dist_is_constant(l->program, value) || l->program->ops[info->op].view)
    l->scopes[value] = l->section == HCT_SECTION_NONE ? l->scope_stage : l->scope_body;
  else l->scopes[value] = SCOPE_PROGRAM;
}

bool tile_is_here(const lowering *l, size_t value) {
  size_t scope = l->scopes[value];
  return scope && (scope == SCOPE_PROGRAM || scope == l->scope_stage || scope == l->scope_body);
}

static const char *arg_text(const lowering *l, size_t arg, const char *name) {
  MlirAttribute attribute = hct_function_arg_attr(l->program->function, arg, name);
  const char *text = mlirAttributeIsNull(attribute) ? NULL : hct_attr_text(attribute);
  HCT_BUG_ON(!text, "argument %zu without %s", arg, name);
  return text;
}

MlirValue tile_tensor(lowering *l, size_t value) {
  const hct_dist_value *info = tile_info(l, value);
  if (!mlirValueIsNull(l->tensors[value])) return l->tensors[value];
  MlirAttribute none = {NULL};
  if (info->op == SIZE_MAX) {
    MlirAttribute data = hct_function_arg_attr(l->program->function, info->arg, "hct.data");
    l->tensors[value] = dram_tensor(l, arg_text(l, info->arg, "hct.name"), arg_text(l, info->arg, "hct.role"), &info->shape, &info->layout, data);
  } else if (hct_dist_is_constant(l->program, value)) {
    MlirAttribute data = mlirOperationGetAttributeByName(l->program->ops[info->op].op, hct_ref("value"));
    l->tensors[value] = dram_tensor(l, hct_arena_printf(l->arena, "constant.%zu", value), "constant", &info->shape, &info->layout, data);
  } else {
    tile_spill spill = tile_spill_plan(l, value);
    l->tensors[value] = dram_tensor(l, hct_arena_printf(l->arena, "spill.%zu", value), "spill", &info->shape, &spill.layout, none);
  }
  return l->tensors[value];
}

MlirValue tile_tensor_of_sum(lowering *l, size_t value) {
  const hct_dist_value *info = tile_info(l, value);
  return dram_tensor(l, hct_arena_printf(l->arena, "sum.%zu", value), "spill", &info->shape, &info->layout, (MlirAttribute){NULL});
}

void tile_move(lowering *l, const char *name, MlirValue first, MlirValue second, MlirValue index) {
  MlirValue operands[3] = {first, second, index};
  tile_emit(l, name, mlirValueIsNull(index) ? 2 : 3, operands, NULL);
}

static void emit_move(lowering *l, const char *name, MlirValue first, MlirValue second, bool timed) { tile_move(l, name, first, second, timed ? l->micro_batch : (MlirValue){NULL}); }

static bool constant_splat(const lowering *l, size_t value, double *out_scalar) {
  MlirAttribute data = mlirOperationGetAttributeByName(l->program->ops[tile_info(l, value)->op].op, hct_ref("value"));
  if (!mlirAttributeIsADenseElements(data) || !mlirDenseElementsAttrIsSplat(data)) return false;
  switch (tile_info(l, value)->shape.dtype) {
    case HCT_F32: *out_scalar = (double)mlirDenseElementsAttrGetFloatSplatValue(data); return true;
    case HCT_I64: *out_scalar = (double)mlirDenseElementsAttrGetInt64SplatValue(data); return true;
    case HCT_I32: *out_scalar = (double)mlirDenseElementsAttrGetInt32SplatValue(data); return true;
    case HCT_BOOL: *out_scalar = (double)mlirDenseElementsAttrGetBoolSplatValue(data); return true;
    default: return false;
  }
}

tile_view tile_value(lowering *l, size_t value) {
  size_t argument = l->streaming ? hct_dist_view_root(l->program, value) : value;
  if (l->streaming && tile_streams(l, argument)) tile_stream_turn(l, argument);
  if (tile_is_here(l, value)) return l->views[value];
  const hct_dist_value *info = tile_info(l, value);
  double scalar;
  tile_view view;
  if (info->op != SIZE_MAX && l->program->ops[info->op].view) {
    tile_view operand = tile_value(l, l->program->ops[info->op].operands[0]);
    view = tile_view_apply(l, &l->program->ops[info->op], &operand);
  } else if (hct_dist_is_constant(l->program, value) && constant_splat(l, value, &scalar)) {
    view = tile_view_fresh(l, &info->layout, info->shape.dtype);
    tile_fill(l, view.buffer, scalar);
  } else {
    bool readable = info->op == SIZE_MAX || hct_dist_is_constant(l->program, value) || info->spilled;
    if (!readable) l->status = hct_error(l->pass->diags, HCT_E_PARTITION, hct_loc_of(l->arena, l->program->ops[info->op].op), "%s is made in stage %zu, after it is read in stage %zu: hct.group and hct.pass contradict the order", l->program->ops[info->op].name, l->program->ops[info->op].stage, l->stage);
    MlirValue tensor = tile_tensor(l, value);
    tile_spill spill = info->spilled && info->op != SIZE_MAX ? tile_spill_plan(l, value) : (tile_spill){0};
    if (spill.axis) {
      tile_view part = tile_view_fresh(l, &spill.layout, info->shape.dtype);
      emit_move(l, "load", part.buffer, tensor, info->timed);
      view = tile_view_fresh(l, &info->layout, info->shape.dtype);
      tile_parts_gather(l, &view, &part, spill.axis, spill.factor, "restore");
    } else {
      view = tile_view_fresh(l, &info->layout, info->shape.dtype);
      emit_move(l, "load", view.buffer, tensor, info->timed);
    }
  }
  tile_value_set(l, value, &view);
  return view;
}

/* ---- a stage ---- */
static void place_at(lowering *l, const hct_dist_op *op) {
  l->op = op->op;
  l->at->location = mlirOperationGetLocation(op->op);
}

size_t tile_stage_op_count(const lowering *l) { return l->ops_in.first[l->stage + 1] - l->ops_in.first[l->stage]; }
const hct_dist_op *tile_stage_op(const lowering *l, size_t at) { return &l->program->ops[l->ops_in.items[l->ops_in.first[l->stage] + at]]; }

/* The all_reduce over t that is the only reader of an operation's result, alone or through sums in the same loop; NULL: none. */
const hct_dist_op *tile_accumulator_of(const lowering *l, const hct_dist_op *op) {
  for (size_t value = op->result_count == 1 ? op->results[0] : SIZE_MAX; value != SIZE_MAX;) {
    const hct_dist_value *result = tile_info(l, value);
    if (result->uses != 1 || result->only_user == SIZE_MAX) return NULL;
    const hct_dist_op *user = &l->program->ops[result->only_user];
    if (user->accumulate) return user;
    if (!tile_is_add(user) || user->stage != op->stage || user->when != HCT_IN_LOOP || !hct_layout_equal(&tile_info(l, user->results[0])->layout, &result->layout)) return NULL;
    value = user->results[0];
  }
  return NULL;
}

static bool sums_up(const hct_dist_op *accumulator) { return accumulator && !strcmp(hct_op_str(accumulator->op, "kind"), "sum"); }

/* A product that adds to the accumulator itself, or a sum whose operands do; to one of 16 bits a product adds when it is done, in f32. */
bool tile_accumulates_directly(const lowering *l, const hct_dist_op *op) {
  const hct_dist_op *accumulator = tile_accumulator_of(l, op);
  return (tile_can_accumulate(op) || tile_is_add(op)) && sums_up(accumulator) && !hct_dtype_is_half(tile_info(l, accumulator->results[0])->shape.dtype);
}

/* Each operand of a sum that is to be accumulated, but those that were. */
static void accumulate_operands(lowering *l, const hct_dist_op *op, const tile_view *sum) {
  const hct_layout *layout = &tile_info(l, op->results[0])->layout;
  for (size_t k = 0; k < op->operand_count; k++) {
    const hct_dist_value *info = tile_info(l, op->operands[k]);
    const hct_dist_op *maker = info->op == SIZE_MAX ? NULL : &l->program->ops[info->op];
    if (maker && tile_accumulates_directly(l, maker)) continue;
    if (maker && tile_pad_joins(l, maker)) {
      tile_sum_pad(l, maker, sum);
      continue;
    }
    tile_view value = tile_value(l, op->operands[k]);
    value = tile_view_conform(l, &value, &info->layout, layout, info->shape.dtype);
    tile_add_to(l, sum, &value, layout, "add");
  }
}

static bool is_made_in_loop(const lowering *l, size_t value) {
  size_t op = tile_info(l, hct_dist_view_root(l->program, value))->op;
  return op != SIZE_MAX && l->program->ops[op].stage == l->stage && l->program->ops[op].when == HCT_IN_LOOP && !hct_dist_is_constant(l->program, hct_dist_view_root(l->program, value));
}

/* What the loop reads but does not change from one micro-batch to the next is made before it. */
static void stage_prepare(lowering *l) {
  for (size_t i = 0; i < tile_stage_op_count(l); i++) {
    const hct_dist_op *op = tile_stage_op(l, i);
    if (op->accumulate && !tile_streams_sum(l, op)) {
      place_at(l, op);
      const hct_dist_value *result = tile_info(l, op->results[0]);
      if (hct_dtype_is_half(result->shape.dtype) && l->program->micro_batch < l->program->batch)
        l->status = hct_error(l->pass->diags, HCT_E_UNSUPPORTED, hct_loc_of(l->arena, op->op), "%s: a sum of %s over micro-batches does not work yet; --micro-batch of the whole batch needs none", op->name, hct_dtype_name(result->shape.dtype));
      tile_view sum = tile_view_fresh(l, &result->layout, result->shape.dtype);
      tile_fill(l, sum.buffer, strcmp(hct_op_str(op->op, "kind"), "max") ? 0.0 : -3.4028234663852886e38);
      tile_value_set(l, op->results[0], &sum);
    }
    if (op->when != HCT_IN_LOOP) continue;
    place_at(l, op);
    double scalar;
    for (size_t k = 0; k < op->operand_count; k++) {
      size_t value = op->operands[k];
      if (tile_info(l, value)->timed || (hct_dist_is_constant(l->program, value) && constant_splat(l, value, &scalar))) continue;
      if (tile_loads_late(l) || is_made_in_loop(l, value) || tile_streams(l, hct_dist_view_root(l->program, value))) continue;
      tile_value(l, value);
    }
  }
}

hct_status tile_op_lower(lowering *l, const hct_dist_op *op) {
  place_at(l, op);
  if (tile_is_collective(op->name)) return tile_lower_collective(l, op);
  if (tile_sum_held(l, op) != SIZE_MAX) return tile_sum_lower(l, op), HCT_OK;
  if (!tile_accumulates_directly(l, op)) return tile_lower_compute(l, op, NULL);
  tile_stream_sum_begin(l, tile_accumulator_of(l, op));
  tile_view sum = l->views[tile_accumulator_of(l, op)->results[0]];
  if (!tile_is_add(op)) return tile_lower_compute(l, op, &sum);
  accumulate_operands(l, op, &sum);
  return HCT_OK;
}

static void accumulate(lowering *l, const hct_dist_op *op) {
  size_t operand = op->operands[0], maker = tile_info(l, operand)->op;
  if (maker != SIZE_MAX && tile_accumulates_directly(l, &l->program->ops[maker])) return;
  place_at(l, op);
  tile_stream_sum_begin(l, op);
  const hct_dist_value *info = tile_info(l, operand), *result = tile_info(l, op->results[0]);
  tile_view value = tile_value(l, operand);
  value = tile_view_conform(l, &value, &info->layout, &result->layout, info->shape.dtype);
  tile_add_to(l, &l->views[op->results[0]], &value, &result->layout, strcmp(hct_op_str(op->op, "kind"), "sum") ? "max" : "add");
}

void tile_value_store(lowering *l, size_t value, MlirValue tensor, bool timed) {
  const hct_dist_value *info = tile_info(l, value);
  tile_view view = tile_value(l, value);
  view = tile_view_dense(l, &view, &info->layout, info->shape.dtype);
  emit_move(l, "store", tensor, view.buffer, timed);
}

void tile_value_spill(lowering *l, size_t value) {
  const hct_dist_value *info = tile_info(l, value);
  if (l->spilled[value]) return;
  l->spilled[value] = !info->timed;
  tile_spill spill = tile_spill_plan(l, value);
  if (!spill.axis) {
    tile_value_store(l, value, tile_tensor(l, value), info->timed);
    return;
  }
  tile_view view = tile_value(l, value);
  view = tile_view_dense(l, &view, &info->layout, info->shape.dtype);
  tile_view part = tile_view_fresh(l, &spill.layout, info->shape.dtype);
  tile_part_take(l, &view, &part, spill.axis, spill.factor);
  emit_move(l, "store", tile_tensor(l, value), part.buffer, info->timed);
}

static size_t returned_stage(const lowering *l, size_t value) {
  size_t op = tile_info(l, hct_dist_view_root(l->program, value))->op;
  return op == SIZE_MAX || hct_dist_is_constant(l->program, hct_dist_view_root(l->program, value)) ? 0 : l->program->ops[op].stage;
}

static const char *result_text(const lowering *l, size_t index, const char *name) {
  MlirAttribute attribute = hct_function_result_attr(l->program->function, index, name);
  const char *text = mlirAttributeIsNull(attribute) ? NULL : hct_attr_text(attribute);
  HCT_BUG_ON(!text, "result %zu without %s", index, name);
  return text;
}

/* Where returned values are stored: in the stage that makes them, or the last that reads from DRAM the old contents of what they replace. */
static void returned_plan(lowering *l) {
  size_t *stages = HCT_NEW_ARRAY(l->arena, size_t, l->program->returned_count + 1);
  for (size_t i = 0; i < l->program->returned_count; i++) {
    size_t replaced = l->program->replaced[i];
    stages[i] = returned_stage(l, l->program->returned[i]);
    if (replaced != SIZE_MAX && tile_info(l, replaced)->last_stage > stages[i]) stages[i] = tile_info(l, replaced)->last_stage;
  }
  l->returned_in = hct_groups_create(l->arena, l->program->stage_count, l->program->returned_count, stages, NULL);
}

static void ops_plan(lowering *l) {
  size_t *stages = HCT_NEW_ARRAY(l->arena, size_t, l->program->op_count + 1);
  for (size_t i = 0; i < l->program->op_count; i++) {
    const hct_dist_op *op = &l->program->ops[i];
    stages[i] = op->view || hct_dist_is_constant(l->program, op->results[0]) ? SIZE_MAX : op->stage;
  }
  l->ops_in = hct_groups_create(l->arena, l->program->stage_count, l->program->op_count, stages, NULL);
}

static MlirValue output_tensor(lowering *l, size_t index) {
  const hct_dist_value *info = tile_info(l, l->program->returned[index]);
  MlirAttribute none = {NULL};
  if (mlirValueIsNull(l->outputs[index]))
    l->outputs[index] = dram_tensor(l, result_text(l, index, "hct.name"), result_text(l, index, "hct.role"), &info->shape, &info->layout, none);
  return l->outputs[index];
}

static void returned_store(lowering *l, size_t i) {
  size_t value = l->program->returned[i], replaced = l->program->replaced[i], op = tile_info(l, hct_dist_view_root(l->program, value))->op;
  if (l->given[i]) return;
  l->given[i] = !tile_info(l, value)->timed;
  if (op == SIZE_MAX) op = tile_info(l, value)->op; /* a view of an argument */
  if (op != SIZE_MAX) place_at(l, &l->program->ops[op]);
  tile_value_store(l, value, replaced != SIZE_MAX ? tile_tensor(l, replaced) : output_tensor(l, i), tile_info(l, value)->timed);
}

void tile_returned_of(lowering *l, size_t value) {
  for (size_t at = l->returned_in.first[l->stage]; at < l->returned_in.first[l->stage + 1]; at++) {
    size_t i = l->returned_in.items[at], returned = l->program->returned[i];
    if (hct_dist_view_root(l->program, returned) == value && returned != l->program->replaced[i] && !l->stored[returned]) returned_store(l, i);
  }
}

/* Those of this stage: in the loop when they differ by micro-batch, else after it. */
static void store_returned(lowering *l, bool timed) {
  for (size_t at = l->returned_in.first[l->stage]; at < l->returned_in.first[l->stage + 1]; at++) {
    size_t i = l->returned_in.items[at], value = l->program->returned[i], replaced = l->program->replaced[i];
    if (tile_info(l, value)->timed == timed && value != replaced && !l->stored[value]) returned_store(l, i);
  }
}

void tile_views_forget(lowering *l, size_t value) {
  const hct_groups *readers = &l->program->readers;
  for (size_t r = readers->first[value]; r < readers->first[value + 1]; r++) {
    const hct_dist_op *op = &l->program->ops[readers->items[r]];
    if (!op->view) continue;
    l->scopes[op->results[0]] = 0;
    tile_views_forget(l, op->results[0]);
  }
}

static hct_status stage_body(lowering *l) {
  size_t *order = HCT_NEW_ARRAY(l->arena, size_t, tile_stage_op_count(l) + 1), count = 0;
  for (size_t i = 0; i < tile_stage_op_count(l); i++)
    if (tile_stage_op(l, i)->accumulate || (tile_stage_op(l, i)->when == HCT_IN_LOOP && !tile_pad_joins(l, tile_stage_op(l, i)))) order[count++] = i;
  bool *done = HCT_NEW_ARRAY(l->arena, bool, tile_stage_op_count(l) + 1);
  HCT_TRY(tile_order(l, &order, &count));
  for (size_t i = 0; i < count; i++) {
    const hct_dist_op *op = tile_stage_op(l, order[i]);
    if (op->accumulate) {
      accumulate(l, op);
      tile_stream_sum_end(l, op);
      HCT_TRY(tile_stream_done(l, op));
    }
    if (op->when != HCT_IN_LOOP) continue;
    if (done[order[i]]) tile_views_forget(l, op->results[0]);
    done[order[i]] = true;
    HCT_TRY(tile_op_lower(l, op));
    for (size_t k = 0; k < op->result_count; k++)
      if (tile_info(l, op->results[k])->spilled && tile_info(l, op->results[k])->timed) tile_value_spill(l, op->results[k]);
    HCT_TRY(tile_stream_done(l, op));
  }
  store_returned(l, true);
  return HCT_OK;
}

bool tile_stage_has_loop(const lowering *l) {
  for (size_t i = 0; i < tile_stage_op_count(l); i++)
    if (tile_stage_op(l, i)->when == HCT_IN_LOOP) return true;
  for (size_t at = l->returned_in.first[l->stage]; at < l->returned_in.first[l->stage + 1]; at++)
    if (tile_info(l, l->program->returned[l->returned_in.items[at]])->timed) return true;
  return false;
}

/* The micro-batches from `first` to `end`, all of one section: in a loop, or where there is one and `single`, without. */
static hct_status stage_pass(lowering *l, int64_t first, int64_t end, int64_t section, bool single) {
  bool loop = !single || end - first > 1;
  hct_builder body;
  l->micro_batch = loop ? tile_loop_open(l, first, end, &body) : tile_index(l, first);
  if (loop) l->at = &body;
  l->section = section;
  l->scope_body = ++l->scope_next;
  hct_status status = stage_body(l);
  l->at = &l->outer;
  if (loop) tile_loop_close(l, &body);
  l->section = HCT_SECTION_NONE;
  l->scope_body = 0;
  return status;
}

/* The full micro-batches in a loop, then the smaller last one, when there is one. Of sums that are streamed the first micro-batch begins with nothing, and the
 * last one ends with what becomes of them: these are apart. */
static hct_status stage_loop(lowering *l) {
  int64_t full = l->program->batch / l->program->micro_batch, rest = l->program->batch % l->program->micro_batch ? 1 : 0, last = full + rest - 1;
  if (!tile_streams_any_sum(l)) {
    HCT_TRY(stage_pass(l, 0, full, HCT_SECTION_FULL, false));
    return rest ? stage_pass(l, full, full + 1, HCT_SECTION_REST, true) : HCT_OK;
  }
  tile_stream_pass(l, true, last == 0);
  HCT_TRY(stage_pass(l, 0, 1, HCT_SECTION_FULL, true));
  tile_stream_pass(l, false, false);
  if (last > 1) HCT_TRY(stage_pass(l, 1, last, HCT_SECTION_FULL, true));
  tile_stream_pass(l, false, true);
  return last ? stage_pass(l, last, last + 1, rest ? HCT_SECTION_REST : HCT_SECTION_FULL, true) : HCT_OK;
}

static hct_status stage_emit(lowering *l, hct_when when) {
  for (size_t i = 0; i < tile_stage_op_count(l); i++) {
    const hct_dist_op *op = tile_stage_op(l, i);
    if (op->when != when || op->accumulate || l->stored[op->results[0]] || tile_stream_is_done(l, op)) continue;
    HCT_TRY(tile_op_lower(l, op));
    HCT_TRY(tile_stream_done(l, op));
  }
  return HCT_OK;
}

/* What is the same for all micro-batches and later stages read, where it does not stay in SRAM. */
static void stage_spill(lowering *l) {
  for (size_t i = 0; i < tile_stage_op_count(l); i++) {
    const hct_dist_op *op = tile_stage_op(l, i);
    for (size_t k = 0; k < op->result_count; k++) {
      if (!tile_info(l, op->results[k])->spilled || tile_info(l, op->results[k])->timed) continue;
      place_at(l, op);
      tile_value_spill(l, op->results[k]);
    }
  }
}

static hct_status stage_lower(lowering *l, size_t stage) {
  l->stage = stage;
  l->scope_stage = ++l->scope_next;
  tile_stream_begin(l);
  HCT_TRY(stage_emit(l, HCT_BEFORE_LOOP));
  stage_prepare(l);
  if (tile_stage_has_loop(l)) HCT_TRY(stage_loop(l));
  HCT_TRY(stage_emit(l, HCT_AFTER_LOOP));
  stage_spill(l);
  store_returned(l, false);
  return HCT_OK;
}

/* ---- the pass ---- */
static MlirOperation function_create(lowering *l, MlirBlock module_body, MlirLocation location) {
  MlirRegion region = mlirRegionCreate();
  MlirBlock block = mlirBlockCreate(0, NULL, NULL);
  mlirRegionAppendOwnedBlock(region, block);
  MlirOperationState state = mlirOperationStateGet(hct_ref("func.func"), location);
  MlirNamedAttribute attributes[2] = {
      mlirNamedAttributeGet(mlirIdentifierGet(l->context, hct_ref("sym_name")), hct_attr_str(l->context, "step")),
      mlirNamedAttributeGet(mlirIdentifierGet(l->context, hct_ref("function_type")), mlirTypeAttrGet(mlirFunctionTypeGet(l->context, 0, NULL, 0, NULL))),
  };
  mlirOperationStateAddAttributes(&state, 2, attributes);
  mlirOperationStateAddOwnedRegions(&state, 1, &region);
  MlirOperation function = mlirOperationCreate(&state);
  mlirBlockAppendOwnedOperation(module_body, function);
  l->outer = (hct_builder){.context = l->context, .block = block, .location = location};
  MlirOperation end = hct_build(&l->outer, "func.return", 0, NULL, 0, NULL, 0, NULL);
  /* DRAM tensors and index constants go before a marker that is removed at the end */
  l->outer.before = end;
  MlirOperation marker = hct_build(&l->outer, "arith.constant", 0, NULL, 1, &l->index, 1, &(hct_named){"value", mlirIntegerAttrGet(l->index, 0)});
  l->top = (hct_builder){.context = l->context, .block = block, .before = marker, .location = location};
  return function;
}

enum { KEPT_SHARE = 4 }; /* of SRAM, one in so many, that may be taken from stage to stage */

hct_status hct_pass_lower_to_tile(hct_pass_context *pass, MlirModule module) {
  hct_dist_program program;
  HCT_TRY(hct_dist_program_read(pass->diags, pass->arena, module, &program));
  const hct_package *package = &pass->package;
  hct_schedule_stages(&program, !strcmp(hct_pass_option(pass, "schedule", "fused"), "layerwise"), (int64_t)package->sram_bytes * (int64_t)(package->rows * package->cols) / KEPT_SHARE,
                      pass->left_out ? pass->left_out->whole : 1);
  MlirContext context = mlirModuleGetContext(module);
  lowering l = {
      .pass = pass, .arena = pass->arena, .context = context, .program = &program,
      .sram = hct_type_parse(context, "!hct_tile.sram"), .dram = hct_type_parse(context, "!hct_tile.tensor"), .index = mlirIndexTypeGet(context),
      .section = HCT_SECTION_NONE, .scope_next = SCOPE_PROGRAM, .op = program.function, /* of a model without nodes, whose outputs are inputs */
      .views = HCT_NEW_ARRAY(pass->arena, tile_view, program.value_count),
      .scopes = HCT_NEW_ARRAY(pass->arena, size_t, program.value_count),
      .tensors = HCT_NEW_ARRAY(pass->arena, MlirValue, program.value_count),
      .outputs = HCT_NEW_ARRAY(pass->arena, MlirValue, program.returned_count),
      .stored = HCT_NEW_ARRAY(pass->arena, bool, program.value_count), .given = HCT_NEW_ARRAY(pass->arena, bool, program.returned_count + 1), .spilled = HCT_NEW_ARRAY(pass->arena, bool, program.value_count + 1),
      .own_orders = {.arena = pass->arena},
  };
  l.orders = pass->orders ? pass->orders : &l.own_orders;
  ops_plan(&l);
  returned_plan(&l);
  MlirOperation function = function_create(&l, mlirModuleGetBody(module), mlirOperationGetLocation(program.function));
  MlirOperation marker = l.top.before;
  l.at = &l.outer;
  hct_status status = HCT_OK;
  for (size_t stage = 0; stage < program.stage_count && status == HCT_OK; stage++) status = stage_lower(&l, stage);
  if (status == HCT_OK) status = l.status;
  mlirOperationDestroy(marker);
  mlirOperationDestroy(status == HCT_OK ? program.function : function);
  return status;
}
