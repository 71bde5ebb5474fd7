#include "backends/driver/choose.h"

#include <string.h>

#include "backends/driver/built.h"
#include "backends/driver/candidates.h"
#include "compiler/strategy/strategy.h"
#include "compiler/transform/shorten_layers.h"

static const double NEARLY = 1.1; /* times the best step that is predicted */

static void candidate_add(hct_pass_context *pass, const char *name, const char *orientation, const char *micro_batch, candidate_list *list) {
  candidate one = {.strategy = name, .orientation = orientation, .recompute = hct_pass_option(pass, "recompute", "auto"), .micro_batch = micro_batch, .groups = hct_pass_option(pass, "groups", "auto"), .units = hct_pass_option(pass, "units", "auto"),
                   .token_blocks = choice_any_token_blocks(pass) ? "1" : hct_pass_option(pass, "token-blocks", "fit"), .weights = choice_first_weights(pass)};
  HCT_PUSH(pass->arena, list, one);
  one.recompute = "all"; /* `auto` computes again what saves time */
  if (choice_any_recompute(pass) && choice_objective(pass) != HCT_OBJECTIVE_TIME) HCT_PUSH(pass->arena, list, one);
}

static int64_t multiple_below(int64_t size, int64_t of) { return size - size % of; }

/* The whole batch, half of it, ... one sample; before each half, what the sides of the mesh divide. */
static void candidates_add(hct_pass_context *pass, MlirModule module, const char *name, const char *orientation, void *data) {
  candidate_list *list = data;
  if (!choice_is_auto(pass, "micro-batch", "auto")) {
    candidate_add(pass, name, orientation, hct_pass_option(pass, "micro-batch", "auto"), list);
    return;
  }
  for (int64_t size = choice_input_size(module, 0), half; size >= 1; size = size > 1 ? half : 0) {
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
static bool has_orientations(const hct_pass_context *pass, const char *name) {
  const strategy *chosen = strategy_find(name);
  return pass->package.rows != pass->package.cols && !(chosen && chosen->flat);
}

typedef void (*choice_visit)(hct_pass_context *pass, MlirModule module, const char *name, const char *orientation, void *data);

/* Each strategy, in each orientation, that is left to choose. */
static void strategies_visit(hct_pass_context *pass, MlirModule module, choice_visit visit, void *data) {
  bool any_strategy = choice_is_auto(pass, "strategy", "hecaton"), any_orientation = choice_is_auto(pass, "orientation", any_strategy ? "auto" : "columns");
  const char *names = any_strategy ? strategy_names(pass->arena) : hct_pass_option(pass, "strategy", "hecaton");
  for (const char *at = names; *at;) {
    size_t length = strcspn(at, ",");
    const char *name = hct_arena_strndup(pass->arena, at, length);
    visit(pass, module, name, any_orientation ? "columns" : hct_pass_option(pass, "orientation", "columns"), data);
    if (any_orientation && has_orientations(pass, name)) visit(pass, module, name, "rows", data);
    at += length;
    at += strspn(at, ", ");
  }
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
    if (!next.fits || candidate_better(pass, c, &next)) return;
    if (candidate_better(pass, &next, c)) *c = next;
  }
}

/* Where groups do not fit even alone, they do not together. */
static void candidate_try_all(const hct_pass_context *pass, MlirModule module, candidate *c) {
  if (!choice_any_groups(pass, module)) {
    candidate_try_both(pass, module, c);
    return;
  }
  candidate_try(pass, module, c);
  if (c->fits && !is_tight(pass, c)) return;
  candidate blocks = *c;
  blocks.groups = "blocks";
  candidate_try_both(pass, module, &blocks);
  if (c->fits && (!blocks.fits || !candidate_better(pass, &blocks, c))) return;
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
    if (!stored.fits || !candidate_better(pass, &stored, best)) return;
    why = hct_arena_printf(pass->arena, "makes the step %s, %s", choice_objective(pass) == HCT_OBJECTIVE_TIME ? "longer" : "worse", candidate_step_text(pass, best));
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
    if (blocks.fits && candidate_better(pass, &blocks, best)) *best = blocks;
  }
}

