#include <string.h>

#include "ir/dialect/ir.h"

const char *hct_op_name(MlirOperation op) { return mlirIdentifierStr(mlirOperationGetName(op)).data; }
bool hct_op_is(MlirOperation op, const char *name) { return strcmp(hct_op_name(op), name) == 0; }

static MlirAttribute attribute_of(MlirOperation op, const char *name) { return mlirOperationGetAttributeByName(op, hct_ref(name)); }

static MlirAttribute attribute_needed(MlirOperation op, const char *name) {
  MlirAttribute attribute = attribute_of(op, name);
  HCT_BUG_ON(mlirAttributeIsNull(attribute), "%s without attribute %s", hct_op_name(op), name);
  return attribute;
}

const char *hct_attr_text(MlirAttribute attribute) {
  if (mlirAttributeIsNull(attribute) || !mlirAttributeIsAString(attribute)) return NULL;
  MlirStringRef text = mlirStringAttrGetValue(attribute);
  return text.length ? text.data : ""; /* NUL-terminated in MLIR's storage, but NULL when empty */
}

const char *hct_op_str_or(MlirOperation op, const char *name, const char *fallback) {
  const char *text = hct_attr_text(attribute_of(op, name));
  return text ? text : fallback;
}

const char *hct_op_str(MlirOperation op, const char *name) {
  const char *text = hct_attr_text(attribute_needed(op, name));
  HCT_BUG_ON(!text, "%s: attribute %s is no string", hct_op_name(op), name);
  return text;
}

int64_t hct_op_i64_or(MlirOperation op, const char *name, int64_t fallback) {
  MlirAttribute attribute = attribute_of(op, name);
  return mlirAttributeIsNull(attribute) || !mlirAttributeIsAInteger(attribute) ? fallback : mlirIntegerAttrGetValueInt(attribute);
}

int64_t hct_op_i64(MlirOperation op, const char *name) {
  HCT_BUG_ON(!mlirAttributeIsAInteger(attribute_needed(op, name)), "%s: attribute %s is no integer", hct_op_name(op), name);
  return mlirIntegerAttrGetValueInt(attribute_of(op, name));
}

double hct_op_f64_or(MlirOperation op, const char *name, double fallback) {
  MlirAttribute attribute = attribute_of(op, name);
  return mlirAttributeIsNull(attribute) || !mlirAttributeIsAFloat(attribute) ? fallback : mlirFloatAttrGetValueDouble(attribute);
}

bool hct_op_bool_or(MlirOperation op, const char *name, bool fallback) {
  MlirAttribute attribute = attribute_of(op, name);
  return mlirAttributeIsNull(attribute) || !mlirAttributeIsABool(attribute) ? fallback : mlirBoolAttrGetValue(attribute);
}

size_t hct_op_i64s(MlirOperation op, const char *name, int64_t *out_values, size_t capacity) {
  MlirAttribute attribute = attribute_needed(op, name);
  HCT_BUG_ON(!mlirAttributeIsADenseI64Array(attribute), "%s: attribute %s is no array<i64>", hct_op_name(op), name);
  size_t count = (size_t)mlirDenseArrayGetNumElements(attribute);
  for (size_t i = 0; i < count && i < capacity; i++) out_values[i] = mlirDenseI64ArrayGetElement(attribute, (intptr_t)i);
  return count;
}

size_t hct_op_strs(MlirOperation op, const char *name, const char **out_values, size_t capacity) {
  MlirAttribute attribute = attribute_needed(op, name);
  HCT_BUG_ON(!mlirAttributeIsAArray(attribute), "%s: attribute %s is no array", hct_op_name(op), name);
  size_t count = (size_t)mlirArrayAttrGetNumElements(attribute);
  for (size_t i = 0; i < count && i < capacity; i++) out_values[i] = hct_attr_text(mlirArrayAttrGetElement(attribute, (intptr_t)i));
  return count;
}

bool hct_op_has(MlirOperation op, const char *name) { return !mlirAttributeIsNull(attribute_of(op, name)); }
void hct_op_set(MlirOperation op, const char *name, MlirAttribute value) { mlirOperationSetAttributeByName(op, hct_ref(name), value); }
MlirValue hct_op_result(MlirOperation op, size_t index) { return mlirOperationGetResult(op, (intptr_t)index); }
MlirValue hct_op_operand(MlirOperation op, size_t index) { return mlirOperationGetOperand(op, (intptr_t)index); }

