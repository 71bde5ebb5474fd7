/* hct-split-weights, inside: what else than products is written by pieces. */
#ifndef HCT_COMPILER_TRANSFORM_SPLIT_WEIGHTS_H
#define HCT_COMPILER_TRANSFORM_SPLIT_WEIGHTS_H

#include "compiler/pass.h"

typedef struct cut { int64_t dim, parts, count; } cut; /* piece i of a dimension: parts x count x rest elements, of each part the i-th run of `rest` */

/* A loss over classes, where `whole` [.., classes] are scores and pieces[i] those of piece i along the last dimension: log-sum-exp and the scores of labels
 * read the pieces, and `whole` no more. What else reads that is left. Written in fusion group `group`, as the products are. */
void split_classes(hct_arena *arena, hct_builder builder, MlirValue whole, const MlirValue *pieces, const cut *c, int64_t group);

#endif
