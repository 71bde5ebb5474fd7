/* The order of a stage's operations in its loop: as written, or one that fits, and for --overlap=ring a list schedule over MXU, VPU and the rings of both axes, within SRAM. While one
 * block of tokens computes, the next one's tiles travel on the rings of one axis and the sums of the one before on those of the other.
 *
 * The backend schedules again, with exact times and without a limit, where all that fits in SRAM. This order is for what does not. It starts from one that
 * fits, as written or depth first, and takes an operation before its turn there only if the rest of that order fits all the same (as the banker's
 * algorithm grants a loan). A collective that takes room starts no earlier than the MXU runs out of work, or little earlier: issued before, it fills its
 * ring's queue, and what is issued after it waits with it. How far such rules are to go differs by stage: several are tried (`policy`). Sums into one
 * accumulator keep their order, so that numbers do not depend on this one.
 *
 * Where no order fits, what is gathered for readers far apart is gathered again for the later ones, and only a die's own part of it is kept in between. */
#include <math.h>
#include <string.h>

#include "compiler/convert/dist_to_tile_order.h"
#include "compiler/convert/dist_to_tile_room.h"

enum { AGAIN = 256 /* gathers that run again, at most */ };
enum { ENGINES = 4, TRIES = 8, LOAD_LEAD = 3 };
/* Of the room, since what is live does not lie without gaps: with double buffers, which are given up where they do not fit; without; what a list schedule may take at most. */
static const double FILL = 0.90, FILL_SINGLE = 0.85, MOST_FILL = 0.9;
/* For what lives, and what is done with in the order but not yet in time: what comes to lie where something is still read waits for that. */
static const double FILL_UNDER_WAY = 0.92, FILL_UNDER_WAY_SINGLE = 0.80;

/* What a list schedule may take of it: a buffer of a quarter of what is left finds no place where as much as it takes is free in pieces. */
static int64_t room_within(const ordering *o, int64_t room, int64_t needed) {
  int64_t largest = 0, left = tile_order_room(o, 1);
  for (size_t i = 0; i < o->count; i++)
    if (o->nodes[i].bytes > largest) largest = o->nodes[i].bytes;
  if (largest > left / 4 && left - largest < room) room = left - largest;
  return room > needed ? room : needed;
}

/* ---- schedules ---- */
static index_list ready_first(const ordering *o) {
  index_list ready = {0};
  for (size_t i = 0; i < o->count; i++)
    if (!o->nodes[i].waits_all) HCT_PUSH(o->arena, &ready, i);
  return ready;
}

static schedule schedule_written(const ordering *o) {
  schedule s = {.nodes = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1)};
  for (size_t i = 0; i < o->count; i++) s.nodes[i] = i;
  s.peak = tile_order_peak(o, &s);
  return s;
}

/* What a list schedule goes by. Which is best depends on the stage: some are tried. */
typedef struct policy {
  size_t window;   /* nodes of the base from its first that is not placed on, which may be taken: what comes long before its turn takes room from what is next */
  double patience; /* of the time that a collective has the sequencer wait, the share that other nodes may start later by and still come first */
  double lead;     /* a collective that takes room starts no earlier than so many times its own time before the MXU runs out of work */
} policy;

/* What is left of a schedule that never takes more than `room`, where nodes have been placed out of its order. */
typedef struct fallback {
  const schedule *base;
  size_t *position; /* by node, in `base` */
  size_t next, end; /* its first node that is not placed; one behind the last that is */
  order_progress trial;
  int64_t room;
  const policy *by;
} fallback;

/* Whether the rest of the base fits when `node` comes now. From where all nodes up to one are placed, it does in any case. */
static bool stays_safe(const ordering *o, fallback *f, const order_progress *at, size_t node) {
  size_t end = f->position[node] + 1 > f->end ? f->position[node] + 1 : f->end;
  if (at->live + tile_order_taken(o, at, &o->nodes[node]).all > f->room) return false;
  if (f->position[node] == f->next && end == f->next + 1) return true;
  tile_progress_copy(o, &f->trial, at);
  f->trial.peak = 0;
  tile_order_place(o, &f->trial, node, NULL);
  for (size_t p = f->next; p < end && f->trial.peak <= f->room; p++)
    if (!f->trial.placed[f->base->nodes[p]]) tile_order_place(o, &f->trial, f->base->nodes[p], NULL);
  return f->trial.peak <= f->room;
}

