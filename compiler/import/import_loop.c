/* Loop and Scan, unrolled: the nodes of the body join those of the graph once an iteration, from which everything else follows, gradients too.
 * A Scan has as many iterations as its inputs have slices. A Loop has as many as what is known when compiling says: each iteration adds its nodes
 * and, after them, the Loop once more, which is run when the iteration's condition is there. */
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct name_list { char **items; size_t count, capacity; } name_list;

/* ---- slices, and what is put together of them ---- */
/* The slice of a value at an index of an axis, which goes. */
static char *slice_add(importer *im, const char *label, const char *scope, char *from, int64_t axis, int64_t index) {
  char *inputs[] = {from, import_name_number(im, scope, HCT_I64, 0, index)}, *to = import_name_next(im, scope);
  Onnx__NodeProto *node = import_node_create(im, "Gather", label, 2, inputs, to);
  import_node_set_int(im, node, "axis", axis);
  import_node_add(im, node);
  return to;
}

static char *unsqueezed(importer *im, const char *label, const char *scope, char *from, int64_t axis) {
  bool by_input = im->opset >= 13; /* an attribute before */
  char *inputs[] = {from, by_input ? import_name_number(im, scope, HCT_I64, 1, axis) : NULL}, *to = import_name_next(im, scope);
  Onnx__NodeProto *node = import_node_create(im, "Unsqueeze", label, by_input ? 2 : 1, inputs, to);
  if (!by_input) import_node_set_ints(im, node, "axes", 1, &axis);
  import_node_add(im, node);
  return to;
}

/* Values of one shape as the slices of `to` along an axis, the last one first where it is asked for. */
static void stack_add(importer *im, const char *label, const char *scope, size_t count, char *const *values, int64_t axis, bool reversed, char *to) {
  char **parts = HCT_NEW_ARRAY(im->arena, char *, count + 1);
  for (size_t k = 0; k < count; k++) parts[k] = unsqueezed(im, label, scope, values[reversed ? count - 1 - k : k], axis);
  import_joined_add(im, "Concat", &axis, label, scope, count, parts, to);
}

/* Of no iterations: it is what the body says of its shape. */
static hct_status stack_empty(importer *im, const import_body *body, size_t body_output, size_t output, int64_t axis) {
  const Onnx__ValueInfoProto *info = body->graph->output[body_output];
  const Onnx__TypeProto__Tensor *type = info->type ? info->type->tensor_type : NULL;
  hct_shape shape = {0};
  bool known = type && type->shape && type->shape->n_dim < HCT_MAX_RANK && hct_dtype_from_onnx(type->elem_type, &shape.dtype);
  for (size_t d = 0; known && d < type->shape->n_dim; d++) {
    const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[d];
    known = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0 && dim->dim_value <= INT32_MAX;
    shape.dims[shape.rank++] = dim->dim_value;
  }
  if (!known) return import_refuse(im, HCT_E_ONNX_SHAPE, "no iterations, and the shape of '%s' is not said by its body: output %zu would have no elements of that shape", info->name, output);
  size_t at;
  HCT_TRY(import_axis(im, axis, ++shape.rank, &at));
  for (size_t d = shape.rank - 1; d > at; d--) shape.dims[d] = shape.dims[d - 1];
  shape.dims[at] = 0;
  return import_output_host(im, output, host_create(im->arena, import_dtype(shape.dtype), shape.rank, shape.dims));
}

static void output_add(importer *im, const char *label, char *from, char *to) {
  if (to[0]) import_node_add(im, import_node_create(im, "Identity", label, 1, &from, to));
}

/* ---- Loop ---- */
typedef struct loop {
  import_body body;
  size_t carried, scans;
  int64_t done;      /* iterations */
  name_list scanned; /* `scans` an iteration */
} loop;

static const char *loop_key(const importer *im, size_t index) { return hct_arena_printf(im->arena, "%zu", index); }

static hct_status loop_begin(importer *im, loop **out_loop) {
  const Onnx__NodeProto *node = im->node;
  const Onnx__AttributeProto *body = import_attribute(im, "body");
  loop *l = *out_loop = HCT_NEW(im->arena, loop);
  l->carried = node->n_input < 2 ? 0 : node->n_input - 2;
  if (node->n_output < l->carried) return import_refuse(im, HCT_E_ONNX_INVALID, "%zu outputs for %zu values that it carries from iteration to iteration", node->n_output, l->carried);
  size_t outputs = body && body->g && body->g->n_output > node->n_output + 1 ? body->g->n_output : node->n_output + 1; /* outputs at the end may be left out */
  HCT_TRY(import_body_read(im, "body", l->carried + 2, outputs, &l->body));
  l->scans = outputs - 1 - l->carried;
  if (!im->loops) im->loops = hct_map_create(im->arena);
  return HCT_OK;
}

