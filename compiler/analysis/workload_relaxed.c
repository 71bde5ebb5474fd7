#include "compiler/analysis/workload_relaxed.h"

#include "compiler/analysis/units.h"
#include "compiler/analysis/workload.h"

/* The least of what stages move, over all ways to cut the units into stages. Whatever comes before unit i is known when it is at the beginning of a stage, so that what each stage
 * costs is not kept: of deep models there are thousands of units. */
static int64_t stages_choose(const hct_units *units, int64_t sram_bytes, bool everywhere) {
  int64_t *least = HCT_NEW_ARRAY(units->arena, int64_t, units->count + 1); /* by unit: of those before it */
  hct_stage_need stage = hct_stage_need_create(units);
  for (size_t i = 1; i <= units->count; i++) least[i] = INT64_MAX;
  for (size_t i = 0; i < units->count; i++) {
    hct_stage_begin(units, &stage, i);
    for (size_t j = i; j < units->count && (j == i || !everywhere); j++) {
      hct_stage_extend(units, &stage, j);
      if (j > i && stage.resident_bytes > sram_bytes) break;
      int64_t bytes = least[i] + stage.read_bytes + stage.pending_bytes;
      if (bytes < least[j + 1]) least[j + 1] = bytes;
    }
  }
  return least[units->count];
}

int64_t hct_workload_relaxed_bytes(const hct_flow *flow, const bool *sampled, int64_t sram_bytes, bool everywhere, size_t more_layers) {
  hct_arena *arena = hct_arena_create();
  hct_units units = hct_units_read(arena, flow, sampled, false), all = units;
  hct_layer_units layer;
  bool more = more_layers && hct_units_find_layer(&units, &layer);
  if (more_layers && !more) {
    hct_arena_destroy(arena);
    return -1;
  }
  if (more) all = hct_units_repeat(&units, &layer, more_layers);
  int64_t bytes = stages_choose(&all, sram_bytes, everywhere);
  for (size_t k = 0; k < flow->returned_count; k++) {
    size_t value = flow->returned[k];
    if (value >= flow->arg_count) bytes += hct_flow_value_bytes(&flow->values[value]) * (more && hct_units_in_layer(&units, &layer, value) ? (int64_t)more_layers + 1 : 1);
  }
  hct_arena_destroy(arena);
  return bytes;
}
