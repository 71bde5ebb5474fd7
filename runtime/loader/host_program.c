#include "runtime/loader/host_program.h"

#include <dlfcn.h>
#include <elf.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ir/isa/host_program.h"

struct hct_host_program {
  const char *path;
  void *library;
  void (*step)(uint8_t *arena);
  json_t *metadata;
};

bool hct_host_program_is(const char *path) {
  hct_diags *quiet = hct_diags_create(NULL);
  hct_file file;
  bool is = false;
  if (hct_file_map(quiet, path, &file) == HCT_OK) {
    static const char mark[] = "\"schema\": \"" HCT_HOST_SCHEMA "\"";
    const Elf64_Ehdr *header = (const void *)file.data;
    is = file.bytes > sizeof *header && !memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_type == ET_DYN && memmem(file.data, file.bytes, mark, sizeof mark - 1);
    hct_file_unmap(&file);
  }
  hct_diags_destroy(quiet);
  return is;
}

static hct_status malformed(hct_diags *diags, const char *path, const char *what) {
  return hct_error(diags, HCT_E_IMAGE, (hct_loc){.file = path}, "not a host program that this version can run: %s", what);
}

static bool tensor_read(const json_t *json, const uint8_t *data, int64_t arena_bytes, hct_tensor *out_tensor) {
  const char *name = json_string_value(json_object_get(json, "name")), *role = json_string_value(json_object_get(json, "role"));
  const char *dtype = json_string_value(json_object_get(json, "dtype"));
  const json_t *shape = json_object_get(json, "shape"), *data_offset = json_object_get(json, "data_offset");
  int64_t dims[HCT_MAX_RANK] = {0}, elements = 1, bytes;
  size_t rank = json_array_size(shape);
  hct_tensor tensor = {.name = name, .dram_offset = json_integer_value(json_object_get(json, "offset"))};
  if (!name || !role || !dtype || rank > HCT_MAX_RANK || !hct_role_parse(role, &tensor.role) || !hct_dtype_parse(dtype, &tensor.dtype)) return false;
  for (size_t d = 0; d < rank; d++) {
    dims[d] = json_integer_value(json_array_get(shape, d));
    if (dims[d] < 0 || !hct_mul_i64(elements, dims[d], &elements)) return false;
  }
  if (!hct_mul_i64(elements, (int64_t)hct_dtype_bytes(tensor.dtype), &bytes) || tensor.dram_offset < 0 || bytes > arena_bytes - tensor.dram_offset) return false;
  tensor.layout = hct_layout_plain((unsigned)rank, dims);
  tensor.tile_bytes = bytes;
  if (data_offset) {
    hct_dtype unused;
    tensor.data_bytes = (size_t)json_integer_value(json_object_get(json, "data_bytes"));
    if (!hct_data_fits(tensor.dtype, elements, (int64_t)tensor.data_bytes, &unused)) return false;
    tensor.data = data + json_integer_value(data_offset);
  }
  *out_tensor = tensor;
  return true;
}

static hct_status image_read(hct_diags *diags, hct_arena *arena, const hct_host_program *program, const uint8_t *data, hct_image *out_image) {
  const json_t *tensors = json_object_get(program->metadata, "tensors"), *value;
  json_t *meta = json_object_get(program->metadata, "meta");
  int64_t batch = json_integer_value(json_object_get(program->metadata, "batch"));
  hct_image image = {.rows = 1, .cols = 1, .batch = batch, .micro_batch = batch, .dram_bytes_used = json_integer_value(json_object_get(program->metadata, "arena_bytes"))};
  const char *key;
  if (image.dram_bytes_used < HCT_HOST_ALIGNMENT) return malformed(diags, program->path, "it has no arena");
  image.tensors = HCT_NEW_ARRAY(arena, hct_tensor, json_array_size(tensors) + 1);
  for (size_t i = 0; i < json_array_size(tensors); i++)
    if (!tensor_read(json_array_get(tensors, i), data, image.dram_bytes_used, &image.tensors[image.tensor_count++])) return malformed(diags, program->path, "a tensor is not described well");
  image.meta = HCT_NEW_ARRAY(arena, hct_meta, json_object_size(meta) + 1);
  json_object_foreach(meta, key, value) {
    hct_meta entry = {key, json_string_value(value) ? json_string_value(value) : ""};
    image.meta[image.meta_count++] = entry;
  }
  *out_image = image;
  return HCT_OK;
}

hct_status hct_host_program_open(hct_diags *diags, hct_arena *arena, const char *path, hct_host_program **out_program, hct_image *out_image) {
  hct_host_program *program = HCT_NEW(arena, hct_host_program);
  program->path = hct_arena_strdup(arena, path);
  /* a name without a slash would be looked for elsewhere */
  const char *name = strchr(path, '/') ? path : hct_arena_printf(arena, "./%s", path);
  program->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!program->library) return malformed(diags, path, dlerror());
  *out_program = program;
  void *step = dlsym(program->library, HCT_HOST_STEP);
  const char *metadata = dlsym(program->library, HCT_HOST_METADATA);
  const uint8_t *data = dlsym(program->library, HCT_HOST_DATA);
  if (!step || !metadata || !data) return malformed(diags, path, "a symbol is missing");
  memcpy(&program->step, &step, sizeof step); /* POSIX lets dlsym give functions, C has no cast for it */
  json_error_t error;
  program->metadata = json_loads(metadata, 0, &error);
  if (!program->metadata) return malformed(diags, path, error.text);
  return image_read(diags, arena, program, data, out_image);
}

void hct_host_program_close(hct_host_program *program) {
  if (!program) return;
  json_decref(program->metadata);
  if (program->library) dlclose(program->library);
}

hct_status hct_host_program_step(hct_diags *diags, const hct_host_program *program, hct_memory *memory) {
  memset(memory->dram, 0, sizeof(hct_host_fault));
  program->step(memory->dram);
  hct_host_fault fault;
  memcpy(&fault, memory->dram, sizeof fault);
  if (!fault.operation) return HCT_OK;
  const char *where = json_string_value(json_array_get(json_object_get(program->metadata, "locations"), (size_t)fault.operation - 1));
  return hct_error(diags, HCT_E_FAULT, (hct_loc){.where = where}, "index %lld is outside of a table of %lld rows", (long long)fault.index, (long long)fault.rows);
}
