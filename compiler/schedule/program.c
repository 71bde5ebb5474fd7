#include "compiler/schedule/program.h"

#include <string.h>

bool hct_dist_op_is_view(const char *name) {
  return !strcmp(name, "hct_graph.reshape") || !strcmp(name, "hct_graph.transpose") || !strcmp(name, "hct_graph.slice") ||
         !strcmp(name, "hct_graph.broadcast");
}

static bool layout_is_timed(const hct_layout *layout) {
  return hct_layout_uses_axis(layout, HCT_AXIS_TIME) || (layout->partial_axes & (1u << HCT_AXIS_TIME));
}

static hct_status value_add(hct_diags *diags, hct_dist_program *program, hct_loc loc, MlirValue value, const char *sharding, hct_dist_value *out_value) {
  *out_value = (hct_dist_value){.value = value, .op = SIZE_MAX, .only_user = SIZE_MAX, .replaces = SIZE_MAX};
  if (!hct_value_shape(value, &out_value->shape)) return hct_error(diags, HCT_E_PARTITION, loc, "value is not a static tensor of a supported type");
  if (!sharding || !hct_layout_parse(sharding, &out_value->layout)) {
    hct_error(diags, HCT_E_PARTITION, loc, "value has no sharding ('%s')", sharding ? sharding : "absent");
    hct_hint(diags, "run --hct-partition first");
    return HCT_REFUSED;
  }
  if (out_value->layout.rank != out_value->shape.rank)
    return hct_error(diags, HCT_E_PARTITION, loc, "sharding '%s' has %u dimensions, the tensor %zu", sharding, out_value->layout.rank, out_value->shape.rank);
  out_value->timed = layout_is_timed(&out_value->layout);
  (void)program;
  return HCT_OK;
}

static hct_status read_arguments(hct_diags *diags, hct_dist_program *program, MlirBlock body, hct_index_map *indices) {
  for (size_t i = 0; i < program->arg_count; i++) {
    MlirValue value = mlirBlockGetArgument(body, (intptr_t)i);
    MlirAttribute name = hct_function_arg_attr(program->function, i, "hct.name");
    MlirAttribute sharding = hct_function_arg_attr(program->function, i, "hct.sharding");
    hct_loc loc = {.file = "argument", .where = mlirAttributeIsNull(name) ? "?" : hct_attr_text(name)};
    HCT_TRY(value_add(diags, program, loc, value, mlirAttributeIsNull(sharding) ? NULL : hct_attr_text(sharding), &program->values[i]));
    program->values[i].arg = i;
    hct_index_map_put(indices, hct_value_key(value), i);
  }
  program->value_count = program->arg_count;
  return HCT_OK;
}

typedef struct operand_slots { hct_index_list values, ops; } operand_slots; /* what each reads, and of which operator it is */

static void read_operands(hct_dist_program *program, size_t index, hct_index_map *indices, operand_slots *slots) {
  hct_dist_op *op = &program->ops[index];
  op->operands = HCT_NEW_ARRAY(program->arena, size_t, op->operand_count);
  for (size_t k = 0; k < op->operand_count; k++) {
    HCT_BUG_ON(!hct_index_map_get(indices, hct_value_key(hct_op_operand(op->op, k)), &op->operands[k]), "%s uses a value from elsewhere", op->name);
    hct_dist_value *value = &program->values[op->operands[k]];
    value->uses++;
    value->only_user = index;
    HCT_PUSH(program->arena, &slots->values, op->operands[k]);
    HCT_PUSH(program->arena, &slots->ops, index);
    if (value->timed) op->timed = true;
  }
}

