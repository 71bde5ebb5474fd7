/* What came of a state, remembered. Where the first die begins another iteration of a loop the state is known (state.c); what happens from there to the
 * next such point depends on it, on the code that is run, on how many iterations loops that close have left, and on nothing else. So a transition
 * is kept with all of that, and where it comes up again it is replayed: the state at its end is read back, its counts are added.
 * Layers that a schedule peels off a loop are the same code at another place: a transition is also replayed there, moved, its counts under the
 * sources of the instructions there. Two instructions are alike when nothing that takes time or counts tells them apart. */
#include <string.h>

#include "ir/timing/machine_internal.h"

enum {
  BUCKETS = 4096,
  MOST_WORDS = 64 << 20, /* of nodes and transitions: half a GiB */
  LANDMARK_DISTANCE = 200, /* instructions from one landmark to the next, at least */
  LANDMARK_LENGTH = 4, /* instructions that it is recognized by */
  WORDS_AN_EVENT = 32,   /* that are written down and compared for each event simulated, at most: the rest is simulated without */
};

typedef struct transition transition;
typedef struct node { /* a state */
  words state;
  uint64_t checksum;
  transition *from_here;
  struct node *next; /* of its bucket */
} node;

/* What one field of one source counted; `of_die` NULL: `each` on every die. */
typedef struct column { uint32_t span, source, field; uint64_t each, *of_die; } column;
typedef struct range { size_t from, to; } range;
struct transition {
  node *to;
  size_t base, end_base;
  int64_t elapsed_ps;
  unsigned again, depth; /* of the first die at the end: the loops of which it begins another iteration; loops open */
  words loops;           /* by die, see loops_put */
  range *code;           /* by stream: what of it was run, or lay in queues */
  struct { column *items; size_t count, capacity; } columns;
  uint64_t *plain;       /* counts that are of no source */
  transition *next;
};

struct memo {
  node *buckets[BUCKETS];
  size_t words;
  uint64_t spent;       /* words handled since the start */
  uint32_t **alike;     /* [stream][instruction]: instructions that are alike have the same number */
  bool *landmarks;      /* of the first die's stream */
  node *at;             /* the state of now */
  words state;
  bool recording;       /* the rest is as it was when the transition that is being simulated began */
  node *from;
  size_t base;
  int64_t now_ps;
  uint64_t *counts;
  hct_sequencer *sequencers;
  range *code;
  uint32_t *source_map;
};

static size_t stream_of(const machine *m, const die *d) { return (size_t)(d->sequencer.stream - m->image->streams); }

/* ---- instructions alike ---- */
typedef struct likeness {
  uint64_t opcode, engine, ring, macs_f32, waits, signals, wait_count, signal_count, ps, elements, sram_bytes, moved_bytes, base, term_count;
  struct { uint64_t kind, level, ring, sign, offset, size, stride; } terms[HCT_MAX_TERMS]; /* of a loop's trip count */
} likeness;

static likeness likeness_of(const hct_instr *instr, const timed_instr *timed) {
  likeness a;
  memset(&a, 0, sizeof a);
  a.opcode = instr->opcode, a.engine = instr->engine, a.ring = instr->ring;
  a.macs_f32 = instr->opcode == HCT_OP_MM && instr->views[1].dtype == HCT_F32;
  a.wait_count = instr->wait_count, a.signal_count = instr->signal_count;
  memcpy(&a.waits, instr->waits, instr->wait_count * sizeof *instr->waits);
  memcpy(&a.signals, instr->signals, instr->signal_count * sizeof *instr->signals);
  a.ps = (uint64_t)timed->ps, a.elements = timed->counts.elements, a.sram_bytes = timed->counts.sram_bytes, a.moved_bytes = timed->counts.moved_bytes;
  if (instr->opcode != HCT_OP_LOOP) return a;
  a.base = (uint64_t)instr->values[0].base, a.term_count = instr->values[0].term_count;
  for (int t = 0; t < instr->values[0].term_count; t++) {
    const hct_term *term = &instr->values[0].terms[t];
    a.terms[t].kind = term->kind, a.terms[t].level = term->level, a.terms[t].ring = term->ring, a.terms[t].sign = (uint64_t)term->sign;
    a.terms[t].offset = (uint64_t)term->offset, a.terms[t].size = (uint64_t)term->size, a.terms[t].stride = (uint64_t)term->stride;
  }
  return a;
}

