#include "ir/timing/estimate.h"

#include <math.h>
#include <string.h>

#include "ir/timing/rules.h"

enum { SETTLED = 16 }; /* iterations after which a loop's pace is taken as it is */

typedef struct times { int64_t *items; size_t count, capacity, head; } times;

typedef struct follower {
  hct_arena *arena;
  const hct_package *package;
  const hct_stream *stream;
  hct_die_state state;
  int64_t issue_ps, cycle_ps;              /* when the sequencer has issued what came before */
  int64_t free_ps[HCT_ENGINE_COUNT];       /* when the engine has completed all it was given */
  int64_t *window[HCT_ENGINE_COUNT];       /* completions of its last queue_depth instructions */
  size_t issued[HCT_ENGINE_COUNT];
  times tokens[HCT_SEMAPHORES];            /* when each token is put, in order */
  times sends[HCT_RING_COUNT];             /* when each send can begin */
  int64_t channel_free_ps;
  int64_t sharing;                         /* dies of the busiest channel */
  hct_estimate sum;                        /* counts of this die */
} follower;

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static void times_push(follower *f, times *t, int64_t at) {
  if (t->head > 1024 && t->head * 2 > t->count) { /* forget what was taken */
    memmove(t->items, t->items + t->head, (t->count - t->head) * sizeof *t->items);
    t->count -= t->head, t->head = 0;
  }
  HCT_PUSH(f->arena, t, at);
}

static int64_t times_take(times *t) { return t->head < t->count ? t->items[t->head++] : 0; }

static int64_t front(const follower *f) {
  int64_t at = f->issue_ps;
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) at = later(at, f->free_ps[e]);
  return at;
}

/* ---- one instruction ---- */
static int64_t begin(follower *f, const hct_instr *instr) {
  int engine = instr->engine;
  size_t depth = (size_t)f->package->queue_depth;
  f->issue_ps += f->cycle_ps;
  if (f->issued[engine] >= depth) f->issue_ps = later(f->issue_ps, f->window[engine][f->issued[engine] % depth]);
  int64_t at = later(f->issue_ps, f->free_ps[engine]);
  for (int k = 0; k < instr->wait_count; k++)
    for (int i = 0; i < instr->waits[k].count; i++) at = later(at, times_take(&f->tokens[instr->waits[k].semaphore]));
  return at;
}

static void finish(follower *f, const hct_instr *instr, int64_t at) {
  int engine = instr->engine;
  f->free_ps[engine] = at;
  f->window[engine][f->issued[engine]++ % (size_t)f->package->queue_depth] = at;
  for (int k = 0; k < instr->signal_count; k++)
    for (int i = 0; i < instr->signals[k].count; i++) times_push(f, &f->tokens[instr->signals[k].semaphore], at);
}

static int64_t message_ps(const follower *f, const hct_instr *instr) {
  const hct_package *p = f->package;
  int64_t dies = hct_ring_size((hct_ring)instr->ring, f->state.rows, f->state.cols);
  bool folded = instr->ring == HCT_RING_ROW || instr->ring == HCT_RING_COL || f->state.rows == 1 || f->state.cols == 1;
  return hct_ps_of_seconds((double)hct_view_bytes(instr, 0) / p->link_bandwidth_bytes_per_s + p->link_latency_s + (folded && dies > 2 ? p->link_bypass_latency_s : 0));
}

static void follow_instr(follower *f, const hct_instr *instr) {
  int64_t at = begin(f, instr);
  switch (instr->opcode) {
    case HCT_OP_SEND: /* it leaves with the receive of the same number, which comes later in the stream */
      times_push(f, &f->sends[instr->ring], at);
      finish(f, instr, at);
      return;
    case HCT_OP_RECV:
    case HCT_OP_RECVR: {
      int send = instr->engine - 1;
      at = later(at, times_take(&f->sends[instr->ring])) + message_ps(f, instr);
      f->free_ps[send] = later(f->free_ps[send], at);
      break;
    }
    case HCT_OP_LD:
    case HCT_OP_ST: {
      const hct_package *p = f->package;
      int64_t bytes = hct_view_bytes(instr, instr->opcode == HCT_OP_LD ? 1 : 0);
      at = later(at, f->channel_free_ps) + hct_ps_of_seconds((double)(bytes * f->sharing) / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency));
      f->channel_free_ps = at;
      at += hct_ps_of_seconds(p->dram_latency_s);
      if (instr->opcode == HCT_OP_LD) f->sum.dram_read_bytes += (uint64_t)bytes;
      else f->sum.dram_write_bytes += (uint64_t)bytes;
      break;
    }
    default: at += hct_instr_ps(f->package, instr);
  }
  finish(f, instr, at);
}

