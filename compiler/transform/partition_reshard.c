#include <string.h>

#include "compiler/strategy/strategy.h"

hct_layout partition_layout(const hct_flow_value *value) {
  hct_layout layout = {.rank = (uint8_t)value->shape.rank};
  for (size_t d = 0; d < value->shape.rank; d++) {
    layout.dim_first[d] = layout.factor_count;
    for (int f = 0; f < value->dims[d].count; f++) {
      HCT_BUG_ON(layout.factor_count == HCT_MAX_FACTORS, "a value of more than %d factors", HCT_MAX_FACTORS);
      layout.factors[layout.factor_count++].size = value->dims[d].sizes[f];
    }
  }
  layout.dim_first[layout.rank] = layout.factor_count;
  return layout;
}

int partition_axis_factor(const hct_layout *layout, hct_axis axis) {
  for (int f = 0; f < layout->factor_count; f++)
    for (int a = 0; a < layout->factors[f].axis_count; a++)
      if (layout->factors[f].axes[a] == axis) return f;
  return -1;
}

void partition_add_axis(hct_layout *layout, int factor, hct_axis axis) {
  hct_factor *f = &layout->factors[factor];
  HCT_BUG_ON(f->axis_count == HCT_MAX_AXES, "a factor split over more than %d axes", HCT_MAX_AXES);
  int at = f->axis_count++;
  for (; at > 0 && f->axes[at - 1] > axis; at--) f->axes[at] = f->axes[at - 1]; /* t, r, c */
  f->axes[at] = (uint8_t)axis;
}

static void remove_axis(hct_layout *layout, int factor, hct_axis axis) {
  hct_factor *f = &layout->factors[factor];
  int kept = 0;
  for (int a = 0; a < f->axis_count; a++)
    if (f->axes[a] != axis) f->axes[kept++] = f->axes[a];
  f->axis_count = (uint8_t)kept;
}

hct_layout partition_under(const hct_flow_value *value, const op_rule *rule, const int *labels, const int axis_label[3], bool result) {
  hct_layout layout = partition_layout(value);
  for (int axis = 0; axis < 3; axis++) {
    if (axis_label[axis] < 0) continue;
    bool placed = false;
    for (int f = 0; f < layout.factor_count && !placed; f++)
      if (labels[f] == axis_label[axis]) partition_add_axis(&layout, f, (hct_axis)axis), placed = true;
    label_kind kind = rule->labels[axis_label[axis]].kind;
    if (!placed && result && (kind == LABEL_SUM || kind == LABEL_MAX)) {
      layout.partial = kind == LABEL_SUM ? HCT_PARTIAL_SUM : HCT_PARTIAL_MAX;
      layout.partial_axes |= (uint8_t)(1u << axis);
    }
  }
  return layout;
}

bool partition_can_split(const partition *p, const op_rule *rule, int label, hct_axis axis) {
  if (label < 0 || p->sizes[axis] == 1) return false;
  label_kind kind = rule->labels[label].kind;
  return kind != LABEL_WHOLE && (kind != LABEL_EXACT || rule->labels[label].size % p->sizes[axis] == 0);
}

bool partition_can_split_both(const partition *p, const op_rule *rule, int label) {
  if (!partition_can_split(p, rule, label, HCT_AXIS_ROW) || !partition_can_split(p, rule, label, HCT_AXIS_COL)) return false;
  return rule->labels[label].kind != LABEL_EXACT || rule->labels[label].size % (p->sizes[HCT_AXIS_ROW] * p->sizes[HCT_AXIS_COL]) == 0;
}

/* ---- collectives ---- */
static const char *layout_text(partition *p, const hct_layout *layout) {
  hct_text text = {0};
  hct_layout_print(layout, &text);
  const char *copy = hct_arena_strdup(p->arena, text.data);
  hct_text_fini(&text);
  return copy;
}

static void attributes_copy(partition *p, MlirOperation to, const hct_flow_op *user) {
  (void)p;
  static const char *const names[] = {"hct.layer", "hct.pass", "hct.group"};
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (hct_op_has(user->op, names[i])) hct_op_set(to, names[i], mlirOperationGetAttributeByName(user->op, hct_ref(names[i])));
}

enum { BOTH_AXES = -1 };

