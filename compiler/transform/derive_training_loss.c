/* The choice of loss: --loss=OUTPUT, --loss=cross-entropy:LOGITS, or the only scalar float output. */
#include <string.h>

#include "compiler/transform/derive_training.h"

typedef struct outputs {
  MlirOperation function, terminator;
  size_t count;
} outputs;

static const char *output_name(const outputs *all, size_t i) {
  MlirAttribute name = hct_function_result_attr(all->function, i, "hct.name");
  const char *text = mlirAttributeIsNull(name) ? NULL : hct_attr_text(name);
  return text ? text : "";
}

static bool is_scalar_float(MlirValue value) {
  hct_shape shape;
  return hct_value_shape(value, &shape) && shape.dtype == HCT_F32 && hct_shape_elements(&shape) == 1;
}

static bool find_output(const outputs *all, const char *name, MlirValue *out_value) {
  for (size_t i = 0; i < all->count; i++)
    if (!strcmp(output_name(all, i), name)) {
      *out_value = hct_op_operand(all->terminator, i);
      return true;
    }
  return false;
}

static hct_loc location(hct_tape *tape, const outputs *all) {
  return (hct_loc){hct_loc_of(tape->arena, all->function).file, NULL};
}

static void list_outputs(hct_tape *tape, const outputs *all) {
  hct_text text = {0};
  for (size_t i = 0; i < all->count; i++) {
    hct_shape shape = hct_tape_shape(hct_op_operand(all->terminator, i));
    hct_text_printf(&text, "%s'%s' %s[", i ? ", " : "", output_name(all, i), hct_dtype_name(shape.dtype));
    for (size_t d = 0; d < shape.rank; d++) hct_text_printf(&text, "%s%lld", d ? "," : "", (long long)shape.dims[d]);
    hct_text_printf(&text, "]");
  }
  hct_note(tape->diags, "the outputs are %s", text.data ? text.data : "(none)");
  hct_text_fini(&text);
  hct_hint(tape->diags, "--loss=OUTPUT chooses a scalar float output; --loss=cross-entropy:LOGITS appends a loss; --mode=infer needs none");
}

/* mean over labels that are not -100 of log(sum(exp(z))) - z[label], shifted by the maximum. */
static MlirValue build_cross_entropy(hct_tape *tape, MlirValue logits, MlirValue labels) {
  hct_shape z = hct_tape_shape(logits), tokens = z;
  tokens.rank--;
  int64_t last = (int64_t)tokens.rank, axes[HCT_MAX_RANK];
  for (size_t i = 0; i < tokens.rank; i++) axes[i] = (int64_t)i;
  MlirValue m = hct_tape_reduce(tape, "max", logits, 1, &last);
  MlirValue e = hct_tape_map1(tape, "exp", hct_tape_map2(tape, "sub", logits, m));
  MlirValue lse = hct_tape_map2(tape, "add", hct_tape_map1(tape, "log", hct_tape_reduce(tape, "sum", e, 1, &last)), m);
  MlirValue pair[] = {logits, labels};
  MlirValue target = hct_tape_emit(tape, "hct_graph.pick", 2, pair, &tokens, 0, NULL);
  MlirValue nll = hct_tape_map2(tape, "sub", hct_tape_reshape(tape, lse, tokens.rank, tokens.dims), target);
  MlirType ignore_type = hct_type_tensor(tape->builder.context, HCT_I64, 0, NULL);
  hct_named value = {"value", mlirDenseElementsAttrInt64SplatGet(ignore_type, -100)};
  MlirValue ignore = hct_tape_emit(tape, "hct_graph.constant", 0, NULL, &(hct_shape){.dtype = HCT_I64}, 1, &value);
  MlirValue ignored = hct_tape_convert(tape, hct_tape_map2(tape, "eq", labels, ignore), z.dtype);
  MlirValue valid = hct_tape_map1s(tape, "adds", hct_tape_map1(tape, "neg", ignored), 1);
  MlirValue numerator = hct_tape_reduce(tape, "sum", hct_tape_map2(tape, "mul", nll, valid), tokens.rank, axes);
  MlirValue count = hct_tape_reshape(tape, hct_tape_reduce(tape, "sum", valid, tokens.rank, axes), 0, axes);
  return hct_tape_map2(tape, "div", hct_tape_reshape(tape, numerator, 0, axes), count);
}

static int64_t last_group(const outputs *all) {
  int64_t last = -1;
  for (MlirOperation op = mlirBlockGetFirstOperation(hct_function_body(all->function)); !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    int64_t group = hct_op_i64_or(op, "hct.group", -1);
    if (group > last) last = group;
  }
  return last;
}

