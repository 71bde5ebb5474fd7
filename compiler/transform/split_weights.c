/* hct-split-weights: a weight that with its gradient takes too much of SRAM as several parameters, each with a share of its features, and its readers
 * as one operator a piece, whose results are added up or put together (method.md, "Fallbacks, always legal").
 *
 *   before  %y = contract(%x, %w) {spec = "bsk,kn->bsn", hct.group = 2} : [b,s,k], [k,n]                    %w {param "w"}
 *   after   %x0 = reshape(slice(reshape(%x) : [b,s,2,4,k/8])) : [b,s,k/4];  %y0 = contract(%x0, %w0) {hct.group = 2} : [b,s,k/4], [k/4,n]
 *           %x1 = ...;  %y1 = contract(%x1, %w1) {hct.group = 3};  %s1 = map2(%y0, %y1) {fn = "add", hct.group = 3};  ...     %w0 {param "w#0/4@0*2"}
 *
 * Each piece is a fusion group, so that its weight and its gradient are in SRAM while all micro-batches go through, and hct-fuse-groups puts pieces
 * together again where they fit, or where they fit streamed and that costs less; what was after it in its group is with the last piece, up to the next product. A sum over the cut dimension becomes a sum of products; another
 * dimension of the result is put together, as are the features of rows that are looked up; where it is the classes of a loss, that is written by pieces, too (split_weights_classes.c), and so is a bias before it (split_weights_scores.c). Pieces interleave (piece.h), so that the mesh splits each
 * of them as it splits the whole, and nothing travels. Where the longer dimension has no equal pieces, and is the classes of a loss in training, so that nothing
 * puts them together, pieces are runs of nearly equal lengths, each of which the mesh splits for itself: %w {param "w#0+12608/50257@0*1"}. So are those of a table
 * whose rows are such classes, too: each is looked up in for all ids, and gives zeros for those of other pieces' rows (hct_graph.gather_rows {run}).
 *
 * --weight-pieces=auto: weights of which a die's share takes more than 3/4 of its SRAM, or a head's more than half, and with the scores of the smallest block of tokens 9/10, in the fewest pieces that take at most 3/5 of it, and a lookup of more than
 * 1/4 as a group of its own; N%: likewise, with so much less of these shares; N: all weights in N pieces; 1: none. The cut is along the longer dimension where that may be, so that what goes from piece to piece, or is read by each, is of the shorter. Left alone is
 * what other operators read, and other sizes that pieces and dies do not divide. */
#include <string.h>

#include "compiler/strategy/strategy.h"
#include "compiler/transform/derive_training.h"
#include "compiler/transform/split_weights.h"
#include "ir/dialect/piece.h"

enum { MOST_PIECES = HCT_MAX_VARIADIC }; /* that one concat puts together */
static const double MOST_SHARE = 0.75, PIECE_SHARE = 0.6, ALONE_SHARE = 0.25, MOST_BESIDE = 0.9; /* of SRAM */

typedef struct finding { const char *name, *what; bool split; } finding; /* of a weight, for a remark; what = NULL: told */

typedef struct splitting {
  hct_pass_context *pass;
  hct_arena *arena;
  hct_builder builder;
  MlirOperation function, like; /* `like`: the operator that is written anew */
  int64_t forced;               /* pieces of every weight; 0: as many as it takes */
  int64_t parts, columns;       /* of a dimension, that the mesh splits it in; of an MXU array, that a run's share had better fill */
  bool outputs;                 /* what the function returns is computed: pieces of it are put together */
  double limit_bytes, most_bytes, alone_bytes, weight_bytes, gradient_bytes; /* of a die; SRAM that an element takes */
  hct_entry_list entries;
  struct { finding *items; size_t count, capacity; } findings;
} splitting;

static const char *argument_text(const splitting *s, size_t argument, const char *name) {
  MlirAttribute attribute = hct_function_arg_attr(s->function, argument, name);
  return mlirAttributeIsNull(attribute) ? "" : hct_attr_text(attribute);
}

static hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "a value that is no static tensor");
  return shape;
}

/* ---- which dimension ---- */
typedef struct letters { const char *own, *other, *result; size_t own_length, other_length; } letters; /* of a product's spec */

