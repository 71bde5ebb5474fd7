/* Operators that compute: elementwise, products, normalisations, losses. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

/* ---- elementwise ---- */
static const struct { const char *onnx, *fn; } functions[] = {
    {"Abs", "abs"}, {"Cos", "cos"}, {"Erf", "erf"}, {"Exp", "exp"}, {"Log", "log"}, {"Neg", "neg"}, {"Not", "not"}, {"Reciprocal", "reciprocal"}, {"Relu", "relu"},
    {"Sigmoid", "sigmoid"}, {"Sin", "sin"}, {"Sqrt", "sqrt"}, {"Tanh", "tanh"}, {"Add", "add"}, {"Sub", "sub"}, {"Mul", "mul"}, {"Div", "div"}, {"Max", "max"}, {"Min", "min"},
    {"And", "and"}, {"Or", "or"}, {"Equal", "eq"}, {"Less", "lt"}, {"LessOrEqual", "le"}, {"Greater", "gt"},
};

static const char *function_of(const importer *im) {
  for (size_t i = 0; i < HCT_COUNT(functions); i++)
    if (!strcmp(functions[i].onnx, im->node->op_type)) return functions[i].fn;
  return "";
}

static double fold_unary(const char *fn, double a) {
  if (!strcmp(fn, "abs")) return fabs(a);
  if (!strcmp(fn, "cos")) return (double)cosf((float)a);
  if (!strcmp(fn, "sin")) return (double)sinf((float)a);
  if (!strcmp(fn, "erf")) return erf(a);
  if (!strcmp(fn, "exp")) return (double)expf((float)a);
  if (!strcmp(fn, "log")) return (double)logf((float)a);
  if (!strcmp(fn, "neg")) return -a;
  if (!strcmp(fn, "not")) return a == 0;
  if (!strcmp(fn, "reciprocal")) return 1 / a;
  if (!strcmp(fn, "relu")) return a > 0 ? a : 0;
  if (!strcmp(fn, "sigmoid")) return 1 / (1 + exp(-a));
  if (!strcmp(fn, "sqrt")) return sqrt(a);
  return tanh(a);
}

hct_status import_unary(importer *im) {
  import_value *a = import_input(im, 0);
  const char *fn = function_of(im);
  if (!a->known) return import_output_value(im, 0, build_map1(im, fn, a->value, a->shape.dtype));
  host_tensor t = host_create(im->arena, a->shape.dtype, a->shape.rank, a->shape.dims);
  for (int64_t n = 0; n < hct_shape_elements(&a->shape); n++) host_set(&t, n, fold_unary(fn, host_get(&a->host, n)));
  return import_output_host(im, 0, t);
}

static int64_t fold_int(const char *fn, int64_t a, int64_t b) {
  if (!strcmp(fn, "add")) return (int64_t)((uint64_t)a + (uint64_t)b);
  if (!strcmp(fn, "sub")) return (int64_t)((uint64_t)a - (uint64_t)b);
  if (!strcmp(fn, "mul")) return (int64_t)((uint64_t)a * (uint64_t)b);
  if (!strcmp(fn, "div")) return b == 0 || (a == INT64_MIN && b == -1) ? 0 : a / b;
  if (!strcmp(fn, "max")) return a > b ? a : b;
  if (!strcmp(fn, "min")) return a < b ? a : b;
  if (!strcmp(fn, "and")) return a && b;
  if (!strcmp(fn, "or")) return a || b;
  if (!strcmp(fn, "eq")) return a == b;
  if (!strcmp(fn, "lt")) return a < b;
  if (!strcmp(fn, "le")) return a <= b;
  return a > b;
}

static double fold_float(const char *fn, double a, double b) {
  if (!strcmp(fn, "add")) return a + b;
  if (!strcmp(fn, "sub")) return a - b;
  if (!strcmp(fn, "mul")) return a * b;
  if (!strcmp(fn, "div")) return a / b;
  if (!strcmp(fn, "max")) return fmax(a, b);
  if (!strcmp(fn, "min")) return fmin(a, b);
  if (!strcmp(fn, "pow")) return pow(a, b);
  if (!strcmp(fn, "eq")) return a == b;
  if (!strcmp(fn, "lt")) return a < b;
  if (!strcmp(fn, "le")) return a <= b;
  return a > b;
}

static bool is_comparison(const char *fn) { return !strcmp(fn, "eq") || !strcmp(fn, "lt") || !strcmp(fn, "le") || !strcmp(fn, "gt"); }

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

