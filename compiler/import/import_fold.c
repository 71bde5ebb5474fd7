/* Elementwise functions of values: of known ones the result is known too, of others it is built. Folding computes in double, or in f32 where
 * PyTorch's tables are made so, in 64 bits for integers, and rounds or cuts to the element type as dies do. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"
#include "ir/isa/instr.h"

static import_value *known(importer *im, host_tensor host) {
  import_value *v = HCT_NEW(im->arena, import_value);
  *v = (import_value){.known = true, .host = host, .shape = host.shape, .element = host.element};
  return v;
}

static import_value *built(importer *im, MlirValue value) {
  import_value *v = HCT_NEW(im->arena, import_value);
  *v = (import_value){.value = value, .shape = shape_of(value)};
  return v;
}

static void set_int(host_tensor *t, int64_t index, int64_t value) {
  uint8_t bytes[8];
  hct_element_set_int(t->shape.dtype, bytes, value);
  if (t->i) t->i[index] = hct_element_get_int(t->shape.dtype, bytes);
  else t->f[index] = (float)hct_element_get(t->shape.dtype, bytes);
}

import_value *value_number(importer *im, hct_dtype dtype, double number) {
  host_tensor t = host_create(im->arena, dtype, 0, NULL);
  host_set(&t, 0, number);
  return known(im, t);
}

/* ---- one operand ---- */
static double fold_exp(double a) { return (double)expf((float)a); }
static double fold_log(double a) { return (double)logf((float)a); }
static double fold_sin(double a) { return (double)sinf((float)a); }
static double fold_cos(double a) { return (double)cosf((float)a); }
static double fold_mov(double a) { return a; }
static double fold_neg(double a) { return -a; }
static double fold_not(double a) { return a == 0; }
static double fold_reciprocal(double a) { return 1 / a; }
static double fold_relu(double a) { return isnan(a) || a > 0 ? a : 0; }
static double fold_sigmoid(double a) { return 1 / (1 + exp(-a)); }
static double fold_sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : a; }

static double (*const unary[])(double) = {
    [HCT_FN_MAP1_ABS] = fabs,   [HCT_FN_MAP1_ACOS] = acos,   [HCT_FN_MAP1_ACOSH] = acosh,       [HCT_FN_MAP1_ASIN] = asin,     [HCT_FN_MAP1_ASINH] = asinh, [HCT_FN_MAP1_ATAN] = atan,
    [HCT_FN_MAP1_ATANH] = atanh, [HCT_FN_MAP1_COS] = fold_cos, [HCT_FN_MAP1_COSH] = cosh,       [HCT_FN_MAP1_ERF] = erf,       [HCT_FN_MAP1_EXP] = fold_exp, [HCT_FN_MAP1_EXPM1] = expm1,
    [HCT_FN_MAP1_FLOOR] = floor, [HCT_FN_MAP1_LOG] = fold_log, [HCT_FN_MAP1_LOG1P] = log1p,     [HCT_FN_MAP1_MOV] = fold_mov,  [HCT_FN_MAP1_NEG] = fold_neg, [HCT_FN_MAP1_NOT] = fold_not,
    [HCT_FN_MAP1_RECIPROCAL] = fold_reciprocal, [HCT_FN_MAP1_RELU] = fold_relu, [HCT_FN_MAP1_ROUND] = nearbyint, [HCT_FN_MAP1_SIGMOID] = fold_sigmoid, [HCT_FN_MAP1_SIGN] = fold_sign,
    [HCT_FN_MAP1_SIN] = fold_sin, [HCT_FN_MAP1_SINH] = sinh, [HCT_FN_MAP1_SQRT] = sqrt,         [HCT_FN_MAP1_TAN] = tan,       [HCT_FN_MAP1_TANH] = tanh,
};

/* Integers whose result a double might round: to the same bits as the dies'. */
static bool fold_int1(uint8_t fn, int64_t a, int64_t *out_value) {
  switch (fn) {
    case HCT_FN_MAP1_MOV: case HCT_FN_MAP1_FLOOR: case HCT_FN_MAP1_ROUND: *out_value = a; return true;
    case HCT_FN_MAP1_NEG: *out_value = (int64_t)(0 - (uint64_t)a); return true;
    case HCT_FN_MAP1_ABS: *out_value = a < 0 ? (int64_t)(0 - (uint64_t)a) : a; return true;
    default: return false;
  }
}

static uint8_t code_of(const char *table, const char *fn) {
  const hct_function_info *function = hct_function_by_name(table, fn);
  HCT_BUG_ON(!function, "no function '%s'", fn);
  return function->code;
}

