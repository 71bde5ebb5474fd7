#include <math.h>
#include <mlir-c/BuiltinAttributes.h>
#include <string.h>

#include "compiler/convert/dist_to_tile.h"

/* ---- emission ---- */
void tile_attr(tile_attrs *attrs, const char *name, MlirAttribute value) {
  HCT_BUG_ON(attrs->count == HCT_COUNT(attrs->items), "too many attributes");
  attrs->items[attrs->count++] = (hct_named){name, value};
}

void tile_emit(lowering *l, const char *name, size_t operand_count, const MlirValue *operands, const tile_attrs *attrs) {
  tile_attrs all = attrs ? *attrs : (tile_attrs){0};
  char full[64];
  snprintf(full, sizeof full, "hct_tile.%s", name);
  const char *layer = hct_op_str_or(l->op, "hct.layer", ""), *pass = hct_op_str_or(l->op, "hct.pass", "forward");
  if (layer[0]) tile_attr(&all, "hct.layer", hct_attr_str(l->context, layer));
  tile_attr(&all, "hct.pass", hct_attr_str(l->context, pass));
  hct_build(l->at, full, operand_count, operands, 0, NULL, all.count, all.items);
}

static MlirAttribute loops_attr(lowering *l, const tile_loops *loops) {
  const char *texts[HCT_MAX_FACTORS];
  for (int i = 0; i < loops->count; i++) {
    const hct_factor *factor = &loops->factors[i];
    char axes[HCT_MAX_AXES + 2] = "";
    if (factor->axis_count) axes[0] = '@';
    for (int a = 0; a < factor->axis_count && a < HCT_MAX_AXES; a++) axes[1 + a] = hct_axis_letter((hct_axis)factor->axes[a]);
    texts[i] = hct_arena_printf(l->arena, "%lld%s", (long long)factor->size, axes);
  }
  return hct_attr_strs(l->context, loops->count, texts);
}

static MlirAttribute arrays_attr(lowering *l, size_t count, const MlirAttribute *arrays) {
  return mlirArrayAttrGet(l->context, (intptr_t)count, arrays);
}

/* Loops of one unit are no loops: where an operand starts inside its factor, that becomes a fixed index. */
static bool loop_is_kept(const hct_factor *factor) { return factor->size != 1 || factor->axis_count; }

/* `index`: of the micro-batch; null: none is given. */
static void emit_loops_at(lowering *l, const char *name, const tile_loops *loops, size_t operand_count, const tile_operand *operands, MlirValue index, tile_attrs *attrs) {
  tile_loops kept = {0};
  bool keep[HCT_MAX_FACTORS] = {false};
  for (int i = 0; i < loops->count; i++) {
    keep[i] = loop_is_kept(&loops->factors[i]);
    if (keep[i]) kept.factors[kept.count++] = loops->factors[i];
  }
  MlirAttribute maps[8], fixes[8];
  MlirValue buffers[8 + 1];
  HCT_BUG_ON(operand_count > 8, "%s with %zu operands", name, operand_count);
  for (size_t k = 0; k < operand_count; k++) {
    int64_t map[3 * HCT_MAX_FACTORS], fix[4 * HCT_MAX_FACTORS];
    size_t map_count = 0, fix_count = 0;
    const tile_view *view = operands[k].view;
    for (int f = 0; f < view->fix_count; f++) {
      fix[fix_count++] = view->fixes[f].factor;
      fix[fix_count++] = view->fixes[f].index;
    }
    for (int i = 0; i < loops->count; i++) {
      const tile_step *step = &operands[k].steps[i];
      if (keep[i]) {
        map[map_count++] = step->factor;
        map[map_count++] = step->factor == HCT_ABSENT ? 0 : step->start;
        map[map_count++] = step->factor == HCT_ABSENT ? 1 : step->step;
      } else if (step->factor != HCT_ABSENT && step->start != 0) {
        fix[fix_count++] = step->factor;
        fix[fix_count++] = step->start;
      }
    }
    maps[k] = hct_attr_i64s(l->context, map_count, map);
    fixes[k] = hct_attr_i64s(l->context, fix_count, fix);
    buffers[k] = operands[k].buffer;
  }
  tile_attr(attrs, "loops", loops_attr(l, &kept));
  tile_attr(attrs, "section", hct_attr_i64(l->context, l->section));
  tile_attr(attrs, "maps", arrays_attr(l, operand_count, maps));
  tile_attr(attrs, "fixes", arrays_attr(l, operand_count, fixes));
  buffers[operand_count] = index;
  tile_emit(l, name, operand_count + !mlirValueIsNull(index), buffers, attrs);
}

void tile_emit_loops(lowering *l, const char *name, const tile_loops *loops, size_t operand_count, const tile_operand *operands, tile_attrs *attrs) {
  emit_loops_at(l, name, loops, operand_count, operands, (MlirValue){NULL}, attrs);
}

void tile_fill(lowering *l, MlirValue buffer, double scalar) {
  tile_attrs attrs = {0};
  tile_attr(&attrs, "scalar", hct_attr_f64(l->context, scalar));
  tile_emit(l, "fill", 1, &buffer, &attrs);
}

