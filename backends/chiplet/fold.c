/* Layers that repeat are compiled a few times, and written as a loop. Streams must not grow with them, nor the work of making them.
 *
 * chiplet_fold looks at the program as it was read: a repeat is a run of operations of which every `period` are those before, with other
 * buffers and with tensors that lie a fixed distance further in DRAM. It keeps the first periods and the last one and leaves out those
 * between them: a model with fewer layers, which is interleaved, scheduled and placed, what is alike in two of its iterations at the same
 * addresses of SRAM (chiplet_join_places). chiplet_roll then checks that these two have become the same instructions: what lies between two
 * fences and maps a state of the scratchpad to itself. It may run as often as one likes, and is made a loop over the layers left out.
 *
 * An iteration is one period, or two where buffers of neighbouring periods are in SRAM at once and so take turns (`layer_step`).
 *
 * A period begins with a loop over micro-batches, since there the die is drained; where such a loop is taken apart (interleave.c), the
 * schedule is cut there. Steps of the optimizer that come when all gradients are known (their norm scales them) are beside no such loop: there the schedule is cut,
 * and the die drained, where the steps of a layer begin. */
#include <string.h>

#include "backends/chiplet/chiplet.h"

enum { LONGEST_PERIOD = 32 /* loops */, NONE_YET = -1 };

/* ---- what is alike ---- */
static bool factors_alike(const chiplet_op *a, const chiplet_op *b) {
  for (int i = 0; a->loops != b->loops && i < a->loop_count; i++)
    if (a->loops[i].size != b->loops[i].size || a->loops[i].axis_count != b->loops[i].axis_count || memcmp(a->loops[i].axes, b->loops[i].axes, a->loops[i].axis_count)) return false;
  return true;
}

static bool operands_alike(const chiplet_op *a, const chiplet_op *b) {
  for (size_t k = 0; k < a->operand_count; k++) {
    const chiplet_operand *x = &a->operands[k], *y = &b->operands[k];
    if (x->fix_count != y->fix_count) return false;
    for (int f = 0; x->fixes != y->fixes && f < x->fix_count; f++)
      if (x->fixes[f].factor != y->fixes[f].factor || x->fixes[f].index != y->fixes[f].index) return false;
    for (int i = 0; x->walks != y->walks && i < a->loop_count; i++)
      if (x->walks[i].factor != y->walks[i].factor || x->walks[i].start != y->walks[i].start || x->walks[i].step != y->walks[i].step) return false;
  }
  return true;
}

static bool texts_alike(const char *a, const char *b) { return a == b || !strcmp(a ? a : "", b ? b : ""); }

/* All but buffers, tensors, order, times, sources and streams of random numbers. */
static bool ops_alike(const chiplet_op *a, const chiplet_op *b) {
  if (a->copy_of && a->copy_of == b->copy_of) return true;
  bool same = a->kind == b->kind && a->section == b->section && texts_alike(a->fn, b->fn) && a->accumulate == b->accumulate && a->has_scalar == b->has_scalar && a->in == b->in &&
              !memcmp(&a->scalar, &b->scalar, sizeof a->scalar) && a->operand_count == b->operand_count && a->timed == b->timed && a->constant_index == b->constant_index &&
              a->index_scale == b->index_scale && a->index_offset == b->index_offset && a->loop_count == b->loop_count && a->row_loops == b->row_loops && a->factor == b->factor &&
              a->over_time == b->over_time && a->ring == b->ring && a->lane == b->lane && a->within == b->within && texts_alike(a->table_axes, b->table_axes) &&
              a->classes == b->classes && a->run_first == b->run_first && a->run_of == b->run_of && a->trips == b->trips && a->body_count == b->body_count && !a->numbers == !b->numbers;
  for (int i = 0; same && a->numbers != b->numbers && i <= a->loop_count; i++) same = a->numbers[i] == b->numbers[i];
  return same && factors_alike(a, b) && operands_alike(a, b);
}

