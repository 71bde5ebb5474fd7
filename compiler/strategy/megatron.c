/* Megatron-LM's tensor parallelism (Shoeybi et al., arXiv 1909.08053) over all dies: a linear layer splits its outputs, the next one its
 * inputs, and the sum after the second is the only exchange, as that of the gradient before the first. Embedding tables and the head are
 * split by vocabulary. Activations between blocks are on every die; with sequence parallelism (Korthikanti et al., arXiv 2205.05198) they
 * are split over tokens. The strategies differ in how all dies reduce. */
#include "compiler/strategy/strategy.h"

/* Both mesh axes on one factor where all dies divide it; else each on one of its own, while there is one: heads before their features, so that
 * where all dies are too many for heads, attention is still whole on the dies along one axis. */
static void split_over_all(const partition *p, const op_rule *rule, size_t weight, const int *labels, const bool allowed[HCT_MAX_FACTORS], hct_layout *layout) {
  int64_t dies = p->sizes[HCT_AXIS_ROW] * p->sizes[HCT_AXIS_COL];
  bool row = p->sizes[HCT_AXIS_ROW] > 1, col = p->sizes[HCT_AXIS_COL] > 1;
  int only = -1, both = -1, usable = 0;
  bool major = false; /* a factor before that one is divided by the dies along an axis */
  for (int f = 0; f < layout->factor_count; f++) {
    if (!allowed[f] || labels[f] < 0 || layout->factors[f].axis_count || p->cut[weight * HCT_MAX_FACTORS + (size_t)f]) continue;
    label_kind kind = rule->labels[labels[f]].kind;
    if (kind == LABEL_WHOLE || kind == LABEL_EXACT) continue;
    usable++, only = f;
    if (both < 0 && layout->factors[f].size % dies == 0) both = f;
    else if (both < 0 && (layout->factors[f].size % p->sizes[HCT_AXIS_ROW] == 0 || layout->factors[f].size % p->sizes[HCT_AXIS_COL] == 0)) major = true;
  }
  if (both < 0 && usable == 1) both = only;
  if (both >= 0 && !major) {
    if (row) partition_add_axis(layout, both, HCT_AXIS_ROW);
    if (col) partition_add_axis(layout, both, HCT_AXIS_COL);
    return;
  }
  for (int axis = 1; axis < 3; axis++) strategy_split(p, rule, weight, labels, allowed, (hct_axis)axis, layout);
}

/* Inputs that lie split where they are summed stay so; the weight's rest is split as they leave it. */
static void weight_place(partition *p, const hct_flow_op *op, const op_rule *rule, size_t operand) {
  size_t weight = op->operands[operand], input = op->operands[1 - operand];
  const int *labels = rule->operand[operand];
  hct_layout layout = partition_layout(&p->flow.values[weight]);
  bool summed[HCT_MAX_FACTORS], kept[HCT_MAX_FACTORS], row_parallel = false;
  strategy_summed(rule, labels, summed, kept);
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(&p->now[input].layout, (hct_axis)axis), label = factor >= 0 ? rule->operand[1 - operand][factor] : -1;
    if (label < 0 || rule->labels[label].kind != LABEL_SUM) continue;
    for (int f = 0; f < layout.factor_count; f++)
      if (labels[f] == label) partition_add_axis(&layout, f, (hct_axis)axis), row_parallel = true;
  }
  if (!row_parallel) {
    split_over_all(p, rule, weight, labels, kept, &layout);
  } else {
    for (int axis = 1; axis < 3; axis++)
      if (partition_axis_factor(&layout, (hct_axis)axis) < 0) strategy_split(p, rule, weight, labels, summed, (hct_axis)axis, &layout);
  }
  strategy_place(p, weight, &layout);
}

static void table_place(partition *p, size_t table) {
  hct_layout layout = partition_layout(&p->flow.values[table]);
  for (int axis = 1; axis < 3; axis++)
    if (p->sizes[axis] > 1) partition_add_axis(&layout, 0, (hct_axis)axis);
  strategy_place(p, table, &layout);
}

const strategy strategy_megatron_ring = {.name = "megatron-ring", .sums = SUMS_WHOLE, .heads = HEADS_ON_ALL, .flat = "ring", .place_weight = weight_place, .place_table = table_place};
const strategy strategy_megatron_torus = {.name = "megatron-torus", .sums = SUMS_WHOLE, .heads = HEADS_ON_ALL, .flat = "torus", .place_weight = weight_place, .place_table = table_place};
const strategy strategy_megatron_sequence = {.name = "megatron-sequence", .sums = SUMS_TO_TOKENS, .heads = HEADS_ON_ALL, .flat = "ring", .place_weight = weight_place, .place_table = table_place};
