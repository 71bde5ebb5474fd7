/* hct-convert-onnx-to-graph
 *
 *   %1 = "onnx.gemm"(%x, %w, %b) {transB = 1 : i64, ...} : (...) -> tensor<8x16xf32>
 * becomes
 *   %0 = "hct_graph.contract"(%x, %w) {spec = "mk,nk->mn"}
 *   %1 = "hct_graph.map2"(%0, %b) {fn = "add"}
 *
 * An operator is read back as the node that it stands for, and goes through the function of onnx_ops.def, as the importer's trial did, in the
 * module's opset (hct.opset) or its own, of a function that the model defines. A module without onnx operators is left as it is. */
#include <string.h>

#include "compiler/import/import_internal.h"
#include "compiler/pass.h"

typedef struct conversion {
  importer im;
  hct_index_map *names; /* MLIR value -> number; its name is "%NUMBER" */
  size_t next;
} conversion;

static char *name_of(conversion *c, MlirValue value) {
  size_t number;
  if (!hct_index_map_get(c->names, hct_value_key(value), &number)) hct_index_map_put(c->names, hct_value_key(value), number = c->next++);
  return hct_arena_printf(c->im.arena, "%%%zu", number);
}

static bool is_onnx(MlirOperation op) { return !strncmp(hct_op_name(op), "onnx.", 5); }

static bool segments_read(MlirOperation op, const char *attribute, intptr_t count, int32_t out_present[HCT_MAX_VARIADIC]) {
  MlirAttribute sizes = mlirOperationGetAttributeByName(op, hct_ref(attribute));
  intptr_t there = 0;
  memset(out_present, 0, sizeof(int32_t) * HCT_MAX_VARIADIC);
  if (mlirAttributeIsNull(sizes) || !mlirAttributeIsADenseI32Array(sizes) || mlirDenseArrayGetNumElements(sizes) > HCT_MAX_VARIADIC) return false;
  for (intptr_t i = 0; i < mlirDenseArrayGetNumElements(sizes); i++) {
    out_present[i] = mlirDenseI32ArrayGetElement(sizes, i) == 1;
    there += out_present[i];
  }
  return there == count;
}

static bool attribute_read(hct_arena *arena, const char *name, MlirAttribute value, Onnx__AttributeProto *out_attribute) {
  Onnx__AttributeProto a = ONNX__ATTRIBUTE_PROTO__INIT;
  a.name = hct_arena_strdup(arena, name);
  if (mlirAttributeIsAInteger(value)) {
    a.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    a.i = mlirIntegerAttrGetValueInt(value);
  } else if (mlirAttributeIsAFloat(value)) {
    a.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    a.f = (float)mlirFloatAttrGetValueDouble(value);
  } else if (mlirAttributeIsAString(value)) {
    MlirStringRef text = mlirStringAttrGetValue(value);
    a.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    a.s.data = (uint8_t *)hct_arena_strndup(arena, text.data, text.length);
    a.s.len = text.length;
  } else if (mlirAttributeIsADenseI64Array(value)) {
    a.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    a.n_ints = (size_t)mlirDenseArrayGetNumElements(value);
    a.ints = HCT_NEW_ARRAY(arena, int64_t, a.n_ints + 1);
    for (size_t i = 0; i < a.n_ints; i++) a.ints[i] = mlirDenseI64ArrayGetElement(value, (intptr_t)i);
  } else {
    return false;
  }
  *out_attribute = a;
  return true;
}

