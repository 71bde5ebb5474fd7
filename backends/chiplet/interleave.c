/* Several micro-batches of a loop at once, for --overlap=ring. The body of a micro-batch loop becomes that of `copies` of them, each with
 * buffers of its own, and its operations are put in a new order: a list schedule over the engines with every operation's own time, the
 * longest remaining path first among those that can start soonest. While one copy computes, another's tiles travel on the rings of one axis
 * and a third's sums on those of the other. Engines run in order, so the order of issue is what decides; all dies have the same.
 *
 * Data dependences between the operations of one copy keep their order, and so do accumulators that copies share: sums are the same as in the
 * order before. What is loaded is loaded a little before it is read, not at once, or all copies' tiles would lie in SRAM throughout. */
#include <stdlib.h>
#include <string.h>

#include "backends/chiplet/chiplet.h"
#include "ir/timing/rules.h"

enum { RESOURCE_MXU = 1, RESOURCE_VPU = 2, RESOURCE_LOAD = 4, RESOURCE_STORE = 8, RESOURCE_RING = 16, RESOURCES = 8, LOAD_LEAD = 3 };

typedef struct index_list { size_t *items; size_t count, capacity; } index_list;
typedef struct node {
  chiplet_op *ops;      /* one, or the two halves of a collective */
  size_t op_count;
  unsigned resources;
  int64_t ps, path_ps;  /* alone; with the longest path after it */
  int64_t ready_ps, start_ps;
  size_t waits;         /* nodes before it that are not placed yet */
  index_list after;     /* nodes that depend on it */
  index_list before;
} node;
typedef struct touched { size_t writer; index_list readers; } touched; /* by storage buffer, then by tensor: last writer plus one, and who read since */

typedef struct interleaving {
  chiplet_program *program;
  hct_arena *arena;
  struct { node *items; size_t count, capacity; } nodes;
  touched *touched;
  size_t touched_count;
  size_t *order;        /* of nodes, by start */
  size_t order_count;
} interleaving;

/* ---- copies ---- */
static bool is_micro_batch_loop(const chiplet_op *op) { return op->kind == CHIPLET_LOOP && !chiplet_is_ring_loop(op); }

/* By buffer: its clone for a further copy; shared buffers stand for themselves. */
static size_t *buffers_clone(chiplet_program *program, const chiplet_op *loop, size_t count) {
  size_t *clone = HCT_NEW_ARRAY(program->arena, size_t, count + 1);
  for (size_t b = 0; b < count; b++) {
    chiplet_buffer buffer = program->buffers.items[b];
    const chiplet_buffer *storage = &program->buffers.items[buffer.storage];
    clone[b] = b;
    if (storage->first == SIZE_MAX || storage->first < loop->order || storage->last > loop->body_end) continue;
    clone[b] = program->buffers.count;
    buffer.storage = buffer.storage == b ? clone[b] : clone[buffer.storage];
    HCT_PUSH(program->arena, &program->buffers, buffer);
  }
  return clone;
}

static chiplet_op op_copy(chiplet_program *program, const chiplet_op *op, const size_t *clone, int64_t scale, int64_t offset) {
  chiplet_op copy = *op;
  for (size_t k = 0; k < op->operand_count; k++) copy.operands[k].buffer = clone[op->operands[k].buffer];
  if (op->timed && op->constant_index < 0) copy.index_scale = scale, copy.index_offset = offset;
  if (!op->body_count) return copy;
  copy.body = HCT_NEW_ARRAY(program->arena, chiplet_op, op->body_count);
  for (size_t i = 0; i < op->body_count; i++) copy.body[i] = op_copy(program, &op->body[i], clone, scale, offset);
  return copy;
}

/* ---- what a node takes ---- */
static unsigned resources_of(const chiplet_op *op) {
  switch (op->kind) {
    case CHIPLET_MATMUL: return RESOURCE_MXU;
    case CHIPLET_LOAD: return RESOURCE_LOAD;
    case CHIPLET_STORE: return RESOURCE_STORE;
    case CHIPLET_LOOP: return RESOURCE_RING << op->body[0].ring;
    default: return RESOURCE_VPU;
  }
}

