#include <string.h>

#include "compiler/import/import_internal.h"

hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "a value that is no static tensor");
  return shape;
}

MlirValue build_op(importer *im, const char *name, size_t operand_count, const MlirValue *operands, const hct_shape *result, size_t attribute_count, const hct_named *attributes) {
  MlirType type = hct_type_tensor(im->context, result->dtype, result->rank, result->dims);
  return hct_build_value(&im->builder, name, operand_count, operands, type, attribute_count, attributes);
}

import_value import_argument(importer *im, MlirValue argument) {
  hct_shape shape = shape_of(argument);
  MlirValue value = import_dtype(shape.dtype) == shape.dtype ? argument : build_map1(im, "mov", argument, import_dtype(shape.dtype));
  return (import_value){.value = value, .shape = shape_of(value), .element = import_element(shape.dtype)};
}

MlirValue build_value(importer *im, import_value *value) {
  if (!value->known) return value->value;
  if (!mlirValueIsNull(value->value)) return value->value;
  hct_named attributes[] = {{"value", known_attribute(im, value, value->host.shape.dtype)}};
  hct_shape shape = value->host.shape;
  return value->value = build_op(im, "hct_graph.constant", 0, NULL, &shape, 1, attributes);
}

MlirValue build_map1(importer *im, const char *fn, MlirValue a, hct_dtype result) {
  hct_shape shape = shape_of(a);
  shape.dtype = result;
  hct_named attributes[] = {{"fn", hct_attr_str(im->context, fn)}};
  return build_op(im, "hct_graph.map1", 1, &a, &shape, 1, attributes);
}

MlirValue build_scaled(importer *im, const char *fn, MlirValue a, double scalar) {
  hct_shape shape = shape_of(a);
  hct_named attributes[] = {{"fn", hct_attr_str(im->context, fn)}, {"scalar", hct_attr_f64(im->context, scalar)}};
  return build_op(im, "hct_graph.map1", 1, &a, &shape, 2, attributes);
}

bool broadcast_shape(const hct_shape *a, const hct_shape *b, hct_shape *out_shape) {
  hct_shape shape = {.dtype = a->dtype, .rank = a->rank > b->rank ? a->rank : b->rank};
  for (size_t d = 0; d < shape.rank; d++) {
    int64_t x = d + a->rank >= shape.rank ? a->dims[d + a->rank - shape.rank] : 1, y = d + b->rank >= shape.rank ? b->dims[d + b->rank - shape.rank] : 1;
    if (x != y && x != 1 && y != 1) return false;
    shape.dims[d] = x == 1 ? y : x;
  }
  *out_shape = shape;
  return true;
}

MlirValue build_map2(importer *im, const char *fn, MlirValue a, MlirValue b) {
  hct_shape x = shape_of(a), y = shape_of(b), shape;
  HCT_BUG_ON(!broadcast_shape(&x, &y, &shape), "shapes of '%s' do not broadcast", fn);
  if (!strcmp(fn, "eq") || !strcmp(fn, "lt") || !strcmp(fn, "le")) shape.dtype = HCT_BOOL;
  MlirValue operands[] = {a, b};
  hct_named attributes[] = {{"fn", hct_attr_str(im->context, fn)}};
  return build_op(im, "hct_graph.map2", 2, operands, &shape, 1, attributes);
}

MlirValue build_reduce(importer *im, const char *kind, MlirValue a, size_t count, const int64_t *axes) {
  hct_shape shape = shape_of(a);
  for (size_t i = 0; i < count; i++) shape.dims[axes[i]] = 1;
  hct_named attributes[] = {{"kind", hct_attr_str(im->context, kind)}, {"axes", hct_attr_i64s(im->context, count, axes)}};
  return build_op(im, "hct_graph.reduce", 1, &a, &shape, 2, attributes);
}

MlirValue build_reshape(importer *im, MlirValue a, size_t rank, const int64_t *dims) {
  hct_shape from = shape_of(a), shape = {.dtype = from.dtype, .rank = rank};
  bool same = from.rank == rank;
  for (size_t d = 0; d < rank; d++) {
    shape.dims[d] = dims[d];
    same = same && from.dims[d] == dims[d];
  }
  if (same) return a;
  return build_op(im, "hct_graph.reshape", 1, &a, &shape, 0, NULL);
}

