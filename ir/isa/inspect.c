#include "ir/isa/inspect.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ir/isa/image.h"

typedef struct inspect_job {
  hct_diags *diags;
  hct_arena *arena;
  bool disassemble, headers, tensors, text, verify, manual;
  const char *die;
  hct_limits_function limits;
} inspect_job;

static void manual_print(void) {
  printf("Instructions (code, mnemonic, engine, operands):\n");
  for (size_t i = 0; i < hct_opcode_count(); i++) {
    const hct_opcode_info *info = hct_opcode_at(i);
    printf("0x%02x  %-9s", info->code, info->mnemonic);
    for (int v = 0; v < info->view_count; v++) printf(" %s:%s", info->views[v].name, info->views[v].space == HCT_SPACE_SRAM ? "sram" : info->views[v].space == HCT_SPACE_DRAM ? "dram" : "number");
    printf("\n      %s\n", info->text);
  }
}

static void headers_print(const hct_image *image, const char *path) {
  printf("%s: %lldx%lld dies, batch %lld, micro-batch %lld, %zu streams\n", path, (long long)image->rows, (long long)image->cols, (long long)image->batch, (long long)image->micro_batch, image->stream_count);
  printf("SRAM used %lld bytes, DRAM region %lld bytes a die\n\nstream  instructions  dies\n", (long long)image->sram_bytes_used, (long long)image->dram_bytes_used);
  for (size_t s = 0; s < image->stream_count; s++) {
    size_t dies = 0;
    for (int64_t d = 0; d < image->rows * image->cols; d++) dies += image->die_stream[d] == s;
    printf("%6zu  %12zu  %4zu\n", s, image->streams[s].count, dies);
  }
  printf("\n");
  for (size_t i = 0; i < image->meta_count; i++) printf("%-24s %s\n", image->meta[i].key, image->meta[i].value);
}

static void tensors_print(const hct_image *image) {
  printf("%-10s %-6s %12s %12s  %-32s %s\n", "role", "type", "DRAM offset", "tile bytes", "layout", "name");
  for (size_t i = 0; i < image->tensor_count; i++) {
    const hct_tensor *t = &image->tensors[i];
    hct_text layout = {0};
    hct_layout_print(&t->layout, &layout);
    printf("%-10s %-6s %12lld %12lld  %-32s %s\n", hct_role_name(t->role), hct_dtype_name(t->dtype), (long long)t->dram_offset, (long long)t->tile_bytes, layout.data, t->name);
    hct_text_fini(&layout);
  }
}

static void stream_print(const hct_image *image, size_t index) {
  const hct_stream *stream = &image->streams[index];
  const char *before = "";
  unsigned depth = 0;
  printf("stream %zu:\n", index);
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    const hct_source *source = instr->source < image->source_count ? &image->sources[instr->source] : NULL;
    hct_text text = {0};
    if (source && source->location[0] && strcmp(source->location, before)) printf("; %s (%s)\n", source->location, source->pass), before = source->location;
    if (instr->opcode == HCT_OP_END && depth) depth--;
    hct_instr_print(instr, &text);
    printf("%6zu  %*s%s\n", i, (int)(2 * depth), "", text.data);
    if (instr->opcode == HCT_OP_LOOP) depth++;
    hct_text_fini(&text);
  }
}

static hct_status disassemble(inspect_job *job, const hct_image *image, const char *path) {
  if (!job->die) {
    for (size_t s = 0; s < image->stream_count; s++) stream_print(image, s);
    return HCT_OK;
  }
  char *end;
  long row = strtol(job->die, &end, 10), col = *end == ',' ? strtol(end + 1, &end, 10) : -1;
  if (*end || row < 0 || col < 0 || row >= image->rows || col >= image->cols)
    return hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = path}, "--die=%s: it must be ROW,COLUMN of a die of %lldx%lld", job->die, (long long)image->rows, (long long)image->cols);
  printf("die %ld,%ld runs ", row, col);
  stream_print(image, image->die_stream[row * image->cols + col]);
  return HCT_OK;
}

