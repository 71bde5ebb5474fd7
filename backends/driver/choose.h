#ifndef HCT_BACKENDS_DRIVER_CHOOSE_H
#define HCT_BACKENDS_DRIVER_CHOOSE_H

#include "compiler/pipeline.h"

/* --strategy, --orientation, --micro-batch, --groups, --units, --recompute and --token-blocks where they are auto (or `fit`), for a module on its
 * way to `level`: runs the passes that do not depend on them, compiles the module with each candidate and sets the options, the module's too, to
 * the one whose step is predicted to be best by --objective (hct_estimate_better). Micro-batches: the whole batch, half of it, and so on, in between
 * of what a side of the mesh divides, and twice and half the best of them; tried from the smallest on, as long as more samples may fit. Where the objective is energy, computing all activations again is a
 * candidate too. Activations are stored, all of them, where computing some again does not fit, or makes the best candidate's step worse. Fusion
 * groups are put together as hct-fuse-groups does by itself, in a share of SRAM where that does not fit, or not at all, whichever is best.
 * Where no candidate fits, they are tried in token blocks, 2, 4 and 8 as far as these divide the sequence, until one does, and then with groups
 * made of layers; with --token-blocks=auto the best candidate is tried in blocks, too, as long as more of them make it better. For fewest DRAM bytes, which are
 * known before operations have an order, candidates are weighed first, and few compiled, all where none of these fits (choose_dram.c). Of a model with more than
 * HCT_MOST_WHOLE_LAYERS equal layers, HCT_COMPILED_LAYERS of them are compiled (hct_layers_shorten), groups left as residual blocks, and pass->fallbacks has what comes next where the
 * whole does not fit; for fewest DRAM bytes the whole is tried with groups of several layers in the end, where those move less. Where the program is asked for, the one that
 * the chosen candidate's trial made is kept (built.h). Nothing is left to choose when all are given, below the graph level, or for the host. When no candidate fits, weights are
 * split into smaller pieces, where --weight-pieces is auto; where that does not fit either, one is set whose compilation then says why. */
hct_status hct_choose(hct_pass_context *pass, MlirModule module, hct_level level);

#endif
