/* Loads earlier and stores with more time, in the order written, where SRAM has room. What is loaded lies in the order just before its first reader; as
 * engines and the sequencer go through their queues in order, its whole latency would then be waited for. Inside each loop over micro-batches a load moves
 * forward until the MXU has work for LEAD times as long as the load takes, but no further than the bytes that live meanwhile allow. What is stored keeps its
 * place for as long behind the store: what comes to lie there would wait for it. */
#include "backends/chiplet/chiplet.h"

enum { LEAD = 6 }; /* a channel has other dies to serve, links have other messages */

typedef struct prefetching {
  chiplet_program *program;
  int64_t room;
  int64_t *live; /* bytes, by operation of the loop's body, and of none behind it */
  int64_t *busy; /* picoseconds of MXU work before it */
} prefetching;

static size_t last_of_op(const chiplet_op *op) { return op->body_count ? op->body_end : op->order; }

/* The first operation of the body that ends at this place in the order, or behind it. */
static size_t first_ending_at(const chiplet_op *loop, size_t order) {
  size_t from = 0, to = loop->body_count;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (last_of_op(&loop->body[middle]) < order) from = middle + 1;
    else to = middle;
  }
  return from;
}

static void loop_measure(prefetching *p, const chiplet_op *loop) {
  int64_t busy = 0;
  for (size_t b = 0; b < p->program->buffers.count; b++) {
    const chiplet_buffer *buffer = &p->program->buffers.items[b];
    if (buffer->storage != b || buffer->first == SIZE_MAX || buffer->last < loop->order || buffer->first > loop->body_end) continue;
    bool outlives = buffer->first < loop->order; /* made before the loop: it lives until its end */
    size_t last = outlives ? loop->body_count : first_ending_at(loop, buffer->last);
    if (last < loop->body_count) p->live[last + (loop->body[last].order <= buffer->last)] -= chiplet_pitch(buffer);
    p->live[outlives ? 0 : first_ending_at(loop, buffer->first)] += chiplet_pitch(buffer);
  }
  for (size_t i = 0; i < loop->body_count; i++) {
    p->busy[i] = busy;
    if (i > 0) p->live[i] += p->live[i - 1];
    if (loop->body[i].kind == CHIPLET_MATMUL) busy += loop->body[i].ps;
  }
}

/* Where in the body the load may go at the earliest that is of use. */
static size_t load_position(const prefetching *p, const chiplet_op *loop, size_t at) {
  const chiplet_op *load = &loop->body[at];
  const chiplet_buffer *buffer = &p->program->buffers.items[load->operands[0].buffer];
  int64_t wanted = p->busy[at] - LEAD * load->ps;
  size_t to = at;
  if (buffer->storage != load->operands[0].buffer || buffer->first != load->order) return at;
  while (to > 0 && p->busy[to] > wanted && p->live[to - 1] + chiplet_pitch(buffer) <= p->room && !chiplet_stores_to(p->program, &loop->body[to - 1], load->tensor)) to--;
  return to > 0 && to < at && chiplet_are_halves(&loop->body[to - 1], &loop->body[to]) ? to + 1 : to;
}

static void load_move(prefetching *p, chiplet_op *loop, size_t at, size_t to) {
  chiplet_op load = loop->body[at];
  int64_t bytes = chiplet_pitch(&p->program->buffers.items[load.operands[0].buffer]), live = p->live[to] + bytes, busy = p->busy[to];
  for (size_t i = at; i > to; i--) {
    loop->body[i] = loop->body[i - 1];
    p->live[i] = p->live[i - 1] + bytes;
    p->busy[i] = p->busy[i - 1];
  }
  loop->body[to] = load, p->live[to] = live, p->busy[to] = busy;
}

/* What is stored lies until the store is surely done, where there is room: what takes its place would wait for it. */
static void stores_linger(prefetching *p, const chiplet_op *loop) {
  for (size_t i = 0; i < loop->body_count; i++) {
    const chiplet_op *store = &loop->body[i];
    if (store->kind != CHIPLET_STORE) continue;
    chiplet_buffer *buffer = &p->program->buffers.items[p->program->buffers.items[store->operands[0].buffer].storage];
    if (buffer->first < loop->order || buffer->last != store->order) continue;
    for (size_t to = i + 1; to < loop->body_count && p->busy[to] < p->busy[i] + LEAD * store->ps && p->live[to] + chiplet_pitch(buffer) <= p->room; to++) {
      p->live[to] += chiplet_pitch(buffer);
      buffer->last = last_of_op(&loop->body[to]);
    }
  }
}

static prefetching loop_begin(chiplet_program *program, const chiplet_op *loop, int64_t room) {
  prefetching p = {program, room, HCT_NEW_ARRAY(program->arena, int64_t, loop->body_count + 1), HCT_NEW_ARRAY(program->arena, int64_t, loop->body_count)};
  loop_measure(&p, loop);
  return p;
}

static void loads_move(prefetching *p, chiplet_op *loop) {
  chiplet_op *body = HCT_NEW_ARRAY(p->program->arena, chiplet_op, loop->body_count); /* others may share the one that was written */
  for (size_t k = 0; k < loop->body_count; k++) body[k] = loop->body[k];
  loop->body = body;
  for (size_t k = 0; k < loop->body_count; k++) {
    size_t to = loop->body[k].kind == CHIPLET_LOAD ? load_position(p, loop, k) : k;
    if (to < k) load_move(p, loop, k, to);
  }
}

void chiplet_prefetch(chiplet_program *program, int64_t room) {
  chiplet_buffers_measure(program);
  for (size_t i = 0; i < program->op_count; i++) {
    if (!chiplet_is_batch_loop(&program->ops[i])) continue;
    prefetching p = loop_begin(program, &program->ops[i], room);
    loads_move(&p, &program->ops[i]);
  }
  chiplet_number(program);
  for (size_t i = 0; i < program->op_count; i++) {
    if (!chiplet_is_batch_loop(&program->ops[i])) continue;
    prefetching p = loop_begin(program, &program->ops[i], room);
    stores_linger(&p, &program->ops[i]);
  }
}