static hct_status read_results(hct_diags *diags, hct_dist_program *program, size_t index, hct_index_map *indices) {
  hct_dist_op *op = &program->ops[index];
  const char *shardings[8] = {0};
  op->results = HCT_NEW_ARRAY(program->arena, size_t, op->result_count);
  size_t given = hct_op_has(op->op, "hct.sharding") ? hct_op_strs(op->op, "hct.sharding", shardings, HCT_COUNT(shardings)) : 0;
  for (size_t k = 0; k < op->result_count; k++) {
    size_t value = program->value_count++;
    hct_loc loc = hct_loc_of(program->arena, op->op);
    HCT_TRY(value_add(diags, program, loc, hct_op_result(op->op, k), k < given && k < HCT_COUNT(shardings) ? shardings[k] : NULL, &program->values[value]));
    program->values[value].op = index;
    op->results[k] = value;
    if (program->values[value].timed) op->timed = true;
    hct_index_map_put(indices, hct_value_key(hct_op_result(op->op, k)), value);
  }
  return HCT_OK;
}

static hct_status read_operations(hct_diags *diags, hct_dist_program *program, MlirOperation *operations, size_t count, hct_index_map *indices) {
  operand_slots slots = {0};
  for (size_t i = 0; i < count; i++) {
    hct_dist_op *op = &program->ops[i];
    op->op = operations[i];
    op->name = hct_op_name(operations[i]);
    op->operand_count = (size_t)mlirOperationGetNumOperands(operations[i]);
    op->result_count = (size_t)mlirOperationGetNumResults(operations[i]);
    op->view = hct_dist_op_is_view(op->name);
    op->waits = hct_op_has(operations[i], "hct.waits");
    op->accumulate = !strcmp(op->name, "hct_graph.all_reduce") && !strcmp(hct_op_str(operations[i], "axis"), "t");
    read_operands(program, i, indices, &slots);
    HCT_TRY(read_results(diags, program, i, indices));
    if (op->accumulate) op->timed = false;
  }
  program->readers = hct_groups_create(program->arena, program->value_count, slots.values.count, slots.values.items, slots.ops.items);
  return HCT_OK;
}

static void read_return(hct_dist_program *program, MlirOperation terminator, hct_index_map *indices) {
  program->returned_count = (size_t)mlirOperationGetNumOperands(terminator);
  program->returned = HCT_NEW_ARRAY(program->arena, size_t, program->returned_count);
  for (size_t k = 0; k < program->returned_count; k++) {
    HCT_BUG_ON(!hct_index_map_get(indices, hct_value_key(hct_op_operand(terminator, k)), &program->returned[k]), "return of a value from elsewhere");
    hct_dist_value *value = &program->values[program->returned[k]];
    value->uses++;
    value->only_user = SIZE_MAX;
  }
}

/* A value that is returned once becomes the contents of what it replaces. */
static void find_replaces(hct_dist_program *program) {
  bool *returned = HCT_NEW_ARRAY(program->arena, bool, program->value_count + 1);
  program->replaced = hct_function_replaced(program->arena, program->function);
  for (size_t i = 0; i < program->returned_count; i++) {
    size_t value = program->returned[i];
    program->values[value].replaces = returned[value] ? SIZE_MAX : program->replaced[i];
    returned[value] = true;
  }
}

static int64_t module_i64(hct_diags *diags, MlirModule module, const char *name, hct_status *status) {
  MlirOperation op = mlirModuleGetOperation(module);
  if (hct_op_has(op, name)) return hct_op_i64(op, name);
  *status = hct_error(diags, HCT_E_PARTITION, (hct_loc){0}, "the module has no attribute %s", name);
  hct_hint(diags, "run --hct-partition first");
  return 1;
}

static hct_status read_residency(hct_diags *diags, hct_dist_program *program, MlirOperation top, size_t units) {
  size_t given = hct_op_has(top, "hct.streamed") ? hct_op_i64s(top, "hct.streamed", NULL, 0) : 0;
  int64_t *streamed = HCT_NEW_ARRAY(program->arena, int64_t, units);
  if (given && given != units) return hct_error(diags, HCT_E_PARTITION, (hct_loc){0}, "hct.streamed has %zu units, forward and backward of %zu groups are %zu", given, program->group_count, units);
  if (given) hct_op_i64s(top, "hct.streamed", streamed, units);
  program->unit_residency = HCT_NEW_ARRAY(program->arena, hct_residency, units);
  for (size_t u = 0; u < units; u++) program->unit_residency[u] = (hct_residency)streamed[u];
  return HCT_OK;
}

