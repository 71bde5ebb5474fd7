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
/* One M x N x K tile alone on an r x c output-stationary array: ceil(M/r) ceil(N/c) (K + r + c - 2) (SCALE-Sim; it prints one less). */
int64_t hct_mxu_cycles_alone(int64_t M, int64_t N, int64_t K, int64_t r, int64_t c);
/* All arrays of a die, which share the tile's columns; fill and drain of one pass overlap the next: K cycles a pass, one r + c - 2.
 * f32 inputs take 1 / f32_rate as long. */
double hct_mxu_cycles(const hct_package *package, int64_t M, int64_t N, int64_t K, bool f32);
/* Compute, or for copies of the VPU their SRAM traffic; never less than one cycle. */
int64_t hct_instr_ps(const hct_package *package, const hct_instr *instr);

#endif
