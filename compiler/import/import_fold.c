/* Elementwise functions of values: of known ones the result is known too, of others it is built. Folding computes in double, or in f32 where
 * PyTorch's tables are made so, in 64 bits for integers, and rounds or cuts to the element type as dies do. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

static import_value *known(importer *im, host_tensor host) {
  import_value *v = HCT_NEW(im->arena, import_value);
  *v = (import_value){.known = true, .host = host, .shape = host.shape};
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
  else t->f[index] = hct_element_get(t->shape.dtype, bytes);
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
static double fold_neg(double a) { return -a; }
static double fold_not(double a) { return a == 0; }
static double fold_reciprocal(double a) { return 1 / a; }
static double fold_relu(double a) { return isnan(a) || a > 0 ? a : 0; }
static double fold_sigmoid(double a) { return 1 / (1 + exp(-a)); }
static double fold_sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : a; }

static const struct { const char *fn; double (*fold)(double); } unary[] = {
    {"abs", fabs}, {"acos", acos}, {"acosh", acosh}, {"asin", asin}, {"asinh", asinh}, {"atan", atan}, {"atanh", atanh}, {"cos", fold_cos}, {"cosh", cosh}, {"erf", erf},
    {"exp", fold_exp}, {"expm1", expm1}, {"floor", floor}, {"log", fold_log}, {"log1p", log1p}, {"neg", fold_neg}, {"not", fold_not}, {"reciprocal", fold_reciprocal},
    {"relu", fold_relu}, {"round", nearbyint}, {"sigmoid", fold_sigmoid}, {"sign", fold_sign}, {"sin", fold_sin}, {"sinh", sinh}, {"sqrt", sqrt}, {"tan", tan}, {"tanh", tanh},
};

/* Integers whose result a double might round: to the same bits as the dies'. */
static bool fold_int1(const char *fn, int64_t a, int64_t *out_value) {
  uint64_t bits = (uint64_t)a;
  if (!strcmp(fn, "mov") || !strcmp(fn, "floor") || !strcmp(fn, "round")) return *out_value = a, true;
  if (!strcmp(fn, "neg")) return *out_value = (int64_t)(0 - bits), true;
  if (!strcmp(fn, "abs")) return *out_value = a < 0 ? (int64_t)(0 - bits) : a, true;
  return false;
}

import_value *value_map1(importer *im, const char *fn, import_value *a, hct_dtype result) {
  bool mov = !strcmp(fn, "mov");
  if (mov && a->shape.dtype == result) return a;
  if (!a->known) return built(im, build_map1(im, fn, a->value, result == HCT_F64 ? HCT_F32 : result));
  host_tensor t = host_create(im->arena, result, a->shape.rank, a->shape.dims);
  size_t row = 0;
  while (!mov && row < HCT_COUNT(unary) && strcmp(unary[row].fn, fn)) row++;
  HCT_BUG_ON(row == HCT_COUNT(unary), "no value of '%s' at compile time", fn);
  for (int64_t n = 0; n < hct_shape_elements(&a->shape); n++) {
    int64_t whole;
    bool u64 = a->shape.dtype == HCT_U64 && t.f; /* the bits are not the number */
    if (a->host.i && !u64 && fold_int1(fn, a->host.i[n], &whole)) set_int(&t, n, whole);
    else if (mov) host_set(&t, n, u64 ? (double)(uint64_t)a->host.i[n] : host_get(&a->host, n));
    else host_set(&t, n, unary[row].fold(host_get(&a->host, n)));
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
static int64_t fold_int2(const char *fn, int64_t a, int64_t b, bool u) {
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  bool less = u ? x < y : a < b;
  if (!strcmp(fn, "add")) return (int64_t)(x + y);
  if (!strcmp(fn, "sub")) return (int64_t)(x - y);
  if (!strcmp(fn, "mul")) return (int64_t)(x * y);
  if (!strcmp(fn, "div")) return b == 0 ? 0 : u ? (int64_t)(x / y) : b == -1 ? (int64_t)(0 - x) : a / b;
  if (!strcmp(fn, "fmod")) return b == 0 || (b == -1 && !u) ? 0 : u ? (int64_t)(x % y) : a % b;
  if (!strcmp(fn, "pow")) return fold_power(a, b);
  if (!strcmp(fn, "max")) return less ? b : a;
  if (!strcmp(fn, "min")) return less ? a : b;
  if (!strcmp(fn, "and")) return a && b;
  if (!strcmp(fn, "or")) return a || b;
  if (!strcmp(fn, "bit_and")) return a & b;
  if (!strcmp(fn, "bit_or")) return a | b;
  if (!strcmp(fn, "bit_xor")) return a ^ b;
  if (!strcmp(fn, "eq")) return a == b;
  if (!strcmp(fn, "lt")) return less;
  return less || a == b;
}

static double fold_float2(const char *fn, double a, double b) {
  if (!strcmp(fn, "add")) return a + b;
  if (!strcmp(fn, "sub")) return a - b;
  if (!strcmp(fn, "mul")) return a * b;
  if (!strcmp(fn, "div")) return a / b;
  if (!strcmp(fn, "fmod")) return fmod(a, b);
  if (!strcmp(fn, "pow")) return pow(a, b);
  if (!strcmp(fn, "max")) return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
  if (!strcmp(fn, "min")) return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
  if (!strcmp(fn, "eq")) return a == b;
  if (!strcmp(fn, "lt")) return a < b;
  return a <= b;
}

static int64_t broadcast_index(const hct_shape *from, const hct_shape *to, int64_t n) {
  int64_t strides[HCT_MAX_RANK], at = 0;
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
  if (!a->known || !b->known) return built(im, build_map2(im, fn, build_value(im, a), build_value(im, b)));
  bool compares = !strcmp(fn, "eq") || !strcmp(fn, "lt") || !strcmp(fn, "le"), u = a->shape.dtype == HCT_U64;
  host_tensor t = host_create(im->arena, compares ? HCT_BOOL : a->shape.dtype, shape.rank, shape.dims);
  for (int64_t n = 0; n < hct_shape_elements(&shape); n++) {
    int64_t x = broadcast_index(&a->shape, &shape, n), y = broadcast_index(&b->shape, &shape, n);
    if (a->host.i && b->host.i) set_int(&t, n, fold_int2(fn, a->host.i[x], b->host.i[y], u));
    else host_set(&t, n, fold_float2(fn, host_get(&a->host, x), host_get(&b->host, y)));
  }
  return known(im, t);
}

import_value *value_select(importer *im, import_value *c, import_value *a, import_value *b) {
  hct_shape part, shape;
  HCT_BUG_ON(!broadcast_shape(&a->shape, &b->shape, &part) || !broadcast_shape(&part, &c->shape, &shape), "shapes of a selection do not broadcast");
  if (!c->known || !a->known || !b->known) {
    MlirValue operands[] = {build_value(im, c), build_value(im, a), build_value(im, b)};
    if (shape.dtype == HCT_F64) shape.dtype = HCT_F32;
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
