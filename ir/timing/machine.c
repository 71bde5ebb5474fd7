#include <stdlib.h>
#include <string.h>

#include "ir/timing/machine_internal.h"
#include "ir/timing/rules.h"

/* 1, or with --jitter a factor from 1 to 2 (xorshift64*). */
static double stretch(machine *m) {
  if (!m->options->jitter) return 1;
  m->random ^= m->random >> 12;
  m->random ^= m->random << 25;
  m->random ^= m->random >> 27;
  return 1 + (double)((m->random * UINT64_C(2685821657736338717)) >> 40) / (double)(1 << 24);
}

/* ---- what a die is doing ---- */
static const hct_instr *instr_of(const die *d, uint32_t instr) { return &d->sequencer.stream->items[instr]; }

static void book(machine *m, size_t index) {
  die *d = &m->dies[index];
  int64_t passed = m->now_ps - d->accounted_ps;
  m->result.activity_ps[index][d->doing] += passed;
  m->result.source_ps[d->booked_source] += passed;
  d->accounted_ps = m->now_ps;
}

static void activity_change(machine *m, size_t index, hct_die_activity doing) {
  die *d = &m->dies[index];
  book(m, index);
  d->doing = (uint8_t)doing, d->booked_source = d->source;
}

/* The die may be doing something else from now on. */
static inline void activity_changes(machine *m, size_t index) {
  const die *d = &m->dies[index];
  hct_die_activity doing = die_activity(d);
  if (doing != d->doing || d->source != d->booked_source) activity_change(m, index, doing);
}

static void tally_count(machine *m, size_t index, engine *of) {
  const die *d = &m->dies[index];
  if (of->retired_times) hct_stats_add(m->stats, index, instr_of(d, of->retired), &d->code[of->retired].counts, of->retired_times);
  of->retired_times = 0;
}

void machine_account(machine *m, size_t index) {
  book(m, index);
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) tally_count(m, index, &m->dies[index].engines[e]);
  for (int ring = 0; ring < HCT_RING_COUNT; ring++) hct_noc_count_held(&m->noc, &m->paths[index * HCT_RING_COUNT + (size_t)ring]);
}

/* Steps of a ring, and tiles, are many of one instruction. */
static void tally_add(machine *m, size_t index, int engine_index) {
  engine *of = &m->dies[index].engines[engine_index];
  if (of->retired != of->head || of->retired_times == UINT16_MAX) {
    tally_count(m, index, of);
    of->retired = of->head;
  }
  of->retired_times++;
}

/* ---- rings ---- */
static size_t ring_neighbour(const machine *m, size_t index, hct_ring ring, int64_t steps) {
  int64_t rows = m->image->rows, cols = m->image->cols, row = (int64_t)index / cols, col = (int64_t)index % cols;
  return (size_t)hct_ring_die(ring, rows, cols, row, col, hct_ring_position(ring, rows, cols, row, col) + steps);
}
static size_t place_of(const machine *m, size_t index) { return m->options->classes ? m->options->classes->items[index].first : index; }

/* ---- starting ---- */
static const timed_instr *engine_head(const die *d, int engine_index) { return &d->code[d->engines[engine_index].head]; }

static bool waits_hold(die *d, int engine_index, const timed_instr *instr) {
  for (int i = 0; i < instr->wait_count; i++)
    if (d->semaphores[instr->waits[i].semaphore] < instr->waits[i].count) {
      d->engines[engine_index].blocked = instr->waits[i].semaphore;
      d->waiting = (uint16_t)(d->waiting | 1u << engine_index);
      return false;
    }
  d->waiting = (uint16_t)(d->waiting & ~(1u << engine_index));
  return true;
}

/* What the die does changes with it: the caller says so (activity_changes). */
static void begin(die *d, int engine_index, const timed_instr *instr) {
  for (int i = 0; i < instr->wait_count; i++) d->semaphores[instr->waits[i].semaphore] -= instr->waits[i].count;
  d->running = (uint16_t)(d->running | 1u << engine_index);
  d->source = instr->source;
  d->started = d->engines[engine_index].head;
}