/* Where both axes split a factor, rows are above columns: while columns split it they neither come nor go. */
static void order_check(const hct_layout *from, const hct_layout *to, int axis) {
  int before = partition_axis_factor(from, HCT_AXIS_ROW), after = partition_axis_factor(to, HCT_AXIS_ROW), columns = partition_axis_factor(to, HCT_AXIS_COL);
  HCT_BUG_ON(axis == HCT_AXIS_ROW && before != after && columns >= 0 && (columns == before || columns == after), "a collective over rows of what columns split below them");
}

static sharded collective(partition *p, const char *name, sharded from, int axis, const hct_layout *to, const hct_flow_op *user, bool fallback) {
  order_check(&from.layout, to, axis);
  char letters[3] = "rc";
  if (axis != BOTH_AXES) letters[0] = hct_axis_letter((hct_axis)axis), letters[1] = 0;
  const char *text = layout_text(p, to);
  hct_named attributes[5] = {{"axis", hct_attr_str(p->context, letters)}, {"hct.sharding", hct_attr_strs(p->context, 1, &text)}};
  size_t count = 2;
  if (!strcmp(name, "hct_graph.reduce_scatter") || !strcmp(name, "hct_graph.all_reduce"))
    attributes[count++] = (hct_named){"kind", hct_attr_str(p->context, from.layout.partial == HCT_PARTIAL_MAX ? "max" : "sum")};
  if (axis == BOTH_AXES && !strcmp(name, "hct_graph.all_reduce")) attributes[count++] = (hct_named){"algorithm", hct_attr_str(p->context, p->strategy->flat)};
  if (fallback) attributes[count++] = (hct_named){"hct.fallback", mlirUnitAttrGet(p->context)};
  MlirType type = mlirValueGetType(from.value);
  MlirOperation op = hct_build(&p->builder, name, 1, &from.value, 1, &type, count, attributes);
  attributes_copy(p, op, user);
  return (sharded){hct_op_result(op, 0), *to};
}

static void without_partial(hct_layout *layout, hct_axis axis) {
  layout->partial_axes &= (uint8_t)~(1u << axis);
  if (!layout->partial_axes) layout->partial = HCT_PARTIAL_NONE;
}

/* A value from where it is to where `wanted` has it, in this order: splits that must go are gathered (then no factor is ever split over
 * two axes on the way, whose major one could not be gathered alone), then axis by axis sums are reduced, and what is whole is sliced. */
typedef enum move_phase { MOVE_GATHER, MOVE_REDUCE, MOVE_SLICE, MOVE_PHASES } move_phase;

static sharded move_axis(partition *p, sharded at, hct_axis axis, move_phase phase, const hct_layout *wanted, const hct_flow_op *user, bool fallback) {
  int now = partition_axis_factor(&at.layout, axis), want = partition_axis_factor(wanted, axis);
  bool reduces = (at.layout.partial_axes >> axis & 1) && !(wanted->partial_axes >> axis & 1);
  hct_layout next = at.layout;
  if (phase == MOVE_GATHER && now >= 0 && now != want) {
    remove_axis(&next, now, axis);
    return collective(p, "hct_graph.all_gather", at, (int)axis, &next, user, fallback);
  }
  if (phase == MOVE_REDUCE && reduces) {
    bool scatter = want >= 0 && axis != HCT_AXIS_TIME;
    without_partial(&next, axis);
    if (scatter) partition_add_axis(&next, want, axis);
    return collective(p, scatter ? "hct_graph.reduce_scatter" : "hct_graph.all_reduce", at, (int)axis, &next, user, fallback);
  }
  if (phase == MOVE_SLICE && want >= 0 && now < 0) {
    partition_add_axis(&next, want, axis);
    return collective(p, "hct_graph.shard_slice", at, (int)axis, &next, user, fallback);
  }
  return at;
}

