/* hct-lower-precision: under --dtype=bf16 or f16, what activations, their gradients and matmul inputs are stored as.
 *
 *   before  func @step(%x, %w {param}) : %y = contract(%x, %w) : f32, f32 -> f32;  %g = contract(%dy, %x) : f32, f32 -> f32;
 *             %w' = update(%w, %g, ...)
 *   after   func @step(%x, %w {param}, %c {copy} : bf16) : %y = contract(%x, %c) : bf16, bf16 -> bf16;
 *             %g = contract(%dy, %x) : bf16, bf16 -> f32;  %w' = update(%w, %g, ...);  %c' = map1 mov(%w') : f32 -> bf16
 *
 * A trained parameter stays f32 for the optimizer, and gets a copy in the low type that forward and backward read and each update writes;
 * other parameters are stored low. Operators compute in f32 and round once where they store. These stay f32: all of optimizer steps, gradients of
 * parameters from the contraction or reduction that makes them on, statistics of rows (what a reduction along features gives, and what is made
 * of such values alone, the loss among them), arguments of exponentials (their absolute error is the result's relative one), sums that
 * go on from block to block (hct.wide), and values of constants and integers alone. Inputs and kept outputs keep their types: the first use rounds, a last conversion widens. */
#include <math.h>
#include <string.h>

#include "compiler/pass.h"

typedef enum kind { NEUTRAL /* of constants and integers alone */, STATISTIC, WIDE } kind;

enum keep { KEEP_ITSELF = 1 /* f32, and what it is a view of */, KEEP_ORIGIN = 2 /* and what it is made of elementwise */ };

typedef struct value_info { kind kind; unsigned keep; } value_info;

typedef struct lowering {
  hct_pass_context *pass;
  hct_arena *arena;
  MlirContext context;
  MlirOperation function, terminator;
  MlirBlock body;
  MlirOperation *ops;
  size_t op_count; /* without the terminator */
  hct_dtype dtype;
  hct_index_map *index; /* value -> entry */
  struct { value_info *items; size_t count, capacity; } infos;
} lowering;

static value_info *info_of(lowering *l, MlirValue value) {
  size_t i;
  if (!hct_index_map_get(l->index, hct_value_key(value), &i)) {
    i = l->infos.count;
    hct_index_map_put(l->index, hct_value_key(value), i);
    HCT_PUSH(l->arena, &l->infos, ((value_info){NEUTRAL, 0}));
  }
  return &l->infos.items[i];
}

static hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "a value that is no static tensor");
  return shape;
}

static bool is_f32(MlirValue value) { return shape_of(value).dtype == HCT_F32; }

static void retype(lowering *l, MlirValue value, hct_dtype dtype) {
  hct_shape shape = shape_of(value);
  mlirValueSetType(value, hct_type_tensor(l->context, dtype, shape.rank, shape.dims));
}

static bool is_one_of(MlirOperation op, size_t count, const char *const *names) {
  for (size_t i = 0; i < count; i++)
    if (hct_op_is(op, names[i])) return true;
  return false;
}

static bool is_view(MlirOperation op) {
  static const char *const names[] = {"hct_graph.reshape", "hct_graph.transpose", "hct_graph.slice", "hct_graph.broadcast"};
  return is_one_of(op, HCT_COUNT(names), names);
}

static bool is_elementwise(MlirOperation op) {
  static const char *const names[] = {"hct_graph.map1", "hct_graph.map2", "hct_graph.select", "hct_graph.dropout", "hct_graph.concat", "hct_graph.pad"};
  return is_one_of(op, HCT_COUNT(names), names);
}

static bool is_constant(MlirValue value) { return mlirValueIsAOpResult(value) && hct_op_is(mlirOpResultGetOwner(value), "hct_graph.constant"); }

/* Copies heads, or sums over copies: a product with a constant one-hot matrix (hct-replicate-heads). */
static bool is_copying(MlirOperation op) { return hct_op_is(op, "hct_graph.contract") && (is_constant(hct_op_operand(op, 0)) || is_constant(hct_op_operand(op, 1))); }

