/* hct-partition
 *
 *   %y = "hct_graph.contract"(%x, %w) {spec = "bsk,nk->bsn"}
 * becomes
 *   %0 = "hct_graph.all_gather"(%x) {axis = "r", hct.sharding = ["[4@t,16,8@c]"]}
 *   %1 = "hct_graph.contract"(%0, %w) {..., hct.sharding = ["[4@t,16,6@r] sum(c)"]}
 *   %y = "hct_graph.reduce_scatter"(%1) {axis = "c", hct.sharding = ["[4@tc,16,6@r]"]}
 *
 * In topological order, each operator gets for each mesh axis one of its loops, or none: from the strategy where it touches a
 * parameter, else what costs least time in collectives and compute. Time (micro-batches) is a third axis, seeded on dimension 0 of the
 * inputs and forced on every loop that it reaches. */
#include "compiler/analysis/workload.h"
#include "compiler/analysis/workload_relaxed.h"
#include "compiler/strategy/strategy.h"
#include "ir/dialect/piece.h"

#include <string.h>

static const char *arg_role(const hct_flow *flow, size_t arg) {
  MlirAttribute role = hct_function_arg_attr(flow->function, arg, "hct.role");
  return mlirAttributeIsNull(role) ? "" : hct_attr_text(role);
}

static const char *text_of(partition *p, const hct_layout *layout) {
  hct_text text = {0};
  hct_layout_print(layout, &text);
  const char *copy = hct_arena_strdup(p->arena, text.data);
  hct_text_fini(&text);
  return copy;
}