static bool deeply_alike(const chiplet_op *a, const chiplet_op *b) {
  if (a->copy_of && a->copy_of == b->copy_of) return true;
  if (!ops_alike(a, b)) return false;
  for (size_t i = 0; i < a->body_count; i++)
    if (!deeply_alike(&a->body[i], &b->body[i])) return false;
  return true;
}

static bool buffers_alike(const chiplet_buffer *a, const chiplet_buffer *b) {
  return a->dtype == b->dtype && a->section == b->section && a->piece_first == b->piece_first && a->piece_elements == b->piece_elements && (a->layout == b->layout || hct_layout_equal(a->layout, b->layout));
}

static bool tensors_alike(const hct_tensor *a, const hct_tensor *b) {
  return a->role == b->role && a->dtype == b->dtype && a->tile_bytes == b->tile_bytes && a->micro_batch_stride == b->micro_batch_stride && hct_layout_equal(&a->layout, &b->layout);
}

static bool moves_data(const chiplet_op *op) { return op->kind == CHIPLET_LOAD || op->kind == CHIPLET_STORE; }
/* ---- finding repeats ---- */
/* One-to-one: what takes the place of each in the period after. */
typedef struct chain { int64_t *next, *before; } chain;

static chain chain_make(hct_arena *arena, size_t count) {
  chain c = {HCT_NEW_ARRAY(arena, int64_t, count + 1), HCT_NEW_ARRAY(arena, int64_t, count + 1)};
  for (size_t i = 0; i < count; i++) c.next[i] = c.before[i] = NONE_YET;
  return c;
}

static bool chain_add(chain *c, size_t from, size_t to) {
  if (c->next[from] == NONE_YET && c->before[to] == NONE_YET) c->next[from] = (int64_t)to, c->before[to] = (int64_t)from;
  return c->next[from] == (int64_t)to && c->before[to] == (int64_t)from;
}

typedef struct finder {
  const chiplet_program *program;
  hct_arena *arena;
  chain buffers, tensors, streams;
  int64_t *next_source;
} finder;

static bool buffers_pair(finder *f, size_t a, size_t b) {
  const chiplet_buffer *items = f->program->buffers.items;
  return buffers_alike(&items[a], &items[b]) && chain_add(&f->buffers, items[a].storage, items[b].storage) && chain_add(&f->buffers, a, b);
}

static bool ops_pair(finder *f, const chiplet_op *a, const chiplet_op *b) {
  if (!ops_alike(a, b)) return false;
  for (size_t k = 0; k < a->operand_count; k++)
    if (!buffers_pair(f, a->operands[k].buffer, b->operands[k].buffer)) return false;
  const hct_tensor *tensors = f->program->tensors.items;
  if (moves_data(a) && !(tensors_alike(&tensors[a->tensor], &tensors[b->tensor]) && chain_add(&f->tensors, a->tensor, b->tensor))) return false;
  if (a->kind == CHIPLET_DROPOUT && !chain_add(&f->streams, a->stream, b->stream)) return false;
  for (size_t i = 0; i < a->body_count; i++)
    if (!ops_pair(f, &a->body[i], &b->body[i])) return false;
  f->next_source[a->source] = b->source;
  return true;
}

static int64_t distance(const finder *f, size_t tensor) { return f->program->tensors.items[f->tensors.next[tensor]].dram_offset - f->program->tensors.items[tensor].dram_offset; }

/* From one period to the next each tensor lies as much further as from that to the one after. */
static bool evenly_spaced(const finder *f, const chiplet_op *a, const chiplet_op *b) {
  if (moves_data(a) && f->tensors.next[b->tensor] != NONE_YET && distance(f, a->tensor) != distance(f, b->tensor)) return false;
  for (size_t i = 0; i < a->body_count; i++)
    if (!evenly_spaced(f, &a->body[i], &b->body[i])) return false;
  return true;
}

