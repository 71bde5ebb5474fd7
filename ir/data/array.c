#include "ir/data/array.h"

#include <errno.h>
#include <fcntl.h>
#include <onnx.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool array_size(const hct_array *array, size_t *out_bytes) {
  int64_t count = (int64_t)hct_dtype_bytes(array->dtype);
  for (size_t d = 0; d < array->rank; d++)
    if (array->dims[d] < 0 || !hct_mul_i64(count, array->dims[d], &count)) return false;
  *out_bytes = (size_t)count;
  return true;
}

/* Its shape, and where its data begins. */
static hct_status npy_shape(hct_diags *diags, hct_arena *arena, const char *path, const hct_file *file, hct_array *out_array, size_t *out_offset) {
  hct_loc loc = {.file = path};
  hct_array array = {0};
  size_t start = file->bytes >= 12 && file->data[6] >= 2 ? 12 : 10, length;
  if (file->bytes < 12) return hct_error(diags, HCT_E_INPUT, loc, "a .npy file of %zu bytes", file->bytes);
  length = start == 10 ? (size_t)(file->data[8] | file->data[9] << 8) : (size_t)file->data[8] | (size_t)file->data[9] << 8 | (size_t)file->data[10] << 16 | (size_t)file->data[11] << 24;
  if (length > file->bytes - start) return hct_error(diags, HCT_E_INPUT, loc, "its header is cut short");
  char *header = hct_arena_strndup(arena, (const char *)file->data + start, length), *descr = strstr(header, "'descr':"), *shape = strstr(header, "'shape':");
  bool known = false;
  if (descr && (descr = strchr(descr + 8, '\''))) known = hct_dtype_from_npy(hct_arena_strndup(arena, descr + 1, strcspn(descr + 1, "'")), &array.dtype);
  if (!known) return hct_error(diags, HCT_E_INPUT, loc, "its element type is none of f2, f4, f8, i1 to i8, u1 to u8, b1 (little-endian)");
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
  *out_array = array;
  *out_offset = start + length;
  return HCT_OK;
}

static hct_status read_npy(hct_diags *diags, hct_arena *arena, const char *path, const hct_file *file, hct_array *out_array) {
  size_t offset;
  HCT_TRY(npy_shape(diags, arena, path, file, out_array, &offset));
  uint8_t *data = hct_arena_alloc(arena, out_array->bytes + 1);
  memcpy(data, file->data + offset, out_array->bytes);
  out_array->data = data;
  return HCT_OK;
}

void hct_array_unpack(hct_dtype dtype, const uint8_t *packed, size_t count, uint8_t *out_data) {
  size_t bits = hct_dtype_bits(dtype), each = 8 / bits;
  for (size_t n = 0; n < count; n++) {
    uint8_t code = (uint8_t)((unsigned)packed[n / each] >> (n % each * bits) & ((1u << bits) - 1));
    if (hct_dtype_is_float(dtype)) out_data[n] = code;
    else hct_element_set_int(dtype, &out_data[n], code);
  }
}

/* Codes, packed or a byte each: of raw data, or of numbers that hold a byte each. */
static bool codes_from_proto(hct_arena *arena, const Onnx__TensorProto *proto, hct_array *array) {
  int64_t bytes;
  if (!hct_dtype_file_bytes(array->dtype, (int64_t)array->bytes, &bytes) || (proto->has_raw_data ? proto->raw_data.len : proto->n_int32_data) != (size_t)bytes) return false;
  const uint8_t *codes = proto->raw_data.data;
  if (!proto->has_raw_data) {
    uint8_t *copy = hct_arena_alloc(arena, (size_t)bytes + 1);
    for (size_t n = 0; n < (size_t)bytes; n++) copy[n] = (uint8_t)proto->int32_data[n];
    codes = copy;
  }
  array->data = codes;
  if (hct_dtype_bits(array->dtype) == 8) return true;
  uint8_t *data = hct_arena_alloc(arena, array->bytes + 1);
  hct_array_unpack(array->dtype, codes, array->bytes, data);
  array->data = data;
  return true;
}

bool hct_array_from_proto(hct_arena *arena, const Onnx__TensorProto *proto, hct_array *out_array) {
  hct_array array = {.rank = proto->n_dims};
  if (!hct_dtype_from_onnx(proto->data_type, &array.dtype) || array.rank > HCT_MAX_RANK + 1) return false;
  for (size_t d = 0; d < array.rank; d++) array.dims[d] = proto->dims[d];
  if (!array_size(&array, &array.bytes)) return false;
  size_t size = hct_dtype_bytes(array.dtype), count = array.bytes / size;
  if (hct_dtype_computed(array.dtype) != array.dtype) {
    if (!codes_from_proto(arena, proto, &array)) return false;
    *out_array = array;
    return true;
  }
  if (proto->has_raw_data) {
    array.data = proto->raw_data.data;
    *out_array = array;
    return proto->raw_data.len == array.bytes;
  }
  bool wide = array.dtype == HCT_I64, wide_unsigned = array.dtype == HCT_U64 || array.dtype == HCT_U32, bits = hct_dtype_is_half(array.dtype);
  size_t there = array.dtype == HCT_F32 ? proto->n_float_data : array.dtype == HCT_F64 ? proto->n_double_data : wide ? proto->n_int64_data : wide_unsigned ? proto->n_uint64_data : proto->n_int32_data;
  if (there != count) return false;
  uint8_t *data = hct_arena_alloc(arena, array.bytes + 1);
  for (size_t n = 0; n < count; n++) {
    uint8_t *at = data + n * size;
    if (array.dtype == HCT_F32) memcpy(at, &proto->float_data[n], size);
    else if (array.dtype == HCT_F64) memcpy(at, &proto->double_data[n], size);
    else hct_element_set_int(bits ? HCT_U16 : array.dtype, at, wide ? proto->int64_data[n] : wide_unsigned ? (int64_t)proto->uint64_data[n] : proto->int32_data[n]);
  }
  array.data = data;
  *out_array = array;
  return true;
}