typedef struct likeness_table { hct_arena *arena; likeness *items; size_t count, capacity; uint32_t *slots; size_t slot_count; } likeness_table;

static uint32_t likeness_number(likeness_table *table, const likeness *a) {
  size_t at = hct_checksum(a, sizeof *a) & (table->slot_count - 1);
  for (; table->slots[at]; at = (at + 1) & (table->slot_count - 1))
    if (memcmp(&table->items[table->slots[at] - 1], a, sizeof *a) == 0) return table->slots[at];
  HCT_PUSH(table->arena, table, *a);
  return table->slots[at] = (uint32_t)table->count;
}

static void alike_find(machine *m, memo *known) {
  likeness_table table = {.arena = hct_arena_create(), .slot_count = 1};
  size_t all = 0;
  for (size_t s = 0; s < m->image->stream_count; s++) all += m->image->streams[s].count;
  while (table.slot_count < 2 * all + 1) table.slot_count *= 2;
  table.slots = HCT_NEW_ARRAY(table.arena, uint32_t, table.slot_count);
  for (size_t d = 0; d < m->die_count; d++) {
    const hct_stream *stream = m->dies[d].sequencer.stream;
    uint32_t **alike = &known->alike[stream - m->image->streams];
    if (*alike) continue;
    *alike = HCT_NEW_ARRAY(m->arena, uint32_t, stream->count + 1);
    for (size_t i = 0; i < stream->count; i++) {
      likeness a = likeness_of(&stream->items[i], &m->dies[d].code[i]);
      (*alike)[i] = likeness_number(&table, &a);
    }
  }
  hct_arena_destroy(table.arena);
}

/* Where the hash of the code that follows is less than those around, so that copies of code have the same; not in loops that are too short to look at. */
static void landmarks_find(machine *m, memo *known) {
  const hct_stream *stream = m->dies[0].sequencer.stream;
  const uint32_t *alike = known->alike[stream_of(m, &m->dies[0])];
  uint64_t *hashes = HCT_NEW_ARRAY(m->arena, uint64_t, stream->count + 1);
  size_t open[HCT_MAX_LOOPS], depth = 0, count = stream->count;
  for (size_t i = 0; i < count; i++) {
    uint8_t opcode = stream->items[i].opcode;
    bool handed_out = opcode != HCT_OP_LOOP && opcode != HCT_OP_END && opcode != HCT_OP_HALT;
    hashes[i] = handed_out && i + LANDMARK_LENGTH <= count ? hct_checksum(&alike[i], LANDMARK_LENGTH * sizeof *alike) : UINT64_MAX;
    if (opcode == HCT_OP_LOOP && depth < HCT_MAX_LOOPS) open[depth++] = i;
    if (opcode == HCT_OP_END && depth && i - open[--depth] <= LEAST_BODY)
      for (size_t inside = open[depth]; inside < i; inside++) hashes[inside] = UINT64_MAX;
  }
  known->landmarks = HCT_NEW_ARRAY(m->arena, bool, count + 1);
  for (size_t i = 0; i < count; i++) {
    bool least = hashes[i] != UINT64_MAX;
    for (size_t by = 1; least && by <= LANDMARK_DISTANCE; by++) least = (by > i || hashes[i - by] > hashes[i]) && (i + by >= count || hashes[i + by] >= hashes[i]);
    known->landmarks[i] = least;
  }
}

bool memo_landmark(const machine *m, uint32_t instr) { return m->memo && instr != NO_INSTR && m->memo->landmarks[instr]; }

memo *memo_create(machine *m) {
  memo *created = HCT_NEW(m->arena, memo);
  created->alike = HCT_NEW_ARRAY(m->arena, uint32_t *, m->image->stream_count + 1);
  created->code = HCT_NEW_ARRAY(m->arena, range, m->image->stream_count + 1);
  created->sequencers = HCT_NEW_ARRAY(m->arena, hct_sequencer, m->die_count);
  created->source_map = HCT_NEW_ARRAY(m->arena, uint32_t, m->stats->source_count + 1);
  alike_find(m, created);
  landmarks_find(m, created);
  return created;
}

