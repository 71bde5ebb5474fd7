#include "backends/driver/candidates.h"

#include <string.h>

#include "backends/chiplet/chiplet.h"
#include "backends/driver/built.h"
#include "compiler/strategy/strategy.h"

bool choice_is_auto(const hct_pass_context *pass, const char *option, const char *fallback) { return !strcmp(hct_pass_option(pass, option, fallback), "auto"); }

bool choice_any_recompute(const hct_pass_context *pass) { return choice_is_auto(pass, "recompute", "auto") && strcmp(hct_pass_option(pass, "mode", "train"), "infer"); }

bool choice_any_token_blocks(const hct_pass_context *pass) { return choice_is_auto(pass, "token-blocks", "fit") || !strcmp(hct_pass_option(pass, "token-blocks", "fit"), "fit"); }

bool choice_any_weights(const hct_pass_context *pass) { return choice_is_auto(pass, "weights", "auto"); }

const char *choice_first_weights(const hct_pass_context *pass) { return choice_any_weights(pass) ? "resident" : hct_pass_option(pass, "weights", "auto"); }

hct_objective choice_objective(const hct_pass_context *pass) { return hct_objective_parse(hct_pass_option(pass, "objective", "time")); }

int64_t choice_input_size(MlirModule module, size_t dim) {
  MlirOperation function = hct_module_function(module);
  MlirBlock body = hct_function_body(function);
  for (intptr_t a = 0; a < mlirBlockGetNumArguments(body); a++) {
    MlirAttribute role = hct_function_arg_attr(function, (size_t)a, "hct.role");
    hct_shape shape;
    if (mlirAttributeIsNull(role) || strcmp(hct_attr_text(role), "input")) continue;
    if (hct_value_shape(mlirBlockGetArgument(body, a), &shape) && shape.rank > dim) return shape.dims[dim];
  }
  return 1;
}

bool choice_any_groups(const hct_pass_context *pass, MlirModule module) { return choice_is_auto(pass, "groups", "auto") && strcmp(hct_pass_option(pass, "schedule", "fused"), "layerwise") && choice_input_size(module, 0) > 1; }

/* A square mesh looks the same from both sides, and so does any to a strategy that takes all dies as one axis. */
static bool has_orientations(const hct_pass_context *pass, const char *name) {
  const strategy *chosen = strategy_find(name);
  return pass->package.rows != pass->package.cols && !(chosen && chosen->flat);
}

void choice_strategies_visit(hct_pass_context *pass, choice_visit visit, void *data) {
  bool any_strategy = choice_is_auto(pass, "strategy", "hecaton"), any_orientation = choice_is_auto(pass, "orientation", any_strategy ? "auto" : "columns");
  const char *names = any_strategy ? strategy_names(pass->arena) : hct_pass_option(pass, "strategy", "hecaton");
  for (const char *at = names; *at;) {
    size_t length = strcspn(at, ",");
    const char *name = hct_arena_strndup(pass->arena, at, length);
    visit(name, any_orientation ? "columns" : hct_pass_option(pass, "orientation", "columns"), data);
    if (any_orientation && has_orientations(pass, name)) visit(name, "rows", data);
    at += length;
    at += strspn(at, ", ");
  }
}

void choice_groups_tell(const hct_pass_context *pass, const candidate *best) {
  if (!strcmp(hct_pass_option(pass, "groups", "auto"), "auto") && strcmp(best->groups, "auto")) hct_remark(pass->diags, (hct_loc){0}, "--groups=auto: taken is --groups=%s, since the groups of least estimated cost do not fit in SRAM, or leave too little of it to other things", best->groups);
}

void choice_layers_tell(const hct_pass_context *pass) { hct_remark(pass->diags, (hct_loc){0}, "--units=auto: fusion groups are made of layers, since residual blocks, with their weights and gradients, do not fit in SRAM"); }

static hct_map *options_copy(hct_arena *arena, const hct_map *options) {
  hct_map *copy = hct_map_create(arena);
  for (size_t i = 0; i < hct_map_count(options); i++) {
    const char *key = hct_map_key_at(options, i);
    if (strcmp(key, "print-ir-after") && strcmp(key, "time-passes")) hct_map_put(copy, key, hct_map_value_at(options, i));
  }
  return copy;
}

void candidate_options_set(hct_map *options, hct_arena *arena, const candidate *c) {
  hct_map_put(options, "strategy", hct_arena_strdup(arena, c->strategy));
  hct_map_put(options, "orientation", hct_arena_strdup(arena, c->orientation));
  hct_map_put(options, "micro-batch", hct_arena_strdup(arena, c->micro_batch));
  hct_map_put(options, "recompute", hct_arena_strdup(arena, c->recompute));
  hct_map_put(options, "groups", hct_arena_strdup(arena, c->groups));
  hct_map_put(options, "units", hct_arena_strdup(arena, c->units));
  hct_map_put(options, "token-blocks", hct_arena_strdup(arena, c->token_blocks));
  hct_map_put(options, "weights", hct_arena_strdup(arena, c->weights));
  hct_map_put(options, "weight-pieces", hct_arena_strdup(arena, c->weight_pieces));
}

/* A copy of the pass context and the module, for what is found out of the candidate: silent, and with no files. */
typedef struct trial { hct_pass_context pass; MlirModule module; } trial;

