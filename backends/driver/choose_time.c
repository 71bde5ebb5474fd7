/* Choices for the shortest step, or the least energy: candidates are compiled, micro-batches of each strategy and orientation from the smallest on, as long as more
 * samples may fit. Where none fits as it is, in more and more token blocks, then with groups made of layers, then with weights streamed. What is best is varied: other
 * micro-batches, token blocks, groups, everything stored. */
#include <string.h>

#include "backends/driver/candidates.h"

static const double NEARLY = 1.1; /* times the best step that is predicted */

typedef struct search {
  hct_pass_context *pass;
  MlirModule module;
  candidate_list *list;
  size_t layers; /* equal ones of the whole model, where the module has some of them; else 0 */
  size_t best;   /* by number; SIZE_MAX: nothing fits so far */
  int64_t blocks; /* of tokens, that blocks_try tries */
  bool tight;    /* what was tried last did not fit, or took much: what comes next is weighed first */
} search;

static size_t add(search *s, candidate one) {
  HCT_PUSH(s->pass->arena, s->list, one);
  return s->list->count - 1;
}

static bool any_found(const search *s) { return s->best != SIZE_MAX; }
static candidate *best_of(const search *s) { return &s->list->items[s->best]; }
static const char *number_text(const search *s, int64_t number) { return hct_arena_printf(s->pass->arena, "%lld", (long long)number); }

/* ---- what there is to try ---- */
static void size_add(search *s, const char *name, const char *orientation, const char *micro_batch) {
  hct_pass_context *pass = s->pass;
  candidate one = {.strategy = name, .orientation = orientation, .recompute = hct_pass_option(pass, "recompute", "auto"), .micro_batch = micro_batch, .groups = hct_pass_option(pass, "groups", "auto"), .units = hct_pass_option(pass, "units", "auto"),
                   .token_blocks = choice_any_token_blocks(pass) ? "1" : hct_pass_option(pass, "token-blocks", "fit"), .weights = choice_first_weights(pass), .weight_pieces = hct_pass_option(pass, "weight-pieces", "auto")};
  add(s, one);
  one.recompute = "all"; /* `auto` computes again what saves time */
  if (choice_any_recompute(pass) && choice_objective(pass) != HCT_OBJECTIVE_TIME) add(s, one);
}

static int64_t multiple_below(int64_t size, int64_t of) { return size - size % of; }

/* The whole batch, half of it, ... one sample; before each half, what the sides of the mesh divide. */
static void sizes_add(const char *name, const char *orientation, void *data) {
  search *s = data;
  hct_pass_context *pass = s->pass;
  if (!choice_is_auto(pass, "micro-batch", "auto")) {
    size_add(s, name, orientation, hct_pass_option(pass, "micro-batch", "auto"));
    return;
  }
  for (int64_t size = choice_input_size(s->module, 0), half; size >= 1; size = size > 1 ? half : 0) {
    half = (size + 1) / 2;
    int64_t rows = multiple_below(size, pass->package.rows), cols = multiple_below(size, pass->package.cols), last = size + 1;
    const int64_t sizes[] = {size, rows > cols ? rows : cols, rows > cols ? cols : rows};
    for (size_t i = 0; i < HCT_COUNT(sizes); i++) {
      if (sizes[i] >= last || (i && sizes[i] <= half)) continue;
      last = sizes[i];
      size_add(s, name, orientation, number_text(s, last));
    }
  }
}

/* ---- one candidate ---- */
/* Recomputation takes SRAM in backward: where there is none for it, everything is stored. */
static void try_both(const search *s, candidate *c) {
  candidate_try(s->pass, s->module, c);
  if (c->fits || strcmp(c->recompute, "auto")) return;
  c->recompute = "none";
  candidate_try(s->pass, s->module, c);
  if (!c->fits) c->recompute = "auto";
}

/* Shares of SRAM that fused groups may be estimated to take, where what `auto` takes does not fit, or leaves less for other things than they need. */
static const char *const shares[] = {"90%", "70%", "50%", "30%"};

/* Fused groups take SRAM that micro-batches at once, and double buffers, may have more use for. */
static bool takes_much(const search *s, int64_t bytes) { return bytes > (int64_t)s->pass->package.sram_bytes / 2; }

/* From what `c` has, everything or nothing fused, share by share to less or more of it, as long as that fits and is no worse. */
static void try_shares(const search *s, candidate *c) {
  bool less = !strcmp(c->groups, "auto");
  for (size_t i = 0; i < HCT_COUNT(shares); i++) {
    candidate next = *c;
    next.groups = shares[less ? i : HCT_COUNT(shares) - 1 - i];
    candidate_try(s->pass, s->module, &next);
    if (!next.fits || candidate_better(s->pass, c, &next)) return;
    if (candidate_better(s->pass, &next, c)) *c = next;
  }
}

