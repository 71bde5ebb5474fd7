/* Kernels of elementwise, shape and reduction operators: one loop nest each. */
#include <string.h>

#include "backends/host/host.h"

static hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "host backend: a value that is no static ranked tensor");
  return shape;
}
static hct_shape operand_shape(MlirOperation op, size_t i) { return shape_of(hct_op_operand(op, i)); }
static hct_shape result_shape(MlirOperation op) { return shape_of(hct_op_result(op, 0)); }

static bool emit_elementwise(host_kernel *k, MlirOperation op) {
  hct_shape o = result_shape(op);
  host_value in[3], out;
  host_open(k, "i", o.rank, o.dims);
  for (size_t i = 0; i < (size_t)mlirOperationGetNumOperands(op); i++) {
    hct_shape a = operand_shape(op, i);
    in[i] = host_load(k, hct_arena_printf(k->arena, "a%zu", i), &a, host_index_broadcast(k, "i", o.rank, &a));
  }
  if (hct_op_is(op, "hct_graph.map1")) {
    out = host_map1(k, hct_op_str(op, "fn"), in[0], hct_op_f64_or(op, "scalar", 0), o.dtype);
  } else if (hct_op_is(op, "hct_graph.map2")) {
    out = host_map2(k, hct_op_str(op, "fn"), in[0], in[1]);
  } else if (hct_op_is(op, "hct_graph.select")) {
    out = host_select(k, in[0], in[1], in[2]);
  } else {
    out = in[0];
  }
  if (out.id < 0) return false;
  host_store(k, out, "o0", &o, host_index(k, "i", o.rank));
  host_close(k, o.rank);
  return true;
}

static bool emit_transpose(host_kernel *k, MlirOperation op) {
  hct_shape o = result_shape(op), a = operand_shape(op, 0);
  int64_t permutation[HCT_MAX_RANK];
  hct_op_i64s(op, "perm", permutation, HCT_MAX_RANK);
  const char *index = "";
  for (size_t d = 0; d < a.rank; d++)
    for (size_t i = 0; i < o.rank; i++)
      if (permutation[i] == (int64_t)d) index = hct_arena_printf(k->arena, "%s%s%%i%zu", index, d ? ", " : "", i);
  host_open(k, "i", o.rank, o.dims);
  host_store(k, host_load(k, "a0", &a, index), "o0", &o, host_index(k, "i", o.rank));
  host_close(k, o.rank);
  return true;
}

/* "%i0 * step + start, ..." */
static const char *strided(host_kernel *k, size_t rank, const int64_t *starts, const int64_t *steps) {
  const char *index = "";
  for (size_t i = 0; i < rank; i++)
    index = hct_arena_printf(k->arena, "%s%s%%i%zu * %lld + %lld", index, i ? ", " : "", i, (long long)(steps ? steps[i] : 1), (long long)starts[i]);
  return index;
}

static bool emit_slice(host_kernel *k, MlirOperation op) {
  hct_shape o = result_shape(op), a = operand_shape(op, 0);
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
  hct_op_i64s(op, "starts", starts, HCT_MAX_RANK);
  hct_op_i64s(op, "steps", steps, HCT_MAX_RANK);
  host_open(k, "i", o.rank, o.dims);
  host_store(k, host_load(k, "a0", &a, strided(k, o.rank, starts, steps)), "o0", &o, host_index(k, "i", o.rank));
  host_close(k, o.rank);
  return true;
}

static bool emit_concat(host_kernel *k, MlirOperation op) {
  hct_shape o = result_shape(op);
  int64_t starts[HCT_MAX_RANK] = {0}, axis = hct_op_i64(op, "axis");
  for (size_t i = 0; i < (size_t)mlirOperationGetNumOperands(op); i++) {
    hct_shape a = operand_shape(op, i);
    host_open(k, "i", a.rank, a.dims);
    host_value v = host_load(k, hct_arena_printf(k->arena, "a%zu", i), &a, host_index(k, "i", a.rank));
    host_store(k, v, "o0", &o, strided(k, a.rank, starts, NULL));
    host_close(k, a.rank);
    starts[axis] += a.dims[axis];
  }
  return true;
}

