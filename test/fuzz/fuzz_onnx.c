/* Any bytes are an ONNX model or are none; where the raw data of its initializers lies is what protobuf-c read, and their arrays are as long as their
 * shapes say. */
#include <onnx.pb-c.h>
#include <string.h>

#include "compiler/import/wire.h"
#include "ir/data/array.h"
#include "test/fuzz/fuzz_file.h"

static void tensor_hold(hct_arena *arena, const hct_map *places, const uint8_t *data, size_t bytes, const Onnx__TensorProto *tensor) {
  hct_array array;
  const wire_tensor *where = tensor->name && tensor->has_raw_data ? hct_map_get(places, tensor->name) : NULL;
  if (where && (where->offset > bytes || where->bytes > bytes - where->offset)) abort();
  if (!hct_array_from_proto(arena, tensor, &array)) return;
  size_t expected = hct_dtype_bytes(array.dtype);
  for (size_t d = 0; d < array.rank; d++) expected *= (size_t)array.dims[d];
  if (array.bytes != expected) abort();
  hct_array_convert(arena, &array, HCT_F32);
  if (array.bytes) (void)hct_checksum(array.data, array.bytes);
  if (where && where->bytes == tensor->raw_data.len && where->bytes) (void)hct_checksum(data + where->offset, where->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (!bytes || !wire_nests(&onnx__model_proto__descriptor, data, bytes, WIRE_MAX_LEVELS)) return 0;
  Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, bytes, data);
  hct_arena *arena = hct_arena_create();
  if (model) {
    const hct_map *places = wire_initializers(arena, data, bytes);
    for (size_t i = 0; model->graph && i < model->graph->n_initializer; i++) tensor_hold(arena, places, data, bytes, model->graph->initializer[i]);
    onnx__model_proto__free_unpacked(model, NULL);
  }
  hct_arena_destroy(arena);
  return 0;
}
