/* Gradient rules: one function a row of gradients.def. Each adds to the gradients of the operands, given dy of the result; an
 * operand that carries no gradient costs nothing. */
#include <stdio.h>
#include <string.h>

#include "compiler/transform/derive_training.h"

static const double two_over_sqrt_pi = 1.1283791670955126;

static MlirValue operand(MlirOperation op, size_t i) { return hct_op_operand(op, i); }
static MlirValue result(MlirOperation op) { return hct_op_result(op, 0); }
static MlirValue mul(hct_tape *t, MlirValue a, MlirValue b) { return hct_tape_map2(t, "mul", a, b); }
static MlirValue neg(hct_tape *t, MlirValue a) { return hct_tape_map1(t, "neg", a); }

/* ---- map1 ---- */

static void rule_none(hct_tape *t, MlirOperation op, MlirValue dy) { (void)t, (void)op, (void)dy; }
static void rule_mov(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), dy); }
static void rule_neg(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), neg(t, dy)); }
static void rule_abs(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue a = operand(op, 0), zero = hct_tape_scalar(t, 0), minus = neg(t, dy);
  MlirValue negative = hct_tape_select(t, hct_tape_map2(t, "lt", a, zero), minus, zero);
  hct_tape_add(t, a, hct_tape_select(t, hct_tape_map2(t, "lt", zero, a), dy, negative));
}
static void rule_exp(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), mul(t, dy, result(op))); }
static void rule_log(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_tape_add(t, operand(op, 0), hct_tape_map2(t, "div", dy, operand(op, 0)));
}
static void rule_sqrt(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_tape_add(t, operand(op, 0), hct_tape_map2(t, "div", hct_tape_map1s(t, "muls", dy, 0.5), result(op)));
}
static void rule_rsqrt(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue y = result(op), cube = mul(t, y, mul(t, y, y));
  hct_tape_add(t, operand(op, 0), mul(t, hct_tape_map1s(t, "muls", dy, -0.5), cube));
}
static void rule_reciprocal(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue y = result(op);
  hct_tape_add(t, operand(op, 0), neg(t, mul(t, dy, mul(t, y, y))));
}
static void rule_tanh(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue y = result(op), dyy = mul(t, mul(t, dy, y), y);
  hct_tape_add(t, operand(op, 0), hct_tape_map2(t, "sub", dy, dyy));
}
static void rule_erf(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue a = operand(op, 0), bell = hct_tape_map1(t, "exp", neg(t, mul(t, a, a)));
  hct_tape_add(t, a, mul(t, hct_tape_map1s(t, "muls", dy, two_over_sqrt_pi), bell));
}
static void rule_sigmoid(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue y = result(op), dyy = mul(t, dy, y);
  hct_tape_add(t, operand(op, 0), hct_tape_map2(t, "sub", dyy, mul(t, dyy, y)));
}
static void rule_relu(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue zero = hct_tape_scalar(t, 0);
  hct_tape_add(t, operand(op, 0), hct_tape_select(t, hct_tape_map2(t, "lt", zero, operand(op, 0)), dy, zero));
}
static void rule_sin(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_tape_add(t, operand(op, 0), mul(t, dy, hct_tape_map1(t, "cos", operand(op, 0))));
}
static void rule_cos(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_tape_add(t, operand(op, 0), neg(t, mul(t, dy, hct_tape_map1(t, "sin", operand(op, 0)))));
}
/* scale a^2 + offset */
static MlirValue quadratic(hct_tape *t, MlirValue a, double scale, double offset) { return hct_tape_map1s(t, "adds", hct_tape_map1s(t, "muls", mul(t, a, a), scale), offset); }
static void rule_tan(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), mul(t, dy, quadratic(t, result(op), 1, 1))); }
static void rule_asin(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), mul(t, dy, hct_tape_map1(t, "rsqrt", quadratic(t, operand(op, 0), -1, 1)))); }
static void rule_acos(hct_tape *t, MlirOperation op, MlirValue dy) { rule_asin(t, op, neg(t, dy)); }
static void rule_atan(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), hct_tape_map2(t, "div", dy, quadratic(t, operand(op, 0), 1, 1))); }
static void rule_sinh(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), mul(t, dy, hct_tape_map1(t, "cosh", operand(op, 0)))); }
static void rule_cosh(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), mul(t, dy, hct_tape_map1(t, "sinh", operand(op, 0)))); }
static void rule_asinh(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), mul(t, dy, hct_tape_map1(t, "rsqrt", quadratic(t, operand(op, 0), 1, 1)))); }
static void rule_acosh(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), mul(t, dy, hct_tape_map1(t, "rsqrt", quadratic(t, operand(op, 0), 1, -1)))); }
static void rule_atanh(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), hct_tape_map2(t, "div", dy, quadratic(t, operand(op, 0), -1, 1))); }
static void rule_expm1(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), mul(t, dy, hct_tape_map1s(t, "adds", result(op), 1))); }
static void rule_log1p(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), hct_tape_map2(t, "div", dy, hct_tape_map1s(t, "adds", operand(op, 0), 1))); }
static void rule_adds(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 0), dy); }
static void rule_muls(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_tape_add(t, operand(op, 0), hct_tape_map1s(t, "muls", dy, hct_op_f64_or(op, "scalar", 1)));
}
static void rule_pows(hct_tape *t, MlirOperation op, MlirValue dy) {
  double exponent = hct_op_f64_or(op, "scalar", 1);
  MlirValue power = hct_tape_map1s(t, "pows", operand(op, 0), exponent - 1);
  hct_tape_add(t, operand(op, 0), mul(t, hct_tape_map1s(t, "muls", dy, exponent), power));
}

