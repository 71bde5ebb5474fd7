#include <getopt.h>
#include <string.h>

#include "runtime/driver/sim_internal.h"

static void help_print(void) {
  printf("usage: hecaton-sim PROGRAM [options]\n\nRuns a program image: real numbers, modelled time, or both.\n\n"
         "  --mode=functional|timing|both   [both]\n"
         "  --input NAME=FILE               .npy or ONNX TensorProto; repeatable\n"
         "  --output NAME=FILE.npy          an output, grad:INITIALIZER or param:INITIALIZER; repeatable\n"
         "  --steps=N                       optimizer steps, from the run's beginning; an input with one leading axis more is taken step by step [1]\n"
         "  --set NAME=V                    lr, momentum, beta1, beta2, eps, weight-decay, clip-norm, loss-scale, loss-scale-interval;\n"
         "                                  V: a number, FILE.npy of one value a step, constant:PEAK,WARMUP, linear:PEAK,WARMUP,TOTAL[,FLOOR] or cosine:...; repeatable\n"
         "  --seed=N                        random numbers (dropout) [as compiled]\n"
         "  --report FILE.json              the account, schema hecaton-report/1\n"
         "  --threads=N                     numbers and times are the same for any N [all cores]\n"
         "  --jitter=SEED                   perturbs every latency; numbers do not change\n"
         "  --no-recurrence                 simulates every iteration, even where state recurs; same result, slower\n"
         "  --save-model FILE.onnx          the model that the program was compiled from, with the trained weights\n"
         "  --checkpoint=FILE               keeps parameters, optimizer state and losses, at the end and every 100 steps; the one before as FILE.previous\n"
         "  --checkpoint-every=N            steps from one checkpoint to the next [100]\n"
         "  --resume=FILE                   goes on from a checkpoint, or from FILE.previous where FILE is missing or corrupt, up to --steps\n"
         "  --help, --version\n");
}

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
    case 'd': return job->seed = text, parsed ? 0 : (option_refuse(job, "seed", text, "a whole number"), 1);
    case 'r': return job->report = text, 0;
    case 'R': return job->no_recurrence = true, 0;
    case 'S': return job->save_model = text, 0;
    case 'c': return job->checkpoint = text, 0;
    case 'e': return job->checkpoint_every = number, parsed && number >= 1 ? 0 : (option_refuse(job, "checkpoint-every", text, "a whole number of steps, 1 or more"), 1);
    case 'C': return job->resume = text, 0;
    default: return 2;
  }
}

int hct_sim_options_read(sim_job *job, int argc, char **argv) {
  static const struct option table[] = {
      {"mode", required_argument, NULL, 'm'}, {"input", required_argument, NULL, 'i'}, {"output", required_argument, NULL, 'o'}, {"steps", required_argument, NULL, 'n'},
      {"set", required_argument, NULL, 's'}, {"report", required_argument, NULL, 'r'}, {"threads", required_argument, NULL, 't'}, {"jitter", required_argument, NULL, 'j'}, {"seed", required_argument, NULL, 'd'},
      {"no-recurrence", no_argument, NULL, 'R'}, {"save-model", required_argument, NULL, 'S'},
      {"checkpoint", required_argument, NULL, 'c'}, {"checkpoint-every", required_argument, NULL, 'e'}, {"resume", required_argument, NULL, 'C'}, {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
  int worst = 0;
  for (int code; (code = getopt_long(argc, argv, "", table, NULL)) != -1;) {
    if (code == 'h') return help_print(), -1;
    if (code == 'V') return printf("hecaton-sim %s\n", HCT_VERSION), -1;
    int applied = option_apply(job, code, optarg);
    if (applied == 2) return 2;
    if (applied) worst = applied;
  }
  if (job->checkpoint_every && !job->checkpoint) worst = (option_refuse(job, "checkpoint-every", hct_arena_printf(job->arena, "%lld", (long long)job->checkpoint_every), "with --checkpoint=FILE"), 1);
  if (worst) return worst;
  if (optind + 1 != argc) return fprintf(stderr, "usage: hecaton-sim PROGRAM [options]; --help lists them\n"), 2;
  job->program = argv[optind];
  return 0;
}

