/* Choices for fewest DRAM bytes. Which bytes move follows from what is stored, computed again and fused, and is known before operations have an order: candidates are
 * weighed, and only those that weigh least are compiled, from less to more, until one fits. Few samples at once leave most SRAM to what is fused: the search begins with
 * one, in the fewest token blocks that seem to fit and in which more would not move less. From what fits, more is in flight as long as that moves no more bytes, and
 * makes the step better. */
#include <string.h>

#include "backends/driver/candidates.h"

/* Shares of SRAM that fused groups may be estimated to take: where one does not fit, the next. */
static const char *const groups_less[] = {"auto", "90%", "70%", "50%", "30%"};

typedef struct search {
  hct_pass_context *pass;
  MlirModule module;
  candidate_list *list, open; /* tried; weighed */
  size_t *best;
  int64_t fewest_blocks, most_blocks;
  bool tight; /* something does not seem to fit in any number of token blocks */
} search;

static int64_t most_blocks(MlirModule module) {
  int64_t blocks = 1, sequence = choice_input_size(module, 1);
  while (2 * blocks <= MOST_TOKEN_BLOCKS && sequence % (2 * blocks) == 0) blocks *= 2;
  return blocks;
}

static const char *number_text(const search *s, int64_t number) { return hct_arena_printf(s->pass->arena, "%lld", (long long)number); }

static int64_t number_of(const char *text) {
  int64_t number = 1;
  HCT_BUG_ON(!hct_parse_i64(text, &number), "a number: %s", text);
  return number;
}

static bool same_program(const candidate *a, const candidate *b) { return a->dram_bytes == b->dram_bytes && a->least_sram_bytes == b->least_sram_bytes; }

/* Weighs the candidate in `blocks` token blocks or more: the fewest that seem to fit, or twice as many, as long as these move less; where none seem to, the most that may. */
static bool blocks_find(search *s, candidate *c, int64_t blocks) {
  bool any = false;
  if (!choice_any_token_blocks(s->pass)) return candidate_weigh(s->pass, s->module, c);
  for (; blocks <= s->most_blocks; blocks *= 2) {
    candidate next = *c;
    next.token_blocks = number_text(s, blocks);
    bool may_fit = candidate_weigh(s->pass, s->module, &next), seems = any && !c->crowded;
    if (seems && (!may_fit || next.dram_bytes >= c->dram_bytes)) break;
    if (!may_fit) continue;
    *c = next, any = true;
  }
  return any;
}

/* The next share of SRAM for which other groups come out; false: there is none, or groups are no choice. */
static bool groups_next(search *s, candidate *c) {
  const candidate before = *c;
  for (size_t i = 0; choice_any_groups(s->pass, s->module) && i + 1 < HCT_COUNT(groups_less); i++) {
    if (strcmp(c->groups, groups_less[i]) != 0) continue;
    c->groups = groups_less[i + 1];
    if (blocks_find(s, c, s->fewest_blocks) && !same_program(c, &before)) return true;
  }
  return false;
}

/* Whether in some number of token blocks groups of one block may fit: where these do not even alone, they do not together. */
static bool apart_may_fit(const search *s, candidate c) {
  for (int64_t blocks = s->fewest_blocks; blocks <= s->most_blocks; blocks *= 2) {
    if (choice_any_token_blocks(s->pass)) c.token_blocks = number_text(s, blocks);
    if (candidate_may_fit(s->pass, s->module, &c)) return true;
    if (!choice_any_token_blocks(s->pass)) break;
  }
  return false;
}

/* With the groups of least cost that may fit. False: no groups may. */
static bool open_add(search *s, candidate c) {
  bool asked = s->tight;
  if (asked && !apart_may_fit(s, c)) return false;
  bool may_fit = blocks_find(s, &c, s->fewest_blocks);
  s->tight |= !may_fit;
  if (!may_fit && !asked && !apart_may_fit(s, c)) return false;
  may_fit = may_fit || groups_next(s, &c);
  for (size_t i = 0; i < s->open.count; i++) may_fit &= !same_program(&c, &s->open.items[i]);
  if (!may_fit) return true;
  HCT_PUSH(s->pass->arena, &s->open, c);
  if (choice_any_token_blocks(s->pass)) s->fewest_blocks = number_of(c.token_blocks); /* others take about as much */
  return true;
}

/* With everything computed again, what saves time, and nothing; fused, and not. */
static void open_fill_weights(search *s, candidate c) {
  static const char *const recompute[] = {"all", "auto", "none"};
  bool any_groups = choice_any_groups(s->pass, s->module), any_recompute = choice_any_recompute(s->pass);
  for (size_t r = 0; r < (any_recompute ? HCT_COUNT(recompute) : 1); r++) {
    if (any_recompute) c.recompute = recompute[r];
    if (any_groups) c.groups = "auto";
    if (!open_add(s, c) || !any_groups) continue;
    c.groups = "blocks";
    open_add(s, c);
  }
}

/* With weights that are resident, and as hct-fuse-groups chooses; where nothing seems to fit, all streamed. */
static void open_fill(search *s, candidate c) {
  open_fill_weights(s, c);
  if (!choice_any_weights(s->pass)) return;
  c.weights = "auto";
  open_fill_weights(s, c);
  c.weights = "streamed";
  if (!s->open.count) open_fill_weights(s, c);
}

