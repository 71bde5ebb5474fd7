/* hct-block-attention: attention in blocks of queries, each with the keys that its mask leaves, so that no scores of all queries exist.
 * Reverse mode makes the backward in the same blocks.
 *
 *   before  %s = contract(%q, %k)   [.., S, S]
 *           %m = map2 add(%s, %mask)               mask: 0 up to the diagonal, -inf behind it
 *           %p = softmax(%m)
 *           %y = contract(%p, %v)
 *
 *   after   for each block i of S / B queries:
 *           %qi = slice(%q)
 *           %a = contract(%qi, slice(%k))           keys in front of the diagonal's block: no mask
 *           %b = contract(%qi, slice(%k))           the diagonal's block
 *           %bm = map2 add(%b, %mask')              S / B x S / B, one constant for all blocks
 *           %pi = softmax(concat(%a, %bm))          [.., S / B, (i + 1) S / B]
 *           %yi = contract(%pi, slice(%v))
 *           %y = concat(%y0, %y1, ...)
 *
 * Where a die's keys and values, with their gradients, would take much of its SRAM, it works on a part of its heads at a time, too: operands are cut before,
 * results put together after.
 *
 *           %k0 = reshape(slice(reshape(%k) : [.., P, H / P, ..]))    of each of P runs of heads, as the mesh splits them, the first
 *
 * Keys in front of a window are left out as those behind the diagonal are. Masks are read where they are constants, or initializers that nothing trains.
 *
 * hct.pairs on a contraction: [n, m], of m pairs of queries and keys that it computes n are not masked. hct.whole on a slice: the dimension
 * that it cuts, which is not split over dies.
 *
 * With --key-blocks=N each block of queries reads its keys in blocks, too (block_attention_keys.c). Otherwise it does so where the scores of one of as many blocks of queries as may be are more than
 * a quarter of a die's SRAM, in as few blocks of keys as keep those of one within a sixteenth, of which dies share tokens evenly.
 *
 * --attention-blocks=N sets B. Otherwise B is the smallest with which the scores of one block take at most a sixteenth of a die's SRAM, and at
 * least 8 where masked keys need not be computed, as far as a die's queries still fill the rows of its MXU.
 *
 * --head-blocks=N sets the parts of a die's heads. Otherwise they are the fewest with which keys and values, gathered, their gradients, and what is added to one
 * of these, take at most 5/8 of its SRAM. Not cut are heads that the mesh does not divide, those that are repeated for groups of query heads, which
 * hct-group-heads looks for, and those with dropout between. */
#include <string.h>

#include "compiler/strategy/strategy.h"
#include "compiler/transform/block_attention.h"
#include "compiler/transform/dropout.h"

enum { MAX_BLOCKS = HCT_MAX_VARIADIC, MASKED_BLOCKS = 8, SRAM_SHARE = 16, MOST_SRAM_SHARE = 4 /* of scores with all keys */ };
static const double MOST_KEYS_SHARE = 0.625; /* of SRAM */

hct_shape attention_shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "hct-block-attention: a value that is no static tensor");
  return shape;
}

/* ---- parts of operands ---- */
MlirValue attention_constant(blocking *b, MlirAttribute data, MlirLocation location) {
  MlirType type = mlirAttributeGetType(data);
  for (size_t i = 0; i < b->constants.count; i++)
    if (mlirAttributeEqual(b->constants.items[i].data, data)) return b->constants.items[i].value;
  hct_builder at = {.context = b->builder.context, .block = b->body, .before = mlirBlockGetFirstOperation(b->body), .location = location};
  hct_named attribute = {"value", data};
  placed_constant made = {data, type, hct_build_value(&at, "hct_graph.constant", 0, NULL, type, 1, &attribute)};
  HCT_PUSH(b->arena, &b->constants, made);
  return made.value;
}

