/* Orders of a stage's operations in which little lives at once (dist_to_tile_order.h): depth first, from root to root. Which root comes next is tried, and taken back. */
#include "compiler/convert/dist_to_tile_order.h"

enum { ROOTS = 128, AHEAD = 24, WORD = 64 };

/* Who reads what, to find whose growth changes when an operation is placed. */
typedef struct readers {
  index_list *of_node, *of_load;
  size_t *most_of_node, *most_of_load; /* operands, of one reader */
  index_list roots;
} readers;

typedef struct visit { size_t node, next; } visit;
typedef struct descent {
  const readers *readers;
  order_progress at;
  uint64_t *eager;    /* a bit a node: all that it waits for is placed, and it takes no more than it frees, as it will from then on */
  index_list changed; /* bits of `eager`, since it was last certain what comes next */
  struct { visit *items; size_t count, capacity; } path;
  size_t *placed; /* in order */
  size_t count;
} descent;

static void readers_add(const ordering *o, index_list *of, size_t *most, const read_list *list, size_t node) {
  for (size_t k = 0; k < list->count; k++) {
    const read_of *read = &list->items[k];
    HCT_PUSH(o->arena, &of[read->of], node);
    if (read->times > most[read->of]) most[read->of] = read->times;
  }
}

static readers readers_find(const ordering *o) {
  readers r = {HCT_NEW_ARRAY(o->arena, index_list, o->count + 1), HCT_NEW_ARRAY(o->arena, index_list, o->loads.count + 1), HCT_NEW_ARRAY(o->arena, size_t, o->count + 1), HCT_NEW_ARRAY(o->arena, size_t, o->loads.count + 1), {0}};
  for (size_t i = 0; i < o->count; i++) {
    readers_add(o, r.of_node, r.most_of_node, &o->nodes[i].reads, i);
    readers_add(o, r.of_load, r.most_of_load, &o->nodes[i].loads, i);
    if (o->nodes[i].root) HCT_PUSH(o->arena, &r.roots, i);
  }
  return r;
}

static bool is_eager(const descent *d, size_t node) { return d->eager[node / WORD] >> node % WORD & 1; }

static void eager_change(const ordering *o, descent *d, size_t node) {
  d->eager[node / WORD] ^= (uint64_t)1 << node % WORD;
  HCT_PUSH(o->arena, &d->changed, node);
}

static void eager_look(const ordering *o, descent *d, size_t node) {
  if (d->at.placed[node] || d->at.waits[node] || is_eager(d, node) || o->nodes[node].least_growth > 0) return;
  if (tile_order_growth(o, &d->at, node) <= 0) eager_change(o, d, node);
}

static size_t eager_first(const ordering *o, const descent *d) {
  for (size_t w = 0; w <= o->count / WORD; w++)
    if (d->eager[w]) return w * WORD + (size_t)__builtin_ctzll(d->eager[w]);
  return SIZE_MAX;
}

static descent descent_start(const ordering *o, const readers *r) {
  descent d = {.readers = r, .at = tile_progress_start(o), .eager = HCT_NEW_ARRAY(o->arena, uint64_t, o->count / WORD + 1), .placed = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1)};
  for (size_t i = 0; i < o->count; i++) eager_look(o, &d, i);
  return d;
}

/* Of what was read, by whom it still will be: of one reader's operands, that frees it; what is loaded by now takes nothing more. */
static void readers_look(const ordering *o, descent *d, const index_list *list, size_t left, size_t most, bool loaded) {
  for (size_t i = 0; i < list->count && left && (loaded || left <= most); i++) eager_look(o, d, list->items[i]);
}

static void descent_place(const ordering *o, descent *d, size_t node) {
  const order_node *n = &o->nodes[node];
  tile_order_place(o, &d->at, d->placed[d->count++] = node, NULL);
  if (is_eager(d, node)) eager_change(o, d, node);
  for (size_t k = 0; k < n->after.count; k++) eager_look(o, d, n->after.items[k]);
  for (size_t k = 0; k < n->reads.count; k++) {
    size_t of = n->reads.items[k].of;
    readers_look(o, d, &d->readers->of_node[of], d->at.readers[of], d->readers->most_of_node[of], false);
  }
  for (size_t k = 0; k < n->loads.count; k++) {
    size_t of = n->loads.items[k].of;
    bool first = d->at.load_readers[of] + n->loads.items[k].times == o->loads.items[of].readers_all;
    readers_look(o, d, &d->readers->of_load[of], d->at.load_readers[of], d->readers->most_of_load[of], first);
  }
}

/* The node, then whatever is ready and takes no more than it frees. */
static void place_eagerly(const ordering *o, descent *d, size_t node) {
  for (size_t next = node; next != SIZE_MAX; next = eager_first(o, d)) descent_place(o, d, next);
}

/* The root just after all that it needs. */
static void descend(const ordering *o, descent *d, size_t root) {
  HCT_PUSH(o->arena, &d->path, ((visit){root, 0}));
  while (d->path.count) {
    visit *top = &d->path.items[d->path.count - 1];
    const order_node *n = &o->nodes[top->node];
    while (top->next < n->before.count && d->at.placed[n->before.items[top->next]]) top->next++;
    if (top->next < n->before.count) {
      HCT_PUSH(o->arena, &d->path, ((visit){n->before.items[top->next], 0}));
      continue;
    }
    if (!d->at.placed[top->node]) place_eagerly(o, d, top->node);
    d->path.count--;
  }
}

/* Where a descent was, to go back to. */
typedef struct place_reached { size_t count, changed; int64_t live, peak, common; } place_reached;

static place_reached descent_reached(const descent *d) { return (place_reached){d->count, d->changed.count, d->at.live, d->at.peak, d->at.common}; }

