/* Loops whose iterations overlap although SRAM has no room for two. What a micro-batch begins with - the loads, gathers and elementwise work before its
 * first product - is done before the last products of the one before it, and what it loads later as soon as the one before has no more use for the
 * bytes. So
 *
 *   for t: early(t) late(t)      becomes      early(0); for t but the last: late(t) with early(t + 1) in it; late(last)
 *
 * Early operations write buffers of their own loop only, whose last reader of the micro-batch before comes sooner than they do: no copies are needed, and
 * what crosses from one iteration to the next lies where it lies throughout the loop. */
#include "backends/chiplet/chiplet.h"

enum { MOST_SHARE = 4 }; /* of an iteration's products, that early operations may come before: one in so many */

typedef struct rotation {
  chiplet_program *program;
  const chiplet_op *loop;
  int64_t room;
  bool *early;       /* by operation of the body */
  size_t *place;     /* of an early load: it comes before this one */
  size_t to;         /* other early operations come before this one */
  bool *written, *late_read, *late_written; /* by buffer: in the body; by operations that stay, so far */
  size_t *last_use;  /* by buffer: the operation of the body */
  bool *stored;      /* by tensor: in the body */
  size_t *touching;  /* by buffer: operands of early operations; one that has any may hold something from one iteration to the next */
  int64_t *live;     /* bytes by place in the loop's order, when what early operations touch is live throughout */
} rotation;

static size_t storage_of(const rotation *r, const chiplet_op *op, size_t k) { return r->program->buffers.items[op->operands[k].buffer].storage; }

static bool is_local(const rotation *r, size_t storage) {
  const chiplet_buffer *buffer = &r->program->buffers.items[storage];
  return buffer->first >= r->loop->order && buffer->last <= r->loop->body_end;
}

/* ---- room ---- */
static void live_measure(rotation *r) {
  const chiplet_op *loop = r->loop;
  for (size_t b = 0; b < r->program->buffers.count; b++) {
    const chiplet_buffer *buffer = &r->program->buffers.items[b];
    if (buffer->storage != b || buffer->first == SIZE_MAX || buffer->last < loop->order || buffer->first > loop->body_end) continue;
    bool before = buffer->first < loop->order;
    r->live[before ? 0 : buffer->first - loop->order] += chiplet_pitch(buffer);
    if (!before && buffer->last < loop->body_end) r->live[buffer->last - loop->order + 1] -= chiplet_pitch(buffer);
  }
  for (size_t at = 1; at <= loop->body_end - loop->order; at++) r->live[at] += r->live[at - 1];
}

/* Where the buffer was not live anyway. */
static void live_add(rotation *r, const chiplet_buffer *buffer, int64_t bytes) {
  for (size_t at = 0; at < buffer->first - r->loop->order; at++) r->live[at] += bytes;
  for (size_t at = buffer->last - r->loop->order + 1; at <= r->loop->body_end - r->loop->order; at++) r->live[at] += bytes;
}

static void touch(rotation *r, const chiplet_op *op, bool early) {
  for (size_t k = 0; k < op->operand_count; k++) {
    size_t storage = storage_of(r, op, k);
    const chiplet_buffer *buffer = &r->program->buffers.items[storage];
    if (!is_local(r, storage)) continue;
    r->touching[storage] += early ? 1 : (size_t)-1;
    if (r->touching[storage] == (early ? 1 : 0)) live_add(r, buffer, early ? chiplet_pitch(buffer) : -chiplet_pitch(buffer));
  }
  for (size_t i = 0; i < op->body_count; i++) touch(r, &op->body[i], early);
}

static void early_set(rotation *r, size_t i, bool early) {
  if (r->early[i] == early) return;
  r->early[i] = early;
  touch(r, &r->loop->body[i], early);
}

static bool has_room(const rotation *r) {
  for (size_t at = 0; at <= r->loop->body_end - r->loop->order; at++)
    if (r->live[at] > r->room) return false;
  return true;
}

/* ---- what may be early ---- */
static void uses_find(rotation *r, const chiplet_op *op, size_t at) {
  if (op->kind == CHIPLET_STORE) r->stored[r->program->same_tensor[op->tensor]] = true;
  for (size_t k = 0; k < op->operand_count; k++) {
    r->last_use[storage_of(r, op, k)] = at;
    if (!chiplet_only_reads(op, k)) r->written[storage_of(r, op, k)] = true;
  }
  for (size_t i = 0; i < op->body_count; i++) uses_find(r, &op->body[i], at);
}

