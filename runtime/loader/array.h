/* Arrays from and to files: NumPy's .npy (version 1 and 2, C order, little-endian) and ONNX TensorProto (.pb). */
#ifndef HCT_RUNTIME_LOADER_ARRAY_H
#define HCT_RUNTIME_LOADER_ARRAY_H

#include "ir/isa/layout.h"

typedef struct hct_array {
  hct_dtype dtype;
  size_t rank;
  int64_t dims[HCT_MAX_RANK + 1]; /* one more than a tensor: steps */
  const uint8_t *data;            /* row-major; in the arena */
  size_t bytes;
} hct_array;

hct_status hct_array_read(hct_diags *diags, hct_arena *arena, const char *path, hct_array *out_array);
hct_status hct_array_write_npy(hct_diags *diags, const hct_array *array, const char *path);

#endif
