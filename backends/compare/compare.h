/* hecaton-compare: one model compiled and timed under several strategies and packages, by the tools beside this one; one table. */
#ifndef HCT_BACKENDS_COMPARE_COMPARE_H
#define HCT_BACKENDS_COMPARE_COMPARE_H

#include <jansson.h>

#include "ir/support/support.h"

typedef struct compare_run {
  const char *strategy, *package; /* as given; "" for the default */
  const char *refusal;            /* first error of the tool that refused; NULL when it ran */
  json_t *report;                 /* hecaton-report/1; NULL when refused */
} compare_run;

typedef struct compare_table {
  const char *model;
  compare_run *runs;
  size_t count;
} compare_table;

typedef enum compare_format { COMPARE_TEXT, COMPARE_JSON, COMPARE_MARKDOWN, COMPARE_HTML } compare_format;

/* Ratios are to the first row that ran. */
void hct_compare_print(const compare_table *table, compare_format format, FILE *out);

/* hecaton-compare behind its main: 0 all rows ran, 1 some were refused, 2 command-line syntax. */
int hct_compare_main(int argc, char **argv);

#endif
