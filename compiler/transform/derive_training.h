/* Parts of hct-derive-training: the tape (which values carry gradients, and the gradients so far), the builders that the
 * gradient rules are written with, and the choice of loss and parameters. */
#ifndef HCT_COMPILER_TRANSFORM_DERIVE_TRAINING_H
#define HCT_COMPILER_TRANSFORM_DERIVE_TRAINING_H

#include "ir/dialect/ir.h"

/* One summand of a value's gradient. Its shape is the value's, or smaller by implicit broadcasting (size 1); `sliced` ones are
 * gradients of the part of the value that starts at `starts`. */
typedef struct hct_tape_summand {
  MlirValue gradient;
  bool sliced;
  int64_t starts[HCT_MAX_RANK];
  int64_t group; /* fusion group that it is made in */
} hct_tape_summand;

typedef struct hct_tape_entry {
  MlirValue value;
  hct_shape shape;
  size_t pending; /* uses whose operation has not been differentiated yet */
  struct { hct_tape_summand *items; size_t count, capacity; } summands;
  bool overlaps;   /* slices of the value meet, or blocks that are computed again share it: summands are added at once */
  MlirValue total; /* null when nothing flows back; before all uses were seen it is null too, or where slices overlap the sum so far */
} hct_tape_entry;

typedef struct hct_tape {
  hct_arena *arena;
  hct_diags *diags;
  hct_builder builder;
  MlirBlock body;
  const char *layer, *pass; /* attributes of what is built now */
  int64_t group;            /* -1: none */
  MlirValue seed;           /* the loss's gradient, f32[]; null: 1 */
  bool layerwise;           /* a loss that is added is a group of its own; else it is of its logits' group */
  hct_index_map *index;     /* value -> entry */
  struct { hct_tape_entry *items; size_t count, capacity; } entries;
} hct_tape;

/* ---- engine (derive_training_tape.c) ---- */
/* Gradients of `loss` with respect to `parameters` [count]: out_gradients[i] is null where the loss does not depend on it.
 * Everything new goes before the terminator of `body`. HCT_REFUSED: an operator on the way has no gradient. */
hct_status hct_tape_differentiate(hct_tape *tape, MlirValue loss, size_t count, const MlirValue *parameters, MlirValue *out_gradients);
/* Adds a summand to the gradient of `value`; nothing happens where `value` carries no gradient. Sums over broadcast dims. */
void hct_tape_add(hct_tape *tape, MlirValue value, MlirValue gradient);
void hct_tape_add_slice(hct_tape *tape, MlirValue value, MlirValue gradient, const int64_t *starts);
bool hct_tape_wants(const hct_tape *tape, MlirValue value); /* whether `value` carries a gradient */
/* What is built from now on gets this operation's location, layer and group. */
void hct_tape_at(hct_tape *tape, MlirOperation op, const char *pass);

/* ---- builders: hct_graph operations with inferred result types, bearing the tape's attributes ---- */
MlirValue hct_tape_emit(hct_tape *tape, const char *op, size_t operand_count, const MlirValue *operands, const hct_shape *result,
                        size_t attribute_count, const hct_named *attributes);
MlirValue hct_tape_scalar(hct_tape *tape, double value); /* f32[] constant */
MlirValue hct_tape_map1(hct_tape *tape, const char *fn, MlirValue a);
MlirValue hct_tape_map1s(hct_tape *tape, const char *fn, MlirValue a, double scalar);
MlirValue hct_tape_convert(hct_tape *tape, MlirValue a, hct_dtype dtype);
MlirValue hct_tape_map2(hct_tape *tape, const char *fn, MlirValue a, MlirValue b); /* eq, lt, le give i1 */
MlirValue hct_tape_select(hct_tape *tape, MlirValue condition, MlirValue a, MlirValue b);
MlirValue hct_tape_reshape(hct_tape *tape, MlirValue a, size_t rank, const int64_t *dims);
MlirValue hct_tape_transpose(hct_tape *tape, MlirValue a, const int64_t *permutation);
MlirValue hct_tape_broadcast(hct_tape *tape, MlirValue a, const hct_shape *shape);
MlirValue hct_tape_slice(hct_tape *tape, MlirValue a, const int64_t *starts, const int64_t *steps, const int64_t *dims);
MlirValue hct_tape_pad(hct_tape *tape, MlirValue a, const int64_t *low, const int64_t *dims);
MlirValue hct_tape_reduce(hct_tape *tape, const char *kind, MlirValue a, size_t axis_count, const int64_t *axes);
MlirValue hct_tape_contract(hct_tape *tape, const char *spec, MlirValue a, MlirValue b, const hct_shape *result);
MlirValue hct_tape_to_shape(hct_tape *tape, MlirValue a, const hct_shape *shape); /* sums over what broadcasting repeated */
hct_shape hct_tape_shape(MlirValue value);