static const char *text_of(MlirAttribute attribute) { return mlirAttributeIsNull(attribute) ? "" : hct_attr_text(attribute); }
static const char *arg_text(const lowering *l, intptr_t arg, const char *name) { return text_of(hct_function_arg_attr(l->function, (size_t)arg, name)); }

/* ---- kinds ---- */
static bool reduces_features(MlirOperation op) { /* the last dimension of more than one element */
  int64_t axes[HCT_MAX_RANK];
  hct_shape from = shape_of(hct_op_operand(op, 0));
  size_t count = hct_op_i64s(op, "axes", axes, HCT_MAX_RANK), last = from.rank;
  while (last > 0 && from.dims[last - 1] == 1) last--;
  for (size_t i = 0; i < count; i++)
    if (last == 0 || axes[i] == (int64_t)last - 1) return true;
  return false;
}

static kind kind_of(lowering *l, MlirOperation op) {
  kind most = NEUTRAL;
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) {
    kind one = info_of(l, mlirOperationGetOperand(op, k))->kind;
    if (one > most) most = one;
  }
  if (hct_op_is(op, "hct_graph.place") || hct_op_is(op, "hct_graph.gather_rows")) return WIDE;
  if (hct_op_is(op, "hct_graph.pick") || hct_op_is(op, "hct_graph.update")) return STATISTIC;
  if (hct_op_is(op, "hct_graph.reduce") && most == WIDE && reduces_features(op)) return STATISTIC;
  return most;
}

static void find_kinds(lowering *l) {
  for (intptr_t a = 0; a < mlirBlockGetNumArguments(l->body); a++) {
    MlirValue value = mlirBlockGetArgument(l->body, a);
    const char *role = arg_text(l, a, "hct.role");
    if (!is_f32(value)) continue;
    info_of(l, value)->kind = !strcmp(role, "param") || !strcmp(role, "input") ? WIDE : STATISTIC;
  }
  for (size_t i = 0; i < l->op_count; i++) {
    kind made = kind_of(l, l->ops[i]);
    for (intptr_t r = 0; r < mlirOperationGetNumResults(l->ops[i]); r++)
      if (is_f32(mlirOperationGetResult(l->ops[i], r))) info_of(l, mlirOperationGetResult(l->ops[i], r))->kind = made;
  }
}

/* ---- what stays f32 ---- */
static bool is_exponential(MlirOperation op) { return hct_op_is(op, "hct_graph.map1") && !strcmp(hct_op_str(op, "fn"), "exp"); }

static bool only_picked(MlirValue value) {
  bool picked = !hct_value_unused(value);
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) picked = picked && hct_op_is(mlirOpOperandGetOwner(use), "hct_graph.pick");
  return picked;
}

static void keep(lowering *l, MlirValue value, unsigned how) { info_of(l, value)->keep |= how; }

static void keep_operands(lowering *l, MlirOperation op) {
  if (hct_op_is(op, "hct_graph.update"))
    for (intptr_t k = 1; k < mlirOperationGetNumOperands(op); k++) keep(l, mlirOperationGetOperand(op, k), KEEP_ORIGIN);
  if (is_exponential(op)) keep(l, hct_op_operand(op, 0), KEEP_ITSELF);
  for (intptr_t r = 0; r < mlirOperationGetNumResults(op); r++) {
    MlirValue result = mlirOperationGetResult(op, r);
    if (is_elementwise(op) && only_picked(result)) keep(l, result, KEEP_ITSELF);
    unsigned how = info_of(l, result)->keep;
    if (!how || !(is_view(op) || is_copying(op) || (is_elementwise(op) && (how & KEEP_ORIGIN)))) continue;
    for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++) keep(l, mlirOperationGetOperand(op, k), how);
  }
}