/* When each is free, the sequencer comes to what is next, and each node is ready. */
typedef struct engines { double free[ENGINES], load_free, issue, *ready; tile_room room; } engines;

static double load_seconds(const ordering *o, const order_progress *at, const order_node *n) {
  double seconds = 0;
  for (size_t k = 0; k < n->loads.count; k++) {
    const order_load *load = tile_order_loaded(o, at, n, k);
    if (load) seconds += load->seconds;
  }
  return seconds;
}

/* Loads go one after another, and not long before the MXU comes to what they are for: what waits for them waits in its engine's queue, before others. */
static double start_of(const ordering *o, const order_progress *at, const engines *e, const policy *by, size_t node) {
  const order_node *n = &o->nodes[node];
  double start = e->ready[node] > e->issue ? e->ready[node] : e->issue, loads = load_seconds(o, at, n), mxu = e->free[0];
  for (int k = 0; k < ENGINES; k++)
    if ((n->cost.engines >> k & 1) && e->free[k] > start) start = e->free[k];
  if (loads > 0 && start < mxu - (double)LOAD_LEAD * loads) start = mxu - (double)LOAD_LEAD * loads;
  if (loads > 0 && start < e->load_free + loads) start = e->load_free + loads;
  bool early = start < mxu && (n->cost.engines & (TILE_ENGINE_ROW | TILE_ENGINE_COL)) && tile_order_growth(o, at, node) > 0;
  if (early && start < mxu - by->lead * n->cost.seconds) start = mxu - by->lead * n->cost.seconds;
  return tile_room_from(&e->room, at->live, tile_order_taken(o, at, n).all, start);
}

/* The place in `ready` of the node that starts first, of these the one with the longest path after it, without which the rest does not fit; SIZE_MAX: of few tried, none. */
static size_t pick(const ordering *o, const order_progress *at, fallback *f, const engines *e, const index_list *ready, double *starts) {
  for (size_t i = 0; i < ready->count; i++) {
    const order_node *n = &o->nodes[ready->items[i]];
    bool fits = at->live + tile_order_taken(o, at, n).all <= f->room && f->position[ready->items[i]] - f->next < f->by->window;
    starts[i] = fits ? start_of(o, at, e, f->by, ready->items[i]) + f->by->patience * n->cost.stalls : INFINITY;
  }
  for (int tries = 0; tries < TRIES; tries++) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < ready->count; i++) {
      if (isinf(starts[i])) continue;
      size_t a = ready->items[i], b = best == SIZE_MAX ? a : ready->items[best];
      double longer = o->nodes[a].path - o->nodes[b].path;
      if (best == SIZE_MAX || starts[i] < starts[best] || (starts[i] <= starts[best] && (longer > 0 || (longer >= 0 && a < b)))) best = i;
    }
    if (best == SIZE_MAX || stays_safe(o, f, at, ready->items[best])) return best;
    starts[best] = INFINITY;
  }
  return SIZE_MAX;
}

/* List schedule in which at no time more than `room` bytes live, as in `base`: what would leave too little for the rest of that waits. */
static schedule schedule_within(const ordering *o, const schedule *base, int64_t room, const policy *by) {
  schedule s = {.nodes = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1)};
  engines e = {.ready = HCT_NEW_ARRAY(o->arena, double, o->count + 1), .room = {.arena = o->arena, .bytes = tile_order_room(o, o->single ? FILL_UNDER_WAY_SINGLE : FILL_UNDER_WAY)}};
  double *starts = HCT_NEW_ARRAY(o->arena, double, o->count + 1);
  order_progress at = tile_progress_start(o);
  fallback f = {.base = base, .position = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1), .trial = tile_progress_start(o), .room = room, .by = by};
  index_list ready = ready_first(o);
  for (size_t p = 0; p < o->count; p++) f.position[base->nodes[p]] = p;
  for (size_t count = 0; count < o->count; count++) {
    while (at.placed[base->nodes[f.next]]) f.next++;
    size_t picked = pick(o, &at, &f, &e, &ready, starts);
    for (size_t i = 0; i < ready.count && picked == SIZE_MAX; i++)
      if (ready.items[i] == base->nodes[f.next]) picked = i;
    size_t node = ready.items[picked];
    const order_node *n = &o->nodes[node];
    double start = start_of(o, &at, &e, by, node), end = start + n->cost.seconds;
    if (load_seconds(o, &at, n) > 0) e.load_free = start;
    if (n->cost.stalls > 0 && start + n->cost.stalls > e.issue) e.issue = start + n->cost.stalls;
    if (end > s.seconds) s.seconds = end;
    tile_room_release(&e.room, end, tile_order_freed(o, &at, n).all);
    for (int k = 0; k < ENGINES; k++)
      if (n->cost.engines >> k & 1) e.free[k] = end;
    for (size_t k = 0; k < n->after.count; k++)
      if (end > e.ready[n->after.items[k]]) e.ready[n->after.items[k]] = end;
    ready.items[picked] = ready.items[--ready.count];
    if (f.position[node] + 1 > f.end) f.end = f.position[node] + 1;
    tile_order_place(o, &at, s.nodes[count] = node, &ready);
  }
  s.peak = at.peak;
  return s;
}

