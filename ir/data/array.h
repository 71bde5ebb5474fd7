/* Arrays from and to files: NumPy's .npy (version 1 and 2, C order, little-endian) and ONNX TensorProto (.pb). */
#ifndef HCT_DATA_ARRAY_H
#define HCT_DATA_ARRAY_H

#include <onnx.pb-c.h>

#include "ir/isa/layout.h"

typedef struct hct_array {
  hct_dtype dtype;
  size_t rank;
  int64_t dims[HCT_MAX_RANK + 1]; /* one more than a tensor: steps */
  const uint8_t *data;            /* row-major; in the arena */
  size_t bytes;
} hct_array;

/* A file of which parts are read when asked for: a .npy file may be larger than memory. */
typedef struct hct_array_file {
  hct_array shape;      /* data: a TensorProto's, which is read whole; else NULL */
  const char *path;
  int fd;               /* -1: none */
  uint64_t data_offset;
} hct_array_file;
hct_status hct_array_open(hct_diags *diags, hct_arena *arena, const char *path, hct_array_file *out_file);
/* Bytes from `offset` of its data on. Refused: the file was cut meanwhile. */
hct_status hct_array_file_read(hct_diags *diags, const hct_array_file *file, size_t offset, size_t bytes, uint8_t *out_data);
void hct_array_close(hct_array_file *file);

hct_status hct_array_read(hct_diags *diags, hct_arena *arena, const char *path, hct_array *out_array);
/* Shape and data, which stays the message's or goes to the arena. External data is none of it. False: an element type that we do not have, more
 * dimensions than an array's, or data that does not fit. */
bool hct_array_from_proto(hct_arena *arena, const Onnx__TensorProto *proto, hct_array *out_array);
/* Elements of fewer than 8 bits as files have them, to a byte each. */
void hct_array_unpack(hct_dtype dtype, const uint8_t *packed, size_t count, uint8_t *out_data);
void hct_array_convert(hct_arena *arena, hct_array *array, hct_dtype dtype); /* as hct_element_set does */
hct_status hct_array_write_npy(hct_diags *diags, const hct_array *array, const char *path);

#endif