static void stays(rotation *r, const chiplet_op *op) {
  for (size_t k = 0; k < op->operand_count; k++) {
    if (chiplet_only_reads(op, k)) r->late_read[storage_of(r, op, k)] = true;
    else r->late_written[storage_of(r, op, k)] = true;
  }
  for (size_t i = 0; i < op->body_count; i++) stays(r, &op->body[i]);
}

static bool body_stores(const rotation *r, size_t tensor) { return r->stored[r->program->same_tensor[tensor]]; }

static bool can_be_early(const rotation *r, const chiplet_op *op) {
  if (op->kind == CHIPLET_STORE || op->kind == CHIPLET_MATMUL || (op->kind == CHIPLET_LOAD && body_stores(r, op->tensor))) return false;
  for (size_t k = 0; k < op->operand_count; k++) {
    size_t storage = storage_of(r, op, k);
    bool writes = !chiplet_only_reads(op, k);
    if (!is_local(r, storage) && (writes || r->written[storage])) return false;
    if (r->late_written[storage] || (writes && (r->late_read[storage] || r->last_use[storage] >= r->to))) return false;
  }
  for (size_t i = 0; i < op->body_count; i++)
    if (!can_be_early(r, &op->body[i])) return false;
  return true;
}

/* The products that early operations come before take as long as all that comes before the first product. */
static size_t place_find(const rotation *r, size_t first_product) {
  const chiplet_op *body = r->loop->body;
  int64_t wanted = 0, all = 0;
  size_t to = r->loop->body_count;
  for (size_t i = 0; i < first_product; i++) wanted += body[i].ps;
  for (size_t i = 0; i < r->loop->body_count; i++) all += body[i].kind == CHIPLET_MATMUL ? body[i].ps : 0;
  if (wanted > all / MOST_SHARE) wanted = all / MOST_SHARE;
  for (int64_t found = 0; to > first_product && found < wanted;) found += body[--to].kind == CHIPLET_MATMUL ? body[to].ps : 0;
  return to;
}

static void early_find(rotation *r, size_t first_product) {
  const chiplet_op *body = r->loop->body;
  for (size_t i = 0; i < first_product;) {
    size_t count = i + 1 < first_product && chiplet_are_halves(&body[i], &body[i + 1]) ? 2 : 1;
    bool early = true;
    for (size_t k = 0; k < count; k++) early &= can_be_early(r, &body[i + k]);
    for (size_t k = 0; k < count; k++) {
      if (early) early_set(r, i + k, true);
      else stays(r, &body[i + k]);
    }
    i += count;
  }
}

/* Fewer early operations, the last ones first, until there is room; false: none is left. */
static bool early_fit(rotation *r, size_t first_product) {
  size_t count = 0;
  for (size_t i = 0; i < first_product; i++) count += r->early[i];
  for (size_t i = first_product; count && !has_room(r);) {
    while (!r->early[i - 1]) i--;
    early_set(r, --i, false), count--;
    if (i && chiplet_are_halves(&r->loop->body[i - 1], &r->loop->body[i])) early_set(r, --i, false), count--;
  }
  return count > 0;
}

/* Loads after the first product, as many as there is room for. */
static void early_loads(rotation *r) {
  const chiplet_op *body = r->loop->body;
  for (size_t i = 0; i < r->loop->body_count; i++) {
    if (body[i].kind != CHIPLET_LOAD) continue;
    size_t storage = storage_of(r, &body[i], 0);
    r->place[i] = r->last_use[storage] + 1;
    if (r->early[i] || !is_local(r, storage) || r->program->buffers.items[storage].first != body[i].order || body_stores(r, body[i].tensor)) continue;
    early_set(r, i, true);
    if (!has_room(r)) early_set(r, i, false);
  }
}

/* ---- the loop ---- */
static void add(const rotation *r, op_list *out, size_t from, size_t to, bool early, const size_t *clone, chiplet_numbering numbering) {
  for (size_t i = from; i < to; i++)
    if (r->early[i] == early) HCT_PUSH(r->program->arena, out, chiplet_op_copy(r->program, &r->loop->body[i], clone, numbering));
}

/* By buffer: its clone for the last iteration; what crosses from one to the next, or outlives the loop, stands for itself. */
static size_t *buffers_clone(const rotation *r, hct_arena *arena) {
  chiplet_program *program = r->program;
  size_t count = program->buffers.count, *clone = HCT_NEW_ARRAY(arena, size_t, count + 1);
  for (size_t b = 0; b < count; b++) {
    chiplet_buffer buffer = program->buffers.items[b];
    clone[b] = b;
    if (program->buffers.items[buffer.storage].first == SIZE_MAX || !is_local(r, buffer.storage) || r->touching[buffer.storage]) continue;
    clone[b] = program->buffers.count;
    buffer.storage = buffer.storage == b ? clone[b] : clone[buffer.storage];
    HCT_PUSH(program->arena, &program->buffers, buffer);
  }
  return clone;
}

