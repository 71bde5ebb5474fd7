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
hct_die_activity die_activity(const die *d) {
  if (d->running >> HCT_ENGINE_MXU & 1) return HCT_BUSY_MXU;
  if (d->running >> HCT_ENGINE_VPU & 1) return HCT_BUSY_VPU;
  if (d->filled >> HCT_ENGINE_SEND0) return HCT_BUSY_NOP;
  return d->filled & (1u << HCT_ENGINE_LOAD | 1u << HCT_ENGINE_STORE) ? HCT_BUSY_DRAM : HCT_IDLE;
}

static const hct_instr *instr_of(const die *d, uint32_t instr) { return &d->sequencer.stream->items[instr]; }

static void book(machine *m, size_t index) {
  die *d = &m->dies[index];
  int64_t passed = m->now_ps - d->accounted_ps;
  m->result.activity_ps[index][d->doing] += passed;
  m->result.source_ps[d->booked_source] += passed;
  d->accounted_ps = m->now_ps;
}

/* The die may be doing something else from now on. */
static void activity_changes(machine *m, size_t index) {
  die *d = &m->dies[index];
  hct_die_activity doing = die_activity(d);
  if (doing == d->doing && d->source == d->booked_source) return;
  book(m, index);
  d->doing = (uint8_t)doing, d->booked_source = d->source;
}

static void tally_count(machine *m, size_t index, tally *of) {
  const die *d = &m->dies[index];
  if (of->times) hct_stats_add(m->stats, index, instr_of(d, of->instr), &d->code[of->instr].counts, of->times);
  of->times = 0;
}

void machine_account(machine *m, size_t index) {
  book(m, index);
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) tally_count(m, index, &m->dies[index].retired[e]);
}

/* Steps of a ring, and tiles, are many of one instruction. */
static void tally_add(machine *m, size_t index, int engine_index) {
  tally *of = &m->dies[index].retired[engine_index];
  uint32_t instr = m->dies[index].heads[engine_index];
  if (of->instr != instr || of->times == UINT32_MAX) {
    tally_count(m, index, of);
    of->instr = instr;
  }
  of->times++;
}

/* ---- rings ---- */
static size_t ring_neighbour(const machine *m, size_t index, hct_ring ring, int64_t steps) {
  int64_t rows = m->image->rows, cols = m->image->cols, row = (int64_t)index / cols, col = (int64_t)index % cols;
  return (size_t)hct_ring_die(ring, rows, cols, row, col, hct_ring_position(ring, rows, cols, row, col) + steps);
}
static size_t place_of(const machine *m, size_t index) { return m->options->classes ? m->options->classes->items[index].first : index; }

/* ---- starting ---- */
static const timed_instr *engine_head(const die *d, int engine_index) { return &d->code[d->heads[engine_index]]; }

static bool waits_hold(die *d, int engine_index) {
  const timed_instr *instr = engine_head(d, engine_index);
  d->blocked[engine_index] = NOT_BLOCKED;
  for (int i = 0; i < instr->wait_count; i++)
    if (d->semaphores[instr->waits[i].semaphore] < instr->waits[i].count) {
      d->blocked[engine_index] = instr->waits[i].semaphore;
      return false;
    }
  return true;
}

static bool engine_ready(die *d, int engine_index) { return (d->filled & ~d->running) >> engine_index & 1 && waits_hold(d, engine_index); }

static void begin(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  const timed_instr *instr = engine_head(d, engine_index);
  for (int i = 0; i < instr->wait_count; i++) d->semaphores[instr->waits[i].semaphore] -= instr->waits[i].count;
  d->running = (uint16_t)(d->running | 1u << engine_index);
  d->source = instr->source;
  d->started = d->heads[engine_index];
  activity_changes(m, index);
}

static void complete_at(machine *m, size_t index, int engine_index, int64_t time_ps) {
  event_push(&m->events, event_at(time_ps, index, engine_index));
}

static bool is_transfer(const timed_instr *instr) { return instr->opcode == HCT_OP_SEND || instr->opcode == HCT_OP_RECV || instr->opcode == HCT_OP_RECVR; }

