/* hct-derive-training: turns a forward graph into the step that the options ask for.
 *
 *   before  func @step(%ids, %labels, %w {param}) -> (loss, logits)           roles: output, output
 *   after   func @step(%ids, %labels, %w {param, trainable}, %m:w, %v:w, %settings, %step)
 *             -> (loss, w', m', v', step')                                    roles: loss, param, state, state, state
 *
 * The loss is chosen, gradients are derived in reverse (gradients.def), one update operation a trained parameter is appended,
 * and what neither the loss nor a kept output needs is removed. Dropouts take a seed, one setting more, and the step. With --optimizer=none the gradients are results instead; with
 * --mode=infer the outputs stay as they are, and a loss, where one can be chosen, is marked as such. */
#include <float.h>
#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "compiler/pass.h"
#include "compiler/transform/derive_training.h"
#include "ir/dialect/piece.h"
#include "ir/isa/settings.h"

typedef struct parameter {
  const char *name;
  size_t argument;
  MlirValue value, gradient;
  bool trained;
} parameter;

typedef struct training {
  hct_pass_context *context;
  hct_tape tape;
  MlirOperation function;
  MlirValue loss, step; /* step: optimizer steps done; null until asked for */
  const char *loss_name;
  bool loss_added;
  struct { parameter *items; size_t count, capacity; } parameters;
  hct_entry_list arguments; /* attributes of them, old and new */
  const hct_optimizer *optimizer; /* NULL: none */
  hct_training_scale scale;
  /* the new results, with their names and roles */
  struct { MlirValue *items; size_t count, capacity; } results;
  struct { const char **items; size_t count, capacity; } names, roles;
} training;

static hct_loc option_location(void) { return (hct_loc){NULL, NULL}; }

static void push_result(training *t, MlirValue value, const char *name, const char *role) {
  HCT_PUSH(t->tape.arena, &t->results, value);
  HCT_PUSH(t->tape.arena, &t->names, name);
  HCT_PUSH(t->tape.arena, &t->roles, role);
}

static const char *attribute_text(MlirAttribute attribute) { return mlirAttributeIsNull(attribute) ? "" : hct_attr_text(attribute); }

/* ---- parameters ---- */

static const char *const *option_list(const training *t, const char *name, size_t *out_count) {
  const char *text = hct_pass_option(t->context, name, "");
  struct { const char **items; size_t count, capacity; } list = {0};
  while (*text) { /* repeated options are joined by newlines */
    size_t length = strcspn(text, "\n");
    HCT_PUSH(t->tape.arena, &list, hct_arena_strndup(t->tape.arena, text, length));
    text += length + (text[length] == '\n');
  }
  *out_count = list.count;
  return list.items;
}

static void collect_parameters(training *t) {
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(t->tape.body); i++) {
    MlirValue value = mlirBlockGetArgument(t->tape.body, i);
    const char *role = attribute_text(hct_function_arg_attr(t->function, (size_t)i, "hct.role"));
    if (strcmp(role, "param") || !hct_dtype_is_float(hct_tape_shape(value).dtype)) continue;
    const char *name = attribute_text(hct_function_arg_attr(t->function, (size_t)i, "hct.name"));
    parameter p = {.name = hct_arena_strdup(t->tape.arena, name), .argument = (size_t)i, .value = value};
    HCT_PUSH(t->tape.arena, &t->parameters, p);
  }
}

/* Of a piece of a parameter, the name that the model has. */
static const char *whole_name(const training *t, const char *name) {
  hct_piece piece;
  return hct_piece_parse(t->tape.arena, name, &piece) ? piece.whole : name;
}