static letters letters_of(MlirOperation op, unsigned operand) {
  const char *spec = hct_op_str(op, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  size_t first = (size_t)(comma - spec), second = (size_t)(arrow - comma - 1);
  return operand ? (letters){comma + 1, spec, arrow + 2, second, first} : (letters){spec, comma + 1, arrow + 2, first, second};
}

static int64_t dim_of(const char *text, size_t length, char letter) {
  const char *at = memchr(text, letter, length);
  return at ? at - text : -1;
}

static int64_t transposed_dim(MlirOperation op, int64_t dim) {
  int64_t perm[HCT_MAX_RANK];
  size_t rank = hct_op_i64s(op, "perm", perm, HCT_MAX_RANK);
  for (size_t d = 0; d < rank; d++)
    if (perm[d] == dim) return (int64_t)d;
  return -1;
}

/* Whether all that reads `value` can be written by pieces of `dim`. */
static bool can_cut(MlirValue value, int64_t dim) {
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    unsigned operand = mlirOpOperandGetOperandNumber(use);
    if (hct_op_is(op, "hct_graph.transpose")) {
      if (!can_cut(hct_op_result(op, 0), transposed_dim(op, dim))) return false;
    } else if (hct_op_is(op, "hct_graph.contract")) {
      letters l = letters_of(op, operand);
      int64_t other = dim_of(l.other, l.other_length, l.own[dim]), kept = dim_of(l.result, strlen(l.result), l.own[dim]);
      MlirValue activation = hct_op_operand(op, 1 - operand);
      if ((other >= 0) == (kept >= 0) || mlirValueEqual(activation, value) || shape_of(other >= 0 ? activation : hct_op_result(op, 0)).rank + 2 > HCT_MAX_RANK) return false;
    } else if (!hct_op_is(op, "hct_graph.gather_rows") || operand != 0 || (dim == 1 && shape_of(hct_op_result(op, 0)).rank + 2 > HCT_MAX_RANK)) {
      return false;
    }
  }
  return true;
}

/* Whether all that reads `value` is in fusion group *group, which is -1 before the first. */
static bool in_one_group(MlirValue value, int64_t *group) {
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    int64_t own = hct_op_i64_or(op, "hct.group", 0);
    if (hct_op_is(op, "hct_graph.transpose") ? !in_one_group(hct_op_result(op, 0), group) : *group >= 0 && *group != own) return false;
    if (!hct_op_is(op, "hct_graph.transpose")) *group = own;
  }
  return true;
}

/* Of a die: of the weight and its gradient, and where several groups add to that, of what one of them has added before. */
static double bytes_taken(const splitting *s, MlirValue weight) {
  hct_shape shape = shape_of(weight);
  int64_t group = -1;
  return (double)hct_shape_elements(&shape) * (s->weight_bytes + s->gradient_bytes * (in_one_group(weight, &group) ? 1 : 2));
}

/* The fewest pieces, `wanted` at least, that divide the dimension; where there may not be as many, the most; 1: none. */
static int64_t pieces_that_divide(const splitting *s, int64_t size, int64_t wanted) {
  for (int64_t count = wanted; count <= (s->forced ? wanted : MOST_PIECES); count++)
    if (size % (s->parts * count) == 0) return count;
  int64_t most = s->forced ? 1 : MOST_PIECES;
  while (most > 1 && size % (s->parts * most)) most--;
  return most;
}

static bool is_looked_up_by(MlirValue value, int64_t dim) {
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    if (hct_op_is(op, "hct_graph.gather_rows") ? dim == 0 : hct_op_is(op, "hct_graph.transpose") && is_looked_up_by(hct_op_result(op, 0), transposed_dim(op, dim))) return true;
  }
  return false;
}

/* Whether all products that read `value`, of which *products are counted, make scores of the numbers of `dim`, of which a loss alone reads any. */
static bool is_classes(const splitting *s, MlirValue value, int64_t dim, size_t *products) {
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    if (hct_op_is(op, "hct_graph.transpose")) {
      if (!is_classes(s, hct_op_result(op, 0), transposed_dim(op, dim), products)) return false;
      continue;
    }
    if (hct_op_is(op, "hct_graph.gather_rows") && dim == 0) continue;
    if (!hct_op_is(op, "hct_graph.contract")) return false;
    ++*products;
    letters l = letters_of(op, mlirOpOperandGetOperandNumber(use));
    if (l.result[strlen(l.result) - 1] != l.own[dim]) return false;
    split_readers readers = split_scores_readers(s->function, hct_op_result(op, 0), s->outputs);
    if (!readers.loss || readers.others) return false;
  }
  return true;
}

/* Elements that the products with `value` make of a sample. */
static double products_elements(MlirValue value) {
  double elements = 0;
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation op = mlirOpOperandGetOwner(use);
    hct_shape made = shape_of(hct_op_result(op, 0));
    if (hct_op_is(op, "hct_graph.transpose")) elements += products_elements(hct_op_result(op, 0));
    else if (hct_op_is(op, "hct_graph.contract")) elements += (double)hct_shape_elements(&made) / (double)made.dims[0];
  }
  return elements;
}