/* The period that position `order` is in; -1 before all, `count` after. */
static int64_t period_at(const chiplet_program *program, const chiplet_repeat *r, size_t order) {
  int64_t period = -1;
  while (period < r->count && r->first + (size_t)(period + 1) * r->period < program->op_count && order >= program->ops[r->first + (size_t)(period + 1) * r->period].order) period++;
  return period;
}

/* What changes from period to period is in SRAM in two of them at most: what is left out hands nothing on. */
static bool short_lived(const finder *f, const chiplet_repeat *r) {
  for (size_t b = 0; b < f->program->buffers.count; b++) {
    const chiplet_buffer *buffer = &f->program->buffers.items[b];
    bool moves = (f->buffers.next[b] != NONE_YET && f->buffers.next[b] != (int64_t)b) || (f->buffers.before[b] != NONE_YET && f->buffers.before[b] != (int64_t)b);
    if (!moves || buffer->storage != b || buffer->first == SIZE_MAX) continue;
    if (period_at(f->program, r, buffer->last) - period_at(f->program, r, buffer->first) > 1) return false;
  }
  return true;
}

/* Its arrays in the arena. */
static chiplet_repeat repeat_match(const chiplet_program *program, hct_arena *arena, size_t first, size_t period) {
  finder f = {program, arena, chain_make(arena, program->buffers.count), chain_make(arena, program->tensors.count), chain_make(arena, program->streams.count), HCT_NEW_ARRAY(arena, int64_t, program->sources.count + 1)};
  size_t matched = 0;
  while (first + period + matched < program->op_count && ops_pair(&f, &program->ops[first + matched], &program->ops[first + period + matched])) {
    const chiplet_op *op = &program->ops[first + matched];
    if (matched >= period && !evenly_spaced(&f, op - period, op)) break;
    matched++;
  }
  chiplet_repeat r = {.first = first, .period = period, .count = (int64_t)(matched / period) + 1, .next_buffer = f.buffers.next, .next_tensor = f.tensors.next, .next_source = f.next_source, .next_stream = f.streams.next};
  if (!short_lived(&f, &r)) r.count = 0;
  return r;
}

/* The repeat that begins at op `first`, of periods of so many ops; its count is 0 where there are not `fewest`. */
static chiplet_repeat repeat_at(const chiplet_program *program, hct_arena *arena, size_t first, size_t period, int64_t fewest) {
  if (first + (size_t)fewest * period > program->op_count) return (chiplet_repeat){0};
  for (size_t i = first; i < first + (size_t)(fewest - 1) * period; i++)
    if (!deeply_alike(&program->ops[i], &program->ops[i + period])) return (chiplet_repeat){0};
  hct_arena *own = hct_arena_create();
  chiplet_repeat r = repeat_match(program, own, first, period);
  if (r.count >= fewest) {
    hct_arena_adopt(arena, own);
    return r;
  }
  hct_arena_destroy(own);
  return (chiplet_repeat){0};
}

/* Behind the last loop over micro-batches, at `first`, steps wait that had to know all gradients. Their periods begin with the load of a gradient, and are as long as
 * it is to that of the like one, as the repeats found so far have it. */
static void steps_find(const chiplet_program *program, hct_arena *arena, size_t first, int64_t fewest, repeat_list *repeats) {
  const size_t before = repeats->count;
  size_t *load_at = HCT_NEW_ARRAY(arena, size_t, program->tensors.count + 1), *like_at = HCT_NEW_ARRAY(arena, size_t, program->tensors.count + 1);
  for (size_t i = first; i < program->op_count; i++)
    if (program->ops[i].kind == CHIPLET_LOAD && program->tensors.items[program->ops[i].tensor].role == HCT_ROLE_SPILL) load_at[program->ops[i].tensor] = i;
  for (size_t n = 0; n < before; n++)
    for (size_t t = 0; t < program->tensors.count; t++) {
      int64_t next = repeats->items[n].next_tensor[t];
      if (next < 0 || !load_at[t] || !load_at[next]) continue;
      if (load_at[t] < load_at[next]) like_at[t] = load_at[next];
      else if (load_at[t] > load_at[next]) like_at[next] = load_at[t];
    }
  for (size_t i = first; i < program->op_count;) {
    size_t like = program->ops[i].kind == CHIPLET_LOAD ? like_at[program->ops[i].tensor] : 0;
    chiplet_repeat found = like > i ? repeat_at(program, arena, i, like - i, fewest) : (chiplet_repeat){0};
    if (found.count) HCT_PUSH(arena, repeats, found);
    i += found.count ? (size_t)found.count * found.period : 1;
  }
}