/* All dies as one axis: what leaves both mesh axes leaves them along the flat ring. */
static sharded gather_flat(partition *p, sharded at, const hct_layout *wanted, const hct_flow_op *user, bool fallback) {
  int row = partition_axis_factor(&at.layout, HCT_AXIS_ROW), col = partition_axis_factor(&at.layout, HCT_AXIS_COL);
  bool leaves = row >= 0 && row == col && partition_axis_factor(wanted, HCT_AXIS_ROW) != row && partition_axis_factor(wanted, HCT_AXIS_COL) != row;
  if (!p->strategy->flat || !leaves) return at;
  hct_layout next = at.layout;
  remove_axis(&next, row, HCT_AXIS_ROW);
  remove_axis(&next, row, HCT_AXIS_COL);
  return collective(p, "hct_graph.all_gather", at, BOTH_AXES, &next, user, fallback);
}

/* Rows are major on a factor split over both axes: a row split can neither be gathered from above a column split nor come above one. Then
 * the columns' is gathered too, and sliced again afterwards. */
static bool column_in_the_way(const hct_layout *at, const hct_layout *wanted) {
  int row = partition_axis_factor(at, HCT_AXIS_ROW), col = partition_axis_factor(at, HCT_AXIS_COL);
  int row_wanted = partition_axis_factor(wanted, HCT_AXIS_ROW), col_wanted = partition_axis_factor(wanted, HCT_AXIS_COL);
  return col >= 0 && col == col_wanted && row != row_wanted && (row == col || row_wanted == col);
}

static sharded gather_stranded(partition *p, sharded at, const hct_layout *wanted, const hct_flow_op *user, bool fallback) {
  if (!column_in_the_way(&at.layout, wanted)) return at;
  int col = partition_axis_factor(&at.layout, HCT_AXIS_COL);
  hct_layout next = at.layout;
  remove_axis(&next, col, HCT_AXIS_COL);
  return collective(p, "hct_graph.all_gather", at, HCT_AXIS_COL, &next, user, fallback);
}

/* Gathers undo the minor split of a factor first; the others go in the axes' order. */
static hct_axis axis_in_phase(move_phase phase, int nth) { return phase == MOVE_GATHER && nth ? (nth == 1 ? HCT_AXIS_COL : HCT_AXIS_ROW) : (hct_axis)nth; }

static bool is_constant(const partition *p, size_t value) { return p->flow.values[value].op != SIZE_MAX && !strcmp(p->flow.ops[p->flow.values[value].op].name, "constant"); }

/* Constants are placed as they are wanted: one copy a sharding. */
static sharded constant_copy(partition *p, size_t value, const hct_layout *wanted) {
  MlirOperation copy = mlirOperationClone(p->flow.ops[p->flow.values[value].op].op);
  const char *text = layout_text(p, wanted);
  mlirBlockInsertOwnedOperationBefore(p->builder.block, p->builder.before, copy);
  hct_op_set(copy, "hct.sharding", hct_attr_strs(p->context, 1, &text));
  return (sharded){hct_op_result(copy, 0), *wanted};
}

/* Whether views lead from the value up to a broadcast: more elements than there are. */
static bool is_repeated(const partition *p, size_t value) {
  for (size_t op = p->flow.values[value].op; op != SIZE_MAX; op = p->flow.values[p->flow.ops[op].operands[0]].op) {
    const char *name = p->flow.ops[op].name;
    if (!strcmp(name, "broadcast")) return true;
    if (strcmp(name, "reshape") && strcmp(name, "transpose") && strcmp(name, "slice")) return false;
  }
  return false;
}

/* What is repeated is gathered before: the view's operand, and the view of that (keys and values of grouped-query heads). Null: it is no such
 * value, its operand has not all of the splits wanted, or nothing of it is gathered. */
