#include "compiler/transform/shorten_layers.h"

#include <string.h>

typedef struct body {
  hct_arena *arena;
  MlirOperation function, *ops; /* the terminator, too */
  size_t count;                 /* without it */
  hct_index_map *maker;         /* value -> number of its operator */
} body;

typedef struct run { size_t first, period, layers; } run; /* operators [first, first + period * layers) */

/* Number of the operator that makes a value; SIZE_MAX: an argument. */
static size_t maker_of(const body *b, MlirValue value) {
  size_t made = SIZE_MAX;
  hct_index_map_get(b->maker, hct_value_key(value), &made);
  return made;
}

static MlirAttribute role_of(const body *b, MlirValue argument) { return hct_function_arg_attr(b->function, (size_t)mlirBlockArgumentGetArgNumber(argument), "hct.role"); }

/* Both are the same value, arguments of one type and role, or as far back, the same result. */
static bool operands_alike(const body *b, MlirValue one, size_t at, MlirValue other, size_t later) {
  if (mlirValueEqual(one, other)) return true;
  size_t made = maker_of(b, one), made_later = maker_of(b, other);
  if (!mlirTypeEqual(mlirValueGetType(one), mlirValueGetType(other)) || (made == SIZE_MAX) != (made_later == SIZE_MAX)) return false;
  if (made == SIZE_MAX) return mlirAttributeEqual(role_of(b, one), role_of(b, other));
  return at - made == later - made_later && mlirOpResultGetResultNumber(one) == mlirOpResultGetResultNumber(other);
}

/* Operators `at` and `later`: of one name, attributes and types, that read alike. */
static bool alike(const body *b, size_t at, size_t later) {
  MlirOperation one = b->ops[at], other = b->ops[later];
  if (strcmp(hct_op_name(one), hct_op_name(other)) || mlirOperationGetNumOperands(one) != mlirOperationGetNumOperands(other)) return false;
  if (mlirOperationGetNumResults(one) != mlirOperationGetNumResults(other) || mlirOperationGetNumAttributes(one) != mlirOperationGetNumAttributes(other)) return false;
  for (intptr_t i = 0; i < mlirOperationGetNumAttributes(one); i++) {
    MlirNamedAttribute mine = mlirOperationGetAttribute(one, i), theirs = mlirOperationGetAttribute(other, i);
    if (!mlirIdentifierEqual(mine.name, theirs.name)) return false;
    bool numbered = hct_op_is(one, "hct_graph.dropout") && mlirIdentifierEqual(mine.name, mlirIdentifierGet(mlirOperationGetContext(one), hct_ref("stream"))); /* nodes have numbers of their own */
    if (!numbered && !mlirAttributeEqual(mine.attribute, theirs.attribute)) return false;
  }
  for (intptr_t r = 0; r < mlirOperationGetNumResults(one); r++)
    if (!mlirTypeEqual(mlirValueGetType(mlirOperationGetResult(one, r)), mlirValueGetType(mlirOperationGetResult(other, r)))) return false;
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(one); k++)
    if (!operands_alike(b, mlirOperationGetOperand(one, k), at, mlirOperationGetOperand(other, k), later)) return false;
  return true;
}

/* The run of the shortest period around the middle that has more than `most` of it. */
static bool run_find(const body *b, size_t most, run *out_run) {
  size_t middle = b->count / 2;
  for (size_t period = 1; middle + 2 * period <= b->count; period++) {
    size_t same = 0;
    while (same < period && alike(b, middle + same, middle + same + period)) same++;
    if (same < period) continue;
    size_t first = middle, end = middle + 2 * period;
    while (first > 0 && alike(b, first - 1, first - 1 + period)) first--;
    while (end < b->count && alike(b, end - period, end)) end++;
    *out_run = (run){first, period, (end - first) / period};
    if (out_run->layers > most) return true;
  }
  return false;
}