void chiplet_repeats_find(const chiplet_program *program, hct_arena *arena, int64_t fewest, repeat_list *out_repeats) {
  struct { size_t *items; size_t count, capacity; } loops = {0};
  for (size_t i = 0; i < program->op_count; i++)
    if (chiplet_is_batch_loop(&program->ops[i])) HCT_PUSH(arena, &loops, i);
  for (size_t j = 0; j < loops.count;) {
    chiplet_repeat found = {0};
    for (size_t q = 1; q <= LONGEST_PERIOD && j + q < loops.count && found.count < fewest; q++) found = repeat_at(program, arena, loops.items[j], loops.items[j + q] - loops.items[j], fewest);
    if (found.count < fewest) {
      j++;
      continue;
    }
    HCT_PUSH(arena, out_repeats, found);
    while (j < loops.count && loops.items[j] < found.first + (size_t)found.count * found.period) j++;
  }
  if (out_repeats->count) steps_find(program, arena, loops.items[loops.count - 1] + 1, fewest, out_repeats);
}

/* ---- leaving periods out ---- */
typedef struct folding {
  const chiplet_program *from;
  chiplet_program *to;
  size_t *buffer; /* what stands for each */
  op_list ops;
} folding;

static chiplet_op op_renamed(folding *f, const chiplet_op *op) {
  chiplet_op copy = *op;
  copy.copy_of = NULL; /* it may be changed from here on */
  copy.operands = chiplet_operands_copy(f->to->arena, op);
  for (size_t k = 0; k < op->operand_count; k++) copy.operands[k].buffer = f->buffer[op->operands[k].buffer];
  if (!op->body_count) return copy;
  copy.body = HCT_NEW_ARRAY(f->to->arena, chiplet_op, op->body_count);
  for (size_t i = 0; i < op->body_count; i++) copy.body[i] = op_renamed(f, &op->body[i]);
  return copy;
}

static void tensors_join(chiplet_program *program, size_t to, size_t from) {
  size_t into = program->same_tensor[to], gone = program->same_tensor[from];
  for (size_t t = 0; into != gone && t < program->tensors.count; t++)
    if (program->same_tensor[t] == gone) program->same_tensor[t] = into;
}

/* `b`, of the first period after those left out, comes to stand where `a` was. */
static void seam_pair(folding *f, const chiplet_op *a, const chiplet_op *b, size_t left_out_from) {
  const chiplet_buffer *items = f->from->buffers.items;
  for (size_t k = 0; k < a->operand_count; k++) {
    size_t old = a->operands[k].buffer, new = b->operands[k].buffer;
    if (old == new || items[items[old].storage].first >= left_out_from) continue;
    f->buffer[new] = f->buffer[old];
    f->buffer[items[new].storage] = f->buffer[items[old].storage];
  }
  if (moves_data(a)) tensors_join(f->to, a->tensor, b->tensor);
  for (size_t i = 0; i < a->body_count; i++) seam_pair(f, &a->body[i], &b->body[i], left_out_from);
}

static void ops_keep(folding *f, size_t from, size_t end) {
  for (size_t i = from; i < end; i++) {
    chiplet_op op = op_renamed(f, &f->from->ops[i]);
    HCT_PUSH(f->to->arena, &f->ops, op);
  }
}

