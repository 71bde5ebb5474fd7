#include "backends/driver/choose.h"

#include <string.h>

#include "backends/chiplet/chiplet.h"
#include "backends/driver/built.h"
#include "compiler/strategy/strategy.h"
#include "compiler/transform/shorten_layers.h"

typedef struct candidate {
  const char *strategy, *orientation, *micro_batch, *recompute, *groups, *units, *token_blocks, *weights;
  bool whole;          /* the estimate is of all layers, not of those alone that are compiled */
  bool streaming_pays; /* weights that are streamed may be better, as hct-fuse-groups estimates */
  bool fits, dram_short; /* DRAM does not hold all that is worth storing for backward */
  hct_interleaving interleaving;
  int64_t sram_bytes;
  hct_estimate estimate;
} candidate;
typedef struct candidate_list { candidate *items; size_t count, capacity; } candidate_list;

static bool is_auto(const hct_pass_context *pass, const char *option, const char *fallback) { return !strcmp(hct_pass_option(pass, option, fallback), "auto"); }

static bool any_recompute(const hct_pass_context *pass) { return is_auto(pass, "recompute", "auto") && strcmp(hct_pass_option(pass, "mode", "train"), "infer"); }

static bool any_token_blocks(const hct_pass_context *pass) { return is_auto(pass, "token-blocks", "fit") || !strcmp(hct_pass_option(pass, "token-blocks", "fit"), "fit"); }

static bool any_weights(const hct_pass_context *pass) { return is_auto(pass, "weights", "auto"); }

static hct_objective objective_of(const hct_pass_context *pass) { return hct_objective_parse(hct_pass_option(pass, "objective", "time")); }

static const double NEARLY = 1.1; /* times the best step that is predicted */
enum { MOST_TOKEN_BLOCKS = 16 };