/* ---- states ---- */
static node *node_of(machine *m, memo *known) {
  const words *state = &known->state;
  uint64_t checksum = hct_checksum(state->items, state->count * sizeof *state->items);
  node **bucket = &known->buckets[checksum % BUCKETS];
  for (node *n = *bucket; n; n = n->next)
    if (n->checksum == checksum && n->state.count == state->count && memcmp(n->state.items, state->items, state->count * sizeof *state->items) == 0) return n;
  if (known->words + state->count > MOST_WORDS) return NULL;
  node *n = HCT_NEW(m->arena, node);
  n->state = (words){HCT_NEW_ARRAY(m->arena, uint64_t, state->count), state->count, state->count};
  memcpy(n->state.items, state->items, state->count * sizeof *state->items);
  n->checksum = checksum, n->next = *bucket;
  known->words += state->count;
  return *bucket = n;
}

/* ---- recording ---- */
static void range_add(range *r, size_t from, size_t to) {
  if (from < r->from) r->from = from;
  if (to > r->to) r->to = to;
}

static void range_add_instr(range *r, uint32_t instr) {
  if (instr != NO_INSTR) range_add(r, instr, (size_t)instr + 1);
}

static void range_add_held(const machine *m, range *r, const die *d) {
  range_add(r, d->sequencer.position, d->sequencer.position);
  range_add_instr(r, d->started);
  for (uint32_t i = 0; i < d->ahead_count; i++) range_add_instr(r, d->ahead[(d->ahead_head + i) % AHEAD]);
  for (int e = 0; e < HCT_ENGINE_COUNT; e++)
    for (uint32_t i = 0; i < d->engines[e].count; i++) range_add_instr(r, d->queues[queue_at(m, d, e, i)]);
}

static void record_begin(machine *m, memo *known) {
  known->recording = true;
  known->from = known->at;
  known->base = state_base(m);
  known->now_ps = m->now_ps;
  counts_keep(m, &known->counts);
  known->spent += 4 * m->counts.total;
  for (size_t s = 0; s < m->image->stream_count; s++) known->code[s] = (range){SIZE_MAX, 0};
  for (size_t d = 0; d < m->die_count; d++) {
    hct_sequencer *s = &m->dies[d].sequencer;
    known->sequencers[d] = *s;
    s->lowest_closed = s->lowest_ended = HCT_MAX_LOOPS;
    s->furthest = s->position;
    range_add_held(m, &known->code[stream_of(m, &m->dies[d])], &m->dies[d]);
  }
}

/* Of one die: the loops that were open at the beginning, from the lowest that closed, with the iterations they had left; whether that one ended, and if not, how
 * many iterations it went on; then the loops that have begun since. */
static void loops_put(machine *m, transition *t, const hct_sequencer *begun, const hct_sequencer *s, range *code) {
  unsigned lowest = s->lowest_closed < begun->depth ? s->lowest_closed : begun->depth;
  bool stays = lowest < begun->depth && s->lowest_ended > lowest;
  words *w = &t->loops;
  HCT_PUSH(m->arena, w, begun->depth - lowest);
  HCT_PUSH(m->arena, w, stays);
  HCT_PUSH(m->arena, w, stays ? (uint64_t)(s->state.counter[lowest] - begun->state.counter[lowest]) : 0);
  for (unsigned l = lowest; l < begun->depth; l++) {
    HCT_PUSH(m->arena, w, begun->loops[l].body - t->base);
    HCT_PUSH(m->arena, w, (uint64_t)(begun->loops[l].trips - 1 - begun->state.counter[l]));
    range_add(code, begun->loops[l].body, begun->loops[l].body);
  }
  lowest += stays;
  HCT_PUSH(m->arena, w, s->depth - lowest);
  for (unsigned l = lowest; l < s->depth; l++) {
    HCT_PUSH(m->arena, w, s->loops[l].body - t->base);
    HCT_PUSH(m->arena, w, (uint64_t)s->loops[l].trips);
    HCT_PUSH(m->arena, w, (uint64_t)s->state.counter[l]);
  }
}

/* A trip count that depends on a counter, which is no part of what is compared. */
static bool reads_counter(const hct_stream *stream, range code) {
  for (size_t i = code.from; i < code.to; i++)
    for (int t = 0; stream->items[i].opcode == HCT_OP_LOOP && t < stream->items[i].values[0].term_count; t++)
      if (stream->items[i].values[0].terms[t].level < HCT_MAX_LOOPS) return true;
  return false;
}

