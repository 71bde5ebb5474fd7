/* Elementwise operators: functions of the vector unit, what is composed of a few of them, conversions, choices. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

static bool is_op(const importer *im, const char *name) { return !strcmp(im->node->op_type, name); }
static bool is_unsigned(const import_value *a) { return hct_dtype_is_unsigned(a->shape.dtype); }
static bool is_float(const import_value *a) { return hct_dtype_is_float(a->shape.dtype); }
static hct_status refuse_type(importer *im, const import_value *a, const char *wanted) { return import_refuse(im, HCT_E_ONNX_TYPE, "operands of %s; it takes %s", hct_dtype_name(a->shape.dtype), wanted); }

/* Operators that are one function each; `integers`: also of integers. */
static const struct { const char *onnx, *fn; bool swapped, integers; } functions[] = {
    {"Abs", "abs", 0, 1},      {"Acos", "acos", 0, 0},   {"Acosh", "acosh", 0, 0},   {"Asin", "asin", 0, 0},         {"Asinh", "asinh", 0, 0}, {"Atan", "atan", 0, 0},
    {"Atanh", "atanh", 0, 0},  {"Cos", "cos", 0, 0},     {"Cosh", "cosh", 0, 0},     {"Erf", "erf", 0, 0},           {"Exp", "exp", 0, 0},     {"Floor", "floor", 0, 0},
    {"Log", "log", 0, 0},      {"Neg", "neg", 0, 1},     {"Reciprocal", "reciprocal", 0, 0}, {"Relu", "relu", 0, 1}, {"Round", "round", 0, 0}, {"Sigmoid", "sigmoid", 0, 0},
    {"Sign", "sign", 0, 1},    {"Sin", "sin", 0, 0},     {"Sinh", "sinh", 0, 0},     {"Sqrt", "sqrt", 0, 0},         {"Tan", "tan", 0, 0},     {"Tanh", "tanh", 0, 0},
    {"Add", "add", 0, 1},      {"Sub", "sub", 0, 1},     {"Mul", "mul", 0, 1},       {"Div", "div", 0, 1},           {"Max", "max", 0, 1},     {"Mean", "add", 0, 0},
    {"Min", "min", 0, 1},      {"Sum", "add", 0, 0},     {"And", "and", 0, 0},       {"Or", "or", 0, 0},             {"Xor", "bit_xor", 0, 0}, {"Not", "not", 0, 0},
    {"BitwiseAnd", "bit_and", 0, 1}, {"BitwiseOr", "bit_or", 0, 1}, {"BitwiseXor", "bit_xor", 0, 1},
    {"Equal", "eq", 0, 1},     {"Less", "lt", 0, 1},     {"LessOrEqual", "le", 0, 1}, {"Greater", "lt", 1, 1},       {"GreaterOrEqual", "le", 1, 1},
};

static size_t row_of(const importer *im) {
  size_t row = 0;
  while (row < HCT_COUNT(functions) && strcmp(functions[row].onnx, im->node->op_type)) row++;
  HCT_BUG_ON(row == HCT_COUNT(functions), "no function of '%s'", im->node->op_type);
  return row;
}

hct_status import_unary(importer *im) {
  import_value *a = import_input(im, 0);
  size_t row = row_of(im);
  if (is_op(im, "Not")) {
    if (a->shape.dtype != HCT_BOOL) return refuse_type(im, a, "bools");
  } else if (!is_float(a) && (!functions[row].integers || a->shape.dtype == HCT_BOOL)) {
    return refuse_type(im, a, functions[row].integers ? "floats and integers" : "floats");
  }
  if (is_unsigned(a) && is_op(im, "Abs")) return import_output(im, 0, *a);
  if (is_unsigned(a) && is_op(im, "Sign")) return import_output(im, 0, *value_map2(im, "min", a, value_number(im, a->shape.dtype, 1)));
  return import_output(im, 0, *value_map1(im, functions[row].fn, a, a->shape.dtype));
}

