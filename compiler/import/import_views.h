/* What reductions, indexing and structure are built from: views, parts, constants and row indices. Shapes are checked by callers. */
#ifndef HCT_COMPILER_IMPORT_VIEWS_H
#define HCT_COMPILER_IMPORT_VIEWS_H

#include "compiler/import/import_internal.h"

/* ---- constants ---- */
MlirValue build_vector(importer *im, hct_dtype dtype, size_t count, const int64_t *values);
/* 0, 1, ... along dimension `axis` of `rank`, whose others have size 1. */
MlirValue build_iota(importer *im, hct_dtype dtype, size_t rank, size_t axis, int64_t count);
/* What every other value of the type is above (or, with `highest`, below): infinite for floats. Rank 0. */
MlirValue build_extreme(importer *im, hct_dtype dtype, bool highest);

/* ---- views and parts ---- */
MlirValue build_axis_moved(importer *im, MlirValue a, size_t from, size_t to); /* the others keep their order */
/* `a` with sizes `dims` of dimensions first .. first+count-1 in place of `replaced` of them. */
MlirValue build_dims_replaced(importer *im, MlirValue a, size_t first, size_t replaced, size_t count, const int64_t *dims);
MlirValue build_cut(importer *im, MlirValue a, size_t axis, int64_t first, int64_t count);
/* Element i along axis is that of `a` at from[i], as slices and a concatenation. count >= 1. */
MlirValue build_take(importer *im, MlirValue a, size_t axis, size_t count, const int64_t *from);
size_t take_parts(size_t count, const int64_t *from); /* slices that build_take() needs */
MlirValue build_repeat(importer *im, MlirValue a, size_t axis, int64_t times); /* whole, one after the other */

/* ---- rows ---- */
/* ids in i64, with `size` (broadcasting) added to those below 0. */
MlirValue build_ids(importer *im, MlirValue ids, MlirValue size);
MlirValue build_gather_rows(importer *im, MlirValue table, MlirValue ids);
MlirValue build_scatter_rows(importer *im, MlirValue updates, MlirValue ids, int64_t rows);
/* Pairs along `axis` combined by fn of MAP2 until one is left; n log n work, for what `reduce` has no kind for. */
MlirValue build_folded(importer *im, const char *fn, MlirValue a, size_t axis);

#endif
