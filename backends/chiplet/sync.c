/* Order between engines. An item waits for the latest item of each other engine whose bytes it conflicts with, unless its engine has
 * waited for that one or a later one already (engines complete in order). For the ordered pair of engines (P, C) there is one
 * semaphore; tokens on it are produced and consumed in the same order, so the k-th token is the k-th producer's. A fence drains the
 * die: after it nothing is in flight and all semaphores are zero.
 *
 * In a loop, an item must also wait for what it conflicts with in the iteration before (or two before, for double buffers, whose copies
 * alternate). Those tokens have semaphores of their own, by pair and distance d, so that the k-th token stays the k-th producer's: each
 * starts with what d iterations take, credited before the loop by the producer, and drained after it by the consumer. So a loop's body
 * is net zero on every semaphore. */
#include <string.h>

#include "backends/chiplet/chiplet.h"

enum { MOST_ACCESSES = 16 };

static uint8_t semaphore_of(chiplet_stream *s, int distance, hct_engine producer, hct_engine consumer) {
  uint8_t *number = &s->semaphores[distance][producer][consumer];
  if (!*number) *number = ++s->semaphore_next;
  HCT_BUG_ON(*number > HCT_SEMAPHORES - HCT_RING_COUNT, "a die needs more than %d semaphores", HCT_SEMAPHORES);
  return (uint8_t)(*number - 1);
}

/* Whether the accesses, `later` `distance` iterations after `earlier`, touch different bytes although their ranges overlap: those of
 * different lanes, and pieces that move alike. */
static bool apart(const chiplet_access *earlier, const chiplet_access *later, int distance) {
  if (earlier->lane_of && earlier->lane_of == later->lane_of && earlier->lane != later->lane) return true;
  if (!earlier->moves || earlier->moves != later->moves) return false;
  int64_t moved = distance * later->moves;
  return earlier->at >= later->at_end + moved || later->at + moved >= earlier->at_end;
}

/* The latest of each engine of those whose accesses to the region conflict with `access`. */
static void latest_join(chiplet_latest latest[HCT_ENGINE_COUNT], const chiplet_region *region, const chiplet_access *access, int distance) {
  if (apart(&region->access, access, distance)) return;
  for (int producer = 0; producer < HCT_ENGINE_COUNT; producer++)
    for (int write = access->write ? 0 : 1; write < 2; write++)
      if (region->latest[producer][write].end > latest[producer].end) latest[producer] = region->latest[producer][write];
}

static void depend(chiplet_stream *s, chiplet_item *item, hct_engine engine, size_t access_count, const chiplet_access *accesses) {
  chiplet_latest latest[HCT_ENGINE_COUNT] = {{0}};
  for (size_t a = 0; a < access_count; a++) {
    hct_span_cursor cursor = {0};
    for (const chiplet_region *region; (region = chiplet_regions_next(&s->regions, &accesses[a], &cursor));) latest_join(latest, region, &accesses[a], 0);
  }
  for (int producer = 0; producer < HCT_ENGINE_COUNT; producer++) {
    if (producer == (int)engine || latest[producer].end <= s->synced[producer][engine]) continue;
    uint8_t semaphore = semaphore_of(s, 0, (hct_engine)producer, engine);
    chiplet_awaited awaited = {(hct_engine)producer, latest[producer].end - 1};
    HCT_PUSH(s->arena, &item->awaited, awaited);
    HCT_PUSH(s->arena, &s->items.items[latest[producer].item].signals, semaphore);
    HCT_PUSH(s->arena, &item->waits, semaphore);
    s->synced[producer][engine] = latest[producer].end;
  }
}

/* What computes reads whose turn it is, and what sends or receives writes it: so they wait for each other as for bytes, and computing does not wait for computing. */
static size_t turn_add(const chiplet_stream *s, hct_engine engine, size_t count, chiplet_access *accesses) {
  bool computes = engine == HCT_ENGINE_MXU || engine == HCT_ENGINE_VPU, moves = engine == HCT_ENGINE_LOAD || engine == HCT_ENGINE_STORE;
  if (s->takes_turns && !moves) accesses[count++] = (chiplet_access){.space = HCT_SPACE_NUMBER, .start = 0, .end = 1, .write = !computes};
  return count;
}