MlirValue build_broadcast(importer *im, MlirValue a, const hct_shape *to) {
  hct_shape from = shape_of(a), shape = *to;
  shape.dtype = from.dtype;
  if (from.rank == to->rank && memcmp(from.dims, to->dims, to->rank * sizeof *to->dims) == 0) return a;
  return build_op(im, "hct_graph.broadcast", 1, &a, &shape, 0, NULL);
}

MlirValue build_slice(importer *im, MlirValue a, const int64_t *starts, const int64_t *steps, const int64_t *dims) {
  hct_shape shape = shape_of(a);
  memcpy(shape.dims, dims, shape.rank * sizeof *dims);
  hct_named attributes[] = {{"starts", hct_attr_i64s(im->context, shape.rank, starts)}, {"steps", hct_attr_i64s(im->context, shape.rank, steps)}};
  return build_op(im, "hct_graph.slice", 1, &a, &shape, 2, attributes);
}

MlirValue build_part(importer *im, MlirValue a, size_t axis, int64_t start, int64_t step, int64_t count) {
  hct_shape shape = shape_of(a);
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK];
  if (start == 0 && step == 1 && count == shape.dims[axis]) return a;
  for (size_t d = 0; d < shape.rank; d++) steps[d] = 1;
  starts[axis] = start, steps[axis] = step, shape.dims[axis] = count;
  return build_slice(im, a, starts, steps, shape.dims);
}

MlirValue build_transpose(importer *im, MlirValue a, const int64_t *perm) {
  hct_shape from = shape_of(a), shape = from;
  bool moved = false;
  for (size_t d = 0; d < from.rank; d++) {
    shape.dims[d] = from.dims[perm[d]];
    moved |= perm[d] != (int64_t)d;
  }
  if (!moved) return a;
  hct_named attributes[] = {{"perm", hct_attr_i64s(im->context, from.rank, perm)}};
  return build_op(im, "hct_graph.transpose", 1, &a, &shape, 1, attributes);
}

MlirValue build_concat(importer *im, size_t axis, size_t count, const MlirValue *given) {
  MlirValue *parts = HCT_NEW_ARRAY(im->arena, MlirValue, count + 1);
  size_t kept = 0;
  for (size_t k = 0; k < count; k++)
    if (shape_of(given[k]).dims[axis] || (k + 1 == count && !kept)) parts[kept++] = given[k]; /* those without elements add nothing */
  count = kept;
  if (count == 1) return parts[0];
  if (count > HCT_MAX_VARIADIC) {
    size_t groups = (count + HCT_MAX_VARIADIC - 1) / HCT_MAX_VARIADIC, each = (count + groups - 1) / groups, made = 0;
    MlirValue *joined = HCT_NEW_ARRAY(im->arena, MlirValue, groups);
    for (size_t at = 0; at < count; at += each) joined[made++] = build_concat(im, axis, count - at < each ? count - at : each, parts + at);
    return build_concat(im, axis, made, joined);
  }
  hct_shape shape = shape_of(parts[0]);
  shape.dims[axis] = 0;
  for (size_t k = 0; k < count; k++) shape.dims[axis] += shape_of(parts[k]).dims[axis];
  hct_named attributes[] = {{"axis", hct_attr_i64(im->context, (int64_t)axis)}};
  return build_op(im, "hct_graph.concat", count, parts, &shape, 1, attributes);
}

MlirValue build_pad(importer *im, MlirValue a, const int64_t *low, const int64_t *dims, double value) {
  hct_shape from = shape_of(a), shape = from;
  bool same = true;
  for (size_t d = 0; d < from.rank; d++) {
    shape.dims[d] = dims[d];
    same = same && dims[d] == from.dims[d];
  }
  if (same) return a;
  hct_named attributes[] = {{"low", hct_attr_i64s(im->context, from.rank, low)}, {"value", hct_attr_f64(im->context, value)}};
  return build_op(im, "hct_graph.pad", 1, &a, &shape, 2, attributes);
}

