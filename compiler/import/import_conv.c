/* Convolutions and pools over [batch, channels, spatial...]. A convolution takes, dimension by dimension, the slices that each tap of the
 * kernel meets, beside each other among the channels, and is then one contraction; where taps do not overlap, a reshape does that. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

enum { MAX_SPATIAL = 3 };

typedef struct window { /* by spatial dimension, elements */
  size_t rank;
  int64_t size[MAX_SPATIAL], stride[MAX_SPATIAL], dilation[MAX_SPATIAL], low[MAX_SPATIAL], high[MAX_SPATIAL], out[MAX_SPATIAL];
} window;

static hct_status window_ints(importer *im, const char *name, size_t count, int64_t fallback, int64_t least, int64_t *out_values) {
  size_t given = count;
  for (size_t i = 0; i < count; i++) out_values[i] = fallback;
  const Onnx__AttributeProto *a = import_attribute(im, name);
  if (!a || !a->n_ints) return HCT_OK;
  if (!import_ints(im, name, SIZE_MAX, out_values, count, &given) || given != count) return import_refuse(im, HCT_E_ONNX_INVALID, "%s has %zu entries, and needs %zu", name, a->n_ints, count);
  for (size_t i = 0; i < count; i++)
    if (out_values[i] < least || out_values[i] > INT32_MAX) return import_refuse(im, HCT_E_ONNX_INVALID, "%s of %lld; at least %lld is needed", name, (long long)out_values[i], (long long)least);
  return HCT_OK;
}

static int64_t reach(const window *w, size_t d) { return (w->size[d] - 1) * w->dilation[d] + 1; }

/* Attributes other than kernel_shape, which `size` has; pads as given, not those that auto_pad derives. */
static hct_status window_read(importer *im, size_t rank, const int64_t *size, window *out_window) {
  int64_t pads[2 * MAX_SPATIAL];
  window w = {.rank = rank};
  HCT_TRY(window_ints(im, "strides", rank, 1, 1, w.stride));
  HCT_TRY(window_ints(im, "dilations", rank, 1, 1, w.dilation));
  HCT_TRY(window_ints(im, "pads", 2 * rank, 0, 0, pads));
  for (size_t d = 0; d < rank; d++) w.size[d] = size[d], w.low[d] = pads[d], w.high[d] = pads[rank + d];
  *out_window = w;
  return HCT_OK;
}

/* Pads of auto_pad, and the sizes of the result, of an input of `dims`. */
static hct_status window_fit(importer *im, const int64_t *dims, window *w) {
  const char *automatic = import_string(im, "auto_pad", "NOTSET");
  bool same = !strncmp(automatic, "SAME_", 5), lower = !strcmp(automatic, "SAME_LOWER"), up = import_int(im, "ceil_mode", 0) != 0;
  if (strcmp(automatic, "NOTSET") && strcmp(automatic, "VALID") && strcmp(automatic, "SAME_UPPER") && !lower) return import_refuse(im, HCT_E_ONNX_INVALID, "auto_pad '%s'; NOTSET, VALID, SAME_UPPER and SAME_LOWER are there", automatic);
  for (size_t d = 0; d < w->rank; d++) {
    if (!strcmp(automatic, "VALID")) w->low[d] = w->high[d] = 0;
    if (same) {
      w->out[d] = (dims[d] + w->stride[d] - 1) / w->stride[d];
      int64_t pad = (w->out[d] - 1) * w->stride[d] + reach(w, d) - dims[d];
      if (pad < 0) pad = 0;
      w->low[d] = (pad + lower) / 2, w->high[d] = pad - w->low[d];
      continue;
    }
    int64_t left = dims[d] + w->low[d] + w->high[d] - reach(w, d);
    if (left < 0) return import_refuse(im, HCT_E_ONNX_SHAPE, "a kernel that reaches over %lld elements of the %lld that there are with pads", (long long)reach(w, d), (long long)(left + reach(w, d)));
    w->out[d] = (left + (up ? w->stride[d] - 1 : 0)) / w->stride[d] + 1;
    if (up && (w->out[d] - 1) * w->stride[d] >= dims[d] + w->low[d]) w->out[d]--; /* a window that begins in the pad after the input is none */
  }
  return HCT_OK;
}

