#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "backends/driver/built.h"
#include "backends/driver/choose.h"
#include "backends/driver/driver.h"
#include "backends/driver/output.h"
#include "compiler/import/import.h"

static const char strategy_values[] =
#define HCT_STRATEGY(name, symbol, doc) name "|"
#include "compiler/strategy/strategies.def"
#undef HCT_STRATEGY
    "auto";

#define NEEDS required_argument, false
#define LISTED required_argument, true
#define NONE no_argument, false
static const struct { const char *name; int argument; bool listed; const char *values, *fallback, *help; } options[] = {
#define HCT_OPTION(name, argument, values, fallback, help) {name, argument, values, fallback, help},
#include "backends/driver/options.def"
#undef HCT_OPTION
};
#undef NEEDS
#undef LISTED
#undef NONE

typedef struct compile_job {
  hct_pass_context pass;
  const char *model, *output;
} compile_job;

static void help_print(void) {
  printf("usage: hecaton-compile MODEL.onnx -o OUT [options]\n\nCompiles an ONNX model to programs for the dies of a package. OUT is a file, or - for standard output.\n\n");
  for (size_t i = 0; i < HCT_COUNT(options); i++) {
    printf("  --%s%s%s\n        %s", options[i].name, options[i].argument == required_argument ? "=" : "", options[i].values[0] ? options[i].values : options[i].argument == required_argument ? "..." : "", options[i].help);
    if (options[i].fallback[0]) printf(" [%s]", options[i].fallback);
    printf("\n");
  }
  printf("  --help, --version\n");
}

static bool value_fits(const char *values, const char *text) {
  double number;
  int64_t count;
  bool counts = hct_parse_i64(text, &count) && count >= 1;
  if (!values[0]) return text[0] != '\0';
  if (!strcmp(values, "whole number")) return hct_parse_i64(text, &count);
  if (!strcmp(values, "number")) return hct_parse_f64(text, &number);
  for (const char *at = values; *at;) {
    size_t length = strcspn(at, "|");
    if (strlen(text) == length && !strncmp(at, text, length)) return true;
    if (length == 1 && *at == 'N' && counts) return true;
    at += length + (at[length] == '|');
  }
  return false;
}

static void value_refuse(hct_diags *diags, const char *name, const char *text, const char *values) {
  if (!values[0]) hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "--%s=: its value is missing", name);
  else hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "--%s=%s: the value must be %s%s", name, text, strchr(values, '|') ? "one of " : "a ", values);
}

/* What is listed is joined by newlines; --trainable and --frozen are one list. */
static void option_put(hct_pass_context *pass, const char *name, bool listed, const char *text) {
  bool selection = !strcmp(name, "trainable") || !strcmp(name, "frozen");
  const char *key = selection ? "trainable" : name, *before = listed ? hct_map_get(pass->options, key) : NULL;
  const char *sign = selection ? (name[0] == 't' ? "+" : "-") : "";
  hct_map_put(pass->options, key, hct_arena_printf(pass->arena, "%s%s%s%s", before ? before : "", before ? "\n" : "", sign, text));
}

static int options_read(compile_job *job, int argc, char **argv) {
  struct option table[HCT_COUNT(options) + 3] = {0};
  for (size_t i = 0; i < HCT_COUNT(options); i++) table[i] = (struct option){options[i].name, options[i].argument, NULL, (int)(256 + i)};
  table[HCT_COUNT(options)] = (struct option){"help", no_argument, NULL, 'h'};
  table[HCT_COUNT(options) + 1] = (struct option){"version", no_argument, NULL, 'V'};
  bool refused = false;
  for (int code; (code = getopt_long(argc, argv, "o:", table, NULL)) != -1;) {
    if (code == 'h') return help_print(), -1;
    if (code == 'V') return printf("hecaton-compile %s\n", HCT_VERSION), -1;
    if (code == '?') return 2;
    if (code == 'o') {
      job->output = optarg;
      continue;
    }
    const char *name = options[code - 256].name, *text = optarg ? optarg : "1";
    if (!value_fits(options[code - 256].values, text)) value_refuse(job->pass.diags, name, text, options[code - 256].values), refused = true;
    if (!strcmp(name, "report")) job->pass.report = text; /* a file of this run, and none of what hecaton-opt does with a dump of it */
    else option_put(&job->pass, name, options[code - 256].listed, text);
  }
  if (refused) return 1;
  if (hct_map_has(job->pass.options, "print-pipeline")) return hct_pipeline_print(stdout), -1;
  if (optind + 1 != argc || !job->output) {
    fprintf(stderr, "hecaton-compile: %s\nusage: hecaton-compile MODEL.onnx -o OUT [options]; --help lists them\n", !job->output ? "-o OUT is missing" : "one model is needed");
    return 2;
  }
  job->model = argv[optind];
  return 0;
}

