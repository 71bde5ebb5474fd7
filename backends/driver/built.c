#include "backends/driver/built.h"

#include <string.h>

#include "compiler/transform/shorten_layers.h"

bool hct_updates_wait(const hct_pass_context *pass) { return hct_pass_option(pass, "clip-norm", NULL) || !strcmp(hct_pass_option(pass, "loss-scale", ""), "auto"); }

static bool is_whole(const hct_pass_context *pass) { return !pass->left_out || (pass->left_out->back && !hct_updates_wait(pass)); }

bool hct_built_keep(const hct_pass_context *pass, const hct_pass_context *trial, MlirModule module, const hct_image *image, const hct_estimate *estimate, const hct_map *options) {
  hct_objective objective = hct_objective_parse(hct_pass_option(pass, "objective", "time"));
  if (!pass->built || !is_whole(trial) || (pass->built->options && !hct_estimate_better(estimate, &pass->built->estimate, objective))) return false;
  hct_built_discard(pass->built);
  hct_built made = {.module = module, .interleaving = trial->interleaving, .estimate = *estimate, .arena = hct_arena_create(), .diags = trial->diags, .left_out = trial->left_out, .layers = pass->built->layers};
  made.image = hct_image_copy(made.arena, image);
  made.options = hct_map_create(made.arena);
  for (size_t i = 0; i < hct_map_count(options); i++) hct_map_put(made.options, hct_map_key_at(options, i), hct_arena_strdup(made.arena, hct_map_value_at(options, i)));
  *pass->built = made;
  return true;
}

void hct_built_match(hct_pass_context *pass) {
  bool same = true;
  for (size_t i = 0; pass->built && pass->built->options && i < hct_map_count(pass->built->options); i++)
    same = same && !strcmp(hct_pass_option(pass, hct_map_key_at(pass->built->options, i), ""), hct_map_value_at(pass->built->options, i));
  if (!same) hct_built_discard(pass->built);
}

void hct_built_discard(hct_built *built) {
  if (!built || !built->options) return;
  mlirModuleDestroy(built->module);
  hct_arena_destroy(built->arena);
  hct_diags_destroy(built->diags);
  *built = (hct_built){.layers = built->layers};
}

hct_status hct_figures_extrapolate(const hct_pass_context *pass, MlirModule graph, MlirModule module) {
  static const char *const names[] = {"hct.parameters", "hct.fallbacks", "hct.model_flops", "hct.dram_compulsory_bytes"};
  MlirModule less = mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(graph)));
  hct_pass_context quiet = *pass;
  size_t layers;
  quiet.diags = hct_diags_create(NULL);
  HCT_BUG_ON(!hct_layers_shorten(less, HCT_COMPILED_LAYERS - 1, HCT_COMPILED_LAYERS - 1, &layers, NULL), "what lost layers can lose one more");
  hct_status status = hct_pipeline_run(&quiet, less, HCT_LEVEL_DIST);
  for (size_t i = 0; status == HCT_OK && i < HCT_COUNT(names); i++) {
    int64_t all = hct_op_i64(mlirModuleGetOperation(module), names[i]), fewer = hct_op_i64(mlirModuleGetOperation(less), names[i]);
    hct_op_set(mlirModuleGetOperation(module), names[i], hct_attr_i64(pass->context, all + pass->left_out->count * (all - fewer)));
  }
  mlirModuleDestroy(less);
  hct_diags_destroy(quiet.diags);
  return status;
}