/* A rule (hct_pass_trains) that matches nothing is refused. */
static hct_status apply_selection(training *t) {
  size_t count;
  const char *const *rules = option_list(t, "trainable", &count);
  for (size_t p = 0; p < t->parameters.count; p++) t->parameters.items[p].trained = hct_pass_trains(t->context, whole_name(t, t->parameters.items[p].name));
  for (size_t r = 0; r < count; r++) {
    bool matched = false, train = rules[r][0] != '-';
    const char *glob = rules[r] + (rules[r][0] == '-' || rules[r][0] == '+');
    for (size_t p = 0; p < t->parameters.count; p++) matched |= !fnmatch(glob, whole_name(t, t->parameters.items[p].name), 0);
    if (matched) continue;
    hct_status status = hct_error(t->tape.diags, HCT_E_TRAINABLE, option_location(), "--%s=%s matches no parameter", train ? "trainable" : "frozen", glob);
    if (t->parameters.count) hct_note(t->tape.diags, "the model has %zu float parameters, the first is '%s'", t->parameters.count, t->parameters.items[0].name);
    return status;
  }
  return HCT_OK;
}

/* Names of trained parameters, or of the others; of many the first ones. */
static hct_text selection_names(const training *t, bool trained) {
  enum { MOST_NAMES = 24 };
  size_t count = 0;
  hct_text names = {0};
  for (size_t p = 0; p < t->parameters.count; p++) {
    if (t->parameters.items[p].trained != trained || count++ >= MOST_NAMES) continue;
    hct_text_printf(&names, "%s%s", names.length ? ", " : "", t->parameters.items[p].name);
  }
  if (count > MOST_NAMES) hct_text_printf(&names, ", and %zu more", count - MOST_NAMES);
  return names;
}

static void describe_selection(training *t) {
  size_t trained = 0;
  for (size_t p = 0; p < t->parameters.count; p++) trained += t->parameters.items[p].trained;
  hct_text yes = selection_names(t, true), no = selection_names(t, false);
  hct_remark(t->tape.diags, option_location(), "the loss is '%s'; training %zu of %zu parameters: %s", t->loss_name, trained, t->parameters.count, yes.data ? yes.data : "(none)");
  if (no.length) hct_note(t->tape.diags, "not trained: %s", no.data);
  hct_text_fini(&yes);
  hct_text_fini(&no);
}

/* ---- differentiation ---- */

static hct_status derive_gradients(training *t) {
  size_t count = 0;
  MlirValue *values = HCT_NEW_ARRAY(t->tape.arena, MlirValue, t->parameters.count + 1);
  MlirValue *gradients = HCT_NEW_ARRAY(t->tape.arena, MlirValue, t->parameters.count + 1);
  for (size_t p = 0; p < t->parameters.count; p++)
    if (t->parameters.items[p].trained) values[count++] = t->parameters.items[p].value;
  HCT_TRY(hct_tape_differentiate(&t->tape, t->loss, count, values, gradients));
  count = 0;
  size_t trained = 0;
  for (size_t p = 0; p < t->parameters.count; p++) {
    parameter *item = &t->parameters.items[p];
    if (!item->trained) continue;
    item->gradient = gradients[count++];
    item->trained = !mlirValueIsNull(item->gradient); /* otherwise the loss does not depend on it */
    trained += item->trained;
  }
  if (trained) return HCT_OK;
  hct_status status = hct_error(t->tape.diags, HCT_E_TRAINABLE, option_location(), "no parameter that the loss '%s' depends on is to be trained", t->loss_name);
  hct_hint(t->tape.diags, "--trainable=GLOB chooses parameters, --mode=infer needs none");
  return status;
}

/* `broadcast` operations that only feed elementwise operators which broadcast anyway are left out. */
static void drop_broadcasts(training *t) {
  MlirOperation *ops;
  size_t count = hct_block_operations(t->tape.arena, t->tape.body, &ops);
  for (size_t i = 0; i < count; i++) {
    bool elementwise = hct_op_is(ops[i], "hct_graph.map2") || hct_op_is(ops[i], "hct_graph.select");
    if (!elementwise || strcmp(hct_op_str_or(ops[i], "hct.pass", ""), "backward")) continue;
    hct_shape shape = hct_tape_shape(hct_op_result(ops[i], 0));
    intptr_t operands = mlirOperationGetNumOperands(ops[i]);
    for (intptr_t o = 0; o < operands; o++) {
      MlirValue value = mlirOperationGetOperand(ops[i], o);
      if (!mlirValueIsAOpResult(value) || !hct_op_is(mlirOpResultGetOwner(value), "hct_graph.broadcast")) continue;
      bool covered = false; /* another operand gives the whole shape */
      for (intptr_t other = 0; other < operands; other++) {
        hct_shape from = hct_tape_shape(mlirOperationGetOperand(ops[i], other));
        covered = covered || (other != o && from.rank == shape.rank && !memcmp(from.dims, shape.dims, shape.rank * sizeof(*shape.dims)));
      }
      if (covered) mlirOperationSetOperand(ops[i], o, hct_op_operand(mlirOpResultGetOwner(value), 0));
    }
  }
}