/* ---- set-up ---- */
static hct_status choose_strategy(partition *p) {
  const char *name = hct_pass_option(p->pass, "strategy", "hecaton");
  p->strategy = strategy_find(name);
  if (p->strategy) return HCT_OK;
  return hct_error(p->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--strategy=%s: it must be one of %s", name, strategy_names(p->arena));
}

int64_t partition_batch(const hct_flow *flow) {
  for (size_t a = 0; a < flow->arg_count; a++)
    if (!strcmp(arg_role(flow, a), "input") && flow->values[a].shape.rank > 0) return flow->values[a].shape.dims[0];
  return 1;
}

static hct_status choose_micro_batch(partition *p) {
  p->batch = partition_batch(&p->flow);
  const char *text = hct_pass_option(p->pass, "micro-batch", "auto");
  p->micro_batch = p->batch;
  if (!strcmp(text, "auto")) return HCT_OK;
  if (!hct_parse_i64(text, &p->micro_batch) || p->micro_batch < 1) return hct_error(p->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--micro-batch=%s: it must be 'auto' or a whole number of at least 1", text);
  if (p->micro_batch > p->batch) {
    hct_remark(p->pass->diags, (hct_loc){0}, "--micro-batch=%s: the batch has %lld samples, all of them are in flight", text, (long long)p->batch);
    p->micro_batch = p->batch;
  }
  return HCT_OK;
}

static bool is_batched_input(const hct_flow *flow, size_t arg, int64_t batch) {
  const hct_flow_value *v = &flow->values[arg];
  return !strcmp(arg_role(flow, arg), "input") && v->shape.rank > 0 && v->shape.dims[0] == batch;
}

/* Whether an operand that is the same for all samples goes along the loop of the samples: then it cannot be cut as they are. Constants are placed
 * as they are wanted, and what a broadcast repeats is made by micro-batch. */
static bool is_cut_by_samples(const hct_flow *flow, size_t value, const int *labels, int label) {
  const hct_flow_op *maker = flow->values[value].op == SIZE_MAX ? NULL : &flow->ops[flow->values[value].op];
  int factor = 0;
  op_rule rule;
  while (factor < HCT_MAX_FACTORS && labels[factor] != label) factor++;
  if (factor == HCT_MAX_FACTORS || (maker && !strcmp(maker->name, "constant"))) return false;
  if (!maker || strcmp(maker->name, "broadcast") || !partition_rule(flow, maker, &rule)) return true;
  for (int f = 0; f < HCT_MAX_FACTORS; f++)
    if (rule.operand[0][f] == rule.result[factor]) return true;
  return false;
}

const hct_flow_op *partition_find_mixing(const hct_flow *flow, int64_t batch, int *out_time) {
  for (size_t a = 0; a < flow->arg_count; a++) out_time[a] = is_batched_input(flow, a, batch);
  for (size_t i = 0; i < flow->op_count; i++) {
    const hct_flow_op *op = &flow->ops[i];
    op_rule rule;
    int label = -1;
    bool timed = false, covered = op->result_count == 1 && partition_rule(flow, op, &rule);
    for (size_t k = 0; k < op->operand_count; k++) {
      if (!out_time[op->operands[k]]) continue;
      int here = covered ? rule.operand[k][out_time[op->operands[k]] - 1] : -1;
      bool unit = batch == 1; /* a batch of one sample has no loop */
      if (!covered || (here < 0 && !unit) || (timed && here != label)) return op;
      label = here, timed = true;
    }
    if (!timed || label < 0) continue;
    for (size_t k = 0; k < op->operand_count && batch > 1; k++)
      if (!out_time[op->operands[k]] && is_cut_by_samples(flow, op->operands[k], rule.operand[k], label)) return op;
    bool lookup = !strcmp(op->name, "gather_rows") || !strcmp(op->name, "pick");
    bool kept = false;
    for (int f = 0; f < HCT_MAX_FACTORS && !kept; f++)
      if (rule.result[f] == label) out_time[op->results[0]] = f + 1, kept = true;
    label_kind kind = rule.labels[label].kind;
    if (kind == LABEL_WHOLE || kind == LABEL_EXACT || (lookup && kind == LABEL_SUM) || (!kept && kind != LABEL_SUM)) return op;
  }
  return NULL;
}

static void seed_arguments(partition *p) {
  const hct_flow_op *mixing = partition_find_mixing(&p->flow, p->batch, HCT_NEW_ARRAY(p->arena, int, p->flow.value_count));
  for (size_t v = 0; v < p->flow.value_count; v++) p->now[v] = (sharded){p->flow.values[v].value, partition_layout(&p->flow.values[v])};
  for (size_t a = 0; a < p->flow.arg_count; a++) {
    if (!mixing && p->batch > 1 && is_batched_input(&p->flow, a, p->batch)) partition_add_axis(&p->now[a].layout, 0, HCT_AXIS_TIME);
  }
  if (!mixing) return;
  if (p->micro_batch != p->batch) hct_remark(p->pass->diags, hct_loc_of(p->arena, mixing->op), "%s mixes samples: the whole batch of %lld is in flight", mixing->name, (long long)p->batch);
  p->micro_batch = p->batch;
}

void partition_mark_gradient(partition *p, size_t value, size_t param) {
  if (p->parameter[value] != SIZE_MAX) return;
  p->parameter[value] = param;
  size_t index = p->flow.values[value].op;
  if (index == SIZE_MAX) return;
  const hct_flow_op *op = &p->flow.ops[index];
  bool sum = !strcmp(op->name, "map2") && !strcmp(hct_op_str(op->op, "fn"), "add");
  for (size_t k = 0; sum && k < op->operand_count; k++) partition_mark_gradient(p, op->operands[k], param);
}

static void mark_gradients(partition *p) {
  for (size_t v = 0; v < p->flow.value_count; v++) p->parameter[v] = SIZE_MAX;
  for (size_t i = 0; i < p->flow.op_count; i++)
    if (!strcmp(p->flow.ops[i].name, "update")) partition_mark_gradient(p, p->flow.ops[i].operands[1], hct_flow_copy_of(&p->flow, p->flow.ops[i].operands[0]));
  for (size_t r = 0; r < p->flow.returned_count; r++) {
    MlirAttribute role = hct_function_result_attr(p->flow.function, r, "hct.role"), name = hct_function_result_attr(p->flow.function, r, "hct.name");
    if (mlirAttributeIsNull(role) || strcmp(hct_attr_text(role), "gradient")) continue;
    for (size_t a = 0; a < p->flow.arg_count; a++) {
      MlirAttribute arg = hct_function_arg_attr(p->flow.function, a, "hct.name");
      if (!strcmp(arg_role(&p->flow, a), "param") && !strcmp(hct_attr_text(arg), hct_attr_text(name))) partition_mark_gradient(p, p->flow.returned[r], a);
    }
  }
}

/* Factors that some slice, concat or pad goes along (the 3 of a fused qkv, the halves of rotary embeddings), carried over every operator
 * that shares them: a weight that is split there would have to be gathered at the cut. */
static bool spread_cuts(partition *p, const hct_flow_op *op) {
  op_rule rule;
  bool marked[MAX_LABELS] = {false}, changed = false;
  if (op->result_count != 1 || !partition_rule(&p->flow, op, &rule)) return false;
  bool cuts = (!strcmp(op->name, "slice") && !hct_op_has(op->op, "hct.whole")) || !strcmp(op->name, "concat") || !strcmp(op->name, "pad");
  for (int l = 0; l < rule.label_count; l++) marked[l] = cuts && rule.labels[l].kind == LABEL_WHOLE;
  for (int pass = 0; pass < 2; pass++) /* collect, then spread */
    for (size_t k = 0; k <= op->operand_count; k++) {
      const int *labels = k < op->operand_count ? rule.operand[k] : rule.result;
      bool *cut = &p->cut[(k < op->operand_count ? op->operands[k] : op->results[0]) * HCT_MAX_FACTORS];
      for (int f = 0; f < HCT_MAX_FACTORS; f++) {
        if (labels[f] < 0) continue;
        if (pass == 0) marked[labels[f]] |= cut[f];
        else if (marked[labels[f]] && !cut[f]) cut[f] = changed = true;
      }
    }
  return changed;
}

static void mark_cuts(partition *p) {
  p->cut = HCT_NEW_ARRAY(p->arena, bool, p->flow.value_count * HCT_MAX_FACTORS);
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < p->flow.op_count; i++) changed |= spread_cuts(p, &p->flow.ops[i]);
    for (size_t i = p->flow.op_count; i-- > 0;) changed |= spread_cuts(p, &p->flow.ops[i]);
  }
}

/* Factors that a softmax will want whole, carried back over what is elementwise: the keys of scores. */
static void mark_rows(partition *p) {
  p->row = HCT_NEW_ARRAY(p->arena, bool, p->flow.value_count * HCT_MAX_FACTORS);
  for (size_t i = p->flow.op_count; i-- > 0;) {
    const hct_flow_op *op = &p->flow.ops[i];
    op_rule rule;
    bool softmax = !strncmp(op->name, "softmax", 7), passes = !strncmp(op->name, "map", 3) || !strcmp(op->name, "select") || !strcmp(op->name, "dropout") || !strcmp(op->name, "concat");
    if ((!softmax && !passes) || !partition_rule(&p->flow, op, &rule)) continue;
    for (size_t k = 0; k < op->operand_count; k++)
      for (int f = 0; f < HCT_MAX_FACTORS; f++)
        for (int g = 0; g < HCT_MAX_FACTORS && rule.operand[k][f] >= 0; g++)
          if (rule.result[g] == rule.operand[k][f] && (softmax ? rule.labels[rule.result[g]].kind == LABEL_WHOLE : p->row[op->results[0] * HCT_MAX_FACTORS + (size_t)g]))
            p->row[op->operands[k] * HCT_MAX_FACTORS + (size_t)f] = true;
  }
}

