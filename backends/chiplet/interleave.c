/* Several micro-batches of a loop at once, for --overlap=ring. The body of a micro-batch loop becomes that of `copies` of them, each with
 * buffers of its own, in the order of a list schedule (list_schedule.c): while one copy computes, another's tiles travel on the rings of one
 * axis and a third's sums on those of the other.
 *
 * With `joined`, the first and the last iteration of every loop are taken out of it, and all that stands between two loops is one schedule:
 * the last iteration of a fusion group, its optimizer updates, the loads of the next group's weights and its first iteration. Loops are then
 * entered and left full of work, and those of one or two iterations are gone. It takes SRAM for two groups' weights at once. */
#include <string.h>

#include "backends/chiplet/chiplet.h"

typedef struct interleaving {
  chiplet_program *program;
  int64_t copies;
  bool joined;
  op_list segment; /* since the last loop */
  size_t period_of; /* of the segment's first operation */
  op_list out;
} interleaving;

/* By buffer: its clone for a further micro-batch; buffers that outlive an iteration stand for themselves. */
static size_t *buffers_clone(chiplet_program *program, const chiplet_op *loop, size_t count, bool fresh) {
  size_t *clone = HCT_NEW_ARRAY(program->arena, size_t, count + 1);
  for (size_t b = 0; b < count; b++) {
    chiplet_buffer buffer = program->buffers.items[b];
    const chiplet_buffer *storage = &program->buffers.items[buffer.storage];
    clone[b] = b;
    if (!fresh || storage->first == SIZE_MAX || storage->first < loop->order || storage->last > loop->body_end) continue;
    clone[b] = program->buffers.count;
    buffer.storage = buffer.storage == b ? clone[b] : clone[buffer.storage];
    HCT_PUSH(program->arena, &program->buffers, buffer);
  }
  return clone;
}

chiplet_operand *chiplet_operands_copy(hct_arena *arena, const chiplet_op *op) {
  chiplet_operand *operands = HCT_NEW_ARRAY(arena, chiplet_operand, op->operand_count);
  if (op->operand_count) memcpy(operands, op->operands, op->operand_count * sizeof *operands);
  return operands;
}

chiplet_op chiplet_op_copy(chiplet_program *program, const chiplet_op *op, const size_t *clone, chiplet_numbering n) {
  chiplet_op copy = *op;
  copy.operands = chiplet_operands_copy(program->arena, op);
  for (size_t k = 0; clone && k < op->operand_count; k++) copy.operands[k].buffer = clone[op->operands[k].buffer];
  if (op->timed && op->constant_index < 0) copy.constant_index = n.constant < 0 ? -1 : n.constant * op->index_scale + op->index_offset, copy.index_scale = n.scale * op->index_scale, copy.index_offset = n.offset * op->index_scale + op->index_offset;
  if (!op->body_count) return copy;
  copy.body = HCT_NEW_ARRAY(program->arena, chiplet_op, op->body_count);
  for (size_t i = 0; i < op->body_count; i++) copy.body[i] = chiplet_op_copy(program, &op->body[i], clone, n);
  return copy;
}

static void body_add(interleaving *v, const chiplet_op *loop, const size_t *clone, chiplet_numbering n, op_list *out) {
  for (size_t i = 0; i < loop->body_count; i++) HCT_PUSH(v->program->arena, out, chiplet_op_copy(v->program, &loop->body[i], clone, n));
}

/* Micro-batches from `first` on, in the present segment, with buffers of their own. */
static void peel(interleaving *v, const chiplet_op *loop, size_t buffers, int64_t first, int64_t count) {
  for (int64_t k = 0; k < count; k++) body_add(v, loop, buffers_clone(v->program, loop, buffers, true), (chiplet_numbering){first + k, 1, 0}, &v->segment);
}

static void segment_end(interleaving *v) {
  if (!v->segment.count) return;
  size_t begin = v->out.count;
  op_list ops = v->joined ? chiplet_list_schedule(v->program, v->segment.items, v->segment.count) : v->segment;
  for (size_t i = 0; i < ops.count; i++) HCT_PUSH(v->program->arena, &v->out, ops.items[i]);
  v->out.items[begin].period_of = v->period_of;
  v->period_of = 0;
  v->segment = (op_list){0};
}

