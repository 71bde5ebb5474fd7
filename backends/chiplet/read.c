#include <string.h>

#include "backends/chiplet/chiplet.h"
#include "ir/dialect/data.h"

typedef struct read_constant { MlirAttribute data; size_t tensor; } read_constant;

typedef struct tile_reader {
  chiplet_program *program;
  hct_index_map *buffers, *tensors, *numbers, *counters; /* by value: buffer, tensor, index constant, loop counter */
  struct { read_constant *items; size_t count, capacity; } constants;
  size_t order;
  int64_t first; /* of the counter of the loop that is read */
  hct_status status;
} tile_reader;

static size_t value_index(hct_index_map *map, MlirValue value, const char *what) {
  size_t index;
  HCT_BUG_ON(!hct_index_map_get(map, hct_value_key(value), &index), "a tile operand is no %s", what);
  return index;
}

static hct_ring ring_of(const char *axis) {
  if (axis[0] == 'f') return axis[1] == '1' ? HCT_RING_FLAT1 : HCT_RING_FLAT0;
  return !strcmp(axis, "rc") ? HCT_RING_FLAT0 : axis[0] == 'c' ? HCT_RING_COL : HCT_RING_ROW;
}

/* What reports call the axis of a collective. */
static const char *axis_name(const char *axis) {
  if (!strcmp(axis, "torus")) return "torus";
  hct_ring ring = ring_of(axis);
  return ring == HCT_RING_ROW ? "row" : ring == HCT_RING_COL ? "col" : "flat";
}

/* ---- locations ---- */
static uint32_t source_of(tile_reader *r, MlirOperation op) {
  chiplet_program *p = r->program;
  hct_loc loc = hct_loc_of(p->arena, op);
  const char *collective = hct_op_str_or(op, "hct.collective", "");
  hct_source source = {
      .location = hct_arena_printf(p->arena, "%s%s%s", loc.file ? loc.file : "", loc.file && loc.where ? ": " : "", loc.where ? loc.where : ""),
      .layer = hct_op_str_or(op, "hct.layer", ""), .pass = hct_op_str_or(op, "hct.pass", ""), .collective = collective,
      .axis = !collective[0] ? "" : axis_name(hct_op_str_or(op, "hct.over", hct_op_str(op, "axis"))),
  };
  const char *key = hct_arena_printf(p->arena, "%s\n%s\n%s\n%s\n%s", source.location, source.layer, source.pass, source.collective, source.axis);
  if (!hct_map_has(p->source_index, key)) {
    hct_map_put(p->source_index, key, (void *)(uintptr_t)p->sources.count);
    HCT_PUSH(p->arena, &p->sources, source);
  }
  return (uint32_t)(uintptr_t)hct_map_get(p->source_index, key);
}

/* ---- buffers and tensors ---- */
static const hct_layout *layout_of(chiplet_program *p, MlirOperation op) {
  const char *text = hct_op_str(op, "layout");
  hct_layout *layout = hct_map_get(p->layouts, text);
  if (layout) return layout;
  layout = HCT_NEW(p->arena, hct_layout);
  HCT_BUG_ON(!hct_layout_parse(text, layout), "layout '%s'", text);
  hct_map_put(p->layouts, text, layout);
  return layout;
}

static void read_buffer(tile_reader *r, MlirOperation op, bool alias) {
  chiplet_program *p = r->program;
  hct_loc loc = hct_loc_of(p->arena, op);
  chiplet_buffer buffer = {.layout = layout_of(p, op), .section = hct_op_i64(op, "section"), .first = SIZE_MAX, .storage = p->buffers.count,
                           .made_for = loc.where ? loc.where : "?"};
  if (alias) {
    size_t of = value_index(r->buffers, hct_op_operand(op, 0), "buffer");
    buffer.dtype = p->buffers.items[of].dtype;
    buffer.storage = p->buffers.items[of].storage;
  } else {
    HCT_BUG_ON(!hct_dtype_parse(hct_op_str(op, "dtype"), &buffer.dtype), "dtype");
  }
  int64_t range[2];
  if (hct_op_has(op, "range") && hct_op_i64s(op, "range", range, 2) == 2) buffer.piece_first = range[0], buffer.piece_elements = range[1];
  hct_index_map_put(r->buffers, hct_value_key(hct_op_result(op, 0)), p->buffers.count);
  HCT_PUSH(p->arena, &p->buffers, buffer);
}