/* Whether a die's share of a head is half of its SRAM, and leaves too little for scores, which one axis of the mesh splits, of as small a block of tokens as there
 * may be: where blocks may be smaller, that is the better way. */
static bool crowds_scores(const splitting *s, MlirValue weight) {
  const hct_package *p = &s->pass->package;
  hct_shape shape = shape_of(weight);
  double sram = (double)p->sram_bytes, bytes = bytes_taken(s, weight), element_bytes = s->weight_bytes * (double)(p->rows * p->cols);
  int64_t samples = 1, blocks = 1, side = p->rows > p->cols ? p->rows : p->cols;
  size_t products = 0;
  if (bytes <= sram / 2 || !is_classes(s, weight, shape.dims[0] >= shape.dims[1] ? 0 : 1, &products) || !products) return false;
  if (!hct_parse_i64(hct_pass_option(s->pass, "micro-batch", "auto"), &samples) || samples < 1) samples = 1;
  if (!hct_parse_i64(hct_pass_option(s->pass, "token-blocks", "1"), &blocks) || blocks < HCT_MAX_VARIADIC) return false;
  return bytes + products_elements(weight) * (double)samples / (double)blocks / (double)side * element_bytes > MOST_BESIDE * sram;
}

static int64_t pieces_wanted(const splitting *s, MlirValue weight) {
  double bytes = bytes_taken(s, weight);
  if (s->forced) return s->forced;
  if (bytes <= s->limit_bytes && !crowds_scores(s, weight)) return 1;
  int64_t count = 2;
  while ((double)count * s->most_bytes < bytes) count++;
  return count;
}

/* As many runs as are wanted, or may be, of whole MXU columns on every die, or where the dimension is too short for that, of one element. Each has more than one unit;
 * count 1: there are none. */
static cut cut_runs(const splitting *s, int64_t dim, int64_t size, int64_t wanted) {
  const int64_t units[] = {s->parts * s->columns, s->parts}, count = wanted < MOST_PIECES ? wanted : MOST_PIECES;
  for (size_t i = 0; i < HCT_COUNT(units); i++)
    if ((size + units[i] - 1) / units[i] >= 2 * count) return (cut){dim, size, 1, count, units[i]};
  return (cut){.count = 1};
}

static cut cut_choose(const splitting *s, MlirValue weight) {
  hct_shape shape = shape_of(weight);
  int64_t wanted = pieces_wanted(s, weight);
  for (int64_t i = 0; i < 2 && wanted > 1; i++) {
    int64_t dim = (shape.dims[0] >= shape.dims[1]) == (i == 0) ? 0 : 1, size = shape.dims[dim], count = pieces_that_divide(s, size, wanted);
    if ((count == 1 && i) || !can_cut(weight, dim)) continue;
    bool looked_up = is_looked_up_by(weight, dim);
    size_t products = 0;
    cut runs = (looked_up || count < wanted) && is_classes(s, weight, dim, &products) && products ? cut_runs(s, dim, size, wanted) : (cut){.count = 1};
    if (runs.count > 1) return runs;
    if (count > 1 && !looked_up) return (cut){dim, size, s->parts, count, 0};
  }
  return (cut){.count = 1};
}

/* ---- operators by pieces ---- */
static MlirValue build(splitting *s, const char *name, size_t count, const MlirValue *operands, const hct_shape *shape, size_t attribute_count, const hct_named *attributes) {
  static const char *const names[] = {"hct.layer", "hct.pass", "hct.group"};
  hct_named all[8];
  for (size_t i = 0; i < attribute_count; i++) all[i] = attributes[i];
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (hct_op_has(s->like, names[i])) all[attribute_count++] = (hct_named){names[i], mlirOperationGetAttributeByName(s->like, hct_ref(names[i]))};
  return hct_build_value(&s->builder, name, count, operands, hct_type_tensor(s->builder.context, shape->dtype, shape->rank, shape->dims), attribute_count, all);
}

/* [.., k, ..] as [.., parts, pieces, rest, ..]. */
static hct_shape shape_apart(const hct_shape *whole, int64_t dim, const cut *c) {
  hct_shape apart = *whole;
  size_t at = (size_t)dim;
  for (size_t d = whole->rank; d-- > at + 1;) apart.dims[d + 2] = whole->dims[d];
  apart.rank += 2;
  apart.dims[at] = c->parts, apart.dims[at + 1] = c->count, apart.dims[at + 2] = whole->dims[at] / c->parts / c->count;
  return apart;
}

hct_range cut_run(const cut *c, int64_t piece) {
  if (!c->unit) return (hct_range){0, c->size / c->count};
  hct_range units = hct_split_balanced((c->size + c->unit - 1) / c->unit, c->count, piece);
  int64_t start = units.start * c->unit, length = units.length * c->unit;
  return (hct_range){start, length < c->size - start ? length : c->size - start};
}

