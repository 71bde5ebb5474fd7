#include "compiler/import/import_views.h"

#include <math.h>
#include <string.h>

/* ---- constants ---- */
MlirValue build_vector(importer *im, hct_dtype dtype, size_t count, const int64_t *values) {
  int64_t dims[] = {(int64_t)count};
  host_tensor t = host_create(im->arena, dtype, 1, dims);
  memcpy(t.i, values, count * sizeof *values);
  return build_known(im, t);
}

MlirValue build_iota(importer *im, hct_dtype dtype, size_t rank, size_t axis, int64_t count) {
  int64_t dims[HCT_MAX_RANK];
  for (size_t d = 0; d < rank; d++) dims[d] = d == axis ? count : 1;
  host_tensor t = host_create(im->arena, dtype, rank, dims);
  for (int64_t n = 0; n < count; n++) host_set(&t, n, (double)n);
  return build_known(im, t);
}

MlirValue build_extreme(importer *im, hct_dtype dtype, bool highest) {
  if (hct_dtype_is_float(dtype)) return build_scalar(im, dtype, highest ? (double)INFINITY : -(double)INFINITY);
  host_tensor t = host_create(im->arena, dtype, 0, NULL);
  unsigned bits = dtype == HCT_BOOL ? 1 : 8 * (unsigned)hct_dtype_bytes(dtype);
  if (dtype != HCT_BOOL && !hct_dtype_is_unsigned(dtype)) t.i[0] = highest ? (int64_t)(UINT64_MAX >> (65 - bits)) : -(int64_t)(UINT64_MAX >> (65 - bits)) - 1;
  else t.i[0] = highest ? (int64_t)(UINT64_MAX >> (64 - bits)) : 0;
  return build_known(im, t);
}

/* ---- views and parts ---- */
MlirValue build_axis_moved(importer *im, MlirValue a, size_t from, size_t to) {
  int64_t perm[HCT_MAX_RANK];
  size_t rank = shape_of(a).rank, other = 0;
  for (size_t d = 0; d < rank; d++) {
    if (d == to) {
      perm[d] = (int64_t)from;
      continue;
    }
    if (other == from) other++;
    perm[d] = (int64_t)other++;
  }
  return build_transpose(im, a, perm);
}

MlirValue build_dims_replaced(importer *im, MlirValue a, size_t first, size_t replaced, size_t count, const int64_t *dims) {
  hct_shape from = shape_of(a);
  int64_t all[HCT_MAX_RANK];
  size_t rank = from.rank - replaced + count;
  HCT_BUG_ON(rank > HCT_MAX_RANK, "a reshape to rank %zu", rank);
  for (size_t d = 0; d < rank; d++) all[d] = d < first ? from.dims[d] : d < first + count ? dims[d - first] : from.dims[d - count + replaced];
  return build_reshape(im, a, rank, all);
}

/* `count` elements along an axis, `step` apart; step 0: one of them, repeated. */
static MlirValue run_cut(importer *im, MlirValue a, size_t axis, int64_t first, int64_t step, int64_t count) {
  hct_shape shape = shape_of(a);
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK];
  if (first == 0 && step == 1 && count == shape.dims[axis]) return a;
  for (size_t d = 0; d < shape.rank; d++) steps[d] = 1;
  starts[axis] = first;
  steps[axis] = step && count > 1 ? step : 1;
  shape.dims[axis] = step ? count : 1;
  MlirValue part = build_slice(im, a, starts, steps, shape.dims);
  shape.dims[axis] = count;
  return build_broadcast(im, part, &shape);
}

MlirValue build_cut(importer *im, MlirValue a, size_t axis, int64_t first, int64_t count) { return run_cut(im, a, axis, first, 1, count); }

/* How many indices from `at` on are of one step. */
static size_t run_length(size_t at, size_t count, const int64_t *from) {
  size_t end = at + 1;
  if (end == count) return 1;
  int64_t step = from[end] - from[at];
  while (end < count && from[end] - from[end - 1] == step) end++;
  bool joins_next = end == at + 2 && end < count && (step < -1 || step > 1); /* two elements by chance; the second may begin a longer run */
  return joins_next ? 1 : end - at;
}