static hct_status data_inside(chiplet_program *p, const hct_data_reference *reference, hct_tensor *tensor) {
  hct_file file;
  HCT_TRY(hct_data_reference_map(p->pass->diags, hct_path_join(p->arena, p->pass->directory ? p->pass->directory : ".", reference->file), reference, tensor->name, &file));
  uint8_t *data = hct_arena_alloc(p->arena, (size_t)reference->bytes + 1);
  if (reference->bytes) memcpy(data, file.data + reference->offset, (size_t)reference->bytes);
  tensor->data = data;
  tensor->data_bytes = (size_t)reference->bytes;
  hct_file_unmap(&file);
  return HCT_OK;
}

hct_status chiplet_tensor_data(chiplet_program *p, const char *text, hct_tensor *tensor) {
  hct_data_reference reference;
  hct_dtype unused;
  int64_t elements = hct_layout_elements(&tensor->layout);
  if (!hct_data_reference_parse(p->arena, text, &reference) || !hct_data_fits(tensor->dtype, reference.dtype, elements, reference.bytes, &unused))
    return hct_error(p->pass->diags, HCT_E_IR_INVALID, (hct_loc){.file = tensor->name}, "'%s' is no reference to data of %lld elements of %s", text, (long long)elements, hct_dtype_name(tensor->dtype));
  bool later = p->pass->streams_only && tensor->role == HCT_ROLE_PARAM;
  if (later || reference.kind == HCT_DATA_ABSENT) return HCT_OK;
  tensor->data_dtype = reference.dtype;
  if (reference.kind == HCT_DATA_INSIDE) return data_inside(p, &reference, tensor);
  tensor->data_file = reference.file;
  tensor->data_bytes = (size_t)reference.bytes;
  tensor->data_offset = (uint64_t)reference.offset;
  tensor->data_checksum = reference.checksum;
  return HCT_OK;
}

static void data_dense(tile_reader *r, MlirAttribute attribute, hct_tensor *tensor) {
  size_t size = hct_dtype_bytes(tensor->dtype), count = (size_t)hct_layout_elements(&tensor->layout);
  uint8_t *data = hct_arena_alloc(r->program->arena, count * size + 1);
  bool splat = mlirDenseElementsAttrIsSplat(attribute);
  const uint8_t *raw = mlirDenseElementsAttrGetRawData(attribute);
  for (size_t i = 0; i < count; i++) {
    if (tensor->dtype == HCT_BOOL) data[i] = (splat ? mlirDenseElementsAttrGetBoolSplatValue(attribute) : mlirDenseElementsAttrGetBoolValue(attribute, (intptr_t)i)) ? 1 : 0;
    else memcpy(data + i * size, raw + (splat ? 0 : i) * size, size);
  }
  tensor->data = data;
  tensor->data_bytes = count * size;
}

/* The tensor of the same constant in the same layout, for which one will do; SIZE_MAX: there is none. */
static size_t constant_known(tile_reader *r, MlirAttribute data, const hct_tensor *tensor) {
  for (size_t i = 0; tensor->role == HCT_ROLE_CONSTANT && i < r->constants.count; i++) {
    const hct_tensor *known = &r->program->tensors.items[r->constants.items[i].tensor];
    if (mlirAttributeEqual(r->constants.items[i].data, data) && known->dtype == tensor->dtype && hct_layout_equal(&known->layout, &tensor->layout)) return r->constants.items[i].tensor;
  }
  return SIZE_MAX;
}

static void read_tensor(tile_reader *r, MlirOperation op) {
  chiplet_program *p = r->program;
  hct_tensor tensor = {.name = hct_op_str(op, "name"), .layout = *layout_of(p, op)};
  HCT_BUG_ON(!hct_dtype_parse(hct_op_str(op, "dtype"), &tensor.dtype) || !hct_role_parse(hct_op_str(op, "role"), &tensor.role), "tensor '%s'", tensor.name);
  MlirAttribute data = mlirOperationGetAttributeByName(op, hct_ref("data"));
  hct_status status = HCT_OK;
  size_t known = mlirAttributeIsNull(data) ? SIZE_MAX : constant_known(r, data, &tensor);
  if (known != SIZE_MAX) {
    hct_index_map_put(r->tensors, hct_value_key(hct_op_result(op, 0)), known);
    return;
  }
  if (!mlirAttributeIsNull(data)) {
    if (hct_attr_text(data)) status = chiplet_tensor_data(p, hct_attr_text(data), &tensor);
    else if (mlirAttributeIsADenseElements(data)) data_dense(r, data, &tensor);
  }
  if (r->status == HCT_OK) r->status = status;
  if (tensor.role == HCT_ROLE_CONSTANT && !mlirAttributeIsNull(data)) HCT_PUSH(p->arena, &r->constants, ((read_constant){data, p->tensors.count}));
  hct_index_map_put(r->tensors, hct_value_key(hct_op_result(op, 0)), p->tensors.count);
  HCT_PUSH(p->arena, &p->tensors, tensor);
}

