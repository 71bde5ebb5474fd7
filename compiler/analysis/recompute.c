#include "compiler/analysis/recompute.h"

#include <string.h>

/* Dinic's algorithm: E. A. Dinic 1970; Cormen et al., "Introduction to Algorithms", on blocking flows. Edges come in pairs, each with its reverse. */
typedef struct edge { size_t to, next; int64_t room; } edge;
typedef struct network {
  hct_arena *arena;
  struct { edge *items; size_t count, capacity; } edges;
  size_t *first, *current, *level, *queue, *path; /* by node; path: edges */
  size_t nodes;
} network;
static const size_t none = SIZE_MAX;

static network network_create(hct_arena *arena, size_t nodes) {
  network n = {.arena = arena, .nodes = nodes};
  size_t **arrays[] = {&n.first, &n.current, &n.level, &n.queue, &n.path};
  for (size_t i = 0; i < HCT_COUNT(arrays); i++) *arrays[i] = HCT_NEW_ARRAY(arena, size_t, nodes);
  for (size_t i = 0; i < nodes; i++) n.first[i] = none;
  return n;
}

static void edge_add(network *n, size_t from, size_t to, int64_t capacity) {
  edge forth = {to, n->first[from], capacity}, back = {from, n->first[to], 0};
  n->first[from] = n->edges.count;
  HCT_PUSH(n->arena, &n->edges, forth);
  n->first[to] = n->edges.count;
  HCT_PUSH(n->arena, &n->edges, back);
}

/* Distances from the source along edges with room; `none` where there is no way. */
static void levels_find(network *n, size_t source) {
  size_t head = 0, tail = 0;
  for (size_t i = 0; i < n->nodes; i++) n->level[i] = none;
  n->level[source] = 0;
  n->queue[tail++] = source;
  while (head < tail) {
    size_t at = n->queue[head++];
    for (size_t e = n->first[at]; e != none; e = n->edges.items[e].next) {
      size_t to = n->edges.items[e].to;
      if (!n->edges.items[e].room || n->level[to] != none) continue;
      n->level[to] = n->level[at] + 1;
      n->queue[tail++] = to;
    }
  }
}

static void path_fill(network *n, size_t length) {
  int64_t room = INT64_MAX;
  for (size_t i = 0; i < length; i++)
    if (n->edges.items[n->path[i]].room < room) room = n->edges.items[n->path[i]].room;
  for (size_t i = 0; i < length; i++) {
    n->edges.items[n->path[i]].room -= room;
    n->edges.items[n->path[i] ^ 1].room += room;
  }
}

/* Shortest ways to the sink until none is left: a walk forward along `current`, back where it ends. */
static void blocking_flow(network *n, size_t source, size_t sink) {
  memcpy(n->current, n->first, n->nodes * sizeof *n->first);
  size_t length = 0, at = source;
  for (;;) {
    if (at == sink) {
      path_fill(n, length);
      length = 0, at = source;
    }
    size_t e = n->current[at];
    if (e != none && n->edges.items[e].room && n->level[n->edges.items[e].to] == n->level[at] + 1) {
      n->path[length++] = e;
      at = n->edges.items[e].to;
    } else if (e != none) {
      n->current[at] = n->edges.items[e].next;
    } else {
      if (at == source) return;
      e = n->path[--length];
      at = n->edges.items[e ^ 1].to;
      n->current[at] = n->edges.items[e].next;
    }
  }
}

void hct_recompute_choose(hct_arena *arena, const hct_recompute_value *values, size_t count, bool *out_again) {
  size_t source = 2 * count, sink = 2 * count + 1; /* x[v] is node 2 v, y[v] node 2 v + 1 */
  network n = network_create(arena, 2 * count + 2);
  for (size_t v = 0; v < count; v++) {
    size_t x = 2 * v, y = 2 * v + 1;
    if (values[v].target) edge_add(&n, source, x, HCT_RECOMPUTE_NEVER);
    edge_add(&n, x, y, values[v].store_ps);
    edge_add(&n, y, x, HCT_RECOMPUTE_NEVER);
    edge_add(&n, y, sink, values[v].compute_ps);
    for (size_t k = 0; k < values[v].operand_count; k++) edge_add(&n, y, 2 * values[v].operands[k], HCT_RECOMPUTE_NEVER);
  }
  for (levels_find(&n, source); n.level[sink] != none; levels_find(&n, source)) blocking_flow(&n, source, sink);
  for (size_t v = 0; v < count; v++) out_again[v] = n.level[2 * v + 1] != none;
}