/* With pads of `value`, and what the last windows need beyond. */
static MlirValue padded(importer *im, MlirValue x, const window *w, double value) {
  hct_shape shape = shape_of(x);
  int64_t low[HCT_MAX_RANK] = {0};
  for (size_t d = 0; d < w->rank; d++) {
    int64_t needed = (w->out[d] - 1) * w->stride[d] + reach(w, d), there = shape.dims[2 + d] + w->low[d];
    low[2 + d] = w->low[d];
    shape.dims[2 + d] = needed > there ? needed : there;
  }
  return build_pad(im, x, low, shape.dims, value);
}

/* Every element that tap `tap` of spatial dimension d meets. */
static MlirValue tap_slice(importer *im, MlirValue x, const window *w, size_t d, int64_t tap) { return build_part(im, x, 2 + d, tap * w->dilation[d], w->stride[d], w->out[d]); }

/* [batch, channels, ..., in, ...] -> [batch, channels * taps, ..., out, ...] */
static MlirValue unfolded(importer *im, MlirValue x, const window *w, size_t d) {
  hct_shape shape = shape_of(x), apart = shape, joined = shape;
  int64_t taps = w->size[d];
  joined.dims[1] *= taps, joined.dims[2 + d] = w->out[d];
  if (taps == 1) return tap_slice(im, x, w, d, 0);
  memmove(apart.dims + 3, apart.dims + 2, (apart.rank - 2) * sizeof *apart.dims);
  apart.dims[2] = 1, apart.dims[3 + d] = w->out[d];
  MlirValue *parts = HCT_NEW_ARRAY(im->arena, MlirValue, (size_t)taps);
  for (int64_t tap = 0; tap < taps; tap++) parts[tap] = build_reshape(im, tap_slice(im, x, w, d, tap), apart.rank + 1, apart.dims);
  return build_reshape(im, build_concat(im, 2, (size_t)taps, parts), joined.rank, joined.dims);
}

static bool taps_apart(const window *w) {
  bool apart = true;
  for (size_t d = 0; d < w->rank; d++) apart = apart && w->stride[d] == w->size[d] && w->dilation[d] == 1;
  return apart;
}

/* Of taps that do not overlap, and one group: [batch, channels, out, taps, ...] is a reshape, and all of it one contraction. */
static MlirValue patches_convolved(importer *im, MlirValue x, MlirValue kernel, const window *w) {
  hct_shape shape = shape_of(x);
  int64_t split[HCT_MAX_RANK] = {shape.dims[0], shape.dims[1]};
  char in[HCT_MAX_RANK + 1] = "bc", taps[HCT_MAX_RANK + 1] = "mc", out[HCT_MAX_RANK + 1] = "bm";
  for (size_t d = 0; d < w->rank; d++) {
    x = build_part(im, x, 2 + d, 0, 1, w->out[d] * w->size[d]);
    split[2 + 2 * d] = w->out[d], split[3 + 2 * d] = w->size[d];
    in[2 + 2 * d] = out[2 + d] = (char)('x' + d), in[3 + 2 * d] = taps[2 + d] = (char)('t' + d);
  }
  return build_contract(im, in, taps, out, build_reshape(im, x, 2 + 2 * w->rank, split), kernel);
}

