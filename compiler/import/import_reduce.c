/* Reductions along axes: sums and the like, extreme elements and where they are, running sums. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_views.h"

typedef struct reduction {
  size_t count; /* of axes; 0: none */
  int64_t axes[HCT_MAX_RANK];
  bool reduced[HCT_MAX_RANK];
  int64_t elements; /* of the input in one of the result */
  hct_shape kept;   /* of the result, reduced dimensions as keepdims says */
} reduction;

static hct_status reduction_read(importer *im, const import_value *a, reduction *out_reduction) {
  reduction r = {.elements = 1, .kept = {.dtype = a->shape.dtype}};
  int64_t axes[HCT_MAX_RANK];
  size_t count = 0;
  bool given;
  HCT_TRY(import_ints_optional(im, "axes", 1, axes, HCT_MAX_RANK, &count, &given));
  for (size_t i = 0; i < count; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], a->shape.rank, &axis));
    r.reduced[axis] = true;
  }
  bool all = count == 0 && !import_int(im, "noop_with_empty_axes", 0), keeps = import_int(im, "keepdims", 1) != 0;
  for (size_t d = 0; d < a->shape.rank; d++) {
    r.reduced[d] = r.reduced[d] || all;
    if (!r.reduced[d] || keeps) r.kept.dims[r.kept.rank++] = r.reduced[d] ? 1 : a->shape.dims[d];
    if (!r.reduced[d]) continue;
    r.axes[r.count++] = (int64_t)d;
    r.elements *= a->shape.dims[d];
  }
  *out_reduction = r;
  return HCT_OK;
}

static double combined(const char *kind, double a, double b) {
  if (!strcmp(kind, "Max")) return isnan(a) || isnan(b) ? (double)NAN : fmax(a, b);
  if (!strcmp(kind, "Min")) return isnan(a) || isnan(b) ? (double)NAN : fmin(a, b);
  return !strcmp(kind, "Prod") ? a * b : a + b;
}

static int64_t combined_ints(const char *kind, int64_t a, int64_t b) {
  if (!strcmp(kind, "Max")) return a > b ? a : b;
  if (!strcmp(kind, "Min")) return a < b ? a : b;
  return !strcmp(kind, "Prod") ? (int64_t)((uint64_t)a * (uint64_t)b) : (int64_t)((uint64_t)a + (uint64_t)b);
}

static bool folds(const char *kind, const import_value *a) {
  static const char *const kinds[] = {"Sum", "Mean", "Max", "Min", "Prod"};
  bool found = false;
  for (size_t i = 0; i < HCT_COUNT(kinds); i++) found |= !strcmp(kinds[i], kind);
  return a->known && found && a->shape.dtype != HCT_U64; /* whose order is not that of the same bits as signed */
}

static hct_status reduce_known(importer *im, const char *kind, const import_value *a, const reduction *r) {
  host_tensor t = host_create(im->arena, a->shape.dtype, r->kept.rank, r->kept.dims);
  int64_t results = hct_shape_elements(&r->kept), elements = hct_shape_elements(&a->shape);
  if (!elements && results && (!strcmp(kind, "Max") || !strcmp(kind, "Min") || !strcmp(kind, "Mean"))) return import_refuse(im, HCT_E_ONNX_SHAPE, "no elements to reduce");
  for (int64_t n = 0; n < results && !elements; n++) host_set(&t, n, !strcmp(kind, "Prod") ? 1 : 0);
  bool *begun = HCT_NEW_ARRAY(im->arena, bool, (size_t)results + 1);
  double *sums = HCT_NEW_ARRAY(im->arena, double, (size_t)results + 1);
  for (int64_t n = 0; n < elements; n++) {
    int64_t at = 0, stride = 1, rest = n;
    for (size_t d = a->shape.rank; d-- > 0; rest /= a->shape.dims[d]) {
      if (r->reduced[d]) continue;
      at += rest % a->shape.dims[d] * stride;
      stride *= a->shape.dims[d];
    }
    if (t.i) t.i[at] = begun[at] ? combined_ints(kind, t.i[at], a->host.i[n]) : a->host.i[n];
    else sums[at] = begun[at] ? combined(kind, sums[at], (double)a->host.f[n]) : (double)a->host.f[n];
    begun[at] = true;
  }
  for (int64_t n = 0; n < results; n++) {
    if (t.i && !strcmp(kind, "Mean")) t.i[n] /= r->elements;
    else if (t.f && elements) host_set(&t, n, strcmp(kind, "Mean") ? sums[n] : sums[n] / (double)r->elements);
  }
  return import_output_host(im, 0, t);
}

static MlirValue reduced(importer *im, const char *kind, MlirValue a, const reduction *r) { return r->count ? build_reduce(im, kind, a, r->count, r->axes) : a; }

