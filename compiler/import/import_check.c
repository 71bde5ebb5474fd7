/* What ONNX asks of every model and node, held before anything is made of it, so that functions of operators need not: names that are there, and
 * numbers of inputs and outputs, and attributes, as ONNX's own schemas say (onnx_schemas.def, generated). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct schema_attribute { const char *name; int type; } schema_attribute;
typedef struct schema {
  const char *name;
  int64_t since;
  size_t least_inputs, most_inputs, most_outputs, first_input, input_count, first_attribute, attribute_count;
} schema;

static const bool inputs_optional[] = {
#define HCT_ONNX_INPUT(optional) optional,
#include "onnx_schemas.def"
#undef HCT_ONNX_INPUT
};
static const schema_attribute attributes[] = {
#define HCT_ONNX_ATTRIBUTE(name, type) {name, type},
#include "onnx_schemas.def"
#undef HCT_ONNX_ATTRIBUTE
};
static const schema schemas[] = {
#define HCT_ONNX_SCHEMA(...) {__VA_ARGS__},
#include "onnx_schemas.def"
#undef HCT_ONNX_SCHEMA
};
#define HCT_ONNX_OPSET(newest) enum { NEWEST_OPSET = newest };
#include "onnx_schemas.def"
#undef HCT_ONNX_OPSET

static const struct { const char *op_type; schema_attribute attribute; int64_t since; } newer[] = {
#define HCT_ONNX_NEWER(op_type, name, type, since) {#op_type, {#name, type}, since},
#include "compiler/import/onnx_newer.def"
#undef HCT_ONNX_NEWER
};
#define HCT_ONNX_KNOWN(newest) enum { KNOWN_OPSET = newest > (int)NEWEST_OPSET ? newest : (int)NEWEST_OPSET };
#include "compiler/import/onnx_newer.def"
#undef HCT_ONNX_KNOWN

static int name_compare(const void *key, const void *row) { return strcmp(key, ((const schema *)row)->name); }

/* The newest that is not newer than the model, or else the oldest; NULL for operators that these schemas do not have. */
static const schema *schema_of(const char *op_type, int64_t opset) {
  const schema *found = bsearch(op_type, schemas, HCT_COUNT(schemas), sizeof *schemas, name_compare);
  if (!found) return NULL;
  while (found > schemas && !strcmp(found[-1].name, op_type)) found--;
  while (found + 1 < schemas + HCT_COUNT(schemas) && !strcmp(found[1].name, op_type) && found[1].since <= opset) found++;
  return found;
}

static hct_status inputs_check(importer *im, const schema *s) {
  size_t count = im->node->n_input;
  if (count < s->least_inputs) return import_refuse(im, HCT_E_ONNX_INVALID, "%zu inputs; it needs %zu", count, s->least_inputs);
  if (count > s->most_inputs && im->opset <= NEWEST_OPSET) return import_refuse(im, HCT_E_ONNX_INVALID, "%zu inputs; it has at most %zu", count, s->most_inputs);
  for (size_t k = 0; k < count; k++) {
    bool optional = k < s->input_count && inputs_optional[s->first_input + k];
    if (k < s->most_inputs && !optional && !import_input(im, k)) return import_refuse(im, HCT_E_ONNX_INVALID, "input %zu is missing", k);
  }
  return HCT_OK;
}

static const schema_attribute *attribute_find(const importer *im, const schema *s, const char *name, int64_t opset) {
  for (size_t k = 0; s && k < s->attribute_count; k++)
    if (!strcmp(attributes[s->first_attribute + k].name, name)) return &attributes[s->first_attribute + k];
  for (size_t k = 0; k < HCT_COUNT(newer); k++)
    if (newer[k].since <= opset && !strcmp(newer[k].op_type, im->node->op_type) && !strcmp(newer[k].attribute.name, name)) return &newer[k].attribute;
  return NULL;
}

static hct_status attribute_refuse(importer *im, const schema *s, const char *name) {
  hct_text known = {0};
  for (size_t k = 0; s && k < s->attribute_count; k++) hct_text_printf(&known, "%s%s", known.length ? ", " : "", attributes[s->first_attribute + k].name);
  for (size_t k = 0; k < HCT_COUNT(newer); k++)
    if (newer[k].since <= im->opset && !strcmp(newer[k].op_type, im->node->op_type)) hct_text_printf(&known, "%s%s", known.length ? ", " : "", newer[k].attribute.name);
  import_refuse(im, HCT_E_ONNX_INVALID, "attribute '%s' is not known: %s of opset %" PRId64 " has %s", name, im->node->op_type, im->opset, known.length ? known.data : "none");
  if (attribute_find(im, s, name, INT64_MAX)) hct_hint(im->pass->diags, "it came with a later opset, which the model must import");
  hct_text_fini(&known);
  return HCT_REFUSED;
}

