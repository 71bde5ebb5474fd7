/* LinearAttention: a recurrence over tokens of a state [key, value] a head, in chunks of tokens. With g the logarithm of the decay and G its sum
 * from the chunk's first token on, queries of a chunk see the state before it and the chunk's earlier tokens,
 *   o_t = exp(G_t) q_t S + sum_{s <= t} (q_t . exp(G_t - G_s) k_s) u_s,   S' = exp(G_last) S + sum_s exp(G_last - G_s) k_s u_s,
 * where u is v, or with the delta rule beta_t (v_t - exp(G_t) k_t S - sum_{s < t} (k_t . exp(G_t - G_s) k_s) u_s), which is solved block by block. Exponents are not above 0 where
 * decays are not above 1 (arXiv 2312.06635, 2406.06484). */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

enum { CHUNK = 64, CHUNK_BY_KEY = 16, CHUNK_DELTA = 16, BLOCK = 4, NODES_A_CHUNK = 80 };

typedef struct recurrence {
  int64_t batch, heads, group, tokens, key, value; /* group: query heads of a head */
  bool gated, delta;
  MlirValue q, k, v; /* [batch, heads, group, tokens, key], [batch, heads, tokens, key], [batch, heads, tokens, value] */
  MlirValue g, beta; /* [batch, heads, tokens, key or 1], [batch, heads or 1, tokens, 1] */
  MlirValue state;   /* [batch, heads, key, value]; null: zero */
} recurrence;

/* ---- operands ---- */
/* [batch, tokens, heads * size] as [batch, heads, tokens, size], in f32. */
static hct_status heads_read(importer *im, size_t index, const char *which, int64_t heads, const recurrence *r, MlirValue *out_value) {
  static const int64_t perm[] = {0, 2, 1, 3};
  import_value *given = import_input(im, index);
  if (!given) return import_refuse(im, HCT_E_ONNX_INVALID, "input %zu (%s) is missing", index, which);
  const hct_shape *shape = &given->shape;
  if (shape->rank != 3 || shape->dims[2] % heads || (r->batch && (shape->dims[0] != r->batch || shape->dims[1] != r->tokens)))
    return import_refuse(im, HCT_E_ONNX_SHAPE, "input %zu (%s) is not [batch, tokens, %lld heads * size], as the query is", index, which, (long long)heads);
  int64_t dims[] = {shape->dims[0], shape->dims[1], heads, shape->dims[2] / heads};
  *out_value = build_transpose(im, build_reshape(im, build_cast(im, build_value(im, given), HCT_F32), 4, dims), perm);
  return HCT_OK;
}

static hct_status rule_read(importer *im, recurrence *r) {
  const char *rule = import_string(im, "update_rule", "gated_delta");
  r->gated = !strncmp(rule, "gated", 5);
  r->delta = !strcmp(rule, "delta") || !strcmp(rule, "gated_delta");
  if (!r->delta && strcmp(rule, "linear") && strcmp(rule, "gated")) return import_refuse(im, HCT_E_ONNX_INVALID, "update_rule '%s'; linear, gated, delta and gated_delta are there", rule);
  if (im->node->n_input > 6) return import_refuse(im, HCT_E_UNSUPPORTED, "%zu inputs; six are supported, the last of which is beta", im->node->n_input);
  if (r->gated != (import_input(im, 4) != NULL) || r->delta != (import_input(im, 5) != NULL))
    return import_refuse(im, HCT_E_ONNX_INVALID, "update_rule '%s' with%s decay (input 4) and with%s beta (input 5)", rule, import_input(im, 4) ? "" : "out", import_input(im, 5) ? "" : "out");
  return HCT_OK;
}

