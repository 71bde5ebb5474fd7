/* The 2-D method (method.md): weights stay where they are, [k over the input's feature axis, n over the other]; tokens are gathered
 * over the axis that n takes, and the sum over k is scattered over tokens. The same holds of both products of backward, since all
 * three have the weight's axes on k and n. Embedding tables: vocabulary over the axis of the tokens, features over that of the features. */
#include "compiler/strategy/strategy.h"

/* The axis that splits the input's features: one that is on a summed loop; else the one that its tokens leave free. */
static hct_axis feature_axis(const partition *p, const hct_flow_op *op, const op_rule *rule, size_t input) {
  const hct_layout *x = &p->now[op->operands[input]].layout;
  hct_axis feature = p->feature_axis;
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(x, (hct_axis)axis), label = factor >= 0 ? rule->operand[input][factor] : -1;
    if (factor < 0) continue;
    if (label >= 0 && rule->labels[label].kind == LABEL_SUM) return (hct_axis)axis;
    feature = axis == HCT_AXIS_ROW ? HCT_AXIS_COL : HCT_AXIS_ROW;
  }
  return feature;
}

/* First use of a weight in X W. */
static void weight_place(partition *p, const hct_flow_op *op, const op_rule *rule, size_t operand) {
  size_t weight = op->operands[operand];
  const int *labels = rule->operand[operand];
  hct_axis feature = feature_axis(p, op, rule, 1 - operand), other = feature == HCT_AXIS_ROW ? HCT_AXIS_COL : HCT_AXIS_ROW;
  hct_layout layout = partition_layout(&p->flow.values[weight]);
  bool summed[HCT_MAX_FACTORS], kept[HCT_MAX_FACTORS];
  strategy_summed(rule, labels, summed, kept);
  strategy_split(p, rule, weight, labels, summed, feature, &layout);
  strategy_split(p, rule, weight, labels, kept, other, &layout);
  strategy_place(p, weight, &layout);
}

const strategy strategy_hecaton = {.name = "hecaton", .sums = SUMS_TO_TOKENS, .heads = HEADS_ON_TOKEN_AXIS, .place_weight = weight_place, .place_table = strategy_table_place};