/* For what stays after operators [from, to): whether each operand of what goes has its like as many operators before. */
static bool can_skip(const body *b, const run *r, size_t from, size_t to) {
  for (size_t i = to; i <= b->count; i++)
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(b->ops[i]); k++) {
      size_t made = maker_of(b, mlirOperationGetOperand(b->ops[i], k));
      if (made != SIZE_MAX && made >= from && made < to && made < r->first + (to - from)) return false;
    }
  return true;
}

static void skip(const body *b, size_t from, size_t to) {
  for (size_t i = to; i <= b->count; i++)
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(b->ops[i]); k++) {
      MlirValue value = mlirOperationGetOperand(b->ops[i], k);
      size_t made = maker_of(b, value);
      if (made == SIZE_MAX || made < from || made >= to) continue;
      mlirOperationSetOperand(b->ops[i], k, mlirOperationGetResult(b->ops[made - (to - from)], mlirOpResultGetResultNumber(value)));
    }
  for (size_t i = to; i-- > from;) mlirOperationDestroy(b->ops[i]);
}

static int64_t bytes_of(MlirValue argument) {
  hct_shape shape;
  return hct_value_shape(argument, &shape) ? hct_shape_elements(&shape) * (int64_t)hct_dtype_bytes(shape.dtype) : 0;
}

static void note_left_out(const body *b, MlirBlock block, const bool *gone, hct_left_out *out) {
  double all = 0, kept = 0;
  for (intptr_t a = 0; a < mlirBlockGetNumArguments(block); a++) {
    MlirValue argument = mlirBlockGetArgument(block, a);
    MlirAttribute role = role_of(b, argument), name = hct_function_arg_attr(b->function, (size_t)a, "hct.name"), data = hct_function_arg_attr(b->function, (size_t)a, "hct.data");
    if (mlirAttributeIsNull(role) || strcmp(hct_attr_text(role), "param")) continue;
    all += (double)bytes_of(argument);
    if (!gone[a]) kept += (double)bytes_of(argument);
    else hct_map_put(out->data, hct_attr_text(name), (void *)(uintptr_t)(!mlirAttributeIsNull(data) && hct_attr_text(data) ? hct_attr_text(data) : ""));
  }
  out->whole = kept > 0 ? all / kept : 1;
}

bool hct_layers_shorten(MlirModule module, size_t most, size_t keep, size_t *out_layers, hct_left_out *out_left_out) {
  HCT_BUG_ON(keep < 2 || keep > most, "%zu layers of %zu", keep, most);
  body b = {.arena = hct_arena_create(), .function = hct_module_function(module)};
  MlirBlock block = hct_function_body(b.function);
  b.count = hct_block_operations(b.arena, block, &b.ops) - 1;
  b.maker = hct_index_map_create(b.arena);
  for (size_t i = 0; i < b.count; i++)
    for (intptr_t r = 0; r < mlirOperationGetNumResults(b.ops[i]); r++) hct_index_map_put(b.maker, hct_value_key(mlirOperationGetResult(b.ops[i], r)), i);
  run r = {0};
  bool found = run_find(&b, most, &r);
  size_t from = r.first + r.period * (keep / 2), to = from + r.period * (r.layers - keep);
  bool changed = found && can_skip(&b, &r, from, to);
  if (changed) {
    bool *unused = HCT_NEW_ARRAY(b.arena, bool, (size_t)mlirBlockGetNumArguments(block) + 1);
    for (intptr_t a = 0; a < mlirBlockGetNumArguments(block); a++) unused[a] = hct_value_unused(mlirBlockGetArgument(block, a));
    skip(&b, from, to);
    for (intptr_t a = 0; a < mlirBlockGetNumArguments(block); a++) unused[a] = !unused[a] && hct_value_unused(mlirBlockGetArgument(block, a));
    if (out_left_out) note_left_out(&b, block, unused, out_left_out);
    hct_function_erase_args(b.function, unused);
    if (out_left_out) out_left_out->count = (int64_t)(r.layers - keep);
  }
  *out_layers = r.layers;
  hct_arena_destroy(b.arena);
  return changed;
}
