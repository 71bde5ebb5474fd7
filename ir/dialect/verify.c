#include <string.h>

#include "ir/dialect/verify.h"

typedef struct checked_op {
  const char *name, *attributes;
  int operands, results;
} checked_op;

static const checked_op checked_ops[] = {
#define HCT_DIALECT_OP(dialect, name, operands, results, effects, attributes, doc) {#dialect "." #name, attributes, operands, results},
#include "ir/dialect/ops.def"
#undef HCT_DIALECT_OP
};

void hct_verify_refuse_at(hct_verifier *v, hct_loc loc, const char *fmt, ...) {
  hct_text text = {0};
  va_list args;
  va_start(args, fmt);
  hct_text_vprintf(&text, fmt, args);
  va_end(args);
  v->status = hct_error(v->diags, HCT_E_IR_INVALID, loc, "%s", text.data);
  if (v->after) hct_note(v->diags, "found after %s", v->after);
  hct_text_fini(&text);
}

void hct_verify_refuse(hct_verifier *v, MlirOperation op, const char *fmt, ...) {
  hct_text text = {0};
  va_list args;
  va_start(args, fmt);
  hct_text_vprintf(&text, fmt, args);
  va_end(args);
  hct_verify_refuse_at(v, hct_loc_of(v->arena, op), "%s: %s", hct_op_name(op), text.data);
  hct_text_fini(&text);
}

bool hct_verify_is_function(const char *table, const char *name) {
  static const struct { const char *table, *name; } functions[] = {
#define HCT_FN(table, NAME, code, name, cycles, meaning) {#table, name},
#include "ir/isa/isa_functions.def"
#undef HCT_FN
  };
  for (size_t i = 0; i < HCT_COUNT(functions); i++)
    if (!strcmp(functions[i].table, table) && !strcmp(functions[i].name, name)) return true;
  return false;
}

/* ---- attributes by the kinds of ops.def ---- */
static bool is_i64(MlirAttribute attribute) {
  MlirType type = mlirAttributeIsAInteger(attribute) ? mlirAttributeGetType(attribute) : (MlirType){NULL};
  return !mlirTypeIsNull(type) && mlirTypeIsAInteger(type) && mlirIntegerTypeGetWidth(type) == 64;
}

static bool kind_fits(MlirAttribute attribute, const char *kind, size_t length) {
  if (!strncmp(kind, "str", length) && length == 3) return mlirAttributeIsAString(attribute);
  if (!strncmp(kind, "i64", length) && length == 3) return is_i64(attribute);
  if (!strncmp(kind, "f64", length) && length == 3) return mlirAttributeIsAFloat(attribute);
  if (!strncmp(kind, "bool", length) && length == 4) return mlirAttributeIsABool(attribute);
  if (!strncmp(kind, "i64s", length) && length == 4) return mlirAttributeIsADenseI64Array(attribute);
  if (!strncmp(kind, "any", length) && length == 3) return true;
  if (strncmp(kind, "strs", length) || length != 4 || !mlirAttributeIsAArray(attribute)) return false;
  for (intptr_t i = 0; i < mlirArrayAttrGetNumElements(attribute); i++)
    if (!mlirAttributeIsAString(mlirArrayAttrGetElement(attribute, i))) return false;
  return true;
}

static void attributes_check(hct_verifier *v, MlirOperation op, const checked_op *row) {
  for (const char *at = row->attributes; *at;) {
    size_t whole = strcspn(at, " "), name_length = strcspn(at, ":");
    bool optional = at[whole - 1] == '?';
    const char *kind = at + name_length + 1, *name = hct_arena_strndup(v->arena, at, name_length);
    size_t kind_length = whole - name_length - 1 - optional;
    MlirAttribute attribute = mlirOperationGetAttributeByName(op, hct_ref(name));
    if (mlirAttributeIsNull(attribute)) {
      if (!optional) hct_verify_refuse(v, op, "attribute '%s' is missing", name);
    } else if (!kind_fits(attribute, kind, kind_length)) {
      hct_verify_refuse(v, op, "attribute '%s' is not of kind %.*s", name, (int)kind_length, kind);
    }
    at += whole;
    while (*at == ' ') at++;
  }
}

/* ---- the walk ---- */
static MlirWalkResult op_check(MlirOperation op, void *user) {
  hct_verifier *v = user;
  const char *name = hct_op_name(op);
  for (size_t i = 0; i < HCT_COUNT(checked_ops); i++) {
    if (strcmp(checked_ops[i].name, name) != 0) continue;
    hct_status before = v->status;
    v->status = HCT_OK;
    attributes_check(v, op, &checked_ops[i]);
    hct_verify_discardable(v, op);
    if (v->status == HCT_OK && !strncmp(name, "hct_graph.", 10)) hct_verify_graph_op(v, op);
    else if (v->status == HCT_OK) hct_verify_tile_op(v, op);
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
  hct_verifier v = {.diags = diags, .arena = hct_arena_create(), .after = after};
  mlirOperationWalk(top, op_check, &v, MlirWalkPreOrder);
  if (v.status == HCT_OK) hct_verify_module(&v, module);
  hct_arena_destroy(v.arena);
  return v.status;
}
