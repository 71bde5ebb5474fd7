/* Activations, composed in f32 of functions of the vector unit, and rounded to their type once. Each is written so that neither it nor its
 * gradient meets inf - inf or 0 inf where |x| is large. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

static import_value *map1(importer *im, const char *fn, import_value *a) { return value_map1(im, fn, a, a->shape.dtype); }
static import_value *map2(importer *im, const char *fn, import_value *a, import_value *b) { return value_map2(im, fn, a, b); }
static import_value *adds(importer *im, import_value *a, double scalar) { return scalar == 0 ? a : value_scaled(im, "adds", a, scalar); }
static import_value *muls(importer *im, import_value *a, double scalar) { return scalar == 1 ? a : value_scaled(im, "muls", a, scalar); }
static import_value *number(importer *im, const import_value *like, double value) { return value_number(im, like->shape.dtype, value); }
static import_value *lower(importer *im, import_value *a, double bound) { return map2(im, "min", a, number(im, a, bound)); }
static import_value *upper(importer *im, import_value *a, double bound) { return map2(im, "max", a, number(im, a, bound)); }
static import_value *above(importer *im, import_value *a, double bound) { return map2(im, "lt", number(im, a, bound), a); }

/* The operand in the type that is computed with; `integers`: they may be given too. */
static hct_status operand(importer *im, bool integers, import_value **out_value) {
  import_value *a = import_input(im, 0);
  if (a->shape.dtype == HCT_BOOL || (!integers && !hct_dtype_is_float(a->shape.dtype))) return import_refuse(im, HCT_E_ONNX_TYPE, "an operand of %s; it takes %s", hct_dtype_name(a->shape.dtype), integers ? "numbers" : "floats");
  *out_value = hct_dtype_is_float(a->shape.dtype) ? value_wide(im, a) : value_map1(im, "mov", a, HCT_F32);
  return HCT_OK;
}

static hct_status finish(importer *im, import_value *y) { return import_output(im, 0, *value_map1(im, "mov", y, import_input(im, 0)->shape.dtype)); }

hct_status import_leaky_relu(importer *im) {
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  import_value *negative = muls(im, x, (double)import_float(im, "alpha", 0.01f));
  return finish(im, value_select(im, above(im, x, 0), x, negative));
}

/* The slope broadcasts to x, not the other way round; before opset 7 a row of slopes was of x's dimension 1. */
hct_status import_prelu(importer *im) {
  import_value *x = import_input(im, 0), *slope = import_input(im, 1), channels;
  hct_shape shape;
  if (im->opset < 7 && slope && slope->shape.rank == 1 && x->shape.rank > 2) {
    int64_t dims[HCT_MAX_RANK] = {hct_shape_elements(&slope->shape)};
    for (size_t d = 1; d + 1 < x->shape.rank; d++) dims[d] = 1;
    channels = (import_value){.value = build_reshape(im, build_value(im, slope), x->shape.rank - 1, dims)};
    channels.shape = shape_of(channels.value);
    slope = &channels;
  }
  if (!slope || slope->shape.dtype != x->shape.dtype || x->shape.dtype == HCT_BOOL) return import_refuse(im, HCT_E_ONNX_TYPE, "its operands must be numbers of one type");
  if (!broadcast_shape(&x->shape, &slope->shape, &shape) || shape.rank != x->shape.rank || hct_shape_elements(&shape) != hct_shape_elements(&x->shape)) return import_refuse(im, HCT_E_ONNX_SHAPE, "the slope does not broadcast to x");
  x = value_wide(im, x), slope = value_wide(im, slope);
  import_value *negative = map2(im, "mul", x, slope);
  return finish(im, value_select(im, above(im, x, 0), x, negative));
}

/* Elu, Celu, Selu: x > 0 ? scale x : scale alpha (e^(x / width) - 1). */
hct_status import_elu(importer *im) {
  bool selu = im->node->op_type[0] == 'S', celu = im->node->op_type[0] == 'C';
  double alpha = (double)import_float(im, "alpha", selu ? 1.67326319217681884765625f : 1), scale = selu ? (double)import_float(im, "gamma", 1.05070102214813232421875f) : 1;
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  if (celu && alpha == 0) return import_refuse(im, HCT_E_ONNX_INVALID, "alpha is 0, and x is divided by it");
  import_value *negative = muls(im, map1(im, "expm1", muls(im, lower(im, x, 0), celu ? 1 / alpha : 1)), scale * alpha), *positive = muls(im, x, scale);
  return finish(im, value_select(im, above(im, x, 0), positive, negative));
}

