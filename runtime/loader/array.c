#include "runtime/loader/array.h"

#include <onnx.pb-c.h>
#include <stdlib.h>
#include <string.h>

static const struct { hct_dtype dtype; const char *npy; int onnx; } types[] = {
    {HCT_F32, "<f4", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT}, {HCT_F64, "<f8", ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE}, {HCT_F16, "<f2", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16},
    {HCT_I64, "<i8", ONNX__TENSOR_PROTO__DATA_TYPE__INT64}, {HCT_I32, "<i4", ONNX__TENSOR_PROTO__DATA_TYPE__INT32}, {HCT_BOOL, "|b1", ONNX__TENSOR_PROTO__DATA_TYPE__BOOL},
};

static bool array_size(const hct_array *array, size_t *out_bytes) {
  int64_t count = (int64_t)hct_dtype_bytes(array->dtype);
  for (size_t d = 0; d < array->rank; d++)
    if (array->dims[d] < 0 || !hct_mul_i64(count, array->dims[d], &count)) return false;
  *out_bytes = (size_t)count;
  return true;
}

static hct_status read_npy(hct_diags *diags, hct_arena *arena, const char *path, const hct_file *file, hct_array *out_array) {
  hct_loc loc = {.file = path};
  hct_array array = {0};
  size_t start = file->bytes >= 12 && file->data[6] >= 2 ? 12 : 10, length;
  if (file->bytes < 12) return hct_error(diags, HCT_E_INPUT, loc, "a .npy file of %zu bytes", file->bytes);
  length = start == 10 ? (size_t)(file->data[8] | file->data[9] << 8) : (size_t)file->data[8] | (size_t)file->data[9] << 8 | (size_t)file->data[10] << 16 | (size_t)file->data[11] << 24;
  if (length > file->bytes - start) return hct_error(diags, HCT_E_INPUT, loc, "its header is cut short");
  char *header = hct_arena_strndup(arena, (const char *)file->data + start, length), *descr = strstr(header, "'descr':"), *shape = strstr(header, "'shape':");
  bool known = false;
  if (descr && (descr = strchr(descr + 8, '\'')))
    for (size_t i = 0; i < HCT_COUNT(types); i++)
      if (!strncmp(descr + 1, types[i].npy, 3) && descr[4] == '\'') array.dtype = types[i].dtype, known = true;
  if (!known) return hct_error(diags, HCT_E_INPUT, loc, "its element type is none of f4, f8, f2, i8, i4, b1 (little-endian)");
  if (strstr(header, "'fortran_order': True")) return hct_error(diags, HCT_E_INPUT, loc, "Fortran order; numpy.ascontiguousarray gives the other");
  shape = shape ? strchr(shape, '(') : NULL;
  if (!shape) return hct_error(diags, HCT_E_INPUT, loc, "its header has no shape");
  for (shape++; *shape && *shape != ')';) {
    char *end;
    long long size = strtoll(shape, &end, 10);
    if (end == shape || array.rank > HCT_MAX_RANK) return hct_error(diags, HCT_E_INPUT, loc, "its shape is not understood");
    array.dims[array.rank++] = size;
    shape = end + strspn(end, ", ");
  }
  if (!array_size(&array, &array.bytes) || array.bytes != file->bytes - start - length) return hct_error(diags, HCT_E_INPUT, loc, "it holds %zu bytes of data, its shape needs %zu", file->bytes - start - length, array.bytes);
  uint8_t *data = hct_arena_alloc(arena, array.bytes + 1);
  memcpy(data, file->data + start + length, array.bytes);
  array.data = data;
  *out_array = array;
  return HCT_OK;
}

static hct_status read_proto(hct_diags *diags, hct_arena *arena, const char *path, const hct_file *file, hct_array *out_array) {
  hct_loc loc = {.file = path};
  Onnx__TensorProto *proto = file->bytes ? onnx__tensor_proto__unpack(NULL, file->bytes, file->data) : NULL;
  if (!proto) return hct_error(diags, HCT_E_INPUT, loc, "neither a .npy file nor an ONNX TensorProto");
  hct_array array = {0};
  bool known = false, good;
  for (size_t i = 0; i < HCT_COUNT(types); i++)
    if (types[i].onnx == proto->data_type) array.dtype = types[i].dtype, known = true;
  array.rank = proto->n_dims;
  good = known && array.rank <= HCT_MAX_RANK + 1;
  for (size_t d = 0; good && d < array.rank; d++) array.dims[d] = proto->dims[d];
  good = good && array_size(&array, &array.bytes);
  const void *from = NULL;
  if (good && proto->has_raw_data && proto->raw_data.len == array.bytes) from = proto->raw_data.data;
  else if (good && array.dtype == HCT_F32 && proto->n_float_data * 4 == array.bytes) from = proto->float_data;
  else if (good && array.dtype == HCT_I64 && proto->n_int64_data * 8 == array.bytes) from = proto->int64_data;
  else if (good && array.dtype == HCT_I32 && proto->n_int32_data * 4 == array.bytes) from = proto->int32_data;
  hct_status status = HCT_OK;
  if (!from && !(good && array.bytes == 0)) {
    status = hct_error(diags, HCT_E_INPUT, loc, "its element type is not supported, or its data does not fit its shape");
  } else {
    uint8_t *data = hct_arena_alloc(arena, array.bytes + 1);
    if (array.bytes) memcpy(data, from, array.bytes);
    array.data = data;
    *out_array = array;
  }
  onnx__tensor_proto__free_unpacked(proto, NULL);
  return status;
}

hct_status hct_array_read(hct_diags *diags, hct_arena *arena, const char *path, hct_array *out_array) {
  hct_file file;
  HCT_TRY(hct_file_map(diags, path, &file));
  bool npy = file.bytes >= 6 && !memcmp(file.data, "\x93NUMPY", 6);
  hct_status status = npy ? read_npy(diags, arena, path, &file, out_array) : read_proto(diags, arena, path, &file, out_array);
  hct_file_unmap(&file);
  return status;
}

hct_status hct_array_write_npy(hct_diags *diags, const hct_array *array, const char *path) {
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  const char *type = "<f4";
  for (size_t i = 0; i < HCT_COUNT(types); i++)
    if (types[i].dtype == array->dtype) type = types[i].npy;
  hct_text header = {0};
  hct_text_printf(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
  for (size_t d = 0; d < array->rank; d++) hct_text_printf(&header, "%lld,%s", (long long)array->dims[d], d + 1 < array->rank ? " " : "");
  hct_text_printf(&header, "), }");
  while ((10 + header.length + 1) % 64) hct_text_append(&header, " ", 1);
  hct_text_append(&header, "\n", 1);
  uint8_t preamble[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)header.length, (uint8_t)(header.length >> 8)};
  FILE *stream = hct_output_stream(output);
  fwrite(preamble, 1, sizeof preamble, stream);
  fwrite(header.data, 1, header.length, stream);
  if (array->bytes) fwrite(array->data, 1, array->bytes, stream);
  hct_text_fini(&header);
  return hct_output_commit(diags, output);
}
