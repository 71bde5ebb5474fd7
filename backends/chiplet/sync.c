/* Order between engines. An item waits for the latest item of each other engine whose bytes it conflicts with, unless its engine has
 * waited for that one or a later one already (engines complete in order). For the ordered pair of engines (P, C) there is one
 * semaphore; tokens on it are produced and consumed in the same order, so the k-th token is the k-th producer's. A fence drains the
 * die: after it nothing is in flight and all semaphores are zero, which is also what makes a loop's body net zero. */
#include <string.h>

#include "backends/chiplet/chiplet.h"

static uint8_t semaphore_of(hct_engine producer, hct_engine consumer) { return (uint8_t)((int)producer * HCT_ENGINE_COUNT + (int)consumer); }

static bool conflicts(const chiplet_access *a, const chiplet_access *b) {
  return a->space == b->space && (a->write || b->write) && a->start < b->end && b->start < a->end;
}

static void depend(chiplet_stream *s, chiplet_item *item, hct_engine engine, size_t access_count, const chiplet_access *accesses) {
  const chiplet_record *latest[HCT_ENGINE_COUNT] = {NULL};
  for (size_t r = 0; r < s->records.count; r++) {
    const chiplet_record *record = &s->records.items[r];
    if (record->engine == engine || record->number < s->synced[record->engine][engine]) continue;
    if (latest[record->engine] && latest[record->engine]->number >= record->number) continue;
    for (size_t a = 0; a < access_count; a++)
      if (conflicts(&record->access, &accesses[a])) latest[record->engine] = record;
  }
  for (int producer = 0; producer < HCT_ENGINE_COUNT; producer++) {
    if (!latest[producer]) continue;
    uint8_t semaphore = semaphore_of((hct_engine)producer, engine);
    HCT_PUSH(s->arena, &s->items.items[latest[producer]->item].signals, semaphore);
    HCT_PUSH(s->arena, &item->waits, semaphore);
    s->synced[producer][engine] = latest[producer]->number + 1;
  }
}

chiplet_item *chiplet_item_add(chiplet_stream *s, hct_engine engine, size_t access_count, const chiplet_access *accesses) {
  chiplet_item item = {.engine = engine};
  size_t index = s->items.count, number = s->counts[engine]++;
  depend(s, &item, engine, access_count, accesses);
  HCT_PUSH(s->arena, &s->items, item);
  for (size_t a = 0; a < access_count; a++) {
    if (accesses[a].start >= accesses[a].end) continue;
    chiplet_record record = {engine, number, index, accesses[a]};
    HCT_PUSH(s->arena, &s->records, record);
  }
  return &s->items.items[index];
}

void chiplet_item_push(chiplet_stream *s, chiplet_item *item, hct_instr instr) { HCT_PUSH(s->arena, &item->code, instr); }

void chiplet_sequencer_add(chiplet_stream *s, hct_instr instr) {
  chiplet_item item = {.engine = HCT_ENGINE_SEQ};
  chiplet_item_push(s, &item, instr);
  HCT_PUSH(s->arena, &s->items, item);
}

void chiplet_fence(chiplet_stream *s) {
  bool any = false;
  for (int e = 0; e < HCT_ENGINE_COUNT; e++) any |= s->counts[e] != 0;
  if (any) chiplet_sequencer_add(s, (hct_instr){.opcode = HCT_OP_FENCE, .engine = HCT_ENGINE_SEQ});
  s->records.count = 0;
  memset(s->counts, 0, sizeof s->counts);
  memset(s->synced, 0, sizeof s->synced);
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