/* The one that is done first, of those that some policies make. */
static schedule schedule_best(const ordering *o, const schedule *base, int64_t room) {
  static const size_t WINDOWS[] = {SIZE_MAX, 384, 256, 192};
  static const policy WAYS[] = {{0, 0, 0}, {0, 1, 1}, {0, 1, 2}, {0, 0.5, 2}};
  schedule best = {NULL, 0, INFINITY};
  for (size_t w = 0; w < HCT_COUNT(WINDOWS); w++) {
    if (w && WINDOWS[w] >= o->count) continue;
    for (size_t k = 0; k < HCT_COUNT(WAYS); k++) {
      policy by = WAYS[k];
      by.window = WINDOWS[w];
      schedule found = schedule_within(o, base, room, &by);
      if (found.seconds < best.seconds) best = found;
    }
  }
  return best;
}

/* ---- gathers that run again ---- */
/* Where the schedule's peak is: how many nodes come before the one at which most lives. `at`: what is placed before that. */
static size_t peak_find(const ordering *o, const schedule *s, order_progress *at) {
  order_progress whole = tile_progress_start(o);
  size_t peak = 0;
  int64_t most = -1;
  for (size_t i = 0; i < o->count; i++) {
    int64_t live = whole.live + tile_order_taken(o, &whole, &o->nodes[s->nodes[i]]).all;
    if (live > most) most = live, peak = i;
    tile_order_place(o, &whole, s->nodes[i], NULL);
  }
  for (size_t i = 0; i < peak; i++) tile_order_place(o, at, s->nodes[i], NULL);
  return peak;
}

static size_t next_reader(const ordering *o, const schedule *s, size_t node, size_t from) {
  while (from < o->count && !tile_order_read(&o->nodes[s->nodes[from]], node)) from++;
  return from;
}

static size_t times_in(const index_list *list, size_t item) {
  size_t times = 0;
  for (size_t i = 0; i < list->count; i++) times += list->items[i] == item;
  return times;
}

static void list_replace(index_list *list, size_t item, size_t by) {
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i] == item) list->items[i] = by;
}

static void list_remove(index_list *list, size_t item) {
  size_t kept = 0;
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i] != item) list->items[kept++] = list->items[i];
  list->count = kept;
}

/* A copy of `node`, after all of which it reads, without readers. */
static size_t node_copy(ordering *o, size_t node) {
  const order_node *n = &o->nodes[node];
  size_t copy = o->count++;
  o->nodes[copy] = (order_node){.at = n->at, .cost = {n->cost.engines, n->cost.seconds, 0}, .path = n->path, .bytes = n->bytes, .least_growth = n->least_growth, .again = true};
  for (size_t k = 0; k < n->before.count; k++) tile_order_depend(o, n->before.items[k], copy);
  for (size_t k = 0; k < n->reads.count; k++) {
    HCT_PUSH(o->arena, &o->nodes[copy].reads, n->reads.items[k]);
    o->nodes[n->reads.items[k].of].readers_all += n->reads.items[k].times;
  }
  for (size_t k = 0; k < n->loads.count; k++) {
    HCT_PUSH(o->arena, &o->nodes[copy].loads, n->loads.items[k]);
    o->loads.items[n->loads.items[k].of].readers_all += n->loads.items[k].times;
  }
  return copy;
}