hct_status import_gelu(importer *im) {
  const char *approximate = import_string(im, "approximate", "none");
  import_value *x = NULL, *gate;
  HCT_TRY(operand(im, false, &x));
  if (!strcmp(approximate, "none")) gate = map1(im, "erf", muls(im, x, sqrt(0.5)));
  else if (!strcmp(approximate, "tanh")) gate = map1(im, "tanh", muls(im, map2(im, "mul", x, adds(im, muls(im, map2(im, "mul", x, x), 0.044715), 1)), sqrt(2 / acos(-1))));
  else return import_refuse(im, HCT_E_UNSUPPORTED, "approximate '%s'; none and tanh are supported", approximate);
  gate = adds(im, gate, 1);
  return finish(im, map2(im, "mul", muls(im, x, 0.5), gate));
}

static import_value *swish(importer *im, import_value *x) { return map2(im, "mul", x, map1(im, "sigmoid", muls(im, x, (double)import_float(im, "alpha", 1)))); }

hct_status import_swish(importer *im) {
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  return finish(im, swish(im, x));
}

hct_status import_swiglu(importer *im) {
  import_value *x = NULL, *gated = import_input(im, 1);
  hct_shape shape;
  HCT_TRY(operand(im, false, &x));
  if (!gated || gated->shape.dtype != import_input(im, 0)->shape.dtype) return import_refuse(im, HCT_E_ONNX_TYPE, "its operands must be floats of one type");
  if (!broadcast_shape(&x->shape, &gated->shape, &shape)) return import_refuse(im, HCT_E_ONNX_SHAPE, "shapes of its inputs do not broadcast");
  gated = value_wide(im, gated);
  return finish(im, map2(im, "mul", swish(im, x), gated));
}

/* max(x, 0) + ln(1 + e^-|x|) */
static import_value *softplus(importer *im, import_value *x) {
  import_value *rest = map1(im, "log1p", map1(im, "exp", map1(im, "neg", map1(im, "abs", x))));
  return map2(im, "add", map1(im, "relu", x), rest);
}

hct_status import_softplus(importer *im) {
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  return finish(im, softplus(im, x));
}

hct_status import_mish(importer *im) {
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  return finish(im, map2(im, "mul", x, map1(im, "tanh", softplus(im, x))));
}

hct_status import_softsign(importer *im) {
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  return finish(im, map2(im, "div", x, adds(im, map1(im, "abs", x), 1)));
}

static import_value *hard_sigmoid(importer *im, import_value *x, double alpha, double beta) { return upper(im, lower(im, adds(im, muls(im, x, alpha), beta), 1), 0); }

hct_status import_hard_sigmoid(importer *im) {
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  return finish(im, hard_sigmoid(im, x, (double)import_float(im, "alpha", 0.2f), (double)import_float(im, "beta", 0.5f)));
}

hct_status import_hard_swish(importer *im) {
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  return finish(im, map2(im, "mul", x, hard_sigmoid(im, x, 1.0 / 6, 0.5)));
}

hct_status import_thresholded_relu(importer *im) {
  import_value *x = NULL;
  HCT_TRY(operand(im, false, &x));
  return finish(im, value_select(im, above(im, x, (double)import_float(im, "alpha", 1)), x, number(im, x, 0)));
}

/* x + bias below -lambd, x - bias above lambd, else 0. */
hct_status import_shrink(importer *im) {
  double bias = (double)import_float(im, "bias", 0), lambd = (double)import_float(im, "lambd", 0.5f);
  import_value *x = NULL;
  HCT_TRY(operand(im, true, &x));
  import_value *below = map2(im, "lt", x, number(im, x, -lambd)), *less = adds(im, x, -bias), *other = value_select(im, above(im, x, lambd), less, number(im, x, 0));
  return finish(im, value_select(im, below, adds(im, x, bias), other));
}
