#include "runtime/driver/sim.h"

#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/exec/effects.h"
#include "runtime/loader/host_program.h"
#include "runtime/loader/loader.h"
#include "ir/report/report.h"
#include "runtime/report/report_host.h"

typedef struct binding { const char *name, *file; hct_array array; const hct_tensor *tensor; bool stepped; } binding;
typedef struct bindings { binding *items; size_t count, capacity; } bindings;

typedef struct sim_job {
  hct_diags *diags;
  hct_arena *arena;
  const char *program, *mode, *report;
  bindings inputs, outputs, settings;
  int64_t steps, threads;
  bool jitter, no_recurrence;
  uint64_t jitter_seed;
  const char *seed; /* of random numbers; NULL: as compiled */
  hct_image image;
  hct_package package;
  hct_memory *memories;
  hct_effects *effects;
  hct_host_program *host; /* NULL: a program for the package */
  hct_stats functional, timing;
  hct_machine_result result;
  double *losses;
  size_t loss_count;
} sim_job;

static void help_print(void) {
  printf("usage: hecaton-sim PROGRAM [options]\n\nRuns a program image: real numbers, modelled time, or both.\n\n"
         "  --mode=functional|timing|both   [both]\n"
         "  --input NAME=FILE               .npy or ONNX TensorProto; repeatable\n"
         "  --output NAME=FILE.npy          an output, grad:INITIALIZER or param:INITIALIZER; repeatable\n"
         "  --steps=N                       optimizer steps; an input with one leading axis more is taken step by step [1]\n"
         "  --set NAME=V                    lr, momentum, beta1, beta2, eps, weight-decay\n"
         "  --seed=N                        random numbers (dropout) [as compiled]\n"
         "  --report FILE.json              the account, schema hecaton-report/1\n"
         "  --threads=N                     numbers and times are the same for any N [all cores]\n"
         "  --jitter=SEED                   perturbs every latency; numbers do not change\n"
         "  --no-recurrence                 simulates every iteration, even where state recurs; same result, slower\n"
         "  --save-model FILE.onnx          does not work yet\n"
         "  --help, --version\n");
}

/* ---- options ---- */
static bool binding_add(sim_job *job, bindings *list, const char *text) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text || !equals[1]) return false;
  binding b = {.name = hct_arena_strndup(job->arena, text, (size_t)(equals - text)), .file = equals + 1};
  HCT_PUSH(job->arena, list, b);
  return true;
}

static hct_status option_refuse(sim_job *job, const char *name, const char *text, const char *must) {
  return hct_error(job->diags, HCT_E_OPTION, (hct_loc){0}, "--%s=%s: it must be %s", name, text, must);
}

static int option_apply(sim_job *job, int code, const char *text) {
  int64_t number = 0;
  bool parsed = text && hct_parse_i64(text, &number);
  switch (code) {
    case 'm':
      job->mode = text;
      if (strcmp(text, "functional") && strcmp(text, "timing") && strcmp(text, "both")) return option_refuse(job, "mode", text, "functional, timing or both"), 1;
      return 0;
    case 'i': return binding_add(job, &job->inputs, text) ? 0 : (option_refuse(job, "input", text, "NAME=FILE"), 1);
    case 'o': return binding_add(job, &job->outputs, text) ? 0 : (option_refuse(job, "output", text, "NAME=FILE.npy"), 1);
    case 's': return binding_add(job, &job->settings, text) ? 0 : (option_refuse(job, "set", text, "NAME=VALUE"), 1);
    case 'n': return job->steps = number, parsed && number >= 1 && number <= 1000000 ? 0 : (option_refuse(job, "steps", text, "a whole number from 1 to 1000000"), 1);
    case 't': return job->threads = number, parsed && number >= 1 && number <= 1024 ? 0 : (option_refuse(job, "threads", text, "a whole number from 1 to 1024"), 1);
    case 'j': return job->jitter = true, job->jitter_seed = (uint64_t)number, parsed ? 0 : (option_refuse(job, "jitter", text, "a whole number"), 1);
    case 'e': return job->seed = text, parsed ? 0 : (option_refuse(job, "seed", text, "a whole number"), 1);
    case 'r': return job->report = text, 0;
    case 'R': return job->no_recurrence = true, 0;
    case 'S': return hct_error(job->diags, HCT_E_UNSUPPORTED, (hct_loc){0}, "--save-model does not work yet; --output param:NAME=FILE.npy writes trained weights"), 1;
    default: return 2;
  }
}

