/* hecaton-opt: passes over IR text. A file is one module, or with --split-input-file several between lines "// -----", each
 * compiled on its own, in a context of its own. */
#include <stdlib.h>
#include <string.h>

#include "backends/driver/built.h"
#include "backends/driver/choose.h"
#include "backends/driver/driver.h"
#include "backends/driver/expect.h"
#include "backends/driver/output.h"

static const char separator[] = "// -----";

typedef struct opt_job {
  hct_diags *diags;
  hct_arena *arena;
  const char *input, *output, *name; /* name: of the input, in diagnostics */
  struct { const char **items; size_t count, capacity; } flags; /* passes to run, in order */
  hct_level level;
  bool emit, split, verify;
} opt_job;

static void help_print(void) {
  printf("usage: hecaton-opt FILE.mlir|- [--PASS ...] [--emit=graph|step|dist|tile|isa|image] [-o OUT]\n\n"
         "Reads IR of any level, verifies it, runs the passes given, and with --emit the rest of the pipeline.\n\n"
         "  --split-input-file    the file holds several modules between lines '%s', each compiled on its own\n"
         "  --verify-diagnostics  diagnostics must be those of comments such as // expected-error@+1 {{text}}\n"
         "  --help, --version\n\npasses:\n", separator);
  hct_pipeline_print(stdout);
}

static int syntax_error(const char *what, const char *argument) {
  fprintf(stderr, "hecaton-opt: %s%s; --help lists the options\n", argument, what);
  return 2;
}

/* 0: go on; -1: all is done; else the exit status. */
static int options_read(opt_job *job, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *text = argv[i];
    if (!strcmp(text, "--help")) return help_print(), -1;
    if (!strcmp(text, "--version")) return printf("hecaton-opt %s\n", HCT_VERSION), -1;
    if (!strcmp(text, "--split-input-file")) job->split = true;
    else if (!strcmp(text, "--verify-diagnostics")) job->verify = true;
    else if (!strncmp(text, "--", 2) && hct_pipeline_has_pass(text + 2)) HCT_PUSH(job->arena, &job->flags, text + 2);
    else if (!strncmp(text, "--emit=", 7) && hct_level_parse(text + 7, &job->level)) job->emit = true;
    else if (!strcmp(text, "-o") && i + 1 < argc) job->output = argv[++i];
    else if ((text[0] != '-' || !text[1]) && !job->input) job->input = text;
    else return syntax_error(" is not understood", text);
  }
  if (!job->input) return syntax_error("a file is needed", "");
  if (job->split && job->emit && job->level > HCT_LEVEL_TILE) return syntax_error("--split-input-file gives IR only: --emit=graph, step, dist or tile", "");
  return 0;
}

static hct_status input_read(opt_job *job, char **out_text) {
  if (strcmp(job->input, "-") != 0) {
    hct_file file;
    HCT_TRY(hct_file_map(job->diags, job->input, &file));
    *out_text = hct_arena_strndup(job->arena, (const char *)file.data, file.bytes);
    hct_file_unmap(&file);
    return HCT_OK;
  }
  hct_text text = {0};
  char bytes[4096];
  for (size_t count; (count = fread(bytes, 1, sizeof bytes, stdin)) > 0;) hct_text_append(&text, bytes, count);
  *out_text = hct_arena_strndup(job->arena, text.data ? text.data : "", text.length);
  hct_text_fini(&text);
  return ferror(stdin) ? hct_failure(job->diags, HCT_E_IO, (hct_loc){.file = job->name}, "cannot read") : HCT_OK;
}

