/* hct-block-attention, blocks of keys: a running softmax (Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022, FlashAttention), so that no
 * scores of a block of queries with all their keys exist.
 *
 *   for each block j of keys:
 *     %s = contract(%qi, %kj), scale, mask
 *     %m = map2 max(%m', reduce max(%s))                     %m', %l', %u': those of the block before
 *     %e = map2 exp_sub(%s, %m);  %a = map2 exp_sub(%m', %m)
 *     %l = %l' * %a + reduce sum(%e);  %u = %u' * %a + contract(%e, %vj)
 *   %y = %u / %l
 *
 * Nothing of this is differentiated (hct_graph.detach). The gradient is that of what follows, whose value is 0, and which is never computed but in backward,
 * as far as gradients read it (hct.recomputed; hct-derive-training moves it there), whatever --recompute says:
 *
 *   %lse = %m + log(%l)
 *   for each block j of keys:
 *     %s = contract(%qi, %kj), scale, mask;  %p = map2 exp_sub(%s, detach(%lse))
 *     %t += contract(%p, %vj);  %z += reduce sum(%p)
 *   %yi = detach(%y, %t - %z * detach(%y))
 *
 * so that d%p = contract(dy, %vj) - sum(dy * y) and d%s = %p * d%p (Dao 2023, FlashAttention-2, algorithm 2), with the probabilities of one block of keys at a time: of forward backward reads q, k, v,
 * y and one number a row.
 *
 * Masks may leave a row no key, or, at first, none of a block: -inf, -1e9, the lowest f32. Beside m = -1e9 f32 has no digits for log(l), so where a row may have only such scores
 *   %yi = detach(%y, (%t - %z * detach(%y)) * detach(exp(%lse - %m) / %l))
 * of which the factor, of rows, is 1 where nothing was lost, and 1 / l where all of log(l) was. There scores with their masks, and what masks are made of, stay f32 under --dtype
 * (hct.wide): f16 has no -1e9, and bf16 not the lowest f32.
 *
 * Operators after the softmax may be any that are linear in each probability by itself, dropout among them. */
#include <string.h>

#include "compiler/transform/block_attention.h"

/* What a row's largest score is at least: of keys that are all masked by -inf it would be -inf, and -inf less -inf is no number; a row without any key has a sum of 0, and 0 / 0 is none either, as
 * with the softmax of all its keys. */
static const float lowest_score = -3.4028234663852886e38f;

typedef struct running { MlirValue highest, sum, product; } running; /* null before the first block */

/* ---- operators ---- */
static MlirValue emit(blocking *b, const char *op, size_t operand_count, const MlirValue *operands, hct_shape shape, size_t attribute_count, const hct_named *attributes) {
  MlirValue made = hct_build_value(&b->builder, op, operand_count, operands, hct_type_tensor(b->builder.context, shape.dtype, shape.rank, shape.dims), attribute_count, attributes);
  if (b->again) hct_op_set(mlirOpResultGetOwner(made), "hct.recomputed", mlirUnitAttrGet(b->builder.context));
  return made;
}

static MlirValue map1(blocking *b, const char *fn, MlirValue a) {
  hct_named attribute = {"fn", hct_attr_str(b->builder.context, fn)};
  return emit(b, "hct_graph.map1", 1, &a, attention_shape_of(a), 1, &attribute);
}

/* Of the shape of `a`. */
static MlirValue map2(blocking *b, const char *fn, MlirValue a, MlirValue other) {
  hct_named attribute = {"fn", hct_attr_str(b->builder.context, fn)};
  MlirValue operands[] = {a, other};
  return emit(b, "hct_graph.map2", 2, operands, attention_shape_of(a), 1, &attribute);
}

static MlirValue sum_with(blocking *b, MlirValue sum, MlirValue summand) { return mlirValueIsNull(sum) ? summand : map2(b, "add", sum, summand); }

