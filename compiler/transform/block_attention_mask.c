/* Masks that are known when compiling are constants among the elementwise operators before the softmax: added numbers that are 0 or far below any score, or a selection
 * between scores and such a number. */
#include <math.h>
#include <string.h>

#include "compiler/transform/block_attention.h"

/* exp of a score this far below another is 0 in every float type. */
static bool excludes(float value) { return value <= -1e9f; }

bool attention_is_low(float value) { return value < -100; }

bool attention_is_mask_maker(MlirOperation op) {
  static const char *const makers[] = {"hct_graph.map1", "hct_graph.map2", "hct_graph.select", "hct_graph.concat", "hct_graph.pad", "hct_graph.reshape", "hct_graph.transpose", "hct_graph.slice", "hct_graph.broadcast"};
  for (size_t i = 0; i < HCT_COUNT(makers); i++)
    if (hct_op_is(op, makers[i])) return true;
  return false;
}

static MlirAttribute constant_of(MlirValue value) {
  if (!mlirValueIsAOpResult(value) || !hct_op_is(mlirOpResultGetOwner(value), "hct_graph.constant")) return mlirAttributeGetNull();
  MlirAttribute data = mlirOperationGetAttributeByName(mlirOpResultGetOwner(value), hct_ref("value"));
  return mlirAttributeIsADenseElements(data) ? data : mlirAttributeGetNull();
}

static bool splat_of(MlirValue value, float *out_number) {
  MlirAttribute data = constant_of(value);
  hct_shape shape;
  if (mlirAttributeIsNull(data) || !mlirDenseElementsAttrIsSplat(data) || !hct_value_shape(value, &shape) || shape.dtype != HCT_F32) return false;
  *out_number = mlirDenseElementsAttrGetFloatSplatValue(data);
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
  float fill;    /* of a selection: what is there otherwise */
};

static bool may_exclude(const mask_source *s) { return !mlirAttributeIsNull(s->table) && (!s->boolean || excludes(s->fill)); }

static mask_source source_of(const attention *a, size_t at) {
  MlirOperation op = a->chain[at];
  size_t along = a->along[at];
  mask_source s = {.table = mlirAttributeGetNull()};
  if (hct_op_is(op, "hct_graph.map2") && !strcmp(hct_op_str(op, "fn"), "add")) {
    s.table = table_of(a, hct_op_operand(op, 1 - along), HCT_F32);
    s.numbers = mlirAttributeIsNull(s.table) ? NULL : hct_attr_f32s(s.table);
  } else if (hct_op_is(op, "hct_graph.select") && along > 0) {
    s.table = table_of(a, hct_op_operand(op, 0), HCT_BOOL);
    s.boolean = true, s.kept_where = along == 1;
    if (!splat_of(hct_op_operand(op, 3 - along), &s.fill)) s.fill = 0;
  }
  return s;
}

/* A constant of which no element `is` so. */
static bool constant_without(MlirValue value, bool (*is)(float)) {
  MlirAttribute data = constant_of(value);
  hct_shape shape;
  if (mlirAttributeIsNull(data) || !hct_value_shape(value, &shape)) return false;
  if (shape.dtype != HCT_F32) return true;
  const float *numbers = hct_attr_f32s(data);
  if (!numbers) return !is(mlirDenseElementsAttrGetFloatSplatValue(data));
  for (int64_t i = 0; i < hct_shape_elements(&shape); i++)
    if (is(numbers[i])) return false;
  return true;
}

/* Whether the operator at `at` leaves keys alone, but for what its table says: what is read at run time could exclude the rest of a row. */
static bool operands_known(const attention *a, size_t at, const mask_source *s) {
  MlirOperation op = a->chain[at];
  bool selects = may_exclude(s) && s->boolean;
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
    MlirValue other = mlirOperationGetOperand(op, k);
    bool table = !mlirAttributeIsNull(s->table) && mlirAttributeEqual(constant_of(other), s->table);
    if ((size_t)k != a->along[at] && !table && !selects && !constant_without(other, excludes)) return false;
  }
  return true;
}

/* Whether what is far below any score stays so through the operator at `at`. */
static bool keeps_excluded(const attention *a, size_t at) {
  if (hct_op_is(a->chain[at], "hct_graph.dropout")) return false; /* what it drops is 0 */
  const char *fn = hct_op_str_or(a->chain[at], "fn", "select");
  float factor = 0;
  bool scaled = !strcmp(fn, "mul") || (!strcmp(fn, "div") && a->along[at] == 0);
  if (scaled) return splat_of(hct_op_operand(a->chain[at], 1 - a->along[at]), &factor) && factor >= 1e-3f && factor <= 1e3f;
  return !strcmp(fn, "add") || !strcmp(fn, "select") || !strcmp(fn, "mov");
}

/* Which exclusions of the chain's tables hold in the softmax. Whatever is added to -inf, it stays so. */
static attention_excluding exclusions_that_hold(const attention *a, const mask_source *sources) {
  bool excluded = false, known = true;
  for (size_t at = 0; at < a->before; at++) {
    known = known && operands_known(a, at, &sources[at]);
    bool adds = hct_op_is(a->chain[at], "hct_graph.map2") && !strcmp(hct_op_str(a->chain[at], "fn"), "add");
    if (excluded && !(adds || (keeps_excluded(a, at) && (known || !hct_op_is(a->chain[at], "hct_graph.select"))))) return EXCLUDES_NOTHING;
    excluded |= may_exclude(&sources[at]);
  }
  return !excluded ? EXCLUDES_NOTHING : known ? EXCLUDES_LOW : EXCLUDES_INFINITE;
}