/* The operands `a` and `b` of an operator: there, of one type, of shapes that broadcast. */
static hct_status check_pair(importer *im, const import_value *a, const import_value *b, bool types_may_differ) {
  hct_shape shape;
  if (!a || !b) return import_refuse(im, HCT_E_ONNX_INVALID, "an input is missing");
  if (!types_may_differ && a->shape.dtype != b->shape.dtype && !(is_float(a) && is_float(b))) return import_refuse(im, HCT_E_ONNX_TYPE, "operands of %s and %s; both must be of one type", hct_dtype_name(a->shape.dtype), hct_dtype_name(b->shape.dtype));
  if (!broadcast_shape(&a->shape, &b->shape, &shape)) return import_refuse(im, HCT_E_ONNX_SHAPE, "shapes of its inputs do not broadcast");
  return HCT_OK;
}

/* The second operand of opsets before 7, whose dimensions start at `axis` of the first's. */
static hct_status placed(importer *im, const import_value *a, import_value **b) {
  size_t axis, rank = (*b)->shape.rank;
  int64_t dims[HCT_MAX_RANK], given = import_int(im, "axis", (int64_t)a->shape.rank - (int64_t)rank);
  if (im->opset >= 7 || !import_int(im, "broadcast", 0) || rank == 0 || rank > a->shape.rank || !import_attribute(im, "axis")) return HCT_OK;
  HCT_TRY(import_axis(im, given, a->shape.rank, &axis));
  if (axis + rank > a->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "axis %lld leaves no room for an operand of rank %zu", (long long)given, rank);
  for (size_t d = 0; d < a->shape.rank - axis; d++) dims[d] = d < rank ? (*b)->shape.dims[d] : 1;
  import_value *moved = HCT_NEW(im->arena, import_value);
  *moved = (import_value){.value = build_reshape(im, build_value(im, *b), a->shape.rank - axis, dims)};
  moved->shape = shape_of(moved->value);
  *b = moved;
  return HCT_OK;
}

hct_status import_binary(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  size_t row = row_of(im);
  const char *fn = functions[row].fn;
  if (b) HCT_TRY(placed(im, a, &b));
  HCT_TRY(check_pair(im, a, b, false));
  if (im->node->n_input != 2) return import_refuse(im, HCT_E_ONNX_INVALID, "%zu inputs; it takes two", im->node->n_input);
  bool logical = is_op(im, "And") || is_op(im, "Or") || is_op(im, "Xor"), bitwise = !strncmp(fn, "bit_", 4);
  if (logical && a->shape.dtype != HCT_BOOL) return refuse_type(im, a, "bools");
  if (!logical && a->shape.dtype == HCT_BOOL && strcmp(fn, "eq")) return refuse_type(im, a, "numbers");
  if (bitwise && is_float(a)) return refuse_type(im, a, "integers");
  return import_output(im, 0, *(functions[row].swapped ? value_map2(im, fn, b, a) : value_map2(im, fn, a, b)));
}

/* Max, Min, Sum and Mean of one or more; sums of narrow floats are rounded once. */
hct_status import_variadic(importer *im) {
  import_value *sum = import_input(im, 0);
  size_t row = row_of(im);
  const char *fn = functions[row].fn;
  bool adds = !strcmp(fn, "add");
  hct_dtype dtype = sum->shape.dtype;
  if (!is_float(sum) && (adds || dtype == HCT_BOOL)) return refuse_type(im, sum, adds ? "floats" : "floats and integers");
  for (size_t k = 1; k < im->node->n_input; k++) {
    import_value *next = import_input(im, k);
    HCT_TRY(check_pair(im, sum, next, false));
    if (adds) next = value_wide(im, next), sum = value_wide(im, sum);
    sum = value_map2(im, fn, sum, next);
  }
  if (!sum->known && im->node->n_input > HCT_MAX_VARIADIC && !is_op(im, "Mean")) {
    import_joined_add(im, im->node->op_type, NULL, im->sites[im->node_index].name, im->node->output[0], im->node->n_input, im->node->input, im->node->output[0]);
    return HCT_OK;
  }
  if (is_op(im, "Mean") && im->node->n_input > 1) sum = value_scaled(im, "muls", sum, 1 / (double)im->node->n_input);
  return import_output(im, 0, *value_map1(im, "mov", sum, dtype));
}