/* Dimension `dim` of the first input that has one, as the partitioner takes the batch (0) and hct-block-tokens the sequence (1); 1: none has. */
static int64_t input_size(MlirModule module, size_t dim) {
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

/* With a single sample all activations stay in SRAM. */
static bool any_groups(const hct_pass_context *pass, MlirModule module) { return is_auto(pass, "groups", "auto") && strcmp(hct_pass_option(pass, "schedule", "fused"), "layerwise") && input_size(module, 0) > 1; }

static void candidate_add(hct_pass_context *pass, const char *name, const char *orientation, const char *micro_batch, candidate_list *list) {
  candidate one = {.strategy = name, .orientation = orientation, .recompute = hct_pass_option(pass, "recompute", "auto"), .micro_batch = micro_batch, .groups = hct_pass_option(pass, "groups", "auto"), .units = hct_pass_option(pass, "units", "auto"),
                   .token_blocks = any_token_blocks(pass) ? "1" : hct_pass_option(pass, "token-blocks", "fit"), .weights = any_weights(pass) ? "resident" : hct_pass_option(pass, "weights", "auto")};
  HCT_PUSH(pass->arena, list, one);
  one.recompute = "all"; /* `auto` computes again what saves time */
  if (any_recompute(pass) && objective_of(pass) != HCT_OBJECTIVE_TIME) HCT_PUSH(pass->arena, list, one);
}

static int64_t multiple_below(int64_t size, int64_t of) { return size - size % of; }

/* The whole batch, half of it, ... one sample; before each half, what the sides of the mesh divide. */
static void candidates_add(hct_pass_context *pass, MlirModule module, const char *name, const char *orientation, candidate_list *list) {
  if (!is_auto(pass, "micro-batch", "auto")) {
    candidate_add(pass, name, orientation, hct_pass_option(pass, "micro-batch", "auto"), list);
    return;
  }
  for (int64_t size = input_size(module, 0), half; size >= 1; size = size > 1 ? half : 0) {
    half = (size + 1) / 2;
    int64_t rows = multiple_below(size, pass->package.rows), cols = multiple_below(size, pass->package.cols), last = size + 1;
    const int64_t sizes[] = {size, rows > cols ? rows : cols, rows > cols ? cols : rows};
    for (size_t i = 0; i < HCT_COUNT(sizes); i++) {
      if (sizes[i] >= last || (i && sizes[i] <= half)) continue;
      last = sizes[i];
      candidate_add(pass, name, orientation, hct_arena_printf(pass->arena, "%lld", (long long)last), list);
    }
  }
}

/* A square mesh looks the same from both sides, and so does any to a strategy that takes all dies as one axis. */
static void orientations_add(hct_pass_context *pass, MlirModule module, const char *name, bool any, candidate_list *list) {
  const strategy *chosen = strategy_find(name);
  bool matters = pass->package.rows != pass->package.cols && !(chosen && chosen->flat);
  const char *given = hct_pass_option(pass, "orientation", "columns");
  candidates_add(pass, module, name, any ? "columns" : given, list);
  if (any && matters) candidates_add(pass, module, name, "rows", list);
}

static hct_map *options_copy(hct_arena *arena, const hct_map *options) {
  hct_map *copy = hct_map_create(arena);
  for (size_t i = 0; i < hct_map_count(options); i++) {
    const char *key = hct_map_key_at(options, i);
    if (strcmp(key, "print-ir-after") && strcmp(key, "time-passes")) hct_map_put(copy, key, hct_map_value_at(options, i));
  }
  return copy;
}

static void options_set(hct_map *options, hct_arena *arena, const candidate *c) {
  hct_map_put(options, "strategy", hct_arena_strdup(arena, c->strategy));
  hct_map_put(options, "orientation", hct_arena_strdup(arena, c->orientation));
  hct_map_put(options, "micro-batch", hct_arena_strdup(arena, c->micro_batch));
  hct_map_put(options, "recompute", hct_arena_strdup(arena, c->recompute));
  hct_map_put(options, "groups", hct_arena_strdup(arena, c->groups));
  hct_map_put(options, "units", hct_arena_strdup(arena, c->units));
  hct_map_put(options, "token-blocks", hct_arena_strdup(arena, c->token_blocks));
  hct_map_put(options, "weights", hct_arena_strdup(arena, c->weights));
}

/* Compiles a copy of the module up to its streams, silently. */
static void candidate_try(const hct_pass_context *pass, MlirModule module, candidate *c) {
  hct_pass_context trial = *pass;
  trial.diags = hct_diags_create(NULL);
  trial.arena = hct_arena_create();
  trial.options = options_copy(trial.arena, pass->options);
  trial.streams_only = true;
  options_set(trial.options, trial.arena, c);
  MlirModule copy = mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(module)));
  hct_image image;
  hct_status status = hct_pipeline_run(&trial, copy, HCT_LEVEL_TILE);
  if (status == HCT_OK) status = chiplet_build(&trial, copy, trial.arena, &image, &c->estimate);
  c->fits = status == HCT_OK;
  c->whole = !pass->left_out || pass->left_out->back;
  c->streaming_pays = hct_op_has(mlirModuleGetOperation(copy), "hct.streaming_pays");
  c->dram_short = hct_op_has(mlirModuleGetOperation(copy), "hct.dram_short");
  c->sram_bytes = c->fits ? image.sram_bytes_used : 0;
  c->interleaving = trial.interleaving;
  hct_map *chosen = hct_map_create(trial.arena);
  options_set(chosen, trial.arena, c);
  bool kept = c->fits && hct_built_keep(pass, &trial, copy, &image, &c->estimate, chosen);
  if (!kept) mlirModuleDestroy(copy);
  if (!kept) hct_diags_destroy(trial.diags);
  hct_arena_destroy(trial.arena);
}

