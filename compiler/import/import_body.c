/* Graphs that operators hold (branches of an If, bodies of a Loop or a Scan, ...): their nodes join those of the graph, whose values they see, as
 * often as they are run, under names that say the operator and the iteration. */
#include <string.h>

#include "compiler/import/import_internal.h"

/* ---- nodes of our own ---- */
Onnx__NodeProto *import_node_create(importer *im, const char *op_type, const char *label, size_t input_count, char *const *inputs, char *output) {
  Onnx__NodeProto *node = HCT_NEW(im->arena, Onnx__NodeProto);
  onnx__node_proto__init(node);
  node->op_type = hct_arena_strdup(im->arena, op_type);
  node->name = label ? hct_arena_printf(im->arena, "%s/%s", label, op_type) : NULL;
  node->n_input = input_count;
  node->n_output = 1;
  node->input = HCT_NEW_ARRAY(im->arena, char *, input_count + 1);
  node->output = HCT_NEW_ARRAY(im->arena, char *, 1);
  if (input_count) memcpy(node->input, inputs, input_count * sizeof *inputs);
  node->output[0] = output;
  return node;
}

static Onnx__AttributeProto *attribute_add(importer *im, Onnx__NodeProto *node, const char *name, Onnx__AttributeProto__AttributeType type) {
  Onnx__AttributeProto *a = HCT_NEW(im->arena, Onnx__AttributeProto), **all = HCT_NEW_ARRAY(im->arena, Onnx__AttributeProto *, node->n_attribute + 1);
  onnx__attribute_proto__init(a);
  a->name = hct_arena_strdup(im->arena, name);
  a->has_type = true;
  a->type = type;
  if (node->n_attribute) memcpy(all, node->attribute, node->n_attribute * sizeof *all);
  all[node->n_attribute++] = a;
  node->attribute = all;
  return a;
}