/* ---- optimizer ---- */

static void argument_set(training *t, size_t index, const char *name, MlirAttribute value) { HCT_PUSH(t->tape.arena, &t->arguments, ((hct_entry){index, name, value})); }

static MlirValue add_argument(training *t, const hct_shape *shape, const char *name, const char *role) {
  MlirContext context = t->tape.builder.context;
  MlirType type = hct_type_tensor(context, shape->dtype, shape->rank, shape->dims);
  MlirLocation location = mlirOperationGetLocation(t->function);
  MlirValue value = mlirBlockAddArgument(t->tape.body, type, location);
  size_t index = (size_t)mlirBlockGetNumArguments(t->tape.body) - 1;
  argument_set(t, index, "hct.name", hct_attr_str(context, name));
  argument_set(t, index, "hct.role", hct_attr_str(context, role));
  return value;
}

/* Loss scales are numbers, or auto. */
static bool setting_parse(training *t, size_t i, const char *text, double *out_value) {
  t->scale.adapts |= i == HCT_SETTING_LOSS_SCALE && !strcmp(text, "auto");
  if (i == HCT_SETTING_LOSS_SCALE && t->scale.adapts) return *out_value = HCT_FIRST_LOSS_SCALE, true;
  return hct_parse_f64(text, out_value) && *out_value >= hct_settings[i].least && isfinite((float)*out_value) && (double)(float)*out_value < hct_settings[i].below;
}

static hct_status read_settings(training *t, double default_decay, float out_values[HCT_SETTING_COUNT]) {
  for (size_t i = 0; i < HCT_SETTING_GRADIENT_SCALE; i++) {
    const char *text = hct_pass_option(t->context, hct_settings[i].name, NULL), *wanted = isfinite(hct_settings[i].below) ? "of 0 to less than 1" : hct_arena_printf(t->tape.arena, "from %g to %.2g", hct_settings[i].least, FLT_MAX);
    double value = i == HCT_SETTING_WEIGHT_DECAY ? default_decay : hct_settings[i].value;
    if (text && !setting_parse(t, i, text, &value)) return hct_error(t->tape.diags, HCT_E_OPTION, option_location(), "--%s=%s: a number %s is needed", hct_settings[i].name, text, wanted);
    out_values[i] = (float)value;
  }
  out_values[HCT_SETTING_GRADIENT_SCALE] = 1;
  t->scale.clips = out_values[HCT_SETTING_CLIP_NORM] > 0, t->scale.scales = out_values[HCT_SETTING_LOSS_SCALE] > 0;
  return HCT_OK;
}

static MlirValue step_argument(training *t) {
  hct_shape scalar = {.dtype = HCT_F32};
  if (mlirValueIsNull(t->step)) t->step = add_argument(t, &scalar, "step", "state");
  return t->step;
}

static void append_step(training *t) {
  t->tape.layer = "optimizer", t->tape.pass = "update";
  if (t->tape.group >= 0) t->tape.group = 0; /* the group whose backward ends last */
  push_result(t, hct_tape_map1s(&t->tape, "adds", step_argument(t), 1), "step", "state");
}

static hct_status add_settings(training *t) {
  MlirContext context = t->tape.builder.context;
  float values[HCT_SETTING_COUNT];
  hct_shape shape = {.dtype = HCT_F32, .rank = 1, .dims = {HCT_SETTING_COUNT}};
  HCT_TRY(read_settings(t, t->optimizer->weight_decay, values));
  t->scale.settings = add_argument(t, &shape, "settings", "setting");
  MlirAttribute data = mlirDenseElementsAttrFloatGet(hct_type_tensor(context, HCT_F32, 1, shape.dims), HCT_SETTING_COUNT, values);
  argument_set(t, (size_t)mlirBlockGetNumArguments(t->tape.body) - 1, "hct.data", data);
  return HCT_OK;
}

