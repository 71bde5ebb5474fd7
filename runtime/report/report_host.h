/* The account of a host program's run: schema hecaton-report/1 with what applies, losses and wall time, and a text summary. */
#ifndef HCT_RUNTIME_REPORT_REPORT_HOST_H
#define HCT_RUNTIME_REPORT_REPORT_HOST_H

#include "ir/isa/image.h"

typedef struct hct_report_host_input {
  const hct_image *image;
  const double *losses;
  size_t loss_count;
  int64_t steps;
  double wall_s;
} hct_report_host_input;

hct_status hct_report_host_write(hct_diags *diags, const hct_report_host_input *input, const char *path);
void hct_report_host_print(const hct_report_host_input *input, FILE *out);

#endif