static hct_status fold_binary(importer *im, const char *fn, const import_value *a, const import_value *b, const hct_shape *shape) {
  host_tensor t = host_create(im->arena, is_comparison(fn) ? HCT_BOOL : a->shape.dtype, shape->rank, shape->dims);
  for (int64_t n = 0; n < hct_shape_elements(shape); n++) {
    int64_t x = broadcast_index(&a->shape, shape, n), y = broadcast_index(&b->shape, shape, n);
    if (a->host.i && b->host.i && strcmp(fn, "pow")) {
      int64_t value = fold_int(fn, a->host.i[x], b->host.i[y]);
      t.i[n] = value;
    } else {
      host_set(&t, n, fold_float(fn, host_get(&a->host, x), host_get(&b->host, y)));
    }
  }
  return import_output_host(im, 0, t);
}

static hct_status binary(importer *im, const char *fn) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  hct_shape shape;
  if (!a || !b || im->node->n_input != 2) return import_refuse(im, HCT_E_UNSUPPORTED, "%s with %zu inputs; two are supported", im->node->op_type, im->node->n_input);
  if (!broadcast_shape(&a->shape, &b->shape, &shape)) return import_refuse(im, HCT_E_ONNX_SHAPE, "shapes of its inputs do not broadcast");
  if (a->known && b->known) return fold_binary(im, fn, a, b, &shape);
  MlirValue x = build_value(im, a), y = build_value(im, b);
  if (!strcmp(fn, "gt")) return import_output_value(im, 0, build_map2(im, "lt", y, x));
  return import_output_value(im, 0, build_map2(im, fn, x, y));
}

hct_status import_binary(importer *im) { return binary(im, function_of(im)); }

hct_status import_pow(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  if (!a || !b) return import_refuse(im, HCT_E_ONNX_INVALID, "an input is missing");
  if (a->known || !b->known || hct_shape_elements(&b->shape) != 1) return binary(im, "pow");
  double exponent = host_get(&b->host, 0);
  MlirValue x = a->value;
  if (exponent == 2) return import_output_value(im, 0, build_map2(im, "mul", x, x));
  if (exponent == 3) return import_output_value(im, 0, build_map2(im, "mul", build_map2(im, "mul", x, x), x));
  if (exponent == 0.5) return import_output_value(im, 0, build_map1(im, "sqrt", x, a->shape.dtype));
  return import_output_value(im, 0, build_scaled(im, "pows", x, exponent));
}

hct_status import_cast(importer *im) {
  import_value *a = import_input(im, 0);
  hct_dtype dtype;
  if (!hct_dtype_from_onnx((int32_t)import_int(im, "to", 0), &dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "cast to element type %lld", (long long)import_int(im, "to", 0));
  dtype = import_dtype(dtype);
  if (!a->known) {
    if (dtype == a->shape.dtype) return import_output(im, 0, *a);
    return import_output_value(im, 0, build_map1(im, "mov", a->value, dtype));
  }
  host_tensor t = host_create(im->arena, dtype, a->shape.rank, a->shape.dims);
  for (int64_t n = 0; n < hct_shape_elements(&a->shape); n++) {
    if (t.i && a->host.i) t.i[n] = dtype == HCT_BOOL ? a->host.i[n] != 0 : a->host.i[n];
    else host_set(&t, n, dtype == HCT_BOOL ? host_get(&a->host, n) != 0 : host_get(&a->host, n));
  }
  return import_output_host(im, 0, t);
}

hct_status import_where(importer *im) {
  import_value *c = import_input(im, 0), *a = import_input(im, 1), *b = import_input(im, 2);
  hct_shape part, shape;
  if (!c || !a || !b || !broadcast_shape(&a->shape, &b->shape, &part) || !broadcast_shape(&part, &c->shape, &shape)) return import_refuse(im, HCT_E_ONNX_SHAPE, "shapes of its inputs do not broadcast");
  if (!(c->known && a->known && b->known)) {
    MlirValue operands[] = {build_value(im, c), build_value(im, a), build_value(im, b)};
    return import_output_value(im, 0, build_op(im, "hct_graph.select", 3, operands, &shape, 0, NULL));
  }
  host_tensor t = host_create(im->arena, a->shape.dtype, shape.rank, shape.dims);
  for (int64_t n = 0; n < hct_shape_elements(&shape); n++) {
    const import_value *from = c->host.i[broadcast_index(&c->shape, &shape, n)] ? a : b;
    int64_t at = broadcast_index(&from->shape, &shape, n);
    if (t.i) t.i[n] = from->host.i[at];
    else t.f[n] = from->host.f[at];
  }
  return import_output_host(im, 0, t);
}

/* ---- products ---- */
hct_status import_matmul(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  if (!a || !b || a->shape.rank < 2 || b->shape.rank < 2) return import_refuse(im, HCT_E_UNSUPPORTED, "operands of rank %zu and %zu; both must have 2 or more", a ? a->shape.rank : 0, b ? b->shape.rank : 0);
  char la[HCT_MAX_RANK + 1] = {0}, lb[HCT_MAX_RANK + 1] = {0}, lc[HCT_MAX_RANK + 1] = {0};
  size_t rank = a->shape.rank > b->shape.rank ? a->shape.rank : b->shape.rank;
  for (size_t d = 0; d + 2 < rank; d++) {
    char letter = (char)('a' + d);
    bool in_a = d + a->shape.rank >= rank, in_b = d + b->shape.rank >= rank;
    if (in_a) la[d + a->shape.rank - rank] = letter;
    if (in_b) lb[d + b->shape.rank - rank] = letter;
    if (in_a && in_b && a->shape.dims[d + a->shape.rank - rank] != b->shape.dims[d + b->shape.rank - rank])
      return import_refuse(im, HCT_E_UNSUPPORTED, "batch dimensions that broadcast by size 1 or differ");
    lc[d] = letter;
  }
  if (a->shape.dims[a->shape.rank - 1] != b->shape.dims[b->shape.rank - 2])
    return import_refuse(im, HCT_E_ONNX_SHAPE, "inner dimensions are %lld and %lld", (long long)a->shape.dims[a->shape.rank - 1], (long long)b->shape.dims[b->shape.rank - 2]);
  strcat(la, "mk"), strcat(lb, "kn"), strcat(lc, "mn");
  return import_output_value(im, 0, build_contract(im, la, lb, lc, build_value(im, a), build_value(im, b)));
}

hct_status import_gemm(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1), *c = import_input(im, 2);
  if (!a || !b || a->shape.rank != 2 || b->shape.rank != 2) return import_refuse(im, HCT_E_ONNX_SHAPE, "operands must be matrices");
  bool ta = import_int(im, "transA", 0) != 0, tb = import_int(im, "transB", 0) != 0;
  if (a->shape.dims[ta ? 0 : 1] != b->shape.dims[tb ? 1 : 0]) return import_refuse(im, HCT_E_ONNX_SHAPE, "inner dimensions differ");
  MlirValue y = build_contract(im, ta ? "km" : "mk", tb ? "nk" : "kn", "mn", build_value(im, a), build_value(im, b));
  double alpha = (double)import_float(im, "alpha", 1), beta = (double)import_float(im, "beta", 1);
  if (alpha != 1) y = build_scaled(im, "muls", y, alpha);
  if (c) {
    MlirValue bias = build_value(im, c);
    y = build_map2(im, "add", y, beta == 1 ? bias : build_scaled(im, "muls", bias, beta));
  }
  return import_output_value(im, 0, y);
}