/* m + log sum exp(a - m), m the largest, or a finite number where that is infinite. */
static MlirValue log_sum_exp(importer *im, MlirValue a, const reduction *r) {
  MlirValue limit = build_scalar(im, HCT_F32, 3e38), least = build_scalar(im, HCT_F32, -3e38), highest = build_map2(im, "min", build_map2(im, "max", reduced(im, "max", a, r), least), limit);
  MlirValue sum = reduced(im, "sum", build_map1(im, "exp", build_map2(im, "sub", a, highest), HCT_F32), r);
  return build_map2(im, "add", build_map1(im, "log", sum, HCT_F32), highest);
}

static MlirValue reduction_build(importer *im, const char *kind, MlirValue a, const reduction *r) {
  hct_dtype dtype = shape_of(a).dtype;
  if (!strcmp(kind, "Sum")) return reduced(im, "sum", a, r);
  if (!strcmp(kind, "Max")) return reduced(im, "max", a, r);
  if (!strcmp(kind, "Min")) return reduced(im, "min", a, r);
  if (!strcmp(kind, "Mean") && !hct_dtype_is_float(dtype)) {
    MlirValue elements = build_scalar(im, dtype, (double)r->elements);
    return build_map2(im, "div", reduced(im, "sum", a, r), elements);
  }
  bool rooted = !strcmp(kind, "L2") || !strncmp(kind, "Log", 3);
  if (rooted || hct_dtype_is_float(dtype)) a = build_cast(im, a, HCT_F32); /* what is between is not rounded to the type */
  if (!strcmp(kind, "Mean")) return build_scaled(im, "muls", reduced(im, "sum", a, r), 1 / (double)r->elements);
  if (!strcmp(kind, "LogSumExp")) return log_sum_exp(im, a, r);
  if (!strcmp(kind, "LogSum")) return build_map1(im, "log", reduced(im, "sum", a, r), HCT_F32);
  if (!strcmp(kind, "L1")) return reduced(im, "sum", build_map1(im, "abs", a, shape_of(a).dtype), r);
  if (!strcmp(kind, "Prod")) {
    for (size_t i = 0; i < r->count; i++) a = build_folded(im, "mul", a, (size_t)r->axes[i]);
    return a;
  }
  MlirValue squares = reduced(im, "sum", build_map2(im, "mul", a, a), r);
  return strcmp(kind, "L2") ? squares : build_map1(im, "sqrt", squares, HCT_F32);
}

hct_status import_reduce(importer *im) {
  import_value *a = import_input(im, 0);
  const char *kind = im->node->op_type + strlen("Reduce");
  reduction r;
  HCT_TRY(reduction_read(im, a, &r));
  if (folds(kind, a)) return reduce_known(im, kind, a, &r);
  if (!r.elements) return import_refuse(im, HCT_E_UNSUPPORTED, "no elements to reduce at run time");
  MlirValue x = build_value(im, a), y = build_cast(im, reduction_build(im, kind, x, &r), shape_of(x).dtype);
  return import_output_value(im, 0, build_reshape(im, y, r.kept.rank, r.kept.dims));
}

/* ---- extreme elements ---- */
/* Where along `axis` the first (or last) largest (or smallest) element is, in i64; the axis stays with size 1. */
static MlirValue extreme_at(importer *im, MlirValue a, size_t axis, const char *kind, bool last) {
  hct_shape shape = shape_of(a);
  int64_t axes[] = {(int64_t)axis}, count = shape.dims[axis];
  MlirValue hit = build_map2(im, "eq", a, build_reduce(im, kind, a, 1, axes));
  MlirValue other = build_scalar(im, HCT_I64, last ? 0 : (double)(count - 1));
  return build_reduce(im, last ? "max" : "min", build_select(im, hit, build_iota(im, HCT_I64, shape.rank, axis, count), other), 1, axes);
}

hct_status import_arg_extreme(importer *im) {
  import_value *a = import_input(im, 0);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", 0), a->shape.rank, &axis));
  MlirValue at = extreme_at(im, build_value(im, a), axis, !strcmp(im->node->op_type, "ArgMax") ? "max" : "min", import_int(im, "select_last_index", 0) != 0);
  return import_output_value(im, 0, import_int(im, "keepdims", 1) ? at : build_dims_replaced(im, at, axis, 1, 0, NULL));
}

hct_status import_hardmax(importer *im) {
  import_value *a = import_input(im, 0);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", im->opset >= 13 ? -1 : 1), a->shape.rank, &axis));
  MlirValue x = build_value(im, a);
  hct_shape shape = shape_of(x), flat = {.dtype = shape.dtype, .rank = 2, .dims = {1, 1}};
  for (size_t d = 0; d < shape.rank; d++) flat.dims[d < axis ? 0 : 1] *= shape.dims[d];
  bool whole = im->opset < 13 && axis + 1 != shape.rank; /* over all dimensions from axis on */
  MlirValue z = whole ? build_reshape(im, x, 2, flat.dims) : x;
  size_t along = whole ? 1 : axis, rank = whole ? 2 : shape.rank;
  MlirValue index = build_iota(im, HCT_I64, rank, along, whole ? flat.dims[1] : shape.dims[axis]), hit = build_map2(im, "eq", extreme_at(im, z, along, "max", false), index);
  return import_output_value(im, 0, build_reshape(im, build_cast(im, hit, shape.dtype), shape.rank, shape.dims));
}