static const char *candidate_name(const hct_pass_context *pass, const candidate *c) {
  const char *groups = !c->fits || !strcmp(c->groups, "auto") ? "" : hct_arena_printf(pass->arena, ", groups %s", c->groups);
  const char *blocks = any_token_blocks(pass) && strcmp(c->token_blocks, "1") ? hct_arena_printf(pass->arena, ", %s token blocks", c->token_blocks) : "";
  return hct_arena_printf(pass->arena, "%s with micro-batch %s%s%s%s%s%s", c->strategy, c->micro_batch, strcmp(c->orientation, "rows") ? "" : ", features over rows", blocks, strcmp(c->recompute, "all") ? "" : ", activations computed again", groups, any_weights(pass) && strcmp(c->weights, "resident") ? hct_arena_printf(pass->arena, ", --weights=%s", c->weights) : "");
}

static bool better(const hct_pass_context *pass, const candidate *a, const candidate *b) { return hct_estimate_better(&a->estimate, &b->estimate, objective_of(pass)); }

/* How long its step is predicted to take, and how much of what is to be little. */
static const char *step_text(const hct_pass_context *pass, const candidate *c) {
  hct_objective objective = objective_of(pass);
  if (objective == HCT_OBJECTIVE_TIME) return hct_arena_printf(pass->arena, "%.4g s", c->estimate.step_s);
  if (objective == HCT_OBJECTIVE_ENERGY) return hct_arena_printf(pass->arena, "%.4g s and %.4g J", c->estimate.step_s, c->estimate.energy_j);
  return hct_arena_printf(pass->arena, "%.4g s and %llu DRAM bytes", c->estimate.step_s, (unsigned long long)(c->estimate.dram_read_bytes + c->estimate.dram_write_bytes));
}

/* Recomputation takes SRAM in backward: where there is none for it, everything is stored. */
static void candidate_try_both(const hct_pass_context *pass, MlirModule module, candidate *c) {
  candidate_try(pass, module, c);
  if (c->fits || strcmp(c->recompute, "auto")) return;
  c->recompute = "none";
  candidate_try(pass, module, c);
  if (!c->fits) c->recompute = "auto";
}

/* Shares of SRAM that fused groups may be estimated to take, where what `auto` takes does not fit, or leaves less for other things than they need. */
static const char *const shares[] = {"90%", "70%", "50%", "30%"};

/* Fused groups take SRAM that micro-batches at once, and double buffers, may have more use for. */
static bool is_tight(const hct_pass_context *pass, const candidate *c) { return c->sram_bytes > (int64_t)pass->package.sram_bytes / 2; }

/* From what `c` has, everything or nothing fused, share by share to less or more of it, as long as that fits and is no worse. */
static void candidate_try_shares(const hct_pass_context *pass, MlirModule module, candidate *c) {
  bool less = !strcmp(c->groups, "auto");
  for (size_t i = 0; i < HCT_COUNT(shares); i++) {
    candidate next = *c;
    next.groups = shares[less ? i : HCT_COUNT(shares) - 1 - i];
    candidate_try(pass, module, &next);
    if (!next.fits || better(pass, c, &next)) return;
    if (better(pass, &next, c)) *c = next;
  }
}

/* Where groups do not fit even alone, they do not together. */
static void candidate_try_all(const hct_pass_context *pass, MlirModule module, candidate *c) {
  if (!any_groups(pass, module)) {
    candidate_try_both(pass, module, c);
    return;
  }
  candidate_try(pass, module, c);
  if (c->fits && (!is_tight(pass, c) || objective_of(pass) == HCT_OBJECTIVE_DRAM)) return;
  candidate blocks = *c;
  blocks.groups = "blocks";
  candidate_try_both(pass, module, &blocks);
  if (c->fits && (!blocks.fits || !better(pass, &blocks, c))) return;
  bool fitted = c->fits;
  *c = blocks;
  if (blocks.fits && !fitted) candidate_try_shares(pass, module, c);
}

