#include <stdlib.h>
#include <string.h>

#include "backends/chiplet/chiplet.h"

enum { ALIGNMENT_BITS = 6, ALIGNMENT = 1 << ALIGNMENT_BITS, DIGIT_BITS = 8, DIGIT_MASK = (1 << DIGIT_BITS) - 1, GRACES = 2 /* products that bytes rest for, if there is room */, DOUBLINGS = 5 /* tries to leave them to some loops only */ };

static int64_t aligned(int64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

hct_place chiplet_place(const chiplet_program *program, int64_t section, int64_t row, int64_t col) {
  int64_t full = program->batch / program->micro_batch;
  hct_place place = {.rows = program->rows, .cols = program->cols, .row = row, .col = col};
  if (section == 0) place.micro_batch_size = program->micro_batch;
  if (section == 1) place.micro_batch_start = full * program->micro_batch, place.micro_batch_size = program->batch - place.micro_batch_start;
  return place;
}

int64_t chiplet_piece_elements(const chiplet_buffer *buffer, int64_t tile_elements) {
  if (!buffer->piece_elements) return tile_elements;
  int64_t left = tile_elements > buffer->piece_first ? tile_elements - buffer->piece_first : 0;
  return left < buffer->piece_elements ? left : buffer->piece_elements;
}

int64_t chiplet_pitch(const chiplet_buffer *buffer) { return aligned(buffer->bytes); }
static int64_t taken(const chiplet_buffer *buffer) { return aligned(buffer->bytes) * (buffer->twin ? 2 : 1); }

static bool is_repeated(const chiplet_op *loop) { return loop->kind == CHIPLET_LOOP && loop->trips > 1; }

/* Bytes that the operation of the loop moves for an iteration, which nothing outside the loop uses; NULL: it moves none. */
static chiplet_buffer *moved_by(const chiplet_program *program, const chiplet_op *loop, const chiplet_op *op) {
  if ((op->kind != CHIPLET_LOAD && op->kind != CHIPLET_STORE) || !op->timed) return NULL;
  chiplet_buffer *storage = &program->buffers.items[program->buffers.items[op->operands[0].buffer].storage];
  return storage->first < loop->order || storage->last > loop->body_end ? NULL : storage;
}

/* What DMA fills or empties in each iteration of a loop has two copies, so that the DMA of one iteration runs beside the work of another.
 * Both are live throughout the loop. `single`: loops (by operation) without. */
static void twin_dma_buffers(chiplet_program *program, const bool *single) {
  for (size_t i = 0; i < program->op_count; i++) {
    const chiplet_op *loop = &program->ops[i];
    for (size_t k = 0; is_repeated(loop) && !single[i] && k < loop->body_count; k++) {
      chiplet_buffer *storage = moved_by(program, loop, &loop->body[k]);
      if (!storage) continue;
      storage->twin = true;
      storage->first = loop->order;
      storage->last = loop->body_end;
    }
  }
}

/* Buffers made outside of a loop and used inside it live until its end. */
static void extend_over_loops(chiplet_program *program, const chiplet_op *ops, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (ops[i].body_count < 2) continue; /* what one operation uses, it uses to its end */
    extend_over_loops(program, ops[i].body, ops[i].body_count);
    for (size_t b = 0; b < program->buffers.count; b++) {
      chiplet_buffer *buffer = &program->buffers.items[b];
      if (buffer->first < ops[i].order && buffer->last > ops[i].order && buffer->last < ops[i].body_end) buffer->last = ops[i].body_end;
    }
  }
}

static int by_start(const void *a, const void *b) {
  const chiplet_buffer *x = *(chiplet_buffer *const *)a, *y = *(chiplet_buffer *const *)b;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
  return x < y ? -1 : 1; /* both in one array: the order of their making */
}

typedef struct extent { int64_t start, end; } extent; /* bytes taken */

/* By class: where those that live beside it begin in `with`; behind the last class: where all end. */
typedef struct meeting { size_t *first; uint32_t *with; } meeting;