static hct_status query_read(importer *im, recurrence *r) {
  int64_t query_heads = import_int(im, "q_num_heads", 0);
  r->heads = import_int(im, "kv_num_heads", 0);
  if (r->heads < 1 || query_heads < 1 || query_heads % r->heads) return import_refuse(im, HCT_E_ONNX_INVALID, "%lld query heads (q_num_heads) of %lld heads (kv_num_heads); it must be a multiple of them", (long long)query_heads, (long long)r->heads);
  HCT_TRY(heads_read(im, 0, "query", query_heads, r, &r->q));
  hct_shape q = shape_of(r->q);
  r->batch = q.dims[0], r->tokens = q.dims[2], r->key = q.dims[3];
  r->group = query_heads / r->heads;
  int64_t apart[] = {r->batch, r->heads, r->group, r->tokens, r->key};
  double scale = (double)import_float(im, "scale", 0);
  r->q = build_scaled(im, "muls", build_reshape(im, r->q, 5, apart), scale != 0 ? scale : 1 / sqrt((double)r->key));
  return HCT_OK;
}

static hct_status recurrence_read(importer *im, recurrence *r) {
  HCT_TRY(import_floats(im, im->node->n_input));
  HCT_TRY(rule_read(im, r));
  HCT_TRY(query_read(im, r));
  HCT_TRY(heads_read(im, 1, "key", r->heads, r, &r->k));
  HCT_TRY(heads_read(im, 2, "value", r->heads, r, &r->v));
  if (shape_of(r->k).dims[3] != r->key) return import_refuse(im, HCT_E_ONNX_SHAPE, "keys of %lld elements for queries of %lld", (long long)shape_of(r->k).dims[3], (long long)r->key);
  r->value = shape_of(r->v).dims[3];
  if (r->gated) {
    HCT_TRY(heads_read(im, 4, "decay", r->heads, r, &r->g));
    int64_t size = shape_of(r->g).dims[3];
    if (size != 1 && size != r->key) return import_refuse(im, HCT_E_ONNX_SHAPE, "decay of %lld numbers a head; 1 and %lld are supported", (long long)size, (long long)r->key);
  }
  if (r->delta) {
    const import_value *beta = import_input(im, 5);
    int64_t heads = beta->shape.rank == 3 && beta->shape.dims[2] == 1 ? 1 : r->heads;
    HCT_TRY(heads_read(im, 5, "beta", heads, r, &r->beta));
    if (shape_of(r->beta).dims[3] != 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "beta of %lld numbers a head; it is one", (long long)shape_of(r->beta).dims[3]);
  }
  import_value *past = import_input(im, 3);
  if (!past) return HCT_OK;
  const int64_t wanted[] = {r->batch, r->heads, r->key, r->value};
  if (past->shape.rank != 4 || memcmp(past->shape.dims, wanted, sizeof wanted)) return import_refuse(im, HCT_E_ONNX_SHAPE, "past_state is not [%lld, %lld, %lld, %lld]", (long long)wanted[0], (long long)wanted[1], (long long)wanted[2], (long long)wanted[3]);
  r->state = build_cast(im, build_value(im, past), HCT_F32);
  return HCT_OK;
}

/* ---- a chunk ---- */
typedef struct chunk {
  int64_t count;
  MlirValue q, k, u;
  MlirValue sums, decay; /* G and exp(G), like g; null: there is no decay */
  MlirValue between;     /* exp(G_t - G_s) where s <= t, else 0: [batch, heads, count, count, key or 1]; null: also for one token */
} chunk;

/* [count, count], one where the column is at least `before` before the row. */
static MlirValue triangle(importer *im, hct_dtype dtype, int64_t count, int64_t before) {
  int64_t dims[] = {count, count};
  host_tensor t = host_create(im->arena, dtype, 2, dims);
  for (int64_t n = 0; n < count * count; n++) host_set(&t, n, n % count + before <= n / count);
  return build_known(im, t);
}

