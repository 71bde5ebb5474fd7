/* Softmax and normalisations. Statistics of 16-bit types are computed and kept in f32, as stash_type asks for. */
#include <string.h>

#include "compiler/import/import_internal.h"

/* ---- softmax ---- */
/* Opsets before 13 take all dimensions from `axis` on together. */
static MlirValue softmax_operand(importer *im, import_value *a, size_t *axis) {
  MlirValue x = build_value(im, a);
  if (im->opset >= 13 || *axis + 1 == a->shape.rank) return x;
  int64_t dims[2] = {1, 1};
  for (size_t d = 0; d < a->shape.rank; d++) dims[d < *axis ? 0 : 1] *= a->shape.dims[d];
  *axis = 1;
  return build_reshape(im, x, 2, dims);
}

hct_status import_softmax(importer *im) {
  HCT_TRY(import_floats(im, 1));
  import_value *a = import_input(im, 0);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", im->opset >= 13 ? -1 : 1), a->shape.rank, &axis));
  MlirValue x = softmax_operand(im, a, &axis);
  return import_output_value(im, 0, build_reshape(im, build_softmax(im, x, axis), a->shape.rank, a->shape.dims));
}

MlirValue build_log_softmax(importer *im, MlirValue x, size_t axis) {
  int64_t axes[] = {(int64_t)axis};
  MlirValue shifted = build_map2(im, "sub", x, build_reduce(im, "max", x, 1, axes));
  MlirValue sum = build_reduce(im, "sum", build_map1(im, "exp", shifted, HCT_F32), 1, axes);
  return build_map2(im, "sub", shifted, build_map1(im, "log", sum, HCT_F32));
}

hct_status import_log_softmax(importer *im) {
  HCT_TRY(import_floats(im, 1));
  import_value *a = import_input(im, 0);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", im->opset >= 13 ? -1 : 1), a->shape.rank, &axis));
  MlirValue x = softmax_operand(im, a, &axis);
  return import_output_value(im, 0, build_reshape(im, build_log_softmax(im, x, axis), a->shape.rank, a->shape.dims));
}

/* ---- normalisations ---- */
typedef struct moments {
  MlirValue mean, centred, variance; /* f32; mean and variance with size 1 along the axes */
} moments;

static moments moments_build(importer *im, MlirValue x, size_t count, const int64_t *axes) {
  moments m;
  m.mean = build_mean(im, x, count, axes);
  m.centred = build_map2(im, "sub", x, m.mean);
  m.variance = build_mean(im, build_map2(im, "mul", m.centred, m.centred), count, axes);
  return m;
}

static MlirValue deviation_build(importer *im, MlirValue variance, double epsilon) { return build_map1(im, "sqrt", build_scaled(im, "adds", variance, epsilon), HCT_F32); }

/* y * gain + bias, where an absent one is left out; gain and bias have `rank` dimensions at most, and one that is a vector lies along `axis`. */
static MlirValue affine_build(importer *im, MlirValue y, MlirValue gain, MlirValue bias) {
  y = mlirValueIsNull(gain) ? y : build_map2(im, "mul", y, gain);
  return mlirValueIsNull(bias) ? y : build_map2(im, "add", y, bias);
}

static MlirValue optional_value(importer *im, import_value *value) { return value ? build_value(im, value) : (MlirValue){0}; }

/* Statistics over all dimensions from `axis` on, in f32; their type may also be asked for, and no other is. */
static hct_status trailing_axes(importer *im, const hct_shape *shape, int64_t *axes, size_t *out_count) {
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", -1), shape->rank, &axis));
  if (import_int(im, "stash_type", 1) != 1) return import_refuse(im, HCT_E_UNSUPPORTED, "stash_type %lld; 1 (f32) is supported", (long long)import_int(im, "stash_type", 1));
  *out_count = 0;
  for (size_t d = axis; d < shape->rank; d++) axes[(*out_count)++] = (int64_t)d;
  return HCT_OK;
}

static hct_status check_broadcasts(importer *im, const char *what, const import_value *value, const hct_shape *to) {
  hct_shape with;
  if (value && (!broadcast_shape(to, &value->shape, &with) || with.rank != to->rank || memcmp(with.dims, to->dims, to->rank * sizeof *to->dims))) return import_refuse(im, HCT_E_ONNX_SHAPE, "%s does not broadcast to the shape of its input", what);
  return HCT_OK;
}

