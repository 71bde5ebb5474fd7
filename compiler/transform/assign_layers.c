/* hct-assign-layers: names every forward operation's layer (hct.layer) and numbers its fusion group (hct.group), with
 * hct.pass = "forward".
 *
 * Groups. An activation is a float value that depends on an input and on a parameter. A point of the body is an articulation
 * when one activation alone is used after it; the residual stream between two sublayers is such a point, a padding mask or a
 * weight that crosses it does not matter. The body is cut at articulations so that each group has at least one contraction with
 * a parameter: at the first such point after a contraction where the activation has several uses (the residual stream), else at
 * the last one before the next contraction (a plain chain: bias and activation stay with their layer). A lookup counts as a contraction (with one-hot
 * rows) where its table and the table's gradient take a large share of SRAM: then no layer shares its group.
 *
 * With --schedule=layerwise, and with --units=layers, each layer is a group of its own, and a layer whose name comes back after others (the common one of attention and
 * of a gated FFN) is another: an operation is in the group last begun by its layer, unless what it reads is made later.
 *
 * Layers. An operation with a parameter is named after it, without the last component ("h.0.c_attn.weight" -> "h.0.c_attn").
 * Others take the name that flows in, when it is one; what reads the residual stream takes the name of its users (a norm's
 * statistics); where several names meet (attention, a gated FFN), their common prefix ("layers.0"). Operations of a loss are
 * named "loss". */
#include <string.h>

#include "compiler/pass.h"

enum { FROM_INPUT = 1, FROM_PARAMETER = 2 };

typedef struct node {
  MlirOperation op;
  bool activation;   /* its result is one */
  bool contraction;  /* with a parameter, or a lookup in a large one */
  size_t last_use;   /* of an activation: index of the last operation that uses it */
  size_t uses;
  bool stream;       /* an articulation with several uses, as between sublayers */
  int64_t group;
  const char *layer; /* NULL: not known yet */
  const char *parameter; /* name of the parameter its operands come from without any activation, or NULL */
} node;

typedef struct graph {
  hct_arena *arena;
  int64_t large_bytes; /* of a table with its gradient */
  MlirOperation function;
  MlirBlock body;
  node *nodes;
  size_t count;
  hct_index_map *producer; /* value -> node index */
  hct_index_map *origin;   /* value -> FROM_ bits */
} graph;

static const char *argument_text(const graph *g, size_t i, const char *name) {
  MlirAttribute attribute = hct_function_arg_attr(g->function, i, name);
  const char *text = mlirAttributeIsNull(attribute) ? NULL : hct_attr_text(attribute);
  return text ? text : "";
}

static size_t origin_of(const graph *g, MlirValue value) {
  size_t bits = 0;
  hct_index_map_get(g->origin, hct_value_key(value), &bits);
  return bits;
}

static node *producer_of(const graph *g, MlirValue value) {
  size_t i;
  return hct_index_map_get(g->producer, hct_value_key(value), &i) ? &g->nodes[i] : NULL;
}

static bool is_float(MlirValue value) {
  hct_shape shape;
  return hct_value_shape(value, &shape) && hct_dtype_is_float(shape.dtype);
}

/* ---- activations and groups ---- */

/* Name of the parameter that `value` is, or is made of. */
static const char *parameter_of(const graph *g, MlirValue value) {
  if (origin_of(g, value) != FROM_PARAMETER) return NULL;
  if (mlirValueIsABlockArgument(value)) return argument_text(g, (size_t)mlirBlockArgumentGetArgNumber(value), "hct.name");
  node *from = producer_of(g, value);
  return from ? from->parameter : NULL;
}

/* A low copy and a gradient in f32, or both in f32. */
static bool is_large_lookup(const graph *g, const node *n, size_t operand) {
  hct_shape shape;
  enum { TABLE = 0, GRADIENT_BYTES = 4, LOW_BYTES = 2 };
  if (operand != TABLE || !hct_op_is(n->op, "hct_graph.gather_rows") || !hct_value_shape(mlirOperationGetOperand(n->op, TABLE), &shape)) return false;
  return hct_shape_elements(&shape) >= g->large_bytes / (GRADIENT_BYTES + LOW_BYTES);
}

static void trace_origins(graph *g) {
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(g->body); i++) {
    const char *role = argument_text(g, (size_t)i, "hct.role");
    size_t bits = !strcmp(role, "input") ? FROM_INPUT : !strcmp(role, "param") ? FROM_PARAMETER : 0;
    hct_index_map_put(g->origin, hct_value_key(mlirBlockGetArgument(g->body, i)), bits);
  }
  for (size_t i = 0; i < g->count; i++) {
    node *n = &g->nodes[i];
    size_t bits = 0;
    for (intptr_t o = 0; o < mlirOperationGetNumOperands(n->op); o++) {
      MlirValue value = mlirOperationGetOperand(n->op, o);
      bits |= origin_of(g, value);
      if (!n->parameter) n->parameter = parameter_of(g, value);
      node *from = producer_of(g, value);
      if (from) from->last_use = i, from->uses++;
      n->contraction = n->contraction || (parameter_of(g, value) && (hct_op_is(n->op, "hct_graph.contract") || is_large_lookup(g, n, (size_t)o)));
    }
    for (intptr_t r = 0; r < mlirOperationGetNumResults(n->op); r++) {
      MlirValue value = mlirOperationGetResult(n->op, r);
      hct_index_map_put(g->origin, hct_value_key(value), bits);
      hct_index_map_put(g->producer, hct_value_key(value), i);
      n->activation = n->activation || (bits == (FROM_INPUT | FROM_PARAMETER) && is_float(value));
    }
    n->contraction = n->contraction && n->activation;
    n->last_use = i;
  }
}

