/* What hct-recompute-activations compares, in picoseconds a step. Estimates for all dies at once, each at its peak; latencies are paid once a
 * micro-batch. */
#ifndef HCT_COMPILER_TRANSFORM_RECOMPUTE_ACTIVATIONS_H
#define HCT_COMPILER_TRANSFORM_RECOMPUTE_ACTIVATIONS_H

#include "compiler/analysis/factors.h"
#include "compiler/pass.h"

typedef struct recompute_costs {
  const hct_package *package;
  const hct_flow *flow;
  int64_t micro_batches;
} recompute_costs;

recompute_costs recompute_costs_of(const hct_pass_context *pass, const hct_flow *flow); /* --micro-batch=auto: the whole batch at once */
/* `moves` (1: load, 2: store and load) of a value through all channels. */
int64_t recompute_move_ps(const recompute_costs *costs, size_t value, int moves);
/* The operator once more: its multiplications on the MXUs, its elements on the VPUs or their bytes through SRAM, and the collectives that it
 * needs on a mesh of sqrt(dies) x sqrt(dies): of a product with a parameter, the reduce-scatter of its result, and the all-gather of its input
 * where backward has none (the parameter is not trained); of a lookup, the reduce-scatter; of a reduction over features, an all-reduce. */
int64_t recompute_operator_ps(const recompute_costs *costs, const hct_flow_op *op);

/* ---- groups that are computed again as a whole (recompute_activations_checkpoints.c) ---- */
typedef struct recompute_checkpoint {
  MlirOperation copy;
  int64_t group, end; /* the one that it is forward of, and the one in whose backward it is */
} recompute_checkpoint;
typedef struct recompute_checkpoints {
  recompute_checkpoint *items;
  size_t count, capacity;
  hct_index_map *by_value, *by_copy; /* result of forward, operator of the copy -> item */
} recompute_checkpoints;

/* Copies forward of all but the last of `length` consecutive groups to where backward of the last begins; of it what is `sampled` (by value: differs from
 * sample to sample, and comes from forward). Nothing reads the copies but each other yet. `flow` is as before. */
recompute_checkpoints recompute_checkpoints_make(hct_arena *arena, const hct_flow *flow, const bool *sampled, int64_t length);

#endif
