#include <string.h>

#include "ir/isa/instr.h"
#include "ir/isa/settings.h"

/* ---- instructions, from isa.def ---- */
#define HCT_ENGINE_ANY HCT_ENGINE_COUNT
#define HCT_ENGINE_SEND HCT_ENGINE_COUNT
#define HCT_ENGINE_RECV HCT_ENGINE_COUNT
#define HCT_SPACE_S HCT_SPACE_SRAM
#define HCT_SPACE_D HCT_SPACE_DRAM
#define HCT_SPACE_N HCT_SPACE_NUMBER
#define HCT_ACCESS_R HCT_ACCESS_READ
#define HCT_ACCESS_W HCT_ACCESS_WRITE
#define HCT_ACCESS_M HCT_ACCESS_MODIFY
#define HCT_ACCESS_I HCT_ACCESS_IF_ACCUMULATE
#define HCT_VIEW(name, space, access) {#name, HCT_SPACE_##space, HCT_ACCESS_##access}
#define HCT_VIEWS_0 .view_count = 0
#define HCT_VIEWS_1(a) .view_count = 1, .views = {a}
#define HCT_VIEWS_2(a, b) .view_count = 2, .views = {a, b}
#define HCT_VIEWS_3(a, b, c) .view_count = 3, .views = {a, b, c}
#define HCT_VIEWS_4(a, b, c, d) .view_count = 4, .views = {a, b, c, d}
#define HCT_VIEWS_5(a, b, c, d, e) .view_count = 5, .views = {a, b, c, d, e}
#define HCT_VIEWS_6(a, b, c, d, e, f) .view_count = 6, .views = {a, b, c, d, e, f}
#define HCT_INSTR(name_, code_, mnemonic_, engine_, dims_, views_, values_, functions_, text_)                                      \
  {.code = code_, .name = #name_, .mnemonic = mnemonic_, .text = text_, .function_table = #functions_, .engine = HCT_ENGINE_##engine_, \
   .dims = dims_, .value_count = values_, views_},

static const hct_opcode_info opcodes[] = {
#include "ir/isa/isa.def"
};
#undef HCT_INSTR
#undef HCT_VIEW

#define HCT_VIEW(name, space, access)
#define HCT_INSTR(name_, code_, mnemonic_, engine_, dims_, views_, values_, functions_, text_) INDEX_##name_,
enum {
#include "ir/isa/isa.def"
};
#undef HCT_INSTR
#define HCT_INSTR(name_, code_, mnemonic_, engine_, dims_, views_, values_, functions_, text_) [code_] = INDEX_##name_ + 1,
static const uint8_t index_of[UINT8_MAX + 1] = {
#include "ir/isa/isa.def"
};
#undef HCT_INSTR
#undef HCT_VIEW

size_t hct_opcode_count(void) { return HCT_COUNT(opcodes); }
const hct_opcode_info *hct_opcode_at(size_t index) { return &opcodes[index]; }

const hct_opcode_info *hct_opcode_lookup(uint8_t code) {
  return index_of[code] ? &opcodes[index_of[code] - 1] : NULL;
}

int64_t hct_view_unit(const hct_opcode_info *info, int view, hct_dtype dtype) { return info->views[view].space == HCT_SPACE_NUMBER ? 1 : (int64_t)hct_dtype_bytes(dtype); }

const hct_opcode_info *hct_opcode_by_mnemonic(const char *mnemonic) {
  for (size_t i = 0; i < HCT_COUNT(opcodes); i++)
    if (!strcmp(opcodes[i].mnemonic, mnemonic)) return &opcodes[i];
  return NULL;
}

/* ---- sub-operations ---- */
static const hct_function_info functions[] = {
#define HCT_FN(table, name, code, text, cost, meaning) {#table, text, meaning, code, HCT_COST_##cost},
#include "ir/isa/isa_functions.def"
#undef HCT_FN
};

const hct_function_info *hct_function_lookup(const char *table, uint8_t code) {
  for (size_t i = 0; i < HCT_COUNT(functions); i++)
    if (functions[i].code == code && !strcmp(functions[i].table, table)) return &functions[i];
  return NULL;
}

