#include <string.h>

#include "ir/dialect/ir.h"

typedef struct checked_op {
  const char *name, *attributes;
  int operands, results;
} checked_op;

static const checked_op checked_ops[] = {
#define HCT_DIALECT_OP(dialect, name, operands, results, effects, attributes, doc) {#dialect "." #name, attributes, operands, results},
#include "ir/dialect/ops.def"
#undef HCT_DIALECT_OP
};

typedef struct verifier {
  hct_diags *diags;
  hct_arena *arena;
  const char *after;
  hct_status status;
} verifier;

static void refuse(verifier *v, MlirOperation op, const char *fmt, ...) HCT_PRINTF(3, 4);
static void refuse(verifier *v, MlirOperation op, const char *fmt, ...) {
  hct_text text = {0};
  va_list args;
  va_start(args, fmt);
  hct_text_vprintf(&text, fmt, args);
  va_end(args);
  v->status = hct_error(v->diags, HCT_E_IR_INVALID, hct_loc_of(v->arena, op), "%s: %s", hct_op_name(op), text.data);
  if (v->after) hct_note(v->diags, "found after %s", v->after);
  hct_text_fini(&text);
}

/* ---- attributes by the kinds of ops.def ---- */
static bool kind_fits(MlirAttribute attribute, const char *kind, size_t length) {
  if (!strncmp(kind, "str", length) && length == 3) return mlirAttributeIsAString(attribute);
  if (!strncmp(kind, "i64", length) && length == 3) return mlirAttributeIsAInteger(attribute);
  if (!strncmp(kind, "f64", length) && length == 3) return mlirAttributeIsAFloat(attribute);
  if (!strncmp(kind, "bool", length) && length == 4) return mlirAttributeIsABool(attribute);
  if (!strncmp(kind, "i64s", length) && length == 4) return mlirAttributeIsADenseI64Array(attribute);
  if (!strncmp(kind, "any", length) && length == 3) return true;
  if (strncmp(kind, "strs", length) || length != 4 || !mlirAttributeIsAArray(attribute)) return false;
  for (intptr_t i = 0; i < mlirArrayAttrGetNumElements(attribute); i++)
    if (!mlirAttributeIsAString(mlirArrayAttrGetElement(attribute, i))) return false;
  return true;
}

static void attributes_check(verifier *v, MlirOperation op, const checked_op *row) {
  for (const char *at = row->attributes; *at;) {
    size_t whole = strcspn(at, " "), name_length = strcspn(at, ":");
    bool optional = at[whole - 1] == '?';
    const char *kind = at + name_length + 1, *name = hct_arena_strndup(v->arena, at, name_length);
    size_t kind_length = whole - name_length - 1 - optional;
    MlirAttribute attribute = mlirOperationGetAttributeByName(op, hct_ref(name));
    if (mlirAttributeIsNull(attribute)) {
      if (!optional) refuse(v, op, "attribute '%s' is missing", name);
    } else if (!kind_fits(attribute, kind, kind_length)) {
      refuse(v, op, "attribute '%s' is not of kind %.*s", name, (int)kind_length, kind);
    }
    at += whole;
    while (*at == ' ') at++;
  }
}

/* ---- shapes of hct_graph ---- */
static const char *shape_text(verifier *v, const hct_shape *shape) {
  hct_text text = {0};
  for (size_t d = 0; d < shape->rank; d++) hct_text_printf(&text, "%lldx", (long long)shape->dims[d]);
  hct_text_printf(&text, "%s", hct_dtype_name(shape->dtype));
  const char *copy = hct_arena_strdup(v->arena, text.data);
  hct_text_fini(&text);
  return copy;
}

static bool broadcasts_to(const hct_shape *from, const hct_shape *to) {
  if (from->rank > to->rank) return false;
  for (size_t d = 0; d < from->rank; d++) {
    int64_t size = from->dims[d], wanted = to->dims[d + to->rank - from->rank];
    if (size != wanted && size != 1) return false;
  }
  return true;
}

