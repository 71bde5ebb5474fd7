#include <inttypes.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/chiplet/chiplet.h"
#include "ir/dialect/data.h"
#include "ir/report/report.h"

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

typedef struct streams {
  const chiplet_program *program;
  hct_arena *arena;
  hct_image *image;
  chiplet_dependence depends; /* what the streams written so far depend on */
} streams;

static hct_stream stream_write(streams *s, size_t die, hct_arena *arena) {
  chiplet_stream writer = {.program = s->program, .arena = arena, .row = (int64_t)die / s->program->cols, .col = (int64_t)die % s->program->cols, .batch_level = -1, .layer_level = -1, .depends = &s->depends,
                           .takes_turns = !strcmp(hct_pass_option(s->program->pass, "overlap", "ring"), "none")};
  chiplet_emit(&writer);
  return chiplet_stream_finish(&writer);
}

static uint64_t stream_checksum(const hct_stream *stream) {
  hct_arena *arena = hct_arena_create();
  encoded words = stream_encode(arena, stream);
  uint64_t checksum = hct_checksum(words.items, words.count * sizeof(uint64_t));
  hct_arena_destroy(arena);
  return checksum;
}

/* The die's stream: one that is there already, or a new one. */
static uint32_t stream_keep(streams *s, const hct_stream *stream, uint64_t *checksums) {
  hct_image *image = s->image;
  uint64_t checksum = stream_checksum(stream);
  for (size_t k = 0; k < image->stream_count; k++)
    if (checksums[k] == checksum && image->streams[k].count == stream->count) return (uint32_t)k;
  checksums[image->stream_count] = checksum;
  hct_stream *kept = &image->streams[image->stream_count];
  *kept = (hct_stream){HCT_NEW_ARRAY(s->arena, hct_instr, stream->count), stream->count, stream->count};
  for (size_t i = 0; i < stream->count; i++) kept->items[i] = hct_instr_copy(s->arena, &stream->items[i]);
  return (uint32_t)image->stream_count++;
}

/* One stream is written for all dies, for each row, each column, or each die, as what has been written depends on them. False: a later one
 * depended on more. */
static bool streams_try(streams *s, uint64_t *checksums) {
  size_t dies = (size_t)(s->program->rows * s->program->cols), cols = (size_t)s->program->cols;
  chiplet_dependence before = s->depends;
  s->image->stream_count = 0;
  for (size_t die = 0; die < dies; die++) {
    size_t like = (before.row ? die / cols : 0) * cols + (before.col ? die % cols : 0);
    if (like < die) {
      s->image->die_stream[die] = s->image->die_stream[like];
      continue;
    }
    hct_progress(s->program->pass->diags, "streams: die %zu of %zu", die + 1, dies);
    hct_arena *own = hct_arena_create();
    hct_stream stream = stream_write(s, die, own);
    s->image->die_stream[die] = stream_keep(s, &stream, checksums);
    hct_arena_destroy(own);
    if (before.row != s->depends.row || before.col != s->depends.col) return false;
  }
  return true;
}

static void streams_make(const chiplet_program *program, hct_arena *arena, hct_image *image) {
  size_t dies = (size_t)(program->rows * program->cols);
  streams s = {.program = program, .arena = arena, .image = image};
  hct_arena *scratch = hct_arena_create();
  uint64_t *checksums = HCT_NEW_ARRAY(scratch, uint64_t, dies);
  image->streams = HCT_NEW_ARRAY(arena, hct_stream, dies);
  image->die_stream = HCT_NEW_ARRAY(arena, uint32_t, dies);
  while (!streams_try(&s, checksums)) {}
  hct_stream last = stream_write(&s, dies - 1, scratch);
  HCT_BUG_ON(stream_checksum(&last) != checksums[image->die_stream[dies - 1]], "the last die's stream is not the one it shares");
  hct_arena_destroy(scratch);
}

/* ---- what the image says of itself ---- */
typedef struct meta_list { hct_meta *items; size_t count, capacity; } meta_list;

static void meta_add(hct_arena *arena, meta_list *list, const char *key, const char *value) {
  hct_meta meta = {key, hct_arena_strdup(arena, value)};
  HCT_PUSH(arena, list, meta);
}