static void repeat_fold(folding *f, size_t number, int64_t kept, size_t from) {
  chiplet_repeat *r = &f->to->repeats.items[number];
  r->left_out = (r->count - kept - 1) / f->to->layer_step * f->to->layer_step;
  size_t cut = r->first + (size_t)kept * r->period, after = cut + (size_t)r->left_out * r->period;
  size_t base = f->ops.count + (r->first - from);
  ops_keep(f, from, cut);
  for (size_t i = 0; i < r->period; i++) seam_pair(f, &f->from->ops[cut + i], &f->from->ops[after + i], f->from->ops[cut].order);
  for (int64_t k = 0; k < kept; k++) f->ops.items[base + (size_t)k * r->period].period_of = number + 1;
}

static void buffers_mark(const chiplet_program *program, const chiplet_op *ops, size_t count, bool *used) {
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < ops[i].operand_count; k++) used[ops[i].operands[k].buffer] = used[program->buffers.items[ops[i].operands[k].buffer].storage] = true;
    buffers_mark(program, ops[i].body, ops[i].body_count, used);
  }
}

static void buffers_rename(chiplet_op *ops, size_t count, const size_t *number) {
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < ops[i].operand_count; k++) ops[i].operands[k].buffer = number[ops[i].operands[k].buffer];
    buffers_rename(ops[i].body, ops[i].body_count, number);
  }
}

/* Without the buffers of what was left out, in the same order. */
static void buffers_compact(chiplet_program *program) {
  hct_arena *scratch = hct_arena_create();
  size_t kept = 0, *number = HCT_NEW_ARRAY(scratch, size_t, program->buffers.count + 1);
  bool *used = HCT_NEW_ARRAY(scratch, bool, program->buffers.count + 1);
  buffers_mark(program, program->ops, program->op_count, used);
  for (size_t b = 0; b < program->buffers.count; b++)
    if (used[b]) number[b] = kept++;
  chiplet_buffer *items = HCT_NEW_ARRAY(program->arena, chiplet_buffer, kept + 1);
  for (size_t b = 0; b < program->buffers.count; b++) {
    if (!used[b]) continue;
    items[number[b]] = program->buffers.items[b];
    items[number[b]].storage = number[program->buffers.items[b].storage];
  }
  buffers_rename(program->ops, program->op_count, number);
  program->buffers.items = items;
  program->buffers.count = program->buffers.capacity = kept;
  hct_arena_destroy(scratch);
}

bool chiplet_fold(const chiplet_program *program, int64_t step, chiplet_program *out_program) {
  chiplet_program made = *program;
  int64_t kept = 2 * step + 1;
  made.layer_step = step;
  folding f = {.from = program, .to = &made, .buffer = HCT_NEW_ARRAY(program->arena, size_t, program->buffers.count + 1)};
  chiplet_repeats_find(program, program->arena, kept + 1 + 2 * step, &made.repeats);
  if (!made.repeats.count) return false;
  for (size_t b = 0; b < program->buffers.count; b++) f.buffer[b] = b;
  made.same_tensor = HCT_NEW_ARRAY(program->arena, size_t, program->tensors.count + 1);
  for (size_t t = 0; t < program->tensors.count; t++) made.same_tensor[t] = program->same_tensor[t];
  size_t from = 0;
  for (size_t n = 0; n < made.repeats.count; n++) {
    repeat_fold(&f, n, kept, from);
    const chiplet_repeat *r = &made.repeats.items[n];
    from = r->first + (size_t)(kept + r->left_out) * r->period;
    chiplet_op op = op_renamed(&f, &program->ops[from++]); /* what the period after those left out begins with */
    op.period_of = n + 1;
    HCT_PUSH(made.arena, &f.ops, op);
  }
  ops_keep(&f, from, program->op_count);
  hct_arena *scratch = hct_arena_create();
  made.buffers.items = HCT_NEW_ARRAY(scratch, chiplet_buffer, program->buffers.count + 1);
  if (program->buffers.count) memcpy(made.buffers.items, program->buffers.items, program->buffers.count * sizeof *made.buffers.items);
  for (size_t b = 0; b < made.buffers.count; b++) made.buffers.items[b].storage = f.buffer[made.buffers.items[b].storage];
  made.ops = f.ops.items;
  made.op_count = f.ops.count;
  buffers_compact(&made);
  hct_arena_destroy(scratch);
  chiplet_number(&made);
  *out_program = made;
  return true;
}