static trial trial_begin(const hct_pass_context *pass, MlirModule module, const candidate *c) {
  trial t = {*pass, mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(module)))};
  t.pass.diags = hct_diags_create(NULL);
  t.pass.arena = hct_arena_create();
  t.pass.options = options_copy(t.pass.arena, pass->options);
  t.pass.streams_only = true;
  candidate_options_set(t.pass.options, t.pass.arena, c);
  return t;
}

/* `kept`: the module and what was said are another's by now. */
static void trial_end(trial *t, bool kept) {
  if (!kept) mlirModuleDestroy(t->module);
  if (!kept) hct_diags_destroy(t->pass.diags);
  hct_arena_destroy(t->pass.arena);
}

void candidate_try(const hct_pass_context *pass, MlirModule module, candidate *c) {
  trial t = trial_begin(pass, module, c);
  hct_image image;
  hct_status status = hct_pipeline_run(&t.pass, t.module, HCT_LEVEL_TILE);
  bool sound = status != HCT_OK || hct_module_verify(t.pass.diags, t.module, hct_op_str(mlirModuleGetOperation(t.module), "hct.done")) == HCT_OK;
  if (!sound) hct_remark(pass->diags, (hct_loc){0}, "bug in hecaton, please report: what is made of %s is refused, and not taken", candidate_name(pass, c));
  if (!sound) status = HCT_REFUSED;
  if (status == HCT_OK) status = chiplet_build(&t.pass, t.module, t.pass.arena, &image, &c->estimate);
  c->fits = status == HCT_OK;
  c->needs_sram_bytes = t.pass.least_sram_bytes, c->parameter_sram_bytes = t.pass.parameter_sram_bytes;
  c->dram_full = t.pass.dram_full;
  c->whole = !pass->left_out || pass->left_out->back;
  c->streaming_pays = hct_op_has(mlirModuleGetOperation(t.module), "hct.streaming_pays");
  c->dram_short = hct_op_has(mlirModuleGetOperation(t.module), "hct.dram_short");
  c->sram_bytes = c->fits ? image.sram_bytes_used : 0;
  c->interleaving = t.pass.interleaving;
  hct_map *chosen = hct_map_create(t.pass.arena);
  candidate_options_set(chosen, t.pass.arena, c);
  trial_end(&t, c->fits && hct_built_keep(pass, &t.pass, t.module, &image, &c->estimate, chosen));
}

bool candidate_weigh(const hct_pass_context *pass, MlirModule module, candidate *c) {
  trial t = trial_begin(pass, module, c);
  t.pass.unordered = true;
  hct_status status = hct_pipeline_run(&t.pass, t.module, HCT_LEVEL_TILE);
  if (status == HCT_OK) status = chiplet_dram_bytes(&t.pass, t.module, &c->dram_bytes);
  c->least_sram_bytes = t.pass.least_sram_bytes, c->crowded = t.pass.crowded, c->parameter_sram_bytes = t.pass.parameter_sram_bytes;
  trial_end(&t, false);
  return status == HCT_OK && c->least_sram_bytes <= (int64_t)pass->package.sram_bytes;
}

bool candidate_may_fit(const hct_pass_context *pass, MlirModule module, candidate *c) {
  candidate least = *c;
  if (choice_any_groups(pass, module)) least.groups = "blocks";
  if (!strcmp(least.recompute, "auto")) least.recompute = "none";
  bool may_fit = candidate_weigh(pass, module, &least);
  c->needs_sram_bytes = least.least_sram_bytes, c->parameter_sram_bytes = least.parameter_sram_bytes;
  return may_fit;
}

const char *candidate_name(const hct_pass_context *pass, const candidate *c) {
  const char *groups = !c->fits || !strcmp(c->groups, "auto") ? "" : hct_arena_printf(pass->arena, ", groups %s", c->groups);
  const char *blocks = choice_any_token_blocks(pass) && strcmp(c->token_blocks, "1") ? hct_arena_printf(pass->arena, ", %s token blocks", c->token_blocks) : "";
  const char *weights = choice_any_weights(pass) && strcmp(c->weights, "resident") ? hct_arena_printf(pass->arena, ", --weights=%s", c->weights) : "";
  return hct_arena_printf(pass->arena, "%s with micro-batch %s%s%s%s%s%s", c->strategy, c->micro_batch, strcmp(c->orientation, "rows") ? "" : ", features over rows", blocks, strcmp(c->recompute, "all") ? "" : ", activations computed again", groups, weights);
}

bool candidate_better(const hct_pass_context *pass, const candidate *a, const candidate *b) { return hct_estimate_better(&a->estimate, &b->estimate, choice_objective(pass)); }

const char *candidate_step_text(const hct_pass_context *pass, const candidate *c) {
  hct_objective objective = choice_objective(pass);
  if (objective == HCT_OBJECTIVE_TIME) return hct_arena_printf(pass->arena, "%.4g s", c->estimate.step_s);
  if (objective == HCT_OBJECTIVE_ENERGY) return hct_arena_printf(pass->arena, "%.4g s and %.4g J", c->estimate.step_s, c->estimate.energy_j);
  return hct_arena_printf(pass->arena, "%.4g s and %llu DRAM bytes", c->estimate.step_s, (unsigned long long)(c->estimate.dram_read_bytes + c->estimate.dram_write_bytes));
}

