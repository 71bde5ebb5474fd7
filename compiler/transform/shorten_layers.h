/* A deep model with most of its equal layers taken out: what compiles quickly, and is alike in every layer to the whole. */
#ifndef HCT_COMPILER_TRANSFORM_SHORTEN_LAYERS_H
#define HCT_COMPILER_TRANSFORM_SHORTEN_LAYERS_H

#include "compiler/pass.h"

enum { HCT_MOST_WHOLE_LAYERS = 8, HCT_COMPILED_LAYERS = 6 }; /* equal layers that are all looked at; of more, so many stand for the others */

/* Of a forward graph (after hct-canonicalize): the longest run of equal sequences of operators around its middle, where each reads, of the run, only
 * what the last few made, loses all but `keep` of them, with the parameters that nothing else reads. The module stays as it is where the run has no more
 * than `most`, or a later operator reads what only a sequence that goes makes. `*out_layers`: how many there were. `out_left_out`, unless NULL, with a map in it, gets what has gone. Whether it was changed. */
bool hct_layers_shorten(MlirModule module, size_t most, size_t keep, size_t *out_layers, hct_left_out *out_left_out);

#endif