void import_node_set_int(importer *im, Onnx__NodeProto *node, const char *name, int64_t value) {
  Onnx__AttributeProto *a = attribute_add(im, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
  a->has_i = true;
  a->i = value;
}

void import_node_set_ints(importer *im, Onnx__NodeProto *node, const char *name, size_t count, const int64_t *values) {
  Onnx__AttributeProto *a = attribute_add(im, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
  a->n_ints = count;
  a->ints = HCT_NEW_ARRAY(im->arena, int64_t, count + 1);
  memcpy(a->ints, values, count * sizeof *values);
}

char *import_name_next(importer *im, const char *scope) { return hct_arena_printf(im->arena, "%s#%zu", scope, im->graph->n_node); }

char *import_name_known(importer *im, const char *name, host_tensor host) {
  import_value *value = HCT_NEW(im->arena, import_value);
  *value = (import_value){.known = true, .host = host, .shape = host.shape};
  hct_map_put(im->values, name, value);
  return hct_arena_strdup(im->arena, name);
}

char *import_name_number(importer *im, const char *scope, hct_dtype dtype, size_t rank, int64_t number) {
  static const int64_t one[] = {1};
  char *name = hct_arena_printf(im->arena, "%s#%s.%zu.%lld", scope, hct_dtype_name(dtype), rank, (long long)number);
  if (hct_map_has(im->values, name)) return name;
  host_tensor t = host_create(im->arena, dtype, rank, one);
  host_set(&t, 0, (double)number);
  return import_name_known(im, name, t);
}

void import_joined_add(importer *im, const char *op_type, const int64_t *axis, const char *label, const char *scope, size_t count, char *const *values, char *to) {
  char **parts = HCT_NEW_ARRAY(im->arena, char *, count + 1);
  memcpy(parts, values, count * sizeof *parts);
  for (bool last = false; !last;) {
    size_t made = 0;
    last = count <= HCT_MAX_VARIADIC;
    for (size_t at = 0; at < count; at += HCT_MAX_VARIADIC) {
      size_t part = count - at < HCT_MAX_VARIADIC ? count - at : HCT_MAX_VARIADIC;
      Onnx__NodeProto *node = import_node_create(im, op_type, label, part, parts + at, last ? to : import_name_next(im, scope));
      if (axis) import_node_set_int(im, node, "axis", *axis);
      import_node_add(im, node);
      parts[made++] = node->output[0];
    }
    count = made;
  }
}

hct_status import_count_nodes(importer *im, int64_t times, int64_t nodes) {
  int64_t all;
  if (hct_mul_i64(times, nodes, &all) && all <= IMPORT_MAX_NODES - im->expanded) {
    im->expanded += all;
    return HCT_OK;
  }
  import_refuse(im, HCT_E_UNSUPPORTED, "functions and loops that make more than %d nodes", IMPORT_MAX_NODES);
  if (times > 1) hct_note(im->pass->diags, "here %lld iterations of %lld nodes each, all of which become nodes of the graph", (long long)times, (long long)nodes);
  return HCT_REFUSED;
}

/* ---- a graph under other names ---- */
typedef struct renaming {
  importer *im;
  const hct_map *names, *constants; /* of the graph's values -> char *, the model's */
} renaming;

static char *name_of(const renaming *r, char *name) {
  if (!name || !name[0]) return name;
  char *made = hct_map_get(r->names, name), *constant = made ? NULL : hct_map_get(r->constants, name);
  return made ? made : constant ? constant : name;
}

static Onnx__GraphProto *graph_renamed(const renaming *r, const Onnx__GraphProto *graph);

static Onnx__NodeProto *node_renamed(const renaming *r, const Onnx__NodeProto *from) {
  hct_arena *arena = r->im->arena;
  Onnx__NodeProto *node = HCT_NEW(arena, Onnx__NodeProto);
  *node = *from;
  node->input = HCT_NEW_ARRAY(arena, char *, from->n_input + 1);
  node->output = HCT_NEW_ARRAY(arena, char *, from->n_output + 1);
  node->attribute = HCT_NEW_ARRAY(arena, Onnx__AttributeProto *, from->n_attribute + 1);
  for (size_t k = 0; k < from->n_input; k++) node->input[k] = name_of(r, from->input[k]);
  for (size_t o = 0; o < from->n_output; o++) node->output[o] = name_of(r, from->output[o]);
  for (size_t a = 0; a < from->n_attribute; a++) {
    node->attribute[a] = from->attribute[a];
    if (!from->attribute[a]->g) continue;
    node->attribute[a] = HCT_NEW(arena, Onnx__AttributeProto);
    *node->attribute[a] = *from->attribute[a];
    node->attribute[a]->g = graph_renamed(r, from->attribute[a]->g);
  }
  return node;
}

static Onnx__ValueInfoProto **infos_renamed(const renaming *r, size_t count, Onnx__ValueInfoProto *const *from) {
  Onnx__ValueInfoProto **infos = HCT_NEW_ARRAY(r->im->arena, Onnx__ValueInfoProto *, count + 1);
  for (size_t i = 0; i < count; i++) {
    infos[i] = HCT_NEW(r->im->arena, Onnx__ValueInfoProto);
    *infos[i] = *from[i];
    infos[i]->name = name_of(r, from[i]->name);
  }
  return infos;
}

/* A graph inside the graph: a name that both make means its own there, under the new name as under the old one. */
static Onnx__GraphProto *graph_renamed(const renaming *r, const Onnx__GraphProto *from) {
  hct_arena *arena = r->im->arena;
  Onnx__GraphProto *graph = HCT_NEW(arena, Onnx__GraphProto);
  *graph = *from;
  graph->node = HCT_NEW_ARRAY(arena, Onnx__NodeProto *, from->n_node + 1);
  graph->initializer = HCT_NEW_ARRAY(arena, Onnx__TensorProto *, from->n_initializer + 1);
  for (size_t n = 0; n < from->n_node; n++) graph->node[n] = node_renamed(r, from->node[n]);
  graph->input = infos_renamed(r, from->n_input, from->input);
  graph->output = infos_renamed(r, from->n_output, from->output);
  for (size_t i = 0; i < from->n_initializer; i++) {
    graph->initializer[i] = HCT_NEW(arena, Onnx__TensorProto);
    *graph->initializer[i] = *from->initializer[i];
    graph->initializer[i]->name = name_of(r, from->initializer[i]->name);
  }
  return graph;
}

/* ---- bodies ---- */
/* Those of more inputs and outputs than an operator of the graph level has count for several. */
static int64_t nodes_within(const Onnx__GraphProto *graph) {
  int64_t count = 1 + (int64_t)((graph->n_input + graph->n_output) / HCT_MAX_VARIADIC);
  for (size_t n = 0; n < graph->n_node; n++) {
    count += 1 + (int64_t)((graph->node[n]->n_input + graph->node[n]->n_output) / HCT_MAX_VARIADIC);
    for (size_t a = 0; a < graph->node[n]->n_attribute; a++)
      if (graph->node[n]->attribute[a]->g) count += nodes_within(graph->node[n]->attribute[a]->g);
  }
  return count;
}

/* Where weights are trained, those of a body are not: it is said once of each. */
static void remark_constant(importer *im, const import_body *body, const char *name, const host_tensor *host) {
  bool trains = strcmp(hct_pass_option(im->pass, "mode", "train"), "infer") != 0;
  if (!trains || !host_is_float(host) || hct_shape_elements(&host->shape) < 2) return;
  if (!im->untrained) im->untrained = hct_map_create(im->arena);
  if (hct_map_has(im->untrained, name)) return;
  hct_map_put(im->untrained, name, im);
  hct_remark(im->pass->diags, im->loc, "initializer '%s' of its %s is a constant and not trained; one of the model's graph would be", name, body->attribute);
}

hct_status import_body_read(importer *im, const char *attribute, size_t inputs, size_t outputs, import_body *out_body) {
  const Onnx__AttributeProto *a = import_attribute(im, attribute);
  if (!im->graph) return import_refuse(im, HCT_E_UNSUPPORTED, "a graph inside an operator at this level; the importer replaces it by its nodes");
  if (!a || !a->g) return import_refuse(im, HCT_E_ONNX_INVALID, "its %s is missing", attribute);
  if (a->g->n_input != inputs || a->g->n_output != outputs) return import_refuse(im, HCT_E_ONNX_INVALID, "its %s has %zu inputs and %zu outputs; it needs %zu and %zu", attribute, a->g->n_input, a->g->n_output, inputs, outputs);
  import_body body = {.graph = a->g, .attribute = attribute, .own = im->sites[im->node_index].name, .constants = hct_map_create(im->arena), .nodes = nodes_within(a->g)};
  body.scope = hct_arena_printf(im->arena, "%s.%zu.%s", body.own, im->node_index, attribute);
  for (size_t i = 0; i < body.graph->n_initializer; i++) {
    host_tensor host;
    const char *name = body.graph->initializer[i]->name;
    if (!name || !name[0]) return import_refuse(im, HCT_E_ONNX_INVALID, "an initializer of its %s has no name", attribute);
    HCT_TRY(host_from_proto(im, body.graph->initializer[i], &host));
    remark_constant(im, &body, name, &host);
    hct_map_put(body.constants, name, import_name_known(im, hct_arena_printf(im->arena, "%s/%s", body.scope, name), host));
  }
  *out_body = body;
  return HCT_OK;
}

hct_status import_body_add(importer *im, const import_body *body, const char *suffix, char *const *inputs, char **out_outputs) {
  const Onnx__GraphProto *graph = body->graph;
  hct_map *names = hct_map_create(im->arena);
  renaming r = {im, names, body->constants};
  for (size_t i = 0; i < graph->n_input; i++) hct_map_put(names, graph->input[i]->name, inputs[i]);
  for (size_t n = 0; n < graph->n_node; n++)
    for (size_t o = 0; o < graph->node[n]->n_output; o++)
      if (graph->node[n]->output[o][0]) hct_map_put(names, graph->node[n]->output[o], hct_arena_printf(im->arena, "%s%s/%s", body->scope, suffix, graph->node[n]->output[o]));
  for (size_t n = 0; n < graph->n_node; n++) {
    Onnx__NodeProto *node = node_renamed(&r, graph->node[n]);
    if (!import_is_operator(node)) return import_refuse(im, HCT_E_ONNX_OP, "operator %s%s%s in its %s is not supported", import_domain_is_onnx(node->domain) ? "" : node->domain, import_domain_is_onnx(node->domain) ? "" : ".", node->op_type, body->attribute);
    node->name = hct_arena_printf(im->arena, "%s%s/%s", body->own, suffix, node->name && node->name[0] ? node->name : node->op_type);
    import_node_add(im, node);
  }
  for (size_t o = 0; o < graph->n_output; o++) out_outputs[o] = name_of(&r, graph->output[o]->name);
  return HCT_OK;
}
