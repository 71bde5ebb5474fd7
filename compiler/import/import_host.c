#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

bool host_is_float(const host_tensor *t) { return hct_dtype_is_float(t->shape.dtype); }

host_tensor host_create(hct_arena *arena, hct_dtype dtype, size_t rank, const int64_t *dims) {
  host_tensor t = {.shape = {.dtype = dtype, .rank = rank}};
  for (size_t d = 0; d < rank; d++) t.shape.dims[d] = dims[d];
  size_t count = (size_t)hct_shape_elements(&t.shape);
  if (host_is_float(&t)) t.f = HCT_NEW_ARRAY(arena, float, count + 1);
  else t.i = HCT_NEW_ARRAY(arena, int64_t, count + 1);
  return t;
}

double host_get(const host_tensor *t, int64_t index) { return t->f ? (double)t->f[index] : (double)t->i[index]; }

void host_set(host_tensor *t, int64_t index, double value) {
  uint8_t bytes[8];
  hct_element_set(t->shape.dtype, bytes, value); /* rounded, or cut, as dies do */
  if (t->f) t->f[index] = (float)hct_element_get(t->shape.dtype, bytes);
  else t->i[index] = hct_element_get_int(t->shape.dtype, bytes);
}

void host_strides(const hct_shape *shape, int64_t *out_strides) {
  int64_t stride = 1;
  for (size_t d = shape->rank; d-- > 0;) {
    out_strides[d] = stride;
    if (!hct_mul_i64(stride, shape->dims[d], &stride)) stride = 0; /* more elements than there can be: none is read */
  }
}

host_tensor host_view(hct_arena *arena, const host_tensor *from, size_t rank, const int64_t *dims, int64_t offset, const int64_t *strides) {
  host_tensor t = host_create(arena, from->shape.dtype, rank, dims);
  t.element = from->element;
  int64_t count = hct_shape_elements(&t.shape), inner = rank ? dims[rank - 1] : 1, step = rank ? strides[rank - 1] : 1;
  for (int64_t n = 0; n < count; n += inner) { /* row by row: these may be long */
    int64_t at = offset, rest = rank ? n / inner : 0;
    for (size_t d = rank; d-- > 1;) {
      at += rest % dims[d - 1] * strides[d - 1];
      rest /= dims[d - 1];
    }
    for (int64_t k = 0; t.f && k < inner; k++) t.f[n + k] = from->f[at + k * step];
    for (int64_t k = 0; t.i && k < inner; k++) t.i[n + k] = from->i[at + k * step];
  }
  return t;
}

hct_dtype import_dtype(hct_dtype declared) { return hct_dtype_is_float(declared) ? HCT_F32 : hct_dtype_computed(declared); }
hct_dtype import_element(hct_dtype declared) { return hct_dtype_computed(declared) == declared ? 0 : declared; }

hct_shape import_declared(const import_value *value) {
  hct_shape shape = value->shape;
  if (value->element) shape.dtype = value->element;
  return shape;
}

void host_from_bytes(host_tensor *t, hct_dtype dtype, const uint8_t *data) {
  size_t size = hct_dtype_bytes(dtype);
  int64_t count = hct_shape_elements(&t->shape);
  for (int64_t n = 0; n < count; n++) {
    if (t->f) t->f[n] = (float)hct_element_get(dtype, data + (size_t)n * size);
    else t->i[n] = hct_element_get_int(dtype, data + (size_t)n * size);
  }
}

static hct_status import_refuse_data(importer *im, const char *name, int64_t count) {
  return import_refuse(im, HCT_E_ONNX_DATA, "tensor '%s': its data does not hold the %lld elements that its shape needs", name, (long long)count);
}

