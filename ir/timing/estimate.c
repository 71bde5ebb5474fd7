#include "ir/timing/estimate.h"

#include <math.h>

#include "ir/timing/machine.h"

enum {
  SETTLED = 8,   /* iterations after which a loop's pace is taken as it is */
  EVERY_DIE = 64 /* dies up to which each is run; above, one of each class */
};

hct_estimate hct_image_estimate(const hct_image *image, const hct_package *package) {
  hct_estimate estimate = {.step_s = HUGE_VAL};
  hct_arena *arena = hct_arena_create();
  hct_diags *diags = hct_diags_create(NULL);
  hct_machine_options options = {.settle = SETTLED};
  hct_machine_result result;
  hct_stats stats;
  hct_stats_init(&stats, arena, image);
  hct_die_classes classes = hct_die_classes_find(arena, image);
  bool alike = image->rows * image->cols > EVERY_DIE && classes.count <= (size_t)package->dram_channels;
  if (alike) options.classes = &classes;
  if (hct_machine_run(diags, arena, image, package, &options, &stats, &result) == HCT_OK) estimate.step_s = (double)result.step_ps * 1e-12;
  for (size_t d = 0; d < (alike ? classes.count : stats.die_count); d++) {
    estimate.dram_read_bytes += stats.dies[d].dram_read_bytes * (alike ? classes.items[d].size : 1);
    estimate.dram_write_bytes += stats.dies[d].dram_write_bytes * (alike ? classes.items[d].size : 1);
  }
  hct_diags_destroy(diags);
  hct_arena_destroy(arena);
  return estimate;
}
