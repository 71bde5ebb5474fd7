/* Chiplet backend: tile level to a program image.
 *   read.c      the tile module as a tree of plain structs
 *   unfold.c    layers that passes did not see put back
 *   fold.c      layers that repeat: compiled a few times, written as a loop
 *   interleave.c     several micro-batches of a loop at once, loops joined
 *   list_schedule.c  operations in the order in which engines can start them
 *   rotate.c    the beginning of a loop's next iteration inside the one before
 *   prefetch.c  loads earlier, where SRAM has room
 *   allocate.c  SRAM by liveness, DRAM regions
 *   memory_map.c     what they are taken by, for reports and refusals
 *   nest.c      one structured operation: extents and strides on one die, as few and as large instructions as they allow
 *   emit.c      the stream of one die
 *   regions.c   what has been touched, by place
 *   sync.c      who waits for whom: semaphores between engines, fences around loops
 *   dram_bytes.c     what is moved, before anything is placed
 *   image.c     all dies, equal streams shared; tensors, locations, options */
#ifndef HCT_BACKENDS_CHIPLET_CHIPLET_H
#define HCT_BACKENDS_CHIPLET_CHIPLET_H

#include "compiler/pass.h"
#include "ir/isa/image.h"
#include "ir/support/spans.h"
#include "ir/timing/estimate.h"

typedef struct chiplet_buffer { /* in SRAM */
  const hct_layout *layout; /* one of each that the program was read with */
  hct_dtype dtype;
  int64_t section;       /* -1, 0 full micro-batches, 1 the last one */
  int64_t piece_first, piece_elements; /* elements of the tile that it holds, as far as the die has them; 0 elements: all */
  int64_t bytes, addr;   /* the largest tile; the same address on all dies */
  bool twin;             /* double-buffered: iterations of its loop alternate between addr and addr + chiplet_pitch (its storage says so) */
  size_t first, last;    /* operations between which it is live */
  size_t storage;        /* the buffer whose bytes it is: itself unless an alias */
  size_t alike, next_alike; /* of those that are to have one address: the first to live, the next; SIZE_MAX: none */
  const char *made_for;  /* location of the operation that allocates it */
} chiplet_buffer;

typedef enum chiplet_kind {
  CHIPLET_LOOP, CHIPLET_LOAD, CHIPLET_STORE, CHIPLET_MATMUL, CHIPLET_MAP, CHIPLET_FILL, CHIPLET_REDUCE, CHIPLET_ROWS, CHIPLET_DROPOUT, CHIPLET_UPDATE, CHIPLET_CAST,
  CHIPLET_GATHER_STEP, CHIPLET_SCATTER_STEP, CHIPLET_COPY_PART,
} chiplet_kind;

typedef struct chiplet_walk { int factor; int64_t start, step; } chiplet_walk; /* factor -1: the operand does not vary */
typedef struct chiplet_fix { int factor; int64_t index; } chiplet_fix;
typedef struct chiplet_operand { /* copies of an operation have buffers of their own, and share the rest */
  size_t buffer;
  const chiplet_walk *walks; /* by loop */
  const chiplet_fix *fixes;
  int fix_count;
} chiplet_operand;

typedef struct chiplet_op {
  chiplet_kind kind;
  size_t order;               /* position in the linearised program */
  int64_t ps;                 /* alone (chiplet_times_measure) */
  uint32_t source;
  int64_t section;
  const char *fn;             /* of map, reduce, rows, update, steps */
  bool accumulate, has_scalar, in;
  double scalar;
  size_t operand_count;
  chiplet_operand *operands; /* of this operation alone */
  size_t tensor;              /* load, store */
  bool timed;                 /* an index, of a micro-batch or of a piece, is given: constant_index, or a loop's counter when that is -1 */
  int64_t constant_index;
  int64_t index_scale, index_offset; /* of a loop's counter: the index is counter * scale + offset */
  int loop_count, row_loops;
  const hct_factor *loops;
  int factor;                 /* steps, copy_part */
  bool over_time;             /* copy_part: the part of a micro-batch, not of a die */
  hct_ring ring;              /* steps, copy_part */
  int lane;                   /* steps: 0 whole parts; 1, 2 the first or second half of each */
  int within;                 /* steps: hct_ring whose own part is divided further; -1 the whole buffer */
  const char *table_axes;
  int64_t classes, run_first, run_of; /* gather, scatter: the table's rows, in a table of how many */
  size_t stream;              /* dropout: which of the program's */
  const int64_t *numbers;     /* dropout: what a unit of each loop adds to an element's number, then the first element's */
  /* loops */
  int64_t trips;
  struct chiplet_op *body;
  size_t body_count, body_end; /* order of the last operation inside */
  bool over_layers;     /* the loop is over layers, else over micro-batches, pieces or ring steps */
  const struct chiplet_op *copy_of; /* of layers that were put back (unfold.c): copies of one are alike; NULL: not known */
  size_t period_of;     /* not 0: a period of the repeat of this number less one begins here */
  int64_t layer_stride; /* in a loop over layers, from one to the next: load, store: bytes between their tensors; dropout: numbers of streams */
} chiplet_op;