static hct_status refuse_run_time(importer *im, const char *what, const char *name) {
  import_refuse(im, HCT_E_UNSUPPORTED, "%s, '%s', depends on run-time data; it must be known when compiling, as iterations become nodes of the graph", what, name);
  hct_hint(im->pass->diags, "where it follows from an input of the model, give that with --constant=INPUT=FILE.npy; else run all iterations, and select results by the condition");
  return HCT_REFUSED;
}

/* A missing number of iterations is without end, a missing condition true. After the last of the iterations its condition need not be known. */
static hct_status loop_goes_on(importer *im, const loop *l, bool *out_goes_on) {
  const import_value *limit = import_input(im, 0), *condition = import_input(im, 1);
  if (limit && (hct_shape_elements(&limit->shape) != 1 || hct_dtype_is_float(limit->shape.dtype))) return import_refuse(im, HCT_E_ONNX_SHAPE, "its number of iterations is not one integer");
  if (condition && (hct_shape_elements(&condition->shape) != 1 || condition->shape.dtype != HCT_BOOL)) return import_refuse(im, HCT_E_ONNX_SHAPE, "its condition is not one bool");
  if (limit && !limit->known) return refuse_run_time(im, "its number of iterations", im->node->input[0]);
  *out_goes_on = !limit || l->done < limit->host.i[0];
  if (!*out_goes_on || !condition) return HCT_OK;
  if (!condition->known) return refuse_run_time(im, hct_arena_printf(im->arena, "its condition after %lld iterations", (long long)l->done), im->node->input[1]);
  *out_goes_on = condition->host.i[0] != 0;
  return HCT_OK;
}

static hct_status loop_iterate(importer *im, loop *l) {
  const Onnx__NodeProto *node = im->node;
  char **inputs = HCT_NEW_ARRAY(im->arena, char *, l->carried + 2), **outputs = HCT_NEW_ARRAY(im->arena, char *, l->body.graph->n_output);
  inputs[0] = import_name_number(im, l->body.scope, HCT_I64, 0, l->done);
  inputs[1] = import_input(im, 1) ? node->input[1] : import_name_number(im, l->body.scope, HCT_BOOL, 0, 1);
  for (size_t k = 0; k < l->carried; k++) inputs[k + 2] = node->input[k + 2];
  HCT_TRY(import_count_nodes(im, 1, l->body.nodes));
  HCT_TRY(import_body_add(im, &l->body, hct_arena_printf(im->arena, "[%lld]", (long long)l->done++), inputs, outputs));
  for (size_t k = 0; k < l->scans; k++) HCT_PUSH(im->arena, &l->scanned, outputs[1 + l->carried + k]);
  Onnx__NodeProto *next = HCT_NEW(im->arena, Onnx__NodeProto);
  *next = *node;
  next->n_input = l->carried + 2;
  next->input = inputs;
  inputs[0] = node->input[0];
  memcpy(inputs + 1, outputs, (1 + l->carried) * sizeof *inputs);
  hct_map_put(im->loops, loop_key(im, im->graph->n_node), l);
  import_node_add(im, next);
  return HCT_OK;
}

static hct_status loop_end(importer *im, const loop *l) {
  const Onnx__NodeProto *node = im->node;
  for (size_t k = 0; k < l->carried; k++) output_add(im, l->body.own, node->input[k + 2], node->output[k]);
  for (size_t k = 0; k < l->scans && l->carried + k < node->n_output; k++) {
    char **values = HCT_NEW_ARRAY(im->arena, char *, (size_t)l->done + 1), *to = node->output[l->carried + k];
    for (size_t i = 0; i < (size_t)l->done; i++) values[i] = l->scanned.items[i * l->scans + k];
    if (!to[0]) continue;
    if (l->done) stack_add(im, l->body.own, l->body.scope, (size_t)l->done, values, 0, false, to);
    else HCT_TRY(stack_empty(im, &l->body, 1 + l->carried + k, l->carried + k, 0));
  }
  return HCT_OK;
}

hct_status import_loop(importer *im) {
  loop *l = im->loops ? hct_map_get(im->loops, loop_key(im, im->node_index)) : NULL;
  bool goes_on = false;
  if (!l) HCT_TRY(loop_begin(im, &l));
  HCT_TRY(loop_goes_on(im, l, &goes_on));
  return goes_on ? loop_iterate(im, l) : loop_end(im, l);
}

