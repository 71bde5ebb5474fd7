/* Optimizers as operators (domain ai.onnx.preview.training): learning rate R, count of updates T, then of each of n tensors X, gradients G and states are inputs; new
 * tensors and states are outputs. Equations are those of the operators' documentation. */
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct optimizer {
  size_t tensors, states;
  MlirValue rate, count, is_later; /* f32[], f32[], and whether T > 0 */
} optimizer;

static hct_status scalar_read(importer *im, size_t index, bool floats, MlirValue *out_value) {
  import_value *given = import_input(im, index);
  const char *name = index ? "T" : "R", *type = floats ? "float" : "integer";
  bool fits = given && hct_dtype_is_float(given->shape.dtype) == floats && given->shape.dtype != HCT_BOOL && hct_shape_elements(&given->shape) == 1;
  if (!fits) return import_refuse(im, HCT_E_ONNX_INVALID, "%s is no scalar of %s type", name, type);
  *out_value = build_cast(im, build_reshape(im, build_value(im, given), 0, NULL), HCT_F32);
  return HCT_OK;
}

/* X1.., G1.., states 1.. */
static hct_status optimizer_read(importer *im, size_t states, optimizer *out_optimizer) {
  size_t each = 2 + states, given = im->node->n_input;
  optimizer o = {.states = states, .tensors = given > 2 ? (given - 2) / each : 0};
  if (o.tensors == 0 || (given - 2) % each || im->node->n_output != o.tensors * (1 + states))
    return import_refuse(im, HCT_E_ONNX_INVALID, "%zu inputs and %zu outputs; it takes R, T and %zu for each tensor, and gives %zu for each", given, im->node->n_output, each, 1 + states);
  HCT_TRY(scalar_read(im, 0, true, &o.rate));
  HCT_TRY(scalar_read(im, 1, false, &o.count));
  for (size_t k = 2; k < given; k++) {
    const import_value *x = import_input(im, 2 + (k - 2) % o.tensors), *one = import_input(im, k);
    bool alike = x && one && hct_dtype_is_float(one->shape.dtype) && one->shape.rank == x->shape.rank && !memcmp(one->shape.dims, x->shape.dims, x->shape.rank * sizeof *x->shape.dims);
    if (!alike) return import_refuse(im, HCT_E_ONNX_SHAPE, "input %zu is no float tensor of the shape of input %zu, which it belongs to", k, 2 + (k - 2) % o.tensors);
  }
  o.is_later = build_map2(im, "lt", build_scalar(im, HCT_F32, 0), o.count);
  *out_optimizer = o;
  return HCT_OK;
}

/* `part` 0: tensor i itself, 1: its gradient, 2 on: its states. */
static MlirValue part_of(importer *im, const optimizer *o, size_t part, size_t i) { return build_cast(im, build_value(im, import_input(im, 2 + part * o->tensors + i)), HCT_F32); }

static hct_status part_output(importer *im, const optimizer *o, size_t part, size_t i, MlirValue value) {
  hct_dtype dtype = shape_of(build_value(im, import_input(im, 2 + (part ? part + 1 : 0) * o->tensors + i))).dtype;
  return import_output_value(im, part * o->tensors + i, build_cast(im, value, dtype));
}

/* G + norm_coefficient X */
static MlirValue regularized(importer *im, const optimizer *o, size_t i) {
  double norm = (double)import_float(im, "norm_coefficient", 0);
  MlirValue g = part_of(im, o, 1, i);
  return build_map2(im, "add", build_scaled(im, "muls", part_of(im, o, 0, i), norm), g);
}

/* a x + b y */
static MlirValue mix(importer *im, double a, MlirValue x, double b, MlirValue y) {
  y = build_scaled(im, "muls", y, b);
  return build_map2(im, "add", build_scaled(im, "muls", x, a), y);
}

static MlirValue root_with(importer *im, MlirValue squares) { return build_scaled(im, "adds", build_map1(im, "sqrt", squares, HCT_F32), (double)import_float(im, "epsilon", 1e-6f)); }

