/* Layer normalisation (Ba et al., arXiv 1607.06450) and root mean square normalisation (Zhang and Sennrich, arXiv 1910.07467). */
#include <string.h>

#include "compiler/raise/raise.h"

/* ---- x / sqrt(mean(square) + eps), times what else the product has ---- */
typedef struct normalised {
  MlirValue square; /* what the mean is of */
  int64_t axes[HCT_MAX_RANK];
  size_t axis_count;
  double eps;
} normalised;

static bool match_variance(match *m, MlirValue value, normalised *out) {
  MlirOperation op;
  double eps = 0;
  size_t before = m->count;
  if (match_mean(m, value, &out->square, out->axes, &out->axis_count)) return out->eps = 0, true;
  if (match_op(m, value, "hct_graph.map1", "adds", &op) && match_mean(m, hct_op_operand(op, 0), &out->square, out->axes, &out->axis_count)) return out->eps = hct_op_f64_or(op, "scalar", 0), true;
  m->count = before;
  if (!match_op(m, value, "hct_graph.map2", "add", &op)) return false;
  for (size_t k = 0; k < 2; k++)
    if (match_scalar(hct_op_operand(op, k), &eps) && match_mean(m, hct_op_operand(op, 1 - k), &out->square, out->axes, &out->axis_count)) return out->eps = eps, true;
  m->count = before;
  return false;
}

/* `divides`: the value is sqrt(variance); else it is 1 / sqrt(variance). */
static bool match_deviation(match *m, MlirValue value, bool divides, normalised *out) {
  MlirOperation op;
  size_t before = m->count;
  if (divides && match_op(m, value, "hct_graph.map1", "sqrt", &op) && match_variance(m, hct_op_operand(op, 0), out)) return true;
  m->count = before;
  if (!divides && match_op(m, value, "hct_graph.map1", "rsqrt", &op) && match_variance(m, hct_op_operand(op, 0), out)) return true;
  m->count = before;
  if (match_op(m, value, "hct_graph.map1", "pows", &op) && hct_op_f64_or(op, "scalar", 0) == (divides ? 0.5 : -0.5) && match_variance(m, hct_op_operand(op, 0), out)) return true;
  m->count = before;
  return false;
}

static bool is_square(match *m, MlirValue value, MlirValue *out_of) {
  product p;
  if (!match_product(m, value, &p) || p.coefficient != 1 || p.factor_count != 2 || p.denominator_count || !match_same(p.factors[0], p.factors[1])) return false;
  *out_of = p.factors[0];
  return true;
}

/* Along the axes alone, and there before the program runs. */
static bool is_affine(MlirValue value, const hct_shape *x, size_t axis) {
  hct_shape shape = match_shape(value);
  if (shape.rank > x->rank || !match_is_given(value)) return false;
  for (size_t d = 0; d < shape.rank; d++)
    if (shape.dims[d] != 1 && d + x->rank - shape.rank < axis) return false;
  return true;
}

static bool trailing(const normalised *n, size_t rank) {
  for (size_t i = 0; i < n->axis_count; i++)
    if (n->axes[i] != (int64_t)(rank - n->axis_count + i)) return false;
  return n->axis_count > 0;
}

/* The product `value` = x [gain] / sqrt(mean(squared^2) + eps), where x and squared are the same, which may be computed twice. False: it is none. */
static bool match_core(match *m, MlirValue value, normalised *out, MlirValue *out_x, MlirValue *out_squared, MlirValue *out_gain) {
  product p;
  if (!match_product(m, value, &p) || !match_near(p.coefficient, 1) || p.factor_count + p.denominator_count < 2) return false;
  size_t count = p.factor_count + p.denominator_count, found = count;
  for (size_t k = 0; k < count && found == count; k++) {
    bool divides = k >= p.factor_count;
    if (match_deviation(m, divides ? p.denominators[k - p.factor_count] : p.factors[k], divides, out)) found = k;
  }
  MlirValue of;
  if (found == count || p.denominator_count != (found >= p.factor_count ? 1 : 0) || !is_square(m, out->square, &of)) return false;
  hct_shape shape = match_shape(of);
  *out_gain = (MlirValue){NULL};
  *out_x = (MlirValue){NULL};
  for (size_t k = 0; k < p.factor_count; k++) {
    if (k == found) continue;
    if (mlirValueIsNull(*out_x) && match_same(p.factors[k], of)) *out_x = p.factors[k], *out_squared = of;
    else if (mlirValueIsNull(*out_gain) && is_affine(p.factors[k], &shape, shape.rank - out->axis_count)) *out_gain = p.factors[k];
    else return false;
  }
  return !mlirValueIsNull(*out_x) && trailing(out, shape.rank);
}

/* `value` = x - mean(x) over the same axes; `squared`: or mean(x) - x, as the sign does not matter. */
static bool match_centred(match *m, MlirValue value, const normalised *n, bool squared, MlirValue *out_x) {
  MlirOperation op;
  MlirValue of;
  int64_t axes[HCT_MAX_RANK];
  size_t count;
  if (!match_op(m, value, "hct_graph.map2", "sub", &op)) return false;
  for (size_t k = 0; k < (squared ? 2 : 1); k++) {
    *out_x = hct_op_operand(op, k);
    if (match_mean(m, hct_op_operand(op, 1 - k), &of, axes, &count) && match_same(of, *out_x) && count == n->axis_count && !memcmp(axes, n->axes, count * sizeof *axes)) return true;
  }
  return false;
}

