/* The stream of one die: loads and stores, parts of buffers, ring steps, micro-batch loops. */
#include <string.h>

#include "backends/chiplet/chiplet.h"

static int64_t size_of(const chiplet_buffer *buffer) { return (int64_t)hct_dtype_bytes(buffer->dtype); }
static const chiplet_buffer *buffer_at(const chiplet_stream *s, size_t index) { return &s->program->buffers.items[index]; }

chiplet_access chiplet_access_of(const chiplet_stream *s, const chiplet_buffer *buffer, bool write) {
  return (chiplet_access){.space = HCT_SPACE_SRAM, .start = buffer->addr, .end = buffer->addr + chiplet_elements(s, buffer) * size_of(buffer), .write = write, .twin = s->batch_level >= 0 && buffer->twin};
}

hct_addr chiplet_addr(const chiplet_stream *s, const chiplet_buffer *buffer, int64_t offset) {
  hct_addr addr = {.base = buffer->addr + offset};
  if (s->batch_level < 0 || !buffer->twin) return addr;
  hct_addr_add(s->arena, &addr, (hct_term){.kind = HCT_TERM_LOOP, .level = (uint8_t)s->batch_level, .sign = 1, .size = 2, .stride = chiplet_pitch(&s->program->buffers.items[buffer->storage])});
  return addr;
}

/* index * stride, index being the micro-batch or piece that runs: a loop counter, or a constant outside of loops. */
void chiplet_index_add(const chiplet_stream *s, const chiplet_op *op, hct_addr *addr, int64_t stride) {
  addr->base += (op->constant_index >= 0 ? op->constant_index : op->index_offset) * stride;
  if (op->constant_index < 0 && stride) hct_addr_add(s->arena, addr, (hct_term){.kind = HCT_TERM_LOOP, .level = (uint8_t)s->batch_level, .sign = 1, .stride = stride * op->index_scale});
}

void chiplet_piece_add(const chiplet_stream *s, const chiplet_op *op, const chiplet_buffer *piece, int64_t size, hct_addr *addr) {
  addr->base += piece->piece_first * size;
  if (op->timed) chiplet_index_add(s, op, addr, piece->piece_elements * size);
}

/* ---- DMA: tiles lie in DRAM as in SRAM ---- */
static chiplet_access dram_access(const chiplet_op *op, const hct_tensor *tensor) {
  chiplet_access access = {.space = HCT_SPACE_DRAM, .start = tensor->dram_offset, .end = tensor->dram_offset + tensor->tile_bytes, .write = op->kind == CHIPLET_STORE};
  if (!op->timed || op->constant_index < 0) return access;
  access.start += op->constant_index * tensor->micro_batch_stride;
  access.end = access.start + tensor->micro_batch_stride;
  return access;
}

/* `addr`: of the piece, on any iteration of the loop around it. */
static chiplet_access piece_access(const chiplet_op *op, const hct_tensor *tensor, const hct_addr *addr, int64_t bytes) {
  chiplet_access access = dram_access(&(chiplet_op){.kind = op->kind}, tensor);
  if (addr->term_count) access.at = addr->base, access.at_end = addr->base + bytes, access.moves = addr->terms[0].stride;
  else access.start = addr->base, access.end = addr->base + bytes;
  return access;
}

static void emit_dma(chiplet_stream *s, const chiplet_op *op) {
  bool load = op->kind == CHIPLET_LOAD;
  const chiplet_buffer *buffer = buffer_at(s, op->operands[0].buffer);
  const hct_tensor *tensor = &s->program->tensors.items[op->tensor];
  int64_t elements = chiplet_elements(s, buffer);
  if (elements == 0) return;
  hct_instr instr = chiplet_instr(s, op, load ? HCT_OP_LD : HCT_OP_ST);
  hct_view sram = {.dtype = buffer->dtype, .addr = chiplet_addr(s, buffer, 0), .stride = {0, 0, 0, 1}}, dram = sram;
  dram.addr = (hct_addr){.base = tensor->dram_offset};
  if (buffer->piece_elements) chiplet_piece_add(s, op, buffer, size_of(buffer), &dram.addr);
  else if (op->timed) chiplet_index_add(s, op, &dram.addr, tensor->micro_batch_stride);
  chiplet_access accesses[2] = {chiplet_access_of(s, buffer, load), buffer->piece_elements ? piece_access(op, tensor, &dram.addr, elements * size_of(buffer)) : dram_access(op, tensor)};
  /* nothing of one layer runs beside another: to each other, what is accessed stays where the first layer's is */
  if (op->layer_stride) hct_addr_add(s->arena, &dram.addr, (hct_term){.kind = HCT_TERM_LOOP, .level = (uint8_t)s->layer_level, .sign = 1, .stride = op->layer_stride});
  for (int d = 0; d < 3; d++) instr.shape[d] = 1;
  instr.shape[3] = elements;
  instr.views[0] = load ? sram : dram;
  instr.views[1] = load ? dram : sram;
  chiplet_item_push(s, chiplet_item_add(s, load ? HCT_ENGINE_LOAD : HCT_ENGINE_STORE, 2, accesses), instr);
}