typedef struct living { size_t until, class; } living; /* the operation up to which one of a class keeps its bytes */

typedef struct placement {
  chiplet_buffer *buffers;
  chiplet_buffer **all, **order;         /* buffers with bytes of their own, by start; of those alike the first, a class */
  size_t all_count, count;
  living *live;                          /* scratch */
  extent *beside, *sorted;               /* scratch */
  size_t *class_of;                      /* by buffer, of the first of those alike */
  meeting meets[GRACES + 1];             /* by how many products a buffer's life is taken to be longer */
  size_t *next_product;                  /* by operation: the next product after it; behind the last, itself */
  chiplet_buffer **classes;
  bool *placed;                          /* by class */
  size_t *seen, marks;                   /* by class: the search that found it last; searches so far */
  int64_t capacity, needed;              /* highest end of a byte taken; before any is, the most bytes that live at once */
  size_t worst;                          /* the operation at which most live; then that from which on what has found no place lives */
  const chiplet_buffer *without_place;   /* the first that none was found for; NULL: none was looked for yet */
} placement;

static size_t class_of(const placement *p, const chiplet_buffer *buffer) { return p->class_of[buffer->alike]; }

/* Operation up to which the bytes are not given to another buffer, if that can be. */
static size_t rests_until(const placement *p, const chiplet_buffer *buffer, int grace) {
  size_t until = buffer->last;
  for (int g = 0; g < grace; g++) until = p->next_product[until];
  return until;
}

/* Goes through all buffers as they come to live. `with`: notes which classes meet; NULL: how many, twice where two meet twice. */
static void meets_walk(placement *p, int grace, uint32_t *with, size_t *next) {
  size_t live = 0;
  for (size_t i = 0; i < p->all_count; i++) {
    size_t kept = 0, own = class_of(p, p->all[i]), first = p->all[i]->first;
    for (size_t k = 0; k < live; k++) {
      living other = p->live[k];
      if (other.until < first) continue;
      if (with) with[next[own]] = (uint32_t)other.class, with[next[other.class]] = (uint32_t)own;
      next[own]++, next[other.class]++;
      p->live[kept++] = other;
    }
    p->live[kept] = (living){rests_until(p, p->all[i], grace), own};
    live = kept + 1;
  }
}

static meeting meets_find(placement *p, hct_arena *arena, int grace) {
  meeting m = {.first = HCT_NEW_ARRAY(arena, size_t, p->count + 1)};
  size_t *next = HCT_NEW_ARRAY(arena, size_t, p->count + 1);
  meets_walk(p, grace, NULL, next);
  for (size_t c = 0; c < p->count; c++) {
    m.first[c + 1] = m.first[c] + next[c];
    next[c] = m.first[c];
  }
  m.with = HCT_NEW_ARRAY(arena, uint32_t, m.first[p->count] + 1);
  meets_walk(p, grace, m.with, next);
  return m;
}

static size_t digit_of(const extent *e, int shift) { return (size_t)(e->start >> shift) & DIGIT_MASK; }

/* p->beside by address, by digits from the last on. A sort by comparing takes a tenth of a compilation. */
static void beside_sort(placement *p, size_t count) {
  for (int shift = ALIGNMENT_BITS; p->needed >> shift; shift += DIGIT_BITS) {
    size_t next[(1 << DIGIT_BITS) + 1] = {0};
    for (size_t i = 0; i < count; i++) next[digit_of(&p->beside[i], shift) + 1]++;
    for (size_t digit = 1; digit < DIGIT_MASK; digit++) next[digit + 1] += next[digit];
    for (size_t i = 0; i < count; i++) p->sorted[next[digit_of(&p->beside[i], shift)]++] = p->beside[i];
    extent *sorted = p->sorted;
    p->sorted = p->beside, p->beside = sorted;
  }
}

