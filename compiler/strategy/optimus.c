/* Optimus (Xu et al., arXiv 2104.05343): every matrix is split [rows over mesh rows, columns over mesh columns] (with --orientation=rows
 * the other way round), and products are SUMMA
 * (van de Geijn and Watts, 1997). A B: panels of A go along rows, panels of B along columns. A Bt (gradient of the input): panels of B along
 * columns, sums along rows. At B (gradient of the weight): panels of A along rows, sums along columns. All panels of an operand go round
 * at once, which is an all-gather along the ring: the bytes of the broadcasts, without their pipeline's fill. */
#include "compiler/strategy/strategy.h"

static void weight_place(partition *p, const hct_flow_op *op, const op_rule *rule, size_t operand) {
  size_t weight = op->operands[operand];
  const int *labels = rule->operand[operand];
  hct_layout layout = partition_layout(&p->flow.values[weight]);
  bool summed[HCT_MAX_FACTORS], kept[HCT_MAX_FACTORS];
  strategy_summed(rule, labels, summed, kept);
  strategy_split(p, rule, weight, labels, summed, p->token_axis, &layout);
  strategy_split(p, rule, weight, labels, kept, p->feature_axis, &layout);
  strategy_place(p, weight, &layout);
}

/* Rows: the loop over tokens, that of the operand split so which is no parameter. */
static int token_label(const partition *p, const hct_flow_op *op, const op_rule *rule) {
  for (size_t k = 0; k < 2; k++) {
    if (strategy_is_param(p, op->operands[k])) continue;
    int factor = partition_axis_factor(&p->now[op->operands[k]].layout, p->token_axis);
    if (factor >= 0 && rule->operand[k][factor] >= 0) return rule->operand[k][factor];
  }
  return -1;
}

/* Rows stay with the tokens: then weights are gathered along columns, and a weight's gradient is summed there. */
static void keep_tokens(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  int tokens = token_label(p, op, rule);
  axis_label[p->token_axis] = tokens == axis_label[p->feature_axis] ? -1 : tokens;
}

const strategy strategy_optimus = {.name = "optimus", .sums = SUMS_TO_FEATURES, .heads = HEADS_ON_FEATURE_AXIS, .place_weight = weight_place, .place_table = strategy_table_place, .adjust = keep_tokens};