static bool is_excluded(attention_excluding excluding, float number) { return excluding == EXCLUDES_LOW ? excludes(number) : excluding == EXCLUDES_INFINITE && number == -INFINITY; }

enum { EXCLUDED = 1, LOW = 2 };

/* Keys before the first that the source changes in a row; `marks`, by key, get what it does to each. */
static int64_t source_row_read(const attention *a, const mask_source *s, int64_t row, attention_excluding excluding, uint8_t *marks) {
  int64_t same = 0, first = row * a->keys;
  const float *numbers = s->boolean ? NULL : s->numbers + first;
  while (numbers && same < a->keys && numbers[same] == 0) same++;
  for (int64_t key = 0; numbers && key < a->keys; key++) marks[key] |= (uint8_t)((is_excluded(excluding, numbers[key]) ? EXCLUDED : 0) | (attention_is_low(numbers[key]) ? LOW : 0));
  if (numbers) return same;
  same = a->keys;
  for (int64_t key = a->keys; key-- > 0;) {
    if (mlirDenseElementsAttrGetBoolValue(s->table, (intptr_t)(first + key)) == s->kept_where) continue;
    same = key;
    marks[key] |= (uint8_t)((is_excluded(excluding, s->fill) ? EXCLUDED : 0) | LOW);
  }
  return same;
}

static void row_read(attention *a, const mask_source *sources, attention_excluding excluding, int64_t row, uint8_t *marks) {
  attention_mask *m = &a->mask;
  int64_t begin = 0, end = a->keys, kept = 0, low = 0;
  memset(marks, 0, (size_t)a->keys);
  for (size_t at = 0; at < a->before; at++) {
    bool is_table = !mlirAttributeIsNull(sources[at].table);
    m->same[(int64_t)at * a->queries + row] = is_table ? source_row_read(a, &sources[at], row, excluding, marks) : a->keys;
  }
  while (end > 0 && (marks[end - 1] & EXCLUDED)) end--;
  while (begin < end && (marks[begin] & EXCLUDED)) begin++;
  for (int64_t key = begin; key < end; key++) kept += !(marks[key] & EXCLUDED);
  if (kept > 0) m->begin[row] = begin, m->end[row] = end, m->kept[row] = kept; /* a row without any key is left as it is */
  for (int64_t key = 0; key < a->keys; key++) low += (marks[key] & LOW) != 0;
  m->low_rows |= low == a->keys;
}

static bool sources_equal(const mask_source *a, const mask_source *b, size_t count) {
  for (size_t at = 0; at < count; at++)
    if (!mlirAttributeEqual(a[at].table, b[at].table) || a[at].boolean != b[at].boolean || a[at].kept_where != b[at].kept_where || a[at].fill != b[at].fill) return false;
  return true;
}

/* Whether the operator at `at`, no table, adds or chooses numbers that are low, or not known when compiling. */
static bool may_lower(const attention *a, size_t at) {
  MlirOperation op = a->chain[at];
  const char *fn = hct_op_str_or(op, "fn", "select");
  bool selects = hct_op_is(op, "hct_graph.select");
  if (!(hct_op_is(op, "hct_graph.map2") || selects) || !strcmp(fn, "mul") || !strcmp(fn, "div")) return false;
  for (size_t k = selects; k < (size_t)mlirOperationGetNumOperands(op); k++)
    if (k != a->along[at] && !constant_without(hct_op_operand(op, k), attention_is_low)) return true;
  return false;
}

/* From the first mask on, where masks together may exclude all keys of a row. */
static size_t low_from(const attention *a) {
  size_t first = a->before;
  bool low = a->mask.low_rows;
  for (size_t at = a->before; at-- > 0;) {
    bool lowers = !a->mask.table[at] && may_lower(a, at);
    if (lowers || a->mask.table[at]) first = at;
    low |= lowers;
  }
  return low ? first : a->before;
}

static void mask_read(hct_arena *arena, attention *a, attention_mask_cache *cache) {
  mask_source *sources = HCT_NEW_ARRAY(arena, mask_source, MAX_CHAIN);
  for (size_t at = 0; at < a->before; at++) sources[at] = source_of(a, at);
  attention_excluding excluding = exclusions_that_hold(a, sources);
  if (cache->sources && cache->queries == a->queries && cache->keys == a->keys && cache->count == a->before && cache->excluding == excluding && sources_equal(cache->sources, sources, a->before)) {
    a->mask = cache->mask;
    return;
  }
  size_t rows = (size_t)a->queries;
  a->mask = (attention_mask){.begin = HCT_NEW_ARRAY(arena, int64_t, rows), .end = HCT_NEW_ARRAY(arena, int64_t, rows), .kept = HCT_NEW_ARRAY(arena, int64_t, rows), .same = HCT_NEW_ARRAY(arena, int64_t, rows * (a->before + 1))};
  uint8_t *marks = HCT_NEW_ARRAY(arena, uint8_t, (size_t)a->keys + 1);
  bool any = false;
  for (size_t at = 0; at < a->before; at++) any |= a->mask.table[at] = !mlirAttributeIsNull(sources[at].table);
  for (int64_t row = 0; row < a->queries; row++) {
    a->mask.end[row] = a->mask.kept[row] = a->keys;
    if (any) row_read(a, sources, excluding, row, marks);
  }
  *cache = (attention_mask_cache){sources, a->before, a->queries, a->keys, excluding, a->mask};
}

void attention_mask_read(hct_arena *arena, attention *a, attention_mask_cache *cache) {
  mask_read(arena, a, cache);
  a->low = low_from(a);
}
