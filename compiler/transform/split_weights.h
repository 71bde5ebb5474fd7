/* hct-split-weights, inside: what else than products is written by pieces. */
#ifndef HCT_COMPILER_TRANSFORM_SPLIT_WEIGHTS_H
#define HCT_COMPILER_TRANSFORM_SPLIT_WEIGHTS_H

#include "compiler/pass.h"
#include "ir/isa/layout.h"

/* `count` pieces of a dimension of `size`. Interleaved (unit 0): it is parts x count x rest elements, of each part piece i is the i-th run of `rest`. Else piece i
 * is the i-th run of the whole, of `unit`s, but for the last. */
typedef struct cut { int64_t dim, size, parts, count, unit; } cut;

hct_range cut_run(const cut *c, int64_t piece); /* its elements; of what interleaves, the first number is not meant */

/* A loss over classes, where `whole` [.., classes] are scores and pieces[i] those of piece i along the last dimension: log-sum-exp and the scores of labels
 * read the pieces, and `whole` no more. What else reads that is left. Written in fusion group `group`, as the products are. */
bool split_classes_all(MlirValue whole, bool outputs); /* whether nothing else reads it but, with `outputs`, the function's end */
void split_classes(hct_arena *arena, hct_builder builder, MlirValue whole, const MlirValue *pieces, const cut *c, int64_t group);

#endif