/* ---- operands of elementwise operators: `layout`'s value seen under the loops of `result` ---- */
static tile_operand operand_plain(const tile_view *view) {
  tile_operand operand = {.buffer = view->buffer, .view = view};
  memcpy(operand.steps, view->steps, sizeof view->steps);
  return operand;
}

static tile_loops loops_of(const hct_layout *layout) {
  tile_loops loops = {.count = layout->factor_count};
  memcpy(loops.factors, layout->factors, sizeof loops.factors);
  return loops;
}

/* The operand's layout with the factors that `result` has in each dim that is not broadcast. */
static hct_layout layout_like(const hct_layout *layout, const hct_layout *result) {
  hct_layout like = {.rank = layout->rank};
  unsigned lead = result->rank - layout->rank;
  for (unsigned d = 0; d < layout->rank; d++) {
    like.dim_first[d] = like.factor_count;
    const hct_layout *from = hct_layout_dim_size(layout, d) == hct_layout_dim_size(result, d + lead) ? result : layout;
    unsigned at = from == result ? d + lead : d;
    for (int f = from->dim_first[at]; f < from->dim_first[at + 1]; f++) like.factors[like.factor_count++] = from->factors[f];
  }
  like.dim_first[layout->rank] = like.factor_count;
  return like;
}

static tile_view *view_keep(lowering *l, tile_view view) {
  tile_view *kept = HCT_NEW(l->arena, tile_view);
  *kept = view;
  return kept;
}

static tile_operand operand_broadcast(lowering *l, const tile_view *given, const hct_layout *layout, hct_dtype dtype, const hct_layout *result) {
  hct_layout like = layout_like(layout, result);
  tile_view *view = view_keep(l, tile_view_conform(l, given, layout, &like, dtype));
  tile_operand operand = {.buffer = view->buffer, .view = view};
  unsigned lead = result->rank - layout->rank;
  for (unsigned d = 0; d < result->rank; d++)
    for (int f = result->dim_first[d]; f < result->dim_first[d + 1]; f++) operand.steps[f] = (tile_step){HCT_ABSENT, 0, 1};
  for (unsigned d = 0; d < layout->rank; d++) {
    if (hct_layout_dim_size(layout, d) != hct_layout_dim_size(result, d + lead)) {
      const tile_step *one = &view->steps[like.dim_first[d]];
      if (one->factor == HCT_ABSENT || one->start == 0) continue;
      view->fixes[view->fix_count].factor = one->factor;
      view->fixes[view->fix_count++].index = one->start;
      continue;
    }
    for (int f = 0; f < like.dim_first[d + 1] - like.dim_first[d]; f++) operand.steps[result->dim_first[d + lead] + f] = view->steps[like.dim_first[d] + f];
  }
  return operand;
}

static tile_operand operand_of(lowering *l, size_t value, const hct_layout *result) {
  tile_view view = tile_value(l, value);
  const hct_dist_value *info = tile_info(l, value);
  return operand_broadcast(l, &view, &info->layout, info->shape.dtype, result);
}

/* ---- elementwise ---- */
static tile_view result_fresh(lowering *l, const hct_dist_op *op) {
  const hct_dist_value *result = tile_info(l, op->results[0]);
  return tile_view_fresh(l, &result->layout, result->shape.dtype);
}

/* The value of a constant of one repeated f32 number. */
static bool splat_value(const lowering *l, size_t value, double *out_scalar) {
  if (!hct_dist_is_constant(l->program, value) || tile_info(l, value)->shape.dtype != HCT_F32) return false;
  MlirAttribute attribute = mlirOperationGetAttributeByName(l->program->ops[tile_info(l, value)->op].op, hct_ref("value"));
  if (!mlirAttributeIsADenseElements(attribute) || !mlirDenseElementsAttrIsSplat(attribute)) return false;
  *out_scalar = (double)mlirDenseElementsAttrGetFloatSplatValue(attribute);
  return true;
}

/* a fn scalar as one instruction: adds, muls, pows. */
static bool scalar_form(const char *fn, double scalar, bool scalar_first, const char **out_fn, double *out_scalar) {
  *out_scalar = scalar;
  if (!strcmp(fn, "add")) return (*out_fn = "adds") != NULL;
  if (!strcmp(fn, "mul")) return (*out_fn = "muls") != NULL;
  if (scalar_first) return false;
  if (!strcmp(fn, "sub")) return *out_scalar = -scalar, (*out_fn = "adds") != NULL;
  if (!strcmp(fn, "pow")) return (*out_fn = "pows") != NULL;
  int exponent;
  if (!strcmp(fn, "div") && fabs(frexp(scalar, &exponent)) == 0.5 && exponent > -100 && exponent < 100) /* exact: a power of two */
    return *out_scalar = 1 / scalar, (*out_fn = "muls") != NULL;
  return false;
}

