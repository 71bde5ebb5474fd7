/* hct-expand
 *
 *   %y = "hct_graph.silu"(%x)
 * becomes
 *   %0 = sigmoid(%x);  %y = mul(%x, %0)
 *
 * Composite operators of hct-raise as primitive ones, which are what is differentiated, partitioned and lowered: one spelling for each, whatever
 * the exporter's was. Rows are multiplied by 1 / sqrt of their variance, which is all that backward needs of it. All bear the composite operator's location. */
#include <math.h>
#include <string.h>

#include "compiler/pass.h"
#include "compiler/transform/derive_training.h"

typedef MlirValue (*expand_function)(hct_tape *t, MlirOperation op);

static MlirValue mean(hct_tape *t, MlirValue x, size_t axis_count, const int64_t *axes) {
  hct_shape shape = hct_tape_shape(x);
  double count = 1;
  for (size_t i = 0; i < axis_count; i++) count *= (double)shape.dims[axes[i]];
  return hct_tape_map1s(t, "muls", hct_tape_reduce(t, "sum", x, axis_count, axes), 1 / count);
}

/* x / sqrt(mean(x^2) + eps), times the gain, plus the bias. */
static MlirValue expand_scale(hct_tape *t, MlirOperation op, MlirValue x) {
  int64_t axes[HCT_MAX_RANK], first = hct_op_i64(op, "axis");
  size_t count = hct_tape_shape(x).rank - (size_t)first, at = 1;
  for (size_t i = 0; i < count; i++) axes[i] = first + (int64_t)i;
  MlirValue variance = mean(t, hct_tape_map2(t, "mul", x, x), count, axes);
  double eps = hct_op_f64_or(op, "eps", 0);
  MlirValue y = hct_tape_map2(t, "mul", x, hct_tape_map1(t, "rsqrt", eps != 0 ? hct_tape_map1s(t, "adds", variance, eps) : variance));
  if (hct_op_bool_or(op, "gain", false)) y = hct_tape_map2(t, "mul", y, hct_op_operand(op, at++));
  return hct_op_bool_or(op, "bias", false) ? hct_tape_map2(t, "add", y, hct_op_operand(op, at)) : y;
}

static MlirValue expand_layer_norm(hct_tape *t, MlirOperation op) {
  MlirValue x = hct_op_operand(op, 0);
  int64_t axes[HCT_MAX_RANK], first = hct_op_i64(op, "axis");
  size_t count = hct_tape_shape(x).rank - (size_t)first;
  for (size_t i = 0; i < count; i++) axes[i] = first + (int64_t)i;
  return expand_scale(t, op, hct_tape_map2(t, "sub", x, mean(t, x, count, axes)));
}

static MlirValue expand_rms_norm(hct_tape *t, MlirOperation op) { return expand_scale(t, op, hct_op_operand(op, 0)); }

static MlirValue expand_gelu(hct_tape *t, MlirOperation op) {
  MlirValue x = hct_op_operand(op, 0), inner;
  if (!strcmp(hct_op_str(op, "approximate"), "tanh")) {
    MlirValue cube = hct_tape_map2(t, "mul", hct_tape_map2(t, "mul", x, x), x);
    MlirValue sum = hct_tape_map2(t, "add", x, hct_tape_map1s(t, "muls", cube, 0.044715));
    inner = hct_tape_map1(t, "tanh", hct_tape_map1s(t, "muls", sum, M_SQRT2 * M_2_SQRTPI / 2));
  } else {
    inner = hct_tape_map1(t, "erf", hct_tape_map1s(t, "muls", x, M_SQRT1_2));
  }
  MlirValue gate = hct_tape_map1s(t, "adds", inner, 1);
  return hct_tape_map2(t, "mul", hct_tape_map1s(t, "muls", x, 0.5), gate);
}

static MlirValue expand_silu(hct_tape *t, MlirOperation op) { return hct_tape_map2(t, "mul", hct_op_operand(op, 0), hct_tape_map1(t, "sigmoid", hct_op_operand(op, 0))); }

static MlirValue half(hct_tape *t, MlirValue x, int second) {
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK];
  hct_shape shape = hct_tape_shape(x);
  for (size_t d = 0; d < shape.rank; d++) steps[d] = 1;
  shape.dims[shape.rank - 1] /= 2;
  starts[shape.rank - 1] = second * shape.dims[shape.rank - 1];
  return hct_tape_slice(t, x, starts, steps, shape.dims);
}

