#include <string.h>

#include "compiler/schedule/program.h"

/* A point in the schedule: stage * 3 + when; 0 is before everything. */
typedef size_t position;
static size_t position_stage(position at) { return at / 3; }
static hct_when position_when(position at) { return (hct_when)(at % 3); }
static position position_at(size_t stage, hct_when when) { return stage * 3 + when; }

/* ---- what comes first ---- */
static bool is_of_role(const hct_dist_program *program, size_t argument, const char *role) {
  MlirAttribute attribute = hct_function_arg_attr(program->function, argument, "hct.role");
  return !mlirAttributeIsNull(attribute) && !strcmp(hct_attr_text(attribute), role);
}

/* By value: made of a parameter, among others. */
static bool *find_learned(const hct_dist_program *program) {
  bool *learned = HCT_NEW_ARRAY(program->arena, bool, program->value_count + 1);
  for (size_t a = 0; a < program->arg_count; a++) learned[a] = is_of_role(program, a, "param") || is_of_role(program, a, "copy");
  for (size_t i = 0; i < program->op_count; i++) {
    const hct_dist_op *op = &program->ops[i];
    bool any = false;
    for (size_t k = 0; k < op->operand_count; k++) any |= learned[op->operands[k]];
    for (size_t k = 0; k < op->result_count; k++) learned[op->results[k]] = any;
  }
  return learned;
}

/* By operator: what accumulates over the batch what loops then read, of inputs alone, and all that leads there. A stage cannot do it before its own loop. */
static bool *find_first(const hct_dist_program *program) {
  bool *first = HCT_NEW_ARRAY(program->arena, bool, program->op_count + 1), *learned = find_learned(program);
  bool *whole = HCT_NEW_ARRAY(program->arena, bool, program->value_count + 1), *leads = HCT_NEW_ARRAY(program->arena, bool, program->value_count + 1);
  for (size_t i = program->op_count; i-- > 0;) {
    const hct_dist_op *op = &program->ops[i];
    bool is_whole = false;
    for (size_t k = 0; k < op->result_count; k++) is_whole |= whole[op->results[k]], first[i] |= leads[op->results[k]];
    if (op->accumulate) first[i] |= is_whole && !learned[op->operands[0]];
    for (size_t k = 0; k < op->operand_count; k++) {
      if (first[i]) leads[op->operands[k]] = true;
      else if ((op->timed || is_whole) && !program->values[op->operands[k]].timed) whole[op->operands[k]] = true;
    }
  }
  return first;
}

typedef struct stage_plan {
  const hct_dist_program *program;
  const bool *first; /* by operator, or NULL */
  size_t later;      /* stages before those of units */
  bool layerwise;
} stage_plan;

static stage_plan plan_make(const hct_dist_program *program, bool layerwise) {
  stage_plan plan = {.program = program, .layerwise = layerwise};
  const size_t *stages = program->unit_stages, last = program->group_count - 1;
  if (stages[last] != stages[last + 1]) return plan;
  plan.first = find_first(program);
  for (size_t i = 0; i < program->op_count && stages[last] == 0; i++)
    if (plan.first[i]) plan.later = 1;
  return plan;
}

static size_t stage_wanted(const stage_plan *plan, const hct_dist_op *op) {
  const hct_dist_program *program = plan->program;
  size_t group = (size_t)hct_op_i64_or(op->op, "hct.group", 0);
  const char *pass = hct_op_str_or(op->op, "hct.pass", "forward");
  if (!strcmp(pass, "update") || (plan->first && plan->first[op - program->ops])) return 0;
  return plan->later + program->unit_stages[strcmp(pass, "backward") ? group : 2 * program->group_count - 1 - group];
}

/* The earliest place where `op` can run, given where its operands are made. */
static position place(const stage_plan *plan, const hct_dist_op *op, const position *made) {
  const hct_dist_program *program = plan->program;
  bool has_made_operand = false;
  position latest = 0;
  for (size_t k = 0; k < op->operand_count; k++) {
    position at = made[op->operands[k]];
    if (at > latest) latest = at;
    if (program->values[hct_dist_view_root(program, op->operands[k])].op != SIZE_MAX) has_made_operand = true;
  }
  size_t stage = position_stage(latest);
  if (op->accumulate) return position_at(stage, HCT_AFTER_LOOP);
  size_t wanted = stage_wanted(plan, op);
  if (op->timed) {
    if (position_when(latest) == HCT_AFTER_LOOP) stage++; /* waits for the whole batch */
    return position_at(wanted > stage ? wanted : stage, HCT_IN_LOOP);
  }
  if ((has_made_operand && !plan->layerwise) || wanted <= stage) return latest;
  return position_at(wanted, HCT_BEFORE_LOOP);
}

