/* No two unordered accesses of one die to the same bytes of which one writes (isa.md, "Verifier"), by vector clocks over the die's engines:
 * an engine completes in order; a wait happens after the signals that it cannot do without; a fence happens after everything issued.
 *
 * A semaphore must have one engine that waits on it, and besides that engine itself one that signals it: then the k-th token taken by an
 * engine that has put n there itself happens after the (k - n)-th signal of the other.
 *
 * An outermost loop is followed for LOOP_LIMIT iterations: bodies leave every semaphore as they found it, and bytes that alternate do so
 * with period two (checked here), so that later iterations stand to each other as these do. */
#include <string.h>

#include "ir/isa/sequencer.h"
#include "ir/isa/verify.h"

enum { LOOP_LIMIT = 4 };

typedef struct vector_clock { uint32_t at[HCT_ENGINE_COUNT]; } vector_clock; /* instructions of each engine known to be complete */
typedef struct token_list { vector_clock *items; size_t count, capacity; } token_list;
typedef struct token_queue {
  int waiter, signaller; /* engines; -1: none yet */
  size_t waits, own;     /* tokens taken; tokens put by the waiter itself */
  token_list signals;
} token_queue;
typedef struct shadow { /* of one granule; numbers count from 1, 0: none */
  uint8_t writer;
  uint32_t write, read[HCT_ENGINE_COUNT];
} shadow;

typedef struct race_check {
  hct_diags *diags;
  hct_arena *arena;
  const hct_image *image;
  hct_die_state die;
  shadow *memory[2]; /* by hct_space */
  int64_t granule[2], granules[2];
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
  for (int s = 0; s < HCT_SEMAPHORES; s++) c->semaphores[s] = (token_queue){.waiter = -1, .signaller = -1};
  for (size_t i = 0; i < stream->count; i++)
    for (int k = 0; k < stream->items[i].wait_count; k++) {
      token_queue *s = &c->semaphores[stream->items[i].waits[k].semaphore];
      if (s->waiter != -1 && s->waiter != stream->items[i].engine) shared_semaphore(c, &stream->items[i], stream->items[i].waits[k].semaphore, "wait on it");
      s->waiter = stream->items[i].engine;
    }
}

/* ---- accesses ---- */
static void touch(race_check *c, const hct_instr *instr, const hct_view_info *info, int64_t at, int64_t bytes, const vector_clock *now, uint32_t number) {
  int engine = instr->engine;
  bool write = info->access != HCT_ACCESS_READ;
  int64_t granule = c->granule[info->space], first = at / granule, last = (at + bytes - 1) / granule;
  for (int64_t g = first; g <= last && g < c->granules[info->space]; g++) {
    shadow *s = &c->memory[info->space][g];
    if (s->write && s->writer != engine && s->write > now->at[s->writer]) race(c, instr, write ? "writes what is being written by" : "reads what is being written by", s->writer);
    for (int e = 0; write && e < HCT_ENGINE_COUNT; e++)
      if (e != engine && s->read[e] > now->at[e]) race(c, instr, "writes what is being read by", e);
    if (write) s->writer = (uint8_t)engine, s->write = number;
    else s->read[engine] = number;
  }
}

typedef struct walk { int64_t base, shape[HCT_MAX_DIMS], stride[HCT_MAX_DIMS], run; } walk; /* bytes; `run` at each point */

/* Dims that do not move are one; the innermost dense one becomes the run. False: nothing is touched. */
static bool walk_make(const hct_instr *instr, const hct_opcode_info *info, int view, const hct_die_state *die, walk *out_walk) {
  walk w = {.base = hct_addr_evaluate(&instr->views[view].addr, die), .shape = {1, 1, 1, 1}, .run = (int64_t)hct_dtype_bytes(instr->views[view].dtype)};
  bool table = (instr->opcode == HCT_OP_GATHER && view == 1) || (instr->opcode == HCT_OP_SCATTER && view == 0);
  for (int d = info->dims - 1; d >= 0; d--) {
    int64_t count = table && d == 0 ? hct_addr_evaluate(&instr->values[1], die) : instr->shape[d];
    int64_t stride = instr->views[view].stride[d] * (int64_t)hct_dtype_bytes(instr->views[view].dtype);
    if (count == 0) return false;
    if (stride == 0) continue;
    if (stride == w.run) w.run *= count;
    else w.shape[d] = count, w.stride[d] = stride;
  }
  *out_walk = w;
  return true;
}

