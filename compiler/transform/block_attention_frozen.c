/* hct-block-attention, masks that are initializers: where nothing trains them they are constants, of which it is known when compiling what they exclude, and which stay f32 where that is needed. Initializers
 * without numbers far below 0 stay what they are. */
#include <string.h>

#include "compiler/transform/block_attention.h"
#include "ir/dialect/data.h"

static const char *text_of(const blocking *b, size_t argument, const char *name) {
  MlirAttribute attribute = hct_function_arg_attr(b->function, argument, name);
  const char *text = mlirAttributeIsNull(attribute) ? NULL : hct_attr_text(attribute);
  return text ? text : "";
}

/* Elements of an f32 parameter. NULL: there are none, or not as many, which is said where programs are written. Refused: a file that is not there any more, or changed. */
static hct_status numbers_read(const blocking *b, size_t argument, int64_t count, float **out_numbers) {
  hct_data_reference reference;
  hct_file file;
  MlirAttribute data = hct_function_arg_attr(b->function, argument, "hct.data");
  *out_numbers = NULL;
  if (mlirAttributeIsNull(data)) return HCT_OK;
  if (mlirAttributeIsADenseElements(data)) {
    const float *dense = hct_attr_f32s(data);
    float *numbers = *out_numbers = HCT_NEW_ARRAY(b->arena, float, (size_t)count);
    for (int64_t i = 0; i < count; i++) numbers[i] = dense ? dense[i] : mlirDenseElementsAttrGetFloatSplatValue(data);
    return HCT_OK;
  }
  if (!hct_attr_text(data) || !hct_data_reference_parse(b->arena, hct_attr_text(data), &reference) || reference.kind == HCT_DATA_ABSENT) return HCT_OK;
  hct_dtype dtype = reference.dtype ? reference.dtype : HCT_F32;
  if (reference.bytes != count * (int64_t)hct_dtype_bytes(dtype)) return HCT_OK;
  const char *path = hct_path_join(b->arena, b->pass->directory ? b->pass->directory : ".", reference.file);
  HCT_TRY(hct_data_reference_map(b->pass->diags, path, &reference, text_of(b, argument, "hct.name"), &file));
  float *numbers = *out_numbers = HCT_NEW_ARRAY(b->arena, float, (size_t)count);
  for (int64_t i = 0; i < count; i++) numbers[i] = (float)hct_element_get(dtype, file.data + reference.offset + (size_t)i * hct_dtype_bytes(dtype));
  hct_file_unmap(&file);
  return HCT_OK;
}

/* Null: `value` is trained, is no parameter, has more than `most` elements, or none far below 0. */
static hct_status constant_of(blocking *b, MlirValue value, int64_t most, MlirLocation location, MlirValue *out_constant) {
  hct_shape shape;
  float *numbers;
  size_t argument = (size_t)mlirBlockArgumentGetArgNumber(value);
  *out_constant = (MlirValue){NULL};
  if (strcmp(text_of(b, argument, "hct.role"), "param") || hct_pass_trains(b->pass, text_of(b, argument, "hct.name"))) return HCT_OK;
  if (!hct_value_shape(value, &shape) || shape.dtype != HCT_F32 || hct_shape_elements(&shape) > most) return HCT_OK;
  int64_t count = hct_shape_elements(&shape), low = 0;
  HCT_TRY(numbers_read(b, argument, count, &numbers));
  for (int64_t i = 0; numbers && i < count; i++) low += attention_is_low(numbers[i]);
  if (low > 0) *out_constant = attention_constant(b, mlirDenseElementsAttrFloatGet(mlirValueGetType(value), (intptr_t)count, numbers), location);
  return HCT_OK;
}

typedef struct use { MlirOperation op; intptr_t operand; } use;

hct_status attention_masks_settle(blocking *b, const attention *a) {
  struct { use *items; size_t count, capacity; } open = {0};
  hct_shape shape = attention_shape_of(hct_op_result(a->softmax, 0));
  for (size_t at = 0; at < a->before; at++)
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(a->chain[at]); k++)
      if ((size_t)k != a->along[at]) HCT_PUSH(b->arena, &open, ((use){a->chain[at], k}));
  while (open.count > 0) {
    use u = open.items[--open.count];
    MlirValue value = mlirOperationGetOperand(u.op, u.operand), constant;
    size_t seen;
    if (hct_index_map_get(b->settled, hct_value_key(value), &seen)) continue;
    if (mlirValueIsABlockArgument(value)) {
      HCT_TRY(constant_of(b, value, hct_shape_elements(&shape), mlirOperationGetLocation(u.op), &constant));
      if (mlirValueIsNull(constant)) hct_index_map_put(b->settled, hct_value_key(value), 0);
      else mlirOperationSetOperand(u.op, u.operand, constant);
      continue;
    }
    MlirOperation maker = mlirOpResultGetOwner(value);
    if (!attention_is_mask_maker(maker)) continue;
    hct_index_map_put(b->settled, hct_value_key(value), 0);
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(maker); k++) HCT_PUSH(b->arena, &open, ((use){maker, k}));
  }
  return HCT_OK;
}
