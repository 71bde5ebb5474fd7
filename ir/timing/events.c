#include "ir/timing/events.h"

enum { HEAP_CHILDREN = 4 };

void event_queue_init(event_queue *q, hct_arena *arena, size_t dies) {
  *q = (event_queue){.arena = arena, .moment_count = 1, .node_count = 1};
  q->due_words = ((dies << EVENT_ENGINE_BITS) + EVENT_WORD - 1) / EVENT_WORD;
  q->due_any_words = (q->due_words + EVENT_WORD - 1) / EVENT_WORD;
  q->due = HCT_NEW_ARRAY(arena, uint64_t, q->due_words);
  q->due_any = HCT_NEW_ARRAY(arena, uint64_t, q->due_any_words);
  q->moments = hct_vec_grow(arena, q->moments, 0, &q->moment_capacity, sizeof *q->moments);
  q->nodes = hct_vec_grow(arena, q->nodes, 0, &q->node_capacity, sizeof *q->nodes);
  q->moments[0] = (event_moment){.time_ps = -1};
}

static void due_set(event_queue *q, uint32_t place) {
  uint32_t word = place / EVENT_WORD;
  q->due[word] |= UINT64_C(1) << place % EVENT_WORD;
  q->due_any[word / EVENT_WORD] |= UINT64_C(1) << word % EVENT_WORD;
  if (word / EVENT_WORD < q->due_from) q->due_from = word / EVENT_WORD;
}

static void heap_push(event_queue *q, struct event_first e) {
  if (q->heap_count == q->heap_capacity) q->heap = hct_vec_grow(q->arena, q->heap, q->heap_count, &q->heap_capacity, sizeof *q->heap);
  size_t at = q->heap_count++;
  for (size_t parent; at && e.time_ps < q->heap[parent = (at - 1) / HEAP_CHILDREN].time_ps; at = parent) q->heap[at] = q->heap[parent];
  q->heap[at] = e;
}

static uint32_t heap_pop(event_queue *q) {
  uint32_t top = q->heap[0].moment;
  struct event_first last = q->heap[--q->heap_count];
  size_t at = 0, count = q->heap_count;
  for (size_t first; (first = HEAP_CHILDREN * at + 1) < count;) {
    size_t least = first, end = first + HEAP_CHILDREN < count ? first + HEAP_CHILDREN : count;
    for (size_t child = first + 1; child < end; child++) least = q->heap[child].time_ps < q->heap[least].time_ps ? child : least;
    if (q->heap[least].time_ps >= last.time_ps) break;
    q->heap[at] = q->heap[least];
    at = least;
  }
  q->heap[at] = last;
  return top;
}

static uint32_t moment_new(event_queue *q, int64_t time_ps) {
  uint32_t number = q->free_moment;
  if (number) {
    q->free_moment = q->moments[number].first;
  } else {
    if (q->moment_count == q->moment_capacity) q->moments = hct_vec_grow(q->arena, q->moments, q->moment_count, &q->moment_capacity, sizeof *q->moments);
    number = (uint32_t)q->moment_count++;
  }
  q->moments[number] = (event_moment){.time_ps = time_ps};
  heap_push(q, (struct event_first){time_ps, number});
  return number;
}

static uint32_t moment_of(event_queue *q, int64_t time_ps) {
  uint32_t *known = &q->known[((uint64_t)time_ps * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (EVENT_MOMENTS_KNOWN - 1)];
  if (q->moments[*known].time_ps != time_ps) *known = moment_new(q, time_ps);
  return *known;
}

void event_push(event_queue *q, event e) {
  if (e.time_ps == q->now_ps) {
    due_set(q, e.place);
    return;
  }
  uint32_t at = moment_of(q, e.time_ps), number = q->free_node;
  event_moment *moment = &q->moments[at];
  if (number) {
    q->free_node = q->nodes[number].next;
  } else {
    if (q->node_count == q->node_capacity) q->nodes = hct_vec_grow(q->arena, q->nodes, q->node_count, &q->node_capacity, sizeof *q->nodes);
    number = (uint32_t)q->node_count++;
  }
  q->nodes[number] = (event_node){e.place, moment->first};
  moment->first = number;
  q->later++;
}

/* Its events are due. */
static void moment_comes(event_queue *q, uint32_t number) {
  event_moment *moment = &q->moments[number];
  for (uint32_t n = moment->first, next; n; n = next) {
    event_node *node = &q->nodes[n];
    due_set(q, node->place);
    next = node->next;
    node->next = q->free_node;
    q->free_node = n;
    q->later--;
  }
  *moment = (event_moment){.time_ps = -1, .first = q->free_moment};
  q->free_moment = number;
}

bool event_queue_advance(event_queue *q) {
  if (!q->heap_count) return false;
  q->now_ps = q->heap[0].time_ps;
  while (q->heap_count && q->heap[0].time_ps == q->now_ps) moment_comes(q, heap_pop(q));
  return true;
}

void event_queue_shift(event_queue *q, int64_t by_ps) {
  q->now_ps += by_ps;
  for (size_t i = 0; i < q->heap_count; i++) q->moments[q->heap[i].moment].time_ps = q->heap[i].time_ps += by_ps;
}

void event_queue_clear(event_queue *q, int64_t now_ps) {
  while (q->heap_count) moment_comes(q, heap_pop(q));
  for (size_t i = 0; i < q->due_words; i++) q->due[i] = 0;
  for (size_t i = 0; i < q->due_any_words; i++) q->due_any[i] = 0;
  q->now_ps = now_ps;
}

size_t event_queue_list(const event_queue *q, event *out_events) {
  size_t count = 0;
  if (!out_events) return q->later + (q->due_words * EVENT_WORD);
  for (size_t word = 0; word < q->due_words; word++)
    for (uint64_t bits = q->due[word]; bits; bits &= bits - 1) out_events[count++] = (event){q->now_ps, (uint32_t)(word * EVENT_WORD) + (uint32_t)__builtin_ctzll(bits)};
  for (size_t i = 0; i < q->heap_count; i++)
    for (uint32_t n = q->moments[q->heap[i].moment].first; n; n = q->nodes[n].next) out_events[count++] = (event){q->heap[i].time_ps, q->nodes[n].place};
  return count;
}