hct_status import_layer_norm(importer *im) {
  HCT_TRY(import_floats(im, 3));
  import_value *a = import_input(im, 0), *gain = import_input(im, 1), *bias = import_input(im, 2);
  int64_t axes[HCT_MAX_RANK];
  size_t count;
  HCT_TRY(trailing_axes(im, &a->shape, axes, &count));
  HCT_TRY(check_broadcasts(im, "the scale", gain, &a->shape));
  HCT_TRY(check_broadcasts(im, "the bias", bias, &a->shape));
  MlirValue given = build_value(im, a);
  moments m = moments_build(im, build_cast(im, given, HCT_F32), count, axes);
  MlirValue deviation = deviation_build(im, m.variance, (double)import_float(im, "epsilon", 1e-5f));
  MlirValue y = build_cast(im, build_map2(im, "div", m.centred, deviation), shape_of(given).dtype);
  if (im->node->n_output > 1) {
    HCT_TRY(import_output_value(im, 1, m.mean));
    HCT_TRY(import_output_value(im, 2, build_map1(im, "reciprocal", deviation, HCT_F32)));
  }
  MlirValue added = optional_value(im, bias);
  return import_output_value(im, 0, affine_build(im, y, optional_value(im, gain), added));
}

hct_status import_rms_norm(importer *im) {
  HCT_TRY(import_floats(im, 2));
  import_value *a = import_input(im, 0), *gain = import_input(im, 1);
  int64_t axes[HCT_MAX_RANK];
  size_t count;
  HCT_TRY(trailing_axes(im, &a->shape, axes, &count));
  HCT_TRY(check_broadcasts(im, "the scale", gain, &a->shape));
  MlirValue given = build_value(im, a), x = build_cast(im, given, HCT_F32);
  MlirValue deviation = deviation_build(im, build_mean(im, build_map2(im, "mul", x, x), count, axes), (double)import_float(im, "epsilon", 1e-5f));
  MlirValue y = build_cast(im, build_map2(im, "div", x, deviation), shape_of(given).dtype);
  return import_output_value(im, 0, affine_build(im, y, optional_value(im, gain), (MlirValue){0}));
}

/* Where the norm is 0, so are all elements, and 0 is what they stay. */
hct_status import_lp_norm(importer *im) {
  HCT_TRY(import_floats(im, 1));
  import_value *a = import_input(im, 0);
  size_t axis;
  int64_t p = import_int(im, "p", 2);
  HCT_TRY(import_axis(im, import_int(im, "axis", -1), a->shape.rank, &axis));
  if (p != 1 && p != 2) return import_refuse(im, HCT_E_UNSUPPORTED, "p of %lld; 1 and 2 are supported", (long long)p);
  int64_t axes[] = {(int64_t)axis};
  MlirValue given = build_value(im, a), x = build_cast(im, given, HCT_F32);
  MlirValue norm = build_reduce(im, "sum", p == 1 ? build_map1(im, "abs", x, HCT_F32) : build_map2(im, "mul", x, x), 1, axes);
  if (p == 2) norm = build_map1(im, "sqrt", norm, HCT_F32);
  MlirValue one = build_scalar(im, HCT_F32, 1), divisor = build_select(im, build_map2(im, "eq", norm, build_scalar(im, HCT_F32, 0)), one, norm);
  return import_output_value(im, 0, build_cast(im, build_map2(im, "div", x, divisor), shape_of(given).dtype));
}

