/* hct-split-weights, inside: what else than products is written by pieces. */
#ifndef HCT_COMPILER_TRANSFORM_SPLIT_WEIGHTS_H
#define HCT_COMPILER_TRANSFORM_SPLIT_WEIGHTS_H

#include "compiler/pass.h"
#include "ir/isa/layout.h"

/* `count` pieces of a dimension of `size`. Interleaved (unit 0): it is parts x count x rest elements, of each part piece i is the i-th run of `rest`. Else piece i
 * is the i-th run of the whole, of `unit`s, but for the last. */
typedef struct cut { int64_t dim, size, parts, count, unit; } cut;

hct_range cut_run(const cut *c, int64_t piece); /* its elements; of what interleaves, the first number is not meant */

typedef struct split_readers { bool loss /* one over classes, more than the scores of labels */, others; } split_readers; /* of scores [.., classes] */

/* A loss over classes, where `whole` [.., classes] are scores and pieces[i] those of piece i along the last dimension: log-sum-exp and the scores of labels
 * read the pieces, and `whole` no more. What else reads that is left. Written in fusion group `group`, as the products are. */
split_readers split_classes_reader(MlirValue whole, MlirOperation op);
void split_classes(hct_arena *arena, hct_builder builder, MlirValue whole, const MlirValue *pieces, const cut *c, int64_t group);

/* What stands between a product and a loss over its classes. */
split_readers split_scores_readers(MlirOperation function, MlirValue scores, bool outputs); /* through that; the function's end is one where `outputs` are asked for */
MlirOperation split_scores_step(MlirOperation function, MlirValue scores); /* one that reads `scores`, and a loss what it makes; null: there is none (any more) */
typedef enum split_beside { SPLIT_NOT, SPLIT_SAME /* for all classes */, SPLIT_EACH /* an element a class */ } split_beside;
split_beside split_scores_beside(MlirOperation function, MlirValue value, int64_t classes); /* its other operand */
bool split_may(MlirOperation function, size_t argument, MlirValue value); /* whether the argument is a parameter of f32 that may be several */

#endif
