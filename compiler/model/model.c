/* Writes ONNX of well-known architectures at any size, in training form: inputs ids, labels [batch, sequence]; outputs loss, logits. */
#include "compiler/model/model.h"

#include <getopt.h>
#include <math.h>
#include <onnx.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/support/support.h"

typedef enum family { GPT, LLAMA, BERT, BLOOM } family;
typedef struct architecture {
  const char *name;
  family family;
  int64_t layers, hidden, ffn, heads, kv, vocab, seq, batch;
} architecture;

static const architecture architectures[] = {
#define HCT_MODEL(name, family, layers, hidden, ffn, heads, kv, vocab, seq) {name, family, layers, hidden, ffn, heads, kv, vocab, seq, 8},
#include "compiler/model/models.def"
#undef HCT_MODEL
};

typedef struct writer {
  hct_arena *arena;
  architecture a;
  uint64_t random;
  struct { Onnx__NodeProto **items; size_t count, capacity; } nodes;
  struct { Onnx__TensorProto **items; size_t count, capacity; } weights;
  const char *prefix;
  size_t made;
  const char *external; /* the file that parameters' data would be in, beside the model; NULL: they are in the model */
  int64_t external_bytes;
} writer;

/* ---- parts of a graph ---- */
static const char *name_in(writer *w, const char *name) { return w->prefix[0] ? hct_arena_printf(w->arena, "%s.%s", w->prefix, name) : name; }

static Onnx__NodeProto *node(writer *w, const char *type, size_t inputs, const char *const *names, size_t outputs) {
  Onnx__NodeProto *n = HCT_NEW(w->arena, Onnx__NodeProto);
  onnx__node_proto__init(n);
  n->op_type = hct_arena_strdup(w->arena, type);
  n->name = hct_arena_printf(w->arena, "/%s/%s_%zu", w->prefix, type, w->made++);
  n->n_input = inputs;
  n->input = HCT_NEW_ARRAY(w->arena, char *, inputs + 1);
  for (size_t i = 0; i < inputs; i++) n->input[i] = (char *)(uintptr_t)names[i];
  n->n_output = outputs;
  n->output = HCT_NEW_ARRAY(w->arena, char *, outputs + 1);
  for (size_t i = 0; i < outputs; i++) n->output[i] = hct_arena_printf(w->arena, "%s_out%zu", n->name, i);
  HCT_PUSH(w->arena, &w->nodes, n);
  return n;
}

static Onnx__AttributeProto *attribute(writer *w, Onnx__NodeProto *n, const char *name) {
  Onnx__AttributeProto *a = HCT_NEW(w->arena, Onnx__AttributeProto), **all = HCT_NEW_ARRAY(w->arena, Onnx__AttributeProto *, n->n_attribute + 1);
  onnx__attribute_proto__init(a);
  a->name = hct_arena_strdup(w->arena, name);
  if (n->n_attribute) memcpy(all, n->attribute, n->n_attribute * sizeof *all);
  all[n->n_attribute++] = a;
  n->attribute = all;
  a->has_type = 1;
  return a;
}

static void set_int(writer *w, Onnx__NodeProto *n, const char *name, int64_t value) {
  Onnx__AttributeProto *a = attribute(w, n, name);
  a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
  a->has_i = 1;
  a->i = value;
}

static void set_ints(writer *w, Onnx__NodeProto *n, const char *name, size_t count, const int64_t *values) {
  Onnx__AttributeProto *a = attribute(w, n, name);
  a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
  a->n_ints = count;
  a->ints = HCT_NEW_ARRAY(w->arena, int64_t, count);
  memcpy(a->ints, values, count * sizeof *values);
}

static const char *op1(writer *w, const char *type, const char *a) { return node(w, type, 1, &a, 1)->output[0]; }
static const char *op2(writer *w, const char *type, const char *a, const char *b) { return node(w, type, 2, (const char *const[]){a, b}, 1)->output[0]; }

