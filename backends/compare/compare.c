#include "backends/compare/compare.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct name_list { const char **items; size_t count, capacity; } name_list;

typedef struct compare_job {
  hct_diags *diags;
  hct_arena *arena;
  const char *model, *output;
  name_list strategies, packages, options; /* options go to hecaton-compile as they are */
  compare_format format;
  char *work;            /* folder for images and reports */
} compare_job;

static const char all_strategies[] =
#define HCT_STRATEGY(name, symbol, doc) name ","
#include "compiler/strategy/strategies.def"
#undef HCT_STRATEGY
    "";

static const char usage[] = "usage: hecaton-compare MODEL.onnx [--strategies=A,B,...] [--packages=A,B,...] [--format=text|json|markdown|html] [-o FILE] [option of hecaton-compile ...]\n";

static name_list list_split(hct_arena *arena, const char *text) {
  name_list list = {0};
  while (*text) {
    size_t length = strcspn(text, ",");
    if (length) HCT_PUSH(arena, &list, (const char *)hct_arena_strndup(arena, text, length));
    text += length + (text[length] == ',');
  }
  return list;
}

static bool format_parse(const char *name, compare_format *out_format) {
  static const char *const names[] = {"text", "json", "markdown", "html"};
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (!strcmp(names[i], name)) return *out_format = (compare_format)i, true;
  return false;
}

static const char *value_of(const char *argument, const char *option) {
  size_t length = strlen(option);
  return !strncmp(argument, option, length) ? argument + length : NULL;
}

/* -1: help or version was printed. */
static int options_read(compare_job *job, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *text;
    if (!strcmp(argv[i], "--help")) return fputs(usage, stdout), -1;
    if (!strcmp(argv[i], "--version")) return printf("hecaton-compare %s\n", HCT_VERSION), -1;
    if ((text = value_of(argv[i], "--strategies="))) job->strategies = list_split(job->arena, text);
    else if ((text = value_of(argv[i], "--packages="))) job->packages = list_split(job->arena, text);
    else if ((text = value_of(argv[i], "--format="))) {
      if (!format_parse(text, &job->format)) {
        hct_error(job->diags, HCT_E_OPTION, (hct_loc){0}, "--format=%s: it must be text, json, markdown or html", text);
        return 1;
      }
    } else if (!strcmp(argv[i], "-o") && i + 1 < argc) job->output = argv[++i];
    else if (!strncmp(argv[i], "--", 2)) HCT_PUSH(job->arena, &job->options, (const char *)argv[i]);
    else if (argv[i][0] != '-' && !job->model) job->model = argv[i];
    else return fprintf(stderr, "hecaton-compare: '%s' is not understood\n%s", argv[i], usage), 2;
  }
  if (!job->model) return fputs(usage, stderr), 2;
  if (!job->strategies.count) job->strategies = list_split(job->arena, all_strategies);
  if (!job->packages.count) HCT_PUSH(job->arena, &job->packages, "");
  return 0;
}

/* ---- running a tool ---- */
static const char *file_text(compare_job *job, const char *path) {
  FILE *file = fopen(path, "rb");
  hct_text text = {0};
  char buffer[4096];
  for (size_t got; file && (got = fread(buffer, 1, sizeof buffer, file)) > 0;) hct_text_append(&text, buffer, got);
  if (file) fclose(file);
  const char *copy = hct_arena_strdup(job->arena, text.data ? text.data : "");
  hct_text_fini(&text);
  return copy;
}

/* The first line with an error. */
static const char *first_error(compare_job *job, const char *log) {
  for (const char *line = log; *line; line += strcspn(line, "\n"), line += *line == '\n') {
    size_t length = strcspn(line, "\n");
    const char *copy = hct_arena_strndup(job->arena, line, length);
    if (strstr(copy, "error")) return copy;
  }
  return log[0] ? log : "it failed without a word";
}

/* NULL when the tool ended with status 0, else why not. */
static const char *tool_run(compare_job *job, const char *tool, const name_list *arguments) {
  const char *log = hct_arena_printf(job->arena, "%s/log", job->work);
  char **argv = HCT_NEW_ARRAY(job->arena, char *, arguments->count + 2);
  argv[0] = hct_tool_path(job->arena, tool);
  for (size_t i = 0; i < arguments->count; i++) argv[i + 1] = hct_arena_strdup(job->arena, arguments->items[i]);
  hct_diags *quiet = hct_diags_create(NULL);
  int code = 0;
  hct_status status = hct_process_run(quiet, &(hct_process){.arguments = argv, .output = "/dev/null", .errors = log}, &code);
  const char *why = status == HCT_OK ? NULL : hct_arena_strdup(job->arena, hct_diags_text(quiet));
  hct_diags_destroy(quiet);
  if (status != HCT_OK || code == 0) return why;
  return code > 128 ? hct_arena_printf(job->arena, "%s ended by signal %d", tool, code - 128) : first_error(job, file_text(job, log));
}

