/* c[m,n] (+)= sum over k of a[m,k] b[k,n]. BLIS takes any row and column strides, so no operand is packed here; small products, where
 * its set-up would cost more than the work, sum in double and round once an instruction; large ones sum in f32. */
#include <blis.h>
#include <string.h>

#include "runtime/exec/exec.h"

enum { SMALL_MACS = 64 * 1024 };

static bool plain_f32(const exec_operand *operand) { return operand->dtype == HCT_F32 && ((uintptr_t)operand->data & 3) == 0; }

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

static void matmul_large(exec_frame *frame) {
  const exec_operand *c = &frame->view[0], *a = &frame->view[1], *b = &frame->view[2];
  float one = 1, beta = frame->instr->accumulate ? 1 : 0;
  bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, frame->shape[0], frame->shape[1], frame->shape[2], &one, (float *)(void *)a->data, a->stride[0] / 4, a->stride[2] / 4,
            (float *)(void *)b->data, b->stride[2] / 4, b->stride[1] / 4, &beta, (float *)(void *)c->data, c->stride[0] / 4, c->stride[1] / 4);
}

/* Other element types: f32 accumulation, rounded once. */
static void matmul_any(exec_frame *frame) {
  const exec_operand *c = &frame->view[0], *a = &frame->view[1], *b = &frame->view[2];
  for (int64_t m = 0; m < frame->shape[0]; m++)
    for (int64_t n = 0; n < frame->shape[1]; n++) {
      uint8_t *to = c->data + m * c->stride[0] + n * c->stride[1];
      float sum = frame->instr->accumulate ? (float)exec_load(c->dtype, to) : 0.0f;
      for (int64_t k = 0; k < frame->shape[2]; k++)
        sum += (float)exec_load(a->dtype, a->data + m * a->stride[0] + k * a->stride[2]) * (float)exec_load(b->dtype, b->data + k * b->stride[2] + n * b->stride[1]);
      exec_store(c->dtype, to, (double)sum);
    }
}

bool exec_matmul(exec_frame *frame) {
  if (!plain_f32(&frame->view[0]) || !plain_f32(&frame->view[1]) || !plain_f32(&frame->view[2])) matmul_any(frame);
  else if (frame->shape[0] * frame->shape[1] * frame->shape[2] <= SMALL_MACS) matmul_small(frame);
  else matmul_large(frame);
  return true;
}
