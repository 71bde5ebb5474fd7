#include <string.h>

#include "ir/dialect/verify.h"
#include "ir/isa/settings.h"

/* ---- shapes of hct_graph ---- */
static bool broadcasts_to(const hct_shape *from, const hct_shape *to) {
  if (from->rank > to->rank) return false;
  for (size_t d = 0; d < from->rank; d++) {
    int64_t size = from->dims[d], wanted = to->dims[d + to->rank - from->rank];
    if (size != wanted && size != 1) return false;
  }
  return true;
}

static void check_elementwise(hct_verifier *v, MlirOperation op, const hct_shape *operands, size_t count, const hct_shape *result) {
  for (size_t k = 0; k < count; k++)
    if (!broadcasts_to(&operands[k], result)) hct_verify_refuse(v, op, "operand %zu (%s) does not broadcast to the result (%s)", k, hct_shape_text(v->arena, &operands[k]), hct_shape_text(v->arena, result));
}

static void check_reshape(hct_verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  if (hct_shape_elements(from) != hct_shape_elements(to)) hct_verify_refuse(v, op, "%s and %s have different numbers of elements", hct_shape_text(v->arena, from), hct_shape_text(v->arena, to));
}

static void check_transpose(hct_verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  int64_t perm[HCT_MAX_RANK];
  bool seen[HCT_MAX_RANK] = {false};
  size_t count = hct_op_i64s(op, "perm", perm, HCT_MAX_RANK);
  bool fits = count == from->rank && count == to->rank;
  for (size_t d = 0; fits && d < count; d++) {
    fits = perm[d] >= 0 && perm[d] < (int64_t)count && !seen[perm[d]] && to->dims[d] == from->dims[perm[d]];
    if (fits) seen[perm[d]] = true;
  }
  if (!fits) hct_verify_refuse(v, op, "perm does not take %s to %s", hct_shape_text(v->arena, from), hct_shape_text(v->arena, to));
}

static void check_slice(hct_verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
  bool fits = hct_op_i64s(op, "starts", starts, HCT_MAX_RANK) == from->rank && hct_op_i64s(op, "steps", steps, HCT_MAX_RANK) == from->rank && to->rank == from->rank;
  for (size_t d = 0; fits && d < from->rank; d++) {
    int64_t last = 0;
    fits = hct_mul_i64(to->dims[d] - 1, steps[d], &last) && hct_add_i64(starts[d], last, &last) && steps[d] != 0 && (to->dims[d] == 0 || (starts[d] >= 0 && starts[d] < from->dims[d] && last >= 0 && last < from->dims[d]));
  }
  if (!fits) hct_verify_refuse(v, op, "starts and steps leave %s for a result %s", hct_shape_text(v->arena, from), hct_shape_text(v->arena, to));
}

