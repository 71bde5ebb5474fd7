/* Elementwise instructions, fills, reductions and copies: rows of the innermost loop. f32 operands compute in f32, integers and bools in 64
 * bits, stored modulo 2^bits; other floats, and conversions, through double. */
#include <math.h>
#include <string.h>

#include "runtime/exec/exec.h"

typedef void (*row_function)(exec_frame *frame, uint8_t *const at[HCT_MAX_VIEWS], int64_t count);

/* Calls `row` for every row of the outer three loops. */
static void for_rows(exec_frame *frame, int views, row_function row) {
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

static hct_narrowing narrowing_of(double scalar) {
  hct_narrowing narrowing;
  HCT_BUG_ON(!hct_narrowing_parse(scalar, &narrowing), "narrow with scalar %g", scalar);
  return narrowing;
}

static float max_nan(float a, float b) { return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }
static float min_nan(float a, float b) { return isnan(a) || isnan(b) ? NAN : a < b ? a : b; }

static float map1_f32(uint8_t fn, float a, float scalar) {
  switch (fn) {
    case HCT_FN_MAP1_MOV: return a;
    case HCT_FN_MAP1_NEG: return -a;
    case HCT_FN_MAP1_ABS: return fabsf(a);
    case HCT_FN_MAP1_EXP: return expf(a);
    case HCT_FN_MAP1_LOG: return logf(a);
    case HCT_FN_MAP1_SQRT: return sqrtf(a);
    case HCT_FN_MAP1_RSQRT: return 1.0f / sqrtf(a);
    case HCT_FN_MAP1_RECIPROCAL: return 1.0f / a;
    case HCT_FN_MAP1_TANH: return tanhf(a);
    case HCT_FN_MAP1_ERF: return erff(a);
    case HCT_FN_MAP1_SIGMOID: return 1.0f / (1.0f + expf(-a));
    case HCT_FN_MAP1_RELU: return isnan(a) || a > 0 ? a : 0.0f;
    case HCT_FN_MAP1_SIN: return sinf(a);
    case HCT_FN_MAP1_COS: return cosf(a);
    case HCT_FN_MAP1_NOT: return a == 0;
    case HCT_FN_MAP1_ADDS: return a + scalar;
    case HCT_FN_MAP1_MULS: return a * scalar;
    case HCT_FN_MAP1_POWS: return scalar == 2.0f ? a * a : scalar == 3.0f ? a * a * a : powf(a, scalar);
    case HCT_FN_MAP1_FLOOR: return floorf(a);
    case HCT_FN_MAP1_ROUND: return nearbyintf(a);
    case HCT_FN_MAP1_SIGN: return a > 0 ? 1.0f : a < 0 ? -1.0f : a;
    case HCT_FN_MAP1_TAN: return tanf(a);
    case HCT_FN_MAP1_ASIN: return asinf(a);
    case HCT_FN_MAP1_ACOS: return acosf(a);
    case HCT_FN_MAP1_ATAN: return atanf(a);
    case HCT_FN_MAP1_SINH: return sinhf(a);
    case HCT_FN_MAP1_COSH: return coshf(a);
    case HCT_FN_MAP1_ASINH: return asinhf(a);
    case HCT_FN_MAP1_ACOSH: return acoshf(a);
    case HCT_FN_MAP1_ATANH: return atanhf(a);
    case HCT_FN_MAP1_EXPM1: return expm1f(a);
    case HCT_FN_MAP1_LOG1P: return log1pf(a);
    case HCT_FN_MAP1_NARROW: return (float)hct_narrow(narrowing_of((double)scalar), (double)a);
    default: hct_bug(__FILE__, __LINE__, "map1 function %d", fn);
  }
}

static double map2_any(uint8_t fn, double a, double b) {
  switch (fn) {
    case HCT_FN_MAP2_ADD: return a + b;
    case HCT_FN_MAP2_SUB: return a - b;
    case HCT_FN_MAP2_MUL: return a * b;
    case HCT_FN_MAP2_DIV: return a / b;
    case HCT_FN_MAP2_MAX: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case HCT_FN_MAP2_MIN: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case HCT_FN_MAP2_POW: return (double)powf((float)a, (float)b);
    case HCT_FN_MAP2_EQ: return a == b;
    case HCT_FN_MAP2_LT: return a < b;
    case HCT_FN_MAP2_LE: return a <= b;
    case HCT_FN_MAP2_AND: return a != 0 && b != 0;
    case HCT_FN_MAP2_OR: return a != 0 || b != 0;
    case HCT_FN_MAP2_FMOD: return fmod(a, b);
    default: hct_bug(__FILE__, __LINE__, "map2 function %d", fn);
  }
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
    case HCT_FN_MAP1_NARROW: return hct_narrow_int(narrowing_of(scalar), a);
    default: return (int64_t)map1_f32(fn, (float)a, (float)scalar);
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

static bool all_f32(const exec_frame *frame, int views) {
  for (int v = 0; v < views; v++) {
    if (frame->view[v].dtype != HCT_F32 || ((uintptr_t)frame->view[v].data & 3)) return false;
  }
  return true;
}

static bool no_floats(const exec_frame *frame, int first, int views) {
  for (int v = first; v < views; v++)
    if (hct_dtype_is_float(frame->view[v].dtype)) return false;
  return true;
}

static void row_map1(exec_frame *frame, uint8_t *const at[], int64_t count) {
  int64_t d = frame->view[0].stride[3], a = frame->view[1].stride[3];
  uint8_t fn = frame->instr->fn;
  float scalar = scalar_of(frame);
  if (all_f32(frame, 2)) {
    if (fn == HCT_FN_MAP1_MOV && d == 4 && a == 4) memmove(at[0], at[1], (size_t)count * 4);
    else if (fn == HCT_FN_MAP1_MULS) for (int64_t i = 0; i < count; i++) F32(at[0] + i * d) = F32(at[1] + i * a) * scalar;
    else for (int64_t i = 0; i < count; i++) F32(at[0] + i * d) = map1_f32(fn, F32(at[1] + i * a), scalar);
    return;
  }
  if (no_floats(frame, 0, 2)) {
    for (int64_t i = 0; i < count; i++) hct_element_set_int(frame->view[0].dtype, at[0] + i * d, map1_int(fn, hct_element_get_int(frame->view[1].dtype, at[1] + i * a), (double)scalar));
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    double value = hct_element_get(frame->view[1].dtype, at[1] + i * a);
    if (fn != HCT_FN_MAP1_MOV) value = (double)map1_f32(fn, (float)value, scalar);
    hct_element_set(frame->view[0].dtype, at[0] + i * d, value);
  }
}

static void row_map2(exec_frame *frame, uint8_t *const at[], int64_t count) {
  int64_t d = frame->view[0].stride[3], a = frame->view[1].stride[3], b = frame->view[2].stride[3];
  uint8_t fn = frame->instr->fn;
  if (all_f32(frame, 3)) {
    switch (fn) {
      case HCT_FN_MAP2_ADD: for (int64_t i = 0; i < count; i++) F32(at[0] + i * d) = F32(at[1] + i * a) + F32(at[2] + i * b); return;
      case HCT_FN_MAP2_SUB: for (int64_t i = 0; i < count; i++) F32(at[0] + i * d) = F32(at[1] + i * a) - F32(at[2] + i * b); return;
      case HCT_FN_MAP2_MUL: for (int64_t i = 0; i < count; i++) F32(at[0] + i * d) = F32(at[1] + i * a) * F32(at[2] + i * b); return;
      case HCT_FN_MAP2_DIV: for (int64_t i = 0; i < count; i++) F32(at[0] + i * d) = F32(at[1] + i * a) / F32(at[2] + i * b); return;
      default: break;
    }
  }
  if (no_floats(frame, 1, 3)) {
    bool u = frame->view[1].dtype == HCT_U64;
    for (int64_t i = 0; i < count; i++)
      hct_element_set_int(frame->view[0].dtype, at[0] + i * d, map2_int(fn, hct_element_get_int(frame->view[1].dtype, at[1] + i * a), hct_element_get_int(frame->view[2].dtype, at[2] + i * b), u));
    return;
  }
  for (int64_t i = 0; i < count; i++)
    hct_element_set(frame->view[0].dtype, at[0] + i * d, map2_any(fn, hct_element_get(frame->view[1].dtype, at[1] + i * a), hct_element_get(frame->view[2].dtype, at[2] + i * b)));
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
  return hct_narrowing_parse((double)scalar_of(frame), &narrowing) && hct_dtype_is_float(narrowing.dtype) != no_floats(frame, 0, 2);
}

bool exec_map(exec_frame *frame) {
  if (frame->instr->opcode == HCT_OP_MAP1 && frame->instr->fn == HCT_FN_MAP1_NARROW && !narrows(frame))
    return snprintf(frame->fault, 256, "'narrow' with scalar %g, which says no narrowing of its operand", (double)scalar_of(frame)), false;
  if (frame->instr->opcode == HCT_OP_MAP1) for_rows(frame, 2, row_map1);
  else if (frame->instr->opcode == HCT_OP_MAP2) for_rows(frame, 3, row_map2);
  else for_rows(frame, 4, row_select);
  return true;
}

static void row_fill(exec_frame *frame, uint8_t *const at[], int64_t count) {
  double scalar;
  memcpy(&scalar, &frame->value[0], sizeof scalar);
  if (all_f32(frame, 1) && frame->view[0].stride[3] == 4) {
    for (int64_t i = 0; i < count; i++) F32(at[0] + i * 4) = (float)scalar;
    return;
  }
  for (int64_t i = 0; i < count; i++) hct_element_set(frame->view[0].dtype, at[0] + i * frame->view[0].stride[3], scalar);
}

bool exec_fill(exec_frame *frame) {
  for_rows(frame, 1, row_fill);
  return true;
}

static void row_copy(exec_frame *frame, uint8_t *const at[], int64_t count) {
  int64_t size = (int64_t)hct_dtype_bytes(frame->view[0].dtype), d = frame->view[0].stride[3], a = frame->view[1].stride[3];
  if (frame->view[0].dtype == frame->view[1].dtype && d == size && a == size) {
    memmove(at[0], at[1], (size_t)(count * size));
  } else if (frame->view[0].dtype == frame->view[1].dtype) {
    for (int64_t i = 0; i < count; i++) memmove(at[0] + i * d, at[1] + i * a, (size_t)size);
  } else {
    for (int64_t i = 0; i < count; i++) hct_element_set(frame->view[0].dtype, at[0] + i * d, hct_element_get(frame->view[1].dtype, at[1] + i * a));
  }
}

bool exec_copy(exec_frame *frame) {
  for_rows(frame, 2, row_copy);
  return true;
}

static float reduce_f32(uint8_t fn, float a, float b) { return fn == HCT_FN_RED_SUM ? a + b : fn == HCT_FN_RED_RMAX ? max_nan(a, b) : min_nan(a, b); }

static int64_t reduce_int(uint8_t fn, int64_t a, int64_t b, bool u) {
  bool less = u ? (uint64_t)a < (uint64_t)b : a < b;
  return fn == HCT_FN_RED_SUM ? (int64_t)((uint64_t)a + (uint64_t)b) : (fn == HCT_FN_RED_RMAX) == less ? b : a;
}

static void row_reduce_into(exec_frame *frame, uint8_t *const at[], int64_t count) {
  uint8_t fn = (uint8_t)frame->value[0];
  if (all_f32(frame, 2)) {
    int64_t to = frame->view[0].stride[3], from = frame->view[1].stride[3];
    if (fn == HCT_FN_RED_SUM && to == 4 && from == 4) for (int64_t i = 0; i < count; i++) F32(at[0] + i * 4) += F32(at[1] + i * 4);
    else for (int64_t i = 0; i < count; i++) F32(at[0] + i * to) = reduce_f32(fn, F32(at[0] + i * to), F32(at[1] + i * from));
    return;
  }
  bool whole = no_floats(frame, 0, 2), u = frame->view[0].dtype == HCT_U64;
  for (int64_t i = 0; i < count; i++) {
    uint8_t *d = at[0] + i * frame->view[0].stride[3];
    if (whole) {
      hct_element_set_int(frame->view[0].dtype, d, reduce_int(fn, hct_element_get_int(frame->view[0].dtype, d), hct_element_get_int(frame->view[1].dtype, at[1] + i * frame->view[1].stride[3]), u));
      continue;
    }
    float sum = reduce_f32(fn, (float)hct_element_get(frame->view[0].dtype, d), (float)hct_element_get(frame->view[1].dtype, at[1] + i * frame->view[1].stride[3]));
    hct_element_set(frame->view[0].dtype, d, (double)sum);
  }
}

bool exec_reduce_into(exec_frame *frame, uint8_t fn) {
  int64_t value = fn;
  frame->value = &value;
  for_rows(frame, 2, row_reduce_into);
  return true;
}

/* One result element at a time, its summands in loop order, in double, or in 64 bits where all are integers: the rounding of a long sum is that of its result. */
bool exec_reduce(exec_frame *frame) {
  const int64_t *n = frame->shape;
  const exec_operand *d = &frame->view[0], *a = &frame->view[1];
  int64_t outer[4], inner[4];
  for (int k = 0; k < 4; k++) {
    bool reduced = d->stride[k] == 0;
    outer[k] = reduced ? 1 : n[k];
    inner[k] = reduced ? n[k] : 1;
  }
  uint8_t fn = frame->instr->fn;
  bool integers = no_floats(frame, 0, 2), singles = a->dtype == HCT_F32 && !((uintptr_t)a->data & 3);
  for (int64_t i = 0; i < outer[0] * outer[1] * outer[2] * outer[3]; i++) {
    int64_t index[4] = {i / (outer[3] * outer[2] * outer[1]), i / (outer[3] * outer[2]) % outer[1], i / outer[3] % outer[2], i % outer[3]};
    uint8_t *to = d->data;
    const uint8_t *from = a->data;
    for (int k = 0; k < 4; k++) {
      to += index[k] * d->stride[k];
      from += index[k] * a->stride[k];
    }
    bool first = !frame->instr->accumulate;
    double sum = first ? 0 : hct_element_get(d->dtype, to);
    int64_t whole = first ? 0 : hct_element_get_int(d->dtype, to);
    for (int64_t p = 0; p < inner[0]; p++)
      for (int64_t q = 0; q < inner[1]; q++)
        for (int64_t r = 0; r < inner[2]; r++)
          for (int64_t s = 0; s < inner[3]; s++) {
            const uint8_t *at = from + p * a->stride[0] + q * a->stride[1] + r * a->stride[2] + s * a->stride[3];
            if (integers) {
              int64_t value = hct_element_get_int(a->dtype, at);
              whole = first ? value : reduce_int(fn, whole, value, a->dtype == HCT_U64);
              first = false;
              continue;
            }
            double value = singles ? (double)F32(at) : hct_element_get(a->dtype, at);
            if (first) sum = value;
            else if (fn == HCT_FN_RED_SUM) sum += value;
            else sum = (double)reduce_f32(fn, (float)sum, (float)value);
            first = false;
          }
    if (integers) hct_element_set_int(d->dtype, to, whole);
    else hct_element_set(d->dtype, to, sum);
  }
  return true;
}
