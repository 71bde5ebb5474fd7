/* The order of operations without loops between them: a list schedule over the engines with every operation's own time. Of those that can
 * start soonest, the one with the longest path after it comes next. Engines run in order, so the order of issue is what decides what
 * overlaps; all dies have the same.
 *
 * Data dependences keep their order, and so do the accumulations into one buffer: sums are the same as in the order given. What is loaded is
 * loaded a little before it is read, not at once, or tiles would lie in SRAM throughout. */
#include <string.h>

#include "backends/chiplet/chiplet.h"
#include "ir/timing/rules.h"

enum { RESOURCE_MXU = 1, RESOURCE_VPU = 2, RESOURCE_LOAD = 4, RESOURCE_STORE = 8, RESOURCE_RING = 16, RESOURCES = 8, LOAD_LEAD = 3, UNTIMED = -1 };

typedef struct index_list { size_t *items; size_t count, capacity; } index_list;
typedef struct node {
  const chiplet_op *ops; /* one, or the two halves of a collective */
  size_t op_count;
  unsigned resources;
  int64_t ps, path_ps;  /* alone; with the longest path after it */
  int64_t ready_ps, start_ps;
  size_t waits;         /* nodes before it that are not placed yet */
  index_list before, after;
} node;
typedef struct touched { /* bytes of a buffer, or of one micro-batch's tile or one piece in DRAM */
  int64_t index;        /* of the micro-batch, or of the piece's first element */
  size_t writer;        /* last writer plus one */
  index_list readers;   /* since then */
} touched;
typedef struct touched_list { touched *items; size_t count, capacity; } touched_list;

typedef struct scheduling {
  const chiplet_program *program;
  hct_arena *arena;
  struct { node *items; size_t count, capacity; } nodes;
  touched_list *buffers, *tensors;
  index_list ready;
  size_t *order, *position; /* nodes by start, loads aside; by node its place there plus one */
  size_t order_count;
} scheduling;

/* ---- what a node takes ---- */
static unsigned resources_of(const chiplet_op *op) {
  switch (op->kind) {
    case CHIPLET_MATMUL: return RESOURCE_MXU;
    case CHIPLET_LOAD: return RESOURCE_LOAD;
    case CHIPLET_STORE: return RESOURCE_STORE;
    case CHIPLET_LOOP: return (unsigned)RESOURCE_RING << op->body[0].ring;
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

int64_t chiplet_op_ps(const chiplet_program *program, const chiplet_op *op) {
  const hct_package *p = &program->pass->package;
  int64_t sharing = (program->rows * program->cols + p->dram_channels - 1) / p->dram_channels, times = 1, sum = 0, trips[HCT_MAX_LOOPS];
  hct_arena *arena = hct_arena_create();
  chiplet_stream stream = {.program = program, .arena = arena, .batch_level = 0, .depth = 1};
  unsigned open = 0;
  chiplet_emit_ops(&stream, op, 1);
  for (size_t i = 0; i < stream.items.count; i++)
    for (size_t c = 0; c < stream.items.items[i].code.count; c++) {
      const hct_instr *instr = &stream.items.items[i].code.items[c];
      if (instr->opcode == HCT_OP_LOOP) times *= trips[open++] = instr->values[0].base;
      else if (instr->opcode == HCT_OP_END) times /= trips[--open];
      else sum += times * instr_ps(program, instr, sharing);
    }
  hct_arena_destroy(arena);
  return sum;
}

/* ---- dependences ---- */
static void depend(scheduling *s, size_t before, size_t after) {
  node *a = &s->nodes.items[before], *b = &s->nodes.items[after];
  if (before == after || (b->before.count && b->before.items[b->before.count - 1] == before)) return;
  HCT_PUSH(s->arena, &a->after, after);
  HCT_PUSH(s->arena, &b->before, before);
  b->waits++;
}

static void touch(scheduling *s, size_t at, touched *t, bool write) {
  if (t->writer) depend(s, t->writer - 1, at);
  if (!write) {
    HCT_PUSH(s->arena, &t->readers, at);
    return;
  }
  for (size_t i = 0; i < t->readers.count; i++) depend(s, t->readers.items[i], at);
  t->readers.count = 0;
  t->writer = at + 1;
}

/* The entry of a micro-batch; a new one is as the untimed one, which comes first. */
static touched *touched_at(scheduling *s, touched_list *list, int64_t index) {
  if (!list->count) HCT_PUSH(s->arena, list, ((touched){.index = UNTIMED}));
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i].index == index) return &list->items[i];
  touched made = {.index = index, .writer = list->items[0].writer};
  for (size_t i = 0; i < list->items[0].readers.count; i++) HCT_PUSH(s->arena, &made.readers, list->items[0].readers.items[i]);
  HCT_PUSH(s->arena, list, made);
  return &list->items[list->count - 1];
}

