/* Functions that a model defines: each call is replaced by the function's nodes before anything is imported, names of which are kept apart by
 * the call's. What ONNX 1.12's schema does not have yet (defaults of attributes, overloads) is read from the fields that it does not know. */
#include <string.h>

#include "compiler/import/import_internal.h"
#include "compiler/import/wire.h"

enum { MAX_DEPTH = 64, FUNCTION_DEFAULTS = 11, FUNCTION_OVERLOAD = 13, NODE_OVERLOAD = 8 };

typedef struct inliner {
  importer *im;
  hct_map *functions; /* domain, name and overload -> Onnx__FunctionProto * */
  hct_map *taken;     /* names of values */
  struct { Onnx__NodeProto **items; size_t count, capacity; } nodes;
  struct { import_site *items; size_t count, capacity; } sites;
  bool inside; /* of a graph that an operator holds: its nodes have the operator's site */
} inliner;

typedef struct scope { /* one call */
  const Onnx__FunctionProto *function;
  const Onnx__NodeProto *call; /* its names and attributes are of the model */
  hct_map *names;              /* the function's -> the model's */
  const char *prefix;
} scope;

/* ---- fields that the schema does not know ---- */
/* The next length-delimited field `tag` after `*at`, without its length. */
static bool field_next(const ProtobufCMessage *message, uint32_t tag, size_t *at, const uint8_t **out_data, size_t *out_bytes) {
  for (; *at < message->n_unknown_fields; ++*at) {
    const ProtobufCMessageUnknownField *field = &message->unknown_fields[*at];
    if (field->tag != tag || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) continue;
    size_t prefix = 0;
    while (prefix < field->len && field->data[prefix] & 0x80) prefix++;
    if (prefix >= field->len) continue;
    *out_data = field->data + prefix + 1;
    *out_bytes = field->len - prefix - 1;
    ++*at;
    return true;
  }
  return false;
}

static const char *overload_of(hct_arena *arena, const ProtobufCMessage *message, uint32_t tag) {
  const uint8_t *data;
  size_t bytes, at = 0;
  return field_next(message, tag, &at, &data, &bytes) ? hct_arena_strndup(arena, (const char *)data, bytes) : "";
}

static void *arena_bytes(void *arena, size_t bytes) { return hct_arena_alloc(arena, bytes); }
static void arena_keeps(void *arena, void *pointer) { (void)arena, (void)pointer; }

static Onnx__AttributeProto *default_of(const inliner *in, const Onnx__FunctionProto *function, const char *name) {
  ProtobufCAllocator allocator = {.alloc = arena_bytes, .free = arena_keeps, .allocator_data = in->im->arena};
  const uint8_t *data;
  size_t bytes, at = 0;
  while (field_next(&function->base, FUNCTION_DEFAULTS, &at, &data, &bytes)) {
    if (!wire_nests(&onnx__attribute_proto__descriptor, data, bytes, WIRE_MAX_LEVELS)) continue;
    Onnx__AttributeProto *a = onnx__attribute_proto__unpack(&allocator, bytes, data);
    if (a && a->name && !strcmp(a->name, name)) return a;
  }
  return NULL;
}

/* ---- names ---- */
static const char *text_of(const char *text) { return text ? text : ""; }

static const char *function_key(hct_arena *arena, const char *domain, const char *name, const char *overload) {
  return hct_arena_printf(arena, "%s\n%s\n%s", import_domain_is_onnx(domain) ? "" : domain, text_of(name), overload);
}

static char *name_fresh(inliner *in, const char *prefix, const char *name) {
  char *fresh = hct_arena_printf(in->im->arena, "%s/%s", prefix, name);
  while (hct_map_has(in->taken, fresh)) fresh = hct_arena_printf(in->im->arena, "%s'", fresh);
  hct_map_put(in->taken, fresh, fresh);
  return fresh;
}

