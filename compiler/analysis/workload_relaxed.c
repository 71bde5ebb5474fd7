#include "compiler/analysis/workload_relaxed.h"

#include <string.h>

#include "compiler/analysis/workload.h"

/* What a unit reads: an argument, or an activation. `key` is the same for what need be read once: the whole value, or its rows of equal ids. */
typedef struct read { size_t value, key; int64_t rows; bool weight; } read; /* rows: looked up; -1: the whole value is read */
typedef struct lookup { size_t table, ids; } lookup;

typedef struct unit {
  struct { read *items; size_t count, capacity; } reads;
  struct { size_t *items; size_t count, capacity; } made, last_read; /* activations made here, and those read here last */
  int64_t accumulators; /* bytes */
} unit;

typedef struct relaxed {
  const hct_flow *flow;
  const bool *sampled;
  hct_arena *arena;
  unit *units;
  size_t unit_count;
  size_t *unit_of; /* by value: where it is made; 0 for arguments */
  size_t *last;    /* by activation: the last unit that reads it */
  bool *returned;  /* by activation: written as a result in any case */
  struct { lookup *items; size_t count, capacity; } lookups;
} relaxed;

static int64_t bytes_of(const relaxed *r, size_t value) { return hct_flow_value_bytes(&r->flow->values[value]); }

static bool op_is(const hct_flow_op *op, const char *name) { return !strcmp(op->name, name); }

static bool is_view(const hct_flow_op *op) { return op_is(op, "reshape") || op_is(op, "transpose") || op_is(op, "slice") || op_is(op, "broadcast"); }

static size_t root_of(const hct_flow *flow, size_t value) {
  while (flow->values[value].op != SIZE_MAX && is_view(&flow->ops[flow->values[value].op])) value = flow->ops[flow->values[value].op].operands[0];
  return value;
}

static const char *role_of(const relaxed *r, size_t arg) {
  MlirAttribute role = hct_function_arg_attr(r->flow->function, arg, "hct.role");
  return mlirAttributeIsNull(role) ? "" : hct_attr_text(role);
}

/* ---- units ---- */
static void units_place(relaxed *r) {
  size_t groups = 1;
  for (size_t i = 0; i < r->flow->op_count; i++) {
    int64_t group = hct_op_i64_or(r->flow->ops[i].op, "hct.group", 0);
    if (group >= (int64_t)groups) groups = (size_t)group + 1;
  }
  r->unit_count = 2 * groups;
  r->units = HCT_NEW_ARRAY(r->arena, unit, r->unit_count);
  r->unit_of = HCT_NEW_ARRAY(r->arena, size_t, r->flow->value_count + 1);
  for (size_t i = 0; i < r->flow->op_count; i++) {
    const hct_flow_op *op = &r->flow->ops[i];
    int64_t group = hct_op_i64_or(op->op, "hct.group", 0);
    size_t forward = group > 0 ? (size_t)group : 0;
    const char *pass = hct_op_str_or(op->op, "hct.pass", "forward");
    size_t at = is_view(op) || op_is(op, "constant") || !strcmp(pass, "update") ? 0 : strcmp(pass, "backward") ? forward : r->unit_count - 1 - forward;
    for (size_t k = 0; k < op->operand_count; k++)
      if (r->unit_of[op->operands[k]] > at) at = r->unit_of[op->operands[k]];
    for (size_t k = 0; k < op->result_count; k++) r->unit_of[op->results[k]] = at;
  }
}

/* ---- what units read and make ---- */
static size_t lookup_key(relaxed *r, size_t table, size_t ids) {
  for (size_t i = 0; i < r->lookups.count; i++)
    if (r->lookups.items[i].table == table && r->lookups.items[i].ids == ids) return r->flow->value_count + i;
  lookup one = {table, ids};
  HCT_PUSH(r->arena, &r->lookups, one);
  return r->flow->value_count + r->lookups.count - 1;
}

static void operand_read(relaxed *r, const hct_flow_op *op, size_t k, size_t at) {
  size_t value = root_of(r->flow, op->operands[k]);
  bool argument = r->flow->values[value].op == SIZE_MAX;
  if (argument ? !strcmp(role_of(r, value), "setting") : !r->sampled[value]) return;
  read one = {.value = value, .key = value, .rows = -1};
  if (argument && op_is(op, "gather_rows") && k == 0 && value == op->operands[0]) {
    one.rows = hct_shape_elements(&r->flow->values[op->operands[1]].shape);
    one.key = lookup_key(r, value, op->operands[1]);
  }
  const char *role = argument ? role_of(r, value) : "";
  one.weight = one.rows < 0 && !op_is(op, "update") && (!strcmp(role, "param") || !strcmp(role, "copy"));
  HCT_PUSH(r->arena, &r->units[at].reads, one);
  if (!argument && at > r->last[value]) r->last[value] = at;
}