/* Views and constants are made wherever they are needed: they belong to no stage. */
static bool is_placed(const hct_dist_program *program, size_t op) {
  return !program->ops[op].view && !hct_dist_is_constant(program, program->ops[op].results[0]);
}

static void renumber(hct_dist_program *program, const stage_plan *plan, size_t highest) {
  size_t *number = HCT_NEW_ARRAY(program->arena, size_t, highest + 1);
  bool *is_numbered = HCT_NEW_ARRAY(program->arena, bool, highest + 1);
  for (size_t i = 0; i < program->op_count; i++)
    if (is_placed(program, i)) is_numbered[program->ops[i].stage] = true;
  size_t next = 0;
  for (size_t s = 0; s <= highest; s++)
    if (is_numbered[s]) number[s] = next++;
  for (size_t i = 0; i < program->op_count; i++)
    if (is_placed(program, i)) program->ops[i].stage = number[program->ops[i].stage];
  program->stage_count = next ? next : 1;
  program->residency = HCT_NEW_ARRAY(program->arena, hct_residency, program->stage_count);
  for (size_t u = 0; u < 2 * program->group_count; u++) {
    size_t stage = plan->later + program->unit_stages[u];
    if (stage <= highest && is_numbered[stage]) program->residency[number[stage]] = program->unit_residency[u];
  }
}

static void note_read(hct_dist_program *program, size_t value, size_t stage, bool layerwise) {
  size_t root = hct_dist_view_root(program, value);
  hct_dist_value *read = &program->values[root];
  if (stage > read->last_stage) read->last_stage = stage;
  if (read->op == SIZE_MAX || (!read->timed && !layerwise) || hct_dist_is_constant(program, root)) return;
  if (program->ops[read->op].stage < stage) read->spilled = true;
}

/* `last`, or the last stage that reads the old contents of what the operator replaces, where that is later. */
static size_t last_read_of(const hct_dist_program *program, const hct_dist_op *op, size_t last) {
  for (size_t k = 0; k < op->result_count; k++) {
    size_t argument = program->values[op->results[k]].replaces;
    if (argument != SIZE_MAX && program->values[argument].last_stage > last) last = program->values[argument].last_stage;
  }
  return last;
}

/* The last stage that reads the old contents of what `update` replaces: parameter, states, and the low copy that an operator makes of the
 * parameter. */
static size_t last_read(const hct_dist_program *program, size_t update) {
  const hct_dist_op *op = &program->ops[update];
  size_t last = last_read_of(program, op, 0);
  for (size_t r = program->readers.first[op->results[0]]; r < program->readers.first[op->results[0] + 1]; r++) {
    const hct_dist_op *maker = &program->ops[program->readers.items[r]];
    if (maker->operand_count == 1) last = last_read_of(program, maker, last);
  }
  return last;
}

/* An optimizer step, which goes over its parameter in place, comes after the loop of the last stage that reads it; what is made of its results
 * comes no earlier. The gradient stays in SRAM until then. */
static void updates_wait(hct_dist_program *program, bool layerwise) {
  for (size_t i = 0; i < program->op_count; i++) {
    hct_dist_op *op = &program->ops[i];
    position before = position_at(op->stage, op->when), at = before;
    if (op->timed || !is_placed(program, i)) continue;
    if (!strcmp(op->name, "hct_graph.update")) at = position_at(last_read(program, i), HCT_AFTER_LOOP);
    for (size_t k = 0; k < op->operand_count; k++) {
      size_t root = hct_dist_view_root(program, op->operands[k]), maker = program->values[root].op;
      if (maker == SIZE_MAX || hct_dist_is_constant(program, root)) continue;
      position made = position_at(program->ops[maker].stage, program->ops[maker].when);
      if (made > at) at = made;
    }
    if (at <= before) continue;
    op->stage = position_stage(at);
    op->when = position_when(at);
    for (size_t k = 0; k < op->operand_count; k++) note_read(program, op->operands[k], op->stage, layerwise);
  }
}