/* The articulation after node i: the activation that alone crosses it, NULL when there are none or several. */
static node **find_articulations(graph *g) {
  node **points = HCT_NEW_ARRAY(g->arena, node *, g->count + 1);
  struct { node **items; size_t count, capacity; } live = {0};
  for (size_t i = 0; i < g->count; i++) {
    size_t kept = 0;
    for (size_t k = 0; k < live.count; k++)
      if (live.items[k]->last_use > i) live.items[kept++] = live.items[k];
    live.count = kept;
    if (g->nodes[i].activation && g->nodes[i].last_use > i) HCT_PUSH(g->arena, &live, &g->nodes[i]);
    points[i] = live.count == 1 ? live.items[0] : NULL;
    if (points[i] && points[i]->uses > 1) points[i]->stream = true;
  }
  return points;
}

static size_t choose_cut(node *const *points, size_t first, size_t next_contraction) {
  size_t last = SIZE_MAX;
  for (size_t i = first; i < next_contraction; i++) {
    if (!points[i]) continue;
    if (points[i]->uses > 1) return i;
    last = i;
  }
  return last;
}

static void number_groups(graph *g) {
  node **points = find_articulations(g);
  int64_t group = 0;
  bool has_contraction = false;
  size_t start = 0;
  for (size_t i = 0; i < g->count; i++) {
    has_contraction = has_contraction || g->nodes[i].contraction;
    if (!has_contraction || !points[i]) continue;
    size_t next = i + 1; /* the contraction that the next group has */
    while (next < g->count && !g->nodes[next].contraction) next++;
    if (next == g->count) break;
    size_t cut = choose_cut(points, i, next);
    for (size_t k = start; k <= cut; k++) g->nodes[k].group = group;
    group++, start = cut + 1, i = cut, has_contraction = false;
  }
  for (size_t k = start; k < g->count; k++) g->nodes[k].group = group;
}

/* What is no activation (masks, reshaped weights, constants) joins the first group that uses it. */
static void pull_to_users(graph *g) {
  for (size_t i = g->count; i-- > 0;) {
    node *n = &g->nodes[i];
    if (n->activation || n->uses == 0) continue;
    int64_t first = INT64_MAX;
    for (intptr_t r = 0; r < mlirOperationGetNumResults(n->op); r++)
      for (MlirOpOperand use = mlirValueGetFirstUse(mlirOperationGetResult(n->op, r)); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
        MlirOperation user = mlirOpOperandGetOwner(use);
        node *to = mlirOperationGetNumResults(user) ? producer_of(g, mlirOperationGetResult(user, 0)) : NULL;
        if (to && to->group < first) first = to->group;
      }
    if (first != INT64_MAX) n->group = first;
  }
}

/* Groups by layers, once these are named. Numbers grow along each path, so that each group can run when those before it have. */
static void group_layers(graph *g) {
  struct { const char **items; size_t count, capacity; } layers = {0}; /* by group */
  for (size_t i = 0; i < g->count; i++) {
    node *n = &g->nodes[i];
    size_t least = 0, at;
    n->group = 0;
    if (!n->activation) continue;
    for (intptr_t o = 0; o < mlirOperationGetNumOperands(n->op); o++) {
      const node *from = producer_of(g, mlirOperationGetOperand(n->op, o));
      if (from && from->activation && from->group > (int64_t)least) least = (size_t)from->group;
    }
    for (at = layers.count; at > least && strcmp(layers.items[at - 1], n->layer);) at--;
    if (at > least) {
      n->group = (int64_t)at - 1;
      continue;
    }
    n->group = (int64_t)layers.count;
    HCT_PUSH(g->arena, &layers, n->layer);
  }
  pull_to_users(g);
}

/* ---- layers ---- */

static const char *without_last(hct_arena *arena, const char *name) {
  const char *dot = strrchr(name, '.');
  return dot && dot != name ? hct_arena_strndup(arena, name, (size_t)(dot - name)) : name;
}

/* Longest common prefix in whole components; "" when there is none. */
static const char *common_prefix(hct_arena *arena, const char *a, const char *b) {
  size_t whole = 0, i = 0;
  while (a[i] && a[i] == b[i]) {
    if (a[i] == '.') whole = i;
    i++;
  }
  if ((a[i] == 0 || a[i] == '.') && (b[i] == 0 || b[i] == '.')) whole = i;
  return hct_arena_strndup(arena, a, whole);
}

static const char *join(hct_arena *arena, const char *a, const char *b) { return !a ? b : !b || !strcmp(a, b) ? a : common_prefix(arena, a, b); }

