/* hct-split-weights: a loss over classes whose scores come in pieces. A piece's scores then stay with its weight, forward and backward, and what goes from
 * one to the next is a number a token.
 *
 *   before  %z = concat(%z0, %z1)                   scores [.., classes]
 *           %m = reduce max(%z);  %e = map1 exp(map2 sub(%z, %m));  %l = map2 add(map1 log(reduce sum(%e)), %m)        log-sum-exp
 *           %t = pick(%z, %ids)
 *   after   %l0 = the same of %z0;  %l1 = of %z1
 *           %z = concat(%l0, %l1)                   [.., pieces]; the rest as it was
 *           %t = map2 add(pick(%z0, %i0), pick(%z1, %i1))
 *
 * where %i0 is the label's number in piece 0, or one that piece 0 has not, of which pick makes 0. */
#include <string.h>

#include "compiler/transform/derive_training.h"
#include "compiler/transform/split_weights.h"

typedef struct classes {
  hct_arena *arena;
  hct_builder builder;
  MlirOperation like; /* whose layer and pass what is made has */
  const MlirValue *pieces;
  const cut *c;
  int64_t group;
} classes;

static MlirValue build(classes *s, const char *name, size_t count, const MlirValue *operands, hct_shape shape, size_t attribute_count, const hct_named *attributes) {
  static const char *const names[] = {"hct.layer", "hct.pass"};
  hct_named all[8];
  for (size_t i = 0; i < attribute_count; i++) all[i] = attributes[i];
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (hct_op_has(s->like, names[i])) all[attribute_count++] = (hct_named){names[i], mlirOperationGetAttributeByName(s->like, hct_ref(names[i]))};
  all[attribute_count++] = (hct_named){"hct.group", hct_attr_i64(s->builder.context, s->group)};
  return hct_build_value(&s->builder, name, count, operands, hct_type_tensor(s->builder.context, shape.dtype, shape.rank, shape.dims), attribute_count, all);
}

static MlirValue map2(classes *s, const char *fn, MlirValue a, MlirValue b, hct_dtype dtype) {
  hct_shape shape = hct_tape_shape(a);
  const MlirValue operands[] = {a, b};
  const hct_named attribute = {"fn", hct_attr_str(s->builder.context, fn)};
  shape.dtype = dtype;
  return build(s, "hct_graph.map2", 2, operands, shape, 1, &attribute);
}

static void place_at(classes *s, MlirOperation op) { s->like = s->builder.before = op, s->builder.location = mlirOperationGetLocation(op); }

/* `op` with other operands and its result's last dimension as long as the first one's; of a reduction 1. */
static MlirValue twin(classes *s, MlirOperation op, size_t count, const MlirValue *operands) {
  hct_shape shape = hct_tape_shape(hct_op_result(op, 0));
  MlirOperation made = mlirOperationClone(op);
  for (size_t k = 0; k < count; k++) mlirOperationSetOperand(made, (intptr_t)k, operands[k]);
  shape.dims[shape.rank - 1] = hct_op_is(op, "hct_graph.reduce") ? 1 : hct_tape_shape(operands[0]).dims[shape.rank - 1];
  mlirValueSetType(hct_op_result(made, 0), hct_type_tensor(s->builder.context, shape.dtype, shape.rank, shape.dims));
  hct_op_set(made, "hct.group", hct_attr_i64(s->builder.context, s->group));
  mlirBlockInsertOwnedOperationBefore(s->builder.block, s->builder.before, made);
  return hct_op_result(made, 0);
}

/* ---- log-sum-exp ---- */
typedef struct log_sum_exp { MlirOperation max, sub, exp, sum, log; } log_sum_exp;

/* The only operator that reads the value; null where there are more. */
static MlirOperation only_reader(MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  bool one = !mlirOpOperandIsNull(use) && mlirOpOperandIsNull(mlirOpOperandGetNextUse(use));
  return one ? mlirOpOperandGetOwner(use) : (MlirOperation){NULL};
}

