#include "compiler/analysis/factors.h"

#include <string.h>

/* ---- tables ---- */
static void value_add(hct_flow *flow, hct_index_map *index, MlirValue value, size_t op) {
  hct_flow_value *v = &flow->values[flow->value_count];
  *v = (hct_flow_value){.value = value, .op = op};
  HCT_BUG_ON(!hct_value_shape(value, &v->shape), "a value that is no static tensor");
  for (size_t d = 0; d < v->shape.rank; d++) v->dims[d] = (hct_dim_factors){1, {v->shape.dims[d]}};
  hct_index_map_put(index, hct_value_key(value), flow->value_count++);
}

typedef struct operand_slots { hct_index_list values, ops; } operand_slots; /* what each reads, and of which operator it is */

static size_t *operands_read(hct_flow *flow, hct_index_map *index, operand_slots *slots, MlirOperation op, size_t count, size_t user) {
  size_t *operands = HCT_NEW_ARRAY(flow->arena, size_t, count);
  for (size_t k = 0; k < count; k++) {
    HCT_BUG_ON(!hct_index_map_get(index, hct_value_key(hct_op_operand(op, k)), &operands[k]), "a value from elsewhere");
    flow->uses[operands[k]]++;
    flow->only_user[operands[k]] = user;
    if (user == SIZE_MAX) continue;
    HCT_PUSH(flow->arena, &slots->values, operands[k]);
    HCT_PUSH(flow->arena, &slots->ops, user);
  }
  return operands;
}

static const char *arg_text(const hct_flow *flow, size_t arg, const char *name) {
  MlirAttribute text = hct_function_arg_attr(flow->function, arg, name);
  return mlirAttributeIsNull(text) ? "" : hct_attr_text(text);
}

static void masters_find(hct_flow *flow) {
  hct_map *parameters = hct_map_create(flow->arena);
  flow->master = HCT_NEW_ARRAY(flow->arena, size_t, flow->arg_count + 1);
  flow->copy = HCT_NEW_ARRAY(flow->arena, size_t, flow->arg_count + 1);
  for (size_t a = 0; a < flow->arg_count; a++) {
    flow->master[a] = SIZE_MAX, flow->copy[a] = a;
    if (!strcmp(arg_text(flow, a, "hct.role"), "param")) hct_map_put(parameters, arg_text(flow, a, "hct.name"), &flow->copy[a]);
  }
  for (size_t a = 0; a < flow->arg_count; a++) {
    size_t *copy = strcmp(arg_text(flow, a, "hct.role"), "copy") ? NULL : hct_map_get(parameters, arg_text(flow, a, "hct.name"));
    if (copy) flow->master[a] = (size_t)(copy - flow->copy), *copy = a;
  }
}

size_t hct_flow_copy_of(const hct_flow *flow, size_t parameter) { return parameter < flow->arg_count ? flow->copy[parameter] : parameter; }

const size_t *hct_flow_readers(const hct_flow *flow, size_t value, size_t *out_count) {
  *out_count = flow->readers.first[value + 1] - flow->readers.first[value];
  return flow->readers.items + flow->readers.first[value];
}

hct_flow hct_flow_read(hct_arena *arena, MlirModule module) {
  hct_flow flow = {.arena = arena, .function = hct_module_function(module)};
  MlirBlock body = hct_function_body(flow.function);
  MlirOperation *operations, end = hct_block_terminator(body);
  size_t count = hct_block_operations(arena, body, &operations) - 1, values = (size_t)mlirBlockGetNumArguments(body);
  flow.arg_count = values;
  for (size_t i = 0; i < count; i++) values += (size_t)mlirOperationGetNumResults(operations[i]);
  flow.values = HCT_NEW_ARRAY(arena, hct_flow_value, values + 1);
  flow.uses = HCT_NEW_ARRAY(arena, size_t, values + 1);
  flow.only_user = HCT_NEW_ARRAY(arena, size_t, values + 1);
  flow.ops = HCT_NEW_ARRAY(arena, hct_flow_op, count + 1);
  flow.op_count = count;
  hct_index_map *index = hct_index_map_create(arena);
  operand_slots slots = {0};
  for (size_t i = 0; i < flow.arg_count; i++) value_add(&flow, index, mlirBlockGetArgument(body, (intptr_t)i), SIZE_MAX);
  for (size_t i = 0; i < count; i++) {
    hct_flow_op *op = &flow.ops[i];
    const char *name = hct_op_name(operations[i]);
    *op = (hct_flow_op){.op = operations[i], .name = strchr(name, '.') ? strchr(name, '.') + 1 : name, .operand_count = (size_t)mlirOperationGetNumOperands(operations[i]),
                        .result_count = (size_t)mlirOperationGetNumResults(operations[i])};
    op->operands = operands_read(&flow, index, &slots, op->op, op->operand_count, i);
    op->results = HCT_NEW_ARRAY(arena, size_t, op->result_count);
    for (size_t k = 0; k < op->result_count; k++) {
      op->results[k] = flow.value_count;
      value_add(&flow, index, hct_op_result(op->op, k), i);
    }
  }
  flow.returned_count = (size_t)mlirOperationGetNumOperands(end);
  flow.returned = operands_read(&flow, index, &slots, end, flow.returned_count, SIZE_MAX);
  masters_find(&flow);
  flow.readers = hct_groups_create(arena, flow.value_count, slots.values.count, slots.values.items, slots.ops.items);
  return flow;
}

