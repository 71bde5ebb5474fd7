#ifndef HCT_BACKENDS_DRIVER_BUILT_H
#define HCT_BACKENDS_DRIVER_BUILT_H

#include "backends/backend.h"
#include "compiler/pipeline.h"

/* pass->built, where it is there at all: the best program that trials have made, so that the one that is chosen need not be made once more. */

/* Keeps what the trial made of its copy of the module, of which `options` were chosen, if that is better by --objective than what is kept. Whether it was: then the
 * module and the trial's diagnostics are no longer the caller's. */
bool hct_built_keep(const hct_pass_context *pass, const hct_pass_context *trial, MlirModule module, const hct_image *image, const hct_estimate *estimate, const hct_map *options);
/* Nothing is kept that other options than pass->options made. */
void hct_built_match(hct_pass_context *pass);
void hct_built_discard(hct_built *built); /* NULL: nothing is done */

/* Figures of a module (at the dist level or below) that was made of `graph`, some layers of a model, to those of the whole: figures of fewer layers say how much each
 * has. Not hct.dram_relaxed_bytes, which stages of several layers make no sum: hct-partition knows how many are left out. False: they do not say so, and stay as they are. */
bool hct_figures_extrapolate(const hct_pass_context *pass, MlirModule graph, MlirModule module);

#endif
