#include <string.h>

#include "ir/dialect/data.h"
#include "ir/dialect/piece.h"
#include "ir/dialect/verify.h"
#include "ir/isa/image.h"

bool hct_verify_layout(hct_verifier *v, MlirOperation op, const char *what, const char *text, const hct_shape *shape, hct_layout *out_layout) {
  if (!hct_layout_parse(text, out_layout)) {
    hct_verify_refuse(v, op, "%s '%s' is not of the form [4@tr,16,4@c*16] sum(c)", what, text);
    return false;
  }
  for (int f = 0; f < out_layout->factor_count; f++)
    if (out_layout->factors[f].count && !hct_op_is(op, "hct_tile.dram")) return hct_verify_refuse(v, op, "%s '%s' has a part alone, as tensors in DRAM may", what, text), false;
  bool fits = !shape || out_layout->rank == shape->rank;
  for (size_t d = 0; shape && fits && d < shape->rank; d++) fits = hct_layout_dim_size(out_layout, (unsigned)d) == shape->dims[d];
  if (!fits) hct_verify_refuse(v, op, "%s '%s' is not of the tensor's shape", what, text);
  return fits;
}

/* ---- what every operator may bear ---- */
static bool is_text(MlirAttribute attribute) { return mlirAttributeIsNull(attribute) || mlirAttributeIsAString(attribute); }

static void check_shardings(hct_verifier *v, MlirOperation op) {
  MlirAttribute all = mlirOperationGetAttributeByName(op, hct_ref("hct.sharding"));
  if (mlirAttributeIsNull(all)) return;
  intptr_t results = mlirOperationGetNumResults(op);
  if (!mlirAttributeIsAArray(all) || mlirArrayAttrGetNumElements(all) != results) {
    hct_verify_refuse(v, op, "hct.sharding is not an array of %td texts, one a result", results);
    return;
  }
  for (intptr_t r = 0; r < results; r++) {
    const char *text = hct_attr_text(mlirArrayAttrGetElement(all, r));
    hct_shape shape;
    hct_layout layout;
    if (!text) hct_verify_refuse(v, op, "hct.sharding is not an array of texts");
    else if (hct_value_shape(mlirOperationGetResult(op, r), &shape)) hct_verify_layout(v, op, "hct.sharding", text, &shape, &layout);
  }
}

void hct_verify_discardable(hct_verifier *v, MlirOperation op) {
  static const char *const texts[] = {"hct.layer", "hct.pass", "hct.collective", "hct.over"}, *const units[] = {"hct.recomputed", "hct.waits", "hct.wide"};
  for (size_t i = 0; i < HCT_COUNT(texts); i++)
    if (!is_text(mlirOperationGetAttributeByName(op, hct_ref(texts[i])))) hct_verify_refuse(v, op, "%s is no text", texts[i]);
  if (hct_op_has(op, "hct.group") && (hct_op_i64_or(op, "hct.group", -1) < 0 || hct_op_i64_or(op, "hct.group", -1) >= 1 << 20))
    hct_verify_refuse(v, op, "hct.group is no number of a fusion group");
  for (size_t i = 0; i < HCT_COUNT(units); i++) {
    MlirAttribute unit = mlirOperationGetAttributeByName(op, hct_ref(units[i]));
    if (!mlirAttributeIsNull(unit) && !mlirAttributeIsAUnit(unit)) hct_verify_refuse(v, op, "%s is no unit", units[i]);
  }
  check_shardings(v, op);
}

/* ---- the module ---- */
/* By unit of the step, forward and backward of each group: the number of its stage, from 0. */
static bool check_stages(MlirAttribute stages) {
  if (mlirAttributeIsNull(stages)) return true;
  if (!mlirAttributeIsADenseI64Array(stages) || mlirDenseArrayGetNumElements(stages) % 2) return false;
  for (intptr_t i = 0, before = 0; i < mlirDenseArrayGetNumElements(stages); i++) {
    int64_t stage = mlirDenseI64ArrayGetElement(stages, i);
    if (stage != before && (i == 0 || stage != before + 1)) return false;
    before = (intptr_t)stage;
  }
  return true;
}

/* By unit: 1 for weights, 2 for sums, 3 for both. */
static bool check_streamed(MlirAttribute streamed) {
  if (mlirAttributeIsNull(streamed)) return true;
  if (!mlirAttributeIsADenseI64Array(streamed) || mlirDenseArrayGetNumElements(streamed) % 2) return false;
  for (intptr_t i = 0; i < mlirDenseArrayGetNumElements(streamed); i++)
    if (mlirDenseI64ArrayGetElement(streamed, i) < 0 || mlirDenseI64ArrayGetElement(streamed, i) > 3) return false;
  return true;
}

