#include "compiler/analysis/units.h"

#include <string.h>

#include "compiler/analysis/workload.h"

static int64_t bytes_of(const hct_units *u, size_t value) { return hct_flow_value_bytes(&u->flow->values[value]); }

static bool op_is(const hct_flow_op *op, const char *name) { return !strcmp(op->name, name); }

static bool is_view(const hct_flow_op *op) { return op_is(op, "reshape") || op_is(op, "transpose") || op_is(op, "slice") || op_is(op, "broadcast"); }

/* Made wherever it is needed. */
static bool is_passed_by(const hct_flow_op *op) { return is_view(op) || op_is(op, "constant"); }

static size_t root_of(const hct_flow *flow, size_t value) {
  while (flow->values[value].op != SIZE_MAX && is_view(&flow->ops[flow->values[value].op])) value = flow->ops[flow->values[value].op].operands[0];
  return value;
}

static const char *role_of(const hct_units *u, size_t arg) {
  MlirAttribute role = hct_function_arg_attr(u->flow->function, arg, "hct.role");
  return mlirAttributeIsNull(role) ? "" : hct_attr_text(role);
}

/* ---- units ---- */
static void units_place(hct_units *u) {
  size_t groups = 1;
  for (size_t i = 0; i < u->flow->op_count; i++) {
    int64_t group = hct_op_i64_or(u->flow->ops[i].op, "hct.group", 0);
    if (group >= (int64_t)groups) groups = (size_t)group + 1;
  }
  u->count = 2 * groups;
  u->items = HCT_NEW_ARRAY(u->arena, hct_unit, u->count);
  u->unit_of = HCT_NEW_ARRAY(u->arena, size_t, u->flow->value_count + 1);
  for (size_t i = 0; i < u->flow->op_count; i++) {
    const hct_flow_op *op = &u->flow->ops[i];
    int64_t group = hct_op_i64_or(op->op, "hct.group", 0);
    size_t forward = group > 0 ? (size_t)group : 0;
    const char *pass = hct_op_str_or(op->op, "hct.pass", "forward");
    size_t at = is_passed_by(op) || !strcmp(pass, "update") ? 0 : strcmp(pass, "backward") ? forward : u->count - 1 - forward;
    for (size_t k = 0; k < op->operand_count; k++)
      if (u->unit_of[op->operands[k]] > at) at = u->unit_of[op->operands[k]];
    for (size_t k = 0; k < op->result_count; k++) u->unit_of[op->results[k]] = at;
  }
}

size_t hct_units_group(const hct_units *u, size_t op) {
  const hct_flow *flow = u->flow;
  size_t made = flow->ops[op].operand_count ? flow->values[flow->ops[op].operands[0]].op : SIZE_MAX;
  if (op_is(&flow->ops[op], "map1") && made != SIZE_MAX && op_is(&flow->ops[made], "update")) op = made;
  size_t unit = u->unit_of[op_is(&flow->ops[op], "update") ? root_of(flow, flow->ops[op].operands[1]) : flow->ops[op].results[0]];
  return unit < u->count / 2 ? unit : u->count - 1 - unit;
}

/* ---- what units read and make ---- */
static size_t lookup_key(hct_units *u, size_t table, size_t ids) {
  for (size_t i = 0; i < u->lookups.count; i++)
    if (u->lookups.items[i].table == table && u->lookups.items[i].ids == ids) return u->flow->value_count + i;
  hct_lookup one = {table, ids};
  HCT_PUSH(u->arena, &u->lookups, one);
  return u->flow->value_count + u->lookups.count - 1;
}

static void operand_read(hct_units *u, const hct_flow_op *op, size_t k, size_t at) {
  size_t value = root_of(u->flow, op->operands[k]);
  bool argument = u->flow->values[value].op == SIZE_MAX;
  if (argument ? !u->lowered && !strcmp(role_of(u, value), "setting") : !u->sampled[value]) return;
  hct_unit_read one = {.value = value, .key = value, .group = hct_units_group(u, (size_t)(op - u->flow->ops)), .rows = -1};
  if (argument && op_is(op, "gather_rows") && k == 0 && value == op->operands[0] && !u->lowered) {
    one.rows = hct_shape_elements(&u->flow->values[op->operands[1]].shape);
    int64_t run[2];
    if (hct_op_has(op->op, "run") && hct_op_i64s(op->op, "run", run, 2) == 2) one.rows = one.rows * u->flow->values[value].shape.dims[0] / run[1]; /* of all pieces together as many */
    one.key = lookup_key(u, value, op->operands[1]);
  }
  const char *role = argument ? role_of(u, value) : "";
  one.weight = one.rows < 0 && !op_is(op, "update") && (!strcmp(role, "param") || !strcmp(role, "copy"));
  HCT_PUSH(u->arena, &u->items[at].reads, one);
  if (!argument && at > u->last[value]) u->last[value] = at;
}

bool hct_units_is_matrix(const hct_units *u, const hct_unit_read *one) { return one->weight && u->flow->values[one->value].shape.rank > 1; }