import_value *value_map1(importer *im, const char *fn, import_value *a, hct_dtype result) {
  uint8_t code = code_of("MAP1", fn);
  if (code == HCT_FN_MAP1_MOV && a->shape.dtype == result) return a;
  if (!a->known) return built(im, build_map1(im, fn, a->value, result));
  HCT_BUG_ON(code >= HCT_COUNT(unary) || !unary[code], "no value of '%s' at compile time", fn);
  host_tensor t = host_create(im->arena, result, a->shape.rank, a->shape.dims);
  bool u64 = a->shape.dtype == HCT_U64 && t.f; /* the bits are not the number */
  for (int64_t n = 0, count = hct_shape_elements(&a->shape), whole; n < count; n++) {
    if (a->host.i && !u64 && fold_int1(code, a->host.i[n], &whole)) set_int(&t, n, whole);
    else host_set(&t, n, unary[code](u64 ? (double)(uint64_t)a->host.i[n] : host_get(&a->host, n)));
  }
  return known(im, t);
}

hct_dtype value_half(const import_value *a) {
  MlirOperation op = !mlirValueIsNull(a->value) && mlirValueIsAOpResult(a->value) ? mlirOpResultGetOwner(a->value) : (MlirOperation){NULL};
  hct_narrowing narrowing = {0};
  hct_shape from = {0};
  if (mlirOperationIsNull(op) || !hct_op_is(op, "hct_graph.map1")) return 0;
  if (!strcmp(hct_op_str(op, "fn"), "narrow")) hct_narrowing_parse(hct_op_f64_or(op, "scalar", 0), &narrowing);
  else if (!strcmp(hct_op_str(op, "fn"), "mov") && hct_value_shape(hct_op_operand(op, 0), &from)) narrowing.dtype = from.dtype;
  return hct_dtype_is_half(narrowing.dtype) ? narrowing.dtype : 0;
}

import_value *value_narrow(importer *im, hct_narrowing narrowing, import_value *a) {
  hct_dtype element = import_element(narrowing.dtype);
  if (element && a->element == element) return a;
  a = value_map1(im, "mov", a, import_dtype(hct_dtype_computed(narrowing.dtype)));
  if (value_half(a) == narrowing.dtype) return a;
  if (!a->known) {
    import_value *v = built(im, build_scaled(im, "narrow", a->value, hct_narrowing_code(narrowing)));
    v->element = element;
    return v;
  }
  host_tensor t = host_create(im->arena, a->shape.dtype, a->shape.rank, a->shape.dims);
  t.element = element;
  for (int64_t n = 0; n < hct_shape_elements(&a->shape); n++) {
    if (t.f) t.f[n] = (float)hct_narrow(narrowing, (double)a->host.f[n]);
    else t.i[n] = hct_narrow_int(narrowing, a->host.i[n]);
  }
  return known(im, t);
}

import_value *value_wide(importer *im, import_value *a) { return a->shape.dtype == HCT_F16 || a->shape.dtype == HCT_BF16 ? value_map1(im, "mov", a, HCT_F32) : a; }

import_value *value_scaled(importer *im, const char *fn, import_value *a, double scalar) {
  if (!a->known) return built(im, build_scaled(im, fn, a->value, scalar));
  host_tensor t = host_create(im->arena, a->shape.dtype, a->shape.rank, a->shape.dims);
  for (int64_t n = 0; n < hct_shape_elements(&a->shape); n++) {
    double x = host_get(&a->host, n);
    host_set(&t, n, !strcmp(fn, "adds") ? x + scalar : !strcmp(fn, "muls") ? x * scalar : pow(x, scalar));
  }
  return known(im, t);
}

/* ---- two operands ---- */
static int64_t fold_power(int64_t base, int64_t exponent) {
  uint64_t product = 1;
  if (exponent < 0) return base == 1 || (base == -1 && exponent % 2 == 0) ? 1 : base == -1 ? -1 : 0;
  for (uint64_t square = (uint64_t)base, left = (uint64_t)exponent; left; left >>= 1, square *= square)
    if (left & 1) product *= square;
  return (int64_t)product;
}