static void check_units(hct_verifier *v, MlirOperation top) {
  static const char *const flags[] = {"hct.dram_short", "hct.streaming_pays"};
  if (!check_stages(mlirOperationGetAttributeByName(top, hct_ref("hct.stages")))) hct_verify_refuse(v, top, "hct.stages is no array of the stages of units, two a group, that counts up from 0");
  if (!check_streamed(mlirOperationGetAttributeByName(top, hct_ref("hct.streamed")))) hct_verify_refuse(v, top, "hct.streamed is no array of what units stream, two a group, from 0 to 3");
  for (size_t i = 0; i < HCT_COUNT(flags); i++) {
    MlirAttribute flag = mlirOperationGetAttributeByName(top, hct_ref(flags[i]));
    if (!mlirAttributeIsNull(flag) && !mlirAttributeIsAUnit(flag)) hct_verify_refuse(v, top, "%s is no unit", flags[i]);
  }
}

static void check_module_attributes(hct_verifier *v, MlirOperation top) {
  static const char *const numbers[] = {"hct.batch", "hct.micro_batch"}, *const texts[] = {"hct.package", "hct.done", "hct.model", "hct.model_file", "hct.labels"};
  for (size_t i = 0; i < HCT_COUNT(numbers); i++)
    if (hct_op_has(top, numbers[i]) && hct_op_i64_or(top, numbers[i], 0) < 1) hct_verify_refuse(v, top, "%s is no positive number", numbers[i]);
  for (size_t i = 0; i < HCT_COUNT(texts); i++)
    if (!is_text(mlirOperationGetAttributeByName(top, hct_ref(texts[i])))) hct_verify_refuse(v, top, "%s is no text", texts[i]);
  check_units(v, top);
  MlirAttribute options = mlirOperationGetAttributeByName(top, hct_ref("hct.options"));
  if (mlirAttributeIsNull(options)) return;
  bool fits = mlirAttributeIsADictionary(options);
  for (intptr_t i = 0; fits && i < mlirDictionaryAttrGetNumElements(options); i++) fits = mlirAttributeIsAString(mlirDictionaryAttrGetElement(options, i).attribute);
  if (!fits) hct_verify_refuse(v, top, "hct.options is no dictionary of texts");
}

/* ---- the function ---- */
static bool check_role(const char *role, bool argument) {
  static const char *const arguments[] = {"input", "param", "state", "setting", "copy"}, *const results[] = {"output", "loss", "param", "state", "gradient", "copy"};
  for (size_t i = 0; i < (argument ? HCT_COUNT(arguments) : HCT_COUNT(results)); i++)
    if (!strcmp(role, argument ? arguments[i] : results[i])) return true;
  return false;
}

static const char *entry_text(MlirOperation function, bool argument, size_t index, const char *name) {
  return hct_attr_text(argument ? hct_function_arg_attr(function, index, name) : hct_function_result_attr(function, index, name));
}

static void check_entry(hct_verifier *v, MlirOperation function, bool argument, size_t index, MlirValue value) {
  const char *what = argument ? "argument" : "result", *name = entry_text(function, argument, index, "hct.name"), *role = entry_text(function, argument, index, "hct.role");
  hct_shape shape;
  hct_layout layout;
  hct_loc loc = hct_loc_of_location(v->arena, argument ? mlirValueGetLocation(value) : mlirOperationGetLocation(function));
  if (!hct_value_shape(value, &shape)) hct_verify_refuse_at(v, loc, "%s %zu is not a static tensor of a supported type and rank", what, index);
  else if (!name) hct_verify_refuse_at(v, loc, "%s %zu has no hct.name", what, index);
  else if (!role || !check_role(role, argument)) hct_verify_refuse_at(v, loc, "%s '%s': hct.role '%s' is not one of %ss", what, name, role ? role : "", what);
  else if (argument && !mlirAttributeIsNull(hct_function_arg_attr(function, index, "hct.sharding"))) {
    const char *text = entry_text(function, true, index, "hct.sharding");
    hct_verify_layout(v, function, hct_arena_printf(v->arena, "hct.sharding of argument '%s':", name), text ? text : "", &shape, &layout);
  }
}

/* Of an argument's data: of a piece, those of the whole parameter. */
static int64_t data_elements(hct_verifier *v, MlirOperation function, size_t index, int64_t elements) {
  const char *name = entry_text(function, true, index, "hct.name");
  hct_piece piece;
  return name && hct_piece_parse(v->arena, name, &piece) ? elements / piece.count * piece.size : elements;
}