/* What of a tensor a transfer is of: a micro-batch, a piece (its first element), or UNTIMED, all. */
static int64_t part_of(const scheduling *s, const chiplet_op *op) {
  const chiplet_buffer *buffer = &s->program->buffers.items[op->operands[0].buffer];
  int64_t index = !op->timed ? 0 : op->constant_index >= 0 ? op->constant_index : op->index_offset;
  if (buffer->piece_elements) return buffer->piece_first + index * buffer->piece_elements;
  return op->timed ? index : UNTIMED;
}

static void touch_all(scheduling *s, size_t at, const chiplet_op *op) {
  for (size_t k = 0; k < op->operand_count; k++) touch(s, at, touched_at(s, &s->buffers[s->program->buffers.items[op->operands[k].buffer].storage], UNTIMED), !chiplet_only_reads(op, k));
  bool store = op->kind == CHIPLET_STORE;
  if (store || op->kind == CHIPLET_LOAD) {
    touched_list *list = &s->tensors[s->program->same_tensor[op->tensor]];
    int64_t part = part_of(s, op);
    touched *own = touched_at(s, list, part);
    if (part != UNTIMED) touch(s, at, own, store);
    for (size_t i = 0; part == UNTIMED && i < list->count; i++) touch(s, at, &list->items[i], store);
  }
  for (size_t i = 0; i < op->body_count; i++) touch_all(s, at, &op->body[i]);
}

static void nodes_make(scheduling *s, const chiplet_op *ops, size_t count) {
  for (size_t i = 0; i < count; i++) {
    bool pair = i + 1 < count && chiplet_are_halves(&ops[i], &ops[i + 1]);
    node n = {.ops = &ops[i], .op_count = pair ? 2 : 1, .resources = resources_of(&ops[i]), .ps = ops[i].ps};
    if (pair) n.resources |= resources_of(&ops[++i]);
    size_t at = s->nodes.count;
    HCT_PUSH(s->arena, &s->nodes, n);
    for (size_t k = 0; k < n.op_count; k++) touch_all(s, at, &n.ops[k]);
  }
}

/* ---- the schedule ---- */
static void paths_measure(scheduling *s) {
  for (size_t i = s->nodes.count; i-- > 0;) {
    node *n = &s->nodes.items[i];
    int64_t longest = 0;
    for (size_t k = 0; k < n->after.count; k++)
      if (s->nodes.items[n->after.items[k]].path_ps > longest) longest = s->nodes.items[n->after.items[k]].path_ps;
    n->path_ps = n->ps + longest;
  }
}

static bool is_load(const node *n) { return n->resources == RESOURCE_LOAD; }

static int64_t start_of(const node *n, const int64_t free_ps[RESOURCES]) {
  int64_t at = n->ready_ps;
  for (int r = 0; !is_load(n) && r < RESOURCES; r++)
    if ((n->resources >> r & 1) && free_ps[r] > at) at = free_ps[r];
  return at;
}

/* Loads take no time here: they are put before their readers afterwards. */
static void place(scheduling *s, size_t index, int64_t free_ps[RESOURCES]) {
  node *n = &s->nodes.items[index];
  n->start_ps = start_of(n, free_ps);
  int64_t end = n->start_ps + (is_load(n) ? 0 : n->ps);
  for (int r = 0; r < RESOURCES; r++)
    if (!is_load(n) && (n->resources >> r & 1)) free_ps[r] = end;
  for (size_t k = 0; k < n->after.count; k++) {
    node *next = &s->nodes.items[n->after.items[k]];
    if (end > next->ready_ps) next->ready_ps = end;
    if (--next->waits == 0) HCT_PUSH(s->arena, &s->ready, n->after.items[k]);
  }
  if (is_load(n)) return;
  s->order[s->order_count++] = index;
  s->position[index] = s->order_count;
}