static void emit_map(lowering *l, const hct_dist_op *op, const char *fn, const double *scalar, size_t source_count, const size_t *sources) {
  const hct_dist_value *result = tile_info(l, op->results[0]);
  tile_operand operands[4];
  for (size_t k = 0; k < source_count; k++) operands[k + 1] = operand_of(l, sources[k], &result->layout);
  tile_view fresh = result_fresh(l, op);
  operands[0] = operand_plain(&fresh);
  tile_attrs attrs = {0};
  tile_attr(&attrs, "fn", hct_attr_str(l->context, fn));
  if (scalar) tile_attr(&attrs, "scalar", hct_attr_f64(l->context, *scalar));
  tile_loops loops = loops_of(&result->layout);
  tile_emit_loops(l, "map", &loops, source_count + 1, operands, &attrs);
  tile_value_set(l, op->results[0], &fresh);
}

static void lower_map2(lowering *l, const hct_dist_op *op) {
  const char *fn = hct_op_str(op->op, "fn"), *scalar_fn;
  double splat, scalar;
  for (size_t k = 0; k < 2; k++) {
    size_t other = 1 - k; /* the operand that remains must have the result's shape */
    if (!splat_value(l, op->operands[k], &splat) || !scalar_form(fn, splat, k == 0, &scalar_fn, &scalar)) continue;
    if (hct_shape_elements(&tile_info(l, op->operands[other])->shape) != hct_shape_elements(&tile_info(l, op->results[0])->shape)) continue;
    emit_map(l, op, scalar_fn, &scalar, 1, &op->operands[other]);
    return;
  }
  emit_map(l, op, fn, NULL, 2, op->operands);
}

static void lower_map1(lowering *l, const hct_dist_op *op) {
  double scalar = hct_op_f64_or(op->op, "scalar", 0);
  emit_map(l, op, hct_op_str(op->op, "fn"), hct_op_has(op->op, "scalar") ? &scalar : NULL, 1, op->operands);
}

/* The numbers of elements are those of the whole tensor: a factor's unit is all factors inside of it in its dimension. */
static void lower_dropout(lowering *l, const hct_dist_op *op) {
  const hct_layout *layout = &tile_info(l, op->results[0])->layout;
  int64_t dims[HCT_MAX_RANK + 1], index[HCT_MAX_FACTORS + 1];
  size_t count = 0;
  hct_op_i64s(op->op, "index", dims, HCT_COUNT(dims));
  for (unsigned d = 0; d < layout->rank; d++)
    for (int f = layout->dim_first[d]; f < layout->dim_first[d + 1]; f++) {
      if (!loop_is_kept(&layout->factors[f])) continue;
      index[count] = dims[d];
      for (int inner = f + 1; inner < layout->dim_first[d + 1]; inner++) index[count] *= layout->factors[inner].size;
      count++;
    }
  index[count++] = dims[layout->rank];
  tile_operand operands[4];
  for (size_t k = 0; k < 3; k++) operands[k + 1] = operand_of(l, op->operands[k], layout);
  tile_view fresh = result_fresh(l, op);
  operands[0] = operand_plain(&fresh);
  tile_attrs attrs = {0};
  tile_attr(&attrs, "ratio", hct_attr_f64(l->context, hct_op_f64_or(op->op, "ratio", 0)));
  tile_attr(&attrs, "stream", hct_attr_i64(l->context, hct_op_i64(op->op, "stream")));
  tile_attr(&attrs, "index", hct_attr_i64s(l->context, count, index));
  tile_loops loops = loops_of(layout);
  emit_loops_at(l, "dropout", &loops, 4, operands, hct_layout_uses_axis(layout, HCT_AXIS_TIME) ? l->micro_batch : (MlirValue){NULL}, &attrs);
  tile_value_set(l, op->results[0], &fresh);
}

void tile_add_to(lowering *l, const tile_view *into, const tile_view *value, const hct_layout *layout, const char *fn) {
  tile_operand operands[3] = {operand_plain(into), operand_plain(into), operand_plain(value)};
  tile_attrs attrs = {0};
  tile_attr(&attrs, "fn", hct_attr_str(l->context, fn));
  tile_loops loops = loops_of(layout);
  tile_emit_loops(l, "map", &loops, 3, operands, &attrs);
}

/* ---- reductions and contractions ---- */
static void lower_reduce(lowering *l, const hct_dist_op *op, const tile_view *into) {
  const hct_dist_value *from = tile_info(l, op->operands[0]), *to = tile_info(l, op->results[0]);
  tile_view view = tile_value(l, op->operands[0]);
  tile_view fresh = into ? *into : result_fresh(l, op);
  tile_operand operands[2] = {{.buffer = fresh.buffer, .view = &fresh}, operand_plain(&view)};
  for (unsigned d = 0; d < from->layout.rank; d++) {
    bool reduced = hct_layout_dim_size(&from->layout, d) != hct_layout_dim_size(&to->layout, d);
    for (int f = from->layout.dim_first[d]; f < from->layout.dim_first[d + 1]; f++)
      operands[0].steps[f] = reduced ? (tile_step){HCT_ABSENT, 0, 1} : fresh.steps[to->layout.dim_first[d] + f - from->layout.dim_first[d]];
  }
  tile_attrs attrs = {0};
  tile_attr(&attrs, "kind", hct_attr_str(l->context, hct_op_str(op->op, "kind")));
  tile_attr(&attrs, "accumulate", hct_attr_bool(l->context, into != NULL));
  tile_loops loops = loops_of(&from->layout);
  tile_emit_loops(l, "reduce", &loops, 2, operands, &attrs);
  if (!into) tile_value_set(l, op->results[0], &fresh);
}