/* ---- the loop over layers ---- */
/* Where the periods that were kept begin; the last is the one after those left out. */
typedef struct start_list { size_t *items; size_t count, capacity; } start_list;

static start_list starts_of(const chiplet_program *program, size_t repeat) {
  start_list starts = {0};
  for (size_t i = 0; i < program->op_count; i++)
    if (program->ops[i].period_of == repeat + 1) HCT_PUSH(program->arena, &starts, i);
  return starts;
}

/* Operations of the two last iterations before what was left out: of one and of the other from `first` and `second` on. */
typedef struct iterations { size_t first, second, count; } iterations;

static bool iterations_of(const chiplet_program *program, size_t repeat, iterations *out_iterations) {
  start_list starts = starts_of(program, repeat);
  size_t step = (size_t)program->layer_step, last = starts.count - 1;
  *out_iterations = (iterations){starts.items[last - 2 * step], starts.items[last - step], starts.items[last] - starts.items[last - step]};
  return out_iterations->second - out_iterations->first == out_iterations->count;
}

static bool live_together(const chiplet_buffer *items, size_t a, size_t b) {
  for (size_t x = a; x != SIZE_MAX; x = items[x].next_alike)
    for (size_t y = b; y != SIZE_MAX; y = items[y].next_alike)
      if (items[x].first <= items[y].last && items[y].first <= items[x].last) return true;
  return false;
}

static void join_places(chiplet_program *program, size_t a, size_t b) {
  chiplet_buffer *items = program->buffers.items;
  a = items[items[a].storage].alike, b = items[items[b].storage].alike;
  if (a == b || live_together(items, a, b) || !buffers_alike(&items[a], &items[b])) return;
  if (items[a].first > items[b].first) {
    size_t later = a;
    a = b, b = later;
  }
  size_t end = a;
  while (items[end].next_alike != SIZE_MAX) end = items[end].next_alike;
  items[end].next_alike = b;
  for (size_t m = b; m != SIZE_MAX; m = items[m].next_alike) items[m].alike = a;
}

static void ops_join_places(chiplet_program *program, const chiplet_op *a, const chiplet_op *b) {
  for (size_t k = 0; k < a->operand_count; k++) join_places(program, a->operands[k].buffer, b->operands[k].buffer);
  for (size_t i = 0; i < a->body_count; i++) ops_join_places(program, &a->body[i], &b->body[i]);
}

/* Periods of a repeat that are written one by one, as far as each is like the one before. */
static void periods_join_places(chiplet_program *program, size_t repeat) {
  start_list starts = starts_of(program, repeat);
  for (size_t n = 0; n + 1 < starts.count; n++) {
    size_t count = starts.items[n + 1] - starts.items[n];
    for (size_t i = 0; i < count && starts.items[n + 1] + i < program->op_count; i++)
      if (deeply_alike(&program->ops[starts.items[n] + i], &program->ops[starts.items[n + 1] + i])) ops_join_places(program, &program->ops[starts.items[n] + i], &program->ops[starts.items[n + 1] + i]);
  }
}

