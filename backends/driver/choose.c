#include "backends/driver/choose.h"

#include <string.h>

#include "backends/driver/built.h"
#include "backends/driver/candidates.h"
#include "compiler/transform/shorten_layers.h"

static void result_tell(hct_pass_context *pass, const candidate_list *list, size_t best) {
  hct_remark(pass->diags, (hct_loc){0}, "strategy %s: a step of %s is predicted", candidate_name(pass, &list->items[best]), candidate_step_text(pass, &list->items[best]));
  for (size_t i = 0; i < list->count; i++)
    if (i != best && list->items[i].fits) hct_note(pass->diags, "%s: %s", candidate_name(pass, &list->items[i]), candidate_step_text(pass, &list->items[i]));
    else if (!list->items[i].fits) hct_note(pass->diags, "%s: does not fit", candidate_name(pass, &list->items[i]));
}

static void fallback_add(hct_pass_context *pass, const candidate *c) {
  hct_map *options = hct_map_create(pass->arena);
  for (size_t i = 0; i < hct_map_count(pass->options); i++) hct_map_put(options, hct_map_key_at(pass->options, i), hct_map_value_at(pass->options, i));
  candidate_options_set(options, pass->arena, c);
  HCT_PUSH(pass->arena, &pass->fallbacks, options);
}

/* Where some layers fit, all of them may not: then the best with as many micro-batches at once as fit, the others from better to worse, and the best
 * with fewer activations stored, in more token blocks where that is left to choose. */
static void fallbacks_add(hct_pass_context *pass, const candidate_list *list, size_t best, int64_t sequence) {
  bool *taken = HCT_NEW_ARRAY(pass->arena, bool, list->count);
  for (size_t next = best; next != SIZE_MAX;) {
    fallback_add(pass, &list->items[next]);
    taken[next] = true, next = SIZE_MAX;
    for (size_t i = 0; i < list->count; i++)
      if (!taken[i] && list->items[i].fits && (next == SIZE_MAX || candidate_better(pass, &list->items[i], &list->items[next]))) next = i;
  }
  candidate again = list->items[best];
  int64_t blocks = 1;
  HCT_BUG_ON(!hct_parse_i64(again.token_blocks, &blocks), "token blocks");
  bool any = choice_any_recompute(pass), less = any && strcmp(again.recompute, "auto") != 0;
  for (; blocks <= MOST_TOKEN_BLOCKS && sequence % blocks == 0; blocks *= 2, less = true) {
    again.token_blocks = hct_arena_printf(pass->arena, "%lld", (long long)blocks);
    if (any) again.recompute = "auto";
    if (less) fallback_add(pass, &again);
    if (!choice_any_token_blocks(pass)) break;
  }
  again.recompute = "all";
  if (any) fallback_add(pass, &again);
}

typedef struct dram_choice {
  hct_pass_context *pass;
  MlirModule module;
  const char *units;
  candidate_list *list;
  size_t *best;
} dram_choice;

static void dram_visit(const char *name, const char *orientation, void *data) {
  const dram_choice *choice = data;
  choose_dram(choice->pass, choice->module, name, orientation, choice->units, choice->list, choice->best);
}

/* Others are only weighed: what takes too much in any order. */
static bool any_compiled(const candidate_list *list) {
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i].dram_bytes) return true;
  return false;
}

/* Where none of the few that are compiled fits, all candidates are tried. */
static size_t dram_choose(hct_pass_context *pass, MlirModule module, size_t layers, candidate_list *list) {
  size_t best = SIZE_MAX;
  dram_choice choice = {pass, module, hct_pass_option(pass, "units", "auto"), list, &best};
  choice_strategies_visit(pass, dram_visit, &choice);
  if (best == SIZE_MAX && choice_is_auto(pass, "units", "auto") && (layers || choice_any_groups(pass, module))) {
    choice.units = "layers";
    choice_strategies_visit(pass, dram_visit, &choice);
    if (best != SIZE_MAX) choice_layers_tell(pass);
  }
  if (best != SIZE_MAX) choice_groups_tell(pass, &list->items[best]);
  if (best != SIZE_MAX) return best;
  bool tight = !any_compiled(list);
  *list = (candidate_list){0};
  return choose_time(pass, module, layers, tight, list);
}

static void candidate_choose(hct_pass_context *pass, const candidate *c) {
  candidate_options_set(pass->options, pass->arena, c);
  pass->interleaving = c->interleaving;
  pass->interleaving.known = c->fits;
  hct_built_match(pass);
}

/* Where none fits, the one that is set, whose compilation says why: the last of which it is known that it takes much SRAM. Without such, all are refused for another reason: the first. */
static candidate *refused_one(const candidate_list *list) {
  for (size_t i = list->count; i-- > 0;)
    if (list->items[i].needs_sram_bytes || list->items[i].least_sram_bytes) return &list->items[i];
  return &list->items[0];
}

