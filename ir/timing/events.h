/* What is to happen when. Dies in step have many events at the same moment, so the heap is one of moments: each has the set of its events. */
#ifndef HCT_TIMING_EVENTS_H
#define HCT_TIMING_EVENTS_H

#include "ir/support/support.h"

/* At one moment, events are in order of dies, and of a die in order of engines; engine HCT_ENGINE_COUNT: the sequencer issues, else what the engine runs is complete. */
enum { EVENT_ENGINE_BITS = 4, EVENT_MOMENTS_KNOWN = 256, EVENT_WORD = 64 };
typedef struct event {
  int64_t time_ps;
  uint32_t place; /* die << EVENT_ENGINE_BITS | engine */
} event;
static inline event event_at(int64_t time_ps, size_t index, int engine_index) { return (event){time_ps, (uint32_t)index << EVENT_ENGINE_BITS | (uint32_t)engine_index}; }
static inline size_t event_die(const event *e) { return e->place >> EVENT_ENGINE_BITS; }
static inline int event_engine(const event *e) { return (int)(e->place & ((1u << EVENT_ENGINE_BITS) - 1)); }
static inline bool event_before(const event *a, const event *b) { return a->time_ps < b->time_ps || (a->time_ps == b->time_ps && a->place < b->place); }

typedef struct event_node { uint32_t place, next; } event_node;              /* 0: the last */
typedef struct event_moment { int64_t time_ps; uint32_t first; } event_moment; /* a time may have several */
typedef struct event_queue {
  hct_arena *arena;
  int64_t now_ps;          /* of the event popped last */
  uint64_t *due, *due_any; /* what is to happen now: by place a bit; by word of `due` a bit: it has some */
  size_t due_words, due_any_words;
  size_t due_from;         /* of due_any: those before are 0 */
  size_t later;            /* events after now */
  event_moment *moments;   /* by number; 0 is none */
  size_t moment_count, moment_capacity;
  uint32_t free_moment;    /* a list through `first` */
  event_node *nodes;       /* 0 is none */
  size_t node_count, node_capacity;
  uint32_t free_node;
  struct event_first { int64_t time_ps; uint32_t moment; } *heap;
  size_t heap_count, heap_capacity;
  uint32_t known[EVENT_MOMENTS_KNOWN]; /* by time: a moment that may be it */
} event_queue;

void event_queue_init(event_queue *queue, hct_arena *arena, size_t dies);
/* Not before now. Events of the same time and place are one once it is their time. */
void event_push(event_queue *queue, event e);
bool event_queue_advance(event_queue *queue); /* where nothing is due: to the next moment; false: there is none */
static inline bool event_pop(event_queue *q, event *out_event) { /* false: there is none */
  do
    for (; q->due_from < q->due_any_words; q->due_from++) {
      uint64_t any = q->due_any[q->due_from];
      if (!any) continue;
      size_t word = q->due_from * EVENT_WORD + (size_t)__builtin_ctzll(any);
      uint64_t due = q->due[word];
      *out_event = (event){q->now_ps, (uint32_t)(word * EVENT_WORD) + (uint32_t)__builtin_ctzll(due)};
      q->due[word] = due & (due - 1);
      if (!q->due[word]) q->due_any[q->due_from] = any & (any - 1);
      return true;
    }
  while (event_queue_advance(q));
  return false;
}
/* The die of the next event as far as can be told at once, for its memory to be fetched meanwhile; of no event, die 0. */
static inline size_t event_die_ahead(const event_queue *q) {
  for (size_t at = q->due_from; at < q->due_any_words; at++) {
    if (!q->due_any[at]) continue;
    size_t word = at * EVENT_WORD + (size_t)__builtin_ctzll(q->due_any[at]);
    return (word * EVENT_WORD + (size_t)__builtin_ctzll(q->due[word])) >> EVENT_ENGINE_BITS;
  }
  return q->heap_count ? q->nodes[q->moments[q->heap[0].moment].first].place >> EVENT_ENGINE_BITS : 0;
}
void event_queue_shift(event_queue *queue, int64_t by_ps); /* all times, that of now too */
void event_queue_clear(event_queue *queue, int64_t now_ps);
size_t event_queue_list(const event_queue *queue, event *out_events); /* all, in no order; NULL: at most how many */

#endif