/* Where groups do not fit even alone, they do not together. */
static void try_groups(const search *s, candidate *c) {
  if (!choice_any_groups(s->pass, s->module)) {
    try_both(s, c);
    return;
  }
  candidate_try(s->pass, s->module, c);
  if (c->fits && !takes_much(s, c->sram_bytes)) return;
  candidate blocks = *c;
  blocks.groups = "blocks";
  try_both(s, &blocks);
  if (c->fits && (!blocks.fits || !candidate_better(s->pass, &blocks, c))) return;
  bool fitted = c->fits;
  *c = blocks;
  if (blocks.fits && !fitted) try_shares(s, c);
}

/* A parameter, or a piece of one, that takes more than there is does so with every other choice. NULL: none is known. */
static const candidate *too_coarse(const search *s, const candidate *c) {
  for (size_t i = 0; i < s->list->count; i++) {
    const candidate *o = &s->list->items[i];
    if (o->parameter_sram_bytes > (int64_t)s->pass->package.sram_bytes && !strcmp(o->strategy, c->strategy) && !strcmp(o->weight_pieces, c->weight_pieces)) return o;
  }
  return NULL;
}

static void candidate_find(search *s, candidate *c) {
  c->fits = false; /* it may be made of one that does */
  const candidate *known = too_coarse(s, c);
  if (known) {
    c->needs_sram_bytes = known->needs_sram_bytes, c->parameter_sram_bytes = known->parameter_sram_bytes;
    return;
  }
  if (s->tight && !candidate_may_fit(s->pass, s->module, c)) return;
  try_groups(s, c);
  s->tight = !c->fits || takes_much(s, c->needs_sram_bytes);
}

/* Of those that are equally good, what comes first in the list: larger micro-batches do. */
static bool is_preferred(const search *s, size_t one, size_t other) {
  const candidate *a = &s->list->items[one], *b = &s->list->items[other];
  return candidate_better(s->pass, a, b) || (one < other && !candidate_better(s->pass, b, a));
}

/* Needs more than there is in any order: so do more samples at once. */
static bool is_hopeless(const search *s, const candidate *c) { return !c->fits && c->needs_sram_bytes > (int64_t)s->pass->package.sram_bytes; }

/* Tries the candidate of that number, or others like it. Whether more samples at once may fit. */
typedef bool (*attempt)(search *s, size_t number);

static bool plain_try(search *s, size_t number) {
  candidate *c = &s->list->items[number];
  hct_progress(s->pass->diags, "candidate %zu of %zu: %s", number + 1, s->list->count, candidate_name(s->pass, c));
  candidate_find(s, c);
  bool comparable = !any_found(s) || c->whole || !best_of(s)->whole || !strcmp(c->weights, best_of(s)->weights);
  if (c->fits && comparable && (!any_found(s) || is_preferred(s, number, s->best))) s->best = number;
  return !is_hopeless(s, c);
}

/* The first `count` candidates, the smallest micro-batch of each strategy and orientation first: where that is hopeless, larger ones are not tried. */
static void sizes_try(search *s, size_t count, attempt try) {
  bool hope = true, any = false;
  for (size_t i = count; i-- > 0;) {
    const candidate *c = &s->list->items[i], *before = i + 1 < count ? &s->list->items[i + 1] : NULL;
    bool group = before && !strcmp(c->strategy, before->strategy) && !strcmp(c->orientation, before->orientation);
    if (!group) hope = true, any = false;
    else if (strcmp(c->micro_batch, before->micro_batch) != 0) hope = hope && any, any = false;
    if (hope && try(s, i)) any = true;
  }
}

static bool is_listed(const search *s, const candidate *c) {
  for (size_t i = 0; i < s->list->count; i++) {
    const candidate *o = &s->list->items[i];
    if (!strcmp(o->strategy, c->strategy) && !strcmp(o->orientation, c->orientation) && !strcmp(o->micro_batch, c->micro_batch)) return true;
  }
  return false;
}