static void find_kept(lowering *l) {
  for (size_t r = 0; r < (size_t)mlirOperationGetNumOperands(l->terminator); r++)
    if (strcmp(text_of(hct_function_result_attr(l->function, r, "hct.role")), "output")) keep(l, hct_op_operand(l->terminator, r), KEEP_ORIGIN);
  for (size_t i = l->op_count; i-- > 0;) keep_operands(l, l->ops[i]); /* users before makers */
}

static bool is_of_update(MlirOperation op) { return !strcmp(hct_op_str_or(op, "hct.pass", ""), "update"); }

/* Only what is computed elementwise, or summed, keeps f32 as an exponential's argument: a product's result is an activation. */
static bool stays(lowering *l, MlirOperation op, MlirValue result) {
  const value_info *info = info_of(l, result);
  return is_of_update(op) || hct_op_has(op, "hct.wide") || info->kind != WIDE || (info->keep & KEEP_ORIGIN) || (info->keep && is_elementwise(op));
}

/* ---- constants: tables (masks, rotations) that only low values are made with ---- */
static bool feeds_low_only(lowering *l, MlirValue value) {
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (mlirOperationEqual(user, l->terminator) || mlirOperationGetNumResults(user) != 1 || hct_op_has(user, "hct.wide")) return false;
    MlirValue result = hct_op_result(user, 0);
    if (is_view(user) ? !feeds_low_only(l, result) : info_of(l, result)->kind != WIDE || info_of(l, result)->keep) return false;
  }
  return true;
}

/* A finite constant stays finite: a mask's lowest f32 would become infinite, and infinite less infinite is no number. */
static uint16_t half_of(hct_dtype dtype, float value) {
  float largest = dtype == HCT_BF16 ? hct_f32_of_bf16(0x7f7f) : hct_f32_of_f16(0x7bff);
  if (isfinite(value) && fabsf(value) > largest) value = copysignf(largest, value);
  return dtype == HCT_BF16 ? hct_bf16_of_f32(value) : hct_f16_of_f32(value);
}

static void constant_lower(lowering *l, MlirOperation op) {
  MlirValue result = hct_op_result(op, 0);
  MlirAttribute value = mlirOperationGetAttributeByName(op, hct_ref("value"));
  bool splat = mlirDenseElementsAttrIsSplat(value); /* which holds one number for all */
  float one = splat ? mlirDenseElementsAttrGetFloatSplatValue(value) : 0;
  int64_t count = splat ? 1 : mlirElementsAttrGetNumElements(value);
  uint16_t *halves = HCT_NEW_ARRAY(l->arena, uint16_t, (size_t)count);
  const float *numbers = splat ? &one : hct_attr_f32s(value);
  for (int64_t k = 0; k < count; k++) halves[k] = half_of(l->dtype, numbers[k]);
  retype(l, result, l->dtype);
  hct_op_set(op, "value", mlirDenseElementsAttrRawBufferGet(mlirValueGetType(result), (size_t)count * sizeof *halves, halves));
}

static void lower_constants(lowering *l) {
  for (size_t i = 0; i < l->op_count; i++) {
    if (!hct_op_is(l->ops[i], "hct_graph.constant")) continue;
    MlirValue result = hct_op_result(l->ops[i], 0);
    MlirAttribute value = mlirOperationGetAttributeByName(l->ops[i], hct_ref("value"));
    if (is_f32(result) && mlirAttributeIsADenseElements(value) && !mlirDenseElementsAttrIsSplat(value) && feeds_low_only(l, result)) constant_lower(l, l->ops[i]);
  }
}

/* ---- conversions ---- */
static MlirValue convert(lowering *l, MlirValue value, hct_dtype dtype, MlirOperation before, MlirOperation like) {
  static const char *const kept[] = {"hct.layer", "hct.pass", "hct.group"};
  hct_builder builder = {.context = l->context, .block = l->body, .before = before, .location = mlirOperationGetLocation(like)};
  hct_shape shape = shape_of(value);
  hct_named fn = {"fn", hct_attr_str(l->context, "mov")};
  MlirValue made = hct_build_value(&builder, "hct_graph.map1", 1, &value, hct_type_tensor(l->context, dtype, shape.rank, shape.dims), 1, &fn);
  for (size_t i = 0; i < HCT_COUNT(kept); i++)
    if (hct_op_has(like, kept[i])) hct_op_set(mlirOpResultGetOwner(made), kept[i], mlirOperationGetAttributeByName(like, hct_ref(kept[i])));
  info_of(l, made)->kind = WIDE;
  return made;
}

