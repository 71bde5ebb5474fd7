/* How much an instruction moves, and how long it takes, alone, on each engine (system.md). */
#ifndef HCT_TIMING_RULES_H
#define HCT_TIMING_RULES_H

#include "ir/isa/instr.h"
#include "ir/package/package.h"

int64_t hct_instr_elements(const hct_instr *instr); /* product of the shape */
/* Bytes that an instruction reads and writes in SRAM: each view's distinct elements once. */
int64_t hct_instr_sram_bytes(const hct_instr *instr);
int64_t hct_view_bytes(const hct_instr *instr, unsigned view); /* distinct elements (stride 0 repeats none) */

int64_t hct_ps_of_cycles(const hct_package *package, double cycles);
int64_t hct_ps_of_seconds(double seconds);
/* Compute, or for copies of the VPU their SRAM traffic; never less than one cycle. */
int64_t hct_instr_ps(const hct_package *package, const hct_instr *instr);

#endif