static hct_shape shape_piece(const hct_shape *whole, int64_t dim, const cut *c, int64_t index) {
  hct_shape piece = *whole;
  piece.dims[dim] = cut_run(c, index).length;
  return piece;
}

static MlirValue piece_take(splitting *s, MlirValue whole, int64_t dim, const cut *c, int64_t index) {
  hct_shape shape = shape_of(whole), apart = shape_apart(&shape, dim, c), one = apart, piece = shape_piece(&shape, dim, c, index);
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK];
  for (size_t d = 0; d < apart.rank; d++) steps[d] = 1;
  starts[dim + 1] = index, one.dims[dim + 1] = 1;
  const hct_named attributes[] = {{"starts", hct_attr_i64s(s->builder.context, apart.rank, starts)}, {"steps", hct_attr_i64s(s->builder.context, apart.rank, steps)}};
  MlirValue value = build(s, "hct_graph.reshape", 1, &whole, &apart, 0, NULL);
  value = build(s, "hct_graph.slice", 1, &value, &one, HCT_COUNT(attributes), attributes);
  return build(s, "hct_graph.reshape", 1, &value, &piece, 0, NULL);
}

static MlirValue pieces_join(splitting *s, const hct_shape *whole, int64_t dim, const cut *c, const MlirValue *pieces) {
  const hct_named runs_axis = {"axis", hct_attr_i64(s->builder.context, dim)};
  if (c->unit) return build(s, "hct_graph.concat", (size_t)c->count, pieces, whole, 1, &runs_axis);
  hct_shape apart = shape_apart(whole, dim, c), one = apart;
  MlirValue *ones = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)c->count);
  one.dims[dim + 1] = 1;
  for (int64_t i = 0; i < c->count; i++) ones[i] = build(s, "hct_graph.reshape", 1, &pieces[i], &one, 0, NULL);
  const hct_named axis = {"axis", hct_attr_i64(s->builder.context, dim + 1)};
  MlirValue value = build(s, "hct_graph.concat", (size_t)c->count, ones, &apart, 1, &axis);
  return build(s, "hct_graph.reshape", 1, &value, whole, 0, NULL);
}

static void place_at(splitting *s, MlirOperation op) { s->like = s->builder.before = op, s->builder.location = mlirOperationGetLocation(op); }

/* The operator with another operand; `result` has the type of what it then makes. */
static MlirOperation twin_of(splitting *s, unsigned operand, MlirValue piece, const hct_shape *result) {
  MlirOperation twin = mlirOperationClone(s->like);
  mlirOperationSetOperand(twin, operand, piece);
  mlirBlockInsertOwnedOperationBefore(s->builder.block, s->like, twin);
  mlirValueSetType(hct_op_result(twin, 0), hct_type_tensor(s->builder.context, result->dtype, result->rank, result->dims));
  return twin;
}

/* The operator on a piece of its weight. */
static MlirValue piece_of_op(splitting *s, unsigned operand, MlirValue piece, const hct_shape *result, int64_t index) {
  MlirOperation twin = twin_of(s, operand, piece, result);
  hct_op_set(twin, "hct.piece", hct_attr_i64(s->builder.context, index)); /* until groups are numbered */
  return hct_op_result(twin, 0);
}

static MlirValue *parameter_split(splitting *s, size_t argument, const char *name, int64_t dim, const cut *c);

/* By piece, what the operator reads beside scores: a parameter in pieces, elements of a constant, or what is the same for all classes. */
static MlirValue *beside_pieces(splitting *s, MlirValue value, const cut *c) {
  hct_shape shape = shape_of(value);
  int64_t last = (int64_t)shape.rank - 1;
  MlirValue *pieces = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)c->count);
  for (int64_t i = 0; i < c->count; i++) pieces[i] = value;
  if (split_scores_beside(s->function, value, c->size) != SPLIT_EACH) return pieces;
  if (mlirValueIsABlockArgument(value)) {
    size_t argument = (size_t)mlirBlockArgumentGetArgNumber(value);
    return parameter_split(s, argument, hct_arena_strdup(s->arena, argument_text(s, argument, "hct.name")), last, c);
  }
  const int64_t seen[] = {c->parts, c->count, c->size / c->parts / c->count};
  for (int64_t i = 0; i < c->count; i++) {
    hct_shape one = shape_piece(&shape, last, c, i);
    MlirAttribute all = mlirOperationGetAttributeByName(mlirOpResultGetOwner(value), hct_ref("value"));
    MlirType type = hct_type_tensor(s->builder.context, one.dtype, one.rank, one.dims);
    hct_range run = cut_run(c, i);
    const hct_named part = {"value", c->unit ? hct_attr_part(all, 1, &c->size, 0, run.start, run.length, type) : hct_attr_part(all, 3, seen, 1, i, 1, type)};
    pieces[i] = build(s, "hct_graph.constant", 0, NULL, &one, 1, &part);
  }
  return pieces;
}

