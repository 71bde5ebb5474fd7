/* No two unordered accesses of one die to the same bytes of which one writes (isa.md, "Verifier"), by vector clocks over the die's engines:
 * an engine completes in order; a wait happens after the signals that it cannot do without; a fence happens after everything issued.
 *
 * A semaphore must have one engine that waits on it, and besides that engine itself one that signals it: then the k-th token taken by an
 * engine that has put n there itself happens after the (k - n)-th signal of the other.
 *
 * A loop whose iterations are at the same bytes of SRAM, or at two sets of them in turn, is followed for LOOP_LIMIT iterations: bodies leave
 * every semaphore as they found it, so that later iterations stand to each other as these do.
 *
 * What has been touched is kept as places: the bytes that an operand walks, exactly, with the latest instruction of each engine that read and
 * that wrote them. Whether two places have a byte in common is looked at only where nothing orders their instructions. A place is dropped
 * once it is written over, or once every engine knows all its instructions to be complete: none can be unordered with it any more. */
#include <string.h>

#include "ir/isa/sequencer.h"
#include "ir/isa/verify.h"
#include "ir/support/spans.h"

enum { LOOP_LIMIT = 4, SWEEP_AFTER = 256 };

typedef struct vector_clock { uint32_t at[HCT_ENGINE_COUNT]; } vector_clock; /* instructions of each engine known to be complete */
typedef struct token_list { vector_clock *items; size_t count, capacity; } token_list;
typedef struct token_queue {
  int waiter, signaller; /* engines; -1: none yet */
  size_t waits, own;     /* tokens taken; tokens put by the waiter itself */
  token_list signals;
} token_queue;
typedef struct walk { int64_t base, shape[HCT_MAX_DIMS], stride[HCT_MAX_DIMS], run; } walk; /* bytes; `run` at each point; strides are positive */
typedef struct place {
  hct_span span;      /* from its first byte to its last */
  walk walk;
  uint32_t latest[HCT_ENGINE_COUNT][2]; /* reads, writes; numbers count from 1, 0: none */
  unsigned engines;   /* bit e: latest[e] holds something */
  struct place *next; /* among those not in use */
} place;

typedef struct race_check {
  hct_diags *diags;
  hct_arena *arena;
  const hct_image *image;
  hct_die_state die;
  hct_spans places[2]; /* by hct_space, of memory */
  place *unused;
  size_t sweep_at;     /* places at which those that are done with are looked for */
  unsigned engines;    /* bit e: the stream uses engine e */
  vector_clock clocks[HCT_ENGINE_COUNT];
  uint32_t issued[HCT_ENGINE_COUNT];
  token_queue semaphores[HCT_SEMAPHORES];
  hct_status status;
} race_check;

static void join(vector_clock *into, const vector_clock *from) {
  for (int e = 0; e < HCT_ENGINE_COUNT; e++)
    if (from->at[e] > into->at[e]) into->at[e] = from->at[e];
}

static void race(race_check *c, const hct_instr *instr, const char *what, int engine) {
  if (c->status != HCT_OK) return;
  char where[64];
  hct_text line = {0};
  snprintf(where, sizeof where, "die %lld,%lld", (long long)c->die.row, (long long)c->die.col);
  c->status = hct_error(c->diags, HCT_E_VERIFY, (hct_loc){.file = where}, "an instruction of %s %s %s, and nothing orders them", hct_engine_name((hct_engine)instr->engine), what, hct_engine_name((hct_engine)engine));
  hct_instr_print(instr, &line);
  hct_note(c->diags, "'%s'", line.data);
  if (instr->source < c->image->source_count && c->image->sources[instr->source].location[0]) hct_note(c->diags, "from %s", c->image->sources[instr->source].location);
  hct_text_fini(&line);
}

/* ---- semaphores ---- */
static void shared_semaphore(race_check *c, const hct_instr *instr, int semaphore, const char *what) {
  hct_text line = {0};
  if (c->status == HCT_OK) c->status = hct_error(c->diags, HCT_E_VERIFY, (hct_loc){0}, "semaphore %d has two engines that %s: whose token is taken is not certain", semaphore, what);
  hct_instr_print(instr, &line);
  hct_note(c->diags, "'%s'", line.data);
  hct_text_fini(&line);
}

