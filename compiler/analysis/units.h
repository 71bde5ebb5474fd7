/* The step as a sequence of units, and what stages of consecutive units need of DRAM and SRAM: forward of groups 0 ... G-1, then backward of
 * G-1 ... 0, as hct-assign-layers numbers groups. An operator is in the unit of its hct.group and hct.pass, or where the last of what it reads is
 * made, if that is later (an optimizer update: where its gradient is whole). From the workload alone: bytes are those of whole tensors. */
#ifndef HCT_COMPILER_ANALYSIS_UNITS_H
#define HCT_COMPILER_ANALYSIS_UNITS_H

#include "compiler/analysis/factors.h"

/* What a unit reads: an argument, or an activation. `key` is the same for what need be read once: the whole value, or its rows of equal ids. */
typedef struct hct_unit_read { size_t value, key, group; int64_t rows; bool weight; } hct_unit_read; /* group: of an optimizer step its gradient's, else the unit's; rows: looked up; -1: the whole value is read */
typedef struct hct_lookup { size_t table, ids; } hct_lookup;

typedef struct hct_unit {
  struct { hct_unit_read *items; size_t count, capacity; } reads;
  struct { size_t *items; size_t count, capacity; } made, last_read; /* activations made here, and those read here last */
  int64_t accumulators; /* bytes */
  int64_t matrices;     /* bytes of weights of more than one dimension that it reads */
} hct_unit;

typedef struct hct_units {
  const hct_flow *flow;
  const bool *sampled;
  hct_arena *arena;
  bool lowered; /* what programs read: of a table that is looked up all rows, and settings; else what a step cannot do without */
  hct_unit *items;
  size_t count;    /* 2 G */
  size_t *unit_of; /* by value: where it is made; 0 for arguments */
  size_t *last;    /* by activation: the last unit that reads it */
  bool *returned;  /* by activation: written as a result in any case */
  struct { hct_lookup *items; size_t count, capacity; } lookups;
} hct_units;

/* `sampled`, by value: an activation, of which there is one a sample (it is cut in time). What is summed over samples is an accumulator. */
hct_units hct_units_read(hct_arena *arena, const hct_flow *flow, const bool *sampled, bool lowered);
size_t hct_units_of(const hct_units *units, size_t op); /* SIZE_MAX: views and constants are made wherever they are needed */

bool hct_units_is_matrix(const hct_units *units, const hct_unit_read *read); /* a weight of more than one dimension */
size_t hct_units_root(const hct_units *units, size_t value); /* what a view is of */

/* Groups of one of many equal layers, forward and backward alike; it has equal ones on both sides (units_repeat.c). */
typedef struct hct_layer_units { size_t first, length; } hct_layer_units;
bool hct_units_find_layer(const hct_units *units, hct_layer_units *out_layer);                      /* false: there are no five layers alike */
bool hct_units_in_layer(const hct_units *units, const hct_layer_units *layer, size_t value);        /* whether it is made there, or of a gradient that is */
size_t hct_units_group(const hct_units *units, size_t op); /* of its unit; of an optimizer step, and copies of what it makes, the gradient's: the step may wait */
/* The same with that layer `copies` times more. For stages only: values have no operators behind them. */
hct_units hct_units_repeat(const hct_units *units, const hct_layer_units *layer, size_t copies);

/* A stage of units [first, last], while `last` grows. */
typedef struct hct_stage_need {
  size_t first, number;
  int64_t read_bytes;     /* arguments and activations of earlier stages, each once */
  int64_t pending_bytes;  /* activations made in it that a later unit reads, each once */
  int64_t resident_bytes; /* weights and accumulators, which stay in SRAM while all samples go through */
  int64_t matrix_bytes, sum_bytes; /* of these: weights of more than one dimension, accumulators */
  int64_t unit_matrix_bytes;       /* such weights, for each unit that reads them */
  size_t *seen;           /* by key: number of the stage that read it last */
  size_t *weighed;        /* by value, likewise: held as a weight */
  int64_t *argument;      /* by value, of arguments: bytes that this stage reads */
} hct_stage_need;

hct_stage_need hct_stage_need_create(const hct_units *units);
void hct_stage_begin(const hct_units *units, hct_stage_need *stage, size_t first);
void hct_stage_extend(const hct_units *units, hct_stage_need *stage, size_t unit); /* first, first + 1, ... */

#endif