/* Elements of a constant [outer, rows, keys] in a range of rows and keys. Null: of a type that masks do not have. */
static MlirAttribute constant_part(blocking *b, MlirAttribute data, const hct_shape *from, const hct_shape *to, range rows, range keys) {
  int64_t row_count = from->dims[from->rank - 2], key_count = from->dims[from->rank - 1], outer = hct_shape_elements(from) / (row_count * key_count), next = 0;
  MlirType type = hct_type_tensor(b->builder.context, to->dtype, to->rank, to->dims);
  if (mlirDenseElementsAttrIsSplat(data)) return mlirDenseElementsAttrReshapeGet(data, type);
  if (to->dtype != HCT_F32 && to->dtype != HCT_BOOL) return mlirAttributeGetNull();
  size_t count = (size_t)hct_shape_elements(to);
  hct_arena *scratch = hct_arena_create();
  float *numbers = HCT_NEW_ARRAY(scratch, float, to->dtype == HCT_F32 ? count : 1);
  const float *from_numbers = hct_attr_f32s(data);
  int *bits = HCT_NEW_ARRAY(scratch, int, to->dtype == HCT_BOOL ? count : 1);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t r = 0; r < rows.size; r++)
      for (int64_t k = 0; k < keys.size; k++, next++) {
        intptr_t at = (intptr_t)((o * row_count + rows.start + r) * key_count + keys.start + k);
        if (to->dtype == HCT_F32) numbers[next] = from_numbers[at];
        else bits[next] = mlirDenseElementsAttrGetBoolValue(data, at);
      }
  MlirAttribute part = to->dtype == HCT_F32 ? mlirDenseElementsAttrFloatGet(type, (intptr_t)count, numbers) : mlirDenseElementsAttrBoolGet(type, (intptr_t)count, bits);
  hct_arena_destroy(scratch);
  return part;
}

static MlirValue slice_make(blocking *b, MlirValue value, size_t dim, range part) {
  hct_shape shape = attention_shape_of(value);
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK];
  for (size_t d = 0; d < shape.rank; d++) steps[d] = 1;
  starts[dim] = part.start;
  shape.dims[dim] = part.size;
  hct_named attributes[] = {{"starts", hct_attr_i64s(b->builder.context, shape.rank, starts)}, {"steps", hct_attr_i64s(b->builder.context, shape.rank, steps)}};
  return hct_build_value(&b->builder, "hct_graph.slice", 1, &value, hct_type_tensor(b->builder.context, shape.dtype, shape.rank, shape.dims), 2, attributes);
}

MlirValue attention_slice(blocking *b, MlirValue value, size_t dim, range part) { return attention_shape_of(value).dims[dim] == part.size ? value : slice_make(b, value, dim, part); }

static MlirValue concat(blocking *b, size_t count, const MlirValue *parts, size_t axis, hct_shape shape) {
  hct_named attribute = {"axis", hct_attr_i64(b->builder.context, (int64_t)axis)};
  return count == 1 ? parts[0] : hct_build_value(&b->builder, "hct_graph.concat", count, parts, hct_type_tensor(b->builder.context, shape.dtype, shape.rank, shape.dims), 1, &attribute);
}

/* ---- heads ---- */
static MlirValue reshape(blocking *b, MlirValue value, const hct_shape *shape) {
  return hct_build_value(&b->builder, "hct_graph.reshape", 1, &value, hct_type_tensor(b->builder.context, shape->dtype, shape->rank, shape->dims), 0, NULL);
}

/* Dimension `dim` as runs of heads, and the heads of each. */
static hct_shape heads_apart(const blocking *b, const hct_shape *shape, size_t dim) {
  hct_shape apart = *shape;
  apart.rank++;
  for (size_t d = shape->rank; d-- > dim + 1;) apart.dims[d + 1] = shape->dims[d];
  apart.dims[dim] = b->head_parts, apart.dims[dim + 1] = shape->dims[dim] / b->head_parts;
  return apart;
}

static MlirValue heads_take(blocking *b, MlirValue value, size_t dim) {
  if (b->head_blocks == 1) return value;
  hct_shape shape = attention_shape_of(value), apart = heads_apart(b, &shape, dim);
  int64_t size = apart.dims[dim + 1] / b->head_blocks;
  value = slice_make(b, reshape(b, value, &apart), dim + 1, (range){b->head_block * size, size});
  shape.dims[dim] /= b->head_blocks;
  return reshape(b, value, &shape);
}