static void groups_tell(const hct_pass_context *pass, const candidate *best) {
  if (!strcmp(hct_pass_option(pass, "groups", "auto"), "auto") && strcmp(best->groups, "auto")) hct_remark(pass->diags, (hct_loc){0}, "--groups=auto: taken is --groups=%s, since the groups of least estimated cost do not fit in SRAM, or leave too little of it to other things", best->groups);
}

/* Of candidates that are nearly as good as the best, others may come out best with other groups. */
static void compare_groups(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t *number) {
  double most = NEARLY * list->items[*number].estimate.step_s;
  groups_vary(pass, module, &list->items[*number]);
  for (size_t i = 0; i < list->count && choice_objective(pass) == HCT_OBJECTIVE_TIME; i++) {
    candidate *c = &list->items[i];
    if (i == *number || !c->fits || c->estimate.step_s > most) continue;
    groups_vary(pass, module, c);
    if (candidate_better(pass, c, &list->items[*number])) *number = i;
  }
  groups_tell(pass, &list->items[*number]);
}

/* Needs more than there is in any order: so do more samples at once. */
static bool is_hopeless(const hct_pass_context *pass, const candidate *c) { return !c->fits && c->needs_sram_bytes > (int64_t)pass->package.sram_bytes; }

static void candidate_find(const hct_pass_context *pass, MlirModule module, candidate_list *list, candidate *c) {
  c->fits = false; /* it may be made of one that does */
  if (list->tight && !candidate_may_fit(pass, module, c)) return;
  candidate_try_all(pass, module, c);
  list->tight = !c->fits || c->needs_sram_bytes > (int64_t)pass->package.sram_bytes / 2;
}

/* Of those that are equally good, what comes first in the list: larger micro-batches do. */
static bool is_preferred(const hct_pass_context *pass, const candidate_list *list, size_t one, size_t other) {
  const candidate *a = &list->items[one], *b = &list->items[other];
  return candidate_better(pass, a, b) || (one < other && !candidate_better(pass, b, a));
}

/* Tries the candidate of that number. *best: the number of the best so far, SIZE_MAX for none. Whether more samples at once may fit. */
static bool list_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t number, size_t *best) {
  candidate *c = &list->items[number];
  hct_progress(pass->diags, "candidate %zu of %zu: %s", number + 1, list->count, candidate_name(pass, c));
  candidate_find(pass, module, list, c);
  bool comparable = *best == SIZE_MAX || c->whole || !list->items[*best].whole || !strcmp(c->weights, list->items[*best].weights);
  if (c->fits && comparable && (*best == SIZE_MAX || is_preferred(pass, list, number, *best))) *best = number;
  return !is_hopeless(pass, c);
}

/* Tries the candidate of that number, or others like it. Whether more samples at once may fit. */
typedef bool (*candidate_attempt)(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t number, int64_t blocks, size_t *best);

/* The first `count` candidates, the smallest micro-batch of each strategy and orientation first: where that is hopeless, larger ones are not tried. */
static void sizes_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t count, candidate_attempt attempt, int64_t blocks, size_t *best) {
  bool hope = true, any = false;
  for (size_t i = count; i-- > 0;) {
    const candidate *c = &list->items[i], *before = i + 1 < count ? &list->items[i + 1] : NULL;
    bool group = before && !strcmp(c->strategy, before->strategy) && !strcmp(c->orientation, before->orientation);
    if (!group) hope = true, any = false;
    else if (strcmp(c->micro_batch, before->micro_batch) != 0) hope = hope && any, any = false;
    if (hope && attempt(pass, module, list, i, blocks, best)) any = true;
  }
}

