/* Elementwise instructions, fills and copies: rows of the innermost loop. f32 operands compute in f32, integers and bools in 64
 * bits, stored modulo 2^bits; other floats, and conversions, through double. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/exec/exec.h"
#include "runtime/exec/f32.h"
#include "runtime/exec/functions.h"

void exec_for_rows(exec_frame *frame, int views, exec_row_function *row) {
  const int64_t *n = frame->shape;
  for (int64_t i = 0; i < n[0]; i++)
    for (int64_t j = 0; j < n[1]; j++)
      for (int64_t k = 0; k < n[2]; k++) {
        uint8_t *at[HCT_MAX_VIEWS];
        for (int v = 0; v < views; v++) at[v] = frame->view[v].data + i * frame->view[v].stride[0] + j * frame->view[v].stride[1] + k * frame->view[v].stride[2];
        row(frame, at, n[3]);
      }
}

static float scalar_of(const exec_frame *frame) {
  double scalar;
  memcpy(&scalar, &frame->value[0], sizeof scalar);
  return (float)scalar;
}

static int64_t int_power(int64_t base, int64_t exponent) {
  uint64_t product = 1, square = (uint64_t)base;
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  for (uint64_t left = (uint64_t)exponent; left; left >>= 1, square *= square)
    if (left & 1) product *= square;
  return (int64_t)product;
}

static int64_t map1_int(uint8_t fn, int64_t a, double scalar) {
  switch (fn) {
    case HCT_FN_MAP1_MOV: return a;
    case HCT_FN_MAP1_NEG: return (int64_t)-(uint64_t)a;
    case HCT_FN_MAP1_ABS: return a < 0 ? (int64_t)-(uint64_t)a : a;
    case HCT_FN_MAP1_RELU: return a > 0 ? a : 0;
    case HCT_FN_MAP1_NOT: return a == 0;
    case HCT_FN_MAP1_ADDS: return (int64_t)((uint64_t)a + (uint64_t)(int64_t)scalar);
    case HCT_FN_MAP1_MULS: return (int64_t)((uint64_t)a * (uint64_t)(int64_t)scalar);
    case HCT_FN_MAP1_FLOOR: case HCT_FN_MAP1_ROUND: return a;
    case HCT_FN_MAP1_SIGN: return (a > 0) - (a < 0);
    case HCT_FN_MAP1_NARROW: return hct_narrow_int(exec_narrowing(scalar), a);
    default: return (int64_t)exec_map1(fn, (float)a, (float)scalar);
  }
}

/* `u`: of ui64, where order and quotients are not those of the same bits as signed. Dividing by zero gives zero. */
static int64_t map2_int(uint8_t fn, int64_t a, int64_t b, bool u) {
  bool less = u ? (uint64_t)a < (uint64_t)b : a < b;
  switch (fn) {
    case HCT_FN_MAP2_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case HCT_FN_MAP2_SUB: return (int64_t)((uint64_t)a - (uint64_t)b);
    case HCT_FN_MAP2_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case HCT_FN_MAP2_DIV: return b == 0 ? 0 : u ? (int64_t)((uint64_t)a / (uint64_t)b) : b == -1 ? (int64_t)-(uint64_t)a : a / b;
    case HCT_FN_MAP2_MAX: return less ? b : a;
    case HCT_FN_MAP2_MIN: return less ? a : b;
    case HCT_FN_MAP2_POW: return int_power(a, b);
    case HCT_FN_MAP2_EQ: return a == b;
    case HCT_FN_MAP2_LT: return less;
    case HCT_FN_MAP2_LE: return less || a == b;
    case HCT_FN_MAP2_AND: return a && b;
    case HCT_FN_MAP2_OR: return a || b;
    case HCT_FN_MAP2_FMOD: return b == 0 || (b == -1 && !u) ? 0 : u ? (int64_t)((uint64_t)a % (uint64_t)b) : a % b;
    case HCT_FN_MAP2_BIT_AND: return a & b;
    case HCT_FN_MAP2_BIT_OR: return a | b;
    case HCT_FN_MAP2_BIT_XOR: return a ^ b;
    default: hct_bug(__FILE__, __LINE__, "map2 function %d", fn);
  }
}

#define F32(at) (*(float *)(void *)(at))

/* Bytes from which on a row is written past the caches, which what is moved next would leave first: of stores, after which nothing is read soon, and of others. */
enum { STREAMED_STORE = 1 << 16, STREAMED_ROW = 1 << 20 };

static void row_move(const exec_frame *frame, uint8_t *to, const uint8_t *from, size_t bytes) {
  bool apart = to >= from + bytes || from >= to + bytes;
  if (apart && bytes >= (frame->instr->opcode == HCT_OP_ST ? STREAMED_STORE : STREAMED_ROW)) exec_copy_streamed(to, from, bytes);
  else memmove(to, from, bytes);
}

static void row_map1(exec_frame *frame, uint8_t *const at[], int64_t count) {
  int64_t d = frame->view[0].stride[3], a = frame->view[1].stride[3];
  uint8_t fn = frame->instr->fn;
  float scalar = scalar_of(frame);
  if (exec_all_f32(frame, 0, 2)) {
    if (fn == HCT_FN_MAP1_MOV && d == 4 && a == 4) row_move(frame, at[0], at[1], (size_t)count * 4);
    else exec_f32_map1(fn, at[0], d, at[1], a, scalar, count);
    return;
  }
  if (fn == HCT_FN_MAP1_MOV && frame->view[1].dtype == HCT_BOOL && a == 1 && d == 4 && exec_all_f32(frame, 0, 1)) {
    exec_f32_of_bools((float *)(void *)at[0], at[1], count);
    return;
  }
  if (exec_no_floats(frame, 0, 2)) {
    for (int64_t i = 0; i < count; i++) hct_element_set_int(frame->view[0].dtype, at[0] + i * d, map1_int(fn, hct_element_get_int(frame->view[1].dtype, at[1] + i * a), (double)scalar));
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    double value = hct_element_get(frame->view[1].dtype, at[1] + i * a);
    if (fn != HCT_FN_MAP1_MOV) value = (double)exec_map1(fn, (float)value, scalar);
    hct_element_set(frame->view[0].dtype, at[0] + i * d, value);
  }
}

