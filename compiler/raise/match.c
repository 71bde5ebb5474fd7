#include "compiler/raise/match.h"

#include <math.h>
#include <string.h>

hct_shape match_shape(MlirValue value) {
  hct_shape shape = {0};
  hct_value_shape(value, &shape);
  return shape;
}

static MlirOperation maker(MlirValue value) { return mlirValueIsAOpResult(value) ? mlirOpResultGetOwner(value) : (MlirOperation){NULL}; }

bool match_is_rounding(MlirOperation op) {
  hct_narrowing narrowing;
  bool narrows = !mlirOperationIsNull(op) && hct_op_is(op, "hct_graph.map1") && !strcmp(hct_op_str(op, "fn"), "narrow");
  return narrows && hct_narrowing_parse(hct_op_f64_or(op, "scalar", 0), &narrowing) && hct_dtype_is_half(narrowing.dtype);
}

/* What makes the value, before it is rounded to f16 or bf16; the roundings are of the match, as a composite operator is f32 throughout. */
static MlirOperation maker_through(match *m, MlirValue value) {
  MlirOperation op = maker(value);
  for (; match_is_rounding(op) && m->count < MATCH_MAX_OPS; op = maker(hct_op_operand(op, 0))) m->ops[m->count++] = op;
  return op;
}

static MlirValue without_rounding(MlirValue value) {
  while (match_is_rounding(maker(value))) value = hct_op_operand(maker(value), 0);
  return value;
}

bool match_near(double value, double expected) { return fabs(value - expected) <= 2e-5 * fabs(expected); }

bool match_scalar(MlirValue value, double *out_scalar) {
  MlirOperation op = maker(value);
  if (mlirOperationIsNull(op)) return false;
  if (hct_op_is(op, "hct_graph.reshape") || hct_op_is(op, "hct_graph.broadcast")) return match_scalar(hct_op_operand(op, 0), out_scalar);
  if (!hct_op_is(op, "hct_graph.constant")) return false;
  MlirAttribute data = mlirOperationGetAttributeByName(op, hct_ref("value"));
  if (!mlirAttributeIsADenseElements(data) || !mlirDenseElementsAttrIsSplat(data) || match_shape(value).dtype != HCT_F32) return false;
  *out_scalar = (double)mlirDenseElementsAttrGetFloatSplatValue(data);
  return true;
}

static bool same_attributes(MlirOperation a, MlirOperation b) {
  intptr_t count = mlirOperationGetNumAttributes(a);
  if (count != mlirOperationGetNumAttributes(b)) return false;
  for (intptr_t i = 0; i < count; i++) {
    MlirNamedAttribute named = mlirOperationGetAttribute(a, i);
    if (!mlirAttributeEqual(named.attribute, mlirOperationGetAttributeByName(b, mlirIdentifierStr(named.name)))) return false;
  }
  return true;
}

static bool same_to(MlirValue a, MlirValue b, int depth) {
  a = without_rounding(a), b = without_rounding(b);
  if (mlirValueEqual(a, b)) return true;
  MlirOperation x = maker(a), y = maker(b);
  if (!depth || mlirOperationIsNull(x) || mlirOperationIsNull(y) || strcmp(hct_op_name(x), hct_op_name(y)) || !same_attributes(x, y)) return false;
  intptr_t count = mlirOperationGetNumOperands(x);
  bool same = count == mlirOperationGetNumOperands(y) && mlirTypeEqual(mlirValueGetType(a), mlirValueGetType(b));
  for (intptr_t k = 0; k < count && same; k++) same = same_to(mlirOperationGetOperand(x, k), mlirOperationGetOperand(y, k), depth - 1);
  return same;
}

bool match_same(MlirValue a, MlirValue b) { return same_to(a, b, 8); }

bool match_op(match *m, MlirValue value, const char *name, const char *fn, MlirOperation *out_op) {
  size_t before = m->count;
  MlirOperation op = maker_through(m, value);
  bool found = !mlirOperationIsNull(op) && hct_op_is(op, name) && m->count < MATCH_MAX_OPS && (!fn || !strcmp(hct_op_str_or(op, "fn", hct_op_str_or(op, "kind", "")), fn));
  if (found) m->ops[m->count++] = op, *out_op = op;
  else m->count = before;
  return found;
}

