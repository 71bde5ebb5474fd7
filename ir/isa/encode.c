/* An instruction is a whole number of 64-bit little-endian words:
 *
 *          63        43 42  40 39 37 36  35    28 27  24 23  20 19   16 15      8 7      0
 *   word 0  0 (reserved) sigs   waits acc  fn       level  ring   engine (words)   opcode
 *   word 1  63..48 0 | 47..32 number of words | 31..0 source
 *   word 2  waits:   4 x (count 8, semaphore 8), first in the low bits
 *   word 3  signals: the same
 *   then    shape[0 .. dims-1], one word each
 *   then    each view: dtype (7..0), terms (15..8), 0 | base | stride[0 .. dims-1] | terms
 *   then    each value: terms (15..8), 0 | base | terms
 *   a term: kind (3..0), level (7..4), ring (11..8), minus (12), 0 (31..13), offset (63..32) | size (31..0), 0 | stride
 *
 * Bits 15..8 of word 0 are zero: the number of words has its place in word 1. */
#include "ir/isa/instr.h"

typedef struct word_writer {
  uint64_t *words;
  size_t count, capacity;
} word_writer;

static void put(word_writer *w, uint64_t word) {
  if (w->count < w->capacity) w->words[w->count] = word;
  w->count++;
}

static uint64_t syncs_pack(const hct_sync *syncs, uint8_t count) {
  uint64_t word = 0;
  for (int i = 0; i < count; i++) word |= ((uint64_t)syncs[i].semaphore | (uint64_t)syncs[i].count << 8) << (16 * i);
  return word;
}

static void term_words(word_writer *w, const hct_addr *addr) {
  for (int i = 0; i < addr->term_count; i++) {
    const hct_term *t = &addr->terms[i];
    put(w, (uint64_t)t->kind | (uint64_t)t->level << 4 | (uint64_t)t->ring << 8 | (uint64_t)(t->sign < 0) << 12 | (uint64_t)(uint32_t)t->offset << 32);
    put(w, (uint64_t)(uint32_t)t->size);
    put(w, (uint64_t)t->stride);
  }
}

size_t hct_instr_encode(const hct_instr *instr, uint64_t *out_words, size_t capacity) {
  const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
  HCT_BUG_ON(!info, "opcode %d", instr->opcode);
  word_writer w = {out_words, 0, capacity};
  put(&w, (uint64_t)instr->opcode | (uint64_t)instr->engine << 16 | (uint64_t)instr->ring << 20 | (uint64_t)instr->level << 24 | (uint64_t)instr->fn << 28 |
              (uint64_t)instr->accumulate << 36 | (uint64_t)instr->wait_count << 37 | (uint64_t)instr->signal_count << 40);
  put(&w, 0);
  put(&w, syncs_pack(instr->waits, instr->wait_count));
  put(&w, syncs_pack(instr->signals, instr->signal_count));
  for (int d = 0; d < info->dims; d++) put(&w, (uint64_t)instr->shape[d]);
  for (int v = 0; v < info->view_count; v++) {
    const hct_view *view = &instr->views[v];
    put(&w, (uint64_t)view->dtype | (uint64_t)view->addr.term_count << 8);
    put(&w, (uint64_t)view->addr.base);
    for (int d = 0; d < info->dims; d++) put(&w, (uint64_t)view->stride[d]);
    term_words(&w, &view->addr);
  }
  for (int v = 0; v < info->value_count; v++) {
    put(&w, (uint64_t)instr->values[v].term_count << 8);
    put(&w, (uint64_t)instr->values[v].base);
    term_words(&w, &instr->values[v]);
  }
  if (w.count > capacity) return 0;
  out_words[1] = (uint64_t)instr->source | (uint64_t)w.count << 32;
  return w.count;
}