static void column_put(machine *m, transition *t, const span *of, const uint64_t *before, column c) {
  size_t rows = of->count / (of->sources * of->fields), at = c.source * rows * of->fields + c.field;
  bool any = false, same = true;
  for (size_t d = 0; d < rows; d++) {
    uint64_t by = of->items[at + d * of->fields] - before[at + d * of->fields];
    if (d == 0) c.each = by;
    any |= by != 0, same &= by == c.each;
  }
  if (!any) return;
  if (!same) {
    c.of_die = HCT_NEW_ARRAY(m->arena, uint64_t, rows);
    for (size_t d = 0; d < rows; d++) c.of_die[d] = of->items[at + d * of->fields] - before[at + d * of->fields];
    m->memo->words += rows;
  }
  HCT_PUSH(m->arena, &t->columns, c);
  m->memo->words += sizeof c / sizeof(uint64_t);
}

static void columns_put(machine *m, transition *t, uint32_t number, const uint64_t *before) {
  const span *of = &m->counts.spans[number];
  size_t row = of->count / of->sources;
  for (uint32_t source = 0; source < of->sources; source++)
    for (uint32_t field = 0; field < of->fields && memcmp(of->items + source * row, before + source * row, row * sizeof *before); field++)
      column_put(m, t, of, before, (column){.span = number, .source = source, .field = field});
}

static void counts_put(machine *m, transition *t) {
  const uint64_t *before = m->memo->counts;
  size_t plain = 0;
  for (size_t s = 0; s < m->counts.span_count; s++) plain += m->counts.spans[s].sources ? 0 : m->counts.spans[s].count;
  uint64_t *into = t->plain = HCT_NEW_ARRAY(m->arena, uint64_t, plain);
  m->memo->words += plain;
  for (size_t d = 0; d < m->die_count; d++) machine_account(m, d);
  for (size_t s = 0; s < m->counts.span_count; s++) {
    const span *of = &m->counts.spans[s];
    if (of->sources) columns_put(m, t, (uint32_t)s, before);
    for (size_t i = 0; !of->sources && i < of->count; i++) *into++ = of->items[i] - before[i];
    before += of->count;
  }
}

static void record_end(machine *m, memo *known, unsigned again) {
  known->recording = false;
  if (!known->at || known->words > MOST_WORDS) return;
  transition *t = HCT_NEW(m->arena, transition);
  *t = (transition){.to = known->at, .base = known->base, .end_base = state_base(m), .elapsed_ps = m->now_ps - known->now_ps, .again = again, .depth = m->dies[0].sequencer.depth, .next = known->from->from_here};
  for (size_t d = 0; d < m->die_count; d++) {
    range *code = &known->code[stream_of(m, &m->dies[d])];
    loops_put(m, t, &known->sequencers[d], &m->dies[d].sequencer, code);
    range_add(code, m->dies[d].sequencer.position, m->dies[d].sequencer.furthest);
  }
  for (size_t s = 0; s < m->image->stream_count; s++)
    if (reads_counter(&m->image->streams[s], known->code[s])) return;
  t->code = HCT_NEW_ARRAY(m->arena, range, m->image->stream_count + 1);
  memcpy(t->code, known->code, m->image->stream_count * sizeof *t->code);
  counts_put(m, t);
  known->words += t->loops.count;
  known->from->from_here = t;
}

/* ---- replaying ---- */
static bool code_alike(const machine *m, const transition *t, size_t moved) {
  for (size_t s = 0; s < m->image->stream_count; s++) {
    if (t->code[s].from >= t->code[s].to) continue;
    size_t from = t->code[s].from + moved, count = t->code[s].to - t->code[s].from, all = m->image->streams[s].count;
    if (from > all || count > all - from || memcmp(&m->memo->alike[s][t->code[s].from], &m->memo->alike[s][from], count * sizeof(uint32_t))) return false;
  }
  return true;
}

/* Where the instructions of each source have gone; false: to several. */
static bool sources_moved(const machine *m, const transition *t, size_t moved) {
  uint32_t *map = m->memo->source_map;
  for (size_t s = 0; s <= m->stats->source_count; s++) map[s] = moved ? UINT32_MAX : (uint32_t)s;
  for (size_t s = 0; moved && s < m->image->stream_count; s++)
    for (size_t i = t->code[s].from; i < t->code[s].to; i++) {
      const hct_instr *instr = &m->image->streams[s].items[i], *there = &m->image->streams[s].items[i + moved];
      if (instr->engine == HCT_ENGINE_SEQ) continue;
      uint32_t *to = &map[instr->source];
      if (*to != UINT32_MAX && *to != there->source) return false;
      *to = there->source;
    }
  for (size_t c = 0; c < t->columns.count; c++)
    if (map[t->columns.items[c].source] == UINT32_MAX) return false;
  return true;
}