static bool is_map(MlirOperation op, const char *fn) {
  bool map = !mlirOperationIsNull(op) && (hct_op_is(op, "hct_graph.map1") || hct_op_is(op, "hct_graph.map2"));
  return map && !strcmp(hct_op_str(op, "fn"), fn);
}

/* ---- products ---- */
static bool factor_add(product *p, MlirValue value, bool divides) {
  size_t *count = divides ? &p->denominator_count : &p->factor_count;
  if (*count == MATCH_MAX_FACTORS) return false;
  (divides ? p->denominators : p->factors)[(*count)++] = value;
  return true;
}

static bool product_into(match *m, MlirValue value, bool divides, product *p) {
  size_t before = m->count;
  MlirOperation op = maker_through(m, value);
  double scalar;
  if (match_scalar(value, &scalar) && scalar != 0) {
    p->coefficient = divides ? p->coefficient / scalar : p->coefficient * scalar;
    return true;
  }
  bool mul = is_map(op, "mul"), div = is_map(op, "div"), muls = is_map(op, "muls"), neg = is_map(op, "neg"), pows = is_map(op, "pows");
  double power = pows ? hct_op_f64_or(op, "scalar", 0) : 0;
  bool squared = power == 2 || power == 3;
  if (!(mul || div || muls || neg || squared || is_map(op, "reciprocal")) || m->count == MATCH_MAX_OPS) return m->count = before, factor_add(p, value, divides);
  m->ops[m->count++] = op;
  if (muls) p->coefficient = divides ? p->coefficient / hct_op_f64_or(op, "scalar", 1) : p->coefficient * hct_op_f64_or(op, "scalar", 1);
  if (neg) p->coefficient = -p->coefficient;
  for (int i = 0; i < (squared ? (int)power : 0); i++)
    if (!product_into(m, hct_op_operand(op, 0), divides, p)) return false;
  if (squared) return true;
  if (is_map(op, "reciprocal")) return product_into(m, hct_op_operand(op, 0), !divides, p);
  if (!product_into(m, hct_op_operand(op, 0), divides, p)) return false;
  return muls || neg || product_into(m, hct_op_operand(op, 1), div ? !divides : divides, p);
}

bool match_product(match *m, MlirValue value, product *out_product) {
  *out_product = (product){.coefficient = 1};
  return product_into(m, value, false, out_product);
}

/* ---- polynomials ---- */
static bool polynomial_multiply(const double *a, const double *b, double *out) {
  double c[4] = {0};
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      if (a[i] == 0 || b[j] == 0) continue;
      if (i + j > 3) return false;
      c[i + j] += a[i] * b[j];
    }
  memcpy(out, c, sizeof c);
  return true;
}

bool match_polynomial(match *m, MlirValue value, MlirValue x, double out[4]) {
  double scalar, a[4], b[4];
  memset(out, 0, 4 * sizeof *out);
  if (match_same(value, x)) return out[1] = 1, true;
  if (match_scalar(value, &scalar)) return out[0] = scalar, true;
  MlirOperation op = maker_through(m, value);
  static const char *const fns[] = {"add", "sub", "mul", "div", "adds", "muls", "pows", "neg"};
  size_t fn = 0;
  while (fn < HCT_COUNT(fns) && !is_map(op, fns[fn])) fn++;
  if (fn == HCT_COUNT(fns) || m->count == MATCH_MAX_OPS) return false;
  m->ops[m->count++] = op;
  if (!match_polynomial(m, hct_op_operand(op, 0), x, a)) return false;
  scalar = hct_op_f64_or(op, "scalar", fn == 7 ? -1 : 0);
  if (fn < 4 && !match_polynomial(m, hct_op_operand(op, 1), x, b)) return false;
  if (fn == 4) b[0] = scalar, b[1] = b[2] = b[3] = 0;
  if (fn == 5 || fn == 7) b[0] = scalar, b[1] = b[2] = b[3] = 0;
  switch (fn) {
    case 0: case 1: case 4:
      for (int i = 0; i < 4; i++) out[i] = a[i] + (fn == 1 ? -b[i] : b[i]);
      return true;
    case 3:
      if (b[0] == 0 || b[1] != 0 || b[2] != 0 || b[3] != 0) return false;
      for (int i = 0; i < 4; i++) out[i] = a[i] / b[0];
      return true;
    case 6:
      if (scalar != 2 && scalar != 3) return false;
      return polynomial_multiply(a, a, out) && (scalar == 2 || polynomial_multiply(out, a, out));
    default: return polynomial_multiply(a, b, out);
  }
}