size_t hct_flow_factor_at(const hct_flow_value *value, size_t dim) {
  size_t at = 0;
  for (size_t d = 0; d < dim; d++) at += value->dims[d].count;
  return at;
}

/* ---- refinement ---- */
/* The coarsest list that both refine to; false when their boundaries do not nest. */
static bool refine(const hct_dim_factors *a, const hct_dim_factors *b, hct_dim_factors *out) {
  hct_dim_factors r = {0};
  int i = 0, j = 0;
  int64_t x = a->count ? a->sizes[0] : 1, y = b->count ? b->sizes[0] : 1;
  while (i < a->count && j < b->count) {
    if (r.count == HCT_MAX_DIM_FACTORS) return false;
    int64_t least = x < y ? x : y;
    if (least == 0 || x % least || y % least) return false;
    r.sizes[r.count++] = least;
    x /= least, y /= least;
    if (x == 1 && ++i < a->count) x = a->sizes[i];
    if (y == 1 && ++j < b->count) y = b->sizes[j];
    if ((i == a->count) != (j == b->count)) return false;
  }
  *out = r;
  return i == a->count && j == b->count;
}

static bool factors_same(const hct_dim_factors *a, const hct_dim_factors *b) { return a->count == b->count && memcmp(a->sizes, b->sizes, a->count * sizeof *a->sizes) == 0; }

static void unify(hct_dim_factors *a, hct_dim_factors *b, bool *changed) {
  hct_dim_factors both;
  if (factors_same(a, b) || !refine(a, b, &both)) return;
  *changed = *changed || !factors_same(a, &both) || !factors_same(b, &both);
  *a = *b = both;
}

/* `whole` against `parts` one after the other: a major factor `lead` (1: none), then the dims of parts. */
static void unify_product(hct_dim_factors *whole, int64_t lead, hct_dim_factors *const *parts, size_t count, bool *changed) {
  hct_dim_factors joined = {0}, both;
  if (lead != 1) joined.sizes[joined.count++] = lead;
  for (size_t p = 0; p < count; p++)
    for (int f = 0; f < parts[p]->count; f++) {
      if (parts[p]->sizes[f] == 1) continue;
      if (joined.count == HCT_MAX_DIM_FACTORS) return;
      joined.sizes[joined.count++] = parts[p]->sizes[f];
    }
  if (joined.count == 0) joined.sizes[joined.count++] = 1;
  if (!refine(whole, &joined, &both)) return;
  if (!factors_same(whole, &both)) *changed = true;
  *whole = both;
  /* cut the refined list at the parts' boundaries again */
  int at = 0;
  int64_t rest = lead;
  while (rest > 1 && at < both.count) rest /= both.sizes[at++];
  for (size_t p = 0; p < count; p++) {
    int64_t size = 1, left;
    for (int f = 0; f < parts[p]->count; f++) size *= parts[p]->sizes[f];
    if (size == 1) continue;
    hct_dim_factors cut = {0};
    for (left = size; left > 1 && at < both.count; at++) {
      cut.sizes[cut.count++] = both.sizes[at];
      left /= both.sizes[at];
    }
    if (!factors_same(parts[p], &cut)) *changed = true;
    *parts[p] = cut;
  }
}

/* ---- reshapes ---- */
static bool repeats(const hct_flow *flow, size_t value) { /* made by a broadcast, or about to be summed: the group of grouped-query heads */
  const hct_flow_value *v = &flow->values[value];
  if (v->op != SIZE_MAX && !strcmp(flow->ops[v->op].name, "broadcast")) return true;
  return flow->uses[value] == 1 && flow->only_user[value] != SIZE_MAX && !strcmp(flow->ops[flow->only_user[value]].name, "reduce");
}