/* Compiles the candidate, which joins the list; whether it is the best by now. */
static bool list_try(search *s, candidate *c) {
  hct_progress(s->pass->diags, "candidate %zu: %s", s->list->count + 1, candidate_name(s->pass, c));
  candidate_try(s->pass, s->module, c);
  HCT_PUSH(s->pass->arena, s->list, *c);
  bool better = c->fits && (*s->best == SIZE_MAX || candidate_better(s->pass, c, &s->list->items[*s->best]));
  if (better) *s->best = s->list->count - 1;
  return better;
}

static const candidate *listed(const search *s, const candidate *c) {
  for (size_t i = 0; i < s->list->count; i++) {
    const candidate *o = &s->list->items[i];
    if (!strcmp(o->strategy, c->strategy) && !strcmp(o->orientation, c->orientation) && !strcmp(o->micro_batch, c->micro_batch) && !strcmp(o->token_blocks, c->token_blocks) && !strcmp(o->groups, c->groups) && !strcmp(o->recompute, c->recompute) && !strcmp(o->weights, c->weights) && !strcmp(o->units, c->units)) return o;
  }
  return NULL;
}

/* The same with groups of one block: compiled, if that is not known. */
static bool apart_fit(search *s, candidate c) {
  if (!choice_any_groups(s->pass, s->module)) return false;
  c.groups = "blocks";
  const candidate *known = listed(s, &c);
  if (known) return known->fits;
  list_try(s, &c);
  return c.fits;
}

/* What did not fit: in more blocks, or else with less fused, if groups of one block do fit. */
static void open_less(search *s, candidate c) {
  bool any = choice_any_token_blocks(s->pass) && blocks_find(s, &c, 2 * number_of(c.token_blocks));
  if (any || (apart_fit(s, c) && groups_next(s, &c))) HCT_PUSH(s->pass->arena, &s->open, c);
}

/* Takes the one that weighs least; false: there is none left. */
static bool open_take(search *s, candidate *out) {
  size_t least = 0;
  if (!s->open.count) return false;
  for (size_t i = 1; i < s->open.count; i++)
    if (s->open.items[i].dram_bytes < s->open.items[least].dram_bytes) least = i;
  *out = s->open.items[least];
  s->open.items[least] = s->open.items[--s->open.count];
  return true;
}

/* Whether `c`, which is new, seems to fit and moves no more, is better. */
static bool more_try(search *s, const candidate *from, candidate c) {
  return !listed(s, &c) && candidate_weigh(s->pass, s->module, &c) && !c.crowded && c.dram_bytes <= from->dram_bytes && list_try(s, &c);
}

/* Twice the samples, half the token blocks or twice as many. */
static bool step_try(search *s, const candidate *from) {
  int64_t blocks = choice_any_token_blocks(s->pass) ? number_of(from->token_blocks) : 0, samples = choice_is_auto(s->pass, "micro-batch", "auto") ? number_of(from->micro_batch) : 0;
  candidate larger = *from, fewer = *from, more = *from;
  if (samples && 2 * samples <= choice_input_size(s->module, 0)) {
    larger.micro_batch = number_text(s, 2 * samples);
    if (more_try(s, from, larger)) return true;
  }
  fewer.token_blocks = number_text(s, blocks / 2), more.token_blocks = number_text(s, blocks * 2);
  return (blocks > 1 && more_try(s, from, fewer)) || (blocks && blocks < s->most_blocks && more_try(s, from, more));
}

void choose_dram(hct_pass_context *pass, MlirModule module, const char *strategy, const char *orientation, const char *units, candidate_list *list, size_t *best) {
  search s = {.pass = pass, .module = module, .list = list, .best = best, .fewest_blocks = 1, .most_blocks = most_blocks(module)};
  candidate c = {.strategy = strategy, .orientation = orientation, .units = units, .recompute = hct_pass_option(pass, "recompute", "auto"), .groups = hct_pass_option(pass, "groups", "auto"),
                 .micro_batch = choice_is_auto(pass, "micro-batch", "auto") ? "1" : hct_pass_option(pass, "micro-batch", "auto"),
                 .token_blocks = choice_any_token_blocks(pass) ? number_text(&s, s.most_blocks) : hct_pass_option(pass, "token-blocks", "1"), .weights = choice_first_weights(pass), .weight_pieces = hct_pass_option(pass, "weight-pieces", "auto")};
  open_fill(&s, c);
  if (!s.open.count) { /* this says why */
    c.weights = hct_pass_option(pass, "weights", "auto");
    HCT_PUSH(pass->arena, list, c);
  }
  while (open_take(&s, &c)) {
    const candidate *known = listed(&s, &c);
    if (known) c = *known;
    else list_try(&s, &c);
    if (c.fits) break;
    open_less(&s, c);
  }
  while (c.fits && step_try(&s, &c)) c = list->items[*best];
}

bool choose_dram_fused(const hct_pass_context *pass, MlirModule module, bool compiled, candidate *c) {
  candidate apart = *c, before = *c;
  bool fused = false;
  apart.groups = "blocks";
  if (!candidate_weigh(pass, module, &apart)) return false;
  for (size_t i = 0; i < HCT_COUNT(groups_less) && !fused; i++) {
    candidate next = *c;
    next.groups = groups_less[i];
    if (strcmp(c->groups, next.groups) == 0) c->groups = "blocks"; /* what comes before it does not fit */
    if (strcmp(c->groups, "blocks") != 0) continue;
    bool gains = candidate_weigh(pass, module, &next) && !next.crowded && next.dram_bytes < apart.dram_bytes && !same_program(&next, &before);
    before = next;
    if (gains && compiled) candidate_try(pass, module, &next);
    fused = gains && next.fits;
    if (fused) *c = next;
  }
  return fused;
}