static void norm_make(MlirContext context, const char *name, const normalised *n, MlirValue x, MlirValue gain, MlirValue bias, composite *out) {
  *out = (composite){.name = name, .operands = {x}, .operand_count = 1};
  if (!mlirValueIsNull(gain)) out->operands[out->operand_count++] = gain;
  if (!mlirValueIsNull(bias)) out->operands[out->operand_count++] = bias;
  out->attributes[0] = (hct_named){"axis", hct_attr_i64(context, n->axes[0])};
  out->attributes[1] = (hct_named){"eps", hct_attr_f64(context, n->eps)};
  out->attributes[2] = (hct_named){"gain", hct_attr_bool(context, !mlirValueIsNull(gain))};
  out->attributes[3] = (hct_named){"bias", hct_attr_bool(context, !mlirValueIsNull(bias))};
  out->attribute_count = !strcmp(name, "hct_graph.layer_norm") ? 4 : 3;
}

/* x t + (bias - mean t), where t = gain / sqrt(variance + eps): how TensorFlow spells it. */
static bool match_folded(match *m, MlirOperation sum, normalised *n, MlirValue *out_x, MlirValue *out_gain, MlirValue *out_bias) {
  for (size_t k = 0; k < 2; k++) {
    size_t before = m->count, count;
    MlirOperation scaled, offset, shift;
    MlirValue of, square, x;
    int64_t axes[HCT_MAX_RANK];
    bool shape = match_op(m, hct_op_operand(sum, k), "hct_graph.map2", "mul", &scaled) && match_op(m, hct_op_operand(sum, 1 - k), "hct_graph.map2", "sub", &offset) &&
                 match_op(m, hct_op_operand(offset, 1), "hct_graph.map2", "mul", &shift);
    for (size_t a = 0; shape && a < 4; a++) {
      MlirValue t = hct_op_operand(scaled, a & 1), mean = hct_op_operand(shift, a >> 1);
      size_t inside = m->count;
      product p;
      x = hct_op_operand(scaled, 1 - (a & 1));
      bool good = match_same(t, hct_op_operand(shift, 1 - (a >> 1))) && match_product(m, t, &p) && match_near(p.coefficient, 1) && p.factor_count + p.denominator_count <= 2;
      size_t found = 2;
      for (size_t f = 0; good && f < p.factor_count + p.denominator_count && found == 2; f++) {
        bool divides = f >= p.factor_count;
        if (match_deviation(m, divides ? p.denominators[f - p.factor_count] : p.factors[f], divides, n)) found = f;
      }
      good = good && found < 2 && p.denominator_count == (found >= p.factor_count ? 1 : 0) && is_square(m, n->square, &square) && match_centred(m, square, n, true, out_x);
      good = good && match_same(*out_x, x) && match_mean(m, mean, &of, axes, &count) && match_same(of, x) && count == n->axis_count && !memcmp(axes, n->axes, count * sizeof *axes);
      hct_shape whole = match_shape(x);
      *out_gain = good && p.factor_count + p.denominator_count == 2 ? p.factors[found == 0 && p.factor_count == 2 ? 1 : 0] : (MlirValue){NULL};
      *out_bias = hct_op_operand(offset, 0);
      good = good && trailing(n, whole.rank) && is_affine(*out_bias, &whole, whole.rank - n->axis_count) && (mlirValueIsNull(*out_gain) || is_affine(*out_gain, &whole, whole.rank - n->axis_count));
      if (good) return true;
      m->count = inside;
    }
    m->count = before;
  }
  return false;
}

/* The normalised value and its gain, where `root` is that, and with a bias added where it is a sum. */
static bool match_norm(match *m, MlirValue root, bool centred, normalised *n, MlirValue *out_x, MlirValue *out_gain, MlirValue *out_bias) {
  MlirOperation sum;
  MlirValue from, squared;
  size_t before = m->count;
  *out_bias = (MlirValue){NULL};
  if (match_core(m, root, n, &from, &squared, out_gain)) {
    if (!centred) return *out_x = from, true;
    if (match_centred(m, squared, n, false, out_x) && match_centred(m, from, n, false, out_x)) return true;
  }
  m->count = before;
  if (!centred || !match_op(m, root, "hct_graph.map2", "add", &sum)) return false;
  size_t inside = m->count;
  for (size_t k = 0; k < 2; k++, m->count = inside) {
    MlirValue bias = hct_op_operand(sum, k);
    hct_shape shape = match_shape(root);
    if (!match_is_given(bias) || !match_core(m, hct_op_operand(sum, 1 - k), n, &from, &squared, out_gain) || !match_centred(m, squared, n, false, out_x) || !match_centred(m, from, n, false, out_x)) continue;
    if (is_affine(bias, &shape, shape.rank - n->axis_count)) return *out_bias = bias, true;
  }
  return match_folded(m, sum, n, out_x, out_gain, out_bias);
}

bool raise_layer_norm(MlirContext context, match *m, MlirValue root, composite *out) {
  normalised n;
  MlirValue x, gain, bias;
  if (!match_norm(m, root, true, &n, &x, &gain, &bias)) return false;
  norm_make(context, "hct_graph.layer_norm", &n, x, gain, bias, out);
  return true;
}

bool raise_rms_norm(MlirContext context, match *m, MlirValue root, composite *out) {
  normalised n;
  MlirValue x, gain, bias;
  if (!match_norm(m, root, false, &n, &x, &gain, &bias)) return false;
  norm_make(context, "hct_graph.rms_norm", &n, x, gain, bias, out);
  return true;
}
