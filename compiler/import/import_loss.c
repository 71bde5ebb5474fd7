/* Losses over classes. */
#include <string.h>

#include "compiler/import/import_internal.h"

/* What a reshape that only flattens leading dims was given: then logits stay [batch, sequence, classes]. */
static MlirValue before_flatten(MlirValue value, size_t kept_last) {
  if (!mlirValueIsAOpResult(value) || !hct_op_is(mlirOpResultGetOwner(value), "hct_graph.reshape")) return value;
  MlirValue from = hct_op_operand(mlirOpResultGetOwner(value), 0);
  hct_shape before = shape_of(from), after = shape_of(value);
  if (after.rank != 1 + kept_last || before.rank < after.rank) return value;
  if (kept_last && before.dims[before.rank - 1] != after.dims[1]) return value;
  return from;
}

typedef struct loss {
  const char *reduction; /* none, sum, mean */
  MlirValue ids, valid;  /* [...]; valid: f32, 0 where ids is ignore_index; null: all are */
  MlirValue weights;     /* [classes], or null */
  hct_shape token;       /* f32 [...] */
  int64_t classes;
  hct_dtype dtype;       /* of the result */
} loss;

static MlirValue picked(importer *im, const loss *l, MlirValue from) {
  MlirValue operands[] = {from, l->ids};
  return build_op(im, "hct_graph.pick", 2, operands, &l->token, 0, NULL);
}

static MlirValue valid_build(importer *im, MlirValue ids, bool there, int64_t index) {
  host_tensor ignored = host_create(im->arena, shape_of(ids).dtype, 0, NULL);
  ignored.i[0] = there ? index : INT64_MIN;
  MlirValue skip = build_map2(im, "eq", ids, build_known(im, ignored));
  return build_map1(im, "mov", build_map1(im, "not", skip, HCT_BOOL), HCT_F32);
}

/* `nll`: f32 [...]. The mean is over the weights of what is not ignored. */
static hct_status loss_output(importer *im, const loss *l, MlirValue nll) {
  int64_t all[HCT_MAX_RANK];
  MlirValue weight = l->valid;
  if (!mlirValueIsNull(l->weights)) {
    hct_shape wide = l->token;
    wide.dims[wide.rank++] = l->classes;
    weight = build_map2(im, "mul", l->valid, picked(im, l, build_broadcast(im, l->weights, &wide)));
  }
  MlirValue weighted = build_map2(im, "mul", nll, weight);
  for (size_t d = 0; d < l->token.rank; d++) all[d] = (int64_t)d;
  if (!strcmp(l->reduction, "none")) return import_output_value(im, 0, build_cast(im, weighted, l->dtype));
  MlirValue sum = build_reduce(im, "sum", weighted, l->token.rank, all);
  if (!strcmp(l->reduction, "mean")) sum = build_map2(im, "div", sum, build_reduce(im, "sum", weight, l->token.rank, all));
  return import_output_value(im, 0, build_reshape(im, build_cast(im, sum, l->dtype), 0, NULL));
}

/* Classes from dimension 1 to the last; or back. */
static MlirValue classes_last(importer *im, MlirValue x) {
  size_t rank = shape_of(x).rank;
  int64_t perm[HCT_MAX_RANK];
  for (size_t d = 0; d < rank; d++) perm[d] = d == 0 ? 0 : d + 1 == rank ? 1 : (int64_t)d + 1;
  return build_transpose(im, x, perm);
}

static MlirValue classes_second(importer *im, MlirValue x) {
  size_t rank = shape_of(x).rank;
  int64_t perm[HCT_MAX_RANK];
  for (size_t d = 0; d < rank; d++) perm[d] = d == 0 ? 0 : d == 1 ? (int64_t)rank - 1 : (int64_t)d - 1;
  return build_transpose(im, x, perm);
}

