/* Operators that arrange elements anew by a rule that is known when compiling: paddings, repetitions, triangles, blocks, chosen indices. */
#include <string.h>

#include "compiler/import/import_views.h"

/* ---- Pad ---- */
typedef struct padding {
  int64_t low[HCT_MAX_RANK], high[HCT_MAX_RANK]; /* negative: so many less */
  MlirValue value;                               /* null: 0 */
  bool known;
  double constant;
} padding;

static hct_status padding_read(importer *im, const import_value *a, padding *out_padding) {
  padding p = {.known = true, .constant = (double)import_float(im, "value", 0)};
  int64_t pads[2 * HCT_MAX_RANK], axes[HCT_MAX_RANK];
  size_t count, named = a->shape.rank;
  import_value *value = import_input(im, 2), *given = import_input(im, 3);
  if (!import_ints(im, im->opset < 2 ? "paddings" : "pads", 1, pads, HCT_COUNT(pads), &count)) return import_refuse(im, HCT_E_UNSUPPORTED, "pads that are missing, depend on run-time data, or are more than %zu", HCT_COUNT(pads));
  for (size_t d = 0; d < a->shape.rank; d++) axes[d] = (int64_t)d;
  if (given && !import_ints(im, "", 3, axes, HCT_MAX_RANK, &named)) return import_refuse(im, HCT_E_UNSUPPORTED, "axes that depend on run-time data; constants are supported");
  if (count != 2 * named) return import_refuse(im, HCT_E_ONNX_SHAPE, "%zu pads for %zu axes", count, named);
  for (size_t i = 0; i < named; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], a->shape.rank, &axis));
    int64_t low = pads[i], high = pads[named + i];
    if (low < -INT32_MAX || high < -INT32_MAX || low > INT32_MAX || high > INT32_MAX || a->shape.dims[axis] + low + high < 1)
      return import_refuse(im, HCT_E_ONNX_SHAPE, "pads %lld and %lld of a dimension of %lld", (long long)low, (long long)high, (long long)a->shape.dims[axis]);
    p.low[axis] = low, p.high[axis] = high;
  }
  if (value && hct_shape_elements(&value->shape) != 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "a constant_value of %lld elements", (long long)hct_shape_elements(&value->shape));
  if (value && value->known) p.constant = host_get(&value->host, 0);
  p.known = !value || value->known;
  if (!p.known) p.value = build_reshape(im, build_value(im, value), 0, NULL);
  *out_padding = p;
  return HCT_OK;
}

/* A run-time value takes the place of the zeros: where ones, padded alike, are none. */
static MlirValue pad_constant(importer *im, MlirValue x, const padding *p) {
  hct_shape shape = shape_of(x);
  int64_t low[HCT_MAX_RANK], dims[HCT_MAX_RANK];
  for (size_t d = 0; d < shape.rank; d++) {
    int64_t first = p->low[d] < 0 ? -p->low[d] : 0, last = p->high[d] < 0 ? -p->high[d] : 0, count = shape.dims[d] - first - last;
    if (count < 1) { /* nothing is left: padding alone */
      x = build_cut(im, x, d, 0, 1);
      hct_shape wanted = shape_of(x);
      MlirValue none = p->known ? build_scalar(im, shape.dtype, p->constant) : p->value;
      for (size_t k = 0; k < shape.rank; k++) wanted.dims[k] = shape.dims[k] + p->low[k] + p->high[k];
      return build_broadcast(im, none, &wanted);
    }
    x = build_cut(im, x, d, first, count);
    low[d] = p->low[d] > 0 ? p->low[d] : 0, dims[d] = low[d] + count + (p->high[d] > 0 ? p->high[d] : 0);
  }
  MlirValue y = build_pad(im, x, low, dims, p->known ? p->constant : 0);
  if (p->known) return y;
  shape = shape_of(x);
  shape.dtype = HCT_BOOL;
  MlirValue inside = build_pad(im, build_broadcast(im, build_scalar(im, HCT_BOOL, 1), &shape), low, dims, 0);
  return build_select(im, inside, y, p->value);
}

