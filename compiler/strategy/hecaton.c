/* The 2-D method (method.md): weights stay where they are, [k over the input's feature axis, n over the other]; tokens are gathered
 * over the axis that n takes, and the sum over k is scattered over tokens. The same holds of both products of backward, since all
 * three have the weight's axes on k and n. Embedding tables: vocabulary over rows, features over columns. */
#include <string.h>

#include "compiler/strategy/strategy.h"

/* The axis that splits the input's features: one that is on a summed loop; else the one that its tokens leave free. */
static hct_axis feature_axis(const partition *p, const hct_flow_op *op, const op_rule *rule, size_t input) {
  const hct_layout *x = &p->now[op->operands[input]].layout;
  hct_axis feature = HCT_AXIS_COL;
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
  int k = strategy_choose_factor(p, rule, weight, labels, &layout, feature, summed), n = strategy_choose_factor(p, rule, weight, labels, &layout, other, kept);
  if (k >= 0 && p->sizes[feature] > 1) partition_add_axis(&layout, k, feature);
  if (n >= 0 && p->sizes[other] > 1) partition_add_axis(&layout, n, other);
  strategy_place(p, weight, &layout);
}

void strategy_table_place(partition *p, size_t table) {
  hct_layout layout = partition_layout(&p->flow.values[table]);
  if (p->sizes[HCT_AXIS_ROW] > 1) partition_add_axis(&layout, 0, HCT_AXIS_ROW);
  for (int f = 1; f < layout.factor_count; f++)
    if (layout.factors[f].size > 1 && p->sizes[HCT_AXIS_COL] > 1 && partition_axis_factor(&layout, HCT_AXIS_COL) < 0) partition_add_axis(&layout, f, HCT_AXIS_COL);
  strategy_place(p, table, &layout);
}

static bool assign(partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  bool product = !strcmp(op->name, "contract"), gather = !strcmp(op->name, "gather_rows"), scatter = !strcmp(op->name, "scatter_rows");
  if (!product && !gather && !scatter) return false;
  if (gather && strategy_is_param(p, op->operands[0])) {
    if (!p->assigned[op->operands[0]]) strategy_table_place(p, op->operands[0]);
    strategy_follow(&p->now[op->operands[0]].layout, rule->operand[0], axis_label);
    return true;
  }
  if (strategy_follow_gradient(p, op, rule, axis_label)) return true;
  size_t weight = product ? strategy_weight_operand(p, op) : SIZE_MAX;
  if (weight == SIZE_MAX) return false;
  if (!p->assigned[op->operands[weight]]) weight_place(p, op, rule, weight);
  strategy_follow(&p->now[op->operands[weight]].layout, rule->operand[weight], axis_label);
  return true;
}

const strategy strategy_hecaton = {.name = "hecaton", .sums = SUMS_TO_TOKENS, .assign = assign};