static void put(race_check *c, const hct_instr *instr, const hct_sync *sync, const vector_clock *now) {
  token_queue *s = &c->semaphores[sync->semaphore];
  if (s->waiter == instr->engine) {
    s->own += sync->count;
    return;
  }
  if (s->signaller != -1 && s->signaller != instr->engine) shared_semaphore(c, instr, sync->semaphore, "signal it");
  s->signaller = instr->engine;
  for (int i = 0; i < sync->count; i++) HCT_PUSH(c->arena, &s->signals, *now);
}

/* Signals are looked for in order of issue; one that is issued only later (no compiler of ours does) orders nothing. */
static void take(race_check *c, const hct_sync *sync, vector_clock *now) {
  token_queue *s = &c->semaphores[sync->semaphore];
  s->waits += sync->count;
  if (s->waits > s->own && s->waits - s->own <= s->signals.count) join(now, &s->signals.items[s->waits - s->own - 1]);
}

static void waiters_find(race_check *c, const hct_stream *stream) {
  for (size_t i = 0; i < stream->count; i++) c->engines |= 1u << stream->items[i].engine;
  for (int s = 0; s < HCT_SEMAPHORES; s++) c->semaphores[s] = (token_queue){.waiter = -1, .signaller = -1};
  for (size_t i = 0; i < stream->count; i++)
    for (int k = 0; k < stream->items[i].wait_count; k++) {
      token_queue *s = &c->semaphores[stream->items[i].waits[k].semaphore];
      if (s->waiter != -1 && s->waiter != stream->items[i].engine) shared_semaphore(c, &stream->items[i], stream->items[i].waits[k].semaphore, "wait on it");
      s->waiter = stream->items[i].engine;
    }
}

/* ---- accesses ---- */
/* Dims that do not move are one; the innermost dense one becomes the run. False: nothing is touched. */
static bool walk_make(const hct_instr *instr, const hct_opcode_info *info, int view, const hct_die_state *die, walk *out_walk) {
  walk w = {.base = hct_addr_evaluate(&instr->views[view].addr, die), .shape = {1, 1, 1, 1}, .run = hct_opcode_run(instr->opcode, view) * (int64_t)hct_dtype_bytes(instr->views[view].dtype)};
  bool table = (instr->opcode == HCT_OP_GATHER && view == 1) || (instr->opcode == HCT_OP_SCATTER && view == 0);
  for (int d = info->dims - 1; d >= 0; d--) {
    int64_t count = table && d == 0 ? hct_addr_evaluate(&instr->values[1], die) : instr->shape[d];
    int64_t stride = instr->views[view].stride[d] * (int64_t)hct_dtype_bytes(instr->views[view].dtype);
    if (count == 0) return false;
    if (stride < 0) w.base += (count - 1) * stride, stride = -stride;
    if (stride == 0 || count == 1) continue;
    if (stride == w.run) w.run *= count;
    else w.shape[d] = count, w.stride[d] = stride;
  }
  *out_walk = w;
  return true;
}

static hct_span walk_span(const walk *w) {
  hct_span span = {w->base, w->base + w->run};
  for (int d = 0; d < HCT_MAX_DIMS; d++) span.end += (w->shape[d] - 1) * w->stride[d];
  return span;
}

/* Whether the walk from dim `d` on, begun at `base`, meets the range: of each dim only the points from which it can are looked at. */
static bool walk_meets(const walk *w, int d, int64_t base, hct_span range) {
  while (d < HCT_MAX_DIMS && w->shape[d] == 1) d++;
  if (d == HCT_MAX_DIMS) return base < range.end && range.start < base + w->run;
  int64_t reach = w->run;
  for (int inner = d + 1; inner < HCT_MAX_DIMS; inner++) reach += (w->shape[inner] - 1) * w->stride[inner];
  int64_t first = range.start - base - reach < 0 ? 0 : (range.start - base - reach) / w->stride[d] + 1;
  for (int64_t i = first; i < w->shape[d] && base + i * w->stride[d] < range.end; i++)
    if (walk_meets(w, d + 1, base + i * w->stride[d], range)) return true;
  return false;
}