static void meta_make(const hct_pass_context *pass, MlirModule module, hct_arena *arena, double step_s, int64_t copies, hct_image *image) {
  static const struct { const char *key, *fallback; } options[] = {
      {"strategy", "hecaton"}, {"schedule", "fused"}, {"overlap", "ring"}, {"objective", "time"}, {"recompute", "auto"}, {"dtype", "f32"}, {"mode", "train"}, {"optimizer", "adamw"},
  };
  static const char *const figures[] = {"tokens_per_step", "parameters", "fallbacks", "model_flops", "dram_compulsory_bytes", "dram_relaxed_bytes", "nodes_raised"};
  meta_list list = {0};
  MlirOperation top = mlirModuleGetOperation(module);
  meta_add(arena, &list, "model", hct_op_str_or(top, "hct.model", ""));
  hct_data_reference model;
  if (hct_data_reference_parse(arena, hct_op_str_or(top, "hct.model_file", ""), &model)) {
    meta_add(arena, &list, HCT_META_MODEL_FILE, model.file);
    meta_add(arena, &list, HCT_META_MODEL_CHECKSUM, hct_arena_printf(arena, "%016" PRIx64, model.checksum));
  }
  meta_add(arena, &list, "inputs", hct_op_str_or(top, "hct.inputs", ""));
  if (hct_op_has(top, "hct.labels")) meta_add(arena, &list, HCT_META_LABELS, hct_op_str(top, "hct.labels"));
  for (size_t i = 0; i < HCT_COUNT(options); i++) meta_add(arena, &list, options[i].key, hct_pass_option(pass, options[i].key, options[i].fallback));
  for (size_t i = 0; i < HCT_COUNT(figures); i++) {
    const char *name = hct_arena_printf(arena, "hct.%s", figures[i]);
    if (hct_op_has(top, name)) meta_add(arena, &list, figures[i], hct_arena_printf(arena, "%lld", (long long)hct_op_i64(top, name)));
  }
  meta_add(arena, &list, "nodes_primitive", hct_op_str_or(top, "hct.nodes_primitive", ""));
  meta_add(arena, &list, "predicted_step_s", hct_arena_printf(arena, "%.12g", step_s));
  meta_add(arena, &list, "micro_batches_at_once", hct_arena_printf(arena, "%lld", (long long)copies));
  meta_add(arena, &list, "token_blocks", hct_pass_option(pass, "token-blocks", "1"));
  meta_add(arena, &list, "version", HCT_VERSION);
  image->meta = list.items;
  image->meta_count = list.count;
}

/* ---- how many micro-batches are interleaved ---- */
typedef struct attempt {
  int64_t at_once; /* 0: the order written */
  int prefetch_percent; /* of SRAM, that may be live while loads wait for their readers; 0: loads stay as written */
  bool joined, fits;
  bool one_of_many; /* another says why nothing fits */
  bool uneven; /* does not fit, as layers that repeat have not become alike */
  hct_arena *arena;
  hct_image image;
  hct_estimate estimate;
  hct_diags *diags; /* what was said of it */
} attempt;

static hct_image image_of(chiplet_program *program, hct_arena *arena) {
  hct_image image = {.rows = program->rows, .cols = program->cols, .batch = program->batch, .micro_batch = program->micro_batch,
                     .sram_bytes_used = program->sram_bytes, .dram_bytes_used = program->dram_bytes};
  streams_make(program, arena, &image);
  image.tensors = program->tensors.items;
  image.tensor_count = program->tensors.count;
  image.sources = program->sources.items;
  image.source_count = program->sources.count;
  chiplet_sram_map(program, &image.sram);
  return image;
}

/* Its arena holds the image, and is destroyed where that does not fit. */
static hct_status attempt_make(const chiplet_program *read, attempt *a) {
  hct_pass_context pass = *read->pass;
  chiplet_program base = *read;
  a->arena = hct_arena_create();
  pass.diags = a->diags = hct_diags_create(NULL);
  base.pass = &pass, base.arena = a->arena;
  chiplet_program program = chiplet_interleave(&base, a->at_once, a->joined);
  bool can_fit = !a->one_of_many || chiplet_lives_fit(&program); /* what comes earlier, below, lives longer */
  if (a->prefetch_percent && can_fit) chiplet_rotate(&program, pass.package.sram_bytes / 100 * a->prefetch_percent);
  if (a->prefetch_percent && can_fit) chiplet_prefetch(&program, pass.package.sram_bytes / 100 * a->prefetch_percent);
  hct_status status = can_fit ? chiplet_allocate(&program) : HCT_REFUSED;
  if (status == HCT_OK && !chiplet_roll(&program)) status = HCT_REFUSED, a->uneven = true;
  a->fits = status == HCT_OK;
  if (!a->fits) {
    hct_arena_destroy(a->arena);
    return status;
  }
  a->image = image_of(&program, a->arena);
  a->estimate = hct_image_estimate(&a->image, &pass.package);
  return HCT_OK;
}

