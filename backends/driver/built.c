#include "backends/driver/built.h"

#include <string.h>

#include "compiler/transform/shorten_layers.h"

static bool is_whole(const hct_pass_context *pass) { return !pass->left_out || pass->left_out->back; }

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

enum { FIGURE_COUNT = 4 };
static const char *const figure_names[FIGURE_COUNT] = {"hct.parameters", "hct.fallbacks", "hct.model_flops", "hct.dram_compulsory_bytes"};

/* Of the model with `keep` of the graph's layers. False: no such model can be made of it. */
static bool figures_read(const hct_pass_context *pass, MlirModule graph, size_t keep, int64_t out_figures[FIGURE_COUNT]) {
  MlirModule less = mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(graph)));
  hct_pass_context quiet = *pass;
  size_t layers;
  quiet.diags = hct_diags_create(NULL);
  bool read = hct_layers_shorten(less, HCT_COMPILED_LAYERS - 1, keep, &layers, NULL) && hct_pipeline_run(&quiet, less, HCT_LEVEL_DIST) == HCT_OK;
  for (size_t i = 0; read && i < FIGURE_COUNT; i++) out_figures[i] = hct_op_i64(mlirModuleGetOperation(less), figure_names[i]);
  mlirModuleDestroy(less);
  hct_diags_destroy(quiet.diags);
  return read;
}

bool hct_figures_extrapolate(const hct_pass_context *pass, MlirModule graph, MlirModule module) {
  static const size_t kept[] = {2, HCT_COMPILED_LAYERS - 1}; /* the first and the last layer; but one, where several lack no whole number of times what one has */
  int64_t all[FIGURE_COUNT], fewer[FIGURE_COUNT], layers = 0;
  bool whole = false;
  for (size_t i = 0; i < FIGURE_COUNT; i++) all[i] = hct_op_i64(mlirModuleGetOperation(module), figure_names[i]);
  for (size_t k = 0; k < HCT_COUNT(kept) && !whole; k++) {
    if (!figures_read(pass, graph, kept[k], fewer)) continue;
    layers = HCT_COMPILED_LAYERS - (int64_t)kept[k], whole = true;
    for (size_t i = 0; i < FIGURE_COUNT; i++) whole &= (all[i] - fewer[i]) % layers == 0;
  }
  for (size_t i = 0; layers && i < FIGURE_COUNT; i++) hct_op_set(mlirModuleGetOperation(module), figure_names[i], hct_attr_i64(pass->context, all[i] + pass->left_out->count * ((all[i] - fewer[i]) / layers)));
  return layers > 0;
}
