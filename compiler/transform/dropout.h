#ifndef HCT_COMPILER_TRANSFORM_DROPOUT_H
#define HCT_COMPILER_TRANSFORM_DROPOUT_H

#include "ir/dialect/ir.h"

/* `op` is a clone that is to work on a part of what the original does, from element `start` of dimension `dim` on: of a dropout, elements keep the
 * numbers that they have in the whole, and so their random ones. Of another operator, nothing. */
void hct_dropout_begin_at(MlirOperation op, size_t dim, int64_t start);

#endif