static void attempt_drop(attempt *a) {
  if (a->fits) hct_arena_destroy(a->arena);
  hct_diags_destroy(a->diags);
  a->fits = false, a->diags = NULL;
}

/* With what is said of it. */
static hct_status attempt_take(const chiplet_program *read, attempt *a, hct_status status) {
  hct_diags_repeat(read->pass->diags, a->diags);
  hct_diags_destroy(a->diags);
  a->diags = NULL;
  return status;
}

/* False: the best is what it was. */
static bool attempt_better(attempt *best, attempt *a, hct_objective objective) {
  bool better = !best->fits || hct_estimate_better(&a->estimate, &best->estimate, objective);
  attempt_drop(better ? best : a);
  if (better) *best = *a;
  return better;
}

static int64_t most_iterations(const chiplet_program *program) {
  int64_t most = 1;
  for (size_t i = 0; i < program->op_count; i++)
    if (chiplet_is_batch_loop(&program->ops[i]) && program->ops[i].trips > most) most = program->ops[i].trips;
  return most;
}

/* More micro-batches at once, twice as many each time, as long as that fits and makes the step better for --objective; loops joined where that fits. Where
 * not even one does so, the order written may. */
static hct_status attempts_of(chiplet_program *read, attempt *best) {
  enum { MOST_AT_ONCE = 4 };
  static const int PREFETCH_PERCENT[] = {96, 93, 90, 85};
  bool ring = !strcmp(hct_pass_option(read->pass, "overlap", "ring"), "ring");
  hct_objective objective = hct_objective_parse(hct_pass_option(read->pass, "objective", "time"));
  int64_t iterations = most_iterations(read);
  *best = (attempt){.at_once = 1};
  if (ring) chiplet_times_measure(read);
  const hct_interleaving *known = &read->pass->interleaving;
  if (known->known && known->at_once) {
    *best = (attempt){.at_once = known->at_once, .joined = known->joined};
    return attempt_take(read, best, attempt_make(read, best));
  }
  for (int64_t at_once = 1; ring && !known->known && at_once <= MOST_AT_ONCE; at_once *= 2) {
    attempt a = {.at_once = at_once < iterations ? at_once : iterations, .joined = true, .one_of_many = true};
    if (attempt_make(read, &a) != HCT_OK && !a.uneven) {
      attempt_drop(&a);
      a.joined = false;
      attempt_make(read, &a);
    }
    if (a.uneven || !a.fits) attempt_drop(a.uneven ? best : &a);
    if (a.uneven) *best = a;
    if (!a.fits || !attempt_better(best, &a, objective) || at_once >= iterations) break;
  }
  for (size_t i = 0; ring && !best->fits && !best->uneven && i < HCT_COUNT(PREFETCH_PERCENT); i++) {
    if (known->known && PREFETCH_PERCENT[i] > known->prefetch_percent) continue;
    attempt_drop(best);
    *best = (attempt){.at_once = 0, .prefetch_percent = PREFETCH_PERCENT[i], .one_of_many = true};
    attempt_make(read, best);
  }
  if (best->fits) return attempt_take(read, best, HCT_OK);
  attempt_drop(best);
  if (best->uneven) return HCT_REFUSED;
  *best = (attempt){.at_once = 0};
  return attempt_take(read, best, attempt_make(read, best));
}

/* Of layers that repeat a few are compiled; more, and in the end all, where those do not settle. */
static hct_status attempts_make(chiplet_program *read, attempt *best) {
  for (int64_t step = 1; step <= 2; step++) {
    chiplet_program folded;
    if (!chiplet_fold(read, step, &folded)) break;
    hct_status status = attempts_of(&folded, best);
    if (!best->uneven) return status;
  }
  return attempts_of(read, best);
}

