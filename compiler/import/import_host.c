#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

bool dtype_from_onnx(int32_t type, hct_dtype *out_dtype) {
  switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: *out_dtype = HCT_F32; return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: *out_dtype = HCT_I64; return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: *out_dtype = HCT_I32; return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: *out_dtype = HCT_BOOL; return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: *out_dtype = HCT_F64; return true;
    default: return false;
  }
}

bool host_is_float(const host_tensor *t) { return t->shape.dtype == HCT_F32 || t->shape.dtype == HCT_F64; }

host_tensor host_create(hct_arena *arena, hct_dtype dtype, size_t rank, const int64_t *dims) {
  host_tensor t = {.shape = {.dtype = dtype, .rank = rank}};
  for (size_t d = 0; d < rank; d++) t.shape.dims[d] = dims[d];
  size_t count = (size_t)hct_shape_elements(&t.shape);
  if (host_is_float(&t)) t.f = HCT_NEW_ARRAY(arena, double, count + 1);
  else t.i = HCT_NEW_ARRAY(arena, int64_t, count + 1);
  return t;
}

double host_get(const host_tensor *t, int64_t index) { return t->f ? t->f[index] : (double)t->i[index]; }

void host_set(host_tensor *t, int64_t index, double value) {
  if (t->f) t->f[index] = t->shape.dtype == HCT_F32 ? (double)(float)value : value;
  else t->i[index] = (int64_t)value;
}

void host_strides(const hct_shape *shape, int64_t *out_strides) {
  int64_t stride = 1;
  for (size_t d = shape->rank; d-- > 0;) {
    out_strides[d] = stride;
    stride *= shape->dims[d];
  }
}