/* ---- operations ---- */
enum { MOST_OPERANDS = 8 };

static void use_buffer(tile_reader *r, chiplet_op *op, MlirValue value) {
  size_t buffer = value_index(r->buffers, value, "buffer");
  chiplet_buffer *storage = &r->program->buffers.items[r->program->buffers.items[buffer].storage];
  if (storage->first == SIZE_MAX) storage->first = op->order;
  storage->last = op->order;
  HCT_BUG_ON(op->operand_count == MOST_OPERANDS, "an operation of more than %d buffers", MOST_OPERANDS);
  op->operands[op->operand_count++].buffer = buffer;
}

static int64_t array_at(MlirAttribute arrays, size_t operand, size_t index) { return mlirDenseI64ArrayGetElement(mlirArrayAttrGetElement(arrays, (intptr_t)operand), (intptr_t)index); }

static void read_loops(hct_arena *arena, chiplet_op *op, MlirOperation operation) {
  const char *texts[HCT_MAX_FACTORS];
  op->loop_count = (int)hct_op_strs(operation, "loops", texts, HCT_MAX_FACTORS);
  hct_factor *loops = HCT_NEW_ARRAY(arena, hct_factor, (size_t)op->loop_count + 1);
  op->loops = loops;
  for (int i = 0; i < op->loop_count; i++) {
    char text[64];
    hct_layout layout;
    snprintf(text, sizeof text, "[%s]", texts[i]);
    HCT_BUG_ON(!hct_layout_parse(text, &layout), "loop '%s'", texts[i]);
    loops[i] = layout.factors[0];
  }
  MlirAttribute maps = mlirOperationGetAttributeByName(operation, hct_ref("maps")), fixes = mlirOperationGetAttributeByName(operation, hct_ref("fixes"));
  for (size_t k = 0; k < op->operand_count; k++) {
    chiplet_operand *operand = &op->operands[k];
    chiplet_walk *walks = HCT_NEW_ARRAY(arena, chiplet_walk, (size_t)op->loop_count + 1);
    operand->walks = walks;
    for (int i = 0; i < op->loop_count; i++)
      walks[i] = (chiplet_walk){(int)array_at(maps, k, 3 * (size_t)i), array_at(maps, k, 3 * (size_t)i + 1), array_at(maps, k, 3 * (size_t)i + 2)};
    operand->fix_count = (int)(mlirDenseArrayGetNumElements(mlirArrayAttrGetElement(fixes, (intptr_t)k)) / 2);
    chiplet_fix *fixed = HCT_NEW_ARRAY(arena, chiplet_fix, (size_t)operand->fix_count + 1);
    operand->fixes = fixed;
    for (int f = 0; f < operand->fix_count; f++) fixed[f] = (chiplet_fix){(int)array_at(fixes, k, 2 * (size_t)f), array_at(fixes, k, 2 * (size_t)f + 1)};
  }
}

static void read_index(tile_reader *r, chiplet_op *op, MlirOperation operation, intptr_t at) {
  if (mlirOperationGetNumOperands(operation) <= at) return;
  MlirValue index = mlirOperationGetOperand(operation, at);
  size_t number;
  op->timed = true;
  op->constant_index = hct_index_map_get(r->numbers, hct_value_key(index), &number) ? (int64_t)number : -1;
  if (op->constant_index < 0) op->index_offset = r->first;
}

static void read_numbers(chiplet_program *p, chiplet_op *op, MlirOperation operation) {
  int64_t *numbers = HCT_NEW_ARRAY(p->arena, int64_t, (size_t)op->loop_count + 1);
  hct_op_i64s(operation, "index", numbers, (size_t)op->loop_count + 1);
  op->numbers = numbers;
  while (op->stream < p->streams.count && p->streams.items[op->stream] != hct_op_i64(operation, "stream")) op->stream++;
  if (op->stream == p->streams.count) HCT_PUSH(p->arena, &p->streams, hct_op_i64(operation, "stream"));
  op->scalar = hct_op_f64_or(operation, "ratio", 0);
}