static hct_status append_cross_entropy(hct_tape *tape, const outputs *all, const char *name, MlirValue *out_loss) {
  MlirValue logits;
  if (!find_output(all, name, &logits)) {
    hct_status status = hct_error(tape->diags, HCT_E_LOSS, location(tape, all), "--loss=cross-entropy:%s: the model has no output '%s'", name, name);
    list_outputs(tape, all);
    return status;
  }
  hct_shape shape = hct_tape_shape(logits);
  if (shape.dtype != HCT_F32 || shape.rank == 0)
    return hct_error(tape->diags, HCT_E_LOSS, location(tape, all), "--loss=cross-entropy:%s needs an f32 output with classes along its last dimension, and this one is %s of rank %zu",
                     name, hct_dtype_name(shape.dtype), shape.rank);
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(tape->body); i++) {
    MlirAttribute taken = hct_function_arg_attr(all->function, (size_t)i, "hct.name");
    if (!mlirAttributeIsNull(taken) && !strcmp(hct_attr_text(taken), "labels"))
      return hct_error(tape->diags, HCT_E_LOSS, location(tape, all), "--loss=cross-entropy:%s adds an input 'labels', and the model has one of that name already", name);
  }
  if (mlirValueIsAOpResult(logits)) tape->group = tape->layerwise ? last_group(all) + 1 : hct_op_i64_or(mlirOpResultGetOwner(logits), "hct.group", -1);
  tape->layer = "loss", tape->pass = "forward";
  const char *file = location(tape, all).file;
  tape->builder.location = hct_location_node(tape->builder.context, file ? file : "", -1, "cross-entropy");
  MlirType type = hct_type_tensor(tape->builder.context, HCT_I64, shape.rank - 1, shape.dims);
  MlirValue labels = mlirBlockAddArgument(tape->body, type, tape->builder.location);
  hct_function_update_type(all->function);
  size_t index = (size_t)mlirBlockGetNumArguments(tape->body) - 1;
  const hct_entry entries[] = {{index, "hct.name", hct_attr_str(tape->builder.context, "labels")}, {index, "hct.role", hct_attr_str(tape->builder.context, "input")}};
  hct_function_set_arg_attrs(all->function, HCT_COUNT(entries), entries);
  *out_loss = build_cross_entropy(tape, logits, labels);
  return HCT_OK;
}

static hct_status choose_only_scalar(hct_tape *tape, const outputs *all, bool required, MlirValue *out_loss, const char **out_name) {
  size_t found = 0;
  for (size_t i = 0; i < all->count; i++) {
    MlirValue value = hct_op_operand(all->terminator, i);
    if (!is_scalar_float(value)) continue;
    if (found++ == 0) *out_loss = value, *out_name = output_name(all, i);
  }
  if (found == 1) return HCT_OK;
  *out_loss = (MlirValue){NULL};
  if (!required) return HCT_OK;
  hct_status status = hct_error(tape->diags, HCT_E_LOSS, location(tape, all), "%s", found ? "several outputs are scalar floats, and one must be chosen as the loss" : "no output is a scalar float, so none can be the loss");
  list_outputs(tape, all);
  return status;
}

hct_status hct_training_choose_loss(hct_tape *tape, MlirOperation function, const char *option, bool required, MlirValue *out_loss,
                                    const char **out_name, bool *out_added) {
  outputs all = {function, hct_block_terminator(tape->body), 0};
  all.count = (size_t)mlirOperationGetNumOperands(all.terminator);
  static const char prefix[] = "cross-entropy:";
  *out_added = false;
  if (!option || !option[0]) return choose_only_scalar(tape, &all, required, out_loss, out_name);
  if (!strncmp(option, prefix, sizeof prefix - 1)) {
    HCT_TRY(append_cross_entropy(tape, &all, option + sizeof prefix - 1, out_loss));
    *out_name = "loss", *out_added = true;
    return HCT_OK;
  }
  MlirValue value;
  bool found = find_output(&all, option, &value);
  if (found && is_scalar_float(value)) {
    *out_loss = value, *out_name = hct_arena_strdup(tape->arena, option);
    return HCT_OK;
  }
  hct_status status = found ? hct_error(tape->diags, HCT_E_LOSS, location(tape, &all), "--loss=%s: this output is not a scalar float", option)
                            : hct_error(tape->diags, HCT_E_LOSS, location(tape, &all), "--loss=%s: the model has no such output", option);
  list_outputs(tape, &all);
  return status;
}