/* ---- map2, select ---- */

static void rule_add(hct_tape *t, MlirOperation op, MlirValue dy) {
  for (size_t i = 0; i < 2; i++) hct_tape_add(t, operand(op, i), dy);
}
static void rule_sub(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_tape_add(t, operand(op, 0), dy);
  if (hct_tape_wants(t, operand(op, 1))) { /* the sum over broadcast dims first: the negation is then smaller */
    hct_shape shape = hct_tape_shape(operand(op, 1));
    hct_tape_add(t, operand(op, 1), neg(t, hct_tape_to_shape(t, dy, &shape)));
  }
}
static void rule_mul(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue a = operand(op, 0), b = operand(op, 1);
  if (mlirValueEqual(a, b)) {
    hct_tape_add(t, a, mul(t, hct_tape_map1s(t, "muls", dy, 2), a));
    return;
  }
  if (hct_tape_wants(t, a)) hct_tape_add(t, a, mul(t, dy, b));
  if (hct_tape_wants(t, b)) hct_tape_add(t, b, mul(t, dy, a));
}
static void rule_div(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue a = operand(op, 0), b = operand(op, 1), da = hct_tape_map2(t, "div", dy, b);
  hct_tape_add(t, a, da);
  if (hct_tape_wants(t, b)) {
    hct_shape shape = hct_tape_shape(b);
    hct_tape_add(t, b, neg(t, hct_tape_to_shape(t, mul(t, da, result(op)), &shape)));
  }
}
static void extreme(hct_tape *t, MlirOperation op, MlirValue dy, bool larger) {
  MlirValue a = operand(op, 0), b = operand(op, 1), zero = hct_tape_scalar(t, 0);
  MlirValue half = hct_tape_map1s(t, "muls", dy, 0.5), shared = hct_tape_select(t, hct_tape_map2(t, "eq", a, b), half, zero);
  MlirValue a_less = hct_tape_map2(t, "lt", a, b), b_less = hct_tape_map2(t, "lt", b, a);
  hct_tape_add(t, a, hct_tape_select(t, larger ? b_less : a_less, dy, shared));
  hct_tape_add(t, b, hct_tape_select(t, larger ? a_less : b_less, dy, shared));
}
static void rule_max(hct_tape *t, MlirOperation op, MlirValue dy) { extreme(t, op, dy, true); }
static void rule_min(hct_tape *t, MlirOperation op, MlirValue dy) { extreme(t, op, dy, false); }
static void rule_pow(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue a = operand(op, 0), b = operand(op, 1);
  if (hct_tape_wants(t, a)) {
    MlirValue power = hct_tape_map2(t, "pow", a, hct_tape_map1s(t, "adds", b, -1));
    hct_tape_add(t, a, mul(t, dy, mul(t, b, power)));
  }
  if (hct_tape_wants(t, b)) {
    MlirValue zero = hct_tape_scalar(t, 0), slope = mul(t, result(op), hct_tape_map1(t, "log", a));
    hct_tape_add(t, b, mul(t, dy, hct_tape_select(t, hct_tape_map2(t, "eq", a, zero), zero, slope)));
  }
}
static void rule_fmod(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue a = operand(op, 0), b = operand(op, 1);
  hct_tape_add(t, a, dy);
  if (hct_tape_wants(t, b)) hct_tape_add(t, b, neg(t, mul(t, dy, hct_tape_map2(t, "div", hct_tape_map2(t, "sub", a, result(op)), b))));
}
static void rule_exp_sub(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue a = operand(op, 0), b = operand(op, 1), da = mul(t, dy, result(op));
  hct_tape_add(t, a, da);
  if (hct_tape_wants(t, b)) {
    hct_shape shape = hct_tape_shape(b);
    hct_tape_add(t, b, neg(t, hct_tape_to_shape(t, da, &shape)));
  }
}
static void rule_select(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue zero = hct_tape_scalar(t, 0);
  if (hct_tape_wants(t, operand(op, 1))) hct_tape_add(t, operand(op, 1), hct_tape_select(t, operand(op, 0), dy, zero));
  if (hct_tape_wants(t, operand(op, 2))) hct_tape_add(t, operand(op, 2), hct_tape_select(t, operand(op, 0), zero, dy));
}