void tile_reduce_first(lowering *l, const tile_view *result, const tile_view *view, const hct_layout *layout, const char *kind) {
  tile_operand operands[2] = {{.buffer = result->buffer, .view = result}, operand_plain(view)};
  operands[0].steps[0] = (tile_step){HCT_ABSENT, 0, 1};
  for (int f = 1; f < layout->factor_count; f++) operands[0].steps[f] = result->steps[f - 1];
  tile_attrs attrs = {0};
  tile_attr(&attrs, "kind", hct_attr_str(l->context, kind));
  tile_attr(&attrs, "accumulate", hct_attr_bool(l->context, false));
  tile_loops loops = loops_of(layout);
  tile_emit_loops(l, "reduce", &loops, 2, operands, &attrs);
}

typedef struct contract_spec { const char *operand[2], *result; int length[2], result_length; } contract_spec;

static contract_spec spec_split(const char *text) {
  const char *comma = strchr(text, ','), *arrow = strstr(text, "->");
  HCT_BUG_ON(!comma || !arrow, "contract spec '%s'", text);
  return (contract_spec){{text, comma + 1}, arrow + 2, {(int)(comma - text), (int)(arrow - comma - 1)}, (int)strlen(arrow + 2)};
}

static int spec_find(const char *letters, int count, char letter) {
  for (int i = 0; i < count; i++)
    if (letters[i] == letter) return i;
  return -1;
}

/* Factors of a letter: the result's where it has it, else those of the first operand. */
static void letter_factors(lowering *l, const hct_dist_op *op, const contract_spec *spec, char letter, const hct_layout **out_layout, unsigned *out_dim) {
  int at = spec_find(spec->result, spec->result_length, letter);
  if (at >= 0) {
    *out_layout = &tile_info(l, op->results[0])->layout;
  } else {
    at = spec_find(spec->operand[0], spec->length[0], letter);
    size_t from = at >= 0 ? 0 : 1;
    if (at < 0) at = spec_find(spec->operand[1], spec->length[1], letter);
    *out_layout = &tile_info(l, op->operands[from])->layout;
  }
  *out_dim = (unsigned)at;
}

static tile_view contract_operand(lowering *l, const hct_dist_op *op, const contract_spec *spec, size_t k, hct_layout *out_layout) {
  const hct_dist_value *info = tile_info(l, op->operands[k]);
  hct_layout wanted = {.rank = info->layout.rank};
  for (int d = 0; d < spec->length[k]; d++) {
    const hct_layout *from;
    unsigned dim;
    letter_factors(l, op, spec, spec->operand[k][d], &from, &dim);
    wanted.dim_first[d] = wanted.factor_count;
    for (int f = from->dim_first[dim]; f < from->dim_first[dim + 1]; f++) wanted.factors[wanted.factor_count++] = from->factors[f];
  }
  wanted.dim_first[wanted.rank] = wanted.factor_count;
  tile_view view = tile_value(l, op->operands[k]);
  *out_layout = wanted;
  return tile_view_conform(l, &view, &info->layout, &wanted, info->shape.dtype);
}

static void contract_steps(const tile_view *view, const hct_layout *layout, const char *letters, int count, char letter, tile_step *steps, int factor_count) {
  int dim = spec_find(letters, count, letter);
  for (int f = 0; f < factor_count; f++) steps[f] = dim < 0 ? (tile_step){HCT_ABSENT, 0, 1} : view->steps[layout->dim_first[dim] + f];
}

static bool steps_join(const tile_operand *operand, const tile_step *outer, const tile_step *inner, const hct_factor *inner_loop) {
  if (outer->factor == HCT_ABSENT && inner->factor == HCT_ABSENT) return true;
  if (outer->factor == HCT_ABSENT || inner->factor != outer->factor + 1 || outer->start || outer->step != 1 || inner->start || inner->step != 1) return false;
  return tile_factors_equal(&operand->view->buffer_layout.factors[inner->factor], inner_loop);
}

/* Whether the summed loops, those from `first` on, are one run in both operands, so that one instruction sums over all of them; else the
 * result is added up in memory, over several. */
static bool sums_at_once(const tile_loops *loops, int first, const tile_operand *operands) {
  int outer = -1;
  for (int i = first; i < loops->count; i++) {
    if (loops->factors[i].size == 1) continue;
    for (size_t k = 1; k < 3 && outer >= 0; k++)
      if (!steps_join(&operands[k], &operands[k].steps[outer], &operands[k].steps[i], &loops->factors[i])) return false;
    outer = i;
  }
  return true;
}

typedef struct product_size { double batch; int64_t m, n, k; bool f32; } product_size;

