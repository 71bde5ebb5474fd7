/* How long a step of an image will take, from one die's stream at a time: what the compiler chooses by. */
#ifndef HCT_TIMING_ESTIMATE_H
#define HCT_TIMING_ESTIMATE_H

#include "ir/isa/image.h"
#include "ir/package/package.h"

typedef struct hct_estimate {
  double step_s;
  uint64_t dram_read_bytes, dram_write_bytes; /* exact, over all dies */
} hct_estimate;

/* Follows each stream with the package's rules for one die alone: queues and semaphores as in the machine; neighbours on a ring do what this
 * die does at the same time; a DRAM channel is shared by as many dies as the busiest serves. Loops are followed until an iteration takes as long
 * as the one before, the rest are counted. Left out: waiting for links that others hold, and the way from a channel to a die. */
hct_estimate hct_image_estimate(const hct_image *image, const hct_package *package);

#endif