static Onnx__TensorProto *tensor(writer *w, const char *name, int type, size_t rank, const int64_t *dims, const void *data, size_t bytes) {
  Onnx__TensorProto *t = HCT_NEW(w->arena, Onnx__TensorProto);
  onnx__tensor_proto__init(t);
  t->name = hct_arena_strdup(w->arena, name);
  t->has_data_type = 1;
  t->data_type = type;
  t->n_dims = rank;
  t->dims = HCT_NEW_ARRAY(w->arena, int64_t, rank + 1);
  for (size_t d = 0; d < rank; d++) t->dims[d] = dims[d];
  t->has_raw_data = 1;
  t->raw_data.len = bytes;
  t->raw_data.data = (uint8_t *)(uintptr_t)data;
  return t;
}

static const char *constant(writer *w, int type, size_t rank, const int64_t *dims, const void *data, size_t bytes) {
  Onnx__NodeProto *n = node(w, "Constant", 0, NULL, 1);
  Onnx__AttributeProto *a = attribute(w, n, "value");
  a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
  a->t = tensor(w, "value", type, rank, dims, data, bytes);
  return n->output[0];
}

static const char *scalar(writer *w, double value) {
  float *data = HCT_NEW(w->arena, float);
  *data = (float)value;
  return constant(w, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL, data, sizeof *data);
}

static const char *ints(writer *w, size_t count, const int64_t *values) {
  int64_t *data = HCT_NEW_ARRAY(w->arena, int64_t, count), dims[] = {(int64_t)count};
  memcpy(data, values, count * sizeof *values);
  return constant(w, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, dims, data, count * sizeof *data);
}

/* Normal numbers of the given deviation around `mean` (splitmix64, sum of twelve uniforms). */
static float normal(writer *w, double mean, double deviation) {
  double sum = -6;
  for (int i = 0; i < 12 && deviation > 0; i++) {
    uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    sum += (double)((z ^ z >> 31) >> 11) * 0x1p-53;
  }
  return (float)(deviation > 0 ? mean + deviation * sum : mean);
}

static Onnx__StringStringEntryProto *external_entry(writer *w, const char *key, const char *value) {
  Onnx__StringStringEntryProto *entry = HCT_NEW(w->arena, Onnx__StringStringEntryProto);
  onnx__string_string_entry_proto__init(entry);
  entry->key = hct_arena_strdup(w->arena, key);
  entry->value = hct_arena_strdup(w->arena, value);
  return entry;
}

/* Data that is in no file: each tensor at a page of its own, as ONNX wants it for mapping. */
static void weight_absent(writer *w, Onnx__TensorProto *t, int64_t bytes) {
  enum { PAGE = 4096 };
  t->has_raw_data = 0;
  t->has_data_location = 1;
  t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  t->n_external_data = 3;
  t->external_data = HCT_NEW_ARRAY(w->arena, Onnx__StringStringEntryProto *, t->n_external_data);
  t->external_data[0] = external_entry(w, "location", w->external);
  t->external_data[1] = external_entry(w, "offset", hct_arena_printf(w->arena, "%lld", (long long)w->external_bytes));
  t->external_data[2] = external_entry(w, "length", hct_arena_printf(w->arena, "%lld", (long long)bytes));
  w->external_bytes += (bytes + PAGE - 1) / PAGE * PAGE;
}

static const char *weight(writer *w, const char *name, size_t rank, const int64_t *dims, double mean, double deviation) {
  const char *full = name_in(w, name);
  size_t count = 1;
  for (size_t d = 0; d < rank; d++) count *= (size_t)dims[d];
  float *data = w->external ? NULL : HCT_NEW_ARRAY(w->arena, float, count);
  for (size_t i = 0; data && i < count; i++) data[i] = normal(w, mean, deviation);
  Onnx__TensorProto *t = tensor(w, full, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims, data, count * sizeof *data);
  if (w->external) weight_absent(w, t, (int64_t)(count * sizeof *data));
  HCT_PUSH(w->arena, &w->weights, t);
  return full;
}

static const char *linear(writer *w, const char *x, const char *name, int64_t in, int64_t out, bool bias) {
  const char *y = op2(w, "MatMul", x, weight(w, hct_arena_printf(w->arena, "%s.weight", name), 2, (const int64_t[]){in, out}, 0, 1 / sqrt((double)in)));
  return bias ? op2(w, "Add", y, weight(w, hct_arena_printf(w->arena, "%s.bias", name), 1, &out, 0, 0)) : y;
}