static void compare_stored(hct_pass_context *pass, MlirModule module, candidate *best) {
  if (best->dram_short) return; /* where that does not fit, everything does not */
  const char *why = "does not fit in SRAM";
  if (strcmp(best->recompute, "none")) {
    candidate stored = *best;
    stored.recompute = "none";
    candidate_try(pass, module, &stored);
    if (!stored.fits || !better(pass, &stored, best)) return;
    why = hct_arena_printf(pass->arena, "makes the step %s, %s", objective_of(pass) == HCT_OBJECTIVE_TIME ? "longer" : "worse", step_text(pass, best));
    *best = stored;
  }
  hct_remark(pass->diags, (hct_loc){0}, "--recompute=auto: activations are stored, since computing some again %s", why);
}

static void groups_vary(const hct_pass_context *pass, MlirModule module, candidate *best) {
  const candidate found = *best;
  if (!strcmp(found.groups, "blocks") || (!strcmp(found.groups, "auto") && is_tight(pass, best))) candidate_try_shares(pass, module, best);
  if (!strcmp(found.groups, "auto")) {
    candidate blocks = found;
    blocks.groups = "blocks";
    candidate_try(pass, module, &blocks);
    if (blocks.fits && better(pass, &blocks, best)) *best = blocks;
  }
}

/* Of candidates that are nearly as good as the best, others may come out best with other groups. */
static void compare_groups(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t *number) {
  double most = NEARLY * list->items[*number].estimate.step_s;
  groups_vary(pass, module, &list->items[*number]);
  for (size_t i = 0; i < list->count && objective_of(pass) == HCT_OBJECTIVE_TIME; i++) {
    candidate *c = &list->items[i];
    if (i == *number || !c->fits || c->estimate.step_s > most) continue;
    groups_vary(pass, module, c);
    if (better(pass, c, &list->items[*number])) *number = i;
  }
  const candidate *best = &list->items[*number];
  if (strcmp(best->groups, "auto")) hct_remark(pass->diags, (hct_loc){0}, "--groups=auto: taken is --groups=%s, since the groups of least estimated cost do not fit in SRAM, or leave too little of it to other things", best->groups);
}

/* Tries the candidate, which joins the list; whether it fits. *best: the number of the best so far, SIZE_MAX for none. */
static bool list_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t number, size_t *best) {
  candidate *c = &list->items[number];
  hct_progress(pass->diags, "candidate %zu of %zu: %s", number + 1, list->count, candidate_name(pass, c));
  candidate_try_all(pass, module, c);
  bool comparable = *best == SIZE_MAX || c->whole || !list->items[*best].whole || !strcmp(c->weights, list->items[*best].weights);
  if (c->fits && comparable && (*best == SIZE_MAX || better(pass, c, &list->items[*best]))) *best = number;
  return c->fits;
}

static bool listed(const candidate_list *list, const candidate *c) {
  for (size_t i = 0; i < list->count; i++) {
    const candidate *o = &list->items[i];
    if (!strcmp(o->strategy, c->strategy) && !strcmp(o->orientation, c->orientation) && !strcmp(o->micro_batch, c->micro_batch)) return true;
  }
  return false;
}

/* Twice and half the best micro-batch, where that is none of the halves: what a side of the mesh divides, its multiples may suit, too. */
static void multiples_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t *best) {
  int64_t size = 0, batch = input_size(module, 0);
  size_t like = *best;
  HCT_BUG_ON(!hct_parse_i64(list->items[like].micro_batch, &size), "a micro-batch");
  const int64_t sizes[] = {2 * size, size / 2};
  for (size_t i = 0; i < HCT_COUNT(sizes); i++) {
    candidate one = list->items[like];
    one.micro_batch = hct_arena_printf(pass->arena, "%lld", (long long)sizes[i]);
    if (sizes[i] < 1 || sizes[i] > batch || listed(list, &one)) continue;
    HCT_PUSH(pass->arena, list, one);
    list_try(pass, module, list, list->count - 1, best);
  }
}

