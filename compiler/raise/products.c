/* Linear layers, softmax, rotary position embedding (Su et al., arXiv 2104.09864) and attention (Vaswani et al., arXiv 1706.03762). */
#include <math.h>
#include <string.h>

#include "compiler/raise/raise.h"

/* e^(x - max x) / sum of it, or without the maximum. */
bool raise_softmax(MlirContext context, match *m, MlirValue root, composite *out) {
  product p;
  MlirOperation power, sum, shift, highest;
  int64_t axes[HCT_MAX_RANK], over[HCT_MAX_RANK];
  if (!match_product(m, root, &p) || p.coefficient != 1 || p.factor_count != 1 || p.denominator_count != 1) return false;
  if (!match_op(m, p.factors[0], "hct_graph.map1", "exp", &power) || !match_op(m, p.denominators[0], "hct_graph.reduce", "sum", &sum)) return false;
  if (!match_same(hct_op_operand(sum, 0), p.factors[0]) || hct_op_i64s(sum, "axes", axes, HCT_MAX_RANK) != 1) return false;
  MlirValue x = hct_op_operand(power, 0);
  size_t before = m->count;
  if (match_op(m, x, "hct_graph.map2", "sub", &shift) && match_op(m, hct_op_operand(shift, 1), "hct_graph.reduce", "max", &highest) && match_same(hct_op_operand(highest, 0), hct_op_operand(shift, 0)) &&
      hct_op_i64s(highest, "axes", over, HCT_MAX_RANK) == 1 && over[0] == axes[0])
    x = hct_op_operand(shift, 0);
  else m->count = before;
  *out = (composite){.name = "hct_graph.softmax", .operands = {x}, .operand_count = 1, .attributes = {{"axis", hct_attr_i64(context, axes[0])}}, .attribute_count = 1};
  return true;
}

/* ---- rotary position embedding ---- */
/* A half of x along its last dimension: 0 or 1; -1: it is none. */
static int half_of(match *m, MlirValue value, MlirValue *out_x) {
  MlirOperation op;
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
  if (!match_op(m, value, "hct_graph.slice", NULL, &op)) return -1;
  hct_shape from = match_shape(hct_op_operand(op, 0)), to = match_shape(value);
  size_t rank = hct_op_i64s(op, "starts", starts, HCT_MAX_RANK);
  hct_op_i64s(op, "steps", steps, HCT_MAX_RANK);
  for (size_t d = 0; d < rank; d++)
    if (steps[d] != 1 || (d + 1 < rank && (starts[d] != 0 || to.dims[d] != from.dims[d]))) return -1;
  int64_t half = rank ? to.dims[rank - 1] : 0;
  if (!half || half * 2 != from.dims[rank - 1] || starts[rank - 1] % half) return -1;
  *out_x = hct_op_operand(op, 0);
  return (int)(starts[rank - 1] / half);
}

/* concat(-x2, x1) along the last dimension. */
static bool match_rotated(match *m, MlirValue value, MlirValue *out_x) {
  MlirOperation parts, minus;
  MlirValue x, y;
  if (!match_op(m, value, "hct_graph.concat", NULL, &parts) || mlirOperationGetNumOperands(parts) != 2 || hct_op_i64(parts, "axis") + 1 != (int64_t)match_shape(value).rank) return false;
  if (!match_op(m, hct_op_operand(parts, 0), "hct_graph.map1", "neg", &minus) || half_of(m, hct_op_operand(minus, 0), &x) != 1 || half_of(m, hct_op_operand(parts, 1), &y) != 0) return false;
  *out_x = x;
  return match_same(x, y);
}

bool raise_rope(MlirContext context, match *m, MlirValue root, composite *out) {
  MlirOperation sum, left, right;
  if (!match_op(m, root, "hct_graph.map2", "add", &sum)) return false;
  for (size_t a = 0; a < 8; a++) {
    size_t before = m->count;
    MlirValue x;
    if (match_op(m, hct_op_operand(sum, a & 1), "hct_graph.map2", "mul", &left) && match_op(m, hct_op_operand(sum, 1 - (a & 1)), "hct_graph.map2", "mul", &right)) {
      MlirValue plain = hct_op_operand(left, a >> 1 & 1), cosine = hct_op_operand(left, 1 - (a >> 1 & 1)), turned = hct_op_operand(right, a >> 2), sine = hct_op_operand(right, 1 - (a >> 2));
      if (match_rotated(m, turned, &x) && match_same(x, plain)) {
        *out = (composite){.name = "hct_graph.rope", .operands = {x, cosine, sine}, .operand_count = 3};
        (void)context;
        return true;
      }
    }
    m->count = before;
  }
  return false;
}

/* ---- attention ---- */
/* Scores by their product of queries and keys, scaled and masked. */
typedef struct scores {
  MlirOperation product;
  MlirValue mask, offset;
  const char *how; /* none, add, keep (true: the score, else `fill`), drop, blend (times mask, minus offset) */
  double scale, fill;
} scores;

static bool match_scaled(match *m, MlirValue value, scores *s) {
  product p;
  size_t before = m->count;
  if (match_product(m, value, &p) && p.factor_count == 1 && !p.denominator_count && match_op(m, p.factors[0], "hct_graph.contract", NULL, &s->product)) return s->scale = p.coefficient, true;
  m->count = before;
  return false;
}

