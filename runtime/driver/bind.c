#include <stdlib.h>
#include <string.h>

#include "runtime/driver/sim_internal.h"

/* ---- inputs ---- */
static const char *shape_text(sim_job *job, const hct_array *array) {
  hct_text text = {0};
  hct_text_printf(&text, "%s[", hct_dtype_name(array->dtype));
  for (size_t d = 0; d < array->rank; d++) hct_text_printf(&text, "%s%lld", d ? "," : "", (long long)array->dims[d]);
  hct_text_printf(&text, "]");
  const char *copy = hct_arena_strdup(job->arena, text.data);
  hct_text_fini(&text);
  return copy;
}

/* An input of the model that nothing in the program needs. */
static bool input_is_unused(const sim_job *job, const char *name) {
  const char *names = hct_image_meta(&job->image, "inputs");
  for (size_t length = strlen(name); names && *names; names += strcspn(names, "\n"), names += *names == '\n')
    if (!strncmp(names, name, length) && names[length] == '\n') return true;
  return false;
}

/* A name may have '=' in it: the next one ends it. False: there is none. */
static bool binding_lengthen(sim_job *job, binding *b) {
  const char *equals = strchr(b->file, '=');
  if (!equals || !equals[1]) return false;
  b->name = hct_arena_printf(job->arena, "%s=%.*s", b->name, (int)(equals - b->file), b->file);
  b->file = equals + 1;
  return true;
}

static hct_status input_bind(sim_job *job, binding *b) {
  const binding first = *b;
  do {
    b->tensor = hct_image_tensor(&job->image, HCT_ROLE_INPUT, b->name);
    if (!b->tensor && input_is_unused(job, b->name)) return HCT_OK;
  } while (!b->tensor && binding_lengthen(job, b));
  if (!b->tensor) *b = first;
  if (!b->tensor) {
    hct_error(job->diags, HCT_E_INPUT, (hct_loc){.file = job->program}, "there is no input '%s'", b->name);
    for (size_t i = 0; i < job->image.tensor_count; i++)
      if (job->image.tensors[i].role == HCT_ROLE_INPUT) hct_note(job->diags, "input '%s'", job->image.tensors[i].name);
    return HCT_REFUSED;
  }
  HCT_TRY(hct_array_open(job->diags, job->arena, b->file, &b->array));
  hct_array wanted = hct_tensor_shape(b->tensor), *given = &b->array.shape;
  b->stepped = given->rank == wanted.rank + 1;
  bool converted = ((given->dtype == HCT_F64 || given->dtype == HCT_F32) && hct_dtype_is_float(wanted.dtype)) || given->dtype == hct_dtype_computed(wanted.dtype);
  bool fits = (given->dtype == wanted.dtype || converted) && (b->stepped || given->rank == wanted.rank);
  for (size_t d = 0; fits && d < wanted.rank; d++) fits = given->dims[d + b->stepped] == wanted.dims[d];
  if (!fits) return hct_error(job->diags, HCT_E_INPUT, (hct_loc){.file = b->file}, "input '%s' is %s; the program wants %s", b->name, shape_text(job, given), shape_text(job, &wanted));
  if (b->stepped && given->dims[0] < job->steps) return hct_error(job->diags, HCT_E_INPUT, (hct_loc){.file = b->file}, "input '%s' has %lld steps; --steps=%lld asks for more", b->name, (long long)given->dims[0], (long long)job->steps);
  return HCT_OK;
}

/* A line of the image's HCT_META_LABELS, for an array of `rank` dimensions. */
typedef struct labels_line {
  int64_t classes, ignored_count;
  const char *ignored, *name;
  bool partial;
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK], counts[HCT_MAX_RANK];
} labels_line;

static bool labels_parse(const char *line, size_t rank, labels_line *out_line) {
  labels_line l = {0};
  char *end;
  l.classes = strtoll(line, &end, 10), l.ignored_count = strtoll(end, &end, 10), l.ignored = end;
  for (int64_t i = 0; i < l.ignored_count && *end == ' '; i++) strtoll(end, &end, 10);
  l.partial = strncmp(end, " * ", 3) != 0;
  if (!l.partial) return l.name = end + 3, *out_line = l, true;
  for (size_t d = 0; d < rank; d++) {
    if (*end != (d ? ',' : ' ')) return false;
    l.starts[d] = strtoll(end + 1, &end, 10);
    if (*end == ':') l.steps[d] = strtoll(end + 1, &end, 10);
    if (*end == ':') l.counts[d] = strtoll(end + 1, &end, 10);
    if (l.steps[d] == 0 || llabs(l.starts[d]) > HCT_MAX_TENSOR_BYTES || llabs(l.steps[d]) > HCT_MAX_TENSOR_BYTES) return false;
  }
  return l.name = end + 1, *out_line = l, *end == ' ';
}

