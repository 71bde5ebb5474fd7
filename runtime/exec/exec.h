/* What instructions do: one function each, on the bytes of one die. */
#ifndef HCT_RUNTIME_EXEC_EXEC_H
#define HCT_RUNTIME_EXEC_EXEC_H

#include <string.h>

#include "ir/isa/sequencer.h"

typedef struct hct_memory {
  uint8_t *sram, *dram;
  int64_t sram_bytes, dram_bytes;
} hct_memory;

/* Checks every access, then runs the instruction (not SEND, RECV, RECVR: see hct_exec_transfer). False: a fault, with its text in `out_fault`. */
bool hct_exec(const hct_issued *issued, const hct_memory *memory, char out_fault[256]);
/* Moves a message: `send` on the sender's memory, `receive` on the receiver's. */
bool hct_exec_transfer(const hct_issued *send, const hct_memory *from, const hct_issued *receive, const hct_memory *to, char out_fault[256]);
/* The same in two halves, through a buffer of hct_exec_message_bytes. */
int64_t hct_exec_message_bytes(const hct_instr *send);
bool hct_exec_send(const hct_issued *send, const hct_memory *from, const hct_instr *receive, uint8_t *out_data, char out_fault[256]);
bool hct_exec_receive(const hct_issued *receive, const hct_memory *to, uint8_t *data, char out_fault[256]);

/* ---- inside runtime/exec ---- */
#define HCT_INLINE __attribute__((always_inline)) static inline
typedef struct exec_operand {
  uint8_t *data;               /* element (0, 0, ...) */
  hct_dtype dtype;
  int64_t stride[HCT_MAX_DIMS]; /* bytes */
} exec_operand;
typedef struct exec_frame {
  const hct_instr *instr;
  const int64_t *shape, *value, *addr; /* addr: of views that are numbers */
  exec_operand view[HCT_MAX_VIEWS];
  char *fault;
} exec_frame;
/* An element as f32, without a call where it is one. */
static inline float exec_get(hct_dtype dtype, const uint8_t *at) {
  float value;
  if (dtype != HCT_F32) return (float)hct_element_get(dtype, at);
  memcpy(&value, at, sizeof value);
  return value;
}
static inline void exec_set(hct_dtype dtype, uint8_t *at, float value) {
  if (dtype == HCT_F32) memcpy(at, &value, sizeof value);
  else hct_element_set(dtype, at, (double)value);
}
/* Of operands from `first` on, before `views`: whether all are f32, aligned to it; whether none is a float. */
static inline bool exec_all_f32(const exec_frame *frame, int first, int views) {
  for (int v = first; v < views; v++)
    if (frame->view[v].dtype != HCT_F32 || ((uintptr_t)frame->view[v].data & 3)) return false;
  return true;
}
static inline bool exec_no_floats(const exec_frame *frame, int first, int views) {
  for (int v = first; v < views; v++)
    if (hct_dtype_is_float(frame->view[v].dtype)) return false;
  return true;
}
typedef void exec_row_function(exec_frame *frame, uint8_t *const at[HCT_MAX_VIEWS], int64_t count);
/* Calls `row` for every row of the outer three loops, `at` its first elements. */
void exec_for_rows(exec_frame *frame, int views, exec_row_function *row);
bool exec_map(exec_frame *frame);
bool exec_fill(exec_frame *frame);
bool exec_reduce(exec_frame *frame);
bool exec_copy(exec_frame *frame);   /* view 1 to view 0, converting */
bool exec_reduce_into(exec_frame *frame, uint8_t fn); /* view 0 = fn(view 0, view 1) */
bool exec_matmul(exec_frame *frame);
bool exec_softmax(exec_frame *frame);
bool exec_softmax_grad(exec_frame *frame);
bool exec_gather(exec_frame *frame);
bool exec_scatter(exec_frame *frame);
bool exec_pick(exec_frame *frame);
bool exec_place(exec_frame *frame);
bool exec_update(exec_frame *frame);
bool exec_dropout(exec_frame *frame);
/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011). */
void exec_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out_words[4]);

#endif
