/* Operators that compute: elementwise and reductions. */
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
  if (!a->known) {
    if (dtype == a->shape.dtype) return import_output(im, 0, *a);
    return import_output_value(im, 0, build_map1(im, "mov", a->value, dtype == HCT_F64 ? HCT_F32 : dtype));
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

/* ---- reductions ---- */
hct_status import_reduce(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t axes[HCT_MAX_RANK], kept[HCT_MAX_RANK];
  size_t count = 0, rank = 0;
  double elements = 1;
  if (!import_ints(im, "axes", 1, axes, HCT_MAX_RANK, &count) || count == 0)
    for (count = 0; count < a->shape.rank; count++) axes[count] = (int64_t)count;
  bool reduced[HCT_MAX_RANK] = {false};
  for (size_t i = 0; i < count; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], a->shape.rank, &axis));
    axes[i] = (int64_t)axis;
    reduced[axis] = true;
    elements *= (double)a->shape.dims[axis];
  }
  const char *op = im->node->op_type, *kind = !strcmp(op, "ReduceMax") ? "max" : !strcmp(op, "ReduceMin") ? "min" : "sum";
  MlirValue y = build_reduce(im, kind, build_value(im, a), count, axes);
  if (!strcmp(op, "ReduceMean")) y = build_scaled(im, "muls", y, 1 / elements);
  for (size_t d = 0; d < a->shape.rank; d++)
    if (!reduced[d]) kept[rank++] = a->shape.dims[d];
  if (!import_int(im, "keepdims", 1)) y = build_reshape(im, y, rank, kept);
  return import_output_value(im, 0, y);
}