/* ---- one module ---- */
static hct_status module_run(const opt_job *job, hct_pass_context *pass, MlirModule module, hct_text *out) {
  HCT_TRY(hct_module_verify(pass->diags, module, NULL));
  HCT_TRY(hct_pass_context_restore(pass, module));
  hct_file_use files[] = {{.what = "the input", .path = job->input}, {.what = "-o", .path = job->output, .written = true}};
  hct_file_uses uses = {0};
  for (size_t i = 0; i < HCT_COUNT(files); i++) HCT_PUSH(pass->arena, &uses, files[i]);
  HCT_TRY(hct_driver_files_check(pass, module, &uses));
  for (size_t i = 0; i < job->flags.count; i++) HCT_TRY(hct_pipeline_run_pass(pass, module, job->flags.items[i]));
  if (job->emit) HCT_TRY(hct_choose(pass, module, job->level));
  if (job->emit && job->level > HCT_LEVEL_TILE) return hct_driver_emit(pass, module, job->level, job->output);
  if (job->emit) HCT_TRY(hct_pipeline_run(pass, module, job->level));
  hct_module_print(module, out);
  hct_text_append(out, "\n", 1);
  return HCT_OK;
}

static hct_status text_run(const opt_job *job, hct_diags *diags, const char *text, hct_text *out) {
  hct_pass_context pass = {.diags = diags, .arena = hct_arena_create(), .context = hct_context_create(diags)};
  pass.options = hct_map_create(pass.arena);
  pass.directory = hct_path_folder(pass.arena, job->input);
  MlirModule module;
  hct_status status = hct_module_parse(diags, pass.context, job->name, text, &module);
  if (status == HCT_OK) {
    status = module_run(job, &pass, module, out);
    hct_built_discard(pass.built);
    mlirModuleDestroy(module);
  }
  hct_context_destroy(pass.context);
  hct_arena_destroy(pass.arena);
  return status;
}

static hct_status text_verify(const opt_job *job, const char *text, hct_text *out) {
  hct_expectations *expectations;
  HCT_TRY(hct_expectations_create(job->diags, job->arena, job->name, text, &expectations));
  hct_diags *diags = hct_diags_create(NULL);
  hct_diags_set_sink(diags, hct_expectations_meet, expectations);
  (void)text_run(job, diags, text, out); /* refused or not: the expectations say which */
  hct_diags_destroy(diags);
  return hct_expectations_finish(expectations);
}

/* ---- the parts of a file ---- */

/* End of the line that ends a part, NULL at the last part; *out_length: of the part. */
static const char *part_end(const char *text, size_t *out_length) {
  for (const char *line = text; *line;) {
    size_t length = strcspn(line, "\n");
    if (!strncmp(line, separator, sizeof separator - 1)) return *out_length = (size_t)(line - text), line + length;
    line += length + (line[length] == '\n');
  }
  *out_length = strlen(text);
  return NULL;
}

static hct_status parts_run(const opt_job *job, char *text, hct_text *out) {
  hct_status all = HCT_OK;
  for (char *part = text; part;) {
    size_t length = strlen(part);
    const char *next = job->split ? part_end(part, &length) : NULL;
    char *alone = hct_arena_strndup(job->arena, text, (size_t)(part - text) + length);
    for (char *at = alone; at < alone + (part - text); at++) /* lines keep their numbers */
      if (*at != '\n') *at = ' ';
    hct_status status = job->verify ? text_verify(job, alone, out) : text_run(job, job->diags, alone, out);
    if (status != HCT_OK) all = status;
    if (next) hct_text_printf(out, "%s\n", separator);
    part = next ? text + (next - text) : NULL;
  }
  return all;
}

static hct_status run(opt_job *job) {
  char *text;
  job->name = strcmp(job->input, "-") ? job->input : "<stdin>";
  HCT_TRY(input_read(job, &text));
  hct_text out = {0};
  hct_status status = parts_run(job, text, &out);
  if (status == HCT_OK && out.length) status = hct_driver_write(job->diags, job->output, &out);
  hct_text_fini(&out);
  return status;
}

int hct_opt_main(int argc, char **argv) {
  opt_job job = {.diags = hct_diags_create(stderr), .arena = hct_arena_create(), .output = "-"};
  int code = options_read(&job, argc, argv);
  if (code == 0) code = run(&job) == HCT_OK ? 0 : 1;
  hct_arena_destroy(job.arena);
  hct_diags_destroy(job.diags);
  return code < 0 ? 0 : code;
}
