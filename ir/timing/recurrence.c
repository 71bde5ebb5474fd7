/* Iterations that recur. Each time the first die begins another iteration of a loop, the whole state is written down relative to the present
 * time and to the first die's counter of that loop: positions, queues, semaphores, events under way, how long links and channels stay taken.
 * Addresses are no part of it, since no time depends on them. Where a state is that of `period` iterations before, so will it be after every
 * further period until some die's loop ends: what one period added to each count is added for as many as are left, and all times are moved.
 * Counts take more memory than states and are kept of the last few iterations; of a longer period, one more is simulated from counts kept
 * at its start. Loops nest: what an inner loop skipped is part of the outer loop's iteration.
 *
 * With options->settle a loop is taken to repeat its last two iterations after that many, whether its state recurred or not, where all dies are in it. */
#include <stdlib.h>
#include <string.h>

#include "ir/timing/machine_internal.h"

enum {
  HISTORY = 32,        /* states kept, so the longest period */
  COUNTED = 4,         /* of those, with all counts */
  LEAST_BODY = 16,    /* shorter bodies (ring steps, nests of one operation) are simulated faster than compared */
  PATIENCE = 48,      /* iterations after which a loop that has not recurred is left alone */
};

typedef struct words { uint64_t *items; size_t count, capacity; } words;
typedef struct snapshot { words state; uint64_t checksum; int64_t iteration, now_ps; } snapshot;
typedef struct loop_watch {
  snapshot history[HISTORY];
  size_t seen;           /* iterations looked at since the loop began */
  uint64_t *counts[COUNTED]; /* of `history`, at the same place modulo COUNTED */
  bool confirming;       /* a period is being simulated once more, from `base` on */
  bool assumed;          /* its end is not compared */
  int64_t period;
  snapshot base;
  uint64_t *base_counts;
} loop_watch;

typedef struct span { uint64_t *items; size_t count; } span;
struct recurrence {
  span counts[8];        /* what adds up */
  size_t span_count, count_total;
  unsigned read_levels;  /* levels whose counter some trip count depends on: their iterations differ */
  loop_watch levels[HCT_MAX_LOOPS];
  words scratch;
  event *events;
  size_t event_capacity;
};

/* ---- counts ---- */
static void count_span(recurrence *r, void *items, size_t bytes) {
  HCT_BUG_ON(r->span_count == HCT_COUNT(r->counts) || bytes % sizeof(uint64_t), "counts");
  r->counts[r->span_count++] = (span){items, bytes / sizeof(uint64_t)};
  r->count_total += bytes / sizeof(uint64_t);
}

static void counts_keep(machine *m, uint64_t **counts) {
  const recurrence *r = m->recurrence;
  if (!*counts) *counts = HCT_NEW_ARRAY(m->arena, uint64_t, r->count_total + 1);
  uint64_t *into = *counts;
  for (size_t d = 0; d < m->die_count; d++) machine_account(m, d);
  for (size_t s = 0; s < r->span_count; s++) {
    memcpy(into, r->counts[s].items, r->counts[s].count * sizeof *into);
    into += r->counts[s].count;
  }
}

static void counts_repeat(const recurrence *r, const uint64_t *from, uint64_t times) {
  for (size_t s = 0; s < r->span_count; s++) {
    for (size_t i = 0; i < r->counts[s].count; i++) r->counts[s].items[i] += times * (r->counts[s].items[i] - from[i]);
    from += r->counts[s].count;
  }
}

static unsigned levels_read(const hct_image *image) {
  unsigned levels = 0;
  for (size_t s = 0; s < image->stream_count; s++)
    for (size_t i = 0; i < image->streams[s].count; i++) {
      const hct_instr *instr = &image->streams[s].items[i];
      for (int t = 0; instr->opcode == HCT_OP_LOOP && t < instr->values[0].term_count; t++)
        if (instr->values[0].terms[t].level < HCT_MAX_LOOPS) levels |= 1u << instr->values[0].terms[t].level;
    }
  return levels;
}

recurrence *recurrence_create(machine *m) {
  recurrence *r = HCT_NEW(m->arena, recurrence);
  size_t dies = m->die_count;
  count_span(r, m->stats->dies, dies * sizeof *m->stats->dies);
  count_span(r, m->stats->sources, dies * m->stats->source_count * sizeof *m->stats->sources);
  count_span(r, m->result.activity_ps, dies * sizeof *m->result.activity_ps);
  count_span(r, m->result.source_ps, (m->image->source_count + 1) * sizeof *m->result.source_ps);
  count_span(r, m->noc.link_busy_ps, m->link_count * sizeof *m->noc.link_busy_ps);
  count_span(r, m->noc.channel_busy_ps, (size_t)m->package->dram_channels * sizeof *m->noc.channel_busy_ps);
  count_span(r, &m->noc.link_bytes, sizeof m->noc.link_bytes);
  count_span(r, &m->noc.dram_transit_bytes, sizeof m->noc.dram_transit_bytes);
  r->read_levels = levels_read(m->image);
  return r;
}

