/* hct-group-heads: products of query heads with kv heads that are repeated for groups of them, as products over kv heads and groups. Keys and
 * values are then not repeated in SRAM, and reverse mode sums their gradients over a group inside the product: what travels between dies, and what
 * blocks of queries add up, is a kv head's, not a query head's.
 *
 *   before  %e = reshape(broadcast(reshape(%k) : [b,kv,1,s,d]) : [b,kv,g,s,d]) : [b,kv*g,s,d]
 *           %y = contract(%q, slice(%e)) {spec = "abmk,abnk->abmn"} : [b,kv*g,m,n]
 *   after   %y = reshape(contract(reshape(%q) : [b,kv,g,m,d], slice(reshape(%k) : [b,kv,s,d])) {spec = "abcmk,abnk->abcmn"}) : [b,kv*g,m,n]
 *
 * Left alone: kv heads that the mesh does not divide (after hct-replicate-heads), since then query heads are what it splits; products that do not
 * go over heads one by one. */
#include <string.h>

#include "compiler/strategy/strategy.h"

typedef struct grouping {
  hct_arena *arena;
  hct_builder builder;
  hct_index_map *index; /* value -> copy without repeated heads */
  struct { MlirValue *items; size_t count, capacity; } copies;
} grouping;

/* Heads in dimension `dim` of a value: `group` of each of `kv`. */
typedef struct heads { size_t dim; int64_t kv, group; } heads;

static hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "a value that is no static tensor");
  return shape;
}

static MlirOperation maker_of(MlirValue value, const char *name) {
  MlirOperation none = {NULL};
  return mlirValueIsAOpResult(value) && hct_op_is(mlirOpResultGetOwner(value), name) ? mlirOpResultGetOwner(value) : none;
}

/* `wide` with dimension `dim` as two, kv and group. */
static hct_shape split(const hct_shape *wide, const heads *h, int64_t group) {
  hct_shape shape = *wide;
  shape.rank++;
  for (size_t d = shape.rank - 1; d > h->dim + 1; d--) shape.dims[d] = wide->dims[d - 1];
  shape.dims[h->dim] = h->kv, shape.dims[h->dim + 1] = group;
  return shape;
}

/* Whether reshape `op` joins repeated heads. */
static bool joins_heads(MlirOperation op, heads *out) {
  MlirOperation broadcast = maker_of(hct_op_operand(op, 0), "hct_graph.broadcast");
  if (mlirOperationIsNull(broadcast)) return false;
  hct_shape base = shape_of(hct_op_operand(broadcast, 0)), apart = shape_of(hct_op_result(broadcast, 0)), joined = shape_of(hct_op_result(op, 0));
  if (base.rank != apart.rank || joined.rank + 1 != apart.rank) return false;
  for (size_t d = 1; d < apart.rank; d++) {
    heads h = {d - 1, apart.dims[d - 1], apart.dims[d]};
    hct_shape one = split(&joined, &h, 1), many = split(&joined, &h, h.group);
    if (h.group == 1 || joined.dims[h.dim] != h.kv * h.group || memcmp(one.dims, base.dims, base.rank * sizeof *base.dims) || memcmp(many.dims, apart.dims, apart.rank * sizeof *apart.dims)) continue;
    *out = h;
    return true;
  }
  return false;
}

/* Whether `value` is repeated heads, or a part of them that has all heads. */
static bool is_repeated(MlirValue value, heads *out) {
  MlirOperation reshape = maker_of(value, "hct_graph.reshape"), slice = maker_of(value, "hct_graph.slice");
  if (!mlirOperationIsNull(reshape)) return joins_heads(reshape, out);
  return !mlirOperationIsNull(slice) && is_repeated(hct_op_operand(slice, 0), out) && shape_of(value).dims[out->dim] == out->kv * out->group;
}

static MlirValue reshape(grouping *g, MlirValue value, const hct_shape *shape, MlirOperation like) {
  MlirValue made = hct_build_value(&g->builder, "hct_graph.reshape", 1, &value, hct_type_tensor(g->builder.context, shape->dtype, shape->rank, shape->dims), 0, NULL);
  static const char *const names[] = {"hct.layer", "hct.pass", "hct.group"};
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (hct_op_has(like, names[i])) hct_op_set(mlirOpResultGetOwner(made), names[i], mlirOperationGetAttributeByName(like, hct_ref(names[i])));
  return made;
}

