/* Builders of hct-derive-training: hct_graph operations with inferred shapes. */
#include <string.h>

#include "compiler/transform/derive_training.h"

hct_shape hct_tape_shape(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "hct-derive-training: a value that is no static ranked tensor");
  return shape;
}

MlirValue hct_tape_emit(hct_tape *tape, const char *op, size_t operand_count, const MlirValue *operands, const hct_shape *result,
                        size_t attribute_count, const hct_named *attributes) {
  MlirContext context = tape->builder.context;
  MlirType type = hct_type_tensor(context, result->dtype, result->rank, result->dims);
  MlirValue value = hct_build_value(&tape->builder, op, operand_count, operands, type, attribute_count, attributes);
  MlirOperation built = mlirOpResultGetOwner(value);
  if (tape->layer) hct_op_set(built, "hct.layer", hct_attr_str(context, tape->layer));
  if (tape->group >= 0) hct_op_set(built, "hct.group", hct_attr_i64(context, tape->group));
  if (tape->pass) hct_op_set(built, "hct.pass", hct_attr_str(context, tape->pass));
  return value;
}

MlirValue hct_tape_scalar(hct_tape *tape, double value) {
  MlirType type = hct_type_tensor(tape->builder.context, HCT_F32, 0, NULL);
  hct_named attribute = {"value", mlirDenseElementsAttrFloatSplatGet(type, (float)value)};
  return hct_tape_emit(tape, "hct_graph.constant", 0, NULL, &(hct_shape){.dtype = HCT_F32}, 1, &attribute);
}

MlirValue hct_tape_map1(hct_tape *tape, const char *fn, MlirValue a) {
  hct_shape shape = hct_tape_shape(a);
  hct_named attribute = {"fn", hct_attr_str(tape->builder.context, fn)};
  return hct_tape_emit(tape, "hct_graph.map1", 1, &a, &shape, 1, &attribute);
}

MlirValue hct_tape_map1s(hct_tape *tape, const char *fn, MlirValue a, double scalar) {
  hct_shape shape = hct_tape_shape(a);
  hct_named attributes[] = {{"fn", hct_attr_str(tape->builder.context, fn)}, {"scalar", hct_attr_f64(tape->builder.context, scalar)}};
  return hct_tape_emit(tape, "hct_graph.map1", 1, &a, &shape, 2, attributes);
}

MlirValue hct_tape_convert(hct_tape *tape, MlirValue a, hct_dtype dtype) {
  hct_shape shape = hct_tape_shape(a);
  if (shape.dtype == dtype) return a;
  shape.dtype = dtype;
  hct_named attribute = {"fn", hct_attr_str(tape->builder.context, "mov")};
  return hct_tape_emit(tape, "hct_graph.map1", 1, &a, &shape, 1, &attribute);
}

static hct_shape broadcast_shapes(hct_shape a, hct_shape b) {
  hct_shape shape = a.rank >= b.rank ? a : b, other = a.rank >= b.rank ? b : a;
  shape.dtype = a.dtype;
  for (size_t i = 0; i < other.rank; i++) {
    int64_t *dim = &shape.dims[shape.rank - other.rank + i];
    if (*dim == 1) *dim = other.dims[i];
  }
  return shape;
}

static bool is_predicate(const char *fn) {
  return !strcmp(fn, "eq") || !strcmp(fn, "lt") || !strcmp(fn, "le");
}

MlirValue hct_tape_map2(hct_tape *tape, const char *fn, MlirValue a, MlirValue b) {
  hct_shape shape = broadcast_shapes(hct_tape_shape(a), hct_tape_shape(b));
  if (is_predicate(fn)) shape.dtype = HCT_BOOL;
  hct_named attribute = {"fn", hct_attr_str(tape->builder.context, fn)};
  MlirValue operands[] = {a, b};
  return hct_tape_emit(tape, "hct_graph.map2", 2, operands, &shape, 1, &attribute);
}

MlirValue hct_tape_select(hct_tape *tape, MlirValue condition, MlirValue a, MlirValue b) {
  hct_shape shape = broadcast_shapes(broadcast_shapes(hct_tape_shape(a), hct_tape_shape(b)), hct_tape_shape(condition));
  MlirValue operands[] = {condition, a, b};
  return hct_tape_emit(tape, "hct_graph.select", 3, operands, &shape, 0, NULL);
}

MlirValue hct_tape_reshape(hct_tape *tape, MlirValue a, size_t rank, const int64_t *dims) {
  hct_shape shape = hct_tape_shape(a);
  if (shape.rank == rank && !memcmp(shape.dims, dims, rank * sizeof(*dims))) return a;
  shape.rank = rank;
  for (size_t i = 0; i < rank; i++) shape.dims[i] = dims[i];
  return hct_tape_emit(tape, "hct_graph.reshape", 1, &a, &shape, 0, NULL);
}