static MlirValue expand_rope(hct_tape *t, MlirOperation op) {
  MlirValue x = hct_op_operand(op, 0), negative = hct_tape_map1(t, "neg", half(t, x, 1)), parts[] = {negative, half(t, x, 0)};
  hct_shape shape = hct_tape_shape(x);
  hct_named axis = {"axis", hct_attr_i64(t->builder.context, (int64_t)shape.rank - 1)};
  MlirValue turned = hct_tape_emit(t, "hct_graph.concat", 2, parts, &shape, 1, &axis);
  turned = hct_tape_map2(t, "mul", turned, hct_op_operand(op, 2));
  return hct_tape_map2(t, "add", hct_tape_map2(t, "mul", x, hct_op_operand(op, 1)), turned);
}

static MlirValue contract(hct_tape *t, const char *spec, MlirValue a, MlirValue b) {
  hct_shape x = hct_tape_shape(a), y = hct_tape_shape(b), shape = {.dtype = x.dtype};
  const char *second = strchr(spec, ',') + 1, *result = strstr(spec, "->") + 2;
  for (const char *at = result; *at; at++) {
    const char *in_first = memchr(spec, *at, (size_t)(second - spec - 1)), *in_second = strchr(second, *at);
    shape.dims[shape.rank++] = in_first ? x.dims[in_first - spec] : y.dims[in_second - second];
  }
  return hct_tape_contract(t, spec, a, b, &shape);
}

static MlirValue expand_attention(hct_tape *t, MlirOperation op) {
  MlirValue scores = contract(t, hct_op_str(op, "scores"), hct_op_operand(op, 0), hct_op_operand(op, 1));
  double scale = hct_op_f64_or(op, "scale", 1);
  if (scale != 1) scores = hct_tape_map1s(t, "muls", scores, scale);
  const char *mask = hct_op_str(op, "mask");
  if (!strcmp(mask, "add")) scores = hct_tape_map2(t, "add", scores, hct_op_operand(op, 3));
  if (!strcmp(mask, "keep")) scores = hct_tape_select(t, hct_op_operand(op, 3), scores, hct_tape_scalar(t, hct_op_f64_or(op, "fill", 0)));
  if (!strcmp(mask, "drop")) scores = hct_tape_select(t, hct_op_operand(op, 3), hct_tape_scalar(t, hct_op_f64_or(op, "fill", 0)), scores);
  if (!strcmp(mask, "blend")) scores = hct_tape_map2(t, "sub", hct_tape_map2(t, "mul", scores, hct_op_operand(op, 3)), hct_op_operand(op, 4));
  hct_shape shape = hct_tape_shape(scores);
  hct_named axis = {"axis", hct_attr_i64(t->builder.context, (int64_t)shape.rank - 1)};
  return contract(t, hct_op_str(op, "mix"), hct_tape_emit(t, "hct_graph.softmax", 1, &scores, &shape, 1, &axis), hct_op_operand(op, 2));
}

static MlirValue expand_linear(hct_tape *t, MlirOperation op) {
  MlirValue y = contract(t, hct_op_str(op, "spec"), hct_op_operand(op, 0), hct_op_operand(op, 1));
  return mlirOperationGetNumOperands(op) == 3 ? hct_tape_map2(t, "add", y, hct_op_operand(op, 2)) : y;
}

hct_status hct_pass_expand(hct_pass_context *pass, MlirModule module) {
  static const struct { const char *name; expand_function expand; } composites[] = {
      {"hct_graph.layer_norm", expand_layer_norm}, {"hct_graph.rms_norm", expand_rms_norm}, {"hct_graph.gelu", expand_gelu}, {"hct_graph.silu", expand_silu},
      {"hct_graph.rope", expand_rope}, {"hct_graph.attention", expand_attention}, {"hct_graph.linear", expand_linear},
  };
  MlirOperation function = hct_module_function(module), *operations;
  size_t count = hct_block_operations(pass->arena, hct_function_body(function), &operations);
  for (size_t i = 0; i < count; i++) {
    for (size_t c = 0; c < HCT_COUNT(composites); c++) {
      if (!hct_op_is(operations[i], composites[c].name)) continue;
      hct_tape tape = {.arena = pass->arena, .group = -1, .builder = {.context = pass->context, .block = mlirOperationGetBlock(operations[i]), .before = operations[i], .location = mlirOperationGetLocation(operations[i])}};
      hct_value_replace(hct_op_result(operations[i], 0), composites[c].expand(&tape, operations[i]));
      mlirOperationDestroy(operations[i]);
      break;
    }
  }
  return HCT_OK;
}