/* ---- parts ---- */
typedef struct part_shape { /* a buffer around one factor: outer x extent x inner */
  int64_t outer, extent, inner;
} part_shape;

static part_shape shape_around(const chiplet_stream *s, const chiplet_buffer *buffer, int factor) {
  part_shape shape = {1, 1, 1};
  if (factor < 0) return (part_shape){1, chiplet_elements(s, buffer), 1};
  for (int f = 0; f < buffer->layout->factor_count; f++) {
    int64_t extent = chiplet_extent(s, &buffer->layout->factors[f], buffer->section);
    if (f < factor) shape.outer *= extent;
    else if (f == factor) shape.extent = extent;
    else shape.inner *= extent;
  }
  return shape;
}

/* What the die of index `part` on the ring holds of a factor of `extent` units: split over rows, columns, or rows and then columns. */
hct_range chiplet_part_range(const chiplet_stream *s, hct_ring ring, int64_t extent, int64_t part) {
  if (ring == HCT_RING_ROW) return hct_split_balanced(extent, s->program->rows, part);
  if (ring == HCT_RING_COL) return hct_split_balanced(extent, s->program->cols, part);
  hct_range row = hct_split_balanced(extent, s->program->rows, part / s->program->cols), col = hct_split_balanced(row.length, s->program->cols, part % s->program->cols);
  return (hct_range){row.start + col.start, col.length};
}

void chiplet_depend(const chiplet_stream *s, hct_ring ring) {
  if (!s->depends) return;
  s->depends->row |= ring != HCT_RING_COL;
  s->depends->col |= ring != HCT_RING_ROW;
}

static void emit_copy_part(chiplet_stream *s, const chiplet_op *op) {
  const chiplet_buffer *whole = buffer_at(s, op->operands[0].buffer), *part = buffer_at(s, op->operands[1].buffer);
  part_shape w = shape_around(s, whole, op->factor), p = shape_around(s, part, op->factor);
  if (chiplet_elements(s, part) == 0) return;
  hct_view in_whole = {.dtype = whole->dtype, .addr = chiplet_addr(s, whole, 0), .stride = {0, 0, w.extent * w.inner, 1}};
  hct_view in_part = {.dtype = part->dtype, .addr = chiplet_addr(s, part, 0), .stride = {0, 0, p.extent * p.inner, 1}};
  int64_t unit = w.inner * size_of(whole);
  if (op->over_time) {
    chiplet_index_add(s, op, &in_whole.addr, s->program->micro_batch * unit);
  } else {
    int64_t parts = hct_ring_size(op->ring, s->program->rows, s->program->cols), own = hct_ring_index(op->ring, s->program->cols, s->row * s->program->cols + s->col);
    if (w.extent % parts) in_whole.addr.base += chiplet_part_range(s, op->ring, w.extent, own).start * unit, chiplet_depend(s, op->ring);
    else hct_addr_add(s->arena, &in_whole.addr, (hct_term){.kind = HCT_TERM_INDEX, .level = HCT_NO_LEVEL, .ring = (uint8_t)op->ring, .sign = 1, .stride = w.extent / parts * unit});
  }
  hct_instr instr = chiplet_instr(s, op, HCT_OP_MAP1);
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
  const chiplet_stream *stream;
  const chiplet_op *op;
  const chiplet_buffer *buffer;
  part_shape shape;
  int64_t parts, position; /* dies of the ring, this die's position */
  int64_t steps;
  bool reduce;
  hct_range divided;       /* what its dies divide */
  int64_t outer;           /* within: units from one index's own part of that axis to the next, where those are even; else 0 */
  bool even;               /* parts are of one size: addresses are terms, steps are a loop */
} ring_emission;

enum { RING_SEMAPHORE = HCT_SEMAPHORES - HCT_RING_COUNT }; /* above those of engine pairs (sync.c): RING_SEMAPHORE + ring */