/* Twice and half the best micro-batch, where that is none of the halves: what a side of the mesh divides, its multiples may suit, too. */
static void multiples_try(search *s) {
  int64_t size = 0, batch = choice_input_size(s->module, 0);
  const candidate like = *best_of(s);
  HCT_BUG_ON(!hct_parse_i64(like.micro_batch, &size), "a micro-batch");
  const int64_t sizes[] = {2 * size, size / 2};
  for (size_t i = 0; i < HCT_COUNT(sizes); i++) {
    candidate one = like;
    one.micro_batch = number_text(s, sizes[i]);
    if (sizes[i] >= 1 && sizes[i] <= batch && !is_listed(s, &one)) plain_try(s, add(s, one));
  }
}

/* ---- token blocks ---- */
/* Everything is stored only since computing some of it again does not fit. */
static bool is_makeshift(const search *s, const candidate *c) { return choice_any_recompute(s->pass) && !strcmp(c->recompute, "none"); }

static bool blocks_try(search *s, size_t like) {
  candidate one = s->list->items[like];
  if (is_makeshift(s, &one)) one.recompute = hct_pass_option(s->pass, "recompute", "auto"), one.groups = hct_pass_option(s->pass, "groups", "auto");
  one.token_blocks = number_text(s, s->blocks);
  size_t number = add(s, one);
  plain_try(s, number);
  return s->list->items[number].fits;
}

static bool may_have_blocks(const search *s) { return s->blocks <= MOST_TOKEN_BLOCKS && choice_input_size(s->module, 1) % s->blocks == 0; }

/* What is best in more blocks, as long as that makes it better. */
static void more_blocks_try(search *s) {
  bool again = choice_any_recompute(s->pass) && choice_objective(s->pass) != HCT_OBJECTIVE_TIME;
  for (bool more = true; more && may_have_blocks(s); s->blocks *= 2) {
    size_t like = s->best, tried = s->list->count;
    blocks_try(s, like);
    if (again && strcmp(s->list->items[like].recompute, "all")) {
      candidate one = s->list->items[tried];
      one.recompute = "all", one.groups = hct_pass_option(s->pass, "groups", "auto");
      plain_try(s, add(s, one));
    }
    more = s->best != like;
  }
}

/* --token-blocks: more and more where nothing fits as it is, until something does; with `auto`, and where those that fit are makeshift, also of what is best. */
static void blocks_choose(search *s) {
  if (!choice_any_token_blocks(s->pass)) return;
  size_t count = s->list->count;
  for (s->blocks = 2; !any_found(s) && may_have_blocks(s); s->blocks *= 2) sizes_try(s, count, blocks_try);
  if (any_found(s) && (choice_is_auto(s->pass, "token-blocks", "fit") || is_makeshift(s, best_of(s)))) more_blocks_try(s);
}

/* ---- where nothing fits ---- */
static bool layers_try(search *s, size_t number) {
  s->list->items[number].units = "layers", s->list->items[number].groups = hct_pass_option(s->pass, "groups", "auto");
  return plain_try(s, number);
}

/* Where residual blocks do not fit, layers may. */
static void layers_choose(search *s, size_t count) {
  if (any_found(s) || !choice_is_auto(s->pass, "units", "auto") || (!s->layers && !choice_any_groups(s->pass, s->module))) return;
  s->list->count = count;
  sizes_try(s, count, layers_try);
  blocks_choose(s);
  if (any_found(s)) choice_layers_tell(s->pass);
  for (size_t i = 0; i < s->list->count && !any_found(s); i++) s->list->items[i].units = "blocks";
}

/* With weights as hct-fuse-groups chooses, and, where that is something else, all streamed. */
static bool streamed_try(search *s, size_t number) {
  static const char *const ways[] = {"auto", "streamed"};
  bool more = false;
  candidate one = s->list->items[number];
  one.groups = hct_pass_option(s->pass, "groups", "auto");
  if (is_makeshift(s, &one)) one.recompute = hct_pass_option(s->pass, "recompute", "auto");
  for (size_t w = 0; w < HCT_COUNT(ways); w++) {
    one.weights = ways[w];
    more |= plain_try(s, add(s, one));
  }
  return more;
}

/* Where no candidate fits, all of them with weights streamed. */
static void streamed_fit(search *s, size_t count) {
  sizes_try(s, count, streamed_try);
  for (size_t i = 0; i < count && !any_found(s); i++) s->list->items[i].weights = "streamed";
  if (!any_found(s)) s->list->count = count;
  blocks_choose(s);
  layers_choose(s, count);
}

static void streamed_choose(search *s, size_t count) {
  size_t resident = s->best, all = s->list->count;
  bool none = !any_found(s);
  if (!choice_any_weights(s->pass)) return;
  if (none) streamed_fit(s, count);
  for (size_t i = 0; i < all && !none; i++)
    if (s->list->items[i].streaming_pays) streamed_try(s, i);
  if (s->best != resident) hct_remark(s->pass->diags, (hct_loc){0}, "--weights=auto: weights of some fusion groups are streamed, since %s", none ? "nothing fits in SRAM else" : "that is better");
}

