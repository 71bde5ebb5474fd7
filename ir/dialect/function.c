#include <string.h>

#include "ir/dialect/ir.h"

MlirOperation hct_module_function(MlirModule module) {
  MlirOperation op = mlirBlockGetFirstOperation(mlirModuleGetBody(module));
  while (!mlirOperationIsNull(op) && !hct_op_is(op, "func.func")) op = mlirOperationGetNextInBlock(op);
  HCT_BUG_ON(mlirOperationIsNull(op), "a module without a function");
  return op;
}

MlirBlock hct_function_body(MlirOperation function) { return mlirRegionGetFirstBlock(mlirOperationGetRegion(function, 0)); }

MlirOperation hct_block_terminator(MlirBlock block) { return mlirBlockGetTerminator(block); }

size_t hct_block_operations(hct_arena *arena, MlirBlock block, MlirOperation **out_operations) {
  struct { MlirOperation *items; size_t count, capacity; } operations = {0};
  for (MlirOperation op = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) HCT_PUSH(arena, &operations, op);
  *out_operations = operations.items;
  return operations.count;
}

/* ---- attributes of arguments and results: func.func keeps an array of dictionaries ---- */
static MlirAttribute entry_get(MlirOperation function, const char *array, size_t index, const char *name) {
  MlirAttribute all = mlirOperationGetAttributeByName(function, hct_ref(array));
  if (mlirAttributeIsNull(all) || (intptr_t)index >= mlirArrayAttrGetNumElements(all)) return mlirAttributeGetNull();
  return mlirDictionaryAttrGetElementByName(mlirArrayAttrGetElement(all, (intptr_t)index), hct_ref(name));
}

/* What the dictionary has, and all of `entries`, which are of one argument or result. */
static MlirAttribute dictionary_with(MlirContext context, MlirAttribute dictionary, size_t count, const hct_entry *entries) {
  MlirNamedAttribute named[32];
  intptr_t total = 0, old = mlirAttributeIsNull(dictionary) ? 0 : mlirDictionaryAttrGetNumElements(dictionary);
  HCT_BUG_ON((size_t)old + count > HCT_COUNT(named), "too many attributes on one argument");
  for (intptr_t i = 0; i < old; i++) {
    MlirNamedAttribute entry = mlirDictionaryAttrGetElement(dictionary, i);
    bool kept = true;
    for (size_t e = 0; e < count; e++) kept = kept && strcmp(mlirIdentifierStr(entry.name).data, entries[e].name);
    if (kept) named[total++] = entry;
  }
  for (size_t e = 0; e < count; e++) named[total++] = mlirNamedAttributeGet(mlirIdentifierGet(context, hct_ref(entries[e].name)), entries[e].value);
  return mlirDictionaryAttrGet(context, total, named);
}

static void entries_set(MlirOperation function, const char *array, size_t total, size_t count, const hct_entry *entries) {
  MlirContext context = mlirOperationGetContext(function);
  MlirAttribute all = mlirOperationGetAttributeByName(function, hct_ref(array));
  intptr_t old = mlirAttributeIsNull(all) ? 0 : mlirArrayAttrGetNumElements(all);
  hct_arena *arena = hct_arena_create();
  MlirAttribute *dictionaries = HCT_NEW_ARRAY(arena, MlirAttribute, total);
  for (size_t i = 0; i < total; i++) dictionaries[i] = (intptr_t)i < old ? mlirArrayAttrGetElement(all, (intptr_t)i) : mlirDictionaryAttrGet(context, 0, NULL);
  for (size_t i = 0, next; i < count; i = next) { /* neighbours of one index at once */
    size_t index = entries[i].index;
    HCT_BUG_ON(index >= total, "argument or result %zu of %zu", index, total);
    for (next = i + 1; next < count && entries[next].index == index;) next++;
    dictionaries[index] = dictionary_with(context, dictionaries[index], next - i, &entries[i]);
  }
  mlirOperationSetAttributeByName(function, hct_ref(array), mlirArrayAttrGet(context, (intptr_t)total, dictionaries));
  hct_arena_destroy(arena);
}

MlirAttribute hct_function_arg_attr(MlirOperation function, size_t index, const char *name) { return entry_get(function, "arg_attrs", index, name); }
MlirAttribute hct_function_result_attr(MlirOperation function, size_t index, const char *name) { return entry_get(function, "res_attrs", index, name); }