/* `s` NULL: none that is installed. */
static hct_status attributes_check(importer *im, const schema *s) {
  for (size_t i = 0; i < im->node->n_attribute; i++) {
    const Onnx__AttributeProto *a = im->node->attribute[i];
    const schema_attribute *declared = attribute_find(im, s, a->name, im->opset);
    for (size_t k = 0; k < i; k++)
      if (!strcmp(im->node->attribute[k]->name, a->name)) return import_refuse(im, HCT_E_ONNX_INVALID, "attribute '%s' is given twice", a->name);
    if (!declared) return attribute_refuse(im, s, a->name);
    if (a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED && (int)a->type != declared->type)
      return import_refuse(im, HCT_E_ONNX_INVALID, "attribute '%s' is of AttributeType %d; it must be %d", a->name, (int)a->type, declared->type);
  }
  return HCT_OK;
}

hct_status import_check_node(importer *im) {
  const schema *s = schema_of(im->node->op_type, im->opset);
  if (!s && !im->node->n_input) return import_refuse(im, HCT_E_ONNX_INVALID, "it has no inputs");
  if (!s && !import_input(im, 0)) return import_refuse(im, HCT_E_ONNX_INVALID, "its first input is missing");
  if (s) HCT_TRY(inputs_check(im, s));
  if (s && im->node->n_output > s->most_outputs && im->opset <= NEWEST_OPSET) return import_refuse(im, HCT_E_ONNX_INVALID, "%zu outputs; it has at most %zu", im->node->n_output, s->most_outputs);
  return attributes_check(im, s);
}

/* What ONNX gives to elements of float8 and of fewer than 8 bits; `moves`: as they are. */
static const struct { const char *name; bool moves; } takers[] = {
    {"Cast", 0},    {"CastLike", 0}, {"DequantizeLinear", 0}, {"Flatten", 1}, {"Identity", 1},  {"Pad", 1},       {"QuantizeLinear", 0},
    {"Reshape", 1}, {"Shape", 0},    {"Size", 0},             {"Squeeze", 1}, {"Transpose", 1}, {"Unsqueeze", 1},
};

bool import_moves_elements(const importer *im) {
  for (size_t i = 0; i < HCT_COUNT(takers); i++)
    if (!strcmp(takers[i].name, im->node->op_type)) return takers[i].moves;
  return false;
}

hct_status import_check_elements(importer *im) {
  bool takes = false;
  for (size_t i = 0; i < HCT_COUNT(takers); i++) takes |= !strcmp(takers[i].name, im->node->op_type);
  for (size_t k = 0; k < im->node->n_input && !takes; k++) {
    const import_value *value = import_input(im, k);
    if (!value || !value->element) continue;
    import_refuse(im, HCT_E_ONNX_TYPE, "input %zu is of %s, which is for interchange alone", k, hct_dtype_name(value->element));
    hct_hint(im->pass->diags, "a Cast to FLOAT, or to INT8 or UINT8, before it");
    return HCT_REFUSED;
  }
  return HCT_OK;
}

bool import_domain_is_onnx(const char *domain) { return !domain || !domain[0] || !strcmp(domain, "ai.onnx"); }

/* Letters, digits and underscores: attributes of operators of the onnx level are named so. */
static bool is_identifier(const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  return name && name[0] && !name[strspn(name, letters)] && !strstr(name, "SegmentSizes");
}

static hct_status text_check(importer *im, const char *text, hct_loc loc) {
  if (!text || hct_image_holds_text(text)) return HCT_OK;
  hct_error(im->pass->diags, HCT_E_ONNX_INVALID, loc, "its name '%s' is not UTF-8", text);
  hct_hint(im->pass->diags, "strings of protobuf are UTF-8");
  return HCT_REFUSED;
}

static hct_status names_check(importer *im, const char *kind, size_t count, Onnx__ValueInfoProto *const *infos) {
  for (size_t i = 0; i < count; i++) {
    if (!infos[i]->name || !infos[i]->name[0]) return hct_error(im->pass->diags, HCT_E_ONNX_INVALID, (hct_loc){.file = im->file}, "%s %zu of a graph has no name", kind, i);
    HCT_TRY(text_check(im, infos[i]->name, (hct_loc){im->file, hct_arena_printf(im->arena, "%s %zu", kind, i)}));
  }
  return HCT_OK;
}