static bool becomes_row(const partition *p, const hct_flow_op *op, const op_rule *rule, int label) {
  for (int f = 0; f < HCT_MAX_FACTORS; f++)
    if (label >= 0 && rule->result[f] == label && p->row[op->results[0] * HCT_MAX_FACTORS + (size_t)f]) return true;
  return false;
}

/* ---- one operator ---- */
/* Of the whole batch. A loop that time cuts has a micro-batch's samples at once: more dies than those have no part of them. */
static double compute_seconds(const partition *p, const hct_flow_op *op, const op_rule *rule, const int axis_label[3]) {
  const hct_package *package = &p->pass->package;
  double work = 1;
  for (int l = 0; l < rule->label_count; l++) {
    bool timed = axis_label[HCT_AXIS_TIME] == l;
    int64_t extent = timed ? p->micro_batch : rule->labels[l].size;
    for (int axis = 1; axis < 3; axis++)
      if (axis_label[axis] == l) extent = (extent + p->sizes[axis] - 1) / p->sizes[axis]; /* by one axis, then by the other */
    work *= timed ? (double)extent * (double)rule->labels[l].size / (double)p->micro_batch : (double)extent;
  }
  double mxu = (double)(package->mxu_arrays * package->mxu_rows * package->mxu_cols) * (p->flow.values[op->operands[0]].shape.dtype == HCT_F32 ? package->mxu_f32_rate : 1);
  double rate = !strcmp(op->name, "contract") ? mxu : (double)package->vpu_lanes;
  return work / (rate * package->clock_hz);
}

static bool has_partial(const partition *p, size_t value) { return (p->now[value].layout.partial_axes & 6) != 0; }

static bool free_param(const partition *p, size_t value) { return strategy_is_param(p, value) && !p->assigned[value]; }

static bool same_shape(const hct_shape *a, const hct_shape *b) { return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0; }

static bool is_add(const hct_flow_op *op) { return !strcmp(op->name, "map2") && !strcmp(hct_op_str(op->op, "fn"), "add"); }

static size_t sum_leaves(const partition *p, size_t value, bool *padded) {
  size_t made = p->flow.values[value].op;
  const hct_flow_op *op = made == SIZE_MAX ? NULL : &p->flow.ops[made];
  if (op && p->flow.uses[value] == 1 && !strcmp(op->name, "pad")) *padded = true;
  if (!op || p->flow.uses[value] != 1 || !is_add(op)) return 1;
  return sum_leaves(p, op->operands[0], padded) + sum_leaves(p, op->operands[1], padded);
}

static size_t padded_leaves(const partition *p, const hct_flow_op *add) {
  bool padded = false;
  size_t leaves = sum_leaves(p, add->operands[0], &padded) + sum_leaves(p, add->operands[1], &padded);
  return padded ? leaves : 1;
}

/* How many values are added, and reduced at once, with `value`: the gradients of overlapping parts, padded to one size. */
static size_t summed_together(const partition *p, size_t value) {
  const hct_flow_op *add = NULL;
  while (p->flow.uses[value] == 1 && p->flow.only_user[value] != SIZE_MAX) {
    const hct_flow_op *user = &p->flow.ops[p->flow.only_user[value]];
    if (!is_add(user) && strcmp(user->name, "pad")) break;
    if (is_add(user)) add = user;
    value = user->results[0];
  }
  if (!add) return 1;
  size_t *together = &p->together[add->results[0]];
  if (!*together) *together = padded_leaves(p, add);
  return *together;
}

static double assignment_seconds(const partition *p, const hct_flow_op *op, const op_rule *rule, const int axis_label[3]) {
  double seconds = compute_seconds(p, op, rule, axis_label);
  for (size_t k = 0; k < op->operand_count; k++) {
    if (free_param(p, op->operands[k])) continue;
    hct_layout wanted = partition_under(&p->flow.values[op->operands[k]], rule, rule->operand[k], axis_label, false);
    seconds += partition_reshard_cost(p, op->operands[k], &wanted);
  }
  hct_layout result = partition_under(&p->flow.values[op->results[0]], rule, rule->result, axis_label, true);
  if (!(result.partial_axes & 6)) return seconds;
  double element_bytes = (double)hct_dtype_bytes(p->flow.values[op->results[0]].shape.dtype) / (double)summed_together(p, op->results[0]);
  for (int axis = 1; axis < 3; axis++)
    if (result.partial_axes >> axis & 1) {
      double elements = (double)hct_layout_elements(&result), size = (double)p->sizes[axis];
      int other = axis == 1 ? 2 : 1;
      if (partition_axis_factor(&result, (hct_axis)other) >= 0) elements /= (double)p->sizes[other];
      seconds += 1.5 * (size - 1) / size * elements * element_bytes / p->pass->package.link_bandwidth_bytes_per_s + (size - 1) * p->pass->package.link_latency_s;
    }
  return seconds;
}

