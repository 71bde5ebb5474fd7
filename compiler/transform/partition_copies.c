/* Weights whose kv heads were copied (hct-replicate-heads): reshape, product with a one-hot matrix, reshape. The strategy splits what comes
 * out, as the weight that a product reads. The parameter lies so as well, but for the axes on copied heads, which take another factor: it is
 * gathered over these once, and the sum of its gradient over copies scattered. */
#include <string.h>

#include "compiler/strategy/strategy.h"

static const hct_flow_op *maker(const partition *p, size_t value, const char *name) {
  size_t made = p->flow.values[value].op;
  return made != SIZE_MAX && !strcmp(p->flow.ops[made].name, name) ? &p->flow.ops[made] : NULL;
}

static bool is_argument(const partition *p, size_t value) { return value < p->flow.arg_count && strategy_is_param(p, value); }

/* Copies that reshape `op` gives. */
static bool copies_read(const partition *p, const hct_flow_op *op, weight_copies *out) {
  if (strcmp(op->name, "reshape")) return false;
  const hct_flow_op *product = maker(p, op->operands[0], "contract"), *source = product ? maker(p, product->operands[0], "reshape") : NULL;
  if (!source || !is_argument(p, source->operands[0]) || !maker(p, product->operands[1], "constant")) return false;
  *out = (weight_copies){.param = source->operands[0], .weight = op->results[0], .source = source, .product = product, .view = op};
  return true;
}

static bool is_backward(const hct_flow_op *op) { return !strcmp(hct_op_str_or(op->op, "hct.pass", "forward"), "backward"); }

static int64_t group_of(const hct_flow_op *op) { return hct_op_i64_or(op->op, "hct.group", 0); }

static MlirValue clone(const partition *p, const hct_flow_op *op, size_t replaced, MlirValue operand, const hct_flow_op *reader) {
  MlirOperation twin = mlirOperationClone(op->op);
  if (replaced < op->operand_count) mlirOperationSetOperand(twin, (intptr_t)replaced, operand);
  hct_op_set(twin, "hct.pass", hct_attr_str(p->context, "backward"));
  hct_op_set(twin, "hct.group", hct_attr_i64(p->context, group_of(reader)));
  mlirBlockInsertOwnedOperationBefore(p->builder.block, reader->op, twin);
  return hct_op_result(twin, 0);
}

bool partition_copies_repeat(partition *p) {
  bool any = false;
  for (size_t i = 0; i < p->flow.op_count; i++) {
    weight_copies copies;
    MlirValue again = {NULL};
    int64_t group = -1; /* in whose backward that is */
    if (is_backward(&p->flow.ops[i]) || !copies_read(p, &p->flow.ops[i], &copies)) continue;
    size_t count;
    const size_t *readers = hct_flow_readers(&p->flow, copies.weight, &count);
    for (size_t r = 0; r < count; r++) {
      const hct_flow_op *reader = &p->flow.ops[readers[r]];
      for (size_t k = 0; is_backward(reader) && k < reader->operand_count; k++) {
        if (reader->operands[k] != copies.weight) continue;
        if (mlirValueIsNull(again) || group != group_of(reader)) again = clone(p, copies.view, 0, clone(p, copies.product, 0, clone(p, copies.source, SIZE_MAX, again, reader), reader), reader);
        group = group_of(reader);
        mlirOperationSetOperand(reader->op, (intptr_t)k, again);
        any = true;
      }
    }
  }
  return any;
}

/* The copies that a value has to do with, as the parameter, the weight, or what the operators between them or the sum of the gradient give. */
static void copies_note(partition *p, size_t value, size_t number) { HCT_PUSH(p->arena, &p->copies_of[value], number); }

/* The gradient of a parameter with copies: one of the reshapes, of the product that sums theirs. */
static void gradient_mark(partition *p, weight_copies *copies, const hct_groups *reshapes) {
  for (size_t i = reshapes->first[copies->param]; i < reshapes->first[copies->param + 1]; i++) {
    const hct_flow_op *op = &p->flow.ops[reshapes->items[i]], *sum = maker(p, op->operands[0], "contract");
    for (size_t k = 0; sum && k < 2; k++) {
      const hct_flow_op *view = maker(p, sum->operands[1 - k], "constant") ? maker(p, sum->operands[k], "reshape") : NULL;
      if (!view || hct_shape_elements(&p->flow.values[view->operands[0]].shape) != hct_shape_elements(&p->flow.values[copies->weight].shape)) continue;
      copies->sum = sum, copies->summed = k;
      p->parameter[sum->results[0]] = copies->param;
      partition_mark_gradient(p, view->operands[0], copies->weight);
    }
  }
}