static MlirValue reshard_repeated(partition *p, size_t value, const hct_layout *wanted, const hct_flow_op *user, bool fallback) {
  const hct_layout *now = &p->now[value].layout;
  op_rule rule;
  bool gathers = false;
  int axis_label[3] = {-1, -1, -1};
  if (!is_repeated(p, value) || now->partial_axes || wanted->partial_axes || !partition_rule(&p->flow, &p->flow.ops[p->flow.values[value].op], &rule)) return (MlirValue){NULL};
  const hct_flow_op *op = &p->flow.ops[p->flow.values[value].op];
  for (int axis = 0; axis < 3; axis++) {
    int at = partition_axis_factor(now, (hct_axis)axis), want = partition_axis_factor(wanted, (hct_axis)axis);
    gathers |= at >= 0 && want < 0 && axis != HCT_AXIS_TIME;
    axis_label[axis] = want >= 0 ? rule.result[want] : -1;
    bool carried = false;
    for (int f = 0; f < HCT_MAX_FACTORS; f++) carried |= axis_label[axis] >= 0 && rule.operand[0][f] == axis_label[axis];
    bool timed = axis == HCT_AXIS_TIME && want >= 0 && at < 0 && !carried; /* a micro-batch's part is made as it is wanted */
    gathers |= timed;
    if (want >= 0 && !timed && (!carried || (axis != HCT_AXIS_TIME && !partition_can_split(p, &rule, axis_label[axis], (hct_axis)axis)))) return (MlirValue){NULL};
  }
  if (!gathers) return (MlirValue){NULL};
  hct_layout before = partition_under(&p->flow.values[op->operands[0]], &rule, rule.operand[0], axis_label, false);
  MlirValue operand = partition_reshard(p, op->operands[0], &before, user, fallback);
  MlirOperation view = mlirOperationClone(op->op);
  mlirOperationSetOperand(view, 0, operand);
  mlirBlockInsertOwnedOperationBefore(p->builder.block, p->builder.before, view);
  attributes_copy(p, view, user);
  const char *text = layout_text(p, wanted);
  hct_op_set(view, "hct.sharding", hct_attr_strs(p->context, 1, &text));
  return hct_op_result(view, 0);
}

/* What is repeated for each sample is made for those of a micro-batch, as it lies on the mesh now: nothing slices over time. */
static sharded repeat_by_samples(partition *p, size_t value, sharded at, const hct_layout *wanted, const hct_flow_op *user, bool fallback) {
  int samples = partition_axis_factor(wanted, HCT_AXIS_TIME);
  if (samples < 0 || partition_axis_factor(&at.layout, HCT_AXIS_TIME) >= 0) return at;
  hct_layout timed = at.layout;
  partition_add_axis(&timed, samples, HCT_AXIS_TIME);
  MlirValue made = reshard_repeated(p, value, &timed, user, fallback);
  return mlirValueIsNull(made) ? at : (sharded){made, timed};
}

/* What is put together of parts is gathered part by part: a part that several such values hold (keys that later blocks of queries read, too)
 * goes round once. Not what is added to rows of a table, which nothing else holds: it takes fewer steps of a ring at once. Null: it is no such value, or nothing
 * of it is gathered. */
static MlirValue reshard_parts(partition *p, size_t value, const hct_layout *wanted, const hct_flow_op *user, bool fallback) {
  size_t maker = p->flow.values[value].op;
  const hct_layout *now = &p->now[value].layout;
  op_rule rule;
  bool gathers = false;
  int axis_label[3] = {-1, -1, -1};
  if (maker == SIZE_MAX || !strcmp(user->name, "scatter_rows") || strcmp(p->flow.ops[maker].name, "concat") || now->partial_axes || wanted->partial_axes || !partition_rule(&p->flow, &p->flow.ops[maker], &rule)) return (MlirValue){NULL};
  for (int axis = 0; axis < 3; axis++) {
    int at = partition_axis_factor(now, (hct_axis)axis), want = partition_axis_factor(wanted, (hct_axis)axis);
    gathers |= at >= 0 && want < 0 && axis != HCT_AXIS_TIME;
    axis_label[axis] = want >= 0 ? rule.result[want] : -1;
    if (want >= 0 && (axis_label[axis] < 0 || rule.labels[axis_label[axis]].kind == LABEL_WHOLE)) return (MlirValue){NULL};
  }
  if (!gathers) return (MlirValue){NULL};
  const hct_flow_op *op = &p->flow.ops[maker];
  MlirValue parts[MAX_OPERANDS];
  for (size_t k = 0; k < op->operand_count; k++) {
    hct_layout part = partition_under(&p->flow.values[op->operands[k]], &rule, rule.operand[k], axis_label, false);
    parts[k] = partition_reshard(p, op->operands[k], &part, user, fallback);
  }
  MlirOperation whole = mlirOperationClone(op->op);
  for (size_t k = 0; k < op->operand_count; k++) mlirOperationSetOperand(whole, (intptr_t)k, parts[k]);
  mlirBlockInsertOwnedOperationBefore(p->builder.block, p->builder.before, whole);
  attributes_copy(p, whole, user);
  const char *text = layout_text(p, wanted);
  hct_op_set(whole, "hct.sharding", hct_attr_strs(p->context, 1, &text));
  return hct_op_result(whole, 0);
}