static void complete_at(machine *m, size_t index, int engine_index, int64_t time_ps) {
  event_push(&m->events, event_at(time_ps, index, engine_index));
}

static bool is_transfer(const timed_instr *instr) { return instr->opcode == HCT_OP_SEND || instr->opcode == HCT_OP_RECV || instr->opcode == HCT_OP_RECVR; }

/* A message leaves when its send and its receive are both at the head of their queues. */
static void transfer_begin(machine *m, size_t sender, size_t receiver, hct_ring ring) {
  int send = HCT_ENGINE_SEND0 + 2 * (int)ring;
  die *from = &m->dies[sender], *to = &m->dies[receiver];
  const timed_instr *instr = engine_head(from, send);
  int64_t bytes = (int64_t)instr->counts.moved_bytes;
  uint64_t counted = m->noc.link_bytes;
  int64_t done = hct_noc_send_along(&m->noc, &m->paths[sender * HCT_RING_COUNT + ring], bytes, instr->ps, m->now_ps, stretch(m));
  if (m->options->classes) m->noc.link_bytes = counted + (uint64_t)(bytes * m->ring_links[ring] / (m->image->rows * m->image->cols)) * m->options->classes->items[sender].size;
  begin(from, send, instr);
  begin(to, send + 1, engine_head(to, send + 1));
  complete_at(m, sender, send, done); /* one event for both */
}

static bool transfer_ready(die *d, int engine_index, bool known) {
  unsigned bit = 1u << engine_index;
  if (!(d->filled & ~d->running & bit)) return false;
  if (known && d->waiting & bit && d->engines[engine_index].blocked != BY_PARTNER) return false;
  const timed_instr *instr = engine_head(d, engine_index);
  return waits_hold(d, engine_index, instr) && is_transfer(instr);
}

/* Of a die whose send, or receive, is ready. */
static void transfer_try(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  unsigned at = (unsigned)(engine_index - HCT_ENGINE_SEND0);
  bool sends = at % 2 == 0;
  hct_ring ring = (hct_ring)(at / 2);
  size_t other = sends ? d->next[ring] : d->previous[ring];
  if (!transfer_ready(&m->dies[other], sends ? engine_index + 1 : engine_index - 1, other != index)) {
    if (m->options->classes) return; /* what looks here may be another than what was looked at */
    d->engines[engine_index].blocked = BY_PARTNER;
    d->waiting = (uint16_t)(d->waiting | 1u << engine_index);
    return;
  }
  transfer_begin(m, sends ? index : other, sends ? other : index, ring);
  activity_changes(m, other);
}

/* When the engine's event is: with classes the end, else when to look at the access. */
static int64_t dram_start(machine *m, size_t index, bool load, int64_t bytes) {
  if (m->options->classes) return hct_noc_dram_alike(&m->noc, (int64_t)index, (int64_t)m->options->classes->items[index].size, bytes, m->now_ps);
  return hct_noc_dram_start(&m->noc, (int64_t)index, bytes, load, m->now_ps, stretch(m));
}

/* Whether a DRAM access is not done yet; it has its next event then. */
static bool dram_goes_on(machine *m, size_t index, int engine_index) {
  if (m->options->classes) return false;
  int64_t at = hct_noc_dram_look(&m->noc, (int64_t)index, engine_index == HCT_ENGINE_LOAD, m->now_ps, stretch(m));
  if (at >= 0) complete_at(m, index, engine_index, at);
  return at >= 0;
}

static bool is_dram(const timed_instr *instr) { return instr->opcode == HCT_OP_LD || instr->opcode == HCT_OP_ST; } /* a SYNC may have their engines */

/* The head of a queue, which is not running. What the die does may have changed then. */
static void start_try(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  const timed_instr *instr = engine_head(d, engine_index);
  if (!waits_hold(d, engine_index, instr)) return;
  if (is_transfer(instr)) {
    transfer_try(m, index, engine_index);
    return;
  }
  int64_t done;
  if (is_dram(instr)) done = dram_start(m, index, engine_index == HCT_ENGINE_LOAD, (int64_t)instr->counts.moved_bytes);
  else done = m->now_ps + (m->options->jitter ? (int64_t)((double)instr->ps * stretch(m)) : instr->ps);
  begin(d, engine_index, instr);
  complete_at(m, index, engine_index, done);
}