static void check_elementwise(verifier *v, MlirOperation op, const hct_shape *operands, size_t count, const hct_shape *result) {
  for (size_t k = 0; k < count; k++)
    if (!broadcasts_to(&operands[k], result)) refuse(v, op, "operand %zu (%s) does not broadcast to the result (%s)", k, shape_text(v, &operands[k]), shape_text(v, result));
}

static void check_reshape(verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  if (hct_shape_elements(from) != hct_shape_elements(to)) refuse(v, op, "%s and %s have different numbers of elements", shape_text(v, from), shape_text(v, to));
}

static void check_transpose(verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  int64_t perm[HCT_MAX_RANK];
  bool seen[HCT_MAX_RANK] = {false};
  size_t count = hct_op_i64s(op, "perm", perm, HCT_MAX_RANK);
  bool fits = count == from->rank && count == to->rank;
  for (size_t d = 0; fits && d < count; d++) {
    fits = perm[d] >= 0 && perm[d] < (int64_t)count && !seen[perm[d]] && to->dims[d] == from->dims[perm[d]];
    if (fits) seen[perm[d]] = true;
  }
  if (!fits) refuse(v, op, "perm does not take %s to %s", shape_text(v, from), shape_text(v, to));
}

static void check_slice(verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
  bool fits = hct_op_i64s(op, "starts", starts, HCT_MAX_RANK) == from->rank && hct_op_i64s(op, "steps", steps, HCT_MAX_RANK) == from->rank && to->rank == from->rank;
  for (size_t d = 0; fits && d < from->rank; d++) {
    int64_t last = starts[d] + (to->dims[d] - 1) * steps[d];
    fits = steps[d] != 0 && (to->dims[d] == 0 || (starts[d] >= 0 && starts[d] < from->dims[d] && last >= 0 && last < from->dims[d]));
  }
  if (!fits) refuse(v, op, "starts and steps leave %s for a result %s", shape_text(v, from), shape_text(v, to));
}