/* Scores `whole` [.., classes] that come in pieces: so does what stands between them and a loss, and that. Written in fusion group `group`, as the products are. */
static void scores_pieces(splitting *s, MlirValue whole, const MlirValue *pieces, const cut *c, int64_t group) {
  for (MlirOperation op; !mlirOperationIsNull(op = split_scores_step(s->function, whole));) {
    MlirValue made = hct_op_result(op, 0), *results = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)c->count), *beside = NULL;
    hct_shape shape = shape_of(made);
    unsigned at = mlirValueEqual(hct_op_operand(op, 0), whole) ? 0 : 1;
    place_at(s, op);
    if (mlirOperationGetNumOperands(op) == 2) beside = beside_pieces(s, hct_op_operand(op, 1 - at), c);
    for (int64_t i = 0; i < c->count; i++) {
      hct_shape one = shape_piece(&shape, (int64_t)shape.rank - 1, c, i);
      MlirOperation twin = twin_of(s, at, pieces[i], &one);
      if (beside) mlirOperationSetOperand(twin, 1 - at, beside[i]);
      hct_op_set(twin, "hct.group", hct_attr_i64(s->builder.context, group));
      results[i] = hct_op_result(twin, 0);
    }
    MlirValue joined = pieces_join(s, &shape, (int64_t)shape.rank - 1, c, results);
    scores_pieces(s, made, results, c, group);
    hct_value_replace(made, joined);
    mlirOperationDestroy(op);
  }
  split_classes(s->arena, s->builder, whole, pieces, c, group);
}

static void contract_pieces(splitting *s, unsigned operand, const MlirValue *pieces, int64_t dim, const cut *c) {
  letters l = letters_of(s->like, operand);
  int64_t other = dim_of(l.other, l.other_length, l.own[dim]), kept = dim_of(l.result, strlen(l.result), l.own[dim]);
  MlirValue activation = hct_op_operand(s->like, 1 - operand), sum = {NULL}, *results = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)c->count);
  hct_shape whole = shape_of(hct_op_result(s->like, 0));
  for (int64_t i = 0; i < c->count; i++) {
    hct_shape one = kept >= 0 ? shape_piece(&whole, kept, c, i) : whole;
    MlirValue read = other >= 0 ? piece_take(s, activation, other, c, i) : activation;
    results[i] = piece_of_op(s, operand, pieces[i], &one, i);
    mlirOperationSetOperand(mlirOpResultGetOwner(results[i]), 1 - operand, read);
    const MlirValue pair[] = {sum, results[i]};
    const hct_named add = {"fn", hct_attr_str(s->builder.context, "add")};
    if (other >= 0) sum = i ? build(s, "hct_graph.map2", 2, pair, &whole, 1, &add) : results[i];
  }
  MlirValue made = hct_op_result(s->like, 0);
  if (kept >= 0) sum = pieces_join(s, &whole, kept, c, results);
  if (kept == (int64_t)whole.rank - 1) scores_pieces(s, made, results, c, hct_op_i64_or(s->like, "hct.group", 0));
  hct_value_replace(made, sum);
}

static MlirValue gather_runs(splitting *s, const MlirValue *pieces, const cut *c) {
  hct_shape whole = shape_of(hct_op_result(s->like, 0));
  const hct_named add = {"fn", hct_attr_str(s->builder.context, "add")};
  MlirValue sum = {NULL};
  for (int64_t i = 0; i < c->count; i++) {
    MlirValue pair[] = {sum, piece_of_op(s, 0, pieces[i], &whole, i)};
    hct_op_set(mlirOpResultGetOwner(pair[1]), "run", hct_attr_i64s(s->builder.context, 2, (const int64_t[]){cut_run(c, i).start, c->size}));
    sum = i ? build(s, "hct_graph.map2", 2, pair, &whole, 1, &add) : pair[1];
  }
  return sum;
}

static MlirValue gather_pieces(splitting *s, const MlirValue *pieces, const cut *c) {
  hct_shape whole = shape_of(hct_op_result(s->like, 0));
  int64_t last = (int64_t)whole.rank - 1;
  hct_shape one = shape_piece(&whole, last, c, 0);
  MlirValue *results = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)c->count);
  for (int64_t i = 0; i < c->count; i++) results[i] = piece_of_op(s, 0, pieces[i], &one, i);
  return pieces_join(s, &whole, last, c, results);
}

