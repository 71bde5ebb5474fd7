/* Operators whose result is known from attributes and shapes. */
#include <string.h>

#include "compiler/import/import_internal.h"

/* Elements at given places, linear or by coordinates, among zeros. */
static hct_status from_sparse(importer *im, const Onnx__SparseTensorProto *sparse, host_tensor *out_tensor) {
  host_tensor values, places;
  int64_t strides[HCT_MAX_RANK], elements = 1;
  if (!sparse->values || !sparse->indices || sparse->n_dims > HCT_MAX_RANK) return import_refuse(im, HCT_E_ONNX_DATA, "a sparse_value without values or indices, or of rank %zu", sparse->n_dims);
  HCT_TRY(host_from_proto(im, sparse->values, &values));
  HCT_TRY(host_from_proto(im, sparse->indices, &places));
  for (size_t d = 0; d < sparse->n_dims; d++)
    if (sparse->dims[d] < 0 || !hct_mul_i64(elements, sparse->dims[d], &elements) || elements > INT32_MAX) return import_refuse(im, HCT_E_ONNX_SHAPE, "dimension %zu of its sparse_value is %lld", d, (long long)sparse->dims[d]);
  host_tensor t = host_create(im->arena, values.shape.dtype, sparse->n_dims, sparse->dims);
  t.element = values.element;
  host_strides(&t.shape, strides);
  int64_t count = hct_shape_elements(&values.shape), each = places.shape.rank == 2 ? places.shape.dims[1] : 1;
  if (!places.i || hct_shape_elements(&places.shape) != count * each || (places.shape.rank == 2 && each != (int64_t)sparse->n_dims)) return import_refuse(im, HCT_E_ONNX_DATA, "its sparse_value has %lld values, and indices that do not fit", (long long)count);
  for (int64_t n = 0; n < count; n++) {
    int64_t at = places.shape.rank == 2 ? 0 : places.i[n];
    for (size_t d = 0; places.shape.rank == 2 && d < sparse->n_dims; d++) {
      int64_t index = places.i[n * each + (int64_t)d];
      at = at < 0 || index < 0 || index >= sparse->dims[d] ? -1 : at + index * strides[d];
    }
    if (at < 0 || at >= elements) return import_refuse(im, HCT_E_ONNX_DATA, "element %lld of its sparse_value is outside of it", (long long)n);
    if (t.i) t.i[at] = values.i[n];
    else t.f[at] = values.f[n];
  }
  *out_tensor = t;
  return HCT_OK;
}

hct_status import_constant(importer *im) {
  if (im->node->n_attribute != 1) return import_refuse(im, HCT_E_ONNX_INVALID, "%zu attributes; one says its value", im->node->n_attribute);
  const Onnx__AttributeProto *a = im->node->attribute[0];
  const char *name = a->name ? a->name : "";
  host_tensor t;
  if (!strcmp(name, "value") && a->t) {
    HCT_TRY(host_from_proto(im, a->t, &t));
  } else if (!strcmp(name, "sparse_value") && a->sparse_tensor) {
    HCT_TRY(from_sparse(im, a->sparse_tensor, &t));
  } else if (!strcmp(name, "value_float") || !strcmp(name, "value_floats")) {
    bool many = name[strlen("value_float")] != '\0';
    int64_t dims[] = {many ? (int64_t)a->n_floats : 0};
    t = host_create(im->arena, HCT_F32, many ? 1 : 0, dims);
    for (int64_t n = 0; n < hct_shape_elements(&t.shape); n++) t.f[n] = many ? a->floats[n] : a->f;
  } else if (!strcmp(name, "value_int") || !strcmp(name, "value_ints")) {
    bool many = name[strlen("value_int")] != '\0';
    int64_t dims[] = {many ? (int64_t)a->n_ints : 0};
    t = host_create(im->arena, HCT_I64, many ? 1 : 0, dims);
    for (int64_t n = 0; n < hct_shape_elements(&t.shape); n++) t.i[n] = many ? a->ints[n] : a->i;
  } else {
    return import_refuse(im, HCT_E_UNSUPPORTED, "a constant given as '%s'; value, sparse_value, value_float, value_floats, value_int and value_ints are supported", name);
  }
  return import_output_host(im, 0, t);
}

hct_status import_eye_like(importer *im) {
  import_value *a = import_input(im, 0);
  hct_dtype dtype = a->shape.dtype;
  int64_t to = import_int(im, "dtype", 0), k = import_int(im, "k", 0);
  if (import_attribute(im, "dtype") && (!hct_dtype_from_onnx((int32_t)to, &dtype) || import_element(dtype))) return import_refuse(im, HCT_E_ONNX_TYPE, "element type %lld", (long long)to);
  if (a->shape.rank != 2) return import_refuse(im, HCT_E_ONNX_SHAPE, "an input of rank %zu; it must be a matrix", a->shape.rank);
  host_tensor t = host_create(im->arena, import_dtype(dtype), 2, a->shape.dims);
  for (int64_t row = 0; row < a->shape.dims[0]; row++)
    if (row + k >= 0 && row + k < a->shape.dims[1]) host_set(&t, row * a->shape.dims[1] + row + k, 1);
  return import_output_host(im, 0, t);
}
