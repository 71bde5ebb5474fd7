/* Optimizer steps, as PyTorch defines them (torch.optim.SGD, Adam, AdamW), in f32. */
#include <math.h>

#include "ir/isa/settings.h"
#include "runtime/exec/exec.h"

static float setting(const exec_frame *frame, int index) { return (float)hct_element_get(frame->view[4].dtype, frame->view[4].data + (size_t)index * hct_dtype_bytes(frame->view[4].dtype)); }

bool exec_update(exec_frame *frame) {
  uint8_t fn = frame->instr->fn;
  float lr = setting(frame, HCT_SETTING_LR), decay = setting(frame, HCT_SETTING_WEIGHT_DECAY), momentum = setting(frame, HCT_SETTING_MOMENTUM);
  float beta1 = setting(frame, HCT_SETTING_BETA1), beta2 = setting(frame, HCT_SETTING_BETA2), eps = setting(frame, HCT_SETTING_EPS);
  float scale = setting(frame, HCT_SETTING_GRADIENT_SCALE), done = (float)hct_element_get(frame->view[5].dtype, frame->view[5].data);
  double correction1 = 1 - pow((double)beta1, (double)done + 1), correction2 = 1 - pow((double)beta2, (double)done + 1);
  float step_size = (float)((double)lr / correction1), root = (float)sqrt(correction2);
  for (int64_t i = 0; i < frame->shape[0] && !(scale < 0); i++) {
    uint8_t *at[4];
    for (int v = 0; v < 4; v++) at[v] = frame->view[v].data + i * frame->view[v].stride[0];
    float p = exec_get(frame->view[0].dtype, at[0]), g = scale * exec_get(frame->view[1].dtype, at[1]);
    if (fn == HCT_FN_UPDATE_ADAMW) p *= 1 - lr * decay;
    else g += decay * p;
    if (fn == HCT_FN_UPDATE_SGD) {
      p -= lr * g;
    } else if (fn == HCT_FN_UPDATE_MOMENTUM || fn == HCT_FN_UPDATE_NESTEROV) {
      float velocity = done == 0 ? g : momentum * exec_get(frame->view[2].dtype, at[2]) + g;
      exec_set(frame->view[2].dtype, at[2], velocity);
      p -= lr * (fn == HCT_FN_UPDATE_NESTEROV ? g + momentum * velocity : velocity);
    } else {
      float m = exec_get(frame->view[2].dtype, at[2]), v = exec_get(frame->view[3].dtype, at[3]);
      m = beta1 * m + (1 - beta1) * g;
      v = beta2 * v + (1 - beta2) * g * g;
      exec_set(frame->view[2].dtype, at[2], m);
      exec_set(frame->view[3].dtype, at[3], v);
      p -= step_size * m / (sqrtf(v) / root + eps);
    }
    exec_set(frame->view[0].dtype, at[0], p);
  }
  return true;
}