static void fallback_tell(partition *p, size_t value, const hct_flow_op *user) {
  hct_loc loc = hct_loc_of(p->arena, user->op);
  const char *layout = layout_text(p, &p->now[value].layout), *told = hct_arena_printf(p->arena, "%s %s %s %s", loc.file ? loc.file : "", loc.where ? loc.where : "", user->name, layout);
  p->fallbacks++;
  if (hct_map_has(p->fallbacks_told, told)) return;
  hct_map_put(p->fallbacks_told, told, NULL);
  hct_remark(p->pass->diags, loc, "%s: an operand is gathered, since its sharding %s does not go through the operator", user->name, layout);
}

MlirValue partition_reshard(partition *p, size_t value, const hct_layout *wanted, const hct_flow_op *user, bool fallback) {
  if (hct_layout_equal(&p->now[value].layout, wanted)) return p->now[value].value;
  const char *text = layout_text(p, wanted), *pass = hct_op_str_or(user->op, "hct.pass", "forward");
  int64_t group = hct_op_i64_or(user->op, "hct.group", 0);
  for (size_t i = 0; i < p->cache[value].count; i++)
    if (p->cache[value].items[i].group == group && !strcmp(p->cache[value].items[i].pass, pass) && !strcmp(p->cache[value].items[i].layout, text)) return p->cache[value].items[i].sharded;
  sharded at = p->now[value];
  p->builder.location = mlirOperationGetLocation(user->op);
  MlirValue whole = reshard_parts(p, value, wanted, user, fallback);
  if (mlirValueIsNull(whole)) whole = reshard_repeated(p, value, wanted, user, fallback);
  if (!mlirValueIsNull(whole)) {
    at.value = whole;
  } else if (is_constant(p, value)) {
    at = constant_copy(p, value, wanted);
  } else {
    at = repeat_by_samples(p, value, at, wanted, user, fallback);
    at = gather_flat(p, at, wanted, user, fallback);
    at = gather_stranded(p, at, wanted, user, fallback);
    for (int nth = 0; nth < 3; nth++) at = move_axis(p, at, axis_in_phase(MOVE_GATHER, nth), MOVE_GATHER, wanted, user, fallback);
    for (int axis = 0; axis < 3; axis++) /* rows are done before columns sum: they are above them on a factor that both split, and elsewhere leave less to sum */
      for (move_phase phase = MOVE_REDUCE; phase < MOVE_PHASES; phase++) at = move_axis(p, at, (hct_axis)axis, phase, wanted, user, fallback);
    if (fallback) fallback_tell(p, value, user);
  }
  cached entry = {pass, group, text, at.value};
  HCT_PUSH(p->arena, &p->cache[value], entry);
  return at.value;
}

double partition_reshard_cost(const partition *p, size_t value, const hct_layout *wanted) {
  const hct_layout *at = &p->now[value].layout;
  if (is_constant(p, value)) return 0;
  double elements = (double)hct_layout_elements(wanted), seconds = 0, bandwidth = p->pass->package.link_bandwidth_bytes_per_s, latency = p->pass->package.link_latency_s;
  double bytes = (double)hct_dtype_bytes(p->flow.values[value].shape.dtype);
  for (int axis = 1; axis < 3; axis++) /* a split that goes from one factor to another is gathered whole in between */
    if (partition_axis_factor(at, (hct_axis)axis) >= 0 && partition_axis_factor(at, (hct_axis)axis) == partition_axis_factor(wanted, (hct_axis)axis)) elements /= (double)p->sizes[axis];
  for (int axis = 1; axis < 3; axis++) {
    double size = (double)p->sizes[axis], once = (size - 1) / size * elements * bytes / bandwidth + (size - 1) * latency;
    int now = partition_axis_factor(at, (hct_axis)axis), want = partition_axis_factor(wanted, (hct_axis)axis);
    if (at->partial_axes >> axis & 1) seconds += (wanted->partial_axes >> axis & 1) ? 0 : want >= 0 ? once : 2 * once;
    else if (now >= 0 && (now != want || (axis == HCT_AXIS_COL && column_in_the_way(at, wanted)))) seconds += once * 1.01;
  }
  return seconds;
}

