/* c[m,n] (+)= sum over k of a[m,k] b[k,n]. Small products, where a library's set-up would cost more than the work, and those with vectors sum in double and round
 * once an instruction; others sum in f32: oneDNN has the products whose operands lie as BLAS's do, BLIS, which takes any row and column strides that are not negative
 * (it packs a stride of -1 as one of 1), the others. */
#include <blis.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/exec/f32.h"

enum { SMALL_MACS = 64 * 1024, MOST_SUMMED = 256 /* products in a row, as BLIS has it: sums of parts round less than one long sum */ };

static bool plain_f32(const exec_operand *operand) {
  for (int d = 0; d < 3; d++)
    if (operand->stride[d] < 0) return false;
  return operand->dtype == HCT_F32 && ((uintptr_t)operand->data & 3) == 0;
}

static void matmul_small(exec_frame *frame) {
  const exec_operand *c = &frame->view[0], *a = &frame->view[1], *b = &frame->view[2];
  int64_t M = frame->shape[0], N = frame->shape[1], K = frame->shape[2];
  double row[256];
  for (int64_t m = 0; m < M; m++)
    for (int64_t n0 = 0; n0 < N; n0 += 256) {
      int64_t width = N - n0 < 256 ? N - n0 : 256;
      uint8_t *to = c->data + m * c->stride[0] + n0 * c->stride[1];
      for (int64_t n = 0; n < width; n++) row[n] = frame->instr->accumulate ? (double)*(float *)(void *)(to + n * c->stride[1]) : 0.0;
      for (int64_t k = 0; k < K; k++) {
        float x = *(const float *)(const void *)(a->data + m * a->stride[0] + k * a->stride[2]);
        const uint8_t *from = b->data + k * b->stride[2] + n0 * b->stride[1];
        if (b->stride[1] == 4) {
          const float *line = (const float *)(const void *)from;
          for (int64_t n = 0; n < width; n++) row[n] += (double)x * (double)line[n];
        } else {
          for (int64_t n = 0; n < width; n++) row[n] += (double)x * (double)*(const float *)(const void *)(from + n * b->stride[1]);
        }
      }
      for (int64_t n = 0; n < width; n++) *(float *)(void *)(to + n * c->stride[1]) = (float)row[n];
    }
}

/* Of libgomp, which oneDNN runs on; no header of its own comes with every compiler. */
void omp_set_num_threads(int threads);

/* A matrix of f32 in row-major order, or its transpose in that order. */
typedef struct blas_matrix { float *data; int64_t leading; bool transposed; } blas_matrix;

static bool blas_matrix_of(const exec_operand *operand, int row, int64_t rows, int col, int64_t cols, blas_matrix *out) {
  int64_t down = operand->stride[row] / 4, across = operand->stride[col] / 4;
  bool plain = across == 1 && down >= cols;
  *out = (blas_matrix){(float *)(void *)operand->data, plain ? down : across, !plain};
  return plain || (down == 1 && across >= rows);
}

/* c (+)= a b over `count` elements of k from `from` on. */
static void sgemm_part(const blas_matrix *a, const blas_matrix *b, const blas_matrix *c, int64_t m, int64_t n, int64_t from, int64_t count, bool add) {
  const float *left = a->data + (a->transposed ? from * a->leading : from), *right = b->data + (b->transposed ? from : from * b->leading);
  dnnl_status_t status = dnnl_sgemm(a->transposed ? 'T' : 'N', b->transposed ? 'T' : 'N', m, n, count, 1, left, a->leading, right, b->leading, add, c->data, c->leading);
  HCT_BUG_ON(status != dnnl_success, "dnnl_sgemm gives %d", status);
}

static float *floats(int64_t rows, int64_t cols) {
  float *data = malloc(((size_t)rows * (size_t)cols + 1) * sizeof *data);
  HCT_BUG_ON(!data, "out of memory");
  return data;
}

/* b transposed, as weights are for the gradients of activations: no library is fast in that with few rows, so each part of k of it is transposed first. */
static void sgemm_turned_b(const blas_matrix *a, const blas_matrix *b, const blas_matrix *c, int64_t m, int64_t n, int64_t k, bool add) {
  float *turned = floats(MOST_SUMMED, n);
  for (int64_t from = 0, count; from < k; from += count) {
    count = k - from < MOST_SUMMED ? k - from : MOST_SUMMED;
    exec_f32_transpose(turned, n, b->data + from, b->leading, n, count);
    blas_matrix left = {a->data + from, a->leading, false}, right = {turned, n, false};
    sgemm_part(&left, &right, c, m, n, 0, count, from || add);
  }
  free(turned);
}

/* The same as c' = b' a', where a and c are what is smaller. */
static void sgemm_turned_a(const blas_matrix *a, const blas_matrix *b, const blas_matrix *c, int64_t m, int64_t n, int64_t k, bool add) {
  float *turned = floats(MOST_SUMMED, m), *sums = floats(n, m);
  blas_matrix result = {sums, m, false};
  if (add) exec_f32_transpose(sums, m, c->data, c->leading, m, n);
  for (int64_t from = 0, count; from < k; from += count) {
    count = k - from < MOST_SUMMED ? k - from : MOST_SUMMED;
    exec_f32_transpose(turned, m, a->data + from, a->leading, m, count);
    blas_matrix left = {b->data + from, b->leading, false}, right = {turned, m, false};
    sgemm_part(&left, &right, &result, n, m, 0, count, from || add);
  }
  exec_f32_transpose(c->data, c->leading, sums, m, n, m);
  free(turned);
  free(sums);
}

