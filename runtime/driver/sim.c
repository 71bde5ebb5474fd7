#include "runtime/driver/sim.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "ir/report/report.h"
#include "runtime/driver/sim_internal.h"
#include "runtime/report/report_host.h"

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

static hct_status step_run(sim_job *job, int64_t step) {
  char doing[64];
  snprintf(doing, sizeof doing, "step %lld of %lld", (long long)step + 1, (long long)job->steps);
  hct_progress(job->diags, "%s", doing);
  hct_stats_clear(&job->functional);
  if (job->host) return hct_host_program_step(job->diags, job->host, job->memories);
  hct_machine_effects hooks = hct_effects_hooks(job->effects);
  hct_machine_options options = {.effects = &hooks, .jitter = job->jitter, .seed = job->jitter_seed, .doing = doing};
  hct_arena *arena = hct_arena_create(); /* what is known of a step's time is not needed */
  hct_machine_result result;
  hct_status status = hct_machine_run(job->diags, arena, &job->image, &job->package, &options, &job->functional, &result);
  hct_effect_fault first;
  if (!hct_effects_finish(job->effects, &first)) status = fault_refuse(job, &first);
  hct_arena_destroy(arena);
  return status;
}

static void loss_keep(sim_job *job) {
  const hct_tensor *loss = hct_image_tensor(&job->image, HCT_ROLE_LOSS, NULL);
  uint8_t value[8];
  if (!loss) return;
  hct_loader_assemble(&job->image, job->memories, loss, value);
  job->done.losses[job->done.loss_count++] = hct_element_get(loss->dtype, value);
}

/* Those that need numbers, or weights that change. */
static hct_status options_check(const sim_job *job, bool functional) {
  const struct { const char *name, *value; bool trains; } given[] = {{"checkpoint", job->checkpoint, true}, {"resume", job->resume, true}, {"save-model", job->save_model, false}};
  const char *mode = hct_image_meta(&job->image, "mode");
  if (!functional && job->outputs.count) return hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = job->program}, "--output %s=%s: a timing run has no numbers; --mode=functional", job->outputs.items[0].name, job->outputs.items[0].file);
  for (size_t i = 0; i < HCT_COUNT(given); i++) {
    if (!given[i].value) continue;
    if (!functional) return hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = job->program}, "--%s=%s: a timing run has no numbers; --mode=functional", given[i].name, given[i].value);
    if (given[i].trains && mode && !strcmp(mode, "infer")) return hct_error(job->diags, HCT_E_OPTION, (hct_loc){.file = job->program}, "--%s=%s: the program trains nothing, it was compiled with --mode=infer", given[i].name, given[i].value);
  }
  return HCT_OK;
}

static hct_status run_resume(sim_job *job) {
  double *losses = HCT_NEW_ARRAY(job->arena, double, (size_t)job->steps);
  if (job->resume) HCT_TRY(hct_checkpoint_resume(job->diags, job->arena, &job->image, job->memories, job->resume, job->steps, &job->done));
  if (job->done.loss_count) memcpy(losses, job->done.losses, job->done.loss_count * sizeof *losses);
  job->done.losses = losses;
  job->first_step = job->done.steps;
  return HCT_OK;
}

static hct_status run_steps(sim_job *job) {
  const int64_t every = job->checkpoint_every ? job->checkpoint_every : 100;
  for (int64_t step = job->first_step; step < job->steps; step++) {
    HCT_TRY(hct_sim_inputs_place(job, step, step == job->first_step));
    hct_sim_settings_place(job, step, step == job->first_step);
    HCT_TRY(step_run(job, step));
    loss_keep(job);
    job->done.steps = step + 1;
    if (job->checkpoint && job->done.steps % every == 0 && job->done.steps < job->steps) HCT_TRY(hct_checkpoint_write(job->diags, &job->image, job->memories, job->checkpoint, &job->done));
  }
  return HCT_OK;
}

/* The last checkpoint comes after the outputs: a run that is killed between them has a step left to compute them with. */
static hct_status run_results(sim_job *job) {
  bool computed = job->first_step < job->steps;
  hct_status status = hct_sim_outputs_write(job, computed);
  if (status == HCT_OK && job->model) status = hct_saved_model_write(job->diags, job->model, job->memories, job->save_model);
  hct_status kept = job->checkpoint && computed ? hct_checkpoint_write(job->diags, &job->image, job->memories, job->checkpoint, &job->done) : HCT_OK;
  return status == HCT_OK ? kept : status;
}

static hct_status run_functional(sim_job *job) {
  HCT_TRY(hct_sim_inputs_bind(job));
  HCT_TRY(hct_sim_outputs_check(job));
  HCT_TRY(hct_sim_files_check(job));
  HCT_TRY(hct_sim_settings_read(job));
  if (job->save_model) HCT_TRY(hct_saved_model_open(job->diags, job->arena, &job->image, job->program, &job->model));
  HCT_TRY(hct_loader_create(job->diags, job->arena, &job->image, job->program, &job->memories));
  HCT_TRY(hct_sim_seed_place(job));
  HCT_TRY(run_resume(job));
  hct_stats_init(&job->functional, job->arena, &job->image);
  if (!job->host) job->effects = hct_effects_create(job->memories, (size_t)(job->image.rows * job->image.cols), (size_t)job->threads);
  HCT_TRY(run_steps(job));
  return run_results(job);
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
  HCT_TRY(options_check(job, true));
  HCT_TRY(run_functional(job));
  hct_report_host_input report = {.image = &job->image, .losses = job->done.losses, .loss_count = job->done.loss_count, .steps = job->steps, .wall_s = seconds_since(&start)};
  hct_report_host_print(&report, hct_sim_writes_stdout(job) ? stderr : stdout);
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
  HCT_TRY(options_check(job, functional));
  HCT_TRY(functional ? run_functional(job) : hct_sim_files_check(job));
  bool computed = functional && job->first_step < job->steps;
  if (timing || !computed) HCT_TRY(run_timing(job)); /* counts are those of a functional step, too */
  if (computed && timing) {
    hct_text difference = {0};
    bool agree = hct_stats_agree(&job->functional, &job->timing, &difference);
    if (!agree) hct_error(job->diags, HCT_E_FAULT, (hct_loc){.file = job->program}, "functional and timing runs counted differently: %s", difference.data);
    hct_text_fini(&difference);
    if (!agree) return HCT_REFUSED;
  }
  hct_progress_end(job->diags);
  hct_report_input report = {.image = &job->image, .package = &job->package, .losses = job->done.losses, .loss_count = job->done.loss_count, .steps = job->steps,
                             .stats = timing || !computed ? &job->timing : &job->functional, .timing = timing ? &job->result : NULL, .threads = job->effects ? (int)hct_effects_threads(job->effects) : 1,
                             .wall_s = seconds_since(&start)};
  hct_report_print(&report, hct_sim_writes_stdout(job) ? stderr : stdout);
  return job->report ? hct_report_write(job->diags, &report, job->report) : HCT_OK;
}

static int64_t cores(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int hct_sim_main(int argc, char **argv) {
  sim_job job = {.diags = hct_diags_create(stderr), .arena = hct_arena_create(), .steps = 1, .threads = cores()};
  int code = hct_sim_options_read(&job, argc, argv);
  if (code == 0) code = run(&job) == HCT_OK ? 0 : 1;
  hct_sim_inputs_close(&job);
  hct_effects_destroy(job.effects);
  hct_loader_destroy(&job.image, job.memories);
  hct_host_program_close(job.host);
  hct_arena_destroy(job.arena);
  hct_diags_destroy(job.diags);
  return code < 0 ? 0 : code;
}