static bool is_ignored(const labels_line *l, int64_t value) {
  char *end = (char *)(uintptr_t)l->ignored;
  for (int64_t i = 0; i < l->ignored_count; i++)
    if (strtoll(end, &end, 10) == value) return true;
  return false;
}

static bool is_read(const labels_line *l, const hct_array *array, const size_t *at) {
  for (size_t d = 0; l->partial && d < array->rank; d++) {
    int64_t from_start = (int64_t)at[d] - l->starts[d], nth = from_start / l->steps[d];
    if (from_start % l->steps[d] || nth < 0 || nth >= l->counts[d]) return false;
  }
  return true;
}

/* Refused: a value of an input that is to name a class and names none, and is not ignored. */
static hct_status labels_check(sim_job *job, const binding *b, const hct_array *array, int64_t step, const labels_line *l) {
  size_t elements = array->bytes / hct_dtype_bytes(array->dtype), at[HCT_MAX_RANK];
  for (size_t i = 0; i < elements; i++) {
    int64_t value = hct_element_get_int(array->dtype, array->data + i * hct_dtype_bytes(array->dtype));
    if ((value >= 0 && value < l->classes) || is_ignored(l, value)) continue;
    size_t left = i;
    for (size_t d = array->rank; d-- > 0; left /= (size_t)array->dims[d]) at[d] = left % (size_t)array->dims[d];
    if (!is_read(l, array, at)) continue;
    hct_text place = {0};
    for (size_t d = 0; d < array->rank; d++) hct_text_printf(&place, "%s%zu", d ? "," : "", at[d]);
    hct_status status = hct_error(job->diags, HCT_E_INPUT, (hct_loc){.file = b->file}, "input '%s' has %lld at [%s] in step %lld; it names classes, which are 0 to %lld", b->name, (long long)value,
                                  place.data ? place.data : "", (long long)step, (long long)l->classes - 1);
    char *end = (char *)(uintptr_t)l->ignored;
    for (int64_t n = 0; n < l->ignored_count; n++) hct_note(job->diags, "%lld is ignored", strtoll(end, &end, 10));
    hct_text_fini(&place);
    return status;
  }
  return HCT_OK;
}

static hct_status input_check(sim_job *job, const binding *b, const hct_array *array, int64_t step) {
  const char *line = hct_image_meta(&job->image, HCT_META_LABELS);
  size_t length = strlen(b->name);
  for (; line && *line; line = strchr(line, '\n'), line += line != NULL) {
    labels_line l;
    if (labels_parse(line, array->rank, &l) && !strncmp(l.name, b->name, length) && l.name[length] == '\n') HCT_TRY(labels_check(job, b, array, step, &l));
  }
  return HCT_OK;
}

static hct_status input_place(sim_job *job, const binding *b, int64_t step) {
  hct_arena *arena = hct_arena_create();
  hct_array array = hct_tensor_shape(b->tensor);
  hct_dtype wanted = array.dtype;
  array.dtype = b->array.shape.dtype;
  array.bytes = array.bytes / hct_dtype_bytes(wanted) * hct_dtype_bytes(array.dtype);
  uint8_t *data = hct_arena_alloc(arena, array.bytes + 1);
  hct_status status = hct_array_file_read(job->diags, &b->array, b->stepped ? (size_t)step * array.bytes : 0, array.bytes, data);
  if (status == HCT_OK) {
    array.data = data;
    hct_array_convert(arena, &array, wanted);
    status = input_check(job, b, &array, step);
  }
  if (status == HCT_OK) hct_loader_place(&job->image, job->memories, b->tensor, array.data);
  hct_arena_destroy(arena);
  return status;
}

hct_status hct_sim_inputs_place(sim_job *job, int64_t step, bool first) {
  for (size_t i = 0; i < job->inputs.count; i++) {
    const binding *b = &job->inputs.items[i];
    if (b->tensor && (first || b->stepped)) HCT_TRY(input_place(job, b, step));
  }
  return HCT_OK;
}

void hct_sim_inputs_close(sim_job *job) {
  for (size_t i = 0; i < job->inputs.count; i++) hct_array_close(&job->inputs.items[i].array);
}

hct_status hct_sim_inputs_bind(sim_job *job) {
  for (size_t i = 0; i < job->inputs.count; i++) HCT_TRY(input_bind(job, &job->inputs.items[i]));
  hct_status status = HCT_OK;
  for (size_t t = 0; t < job->image.tensor_count; t++) {
    const hct_tensor *tensor = &job->image.tensors[t];
    if (tensor->role != HCT_ROLE_INPUT) continue;
    bool bound = false;
    for (size_t i = 0; i < job->inputs.count; i++) bound |= job->inputs.items[i].tensor == tensor;
    if (bound) continue;
    hct_array wanted = hct_tensor_shape(tensor);
    status = hct_error(job->diags, HCT_E_INPUT, (hct_loc){.file = job->program}, "input '%s' (%s) is not given", tensor->name, shape_text(job, &wanted));
    hct_hint(job->diags, "--input %s=FILE.npy, or --mode=timing", tensor->name);
  }
  return status;
}