/* A message leaves when its send and its receive are both at the head of their queues. */
static void transfer_begin(machine *m, size_t sender, size_t receiver, hct_ring ring) {
  int send = HCT_ENGINE_SEND0 + 2 * (int)ring;
  const timed_instr *instr = engine_head(&m->dies[sender], send);
  int64_t bytes = (int64_t)instr->counts.moved_bytes;
  uint64_t counted = m->noc.link_bytes;
  int64_t done = hct_noc_send_along(&m->noc, &m->paths[sender * HCT_RING_COUNT + ring], bytes, instr->ps, m->now_ps, stretch(m));
  if (m->options->classes) m->noc.link_bytes = counted + (uint64_t)(bytes * m->ring_links[ring] / (m->image->rows * m->image->cols)) * m->options->classes->items[sender].size;
  begin(m, sender, send);
  begin(m, receiver, send + 1);
  complete_at(m, sender, send, done); /* one event for both */
}

/* Of a die whose send, or receive, is ready. */
static void transfer_try(machine *m, size_t index, int engine_index) {
  int at = engine_index - HCT_ENGINE_SEND0;
  bool sends = at % 2 == 0;
  hct_ring ring = (hct_ring)(at / 2);
  size_t other = sends ? m->dies[index].next[ring] : m->dies[index].previous[ring];
  int other_engine = sends ? engine_index + 1 : engine_index - 1;
  if (!engine_ready(&m->dies[other], other_engine) || !is_transfer(engine_head(&m->dies[other], other_engine))) return;
  transfer_begin(m, sends ? index : other, sends ? other : index, ring);
}

/* When the engine's event is: with classes the end, else when to look at the access. */
static int64_t dram_start(machine *m, size_t index, bool load, int64_t bytes) {
  if (m->options->classes) return hct_noc_dram_alike(&m->noc, (int64_t)index, (int64_t)m->options->classes->items[index].size, bytes, m->now_ps);
  return hct_noc_dram_start(&m->noc, (int64_t)index, bytes, load, m->now_ps, stretch(m));
}

/* Whether a DRAM access is not done yet; it has its next event then. */
static bool dram_goes_on(machine *m, size_t index, int engine_index) {
  uint8_t opcode = engine_head(&m->dies[index], engine_index)->opcode;
  if (m->options->classes || (opcode != HCT_OP_LD && opcode != HCT_OP_ST)) return false; /* a SYNC may have the engine */
  int64_t at = hct_noc_dram_look(&m->noc, (int64_t)index, engine_index == HCT_ENGINE_LOAD, m->now_ps, stretch(m));
  if (at >= 0) complete_at(m, index, engine_index, at);
  return at >= 0;
}

static void start_try(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  if (!engine_ready(d, engine_index)) return;
  const timed_instr *instr = engine_head(d, engine_index);
  if (is_transfer(instr)) {
    transfer_try(m, index, engine_index);
    return;
  }
  int64_t done;
  if (instr->opcode == HCT_OP_LD || instr->opcode == HCT_OP_ST) {
    done = dram_start(m, index, engine_index == HCT_ENGINE_LOAD, (int64_t)instr->counts.moved_bytes);
  } else {
    done = m->now_ps + (m->options->jitter ? (int64_t)((double)instr->ps * stretch(m)) : instr->ps);
  }
  begin(m, index, engine_index);
  complete_at(m, index, engine_index, done);
}

/* ---- the sequencer: one instruction a cycle, while queues have room ----
 * What joins a queue that is not empty changes nothing until something retires: only then is it caught up on. An event is needed only for what finds its queue empty. */
static void fetch(machine *m, size_t index) {
  die *d = &m->dies[index];
  uint32_t at = (uint32_t)(d->ahead_head + d->ahead_count++) % AHEAD;
  const hct_instr *instr = hct_sequencer_next(&d->sequencer);
  d->ahead[at] = instr ? (uint32_t)(instr - instr_of(d, 0)) : NO_INSTR;
  d->ahead_engines[at] = instr ? instr->engine : (uint8_t)HCT_ENGINE_SEQ;
  if (d->issued && instr && instr->opcode != HCT_OP_FENCE) hct_issue(instr, &d->sequencer.state, &d->ahead_issued[at]);
  if (index == 0 && m->recurrence) d->again = (uint16_t)(d->sequencer.again | (memo_landmark(m, d->ahead[at]) ? AT_LANDMARK : 0));
}

