#include <string.h>

#include "ir/isa/instr.h"

typedef struct word_reader {
  hct_arena *arena; /* of what is read */
  const uint64_t *words;
  size_t count, position;
  bool failed;
  const char *why;
} word_reader;

static uint64_t take(word_reader *r) {
  if (r->position == r->count) {
    if (!r->failed) r->why = "it is cut short";
    r->failed = true;
    return 0;
  }
  return r->words[r->position++];
}

static void need(word_reader *r, bool fits, const char *why) {
  if (fits || r->failed) return;
  r->failed = true;
  r->why = why;
}

static uint64_t bits(uint64_t word, unsigned low, unsigned width) { return word >> low & ((UINT64_C(1) << width) - 1); }

static void syncs_take(word_reader *r, hct_sync *syncs, uint8_t count) {
  uint64_t word = take(r);
  need(r, count <= HCT_MAX_SYNCS, "it has more than four waits or signals");
  for (unsigned i = 0; i < HCT_MAX_SYNCS; i++) {
    hct_sync sync = {(uint8_t)bits(word, 16 * i, 8), (uint8_t)bits(word, 16 * i + 8, 8)};
    if (i >= count) need(r, !sync.semaphore && !sync.count, "reserved bits of its waits or signals are set");
    else need(r, sync.semaphore < HCT_SEMAPHORES && sync.count > 0, "a semaphore or its count is out of range");
    if (i < count && !r->failed) syncs[i] = sync;
  }
}

static void term_take(word_reader *r, hct_term *term) {
  uint64_t head = take(r), size = take(r), stride = take(r);
  *term = (hct_term){.kind = (uint8_t)bits(head, 0, 4), .level = (uint8_t)bits(head, 4, 4), .ring = (uint8_t)bits(head, 8, 4),
                     .sign = bits(head, 12, 1) ? -1 : 1, .offset = (int32_t)(uint32_t)bits(head, 32, 32), .size = (int32_t)(uint32_t)bits(size, 0, 32), .stride = (int64_t)stride};
  need(r, term->kind >= HCT_TERM_LOOP && term->kind <= HCT_TERM_INDEX, "an address term is of no known kind");
  need(r, bits(head, 13, 19) == 0 && bits(size, 32, 32) == 0, "reserved bits of an address term are set");
  need(r, term->level < HCT_MAX_LOOPS || term->level == HCT_NO_LEVEL, "an address term names no loop level");
  need(r, term->kind != HCT_TERM_LOOP || term->level < HCT_MAX_LOOPS, "an address term names no loop level");
  need(r, term->ring < HCT_RING_COUNT, "an address term names no ring");
  need(r, term->size >= 0, "an address term has a negative size");
}

static void addr_take(word_reader *r, uint64_t terms, const int dims, int64_t *stride, hct_addr *addr) {
  addr->base = (int64_t)take(r);
  for (int d = 0; d < dims; d++) {
    stride[d] = (int64_t)take(r);
    need(r, stride[d] >= -HCT_MAX_STRIDE && stride[d] <= HCT_MAX_STRIDE, "a stride is out of range");
  }
  need(r, terms <= HCT_MAX_TERMS, "an operand has more than eight address terms");
  addr->term_count = r->failed ? 0 : (uint8_t)terms;
  hct_term *read = addr->term_count ? HCT_NEW_ARRAY(r->arena, hct_term, addr->term_count) : NULL;
  for (int i = 0; i < addr->term_count; i++) term_take(r, &read[i]);
  addr->terms = read;
}

static void operands_take(word_reader *r, const hct_opcode_info *info, hct_instr *instr) {
  for (int d = 0; d < info->dims; d++) {
    instr->shape[d] = (int64_t)take(r);
    need(r, instr->shape[d] >= 0 && instr->shape[d] <= INT32_MAX, "an extent is out of range");
  }
  for (int v = 0; v < info->view_count; v++) {
    uint64_t head = take(r);
    instr->views[v].dtype = (hct_dtype)bits(head, 0, 8);
    need(r, hct_dtype_bytes(instr->views[v].dtype) != 0, "an operand is of no known element type");
    need(r, info->views[v].space != HCT_SPACE_NUMBER || instr->views[v].dtype == HCT_I64, "an operand that is numbers is not of i64");
    need(r, bits(head, 16, 48) == 0, "reserved bits of an operand are set");
    addr_take(r, bits(head, 8, 8), info->dims, instr->views[v].stride, &instr->views[v].addr);
  }
  for (int v = 0; v < info->value_count; v++) {
    uint64_t head = take(r);
    need(r, bits(head, 0, 8) == 0 && bits(head, 16, 48) == 0, "reserved bits of a value are set");
    addr_take(r, bits(head, 8, 8), 0, NULL, &instr->values[v]);
  }
}

