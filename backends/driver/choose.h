#ifndef HCT_BACKENDS_DRIVER_CHOOSE_H
#define HCT_BACKENDS_DRIVER_CHOOSE_H

#include "compiler/pass.h"

/* --strategy=auto and --micro-batch=auto: compiles the module, which is at graph level, with each candidate and sets the options to the one
 * whose step is predicted to be shortest; fewer DRAM bytes break ties within one part in a thousand. Nothing is left to choose when both are
 * given. When no candidate fits, the last one is set, whose compilation then says why. */
hct_status hct_choose(hct_pass_context *pass, MlirModule module);

#endif
