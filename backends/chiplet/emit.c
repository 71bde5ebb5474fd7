/* The stream of one die: loads and stores, parts of buffers, ring steps, micro-batch loops. */
#include <string.h>

#include "backends/chiplet/chiplet.h"

static int64_t size_of(const chiplet_buffer *buffer) { return (int64_t)hct_dtype_bytes(buffer->dtype); }
static const chiplet_buffer *buffer_at(const chiplet_stream *s, size_t index) { return &s->program->buffers.items[index]; }

chiplet_access chiplet_access_of(const chiplet_stream *s, const chiplet_buffer *buffer, bool write) {
  return (chiplet_access){HCT_SPACE_SRAM, buffer->addr, buffer->addr + chiplet_elements(s, buffer) * size_of(buffer), write, s->batch_level >= 0 && buffer->twin};
}

hct_addr chiplet_addr(const chiplet_stream *s, const chiplet_buffer *buffer, int64_t offset) {
  hct_addr addr = {.base = buffer->addr + offset};
  if (s->batch_level < 0 || !buffer->twin) return addr;
  addr.terms[addr.term_count++] = (hct_term){.kind = HCT_TERM_LOOP, .level = (uint8_t)s->batch_level, .sign = 1, .size = 2, .stride = chiplet_pitch(&s->program->buffers.items[buffer->storage])};
  return addr;
}

/* index * stride, index being the micro-batch that runs: a loop counter, or a constant in the body of the last, smaller one. */
static void add_micro_batch(const chiplet_stream *s, const chiplet_op *op, hct_addr *addr, int64_t stride) {
  if (op->constant_index >= 0) addr->base += op->constant_index * stride;
  else if (stride) addr->terms[addr->term_count++] = (hct_term){.kind = HCT_TERM_LOOP, .level = (uint8_t)s->batch_level, .sign = 1, .stride = stride};
}

/* ---- DMA: tiles lie in DRAM as in SRAM ---- */
static void emit_dma(chiplet_stream *s, const chiplet_op *op) {
  bool load = op->kind == CHIPLET_LOAD;
  const chiplet_buffer *buffer = buffer_at(s, op->operands[0].buffer);
  const hct_tensor *tensor = &s->program->tensors.items[op->tensor];
  int64_t elements = chiplet_elements(s, buffer);
  if (elements == 0) return;
  hct_instr instr = chiplet_instr(op, load ? HCT_OP_LD : HCT_OP_ST);
  hct_view sram = {.dtype = buffer->dtype, .addr = chiplet_addr(s, buffer, 0), .stride = {0, 0, 0, 1}}, dram = sram;
  dram.addr = (hct_addr){.base = tensor->dram_offset};
  if (op->timed) add_micro_batch(s, op, &dram.addr, tensor->micro_batch_stride);
  for (int d = 0; d < 3; d++) instr.shape[d] = 1;
  instr.shape[3] = elements;
  instr.views[0] = load ? sram : dram;
  instr.views[1] = load ? dram : sram;
  chiplet_access accesses[2] = {chiplet_access_of(s, buffer, load), {HCT_SPACE_DRAM, tensor->dram_offset, tensor->dram_offset + tensor->tile_bytes, !load, false}};
  chiplet_item_push(s, chiplet_item_add(s, load ? HCT_ENGINE_LOAD : HCT_ENGINE_STORE, 2, accesses), instr);
}

/* ---- parts ---- */
typedef struct part_shape { /* a buffer around one factor: outer x extent x inner */
  int64_t outer, extent, inner;
} part_shape;

static part_shape shape_around(const chiplet_stream *s, const chiplet_buffer *buffer, int factor) {
  part_shape shape = {1, 1, 1};
  if (factor < 0) return (part_shape){1, chiplet_elements(s, buffer), 1};
  for (int f = 0; f < buffer->layout.factor_count; f++) {
    int64_t extent = chiplet_extent(s, &buffer->layout.factors[f], buffer->section);
    if (f < factor) shape.outer *= extent;
    else if (f == factor) shape.extent = extent;
    else shape.inner *= extent;
  }
  return shape;
}

