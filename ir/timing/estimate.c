#include "ir/timing/estimate.h"

#include <math.h>
#include <string.h>

#include "ir/timing/energy.h"

enum {
  SETTLED = 8,   /* iterations after which a loop's pace is taken as it is */
  EVERY_DIE = 64 /* dies up to which each is run; above, one of each class */
};

static hct_status predict(hct_diags *diags, hct_arena *arena, const hct_image *image, const hct_package *package, const hct_die_classes *classes, hct_stats *out_stats, hct_machine_result *out_result) {
  hct_machine_options options = {.settle = SETTLED, .classes = classes};
  hct_stats_init(out_stats, arena, image);
  hct_status status = hct_machine_run(diags, arena, image, package, &options, out_stats, out_result);
  hct_stats_count_image(out_stats, image);
  return status;
}

hct_status hct_image_predict(hct_diags *diags, hct_arena *arena, const hct_image *image, const hct_package *package, hct_stats *out_stats, hct_machine_result *out_result) {
  return predict(diags, arena, image, package, NULL, out_stats, out_result);
}

hct_estimate hct_image_estimate(const hct_image *image, const hct_package *package) {
  hct_estimate estimate = {.step_s = HUGE_VAL, .energy_j = HUGE_VAL};
  hct_arena *arena = hct_arena_create();
  hct_diags *diags = hct_diags_create(NULL);
  hct_machine_result result;
  hct_stats stats;
  hct_die_classes classes = hct_die_classes_find(arena, image);
  bool alike = image->rows * image->cols > EVERY_DIE && classes.count <= (size_t)package->dram_channels;
  if (predict(diags, arena, image, package, alike ? &classes : NULL, &stats, &result) == HCT_OK) {
    estimate.step_s = (double)result.step_ps * 1e-12;
    estimate.energy_j = hct_energy_of(package, &stats, &result).total_j;
  }
  hct_die_stats all = hct_stats_total(&stats);
  estimate.dram_read_bytes = all.dram_read_bytes;
  estimate.dram_write_bytes = all.dram_write_bytes;
  hct_diags_destroy(diags);
  hct_arena_destroy(arena);
  return estimate;
}

hct_objective hct_objective_parse(const char *name) { return !strcmp(name, "dram") ? HCT_OBJECTIVE_DRAM : !strcmp(name, "energy") ? HCT_OBJECTIVE_ENERGY : HCT_OBJECTIVE_TIME; }

bool hct_estimate_better(const hct_estimate *a, const hct_estimate *b, hct_objective objective) {
  uint64_t a_bytes = a->dram_read_bytes + a->dram_write_bytes, b_bytes = b->dram_read_bytes + b->dram_write_bytes;
  bool near = a->step_s <= b->step_s * 1.001 && b->step_s <= a->step_s * 1.001;
  if (objective == HCT_OBJECTIVE_ENERGY && a->energy_j != b->energy_j) return a->energy_j < b->energy_j;
  if ((objective == HCT_OBJECTIVE_DRAM || (objective == HCT_OBJECTIVE_TIME && near)) && a_bytes != b_bytes) return a_bytes < b_bytes;
  return a->step_s < b->step_s;
}