static int64_t instr_ps(const chiplet_program *program, const hct_instr *instr, int64_t sharing) {
  const hct_package *p = &program->pass->package;
  switch (instr->opcode) {
    case HCT_OP_SEND: return 0; /* counted where it is received */
    case HCT_OP_RECV:
    case HCT_OP_RECVR: return hct_ps_of_seconds((double)hct_view_bytes(instr, 0) / p->link_bandwidth_bytes_per_s + p->link_latency_s);
    case HCT_OP_LD:
    case HCT_OP_ST: return hct_ps_of_seconds((double)(hct_view_bytes(instr, 0) * sharing) / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency) + p->dram_latency_s);
    default: return hct_instr_ps(p, instr);
  }
}

/* The time of a node on die (0, 0), from the instructions that it becomes. */
static int64_t node_ps(const chiplet_program *program, const node *n) {
  const hct_package *p = &program->pass->package;
  int64_t sharing = (program->rows * program->cols + p->dram_channels - 1) / p->dram_channels, times = 1, sum = 0, trips[HCT_MAX_LOOPS];
  hct_arena *arena = hct_arena_create();
  chiplet_stream stream = {.program = program, .arena = arena, .batch_level = 0, .depth = 1};
  unsigned open = 0;
  chiplet_emit_ops(&stream, n->ops, n->op_count);
  for (size_t i = 0; i < stream.items.count; i++)
    for (size_t c = 0; c < stream.items.items[i].code.count; c++) {
      const hct_instr *instr = &stream.items.items[i].code.items[c];
      if (instr->opcode == HCT_OP_LOOP) times *= trips[open++] = instr->values[0].base;
      else if (instr->opcode == HCT_OP_END) times /= trips[--open];
      else sum += times * instr_ps(program, instr, sharing);
    }
  hct_arena_destroy(arena);
  return sum / (int64_t)n->op_count; /* halves of a collective go at once */
}

/* ---- dependences ---- */
static void depend(interleaving *v, size_t before, size_t after) {
  node *a = &v->nodes.items[before], *b = &v->nodes.items[after];
  if (before == after || (b->before.count && b->before.items[b->before.count - 1] == before)) return;
  HCT_PUSH(v->arena, &a->after, after);
  HCT_PUSH(v->arena, &b->before, before);
  b->waits++;
}

static void touch(interleaving *v, size_t at, size_t index, bool write) {
  touched *t = &v->touched[index];
  if (t->writer) depend(v, t->writer - 1, at);
  if (!write) {
    HCT_PUSH(v->arena, &t->readers, at);
    return;
  }
  for (size_t i = 0; i < t->readers.count; i++) depend(v, t->readers.items[i], at);
  t->readers.count = 0;
  t->writer = at + 1;
}

/* Operands that an operation only reads; all others it may write. */
static bool is_read_only(const chiplet_op *op, size_t operand) {
  switch (op->kind) {
    case CHIPLET_STORE: return true;
    case CHIPLET_UPDATE: return false;
    case CHIPLET_COPY_PART: return operand == (op->in ? 1u : 0u);
    default: return operand > 0;
  }
}

/* Timed accesses of different micro-batches to one tensor do not meet. */
static void touch_all(interleaving *v, size_t at, const chiplet_op *op, unsigned copy, unsigned copies) {
  const chiplet_program *p = v->program;
  for (size_t k = 0; k < op->operand_count; k++) touch(v, at, p->buffers.items[op->operands[k].buffer].storage, !is_read_only(op, k));
  size_t tensors = p->buffers.count + op->tensor * (copies + 1);
  bool store = op->kind == CHIPLET_STORE;
  if (store || op->kind == CHIPLET_LOAD) {
    if (op->timed) touch(v, at, tensors + 1 + copy, store);
    for (unsigned c = 0; !op->timed && c <= copies; c++) touch(v, at, tensors + c, store);
  }
  for (size_t i = 0; i < op->body_count; i++) touch_all(v, at, &op->body[i], copy, copies);
}