static bool loops_alike(const machine *m, const transition *t, size_t base) {
  const uint64_t *w = t->loops.items;
  for (size_t d = 0; d < m->die_count; d++) {
    const hct_sequencer *s = &m->dies[d].sequencer;
    uint64_t closed = *w++, stays = *w++, goes_on = *w++;
    if (s->depth < closed) return false;
    unsigned lowest = s->depth - (unsigned)closed;
    for (unsigned l = lowest; l < s->depth; l++) {
      uint64_t body = *w++, left = *w++, left_now = (uint64_t)(s->loops[l].trips - 1 - s->state.counter[l]);
      if (s->loops[l].body - base != body || (stays && l == lowest ? left_now < goes_on : left_now != left)) return false;
    }
    uint64_t begun = *w++;
    if (lowest + stays + begun > HCT_MAX_LOOPS) return false;
    w += 3 * begun;
  }
  return true;
}

static void loops_replay(machine *m, const transition *t, size_t base) {
  const uint64_t *w = t->loops.items;
  for (size_t d = 0; d < m->die_count; d++) {
    hct_sequencer *s = &m->dies[d].sequencer;
    uint64_t closed = *w++, stays = *w++, goes_on = *w++;
    w += 2 * closed;
    unsigned depth = s->depth - (unsigned)closed;
    if (stays) s->state.counter[depth++] += (int64_t)goes_on;
    for (uint64_t begun = *w++; begun; begun--, depth++) {
      s->loops[depth].body = (size_t)*w++ + base;
      s->loops[depth].trips = (int64_t)*w++;
      s->state.counter[depth] = (int64_t)*w++;
    }
    s->depth = depth;
    for (; depth < HCT_MAX_LOOPS; depth++) s->state.counter[depth] = 0;
  }
}

static void counts_replay(machine *m, const transition *t) {
  const uint64_t *plain = t->plain;
  for (size_t s = 0; s < m->counts.span_count; s++) {
    const span *of = &m->counts.spans[s];
    for (size_t i = 0; !of->sources && i < of->count; i++) of->items[i] += *plain++;
  }
  for (size_t i = 0; i < t->columns.count; i++) {
    const column *c = &t->columns.items[i];
    const span *of = &m->counts.spans[c->span];
    size_t rows = of->count / (of->sources * of->fields), at = m->memo->source_map[c->source] * rows * of->fields + c->field;
    for (size_t d = 0; d < rows; d++) of->items[at + d * of->fields] += c->of_die ? c->of_die[d] : c->each;
  }
}

/* Returns the loops of which the first die begins another iteration. */
static unsigned replay(machine *m, const transition *t, size_t moved) {
  for (size_t d = 0; d < m->die_count; d++) machine_account(m, d);
  uint64_t before = instructions_counted(m);
  counts_replay(m, t);
  m->result.skipped_instructions += instructions_counted(m) - before;
  m->now_ps += t->elapsed_ps;
  loops_replay(m, t, t->base + moved);
  state_restore(m, &t->to->state, t->end_base + moved);
  unsigned depth = m->dies[0].sequencer.depth;
  unsigned loops = t->again & (AT_LANDMARK - 1);
  return (t->again & AT_LANDMARK) | (depth >= t->depth ? loops << (depth - t->depth) : loops >> (t->depth - depth));
}

/* ---- */
static bool affordable(const machine *m) { return m->memo->spent / WORDS_AN_EVENT <= m->result.events; }

bool memo_arrive(machine *m, unsigned again) {
  memo *known = m->memo;
  if (!affordable(m)) {
    known->recording = false;
    return false;
  }
  state_write(m, &known->state);
  known->spent += 4 * known->state.count;
  known->at = node_of(m, known);
  if (known->recording) record_end(m, known, again);
  return known->at;
}

bool memo_replay(machine *m, unsigned *out_again) {
  size_t base = state_base(m);
  for (transition *t = m->memo->at->from_here; t; t = t->next) {
    size_t moved = base - t->base;
    if (!loops_alike(m, t, base) || (moved && !code_alike(m, t, moved)) || !sources_moved(m, t, moved)) continue;
    *out_again = replay(m, t, moved);
    return true;
  }
  record_begin(m, m->memo);
  return false;
}