/* What one die multiplies: rows only of the first operand, columns only of the second, sums, and the rest one by one. */
static product_size contract_size(const lowering *l, const hct_dist_op *op, const hct_place *place) {
  contract_spec spec = spec_split(hct_op_str(op->op, "spec"));
  product_size size = {1, 1, 1, 1, tile_info(l, op->operands[0])->shape.dtype == HCT_F32};
  for (size_t k = 0; k < 2; k++) {
    const hct_layout *layout = &tile_info(l, op->operands[k])->layout;
    for (int d = 0; d < spec.length[k]; d++) {
      bool other = spec_find(spec.operand[1 - k], spec.length[1 - k], spec.operand[k][d]) >= 0, kept = spec_find(spec.result, spec.result_length, spec.operand[k][d]) >= 0;
      int64_t extent = 1;
      for (int f = layout->dim_first[d]; f < layout->dim_first[d + 1]; f++) extent *= hct_factor_range(&layout->factors[f], place).length;
      if (!kept) size.k *= k == 0 || !other ? extent : 1;
      else if (other) size.batch *= k == 0 ? (double)extent : 1;
      else if (k == 0) size.m *= extent;
      else size.n *= extent;
    }
  }
  return size;
}

static double product_cycles(const lowering *l, const product_size *s, bool swapped) {
  return s->batch * hct_mxu_cycles(&l->pass->package, swapped ? s->n : s->m, swapped ? s->m : s->n, s->k, s->f32);
}

double tile_contract_cycles(const lowering *l, const hct_dist_op *op, const hct_place *place) {
  product_size size = contract_size(l, op, place);
  return fmin(product_cycles(l, &size, false), product_cycles(l, &size, true));
}

/* The MXU's arrays share a tile's columns, so that few columns leave arrays idle: then the product of the transposes, into the same places, is
 * faster. The largest tiles decide, for all dies. */
static bool contract_swaps(const lowering *l, const hct_dist_op *op) {
  hct_place place = {.rows = l->pass->package.rows, .cols = l->pass->package.cols, .micro_batch_size = l->program->micro_batch};
  product_size size = contract_size(l, op, &place);
  return product_cycles(l, &size, true) < 0.99 * product_cycles(l, &size, false);
}

typedef struct contraction {
  contract_spec spec;
  const hct_layout *result, *layouts; /* layouts of both operands */
  tile_view fresh, *views;            /* of the result; of both operands */
  tile_loops loops;
  int summed;                         /* the first of the summed loops */
  tile_operand operands[3];
} contraction;

/* Loops: the result's letters in its order, then the summed ones in the first operand's order. */
static void contract_loops(lowering *l, const hct_dist_op *op, contraction *c) {
  const contract_spec *spec = &c->spec;
  char letters[2 * HCT_MAX_RANK + 1];
  int letter_count = 0;
  for (int d = 0; d < spec->result_length; d++) letters[letter_count++] = spec->result[d];
  for (size_t k = 0; k < 2; k++)
    for (int d = 0; d < spec->length[k]; d++)
      if (spec_find(letters, letter_count, spec->operand[k][d]) < 0) letters[letter_count++] = spec->operand[k][d];
  c->loops.count = 0, c->summed = 0;
  c->operands[0] = (tile_operand){.view = &c->fresh};
  for (size_t k = 0; k < 2; k++) c->operands[k + 1] = (tile_operand){.buffer = c->views[k].buffer, .view = &c->views[k]};
  for (int i = 0; i < letter_count; i++) {
    const hct_layout *from;
    unsigned dim;
    letter_factors(l, op, spec, letters[i], &from, &dim);
    int first = from->dim_first[dim], count = from->dim_first[dim + 1] - first;
    contract_steps(&c->fresh, c->result, spec->result, spec->result_length, letters[i], &c->operands[0].steps[c->loops.count], count);
    for (size_t k = 0; k < 2; k++) contract_steps(&c->views[k], &c->layouts[k], spec->operand[k], spec->length[k], letters[i], &c->operands[k + 1].steps[c->loops.count], count);
    for (int f = 0; f < count; f++) c->loops.factors[c->loops.count++] = from->factors[first + f];
    if (i < spec->result_length) c->summed = c->loops.count;
  }
}

/* Summed loops that are not one run, such as heads and tokens of what lies token by token, may be one in a dense copy: worth it of an operand that is
 * small beside the result, which else is added up in memory. */
static void contract_copy(lowering *l, const hct_dist_op *op, contraction *c) {
  hct_place place = {.rows = l->pass->package.rows, .cols = l->pass->package.cols, .micro_batch_size = l->program->micro_batch};
  bool copied = false;
  for (size_t k = 0; k < 2; k++) {
    const tile_operand alone[3] = {c->operands[0], c->operands[k + 1], c->operands[k + 1]};
    if (sums_at_once(&c->loops, c->summed, alone) || 2 * hct_layout_tile_elements(&c->layouts[k], &place) > hct_layout_tile_elements(c->result, &place)) continue;
    c->views[k] = tile_view_copy(l, &c->views[k], &c->layouts[k], tile_info(l, op->operands[k])->shape.dtype);
    copied = true;
  }
  if (copied) contract_loops(l, op, c);
}