/* Reshapes that give a parameter's gradient, by parameter. */
static hct_groups gradient_reshapes(const partition *p) {
  size_t *params = HCT_NEW_ARRAY(p->arena, size_t, p->flow.op_count + 1);
  for (size_t i = 0; i < p->flow.op_count; i++) {
    size_t param = strcmp(p->flow.ops[i].name, "reshape") ? SIZE_MAX : p->parameter[p->flow.ops[i].results[0]];
    params[i] = param < p->flow.arg_count ? param : SIZE_MAX;
  }
  return hct_groups_create(p->arena, p->flow.arg_count, p->flow.op_count, params, NULL);
}

void partition_copies_find(partition *p) {
  p->original = HCT_NEW_ARRAY(p->arena, size_t, p->flow.value_count);
  p->copies_of = hct_arena_array(p->arena, p->flow.value_count, sizeof *p->copies_of);
  hct_groups reshapes = gradient_reshapes(p);
  for (size_t v = 0; v < p->flow.value_count; v++) p->original[v] = SIZE_MAX;
  for (size_t i = 0; i < p->flow.op_count; i++) {
    weight_copies copies;
    if (!copies_read(p, &p->flow.ops[i], &copies)) continue;
    p->original[copies.weight] = copies.param;
    gradient_mark(p, &copies, &reshapes);
    const size_t values[] = {copies.param, copies.source->results[0], copies.product->results[0], copies.weight};
    for (size_t v = 0; v < HCT_COUNT(values); v++) copies_note(p, values[v], p->copies.count);
    if (copies.sum) copies_note(p, copies.sum->results[0], p->copies.count);
    HCT_PUSH(p->arena, &p->copies, copies);
  }
}

/* ---- factors through operators ---- */
static int factor_with(const int *labels, int label) {
  for (int f = 0; label >= 0 && f < HCT_MAX_FACTORS; f++)
    if (labels[f] == label) return f;
  return -1;
}

/* The factor of the operand (of the result, when `down`) that is the same loop as `factor`; -1: none. */
static int factor_across(const partition *p, const hct_flow_op *op, size_t operand, int factor, bool down) {
  op_rule rule;
  if (factor < 0 || !partition_rule(&p->flow, op, &rule)) return -1;
  return factor_with(down ? rule.result : rule.operand[operand], (down ? rule.operand[operand] : rule.result)[factor]);
}

/* A factor of the parameter for an axis that was on copied heads: the last free one that it divides, else the largest. */
static int factor_free(const partition *p, const hct_layout *layout, hct_axis axis) {
  int best = -1, largest = -1;
  for (int f = layout->factor_count - 1; f >= 0; f--) {
    const hct_factor *factor = &layout->factors[f];
    if (factor->axis_count) continue;
    if (best < 0 && factor->size % p->sizes[axis] == 0) best = f;
    if (largest < 0 || factor->size > layout->factors[largest].size) largest = f;
  }
  return best >= 0 ? best : largest;
}

/* Where both axes were on heads, a factor that all dies divide, so that they gather it at once. -1: none. */
static int factor_for_all(const partition *p, const hct_layout *layout, const bool stays[3]) {
  if (stays[HCT_AXIS_ROW] || stays[HCT_AXIS_COL]) return -1;
  for (int f = layout->factor_count - 1; f >= 0; f--)
    if (layout->factors[f].size % (p->sizes[HCT_AXIS_ROW] * p->sizes[HCT_AXIS_COL]) == 0) return f;
  return -1;
}

