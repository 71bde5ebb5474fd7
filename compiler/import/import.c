#include "compiler/import/import.h"

#include <string.h>

#include "compiler/import/import_internal.h"
#include "compiler/import/wire.h"
#include "ir/dialect/data.h"

static const struct { const char *name; int64_t opset; import_function function; const char *domain; } onnx_ops[] = {
#define HCT_ONNX_OP(name, opset, function) {#name, opset, function, ""},
#define HCT_ONNX_TRAINING_OP(name, opset, function) {#name, opset, function, "ai.onnx.preview.training"},
#define HCT_ONNX_PREVIEW_OP(name, opset, function) {#name, opset, function, "ai.onnx.preview"},
#include "ir/dialect/onnx_ops.def"
#undef HCT_ONNX_OP
};

/* ---- nodes ---- */
hct_loc import_site_loc(importer *im, const import_site *site) { return (hct_loc){im->file, hct_arena_printf(im->arena, "node %zu '%s'", site->index, site->name)}; }

hct_loc import_node_loc(importer *im, size_t index) { return import_site_loc(im, &im->sites[index]); }

hct_status import_refuse(importer *im, hct_diag_code code, const char *fmt, ...) {
  hct_text text = {0};
  va_list args;
  va_start(args, fmt);
  hct_text_vprintf(&text, fmt, args);
  va_end(args);
  hct_status status = hct_error(im->pass->diags, code, im->loc, "%s%s%s", im->node ? im->node->op_type : "", im->node ? ": " : "", text.data);
  hct_text_fini(&text);
  return status;
}

import_value *import_input(importer *im, size_t index) {
  if (index >= im->node->n_input || !im->node->input[index][0]) return NULL;
  return hct_map_get(im->values, im->node->input[index]);
}

hct_status import_output(importer *im, size_t index, import_value value) {
  if (index >= im->node->n_output || !im->node->output[index][0]) return HCT_OK;
  const char *name = im->node->output[index];
  if (hct_map_has(im->values, name)) return import_refuse(im, HCT_E_ONNX_INVALID, "the value '%s' is made twice", name);
  import_value *kept = HCT_NEW(im->arena, import_value);
  *kept = value;
  if (!kept->element && import_moves_elements(im)) kept->element = import_input(im, 0)->element;
  hct_map_put(im->values, name, kept);
  return HCT_OK;
}

hct_status import_output_value(importer *im, size_t index, MlirValue value) {
  hct_shape shape = shape_of(value);
  int64_t bytes = (int64_t)hct_dtype_bytes(shape.dtype);
  for (size_t d = 0; d < shape.rank; d++) {
    if (shape.dims[d] < 0 || shape.dims[d] > INT32_MAX) return import_refuse(im, HCT_E_ONNX_SHAPE, "dimension %zu of output %zu would be %lld; it must be from 0 to %d", d, index, (long long)shape.dims[d], INT32_MAX);
    if (!hct_mul_i64(bytes, shape.dims[d], &bytes) || bytes > HCT_MAX_TENSOR_BYTES) return import_refuse(im, HCT_E_ONNX_SHAPE, "output %zu would have more than %lld bytes", index, (long long)HCT_MAX_TENSOR_BYTES);
  }
  if (bytes == 0) return import_output_host(im, index, host_create(im->arena, shape.dtype, shape.rank, shape.dims)); /* without elements: all of it is known */
  return import_output(im, index, (import_value){.value = value, .shape = shape});
}

hct_status import_output_host(importer *im, size_t index, host_tensor host) { return import_output(im, index, (import_value){.known = true, .host = host, .shape = host.shape, .element = host.element}); }

const Onnx__AttributeProto *import_attribute(const importer *im, const char *name) {
  for (size_t i = 0; i < im->node->n_attribute; i++)
    if (im->node->attribute[i]->name && !strcmp(im->node->attribute[i]->name, name)) return im->node->attribute[i];
  return NULL;
}

int64_t import_int(const importer *im, const char *name, int64_t fallback) {
  const Onnx__AttributeProto *a = import_attribute(im, name);
  return a ? a->i : fallback;
}