static void rule_detach(hct_tape *t, MlirOperation op, MlirValue dy) { hct_tape_add(t, operand(op, 1), dy); }

/* ---- shape ---- */

static void rule_reshape(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_shape shape = hct_tape_shape(operand(op, 0));
  hct_tape_add(t, operand(op, 0), hct_tape_reshape(t, dy, shape.rank, shape.dims));
}
static void rule_transpose(hct_tape *t, MlirOperation op, MlirValue dy) {
  int64_t permutation[HCT_MAX_RANK], inverse[HCT_MAX_RANK];
  size_t rank = hct_op_i64s(op, "perm", permutation, HCT_MAX_RANK);
  for (size_t i = 0; i < rank; i++) inverse[permutation[i]] = (int64_t)i;
  hct_tape_add(t, operand(op, 0), hct_tape_transpose(t, dy, inverse));
}
static void rule_broadcast(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_shape shape = hct_tape_shape(operand(op, 0));
  hct_tape_add(t, operand(op, 0), hct_tape_to_shape(t, dy, &shape));
}

/* Element i of dim d goes to position i * step: each element becomes the first of a row of `step`, whose rest is 0. The result
 * has dims[d] * step positions. */
static MlirValue spread(hct_tape *t, MlirValue a, size_t dim, int64_t step) {
  hct_shape shape = hct_tape_shape(a);
  int64_t low[HCT_MAX_RANK] = {0}, dims[HCT_MAX_RANK];
  HCT_BUG_ON(shape.rank == HCT_MAX_RANK, "the gradient of a strided slice of rank %d", HCT_MAX_RANK);
  for (size_t i = 0; i <= shape.rank; i++) dims[i] = i <= dim ? shape.dims[i] : i == dim + 1 ? 1 : shape.dims[i - 1];
  a = hct_tape_reshape(t, a, shape.rank + 1, dims);
  dims[dim + 1] = step;
  a = hct_tape_pad(t, a, low, dims);
  shape.dims[dim] *= step;
  return hct_tape_reshape(t, a, shape.rank, shape.dims);
}

