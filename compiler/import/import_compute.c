/* Reductions. */
#include <string.h>

#include "compiler/import/import_internal.h"

hct_status import_reduce(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t axes[HCT_MAX_RANK], kept[HCT_MAX_RANK];
  size_t count = 0, rank = 0;
  double elements = 1;
  if (!import_ints(im, "axes", 1, axes, HCT_MAX_RANK, &count) || count == 0)
    for (count = 0; count < a->shape.rank; count++) axes[count] = (int64_t)count;
  bool reduced[HCT_MAX_RANK] = {false};
  for (size_t i = 0; i < count; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], a->shape.rank, &axis));
    axes[i] = (int64_t)axis;
    reduced[axis] = true;
    elements *= (double)a->shape.dims[axis];
  }
  const char *op = im->node->op_type, *kind = !strcmp(op, "ReduceMax") ? "max" : !strcmp(op, "ReduceMin") ? "min" : "sum";
  MlirValue y = build_reduce(im, kind, build_value(im, a), count, axes);
  if (!strcmp(op, "ReduceMean")) y = build_scaled(im, "muls", y, 1 / elements);
  for (size_t d = 0; d < a->shape.rank; d++)
    if (!reduced[d]) kept[rank++] = a->shape.dims[d];
  if (!import_int(im, "keepdims", 1)) y = build_reshape(im, y, rank, kept);
  return import_output_value(im, 0, y);
}