float import_float(const importer *im, const char *name, float fallback) {
  const Onnx__AttributeProto *a = import_attribute(im, name);
  return a ? a->f : fallback;
}

const char *import_string(importer *im, const char *name, const char *fallback) {
  const Onnx__AttributeProto *a = import_attribute(im, name);
  return a ? hct_arena_strndup(im->arena, (const char *)a->s.data, a->s.len) : fallback;
}

bool import_ints(importer *im, const char *name, size_t index, int64_t *out_values, size_t capacity, size_t *out_count) {
  const Onnx__AttributeProto *a = import_attribute(im, name);
  if (a) {
    if (a->n_ints > capacity) return false;
    if (a->n_ints) memcpy(out_values, a->ints, a->n_ints * sizeof *out_values);
    *out_count = a->n_ints;
    return true;
  }
  import_value *value = index == SIZE_MAX ? NULL : import_input(im, index);
  if (!value || !value->known || !value->host.i || hct_shape_elements(&value->shape) > (int64_t)capacity) return false;
  *out_count = (size_t)hct_shape_elements(&value->shape);
  memcpy(out_values, value->host.i, *out_count * sizeof *out_values);
  return true;
}

hct_status import_ints_optional(importer *im, const char *name, size_t index, int64_t *out_values, size_t capacity, size_t *out_count, bool *out_given) {
  *out_given = import_ints(im, name, index, out_values, capacity, out_count);
  if (*out_given) return HCT_OK;
  const Onnx__AttributeProto *a = import_attribute(im, name);
  if (a) return import_refuse(im, HCT_E_ONNX_SHAPE, "%s has %zu entries; it has at most %zu here", name, a->n_ints, capacity);
  if (index != SIZE_MAX && import_input(im, index)) return import_refuse(im, HCT_E_UNSUPPORTED, "%s that depend on run-time data, or are more than %zu; constants are supported", name, capacity);
  return HCT_OK;
}