/* Where a sum over an axis leaves its tokens: the batch when the axis divides what is in flight, else the sequence (what is not cut of it,
 * the inner part of blocks of queries), else the larger. */
static int token_factor(const partition *p, size_t value, const hct_layout *layout, int64_t size) {
  int batch = partition_axis_factor(layout, HCT_AXIS_TIME), sequence = -1, any = -1;
  if (batch < 0) return -1;
  int64_t rest = p->batch % p->micro_batch;
  bool batch_free = layout->factors[batch].axis_count == 1;
  if (batch_free && p->micro_batch % size == 0 && rest % size == 0) return batch;
  for (int f = batch + 1; f < layout->dim_first[layout->rank > 1 ? layout->rank - 1 : 1] && sequence < 0; f++) {
    if (layout->factors[f].size == 1 || layout->factors[f].axis_count) continue;
    if (any < 0) any = f;
    if (!p->cut[value * HCT_MAX_FACTORS + (size_t)f]) sequence = f;
  }
  if (sequence < 0) sequence = any;
  if (sequence >= 0 && (layout->factors[sequence].size % size == 0 || !batch_free || layout->factors[sequence].size > p->micro_batch)) return sequence;
  return batch_free ? batch : sequence;
}

/* The feature factor to split over an axis: the first of the last dimension that it divides, else the largest. */
static int feature_factor(const partition *p, const hct_layout *layout, hct_axis axis) {
  int best = -1;
  for (int f = layout->rank ? layout->dim_first[layout->rank - 1] : 0; f < layout->factor_count; f++) {
    if (layout->factors[f].axis_count || layout->factors[f].size == 1) continue;
    if (layout->factors[f].size % p->sizes[axis] == 0) return f;
    if (best < 0 || layout->factors[f].size > layout->factors[best].size) best = f;
  }
  return best;
}

static int sum_factor(const partition *p, size_t value, const hct_layout *layout, hct_axis axis) {
  if (p->strategy->sums == SUMS_WHOLE) return -1;
  return p->strategy->sums == SUMS_TO_FEATURES && axis == p->feature_axis ? feature_factor(p, layout, axis) : token_factor(p, value, layout, p->sizes[axis]);
}

void partition_resolve_flat(partition *p, size_t value, const hct_flow_op *user) {
  sharded at = p->now[value];
  if (!p->strategy->flat || (at.layout.partial_axes & 6) != 6 || at.layout.partial != HCT_PARTIAL_SUM) return;
  hct_layout next = at.layout;
  without_partial(&next, HCT_AXIS_ROW);
  without_partial(&next, HCT_AXIS_COL);
  p->builder.location = mlirOperationGetLocation(user->op);
  int factor = p->strategy->sums == SUMS_TO_TOKENS ? token_factor(p, value, &at.layout, p->sizes[HCT_AXIS_ROW] * p->sizes[HCT_AXIS_COL]) : -1;
  if (factor >= 0) partition_add_axis(&next, factor, HCT_AXIS_ROW), partition_add_axis(&next, factor, HCT_AXIS_COL);
  p->now[value] = collective(p, factor >= 0 ? "hct_graph.reduce_scatter" : "hct_graph.all_reduce", at, BOTH_AXES, &next, user, false);
}

void partition_resolve(partition *p, size_t value, hct_axis axis, bool scatter, const hct_flow_op *user) {
  sharded at = p->now[value];
  if (!(at.layout.partial_axes >> axis & 1)) return;
  hct_layout next = at.layout;
  without_partial(&next, axis);
  p->builder.location = mlirOperationGetLocation(user->op);
  int factor = scatter && at.layout.partial == HCT_PARTIAL_SUM ? sum_factor(p, value, &at.layout, axis) : -1;
  if (factor >= 0) partition_add_axis(&next, factor, axis);
  p->now[value] = collective(p, factor >= 0 ? "hct_graph.reduce_scatter" : "hct_graph.all_reduce", at, (int)axis, &next, user, false);
}