static bool fn_is(MlirOperation op, const char *name, const char *fn) { return !mlirOperationIsNull(op) && hct_op_is(op, name) && !strcmp(hct_op_str_or(op, "fn", ""), fn); }

static MlirOperation shifted_by(MlirValue scores, MlirOperation max) {
  for (MlirOpOperand use = mlirValueGetFirstUse(scores); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    if (fn_is(op, "hct_graph.map2", "sub") && mlirValueEqual(hct_op_operand(op, 0), scores) && mlirValueEqual(hct_op_operand(op, 1), hct_op_result(max, 0))) return op;
  }
  return (MlirOperation){NULL};
}

/* Whether `max` begins one over the last dimension of which nothing but the logarithm is read. */
static bool log_sum_exp_match(MlirValue scores, MlirOperation max, log_sum_exp *out) {
  int64_t axes[HCT_MAX_RANK];
  if (!hct_op_is(max, "hct_graph.reduce") || !hct_training_is_shift(max)) return false;
  if (hct_op_i64s(max, "axes", axes, HCT_MAX_RANK) != 1 || axes[0] != (int64_t)hct_tape_shape(scores).rank - 1) return false;
  log_sum_exp l = {.max = max, .sub = shifted_by(scores, max)};
  if (mlirOperationIsNull(l.sub)) return false;
  l.exp = only_reader(hct_op_result(l.sub, 0));
  if (!fn_is(l.exp, "hct_graph.map1", "exp")) return false;
  l.sum = only_reader(hct_op_result(l.exp, 0));
  if (mlirOperationIsNull(l.sum) || !hct_op_is(l.sum, "hct_graph.reduce")) return false;
  l.log = only_reader(hct_op_result(l.sum, 0));
  *out = l;
  return fn_is(l.log, "hct_graph.map1", "log");
}

static MlirValue log_sum_exp_of(classes *s, const log_sum_exp *l, MlirValue piece) {
  MlirValue max = twin(s, l->max, 1, &piece), pair[] = {piece, max}, value = twin(s, l->sub, 2, pair);
  value = twin(s, l->exp, 1, &value);
  value = twin(s, l->sum, 1, &value);
  return map2(s, "add", twin(s, l->log, 1, &value), max, hct_tape_shape(max).dtype);
}

/* One over the pieces' takes the place of the one over all scores. */
static void log_sum_exp_join(classes *s, const log_sum_exp *l) {
  MlirValue *each = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)s->c->count);
  place_at(s, l->max);
  for (int64_t i = 0; i < s->c->count; i++) each[i] = log_sum_exp_of(s, l, s->pieces[i]);
  hct_shape shape = hct_tape_shape(each[0]);
  const hct_named axis = {"axis", hct_attr_i64(s->builder.context, (int64_t)shape.rank - 1)};
  shape.dims[shape.rank - 1] = s->c->count;
  MlirValue all = build(s, "hct_graph.concat", (size_t)s->c->count, each, shape, 1, &axis);
  mlirOperationSetOperand(l->max, 0, all);
  mlirOperationSetOperand(l->sub, 0, all);
  MlirType type = mlirValueGetType(all);
  mlirValueSetType(hct_op_result(l->sub, 0), type);
  mlirValueSetType(hct_op_result(l->exp, 0), type);
}

/* ---- scores of labels ---- */
static MlirValue number(classes *s, hct_dtype dtype, int64_t value) {
  MlirType type = hct_type_tensor(s->builder.context, dtype, 0, NULL);
  const hct_named attribute = {"value", dtype == HCT_I64 ? mlirDenseElementsAttrInt64SplatGet(type, value) : mlirDenseElementsAttrInt32SplatGet(type, (int32_t)value)};
  return build(s, "hct_graph.constant", 0, NULL, (hct_shape){.dtype = dtype}, 1, &attribute);
}

/* By piece, numbers of labels in it. What is no class is none of a piece either: its number there is negative, or too large. In the first piece they are others,
 * too, which programs do not hold against its classes (derive_training_labels.c). */