hct_status import_floats(importer *im, size_t count) {
  for (size_t k = 0; k < count; k++) {
    const import_value *value = import_input(im, k);
    if (value && !hct_dtype_is_float(value->shape.dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "input %zu is of %s; floats are supported", k, hct_dtype_name(value->shape.dtype));
  }
  return HCT_OK;
}

hct_status import_axis(importer *im, int64_t axis, size_t rank, size_t *out_axis) {
  if (axis < -(int64_t)rank || axis >= (int64_t)rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "axis %lld of a value of rank %zu", (long long)axis, rank);
  *out_axis = (size_t)(axis < 0 ? axis + (int64_t)rank : axis);
  return HCT_OK;
}

/* ---- arguments of the function ---- */
static hct_status argument_add(importer *im, const char *name, const char *role, const hct_shape *shape, MlirAttribute data) {
  MlirType type = hct_type_tensor(im->context, shape->dtype, shape->rank, shape->dims);
  MlirValue value = mlirBlockAddArgument(im->body, type, hct_location_node(im->context, im->file, 0, name));
  size_t index = (size_t)mlirBlockGetNumArguments(im->body) - 1;
  HCT_PUSH(im->arena, &im->arguments, ((hct_entry){index, "hct.name", hct_attr_str(im->context, name)}));
  HCT_PUSH(im->arena, &im->arguments, ((hct_entry){index, "hct.role", hct_attr_str(im->context, role)}));
  if (!mlirAttributeIsNull(data)) HCT_PUSH(im->arena, &im->arguments, ((hct_entry){index, "hct.data", data}));
  import_value *kept = HCT_NEW(im->arena, import_value);
  *kept = import_argument(im, value);
  hct_map_put(im->values, name, kept);
  return HCT_OK;
}

/* The N of "NAME=N" among the repeated option's lines. */
static const char *option_entry(importer *im, const char *option, const char *name) {
  const char *text = hct_pass_option(im->pass, option, "");
  size_t length = strlen(name);
  while (*text) {
    size_t line = strcspn(text, "\n");
    if (line > length && !strncmp(text, name, length) && text[length] == '=') return hct_arena_strndup(im->arena, text + length + 1, line - length - 1);
    text += line + (text[line] == '\n');
  }
  return NULL;
}

static hct_status dims_from_option(importer *im, const char *name, const char *text, hct_shape *shape) {
  shape->rank = 0;
  for (const char *at = text; *text; at += strcspn(at, ",") + 1) { /* empty: a scalar */
    const char *part = hct_arena_strndup(im->arena, at, strcspn(at, ","));
    int64_t size;
    if (shape->rank == HCT_MAX_RANK || !hct_parse_i64(part, &size) || size < 1 || size > INT32_MAX)
      return hct_error(im->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--shape=%s=%s: '%s' is no dimension", name, text, part);
    shape->dims[shape->rank++] = size;
    if (!at[strlen(part)]) break;
  }
  return HCT_OK;
}

static hct_status input_fits(importer *im, const hct_shape *shape) {
  if (hct_shape_elements(shape) > HCT_MAX_TENSOR_BYTES / (int64_t)hct_dtype_bytes(shape->dtype)) return import_refuse(im, HCT_E_ONNX_DIM, "it has more than %lld bytes", (long long)HCT_MAX_TENSOR_BYTES);
  return HCT_OK;
}

static hct_status input_shape(importer *im, const Onnx__ValueInfoProto *info, hct_shape *out_shape) {
  im->loc = (hct_loc){im->file, hct_arena_printf(im->arena, "input '%s'", info->name)};
  const Onnx__TypeProto__Tensor *type = info->type ? info->type->tensor_type : NULL;
  hct_shape shape = {0};
  if (!type || !hct_dtype_from_onnx(type->elem_type, &shape.dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "it is no tensor of integers, floats or bools");
  const char *given = option_entry(im, "shape", info->name);
  if (given) {
    HCT_TRY(dims_from_option(im, info->name, given, &shape));
    if (type->shape && type->shape->n_dim != shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "--shape gives rank %zu, the model says %zu", shape.rank, type->shape->n_dim);
    *out_shape = shape;
    return input_fits(im, &shape);
  }
  if (!type->shape || type->shape->n_dim > HCT_MAX_RANK) return import_refuse(im, HCT_E_ONNX_DIM, "its rank is not known, or over %d", HCT_MAX_RANK);
  for (size_t d = 0; d < type->shape->n_dim; d++) {
    const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[d];
    bool number = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    const char *symbol = !number && dim->dim_param ? dim->dim_param : "", *bound = symbol[0] ? option_entry(im, "dim", symbol) : NULL;
    int64_t size = number ? dim->dim_value : 0;
    if (bound && !hct_parse_i64(bound, &size)) return hct_error(im->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--dim=%s=%s: not a number", symbol, bound);
    if (!number && !bound) {
      import_refuse(im, HCT_E_ONNX_DIM, "dimension %zu ('%s') is not bound", d, symbol[0] ? symbol : "?");
      hct_hint(im->pass->diags, symbol[0] ? "--dim=%s=N, or --shape=%s=N,N,..." : "--shape=%s%s=N,N,...", symbol[0] ? symbol : "", info->name);
      return HCT_REFUSED;
    }
    if (size < 1 || size > INT32_MAX) return import_refuse(im, HCT_E_ONNX_DIM, "dimension %zu is %lld", d, (long long)size);
    shape.dims[shape.rank++] = size;
  }
  *out_shape = shape;
  return input_fits(im, &shape);
}

/* What hct.data says of a float initializer: where its bytes lie in a file, or, given in another form, what they are. */
static hct_status parameter_data(importer *im, const Onnx__TensorProto *tensor, const wire_tensor *where, int64_t bytes, MlirAttribute *out_data) {
  hct_data_reference reference = {.file = im->reference, .bytes = bytes, .kind = HCT_DATA_INSIDE};
  if (tensor->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) hct_dtype_from_onnx(tensor->data_type, &reference.dtype);
  if (tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
    import_bytes external;
    HCT_TRY(import_external(im, tensor, bytes, &external));
    reference.file = external.file;
    reference.offset = external.offset;
    reference.kind = external.data ? HCT_DATA_EXTERNAL : HCT_DATA_ABSENT;
    if (external.data) reference.checksum = hct_checksum(external.data, external.bytes);
  } else if (where && where->bytes == (size_t)bytes) {
    reference.offset = (int64_t)where->offset;
    reference.checksum = hct_checksum(tensor->raw_data.data, tensor->raw_data.len);
  } else {
    host_tensor host;
    HCT_TRY(host_from_proto(im, tensor, &host));
    *out_data = host_attribute(im, &host, host.shape.dtype);
    return HCT_OK;
  }
  *out_data = hct_attr_str(im->context, hct_data_reference_print(im->arena, &reference));
  return HCT_OK;
}

static void known_keep(importer *im, const char *name, host_tensor host) {
  import_value *kept = HCT_NEW(im->arena, import_value);
  *kept = (import_value){.known = true, .host = host, .shape = host.shape, .element = host.element};
  hct_map_put(im->values, name, kept);
}

/* Of a Dropout and nothing else: it is no parameter. */
static bool is_ratio(const importer *im, const char *name) {
  bool found = false;
  for (size_t n = 0; n < im->graph->n_node; n++) {
    const Onnx__NodeProto *node = im->graph->node[n];
    for (size_t k = 0; k < node->n_input; k++) {
      if (strcmp(node->input[k], name)) continue;
      if (strcmp(node->op_type, "Dropout") || k != 1) return false;
      found = true;
    }
  }
  return found;
}

static hct_status import_initializer(importer *im, const Onnx__TensorProto *tensor, const wire_tensor *where) {
  hct_shape shape;
  int64_t bytes;
  im->loc = (hct_loc){im->file, hct_arena_printf(im->arena, "initializer '%s'", tensor->name ? tensor->name : "")};
  if (!tensor->name || hct_map_has(im->values, tensor->name)) return import_refuse(im, HCT_E_ONNX_INVALID, "its name is missing or taken");
  if (tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING) return HCT_OK; /* refused where a node reads it */
  HCT_TRY(host_shape_from_proto(im, tensor, &shape, &bytes));
  bool infers = !strcmp(hct_pass_option(im->pass, "mode", "train"), "infer");
  bool one = hct_shape_elements(&shape) == 1;
  bool constant = !bytes || (one && (infers || is_ratio(im, tensor->name))); /* nothing trains single numbers there: exponents, epsilons */
  constant |= import_element(shape.dtype) != 0; /* nor what is for interchange: quantized weights */
  if (hct_dtype_is_float(shape.dtype) && !constant) {
    MlirAttribute data;
    HCT_TRY(parameter_data(im, tensor, where, bytes, &data));
    shape.dtype = HCT_F32; /* see import_dtype */
    return argument_add(im, tensor->name, "param", &shape, data);
  }
  host_tensor host;
  HCT_TRY(host_from_proto(im, tensor, &host));
  known_keep(im, tensor->name, host);
  return HCT_OK;
}

static hct_status input_constant(importer *im, const char *name, const Onnx__ValueInfoProto *info, const char *path) {
  hct_array array;
  hct_dtype declared;
  HCT_TRY(hct_array_read(im->pass->diags, im->arena, path, &array));
  if (array.rank > HCT_MAX_RANK) return hct_error(im->pass->diags, HCT_E_OPTION, (hct_loc){.file = path}, "--constant=%s: an array of rank %zu; at most %d is supported", name, array.rank, HCT_MAX_RANK);
  bool typed = info->type && info->type->tensor_type && hct_dtype_from_onnx(info->type->tensor_type->elem_type, &declared);
  if (typed && hct_dtype_is_float(declared) != hct_dtype_is_float(array.dtype))
    return hct_error(im->pass->diags, HCT_E_OPTION, (hct_loc){.file = path}, "--constant=%s: an array of %s; the model's input is of %s", name, hct_dtype_name(array.dtype), hct_dtype_name(declared));
  if (typed && import_element(declared)) hct_array_convert(im->arena, &array, declared); /* of which NumPy has none */
  host_tensor host = host_create(im->arena, import_dtype(array.dtype), array.rank, array.dims);
  host.element = import_element(array.dtype);
  host_from_bytes(&host, array.dtype, array.data);
  known_keep(im, name, host);
  return HCT_OK;
}

static bool line_names(const char *line, const char *name) { return name && name[0] && !strncmp(line, name, strlen(name)) && line[strlen(name)] == '='; }

static bool line_names_dim(const char *line, size_t count, Onnx__ValueInfoProto *const *infos) {
  for (size_t i = 0; i < count; i++) {
    const Onnx__TensorShapeProto *shape = infos[i]->type && infos[i]->type->tensor_type ? infos[i]->type->tensor_type->shape : NULL;
    for (size_t d = 0; shape && d < shape->n_dim; d++)
      if (shape->dim[d]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && line_names(line, shape->dim[d]->dim_param)) return true;
  }
  return false;
}

/* Refused: an entry of --dim, --shape or --constant that is of no dimension or input. */
static hct_status entries_check(importer *im, const char *option, const hct_map *initializers) {
  bool dims = !strcmp(option, "dim");
  for (const char *line = hct_pass_option(im->pass, option, ""); *line; line += strcspn(line, "\n"), line += *line == '\n') {
    bool found = dims && (line_names_dim(line, im->graph->n_input, im->graph->input) || line_names_dim(line, im->graph->n_output, im->graph->output));
    for (size_t i = 0; i < im->graph->n_input && !dims && !found; i++) found = line_names(line, im->graph->input[i]->name) && !hct_map_has(initializers, im->graph->input[i]->name);
    if (found) continue;
    hct_error(im->pass->diags, HCT_E_OPTION, (hct_loc){.file = im->file}, "--%s=%.*s: the model has no such %s", option, (int)strcspn(line, "\n"), line, dims ? "symbolic dimension" : "input");
    for (size_t i = 0; i < im->graph->n_input && !dims; i++)
      if (!hct_map_has(initializers, im->graph->input[i]->name)) hct_note(im->pass->diags, "input '%s'", im->graph->input[i]->name);
    hct_hint(im->pass->diags, "--%s=%s=%s", option, dims ? "NAME" : "INPUT", dims ? "N" : !strcmp(option, "shape") ? "N,N,..." : "FILE.npy");
    return HCT_REFUSED;
  }
  return HCT_OK;
}

static hct_status import_arguments(importer *im, MlirOperation function, const hct_map *wire) {
  hct_map *initializers = hct_map_create(im->arena); /* before IR version 4 they are inputs, too */
  for (size_t i = 0; i < im->graph->n_initializer; i++)
    if (im->graph->initializer[i]->name) hct_map_put(initializers, im->graph->initializer[i]->name, NULL);
  HCT_TRY(entries_check(im, "dim", initializers));
  HCT_TRY(entries_check(im, "shape", initializers));
  HCT_TRY(entries_check(im, "constant", initializers));
  for (size_t i = 0; i < im->graph->n_input; i++) {
    const Onnx__ValueInfoProto *info = im->graph->input[i];
    hct_shape shape;
    if (hct_map_has(initializers, info->name)) continue;
    if (hct_map_has(im->values, info->name)) return hct_error(im->pass->diags, HCT_E_ONNX_INVALID, (hct_loc){.file = im->file}, "two inputs are named '%s'", info->name);
    const char *constant = option_entry(im, "constant", info->name);
    if (constant) {
      HCT_TRY(input_constant(im, info->name, info, constant));
      continue;
    }
    HCT_TRY(input_shape(im, info, &shape));
    HCT_TRY(argument_add(im, info->name, "input", &shape, mlirAttributeGetNull()));
  }
  for (size_t i = 0; i < im->graph->n_initializer; i++) {
    const Onnx__TensorProto *tensor = im->graph->initializer[i];
    const wire_tensor *where = tensor->has_raw_data && tensor->name ? hct_map_get(wire, tensor->name) : NULL;
    HCT_TRY(import_initializer(im, tensor, where && where->bytes == tensor->raw_data.len ? where : NULL));
  }
  hct_function_set_arg_attrs(function, im->arguments.count, im->arguments.items);
  return HCT_OK;
}

/* ---- nodes in any order ---- */
/* `domain` NULL: of any, as operators of the onnx level are. */
static import_function operator_of(const Onnx__NodeProto *node, const char *domain) {
  for (size_t i = 0; i < HCT_COUNT(onnx_ops); i++)
    if (!strcmp(onnx_ops[i].name, node->op_type) && (!domain || !strcmp(onnx_ops[i].domain, domain))) return onnx_ops[i].function;
  return NULL;
}

bool import_is_operator(const Onnx__NodeProto *node) { return operator_of(node, import_domain_is_onnx(node->domain) ? "" : node->domain) != NULL; }

static hct_status check_supported(importer *im) {
  size_t refused = 0;
  for (size_t n = 0; n < im->graph->n_node; n++) {
    const Onnx__NodeProto *node = im->graph->node[n];
    if (import_is_operator(node)) continue;
    refused++;
    hct_error(im->pass->diags, HCT_E_ONNX_OP, import_node_loc(im, n), "operator %s%s%s of opset %lld is not supported", node->domain && node->domain[0] ? node->domain : "", node->domain && node->domain[0] ? "." : "",
              node->op_type, (long long)im->sites[n].opset);
    for (size_t a = 0; a < node->n_attribute; a++)
      if (node->attribute[a]->g) hct_hint(im->pass->diags, "of operators that hold a graph, If, Loop, Scan and FlexAttention are supported");
  }
  if (!refused) return HCT_OK;
  hct_note(im->pass->diags, "%zu nodes of %zu are not supported; the others are (hecaton-irdl --docs=onnx lists what is)", refused, im->graph->n_node);
  return HCT_REFUSED;
}

void import_node_add(importer *im, Onnx__NodeProto *node) {
  size_t count = im->graph->n_node;
  if (count >= im->node_capacity) {
    im->node_capacity = 2 * count + 1;
    Onnx__NodeProto **nodes = HCT_NEW_ARRAY(im->arena, Onnx__NodeProto *, im->node_capacity + 1);
    import_site *sites = HCT_NEW_ARRAY(im->arena, import_site, im->node_capacity + 1);
    memcpy(nodes, im->graph->node, count * sizeof *nodes);
    memcpy(sites, im->sites, count * sizeof *sites);
    im->graph->node = nodes;
    im->sites = sites;
  }
  im->graph->node[count] = node;
  im->sites[count] = im->sites[im->node_index];
  im->sites[count].name = node->name && node->name[0] ? node->name : node->op_type;
  im->graph->n_node++;
}

hct_status import_node(importer *im, size_t index) {
  im->node = im->graph->node[index];
  im->node_index = index;
  im->opset = im->sites[index].opset;
  im->loc = import_node_loc(im, index);
  im->builder.location = hct_location_node(im->context, im->file, (int64_t)im->sites[index].index, im->sites[index].name);
  return import_run(im);
}

hct_status import_run(importer *im) {
  import_function function = operator_of(im->node, NULL);
  if (!function) return import_refuse(im, HCT_E_ONNX_OP, "not supported");
  for (size_t k = 0; k < im->node->n_input; k++)
    if (im->node->input[k][0] && !import_input(im, k)) return import_refuse(im, HCT_E_UNSUPPORTED, "input %zu is '%s', an output that its node is not supported to make", k, im->node->input[k]);
  HCT_TRY(import_check_node(im));
  HCT_TRY(import_check_elements(im));
  return function(im);
}

static hct_status import_results(importer *im, MlirOperation function) {
  size_t count = im->graph->n_output;
  MlirValue *values = HCT_NEW_ARRAY(im->arena, MlirValue, count + 1);
  im->node = NULL;
  for (size_t i = 0; i < count; i++) {
    import_value *value = hct_map_get(im->values, im->graph->output[i]->name);
    im->loc = (hct_loc){im->file, hct_arena_printf(im->arena, "output '%s'", im->graph->output[i]->name)};
    if (!value) return import_refuse(im, HCT_E_ONNX_INVALID, "no node makes it");
    values[i] = build_value(im, value);
  }
  hct_build(&im->builder, "func.return", count, values, 0, NULL, 0, NULL);
  hct_entry_list entries = {0};
  for (size_t i = 0; i < count; i++) {
    HCT_PUSH(im->arena, &entries, ((hct_entry){i, "hct.name", hct_attr_str(im->context, im->graph->output[i]->name)}));
    HCT_PUSH(im->arena, &entries, ((hct_entry){i, "hct.role", hct_attr_str(im->context, "output")}));
    const Onnx__TypeProto *type = im->graph->output[i]->type;
    hct_dtype declared;
    bool infers = !strcmp(hct_pass_option(im->pass, "mode", "train"), "infer"), typed = type && type->tensor_type && hct_dtype_from_onnx(type->tensor_type->elem_type, &declared);
    if (infers && typed && hct_dtype_is_float(declared) && declared != HCT_F32 && shape_of(values[i]).dtype == HCT_F32)
      HCT_PUSH(im->arena, &entries, ((hct_entry){i, "hct.dtype", hct_attr_str(im->context, hct_dtype_name(declared))}));
  }
  hct_function_set_result_attrs(function, entries.count, entries.items);
  hct_function_update_type(function);
  hct_function_eliminate_dead(function);
  return HCT_OK;
}

MlirOperation import_function_create(MlirContext context, MlirLocation location, MlirBlock *out_body) {
  MlirRegion region = mlirRegionCreate();
  *out_body = mlirBlockCreate(0, NULL, NULL);
  mlirRegionAppendOwnedBlock(region, *out_body);
  MlirOperationState state = mlirOperationStateGet(hct_ref("func.func"), location);
  MlirNamedAttribute attributes[] = {
      mlirNamedAttributeGet(mlirIdentifierGet(context, hct_ref("sym_name")), hct_attr_str(context, "step")),
      mlirNamedAttributeGet(mlirIdentifierGet(context, hct_ref("function_type")), mlirTypeAttrGet(mlirFunctionTypeGet(context, 0, NULL, 0, NULL))),
  };
  mlirOperationStateAddAttributes(&state, 2, attributes);
  mlirOperationStateAddOwnedRegions(&state, 1, &region);
  return mlirOperationCreate(&state);
}

void import_function_finish(MlirOperation function, MlirOperation like) {
  static const char *const arrays[] = {"arg_attrs", "res_attrs"};
  for (size_t i = 0; i < HCT_COUNT(arrays); i++) {
    MlirAttribute attributes = mlirOperationGetAttributeByName(like, hct_ref(arrays[i]));
    if (!mlirAttributeIsNull(attributes)) hct_op_set(function, arrays[i], attributes);
  }
  hct_function_update_type(function);
  hct_function_eliminate_dead(function);
}

/* A trial first, which says what is known and what shapes the rest has, and refuses what is not supported; then the level itself. */
static hct_status import_graph(importer *im, const hct_map *wire) {
  MlirLocation location = hct_location_node(im->context, im->file, 0, "graph");
  MlirModule module = mlirModuleCreateEmpty(location);
  MlirOperation trial = im->trial = import_function_create(im->context, location, &im->body);
  im->module = module;
  hct_index_list order = {0};
  im->builder = (hct_builder){.context = im->context, .block = im->body, .location = location};
  hct_status status = import_arguments(im, trial, wire);
  if (status == HCT_OK) status = import_nodes(im, &order);
  if (status == HCT_OK) status = import_results(im, trial);
  if (status == HCT_OK) status = import_level_write(im, trial, order.items, order.count, module);
  if (status != HCT_OK) return status;
  hct_op_set(mlirModuleGetOperation(module), "hct.opset", hct_attr_i64(im->context, im->model_opset));
  hct_text inputs = {0};
  for (size_t i = 0; i < im->graph->n_input; i++) hct_text_printf(&inputs, "%s\n", im->graph->input[i]->name);
  hct_op_set(mlirModuleGetOperation(module), "hct.inputs", hct_attr_str(im->context, inputs.data ? inputs.data : ""));
  hct_text_fini(&inputs);
  return HCT_OK;
}

/* NULL, with a diagnostic, when it is none. */
static Onnx__ModelProto *model_unpack(hct_diags *diags, const char *path, const hct_file *file) {
  const ProtobufCMessageDescriptor *type = &onnx__model_proto__descriptor;
  if (file->bytes > INT32_MAX) {
    hct_error(diags, HCT_E_NOT_ONNX, (hct_loc){.file = path}, "%zu bytes; a protobuf message has less than 2 GiB", file->bytes);
    hct_hint(diags, "weights of larger models are external data (onnx.save_model, save_as_external_data=True)");
    return NULL;
  }
  if (!wire_nests(type, file->data, file->bytes, WIRE_MAX_LEVELS)) {
    hct_error(diags, HCT_E_NOT_ONNX, (hct_loc){.file = path}, "messages nested in one another more than %d deep", WIRE_MAX_LEVELS);
    return NULL;
  }
  Onnx__ModelProto *model = file->bytes ? onnx__model_proto__unpack(NULL, file->bytes, file->data) : NULL;
  if (model && model->graph && model->n_opset_import) return model;
  hct_error(diags, HCT_E_NOT_ONNX, (hct_loc){.file = path}, "not an ONNX model, or cut short (%zu bytes)", file->bytes);
  if (model) onnx__model_proto__free_unpacked(model, NULL);
  return NULL;
}

static hct_status import_parts(importer *im, const hct_file *file, const Onnx__ModelProto *model) {
  HCT_TRY(import_check_model(im, model));
  HCT_TRY(import_inline(im, model));
  HCT_TRY(import_check_graph(im, im->graph));
  HCT_TRY(check_supported(im));
  return import_graph(im, wire_initializers(im->arena, file->data, file->bytes));
}

hct_status import_refuse_size(importer *im, size_t bytes) {
  import_refuse(im, HCT_E_UNSUPPORTED, "values known at compile time take more than %zu MiB", bytes >> 20);
  hct_note(im->pass->diags, "shapes, indices, masks, and all that follows from them alone, at 8 bytes an element");
  return HCT_REFUSED;
}

static hct_status import_model(hct_pass_context *pass, const char *path, const hct_file *file, const Onnx__ModelProto *model, MlirModule *out_module) {
  const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  hct_arena *arena = hct_arena_create();
  importer *im = HCT_NEW(arena, importer);
  *im = (importer){.pass = pass, .arena = arena, .context = pass->context, .file = hct_arena_strdup(arena, base), .path = path,
                   .values = hct_map_create(arena), .externals = hct_map_create(arena), .reference = hct_path_relative(arena, path, pass->directory ? pass->directory : ".")};
  const size_t limit = pass->import_bytes ? pass->import_bytes : HCT_IMPORT_BYTES;
  jmp_buf exceeded;
  hct_arena_limit(arena, limit, &exceeded);
  hct_status status;
  if (!setjmp(exceeded)) {
    status = import_parts(im, file, model);
    hct_arena_limit(arena, 0, NULL);
  } else {
    hct_arena_limit(arena, 0, NULL);
    status = import_refuse_size(im, limit);
  }
  if (!mlirOperationIsNull(im->trial)) mlirOperationDestroy(im->trial);
  if (status == HCT_OK) {
    hct_data_reference whole = {.file = im->reference, .bytes = (int64_t)file->bytes, .checksum = hct_checksum(file->data, file->bytes)};
    hct_op_set(mlirModuleGetOperation(im->module), "hct.model_file", hct_attr_str(im->context, hct_data_reference_print(arena, &whole)));
  }
  if (status == HCT_OK) *out_module = im->module;
  else if (!mlirModuleIsNull(im->module)) mlirModuleDestroy(im->module);
  import_externals_end(im, status == HCT_OK);
  hct_arena_destroy(arena);
  return status;
}

hct_status hct_import_onnx(hct_pass_context *pass, const char *path, MlirModule *out_module) {
  hct_file file;
  if (!hct_image_holds_text(path)) return hct_error(pass->diags, HCT_E_OPTION, (hct_loc){.file = path}, "its path is not UTF-8, as images name files");
  HCT_TRY(hct_file_map(pass->diags, path, &file));
  Onnx__ModelProto *model = model_unpack(pass->diags, path, &file);
  hct_status status = model ? import_model(pass, path, &file, model, out_module) : HCT_REFUSED;
  if (model) onnx__model_proto__free_unpacked(model, NULL);
  hct_file_unmap(&file);
  return status;
}
