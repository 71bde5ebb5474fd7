/* Where to cut a sequence of units 0 ... count - 1 into stages of consecutive ones, at least cost: exact, by dynamic programming.
 *
 * What a stage costs depends on its first and last unit alone, and costs add up, so that with best(0) = 0
 *
 *   best(j) = min over i < j of best(i) + cost(i, j)
 *
 * is the least cost of all 2^(count - 1) ways to cut units 0 ... j - 1 (Bellman's principle: what is best for a sequence cut at i is best for
 * what lies before i). Costs are pairs, compared by their first number, then by their second; sums keep that order, so the argument holds. Of
 * ways that cost the same the one with the shortest last stage is taken, and so on from there. */
#ifndef HCT_COMPILER_ANALYSIS_CUTS_H
#define HCT_COMPILER_ANALYSIS_CUTS_H

#include "ir/support/support.h"

/* A stage that must not be: its first number. Others are 0 or more, and their sums less than this. */
#define HCT_CUT_NEVER INT64_MAX
typedef struct hct_cut_cost { int64_t first, second; } hct_cut_cost;
typedef struct hct_cut_costs { size_t count; hct_cut_cost *items; } hct_cut_costs;

hct_cut_costs hct_cut_costs_create(hct_arena *arena, size_t count);                     /* all NEVER */
hct_cut_cost *hct_cut_cost_at(const hct_cut_costs *costs, size_t first, size_t end);    /* of the stage of units [first, end), first < end <= count */
bool hct_cut_less(hct_cut_cost a, hct_cut_cost b);
/* The least cost, and by unit the number of its stage, from 0. Each stage of one unit can be. */
hct_cut_cost hct_cuts_choose(const hct_cut_costs *costs, size_t *out_stages);

#endif
