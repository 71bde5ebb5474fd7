/* Where in an ONNX file the raw data of each initializer lies: protobuf-c copies it, and images and dumps refer to the file. */
#ifndef HCT_COMPILER_IMPORT_WIRE_H
#define HCT_COMPILER_IMPORT_WIRE_H

#include "ir/support/support.h"

typedef struct wire_tensor {
  const char *name;
  size_t offset, bytes;
} wire_tensor;
typedef struct wire_list {
  wire_tensor *items;
  size_t count, capacity;
} wire_list;
/* Walks ModelProto.graph.initializer of a file that protobuf-c has accepted; stops quietly at what it does not understand. */
wire_list wire_initializers(hct_arena *arena, const uint8_t *data, size_t bytes);

#endif