/* 1 - base^T */
static MlirValue correction(importer *im, const optimizer *o, double base) {
  MlirValue power = build_map2(im, "pow", build_scalar(im, HCT_F32, base), o->count);
  return build_map2(im, "sub", build_scalar(im, HCT_F32, 1), power);
}

hct_status import_adam(importer *im) {
  optimizer o;
  HCT_TRY(optimizer_read(im, 2, &o));
  double alpha = (double)import_float(im, "alpha", 0.9f), beta = (double)import_float(im, "beta", 0.999f), after = (double)import_float(im, "norm_coefficient_post", 0);
  MlirValue divisor = correction(im, &o, alpha), corrected = build_map2(im, "div", build_map2(im, "mul", o.rate, build_map1(im, "sqrt", correction(im, &o, beta), HCT_F32)), divisor);
  MlirValue rate = build_select(im, o.is_later, corrected, o.rate);
  for (size_t i = 0; i < o.tensors; i++) {
    MlirValue g = regularized(im, &o, i), v = mix(im, alpha, part_of(im, &o, 2, i), 1 - alpha, g);
    MlirValue square = build_map2(im, "mul", g, g), h = mix(im, beta, part_of(im, &o, 3, i), 1 - beta, square);
    MlirValue root = root_with(im, h), step = build_map2(im, "div", build_map2(im, "mul", v, rate), root);
    MlirValue x = build_map2(im, "sub", part_of(im, &o, 0, i), step);
    if (after != 0) x = build_scaled(im, "muls", x, 1 - after);
    HCT_TRY(part_output(im, &o, 0, i, x));
    HCT_TRY(part_output(im, &o, 1, i, v));
    HCT_TRY(part_output(im, &o, 2, i, h));
  }
  return HCT_OK;
}

hct_status import_momentum(importer *im) {
  optimizer o;
  HCT_TRY(optimizer_read(im, 1, &o));
  const char *mode = import_string(im, "mode", "");
  bool nesterov = !strcmp(mode, "nesterov");
  if (!nesterov && strcmp(mode, "standard")) return import_refuse(im, HCT_E_ONNX_INVALID, "mode '%s' is neither standard nor nesterov", mode);
  double alpha = (double)import_float(im, "alpha", 0);
  MlirValue one = build_scalar(im, HCT_F32, 1), beta = build_select(im, o.is_later, build_scalar(im, HCT_F32, (double)import_float(im, "beta", 0)), one);
  for (size_t i = 0; i < o.tensors; i++) {
    MlirValue g = regularized(im, &o, i), part = build_map2(im, "mul", g, beta), v = build_map2(im, "add", build_scaled(im, "muls", part_of(im, &o, 2, i), alpha), part);
    MlirValue way = nesterov ? build_map2(im, "add", g, build_scaled(im, "muls", v, alpha)) : v;
    MlirValue step = build_map2(im, "mul", way, o.rate);
    HCT_TRY(part_output(im, &o, 0, i, build_map2(im, "sub", part_of(im, &o, 0, i), step)));
    HCT_TRY(part_output(im, &o, 1, i, v));
  }
  return HCT_OK;
}

hct_status import_adagrad(importer *im) {
  optimizer o;
  HCT_TRY(optimizer_read(im, 1, &o));
  MlirValue rate = build_map2(im, "div", o.rate, build_scaled(im, "adds", build_scaled(im, "muls", o.count, (double)import_float(im, "decay_factor", 0)), 1));
  for (size_t i = 0; i < o.tensors; i++) {
    MlirValue g = regularized(im, &o, i), square = build_map2(im, "mul", g, g), h = build_map2(im, "add", part_of(im, &o, 2, i), square);
    MlirValue root = root_with(im, h), step = build_map2(im, "div", build_map2(im, "mul", g, rate), root);
    HCT_TRY(part_output(im, &o, 0, i, build_map2(im, "sub", part_of(im, &o, 0, i), step)));
    HCT_TRY(part_output(im, &o, 1, i, h));
  }
  return HCT_OK;
}