/* The lowest place where nothing is that lives beside any of those alike the buffer. */
static int64_t place_find(placement *p, const chiplet_buffer *buffer, int grace) {
  const meeting *m = &p->meets[grace];
  size_t own = class_of(p, buffer), mark = ++p->marks, count = 0;
  for (size_t k = m->first[own]; k < m->first[own + 1]; k++) {
    size_t other = m->with[k];
    if (other == own || !p->placed[other] || p->seen[other] == mark) continue;
    p->seen[other] = mark;
    p->beside[count++] = (extent){p->classes[other]->addr, p->classes[other]->addr + taken(p->classes[other])};
  }
  beside_sort(p, count);
  int64_t at = 0;
  for (size_t i = 0; i < count && p->beside[i].start - at < taken(buffer); i++)
    if (p->beside[i].end > at) at = p->beside[i].end;
  return at;
}

/* In the order at hand. False at the first that does not fit. */
static bool place_all(placement *p) {
  p->needed = 0;
  memset(p->placed, 0, p->count * sizeof *p->placed);
  for (size_t i = 0; i < p->count; i++) {
    chiplet_buffer *buffer = p->order[i];
    buffer->addr = place_find(p, buffer, 0);
    if (buffer->addr + taken(buffer) > p->needed) p->needed = buffer->addr + taken(buffer);
    p->placed[class_of(p, buffer)] = true;
    p->without_place = buffer;
    if (p->needed <= p->capacity) continue;
    p->worst = buffer->first;
    return false;
  }
  return true;
}

/* Engines run at their own pace: what writes bytes that another engine still reads waits for that one, and holds up all that is queued behind it. So
 * buffers move, where there is room, to where nothing lies that was used just before them or will be just after. */
static void spread(placement *p, hct_arena *arena) {
  for (int grace = 1; grace <= GRACES; grace++) p->meets[grace] = meets_find(p, arena, grace);
  for (size_t i = 0; i < p->count; i++) {
    chiplet_buffer *buffer = p->order[i];
    for (int grace = GRACES; grace > 0; grace--) {
      int64_t at = place_find(p, buffer, grace);
      if (at + taken(buffer) > p->capacity) continue;
      buffer->addr = at;
      if (at + taken(buffer) > p->needed) p->needed = at + taken(buffer);
      break;
    }
  }
}

/* As they come to live. */
static bool place_in_time(placement *p) {
  qsort(p->order, p->count, sizeof *p->order, by_start);
  return place_all(p);
}

/* The most bytes that are live at once: what no placement can do without. `ends`, scratch, holds as many as there are operations, and one. */
static int64_t most_live(const placement *p, int64_t *ends, size_t *out_at) {
  int64_t most = 0, live = 0;
  size_t done = 0;
  for (size_t i = 0; i < p->all_count; i++) ends[p->all[i]->last] += taken(p->all[i]);
  for (size_t i = 0; i < p->all_count; i++) {
    for (; done < p->all[i]->first; done++) live -= ends[done];
    live += taken(p->all[i]);
    if (live > most) most = live, *out_at = p->all[i]->first;
  }
  return most;
}

static int by_taken(const void *a, const void *b) {
  const chiplet_buffer *x = *(chiplet_buffer *const *)a, *y = *(chiplet_buffer *const *)b;
  if (taken(x) != taken(y)) return taken(x) > taken(y) ? -1 : 1;
  return by_start(a, b);
}

/* The largest first, each in the lowest gap that is free all its life: fewer holes. */
static bool place_by_size(placement *p) {
  qsort(p->order, p->count, sizeof *p->order, by_taken);
  return place_all(p);
}

void chiplet_buffers_measure(chiplet_program *program) {
  for (size_t b = 0; b < program->buffers.count; b++) {
    chiplet_buffer *buffer = &program->buffers.items[b];
    hct_place place = chiplet_place(program, buffer->section, 0, 0); /* die (0, 0) holds most */
    buffer->bytes = chiplet_piece_elements(buffer, hct_layout_tile_elements(buffer->layout, &place)) * (int64_t)hct_dtype_bytes(buffer->dtype);
  }
}

static void products_find(const chiplet_op *ops, size_t count, bool *is_product) {
  for (size_t i = 0; i < count; i++) {
    is_product[ops[i].order] = ops[i].kind == CHIPLET_MATMUL;
    products_find(ops[i].body, ops[i].body_count, is_product);
  }
}