static void check_contract(hct_verifier *v, MlirOperation op, const hct_shape *operands, const hct_shape *result) {
  const char *spec = hct_op_str(op, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  if (!comma || !arrow || comma > arrow) {
    hct_verify_refuse(v, op, "spec '%s' is not of the form bsk,nk->bsn", spec);
    return;
  }
  const char *parts[3] = {spec, comma + 1, arrow + 2};
  size_t lengths[3] = {(size_t)(comma - spec), (size_t)(arrow - comma - 1), strlen(arrow + 2)};
  int64_t sizes[256] = {0};
  for (size_t k = 0; k < 3; k++) {
    const hct_shape *shape = k < 2 ? &operands[k] : result;
    bool seen[256] = {false};
    if (lengths[k] != shape->rank) {
      hct_verify_refuse(v, op, "spec '%s' names %zu dimensions of a value of rank %zu", spec, lengths[k], shape->rank);
      return;
    }
    for (size_t d = 0; d < lengths[k]; d++) {
      unsigned char letter = (unsigned char)parts[k][d];
      if (seen[letter]) hct_verify_refuse(v, op, "spec '%s' repeats '%c' in one operand", spec, letter);
      seen[letter] = true;
      if (k == 2 && !sizes[letter]) hct_verify_refuse(v, op, "spec '%s' has '%c' only in the result", spec, letter);
      if (sizes[letter] && sizes[letter] != shape->dims[d]) hct_verify_refuse(v, op, "'%c' of spec '%s' is %lld in one place, %lld in another", letter, spec, (long long)sizes[letter], (long long)shape->dims[d]);
      sizes[letter] = shape->dims[d];
    }
  }
}

static void check_reduce(hct_verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  int64_t axes[HCT_MAX_RANK];
  if (!hct_verify_is_function("RED", hct_op_str(op, "kind"))) hct_verify_refuse(v, op, "kind '%s' is none of sum, max, min", hct_op_str(op, "kind"));
  bool reduced[HCT_MAX_RANK] = {false};
  size_t count = hct_op_i64s(op, "axes", axes, HCT_MAX_RANK);
  bool fits = from->rank == to->rank;
  for (size_t i = 0; fits && i < count; i++) {
    fits = i < HCT_MAX_RANK && axes[i] >= 0 && axes[i] < (int64_t)from->rank;
    if (fits) reduced[axes[i]] = true;
  }
  for (size_t d = 0; fits && d < from->rank; d++) fits = to->dims[d] == (reduced[d] ? 1 : from->dims[d]);
  if (!fits) hct_verify_refuse(v, op, "reducing these axes of %s does not give %s", hct_shape_text(v->arena, from), hct_shape_text(v->arena, to));
}

static void check_concat(hct_verifier *v, MlirOperation op, const hct_shape *operands, size_t count, const hct_shape *to) {
  int64_t axis = hct_op_i64(op, "axis"), total = 0;
  bool fits = axis >= 0 && axis < (int64_t)to->rank;
  for (size_t k = 0; fits && k < count; k++) {
    fits = operands[k].rank == to->rank;
    for (size_t d = 0; fits && d < to->rank; d++) fits = (int64_t)d == axis || operands[k].dims[d] == to->dims[d];
    if (fits) total += operands[k].dims[axis];
  }
  if (!fits || total != to->dims[axis]) hct_verify_refuse(v, op, "operands along axis %lld do not make %s", (long long)axis, hct_shape_text(v->arena, to));
}

static void check_function(hct_verifier *v, MlirOperation op, const char *table) {
  if (!hct_verify_is_function(table, hct_op_str(op, "fn"))) hct_verify_refuse(v, op, "fn '%s' is no function of %s (isa_functions.def)", hct_op_str(op, "fn"), table);
}

/* The scalar of `narrow` says how elements of `shape` come to be of a type for interchange. */
static void check_narrowing(hct_verifier *v, MlirOperation op, const hct_shape *shape) {
  double scalar = hct_op_f64_or(op, "scalar", 0);
  hct_narrowing narrowing;
  if (!hct_narrowing_parse(scalar, &narrowing)) hct_verify_refuse(v, op, "scalar %g says no element type for interchange (hct_narrowing)", scalar);
  else if (hct_dtype_is_float(narrowing.dtype) != hct_dtype_is_float(shape->dtype)) hct_verify_refuse(v, op, "%s cannot narrow to %s", hct_shape_text(v->arena, shape), hct_dtype_name(narrowing.dtype));
}

static bool dims_equal(const int64_t *a, const int64_t *b, size_t count) { return !count || !memcmp(a, b, count * sizeof *a); }
static bool shape_dims_equal(const hct_shape *a, const hct_shape *b) { return a->rank == b->rank && dims_equal(a->dims, b->dims, a->rank); }

static void check_softmax(hct_verifier *v, MlirOperation op, const hct_shape *operands, size_t count, const hct_shape *to) {
  int64_t axis = hct_op_i64(op, "axis");
  if (axis < 0 || axis >= (int64_t)to->rank) hct_verify_refuse(v, op, "axis %lld is none of the %zu of the result", (long long)axis, to->rank);
  for (size_t k = 0; k < count; k++)
    if (!shape_dims_equal(&operands[k], to)) hct_verify_refuse(v, op, "operand %zu (%s) is not of the result's shape (%s)", k, hct_shape_text(v->arena, &operands[k]), hct_shape_text(v->arena, to));
}

static void check_pad(hct_verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  int64_t low[HCT_MAX_RANK];
  bool fits = hct_op_i64s(op, "low", low, HCT_MAX_RANK) == from->rank && to->rank == from->rank;
  for (size_t d = 0; fits && d < from->rank; d++) fits = low[d] >= 0 && from->dims[d] <= to->dims[d] && low[d] <= to->dims[d] - from->dims[d];
  if (!fits) hct_verify_refuse(v, op, "%s at these offsets is not inside %s", hct_shape_text(v->arena, from), hct_shape_text(v->arena, to));
}

static bool is_index(hct_verifier *v, MlirOperation op, const hct_shape *ids) {
  bool fits = !hct_dtype_is_float(ids->dtype) && ids->dtype != HCT_BOOL;
  if (!fits) hct_verify_refuse(v, op, "operand 1 (%s) is no tensor of integers", hct_shape_text(v->arena, ids));
  return fits;
}

/* table [v, f...], ids [i...], rows [i..., f...] */
static void check_rows(hct_verifier *v, MlirOperation op, const hct_shape *table, const hct_shape *ids, const hct_shape *rows) {
  if (!is_index(v, op, ids)) return;
  bool fits = table->rank >= 1 && rows->rank == ids->rank + table->rank - 1 && dims_equal(rows->dims, ids->dims, ids->rank);
  if (!fits || !dims_equal(rows->dims + ids->rank, table->dims + 1, table->rank - 1))
    hct_verify_refuse(v, op, "rows %s are not those of a table %s at %s", hct_shape_text(v->arena, rows), hct_shape_text(v->arena, table), hct_shape_text(v->arena, ids));
  int64_t run[2];
  if (!fits || !hct_op_has(op, "run")) return;
  if (hct_op_i64s(op, "run", run, 2) != 2 || run[0] < 0 || run[0] > run[1] - table->dims[0]) hct_verify_refuse(v, op, "run is not the first of the %lld rows of %s in a table, and the number of that table's rows", (long long)table->dims[0], hct_shape_text(v->arena, table));
}

/* wide [..., v], ids and flat [...] */
static void check_classes(hct_verifier *v, MlirOperation op, const hct_shape *wide, const hct_shape *ids, const hct_shape *flat) {
  if (!is_index(v, op, ids)) return;
  if (wide->rank != ids->rank + 1 || !dims_equal(wide->dims, ids->dims, ids->rank) || !shape_dims_equal(ids, flat))
    hct_verify_refuse(v, op, "%s with ids %s and %s: all but the last dimension of the first must be those of the others", hct_shape_text(v->arena, wide), hct_shape_text(v->arena, ids), hct_shape_text(v->arena, flat));
}

static void check_constant(hct_verifier *v, MlirOperation op) {
  MlirAttribute value = mlirOperationGetAttributeByName(op, hct_ref("value"));
  if (hct_attr_text(value)) return; /* FILE|OFFSET|BYTES|CHECKSUM */
  if (!mlirAttributeIsAElements(value)) hct_verify_refuse(v, op, "attribute 'value' is neither elements nor a data reference");
  else if (!mlirTypeEqual(mlirAttributeGetType(value), mlirValueGetType(hct_op_result(op, 0)))) hct_verify_refuse(v, op, "attribute 'value' is not of the result's type");
}

/* (p, g, state..., settings f32[6], step f32[]) -> (p', state'...) */
static void check_update(hct_verifier *v, MlirOperation op, const hct_shape *operands, size_t count) {
  const char *kind = hct_op_str(op, "kind");
  const hct_optimizer *optimizer = hct_optimizer_find(kind);
  if (!optimizer) {
    hct_verify_refuse(v, op, "kind '%s' is no optimizer (optimizers.def)", kind);
    return;
  }
  size_t states = optimizer->states, results = (size_t)mlirOperationGetNumResults(op);
  if (count != 4 + states || results != 1 + states) {
    hct_verify_refuse(v, op, "%s has %zu operands and %zu results, and needs %zu and %zu", kind, count, results, 4 + states, 1 + states);
    return;
  }
  for (size_t k = 1; k < 2 + states; k++)
    if (!shape_dims_equal(&operands[0], &operands[k])) hct_verify_refuse(v, op, "operand %zu (%s) is not of the parameter's shape (%s)", k, hct_shape_text(v->arena, &operands[k]), hct_shape_text(v->arena, &operands[0]));
  for (size_t k = 0; k < results; k++) {
    hct_shape result;
    if (hct_value_shape(hct_op_result(op, k), &result) && !shape_dims_equal(&operands[0], &result)) hct_verify_refuse(v, op, "result %zu (%s) is not of the parameter's shape", k, hct_shape_text(v->arena, &result));
  }
  const hct_shape *settings = &operands[2 + states], *step = &operands[3 + states];
  if (settings->rank != 1 || settings->dims[0] != HCT_SETTING_COUNT || step->rank != 0) hct_verify_refuse(v, op, "the last operands (%s, %s) are not the %d settings and the step", hct_shape_text(v->arena, settings), hct_shape_text(v->arena, step), HCT_SETTING_COUNT);
}

/* (x, seed i64[], step f32[]), and numbers of elements that are not negative. */
static void check_dropout(hct_verifier *v, MlirOperation op, const hct_shape *operands, const hct_shape *to) {
  int64_t index[HCT_MAX_RANK + 1], last = 0, stream = hct_op_i64(op, "stream");
  double ratio = hct_op_f64_or(op, "ratio", -1);
  size_t count = hct_op_i64s(op, "index", index, HCT_COUNT(index));
  bool fits = count == to->rank + 1 && index[to->rank] >= 0 && hct_add_i64(last, index[to->rank], &last);
  for (size_t d = 0; fits && d < to->rank; d++) {
    int64_t part;
    fits = index[d] >= 0 && (to->dims[d] == 0 || (hct_mul_i64(to->dims[d] - 1, index[d], &part) && hct_add_i64(last, part, &last)));
  }
  if (!shape_dims_equal(&operands[0], to)) hct_verify_refuse(v, op, "operand 0 (%s) is not of the result's shape (%s)", hct_shape_text(v->arena, &operands[0]), hct_shape_text(v->arena, to));
  if (!hct_dtype_is_float(to->dtype)) hct_verify_refuse(v, op, "the result (%s) is not of floats", hct_shape_text(v->arena, to));
  if (operands[1].rank || operands[1].dtype != HCT_I64 || operands[2].rank || operands[2].dtype != HCT_F32) hct_verify_refuse(v, op, "the last operands (%s, %s) are not the seed, an i64, and the step, an f32", hct_shape_text(v->arena, &operands[1]), hct_shape_text(v->arena, &operands[2]));
  if (!(ratio >= 0 && ratio <= 1)) hct_verify_refuse(v, op, "ratio %g is not from 0 to 1", ratio);
  if (stream < 0 || stream > UINT32_MAX) hct_verify_refuse(v, op, "stream %lld is not of 32 bits", (long long)stream);
  if (!fits) hct_verify_refuse(v, op, "index is not a number of 63 bits for each dimension of %s, and one for its first element", hct_shape_text(v->arena, to));
}

static void check_detach(hct_verifier *v, MlirOperation op, const hct_shape *operands, size_t count, const hct_shape *to) {
  if (count < 1 || count > 2) hct_verify_refuse(v, op, "%zu operands: a value is needed, and what has its gradient if anything", count);
  for (size_t k = 0; k < count && k < 2; k++)
    if (!shape_dims_equal(&operands[k], to)) hct_verify_refuse(v, op, "operand %zu (%s) is not of the result's shape (%s)", k, hct_shape_text(v->arena, &operands[k]), hct_shape_text(v->arena, to));
}

/* ---- composite operators ---- */
bool hct_graph_is_composite(const char *name) {
  static const char *const names[] = {"linear", "attention", "layer_norm", "rms_norm", "gelu", "silu", "rope"};
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (!strcmp(name, names[i])) return true;
  return false;
}

/* The shape that a product by `spec` has; false: letters and dimensions do not fit. */
static bool product_shape(const char *spec, const hct_shape *a, const hct_shape *b, hct_shape *out_shape) {
  const char *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  if (!comma || !arrow || comma > arrow || (size_t)(comma - spec) != a->rank || (size_t)(arrow - comma - 1) != b->rank || strlen(arrow + 2) > HCT_MAX_RANK) return false;
  *out_shape = (hct_shape){.dtype = a->dtype};
  for (const char *at = arrow + 2; *at; at++) {
    const char *first = memchr(spec, *at, a->rank), *second = memchr(comma + 1, *at, b->rank);
    if (!first && !second) return false;
    out_shape->dims[out_shape->rank++] = first ? a->dims[first - spec] : b->dims[second - comma - 1];
  }
  return true;
}

/* Products one after the other, as hct-expand writes them. */
static void check_products(hct_verifier *v, MlirOperation op, const char *first, const char *second, const hct_shape *operands, const hct_shape *to) {
  hct_shape scores, result;
  bool fits = product_shape(hct_op_str(op, first), &operands[0], &operands[1], &scores);
  if (fits && second) fits = product_shape(hct_op_str(op, second), &scores, &operands[2], &result);
  else result = scores;
  if (!fits || !shape_dims_equal(&result, to)) hct_verify_refuse(v, op, "its products do not give %s: %s%s%s", hct_shape_text(v->arena, to), hct_op_str(op, first), second ? ", then " : "", second ? hct_op_str(op, second) : "");
}

static void check_composite(hct_verifier *v, MlirOperation op, const char *name, const hct_shape *operands, size_t count, const hct_shape *to) {
  bool linear = !strcmp(name, "linear"), attention = !strcmp(name, "attention"), norm = strstr(name, "_norm") != NULL;
  const char *mask = attention ? hct_op_str(op, "mask") : "none";
  size_t least = linear ? 2 : attention ? 3 + (size_t)(strcmp(mask, "none") != 0) + (size_t)!strcmp(mask, "blend") : norm ? 1 + (size_t)hct_op_bool_or(op, "gain", false) + (size_t)hct_op_bool_or(op, "bias", false) : count;
  if (count < least || count > least + linear) {
    hct_verify_refuse(v, op, "%zu operands, which its attributes do not ask for", count);
    return;
  }
  if (attention && strcmp(mask, "none") && strcmp(mask, "add") && strcmp(mask, "keep") && strcmp(mask, "drop") && strcmp(mask, "blend")) hct_verify_refuse(v, op, "mask '%s' is none of none, add, keep, drop, blend", mask);
  if (linear || attention) {
    check_products(v, op, linear ? "spec" : "scores", linear ? NULL : "mix", operands, to);
    return; /* letters that repeat or differ in size are refused in hct-expand's products */
  }
  if (!shape_dims_equal(&operands[0], to)) hct_verify_refuse(v, op, "operand 0 (%s) is not of the result's shape (%s)", hct_shape_text(v->arena, &operands[0]), hct_shape_text(v->arena, to));
  if (norm && (hct_op_i64(op, "axis") < 0 || hct_op_i64(op, "axis") >= (int64_t)to->rank)) hct_verify_refuse(v, op, "axis %lld is none of the %zu of the result", (long long)hct_op_i64(op, "axis"), to->rank);
  check_elementwise(v, op, operands, count, to);
}

/* ---- collectives ---- */

/* Where a value is, as its maker or the function's argument says; false at graph level. */
static bool layout_of(MlirValue value, hct_layout *out_layout) {
  MlirAttribute text;
  if (mlirValueIsAOpResult(value)) {
    MlirAttribute all = mlirOperationGetAttributeByName(mlirOpResultGetOwner(value), hct_ref("hct.sharding"));
    intptr_t index = mlirOpResultGetResultNumber(value);
    if (mlirAttributeIsNull(all) || !mlirAttributeIsAArray(all) || mlirArrayAttrGetNumElements(all) <= index) return false;
    text = mlirArrayAttrGetElement(all, index);
  } else {
    MlirOperation function = mlirBlockGetParentOperation(mlirBlockArgumentGetOwner(value));
    text = hct_function_arg_attr(function, (size_t)mlirBlockArgumentGetArgNumber(value), "hct.sharding");
  }
  const char *said = hct_attr_text(text);
  return said && hct_layout_parse(said, out_layout);
}

static bool split_over(const hct_layout *layout, const char *axis) {
  for (int f = 0; f < layout->factor_count; f++) {
    size_t found = 0;
    for (const char *at = axis; *at; at++)
      for (int a = 0; a < layout->factors[f].axis_count; a++) found += hct_axis_letter((hct_axis)layout->factors[f].axes[a]) == *at;
    if (found == strlen(axis)) return true;
  }
  return false;
}

static void check_collective(hct_verifier *v, MlirOperation op, const char *name, const hct_shape *from, const hct_shape *to) {
  const char *axis = hct_op_str(op, "axis"), *kind = hct_op_str_or(op, "kind", "sum");
  bool reduces = !strcmp(name, "all_reduce"), over_time = reduces && !strcmp(axis, "t");
  if (!shape_dims_equal(from, to)) hct_verify_refuse(v, op, "%s and %s differ: a collective keeps the shape", hct_shape_text(v->arena, from), hct_shape_text(v->arena, to));
  if (strcmp(axis, "r") && strcmp(axis, "c") && strcmp(axis, "rc") && !over_time) hct_verify_refuse(v, op, "axis '%s' is none of r, c, rc%s", axis, reduces ? ", t" : "");
  if (strcmp(kind, "sum") && strcmp(kind, "max")) hct_verify_refuse(v, op, "kind '%s' is neither sum nor max", kind);
  const char *algorithm = hct_op_str_or(op, "algorithm", "ring");
  if (strcmp(algorithm, "ring") && strcmp(algorithm, "torus")) hct_verify_refuse(v, op, "algorithm '%s' is neither ring nor torus", algorithm);
  hct_layout before, after;
  if (v->status != HCT_OK || reduces || !layout_of(hct_op_operand(op, 0), &before) || !layout_of(hct_op_result(op, 0), &after)) return;
  bool gathers = !strcmp(name, "all_gather");
  if (!split_over(gathers ? &before : &after, axis)) hct_verify_refuse(v, op, "the %s is not split over %s", gathers ? "operand" : "result", axis);
}

/* ---- element types ---- */
/* Which of an operator's values have a type in common: of ONE type; ALIKE, where float types may mix (each is computed with in f32 and
 * rounded where it is stored); all f32. `first` operand on; comparisons give i1, and no others' types. */
typedef enum type_rule { TYPES_FREE, TYPES_ONE, TYPES_ALIKE, TYPES_F32 } type_rule;
static const struct { const char *name; type_rule rule; size_t first, operands; bool result; } type_rules[] = {
    {"reshape", TYPES_ONE, 0, 1, true},      {"transpose", TYPES_ONE, 0, 1, true},     {"broadcast", TYPES_ONE, 0, 1, true},  {"slice", TYPES_ONE, 0, 1, true},
    {"all_gather", TYPES_ONE, 0, 1, true},   {"reduce_scatter", TYPES_ONE, 0, 1, true}, {"all_reduce", TYPES_ONE, 0, 1, true}, {"shard_slice", TYPES_ONE, 0, 1, true},
    {"contract", TYPES_ONE, 0, 2, false},    {"map2", TYPES_ALIKE, 0, 2, false},        {"select", TYPES_ALIKE, 1, 2, true},   {"concat", TYPES_ALIKE, 0, SIZE_MAX, true},
    {"pad", TYPES_ALIKE, 0, 1, true},        {"reduce", TYPES_ALIKE, 0, 1, true},       {"softmax", TYPES_ALIKE, 0, 1, true},  {"softmax_grad", TYPES_ALIKE, 0, 2, true},
    {"gather_rows", TYPES_ALIKE, 0, 1, true}, {"scatter_rows", TYPES_ALIKE, 0, 1, true}, {"pick", TYPES_ALIKE, 0, 1, true},     {"place", TYPES_ALIKE, 0, 1, true},
    {"update", TYPES_F32, 0, SIZE_MAX, true}, {"dropout", TYPES_ALIKE, 0, 1, true},     {"detach", TYPES_ONE, 0, 2, true},
};

static void check_type(hct_verifier *v, MlirOperation op, type_rule rule, const char *what, const hct_shape *shape, const hct_shape *with) {
  bool floats = hct_dtype_is_float(shape->dtype) && hct_dtype_is_float(with->dtype), same = shape->dtype == with->dtype;
  if (rule == TYPES_F32 && shape->dtype != HCT_F32) hct_verify_refuse(v, op, "%s (%s) is not f32, and the optimizer works in f32", what, hct_shape_text(v->arena, shape));
  if (rule == TYPES_ONE && !same) hct_verify_refuse(v, op, "%s (%s) is not of the element type of operand 0 (%s)", what, hct_shape_text(v->arena, shape), hct_shape_text(v->arena, with));
  if (rule == TYPES_ALIKE && !same && !floats) hct_verify_refuse(v, op, "%s (%s) is neither of the element type of the operand before (%s), nor are both floats", what, hct_shape_text(v->arena, shape), hct_shape_text(v->arena, with));
}

static void check_types(hct_verifier *v, MlirOperation op, const char *name, const hct_shape *operands, size_t count, const hct_shape *to) {
  size_t row = 0;
  while (row < HCT_COUNT(type_rules) && strcmp(type_rules[row].name, name)) row++;
  if (row == HCT_COUNT(type_rules)) return;
  size_t first = type_rules[row].first, end = type_rules[row].operands > count - first ? count : first + type_rules[row].operands;
  for (size_t k = first; k < end; k++) check_type(v, op, type_rules[row].rule, hct_arena_printf(v->arena, "operand %zu", k), &operands[k], &operands[first]);
  if (type_rules[row].result) check_type(v, op, type_rules[row].rule, "the result", to, &operands[first]);
  if (!strcmp(name, "contract") && hct_dtype_is_float(operands[0].dtype) != hct_dtype_is_float(to->dtype)) check_type(v, op, TYPES_ALIKE, "the result", to, &operands[0]);
}

enum { MAX_OPERANDS = 64 };

/* Static tensors, whose elements can be counted. */
static bool shape_read(hct_verifier *v, MlirOperation op, const char *what, size_t index, MlirValue value, hct_shape *out_shape) {
  if (!hct_value_shape(value, out_shape)) {
    hct_verify_refuse(v, op, "%s %zu is not a static tensor of a supported type and rank", what, index);
    return false;
  }
  int64_t bytes = 8;
  for (size_t d = 0; d < out_shape->rank; d++) {
    if (hct_mul_i64(bytes, out_shape->dims[d], &bytes)) continue;
    hct_verify_refuse(v, op, "%s %zu (%s) has too many elements", what, index, hct_shape_text(v->arena, out_shape));
    return false;
  }
  return true;
}

void hct_verify_graph_op(hct_verifier *v, MlirOperation op) {
  hct_shape operands[MAX_OPERANDS], to;
  size_t count = (size_t)mlirOperationGetNumOperands(op), results = (size_t)mlirOperationGetNumResults(op);
  if (count > MAX_OPERANDS) return;
  for (size_t k = 0; k < count; k++)
    if (!shape_read(v, op, "operand", k, hct_op_operand(op, k), &operands[k])) return;
  for (size_t k = results; k-- > 0;)
    if (!shape_read(v, op, "result", k, hct_op_result(op, k), &to)) return;
  const char *name = hct_op_name(op) + strlen("hct_graph.");
  const hct_shape *a = &operands[0], *b = &operands[1];
  bool map1 = !strcmp(name, "map1"), map2 = !strcmp(name, "map2");
  if (map1 || map2) check_function(v, op, map1 ? "MAP1" : "MAP2");
  if (map1 && !strcmp(hct_op_str(op, "fn"), "narrow")) check_narrowing(v, op, &operands[0]);
  if (map1 || map2 || !strcmp(name, "select") || !strcmp(name, "broadcast")) check_elementwise(v, op, operands, count, &to);
  else if (!strcmp(name, "reshape")) check_reshape(v, op, a, &to);
  else if (!strcmp(name, "transpose")) check_transpose(v, op, a, &to);
  else if (!strcmp(name, "slice")) check_slice(v, op, a, &to);
  else if (!strcmp(name, "contract")) check_contract(v, op, operands, &to);
  else if (!strcmp(name, "reduce")) check_reduce(v, op, a, &to);
  else if (!strcmp(name, "concat")) check_concat(v, op, operands, count, &to);
  else if (!strcmp(name, "pad")) check_pad(v, op, a, &to);
  else if (!strcmp(name, "softmax") || !strcmp(name, "softmax_grad")) check_softmax(v, op, operands, count, &to);
  else if (!strcmp(name, "gather_rows")) check_rows(v, op, a, b, &to);
  else if (!strcmp(name, "scatter_rows")) check_rows(v, op, &to, b, a);
  else if (!strcmp(name, "pick")) check_classes(v, op, a, b, &to);
  else if (!strcmp(name, "place")) check_classes(v, op, &to, b, a);
  else if (!strcmp(name, "constant")) check_constant(v, op);
  else if (!strcmp(name, "update")) check_update(v, op, operands, count);
  else if (!strcmp(name, "dropout")) check_dropout(v, op, operands, &to);
  else if (!strcmp(name, "detach")) check_detach(v, op, operands, count, &to);
  else if (hct_graph_is_composite(name)) check_composite(v, op, name, operands, count, &to);
  else check_collective(v, op, name, a, &to);
  if (v->status == HCT_OK) check_types(v, op, name, operands, count, &to);
}