hct_status hct_sim_settings_read(sim_job *job) {
  job->setting = hct_image_tensor(&job->image, HCT_ROLE_SETTING, "settings");
  for (size_t i = 0; i < job->settings.count; i++) HCT_TRY(hct_schedules_add(job->diags, job->arena, job->setting, job->steps, job->settings.items[i].name, job->settings.items[i].file, &job->schedules));
  return HCT_OK;
}

hct_status hct_sim_seed_place(sim_job *job) {
  const hct_tensor *tensor = hct_image_tensor(&job->image, HCT_ROLE_SETTING, "seed");
  int64_t number;
  if (!job->seed) return HCT_OK;
  if (!tensor) return hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = job->program}, "--seed=%s: the program draws no random numbers (no dropout)", job->seed);
  HCT_BUG_ON(!hct_parse_i64(job->seed, &number), "seed '%s'", job->seed);
  hct_loader_place(&job->image, job->memories, tensor, (const uint8_t *)&number);
  return HCT_OK;
}

void hct_sim_settings_place(sim_job *job, int64_t step, bool first) {
  float values[HCT_SETTING_COUNT];
  if (!job->settings.count) return;
  memcpy(values, job->setting->data, sizeof values);
  if (hct_schedules_at(&job->schedules, step, values) || first) hct_loader_place(&job->image, job->memories, job->setting, (const uint8_t *)values);
}

/* ---- outputs ---- */
static const hct_tensor *output_find(const sim_job *job, const char *name) {
  if (!strncmp(name, "grad:", 5)) return hct_image_tensor(&job->image, HCT_ROLE_GRADIENT, name + 5);
  if (!strncmp(name, "param:", 6)) return hct_image_tensor(&job->image, HCT_ROLE_PARAM, name + 6);
  const hct_tensor *loss = hct_image_tensor(&job->image, HCT_ROLE_LOSS, name);
  return loss ? loss : hct_image_tensor(&job->image, HCT_ROLE_OUTPUT, name);
}

hct_status hct_sim_outputs_check(sim_job *job) {
  for (size_t i = 0; i < job->outputs.count; i++) {
    binding *b = &job->outputs.items[i];
    const binding first = *b;
    do b->tensor = output_find(job, b->name);
    while (!b->tensor && binding_lengthen(job, b));
    if (b->tensor) continue;
    *b = first;
    hct_error(job->diags, HCT_E_OUTPUT, (hct_loc){.file = job->program}, "there is no output '%s'", b->name);
    hct_text list = {0};
    for (size_t t = 0; t < job->image.tensor_count; t++) {
      hct_role role = job->image.tensors[t].role;
      if (hct_image_tensor(&job->image, role, job->image.tensors[t].name) != &job->image.tensors[t]) continue; /* another piece */
      const char *prefix = role == HCT_ROLE_GRADIENT ? "grad:" : role == HCT_ROLE_PARAM ? "param:" : "";
      if (role == HCT_ROLE_LOSS || role == HCT_ROLE_OUTPUT || prefix[0]) hct_text_printf(&list, "%s%s%s", list.length ? ", " : "", prefix, job->image.tensors[t].name);
    }
    hct_note(job->diags, "it has: %s", list.data ? list.data : "none");
    hct_text_fini(&list);
    return HCT_REFUSED;
  }
  return HCT_OK;
}

hct_status hct_sim_outputs_write(sim_job *job, bool computed) {
  for (size_t i = 0; i < job->outputs.count; i++) {
    const hct_tensor *tensor = job->outputs.items[i].tensor;
    if (!computed && tensor->role != HCT_ROLE_PARAM) {
      hct_error(job->diags, HCT_E_OUTPUT, (hct_loc){.file = job->resume}, "all of --steps=%lld are done: no step is left to compute '%s'", (long long)job->steps, tensor->name);
      hct_hint(job->diags, "--steps=%lld runs one more", (long long)job->steps + 1);
      return HCT_REFUSED;
    }
    hct_array array = hct_tensor_shape(tensor);
    uint8_t *data = hct_arena_alloc(job->arena, array.bytes + 1);
    if (!hct_loader_assemble(&job->image, job->memories, tensor, data)) return hct_error(job->diags, HCT_E_FAULT, (hct_loc){.file = job->program}, "copies of '%s' on different dies differ", tensor->name);
    array.data = data;
    if (!hct_dtype_npy(tensor->dtype)[0]) hct_array_convert(job->arena, &array, HCT_F32); /* every bf16 is an f32 */
    HCT_TRY(hct_array_write_npy(job->diags, &array, job->outputs.items[i].file));
  }
  return HCT_OK;
}
