/* The 2-D method (method.md): weights stay where they are, [k over the input's feature axis, n over the other]; tokens are gathered
 * over the axis that n takes, and the sum over k is scattered over tokens. The same holds of both products of backward, since all
 * three have the weight's axes on k and n. Embedding tables: vocabulary over rows, features over columns. */
#include <string.h>

#include "compiler/transform/partition.h"

static bool is_param(const partition *p, size_t value) {
  if (value >= p->flow.arg_count) return false;
  MlirAttribute role = hct_function_arg_attr(p->flow.function, value, "hct.role");
  return !mlirAttributeIsNull(role) && !strcmp(hct_attr_text(role), "param");
}

/* The factor of `value` to split over an axis of `size` dies: the first that it divides, else the largest; whole ones never. */
static int factor_choose(const partition *p, const op_rule *rule, const int *labels, const hct_layout *layout, hct_axis axis) {
  int best = -1;
  for (int f = 0; f < layout->factor_count; f++) {
    if (labels[f] < 0 || layout->factors[f].axis_count || !partition_can_split(p, rule, labels[f], axis)) continue;
    if (layout->factors[f].size % p->sizes[axis] == 0) return f;
    if (best < 0 || layout->factors[f].size > layout->factors[best].size) best = f;
  }
  return best;
}

static int choose(const partition *p, const op_rule *rule, size_t value, const int *labels, hct_layout layout, hct_axis axis, const int *other) {
  for (int f = 0; f < layout.factor_count; f++) {
    bool shared = false;
    for (int g = 0; other && g < HCT_MAX_FACTORS; g++) shared |= other[g] >= 0 && other[g] == labels[f];
    if (shared || p->cut[value * HCT_MAX_FACTORS + (size_t)f]) layout.factors[f].axis_count = 1; /* not this one */
  }
  return factor_choose(p, rule, labels, &layout, axis);
}

static void follow(const partition *p, const hct_layout *layout, const int *labels, int axis_label[3]) {
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(layout, (hct_axis)axis);
    axis_label[axis] = factor >= 0 ? labels[factor] : -1;
  }
  (void)p;
}

/* First use of a weight in X W: b is the axis that splits X's features, a the other one. */
static void weight_place(partition *p, const hct_flow_op *op, const op_rule *rule, size_t input, size_t weight_operand) {
  size_t weight = op->operands[weight_operand];
  const int *labels = rule->operand[weight_operand];
  const hct_layout *x = &p->now[op->operands[input]].layout;
  hct_axis feature = HCT_AXIS_COL;
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(x, (hct_axis)axis);
    if (factor < 0) continue;
    int label = rule->operand[input][factor];
    bool summed = label >= 0 && rule->labels[label].kind == LABEL_SUM;
    if (summed) feature = (hct_axis)axis;
    else feature = axis == HCT_AXIS_ROW ? HCT_AXIS_COL : HCT_AXIS_ROW;
    if (summed) break;
  }
  hct_axis other = feature == HCT_AXIS_ROW ? HCT_AXIS_COL : HCT_AXIS_ROW;
  hct_layout layout = partition_layout(&p->flow.values[weight]);
  int summed[HCT_MAX_FACTORS], kept[HCT_MAX_FACTORS];
  for (int f = 0; f < HCT_MAX_FACTORS; f++) {
    bool sum = labels[f] >= 0 && rule->labels[labels[f]].kind == LABEL_SUM;
    summed[f] = sum ? labels[f] : -1;
    kept[f] = sum ? -1 : labels[f];
  }
  int k = choose(p, rule, weight, labels, layout, feature, kept), n = choose(p, rule, weight, labels, layout, other, summed);
  if (k >= 0 && p->sizes[feature] > 1) partition_add_axis(&layout, k, feature);
  if (n >= 0 && p->sizes[other] > 1) partition_add_axis(&layout, n, other);
  p->now[weight].layout = layout;
  p->assigned[weight] = true;
}

static void table_place(partition *p, const op_rule *rule, size_t table) {
  hct_layout layout = partition_layout(&p->flow.values[table]);
  if (p->sizes[HCT_AXIS_ROW] > 1) partition_add_axis(&layout, 0, HCT_AXIS_ROW);
  for (int f = 1; f < layout.factor_count; f++)
    if (layout.factors[f].size > 1 && p->sizes[HCT_AXIS_COL] > 1 && partition_axis_factor(&layout, HCT_AXIS_COL) < 0) partition_add_axis(&layout, f, HCT_AXIS_COL);
  p->now[table].layout = layout;
  p->assigned[table] = true;
  (void)rule;
}

static bool assign(partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  size_t gradient_of = op->result_count == 1 ? p->parameter[op->results[0]] : SIZE_MAX;
  bool product = !strcmp(op->name, "contract"), gather = !strcmp(op->name, "gather_rows"), scatter = !strcmp(op->name, "scatter_rows");
  if (!product && !gather && !scatter) return false;
  if (gather && is_param(p, op->operands[0])) {
    if (!p->assigned[op->operands[0]]) table_place(p, rule, op->operands[0]);
    follow(p, &p->now[op->operands[0]].layout, rule->operand[0], axis_label);
    return true;
  }
  if (gradient_of != SIZE_MAX && p->assigned[gradient_of] && p->flow.values[gradient_of].shape.rank == p->flow.values[op->results[0]].shape.rank) {
    follow(p, &p->now[gradient_of].layout, rule->result, axis_label);
    return true;
  }
  for (size_t k = 0; product && k < 2; k++) {
    size_t weight = op->operands[1 - k];
    if (!is_param(p, weight)) continue;
    if (!p->assigned[weight]) weight_place(p, op, rule, k, 1 - k);
    follow(p, &p->now[weight].layout, rule->operand[1 - k], axis_label);
    return true;
  }
  return false;
}

const strategy strategy_hecaton = {.name = "hecaton", .assign = assign};
