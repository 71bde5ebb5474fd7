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
static hct_die_activity activity(const die *d) {
  if (d->running >> HCT_ENGINE_MXU & 1) return HCT_BUSY_MXU;
  if (d->running >> HCT_ENGINE_VPU & 1) return HCT_BUSY_VPU;
  if (d->filled >> HCT_ENGINE_SEND0) return HCT_BUSY_NOP;
  return d->filled & (1u << HCT_ENGINE_LOAD | 1u << HCT_ENGINE_STORE) ? HCT_BUSY_DRAM : HCT_IDLE;
}

void machine_account(machine *m, size_t index) {
  die *d = &m->dies[index];
  int64_t passed = m->now_ps - d->accounted_ps;
  m->result.activity_ps[index][activity(d)] += passed;
  m->result.source_ps[d->source] += passed;
  d->accounted_ps = m->now_ps;
}

/* ---- rings ---- */
static size_t ring_neighbour(const machine *m, size_t index, hct_ring ring, int64_t steps) {
  int64_t rows = m->image->rows, cols = m->image->cols, row = (int64_t)index / cols, col = (int64_t)index % cols;
  return (size_t)hct_ring_die(ring, rows, cols, row, col, hct_ring_position(ring, rows, cols, row, col) + steps);
}
static size_t place_of(const machine *m, size_t index) { return m->options->classes ? m->options->classes->items[index].first : index; }

/* ---- starting ---- */
static const hct_instr *engine_head(const engine *e) { return e->queue[e->head]; }
static const instr_cost *cost_of(const die *d, const hct_instr *instr) { return &d->costs[instr - d->first]; }

static bool waits_hold(die *d, int engine_index) {
  const hct_instr *instr = engine_head(&d->engines[engine_index]);
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
  machine_account(m, index);
  const hct_instr *instr = engine_head(&d->engines[engine_index]);
  for (int i = 0; i < instr->wait_count; i++) d->semaphores[instr->waits[i].semaphore] -= instr->waits[i].count;
  d->running = (uint16_t)(d->running | 1u << engine_index);
  d->source = instr->source;
  d->started = instr;
}

static void complete_at(machine *m, size_t index, int engine_index, int64_t time_ps) {
  event_push(&m->events, event_at(time_ps, index, engine_index));
}

static bool is_transfer(const hct_instr *instr) { return instr->opcode == HCT_OP_SEND || instr->opcode == HCT_OP_RECV || instr->opcode == HCT_OP_RECVR; }

/* A message leaves when its send and its receive are both at the head of their queues. */
static void transfer_try(machine *m, size_t sender, hct_ring ring) {
  die *from = &m->dies[sender];
  size_t receiver = from->next[ring];
  die *to = &m->dies[receiver];
  int send = HCT_ENGINE_SEND0 + 2 * (int)ring, receive = HCT_ENGINE_RECV0 + 2 * (int)ring;
  if (!engine_ready(from, send) || !engine_ready(to, receive)) return;
  const hct_instr *instr = engine_head(&from->engines[send]);
  if (!is_transfer(instr) || !is_transfer(engine_head(&to->engines[receive]))) return;
  int64_t bytes = (int64_t)cost_of(from, instr)->counts.moved_bytes;
  uint64_t counted = m->noc.link_bytes;
  int64_t done = hct_noc_send(&m->noc, (int64_t)place_of(m, sender), (int64_t)(m->options->classes ? ring_neighbour(m, place_of(m, sender), ring, 1) : receiver), bytes, m->now_ps, stretch(m));
  if (m->options->classes) m->noc.link_bytes = counted + (uint64_t)(bytes * m->ring_links[ring] / (m->image->rows * m->image->cols)) * m->options->classes->items[sender].size;
  begin(m, sender, send);
  begin(m, receiver, receive);
  complete_at(m, sender, send, done); /* one event for both */
}

