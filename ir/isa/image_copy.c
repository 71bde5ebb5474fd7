#include <string.h>

#include "ir/isa/image.h"

static const char *text_copy(hct_arena *arena, const char *text) { return text ? hct_arena_strdup(arena, text) : NULL; }

static void *items_copy(hct_arena *arena, const void *items, size_t count, size_t size) {
  void *copy = hct_arena_array(arena, count + 1, size);
  if (count) memcpy(copy, items, count * size);
  return copy;
}

static hct_tensor tensor_copy(hct_arena *arena, const hct_tensor *tensor) {
  hct_tensor copy = *tensor;
  copy.name = text_copy(arena, tensor->name);
  copy.data_file = text_copy(arena, tensor->data_file);
  if (tensor->data) copy.data = items_copy(arena, tensor->data, tensor->data_bytes, 1);
  return copy;
}

static hct_stream stream_copy(hct_arena *arena, const hct_stream *stream) {
  hct_stream copy = {HCT_NEW_ARRAY(arena, hct_instr, stream->count + 1), stream->count, stream->count};
  for (size_t i = 0; i < stream->count; i++) copy.items[i] = hct_instr_copy(arena, &stream->items[i]);
  return copy;
}

hct_image hct_image_copy(hct_arena *arena, const hct_image *image) {
  hct_image copy = *image;
  copy.streams = items_copy(arena, image->streams, image->stream_count, sizeof *image->streams);
  copy.die_stream = items_copy(arena, image->die_stream, (size_t)(image->rows * image->cols), sizeof *image->die_stream);
  copy.tensors = items_copy(arena, image->tensors, image->tensor_count, sizeof *image->tensors);
  copy.sources = items_copy(arena, image->sources, image->source_count, sizeof *image->sources);
  copy.meta = items_copy(arena, image->meta, image->meta_count, sizeof *image->meta);
  copy.sram.buffers.items = items_copy(arena, image->sram.buffers.items, image->sram.buffers.count, sizeof *image->sram.buffers.items);
  copy.sram.peaks.items = items_copy(arena, image->sram.peaks.items, image->sram.peaks.count, sizeof *image->sram.peaks.items);
  copy.package_xml = text_copy(arena, image->package_xml);
  for (size_t k = 0; k < copy.stream_count; k++) copy.streams[k] = stream_copy(arena, &image->streams[k]);
  for (size_t t = 0; t < copy.tensor_count; t++) copy.tensors[t] = tensor_copy(arena, &image->tensors[t]);
  for (size_t s = 0; s < copy.source_count; s++) {
    const char **texts[] = {&copy.sources[s].location, &copy.sources[s].layer, &copy.sources[s].pass, &copy.sources[s].collective, &copy.sources[s].axis};
    for (size_t i = 0; i < HCT_COUNT(texts); i++) *texts[i] = text_copy(arena, *texts[i]);
  }
  for (size_t m = 0; m < copy.meta_count; m++) copy.meta[m] = (hct_meta){text_copy(arena, image->meta[m].key), text_copy(arena, image->meta[m].value)};
  for (size_t b = 0; b < copy.sram.buffers.count; b++) copy.sram.buffers.items[b].made_for = text_copy(arena, image->sram.buffers.items[b].made_for);
  return copy;
}