static MlirValue low_twin(lowering *l, MlirOperation constant, MlirOperation reader) {
  MlirOperation twin = mlirOperationClone(constant);
  mlirBlockInsertOwnedOperationBefore(l->body, reader, twin);
  constant_lower(l, twin);
  return hct_op_result(twin, 0);
}

/* Both inputs of a product are of one type: an f32 one beside a low one is rounded first, so that what dies exchange of it is low too. */
static void convert_inputs(lowering *l, MlirOperation op) {
  bool low = info_of(l, hct_op_result(op, 0))->kind == WIDE, wide = is_f32(hct_op_operand(op, 0)) && is_f32(hct_op_operand(op, 1));
  if (!low || (wide && is_copying(op))) return;
  for (size_t k = 0; k < 2; k++) {
    if (!is_f32(hct_op_operand(op, k))) continue;
    bool constant = is_constant(hct_op_operand(op, k)) && is_copying(op);
    mlirOperationSetOperand(op, (intptr_t)k, constant ? low_twin(l, mlirOpResultGetOwner(hct_op_operand(op, k)), op) : convert(l, hct_op_operand(op, k), l->dtype, op, op));
  }
}

static void lower_results(lowering *l) {
  for (size_t i = 0; i < l->op_count; i++) {
    MlirOperation op = l->ops[i];
    if (hct_op_is(op, "hct_graph.contract")) convert_inputs(l, op);
    if (hct_op_is(op, "hct_graph.constant") || hct_op_is(op, "hct_graph.update")) continue;
    for (intptr_t r = 0; r < mlirOperationGetNumResults(op); r++) {
      MlirValue result = mlirOperationGetResult(op, r);
      if (!is_f32(result)) continue;
      if (is_view(op)) retype(l, result, shape_of(hct_op_operand(op, 0)).dtype);
      else if (!stays(l, op, result)) retype(l, result, l->dtype);
    }
  }
}

static void widen_outputs(lowering *l) {
  for (size_t r = 0; r < (size_t)mlirOperationGetNumOperands(l->terminator); r++) {
    MlirValue value = hct_op_operand(l->terminator, r);
    if (shape_of(value).dtype != l->dtype || strcmp(text_of(hct_function_result_attr(l->function, r, "hct.role")), "output")) continue;
    MlirOperation maker = mlirValueIsAOpResult(value) ? mlirOpResultGetOwner(value) : l->terminator;
    mlirOperationSetOperand(l->terminator, (intptr_t)r, convert(l, value, HCT_F32, l->terminator, maker));
  }
}

/* ---- parameters ---- */
static MlirOperation update_of(MlirValue parameter) {
  for (MlirOpOperand use = mlirValueGetFirstUse(parameter); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (hct_op_is(user, "hct_graph.update") && mlirOpOperandGetOperandNumber(use) == 0) return user;
  }
  return (MlirOperation){NULL};
}

typedef struct new_copy { MlirValue value; const char *name; } new_copy;
typedef struct new_copies { new_copy *items; size_t count, capacity; hct_entry_list arguments; } new_copies;

static void entries_add(lowering *l, hct_entry_list *list, size_t index, const char *name) {
  HCT_PUSH(l->arena, list, ((hct_entry){index, "hct.name", hct_attr_str(l->context, name)}));
  HCT_PUSH(l->arena, list, ((hct_entry){index, "hct.role", hct_attr_str(l->context, "copy")}));
}