static const char *transpose(writer *w, const char *x, size_t rank, const int64_t *perm) {
  Onnx__NodeProto *n = node(w, "Transpose", 1, &x, 1);
  set_ints(w, n, "perm", rank, perm);
  return n->output[0];
}

static const char *heads_split(writer *w, const char *x, int64_t heads) {
  const architecture *a = &w->a;
  const char *y = op2(w, "Reshape", x, ints(w, 4, (const int64_t[]){a->batch, a->seq, heads, a->hidden / a->heads}));
  return transpose(w, y, 4, (const int64_t[]){0, 2, 1, 3});
}

/* -inf above the diagonal, made by nodes: its size is that of the sequence squared. */
static const char *causal_mask(writer *w) {
  const int64_t one = 1, shape[] = {w->a.seq, w->a.seq};
  float *fill = HCT_NEW(w->arena, float);
  *fill = -INFINITY;
  const char *dims = ints(w, 2, shape);
  Onnx__NodeProto *n = node(w, "ConstantOfShape", 1, &dims, 1);
  Onnx__AttributeProto *a = attribute(w, n, "value");
  a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
  a->t = tensor(w, "value", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, &one, fill, sizeof *fill);
  int64_t *diagonal = HCT_NEW(w->arena, int64_t);
  *diagonal = 1;
  return op2(w, "Trilu", n->output[0], constant(w, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, diagonal, sizeof *diagonal));
}

/* `biases`: added to the scores, in order. */
static const char *attention(writer *w, const char *q, const char *k, const char *v, size_t bias_count, const char *const *biases) {
  const architecture *a = &w->a;
  const char *z = op2(w, "MatMul", q, transpose(w, k, 4, (const int64_t[]){0, 1, 3, 2}));
  z = op2(w, "Mul", z, scalar(w, 1 / sqrt((double)(a->hidden / a->heads))));
  for (size_t i = 0; i < bias_count; i++) z = op2(w, "Add", z, biases[i]);
  const char *y = transpose(w, op2(w, "MatMul", op1(w, "Softmax", z), v), 4, (const int64_t[]){0, 2, 1, 3});
  return op2(w, "Reshape", y, ints(w, 3, (const int64_t[]){a->batch, a->seq, a->hidden}));
}

/* ---- GPT ---- */
static const char *layer_norm(writer *w, const char *x, const char *name) {
  int64_t h = w->a.hidden;
  const char *gain = weight(w, hct_arena_printf(w->arena, "%s.weight", name), 1, &h, 1, 0), *bias = weight(w, hct_arena_printf(w->arena, "%s.bias", name), 1, &h, 0, 0);
  return node(w, "LayerNormalization", 3, (const char *const[]){x, gain, bias}, 1)->output[0];
}

static const char *gelu_tanh(writer *w, const char *u) {
  const char *cube = op2(w, "Mul", op2(w, "Mul", u, u), u), *inner = op2(w, "Add", u, op2(w, "Mul", cube, scalar(w, 0.044715)));
  const char *t = op1(w, "Tanh", op2(w, "Mul", inner, scalar(w, 0.7978845608028654)));
  const char *gate = op2(w, "Add", t, scalar(w, 1));
  return op2(w, "Mul", op2(w, "Mul", u, scalar(w, 0.5)), gate);
}

static const char *gpt_block(writer *w, const char *x, const char *mask) {
  const architecture *a = &w->a;
  const char *qkv = linear(w, layer_norm(w, x, "ln_1"), "attn.qkv", a->hidden, 3 * a->hidden, true);
  Onnx__NodeProto *split = node(w, "Split", 2, (const char *const[]){qkv, ints(w, 3, (const int64_t[]){a->hidden, a->hidden, a->hidden})}, 3);
  set_int(w, split, "axis", 2);
  const char *v = heads_split(w, split->output[2], a->heads), *k = heads_split(w, split->output[1], a->heads), *y = attention(w, heads_split(w, split->output[0], a->heads), k, v, 1, &mask);
  x = op2(w, "Add", x, linear(w, y, "attn.proj", a->hidden, a->hidden, true));
  y = gelu_tanh(w, linear(w, layer_norm(w, x, "ln_2"), "mlp.fc", a->hidden, a->ffn, true));
  return op2(w, "Add", x, linear(w, y, "mlp.proj", a->ffn, a->hidden, true));
}