size_t take_parts(size_t count, const int64_t *from) {
  size_t parts = 0;
  for (size_t at = 0; at < count; at += run_length(at, count, from)) parts++;
  return parts;
}

MlirValue build_take(importer *im, MlirValue a, size_t axis, size_t count, const int64_t *from) {
  MlirValue *parts = HCT_NEW_ARRAY(im->arena, MlirValue, count + 1);
  size_t made = 0, length;
  for (size_t at = 0; at < count; at += length) {
    length = run_length(at, count, from);
    parts[made++] = run_cut(im, a, axis, from[at], length > 1 ? from[at + 1] - from[at] : 1, (int64_t)length);
  }
  return build_concat(im, axis, made, parts);
}

MlirValue build_repeat(importer *im, MlirValue a, size_t axis, int64_t times) {
  hct_shape from = shape_of(a), wide = {.dtype = from.dtype, .rank = 3, .dims = {1, times, 1}};
  if (times == 1) return a;
  int64_t split[] = {1, from.dims[axis]}, joined[] = {times * from.dims[axis]};
  if (from.rank < HCT_MAX_RANK) {
    MlirValue apart = build_dims_replaced(im, a, axis, 1, 2, split);
    hct_shape shape = shape_of(apart);
    shape.dims[axis] = times;
    return build_dims_replaced(im, build_broadcast(im, apart, &shape), axis, 2, 1, joined);
  }
  for (size_t d = 0; d < from.rank; d++) wide.dims[d < axis ? 0 : 2] *= from.dims[d];
  int64_t narrow[] = {wide.dims[0], 1, wide.dims[2]};
  MlirValue repeated = build_broadcast(im, build_reshape(im, a, 3, narrow), &wide);
  from.dims[axis] *= times;
  return build_reshape(im, repeated, from.rank, from.dims);
}

/* ---- rows ---- */
MlirValue build_ids(importer *im, MlirValue ids, MlirValue size) {
  bool above = hct_dtype_is_unsigned(shape_of(ids).dtype);
  MlirValue wide = build_cast(im, ids, HCT_I64);
  if (above) return wide;
  MlirValue from_end = build_map2(im, "add", wide, size);
  return build_select(im, build_map2(im, "lt", wide, build_scalar(im, HCT_I64, 0)), from_end, wide);
}

MlirValue build_gather_rows(importer *im, MlirValue table, MlirValue ids) {
  hct_shape t = shape_of(table), shape = shape_of(ids);
  shape.dtype = t.dtype;
  for (size_t d = 1; d < t.rank; d++) shape.dims[shape.rank++] = t.dims[d];
  MlirValue operands[] = {table, ids};
  return build_op(im, "hct_graph.gather_rows", 2, operands, &shape, 0, NULL);
}

MlirValue build_scatter_rows(importer *im, MlirValue updates, MlirValue ids, int64_t rows) {
  hct_shape u = shape_of(updates), i = shape_of(ids), shape = {.dtype = u.dtype, .rank = 1, .dims = {rows}};
  for (size_t d = i.rank; d < u.rank; d++) shape.dims[shape.rank++] = u.dims[d];
  MlirValue operands[] = {updates, ids};
  return build_op(im, "hct_graph.scatter_rows", 2, operands, &shape, 0, NULL);
}

MlirValue build_folded(importer *im, const char *fn, MlirValue a, size_t axis) {
  for (int64_t count = shape_of(a).dims[axis], half; count > 1; count = half) {
    half = (count + 1) / 2;
    MlirValue upper = build_cut(im, a, axis, half, count - half), parts[2] = {build_map2(im, fn, build_cut(im, a, axis, 0, count - half), upper)};
    if (count % 2) parts[1] = build_cut(im, a, axis, count - half, 1);
    a = build_concat(im, axis, count % 2 ? 2 : 1, parts);
  }
  return a;
}