static int64_t modulo(int64_t a, int64_t n) { return (a % n + n) % n; }

/* The index that position `at` before, in or after n elements takes; -1: none of the modes. */
static int64_t padded_from(const char *mode, int64_t at, int64_t n) {
  if (!strcmp(mode, "edge")) return at < 0 ? 0 : at >= n ? n - 1 : at;
  if (!strcmp(mode, "wrap")) return modulo(at, n);
  if (strcmp(mode, "reflect")) return -1;
  int64_t period = n > 1 ? 2 * (n - 1) : 1, folded = modulo(at, period);
  return folded < n ? folded : period - folded;
}

hct_status import_pad(importer *im) {
  import_value *a = import_input(im, 0);
  const char *mode = import_string(im, "mode", "constant");
  padding p;
  HCT_TRY(padding_read(im, a, &p));
  MlirValue x = build_value(im, a);
  if (!strcmp(mode, "constant")) return import_output_value(im, 0, pad_constant(im, x, &p));
  if (padded_from(mode, 0, 1) < 0) return import_refuse(im, HCT_E_UNSUPPORTED, "mode '%s'; constant, reflect, edge and wrap are supported", mode);
  for (size_t d = 0; d < a->shape.rank; d++) {
    int64_t n = a->shape.dims[d], count = n + p.low[d] + p.high[d], *from = HCT_NEW_ARRAY(im->arena, int64_t, (size_t)count);
    for (int64_t k = 0; k < count; k++) from[k] = padded_from(mode, k - p.low[d], n);
    if (p.low[d] || p.high[d]) x = build_take(im, x, d, (size_t)count, from);
  }
  return import_output_value(im, 0, x);
}

hct_status import_center_crop_pad(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t wanted[HCT_MAX_RANK], axes[HCT_MAX_RANK];
  padding p = {.known = true};
  size_t count, named = a->shape.rank;
  if (!import_ints(im, "", 1, wanted, HCT_MAX_RANK, &count)) return import_refuse(im, HCT_E_UNSUPPORTED, "a shape that depends on run-time data; a constant is supported");
  for (size_t d = 0; d < a->shape.rank; d++) axes[d] = (int64_t)d;
  if (import_attribute(im, "axes") && !import_ints(im, "axes", SIZE_MAX, axes, HCT_MAX_RANK, &named)) return import_refuse(im, HCT_E_ONNX_SHAPE, "more axes than %d", HCT_MAX_RANK);
  if (count != named) return import_refuse(im, HCT_E_ONNX_SHAPE, "%zu sizes for %zu axes", count, named);
  for (size_t i = 0; i < count; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], a->shape.rank, &axis));
    int64_t n = a->shape.dims[axis], more = wanted[i] - n;
    if (wanted[i] < 1 || wanted[i] > INT32_MAX) return import_refuse(im, HCT_E_ONNX_SHAPE, "dimension %lld", (long long)wanted[i]);
    p.low[axis] = more >= 0 ? more / 2 : -(-more / 2);
    p.high[axis] = more - p.low[axis];
  }
  return import_output_value(im, 0, pad_constant(im, build_value(im, a), &p));
}

/* ---- Tile ---- */
hct_status import_tile(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t times[HCT_MAX_RANK];
  size_t count;
  if (!import_ints(im, "", 1, times, HCT_MAX_RANK, &count)) return import_refuse(im, HCT_E_UNSUPPORTED, "repeats that depend on run-time data; constants are supported");
  if (count != a->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "%zu repeats for rank %zu", count, a->shape.rank);
  hct_shape shape = a->shape;
  for (size_t d = 0; d < count; d++)
    if (times[d] < 1 || times[d] > INT32_MAX || !hct_mul_i64(shape.dims[d], times[d], &shape.dims[d]) || shape.dims[d] > INT32_MAX) return import_refuse(im, HCT_E_ONNX_SHAPE, "%lld repeats of a dimension of %lld", (long long)times[d], (long long)a->shape.dims[d]);
  if (!a->known) {
    MlirValue x = a->value;
    for (size_t d = 0; d < count; d++) x = build_repeat(im, x, d, times[d]);
    return import_output_value(im, 0, x);
  }
  host_tensor t = a->host;
  int64_t inner = 1;
  for (size_t d = count; d-- > 0;) {
    inner *= a->shape.dims[d];
    int64_t dims[] = {inner ? hct_shape_elements(&t.shape) / inner : 0, times[d], inner}, strides[] = {inner, 0, 1};
    t = host_view(im->arena, &t, 3, dims, 0, strides);
    inner *= times[d];
  }
  t.shape = shape;
  return import_output_host(im, 0, t);
}

