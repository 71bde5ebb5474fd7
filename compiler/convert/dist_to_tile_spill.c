/* How an activation lies in DRAM between the stage that makes it and those that read it (method.md: replicated activations that do not fit
 * are stored sharded, and gathered again): each die that holds the same stores a part, where that is faster. */
#include <string.h>

#include "compiler/convert/dist_to_tile.h"

/* An unsplit factor, outermost first: one that the dies divide, else the largest. */
static int factor_choose(const hct_layout *layout, int64_t parts) {
  int best = -1;
  for (int f = 0; f < layout->factor_count; f++) {
    if (layout->factors[f].axis_count || layout->factors[f].size < parts) continue;
    if (layout->factors[f].size % parts == 0) return f;
    if (best < 0 || layout->factors[f].size > layout->factors[best].size) best = f;
  }
  return best;
}

/* Seconds to store and load once: whole by every die, or a part by each and an all-gather. */
static double seconds_whole(const hct_package *p, double bytes) {
  double sharing = (double)(p->rows * p->cols) / (double)p->dram_channels;
  return 2 * bytes * (sharing > 1 ? sharing : 1) / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency);
}

static double seconds_parts(const hct_package *p, double bytes, double parts, bool flat) {
  double links = p->link_bandwidth_bytes_per_s * (flat ? 2 : 1);
  return seconds_whole(p, bytes / parts) + bytes * (parts - 1) / parts / links + (parts - 1) * (p->link_latency_s + p->link_bypass_latency_s);
}

/* Whether dies along the axis hold the same; parts of a sum do not. */
static bool is_replicated(const hct_layout *layout, hct_axis axis, int64_t dies) {
  return dies > 1 && !hct_layout_uses_axis(layout, axis) && !(layout->partial_axes >> axis & 1);
}

tile_spill tile_spill_plan(const lowering *l, size_t value) {
  const hct_dist_value *info = tile_info(l, value);
  const hct_package *package = &l->pass->package;
  tile_spill plan = {.factor = HCT_ABSENT, .layout = tile_layout_stored(&info->layout)};
  bool row = is_replicated(&info->layout, HCT_AXIS_ROW, package->rows), col = is_replicated(&info->layout, HCT_AXIS_COL, package->cols);
  if (!row && !col) return plan;
  int64_t parts = (row ? package->rows : 1) * (col ? package->cols : 1);
  int factor = factor_choose(&plan.layout, parts);
  hct_place place = {.rows = package->rows, .cols = package->cols, .micro_batch_size = l->program->micro_batch};
  double bytes = (double)hct_layout_tile_elements(&plan.layout, &place) * (double)hct_dtype_bytes(info->shape.dtype);
  if (factor < 0 || seconds_parts(package, bytes, (double)parts, row && col) >= seconds_whole(package, bytes)) return plan;
  plan.axis = row && col ? "rc" : row ? "r" : "c";
  plan.factor = factor;
  hct_factor *split = &plan.layout.factors[factor];
  if (row) split->axes[split->axis_count++] = HCT_AXIS_ROW;
  if (col) split->axes[split->axis_count++] = HCT_AXIS_COL;
  return plan;
}