/* False: not a product for oneDNN. */
static bool matmul_dnnl(const exec_frame *frame) {
  int64_t M = frame->shape[0], N = frame->shape[1], K = frame->shape[2];
  bool add = frame->instr->accumulate;
  blas_matrix a, b, c;
  if (!blas_matrix_of(&frame->view[1], 0, M, 2, K, &a) || !blas_matrix_of(&frame->view[2], 2, K, 1, N, &b) || !blas_matrix_of(&frame->view[0], 0, M, 1, N, &c)) return false;
  if (c.transposed) { /* c' = b' a' */
    blas_matrix left = b;
    b = (blas_matrix){a.data, a.leading, !a.transposed}, a = (blas_matrix){left.data, left.leading, !left.transposed};
    int64_t rows = M;
    M = N, N = rows;
  }
  omp_set_num_threads(1); /* of this thread */
  if (a.transposed || !b.transposed)
    for (int64_t k = 0; k < K; k += MOST_SUMMED) sgemm_part(&a, &b, &c, M, N, k, K - k < MOST_SUMMED ? K - k : MOST_SUMMED, k || add);
  else if (M * (N + K) < N * K) sgemm_turned_a(&a, &b, &c, M, N, K, add);
  else sgemm_turned_b(&a, &b, &c, M, N, K, add);
  return true;
}

static void matmul_blis(const exec_frame *frame) {
  const exec_operand *c = &frame->view[0], *a = &frame->view[1], *b = &frame->view[2];
  float one = 1, beta = frame->instr->accumulate ? 1 : 0;
  bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, frame->shape[0], frame->shape[1], frame->shape[2], &one, (float *)(void *)a->data, a->stride[0] / 4, a->stride[2] / 4,
            (float *)(void *)b->data, b->stride[2] / 4, b->stride[1] / 4, &beta, (float *)(void *)c->data, c->stride[0] / 4, c->stride[1] / 4);
}

/* rows x cols elements of an operand, along its loops `outer` and `inner`, as dense f32. */
static float *unpack(const exec_operand *from, int outer, int64_t rows, int inner, int64_t cols) {
  float *dense = floats(rows, cols);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < cols; j++) dense[i * cols + j] = (float)hct_element_get(from->dtype, from->data + i * from->stride[outer] + j * from->stride[inner]);
  return dense;
}

static exec_operand dense_operand(float *data, int outer, int inner, int64_t cols) {
  exec_operand operand = {.data = (uint8_t *)data, .dtype = HCT_F32};
  operand.stride[outer] = cols * 4;
  operand.stride[inner] = 4;
  return operand;
}

static void matmul_f32(exec_frame *frame) {
  bool vector = frame->shape[0] == 1 || frame->shape[1] == 1; /* BLIS reads behind the end of these */
  if (vector || frame->shape[0] * frame->shape[1] * frame->shape[2] <= SMALL_MACS) matmul_small(frame);
  else if (!matmul_dnnl(frame)) matmul_blis(frame);
}

/* Other element types, and operands that run backwards: as dense f32, accumulated in f32, and the result rounded once. */
static void matmul_converted(exec_frame *frame) {
  exec_operand *c = &frame->view[0], *a = &frame->view[1], *b = &frame->view[2], result = *c;
  int64_t M = frame->shape[0], N = frame->shape[1], K = frame->shape[2];
  float *dense[3] = {NULL};
  if (!plain_f32(a)) *a = dense_operand(dense[1] = unpack(a, 0, M, 2, K), 0, 2, K);
  if (!plain_f32(b)) *b = dense_operand(dense[2] = unpack(b, 2, K, 1, N), 2, 1, N);
  if (!plain_f32(c)) *c = dense_operand(dense[0] = unpack(c, 0, M, 1, N), 0, 1, N);
  matmul_f32(frame);
  for (int64_t i = 0; dense[0] && i < M * N; i++) hct_element_set(result.dtype, result.data + i / N * result.stride[0] + i % N * result.stride[1], (double)dense[0][i]);
  for (int k = 0; k < 3; k++) free(dense[k]);
}

/* Integers: exact, modulo the result's range. */
static void matmul_ints(exec_frame *frame) {
  const exec_operand *c = &frame->view[0], *a = &frame->view[1], *b = &frame->view[2];
  for (int64_t m = 0; m < frame->shape[0]; m++)
    for (int64_t n = 0; n < frame->shape[1]; n++) {
      uint8_t *to = c->data + m * c->stride[0] + n * c->stride[1];
      uint64_t sum = frame->instr->accumulate ? (uint64_t)hct_element_get_int(c->dtype, to) : 0;
      for (int64_t k = 0; k < frame->shape[2]; k++)
        sum += (uint64_t)hct_element_get_int(a->dtype, a->data + m * a->stride[0] + k * a->stride[2]) * (uint64_t)hct_element_get_int(b->dtype, b->data + n * b->stride[1] + k * b->stride[2]);
      hct_element_set_int(c->dtype, to, (int64_t)sum);
    }
}

bool exec_matmul(exec_frame *frame) {
  if (!hct_dtype_is_float(frame->view[0].dtype) && !hct_dtype_is_float(frame->view[1].dtype)) matmul_ints(frame);
  else if (plain_f32(&frame->view[0]) && plain_f32(&frame->view[1]) && plain_f32(&frame->view[2])) matmul_f32(frame);
  else matmul_converted(frame);
  return true;
}