static void emit_copy_part(chiplet_stream *s, const chiplet_op *op) {
  const chiplet_buffer *whole = buffer_at(s, op->operands[0].buffer), *part = buffer_at(s, op->operands[1].buffer);
  part_shape w = shape_around(s, whole, op->factor), p = shape_around(s, part, op->factor);
  if (chiplet_elements(s, part) == 0) return;
  hct_view in_whole = {.dtype = whole->dtype, .addr = chiplet_addr(s, whole, 0), .stride = {0, 0, w.extent * w.inner, 1}};
  hct_view in_part = {.dtype = part->dtype, .addr = chiplet_addr(s, part, 0), .stride = {0, 0, p.extent * p.inner, 1}};
  int64_t unit = w.inner * size_of(whole);
  if (op->axis == HCT_AXIS_TIME) {
    add_micro_batch(s, op, &in_whole.addr, s->program->micro_batch * unit);
  } else {
    bool row = op->axis == HCT_AXIS_ROW;
    int64_t parts = row ? s->program->rows : s->program->cols;
    if (w.extent % parts) in_whole.addr.base += hct_split_balanced(w.extent, parts, row ? s->row : s->col).start * unit;
    else in_whole.addr.terms[in_whole.addr.term_count++] = (hct_term){.kind = HCT_TERM_INDEX, .level = HCT_NO_LEVEL, .ring = row ? HCT_RING_ROW : HCT_RING_COL, .sign = 1, .stride = w.extent / parts * unit};
  }
  hct_instr instr = chiplet_instr(op, HCT_OP_MAP1);
  instr.fn = HCT_FN_MAP1_MOV;
  instr.shape[0] = instr.shape[1] = 1;
  instr.shape[2] = p.outer;
  instr.shape[3] = p.extent * p.inner;
  instr.views[0] = op->in ? in_whole : in_part;
  instr.views[1] = op->in ? in_part : in_whole;
  chiplet_access accesses[2] = {chiplet_access_of(s, whole, op->in), chiplet_access_of(s, part, !op->in)};
  chiplet_item_push(s, chiplet_item_add(s, HCT_ENGINE_VPU, 2, accesses), instr);
}

/* ---- rings ---- */
typedef struct ring_emission {
  const chiplet_op *op;
  const chiplet_buffer *buffer;
  hct_addr addr;
  part_shape shape;
  hct_ring ring;
  int64_t parts, position; /* dies of the ring, this die's position */
  bool even, reduce;
} ring_emission;

enum { RING_SEMAPHORE = HCT_SEMAPHORES - HCT_RING_COUNT }; /* above those of engine pairs (sync.c): RING_SEMAPHORE + ring */

/* The message that moves the chunk at ring position (own - back): `level` is that of the loop over steps, or HCT_NO_LEVEL. */
static hct_instr ring_message(const ring_emission *r, uint8_t opcode, int64_t back, uint8_t level) {
  int64_t unit = r->shape.inner * size_of(r->buffer), units = r->shape.extent / r->parts;
  hct_instr instr = chiplet_instr(r->op, opcode);
  instr.ring = (uint8_t)r->ring;
  instr.engine = (uint8_t)((opcode == HCT_OP_SEND ? HCT_ENGINE_SEND0 : HCT_ENGINE_RECV0) + 2 * (int)r->ring);
  hct_view *view = &instr.views[0];
  *view = (hct_view){.dtype = r->buffer->dtype, .addr = r->addr, .stride = {0, 0, r->shape.extent * r->shape.inner, 1}};
  if (r->even) {
    view->addr.terms[view->addr.term_count++] = (hct_term){.kind = HCT_TERM_RING, .level = level, .ring = (uint8_t)r->ring, .sign = level == HCT_NO_LEVEL ? 1 : -1, .offset = (int32_t)-back, .stride = units * unit};
  } else {
    int64_t position = ((r->position - back) % r->parts + r->parts) % r->parts;
    hct_range chunk = hct_split_balanced(r->shape.extent, r->parts, hct_ring_index_at(r->parts, position));
    view->addr.base += chunk.start * unit;
    units = chunk.length;
  }
  instr.shape[0] = instr.shape[1] = 1;
  instr.shape[2] = r->shape.outer;
  instr.shape[3] = units * r->shape.inner;
  if (opcode == HCT_OP_RECVR) instr.fn = hct_function_by_name("RED", r->op->fn)->code;
  return instr;
}

static void token(hct_instr *instr, bool wait, hct_ring ring) {
  hct_sync sync = {(uint8_t)(RING_SEMAPHORE + (int)ring), 1};
  if (wait) instr->waits[instr->wait_count++] = sync;
  else instr->signals[instr->signal_count++] = sync;
}

/* send(0); receive(s), send(s+1) for s = 0 .. steps-2; receive(steps-1): a send waits for the receive before it by a token, nothing else
 * does, so all links of the ring run at once. Both engines wait beforehand, and signal afterwards, through syncs of their own. */
