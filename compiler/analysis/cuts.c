#include "compiler/analysis/cuts.h"

hct_cut_costs hct_cut_costs_create(hct_arena *arena, size_t count) {
  hct_cut_costs costs = {count, HCT_NEW_ARRAY(arena, hct_cut_cost, count * (count + 1) + 1)};
  for (size_t k = 0; k < count * (count + 1); k++) costs.items[k].first = HCT_CUT_NEVER;
  return costs;
}

hct_cut_cost *hct_cut_cost_at(const hct_cut_costs *costs, size_t first, size_t end) { return &costs->items[first * (costs->count + 1) + end]; }

bool hct_cut_less(hct_cut_cost a, hct_cut_cost b) { return a.first != b.first ? a.first < b.first : a.second < b.second; }

hct_cut_cost hct_cuts_choose(const hct_cut_costs *costs, size_t *out_stages) {
  hct_arena *arena = hct_arena_create();
  hct_cut_cost *best = HCT_NEW_ARRAY(arena, hct_cut_cost, costs->count + 1);
  size_t *first = HCT_NEW_ARRAY(arena, size_t, costs->count + 1); /* by end: of the last stage */
  for (size_t end = 1; end <= costs->count; end++) {
    best[end].first = HCT_CUT_NEVER;
    for (size_t i = end; i-- > 0;) {
      const hct_cut_cost *stage = hct_cut_cost_at(costs, i, end);
      if (stage->first == HCT_CUT_NEVER) continue;
      hct_cut_cost sum = {best[i].first + stage->first, best[i].second + stage->second};
      if (hct_cut_less(sum, best[end])) best[end] = sum, first[end] = i;
    }
    HCT_BUG_ON(best[end].first == HCT_CUT_NEVER, "unit %zu can be in no stage", end - 1);
  }
  size_t stages = 0;
  for (size_t end = costs->count; end > 0; end = first[end]) {
    for (size_t i = first[end]; i < end; i++) out_stages[i] = stages; /* counted from the end */
    stages++;
  }
  for (size_t i = 0; i < costs->count; i++) out_stages[i] = stages - 1 - out_stages[i];
  hct_cut_cost least = best[costs->count];
  hct_arena_destroy(arena);
  return least;
}