void hct_array_convert(hct_arena *arena, hct_array *array, hct_dtype dtype) {
  size_t from = hct_dtype_bytes(array->dtype), to = hct_dtype_bytes(dtype), count = array->bytes / from;
  if (array->dtype == dtype) return;
  uint8_t *data = hct_arena_alloc(arena, count * to + 1);
  for (size_t n = 0; n < count; n++) hct_element_set(dtype, data + n * to, hct_element_get(array->dtype, array->data + n * from));
  array->dtype = dtype;
  array->data = data;
  array->bytes = count * to;
}

static hct_status read_proto(hct_diags *diags, hct_arena *arena, const char *path, const hct_file *file, hct_array *out_array) {
  hct_loc loc = {.file = path};
  Onnx__TensorProto *proto = file->bytes ? onnx__tensor_proto__unpack(NULL, file->bytes, file->data) : NULL;
  if (!proto) return hct_error(diags, HCT_E_INPUT, loc, "neither a .npy file nor an ONNX TensorProto");
  hct_status status = HCT_OK;
  if (!hct_array_from_proto(arena, proto, out_array)) {
    status = hct_error(diags, HCT_E_INPUT, loc, "its element type is not supported, or its data does not fit its shape");
  } else {
    uint8_t *data = hct_arena_alloc(arena, out_array->bytes + 1);
    if (out_array->bytes) memcpy(data, out_array->data, out_array->bytes);
    out_array->data = data;
  }
  onnx__tensor_proto__free_unpacked(proto, NULL);
  return status;
}

static bool is_npy(const hct_file *file) { return file->bytes >= 6 && !memcmp(file->data, "\x93NUMPY", 6); }

hct_status hct_array_open(hct_diags *diags, hct_arena *arena, const char *path, hct_array_file *out_file) {
  hct_file mapped;
  hct_array_file file = {.path = path, .fd = -1};
  HCT_TRY(hct_file_map(diags, path, &mapped));
  size_t offset = 0;
  hct_status status = is_npy(&mapped) ? npy_shape(diags, arena, path, &mapped, &file.shape, &offset) : read_proto(diags, arena, path, &mapped, &file.shape);
  hct_file_unmap(&mapped);
  if (status != HCT_OK) return status;
  file.data_offset = offset;
  if (!file.shape.data && (file.fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) return hct_error(diags, HCT_E_IO, (hct_loc){.file = path}, "cannot open: %s", strerror(errno));
  *out_file = file;
  return HCT_OK;
}

/* Not mapped: a mapped file that is cut while a long run goes on would end it by a signal. */
hct_status hct_array_file_read(hct_diags *diags, const hct_array_file *file, size_t offset, size_t bytes, uint8_t *out_data) {
  if (file->shape.data) return memcpy(out_data, file->shape.data + offset, bytes), HCT_OK;
  for (size_t done = 0; done < bytes;) {
    ssize_t count = pread(file->fd, out_data + done, bytes - done, (off_t)(file->data_offset + offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return hct_failure(diags, HCT_E_IO, (hct_loc){.file = file->path}, "cannot read: %s", strerror(errno));
    if (!count) return hct_error(diags, HCT_E_INPUT, (hct_loc){.file = file->path}, "it has been cut since the run began: no byte is at %llu", (unsigned long long)(file->data_offset + offset + done));
    done += (size_t)count;
  }
  return HCT_OK;
}

void hct_array_close(hct_array_file *file) {
  if (file->path && file->fd >= 0) close(file->fd);
  *file = (hct_array_file){.fd = -1};
}

hct_status hct_array_read(hct_diags *diags, hct_arena *arena, const char *path, hct_array *out_array) {
  hct_file file;
  HCT_TRY(hct_file_map(diags, path, &file));
  hct_status status = is_npy(&file) ? read_npy(diags, arena, path, &file, out_array) : read_proto(diags, arena, path, &file, out_array);
  hct_file_unmap(&file);
  return status;
}

hct_status hct_array_write_npy(hct_diags *diags, const hct_array *array, const char *path) {
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  const char *type = hct_dtype_npy(array->dtype);
  HCT_BUG_ON(!type[0], "NumPy has no %s", hct_dtype_name(array->dtype));
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