static MlirValue decays_between(importer *im, const recurrence *r, const chunk *c) {
  hct_shape g = shape_of(c->sums);
  int64_t rows[] = {r->batch, r->heads, c->count, 1, g.dims[3]}, columns[] = {r->batch, r->heads, 1, c->count, g.dims[3]}, seen[] = {c->count, c->count, 1};
  MlirValue across = build_reshape(im, c->sums, 5, columns), apart = build_map2(im, "sub", build_reshape(im, c->sums, 5, rows), across);
  MlirValue mask = build_reshape(im, triangle(im, HCT_BOOL, c->count, 0), 3, seen);
  return build_map1(im, "exp", build_select(im, mask, apart, build_scalar(im, HCT_F32, -INFINITY)), HCT_F32);
}

/* (q_t . exp(G_t - G_s) k_s), 0 where s > t: [batch, heads, group, count, count], of q [batch, heads, group, count, key]. */
static MlirValue products_within(importer *im, const recurrence *r, const chunk *c, MlirValue q) {
  bool by_key = !mlirValueIsNull(c->between) && shape_of(c->between).dims[4] != 1;
  int64_t square[] = {r->batch, r->heads, 1, c->count, c->count}, keys[] = {r->batch, r->heads, 1, c->count, r->key};
  if (by_key) return build_contract(im, "bhgtk", "bhtsk", "bhgts", q, build_map2(im, "mul", c->between, build_reshape(im, c->k, 5, keys)));
  MlirValue products = build_contract(im, "bhgtk", "bhsk", "bhgts", q, c->k);
  if (c->count == 1) return products;
  return build_map2(im, "mul", products, r->gated ? build_reshape(im, c->between, 5, square) : triangle(im, HCT_F32, c->count, 0));
}

/* The u of (I + A) u = r for A [batch, heads, n, n] that is 0 but below its diagonal, r [batch, heads, n, value]. Of a block, A^4 is 0, and so
 * u = (I + A^2)(I - A) r, whose terms stay small; larger blocks would lose digits to the powers of A. */
static MlirValue solve(importer *im, MlirValue a, MlirValue r) {
  int64_t n = shape_of(r).dims[2];
  if (n == 1) return r;
  if (n <= BLOCK) {
    MlirValue u = build_map2(im, "sub", r, build_contract(im, "bhts", "bhsv", "bhtv", a, r));
    return n == 2 ? u : build_map2(im, "add", u, build_contract(im, "bhts", "bhsv", "bhtv", build_contract(im, "bhts", "bhsr", "bhtr", a, a), u));
  }
  int64_t half = (n / 2 + BLOCK - 1) / BLOCK * BLOCK;
  MlirValue upper = build_part(im, a, 2, 0, 1, half), lower = build_part(im, a, 2, half, 1, n - half);
  MlirValue right = build_part(im, r, 2, 0, 1, half), first = solve(im, build_part(im, upper, 3, 0, 1, half), right);
  MlirValue seen = build_contract(im, "bhts", "bhsv", "bhtv", build_part(im, lower, 3, 0, 1, half), first);
  MlirValue rest = build_map2(im, "sub", build_part(im, r, 2, half, 1, n - half), seen), parts[] = {first, solve(im, build_part(im, lower, 3, half, 1, n - half), rest)};
  return build_concat(im, 2, 2, parts);
}

static MlirValue updates(importer *im, const recurrence *r, const chunk *c, MlirValue v, MlirValue beta) {
  if (!r->delta) return v;
  MlirValue keys = r->gated ? build_map2(im, "mul", c->k, c->decay) : c->k;
  if (!mlirValueIsNull(r->state)) v = build_map2(im, "sub", v, build_contract(im, "bhsk", "bhkv", "bhsv", keys, r->state));
  v = build_map2(im, "mul", beta, v);
  if (c->count == 1) return v;
  int64_t own[] = {r->batch, r->heads, 1, c->count, r->key}, square[] = {r->batch, r->heads, c->count, c->count};
  MlirValue among = build_reshape(im, products_within(im, r, c, build_reshape(im, c->k, 5, own)), 4, square);
  return solve(im, build_map2(im, "mul", beta, build_map2(im, "mul", among, triangle(im, HCT_F32, c->count, 1))), v);
}

