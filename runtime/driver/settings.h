/* Run-time scalars of a training step (--set): numbers, one number a step from a file, and schedules by name. */
#ifndef HCT_RUNTIME_DRIVER_SETTINGS_H
#define HCT_RUNTIME_DRIVER_SETTINGS_H

#include "ir/isa/image.h"
#include "ir/isa/settings.h"

typedef enum hct_schedule_kind { HCT_SCHEDULE_KEPT /* as compiled */, HCT_SCHEDULE_VALUES, HCT_SCHEDULE_CONSTANT, HCT_SCHEDULE_LINEAR, HCT_SCHEDULE_COSINE } hct_schedule_kind;

/* Over steps, which count from 0: peak * step / warmup before step `warmup`; from there on the kind's way from `peak` to `floor`, which it reaches at step `total`
 * and keeps. These are get_constant_schedule_with_warmup, get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup of Hugging Face's transformers. */
typedef struct hct_schedule {
  hct_schedule_kind kind;
  double peak, warmup, total, floor;
  const double *values; /* HCT_SCHEDULE_VALUES: [count] */
  size_t count;
} hct_schedule;

typedef struct hct_schedules { hct_schedule items[HCT_SETTING_GRADIENT_SCALE]; } hct_schedules;

/* `text`: what --set NAME= is given. Refused (HCT_E_OPTION, HCT_E_INPUT): another name, what is neither a number, a schedule nor a file, a value outside of the setting's
 * range in any step, or of no use to the program (`settings`: its tensor, NULL: it has none), a file of fewer values than `steps`. */
hct_status hct_schedules_add(hct_diags *diags, hct_arena *arena, const hct_tensor *settings, int64_t steps, const char *name, const char *text, hct_schedules *schedules);
/* Values of a step, into `values` [HCT_SETTING_COUNT], which holds what was compiled. Whether one differs from step to step. */
bool hct_schedules_at(const hct_schedules *schedules, int64_t step, float *values);

#endif