static MlirValue copy_argument(lowering *l, new_copies *copies, MlirValue parameter, const char *name) {
  hct_shape shape = shape_of(parameter);
  MlirValue copy = mlirBlockAddArgument(l->body, hct_type_tensor(l->context, l->dtype, shape.rank, shape.dims), mlirValueGetLocation(parameter));
  entries_add(l, &copies->arguments, (size_t)mlirBlockGetNumArguments(l->body) - 1, name);
  info_of(l, copy)->kind = WIDE;
  return copy;
}

/* The terminator with copies after its other results. */
static void return_copies(lowering *l, const new_copies *copies) {
  size_t old = (size_t)mlirOperationGetNumOperands(l->terminator);
  MlirValue *results = HCT_NEW_ARRAY(l->arena, MlirValue, old + copies->count);
  hct_entry_list entries = {0};
  for (size_t r = 0; r < old; r++) results[r] = hct_op_operand(l->terminator, r);
  for (size_t c = 0; c < copies->count; c++) {
    results[old + c] = copies->items[c].value;
    entries_add(l, &entries, old + c, copies->items[c].name);
  }
  hct_builder builder = {.context = l->context, .block = l->body, .before = l->terminator, .location = mlirOperationGetLocation(l->terminator)};
  MlirOperation made = hct_build(&builder, "func.return", old + copies->count, results, 0, NULL, 0, NULL);
  mlirOperationDestroy(l->terminator);
  l->terminator = made;
  hct_function_update_type(l->function);
  hct_function_set_arg_attrs(l->function, copies->arguments.count, copies->arguments.items);
  hct_function_set_result_attrs(l->function, entries.count, entries.items);
}

static void lower_parameters(lowering *l) {
  new_copies copies = {0};
  intptr_t count = mlirBlockGetNumArguments(l->body);
  for (intptr_t a = 0; a < count; a++) {
    MlirValue value = mlirBlockGetArgument(l->body, a);
    if (strcmp(arg_text(l, a, "hct.role"), "param") || !is_f32(value)) continue;
    MlirOperation update = update_of(value);
    if (mlirOperationIsNull(update)) {
      retype(l, value, l->dtype);
      continue;
    }
    const char *name = hct_arena_strdup(l->arena, arg_text(l, a, "hct.name"));
    MlirValue copy = copy_argument(l, &copies, value, name);
    hct_value_replace(value, copy);
    mlirOperationSetOperand(update, 0, value);
    new_copy made = {convert(l, hct_op_result(update, 0), l->dtype, mlirOperationGetNextInBlock(update), update), name};
    HCT_PUSH(l->arena, &copies, made);
  }
  return_copies(l, &copies);
}

/* ---- the pass ---- */
static hct_status dtype_read(const hct_pass_context *pass, hct_dtype *out_dtype) {
  const char *text = hct_pass_option(pass, "dtype", "f32");
  if (hct_dtype_parse(text, out_dtype) && (*out_dtype == HCT_F32 || hct_dtype_is_half(*out_dtype))) return HCT_OK;
  return hct_error(pass->diags, HCT_E_OPTION, (hct_loc){0}, "--dtype=%s: it must be f32, bf16 or f16", text);
}

hct_status hct_pass_lower_precision(hct_pass_context *pass, MlirModule module) {
  lowering l = {.pass = pass, .arena = hct_arena_create(), .context = mlirModuleGetContext(module), .function = hct_module_function(module)};
  hct_status status = dtype_read(pass, &l.dtype);
  if (status == HCT_OK && l.dtype != HCT_F32) {
    l.body = hct_function_body(l.function);
    l.terminator = hct_block_terminator(l.body);
    l.op_count = hct_block_operations(l.arena, l.body, &l.ops) - 1;
    l.index = hct_index_map_create(l.arena);
    find_kinds(&l);
    find_kept(&l);
    lower_parameters(&l);
    lower_constants(&l);
    lower_results(&l);
    widen_outputs(&l);
    hct_function_update_type(l.function);
  }
  hct_arena_destroy(l.arena);
  return status;
}
