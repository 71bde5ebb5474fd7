#include <string.h>

#include "compiler/transform/partition.h"

typedef struct rule_builder {
  const hct_flow *flow;
  const hct_flow_op *op;
  op_rule *rule;
  bool failed;
} rule_builder;

static int label_new(rule_builder *b, int64_t size, label_kind kind) {
  if (size == 1) return NO_LABEL;
  if (b->rule->label_count == MAX_LABELS) {
    b->failed = true;
    return NO_LABEL;
  }
  b->rule->labels[b->rule->label_count].size = size;
  b->rule->labels[b->rule->label_count].kind = kind;
  return b->rule->label_count++;
}

static const hct_flow_value *operand_value(const rule_builder *b, size_t k) { return &b->flow->values[b->op->operands[k]]; }
static const hct_flow_value *result_value(const rule_builder *b) { return &b->flow->values[b->op->results[0]]; }

/* New labels for all factors of a dim. */
static void labels_new(rule_builder *b, const hct_flow_value *value, size_t dim, int *labels, label_kind kind) {
  size_t at = hct_flow_factor_at(value, dim);
  for (int f = 0; f < value->dims[dim].count; f++) labels[at + (size_t)f] = label_new(b, value->dims[dim].sizes[f], kind);
}

/* The labels of a dim, taken from another value's dim of the same factors; else both are whole. */
static void labels_same(rule_builder *b, const hct_flow_value *value, size_t dim, int *labels, const hct_flow_value *from, size_t from_dim, const int *from_labels) {
  size_t at = hct_flow_factor_at(value, dim), other = hct_flow_factor_at(from, from_dim);
  bool same = value->dims[dim].count == from->dims[from_dim].count && !memcmp(value->dims[dim].sizes, from->dims[from_dim].sizes, value->dims[dim].count * sizeof(int64_t));
  if (same) {
    for (int f = 0; f < value->dims[dim].count; f++) labels[at + (size_t)f] = from_labels[other + (size_t)f];
    return;
  }
  labels_new(b, value, dim, labels, LABEL_WHOLE);
  for (int f = 0; f < from->dims[from_dim].count; f++)
    if (from_labels[other + (size_t)f] >= 0) b->rule->labels[from_labels[other + (size_t)f]].kind = LABEL_WHOLE;
}

static void rule_elementwise(rule_builder *b) {
  const hct_flow_value *result = result_value(b);
  for (size_t d = 0; d < result->shape.rank; d++) labels_new(b, result, d, b->rule->result, LABEL_PARALLEL);
  for (size_t k = 0; k < b->op->operand_count; k++) {
    const hct_flow_value *v = operand_value(b, k);
    size_t lead = result->shape.rank - v->shape.rank;
    for (size_t d = 0; d < v->shape.rank; d++)
      if (v->shape.dims[d] == result->shape.dims[d + lead]) labels_same(b, v, d, b->rule->operand[k], result, d + lead, b->rule->result);
  }
}

static void rule_reduce(rule_builder *b) {
  const hct_flow_value *v = operand_value(b, 0), *result = result_value(b);
  label_kind kind = !strcmp(hct_op_str(b->op->op, "kind"), "sum") ? LABEL_SUM : !strcmp(hct_op_str(b->op->op, "kind"), "max") ? LABEL_MAX : LABEL_WHOLE;
  for (size_t d = 0; d < v->shape.rank; d++) {
    bool reduced = v->shape.dims[d] != result->shape.dims[d];
    labels_new(b, v, d, b->rule->operand[0], reduced ? kind : LABEL_PARALLEL);
    if (!reduced) labels_same(b, result, d, b->rule->result, v, d, b->rule->operand[0]);
  }
}