/* x [batch, channels, in...], kernel [maps, channels / groups, taps...] -> [batch, maps, out...] */
static MlirValue convolved(importer *im, MlirValue x, MlirValue kernel, const window *w, int64_t groups) {
  static const char letters[] = "xyz";
  hct_shape ks = shape_of(kernel);
  x = padded(im, x, w, 0);
  if (groups == 1 && taps_apart(w)) return patches_convolved(im, x, kernel, w);
  for (size_t d = 0; d < w->rank; d++) x = unfolded(im, x, w, d);
  hct_shape xs = shape_of(x);
  int64_t grouped[HCT_MAX_RANK] = {xs.dims[0], groups, xs.dims[1] / groups}, rows[] = {groups, ks.dims[0] / groups, xs.dims[1] / groups}, result[HCT_MAX_RANK] = {xs.dims[0], ks.dims[0]};
  for (size_t d = 0; d < w->rank; d++) grouped[3 + d] = result[2 + d] = w->out[d];
  char in[HCT_MAX_RANK + 1], out[HCT_MAX_RANK + 1];
  bool one = groups == 1;
  snprintf(in, sizeof in, "%s%.*s", one ? "bc" : "bgc", (int)w->rank, letters);
  snprintf(out, sizeof out, "%s%.*s", one ? "bm" : "bgm", (int)w->rank, letters);
  if (!one) x = build_reshape(im, x, 3 + w->rank, grouped);
  kernel = one ? build_reshape(im, kernel, 2, rows + 1) : build_reshape(im, kernel, 3, rows);
  return build_reshape(im, build_contract(im, in, one ? "mc" : "gmc", out, x, kernel), 2 + w->rank, result);
}

static hct_status spatial_rank(importer *im, const import_value *x, size_t *out_rank) {
  if (x->shape.rank < 3 || x->shape.rank > 2 + MAX_SPATIAL) return import_refuse(im, HCT_E_UNSUPPORTED, "an input of rank %zu; a batch, channels and 1 to %d more are supported", x->shape.rank, MAX_SPATIAL);
  *out_rank = x->shape.rank - 2;
  return HCT_OK;
}

/* The kernel's sizes; kernel_shape, where it is given, says the same. */
static hct_status kernel_read(importer *im, const import_value *x, const import_value *kernel, size_t *out_rank, const int64_t **out_size, int64_t *out_groups) {
  HCT_TRY(spatial_rank(im, x, out_rank));
  if (!kernel || kernel->shape.rank != x->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "a kernel of rank %zu for an input of rank %zu", kernel ? kernel->shape.rank : 0, x->shape.rank);
  int64_t said[MAX_SPATIAL];
  HCT_TRY(window_ints(im, "kernel_shape", *out_rank, 0, 1, said));
  for (size_t d = 0; d < *out_rank; d++)
    if (said[d] && said[d] != kernel->shape.dims[2 + d]) return import_refuse(im, HCT_E_ONNX_SHAPE, "kernel_shape says %lld where the kernel has %lld", (long long)said[d], (long long)kernel->shape.dims[2 + d]);
  *out_size = kernel->shape.dims + 2;
  *out_groups = import_int(im, "group", 1);
  if (*out_groups < 1 || x->shape.dims[1] % *out_groups) return import_refuse(im, HCT_E_ONNX_SHAPE, "%lld groups of %lld channels", (long long)*out_groups, (long long)x->shape.dims[1]);
  return HCT_OK;
}

static hct_status bias_added(importer *im, MlirValue *y, import_value *bias) {
  hct_shape shape = shape_of(*y);
  if (bias->shape.rank != 1 || bias->shape.dims[0] != shape.dims[1]) return import_refuse(im, HCT_E_ONNX_SHAPE, "the bias is no vector of %lld elements", (long long)shape.dims[1]);
  *y = build_map2(im, "add", *y, build_along(im, build_value(im, bias), 1, shape.rank));
  return HCT_OK;
}

static hct_status with_bias(importer *im, MlirValue y, import_value *bias) {
  if (bias) HCT_TRY(bias_added(im, &y, bias));
  return import_output_value(im, 0, y);
}

hct_status import_conv(importer *im) {
  HCT_TRY(import_floats(im, 3));
  import_value *x = import_input(im, 0), *kernel = import_input(im, 1);
  const int64_t *size = NULL;
  size_t rank = 0;
  int64_t groups = 1;
  window w;
  HCT_TRY(kernel_read(im, x, kernel, &rank, &size, &groups));
  if (kernel->shape.dims[1] * groups != x->shape.dims[1] || kernel->shape.dims[0] % groups) return import_refuse(im, HCT_E_ONNX_SHAPE, "a kernel of %lld maps by %lld channels for %lld channels in %lld groups", (long long)kernel->shape.dims[0], (long long)kernel->shape.dims[1], (long long)x->shape.dims[1], (long long)groups);
  HCT_TRY(window_read(im, rank, size, &w));
  HCT_TRY(window_fit(im, x->shape.dims + 2, &w));
  MlirValue weights = build_value(im, kernel);
  return with_bias(im, convolved(im, build_value(im, x), weights, &w, groups), import_input(im, 2));
}