static void emit_ring(chiplet_stream *s, const chiplet_op *loop) {
  const chiplet_op *op = &loop->body[0];
  ring_emission r = {.op = op, .buffer = buffer_at(s, op->operands[0].buffer), .ring = op->axis == HCT_AXIS_ROW ? HCT_RING_ROW : HCT_RING_COL,
                     .reduce = op->kind == CHIPLET_SCATTER_STEP};
  r.addr = chiplet_addr(s, r.buffer, 0);
  r.shape = shape_around(s, r.buffer, op->factor);
  r.parts = r.ring == HCT_RING_ROW ? s->program->rows : s->program->cols;
  r.position = hct_ring_position_of(r.parts, r.ring == HCT_RING_ROW ? s->row : s->col);
  r.even = r.shape.extent % r.parts == 0;
  int64_t steps = loop->trips, ahead = r.reduce ? 1 : 0;
  if (steps <= 0) return;
  uint8_t receive = r.reduce ? HCT_OP_RECVR : HCT_OP_RECV, level = (uint8_t)s->depth;
  hct_engine send_engine = (hct_engine)(HCT_ENGINE_SEND0 + 2 * (int)r.ring), receive_engine = (hct_engine)(HCT_ENGINE_RECV0 + 2 * (int)r.ring);
  chiplet_access reads = chiplet_access_of(s, r.buffer, false), writes = chiplet_access_of(s, r.buffer, true);
  hct_instr gate = {.opcode = HCT_OP_SYNC, .source = op->source};
  gate.engine = (uint8_t)send_engine;
  chiplet_item_push(s, chiplet_item_add(s, send_engine, 1, &reads), gate);
  gate.engine = (uint8_t)receive_engine;
  chiplet_item_push(s, chiplet_item_add(s, receive_engine, 1, &writes), gate);
  chiplet_sequencer_add(s, ring_message(&r, HCT_OP_SEND, ahead, HCT_NO_LEVEL));
  if (r.even && steps > 2) {
    hct_instr in = ring_message(&r, receive, ahead + 1, level), out = ring_message(&r, HCT_OP_SEND, ahead + 1, level);
    token(&in, false, r.ring);
    token(&out, true, r.ring);
    chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_LOOP, .engine = HCT_ENGINE_SEQ, .level = level, .values[0].base = steps - 1, .source = op->source});
    chiplet_sequencer_add(s, in);
    chiplet_sequencer_add(s, out);
    chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_END, .engine = HCT_ENGINE_SEQ, .level = level, .source = op->source});
  } else {
    for (int64_t step = 0; step + 1 < steps; step++) {
      hct_instr in = ring_message(&r, receive, ahead + 1 + step, HCT_NO_LEVEL), out = ring_message(&r, HCT_OP_SEND, ahead + 1 + step, HCT_NO_LEVEL);
      token(&in, false, r.ring);
      token(&out, true, r.ring);
      chiplet_sequencer_add(s, in);
      chiplet_sequencer_add(s, out);
    }
  }
  chiplet_sequencer_add(s, ring_message(&r, receive, ahead + steps, HCT_NO_LEVEL));
  gate.engine = (uint8_t)send_engine;
  chiplet_item_push(s, chiplet_item_add(s, send_engine, 1, &reads), gate);
  gate.engine = (uint8_t)receive_engine;
  chiplet_item_push(s, chiplet_item_add(s, receive_engine, 1, &writes), gate);
}

/* ---- the program ---- */
static void emit_ops(chiplet_stream *s, const chiplet_op *ops, size_t count);

static bool is_ring_loop(const chiplet_op *op) {
  return op->body_count == 1 && (op->body[0].kind == CHIPLET_GATHER_STEP || op->body[0].kind == CHIPLET_SCATTER_STEP);
}

/* A loop over micro-batches: drained at its begin and after its last iteration; iterations overlap as far as what they touch allows. */
static void emit_loop(chiplet_stream *s, const chiplet_op *op) {
  if (is_ring_loop(op)) {
    emit_ring(s, op);
    return;
  }
  if (op->trips == 0) return;
  chiplet_fence(s);
  uint8_t level = (uint8_t)s->depth++;
  int outer_level = s->batch_level;
  s->batch_level = level;
  size_t loop = s->items.count;
  chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_LOOP, .engine = HCT_ENGINE_SEQ, .level = level, .values[0].base = op->trips});
  emit_ops(s, op->body, op->body_count);
  chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_END, .engine = HCT_ENGINE_SEQ, .level = level});
  if (op->trips > 1) chiplet_loop_carry(s, loop, loop + 1);
  chiplet_fence(s);
  s->batch_level = outer_level;
  s->depth--;
}

static void emit_ops(chiplet_stream *s, const chiplet_op *ops, size_t count) {
  for (size_t i = 0; i < count; i++) {
    switch (ops[i].kind) {
      case CHIPLET_LOOP: emit_loop(s, &ops[i]); break;
      case CHIPLET_LOAD:
      case CHIPLET_STORE: emit_dma(s, &ops[i]); break;
      case CHIPLET_COPY_PART: emit_copy_part(s, &ops[i]); break;
      case CHIPLET_UPDATE: chiplet_update(s, &ops[i]); break;
      case CHIPLET_GATHER_STEP:
      case CHIPLET_SCATTER_STEP: hct_bug(__FILE__, __LINE__, "a ring step outside of its loop");
      default: chiplet_nest(s, &ops[i]);
    }
  }
}

void chiplet_emit(chiplet_stream *s) {
  emit_ops(s, s->program->ops, s->program->op_count);
  chiplet_fence(s);
}