/* ---- Trilu ---- */
static host_tensor triangle(importer *im, const hct_shape *shape, const host_tensor *from, bool upper, int64_t shift) {
  int64_t rows = shape->dims[shape->rank - 2], cols = shape->dims[shape->rank - 1];
  host_tensor t = host_create(im->arena, shape->dtype, shape->rank, shape->dims);
  for (int64_t first = 0, row = 0; cols > 0 && first < hct_shape_elements(shape); first += cols, row = (row + 1) % rows) {
    int64_t edge = row + shift, kept = !upper || edge < 0 ? 0 : edge, end = upper || edge >= cols ? cols : edge + 1; /* columns kept */
    for (int64_t n = first + kept; t.i && n < first + end; n++) t.i[n] = from ? from->i[n] : 1;
    for (int64_t n = first + kept; t.f && n < first + end; n++) t.f[n] = from->f[n];
  }
  return t;
}

hct_status import_trilu(importer *im) {
  import_value *a = import_input(im, 0), *k = import_input(im, 1);
  if (k && (!k->known || !k->host.i || hct_shape_elements(&k->shape) != 1)) return import_refuse(im, HCT_E_UNSUPPORTED, "a diagonal that depends on run-time data, or is not one integer; a constant is supported");
  if (a->shape.rank < 2) return import_refuse(im, HCT_E_ONNX_SHAPE, "a value of rank %zu; at least 2 is needed", a->shape.rank);
  bool upper = import_int(im, "upper", 1) != 0;
  int64_t shift = k ? k->host.i[0] : 0, limit = INT32_MAX;
  shift = shift > limit ? limit : shift < -limit ? -limit : shift;
  if (a->known) return import_output_host(im, 0, triangle(im, &a->shape, &a->host, upper, shift));
  hct_shape one = {.dtype = HCT_BOOL, .rank = 2, .dims = {a->shape.dims[a->shape.rank - 2], a->shape.dims[a->shape.rank - 1]}};
  MlirValue kept = build_known(im, triangle(im, &one, NULL, upper, shift));
  return import_output_value(im, 0, build_select(im, kept, a->value, build_scalar(im, a->shape.dtype, 0)));
}

/* ---- blocks ---- */
static hct_status block_read(importer *im, const import_value *a, int64_t *out_size) {
  *out_size = import_int(im, "blocksize", 0);
  if (a->shape.rank != 4 || *out_size < 1 || *out_size > INT16_MAX) return import_refuse(im, HCT_E_ONNX_SHAPE, "blocksize %lld of a value of rank %zu; a positive one and rank 4 are needed", (long long)*out_size, a->shape.rank);
  return HCT_OK;
}