/* Before gradients are derived: what they are scaled by. */
static hct_status begin_scale(training *t) {
  hct_shape scalar = {.dtype = HCT_F32};
  const char *kind = hct_pass_option(t->context, "optimizer", "adamw"), *const scaled[] = {"clip-norm", "loss-scale"};
  t->optimizer = hct_optimizer_find(kind);
  for (size_t i = 0; !t->optimizer && i < HCT_COUNT(scaled); i++)
    if (hct_pass_option(t->context, scaled[i], NULL)) return hct_error(t->tape.diags, HCT_E_OPTION, option_location(), "--%s=%s: there is no optimizer step that it would be part of, with --optimizer=%s", scaled[i], hct_pass_option(t->context, scaled[i], NULL), kind);
  if (!t->optimizer || !hct_pass_option(t->context, "loss-scale", NULL)) return HCT_OK;
  HCT_TRY(add_settings(t));
  if (t->scale.adapts) t->scale.shift = add_argument(t, &scalar, "loss-scale-shift", "state"), t->scale.good = add_argument(t, &scalar, "loss-scale-steps", "state");
  hct_training_scale_loss(&t->tape, &t->scale, t->loss);
  return HCT_OK;
}

static void append_update(training *t, const parameter *item, const MlirValue *slots, MlirValue settings, MlirValue step) {
  static const char *const prefixes[] = {"m:", "v:"};
  MlirContext context = t->tape.builder.context;
  size_t states = t->optimizer->states;
  if (mlirValueIsAOpResult(item->gradient)) hct_tape_at(&t->tape, mlirOpResultGetOwner(item->gradient), "update");
  MlirValue operands[6] = {item->value, item->gradient, slots[0], slots[1]};
  operands[2 + states] = settings, operands[3 + states] = step;
  MlirType type = mlirValueGetType(item->value), types[3] = {type, type, type};
  hct_named attributes[] = {{"kind", hct_attr_str(context, t->optimizer->name)}, {"hct.layer", hct_attr_str(context, t->tape.layer ? t->tape.layer : "")},
                            {"hct.pass", hct_attr_str(context, "update")}, {"hct.group", hct_attr_i64(context, t->tape.group)}};
  MlirOperation op = hct_build(&t->tape.builder, "hct_graph.update", 4 + states, operands, 1 + states, types, t->tape.group < 0 ? 3 : 4, attributes);
  if (t->scale.clips || t->scale.adapts) hct_op_set(op, "hct.waits", mlirUnitAttrGet(context)); /* for the norm of all gradients */
  push_result(t, hct_op_result(op, 0), item->name, "param");
  for (size_t s = 0; s < states; s++) push_result(t, hct_op_result(op, 1 + s), hct_arena_printf(t->tape.arena, "%s%s", prefixes[s], item->name), "state");
}

/* Slots of a trained parameter: its states. */
static MlirValue *add_states(training *t) {
  static const char *const prefixes[] = {"m:", "v:"};
  MlirValue *slots = HCT_NEW_ARRAY(t->tape.arena, MlirValue, 2 * t->parameters.count + 1);
  for (size_t p = 0; p < t->parameters.count; p++) {
    const parameter *item = &t->parameters.items[p];
    hct_shape shape = hct_tape_shape(item->value);
    for (size_t s = 0; item->trained && s < t->optimizer->states; s++) slots[2 * p + s] = add_argument(t, &shape, hct_arena_printf(t->tape.arena, "%s%s", prefixes[s], item->name), "state");
  }
  return slots;
}

/* What follows the last update; of the group whose backward ends last. */
static void append_counts(training *t, MlirValue step) {
  t->tape.layer = "optimizer", t->tape.pass = "update";
  if (t->tape.group >= 0) t->tape.group = 0;
  push_result(t, hct_training_count(&t->tape, &t->scale, step), "step", "state");
  if (!t->scale.adapts) return;
  MlirValue good = hct_training_scale_steps(&t->tape, &t->scale);
  push_result(t, hct_training_scale_shift(&t->tape, &t->scale, good), "loss-scale-shift", "state");
  push_result(t, hct_training_scale_good(&t->tape, &t->scale, good), "loss-scale-steps", "state");
}

