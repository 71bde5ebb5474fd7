/* hct-partition, inside: loops of operators, shardings of values, and what turns one sharding into another. */
#ifndef HCT_COMPILER_TRANSFORM_PARTITION_H
#define HCT_COMPILER_TRANSFORM_PARTITION_H

#include "compiler/analysis/factors.h"
#include "compiler/pass.h"

enum { MAX_LABELS = 48, MAX_OPERANDS = 16, NO_LABEL = -1 };

/* An operator as loops over labels (factors). A mesh axis on a label splits that loop over the axis' dies. */
typedef enum label_kind {
  LABEL_PARALLEL,
  LABEL_SUM, LABEL_MAX, /* reduced: a split leaves partial results */
  LABEL_WHOLE,          /* never split */
  LABEL_EXACT,          /* split only by axes whose size divides it */
} label_kind;
typedef struct op_rule {
  int label_count;
  struct { int64_t size; label_kind kind; } labels[MAX_LABELS];
  int operand[MAX_OPERANDS][HCT_MAX_FACTORS]; /* label of each factor of each operand; NO_LABEL: no loop */
  int result[HCT_MAX_FACTORS];
  bool linear; /* a pending sum of the first operand may pass: views, and add of two */
} op_rule;
/* False: no rule covers the operator (its operands must be whole). */
bool partition_rule(const hct_flow *flow, const hct_flow_op *op, op_rule *out_rule);

int64_t partition_batch(const hct_flow *flow); /* samples: dimension 0 of the first input that has one */
/* Follows the samples of the inputs through all operators. `out_time`, by value: the factor that micro-batches split, plus one; 0: the value is
 * the same for all, or a sum over them. The result is the first operator that mixes samples, or whose loops do not keep them apart: then the batch
 * cannot be cut in time. NULL: none. `flow` is factorized. */
const hct_flow_op *partition_find_mixing(const hct_flow *flow, int64_t batch, int *out_time);

typedef struct sharded { /* where a value is now */
  MlirValue value;
  hct_layout layout;
} sharded;
typedef struct cached { const char *pass; int64_t group; const char *layout; MlirValue sharded; } cached; /* for operators of one group and pass */

/* A weight made of a parameter's kv heads, each several times; its gradient, and the sum over copies (partition_copies.c). */
typedef struct weight_copies {
  size_t param, weight; /* values */
  const hct_flow_op *source, *product, *view; /* param to weight */
  const hct_flow_op *sum; /* NULL: there is no gradient */
  size_t summed; /* its operand that is the copies' gradient */
} weight_copies;

typedef struct strategy strategy; /* compiler/strategy/strategy.h */
typedef struct partition {
  hct_pass_context *pass;
  hct_arena *arena;
  MlirContext context;
  hct_flow flow;
  sharded *now;            /* by value */
  bool *assigned;          /* arguments that are params: their sharding is decided */
  bool *cut;               /* [value * HCT_MAX_FACTORS + factor]: sliced or concatenated along somewhere, so never worth splitting */
  bool *row;               /* likewise: a softmax over it follows, which wants it whole */
  size_t *together;        /* by value, of a sum that goes into no other: how many are added and reduced at once; 0: not counted yet */
  size_t *parameter;       /* by value: param argument, or copies of one, whose gradient it is, or SIZE_MAX */
  struct { weight_copies *items; size_t count, capacity; } copies;
  hct_index_list *copies_of; /* by value: copies that it has to do with, see partition_copies.c */
  size_t *original;        /* by value: param argument of which it is copies, or SIZE_MAX */
  int64_t batch, micro_batch, fallbacks;
  hct_map *fallbacks_told; /* remarks of them, each once: blocks of tokens are of the same node */
  const strategy *strategy;
  int64_t sizes[3];        /* of the axes t (1), r, c */
  hct_axis token_axis, feature_axis; /* --orientation: which mesh axis splits features where a block begins; tokens take the other */
  struct { cached *items; size_t count, capacity; } *cache; /* by value */
  hct_builder builder;
} partition;

hct_layout partition_layout(const hct_flow_value *value); /* its factors, unsplit */
int partition_axis_factor(const hct_layout *layout, hct_axis axis); /* -1: none */
void partition_add_axis(hct_layout *layout, int factor, hct_axis axis);
/* The sharding of `value` under an assignment of labels to axes; reduced labels leave partial sums in a result. */
hct_layout partition_under(const hct_flow_value *value, const op_rule *rule, const int *labels, const int axis_label[3], bool result);
/* `value` with `wanted`, through collectives inserted before the builder's place; shared between users of one pass. */
MlirValue partition_reshard(partition *p, size_t value, const hct_layout *wanted, const hct_flow_op *user, bool fallback);
/* Seconds of the collectives that partition_reshard would insert. */
double partition_reshard_cost(const partition *p, size_t value, const hct_layout *wanted);
/* Resolves what is partial over `axis` by a reduce-scatter where the strategy has sums, or an all-reduce. */
void partition_resolve(partition *p, size_t value, hct_axis axis, bool scatter, const hct_flow_op *user);
/* The same over both mesh axes at once, for strategies that take all dies as one axis. */
void partition_resolve_flat(partition *p, size_t value, const hct_flow_op *user);
bool partition_can_split_both(const partition *p, const op_rule *rule, int label); /* over rows and, within them, columns */
bool partition_can_split(const partition *p, const op_rule *rule, int label, hct_axis axis);
/* Marks the values that become the gradient of `param`, a parameter or copies of one, through sums. */
void partition_mark_gradient(partition *p, size_t value, size_t param);
/* Copies that backward reads are made there again, so that no die holds them all step long. Whether there are any. */
bool partition_copies_repeat(partition *p);
void partition_copies_find(partition *p); /* after gradients were marked */
/* Where `op` is the first to read a parameter of which copies are made: places both, as the strategy does the weight that the copies are. */
void partition_copies_place(partition *p, const hct_flow_op *op);
/* How often the product `op` does the model's work: m where it reads m copies of a weight's heads, or makes their gradient; 0 where it makes
 * copies or sums their gradients, which no model asks for. */
int64_t partition_copies_in(const partition *p, const hct_flow_op *op);
/* The loop of each mesh axis in a product that makes copies, or sums their gradients. False: another operator. */
bool partition_copies_assign(const partition *p, const hct_flow_op *op, const op_rule *rule, int axis_label[3]);

#endif
