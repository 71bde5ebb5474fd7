#include <string.h>

#include "ir/dialect/ir.h"

MlirOperation hct_build(hct_builder *builder, const char *op_name, size_t operand_count, const MlirValue *operands, size_t result_count,
                        const MlirType *results, size_t attribute_count, const hct_named *attributes) {
  MlirOperationState state = mlirOperationStateGet(hct_ref(op_name), builder->location);
  mlirOperationStateAddOperands(&state, (intptr_t)operand_count, operands);
  mlirOperationStateAddResults(&state, (intptr_t)result_count, results);
  for (size_t i = 0; i < attribute_count; i++) {
    MlirNamedAttribute named = mlirNamedAttributeGet(mlirIdentifierGet(builder->context, hct_ref(attributes[i].name)), attributes[i].value);
    mlirOperationStateAddAttributes(&state, 1, &named);
  }
  bool given = false; /* by the caller, where operands in the middle are absent */
  for (size_t i = 0; i < attribute_count; i++) given |= !strcmp(attributes[i].name, "operandSegmentSizes");
  if (!given && hct_dialect_is_variadic(op_name)) {
    int32_t present[HCT_MAX_VARIADIC];
    HCT_BUG_ON(operand_count > HCT_MAX_VARIADIC, "%s with %zu operands", op_name, operand_count);
    for (size_t i = 0; i < HCT_MAX_VARIADIC; i++) present[i] = i < operand_count;
    MlirNamedAttribute sizes = mlirNamedAttributeGet(mlirIdentifierGet(builder->context, hct_ref("operandSegmentSizes")), mlirDenseI32ArrayGet(builder->context, HCT_MAX_VARIADIC, present));
    mlirOperationStateAddAttributes(&state, 1, &sizes);
  }
  MlirOperation op = mlirOperationCreate(&state);
  HCT_BUG_ON(mlirOperationIsNull(op), "cannot create %s", op_name);
  if (mlirOperationIsNull(builder->before)) mlirBlockAppendOwnedOperation(builder->block, op);
  else mlirBlockInsertOwnedOperationBefore(builder->block, builder->before, op);
  return op;
}

MlirValue hct_build_value(hct_builder *builder, const char *op_name, size_t operand_count, const MlirValue *operands, MlirType result,
                          size_t attribute_count, const hct_named *attributes) {
  return mlirOperationGetResult(hct_build(builder, op_name, operand_count, operands, 1, &result, attribute_count, attributes), 0);
}

MlirAttribute hct_attr_str(MlirContext context, const char *text) { return mlirStringAttrGet(context, hct_ref(text)); }
MlirAttribute hct_attr_i64(MlirContext context, int64_t value) { return mlirIntegerAttrGet(mlirIntegerTypeGet(context, 64), value); }
MlirAttribute hct_attr_f64(MlirContext context, double value) { return mlirFloatAttrDoubleGet(context, mlirF64TypeGet(context), value); }
MlirAttribute hct_attr_bool(MlirContext context, bool value) { return mlirBoolAttrGet(context, value); }

MlirAttribute hct_attr_i64s(MlirContext context, size_t count, const int64_t *values) {
  return mlirDenseI64ArrayGet(context, (intptr_t)count, values);
}

MlirAttribute hct_attr_strs(MlirContext context, size_t count, const char *const *values) {
  MlirAttribute attributes[64];
  HCT_BUG_ON(count > HCT_COUNT(attributes), "array attribute of %zu strings", count);
  for (size_t i = 0; i < count; i++) attributes[i] = hct_attr_str(context, values[i]);
  return mlirArrayAttrGet(context, (intptr_t)count, attributes);
}

MlirType hct_type_scalar(MlirContext context, hct_dtype dtype) {
  switch (dtype) {
#define HCT_FLOAT_FORMAT(name, type, exponent, mantissa, bias, specials) case HCT_##name: return mlir##type##TypeGet(context);
#include "ir/support/dtypes.def"
#undef HCT_FLOAT_FORMAT
    case HCT_F32: return mlirF32TypeGet(context);
    case HCT_BF16: return mlirBF16TypeGet(context);
    case HCT_F16: return mlirF16TypeGet(context);
    case HCT_F64: return mlirF64TypeGet(context);
    case HCT_BOOL: return mlirIntegerTypeGet(context, 1);
    default: break;
  }
  unsigned bits = (unsigned)hct_dtype_bits(dtype);
  HCT_BUG_ON(!bits, "element type %d", (int)dtype);
  return hct_dtype_is_unsigned(dtype) ? mlirIntegerTypeUnsignedGet(context, bits) : mlirIntegerTypeGet(context, bits);
}

MlirType hct_type_tensor(MlirContext context, hct_dtype dtype, size_t rank, const int64_t *shape) {
  return mlirRankedTensorTypeGet((intptr_t)rank, shape, hct_type_scalar(context, dtype), mlirAttributeGetNull());
}

MlirType hct_type_parse(MlirContext context, const char *text) {
  MlirType type = mlirTypeParseGet(context, hct_ref(text));
  HCT_BUG_ON(mlirTypeIsNull(type), "type '%s'", text);
  return type;
}