static size_t positions_of(const chiplet_program *program) {
  const chiplet_op *last = program->op_count ? &program->ops[program->op_count - 1] : NULL;
  return !last ? 1 : (last->body_count ? last->body_end : last->order) + 1;
}

static size_t *next_products(const chiplet_program *program, hct_arena *arena) {
  size_t count = positions_of(program), next = count - 1;
  bool *is_product = HCT_NEW_ARRAY(arena, bool, count);
  size_t *found = HCT_NEW_ARRAY(arena, size_t, count);
  products_find(program->ops, program->op_count, is_product);
  for (size_t i = count; i-- > 0;) {
    found[i] = next;
    if (is_product[i]) next = i;
  }
  return found;
}

static placement placement_make(chiplet_program *program, hct_arena *arena) {
  size_t most = program->buffers.count + 1;
  placement p = {.buffers = program->buffers.items, .all = HCT_NEW_ARRAY(arena, chiplet_buffer *, most), .order = HCT_NEW_ARRAY(arena, chiplet_buffer *, most), .live = HCT_NEW_ARRAY(arena, living, most), .beside = HCT_NEW_ARRAY(arena, extent, most), .sorted = HCT_NEW_ARRAY(arena, extent, most),
                 .class_of = HCT_NEW_ARRAY(arena, size_t, most), .classes = HCT_NEW_ARRAY(arena, chiplet_buffer *, most), .placed = HCT_NEW_ARRAY(arena, bool, most), .seen = HCT_NEW_ARRAY(arena, size_t, most),
                 .capacity = program->pass->package.sram_bytes};
  for (size_t b = 0; b < program->buffers.count; b++)
    if (p.buffers[b].storage == b && p.buffers[b].first != SIZE_MAX) p.all[p.all_count++] = &p.buffers[b];
  qsort(p.all, p.all_count, sizeof *p.all, by_start);
  for (size_t i = 0; i < p.all_count; i++) {
    if (&p.buffers[p.all[i]->alike] != p.all[i]) continue;
    p.class_of[p.all[i]->alike] = p.count;
    p.classes[p.count] = p.order[p.count] = p.all[i];
    p.count++;
  }
  p.next_product = next_products(program, arena);
  p.needed = most_live(&p, HCT_NEW_ARRAY(arena, int64_t, positions_of(program) + 1), &p.worst);
  return p;
}

bool chiplet_lives_fit(chiplet_program *program) {
  chiplet_buffers_measure(program);
  hct_arena *scratch = hct_arena_create();
  placement p = placement_make(program, scratch);
  bool fit = p.needed <= p.capacity;
  hct_arena_destroy(scratch);
  return fit;
}

/* Whether there is a place for every buffer; `settles`: those are taken. False when the scratchpad is too small, with the end of the highest buffer, which found no place; or with the most bytes that live at once, and NULL.
 * *out_worst: the operation at which there is too much. */
static bool allocate_sram(chiplet_program *program, bool settles, int64_t *out_needed, size_t *out_worst, const chiplet_buffer **out_without_place) {
  chiplet_buffers_measure(program);
  hct_arena *scratch = hct_arena_create();
  placement p = placement_make(program, scratch);
  bool can_fit = p.needed <= p.capacity;
  if (can_fit) p.meets[0] = meets_find(&p, scratch, 0);
  bool fits = can_fit && (place_in_time(&p) || place_by_size(&p));
  if (fits && settles) spread(&p, scratch);
  *out_worst = p.worst;
  if (!fits && can_fit) place_in_time(&p);
  *out_needed = p.needed, *out_without_place = p.without_place;
  hct_arena_destroy(scratch);
  if (!fits || !settles) return fits;
  program->sram_bytes = *out_needed;
  for (size_t b = 0; b < program->buffers.count; b++) {
    const chiplet_buffer *storage = &program->buffers.items[program->buffers.items[b].storage];
    program->buffers.items[b].addr = program->buffers.items[storage->alike].addr;
    program->buffers.items[b].twin = storage->twin;
  }
  return true;
}