hct_status import_mean_variance_norm(importer *im) {
  HCT_TRY(import_floats(im, 1));
  import_value *a = import_input(im, 0);
  int64_t axes[HCT_MAX_RANK] = {0, 2, 3};
  size_t count = 3, axis;
  if (import_attribute(im, "axes") && !import_ints(im, "axes", SIZE_MAX, axes, HCT_MAX_RANK, &count)) return import_refuse(im, HCT_E_ONNX_SHAPE, "more than %d axes", HCT_MAX_RANK);
  for (size_t i = 0; i < count; i++) {
    HCT_TRY(import_axis(im, axes[i], a->shape.rank, &axis));
    axes[i] = (int64_t)axis;
  }
  MlirValue given = build_value(im, a);
  moments m = moments_build(im, build_cast(im, given, HCT_F32), count, axes);
  MlirValue deviation = build_scaled(im, "adds", build_map1(im, "sqrt", m.variance, HCT_F32), 1e-9); /* the constant of the operator's definition */
  return import_output_value(im, 0, build_cast(im, build_map2(im, "div", m.centred, deviation), shape_of(given).dtype));
}

/* ---- normalisations of images: [batch, channels, ...] ---- */
static hct_status check_channels(importer *im, const import_value *a, size_t first, size_t count, int64_t size) {
  static const char *const names[] = {"input", "scale", "bias", "mean", "variance"};
  if (a->shape.rank < 2) return import_refuse(im, HCT_E_ONNX_SHAPE, "an input of rank %zu; it needs a batch and channels", a->shape.rank);
  for (size_t k = first; k < first + count; k++) {
    const import_value *value = import_input(im, k);
    if (!value || value->shape.rank != 1 || value->shape.dims[0] != size) return import_refuse(im, HCT_E_ONNX_SHAPE, "the %s is no vector of %lld elements", names[k], (long long)size);
  }
  return HCT_OK;
}

static size_t axes_from(size_t first, size_t rank, int64_t *axes) {
  for (size_t d = first; d < rank; d++) axes[d - first] = (int64_t)d;
  return rank - first;
}

hct_status import_instance_norm(importer *im) {
  HCT_TRY(import_floats(im, 3));
  import_value *a = import_input(im, 0);
  int64_t axes[HCT_MAX_RANK];
  HCT_TRY(check_channels(im, a, 1, 2, a->shape.rank > 1 ? a->shape.dims[1] : 0));
  if (a->shape.rank < 3) return import_refuse(im, HCT_E_ONNX_SHAPE, "an input of rank %zu; it needs a batch, channels and what they are normalised over", a->shape.rank);
  MlirValue given = build_value(im, a);
  moments m = moments_build(im, build_cast(im, given, HCT_F32), axes_from(2, a->shape.rank, axes), axes);
  MlirValue y = build_cast(im, build_map2(im, "div", m.centred, deviation_build(im, m.variance, (double)import_float(im, "epsilon", 1e-5f))), shape_of(given).dtype);
  MlirValue bias = build_along(im, build_value(im, import_input(im, 2)), 1, a->shape.rank);
  return import_output_value(im, 0, affine_build(im, y, build_along(im, build_value(im, import_input(im, 1)), 1, a->shape.rank), bias));
}

/* Scale and bias: one a group before opset 21, one a channel from then on. */
hct_status import_group_norm(importer *im) {
  HCT_TRY(import_floats(im, 3));
  import_value *a = import_input(im, 0);
  int64_t groups = import_int(im, "num_groups", 0), channels = a->shape.rank > 1 ? a->shape.dims[1] : 0, axes[] = {2}, dims[3] = {0, groups, 1};
  if (groups < 1 || channels % groups) return import_refuse(im, HCT_E_ONNX_SHAPE, "%lld groups of %lld channels", (long long)groups, (long long)channels);
  HCT_TRY(check_channels(im, a, 1, 2, im->opset < 21 ? groups : channels));
  if (import_int(im, "stash_type", 1) != 1) return import_refuse(im, HCT_E_UNSUPPORTED, "stash_type %lld; 1 (f32) is supported", (long long)import_int(im, "stash_type", 1));
  dims[0] = a->shape.dims[0], dims[2] = channels / groups;
  for (size_t d = 2; d < a->shape.rank; d++) dims[2] *= a->shape.dims[d];
  MlirValue given = build_value(im, a), gain = build_value(im, import_input(im, 1)), bias = build_value(im, import_input(im, 2));
  moments m = moments_build(im, build_reshape(im, build_cast(im, given, HCT_F32), 3, dims), 1, axes);
  MlirValue y = build_cast(im, build_map2(im, "div", m.centred, deviation_build(im, m.variance, (double)import_float(im, "epsilon", 1e-5f))), shape_of(given).dtype);
  size_t rank = im->opset < 21 ? 3 : a->shape.rank;
  if (im->opset >= 21) y = build_reshape(im, y, rank, a->shape.dims);
  bias = build_along(im, bias, 1, rank);
  y = affine_build(im, y, build_along(im, gain, 1, rank), bias);
  return import_output_value(im, 0, build_reshape(im, y, a->shape.rank, a->shape.dims));
}