/* ---- the sequencer: one instruction a cycle, while queues have room ----
 * What joins a queue that is not empty changes nothing until something retires: only then is it caught up on. An event is needed only for what finds its queue empty. */
static void fetch(machine *m, size_t index) {
  die *d = &m->dies[index];
  uint32_t at = (uint32_t)(d->ahead_head + d->ahead_count++) % AHEAD;
  const hct_instr *instr = hct_sequencer_next(&d->sequencer);
  d->ahead[at] = instr ? (uint32_t)(d->sequencer.position - 1) : NO_INSTR;
  d->ahead_engines[at] = instr ? instr->engine : (uint8_t)HCT_ENGINE_SEQ;
  if (m->options->effects && instr && instr->opcode != HCT_OP_FENCE) hct_issue(instr, &d->sequencer.state, &d->ahead_issued[at]);
  if (index == 0 && m->recurrence) d->again = (uint16_t)(d->sequencer.again | (memo_landmark(m, d->ahead[at]) ? AT_LANDMARK : 0));
}

/* The first of `ahead` joins its queue. */
static void queue_push(machine *m, die *d) {
  uint32_t head = d->ahead_head, instr = d->ahead[head];
  int engine_index = d->ahead_engines[head];
  engine *e = &d->engines[engine_index];
  size_t at = queue_at(m, d, engine_index, e->count);
  d->queues[at] = instr;
  if (!e->count++) e->head = instr;
  if (m->options->effects) d->issued[at] = d->ahead_issued[head];
}

static void queue_pop(machine *m, die *d, int engine_index) {
  engine *e = &d->engines[engine_index];
  e->first = e->first + 1u == m->queue_depth ? 0 : (uint16_t)(e->first + 1);
  if (--e->count) e->head = d->queues[queue_at(m, d, engine_index, 0)];
  else d->filled = (uint16_t)(d->filled & ~(1u << engine_index));
}

static void ahead_advance(const machine *m, die *d) {
  d->issue_ps += m->cycle_ps;
  d->joining = (uint8_t)(d->joining - (d->joining > 0));
  d->ahead_head = (uint8_t)((d->ahead_head + 1) % AHEAD);
  d->ahead_count--;
}

/* Issues the first instruction; false: it cannot be issued. One that finds its queue empty is to be issued now. */
static bool issue(machine *m, size_t index) {
  die *d = &m->dies[index];
  int engine_index = d->ahead_engines[d->ahead_head];
  if (engine_index == HCT_ENGINE_SEQ) {
    d->halted = d->ahead[d->ahead_head] == NO_INSTR;
    if (d->halted || d->filled) return false;
    ahead_advance(m, d);
    return true;
  }
  if (d->engines[engine_index].count == m->queue_depth) return false;
  unsigned bit = 1u << engine_index, starts = bit & ~(unsigned)d->filled;
  queue_push(m, d);
  ahead_advance(m, d);
  if (!starts) return true;
  d->filled = (uint16_t)(d->filled | bit);
  start_try(m, index, engine_index);
  activity_changes(m, index);
  return true;
}

void machine_catch_up(machine *m, size_t index) {
  die *d = &m->dies[index];
  for (; d->joining && issue_passed(m, index); ahead_advance(m, d)) queue_push(m, d);
  if (d->stalled != HCT_ENGINE_SEQ) return;
  while (!d->halted && issue_passed(m, index))
    if (!issue(m, index)) return;
}