/* ---- Llama ---- */
static const char *rms_norm(writer *w, const char *x, const char *name) {
  Onnx__NodeProto *mean = node(w, "ReduceMean", 1, (const char *const[]){op2(w, "Mul", x, x)}, 1);
  set_ints(w, mean, "axes", 1, (const int64_t[]){-1});
  const char *root = op1(w, "Sqrt", op2(w, "Add", mean->output[0], scalar(w, 1e-5)));
  const char *normal = op2(w, "Div", x, root);
  int64_t h = w->a.hidden;
  return op2(w, "Mul", weight(w, hct_arena_printf(w->arena, "%s.weight", name), 1, &h, 1, 0), normal);
}

static const char *rope_table(writer *w, bool sine) {
  int64_t width = w->a.hidden / w->a.heads, dims[] = {w->a.seq, width};
  float *data = HCT_NEW_ARRAY(w->arena, float, (size_t)(w->a.seq * width));
  for (int64_t s = 0; s < w->a.seq; s++)
    for (int64_t d = 0; d < width; d++) {
      double angle = (double)s / pow(10000, 2.0 * (double)(d % (width / 2)) / (double)width);
      data[s * width + d] = (float)(sine ? sin(angle) : cos(angle));
    }
  return constant(w, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 2, dims, data, (size_t)(w->a.seq * width) * sizeof *data);
}

static const char *rope(writer *w, const char *x, const char *cosine, const char *sine) {
  int64_t half = w->a.hidden / w->a.heads / 2;
  const char *axis = ints(w, 1, (const int64_t[]){3}), *zero = ints(w, 1, (const int64_t[]){0}), *middle = ints(w, 1, &half), *end = ints(w, 1, (const int64_t[]){2 * half});
  const char *low = node(w, "Slice", 4, (const char *const[]){x, zero, middle, axis}, 1)->output[0], *high = node(w, "Slice", 4, (const char *const[]){x, middle, end, axis}, 1)->output[0];
  Onnx__NodeProto *turned = node(w, "Concat", 2, (const char *const[]){op1(w, "Neg", high), low}, 1);
  set_int(w, turned, "axis", -1);
  const char *across = op2(w, "Mul", turned->output[0], sine);
  return op2(w, "Add", op2(w, "Mul", x, cosine), across);
}

static const char *repeat_heads(writer *w, const char *x) {
  const architecture *a = &w->a;
  int64_t width = a->hidden / a->heads, group = a->heads / a->kv;
  if (group == 1) return x;
  x = op2(w, "Unsqueeze", x, ints(w, 1, (const int64_t[]){2}));
  x = op2(w, "Expand", x, ints(w, 5, (const int64_t[]){a->batch, a->kv, group, a->seq, width}));
  return op2(w, "Reshape", x, ints(w, 4, (const int64_t[]){a->batch, a->heads, a->seq, width}));
}

static const char *llama_block(writer *w, const char *x, const char *mask, const char *cosine, const char *sine) {
  const architecture *a = &w->a;
  int64_t kv = a->hidden / a->heads * a->kv;
  const char *y = rms_norm(w, x, "input_norm");
  const char *q = heads_split(w, linear(w, y, "q", a->hidden, a->hidden, false), a->heads), *k = heads_split(w, linear(w, y, "k", a->hidden, kv, false), a->kv);
  const char *v = heads_split(w, linear(w, y, "v", a->hidden, kv, false), a->kv);
  v = repeat_heads(w, v), k = repeat_heads(w, rope(w, k, cosine, sine)), y = attention(w, rope(w, q, cosine, sine), k, v, 1, &mask);
  x = op2(w, "Add", x, linear(w, y, "o", a->hidden, a->hidden, false));
  y = rms_norm(w, x, "post_norm");
  const char *gate = linear(w, y, "gate", a->hidden, a->ffn, false), *up = linear(w, y, "up", a->hidden, a->ffn, false);
  y = op2(w, "Mul", op2(w, "Mul", gate, op1(w, "Sigmoid", gate)), up);
  return op2(w, "Add", x, linear(w, y, "down", a->ffn, a->hidden, false));
}

