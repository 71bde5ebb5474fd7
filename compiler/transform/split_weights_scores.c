/* hct-split-weights: what stands between a product and a loss over its classes, and is of each class by itself (a bias, a scale), comes in the product's pieces, too.
 *
 *   before  %z = contract(%x, %w) : [b,s,n];  %a = map2 add(%z, %bias);  %m = reduce max(%a);  ...                %bias {param "bias"}, or a constant
 *   after   %a0 = map2 add(%z0, %bias0) : [b,s,n/2];  %m0 = reduce max(%a0);  ...                                 %bias0 {param "bias#0/2@0*2"}, or of its elements
 */
#include <string.h>

#include "compiler/transform/split_weights.h"

static bool has_classes(MlirValue value, int64_t classes, hct_shape *out_shape) {
  return hct_value_shape(value, out_shape) && out_shape->rank > 0 && out_shape->dims[out_shape->rank - 1] == classes;
}

bool split_may(MlirOperation function, size_t argument, MlirValue value) {
  MlirAttribute role = hct_function_arg_attr(function, argument, "hct.role"), data = hct_function_arg_attr(function, argument, "hct.data");
  hct_shape shape;
  if (mlirAttributeIsNull(role) || strcmp(hct_attr_text(role), "param") || (!mlirAttributeIsNull(data) && !hct_attr_text(data))) return false;
  return hct_value_shape(value, &shape) && shape.dtype == HCT_F32;
}

static bool read_once(MlirValue value) { return mlirOpOperandIsNull(mlirOpOperandGetNextUse(mlirValueGetFirstUse(value))); }

split_beside split_scores_beside(MlirOperation function, MlirValue value, int64_t classes) {
  hct_shape shape;
  bool constant = mlirValueIsAOpResult(value) && hct_op_is(mlirOpResultGetOwner(value), "hct_graph.constant"), argument = mlirValueIsABlockArgument(value), each = has_classes(value, classes, &shape);
  if (!constant && !argument) return SPLIT_NOT;
  if (!each || classes == 1) return shape.rank == 0 || shape.dims[shape.rank - 1] == 1 ? SPLIT_SAME : SPLIT_NOT;
  if (hct_shape_elements(&shape) != classes) return SPLIT_NOT;
  if (argument) return read_once(value) && split_may(function, (size_t)mlirBlockArgumentGetArgNumber(value), value) ? SPLIT_EACH : SPLIT_NOT;
  MlirAttribute data = mlirOperationGetAttributeByName(mlirOpResultGetOwner(value), hct_ref("value"));
  return shape.dtype != HCT_BOOL && mlirAttributeIsADenseElements(data) ? SPLIT_EACH : SPLIT_NOT;
}

/* Whether the operator, one of those that read `scores`, is of each class by itself. */
static bool is_step(MlirOperation function, MlirOperation op, MlirValue scores) {
  hct_shape from, to;
  if (mlirOperationGetNumResults(op) != 1 || !hct_value_shape(scores, &from) || from.rank == 0) return false;
  int64_t classes = from.dims[from.rank - 1];
  if (!has_classes(hct_op_result(op, 0), classes, &to) || hct_shape_elements(&from) != hct_shape_elements(&to)) return false;
  if (hct_op_is(op, "hct_graph.map1")) return true;
  if (!hct_op_is(op, "hct_graph.map2")) return false;
  MlirValue a = hct_op_operand(op, 0), b = hct_op_operand(op, 1);
  return !mlirValueEqual(a, b) && split_scores_beside(function, mlirValueEqual(a, scores) ? b : a, classes) != SPLIT_NOT;
}

split_readers split_scores_readers(MlirOperation function, MlirValue scores, bool outputs) {
  split_readers all = {false, false};
  for (MlirOpOperand use = mlirValueGetFirstUse(scores); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    split_readers one = split_classes_reader(scores, op);
    if (!one.loss && one.others && is_step(function, op, scores)) one = split_scores_readers(function, hct_op_result(op, 0), outputs);
    if (!outputs && hct_op_is(op, "func.return")) one.others = false;
    all.loss |= one.loss, all.others |= one.others;
  }
  return all;
}

MlirOperation split_scores_step(MlirOperation function, MlirValue scores) {
  for (MlirOpOperand use = mlirValueGetFirstUse(scores); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    if (split_classes_reader(scores, op).others && is_step(function, op, scores) && split_scores_readers(function, hct_op_result(op, 0), false).loss) return op;
  }
  return (MlirOperation){NULL};
}