static MlirValue *transposed_pieces(splitting *s, const MlirValue *pieces, int64_t dim, const cut *c) {
  MlirValue *results = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)c->count);
  hct_shape whole = shape_of(hct_op_result(s->like, 0));
  const hct_named perm = {"perm", mlirOperationGetAttributeByName(s->like, hct_ref("perm"))};
  for (int64_t i = 0; i < c->count; i++) {
    hct_shape one = shape_piece(&whole, dim, c, i);
    results[i] = build(s, "hct_graph.transpose", 1, &pieces[i], &one, 1, &perm);
  }
  return results;
}

static void readers_rewrite(splitting *s, MlirValue value, const MlirValue *pieces, int64_t dim, const cut *c) {
  struct { MlirOpOperand *items; size_t count, capacity; } uses = {0};
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) HCT_PUSH(s->arena, &uses, use);
  for (size_t i = 0; i < uses.count; i++) {
    MlirOperation op = mlirOpOperandGetOwner(uses.items[i]);
    unsigned operand = mlirOpOperandGetOperandNumber(uses.items[i]);
    place_at(s, op);
    if (hct_op_is(op, "hct_graph.transpose")) readers_rewrite(s, hct_op_result(op, 0), transposed_pieces(s, pieces, transposed_dim(op, dim), c), transposed_dim(op, dim), c);
    else if (hct_op_is(op, "hct_graph.contract")) contract_pieces(s, operand, pieces, dim, c);
    else hct_value_replace(hct_op_result(op, 0), (dim == 0 ? gather_runs : gather_pieces)(s, pieces, c));
    mlirOperationDestroy(op);
  }
}

/* ---- the parameter ---- */
static void piece_describe(splitting *s, size_t argument, size_t like, const hct_piece *piece) {
  MlirAttribute data = hct_function_arg_attr(s->function, like, "hct.data");
  HCT_PUSH(s->arena, &s->entries, ((hct_entry){argument, "hct.name", hct_attr_str(s->builder.context, hct_piece_name(s->arena, piece))}));
  HCT_PUSH(s->arena, &s->entries, ((hct_entry){argument, "hct.role", hct_attr_str(s->builder.context, "param")}));
  if (!mlirAttributeIsNull(data)) HCT_PUSH(s->arena, &s->entries, ((hct_entry){argument, "hct.data", data})); /* of the whole */
}

/* The argument becomes the first piece, others come behind all arguments. */
static MlirValue *parameter_split(splitting *s, size_t argument, const char *name, int64_t dim, const cut *c) {
  MlirValue parameter = mlirBlockGetArgument(s->builder.block, (intptr_t)argument), *pieces = HCT_NEW_ARRAY(s->arena, MlirValue, (size_t)c->count);
  hct_shape whole = shape_of(parameter);
  for (int64_t i = 0; i < c->count; i++) {
    hct_shape one = shape_piece(&whole, dim, c, i);
    hct_range run = cut_run(c, i);
    hct_piece piece = c->unit ? (hct_piece){name, dim, 1, c->size, run.start, run.length} : (hct_piece){name, dim, c->parts, c->count, i, 1};
    MlirType type = hct_type_tensor(s->builder.context, one.dtype, one.rank, one.dims);
    if (i == 0) mlirValueSetType(parameter, type);
    pieces[i] = i ? mlirBlockAddArgument(s->builder.block, type, mlirValueGetLocation(parameter)) : parameter;
    piece_describe(s, i ? (size_t)mlirBlockGetNumArguments(s->builder.block) - 1 : argument, argument, &piece);
  }
  return pieces;
}

/* A table that takes much of SRAM has a group of its own, without the products of the first block. */
static void lookups_mark(splitting *s, MlirValue table, size_t *split) {
  if (s->forced || bytes_taken(s, table) <= s->alone_bytes) return;
  for (MlirOpOperand use = mlirValueGetFirstUse(table); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    if (!hct_op_is(mlirOpOperandGetOwner(use), "hct_graph.gather_rows")) continue;
    hct_op_set(mlirOpOperandGetOwner(use), "hct.piece", hct_attr_i64(s->builder.context, 0));
    ++*split;
  }
}

/* ---- what is told ---- */

/* Weights of layers 3 and 12 have such names. */
static bool same_but_numbers(const char *a, const char *b) {
  static const char digits[] = "0123456789";
  while (*a || *b) {
    size_t number = strspn(a, digits), other = strspn(b, digits);
    if (!number != !other) return false;
    if (!number && *a != *b) return false;
    a += number ? number : 1, b += number ? other : 1;
  }
  return true;
}

static bool is_alike(const finding *a, const finding *b) { return b->what && same_but_numbers(a->name, b->name) && !strcmp(a->what, b->what); }

