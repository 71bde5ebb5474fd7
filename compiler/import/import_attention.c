/* Attention, rotary embeddings and gated linear units, from the operators that they are made of. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

/* ---- attention ---- */
/* Scores: [batch, query heads, queries, keys], in f32 whatever the operands are. A bias is what is added to them: 0, or -inf where a key is
 * not for a query. */
typedef struct attention {
  MlirValue q, k, v; /* [batch, heads, queries or keys, size] */
  bool flat;         /* given, and the result wanted, as [batch, queries, heads * size] */
  int64_t batch, heads, queries, keys, past;
  MlirValue bias; /* broadcasts to the scores; null: there is none */
  bool masks_rows; /* a query may have no key */
} attention;

static hct_status heads_apart(importer *im, MlirValue *value, const char *which, const char *attribute) {
  hct_shape shape = shape_of(*value);
  int64_t heads = import_int(im, attribute, 0);
  static const int64_t perm[] = {0, 2, 1, 3};
  if (shape.rank == 4) return HCT_OK;
  if (shape.rank != 3 || heads < 1 || shape.dims[2] % heads) return import_refuse(im, HCT_E_ONNX_SHAPE, "%s of rank %zu and %lld heads (%s); rank 4, or rank 3 of so many heads that they divide its last dimension", which, shape.rank, (long long)heads, attribute);
  int64_t dims[] = {shape.dims[0], shape.dims[1], heads, shape.dims[2] / heads};
  *value = build_transpose(im, build_reshape(im, *value, 4, dims), perm);
  return HCT_OK;
}

/* New keys or values after those of before: the present ones, which are also an output. */
static hct_status past_join(importer *im, MlirValue *value, import_value *past, size_t output) {
  if (past) {
    hct_shape now = shape_of(*value), before = past->shape;
    if (before.rank != 4 || before.dims[0] != now.dims[0] || before.dims[1] != now.dims[1] || before.dims[3] != now.dims[3]) return import_refuse(im, HCT_E_ONNX_SHAPE, "past keys or values do not fit the new ones");
    MlirValue parts[] = {build_value(im, past), *value};
    *value = build_concat(im, 2, 2, parts);
  }
  return import_output_value(im, output, *value);
}

/* Each key head serves as many query heads. */
static MlirValue heads_repeat(importer *im, MlirValue value, int64_t times) {
  hct_shape s = shape_of(value);
  if (times == 1) return value;
  int64_t apart[] = {s.dims[0], s.dims[1], 1, s.dims[2], s.dims[3]}, joined[] = {s.dims[0], s.dims[1] * times, s.dims[2], s.dims[3]};
  hct_shape wide = {.dtype = s.dtype, .rank = 5, .dims = {s.dims[0], s.dims[1], times, s.dims[2], s.dims[3]}};
  return build_reshape(im, build_broadcast(im, build_reshape(im, value, 5, apart), &wide), 4, joined);
}

static hct_status operands_read(importer *im, attention *a) {
  import_value *q = import_input(im, 0), *k = import_input(im, 1), *v = import_input(im, 2), *past_key = import_input(im, 4), *past_value = import_input(im, 5);
  if (!k || !v || q->shape.rank != k->shape.rank || q->shape.rank != v->shape.rank || !past_key != !past_value) return import_refuse(im, HCT_E_ONNX_SHAPE, "Q, K and V must be there and of one rank, and past keys have past values");
  a->flat = q->shape.rank == 3;
  a->q = build_value(im, q), a->k = build_value(im, k), a->v = build_value(im, v);
  HCT_TRY(heads_apart(im, &a->q, "Q", "q_num_heads"));
  HCT_TRY(heads_apart(im, &a->k, "K", "kv_num_heads"));
  HCT_TRY(heads_apart(im, &a->v, "V", "kv_num_heads"));
  HCT_TRY(past_join(im, &a->k, past_key, 1));
  HCT_TRY(past_join(im, &a->v, past_value, 2));
  hct_shape qs = shape_of(a->q), ks = shape_of(a->k), vs = shape_of(a->v);
  bool fits = qs.dims[0] == ks.dims[0] && qs.dims[3] == ks.dims[3] && !memcmp(ks.dims, vs.dims, 3 * sizeof *ks.dims) && qs.dims[1] % ks.dims[1] == 0 && qs.dtype == ks.dtype;
  if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "K and V do not fit Q: %lld query heads of %lld, %lld key heads of %lld", (long long)qs.dims[1], (long long)qs.dims[3], (long long)ks.dims[1], (long long)ks.dims[3]);
  a->batch = qs.dims[0], a->heads = qs.dims[1], a->queries = qs.dims[2], a->keys = ks.dims[2];
  a->past = past_key ? past_key->shape.dims[2] : 0;
  a->k = heads_repeat(im, a->k, a->heads / ks.dims[1]);
  a->v = heads_repeat(im, a->v, a->heads / ks.dims[1]);
  return HCT_OK;
}