static void access_view(race_check *c, const hct_instr *instr, const hct_opcode_info *info, int view, const vector_clock *now, uint32_t number) {
  walk w;
  if (!walk_make(instr, info, view, &c->die, &w)) return;
  for (int64_t i = 0; i < w.shape[0]; i++)
    for (int64_t j = 0; j < w.shape[1]; j++)
      for (int64_t k = 0; k < w.shape[2]; k++)
        for (int64_t l = 0; l < w.shape[3]; l++) touch(c, instr, &info->views[view], w.base + i * w.stride[0] + j * w.stride[1] + k * w.stride[2] + l * w.stride[3], w.run, now, number);
}

static void step(race_check *c, const hct_instr *instr) {
  if (instr->opcode == HCT_OP_FENCE) {
    for (int e = 0; e < HCT_ENGINE_COUNT; e++) memcpy(c->clocks[e].at, c->issued, sizeof c->issued);
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

/* ---- how finely memory is looked at: no two accesses share a granule without sharing a byte ---- */
static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b, b = rest;
  }
  return a < 0 ? -a : a;
}

static void granules_find(const hct_image *image, int64_t out_granule[2], bool *out_periodic) {
  out_granule[0] = out_granule[1] = 64;
  *out_periodic = true;
  for (size_t s = 0; s < image->stream_count; s++)
    for (size_t i = 0; i < image->streams[s].count; i++) {
      const hct_instr *instr = &image->streams[s].items[i];
      const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
      for (int v = 0; v < info->view_count; v++) {
        const hct_view *view = &instr->views[v];
        int64_t *granule = &out_granule[info->views[v].space], size = (int64_t)hct_dtype_bytes(view->dtype);
        bool dram = info->views[v].space == HCT_SPACE_DRAM, dense = dram && view->stride[3] == 1 && instr->shape[0] == 1 && instr->shape[1] == 1 && instr->shape[2] == 1;
        *granule = gcd(*granule, view->addr.base);
        if (!dense) *granule = gcd(*granule, size);
        for (int t = 0; t < view->addr.term_count; t++) {
          const hct_term *term = &view->addr.terms[t];
          *granule = gcd(*granule, term->stride);
          if (!dram && term->kind == HCT_TERM_LOOP && term->level == 0 && (term->size < 1 || term->size > 2)) *out_periodic = false;
        }
      }
    }
}

/* Whether `die` is the first that runs its stream. */
static bool first_of_stream(const hct_image *image, size_t die) {
  for (size_t d = 0; d < die; d++)
    if (image->die_stream[d] == image->die_stream[die]) return false;
  return true;
}

static void run(race_check *c, bool periodic) {
  hct_sequencer sequencer;
  hct_sequencer_init(&sequencer, c->image, c->die.row, c->die.col);
  if (periodic) sequencer.outer_limit = LOOP_LIMIT;
  waiters_find(c, sequencer.stream);
  for (const hct_instr *instr; c->status == HCT_OK && (instr = hct_sequencer_next(&sequencer));) {
    c->die = sequencer.state;
    step(c, instr);
  }
}

hct_status hct_verify_races(hct_diags *diags, const hct_image *image) {
  int64_t granule[2];
  bool periodic;
  granules_find(image, granule, &periodic);
  hct_status status = HCT_OK;
  int64_t bytes[2] = {image->sram_bytes_used, image->dram_bytes_used};
  size_t shadow_bytes = ((size_t)(bytes[0] / granule[0]) + (size_t)(bytes[1] / granule[1]) + 2) * sizeof(shadow);
  if (shadow_bytes > HCT_RACES_SHADOW_LIMIT) {
    hct_remark(diags, (hct_loc){0}, "that accesses are ordered is not proved for this image: it would take %zu MiB, over %d", shadow_bytes >> 20, HCT_RACES_SHADOW_LIMIT >> 20);
    return HCT_OK;
  }
  for (size_t die = 0; die < (size_t)(image->rows * image->cols) && status == HCT_OK; die++) {
    if (!first_of_stream(image, die)) continue;
    race_check c = {.diags = diags, .arena = hct_arena_create(), .image = image, .granule = {granule[0], granule[1]},
                    .die = {.row = (int64_t)die / image->cols, .col = (int64_t)die % image->cols, .rows = image->rows, .cols = image->cols}};
    for (int space = 0; space < 2; space++) {
      c.granules[space] = bytes[space] / granule[space] + 1;
      c.memory[space] = HCT_NEW_ARRAY(c.arena, shadow, (size_t)c.granules[space]);
    }
    run(&c, periodic);
    status = c.status;
    hct_arena_destroy(c.arena);
  }
  return status;
}
