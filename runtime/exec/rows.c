/* Row-wise instructions: softmax, table lookups, class picks. */
#include <math.h>
#include <string.h>

#include "runtime/exec/f32.h"

static double at2(const exec_operand *o, int64_t row, int64_t col) {
  const uint8_t *at = o->data + row * o->stride[0] + col * o->stride[1];
  float single;
  if (o->dtype != HCT_F32) return hct_element_get(o->dtype, at);
  memcpy(&single, at, sizeof single);
  return (double)single;
}
static void move2(const exec_operand *to, int64_t row, int64_t col, const exec_operand *from, int64_t from_row, int64_t from_col) {
  uint8_t *at = to->data + row * to->stride[0] + col * to->stride[1];
  const uint8_t *value = from->data + from_row * from->stride[0] + from_col * from->stride[1];
  if (to->dtype == from->dtype) memcpy(at, value, hct_dtype_bytes(to->dtype));
  else hct_element_set(to->dtype, at, hct_element_get(from->dtype, value));
}
static void put2(const exec_operand *o, int64_t row, int64_t col, double value) { hct_element_set(o->dtype, o->data + row * o->stride[0] + col * o->stride[1], value); }

static int64_t at2_int(const exec_operand *o, int64_t row, int64_t col) { return hct_element_get_int(o->dtype, o->data + row * o->stride[0] + col * o->stride[1]); }
static void put2_int(const exec_operand *o, int64_t row, int64_t col, int64_t value) { hct_element_set_int(o->dtype, o->data + row * o->stride[0] + col * o->stride[1], value); }

/* `views` operands of f32, rows of contiguous elements. */
static bool rows_f32(const exec_frame *frame, int views) {
  for (int v = 0; v < views; v++)
    if (frame->view[v].stride[1] != 4) return false;
  return exec_all_f32(frame, 0, views);
}
static float *row_f32(const exec_operand *o, int64_t row) { return (float *)(void *)(o->data + row * o->stride[0]); }

static void softmax_row(float *d, const float *a, int64_t count) {
  float highest = exec_f32_max(a, count);
  exec_f32_map2(HCT_FN_MAP2_SUB, (uint8_t *)d, 4, (const uint8_t *)a, 4, (const uint8_t *)&highest, 0, count);
  exec_f32_map1(HCT_FN_MAP1_EXP, (uint8_t *)d, 4, (const uint8_t *)d, 4, 0, count);
  exec_f32_divide(d, d, exec_f32_sum(d, count), count);
}

bool exec_softmax(exec_frame *frame) {
  const exec_operand *d = &frame->view[0], *a = &frame->view[1];
  bool singles = rows_f32(frame, 2);
  for (int64_t r = 0; r < frame->shape[0]; r++) {
    if (singles) {
      softmax_row(row_f32(d, r), row_f32(a, r), frame->shape[1]);
      continue;
    }
    double highest = -INFINITY, sum = 0;
    for (int64_t c = 0; c < frame->shape[1]; c++) highest = fmax(highest, at2(a, r, c));
    for (int64_t c = 0; c < frame->shape[1]; c++) sum += (double)expf((float)(at2(a, r, c) - highest));
    for (int64_t c = 0; c < frame->shape[1]; c++) put2(d, r, c, (double)expf((float)(at2(a, r, c) - highest)) / sum); /* rounded once, whatever d's type */
  }
  return true;
}

bool exec_softmax_grad(exec_frame *frame) {
  const exec_operand *d = &frame->view[0], *y = &frame->view[1], *g = &frame->view[2];
  bool singles = rows_f32(frame, 3);
  for (int64_t r = 0; r < frame->shape[0]; r++) {
    if (singles) {
      exec_f32_softmax_grad(row_f32(d, r), row_f32(y, r), row_f32(g, r), exec_f32_dot(row_f32(y, r), row_f32(g, r), frame->shape[1]), frame->shape[1]);
      continue;
    }
    double dot = 0;
    for (int64_t c = 0; c < frame->shape[1]; c++) dot += at2(y, r, c) * at2(g, r, c);
    for (int64_t c = 0; c < frame->shape[1]; c++) put2(d, r, c, at2(y, r, c) * (at2(g, r, c) - dot));
  }
  return true;
}

/* The row of the die's part of a table that id `token` names, or -1 when another die holds it; false: no row of the whole table. */
static bool table_row(exec_frame *frame, const exec_operand *ids, int64_t token, int64_t *out_row) {
  int64_t id = hct_element_get_int(ids->dtype, ids->data + token * ids->stride[0]);
  int64_t first = frame->value[0], held = frame->value[1], rows = frame->value[2];
  if (id < -rows || id >= rows) {
    snprintf(frame->fault, 256, "index %lld of token %lld is outside of a table of %lld rows", (long long)id, (long long)token, (long long)rows);
    return false;
  }
  if (id < 0) id += rows;
  *out_row = id >= first && id < first + held ? id - first : -1;
  return true;
}

bool exec_gather(exec_frame *frame) {
  const exec_operand *d = &frame->view[0], *table = &frame->view[1], *ids = &frame->view[2];
  for (int64_t t = 0; t < frame->shape[0]; t++) {
    int64_t row;
    if (!table_row(frame, ids, t, &row)) return false;
    for (int64_t f = 0; f < frame->shape[1]; f++) {
      if (row < 0) put2(d, t, f, 0);
      else move2(d, t, f, table, row, f);
    }
  }
  return true;
}

bool exec_scatter(exec_frame *frame) {
  const exec_operand *table = &frame->view[0], *g = &frame->view[1], *ids = &frame->view[2];
  for (int64_t t = 0; t < frame->shape[0]; t++) {
    int64_t row;
    if (!table_row(frame, ids, t, &row)) return false;
    for (int64_t f = 0; row >= 0 && f < frame->shape[1]; f++) {
      if (hct_dtype_is_float(table->dtype)) put2(table, row, f, (double)((float)at2(table, row, f) + (float)at2(g, t, f)));
      else put2_int(table, row, f, at2_int(table, row, f) + at2_int(g, t, f));
    }
  }
  return true;
}

bool exec_pick(exec_frame *frame) {
  const exec_operand *d = &frame->view[0], *z = &frame->view[1], *ids = &frame->view[2];
  for (int64_t t = 0; t < frame->shape[0]; t++) {
    int64_t at = hct_element_get_int(ids->dtype, ids->data + t * ids->stride[0]) - frame->value[0];
    if (at >= 0 && at < frame->shape[1]) move2(d, t, 0, z, t, at);
    else put2(d, t, 0, 0);
  }
  return true;
}

bool exec_place(exec_frame *frame) {
  const exec_operand *d = &frame->view[0], *g = &frame->view[1], *ids = &frame->view[2];
  bool dense = d->stride[1] == (int64_t)hct_dtype_bytes(d->dtype);
  for (int64_t t = 0; t < frame->shape[0]; t++) {
    int64_t at = hct_element_get_int(ids->dtype, ids->data + t * ids->stride[0]) - frame->value[0];
    if (dense) memset(d->data + t * d->stride[0], 0, (size_t)(frame->shape[1] * d->stride[1])); /* zero is zero bytes in every type */
    for (int64_t v = 0; !dense && v < frame->shape[1]; v++) put2(d, t, v, 0);
    if (at >= 0 && at < frame->shape[1]) move2(d, t, at, g, t, 0);
  }
  return true;
}