/* The bytes modulo `period` lie in [start, end), start below the period; dims that step by whole periods do not show. */
static hct_span walk_residues(const walk *w, int64_t period) {
  int64_t start = w->base % period, length = w->run;
  for (int d = 0; d < HCT_MAX_DIMS; d++)
    if (w->shape[d] > 1 && w->stride[d] % period) length += (w->shape[d] - 1) * w->stride[d];
  if (start < 0) start += period;
  return (hct_span){start, start + length};
}

/* Parts of rows, heads or lanes next to each other: by a stride of one of them, they never share a residue. */
static bool walks_interleave(const walk *a, const walk *b) {
  for (int d = 0; d < 2 * HCT_MAX_DIMS; d++) {
    const walk *w = d < HCT_MAX_DIMS ? a : b;
    if (w->shape[d % HCT_MAX_DIMS] == 1) continue;
    int64_t period = w->stride[d % HCT_MAX_DIMS];
    hct_span x = walk_residues(a, period), y = walk_residues(b, period);
    if (x.start > y.start) {
      hct_span later = x;
      x = y, y = later;
    }
    if (x.end <= y.start && y.end <= x.start + period) return true;
  }
  return false;
}

static int64_t walk_points(const walk *w) { return w->shape[0] * w->shape[1] * w->shape[2] * w->shape[3]; }

static bool walks_meet(const walk *a, const walk *b) {
  if (walks_interleave(a, b)) return false;
  if (walk_points(a) > walk_points(b)) {
    const walk *fewer = b;
    b = a, a = fewer;
  }
  for (int64_t i = 0; i < a->shape[0]; i++)
    for (int64_t j = 0; j < a->shape[1]; j++)
      for (int64_t k = 0; k < a->shape[2]; k++)
        for (int64_t l = 0; l < a->shape[3]; l++) {
          int64_t at = a->base + i * a->stride[0] + j * a->stride[1] + k * a->stride[2] + l * a->stride[3];
          if (walk_meets(b, 0, b->base, (hct_span){at, at + a->run})) return true;
        }
  return false;
}

static bool place_drop(void *user, hct_span *span) {
  race_check *c = user;
  place *p = (place *)span;
  p->next = c->unused;
  c->unused = p;
  return true;
}

/* All engines that the stream uses know the place's instructions to be complete. */
static bool place_drop_done(void *user, hct_span *span) {
  const race_check *c = user;
  const place *p = (const place *)span;
  for (int e = 0; e < HCT_ENGINE_COUNT; e++)
    for (int other = 0; other < HCT_ENGINE_COUNT; other++)
      if (other != e && (c->engines >> other & 1) && (p->latest[e][0] > c->clocks[other].at[e] || p->latest[e][1] > c->clocks[other].at[e])) return false;
  return place_drop(user, span);
}

static place *place_at(race_check *c, hct_spans *places, const walk *w, hct_span span) {
  hct_span_cursor cursor = {0};
  for (place *p; (p = (place *)hct_spans_next_equal(places, span, &cursor));)
    if (!memcmp(&p->walk, w, sizeof *w)) return p;
  if (places->count >= c->sweep_at) {
    hct_spans_drop(places, (hct_span){INT64_MIN, INT64_MAX}, place_drop_done, c);
    c->sweep_at = places->count * 2 > SWEEP_AFTER ? places->count * 2 : SWEEP_AFTER;
  }
  place *made = c->unused ? c->unused : HCT_NEW(c->arena, place);
  c->unused = made->next;
  *made = (place){.span = span, .walk = *w};
  hct_spans_add(c->arena, places, &made->span);
  return made;
}

/* With what instruction of engine `e` that has touched the place the present one is unordered: reads (0) or writes (1), or -1. */
static int unordered(const place *p, int e, bool write, const vector_clock *now) {
  if (p->latest[e][1] > now->at[e]) return 1;
  return write && p->latest[e][0] > now->at[e] ? 0 : -1;
}