/* `blocks` have the same shape. */
static MlirValue heads_join(blocking *b, MlirValue *blocks, size_t dim) {
  if (b->head_blocks == 1) return blocks[0];
  hct_shape shape = attention_shape_of(blocks[0]), apart = heads_apart(b, &shape, dim);
  for (int64_t i = 0; i < b->head_blocks; i++) blocks[i] = reshape(b, blocks[i], &apart);
  apart.dims[dim + 1] *= b->head_blocks, shape.dims[dim] *= b->head_blocks;
  return reshape(b, concat(b, (size_t)b->head_blocks, blocks, dim + 1, apart), &shape);
}

/* ---- a block ---- */
/* A range of keys. Each block reads many of them, so a dimension of keys that is split over dies is gathered once, before it is cut. The block that reads
 * them all may take them by blocks of tokens instead, each gathered by itself, but holds its scores until the last of these: not where scores are large. */
MlirValue attention_slice_keys(blocking *b, MlirValue value, size_t dim, range part) {
  if (!b->large && attention_shape_of(value).dims[dim] == part.size) return value;
  MlirValue keys = slice_make(b, value, dim, part);
  hct_op_set(mlirOpResultGetOwner(keys), "hct.whole", hct_attr_i64(b->builder.context, (int64_t)dim));
  return keys;
}

/* A slice that backward makes again where it is for backward, so that no part of a mask is stored for it. */
static MlirValue mask_slice(blocking *b, MlirValue value, size_t dim, range part) {
  MlirValue made = attention_slice(b, value, dim, part);
  if (b->again && !mlirValueEqual(made, value)) hct_op_set(mlirOpResultGetOwner(made), "hct.recomputed", mlirUnitAttrGet(b->builder.context));
  return made;
}

/* What an elementwise operator reads beside the scores, for a range of queries and keys. */
static MlirValue operand_part(blocking *b, const attention *a, MlirValue value, range rows, range keys) {
  hct_shape own = attention_shape_of(value);
  if (own.rank >= 3 && own.dims[own.rank - 3] == a->heads && a->heads > 1) value = heads_take(b, value, own.rank - 3);
  hct_shape from = attention_shape_of(value), to = from;
  bool by_row = from.rank >= 2 && from.dims[from.rank - 2] == a->queries && a->queries > 1, by_key = from.rank >= 1 && from.dims[from.rank - 1] == a->keys && a->keys > 1;
  if (by_row) to.dims[from.rank - 2] = rows.size;
  if (by_key) to.dims[from.rank - 1] = keys.size;
  if (!memcmp(from.dims, to.dims, sizeof from.dims)) return value;
  MlirOperation made = mlirValueIsAOpResult(value) ? mlirOpResultGetOwner(value) : (MlirOperation){NULL};
  if (!mlirOperationIsNull(made) && hct_op_is(made, "hct_graph.constant") && from.rank >= 2) {
    MlirAttribute data = mlirOperationGetAttributeByName(made, hct_ref("value"));
    range all_rows = {0, from.dims[from.rank - 2]}, all_keys = {0, from.dims[from.rank - 1]};
    MlirAttribute part = mlirAttributeIsADenseElements(data) ? constant_part(b, data, &from, &to, by_row ? rows : all_rows, by_key ? keys : all_keys) : mlirAttributeGetNull();
    if (!mlirAttributeIsNull(part)) return attention_constant(b, part, mlirOperationGetLocation(made));
  }
  if (by_row) value = mask_slice(b, value, from.rank - 2, rows);
  return by_key ? mask_slice(b, value, from.rank - 1, keys) : value;
}

MlirValue attention_wide(const blocking *b, MlirValue value) {
  hct_op_set(mlirOpResultGetOwner(value), "hct.wide", mlirUnitAttrGet(b->builder.context));
  return value;
}

MlirValue attention_rebuild(blocking *b, MlirOperation op, const MlirValue *operands, hct_shape shape) {
  MlirOperation copy = mlirOperationClone(op);
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) mlirOperationSetOperand(copy, k, operands[k]);
  MlirType type = hct_type_tensor(b->builder.context, shape.dtype, shape.rank, shape.dims);
  mlirValueSetType(hct_op_result(copy, 0), type);
  if (b->again) hct_op_set(copy, "hct.recomputed", mlirUnitAttrGet(b->builder.context));
  mlirBlockInsertOwnedOperationBefore(b->body, b->builder.before, copy);
  return hct_op_result(copy, 0);
}

