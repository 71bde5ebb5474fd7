/* Masks are constants among the elementwise operators before the softmax: added numbers that are 0 or far below any score, or a selection
 * between scores and such a number. */
#include <math.h>
#include <string.h>

#include "compiler/transform/block_attention.h"

/* exp of a score this far below another is 0 in every float type. */
static bool excludes(double value) { return value <= -1e9; }

static MlirAttribute constant_of(MlirValue value) {
  if (!mlirValueIsAOpResult(value) || !hct_op_is(mlirOpResultGetOwner(value), "hct_graph.constant")) return mlirAttributeGetNull();
  MlirAttribute data = mlirOperationGetAttributeByName(mlirOpResultGetOwner(value), hct_ref("value"));
  return mlirAttributeIsADenseElements(data) ? data : mlirAttributeGetNull();
}

static bool splat_of(MlirValue value, double *out_number) {
  MlirAttribute data = constant_of(value);
  hct_shape shape;
  if (mlirAttributeIsNull(data) || !mlirDenseElementsAttrIsSplat(data) || !hct_value_shape(value, &shape) || shape.dtype != HCT_F32) return false;
  *out_number = (double)mlirDenseElementsAttrGetFloatSplatValue(data);
  return true;
}

/* A constant that says the same of every sample and head: [1..., queries, keys]. Null otherwise. */
static MlirAttribute table_of(const attention *a, MlirValue value, hct_dtype dtype) {
  hct_shape shape;
  MlirAttribute data = constant_of(value), none = mlirAttributeGetNull();
  if (mlirAttributeIsNull(data) || mlirDenseElementsAttrIsSplat(data) || !hct_value_shape(value, &shape) || shape.dtype != dtype) return none;
  return shape.rank >= 2 && shape.dims[shape.rank - 2] == a->queries && shape.dims[shape.rank - 1] == a->keys && hct_shape_elements(&shape) == a->queries * a->keys ? data : none;
}

struct mask_source { /* one operator of the chain as a mask */
  MlirAttribute table;
  const float *numbers; /* of the table, unless it is boolean */
  bool boolean, kept_where; /* a selection, that keeps scores where the table has this value */
  bool may_exclude;
};

static mask_source source_of(const attention *a, size_t at) {
  MlirOperation op = a->chain[at];
  size_t along = a->along[at];
  mask_source s = {.table = mlirAttributeGetNull()};
  if (hct_op_is(op, "hct_graph.map2") && !strcmp(hct_op_str(op, "fn"), "add")) {
    s.table = table_of(a, hct_op_operand(op, 1 - along), HCT_F32);
    s.numbers = mlirAttributeIsNull(s.table) ? NULL : hct_attr_f32s(s.table);
    s.may_exclude = true;
  } else if (hct_op_is(op, "hct_graph.select") && along > 0) {
    double other;
    s.table = table_of(a, hct_op_operand(op, 0), HCT_BOOL);
    s.boolean = true, s.kept_where = along == 1;
    s.may_exclude = splat_of(hct_op_operand(op, 3 - along), &other) && excludes(other);
  }
  return s;
}

/* A constant of which no element is far below any score. */
static bool constant_excludes_none(MlirValue value) {
  MlirAttribute data = constant_of(value);
  hct_shape shape;
  if (mlirAttributeIsNull(data) || !hct_value_shape(value, &shape)) return false;
  if (shape.dtype != HCT_F32) return true;
  const float *numbers = hct_attr_f32s(data);
  if (!numbers) return !excludes((double)mlirDenseElementsAttrGetFloatSplatValue(data));
  for (int64_t i = 0; i < hct_shape_elements(&shape); i++)
    if (excludes((double)numbers[i])) return false;
  return true;
}

/* Whether the operator at `at` leaves keys alone, but for what its table says: what is read at run time could exclude the rest of a row. */
static bool operands_known(const attention *a, size_t at, const mask_source *s) {
  MlirOperation op = a->chain[at];
  bool selects = s->may_exclude && s->boolean;
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
    MlirValue other = mlirOperationGetOperand(op, k);
    bool table = !mlirAttributeIsNull(s->table) && mlirAttributeEqual(constant_of(other), s->table);
    if ((size_t)k != a->along[at] && !table && !selects && !constant_excludes_none(other)) return false;
  }
  return true;
}