/* The readers of `node` from place `from` of the schedule on read a copy of it, which comes just before the first of them. */
static void gather_again(ordering *o, schedule *s, size_t node, size_t from) {
  size_t count = o->count, copy = node_copy(o, node);
  for (size_t i = from; i < count; i++) {
    order_node *reader = &o->nodes[s->nodes[i]];
    read_of *read = tile_order_read(reader, node);
    if (!read) continue;
    size_t times = read->times, waits = times_in(&reader->before, node);
    read->of = copy;
    list_replace(&reader->before, node, copy);
    list_remove(&o->nodes[node].after, s->nodes[i]);
    o->nodes[node].readers_all -= times, o->nodes[copy].readers_all += times;
    for (size_t k = 0; k < waits; k++) HCT_PUSH(o->arena, &o->nodes[copy].after, s->nodes[i]);
  }
  memmove(&s->nodes[from + 1], &s->nodes[from], (count - from) * sizeof *s->nodes);
  s->nodes[from] = copy;
}

/* As many gathers run again as it takes for the schedule to fit in `room`: where most lives, what is read again last. */
static void gathers_spread(ordering *o, schedule *s, int64_t room) {
  size_t *nodes = HCT_NEW_ARRAY(o->arena, size_t, o->room + 1);
  memcpy(nodes, s->nodes, o->count * sizeof *nodes);
  s->nodes = nodes;
  while (s->peak > room && o->count < o->room) {
    order_progress at = tile_progress_start(o);
    size_t peak = peak_find(o, s, &at), best = SIZE_MAX, furthest = 0;
    for (size_t i = 0; i < o->count; i++) {
      if (!o->nodes[i].again || !at.placed[i] || !at.readers[i]) continue;
      size_t next = next_reader(o, s, i, peak);
      if (next > peak && next < o->count && next > furthest) best = i, furthest = next;
    }
    if (best == SIZE_MAX) break;
    gather_again(o, s, best, furthest);
    s->peak = tile_order_peak(o, s);
  }
}

/* ---- stages that are alike ---- */
typedef struct words { uint64_t *items; size_t count, capacity; } words;

static void put_list(const ordering *o, words *w, const index_list *list) {
  HCT_PUSH(o->arena, w, list->count);
  for (size_t i = 0; i < list->count; i++) HCT_PUSH(o->arena, w, list->items[i]);
}

static void put_reads(const ordering *o, words *w, const read_list *list) {
  HCT_PUSH(o->arena, w, list->count);
  for (size_t i = 0; i < list->count; i++) HCT_PUSH(o->arena, w, list->items[i].of * (HCT_MAX_VARIADIC + 1) + list->items[i].times);
}

static void put_seconds(const ordering *o, words *w, double seconds) {
  uint64_t bits;
  memcpy(&bits, &seconds, sizeof bits);
  HCT_PUSH(o->arena, w, bits);
}

/* All that an order depends on. */
static void put_problem(const ordering *o, words *w) {
  HCT_PUSH(o->arena, w, o->count);
  HCT_PUSH(o->arena, w, (uint64_t)o->fixed);
  for (size_t i = 0; i < o->count; i++) {
    const order_node *n = &o->nodes[i];
    const uint64_t numbers[] = {n->at, n->cost.engines, (uint64_t)n->bytes, n->common, n->root, n->sum, n->again};
    put_seconds(o, w, n->cost.seconds), put_seconds(o, w, n->cost.stalls);
    for (size_t k = 0; k < HCT_COUNT(numbers); k++) HCT_PUSH(o->arena, w, numbers[k]);
    put_list(o, w, &n->before), put_reads(o, w, &n->loads), put_reads(o, w, &n->reads);
  }
  for (size_t i = 0; i < o->loads.count; i++) {
    put_seconds(o, w, o->loads.items[i].seconds);
    HCT_PUSH(o->arena, w, (uint64_t)o->loads.items[i].bytes);
  }
}

/* What was found for the same problem; NULL: nothing yet. */
static const hct_known_order *order_known(const hct_known_orders *orders, const words *key) {
  for (size_t i = 0; i < orders->count; i++) {
    const hct_known_order *known = &orders->items[i];
    if (known->word_count == key->count && !memcmp(known->words, key->items, key->count * sizeof *key->items)) return known;
  }
  return NULL;
}