/* ---- rules (derive_training_rules.c, gradients.def) ---- */
typedef void (*hct_gradient_rule)(hct_tape *tape, MlirOperation op, MlirValue dy);
hct_gradient_rule hct_gradient_rule_find(MlirOperation op); /* NULL: no gradient is known */
bool hct_gradient_is_zero(MlirOperation op);                 /* constant almost everywhere */

/* ---- scale of loss and gradients (derive_training_scale.c) ---- */
#define HCT_FIRST_LOSS_SCALE 65536.0 /* of a scale that adapts: PyTorch's GradScaler's */
typedef struct hct_training_scale {
  MlirValue settings;          /* argument f32[HCT_SETTING_COUNT] */
  bool clips, scales, adapts;
  MlirValue shift, good;       /* states f32[], where it adapts: log2 of the scale to the first one; steps without overflow since it changed */
  MlirValue loss_scale;        /* f32[], or null: 1 */
  MlirValue finite;            /* i1[], where it adapts: all gradients are */
} hct_training_scale;
/* Makes scale->loss_scale, which gradients start from (tape->seed). */
void hct_training_scale_loss(hct_tape *tape, hct_training_scale *scale, MlirValue loss);
/* The settings that updates take: with the scale of gradients that undoes the loss's, brings the norm of all `gradients` [count], complete sums, down to the
 * setting clip-norm as torch.nn.utils.clip_grad_norm_ does, and is -1 where the loss's scale adapts and they are not finite. */
MlirValue hct_training_scale_gradients(hct_tape *tape, hct_training_scale *scale, size_t count, const MlirValue *gradients);
MlirValue hct_training_count(hct_tape *tape, const hct_training_scale *scale, MlirValue step); /* step + 1; where it adapts, of steps that are not left out */
/* New states, as PyTorch's GradScaler: half the scale after an overflow, twice after loss-scale-interval steps without. */
MlirValue hct_training_scale_steps(hct_tape *tape, const hct_training_scale *scale); /* steps without overflow, this one included */
MlirValue hct_training_scale_shift(hct_tape *tape, const hct_training_scale *scale, MlirValue steps);
MlirValue hct_training_scale_good(hct_tape *tape, const hct_training_scale *scale, MlirValue steps);

/* ---- after gradients are derived (derive_training_detach.c) ---- */
/* Replaces each hct_graph.detach among `forward` [count], all operators of forward in order, overwritten, by its first operand, and moves those with hct.recomputed, with all that reads them, to backward,
 * each to before its first reader; those without any are erased. */
void hct_training_settle(hct_tape *tape, size_t count, MlirOperation *forward);

/* ---- loss and parameters (derive_training_loss.c) ---- */
/* Shift m of a log-sum-exp, `m + log(sum(exp(z - m)))` or its log-softmax form: its gradient is zero whatever m is, so none
 * is built, and no die exchanges it. */
bool hct_training_is_shift(MlirOperation op); /* derive_training_shift.c */
/* The loss value among the terminator's operands, or appended as --loss=cross-entropy:LOGITS asks (then *out_added). */
hct_status hct_training_choose_loss(hct_tape *tape, MlirOperation function, const char *option, bool required, MlirValue *out_loss,
                                    const char **out_name, bool *out_added);
/* Adds to the module's `hct.labels` where inputs are picked by (derive_training_labels.c). */
void hct_training_describe_labels(hct_arena *arena, MlirModule module);

#endif
