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
  return (import_value){.value = value, .shape = shape_of(value)};
}

MlirValue build_value(importer *im, import_value *value) {
  if (!value->known) return value->value;
  if (!mlirValueIsNull(value->value)) return value->value;
  hct_named attributes[] = {{"value", host_attribute(im, &value->host)}};
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
  char la[HCT_MAX_RANK + 1], lb[HCT_MAX_RANK + 1], spec[64];
  int64_t sizes[256] = {0};
  snprintf(la, sizeof la, "%s", a_letters);
  snprintf(lb, sizeof lb, "%s", b_letters);
  MlirValue operands[] = {through_transpose(a, la), through_transpose(b, lb)};
  hct_shape x = shape_of(operands[0]), y = shape_of(operands[1]), shape = {.dtype = x.dtype, .rank = strlen(result_letters)};
  for (size_t d = 0; d < x.rank; d++) sizes[(unsigned char)la[d]] = x.dims[d];
  for (size_t d = 0; d < y.rank; d++) sizes[(unsigned char)lb[d]] = y.dims[d];
  for (size_t d = 0; d < shape.rank; d++) shape.dims[d] = sizes[(unsigned char)result_letters[d]];
  snprintf(spec, sizeof spec, "%s,%s->%s", la, lb, result_letters);
  hct_named attributes[] = {{"spec", hct_attr_str(im->context, spec)}};
  return build_op(im, "hct_graph.contract", 2, operands, &shape, 1, attributes);
}