/* ---- loops ---- */
static void shift_times(times *t, int64_t by) {
  for (size_t i = t->head; i < t->count; i++) t->items[i] += by;
}

/* As after `count` more iterations that each take `pace` and count what the last one did. */
static void leap(follower *f, int64_t pace, int64_t count, const hct_estimate *before) {
  int64_t by = pace * count;
  f->issue_ps += by;
  f->channel_free_ps += by;
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) {
    f->free_ps[e] += by;
    for (int64_t i = 0; i < f->package->queue_depth; i++) f->window[e][i] += by;
  }
  for (int s = 0; s < HCT_SEMAPHORES; s++) shift_times(&f->tokens[s], by);
  for (int r = 0; r < HCT_RING_COUNT; r++) shift_times(&f->sends[r], by);
  f->sum.dram_read_bytes += (f->sum.dram_read_bytes - before->dram_read_bytes) * (uint64_t)count;
  f->sum.dram_write_bytes += (f->sum.dram_write_bytes - before->dram_write_bytes) * (uint64_t)count;
}

/* From `at` to the HALT, or the END of the loop it is in; returns the position after it. */
static size_t follow(follower *f, size_t at, unsigned depth) {
  while (at < f->stream->count) {
    const hct_instr *instr = &f->stream->items[at++];
    if (instr->opcode == HCT_OP_HALT || instr->opcode == HCT_OP_END) return at;
    if (instr->opcode == HCT_OP_FENCE) {
      f->issue_ps = front(f);
    } else if (instr->opcode == HCT_OP_LOOP) {
      int64_t trips = hct_addr_evaluate(&instr->values[0], &f->state), last = -1;
      size_t body = at, after = at;
      unsigned nested = 1;
      while (after < f->stream->count && nested) {
        uint8_t opcode = f->stream->items[after++].opcode;
        if (opcode == HCT_OP_LOOP) nested++;
        if (opcode == HCT_OP_END) nested--;
      }
      for (int64_t i = 0; i < trips && depth < HCT_MAX_LOOPS; i++) {
        hct_estimate before = f->sum;
        int64_t start = front(f);
        f->state.counter[depth] = i;
        follow(f, body, depth + 1);
        int64_t pace = front(f) - start;
        if (i + 1 < trips && ((i >= 2 && pace == last) || i + 1 >= SETTLED)) {
          leap(f, pace, trips - 1 - i, &before);
          break;
        }
        last = pace;
      }
      if (depth < HCT_MAX_LOOPS) f->state.counter[depth] = 0;
      at = after;
    } else {
      follow_instr(f, instr);
    }
  }
  return at;
}

static int64_t dies_of_busiest_channel(const hct_package *package) {
  hct_arena *arena = hct_arena_create();
  int64_t *dies = HCT_NEW_ARRAY(arena, int64_t, (size_t)package->dram_channels), most = 1;
  for (int64_t row = 0; row < package->rows; row++)
    for (int64_t col = 0; col < package->cols; col++) most = later(most, ++dies[hct_package_home_channel(package, row, col)]);
  hct_arena_destroy(arena);
  return most;
}

hct_estimate hct_image_estimate(const hct_image *image, const hct_package *package) {
  hct_estimate total = {0};
  int64_t sharing = dies_of_busiest_channel(package);
  size_t dies = (size_t)(image->rows * image->cols);
  for (size_t s = 0; s < image->stream_count; s++) {
    size_t users = 0, first = 0;
    for (size_t d = dies; d-- > 0;)
      if (image->die_stream[d] == s) users++, first = d;
    if (!users) continue;
    follower f = {.arena = hct_arena_create(), .package = package, .stream = &image->streams[s], .cycle_ps = hct_ps_of_cycles(package, 1), .sharing = sharing,
                  .state = {.row = (int64_t)first / image->cols, .col = (int64_t)first % image->cols, .rows = image->rows, .cols = image->cols}};
    for (int e = 0; e < HCT_ENGINE_COUNT; e++) f.window[e] = HCT_NEW_ARRAY(f.arena, int64_t, (size_t)package->queue_depth);
    follow(&f, 0, 0);
    double seconds = (double)front(&f) * 1e-12;
    if (seconds > total.step_s) total.step_s = seconds;
    total.dram_read_bytes += f.sum.dram_read_bytes * users;
    total.dram_write_bytes += f.sum.dram_write_bytes * users;
    hct_arena_destroy(f.arena);
  }
  return total;
}