static void rule_contract(rule_builder *b) {
  const char *spec = hct_op_str(b->op->op, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  const char *letters[3] = {spec, comma + 1, arrow + 2};
  size_t lengths[3] = {(size_t)(comma - spec), (size_t)(arrow - comma - 1), strlen(arrow + 2)};
  const hct_flow_value *values[3] = {operand_value(b, 0), operand_value(b, 1), result_value(b)};
  int *labels[3] = {b->rule->operand[0], b->rule->operand[1], b->rule->result};
  static const int order[3] = {2, 0, 1}; /* the result's letters first, so that what is left is summed */
  for (int o = 0; o < 3; o++) {
    int p = order[o];
    for (size_t i = 0; i < lengths[p]; i++) {
      bool found = false;
      for (int q = 0; q < o && !found; q++)
        for (size_t j = 0; j < lengths[order[q]] && !found; j++)
          if (letters[order[q]][j] == letters[p][i]) {
            labels_same(b, values[p], i, labels[p], values[order[q]], j, labels[order[q]]);
            found = true;
          }
      if (!found) labels_new(b, values[p], i, labels[p], o == 0 ? LABEL_PARALLEL : LABEL_SUM);
    }
  }
}

static void rule_softmax(rule_builder *b) {
  rule_elementwise(b);
  const hct_flow_value *result = result_value(b);
  size_t axis = (size_t)hct_op_i64(b->op->op, "axis"), at = hct_flow_factor_at(result, axis);
  for (int f = 0; f < result->dims[axis].count; f++)
    if (b->rule->result[at + (size_t)f] >= 0) b->rule->labels[b->rule->result[at + (size_t)f]].kind = LABEL_WHOLE;
}

static void rule_transpose(rule_builder *b) {
  int64_t perm[HCT_MAX_RANK];
  const hct_flow_value *v = operand_value(b, 0), *result = result_value(b);
  hct_op_i64s(b->op->op, "perm", perm, HCT_MAX_RANK);
  for (size_t d = 0; d < v->shape.rank; d++) labels_new(b, v, d, b->rule->operand[0], LABEL_PARALLEL);
  for (size_t d = 0; d < v->shape.rank; d++) labels_same(b, result, d, b->rule->result, v, (size_t)perm[d], b->rule->operand[0]);
}

static size_t collect(const hct_flow_value *v, size_t first, size_t count, size_t *factors, int64_t *sizes) {
  size_t n = 0;
  for (size_t d = first; d < first + count; d++)
    for (int f = 0; f < v->dims[d].count; f++)
      if (v->dims[d].sizes[f] != 1) factors[n] = hct_flow_factor_at(v, d) + (size_t)f, sizes[n++] = v->dims[d].sizes[f];
  return n;
}

static void rule_reshape(rule_builder *b) {
  hct_reshape_group groups[2 * HCT_MAX_RANK];
  const hct_flow_value *v = operand_value(b, 0), *result = result_value(b);
  size_t count = hct_reshape_groups(b->flow, b->op, groups);
  for (size_t g = 0; g < count; g++) {
    size_t from[HCT_MAX_FACTORS], to[HCT_MAX_FACTORS];
    int64_t from_sizes[HCT_MAX_FACTORS], to_sizes[HCT_MAX_FACTORS];
    size_t n = collect(v, groups[g].from, groups[g].from_count, from, from_sizes), m = collect(result, groups[g].to, groups[g].to_count, to, to_sizes);
    bool same = !groups[g].opaque && n == m && !memcmp(from_sizes, to_sizes, n * sizeof *from_sizes);
    for (size_t i = 0; i < n; i++) b->rule->operand[0][from[i]] = label_new(b, from_sizes[i], same ? LABEL_PARALLEL : LABEL_WHOLE);
    for (size_t i = 0; i < m; i++) b->rule->result[to[i]] = same ? b->rule->operand[0][from[i]] : label_new(b, to_sizes[i], LABEL_WHOLE);
    if (same || !n || !m) continue;
    /* grouped-query heads: the major factors, kv heads and heads, may be split by what divides both */
    int64_t least = from_sizes[0] < to_sizes[0] ? from_sizes[0] : to_sizes[0], most = from_sizes[0] + to_sizes[0] - least;
    if (most % least) continue;
    int label = b->rule->operand[0][from[0]];
    b->rule->labels[label].size = least;
    b->rule->labels[label].kind = LABEL_EXACT;
    b->rule->result[to[0]] = label;
  }
}

/* Part of a dim, `start` before it: inner factors of which it has whole ones are shared, those in front of them are not split. Of hct.whole's dim none is. */
static void labels_part(rule_builder *b, const hct_flow_value *outer, size_t dim, const int *outer_labels, const hct_flow_value *inner, int *inner_labels, int64_t start, int64_t step) {
  const hct_dim_factors *o = &outer->dims[dim], *i = &inner->dims[dim];
  size_t at = hct_flow_factor_at(outer, dim), in = hct_flow_factor_at(inner, dim);
  int shared = 0, outer_lead = o->count, inner_lead = i->count;
  bool split = hct_op_i64_or(b->op->op, "hct.whole", -1) != (int64_t)dim, whole = split && outer->shape.dims[dim] == inner->shape.dims[dim] && step == 1;
  for (int64_t unit = 1; shared < o->count && shared < i->count && o->sizes[o->count - 1 - shared] == i->sizes[i->count - 1 - shared]; shared++) {
    unit *= o->sizes[o->count - 1 - shared];
    if (start % unit || step != 1) break;
  }
  if (whole ? shared == o->count : shared > 0 && split) outer_lead -= shared, inner_lead -= shared;
  for (int f = 0; f < outer_lead; f++)
    if (outer_labels[at + (size_t)f] >= 0) b->rule->labels[outer_labels[at + (size_t)f]].kind = LABEL_WHOLE;
  for (int f = 0; f < inner_lead; f++) inner_labels[in + (size_t)f] = label_new(b, i->sizes[f], LABEL_WHOLE);
  for (int f = inner_lead; f < i->count; f++) inner_labels[in + (size_t)f] = outer_labels[at + (size_t)(outer_lead + f - inner_lead)];
}

static void rule_parts(rule_builder *b) {
  bool slice = !strcmp(b->op->name, "slice"), pad = !strcmp(b->op->name, "pad");
  const hct_flow_value *outer = slice ? operand_value(b, 0) : result_value(b);
  int *outer_labels = slice ? b->rule->operand[0] : b->rule->result;
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK];
  for (size_t d = 0; d < outer->shape.rank; d++) steps[d] = 1, labels_new(b, outer, d, outer_labels, LABEL_PARALLEL);
  if (slice) hct_op_i64s(b->op->op, "steps", steps, HCT_MAX_RANK);
  if (slice || pad) hct_op_i64s(b->op->op, slice ? "starts" : "low", starts, HCT_MAX_RANK);
  for (size_t k = 0; k < (slice ? 1 : b->op->operand_count); k++) {
    const hct_flow_value *part = slice ? result_value(b) : operand_value(b, k);
    for (size_t d = 0; d < outer->shape.rank; d++) labels_part(b, outer, d, outer_labels, part, slice ? b->rule->result : b->rule->operand[k], starts[d], steps[d]);
    if (!slice && !pad) starts[hct_op_i64(b->op->op, "axis")] += part->shape.dims[hct_op_i64(b->op->op, "axis")];
  }
}