/* ---- all of it ---- */
/* The first `count` candidates as they are, or else in token blocks, with layers for units, or streamed weights. */
static void fit(search *s, size_t count) {
  sizes_try(s, count, plain_try);
  if (any_found(s) && choice_is_auto(s->pass, "micro-batch", "auto")) multiples_try(s);
  blocks_choose(s);
  layers_choose(s, count);
  streamed_choose(s, count);
}

/* Where nothing else does, weights in more and smaller pieces, tried where the last candidate of the list seems to fit so: not where DRAM is full. */
static void pieces_fit(search *s, const candidate *fresh, size_t count) {
  static const char *const pieces[] = {"50%", "25%", "12%"};
  const candidate_list refused = *s->list;
  candidate least = refused.items[refused.count - 1];
  if (any_found(s) || least.dram_full || !choice_is_auto(s->pass, "weight-pieces", "auto")) return;
  for (size_t p = 0; p < HCT_COUNT(pieces); p++) {
    least.weight_pieces = pieces[p];
    if (!candidate_may_fit(s->pass, s->module, &least)) continue;
    *s->list = (candidate_list){0};
    for (size_t i = 0; i < count; i++) {
      candidate one = fresh[i];
      one.weight_pieces = least.weight_pieces;
      add(s, one);
    }
    fit(s, count);
    if (!any_found(s)) continue;
    hct_remark(s->pass->diags, (hct_loc){0}, "--weight-pieces=auto: taken is --weight-pieces=%s, since nothing fits in SRAM else", pieces[p]);
    return;
  }
  *s->list = refused;
}

/* ---- what is best, varied ---- */
static void compare_stored(search *s) {
  candidate *best = best_of(s);
  if (!choice_any_recompute(s->pass) || best->dram_short) return; /* where that does not fit, everything does not */
  const char *why = "does not fit in SRAM";
  if (strcmp(best->recompute, "none")) {
    candidate stored = *best;
    stored.recompute = "none";
    candidate_try(s->pass, s->module, &stored);
    if (!stored.fits || !candidate_better(s->pass, &stored, best)) return;
    why = hct_arena_printf(s->pass->arena, "makes the step %s, %s", choice_objective(s->pass) == HCT_OBJECTIVE_TIME ? "longer" : "worse", candidate_step_text(s->pass, best));
    *best = stored;
  }
  hct_remark(s->pass->diags, (hct_loc){0}, "--recompute=auto: activations are stored, since computing some again %s", why);
}

static void groups_vary(const search *s, candidate *best) {
  const candidate found = *best;
  if (!strcmp(found.groups, "blocks") || (!strcmp(found.groups, "auto") && takes_much(s, best->sram_bytes))) try_shares(s, best);
  if (!strcmp(found.groups, "auto")) {
    candidate blocks = found;
    blocks.groups = "blocks";
    candidate_try(s->pass, s->module, &blocks);
    if (blocks.fits && candidate_better(s->pass, &blocks, best)) *best = blocks;
  }
}

/* Of candidates that are nearly as good as the best, others may come out best with other groups. */
static void compare_groups(search *s) {
  if (!choice_any_groups(s->pass, s->module)) return;
  double most = NEARLY * best_of(s)->estimate.step_s;
  groups_vary(s, best_of(s));
  for (size_t i = 0; i < s->list->count && choice_objective(s->pass) == HCT_OBJECTIVE_TIME; i++) {
    candidate *c = &s->list->items[i];
    if (i == s->best || !c->fits || c->estimate.step_s > most) continue;
    groups_vary(s, c);
    if (candidate_better(s->pass, c, best_of(s))) s->best = i;
  }
  choice_groups_tell(s->pass, best_of(s));
}

size_t choose_time(hct_pass_context *pass, MlirModule module, size_t layers, bool tight, candidate_list *list) {
  search s = {.pass = pass, .module = module, .list = list, .layers = layers, .best = SIZE_MAX, .tight = tight};
  choice_strategies_visit(pass, sizes_add, &s);
  size_t count = list->count;
  candidate *fresh = HCT_NEW_ARRAY(pass->arena, candidate, count);
  memcpy(fresh, list->items, count * sizeof *fresh);
  fit(&s, count);
  pieces_fit(&s, fresh, count);
  if (any_found(&s)) compare_groups(&s), compare_stored(&s);
  return s.best;
}
