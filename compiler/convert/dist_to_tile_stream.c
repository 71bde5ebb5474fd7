/* Streamed weights (--weights): in a stage that streams them (HCT_STREAM_WEIGHTS), a matrix of parameters is loaded where a unit (forward or backward of a fusion group) first
 * reads it in a micro-batch, and its place is free after the last operator of that unit which does. It crosses once a micro-batch and unit, in place of once
 * a stage. Vectors (gains, biases) stay: they take little, and a transfer has a latency.
 *
 * Sums over the batch, which gradients of these are, stay in SRAM, or (HCT_STREAM_SUMS) are in DRAM between micro-batches:
 *
 *   first micro-batch    %g = 0;     %g += product;   store G, %g
 *   others               load %g, G; %g += product;   store G, %g
 *   last                 load %g, G; %g += product;   then at once what else is made of it: reductions, its share of the norm, the optimizer step
 *
 * so that a sum crosses 2 (micro-batches - 1) times, and with one micro-batch not at all: its step comes as soon as it is whole and the stage has read the
 * old parameter for the last time. Numbers are those of resident weights, bit by bit: the same operators add to the same sums in the same order. */
#include <string.h>

#include "compiler/convert/dist_to_tile.h"

typedef struct index_list { size_t *items; size_t count, capacity; } index_list;

typedef struct tile_streaming {
  bool weights, sums; /* are streamed in this stage */
  bool any_sum, looped, first, last, flushing;
  bool *weight;      /* by argument: a matrix of parameters, or its copy */
  size_t *turn;      /* by argument: unit that it was loaded for, plus one */
  bool *begun;       /* by value: a sum that is in SRAM */
  MlirValue *tensors;/* by value: where a sum lies between micro-batches; null: nowhere yet */
  bool *done;        /* by operator */
  size_t *waits;     /* by operator after the loop: others of the stage that must be done */
  index_list *dependents, ready; /* by operator; those that wait for nothing, in order, some done */
} tile_streaming;

static tile_streaming *streaming_create(lowering *l) {
  const hct_dist_program *p = l->program;
  tile_streaming *s = HCT_NEW(l->arena, tile_streaming);
  s->weight = HCT_NEW_ARRAY(l->arena, bool, p->value_count + 1), s->begun = HCT_NEW_ARRAY(l->arena, bool, p->value_count + 1), s->turn = HCT_NEW_ARRAY(l->arena, size_t, p->value_count + 1);
  s->tensors = HCT_NEW_ARRAY(l->arena, MlirValue, p->value_count + 1);
  s->done = HCT_NEW_ARRAY(l->arena, bool, p->op_count + 1), s->waits = HCT_NEW_ARRAY(l->arena, size_t, p->op_count + 1), s->dependents = hct_arena_array(l->arena, p->op_count + 1, sizeof *s->dependents);
  for (size_t a = 0; a < p->arg_count; a++) {
    MlirAttribute role = hct_function_arg_attr(p->function, a, "hct.role");
    const char *text = mlirAttributeIsNull(role) ? "" : hct_attr_text(role);
    s->weight[a] = (!strcmp(text, "param") || !strcmp(text, "copy")) && tile_info(l, a)->shape.rank > 1;
  }
  return s;
}

/* ---- weights ---- */
bool tile_streams(const lowering *l, size_t value) { return l->streaming && l->streaming->weights && l->streaming->weight[value]; }

bool tile_loads_late(const lowering *l) { return tile_streams_any_sum(l) && l->program->micro_batch == l->program->batch; }

size_t tile_unit(MlirOperation op) {
  static const char *const passes[] = {"forward", "backward", "update"};
  const char *pass = hct_op_str_or(op, "hct.pass", "forward");
  size_t number = 0;
  while (number + 1 < HCT_COUNT(passes) && strcmp(passes[number], pass)) number++;
  return (size_t)hct_op_i64_or(op, "hct.group", 0) * HCT_COUNT(passes) + number;
}

/* An optimizer step takes the parameter as it is there. */
void tile_stream_turn(lowering *l, size_t value) {
  size_t unit = tile_unit(l->op) + 1;
  if (l->streaming->turn[value] == unit || hct_op_is(l->op, "hct_graph.update")) return;
  l->streaming->turn[value] = unit;
  l->scopes[value] = 0;
  tile_views_forget(l, value);
}

/* ---- sums over the batch ---- */
bool tile_streams_sum(const lowering *l, const hct_dist_op *accumulator) {
  if (!l->streaming || !l->streaming->sums || strcmp(hct_op_str(accumulator->op, "kind"), "sum")) return false;
  const hct_dist_value *sum = tile_info(l, accumulator->results[0]);
  return (sum->shape.rank > 1 || l->program->micro_batch == l->program->batch) && !hct_dtype_is_half(sum->shape.dtype);
}

bool tile_streams_any_sum(const lowering *l) { return l->streaming && l->streaming->any_sum; }

void tile_stream_pass(lowering *l, bool first, bool last) { l->streaming->first = first, l->streaming->last = last; }

static MlirValue tensor_of(lowering *l, size_t sum) {
  MlirValue *tensor = &l->streaming->tensors[sum];
  if (mlirValueIsNull(*tensor)) *tensor = tile_tensor_of_sum(l, sum);
  return *tensor;
}

void tile_stream_sum_begin(lowering *l, const hct_dist_op *accumulator) {
  size_t value = accumulator->results[0];
  if (!tile_streams_sum(l, accumulator) || l->streaming->begun[value]) return;
  tile_view sum = tile_view_fresh(l, &tile_info(l, value)->layout, tile_info(l, value)->shape.dtype);
  if (l->streaming->first) tile_fill(l, sum.buffer, 0);
  else tile_move(l, "load", sum.buffer, tensor_of(l, value), (MlirValue){NULL});
  tile_value_set(l, value, &sum);
  l->streaming->begun[value] = true;
}