static void access_view(race_check *c, const hct_instr *instr, const hct_opcode_info *info, int view, const vector_clock *now, uint32_t number) {
  static const char *const what[2][2] = {{"", "reads what is being written by"}, {"writes what is being read by", "writes what is being written by"}};
  if (info->views[view].space == HCT_SPACE_NUMBER) return;
  bool write = info->views[view].access != HCT_ACCESS_READ;
  hct_spans *places = &c->places[info->views[view].space];
  walk w;
  if (!walk_make(instr, info, view, &c->die, &w)) return;
  hct_span span = walk_span(&w);
  hct_span_cursor cursor = {0};
  for (place *p; (p = (place *)hct_spans_next(places, span, &cursor));)
    for (int e = 0; p->engines >> e; e++) {
      int other = e == instr->engine || !(p->engines >> e & 1) ? -1 : unordered(p, e, write, now);
      if (other >= 0 && walks_meet(&p->walk, &w)) race(c, instr, what[write][other], e);
    }
  if (write && w.run == span.end - span.start) hct_spans_drop(places, span, place_drop, c);
  place *own = place_at(c, places, &w, span);
  own->latest[instr->engine][write] = number;
  own->engines |= 1u << instr->engine;
}

static void step(race_check *c, const hct_instr *instr) {
  if (instr->opcode == HCT_OP_FENCE) {
    for (int e = 0; e < HCT_ENGINE_COUNT; e++) memcpy(c->clocks[e].at, c->issued, sizeof c->issued);
    for (int space = 0; space < 2; space++) hct_spans_drop(&c->places[space], (hct_span){INT64_MIN, INT64_MAX}, place_drop, c);
    return;
  }
  const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
  vector_clock *now = &c->clocks[instr->engine];
  for (int k = 0; k < instr->wait_count; k++) take(c, &instr->waits[k], now);
  uint32_t number = ++c->issued[instr->engine];
  for (int view = 0; view < info->view_count; view++) access_view(c, instr, info, view, now, number);
  now->at[instr->engine] = number;
  for (int k = 0; k < instr->signal_count; k++) put(c, instr, &instr->signals[k], now);
}

/* By instruction, LOOP_LIMIT for loops in whose iterations SRAM addresses alternate with period two, or not at all. Loops over ring steps and over parts of an operand are none. */
static uint8_t *loop_limits(hct_arena *arena, const hct_stream *stream) {
  uint8_t *limits = HCT_NEW_ARRAY(arena, uint8_t, stream->count + 1);
  size_t open[HCT_MAX_LOOPS] = {0};
  unsigned depth = 0;
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    if (instr->opcode == HCT_OP_LOOP && depth < HCT_MAX_LOOPS) open[depth++] = i, limits[i] = LOOP_LIMIT;
    if (instr->opcode == HCT_OP_END && depth) depth--;
    const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
    for (int v = 0; v < info->view_count; v++)
      for (int t = 0; info->views[v].space == HCT_SPACE_SRAM && t < instr->views[v].addr.term_count; t++) {
        const hct_term *term = &instr->views[v].addr.terms[t];
        bool alternates = term->kind == HCT_TERM_LOOP && term->size >= 1 && term->size <= 2;
        if (term->level < depth && !alternates) limits[open[term->level]] = 0;
      }
  }
  return limits;
}

/* Whether `die` is the first that runs its stream. */
static bool first_of_stream(const hct_image *image, size_t die) {
  for (size_t d = 0; d < die; d++)
    if (image->die_stream[d] == image->die_stream[die]) return false;
  return true;
}

static void run(race_check *c) {
  hct_sequencer sequencer;
  hct_sequencer_init(&sequencer, c->image, c->die.row, c->die.col);
  sequencer.limits = loop_limits(c->arena, sequencer.stream);
  waiters_find(c, sequencer.stream);
  for (const hct_instr *instr; c->status == HCT_OK && (instr = hct_sequencer_next(&sequencer));) {
    c->die = sequencer.state;
    step(c, instr);
  }
}

hct_status hct_verify_races(hct_diags *diags, const hct_image *image) {
  hct_status status = HCT_OK;
  for (size_t die = 0; die < (size_t)(image->rows * image->cols) && status == HCT_OK; die++) {
    if (!first_of_stream(image, die)) continue;
    race_check c = {.diags = diags, .arena = hct_arena_create(), .image = image, .sweep_at = SWEEP_AFTER,
                    .die = {.row = (int64_t)die / image->cols, .col = (int64_t)die % image->cols, .rows = image->rows, .cols = image->cols}};
    run(&c);
    status = c.status;
    hct_arena_destroy(c.arena);
  }
  return status;
}
