/* The package as a discrete-event machine: one event loop for both simulators (system.md, "Timing"). With effects it also moves and
 * computes data, each instruction's effect handed over when it completes, so that the order of effects is that of the modelled time and
 * a missing wait shows as wrong numbers under --jitter; without, it moves time alone. Counters are counted at the same place.
 *
 * Times are picoseconds. Nothing depends on absolute time or on a global counter, nor, without effects, on an address: so where the whole
 * state, relative to the present time and iteration, is what it was some iterations before, the iterations up to the loop's end are not
 * simulated one by one (recurrence.c), and where a state, the code that is run from it and the loops around it are what they were before, at
 * the same place or in a copy of the code, what came of it is replayed (memo.c). Ties: by time, then die, then engine. */
#ifndef HCT_TIMING_MACHINE_H
#define HCT_TIMING_MACHINE_H

#include "ir/isa/classes.h"
#include "ir/isa/sequencer.h"
#include "ir/package/package.h"
#include "ir/timing/stats.h"

typedef enum hct_die_activity { HCT_BUSY_MXU, HCT_BUSY_VPU, HCT_BUSY_NOP, HCT_BUSY_DRAM, HCT_IDLE, HCT_ACTIVITY_COUNT } hct_die_activity;

/* What instructions do besides taking time, called as they complete. False: the run is to stop. */
typedef struct hct_machine_effects {
  void *user;
  bool (*run)(void *user, size_t die, const hct_issued *issued);
  bool (*transfer)(void *user, size_t sender, const hct_issued *send, size_t receiver, const hct_issued *receive);
} hct_machine_effects;

typedef struct hct_machine_options {
  const hct_machine_effects *effects; /* NULL: time only, and addresses are not even computed */
  bool every_iteration; /* simulates iterations that recur, too: the result is the same. Always so with effects or jitter */
  int64_t settle;       /* 0, or: a loop is taken to repeat its last two iterations after this many, recurred or not (a prediction) */
  const hct_die_classes *classes; /* NULL: every die. Else one die of each class, by the class's number, in place of all; no more classes than channels (a prediction):
                           collectives take the links of that die, a DRAM access as long as those of all dies of the fullest channel */
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
  uint64_t events;               /* simulated */
  uint64_t skipped_instructions; /* counted, in iterations that recurred */
} hct_machine_result;

/* Runs one step. A deadlock is diagnosed (one note a blocked engine); a run that an effect stopped is refused without. Arrays of the result live in `arena`. */
hct_status hct_machine_run(hct_diags *diags, hct_arena *arena, const hct_image *image, const hct_package *package, const hct_machine_options *options,
                           hct_stats *stats, hct_machine_result *out_result);

#endif