/* ---- Scan ---- */
typedef struct scan {
  import_body body;
  size_t states, inputs, outputs; /* outputs: beside states */
  size_t first;                   /* input: before opset 9 there are lengths before, and samples, each of which is scanned for itself */
  bool samples;
  int64_t trips;
} scan;

static int64_t list_at(const importer *im, const char *attribute, size_t index, int64_t fallback) {
  const Onnx__AttributeProto *a = import_attribute(im, attribute);
  return a && index < a->n_ints ? a->ints[index] : fallback;
}

static hct_status lists_check(importer *im, const scan *s) {
  const struct { const char *name; size_t count; bool directions; } lists[] = {
      {"scan_input_axes", s->inputs, false}, {"scan_output_axes", s->outputs, false}, {"scan_input_directions", s->inputs, true}, {"scan_output_directions", s->outputs, true}, {"directions", s->inputs, true}};
  for (size_t i = 0; i < HCT_COUNT(lists); i++) {
    const Onnx__AttributeProto *a = import_attribute(im, lists[i].name);
    if (!a) continue;
    if (a->n_ints != lists[i].count) return import_refuse(im, HCT_E_ONNX_INVALID, "%s has %zu entries; it needs %zu", lists[i].name, a->n_ints, lists[i].count);
    for (size_t k = 0; k < a->n_ints; k++)
      if (lists[i].directions && (a->ints[k] < 0 || a->ints[k] > 1)) return import_refuse(im, HCT_E_ONNX_INVALID, "%s has a direction %lld; 0 and 1 are there", lists[i].name, (long long)a->ints[k]);
  }
  return HCT_OK;
}

static int64_t input_axis(const importer *im, const scan *s, size_t index) { return s->samples ? 1 : list_at(im, "scan_input_axes", index, 0); }

/* All inputs that are scanned have as many slices, all others as many samples. */
static hct_status trips_read(importer *im, scan *s) {
  int64_t samples = s->samples ? -1 : 0;
  for (size_t k = 0; k < s->states + s->inputs; k++) {
    const import_value *value = import_input(im, s->first + k);
    size_t axis;
    if (!value || (s->samples && !value->shape.rank)) return import_refuse(im, HCT_E_ONNX_SHAPE, "input %zu is missing, or has no samples", s->first + k);
    if (samples < 0) samples = value->shape.dims[0];
    if (s->samples && value->shape.dims[0] != samples) return import_refuse(im, HCT_E_ONNX_SHAPE, "input %zu has %lld samples, those before it %lld", s->first + k, (long long)value->shape.dims[0], (long long)samples);
    if (k < s->states) continue;
    HCT_TRY(import_axis(im, input_axis(im, s, k - s->states), value->shape.rank, &axis));
    if (k > s->states && value->shape.dims[axis] != s->trips) return import_refuse(im, HCT_E_ONNX_SHAPE, "input %zu has %lld slices along axis %zu, those before it %lld", s->first + k, (long long)value->shape.dims[axis], axis, (long long)s->trips);
    s->trips = value->shape.dims[axis];
  }
  const import_value *lengths = s->samples ? import_input(im, 0) : NULL;
  for (int64_t b = 0; lengths && b < hct_shape_elements(&lengths->shape); b++)
    if (!lengths->known || !lengths->host.i || lengths->host.i[b] != s->trips) return import_refuse(im, HCT_E_UNSUPPORTED, "lengths of samples (input 0) other than %lld, or not known when compiling; that of all is supported", (long long)s->trips);
  return HCT_OK;
}

static hct_status scan_read(importer *im, scan *s) {
  const Onnx__NodeProto *node = im->node;
  int64_t inputs = import_int(im, "num_scan_inputs", 0);
  s->samples = im->opset < 9;
  s->first = s->samples;
  if (inputs < 1 || node->n_input < s->first || (size_t)inputs > node->n_input - s->first) return import_refuse(im, HCT_E_ONNX_INVALID, "num_scan_inputs is %lld, of %zu inputs", (long long)inputs, node->n_input);
  s->inputs = (size_t)inputs;
  s->states = node->n_input - s->first - s->inputs;
  if (node->n_output < s->states) return import_refuse(im, HCT_E_ONNX_INVALID, "%zu outputs for %zu states", node->n_output, s->states);
  const Onnx__AttributeProto *body = import_attribute(im, "body");
  size_t outputs = body && body->g && body->g->n_output > node->n_output ? body->g->n_output : node->n_output; /* outputs at the end may be left out */
  s->outputs = outputs - s->states;
  HCT_TRY(lists_check(im, s));
  HCT_TRY(import_body_read(im, "body", s->states + s->inputs, outputs, &s->body));
  return trips_read(im, s);
}

