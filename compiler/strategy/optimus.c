/* Optimus (Xu et al., arXiv 2104.05343): every matrix is split [rows over mesh rows, columns over mesh columns], and products are SUMMA
 * (van de Geijn and Watts, 1997). A B: panels of A go along rows, panels of B along columns. A Bt (gradient of the input): panels of B along
 * columns, sums along rows. At B (gradient of the weight): panels of A along rows, sums along columns. All panels of an operand go round
 * at once, which is an all-gather along the ring: the bytes of the broadcasts, without their pipeline's fill. */
#include <string.h>

#include "compiler/strategy/strategy.h"

static void weight_place(partition *p, const hct_flow_op *op, const op_rule *rule, size_t operand) {
  size_t weight = op->operands[operand];
  const int *labels = rule->operand[operand];
  hct_layout layout = partition_layout(&p->flow.values[weight]);
  bool summed[HCT_MAX_FACTORS], kept[HCT_MAX_FACTORS];
  strategy_summed(rule, labels, summed, kept);
  int k = strategy_choose_factor(p, rule, weight, labels, &layout, HCT_AXIS_ROW, summed), n = strategy_choose_factor(p, rule, weight, labels, &layout, HCT_AXIS_COL, kept);
  if (k >= 0 && p->sizes[HCT_AXIS_ROW] > 1) partition_add_axis(&layout, k, HCT_AXIS_ROW);
  if (n >= 0 && p->sizes[HCT_AXIS_COL] > 1) partition_add_axis(&layout, n, HCT_AXIS_COL);
  strategy_place(p, weight, &layout);
}

/* Rows: the loop over tokens, that of the operand split so which is no parameter. */
static int token_label(const partition *p, const hct_flow_op *op, const op_rule *rule) {
  for (size_t k = 0; k < 2; k++) {
    if (strategy_is_param(p, op->operands[k])) continue;
    int factor = partition_axis_factor(&p->now[op->operands[k]].layout, HCT_AXIS_ROW);
    if (factor >= 0 && rule->operand[k][factor] >= 0) return rule->operand[k][factor];
  }
  return -1;
}

static bool assign(partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  bool product = !strcmp(op->name, "contract"), gather = !strcmp(op->name, "gather_rows"), scatter = !strcmp(op->name, "scatter_rows");
  if (!product && !gather && !scatter) return false;
  if (gather && strategy_is_param(p, op->operands[0])) {
    if (!p->assigned[op->operands[0]]) strategy_table_place(p, op->operands[0]);
    strategy_follow(&p->now[op->operands[0]].layout, rule->operand[0], axis_label);
    return true;
  }
  size_t gradient_of = op->result_count == 1 ? p->parameter[op->results[0]] : SIZE_MAX, weight = product ? strategy_weight_operand(p, op) : SIZE_MAX;
  if (strategy_follow_gradient(p, op, rule, axis_label)) {
    if (product && gradient_of != SIZE_MAX) axis_label[HCT_AXIS_ROW] = token_label(p, op, rule);
    return true;
  }
  if (weight == SIZE_MAX) return false;
  if (!p->assigned[op->operands[weight]]) weight_place(p, op, rule, weight);
  strategy_follow(&p->now[op->operands[weight]].layout, rule->operand[weight], axis_label);
  axis_label[HCT_AXIS_ROW] = token_label(p, op, rule);
  if (axis_label[HCT_AXIS_ROW] == axis_label[HCT_AXIS_COL]) axis_label[HCT_AXIS_ROW] = -1;
  return true;
}

const strategy strategy_optimus = {.name = "optimus", .sums = SUMS_TO_FEATURES, .assign = assign};