/* Whether an instruction needs an event: not if it joins others in a queue, or waits for something to retire. `more`: by engine four bits, how many of its queue precede it. */
typedef enum need { NEED_NOTHING, NEED_EVENT, NEED_RETIREMENT } need;
static need need_of(const machine *m, const die *d, uint32_t k, uint64_t *more) {
  uint32_t at = (d->ahead_head + k) % AHEAD;
  unsigned engine_index = d->ahead_engines[at];
  if (d->again && k + 1 == d->ahead_count) return NEED_EVENT;
  if (engine_index == HCT_ENGINE_SEQ) return d->filled && d->ahead[at] != NO_INSTR ? NEED_RETIREMENT : NEED_EVENT;
  if (!(d->filled >> engine_index & 1)) return NEED_EVENT;
  if (d->engines[engine_index].count + (*more >> 4 * engine_index & 15) == m->queue_depth) return NEED_RETIREMENT;
  *more += UINT64_C(1) << 4 * engine_index;
  return k + 1 == AHEAD ? NEED_EVENT : NEED_NOTHING;
}

void machine_plan(machine *m, size_t index) {
  die *d = &m->dies[index];
  if (d->halted || !issue_comes(m, index)) return;
  uint64_t more = 0;
  need asks = NEED_NOTHING;
  uint32_t k = 0;
  for (; asks == NEED_NOTHING; k++) {
    if (k == d->ahead_count) fetch(m, index);
    asks = need_of(m, d, k, &more);
  }
  d->stalled = asks == NEED_RETIREMENT ? d->ahead_engines[(d->ahead_head + k - 1) % AHEAD] : (uint8_t)HCT_ENGINE_SEQ;
  d->joining = (uint8_t)(d->stalled == HCT_ENGINE_SEQ ? 0 : k - 1);
  int64_t at = d->issue_ps + (k - 1) * m->cycle_ps;
  if (asks == NEED_RETIREMENT || at >= d->wake_ps) return;
  d->wake_ps = at;
  event_push(&m->events, event_at(at, index, HCT_ENGINE_COUNT));
}

static void wake(machine *m, size_t index) {
  die *d = &m->dies[index];
  if (d->wake_ps == m->now_ps) d->wake_ps = INT64_MAX;
  machine_catch_up(m, index);
  if (!d->halted && d->issue_ps == m->now_ps) {
    if (d->again && d->ahead_count == 1) {
      unsigned again = d->again;
      d->again = 0;
      recurrence_look(m, again);
    }
    issue(m, index);
  }
  machine_plan(m, index);
}

/* ---- completing ---- */
/* Engines that may start now. Of those that wait only what this die signals lets one go on; what waits for another die is tried as that one's engine comes to it. */
static unsigned startable(const die *d, const timed_instr *retired) {
  unsigned idle = d->filled & ~(unsigned)d->running, may = idle & ~(unsigned)d->waiting;
  if (!retired->signal_count) return may;
  for (unsigned waiting = idle & d->waiting; waiting; waiting &= waiting - 1)
    for (int i = 0, other = __builtin_ctz(waiting); i < retired->signal_count; i++)
      if (retired->signals[i].semaphore == d->engines[other].blocked) may |= 1u << other;
  return may;
}

/* After one of an engine's queue has retired. Nothing is to be planned anew while the sequencer waits for a place elsewhere, and what joins queues until then still does. */
static void sequencer_retired(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  if (!issue_comes(m, index)) d->issue_ps = m->now_ps + m->cycle_ps;
  if (d->stalled != HCT_ENGINE_SEQ && d->stalled != engine_index && (!d->joining || d->engines[engine_index].count)) return;
  machine_plan(m, index);
}

static void retire(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  const timed_instr *instr = engine_head(d, engine_index);
  if (d->stalled == HCT_ENGINE_SEQ || d->joining) machine_catch_up(m, index);
  tally_add(m, index, engine_index);
  for (int i = 0; i < instr->signal_count; i++) d->semaphores[instr->signals[i].semaphore] += instr->signals[i].count;
  queue_pop(m, d, engine_index);
  d->running = (uint16_t)(d->running & ~(1u << engine_index));
  d->waiting = (uint16_t)(d->waiting & ~(1u << engine_index));
  for (unsigned may = startable(d, instr); may; may &= may - 1) {
    int other = __builtin_ctz(may);
    if (!(d->running >> other & 1)) start_try(m, index, other);
  }
  activity_changes(m, index);
  sequencer_retired(m, index, engine_index);
}

static const hct_issued *head_issued(const machine *m, size_t index, int engine_index) {
  const die *d = &m->dies[index];
  return &d->issued[queue_at(m, d, engine_index, 0)];
}

