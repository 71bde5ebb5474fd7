/* What a strategy decides: how weights are split, and over which loops the operators that touch a parameter, or make its gradient, are
 * spread. Everything else (propagation, collectives, lowering) is the partitioner's and the same for all. */
#ifndef HCT_COMPILER_STRATEGY_STRATEGY_H
#define HCT_COMPILER_STRATEGY_STRATEGY_H

#include "compiler/transform/partition.h"

typedef enum strategy_sums { /* where the sum of partial activations goes */
  SUMS_TO_TOKENS,   /* scattered over tokens */
  SUMS_TO_FEATURES, /* scattered over features along their axis, over tokens along the other */
  SUMS_WHOLE,       /* all-reduced: every die has it */
} strategy_sums;

typedef enum strategy_heads { /* the mesh axis on which the outputs of a block's first linear layers are split, and so attention's heads */
  HEADS_ON_TOKEN_AXIS,
  HEADS_ON_FEATURE_AXIS,
  HEADS_ON_ALL, /* both as one */
} strategy_heads;

struct strategy {
  const char *name;
  strategy_sums sums;
  strategy_heads heads;
  const char *flat; /* NULL: one mesh axis at a time; else all dies as one axis: "ring" or "torus", how they all-reduce */
  /* Splits a weight, operand `operand` of the first product that reads it; a table, at its first lookup. */
  void (*place_weight)(partition *p, const hct_flow_op *op, const op_rule *rule, size_t operand);
  void (*place_table)(partition *p, size_t table);
  /* NULL, or changes the loops of a product with a weight, or that makes its gradient, which are else those that the weight's split gives. */
  void (*adjust)(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]);
};
/* The loop of each mesh axis in an operator that touches a parameter or makes its gradient, which is placed at its first use. False: no such
 * operator. */
bool strategy_assign(partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]);
const strategy *strategy_find(const char *name); /* NULL: none */
const char *strategy_names(hct_arena *arena);    /* "a, b, c" */
/* Parts into which the package's mesh splits `heads` query heads: 1 where it does not divide them. */
int64_t strategy_head_parts(const strategy *chosen, const hct_pass_context *pass, int64_t heads);

#define HCT_STRATEGY(name, symbol, doc) extern const strategy symbol;
#include "compiler/strategy/strategies.def"
#undef HCT_STRATEGY

/* ---- shared by strategies (strategy.c) ---- */
bool strategy_is_param(const partition *p, size_t value); /* an argument of role param, or copy of one; a weight of copied heads */
/* The factor of a weight to split over `axis`: among those for which `allowed` (by factor) holds, the first that its size divides, else
 * the largest; -1: none. Factors that are cut later, or split already, are never taken. */
int strategy_choose_factor(const partition *p, const op_rule *rule, size_t weight, const int *labels, const hct_layout *layout, hct_axis axis, const bool allowed[HCT_MAX_FACTORS]);
/* Whether the loop of each factor is summed in the operator. */
void strategy_summed(const op_rule *rule, const int *labels, bool out_summed[HCT_MAX_FACTORS], bool out_kept[HCT_MAX_FACTORS]);
/* Embedding tables of the 2-D strategies: vocabulary over the axis of the tokens, features over that of the features. */
void strategy_table_place(partition *p, size_t table);
void strategy_place(partition *p, size_t param, const hct_layout *layout);
/* Splits the factor chosen as above over `axis`, when there is one and the axis has several dies. */
void strategy_split(const partition *p, const op_rule *rule, size_t weight, const int *labels, const bool allowed[HCT_MAX_FACTORS], hct_axis axis, hct_layout *layout);

#endif