static MlirValue detach(blocking *b, MlirValue value, MlirValue stands_in) {
  MlirValue operands[] = {value, stands_in};
  return emit(b, "hct_graph.detach", mlirValueIsNull(stands_in) ? 1 : 2, operands, attention_shape_of(value), 0, NULL);
}

/* Over keys. */
static MlirValue reduce(blocking *b, const char *kind, MlirValue scores) {
  hct_shape shape = attention_shape_of(scores);
  const int64_t last = (int64_t)shape.rank - 1;
  shape.dims[last] = 1;
  hct_named attributes[] = {{"kind", hct_attr_str(b->builder.context, kind)}, {"axes", hct_attr_i64s(b->builder.context, 1, &last)}};
  return emit(b, "hct_graph.reduce", 1, &scores, shape, 2, attributes);
}

static MlirValue lowest(blocking *b) {
  return attention_constant(b, mlirDenseElementsAttrFloatSplatGet(hct_type_tensor(b->builder.context, HCT_F32, 0, NULL), lowest_score), b->builder.location);
}

/* ---- layout ---- */
/* Letters of p and of the result in the product's spec. */
typedef struct product_letters { const char *p, *result; size_t p_count, result_count; } product_letters;
static product_letters letters_of(const attention *a) {
  const char *spec = hct_op_str(a->product, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  bool first = a->p == 0;
  return (product_letters){first ? spec : comma + 1, arrow + 2, first ? (size_t)(comma - spec) : (size_t)(arrow - comma - 1), strlen(arrow + 2)};
}

/* Whether the result has p's letters, but for the keys', in p's order, so that rows are rows of both. */
static bool rows_stay(const attention *a) {
  product_letters l = letters_of(a);
  size_t at = 0;
  for (size_t d = 0; d + 1 < l.p_count; d++, at++) {
    const char *found = at < l.result_count ? memchr(l.result + at, l.p[d], l.result_count - at) : NULL;
    if (!found) return false;
    at = (size_t)(found - l.result);
  }
  return true;
}

/* A number a row [..., queries, 1] beside the product's result. */
static MlirValue beside_product(blocking *b, const attention *a, MlirValue statistic) {
  product_letters l = letters_of(a);
  hct_shape shape = attention_shape_of(statistic), to = {.dtype = shape.dtype, .rank = l.result_count};
  for (size_t d = 0; d < l.result_count; d++) {
    const char *in_p = memchr(l.p, l.result[d], l.p_count);
    to.dims[d] = in_p ? shape.dims[in_p - l.p] : 1;
  }
  bool same = to.rank == shape.rank && !memcmp(to.dims, shape.dims, to.rank * sizeof *to.dims);
  return same ? statistic : emit(b, "hct_graph.reshape", 1, &statistic, to, 0, NULL);
}

/* ---- what the softmax may be followed by ---- */
static bool is_zero(MlirValue value) {
  hct_shape shape;
  if (!mlirValueIsAOpResult(value) || !hct_op_is(mlirOpResultGetOwner(value), "hct_graph.constant") || !hct_value_shape(value, &shape) || shape.dtype != HCT_F32) return false;
  MlirAttribute data = mlirOperationGetAttributeByName(mlirOpResultGetOwner(value), hct_ref("value"));
  return mlirAttributeIsADenseElements(data) && mlirDenseElementsAttrIsSplat(data) && mlirDenseElementsAttrGetFloatSplatValue(data) == 0;
}

/* Whether the operator is linear in what it takes over, element by element. */
static bool is_linear(MlirOperation op, size_t along) {
  if (hct_op_is(op, "hct_graph.dropout")) return true;
  if (hct_op_is(op, "hct_graph.select")) return along > 0 && is_zero(hct_op_operand(op, 3 - along));
  const char *fn = hct_op_str(op, "fn");
  if (hct_op_is(op, "hct_graph.map2")) return !mlirValueEqual(hct_op_operand(op, 0), hct_op_operand(op, 1)) && (!strcmp(fn, "mul") || (!strcmp(fn, "div") && along == 0));
  hct_shape from, to;
  bool floats = hct_value_shape(hct_op_operand(op, 0), &from) && hct_value_shape(hct_op_result(op, 0), &to) && hct_dtype_is_float(from.dtype) && hct_dtype_is_float(to.dtype);
  return floats && (!strcmp(fn, "mov") || !strcmp(fn, "neg") || !strcmp(fn, "muls"));
}

const char *attention_keys_refused(const attention *a) {
  for (size_t at = a->before; at < a->count; at++)
    if (!is_linear(a->chain[at], a->along[at])) return "an operator after its softmax is not linear";
  return rows_stay(a) ? NULL : "its rows are not those of its result";
}

/* ---- masks ---- */
void attention_keys_begin(const blocking *b, const attention *a) {
  struct { MlirValue *items; size_t count, capacity; } open = {0};
  for (size_t at = a->low; at < a->before; at++)
    for (size_t k = 0; k < (size_t)mlirOperationGetNumOperands(a->chain[at]); k++)
      if (k != a->along[at]) HCT_PUSH(b->arena, &open, hct_op_operand(a->chain[at], k));
  while (open.count > 0) {
    MlirValue value = open.items[--open.count];
    hct_shape shape;
    if (!mlirValueIsAOpResult(value) || !hct_value_shape(value, &shape) || shape.dtype != HCT_F32) continue;
    MlirOperation op = mlirOpResultGetOwner(value);
    if (hct_op_has(op, "hct.wide") || !attention_is_mask_maker(op)) continue;
    attention_wide(b, value);
    for (size_t k = 0; k < (size_t)mlirOperationGetNumOperands(op); k++) HCT_PUSH(b->arena, &open, hct_op_operand(op, k));
  }
}

/* ---- a block of queries ---- */
static int64_t first_block(const blocking *b, const attention *a, range keys) { return keys.start / (a->keys / b->key_blocks); }

static range block_of(const blocking *b, const attention *a, int64_t block, range keys) {
  int64_t size = a->keys / b->key_blocks, start = block * size, end = keys.start + keys.size;
  return (range){start, end - start < size ? end - start : size};
}

/* Keys or values of a block: all queries that read them share one slice, of which the last block of some takes a part. */
static MlirValue keys_of(blocking *b, const attention *a, int64_t block, range keys, bool values) {
  size_t dim = values ? a->v_dim : a->k_dim;
  MlirValue *whole = values ? &b->values[block] : &b->keys[block];
  if (mlirValueIsNull(*whole)) *whole = attention_slice_keys(b, values ? b->v : b->k, dim, block_of(b, a, block, (range){0, a->keys}));
  return attention_slice(b, *whole, dim, (range){0, keys.size});
}

/* Pairs that are not masked, as if those of a row were side by side. */
static int64_t pairs_in(const attention *a, range rows, range keys) {
  int64_t kept = 0;
  for (int64_t r = rows.start; r < rows.start + rows.size; r++) {
    int64_t start = a->mask.begin[r], end = start + a->mask.kept[r];
    if (start < keys.start) start = keys.start;
    if (end > keys.start + keys.size) end = keys.start + keys.size;
    kept += end > start ? end - start : 0;
  }
  return kept;
}

static MlirValue scores_of(blocking *b, const attention *a, MlirValue q, range rows, int64_t block, range keys) {
  b->builder.location = mlirOperationGetLocation(a->scores);
  MlirValue scores = attention_scores(b, a, q, keys_of(b, a, block, keys, false), rows, keys, pairs_in(a, rows, keys));
  b->builder.location = mlirOperationGetLocation(a->softmax);
  return scores;
}

/* With what follows the softmax between. */
static MlirValue product_of(blocking *b, const attention *a, MlirValue exponentials, range rows, int64_t block, range keys) {
  for (size_t at = a->before; at < a->count; at++) exponentials = attention_chain_step(b, a, at, exponentials, rows, keys);
  b->builder.location = mlirOperationGetLocation(a->product);
  MlirValue operands[2];
  operands[a->p] = exponentials, operands[a->v] = keys_of(b, a, block, keys, true);
  hct_shape shape = attention_shape_of(hct_op_result(a->product, 0));
  if (b->head_blocks > 1) shape.dims[a->out_head] /= b->head_blocks;
  shape.dims[a->out_dim] = rows.size;
  MlirValue made = attention_rebuild(b, a->product, operands, shape);
  attention_pairs_note(b, made, pairs_in(a, rows, keys), rows.size * keys.size);
  return made;
}

static void run(blocking *b, const attention *a, running *r, MlirValue q, range rows, int64_t block, range keys) {
  MlirValue scores = scores_of(b, a, q, rows, block, keys), before = r->highest, own = reduce(b, "max", scores);
  r->highest = map2(b, "max", own, mlirValueIsNull(before) ? lowest(b) : before);
  MlirValue exponentials = map2(b, "exp_sub", scores, r->highest), sum = reduce(b, "sum", exponentials);
  MlirValue product = attention_wide(b, product_of(b, a, exponentials, rows, block, keys));
  if (mlirValueIsNull(before)) {
    r->sum = sum, r->product = product;
    return;
  }
  MlirValue scale = map2(b, "exp_sub", before, r->highest);
  r->sum = map2(b, "add", map2(b, "mul", r->sum, scale), sum);
  r->product = attention_wide(b, map2(b, "add", attention_wide(b, map2(b, "mul", r->product, beside_product(b, a, scale))), product));
}

/* The factor of rows with which exp(s - log_sum) is exp(s - m) / l, whatever log_sum has lost. */
static MlirValue lost_by(blocking *b, const running *r, MlirValue log_sum) { return detach(b, map2(b, "div", map2(b, "exp_sub", log_sum, r->highest), r->sum), (MlirValue){NULL}); }

/* Of value 0, with the gradient of attention. `factor` of rows: null where it is 1. */
static MlirValue stand_in(blocking *b, const attention *a, MlirValue q, range rows, range all, MlirValue log_sum, MlirValue factor, MlirValue y) {
  MlirValue product = {NULL}, sum = {NULL};
  log_sum = detach(b, log_sum, (MlirValue){NULL}), y = detach(b, y, (MlirValue){NULL});
  b->again = true;
  for (int64_t block = first_block(b, a, all); block_of(b, a, block, all).size > 0; block++) {
    range keys = block_of(b, a, block, all);
    MlirValue p = map2(b, "exp_sub", scores_of(b, a, q, rows, block, keys), log_sum);
    sum = sum_with(b, sum, reduce(b, "sum", p));
    product = sum_with(b, product, product_of(b, a, p, rows, block, keys));
  }
  MlirValue zero = map2(b, "sub", product, map2(b, "mul", y, beside_product(b, a, sum)));
  if (!mlirValueIsNull(factor)) zero = map2(b, "mul", zero, beside_product(b, a, factor));
  b->again = false;
  return zero;
}

MlirValue attention_keys_build(blocking *b, const attention *a, MlirValue q, range rows, range all) {
  running r = {{NULL}, {NULL}, {NULL}};
  for (int64_t block = first_block(b, a, all); block_of(b, a, block, all).size > 0; block++) run(b, a, &r, q, rows, block, block_of(b, a, block, all));
  MlirValue y = map2(b, "div", r.product, beside_product(b, a, r.sum));
  if (!strcmp(hct_pass_option(b->pass, "mode", "train"), "infer")) return y;
  b->builder.location = mlirOperationGetLocation(a->softmax);
  MlirValue log_sum = map2(b, "add", r.highest, map1(b, "log", r.sum));
  MlirValue factor = a->low < a->before ? lost_by(b, &r, log_sum) : (MlirValue){NULL};
  return detach(b, y, stand_in(b, a, q, rows, all, log_sum, factor, y));
}