static bool plain_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t number, int64_t blocks, size_t *best) {
  (void)blocks;
  return list_try(pass, module, list, number, best);
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
  int64_t size = 0, batch = choice_input_size(module, 0);
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
static bool is_makeshift(const hct_pass_context *pass, const candidate *c) { return choice_any_recompute(pass) && !strcmp(c->recompute, "none"); }

static bool blocks_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t like, int64_t blocks, size_t *best) {
  candidate one = list->items[like];
  if (is_makeshift(pass, &one)) one.recompute = hct_pass_option(pass, "recompute", "auto"), one.groups = hct_pass_option(pass, "groups", "auto");
  one.token_blocks = hct_arena_printf(pass->arena, "%lld", (long long)blocks);
  HCT_PUSH(pass->arena, list, one);
  list_try(pass, module, list, list->count - 1, best);
  return list->items[list->count - 1].fits;
}

/* --token-blocks: more and more where nothing fits as it is, until something does; with `auto`, and where those that fit are makeshift, also of what is best, as long as
 * that makes it better. */
static void blocks_choose(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t *best) {
  int64_t sequence = choice_input_size(module, 1), blocks = 2;
  size_t count = list->count;
  for (; *best == SIZE_MAX && blocks <= MOST_TOKEN_BLOCKS && sequence % blocks == 0; blocks *= 2) sizes_try(pass, module, list, count, blocks_try, blocks, best);
  bool any = choice_is_auto(pass, "token-blocks", "fit") || (choice_any_token_blocks(pass) && *best != SIZE_MAX && is_makeshift(pass, &list->items[*best]));
  bool again = choice_any_recompute(pass) && choice_objective(pass) != HCT_OBJECTIVE_TIME;
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

static void layers_tell(const hct_pass_context *pass) { hct_remark(pass->diags, (hct_loc){0}, "--units=auto: fusion groups are made of layers, since residual blocks, with their weights and gradients, do not fit in SRAM"); }

static bool layers_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t number, int64_t blocks, size_t *best) {
  (void)blocks;
  list->items[number].units = "layers", list->items[number].groups = hct_pass_option(pass, "groups", "auto");
  return list_try(pass, module, list, number, best);
}

/* Where residual blocks do not fit, layers may. */
static void layers_choose(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t count, size_t *best) {
  list->count = count;
  sizes_try(pass, module, list, count, layers_try, 0, best);
  if (choice_any_token_blocks(pass)) blocks_choose(pass, module, list, best);
  if (*best != SIZE_MAX) layers_tell(pass);
  for (size_t i = 0; i < list->count && *best == SIZE_MAX; i++) list->items[i].units = "blocks";
}

/* With weights as hct-fuse-groups chooses, and, where that is something else, all streamed. */
static bool streamed_try(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t number, int64_t blocks, size_t *best) {
  static const char *const ways[] = {"auto", "streamed"};
  (void)blocks;
  bool more = false;
  candidate one = list->items[number];
  one.groups = hct_pass_option(pass, "groups", "auto");
  if (is_makeshift(pass, &one)) one.recompute = hct_pass_option(pass, "recompute", "auto");
  for (size_t w = 0; w < HCT_COUNT(ways); w++) {
    one.weights = ways[w];
    HCT_PUSH(pass->arena, list, one);
    more |= list_try(pass, module, list, list->count - 1, best);
  }
  return more;
}

