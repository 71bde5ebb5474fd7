/* The machine's state, inside machine.c, state.c, recurrence.c and memo.c. */
#ifndef HCT_TIMING_MACHINE_INTERNAL_H
#define HCT_TIMING_MACHINE_INTERNAL_H

#include "ir/timing/events.h"
#include "ir/timing/machine.h"
#include "ir/timing/noc.h"

/* An instruction as far as times and counts go, the same each time that it runs: one line of the cache. */
typedef struct timed_instr {
  int64_t ps; /* on the MXU or VPU; of a SEND, that it holds a link */
  hct_instr_counts counts;
  uint32_t source;
  uint8_t opcode, engine, wait_count, signal_count;
  hct_sync waits[HCT_MAX_SYNCS], signals[HCT_MAX_SYNCS];
} timed_instr;

enum { AT_LANDMARK = 1 << HCT_MAX_LOOPS }; /* with a mask of loops: the instruction is a landmark (memo.c) */
enum { LEAST_BODY = 16 }; /* shorter loops (ring steps, nests of one operation) are simulated faster than looked at */
enum { BY_PARTNER = 255 }; /* nothing but the engine at the other end of the link is waited for, which will come and look */
enum { AHEAD = 8 }; /* instructions that a die's sequencer has handed out but not issued; a power of two */

#define NO_INSTR UINT32_MAX
enum { CACHE_LINE = 64, LOOP_USES_BITS = 5 }; /* a loop is taken to have 32 iterations where its instructions are counted */

/* What a die knows of an engine: its queue, and what it retired last. */
typedef struct engine {
  uint32_t head;          /* of a queue that is not empty */
  uint16_t first, count;  /* of the queue: where the head is, and how many there are */
  uint32_t retired;       /* last, and */
  uint16_t retired_times; /* how often in a row: not counted yet */
  uint8_t blocked;        /* of those in `waiting` of a die: a semaphore that the head waits for, and will until it is signalled, or BY_PARTNER */
} engine;

/* What every event looks at comes first, what steps of rings look at in as few lines of the cache as can be. Instructions are numbers into `code`. */
typedef struct die {
  uint16_t filled, running; /* by engine, a bit each: its queue has something; its head has started, its completion event is on its way */
  uint16_t again;           /* of the first die: the loops of which the last of `ahead` begins another iteration, and AT_LANDMARK, until it is looked at */
  bool halted;
  uint8_t doing;            /* since accounted_ps, under booked_source: hct_die_activity */
  uint32_t source, booked_source; /* of the instruction started last */
  int64_t accounted_ps;
  int64_t issue_ps;         /* when the first of `ahead` is issued; if that is past, it waits for a place in its queue, or a fence for all of them */
  int64_t wake_ps;          /* of the event that issues it, or INT64_MAX */
  const timed_instr *code;  /* of its stream */
  uint32_t started;         /* last; `source` is its; NO_INSTR: none yet */
  uint8_t ahead_head, ahead_count;
  uint8_t ahead_engines[AHEAD]; /* of `ahead`; a FENCE's is HCT_ENGINE_SEQ */
  uint16_t waiting;         /* by engine, a bit each: it is known that the head cannot start yet, and why */
  uint32_t ahead[AHEAD];    /* NO_INSTR: the end */
  uint32_t *queues;         /* its own of the machine's */
  uint8_t stalled, joining; /* unless stalled is HCT_ENGINE_SEQ: so many of `ahead` will join queues that are not empty, then one waits for a place in the queue of engine `stalled` */
  _Alignas(16) engine engines[HCT_ENGINE_COUNT]; /* SEND0 to RECV1 in one line of the cache */
  uint32_t next[HCT_RING_COUNT], previous[HCT_RING_COUNT]; /* on rings: dies, or classes of them */
  int32_t semaphores[HCT_SEMAPHORES]; /* by place_of_semaphore, as in timed_instr */
  hct_sequencer sequencer;
  hct_issued *issued;       /* of `queues`, with addresses, and */
  hct_issued *ahead_issued; /* [AHEAD] of `ahead`, where there are effects; else NULL */
} die;

typedef struct recurrence recurrence; /* recurrence.c */
typedef struct memo memo;             /* memo.c */
typedef struct words { uint64_t *items; size_t count, capacity; } words;

/* What adds up. With `sources`: [source][row][field], else of no source. */
typedef struct span { uint64_t *items; size_t count, sources, fields; } span;
typedef struct counts { span spans[8]; size_t span_count, total; } counts;