/* Everything is stored only since computing some of it again does not fit. */
static bool is_makeshift(const hct_pass_context *pass, const candidate *c) { return any_recompute(pass) && !strcmp(c->recompute, "none"); }

static bool blocks_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t like, int64_t blocks, size_t *best) {
  candidate one = list->items[like];
  if (is_makeshift(pass, &one)) one.recompute = hct_pass_option(pass, "recompute", "auto"), one.groups = hct_pass_option(pass, "groups", "auto");
  one.token_blocks = hct_arena_printf(pass->arena, "%lld", (long long)blocks);
  HCT_PUSH(pass->arena, list, one);
  return list_try(pass, module, list, list->count - 1, best);
}

/* The first `count` candidates in blocks, the smallest micro-batch of each strategy and orientation first: where that does not fit, larger ones are not tried. */
static void blocks_fit(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t count, int64_t blocks, size_t *best) {
  bool fits = true, any = false;
  for (size_t i = count; i-- > 0;) {
    const candidate *c = &list->items[i], *before = i + 1 < count ? &list->items[i + 1] : NULL;
    bool group = before && !strcmp(c->strategy, before->strategy) && !strcmp(c->orientation, before->orientation);
    if (!group) fits = true, any = false;
    else if (strcmp(c->micro_batch, before->micro_batch) != 0) fits = fits && any, any = false;
    if (fits && blocks_try(pass, module, list, i, blocks, best)) any = true;
  }
}

/* --token-blocks: more and more where nothing fits as it is, until something does; with `auto`, for fewest DRAM bytes, and where those that fit are makeshift, also
 * of what is best, as long as that makes it better. */
static void blocks_choose(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t *best) {
  int64_t sequence = input_size(module, 1), blocks = 2;
  size_t count = list->count;
  for (; *best == SIZE_MAX && blocks <= MOST_TOKEN_BLOCKS && sequence % blocks == 0; blocks *= 2) blocks_fit(pass, module, list, count, blocks, best);
  bool any = is_auto(pass, "token-blocks", "fit") || (any_token_blocks(pass) && (objective_of(pass) == HCT_OBJECTIVE_DRAM || (*best != SIZE_MAX && is_makeshift(pass, &list->items[*best])))); /* less in flight leaves SRAM to larger groups */
  bool again = any_recompute(pass) && objective_of(pass) != HCT_OBJECTIVE_TIME;
  for (bool more = *best != SIZE_MAX && any; more && blocks <= MOST_TOKEN_BLOCKS && sequence % blocks == 0; blocks *= 2) {
    size_t like = *best, tried = list->count;
    blocks_try(pass, module, list, like, blocks, best);
    if (again && strcmp(list->items[like].recompute, "all")) {
      candidate one = list->items[tried];
      one.recompute = "all", one.groups = hct_pass_option(pass, "groups", "auto");
      HCT_PUSH(pass->arena, list, one);
      list_try(pass, module, list, list->count - 1, best);
    }
    more = *best != like;
  }
}

/* Where residual blocks do not fit, layers may. */
static void layers_choose(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t count, size_t *best) {
  list->count = count;
  for (size_t i = 0; i < count; i++) {
    list->items[i].units = "layers", list->items[i].groups = hct_pass_option(pass, "groups", "auto");
    list_try(pass, module, list, i, best);
  }
  if (any_token_blocks(pass)) blocks_choose(pass, module, list, best);
  if (*best != SIZE_MAX) hct_remark(pass->diags, (hct_loc){0}, "--units=auto: fusion groups are made of layers, since residual blocks, with their weights and gradients, do not fit in SRAM");
  for (size_t i = 0; i < list->count && *best == SIZE_MAX; i++) list->items[i].units = "blocks";
}

