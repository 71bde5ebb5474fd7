/* How long a step of an image will take: what the compiler chooses by. */
#ifndef HCT_TIMING_ESTIMATE_H
#define HCT_TIMING_ESTIMATE_H

#include "ir/isa/image.h"
#include "ir/package/package.h"

typedef struct hct_estimate {
  double step_s;
  uint64_t dram_read_bytes, dram_write_bytes; /* over all dies */
} hct_estimate;

/* Runs the machine (machine.h), above 64 dies with one die for all that do the same (classes.h), with loops taken to go on as they do after a few iterations. A program that deadlocks takes forever (HUGE_VAL). */
hct_estimate hct_image_estimate(const hct_image *image, const hct_package *package);

#endif
