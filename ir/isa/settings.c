#include "ir/isa/settings.h"

#include <math.h>
#include <string.h>

const hct_setting hct_settings[HCT_SETTING_GRADIENT_SCALE] = {
#define HCT_SETTING(NAME, name, value, least, below, meaning) {name, value, least, below},
#include "ir/isa/settings.def"
#undef HCT_SETTING
};

const hct_optimizer hct_optimizers[] = {
#define HCT_OPTIMIZER(name, states, weight_decay) {name, states, weight_decay},
#include "ir/isa/optimizers.def"
#undef HCT_OPTIMIZER
};
const size_t hct_optimizer_count = sizeof hct_optimizers / sizeof *hct_optimizers;

size_t hct_setting_find(const char *name) {
  size_t at = 0;
  while (at < HCT_SETTING_GRADIENT_SCALE && strcmp(hct_settings[at].name, name)) at++;
  return at;
}

const hct_optimizer *hct_optimizer_find(const char *name) {
  for (size_t i = 0; i < hct_optimizer_count; i++)
    if (!strcmp(hct_optimizers[i].name, name)) return &hct_optimizers[i];
  return NULL;
}
