/* Part of hct-derive-training: scaling of the loss, and of gradients before the optimizer's steps. */
#include <float.h>
#include <stdlib.h>

#include "compiler/transform/derive_training.h"
#include "ir/isa/settings.h"

static MlirValue setting(hct_tape *tape, const hct_training_scale *scale, int64_t index) {
  int64_t one[1] = {1};
  return hct_tape_reshape(tape, hct_tape_slice(tape, scale->settings, &index, NULL, one), 0, NULL);
}

void hct_training_scale_loss(hct_tape *tape, hct_training_scale *scale, MlirValue loss) {
  if (mlirValueIsAOpResult(loss)) hct_tape_at(tape, mlirOpResultGetOwner(loss), "backward");
  scale->loss_scale = setting(tape, scale, HCT_SETTING_LOSS_SCALE);
  if (scale->adapts) scale->loss_scale = hct_tape_map2(tape, "mul", scale->loss_scale, hct_tape_map2(tape, "pow", hct_tape_scalar(tape, 2), scale->shift));
  tape->seed = scale->loss_scale;
}

typedef struct made { size_t at, number; MlirValue gradient; } made; /* by the operator that makes it, and as given */

static int by_making(const void *a, const void *b) {
  const made *x = a, *y = b;
  return x->at != y->at ? (x->at < y->at ? -1 : 1) : x->number < y->number ? -1 : 1;
}

/* In the order in which they are made. */
static made *gradients_sort(hct_tape *tape, size_t count, const MlirValue *gradients) {
  made *sorted = HCT_NEW_ARRAY(tape->arena, made, count + 1);
  hct_index_map *makers = hct_index_map_create(tape->arena);
  MlirOperation *ops;
  size_t op_count = hct_block_operations(tape->arena, tape->body, &ops);
  for (size_t i = 0; i < op_count; i++)
    for (intptr_t r = 0; r < mlirOperationGetNumResults(ops[i]); r++) hct_index_map_put(makers, hct_value_key(mlirOperationGetResult(ops[i], r)), i);
  for (size_t i = 0; i < count; i++) {
    sorted[i].number = i, sorted[i].gradient = gradients[i];
    hct_index_map_get(makers, hct_value_key(gradients[i]), &sorted[i].at);
  }
  qsort(sorted, count, sizeof *sorted, by_making);
  return sorted;
}

/* Each joins the sum where it is made: one number goes from layer to layer, so that layers are alike. */
static MlirValue sum_of_squares(hct_tape *tape, size_t count, const MlirValue *gradients) {
  const made *sorted = gradients_sort(tape, count, gradients);
  MlirValue total = {NULL};
  for (size_t i = 0; i < count; i++) {
    int64_t axes[HCT_MAX_RANK];
    MlirValue gradient = sorted[i].gradient;
    hct_shape shape = hct_tape_shape(gradient);
    if (mlirValueIsAOpResult(gradient)) hct_tape_at(tape, mlirOpResultGetOwner(gradient), "update");
    for (size_t d = 0; d < shape.rank; d++) axes[d] = (int64_t)d;
    MlirValue sum = hct_tape_reduce(tape, "sum", hct_tape_map2(tape, "mul", gradient, gradient), shape.rank, axes);
    sum = hct_tape_reshape(tape, sum, 0, NULL);
    total = mlirValueIsNull(total) ? sum : hct_tape_map2(tape, "add", total, sum);
  }
  return total;
}

MlirValue hct_training_scale_gradients(hct_tape *tape, hct_training_scale *scale, size_t count, const MlirValue *gradients) {
  int64_t zero[1] = {0}, given[1] = {HCT_SETTING_GRADIENT_SCALE}, one[1] = {1};
  MlirValue squares = scale->clips || scale->adapts ? sum_of_squares(tape, count, gradients) : (MlirValue){NULL};
  MlirValue factor = hct_tape_scalar(tape, 1);
  tape->layer = "optimizer", tape->pass = "update";
  if (tape->group >= 0) tape->group = 0;
  if (scale->clips) {
    MlirValue norm = hct_tape_map1(tape, "sqrt", squares);
    if (scale->scales) norm = hct_tape_map2(tape, "div", norm, scale->loss_scale);
    norm = hct_tape_map1s(tape, "adds", norm, 1e-6);
    factor = hct_tape_map2(tape, "min", factor, hct_tape_map2(tape, "div", setting(tape, scale, HCT_SETTING_CLIP_NORM), norm));
  }
  if (scale->scales) factor = hct_tape_map2(tape, "div", factor, scale->loss_scale);
  if (scale->adapts) {
    scale->finite = hct_tape_map2(tape, "le", squares, hct_tape_scalar(tape, FLT_MAX));
    factor = hct_tape_select(tape, scale->finite, factor, hct_tape_scalar(tape, -1));
  }
  MlirValue before = hct_tape_slice(tape, scale->settings, zero, NULL, given), parts[] = {before, hct_tape_reshape(tape, factor, 1, one)};
  hct_named axis = {"axis", hct_attr_i64(tape->builder.context, 0)};
  hct_shape shape = hct_tape_shape(scale->settings);
  return hct_tape_emit(tape, "hct_graph.concat", 2, parts, &shape, 1, &axis);
}

MlirValue hct_training_count(hct_tape *tape, const hct_training_scale *scale, MlirValue step) {
  return scale->adapts ? hct_tape_map2(tape, "add", step, hct_tape_convert(tape, scale->finite, HCT_F32)) : hct_tape_map1s(tape, "adds", step, 1);
}

static MlirValue is_time(hct_tape *tape, const hct_training_scale *scale, MlirValue steps) { return hct_tape_map2(tape, "le", setting(tape, scale, HCT_SETTING_SCALE_INTERVAL), steps); }

MlirValue hct_training_scale_steps(hct_tape *tape, const hct_training_scale *scale) {
  MlirValue zero = hct_tape_scalar(tape, 0);
  return hct_tape_select(tape, scale->finite, hct_tape_map1s(tape, "adds", scale->good, 1), zero);
}

MlirValue hct_training_scale_shift(hct_tape *tape, const hct_training_scale *scale, MlirValue steps) {
  MlirValue longer = hct_tape_convert(tape, is_time(tape, scale, steps), HCT_F32);
  return hct_tape_map2(tape, "add", scale->shift, hct_tape_select(tape, scale->finite, longer, hct_tape_scalar(tape, -1)));
}

MlirValue hct_training_scale_good(hct_tape *tape, const hct_training_scale *scale, MlirValue steps) {
  MlirValue zero = hct_tape_scalar(tape, 0);
  return hct_tape_select(tape, is_time(tape, scale, steps), zero, steps);
}