static void engine_check(word_reader *r, const hct_opcode_info *info, const hct_instr *instr) {
  bool send = instr->opcode == HCT_OP_SEND, receive = instr->opcode == HCT_OP_RECV || instr->opcode == HCT_OP_RECVR;
  if (send || receive) {
    need(r, instr->ring < HCT_RING_COUNT, "it names no ring");
    need(r, instr->engine == (send ? HCT_ENGINE_SEND0 : HCT_ENGINE_RECV0) + 2 * instr->ring, "its engine is not that of its ring");
  } else if (instr->opcode == HCT_OP_SYNC) {
    need(r, instr->engine > HCT_ENGINE_SEQ && instr->engine < HCT_ENGINE_COUNT && instr->ring == 0, "it names no engine");
  } else {
    need(r, instr->engine == info->engine && instr->ring == 0, "its engine is not that of the opcode");
  }
  bool loop = instr->opcode == HCT_OP_LOOP || instr->opcode == HCT_OP_END;
  need(r, loop ? instr->level < HCT_MAX_LOOPS : instr->level == 0, "its loop level is out of range");
  bool has_functions = strcmp(info->function_table, "NONE") != 0;
  need(r, has_functions ? hct_function_lookup(info->function_table, instr->fn) != NULL : instr->fn == 0, "it names no sub-operation");
  bool may_accumulate = false;
  for (int v = 0; v < info->view_count; v++) may_accumulate |= info->views[v].access == HCT_ACCESS_IF_ACCUMULATE;
  need(r, may_accumulate || !instr->accumulate, "it cannot accumulate");
  need(r, instr->engine != HCT_ENGINE_SEQ || (instr->wait_count == 0 && instr->signal_count == 0), "a sequencer instruction waits or signals");
}

hct_status hct_instr_decode(hct_diags *diags, hct_arena *arena, hct_loc loc, const uint64_t *words, size_t count, size_t *position, hct_instr *out_instr) {
  word_reader r = {.arena = arena, .words = words, .count = count, .position = *position};
  uint64_t head = take(&r), second = take(&r);
  uint8_t opcode = (uint8_t)bits(head, 0, 8);
  const hct_opcode_info *info = hct_opcode_lookup(opcode);
  if (!r.failed && !info) return hct_error(diags, HCT_E_STREAM, loc, "word %zu: 0x%02x is no instruction code", *position, opcode);
  hct_instr operands = info ? hct_instr_make(arena, opcode) : (hct_instr){0};
  hct_instr instr = {
      .opcode = opcode, .engine = (uint8_t)bits(head, 16, 4), .ring = (uint8_t)bits(head, 20, 4), .level = (uint8_t)bits(head, 24, 4),
      .fn = (uint8_t)bits(head, 28, 8), .accumulate = bits(head, 36, 1) != 0, .wait_count = (uint8_t)bits(head, 37, 3),
      .signal_count = (uint8_t)bits(head, 40, 3), .source = (uint32_t)bits(second, 0, 32),
      .views = operands.views, .values = operands.values,
  };
  need(&r, bits(head, 8, 8) == 0 && bits(head, 43, 21) == 0 && bits(second, 48, 16) == 0, "reserved bits are set");
  syncs_take(&r, instr.waits, instr.wait_count);
  syncs_take(&r, instr.signals, instr.signal_count);
  if (!r.failed) operands_take(&r, info, &instr);
  if (!r.failed) engine_check(&r, info, &instr);
  need(&r, bits(second, 32, 16) == r.position - *position, "its length is not what its opcode needs");
  if (r.failed) return hct_error(diags, HCT_E_STREAM, loc, "word %zu: instruction '%s': %s", *position, info ? info->mnemonic : "?", r.why);
  *position = r.position;
  *out_instr = instr;
  return HCT_OK;
}