static bool dtype_of(MlirType type, hct_dtype *out_dtype) {
  if (mlirTypeIsAF32(type)) *out_dtype = HCT_F32;
  else if (mlirTypeIsABF16(type)) *out_dtype = HCT_BF16;
  else if (mlirTypeIsAF16(type)) *out_dtype = HCT_F16;
  else if (mlirTypeIsAF64(type)) *out_dtype = HCT_F64;
#define HCT_FLOAT_FORMAT(name, mlir_type, exponent, mantissa, bias, specials) else if (mlirTypeIsA##mlir_type(type)) *out_dtype = HCT_##name;
#include "ir/support/dtypes.def"
#undef HCT_FLOAT_FORMAT
  else if (!mlirTypeIsAInteger(type)) return false;
  else {
    char name[16];
    snprintf(name, sizeof name, "%si%u", mlirIntegerTypeIsUnsigned(type) ? "u" : "", mlirIntegerTypeGetWidth(type));
    return hct_dtype_parse(name, out_dtype);
  }
  return true;
}

bool hct_value_shape(MlirValue value, hct_shape *out_shape) { return hct_type_shape(mlirValueGetType(value), out_shape); }

bool hct_type_shape(MlirType type, hct_shape *out_shape) {
  hct_shape shape = {0};
  if (!mlirTypeIsARankedTensor(type) || !mlirShapedTypeHasStaticShape(type)) return false;
  shape.rank = (size_t)mlirShapedTypeGetRank(type);
  if (shape.rank > HCT_MAX_RANK || !dtype_of(mlirShapedTypeGetElementType(type), &shape.dtype)) return false;
  for (size_t d = 0; d < shape.rank; d++) shape.dims[d] = mlirShapedTypeGetDimSize(type, (intptr_t)d);
  *out_shape = shape;
  return true;
}

const char *hct_shape_text(hct_arena *arena, const hct_shape *shape) {
  hct_text text = {0};
  for (size_t d = 0; d < shape->rank; d++) hct_text_printf(&text, "%lldx", (long long)shape->dims[d]);
  hct_text_printf(&text, "%s", hct_dtype_name(shape->dtype));
  const char *copy = hct_arena_strdup(arena, text.data);
  hct_text_fini(&text);
  return copy;
}

int64_t hct_shape_elements(const hct_shape *shape) {
  int64_t elements = 1;
  for (size_t d = 0; d < shape->rank; d++)
    if (!hct_mul_i64(elements, shape->dims[d], &elements)) return INT64_MAX;
  return elements;
}

bool hct_value_unused(MlirValue value) { return mlirOpOperandIsNull(mlirValueGetFirstUse(value)); }
void hct_value_replace(MlirValue old_value, MlirValue new_value) { mlirValueReplaceAllUsesOfWith(old_value, new_value); }

const float *hct_attr_f32s(MlirAttribute dense) {
  bool plain = mlirAttributeIsADenseElements(dense) && !mlirDenseElementsAttrIsSplat(dense) && mlirTypeIsAF32(mlirShapedTypeGetElementType(mlirAttributeGetType(dense)));
  return plain ? mlirDenseElementsAttrGetRawData(dense) : NULL;
}

MlirAttribute hct_attr_part(MlirAttribute constant, size_t rank, const int64_t *dims, size_t dim, int64_t first, int64_t count, MlirType type) {
  hct_shape shape;
  if (mlirAttributeIsNull(constant) || !mlirAttributeIsADenseElements(constant) || !hct_type_shape(type, &shape) || shape.dtype == HCT_BOOL) return mlirAttributeGetNull();
  if (mlirDenseElementsAttrIsSplat(constant)) return mlirDenseElementsAttrSplatGet(type, mlirDenseElementsAttrGetSplatValue(constant));
  size_t outer = 1, inner = hct_dtype_bytes(shape.dtype), rows = (size_t)count;
  for (size_t d = 0; d < rank; d++)
    if (d != dim) *(d < dim ? &outer : &inner) *= (size_t)dims[d];
  hct_arena *scratch = hct_arena_create();
  uint8_t *part = hct_arena_alloc(scratch, outer * rows * inner + 1);
  const uint8_t *raw = mlirDenseElementsAttrGetRawData(constant);
  for (size_t o = 0; o < outer; o++) memcpy(part + o * rows * inner, raw + (o * (size_t)dims[dim] + (size_t)first) * inner, rows * inner);
  MlirAttribute made = mlirDenseElementsAttrRawBufferGet(type, outer * rows * inner, part);
  hct_arena_destroy(scratch);
  return made;
}