static void check_data(hct_verifier *v, MlirOperation function, size_t index, MlirValue value) {
  MlirAttribute data = hct_function_arg_attr(function, index, "hct.data");
  if (mlirAttributeIsNull(data)) return;
  if (hct_attr_text(data)) {
    hct_data_reference reference;
    hct_shape shape;
    hct_dtype from;
    bool known = hct_value_shape(value, &shape);
    int64_t elements = known ? data_elements(v, function, index, hct_shape_elements(&shape)) : 0, bytes = known ? elements * (int64_t)hct_dtype_bytes(shape.dtype) : 0;
    if (!hct_data_reference_parse(v->arena, hct_attr_text(data), &reference) || !known || !hct_data_fits(shape.dtype, reference.dtype, elements, reference.bytes, &from))
      hct_verify_refuse_at(v, hct_loc_of_location(v->arena, mlirValueGetLocation(value)), "argument %zu: hct.data '%s' is no reference to data of %lld bytes", index, hct_attr_text(data), (long long)bytes);
    return;
  }
  if (!mlirAttributeIsAElements(data) || !mlirTypeEqual(mlirAttributeGetType(data), mlirValueGetType(value)))
    hct_verify_refuse_at(v, hct_loc_of_location(v->arena, mlirValueGetLocation(value)), "argument %zu: hct.data is neither a data reference nor elements of the argument's type", index);
}

/* A returned parameter, state or copy is the new one of an argument. */
static void check_replaced(hct_verifier *v, MlirOperation function, MlirBlock body) {
  MlirOperation end = hct_block_terminator(body);
  const size_t *replaced = hct_function_replaced(v->arena, function);
  for (size_t r = 0; r < (size_t)mlirOperationGetNumOperands(end); r++) {
    const char *name = entry_text(function, false, r, "hct.name"), *role = entry_text(function, false, r, "hct.role");
    if (!hct_role_replaces(role)) continue;
    if (replaced[r] == SIZE_MAX || !mlirTypeEqual(mlirValueGetType(mlirBlockGetArgument(body, (intptr_t)replaced[r])), mlirValueGetType(hct_op_operand(end, r))))
      hct_verify_refuse(v, function, "result '%s' of role %s replaces no argument of its name, role and type", name, role);
  }
}

static void check_signature(hct_verifier *v, MlirOperation function, MlirBlock body) {
  MlirOperation end = hct_block_terminator(body);
  for (intptr_t a = 0; a < mlirBlockGetNumArguments(body); a++) {
    check_entry(v, function, true, (size_t)a, mlirBlockGetArgument(body, a));
    check_data(v, function, (size_t)a, mlirBlockGetArgument(body, a));
  }
  for (size_t r = 0; r < (size_t)mlirOperationGetNumOperands(end); r++) check_entry(v, function, false, r, hct_op_operand(end, r));
  if (v->status == HCT_OK) check_replaced(v, function, body);
}

typedef struct level_check {
  hct_verifier *v;
  bool tile;
} level_check;

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

static MlirWalkResult level_of(MlirOperation op, void *user) {
  level_check *check = user;
  if (starts(hct_op_name(op), "hct_tile.")) check->tile = true;
  return MlirWalkResultAdvance;
}

static MlirWalkResult check_level(MlirOperation op, void *user) {
  const level_check *check = user;
  const char *name = hct_op_name(op);
  if (!strcmp(name, "func.func") || !strcmp(name, "func.return")) return MlirWalkResultAdvance;
  bool of_tile = starts(name, "hct_tile.") || !strcmp(name, "scf.for") || !strcmp(name, "scf.yield") || !strcmp(name, "arith.constant");
  if (check->tile ? !of_tile : !starts(name, "hct_graph.") && !starts(name, "onnx.")) hct_verify_refuse(check->v, op, "no operator of %s level", check->tile ? "tile" : "onnx, graph or dist");
  return MlirWalkResultAdvance;
}

/* A ring step is all that its loop does. */
static bool is_ring_loop(MlirOperation step) {
  MlirOperation loop = mlirOperationGetParentOperation(step), first = mlirBlockGetFirstOperation(mlirOperationGetBlock(step));
  return hct_op_is(loop, "scf.for") && mlirOperationEqual(first, step) && hct_op_is(mlirOperationGetNextInBlock(step), "scf.yield");
}