static const struct { const char *name; chiplet_kind kind; } kinds[] = {
    {"hct_tile.load", CHIPLET_LOAD}, {"hct_tile.store", CHIPLET_STORE}, {"hct_tile.matmul", CHIPLET_MATMUL}, {"hct_tile.map", CHIPLET_MAP},
    {"hct_tile.fill", CHIPLET_FILL}, {"hct_tile.reduce", CHIPLET_REDUCE}, {"hct_tile.rows", CHIPLET_ROWS}, {"hct_tile.dropout", CHIPLET_DROPOUT}, {"hct_tile.update", CHIPLET_UPDATE}, {"hct_tile.cast", CHIPLET_CAST},
    {"hct_tile.gather_step", CHIPLET_GATHER_STEP}, {"hct_tile.scatter_step", CHIPLET_SCATTER_STEP}, {"hct_tile.copy_part", CHIPLET_COPY_PART},
};

static void read_op(tile_reader *r, MlirOperation operation, chiplet_kind kind, op_list *list) {
  chiplet_op op = {.kind = kind, .index_scale = 1, .order = r->order++, .source = source_of(r, operation), .section = hct_op_i64_or(operation, "section", -1),
                   .accumulate = hct_op_bool_or(operation, "accumulate", false), .has_scalar = hct_op_has(operation, "scalar"),
                   .scalar = hct_op_f64_or(operation, "scalar", 0), .factor = (int)hct_op_i64_or(operation, "factor", -1),
                   .table_axes = hct_op_str_or(operation, "table_axes", ""), .classes = hct_op_i64_or(operation, "classes", 0),
                   .row_loops = (int)hct_op_i64_or(operation, "row_loops", 0), .in = !strcmp(hct_op_str_or(operation, "direction", ""), "in")};
  int64_t run[2] = {0, op.classes};
  if (hct_op_has(operation, "run")) hct_op_i64s(operation, "run", run, 2);
  op.run_first = run[0], op.run_of = run[1];
  op.operands = HCT_NEW_ARRAY(r->program->arena, chiplet_operand, MOST_OPERANDS);
  op.fn = hct_op_str_or(operation, "fn", hct_op_str_or(operation, "kind", ""));
  const char *axis = hct_op_str_or(operation, "axis", "t");
  op.over_time = axis[0] == 't';
  op.ring = ring_of(axis);
  op.lane = (int)hct_op_i64_or(operation, "lane", 0);
  const char *within = hct_op_str_or(operation, "within", "");
  op.within = within[0] ? (int)ring_of(within) : -1;
  switch (kind) {
    case CHIPLET_LOAD:
    case CHIPLET_STORE: {
      bool load = kind == CHIPLET_LOAD;
      use_buffer(r, &op, hct_op_operand(operation, load ? 0 : 1));
      op.tensor = value_index(r->tensors, hct_op_operand(operation, load ? 1 : 0), "tensor");
      op.section = r->program->buffers.items[op.operands[0].buffer].section;
      read_index(r, &op, operation, 2);
      break;
    }
    case CHIPLET_GATHER_STEP:
    case CHIPLET_SCATTER_STEP: use_buffer(r, &op, hct_op_operand(operation, 0)); break;
    case CHIPLET_COPY_PART:
      use_buffer(r, &op, hct_op_operand(operation, 0));
      use_buffer(r, &op, hct_op_operand(operation, 1));
      read_index(r, &op, operation, 2);
      break;
    case CHIPLET_DROPOUT:
    case CHIPLET_UPDATE: {
      intptr_t count = mlirOperationGetNumOperands(operation);
      if (mlirTypeIsAIndex(mlirValueGetType(mlirOperationGetOperand(operation, count - 1)))) read_index(r, &op, operation, --count);
      for (intptr_t k = 0; k < count; k++) use_buffer(r, &op, mlirOperationGetOperand(operation, k));
      break;
    }
    default:
      for (intptr_t k = 0; k < mlirOperationGetNumOperands(operation); k++) use_buffer(r, &op, mlirOperationGetOperand(operation, k));
  }
  if (hct_op_has(operation, "loops")) read_loops(r->program->arena, &op, operation);
  if (kind == CHIPLET_DROPOUT) read_numbers(r->program, &op, operation);
  HCT_PUSH(r->program->arena, list, op);
}

static op_list read_block(tile_reader *r, MlirBlock block);

