#include "compiler/strategy/strategy.h"

#include <string.h>

static const struct { const char *name; const strategy *strategy; } strategies[] = {
#define HCT_STRATEGY(name, symbol, doc) {name, &symbol},
#include "compiler/strategy/strategies.def"
#undef HCT_STRATEGY
};

const strategy *strategy_find(const char *name) {
  for (size_t i = 0; i < HCT_COUNT(strategies); i++)
    if (!strcmp(strategies[i].name, name)) return strategies[i].strategy;
  return NULL;
}

const char *strategy_names(hct_arena *arena) {
  const char *names = strategies[0].name;
  for (size_t i = 1; i < HCT_COUNT(strategies); i++) names = hct_arena_printf(arena, "%s, %s", names, strategies[i].name);
  return names;
}

int64_t strategy_head_parts(const strategy *chosen, const hct_pass_context *pass, int64_t heads) {
  bool columns = strcmp(hct_pass_option(pass, "orientation", "columns"), "rows") != 0; /* features over columns where a block begins */
  int64_t rows = pass->package.rows, cols = pass->package.cols, parts = columns == (chosen->heads == HEADS_ON_FEATURE_AXIS) ? cols : rows;
  if (chosen->heads == HEADS_ON_ALL) parts = heads % (rows * cols) == 0 ? rows * cols : rows;
  return heads % parts ? 1 : parts;
}

bool strategy_is_param(const partition *p, size_t value) {
  if (value >= p->flow.arg_count) return p->original && p->original[value] != SIZE_MAX;
  MlirAttribute attribute = hct_function_arg_attr(p->flow.function, value, "hct.role");
  const char *role = mlirAttributeIsNull(attribute) ? "" : hct_attr_text(attribute);
  return !strcmp(role, "param") || !strcmp(role, "copy");
}

/* Loops of the axes that split `layout`, whose factors have these labels. */
static void follow(const hct_layout *layout, const int *labels, int axis_label[3]) {
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(layout, (hct_axis)axis);
    axis_label[axis] = factor >= 0 ? labels[factor] : -1;
  }
}

int strategy_choose_factor(const partition *p, const op_rule *rule, size_t weight, const int *labels, const hct_layout *layout, hct_axis axis, const bool allowed[HCT_MAX_FACTORS]) {
  int best = -1;
  for (int f = 0; f < layout->factor_count; f++) {
    if (!allowed[f] || labels[f] < 0 || layout->factors[f].axis_count || p->cut[weight * HCT_MAX_FACTORS + (size_t)f] || !partition_can_split(p, rule, labels[f], axis)) continue;
    if (layout->factors[f].size % p->sizes[axis] == 0) return f;
    if (best < 0 || layout->factors[f].size > layout->factors[best].size) best = f;
  }
  return best;
}

void strategy_summed(const op_rule *rule, const int *labels, bool out_summed[HCT_MAX_FACTORS], bool out_kept[HCT_MAX_FACTORS]) {
  for (int f = 0; f < HCT_MAX_FACTORS; f++) {
    out_summed[f] = labels[f] >= 0 && rule->labels[labels[f]].kind == LABEL_SUM;
    out_kept[f] = !out_summed[f];
  }
}

void strategy_place(partition *p, size_t param, const hct_layout *layout) {
  p->now[param].layout = *layout;
  p->assigned[param] = true;
}

void strategy_split(const partition *p, const op_rule *rule, size_t weight, const int *labels, const bool allowed[HCT_MAX_FACTORS], hct_axis axis, hct_layout *layout) {
  int factor = p->sizes[axis] > 1 ? strategy_choose_factor(p, rule, weight, labels, layout, axis, allowed) : -1;
  if (factor >= 0) partition_add_axis(layout, factor, axis);
}

void strategy_table_place(partition *p, size_t table) {
  hct_layout layout = partition_layout(&p->flow.values[table]);
  if (p->sizes[p->token_axis] > 1) partition_add_axis(&layout, 0, p->token_axis);
  for (int f = 1; f < layout.factor_count; f++)
    if (layout.factors[f].size > 1 && p->sizes[p->feature_axis] > 1 && partition_axis_factor(&layout, p->feature_axis) < 0) partition_add_axis(&layout, f, p->feature_axis);
  strategy_place(p, table, &layout);
}

/* The placed parameter whose gradient the operator makes in its shape; SIZE_MAX: none. */
static size_t gradient_of(const partition *p, const hct_flow_op *op) {
  size_t param = op->result_count == 1 ? p->parameter[op->results[0]] : SIZE_MAX;
  bool alike = param != SIZE_MAX && p->assigned[param] && p->flow.values[param].shape.rank == p->flow.values[op->results[0]].shape.rank;
  return alike ? param : SIZE_MAX;
}

static size_t weight_operand(const partition *p, const hct_flow_op *op) {
  for (size_t k = 2; k-- > 0;)
    if (strategy_is_param(p, op->operands[k])) return k;
  return SIZE_MAX;
}

bool strategy_assign(partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  bool product = !strcmp(op->name, "contract"), gather = !strcmp(op->name, "gather_rows"), scatter = !strcmp(op->name, "scatter_rows");
  if (!product && !gather && !scatter) return false;
  size_t gradient = gradient_of(p, op), operand = gather ? 0 : product ? weight_operand(p, op) : SIZE_MAX;
  if (gather && !strategy_is_param(p, op->operands[0])) operand = SIZE_MAX;
  if (gradient != SIZE_MAX) {
    follow(&p->now[gradient].layout, rule->result, axis_label);
  } else if (operand != SIZE_MAX) {
    size_t param = op->operands[operand];
    if (!p->assigned[param] && gather) p->strategy->place_table(p, param);
    if (!p->assigned[param]) p->strategy->place_weight(p, op, rule, operand);
    follow(&p->now[param].layout, rule->operand[operand], axis_label);
  } else {
    return false;
  }
  if (product && p->strategy->adjust) p->strategy->adjust(p, op, rule, axis_label);
  return true;
}