/* `u`: of ui64. Dividing by zero gives zero. */
static int64_t fold_int2(uint8_t fn, int64_t a, int64_t b, bool u) {
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  bool less = u ? x < y : a < b;
  switch (fn) {
    case HCT_FN_MAP2_ADD: return (int64_t)(x + y);
    case HCT_FN_MAP2_SUB: return (int64_t)(x - y);
    case HCT_FN_MAP2_MUL: return (int64_t)(x * y);
    case HCT_FN_MAP2_DIV: return b == 0 ? 0 : u ? (int64_t)(x / y) : b == -1 ? (int64_t)(0 - x) : a / b;
    case HCT_FN_MAP2_FMOD: return b == 0 || (b == -1 && !u) ? 0 : u ? (int64_t)(x % y) : a % b;
    case HCT_FN_MAP2_POW: return fold_power(a, b);
    case HCT_FN_MAP2_MAX: return less ? b : a;
    case HCT_FN_MAP2_MIN: return less ? a : b;
    case HCT_FN_MAP2_AND: return a && b;
    case HCT_FN_MAP2_OR: return a || b;
    case HCT_FN_MAP2_BIT_AND: return a & b;
    case HCT_FN_MAP2_BIT_OR: return a | b;
    case HCT_FN_MAP2_BIT_XOR: return a ^ b;
    case HCT_FN_MAP2_EQ: return a == b;
    case HCT_FN_MAP2_LT: return less;
    case HCT_FN_MAP2_LE: return less || a == b;
    default: hct_bug(__FILE__, __LINE__, "map2 function %d of integers", fn);
  }
}

static double fold_float2(uint8_t fn, double a, double b) {
  switch (fn) {
    case HCT_FN_MAP2_ADD: return a + b;
    case HCT_FN_MAP2_SUB: return a - b;
    case HCT_FN_MAP2_MUL: return a * b;
    case HCT_FN_MAP2_DIV: return a / b;
    case HCT_FN_MAP2_FMOD: return fmod(a, b);
    case HCT_FN_MAP2_POW: return pow(a, b);
    case HCT_FN_MAP2_MAX: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case HCT_FN_MAP2_MIN: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case HCT_FN_MAP2_EQ: return a == b;
    case HCT_FN_MAP2_LT: return a < b;
    case HCT_FN_MAP2_LE: return a <= b;
    default: hct_bug(__FILE__, __LINE__, "map2 function %d of floats", fn);
  }
}

static int64_t broadcast_index(const hct_shape *from, const hct_shape *to, int64_t n) {
  int64_t strides[HCT_MAX_RANK], at = 0;
  if (from->rank == 0) return 0;
  host_strides(from, strides);
  for (size_t d = to->rank; d-- > 0;) {
    int64_t index = n % to->dims[d];
    n /= to->dims[d];
    size_t lead = to->rank - from->rank;
    if (d >= lead && from->dims[d - lead] != 1) at += index * strides[d - lead];
  }
  return at;
}

import_value *value_map2(importer *im, const char *fn, import_value *a, import_value *b) {
  hct_shape shape;
  HCT_BUG_ON(!broadcast_shape(&a->shape, &b->shape, &shape), "shapes of '%s' do not broadcast", fn);
  if (!a->known || !b->known) {
    MlirValue second = build_value(im, b);
    return built(im, build_map2(im, fn, build_value(im, a), second));
  }
  uint8_t code = code_of("MAP2", fn);
  bool compares = code == HCT_FN_MAP2_EQ || code == HCT_FN_MAP2_LT || code == HCT_FN_MAP2_LE, u = a->shape.dtype == HCT_U64;
  host_tensor t = host_create(im->arena, compares ? HCT_BOOL : a->shape.dtype, shape.rank, shape.dims);
  for (int64_t n = 0; n < hct_shape_elements(&shape); n++) {
    int64_t x = broadcast_index(&a->shape, &shape, n), y = broadcast_index(&b->shape, &shape, n);
    if (a->host.i && b->host.i) set_int(&t, n, fold_int2(code, a->host.i[x], b->host.i[y], u));
    else host_set(&t, n, fold_float2(code, host_get(&a->host, x), host_get(&b->host, y)));
  }
  return known(im, t);
}

import_value *value_select(importer *im, import_value *c, import_value *a, import_value *b) {
  hct_shape part, shape;
  HCT_BUG_ON(!broadcast_shape(&a->shape, &b->shape, &part) || !broadcast_shape(&part, &c->shape, &shape), "shapes of a selection do not broadcast");
  if (!c->known || !a->known || !b->known) {
    MlirValue condition = build_value(im, c), yes = build_value(im, a), no = build_value(im, b), operands[] = {condition, yes, no};
    return built(im, build_op(im, "hct_graph.select", 3, operands, &shape, 0, NULL));
  }
  host_tensor t = host_create(im->arena, a->shape.dtype, shape.rank, shape.dims);
  for (int64_t n = 0; n < hct_shape_elements(&shape); n++) {
    const import_value *from = c->host.i[broadcast_index(&c->shape, &shape, n)] ? a : b;
    int64_t at = broadcast_index(&from->shape, &shape, n);
    if (t.i) t.i[n] = from->host.i[at];
    else t.f[n] = from->host.f[at];
  }
  return known(im, t);
}