typedef struct chiplet_repeat { /* fold.c */
  size_t first, period; /* operations of the program that it was found in */
  int64_t count, left_out; /* periods */
  int64_t *next_buffer, *next_tensor, *next_source, *next_stream; /* what takes the place of each in the period after; -1: none */
} chiplet_repeat;
typedef struct repeat_list { chiplet_repeat *items; size_t count, capacity; } repeat_list;

typedef struct chiplet_program {
  hct_pass_context *pass;
  hct_arena *arena;
  int64_t rows, cols, batch, micro_batch;
  chiplet_op *ops;
  size_t op_count;
  struct { chiplet_buffer *items; size_t count, capacity; } buffers;
  struct { hct_tensor *items; size_t count, capacity; } tensors;
  struct { hct_source *items; size_t count, capacity; } sources;
  struct { int64_t *items; size_t count, capacity; } streams; /* of random numbers: `stream` of dropouts, each once */
  hct_map *source_index, *layouts; /* by what their text says */
  int64_t sram_bytes, dram_bytes;
  repeat_list repeats;
  int64_t layer_step; /* periods of an iteration over layers */
  size_t *same_tensor; /* by tensor: the one whose place it takes in the schedule, as both lie at the same bytes, or layers between were left out */
} chiplet_program;

typedef struct op_list { chiplet_op *items; size_t count, capacity; } op_list;

hct_status chiplet_read(chiplet_program *program, MlirModule module);
hct_status chiplet_tensor_data(chiplet_program *program, const char *reference, hct_tensor *tensor); /* sets where its initial contents are (data.h) */
/* Contents of an image's parameters, which a trial does without: as the module, and what was left out of it (or NULL), say. */
hct_status chiplet_parameters_read(hct_pass_context *pass, MlirModule module, hct_arena *arena, const hct_left_out *left_out, hct_image *image);
/* Puts the layers that pass->left_out says are missing into a program that was just read. False, and the program as before: they cannot be told from others. */
hct_status chiplet_unfold(chiplet_program *program, bool *out_unfolded);
/* Runs of at least `fewest` periods that are alike. */
void chiplet_repeats_find(const chiplet_program *program, hct_arena *arena, int64_t fewest, repeat_list *out_repeats);
/* The program with fewer periods of each repeat, for chiplet_roll to make loops of `step` periods of, once it is interleaved and allocated.
 * False: nothing repeats. */
bool chiplet_fold(const chiplet_program *program, int64_t step, chiplet_program *out_program);
/* Buffers that are to lie at one address: `alike`. Of layers that are folded; `all`: also of those beside them that are like them, which are the same instructions then, so
 * that the simulator knows what comes of them. */
void chiplet_join_places(chiplet_program *program, bool all);
bool chiplet_roll(chiplet_program *program); /* false: some repeat's iterations have not become alike */
void chiplet_number(chiplet_program *program); /* positions, and the positions between which buffers live, anew */
void chiplet_times_measure(chiplet_program *program); /* of every operation, as long as it is not allocated */
/* The program with `copies` micro-batches an iteration of each loop over them (fewer where it has fewer); joined: with the ends of loops and
 * what is between them in one schedule; none: in the order written. `program` is as before. */
chiplet_program chiplet_interleave(const chiplet_program *program, int64_t copies, bool joined);
void chiplet_rotate(chiplet_program *program, int64_t room); /* what each iteration begins with, before the end of the one before, with at most `room` bytes live */
void chiplet_prefetch(chiplet_program *program, int64_t room); /* loads before what they are for, with at most `room` bytes live while they wait; the order else as written */
op_list chiplet_list_schedule(const chiplet_program *program, const chiplet_op *ops, size_t count);
int64_t chiplet_op_ps(const chiplet_program *program, const chiplet_op *op); /* on die (0, 0), from the instructions that it becomes */
bool chiplet_is_piece_loop(const chiplet_op *op); /* holds an optimizer step: over pieces of tiles, not micro-batches */
bool chiplet_is_ring_loop(const chiplet_op *op);
bool chiplet_is_batch_loop(const chiplet_op *op); /* over micro-batches */
bool chiplet_stores_to(const chiplet_program *program, const chiplet_op *op, size_t tensor); /* or to one that lies at the same bytes */
bool chiplet_only_reads(const chiplet_op *op, size_t operand); /* else it may write it */
/* A copy of an operation of a loop, with other buffers (`clone`, by buffer; NULL: the same) and for another micro-batch: constant >= 0, outside of any
 * loop, or counter * scale + offset. */