static void rule_slice(hct_tape *t, MlirOperation op, MlirValue dy) {
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK], zeros[HCT_MAX_RANK] = {0};
  hct_shape shape = hct_tape_shape(dy);
  hct_op_i64s(op, "starts", starts, HCT_MAX_RANK);
  hct_op_i64s(op, "steps", steps, HCT_MAX_RANK);
  for (size_t d = 0; d < shape.rank; d++) {
    if (steps[d] < 0) { /* elements come in reverse: turn dy round, and start at its smallest position */
      int64_t from_end[HCT_MAX_RANK] = {0}, back[HCT_MAX_RANK];
      for (size_t i = 0; i < shape.rank; i++) back[i] = 1;
      from_end[d] = shape.dims[d] - 1, back[d] = -1;
      if (shape.dims[d] > 1) dy = hct_tape_slice(t, dy, from_end, back, shape.dims);
      starts[d] += (shape.dims[d] - 1) * steps[d];
      steps[d] = -steps[d];
    }
    if (steps[d] > 1 && shape.dims[d] > 1) {
      dy = spread(t, dy, d, steps[d]);
      shape.dims[d] = (shape.dims[d] - 1) * steps[d] + 1; /* zeros after the last element need no place */
      dy = hct_tape_slice(t, dy, zeros, NULL, shape.dims);
    }
  }
  hct_tape_add_slice(t, operand(op, 0), dy, starts);
}

static void rule_concat(hct_tape *t, MlirOperation op, MlirValue dy) {
  int64_t axis = hct_op_i64(op, "axis"), starts[HCT_MAX_RANK] = {0};
  for (size_t i = 0; i < (size_t)mlirOperationGetNumOperands(op); i++) {
    hct_shape shape = hct_tape_shape(operand(op, i));
    if (hct_tape_wants(t, operand(op, i))) hct_tape_add(t, operand(op, i), hct_tape_slice(t, dy, starts, NULL, shape.dims));
    starts[axis] += shape.dims[axis];
  }
}
static void rule_pad(hct_tape *t, MlirOperation op, MlirValue dy) {
  int64_t low[HCT_MAX_RANK];
  hct_shape shape = hct_tape_shape(operand(op, 0));
  hct_op_i64s(op, "low", low, HCT_MAX_RANK);
  hct_tape_add(t, operand(op, 0), hct_tape_slice(t, dy, low, NULL, shape.dims));
}

/* ---- reduce, contract, rows ---- */

static void rule_reduce(hct_tape *t, MlirOperation op, MlirValue dy) {
  MlirValue a = operand(op, 0);
  if (!strcmp(hct_op_str(op, "kind"), "sum")) {
    hct_tape_add(t, a, dy); /* broadcasts */
    return;
  }
  int64_t axes[HCT_MAX_RANK];
  size_t count = hct_op_i64s(op, "axes", axes, HCT_MAX_RANK);
  MlirValue mask = hct_tape_map2(t, "eq", a, result(op)), zero = hct_tape_scalar(t, 0);
  MlirValue ties = hct_tape_reduce(t, "sum", hct_tape_convert(t, mask, hct_tape_shape(dy).dtype), count, axes);
  hct_tape_add(t, a, hct_tape_select(t, mask, hct_tape_map2(t, "div", dy, ties), zero));
}

/* Gradient of operand `which` of contract(A, B -> C): contract(C, other -> that operand's letters). A letter that only this
 * operand has was summed over it alone: its gradient repeats along it (size 1 here, broadcast later). */