host_tensor host_view(hct_arena *arena, const host_tensor *from, size_t rank, const int64_t *dims, int64_t offset, const int64_t *strides) {
  host_tensor t = host_create(arena, from->shape.dtype, rank, dims);
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

static bool read_raw(const uint8_t *data, size_t bytes, host_tensor *t, size_t count) {
  size_t size = hct_dtype_bytes(t->shape.dtype);
  if (bytes != count * size) return false;
  for (size_t n = 0; n < count; n++) {
    const uint8_t *at = data + n * size;
    float f;
    double d;
    int32_t w;
    switch (t->shape.dtype) {
      case HCT_F32: memcpy(&f, at, 4); t->f[n] = (double)f; break;
      case HCT_F64: memcpy(&d, at, 8); t->f[n] = d; break;
      case HCT_I64: memcpy(&t->i[n], at, 8); break;
      case HCT_I32: memcpy(&w, at, 4); t->i[n] = w; break;
      default: t->i[n] = *at != 0;
    }
  }
  return true;
}

static bool read_typed(const Onnx__TensorProto *p, host_tensor *t, size_t count) {
  switch (t->shape.dtype) {
    case HCT_F32:
      if (p->n_float_data != count) return false;
      for (size_t n = 0; n < count; n++) t->f[n] = (double)p->float_data[n];
      return true;
    case HCT_F64:
      if (p->n_double_data != count) return false;
      for (size_t n = 0; n < count; n++) t->f[n] = p->double_data[n];
      return true;
    case HCT_I64:
      if (p->n_int64_data != count) return false;
      for (size_t n = 0; n < count; n++) t->i[n] = p->int64_data[n];
      return true;
    default:
      if (p->n_int32_data != count) return false;
      for (size_t n = 0; n < count; n++) t->i[n] = p->int32_data[n];
      return true;
  }
}

static hct_status import_refuse_data(importer *im, const char *name, int64_t count) {
  return import_refuse(im, HCT_E_ONNX_DATA, "tensor '%s': its data does not hold the %lld elements that its shape needs", name, (long long)count);
}

hct_status host_shape_from_proto(importer *im, const Onnx__TensorProto *p, hct_shape *out_shape, int64_t *out_bytes) {
  hct_shape shape = {.rank = p->n_dims};
  const char *name = p->name ? p->name : "(unnamed)";
  if (!dtype_from_onnx(p->data_type, &shape.dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "tensor '%s' has element type %d; f32, f64, i64, i32 and bool are supported", name, p->data_type);
  if (p->n_dims > HCT_MAX_RANK) return import_refuse(im, HCT_E_ONNX_SHAPE, "tensor '%s' has rank %zu; at most %d is supported", name, p->n_dims, HCT_MAX_RANK);
  int64_t bytes = (int64_t)hct_dtype_bytes(shape.dtype);
  for (size_t d = 0; d < p->n_dims; d++) {
    shape.dims[d] = p->dims[d];
    if (p->dims[d] < 0 || p->dims[d] > INT32_MAX) return import_refuse(im, HCT_E_ONNX_DATA, "tensor '%s': dimension %zu is %lld", name, d, (long long)p->dims[d]);
    if (!hct_mul_i64(bytes, p->dims[d], &bytes) || bytes > HCT_MAX_TENSOR_BYTES) return import_refuse(im, HCT_E_ONNX_DATA, "tensor '%s' has more than %lld bytes", name, (long long)HCT_MAX_TENSOR_BYTES);
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
  int64_t count = bytes / (int64_t)hct_dtype_bytes(shape.dtype);
  if (count > INT32_MAX) return import_refuse(im, HCT_E_ONNX_DATA, "tensor '%s' has %lld elements; at most %d can be known at compile time", name, (long long)count, INT32_MAX);
  if (!external && p->has_raw_data && raw.bytes != (size_t)bytes) return import_refuse_data(im, name, count);
  host_tensor t = host_create(im->arena, shape.dtype, shape.rank, shape.dims);
  bool fits = external || p->has_raw_data ? read_raw(raw.data, raw.bytes, &t, (size_t)count) : read_typed(p, &t, (size_t)count);
  if (!fits) return import_refuse_data(im, name, count);
  *out_tensor = t;
  return HCT_OK;
}

MlirAttribute host_attribute(importer *im, const host_tensor *t) {
  size_t count = (size_t)hct_shape_elements(&t->shape);
  hct_dtype dtype = t->shape.dtype == HCT_F64 ? HCT_F32 : t->shape.dtype;
  MlirType type = hct_type_tensor(im->context, dtype, t->shape.rank, t->shape.dims);
  hct_arena *scratch = hct_arena_create();
  MlirAttribute attribute;
  if (dtype == HCT_F32) {
    float *data = HCT_NEW_ARRAY(scratch, float, count + 1);
    bool splat = count > 0;
    for (size_t n = 0; n < count; n++) {
      data[n] = (float)t->f[n];
      splat = splat && memcmp(&data[n], &data[0], sizeof *data) == 0;
    }
    attribute = splat ? mlirDenseElementsAttrFloatSplatGet(type, data[0]) : mlirDenseElementsAttrFloatGet(type, (intptr_t)count, data);
  } else if (dtype == HCT_BOOL) {
    int *data = HCT_NEW_ARRAY(scratch, int, count + 1);
    for (size_t n = 0; n < count; n++) data[n] = t->i[n] != 0;
    attribute = mlirDenseElementsAttrBoolGet(type, (intptr_t)count, data);
  } else if (dtype == HCT_I64) {
    attribute = mlirDenseElementsAttrInt64Get(type, (intptr_t)count, t->i);
  } else {
    int32_t *data = HCT_NEW_ARRAY(scratch, int32_t, count + 1);
    for (size_t n = 0; n < count; n++) data[n] = (int32_t)t->i[n];
    attribute = mlirDenseElementsAttrInt32Get(type, (intptr_t)count, data);
  }
  hct_arena_destroy(scratch);
  return attribute;
}

bool host_from_attribute(importer *im, MlirAttribute attribute, host_tensor *out_tensor) {
  if (!mlirAttributeIsADenseElements(attribute)) return false;
  MlirType type = mlirAttributeGetType(attribute), element = mlirShapedTypeGetElementType(type);
  hct_dtype dtype = HCT_F32;
  if (mlirTypeIsAInteger(element)) {
    unsigned width = mlirIntegerTypeGetWidth(element);
    if (width != 64 && width != 32 && width != 1) return false;
    dtype = width == 64 ? HCT_I64 : width == 32 ? HCT_I32 : HCT_BOOL;
  } else if (!mlirTypeIsAF32(element)) {
    return false;
  }
  int64_t dims[HCT_MAX_RANK], rank = mlirShapedTypeGetRank(type);
  if (rank > HCT_MAX_RANK) return false;
  for (int64_t d = 0; d < rank; d++) dims[d] = mlirShapedTypeGetDimSize(type, (intptr_t)d);
  host_tensor t = host_create(im->arena, dtype, (size_t)rank, dims);
  int64_t count = hct_shape_elements(&t.shape);
  const float *numbers = hct_attr_f32s(attribute);
  for (int64_t n = 0; n < count; n++) {
    intptr_t at = (intptr_t)n;
    if (dtype == HCT_F32) t.f[n] = numbers ? (double)numbers[n] : (double)mlirDenseElementsAttrGetFloatSplatValue(attribute);
    else if (dtype == HCT_I64) t.i[n] = mlirDenseElementsAttrGetInt64Value(attribute, at);
    else if (dtype == HCT_I32) t.i[n] = mlirDenseElementsAttrGetInt32Value(attribute, at);
    else t.i[n] = mlirDenseElementsAttrGetBoolValue(attribute, at);
  }
  *out_tensor = t;
  return true;
}
