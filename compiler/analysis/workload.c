#include "compiler/analysis/workload.h"

#include <string.h>

int64_t hct_flow_value_bytes(const hct_flow_value *value) { return hct_shape_elements(&value->shape) * (int64_t)hct_dtype_bytes(value->shape.dtype); }

static const char *text_of(MlirAttribute attribute) { return mlirAttributeIsNull(attribute) || !hct_attr_text(attribute) ? "" : hct_attr_text(attribute); }

/* Bytes of rows that lookups of `table` touch; -1 when something else reads it. */
static int64_t rows_touched(const hct_flow *flow, size_t table) {
  const hct_shape *shape = &flow->values[table].shape;
  int64_t lookups = 0;
  for (size_t i = 0; i < flow->op_count; i++) {
    const hct_flow_op *op = &flow->ops[i];
    for (size_t k = 0; k < op->operand_count; k++) {
      if (op->operands[k] != table || hct_op_has(op->op, "hct.recomputed")) continue;
      if (strcmp(op->name, "gather_rows") || k != 0) return -1;
      lookups += hct_shape_elements(&flow->values[op->operands[1]].shape);
    }
  }
  if (shape->rank == 0 || shape->dims[0] == 0 || lookups == 0) return -1;
  int64_t rows = lookups < shape->dims[0] ? lookups : shape->dims[0];
  return hct_flow_value_bytes(&flow->values[table]) / shape->dims[0] * rows;
}

int64_t hct_workload_compulsory_bytes(const hct_flow *flow) {
  int64_t bytes = 0;
  for (size_t a = 0; a < flow->arg_count; a++) {
    const char *role = text_of(hct_function_arg_attr(flow->function, a, "hct.role"));
    if (!strcmp(role, "setting") || !strcmp(role, "copy") || flow->uses[a] == 0) continue; /* a copy could be made of the parameter anew */
    int64_t rows = !strcmp(role, "param") ? rows_touched(flow, a) : -1;
    bytes += rows >= 0 ? rows : hct_flow_value_bytes(&flow->values[a]);
  }
  for (size_t r = 0; r < flow->returned_count; r++)
    if (flow->returned[r] >= flow->arg_count && strcmp(text_of(hct_function_result_attr(flow->function, r, "hct.role")), "copy")) bytes += hct_flow_value_bytes(&flow->values[flow->returned[r]]);
  return bytes;
}