/* `value` with each kv head once, made where `value` is. */
static MlirValue once(grouping *g, MlirValue value, const heads *h) {
  size_t at;
  if (hct_index_map_get(g->index, hct_value_key(value), &at)) return g->copies.items[at];
  MlirOperation op = mlirOpResultGetOwner(value);
  hct_shape shape = shape_of(value);
  shape.dims[h->dim] = h->kv;
  MlirValue copy;
  if (hct_op_is(op, "hct_graph.slice")) {
    MlirOperation twin = mlirOperationClone(op);
    mlirOperationSetOperand(twin, 0, once(g, hct_op_operand(op, 0), h));
    mlirBlockInsertOwnedOperationBefore(g->builder.block, op, twin);
    copy = hct_op_result(twin, 0);
    mlirValueSetType(copy, hct_type_tensor(g->builder.context, shape.dtype, shape.rank, shape.dims));
  } else {
    g->builder.before = op;
    g->builder.location = mlirOperationGetLocation(op);
    MlirOperation broadcast = maker_of(hct_op_operand(op, 0), "hct_graph.broadcast"), apart = maker_of(hct_op_operand(broadcast, 0), "hct_graph.reshape");
    hct_shape before = mlirOperationIsNull(apart) ? (hct_shape){0} : shape_of(hct_op_operand(apart, 0));
    bool same = before.rank == shape.rank && !memcmp(before.dims, shape.dims, shape.rank * sizeof *shape.dims);
    copy = same ? hct_op_operand(apart, 0) : reshape(g, hct_op_operand(broadcast, 0), &shape, op);
  }
  hct_index_map_put(g->index, hct_value_key(value), g->copies.count);
  HCT_PUSH(g->arena, &g->copies, copy);
  return copy;
}

/* Letters of a contraction: those of operands 0 and 1, and of the result. */
typedef struct letters { const char *at[3]; size_t count[3]; } letters;

static letters letters_of(MlirOperation contract) {
  const char *spec = hct_op_str(contract, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  return (letters){{spec, comma + 1, arrow + 2}, {(size_t)(comma - spec), (size_t)(arrow - comma - 1), strlen(arrow + 2)}};
}

static bool letter_find(const letters *l, size_t part, char letter, size_t *out_dim) {
  const char *found = memchr(l->at[part], letter, l->count[part]);
  if (found) *out_dim = (size_t)(found - l->at[part]);
  return found != NULL;
}

/* The spec with a letter more after `heads` in the other operand and the result. */
static const char *spec_grouped(grouping *g, const letters *l, size_t repeated, char heads_letter) {
  char group = 'a', text[3][HCT_MAX_RANK + 1] = {{0}};
  size_t unused;
  while (letter_find(l, 0, group, &unused) || letter_find(l, 1, group, &unused)) group++;
  for (size_t part = 0; part < 3; part++)
    for (size_t i = 0, at = 0; i < l->count[part]; i++) {
      text[part][at++] = l->at[part][i];
      if (part != repeated && l->at[part][i] == heads_letter) text[part][at++] = group;
    }
  return hct_arena_printf(g->arena, "%s,%s->%s", text[0], text[1], text[2]);
}

/* `repeated`: the operand with repeated heads. */
static void product_group(grouping *g, MlirOperation op, size_t repeated, const heads *h) {
  letters l = letters_of(op);
  heads other = *h, result = *h;
  char letter = l.at[repeated][h->dim];
  if (!letter_find(&l, 1 - repeated, letter, &other.dim) || !letter_find(&l, 2, letter, &result.dim)) return;
  hct_shape wide = shape_of(hct_op_operand(op, 1 - repeated)), made = shape_of(hct_op_result(op, 0));
  if (wide.rank == HCT_MAX_RANK || made.rank == HCT_MAX_RANK) return;
  hct_shape apart = split(&wide, &other, h->group), made_apart = split(&made, &result, h->group);
  MlirValue kv = once(g, hct_op_operand(op, repeated), h);
  g->builder.before = op;
  g->builder.location = mlirOperationGetLocation(op);
  MlirOperation twin = mlirOperationClone(op);
  mlirOperationSetOperand(twin, (intptr_t)repeated, kv);
  mlirOperationSetOperand(twin, (intptr_t)(1 - repeated), reshape(g, hct_op_operand(op, 1 - repeated), &apart, op));
  hct_op_set(twin, "spec", hct_attr_str(g->builder.context, spec_grouped(g, &l, repeated, letter)));
  mlirValueSetType(hct_op_result(twin, 0), hct_type_tensor(g->builder.context, made_apart.dtype, made_apart.rank, made_apart.dims));
  mlirBlockInsertOwnedOperationBefore(g->builder.block, op, twin);
  hct_value_replace(hct_op_result(op, 0), reshape(g, hct_op_result(twin, 0), &made, op));
}

hct_status hct_pass_group_heads(hct_pass_context *pass, MlirModule module) {
  const strategy *chosen = strategy_find(hct_pass_option(pass, "strategy", "hecaton"));
  if (!chosen || !strcmp(hct_pass_option(pass, "backend", "chiplet"), "host")) return HCT_OK; /* as hct-replicate-heads */
  MlirOperation function = hct_module_function(module), *ops;
  grouping g = {.arena = hct_arena_create(), .builder = {.context = mlirModuleGetContext(module), .block = hct_function_body(function)}};
  g.index = hct_index_map_create(g.arena);
  size_t count = hct_block_operations(g.arena, g.builder.block, &ops);
  for (size_t i = 0; i < count; i++) {
    heads h;
    if (!hct_op_is(ops[i], "hct_graph.contract")) continue;
    for (size_t k = 0; k < 2; k++) {
      if (!is_repeated(hct_op_operand(ops[i], k), &h) || h.kv % strategy_head_parts(chosen, pass, h.kv * h.group)) continue;
      product_group(&g, ops[i], k, &h);
      break;
    }
  }
  hct_function_eliminate_dead(function);
  hct_arena_destroy(g.arena);
  return HCT_OK;
}