/* The lane's share of a run. */
static hct_range lane_of(hct_range run, int lane) {
  if (!lane) return run;
  int64_t half = run.length / 2;
  return lane == 1 ? (hct_range){run.start, half} : (hct_range){run.start + half, run.length - half};
}

static int64_t own_index(const chiplet_stream *s, hct_ring ring) { return hct_ring_index(ring, s->program->cols, s->row * s->program->cols + s->col); }

/* The dies of a ring divide a factor; of a buffer as a whole, the lane's half; or the die's own part of that over another axis. */
static void divide(ring_emission *r) {
  const chiplet_stream *s = r->stream;
  const chiplet_op *op = r->op;
  r->divided = (hct_range){0, r->shape.extent};
  if (op->factor < 0) r->divided = lane_of(r->divided, op->lane);
  bool even = true;
  if (op->within >= 0) {
    hct_ring axis = (hct_ring)op->within;
    int64_t parts = hct_ring_size(axis, s->program->rows, s->program->cols);
    hct_range part = chiplet_part_range(s, axis, r->divided.length, own_index(s, axis));
    even = r->divided.length % parts == 0;
    if (!even) chiplet_depend(s, axis);
    if (even) r->outer = r->divided.length / parts;
    r->divided = (hct_range){r->divided.start + part.start, part.length};
  }
  r->even = even && r->divided.length % r->parts == 0;
  if (!r->even) chiplet_depend(s, op->ring);
}

/* Elements, within an outer index, of the part `index` of the ring that a message moves. */
static hct_range run_of(const ring_emission *r, int64_t index) {
  hct_range part = chiplet_part_range(r->stream, r->op->ring, r->divided.length, index);
  hct_range run = {(r->divided.start + part.start) * r->shape.inner, part.length * r->shape.inner};
  return r->op->factor < 0 ? run : lane_of(run, r->op->lane);
}

/* The message that moves the part at ring position (own - back): `level` is that of the loop over steps, or HCT_NO_LEVEL. */
static hct_instr ring_message(const ring_emission *r, uint8_t opcode, int64_t back, uint8_t level) {
  const chiplet_stream *s = r->stream;
  const chiplet_op *op = r->op;
  int64_t size = size_of(r->buffer);
  hct_instr instr = chiplet_instr(s, op, opcode);
  instr.ring = (uint8_t)op->ring;
  instr.engine = (uint8_t)((opcode == HCT_OP_SEND ? HCT_ENGINE_SEND0 : HCT_ENGINE_RECV0) + 2 * (int)op->ring);
  hct_view *view = &instr.views[0];
  *view = (hct_view){.dtype = r->buffer->dtype, .addr = chiplet_addr(s, r->buffer, 0), .stride = {0, 0, r->shape.extent * r->shape.inner, 1}};
  hct_range run;
  if (r->even) {
    run = run_of(r, 0);
    if (r->outer) {
      view->addr.base -= own_index(s, (hct_ring)op->within) * r->outer * size;
      hct_addr_add(s->arena, &view->addr, (hct_term){.kind = HCT_TERM_INDEX, .level = HCT_NO_LEVEL, .ring = (uint8_t)op->within, .sign = 1, .stride = r->outer * size});
    }
    view->addr.base += run.start * size;
    hct_addr_add(s->arena, &view->addr, (hct_term){.kind = HCT_TERM_RING, .level = level, .ring = (uint8_t)op->ring, .sign = level == HCT_NO_LEVEL ? 1 : -1, .offset = (int32_t)-back,
                                                   .stride = r->divided.length / r->parts * r->shape.inner * size});
  } else {
    int64_t die = hct_ring_die(op->ring, s->program->rows, s->program->cols, s->row, s->col, r->position - back);
    run = run_of(r, hct_ring_index(op->ring, s->program->cols, die));
    view->addr.base += run.start * size;
  }
  instr.shape[0] = instr.shape[1] = 1;
  instr.shape[2] = r->shape.outer;
  instr.shape[3] = run.length;
  if (opcode == HCT_OP_RECVR) instr.fn = hct_function_by_name("RED", op->fn)->code;
  return instr;
}

static chiplet_access ring_access(const ring_emission *r, bool write) {
  chiplet_access access = chiplet_access_of(r->stream, r->buffer, write);
  if (r->op->lane) access.lane_of = r->op->operands[0].buffer + 1, access.lane = r->op->lane;
  return access;
}

