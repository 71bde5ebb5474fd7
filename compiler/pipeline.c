#include "compiler/pipeline.h"

#include <string.h>
#include <time.h>

typedef struct pipeline_pass {
  const char *flag, *doc;
  hct_status (*run)(hct_pass_context *pass, MlirModule module);
  hct_level level;
} pipeline_pass;

static const pipeline_pass passes[] = {
#define HCT_PASS(flag, function, level, doc) {flag, doc, function, HCT_LEVEL_##level},
#include "compiler/passes.def"
#undef HCT_PASS
};

bool hct_level_parse(const char *name, hct_level *out_level) {
  static const char *const names[] = {"onnx", "graph", "step", "dist", "tile", "isa", "image"};
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (!strcmp(names[i], name)) return *out_level = (hct_level)i, true;
  return false;
}

void hct_pipeline_print(FILE *out) {
  static const char *const levels[] = {"onnx", "graph", "step", "dist", "tile"};
  for (size_t i = 0; i < HCT_COUNT(passes); i++) fprintf(out, "--%-26s %-6s %s\n", passes[i].flag, levels[passes[i].level], passes[i].doc);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static hct_status pass_run(hct_pass_context *context, MlirModule module, const pipeline_pass *pass) {
  double start = seconds();
  hct_progress(context->diags, "%s", pass->flag);
  hct_arena *kept = context->arena;
  context->arena = hct_arena_create(); /* what a pass makes for itself goes with it */
  hct_status status = pass->run(context, module);
  hct_arena_destroy(context->arena);
  context->arena = kept;
  HCT_TRY(status);
  if (hct_pass_option(context, "time-passes", NULL)) fprintf(stderr, "%-24s %8.3f ms\n", pass->flag, (seconds() - start) * 1e3);
  if (!context->streams_only) HCT_TRY(hct_module_verify(context->diags, module, pass->flag)); /* a trial is in the end */
  hct_op_set(mlirModuleGetOperation(module), "hct.done", hct_attr_str(context->context, pass->flag));
  const char *print = hct_pass_option(context, "print-ir-after", "");
  if (!strcmp(print, "all") || !strcmp(print, pass->flag)) {
    hct_text text = {0};
    hct_module_print(module, &text);
    fprintf(stderr, "// IR after %s\n%s\n", pass->flag, text.data);
    hct_text_fini(&text);
  }
  return HCT_OK;
}

/* Index of the first pass that was not run. */
static size_t pass_next(MlirModule module) {
  const char *done = hct_op_str_or(mlirModuleGetOperation(module), "hct.done", "");
  size_t next = 0;
  for (size_t i = 0; i < HCT_COUNT(passes); i++)
    if (!strcmp(passes[i].flag, done)) next = i + 1;
  return next;
}

hct_status hct_pipeline_run(hct_pass_context *pass, MlirModule module, hct_level level) {
  for (size_t next = pass_next(module); next < HCT_COUNT(passes) && passes[next].level <= level; next++) HCT_TRY(pass_run(pass, module, &passes[next]));
  return HCT_OK;
}

static const pipeline_pass *pass_find(const char *flag) {
  for (size_t i = 0; i < HCT_COUNT(passes); i++)
    if (!strcmp(passes[i].flag, flag)) return &passes[i];
  return NULL;
}

bool hct_pipeline_has_pass(const char *flag) { return pass_find(flag) != NULL; }

hct_status hct_pipeline_run_before(hct_pass_context *pass, MlirModule module, const char *flag) {
  HCT_BUG_ON(!pass_find(flag), "there is no pass '%s'", flag);
  for (size_t next = pass_next(module); &passes[next] < pass_find(flag); next++) HCT_TRY(pass_run(pass, module, &passes[next]));
  return HCT_OK;
}

bool hct_pipeline_has_run(MlirModule module, const char *flag) { return pass_find(flag) < &passes[pass_next(module)]; }

hct_status hct_pipeline_run_pass(hct_pass_context *pass, MlirModule module, const char *flag) {
  HCT_BUG_ON(!pass_find(flag), "there is no pass '%s'", flag);
  return pass_run(pass, module, pass_find(flag));
}

void hct_pass_context_save(const hct_pass_context *pass, MlirModule module) {
  MlirNamedAttribute entries[128];
  intptr_t count = 0;
  for (size_t i = 0; i < hct_map_count(pass->options) && count < (intptr_t)HCT_COUNT(entries); i++)
    entries[count++] = mlirNamedAttributeGet(mlirIdentifierGet(pass->context, hct_ref(hct_map_key_at(pass->options, i))), hct_attr_str(pass->context, hct_map_value_at(pass->options, i)));
  hct_text xml = {0};
  hct_package_print(&pass->package, &xml);
  hct_op_set(mlirModuleGetOperation(module), "hct.options", mlirDictionaryAttrGet(pass->context, count, entries));
  hct_op_set(mlirModuleGetOperation(module), "hct.package", hct_attr_str(pass->context, xml.data));
  hct_text_fini(&xml);
}

hct_status hct_pass_context_restore(hct_pass_context *pass, MlirModule module) {
  MlirOperation top = mlirModuleGetOperation(module);
  MlirAttribute options = mlirOperationGetAttributeByName(top, hct_ref("hct.options"));
  if (!mlirAttributeIsNull(options) && mlirAttributeIsADictionary(options)) {
    for (intptr_t i = 0; i < mlirDictionaryAttrGetNumElements(options); i++) {
      MlirNamedAttribute entry = mlirDictionaryAttrGetElement(options, i);
      const char *value = hct_attr_text(entry.attribute);
      if (value) hct_map_put(pass->options, mlirIdentifierStr(entry.name).data, hct_arena_strdup(pass->arena, value));
    }
  }
  const char *xml = hct_op_str_or(top, "hct.package", NULL);
  if (!xml) return hct_package_find(pass->diags, "hecaton-2x2", &pass->package);
  if (xml[0] != '<') return hct_package_find(pass->diags, xml, &pass->package);
  return hct_package_parse(pass->diags, "hct.package", xml, strlen(xml), &pass->package);
}
