/* Kernels of row-wise operators: softmax and its gradient, table lookups, class picks. */
#include <string.h>

#include "backends/host/host.h"

static hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "host backend: a value that is no static ranked tensor");
  return shape;
}

/* Rows run over %i, what they are made of over %r0: the index of an element, and the dims of the rows. */
typedef struct rows {
  hct_shape shape, outer; /* outer: size 1 along the axis */
  int64_t length;
  const char *index;
} rows;

static rows rows_along(host_kernel *k, hct_shape shape, size_t axis) {
  rows r = {.shape = shape, .outer = shape, .length = shape.dims[axis], .index = ""};
  r.outer.dims[axis] = 1;
  for (size_t d = 0; d < shape.rank; d++) {
    const char *comma = d ? ", " : "";
    r.index = d == axis ? hct_arena_printf(k->arena, "%s%s%%r0", r.index, comma) : hct_arena_printf(k->arena, "%s%s%%i%zu", r.index, comma, d);
  }
  return r;
}

static host_value accumulator_get(host_kernel *k, const char *name, hct_dtype type) { return host_load(k, name, &(hct_shape){.dtype = type}, ""); }
static void accumulator_set(host_kernel *k, const char *name, host_value value) { host_store(k, value, name, &(hct_shape){.dtype = value.type}, ""); }

static void emit_softmax(host_kernel *k, MlirOperation op) {
  rows r = rows_along(k, shape_of(hct_op_result(op, 0)), (size_t)hct_op_i64(op, "axis"));
  HOST_LINE(k, "%%max = memref.alloca() : memref<f32>");
  HOST_LINE(k, "%%sum = memref.alloca() : memref<f64>");
  host_value lowest = host_float(k, HCT_F32, -1.0 / 0.0), zero = host_float(k, HCT_F64, 0);
  host_open(k, "i", r.outer.rank, r.outer.dims);
  accumulator_set(k, "max", lowest);
  accumulator_set(k, "sum", zero);
  host_open(k, "r", 1, &r.length);
  host_value a = host_load(k, "a0", &r.shape, r.index);
  accumulator_set(k, "max", host_binary(k, "arith.maximumf", accumulator_get(k, "max", HCT_F32), a));
  host_close(k, 1);
  host_value highest = accumulator_get(k, "max", HCT_F32);
  host_open(k, "r", 1, &r.length);
  host_value e = host_unary(k, "math.exp", host_binary(k, "arith.subf", host_load(k, "a0", &r.shape, r.index), highest));
  host_store(k, e, "o0", &r.shape, r.index);
  e = host_convert(k, e, HCT_F64);
  accumulator_set(k, "sum", host_binary(k, "arith.addf", accumulator_get(k, "sum", HCT_F64), e));
  host_close(k, 1);
  host_value sum = accumulator_get(k, "sum", HCT_F64), scale = host_binary(k, "arith.divf", host_float(k, HCT_F64, 1), sum);
  host_open(k, "r", 1, &r.length);
  host_value y = host_binary(k, "arith.mulf", host_convert(k, host_load(k, "o0", &r.shape, r.index), HCT_F64), scale);
  host_store(k, host_convert(k, y, HCT_F32), "o0", &r.shape, r.index);
  host_close(k, 1 + r.outer.rank);
}