chiplet_item *chiplet_item_add(chiplet_stream *s, hct_engine engine, size_t own_count, const chiplet_access *own) {
  chiplet_access accesses[MOST_ACCESSES + 1];
  HCT_BUG_ON(own_count > MOST_ACCESSES, "an item of %zu accesses", own_count);
  for (size_t a = 0; a < own_count; a++) accesses[a] = own[a];
  size_t index = s->items.count, number = s->counts[engine]++, access_count = turn_add(s, engine, own_count, accesses);
  chiplet_item item = {.engine = engine, .number = number};
  depend(s, &item, engine, access_count, accesses);
  for (size_t a = 0; a < access_count; a++) HCT_PUSH(s->arena, &item.accesses, accesses[a]);
  HCT_PUSH(s->arena, &s->items, item);
  for (size_t a = 0; a < access_count; a++) /* what is written over: later items wait for the write, which waited for what was there */
    if (accesses[a].write && !accesses[a].lane_of && !accesses[a].moves) chiplet_regions_forget(&s->regions, &accesses[a]);
  for (size_t a = 0; a < access_count; a++)
    if (accesses[a].start < accesses[a].end) chiplet_regions_add(s->arena, &s->regions, &accesses[a], engine, number, index);
  return &s->items.items[index];
}

/* Most items are one instruction, and instructions are large. */
void chiplet_item_push(chiplet_stream *s, chiplet_item *item, hct_instr instr) {
  if (item->code.capacity == 0) {
    item->code.items = HCT_NEW(s->arena, hct_instr);
    item->code.capacity = 1;
  }
  HCT_PUSH(s->arena, &item->code, instr);
}

void chiplet_sequencer_add(chiplet_stream *s, hct_instr instr) {
  chiplet_item item = {.engine = HCT_ENGINE_SEQ};
  chiplet_item_push(s, &item, instr);
  HCT_PUSH(s->arena, &s->items, item);
}

void chiplet_fence(chiplet_stream *s) {
  bool any = false;
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) any |= s->counts[e] != 0;
  if (any) chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_FENCE, .engine = HCT_ENGINE_SEQ});
  chiplet_regions_clear(&s->regions);
  memset(s->counts, 0, sizeof s->counts);
  memset(s->synced, 0, sizeof s->synced);
}

/* ---- loops ---- */
/* What C knows of P's items of the iteration `distance` before, when it comes to one of its own. */
typedef struct carry {
  size_t known[HCT_ENGINE_COUNT][HCT_ENGINE_COUNT]; /* items, [producer][consumer]; SIZE_MAX: all */
  size_t tokens[HCT_ENGINE_COUNT][HCT_ENGINE_COUNT]; /* an iteration takes */
} carry;

/* Bytes of double buffers are met again after two iterations, all others after one. */
static int distance_of(const chiplet_access *earlier, const chiplet_access *later) { return earlier->twin && later->twin ? 2 : 1; }

static void carry_item(chiplet_stream *s, carry *c, int distance, const chiplet_regions *body, chiplet_item *item) {
  chiplet_latest latest[HCT_ENGINE_COUNT] = {{0}};
  for (size_t a = 0; a < item->awaited.count; a++) c->known[item->awaited.items[a].producer][item->engine] = SIZE_MAX; /* it completes in order */
  for (size_t a = 0; a < item->accesses.count; a++) {
    hct_span_cursor cursor = {0};
    for (const chiplet_region *region; (region = chiplet_regions_next(body, &item->accesses.items[a], &cursor));)
      if (distance_of(&region->access, &item->accesses.items[a]) == distance) latest_join(latest, region, &item->accesses.items[a], distance);
  }
  for (int p = 0; p < HCT_ENGINE_COUNT; p++) {
    if (p == (int)item->engine || latest[p].end <= c->known[p][item->engine]) continue;
    uint8_t semaphore = semaphore_of(s, distance, (hct_engine)p, item->engine);
    HCT_PUSH(s->arena, &s->items.items[latest[p].item].signals, semaphore);
    HCT_PUSH(s->arena, &item->waits, semaphore);
    c->known[p][item->engine] = latest[p].end;
    c->tokens[p][item->engine]++;
  }
}

/* Tokens of `count` on one semaphore, as syncs of at most 255. */
static void bulk_add(chiplet_stream *s, hct_engine engine, uint8_t semaphore, size_t count, bool wait) {
  while (count) {
    uint8_t part = count > UINT8_MAX ? UINT8_MAX : (uint8_t)count;
    hct_instr sync = {.opcode = HCT_OP_SYNC, .engine = (uint8_t)engine};
    if (wait) sync.waits[sync.wait_count++] = (hct_sync){semaphore, part};
    else sync.signals[sync.signal_count++] = (hct_sync){semaphore, part};
    chiplet_sequencer_add(s, sync);
    count -= part;
  }
}