static void token(hct_instr *instr, bool wait, hct_ring ring) {
  hct_sync sync = {(uint8_t)(RING_SEMAPHORE + (int)ring), 1};
  if (wait) instr->waits[instr->wait_count++] = sync;
  else instr->signals[instr->signal_count++] = sync;
}

static ring_emission ring_begin(chiplet_stream *s, const chiplet_op *loop) {
  const chiplet_op *op = &loop->body[0];
  ring_emission r = {.stream = s, .op = op, .buffer = buffer_at(s, op->operands[0].buffer), .steps = loop->trips, .parts = hct_ring_size(op->ring, s->program->rows, s->program->cols),
                     .position = hct_ring_position(op->ring, s->program->rows, s->program->cols, s->row, s->col)};
  r.shape = shape_around(s, r.buffer, op->factor);
  divide(&r);
  r.reduce = op->kind == CHIPLET_SCATTER_STEP;
  return r;
}

/* Both engines wait before the first message, and signal after the last, through syncs of their own. */
static void ring_gate(chiplet_stream *s, const ring_emission *r) {
  chiplet_access reads = ring_access(r, false), writes = ring_access(r, true);
  hct_engine send = (hct_engine)(HCT_ENGINE_SEND0 + 2 * (int)r->op->ring), receive = (hct_engine)(HCT_ENGINE_RECV0 + 2 * (int)r->op->ring);
  hct_instr gate = {.opcode = HCT_OP_SYNC, .source = r->op->source};
  gate.engine = (uint8_t)send;
  chiplet_item_push(s, chiplet_item_add(s, send, 1, &reads), gate);
  gate.engine = (uint8_t)receive;
  chiplet_item_push(s, chiplet_item_add(s, receive, 1, &writes), gate);
}

static uint8_t ring_receive(const ring_emission *r) { return r->reduce ? HCT_OP_RECVR : HCT_OP_RECV; }
static int64_t ring_ahead(const ring_emission *r) { return r->reduce ? 1 : 0; } /* how far behind the own part the first message's is */

/* Receives step `step`'s part and passes it on. */
static void ring_step(chiplet_stream *s, const ring_emission *r, int64_t step, uint8_t level) {
  hct_instr in = ring_message(r, ring_receive(r), ring_ahead(r) + 1 + step, level), out = ring_message(r, HCT_OP_SEND, ring_ahead(r) + 1 + step, level);
  token(&in, false, r->op->ring);
  token(&out, true, r->op->ring);
  chiplet_sequencer_add(s, in);
  chiplet_sequencer_add(s, out);
}

/* Steps first .. first + count - 1 of every ring, in turn. */
static void ring_steps(chiplet_stream *s, const ring_emission *rings, size_t ring_count, int64_t first, int64_t count) {
  uint8_t level = (uint8_t)s->depth;
  bool even = count > 1;
  for (size_t i = 0; i < ring_count; i++) even = even && rings[i].even;
  if (!even) {
    for (int64_t step = first; step < first + count; step++)
      for (size_t i = 0; i < ring_count; i++) ring_step(s, &rings[i], step, HCT_NO_LEVEL);
    return;
  }
  chiplet_sequencer_add(s, chiplet_loop(s, level, count, rings[0].op->source));
  for (size_t i = 0; i < ring_count; i++) ring_step(s, &rings[i], first, level);
  chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_END, .engine = HCT_ENGINE_SEQ, .level = level, .source = rings[0].op->source});
}

/* send(0); receive(s), send(s+1) for s = 0 .. steps-2; receive(steps-1): a send waits for the receive before it by a token, nothing else
 * does, so all links of the ring run at once. Two rings that move halves of one buffer go step by step together: one alone would fill its
 * queue and keep the sequencer from the other. */
static void emit_rings(chiplet_stream *s, const chiplet_op *loops, size_t count) {
  ring_emission rings[2];
  size_t ring_count = 0;
  for (size_t i = 0; i < count; i++)
    if (loops[i].trips > 0) rings[ring_count++] = ring_begin(s, &loops[i]);
  if (ring_count == 2 && rings[0].steps > rings[1].steps) { /* the shorter first */
    ring_emission longer = rings[0];
    rings[0] = rings[1], rings[1] = longer;
  }
  for (size_t i = 0; i < ring_count; i++) ring_gate(s, &rings[i]);
  for (size_t i = 0; i < ring_count; i++) chiplet_sequencer_add(s, ring_message(&rings[i], HCT_OP_SEND, ring_ahead(&rings[i]), HCT_NO_LEVEL));
  int64_t done = 0;
  for (size_t first = 0; first < ring_count; first++) {
    ring_steps(s, &rings[first], ring_count - first, done, rings[first].steps - 1 - done);
    done = rings[first].steps - 1;
  }
  for (size_t i = 0; i < ring_count; i++) chiplet_sequencer_add(s, ring_message(&rings[i], ring_receive(&rings[i]), ring_ahead(&rings[i]) + rings[i].steps, HCT_NO_LEVEL));
  for (size_t i = 0; i < ring_count; i++) ring_gate(s, &rings[i]);
}