/* `layers`: equal ones of the whole model, where `module` has some of them; else 0. */
static candidate choose_among(hct_pass_context *pass, MlirModule module, size_t layers) {
  candidate_list list = {0};
  bool dram = choice_objective(pass) == HCT_OBJECTIVE_DRAM;
  size_t best = dram ? dram_choose(pass, module, layers, &list) : choose_time(pass, module, layers, false, &list);
  bool fits = best != SIZE_MAX;
  candidate *chosen = fits ? &list.items[best] : refused_one(&list);
  if (!fits && choice_any_weights(pass)) chosen->weights = "auto"; /* why that does not fit is said */
  if (fits && (list.count > 1 || dram)) result_tell(pass, &list, best); /* others were weighed */
  if (fits && layers) fallbacks_add(pass, &list, best, choice_input_size(module, 1));
  candidate_choose(pass, chosen);
  return *chosen;
}

/* What is compared is alike in equal layers. How many of them a fusion group of several spans is not: such groups are no candidates, but for fewest DRAM bytes, where
 * one is tried in the end. */
static void choose_by_some(hct_pass_context *pass, MlirModule module, MlirModule some, size_t layers) {
  bool any_groups = choice_any_groups(pass, some), dram = choice_objective(pass) == HCT_OBJECTIVE_DRAM;
  hct_left_out *left_out = pass->left_out;
  if (pass->built) pass->built->layers = layers;
  hct_remark(pass->diags, (hct_loc){0}, "choices are made by %d of %zu equal layers%s", HCT_COMPILED_LAYERS, layers, any_groups ? ", and with --groups=blocks" : "");
  if (any_groups) hct_map_put(pass->options, "groups", hct_arena_strdup(pass->arena, "blocks"));
  candidate best = choose_among(pass, some, layers);
  bool gains = any_groups && dram && best.fits && choose_dram_fused(pass, some, false, &best);
  pass->left_out = NULL;
  if (gains && choose_dram_fused(pass, module, true, &best)) {
    hct_remark(pass->diags, (hct_loc){0}, "--groups=auto: taken is --groups=%s, with which groups of several layers move fewer DRAM bytes: %s", best.groups, candidate_step_text(pass, &best));
    candidate_choose(pass, &best);
  }
  pass->left_out = left_out;
  if (pass->built && pass->built->options && pass->built->left_out && !hct_figures_extrapolate(pass, some, pass->built->module)) hct_built_discard(pass->built);
}

static void choose(hct_pass_context *pass, MlirModule module) {
  bool any_orientation = choice_is_auto(pass, "orientation", choice_is_auto(pass, "strategy", "hecaton") ? "auto" : "columns");
  if (!choice_is_auto(pass, "strategy", "hecaton") && !any_orientation && !choice_any_recompute(pass) && !choice_is_auto(pass, "micro-batch", "auto") && !choice_any_groups(pass, module) && !choice_any_token_blocks(pass) && !choice_any_weights(pass)) return;
  MlirModule some = mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(module)));
  hct_left_out *left_out = HCT_NEW(pass->arena, hct_left_out);
  left_out->data = hct_map_create(pass->arena);
  size_t layers;
  if (hct_layers_shorten(some, HCT_MOST_WHOLE_LAYERS, HCT_COMPILED_LAYERS, &layers, left_out)) {
    pass->left_out = left_out;
    choose_by_some(pass, module, some, layers);
    pass->left_out = NULL;
  } else {
    choose_among(pass, module, 0);
  }
  mlirModuleDestroy(some);
}

/* IR is printed, and passes are timed, as the program itself is made. */
static bool keeps_built(const hct_pass_context *pass, hct_level level) { return level > HCT_LEVEL_TILE && !hct_pass_option(pass, "print-ir-after", NULL) && !hct_pass_option(pass, "time-passes", NULL); }

hct_status hct_choose(hct_pass_context *pass, MlirModule module, hct_level level) {
  static const char first[] = "hct-block-attention"; /* that depends on a choice */
  bool host = !strcmp(hct_pass_option(pass, "backend", "chiplet"), "host");
  if (level < HCT_LEVEL_STEP || host || hct_pipeline_has_run(module, first)) return HCT_OK;
  HCT_TRY(hct_pipeline_run_before(pass, module, first));
  pass->orders = HCT_NEW(pass->arena, hct_known_orders);
  pass->orders->arena = pass->arena;
  if (keeps_built(pass, level)) pass->built = HCT_NEW(pass->arena, hct_built);
  choose(pass, module);
  if (pass->built && !pass->built->options) pass->built = NULL;
  hct_pass_context_save(pass, module);
  return HCT_OK;
}