static char *name_in(inliner *in, scope *s, const char *name) {
  char *known = name[0] ? hct_map_get(s->names, name) : hct_arena_strdup(in->im->arena, "");
  if (!known) hct_map_put(s->names, name, known = name_fresh(in, s->prefix, name));
  return known;
}

static void names_take(inliner *in, const Onnx__GraphProto *graph) {
  for (size_t i = 0; i < graph->n_input; i++)
    if (graph->input[i]->name) hct_map_put(in->taken, graph->input[i]->name, in);
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (graph->initializer[i]->name) hct_map_put(in->taken, graph->initializer[i]->name, in);
  for (size_t n = 0; n < graph->n_node; n++)
    for (size_t o = 0; o < graph->node[n]->n_output; o++) hct_map_put(in->taken, graph->node[n]->output[o], in);
}

/* ---- calls ---- */
static void node_keep(inliner *in, Onnx__NodeProto *node, import_site site) {
  if (in->inside) node->name = hct_arena_strdup(in->im->arena, site.name);
  HCT_PUSH(in->im->arena, &in->nodes, node);
  HCT_PUSH(in->im->arena, &in->sites, site);
}

static hct_status attribute_resolve(inliner *in, const scope *s, Onnx__AttributeProto *a, Onnx__AttributeProto **out_attribute) {
  const Onnx__AttributeProto *given = NULL;
  *out_attribute = a;
  if (!a->ref_attr_name || !a->ref_attr_name[0]) return HCT_OK;
  for (size_t i = 0; i < s->call->n_attribute; i++)
    if (s->call->attribute[i]->name && !strcmp(s->call->attribute[i]->name, a->ref_attr_name)) given = s->call->attribute[i];
  if (!given) given = default_of(in, s->function, a->ref_attr_name);
  *out_attribute = NULL;
  if (!given) return HCT_OK; /* neither given nor with a default: absent */
  if (a->type && given->type && a->type != given->type) return import_refuse(in->im, HCT_E_ONNX_INVALID, "its attribute '%s' is of another type than the function '%s' needs", a->ref_attr_name, s->function->name);
  *out_attribute = HCT_NEW(in->im->arena, Onnx__AttributeProto);
  **out_attribute = *given;
  (*out_attribute)->name = a->name;
  return HCT_OK;
}

static const char *site_name(const Onnx__NodeProto *node) { return node->name && node->name[0] ? node->name : text_of(node->op_type); }

static hct_status node_expand(inliner *in, Onnx__NodeProto *node, import_site site, int depth);
static hct_status graph_copy(inliner *in, scope *s, const Onnx__GraphProto *graph, import_site site, int depth, Onnx__GraphProto **out_graph);

/* `s` NULL: of the model, whose names stay as they are. */
static hct_status node_copy(inliner *in, scope *s, const Onnx__NodeProto *node, import_site site, int depth, Onnx__NodeProto **out_node) {
  hct_arena *arena = in->im->arena;
  Onnx__NodeProto *copy = HCT_NEW(arena, Onnx__NodeProto);
  *copy = *node;
  copy->input = HCT_NEW_ARRAY(arena, char *, node->n_input + 1);
  copy->output = HCT_NEW_ARRAY(arena, char *, node->n_output + 1);
  copy->attribute = HCT_NEW_ARRAY(arena, Onnx__AttributeProto *, node->n_attribute + 1);
  copy->n_attribute = 0;
  for (size_t k = 0; k < node->n_input; k++) copy->input[k] = s ? name_in(in, s, node->input[k]) : node->input[k];
  for (size_t k = 0; k < node->n_output; k++) copy->output[k] = s ? name_in(in, s, node->output[k]) : node->output[k];
  for (size_t i = 0; i < node->n_attribute; i++) {
    Onnx__AttributeProto *a = node->attribute[i];
    if (s) HCT_TRY(attribute_resolve(in, s, node->attribute[i], &a));
    if (!a) continue;
    copy->attribute[copy->n_attribute++] = a;
    if (!a->g || a->g != node->attribute[i]->g) continue; /* a graph that the call gives is of the call's scope */
    Onnx__AttributeProto *held = copy->attribute[copy->n_attribute - 1] = HCT_NEW(arena, Onnx__AttributeProto);
    *held = *a;
    HCT_TRY(graph_copy(in, s, a->g, site, depth, &held->g));
  }
  *out_node = copy;
  return HCT_OK;
}

