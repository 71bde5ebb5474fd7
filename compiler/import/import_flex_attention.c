/* FlexAttention, replaced by the nodes that it is made of, as its graphs that change scores and probabilities are nodes, too:
 * softmax(score_mod(scale Q K^T)), prob_mod of that, times V, all in f32. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct flex {
  const char *own, *scope;
  hct_shape q, k, v; /* [batch, heads, queries or keys, size] */
} flex;

static char *made(importer *im, Onnx__NodeProto *node) {
  import_node_add(im, node);
  return node->output[0];
}

static char *node_add(importer *im, const flex *f, const char *op_type, size_t count, char *const *inputs, char *to) {
  return made(im, import_node_create(im, op_type, f->own, count, inputs, to ? to : import_name_next(im, f->scope)));
}

/* Reshape and Expand. */
static char *dims_add(importer *im, const flex *f, const char *op_type, char *from, size_t rank, const int64_t *dims) {
  int64_t length[] = {(int64_t)rank};
  host_tensor t = host_create(im->arena, HCT_I64, 1, length);
  memcpy(t.i, dims, rank * sizeof *dims);
  char *inputs[] = {from, import_name_known(im, hct_arena_printf(im->arena, "%s.to", import_name_next(im, f->scope)), t)};
  return node_add(im, f, op_type, 2, inputs, NULL);
}

/* Each head of keys or values serves as many query heads, one after another. */
static char *heads_repeat(importer *im, const flex *f, char *from, const hct_shape *s) {
  int64_t times = f->q.dims[1] / s->dims[1];
  int64_t apart[] = {s->dims[0], s->dims[1], 1, s->dims[2], s->dims[3]}, wide[] = {s->dims[0], s->dims[1], times, s->dims[2], s->dims[3]}, joined[] = {s->dims[0], f->q.dims[1], s->dims[2], s->dims[3]};
  if (times == 1) return from;
  return dims_add(im, f, "Reshape", dims_add(im, f, "Expand", dims_add(im, f, "Reshape", from, 5, apart), 5, wide), 4, joined);
}

/* score_mod and prob_mod: a graph of one input and one output, or none. */
static hct_status mod_add(importer *im, const char *attribute, char **value) {
  import_body body;
  if (!import_attribute(im, attribute)) return HCT_OK;
  HCT_TRY(import_body_read(im, attribute, 1, 1, &body));
  HCT_TRY(import_count_nodes(im, 1, body.nodes));
  return import_body_add(im, &body, hct_arena_printf(im->arena, "/%s", attribute), value, value);
}

static hct_status flex_read(importer *im, flex *f) {
  const Onnx__NodeProto *node = im->node;
  const import_value *q = import_input(im, 0), *k = import_input(im, 1), *v = import_input(im, 2);
  hct_dtype precision;
  if (!im->graph) return import_refuse(im, HCT_E_UNSUPPORTED, "a FlexAttention at this level; the importer replaces it by its nodes");
  HCT_TRY(import_floats(im, 3));
  if (!k || !v || q->shape.rank != 4 || k->shape.rank != 4 || v->shape.rank != 4) return import_refuse(im, HCT_E_ONNX_SHAPE, "Q, K and V must be there, [batch, heads, tokens, size] each");
  f->q = q->shape, f->k = k->shape, f->v = v->shape;
  bool fits = f->q.dims[0] == f->k.dims[0] && f->q.dims[3] == f->k.dims[3] && !memcmp(f->k.dims, f->v.dims, 3 * sizeof *f->k.dims) && f->k.dims[1] > 0 && f->q.dims[1] % f->k.dims[1] == 0;
  if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "K and V do not fit Q: %lld query heads of %lld, %lld key heads of %lld", (long long)f->q.dims[1], (long long)f->q.dims[3], (long long)f->k.dims[1], (long long)f->k.dims[3]);
  if (!hct_dtype_from_onnx((int32_t)import_int(im, "softmax_precision", 1), &precision) || !hct_dtype_is_float(precision)) return import_refuse(im, HCT_E_UNSUPPORTED, "softmax_precision %lld; it is computed in f32", (long long)import_int(im, "softmax_precision", 1));
  if (!node->n_output || !node->output[0][0]) return import_refuse(im, HCT_E_ONNX_INVALID, "it has no output");
  f->own = im->sites[im->node_index].name;
  f->scope = hct_arena_printf(im->arena, "%s.%zu", f->own, im->node_index);
  return HCT_OK;
}

hct_status import_flex_attention(importer *im) {
  flex f = {0};
  HCT_TRY(flex_read(im, &f));
  const Onnx__NodeProto *node = im->node;
  static const int64_t perm[] = {0, 1, 3, 2};
  host_tensor scale = host_create(im->arena, HCT_F32, 0, NULL);
  host_set(&scale, 0, import_attribute(im, "scale") ? (double)import_float(im, "scale", 1) : 1 / sqrt((double)f.q.dims[3]));
  char *keys = heads_repeat(im, &f, node->input[1], &f.k), *values = heads_repeat(im, &f, node->input[2], &f.v);
  Onnx__NodeProto *across = import_node_create(im, "Transpose", f.own, 1, &keys, import_name_next(im, f.scope));
  import_node_set_ints(im, across, "perm", 4, perm);
  char *factors[] = {node->input[0], made(im, across)};
  char *product = node_add(im, &f, "MatMul", 2, factors, NULL);
  char *scaled[] = {product, import_name_known(im, hct_arena_printf(im->arena, "%s#scale", f.scope), scale)}, *scores = node_add(im, &f, "Mul", 2, scaled, NULL);
  HCT_TRY(mod_add(im, "score_mod", &scores));
  Onnx__NodeProto *softmax = import_node_create(im, "Softmax", f.own, 1, &scores, import_name_next(im, f.scope));
  import_node_set_int(im, softmax, "axis", 3);
  char *probabilities = made(im, softmax);
  HCT_TRY(mod_add(im, "prob_mod", &probabilities));
  char *products[] = {probabilities, values};
  node_add(im, &f, "MatMul", 2, products, node->output[0]);
  return HCT_OK;
}