static void param_place(partition *p, const weight_copies *copies) {
  hct_layout layout = partition_layout(&p->flow.values[copies->param]), *weight = &p->now[copies->weight].layout;
  bool placed[3] = {false};
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(weight, (hct_axis)axis);
    factor = factor_across(p, copies->view, 0, factor, false);
    factor = factor_across(p, copies->product, 0, factor, false);
    factor = factor_across(p, copies->source, 0, factor, false);
    if (factor >= 0) partition_add_axis(&layout, factor, (hct_axis)axis), placed[axis] = true;
  }
  int all = factor_for_all(p, &layout, placed);
  for (int axis = 1; axis < 3; axis++) {
    int factor = placed[axis] || p->sizes[axis] == 1 ? -1 : all >= 0 ? all : factor_free(p, &layout, (hct_axis)axis);
    if (factor >= 0) partition_add_axis(&layout, factor, (hct_axis)axis);
  }
  strategy_place(p, copies->param, &layout);
}

void partition_copies_place(partition *p, const hct_flow_op *op) {
  const weight_copies *copies = NULL;
  size_t made = op->results[0], count;
  for (size_t i = 0; i < p->copies_of[made].count; i++)
    if (p->copies.items[p->copies_of[made].items[i]].source == op) copies = &p->copies.items[p->copies_of[made].items[i]];
  if (!copies) return;
  for (size_t i = 0; i < p->copies_of[copies->param].count; i++) { /* the same copies, made before */
    const weight_copies *other = &p->copies.items[p->copies_of[copies->param].items[i]];
    bool same = other->param == copies->param && p->assigned[other->weight] && p->flow.values[other->weight].shape.rank == p->flow.values[copies->weight].shape.rank;
    if (!same || hct_shape_elements(&p->flow.values[other->weight].shape) != hct_shape_elements(&p->flow.values[copies->weight].shape)) continue;
    strategy_place(p, copies->weight, &p->now[other->weight].layout);
    return;
  }
  const size_t *readers = hct_flow_readers(&p->flow, copies->weight, &count);
  for (size_t r = 0; r < count; r++) {
    const hct_flow_op *reader = &p->flow.ops[readers[r]];
    op_rule rule;
    for (size_t k = 0; !strcmp(reader->name, "contract") && k < 2; k++) {
      const hct_flow_value *other = &p->flow.values[reader->operands[1 - k]];
      if (reader->operands[k] != copies->weight || p->assigned[copies->weight] || !partition_rule(&p->flow, reader, &rule)) continue;
      if (other->op != SIZE_MAX && &p->flow.ops[other->op] > op) return; /* not placed yet: copied as any value is */
      p->strategy->place_weight(p, reader, &rule, k);
      if (!p->assigned[copies->param]) param_place(p, copies);
    }
  }
}

bool partition_copies_assign(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  for (size_t i = 0; i < p->copies_of[op->results[0]].count; i++) {
    const weight_copies *copies = &p->copies.items[p->copies_of[op->results[0]].items[i]];
    if ((op != copies->product && op != copies->sum) || !p->assigned[copies->weight]) continue;
    for (int axis = 1; axis < 3; axis++) {
      const hct_layout *summed = op == copies->sum ? &p->now[op->operands[copies->summed]].layout : NULL;
      int factor = summed ? partition_axis_factor(summed, (hct_axis)axis) : factor_across(p, copies->view, 0, partition_axis_factor(&p->now[copies->weight].layout, (hct_axis)axis), false);
      axis_label[axis] = factor < 0 ? -1 : summed ? rule->operand[copies->summed][factor] : rule->result[factor];
      if (!summed || factor >= 0) continue;
      factor = factor_across(p, copies->source, 0, partition_axis_factor(&p->now[copies->param].layout, (hct_axis)axis), true);
      axis_label[axis] = factor < 0 ? -1 : rule->result[factor];
    }
    return true;
  }
  return false;
}

int64_t partition_copies_in(const partition *p, const hct_flow_op *op) {
  const size_t values[] = {op->results[0], op->operands[0], op->operands[1], p->parameter[op->results[0]]};
  for (size_t v = 0; v < HCT_COUNT(values); v++)
    for (size_t i = 0; values[v] != SIZE_MAX && i < p->copies_of[values[v]].count; i++) {
      const weight_copies *copies = &p->copies.items[p->copies_of[values[v]].items[i]];
      if (v == 0 && (op == copies->product || op == copies->sum)) return 0;
      if (v > 0 && values[v] == copies->weight) return hct_shape_elements(&p->flow.values[copies->weight].shape) / hct_shape_elements(&p->flow.values[copies->param].shape);
    }
  return 1;
}
