#include "backends/driver/output.h"

#include <string.h>

#include "backends/backend.h"
#include "backends/driver/built.h"
#include "compiler/transform/shorten_layers.h"

hct_status hct_driver_write(hct_diags *diags, const char *path, const hct_text *text) {
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  fwrite(text->data, 1, text->length, hct_output_stream(output));
  return hct_output_commit(diags, output);
}

static hct_status emit_some(hct_pass_context *pass, MlirModule graph, hct_level level, const char *path) {
  MlirModule module = mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(graph)));
  hct_status status = hct_pipeline_run(pass, module, HCT_LEVEL_TILE);
  if (status == HCT_OK && !hct_figures_extrapolate(pass, graph, module)) status = HCT_REFUSED; /* all layers are compiled */
  if (status == HCT_OK) status = hct_backend_chiplet.emit(pass, module, level == HCT_LEVEL_ISA, path);
  mlirModuleDestroy(module);
  return status;
}

static void layers_tell(hct_diags *diags, size_t layers) {
  hct_remark(diags, (hct_loc){0}, "compiled are %d of %zu equal layers, which the others are copies of: what is said of passes is of these", HCT_COMPILED_LAYERS, layers);
}

/* Of many equal layers some are compiled, and the others put back by the backend. False: there are not so many, or they could not be put back. */
static bool emit_layers(hct_pass_context *pass, MlirModule module, hct_level level, const char *path, hct_status *out_status) {
  static const char first[] = "hct-block-attention";
  hct_left_out left_out = {.data = hct_map_create(pass->arena)};
  hct_pass_context some = *pass;
  size_t layers;
  if (hct_pipeline_has_run(module, first) || hct_pipeline_run_before(pass, module, first) != HCT_OK) return false;
  MlirModule graph = mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(module)));
  bool shorter = hct_layers_shorten(graph, HCT_MOST_WHOLE_LAYERS, HCT_COMPILED_LAYERS, &layers, &left_out);
  some.diags = hct_diags_create(NULL), some.left_out = &left_out;
  if (shorter) {
    layers_tell(some.diags, layers);
    *out_status = emit_some(&some, graph, level, path);
  }
  bool hopeless = some.product_sram_bytes > (int64_t)pass->package.sram_bytes; /* what a product takes in one layer it takes in all */
  bool done = shorter && (*out_status == HCT_OK || left_out.back || hopeless);
  if (done) hct_diags_repeat(pass->diags, some.diags);
  pass->interleaving = done ? some.interleaving : pass->interleaving;
  mlirModuleDestroy(graph);
  hct_diags_destroy(some.diags);
  return done;
}

static hct_status emit_built(hct_pass_context *pass, hct_level level, const char *path) {
  if (pass->built->left_out) layers_tell(pass->diags, pass->built->layers);
  hct_diags_repeat(pass->diags, pass->built->diags);
  return hct_backend_chiplet.emit(pass, pass->built->module, level == HCT_LEVEL_ISA, path);
}

static hct_status emit(hct_pass_context *pass, MlirModule module, hct_level level, const char *path) {
  if (level > HCT_LEVEL_TILE && !strcmp(hct_pass_option(pass, "backend", "chiplet"), "host")) {
    HCT_TRY(hct_pipeline_run(pass, module, HCT_LEVEL_STEP));
    return hct_backend_host.emit(pass, module, level == HCT_LEVEL_ISA, path);
  }
  hct_status status;
  if (level > HCT_LEVEL_TILE && pass->built) return emit_built(pass, level, path);
  if (level > HCT_LEVEL_TILE && emit_layers(pass, module, level, path, &status)) return status;
  HCT_TRY(hct_pipeline_run(pass, module, level));
  if (level > HCT_LEVEL_TILE) return hct_backend_chiplet.emit(pass, module, level == HCT_LEVEL_ISA, path);
  hct_text text = {0};
  hct_module_print(module, &text);
  hct_text_append(&text, "\n", 1);
  status = hct_driver_write(pass->diags, path, &text);
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
    hct_built_discard(pass->built), pass->built = NULL;
    pass->options = pass->fallbacks.items[i];
    pass->interleaving.known = false;
    hct_pass_context_save(pass, module);
  }
  return emit(pass, module, level, path);
}