static void note_reads(hct_dist_program *program, bool through_dram) {
  for (size_t i = 0; i < program->op_count; i++)
    for (size_t k = 0; !program->ops[i].view && k < program->ops[i].operand_count; k++) note_read(program, program->ops[i].operands[k], program->ops[i].stage, through_dram);
}

/* By value: a gradient whose step waits for all. */
static bool *find_waiting(const hct_dist_program *program) {
  bool *waiting = HCT_NEW_ARRAY(program->arena, bool, program->value_count + 1);
  for (size_t i = 0; i < program->op_count; i++)
    if (program->ops[i].waits) waiting[hct_dist_view_root(program, program->ops[i].operands[1])] = true;
  return waiting;
}

/* Bytes, of whole tensors, that are the same for all micro-batches and wait in SRAM for a later stage. */
static double bytes_kept(const hct_dist_program *program, double whole) {
  const bool *waiting = find_waiting(program);
  double bytes = 0;
  for (size_t v = program->arg_count; v < program->value_count; v++) {
    const hct_dist_value *value = &program->values[v];
    const hct_dist_op *maker = &program->ops[value->op];
    if (value->timed || value->spilled || maker->view || hct_dist_is_constant(program, v) || value->last_stage <= maker->stage) continue;
    double own = (double)hct_shape_elements(&value->shape) * (double)hct_dtype_bytes(value->shape.dtype);
    bytes += waiting[v] ? whole * own : own;
  }
  return bytes;
}

/* Whether all that reads `value`, or views of it, is in the loop of `stage`. */
static bool is_read_in_loop(const hct_dist_program *program, size_t value, size_t stage) {
  const hct_groups *readers = &program->readers;
  for (size_t r = readers->first[value]; r < readers->first[value + 1]; r++) {
    const hct_dist_op *op = &program->ops[readers->items[r]];
    if (op->view ? !is_read_in_loop(program, op->results[0], stage) : op->stage != stage || op->when != HCT_IN_LOOP || op->accumulate) return false;
  }
  return program->values[value].uses == readers->first[value + 1] - readers->first[value]; /* else it is returned */
}

/* What is made of a streamed weight before the loop would lie in SRAM in its place. */
static void weights_join_loops(hct_dist_program *program) {
  bool any = false;
  for (size_t s = 0; s < program->stage_count; s++) any |= program->residency[s] & HCT_STREAM_WEIGHTS;
  const bool *learned = any ? find_learned(program) : NULL;
  for (size_t i = program->op_count; any && i-- > 0;) {
    hct_dist_op *op = &program->ops[i];
    if (!is_placed(program, i) || op->when != HCT_BEFORE_LOOP || op->result_count != 1 || !(program->residency[op->stage] & HCT_STREAM_WEIGHTS)) continue;
    size_t result = op->results[0];
    if (learned[result] && program->values[result].uses && is_read_in_loop(program, result, op->stage)) op->when = HCT_IN_LOOP;
  }
}

void hct_schedule_stages(hct_dist_program *program, bool layerwise, int64_t kept_bytes, double whole) {
  stage_plan plan = plan_make(program, layerwise);
  size_t highest = 0;
  position *made = HCT_NEW_ARRAY(program->arena, position, program->value_count);
  for (size_t i = 0; i < program->op_count; i++) {
    hct_dist_op *op = &program->ops[i];
    position at = op->view ? made[op->operands[0]] : hct_dist_is_constant(program, op->results[0]) ? 0 : place(&plan, op, made);
    for (size_t k = 0; k < op->result_count; k++) made[op->results[k]] = at;
    op->stage = position_stage(at);
    op->when = position_when(at);
    if (is_placed(program, i) && op->stage > highest) highest = op->stage;
  }
  renumber(program, &plan, highest);
  note_reads(program, layerwise);
  updates_wait(program, layerwise);
  if (bytes_kept(program, whole) > (double)kept_bytes) note_reads(program, true);
  weights_join_loops(program);
}
