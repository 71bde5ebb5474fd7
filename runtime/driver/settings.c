#include "runtime/driver/settings.h"

#include <math.h>
#include <string.h>

#include "ir/data/array.h"
#include "runtime/loader/loader.h"

enum { MOST_NUMBERS = 4 };

/* Schedules: how many numbers each takes, in the order peak, warmup, total, floor. */
static const struct { const char *name, *usage; hct_schedule_kind kind; size_t least, most; } kinds[] = {
    {"constant", "PEAK,WARMUP", HCT_SCHEDULE_CONSTANT, 1, 2}, {"linear", "PEAK,WARMUP,TOTAL[,FLOOR]", HCT_SCHEDULE_LINEAR, 3, 4}, {"cosine", "PEAK,WARMUP,TOTAL[,FLOOR]", HCT_SCHEDULE_COSINE, 3, 4}};

typedef struct request { hct_diags *diags; hct_arena *arena; const char *name, *text; const hct_setting *setting; int64_t steps; } request;

static hct_status refuse(const request *r, const char *must) {
  hct_status status = hct_error(r->diags, HCT_E_OPTION, (hct_loc){0}, "--set %s=%s: it must be %s", r->name, r->text, must);
  for (size_t k = 0; k < HCT_COUNT(kinds); k++) hct_note(r->diags, "%s:%s", kinds[k].name, kinds[k].usage);
  return status;
}

/* Settings are f32. */
static bool number_fits(const request *r, double value) { return isfinite((float)value) && value >= r->setting->least && (double)(float)value < r->setting->below; }

static const char *range_text(const request *r) {
  const hct_setting *s = r->setting;
  return isfinite(s->below) ? hct_arena_printf(r->arena, "%g at least, and below %g", s->least, s->below) : hct_arena_printf(r->arena, "%g at least, and finite in f32", s->least);
}

/* ---- what is given ---- */
static hct_status read_file(const request *r, hct_schedule *out_schedule) {
  hct_array array;
  HCT_TRY(hct_array_read(r->diags, r->arena, r->text, &array));
  hct_loc loc = {.file = r->text};
  if (array.rank != 1 || (array.dtype != HCT_F32 && array.dtype != HCT_F64)) return hct_error(r->diags, HCT_E_INPUT, loc, "--set %s: a vector of f32 or f64, one value a step, is needed; the file has %s of rank %zu", r->name, hct_dtype_name(array.dtype), array.rank);
  if (array.dims[0] < r->steps) {
    hct_status status = hct_error(r->diags, HCT_E_INPUT, loc, "--set %s: the file has values for %lld steps; --steps=%lld asks for more", r->name, (long long)array.dims[0], (long long)r->steps);
    hct_hint(r->diags, "--steps=%lld, or a longer file", (long long)array.dims[0]);
    return status;
  }
  double *values = HCT_NEW_ARRAY(r->arena, double, (size_t)array.dims[0] + 1);
  for (int64_t i = 0; i < array.dims[0]; i++) {
    values[i] = hct_element_get(array.dtype, array.data + i * (int64_t)hct_dtype_bytes(array.dtype));
    if (!number_fits(r, values[i])) return hct_error(r->diags, HCT_E_INPUT, loc, "--set %s: value %lld is %g; it must be %s", r->name, (long long)i, values[i], range_text(r));
  }
  *out_schedule = (hct_schedule){.kind = HCT_SCHEDULE_VALUES, .values = values, .count = (size_t)array.dims[0]};
  return HCT_OK;
}

static size_t read_numbers(hct_arena *arena, const char *text, double out_numbers[MOST_NUMBERS]) {
  size_t count = 0;
  while (count < MOST_NUMBERS) {
    size_t length = strcspn(text, ",");
    if (!hct_parse_f64(hct_arena_strndup(arena, text, length), &out_numbers[count++])) return 0;
    if (!text[length]) return count;
    text += length + 1;
  }
  return 0;
}

static hct_status read_schedule(const request *r, size_t kind, const char *text, hct_schedule *out_schedule) {
  double n[MOST_NUMBERS] = {0};
  size_t count = read_numbers(r->arena, text, n);
  bool fits = count >= kinds[kind].least && count <= kinds[kind].most;
  for (size_t i = 0; fits && i < count; i++) fits = isfinite(n[i]) && n[i] >= 0;
  if (!fits) return refuse(r, hct_arena_printf(r->arena, "%s:%s, numbers that are not negative", kinds[kind].name, kinds[kind].usage));
  double first = n[1] > 0 ? 0 : n[0], last = kinds[kind].kind == HCT_SCHEDULE_CONSTANT ? n[0] : n[3]; /* the least of its values is one of these */
  if (!number_fits(r, n[0]) || !number_fits(r, first) || !number_fits(r, last)) return refuse(r, hct_arena_printf(r->arena, "%s, in every step; WARMUP begins at 0", range_text(r)));
  if (kinds[kind].least > 2 && n[2] <= n[1]) return refuse(r, "of a TOTAL above WARMUP");
  if (n[3] > n[0]) return refuse(r, "of a FLOOR that is not above PEAK");
  *out_schedule = (hct_schedule){.kind = kinds[kind].kind, .peak = n[0], .warmup = n[1], .total = n[2], .floor = n[3]};
  return HCT_OK;
}