/* With weights as hct-fuse-groups chooses, and, where that is something else, all streamed. */
static void streamed_try(hct_pass_context *pass, MlirModule module, candidate_list *list, candidate one, size_t *best) {
  static const char *const ways[] = {"auto", "streamed"};
  one.groups = hct_pass_option(pass, "groups", "auto");
  if (is_makeshift(pass, &one)) one.recompute = hct_pass_option(pass, "recompute", "auto");
  for (size_t w = 0; w < HCT_COUNT(ways); w++) {
    one.weights = ways[w];
    HCT_PUSH(pass->arena, list, one);
    list_try(pass, module, list, list->count - 1, best);
  }
}

/* Weights may be streamed: where no candidate fits, in all of them, else in those of which that is estimated to be better. */
static void streamed_choose(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t count, size_t layers, size_t *best) {
  bool none = *best == SIZE_MAX;
  size_t resident = *best, all = list->count;
  for (size_t i = 0; i < (none ? count : all); i++)
    if (none || list->items[i].streaming_pays) streamed_try(pass, module, list, list->items[i], best);
  for (size_t i = 0; i < count && none && *best == SIZE_MAX; i++) list->items[i].weights = "streamed";
  if (none && *best == SIZE_MAX) list->count = count;
  if (none && any_token_blocks(pass)) blocks_choose(pass, module, list, best);
  if (none && *best == SIZE_MAX && is_auto(pass, "units", "auto") && (layers || any_groups(pass, module))) layers_choose(pass, module, list, count, best);
  for (size_t i = 0; i < list->count && *best == SIZE_MAX; i++) list->items[i].weights = "resident"; /* why that does not fit is said */
  if (*best != resident) hct_remark(pass->diags, (hct_loc){0}, "--weights=auto: weights of some fusion groups are streamed, since %s", none ? "nothing fits in SRAM else" : "that is better");
}

static void result_tell(hct_pass_context *pass, const candidate_list *list, size_t best) {
  hct_remark(pass->diags, (hct_loc){0}, "strategy %s: a step of %s is predicted", candidate_name(pass, &list->items[best]), step_text(pass, &list->items[best]));
  for (size_t i = 0; i < list->count; i++)
    if (i != best && list->items[i].fits) hct_note(pass->diags, "%s: %s", candidate_name(pass, &list->items[i]), step_text(pass, &list->items[i]));
    else if (!list->items[i].fits) hct_note(pass->diags, "%s: does not fit", candidate_name(pass, &list->items[i]));
}

static void fallback_add(hct_pass_context *pass, const candidate *c) {
  hct_map *options = hct_map_create(pass->arena);
  for (size_t i = 0; i < hct_map_count(pass->options); i++) hct_map_put(options, hct_map_key_at(pass->options, i), hct_map_value_at(pass->options, i));
  options_set(options, pass->arena, c);
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
      if (!taken[i] && list->items[i].fits && (next == SIZE_MAX || better(pass, &list->items[i], &list->items[next]))) next = i;
  }
  candidate again = list->items[best];
  int64_t blocks = 1;
  HCT_BUG_ON(!hct_parse_i64(again.token_blocks, &blocks), "token blocks");
  bool any = any_recompute(pass), less = any && strcmp(again.recompute, "auto") != 0;
  for (; blocks <= MOST_TOKEN_BLOCKS && sequence % blocks == 0; blocks *= 2, less = true) {
    again.token_blocks = hct_arena_printf(pass->arena, "%lld", (long long)blocks);
    if (any) again.recompute = "auto";
    if (less) fallback_add(pass, &again);
    if (!any_token_blocks(pass)) break;
  }
  again.recompute = "all";
  if (any) fallback_add(pass, &again);
}

