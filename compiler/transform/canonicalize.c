/* hct-canonicalize
 *
 *   %c = constant dense<[[0, 1], [0, 1]]>;  %e = gather_rows(%table, %c);  %y = map2(%x, %e)
 * becomes
 *   %c = constant dense<[[0, 1]]>;          %e = gather_rows(%table, %c);  %y = map2(%x, %e)
 *
 * where %x has the two rows: what an exporter repeated for every sample (positions, masks) stays one, so that samples can be cut in
 * micro-batches. Broadcasts that an elementwise operator does by itself go. What nothing needs is removed. */
#include <string.h>

#include "compiler/pass.h"

typedef struct canonicalizer {
  hct_arena *arena;
  MlirContext context;
} canonicalizer;

static hct_shape shape_of(MlirValue value) {
  hct_shape shape = {0};
  hct_value_shape(value, &shape);
  return shape;
}

static MlirOperation maker_of(MlirValue value, const char *name) {
  bool made = mlirValueIsAOpResult(value) && hct_op_is(mlirOpResultGetOwner(value), name);
  return made ? mlirOpResultGetOwner(value) : (MlirOperation){NULL};
}

/* The constant's first row, where all of its rows are alike; null: they are not. */
static MlirAttribute first_row(canonicalizer *c, MlirOperation constant) {
  MlirAttribute value = mlirOperationGetAttributeByName(constant, hct_ref("value"));
  hct_shape shape = shape_of(hct_op_result(constant, 0));
  if (!mlirAttributeIsADenseElements(value) || mlirDenseElementsAttrIsSplat(value) || shape.rank < 2 || shape.dims[0] < 2 || shape.dtype == HCT_BOOL) return mlirAttributeGetNull();
  int64_t rows = shape.dims[0];
  shape.dims[0] = 1;
  size_t bytes = (size_t)hct_shape_elements(&shape) * hct_dtype_bytes(shape.dtype);
  const uint8_t *data = mlirDenseElementsAttrGetRawData(value);
  for (int64_t r = 1; r < rows; r++)
    if (memcmp(data, data + (size_t)r * bytes, bytes) != 0) return mlirAttributeGetNull();
  return mlirDenseElementsAttrRawBufferGet(hct_type_tensor(c->context, shape.dtype, shape.rank, shape.dims), bytes, data);
}

/* What the value repeats along its first dimension, or broadcasts; null: it does neither. */
static MlirValue without_repeats(canonicalizer *c, MlirValue value, MlirOperation user) {
  MlirOperation broadcast = maker_of(value, "hct_graph.broadcast"), constant = maker_of(value, "hct_graph.constant");
  if (!mlirOperationIsNull(broadcast)) return hct_op_operand(broadcast, 0);
  MlirAttribute row = mlirOperationIsNull(constant) ? mlirAttributeGetNull() : first_row(c, constant);
  if (mlirAttributeIsNull(row)) return (MlirValue){NULL};
  hct_builder builder = {.context = c->context, .block = mlirOperationGetBlock(user), .before = user, .location = mlirOperationGetLocation(constant)};
  hct_named attribute = {"value", row};
  return hct_build_value(&builder, "hct_graph.constant", 0, NULL, mlirAttributeGetType(row), 1, &attribute);
}

/* Whether operands of these shapes, right-aligned, still give the result's. */
static bool gives(const hct_shape *operands, size_t count, const hct_shape *result) {
  for (size_t d = 0; d < result->rank; d++) {
    int64_t size = 1;
    for (size_t k = 0; k < count; k++) {
      size_t lead = result->rank - operands[k].rank;
      if (d >= lead && operands[k].dims[d - lead] > size) size = operands[k].dims[d - lead];
    }
    if (size != result->dims[d]) return false;
  }
  return true;
}

static void elementwise(canonicalizer *c, MlirOperation op) {
  hct_shape result = shape_of(hct_op_result(op, 0)), operands[3];
  size_t count = (size_t)mlirOperationGetNumOperands(op);
  if (count > HCT_COUNT(operands)) return;
  for (size_t k = 0; k < count; k++) operands[k] = shape_of(hct_op_operand(op, k));
  for (size_t k = 0; k < count; k++) {
    MlirValue less = without_repeats(c, hct_op_operand(op, k), op);
    if (mlirValueIsNull(less)) continue;
    hct_shape before = operands[k];
    operands[k] = shape_of(less);
    if (gives(operands, count, &result)) mlirOperationSetOperand(op, (intptr_t)k, less);
    else operands[k] = before;
  }
}

static void lookup(canonicalizer *c, MlirOperation op) {
  MlirOperation ids = maker_of(hct_op_operand(op, 1), "hct_graph.constant");
  MlirAttribute row = mlirOperationIsNull(ids) ? mlirAttributeGetNull() : first_row(c, ids);
  if (mlirAttributeIsNull(row)) return;
  hct_builder builder = {.context = c->context, .block = mlirOperationGetBlock(op), .before = op, .location = mlirOperationGetLocation(op)};
  hct_named value = {"value", row};
  MlirValue operands[] = {hct_op_operand(op, 0), hct_build_value(&builder, "hct_graph.constant", 0, NULL, mlirAttributeGetType(row), 1, &value)};
  hct_shape shape = shape_of(hct_op_result(op, 0));
  shape.dims[0] = 1;
  MlirValue once = hct_build_value(&builder, "hct_graph.gather_rows", 2, operands, hct_type_tensor(c->context, shape.dtype, shape.rank, shape.dims), 0, NULL);
  MlirValue all = hct_build_value(&builder, "hct_graph.broadcast", 1, &once, mlirValueGetType(hct_op_result(op, 0)), 0, NULL);
  mlirValueReplaceAllUsesOfWith(hct_op_result(op, 0), all);
}

hct_status hct_pass_canonicalize(hct_pass_context *pass, MlirModule module) {
  MlirOperation function = hct_module_function(module), *operations;
  canonicalizer c = {pass->arena, pass->context};
  size_t count = hct_block_operations(pass->arena, hct_function_body(function), &operations);
  for (size_t i = 0; i < count; i++) {
    const char *name = hct_op_name(operations[i]);
    if (!strcmp(name, "hct_graph.map2") || !strcmp(name, "hct_graph.select")) elementwise(&c, operations[i]);
    else if (!strcmp(name, "hct_graph.gather_rows")) lookup(&c, operations[i]);
  }
  hct_function_eliminate_dead(function);
  return HCT_OK;
}