hct_status import_einsum(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  char equation[64] = {0};
  const char *given = import_string(im, "equation", "");
  size_t length = 0;
  for (; *given && length + 1 < sizeof equation; given++)
    if (*given != ' ') equation[length++] = *given;
  char *comma = strchr(equation, ','), *arrow = strstr(equation, "->");
  if (im->node->n_input != 2 || !comma || !arrow || strchr(equation, '.')) return import_refuse(im, HCT_E_UNSUPPORTED, "equation '%s'; two operands without '...' are supported", equation);
  *comma = *arrow = '\0';
  const char *la = equation, *lb = comma + 1, *lc = arrow + 2;
  if (strlen(la) != a->shape.rank || strlen(lb) != b->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "equation does not fit its operands' ranks");
  if (!(a->known && b->known)) return import_output_value(im, 0, build_contract(im, la, lb, lc, build_value(im, a), build_value(im, b)));
  if (strcmp(la, "i") || strcmp(lb, "j") || strcmp(lc, "ij")) return import_output_value(im, 0, build_contract(im, la, lb, lc, build_value(im, a), build_value(im, b)));
  int64_t dims[] = {a->shape.dims[0], b->shape.dims[0]};
  host_tensor t = host_create(im->arena, a->shape.dtype, 2, dims);
  for (int64_t i = 0; i < dims[0]; i++)
    for (int64_t j = 0; j < dims[1]; j++) host_set(&t, i * dims[1] + j, host_get(&a->host, i) * host_get(&b->host, j));
  return import_output_host(im, 0, t);
}

/* ---- normalisations ---- */
hct_status import_softmax(importer *im) {
  import_value *a = import_input(im, 0);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", im->opset >= 13 ? -1 : 1), a->shape.rank, &axis));
  if (im->opset < 13 && axis + 1 != a->shape.rank) return import_refuse(im, HCT_E_UNSUPPORTED, "opset %lld softmax over more than the last dimension", (long long)im->opset);
  hct_named attributes[] = {{"axis", hct_attr_i64(im->context, (int64_t)axis)}};
  MlirValue x = build_value(im, a);
  return import_output_value(im, 0, build_op(im, "hct_graph.softmax", 1, &x, &a->shape, 1, attributes));
}

