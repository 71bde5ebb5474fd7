/* Decoded instructions: what encoder, assembler, verifier, simulators and the chiplet backend exchange. Made from isa.def. */
#ifndef HCT_ISA_INSTR_H
#define HCT_ISA_INSTR_H

#include "ir/support/support.h"

enum {
  HCT_MAX_DIMS = 4,     /* loops of one instruction */
  HCT_MAX_VIEWS = 6,
  HCT_MAX_VALUES = 3,
  HCT_MAX_LOOPS = 8,    /* sequencer loop nesting */
  HCT_MAX_TERMS = 8,    /* address terms of one operand */
  HCT_MAX_SYNCS = 4,    /* waits, and signals, of one instruction */
  HCT_SEMAPHORES = 252, /* a die's semaphores */
};

typedef enum hct_engine {
  HCT_ENGINE_SEQ, HCT_ENGINE_MXU, HCT_ENGINE_VPU, HCT_ENGINE_LOAD, HCT_ENGINE_STORE,
  /* one send and one receive queue a ring; ring R (hct_ring) uses SEND0 + 2 R and RECV0 + 2 R */
  HCT_ENGINE_SEND0, HCT_ENGINE_RECV0, HCT_ENGINE_SEND1, HCT_ENGINE_RECV1, HCT_ENGINE_SEND2, HCT_ENGINE_RECV2, HCT_ENGINE_SEND3, HCT_ENGINE_RECV3,
  HCT_ENGINE_COUNT,
} hct_engine;
const char *hct_engine_name(hct_engine engine); /* "mxu", "send.row", ... */

/* Rings of a die (method.md): folded ring of the dies of one mesh column, along which the *row* index varies, and of one mesh
 * row; the flat ring of all dies, a Hamiltonian cycle, in one direction and in the other (on a mesh of one row or column, the folded ring). */
typedef enum hct_ring { HCT_RING_ROW = 0 /* row index varies */, HCT_RING_COL = 1, HCT_RING_FLAT0 = 2, HCT_RING_FLAT1 = 3, HCT_RING_COUNT } hct_ring;
int64_t hct_ring_size(hct_ring ring, int64_t rows, int64_t cols);
int64_t hct_ring_position(hct_ring ring, int64_t rows, int64_t cols, int64_t row, int64_t col);
/* Number (row-major) of the die at `position`, modulo the ring's size, of the ring through (row, col). */
int64_t hct_ring_die(hct_ring ring, int64_t rows, int64_t cols, int64_t row, int64_t col, int64_t position);
/* Which part of a collective over the ring is a die's own: its row, its column, or its number. */
int64_t hct_ring_index(hct_ring ring, int64_t cols, int64_t die);
/* Folded order 0, 2, 4, ..., 5, 3, 1 of `size` indices: the index at ring position p, and the position of an index. */
int64_t hct_ring_index_at(int64_t size, int64_t position);
int64_t hct_ring_position_of(int64_t size, int64_t index);

/* One term of an address or value: term(kind) * stride, added to the base. */
typedef enum hct_term_kind {
  HCT_TERM_LOOP = 1,   /* ((sign * counter[level] + offset) mod size); size 0 = no modulo; the modulo is never negative */
  HCT_TERM_RING = 2,   /* part (hct_ring_index) of the die at ring position (own position + sign * counter[level] + offset) mod ring size, of ring `ring`;
                          level HCT_NO_LEVEL: no counter */
  HCT_TERM_INDEX = 3,  /* the die's own row (ring ROW) or column (ring COL), or number (FLAT) */
} hct_term_kind;
enum { HCT_NO_LEVEL = 15 };
typedef struct hct_term {
  uint8_t kind, level, ring;
  int8_t sign;
  int32_t offset, size;
  int64_t stride; /* bytes in addresses; plain units in values */
} hct_term;
typedef struct hct_addr {
  int64_t base; /* bytes (addresses) or the number (values) */
  const hct_term *terms; /* in the arena of the instruction, never changed: copies of an address share them */
  uint8_t term_count;
} hct_addr;
#define HCT_MAX_STRIDE (INT64_C(1) << 50) /* of views, up or down: bytes from element to element can be counted */
typedef struct hct_view {
  hct_dtype dtype;
  hct_addr addr;
  int64_t stride[HCT_MAX_DIMS]; /* elements */
} hct_view;

typedef struct hct_sync { uint8_t semaphore, count; } hct_sync;

typedef enum hct_opcode {
#define HCT_VIEW(name, space, access)
#define HCT_INSTR(name, code, mnemonic, engine, dims, views, values, functions, text) HCT_OP_##name = code,
#include "ir/isa/isa.def"
#undef HCT_INSTR
#undef HCT_VIEW
} hct_opcode;