static void bias_add(importer *im, attention *a, MlirValue bias) { a->bias = mlirValueIsNull(a->bias) ? bias : build_map2(im, "add", a->bias, bias); }

/* 0 where `seen`, elsewhere -inf. */
static MlirValue bias_of(importer *im, MlirValue seen) {
  MlirValue hidden = build_scalar(im, HCT_F32, -INFINITY);
  return build_select(im, seen, build_scalar(im, HCT_F32, 0), hidden);
}

/* Keys that it says nothing of are not seen. */
static hct_status mask_add(importer *im, attention *a, import_value *mask) {
  hct_shape shape = mask->shape, scores = {.rank = 4, .dims = {a->batch, a->heads, a->queries, a->keys}}, with;
  int64_t low[HCT_MAX_RANK] = {0};
  MlirValue bias = build_value(im, mask);
  if (shape.dtype != HCT_BOOL && !hct_dtype_is_float(shape.dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "a mask of %s; bools and floats are supported", hct_dtype_name(shape.dtype));
  if (!shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "a mask of rank 0");
  bias = shape.dtype == HCT_BOOL ? bias_of(im, bias) : build_cast(im, bias, HCT_F32);
  int64_t *columns = &shape.dims[shape.rank - 1];
  if (*columns != 1 && *columns < a->keys) *columns = a->keys;
  bias = build_pad(im, bias, low, shape.dims, -INFINITY);
  if (!broadcast_shape(&scores, &shape, &with) || with.rank != 4 || memcmp(with.dims, scores.dims, 4 * sizeof *with.dims)) return import_refuse(im, HCT_E_ONNX_SHAPE, "the mask does not broadcast to [%lld, %lld, %lld, %lld]", (long long)a->batch, (long long)a->heads, (long long)a->queries, (long long)a->keys);
  a->masks_rows = true;
  bias_add(im, a, bias);
  return HCT_OK;
}

static MlirValue counting(importer *im, size_t rank, const int64_t *dims) {
  host_tensor t = host_create(im->arena, HCT_I64, rank, dims);
  for (int64_t n = 0; n < hct_shape_elements(&t.shape); n++) t.i[n] = n;
  return build_known(im, t);
}

/* Key j is for query i where j <= i + offset: what is past, or by batch the keys that are there before the queries. */
static void causal_add(importer *im, attention *a, MlirValue lengths) {
  if (mlirValueIsNull(lengths)) {
    int64_t dims[] = {a->queries, a->keys};
    host_tensor t = host_create(im->arena, HCT_F32, 2, dims);
    for (int64_t i = 0; i < a->queries; i++)
      for (int64_t j = 0; j < a->keys; j++) t.f[i * a->keys + j] = j <= i + a->past ? 0 : -INFINITY;
    bias_add(im, a, build_known(im, t));
    return;
  }
  int64_t rows[] = {a->queries, 1}, columns[] = {a->keys};
  MlirValue count = counting(im, 2, rows), last = build_map2(im, "add", build_scaled(im, "adds", lengths, -(double)a->queries), count);
  a->masks_rows = true;
  bias_add(im, a, bias_of(im, build_map2(im, "le", counting(im, 1, columns), last)));
}

static hct_status bias_read(importer *im, attention *a) {
  import_value *mask = import_input(im, 3), *lengths = import_input(im, 6);
  MlirValue by_batch = {0};
  if (lengths) {
    if (lengths->shape.rank != 1 || lengths->shape.dims[0] != a->batch || hct_dtype_is_float(lengths->shape.dtype) || a->past) return import_refuse(im, HCT_E_ONNX_SHAPE, "nonpad_kv_seqlen is no vector of %lld integers, or beside past keys", (long long)a->batch);
    int64_t dims[] = {a->batch, 1, 1, 1}, columns[] = {a->keys};
    by_batch = build_reshape(im, build_value(im, lengths), 4, dims);
    if (shape_of(by_batch).dtype != HCT_I64) by_batch = build_cast(im, by_batch, HCT_I64);
    a->masks_rows = true;
    bias_add(im, a, bias_of(im, build_map2(im, "lt", counting(im, 1, columns), by_batch)));
  }
  if (mask) HCT_TRY(mask_add(im, a, mask));
  if (import_int(im, "is_causal", 0)) causal_add(im, a, by_batch);
  return HCT_OK;
}

/* What the scores are at each point where qk_matmul_output_mode may ask for them: products, capped, biased, probabilities. */
static hct_status scores_build(importer *im, attention *a, MlirValue out_scores[4]) {
  double softcap = (double)import_float(im, "softcap", 0), scale = import_attribute(im, "scale") ? (double)import_float(im, "scale", 1) : 1 / sqrt((double)shape_of(a->q).dims[3]);
  MlirValue s = build_scaled(im, "muls", build_contract_as(im, "bhmk", "bhnk", "bhmn", a->q, a->k, HCT_F32), scale), empty = {0};
  out_scores[0] = s;
  if (softcap < 0) return import_refuse(im, HCT_E_ONNX_INVALID, "a softcap of %g", softcap);
  if (softcap > 0) s = build_scaled(im, "muls", build_map1(im, "tanh", build_scaled(im, "muls", s, 1 / softcap), HCT_F32), softcap);
  out_scores[1] = s;
  if (!mlirValueIsNull(a->bias)) s = build_map2(im, "add", s, a->bias);
  out_scores[2] = s;
  if (a->masks_rows) { /* the softmax of such a row has no value: its probabilities are 0 */
    int64_t last[] = {(int64_t)shape_of(a->bias).rank - 1};
    MlirValue lowest = build_scalar(im, HCT_F32, -INFINITY);
    empty = build_map2(im, "eq", build_reduce(im, "max", a->bias, 1, last), lowest);
    s = build_select(im, empty, build_scalar(im, HCT_F32, 0), s);
  }
  MlirValue p = build_softmax(im, s, 3);
  out_scores[3] = a->masks_rows ? build_select(im, empty, build_scalar(im, HCT_F32, 0), p) : p;
  return HCT_OK;
}

hct_status import_attention(importer *im) {
  HCT_TRY(import_floats(im, 3));
  attention a = {0};
  MlirValue scores[4];
  int64_t mode = import_int(im, "qk_matmul_output_mode", 0), precision = import_int(im, "softmax_precision", 1);
  hct_dtype asked;
  if (mode < 0 || mode > 3) return import_refuse(im, HCT_E_ONNX_INVALID, "qk_matmul_output_mode %lld; 0 to 3 are there", (long long)mode);
  if (!hct_dtype_from_onnx((int32_t)precision, &asked) || !hct_dtype_is_float(asked) || import_element(asked)) return import_refuse(im, HCT_E_UNSUPPORTED, "softmax_precision %lld; it is computed in f32", (long long)precision);
  HCT_TRY(operands_read(im, &a));
  HCT_TRY(bias_read(im, &a));
  HCT_TRY(scores_build(im, &a, scores));
  hct_dtype dtype = shape_of(a.q).dtype;
  HCT_TRY(import_output_value(im, 3, build_cast(im, scores[mode], dtype)));
  MlirValue y = build_contract(im, "bhmk", "bhkn", "bhmn", build_cast(im, scores[3], shape_of(a.v).dtype), a.v);
  y = build_cast(im, y, dtype);
  if (a.flat) {
    static const int64_t perm[] = {0, 2, 1, 3};
    int64_t dims[] = {a.batch, a.queries, a.heads * shape_of(a.v).dims[3]};
    y = build_reshape(im, build_transpose(im, y, perm), 3, dims);
  }
  return import_output_value(im, 0, y);
}

/* ---- rotary embeddings ---- */
/* Cosines or sines [batch, sequence, half], of positions where those are given, under a shape that broadcasts to x [batch, ...]. */
static hct_status angles_read(importer *im, size_t input, const hct_shape *x, size_t sequence_dim, int64_t half, MlirValue *out_angles) {
  import_value *cache = import_input(im, input), *positions = import_input(im, 3);
  if (!cache) return import_refuse(im, HCT_E_ONNX_INVALID, "input %zu is missing", input);
  MlirValue angles = build_value(im, cache);
  if (positions) {
    if (cache->shape.rank != 2 || positions->shape.rank != 2) return import_refuse(im, HCT_E_ONNX_SHAPE, "with position_ids [batch, sequence], caches are [positions, half]");
    hct_shape shape = {.dtype = shape_of(angles).dtype, .rank = 3, .dims = {positions->shape.dims[0], positions->shape.dims[1], cache->shape.dims[1]}};
    MlirValue operands[] = {angles, build_value(im, positions)};
    angles = build_op(im, "hct_graph.gather_rows", 2, operands, &shape, 0, NULL);
  }
  hct_shape made = shape_of(angles);
  if (made.rank != 3 || made.dims[0] != x->dims[0] || made.dims[1] != x->dims[sequence_dim] || made.dims[2] != half) return import_refuse(im, HCT_E_ONNX_SHAPE, "input %zu does not give [%lld, %lld, %lld] angles", input, (long long)x->dims[0], (long long)x->dims[sequence_dim], (long long)half);
  int64_t dims[4] = {made.dims[0], 1, 1, half};
  dims[sequence_dim] = made.dims[1];
  *out_angles = build_reshape(im, angles, 4, dims);
  return HCT_OK;
}

static MlirValue rotated(importer *im, MlirValue x, MlirValue cosines, MlirValue sines, int64_t half, bool interleaved) {
  MlirValue a = build_part(im, x, 3, 0, interleaved ? 2 : 1, half), b = build_part(im, x, 3, interleaved ? 1 : half, interleaved ? 2 : 1, half);
  MlirValue b_sine = build_map2(im, "mul", b, sines), first = build_map2(im, "sub", build_map2(im, "mul", a, cosines), b_sine);
  MlirValue b_cosine = build_map2(im, "mul", b, cosines), second = build_map2(im, "add", build_map2(im, "mul", a, sines), b_cosine), parts[] = {first, second};
  if (!interleaved) return build_concat(im, 3, 2, parts);
  hct_shape shape = shape_of(parts[0]), whole = shape_of(x);
  shape.dims[4] = 1;
  for (int k = 0; k < 2; k++) parts[k] = build_reshape(im, parts[k], 5, shape.dims);
  return build_reshape(im, build_concat(im, 4, 2, parts), 4, whole.dims);
}

hct_status import_rotary(importer *im) {
  HCT_TRY(import_floats(im, 3));
  import_value *x = import_input(im, 0);
  bool flat = x->shape.rank == 3, interleaved = import_int(im, "interleaved", 0) != 0;
  int64_t heads = import_int(im, "num_heads", 0), width = import_int(im, "rotary_embedding_dim", 0);
  if (!flat && x->shape.rank != 4) return import_refuse(im, HCT_E_ONNX_SHAPE, "an input of rank %zu; 3 and 4 are supported", x->shape.rank);
  if (flat && (heads < 1 || x->shape.dims[2] % heads)) return import_refuse(im, HCT_E_ONNX_SHAPE, "%lld heads (num_heads) of a width of %lld", (long long)heads, (long long)x->shape.dims[2]);
  MlirValue value = build_value(im, x), cosines, sines;
  int64_t apart[] = {x->shape.dims[0], x->shape.dims[1], heads, flat ? x->shape.dims[2] / heads : 0};
  if (flat) value = build_reshape(im, value, 4, apart); /* [batch, sequence, heads, size]; of rank 4: [batch, heads, sequence, size] */
  hct_shape shape = shape_of(value);
  if (!width) width = shape.dims[3];
  if (width < 2 || width % 2 || width > shape.dims[3]) return import_refuse(im, HCT_E_ONNX_SHAPE, "rotary_embedding_dim %lld of a head of %lld", (long long)width, (long long)shape.dims[3]);
  HCT_TRY(angles_read(im, 1, &shape, flat ? 1 : 2, width / 2, &cosines));
  HCT_TRY(angles_read(im, 2, &shape, flat ? 1 : 2, width / 2, &sines));
  MlirValue parts[] = {rotated(im, build_part(im, value, 3, 0, 1, width), cosines, sines, width / 2, interleaved), value};
  if (width < shape.dims[3]) parts[1] = build_part(im, value, 3, width, 1, shape.dims[3] - width);
  MlirValue y = build_concat(im, 3, width < shape.dims[3] ? 2 : 1, parts);
  return import_output_value(im, 0, build_reshape(im, y, x->shape.rank, x->shape.dims));
}