/* Equals go in the order given. */
static bool goes_first(const scheduling *s, size_t a, int64_t a_start, size_t b, int64_t b_start) {
  if (a_start != b_start) return a_start < b_start;
  if (s->nodes.items[a].path_ps != s->nodes.items[b].path_ps) return s->nodes.items[a].path_ps > s->nodes.items[b].path_ps;
  return a < b;
}

static void schedule(scheduling *s) {
  int64_t free_ps[RESOURCES] = {0};
  s->order = HCT_NEW_ARRAY(s->arena, size_t, s->nodes.count + 1);
  s->position = HCT_NEW_ARRAY(s->arena, size_t, s->nodes.count + 1);
  paths_measure(s);
  for (size_t i = 0; i < s->nodes.count; i++)
    if (!s->nodes.items[i].waits) HCT_PUSH(s->arena, &s->ready, i);
  while (s->ready.count) {
    size_t best = 0;
    int64_t best_start = start_of(&s->nodes.items[s->ready.items[0]], free_ps);
    for (size_t i = 1; i < s->ready.count; i++) {
      int64_t start = start_of(&s->nodes.items[s->ready.items[i]], free_ps);
      if (goes_first(s, s->ready.items[i], start, s->ready.items[best], best_start)) best = i, best_start = start;
    }
    size_t index = s->ready.items[best];
    s->ready.items[best] = s->ready.items[--s->ready.count];
    place(s, index, free_ps);
  }
}

/* The first of the order that starts at `ps` or later: none starts before the one before it. */
static size_t first_starting_at(const scheduling *s, int64_t ps) {
  size_t from = 0, to = s->order_count;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (s->nodes.items[s->order[middle]].start_ps < ps) from = middle + 1;
    else to = middle;
  }
  return from;
}

/* Where in the order a load goes: LOAD_LEAD times its own time before its first reader starts, behind all that it waits for. */
static size_t load_position(const scheduling *s, const node *load) {
  int64_t first = INT64_MAX;
  size_t reader = s->order_count;
  for (size_t k = 0; k < load->after.count; k++) {
    const node *next = &s->nodes.items[load->after.items[k]];
    if (next->start_ps < first) first = next->start_ps;
    if (!is_load(next) && s->position[load->after.items[k]] - 1 < reader) reader = s->position[load->after.items[k]] - 1;
  }
  size_t position = first_starting_at(s, first == INT64_MAX ? 0 : first - LOAD_LEAD * load->ps);
  if (position > reader) position = reader;
  for (size_t k = 0; k < load->before.count; k++)
    if (s->position[load->before.items[k]] > position) position = s->position[load->before.items[k]];
  return position;
}

static op_list nodes_in_order(scheduling *s, hct_arena *arena) {
  index_list *loads = HCT_NEW_ARRAY(s->arena, index_list, s->order_count + 1); /* by the position that they go before */
  op_list ops = {0};
  for (size_t i = 0; i < s->nodes.count; i++)
    if (is_load(&s->nodes.items[i])) HCT_PUSH(s->arena, &loads[load_position(s, &s->nodes.items[i])], i);
  for (size_t p = 0; p <= s->order_count; p++) {
    for (size_t k = 0; k < loads[p].count; k++) HCT_PUSH(arena, &ops, s->nodes.items[loads[p].items[k]].ops[0]);
    for (size_t k = 0; p < s->order_count && k < s->nodes.items[s->order[p]].op_count; k++) HCT_PUSH(arena, &ops, s->nodes.items[s->order[p]].ops[k]);
  }
  return ops;
}

op_list chiplet_list_schedule(const chiplet_program *program, const chiplet_op *ops, size_t count) {
  scheduling s = {.program = program, .arena = hct_arena_create()};
  s.buffers = HCT_NEW_ARRAY(s.arena, touched_list, program->buffers.count + 1);
  s.tensors = HCT_NEW_ARRAY(s.arena, touched_list, program->tensors.count + 1);
  nodes_make(&s, ops, count);
  schedule(&s);
  op_list made = nodes_in_order(&s, program->arena);
  hct_arena_destroy(s.arena);
  return made;
}