static void labels_of_runs(classes *s, MlirValue ids, MlirValue *out_numbers) {
  hct_dtype dtype = hct_tape_shape(ids).dtype;
  for (int64_t i = 0; i < s->c->count; i++) out_numbers[i] = map2(s, "sub", ids, number(s, dtype, cut_run(s->c, i).start), dtype);
}

/* Class n = (part * count + piece) * rest + r is number part * rest + r of its piece, and -1 of others. */
static void labels_of_parts(classes *s, MlirValue ids, MlirValue *out_numbers) {
  hct_shape piece = hct_tape_shape(s->pieces[0]), flags = hct_tape_shape(ids);
  hct_dtype dtype = flags.dtype;
  MlirValue rest = number(s, dtype, piece.dims[piece.rank - 1] / s->c->parts), count = number(s, dtype, s->c->count), one = number(s, dtype, 1);
  MlirValue run = map2(s, "div", ids, rest, dtype), part = map2(s, "div", run, count, dtype);
  MlirValue inside = map2(s, "sub", ids, map2(s, "mul", run, rest, dtype), dtype), which = map2(s, "sub", run, map2(s, "mul", part, count, dtype), dtype);
  MlirValue after = map2(s, "add", map2(s, "add", map2(s, "mul", part, rest, dtype), inside, dtype), one, dtype);
  const hct_named mov = {"fn", hct_attr_str(s->builder.context, "mov")};
  for (int64_t i = 0; i < s->c->count; i++) {
    MlirValue mine = map2(s, "eq", which, number(s, dtype, i), HCT_BOOL);
    MlirValue own = build(s, "hct_graph.map1", 1, &mine, flags, 1, &mov);
    out_numbers[i] = map2(s, "sub", map2(s, "mul", after, own, dtype), one, dtype);
  }
}

static void labels_join(classes *s, MlirOperation pick) {
  place_at(s, pick);
  MlirValue sum = {NULL}, *numbers = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)s->c->count);
  (s->c->unit ? labels_of_runs : labels_of_parts)(s, hct_op_operand(pick, 1), numbers);
  for (int64_t i = 0; i < s->c->count; i++) {
    const MlirValue operands[] = {s->pieces[i], numbers[i]};
    MlirValue picked = build(s, "hct_graph.pick", 2, operands, hct_tape_shape(hct_op_result(pick, 0)), 0, NULL);
    sum = i ? map2(s, "add", sum, picked, hct_tape_shape(picked).dtype) : picked;
  }
  hct_value_replace(hct_op_result(pick, 0), sum);
  mlirOperationDestroy(pick);
}

static bool picks_labels(MlirOperation op) {
  hct_dtype dtype = hct_op_is(op, "hct_graph.pick") ? hct_tape_shape(hct_op_operand(op, 1)).dtype : HCT_BOOL;
  return dtype == HCT_I64 || dtype == HCT_I32;
}

split_readers split_classes_reader(MlirValue whole, MlirOperation op) {
  MlirOperation shift = op;
  log_sum_exp l;
  if (hct_op_is(op, "hct_graph.map2")) shift = mlirValueIsAOpResult(hct_op_operand(op, 1)) ? mlirOpResultGetOwner(hct_op_operand(op, 1)) : op;
  bool sum = log_sum_exp_match(whole, shift, &l) && (mlirOperationEqual(shift, op) || mlirOperationEqual(l.sub, op));
  return (split_readers){sum, !sum && !picks_labels(op)};
}

void split_classes(hct_arena *arena, hct_builder builder, MlirValue whole, const MlirValue *pieces, const cut *c, int64_t group) {
  classes s = {.arena = arena, .builder = builder, .pieces = pieces, .c = c, .group = group};
  struct { MlirOperation *items; size_t count, capacity; } readers = {0};
  for (MlirOpOperand use = mlirValueGetFirstUse(whole); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) HCT_PUSH(arena, &readers, mlirOpOperandGetOwner(use));
  for (size_t i = 0; i < readers.count; i++) {
    log_sum_exp l;
    if (log_sum_exp_match(whole, readers.items[i], &l)) log_sum_exp_join(&s, &l);
    else if (picks_labels(readers.items[i])) labels_join(&s, readers.items[i]);
  }
}
