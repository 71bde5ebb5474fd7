#include <stdlib.h>
#include <string.h>

#include "ir/timing/machine_internal.h"

/* ---- writing: what is read back is read in the same order ---- */
static void put(machine *m, words *w, uint64_t word) { HCT_PUSH(m->arena, w, word); }

size_t state_base(const machine *m) { return m->dies[0].sequencer.position; }

/* Instructions by their distance from `base`; NULL: the end, or none. */
static void put_instr(machine *m, words *w, size_t base, uint32_t instr) { put(m, w, instr == NO_INSTR ? (uint64_t)INT64_MAX : (uint64_t)instr - base); }

static void put_die(machine *m, words *w, const die *d, size_t base) {
  put(m, w, (uint64_t)d->sequencer.position - base);
  put_instr(m, w, base, d->started);
  put(m, w, d->ahead_count);
  for (uint32_t i = 0; i < d->ahead_count; i++) put_instr(m, w, base, d->ahead[(d->ahead_head + i) % AHEAD]);
  put(m, w, !d->halted && d->issue_ps >= m->now_ps ? (uint64_t)(d->issue_ps - m->now_ps) : UINT64_MAX - d->halted);
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) {
    put(m, w, (uint64_t)d->engines[e].count << 1 | (d->running >> e & 1));
    for (uint32_t i = 0; i < d->engines[e].count; i++) put_instr(m, w, base, d->queues[queue_at(m, d, e, i)]);
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
  size_t most = event_queue_list(&m->events, NULL);
  if (most > m->listed_capacity) {
    m->listed_capacity = most * 2;
    m->listed = HCT_NEW_ARRAY(m->arena, event, m->listed_capacity);
  }
  size_t all = event_queue_list(&m->events, m->listed), count = 0;
  for (size_t i = 0; i < all; i++)
    if (event_engine(&m->listed[i]) != HCT_ENGINE_COUNT) m->listed[count++] = m->listed[i];
  if (count) qsort(m->listed, count, sizeof *m->listed, by_event);
  put(m, w, count);
  for (size_t i = 0; i < count; i++) {
    put(m, w, (uint64_t)(m->listed[i].time_ps - m->now_ps));
    put(m, w, m->listed[i].place);
  }
}

typedef struct noc_words { machine *machine; words *into; } noc_words;
static void put_noc(void *user, uint64_t word) {
  noc_words *n = user;
  put(n->machine, n->into, word);
}

void state_write(machine *m, words *out_state) {
  size_t base = state_base(m);
  out_state->count = 0;
  /* How far ahead a sequencer has been read is part of the words: as far as one that has just been planned. */
  for (size_t d = 0; d < m->die_count; d++) machine_catch_up(m, d);
  for (size_t d = 1; d < m->die_count; d++) machine_plan(m, d);
  for (size_t d = 0; d < m->die_count; d++) put_die(m, out_state, &m->dies[d], base);
  put_events(m, out_state);
  hct_noc_state(&m->noc, m->now_ps, put_noc, &(noc_words){m, out_state});
}

/* ---- reading ---- */
typedef struct cursor { const uint64_t *at; } cursor;
static uint64_t get(void *user) {
  cursor *c = user;
  return *c->at++;
}

static uint32_t get_instr(cursor *c, size_t base) {
  uint64_t distance = get(c);
  return distance == (uint64_t)INT64_MAX ? NO_INSTR : (uint32_t)(base + distance);
}

static void get_queue(const machine *m, die *d, cursor *c, size_t base, int number) {
  uint64_t word = get(c);
  engine *e = &d->engines[number];
  e->first = 0, e->count = (uint16_t)(word >> 1);
  if (word & 1) d->running = (uint16_t)(d->running | 1u << number);
  for (uint32_t i = 0; i < e->count; i++) d->queues[queue_at(m, d, number, i)] = get_instr(c, base);
  if (!e->count) return;
  d->filled = (uint16_t)(d->filled | 1u << number);
  e->head = d->queues[queue_at(m, d, number, 0)];
}

static void get_die(machine *m, die *d, cursor *c, size_t base) {
  d->sequencer.position = (size_t)(get(c) + base);
  d->started = get_instr(c, base);
  d->source = d->booked_source = d->started == NO_INSTR ? 0 : d->code[d->started].source;
  d->ahead_head = 0, d->ahead_count = (uint8_t)get(c);
  for (uint32_t i = 0; i < d->ahead_count; i++) {
    d->ahead[i] = get_instr(c, base);
    if (d->ahead[i] != NO_INSTR) d->ahead_engines[i] = d->code[d->ahead[i]].engine;
  }
  uint64_t issue = get(c);
  d->halted = issue == UINT64_MAX - 1;
  d->issue_ps = issue >= UINT64_MAX - 1 ? m->now_ps - m->cycle_ps : m->now_ps + (int64_t)issue;
  d->wake_ps = INT64_MAX;
  d->accounted_ps = m->now_ps;
  d->filled = d->running = d->waiting = 0;
  d->stalled = HCT_ENGINE_SEQ, d->joining = 0;
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) get_queue(m, d, c, base, e);
  d->doing = (uint8_t)die_activity(d);
  for (unsigned s = 0; s < HCT_SEMAPHORES; s++) d->semaphores[s] = 0;
  for (uint64_t word; (word = get(c)) != UINT64_MAX;) d->semaphores[word >> 32] = (int32_t)(uint32_t)word;
}

void state_restore(machine *m, const words *state, size_t base) {
  cursor c = {state->items};
  event_queue_clear(&m->events, m->now_ps);
  for (size_t d = 0; d < m->die_count; d++) get_die(m, &m->dies[d], &c, base);
  for (uint64_t count = get(&c); count; count--) {
    int64_t time_ps = m->now_ps + (int64_t)get(&c);
    event_push(&m->events, (event){time_ps, (uint32_t)get(&c)});
  }
  hct_noc_restore(&m->noc, m->now_ps, get, &c);
  for (size_t d = 1; d < m->die_count; d++) machine_plan(m, d);
  HCT_BUG_ON(c.at != state->items + state->count, "a state is not read as it was written");
}
