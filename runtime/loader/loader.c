#include "runtime/loader/loader.h"

#include <stdlib.h>
#include <string.h>

typedef struct tile_copy {
  uint8_t *tile;
  uint8_t *whole;
  uint8_t *seen;  /* assembling: which elements are there already */
  size_t size;
  bool to_tile, equal;
} tile_copy;

static void copy_element(void *user, int64_t tile_index, int64_t global_index) {
  tile_copy *c = user;
  uint8_t *tile = c->tile + (size_t)tile_index * c->size, *whole = c->whole + (size_t)global_index * c->size;
  if (c->to_tile) {
    memcpy(tile, whole, c->size);
  } else if (!c->seen[global_index]) {
    memcpy(whole, tile, c->size);
    c->seen[global_index] = 1;
  } else if (memcmp(whole, tile, c->size) != 0) {
    c->equal = false;
  }
}

static void for_tiles(const hct_image *image, const hct_memory *memories, const hct_tensor *tensor, tile_copy *copy) {
  bool timed = hct_layout_uses_axis(&tensor->layout, HCT_AXIS_TIME);
  int64_t parts = timed ? (image->batch + image->micro_batch - 1) / image->micro_batch : 1;
  copy->size = hct_dtype_bytes(tensor->dtype);
  for (int64_t die = 0; die < image->rows * image->cols; die++)
    for (int64_t part = 0; part < parts; part++) {
      hct_place place = {.rows = image->rows, .cols = image->cols, .row = die / image->cols, .col = die % image->cols};
      if (timed) place.micro_batch_start = part * image->micro_batch, place.micro_batch_size = image->micro_batch;
      copy->tile = memories[die].dram + tensor->dram_offset + part * tensor->micro_batch_stride;
      hct_layout_for_each(&tensor->layout, &place, copy_element, copy);
    }
}

void hct_loader_place(const hct_image *image, hct_memory *memories, const hct_tensor *tensor, const uint8_t *data) {
  tile_copy copy = {.whole = (uint8_t *)(uintptr_t)data, .to_tile = true};
  for_tiles(image, memories, tensor, &copy);
}

/* Of one role, name and shape: the pieces of a parameter are, each with its part of every tile. */
static bool is_part(const hct_tensor *tensor, const hct_tensor *of, hct_role role) {
  bool same = tensor->role == role && !strcmp(tensor->name, of->name) && tensor->layout.rank == of->layout.rank;
  for (unsigned d = 0; same && d < of->layout.rank; d++) same = hct_layout_dim_size(&tensor->layout, d) == hct_layout_dim_size(&of->layout, d);
  return same;
}

bool hct_loader_assemble(const hct_image *image, const hct_memory *memories, const hct_tensor *tensor, uint8_t *out_data) {
  tile_copy copy = {.whole = out_data, .equal = true};
  copy.seen = calloc((size_t)hct_layout_elements(&tensor->layout) + 1, 1);
  HCT_BUG_ON(!copy.seen, "out of memory");
  for (size_t i = 0; i < image->tensor_count; i++)
    if (is_part(&image->tensors[i], tensor, tensor->role) && image->tensors[i].dtype == tensor->dtype) for_tiles(image, memories, &image->tensors[i], &copy);
  free(copy.seen);
  return copy.equal;
}

const hct_tensor *hct_image_tensor(const hct_image *image, hct_role role, const char *name) {
  for (size_t i = 0; i < image->tensor_count; i++)
    if (image->tensors[i].role == role && (!name || !strcmp(image->tensors[i].name, name))) return &image->tensors[i];
  return NULL;
}

hct_array hct_tensor_shape(const hct_tensor *tensor) {
  hct_array array = {.dtype = tensor->dtype, .rank = tensor->layout.rank};
  array.bytes = (size_t)hct_layout_elements(&tensor->layout) * hct_dtype_bytes(tensor->dtype);
  for (unsigned d = 0; d < tensor->layout.rank; d++) array.dims[d] = hct_layout_dim_size(&tensor->layout, d);
  return array;
}

/* Contents of type `from`: rounded where that is wider than the tensor's. */
static void place_as(const hct_image *image, hct_memory *memories, const hct_tensor *tensor, hct_dtype from, const uint8_t *data) {
  if (from == tensor->dtype) {
    hct_loader_place(image, memories, tensor, data);
    return;
  }
  size_t size = hct_dtype_bytes(tensor->dtype), wide = hct_dtype_bytes(from), elements = (size_t)hct_layout_elements(&tensor->layout);
  uint8_t *rounded = malloc(elements * size + 1);
  HCT_BUG_ON(!rounded, "out of memory");
  for (size_t i = 0; i < elements; i++) hct_element_set(tensor->dtype, rounded + i * size, hct_element_get(from, data + i * wide));
  hct_loader_place(image, memories, tensor, rounded);
  free(rounded);
}

