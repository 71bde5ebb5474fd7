/* hct-lower-to-tile: dist level to tile level. Inside this lowering only.
 *
 * A value is a *view*: a buffer in SRAM and, for each factor of the value's layout, the factor of the buffer that it walks, where
 * it starts and by which step. Reshapes, transposes, slices and broadcasts only change views. A view that an operator cannot
 * take (its factors are grouped otherwise) is copied into a dense buffer, which `hct_tile.alias` then reads under the layout
 * wanted. */
#ifndef HCT_COMPILER_CONVERT_DIST_TO_TILE_H
#define HCT_COMPILER_CONVERT_DIST_TO_TILE_H

#include "compiler/pass.h"
#include "compiler/schedule/program.h"

enum { HCT_ABSENT = -1, HCT_SECTION_NONE = -1, HCT_SECTION_FULL = 0, HCT_SECTION_REST = 1 };

typedef struct tile_step {
  int factor; /* of the buffer, or HCT_ABSENT: broadcast */
  int64_t start, step;
} tile_step;
typedef struct tile_view {
  MlirValue buffer;
  hct_layout buffer_layout; /* never partial */
  uint8_t step_count;       /* factors of the value's layout */
  tile_step steps[HCT_MAX_FACTORS];
  uint8_t fix_count;
  struct { int factor; int64_t index; } fixes[HCT_MAX_FACTORS];
} tile_view;

typedef struct tile_loops {
  uint8_t count;
  hct_factor factors[HCT_MAX_FACTORS];
} tile_loops;
/* One operand of a tile operation: which factor of its buffer each loop walks. */
typedef struct tile_operand {
  MlirValue buffer;
  tile_step steps[HCT_MAX_FACTORS];
  const tile_view *view; /* for its fixes */
} tile_operand;

/* Numbers by stage, in order: items[first[s]] to items[first[s + 1] - 1] are those of stage s. */

typedef struct tile_constant { int64_t number; MlirValue value; } tile_constant;

typedef struct lowering {
  hct_pass_context *pass;
  hct_arena *arena;
  MlirContext context;
  hct_dist_program *program;
  MlirType sram, dram, index;
  hct_builder top;      /* DRAM tensors and constants of the index type, at the start of the function */
  hct_builder outer;    /* the function's body: outside of micro-batch loops */
  hct_builder *at;      /* where operations go now: &outer or a loop body's */
  int64_t section;      /* of the body being written, or HCT_SECTION_NONE */
  hct_status status;    /* refused by a value that cannot be had; the pass gives it in the end */
  MlirValue micro_batch;/* index of the micro-batch being run, in a body */
  tile_view *views;     /* by value */
  size_t *scopes;       /* scope in which views[value] was made; 0: none */
  size_t scope_next, scope_stage, scope_body; /* SCOPE_PROGRAM below for values that stay in SRAM until the end */
  MlirValue *tensors;   /* by value: DRAM tensor of an argument, constant or spill; null otherwise */
  hct_groups ops_in, returned_in; /* operations but views and constants; returned values, where they are stored */
  MlirValue *outputs;   /* by returned value: DRAM tensor of a loss, output or gradient; null before its first store */
  bool *stored;         /* by value: returned, and in DRAM already, piece by piece */
  bool *given, *spilled;/* by returned value: stored; by value, of those that are the same for all micro-batches: spilled */
  struct { tile_constant *items; size_t count, capacity; } constants; /* of the index type */
  hct_known_orders own_orders, *orders; /* of stages that are alike */
  MlirOperation op;     /* dist operation being lowered: location, layer, pass */
  size_t stage;
  struct tile_streaming *streaming, *streams; /* of the stage, NULL: its weights are resident; of all stages that stream, NULL: none did yet */
} lowering;
enum { SCOPE_PROGRAM = 1 };