/* Scores [batch, classes, ...], labels [batch, ...], weights [classes] or absent. */
static hct_status loss_read(importer *im, loss *out_loss) {
  import_value *scores = import_input(im, 0), *labels = import_input(im, 1), *weights = import_input(im, 2);
  HCT_TRY(import_floats(im, 1));
  const char *reduction = import_string(im, "reduction", "mean");
  if (strcmp(reduction, "mean") && strcmp(reduction, "sum") && strcmp(reduction, "none")) return import_refuse(im, HCT_E_ONNX_INVALID, "reduction '%s' is none of none, sum, mean", reduction);
  bool fits = labels && !hct_dtype_is_float(labels->shape.dtype) && scores->shape.rank >= 2 && labels->shape.rank + 1 == scores->shape.rank;
  for (size_t d = 0; fits && d < labels->shape.rank; d++) fits = labels->shape.dims[d] == scores->shape.dims[d ? d + 1 : 0];
  if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "labels are no integers of the scores' shape without its dimension 1, the classes");
  int64_t classes = scores->shape.dims[1];
  if (weights && (!hct_dtype_is_float(weights->shape.dtype) || weights->shape.rank != 1 || weights->shape.dims[0] != classes)) return import_refuse(im, HCT_E_ONNX_SHAPE, "the weights are no vector of %lld classes", (long long)classes);
  MlirValue ids = build_value(im, labels), z = build_value(im, scores), each = weights ? build_cast(im, build_value(im, weights), HCT_F32) : (MlirValue){0};
  *out_loss = (loss){.reduction = reduction, .ids = ids, .classes = classes, .dtype = shape_of(z).dtype, .weights = each};
  return HCT_OK;
}

static void loss_over(importer *im, loss *l, MlirValue ids) {
  l->ids = ids;
  l->token = shape_of(ids);
  l->token.dtype = HCT_F32;
  l->valid = valid_build(im, ids, import_attribute(im, "ignore_index") != NULL, import_int(im, "ignore_index", 0));
}

/* loss = sum over tokens of valid (log sum exp(z - m) + m - z[label]) / sum of valid; see the graph dialect's page. */
hct_status import_cross_entropy(importer *im) {
  loss l;
  HCT_TRY(loss_read(im, &l));
  MlirValue scores = build_value(im, import_input(im, 0)), z = classes_last(im, scores), ids = l.ids;
  if (im->node->n_output < 2 && strcmp(l.reduction, "none")) { /* nothing has the flattened shape: tokens keep theirs */
    MlirValue wide = before_flatten(scores, 1), labels = before_flatten(ids, 0);
    hct_shape zs = shape_of(wide), is = shape_of(labels);
    if (is.rank + 1 == zs.rank && !memcmp(zs.dims, is.dims, is.rank * sizeof *is.dims) && shape_of(scores).rank == 2) z = wide, ids = labels;
  }
  loss_over(im, &l, ids);
  int64_t last[] = {(int64_t)l.token.rank};
  MlirValue highest = build_reduce(im, "max", z, 1, last);
  MlirValue sum = build_reduce(im, "sum", build_map1(im, "exp", build_map2(im, "sub", z, highest), HCT_F32), 1, last);
  MlirValue spread = build_map2(im, "add", build_map1(im, "log", sum, HCT_F32), highest);
  if (im->node->n_output > 1) HCT_TRY(import_output_value(im, 1, build_cast(im, classes_second(im, build_map2(im, "sub", z, spread)), l.dtype)));
  MlirValue own = picked(im, &l, z), nll = build_map2(im, "sub", build_reshape(im, spread, l.token.rank, l.token.dims), own);
  return loss_output(im, &l, nll);
}

hct_status import_nll_loss(importer *im) {
  loss l;
  HCT_TRY(loss_read(im, &l));
  loss_over(im, &l, l.ids);
  MlirValue scores = build_value(im, import_input(im, 0));
  return loss_output(im, &l, build_map1(im, "neg", picked(im, &l, classes_last(im, scores)), HCT_F32));
}
