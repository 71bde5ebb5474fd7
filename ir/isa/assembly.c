/* One instruction as one line of text, fields separated by blanks:
 *
 *   mm acc shape=16,8,4 c=f32:256:8,1,0 a=f32:0+loop(0,+,0,2)*512:4,0,1 b=f32:1024:0,1,8 wait=3:1 signal=4:1 src=7
 *
 * An operand is dtype:address:strides, a value v0=address; an address is a number and terms
 * +loop(level,sign,offset,size)*stride, +ring(ring,level,sign,offset)*stride (level - when no counter), +index(ring)*stride. */
#include <stdlib.h>
#include <string.h>

#include "ir/isa/instr.h"

static const char *const ring_names[HCT_RING_COUNT] = {"row", "col", "flat0", "flat1"};

/* ---- printing ---- */
static void addr_print(const hct_addr *addr, hct_text *text) {
  hct_text_printf(text, "%lld", (long long)addr->base);
  for (int i = 0; i < addr->term_count; i++) {
    const hct_term *t = &addr->terms[i];
    char level[8] = "-";
    if (t->level != HCT_NO_LEVEL) snprintf(level, sizeof level, "%d", t->level);
    char sign = t->sign < 0 ? '-' : '+';
    if (t->kind == HCT_TERM_LOOP) hct_text_printf(text, "+loop(%s,%c,%d,%d)", level, sign, t->offset, t->size);
    else if (t->kind == HCT_TERM_RING) hct_text_printf(text, "+ring(%s,%s,%c,%d)", ring_names[t->ring], level, sign, t->offset);
    else hct_text_printf(text, "+index(%s)", ring_names[t->ring]);
    hct_text_printf(text, "*%lld", (long long)t->stride);
  }
}

static void numbers_print(const int64_t *numbers, int count, hct_text *text) {
  for (int d = 0; d < count; d++) hct_text_printf(text, "%s%lld", d ? "," : "", (long long)numbers[d]);
}

static void syncs_print(const char *name, const hct_sync *syncs, int count, hct_text *text) {
  if (count) hct_text_printf(text, " %s=", name);
  for (int i = 0; i < count; i++) hct_text_printf(text, "%s%d:%d", i ? "," : "", syncs[i].semaphore, syncs[i].count);
}

void hct_instr_print(const hct_instr *instr, hct_text *text) {
  const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
  HCT_BUG_ON(!info, "opcode %d", instr->opcode);
  hct_text_printf(text, "%s", info->mnemonic);
  const hct_function_info *fn = hct_function_lookup(info->function_table, instr->fn);
  if (fn) hct_text_printf(text, " fn=%s", fn->name);
  if (instr->opcode == HCT_OP_SYNC) hct_text_printf(text, " engine=%s", hct_engine_name((hct_engine)instr->engine));
  if (instr->opcode == HCT_OP_SEND || instr->opcode == HCT_OP_RECV || instr->opcode == HCT_OP_RECVR) hct_text_printf(text, " ring=%s", ring_names[instr->ring]);
  if (instr->opcode == HCT_OP_LOOP || instr->opcode == HCT_OP_END) hct_text_printf(text, " level=%d", instr->level);
  if (instr->accumulate) hct_text_printf(text, " acc");
  if (info->dims) hct_text_printf(text, " shape=");
  numbers_print(instr->shape, info->dims, text);
  for (int v = 0; v < info->view_count; v++) {
    hct_text_printf(text, " %s=%s:", info->views[v].name, hct_dtype_name(instr->views[v].dtype));
    addr_print(&instr->views[v].addr, text);
    hct_text_printf(text, ":");
    numbers_print(instr->views[v].stride, info->dims, text);
  }
  for (int v = 0; v < info->value_count; v++) {
    hct_text_printf(text, " v%d=", v);
    addr_print(&instr->values[v], text);
  }
  syncs_print("wait", instr->waits, instr->wait_count, text);
  syncs_print("signal", instr->signals, instr->signal_count, text);
  if (instr->source) hct_text_printf(text, " src=%u", instr->source);
}