static hct_status program_build(hct_pass_context *pass, MlirModule module, hct_arena *scratch, hct_arena *arena, hct_image *out_image, hct_estimate *out_estimate) {
  chiplet_program program = {.pass = pass, .arena = scratch};
  attempt best;
  HCT_TRY(chiplet_read(&program, module));
  if (pass->left_out) HCT_TRY(chiplet_unfold(&program, &pass->left_out->back));
  if (pass->left_out && !pass->left_out->back && !pass->streams_only) return HCT_REFUSED; /* a trial may be of the layers that are there */
  HCT_TRY(chiplet_allocate_dram(&program));
  HCT_TRY(attempts_make(&program, &best));
  pass->interleaving.known = pass->streams_only, pass->interleaving.at_once = best.at_once, pass->interleaving.joined = best.joined, pass->interleaving.prefetch_percent = best.prefetch_percent; /* a trial's, for the program after it */
  *out_image = hct_image_copy(arena, &best.image);
  if (out_estimate) *out_estimate = best.estimate;
  hct_arena_destroy(best.arena);
  return HCT_OK;
}

hct_status chiplet_build(hct_pass_context *pass, MlirModule module, hct_arena *arena, hct_image *out_image, hct_estimate *out_estimate) {
  hct_arena *scratch = hct_arena_create(); /* the program takes much more than its image */
  hct_status status = program_build(pass, module, scratch, arena, out_image, out_estimate);
  hct_arena_destroy(scratch);
  return status;
}

/* What a trial built, with its parameters' contents; else the module's. */
static hct_status program_take(hct_pass_context *pass, MlirModule module, hct_arena *arena, hct_image *out_image) {
  const hct_built *built = pass->built;
  hct_estimate estimate;
  if (built) *out_image = built->image, estimate = built->estimate;
  if (built) HCT_TRY(chiplet_parameters_read(pass, module, arena, built->left_out, out_image));
  else HCT_TRY(chiplet_build(pass, module, arena, out_image, &estimate));
  int64_t at_once = built ? built->interleaving.at_once : pass->interleaving.at_once;
  meta_make(pass, module, arena, estimate.step_s, at_once ? at_once : 1, out_image);
  hct_text package = {0};
  hct_package_print(&pass->package, &package);
  out_image->package_xml = hct_arena_strdup(arena, package.data);
  hct_text_fini(&package);
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
static const char *file_place(const hct_pass_context *pass, hct_arena *arena, const char *out_path, const char *file) {
  return hct_path_relative(arena, hct_path_join(arena, pass->directory ? pass->directory : ".", file), hct_path_folder(arena, out_path));
}

static void files_place(const hct_pass_context *pass, hct_arena *arena, const char *out_path, hct_image *image) {
  for (size_t i = 0; i < image->tensor_count; i++) {
    const char **file = &image->tensors[i].data_file;
    if (*file) *file = file_place(pass, arena, out_path, *file);
  }
  for (size_t i = 0; i < image->meta_count; i++)
    if (!strcmp(image->meta[i].key, HCT_META_MODEL_FILE)) image->meta[i].value = file_place(pass, arena, out_path, image->meta[i].value);
}

static hct_status report_write(const hct_pass_context *pass, hct_arena *arena, const hct_image *image) {
  hct_stats stats;
  hct_machine_result timing;
  HCT_TRY(hct_image_predict(pass->diags, arena, image, &pass->package, &stats, &timing));
  hct_report_input report = {.image = image, .package = &pass->package, .steps = 1, .stats = &stats, .timing = &timing, .predicted = true};
  return hct_report_write(pass->diags, &report, pass->report);
}

static hct_status chiplet_write(hct_pass_context *pass, MlirModule module, bool text, const char *out_path) {
  hct_arena *arena = hct_arena_create();
  hct_image image;
  hct_status status = program_take(pass, module, arena, &image);
  hct_verify_limits limits = {.sram_bytes = pass->package.sram_bytes, .queue_depth = pass->package.queue_depth};
  if (status == HCT_OK) status = hct_image_verify(pass->diags, &image, &limits);
  if (status == HCT_OK) files_place(pass, arena, out_path, &image);
  if (status == HCT_OK) status = text ? text_write(pass->diags, &image, out_path) : hct_image_write(pass->diags, &image, out_path);
  if (status == HCT_OK && pass->report) status = report_write(pass, arena, &image);
  hct_arena_destroy(arena);
  return status;
}

const hct_backend hct_backend_chiplet = {.name = "chiplet", .emit = chiplet_write};
