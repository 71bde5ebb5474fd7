/* Fusion groups: which consecutive units of the step are one stage, whose weights and accumulators stay in SRAM while all micro-batches go through,
 * and whose activations do not leave it. At least cost of all plans that are estimated to fit, exactly (cuts.h), under the estimates below.
 *
 * A stage of units [i, j), with weights and accumulators resident or streamed (residency.def), costs
 *
 *   DRAM bytes   arguments and activations of earlier stages that it reads, each once, and activations that later ones read, written once (units.h);
 *                what no plan changes, results and optimizer states among them, may be left out; weights that are streamed once a unit and micro-batch
 *                in place of once, accumulators that are twice a micro-batch, but for the first, which begins them, and the last, which ends them
 *   time         the longer of those bytes through all channels, and of its operators on all dies
 *   energy       of those bytes, and static power times that time
 *
 * and it fits when weights and accumulators, and what a micro-batch has in flight, are not more than the SRAM of all dies. In flight while unit u
 * of it is run is, at most, what it made before u and still reads; what u reads of earlier stages, all of it; and of what u makes the most that is
 * live at once, in the order of its operators, where a product holds its activations and its result gathered over one axis of the mesh. Afterwards
 * optimizer steps have states, and parameters that were no weights of the stage, beside the accumulators: all of them, or pieces, of one step at a time,
 * where tiles are larger than these. What is streamed is there beside what its own unit has in flight, and so are states of a step. Tiles are taken to be even. A stage of one unit is always a plan: where it does not fit, that is for the backend to say. */
#ifndef HCT_COMPILER_ANALYSIS_FUSION_H
#define HCT_COMPILER_ANALYSIS_FUSION_H

#include "compiler/analysis/cuts.h"
#include "compiler/analysis/units.h"
#include "compiler/schedule/residency.h"

typedef enum hct_fusion_goal { HCT_FUSION_TIME, HCT_FUSION_DRAM, HCT_FUSION_ENERGY } hct_fusion_goal; /* DRAM bytes break ties; of these, time */

typedef struct hct_fusion_costs {
  hct_fusion_goal goal;
  double dram_bytes_per_s, dram_j_per_byte, static_w;
  double sram_bytes;         /* of all dies, as much as stages may take */
  double in_flight;          /* samples of a micro-batch over those of the batch */
  double gathered;           /* dies along one axis of the mesh */
  double piece_elements;     /* of a parameter, on all dies together, that an optimizer step goes by */
  const int64_t *compute_ps; /* by operator of the flow */
  double micro_batches;
  bool allowed[HCT_RESIDENCIES]; /* at least one */
} hct_fusion_costs;

typedef struct hct_fusion_stages {
  hct_cut_costs costs;      /* of all stages that fit */
  hct_residency *residency; /* of each, as costs.items: of least cost; where it does not fit, the one that takes least SRAM of those allowed */
  bool *fits;               /* likewise */
} hct_fusion_stages;

hct_fusion_stages hct_fusion_stages_find(const hct_units *units, const hct_fusion_costs *costs);
/* The stage of units [first, end) in those arrays. */
size_t hct_fusion_stage_at(const hct_fusion_stages *stages, size_t first, size_t end);

#endif