/* ---- parsing ---- */
static bool int_read(const char **at, int64_t *out_value) {
  char *end;
  long long value = strtoll(*at, &end, 10);
  if (end == *at) return false;
  *at = end;
  *out_value = value;
  return true;
}

static bool literal(const char **at, const char *text) {
  size_t length = strlen(text);
  if (strncmp(*at, text, length) != 0) return false;
  *at += length;
  return true;
}

static bool ring_read(const char **at, uint8_t *out_ring) {
  for (uint8_t ring = 0; ring < HCT_RING_COUNT; ring++)
    if (literal(at, ring_names[ring])) return *out_ring = ring, true;
  return false;
}

static bool level_read(const char **at, uint8_t *out_level) {
  int64_t level = HCT_NO_LEVEL;
  if (!literal(at, "-") && (!int_read(at, &level) || level < 0 || level >= HCT_MAX_LOOPS)) return false;
  *out_level = (uint8_t)level;
  return true;
}

static bool counted_read(const char **at, hct_term *term) { /* level,sign,offset */
  int64_t offset;
  if (!level_read(at, &term->level) || !literal(at, ",")) return false;
  term->sign = **at == '-' ? -1 : 1;
  if ((**at != '-' && **at != '+') || (++*at, !literal(at, ",")) || !int_read(at, &offset)) return false;
  term->offset = (int32_t)offset;
  return offset == term->offset;
}

static bool term_read(const char **at, hct_term *term) {
  int64_t size = 0;
  *term = (hct_term){.sign = 1, .level = HCT_NO_LEVEL};
  if (literal(at, "+loop(")) {
    term->kind = HCT_TERM_LOOP;
    if (!counted_read(at, term) || !literal(at, ",") || !int_read(at, &size) || size < 0 || size > INT32_MAX || term->level == HCT_NO_LEVEL) return false;
    term->size = (int32_t)size;
  } else if (literal(at, "+ring(")) {
    term->kind = HCT_TERM_RING;
    if (!ring_read(at, &term->ring) || !literal(at, ",") || !counted_read(at, term)) return false;
  } else if (literal(at, "+index(")) {
    term->kind = HCT_TERM_INDEX;
    if (!ring_read(at, &term->ring)) return false;
  } else {
    return false;
  }
  return literal(at, ")*") && int_read(at, &term->stride);
}

static bool addr_read(hct_arena *arena, const char **at, hct_addr *addr) {
  hct_term term;
  *addr = (hct_addr){0};
  if (!int_read(at, &addr->base)) return false;
  while (**at == '+') {
    if (addr->term_count == HCT_MAX_TERMS || !term_read(at, &term)) return false;
    hct_addr_add(arena, addr, term);
  }
  return true;
}

static bool numbers_read(const char **at, int64_t *numbers, int count) {
  for (int d = 0; d < count; d++)
    if ((d && !literal(at, ",")) || !int_read(at, &numbers[d])) return false;
  return true;
}

static bool syncs_read(const char **at, hct_sync *syncs, uint8_t *count) {
  do {
    int64_t semaphore, amount;
    if (*count == HCT_MAX_SYNCS || !int_read(at, &semaphore) || !literal(at, ":") || !int_read(at, &amount)) return false;
    if (semaphore < 0 || semaphore >= HCT_SEMAPHORES || amount < 1 || amount > 255) return false;
    syncs[(*count)++] = (hct_sync){(uint8_t)semaphore, (uint8_t)amount};
  } while (literal(at, ","));
  return true;
}

static bool view_read(hct_arena *arena, const char **at, const hct_opcode_info *info, hct_view *view) {
  char name[16] = {0};
  size_t length = strcspn(*at, ":");
  if (length >= sizeof name) return false;
  memcpy(name, *at, length);
  *at += length;
  return hct_dtype_parse(name, &view->dtype) && literal(at, ":") && addr_read(arena, at, &view->addr) && literal(at, ":") && numbers_read(at, view->stride, info->dims);
}