static bool emit_pad(host_kernel *k, MlirOperation op) {
  hct_shape o = result_shape(op), a = operand_shape(op, 0);
  int64_t low[HCT_MAX_RANK];
  hct_op_i64s(op, "low", low, HCT_MAX_RANK);
  host_value value = host_float(k, host_compute_type(o.dtype), hct_op_f64_or(op, "value", 0));
  host_open(k, "i", o.rank, o.dims);
  host_store(k, value, "o0", &o, host_index(k, "i", o.rank));
  host_close(k, o.rank);
  host_open(k, "i", a.rank, a.dims);
  host_store(k, host_load(k, "a0", &a, host_index(k, "i", a.rank)), "o0", &o, strided(k, a.rank, low, NULL));
  host_close(k, a.rank);
  return true;
}

/* Sums of floats are taken in f64 and rounded once. */
static bool emit_reduce(host_kernel *k, MlirOperation op) {
  hct_shape o = result_shape(op), a = operand_shape(op, 0);
  int64_t axes[HCT_MAX_RANK], inner[HCT_MAX_RANK];
  size_t count = hct_op_i64s(op, "axes", axes, HCT_MAX_RANK);
  const char *kind = hct_op_str(op, "kind"), *index = "";
  bool sum = !strcmp(kind, "sum"), larger = !strcmp(kind, "max"), floating = host_compute_type(a.dtype) == HCT_F32 || a.dtype == HCT_F64;
  hct_dtype type = floating && sum ? HCT_F64 : host_compute_type(a.dtype);
  if (type == HCT_BOOL) return false;
  for (size_t d = 0; d < a.rank; d++) {
    size_t r = 0;
    while (r < count && axes[r] != (int64_t)d) r++;
    if (r < count) inner[r] = a.dims[d];
    index = hct_arena_printf(k->arena, "%s%s%%%s%zu", index, d ? ", " : "", r < count ? "r" : "i", r < count ? r : d);
  }
  HOST_LINE(k, "%%acc = memref.alloca() : memref<%s>", host_type_name(type));
  host_value first = sum ? host_float(k, type, 0) : host_extreme(k, type, !larger);
  hct_shape accumulator = {.dtype = type};
  host_open(k, "i", o.rank, o.dims);
  host_store(k, first, "acc", &accumulator, "");
  host_open(k, "r", count, inner);
  host_value v = host_convert(k, host_load(k, "a0", &a, index), type);
  host_store(k, host_map2(k, sum ? "add" : kind, host_load(k, "acc", &accumulator, ""), v), "acc", &accumulator, "");
  host_close(k, count);
  host_store(k, host_convert(k, host_load(k, "acc", &accumulator, ""), host_compute_type(o.dtype)), "o0", &o, host_index(k, "i", o.rank));
  host_close(k, o.rank);
  return true;
}

bool host_kernel_emit(host_kernel *k, MlirOperation op) {
  static const struct { const char *op; bool (*emit)(host_kernel *, MlirOperation); } kernels[] = {
      {"hct_graph.map1", emit_elementwise},      {"hct_graph.map2", emit_elementwise},    {"hct_graph.select", emit_elementwise}, {"hct_graph.broadcast", emit_elementwise},
      {"hct_graph.transpose", emit_transpose},   {"hct_graph.slice", emit_slice},         {"hct_graph.concat", emit_concat},      {"hct_graph.pad", emit_pad},
      {"hct_graph.dropout", host_emit_dropout},  {"hct_graph.reduce", emit_reduce},         {"hct_graph.update", host_emit_update},  {"hct_graph.softmax", host_emit_rows},  {"hct_graph.softmax_grad", host_emit_rows},
      {"hct_graph.gather_rows", host_emit_rows}, {"hct_graph.scatter_rows", host_emit_rows}, {"hct_graph.pick", host_emit_rows},  {"hct_graph.place", host_emit_rows}};
  if (hct_op_is(op, "hct_graph.contract")) return host_emit_contract(k, op), true;
  for (size_t i = 0; i < HCT_COUNT(kernels); i++)
    if (hct_op_is(op, kernels[i].op)) return kernels[i].emit(k, op);
  return false;
}
