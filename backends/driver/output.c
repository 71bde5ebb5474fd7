#include "backends/driver/output.h"

#include <string.h>

#include "backends/backend.h"

hct_status hct_driver_write(hct_diags *diags, const char *path, const hct_text *text) {
  if (!strcmp(path, "-")) {
    fwrite(text->data, 1, text->length, stdout);
    return HCT_OK;
  }
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  fwrite(text->data, 1, text->length, hct_output_stream(output));
  return hct_output_commit(diags, output);
}

static hct_status emit(hct_pass_context *pass, MlirModule module, hct_level level, const char *path) {
  if (level > HCT_LEVEL_TILE && !strcmp(hct_pass_option(pass, "backend", "chiplet"), "host")) {
    HCT_TRY(hct_pipeline_run(pass, module, HCT_LEVEL_GRAPH));
    return hct_backend_host.emit(pass, module, level == HCT_LEVEL_ISA, path);
  }
  HCT_TRY(hct_pipeline_run(pass, module, level));
  if (level > HCT_LEVEL_TILE) return hct_backend_chiplet.emit(pass, module, level == HCT_LEVEL_ISA, path);
  hct_text text = {0};
  hct_module_print(module, &text);
  hct_text_append(&text, "\n", 1);
  hct_status status = hct_driver_write(pass->diags, path, &text);
  hct_text_fini(&text);
  return status;
}

/* A copy of the module, and only what is said when that is done. */
static hct_status emit_copy(const hct_pass_context *pass, MlirModule module, hct_level level, const char *path) {
  hct_pass_context attempt = *pass;
  attempt.diags = hct_diags_create(NULL);
  attempt.arena = hct_arena_create();
  MlirModule copy = mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(module)));
  hct_status status = emit(&attempt, copy, level, path);
  if (status != HCT_REFUSED) hct_diags_repeat(pass->diags, attempt.diags);
  mlirModuleDestroy(copy);
  hct_arena_destroy(attempt.arena);
  hct_diags_destroy(attempt.diags);
  return status;
}

hct_status hct_driver_emit(hct_pass_context *pass, MlirModule module, hct_level level, const char *path) {
  for (size_t i = 0; level > HCT_LEVEL_TILE && i < pass->fallbacks.count; i++) {
    hct_status status = emit_copy(pass, module, level, path);
    if (status != HCT_REFUSED) return status;
    hct_remark(pass->diags, (hct_loc){0}, "the whole model does not fit with what is best for some of its layers: the next best is taken");
    pass->options = pass->fallbacks.items[i];
    pass->interleaving.known = false;
    hct_pass_context_save(pass, module);
  }
  return emit(pass, module, level, path);
}