void hct_function_set_arg_attrs(MlirOperation function, size_t count, const hct_entry *entries) {
  entries_set(function, "arg_attrs", (size_t)mlirBlockGetNumArguments(hct_function_body(function)), count, entries);
}

void hct_function_set_result_attrs(MlirOperation function, size_t count, const hct_entry *entries) {
  entries_set(function, "res_attrs", (size_t)mlirOperationGetNumOperands(hct_block_terminator(hct_function_body(function))), count, entries);
}

bool hct_role_replaces(const char *role) { return !strcmp(role, "param") || !strcmp(role, "state") || !strcmp(role, "copy"); }

static const char *entry_key(hct_arena *arena, MlirAttribute role, MlirAttribute name) {
  HCT_BUG_ON(mlirAttributeIsNull(role) || mlirAttributeIsNull(name), "an argument or result without hct.role or hct.name");
  return hct_arena_printf(arena, "%s %s", hct_attr_text(role), hct_attr_text(name));
}

size_t *hct_function_replaced(hct_arena *arena, MlirOperation function) {
  MlirBlock body = hct_function_body(function);
  size_t arguments = (size_t)mlirBlockGetNumArguments(body), results = (size_t)mlirOperationGetNumOperands(hct_block_terminator(body));
  size_t *replaced = HCT_NEW_ARRAY(arena, size_t, results + 1), *numbers = HCT_NEW_ARRAY(arena, size_t, arguments + 1);
  hct_map *by_key = hct_map_create(arena);
  for (size_t a = 0; a < arguments; a++) {
    const char *key = entry_key(arena, hct_function_arg_attr(function, a, "hct.role"), hct_function_arg_attr(function, a, "hct.name"));
    numbers[a] = a;
    if (!hct_map_has(by_key, key)) hct_map_put(by_key, key, &numbers[a]);
  }
  for (size_t r = 0; r < results; r++) {
    MlirAttribute role = hct_function_result_attr(function, r, "hct.role");
    const char *key = entry_key(arena, role, hct_function_result_attr(function, r, "hct.name"));
    const size_t *argument = hct_role_replaces(hct_attr_text(role)) ? hct_map_get(by_key, key) : NULL;
    replaced[r] = argument ? *argument : SIZE_MAX;
  }
  return replaced;
}

/* Drops entries of arguments or results that no longer exist, adds empty ones for new ones. */
static void entries_resize(MlirOperation function, const char *array, size_t total) {
  MlirContext context = mlirOperationGetContext(function);
  MlirAttribute all = mlirOperationGetAttributeByName(function, hct_ref(array));
  if (mlirAttributeIsNull(all) || (size_t)mlirArrayAttrGetNumElements(all) == total) return;
  hct_arena *arena = hct_arena_create();
  MlirAttribute *entries = HCT_NEW_ARRAY(arena, MlirAttribute, total);
  for (size_t i = 0; i < total; i++)
    entries[i] = (intptr_t)i < mlirArrayAttrGetNumElements(all) ? mlirArrayAttrGetElement(all, (intptr_t)i) : mlirDictionaryAttrGet(context, 0, NULL);
  mlirOperationSetAttributeByName(function, hct_ref(array), mlirArrayAttrGet(context, (intptr_t)total, entries));
  hct_arena_destroy(arena);
}

void hct_function_update_type(MlirOperation function) {
  MlirBlock body = hct_function_body(function);
  MlirOperation end = hct_block_terminator(body);
  size_t argument_count = (size_t)mlirBlockGetNumArguments(body), result_count = (size_t)mlirOperationGetNumOperands(end);
  hct_arena *arena = hct_arena_create();
  MlirType *inputs = HCT_NEW_ARRAY(arena, MlirType, argument_count), *results = HCT_NEW_ARRAY(arena, MlirType, result_count);
  for (size_t i = 0; i < argument_count; i++) inputs[i] = mlirValueGetType(mlirBlockGetArgument(body, (intptr_t)i));
  for (size_t i = 0; i < result_count; i++) results[i] = mlirValueGetType(hct_op_operand(end, i));
  MlirType type = mlirFunctionTypeGet(mlirOperationGetContext(function), (intptr_t)argument_count, inputs, (intptr_t)result_count, results);
  hct_op_set(function, "function_type", mlirTypeAttrGet(type));
  entries_resize(function, "arg_attrs", argument_count);
  entries_resize(function, "res_attrs", result_count);
  hct_arena_destroy(arena);
}