/* With all layers of a repeat at the same addresses, or, if that does not fit, those that are folded. */
static bool allocate_joined(chiplet_program *program, int64_t *out_needed, size_t *out_worst, const chiplet_buffer **out_without_place) {
  bool repeats = program->repeats.count > 0;
  chiplet_join_places(program, false);
  if (!allocate_sram(program, !repeats, out_needed, out_worst, out_without_place)) return false;
  if (!repeats) return true;
  chiplet_join_places(program, true);
  if (allocate_sram(program, true, out_needed, out_worst, out_without_place)) return true;
  chiplet_join_places(program, false);
  return allocate_sram(program, true, out_needed, out_worst, out_without_place);
}

/* ---- DRAM ---- */
typedef struct life { size_t first, last; } life; /* operations of the program between which a tensor holds something */

static void lives_add(life *lives, const chiplet_op *op, size_t first, size_t last) {
  if (op->kind == CHIPLET_LOAD || op->kind == CHIPLET_STORE) {
    life *of = &lives[op->tensor];
    if (first < of->first) of->first = first;
    if (last > of->last) of->last = last;
  }
  for (size_t i = 0; i < op->body_count; i++) lives_add(lives, &op->body[i], first, last);
}

/* Loops are one moment: what one of them reads and what it writes lie apart. */
static life *tensors_live(const chiplet_program *program) {
  life *lives = HCT_NEW_ARRAY(program->arena, life, program->tensors.count + 1);
  for (size_t t = 0; t < program->tensors.count; t++) lives[t] = (life){SIZE_MAX, 0};
  for (size_t i = 0; i < program->op_count; i++) lives_add(lives, &program->ops[i], program->ops[i].order, program->ops[i].body_count ? program->ops[i].body_end : program->ops[i].order);
  return lives;
}

/* An activation that lies where `before` did, which nothing reads any more: micro-batch for micro-batch at the same bytes. */
static bool can_replace(const hct_tensor *before, const life *before_life, const hct_tensor *tensor, const life *own) {
  return before->role == HCT_ROLE_SPILL && before_life->last < own->first && before->dtype == tensor->dtype && before->tile_bytes == tensor->tile_bytes && before->micro_batch_stride == tensor->micro_batch_stride &&
         hct_layout_equal(&before->layout, &tensor->layout);
}

typedef struct places { size_t *items; size_t count, capacity; } places; /* the latest tensor of each */

static void place_tensor(chiplet_program *program, const life *lives, places *spills, size_t index) {
  hct_tensor *tensor = &program->tensors.items[index];
  program->same_tensor[index] = index;
  for (size_t k = 0; tensor->role == HCT_ROLE_SPILL && k < spills->count; k++) {
    size_t before = spills->items[k];
    if (!can_replace(&program->tensors.items[before], &lives[before], tensor, &lives[index])) continue;
    tensor->dram_offset = program->tensors.items[before].dram_offset;
    program->same_tensor[index] = program->same_tensor[before];
    spills->items[k] = index;
    return;
  }
  if (tensor->role == HCT_ROLE_SPILL) HCT_PUSH(program->arena, spills, index);
  tensor->dram_offset = program->dram_bytes;
  program->dram_bytes += aligned(tensor->tile_bytes);
}

