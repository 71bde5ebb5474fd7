/* hct-replicate-heads: kv heads that fewer dies share than there are parts of heads, as more heads of copied weights.
 *
 *   before  %k = contract(%x, %w) {spec = "bsk,kn->bsn"} : [b,s,k], [k,kv*d]           %w {param}
 *           %h = transpose(reshape(%k)) : [b,kv,s,d];  %e = broadcast(reshape(%h)) : [b,kv,g,s,d];  reshape(%e) : [b,kv*g,s,d]
 *   after   %1 = constant one-hot [kv*m,kv], row i has its one in column i / m
 *           %2 = contract(reshape(%w), %1) {spec = "abc,db->adc"} : [k,kv,d], [kv*m,kv] -> [k,kv*m,d]
 *           %k = contract(%x, reshape(%2)) {spec = "bsk,kn->bsn"} : [b,s,k], [k,kv*m*d]
 *           %h = transpose(reshape(%k)) : [b,kv*m,s,d];  %e = broadcast(reshape(%h)) : [b,kv*m,g/m,s,d];  reshape(%e) : [b,kv*g,s,d]
 *
 * The mesh splits heads in n parts (strategy.h). Where n divides the query heads but not kv, m is the least divisor of g for which n divides
 * kv*m: then each die computes the keys and values that its queries need, and what travels is the weight and the sum of its gradient, once a
 * batch, in place of keys and values in each micro-batch. The projection costs m times as much. The parameter itself stays as it is. The copy
 * is a product with a one-hot matrix, so that reverse mode sums gradients of copies, and the partitioner their parts, without further rules.
 *
 * Left alone: heads that n does not divide; kv heads that come out of anything but operators below on a parameter. */
#include <string.h>

#include "compiler/strategy/strategy.h"

typedef struct visited { int dim; bool copied; MlirValue copy; } visited;
typedef struct replication {
  hct_arena *arena;
  MlirContext context;
  MlirOperation function;
  MlirBlock body;
  int64_t kv, times; /* heads, copies of each */
  hct_index_map *index; /* value -> visited */
  struct { visited *items; size_t count, capacity; } seen;
} replication;

static hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "a value that is no static tensor");
  return shape;
}

static bool is_param(const replication *r, MlirValue value) {
  if (!mlirValueIsABlockArgument(value)) return false;
  MlirAttribute role = hct_function_arg_attr(r->function, (size_t)mlirBlockArgumentGetArgNumber(value), "hct.role");
  return !mlirAttributeIsNull(role) && !strcmp(hct_attr_text(role), "param");
}

static MlirOperation maker_of(MlirValue value) { return mlirValueIsAOpResult(value) ? mlirOpResultGetOwner(value) : (MlirOperation){NULL}; }
static bool is_constant(MlirValue value) { return mlirValueIsAOpResult(value) && hct_op_is(maker_of(value), "hct_graph.constant"); }

/* ---- where an operator's operands have the heads that its result has in `dim`, as the major part of a dim ---- */
enum { NO_HEADS = -1, REFUSED = -2 };

static int in_elementwise(const hct_shape *result, MlirValue operand, int dim) {
  hct_shape shape = shape_of(operand);
  int at = dim - (int)(result->rank - shape.rank);
  if (at < 0 || (shape.dims[at] == 1 && (result->dims[dim] != 1 || is_constant(operand)))) return NO_HEADS;
  return at;
}

static int in_reshape(const replication *r, const hct_shape *from, const hct_shape *to, int dim) {
  int64_t before = 1, at = 1;
  for (int d = 0; d < dim; d++) before *= to->dims[d];
  for (int d = 0; d < (int)from->rank && at <= before; at *= from->dims[d++])
    if (at == before && from->dims[d] % r->kv == 0 && (from->dims[d] > 1 || to->dims[dim] == 1)) return d;
  return REFUSED;
}

static int in_contract(MlirOperation op, size_t operand, int dim) {
  const char *spec = hct_op_str(op, "spec"), *comma = strchr(spec, ','), letter = strstr(spec, "->")[2 + dim];
  const char *letters = operand ? comma + 1 : spec, *end = operand ? strstr(spec, "->") : comma, *at = memchr(letters, letter, (size_t)(end - letters));
  const char *other = operand ? spec : comma + 1, *other_end = operand ? comma : strstr(spec, "->");
  if (!at) return NO_HEADS;
  return memchr(other, letter, (size_t)(other_end - other)) ? REFUSED : (int)(at - letters);
}