/* Sender and receiver complete at the same moment: the data moves once, before either signals. */
static void transfer_complete(machine *m, size_t sender, hct_ring ring) {
  size_t receiver = m->dies[sender].next[ring];
  int send = HCT_ENGINE_SEND0 + 2 * (int)ring, receive = HCT_ENGINE_RECV0 + 2 * (int)ring;
  const hct_machine_effects *effects = m->options->effects;
  if (effects && !effects->transfer(effects->user, sender, head_issued(m, sender, send), receiver, head_issued(m, receiver, receive))) m->stopped = true;
  retire(m, sender, send);
  retire(m, receiver, receive);
}

static void complete(machine *m, size_t index, int engine_index) {
  const timed_instr *instr = engine_head(&m->dies[index], engine_index);
  if (instr->opcode == HCT_OP_SEND) {
    transfer_complete(m, index, (hct_ring)((engine_index - HCT_ENGINE_SEND0) / 2));
    return;
  }
  if (is_dram(instr) && dram_goes_on(m, index, engine_index)) return;
  const hct_machine_effects *effects = m->options->effects;
  if (effects && !effects->run(effects->user, index, head_issued(m, index, engine_index))) m->stopped = true;
  retire(m, index, engine_index);
}

/* ---- the run ---- */
static void deadlock(machine *m) {
  m->status = hct_error(m->diags, HCT_E_DEADLOCK, (hct_loc){0}, "the program cannot go on: every die waits");
  size_t notes = 0;
  for (size_t i = 0; i < m->die_count; i++)
    for (int e = 0; e < HCT_ENGINE_COUNT && notes < 16; e++) {
      if (!m->dies[i].engines[e].count) continue;
      hct_text line = {0};
      hct_instr_print(instr_of(&m->dies[i], m->dies[i].engines[e].head), &line);
      hct_note(m->diags, "die %zu,%zu, %s waits with '%s'", i / (size_t)m->image->cols, i % (size_t)m->image->cols, hct_engine_name((hct_engine)e), line.data);
      hct_text_fini(&line);
      notes++;
    }
}

/* Zeroed, from the beginning of a line of the cache on. */
static void *array_in_lines(hct_arena *arena, size_t count, size_t bytes) {
  unsigned char *items = hct_arena_array(arena, count + CACHE_LINE, bytes);
  return items + (CACHE_LINE - (uintptr_t)items % CACHE_LINE) % CACHE_LINE;
}

typedef struct use { uint64_t times; int semaphore; } use;
static int by_use(const void *a, const void *b) {
  const use *x = a, *y = b;
  return x->times != y->times ? (x->times < y->times ? 1 : -1) : (x->semaphore > y->semaphore) - (x->semaphore < y->semaphore);
}

static void uses_add(use *uses, const hct_sync *syncs, uint8_t count, unsigned depth) {
  for (uint8_t i = 0; i < count; i++) uses[syncs[i].semaphore].times += UINT64_C(1) << LOOP_USES_BITS * depth;
}

static void semaphores_place(machine *m) {
  use uses[HCT_SEMAPHORES];
  for (int s = 0; s < HCT_SEMAPHORES; s++) uses[s] = (use){0, s};
  for (size_t s = 0; s < m->image->stream_count; s++) {
    unsigned depth = 0;
    for (size_t i = 0; i < m->image->streams[s].count; i++) {
      const hct_instr *instr = &m->image->streams[s].items[i];
      if (instr->opcode == HCT_OP_LOOP && depth < HCT_MAX_LOOPS) depth++;
      if (instr->opcode == HCT_OP_END && depth) depth--;
      uses_add(uses, instr->waits, instr->wait_count, depth);
      uses_add(uses, instr->signals, instr->signal_count, depth);
    }
  }
  qsort(uses, HCT_SEMAPHORES, sizeof *uses, by_use);
  for (uint8_t place = 0; place < HCT_SEMAPHORES; place++) m->place_of_semaphore[uses[place].semaphore] = place;
}