MlirValue build_softmax(importer *im, MlirValue a, size_t axis) {
  hct_shape shape = shape_of(a);
  hct_named attributes[] = {{"axis", hct_attr_i64(im->context, (int64_t)axis)}};
  return build_op(im, "hct_graph.softmax", 1, &a, &shape, 1, attributes);
}

MlirValue build_select(importer *im, MlirValue condition, MlirValue a, MlirValue b) {
  hct_shape c = shape_of(condition), x = shape_of(a), y = shape_of(b), part, shape;
  HCT_BUG_ON(!broadcast_shape(&x, &y, &part) || !broadcast_shape(&part, &c, &shape), "shapes of a select do not broadcast");
  MlirValue operands[] = {condition, a, b};
  return build_op(im, "hct_graph.select", 3, operands, &shape, 0, NULL);
}

MlirValue build_known(importer *im, host_tensor host) {
  import_value value = {.known = true, .host = host, .shape = host.shape};
  return build_value(im, &value);
}

MlirValue build_scalar(importer *im, hct_dtype dtype, double value) {
  host_tensor host = host_create(im->arena, dtype, 0, NULL);
  host_set(&host, 0, value);
  return build_known(im, host);
}

MlirValue build_cast(importer *im, MlirValue a, hct_dtype dtype) { return shape_of(a).dtype == dtype ? a : build_map1(im, "mov", a, dtype); }

MlirValue build_along(importer *im, MlirValue a, size_t axis, size_t rank) {
  int64_t dims[HCT_MAX_RANK];
  for (size_t d = 0; axis + d < rank; d++) dims[d] = d ? 1 : shape_of(a).dims[0];
  return build_reshape(im, a, rank - axis, dims);
}

MlirValue build_mean(importer *im, MlirValue a, size_t count, const int64_t *axes) {
  hct_shape shape = shape_of(a);
  double elements = 1;
  for (size_t i = 0; i < count; i++) elements *= (double)shape.dims[axes[i]];
  return build_scaled(im, "muls", build_reduce(im, "sum", a, count, axes), 1 / elements);
}

/* The operand of a transpose, with the letters in its order. */
static MlirValue through_transpose(MlirValue value, char *letters) {
  if (!mlirValueIsAOpResult(value)) return value;
  MlirOperation op = mlirOpResultGetOwner(value);
  int64_t perm[HCT_MAX_RANK];
  char before[HCT_MAX_RANK + 1] = {0};
  if (!hct_op_is(op, "hct_graph.transpose")) return value;
  size_t rank = hct_op_i64s(op, "perm", perm, HCT_MAX_RANK);
  for (size_t d = 0; d < rank; d++) before[perm[d]] = letters[d];
  strcpy(letters, before);
  return hct_op_operand(op, 0);
}

MlirValue build_contract(importer *im, const char *a_letters, const char *b_letters, const char *result_letters, MlirValue a, MlirValue b) {
  return build_contract_as(im, a_letters, b_letters, result_letters, a, b, shape_of(a).dtype);
}

MlirValue build_contract_as(importer *im, const char *a_letters, const char *b_letters, const char *result_letters, MlirValue a, MlirValue b, hct_dtype result) {
  char la[HCT_MAX_RANK + 1], lb[HCT_MAX_RANK + 1], spec[64];
  int64_t sizes[256] = {0};
  snprintf(la, sizeof la, "%s", a_letters);
  snprintf(lb, sizeof lb, "%s", b_letters);
  MlirValue operands[] = {through_transpose(a, la), through_transpose(b, lb)};
  hct_shape x = shape_of(operands[0]), y = shape_of(operands[1]), shape = {.dtype = result, .rank = strlen(result_letters)};
  for (size_t d = 0; d < x.rank; d++) sizes[(unsigned char)la[d]] = x.dims[d];
  for (size_t d = 0; d < y.rank; d++) sizes[(unsigned char)lb[d]] = y.dims[d];
  for (size_t d = 0; d < shape.rank; d++) shape.dims[d] = sizes[(unsigned char)result_letters[d]];
  snprintf(spec, sizeof spec, "%s,%s->%s", la, lb, result_letters);
  hct_named attributes[] = {{"spec", hct_attr_str(im->context, spec)}};
  return build_op(im, "hct_graph.contract", 2, operands, &shape, 1, attributes);
}