static int options_read(sim_job *job, int argc, char **argv) {
  static const struct option table[] = {
      {"mode", required_argument, NULL, 'm'}, {"input", required_argument, NULL, 'i'}, {"output", required_argument, NULL, 'o'}, {"steps", required_argument, NULL, 'n'},
      {"set", required_argument, NULL, 's'}, {"report", required_argument, NULL, 'r'}, {"threads", required_argument, NULL, 't'}, {"jitter", required_argument, NULL, 'j'}, {"seed", required_argument, NULL, 'e'},
      {"no-recurrence", no_argument, NULL, 'R'}, {"save-model", required_argument, NULL, 'S'}, {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
  int worst = 0;
  for (int code; (code = getopt_long(argc, argv, "", table, NULL)) != -1;) {
    if (code == 'h') return help_print(), -1;
    if (code == 'V') return printf("hecaton-sim %s\n", HCT_VERSION), -1;
    int applied = option_apply(job, code, optarg);
    if (applied == 2) return 2;
    if (applied) worst = applied;
  }
  if (worst) return worst;
  if (optind + 1 != argc) return fprintf(stderr, "usage: hecaton-sim PROGRAM [options]; --help lists them\n"), 2;
  job->program = argv[optind];
  return 0;
}

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

static hct_status input_bind(sim_job *job, binding *b) {
  b->tensor = hct_image_tensor(&job->image, HCT_ROLE_INPUT, b->name);
  if (!b->tensor && input_is_unused(job, b->name)) return HCT_OK;
  if (!b->tensor) {
    hct_error(job->diags, HCT_E_INPUT, (hct_loc){.file = job->program}, "there is no input '%s'", b->name);
    for (size_t i = 0; i < job->image.tensor_count; i++)
      if (job->image.tensors[i].role == HCT_ROLE_INPUT) hct_note(job->diags, "input '%s'", job->image.tensors[i].name);
    return HCT_REFUSED;
  }
  HCT_TRY(hct_array_read(job->diags, job->arena, b->file, &b->array));
  hct_array wanted = hct_tensor_shape(b->tensor);
  b->stepped = b->array.rank == wanted.rank + 1;
  if (b->array.dtype != wanted.dtype && (b->array.dtype == HCT_F64 || b->array.dtype == HCT_F32) && hct_dtype_is_float(wanted.dtype)) hct_array_convert(job->arena, &b->array, wanted.dtype);
  bool fits = b->array.dtype == wanted.dtype && (b->stepped || b->array.rank == wanted.rank);
  for (size_t d = 0; fits && d < wanted.rank; d++) fits = b->array.dims[d + b->stepped] == wanted.dims[d];
  if (!fits) return hct_error(job->diags, HCT_E_INPUT, (hct_loc){.file = b->file}, "input '%s' is %s; the program wants %s", b->name, shape_text(job, &b->array), shape_text(job, &wanted));
  if (b->stepped && b->array.dims[0] < job->steps) return hct_error(job->diags, HCT_E_INPUT, (hct_loc){.file = b->file}, "input '%s' has %lld steps; --steps=%lld asks for more", b->name, (long long)b->array.dims[0], (long long)job->steps);
  return HCT_OK;
}

static hct_status inputs_bind(sim_job *job) {
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

static hct_status settings_apply(sim_job *job) {
  static const char *const names[] = {"lr", "momentum", "beta1", "beta2", "eps", "weight-decay"};
  const hct_tensor *tensor = hct_image_tensor(&job->image, HCT_ROLE_SETTING, "settings");
  if (!job->settings.count) return HCT_OK;
  if (!tensor || !tensor->data) return hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = job->program}, "--set: the program has no settings (no optimizer)");
  float values[HCT_COUNT(names)];
  memcpy(values, tensor->data, sizeof values);
  for (size_t i = 0; i < job->settings.count; i++) {
    size_t at = 0;
    double value;
    while (at < HCT_COUNT(names) && strcmp(names[at], job->settings.items[i].name)) at++;
    if (at == HCT_COUNT(names) || !hct_parse_f64(job->settings.items[i].file, &value))
      return hct_error(job->diags, HCT_E_OPTION, (hct_loc){0}, "--set %s=%s: it must be one of lr, momentum, beta1, beta2, eps, weight-decay and a number", job->settings.items[i].name, job->settings.items[i].file);
    values[at] = (float)value;
  }
  hct_loader_place(&job->image, job->memories, tensor, (const uint8_t *)values);
  return HCT_OK;
}

static hct_status seed_apply(sim_job *job) {
  const hct_tensor *tensor = hct_image_tensor(&job->image, HCT_ROLE_SETTING, "seed");
  int64_t number;
  if (!job->seed) return HCT_OK;
  if (!tensor) return hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = job->program}, "--seed=%s: the program draws no random numbers (no dropout)", job->seed);
  HCT_BUG_ON(!hct_parse_i64(job->seed, &number), "seed '%s'", job->seed);
  hct_loader_place(&job->image, job->memories, tensor, (const uint8_t *)&number);
  return HCT_OK;
}