static const hct_known_order *order_keep(hct_known_orders *orders, const words *key, const ordering *o, const schedule *s) {
  hct_known_order known = {HCT_NEW_ARRAY(orders->arena, uint64_t, key->count + 1), key->count, HCT_NEW_ARRAY(orders->arena, size_t, o->count + 1), o->count};
  memcpy(known.words, key->items, key->count * sizeof *key->items);
  for (size_t i = 0; i < o->count; i++) known.order[i] = o->nodes[s->nodes[i]].at;
  HCT_PUSH(orders->arena, orders, known);
  return &orders->items[orders->count - 1];
}

/* *o: with double buffers; becomes `single`, without, where they take too much. Where nothing is to overlap, an order that fits is all that is asked. */
static schedule order_find(ordering **o, ordering *single) {
  schedule written = schedule_written(*o), deep = tile_order_deep(*o, tile_order_room(*o, FILL));
  if ((written.peak < deep.peak ? written.peak : deep.peak) > tile_order_room(*o, FILL)) *o = single, written = schedule_written(single), deep = tile_order_deep(single, tile_order_room(single, FILL_SINGLE));
  int64_t room = tile_order_room(*o, (*o)->single ? FILL_SINGLE : FILL), most = tile_order_room(*o, MOST_FILL);
  schedule *base = written.peak <= room || written.peak < deep.peak ? &written : &deep;
  if (base->peak > most) gathers_spread(*o, base, room);
  bool overlaps = !strcmp(hct_pass_option((*o)->l->pass, "overlap", "ring"), "ring");
  return base->peak > most || !overlaps ? *base : schedule_best(*o, base, room_within(*o, room, base->peak));
}

/* With every result there at once. */
static int64_t bytes_all(const ordering *o) {
  int64_t all = o->fixed;
  for (size_t i = 0; i < o->count; i++) all += o->nodes[i].bytes;
  for (size_t i = 0; i < o->loads.count; i++) all += o->loads.items[i].bytes;
  return all;
}

static void order_take(lowering *l, ordering *o, ordering *single, size_t **order, size_t *count) {
  words key = {0};
  put_problem(o, &key), put_problem(single, &key);
  const hct_known_order *known = order_known(l->orders, &key);
  if (!known) {
    ordering *chosen = o;
    schedule found = order_find(&chosen, single);
    known = order_keep(l->orders, &key, chosen, &found);
  }
  *order = HCT_NEW_ARRAY(l->arena, size_t, known->count + 1);
  if (known->count) memcpy(*order, known->order, known->count * sizeof **order);
  *count = known->count;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static void least_note(lowering *l, const ordering *o) { l->pass->least_sram_bytes = larger(l->pass->least_sram_bytes, o->fixed + tile_order_peak_least(o)); }

/* What the stage takes of SRAM, in any order, and in one that is found at once. */
static void needs_note(lowering *l, const ordering *o) {
  least_note(l, o);
  schedule written = schedule_written(o);
  int64_t peak = written.peak, room = tile_order_room(o, FILL_SINGLE);
  if (peak > room && tile_order_peak_least(o) <= room) peak = tile_order_shallow(o).peak;
  if (peak > room && written.peak > room) l->pass->crowded = true;
}

/* A trial of what fits in no order ends here. */
static hct_status order_take_any(lowering *l, ordering *o, ordering *single, size_t **order, size_t *count) {
  int64_t sram = (int64_t)l->pass->package.sram_bytes;
  least_note(l, single);
  if (l->pass->streams_only && l->pass->least_sram_bytes > sram)
    return hct_error(l->pass->diags, HCT_E_SRAM_FULL, (hct_loc){0}, "a stage takes %lld bytes of SRAM in any order on a die that has %lld", (long long)l->pass->least_sram_bytes, (long long)sram);
  order_take(l, o, single, order, count);
  return HCT_OK;
}

hct_status tile_order(lowering *l, size_t **order, size_t *count) {
  ordering o = tile_ordering_make(l, *order, *count, AGAIN, false), single = tile_ordering_make(l, *order, *count, AGAIN, true);
  hct_status status = HCT_OK;
  if (l->pass->unordered) needs_note(l, &single);
  else if (bytes_all(&o) > (int64_t)l->pass->package.sram_bytes / 2) status = order_take_any(l, &o, &single, order, count);
  hct_arena_destroy(o.arena);
  hct_arena_destroy(single.arena);
  return status;
}