/* When the engine's event is: with classes the end, else when to look at the access. */
static int64_t dram_start(machine *m, size_t index, bool load, int64_t bytes) {
  if (m->options->classes) return hct_noc_dram_alike(&m->noc, (int64_t)index, (int64_t)m->options->classes->items[index].size, bytes, m->now_ps);
  return hct_noc_dram_start(&m->noc, (int64_t)index, bytes, load, m->now_ps, stretch(m));
}

/* Whether a DRAM access is not done yet; it has its next event then. */
static bool dram_goes_on(machine *m, size_t index, int engine_index) {
  uint8_t opcode = engine_head(&m->dies[index].engines[engine_index])->opcode;
  if (m->options->classes || (opcode != HCT_OP_LD && opcode != HCT_OP_ST)) return false; /* a SYNC may have the engine */
  int64_t at = hct_noc_dram_look(&m->noc, (int64_t)index, engine_index == HCT_ENGINE_LOAD, m->now_ps, stretch(m));
  if (at >= 0) complete_at(m, index, engine_index, at);
  return at >= 0;
}

static void start_try(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  if (!engine_ready(d, engine_index)) return;
  const hct_instr *instr = engine_head(&d->engines[engine_index]);
  if (is_transfer(instr)) {
    hct_ring ring = (hct_ring)((engine_index - HCT_ENGINE_SEND0) / 2);
    transfer_try(m, instr->opcode == HCT_OP_SEND ? index : d->previous[ring], ring);
    return;
  }
  int64_t done;
  if (instr->opcode == HCT_OP_LD || instr->opcode == HCT_OP_ST) {
    done = dram_start(m, index, engine_index == HCT_ENGINE_LOAD, (int64_t)cost_of(d, instr)->counts.moved_bytes);
  } else {
    done = m->now_ps + (m->options->jitter ? (int64_t)((double)cost_of(d, instr)->ps * stretch(m)) : cost_of(d, instr)->ps);
  }
  begin(m, index, engine_index);
  complete_at(m, index, engine_index, done);
}

/* ---- the sequencer: one instruction a cycle, while queues have room ----
 * What joins a queue that is not empty changes nothing until something retires: only then is it caught up on. An event is needed only for what finds its queue empty. */
static void fetch(machine *m, size_t index) {
  die *d = &m->dies[index];
  uint32_t at = (uint32_t)(d->ahead_head + d->ahead_count++) % AHEAD;
  const hct_instr *instr = d->ahead[at] = hct_sequencer_next(&d->sequencer);
  if (m->options->effects && instr && instr->opcode != HCT_OP_FENCE) hct_issue(instr, &d->sequencer.state, &d->ahead_issued[at]);
  if (index == 0 && m->recurrence) d->again = (uint16_t)(d->sequencer.again | (memo_landmark(m, instr) ? AT_LANDMARK : 0));
}

static void queue_push(machine *m, die *d, int target) {
  engine *e = &d->engines[target];
  uint32_t at = e->head + e->count++;
  if (at >= (uint32_t)m->package->queue_depth) at -= (uint32_t)m->package->queue_depth;
  e->queue[at] = d->ahead[d->ahead_head];
  if (e->issued) e->issued[at] = d->ahead_issued[d->ahead_head];
}

/* Issues the first instruction; false: it cannot be issued. One that finds its queue empty is to be issued now. */
static bool issue(machine *m, size_t index) {
  die *d = &m->dies[index];
  const hct_instr *instr = d->ahead[d->ahead_head];
  if (!instr) {
    d->halted = true;
    return false;
  }
  bool fence = instr->opcode == HCT_OP_FENCE, starts = false;
  if (fence ? d->filled : d->engines[instr->engine].count == (uint32_t)m->package->queue_depth) return false;
  if (!fence) {
    starts = !(d->filled >> instr->engine & 1);
    if (starts) machine_account(m, index);
    queue_push(m, d, instr->engine);
    d->filled = (uint16_t)(d->filled | 1u << instr->engine);
  }
  d->ahead_head = (uint8_t)((d->ahead_head + 1) % AHEAD);
  d->ahead_count--;
  d->issue_ps += m->cycle_ps;
  if (starts) start_try(m, index, instr->engine);
  return true;
}