/* An axis is used where an operand is split or partial over it already: slicing what all dies hold saves little and is gathered again. */
static bool axis_in_use(const partition *p, const hct_flow_op *op, hct_axis axis) {
  for (size_t k = 0; k < op->operand_count; k++) {
    const hct_layout *layout = &p->now[op->operands[k]].layout;
    if (partition_axis_factor(layout, axis) >= 0 || (layout->partial_axes >> axis & 1)) return true;
  }
  return false;
}

static bool both_in_use(const partition *p, const hct_flow_op *op, const op_rule *rule, int label) {
  for (size_t k = 0; k < op->operand_count; k++) {
    const hct_layout *layout = &p->now[op->operands[k]].layout;
    int row = partition_axis_factor(layout, HCT_AXIS_ROW), col = partition_axis_factor(layout, HCT_AXIS_COL);
    if (row >= 0 && row == col && rule->operand[k][row] == label) return true;
  }
  return false;
}

static void choose_cheapest(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  double best = 0;
  int chosen[3] = {axis_label[0], -1, -1}, candidate[3] = {axis_label[0], -1, -1};
  bool any = false;
  for (int r = -1; r < rule->label_count; r++) {
    if (r >= 0 && (!partition_can_split(p, rule, r, HCT_AXIS_ROW) || !axis_in_use(p, op, HCT_AXIS_ROW) || becomes_row(p, op, rule, r))) continue;
    for (int c = -1; c < rule->label_count; c++) {
      /* one loop over both axes only where an operand is split so: leaving the major one alone again is no all-gather of contiguous parts */
      if (c >= 0 && (!partition_can_split(p, rule, c, HCT_AXIS_COL) || !axis_in_use(p, op, HCT_AXIS_COL) || becomes_row(p, op, rule, c) || (c == r && (!partition_can_split_both(p, rule, c) || !both_in_use(p, op, rule, c))))) continue;
      candidate[1] = r, candidate[2] = c;
      double seconds = assignment_seconds(p, op, rule, candidate);
      if (any && seconds >= best * (1 - 1e-9)) continue;
      best = seconds, any = true;
      memcpy(chosen, candidate, sizeof chosen);
    }
  }
  memcpy(axis_label, chosen, sizeof chosen);
}

/* ---- operators that make much of little: the loss' one-hot gradient ---- */
/* A value of this shape that has its place by now: `value`, or what it is made from elementwise. SIZE_MAX: none. */
static size_t placed_like(const partition *p, size_t value, const hct_shape *shape, size_t before) {
  for (int steps = 0; steps < 8; steps++) {
    size_t made = p->flow.values[value].op, next = SIZE_MAX;
    if (!same_shape(&p->flow.values[value].shape, shape)) return SIZE_MAX;
    if (made == SIZE_MAX || made < before) return value;
    const hct_flow_op *op = &p->flow.ops[made];
    for (size_t k = 0; !strncmp(op->name, "map", 3) && k < op->operand_count; k++)
      if (same_shape(&p->flow.values[op->operands[k]].shape, shape)) next = op->operands[k];
    if (next == SIZE_MAX) return SIZE_MAX;
    value = next;
  }
  return SIZE_MAX;
}

/* The logits of which `pick` takes what this `place` puts back, or others of their shape, since labels that are made again are other values; SIZE_MAX: they have
 * no place yet. */
static size_t picked_from(const partition *p, const hct_flow_op *op) {
  if (strcmp(op->name, "place")) return SIZE_MAX;
  for (const hct_flow_op *pick = op; pick-- > p->flow.ops;)
    if (!strcmp(pick->name, "pick") && same_shape(&p->flow.values[pick->operands[0]].shape, &p->flow.values[op->results[0]].shape)) return pick->operands[0];
  return SIZE_MAX;
}

/* Where no operand is split, a split of the result is free: it lies as what it meets at its only reader. */
static bool follow_sibling(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  size_t result = op->results[0], user = p->flow.uses[result] == 1 ? p->flow.only_user[result] : SIZE_MAX;
  if (user == SIZE_MAX || strcmp(p->flow.ops[user].name, "map2") || axis_in_use(p, op, HCT_AXIS_ROW) || axis_in_use(p, op, HCT_AXIS_COL)) return false;
  size_t other = p->flow.ops[user].operands[p->flow.ops[user].operands[0] == result], like = placed_like(p, other, &p->flow.values[result].shape, (size_t)(op - p->flow.ops));
  if (like == SIZE_MAX) like = picked_from(p, op);
  if (like == SIZE_MAX) return false;
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(&p->now[like].layout, (hct_axis)axis), label = factor >= 0 ? rule->result[factor] : -1;
    axis_label[axis] = partition_can_split(p, rule, label, (hct_axis)axis) ? label : -1;
  }
  return (axis_label[1] >= 0 || axis_label[2] >= 0) && (axis_label[1] != axis_label[2] || partition_can_split_both(p, rule, axis_label[1]));
}

/* The loop that time is on: that of any operand's factor split over t. */
static int time_label(const partition *p, const hct_flow_op *op, const op_rule *rule) {
  for (size_t k = 0; k < op->operand_count; k++) {
    int factor = partition_axis_factor(&p->now[op->operands[k]].layout, HCT_AXIS_TIME);
    if (factor >= 0 && rule->operand[k][factor] >= 0) return rule->operand[k][factor];
  }
  return -1;
}

/* Views of values that are partial, or whose every split goes through, follow their operand. Of hct.whole ones the splits follow that go
 * through: what is gathered stays whole. */