/* ---- views (dist_to_tile_views.c) ---- */
hct_layout tile_layout_stored(const hct_layout *layout); /* without partial sums */
MlirValue tile_alloc(lowering *l, const hct_layout *layout, hct_dtype dtype);
/* `elements` elements of a tile of `layout` from `first` on, as far as the die has them. */
MlirValue tile_alloc_piece(lowering *l, const hct_layout *layout, hct_dtype dtype, int64_t first, int64_t elements);
bool tile_factors_equal(const hct_factor *a, const hct_factor *b);
tile_view tile_view_whole(MlirValue buffer, const hct_layout *layout);
tile_view tile_view_fresh(lowering *l, const hct_layout *layout, hct_dtype dtype);
bool tile_view_is_whole(const tile_view *view, const hct_layout *layout); /* `layout`: of the value; a part from the start on is none */
/* `dim` with those of its factors as one that come before any which dies or time split: all, where none do. */
hct_layout tile_layout_merged(const hct_layout *layout, unsigned dim);
/* A dense copy of `view`, whose value has `layout`. */
tile_view tile_view_copy(lowering *l, const tile_view *view, const hct_layout *layout, hct_dtype dtype);
tile_view tile_view_dense(lowering *l, const tile_view *view, const hct_layout *layout, hct_dtype dtype); /* itself when whole */
/* The bytes of `whole` read under another layout of as many elements a die. */
tile_view tile_view_alias(lowering *l, const tile_view *whole, const hct_layout *layout);
/* `view` with its factors grouped as in `wanted` (same dims; per die as many elements). */
tile_view tile_view_conform(lowering *l, const tile_view *view, const hct_layout *layout, const hct_layout *wanted, hct_dtype dtype);
/* The view that a reshape, transpose, slice or broadcast makes. */
tile_view tile_view_apply(lowering *l, const hct_dist_op *op, const tile_view *operand);
/* Narrows dimension `dim` of a view to `part`'s factors from element `start` on with `step`; false when it is no box of factors. */
bool tile_view_narrow(tile_view *view, const hct_layout *whole, unsigned dim, const hct_layout *part, int64_t start, int64_t step);

/* ---- values (dist_to_tile.c) ---- */
tile_view tile_value(lowering *l, size_t value); /* loads it where needed */
void tile_value_set(lowering *l, size_t value, const tile_view *view);
void tile_value_store(lowering *l, size_t value, MlirValue tensor, bool timed); /* as a whole; timed: of this micro-batch */
const hct_dist_value *tile_info(const lowering *l, size_t value);
bool tile_is_here(const lowering *l, size_t value); /* in SRAM */
MlirValue tile_tensor(lowering *l, size_t value);   /* in DRAM: of an argument, constant or spilled value */
/* "hct_tile.load"(first, second[, index]) or "hct_tile.store"; index null: none. */
void tile_move(lowering *l, const char *name, MlirValue first, MlirValue second, MlirValue index);

/* `scf.for %i = first to end step 1`: its counter; operations go to the body through `out_body` until tile_loop_close. */
MlirValue tile_loop_open(lowering *l, int64_t first, int64_t end, hct_builder *out_body);
void tile_loop_close(lowering *l, hct_builder *body);

MlirValue tile_index(lowering *l, int64_t value); /* a constant */
void tile_views_forget(lowering *l, size_t value); /* views of what was made before are made anew from here on */
MlirValue tile_tensor_of_sum(lowering *l, size_t value); /* in DRAM: of what is summed so far */

/* ---- weights that come from DRAM for each micro-batch (dist_to_tile_stream.c) ---- */
void tile_stream_begin(lowering *l);                        /* of the stage; tile_loop has not begun */
bool tile_streams(const lowering *l, size_t value);         /* an argument that is not loaded before the loop */
bool tile_streams_sum(const lowering *l, const hct_dist_op *accumulator); /* a sum over the batch that is not in SRAM throughout */
bool tile_streams_any_sum(const lowering *l);
bool tile_loads_late(const lowering *l);                    /* there is no loop: weights that are not streamed are loaded where they are first read, too */
size_t tile_unit(MlirOperation op);                         /* equal for operators of one unit: what is streamed is loaded once for each */
void tile_stream_turn(lowering *l, size_t value);           /* a streamed argument that another unit loaded is to be loaded anew */
void tile_stream_pass(lowering *l, bool first, bool last);  /* the micro-batches whose body comes next */
void tile_stream_sum_begin(lowering *l, const hct_dist_op *accumulator); /* where it has not begun in this pass */
void tile_stream_sum_end(lowering *l, const hct_dist_op *accumulator);   /* stores it, but in the last pass */
/* `op` is lowered: in the last pass, or where there is none, so is now what waited for it and comes after the loop. */
hct_status tile_stream_done(lowering *l, const hct_dist_op *op);
bool tile_stream_is_done(const lowering *l, const hct_dist_op *op);

/* ---- a stage (dist_to_tile.c) ---- */
hct_status tile_op_lower(lowering *l, const hct_dist_op *op); /* whatever it is */
void tile_value_spill(lowering *l, size_t value);
void tile_returned_of(lowering *l, size_t value);             /* stores what this stage returns of it, once */
bool tile_stage_has_loop(const lowering *l);
size_t tile_stage_op_count(const lowering *l);
const hct_dist_op *tile_stage_op(const lowering *l, size_t at);
const hct_dist_op *tile_accumulator_of(const lowering *l, const hct_dist_op *op);
bool tile_accumulates_directly(const lowering *l, const hct_dist_op *op);
/* A sum whose operand is a pad of zeros is taken in place: what is padded is added to where the other operand lies, which nothing else reads. The pad
 * and the sum have no buffers (dist_to_tile_sums.c). */