static void lower_contract(lowering *l, const hct_dist_op *op, const tile_view *into) {
  hct_layout layouts[2];
  tile_view views[2];
  const hct_layout *result = &tile_info(l, op->results[0])->layout;
  contraction c = {.spec = spec_split(hct_op_str(op->op, "spec")), .result = result, .layouts = layouts, .views = views};
  for (size_t k = 0; k < 2; k++) views[k] = contract_operand(l, op, &c.spec, k, &layouts[k]);
  c.fresh = into ? *into : tile_view_whole((MlirValue){NULL}, result); /* its buffer is chosen below */
  contract_loops(l, op, &c);
  contract_copy(l, op, &c);
  hct_dtype dtype = tile_info(l, op->results[0])->shape.dtype;
  bool round_after = !into && hct_dtype_is_half(dtype) && !sums_at_once(&c.loops, c.summed, c.operands);
  if (!into) c.fresh = tile_view_fresh(l, result, round_after ? HCT_F32 : dtype);
  c.operands[0].buffer = c.fresh.buffer;
  tile_attrs attrs = {0};
  tile_attr(&attrs, "accumulate", hct_attr_bool(l->context, into != NULL));
  if (contract_swaps(l, op)) {
    tile_operand first = c.operands[1];
    c.operands[1] = c.operands[2], c.operands[2] = first;
  }
  tile_emit_loops(l, "matmul", &c.loops, 3, c.operands, &attrs);
  if (round_after) c.fresh = tile_view_copy(l, &c.fresh, result, dtype);
  if (!into) tile_value_set(l, op->results[0], &c.fresh);
}

/* ---- row-wise operators ---- */
static void emit_rows(lowering *l, const char *fn, const tile_loops *loops, int row_loops, size_t operand_count, const tile_operand *operands, const hct_factor *table, const hct_dist_op *op) {
  int kept_rows = 0;
  for (int i = 0; i < row_loops; i++) kept_rows += loop_is_kept(&loops->factors[i]);
  tile_attrs attrs = {0};
  tile_attr(&attrs, "fn", hct_attr_str(l->context, fn));
  tile_attr(&attrs, "row_loops", hct_attr_i64(l->context, kept_rows));
  if (table) {
    char axes[HCT_MAX_AXES + 1] = "";
    for (int a = 0; a < table->axis_count && a < HCT_MAX_AXES; a++) axes[a] = hct_axis_letter((hct_axis)table->axes[a]);
    tile_attr(&attrs, "table_axes", hct_attr_str(l->context, axes));
    tile_attr(&attrs, "classes", hct_attr_i64(l->context, table->size));
    if (hct_op_has(op->op, "run")) tile_attr(&attrs, "run", mlirOperationGetAttributeByName(op->op, hct_ref("run")));
  }
  tile_emit_loops(l, "rows", loops, operand_count, operands, &attrs);
}

/* Loops of `layout` with dimension `axis` last, and an operand's steps in that order. */
static void axis_last(const hct_layout *layout, unsigned axis, tile_loops *loops, int *out_rows, int order[HCT_MAX_FACTORS]) {
  loops->count = 0;
  for (int pass = 0; pass < 2; pass++)
    for (unsigned d = 0; d < layout->rank; d++) {
      if ((d == axis) != (pass == 1)) continue;
      for (int f = layout->dim_first[d]; f < layout->dim_first[d + 1]; f++) {
        order[loops->count] = f;
        loops->factors[loops->count++] = layout->factors[f];
      }
    }
  *out_rows = loops->count - (layout->dim_first[axis + 1] - layout->dim_first[axis]);
}

/* `value` under `loops` of `layout`, whose columns, the loops from `rows` on, one instruction takes: where they are not one run, as those of a reshaped transpose, a
 * dense copy. */
static tile_operand operand_rows(lowering *l, size_t value, const hct_layout *layout, const tile_loops *loops, int rows, const int *order) {
  tile_operand plain = operand_of(l, value, layout), ordered = plain;
  for (int i = 0; i < loops->count; i++) ordered.steps[i] = plain.steps[order[i]];
  if (sums_at_once(loops, rows, (const tile_operand[]){ordered, ordered, ordered})) return ordered;
  const tile_view *copy = view_keep(l, tile_view_copy(l, plain.view, layout, tile_info(l, value)->shape.dtype));
  ordered = operand_plain(copy);
  for (int i = 0; i < loops->count; i++) ordered.steps[i] = copy->steps[order[i]];
  return ordered;
}

static void lower_softmax(lowering *l, const hct_dist_op *op, const char *fn) {
  const hct_layout *layout = &tile_info(l, op->results[0])->layout;
  tile_loops loops;
  int rows, order[HCT_MAX_FACTORS];
  axis_last(layout, (unsigned)hct_op_i64(op->op, "axis"), &loops, &rows, order);
  tile_operand operands[3];
  for (size_t k = 0; k < op->operand_count; k++) operands[k + 1] = operand_rows(l, op->operands[k], layout, &loops, rows, order);
  tile_view fresh = result_fresh(l, op);
  operands[0] = operand_plain(&fresh);
  for (int i = 0; i < loops.count; i++) operands[0].steps[i] = fresh.steps[order[i]];
  emit_rows(l, fn, &loops, rows, op->operand_count + 1, operands, NULL, op);
  tile_value_set(l, op->results[0], &fresh);
}