static void descent_return(const ordering *o, descent *d, const place_reached *to) {
  while (d->count > to->count) tile_order_unplace(o, &d->at, d->placed[--d->count]);
  while (d->changed.count > to->changed) {
    size_t node = d->changed.items[--d->changed.count];
    d->eager[node / WORD] ^= (uint64_t)1 << node % WORD;
  }
  d->at.live = to->live, d->at.peak = to->peak, d->at.common = to->common;
}

static int64_t live_but_common(const order_progress *at) { return at->live - at->common; }

/* A root all of whose gates are placed: what it needs is no other root, which could be placed for its own sake. */
static bool may_follow(const ordering *o, const descent *from, size_t root) {
  const index_list *gates = &o->nodes[root].gates;
  if (from->at.placed[root]) return false;
  for (size_t k = 0; k < gates->count; k++)
    if (!from->at.placed[gates->items[k]]) return false;
  return true;
}

/* What lives there, and, if `peaks` count, as much as it took in between more than was taken before `from`. */
static int64_t left_at(const descent *d, bool peaks, const place_reached *from) { return live_but_common(&d->at) + (peaks ? d->at.peak - from->peak : 0); }

/* Of the next roots, the one that leaves least; SIZE_MAX: there is none. */
static size_t root_of_least(const ordering *o, descent *d, bool peaks, int64_t *out_left) {
  const place_reached here = descent_reached(d);
  size_t best = SIZE_MAX, tried = 0;
  for (size_t i = 0; i < d->readers->roots.count && tried < ROOTS; i++) {
    size_t root = d->readers->roots.items[i];
    if (!may_follow(o, d, root)) continue;
    tried++;
    descend(o, d, root);
    int64_t left = left_at(d, peaks, &here);
    if (best == SIZE_MAX || left < *out_left) best = root, *out_left = left;
    descent_return(o, d, &here);
  }
  return best;
}

/* What is left after the root and those that from there leave less than before, one after another. */
static int64_t left_ahead(const ordering *o, descent *d, bool peaks, size_t root) {
  const place_reached here = descent_reached(d);
  for (size_t next = root; next != SIZE_MAX;) {
    descend(o, d, next);
    int64_t left = 0;
    next = root_of_least(o, d, peaks, &left);
    if (left >= live_but_common(&d->at)) next = SIZE_MAX;
  }
  int64_t left = left_at(d, peaks, &here);
  descent_return(o, d, &here);
  return left;
}

/* Of many roots, which take long to try, SIZE_MAX. */
static size_t root_of_least_ahead(const ordering *o, descent *d, bool peaks) {
  const index_list *roots = &d->readers->roots;
  size_t best = SIZE_MAX, count = 0;
  int64_t least = 0;
  for (size_t i = 0; i < roots->count; i++) count += may_follow(o, d, roots->items[i]);
  for (size_t i = 0; i < roots->count && count <= AHEAD; i++) {
    if (!may_follow(o, d, roots->items[i])) continue;
    int64_t left = left_ahead(o, d, peaks, roots->items[i]);
    if (best == SIZE_MAX || left < least) best = roots->items[i], least = left;
  }
  return best;
}

/* Depth first, so that little lives at once: of the next roots, which are what nothing reads and sums that grow in place, the one that leaves least, and takes
 * least more than was taken before. Where each leaves more than there is, what it lets others free counts as well: in attention's backward, a block's
 * probabilities are there until it has added to dV, and the gradient of its scores until it has added to dK. */
static schedule schedule_deep_by(const ordering *o, const readers *r, bool looks_ahead, bool peaks) {
  descent d = descent_start(o, r);
  while (d.count < o->count) {
    int64_t left = 0;
    size_t next = root_of_least(o, &d, peaks, &left);
    HCT_BUG_ON(next == SIZE_MAX, "operations in a circle");
    size_t ahead = looks_ahead && left > live_but_common(&d.at) ? root_of_least_ahead(o, &d, peaks) : SIZE_MAX;
    descend(o, &d, ahead == SIZE_MAX ? next : ahead);
    d.changed.count = 0;
  }
  return (schedule){d.placed, d.at.peak, 0};
}

/* The roots as written, each just after all that it needs: first sums that grow in place, so that attention that works head by head (hct-block-attention) is
 * done with one before the next; then, of what is left by then, sums over all heads. */
static schedule schedule_rooted(const ordering *o, const readers *r) {
  descent d = descent_start(o, r);
  for (int others = 0; others < 2; others++)
    for (size_t i = 0; i < r->roots.count; i++)
      if ((o->nodes[r->roots.items[i]].sum || others) && !d.at.placed[r->roots.items[i]]) descend(o, &d, r->roots.items[i]);
  return (schedule){d.placed, d.at.peak, 0};
}

schedule tile_order_shallow(const ordering *o) {
  const readers r = readers_find(o);
  schedule deep = schedule_deep_by(o, &r, false, true), rooted = schedule_rooted(o, &r);
  return rooted.peak < deep.peak ? rooted : deep;
}

/* Looks ahead where neither fits in `room`, and some order may, which takes longer. What is taken in between has to be taken once in any case where it is the same for all blocks, and should then not count. */
schedule tile_order_deep(const ordering *o, int64_t room) {
  const readers r = readers_find(o);
  schedule best = schedule_deep_by(o, &r, false, true);
  for (int way = 0; way < 3 && best.peak > room && tile_order_peak_least(o) <= room; way++) {
    schedule next = way ? schedule_deep_by(o, &r, true, way == 1) : schedule_rooted(o, &r);
    if (next.peak < best.peak) best = next;
  }
  return best;
}
