/* What hct_choose chooses among: candidates, what is left to choose, and what is found out of one. Inside the driver only. */
#ifndef HCT_BACKENDS_DRIVER_CANDIDATES_H
#define HCT_BACKENDS_DRIVER_CANDIDATES_H

#include "backends/backend.h"
#include "compiler/pipeline.h"

enum { MOST_TOKEN_BLOCKS = 16 };

typedef struct candidate {
  const char *strategy, *orientation, *micro_batch, *recompute, *groups, *units, *token_blocks, *weights, *weight_pieces;
  bool whole;          /* the estimate is of all layers, not of those alone that are compiled */
  bool streaming_pays; /* weights that are streamed may be better, as hct-fuse-groups estimates */
  bool fits, dram_short; /* DRAM does not hold all that is worth storing for backward */
  bool dram_full;        /* DRAM does not hold what it takes, however little SRAM it would need */
  hct_interleaving interleaving;
  int64_t sram_bytes;
  hct_estimate estimate;
  uint64_t dram_bytes;      /* of candidate_weigh: over all dies, of the layers that are there */
  int64_t least_sram_bytes; /* likewise: what it takes in any order */
  bool crowded;             /* likewise: no order is found at once in which it fits */
  int64_t parameter_sram_bytes; /* of candidate_try and candidate_weigh: what one parameter of it takes, or piece of one, whatever else is chosen */
  int64_t needs_sram_bytes; /* of candidate_may_fit, what that takes in any order; of candidate_try, likewise of what takes more than half of SRAM, as far as it got */
} candidate;
typedef struct candidate_list {
  candidate *items;
  size_t count, capacity;
} candidate_list;

/* ---- what is left to choose ---- */
bool choice_is_auto(const hct_pass_context *pass, const char *option, const char *fallback);
bool choice_any_recompute(const hct_pass_context *pass);
bool choice_any_token_blocks(const hct_pass_context *pass);
bool choice_any_weights(const hct_pass_context *pass);
const char *choice_first_weights(const hct_pass_context *pass); /* of --weights, what is tried first */
bool choice_any_groups(const hct_pass_context *pass, MlirModule module); /* with a single sample all activations stay in SRAM */
hct_objective choice_objective(const hct_pass_context *pass);
/* Dimension `dim` of the first input that has one, as the partitioner takes the batch (0) and hct-block-tokens the sequence (1); 1: none has. */
int64_t choice_input_size(MlirModule module, size_t dim);
typedef void (*choice_visit)(const char *strategy, const char *orientation, void *data);
void choice_strategies_visit(hct_pass_context *pass, choice_visit visit, void *data); /* each strategy, in each orientation, that is left to choose */
void choice_groups_tell(const hct_pass_context *pass, const candidate *best); /* remarks: that other groups are taken than those of least estimated cost */
void choice_layers_tell(const hct_pass_context *pass);                        /* that groups are made of layers */

/* ---- one of them ---- */
void candidate_options_set(hct_map *options, hct_arena *arena, const candidate *c);
/* Compiles a copy of the module up to its streams, silently: fits, estimate and what else is known by then. */
void candidate_try(const hct_pass_context *pass, MlirModule module, candidate *c);
/* Compiles a copy of the module as far as its loads and stores are known, silently, which takes a fraction of that: dram_bytes, those of its streams,
 * least_sram_bytes and crowded. False: it fits in no case. */
bool candidate_weigh(const hct_pass_context *pass, MlirModule module, candidate *c);
/* Whether the candidate, or the same with groups of one block and nothing computed again, may fit in any order: sets needs_sram_bytes. */
bool candidate_may_fit(const hct_pass_context *pass, MlirModule module, candidate *c);
bool candidate_better(const hct_pass_context *pass, const candidate *a, const candidate *b); /* by --objective */
const char *candidate_name(const hct_pass_context *pass, const candidate *c);
const char *candidate_step_text(const hct_pass_context *pass, const candidate *c); /* how long its step is predicted to take, and how much of what is to be little */

/* ---- the shortest step, or the least energy (choose_time.c) ---- */
/* Adds to the list what was tried. `layers`: equal ones of the whole model, where `module` has some of them; else 0. `tight`: little seems to fit. The best by number; SIZE_MAX: none fits. */
size_t choose_time(hct_pass_context *pass, MlirModule module, size_t layers, bool tight, candidate_list *list);

/* ---- fewest DRAM bytes (choose_dram.c) ---- */
/* Adds to the list what was tried of the strategy in the orientation with groups of `units`; *best: the number of the best of the list, SIZE_MAX: nothing fits so far. */
void choose_dram(hct_pass_context *pass, MlirModule module, const char *strategy, const char *orientation, const char *units, candidate_list *list, size_t *best);
/* What is best with groups of one block each, with groups of several layers: in the largest share of SRAM, no larger than c->groups if that is one, in which they seem to fit
 * and move less, and, if `compiled`, do fit. False: none is found. */
bool choose_dram_fused(const hct_pass_context *pass, MlirModule module, bool compiled, candidate *c);

#endif