static void place_copies(const hct_image *image, hct_memory *memories, const hct_tensor *tensor, hct_dtype from, const uint8_t *data) {
  for (size_t i = 0; i < image->tensor_count && tensor->role == HCT_ROLE_PARAM; i++)
    if (is_part(&image->tensors[i], tensor, HCT_ROLE_COPY)) place_as(image, memories, &image->tensors[i], from, data);
}

static void place_data(const hct_image *image, hct_memory *memories, const hct_tensor *tensor, const uint8_t *data) {
  hct_dtype from;
  HCT_BUG_ON(!hct_data_fits(tensor->dtype, tensor->data_dtype, hct_layout_elements(&tensor->layout), (int64_t)tensor->data_bytes, &from), "data of '%s'", tensor->name);
  place_as(image, memories, tensor, from, data);
  place_copies(image, memories, tensor, from, data);
}

void hct_loader_restore(const hct_image *image, hct_memory *memories, const hct_tensor *tensor, const uint8_t *data) {
  for (size_t i = 0; i < image->tensor_count; i++)
    if (is_part(&image->tensors[i], tensor, tensor->role)) hct_loader_place(image, memories, &image->tensors[i], data);
  place_copies(image, memories, tensor, tensor->dtype, data);
}

static hct_status place_external(hct_diags *diags, hct_arena *arena, const hct_image *image, const char *image_path, hct_memory *memories, const hct_tensor *tensor) {
  const char *path = hct_path_join(arena, hct_path_folder(arena, image_path), tensor->data_file);
  hct_loc loc = {.file = path};
  hct_file file;
  hct_status status = hct_file_map(diags, path, &file);
  if (status == HCT_OK) {
    if (tensor->data_offset > file.bytes || tensor->data_bytes > file.bytes - tensor->data_offset)
      status = hct_error(diags, HCT_E_INPUT, loc, "it has no %zu bytes at %llu for '%s'", tensor->data_bytes, (unsigned long long)tensor->data_offset, tensor->name);
    else if (hct_checksum(file.data + tensor->data_offset, tensor->data_bytes) != tensor->data_checksum)
      status = hct_error(diags, HCT_E_INPUT, loc, "the data of '%s' has changed since the program was compiled", tensor->name);
    else place_data(image, memories, tensor, file.data + tensor->data_offset);
    hct_file_unmap(&file);
  }
  if (status == HCT_OK) return HCT_OK;
  hct_note(diags, "%s keeps the data of '%s' there", image_path, tensor->name);
  hct_hint(diags, "compile the model again, or --mode=timing, which needs no data");
  return status;
}

const hct_tensor *hct_image_parameter_without_data(const hct_image *image) {
  for (size_t i = 0; i < image->tensor_count; i++)
    if (image->tensors[i].role == HCT_ROLE_PARAM && !image->tensors[i].data && !image->tensors[i].data_file) return &image->tensors[i];
  return NULL;
}

static hct_status check_weights(hct_diags *diags, const hct_image *image, const char *image_path) {
  const hct_tensor *without = hct_image_parameter_without_data(image);
  if (!without) return HCT_OK;
  hct_error(diags, HCT_E_INPUT, (hct_loc){.file = image_path}, "parameter '%s' is without data: the model was compiled without its weights", without->name);
  hct_hint(diags, "--mode=timing, or compile a model that has its weights");
  return HCT_REFUSED;
}

hct_status hct_loader_create(hct_diags *diags, hct_arena *arena, const hct_image *image, const char *image_path, hct_memory **out_memories) {
  HCT_TRY(check_weights(diags, image, image_path));
  size_t dies = (size_t)(image->rows * image->cols);
  hct_memory *memories = HCT_NEW_ARRAY(arena, hct_memory, dies);
  *out_memories = memories;
  for (size_t die = 0; die < dies; die++) {
    memories[die] = (hct_memory){.sram_bytes = image->sram_bytes_used, .dram_bytes = image->dram_bytes_used};
    memories[die].sram = calloc((size_t)image->sram_bytes_used + 64, 1);
    memories[die].dram = calloc((size_t)image->dram_bytes_used + 64, 1);
    if (!memories[die].sram || !memories[die].dram) return hct_failure(diags, HCT_E_IO, (hct_loc){0}, "out of memory for the dies' SRAM and DRAM regions");
  }
  for (size_t i = 0; i < image->tensor_count; i++) {
    const hct_tensor *tensor = &image->tensors[i];
    if (tensor->data) place_data(image, memories, tensor, tensor->data);
    else if (tensor->data_file) HCT_TRY(place_external(diags, arena, image, image_path, memories, tensor));
  }
  return HCT_OK;
}

void hct_loader_destroy(const hct_image *image, hct_memory *memories) {
  for (int64_t die = 0; memories && die < image->rows * image->cols; die++) {
    free(memories[die].sram);
    free(memories[die].dram);
  }
}