hct_status import_ceil(importer *im) {
  import_value *a = import_input(im, 0);
  hct_dtype dtype = a->shape.dtype;
  if (!is_float(a)) return refuse_type(im, a, "floats");
  return import_output(im, 0, *value_map1(im, "neg", value_map1(im, "floor", value_map1(im, "neg", a, dtype), dtype), dtype));
}

hct_status import_bitwise_not(importer *im) {
  import_value *a = import_input(im, 0);
  if (is_float(a) || a->shape.dtype == HCT_BOOL) return refuse_type(im, a, "integers");
  return import_output(im, 0, *value_map2(im, "bit_xor", a, value_number(im, a->shape.dtype, -1)));
}

/* Products with, and quotients by, 2^n modulo 2^bits: both 0 where n is the number of bits or more, as dividing by zero gives 0. */
hct_status import_bit_shift(importer *im) {
  import_value *a = import_input(im, 0), *n = import_input(im, 1);
  const char *direction = import_string(im, "direction", "");
  HCT_TRY(check_pair(im, a, n, false));
  if (!is_unsigned(a)) return refuse_type(im, a, "unsigned integers");
  if (strcmp(direction, "LEFT") && strcmp(direction, "RIGHT")) return import_refuse(im, HCT_E_ONNX_INVALID, "direction '%s'; LEFT and RIGHT are possible", direction);
  import_value *power = value_map2(im, "pow", value_number(im, a->shape.dtype, 2), n);
  return import_output(im, 0, *value_map2(im, direction[0] == 'L' ? "mul" : "div", a, power));
}

/* fmod 1: with the dividend's sign, as C's; fmod 0: with the divisor's, as Python's. */
hct_status import_mod(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  HCT_TRY(check_pair(im, a, b, false));
  if (a->shape.dtype == HCT_BOOL) return refuse_type(im, a, "numbers");
  import_value *rest = value_map2(im, "fmod", a, b);
  if (import_int(im, "fmod", 0) || is_unsigned(a)) return import_output(im, 0, *rest);
  import_value *zero = value_number(im, a->shape.dtype, 0);
  import_value *b_negative = value_map2(im, "lt", b, zero), *signs_differ = value_map2(im, "bit_xor", value_map2(im, "lt", rest, zero), b_negative);
  import_value *wrong = value_map2(im, "and", signs_differ, value_map1(im, "not", value_map2(im, "eq", rest, zero), HCT_BOOL));
  return import_output(im, 0, *value_select(im, wrong, value_map2(im, "add", rest, b), rest));
}

/* Its result is of the base's type; of an integer base and a float exponent it is computed with in f32, of two integer types in i64. */
hct_status import_pow(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  if (b) HCT_TRY(placed(im, a, &b));
  HCT_TRY(check_pair(im, a, b, true));
  if (a->shape.dtype == HCT_BOOL || b->shape.dtype == HCT_BOOL) return refuse_type(im, a->shape.dtype == HCT_BOOL ? a : b, "numbers");
  hct_dtype dtype = a->shape.dtype, middle = is_float(a) ? dtype : is_float(b) ? HCT_F32 : dtype == b->shape.dtype ? dtype : HCT_I64;
  if (!a->known && b->known && is_float(a) && hct_shape_elements(&b->shape) == 1 && b->shape.rank <= a->shape.rank) {
    double exponent = host_get(&b->host, 0);
    if (exponent == 1) return import_output(im, 0, *a);
    if (exponent == 2) return import_output(im, 0, *value_map2(im, "mul", a, a));
    if (exponent == 3) return import_output(im, 0, *value_map2(im, "mul", value_map2(im, "mul", a, a), a));
    if (exponent == 0.5) return import_output(im, 0, *value_map1(im, "sqrt", a, dtype));
    return import_output(im, 0, *value_scaled(im, "pows", a, exponent));
  }
  import_value *exponent = value_map1(im, "mov", b, middle), *power = value_map2(im, "pow", value_map1(im, "mov", a, middle), exponent);
  return import_output(im, 0, *value_map1(im, "mov", power, dtype));
}

hct_status import_is_nan(importer *im) {
  import_value *a = import_input(im, 0);
  if (!is_float(a)) return refuse_type(im, a, "floats");
  return import_output(im, 0, *value_map1(im, "not", value_map2(im, "eq", a, a), HCT_BOOL));
}

