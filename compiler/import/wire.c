#include "compiler/import/wire.h"

typedef struct wire_field {
  uint32_t number;
  size_t offset, bytes; /* of a length-delimited field */
  bool delimited;
} wire_field;

static bool varint(const uint8_t *data, size_t end, size_t *at, uint64_t *out_value) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
    uint8_t byte = data[(*at)++];
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return *out_value = value, true;
  }
  return false;
}

static bool field_next(const uint8_t *data, size_t end, size_t *at, wire_field *out_field) {
  uint64_t tag, length;
  if (*at >= end || !varint(data, end, at, &tag)) return false;
  *out_field = (wire_field){.number = (uint32_t)(tag >> 3)};
  switch (tag & 7) {
    case 0: return varint(data, end, at, &length);
    case 1: length = 8; break;
    case 5: length = 4; break;
    case 2:
      if (!varint(data, end, at, &length)) return false;
      out_field->delimited = true;
      break;
    default: return false;
  }
  if (length > end - *at) return false;
  out_field->offset = *at;
  out_field->bytes = (size_t)length;
  *at += (size_t)length;
  return true;
}

enum { MODEL_GRAPH = 7, GRAPH_INITIALIZER = 5, TENSOR_NAME = 8, TENSOR_RAW_DATA = 9 };

static void tensor_add(hct_arena *arena, const uint8_t *data, size_t start, size_t end, hct_map *map) {
  wire_tensor tensor = {0};
  const char *name = NULL;
  wire_field field;
  while (field_next(data, end, &start, &field)) {
    if (field.number == TENSOR_NAME && field.delimited) name = hct_arena_strndup(arena, (const char *)data + field.offset, field.bytes);
    if (field.number == TENSOR_RAW_DATA && field.delimited) tensor = (wire_tensor){field.offset, field.bytes};
  }
  if (!name || !tensor.offset) return;
  wire_tensor *kept = HCT_NEW(arena, wire_tensor);
  *kept = tensor;
  hct_map_put(map, name, kept);
}

hct_map *wire_initializers(hct_arena *arena, const uint8_t *data, size_t bytes) {
  hct_map *map = hct_map_create(arena);
  wire_field graph, field;
  for (size_t at = 0; field_next(data, bytes, &at, &graph);) {
    if (graph.number != MODEL_GRAPH || !graph.delimited) continue;
    for (size_t inner = graph.offset, end = graph.offset + graph.bytes; field_next(data, end, &inner, &field);)
      if (field.number == GRAPH_INITIALIZER && field.delimited) tensor_add(arena, data, field.offset, field.offset + field.bytes, map);
  }
  return map;
}

bool wire_nests(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t bytes, unsigned levels) {
  wire_field field;
  for (size_t at = 0; field_next(data, bytes, &at, &field);) {
    const ProtobufCFieldDescriptor *member = field.delimited ? protobuf_c_message_descriptor_get_field(type, field.number) : NULL;
    if (!member || member->type != PROTOBUF_C_TYPE_MESSAGE) continue;
    if (!levels || !wire_nests(member->descriptor, data + field.offset, field.bytes, levels - 1)) return false;
  }
  return true;
}