void machine_catch_up(machine *m, size_t index) {
  event now = {m->now_ps, m->place};
  for (die *d = &m->dies[index]; !d->halted;) {
    event next = event_at(d->issue_ps, index, HCT_ENGINE_COUNT);
    if (!event_before(&next, &now) || !issue(m, index)) return;
  }
}

/* Whether an instruction needs an event: not if it joins others in a queue, or waits for something to retire. `more`: it is preceded by so many of its queue. */
typedef enum need { NEED_NOTHING, NEED_EVENT, NEED_RETIREMENT } need;
static need need_of(const machine *m, const die *d, uint32_t k, uint8_t more[HCT_ENGINE_COUNT]) {
  const hct_instr *instr = d->ahead[(d->ahead_head + k) % AHEAD];
  if (!instr || (d->again && k + 1 == d->ahead_count)) return NEED_EVENT;
  if (instr->opcode == HCT_OP_FENCE) return d->filled ? NEED_RETIREMENT : NEED_EVENT;
  if (!(d->filled >> instr->engine & 1)) return NEED_EVENT;
  if (d->engines[instr->engine].count + more[instr->engine]++ == (uint32_t)m->package->queue_depth) return NEED_RETIREMENT;
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
static bool stays_blocked(const die *d, int engine_index, const hct_instr *retired) {
  uint8_t semaphore = d->blocked[engine_index];
  if (semaphore == NOT_BLOCKED) return false;
  for (int i = 0; i < retired->signal_count; i++)
    if (retired->signals[i].semaphore == semaphore) return false;
  return true;
}

static void retire(machine *m, size_t index, int engine_index) {
  die *d = &m->dies[index];
  engine *e = &d->engines[engine_index];
  machine_catch_up(m, index);
  machine_account(m, index);
  const hct_instr *instr = engine_head(e);
  hct_stats_add(m->stats, index, instr, &cost_of(d, instr)->counts, 1);
  for (int i = 0; i < instr->signal_count; i++) d->semaphores[instr->signals[i].semaphore] += instr->signals[i].count;
  e->head = e->head + 1 == (uint32_t)m->package->queue_depth ? 0 : e->head + 1;
  d->running = (uint16_t)(d->running & ~(1u << engine_index));
  d->blocked[engine_index] = NOT_BLOCKED;
  if (!--e->count) d->filled = (uint16_t)(d->filled & ~(1u << engine_index));
  for (int other = 0; (d->filled & ~d->running) >> other; other++)
    if ((d->filled & ~d->running) >> other & 1 && !stays_blocked(d, other, instr)) start_try(m, index, other);
  if (!issue_comes(m, index)) d->issue_ps = m->now_ps + m->cycle_ps;
  machine_plan(m, index);
}

/* Sender and receiver complete at the same moment: the data moves once, before either signals. */
static void transfer_complete(machine *m, size_t sender, hct_ring ring) {
  size_t receiver = m->dies[sender].next[ring];
  const engine *send = &m->dies[sender].engines[HCT_ENGINE_SEND0 + 2 * ring], *receive = &m->dies[receiver].engines[HCT_ENGINE_RECV0 + 2 * ring];
  const hct_machine_effects *effects = m->options->effects;
  if (effects && !effects->transfer(effects->user, sender, &send->issued[send->head], receiver, &receive->issued[receive->head])) m->stopped = true;
  retire(m, sender, HCT_ENGINE_SEND0 + 2 * (int)ring);
  retire(m, receiver, HCT_ENGINE_RECV0 + 2 * (int)ring);
}

static void complete(machine *m, size_t index, int engine_index) {
  if (dram_goes_on(m, index, engine_index)) return;
  const engine *of = &m->dies[index].engines[engine_index];
  if (engine_head(of)->opcode == HCT_OP_SEND) {
    transfer_complete(m, index, (hct_ring)((engine_index - HCT_ENGINE_SEND0) / 2));
    return;
  }
  const hct_machine_effects *effects = m->options->effects;
  if (effects && !effects->run(effects->user, index, &of->issued[of->head])) m->stopped = true;
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
      hct_instr_print(engine_head(&m->dies[i].engines[e]), &line);
      hct_note(m->diags, "die %zu,%zu, %s waits with '%s'", i / (size_t)m->image->cols, i % (size_t)m->image->cols, hct_engine_name((hct_engine)e), line.data);
      hct_text_fini(&line);
      notes++;
    }
}

