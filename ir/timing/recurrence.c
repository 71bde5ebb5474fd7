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
  PATIENCE = 48,      /* iterations after which a loop that has not recurred is left alone */
};

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

struct recurrence {
  unsigned read_levels;  /* levels whose counter some trip count depends on: their iterations differ */
  loop_watch levels[HCT_MAX_LOOPS];
  words scratch;
};

/* ---- counts ---- */
static void count_span(machine *m, void *items, size_t bytes, size_t sources, size_t fields) {
  counts *c = &m->counts;
  HCT_BUG_ON(c->span_count == HCT_COUNT(c->spans) || bytes % sizeof(uint64_t), "counts");
  c->spans[c->span_count++] = (span){items, bytes / sizeof(uint64_t), sources, fields};
  c->total += bytes / sizeof(uint64_t);
}

void counts_keep(machine *m, uint64_t **kept) {
  if (!*kept) *kept = HCT_NEW_ARRAY(m->arena, uint64_t, m->counts.total + 1);
  uint64_t *into = *kept;
  for (size_t d = 0; d < m->die_count; d++) machine_account(m, d);
  for (size_t s = 0; s < m->counts.span_count; s++) {
    memcpy(into, m->counts.spans[s].items, m->counts.spans[s].count * sizeof *into);
    into += m->counts.spans[s].count;
  }
}

static void counts_repeat(machine *m, const uint64_t *from, uint64_t times) {
  for (size_t s = 0; s < m->counts.span_count; s++) {
    span *of = &m->counts.spans[s];
    for (size_t i = 0; i < of->count; i++) of->items[i] += times * (of->items[i] - from[i]);
    from += of->count;
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
  count_span(m, m->stats->dies, dies * sizeof *m->stats->dies, 0, 0);
  count_span(m, m->stats->sources, m->stats->die_count * m->stats->source_count * sizeof *m->stats->sources, m->stats->source_count, sizeof *m->stats->sources / sizeof(uint64_t));
  count_span(m, m->result.activity_ps, dies * sizeof *m->result.activity_ps, 0, 0);
  count_span(m, m->result.source_ps, (m->image->source_count + 1) * sizeof *m->result.source_ps, m->image->source_count + 1, 1);
  count_span(m, m->noc.link_busy_ps, m->link_count * sizeof *m->noc.link_busy_ps, 0, 0);
  count_span(m, m->noc.channel_busy_ps, (size_t)m->package->dram_channels * sizeof *m->noc.channel_busy_ps, 0, 0);
  count_span(m, &m->noc.link_bytes, sizeof m->noc.link_bytes, 0, 0);
  count_span(m, &m->noc.dram_transit_bytes, sizeof m->noc.dram_transit_bytes, 0, 0);
  r->read_levels = levels_read(m->image);
  return r;
}

/* ---- state ---- */
/* Counters of outer loops as they are: only iterations of one run of the loop are compared. */
static void loops_write(machine *m, unsigned level, int64_t iteration, words *w) {
  HCT_PUSH(m->arena, w, state_base(m));
  for (size_t d = 0; d < m->die_count; d++) {
    const hct_sequencer *s = &m->dies[d].sequencer;
    HCT_PUSH(m->arena, w, s->depth);
    for (unsigned l = 0; l < s->depth; l++) {
      HCT_PUSH(m->arena, w, s->loops[l].body);
      HCT_PUSH(m->arena, w, (uint64_t)(s->state.counter[l] - (l == level ? iteration : 0)));
    }
  }
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

uint64_t instructions_counted(const machine *m) {
  uint64_t sum = 0;
  for (size_t d = 0; d < m->die_count; d++) sum += m->stats->dies[d].instructions;
  return sum;
}

/* A period has passed since `from_ps`, when counts were `from`. */
static void skip(machine *m, unsigned level, int64_t period, int64_t from_ps, const uint64_t *from) {
  int64_t times = periods_left(m, level, period);
  if (times <= 0) return;
  int64_t by = times * (m->now_ps - from_ps);
  for (size_t d = 0; d < m->die_count; d++) machine_account(m, d);
  uint64_t before = instructions_counted(m);
  counts_repeat(m, from, (uint64_t)times);
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
  state_write(m, &now.state);
  loops_write(m, level, iteration, &now.state);
  now.checksum = hct_checksum(now.state.items, now.state.count * sizeof *now.state.items);
  if (watch->confirming) confirm_end(m, level, watch, &now);
  else compare(m, level, watch, &now);
  m->recurrence->scratch = now.state;
}

/* Of the loops `again`, those whose iterations are worth a look. */
static unsigned worth(const machine *m, unsigned again) {
  for (unsigned level = 0; level < HCT_MAX_LOOPS; level++)
    if ((again >> level & 1) && is_small(&m->dies[0].sequencer, level)) again &= ~(1u << level);
  return again;
}

void recurrence_look(machine *m, unsigned again) {
  again = worth(m, again);
  while (again) {
    bool known = m->memo && memo_arrive(m, again);
    for (unsigned level = 0; level < HCT_MAX_LOOPS; level++)
      if (again & ~m->recurrence->read_levels & 1u << level) look(m, level);
    if (!known || !memo_replay(m, &again)) return;
  }
}