static void queue_push(machine *m, die *d, int engine_index) {
  size_t at = queue_at(m, d, engine_index, d->count[engine_index]);
  d->queues[at] = d->ahead[d->ahead_head];
  if (d->issued) d->issued[at] = d->ahead_issued[d->ahead_head];
  if (!d->count[engine_index]++) d->heads[engine_index] = d->queues[at];
  d->filled = (uint16_t)(d->filled | 1u << engine_index);
}

static void queue_pop(machine *m, die *d, int engine_index) {
  d->first[engine_index] = d->first[engine_index] + 1u == m->queue_depth ? 0 : (uint16_t)(d->first[engine_index] + 1);
  if (--d->count[engine_index]) d->heads[engine_index] = d->queues[queue_at(m, d, engine_index, 0)];
  else d->filled = (uint16_t)(d->filled & ~(1u << engine_index));
}

/* Issues the first instruction; false: it cannot be issued. One that finds its queue empty is to be issued now. */
static bool issue(machine *m, size_t index) {
  die *d = &m->dies[index];
  int engine_index = d->ahead_engines[d->ahead_head];
  bool fence = engine_index == HCT_ENGINE_SEQ, starts = false;
  if (fence && d->ahead[d->ahead_head] == NO_INSTR) {
    d->halted = true;
    return false;
  }
  if (fence ? d->filled : d->count[engine_index] == m->queue_depth) return false;
  if (!fence) {
    starts = !(d->filled >> engine_index & 1);
    queue_push(m, d, engine_index);
  }
  d->ahead_head = (uint8_t)((d->ahead_head + 1) % AHEAD);
  d->ahead_count--;
  d->issue_ps += m->cycle_ps;
  if (starts) {
    start_try(m, index, engine_index);
    activity_changes(m, index);
  }
  return true;
}

void machine_catch_up(machine *m, size_t index) {
  uint32_t place = event_at(0, index, HCT_ENGINE_COUNT).place;
  for (die *d = &m->dies[index]; !d->halted && (d->issue_ps < m->now_ps || (d->issue_ps == m->now_ps && place < m->place));)
    if (!issue(m, index)) return;
}

/* Whether an instruction needs an event: not if it joins others in a queue, or waits for something to retire. `more`: it is preceded by so many of its queue. */
typedef enum need { NEED_NOTHING, NEED_EVENT, NEED_RETIREMENT } need;
static need need_of(const machine *m, const die *d, uint32_t k, uint8_t more[HCT_ENGINE_COUNT]) {
  uint32_t at = (d->ahead_head + k) % AHEAD;
  int engine_index = d->ahead_engines[at];
  if (d->again && k + 1 == d->ahead_count) return NEED_EVENT;
  if (engine_index == HCT_ENGINE_SEQ) return d->filled && d->ahead[at] != NO_INSTR ? NEED_RETIREMENT : NEED_EVENT;
  if (!(d->filled >> engine_index & 1)) return NEED_EVENT;
  if (d->count[engine_index] + (uint32_t)more[engine_index]++ == m->queue_depth) return NEED_RETIREMENT;
  return k + 1 == AHEAD ? NEED_EVENT : NEED_NOTHING;
}

