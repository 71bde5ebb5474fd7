/* Which inputs are labels: programs are to refuse values of theirs that name no class. */
#include <stdio.h>
#include <string.h>

#include "compiler/transform/derive_training.h"

/* What `value` is a view of, or a conversion of, element for element; a null value where it is neither. */
static MlirValue source_of(MlirValue value) {
  if (!mlirValueIsAOpResult(value)) return (MlirValue){NULL};
  MlirOperation op = mlirOpResultGetOwner(value);
  bool same = hct_op_is(op, "hct_graph.reshape") || (hct_op_is(op, "hct_graph.map1") && !strcmp(hct_op_str(op, "fn"), "mov"));
  return same ? hct_op_operand(op, 0) : (MlirValue){NULL};
}

static bool constant_integer(MlirValue value, int64_t *out_integer) {
  hct_shape shape;
  if (!mlirValueIsAOpResult(value) || !hct_value_shape(value, &shape)) return false;
  MlirOperation op = mlirOpResultGetOwner(value);
  if (!hct_op_is(op, "hct_graph.constant") || hct_shape_elements(&shape) != 1 || (shape.dtype != HCT_I64 && shape.dtype != HCT_I32)) return false;
  MlirAttribute data = mlirOperationGetAttributeByName(op, mlirStringRefCreateFromCString("value"));
  *out_integer = shape.dtype == HCT_I64 ? mlirDenseElementsAttrGetInt64SplatValue(data) : mlirDenseElementsAttrGetInt32SplatValue(data);
  return *out_integer != INT64_MIN; /* import's for none */
}

/* Numbers that `labels` are compared with: those that a loss ignores. */
static void ignored_print(MlirValue labels, hct_text *numbers, size_t *count) {
  for (MlirOpOperand use = mlirValueGetFirstUse(labels); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation reader = mlirOpOperandGetOwner(use);
    int64_t ignored;
    if (!hct_op_is(reader, "hct_graph.map2") || strcmp(hct_op_str(reader, "fn"), "eq")) continue;
    if (!constant_integer(hct_op_operand(reader, mlirOpOperandGetOperandNumber(use) == 0), &ignored)) continue;
    hct_text_printf(numbers, " %lld", (long long)ignored);
    ++*count;
  }
}

static void labels_print(hct_arena *arena, MlirOperation function, MlirOperation pick, hct_text *lines) {
  hct_shape scores = hct_tape_shape(hct_op_operand(pick, 0));
  hct_text numbers = {0};
  size_t count = 0;
  MlirValue labels = hct_op_operand(pick, 1);
  for (MlirValue next = labels; !mlirValueIsNull(next); next = source_of(labels)) ignored_print(labels = next, &numbers, &count);
  if (mlirValueIsABlockArgument(labels)) {
    size_t argument = (size_t)mlirBlockArgumentGetArgNumber(labels);
    MlirAttribute name = hct_function_arg_attr(function, argument, "hct.name"), role = hct_function_arg_attr(function, argument, "hct.role");
    bool is_input = !mlirAttributeIsNull(name) && !mlirAttributeIsNull(role) && !strcmp(hct_attr_text(role), "input");
    const char *line = is_input ? hct_arena_printf(arena, "%lld %zu%s %s\n", (long long)scores.dims[scores.rank - 1], count, count ? numbers.data : "", hct_attr_text(name)) : "";
    if (!lines->data || !strstr(lines->data, line)) hct_text_printf(lines, "%s", line);
  }
  hct_text_fini(&numbers);
}

void hct_training_describe_labels(hct_arena *arena, MlirModule module) {
  hct_text lines = {0};
  MlirOperation *ops, top = mlirModuleGetOperation(module), function = hct_module_function(module);
  size_t count = hct_block_operations(arena, hct_function_body(function), &ops);
  if (hct_op_has(top, "hct.labels")) hct_text_printf(&lines, "%s", hct_op_str(top, "hct.labels"));
  for (size_t i = 0; i < count; i++)
    if (hct_op_is(ops[i], "hct_graph.pick")) labels_print(arena, function, ops[i], &lines);
  if (lines.data) hct_op_set(top, "hct.labels", hct_attr_str(mlirModuleGetContext(module), lines.data));
  hct_text_fini(&lines);
}
