/* Store or recompute, for one fusion group, at least cost: which values of a dataflow graph its backward reads from DRAM, and which it makes
 * again from others. Exact, as a minimum cut.
 *
 * Each value v that backward needs is either stored, at cost store[v], or made again, at cost compute[v], and then all of its operands are
 * needed too. With x[v] = 1 when v is needed and y[v] = 1 when it is made again, the cost is
 *
 *   sum over v of  store[v] x[v] (1 - y[v]) + compute[v] y[v],   y[v] <= x[v],   y[v] <= x[u] for each operand u of v,   x[t] = 1 for targets t,
 *
 * which is the capacity of a cut in a graph with two nodes a value: source -> x[t] and y[v] -> x[v], y[v] -> x[u] of infinite capacity,
 * x[v] -> y[v] of capacity store[v], y[v] -> sink of capacity compute[v]; a node has value 1 on the source's side. So a minimum cut gives the
 * least cost over all choices (project selection: Picard 1976). Of several minimum cuts the one with the fewest nodes at the source is taken:
 * it is unique, and makes the least again. */
#ifndef HCT_COMPILER_ANALYSIS_RECOMPUTE_H
#define HCT_COMPILER_ANALYSIS_RECOMPUTE_H

#include "ir/support/support.h"

/* A cost that is never paid. Costs are picoseconds, at most HCT_RECOMPUTE_NEVER / 2^20 where they are not this. */
#define HCT_RECOMPUTE_NEVER ((int64_t)1 << 60)

typedef struct hct_recompute_value {
  int64_t store_ps, compute_ps; /* at least one is not HCT_RECOMPUTE_NEVER, in itself or in all values that it is made of */
  size_t *operands, operand_count; /* indices of values; free ones (parameters, constants) are left out */
  bool target;                   /* backward reads it */
} hct_recompute_value;

/* `out_again` (count entries): made again; what is needed and not made again is stored. */
void hct_recompute_choose(hct_arena *arena, const hct_recompute_value *values, size_t count, bool *out_again);

#endif