void attention_scores_shape(const blocking *b, hct_shape *shape, int64_t rows, int64_t keys) {
  if (b->head_blocks > 1) shape->dims[shape->rank - 3] /= b->head_blocks;
  shape->dims[shape->rank - 2] = rows, shape->dims[shape->rank - 1] = keys;
}

MlirValue attention_chain_step(blocking *b, const attention *a, size_t at, MlirValue value, range rows, range keys) {
  bool changes = at >= a->before || !a->mask.table[at];
  for (int64_t r = rows.start; r < rows.start + rows.size && !changes; r++) changes = a->mask.same[(int64_t)at * a->queries + r] < keys.start + keys.size;
  hct_shape result = attention_shape_of(hct_op_result(a->chain[at], 0));
  if (!changes && attention_shape_of(value).dtype == result.dtype) return value;
  attention_scores_shape(b, &result, rows.size, keys.size);
  MlirValue operands[3];
  for (size_t k = 0; k < (size_t)mlirOperationGetNumOperands(a->chain[at]); k++)
    operands[k] = k == a->along[at] ? value : operand_part(b, a, hct_op_operand(a->chain[at], k), rows, keys);
  b->builder.location = mlirOperationGetLocation(a->chain[at]);
  MlirValue made = attention_rebuild(b, a->chain[at], operands, result);
  if (b->key_blocks > 1 && at >= a->low && at < a->before) attention_wide(b, made);
  hct_dropout_begin_at(mlirOpResultGetOwner(made), result.rank - 2, rows.start);
  hct_dropout_begin_at(mlirOpResultGetOwner(made), result.rank - 1, keys.start);
  return made;
}

void attention_pairs_note(blocking *b, MlirValue contraction, int64_t kept, int64_t all) {
  if (kept < all) hct_op_set(mlirOpResultGetOwner(contraction), "hct.pairs", hct_attr_i64s(b->builder.context, 2, (const int64_t[]){kept, all}));
}

/* Pairs of a block that are not masked: `before` of each row's lie in front of it. */
static int64_t pairs_kept(const attention *a, range rows, int64_t before) {
  int64_t kept = 0;
  for (int64_t r = rows.start; r < rows.start + rows.size; r++) kept += a->mask.kept[r] - before;
  return kept;
}

MlirValue attention_scores(blocking *b, const attention *a, MlirValue q, MlirValue k, range rows, range keys, int64_t pairs) {
  MlirValue operands[2];
  operands[a->q] = q, operands[a->k] = k;
  hct_shape shape = attention_shape_of(hct_op_result(a->scores, 0));
  attention_scores_shape(b, &shape, rows.size, keys.size);
  b->builder.location = mlirOperationGetLocation(a->scores);
  MlirValue value = attention_rebuild(b, a->scores, operands, shape);
  attention_pairs_note(b, value, pairs, rows.size * keys.size);
  for (size_t at = 0; at < a->before; at++) value = attention_chain_step(b, a, at, value, rows, keys);
  return value;
}

/* `front`: the keys that no mask changes, of two parts, which have `before` of each row's pairs, and those that are left. */
static MlirValue scores_part(blocking *b, const attention *a, MlirValue q, range rows, range keys, bool front, int64_t before) {
  b->builder.location = mlirOperationGetLocation(a->scores);
  MlirValue k = attention_slice_keys(b, b->k, a->k_dim, keys);
  return attention_scores(b, a, q, k, rows, keys, front ? rows.size * keys.size : pairs_kept(a, rows, before));
}

typedef struct needed_keys { int64_t begin, end, changed; } needed_keys;

