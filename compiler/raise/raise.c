/* hct-raise
 *
 *   %0 = muls(%x, 0.7071);  %1 = erf(%0);  %2 = adds(%1, 1);  %3 = mul(%x, %2);  %4 = muls(%3, 0.5)
 * becomes
 *   %4 = "hct_graph.gelu"(%x) {approximate = "none"}
 *
 * and likewise for every spelling that exporters have of linear layers, attention, softmax, normalisations, activations and rotary embeddings.
 * Its location is that of all nodes that it was. Casts to f16 or bf16 between these round no more. What is used by others too stays as it is. --no-raise leaves all as it is.
 * hct-expand makes primitive operators of them again, in one spelling for all. */
#include "compiler/raise/raise.h"

#include <string.h>

#include "compiler/pass.h"

static bool is_inside(const match *m, MlirOperation op) {
  for (size_t i = 0; i < m->count; i++)
    if (mlirOperationEqual(m->ops[i], op)) return true;
  return false;
}

/* Nobody else reads what goes with the composite operator. */
static bool is_closed(const match *m, MlirOperation root) {
  for (size_t i = 0; i < m->count; i++) {
    if (mlirOperationEqual(m->ops[i], root)) continue;
    MlirOpOperand use = mlirValueGetFirstUse(hct_op_result(m->ops[i], 0));
    for (; !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use))
      if (!is_inside(m, mlirOpOperandGetOwner(use))) return false;
  }
  return true;
}

static MlirLocation location_of(hct_arena *arena, MlirContext context, const match *m) {
  MlirLocation *locations = HCT_NEW_ARRAY(arena, MlirLocation, m->count + 1);
  intptr_t count = 0;
  for (size_t i = 0; i < m->count; i++) {
    MlirLocation location = mlirOperationGetLocation(m->ops[i]);
    bool known = false;
    for (intptr_t j = 0; j < count && !known; j++) known = mlirLocationEqual(locations[j], location);
    if (!known) locations[count++] = location;
  }
  return count == 1 ? locations[0] : mlirLocationFusedGet(context, count, locations, mlirAttributeGetNull());
}

static bool raise_at(hct_pass_context *pass, MlirOperation op, hct_index_map *done) {
  static const raise_function patterns[] = {raise_layer_norm, raise_rms_norm, raise_gelu, raise_silu, raise_softmax, raise_rope, raise_attention, raise_linear};
  MlirValue root = hct_op_result(op, 0);
  if (match_is_rounding(op)) return false;
  for (size_t i = 0; i < HCT_COUNT(patterns); i++) {
    match m = {0};
    composite c;
    if (!patterns[i](pass->context, &m, root, &c) || !is_closed(&m, op)) continue;
    hct_builder builder = {.context = pass->context, .block = mlirOperationGetBlock(op), .before = op, .location = location_of(pass->arena, pass->context, &m)};
    hct_value_replace(root, hct_build_value(&builder, c.name, c.operand_count, c.operands, mlirValueGetType(root), c.attribute_count, c.attributes));
    for (size_t k = 0; k < m.count; k++) hct_index_map_put(done, m.ops[k].ptr, 1); /* nothing reads them any more */
    return true;
  }
  return false;
}

/* ---- the account ---- */
/* Nodes are told apart by their locations; one is raised where a composite operator is among what is left of it. */
typedef struct account { hct_arena *arena; hct_map *raised, *primitive; } account;

static void account_add(account *a, MlirLocation location, bool composite_op) {
  if (mlirLocationIsAFused(location)) {
    unsigned count = mlirLocationFusedGetNumLocations(location);
    MlirLocation *parts = HCT_NEW_ARRAY(a->arena, MlirLocation, count + 1);
    mlirLocationFusedGetLocations(location, parts);
    for (unsigned i = 0; i < count; i++) account_add(a, parts[i], composite_op);
    return;
  }
  hct_loc loc = hct_loc_of_location(a->arena, location);
  if (!loc.where) return;
  hct_map *map = composite_op ? a->raised : a->primitive;
  if (!hct_map_has(map, loc.where)) hct_map_put(map, loc.where, hct_arena_strdup(a->arena, loc.where));
}

static bool is_raised(MlirOperation op) {
  const char *name = hct_op_name(op);
  return !strncmp(name, "hct_graph.", 10) && (hct_graph_is_composite(name + 10) || !strcmp(name + 10, "softmax"));
}

static void account_write(hct_pass_context *pass, MlirModule module, MlirBlock body) {
  account a = {pass->arena, hct_map_create(pass->arena), hct_map_create(pass->arena)};
  MlirOperation *operations, top = mlirModuleGetOperation(module);
  size_t count = hct_block_operations(pass->arena, body, &operations);
  hct_text left = {0};
  for (size_t i = 0; i + 1 < count; i++)
    if (!hct_op_is(operations[i], "hct_graph.constant")) account_add(&a, mlirOperationGetLocation(operations[i]), is_raised(operations[i]));
  for (size_t i = 0; i < hct_map_count(a.primitive); i++) {
    const char *name = hct_map_key_at(a.primitive, i);
    if (!hct_map_has(a.raised, name)) hct_text_printf(&left, "%s\n", name);
  }
  hct_op_set(top, "hct.nodes_raised", hct_attr_i64(pass->context, (int64_t)hct_map_count(a.raised)));
  hct_op_set(top, "hct.nodes_primitive", hct_attr_str(pass->context, left.data ? left.data : ""));
  hct_text_fini(&left);
}

hct_status hct_pass_raise(hct_pass_context *pass, MlirModule module) {
  MlirOperation function = hct_module_function(module), *operations;
  MlirBlock body = hct_function_body(function);
  if (!hct_pass_option(pass, "no-raise", NULL)) {
    size_t count = hct_block_operations(pass->arena, body, &operations), unused;
    hct_index_map *done = hct_index_map_create(pass->arena);
    for (size_t i = count; i-- > 0;)
      if (mlirOperationGetNumResults(operations[i]) == 1 && !hct_index_map_get(done, operations[i].ptr, &unused)) raise_at(pass, operations[i], done);
    hct_function_eliminate_dead(function);
  }
  account_write(pass, module, body);
  return HCT_OK;
}