static void syncs_place(const machine *m, hct_sync to[HCT_MAX_SYNCS], const hct_sync *from, uint8_t count) {
  for (uint8_t i = 0; i < count; i++) to[i] = (hct_sync){m->place_of_semaphore[from[i].semaphore], from[i].count};
}

static const timed_instr *code_of(machine *m, const hct_stream *stream) {
  timed_instr *code = array_in_lines(m->arena, stream->count, sizeof *code);
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    bool computes = instr->engine == HCT_ENGINE_MXU || instr->engine == HCT_ENGINE_VPU || instr->opcode == HCT_OP_SYNC;
    hct_instr_counts counted = hct_instr_count(instr);
    int64_t wire_ps = instr->opcode == HCT_OP_SEND ? hct_noc_wire_ps(&m->noc, (int64_t)counted.moved_bytes) : 0;
    code[i] = (timed_instr){.ps = computes ? hct_instr_ps(m->package, instr) : wire_ps, .counts = counted, .source = instr->source,
                            .opcode = instr->opcode, .engine = instr->engine, .wait_count = instr->wait_count, .signal_count = instr->signal_count};
    syncs_place(m, code[i].waits, instr->waits, instr->wait_count);
    syncs_place(m, code[i].signals, instr->signals, instr->signal_count);
  }
  return code;
}

static void die_init(machine *m, size_t index, const timed_instr **codes) {
  die *d = &m->dies[index];
  size_t place = place_of(m, index), stream = m->image->die_stream[place];
  if (!codes[stream]) codes[stream] = code_of(m, &m->image->streams[stream]);
  hct_sequencer_init(&d->sequencer, m->image, (int64_t)place / m->image->cols, (int64_t)place % m->image->cols);
  d->code = codes[stream], d->started = NO_INSTR, d->doing = HCT_IDLE;
  for (int ring = 0; ring < HCT_RING_COUNT; ring++) {
    const hct_die_class *of = m->options->classes ? &m->options->classes->items[index] : NULL;
    d->next[ring] = (uint32_t)(of ? of->next[ring] : ring_neighbour(m, index, (hct_ring)ring, 1));
    d->previous[ring] = (uint32_t)(of ? of->previous[ring] : ring_neighbour(m, index, (hct_ring)ring, -1));
  }
  size_t queued = HCT_ENGINE_COUNT * (size_t)m->queue_depth;
  d->queues = &m->queues[queue_of(m, index, 0)];
  if (m->options->effects) d->issued = HCT_NEW_ARRAY(m->arena, hct_issued, queued), d->ahead_issued = HCT_NEW_ARRAY(m->arena, hct_issued, AHEAD);
  d->issue_ps = m->cycle_ps, d->wake_ps = INT64_MAX;
}

static void machine_init(machine *m) {
  m->die_count = m->options->classes ? m->options->classes->count : (size_t)(m->image->rows * m->image->cols);
  m->link_count = (size_t)(m->image->rows * m->image->cols) * 4;
  m->queue_depth = (uint32_t)m->package->queue_depth;
  m->cycle_ps = hct_ps_of_cycles(m->package, 1);
  m->random = m->options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  m->dies = array_in_lines(m->arena, m->die_count, sizeof *m->dies);
  m->result.activity_ps = (int64_t(*)[HCT_ACTIVITY_COUNT])hct_arena_array(m->arena, m->die_count, sizeof *m->result.activity_ps);
  m->result.source_ps = HCT_NEW_ARRAY(m->arena, int64_t, m->image->source_count + 1);
  hct_noc_init(&m->noc, m->arena, m->package, m->image->dram_bytes_used);
  for (size_t i = 0; m->options->classes && i < (size_t)(m->image->rows * m->image->cols); i++)
    for (int ring = 0; ring < HCT_RING_COUNT; ring++) m->ring_links[ring] += hct_noc_links(&m->noc, (int64_t)i, (int64_t)ring_neighbour(m, i, (hct_ring)ring, 1));
  m->paths = array_in_lines(m->arena, m->die_count * HCT_RING_COUNT, sizeof *m->paths);
  for (size_t i = 0; i < m->die_count * HCT_RING_COUNT; i++) {
    size_t from = place_of(m, i / HCT_RING_COUNT);
    m->paths[i] = hct_noc_path(&m->noc, (int64_t)from, (int64_t)ring_neighbour(m, from, (hct_ring)(i % HCT_RING_COUNT), 1));
  }
  event_queue_init(&m->events, m->arena, m->die_count);
  m->queues = array_in_lines(m->arena, queue_of(m, m->die_count, 0), sizeof *m->queues);
  semaphores_place(m);
  const timed_instr **codes = HCT_NEW_ARRAY(m->arena, const timed_instr *, m->image->stream_count + 1);
  for (size_t i = 0; i < m->die_count; i++) die_init(m, i, codes);
}