void chiplet_join_places(chiplet_program *program, bool all) {
  for (size_t b = 0; b < program->buffers.count; b++) program->buffers.items[b].alike = b, program->buffers.items[b].next_alike = SIZE_MAX;
  for (size_t n = 0; n < program->repeats.count; n++) {
    iterations it;
    if (!iterations_of(program, n, &it)) continue;
    for (size_t i = 0; i < it.count && deeply_alike(&program->ops[it.first + i], &program->ops[it.second + i]); i++)
      ops_join_places(program, &program->ops[it.first + i], &program->ops[it.second + i]);
  }
  for (size_t n = 0; all && n < program->repeats.count; n++) periods_join_places(program, n);
}

static bool places_alike(const chiplet_buffer *a, const chiplet_buffer *b) { return a->addr == b->addr && a->twin == b->twin && buffers_alike(a, b); }

static int64_t after_iteration(const chiplet_program *program, const int64_t *next, size_t index) {
  int64_t at = (int64_t)index;
  for (int64_t i = 0; i < program->layer_step && at >= 0; i++) at = next[at];
  return at;
}

/* Numbers of streams go on evenly from `a` through all that was left out, and `b` is an iteration after it, or, at the seam, the next that was kept. */
static bool streams_go_on(const chiplet_program *program, const chiplet_repeat *r, size_t a, size_t b) {
  const int64_t *numbers = program->streams.items, next = after_iteration(program, r->next_stream, a);
  int64_t at = (int64_t)a;
  for (int64_t i = 0; i <= r->left_out / program->layer_step; i++) {
    int64_t after = after_iteration(program, r->next_stream, (size_t)at);
    if (after < 0 || numbers[after] - numbers[at] != numbers[next] - numbers[a]) return false;
    at = after;
  }
  return next == (int64_t)b || at == (int64_t)b;
}

/* `b`, an iteration after `a`, is the same work at the same bytes of SRAM, on the next layer's tensors; or, at the seam, the next that was kept. */
static bool ops_repeat(const chiplet_program *program, const chiplet_repeat *r, const chiplet_op *a, const chiplet_op *b) {
  if (!ops_alike(a, b)) return false;
  for (size_t k = 0; k < a->operand_count; k++)
    if (!places_alike(&program->buffers.items[a->operands[k].buffer], &program->buffers.items[b->operands[k].buffer])) return false;
  if (moves_data(a)) {
    int64_t next = after_iteration(program, r->next_tensor, a->tensor);
    if (next < 0 || (next != (int64_t)b->tensor && program->same_tensor[next] != program->same_tensor[b->tensor])) return false;
  }
  if (a->kind == CHIPLET_DROPOUT && !streams_go_on(program, r, a->stream, b->stream)) return false;
  for (size_t i = 0; i < a->body_count; i++)
    if (!ops_repeat(program, r, &a->body[i], &b->body[i])) return false;
  return true;
}

/* "layers.2 .. layers.77": of what the loop runs, the first and the last. */
static uint32_t source_range(chiplet_program *program, const chiplet_repeat *r, uint32_t source, int64_t trips, int64_t *made) {
  if (!source) return 0;
  if (made[source] != NONE_YET) return (uint32_t)made[source];
  uint32_t last = source;
  for (int64_t i = 1; i < trips * program->layer_step; i++) last = (uint32_t)r->next_source[last];
  hct_source range = program->sources.items[source];
  const hct_source *end = &program->sources.items[last];
  if (strcmp(range.location, end->location)) range.location = hct_arena_printf(program->arena, "%s .. %s", range.location, end->location);
  if (strcmp(range.layer, end->layer)) range.layer = hct_arena_printf(program->arena, "%s .. %s", range.layer, end->layer);
  made[source] = (int64_t)program->sources.count;
  HCT_PUSH(program->arena, &program->sources, range);
  return (uint32_t)made[source];
}