MlirValue hct_tape_transpose(hct_tape *tape, MlirValue a, const int64_t *permutation) {
  hct_shape from = hct_tape_shape(a), shape = from;
  for (size_t i = 0; i < from.rank; i++) shape.dims[i] = from.dims[permutation[i]];
  hct_named attribute = {"perm", hct_attr_i64s(tape->builder.context, from.rank, permutation)};
  return hct_tape_emit(tape, "hct_graph.transpose", 1, &a, &shape, 1, &attribute);
}

MlirValue hct_tape_broadcast(hct_tape *tape, MlirValue a, const hct_shape *shape) {
  hct_shape from = hct_tape_shape(a), to = *shape;
  if (from.rank == to.rank && !memcmp(from.dims, to.dims, to.rank * sizeof(*to.dims))) return a;
  to.dtype = from.dtype;
  return hct_tape_emit(tape, "hct_graph.broadcast", 1, &a, &to, 0, NULL);
}

MlirValue hct_tape_slice(hct_tape *tape, MlirValue a, const int64_t *starts, const int64_t *steps, const int64_t *dims) {
  hct_shape shape = hct_tape_shape(a);
  int64_t ones[HCT_MAX_RANK];
  for (size_t i = 0; i < shape.rank; i++) shape.dims[i] = dims[i], ones[i] = 1;
  hct_named attributes[] = {{"starts", hct_attr_i64s(tape->builder.context, shape.rank, starts)},
                            {"steps", hct_attr_i64s(tape->builder.context, shape.rank, steps ? steps : ones)}};
  return hct_tape_emit(tape, "hct_graph.slice", 1, &a, &shape, 2, attributes);
}

MlirValue hct_tape_pad(hct_tape *tape, MlirValue a, const int64_t *low, const int64_t *dims) {
  hct_shape shape = hct_tape_shape(a);
  if (!memcmp(shape.dims, dims, shape.rank * sizeof(*dims))) return a;
  for (size_t i = 0; i < shape.rank; i++) shape.dims[i] = dims[i];
  hct_named attributes[] = {{"low", hct_attr_i64s(tape->builder.context, shape.rank, low)},
                            {"value", hct_attr_f64(tape->builder.context, 0)}};
  return hct_tape_emit(tape, "hct_graph.pad", 1, &a, &shape, 2, attributes);
}

MlirValue hct_tape_reduce(hct_tape *tape, const char *kind, MlirValue a, size_t axis_count, const int64_t *axes) {
  if (axis_count == 0) return a;
  hct_shape shape = hct_tape_shape(a);
  for (size_t i = 0; i < axis_count; i++) shape.dims[axes[i]] = 1;
  hct_named attributes[] = {{"kind", hct_attr_str(tape->builder.context, kind)},
                            {"axes", hct_attr_i64s(tape->builder.context, axis_count, axes)}};
  return hct_tape_emit(tape, "hct_graph.reduce", 1, &a, &shape, 2, attributes);
}

MlirValue hct_tape_contract(hct_tape *tape, const char *spec, MlirValue a, MlirValue b, const hct_shape *result) {
  hct_named attribute = {"spec", hct_attr_str(tape->builder.context, spec)};
  MlirValue operands[] = {a, b};
  return hct_tape_emit(tape, "hct_graph.contract", 2, operands, result, 1, &attribute);
}

MlirValue hct_tape_to_shape(hct_tape *tape, MlirValue a, const hct_shape *shape) {
  hct_shape from = hct_tape_shape(a);
  if (from.rank < shape->rank) { /* fewer dims: ones in front, then equal rank */
    int64_t dims[HCT_MAX_RANK];
    size_t extra = shape->rank - from.rank;
    for (size_t i = 0; i < shape->rank; i++) dims[i] = i < extra ? 1 : from.dims[i - extra];
    a = hct_tape_reshape(tape, a, shape->rank, dims);
    from = hct_tape_shape(a);
  }
  int64_t axes[HCT_MAX_RANK], dims[HCT_MAX_RANK];
  size_t count = 0, extra = from.rank - shape->rank;
  for (size_t i = 0; i < from.rank; i++) {
    bool repeated = i < extra || (shape->dims[i - extra] == 1 && from.dims[i] != 1);
    if (repeated && from.dims[i] != 1) axes[count++] = (int64_t)i;
  }
  a = hct_tape_reduce(tape, "sum", a, count, axes);
  from = hct_tape_shape(a);
  for (size_t i = 0; i < shape->rank; i++) dims[i] = from.dims[extra + i];
  return hct_tape_reshape(tape, a, shape->rank, dims);
}