static void row_map2(exec_frame *frame, uint8_t *const at[], int64_t count) {
  int64_t d = frame->view[0].stride[3], a = frame->view[1].stride[3], b = frame->view[2].stride[3];
  uint8_t fn = frame->instr->fn;
  if (exec_all_f32(frame, 0, 3)) {
    exec_f32_map2(fn, at[0], d, at[1], a, at[2], b, count);
    return;
  }
  if (frame->view[0].dtype == HCT_BOOL && exec_f32_is_test(fn) && exec_all_f32(frame, 1, 3)) {
    exec_f32_test(fn, at[0], d, at[1], a, at[2], b, count);
    return;
  }
  if (exec_no_floats(frame, 1, 3)) {
    bool u = frame->view[1].dtype == HCT_U64;
    for (int64_t i = 0; i < count; i++)
      hct_element_set_int(frame->view[0].dtype, at[0] + i * d, map2_int(fn, hct_element_get_int(frame->view[1].dtype, at[1] + i * a), hct_element_get_int(frame->view[2].dtype, at[2] + i * b), u));
    return;
  }
  for (int64_t i = 0; i < count; i++)
    hct_element_set(frame->view[0].dtype, at[0] + i * d, exec_map2(fn, hct_element_get(frame->view[1].dtype, at[1] + i * a), hct_element_get(frame->view[2].dtype, at[2] + i * b)));
}

static void row_select(exec_frame *frame, uint8_t *const at[], int64_t count) {
  bool singles = frame->view[0].dtype == HCT_F32 && frame->view[1].dtype == HCT_BOOL && frame->view[2].dtype == HCT_F32 && frame->view[3].dtype == HCT_F32;
  for (int v = 0; v < 4; v++) singles = singles && (v == 1 || !((uintptr_t)frame->view[v].data & 3));
  if (singles) {
    const exec_operand *view = frame->view;
    for (int64_t i = 0; i < count; i++) F32(at[0] + i * view[0].stride[3]) = at[1][i * view[1].stride[3]] ? F32(at[2] + i * view[2].stride[3]) : F32(at[3] + i * view[3].stride[3]);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    int chosen = hct_element_get(frame->view[1].dtype, at[1] + i * frame->view[1].stride[3]) != 0 ? 2 : 3;
    uint8_t *d = at[0] + i * frame->view[0].stride[3];
    const uint8_t *from = at[chosen] + i * frame->view[chosen].stride[3];
    if (frame->view[chosen].dtype == frame->view[0].dtype) memmove(d, from, hct_dtype_bytes(frame->view[0].dtype));
    else hct_element_set(frame->view[0].dtype, d, hct_element_get(frame->view[chosen].dtype, from));
  }
}

/* A narrowing to floats is of floats, one to integers of integers. */
static bool narrows(const exec_frame *frame) {
  hct_narrowing narrowing;
  return hct_narrowing_parse((double)scalar_of(frame), &narrowing) && hct_dtype_is_float(narrowing.dtype) != exec_no_floats(frame, 0, 2);
}

bool exec_map(exec_frame *frame) {
  if (frame->instr->opcode == HCT_OP_MAP1 && frame->instr->fn == HCT_FN_MAP1_NARROW && !narrows(frame))
    return snprintf(frame->fault, 256, "'narrow' with scalar %g, which says no narrowing of its operand", (double)scalar_of(frame)), false;
  if (frame->instr->opcode == HCT_OP_MAP1) exec_for_rows(frame, 2, row_map1);
  else if (frame->instr->opcode == HCT_OP_MAP2) exec_for_rows(frame, 3, row_map2);
  else exec_for_rows(frame, 4, row_select);
  return true;
}

static void row_fill(exec_frame *frame, uint8_t *const at[], int64_t count) {
  double scalar;
  memcpy(&scalar, &frame->value[0], sizeof scalar);
  if (exec_all_f32(frame, 0, 1) && frame->view[0].stride[3] == 4) {
    for (int64_t i = 0; i < count; i++) F32(at[0] + i * 4) = (float)scalar;
    return;
  }
  for (int64_t i = 0; i < count; i++) hct_element_set(frame->view[0].dtype, at[0] + i * frame->view[0].stride[3], scalar);
}

bool exec_fill(exec_frame *frame) {
  exec_for_rows(frame, 1, row_fill);
  return true;
}

static void row_copy(exec_frame *frame, uint8_t *const at[], int64_t count) {
  int64_t size = (int64_t)hct_dtype_bytes(frame->view[0].dtype), d = frame->view[0].stride[3], a = frame->view[1].stride[3];
  if (frame->view[0].dtype == frame->view[1].dtype && d == size && a == size) {
    row_move(frame, at[0], at[1], (size_t)(count * size));
  } else if (frame->view[0].dtype == frame->view[1].dtype) {
    for (int64_t i = 0; i < count; i++) memmove(at[0] + i * d, at[1] + i * a, (size_t)size);
  } else {
    for (int64_t i = 0; i < count; i++) hct_element_set(frame->view[0].dtype, at[0] + i * d, hct_element_get(frame->view[1].dtype, at[1] + i * a));
  }
}

bool exec_copy(exec_frame *frame) {
  exec_for_rows(frame, 2, row_copy);
  return true;
}
