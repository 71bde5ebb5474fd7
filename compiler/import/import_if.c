/* If, on a condition that is known: the nodes of the branch join those of the graph, whose values they see. */
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct renaming {
  importer *im;
  hct_map *names; /* of values that the branch makes -> char *, in the graph */
} renaming;

static Onnx__GraphProto *graph_renamed(renaming *r, const Onnx__GraphProto *graph);

static char *name_of(const renaming *r, char *name) { return hct_map_has(r->names, name) ? hct_map_get(r->names, name) : name; }

static Onnx__NodeProto *node_renamed(renaming *r, const Onnx__NodeProto *from) {
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

/* A graph inside the branch: what it makes has names of its own, as ONNX asks. */
static Onnx__GraphProto *graph_renamed(renaming *r, const Onnx__GraphProto *from) {
  hct_arena *arena = r->im->arena;
  Onnx__GraphProto *graph = HCT_NEW(arena, Onnx__GraphProto);
  *graph = *from;
  graph->node = HCT_NEW_ARRAY(arena, Onnx__NodeProto *, from->n_node + 1);
  graph->output = HCT_NEW_ARRAY(arena, Onnx__ValueInfoProto *, from->n_output + 1);
  for (size_t n = 0; n < from->n_node; n++) graph->node[n] = node_renamed(r, from->node[n]);
  for (size_t o = 0; o < from->n_output; o++) {
    graph->output[o] = HCT_NEW(arena, Onnx__ValueInfoProto);
    *graph->output[o] = *from->output[o];
    graph->output[o]->name = name_of(r, from->output[o]->name);
  }
  return graph;
}

static void name_put(renaming *r, const char *scope, const char *name) {
  if (name && name[0]) hct_map_put(r->names, name, hct_arena_printf(r->im->arena, "%s/%s", scope, name));
}

/* Names of a branch may be those of another branch: the number of the If makes them unique. */
static hct_status branch_names(renaming *r, const Onnx__GraphProto *branch, const char *scope) {
  for (size_t n = 0; n < branch->n_node; n++)
    for (size_t o = 0; o < branch->node[n]->n_output; o++) name_put(r, scope, branch->node[n]->output[o]);
  for (size_t i = 0; i < branch->n_initializer; i++) { /* constants: they are no parameters */
    import_value *value = HCT_NEW(r->im->arena, import_value);
    name_put(r, scope, branch->initializer[i]->name);
    HCT_TRY(host_from_proto(r->im, branch->initializer[i], &value->host));
    value->known = true;
    value->shape = value->host.shape;
    if (branch->initializer[i]->name) hct_map_put(r->im->values, name_of(r, branch->initializer[i]->name), value);
  }
  return HCT_OK;
}

static Onnx__NodeProto *identity(importer *im, char *from, char *to) {
  Onnx__NodeProto *node = HCT_NEW(im->arena, Onnx__NodeProto);
  onnx__node_proto__init(node);
  node->op_type = hct_arena_strdup(im->arena, "Identity");
  node->n_input = node->n_output = 1;
  node->input = HCT_NEW_ARRAY(im->arena, char *, 1);
  node->output = HCT_NEW_ARRAY(im->arena, char *, 1);
  node->input[0] = from;
  node->output[0] = to;
  return node;
}

hct_status import_if(importer *im) {
  const Onnx__NodeProto *node = im->node;
  import_value *condition = node->n_input ? import_input(im, 0) : NULL;
  if (!condition || hct_shape_elements(&condition->shape) != 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "its condition is missing, or not one element");
  if (!condition->known) {
    import_refuse(im, HCT_E_UNSUPPORTED, "a condition that depends on run-time data; a constant is supported, whose branch is taken");
    hct_hint(im->pass->diags, "where '%s' is an input of the model, --constant=%s=FILE.npy", node->input[0], node->input[0]);
    return HCT_REFUSED;
  }
  const char *wanted = host_get(&condition->host, 0) != 0 ? "then_branch" : "else_branch";
  const Onnx__AttributeProto *branch = import_attribute(im, wanted);
  if (!branch || !branch->g || branch->g->n_output != node->n_output) return import_refuse(im, HCT_E_ONNX_INVALID, "its %s is missing, or has not as many outputs", wanted);
  renaming r = {im, hct_map_create(im->arena)};
  const char *own = node->name && node->name[0] ? node->name : "If", *scope = hct_arena_printf(im->arena, "%s.%zu", own, im->node_index);
  HCT_TRY(branch_names(&r, branch->g, scope));
  Onnx__GraphProto *graph = graph_renamed(&r, branch->g);
  for (size_t n = 0; n < graph->n_node; n++) {
    const char *name = graph->node[n]->name, *domain = graph->node[n]->domain;
    if (domain && domain[0] && strcmp(domain, "ai.onnx")) return import_refuse(im, HCT_E_ONNX_OP, "operator %s.%s in its %s is not supported", domain, graph->node[n]->op_type, wanted);
    graph->node[n]->name = hct_arena_printf(im->arena, "%s/%s", own, name && name[0] ? name : graph->node[n]->op_type);
    import_node_add(im, graph->node[n]);
  }
  for (size_t o = 0; o < graph->n_output; o++)
    if (node->output[o][0]) import_node_add(im, identity(im, graph->output[o]->name, node->output[o]));
  return HCT_OK;
}