static void emit_softmax_grad(host_kernel *k, MlirOperation op) {
  rows r = rows_along(k, shape_of(hct_op_result(op, 0)), (size_t)hct_op_i64(op, "axis"));
  HOST_LINE(k, "%%dot = memref.alloca() : memref<f64>");
  host_value zero = host_float(k, HCT_F64, 0);
  host_open(k, "i", r.outer.rank, r.outer.dims);
  accumulator_set(k, "dot", zero);
  host_open(k, "r", 1, &r.length);
  host_value y = host_convert(k, host_load(k, "a0", &r.shape, r.index), HCT_F64), g = host_convert(k, host_load(k, "a1", &r.shape, r.index), HCT_F64);
  g = host_binary(k, "arith.mulf", y, g);
  accumulator_set(k, "dot", host_binary(k, "arith.addf", accumulator_get(k, "dot", HCT_F64), g));
  host_close(k, 1);
  host_value dot = accumulator_get(k, "dot", HCT_F64);
  host_open(k, "r", 1, &r.length);
  y = host_convert(k, host_load(k, "a0", &r.shape, r.index), HCT_F64), g = host_convert(k, host_load(k, "a1", &r.shape, r.index), HCT_F64);
  host_store(k, host_convert(k, host_binary(k, "arith.mulf", y, host_binary(k, "arith.subf", g, dot)), HCT_F32), "o0", &r.shape, r.index);
  host_close(k, 1 + r.outer.rank);
}

/* ---- tables ---- */

static host_value compare_i64(host_kernel *k, const char *predicate, host_value a, host_value b) {
  host_value v = host_value_new(k, HCT_BOOL);
  HOST_LINE(k, "%%v%d = arith.cmpi %s, %%v%d, %%v%d : i64", v.id, predicate, a.id, b.id);
  return v;
}

/* The row that the id at %i names, as the index value %row; ids below zero count from the end, others are faults. */
static void emit_row(host_kernel *k, const hct_shape *ids, const char *name, int64_t table_rows) {
  host_value id = host_convert(k, host_load(k, name, ids, host_index(k, "i", ids->rank)), HCT_I64);
  host_value zero = host_float(k, HCT_I64, 0), count = host_float(k, HCT_I64, (double)table_rows);
  host_value from_end = host_binary(k, "arith.addi", id, count), wrapped = host_select(k, compare_i64(k, "slt", id, zero), from_end, id);
  host_value outside = compare_i64(k, "uge", wrapped, count); /* unsigned: below zero is outside too */
  HOST_LINE(k, "scf.if %%v%d {", outside.id);
  HOST_LINE(k, "  affine.store %%id, %%f[0] : memref<3xi64>");
  HOST_LINE(k, "  affine.store %%v%d, %%f[1] : memref<3xi64>", id.id);
  HOST_LINE(k, "  affine.store %%v%d, %%f[2] : memref<3xi64>", count.id);
  HOST_LINE(k, "}");
  host_value row = host_select(k, outside, zero, wrapped);
  HOST_LINE(k, "%%row = arith.index_cast %%v%d : i64 to index", row.id);
}

static const char *row_index(host_kernel *k, size_t features) {
  const char *index = "%row";
  for (size_t i = 0; i < features; i++) index = hct_arena_printf(k->arena, "%s, %%r%zu", index, i);
  return index;
}

static const char *token_index(host_kernel *k, size_t tokens, size_t features) {
  const char *index = host_index(k, "i", tokens);
  for (size_t i = 0; i < features; i++) index = hct_arena_printf(k->arena, "%s%s%%r%zu", index, tokens + i ? ", " : "", i);
  return index;
}

static host_value table_load(host_kernel *k, const char *name, const hct_shape *table, const char *index) {
  host_value v = host_value_new(k, table->dtype);
  HOST_LINE(k, "%%v%d = memref.load %%%s[%s] : %s", v.id, name, index, host_memref(k, table));
  return host_convert(k, v, host_compute_type(table->dtype));
}

static void emit_gather(host_kernel *k, MlirOperation op) {
  hct_shape o = shape_of(hct_op_result(op, 0)), table = shape_of(hct_op_operand(op, 0)), ids = shape_of(hct_op_operand(op, 1));
  size_t features = table.rank - 1;
  host_open(k, "i", ids.rank, ids.dims);
  emit_row(k, &ids, "a1", table.dims[0]);
  host_open(k, "r", features, table.dims + 1);
  host_store(k, table_load(k, "a0", &table, row_index(k, features)), "o0", &o, token_index(k, ids.rank, features));
  host_close(k, features + ids.rank);
}

