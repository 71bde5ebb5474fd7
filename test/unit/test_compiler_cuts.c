/* Cuts of a sequence: the plan chosen costs what the cheapest of all 2^(n-1) plans costs, by trying them all, on random costs of up to ten units. */
#include "compiler/analysis/cuts.h"
#include "test/unit/check.h"

enum { MOST = 10 };

static uint64_t state = 7;
static uint64_t draw(uint64_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (state >> 33) % below;
}

/* Bit u of `plan`: unit u + 1 begins a stage. False: a stage of it must not be. */
static bool plan_cost(int64_t table[MOST][MOST + 1][2], size_t count, unsigned plan, int64_t out_sum[2]) {
  out_sum[0] = out_sum[1] = 0;
  for (size_t first = 0, end; first < count; first = end) {
    for (end = first + 1; end < count && !(plan >> (end - 1) & 1); end++);
    if (table[first][end][0] < 0) return false;
    out_sum[0] += table[first][end][0], out_sum[1] += table[first][end][1];
  }
  return true;
}

static unsigned plan_of(const size_t *stages, size_t count) {
  unsigned plan = 0;
  CHECK(stages[0] == 0);
  for (size_t u = 1; u < count; u++) {
    CHECK(stages[u] == stages[u - 1] || stages[u] == stages[u - 1] + 1);
    if (stages[u] != stages[u - 1]) plan |= 1u << (u - 1);
  }
  return plan;
}

static void table_draw(int64_t table[MOST][MOST + 1][2], size_t count, uint64_t most) {
  for (size_t i = 0; i < count; i++)
    for (size_t j = i + 1; j <= count; j++) {
      bool never = j > i + 1 && draw(4) == 0;
      table[i][j][0] = never ? -1 : (int64_t)draw(most * (1 + (j - i) / 2));
      table[i][j][1] = (int64_t)draw(5);
    }
}

static hct_cut_costs costs_of(hct_arena *arena, int64_t table[MOST][MOST + 1][2], size_t count) {
  hct_cut_costs costs = hct_cut_costs_create(arena, count);
  for (size_t i = 0; i < count; i++)
    for (size_t j = i + 1; j <= count; j++)
      if (table[i][j][0] >= 0) *hct_cut_cost_at(&costs, i, j) = (hct_cut_cost){table[i][j][0], table[i][j][1]};
  return costs;
}

static void test_plan_is_cheapest(void) {
  hct_arena *arena = hct_arena_create();
  size_t mixed = 0, broken_ties = 0;
  for (int round = 0; round < 3000; round++) {
    size_t count = 1 + draw(MOST), stages[MOST];
    int64_t table[MOST][MOST + 1][2], best[2] = {INT64_MAX, 0}, sum[2];
    table_draw(table, count, round % 2 ? 50 : 3);
    bool tie = false;
    for (unsigned plan = 0; plan < 1u << (count - 1); plan++) {
      if (!plan_cost(table, count, plan, sum) || sum[0] > best[0]) continue;
      tie = sum[0] == best[0] && (tie || sum[1] != best[1]);
      if (sum[0] < best[0] || sum[1] < best[1]) best[0] = sum[0], best[1] = sum[1];
    }
    hct_cut_costs costs = costs_of(arena, table, count);
    hct_cut_cost least = hct_cuts_choose(&costs, stages);
    CHECK(least.first == best[0] && least.second == best[1]);
    CHECK(plan_cost(table, count, plan_of(stages, count), sum) && sum[0] == best[0] && sum[1] == best[1]);
    mixed += stages[count - 1] > 0 && stages[count - 1] + 1 < count;
    broken_ties += tie;
  }
  CHECK(mixed > 1000 && broken_ties > 200); /* the costs leave something to choose, and to tell apart by their second numbers */
  hct_arena_destroy(arena);
}

/* Of plans that cost the same the one with the shortest last stage. */
static void test_ties_are_cut(void) {
  hct_arena *arena = hct_arena_create();
  size_t stages[3];
  int64_t table[MOST][MOST + 1][2] = {{{0}}};
  hct_cut_costs costs = costs_of(arena, table, 3);
  hct_cuts_choose(&costs, stages);
  CHECK(stages[0] == 0 && stages[1] == 1 && stages[2] == 2);
  hct_arena_destroy(arena);
}

int main(void) {
  test_plan_is_cheapest();
  test_ties_are_cut();
  return 0;
}