hct_status chiplet_allocate_dram(chiplet_program *program) {
  const hct_package *package = &program->pass->package;
  int64_t parts = (program->batch + program->micro_batch - 1) / program->micro_batch;
  const life *lives = tensors_live(program);
  places spills = {0};
  program->same_tensor = HCT_NEW_ARRAY(program->arena, size_t, program->tensors.count + 1);
  for (size_t i = 0; i < program->tensors.count; i++) {
    hct_tensor *tensor = &program->tensors.items[i];
    bool timed = hct_layout_uses_axis(&tensor->layout, HCT_AXIS_TIME);
    hct_place place = chiplet_place(program, timed ? 0 : -1, 0, 0);
    int64_t bytes = hct_layout_tile_elements(&tensor->layout, &place) * (int64_t)hct_dtype_bytes(tensor->dtype);
    tensor->micro_batch_stride = timed ? aligned(bytes) : 0;
    tensor->tile_bytes = timed ? parts * tensor->micro_batch_stride : bytes;
    place_tensor(program, lives, &spills, i);
  }
  hct_arena *scratch = hct_arena_create();
  bool fits = hct_package_channels(scratch, package, program->dram_bytes, HCT_NEW_ARRAY(scratch, int64_t, (size_t)(program->rows * program->cols)));
  hct_arena_destroy(scratch);
  program->pass->dram_full = !fits;
  return fits ? HCT_OK : chiplet_refuse_dram(program);
}

/* ---- double buffers ---- */
static bool is_doubled(const chiplet_program *program, const chiplet_op *loop) {
  bool doubled = false;
  for (size_t k = 0; is_repeated(loop) && k < loop->body_count && !doubled; k++) doubled = moved_by(program, loop, &loop->body[k]);
  return doubled;
}

/* The same number of operations, which move as many bytes: of another layer, or folded into one, whose bytes are to have the same addresses. */
static bool loops_alike(const chiplet_program *program, const chiplet_op *a, const chiplet_op *b) {
  int64_t more = 0;
  if (!is_repeated(b) || a->trips != b->trips || a->body_count != b->body_count) return false;
  for (size_t k = 0; k < a->body_count; k++) {
    const chiplet_buffer *x = moved_by(program, a, &a->body[k]), *y = moved_by(program, b, &b->body[k]);
    more += (x ? x->bytes : 0) - (y ? y->bytes : 0);
  }
  return !more;
}

/* The loop around the operation `worst`, and those like it, are to do without double buffers; where it is around none that has some, or `all`, all are.
 * False: all do already. */
static bool single_choose(const chiplet_program *program, size_t worst, bool all, bool *single) {
  size_t at = 0, changed = 0;
  while (at < program->op_count && (single[at] || worst < program->ops[at].order || worst > program->ops[at].body_end || !is_doubled(program, &program->ops[at]))) at++;
  all |= at == program->op_count;
  for (size_t i = 0; i < program->op_count; i++) {
    if (single[i] || !is_doubled(program, &program->ops[i]) || !(all || i == at || loops_alike(program, &program->ops[at], &program->ops[i]))) continue;
    single[i] = true;
    changed++;
  }
  return changed > 0;
}

static void single_remark(const chiplet_program *program, const bool *single) {
  size_t loops = 0, without = 0;
  for (size_t i = 0; i < program->op_count; i++) {
    if (!is_doubled(program, &program->ops[i])) continue;
    loops++;
    without += single[i];
  }
  if (!without) return;
  hct_remark(program->pass->diags, (hct_loc){0}, "SRAM has no room for double buffers in %zu of %zu loops over micro-batches: transfers of one micro-batch do not run beside the work of another there", without, loops);
}

hct_status chiplet_allocate(chiplet_program *program) {
  chiplet_buffer *once = HCT_NEW_ARRAY(program->arena, chiplet_buffer, program->buffers.count + 1);
  bool *single = HCT_NEW_ARRAY(program->arena, bool, program->op_count + 1);
  const chiplet_buffer *without_place;
  int64_t needed;
  size_t worst = 0;
  extend_over_loops(program, program->ops, program->op_count);
  if (program->buffers.count) memcpy(once, program->buffers.items, program->buffers.count * sizeof *once);
  for (int tries = 1;; tries++) {
    twin_dma_buffers(program, single);
    if (allocate_joined(program, &needed, &worst, &without_place)) break;
    if (!single_choose(program, worst, tries == DOUBLINGS, single)) return chiplet_refuse_sram(program, needed, without_place);
    if (program->buffers.count) memcpy(program->buffers.items, once, program->buffers.count * sizeof *once);
  }
  single_remark(program, single);
  return HCT_OK;
}