/* Each once a unit. */
static void matrices_count(hct_units *u) {
  size_t *last = HCT_NEW_ARRAY(u->arena, size_t, u->flow->value_count + 1);
  for (size_t at = 0; at < u->count; at++)
    for (size_t k = 0; k < u->items[at].reads.count; k++) {
      const hct_unit_read *one = &u->items[at].reads.items[k];
      if (hct_units_is_matrix(u, one) && last[one->value] != at + 1) u->items[at].matrices += bytes_of(u, one->value);
      if (hct_units_is_matrix(u, one)) last[one->value] = at + 1;
    }
}

static void units_fill(hct_units *u) {
  const hct_flow *flow = u->flow;
  u->last = HCT_NEW_ARRAY(u->arena, size_t, flow->value_count + 1);
  u->returned = HCT_NEW_ARRAY(u->arena, bool, flow->value_count + 1);
  for (size_t i = 0; i < flow->returned_count; i++) u->returned[root_of(flow, flow->returned[i])] = true;
  for (size_t i = 0; i < flow->op_count; i++) {
    const hct_flow_op *op = &flow->ops[i];
    if (is_passed_by(op)) continue;
    size_t at = u->unit_of[op->results[0]];
    bool sums = false;
    for (size_t k = 0; k < op->operand_count; k++) {
      operand_read(u, op, k, at);
      sums |= u->sampled[op->operands[k]];
    }
    for (size_t k = 0; k < op->result_count; k++) {
      size_t value = op->results[k];
      u->last[value] = at;
      if (u->sampled[value]) HCT_PUSH(u->arena, &u->items[at].made, value);
      else if (sums) u->items[at].accumulators += bytes_of(u, value);
    }
  }
  for (size_t i = 0; i < u->count; i++)
    for (size_t k = 0; k < u->items[i].made.count; k++) HCT_PUSH(u->arena, &u->items[u->last[u->items[i].made.items[k]]].last_read, u->items[i].made.items[k]);
  matrices_count(u);
}

hct_units hct_units_read(hct_arena *arena, const hct_flow *flow, const bool *sampled, bool lowered) {
  hct_units u = {.arena = arena, .flow = flow, .sampled = sampled, .lowered = lowered};
  units_place(&u);
  units_fill(&u);
  return u;
}

size_t hct_units_of(const hct_units *u, size_t op) { return is_passed_by(&u->flow->ops[op]) ? SIZE_MAX : u->unit_of[u->flow->ops[op].results[0]]; }

size_t hct_units_root(const hct_units *u, size_t value) { return root_of(u->flow, value); }

/* ---- stages ---- */
static void stage_read(const hct_units *u, hct_stage_need *s, const hct_unit_read *one) {
  if (one->weight && s->weighed[one->value] != s->number) {
    s->weighed[one->value] = s->number;
    s->resident_bytes += bytes_of(u, one->value);
    if (hct_units_is_matrix(u, one)) s->matrix_bytes += bytes_of(u, one->value);
  }
  if (s->seen[one->key] == s->number) return;
  s->seen[one->key] = s->number;
  int64_t whole = bytes_of(u, one->value);
  if (u->flow->values[one->value].op != SIZE_MAX) {
    if (u->unit_of[one->value] < s->first) s->read_bytes += whole;
    return;
  }
  const hct_shape *shape = &u->flow->values[one->value].shape;
  int64_t *had = &s->argument[one->value], before = *had;
  *had = one->rows < 0 || shape->dims[0] == 0 ? whole : *had + one->rows * (whole / shape->dims[0]);
  if (*had > whole) *had = whole;
  s->read_bytes += *had - before;
}

hct_stage_need hct_stage_need_create(const hct_units *u) {
  size_t keys = u->flow->value_count + u->lookups.count + 1;
  return (hct_stage_need){.seen = HCT_NEW_ARRAY(u->arena, size_t, keys), .weighed = HCT_NEW_ARRAY(u->arena, size_t, keys), .argument = HCT_NEW_ARRAY(u->arena, int64_t, u->flow->value_count + 1)};
}

void hct_stage_begin(const hct_units *u, hct_stage_need *s, size_t first) {
  s->first = first, s->number++;
  s->read_bytes = s->pending_bytes = s->resident_bytes = s->matrix_bytes = s->sum_bytes = s->unit_matrix_bytes = 0;
  memset(s->argument, 0, (u->flow->value_count + 1) * sizeof *s->argument);
}

void hct_stage_extend(const hct_units *u, hct_stage_need *s, size_t unit) {
  const hct_unit *next = &u->items[unit];
  for (size_t k = 0; k < next->made.count; k++)
    if (!u->returned[next->made.items[k]]) s->pending_bytes += bytes_of(u, next->made.items[k]);
  for (size_t k = 0; k < next->reads.count; k++) stage_read(u, s, &next->reads.items[k]);
  for (size_t k = 0; k < next->last_read.count; k++)
    if (u->unit_of[next->last_read.items[k]] >= s->first && !u->returned[next->last_read.items[k]]) s->pending_bytes -= bytes_of(u, next->last_read.items[k]);
  s->resident_bytes += next->accumulators;
  s->sum_bytes += next->accumulators;
  s->unit_matrix_bytes += next->matrices;
}