/* ---- state ---- */
static void put(machine *m, words *w, uint64_t word) { HCT_PUSH(m->arena, w, word); }

/* Counters of outer loops as they are: only iterations of one run of the loop are compared. */
static void put_sequencer(machine *m, words *w, const hct_sequencer *s, unsigned level, int64_t iteration) {
  put(m, w, (uint64_t)(uintptr_t)s->stream);
  put(m, w, s->position);
  put(m, w, s->depth);
  for (unsigned l = 0; l < s->depth; l++) {
    put(m, w, s->loops[l].body);
    put(m, w, (uint64_t)(s->state.counter[l] - (l == level ? iteration : 0)));
  }
}

static void put_die(machine *m, words *w, const die *d, unsigned level, int64_t iteration) {
  put_sequencer(m, w, &d->sequencer, level, iteration);
  put(m, w, (uint64_t)d->ahead_count << 32 | d->source);
  for (uint32_t i = 0; i < d->ahead_count; i++) put(m, w, (uint64_t)(uintptr_t)d->ahead[(d->ahead_head + i) % AHEAD]);
  put(m, w, !d->halted && d->issue_ps >= m->now_ps ? (uint64_t)(d->issue_ps - m->now_ps) : UINT64_MAX - d->halted);
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) {
    const engine *queue = &d->engines[e];
    put(m, w, (uint64_t)queue->count << 1 | (d->running >> e & 1));
    for (uint32_t i = 0; i < queue->count; i++) put(m, w, (uint64_t)(uintptr_t)queue->queue[(queue->head + i) % (uint32_t)m->package->queue_depth]);
  }
  for (uint64_t s = 0; s < HCT_SEMAPHORES; s++)
    if (d->semaphores[s]) put(m, w, s << 32 | (uint32_t)d->semaphores[s]);
  put(m, w, UINT64_MAX);
}

static int by_event(const void *a, const void *b) {
  const event *x = a, *y = b;
  return event_before(x, y) ? -1 : event_before(y, x);
}

/* Completions. When sequencers issue follows from the rest. */
static void put_events(machine *m, words *w) {
  recurrence *r = m->recurrence;
  size_t most = event_queue_list(&m->events, NULL);
  if (most > r->event_capacity) {
    r->event_capacity = most * 2;
    r->events = HCT_NEW_ARRAY(m->arena, event, r->event_capacity);
  }
  size_t all = event_queue_list(&m->events, r->events), count = 0;
  for (size_t i = 0; i < all; i++)
    if (event_engine(&r->events[i]) != HCT_ENGINE_COUNT) r->events[count++] = r->events[i];
  if (count) qsort(r->events, count, sizeof *r->events, by_event);
  for (size_t i = 0; i < count; i++) {
    put(m, w, (uint64_t)(r->events[i].time_ps - m->now_ps));
    put(m, w, r->events[i].place);
  }
}

typedef struct noc_words { machine *machine; words *into; } noc_words;
static void put_noc(void *user, uint64_t word) {
  noc_words *n = user;
  put(n->machine, n->into, word);
}

static void state_write(machine *m, unsigned level, int64_t iteration, words *out_state) {
  out_state->count = 0;
  for (size_t d = 0; d < m->die_count; d++) machine_catch_up(m, d);
  for (size_t d = 0; d < m->die_count; d++) put_die(m, out_state, &m->dies[d], level, iteration);
  put_events(m, out_state);
  hct_noc_state(&m->noc, m->now_ps, put_noc, &(noc_words){m, out_state});
}

static bool state_same(const snapshot *a, const snapshot *b) {
  return a->checksum == b->checksum && a->state.count == b->state.count && memcmp(a->state.items, b->state.items, a->state.count * sizeof(uint64_t)) == 0;
}

static void snapshot_swap(snapshot *a, snapshot *b) {
  snapshot kept = *a;
  *a = *b;
  *b = kept;
}

/* ---- skipping ---- */
/* How many more periods every die's loop of this level surely goes on for. */
static int64_t periods_left(const machine *m, unsigned level, int64_t period) {
  int64_t least = INT64_MAX;
  for (size_t d = 0; d < m->die_count; d++) {
    const hct_sequencer *s = &m->dies[d].sequencer;
    if (s->depth <= level) continue;
    int64_t left = (s->loops[level].trips - 1 - s->state.counter[level]) / period;
    if (left < least) least = left;
  }
  return least;
}

static uint64_t instructions_counted(const machine *m) {
  uint64_t sum = 0;
  for (size_t d = 0; d < m->die_count; d++) sum += m->stats->dies[d].instructions;
  return sum;
}

