/* Reductions: sums in double, or in 64 bits where all are integers, so that the rounding of a long sum is that of its result. */
#include "runtime/exec/exec.h"
#include "runtime/exec/f32.h"
#include "runtime/exec/functions.h"

/* What folds one more element in, among MAP2's. */
static uint8_t fold_of(uint8_t fn) { return fn == HCT_FN_RED_SUM ? HCT_FN_MAP2_ADD : fn == HCT_FN_RED_RMAX ? HCT_FN_MAP2_MAX : HCT_FN_MAP2_MIN; }
static float reduce_f32(uint8_t fn, float a, float b) { return (float)exec_map2(fold_of(fn), (double)a, (double)b); }

static int64_t reduce_int(uint8_t fn, int64_t a, int64_t b, bool u) {
  bool less = u ? (uint64_t)a < (uint64_t)b : a < b;
  return fn == HCT_FN_RED_SUM ? (int64_t)((uint64_t)a + (uint64_t)b) : (fn == HCT_FN_RED_RMAX) == less ? b : a;
}

static void row_reduce_into(exec_frame *frame, uint8_t *const at[], int64_t count) {
  uint8_t fn = (uint8_t)frame->value[0];
  if (exec_all_f32(frame, 0, 2)) {
    int64_t to = frame->view[0].stride[3];
    exec_f32_map2(fold_of(fn), at[0], to, at[0], to, at[1], frame->view[1].stride[3], count);
    return;
  }
  bool whole = exec_no_floats(frame, 0, 2), u = frame->view[0].dtype == HCT_U64;
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
  exec_for_rows(frame, 2, row_reduce_into);
  return true;
}

/* Any operands: one result element at a time, its summands in loop order, in double, or in 64 bits where all are integers: the rounding of a long sum is that of its result. */
static void reduce_any(exec_frame *frame) {
  const int64_t *n = frame->shape;
  const exec_operand *d = &frame->view[0], *a = &frame->view[1];
  int64_t outer[4], inner[4];
  for (int k = 0; k < 4; k++) {
    bool reduced = d->stride[k] == 0;
    outer[k] = reduced ? 1 : n[k];
    inner[k] = reduced ? n[k] : 1;
  }
  uint8_t fn = frame->instr->fn;
  bool integers = exec_no_floats(frame, 0, 2), singles = exec_all_f32(frame, 0, 2);
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
            double value = singles ? (double)*(const float *)(const void *)at : hct_element_get(a->dtype, at);
            if (first) sum = value;
            else if (fn == HCT_FN_RED_SUM) sum += value;
            else sum = (double)reduce_f32(fn, (float)sum, (float)value);
            first = false;
          }
    if (integers) hct_element_set_int(d->dtype, to, whole);
    else hct_element_set(d->dtype, to, sum);
  }
}

/* f32, the summands of a result beside each other. */
static void row_reduce(exec_frame *frame, uint8_t *const at[], int64_t count) {
  float *to = (float *)(void *)at[0];
  const float *from = (const float *)(const void *)at[1];
  uint8_t fn = frame->instr->fn;
  bool more = frame->instr->accumulate;
  if (fn == HCT_FN_RED_SUM) *to = (float)((more ? (double)*to : 0) + exec_f32_sum(from, count));
  else if (fn == HCT_FN_RED_RMAX) *to = more ? exec_max(*to, exec_f32_max(from, count)) : exec_f32_max(from, count);
  else *to = more ? exec_min(*to, exec_f32_min(from, count)) : exec_f32_min(from, count);
}

/* f32, `cols` results beside each other, each the sum down its column of `rows` elements in steps of `stride` bytes. */
static void sum_columns(uint8_t *to, const uint8_t *from, bool accumulate, int64_t cols, int64_t rows, int64_t stride) {
  double sums[256];
  for (int64_t first = 0, n; first < cols; first += n) {
    float *d = (float *)(void *)to + first;
    n = cols - first < 256 ? cols - first : 256;
    for (int64_t c = 0; c < n; c++) sums[c] = accumulate ? (double)d[c] : 0;
    for (int64_t r = 0; r < rows; r++) exec_f32_sum_rows(sums, (const float *)(const void *)(from + r * stride) + first, n);
    for (int64_t c = 0; c < n; c++) d[c] = (float)sums[c];
  }
}

/* Which of the four loops are reduced over, as bits; those of one iteration count as kept. */
static unsigned reduced_loops(const exec_frame *frame) {
  unsigned loops = 0;
  for (unsigned k = 0; k < 4; k++)
    if (frame->shape[k] > 1 && frame->view[0].stride[k] == 0) loops |= 1u << k;
  return loops;
}

bool exec_reduce(exec_frame *frame) {
  const int64_t *n = frame->shape;
  const exec_operand *d = &frame->view[0], *a = &frame->view[1];
  bool last_alone = exec_all_f32(frame, 0, 2) && reduced_loops(frame) == 1u << 3;
  if (last_alone && a->stride[3] == 4) {
    exec_for_rows(frame, 2, row_reduce);
  } else if (last_alone && frame->instr->fn == HCT_FN_RED_SUM && d->stride[2] == 4 && a->stride[2] == 4) {
    for (int64_t i = 0; i < n[0]; i++)
      for (int64_t j = 0; j < n[1]; j++)
        sum_columns(d->data + i * d->stride[0] + j * d->stride[1], a->data + i * a->stride[0] + j * a->stride[1], frame->instr->accumulate, n[2], n[3], a->stride[3]);
  } else {
    reduce_any(frame);
  }
  return true;
}
