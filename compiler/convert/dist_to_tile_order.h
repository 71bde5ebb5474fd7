/* Orders of a stage's operations (dist_to_tile_order.c): what there is to order, and what lives at once. Inside that lowering only.
 *
 * Nodes are operations in the loop; each takes bytes of SRAM for its result until the last that reads it is done. All arrays live in the ordering's arena. */
#ifndef HCT_COMPILER_CONVERT_DIST_TO_TILE_ORDER_H
#define HCT_COMPILER_CONVERT_DIST_TO_TILE_ORDER_H

#include "compiler/convert/dist_to_tile.h"

enum { TILE_ORDER_COMMON = 8 /* readers that make a result or a load one that is there for most of the loop */ };

typedef struct index_list { size_t *items; size_t count, capacity; } index_list;
typedef struct read_of { size_t of, times; } read_of; /* a node or a load, by so many operands */
typedef struct read_list { read_of *items; size_t count, capacity; } read_list;
typedef struct order_node {
  size_t at; /* in the stage */
  tile_op_cost cost;
  double path;
  int64_t bytes;      /* its result takes, until the last reader */
  int64_t least_growth; /* as if it were the last reader of all that it reads */
  index_list before, after;
  read_list reads, loads; /* nodes whose results it reads; loads that it reads */
  size_t waits_all, readers_all;
  bool common;        /* others add to its result in place, or many read it: it will have to live in any case */
  bool root;          /* nothing reads it, or it adds to a sum in place: what comes next may be another such */
  bool sum;           /* it adds in place to a sum of this loop, not to an accumulator */
  bool again;         /* an all-gather that may run more than once */
  index_list gates;   /* of a root: the nearest roots among what it needs */
} order_node;

/* What DMA brings for its first reader; without double buffers it lies in SRAM until the last one is done. */
typedef struct order_load {
  double seconds;
  int64_t bytes; /* with double buffers none: they are fixed */
  size_t readers_all;
  size_t unit;   /* that it is for, where it is streamed */
} order_load;

typedef struct ordering {
  lowering *l;
  hct_arena *arena;
  hct_place place;
  order_node *nodes;  /* those of the stage in written order, then gathers that run again */
  size_t count, room; /* nodes, and how many there is room for */
  size_t *made_by;    /* by value: its node plus one */
  size_t *held_by;    /* by value: the node plus one whose bytes it lies in */
  bool *resident;     /* by value: counted in `fixed` */
  int64_t fixed;      /* bytes throughout the loop: weights, accumulators, with double buffers what DMA moves, twice */
  bool single;        /* no double buffers */
  struct { order_load *items; size_t count, capacity; } loads;
  size_t *load_of;    /* by value: its latest load plus one */
  size_t *first_of;   /* by value, of a sum that is streamed: the node that begins it plus one */
} ordering;

typedef struct schedule { size_t *nodes; int64_t peak; double seconds; } schedule;

/* ---- what there is to order (dist_to_tile_order_nodes.c) ---- */
/* Operations `written` of the stage, at first in that order; its arena is the caller's to destroy. `extra`: nodes that there is to be room for beside them. */
ordering tile_ordering_make(lowering *l, const size_t *written, size_t count, size_t extra, bool single);
void tile_order_depend(ordering *o, size_t before, size_t after);
read_of *tile_order_read(const order_node *n, size_t node); /* how it reads the node's result; NULL: it does not */
int64_t tile_order_room(const ordering *o, double share);   /* so much of what `fixed` leaves of SRAM */
int64_t tile_order_peak_least(const ordering *o);           /* what any order takes: a node's result beside all that it reads */

/* ---- how far an order has come ---- */
typedef struct order_progress {
  uint32_t *waits, *readers; /* left, by node */
  uint32_t *load_readers;    /* left, by load */
  bool *placed;
  int64_t live, peak;
  int64_t common;          /* of what lives */
} order_progress;
typedef struct order_bytes { int64_t all, common; } order_bytes;

order_progress tile_progress_start(const ordering *o);
void tile_progress_copy(const ordering *o, order_progress *to, const order_progress *from);
/* What is loaded for the node, as it is the first to read it; NULL: its `k`th load is not. */
const order_load *tile_order_loaded(const ordering *o, const order_progress *at, const order_node *n, size_t k);
order_bytes tile_order_taken(const ordering *o, const order_progress *at, const order_node *n); /* its result's bytes, and those of what is loaded for it first */
/* Bytes that the node frees when it is done: results and loads of which it is the last reader, its own where nothing reads it. */
order_bytes tile_order_freed(const ordering *o, const order_progress *at, const order_node *n);
int64_t tile_order_growth(const ordering *o, const order_progress *at, size_t node);
/* Nodes that wait for nothing any more join `out_ready`, unless NULL. */
void tile_order_place(const ordering *o, order_progress *at, size_t node, index_list *out_ready);
/* The node, after which no other was placed: it is as before but for `live`, `peak` and `common`. */
void tile_order_unplace(const ordering *o, order_progress *at, size_t node);
int64_t tile_order_peak(const ordering *o, const schedule *s);

/* An order in which little lives at once, of several tried until one fits in `room` (dist_to_tile_order_deep.c). */
schedule tile_order_deep(const ordering *o, int64_t room);
schedule tile_order_shallow(const ordering *o); /* the better of the two that are found soonest */

#endif