static int64_t largest(const int64_t *values, size_t count) {
  int64_t most = 0;
  for (size_t i = 0; i < count; i++)
    if (values[i] > most) most = values[i];
  return most;
}

static void finish(machine *m) {
  for (size_t i = 0; i < m->die_count; i++) {
    machine_account(m, i);
    if (!m->dies[i].halted || m->dies[i].filled) {
      deadlock(m);
      return;
    }
  }
  m->result.step_ps = m->now_ps;
  m->result.busiest_link_ps = largest(m->noc.link_busy_ps, m->link_count);
  m->result.busiest_channel_ps = largest(m->noc.channel_busy_ps, (size_t)m->package->dram_channels);
  m->result.link_bytes = m->noc.link_bytes;
  m->result.dram_transit_bytes = m->noc.dram_transit_bytes;
}

/* What the next event will look at comes from afar while this one is simulated: dies take more memory than the nearer caches hold. */
static void fetch_ahead(const machine *m) {
  const die *d = &m->dies[event_die_ahead(&m->events)];
  for (size_t at = 0; at < offsetof(die, semaphores) + CACHE_LINE; at += CACHE_LINE) __builtin_prefetch((const unsigned char *)d + at, 1);
}

hct_status hct_machine_run(hct_diags *diags, hct_arena *arena, const hct_image *image, const hct_package *package, const hct_machine_options *options,
                           hct_stats *stats, hct_machine_result *out_result) {
  if (package->rows != image->rows || package->cols != image->cols)
    return hct_error(diags, HCT_E_IMAGE, (hct_loc){0}, "the image is for %lldx%lld dies, its package has %lldx%lld", (long long)image->rows, (long long)image->cols, (long long)package->rows, (long long)package->cols);
  machine m = {.diags = diags, .arena = hct_arena_create(), .image = image, .package = package, .options = options, .stats = stats};
  machine_init(&m);
  if (!options->effects && !options->jitter && !options->every_iteration) m.recurrence = recurrence_create(&m);
  if (m.recurrence) m.memo = memo_create(&m);
  for (size_t i = 0; i < m.die_count; i++) machine_plan(&m, i);
  for (event e; !m.stopped && event_pop(&m.events, &e);) {
    m.now_ps = e.time_ps, m.place = e.place;
    fetch_ahead(&m);
    if ((++m.result.events & 0xffff) == 0) hct_progress(diags, "%s: %.3f ms of modelled time, %llu events", options->doing ? options->doing : "simulating", (double)m.now_ps * 1e-9, (unsigned long long)m.result.events);
    if (event_engine(&e) == HCT_ENGINE_COUNT) wake(&m, event_die(&e));
    else complete(&m, event_die(&e), event_engine(&e));
  }
  if (m.stopped) m.status = HCT_REFUSED;
  else finish(&m);
  if (m.status == HCT_OK) {
    *out_result = m.result;
    out_result->activity_ps = (int64_t(*)[HCT_ACTIVITY_COUNT])hct_arena_array(arena, m.die_count, sizeof *m.result.activity_ps);
    memcpy(out_result->activity_ps, m.result.activity_ps, m.die_count * sizeof *m.result.activity_ps);
    out_result->source_ps = HCT_NEW_ARRAY(arena, int64_t, image->source_count + 1);
    memcpy(out_result->source_ps, m.result.source_ps, image->source_count * sizeof(int64_t));
  }
  hct_arena_destroy(m.arena);
  return m.status;
}