hct_status import_depth_to_space(importer *im) {
  import_value *a = import_input(im, 0);
  const int64_t *n = a->shape.dims;
  const char *mode = import_string(im, "mode", "DCR");
  int64_t b;
  bool columns = !strcmp(mode, "CRD");
  HCT_TRY(block_read(im, a, &b));
  if (!columns && strcmp(mode, "DCR")) return import_refuse(im, HCT_E_UNSUPPORTED, "mode '%s'; DCR and CRD are supported", mode);
  if (n[1] % (b * b)) return import_refuse(im, HCT_E_ONNX_SHAPE, "%lld channels in blocks of %lld x %lld", (long long)n[1], (long long)b, (long long)b);
  int64_t depth = n[1] / (b * b), deep[] = {n[0], b, b, depth, n[2], n[3]}, wide[] = {n[0], depth, b, b, n[2], n[3]}, made[] = {n[0], depth, n[2] * b, n[3] * b};
  static const int64_t from_deep[] = {0, 3, 4, 1, 5, 2}, from_wide[] = {0, 1, 4, 2, 5, 3};
  MlirValue x = build_transpose(im, build_reshape(im, build_value(im, a), 6, columns ? wide : deep), columns ? from_wide : from_deep);
  return import_output_value(im, 0, build_reshape(im, x, 4, made));
}

hct_status import_space_to_depth(importer *im) {
  import_value *a = import_input(im, 0);
  const int64_t *n = a->shape.dims;
  int64_t b;
  HCT_TRY(block_read(im, a, &b));
  if (n[2] % b || n[3] % b) return import_refuse(im, HCT_E_ONNX_SHAPE, "%lld x %lld in blocks of %lld", (long long)n[2], (long long)n[3], (long long)b);
  int64_t apart[] = {n[0], n[1], n[2] / b, b, n[3] / b, b}, made[] = {n[0], n[1] * b * b, n[2] / b, n[3] / b};
  static const int64_t perm[] = {0, 3, 5, 1, 2, 4};
  return import_output_value(im, 0, build_reshape(im, build_transpose(im, build_reshape(im, build_value(im, a), 6, apart), perm), 4, made));
}

/* ---- what a constant chooses ---- */
hct_status import_compress(importer *im) {
  import_value *a = import_input(im, 0), *condition = import_input(im, 1);
  bool flat = !import_attribute(im, "axis");
  size_t axis = 0, count = 0;
  if (!condition || !condition->known || !condition->host.i || condition->shape.rank != 1) return import_refuse(im, HCT_E_UNSUPPORTED, "a condition that depends on run-time data, or is no vector of bools; a constant is supported: it decides the result's shape");
  if (!flat) HCT_TRY(import_axis(im, import_int(im, "axis", 0), a->shape.rank, &axis));
  int64_t size[] = {flat ? hct_shape_elements(&a->shape) : a->shape.dims[axis]}, given = condition->shape.dims[0], *from = HCT_NEW_ARRAY(im->arena, int64_t, (size_t)given + 1);
  for (int64_t n = 0; n < given; n++) {
    if (condition->host.i[n] && n >= size[0]) return import_refuse(im, HCT_E_ONNX_SHAPE, "it chooses element %lld of %lld", (long long)n, (long long)size[0]);
    if (condition->host.i[n]) from[count++] = n;
  }
  if (!count) return import_refuse(im, HCT_E_UNSUPPORTED, "a condition that chooses nothing");
  MlirValue x = build_value(im, a);
  return import_output_value(im, 0, build_take(im, flat ? build_reshape(im, x, 1, size) : x, axis, count, from));
}

hct_status import_non_zero(importer *im) {
  import_value *a = import_input(im, 0);
  if (!a->known) return import_refuse(im, HCT_E_UNSUPPORTED, "a run-time value, which would decide the result's shape; a constant is supported");
  int64_t elements = hct_shape_elements(&a->shape), dims[] = {a->shape.rank ? (int64_t)a->shape.rank : 1, 0}, column = 0;
  for (int64_t n = 0; n < elements; n++) dims[1] += host_get(&a->host, n) != 0;
  host_tensor t = host_create(im->arena, HCT_I64, 2, dims);
  for (int64_t n = 0; n < elements; n++) {
    if (host_get(&a->host, n) == 0) continue;
    int64_t rest = n;
    for (size_t d = a->shape.rank; d-- > 0; rest /= a->shape.dims[d]) t.i[(int64_t)d * dims[1] + column] = rest % a->shape.dims[d];
    column++;
  }
  return import_output_host(im, 0, t);
}