static bool follow_operand(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  const hct_layout *layout = &p->now[op->operands[0]].layout;
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(layout, (hct_axis)axis), label = factor >= 0 ? rule->operand[0][factor] : -1;
    bool passes = factor < 0 || partition_can_split(p, rule, label, (hct_axis)axis);
    if (!passes && !hct_op_has(op->op, "hct.whole")) return false;
    axis_label[axis] = passes ? label : -1;
  }
  return axis_label[1] < 0 || axis_label[1] != axis_label[2] || partition_can_split_both(p, rule, axis_label[1]);
}

/* Keys or values that are cut for a block lie as the product that reads them wants them beside its other operand, so that they move once, before
 * they are cut, and not block by block. */
static bool follow_reader(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  size_t result = op->results[0], user = p->flow.uses[result] > 0 && hct_op_has(op->op, "hct.whole") ? p->flow.only_user[result] : SIZE_MAX, count;
  op_rule reader;
  if (user != SIZE_MAX) user = hct_flow_readers(&p->flow, result, &count)[0]; /* the first: gradients come later */
  if (user == SIZE_MAX || strcmp(p->flow.ops[user].name, "contract") || !partition_rule(&p->flow, &p->flow.ops[user], &reader)) return false;
  size_t mine = p->flow.ops[user].operands[1] == result, other = p->flow.ops[user].operands[1 - mine], made = p->flow.values[other].op;
  if (made == SIZE_MAX || made >= (size_t)(op - p->flow.ops)) return false;
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(&p->now[other].layout, (hct_axis)axis), label = factor >= 0 ? reader.operand[1 - mine][factor] : -1;
    axis_label[axis] = -1;
    for (int f = 0; label >= 0 && f < HCT_MAX_FACTORS; f++)
      if (reader.operand[mine][f] == label && partition_can_split(p, rule, rule->result[f], (hct_axis)axis)) axis_label[axis] = rule->result[f];
  }
  return axis_label[1] < 0 || axis_label[1] != axis_label[2] || partition_can_split_both(p, rule, axis_label[1]);
}

/* A view of a parameter that nothing has placed yet (position embeddings): features as the embedding's. */
static void features_over_axis(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]) {
  const hct_flow_value *v = &p->flow.values[op->operands[0]];
  if (v->shape.rank == 0) return;
  axis_label[1] = axis_label[2] = -1;
  if (p->strategy->flat) return; /* activations between blocks are not split over features */
  int label = rule->operand[0][hct_flow_factor_at(v, v->shape.rank - 1)];
  axis_label[1] = axis_label[2] = -1;
  if (partition_can_split(p, rule, label, p->feature_axis)) axis_label[p->feature_axis] = label;
}

static void set_result(partition *p, const hct_flow_op *op, size_t index, const hct_layout *layout) {
  p->now[op->results[index]].layout = *layout;
  if (p->original[op->results[index]] != SIZE_MAX) p->assigned[op->results[index]] = true; /* copied heads that no product reads lie where they were made */
}

static void write_shardings(partition *p, const hct_flow_op *op) {
  const char *texts[8];
  for (size_t k = 0; k < op->result_count; k++) texts[k] = text_of(p, &p->now[op->results[k]].layout);
  hct_op_set(op->op, "hct.sharding", hct_attr_strs(p->context, op->result_count, texts));
}

static void use_operand(partition *p, const hct_flow_op *op, size_t k, const hct_layout *wanted, bool fallback) {
  size_t value = op->operands[k];
  if (free_param(p, value)) {
    p->now[value].layout = *wanted;
    p->assigned[value] = true;
  }
  mlirOperationSetOperand(op->op, (intptr_t)k, partition_reshard(p, value, wanted, op, fallback));
}

/* A split that no loop can carry: the operand is gathered, and counted, unless that is wanted (the keys of attention). */
static bool is_fallback(const partition *p, const hct_flow_op *op, const op_rule *rule, size_t k) {
  if (hct_op_has(op->op, "hct.whole")) return false;
  const hct_layout *layout = &p->now[op->operands[k]].layout;
  for (int axis = 1; axis < 3; axis++) {
    int factor = partition_axis_factor(layout, (hct_axis)axis), label = factor >= 0 ? rule->operand[k][factor] : -1;
    if (factor >= 0 && !partition_can_split(p, rule, label, (hct_axis)axis)) return true;
  }
  int row = partition_axis_factor(layout, HCT_AXIS_ROW), col = partition_axis_factor(layout, HCT_AXIS_COL);
  if (row >= 0 && row == col) return !partition_can_split_both(p, rule, rule->operand[k][row]);
  return false;
}

/* Whether the value's only reader is a sum of the same fusion group: then it is the sum that is added up over micro-batches, in one
 * accumulator for all that it is the sum of. */
static bool meets_sum_in_group(const partition *p, const hct_flow_op *op, size_t value) {
  if (p->flow.uses[value] != 1 || p->flow.only_user[value] == SIZE_MAX) return false;
  const hct_flow_op *user = &p->flow.ops[p->flow.only_user[value]];
  return is_add(user) && p->now[value].layout.partial == HCT_PARTIAL_SUM && hct_op_i64_or(user->op, "hct.group", -1) == hct_op_i64_or(op->op, "hct.group", -2) &&
         !strcmp(hct_op_str_or(user->op, "hct.pass", ""), hct_op_str_or(op->op, "hct.pass", ""));
}

/* Both operands of a sum are partial over the same axes and split alike: it stays partial. */
static bool sum_stays_partial(partition *p, const hct_flow_op *op) {
  if (!is_add(op)) return false;
  const hct_layout *a = &p->now[op->operands[0]].layout, *b = &p->now[op->operands[1]].layout;
  if (!a->partial_axes || !hct_layout_equal(a, b) || a->partial != HCT_PARTIAL_SUM) return false;
  hct_layout layout = *a;
  for (size_t k = 0; k < 2; k++) use_operand(p, op, k, &layout, false);
  set_result(p, op, 0, &layout);
  return true;
}