/* Keys that some of these queries need, [begin, end), and the first that some mask changes for one of them. */
static needed_keys keys_needed(const attention *a, range rows) {
  needed_keys n = {a->keys, 0, a->keys};
  for (int64_t r = rows.start; r < rows.start + rows.size; r++) {
    if (a->mask.begin[r] < n.begin) n.begin = a->mask.begin[r];
    if (a->mask.end[r] > n.end) n.end = a->mask.end[r];
    for (size_t at = 0; at < a->before; at++)
      if (a->mask.table[at] && a->mask.same[(int64_t)at * a->queries + r] < n.changed) n.changed = a->mask.same[(int64_t)at * a->queries + r];
  }
  return n;
}

/* The same in whole blocks. */
static needed_keys in_blocks(const attention *a, needed_keys n, int64_t block) {
  if (a->keys % block) return (needed_keys){0, a->keys, 0};
  return (needed_keys){n.begin / block * block, (n.end + block - 1) / block * block, n.changed / block * block};
}

static MlirValue block_build(blocking *b, const attention *a, range rows) {
  needed_keys exact = keys_needed(a, rows), n = in_blocks(a, exact, rows.size);
  b->builder.location = mlirOperationGetLocation(a->scores);
  MlirValue q = attention_slice(b, b->q, a->q_dim, rows), parts[2];
  if (b->key_blocks > 1) return attention_keys_build(b, a, q, rows, (range){exact.begin, n.end - exact.begin});
  size_t count = 0;
  bool two = n.changed > 0 && n.changed < n.end; /* then none in front are excluded */
  range all = {n.begin, n.end - n.begin}, last = two ? (range){n.changed, n.end - n.changed} : all;
  if (two) parts[count++] = scores_part(b, a, q, rows, (range){0, n.changed}, true, 0);
  parts[count++] = scores_part(b, a, q, rows, last, false, two ? n.changed : 0);
  hct_shape shape = attention_shape_of(hct_op_result(a->softmax, 0));
  attention_scores_shape(b, &shape, rows.size, all.size);
  b->builder.location = mlirOperationGetLocation(a->softmax);
  MlirValue value = concat(b, count, parts, shape.rank - 1, shape);
  value = attention_rebuild(b, a->softmax, &value, shape);
  for (size_t at = a->before; at < a->count; at++) value = attention_chain_step(b, a, at, value, rows, all);
  b->builder.location = mlirOperationGetLocation(a->product);
  MlirValue operands[2];
  operands[a->p] = value;
  operands[a->v] = attention_slice_keys(b, b->v, a->v_dim, all);
  shape = attention_shape_of(hct_op_result(a->product, 0));
  if (b->head_blocks > 1) shape.dims[a->out_head] /= b->head_blocks;
  shape.dims[a->out_dim] = rows.size;
  value = attention_rebuild(b, a->product, operands, shape);
  attention_pairs_note(b, value, pairs_kept(a, rows, 0), rows.size * all.size);
  return value;
}

static MlirValue heads_build(blocking *b, const attention *a, int64_t blocks) {
  MlirValue parts[MAX_BLOCKS];
  b->builder.location = mlirOperationGetLocation(a->scores);
  b->q = heads_take(b, hct_op_operand(a->scores, a->q), a->q_head);
  b->k = heads_take(b, hct_op_operand(a->scores, a->k), a->k_head);
  b->v = heads_take(b, hct_op_operand(a->product, a->v), a->v_head);
  for (int64_t i = 0; i < b->key_blocks; i++) b->keys[i] = b->values[i] = (MlirValue){NULL};
  for (int64_t i = 0; i < blocks; i++) parts[i] = block_build(b, a, (range){i * (a->queries / blocks), a->queries / blocks});
  b->builder.location = mlirOperationGetLocation(a->product);
  hct_shape shape = attention_shape_of(parts[0]);
  shape.dims[a->out_dim] = a->queries;
  return concat(b, (size_t)blocks, parts, a->out_dim, shape);
}

static void attention_build(blocking *b, const attention *a, int64_t blocks) {
  MlirValue *parts = HCT_NEW_ARRAY(b->arena, MlirValue, (size_t)b->head_blocks);
  b->builder.before = a->product;
  if (b->key_blocks > 1) attention_keys_begin(b, a);
  for (b->head_block = 0; b->head_block < b->head_blocks; b->head_block++) parts[b->head_block] = heads_build(b, a, blocks);
  hct_value_replace(hct_op_result(a->product, 0), heads_join(b, parts, a->out_head));
}

