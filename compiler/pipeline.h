/* The compiler's passes in order, from whatever level a module is at to the level asked for. */
#ifndef HCT_COMPILER_PIPELINE_H
#define HCT_COMPILER_PIPELINE_H

#include "compiler/pass.h"

typedef enum hct_level { HCT_LEVEL_ONNX, HCT_LEVEL_GRAPH, HCT_LEVEL_STEP, HCT_LEVEL_DIST, HCT_LEVEL_TILE, HCT_LEVEL_ISA, HCT_LEVEL_IMAGE } hct_level;
bool hct_level_parse(const char *name, hct_level *out_level);

/* Runs the passes after `done` (a flag; NULL: from the first) up to `level` (tile at most), verifying after each. Options
 * print-ir-after=FLAG|all and time-passes print to standard error. The module attribute hct.done names the last pass run. */
hct_status hct_pipeline_run(hct_pass_context *pass, MlirModule module, hct_level level);
/* The passes that are left before this one, which must be there; whether it was run. */
hct_status hct_pipeline_run_before(hct_pass_context *pass, MlirModule module, const char *flag);
bool hct_pipeline_has_run(MlirModule module, const char *flag);
/* One pass by flag, which must be there. */
bool hct_pipeline_has_pass(const char *flag);
hct_status hct_pipeline_run_pass(hct_pass_context *pass, MlirModule module, const char *flag);
void hct_pipeline_print(FILE *out);

/* Options and package <-> module attributes hct.options, hct.package (ir.md: a dump continues alone). */
void hct_pass_context_save(const hct_pass_context *pass, MlirModule module);
hct_status hct_pass_context_restore(hct_pass_context *pass, MlirModule module);

#endif