void tile_stream_sum_end(lowering *l, const hct_dist_op *accumulator) {
  size_t value = accumulator->results[0];
  if (!tile_streams_sum(l, accumulator) || l->streaming->last) return;
  tile_move(l, "store", tensor_of(l, value), l->views[value].buffer, (MlirValue){NULL});
  l->streaming->begun[value] = false;
}

/* ---- what comes after the loop, as soon as it can ---- */
static void wait_for(lowering *l, size_t before, size_t op) {
  if (before == op) return;
  HCT_PUSH(l->arena, &l->streaming->dependents[before], op);
  l->streaming->waits[op]++;
}

/* What reads the old contents of `argument` in this stage. */
static void wait_for_readers(lowering *l, size_t argument, size_t op) {
  const hct_groups *readers = &l->program->readers;
  for (size_t r = readers->first[argument]; r < readers->first[argument + 1]; r++) {
    const hct_dist_op *reader = &l->program->ops[readers->items[r]];
    if (reader->view) wait_for_readers(l, reader->results[0], op);
    else if (reader->stage == l->stage && (reader->when != HCT_AFTER_LOOP || reader->accumulate || readers->items[r] < op)) wait_for(l, readers->items[r], op);
  }
}

static void wait_for_replaced(lowering *l, const hct_dist_op *op, size_t by) {
  for (size_t k = 0; k < op->result_count; k++)
    if (tile_info(l, op->results[k])->replaces != SIZE_MAX) wait_for_readers(l, tile_info(l, op->results[k])->replaces, by);
}

static void waits_find(lowering *l, size_t number) {
  const hct_dist_program *p = l->program;
  const hct_dist_op *op = &p->ops[number];
  for (size_t k = 0; k < op->operand_count; k++) {
    size_t root = hct_dist_view_root(p, op->operands[k]), maker = tile_info(l, root)->op;
    if (maker != SIZE_MAX && !hct_dist_is_constant(p, root) && p->ops[maker].stage == l->stage) wait_for(l, maker, number);
  }
  wait_for_replaced(l, op, number);
  for (size_t r = p->readers.first[op->results[0]]; r < p->readers.first[op->results[0] + 1] && !strcmp(op->name, "hct_graph.update"); r++)
    if (p->ops[p->readers.items[r]].operand_count == 1) wait_for_replaced(l, &p->ops[p->readers.items[r]], number); /* the low copy may be written with it */
  if (!l->streaming->waits[number]) HCT_PUSH(l->arena, &l->streaming->ready, number);
}

void tile_stream_begin(lowering *l) {
  hct_residency residency = l->program->residency[l->stage];
  l->streaming = NULL;
  if (residency == HCT_RESIDENT) return;
  if (!l->streams) l->streams = streaming_create(l);
  tile_streaming *s = l->streaming = l->streams;
  s->weights = residency & HCT_STREAM_WEIGHTS, s->sums = residency & HCT_STREAM_SUMS;
  s->any_sum = s->first = s->last = false, s->looped = tile_stage_has_loop(l);
  s->ready.count = 0;
  memset(s->turn, 0, l->program->value_count * sizeof *s->turn);
  for (size_t i = 0; i < tile_stage_op_count(l); i++) {
    const hct_dist_op *op = tile_stage_op(l, i);
    if (op->accumulate) s->any_sum |= tile_streams_sum(l, op);
    else if (op->when == HCT_AFTER_LOOP) waits_find(l, (size_t)(op - l->program->ops));
  }
}

bool tile_stream_is_done(const lowering *l, const hct_dist_op *op) { return l->streaming && l->streaming->done[op - l->program->ops]; }

static bool at_once(const tile_streaming *s) { return s->looped ? s->any_sum && s->last : s->sums; }

/* Stores what is to be in DRAM of the operator's results. */
static void results_store(lowering *l, const hct_dist_op *op) {
  for (size_t k = 0; k < op->result_count; k++) {
    size_t value = op->results[k];
    if (tile_info(l, value)->timed) continue;
    if (tile_info(l, value)->spilled) tile_value_spill(l, value);
    tile_returned_of(l, value);
  }
}

static hct_status ready_lower(lowering *l) {
  tile_streaming *s = l->streaming;
  int64_t section = l->section;
  hct_status status = HCT_OK;
  s->flushing = true;
  l->section = HCT_SECTION_NONE;
  for (size_t i = 0; i < s->ready.count && status == HCT_OK; i++) {
    const hct_dist_op *op = &l->program->ops[s->ready.items[i]];
    if (s->done[s->ready.items[i]]) continue;
    if (!l->stored[op->results[0]]) status = tile_op_lower(l, op);
    if (status == HCT_OK) status = tile_stream_done(l, op);
  }
  s->ready.count = 0;
  l->section = section;
  s->flushing = false;
  return status;
}

hct_status tile_stream_done(lowering *l, const hct_dist_op *op) {
  tile_streaming *s = l->streaming;
  size_t number = s ? (size_t)(op - l->program->ops) : 0;
  bool in_loop = op->when == HCT_IN_LOOP || op->accumulate;
  if (!s || s->done[number] || (in_loop && !s->last)) return HCT_OK;
  s->done[number] = true;
  for (size_t i = 0; i < s->dependents[number].count; i++) {
    size_t next = s->dependents[number].items[i];
    if (!--s->waits[next]) HCT_PUSH(l->arena, &s->ready, next);
  }
  if (!at_once(s)) return HCT_OK;
  int64_t section = l->section;
  l->section = HCT_SECTION_NONE;
  results_store(l, op);
  l->section = section;
  return s->flushing ? HCT_OK : ready_lower(l);
}
