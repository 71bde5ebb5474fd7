#include "ir/timing/rules.h"

#include <math.h>


int64_t hct_instr_elements(const hct_instr *instr) {
  int dims = hct_opcode_lookup(instr->opcode)->dims;
  int64_t elements = dims ? 1 : 0;
  for (int d = 0; d < dims; d++) elements *= instr->shape[d];
  return elements;
}

int64_t hct_view_bytes(const hct_instr *instr, unsigned view) {
  int dims = hct_opcode_lookup(instr->opcode)->dims;
  int64_t elements = 1;
  for (int d = 0; d < dims; d++)
    if (instr->shape[d] == 0) return 0;
    else if (instr->views[view].stride[d]) elements *= instr->shape[d];
  return elements * (int64_t)hct_dtype_bytes(instr->views[view].dtype);
}

int64_t hct_instr_sram_bytes(const hct_instr *instr) {
  const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
  int64_t bytes = 0;
  for (unsigned v = 0; v < info->view_count; v++) {
    if (info->views[v].space != HCT_SPACE_SRAM) continue;
    hct_access access = info->views[v].access;
    bool twice = access == HCT_ACCESS_MODIFY || (access == HCT_ACCESS_IF_ACCUMULATE && instr->accumulate);
    bytes += hct_view_bytes(instr, v) * (twice ? 2 : 1);
  }
  return bytes;
}

int64_t hct_ps_of_seconds(double seconds) { return (int64_t)llround(seconds * 1e12); }
int64_t hct_ps_of_cycles(const hct_package *package, double cycles) { return hct_ps_of_seconds(cycles / package->clock_hz); }

static double compute_cycles(const hct_package *package, const hct_instr *instr) {
  if (instr->opcode == HCT_OP_SYNC) return 0;
  if (instr->opcode == HCT_OP_MM) return hct_mxu_cycles(package, instr->shape[0], instr->shape[1], instr->shape[2], instr->views[1].dtype == HCT_F32);
  const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
  const hct_function_info *fn = hct_function_lookup(info->function_table, instr->fn);
  bool slow = (fn && fn->cost == HCT_COST_TRANSCENDENTAL) || instr->opcode == HCT_OP_SOFTMAX || instr->opcode == HCT_OP_DROP;
  double vectors = ceil((double)hct_instr_elements(instr) / (double)package->vpu_lanes);
  return vectors * (slow ? (double)package->vpu_transcendental_cycles : 1.0);
}

int64_t hct_instr_ps(const hct_package *package, const hct_instr *instr) {
  double compute = compute_cycles(package, instr), sram = (double)hct_instr_sram_bytes(instr) / (double)package->sram_bytes_per_cycle;
  double cycles = ceil(compute > sram ? compute : sram);
  return hct_ps_of_cycles(package, cycles < 1 ? 1 : cycles);
}