static hct_status package_choose(hct_pass_context *pass) {
  HCT_TRY(hct_package_find(pass->diags, hct_pass_option(pass, "package", "hecaton-4x4"), &pass->package));
  const char *mesh = hct_pass_option(pass, "mesh", NULL);
  if (!mesh) return HCT_OK;
  char *end;
  long rows = strtol(mesh, &end, 10), cols = *end == 'x' && end != mesh ? strtol(end + 1, &end, 10) : 0;
  if (*end || rows < 1 || cols < 1) return hct_error(pass->diags, HCT_E_OPTION, (hct_loc){0}, "--mesh=%s: it must be ROWSxCOLS, such as 4x4", mesh);
  return hct_package_remesh(pass->diags, &pass->package, rows, cols);
}

static hct_status printing_check(hct_pass_context *pass) {
  const char *after = hct_pass_option(pass, "print-ir-after", "all");
  if (!strcmp(after, "all") || hct_pipeline_has_pass(after)) return HCT_OK;
  hct_error(pass->diags, HCT_E_OPTION, (hct_loc){0}, "--print-ir-after=%s: there is no such pass", after);
  hct_hint(pass->diags, "--print-pipeline lists them, or --print-ir-after=all");
  return HCT_REFUSED;
}

/* What is timed is the streams. */
static hct_status report_check(hct_pass_context *pass, hct_level level) {
  bool host = !strcmp(hct_pass_option(pass, "backend", "chiplet"), "host");
  if (!pass->report || (!host && level > HCT_LEVEL_TILE)) return HCT_OK;
  hct_error(pass->diags, HCT_E_OPTION, (hct_loc){0}, "--report=%s: %s", pass->report, host ? "native code has no modelled time" : "IR of this level has no modelled time");
  hct_hint(pass->diags, "%s", host ? "--backend=chiplet" : "--emit=image, or --emit=isa");
  return HCT_REFUSED;
}

static void file_add(hct_pass_context *pass, hct_file_uses *uses, const char *what, const char *path, bool written) {
  hct_file_use use = {.what = what, .path = path, .written = written};
  if (path) HCT_PUSH(pass->arena, uses, use);
}

/* --constant=NAME=FILE, of which NAME may have '=' in it: each end that it may have is looked at. */
static void constants_add(hct_pass_context *pass, hct_file_uses *uses) {
  for (const char *at = hct_pass_option(pass, "constant", ""); *at; at += *at != '\0') {
    const char *line = hct_arena_strndup(pass->arena, at, strcspn(at, "\n"));
    for (const char *equals = strchr(line, '='); equals; equals = strchr(equals + 1, '=')) file_add(pass, uses, "a --constant", equals + 1, false);
    at += strlen(line);
  }
}

static hct_status files_check(compile_job *job, MlirModule module) {
  hct_pass_context *pass = &job->pass;
  hct_file_uses uses = {0};
  char package[PATH_MAX];
  file_add(pass, &uses, "-o", job->output, true);
  file_add(pass, &uses, "--report", pass->report, true);
  file_add(pass, &uses, "the model", job->model, false);
  if (hct_package_locate(hct_pass_option(pass, "package", ""), package)) file_add(pass, &uses, "the --package", package, false);
  constants_add(pass, &uses);
  return hct_driver_files_check(pass, module, &uses);
}

static hct_status compile(compile_job *job) {
  hct_pass_context *pass = &job->pass;
  hct_level level;
  MlirModule module;
  HCT_TRY(package_choose(pass));
  HCT_BUG_ON(!hct_level_parse(hct_pass_option(pass, "emit", "image"), &level), "level");
  HCT_TRY(report_check(pass, level));
  HCT_TRY(printing_check(pass));
  pass->context = hct_context_create(pass->diags);
  pass->directory = hct_path_folder(pass->arena, job->output);
  hct_status status = hct_import_onnx(pass, job->model, &module);
  if (status == HCT_OK) {
    const char *base = strrchr(job->model, '/') ? strrchr(job->model, '/') + 1 : job->model;
    hct_op_set(mlirModuleGetOperation(module), "hct.model", hct_attr_str(pass->context, base));
    status = files_check(job, module);
    if (status == HCT_OK) status = hct_choose(pass, module, level);
    hct_pass_context_save(pass, module);
    if (status == HCT_OK) status = hct_driver_emit(pass, module, level, job->output);
    hct_built_discard(pass->built);
    mlirModuleDestroy(module);
  }
  hct_context_destroy(pass->context);
  return status;
}

int hct_compile_main(int argc, char **argv) {
  mallopt(M_TRIM_THRESHOLD, 512 << 20); /* trials come and go: their memory is kept for the next */
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  compile_job job = {.pass = {.diags = hct_diags_create(stderr), .arena = hct_arena_create()}};
  job.pass.options = hct_map_create(job.pass.arena);
  int code = options_read(&job, argc, argv);
  if (code == 0) code = compile(&job) == HCT_OK ? 0 : 1;
  hct_arena_destroy(job.pass.arena);
  hct_diags_destroy(job.pass.diags);
  return code < 0 ? 0 : code;
}