enum { /* fn field; tables number independently */
#define HCT_FN(table, name, code, text, cost, meaning) HCT_FN_##table##_##name = code,
#include "ir/isa/isa_functions.def"
#undef HCT_FN
};

typedef struct hct_instr {
  uint8_t opcode;     /* hct_opcode */
  uint8_t engine;     /* hct_engine it runs on: from the table; for SYNC chosen; for SEND/RECV from the ring */
  uint8_t ring;       /* hct_ring of SEND/RECV* */
  uint8_t level;      /* LOOP/END: nesting level of the loop, 0 outermost */
  uint8_t fn;
  bool accumulate;
  uint8_t wait_count, signal_count;
  hct_sync waits[HCT_MAX_SYNCS];   /* each: semaphore >= count, then subtract; all of them at once, before it starts */
  hct_sync signals[HCT_MAX_SYNCS]; /* added when it completes */
  uint32_t source;    /* index into the image's source table (locations, layer, pass, collective); 0 = none */
  int64_t shape[HCT_MAX_DIMS];
  hct_view *views;    /* as many as the opcode has (isa.def); NULL for none */
  hct_addr *values;   /* likewise */
} hct_instr;

/* A program holds millions of instructions, most of one or two operands: these lie in an arena, as many as there are. */
hct_instr hct_instr_make(hct_arena *arena, uint8_t opcode); /* all zero but opcode, and engine where that is in the table */
hct_instr hct_instr_copy(hct_arena *arena, const hct_instr *instr); /* shares nothing with `instr` */
void hct_addr_add(hct_arena *arena, hct_addr *addr, hct_term term); /* at most HCT_MAX_TERMS: more is a bug */

typedef enum hct_space { HCT_SPACE_SRAM, HCT_SPACE_DRAM, HCT_SPACE_NUMBER } hct_space; /* NUMBER: no memory; addresses count elements */
typedef enum hct_access { HCT_ACCESS_READ, HCT_ACCESS_WRITE, HCT_ACCESS_MODIFY, HCT_ACCESS_IF_ACCUMULATE } hct_access;
typedef struct hct_view_info { const char *name; hct_space space; hct_access access; } hct_view_info;
typedef struct hct_opcode_info {
  uint8_t code;
  const char *name, *mnemonic, *text, *function_table; /* function_table "" for none */
  hct_engine engine;       /* HCT_ENGINE_COUNT for ANY, SEND, RECV: see hct_instr.engine */
  uint8_t dims, view_count, value_count;
  hct_view_info views[HCT_MAX_VIEWS];
} hct_opcode_info;
const hct_opcode_info *hct_opcode_lookup(uint8_t code);                 /* NULL: no such instruction */
int64_t hct_view_unit(const hct_opcode_info *info, int view, hct_dtype dtype); /* by which the view's strides count in its address: bytes of an element, 1 of numbers */
const hct_opcode_info *hct_opcode_by_mnemonic(const char *mnemonic);
int64_t hct_opcode_run(uint8_t code, int view);                          /* elements read one after the other from each address of a view on: an update's settings; else 1 */
size_t hct_opcode_count(void);
const hct_opcode_info *hct_opcode_at(size_t index);
typedef enum hct_cost { HCT_COST_SIMPLE, HCT_COST_TRANSCENDENTAL } hct_cost;
typedef struct hct_function_info { const char *table, *name, *meaning; uint8_t code; hct_cost cost; } hct_function_info;
const hct_function_info *hct_function_lookup(const char *table, uint8_t code);
const hct_function_info *hct_function_by_name(const char *table, const char *name);

/* What addresses depend on, besides the instruction. */
typedef struct hct_die_state {
  int64_t row, col, rows, cols;
  int64_t counter[HCT_MAX_LOOPS];
} hct_die_state;
int64_t hct_addr_evaluate(const hct_addr *addr, const hct_die_state *state);

/* Streams: 64-bit little-endian words, variable number of words an instruction; format drawn in encode.c and the manual. */
size_t hct_instr_encode(const hct_instr *instr, uint64_t *out_words, size_t capacity); /* words written; 0 if over capacity */
enum { HCT_MAX_INSTR_WORDS = 272 };
/* Reads one instruction at words[*position], its operands into `arena`; refuses bad codes, reserved bits, lengths, with a diagnostic at `loc`. */
hct_status hct_instr_decode(hct_diags *diags, hct_arena *arena, hct_loc loc, const uint64_t *words, size_t count, size_t *position, hct_instr *out_instr);
void hct_instr_print(const hct_instr *instr, hct_text *text);                    /* one line of assembly, no newline */
hct_status hct_instr_parse(hct_diags *diags, hct_arena *arena, hct_loc loc, const char *line, hct_instr *out_instr);

#endif
