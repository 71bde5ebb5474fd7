/* ONNX files as bytes: where the raw data of each initializer lies (protobuf-c copies it, and images and dumps refer to the file), and how deep
 * they are. */
#ifndef HCT_COMPILER_IMPORT_WIRE_H
#define HCT_COMPILER_IMPORT_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "ir/support/support.h"

typedef struct wire_tensor { /* in bytes, from the start of the file */
  size_t offset, bytes;
} wire_tensor;
/* Of the initializers of ModelProto.graph that have raw data: name -> wire_tensor *. For a file that protobuf-c has accepted; stops quietly at
 * what it does not understand. */
hct_map *wire_initializers(hct_arena *arena, const uint8_t *data, size_t bytes);
/* Whether messages of `type` are nested in at most `levels` in one another. protobuf-c, which calls itself for each, has no limit of its own, and
 * would run out of stack. */
enum { WIRE_MAX_LEVELS = 100 }; /* as Google's protobuf */
bool wire_nests(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t bytes, unsigned levels);

#endif