/* ---- the program ---- */
bool chiplet_only_reads(const chiplet_op *op, size_t operand) {
  switch (op->kind) {
    case CHIPLET_STORE: return true;
    case CHIPLET_UPDATE: return false;
    case CHIPLET_COPY_PART: return operand == (op->in ? 1u : 0u);
    default: return operand > 0;
  }
}

bool chiplet_stores_to(const chiplet_program *program, const chiplet_op *op, size_t tensor) { return op->kind == CHIPLET_STORE && program->same_tensor[op->tensor] == program->same_tensor[tensor]; }

bool chiplet_is_batch_loop(const chiplet_op *op) { return op->kind == CHIPLET_LOOP && !op->over_layers && !chiplet_is_ring_loop(op) && !chiplet_is_piece_loop(op); }

bool chiplet_is_ring_loop(const chiplet_op *op) {
  return op->body_count == 1 && (op->body[0].kind == CHIPLET_GATHER_STEP || op->body[0].kind == CHIPLET_SCATTER_STEP);
}

bool chiplet_is_piece_loop(const chiplet_op *op) {
  for (size_t i = 0; i < op->body_count; i++)
    if (op->body[i].kind == CHIPLET_UPDATE) return true;
  return false;
}

bool chiplet_are_halves(const chiplet_op *a, const chiplet_op *b) {
  return a->kind == CHIPLET_LOOP && b->kind == CHIPLET_LOOP && chiplet_is_ring_loop(a) && chiplet_is_ring_loop(b) && a->body[0].lane == 1 && b->body[0].lane == 2 && a->body[0].ring != b->body[0].ring &&
         a->body[0].operands[0].buffer == b->body[0].operands[0].buffer && a->body[0].factor == b->body[0].factor;
}

/* A loop over micro-batches: drained at its begin and after its last iteration; iterations overlap as far as what they touch allows. */
static void emit_loop(chiplet_stream *s, const chiplet_op *op) {
  if (op->trips == 0) return;
  chiplet_fence(s);
  uint8_t level = (uint8_t)s->depth++;
  int outer_level = s->batch_level;
  s->batch_level = level;
  size_t loop = s->items.count;
  chiplet_sequencer_add(s, chiplet_loop(s, level, op->trips, 0));
  chiplet_emit_ops(s, op->body, op->body_count);
  chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_END, .engine = HCT_ENGINE_SEQ, .level = level});
  if (op->trips > 1) chiplet_loop_carry(s, loop, loop + 1);
  chiplet_fence(s);
  s->batch_level = outer_level;
  s->depth--;
}

/* Drained at the begin of each iteration. */
static void emit_layers(chiplet_stream *s, const chiplet_op *op) {
  chiplet_fence(s);
  uint8_t level = (uint8_t)s->depth++;
  s->layer_level = level;
  chiplet_sequencer_add(s, chiplet_loop(s, level, op->trips, 0));
  chiplet_emit_ops(s, op->body, op->body_count);
  chiplet_fence(s);
  chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_END, .engine = HCT_ENGINE_SEQ, .level = level});
  s->layer_level = -1;
  s->depth--;
}

void chiplet_emit_ops(chiplet_stream *s, const chiplet_op *ops, size_t count) {
  for (size_t i = 0; i < count; i++) {
    switch (ops[i].kind) {
      case CHIPLET_LOOP:
        if (ops[i].over_layers) {
          emit_layers(s, &ops[i]);
        } else if (!chiplet_is_ring_loop(&ops[i])) {
          emit_loop(s, &ops[i]);
        } else {
          bool pair = i + 1 < count && chiplet_are_halves(&ops[i], &ops[i + 1]);
          emit_rings(s, &ops[i], pair ? 2 : 1);
          i += pair;
        }
        break;
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
  chiplet_emit_ops(s, s->program->ops, s->program->op_count);
  chiplet_fence(s);
}