void hct_function_erase_args(MlirOperation function, const bool *erased) {
  MlirBlock body = hct_function_body(function);
  MlirAttribute all = mlirOperationGetAttributeByName(function, hct_ref("arg_attrs"));
  intptr_t count = mlirBlockGetNumArguments(body), kept = 0;
  hct_arena *arena = hct_arena_create();
  MlirAttribute *dictionaries = HCT_NEW_ARRAY(arena, MlirAttribute, (size_t)count + 1);
  for (intptr_t a = 0; a < count && !mlirAttributeIsNull(all); a++)
    if (!erased[a]) dictionaries[kept++] = mlirArrayAttrGetElement(all, a);
  if (!mlirAttributeIsNull(all)) hct_op_set(function, "arg_attrs", mlirArrayAttrGet(mlirOperationGetContext(function), kept, dictionaries));
  for (intptr_t a = count; a-- > 0;)
    if (erased[a]) mlirBlockEraseArgument(body, (unsigned)a);
  hct_function_update_type(function);
  hct_arena_destroy(arena);
}

/* ---- dead code ---- */
typedef struct op_effect {
  const char *name;
  bool pure;
} op_effect;

#define PURE true
#define EFFECT false
static const op_effect effects[] = {
#define HCT_DIALECT_OP(dialect, name, operands, results, effects, attributes, doc) {#dialect "." #name, effects},
#include "ir/dialect/ops.def"
#undef HCT_DIALECT_OP
    {"arith.constant", true},
};
#undef PURE
#undef EFFECT

static bool op_is_pure(const char *name) {
  if (!strncmp(name, "onnx.", 5)) return true;
  for (size_t i = 0; i < HCT_COUNT(effects); i++)
    if (!strcmp(effects[i].name, name)) return effects[i].pure;
  return false;
}

static bool op_is_dead(MlirOperation op) {
  if (!op_is_pure(hct_op_name(op))) return false;
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); i++)
    if (!hct_value_unused(mlirOperationGetResult(op, i))) return false;
  return true;
}

/* Last to first: an operation's users are erased before it is looked at. */
size_t hct_function_eliminate_dead(MlirOperation function) {
  hct_arena *arena = hct_arena_create();
  MlirOperation *operations;
  size_t count = hct_block_operations(arena, hct_function_body(function), &operations), erased = 0;
  for (size_t i = count; i-- > 0;) {
    if (!op_is_dead(operations[i])) continue;
    mlirOperationDestroy(operations[i]);
    erased++;
  }
  hct_arena_destroy(arena);
  return erased;
}

/* ---- locations ---- */
MlirLocation hct_location_node(MlirContext context, const char *file, int64_t index, const char *node_name) {
  char name[512];
  snprintf(name, sizeof name, "node %lld '%s'", (long long)index, node_name);
  return mlirLocationNameGet(context, hct_ref(name), mlirLocationFileLineColGet(context, hct_ref(file), (unsigned)index, 0));
}

hct_loc hct_loc_of_location(hct_arena *arena, MlirLocation location) {
  if (mlirLocationIsACallSite(location)) return hct_loc_of_location(arena, mlirLocationCallSiteGetCallee(location));
  if (mlirLocationIsAFused(location) && mlirLocationFusedGetNumLocations(location) > 0) {
    unsigned count = mlirLocationFusedGetNumLocations(location);
    MlirLocation *parts = HCT_NEW_ARRAY(arena, MlirLocation, count);
    mlirLocationFusedGetLocations(location, parts);
    return hct_loc_of_location(arena, parts[0]);
  }
  hct_loc loc = {0};
  if (mlirLocationIsAName(location)) {
    MlirStringRef name = mlirIdentifierStr(mlirLocationNameGetName(location));
    loc.where = hct_arena_strndup(arena, name.data, name.length);
    location = mlirLocationNameGetChildLoc(location);
  }
  if (mlirLocationIsAFileLineColRange(location)) {
    MlirStringRef file = mlirIdentifierStr(mlirLocationFileLineColRangeGetFilename(location));
    loc.file = hct_arena_strndup(arena, file.data, file.length);
    if (!loc.where && mlirLocationFileLineColRangeGetStartLine(location) > 0) /* 0: the text as a whole */
      loc.where = hct_arena_printf(arena, "%d:%d", mlirLocationFileLineColRangeGetStartLine(location), mlirLocationFileLineColRangeGetStartColumn(location));
  }
  return loc;
}

hct_loc hct_loc_of(hct_arena *arena, MlirOperation op) { return hct_loc_of_location(arena, mlirOperationGetLocation(op)); }