/* ---- transposed convolution: a convolution over x with zeros between its elements, by the mirrored kernel ---- */
static MlirValue spread_out(importer *im, MlirValue x, size_t d, int64_t stride) {
  hct_shape shape = shape_of(x), apart = shape;
  int64_t low[HCT_MAX_RANK] = {0}, size = shape.dims[d];
  if (stride == 1 || size == 1) return x;
  memmove(apart.dims + d + 2, apart.dims + d + 1, (shape.rank - d - 1) * sizeof *apart.dims);
  apart.dims[d + 1] = 1;
  x = build_reshape(im, x, shape.rank + 1, apart.dims);
  apart.dims[d + 1] = stride, shape.dims[d] = size * stride;
  x = build_reshape(im, build_pad(im, x, low, apart.dims, 0), shape.rank, shape.dims);
  return build_part(im, x, d, 0, 1, (size - 1) * stride + 1);
}

/* [channels, maps / groups, taps...] -> [maps, channels / groups, mirrored taps...] */
static MlirValue kernel_turned(importer *im, MlirValue kernel, int64_t groups) {
  hct_shape shape = shape_of(kernel);
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK], apart[HCT_MAX_RANK] = {groups, shape.dims[0] / groups}, perm[HCT_MAX_RANK] = {0, 2, 1}, joined[HCT_MAX_RANK] = {shape.dims[1] * groups, shape.dims[0] / groups};
  for (size_t d = 0; d < shape.rank; d++) {
    steps[d] = d < 2 ? 1 : -1, starts[d] = d < 2 ? 0 : shape.dims[d] - 1;
    if (d >= 1) apart[d + 1] = shape.dims[d];
    if (d >= 2) perm[d + 1] = (int64_t)d + 1, joined[d] = shape.dims[d];
  }
  kernel = build_reshape(im, build_slice(im, kernel, starts, steps, shape.dims), shape.rank + 1, apart);
  return build_reshape(im, build_transpose(im, kernel, perm), shape.rank, joined);
}

/* Pads of the result, which the convolution leaves away; `extra`: elements that it has beyond. */
static hct_status transposed_fit(importer *im, const int64_t *dims, window *w, int64_t *extra) {
  const char *automatic = import_string(im, "auto_pad", "NOTSET");
  bool same = !strncmp(automatic, "SAME_", 5), sized = import_attribute(im, "output_shape") != NULL;
  int64_t wanted[MAX_SPATIAL];
  HCT_TRY(window_ints(im, "output_padding", w->rank, 0, 0, extra));
  HCT_TRY(window_ints(im, "output_shape", w->rank, 0, 1, wanted));
  for (size_t d = 0; d < w->rank; d++) {
    int64_t full = (dims[d] - 1) * w->stride[d] + reach(w, d) + extra[d];
    if (same && !sized) wanted[d] = dims[d] * w->stride[d];
    if (same || sized) {
      int64_t pad = full - wanted[d];
      if (pad < 0) extra[d] -= pad, pad = 0;
      w->low[d] = !strcmp(automatic, "SAME_UPPER") ? pad / 2 : pad - pad / 2;
      w->high[d] = pad - w->low[d];
      full = (dims[d] - 1) * w->stride[d] + reach(w, d) + extra[d];
    }
    if (!strcmp(automatic, "VALID")) w->low[d] = w->high[d] = 0;
    w->out[d] = full - w->low[d] - w->high[d];
    if (w->out[d] < 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "pads leave nothing of the %lld elements", (long long)full);
  }
  return HCT_OK;
}

