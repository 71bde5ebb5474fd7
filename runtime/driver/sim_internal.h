/* hecaton-sim in parts: sim.c runs, options.c reads the command line, bind.c gives inputs and settings and writes outputs, files.c holds them
 * apart. */
#ifndef HCT_RUNTIME_DRIVER_SIM_INTERNAL_H
#define HCT_RUNTIME_DRIVER_SIM_INTERNAL_H

#include "ir/timing/machine.h"
#include "runtime/driver/settings.h"
#include "runtime/exec/effects.h"
#include "runtime/loader/checkpoint.h"
#include "runtime/loader/host_program.h"
#include "runtime/loader/loader.h"
#include "runtime/loader/save_model.h"

typedef struct binding {
  const char *name, *file;
  const hct_tensor *tensor; /* NULL: an input that nothing in the program needs */
  hct_array_file array;     /* of an input */
  bool stepped;             /* it has a leading axis of steps */
} binding;
typedef struct bindings { binding *items; size_t count, capacity; } bindings;

typedef struct sim_job {
  hct_diags *diags;
  hct_arena *arena;
  const char *program, *mode, *report, *checkpoint, *resume, *save_model;
  bindings inputs, outputs, settings;
  hct_schedules schedules;
  const hct_tensor *setting; /* NULL: the program has none */
  int64_t steps, threads, checkpoint_every; /* every 0: not given */
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
  hct_saved_model *model;
  int64_t first_step;           /* the first that is run; those before it were done by the run that is resumed */
  hct_checkpoint_progress done; /* losses: room for one of every step */
} sim_job;

/* 0: the job is as asked; -1: done already (--help); else the exit status. */
int hct_sim_options_read(sim_job *job, int argc, char **argv);

/* Refused: a file that the run writes and that it reads, or writes twice. Names of inputs and outputs are found. */
hct_status hct_sim_files_check(sim_job *job);
bool hct_sim_writes_stdout(const sim_job *job); /* as a file, "-": what is said about the run goes to standard error */

/* Finds and opens every input; refused where one is missing or does not fit. */
hct_status hct_sim_inputs_bind(sim_job *job);
/* Places what inputs have for a step: those that are given step by step, and where `first` the others. */
hct_status hct_sim_inputs_place(sim_job *job, int64_t step, bool first);
void hct_sim_inputs_close(sim_job *job);
hct_status hct_sim_settings_read(sim_job *job); /* --set; refused where it does not fit the program */
hct_status hct_sim_seed_place(sim_job *job); /* --seed */
void hct_sim_settings_place(sim_job *job, int64_t step, bool first); /* values of a step, where they are not those placed already */
hct_status hct_sim_outputs_check(sim_job *job);
/* `computed`: a step has been run; else there are parameters alone, and another output is refused. */
hct_status hct_sim_outputs_write(sim_job *job, bool computed);

#endif
