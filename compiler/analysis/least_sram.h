/* What one operation takes of SRAM, however the mesh splits tensors and stages are ordered: a bound from below, known before either is chosen.
 *
 * The operands of a product and its result are in SRAM at once, whole, of one micro-batch. The mesh cannot do better than give each die its share,
 * so some die holds (sum of bytes) / dies of them at least. What is only looked at in another way (reshape, transpose, slice, broadcast) may lie where it came from. */
#ifndef HCT_COMPILER_ANALYSIS_LEAST_SRAM_H
#define HCT_COMPILER_ANALYSIS_LEAST_SRAM_H

#include "compiler/analysis/factors.h"

enum { HCT_PRODUCT_VALUES = 3 };
typedef struct hct_least_sram {
  size_t op;                                                           /* SIZE_MAX: there is no product */
  int64_t bytes;                                                       /* of a die, all of them */
  struct { size_t value, view; int64_t bytes; } values[HCT_PRODUCT_VALUES]; /* a value of flow, the view of it that takes least, and what a die has of that */
  size_t value_count;
  int64_t samples, batch;                                              /* as given */
  int64_t parameter_bytes;                                             /* of the parameter that takes most, in any product */
} hct_least_sram;

/* Of the product that takes most. Of what `sampled` says is cut over micro-batches, by value, `samples` of `batch` are there at once. */
hct_least_sram hct_least_sram_find(const hct_flow *flow, const bool *sampled, int64_t samples, int64_t batch, int64_t dies);

#endif