static hct_status inspect(inspect_job *job, const char *path) {
  hct_image image;
  HCT_TRY(hct_image_read(job->diags, job->arena, path, &image));
  if (job->verify) {
    hct_verify_limits limits;
    HCT_TRY(job->limits(job->diags, &image, &limits));
    HCT_TRY(hct_image_verify(job->diags, &image, &limits));
    printf("%s: accesses in bounds, loops balanced, sends and receives matched, no deadlock with queues of %lld\n", path, (long long)limits.queue_depth);
  }
  if (job->headers) headers_print(&image, path);
  if (job->tensors) tensors_print(&image);
  if (job->text) {
    hct_text text = {0};
    hct_image_print(&image, &text);
    fwrite(text.data, 1, text.length, stdout);
    hct_text_fini(&text);
  }
  return job->disassemble ? disassemble(job, &image, path) : HCT_OK;
}

int hct_objdump_main(int argc, char **argv, hct_limits_function limits) {
  static const struct option table[] = {{"disassemble", no_argument, NULL, 'd'}, {"headers", no_argument, NULL, 'h'}, {"tensors", no_argument, NULL, 't'}, {"text", no_argument, NULL, 'T'},
                                        {"die", required_argument, NULL, 'D'}, {"verify", no_argument, NULL, 'v'}, {"manual", no_argument, NULL, 'm'}, {"help", no_argument, NULL, 'H'}, {"version", no_argument, NULL, 'V'}, {0}};
  inspect_job job = {.diags = hct_diags_create(stderr), .arena = hct_arena_create(), .limits = limits};
  for (int code; (code = getopt_long(argc, argv, "dht", table, NULL)) != -1;) {
    switch (code) {
      case 'd': job.disassemble = true; break;
      case 'h': job.headers = true; break;
      case 't': job.tensors = true; break;
      case 'T': job.text = true; break;
      case 'D': job.die = optarg, job.disassemble = true; break;
      case 'v': job.verify = true; break;
      case 'm': return manual_print(), 0;
      case 'H':
        printf("usage: hecaton-objdump IMAGE [-d [--die=ROW,COL]] [-h] [-t] [--text]\n\n  -d, --disassemble  streams, with the ONNX node of each instruction\n  --die=ROW,COL      the stream of one die\n  -h, --headers      streams, memory, options\n"
               "  -t, --tensors      tensors and how dies hold them\n  --text             the whole image as hecaton-as reads it\n  --verify           proves bounds, matched sends, no deadlock\n  --manual           the instruction set\n  --help, --version\n");
        return 0;
      case 'V': return printf("hecaton-objdump %s\n", HCT_VERSION), 0;
      default: return 2;
    }
  }
  if (optind + 1 != argc || !(job.disassemble || job.headers || job.tensors || job.text || job.verify)) return fprintf(stderr, "usage: hecaton-objdump IMAGE -d|-h|-t|--text; --help says more\n"), 2;
  int code = inspect(&job, argv[optind]) == HCT_OK ? 0 : 1;
  hct_arena_destroy(job.arena);
  hct_diags_destroy(job.diags);
  return code;
}

int hct_as_main(int argc, char **argv) {
  static const struct option table[] = {{"help", no_argument, NULL, 'H'}, {"version", no_argument, NULL, 'V'}, {0}};
  const char *output = NULL;
  for (int code; (code = getopt_long(argc, argv, "o:", table, NULL)) != -1;) {
    if (code == 'H') return printf("usage: hecaton-as FILE.hctasm -o IMAGE\n\nMakes an image from its text (hecaton-objdump --text, hecaton-compile --emit=isa).\n"), 0;
    if (code == 'V') return printf("hecaton-as %s\n", HCT_VERSION), 0;
    if (code != 'o') return 2;
    output = optarg;
  }
  if (optind + 1 != argc || !output) return fprintf(stderr, "usage: hecaton-as FILE.hctasm -o IMAGE\n"), 2;
  hct_diags *diags = hct_diags_create(stderr);
  hct_arena *arena = hct_arena_create();
  hct_file file;
  hct_image image;
  hct_file_use uses[] = {{.what = "the input", .path = argv[optind]}, {.what = "-o", .path = output, .written = true}};
  hct_status status = hct_file_uses_check(diags, &(hct_file_uses){.items = uses, .count = HCT_COUNT(uses)});
  if (status == HCT_OK) status = hct_file_map(diags, argv[optind], &file);
  if (status == HCT_OK) {
    char *text = hct_arena_strndup(arena, (const char *)file.data, file.bytes);
    hct_file_unmap(&file);
    status = hct_image_parse(diags, arena, argv[optind], text, &image);
  }
  if (status == HCT_OK) status = hct_image_write(diags, &image, output);
  hct_arena_destroy(arena);
  hct_diags_destroy(diags);
  return status == HCT_OK ? 0 : 1;
}
