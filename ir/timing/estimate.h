/* How long a step of an image will take: what the compiler chooses by. */
#ifndef HCT_TIMING_ESTIMATE_H
#define HCT_TIMING_ESTIMATE_H

#include "ir/timing/machine.h"

typedef struct hct_estimate {
  double step_s;
  double energy_j;
  uint64_t dram_read_bytes, dram_write_bytes; /* over all dies */
} hct_estimate;

/* Runs the machine (machine.h), with loops taken to go on as they do after a few iterations, so that times, and bytes on links, are near those
 * of a simulation; `out_stats` are its counters exactly, since they follow from the streams. A deadlock is diagnosed. Arrays of the results live in `arena`. */
hct_status hct_image_predict(hct_diags *diags, hct_arena *arena, const hct_image *image, const hct_package *package, hct_stats *out_stats, hct_machine_result *out_result);
/* The same in short, above 64 dies with one die run for all that do the same (classes.h). A program that deadlocks takes forever (HUGE_VAL). */
hct_estimate hct_image_estimate(const hct_image *image, const hct_package *package);

/* What a compilation is to have little of (--objective). */
typedef enum hct_objective { HCT_OBJECTIVE_TIME, HCT_OBJECTIVE_DRAM, HCT_OBJECTIVE_ENERGY } hct_objective;
hct_objective hct_objective_parse(const char *name); /* time, dram, energy */
/* Whether `a` is better: by time, where times within one part in a thousand and different DRAM bytes are taken for the latter; by DRAM bytes;
 * by energy, as the report counts it. Time breaks ties. */
bool hct_estimate_better(const hct_estimate *a, const hct_estimate *b, hct_objective objective);

#endif