const hct_function_info *hct_function_by_name(const char *table, const char *name) {
  for (size_t i = 0; i < HCT_COUNT(functions); i++)
    if (!strcmp(functions[i].table, table) && !strcmp(functions[i].name, name)) return &functions[i];
  return NULL;
}

int64_t hct_opcode_run(uint8_t code, int view) {
  enum { SETTINGS = 4 };
  return code == HCT_OP_UPDATE && view == SETTINGS ? HCT_SETTING_COUNT : 1;
}

/* ---- engines ---- */
const char *hct_engine_name(hct_engine engine) {
  static const char *const names[HCT_ENGINE_COUNT] = {"seq", "mxu", "vpu", "load", "store", "send.row", "recv.row", "send.col", "recv.col", "send.flat0", "recv.flat0", "send.flat1", "recv.flat1"};
  return engine < HCT_ENGINE_COUNT ? names[engine] : "?";
}

/* ---- instructions and their operands ---- */
hct_instr hct_instr_make(hct_arena *arena, uint8_t opcode) {
  const hct_opcode_info *info = hct_opcode_lookup(opcode);
  hct_instr instr = {.opcode = opcode, .engine = (uint8_t)(info->engine == HCT_ENGINE_COUNT ? 0 : info->engine)};
  if (info->view_count) instr.views = HCT_NEW_ARRAY(arena, hct_view, info->view_count);
  if (info->value_count) instr.values = HCT_NEW_ARRAY(arena, hct_addr, info->value_count);
  return instr;
}

static void addr_copy(hct_arena *arena, hct_addr *addr) {
  hct_term *terms = addr->term_count ? HCT_NEW_ARRAY(arena, hct_term, addr->term_count) : NULL;
  if (terms) memcpy(terms, addr->terms, addr->term_count * sizeof *terms);
  addr->terms = terms;
}

hct_instr hct_instr_copy(hct_arena *arena, const hct_instr *instr) {
  const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
  hct_instr made = hct_instr_make(arena, instr->opcode), copy = *instr;
  copy.views = made.views, copy.values = made.values;
  for (int v = 0; v < info->view_count; v++) {
    copy.views[v] = instr->views[v];
    addr_copy(arena, &copy.views[v].addr);
  }
  for (int v = 0; v < info->value_count; v++) {
    copy.values[v] = instr->values[v];
    addr_copy(arena, &copy.values[v]);
  }
  return copy;
}

void hct_addr_add(hct_arena *arena, hct_addr *addr, hct_term term) {
  HCT_BUG_ON(addr->term_count == HCT_MAX_TERMS, "an address of more than %d terms", HCT_MAX_TERMS);
  hct_term *terms = HCT_NEW_ARRAY(arena, hct_term, addr->term_count + 1u);
  if (addr->term_count) memcpy(terms, addr->terms, addr->term_count * sizeof *terms);
  terms[addr->term_count++] = term;
  addr->terms = terms;
}

/* ---- addresses ---- */
static int64_t modulo(int64_t value, int64_t size) {
  int64_t rest = value % size;
  return rest < 0 ? rest + size : rest;
}

static int64_t term_evaluate(const hct_term *term, const hct_die_state *state) {
  hct_ring ring = (hct_ring)term->ring;
  int64_t counted = term->level == HCT_NO_LEVEL ? term->offset : term->sign * state->counter[term->level] + term->offset;
  switch (term->kind) {
    case HCT_TERM_LOOP: return term->size ? modulo(counted, term->size) : counted;
    case HCT_TERM_RING:
      counted += hct_ring_position(ring, state->rows, state->cols, state->row, state->col);
      return hct_ring_index(ring, state->cols, hct_ring_die(ring, state->rows, state->cols, state->row, state->col, counted));
    case HCT_TERM_INDEX: return hct_ring_index(ring, state->cols, state->row * state->cols + state->col);
    default: hct_bug(__FILE__, __LINE__, "term kind %d", term->kind);
  }
}

int64_t hct_addr_evaluate(const hct_addr *addr, const hct_die_state *state) {
  int64_t value = addr->base;
  for (int i = 0; i < addr->term_count; i++) value += term_evaluate(&addr->terms[i], state) * addr->terms[i].stride;
  return value;
}