size_t hct_reshape_groups(const hct_flow *flow, const hct_flow_op *op, hct_reshape_group *out_groups) {
  const hct_shape *from = &flow->values[op->operands[0]].shape, *to = &flow->values[op->results[0]].shape;
  size_t count = 0, i = 0, j = 0;
  while (i < from->rank || j < to->rank) {
    hct_reshape_group g = {.from = (uint8_t)i, .to = (uint8_t)j};
    int64_t x = i < from->rank ? from->dims[i++] : 1, y = j < to->rank ? to->dims[j++] : 1;
    while (x != y) {
      if (x < y && i < from->rank) x *= from->dims[i++];
      else if (j < to->rank) y *= to->dims[j++];
      else break;
    }
    g.from_count = (uint8_t)(i - g.from);
    g.to_count = (uint8_t)(j - g.to);
    bool merge = g.from_count > 1 && g.to_count == 1 && repeats(flow, op->operands[0]), split = g.to_count > 1 && g.from_count == 1 && repeats(flow, op->results[0]);
    size_t large_from = 0, large_to = 0;
    for (size_t d = g.from; d < i; d++) large_from += from->dims[d] > 1;
    for (size_t d = g.to; d < j; d++) large_to += to->dims[d] > 1;
    g.opaque = (large_from > 1 && large_to > 1) || (merge && large_from > 1) || (split && large_to > 1);
    out_groups[count++] = g;
  }
  return count;
}

static void refine_reshape(hct_flow *flow, const hct_flow_op *op, bool *changed) {
  hct_reshape_group groups[2 * HCT_MAX_RANK];
  size_t count = hct_reshape_groups(flow, op, groups);
  hct_flow_value *from = &flow->values[op->operands[0]], *to = &flow->values[op->results[0]];
  for (size_t g = 0; g < count; g++) {
    if (groups[g].opaque) continue;
    hct_dim_factors *parts[HCT_MAX_RANK], *whole = NULL;
    size_t parts_count = 0, large = 0;
    for (size_t d = groups[g].from; d < groups[g].from + groups[g].from_count; d++) large += from->shape.dims[d] > 1;
    bool from_is_whole = large <= 1;
    for (size_t d = groups[g].from; d < groups[g].from + groups[g].from_count; d++) {
      if (from->shape.dims[d] <= 1) continue;
      if (from_is_whole) whole = &from->dims[d];
      else parts[parts_count++] = &from->dims[d];
    }
    for (size_t d = groups[g].to; d < groups[g].to + groups[g].to_count; d++) {
      if (to->shape.dims[d] <= 1) continue;
      if (!from_is_whole) whole = &to->dims[d];
      else parts[parts_count++] = &to->dims[d];
    }
    if (whole && parts_count) unify_product(whole, 1, parts, parts_count, changed);
  }
}

/* ---- parts: slices, concatenations, paddings ---- */
static int64_t divisor(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b, b = rest;
  }
  return a;
}

/* Both dims end in the same factors, of `unit` together. */
static void unify_inner(hct_dim_factors *outer, int64_t outer_size, hct_dim_factors *inner, int64_t inner_size, int64_t unit, bool *changed) {
  hct_dim_factors before[2] = {*outer, *inner}, last = {0}, common = {1, {unit}}, *part = &common;
  bool unused = false;
  while (!factors_same(&last, &common)) {
    last = common;
    unify_product(outer, outer_size / unit, &part, 1, &unused);
    if (inner_size == unit) unify(inner, &common, &unused);
    else unify_product(inner, inner_size / unit, &part, 1, &unused);
  }
  *changed = *changed || !factors_same(outer, &before[0]) || !factors_same(inner, &before[1]);
}

/* A part of `inner` units of a dim of `outer` units, `start` before it: (outer / inner) x inner when it is aligned; else, with `unit` (not 0)
 * dividing all three, (outer / unit) x unit and (inner / unit) x unit. */
static void refine_part(hct_dim_factors *outer, int64_t outer_size, hct_dim_factors *inner, int64_t inner_size, int64_t start, int64_t step, int64_t unit, bool *changed) {
  if (outer_size == inner_size) unify(outer, inner, changed);
  else if (inner_size <= 1 || step != 1) return;
  else if (unit > 1) unify_inner(outer, outer_size, inner, inner_size, unit, changed);
  else if (!unit && outer_size % inner_size == 0 && start % inner_size == 0) unify_product(outer, outer_size / inner_size, &inner, 1, changed);
}

static bool is_aligned(int64_t outer, int64_t inner, int64_t start) { return outer == inner || (inner > 0 && outer % inner == 0 && start % inner == 0); }