static void loop_add(interleaving *v, const chiplet_op *loop, size_t buffers, int64_t trips, int64_t copies, int64_t first) {
  op_list body = {0};
  for (int64_t k = 0; k < copies; k++) body_add(v, loop, buffers_clone(v->program, loop, buffers, k > 0), (chiplet_numbering){-1, copies, first + k}, &body);
  if (v->copies) body = chiplet_list_schedule(v->program, body.items, body.count);
  chiplet_op made = *loop;
  made.trips = trips;
  made.body = body.items;
  made.body_count = body.count;
  segment_end(v);
  made.period_of = v->period_of;
  v->period_of = 0;
  HCT_PUSH(v->program->arena, &v->out, made);
}

static void loop_interleave(interleaving *v, const chiplet_op *loop, size_t buffers) {
  int64_t wanted = v->copies && !chiplet_is_piece_loop(loop) ? v->copies : 1, copies = wanted < loop->trips ? wanted : loop->trips, whole = loop->trips / copies, rest = loop->trips % copies, peeled = !v->joined ? 0 : whole > 2 ? 1 : whole;
  bool stays = whole > 2 * peeled && whole > peeled;
  if (loop->period_of && !stays) {
    segment_end(v);
    v->period_of = loop->period_of;
  }
  peel(v, loop, buffers, 0, peeled * copies);
  if (stays) {
    segment_end(v);
    v->period_of = loop->period_of;
    loop_add(v, loop, buffers, whole - 2 * peeled, copies, peeled * copies);
    peel(v, loop, buffers, (whole - peeled) * copies, peeled * copies);
  }
  if (!rest) return;
  if (v->joined) peel(v, loop, buffers, whole * copies, rest);
  else loop_add(v, loop, buffers, 1, rest, whole * copies);
}

static void op_add(interleaving *v, chiplet_op op) {
  if (op.period_of) {
    segment_end(v);
    v->period_of = op.period_of;
  }
  op.period_of = 0; /* it may not come first in its segment */
  HCT_PUSH(v->program->arena, &v->segment, op);
}

static void number(chiplet_program *program, chiplet_op *ops, size_t count, size_t *order) {
  for (size_t i = 0; i < count; i++) {
    ops[i].order = (*order)++;
    for (size_t k = 0; k < ops[i].operand_count; k++) {
      chiplet_buffer *storage = &program->buffers.items[program->buffers.items[ops[i].operands[k].buffer].storage];
      if (storage->first == SIZE_MAX) storage->first = ops[i].order;
      storage->last = ops[i].order;
    }
    number(program, ops[i].body, ops[i].body_count, order);
    ops[i].body_end = *order - 1;
  }
}

void chiplet_number(chiplet_program *program) {
  size_t order = 0;
  for (size_t b = 0; b < program->buffers.count; b++) program->buffers.items[b].first = SIZE_MAX, program->buffers.items[b].last = 0;
  number(program, program->ops, program->op_count, &order);
}

void chiplet_times_measure(chiplet_program *program) {
  for (size_t i = 0; i < program->op_count; i++) {
    chiplet_op *op = &program->ops[i];
    bool loop = op->kind == CHIPLET_LOOP && !chiplet_is_ring_loop(op);
    if (!loop) op->ps = chiplet_op_ps(program, op);
    for (size_t k = 0; loop && k < op->body_count; k++) op->body[k].ps = chiplet_op_ps(program, &op->body[k]);
  }
}

chiplet_program chiplet_interleave(const chiplet_program *program, int64_t copies, bool joined) {
  chiplet_program made = *program;
  interleaving v = {.program = &made, .copies = copies, .joined = joined};
  size_t buffers = program->buffers.count;
  made.buffers.items = HCT_NEW_ARRAY(made.arena, chiplet_buffer, buffers + 1);
  made.buffers.capacity = buffers + 1;
  if (buffers) memcpy(made.buffers.items, program->buffers.items, buffers * sizeof *made.buffers.items);
  made.tensors.items = HCT_NEW_ARRAY(made.arena, hct_tensor, program->tensors.count + 1);
  if (program->tensors.count) memcpy(made.tensors.items, program->tensors.items, program->tensors.count * sizeof *made.tensors.items);
  for (size_t i = 0; i < program->op_count; i++) {
    const chiplet_op *op = &program->ops[i];
    bool loop = op->kind == CHIPLET_LOOP && !chiplet_is_ring_loop(op);
    if (!loop) op_add(&v, *op);
    else if (op->trips > 0) loop_interleave(&v, op, buffers);
  }
  segment_end(&v);
  made.ops = v.out.items;
  made.op_count = v.out.count;
  chiplet_number(&made);
  return made;
}