/* ---- BERT: norms after the sums, attention to both sides, a head that shares the embedding ---- */
static const char *gelu_erf(writer *w, const char *u) {
  const char *one = scalar(w, 1), *e = op2(w, "Add", op1(w, "Erf", op2(w, "Div", u, scalar(w, sqrt(2)))), one), *half = scalar(w, 0.5);
  return op2(w, "Mul", op2(w, "Mul", u, e), half);
}

static const char *bert_block(writer *w, const char *x) {
  const architecture *a = &w->a;
  const char *parts[3];
  for (size_t i = 0; i < HCT_COUNT(parts); i++) parts[i] = heads_split(w, linear(w, x, (const char *const[]){"attn.q", "attn.k", "attn.v"}[i], a->hidden, a->hidden, true), a->heads);
  const char *y = attention(w, parts[0], parts[1], parts[2], 0, NULL);
  x = layer_norm(w, op2(w, "Add", linear(w, y, "attn.out", a->hidden, a->hidden, true), x), "attn.norm");
  y = gelu_erf(w, linear(w, x, "mlp.fc", a->hidden, a->ffn, true));
  return layer_norm(w, op2(w, "Add", linear(w, y, "mlp.out", a->ffn, a->hidden, true), x), "mlp.norm");
}

/* ---- Bloom: biases that fall with the distance (ALiBi) for positions, q, k and v side by side in each head ---- */
static double alibi_slope(int64_t head, int64_t heads) {
  int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  return head < power ? pow(2, -8.0 * (double)(head + 1) / (double)power) : pow(2, -4.0 * (double)(2 * (head - power) + 1) / (double)power);
}

/* Of key j: slope times j, which in a softmax is slope times (j - i). */
static const char *alibi(writer *w) {
  int64_t heads = w->a.heads, seq = w->a.seq, dims[] = {1, heads, 1, seq};
  float *data = HCT_NEW_ARRAY(w->arena, float, (size_t)(heads * seq));
  for (int64_t h = 0; h < heads; h++)
    for (int64_t j = 0; j < seq; j++) data[h * seq + j] = (float)(alibi_slope(h, heads) * (double)j);
  return constant(w, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 4, dims, data, (size_t)(heads * seq) * sizeof *data);
}

static const char *bloom_block(writer *w, const char *x, const char *const biases[2]) {
  const architecture *a = &w->a;
  int64_t width = a->hidden / a->heads;
  const char *qkv = linear(w, layer_norm(w, x, "input_norm"), "attn.qkv", a->hidden, 3 * a->hidden, true);
  qkv = op2(w, "Reshape", qkv, ints(w, 4, (const int64_t[]){a->batch, a->seq, a->heads, 3 * width}));
  Onnx__NodeProto *split = node(w, "Split", 2, (const char *const[]){qkv, ints(w, 3, (const int64_t[]){width, width, width})}, 3);
  set_int(w, split, "axis", 3);
  const char *parts[3];
  for (size_t i = 0; i < HCT_COUNT(parts); i++) parts[i] = transpose(w, split->output[i], 4, (const int64_t[]){0, 2, 1, 3});
  x = op2(w, "Add", x, linear(w, attention(w, parts[0], parts[1], parts[2], 2, biases), "attn.out", a->hidden, a->hidden, true));
  const char *y = gelu_tanh(w, linear(w, layer_norm(w, x, "post_norm"), "mlp.fc", a->hidden, a->ffn, true));
  return op2(w, "Add", x, linear(w, y, "mlp.out", a->ffn, a->hidden, true));
}