/* The sum that a padded value goes into. */
static size_t sum_of(const hct_flow *flow, size_t value) {
  while (flow->uses[value] == 1 && flow->only_user[value] != SIZE_MAX) {
    const hct_flow_op *user = &flow->ops[flow->only_user[value]];
    if (strcmp(user->name, "map2") || strcmp(hct_op_str(user->op, "fn"), "add")) break;
    value = user->results[0];
  }
  return value;
}

/* What divides all parts of a dim that the slices of a value take, or that paddings put into a sum; 0: each is aligned by itself. */
static void units_find(hct_flow *flow) {
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
  flow->units = HCT_NEW_ARRAY(flow->arena, int64_t, flow->value_count * HCT_MAX_RANK);
  bool *uneven = HCT_NEW_ARRAY(flow->arena, bool, flow->value_count * HCT_MAX_RANK);
  for (size_t i = 0; i < flow->op_count; i++) {
    const hct_flow_op *op = &flow->ops[i];
    bool slice = !strcmp(op->name, "slice");
    if (!slice && strcmp(op->name, "pad")) continue;
    size_t whole = slice ? op->operands[0] : sum_of(flow, op->results[0]);
    const hct_shape *outer = &flow->values[slice ? whole : op->results[0]].shape, *inner = &flow->values[slice ? op->results[0] : op->operands[0]].shape;
    for (size_t d = 0; d < outer->rank; d++) steps[d] = 1;
    hct_op_i64s(op->op, slice ? "starts" : "low", starts, HCT_MAX_RANK);
    if (slice) hct_op_i64s(op->op, "steps", steps, HCT_MAX_RANK);
    for (size_t d = 0; d < outer->rank; d++) {
      size_t at = whole * HCT_MAX_RANK + d;
      if (outer->dims[d] == inner->dims[d]) continue;
      flow->units[at] = steps[d] == 1 ? divisor(divisor(divisor(flow->units[at], outer->dims[d]), inner->dims[d]), starts[d]) : 1;
      uneven[at] |= steps[d] != 1 || !is_aligned(outer->dims[d], inner->dims[d], starts[d]);
    }
  }
  for (size_t at = 0; at < flow->value_count * HCT_MAX_RANK; at++)
    if (!uneven[at]) flow->units[at] = 0;
}

static void refine_slice(hct_flow *flow, const hct_flow_op *op, bool *changed) {
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
  hct_flow_value *outer = &flow->values[op->operands[0]], *inner = &flow->values[op->results[0]];
  hct_op_i64s(op->op, "starts", starts, HCT_MAX_RANK);
  hct_op_i64s(op->op, "steps", steps, HCT_MAX_RANK);
  for (size_t d = 0; d < outer->shape.rank; d++)
    refine_part(&outer->dims[d], outer->shape.dims[d], &inner->dims[d], inner->shape.dims[d], starts[d], steps[d], flow->units[op->operands[0] * HCT_MAX_RANK + d], changed);
}

static void refine_pad(hct_flow *flow, const hct_flow_op *op, bool *changed) {
  int64_t low[HCT_MAX_RANK];
  hct_flow_value *outer = &flow->values[op->results[0]], *inner = &flow->values[op->operands[0]];
  hct_op_i64s(op->op, "low", low, HCT_MAX_RANK);
  for (size_t d = 0; d < outer->shape.rank; d++) refine_part(&outer->dims[d], outer->shape.dims[d], &inner->dims[d], inner->shape.dims[d], low[d], 1, flow->units[sum_of(flow, op->results[0]) * HCT_MAX_RANK + d], changed);
}

static void refine_concat(hct_flow *flow, const hct_flow_op *op, bool *changed) {
  hct_flow_value *whole = &flow->values[op->results[0]];
  size_t axis = (size_t)hct_op_i64(op->op, "axis");
  int64_t unit = 0, start = 0;
  bool even = true;
  for (size_t k = 0; k < op->operand_count; k++) {
    int64_t size = flow->values[op->operands[k]].shape.dims[axis];
    even = even && is_aligned(whole->shape.dims[axis], size, start);
    unit = divisor(unit, size), start += size;
  }
  start = 0;
  for (size_t k = 0; k < op->operand_count; k++) {
    hct_flow_value *part = &flow->values[op->operands[k]];
    for (size_t d = 0; d < whole->shape.rank; d++)
      refine_part(&whole->dims[d], whole->shape.dims[d], &part->dims[d], part->shape.dims[d], d == axis ? start : 0, 1, d == axis && !even ? unit : 0, changed);
    start += part->shape.dims[axis];
  }
}