static void read_loop(tile_reader *r, MlirOperation operation, op_list *list) {
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(operation, 0));
  chiplet_op op = {.kind = CHIPLET_LOOP, .order = r->order++, .source = 0};
  int64_t outer = r->first;
  r->first = (int64_t)value_index(r->numbers, hct_op_operand(operation, 0), "constant");
  op.trips = (int64_t)value_index(r->numbers, hct_op_operand(operation, 1), "constant") - r->first;
  op_list inner = read_block(r, body);
  r->first = outer;
  op.body = inner.items;
  op.body_count = inner.count;
  op.body_end = r->order ? r->order - 1 : 0;
  HCT_PUSH(r->program->arena, list, op);
}

static op_list read_block(tile_reader *r, MlirBlock block) {
  op_list list = {0};
  for (MlirOperation op = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    const char *name = hct_op_name(op);
    if (!strcmp(name, "arith.constant")) {
      int64_t number = mlirIntegerAttrGetValueInt(mlirOperationGetAttributeByName(op, hct_ref("value")));
      hct_index_map_put(r->numbers, hct_value_key(hct_op_result(op, 0)), (size_t)number);
    } else if (!strcmp(name, "hct_tile.dram")) {
      read_tensor(r, op);
    } else if (!strcmp(name, "hct_tile.alloc") || !strcmp(name, "hct_tile.alias")) {
      read_buffer(r, op, !strcmp(name, "hct_tile.alias"));
    } else if (!strcmp(name, "scf.for")) {
      read_loop(r, op, &list);
    } else {
      size_t k = 0;
      while (k < HCT_COUNT(kinds) && strcmp(kinds[k].name, name)) k++;
      if (k < HCT_COUNT(kinds)) read_op(r, op, kinds[k].kind, &list);
      else HCT_BUG_ON(strcmp(name, "scf.yield") && strcmp(name, "func.return"), "%s at tile level", name);
    }
  }
  return list;
}

hct_status chiplet_read(chiplet_program *program, MlirModule module) {
  MlirOperation top = mlirModuleGetOperation(module);
  if (!hct_op_has(top, "hct.batch") || !hct_op_has(top, "hct.micro_batch"))
    return hct_error(program->pass->diags, HCT_E_IR_INVALID, (hct_loc){0}, "the module has no hct.batch and hct.micro_batch: it is not at tile level");
  program->batch = hct_op_i64(top, "hct.batch");
  program->micro_batch = hct_op_i64(top, "hct.micro_batch");
  program->rows = program->pass->package.rows;
  program->cols = program->pass->package.cols;
  program->source_index = hct_map_create(program->arena);
  program->layouts = hct_map_create(program->arena);
  HCT_PUSH(program->arena, &program->sources, ((hct_source){"", "", "", "", ""}));
  tile_reader reader = {.program = program, .buffers = hct_index_map_create(program->arena), .tensors = hct_index_map_create(program->arena),
                        .numbers = hct_index_map_create(program->arena), .counters = hct_index_map_create(program->arena)};
  op_list list = read_block(&reader, hct_function_body(hct_module_function(module)));
  program->ops = list.items;
  program->op_count = list.count;
  return reader.status;
}

hct_status chiplet_parameters_read(hct_pass_context *pass, MlirModule module, hct_arena *arena, const hct_left_out *left_out, hct_image *image) {
  chiplet_program program = {.pass = pass, .arena = arena};
  hct_map *references = hct_map_create(arena);
  MlirBlock body = hct_function_body(hct_module_function(module));
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    MlirAttribute data = hct_op_is(op, "hct_tile.dram") ? mlirOperationGetAttributeByName(op, hct_ref("data")) : mlirAttributeGetNull();
    if (!mlirAttributeIsNull(data) && hct_attr_text(data) && !strcmp(hct_op_str(op, "role"), hct_role_name(HCT_ROLE_PARAM))) hct_map_put(references, hct_op_str(op, "name"), (void *)(uintptr_t)hct_attr_text(data));
  }
  for (size_t t = 0; t < image->tensor_count; t++) {
    hct_tensor *tensor = &image->tensors[t];
    const char *text = hct_map_get(references, tensor->name);
    if (!text && left_out) text = hct_map_get(left_out->data, tensor->name);
    if (tensor->role == HCT_ROLE_PARAM && text && text[0]) HCT_TRY(chiplet_tensor_data(&program, text, tensor));
  }
  return HCT_OK;
}