enum { MAX_DEPTH = 2 }; /* micro-batches, ring steps */
static int depth_of(MlirOperation op) {
  int depth = 0;
  for (MlirOperation at = mlirOperationGetParentOperation(op); hct_op_is(at, "scf.for"); at = mlirOperationGetParentOperation(at)) depth++;
  return depth;
}

/* The constant that bounds a loop; -1: it is none. */
static int64_t bound_of(MlirOperation loop, intptr_t operand) {
  MlirValue bound = mlirOperationGetOperand(loop, operand);
  MlirOperation maker = mlirValueIsAOpResult(bound) ? mlirOpResultGetOwner(bound) : (MlirOperation){NULL};
  return !mlirOperationIsNull(maker) && hct_op_is(maker, "arith.constant") ? hct_op_i64_or(maker, "value", -1) : -1;
}

/* `for %i = 0 to CONSTANT step 1`, that carries nothing; from another micro-batch than the first it may begin, too. */
static void check_bounds(hct_verifier *v, MlirOperation loop) {
  MlirOperation first = mlirBlockGetFirstOperation(mlirRegionGetFirstBlock(mlirOperationGetRegion(loop, 0)));
  bool ring = hct_op_is(first, "hct_tile.gather_step") || hct_op_is(first, "hct_tile.scatter_step");
  int64_t from = bound_of(loop, 0), to = bound_of(loop, 1);
  if (to < 0 || bound_of(loop, 2) != 1 || from < 0 || (ring && from)) hct_verify_refuse(v, loop, "the loop is not from 0 to a constant by 1");
  else if (from && from >= to) hct_verify_refuse(v, loop, "the loop begins at %lld and ends before %lld", (long long)from, (long long)to);
}

static MlirWalkResult check_loop(MlirOperation op, void *user) {
  hct_verifier *v = user;
  const char *name = hct_op_name(op);
  MlirAttribute value = {NULL};
  if (!strcmp(name, "arith.constant")) {
    value = mlirOperationGetAttributeByName(op, hct_ref("value"));
    if (!mlirAttributeIsAInteger(value) || !mlirTypeIsAIndex(mlirAttributeGetType(value)) || mlirIntegerAttrGetValueInt(value) < 0) hct_verify_refuse(v, op, "not an index from 0 on");
  }
  if ((!strcmp(name, "hct_tile.gather_step") || !strcmp(name, "hct_tile.scatter_step")) && !is_ring_loop(op)) hct_verify_refuse(v, op, "a ring step is not alone in a loop of its own");
  if (strcmp(name, "scf.for")) return MlirWalkResultAdvance;
  if (depth_of(op) >= MAX_DEPTH) hct_verify_refuse(v, op, "loops are nested deeper than micro-batches and ring steps");
  if (mlirOperationGetNumOperands(op) != 3) hct_verify_refuse(v, op, "the loop carries values");
  check_bounds(v, op);
  return MlirWalkResultAdvance;
}

static void check_function(hct_verifier *v, MlirOperation function) {
  MlirRegion region = mlirOperationGetRegion(function, 0);
  MlirBlock body = mlirRegionGetFirstBlock(region);
  if (mlirBlockIsNull(body) || !mlirBlockIsNull(mlirBlockGetNextInRegion(body))) {
    hct_verify_refuse(v, function, "the body is not one block");
    return;
  }
  level_check check = {.v = v};
  mlirOperationWalk(function, level_of, &check, MlirWalkPreOrder);
  mlirOperationWalk(function, check_level, &check, MlirWalkPreOrder);
  if (v->status != HCT_OK) return;
  if (!check.tile) check_signature(v, function, body);
  else if (mlirBlockGetNumArguments(body) || mlirOperationGetNumOperands(hct_block_terminator(body))) hct_verify_refuse(v, function, "at tile level arguments and results are hct_tile.dram");
  else mlirOperationWalk(function, check_loop, v, MlirWalkPreOrder);
}

void hct_verify_module(hct_verifier *v, MlirModule module) {
  MlirOperation top = mlirModuleGetOperation(module), function = {NULL};
  size_t functions = 0;
  check_module_attributes(v, top);
  for (MlirOperation op = mlirBlockGetFirstOperation(mlirModuleGetBody(module)); !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    if (hct_op_is(op, "func.func")) {
      functions++;
      function = op;
    } else if (!hct_op_is(op, "shard.grid")) {
      hct_verify_refuse(v, op, "beside the function, a module holds a shard.grid only");
    }
  }
  if (functions != 1) hct_verify_refuse(v, top, "the module has %zu functions, and needs one", functions);
  else check_function(v, function);
}
