/* hct-block-attention, inside: what attention looks like, and what its masks leave. */
#ifndef HCT_COMPILER_TRANSFORM_BLOCK_ATTENTION_H
#define HCT_COMPILER_TRANSFORM_BLOCK_ATTENTION_H

#include "compiler/pass.h"

enum { MAX_CHAIN = 8 };

/* What the masks of constants leave of the keys, query by query. */
typedef struct attention_mask {
  int64_t *end;   /* keys from here on are excluded */
  int64_t *kept;  /* number of keys that are not excluded */
  bool table[MAX_CHAIN]; /* by chain position: the operator there is a mask */
  int64_t *same;  /* by chain position * queries + query: the first key that the mask there changes */
} attention_mask;

/* scores [..., queries, keys] = contract(q, k), elementwise operators, softmax over the keys, elementwise operators, contract with v. */
typedef struct attention {
  MlirOperation scores, softmax, product;
  MlirOperation chain[2 * MAX_CHAIN]; /* elementwise operators: `before` of them, then those after the softmax */
  size_t along[2 * MAX_CHAIN];        /* the operand that each takes over from the one before */
  size_t before, count;
  size_t q, k, p, v;                     /* which operand of scores and of product */
  size_t q_dim, k_dim, v_dim, out_dim;   /* queries in q, keys in k and v, queries in the result */
  size_t q_head, k_head, v_head, out_head; /* heads in the same, where there are any: the loop before the queries' */
  int64_t heads;                         /* 0: no loop but that over samples goes through all products */
  int64_t queries, keys;
  attention_mask mask;
} attention;

/* Layers share their masks: what was read last. */
typedef struct mask_source mask_source;
typedef struct attention_mask_cache {
  const mask_source *sources;
  size_t count;
  int64_t queries, keys;
  bool exclude;
  attention_mask mask;
} attention_mask_cache;

/* Whether `softmax` is attention's; false: it is something else. */
bool attention_match(MlirOperation softmax, attention *out_attention);
/* Reads the masks; arrays live in `arena`. */
void attention_mask_read(hct_arena *arena, attention *attention, attention_mask_cache *cache);

#endif
