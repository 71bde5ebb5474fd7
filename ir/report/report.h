/* The account of a run, or of what the compiler predicts of it: JSON (schema hecaton-report/1, cli.md) and a text summary. */
#ifndef HCT_REPORT_REPORT_H
#define HCT_REPORT_REPORT_H

#include <jansson.h>

#include "ir/timing/machine.h"

typedef struct hct_report_input {
  const hct_image *image;
  const hct_package *package;
  const double *losses;
  size_t loss_count;
  int64_t steps;
  const hct_stats *stats;
  const hct_machine_result *timing; /* NULL: functional only */
  bool predicted; /* by the compiler: losses, steps, wall time and threads do not apply */
  double wall_s;
  int threads;
} hct_report_input;

hct_status hct_report_write(hct_diags *diags, const hct_report_input *input, const char *path);
/* A loss a step: what is not finite is null, since JSON has no such numbers. */
json_t *hct_report_losses(const double *losses, size_t count);
/* One line a step; a line more where losses are not finite. */
void hct_report_print_losses(const double *losses, size_t count, FILE *out);
void hct_report_print(const hct_report_input *input, FILE *out);

#endif