static hct_status append_updates(training *t) {
  const MlirValue *slots = add_states(t);
  if (mlirValueIsNull(t->scale.settings)) HCT_TRY(add_settings(t));
  MlirValue step = step_argument(t), settings = t->scale.settings;
  if (t->scale.clips || t->scale.scales) {
    size_t count = 0;
    MlirValue *gradients = HCT_NEW_ARRAY(t->tape.arena, MlirValue, t->parameters.count + 1);
    for (size_t p = 0; p < t->parameters.count; p++)
      if (t->parameters.items[p].trained) gradients[count++] = t->parameters.items[p].gradient;
    settings = hct_training_scale_gradients(&t->tape, &t->scale, count, gradients);
  }
  for (size_t p = 0; p < t->parameters.count; p++)
    if (t->parameters.items[p].trained) append_update(t, &t->parameters.items[p], &slots[2 * p], settings, step);
  append_counts(t, step);
  return HCT_OK;
}

static hct_status append_optimizer(training *t) {
  const char *kind = hct_pass_option(t->context, "optimizer", "adamw");
  if (t->optimizer) return append_updates(t);
  if (strcmp(kind, "none")) {
    hct_text names = {0};
    for (size_t i = 0; i < hct_optimizer_count; i++) hct_text_printf(&names, i + 1 < hct_optimizer_count ? ", %s" : " or %s", hct_optimizers[i].name);
    hct_status status = hct_error(t->tape.diags, HCT_E_OPTION, option_location(), "--optimizer=%s: none%s is needed", kind, names.data);
    hct_text_fini(&names);
    return status;
  }
  for (size_t p = 0; p < t->parameters.count; p++)
    if (t->parameters.items[p].trained) push_result(t, t->parameters.items[p].gradient, t->parameters.items[p].name, "gradient");
  return HCT_OK;
}

/* ---- dropout ---- */
/* Its random numbers are of the seed, a setting of the program, and of the step; without training, of step 0. */
static hct_status bind_random(training *t, bool infer) {
  MlirOperation *ops;
  size_t count = hct_block_operations(t->tape.arena, t->tape.body, &ops), dropouts = 0;
  const char *text = hct_pass_option(t->context, "seed", "0");
  int64_t number;
  for (size_t i = 0; i < count; i++) dropouts += hct_op_is(ops[i], "hct_graph.dropout");
  if (!dropouts) return HCT_OK;
  if (!hct_parse_i64(text, &number)) return hct_error(t->tape.diags, HCT_E_OPTION, option_location(), "--seed=%s: a whole number is needed", text);
  hct_shape scalar = {.dtype = HCT_I64};
  MlirValue seed = add_argument(t, &scalar, "seed", "setting");
  argument_set(t, (size_t)mlirBlockGetNumArguments(t->tape.body) - 1, "hct.data", mlirDenseElementsAttrInt64Get(mlirValueGetType(seed), 1, &number));
  if (!infer && mlirValueIsNull(t->step)) append_step(t);
  for (size_t i = 0; i < count; i++) {
    if (!hct_op_is(ops[i], "hct_graph.dropout")) continue;
    mlirOperationSetOperand(ops[i], 1, seed);
    if (!infer) mlirOperationSetOperand(ops[i], 2, t->step);
  }
  return HCT_OK;
}

/* ---- results ---- */