static void bulks_add(chiplet_stream *s, const carry *carries, bool wait) {
  for (int distance = 1; distance <= 2; distance++)
    for (int p = 0; p < HCT_ENGINE_COUNT; p++)
      for (int q = 0; q < HCT_ENGINE_COUNT; q++) {
        size_t tokens = carries[distance].tokens[p][q] * (size_t)distance;
        if (tokens) bulk_add(s, (hct_engine)(wait ? q : p), (uint8_t)(s->semaphores[distance][p][q] - 1), tokens, wait);
      }
}

static void items_rotate(chiplet_stream *s, size_t from, size_t count) { /* the last `count` items to position `from` */
  chiplet_item *moved = HCT_NEW_ARRAY(s->arena, chiplet_item, count + 1);
  size_t kept = s->items.count - count - from;
  memcpy(moved, &s->items.items[s->items.count - count], count * sizeof *moved);
  memmove(&s->items.items[from + count], &s->items.items[from], kept * sizeof *moved);
  memcpy(&s->items.items[from], moved, count * sizeof *moved);
}

void chiplet_loop_carry(chiplet_stream *s, size_t loop, size_t first) {
  size_t end = s->items.count;
  chiplet_regions body = {0};
  for (size_t i = first; i < end; i++) {
    const chiplet_item *item = &s->items.items[i];
    for (size_t a = 0; a < item->accesses.count; a++) chiplet_regions_add(s->arena, &body, &item->accesses.items[a], item->engine, item->number, i);
  }
  carry carries[3];
  memset(carries, 0, sizeof carries);
  for (int distance = 1; distance <= 2; distance++) {
    /* what C knows of the last iteration when it ends it knows of the one before at the beginning of the next */
    if (distance == 2) memcpy(carries[2].known, carries[1].known, sizeof carries[2].known);
    for (size_t i = first; i < end; i++) carry_item(s, &carries[distance], distance, &body, &s->items.items[i]);
  }
  bulks_add(s, carries, false);
  items_rotate(s, loop, s->items.count - end);
  bulks_add(s, carries, true);
}

/* ---- flattening ---- */
static void emit_sync(chiplet_stream *s, hct_stream *out, const chiplet_item *item, bool wait, const uint8_t *semaphores, size_t count) {
  hct_instr sync = {.opcode = HCT_OP_SYNC, .engine = (uint8_t)item->engine, .source = item->code.count ? item->code.items[0].source : 0};
  for (size_t i = 0; i < count; i++) {
    if (wait) sync.waits[sync.wait_count++] = (hct_sync){semaphores[i], 1};
    else sync.signals[sync.signal_count++] = (hct_sync){semaphores[i], 1};
  }
  HCT_PUSH(s->arena, out, sync);
}

/* An item of one instruction bears its first waits and signals itself; what is over, and those of longer items, go to syncs. */
static void item_flatten(chiplet_stream *s, hct_stream *out, chiplet_item *item) {
  bool single = item->code.count == 1;
  size_t own_waits = single ? (item->waits.count < HCT_MAX_SYNCS ? item->waits.count : HCT_MAX_SYNCS) : 0;
  size_t own_signals = single ? (item->signals.count < HCT_MAX_SYNCS ? item->signals.count : HCT_MAX_SYNCS) : 0;
  for (size_t i = own_waits; i < item->waits.count; i += HCT_MAX_SYNCS)
    emit_sync(s, out, item, true, &item->waits.items[i], item->waits.count - i < HCT_MAX_SYNCS ? item->waits.count - i : HCT_MAX_SYNCS);
  for (size_t i = 0; i < item->code.count; i++) {
    hct_instr instr = item->code.items[i];
    for (size_t w = 0; w < own_waits; w++) instr.waits[instr.wait_count++] = (hct_sync){item->waits.items[w], 1};
    for (size_t g = 0; g < own_signals; g++) instr.signals[instr.signal_count++] = (hct_sync){item->signals.items[g], 1};
    HCT_PUSH(s->arena, out, instr);
  }
  for (size_t i = own_signals; i < item->signals.count; i += HCT_MAX_SYNCS)
    emit_sync(s, out, item, false, &item->signals.items[i], item->signals.count - i < HCT_MAX_SYNCS ? item->signals.count - i : HCT_MAX_SYNCS);
}

hct_stream chiplet_stream_finish(chiplet_stream *s) {
  hct_stream out = {0};
  for (size_t i = 0; i < s->items.count; i++) item_flatten(s, &out, &s->items.items[i]);
  hct_instr halt = {.opcode = HCT_OP_HALT, .engine = HCT_ENGINE_SEQ};
  HCT_PUSH(s->arena, &out, halt);
  return out;
}