static hct_status node_read(conversion *c, MlirOperation op, Onnx__NodeProto *out_node) {
  importer *im = &c->im;
  Onnx__NodeProto node = ONNX__NODE_PROTO__INIT;
  int32_t inputs[HCT_MAX_VARIADIC], outputs[HCT_MAX_VARIADIC];
  if (!segments_read(op, "operandSegmentSizes", mlirOperationGetNumOperands(op), inputs) || !segments_read(op, "resultSegmentSizes", mlirOperationGetNumResults(op), outputs))
    return hct_error(im->pass->diags, HCT_E_IR_INVALID, im->loc, "%s: operandSegmentSizes or resultSegmentSizes does not fit its operands or results", hct_op_name(op));
  if (!hct_onnx_op_type(hct_op_name(op))) return hct_error(im->pass->diags, HCT_E_ONNX_OP, im->loc, "%s: there is no such operator", hct_op_name(op));
  node.op_type = hct_arena_strdup(im->arena, hct_onnx_op_type(hct_op_name(op)));
  node.input = HCT_NEW_ARRAY(im->arena, char *, HCT_MAX_VARIADIC);
  node.output = HCT_NEW_ARRAY(im->arena, char *, HCT_MAX_VARIADIC);
  size_t operand = 0, result = 0;
  for (size_t k = 0; k < HCT_MAX_VARIADIC; k++) {
    node.input[k] = inputs[k] ? name_of(c, hct_op_operand(op, operand++)) : hct_arena_strdup(im->arena, "");
    node.output[k] = outputs[k] ? name_of(c, hct_op_result(op, result++)) : hct_arena_strdup(im->arena, "");
    if (inputs[k]) node.n_input = k + 1;
    if (outputs[k]) node.n_output = k + 1;
  }
  intptr_t count = mlirOperationGetNumAttributes(op);
  node.attribute = HCT_NEW_ARRAY(im->arena, Onnx__AttributeProto *, (size_t)count + 1);
  for (intptr_t i = 0; i < count; i++) {
    MlirNamedAttribute named = mlirOperationGetAttribute(op, i);
    MlirStringRef name = mlirIdentifierStr(named.name);
    const char *text = hct_arena_strndup(im->arena, name.data, name.length);
    Onnx__AttributeProto attribute;
    if (strstr(text, "SegmentSizes") || !strcmp(text, "hct.opset") || !attribute_read(im->arena, text, named.attribute, &attribute)) continue;
    node.attribute[node.n_attribute] = HCT_NEW(im->arena, Onnx__AttributeProto);
    *node.attribute[node.n_attribute++] = attribute;
  }
  *out_node = node;
  return HCT_OK;
}

static void value_keep(conversion *c, MlirValue from, import_value value) {
  import_value *kept = HCT_NEW(c->im.arena, import_value);
  *kept = value;
  hct_map_put(c->im.values, name_of(c, from), kept);
}

static hct_status convert_constant(conversion *c, MlirOperation op) {
  MlirAttribute data = mlirOperationGetAttributeByName(op, hct_ref("value"));
  host_tensor host;
  if (mlirOperationGetNumResults(op) != 1 || mlirAttributeIsNull(data) || !host_from_attribute(&c->im, data, &host))
    return hct_error(c->im.pass->diags, HCT_E_IR_INVALID, c->im.loc, "onnx.constant: it needs one result, and a dense value of elements of a supported type");
  value_keep(c, hct_op_result(op, 0), (import_value){.known = true, .host = host, .attribute = data, .shape = host.shape, .element = host.element});
  return HCT_OK;
}

static hct_status convert_op(conversion *c, MlirOperation op) {
  importer *im = &c->im;
  im->loc = hct_loc_of(im->arena, op);
  im->builder.location = mlirOperationGetLocation(op);
  if (!is_onnx(op)) return hct_error(im->pass->diags, HCT_E_IR_INVALID, im->loc, "%s among operators of the onnx level", hct_op_name(op));
  if (!strcmp(hct_op_name(op), "onnx.constant")) return convert_constant(c, op);
  Onnx__NodeProto node;
  HCT_TRY(node_read(c, op, &node));
  for (size_t k = 0; k < node.n_input; k++)
    if (node.input[k][0] && !hct_map_has(im->values, node.input[k])) return hct_error(im->pass->diags, HCT_E_IR_INVALID, im->loc, "%s: operand %zu is not made here", hct_op_name(op), k);
  im->node = &node;
  im->opset = hct_op_i64_or(op, "hct.opset", im->model_opset); /* a function's own */
  hct_status status = import_run(im);
  for (size_t o = 0, r = 0; o < node.n_output && status == HCT_OK; o++) {
    if (!node.output[o][0]) continue;
    const import_value *made = hct_map_get(im->values, node.output[o]);
    MlirValue old = hct_op_result(op, r++);
    hct_shape shape;
    if (!made) {
      status = import_refuse(im, HCT_E_UNSUPPORTED, "output %zu", o);
    } else if (!hct_value_shape(old, &shape) || shape.rank != made->shape.rank || memcmp(shape.dims, made->shape.dims, shape.rank * sizeof *shape.dims)) {
      status = import_refuse(im, HCT_E_ONNX_SHAPE, "the type of result %zu is not what its operands give", o);
    }
  }
  im->node = NULL;
  return status;
}