hct_status host_shape_from_proto(importer *im, const Onnx__TensorProto *p, hct_shape *out_shape, int64_t *out_bytes) {
  hct_shape shape = {.rank = p->n_dims};
  const char *name = p->name ? p->name : "(unnamed)";
  if (!hct_dtype_from_onnx(p->data_type, &shape.dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "tensor '%s' has element type %d; integers, floats and bools are supported", name, p->data_type);
  if (p->n_dims > HCT_MAX_RANK) return import_refuse(im, HCT_E_ONNX_SHAPE, "tensor '%s' has rank %zu; at most %d is supported", name, p->n_dims, HCT_MAX_RANK);
  int64_t elements = 1, bytes;
  hct_dtype_file_bytes(shape.dtype, elements, &bytes);
  for (size_t d = 0; d < p->n_dims; d++) {
    shape.dims[d] = p->dims[d];
    if (p->dims[d] < 0 || p->dims[d] > INT32_MAX) return import_refuse(im, HCT_E_ONNX_DATA, "tensor '%s': dimension %zu is %lld", name, d, (long long)p->dims[d]);
    if (!hct_mul_i64(elements, p->dims[d], &elements) || !hct_dtype_file_bytes(shape.dtype, elements, &bytes) || bytes > HCT_MAX_TENSOR_BYTES) return import_refuse(im, HCT_E_ONNX_DATA, "tensor '%s' has more than %lld bytes", name, (long long)HCT_MAX_TENSOR_BYTES);
  }
  *out_shape = shape;
  *out_bytes = bytes;
  return HCT_OK;
}

hct_status host_from_proto(importer *im, const Onnx__TensorProto *p, host_tensor *out_tensor) {
  hct_shape shape;
  int64_t bytes;
  HCT_TRY(host_shape_from_proto(im, p, &shape, &bytes));
  const char *name = p->name ? p->name : "(unnamed)";
  import_bytes raw = {.data = p->raw_data.data, .bytes = p->raw_data.len};
  bool external = p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  if (external) HCT_TRY(import_external(im, p, bytes, &raw));
  if (external && !raw.data) {
    import_refuse(im, HCT_E_ONNX_DATA, "the values of '%s' are needed to compile, and its external data is not there", name);
    hct_note(im->pass->diags, "they would be at byte %lld of %s", (long long)raw.offset, raw.file);
    return HCT_REFUSED;
  }
  int64_t count = hct_shape_elements(&shape);
  if (count > INT32_MAX) return import_refuse(im, HCT_E_ONNX_DATA, "tensor '%s' has %lld elements; at most %d can be known at compile time", name, (long long)count, INT32_MAX);
  if (!external) {
    hct_array array;
    if (!hct_array_from_proto(im->arena, p, &array)) return import_refuse_data(im, name, count);
    raw.data = array.data;
  } else if (hct_dtype_bits(shape.dtype) < 8) {
    uint8_t *data = hct_arena_alloc(im->arena, (size_t)count + 1);
    hct_array_unpack(shape.dtype, raw.data, (size_t)count, data);
    raw.data = data;
  }
  host_tensor t = host_create(im->arena, import_dtype(shape.dtype), shape.rank, shape.dims);
  t.element = import_element(shape.dtype);
  host_from_bytes(&t, shape.dtype, raw.data);
  *out_tensor = t;
  return HCT_OK;
}

/* Dense elements of the type. */
static const uint8_t *elements_of(hct_arena *arena, const host_tensor *t, hct_dtype dtype) {
  size_t size = hct_dtype_bytes(dtype), count = (size_t)hct_shape_elements(&t->shape);
  if (t->f && dtype == HCT_F32) return (const uint8_t *)t->f;
  uint8_t *data = hct_arena_alloc(arena, count * size + 1);
  for (size_t n = 0; n < count; n++) {
    if (t->f) hct_element_set(dtype, data + n * size, (double)t->f[n]);
    else hct_element_set_int(dtype, data + n * size, t->i[n]);
    if (hct_dtype_bits(dtype) < 8) data[n] &= (uint8_t)((1u << hct_dtype_bits(dtype)) - 1); /* no bits but the element's */
  }
  return data;
}

static MlirType type_of(const importer *im, const host_tensor *t, hct_dtype dtype) { return hct_type_tensor(im->context, dtype, t->shape.rank, t->shape.dims); }

MlirAttribute host_attribute(importer *im, const host_tensor *t, hct_dtype dtype) {
  size_t size = hct_dtype_bytes(dtype), count = (size_t)hct_shape_elements(&t->shape);
  MlirType type = type_of(im, t, dtype);
  hct_arena *scratch = hct_arena_create();
  MlirAttribute attribute;
  if (dtype == HCT_BOOL) {
    int *data = HCT_NEW_ARRAY(scratch, int, count + 1);
    for (size_t n = 0; n < count; n++) data[n] = t->i[n] != 0;
    attribute = mlirDenseElementsAttrBoolGet(type, (intptr_t)count, data);
  } else {
    const uint8_t *data = elements_of(scratch, t, dtype);
    bool splat = count > 0 && !memcmp(data, data + size, (count - 1) * size); /* each is as the one before */
    attribute = mlirDenseElementsAttrRawBufferGet(type, splat ? size : count * size, data);
  }
  hct_arena_destroy(scratch);
  return attribute;
}

MlirAttribute known_attribute(importer *im, import_value *value, hct_dtype dtype) {
  bool there = !mlirAttributeIsNull(value->attribute) && mlirTypeEqual(mlirAttributeGetType(value->attribute), type_of(im, &value->host, dtype));
  if (!there) value->attribute = host_attribute(im, &value->host, dtype);
  return value->attribute;
}

bool host_from_attribute(importer *im, MlirAttribute attribute, host_tensor *out_tensor) {
  hct_shape shape;
  if (!mlirAttributeIsADenseElements(attribute) || !hct_type_shape(mlirAttributeGetType(attribute), &shape)) return false;
  host_tensor t = host_create(im->arena, hct_dtype_computed(shape.dtype), shape.rank, shape.dims);
  t.element = import_element(shape.dtype);
  int64_t count = hct_shape_elements(&shape);
  size_t size = hct_dtype_bytes(shape.dtype);
  bool splat = mlirDenseElementsAttrIsSplat(attribute);
  const uint8_t *raw = mlirDenseElementsAttrGetRawData(attribute);
  const float *numbers = hct_attr_f32s(attribute);
  if (numbers) memcpy(t.f, numbers, (size_t)count * sizeof *numbers);
  for (int64_t n = 0; !numbers && n < count; n++) {
    const uint8_t *at = raw + (splat ? 0 : (size_t)n * size);
    if (shape.dtype == HCT_BOOL) t.i[n] = splat ? mlirDenseElementsAttrGetBoolSplatValue(attribute) : mlirDenseElementsAttrGetBoolValue(attribute, (intptr_t)n);
    else if (t.f) t.f[n] = (float)hct_element_get(shape.dtype, at);
    else t.i[n] = hct_dtype_bits(shape.dtype) < 8 ? hct_narrow_int((hct_narrowing){.dtype = shape.dtype}, *at) : hct_element_get_int(shape.dtype, at);
  }
  *out_tensor = t;
  return true;
}