/* Whether the sum that reads `op`'s result is in another fusion group or pass, as those of the pieces of a weight (hct-split-weights) are: what waits for it in
 * DRAM is then not what each die has of it. */
static bool piece_waits(const partition *p, const hct_flow_op *op, const hct_flow_op *sum) {
  hct_piece piece;
  bool of_piece = false;
  if (hct_op_i64_or(sum->op, "hct.group", -1) == hct_op_i64_or(op->op, "hct.group", -1) && !strcmp(hct_op_str_or(sum->op, "hct.pass", ""), hct_op_str_or(op->op, "hct.pass", ""))) return false;
  for (size_t k = 0; k < op->operand_count; k++) {
    size_t read = op->operands[k], made = p->flow.values[read].op;
    if (made != SIZE_MAX && !strcmp(p->flow.ops[made].name, "transpose")) read = p->flow.ops[made].operands[0];
    MlirAttribute name = read < p->flow.arg_count ? hct_function_arg_attr(p->flow.function, read, "hct.name") : mlirAttributeGetNull();
    of_piece |= !mlirAttributeIsNull(name) && hct_piece_parse(p->arena, hct_attr_text(name), &piece);
  }
  return of_piece;
}

/* What is partial is reduced at once, but for sums that meet their like, views, and attention's products, whose reader decides. */
static void resolve_result(partition *p, const hct_flow_op *op, bool by_strategy) {
  size_t value = op->results[0];
  p->builder.before = mlirOperationGetNextInBlock(op->op);
  if ((p->now[value].layout.partial_axes & 1) && !meets_sum_in_group(p, op, value)) partition_resolve(p, value, HCT_AXIS_TIME, false, op);
  if (!has_partial(p, value)) return;
  bool meets_sum = p->flow.uses[value] == 1 && p->flow.only_user[value] != SIZE_MAX && is_add(&p->flow.ops[p->flow.only_user[value]]);
  bool gradient = p->parameter[value] != SIZE_MAX;
  if (meets_sum && piece_waits(p, op, &p->flow.ops[p->flow.only_user[value]])) meets_sum = false;
  if (!gradient && meets_sum && (by_strategy || is_add(op))) return;
  if (gradient || (!by_strategy && !is_add(op) && strcmp(op->name, "reduce") && strcmp(op->name, "pick"))) return;
  bool scatter = by_strategy || is_add(op);
  if (scatter) partition_resolve_flat(p, value, op);
  for (int axis = 1; axis < 3; axis++) partition_resolve(p, value, (hct_axis)axis, scatter, op);
}

static void resolve_operands(partition *p, const hct_flow_op *op) {
  for (size_t k = 0; k < op->operand_count; k++) {
    partition_resolve(p, op->operands[k], HCT_AXIS_TIME, false, op); /* what met no sum of its like */
    if (is_add(op) && p->parameter[op->operands[k]] == SIZE_MAX) partition_resolve_flat(p, op->operands[k], op);
    for (int axis = 1; axis < 3; axis++)
      if (is_add(op) && p->parameter[op->operands[k]] == SIZE_MAX) partition_resolve(p, op->operands[k], (hct_axis)axis, true, op);
  }
}

static void partition_op(partition *p, const hct_flow_op *op) {
  op_rule rule;
  p->builder.before = op->op;
  if (!strcmp(op->name, "constant")) return;
  partition_copies_place(p, op);
  if (sum_stays_partial(p, op)) {
    write_shardings(p, op);
    resolve_result(p, op, false);
    return;
  }
  resolve_operands(p, op);
  bool covered = partition_rule(&p->flow, op, &rule);
  int axis_label[3] = {-1, -1, -1};
  bool by_strategy = false;
  if (covered) {
    axis_label[0] = time_label(p, op, &rule);
    by_strategy = partition_copies_assign(p, op, &rule, axis_label) || strategy_assign(p, op, &rule, axis_label);
    bool view = rule.linear && !free_param(p, op->operands[0]) && (follow_reader(p, op, &rule, axis_label) || follow_operand(p, op, &rule, axis_label));
    bool part_of_param = rule.linear && free_param(p, op->operands[0]);
    if (part_of_param && !by_strategy) features_over_axis(p, op, &rule, axis_label);
    else if (!by_strategy && !view && !follow_sibling(p, op, &rule, axis_label)) {
      axis_label[1] = axis_label[2] = -1;
      choose_cheapest(p, op, &rule, axis_label);
    }
    for (int axis = 1; rule.linear && axis < 3; axis++) /* what stays partial over an axis is not split over it too */
      if (p->now[op->operands[0]].layout.partial_axes >> axis & 1) axis_label[axis] = -1;
  }
  for (size_t k = 0; k < op->operand_count; k++) {
    hct_layout wanted = covered ? partition_under(&p->flow.values[op->operands[k]], &rule, rule.operand[k], axis_label, false) : partition_layout(&p->flow.values[op->operands[k]]);
    if (rule.linear && k == 0) wanted.partial = p->now[op->operands[0]].layout.partial, wanted.partial_axes = p->now[op->operands[0]].layout.partial_axes;
    use_operand(p, op, k, &wanted, !covered || is_fallback(p, op, &rule, k));
  }
  for (size_t k = 0; k < op->result_count; k++) {
    hct_layout layout = covered ? partition_under(&p->flow.values[op->results[k]], &rule, rule.result, axis_label, true) : partition_layout(&p->flow.values[op->results[k]]);
    if (covered && rule.linear) layout.partial = p->now[op->operands[0]].layout.partial, layout.partial_axes = p->now[op->operands[0]].layout.partial_axes;
    set_result(p, op, k, &layout);
  }
  write_shardings(p, op);
  resolve_result(p, op, by_strategy);
}

