/* What hecaton-compile and hecaton-opt share: from a module to what was asked for. */
#ifndef HCT_BACKENDS_DRIVER_OUTPUT_H
#define HCT_BACKENDS_DRIVER_OUTPUT_H

#include "compiler/pipeline.h"

hct_status hct_driver_write(hct_diags *diags, const char *path, const hct_text *text);
/* Refused: one of `uses`, which files that the module refers to are added to, is written and is another, too. */
hct_status hct_driver_files_check(const hct_pass_context *pass, MlirModule module, hct_file_uses *uses);
/* Runs the rest of the pipeline up to `level`, and writes the dump, the streams' text or the image there. Programs that are refused are made with
 * pass->fallbacks, one after another: what the last one is refused for is said. */
hct_status hct_driver_emit(hct_pass_context *pass, MlirModule module, hct_level level, const char *path);

#endif