static bool field_read(hct_arena *arena, const char **at, const hct_opcode_info *info, hct_instr *instr, unsigned *views_seen) {
  int64_t number;
  if (literal(at, "acc")) return instr->accumulate = true;
  if (literal(at, "shape=")) return numbers_read(at, instr->shape, info->dims);
  if (literal(at, "wait=")) return syncs_read(at, instr->waits, &instr->wait_count);
  if (literal(at, "signal=")) return syncs_read(at, instr->signals, &instr->signal_count);
  if (literal(at, "ring=")) return ring_read(at, &instr->ring);
  if (literal(at, "level=")) return level_read(at, &instr->level);
  if (literal(at, "src=")) return int_read(at, &number) && number >= 0 && number <= UINT32_MAX && ((instr->source = (uint32_t)number), true);
  if (literal(at, "engine=") || literal(at, "fn=")) {
    char name[32] = {0};
    bool engine = (*at)[-2] == 'e';
    size_t length = strcspn(*at, " ");
    if (length >= sizeof name) return false;
    memcpy(name, *at, length);
    *at += length;
    if (!engine) {
      const hct_function_info *fn = hct_function_by_name(info->function_table, name);
      return fn && (instr->fn = fn->code) != 0;
    }
    for (uint8_t e = 0; e < HCT_ENGINE_COUNT; e++)
      if (!strcmp(hct_engine_name((hct_engine)e), name)) return instr->engine = e, true;
    return false;
  }
  for (int v = 0; v < info->value_count; v++) {
    char key[8];
    snprintf(key, sizeof key, "v%d=", v);
    if (literal(at, key)) return *views_seen |= 1u << (16 + v), addr_read(arena, at, &instr->values[v]);
  }
  size_t length = strcspn(*at, "= ");
  for (int v = 0; v < info->view_count; v++)
    if (strlen(info->views[v].name) == length && !strncmp(info->views[v].name, *at, length) && (*at)[length] == '=') {
      *at += length + 1;
      *views_seen |= 1u << v;
      return view_read(arena, at, info, &instr->views[v]);
    }
  return false;
}

/* The checks of the decoder, by encoding and decoding: one place says what is legal. */
static hct_status check_legal(hct_diags *diags, hct_arena *arena, hct_loc loc, const hct_instr *instr) {
  uint64_t words[HCT_MAX_INSTR_WORDS];
  size_t count = hct_instr_encode(instr, words, HCT_COUNT(words)), position = 0;
  hct_instr again;
  return hct_instr_decode(diags, arena, loc, words, count, &position, &again);
}

hct_status hct_instr_parse(hct_diags *diags, hct_arena *arena, hct_loc loc, const char *line, hct_instr *out_instr) {
  const char *at = line + strspn(line, " ");
  char mnemonic[16] = {0};
  size_t length = strcspn(at, " ");
  if (length < sizeof mnemonic) memcpy(mnemonic, at, length);
  const hct_opcode_info *info = hct_opcode_by_mnemonic(mnemonic);
  if (!info) return hct_error(diags, HCT_E_ASSEMBLY, loc, "'%.*s' is no instruction", (int)length, at);
  hct_instr instr = hct_instr_make(arena, info->code);
  unsigned seen = 0, wanted = ((1u << info->view_count) - 1) | ((1u << info->value_count) - 1) << 16;
  for (at += length; *(at += strspn(at, " ")); ) {
    const char *field = at;
    if (!field_read(arena, &at, info, &instr, &seen) || (*at && *at != ' '))
      return hct_error(diags, HCT_E_ASSEMBLY, loc, "'%s': field '%.*s' is not understood", mnemonic, (int)strcspn(field, " "), field);
  }
  if (seen != wanted) return hct_error(diags, HCT_E_ASSEMBLY, loc, "'%s': an operand is missing", mnemonic);
  if (instr.opcode == HCT_OP_SEND) instr.engine = (uint8_t)(HCT_ENGINE_SEND0 + 2 * instr.ring);
  if (instr.opcode == HCT_OP_RECV || instr.opcode == HCT_OP_RECVR) instr.engine = (uint8_t)(HCT_ENGINE_RECV0 + 2 * instr.ring);
  HCT_TRY(check_legal(diags, arena, loc, &instr));
  *out_instr = instr;
  return HCT_OK;
}