static bool same_location(MlirOperation a, MlirOperation b) { return mlirLocationEqual(mlirOperationGetLocation(a), mlirOperationGetLocation(b)); }

/* A loss picks its targets among the classes; all operations of its node follow. */
static void name_losses(graph *g) {
  for (size_t i = 0; i < g->count; i++) {
    if (!hct_op_is(g->nodes[i].op, "hct_graph.pick")) continue;
    for (size_t k = 0; k < g->count; k++)
      if (k == i || (!g->nodes[k].parameter && same_location(g->nodes[k].op, g->nodes[i].op))) g->nodes[k].layer = "loss";
  }
}

static void name_from_operands(graph *g, const char *const *group_prefix) {
  for (size_t i = 0; i < g->count; i++) {
    node *n = &g->nodes[i];
    if (n->layer || !n->activation) continue;
    bool known = false;
    const char *name = NULL;
    for (intptr_t o = 0; o < mlirOperationGetNumOperands(n->op); o++) {
      node *from = producer_of(g, mlirOperationGetOperand(n->op, o));
      if (!from || !from->activation || from->stream || from->group != n->group) continue; /* these name nothing */
      if (!from->layer) { known = false; break; }
      name = join(g->arena, name, from->layer);
      known = true;
    }
    if (known) n->layer = name[0] ? name : group_prefix[n->group];
  }
}

static void name_from_users(graph *g, const char *const *group_prefix) {
  for (size_t i = g->count; i-- > 0;) {
    node *n = &g->nodes[i];
    if (n->layer) continue;
    const char *name = NULL;
    for (intptr_t r = 0; r < mlirOperationGetNumResults(n->op); r++)
      for (MlirOpOperand use = mlirValueGetFirstUse(mlirOperationGetResult(n->op, r)); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
        MlirOperation user = mlirOpOperandGetOwner(use);
        node *to = mlirOperationGetNumResults(user) ? producer_of(g, mlirOperationGetResult(user, 0)) : NULL;
        if (to && to->layer && to->group == n->group) name = join(g->arena, name, to->layer);
      }
    n->layer = name && name[0] ? name : group_prefix[n->group];
  }
}

static const char *const *find_group_prefixes(const graph *g) {
  int64_t groups = g->count ? g->nodes[0].group : 0;
  for (size_t i = 0; i < g->count; i++)
    if (g->nodes[i].group > groups) groups = g->nodes[i].group;
  const char **prefix = HCT_NEW_ARRAY(g->arena, const char *, (size_t)groups + 1), **first = HCT_NEW_ARRAY(g->arena, const char *, (size_t)groups + 1);
  for (size_t i = 0; i < g->count; i++) {
    const node *n = &g->nodes[i];
    if (!n->contraction) continue;
    if (!first[n->group]) first[n->group] = n->layer;
    prefix[n->group] = join(g->arena, prefix[n->group], n->layer);
  }
  for (int64_t k = 0; k <= groups; k++)
    if (!prefix[k] || !prefix[k][0]) prefix[k] = first[k] ? first[k] : "model";
  return prefix;
}

static void name_layers(graph *g) {
  for (size_t i = 0; i < g->count; i++)
    if (g->nodes[i].parameter) g->nodes[i].layer = without_last(g->arena, g->nodes[i].parameter);
  name_losses(g);
  const char *const *prefix = find_group_prefixes(g);
  name_from_operands(g, prefix); /* from a linear layer on */
  name_from_users(g, prefix);    /* what leads to a layer, and what is no activation */
}

hct_status hct_pass_assign_layers(hct_pass_context *context, MlirModule module) {
  enum { LARGE = 4 }; /* a part of SRAM */
  graph g = {.arena = hct_arena_create(), .function = hct_module_function(module), .large_bytes = context->package.rows * context->package.cols * context->package.sram_bytes / LARGE};
  MlirContext mlir = mlirModuleGetContext(module);
  MlirOperation *ops;
  g.body = hct_function_body(g.function);
  g.count = hct_block_operations(g.arena, g.body, &ops) - 1; /* without the terminator */
  g.nodes = HCT_NEW_ARRAY(g.arena, node, g.count + 1);
  for (size_t i = 0; i < g.count; i++) g.nodes[i].op = ops[i];
  g.producer = hct_index_map_create(g.arena);
  g.origin = hct_index_map_create(g.arena);
  trace_origins(&g);
  number_groups(&g);
  pull_to_users(&g);
  name_layers(&g);
  if (!strcmp(hct_pass_option(context, "schedule", "fused"), "layerwise") || !strcmp(hct_pass_option(context, "units", "auto"), "layers")) group_layers(&g);
  for (size_t i = 0; i < g.count; i++) {
    hct_op_set(ops[i], "hct.layer", hct_attr_str(mlir, g.nodes[i].layer));
    hct_op_set(ops[i], "hct.group", hct_attr_i64(mlir, g.nodes[i].group));
    hct_op_set(ops[i], "hct.pass", hct_attr_str(mlir, "forward"));
  }
  hct_arena_destroy(g.arena);
  return HCT_OK;
}