hct_status import_conv_transpose(importer *im) {
  HCT_TRY(import_floats(im, 3));
  import_value *x = import_input(im, 0), *kernel = import_input(im, 1);
  const int64_t *size = NULL;
  size_t rank = 0;
  int64_t groups = 1, extra[MAX_SPATIAL];
  window w;
  HCT_TRY(kernel_read(im, x, kernel, &rank, &size, &groups));
  if (kernel->shape.dims[0] != x->shape.dims[1]) return import_refuse(im, HCT_E_ONNX_SHAPE, "a kernel of %lld channels for %lld", (long long)kernel->shape.dims[0], (long long)x->shape.dims[1]);
  HCT_TRY(window_read(im, rank, size, &w));
  HCT_TRY(transposed_fit(im, x->shape.dims + 2, &w, extra));
  MlirValue spread = build_value(im, x);
  for (size_t d = 0; d < rank; d++) spread = spread_out(im, spread, 2 + d, w.stride[d]);
  window whole = w; /* every place that a tap of the mirrored kernel meets the input, and what is left away after it */
  hct_shape shape = shape_of(spread);
  for (size_t d = 0; d < rank; d++) {
    whole.stride[d] = 1;
    whole.low[d] = reach(&w, d) - 1;
    whole.out[d] = shape.dims[2 + d] + reach(&w, d) - 1 + extra[d];
  }
  MlirValue y = convolved(im, spread, kernel_turned(im, build_value(im, kernel), groups), &whole, groups);
  for (size_t d = 0; d < rank; d++) y = build_part(im, y, 2 + d, w.low[d], 1, w.out[d]);
  return with_bias(im, y, import_input(im, 2));
}

/* ---- pools ---- */
static MlirValue pooled(importer *im, MlirValue x, const window *w, const char *fn) {
  for (size_t d = 0; d < w->rank; d++) {
    MlirValue all = tap_slice(im, x, w, d, 0);
    for (int64_t tap = 1; tap < w->size[d]; tap++) all = build_map2(im, fn, all, tap_slice(im, x, w, d, tap));
    x = all;
  }
  return x;
}

/* 1 / how many elements each window averages: those of the input, or of it and its pads. */
static host_tensor shares(importer *im, const window *w, const int64_t *dims, bool with_pads) {
  host_tensor t = host_create(im->arena, HCT_F32, w->rank, w->out);
  for (int64_t n = 0; n < hct_shape_elements(&t.shape); n++) {
    int64_t rest = n;
    double count = 1;
    for (size_t d = w->rank; d-- > 0;) {
      int64_t start = rest % w->out[d] * w->stride[d] - w->low[d], taps = 0;
      rest /= w->out[d];
      for (int64_t tap = 0; tap < w->size[d]; tap++) {
        int64_t at = start + tap * w->dilation[d];
        taps += with_pads ? at < dims[d] + w->high[d] : at >= 0 && at < dims[d];
      }
      count *= (double)taps;
    }
    host_set(&t, n, 1 / count);
  }
  return t;
}

static double lowest(hct_dtype dtype) {
  uint8_t bytes[8];
  if (hct_dtype_is_float(dtype)) return -INFINITY;
  hct_element_set(dtype, bytes, -ldexp(1, (int)hct_dtype_bytes(dtype) * 8 - 1));
  double smallest = hct_element_get(dtype, bytes);
  return smallest > 0 ? 0 : smallest;
}

