/* Factor analysis: every dimension as an ordered product of factors, refined over the whole function until regular reshapes are
 * identities on factor lists. A linear layer's output of 64 is (4, 16) because it is reshaped to heads; a fused qkv of 192 is
 * (3, 4, 16) because it is cut in three equal parts first; tokens flattened to one dimension stay (batch, sequence). The partitioner
 * splits factors, so that everything between two linear layers stays local. */
#ifndef HCT_COMPILER_ANALYSIS_FACTORS_H
#define HCT_COMPILER_ANALYSIS_FACTORS_H

#include "ir/dialect/ir.h"

enum { HCT_MAX_DIM_FACTORS = 6 };
typedef struct hct_dim_factors {
  uint8_t count;
  int64_t sizes[HCT_MAX_DIM_FACTORS];
} hct_dim_factors;

typedef struct hct_flow_value {
  MlirValue value;
  size_t op; /* SIZE_MAX: argument */
  hct_shape shape;
  hct_dim_factors dims[HCT_MAX_RANK];
} hct_flow_value;
typedef struct hct_flow_op {
  MlirOperation op;
  const char *name; /* without "hct_graph." */
  size_t operand_count, result_count;
  size_t *operands, *results;
} hct_flow_op;
/* The function as tables. Values [0, arg_count) are its arguments. */
typedef struct hct_flow {
  hct_arena *arena;
  MlirOperation function;
  hct_flow_op *ops;
  hct_flow_value *values;
  size_t op_count, value_count, arg_count, returned_count;
  size_t *returned;
  size_t *master;           /* by argument of role copy: the parameter that it is a copy of; SIZE_MAX of others */
  size_t *copy;             /* by argument: its copy, for a parameter that has one; else itself */
  int64_t *units;           /* by value * HCT_MAX_RANK + dim: what divides all that slices take of it, where one is not aligned; else 0 */
  hct_groups readers;       /* by value: operators that read it, in order, one an operand slot; without the function's return */
  size_t *uses, *only_user; /* by value: operand slots, results included; the last user */
} hct_flow;

/* What forward and backward read of a parameter: its copy, where it has one, else itself. */
size_t hct_flow_copy_of(const hct_flow *flow, size_t parameter);
/* Operators that read `value`, `*out_count` of them: flow->readers. */
const size_t *hct_flow_readers(const hct_flow *flow, size_t value, size_t *out_count);
hct_flow hct_flow_read(hct_arena *arena, MlirModule module);
void hct_flow_factorize(hct_flow *flow);

/* How the dims of a reshape correspond: groups of consecutive operand and result dims with equal products, in order. */
typedef struct hct_reshape_group {
  uint8_t from, from_count, to, to_count;
  bool opaque; /* its factors do not correspond: both sides keep their own */
} hct_reshape_group;
size_t hct_reshape_groups(const hct_flow *flow, const hct_flow_op *op, hct_reshape_group *out_groups);
/* Factor index of the first factor of a dim, over the value's dims. */
size_t hct_flow_factor_at(const hct_flow_value *value, size_t dim);

#endif
