#include "ir/timing/energy.h"

hct_energy hct_energy_of(const hct_package *package, const hct_stats *stats, const hct_machine_result *timing) {
  hct_die_stats all = hct_stats_total(stats);
  hct_energy e = {
      .mac_j = (double)all.macs_f32 * package->mac_f32_j + (double)(all.macs - all.macs_f32) * package->mac_bf16_j,
      .vector_j = (double)all.vector_ops * package->vector_op_j,
      .sram_j = (double)all.sram_bytes * package->sram_j_per_byte,
      .dram_j = (double)(all.dram_read_bytes + all.dram_write_bytes) * 8 * package->dram_energy_j_per_bit,
  };
  if (timing) {
    e.nop_j = (double)(timing->link_bytes + timing->dram_transit_bytes) * 8 * package->link_energy_j_per_bit;
    e.static_j = package->static_w_per_die * (double)stats->die_count * (double)timing->step_ps * 1e-12;
  }
  e.total_j = e.mac_j + e.vector_j + e.sram_j + e.nop_j + e.dram_j + e.static_j;
  return e;
}