static bool same_factors(const hct_layout *a, const hct_layout *b) {
  bool same = a->factor_count == b->factor_count && a->rank == b->rank && !memcmp(a->dim_first, b->dim_first, a->rank + 1u);
  for (int f = 0; same && f < a->factor_count; f++) same = a->factors[f].size == b->factors[f].size;
  return same;
}

/* An operand whose dimensions have other factors, of which no list refines both (4 heads, 3 dies): it is gathered, and seen in those of `layout`. */
static void refactor(partition *p, const hct_flow_op *op, size_t k, const hct_layout *layout) {
  size_t value = op->operands[k];
  hct_layout own = partition_layout(&p->flow.values[value]), plain = *layout;
  for (int f = 0; f < plain.factor_count; f++) plain.factors[f].axis_count = 0;
  MlirValue whole = partition_reshard(p, value, &own, op, true);
  const char *text = text_of(p, &plain);
  const hct_named attributes[] = {{"hct.sharding", hct_attr_strs(p->context, 1, &text)}, {"hct.layer", hct_attr_str(p->context, hct_op_str_or(op->op, "hct.layer", ""))}, {"hct.pass", hct_attr_str(p->context, hct_op_str_or(op->op, "hct.pass", "update"))}, {"hct.group", hct_attr_i64(p->context, hct_op_i64_or(op->op, "hct.group", 0))}};
  p->now[value].value = hct_build_value(&p->builder, "hct_graph.reshape", 1, &whole, mlirValueGetType(whole), HCT_COUNT(attributes), attributes);
  p->now[value].layout = plain;
}

/* (p, g, states..., settings, step): all but the last two lie as the parameter does, or as its copy. */
static void partition_update(partition *p, const hct_flow_op *op) {
  p->builder.before = op->op;
  p->builder.location = mlirOperationGetLocation(op->op);
  size_t param = op->operands[0], read = hct_flow_copy_of(&p->flow, param);
  hct_layout layout = p->now[read].layout;
  p->now[param].layout = layout;
  p->assigned[param] = p->assigned[read] = true;
  for (size_t k = 0; k < op->operand_count; k++) {
    bool scalar = k + 2 >= op->operand_count;
    hct_layout plain = partition_layout(&p->flow.values[op->operands[k]]);
    if (k >= 2 && !scalar) p->now[op->operands[k]].layout = layout;
    if (k == 1 && !same_factors(&p->now[op->operands[k]].layout, &layout)) refactor(p, op, k, &layout);
    use_operand(p, op, k, scalar ? &plain : &layout, false);
  }
  for (size_t k = 0; k < op->result_count; k++) set_result(p, op, k, &layout);
  write_shardings(p, op);
}

/* The new copy of a parameter lies as the parameter does. */
static bool copies_parameter(const partition *p, const hct_flow_op *op) {
  size_t maker = strcmp(op->name, "map1") || strcmp(hct_op_str(op->op, "fn"), "mov") ? SIZE_MAX : p->flow.values[op->operands[0]].op;
  return maker != SIZE_MAX && !strcmp(p->flow.ops[maker].name, "update");
}

static void partition_copy(partition *p, const hct_flow_op *op) {
  set_result(p, op, 0, &p->now[op->operands[0]].layout);
  write_shardings(p, op);
}

static void partition_return(partition *p) {
  MlirOperation end = hct_block_terminator(p->builder.block);
  p->builder.before = end;
  for (size_t r = 0; r < p->flow.returned_count; r++) {
    size_t value = p->flow.returned[r];
    hct_layout wanted = p->now[value].layout;
    size_t param = p->parameter[value];
    wanted.partial = HCT_PARTIAL_NONE;
    wanted.partial_axes = 0;
    if (param != SIZE_MAX) wanted = p->now[param].layout;
    size_t maker = p->flow.values[value].op;
    if (maker == SIZE_MAX) continue;
    mlirOperationSetOperand(end, (intptr_t)r, partition_reshard(p, value, &wanted, &p->flow.ops[maker], false));
  }
}

static void write_arguments(partition *p) {
  hct_entry *entries = HCT_NEW_ARRAY(p->arena, hct_entry, p->flow.arg_count + 1);
  for (size_t a = 0; a < p->flow.arg_count; a++) entries[a] = (hct_entry){a, "hct.sharding", hct_attr_str(p->context, text_of(p, &p->now[a].layout))};
  hct_function_set_arg_attrs(p->flow.function, p->flow.arg_count, entries);
}

static int64_t model_flops(const partition *p) {
  int64_t flops = 0;
  for (size_t i = 0; i < p->flow.op_count; i++) {
    op_rule rule;
    int64_t copies = strcmp(p->flow.ops[i].name, "contract") || hct_op_has(p->flow.ops[i].op, "hct.recomputed") ? 0 : partition_copies_in(p, &p->flow.ops[i]);
    if (!copies || !partition_rule(&p->flow, &p->flow.ops[i], &rule)) continue;
    int64_t work = 2, pairs[2] = {1, 1};
    for (int l = 0; l < rule.label_count; l++) work *= rule.labels[l].size;
    if (hct_op_has(p->flow.ops[i].op, "hct.pairs")) hct_op_i64s(p->flow.ops[i].op, "hct.pairs", pairs, 2);
    flops += work / copies / pairs[1] * pairs[0];
  }
  return flops;
}