/* ---- how many blocks ---- */
static bool excludes_keys(const attention *a) {
  for (int64_t r = 0; r < a->queries; r++)
    if (a->mask.end[r] < a->keys) return true;
  return false;
}

/* Queries of a die, were tokens split over the longer side of the mesh where samples do not fill it; one sample is in flight when the
 * partitioner will choose. */
static int64_t samples_in_flight(const blocking *b) {
  int64_t samples;
  return hct_parse_i64(hct_pass_option(b->pass, "micro-batch", "auto"), &samples) && samples > 0 ? samples : 1;
}

/* A die's scores of one of `blocks` blocks; whether they take more than their share of its SRAM. */
static double scores_bytes(const blocking *b, const attention *a, int64_t blocks) {
  const hct_package *package = &b->pass->package;
  hct_shape shape = attention_shape_of(hct_op_result(a->softmax, 0));
  double batch = shape.rank > 2 ? (double)shape.dims[0] : 1, bytes = strcmp(hct_pass_option(b->pass, "dtype", "f32"), "f32") ? 2 : 4;
  double whole = (double)hct_shape_elements(&shape) / batch * (double)samples_in_flight(b) * bytes / (double)(package->rows * package->cols);
  return whole / (double)blocks;
}

static bool scores_are_large(const blocking *b, const attention *a, int64_t blocks) { return scores_bytes(b, a, blocks) > (double)b->pass->package.sram_bytes / (double)SRAM_SHARE; }

static int64_t choose_blocks(const blocking *b, const attention *a) {
  const hct_package *package = &b->pass->package;
  int64_t side = package->rows > package->cols ? package->rows : package->cols, per_die = samples_in_flight(b) % side == 0 ? 1 : side;
  bool masked = excludes_keys(a);
  int64_t best = 1;
  for (int64_t blocks = 2; blocks <= MAX_BLOCKS; blocks++) {
    if (a->queries % blocks) continue;
    bool fits = !scores_are_large(b, a, best);
    bool fills = a->queries / blocks % (per_die * package->mxu_rows) == 0;
    if (fits && !(masked && blocks <= MASKED_BLOCKS && fills)) continue;
    best = blocks;
  }
  int64_t tokens; /* each of these blocks has its queries, which are less than all that a die can have at once */
  if (hct_parse_i64(hct_pass_option(b->pass, "token-blocks", "1"), &tokens) && tokens > best && tokens <= MAX_BLOCKS && a->queries % tokens == 0) best = tokens;
  return best;
}