static const instr_cost *costs_of(machine *m, const hct_stream *stream) {
  instr_cost *costs = HCT_NEW_ARRAY(m->arena, instr_cost, stream->count + 1);
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    bool computes = instr->engine == HCT_ENGINE_MXU || instr->engine == HCT_ENGINE_VPU || instr->opcode == HCT_OP_SYNC;
    costs[i] = (instr_cost){.ps = computes ? hct_instr_ps(m->package, instr) : 0, .counts = hct_instr_count(instr)};
  }
  return costs;
}

static void die_init(machine *m, size_t index, const instr_cost **costs) {
  die *d = &m->dies[index];
  size_t place = place_of(m, index), stream = m->image->die_stream[place];
  if (!costs[stream]) costs[stream] = costs_of(m, &m->image->streams[stream]);
  hct_sequencer_init(&d->sequencer, m->image, (int64_t)place / m->image->cols, (int64_t)place % m->image->cols);
  d->first = m->image->streams[stream].items, d->costs = costs[stream];
  for (int ring = 0; ring < HCT_RING_COUNT; ring++) {
    const hct_die_class *of = m->options->classes ? &m->options->classes->items[index] : NULL;
    d->next[ring] = (uint32_t)(of ? of->next[ring] : ring_neighbour(m, index, (hct_ring)ring, 1));
    d->previous[ring] = (uint32_t)(of ? of->previous[ring] : ring_neighbour(m, index, (hct_ring)ring, -1));
  }
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) {
    d->engines[e].queue = HCT_NEW_ARRAY(m->arena, const hct_instr *, (size_t)m->package->queue_depth);
    if (m->options->effects) d->engines[e].issued = HCT_NEW_ARRAY(m->arena, hct_issued, (size_t)m->package->queue_depth);
  }
  if (m->options->effects) d->ahead_issued = HCT_NEW_ARRAY(m->arena, hct_issued, AHEAD);
  d->issue_ps = m->cycle_ps, d->wake_ps = INT64_MAX;
}

static void machine_init(machine *m) {
  m->die_count = m->options->classes ? m->options->classes->count : (size_t)(m->image->rows * m->image->cols);
  m->link_count = (size_t)(m->image->rows * m->image->cols) * 4;
  m->cycle_ps = hct_ps_of_cycles(m->package, 1);
  m->random = m->options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  m->dies = HCT_NEW_ARRAY(m->arena, die, m->die_count);
  m->result.activity_ps = (int64_t(*)[HCT_ACTIVITY_COUNT])hct_arena_array(m->arena, m->die_count, sizeof *m->result.activity_ps);
  m->result.source_ps = HCT_NEW_ARRAY(m->arena, int64_t, m->image->source_count + 1);
  hct_noc_init(&m->noc, m->arena, m->package, m->image->dram_bytes_used);
  for (size_t i = 0; m->options->classes && i < (size_t)(m->image->rows * m->image->cols); i++)
    for (int ring = 0; ring < HCT_RING_COUNT; ring++) m->ring_links[ring] += hct_noc_links(&m->noc, (int64_t)i, (int64_t)ring_neighbour(m, i, (hct_ring)ring, 1));
  event_queue_init(&m->events, m->arena, m->die_count);
  const instr_cost **costs = HCT_NEW_ARRAY(m->arena, const instr_cost *, m->image->stream_count + 1);
  for (size_t i = 0; i < m->die_count; i++) die_init(m, i, costs);
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