static void op_over_layers(chiplet_program *program, const chiplet_repeat *r, chiplet_op *op, int64_t trips, int64_t *sources) {
  const chiplet_op *body = op->body;
  if (op->body_count) op->body = HCT_NEW_ARRAY(program->arena, chiplet_op, op->body_count); /* other programs may share it */
  if (op->body_count) memcpy(op->body, body, op->body_count * sizeof *body);
  op->source = source_range(program, r, op->source, trips, sources);
  if (moves_data(op)) op->layer_stride = program->tensors.items[after_iteration(program, r->next_tensor, op->tensor)].dram_offset - program->tensors.items[op->tensor].dram_offset;
  if (op->kind == CHIPLET_DROPOUT) op->layer_stride = program->streams.items[after_iteration(program, r->next_stream, op->stream)] - program->streams.items[op->stream];
  for (size_t i = 0; i < op->body_count; i++) op_over_layers(program, r, &op->body[i], trips, sources);
}

/* Both iterations and all that was left out as one loop. */
static void roll(chiplet_program *program, const chiplet_repeat *r, const iterations *it) {
  int64_t *sources = HCT_NEW_ARRAY(program->arena, int64_t, program->sources.count + 1), trips = 2 + r->left_out / program->layer_step;
  for (size_t s = 0; s <= program->sources.count; s++) sources[s] = NONE_YET;
  chiplet_op loop = {.kind = CHIPLET_LOOP, .over_layers = true, .trips = trips, .body = HCT_NEW_ARRAY(program->arena, chiplet_op, it->count), .body_count = it->count,
                     .order = program->ops[it->first].order, .body_end = program->ops[it->second].order - 1};
  memcpy(loop.body, &program->ops[it->first], it->count * sizeof *loop.body);
  for (size_t i = 0; i < loop.body_count; i++) op_over_layers(program, r, &loop.body[i], trips, sources);
  program->ops[it->first] = loop;
  size_t end = it->second + it->count;
  memmove(&program->ops[it->first + 1], &program->ops[end], (program->op_count - end) * sizeof *program->ops);
  program->op_count -= end - it->first - 1;
}

static void sources_mark(const chiplet_op *ops, size_t count, int64_t *number) {
  for (size_t i = 0; i < count; i++) {
    number[ops[i].source] = 0;
    sources_mark(ops[i].body, ops[i].body_count, number);
  }
}

static void sources_renumber(chiplet_op *ops, size_t count, const int64_t *number) {
  for (size_t i = 0; i < count; i++) {
    ops[i].source = (uint32_t)number[ops[i].source];
    sources_renumber(ops[i].body, ops[i].body_count, number);
  }
}

/* Layers left out leave sources without instructions: reports need not have them. */
static void sources_prune(chiplet_program *program) {
  int64_t *number = HCT_NEW_ARRAY(program->arena, int64_t, program->sources.count + 1);
  for (size_t s = 0; s < program->sources.count; s++) number[s] = NONE_YET;
  number[0] = 0;
  sources_mark(program->ops, program->op_count, number);
  size_t kept = 0;
  for (size_t s = 0; s < program->sources.count; s++) {
    if (number[s] == NONE_YET) continue;
    program->sources.items[kept] = program->sources.items[s];
    number[s] = (int64_t)kept++;
  }
  program->sources.count = kept;
  sources_renumber(program->ops, program->op_count, number);
}

static void sources_own(chiplet_program *program) {
  hct_source *own = HCT_NEW_ARRAY(program->arena, hct_source, program->sources.count + 1);
  if (program->sources.count) memcpy(own, program->sources.items, program->sources.count * sizeof *own);
  program->sources.items = own;
  program->sources.capacity = program->sources.count + 1;
}

bool chiplet_roll(chiplet_program *program) {
  if (program->repeats.count) sources_own(program);
  for (size_t n = 0; n < program->repeats.count; n++) {
    iterations it;
    if (!iterations_of(program, n, &it)) return false;
    for (size_t i = 0; i < it.count; i++)
      if (!ops_repeat(program, &program->repeats.items[n], &program->ops[it.first + i], &program->ops[it.second + i])) return false;
    roll(program, &program->repeats.items[n], &it);
  }
  if (program->repeats.count) sources_prune(program);
  return true;
}