static MlirValue moving_average(importer *im, MlirValue running, MlirValue current, double momentum) {
  hct_shape shape = shape_of(running);
  MlirValue now = build_reshape(im, current, shape.rank, shape.dims);
  now = build_scaled(im, "muls", now, 1 - momentum);
  return build_cast(im, build_map2(im, "add", build_scaled(im, "muls", running, momentum), now), shape.dtype);
}

hct_status import_batch_norm(importer *im) {
  HCT_TRY(import_floats(im, 5));
  import_value *a = import_input(im, 0);
  HCT_TRY(check_channels(im, a, 1, 4, a->shape.rank > 1 ? a->shape.dims[1] : 0));
  size_t rank = a->shape.rank, count = 0;
  bool training = import_int(im, "training_mode", 0) != 0;
  if (!training && im->node->n_output > 1) return import_refuse(im, HCT_E_UNSUPPORTED, "outputs beside the first without training_mode");
  MlirValue given = build_value(im, a), x = build_cast(im, given, HCT_F32), vectors[5], columns[5];
  for (size_t k = 1; k < 5; k++) {
    vectors[k] = build_value(im, import_input(im, k));
    columns[k] = build_along(im, vectors[k], 1, rank);
  }
  moments m = {.mean = columns[3], .centred = build_map2(im, "sub", x, columns[3]), .variance = columns[4]};
  if (training) {
    int64_t axes[HCT_MAX_RANK];
    for (size_t d = 0; d < rank; d++)
      if (d != 1) axes[count++] = (int64_t)d;
    double momentum = (double)import_float(im, "momentum", 0.9f);
    m = moments_build(im, x, count, axes);
    HCT_TRY(import_output_value(im, 1, moving_average(im, vectors[3], m.mean, momentum)));
    HCT_TRY(import_output_value(im, 2, moving_average(im, vectors[4], m.variance, momentum)));
  }
  MlirValue y = build_map2(im, "div", m.centred, deviation_build(im, m.variance, (double)import_float(im, "epsilon", 1e-5f)));
  return import_output_value(im, 0, build_cast(im, affine_build(im, y, columns[1], columns[2]), shape_of(given).dtype));
}

/* x / (bias + alpha / size * sum of squares of `size` channels around)^beta */
hct_status import_lrn(importer *im) {
  HCT_TRY(import_floats(im, 1));
  import_value *a = import_input(im, 0);
  int64_t size = import_int(im, "size", 0);
  HCT_TRY(check_channels(im, a, 0, 0, 0));
  int64_t channels = a->shape.dims[1], low[HCT_MAX_RANK] = {0}, dims[HCT_MAX_RANK];
  if (size < 1 || size > channels * 2 + 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "a size of %lld for %lld channels", (long long)size, (long long)channels);
  memcpy(dims, a->shape.dims, sizeof dims);
  low[1] = (size - 1) / 2, dims[1] += size - 1;
  MlirValue given = build_value(im, a), x = build_cast(im, given, HCT_F32), squares = build_pad(im, build_map2(im, "mul", x, x), low, dims, 0);
  MlirValue sum = build_part(im, squares, 1, 0, 1, channels);
  for (int64_t k = 1; k < size; k++) sum = build_map2(im, "add", sum, build_part(im, squares, 1, k, 1, channels));
  MlirValue base = build_scaled(im, "adds", build_scaled(im, "muls", sum, (double)import_float(im, "alpha", 1e-4f) / (double)size), (double)import_float(im, "bias", 1));
  MlirValue divisor = build_scaled(im, "pows", base, (double)import_float(im, "beta", 0.75f));
  return import_output_value(im, 0, build_cast(im, build_map2(im, "div", x, divisor), shape_of(given).dtype));
}