static char *name_copy(inliner *in, scope *s, char *name) { return s && name ? name_in(in, s, name) : name; }

static Onnx__ValueInfoProto **infos_copy(inliner *in, scope *s, size_t count, Onnx__ValueInfoProto *const *from) {
  Onnx__ValueInfoProto **infos = HCT_NEW_ARRAY(in->im->arena, Onnx__ValueInfoProto *, count + 1);
  for (size_t i = 0; i < count; i++) {
    infos[i] = HCT_NEW(in->im->arena, Onnx__ValueInfoProto);
    *infos[i] = *from[i];
    infos[i]->name = name_copy(in, s, from[i]->name);
  }
  return infos;
}

/* A graph that an operator holds, calls within replaced, too. */
static hct_status graph_copy(inliner *in, scope *s, const Onnx__GraphProto *graph, import_site site, int depth, Onnx__GraphProto **out_graph) {
  hct_arena *arena = in->im->arena;
  inliner inner = *in;
  memset(&inner.nodes, 0, sizeof inner.nodes);
  memset(&inner.sites, 0, sizeof inner.sites);
  inner.inside = true;
  Onnx__GraphProto *copy = *out_graph = HCT_NEW(arena, Onnx__GraphProto);
  *copy = *graph;
  copy->input = infos_copy(in, s, graph->n_input, graph->input);
  copy->output = infos_copy(in, s, graph->n_output, graph->output);
  copy->initializer = HCT_NEW_ARRAY(arena, Onnx__TensorProto *, graph->n_initializer + 1);
  for (size_t i = 0; i < graph->n_initializer; i++) {
    copy->initializer[i] = HCT_NEW(arena, Onnx__TensorProto);
    *copy->initializer[i] = *graph->initializer[i];
    copy->initializer[i]->name = name_copy(in, s, graph->initializer[i]->name);
  }
  for (size_t n = 0; n < graph->n_node; n++) {
    Onnx__NodeProto *node;
    HCT_TRY(node_copy(&inner, s, graph->node[n], site, depth, &node));
    import_site own = site;
    own.name = site_name(node);
    HCT_TRY(node_expand(&inner, node, own, depth));
  }
  copy->node = inner.nodes.items;
  copy->n_node = inner.nodes.count;
  return HCT_OK;
}

/* An output that is an input, or another output: no node of the function makes it under this name. */
static hct_status output_alias(inliner *in, char *from, char *to, import_site site) {
  if (!from[0]) return import_refuse(in->im, HCT_E_ONNX_INVALID, "its output '%s' is an input that is absent", to);
  node_keep(in, import_node_create(in->im, "Identity", NULL, 1, &from, to), site);
  return HCT_OK;
}