static hct_status read_stages(hct_diags *diags, hct_dist_program *program, MlirModule module) {
  MlirOperation top = mlirModuleGetOperation(module);
  program->group_count = 1;
  for (size_t i = 0; i < program->op_count; i++) {
    int64_t group = hct_op_i64_or(program->ops[i].op, "hct.group", 0);
    if (group >= 0 && (size_t)group + 1 > program->group_count) program->group_count = (size_t)group + 1;
  }
  size_t units = 2 * program->group_count, given = hct_op_has(top, "hct.stages") ? hct_op_i64s(top, "hct.stages", NULL, 0) : units;
  if (given != units) return hct_error(diags, HCT_E_PARTITION, (hct_loc){0}, "hct.stages has %zu units, forward and backward of %zu groups are %zu", given, program->group_count, units);
  int64_t *stages = HCT_NEW_ARRAY(program->arena, int64_t, units);
  for (size_t u = 0; u < units; u++) stages[u] = (int64_t)u;
  if (hct_op_has(top, "hct.stages")) hct_op_i64s(top, "hct.stages", stages, units);
  program->unit_stages = HCT_NEW_ARRAY(program->arena, size_t, units);
  for (size_t u = 0; u < units; u++) program->unit_stages[u] = (size_t)stages[u];
  return read_residency(diags, program, top, units);
}

hct_status hct_dist_program_read(hct_diags *diags, hct_arena *arena, MlirModule module, hct_dist_program *out_program) {
  hct_dist_program program = {.arena = arena, .function = hct_module_function(module)};
  hct_status status = HCT_OK;
  program.batch = module_i64(diags, module, "hct.batch", &status);
  program.micro_batch = module_i64(diags, module, "hct.micro_batch", &status);
  HCT_TRY(status);
  if (program.batch < 1 || program.micro_batch < 1 || program.micro_batch > program.batch)
    return hct_error(diags, HCT_E_PARTITION, (hct_loc){0}, "hct.micro_batch = %lld does not fit hct.batch = %lld", (long long)program.micro_batch, (long long)program.batch);

  MlirBlock body = hct_function_body(program.function);
  MlirOperation *operations, terminator = hct_block_terminator(body);
  size_t count = hct_block_operations(arena, body, &operations);
  if (count && mlirOperationEqual(operations[count - 1], terminator)) count--;
  program.arg_count = (size_t)mlirBlockGetNumArguments(body);
  size_t value_count = program.arg_count;
  for (size_t i = 0; i < count; i++) value_count += (size_t)mlirOperationGetNumResults(operations[i]);
  program.values = HCT_NEW_ARRAY(arena, hct_dist_value, value_count);
  program.ops = HCT_NEW_ARRAY(arena, hct_dist_op, count);
  program.op_count = count;
  hct_index_map *indices = hct_index_map_create(arena);
  HCT_TRY(read_arguments(diags, &program, body, indices));
  HCT_TRY(read_operations(diags, &program, operations, count, indices));
  HCT_TRY(read_stages(diags, &program, module));
  read_return(&program, terminator, indices);
  find_replaces(&program);
  *out_program = program;
  return HCT_OK;
}

size_t hct_dist_view_root(const hct_dist_program *program, size_t value) {
  while (program->values[value].op != SIZE_MAX && program->ops[program->values[value].op].view) value = program->ops[program->values[value].op].operands[0];
  return value;
}

bool hct_dist_is_constant(const hct_dist_program *program, size_t value) {
  size_t op = program->values[value].op;
  return op != SIZE_MAX && !strcmp(program->ops[op].name, "hct_graph.constant");
}
