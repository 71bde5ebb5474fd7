/* Store or recompute: the choice costs what the cheapest of all choices costs, by trying them all, on random graphs of up to ten values. */
#include "compiler/analysis/recompute.h"
#include "test/unit/check.h"

enum { MOST = 10 };

static uint64_t state = 1;
static uint64_t draw(uint64_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (state >> 33) % below;
}

/* Cost of making again what `again` says and storing the rest of what is needed. Operands come before their users. */
static int64_t cost_of(const hct_recompute_value *values, size_t count, const bool *again) {
  bool needed[MOST] = {false};
  int64_t cost = 0;
  for (size_t v = count; v-- > 0;) {
    if (!needed[v] && !values[v].target) continue;
    cost += again[v] ? values[v].compute_ps : values[v].store_ps;
    if (cost >= HCT_RECOMPUTE_NEVER) return HCT_RECOMPUTE_NEVER;
    for (size_t k = 0; again[v] && k < values[v].operand_count; k++) needed[values[v].operands[k]] = true;
  }
  return cost;
}

static int64_t cheapest(const hct_recompute_value *values, size_t count) {
  int64_t best = HCT_RECOMPUTE_NEVER;
  for (unsigned choice = 0; choice < 1u << count; choice++) {
    bool again[MOST];
    for (size_t v = 0; v < count; v++) again[v] = choice >> v & 1;
    int64_t cost = cost_of(values, count, again);
    if (cost < best) best = cost;
  }
  return best;
}

static size_t values_draw(hct_recompute_value *values, size_t operands[MOST][3]) {
  size_t count = 1 + draw(MOST);
  for (size_t v = 0; v < count; v++) {
    values[v] = (hct_recompute_value){.store_ps = (int64_t)draw(20), .compute_ps = draw(6) ? (int64_t)draw(12) : HCT_RECOMPUTE_NEVER, .operands = operands[v], .target = draw(3) == 0};
    for (size_t k = 0; v > 0 && k < draw(4) && k < 3; k++) operands[v][values[v].operand_count++] = draw(v);
  }
  return count;
}

static void test_choice_is_cheapest(void) {
  hct_arena *arena = hct_arena_create();
  size_t mixed = 0;
  for (int round = 0; round < 2000; round++) {
    hct_recompute_value values[MOST];
    size_t operands[MOST][3], count = values_draw(values, operands), made = 0;
    bool again[MOST];
    hct_recompute_choose(arena, values, count, again);
    CHECK(cost_of(values, count, again) == cheapest(values, count));
    for (size_t v = 0; v < count; v++) made += again[v];
    mixed += made > 0 && made < count;
  }
  CHECK(mixed > 500); /* the graphs leave something to choose */
  hct_arena_destroy(arena);
}

/* Of choices that cost the same, the one that makes least again. */
static void test_ties_are_stored(void) {
  hct_arena *arena = hct_arena_create();
  hct_recompute_value value = {.store_ps = 5, .compute_ps = 5, .target = true};
  bool again = true;
  hct_recompute_choose(arena, &value, 1, &again);
  CHECK(!again);
  value.compute_ps = 4;
  hct_recompute_choose(arena, &value, 1, &again);
  CHECK(again);
  hct_arena_destroy(arena);
}

/* A chain as long as a model: elementwise on what is stored at its start alone. */
static void test_long_chain(void) {
  enum { LENGTH = 200000 };
  hct_arena *arena = hct_arena_create();
  hct_recompute_value *values = HCT_NEW_ARRAY(arena, hct_recompute_value, LENGTH);
  bool *again = HCT_NEW_ARRAY(arena, bool, LENGTH);
  for (size_t v = 0; v < LENGTH; v++) {
    values[v] = (hct_recompute_value){.store_ps = 10, .compute_ps = v ? 1 : 1000, .target = true};
    if (v == 0) continue;
    values[v].operands = HCT_NEW_ARRAY(arena, size_t, 1);
    values[v].operands[0] = v - 1;
    values[v].operand_count = 1;
  }
  hct_recompute_choose(arena, values, LENGTH, again);
  CHECK(!again[0]);
  for (size_t v = 1; v < LENGTH; v++) CHECK(again[v]);
  hct_arena_destroy(arena);
}

int main(void) {
  test_choice_is_cheapest();
  test_ties_are_stored();
  test_long_chain();
  return 0;
}