/* The k first by rank: how many elements are before each, ties in order of index. Takes n^2 comparisons, and n k selections, along the axis. */
hct_status import_top_k(importer *im) {
  import_value *a = import_input(im, 0), *k = import_input(im, 1);
  size_t axis, rank = a->shape.rank;
  HCT_TRY(import_axis(im, import_int(im, "axis", -1), rank, &axis));
  if (im->opset >= 10 && (!k || !k->known || !k->host.i || hct_shape_elements(&k->shape) != 1)) return import_refuse(im, HCT_E_UNSUPPORTED, "a k that depends on run-time data, or is not one integer; a constant is supported");
  int64_t count = im->opset >= 10 ? k->host.i[0] : import_int(im, "k", 0), n = a->shape.dims[axis];
  if (count < 1 || count > n) return import_refuse(im, HCT_E_ONNX_SHAPE, "k is %lld of %lld elements", (long long)count, (long long)n);
  if (rank == HCT_MAX_RANK) return import_refuse(im, HCT_E_UNSUPPORTED, "a value of rank %d; at most %d is supported", HCT_MAX_RANK, HCT_MAX_RANK - 1);
  MlirValue x = build_axis_moved(im, build_value(im, a), axis, rank - 1);
  int64_t down[] = {n, 1}, across[] = {1, n}, one[] = {count}, last[] = {(int64_t)rank}, before[] = {(int64_t)rank - 1};
  MlirValue here = build_dims_replaced(im, x, rank - 1, 1, 2, down), other = build_dims_replaced(im, x, rank - 1, 1, 2, across);
  MlirValue ahead = import_int(im, "largest", 1) ? build_map2(im, "lt", here, other) : build_map2(im, "lt", other, here);
  MlirValue index = build_iota(im, HCT_I64, 2, 0, n), earlier = build_map2(im, "lt", build_iota(im, HCT_I64, 2, 1, n), index);
  MlirValue wins = build_map2(im, "or", ahead, build_map2(im, "and", build_map2(im, "eq", here, other), earlier));
  MlirValue place = build_reduce(im, "sum", build_cast(im, wins, HCT_I32), 1, last);
  MlirValue hit = build_map2(im, "eq", place, build_iota(im, HCT_I32, 1, 0, count));
  MlirValue values = build_select(im, hit, here, build_scalar(im, shape_of(x).dtype, 0)), indices = build_select(im, hit, index, build_scalar(im, HCT_I64, 0)), parts[] = {values, indices};
  for (size_t o = 0; o < 2; o++) {
    MlirValue y = build_dims_replaced(im, build_reduce(im, "sum", parts[o], 1, before), rank - 1, 2, 1, one);
    HCT_TRY(import_output_value(im, o, build_axis_moved(im, y, rank - 1, axis)));
  }
  return HCT_OK;
}

/* By doubling: after step s each element is the sum of 2^s before it and itself. */
hct_status import_cum_sum(importer *im) {
  import_value *a = import_input(im, 0), *at = import_input(im, 1);
  size_t axis;
  if (!at || !at->known || !at->host.i || hct_shape_elements(&at->shape) != 1) return import_refuse(im, HCT_E_UNSUPPORTED, "an axis that depends on run-time data, or is not one integer; a constant is supported");
  HCT_TRY(import_axis(im, at->host.i[0], a->shape.rank, &axis));
  bool reverse = import_int(im, "reverse", 0) != 0, exclusive = import_int(im, "exclusive", 0) != 0;
  MlirValue x = build_value(im, a);
  int64_t n = a->shape.dims[axis], zero[HCT_MAX_RANK] = {0}, shift[HCT_MAX_RANK] = {0};
  if (exclusive && n == 1) return import_output_value(im, 0, build_broadcast(im, build_scalar(im, a->shape.dtype, 0), &a->shape));
  for (int64_t by = exclusive ? -1 : 1; by < n; by = by < 0 ? 1 : 2 * by) {
    int64_t length = by < 0 ? 1 : by;
    shift[axis] = length;
    MlirValue part = build_cut(im, x, axis, reverse ? length : 0, n - length);
    MlirValue moved = build_pad(im, part, reverse ? zero : shift, a->shape.dims, 0);
    x = by < 0 ? moved : build_map2(im, "add", x, moved);
  }
  return import_output_value(im, 0, x);
}