static hct_status read_text(const request *r, hct_schedule *out_schedule) {
  double number;
  size_t length = strlen(r->text), name = strcspn(r->text, ":");
  if (hct_parse_f64(r->text, &number)) {
    if (!number_fits(r, number)) return refuse(r, range_text(r));
    *out_schedule = (hct_schedule){.kind = HCT_SCHEDULE_CONSTANT, .peak = number};
    return HCT_OK;
  }
  for (size_t k = 0; k < HCT_COUNT(kinds); k++)
    if (r->text[name] && strlen(kinds[k].name) == name && !strncmp(kinds[k].name, r->text, name)) return read_schedule(r, k, r->text + name + 1, out_schedule);
  if (length > 4 && !strcmp(r->text + length - 4, ".npy")) return read_file(r, out_schedule);
  return refuse(r, "a number, a schedule, or a file *.npy of one value a step");
}

/* What clips and scales is part of a program only where it was compiled so. */
static bool is_compiled(const hct_tensor *settings, size_t at) {
  float values[HCT_SETTING_COUNT];
  memcpy(values, settings->data, sizeof values);
  size_t needs = at == HCT_SETTING_SCALE_INTERVAL ? (size_t)HCT_SETTING_LOSS_SCALE : at;
  return hct_settings[needs].value != 0 || hct_settings[needs].least == 0 || values[needs] > 0;
}

hct_status hct_schedules_add(hct_diags *diags, hct_arena *arena, const hct_tensor *settings, int64_t steps, const char *name, const char *text, hct_schedules *schedules) {
  size_t at = hct_setting_find(name);
  if (!settings || !settings->data) return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "--set %s: the program has no settings (no optimizer)", name);
  if (hct_tensor_shape(settings).bytes != HCT_SETTING_COUNT * sizeof(float)) return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "--set %s: the program's settings are not the %d of this version", name, HCT_SETTING_COUNT);
  if (at == HCT_SETTING_GRADIENT_SCALE) {
    hct_text names = {0};
    for (size_t i = 0; i < HCT_SETTING_GRADIENT_SCALE; i++) hct_text_printf(&names, "%s%s", i ? ", " : "", hct_settings[i].name);
    hct_status status = hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "--set %s=%s: there is no such setting; settings are %s", name, text, names.data);
    hct_text_fini(&names);
    return status;
  }
  if (!is_compiled(settings, at)) {
    const char *option = hct_settings[at == HCT_SETTING_SCALE_INTERVAL ? HCT_SETTING_LOSS_SCALE : at].name;
    hct_status status = hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "--set %s=%s: the program was compiled without --%s", name, text, option);
    hct_hint(diags, "hecaton-compile --%s=...", option);
    return status;
  }
  request r = {diags, arena, name, text, &hct_settings[at], steps};
  return read_text(&r, &schedules->items[at]);
}

/* ---- what it comes to ---- */
static double schedule_at(const hct_schedule *s, int64_t step) {
  if (s->kind == HCT_SCHEDULE_VALUES) return s->values[step];
  double at = (double)step;
  if (at < s->warmup) return s->peak * at / s->warmup;
  if (s->kind == HCT_SCHEDULE_CONSTANT) return s->peak;
  double done = fmin((at - s->warmup) / (s->total - s->warmup), 1);
  double left = s->kind == HCT_SCHEDULE_LINEAR ? 1 - done : (1 + cos(acos(-1) * done)) / 2;
  return s->floor + (s->peak - s->floor) * left;
}

bool hct_schedules_at(const hct_schedules *schedules, int64_t step, float *values) {
  bool varies = false;
  for (size_t i = 0; i < HCT_SETTING_GRADIENT_SCALE; i++) {
    const hct_schedule *s = &schedules->items[i];
    if (s->kind == HCT_SCHEDULE_KEPT) continue;
    values[i] = (float)schedule_at(s, step);
    varies |= s->kind != HCT_SCHEDULE_CONSTANT || s->warmup > 0;
  }
  return varies;
}
