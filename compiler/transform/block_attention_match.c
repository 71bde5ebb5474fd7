#include <string.h>

#include "compiler/transform/block_attention.h"

static bool is_elementwise(MlirOperation op) { return hct_op_is(op, "hct_graph.map1") || hct_op_is(op, "hct_graph.map2") || hct_op_is(op, "hct_graph.select") || hct_op_is(op, "hct_graph.dropout"); }

static bool same_dims(MlirValue value, const hct_shape *shape) {
  hct_shape own;
  return hct_value_shape(value, &own) && own.rank == shape->rank && !memcmp(own.dims, shape->dims, shape->rank * sizeof *shape->dims);
}

static bool used_once(MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  return !mlirOpOperandIsNull(use) && mlirOpOperandIsNull(mlirOpOperandGetNextUse(use));
}

/* Which letter stands at each dim of a contraction's operands (0, 1) and result (2). */
typedef struct letters { const char *at[3]; size_t count[3]; } letters;
static letters letters_of(MlirOperation contract) {
  const char *spec = hct_op_str(contract, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  return (letters){{spec, comma + 1, arrow + 2}, {(size_t)(comma - spec), (size_t)(arrow - comma - 1), strlen(arrow + 2)}};
}

static bool letter_in(const letters *l, size_t part, char letter, size_t *out_dim) {
  const char *found = memchr(l->at[part], letter, l->count[part]);
  if (found) *out_dim = (size_t)(found - l->at[part]);
  return found != NULL;
}

static bool match_scores(attention *a, MlirOperation op) {
  letters l = letters_of(op);
  size_t rank = l.count[2], unused;
  char query = l.at[2][rank - 2], key = l.at[2][rank - 1];
  for (size_t q = 0; q < 2; q++) {
    if (!letter_in(&l, q, query, &a->q_dim) || !letter_in(&l, 1 - q, key, &a->k_dim)) continue;
    if (letter_in(&l, 1 - q, query, &unused) || letter_in(&l, q, key, &unused)) return false;
    a->scores = op, a->q = q, a->k = 1 - q;
    return true;
  }
  return false;
}

static bool match_product(attention *a, MlirOperation op, MlirValue probabilities) {
  letters l = letters_of(op);
  a->product = op;
  a->p = mlirValueEqual(hct_op_operand(op, 0), probabilities) ? 0 : 1;
  a->v = 1 - a->p;
  size_t rank = l.count[a->p], unused;
  char query = l.at[a->p][rank - 2], key = l.at[a->p][rank - 1];
  return letter_in(&l, a->v, key, &a->v_dim) && !letter_in(&l, 2, key, &unused) && letter_in(&l, 2, query, &a->out_dim) && !letter_in(&l, a->v, query, &unused);
}

/* From the softmax up to the contraction, each value with one user; the chain is found last operator first. */
static bool match_before(attention *a, MlirValue value, const hct_shape *shape, size_t depth) {
  if (!mlirValueIsAOpResult(value) || !used_once(value) || !same_dims(value, shape)) return false;
  MlirOperation op = mlirOpResultGetOwner(value);
  if (hct_op_is(op, "hct_graph.contract")) {
    a->before = 0;
    return match_scores(a, op);
  }
  if (!is_elementwise(op) || depth == MAX_CHAIN) return false;
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
    if (!match_before(a, mlirOperationGetOperand(op, k), shape, depth + 1)) continue;
    a->chain[a->before] = op;
    a->along[a->before++] = (size_t)k;
    return true;
  }
  return false;
}

static bool match_after(attention *a, const hct_shape *shape) {
  MlirValue value = hct_op_result(a->softmax, 0);
  for (a->count = a->before; a->count <= a->before + MAX_CHAIN; a->count++) {
    if (!used_once(value) || !same_dims(value, shape)) return false;
    MlirOpOperand use = mlirValueGetFirstUse(value);
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (hct_op_is(user, "hct_graph.contract")) return match_product(a, user, value);
    if (!is_elementwise(user) || a->count == a->before + MAX_CHAIN) return false;
    a->chain[a->count] = user;
    a->along[a->count] = mlirOpOperandGetOperandNumber(use);
    value = hct_op_result(user, 0);
  }
  return false;
}

/* The loop before the queries' in the scores, if it is not that of samples, and goes through both products. */
static void find_heads(attention *a, const hct_shape *shape) {
  letters s = letters_of(a->scores), p = letters_of(a->product);
  if (shape->rank < 4) return;
  char in_scores = s.at[2][shape->rank - 3], in_product = p.at[a->p][shape->rank - 3];
  bool all = letter_in(&s, a->q, in_scores, &a->q_head) && letter_in(&s, a->k, in_scores, &a->k_head) && letter_in(&p, a->v, in_product, &a->v_head) && letter_in(&p, 2, in_product, &a->out_head);
  a->heads = all ? shape->dims[shape->rank - 3] : 0;
}

bool attention_match(MlirOperation softmax, attention *out_attention) {
  attention a = {.softmax = softmax};
  hct_shape shape;
  if (!hct_op_is(softmax, "hct_graph.softmax") || !hct_value_shape(hct_op_result(softmax, 0), &shape) || shape.rank < 2) return false;
  if (hct_op_i64(softmax, "axis") != (int64_t)shape.rank - 1) return false;
  a.queries = shape.dims[shape.rank - 2], a.keys = shape.dims[shape.rank - 1];
  if (a.queries < 1 || a.keys < 1) return false;
  if (!match_before(&a, hct_op_operand(softmax, 0), &shape, 0) || !match_after(&a, &shape)) return false;
  find_heads(&a, &shape);
  *out_attention = a;
  return true;
}