/* ---- the model ---- */
static Onnx__ValueInfoProto *value_info(writer *w, const char *name, int type, size_t rank, const int64_t *dims) {
  Onnx__ValueInfoProto *info = HCT_NEW(w->arena, Onnx__ValueInfoProto);
  onnx__value_info_proto__init(info);
  info->name = hct_arena_strdup(w->arena, name);
  info->type = HCT_NEW(w->arena, Onnx__TypeProto);
  onnx__type_proto__init(info->type);
  info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  Onnx__TypeProto__Tensor *tensor_type = info->type->tensor_type = HCT_NEW(w->arena, Onnx__TypeProto__Tensor);
  onnx__type_proto__tensor__init(tensor_type);
  tensor_type->has_elem_type = 1;
  tensor_type->elem_type = type;
  tensor_type->shape = HCT_NEW(w->arena, Onnx__TensorShapeProto);
  onnx__tensor_shape_proto__init(tensor_type->shape);
  tensor_type->shape->n_dim = rank;
  tensor_type->shape->dim = HCT_NEW_ARRAY(w->arena, Onnx__TensorShapeProto__Dimension *, rank + 1);
  for (size_t d = 0; d < rank; d++) {
    Onnx__TensorShapeProto__Dimension *dim = tensor_type->shape->dim[d] = HCT_NEW(w->arena, Onnx__TensorShapeProto__Dimension);
    onnx__tensor_shape_proto__dimension__init(dim);
    dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    dim->dim_value = dims[d];
  }
  return info;
}

static const char *positions(writer *w) {
  const architecture *a = &w->a;
  int64_t *numbers = HCT_NEW_ARRAY(w->arena, int64_t, (size_t)a->seq);
  for (int64_t s = 0; s < a->seq; s++) numbers[s] = s;
  const char *at = ints(w, (size_t)a->seq, numbers);
  return op2(w, "Gather", weight(w, "position.weight", 2, (const int64_t[]){a->seq, a->hidden}, 0, 0.02), at);
}

static const char *embed(writer *w, const char *table) {
  const architecture *a = &w->a;
  const char *x = op2(w, "Gather", table, "ids");
  if (a->family == GPT || a->family == BERT) x = op2(w, "Add", x, positions(w));
  if (a->family == BERT) { /* one segment: all tokens are of type 0 */
    const char *type = ints(w, 1, (const int64_t[]){0});
    x = op2(w, "Add", x, op2(w, "Gather", weight(w, "type.weight", 2, (const int64_t[]){2, a->hidden}, 0, 0.02), type));
  }
  return a->family == BERT || a->family == BLOOM ? layer_norm(w, x, "embed_norm") : x;
}

static const char *blocks(writer *w, const char *x) {
  const architecture *a = &w->a;
  const char *cosine = a->family == LLAMA ? rope_table(w, false) : NULL, *sine = a->family == LLAMA ? rope_table(w, true) : NULL;
  const char *slopes = a->family == BLOOM ? alibi(w) : NULL, *mask = a->family == BERT ? NULL : causal_mask(w), *biases[] = {slopes, mask};
  for (int64_t layer = 0; layer < a->layers; layer++) {
    w->prefix = hct_arena_printf(w->arena, "layers.%lld", (long long)layer);
    switch (a->family) {
      case GPT: x = gpt_block(w, x, biases[1]); break;
      case LLAMA: x = llama_block(w, x, biases[1], cosine, sine); break;
      case BERT: x = bert_block(w, x); break;
      case BLOOM: x = bloom_block(w, x, biases); break;
    }
  }
  w->prefix = "";
  return x;
}

/* The last node gives the logits. */
static void head(writer *w, const char *x, const char *table) {
  const architecture *a = &w->a;
  if (a->family == BERT) x = layer_norm(w, gelu_erf(w, linear(w, x, "head.dense", a->hidden, a->hidden, true)), "head.norm");
  else x = a->family == LLAMA ? rms_norm(w, x, "norm") : layer_norm(w, x, "norm");
  if (a->family == GPT || a->family == LLAMA) x = linear(w, x, "head", a->hidden, a->vocab, false);
  else x = op2(w, "MatMul", x, transpose(w, table, 2, (const int64_t[]){1, 0}));
  if (a->family == BERT) op2(w, "Add", x, weight(w, "head.bias", 1, &a->vocab, 0, 0));
  w->nodes.items[w->nodes.count - 1]->output[0] = hct_arena_strdup(w->arena, "logits");
}