static hct_status convert_body(conversion *c, MlirOperation old, MlirBlock from) {
  importer *im = &c->im;
  MlirOperation *operations, end = hct_block_terminator(from);
  size_t count = hct_block_operations(im->arena, from, &operations);
  for (size_t i = 0; i + 1 < count; i++) HCT_TRY(convert_op(c, operations[i]));
  size_t returned = (size_t)mlirOperationGetNumOperands(end);
  MlirValue *values = HCT_NEW_ARRAY(im->arena, MlirValue, returned + 1);
  im->builder.location = mlirOperationGetLocation(end);
  for (size_t i = 0; i < returned; i++) {
    import_value *value = hct_map_get(im->values, name_of(c, hct_op_operand(end, i)));
    if (!value) return hct_error(im->pass->diags, HCT_E_IR_INVALID, hct_loc_of(im->arena, end), "result %zu is not made here", i);
    values[i] = build_value(im, value);
    hct_dtype declared = shape_of(values[i]).dtype;
    MlirAttribute said = hct_function_result_attr(old, i, "hct.dtype");
    if (!mlirAttributeIsNull(said) && hct_dtype_parse(hct_attr_text(said) ? hct_attr_text(said) : "", &declared)) values[i] = build_map1(im, "mov", values[i], declared);
    bool made_twice = mlirValueIsABlockArgument(values[i]);
    for (size_t j = 0; j < i; j++) made_twice |= mlirValueEqual(values[i], values[j]);
    if (made_twice) values[i] = build_map1(im, "mov", values[i], shape_of(values[i]).dtype); /* every result is a tensor of its own */
  }
  hct_build(&im->builder, "func.return", returned, values, 0, NULL, 0, NULL);
  return HCT_OK;
}

static bool has_onnx(MlirBlock body) {
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op))
    if (is_onnx(op)) return true;
  return false;
}

static hct_status convert_function(conversion *c, MlirOperation old, MlirBlock from, MlirBlock body) {
  hct_pass_context *pass = c->im.pass;
  for (intptr_t a = 0; a < mlirBlockGetNumArguments(from); a++) {
    MlirValue argument = mlirBlockGetArgument(from, a);
    hct_shape shape;
    if (!hct_value_shape(argument, &shape)) {
      return hct_error(pass->diags, HCT_E_IR_INVALID, hct_loc_of(pass->arena, old), "argument %lld is no static tensor of a supported type", (long long)a);
    }
    MlirLocation location = mlirOperationGetLocation(old);
    value_keep(c, argument, import_argument(&c->im, mlirBlockAddArgument(body, mlirValueGetType(argument), location)));
  }
  return convert_body(c, old, from);
}

hct_status hct_pass_convert_onnx_to_graph(hct_pass_context *pass, MlirModule module) {
  MlirOperation old = hct_module_function(module), top = mlirModuleGetOperation(module);
  MlirBlock from = hct_function_body(old), body;
  if (!has_onnx(from)) return HCT_OK;
  conversion *c = HCT_NEW(pass->arena, conversion);
  *c = (conversion){.im = {.pass = pass, .arena = pass->arena, .context = pass->context, .file = "", .model_opset = hct_op_i64_or(top, "hct.opset", 17), .values = hct_map_create(pass->arena)},
                    .names = hct_index_map_create(pass->arena)};
  MlirOperation function = import_function_create(pass->context, mlirOperationGetLocation(old), &body);
  c->im.body = body;
  c->im.builder = (hct_builder){.context = pass->context, .block = body, .location = mlirOperationGetLocation(old)};
  mlirBlockInsertOwnedOperationBefore(mlirModuleGetBody(module), old, function);
  const size_t limit = pass->import_bytes ? pass->import_bytes : HCT_IMPORT_BYTES;
  jmp_buf exceeded;
  hct_arena_limit(pass->arena, limit, &exceeded);
  hct_status status;
  if (!setjmp(exceeded)) {
    status = convert_function(c, old, from, body);
    hct_arena_limit(pass->arena, 0, NULL);
  } else {
    hct_arena_limit(pass->arena, 0, NULL);
    c->im.node = NULL;
    status = import_refuse_size(&c->im, limit);
  }
  if (status == HCT_OK) import_function_finish(function, old);
  mlirOperationDestroy(status == HCT_OK ? old : function);
  return status;
}