static void state_update(importer *im, recurrence *r, const chunk *c) {
  MlirValue keys = c->k;
  if (r->gated) {
    MlirValue last = build_part(im, c->sums, 2, c->count - 1, 1, 1);
    if (c->count > 1) keys = build_map2(im, "mul", keys, build_map1(im, "exp", build_map2(im, "sub", last, c->sums), HCT_F32));
    int64_t dims[] = {r->batch, r->heads, shape_of(last).dims[3], 1};
    if (!mlirValueIsNull(r->state)) r->state = build_map2(im, "mul", r->state, build_map1(im, "exp", build_reshape(im, last, 4, dims), HCT_F32));
  }
  MlirValue added = build_contract(im, "bhsk", "bhsv", "bhkv", keys, c->u);
  r->state = mlirValueIsNull(r->state) ? added : build_map2(im, "add", r->state, added);
}

/* What its queries read, [batch, heads, group, count, value]; the state goes on. */
static MlirValue chunk_build(importer *im, recurrence *r, int64_t first, int64_t count) {
  MlirValue q = build_part(im, r->q, 3, first, 1, count), k = build_part(im, r->k, 2, first, 1, count);
  chunk c = {.count = count, .q = q, .k = k};
  if (r->gated) {
    c.sums = build_part(im, r->g, 2, first, 1, count);
    if (count > 1) c.sums = build_contract(im, "ts", "bhsk", "bhtk", triangle(im, HCT_F32, count, 0), c.sums);
    c.decay = build_map1(im, "exp", c.sums, HCT_F32);
    if (count > 1) c.between = decays_between(im, r, &c);
    int64_t dims[] = {r->batch, r->heads, 1, count, shape_of(c.decay).dims[3]};
    q = build_map2(im, "mul", q, build_reshape(im, c.decay, 5, dims));
  }
  MlirValue beta = r->delta ? build_part(im, r->beta, 2, first, 1, count) : (MlirValue){0};
  c.u = updates(im, r, &c, build_part(im, r->v, 2, first, 1, count), beta);
  MlirValue read = build_contract(im, "bhgts", "bhsv", "bhgtv", products_within(im, r, &c, c.q), c.u);
  if (!mlirValueIsNull(r->state)) read = build_map2(im, "add", read, build_contract(im, "bhgtk", "bhkv", "bhgtv", q, r->state));
  state_update(im, r, &c);
  return read;
}

hct_status import_linear_attention(importer *im) {
  recurrence r = {0};
  HCT_TRY(recurrence_read(im, &r));
  bool by_key = r.gated && shape_of(r.g).dims[3] != 1;
  int64_t each = r.delta ? CHUNK_DELTA : by_key ? CHUNK_BY_KEY : CHUNK, chunks = (r.tokens + each - 1) / each;
  if (!chunks) return import_refuse(im, HCT_E_ONNX_SHAPE, "no tokens");
  HCT_TRY(import_count_nodes(im, chunks, NODES_A_CHUNK));
  MlirValue *parts = HCT_NEW_ARRAY(im->arena, MlirValue, (size_t)chunks);
  for (int64_t c = 0; c < chunks; c++) parts[c] = chunk_build(im, &r, c * each, r.tokens - c * each < each ? r.tokens - c * each : each);
  static const int64_t perm[] = {0, 3, 1, 2, 4};
  int64_t dims[] = {r.batch, r.tokens, r.heads * r.group * r.value};
  MlirValue read = build_reshape(im, build_transpose(im, build_concat(im, 3, (size_t)chunks, parts), perm), 3, dims);
  hct_dtype dtype = import_input(im, 0)->shape.dtype;
  HCT_TRY(import_output_value(im, 1, build_cast(im, r.state, import_input(im, 3) ? import_input(im, 3)->shape.dtype : dtype)));
  return import_output_value(im, 0, build_cast(im, read, dtype));
}
