/* The account of a run: JSON (schema hecaton-report/1, cli.md) and a text summary. */
#ifndef HCT_RUNTIME_REPORT_REPORT_H
#define HCT_RUNTIME_REPORT_REPORT_H

#include "ir/timing/machine.h"

typedef struct hct_report_input {
  const hct_image *image;
  const hct_package *package;
  const double *losses;
  size_t loss_count;
  int64_t steps;
  const hct_stats *stats;
  const hct_machine_result *timing; /* NULL: functional only */
  double wall_s;
  int threads;
} hct_report_input;

hct_status hct_report_write(hct_diags *diags, const hct_report_input *input, const char *path);
void hct_report_print(const hct_report_input *input, FILE *out);

#endif
