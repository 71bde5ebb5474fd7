#include <string.h>

#include "compiler/import/import_internal.h"

/* Since opset 12 training_mode says whether anything is dropped; before, that it is a training step. */
static hct_status reads_mode(importer *im, bool *out_drops) {
  const import_value *training = import_input(im, 2);
  if (im->opset < 12) return *out_drops = strcmp(hct_pass_option(im->pass, "mode", "train"), "infer") != 0, HCT_OK;
  if (training && !training->known) return import_refuse(im, HCT_E_UNSUPPORTED, "a training_mode that depends on run-time data");
  return *out_drops = training && host_get(&training->host, 0) != 0, HCT_OK;
}

static hct_status read_ratio(importer *im, double *out_ratio) {
  const import_value *ratio = im->opset < 12 ? NULL : import_input(im, 1);
  if (ratio && !ratio->known) return import_refuse(im, HCT_E_UNSUPPORTED, "a ratio that depends on run-time data, in training mode");
  *out_ratio = ratio ? host_get(&ratio->host, 0) : im->opset < 12 ? (double)import_float(im, "ratio", 0.5f) : 0.5;
  if (*out_ratio >= 0 && *out_ratio <= 1) return HCT_OK;
  return import_refuse(im, HCT_E_ONNX_INVALID, "a ratio of %g; it must be from 0 to 1", *out_ratio);
}

/* `a` where the numbers of its elements, row-major, are not among those dropped; seed and step are hct-derive-training's. */
static MlirValue build_dropout(importer *im, MlirValue a, double ratio, int64_t stream) {
  hct_shape shape = shape_of(a);
  int64_t index[HCT_MAX_RANK + 1] = {0};
  host_strides(&shape, index);
  MlirValue seed = build_scalar(im, HCT_I64, 0), step = build_scalar(im, HCT_F32, 0), operands[] = {a, seed, step};
  hct_named attributes[] = {{"ratio", hct_attr_f64(im->context, ratio)}, {"stream", hct_attr_i64(im->context, stream)}, {"index", hct_attr_i64s(im->context, shape.rank + 1, index)}};
  return build_op(im, "hct_graph.dropout", 3, operands, &shape, HCT_COUNT(attributes), attributes);
}

/* A mask is what becomes of ones, where it is not 0. */
static hct_status output_mask(importer *im, const hct_shape *shape, double ratio, int64_t stream, bool drops) {
  int64_t strides[HCT_MAX_RANK] = {0};
  hct_dtype dtype = im->opset >= 10 ? HCT_BOOL : shape->dtype;
  host_tensor one = host_create(im->arena, drops ? HCT_F32 : dtype, 0, NULL);
  host_set(&one, 0, 1);
  host_tensor ones = host_view(im->arena, &one, shape->rank, shape->dims, 0, strides);
  if (!drops) return import_output_host(im, 1, ones);
  import_value kept = {.value = build_dropout(im, build_known(im, ones), ratio, stream)};
  kept.shape = shape_of(kept.value);
  import_value *mask = value_map1(im, "not", value_map2(im, "eq", &kept, value_number(im, HCT_F32, 0)), HCT_BOOL);
  return import_output(im, 1, *value_map1(im, "mov", mask, dtype));
}

/* Each node has random numbers of its own, by its place among the dropouts of the model. */
hct_status import_dropout(importer *im) {
  import_value *a = import_input(im, 0);
  bool drops = false, masked = im->node->n_output > 1 && im->node->output[1][0];
  double ratio = 0;
  int64_t stream = im->dropouts++;
  if (!hct_dtype_is_float(a->shape.dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "an operand of %s; it takes floats", hct_dtype_name(a->shape.dtype));
  HCT_TRY(reads_mode(im, &drops));
  if (drops) HCT_TRY(read_ratio(im, &ratio));
  drops = drops && ratio != 0;
  if (masked) HCT_TRY(output_mask(im, &a->shape, ratio, stream, drops));
  return drops ? import_output_value(im, 0, build_dropout(im, build_value(im, a), ratio, stream)) : import_output(im, 0, *a);
}
