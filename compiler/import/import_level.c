/* The onnx level: after a trial of all nodes (in a function that is thrown away) has said which values are known and what shapes the others
 * have, each node that computes something at run time is one operator, as exported; known values are constants. */
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct level_writer {
  importer *im;
  hct_builder builder;
  hct_map *values; /* ONNX name -> level_value * */
} level_writer;
typedef struct level_value { MlirValue value; } level_value;

static void value_keep(level_writer *w, const char *name, MlirValue value) {
  level_value *kept = HCT_NEW(w->im->arena, level_value);
  kept->value = value;
  hct_map_put(w->values, name, kept);
}

static MlirValue value_of(level_writer *w, const char *name) {
  level_value *made = hct_map_get(w->values, name);
  if (made) return made->value;
  import_value *known = hct_map_get(w->im->values, name);
  HCT_BUG_ON(!known || !known->known, "the value '%s' was made by no node", name);
  hct_named attributes[] = {{"value", known_attribute(w->im, known, import_declared(known).dtype)}};
  hct_shape shape = import_declared(known);
  MlirType type = hct_type_tensor(w->im->context, shape.dtype, shape.rank, shape.dims);
  MlirValue value = hct_build_value(&w->builder, "onnx.constant", 0, NULL, type, 1, attributes);
  value_keep(w, name, value);
  return value;
}

/* Files of old versions of ONNX's IR say no type: what is there decides. */
static Onnx__AttributeProto__AttributeType type_of(const Onnx__AttributeProto *a) {
  if (a->has_type && a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED) return a->type;
  if (a->has_i) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
  if (a->has_f) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
  if (a->has_s) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
  return a->n_ints ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
}

static MlirAttribute attribute_of(const importer *im, const Onnx__AttributeProto *a) {
  switch (type_of(a)) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: return hct_attr_i64(im->context, a->i);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: return mlirFloatAttrDoubleGet(im->context, mlirF32TypeGet(im->context), (double)a->f);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING: return mlirStringAttrGet(im->context, mlirStringRefCreate((const char *)a->s.data, a->s.len));
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS: return hct_attr_i64s(im->context, a->n_ints, a->ints);
    default: return mlirAttributeGetNull(); /* no operator that is left at run time reads another kind */
  }
}

static bool computes_at_run_time(const importer *im, const Onnx__NodeProto *node) {
  for (size_t o = 0; o < node->n_output; o++) {
    const import_value *value = node->output[o][0] ? hct_map_get(im->values, node->output[o]) : NULL;
    if (value && !value->known) return true;
  }
  return false;
}

static hct_status node_write(level_writer *w, size_t index) {
  importer *im = w->im;
  const Onnx__NodeProto *node = im->graph->node[index];
  if (!computes_at_run_time(im, node)) return HCT_OK;
  im->node = im->graph->node[index];
  im->loc = import_site_loc(im, &im->sites[index]);
  if (node->n_input > HCT_MAX_VARIADIC || node->n_output > HCT_MAX_VARIADIC) return import_refuse(im, HCT_E_UNSUPPORTED, "more than %d inputs or outputs", HCT_MAX_VARIADIC);
  MlirValue operands[HCT_MAX_VARIADIC];
  MlirType results[HCT_MAX_VARIADIC];
  int32_t there[HCT_MAX_VARIADIC] = {0}, made[HCT_MAX_VARIADIC] = {0};
  size_t operand_count = 0, result_count = 0, attribute_count = 0;
  w->builder.location = hct_location_node(im->context, im->file, (int64_t)im->sites[index].index, im->sites[index].name);
  for (size_t k = 0; k < node->n_input; k++) {
    const import_value *given = node->input[k][0] ? hct_map_get(im->values, node->input[k]) : NULL;
    bool computed_with = given && given->known && !mlirValueIsNull(given->value);
    if (computed_with && hct_shape_elements(&given->shape) == 0 && strcmp(node->op_type, "Concat")) return import_refuse(im, HCT_E_UNSUPPORTED, "input %zu has no elements; beside others in a Concat that is supported", k);
  }
  for (size_t k = 0; k < node->n_input; k++)
    if (node->input[k][0]) operands[operand_count++] = value_of(w, node->input[k]), there[k] = 1;
  for (size_t o = 0; o < node->n_output; o++) {
    const import_value *value = node->output[o][0] ? hct_map_get(im->values, node->output[o]) : NULL;
    if (value) results[result_count++] = hct_type_tensor(im->context, import_declared(value).dtype, value->shape.rank, value->shape.dims), made[o] = 1;
  }
  hct_named *attributes = HCT_NEW_ARRAY(im->arena, hct_named, node->n_attribute + 3);
  attributes[attribute_count++] = (hct_named){"operandSegmentSizes", mlirDenseI32ArrayGet(im->context, HCT_MAX_VARIADIC, there)};
  attributes[attribute_count++] = (hct_named){"resultSegmentSizes", mlirDenseI32ArrayGet(im->context, HCT_MAX_VARIADIC, made)};
  if (im->sites[index].opset != im->model_opset) attributes[attribute_count++] = (hct_named){"hct.opset", hct_attr_i64(im->context, im->sites[index].opset)};
  for (size_t a = 0; a < node->n_attribute; a++) {
    MlirAttribute value = attribute_of(im, node->attribute[a]);
    if (!mlirAttributeIsNull(value)) attributes[attribute_count++] = (hct_named){node->attribute[a]->name, value};
  }
  char name[HCT_ONNX_NAME_BYTES];
  hct_onnx_op_name(node->op_type, name);
  MlirOperation op = hct_build(&w->builder, name, operand_count, operands, result_count, results, attribute_count, attributes);
  for (size_t o = 0, r = 0; o < node->n_output; o++)
    if (made[o]) value_keep(w, node->output[o], hct_op_result(op, r++));
  return HCT_OK;
}

hct_status import_level_write(importer *im, MlirOperation trial, const size_t *order, size_t count, MlirModule module) {
  MlirBlock trial_body = hct_function_body(trial), body;
  MlirOperation function = import_function_create(im->context, mlirOperationGetLocation(trial), &body);
  mlirBlockAppendOwnedOperation(mlirModuleGetBody(module), function);
  level_writer w = {.im = im, .values = hct_map_create(im->arena), .builder = {.context = im->context, .block = body, .location = mlirOperationGetLocation(trial)}};
  for (intptr_t a = 0; a < mlirBlockGetNumArguments(trial_body); a++) {
    MlirValue from = mlirBlockGetArgument(trial_body, a);
    MlirAttribute name = hct_function_arg_attr(trial, (size_t)a, "hct.name");
    value_keep(&w, hct_attr_text(name), mlirBlockAddArgument(body, mlirValueGetType(from), hct_location_node(im->context, im->file, 0, hct_attr_text(name))));
  }
  for (size_t n = 0; n < count; n++) HCT_TRY(node_write(&w, order[n]));
  MlirValue *returned = HCT_NEW_ARRAY(im->arena, MlirValue, im->graph->n_output + 1);
  for (size_t i = 0; i < im->graph->n_output; i++) returned[i] = value_of(&w, im->graph->output[i]->name);
  w.builder.location = mlirOperationGetLocation(trial);
  hct_build(&w.builder, "func.return", im->graph->n_output, returned, 0, NULL, 0, NULL);
  import_function_finish(function, trial);
  return HCT_OK;
}