static bool match_scores(match *m, MlirValue value, scores *s) {
  MlirOperation op;
  *s = (scores){.how = "none", .scale = 1};
  if (match_scaled(m, value, s)) return true;
  size_t before = m->count;
  if (match_op(m, value, "hct_graph.map2", "add", &op))
    for (size_t k = 0; k < 2; k++)
      if (match_scaled(m, hct_op_operand(op, k), s)) return s->how = "add", s->mask = hct_op_operand(op, 1 - k), true;
  m->count = before;
  MlirOperation kept;
  if (match_op(m, value, "hct_graph.map2", "sub", &op) && match_op(m, hct_op_operand(op, 0), "hct_graph.map2", "mul", &kept))
    for (size_t k = 0; k < 2; k++)
      if (match_scaled(m, hct_op_operand(kept, k), s)) return s->how = "blend", s->mask = hct_op_operand(kept, 1 - k), s->offset = hct_op_operand(op, 1), true;
  m->count = before;
  if (match_op(m, value, "hct_graph.select", NULL, &op))
    for (size_t k = 1; k < 3; k++)
      if (match_scalar(hct_op_operand(op, 3 - k), &s->fill) && match_scaled(m, hct_op_operand(op, k), s)) return s->how = k == 1 ? "keep" : "drop", s->mask = hct_op_operand(op, 0), true;
  m->count = before;
  return false;
}

/* Scores' letters: those that queries and keys have both stay (batch and heads), one is summed. */
static bool is_attention(const char *first, const char *second) {
  const char *comma = strchr(first, ','), *arrow = strstr(first, "->");
  size_t summed = 0, shared = 0;
  for (const char *at = first; at < comma; at++) {
    bool in_keys = memchr(comma + 1, *at, (size_t)(arrow - comma - 1)) != NULL, stays = strchr(arrow + 2, *at) != NULL;
    summed += in_keys && !stays;
    shared += in_keys && stays;
  }
  return summed == 1 && shared >= 1 && strlen(arrow + 2) >= 3 && strchr(second, ',') == second + strlen(arrow + 2);
}

bool raise_attention(MlirContext context, match *m, MlirValue root, composite *out) {
  MlirOperation mix, weights;
  scores s;
  if (!match_op(m, root, "hct_graph.contract", NULL, &mix) || !match_op(m, hct_op_operand(mix, 0), "hct_graph.softmax", NULL, &weights)) return false;
  if (hct_op_i64(weights, "axis") + 1 != (int64_t)match_shape(hct_op_operand(mix, 0)).rank || !match_scores(m, hct_op_operand(weights, 0), &s)) return false;
  const char *first = hct_op_str(s.product, "spec"), *second = hct_op_str(mix, "spec");
  if (!is_attention(first, second)) return false;
  *out = (composite){.name = "hct_graph.attention", .operands = {hct_op_operand(s.product, 0), hct_op_operand(s.product, 1), hct_op_operand(mix, 1)}, .operand_count = 3,
                     .attributes = {{"scores", hct_attr_str(context, first)}, {"mix", hct_attr_str(context, second)}, {"scale", hct_attr_f64(context, s.scale)}, {"mask", hct_attr_str(context, s.how)}, {"fill", hct_attr_f64(context, s.fill)}},
                     .attribute_count = s.how[0] == 'k' || s.how[0] == 'd' ? 5 : 4};
  if (!mlirValueIsNull(s.mask)) out->operands[out->operand_count++] = s.mask;
  if (!mlirValueIsNull(s.offset)) out->operands[out->operand_count++] = s.offset;
  return true;
}

/* ---- linear layers ---- */
/* x [..., k] times a matrix that is there before the program runs: [..., n]; what comes before may change places. */
static bool is_linear(MlirOperation op) {
  const char *spec = hct_op_str(op, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  size_t rank = (size_t)(comma - spec);
  if (arrow - comma != 3 || strlen(arrow + 2) != rank || rank < 2 || match_is_parameter(hct_op_operand(op, 0)) || !match_is_given(hct_op_operand(op, 1))) return false;
  char k = spec[rank - 1], n = arrow[1 + rank];
  for (size_t d = 0; d + 1 < rank; d++)
    if (!memchr(arrow + 2, spec[d], rank - 1)) return false;
  return k != n && memchr(comma + 1, k, 2) && memchr(comma + 1, n, 2);
}

bool raise_linear(MlirContext context, match *m, MlirValue root, composite *out) {
  MlirOperation sum, op;
  size_t before = m->count;
  MlirValue bias = {NULL};
  bool found = match_op(m, root, "hct_graph.contract", NULL, &op) && is_linear(op);
  if (!found) m->count = before;
  if (!found && match_op(m, root, "hct_graph.map2", "add", &sum)) {
    for (size_t k = 0; k < 2 && !found; k++) {
      size_t inside = m->count;
      hct_shape shape = match_shape(hct_op_operand(sum, k)), to = match_shape(root);
      found = match_op(m, hct_op_operand(sum, 1 - k), "hct_graph.contract", NULL, &op) && is_linear(op) && match_is_given(hct_op_operand(sum, k)) && shape.rank == 1 && shape.dims[0] == to.dims[to.rank - 1];
      if (found) bias = hct_op_operand(sum, k);
      else m->count = inside;
    }
  }
  if (!found) return false;
  *out = (composite){.name = "hct_graph.linear", .operands = {hct_op_operand(op, 0), hct_op_operand(op, 1), bias}, .operand_count = mlirValueIsNull(bias) ? 2 : 3, .attributes = {{"spec", hct_attr_str(context, hct_op_str(op, "spec"))}}, .attribute_count = 1};
  return true;
}