hct_status import_layer_norm(importer *im) {
  import_value *a = import_input(im, 0), *gain = import_input(im, 1), *bias = import_input(im, 2);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", -1), a->shape.rank, &axis));
  if (axis + 1 != a->shape.rank || im->node->n_output > 1) return import_refuse(im, HCT_E_UNSUPPORTED, "normalisation over more than the last dimension, or with statistics as outputs");
  int64_t axes[] = {(int64_t)axis};
  double scale = 1 / (double)a->shape.dims[axis];
  MlirValue x = build_value(im, a);
  MlirValue mean = build_scaled(im, "muls", build_reduce(im, "sum", x, 1, axes), scale);
  MlirValue centred = build_map2(im, "sub", x, mean);
  MlirValue variance = build_scaled(im, "muls", build_reduce(im, "sum", build_map2(im, "mul", centred, centred), 1, axes), scale);
  MlirValue deviation = build_map1(im, "sqrt", build_scaled(im, "adds", variance, (double)import_float(im, "epsilon", 1e-5f)), HCT_F32);
  MlirValue y = build_map2(im, "mul", build_map2(im, "div", centred, deviation), build_value(im, gain));
  return import_output_value(im, 0, bias ? build_map2(im, "add", y, build_value(im, bias)) : y);
}

/* ---- loss ---- */
/* What a reshape that only flattens leading dims was given: then logits stay [batch, sequence, classes]. */
static MlirValue before_flatten(MlirValue value, size_t kept_last) {
  if (!mlirValueIsAOpResult(value) || !hct_op_is(mlirOpResultGetOwner(value), "hct_graph.reshape")) return value;
  MlirValue from = hct_op_operand(mlirOpResultGetOwner(value), 0);
  hct_shape before = shape_of(from), after = shape_of(value);
  if (after.rank != 1 + kept_last || before.rank < after.rank) return value;
  if (kept_last && before.dims[before.rank - 1] != after.dims[1]) return value;
  return from;
}

/* loss = sum over tokens of valid (log sum exp(z - m) + m - z[label]) / sum of valid; see the graph dialect's page. */
hct_status import_cross_entropy(importer *im) {
  import_value *logits = import_input(im, 0), *labels = import_input(im, 1);
  const char *reduction = import_string(im, "reduction", "mean");
  if (import_input(im, 2) || strcmp(reduction, "mean") || im->node->n_output > 1) return import_refuse(im, HCT_E_UNSUPPORTED, "class weights, a second output, or reduction '%s'; a plain mean is supported", reduction);
  MlirValue z = before_flatten(build_value(im, logits), 1), ids = before_flatten(build_value(im, labels), 0);
  hct_shape zs = shape_of(z), is = shape_of(ids);
  bool fits = is.rank + 1 == zs.rank && memcmp(zs.dims, is.dims, is.rank * sizeof *is.dims) == 0;
  if (!fits) {
    z = build_value(im, logits), ids = build_value(im, labels), zs = shape_of(z), is = shape_of(ids);
    if (zs.rank != 2 || is.rank != 1) return import_refuse(im, HCT_E_UNSUPPORTED, "classes that are not the last dimension");
  }
  int64_t last[] = {(int64_t)zs.rank - 1}, all[HCT_MAX_RANK];
  for (size_t d = 0; d < is.rank; d++) all[d] = (int64_t)d;
  hct_shape token = is;
  token.dtype = HCT_F32;
  MlirValue highest = build_reduce(im, "max", z, 1, last);
  MlirValue sum = build_reduce(im, "sum", build_map1(im, "exp", build_map2(im, "sub", z, highest), HCT_F32), 1, last);
  MlirValue spread = build_reshape(im, build_map2(im, "add", build_map1(im, "log", sum, HCT_F32), highest), is.rank, is.dims);
  MlirValue pick_operands[] = {z, ids};
  MlirValue target = build_op(im, "hct_graph.pick", 2, pick_operands, &token, 0, NULL);
  MlirValue nll = build_map2(im, "sub", spread, target);
  host_tensor ignored = host_create(im->arena, is.dtype, 0, NULL);
  ignored.i[0] = import_int(im, "ignore_index", -100);
  import_value ignore = {.known = true, .host = ignored, .shape = ignored.shape};
  bool has_ignore = import_attribute(im, "ignore_index") != NULL;
  if (!has_ignore) ignored.i[0] = INT64_MIN;
  MlirValue skip = build_map2(im, "eq", ids, build_value(im, &ignore));
  MlirValue valid = build_map1(im, "mov", build_map1(im, "not", skip, HCT_BOOL), HCT_F32);
  MlirValue numerator = build_reduce(im, "sum", build_map2(im, "mul", nll, valid), is.rank, all);
  MlirValue count = build_reduce(im, "sum", valid, is.rank, all);
  return import_output_value(im, 0, build_reshape(im, build_map2(im, "div", numerator, count), 0, NULL));
}
