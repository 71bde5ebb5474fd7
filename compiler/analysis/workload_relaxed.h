/* dram_relaxed_bytes: what a class of schedules needs of DRAM if all SRAM were free for weights and accumulators (cli.md, "The report"). From
 * the workload and the SRAM of all dies together: no mesh, no strategy, no micro-batch.
 *
 * The class (method.md, "Schedule"). The step is a sequence of units u = 0, 1, ...: forward of groups 0 ... G-1, then backward of G-1 ... 0, as
 * hct-assign-layers numbers groups; an operation is in its unit, or where the last of what it reads is made, if that is later (an optimizer
 * update: where its gradient is whole). A schedule cuts the sequence into stages, each some consecutive units. All samples of the batch go
 * through a stage before the next stage begins; then nothing of it is left in SRAM. So, whatever the micro-batch:
 *
 *   - A stage reads each argument that it uses once: weights, optimizer states, inputs; of a table that it only looks up, the rows touched.
 *   - An activation, of which there is one a sample, is written once if a later stage reads it, and read once by each stage that reads it
 *     and did not make it. That holds for what flows to the next group, for what is stored for backward, and for gradients of activations.
 *     Views (reshape, transpose, slice, broadcast) are nothing of their own: what they are of is stored.
 *   - Each result (loss, trained parameter, state, gradient, kept output) is written once.
 *   - What is summed over the batch (gradients of weights, counts of labels) stays in SRAM, and constants are part of the program: free.
 *
 * Bytes of a stage of units [i, j) depend on i and j alone:
 *
 *   cost(i, j) = sum over arguments read in [i, j) of their bytes
 *              + sum over activations made before i and read in [i, j) + sum over activations made in [i, j) and read in j or later
 *
 * and a stage of several units must hold its weights (read by anything but lookups and updates) and its accumulators at once:
 *
 *   weights(i, j) + accumulators(i, j) <= SRAM of all dies.
 *
 * A unit alone that does not fit is streamed, each weight still once. The fused class may cut anywhere, so with best(0) = 0
 *
 *   best(j) = min over i < j of best(i) + cost(i, j),      relaxed = best(last) + bytes of results,
 *
 * which is exact. The layerwise class cuts everywhere. Whichever of its activations are computed again is taken as the module says it
 * (hct.recomputed). No schedule of the class is below: activations in flight, replication and partial tiles only add. It is at least the compulsory
 * bytes, which are those of one stage in which everything happens, and equal to them where that one fits and no parameter has a copy in
 * low precision, which the class reads and writes beside it. */
#ifndef HCT_COMPILER_ANALYSIS_WORKLOAD_RELAXED_H
#define HCT_COMPILER_ANALYSIS_WORKLOAD_RELAXED_H

#include "compiler/analysis/factors.h"

/* `more_layers`: of many equal layers, as many as the module leaves out; -1: no five of its layers are alike. `sampled`, by value: there is one of it a sample (it is cut in time). `everywhere`: cut at every unit, the layerwise class. */
int64_t hct_workload_relaxed_bytes(const hct_flow *flow, const bool *sampled, int64_t sram_bytes, bool everywhere, size_t more_layers);

#endif