static hct_status call_expand(inliner *in, Onnx__NodeProto *call, const Onnx__FunctionProto *f, import_site site, int depth) {
  hct_arena *arena = in->im->arena;
  if (call->n_input > f->n_input || call->n_output > f->n_output) return import_refuse(in->im, HCT_E_ONNX_INVALID, "%zu inputs and %zu outputs for a function of %zu and %zu", call->n_input, call->n_output, f->n_input, f->n_output);
  if (depth == MAX_DEPTH) return import_refuse(in->im, HCT_E_UNSUPPORTED, "functions that call one another more than %d deep, or themselves", MAX_DEPTH);
  scope s = {.function = f, .call = call, .names = hct_map_create(arena), .prefix = hct_arena_printf(arena, "%s#%lld", site.name, (long long)in->im->expanded)};
  struct { char **items; size_t count, capacity; } aliases = {0};
  for (size_t k = 0; k < f->n_input; k++) hct_map_put(s.names, f->input[k], k < call->n_input ? call->input[k] : hct_arena_strdup(arena, ""));
  for (size_t o = 0; o < f->n_output; o++) {
    char *to = o < call->n_output && call->output[o][0] ? call->output[o] : NULL;
    if (to && hct_map_has(s.names, f->output[o])) {
      HCT_PUSH(arena, &aliases, hct_map_get(s.names, f->output[o]));
      HCT_PUSH(arena, &aliases, to);
    } else if (to) {
      hct_map_put(s.names, f->output[o], to);
    }
  }
  import_site inner = site;
  for (size_t i = 0; i < f->n_opset_import; i++)
    if (import_domain_is_onnx(f->opset_import[i]->domain)) inner.opset = f->opset_import[i]->version;
  if (in->inside && inner.opset != site.opset) return import_refuse(in->im, HCT_E_UNSUPPORTED, "a function of opset %lld inside of a graph of opset %lld that an operator holds; they must be one", (long long)inner.opset, (long long)site.opset);
  for (size_t n = 0; n < f->n_node; n++) {
    Onnx__NodeProto *copy;
    HCT_TRY(node_copy(in, &s, f->node[n], inner, depth + 1, &copy));
    inner.name = hct_arena_printf(arena, "%s/%s", site.name, site_name(copy));
    HCT_TRY(node_expand(in, copy, inner, depth + 1));
  }
  in->im->node = call;
  in->im->loc = import_site_loc(in->im, &site);
  for (size_t i = 0; i < aliases.count; i += 2) HCT_TRY(output_alias(in, aliases.items[i], aliases.items[i + 1], site));
  return HCT_OK;
}

static hct_status node_expand(inliner *in, Onnx__NodeProto *node, import_site site, int depth) {
  importer *im = in->im;
  im->loc = import_site_loc(im, &site);
  im->node = node;
  const Onnx__FunctionProto *f = hct_map_get(in->functions, function_key(im->arena, node->domain, node->op_type, overload_of(im->arena, &node->base, NODE_OVERLOAD)));
  if (depth) HCT_TRY(import_count_nodes(im, 1, 1));
  if (f) return call_expand(in, node, f, site, depth);
  node_keep(in, node, site);
  return HCT_OK;
}

static hct_status functions_read(inliner *in, const Onnx__ModelProto *model) {
  for (size_t i = 0; i < model->n_functions; i++) {
    Onnx__FunctionProto *f = model->functions[i];
    const char *key = function_key(in->im->arena, f->domain, f->name, overload_of(in->im->arena, &f->base, FUNCTION_OVERLOAD));
    in->im->loc = (hct_loc){in->im->file, hct_arena_printf(in->im->arena, "function '%s'", text_of(f->name))};
    if (hct_map_has(in->functions, key)) return import_refuse(in->im, HCT_E_ONNX_INVALID, "it is defined twice");
    hct_map_put(in->functions, key, f);
  }
  return HCT_OK;
}

hct_status import_inline(importer *im, const Onnx__ModelProto *model) {
  inliner in = {.im = im, .functions = hct_map_create(im->arena), .taken = hct_map_create(im->arena)};
  HCT_TRY(functions_read(&in, model));
  if (model->n_functions) names_take(&in, model->graph);
  for (size_t n = 0; n < model->graph->n_node; n++) {
    Onnx__NodeProto *node = model->graph->node[n];
    import_site site = {.index = n, .name = site_name(node), .opset = im->model_opset};
    if (model->n_functions) HCT_TRY(node_copy(&in, NULL, node, site, 0, &node));
    HCT_TRY(node_expand(&in, node, site, 0));
  }
  im->node = NULL;
  im->graph = HCT_NEW(im->arena, Onnx__GraphProto);
  *im->graph = *model->graph;
  im->graph->node = in.nodes.items;
  im->graph->n_node = in.nodes.count;
  im->sites = in.sites.items;
  return HCT_OK;
}