/* One remark a weight, or one for those of many layers that are alike. */
static void findings_tell(splitting *s) {
  enum { MANY = 5 };
  for (size_t i = 0; i < s->findings.count; i++) {
    finding *first = &s->findings.items[i];
    if (!first->what) continue;
    size_t alike = 0, last = i;
    for (size_t j = i; j < s->findings.count; j++)
      if (is_alike(first, &s->findings.items[j])) alike++, last = j;
    if (alike < MANY) {
      hct_remark(s->pass->diags, (hct_loc){0}, "'%s' is %s", first->name, first->what);
      continue;
    }
    hct_remark(s->pass->diags, (hct_loc){0}, "'%s' to '%s', %zu alike, are %s%s", first->name, s->findings.items[last].name, alike, first->split ? "each " : "", first->what);
    const finding of = *first;
    for (size_t j = i; j <= last; j++)
      if (is_alike(&of, &s->findings.items[j])) s->findings.items[j].what = NULL;
  }
}

static hct_status weight_consider(splitting *s, size_t argument, size_t *split) {
  MlirValue value = mlirBlockGetArgument(s->builder.block, (intptr_t)argument);
  hct_shape shape = shape_of(value);
  hct_piece taken;
  if (strcmp(argument_text(s, argument, "hct.role"), "param")) return HCT_OK;
  const char *name = hct_arena_strdup(s->arena, argument_text(s, argument, "hct.name"));
  if (hct_piece_parse(s->arena, name, &taken)) {
    hct_error(s->pass->diags, HCT_E_IR_INVALID, hct_loc_of_location(s->arena, mlirValueGetLocation(value)), "parameter '%s' has the name of a piece of '%s'", name, taken.whole);
    hct_hint(s->pass->diags, "another name");
    return HCT_REFUSED;
  }
  if (shape.rank != 2 || !split_may(s->function, argument, value)) return HCT_OK;
  cut c = cut_choose(s, value);
  if (c.count > 1) {
    const char *what = hct_arena_printf(s->arena, "split into %lld pieces along dimension %lld: a die's share takes %.0f bytes of SRAM with its gradient", (long long)c.count, (long long)c.dim, bytes_taken(s, value));
    HCT_PUSH(s->arena, &s->findings, ((finding){name, what, true}));
    readers_rewrite(s, value, parameter_split(s, argument, name, c.dim, &c), c.dim, &c);
    ++*split;
    return HCT_OK;
  }
  lookups_mark(s, value, split);
  if (!s->forced && pieces_wanted(s, value) > 1) {
    const char *what = hct_arena_printf(s->arena, "not split, though a die's share takes %.0f bytes of SRAM with its gradient: other operators than products and lookups read it, or pieces and dies do not divide its features", bytes_taken(s, value));
    HCT_PUSH(s->arena, &s->findings, ((finding){name, what, false}));
  }
  return HCT_OK;
}

/* ---- groups ---- */
typedef struct numbering {
  int64_t *extra;        /* by old group: groups that it has beyond one */
  hct_index_map *places; /* value -> operator that makes it */
  int64_t *group, *later; /* by operator: old group; groups after the first of those that it becomes */
  bool *piece;            /* by operator: it is one */
  size_t count;
} numbering;

static bool has_piece(const numbering *n, size_t end, int64_t group, int64_t later) {
  for (size_t i = 0; i < end; i++)
    if (n->piece[i] && n->group[i] == group && n->later[i] == later) return true;
  return false;
}

/* How many groups of its own the operator has to come after, for its operands' sake; a piece comes in one of its own, and no other product beside it. */
static int64_t later_of(const numbering *n, MlirOperation op, size_t at, int64_t *first_piece) {
  int64_t later = 0, piece = hct_op_i64_or(op, "hct.piece", -1);
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
    size_t maker;
    if (!hct_index_map_get(n->places, hct_value_key(mlirOperationGetOperand(op, k)), &maker) || n->group[maker] != n->group[at]) continue;
    if (n->later[maker] > later) later = n->later[maker];
  }
  if ((piece == 0 || (piece < 0 && hct_op_is(op, "hct_graph.contract"))) && has_piece(n, at, n->group[at], later)) later++;
  if (piece == 0) return *first_piece = later;
  return piece > 0 && *first_piece + piece > later ? *first_piece + piece : later;
}