/* ---- outputs ---- */
static const hct_tensor *output_find(const sim_job *job, const char *name) {
  if (!strncmp(name, "grad:", 5)) return hct_image_tensor(&job->image, HCT_ROLE_GRADIENT, name + 5);
  if (!strncmp(name, "param:", 6)) return hct_image_tensor(&job->image, HCT_ROLE_PARAM, name + 6);
  const hct_tensor *loss = hct_image_tensor(&job->image, HCT_ROLE_LOSS, name);
  return loss ? loss : hct_image_tensor(&job->image, HCT_ROLE_OUTPUT, name);
}

static hct_status outputs_check(sim_job *job) {
  for (size_t i = 0; i < job->outputs.count; i++) {
    binding *b = &job->outputs.items[i];
    b->tensor = output_find(job, b->name);
    if (b->tensor) continue;
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

static hct_status outputs_write(sim_job *job) {
  for (size_t i = 0; i < job->outputs.count; i++) {
    const hct_tensor *tensor = job->outputs.items[i].tensor;
    hct_array array = hct_tensor_shape(tensor);
    uint8_t *data = hct_arena_alloc(job->arena, array.bytes + 1);
    if (!hct_loader_assemble(&job->image, job->memories, tensor, data)) return hct_error(job->diags, HCT_E_FAULT, (hct_loc){.file = job->program}, "copies of '%s' on different dies differ", tensor->name);
    array.data = data;
    if (!hct_dtype_npy(tensor->dtype)[0]) hct_array_convert(job->arena, &array, HCT_F32); /* every bf16 is an f32 */
    HCT_TRY(hct_array_write_npy(job->diags, &array, job->outputs.items[i].file));
  }
  return HCT_OK;
}

/* ---- the run ---- */
static hct_status fault_refuse(const sim_job *job, const hct_effect_fault *fault) {
  const hct_image *image = &job->image;
  const hct_source *source = fault->instr->source < image->source_count ? &image->sources[fault->instr->source] : NULL;
  hct_text line = {0};
  hct_instr_print(fault->instr, &line);
  hct_error(job->diags, HCT_E_FAULT, (hct_loc){.file = source && source->location[0] ? source->location : NULL}, "die %zu,%zu: %s", fault->die / (size_t)image->cols, fault->die % (size_t)image->cols, fault->text);
  hct_note(job->diags, "while running '%s'", line.data);
  hct_text_fini(&line);
  return HCT_REFUSED;
}

static hct_status step_run(sim_job *job, const char *doing) {
  hct_machine_effects hooks = hct_effects_hooks(job->effects);
  hct_machine_options options = {.effects = &hooks, .jitter = job->jitter, .seed = job->jitter_seed, .doing = doing};
  hct_status status = hct_machine_run(job->diags, job->arena, &job->image, &job->package, &options, &job->functional, &job->result);
  hct_effect_fault first;
  return hct_effects_finish(job->effects, &first) ? status : fault_refuse(job, &first);
}

static hct_status run_functional(sim_job *job) {
  HCT_TRY(inputs_bind(job));
  HCT_TRY(outputs_check(job));
  HCT_TRY(hct_loader_create(job->diags, job->arena, &job->image, job->program, &job->memories));
  HCT_TRY(settings_apply(job));
  HCT_TRY(seed_apply(job));
  const hct_tensor *loss = hct_image_tensor(&job->image, HCT_ROLE_LOSS, NULL);
  job->losses = HCT_NEW_ARRAY(job->arena, double, (size_t)job->steps);
  hct_stats_init(&job->functional, job->arena, &job->image);
  if (!job->host) job->effects = hct_effects_create(job->memories, (size_t)(job->image.rows * job->image.cols), (size_t)job->threads);
  for (int64_t step = 0; step < job->steps; step++) {
    const char *doing = hct_arena_printf(job->arena, "step %lld of %lld", (long long)step + 1, (long long)job->steps);
    hct_progress(job->diags, "%s", doing);
    for (size_t i = 0; i < job->inputs.count; i++) {
      const binding *b = &job->inputs.items[i];
      if (!b->tensor) continue;
      size_t bytes = hct_tensor_shape(b->tensor).bytes;
      if (step == 0 || b->stepped) hct_loader_place(&job->image, job->memories, b->tensor, b->array.data + (b->stepped ? (size_t)step * bytes : 0));
    }
    hct_stats_clear(&job->functional);
    if (job->host) HCT_TRY(hct_host_program_step(job->diags, job->host, job->memories));
    else HCT_TRY(step_run(job, doing));
    if (!loss) continue;
    uint8_t value[8];
    hct_loader_assemble(&job->image, job->memories, loss, value);
    job->losses[job->loss_count++] = hct_element_get(loss->dtype, value);
  }
  return outputs_write(job);
}

static hct_status run_timing(sim_job *job) {
  hct_stats_init(&job->timing, job->arena, &job->image);
  hct_machine_options options = {.jitter = job->jitter, .seed = job->jitter_seed, .doing = "timing", .every_iteration = job->no_recurrence};
  return hct_machine_run(job->diags, job->arena, &job->image, &job->package, &options, &job->timing, &job->result);
}

static double seconds_since(const struct timespec *start) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) * 1e-9;
}