static void refine_same(hct_flow_value *a, hct_flow_value *b, bool *changed) { /* right-aligned, where sizes agree */
  size_t rank = a->shape.rank < b->shape.rank ? a->shape.rank : b->shape.rank;
  for (size_t k = 1; k <= rank; k++) {
    size_t da = a->shape.rank - k, db = b->shape.rank - k;
    if (a->shape.dims[da] == b->shape.dims[db]) unify(&a->dims[da], &b->dims[db], changed);
  }
}

static void refine_contract(hct_flow *flow, const hct_flow_op *op, bool *changed) {
  const char *spec = hct_op_str(op->op, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  const char *letters[3] = {spec, comma + 1, arrow + 2};
  size_t lengths[3] = {(size_t)(comma - spec), (size_t)(arrow - comma - 1), strlen(arrow + 2)};
  hct_flow_value *values[3] = {&flow->values[op->operands[0]], &flow->values[op->operands[1]], &flow->values[op->results[0]]};
  for (int p = 0; p < 3; p++)
    for (int q = p + 1; q < 3; q++)
      for (size_t i = 0; i < lengths[p]; i++)
        for (size_t j = 0; j < lengths[q]; j++)
          if (letters[p][i] == letters[q][j]) unify(&values[p]->dims[i], &values[q]->dims[j], changed);
}

static void refine_op(hct_flow *flow, const hct_flow_op *op, bool *changed) {
  hct_flow_value *v = flow->values, *result = op->result_count ? &v[op->results[0]] : NULL;
  int64_t perm[HCT_MAX_RANK];
  const char *n = op->name;
  if (!strcmp(n, "reshape")) {
    refine_reshape(flow, op, changed);
  } else if (!strcmp(n, "transpose")) {
    hct_op_i64s(op->op, "perm", perm, HCT_MAX_RANK);
    for (size_t d = 0; d < result->shape.rank; d++) unify(&result->dims[d], &v[op->operands[0]].dims[perm[d]], changed);
  } else if (!strcmp(n, "contract")) {
    refine_contract(flow, op, changed);
  } else if (!strcmp(n, "slice")) {
    refine_slice(flow, op, changed);
  } else if (!strcmp(n, "pad")) {
    refine_pad(flow, op, changed);
  } else if (!strcmp(n, "concat")) {
    refine_concat(flow, op, changed);
  } else if (!strcmp(n, "gather_rows") || !strcmp(n, "scatter_rows")) {
    bool gather = n[0] == 'g';
    hct_flow_value *table = gather ? &v[op->operands[0]] : result, *dense = gather ? result : &v[op->operands[0]], *ids = &v[op->operands[1]];
    for (size_t d = 0; d < ids->shape.rank; d++) unify(&dense->dims[d], &ids->dims[d], changed);
    for (size_t d = 1; d < table->shape.rank; d++) unify(&dense->dims[ids->shape.rank + d - 1], &table->dims[d], changed);
  } else if (!strcmp(n, "pick") || !strcmp(n, "place")) {
    hct_flow_value *wide = n[1] == 'i' ? &v[op->operands[0]] : result, *flat = n[1] == 'i' ? result : &v[op->operands[0]], *ids = &v[op->operands[1]];
    for (size_t d = 0; d < ids->shape.rank; d++) unify(&wide->dims[d], &ids->dims[d], changed), unify(&flat->dims[d], &ids->dims[d], changed);
  } else if (!strcmp(n, "update")) {
    for (size_t k = 1; k + 2 < op->operand_count; k++) refine_same(&v[op->operands[0]], &v[op->operands[k]], changed);
    for (size_t k = 0; k < op->result_count; k++) refine_same(&v[op->operands[0]], &v[op->results[k]], changed);
  } else if (result) { /* elementwise, reductions, softmax, broadcasts */
    for (size_t k = 0; k < op->operand_count; k++) refine_same(&v[op->operands[k]], result, changed);
  }
}

void hct_flow_factorize(hct_flow *flow) {
  bool changed = true;
  units_find(flow);
  for (int round = 0; changed && round < 64; round++) {
    changed = false;
    for (size_t i = 0; i < flow->op_count; i++) refine_op(flow, &flow->ops[i], &changed);
    for (size_t i = flow->op_count; i-- > 0;) refine_op(flow, &flow->ops[i], &changed);
    for (size_t a = 0; a < flow->arg_count; a++)
      if (flow->master[a] != SIZE_MAX) refine_same(&flow->values[a], &flow->values[flow->master[a]], &changed);
  }
}
