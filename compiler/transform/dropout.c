#include "compiler/transform/dropout.h"

void hct_dropout_begin_at(MlirOperation op, size_t dim, int64_t start) {
  int64_t index[HCT_MAX_RANK + 1];
  if (!hct_op_is(op, "hct_graph.dropout")) return;
  size_t count = hct_op_i64s(op, "index", index, HCT_MAX_RANK + 1);
  HCT_BUG_ON(dim + 1 >= count, "dimension %zu of a dropout of rank %zu", dim, count - 1);
  index[count - 1] += start * index[dim];
  hct_op_set(op, "index", hct_attr_i64s(mlirOperationGetContext(op), count, index));
}
