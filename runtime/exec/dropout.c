/* Dropout: the mask is made from counters, and the same wherever and however often an element is computed. */
#include <math.h>
#include <string.h>

#include "runtime/exec/exec.h"

enum { ROUNDS = 10 };
static const uint32_t multipliers[2] = {0xd2511f53, 0xcd9e8d57}, weyl[2] = {0x9e3779b9, 0xbb67ae85};

void exec_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out_words[4]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t a = (uint64_t)multipliers[0] * c[0], b = (uint64_t)multipliers[1] * c[2];
    c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k[0], c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k[1];
    c[1] = (uint32_t)b, c[3] = (uint32_t)a;
    k[0] += weyl[0], k[1] += weyl[1];
  }
  memcpy(out_words, c, sizeof c);
}

typedef struct mask {
  uint32_t key[2], counter[4], words[4];
  uint64_t threshold; /* words from here on keep */
  int64_t block;      /* whose words are there */
} mask;

static bool keeps(mask *m, int64_t index) {
  if (index >> 2 != m->block) {
    m->block = index >> 2;
    m->counter[0] = (uint32_t)m->block, m->counter[1] = (uint32_t)((uint64_t)m->block >> 32);
    exec_philox(m->counter, m->key, m->words);
  }
  return m->words[index & 3] >= m->threshold;
}

bool exec_dropout(exec_frame *frame) {
  enum { D, A, SEED, STEP, INDEX };
  const exec_operand *d = &frame->view[D], *a = &frame->view[A];
  const int64_t *n = frame->shape, *stride = frame->instr->views[INDEX].stride;
  uint64_t seed = (uint64_t)hct_element_get_int(frame->view[SEED].dtype, frame->view[SEED].data);
  double step = hct_element_get(frame->view[STEP].dtype, frame->view[STEP].data), ratio;
  memcpy(&ratio, &frame->value[0], sizeof ratio);
  if (!(ratio >= 0 && ratio <= 1) || !(step >= 0 && step <= UINT32_MAX)) return snprintf(frame->fault, 256, "'drop' with a ratio of %g at step %g", ratio, step), false;
  mask m = {.key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .counter = {0, 0, (uint32_t)step, (uint32_t)frame->value[1]}, .threshold = (uint64_t)ceil(ratio * 0x1p32), .block = -1};
  float scale = (float)(1 / (1 - ratio));
  for (int64_t i = 0; i < n[0]; i++)
    for (int64_t j = 0; j < n[1]; j++)
      for (int64_t k = 0; k < n[2]; k++)
        for (int64_t l = 0; l < n[3]; l++) {
          const uint8_t *from = a->data + i * a->stride[0] + j * a->stride[1] + k * a->stride[2] + l * a->stride[3];
          uint8_t *to = d->data + i * d->stride[0] + j * d->stride[1] + k * d->stride[2] + l * d->stride[3];
          bool kept = keeps(&m, (int64_t)((uint64_t)frame->addr[INDEX] + (uint64_t)i * (uint64_t)stride[0] + (uint64_t)j * (uint64_t)stride[1] + (uint64_t)k * (uint64_t)stride[2] + (uint64_t)l * (uint64_t)stride[3]));
          hct_element_set(d->dtype, to, kept ? (double)((float)hct_element_get(a->dtype, from) * scale) : 0);
        }
  return true;
}