static void units_fill(relaxed *r) {
  const hct_flow *flow = r->flow;
  r->last = HCT_NEW_ARRAY(r->arena, size_t, flow->value_count + 1);
  r->returned = HCT_NEW_ARRAY(r->arena, bool, flow->value_count + 1);
  for (size_t i = 0; i < flow->returned_count; i++) r->returned[root_of(flow, flow->returned[i])] = true;
  for (size_t i = 0; i < flow->op_count; i++) {
    const hct_flow_op *op = &flow->ops[i];
    if (is_view(op) || op_is(op, "constant")) continue;
    size_t at = r->unit_of[op->results[0]];
    bool sums = false;
    for (size_t k = 0; k < op->operand_count; k++) {
      operand_read(r, op, k, at);
      sums |= r->sampled[op->operands[k]];
    }
    for (size_t k = 0; k < op->result_count; k++) {
      size_t value = op->results[k];
      r->last[value] = at;
      if (r->sampled[value]) HCT_PUSH(r->arena, &r->units[at].made, value);
      else if (sums) r->units[at].accumulators += bytes_of(r, value);
    }
  }
  for (size_t u = 0; u < r->unit_count; u++)
    for (size_t k = 0; k < r->units[u].made.count; k++) HCT_PUSH(r->arena, &r->units[r->last[r->units[u].made.items[k]]].last_read, r->units[u].made.items[k]);
}

/* ---- stages ---- */
typedef struct stage { /* of units [first, here], while `here` grows */
  size_t first, number;
  int64_t read_bytes, pending_bytes, resident_bytes; /* pending: made in it, and not yet read for the last time */
  size_t *seen;          /* by key: number of the stage that read it last */
  size_t *weighed;       /* by value, likewise: held as a weight */
  int64_t *argument;     /* by argument: bytes that this stage reads */
} stage;

static void stage_read(const relaxed *r, stage *s, const read *one) {
  if (one->weight && s->weighed[one->value] != s->number) {
    s->weighed[one->value] = s->number;
    s->resident_bytes += bytes_of(r, one->value);
  }
  if (s->seen[one->key] == s->number) return;
  s->seen[one->key] = s->number;
  int64_t whole = bytes_of(r, one->value);
  if (r->flow->values[one->value].op != SIZE_MAX) {
    if (r->unit_of[one->value] < s->first) s->read_bytes += whole;
    return;
  }
  const hct_shape *shape = &r->flow->values[one->value].shape;
  int64_t *had = &s->argument[one->value], before = *had;
  *had = one->rows < 0 || shape->dims[0] == 0 ? whole : *had + one->rows * (whole / shape->dims[0]);
  if (*had > whole) *had = whole;
  s->read_bytes += *had - before;
}

static void stage_extend(const relaxed *r, stage *s, const unit *next) {
  for (size_t k = 0; k < next->made.count; k++)
    if (!r->returned[next->made.items[k]]) s->pending_bytes += bytes_of(r, next->made.items[k]);
  for (size_t k = 0; k < next->reads.count; k++) stage_read(r, s, &next->reads.items[k]);
  for (size_t k = 0; k < next->last_read.count; k++)
    if (r->unit_of[next->last_read.items[k]] >= s->first && !r->returned[next->last_read.items[k]]) s->pending_bytes -= bytes_of(r, next->last_read.items[k]);
  s->resident_bytes += next->accumulators;
}

static int64_t stages_choose(const relaxed *r, int64_t sram_bytes, bool everywhere) {
  size_t keys = r->flow->value_count + r->lookups.count + 1;
  int64_t *best = HCT_NEW_ARRAY(r->arena, int64_t, r->unit_count + 1);
  stage s = {.seen = HCT_NEW_ARRAY(r->arena, size_t, keys), .weighed = HCT_NEW_ARRAY(r->arena, size_t, keys), .argument = HCT_NEW_ARRAY(r->arena, int64_t, r->flow->arg_count + 1)};
  for (size_t j = 1; j <= r->unit_count; j++) best[j] = INT64_MAX;
  for (size_t i = 0; i < r->unit_count; i++) {
    s.first = i, s.number = i + 1;
    s.read_bytes = s.pending_bytes = s.resident_bytes = 0;
    memset(s.argument, 0, (r->flow->arg_count + 1) * sizeof *s.argument);
    for (size_t j = i; j < r->unit_count; j++) {
      if (j > i && everywhere) break;
      stage_extend(r, &s, &r->units[j]);
      if (j > i && s.resident_bytes > sram_bytes) break;
      int64_t cost = best[i] + s.read_bytes + s.pending_bytes;
      if (cost < best[j + 1]) best[j + 1] = cost;
    }
  }
  return best[r->unit_count];
}

int64_t hct_workload_relaxed_bytes(const hct_flow *flow, const bool *sampled, int64_t sram_bytes, bool everywhere) {
  relaxed r = {.flow = flow, .sampled = sampled, .arena = hct_arena_create()};
  units_place(&r);
  units_fill(&r);
  int64_t bytes = stages_choose(&r, sram_bytes, everywhere);
  for (size_t k = 0; k < flow->returned_count; k++)
    if (flow->returned[k] >= flow->arg_count) bytes += bytes_of(&r, flow->returned[k]);
  hct_arena_destroy(r.arena);
  return bytes;
}