static void run_one(compare_job *job, compare_run *run) {
  const char *image = hct_arena_printf(job->arena, "%s/program.hct", job->work), *report = hct_arena_printf(job->arena, "%s/report.json", job->work);
  name_list compile = {0}, simulate = {0};
  HCT_PUSH(job->arena, &compile, job->model);
  HCT_PUSH(job->arena, &compile, (const char *)hct_arena_printf(job->arena, "--strategy=%s", run->strategy));
  if (run->package[0]) HCT_PUSH(job->arena, &compile, (const char *)hct_arena_printf(job->arena, "--package=%s", run->package));
  for (size_t i = 0; i < job->options.count; i++) HCT_PUSH(job->arena, &compile, job->options.items[i]);
  HCT_PUSH(job->arena, &compile, "-o");
  HCT_PUSH(job->arena, &compile, image);
  const char *const rest[] = {image, "--mode=timing", "--report", report};
  for (size_t i = 0; i < HCT_COUNT(rest); i++) HCT_PUSH(job->arena, &simulate, rest[i]);
  run->refusal = tool_run(job, "hecaton-compile", &compile);
  if (!run->refusal) run->refusal = tool_run(job, "hecaton-sim", &simulate);
  if (!run->refusal) run->report = json_load_file(report, 0, NULL);
  if (!run->refusal && !run->report) run->refusal = "hecaton-sim wrote no report";
  unlink(image);
  unlink(report);
}

static void progress(const compare_job *job, const compare_table *table, size_t at) {
  hct_progress(job->diags, "%zu of %zu: %s %s", at + 1, table->count, table->runs[at].strategy, table->runs[at].package);
}

static hct_status write_table(compare_job *job, const compare_table *table) {
  if (!job->output) return hct_compare_print(table, job->format, stdout), HCT_OK;
  hct_output *output;
  HCT_TRY(hct_output_open(job->diags, job->output, &output));
  hct_compare_print(table, job->format, hct_output_stream(output));
  return hct_output_commit(job->diags, output);
}

static hct_status files_check(const compare_job *job) {
  hct_file_use uses[] = {{.what = "the model", .path = job->model}, {.what = "-o", .path = job->output ? job->output : "-", .written = true}};
  return hct_file_uses_check(job->diags, &(hct_file_uses){.items = uses, .count = HCT_COUNT(uses)});
}

static hct_status compare(compare_job *job) {
  HCT_TRY(files_check(job));
  HCT_TRY(hct_temporary_folder(job->diags, job->arena, &job->work));
  compare_table table = {.model = job->model, .count = job->strategies.count * job->packages.count};
  table.runs = HCT_NEW_ARRAY(job->arena, compare_run, table.count);
  size_t refused = 0;
  for (size_t i = 0; i < table.count; i++) {
    table.runs[i].strategy = job->strategies.items[i % job->strategies.count];
    table.runs[i].package = job->packages.items[i / job->strategies.count];
    progress(job, &table, i);
    run_one(job, &table.runs[i]);
    refused += table.runs[i].refusal != NULL;
  }
  hct_progress_end(job->diags);
  hct_status status = write_table(job, &table);
  for (size_t i = 0; i < table.count; i++) json_decref(table.runs[i].report);
  unlink(hct_arena_printf(job->arena, "%s/log", job->work));
  rmdir(job->work);
  if (status == HCT_OK && refused) status = hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = job->model}, "%zu of %zu runs were refused; the table says why", refused, table.count);
  return status;
}

int hct_compare_main(int argc, char **argv) {
  compare_job job = {.diags = hct_diags_create(stderr), .arena = hct_arena_create()};
  int code = options_read(&job, argc, argv);
  if (code == 0) code = compare(&job) == HCT_OK ? 0 : 1;
  hct_arena_destroy(job.arena);
  hct_diags_destroy(job.diags);
  return code < 0 ? 0 : code;
}