typedef struct chiplet_numbering { int64_t constant, scale, offset; } chiplet_numbering;
chiplet_operand *chiplet_operands_copy(hct_arena *arena, const chiplet_op *op);
chiplet_op chiplet_op_copy(chiplet_program *program, const chiplet_op *op, const size_t *clone, chiplet_numbering numbering);
bool chiplet_are_halves(const chiplet_op *a, const chiplet_op *b); /* of one collective, on different rings */
hct_status chiplet_allocate(chiplet_program *program); /* SRAM */
bool chiplet_lives_fit(chiplet_program *program); /* in SRAM, if nothing had holes or two buffers: else chiplet_allocate fails */
hct_status chiplet_allocate_dram(chiplet_program *program);
void chiplet_sram_map(const chiplet_program *program, hct_sram_map *out_map); /* of an allocated program, in its arena */
/* `needed`: by the placement, holes between buffers included. `without_place`: the buffer that found no place; NULL: the bytes that live at once are too many. */
hct_status chiplet_refuse_sram(const chiplet_program *program, int64_t needed, const chiplet_buffer *without_place);
hct_status chiplet_refuse_dram(const chiplet_program *program);
void chiplet_buffers_measure(chiplet_program *program); /* their bytes */
int64_t chiplet_pitch(const chiplet_buffer *buffer); /* bytes that a buffer takes, alignment included */
hct_place chiplet_place(const chiplet_program *program, int64_t section, int64_t row, int64_t col);

/* ---- one die's stream, while it is written (sync.c) ---- */
typedef struct chiplet_access { /* bytes that an item touches, all its loops included */
  hct_space space;
  int64_t start, end;
  bool write;
  bool twin; /* of a double buffer: the bytes of even iterations stand for those of both */
  int64_t moves;  /* not 0: bytes by which what is touched moves from one iteration to the next; it is `at` to `at_end` in the first, start to end in all */
  int64_t at, at_end;
  size_t lane_of; /* not 0: only bytes of `lane`, 1 or 2, of the buffer of this number less one */
  int lane;
} chiplet_access;
typedef struct chiplet_awaited { hct_engine producer; size_t number; } chiplet_awaited; /* an item of this iteration */
typedef struct chiplet_item { /* instructions of one engine that wait and signal as one */
  hct_engine engine;          /* HCT_ENGINE_SEQ: a loop's begin or end, or a fence; carries no syncs */
  size_t number;              /* among its engine's since the last fence */
  struct { hct_instr *items; size_t count, capacity; } code;
  struct { uint8_t *items; size_t count, capacity; } waits, signals; /* semaphores, one token each */
  struct { chiplet_awaited *items; size_t count, capacity; } awaited; /* what the waits are for */
  struct { chiplet_access *items; size_t count, capacity; } accesses;
} chiplet_item;
typedef struct chiplet_latest { size_t end, item; } chiplet_latest; /* number plus one; 0: none */
typedef struct chiplet_region {
  hct_span span;
  chiplet_access access; /* its `write` says nothing */
  chiplet_latest latest[HCT_ENGINE_COUNT][2]; /* reads, writes */
  struct chiplet_region *next; /* among those not in use */
} chiplet_region;
typedef struct chiplet_regions {
  hct_spans spans[3]; /* by space; of HCT_SPACE_NUMBER, whose turn it is */
  chiplet_region *unused;
} chiplet_regions;
void chiplet_regions_add(hct_arena *arena, chiplet_regions *regions, const chiplet_access *access, hct_engine engine, size_t number, size_t item);
void chiplet_regions_forget(chiplet_regions *regions, const chiplet_access *access); /* all that lie inside of it */
void chiplet_regions_clear(chiplet_regions *regions);
/* The next region that overlaps the access; NULL after the last. Nothing may be added or forgotten in between. */
const chiplet_region *chiplet_regions_next(const chiplet_regions *regions, const chiplet_access *access, hct_span_cursor *cursor);
typedef struct chiplet_dependence { bool row, col; } chiplet_dependence;
typedef struct chiplet_stream {
  const chiplet_program *program;
  hct_arena *arena;
  int64_t row, col;
  chiplet_dependence *depends; /* noted: what is written is another on another row, on another column; NULL: not wanted */
  bool takes_turns;        /* --overlap=none: while a collective runs, MXU and VPU do nothing */
  unsigned depth;          /* sequencer loops open */
  int batch_level;         /* level of the micro-batch loop, -1 outside */
  int layer_level;         /* likewise of the loop over layers */
  struct { chiplet_item *items; size_t count, capacity; } items;
  chiplet_regions regions; /* since the last fence */
  size_t counts[HCT_ENGINE_COUNT];
  size_t synced[HCT_ENGINE_COUNT][HCT_ENGINE_COUNT]; /* [producer][consumer]: items of the producer that the consumer knows to be complete */
  uint8_t semaphores[3][HCT_ENGINE_COUNT][HCT_ENGINE_COUNT]; /* by distance in iterations, producer, consumer: number plus one, 0 none yet */
  uint8_t semaphore_next;
} chiplet_stream;
/* Adds an item that must run after what `needs` conflicts with, and touches `needs` itself. Returns its code to fill. */
chiplet_item *chiplet_item_add(chiplet_stream *stream, hct_engine engine, size_t access_count, const chiplet_access *accesses);
void chiplet_sequencer_add(chiplet_stream *stream, hct_instr instr);
void chiplet_fence(chiplet_stream *stream); /* nothing when nothing was issued since the last */
/* Lets the iterations of a loop overlap, whose body is the items from `first` on (and nothing else since the last fence): tokens for what
 * iterations must not do to each other, credited before the loop, drained after it. `loop` is the item that opens it. */