bool tile_is_add(const hct_dist_op *op);
size_t tile_sum_held(const lowering *l, const hct_dist_op *op); /* the operand whose buffer a sum in the loop takes over; SIZE_MAX: it has one of its own */
bool tile_pad_joins(const lowering *l, const hct_dist_op *op);  /* a pad that is added so, or to an accumulator */
void tile_sum_lower(lowering *l, const hct_dist_op *op);        /* of which tile_sum_held holds */
void tile_sum_pad(lowering *l, const hct_dist_op *pad, const tile_view *sum); /* adds what it pads */
/* Puts the *count operations of the stage's loop, given by their places in the stage, in the order in which they are to run; an all-gather may come more than
 * once, and what reads it then reads the latest. Refused: a trial, of what fits in SRAM in no order (dist_to_tile_order.c). */
hct_status tile_order(lowering *l, size_t **order, size_t *count);

/* ---- operations (dist_to_tile_ops.c) ---- */
typedef struct tile_attrs { size_t count; hct_named items[16]; } tile_attrs;
void tile_attr(tile_attrs *attrs, const char *name, MlirAttribute value);
/* Emits "hct_tile.NAME" with layer, pass and location of the operation being lowered. */
void tile_emit(lowering *l, const char *name, size_t operand_count, const MlirValue *operands, const tile_attrs *attrs);
/* The same with loops, maps and fixes of `operands`. */
void tile_emit_loops(lowering *l, const char *name, const tile_loops *loops, size_t operand_count, const tile_operand *operands, tile_attrs *attrs);
void tile_fill(lowering *l, MlirValue buffer, double scalar);
void tile_add_to(lowering *l, const tile_view *into, const tile_view *value, const hct_layout *layout, const char *fn);
/* Writes the value to its place in `whole`, from element starts[d] of dimension d on; "add" adds it to what is there, "mov" does not. */
void tile_write_part(lowering *l, size_t value, const tile_view *whole, const hct_layout *whole_layout, const int64_t *starts, const char *fn);
/* `result` becomes the "sum" or "max" of `view`, whose layout is `layout`, over its first factor. */
void tile_reduce_first(lowering *l, const tile_view *result, const tile_view *view, const hct_layout *layout, const char *kind);
/* Lowers a compute operation. `into`, when not NULL, is an accumulator to add to in place of a fresh result. */
hct_status tile_lower_compute(lowering *l, const hct_dist_op *op, const tile_view *into);
/* Cycles of the MXU for a contraction of the tiles at `place`, with the operand first that makes it faster. */
double tile_contract_cycles(const lowering *l, const hct_dist_op *op, const hct_place *place);
/* Whether tile_lower_compute can add to an accumulator. */
bool tile_can_accumulate(const hct_dist_op *op);

/* ---- what operations take (dist_to_tile_order_cost.c) ---- */
int64_t tile_value_bytes(const lowering *l, size_t value, const hct_place *place); /* of a die's tile, in its storage type */
/* What an operation takes of which engines, where nothing else does. `stalls`: of a collective, for how much of it the sequencer waits, since its steps do not all
 * fit in a queue. */
enum { TILE_ENGINE_MXU = 1, TILE_ENGINE_VPU = 2, TILE_ENGINE_ROW = 4, TILE_ENGINE_COL = 8 };
typedef struct tile_op_cost { unsigned engines; double seconds, stalls; } tile_op_cost;
tile_op_cost tile_order_cost(const lowering *l, const hct_dist_op *op, const hct_place *place);

/* ---- the optimizer step (dist_to_tile_update.c) ---- */
void tile_lower_update(lowering *l, const hct_dist_op *op);

/* ---- collectives (dist_to_tile_collectives.c) ---- */
bool tile_is_collective(const char *name);
hct_status tile_lower_collective(lowering *l, const hct_dist_op *op);
/* The own part over `axis` (r, c or rc) of a whole buffer's factor, and the whole from all parts; `collective` is what reports call it. */
void tile_part_take(lowering *l, const tile_view *whole, const tile_view *part, const char *axis, int factor);
void tile_parts_gather(lowering *l, const tile_view *whole, const tile_view *part, const char *axis, int factor, const char *collective);

/* ---- activations that lie in DRAM between stages (dist_to_tile_spill.c) ---- */
typedef struct tile_spill {
  const char *axis;  /* NULL: as the value is; r, c, rc: dies that hold the same store a part each, and gather it again */
  int factor;
  hct_layout layout; /* in DRAM */
} tile_spill;
tile_spill tile_spill_plan(const lowering *l, size_t value);

#endif