hct_status import_pool(importer *im) {
  import_value *x = import_input(im, 0);
  bool average = !strcmp(im->node->op_type, "AveragePool");
  if (average) HCT_TRY(import_floats(im, 1));
  size_t rank = 0;
  int64_t size[MAX_SPATIAL];
  window w;
  HCT_TRY(spatial_rank(im, x, &rank));
  if (im->node->n_output > 1 && im->node->output[1][0]) return import_refuse(im, HCT_E_UNSUPPORTED, "the output of indices");
  if (!import_attribute(im, "kernel_shape")) return import_refuse(im, HCT_E_ONNX_INVALID, "kernel_shape is missing");
  HCT_TRY(window_ints(im, "kernel_shape", rank, 1, 1, size));
  HCT_TRY(window_read(im, rank, size, &w));
  HCT_TRY(window_fit(im, x->shape.dims + 2, &w));
  MlirValue y = build_value(im, x);
  hct_dtype dtype = shape_of(y).dtype;
  if (!average) return import_output_value(im, 0, pooled(im, padded(im, y, &w, lowest(dtype)), &w, "max"));
  y = pooled(im, padded(im, build_cast(im, y, HCT_F32), &w, 0), &w, "add");
  y = build_map2(im, "mul", y, build_known(im, shares(im, &w, x->shape.dims + 2, import_int(im, "count_include_pad", 0) != 0)));
  return import_output_value(im, 0, build_cast(im, y, dtype));
}

hct_status import_global_pool(importer *im) {
  HCT_TRY(import_floats(im, 1));
  import_value *x = import_input(im, 0);
  int64_t axes[HCT_MAX_RANK];
  if (x->shape.rank < 3) return import_refuse(im, HCT_E_ONNX_SHAPE, "an input of rank %zu; it needs a batch, channels and what is pooled", x->shape.rank);
  for (size_t d = 2; d < x->shape.rank; d++) axes[d - 2] = (int64_t)d;
  MlirValue y = build_value(im, x);
  size_t count = x->shape.rank - 2;
  return import_output_value(im, 0, !strcmp(im->node->op_type, "GlobalMaxPool") ? build_reduce(im, "max", y, count, axes) : build_mean(im, y, count, axes));
}

/* ---- causal convolution: each channel by itself, over what came before and is kept ---- */
hct_status import_causal_conv(importer *im) {
  HCT_TRY(import_floats(im, 4));
  import_value *x = import_input(im, 0), *kernel = import_input(im, 1), *past = import_input(im, 3);
  const char *activation = import_string(im, "activation", "none");
  bool silu = !strcmp(activation, "silu") || !strcmp(activation, "swish");
  if (!silu && strcmp(activation, "none")) return import_refuse(im, HCT_E_UNSUPPORTED, "activation '%s'; none, silu and swish are supported", activation);
  if (x->shape.rank != 3 || !kernel || kernel->shape.rank != 3 || kernel->shape.dims[0] != x->shape.dims[1] || kernel->shape.dims[1] != 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "an input that is no [batch, channels, length], or a kernel that is no [channels, 1, taps]");
  int64_t channels = x->shape.dims[1], before = kernel->shape.dims[2] - 1, low[3] = {0, 0, before}, dims[3] = {x->shape.dims[0], channels, x->shape.dims[2] + before};
  if (past && (past->shape.rank != 3 || past->shape.dims[0] != dims[0] || past->shape.dims[1] != channels || past->shape.dims[2] != before)) return import_refuse(im, HCT_E_ONNX_SHAPE, "a past state that is no [%lld, %lld, %lld]", (long long)dims[0], (long long)channels, (long long)before);
  MlirValue parts[2] = {{0}, build_value(im, x)};
  if (past) parts[0] = build_value(im, past);
  MlirValue whole = past && before ? build_concat(im, 2, 2, parts) : build_pad(im, parts[1], low, dims, 0);
  window w = {.rank = 1, .size = {before + 1}, .stride = {1}, .dilation = {1}, .out = {x->shape.dims[2]}};
  MlirValue y = convolved(im, whole, build_value(im, kernel), &w, channels);
  if (import_input(im, 2)) HCT_TRY(bias_added(im, &y, import_input(im, 2)));
  if (silu) y = build_map2(im, "mul", y, build_map1(im, "sigmoid", y, shape_of(y).dtype));
  if (before) HCT_TRY(import_output_value(im, 1, build_part(im, whole, 2, x->shape.dims[2], 1, before)));
  else if (im->node->n_output > 1 && im->node->output[1][0]) return import_refuse(im, HCT_E_UNSUPPORTED, "a state of no elements, of a kernel of one tap");
  return import_output_value(im, 0, y);
}