typedef struct machine {
  hct_diags *diags;
  hct_arena *arena;
  const hct_image *image;
  const hct_package *package;
  const hct_machine_options *options;
  hct_stats *stats;
  hct_machine_result result;
  hct_noc noc;
  die *dies;
  uint32_t *queues;     /* [die][engine], rings of queue_depth instructions each */
  size_t die_count, link_count;
  hct_path *paths;      /* [die * HCT_RING_COUNT + ring]: to the next */
  int64_t ring_links[HCT_RING_COUNT]; /* with classes: from all dies to the next */
  int64_t now_ps, cycle_ps;
  uint32_t queue_depth;
  uint8_t place_of_semaphore[UINT8_MAX + 1]; /* those that loops use most come first, so that a die has them in few lines of the cache */
  uint32_t place;       /* of the event at now_ps that is being simulated */
  event_queue events;
  uint64_t random;
  bool stopped; /* an effect wants no more */
  hct_status status;
  event *listed;        /* state.c */
  size_t listed_capacity;
  counts counts;
  recurrence *recurrence; /* NULL: every iteration is simulated */
  memo *memo;             /* NULL: nothing is replayed */
} machine;

/* Counts what the die has done until now. */
void machine_account(machine *m, size_t die);
static inline hct_die_activity die_activity(const die *d) {
  if (d->running >> HCT_ENGINE_MXU & 1) return HCT_BUSY_MXU;
  if (d->running >> HCT_ENGINE_VPU & 1) return HCT_BUSY_VPU;
  if (d->filled >> HCT_ENGINE_SEND0) return HCT_BUSY_NOP;
  return d->filled & (1u << HCT_ENGINE_LOAD | 1u << HCT_ENGINE_STORE) ? HCT_BUSY_DRAM : HCT_IDLE;
}
/* Issues what the die's sequencer has issued before the event that is being simulated, none of which is the first of its queue: that has an event of its own. */
void machine_catch_up(machine *m, size_t die);
/* Asks for the die's next issue event, if it needs one before anything retires. */
void machine_plan(machine *m, size_t die);
static inline bool issue_comes(const machine *m, size_t index) { /* after the event that is being simulated; */
  int64_t issue_ps = m->dies[index].issue_ps;
  return issue_ps > m->now_ps || (issue_ps == m->now_ps && event_at(0, index, HCT_ENGINE_COUNT).place > m->place);
}
static inline bool issue_passed(const machine *m, size_t index) { /* before it */
  int64_t issue_ps = m->dies[index].issue_ps;
  return issue_ps < m->now_ps || (issue_ps == m->now_ps && event_at(0, index, HCT_ENGINE_COUNT).place < m->place);
}
static inline size_t queue_of(const machine *m, size_t index, int engine_index) { return (index * HCT_ENGINE_COUNT + (size_t)engine_index) * m->queue_depth; }
/* Where the queue of an engine has its `k`-th instruction. */
static inline size_t queue_at(const machine *m, const die *d, int engine_index, uint32_t k) {
  uint32_t at = d->engines[engine_index].first + k;
  return (size_t)engine_index * m->queue_depth + (at < m->queue_depth ? at : at - m->queue_depth);
}
/* What times from now on depend on (state.c), while the first die is about to begin another iteration: all but loops, as offsets from now and from `state_base`, the first
 * die's position; the same words, code (up to what times depend on) and loops, the same future. */
size_t state_base(const machine *m);
void state_write(machine *m, words *out_state);
void state_restore(machine *m, const words *state, size_t base); /* at m->now_ps; each die's loops are set before */
void counts_keep(machine *m, uint64_t **kept); /* as they are now, `total` of them */
uint64_t instructions_counted(const machine *m);
recurrence *recurrence_create(machine *m);
/* The first die has begun another iteration of the loops `again`: whole periods of the outermost that has recurred are skipped. */
void recurrence_look(machine *m, unsigned again);
memo *memo_create(machine *m);
bool memo_landmark(const machine *m, uint32_t instr); /* of the first die: a place in the code where a look is taken too */
/* The first die has begun another iteration of the loops `again` or come to a landmark: what has happened since memo_replay is remembered. False: there is nothing to replay here. */
bool memo_arrive(machine *m, unsigned again);
/* After memo_arrive: goes on to the next such point if it is known what happens until then, and says what it is (see `again` of a die). */
bool memo_replay(machine *m, unsigned *out_again);

#endif