/* `inputs`: states and what is scanned along `input_axis`; a name in `to`, unless it is empty, for each output. */
static hct_status scan_run(importer *im, const scan *s, const char *sample, char *const *inputs, char *const *to) {
  hct_arena *arena = im->arena;
  size_t body_outputs = s->states + s->outputs, trips = (size_t)s->trips;
  char **now = HCT_NEW_ARRAY(arena, char *, s->states + s->inputs), **outputs = HCT_NEW_ARRAY(arena, char *, body_outputs + 1), **scanned = HCT_NEW_ARRAY(arena, char *, s->outputs * trips + 1);
  memcpy(now, inputs, s->states * sizeof *now);
  for (size_t t = 0; t < trips; t++) {
    const char *suffix = hct_arena_printf(arena, "%s[%zu]", sample, t), *label = hct_arena_printf(arena, "%s%s", s->body.own, suffix);
    for (size_t k = 0; k < s->inputs; k++) {
      bool backward = list_at(im, s->samples ? "directions" : "scan_input_directions", k, 0) != 0;
      now[s->states + k] = slice_add(im, label, s->body.scope, inputs[s->states + k], s->samples ? 0 : input_axis(im, s, k), (int64_t)(backward ? trips - 1 - t : t));
    }
    HCT_TRY(import_body_add(im, &s->body, suffix, now, outputs));
    memcpy(now, outputs, s->states * sizeof *now);
    for (size_t k = 0; k < s->outputs; k++) scanned[k * trips + t] = outputs[s->states + k];
  }
  for (size_t k = 0; k < s->states; k++) output_add(im, s->body.own, now[k], to[k]);
  for (size_t k = 0; k < s->outputs; k++)
    if (to[s->states + k][0] && trips) stack_add(im, s->body.own, s->body.scope, trips, scanned + k * trips, list_at(im, "scan_output_axes", k, 0), list_at(im, "scan_output_directions", k, 0) != 0, to[s->states + k]);
  return HCT_OK;
}

/* Before opset 9: each sample for itself, and results put together along the first dimension. */
static hct_status samples_run(importer *im, const scan *s, int64_t samples, char *const *to) {
  size_t count = s->states + s->inputs, results = s->states + s->outputs;
  char **inputs = HCT_NEW_ARRAY(im->arena, char *, count), **made = HCT_NEW_ARRAY(im->arena, char *, results * (size_t)samples + 1), **outputs = HCT_NEW_ARRAY(im->arena, char *, results + 1);
  for (int64_t b = 0; b < samples; b++) {
    const char *sample = hct_arena_printf(im->arena, "[%lld]", (long long)b), *label = hct_arena_printf(im->arena, "%s%s", s->body.own, sample);
    for (size_t k = 0; k < count; k++) inputs[k] = slice_add(im, label, s->body.scope, im->node->input[s->first + k], 0, b);
    for (size_t k = 0; k < results; k++) made[k * (size_t)samples + (size_t)b] = outputs[k] = hct_arena_printf(im->arena, "%s%s#%zu", s->body.scope, sample, k);
    HCT_TRY(scan_run(im, s, sample, inputs, outputs));
  }
  for (size_t k = 0; k < results; k++)
    if (to[k][0]) stack_add(im, s->body.own, s->body.scope, (size_t)samples, made + k * (size_t)samples, 0, false, to[k]);
  return HCT_OK;
}

hct_status import_scan(importer *im) {
  scan s = {0};
  HCT_TRY(scan_read(im, &s));
  const Onnx__NodeProto *node = im->node;
  char **to = HCT_NEW_ARRAY(im->arena, char *, s.states + s.outputs + 1);
  for (size_t k = 0; k < s.states + s.outputs; k++) to[k] = k < node->n_output ? node->output[k] : hct_arena_strdup(im->arena, "");
  int64_t samples = s.samples ? import_input(im, s.first)->shape.dims[0] : 1, each = s.body.nodes + (int64_t)(s.inputs + s.outputs), all;
  if (!hct_mul_i64(samples, s.trips, &all)) all = INT64_MAX;
  HCT_TRY(import_count_nodes(im, all, each));
  if (s.samples && !all) return import_refuse(im, HCT_E_ONNX_SHAPE, "no samples, or no iterations");
  if (s.samples) return samples_run(im, &s, samples, to);
  HCT_TRY(scan_run(im, &s, "", node->input, to));
  for (size_t k = s.states; !s.trips && k < node->n_output; k++)
    if (to[k][0]) HCT_TRY(stack_empty(im, &s.body, k, k, list_at(im, "scan_output_axes", k - s.states, 0)));
  return HCT_OK;
}