static void groups_number(splitting *s) {
  MlirOperation *ops;
  numbering n = {.places = hct_index_map_create(s->arena), .count = hct_block_operations(s->arena, s->builder.block, &ops) - 1};
  int64_t groups = 1, first_piece = 0;
  n.group = HCT_NEW_ARRAY(s->arena, int64_t, n.count + 1), n.later = HCT_NEW_ARRAY(s->arena, int64_t, n.count + 1), n.piece = HCT_NEW_ARRAY(s->arena, bool, n.count + 1);
  for (size_t i = 0; i < n.count; i++) {
    n.group[i] = hct_op_i64_or(ops[i], "hct.group", 0);
    if (n.group[i] >= groups) groups = n.group[i] + 1;
  }
  n.extra = HCT_NEW_ARRAY(s->arena, int64_t, (size_t)groups + 1);
  for (size_t i = 0; i < n.count; i++) {
    n.later[i] = later_of(&n, ops[i], i, &first_piece);
    n.piece[i] = hct_op_has(ops[i], "hct.piece");
    if (n.later[i] > n.extra[n.group[i]]) n.extra[n.group[i]] = n.later[i];
    for (intptr_t r = 0; r < mlirOperationGetNumResults(ops[i]); r++) hct_index_map_put(n.places, hct_value_key(mlirOperationGetResult(ops[i], r)), i);
  }
  int64_t *before = HCT_NEW_ARRAY(s->arena, int64_t, (size_t)groups + 1);
  for (int64_t g = 1; g < groups; g++) before[g] = before[g - 1] + n.extra[g - 1];
  for (size_t i = 0; i < n.count; i++) {
    if (hct_op_has(ops[i], "hct.group")) hct_op_set(ops[i], "hct.group", hct_attr_i64(s->builder.context, n.group[i] + before[n.group[i]] + n.later[i]));
    mlirOperationRemoveAttributeByName(ops[i], hct_ref("hct.piece"));
  }
}

/* ---- the pass ---- */
static int64_t least_common_multiple(int64_t a, int64_t b) {
  int64_t multiple = a;
  while (multiple % b) multiple += a;
  return multiple;
}

static hct_status limits_read(splitting *s, const strategy *chosen) {
  const char *text = hct_pass_option(s->pass, "weight-pieces", "auto");
  const hct_package *p = &s->pass->package;
  hct_dtype dtype = HCT_F32;
  int64_t percent = 100; /* of the shares of SRAM that pieces go by */
  if (strcmp(text, "auto") && !hct_parse_percent(text, &percent) && (!hct_parse_i64(text, &s->forced) || s->forced < 1 || s->forced > MOST_PIECES))
    return hct_error(s->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--weight-pieces=%s: it must be auto, a whole number from 1 to %d, or 1%% to 100%%", text, MOST_PIECES);
  bool known = hct_dtype_parse(hct_pass_option(s->pass, "dtype", "f32"), &dtype), infer = !strcmp(hct_pass_option(s->pass, "mode", "train"), "infer");
  double weight = (double)hct_dtype_bytes(known ? dtype : HCT_F32), gradient = infer ? 0 : (double)hct_dtype_bytes(HCT_F32);
  double part = (double)percent / 100;
  s->columns = p->mxu_cols, s->outputs = infer || *hct_pass_option(s->pass, "keep-output", "");
  s->parts = chosen->flat ? p->rows * p->cols : least_common_multiple(p->rows, p->cols);
  s->weight_bytes = weight / (double)(p->rows * p->cols), s->gradient_bytes = gradient / (double)(p->rows * p->cols);
  s->limit_bytes = part * MOST_SHARE * (double)p->sram_bytes, s->most_bytes = part * PIECE_SHARE * (double)p->sram_bytes, s->alone_bytes = part * ALONE_SHARE * (double)p->sram_bytes;
  return HCT_OK;
}

hct_status hct_pass_split_weights(hct_pass_context *pass, MlirModule module) {
  const strategy *chosen = strategy_find(hct_pass_option(pass, "strategy", "hecaton"));
  if (!chosen || !strcmp(hct_pass_option(pass, "backend", "chiplet"), "host")) return HCT_OK; /* hct-partition refuses an unknown one; the host has no mesh */
  splitting s = {.pass = pass, .arena = pass->arena, .function = hct_module_function(module)};
  s.builder = (hct_builder){.context = mlirModuleGetContext(module), .block = hct_function_body(s.function)};
  HCT_TRY(limits_read(&s, chosen));
  size_t split = 0, arguments = (size_t)mlirBlockGetNumArguments(s.builder.block);
  hct_training_describe_labels(pass->arena, module); /* of whole scores */
  for (size_t a = 0; a < arguments; a++) HCT_TRY(weight_consider(&s, a, &split));
  findings_tell(&s);
  if (!split) return HCT_OK;
  hct_function_update_type(s.function);
  hct_function_set_arg_attrs(s.function, s.entries.count, s.entries.items);
  groups_number(&s);
  hct_function_eliminate_dead(s.function);
  return HCT_OK;
}