hct_status import_is_inf(importer *im) {
  import_value *a = import_input(im, 0);
  bool above = import_int(im, "detect_positive", 1) != 0, below = import_int(im, "detect_negative", 1) != 0;
  if (!is_float(a)) return refuse_type(im, a, "floats");
  import_value *bound = value_number(im, a->shape.dtype, above || !below ? HUGE_VAL : -HUGE_VAL);
  if (above && below) a = value_map1(im, "abs", a, a->shape.dtype);
  import_value *found = value_map2(im, "eq", a, bound);
  if (!above && !below) found = value_map2(im, "bit_xor", found, found);
  return import_output(im, 0, *found);
}

/* ---- conversions and choices ---- */
static hct_status cast(importer *im, import_value *a, hct_dtype dtype) {
  static const struct { const char *name; hct_rounding rounding; } modes[] = {{"up", HCT_ROUND_UP}, {"down", HCT_ROUND_DOWN}, {"nearest", HCT_ROUND_NEAREST}};
  const char *mode = import_string(im, "round_mode", "up");
  size_t row = 0;
  while (row < HCT_COUNT(modes) && strcmp(modes[row].name, mode)) row++;
  if (row == HCT_COUNT(modes)) return import_refuse(im, HCT_E_ONNX_INVALID, "round_mode '%s'; up, down and nearest are possible", mode);
  hct_narrowing narrowing = {.dtype = dtype, .saturate = import_int(im, "saturate", 1) != 0, .rounding = modes[row].rounding};
  if (hct_dtype_is_half(dtype)) narrowing = (hct_narrowing){.dtype = dtype};
  if (import_element(dtype) || hct_dtype_is_half(dtype)) return import_output(im, 0, *value_narrow(im, narrowing, a));
  import_value plain = *value_map1(im, "mov", a, import_dtype(dtype));
  plain.element = plain.host.element = 0;
  return import_output(im, 0, plain);
}

hct_status import_cast(importer *im) {
  hct_dtype dtype;
  int64_t to = import_int(im, "to", 0);
  if (!hct_dtype_from_onnx((int32_t)to, &dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "cast to element type %lld; integers, floats and bool are supported", (long long)to);
  return cast(im, import_input(im, 0), dtype);
}

hct_status import_cast_like(importer *im) {
  import_value *like = import_input(im, 1);
  if (!like) return import_refuse(im, HCT_E_ONNX_INVALID, "an input is missing");
  return cast(im, import_input(im, 0), value_half(like) ? value_half(like) : import_declared(like).dtype);
}

hct_status import_where(importer *im) {
  import_value *c = import_input(im, 0), *a = import_input(im, 1), *b = import_input(im, 2);
  hct_shape part, shape;
  HCT_TRY(check_pair(im, a, b, false));
  if (c->shape.dtype != HCT_BOOL) return import_refuse(im, HCT_E_ONNX_TYPE, "a condition of %s; it must be of bools", hct_dtype_name(c->shape.dtype));
  if (!broadcast_shape(&a->shape, &b->shape, &part) || !broadcast_shape(&part, &c->shape, &shape)) return import_refuse(im, HCT_E_ONNX_SHAPE, "shapes of its inputs do not broadcast");
  return import_output(im, 0, *value_select(im, c, a, b));
}

/* The larger first, then the smaller: where min is above max, all are max. */
hct_status import_clip(importer *im) {
  static const char *const names[] = {"min", "max"}, *const fns[] = {"max", "min"};
  import_value *a = import_input(im, 0);
  if (a->shape.dtype == HCT_BOOL) return refuse_type(im, a, "floats and integers");
  for (size_t k = 0; k < 2; k++) {
    import_value *bound = import_input(im, k + 1);
    const Onnx__AttributeProto *given = import_attribute(im, names[k]);
    if (!bound && given) bound = value_number(im, a->shape.dtype, (double)given->f);
    if (!bound) continue;
    HCT_TRY(check_pair(im, a, bound, false));
    if (bound->shape.rank > a->shape.rank || hct_shape_elements(&bound->shape) != 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "%s of %lld elements; it must be a scalar", names[k], (long long)hct_shape_elements(&bound->shape));
    a = value_map2(im, fns[k], a, bound);
  }
  return import_output(im, 0, *a);
}