/* Late operations of one micro-batch, and early ones of the next. */
static op_list body_make(const rotation *r, hct_arena *arena) {
  const chiplet_op *loop = r->loop;
  const chiplet_numbering now = {-1, 1, 0}, next = {-1, 1, 1};
  size_t none = loop->body_count, *first = HCT_NEW_ARRAY(arena, size_t, none + 1), *after = HCT_NEW_ARRAY(arena, size_t, none + 1); /* early loads by their place */
  op_list body = {0};
  for (size_t at = 0; at <= none; at++) first[at] = none;
  for (size_t i = none; i-- > 0;)
    if (r->early[i] && loop->body[i].kind == CHIPLET_LOAD) after[i] = first[r->place[i]], first[r->place[i]] = i;
  for (size_t at = 0; at <= loop->body_count; at++) {
    for (size_t i = first[at]; i != none; i = after[i]) add(r, &body, i, i + 1, true, NULL, next);
    for (size_t i = 0; i < loop->body_count && at == r->to; i++)
      if (loop->body[i].kind != CHIPLET_LOAD) add(r, &body, i, i + 1, true, NULL, next);
    if (at < loop->body_count) add(r, &body, at, at + 1, false, NULL, now);
  }
  return body;
}

static void loop_rotate(const rotation *r, hct_arena *arena, op_list *out) {
  const chiplet_op *loop = r->loop;
  size_t begin = out->count;
  const size_t *clone = buffers_clone(r, arena);
  op_list body = body_make(r, arena);
  add(r, out, 0, loop->body_count, true, NULL, (chiplet_numbering){0, 1, 0});
  out->items[begin].period_of = loop->period_of;
  chiplet_op made = *loop;
  made.trips--, made.body = body.items, made.body_count = body.count, made.period_of = 0;
  HCT_PUSH(r->program->arena, out, made);
  add(r, out, 0, loop->body_count, false, clone, (chiplet_numbering){loop->trips - 1, 1, 0});
}

static bool rotation_find(rotation *r, hct_arena *arena) {
  const chiplet_op *loop = r->loop;
  size_t buffers = r->program->buffers.count + 1, first_product = 0;
  while (first_product < loop->body_count && loop->body[first_product].kind != CHIPLET_MATMUL) first_product++;
  if (first_product == loop->body_count) return false;
  r->early = HCT_NEW_ARRAY(arena, bool, loop->body_count), r->place = HCT_NEW_ARRAY(arena, size_t, loop->body_count);
  r->written = HCT_NEW_ARRAY(arena, bool, buffers), r->late_read = HCT_NEW_ARRAY(arena, bool, buffers), r->late_written = HCT_NEW_ARRAY(arena, bool, buffers);
  r->last_use = HCT_NEW_ARRAY(arena, size_t, buffers), r->touching = HCT_NEW_ARRAY(arena, size_t, buffers);
  r->stored = HCT_NEW_ARRAY(arena, bool, r->program->tensors.count + 1), r->live = HCT_NEW_ARRAY(arena, int64_t, loop->body_end - loop->order + 1);
  live_measure(r);
  for (size_t i = 0; i < loop->body_count; i++) uses_find(r, &loop->body[i], i);
  r->to = place_find(r, first_product);
  early_find(r, first_product);
  bool any = early_fit(r, first_product);
  early_loads(r);
  for (size_t i = first_product; i < loop->body_count && !any; i++) any = r->early[i];
  return any;
}

void chiplet_rotate(chiplet_program *program, int64_t room) {
  enum { LEAST_TRIPS = 4 };
  op_list out = {0};
  chiplet_buffers_measure(program);
  for (size_t i = 0; i < program->op_count; i++) {
    hct_arena *arena = hct_arena_create();
    rotation r = {.program = program, .loop = &program->ops[i], .room = room};
    if (chiplet_is_batch_loop(r.loop) && r.loop->trips >= LEAST_TRIPS && rotation_find(&r, arena)) loop_rotate(&r, arena, &out);
    else HCT_PUSH(program->arena, &out, program->ops[i]);
    hct_arena_destroy(arena);
  }
  program->ops = out.items;
  program->op_count = out.count;
  chiplet_number(program);
}