void machine_plan(machine *m, size_t index) {
  die *d = &m->dies[index];
  if (d->halted || !issue_comes(m, index)) return;
  uint8_t more[HCT_ENGINE_COUNT] = {0};
  need asks = NEED_NOTHING;
  uint32_t k = 0;
  for (; asks == NEED_NOTHING; k++) {
    if (k == d->ahead_count) fetch(m, index);
    asks = need_of(m, d, k, more);
  }
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
/* Only what this die signals lets its engines go on; what waits for another die is tried as that one's engine comes to it. */
static bool stays_blocked(const die *d, int engine_index, const timed_instr *retired) {
  uint8_t semaphore = d->blocked[engine_index];
  if (semaphore == NOT_BLOCKED) return false;
  for (int i = 0; i < retired->signal_count; i++)
    if (retired->signals[i].semaphore == semaphore) return false;
  return true;
}

static void retire(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  machine_catch_up(m, index);
  const timed_instr *instr = engine_head(d, engine_index);
  tally_add(m, index, engine_index);
  for (int i = 0; i < instr->signal_count; i++) d->semaphores[instr->signals[i].semaphore] += instr->signals[i].count;
  queue_pop(m, d, engine_index);
  d->running = (uint16_t)(d->running & ~(1u << engine_index));
  d->blocked[engine_index] = NOT_BLOCKED;
  for (unsigned from = 0, idle; (idle = d->filled & ~(unsigned)d->running & ~0u << from);) {
    int other = __builtin_ctz(idle);
    if (!stays_blocked(d, other, instr)) start_try(m, index, other);
    from = (unsigned)other + 1;
  }
  activity_changes(m, index);
  if (!issue_comes(m, index)) d->issue_ps = m->now_ps + m->cycle_ps;
  machine_plan(m, index);
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
  if (dram_goes_on(m, index, engine_index)) return;
  if (engine_head(&m->dies[index], engine_index)->opcode == HCT_OP_SEND) {
    transfer_complete(m, index, (hct_ring)((engine_index - HCT_ENGINE_SEND0) / 2));
    return;
  }
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
      if (!m->dies[i].count[e]) continue;
      hct_text line = {0};
      hct_instr_print(instr_of(&m->dies[i], m->dies[i].heads[e]), &line);
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

static const timed_instr *code_of(machine *m, const hct_stream *stream) {
  timed_instr *code = array_in_lines(m->arena, stream->count, sizeof *code);
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    bool computes = instr->engine == HCT_ENGINE_MXU || instr->engine == HCT_ENGINE_VPU || instr->opcode == HCT_OP_SYNC;
    hct_instr_counts counted = hct_instr_count(instr);
    int64_t wire_ps = instr->opcode == HCT_OP_SEND ? hct_noc_wire_ps(&m->noc, (int64_t)counted.moved_bytes) : 0;
    code[i] = (timed_instr){.ps = computes ? hct_instr_ps(m->package, instr) : wire_ps, .counts = counted, .source = instr->source,
                            .opcode = instr->opcode, .engine = instr->engine, .wait_count = instr->wait_count, .signal_count = instr->signal_count};
    memcpy(code[i].waits, instr->waits, sizeof instr->waits);
    memcpy(code[i].signals, instr->signals, sizeof instr->signals);
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
  size_t queued = HCT_ENGINE_COUNT * (size_t)m->package->queue_depth;
  d->queues = array_in_lines(m->arena, queued, sizeof *d->queues);
  if (m->options->effects) d->issued = HCT_NEW_ARRAY(m->arena, hct_issued, queued), d->ahead_issued = HCT_NEW_ARRAY(m->arena, hct_issued, AHEAD);
  memset(d->blocked, NOT_BLOCKED, sizeof d->blocked);
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
  m->paths = HCT_NEW_ARRAY(m->arena, hct_path, m->die_count * HCT_RING_COUNT);
  for (size_t i = 0; i < m->die_count * HCT_RING_COUNT; i++) {
    size_t from = place_of(m, i / HCT_RING_COUNT);
    m->paths[i] = hct_noc_path(&m->noc, (int64_t)from, (int64_t)ring_neighbour(m, from, (hct_ring)(i % HCT_RING_COUNT), 1));
  }
  event_queue_init(&m->events, m->arena, m->die_count);
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
  size_t index = event_die_ahead(&m->events);
  const die *d = &m->dies[index];
  for (size_t line = 0; line < HOT_LINES; line++) __builtin_prefetch((const unsigned char *)d + line * CACHE_LINE, 1);
  __builtin_prefetch(&m->stats->dies[index], 1);
  __builtin_prefetch(&m->result.activity_ps[index], 1);
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