/* Weights may be streamed: where no candidate fits, in all of them, else in those of which that is estimated to be better. */
static void streamed_choose(hct_pass_context *pass, MlirModule module, candidate_list *list, size_t count, size_t layers, size_t *best) {
  bool none = *best == SIZE_MAX;
  size_t resident = *best, all = list->count;
  if (none) sizes_try(pass, module, list, count, streamed_try, 0, best);
  for (size_t i = 0; i < all && !none; i++)
    if (list->items[i].streaming_pays) streamed_try(pass, module, list, i, 0, best);
  for (size_t i = 0; i < count && none && *best == SIZE_MAX; i++) list->items[i].weights = "streamed";
  if (none && *best == SIZE_MAX) list->count = count;
  if (none && choice_any_token_blocks(pass)) blocks_choose(pass, module, list, best);
  if (none && *best == SIZE_MAX && choice_is_auto(pass, "units", "auto") && (layers || choice_any_groups(pass, module))) layers_choose(pass, module, list, count, best);
  if (*best != resident) hct_remark(pass->diags, (hct_loc){0}, "--weights=auto: weights of some fusion groups are streamed, since %s", none ? "nothing fits in SRAM else" : "that is better");
}

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

/* The best by number; SIZE_MAX: none fits, and the last one, of the smallest micro-batch or of the most blocks, says why not. */
static size_t list_choose(hct_pass_context *pass, MlirModule module, size_t layers, candidate_list *list) {
  strategies_visit(pass, module, candidates_add, list);
  size_t best = SIZE_MAX, count = list->count;
  sizes_try(pass, module, list, count, plain_try, 0, &best);
  if (best != SIZE_MAX && choice_is_auto(pass, "micro-batch", "auto")) multiples_try(pass, module, list, &best);
  if (choice_any_token_blocks(pass)) blocks_choose(pass, module, list, &best);
  if (best == SIZE_MAX && choice_is_auto(pass, "units", "auto") && (layers || choice_any_groups(pass, module))) layers_choose(pass, module, list, count, &best);
  if (choice_any_weights(pass)) streamed_choose(pass, module, list, count, layers, &best);
  if (best == SIZE_MAX) return best;
  if (choice_any_groups(pass, module)) compare_groups(pass, module, list, &best);
  if (choice_any_recompute(pass)) compare_stored(pass, module, &list->items[best]);
  return best;
}

typedef struct dram_choice { const char *units; candidate_list *list; size_t *best; } dram_choice;

static void dram_visit(hct_pass_context *pass, MlirModule module, const char *name, const char *orientation, void *data) {
  const dram_choice *choice = data;
  choose_dram(pass, module, name, orientation, choice->units, choice->list, choice->best);
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
  dram_choice choice = {hct_pass_option(pass, "units", "auto"), list, &best};
  strategies_visit(pass, module, dram_visit, &choice);
  if (best == SIZE_MAX && choice_is_auto(pass, "units", "auto") && (layers || choice_any_groups(pass, module))) {
    choice.units = "layers";
    strategies_visit(pass, module, dram_visit, &choice);
    if (best != SIZE_MAX) layers_tell(pass);
  }
  if (best != SIZE_MAX) groups_tell(pass, &list->items[best]);
  if (best != SIZE_MAX || !any_compiled(list)) return best;
  *list = (candidate_list){0};
  return list_choose(pass, module, layers, list);
}

static void candidate_choose(hct_pass_context *pass, const candidate *c) {
  candidate_options_set(pass->options, pass->arena, c);
  pass->interleaving = c->interleaving;
  pass->interleaving.known = c->fits;
  hct_built_match(pass);
}

/* `layers`: equal ones of the whole model, where `module` has some of them; else 0. */
static candidate choose_among(hct_pass_context *pass, MlirModule module, size_t layers) {
  candidate_list list = {0};
  size_t best = (choice_objective(pass) == HCT_OBJECTIVE_DRAM ? dram_choose : list_choose)(pass, module, layers, &list);
  bool fits = best != SIZE_MAX;
  candidate *chosen = &list.items[fits ? best : list.count - 1];
  if (!fits && choice_any_weights(pass)) chosen->weights = "auto"; /* why that does not fit is said */
  if (fits && (list.count > 1 || choice_objective(pass) == HCT_OBJECTIVE_DRAM)) result_tell(pass, &list, best); /* others were weighed */
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
