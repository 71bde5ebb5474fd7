/* Which inputs are labels: programs are to refuse values of theirs that name no class. */
#include <stdio.h>
#include <string.h>

#include "compiler/transform/derive_training.h"

/* Elements of a tensor that something reads: along each dimension start + i step, i < count. Not `partial`: all. */
typedef struct region {
  bool partial;
  hct_shape of; /* counts: what reads them */
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
} region;

static bool is_fn(MlirOperation op, const char *fn) { return hct_op_is(op, "hct_graph.map1") && !strcmp(hct_op_str(op, "fn"), fn); }

/* Through a slice or a padding: what is read of its operand; where it pads, starts are outside of it. */
static void region_pass(region *r, MlirOperation op, bool pads) {
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
  if (!r->partial) {
    hct_value_shape(hct_op_result(op, 0), &r->of);
    for (size_t d = 0; d < r->of.rank; d++) r->starts[d] = 0, r->steps[d] = 1;
    r->partial = true;
  }
  hct_op_i64s(op, pads ? "low" : "starts", starts, HCT_MAX_RANK);
  if (!pads) hct_op_i64s(op, "steps", steps, HCT_MAX_RANK);
  for (size_t d = 0; d < r->of.rank; d++) {
    r->starts[d] = pads ? r->starts[d] - starts[d] : starts[d] + r->starts[d] * steps[d];
    if (!pads) r->steps[d] *= steps[d];
  }
}

/* What `value`'s elements are copies of, other than constants; a null value where they are computed. `r`: what of `value` is read, then what of that. */
static MlirValue source_of(MlirValue value, region *r) {
  if (!mlirValueIsAOpResult(value)) return (MlirValue){NULL};
  MlirOperation op = mlirOpResultGetOwner(value);
  bool whole = hct_op_is(op, "hct_graph.reshape") || hct_op_is(op, "hct_graph.transpose") || hct_op_is(op, "hct_graph.broadcast");
  bool part = hct_op_is(op, "hct_graph.slice"), pads = hct_op_is(op, "hct_graph.pad");
  if (part || pads) region_pass(r, op, pads);
  return part || pads || is_fn(op, "mov") || (whole && !r->partial) ? hct_op_operand(op, 0) : (MlirValue){NULL};
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

static void region_print(const region *r, hct_text *text) {
  if (!r->partial) hct_text_printf(text, " *");
  for (size_t d = 0; r->partial && d < r->of.rank; d++) hct_text_printf(text, "%c%lld:%lld:%lld", d ? ',' : ' ', (long long)r->starts[d], (long long)r->steps[d], (long long)r->of.dims[d]);
}

static bool has_line(const char *lines, const char *line) {
  for (const char *at = lines; at && (at = strstr(at, line)); at++)
    if (at == lines || at[-1] == '\n') return true;
  return false;
}

static void labels_print(hct_arena *arena, MlirOperation function, MlirOperation pick, hct_text *lines) {
  hct_shape scores = hct_tape_shape(hct_op_operand(pick, 0));
  hct_text numbers = {0};
  size_t count = 0;
  region read = {0};
  MlirValue labels = hct_op_operand(pick, 1);
  for (MlirValue next = labels; !mlirValueIsNull(next); next = source_of(labels, &read)) ignored_print(labels = next, &numbers, &count);
  if (mlirValueIsABlockArgument(labels)) {
    size_t argument = (size_t)mlirBlockArgumentGetArgNumber(labels);
    MlirAttribute name = hct_function_arg_attr(function, argument, "hct.name"), role = hct_function_arg_attr(function, argument, "hct.role");
    bool is_input = !mlirAttributeIsNull(name) && !mlirAttributeIsNull(role) && !strcmp(hct_attr_text(role), "input");
    region_print(&read, &numbers);
    const char *line = is_input ? hct_arena_printf(arena, "%lld %zu%s %s\n", (long long)scores.dims[scores.rank - 1], count, numbers.data, hct_attr_text(name)) : "";
    if (!has_line(lines->data, line)) hct_text_printf(lines, "%s", line);
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