/* A host program has numbers and no modelled time. */
static hct_status run_host(sim_job *job) {
  struct timespec start;
  clock_gettime(CLOCK_MONOTONIC, &start);
  if (job->mode && !strcmp(job->mode, "timing")) return hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = job->program}, "--mode=timing: a host program has no modelled time");
  HCT_TRY(hct_host_program_open(job->diags, job->arena, job->program, &job->host, &job->image));
  HCT_TRY(run_functional(job));
  hct_report_host_input report = {.image = &job->image, .losses = job->losses, .loss_count = job->loss_count, .steps = job->steps, .wall_s = seconds_since(&start)};
  hct_report_host_print(&report, stdout);
  return job->report ? hct_report_host_write(job->diags, &report, job->report) : HCT_OK;
}

static hct_status run(sim_job *job) {
  struct timespec start;
  clock_gettime(CLOCK_MONOTONIC, &start);
  if (hct_host_program_is(job->program)) return run_host(job);
  HCT_TRY(hct_image_read(job->diags, job->arena, job->program, &job->image));
  HCT_TRY(hct_package_parse(job->diags, job->program, job->image.package_xml, strlen(job->image.package_xml), &job->package));
  if (!job->mode) job->mode = hct_image_parameter_without_data(&job->image) ? "timing" : "both";
  bool functional = strcmp(job->mode, "timing") != 0, timing = strcmp(job->mode, "functional") != 0;
  if (functional) HCT_TRY(run_functional(job));
  if (timing) HCT_TRY(run_timing(job));
  if (functional && timing) {
    hct_text difference = {0};
    bool agree = hct_stats_agree(&job->functional, &job->timing, &difference);
    if (!agree) hct_error(job->diags, HCT_E_FAULT, (hct_loc){.file = job->program}, "functional and timing runs counted differently: %s", difference.data);
    hct_text_fini(&difference);
    if (!agree) return HCT_REFUSED;
  }
  hct_progress_end(job->diags);
  hct_report_input report = {.image = &job->image, .package = &job->package, .losses = job->losses, .loss_count = job->loss_count, .steps = job->steps,
                             .stats = timing ? &job->timing : &job->functional, .timing = timing ? &job->result : NULL, .threads = job->effects ? (int)hct_effects_threads(job->effects) : 1,
                             .wall_s = seconds_since(&start)};
  hct_report_print(&report, stdout);
  return job->report ? hct_report_write(job->diags, &report, job->report) : HCT_OK;
}

static int64_t cores(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int hct_sim_main(int argc, char **argv) {
  sim_job job = {.diags = hct_diags_create(stderr), .arena = hct_arena_create(), .steps = 1, .threads = cores()};
  int code = options_read(&job, argc, argv);
  if (code == 0) code = run(&job) == HCT_OK ? 0 : 1;
  hct_effects_destroy(job.effects);
  hct_loader_destroy(&job.image, job.memories);
  hct_host_program_close(job.host);
  hct_arena_destroy(job.arena);
  hct_diags_destroy(job.diags);
  return code < 0 ? 0 : code;
}
