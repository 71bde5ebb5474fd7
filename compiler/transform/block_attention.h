/* hct-block-attention, inside: what attention looks like, what its masks leave, and parts of it. */
#ifndef HCT_COMPILER_TRANSFORM_BLOCK_ATTENTION_H
#define HCT_COMPILER_TRANSFORM_BLOCK_ATTENTION_H

#include "compiler/pass.h"

enum { MAX_CHAIN = 8, MAX_KEY_BLOCKS = 64 };

/* What the masks of constants leave of the keys, query by query. */
typedef struct attention_mask {
  int64_t *begin; /* keys before are excluded */
  int64_t *end;   /* keys from here on are excluded */
  int64_t *kept;  /* number of keys that are not excluded */
  bool table[MAX_CHAIN]; /* by chain position: the operator there is a mask */
  int64_t *same;  /* by chain position * queries + query: the first key that the mask there changes */
  bool low_rows;  /* of some query all keys are far below any score */
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
  size_t low; /* from this chain position on all scores of a row may be far below 0, by a finite number: `before` where they are not */
} attention;

/* Which numbers of tables exclude a key for certain: -inf alone where other numbers of a row may be as low, as of masks that come at run time. */
typedef enum attention_excluding { EXCLUDES_NOTHING, EXCLUDES_INFINITE, EXCLUDES_LOW } attention_excluding;

/* Layers share their masks: what was read last. */
typedef struct mask_source mask_source;
typedef struct attention_mask_cache {
  const mask_source *sources;
  size_t count;
  int64_t queries, keys;
  attention_excluding excluding;
  attention_mask mask;
} attention_mask_cache;

/* The attention at hand. */
typedef struct placed_constant { MlirAttribute data; MlirType type; MlirValue value; } placed_constant;
typedef struct blocking {
  hct_pass_context *pass;
  hct_arena *arena;
  MlirOperation function;
  MlirBlock body;
  hct_builder builder;
  hct_index_map *settled; /* values of which masks are made, whose parameters are constants where they can be, and parameters that cannot */
  attention_mask_cache masks;
  bool large; /* scores of a block, of the attention at hand */
  MlirValue q, k, v; /* its operands, of the heads at hand */
  int64_t head_parts, head_blocks, head_block; /* runs of heads, as the mesh splits them; blocks of each; the one at hand */
  int64_t key_blocks; /* 1: a softmax has all keys at once */
  MlirValue keys[MAX_KEY_BLOCKS], values[MAX_KEY_BLOCKS]; /* by block of keys, of the heads at hand; null: not read yet */
  bool again;         /* what is built is for backward alone: it bears hct.recomputed */
  struct { placed_constant *items; size_t count, capacity; } constants; /* parts of constants, at the start of the body */
} blocking;

typedef struct range { int64_t start, size; } range;

/* ---- parts (block_attention.c) ---- */
hct_shape attention_shape_of(MlirValue value);
/* At the start of the body, each once. */
MlirValue attention_constant(blocking *b, MlirAttribute data, MlirLocation location);
MlirValue attention_slice(blocking *b, MlirValue value, size_t dim, range part);
/* A range of keys, or of values, of which `dim` is not split over dies. */
MlirValue attention_slice_keys(blocking *b, MlirValue value, size_t dim, range part);
/* Marks what makes `value` to stay f32 under --dtype. */
MlirValue attention_wide(const blocking *b, MlirValue value);
/* A copy of `op` that works on a part, and gives one of `shape`. */
MlirValue attention_rebuild(blocking *b, MlirOperation op, const MlirValue *operands, hct_shape shape);
/* `shape`, of the scores of all queries, keys and heads, for some of them. */
void attention_scores_shape(const blocking *b, hct_shape *shape, int64_t rows, int64_t keys);
/* The operator at `at` of the chain on a block; `value` itself when it changes nothing there. */
MlirValue attention_chain_step(blocking *b, const attention *a, size_t at, MlirValue value, range rows, range keys);
/* Scores as the softmax takes them, of keys that are there already. */
MlirValue attention_scores(blocking *b, const attention *a, MlirValue q, MlirValue k, range rows, range keys, int64_t pairs);
void attention_pairs_note(blocking *b, MlirValue contraction, int64_t kept, int64_t all);

/* ---- blocks of keys (block_attention_keys.c) ---- */
/* Whether attention can have a running softmax: NULL, or why not. */
const char *attention_keys_refused(const attention *a);
/* Before the first block of queries: marks what masks are made of to stay f32, as far as that is elementwise, since half types would have -inf for what is far below 0 and finite. */
void attention_keys_begin(const blocking *b, const attention *a);
/* Attention of the queries `rows`, q, in those blocks of keys that have some of `keys`, of which the first may have others in front. */
MlirValue attention_keys_build(blocking *b, const attention *a, MlirValue q, range rows, range keys);

/* ---- masks that are initializers (block_attention_frozen.c) ---- */
/* Makes constants of those parameters that masks are made of which nothing trains. */
hct_status attention_masks_settle(blocking *b, const attention *a);

/* Whether a mask may be made with it: elementwise, or a view. */
bool attention_is_mask_maker(MlirOperation op);
/* Whether scores, and the logarithm of their sum, lose digits beside it, and half types may not have it. */
bool attention_is_low(float value);

/* Whether `softmax` is attention's; false: it is something else. */
bool attention_match(MlirOperation softmax, attention *out_attention);
/* Reads the masks; arrays live in `arena`. */
void attention_mask_read(hct_arena *arena, attention *attention, attention_mask_cache *cache);

#endif