static hct_status blocks_of(const blocking *b, const attention *a, int64_t *out_blocks) {
  const char *text = hct_pass_option(b->pass, "attention-blocks", "auto");
  if (!strcmp(text, "auto")) {
    *out_blocks = choose_blocks(b, a);
    return HCT_OK;
  }
  if (!hct_parse_i64(text, out_blocks) || *out_blocks < 1 || *out_blocks > MAX_BLOCKS)
    return hct_error(b->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--attention-blocks=%s: it must be 'auto' or a whole number from 1 to %d", text, MAX_BLOCKS);
  if (a->queries % *out_blocks == 0) return HCT_OK;
  hct_error(b->pass->diags, HCT_E_OPTION, hct_loc_of(b->arena, a->softmax), "--attention-blocks=%s does not divide the %lld queries of this attention", text, (long long)a->queries);
  hct_hint(b->pass->diags, "--attention-blocks=auto takes what divides them");
  return HCT_REFUSED;
}

/* ---- how many blocks of keys ---- */
/* Blocks of both kinds begin and end together. */
static bool even(int64_t a, int64_t b) { return a % b == 0 || b % a == 0; }

static int64_t least_common_multiple(int64_t a, int64_t b) {
  int64_t multiple = a;
  while (multiple % b) multiple += a;
  return multiple;
}

/* One, unless scores of the smallest blocks of queries, with all keys, are large. Parts of a block of tokens that are fewer than the dies which share it, or not a multiple of them, would be shared
 * unevenly. */
static int64_t choose_key_blocks(const blocking *b, const attention *a, int64_t blocks, int64_t tokens) {
  int64_t most = 1, best = 1, parts = blocks * least_common_multiple(b->pass->package.rows, b->pass->package.cols);
  for (int64_t count = 2; count <= MAX_BLOCKS; count++)
    if (a->queries % count == 0) most = count;
  if (scores_bytes(b, a, most) <= (double)b->pass->package.sram_bytes / (double)MOST_SRAM_SHARE) return 1; /* what is gathered for each block of keys takes SRAM, too */
  for (int64_t count = 2; count <= MAX_KEY_BLOCKS && scores_are_large(b, a, blocks * best); count++)
    if (a->keys % count == 0 && (blocks % count == 0 || count % parts == 0) && even(tokens, count)) best = count;
  return best;
}

static hct_status key_blocks_choose(blocking *b, const attention *a, int64_t blocks) {
  const char *text = hct_pass_option(b->pass, "key-blocks", "auto"), *refused = attention_keys_refused(a);
  int64_t forced, tokens = 1;
  if (!hct_parse_i64(hct_pass_option(b->pass, "token-blocks", "1"), &tokens) || tokens < 1) tokens = 1; /* as hct-block-tokens takes what is not chosen yet */
  b->key_blocks = 1;
  if (!strcmp(text, "auto")) {
    if (!refused) b->key_blocks = choose_key_blocks(b, a, blocks, tokens);
    return HCT_OK;
  }
  if (!hct_parse_i64(text, &forced) || forced < 1 || forced > MAX_KEY_BLOCKS)
    return hct_error(b->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--key-blocks=%s: it must be 'auto' or a whole number from 1 to %d", text, MAX_KEY_BLOCKS);
  if (a->keys % forced) {
    hct_error(b->pass->diags, HCT_E_OPTION, hct_loc_of(b->arena, a->softmax), "--key-blocks=%s does not divide the %lld keys of this attention", text, (long long)a->keys);
    hct_hint(b->pass->diags, "--key-blocks=auto takes what divides them");
    return HCT_REFUSED;
  }
  if (!refused && !(even(blocks, forced) && even(tokens, forced))) {
    hct_error(b->pass->diags, HCT_E_OPTION, hct_loc_of(b->arena, a->softmax), "--key-blocks=%s: of %lld blocks of queries and %lld of tokens, each must be a multiple of it, or it of them", text, (long long)blocks, (long long)tokens);
    hct_hint(b->pass->diags, "--key-blocks=%lld", (long long)(even(tokens, blocks) ? blocks : 1));
    return HCT_REFUSED;
  }
  if (!refused) b->key_blocks = forced;
  else if (forced > 1) hct_remark(b->pass->diags, hct_loc_of(b->arena, a->softmax), "--key-blocks=%lld: this attention is not cut by keys: %s", (long long)forced, refused);
  return HCT_OK;
}

/* ---- how many blocks of heads ---- */
static bool is_repeated(MlirValue heads) {
  MlirOperation op = mlirValueIsAOpResult(heads) ? mlirOpResultGetOwner(heads) : (MlirOperation){NULL};
  if (mlirOperationIsNull(op) || !hct_op_is(op, "hct_graph.reshape") || !mlirValueIsAOpResult(hct_op_operand(op, 0))) return false;
  return hct_op_is(mlirOpResultGetOwner(hct_op_operand(op, 0)), "hct_graph.broadcast");
}

/* Heads that a die has, where they may be cut; else 1. */
static int64_t heads_of_die(blocking *b, const attention *a) {
  const hct_package *package = &b->pass->package;
  const strategy *chosen = strategy_find(hct_pass_option(b->pass, "strategy", "hecaton"));
  if (!chosen || !a->heads || !strcmp(hct_pass_option(b->pass, "backend", "chiplet"), "host")) return 1; /* hct-partition refuses an unknown one; the host has no mesh */
  for (size_t at = 0; at < a->count; at++)
    if (hct_op_is(a->chain[at], "hct_graph.dropout")) return 1;
  if (is_repeated(hct_op_operand(a->scores, a->k)) || is_repeated(hct_op_operand(a->product, a->v)) || attention_shape_of(hct_op_operand(a->scores, a->q)).rank == HCT_MAX_RANK) return 1;
  b->head_parts = strategy_head_parts(chosen, b->pass, a->heads);
  return b->head_parts > 1 || strategy_head_parts(chosen, b->pass, package->rows * package->cols) == 1 ? a->heads / b->head_parts : 1;
}

/* Keys of all heads of a die: of the samples that it has whole, where tokens of one lie on one side of the mesh. */
static double key_bytes(const blocking *b, const attention *a) {
  const hct_package *package = &b->pass->package;
  hct_shape keys = attention_shape_of(hct_op_operand(a->scores, a->k));
  int64_t side = package->rows * package->cols / b->head_parts, samples = (samples_in_flight(b) + side - 1) / side;
  double element_bytes = strcmp(hct_pass_option(b->pass, "dtype", "f32"), "f32") ? 2 : 4;
  return (double)hct_shape_elements(&keys) / (double)keys.dims[0] * (double)samples / (double)b->head_parts * element_bytes;
}

static hct_status head_blocks_choose(blocking *b, const attention *a) {
  const char *text = hct_pass_option(b->pass, "head-blocks", "auto");
  int64_t heads = heads_of_die(b, a), most = heads < MAX_BLOCKS ? heads : MAX_BLOCKS, forced = 0;
  bool any = !strcmp(text, "auto");
  if (!any && (!hct_parse_i64(text, &forced) || forced < 1 || forced > MAX_BLOCKS))
    return hct_error(b->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--head-blocks=%s: it must be 'auto' or a whole number from 1 to %d", text, MAX_BLOCKS);
  double buffers = strcmp(hct_pass_option(b->pass, "mode", "train"), "infer") ? 5 : 2; /* keys, values; their gradients, and what is added to one of them */
  double bytes = heads > 1 ? buffers * key_bytes(b, a) : 0, limit = MOST_KEYS_SHARE * (double)b->pass->package.sram_bytes;
  b->head_blocks = 1;
  for (int64_t count = 2; count <= most && (any ? bytes > limit * (double)b->head_blocks : b->head_blocks < forced); count++)
    if (heads % count == 0 && (any || count == forced)) b->head_blocks = count;
  if (!any && b->head_blocks != forced) hct_remark(b->pass->diags, hct_loc_of(b->arena, a->softmax), "--head-blocks=%lld: this attention is not cut by heads, of which a die has %lld that may be", (long long)forced, (long long)heads);
  return HCT_OK;
}

hct_status hct_pass_block_attention(hct_pass_context *pass, MlirModule module) {
  MlirOperation function = hct_module_function(module), *ops;
  blocking b = {.pass = pass, .arena = hct_arena_create(), .function = function, .body = hct_function_body(function)};
  b.settled = hct_index_map_create(b.arena);
  b.builder = (hct_builder){.context = mlirModuleGetContext(module), .block = b.body};
  size_t count = hct_block_operations(b.arena, b.body, &ops);
  hct_status status = HCT_OK;
  for (size_t i = 0; i < count && status == HCT_OK; i++) {
    attention a;
    int64_t blocks;
    if (!attention_match(ops[i], &a)) continue;
    status = attention_masks_settle(&b, &a);
    if (status == HCT_OK) attention_mask_read(b.arena, &a, &b.masks);
    if (status == HCT_OK) status = blocks_of(&b, &a, &blocks);
    if (status == HCT_OK) status = key_blocks_choose(&b, &a, blocks);
    if (status == HCT_OK) status = head_blocks_choose(&b, &a);
    b.large = status == HCT_OK && scores_are_large(&b, &a, blocks);
    if (status == HCT_OK && (blocks > 1 || b.head_blocks > 1 || b.key_blocks > 1)) attention_build(&b, &a, blocks);
    else if (status == HCT_OK) {
      attention_pairs_note(&b, hct_op_result(a.scores, 0), pairs_kept(&a, (range){0, a.queries}, 0), a.queries * a.keys);
      attention_pairs_note(&b, hct_op_result(a.product, 0), pairs_kept(&a, (range){0, a.queries}, 0), a.queries * a.keys);
    }
  }
  hct_function_eliminate_dead(function);
  hct_arena_destroy(b.arena);
  return status;
}
