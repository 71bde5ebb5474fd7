#include <string.h>

#include "backends/backend.h"
#include "backends/chiplet/chiplet.h"
#include "ir/timing/estimate.h"

/* ---- streams: each die's own, equal ones kept once ---- */
typedef struct encoded { uint64_t *items; size_t count, capacity; } encoded;

static encoded stream_encode(hct_arena *arena, const hct_stream *stream) {
  encoded words = {0};
  for (size_t i = 0; i < stream->count; i++) {
    uint64_t buffer[HCT_MAX_INSTR_WORDS];
    size_t count = hct_instr_encode(&stream->items[i], buffer, HCT_COUNT(buffer));
    HCT_BUG_ON(!count, "an instruction longer than %d words", HCT_MAX_INSTR_WORDS);
    for (size_t w = 0; w < count; w++) HCT_PUSH(arena, &words, buffer[w]);
  }
  return words;
}

static void streams_make(const chiplet_program *program, hct_arena *arena, hct_image *image) {
  size_t dies = (size_t)(program->rows * program->cols);
  hct_arena *scratch = hct_arena_create();
  hct_map *known = hct_map_create(scratch);
  image->streams = HCT_NEW_ARRAY(arena, hct_stream, dies);
  image->die_stream = HCT_NEW_ARRAY(arena, uint32_t, dies);
  for (size_t die = 0; die < dies; die++) {
    hct_progress(program->pass->diags, "streams: die %zu of %zu", die + 1, dies);
    hct_arena *own = hct_arena_create();
    chiplet_stream writer = {.program = program, .arena = own, .row = (int64_t)die / program->cols, .col = (int64_t)die % program->cols, .batch_level = -1};
    chiplet_emit(&writer);
    hct_stream stream = chiplet_stream_finish(&writer);
    encoded words = stream_encode(scratch, &stream);
    char key[48];
    snprintf(key, sizeof key, "%zu %016llx", words.count, (unsigned long long)hct_checksum(words.items, words.count * sizeof(uint64_t)));
    if (!hct_map_has(known, key)) {
      hct_map_put(known, key, (void *)(uintptr_t)image->stream_count);
      hct_stream *kept = &image->streams[image->stream_count++];
      *kept = (hct_stream){HCT_NEW_ARRAY(arena, hct_instr, stream.count), stream.count, stream.count};
      memcpy(kept->items, stream.items, stream.count * sizeof *stream.items);
    }
    image->die_stream[die] = (uint32_t)(uintptr_t)hct_map_get(known, key);
    hct_arena_destroy(own);
  }
  hct_arena_destroy(scratch);
}

/* ---- what the image says of itself ---- */
typedef struct meta_list { hct_meta *items; size_t count, capacity; } meta_list;

static void meta_add(hct_arena *arena, meta_list *list, const char *key, const char *value) {
  hct_meta meta = {key, hct_arena_strdup(arena, value)};
  HCT_PUSH(arena, list, meta);
}

static void meta_make(hct_pass_context *pass, MlirModule module, hct_arena *arena, hct_image *image) {
  static const struct { const char *key, *fallback; } options[] = {
      {"strategy", "hecaton"}, {"schedule", "fused"}, {"overlap", "none"}, {"objective", "time"}, {"recompute", "none"}, {"dtype", "f32"}, {"mode", "train"}, {"optimizer", "adamw"},
  };
  static const char *const figures[] = {"tokens_per_step", "parameters", "fallbacks", "model_flops", "dram_compulsory_bytes", "dram_relaxed_bytes"};
  meta_list list = {0};
  MlirOperation top = mlirModuleGetOperation(module);
  meta_add(arena, &list, "model", hct_op_str_or(top, "hct.model", ""));
  for (size_t i = 0; i < HCT_COUNT(options); i++) meta_add(arena, &list, options[i].key, hct_pass_option(pass, options[i].key, options[i].fallback));
  for (size_t i = 0; i < HCT_COUNT(figures); i++) {
    const char *name = hct_arena_printf(arena, "hct.%s", figures[i]);
    if (hct_op_has(top, name)) meta_add(arena, &list, figures[i], hct_arena_printf(arena, "%lld", (long long)hct_op_i64(top, name)));
  }
  meta_add(arena, &list, "predicted_step_s", hct_arena_printf(arena, "%.6e", hct_image_estimate(image, &pass->package).step_s));
  meta_add(arena, &list, "version", HCT_VERSION);
  image->meta = list.items;
  image->meta_count = list.count;
}

hct_status chiplet_build(hct_pass_context *pass, MlirModule module, hct_arena *arena, hct_image *out_image) {
  chiplet_program program = {.pass = pass, .arena = arena};
  HCT_TRY(chiplet_read(&program, module));
  HCT_TRY(chiplet_allocate(&program));
  hct_image image = {.rows = program.rows, .cols = program.cols, .batch = program.batch, .micro_batch = program.micro_batch,
                     .sram_bytes_used = program.sram_bytes, .dram_bytes_used = program.dram_bytes};
  streams_make(&program, arena, &image);
  image.tensors = program.tensors.items;
  image.tensor_count = program.tensors.count;
  image.sources = program.sources.items;
  image.source_count = program.sources.count;
  meta_make(pass, module, arena, &image);
  hct_text package = {0};
  hct_package_print(&pass->package, &package);
  image.package_xml = hct_arena_strdup(arena, package.data);
  hct_text_fini(&package);
  *out_image = image;
  return HCT_OK;
}

static hct_status text_write(hct_diags *diags, const hct_image *image, const char *path) {
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  hct_text text = {0};
  hct_image_print(image, &text);
  fwrite(text.data, 1, text.length, hct_output_stream(output));
  hct_text_fini(&text);
  return hct_output_commit(diags, output);
}

/* The program may lie elsewhere than the text that it was made from. */
static void data_files_place(hct_pass_context *pass, hct_arena *arena, const char *out_path, hct_image *image) {
  for (size_t i = 0; i < image->tensor_count; i++) {
    const char **file = &image->tensors[i].data_file;
    if (*file) *file = hct_path_relative(arena, hct_path_join(arena, pass->directory ? pass->directory : ".", *file), hct_path_folder(arena, out_path));
  }
}

static hct_status chiplet_write(hct_pass_context *pass, MlirModule module, bool text, const char *out_path) {
  hct_arena *arena = hct_arena_create();
  hct_image image;
  hct_status status = chiplet_build(pass, module, arena, &image);
  hct_verify_limits limits = {.sram_bytes = pass->package.sram_bytes, .queue_depth = pass->package.queue_depth};
  if (status == HCT_OK) status = hct_image_verify(pass->diags, &image, &limits);
  if (status == HCT_OK) data_files_place(pass, arena, out_path, &image);
  if (status == HCT_OK) status = text ? text_write(pass->diags, &image, out_path) : hct_image_write(pass->diags, &image, out_path);
  hct_arena_destroy(arena);
  return status;
}

const hct_backend hct_backend_chiplet = {.name = "chiplet", .emit = chiplet_write};