static int heads_in(const replication *r, MlirOperation op, size_t operand, int dim) {
  int64_t numbers[HCT_MAX_RANK];
  hct_shape from = shape_of(hct_op_operand(op, operand)), to = shape_of(hct_op_result(op, 0));
  if (hct_op_is(op, "hct_graph.map1") || hct_op_is(op, "hct_graph.map2") || hct_op_is(op, "hct_graph.select")) return in_elementwise(&to, hct_op_operand(op, operand), dim);
  if (hct_op_is(op, "hct_graph.reshape")) return in_reshape(r, &from, &to, dim);
  if (hct_op_is(op, "hct_graph.contract")) return in_contract(op, operand, dim);
  if (hct_op_is(op, "hct_graph.transpose")) return hct_op_i64s(op, "perm", numbers, HCT_MAX_RANK), (int)numbers[dim];
  if (hct_op_is(op, "hct_graph.concat")) return hct_op_i64(op, "axis") == dim ? REFUSED : dim;
  bool whole = hct_op_is(op, "hct_graph.slice") || (hct_op_is(op, "hct_graph.reduce") && to.dims[dim] > 1);
  return whole && from.dims[dim] == to.dims[dim] ? dim : REFUSED;
}

/* ---- whether all that carries the heads comes from parameters ---- */
static visited *visit(replication *r, MlirValue value, int dim, bool *out_first) {
  size_t at;
  *out_first = !hct_index_map_get(r->index, hct_value_key(value), &at);
  if (*out_first) {
    at = r->seen.count;
    hct_index_map_put(r->index, hct_value_key(value), at);
    HCT_PUSH(r->arena, &r->seen, ((visited){dim, false, {NULL}}));
  }
  return &r->seen.items[at];
}

static bool comes_from_params(replication *r, MlirValue value, int dim) {
  bool first, carried = false;
  hct_shape shape = shape_of(value);
  if (shape.dtype != HCT_F32 || shape.dims[dim] % r->kv) return false;
  if (visit(r, value, dim, &first)->dim != dim) return false;
  if (!first || is_param(r, value)) return shape.rank < HCT_MAX_RANK; /* one more while a parameter's heads are apart */
  MlirOperation op = maker_of(value);
  if (mlirOperationIsNull(op) || mlirOperationGetNumResults(op) != 1) return false;
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
    int at = heads_in(r, op, (size_t)k, dim);
    if (at == NO_HEADS) continue;
    if (at == REFUSED || !comes_from_params(r, hct_op_operand(op, (size_t)k), at)) return false;
    carried = true;
  }
  return carried;
}

/* ---- the copies ---- */
static MlirValue build(hct_builder *b, MlirOperation like, const char *name, size_t count, const MlirValue *operands, const hct_shape *shape, hct_named attribute) {
  MlirValue value = hct_build_value(b, name, count, operands, hct_type_tensor(b->context, shape->dtype, shape->rank, shape->dims), attribute.name ? 1 : 0, &attribute);
  static const char *const names[] = {"hct.layer", "hct.pass", "hct.group"};
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (hct_op_has(like, names[i])) hct_op_set(maker_of(value), names[i], mlirOperationGetAttributeByName(like, hct_ref(names[i])));
  return value;
}

static MlirValue one_hot(replication *r, hct_builder *b, MlirOperation like) {
  hct_shape shape = {.dtype = HCT_F32, .rank = 2, .dims = {r->kv * r->times, r->kv}};
  float *values = HCT_NEW_ARRAY(r->arena, float, (size_t)(shape.dims[0] * shape.dims[1]));
  for (int64_t i = 0; i < shape.dims[0]; i++) values[i * r->kv + i / r->times] = 1;
  MlirAttribute elements = mlirDenseElementsAttrFloatGet(hct_type_tensor(r->context, HCT_F32, 2, shape.dims), (intptr_t)(shape.dims[0] * shape.dims[1]), values);
  return build(b, like, "hct_graph.constant", 0, NULL, &shape, (hct_named){"value", elements});
}

/* [.., kv*d, ..] -> [.., kv*m*d, ..], before `reader`. */
static MlirValue param_copies(replication *r, MlirValue param, int dim, MlirOperation reader) {
  hct_builder b = {.context = r->context, .block = r->body, .before = reader, .location = mlirOperationGetLocation(reader)};
  hct_shape whole = shape_of(param), split = whole;
  char spec[4 * HCT_MAX_RANK] = {0};
  split.rank++;
  for (int d = (int)split.rank - 1; d > dim; d--) split.dims[d] = whole.dims[d - 1];
  split.dims[dim] = r->kv, split.dims[dim + 1] = whole.dims[dim] / r->kv;
  MlirValue heads = build(&b, reader, "hct_graph.reshape", 1, &param, &split, (hct_named){0}), operands[] = {heads, one_hot(r, &b, reader)};
  size_t at = 0, rank = split.rank;
  for (size_t d = 0; d < rank; d++) spec[at++] = (char)('a' + d);
  spec[at++] = ',', spec[at++] = (char)('a' + rank), spec[at++] = (char)('a' + dim), spec[at++] = '-', spec[at++] = '>';
  for (size_t d = 0; d < rank; d++) spec[at++] = (char)('a' + ((int)d == dim ? rank : d));
  split.dims[dim] *= r->times, whole.dims[dim] *= r->times;
  heads = build(&b, reader, "hct_graph.contract", 2, operands, &split, (hct_named){"spec", hct_attr_str(r->context, spec)});
  return build(&b, reader, "hct_graph.reshape", 1, &heads, &whole, (hct_named){0});
}

