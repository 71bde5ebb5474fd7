/* Energy of a step: counted events times the package's table (system.md, "Energy"). What the report shows, and what --objective=energy chooses by. */
#ifndef HCT_TIMING_ENERGY_H
#define HCT_TIMING_ENERGY_H

#include "ir/package/package.h"
#include "ir/timing/machine.h"

typedef struct hct_energy { /* joules, over all dies */
  double mac_j, vector_j, sram_j, nop_j, dram_j, static_j, total_j;
} hct_energy;

/* `timing` NULL: links and time are not known, and left out. */
hct_energy hct_energy_of(const hct_package *package, const hct_stats *stats, const hct_machine_result *timing);

#endif