/* Rows of a table are one factor, the first of its buffer; a table of which they are not is copied. */
static tile_view table_rows(lowering *l, const tile_view *given, const hct_layout *layout, const hct_layout *joined, hct_dtype dtype) {
  tile_view view = tile_view_conform(l, given, layout, joined, dtype);
  const tile_step *rows = &view.steps[0];
  bool first = rows->factor == 0 && rows->start == 0 && rows->step == 1 && tile_factors_equal(&view.buffer_layout.factors[0], &joined->factors[0]);
  return first ? view : tile_view_copy(l, &view, joined, dtype);
}

/* gather_rows (table, ids) -> d and scatter_rows (dy, ids) -> table: `dense` is d or dy, whose first dims are those of ids. */
static void lower_table(lowering *l, const hct_dist_op *op, const tile_view *into) {
  bool gather = !strcmp(op->name, "hct_graph.gather_rows");
  const hct_dist_value *ids = tile_info(l, op->operands[1]);
  const hct_dist_value *table = tile_info(l, gather ? op->operands[0] : op->results[0]);
  const hct_dist_value *dense = tile_info(l, gather ? op->results[0] : op->operands[0]);
  tile_view ids_view = tile_value(l, op->operands[1]), operand = tile_value(l, op->operands[0]);
  hct_dtype dtype = table->shape.dtype;
  hct_layout joined = table->layout.dim_first[1] == 1 ? table->layout : tile_layout_merged(&table->layout, 0); /* several are on every die whole: partition_rule() */
  tile_view fresh = into ? *into : gather ? result_fresh(l, op) : tile_view_fresh(l, &joined, dtype);
  if (!gather && !into) tile_fill(l, fresh.buffer, 0);
  if (!gather && into) fresh = tile_view_conform(l, into, &table->layout, &joined, dtype);
  if (gather) operand = table_rows(l, &operand, &table->layout, &joined, dtype);
  const tile_view *table_view = gather ? &operand : &fresh, *dense_view = gather ? &fresh : &operand;
  tile_loops loops = loops_of(&dense->layout);
  int tokens = ids->layout.factor_count;
  tile_operand in_dense = operand_plain(dense_view), in_table = {.buffer = table_view->buffer, .view = table_view}, in_ids = {.buffer = ids_view.buffer, .view = &ids_view};
  for (int i = 0; i < loops.count; i++) {
    in_ids.steps[i] = i < tokens ? ids_view.steps[i] : (tile_step){HCT_ABSENT, 0, 1};
    in_table.steps[i] = i < tokens ? (tile_step){HCT_ABSENT, 0, 1} : table_view->steps[1 + i - tokens];
  }
  tile_operand gather_operands[3] = {in_dense, in_table, in_ids}, scatter_operands[3] = {in_table, in_dense, in_ids};
  emit_rows(l, gather ? "gather" : "scatter", &loops, tokens, 3, gather ? gather_operands : scatter_operands, &joined.factors[0], op);
  if (into) return;
  if (!gather) fresh = tile_view_conform(l, &fresh, &joined, &table->layout, dtype);
  tile_value_set(l, op->results[0], &fresh);
}

/* The layout with its classes, of which the mesh splits at most the first factor, in equal parts, as one factor: those of a die are one run. */
static bool classes_join(const lowering *l, const hct_layout *layout, hct_layout *out_joined) {
  const hct_package *p = &l->pass->package;
  int at = layout->dim_first[layout->rank - 1];
  const hct_factor *first = &layout->factors[at];
  int64_t dies = 1;
  for (int a = 0; a < first->axis_count; a++) dies *= first->axes[a] == HCT_AXIS_ROW ? p->rows : p->cols;
  bool rest = true;
  for (int f = at + 1; f < layout->factor_count; f++) rest &= !layout->factors[f].axis_count;
  *out_joined = *layout;
  out_joined->factors[at].size = hct_layout_dim_size(layout, layout->rank - 1u);
  out_joined->factor_count = out_joined->dim_first[layout->rank] = (uint8_t)(at + 1);
  return hct_layout_equal(layout, out_joined) || (rest && first->size % dies == 0);
}

/* pick (z, ids) -> d[tokens] and place (g, ids) -> d[tokens, classes]. */
static hct_status lower_classes(lowering *l, const hct_dist_op *op) {
  bool pick = !strcmp(op->name, "hct_graph.pick");
  const hct_dist_value *wide = tile_info(l, pick ? op->operands[0] : op->results[0]);
  hct_layout layout;
  if (!classes_join(l, &wide->layout, &layout)) return hct_error(l->pass->diags, HCT_E_UNSUPPORTED, hct_loc_of(l->arena, op->op), "%s of classes that the mesh splits in another way than in equal parts of their first factor", op->name);
  tile_view first = tile_value(l, op->operands[0]), ids = tile_value(l, op->operands[1]);
  if (pick) first = tile_view_conform(l, &first, &wide->layout, &layout, wide->shape.dtype);
  tile_view fresh = pick ? result_fresh(l, op) : tile_view_fresh(l, &layout, wide->shape.dtype);
  tile_loops loops = loops_of(&layout);
  unsigned last = layout.rank - 1u;
  int tokens = layout.dim_first[last];
  tile_operand operands[3] = {operand_plain(&fresh), operand_plain(&first), operand_plain(&ids)};
  for (size_t k = 0; k < 3; k++) {
    bool is_wide = k == (pick ? 1u : 0u);
    if (!is_wide) operands[k].steps[tokens] = (tile_step){HCT_ABSENT, 0, 1};
  }
  emit_rows(l, pick ? "pick" : "place", &loops, tokens, 3, operands, &layout.factors[tokens], op);
  if (!pick) fresh = tile_view_conform(l, &fresh, &layout, &wide->layout, wide->shape.dtype);
  tile_value_set(l, op->results[0], &fresh);
  return HCT_OK;
}