static void rule_table(rule_builder *b) {
  bool gather = b->op->name[0] == 'g';
  const hct_flow_value *ids = operand_value(b, 1), *table = gather ? operand_value(b, 0) : result_value(b), *dense = gather ? result_value(b) : operand_value(b, 0);
  int *table_labels = gather ? b->rule->operand[0] : b->rule->result, *dense_labels = gather ? b->rule->result : b->rule->operand[0];
  for (size_t d = 0; d < dense->shape.rank; d++) labels_new(b, dense, d, dense_labels, d < ids->shape.rank && !gather ? LABEL_SUM : LABEL_PARALLEL);
  for (size_t d = 0; d < ids->shape.rank; d++) labels_same(b, ids, d, b->rule->operand[1], dense, d, dense_labels);
  labels_new(b, table, 0, table_labels, table->dims[0].count > 1 ? LABEL_WHOLE : gather ? LABEL_SUM : LABEL_PARALLEL); /* rows of a die are one run */
  for (size_t d = 1; d < table->shape.rank; d++) labels_same(b, table, d, table_labels, dense, ids->shape.rank + d - 1, dense_labels);
}

static void rule_classes(rule_builder *b) {
  bool pick = !strcmp(b->op->name, "pick");
  const hct_flow_value *wide = pick ? operand_value(b, 0) : result_value(b), *flat = pick ? result_value(b) : operand_value(b, 0), *ids = operand_value(b, 1);
  int *wide_labels = pick ? b->rule->operand[0] : b->rule->result, *flat_labels = pick ? b->rule->result : b->rule->operand[0];
  size_t last = wide->shape.rank - 1;
  for (size_t d = 0; d < last; d++) labels_new(b, wide, d, wide_labels, LABEL_PARALLEL);
  /* a die's classes are one run of all: of several factors the first alone may be split */
  wide_labels[hct_flow_factor_at(wide, last)] = label_new(b, wide->dims[last].sizes[0], pick ? LABEL_SUM : LABEL_PARALLEL);
  for (size_t d = 0; d < last; d++) {
    labels_same(b, flat, d, flat_labels, wide, d, wide_labels);
    labels_same(b, ids, d, b->rule->operand[1], wide, d, wide_labels);
  }
}

static void rule_broadcast(rule_builder *b) { rule_elementwise(b); }

bool partition_rule(const hct_flow *flow, const hct_flow_op *op, op_rule *out_rule) {
  static const struct { const char *name; void (*make)(rule_builder *b); bool linear; } rules[] = {
      {"map1", rule_elementwise, false}, {"map2", rule_elementwise, false}, {"select", rule_elementwise, false}, {"dropout", rule_elementwise, false}, {"detach", rule_elementwise, false}, {"softmax", rule_softmax, false}, {"softmax_grad", rule_softmax, false},
      {"reduce", rule_reduce, false}, {"contract", rule_contract, false}, {"transpose", rule_transpose, true}, {"reshape", rule_reshape, true}, {"slice", rule_parts, true},
      {"concat", rule_parts, false}, {"pad", rule_parts, false}, {"gather_rows", rule_table, false}, {"scatter_rows", rule_table, false}, {"pick", rule_classes, false},
      {"place", rule_classes, false}, {"broadcast", rule_broadcast, true},
  };
  memset(out_rule, 0, sizeof *out_rule);
  for (int k = 0; k < MAX_OPERANDS; k++)
    for (int f = 0; f < HCT_MAX_FACTORS; f++) out_rule->operand[k][f] = NO_LABEL;
  for (int f = 0; f < HCT_MAX_FACTORS; f++) out_rule->result[f] = NO_LABEL;
  rule_builder b = {flow, op, out_rule, false};
  for (size_t i = 0; i < HCT_COUNT(rules); i++) {
    if (strcmp(rules[i].name, op->name) || op->operand_count > MAX_OPERANDS) continue;
    rules[i].make(&b);
    out_rule->linear = rules[i].linear || (!strcmp(op->name, "pad") && hct_op_f64_or(op->op, "value", 0) == 0);
    return !b.failed;
  }
  return false;
}