/* Whether what is far below any score stays so through the operator at `at`. */
static bool keeps_excluded(const attention *a, size_t at) {
  if (hct_op_is(a->chain[at], "hct_graph.dropout")) return false; /* what it drops is 0 */
  const char *fn = hct_op_str_or(a->chain[at], "fn", "select");
  double factor = 0;
  bool scaled = !strcmp(fn, "mul") || (!strcmp(fn, "div") && a->along[at] == 0);
  if (scaled) return splat_of(hct_op_operand(a->chain[at], 1 - a->along[at]), &factor) && factor >= 1e-3 && factor <= 1e3;
  return !strcmp(fn, "add") || !strcmp(fn, "select") || !strcmp(fn, "mov");
}

/* Whether exclusions of the chain's tables hold in the softmax. */
static bool exclusions_hold(const attention *a, const mask_source *sources) {
  bool excluded = false;
  for (size_t at = 0; at < a->before; at++) {
    if (!operands_known(a, at, &sources[at]) || (excluded && !keeps_excluded(a, at))) return false;
    excluded |= !mlirAttributeIsNull(sources[at].table) && sources[at].may_exclude;
  }
  return excluded;
}

static void row_read(attention *a, const mask_source *sources, bool exclude, int64_t row) {
  attention_mask *m = &a->mask;
  int64_t end = 0, kept = 0;
  for (size_t at = 0; at < a->before; at++) m->same[(int64_t)at * a->queries + row] = a->keys;
  for (int64_t key = 0; key < a->keys; key++) {
    intptr_t element = (intptr_t)(row * a->keys + key);
    bool excluded = false;
    for (size_t at = 0; at < a->before; at++) {
      const mask_source *s = &sources[at];
      if (mlirAttributeIsNull(s->table)) continue;
      double number = s->boolean ? 0 : (double)s->numbers[element];
      bool unchanged = s->boolean ? mlirDenseElementsAttrGetBoolValue(s->table, element) == s->kept_where : number == 0;
      int64_t *same = &m->same[(int64_t)at * a->queries + row];
      if (!unchanged && key < *same) *same = key;
      excluded |= exclude && s->may_exclude && (s->boolean ? !unchanged : excludes(number));
    }
    if (!excluded) end = key + 1, kept++;
  }
  if (kept > 0) m->end[row] = end, m->kept[row] = kept; /* a row without any key is left as it is */
}

static bool sources_equal(const mask_source *a, const mask_source *b, size_t count) {
  for (size_t at = 0; at < count; at++)
    if (!mlirAttributeEqual(a[at].table, b[at].table) || a[at].boolean != b[at].boolean || a[at].kept_where != b[at].kept_where || a[at].may_exclude != b[at].may_exclude) return false;
  return true;
}

void attention_mask_read(hct_arena *arena, attention *a, attention_mask_cache *cache) {
  mask_source *sources = HCT_NEW_ARRAY(arena, mask_source, MAX_CHAIN);
  for (size_t at = 0; at < a->before; at++) sources[at] = source_of(a, at);
  bool exclude = exclusions_hold(a, sources);
  if (cache->sources && cache->queries == a->queries && cache->keys == a->keys && cache->count == a->before && cache->exclude == exclude && sources_equal(cache->sources, sources, a->before)) {
    a->mask = cache->mask;
    return;
  }
  size_t rows = (size_t)a->queries;
  a->mask = (attention_mask){.end = HCT_NEW_ARRAY(arena, int64_t, rows), .kept = HCT_NEW_ARRAY(arena, int64_t, rows), .same = HCT_NEW_ARRAY(arena, int64_t, rows * (a->before + 1))};
  bool any = false;
  for (size_t at = 0; at < a->before; at++) any |= a->mask.table[at] = !mlirAttributeIsNull(sources[at].table);
  for (int64_t row = 0; row < a->queries; row++) {
    a->mask.end[row] = a->mask.kept[row] = a->keys;
    if (any) row_read(a, sources, exclude, row);
  }
  *cache = (attention_mask_cache){sources, a->before, a->queries, a->keys, exclude, a->mask};
}
