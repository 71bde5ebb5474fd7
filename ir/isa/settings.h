/* Optimizers and run-time scalars of a training step. */
#ifndef HCT_ISA_SETTINGS_H
#define HCT_ISA_SETTINGS_H

#include <stddef.h>

/* Places in the tensor "settings". The last one is none of settings.def: what an optimizer step multiplies gradients by before all else. Images hold 1; a
 * program that clips or scales computes it in each step. Negative: the step leaves parameters and states as they are. */
enum {
#define HCT_SETTING(NAME, name, value, least, below, meaning) HCT_SETTING_##NAME,
#include "ir/isa/settings.def"
#undef HCT_SETTING
  HCT_SETTING_GRADIENT_SCALE,
  HCT_SETTING_COUNT
};

typedef struct hct_setting { const char *name; double value, least, below; } hct_setting;
extern const hct_setting hct_settings[HCT_SETTING_GRADIENT_SCALE];
size_t hct_setting_find(const char *name); /* HCT_SETTING_GRADIENT_SCALE: there is no such name */

typedef struct hct_optimizer { const char *name; size_t states; double weight_decay; } hct_optimizer;
extern const hct_optimizer hct_optimizers[];
extern const size_t hct_optimizer_count;
const hct_optimizer *hct_optimizer_find(const char *name); /* NULL: there is none */

#endif