static hct_status keep_outputs(training *t, bool infer) {
  MlirOperation terminator = hct_block_terminator(t->tape.body);
  size_t keep_count, found = 0;
  const char *const *keep = option_list(t, "keep-output", &keep_count);
  bool *seen = HCT_NEW_ARRAY(t->tape.arena, bool, keep_count + 1), has_loss = false;
  for (size_t i = 0; i < (size_t)mlirOperationGetNumOperands(terminator); i++) {
    MlirValue value = hct_op_operand(terminator, i);
    const char *name = hct_arena_strdup(t->tape.arena, attribute_text(hct_function_result_attr(t->function, i, "hct.name")));
    bool is_loss = !t->loss_added && t->loss_name && !strcmp(name, t->loss_name), wanted = infer;
    for (size_t k = 0; k < keep_count; k++)
      if (!strcmp(keep[k], name)) wanted = true, found += !seen[k], seen[k] = true;
    if (is_loss || wanted) push_result(t, value, name, is_loss ? "loss" : "output");
    has_loss = has_loss || is_loss;
  }
  if (t->loss_added) push_result(t, t->loss, t->loss_name, "loss");
  for (size_t k = 0; k < keep_count && found < keep_count; k++)
    if (!seen[k]) return hct_error(t->tape.diags, HCT_E_OUTPUT, option_location(), "--keep-output=%s: the model has no such output", keep[k]);
  return HCT_OK;
}

static void replace_results(training *t) {
  MlirOperation old = hct_block_terminator(t->tape.body);
  MlirContext context = t->tape.builder.context;
  hct_builder builder = {.context = context, .block = t->tape.body, .before = old, .location = mlirOperationGetLocation(old)};
  hct_build(&builder, "func.return", t->results.count, t->results.items, 0, NULL, 0, NULL);
  mlirOperationDestroy(old);
  mlirOperationRemoveAttributeByName(t->function, hct_ref("res_attrs"));
  hct_function_update_type(t->function);
  hct_entry_list entries = {0};
  for (size_t i = 0; i < t->results.count; i++) {
    HCT_PUSH(t->tape.arena, &entries, ((hct_entry){i, "hct.name", hct_attr_str(context, t->names.items[i])}));
    HCT_PUSH(t->tape.arena, &entries, ((hct_entry){i, "hct.role", hct_attr_str(context, t->roles.items[i])}));
  }
  hct_function_set_arg_attrs(t->function, t->arguments.count, t->arguments.items);
  hct_function_set_result_attrs(t->function, entries.count, entries.items);
}

static void mark_trainable(training *t) {
  for (size_t p = 0; p < t->parameters.count; p++)
    if (t->parameters.items[p].trained)
      argument_set(t, t->parameters.items[p].argument, "hct.trainable", mlirUnitAttrGet(t->tape.builder.context));
}

static hct_status derive(training *t) {
  const char *mode = hct_pass_option(t->context, "mode", "train");
  bool infer = !strcmp(mode, "infer");
  HCT_TRY(hct_training_choose_loss(&t->tape, t->function, hct_pass_option(t->context, "loss", NULL), !infer, &t->loss, &t->loss_name, &t->loss_added));
  if (t->loss_name) t->loss_name = hct_arena_strdup(t->tape.arena, t->loss_name);
  MlirOperation *forward;
  size_t count = hct_block_operations(t->tape.arena, t->tape.body, &forward) - 1; /* without the terminator */
  HCT_TRY(keep_outputs(t, infer));
  if (!infer) {
    collect_parameters(t);
    HCT_TRY(apply_selection(t));
    HCT_TRY(begin_scale(t));
    HCT_TRY(derive_gradients(t));
    describe_selection(t);
    mark_trainable(t);
    HCT_TRY(append_optimizer(t));
    drop_broadcasts(t);
  }
  HCT_TRY(bind_random(t, infer));
  replace_results(t);
  hct_training_settle(&t->tape, count, forward);
  hct_function_eliminate_dead(t->function);
  return HCT_OK;
}

hct_status hct_pass_derive_training(hct_pass_context *context, MlirModule module) {
  hct_arena *arena = hct_arena_create();
  training t = {.context = context, .function = hct_module_function(module)};
  MlirBlock body = hct_function_body(t.function);
  t.tape = (hct_tape){.arena = arena, .diags = context->diags, .body = body, .group = -1, .index = hct_index_map_create(arena),
                      .layerwise = !strcmp(hct_pass_option(context, "schedule", "fused"), "layerwise")};
  t.tape.builder = (hct_builder){.context = mlirModuleGetContext(module), .block = body, .before = hct_block_terminator(body),
                                 .location = mlirOperationGetLocation(t.function)};
  hct_status status = derive(&t);
  if (status == HCT_OK) hct_training_describe_labels(t.tape.arena, module);
  hct_arena_destroy(arena);
  return status;
}
