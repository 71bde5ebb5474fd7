/* hecaton-opt --verify-diagnostics: comments of the text say which diagnostics it must give.
 *
 *     // expected-error@+1 {{part of the message}}
 *
 * Kinds: expected-error, -warning, -remark, -note, -hint. Where: nothing (this line), @+N and @-N, @above and @below (the next line
 * that expects nothing itself), @unknown (a diagnostic without a line of this text). A note or hint is at the line of what it
 * belongs to. Every diagnostic must be expected, and every expectation met, once. */
#ifndef HCT_BACKENDS_DRIVER_EXPECT_H
#define HCT_BACKENDS_DRIVER_EXPECT_H

#include "ir/support/support.h"

typedef struct hct_expectations hct_expectations;
/* `file` and `text` are those that are parsed. What goes wrong is told to `report`: here, when a comment is not of the form above. */
hct_status hct_expectations_create(hct_diags *report, hct_arena *arena, const char *file, const char *text, hct_expectations **out_expectations);
void hct_expectations_meet(void *expectations, const hct_diag *diag); /* a hct_diag_sink */
/* HCT_REFUSED when a diagnostic came unexpected, or an expectation was not met. */
hct_status hct_expectations_finish(const hct_expectations *expectations);

#endif