static MlirValue copies(replication *r, MlirValue value, int dim, MlirOperation reader) {
  size_t at;
  HCT_BUG_ON(!hct_index_map_get(r->index, hct_value_key(value), &at), "heads that were not traced");
  if (r->seen.items[at].copied) return r->seen.items[at].copy;
  MlirValue copy;
  if (is_param(r, value)) {
    copy = param_copies(r, value, dim, reader);
  } else {
    MlirOperation op = maker_of(value), twin = mlirOperationClone(op);
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
      int heads = heads_in(r, op, (size_t)k, dim);
      if (heads != NO_HEADS) mlirOperationSetOperand(twin, k, copies(r, mlirOperationGetOperand(op, k), heads, op));
    }
    mlirBlockInsertOwnedOperationBefore(r->body, op, twin);
    copy = hct_op_result(twin, 0);
    hct_shape shape = shape_of(value);
    shape.dims[dim] *= r->times;
    mlirValueSetType(copy, hct_type_tensor(r->context, shape.dtype, shape.rank, shape.dims));
  }
  r->seen.items[at].copied = true, r->seen.items[at].copy = copy;
  return copy;
}

/* ---- where heads are broadcast to groups of queries ---- */
/* [.., kv, 1, ..] to [.., kv, g, ..], which only reshapes read: the dim of kv; -1: another broadcast. */
static int grouped_dim(MlirOperation op) {
  if (!hct_op_is(op, "hct_graph.broadcast")) return -1;
  hct_shape from = shape_of(hct_op_operand(op, 0)), to = shape_of(hct_op_result(op, 0));
  int grown = -1;
  for (size_t d = 0; from.rank == to.rank && d < to.rank; d++) {
    if (from.dims[d] == to.dims[d]) continue;
    if (grown >= 0) return -1;
    grown = (int)d;
  }
  for (MlirOpOperand use = mlirValueGetFirstUse(hct_op_result(op, 0)); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use))
    if (!hct_op_is(mlirOpOperandGetOwner(use), "hct_graph.reshape")) return -1;
  return grown - 1 < 0 ? -1 : grown - 1;
}

static int64_t times_wanted(int64_t kv, int64_t group, int64_t parts) {
  if (kv % parts == 0 || kv * group % parts) return 1;
  int64_t times = 2;
  while (group % times || kv * times % parts) times++;
  return times;
}

static void replicate(replication *r, MlirOperation op, int dim, const strategy *chosen, const hct_pass_context *pass) {
  hct_shape to = shape_of(hct_op_result(op, 0));
  r->index = hct_index_map_create(r->arena);
  r->seen.count = 0;
  r->kv = to.dims[dim];
  r->times = times_wanted(r->kv, to.dims[dim + 1], strategy_head_parts(chosen, pass, r->kv * to.dims[dim + 1]));
  if (r->times == 1 || !comes_from_params(r, hct_op_operand(op, 0), dim)) return;
  mlirOperationSetOperand(op, 0, copies(r, hct_op_operand(op, 0), dim, op));
  if (r->times == to.dims[dim + 1]) {
    hct_value_replace(hct_op_result(op, 0), hct_op_operand(op, 0)); /* each query head has its own */
    return;
  }
  to.dims[dim] *= r->times, to.dims[dim + 1] /= r->times;
  mlirValueSetType(hct_op_result(op, 0), hct_type_tensor(r->context, to.dtype, to.rank, to.dims));
}

hct_status hct_pass_replicate_heads(hct_pass_context *pass, MlirModule module) {
  const strategy *chosen = strategy_find(hct_pass_option(pass, "strategy", "hecaton"));
  if (!chosen || !strcmp(hct_pass_option(pass, "backend", "chiplet"), "host")) return HCT_OK; /* hct-partition refuses an unknown one; the host has no mesh */
  replication r = {.arena = hct_arena_create(), .context = mlirModuleGetContext(module), .function = hct_module_function(module)};
  r.body = hct_function_body(r.function);
  MlirOperation *ops;
  size_t count = hct_block_operations(r.arena, r.body, &ops);
  for (size_t i = 0; i < count; i++) {
    int dim = grouped_dim(ops[i]);
    if (dim >= 0) replicate(&r, ops[i], dim, chosen, pass);
  }
  hct_function_eliminate_dead(r.function);
  hct_arena_destroy(r.arena);
  return HCT_OK;
}
