/* Optimizer steps, as PyTorch defines them (torch.optim.SGD, Adam, AdamW), in f32. */
#include <math.h>
#include <stdlib.h>

#include "ir/isa/settings.h"
#include "runtime/exec/f32.h"

static float setting(const exec_frame *frame, int index) { return (float)hct_element_get(frame->view[4].dtype, frame->view[4].data + (size_t)index * hct_dtype_bytes(frame->view[4].dtype)); }

typedef struct optimizer_step {
  float lr, decay, momentum, beta1, beta2, eps, scale, step_size, root;
  bool is_first;
} optimizer_step;

static optimizer_step step_of(const exec_frame *frame) {
  optimizer_step s = {.lr = setting(frame, HCT_SETTING_LR), .decay = setting(frame, HCT_SETTING_WEIGHT_DECAY), .momentum = setting(frame, HCT_SETTING_MOMENTUM),
                      .beta1 = setting(frame, HCT_SETTING_BETA1), .beta2 = setting(frame, HCT_SETTING_BETA2), .eps = setting(frame, HCT_SETTING_EPS),
                      .scale = setting(frame, HCT_SETTING_GRADIENT_SCALE)};
  float done = (float)hct_element_get(frame->view[5].dtype, frame->view[5].data);
  double correction1 = 1 - pow((double)s.beta1, (double)done + 1), correction2 = 1 - pow((double)s.beta2, (double)done + 1);
  s.step_size = (float)((double)s.lr / correction1);
  s.root = (float)sqrt(correction2);
  s.is_first = done == 0;
  return s;
}

/* Parameter `p` of gradient `g`, whose states are `s1` and `s2`: its next value. */
HCT_INLINE float step_element(uint8_t fn, const optimizer_step *s, float p, float g, float *s1, float *s2) {
  g *= s->scale;
  if (fn == HCT_FN_UPDATE_ADAMW) p *= 1 - s->lr * s->decay;
  else g += s->decay * p;
  if (fn == HCT_FN_UPDATE_SGD) return p - s->lr * g;
  if (fn == HCT_FN_UPDATE_MOMENTUM || fn == HCT_FN_UPDATE_NESTEROV) {
    *s1 = s->is_first ? g : s->momentum * *s1 + g;
    return p - s->lr * (fn == HCT_FN_UPDATE_NESTEROV ? g + s->momentum * *s1 : *s1);
  }
  *s1 = s->beta1 * *s1 + (1 - s->beta1) * g;
  *s2 = s->beta2 * *s2 + (1 - s->beta2) * g * g;
  return p - s->step_size * *s1 / (sqrtf(*s2) / s->root + s->eps);
}

static bool has_state(uint8_t fn, int state) { return fn != HCT_FN_UPDATE_SGD && (state == 1 || (fn != HCT_FN_UPDATE_MOMENTUM && fn != HCT_FN_UPDATE_NESTEROV)); }

/* Any operands, an element at a time. */
static void update_any(exec_frame *frame, const optimizer_step *s) {
  uint8_t fn = frame->instr->fn;
  for (int64_t i = 0; i < frame->shape[0]; i++) {
    uint8_t *at[4];
    float value[4] = {0};
    for (int v = 0; v < 4; v++) {
      at[v] = frame->view[v].data + i * frame->view[v].stride[0];
      if (v < 2 || has_state(fn, v - 1)) value[v] = exec_get(frame->view[v].dtype, at[v]);
    }
    value[0] = step_element(fn, s, value[0], value[1], &value[2], &value[3]);
    for (int v = 0; v < 4; v++)
      if (v == 0 || (v > 1 && has_state(fn, v - 1))) exec_set(frame->view[v].dtype, at[v], value[v]);
  }
}

/* Contiguous f32, none of which overlap. */
typedef void update_kernel(const optimizer_step *s, float *p, const float *g, float *s1, float *s2, int64_t count);
#define HCT_FN(table, name, code, text, cost, meaning) KERNEL_##table(name)
#define KERNEL_MAP1(name)
#define KERNEL_MAP2(name)
#define KERNEL_MAP3(name)
#define KERNEL_RED(name)
#define KERNEL_UPDATE(name)                                                                                                                \
  HCT_VECTORS static void update_##name(const optimizer_step *s, float *p, const float *g, float *s1, float *s2, int64_t count) {         \
    const optimizer_step step = *s;                                                                                                        \
    _Pragma("omp simd") for (int64_t i = 0; i < count; i++) p[i] = step_element(HCT_FN_UPDATE_##name, &step, p[i], g[i], &s1[i], &s2[i]);  \
  }
#include "ir/isa/isa_functions.def"
#undef KERNEL_UPDATE
#define KERNEL_UPDATE(name) [HCT_FN_UPDATE_##name] = update_##name,
static update_kernel *const kernels[] = {
#include "ir/isa/isa_functions.def"
};
#undef HCT_FN

static bool is_plain(const exec_frame *frame) {
  for (int v = 0; v < 4; v++) {
    if (v > 1 && !has_state(frame->instr->fn, v - 1)) continue;
    if (frame->view[v].stride[0] != 4) return false;
    for (int w = 0; w < v; w++)
      if (llabs(frame->view[v].data - frame->view[w].data) < frame->shape[0] * 4) return false;
  }
  return exec_all_f32(frame, 0, 4);
}

bool exec_update(exec_frame *frame) {
  optimizer_step step = step_of(frame);
  if (step.scale < 0) return true;
  float *at[4];
  for (int v = 0; v < 4; v++) at[v] = (float *)(void *)frame->view[v].data;
  if (is_plain(frame)) kernels[frame->instr->fn](&step, at[0], at[1], at[2], at[3], frame->shape[0]);
  else update_any(frame, &step);
  return true;
}
