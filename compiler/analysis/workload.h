/* What a step needs of DRAM whatever the schedule: from the workload alone (cli.md, "The report").
 *
 * Each parameter is read once, and written once when it is trained; optimizer state likewise; inputs are read once; the loss, gradients and
 * kept outputs are written once. Of a table that is only looked up, and not trained, the rows touched are read, at most one a lookup. A table
 * that is trained is updated as a whole by PyTorch's optimizers, and so read and written as a whole. Settings and constants are left out:
 * they could be part of the streams. Nothing is counted twice for lying on several dies. */
#ifndef HCT_COMPILER_ANALYSIS_WORKLOAD_H
#define HCT_COMPILER_ANALYSIS_WORKLOAD_H

#include "compiler/analysis/factors.h"

int64_t hct_flow_value_bytes(const hct_flow_value *value); /* in its storage type */
int64_t hct_workload_compulsory_bytes(const hct_flow *flow);

#endif