void chiplet_loop_carry(chiplet_stream *stream, size_t loop, size_t first);
void chiplet_item_push(chiplet_stream *stream, chiplet_item *item, hct_instr instr);
hct_stream chiplet_stream_finish(chiplet_stream *stream); /* flattens: waits and signals beyond four by `sync` */

/* ---- emission ---- */
void chiplet_emit(chiplet_stream *stream);
void chiplet_emit_ops(chiplet_stream *stream, const chiplet_op *ops, size_t count);
void chiplet_nest(chiplet_stream *stream, const chiplet_op *op); /* matmul, map, reduce, rows, fill, update, copy_part (nest.c) */
void chiplet_update(chiplet_stream *stream, const chiplet_op *op);
hct_instr chiplet_instr(const chiplet_stream *stream, const chiplet_op *op, uint8_t opcode);
hct_instr chiplet_loop(const chiplet_stream *stream, unsigned level, int64_t trips, uint32_t source);
int64_t chiplet_extent(const chiplet_stream *stream, const hct_factor *factor, int64_t section);
/* Elements from one unit of `factor` of the buffer to the next, on this die. */
int64_t chiplet_stride(const chiplet_stream *stream, const chiplet_buffer *buffer, int factor);
int64_t chiplet_elements(const chiplet_stream *stream, const chiplet_buffer *buffer);
int64_t chiplet_piece_elements(const chiplet_buffer *buffer, int64_t tile_elements); /* that the buffer holds of a tile of so many */
/* Adds the micro-batch or piece that runs, times `stride`. */
void chiplet_index_add(const chiplet_stream *stream, const chiplet_op *op, hct_addr *addr, int64_t stride);
/* Adds where the elements of the piece begin in the whole tile, of `op`'s index where it has one; `size` bytes an element. */
void chiplet_piece_add(const chiplet_stream *stream, const chiplet_op *op, const chiplet_buffer *piece, int64_t size, hct_addr *addr);
chiplet_access chiplet_access_of(const chiplet_stream *stream, const chiplet_buffer *buffer, bool write);
hct_range chiplet_part_range(const chiplet_stream *stream, hct_ring ring, int64_t extent, int64_t part);
/* Notes that what is written depends on the die's place along the ring. */
void chiplet_depend(const chiplet_stream *stream, hct_ring ring);
/* Byte `offset` of the buffer, in the copy that this iteration uses. */
hct_addr chiplet_addr(const chiplet_stream *stream, const chiplet_buffer *buffer, int64_t offset);

/* The program image and how long its step will take (NULL: not wanted). --overlap=ring interleaves as many micro-batches as make it best for --objective. */
hct_status chiplet_build(hct_pass_context *pass, MlirModule module, hct_arena *arena, hct_image *out_image, hct_estimate *out_estimate);
/* Bytes that the module at tile level loads from and stores to DRAM in a step, over all dies and of the layers that are there: those of the program that is made of it. */
hct_status chiplet_dram_bytes(hct_pass_context *pass, MlirModule module, uint64_t *out_bytes);

#endif