static void check_contract(verifier *v, MlirOperation op, const hct_shape *operands, const hct_shape *result) {
  const char *spec = hct_op_str(op, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  if (!comma || !arrow || comma > arrow) {
    refuse(v, op, "spec '%s' is not of the form bsk,nk->bsn", spec);
    return;
  }
  const char *parts[3] = {spec, comma + 1, arrow + 2};
  size_t lengths[3] = {(size_t)(comma - spec), (size_t)(arrow - comma - 1), strlen(arrow + 2)};
  int64_t sizes[256] = {0};
  for (size_t k = 0; k < 3; k++) {
    const hct_shape *shape = k < 2 ? &operands[k] : result;
    bool seen[256] = {false};
    if (lengths[k] != shape->rank) {
      refuse(v, op, "spec '%s' names %zu dimensions of a value of rank %zu", spec, lengths[k], shape->rank);
      return;
    }
    for (size_t d = 0; d < lengths[k]; d++) {
      unsigned char letter = (unsigned char)parts[k][d];
      if (seen[letter]) refuse(v, op, "spec '%s' repeats '%c' in one operand", spec, letter);
      seen[letter] = true;
      if (k == 2 && !sizes[letter]) refuse(v, op, "spec '%s' has '%c' only in the result", spec, letter);
      if (sizes[letter] && sizes[letter] != shape->dims[d]) refuse(v, op, "'%c' of spec '%s' is %lld in one place, %lld in another", letter, spec, (long long)sizes[letter], (long long)shape->dims[d]);
      sizes[letter] = shape->dims[d];
    }
  }
}

static void check_reduce(verifier *v, MlirOperation op, const hct_shape *from, const hct_shape *to) {
  int64_t axes[HCT_MAX_RANK];
  bool reduced[HCT_MAX_RANK] = {false};
  size_t count = hct_op_i64s(op, "axes", axes, HCT_MAX_RANK);
  bool fits = from->rank == to->rank;
  for (size_t i = 0; fits && i < count; i++) {
    fits = i < HCT_MAX_RANK && axes[i] >= 0 && axes[i] < (int64_t)from->rank;
    if (fits) reduced[axes[i]] = true;
  }
  for (size_t d = 0; fits && d < from->rank; d++) fits = to->dims[d] == (reduced[d] ? 1 : from->dims[d]);
  if (!fits) refuse(v, op, "reducing these axes of %s does not give %s", shape_text(v, from), shape_text(v, to));
}

static void check_concat(verifier *v, MlirOperation op, const hct_shape *operands, size_t count, const hct_shape *to) {
  int64_t axis = hct_op_i64(op, "axis"), total = 0;
  bool fits = axis >= 0 && axis < (int64_t)to->rank;
  for (size_t k = 0; fits && k < count; k++) {
    fits = operands[k].rank == to->rank;
    for (size_t d = 0; fits && d < to->rank; d++) fits = (int64_t)d == axis || operands[k].dims[d] == to->dims[d];
    if (fits) total += operands[k].dims[axis];
  }
  if (!fits || total != to->dims[axis]) refuse(v, op, "operands along axis %lld do not make %s", (long long)axis, shape_text(v, to));
}

enum { MAX_OPERANDS = 64 };

static void shapes_check(verifier *v, MlirOperation op) {
  hct_shape operands[MAX_OPERANDS], result;
  size_t count = (size_t)mlirOperationGetNumOperands(op);
  if (count > MAX_OPERANDS) return;
  for (size_t k = 0; k < count; k++)
    if (!hct_value_shape(hct_op_operand(op, k), &operands[k])) {
      refuse(v, op, "operand %zu is not a static tensor of a supported type and rank", k);
      return;
    }
  for (size_t k = 0; k < (size_t)mlirOperationGetNumResults(op); k++)
    if (!hct_value_shape(hct_op_result(op, k), &result)) {
      refuse(v, op, "result %zu is not a static tensor of a supported type and rank", k);
      return;
    }
  if (mlirOperationGetNumResults(op) != 1) return;
  const char *name = hct_op_name(op) + strlen("hct_graph.");
  if (!strcmp(name, "map1") || !strcmp(name, "map2") || !strcmp(name, "select") || !strcmp(name, "broadcast")) check_elementwise(v, op, operands, count, &result);
  else if (!strcmp(name, "reshape")) check_reshape(v, op, operands, &result);
  else if (!strcmp(name, "transpose")) check_transpose(v, op, operands, &result);
  else if (!strcmp(name, "slice")) check_slice(v, op, operands, &result);
  else if (!strcmp(name, "contract")) check_contract(v, op, operands, &result);
  else if (!strcmp(name, "reduce")) check_reduce(v, op, operands, &result);
  else if (!strcmp(name, "concat")) check_concat(v, op, operands, count, &result);
}

/* ---- the walk ---- */
static MlirWalkResult op_check(MlirOperation op, void *user) {
  verifier *v = user;
  const char *name = hct_op_name(op);
  for (size_t i = 0; i < HCT_COUNT(checked_ops); i++) {
    if (strcmp(checked_ops[i].name, name) != 0) continue;
    hct_status before = v->status;
    v->status = HCT_OK;
    attributes_check(v, op, &checked_ops[i]);
    if (v->status == HCT_OK && !strncmp(name, "hct_graph.", 10)) shapes_check(v, op);
    if (v->status == HCT_OK) v->status = before;
  }
  return MlirWalkResultAdvance;
}

hct_status hct_module_verify(hct_diags *diags, MlirModule module, const char *after) {
  MlirOperation top = mlirModuleGetOperation(module);
  if (!mlirOperationVerify(top)) {
    if (after) hct_note(diags, "found after %s", after);
    return HCT_REFUSED;
  }
  verifier v = {.diags = diags, .arena = hct_arena_create(), .after = after};
  mlirOperationWalk(top, op_check, &v, MlirWalkPreOrder);
  hct_arena_destroy(v.arena);
  return v.status;
}
