/* The package as a discrete-event machine: one event loop for both simulators (system.md, "Timing"). With effects it also moves and
 * computes data, each instruction's effect handed over when it completes, so that the order of effects is that of the modelled time and
 * a missing wait shows as wrong numbers under --jitter; without, it moves time alone. Counters are counted at the same place.
 *
 * Times are picoseconds, relative to the start of the step; nothing depends on absolute time or on a global counter, so a later
 * recurrence detector may compare and shift whole machine states. Ties: by time, then die, then engine. */
#ifndef HCT_RUNTIME_TIMING_MACHINE_H
#define HCT_RUNTIME_TIMING_MACHINE_H

#include "ir/isa/sequencer.h"
#include "ir/package/package.h"
#include "runtime/exec/effects.h"
#include "runtime/report/stats.h"

typedef enum hct_die_activity { HCT_BUSY_MXU, HCT_BUSY_VPU, HCT_BUSY_NOP, HCT_BUSY_DRAM, HCT_IDLE, HCT_ACTIVITY_COUNT } hct_die_activity;

typedef struct hct_machine_options {
  hct_effects *effects; /* on the dies' memories; NULL: time only */
  bool jitter;          /* every latency is multiplied by a random factor from 1 to 2 */
  uint64_t seed;
  const char *doing;          /* for progress; NULL: nothing in particular */
} hct_machine_options;

typedef struct hct_machine_result {
  int64_t step_ps;
  int64_t (*activity_ps)[HCT_ACTIVITY_COUNT]; /* per die; they add up to step_ps */
  int64_t busiest_link_ps, busiest_channel_ps;
  uint64_t link_bytes;          /* collectives: bytes times links crossed */
  uint64_t dram_transit_bytes;  /* DRAM traffic of dies that are not at their channel: bytes times links crossed */
  int64_t *source_ps;           /* per source: time of all dies while it was the last one started */
  uint64_t events;
} hct_machine_result;

/* Runs one step. Faults, and a deadlock (one note a blocked engine), are diagnosed. Arrays of the result live in `arena`. */
hct_status hct_machine_run(hct_diags *diags, hct_arena *arena, const hct_image *image, const hct_package *package, const hct_machine_options *options,
                           hct_stats *stats, hct_machine_result *out_result);

#endif