static void contract_operand(hct_tape *t, MlirOperation op, MlirValue dy, size_t which) {
  MlirValue target = operand(op, which), other = operand(op, 1 - which);
  if (!hct_tape_wants(t, target)) return;
  const char *spec = hct_op_str(op, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  char inputs[2][HCT_MAX_RANK + 1] = {{0}}, letters[HCT_MAX_RANK + 1] = {0}, derived[64];
  snprintf(inputs[0], sizeof inputs[0], "%.*s", (int)(comma - spec), spec);
  snprintf(inputs[1], sizeof inputs[1], "%.*s", (int)(arrow - comma - 1), comma + 1);
  hct_shape whole = hct_tape_shape(target), shape = whole;
  int64_t dims[HCT_MAX_RANK];
  shape.rank = 0;
  for (size_t i = 0; i < whole.rank; i++) {
    bool known = strchr(inputs[1 - which], inputs[which][i]) || strchr(arrow + 2, inputs[which][i]);
    dims[i] = known ? whole.dims[i] : 1;
    if (!known) continue;
    letters[shape.rank] = inputs[which][i];
    shape.dims[shape.rank++] = whole.dims[i];
  }
  snprintf(derived, sizeof derived, "%s,%s->%s", arrow + 2, inputs[1 - which], letters);
  MlirValue gradient = hct_tape_contract(t, derived, dy, other, &shape);
  if (hct_op_has(op, "hct.pairs")) hct_op_set(mlirOpResultGetOwner(gradient), "hct.pairs", mlirOperationGetAttributeByName(op, hct_ref("hct.pairs"))); /* the same pairs */
  hct_tape_add(t, target, hct_tape_reshape(t, gradient, whole.rank, dims));
}
static void rule_contract(hct_tape *t, MlirOperation op, MlirValue dy) {
  contract_operand(t, op, dy, 0);
  contract_operand(t, op, dy, 1);
}
static void rule_softmax(hct_tape *t, MlirOperation op, MlirValue dy) {
  hct_shape shape = hct_tape_shape(dy);
  MlirValue operands[] = {result(op), dy};
  hct_named attribute = {"axis", hct_attr_i64(t->builder.context, hct_op_i64(op, "axis"))};
  hct_tape_add(t, operand(op, 0), hct_tape_emit(t, "hct_graph.softmax_grad", 2, operands, &shape, 1, &attribute));
}
/* The mask is made again from its counters: nothing of forward is read. */
static void rule_dropout(hct_tape *t, MlirOperation op, MlirValue dy) {
  static const char *const names[] = {"ratio", "stream", "index"};
  hct_named attributes[HCT_COUNT(names)];
  for (size_t i = 0; i < HCT_COUNT(names); i++) attributes[i] = (hct_named){names[i], mlirOperationGetAttributeByName(op, hct_ref(names[i]))};
  hct_shape shape = hct_tape_shape(dy);
  MlirValue operands[] = {dy, operand(op, 1), operand(op, 2)};
  hct_tape_add(t, operand(op, 0), hct_tape_emit(t, "hct_graph.dropout", 3, operands, &shape, HCT_COUNT(names), attributes));
}
/* gather_rows, scatter_rows, pick and place come in pairs: the gradient of one is the other, with the same ids. */
static void rows(hct_tape *t, MlirOperation op, MlirValue dy, const char *adjoint) {
  hct_shape shape = hct_tape_shape(operand(op, 0));
  MlirValue operands[] = {dy, operand(op, 1)};
  const hct_named run = {"run", mlirOperationGetAttributeByName(op, hct_ref("run"))};
  hct_tape_add(t, operand(op, 0), hct_tape_emit(t, adjoint, 2, operands, &shape, !mlirAttributeIsNull(run.value), &run));
}
static void rule_gather_rows(hct_tape *t, MlirOperation op, MlirValue dy) { rows(t, op, dy, "hct_graph.scatter_rows"); }
static void rule_scatter_rows(hct_tape *t, MlirOperation op, MlirValue dy) { rows(t, op, dy, "hct_graph.gather_rows"); }
static void rule_pick(hct_tape *t, MlirOperation op, MlirValue dy) { rows(t, op, dy, "hct_graph.place"); }
static void rule_place(hct_tape *t, MlirOperation op, MlirValue dy) { rows(t, op, dy, "hct_graph.pick"); }

/* ---- the table ---- */

static const struct {
  const char *op, *fn;
  hct_gradient_rule rule;
} rules[] = {
#define HCT_GRADIENT(op, fn, rule) {op, fn, rule_##rule},
#include "compiler/transform/gradients.def"
#undef HCT_GRADIENT
};

hct_gradient_rule hct_gradient_rule_find(MlirOperation op) {
  const char *name = hct_op_name(op), *fn = hct_op_str_or(op, "fn", "");
  for (size_t i = 0; i < HCT_COUNT(rules); i++)
    if (!strcmp(rules[i].op, name) && (!rules[i].fn[0] || !strcmp(rules[i].fn, fn))) return rules[i].rule;
  return NULL;
}

bool hct_gradient_is_zero(MlirOperation op) { return hct_gradient_rule_find(op) == rule_none; }