/* ---- concat and pad: parts written into a fresh result ---- */
void tile_write_part(lowering *l, size_t value, const tile_view *whole, const hct_layout *whole_layout, const int64_t *starts, const char *fn) {
  const hct_dist_value *info = tile_info(l, value);
  tile_view view = tile_value(l, value), *place = view_keep(l, *whole);
  hct_layout outer = *whole_layout, inner = info->layout;
  bool box = true;
  for (unsigned d = 0; d < outer.rank && box; d++) box = tile_view_narrow(place, &outer, d, &inner, starts[d], 1);
  if (!box) { /* once more with dims that parts cut as one factor each */
    for (unsigned d = 0; d < outer.rank; d++)
      if (hct_layout_dim_size(&outer, d) != hct_layout_dim_size(&inner, d)) outer = tile_layout_merged(&outer, d), inner = tile_layout_merged(&inner, d);
    *place = tile_view_conform(l, whole, whole_layout, &outer, info->shape.dtype);
    view = tile_view_conform(l, &view, &info->layout, &inner, info->shape.dtype);
    for (unsigned d = 0; d < outer.rank; d++) HCT_BUG_ON(!tile_view_narrow(place, &outer, d, &inner, starts[d], 1), "a part that is no box of the whole's factors");
  }
  size_t count = 0;
  tile_operand operands[3];
  operands[count++] = operand_plain(place);
  if (!strcmp(fn, "add")) operands[count++] = operand_plain(place);
  operands[count++] = operand_plain(&view);
  tile_attrs attrs = {0};
  tile_attr(&attrs, "fn", hct_attr_str(l->context, fn));
  tile_loops loops = loops_of(&inner);
  tile_emit_loops(l, "map", &loops, count, operands, &attrs);
}

static void lower_concat(lowering *l, const hct_dist_op *op) {
  const hct_layout *layout = &tile_info(l, op->results[0])->layout;
  size_t axis = (size_t)hct_op_i64(op->op, "axis");
  tile_view fresh = result_fresh(l, op);
  int64_t starts[HCT_MAX_RANK] = {0};
  for (size_t k = 0; k < op->operand_count; k++) {
    tile_write_part(l, op->operands[k], &fresh, layout, starts, "mov");
    starts[axis] += tile_info(l, op->operands[k])->shape.dims[axis];
  }
  tile_value_set(l, op->results[0], &fresh);
}

static void lower_pad(lowering *l, const hct_dist_op *op) {
  int64_t starts[HCT_MAX_RANK] = {0};
  hct_op_i64s(op->op, "low", starts, HCT_MAX_RANK);
  tile_view fresh = result_fresh(l, op);
  tile_fill(l, fresh.buffer, hct_op_f64_or(op->op, "value", 0));
  tile_write_part(l, op->operands[0], &fresh, &tile_info(l, op->results[0])->layout, starts, "mov");
  tile_value_set(l, op->results[0], &fresh);
}

bool tile_can_accumulate(const hct_dist_op *op) {
  if (!strcmp(op->name, "hct_graph.reduce")) return !strcmp(hct_op_str(op->op, "kind"), "sum");
  return !strcmp(op->name, "hct_graph.contract") || !strcmp(op->name, "hct_graph.scatter_rows");
}

hct_status tile_lower_compute(lowering *l, const hct_dist_op *op, const tile_view *into) {
  const char *name = op->name + strlen("hct_graph.");
  if (!strcmp(name, "map1")) lower_map1(l, op);
  else if (!strcmp(name, "map2")) lower_map2(l, op);
  else if (!strcmp(name, "select")) emit_map(l, op, "select", NULL, 3, op->operands);
  else if (!strcmp(name, "dropout")) lower_dropout(l, op);
  else if (!strcmp(name, "reduce")) lower_reduce(l, op, into);
  else if (!strcmp(name, "contract")) lower_contract(l, op, into);
  else if (!strcmp(name, "softmax") || !strcmp(name, "softmax_grad")) lower_softmax(l, op, name);
  else if (!strcmp(name, "gather_rows") || !strcmp(name, "scatter_rows")) lower_table(l, op, into);
  else if (!strcmp(name, "pick") || !strcmp(name, "place")) return lower_classes(l, op);
  else if (!strcmp(name, "concat")) lower_concat(l, op);
  else if (!strcmp(name, "pad")) lower_pad(l, op);
  else if (!strcmp(name, "update")) tile_lower_update(l, op);
  else return hct_error(l->pass->diags, HCT_E_UNSUPPORTED, hct_loc_of(l->arena, op->op), "operator %s has no tile form", op->name);
  return HCT_OK;
}