static void nodes_add(interleaving *v, chiplet_op *ops, size_t count, unsigned copy, unsigned copies) {
  for (size_t i = 0; i < count; i++) {
    bool pair = i + 1 < count && chiplet_are_halves(&ops[i], &ops[i + 1]);
    node n = {.ops = &ops[i], .op_count = pair ? 2 : 1, .resources = resources_of(&ops[i])};
    if (pair) n.resources |= resources_of(&ops[++i]);
    n.ps = node_ps(v->program, &n);
    size_t at = v->nodes.count;
    HCT_PUSH(v->arena, &v->nodes, n);
    for (size_t k = 0; k < n.op_count; k++) touch_all(v, at, &n.ops[k], copy, copies);
  }
}

/* ---- the schedule ---- */
static void paths_measure(interleaving *v) {
  for (size_t i = v->nodes.count; i-- > 0;) {
    node *n = &v->nodes.items[i];
    int64_t longest = 0;
    for (size_t k = 0; k < n->after.count; k++)
      if (v->nodes.items[n->after.items[k]].path_ps > longest) longest = v->nodes.items[n->after.items[k]].path_ps;
    n->path_ps = n->ps + longest;
  }
}

static int64_t start_of(const node *n, const int64_t free_ps[RESOURCES]) {
  int64_t at = n->ready_ps;
  for (int r = 0; r < RESOURCES; r++)
    if ((n->resources >> r & 1) && free_ps[r] > at) at = free_ps[r];
  return at;
}

static void place(interleaving *v, size_t index, int64_t free_ps[RESOURCES]) {
  node *n = &v->nodes.items[index];
  bool load = n->resources == RESOURCE_LOAD;
  n->start_ps = start_of(n, free_ps);
  int64_t end = load ? n->ready_ps : n->start_ps + n->ps;
  for (int r = 0; r < RESOURCES; r++)
    if (!load && (n->resources >> r & 1)) free_ps[r] = end;
  for (size_t k = 0; k < n->after.count; k++) {
    node *next = &v->nodes.items[n->after.items[k]];
    next->waits--;
    if (end > next->ready_ps) next->ready_ps = end;
  }
  if (!load) v->order[v->order_count++] = index;
}

/* Loads take no time here: they are put before their readers afterwards. */
static void schedule(interleaving *v) {
  int64_t free_ps[RESOURCES] = {0};
  bool *placed = HCT_NEW_ARRAY(v->arena, bool, v->nodes.count + 1);
  v->order = HCT_NEW_ARRAY(v->arena, size_t, v->nodes.count + 1);
  paths_measure(v);
  for (size_t count = 0; count < v->nodes.count; count++) {
    size_t best = SIZE_MAX;
    int64_t best_start = 0;
    for (size_t i = 0; i < v->nodes.count; i++) {
      const node *n = &v->nodes.items[i];
      if (placed[i] || n->waits) continue;
      int64_t start = n->resources == RESOURCE_LOAD ? 0 : start_of(n, free_ps);
      bool sooner = best == SIZE_MAX || start < best_start || (start == best_start && n->path_ps > v->nodes.items[best].path_ps);
      if (sooner) best = i, best_start = start;
    }
    placed[best] = true;
    place(v, best, free_ps);
  }
}

/* Where in the order a load goes: LOAD_LEAD times its own time before its first reader starts, behind all that it waits for. */
static size_t load_position(const interleaving *v, const node *load) {
  int64_t first = INT64_MAX;
  for (size_t k = 0; k < load->after.count; k++)
    if (v->nodes.items[load->after.items[k]].start_ps < first) first = v->nodes.items[load->after.items[k]].start_ps;
  int64_t wanted = first == INT64_MAX ? 0 : first - LOAD_LEAD * load->ps;
  size_t position = 0;
  while (position < v->order_count && v->nodes.items[v->order[position]].start_ps < wanted) position++;
  for (size_t k = 0; k < load->before.count; k++)
    for (size_t p = position; p < v->order_count; p++)
      if (v->order[p] == load->before.items[k]) position = p + 1;
  for (size_t p = 0; p < position; p++) /* never behind a reader */
    for (size_t k = 0; k < load->after.count; k++)
      if (v->order[p] == load->after.items[k]) return p;
  return position;
}

