/* The dist-level function as plain tables, and the schedule over it: which fusion group ("stage") each operation runs in, and
 * whether before, inside or after that stage's loop over micro-batches. Read once by hct-lower-to-tile. */
#ifndef HCT_COMPILER_SCHEDULE_PROGRAM_H
#define HCT_COMPILER_SCHEDULE_PROGRAM_H

#include "compiler/schedule/residency.h"
#include "ir/dialect/ir.h"

typedef enum hct_when { HCT_BEFORE_LOOP = 0, HCT_IN_LOOP = 1, HCT_AFTER_LOOP = 2 } hct_when;

typedef struct hct_dist_value {
  MlirValue value;
  size_t op;          /* defining operation, or SIZE_MAX for a function argument */
  size_t arg;         /* its index when op is SIZE_MAX */
  hct_shape shape;
  hct_layout layout;
  size_t uses;        /* operand slots, the function's results included */
  size_t only_user;   /* when uses is 1: the operation, or SIZE_MAX for the function's return */
  bool timed;         /* differs from micro-batch to micro-batch: split over t, or partial over it */
  size_t replaces;    /* the argument whose new contents it is, where it is returned once; SIZE_MAX: none */
  bool spilled;       /* written to DRAM by its stage, read back by later ones */
  size_t last_stage;  /* last stage that reads it (arguments: from DRAM) */
} hct_dist_value;

typedef struct hct_dist_op {
  MlirOperation op;
  const char *name;
  size_t operand_count, result_count;
  size_t *operands, *results; /* value indices */
  bool timed;        /* runs inside the loop */
  bool view;         /* reshape, transpose, slice, broadcast: made anew wherever it is needed */
  bool accumulate;   /* all_reduce over t */
  bool waits;        /* optimizer step: for the norm of all gradients, which the last stage makes */
  size_t stage;
  hct_when when;
} hct_dist_op;

typedef struct hct_dist_program {
  hct_arena *arena;
  MlirOperation function;
  hct_dist_op *ops;
  size_t op_count;
  hct_dist_value *values;
  size_t value_count;
  size_t arg_count;     /* values [0, arg_count) are the arguments */
  hct_groups readers;   /* by value: operators that read it, in order, one an operand slot */
  size_t *returned;     /* value indices */
  size_t *replaced;     /* by returned value: the argument whose new contents it is (a param, state or copy); SIZE_MAX: none */
  size_t returned_count;
  size_t stage_count;
  size_t group_count;   /* fusion groups of hct-assign-layers, at least 1 */
  size_t *unit_stages;  /* 2 * group_count: stage of forward of groups 0, 1, ..., then of backward of ..., 1, 0 (hct.stages; absent: each its own) */
  hct_residency *unit_residency, *residency; /* by unit (hct.streamed; absent: all resident); by stage */
  int64_t batch, micro_batch;
} hct_dist_program;

/* Reads a verified dist-level module. A value without sharding, and hct.stages of another number of groups, are refused (HCT_E_PARTITION). */
hct_status hct_dist_program_read(hct_diags *diags, hct_arena *arena, MlirModule module, hct_dist_program *out_program);

/* Stages: of forward and backward of each fusion group, as hct-fuse-groups put them together; without it forward of group g is stage g, its backward
 * stage 2 G - 1 - g. Moved later where a value accumulated over the whole batch is needed inside a loop. Where forward and backward of the last
 * group are one stage, what is accumulated of inputs alone comes in the first, before it (method.md: "the denominator of a mean loss is computed first").
 * An optimizer step waits for the last stage that reads what it replaces. Also decides which values cross stages through DRAM: those that differ
 * from micro-batch to micro-batch, and with `layerwise`, or where they are more than `kept_bytes` of whole tensors together (gradients of a tied weight), all
 * others too, so that nothing stays in SRAM from stage to stage. What is made of weights alone, for a loop of a stage that streams them, is made in it. Gradients whose steps wait for the norm of all are counted `whole` times: as many more the layers
 * have that a short module leaves out. Every operation but views and constants gets stage and when. */
void hct_schedule_stages(hct_dist_program *program, bool layerwise, int64_t kept_bytes, double whole);

bool hct_dist_op_is_view(const char *name); /* "hct_graph.reshape", transpose, slice, broadcast */
/* The value that `value` is a view of, through reshape, transpose, slice and broadcast; itself when it is none. */
size_t hct_dist_view_root(const hct_dist_program *program, size_t value);
bool hct_dist_is_constant(const hct_dist_program *program, size_t value);

#endif