/* `layers`: equal ones of the whole model, where `module` has some of them; else 0. */
static void choose_among(hct_pass_context *pass, MlirModule module, size_t layers) {
  bool any_strategy = is_auto(pass, "strategy", "hecaton");
  bool any_orientation = any_strategy ? is_auto(pass, "orientation", "auto") : is_auto(pass, "orientation", "columns");
  candidate_list list = {0};
  const char *names = any_strategy ? strategy_names(pass->arena) : hct_pass_option(pass, "strategy", "hecaton");
  for (const char *at = names; *at;) {
    size_t length = strcspn(at, ",");
    orientations_add(pass, module, hct_arena_strndup(pass->arena, at, length), any_orientation, &list);
    at += length;
    at += strspn(at, ", ");
  }
  size_t best = SIZE_MAX, count = list.count;
  for (size_t i = 0; i < count; i++) list_try(pass, module, &list, i, &best);
  if (best != SIZE_MAX && is_auto(pass, "micro-batch", "auto")) multiples_try(pass, module, &list, &best);
  if (any_token_blocks(pass)) blocks_choose(pass, module, &list, &best);
  if (best == SIZE_MAX && is_auto(pass, "units", "auto") && (layers || any_groups(pass, module))) layers_choose(pass, module, &list, count, &best);
  if (any_weights(pass)) streamed_choose(pass, module, &list, count, layers, &best);
  bool fits = best != SIZE_MAX;
  if (fits && any_groups(pass, module)) compare_groups(pass, module, &list, &best);
  if (fits && any_recompute(pass)) compare_stored(pass, module, &list.items[best]);
  /* When nothing fits, the last one, of the smallest micro-batch or of the most blocks, is compiled once more, and says why not. */
  const candidate *chosen = &list.items[fits ? best : list.count - 1];
  if (fits && list.count > 1) result_tell(pass, &list, best);
  if (fits && layers) fallbacks_add(pass, &list, best, input_size(module, 1));
  options_set(pass->options, pass->arena, chosen);
  pass->interleaving = chosen->interleaving;
  pass->interleaving.known = fits;
  hct_built_match(pass);
}

/* What is compared is alike in equal layers. How many of them a fusion group of several spans is not: such groups are no candidates. */
static hct_status choose(hct_pass_context *pass, MlirModule module) {
  bool any_orientation = is_auto(pass, "orientation", is_auto(pass, "strategy", "hecaton") ? "auto" : "columns");
  if (!is_auto(pass, "strategy", "hecaton") && !any_orientation && !any_recompute(pass) && !is_auto(pass, "micro-batch", "auto") && !any_groups(pass, module) && !any_token_blocks(pass)) return HCT_OK;
  MlirModule some = mlirModuleFromOperation(mlirOperationClone(mlirModuleGetOperation(module)));
  hct_left_out *left_out = HCT_NEW(pass->arena, hct_left_out);
  left_out->data = hct_map_create(pass->arena);
  size_t layers;
  if (!hct_layers_shorten(some, HCT_MOST_WHOLE_LAYERS, HCT_COMPILED_LAYERS, &layers, left_out)) {
    mlirModuleDestroy(some);
    choose_among(pass, module, 0);
    return HCT_OK;
  }
  if (pass->built) pass->built->layers = layers;
  hct_remark(pass->diags, (hct_loc){0}, "choices are made by %d of %zu equal layers%s", HCT_COMPILED_LAYERS, layers, any_groups(pass, some) ? ", and with --groups=blocks" : "");
  if (any_groups(pass, some)) hct_map_put(pass->options, "groups", hct_arena_strdup(pass->arena, "blocks"));
  pass->left_out = left_out;
  choose_among(pass, some, layers);
  hct_status status = pass->built && pass->built->options ? hct_figures_extrapolate(pass, some, pass->built->module) : HCT_OK;
  pass->left_out = NULL;
  mlirModuleDestroy(some);
  return status;
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
  hct_status status = choose(pass, module);
  if (pass->built && !pass->built->options) pass->built = NULL;
  HCT_TRY(status);
  hct_pass_context_save(pass, module);
  return HCT_OK;
}