static void body(writer *w) {
  const architecture *a = &w->a;
  const char *table = weight(w, "embed.weight", 2, (const int64_t[]){a->vocab, a->hidden}, 0, 0.1);
  head(w, blocks(w, embed(w, table)), table);
  const char *flat = op2(w, "Reshape", "logits", ints(w, 2, (const int64_t[]){a->batch * a->seq, a->vocab})), *labels = op2(w, "Reshape", "labels", ints(w, 1, (const int64_t[]){a->batch * a->seq}));
  Onnx__NodeProto *loss = node(w, "SoftmaxCrossEntropyLoss", 2, (const char *const[]){flat, labels}, 1);
  loss->output[0] = hct_arena_strdup(w->arena, "loss");
  set_int(w, loss, "ignore_index", -100);
}

static hct_status model_write(hct_diags *diags, writer *w, const char *path) {
  const architecture *a = &w->a;
  const int64_t tokens[] = {a->batch, a->seq}, classes[] = {a->batch, a->seq, a->vocab};
  body(w);
  Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
  Onnx__ValueInfoProto *inputs[] = {value_info(w, "ids", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 2, tokens), value_info(w, "labels", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 2, tokens)};
  Onnx__ValueInfoProto *outputs[] = {value_info(w, "loss", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL), value_info(w, "logits", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 3, classes)};
  graph.name = hct_arena_strdup(w->arena, a->name);
  graph.n_node = w->nodes.count, graph.node = w->nodes.items;
  graph.n_initializer = w->weights.count, graph.initializer = w->weights.items;
  graph.n_input = graph.n_output = 2, graph.input = inputs, graph.output = outputs;
  Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
  opset.has_version = 1, opset.version = 17, opset.domain = (char *)(uintptr_t)"";
  Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
  model.has_ir_version = 1, model.ir_version = 8, model.producer_name = (char *)(uintptr_t)"hecaton-model", model.graph = &graph;
  model.n_opset_import = 1, model.opset_import = opsets;
  size_t bytes = onnx__model_proto__get_packed_size(&model);
  if (bytes > INT32_MAX) return hct_error(diags, HCT_E_OPTION, (hct_loc){.file = path}, "the model would have %zu bytes; ONNX allows %d", bytes, INT32_MAX);
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  uint8_t *data = malloc(bytes);
  HCT_BUG_ON(!data, "out of memory for %zu bytes", bytes);
  onnx__model_proto__pack(&model, data);
  fwrite(data, 1, bytes, hct_output_stream(output));
  free(data);
  return hct_output_commit(diags, output);
}

/* About how many; false when their bytes are beyond counting. */
static bool parameters_estimate(const architecture *a, int64_t *out_parameters) {
  int64_t block = 4 * a->hidden * a->hidden + 3 * a->hidden * a->ffn, bytes, all; /* sizes are at most a million */
  if (!hct_mul_i64(a->layers, block, &all) || !hct_add_i64(all, 2 * a->vocab * a->hidden, &all) || !hct_mul_i64(all, 8, &bytes)) return false;
  *out_parameters = all;
  return true;
}

static hct_status check(hct_diags *diags, const architecture *a, bool weights) {
  const struct { const char *what; int64_t value, divisor; const char *by; } rules[] = {{"--hidden", a->hidden, a->heads, "--heads"}, {"--heads", a->heads, a->kv, "--kv-heads"}};
  for (size_t i = 0; i < HCT_COUNT(rules); i++)
    if (rules[i].value % rules[i].divisor) return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "%s %lld is no multiple of %s %lld", rules[i].what, (long long)rules[i].value, rules[i].by, (long long)rules[i].divisor);
  const int64_t table = a->family == LLAMA ? a->seq * (a->hidden / a->heads) : a->family == BLOOM ? a->seq * a->heads : a->seq;
  int64_t parameters;
  if (table > INT64_C(100000000)) return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "--seq %lld: a table of positions would have %lld elements", (long long)a->seq, (long long)table);
  if (!parameters_estimate(a, &parameters)) return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "the parameters would have more than %lld bytes", (long long)INT64_MAX);
  if (weights && parameters > INT64_C(400000000)) {
    hct_error(diags, HCT_E_UNSUPPORTED, (hct_loc){0}, "about %lld parameters with weights would need external data, which hecaton-model does not write yet", (long long)parameters);
    hct_hint(diags, "--no-weights, or make it smaller: --layers, --hidden, --ffn, --vocab");
    return HCT_REFUSED;
  }
  return HCT_OK;
}