static hct_status nodes_check(importer *im, size_t count, Onnx__NodeProto *const *nodes) {
  for (size_t n = 0; n < count; n++) {
    const Onnx__NodeProto *node = nodes[n];
    hct_loc loc = {im->file, hct_arena_printf(im->arena, "node %zu '%s'", n, node->name ? node->name : "")};
    HCT_TRY(text_check(im, node->name, loc));
    if (!node->op_type || !node->op_type[0]) return hct_error(im->pass->diags, HCT_E_ONNX_INVALID, loc, "it has no op_type");
    for (size_t i = 0; i < node->n_attribute; i++) {
      const Onnx__AttributeProto *a = node->attribute[i];
      if (!is_identifier(a->name)) return hct_error(im->pass->diags, HCT_E_ONNX_INVALID, loc, "attribute %zu is named '%s', which is no name of an attribute", i, a->name ? a->name : "");
      if (a->g) HCT_TRY(import_check_graph(im, a->g));
    }
  }
  return HCT_OK;
}

hct_status import_check_graph(importer *im, const Onnx__GraphProto *graph) {
  HCT_TRY(names_check(im, "input", graph->n_input, graph->input));
  HCT_TRY(names_check(im, "output", graph->n_output, graph->output));
  for (size_t i = 0; i < graph->n_initializer; i++) HCT_TRY(text_check(im, graph->initializer[i]->name, (hct_loc){im->file, hct_arena_printf(im->arena, "initializer %zu", i)}));
  if (graph->n_sparse_initializer) {
    const Onnx__TensorProto *values = graph->sparse_initializer[0]->values;
    hct_loc loc = {im->file, hct_arena_printf(im->arena, "initializer '%s'", values && values->name ? values->name : "")};
    hct_error(im->pass->diags, HCT_E_UNSUPPORTED, loc, "sparse initializers are not supported; there are %zu", graph->n_sparse_initializer);
    hct_hint(im->pass->diags, "store it dense, as a TensorProto in graph.initializer");
    return HCT_REFUSED;
  }
  return nodes_check(im, graph->n_node, graph->node);
}

/* `whose`: NULL, or the function's. */
static hct_status opsets_check(importer *im, const char *whose, size_t count, Onnx__OperatorSetIdProto *const *opsets, int64_t *out_version) {
  const Onnx__OperatorSetIdProto *found = NULL;
  hct_loc loc = {im->file, whose ? hct_arena_printf(im->arena, "function '%s'", whose) : NULL};
  for (size_t i = 0; i < count; i++) {
    if (!import_domain_is_onnx(opsets[i]->domain)) continue;
    if (found && found->version != opsets[i]->version)
      return hct_error(im->pass->diags, HCT_E_ONNX_INVALID, loc, "it imports opset %" PRId64 " of ai.onnx, and opset %" PRId64, found->version, opsets[i]->version);
    found = opsets[i];
  }
  if (!found) return HCT_OK;
  *out_version = found->version;
  if (found->version < 1) return hct_error(im->pass->diags, HCT_E_ONNX_INVALID, loc, "it imports opset %" PRId64 " of ai.onnx; it must be 1 or newer", found->version);
  if (found->version <= KNOWN_OPSET) return HCT_OK;
  hct_error(im->pass->diags, HCT_E_UNSUPPORTED, loc, "it imports opset %" PRId64 " of ai.onnx; what operators mean is known up to opset %d", found->version, KNOWN_OPSET);
  hct_hint(im->pass->diags, "export it with opset %d, or convert it with onnx.version_converter.convert_version(model, %d)", KNOWN_OPSET, KNOWN_OPSET);
  return HCT_REFUSED;
}

hct_status import_check_model(importer *im, const Onnx__ModelProto *model) {
  HCT_TRY(opsets_check(im, NULL, model->n_opset_import, model->opset_import, &im->model_opset));
  if (!model->graph->n_output) return hct_error(im->pass->diags, HCT_E_ONNX_INVALID, (hct_loc){.file = im->file}, "its graph has no outputs");
  bool needs = false;
  for (size_t n = 0; n < model->graph->n_node; n++) needs |= import_domain_is_onnx(model->graph->node[n]->domain);
  if (!im->model_opset && needs) return hct_error(im->pass->diags, HCT_E_ONNX_INVALID, (hct_loc){.file = im->file}, "it imports no opset of ai.onnx, which its nodes are of");
  if (!im->model_opset) im->model_opset = 1; /* operators of other domains alone */
  for (size_t f = 0; f < model->n_functions; f++) {
    int64_t unused;
    HCT_TRY(opsets_check(im, model->functions[f]->name, model->functions[f]->n_opset_import, model->functions[f]->opset_import, &unused));
    HCT_TRY(nodes_check(im, model->functions[f]->n_node, model->functions[f]->node));
  }
  return import_check_graph(im, model->graph);
}