/* A period has passed since `from_ps`, when counts were `counts`. */
static void skip(machine *m, unsigned level, int64_t period, int64_t from_ps, const uint64_t *counts) {
  int64_t times = periods_left(m, level, period);
  if (times <= 0) return;
  int64_t by = times * (m->now_ps - from_ps);
  for (size_t d = 0; d < m->die_count; d++) machine_account(m, d);
  uint64_t before = instructions_counted(m);
  counts_repeat(m->recurrence, counts, (uint64_t)times);
  m->result.skipped_instructions += instructions_counted(m) - before;
  m->now_ps += by;
  event_queue_shift(&m->events, by);
  hct_noc_shift(&m->noc, by);
  for (size_t d = 0; d < m->die_count; d++) {
    m->dies[d].accounted_ps += by, m->dies[d].issue_ps += by;
    if (m->dies[d].wake_ps != INT64_MAX) m->dies[d].wake_ps += by;
    if (m->dies[d].sequencer.depth > level) m->dies[d].sequencer.state.counter[level] += times * period;
  }
}

/* Dies that do not talk to each other drift apart: only where all are in one loop is what it is taken to repeat theirs. */
static bool all_inside(const machine *m, unsigned level) {
  const hct_sequencer *first = &m->dies[0].sequencer;
  for (size_t d = 1; d < m->die_count; d++) {
    const hct_sequencer *s = &m->dies[d].sequencer;
    if (s->depth <= level || s->loops[level].body != first->loops[level].body) return false;
  }
  return true;
}

static void confirm_begin(machine *m, loop_watch *watch, snapshot *now, int64_t period, bool assumed) {
  counts_keep(m, &watch->base_counts);
  watch->confirming = true, watch->assumed = assumed;
  watch->period = period;
  snapshot_swap(&watch->base, now);
}

static void confirm_end(machine *m, unsigned level, loop_watch *watch, const snapshot *now) {
  watch->confirming = false;
  if (watch->assumed ? !all_inside(m, level) : !state_same(&watch->base, now)) return;
  skip(m, level, watch->period, watch->base.now_ps, watch->base_counts);
  watch->seen = PATIENCE; /* less than a period is left */
}

/* How many states before `now` it was the same; 0: it was not. */
static size_t recurred(const loop_watch *watch, const snapshot *now) {
  for (size_t back = 1; back <= watch->seen && back <= HISTORY; back++)
    if (state_same(&watch->history[(watch->seen - back) % HISTORY], now)) return back;
  return 0;
}

static void compare(machine *m, unsigned level, loop_watch *watch, snapshot *now) {
  size_t back = recurred(watch, now), past = watch->seen - back;
  int64_t period = back ? now->iteration - watch->history[past % HISTORY].iteration : 0;
  if (back && back <= COUNTED) {
    skip(m, level, period, watch->history[past % HISTORY].now_ps, watch->counts[past % COUNTED]);
    watch->seen = PATIENCE;
  } else if (back || (m->options->settle && now->iteration + 2 >= m->options->settle && all_inside(m, level))) {
    confirm_begin(m, watch, now, back ? period : 2, !back);
  } else {
    counts_keep(m, &watch->counts[watch->seen % COUNTED]);
    snapshot_swap(&watch->history[watch->seen++ % HISTORY], now);
  }
}

static bool is_small(const hct_sequencer *s, unsigned level) {
  size_t at = s->loops[level].body, length = 0;
  for (unsigned open = 1; open && length < LEAST_BODY && at < s->stream->count; at++, length++) {
    if (s->stream->items[at].opcode == HCT_OP_LOOP) open++;
    if (s->stream->items[at].opcode == HCT_OP_END) open--;
  }
  return length < LEAST_BODY;
}

static void look(machine *m, unsigned level) {
  loop_watch *watch = &m->recurrence->levels[level];
  const hct_sequencer *first = &m->dies[0].sequencer;
  int64_t iteration = first->state.counter[level];
  if (iteration == 1) watch->seen = 0, watch->confirming = false; /* another run of a loop */
  if (watch->seen >= PATIENCE || (watch->confirming && iteration != watch->base.iteration + watch->period)) return;
  snapshot now = {.state = m->recurrence->scratch, .iteration = iteration, .now_ps = m->now_ps};
  state_write(m, level, iteration, &now.state);
  now.checksum = hct_checksum(now.state.items, now.state.count * sizeof *now.state.items);
  if (watch->confirming) confirm_end(m, level, watch, &now);
  else compare(m, level, watch, &now);
  m->recurrence->scratch = now.state;
}

void recurrence_look(machine *m, unsigned again) {
  for (unsigned level = 0; level < HCT_MAX_LOOPS; level++)
    if ((again >> level & 1) && !(m->recurrence->read_levels >> level & 1) && !is_small(&m->dies[0].sequencer, level)) look(m, level);
}