static void emit_scatter(host_kernel *k, MlirOperation op) {
  hct_shape table = shape_of(hct_op_result(op, 0)), g = shape_of(hct_op_operand(op, 0)), ids = shape_of(hct_op_operand(op, 1));
  size_t features = table.rank - 1;
  host_value zero = host_float(k, host_compute_type(table.dtype), 0);
  host_open(k, "i", table.rank, table.dims);
  host_store(k, zero, "o0", &table, host_index(k, "i", table.rank));
  host_close(k, table.rank);
  host_open(k, "i", ids.rank, ids.dims);
  emit_row(k, &ids, "a1", table.dims[0]);
  host_open(k, "r", features, table.dims + 1);
  host_value v = host_load(k, "a0", &g, token_index(k, ids.rank, features)), old = table_load(k, "o0", &table, row_index(k, features));
  host_value sum = host_convert(k, host_binary(k, "arith.addf", old, v), table.dtype);
  HOST_LINE(k, "memref.store %%v%d, %%o0[%s] : %s", sum.id, row_index(k, features), host_memref(k, &table));
  host_close(k, features + ids.rank);
}

/* pick: z[..., id]; place: g at class id; nothing where id names no class. */
static void emit_class(host_kernel *k, MlirOperation op, bool place) {
  hct_shape z = shape_of(place ? hct_op_result(op, 0) : hct_op_operand(op, 0)), ids = shape_of(hct_op_operand(op, 1));
  hct_shape tokens = shape_of(place ? hct_op_operand(op, 0) : hct_op_result(op, 0));
  host_value zero = host_float(k, host_compute_type(z.dtype), 0), none = host_float(k, HCT_I64, 0), classes = host_float(k, HCT_I64, (double)z.dims[z.rank - 1]);
  host_open(k, "i", ids.rank, ids.dims);
  host_value id = host_convert(k, host_load(k, "a1", &ids, host_index(k, "i", ids.rank)), HCT_I64);
  host_value outside = compare_i64(k, "uge", id, classes), row = host_select(k, outside, none, id);
  HOST_LINE(k, "%%row = arith.index_cast %%v%d : i64 to index", row.id);
  const char *index = hct_arena_printf(k->arena, "%s%s%%row", host_index(k, "i", ids.rank), ids.rank ? ", " : "");
  if (place) {
    int64_t length = z.dims[z.rank - 1];
    host_open(k, "r", 1, &length);
    host_store(k, zero, "o0", &z, token_index(k, ids.rank, 1));
    host_close(k, 1);
    host_value v = host_convert(k, host_select(k, outside, zero, host_load(k, "a0", &tokens, host_index(k, "i", ids.rank))), z.dtype);
    HOST_LINE(k, "memref.store %%v%d, %%o0[%s] : %s", v.id, index, host_memref(k, &z));
  } else {
    host_store(k, host_select(k, outside, zero, table_load(k, "a0", &z, index)), "o0", &tokens, host_index(k, "i", ids.rank));
  }
  host_close(k, ids.rank);
}

bool host_emit_rows(host_kernel *k, MlirOperation op) {
  if (host_compute_type(shape_of(hct_op_result(op, 0)).dtype) != HCT_F32 || hct_op_has(op, "run")) return false; /* no weight of the host's is in pieces */
  if (hct_op_is(op, "hct_graph.softmax")) emit_softmax(k, op);
  else if (hct_op_is(op, "hct_graph.softmax_grad")) emit_softmax_grad(k, op);
  else if (hct_op_is(op, "hct_graph.gather_rows")) emit_gather(k, op);
  else if (hct_op_is(op, "hct_graph.scatter_rows")) emit_scatter(k, op);
  else emit_class(k, op, hct_op_is(op, "hct_graph.place"));
  return true;
}