static int64_t relaxed_bytes(const partition *p) {
  bool *sampled = HCT_NEW_ARRAY(p->arena, bool, p->flow.value_count + 1);
  int *time = HCT_NEW_ARRAY(p->arena, int, p->flow.value_count + 1);
  bool layerwise = !strcmp(hct_pass_option(p->pass, "schedule", "fused"), "layerwise");
  bool cut = !partition_find_mixing(&p->flow, p->batch, time) && (p->batch > 1 || layerwise); /* else fused keeps the one sample's in SRAM */
  for (size_t v = 0; v < p->flow.value_count; v++) sampled[v] = cut && time[v];
  const hct_package *package = &p->pass->package;
  return hct_workload_relaxed_bytes(&p->flow, sampled, (int64_t)package->sram_bytes * (int64_t)(package->rows * package->cols), layerwise, p->pass->left_out ? (size_t)p->pass->left_out->count : 0);
}

static void write_module(partition *p, MlirModule module) {
  MlirOperation top = mlirModuleGetOperation(module);
  int64_t tokens = 0, parameters = 0;
  for (size_t a = 0; a < p->flow.arg_count; a++) {
    int64_t elements = hct_shape_elements(&p->flow.values[a].shape);
    if (!strcmp(arg_role(&p->flow, a), "param")) parameters += elements;
    if (!strcmp(arg_role(&p->flow, a), "input") && !tokens) tokens = elements;
  }
  const struct { const char *name; int64_t value; } figures[] = {
      {"hct.batch", p->batch}, {"hct.micro_batch", p->micro_batch}, {"hct.fallbacks", p->fallbacks}, {"hct.tokens_per_step", tokens}, {"hct.parameters", parameters}, {"hct.model_flops", model_flops(p)},
      {"hct.dram_compulsory_bytes", hct_workload_compulsory_bytes(&p->flow)},
  };
  for (size_t i = 0; i < HCT_COUNT(figures); i++) hct_op_set(top, figures[i].name, hct_attr_i64(p->context, figures[i].value));
  /* shard.grid @mesh(shape = RxC) */
  int64_t shape[] = {p->sizes[1], p->sizes[2]};
  hct_builder at = {.context = p->context, .block = mlirModuleGetBody(module), .before = p->flow.function, .location = mlirOperationGetLocation(p->flow.function)};
  hct_named attributes[] = {{"sym_name", hct_attr_str(p->context, "mesh")}, {"shape", hct_attr_i64s(p->context, 2, shape)}};
  hct_build(&at, "shard.grid", 0, NULL, 0, NULL, 2, attributes);
}

hct_status hct_pass_partition(hct_pass_context *pass, MlirModule module) {
  partition p = {.pass = pass, .arena = pass->arena, .fallbacks_told = hct_map_create(pass->arena), .context = mlirModuleGetContext(module), .flow = hct_flow_read(pass->arena, module), .sizes = {1, pass->package.rows, pass->package.cols}};
  p.builder = (hct_builder){.context = p.context, .block = hct_function_body(p.flow.function)};
  if (partition_copies_repeat(&p)) p.flow = hct_flow_read(pass->arena, module);
  p.now = HCT_NEW_ARRAY(p.arena, sharded, p.flow.value_count);
  p.assigned = HCT_NEW_ARRAY(p.arena, bool, p.flow.value_count);
  p.together = HCT_NEW_ARRAY(p.arena, size_t, p.flow.value_count);
  p.parameter = HCT_NEW_ARRAY(p.arena, size_t, p.flow.value_count);
  p.cache = hct_arena_array(p.arena, p.flow.value_count, sizeof *p.cache);
  bool columns = strcmp(hct_pass_option(pass, "orientation", "columns"), "rows") != 0;
  p.feature_axis = columns ? HCT_AXIS_COL : HCT_AXIS_ROW, p.token_axis = columns ? HCT_AXIS_ROW : HCT_AXIS_COL;
  HCT_TRY(choose_strategy(&p));
  HCT_TRY(choose_micro_batch(&p));
  hct_flow_factorize(&p.flow);
  int64_t relaxed = pass->unordered ? -1 : relaxed_bytes(&p); /* of the module as it comes; no one asks what is only weighed */
  if (relaxed >= 0) hct_op_set(mlirModuleGetOperation(module), "hct.dram_relaxed_bytes", hct_attr_i64(p.context, relaxed));
  mark_cuts(&p);
  mark_rows(&p);
  seed_arguments(&p);
  mark_gradients(&p);
  partition_copies_find(&p);
  for (size_t i = 0; i < p.flow.op_count; i++) {
    if (!strcmp(p.flow.ops[i].name, "update")) partition_update(&p, &p.flow.ops[i]);
    else if (copies_parameter(&p, &p.flow.ops[i])) partition_copy(&p, &p.flow.ops[i]);
    else partition_op(&p, &p.flow.ops[i]);
  }
  partition_return(&p);
  for (size_t i = 0; i < p.flow.op_count; i++) /* constants were copied to where they are used */
    if (!strcmp(p.flow.ops[i].name, "constant")) write_shardings(&p, &p.flow.ops[i]);
  hct_function_eliminate_dead(p.flow.function);
  write_arguments(&p);
  write_module(&p, module);
  return HCT_OK;
}