/* The file that parameters' data would be in must not be there: they would be taken from it. */
static hct_status weights_absent(hct_diags *diags, writer *w, const char *path) {
  const char *data = hct_arena_printf(w->arena, "%s.data", path), *slash = strrchr(data, '/');
  w->external = slash ? slash + 1 : data;
  if (access(data, F_OK)) return HCT_OK;
  hct_error(diags, HCT_E_IO, (hct_loc){.file = data}, "--no-weights names this file, which must not be there");
  hct_hint(diags, "remove it, or give the model another name");
  return HCT_REFUSED;
}

int hct_model_main(int argc, char **argv) {
  static const char *const names[] = {"layers", "hidden", "heads", "kv-heads", "ffn", "vocab", "seq", "batch", "seed"};
  struct option table[HCT_COUNT(names) + 4] = {0};
  int64_t values[HCT_COUNT(names)];
  for (size_t i = 0; i < HCT_COUNT(names); i++) table[i] = (struct option){names[i], required_argument, NULL, (int)(256 + i)}, values[i] = -1;
  table[HCT_COUNT(names)] = (struct option){"help", no_argument, NULL, 'h'};
  table[HCT_COUNT(names) + 1] = (struct option){"version", no_argument, NULL, 'V'};
  table[HCT_COUNT(names) + 2] = (struct option){"no-weights", no_argument, NULL, 'n'};
  hct_diags *diags = hct_diags_create(stderr);
  const char *output = NULL;
  bool weights = true;
  for (int code; (code = getopt_long(argc, argv, "o:", table, NULL)) != -1;) {
    if (code == 'h') {
      printf("usage: hecaton-model NAME -o MODEL.onnx [--layers --hidden --heads --kv-heads --ffn --vocab --seq --batch --seed=N] [--no-weights]\n\nWrites an ONNX training model: inputs ids, labels; outputs loss, logits. With --no-weights, parameters are\nexternal data in a file that is not there: the model compiles, and can be timed.\n\nnames:");
      for (size_t i = 0; i < HCT_COUNT(architectures); i++) printf(" %s", architectures[i].name);
      printf("\n");
      return 0;
    }
    if (code == 'V') return printf("hecaton-model %s\n", HCT_VERSION), 0;
    if (code == 'n') weights = false;
    else if (code == 'o') output = optarg;
    else if (code == '?') return 2;
    else if (!hct_parse_i64(optarg, &values[code - 256]) || values[code - 256] < (code - 256 == 8 ? 0 : 1) || values[code - 256] > 1000000)
      return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "--%s=%s: it must be a whole number of at least 1", names[code - 256], optarg), 1;
  }
  if (optind + 1 != argc || !output) return fprintf(stderr, "usage: hecaton-model NAME -o MODEL.onnx [options]; --help lists them\n"), 2;
  writer w = {.arena = hct_arena_create(), .prefix = ""};
  for (size_t i = 0; i < HCT_COUNT(architectures); i++)
    if (!strcmp(architectures[i].name, argv[optind])) w.a = architectures[i];
  if (!w.a.name) return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "'%s' is no architecture; --help lists them", argv[optind]), 1;
  int64_t *fields[] = {&w.a.layers, &w.a.hidden, &w.a.heads, &w.a.kv, &w.a.ffn, &w.a.vocab, &w.a.seq, &w.a.batch};
  if (values[2] > 0 && values[3] < 0) values[3] = w.a.kv == w.a.heads ? values[2] : values[2] < w.a.kv ? values[2] : w.a.kv;
  if (values[1] > 0 && values[4] < 0 && w.a.family != LLAMA) values[4] = 4 * values[1];
  for (size_t i = 0; i < HCT_COUNT(fields); i++)
    if (values[i] > 0) *fields[i] = values[i];
  w.random = (uint64_t)(values[8] < 0 ? 0 : values[8]);
  hct_status status = check(diags, &w.a, weights);
  if (status == HCT_OK && !weights) status = weights_absent(diags, &w, output);
  if (status == HCT_OK) status = model_write(diags, &w, output);
  hct_arena_destroy(w.arena);
  hct_diags_destroy(diags);
  return status == HCT_OK ? 0 : 1;
}