static op_list nodes_in_order(interleaving *v) {
  index_list *loads = HCT_NEW_ARRAY(v->arena, index_list, v->order_count + 1); /* by the position that they go before */
  op_list ops = {0};
  for (size_t i = 0; i < v->nodes.count; i++)
    if (v->nodes.items[i].resources == RESOURCE_LOAD) HCT_PUSH(v->arena, &loads[load_position(v, &v->nodes.items[i])], i);
  for (size_t p = 0; p <= v->order_count; p++) {
    for (size_t k = 0; k < loads[p].count; k++) HCT_PUSH(v->program->arena, &ops, v->nodes.items[loads[p].items[k]].ops[0]);
    for (size_t k = 0; p < v->order_count && k < v->nodes.items[v->order[p]].op_count; k++) HCT_PUSH(v->program->arena, &ops, v->nodes.items[v->order[p]].ops[k]);
  }
  return ops;
}

/* `trips` iterations of `copies` micro-batches each, the first of them `first`. */
static chiplet_op loop_make(chiplet_program *program, const chiplet_op *loop, size_t *const *clones, int64_t trips, unsigned copies, int64_t first) {
  interleaving v = {.program = program, .arena = hct_arena_create()};
  v.touched_count = program->buffers.count + program->tensors.count * (copies + 1);
  v.touched = HCT_NEW_ARRAY(v.arena, touched, v.touched_count + 1);
  for (unsigned copy = 0; copy < copies; copy++) {
    chiplet_op *ops = HCT_NEW_ARRAY(v.arena, chiplet_op, loop->body_count + 1);
    for (size_t i = 0; i < loop->body_count; i++) ops[i] = op_copy(program, &loop->body[i], clones[copy], copies, first + copy);
    nodes_add(&v, ops, loop->body_count, copy, copies);
  }
  schedule(&v);
  op_list body = nodes_in_order(&v);
  hct_arena_destroy(v.arena);
  chiplet_op made = *loop;
  made.trips = trips;
  made.body = body.items;
  made.body_count = body.count;
  return made;
}

/* ---- the program ---- */
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

static void loop_interleave(chiplet_program *program, const chiplet_op *loop, int64_t copies, op_list *out) {
  size_t count = program->buffers.count, **clones = HCT_NEW_ARRAY(program->arena, size_t *, (size_t)copies);
  if (copies > loop->trips) copies = loop->trips;
  for (int64_t k = 0; k < copies; k++) {
    if (k) clones[k] = buffers_clone(program, loop, count);
    else {
      clones[0] = HCT_NEW_ARRAY(program->arena, size_t, count + 1);
      for (size_t b = 0; b < count; b++) clones[0][b] = b;
    }
  }
  int64_t whole = loop->trips / copies, rest = loop->trips % copies;
  HCT_PUSH(program->arena, out, loop_make(program, loop, clones, whole, (unsigned)copies, 0));
  if (rest) HCT_PUSH(program->arena, out, loop_make(program, loop, clones, 1, (unsigned)rest, whole * copies));
}

chiplet_program chiplet_interleave(const chiplet_program *program, int64_t copies) {
  chiplet_program made = *program;
  size_t order = 0, count = program->buffers.count;
  made.buffers.items = HCT_NEW_ARRAY(made.arena, chiplet_buffer, count + 1);
  made.buffers.capacity = count + 1;
  if (count) memcpy(made.buffers.items, program->buffers.items, count * sizeof *made.buffers.items);
  made.tensors.items = HCT_NEW_ARRAY(made.arena, hct_tensor, program->tensors.count + 1);
  if (program->tensors.count) memcpy(made.tensors.items, program->tensors.items, program->tensors.count * sizeof *made.tensors.items);
  op_list ops = {0};
  for (size_t i = 0; i < program->op_count; i++) {
    if (is_micro_batch_loop(&program->ops[i]) && program->ops[i].trips > 0) loop_interleave(&made, &program->ops[i], copies, &ops);
    else HCT_PUSH(made.arena, &ops, program->ops[i]);
  }
  for (size_t b = 0; b < made.buffers.count; b++) made.buffers.items[b].first = SIZE_MAX, made.buffers.items[b].last = 0;
  made.ops = ops.items;
  made.op_count = ops.count;
  number(&made, made.ops, made.op_count, &order);
  return made;
}