bool match_affine(match *m, MlirValue value, const char *fn, double *out_constant, double *out_coefficient, MlirValue *out_argument) {
  MlirOperation op;
  double scalar;
  size_t before = m->count;
  if (match_op(m, value, "hct_graph.map1", fn, &op)) {
    *out_constant = 0, *out_coefficient = 1, *out_argument = hct_op_operand(op, 0);
    return true;
  }
  bool adds = match_op(m, value, "hct_graph.map1", "adds", &op), muls = !adds && match_op(m, value, "hct_graph.map1", "muls", &op);
  if (adds || muls) {
    scalar = hct_op_f64_or(op, "scalar", 0);
    if (match_affine(m, hct_op_operand(op, 0), fn, out_constant, out_coefficient, out_argument)) {
      *out_constant = adds ? *out_constant + scalar : *out_constant * scalar;
      *out_coefficient *= adds ? 1 : scalar;
      return true;
    }
  }
  bool add = match_op(m, value, "hct_graph.map2", "add", &op), mul = !add && match_op(m, value, "hct_graph.map2", "mul", &op);
  for (size_t k = 0; (add || mul) && k < 2; k++) {
    size_t inside = m->count;
    if (match_scalar(hct_op_operand(op, k), &scalar) && match_affine(m, hct_op_operand(op, 1 - k), fn, out_constant, out_coefficient, out_argument)) {
      *out_constant = add ? *out_constant + scalar : *out_constant * scalar;
      *out_coefficient *= add ? 1 : scalar;
      return true;
    }
    m->count = inside;
  }
  m->count = before;
  return false;
}

/* ---- means ---- */
bool match_mean(match *m, MlirValue value, MlirValue *out_of, int64_t *out_axes, size_t *out_axis_count) {
  product p;
  MlirOperation sum;
  size_t before = m->count;
  if (match_product(m, value, &p) && p.factor_count == 1 && p.denominator_count == 0 && match_op(m, p.factors[0], "hct_graph.reduce", "sum", &sum)) {
    hct_shape shape = match_shape(hct_op_operand(sum, 0));
    double count = 1;
    *out_axis_count = hct_op_i64s(sum, "axes", out_axes, HCT_MAX_RANK);
    for (size_t i = 0; i < *out_axis_count; i++) count *= (double)shape.dims[out_axes[i]];
    *out_of = hct_op_operand(sum, 0);
    if (match_near(p.coefficient, 1 / count)) return true;
  }
  m->count = before;
  return false;
}

bool match_is_parameter(MlirValue value) {
  if (!mlirValueIsABlockArgument(value)) return false;
  MlirAttribute role = hct_function_arg_attr(mlirBlockGetParentOperation(mlirBlockArgumentGetOwner(value)), (size_t)mlirBlockArgumentGetArgNumber(value), "hct.role");
  return !mlirAttributeIsNull(role) && !strcmp(hct_attr_text(role), "param");
}

bool match_is_given(MlirValue value) {
  MlirOperation op = maker(value);
  if (mlirOperationIsNull(op) || hct_op_is(op, "hct_graph.constant")) return true;
  bool view = hct_op_is(op, "hct_graph.reshape") || hct_op_is(op, "hct_graph.transpose") || hct_op_is(op, "hct_graph.broadcast") || is_map(op, "mov") || match_is_rounding(op);
  return view && match_is_given(hct_op_operand(op, 0));
}
