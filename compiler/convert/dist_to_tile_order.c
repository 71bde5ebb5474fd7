/* The order of a stage's operations in its loop, for --overlap=ring: a list schedule over MXU, VPU and the rings of both axes, within SRAM. While one
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

#include "compiler/convert/dist_to_tile.h"
#include "compiler/convert/dist_to_tile_room.h"

enum { AGAIN = 256 /* gathers that run again, at most */ };
enum { ENGINES = 4, TRIES = 8, ROOTS = 128, AHEAD = 24, COMMON = 8, LOAD_LEAD = 3 };
/* Of the room, since what is live does not lie without gaps: with double buffers, which are given up where they do not fit; without; what a list schedule may take at most. */
static const double FILL = 0.90, FILL_SINGLE = 0.85, MOST_FILL = 0.9;
/* For what lives, and what is done with in the order but not yet in time: what comes to lie where something is still read waits for that. */
static const double FILL_UNDER_WAY = 0.92, FILL_UNDER_WAY_SINGLE = 0.80;

typedef struct index_list { size_t *items; size_t count, capacity; } index_list;
typedef struct read_of { size_t node, times; } read_of; /* by so many operands */
typedef struct order_node {
  size_t at; /* in the stage */
  tile_op_cost cost;
  double path;
  int64_t bytes;      /* its result takes, until the last reader */
  int64_t least_growth; /* as if it were the last reader of all that it reads */
  index_list before, after, loads; /* nodes; loads that it reads, one entry an operand */
  struct { read_of *items; size_t count, capacity; } reads; /* nodes whose results it reads */
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

static int64_t value_bytes(const ordering *o, size_t value) { return tile_value_bytes(o->l, value, &o->place); }

/* ---- dependences ---- */
static void depend(ordering *o, size_t before, size_t after) {
  HCT_PUSH(o->arena, &o->nodes[before].after, after);
  HCT_PUSH(o->arena, &o->nodes[after].before, before);
  o->nodes[after].waits_all++;
}

static void reside(ordering *o, size_t value, int64_t times) {
  if (o->resident[value]) return;
  o->resident[value] = true;
  o->fixed += times * value_bytes(o, value);
}

/* What is streamed is loaded for each unit, which comes after the one before. */
static void load_read(ordering *o, size_t node, size_t value) {
  bool streamed = tile_streams(o->l, value);
  size_t unit = streamed ? tile_unit(tile_stage_op(o->l, o->nodes[node].at)->op) : 0;
  if (!o->load_of[value] || o->loads.items[o->load_of[value] - 1].unit != unit) {
    const hct_package *p = &o->l->pass->package;
    double sharing = (double)(p->rows * p->cols) / (double)p->dram_channels, bytes = (double)value_bytes(o, value) * (sharing > 1 ? sharing : 1);
    order_load made = {.seconds = p->dram_latency_s + bytes / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency), .bytes = o->single || streamed ? value_bytes(o, value) : 0, .unit = unit};
    HCT_PUSH(o->arena, &o->loads, made);
    o->load_of[value] = o->loads.count;
  }
  o->loads.items[o->load_of[value] - 1].readers_all++;
  HCT_PUSH(o->arena, &o->nodes[node].loads, o->load_of[value] - 1);
}

static read_of *read_find(const order_node *n, size_t node) {
  for (size_t k = 0; k < n->reads.count; k++)
    if (n->reads.items[k].node == node) return &n->reads.items[k];
  return NULL;
}

static void result_read(ordering *o, size_t node, size_t of) {
  read_of *same = read_find(&o->nodes[node], of);
  if (same) same->times++;
  else HCT_PUSH(o->arena, &o->nodes[node].reads, ((read_of){of, 1}));
  o->nodes[of].readers_all++;
}

static void node_read(ordering *o, size_t node, size_t operand) {
  size_t root = hct_dist_view_root(o->l->program, operand), maker = tile_info(o->l, root)->op;
  if (maker != SIZE_MAX && tile_pad_joins(o->l, &o->l->program->ops[maker])) { /* read where it is added */
    node_read(o, node, o->l->program->ops[maker].operands[0]);
    return;
  }
  if (!o->made_by[root]) {
    bool timed = tile_info(o->l, root)->timed, streamed = tile_streams(o->l, root);
    if (timed || streamed) load_read(o, node, root);
    if (!streamed && (!timed || !o->single) && !hct_dist_is_constant(o->l->program, root)) reside(o, root, timed ? 2 : 1);
    return;
  }
  depend(o, o->made_by[root] - 1, node);
  result_read(o, node, o->held_by[root] - 1);
}

/* A sum that is streamed takes its bytes from the first that adds to it to the last. */
static void sum_add(ordering *o, size_t node, size_t sum) {
  if (o->first_of[sum]) {
    result_read(o, node, o->first_of[sum] - 1);
    return;
  }
  o->first_of[sum] = node + 1;
  o->nodes[node].bytes += value_bytes(o, sum);
}

static void node_results(ordering *o, size_t node, const hct_dist_op *op, size_t *last_sum) {
  bool direct = tile_accumulates_directly(o->l, op);
  size_t held = tile_sum_held(o->l, op);
  for (size_t k = 0; k < op->result_count; k++) {
    const hct_dist_value *result = tile_info(o->l, op->results[k]);
    o->made_by[op->results[k]] = node + 1;
    o->held_by[op->results[k]] = held == SIZE_MAX ? node + 1 : o->held_by[held];
    if (held != SIZE_MAX) {
      o->nodes[o->held_by[held] - 1].common = true;
      o->nodes[o->held_by[held] - 1].again = false;
      o->nodes[node].root = o->nodes[node].sum = true;
      continue;
    }
    if (op->accumulate && tile_streams_sum(o->l, op)) sum_add(o, node, op->results[k]);
    else if (op->accumulate) reside(o, op->results[k], 1);
    else if (result->spilled && result->timed && !o->single) reside(o, op->results[k], 2);
    else if (!direct) o->nodes[node].bytes += value_bytes(o, op->results[k]);
    o->nodes[node].again = !strcmp(op->name, "hct_graph.all_gather") && !result->spilled && !direct && result->timed;
  }
  if (!direct) return;
  size_t sum = tile_accumulator_of(o->l, op)->results[0];
  o->nodes[node].root = true;
  if (tile_streams_sum(o->l, tile_accumulator_of(o->l, op))) sum_add(o, node, sum);
  if (last_sum[sum]) depend(o, last_sum[sum] - 1, node);
  last_sum[sum] = node + 1;
}

static bool is_first(const index_list *list, size_t at) {
  for (size_t i = 0; i < at; i++)
    if (list->items[i] == list->items[at]) return false;
  return true;
}

static int64_t least_growth_of(const ordering *o, const order_node *n) {
  int64_t growth = n->readers_all ? n->bytes : 0;
  for (size_t k = 0; k < n->reads.count; k++) growth -= o->nodes[n->reads.items[k].node].bytes;
  for (size_t k = 0; k < n->loads.count; k++)
    if (is_first(&n->loads, k)) growth -= o->loads.items[n->loads.items[k]].bytes;
  return growth;
}

/* From each root back to the first roots on every way. */
static void gates_find(ordering *o) {
  size_t *seen = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1);
  index_list path = {0};
  for (size_t i = 0; i < o->count; i++) {
    if (!o->nodes[i].root) continue;
    HCT_PUSH(o->arena, &path, i);
    while (path.count) {
      const order_node *n = &o->nodes[path.items[--path.count]];
      for (size_t k = 0; k < n->before.count; k++) {
        size_t before = n->before.items[k];
        if (seen[before] == i + 1) continue;
        seen[before] = i + 1;
        if (o->nodes[before].root) HCT_PUSH(o->arena, &o->nodes[i].gates, before);
        else HCT_PUSH(o->arena, &path, before);
      }
    }
  }
}

static void nodes_make(ordering *o, const size_t *written, size_t count) {
  size_t *last_sum = HCT_NEW_ARRAY(o->arena, size_t, o->l->program->value_count + 1);
  o->room = count + AGAIN;
  o->nodes = HCT_NEW_ARRAY(o->arena, order_node, o->room + 1);
  for (size_t i = 0; i < count; i++) {
    const hct_dist_op *op = tile_stage_op(o->l, written[i]);
    o->nodes[i].at = written[i];
    for (size_t k = 0; k < op->operand_count; k++) node_read(o, i, op->operands[k]);
    o->nodes[i].cost = tile_order_cost(o->l, op, &o->place);
    node_results(o, i, op, last_sum);
  }
  o->count = count;
  for (size_t i = count; i-- > 0;) {
    order_node *n = &o->nodes[i];
    for (size_t k = 0; k < n->after.count; k++)
      if (o->nodes[n->after.items[k]].path > n->path) n->path = o->nodes[n->after.items[k]].path;
    n->path += n->cost.seconds;
    n->least_growth = least_growth_of(o, n);
    n->root |= !n->after.count;
    n->common |= n->readers_all >= COMMON;
  }
  gates_find(o);
}

static ordering ordering_make(lowering *l, const size_t *written, size_t count, bool single) {
  const hct_package *p = &l->pass->package;
  ordering o = {.l = l, .arena = hct_arena_create(), .place = {.rows = p->rows, .cols = p->cols, .micro_batch_size = l->program->micro_batch}, .single = single};
  size_t values = l->program->value_count + 1;
  o.made_by = HCT_NEW_ARRAY(o.arena, size_t, values), o.held_by = HCT_NEW_ARRAY(o.arena, size_t, values), o.load_of = HCT_NEW_ARRAY(o.arena, size_t, values), o.first_of = HCT_NEW_ARRAY(o.arena, size_t, values);
  o.resident = HCT_NEW_ARRAY(o.arena, bool, values);
  nodes_make(&o, written, count);
  return o;
}

static int64_t room_of(const ordering *o, double share) { return (int64_t)(share * (double)((int64_t)o->l->pass->package.sram_bytes - o->fixed)); }

/* What a list schedule may take of it: a buffer of a quarter of what is left finds no place where as much as it takes is free in pieces. */
static int64_t room_within(const ordering *o, int64_t room, int64_t needed) {
  int64_t largest = 0, left = room_of(o, 1);
  for (size_t i = 0; i < o->count; i++)
    if (o->nodes[i].bytes > largest) largest = o->nodes[i].bytes;
  if (largest > left / 4 && left - largest < room) room = left - largest;
  return room > needed ? room : needed;
}

/* ---- schedules ---- */
/* How far a schedule has come. */
typedef struct progress {
  size_t *waits, *readers; /* left, by node */
  size_t *load_readers;    /* left, by load */
  bool *placed;
  int64_t live, peak;
  int64_t common;          /* of what lives */
} progress;

static progress progress_start(const ordering *o) {
  progress at = {HCT_NEW_ARRAY(o->arena, size_t, o->count + 1), HCT_NEW_ARRAY(o->arena, size_t, o->count + 1), HCT_NEW_ARRAY(o->arena, size_t, o->loads.count + 1), HCT_NEW_ARRAY(o->arena, bool, o->count + 1), 0, 0, 0};
  for (size_t i = 0; i < o->count; i++) at.waits[i] = o->nodes[i].waits_all, at.readers[i] = o->nodes[i].readers_all;
  for (size_t i = 0; i < o->loads.count; i++) at.load_readers[i] = o->loads.items[i].readers_all;
  return at;
}

static void progress_copy(const ordering *o, progress *to, const progress *from) {
  memcpy(to->waits, from->waits, o->count * sizeof *to->waits);
  memcpy(to->readers, from->readers, o->count * sizeof *to->readers);
  memcpy(to->load_readers, from->load_readers, o->loads.count * sizeof *to->load_readers);
  memcpy(to->placed, from->placed, o->count * sizeof *to->placed);
  to->live = from->live, to->peak = from->peak, to->common = from->common;
}

static size_t times_in(const index_list *list, size_t item) {
  size_t times = 0;
  for (size_t i = 0; i < list->count; i++) times += list->items[i] == item;
  return times;
}

/* What is loaded for the node, as it is the first to read it; NULL: its operand's `k`th load is not, or comes twice. */
static const order_load *loaded_for(const ordering *o, const progress *at, const order_node *n, size_t k) {
  const order_load *load = &o->loads.items[n->loads.items[k]];
  return is_first(&n->loads, k) && at->load_readers[n->loads.items[k]] == load->readers_all ? load : NULL;
}

static bool load_is_common(const order_load *load) { return load->readers_all >= COMMON; }

/* Bytes that the node takes: its result's, and those of what is loaded for it first. */
static int64_t taken_by(const ordering *o, const progress *at, const order_node *n, bool common_only) {
  int64_t bytes = n->common || !common_only ? n->bytes : 0;
  for (size_t k = 0; k < n->loads.count; k++) {
    const order_load *load = loaded_for(o, at, n, k);
    if (load && (load_is_common(load) || !common_only)) bytes += load->bytes;
  }
  return bytes;
}

/* Bytes that the node frees when it is done: results and loads of which it is the last reader, its own where nothing reads it. */
static int64_t freed_by(const ordering *o, const progress *at, const order_node *n, bool common_only) {
  int64_t bytes = n->readers_all || (common_only && !n->common) ? 0 : n->bytes;
  for (size_t k = 0; k < n->reads.count; k++) {
    read_of read = n->reads.items[k];
    if (at->readers[read.node] == read.times && (o->nodes[read.node].common || !common_only)) bytes += o->nodes[read.node].bytes;
  }
  for (size_t k = 0; k < n->loads.count; k++) {
    const order_load *load = &o->loads.items[n->loads.items[k]];
    if ((load_is_common(load) || !common_only) && is_first(&n->loads, k) && at->load_readers[n->loads.items[k]] == times_in(&n->loads, n->loads.items[k])) bytes += load->bytes;
  }
  return bytes;
}

static int64_t growth_of(const ordering *o, const progress *at, size_t node) { return taken_by(o, at, &o->nodes[node], false) - freed_by(o, at, &o->nodes[node], false); }

/* Nodes that wait for nothing any more join `out_ready`, unless NULL. */
static void node_place(const ordering *o, progress *at, size_t node, index_list *out_ready) {
  const order_node *n = &o->nodes[node];
  int64_t freed = freed_by(o, at, n, false), common_freed = freed_by(o, at, n, true);
  at->live += taken_by(o, at, n, false);
  at->common += taken_by(o, at, n, true);
  if (at->live > at->peak) at->peak = at->live;
  at->live -= freed;
  at->common -= common_freed;
  at->placed[node] = true;
  for (size_t k = 0; k < n->reads.count; k++) at->readers[n->reads.items[k].node] -= n->reads.items[k].times;
  for (size_t k = 0; k < n->loads.count; k++) at->load_readers[n->loads.items[k]]--;
  for (size_t k = 0; k < n->after.count; k++)
    if (--at->waits[n->after.items[k]] == 0 && out_ready) HCT_PUSH(o->arena, out_ready, n->after.items[k]);
}

static index_list ready_first(const ordering *o) {
  index_list ready = {0};
  for (size_t i = 0; i < o->count; i++)
    if (!o->nodes[i].waits_all) HCT_PUSH(o->arena, &ready, i);
  return ready;
}

static int64_t schedule_peak(const ordering *o, const schedule *s) {
  progress at = progress_start(o);
  for (size_t i = 0; i < o->count; i++) node_place(o, &at, s->nodes[i], NULL);
  return at.peak;
}

static schedule schedule_written(const ordering *o) {
  schedule s = {.nodes = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1)};
  for (size_t i = 0; i < o->count; i++) s.nodes[i] = i;
  s.peak = schedule_peak(o, &s);
  return s;
}

typedef struct visit { size_t node, next; } visit;
typedef struct descent {
  progress at;
  index_list ready;
  struct { visit *items; size_t count, capacity; } path;
  size_t *placed; /* in order */
  size_t count;
} descent;

static descent descent_start(const ordering *o) { return (descent){.at = progress_start(o), .ready = ready_first(o), .placed = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1)}; }

static void descent_copy(const ordering *o, descent *to, const descent *from) {
  progress_copy(o, &to->at, &from->at);
  to->ready.count = 0, to->count = from->count;
  for (size_t i = 0; i < from->ready.count; i++) HCT_PUSH(o->arena, &to->ready, from->ready.items[i]);
}

/* The node, then whatever is ready and takes no more than it frees. */
static void place_eagerly(const ordering *o, descent *d, size_t node) {
  for (size_t next = node; next != SIZE_MAX;) {
    node_place(o, &d->at, d->placed[d->count++] = next, &d->ready);
    next = SIZE_MAX;
    for (size_t i = 0; i < d->ready.count;) {
      size_t here = d->ready.items[i];
      if (d->at.placed[here]) {
        d->ready.items[i] = d->ready.items[--d->ready.count];
        continue;
      }
      if (here < next && o->nodes[here].least_growth <= 0 && growth_of(o, &d->at, here) <= 0) next = here;
      i++;
    }
  }
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

static int64_t live_but_common(const progress *at) { return at->live - at->common; }

/* Where a search for an order has come, tries from there, and tries from the end of one of these. */
typedef struct search {
  descent here, ahead, trial;
  bool looks_ahead, peaks; /* count */
} search;

/* A root all of whose gates are placed: what it needs is no other root, which could be placed for its own sake. */
static bool may_follow(const ordering *o, const descent *from, size_t node) {
  const index_list *gates = &o->nodes[node].gates;
  if (!o->nodes[node].root || from->at.placed[node]) return false;
  for (size_t k = 0; k < gates->count; k++)
    if (!from->at.placed[gates->items[k]]) return false;
  return true;
}

/* What lives there, and, if that counts, as much as it took in between more than was taken before `from`. */
static int64_t left_at(const search *s, const descent *d, const descent *from) { return live_but_common(&d->at) + (s->peaks ? d->at.peak - from->at.peak : 0); }

/* Of the next roots, the one that leaves least; SIZE_MAX: there is none. */
static size_t root_of_least(const ordering *o, search *s, const descent *from, int64_t *out_left) {
  size_t best = SIZE_MAX, tried = 0;
  for (size_t i = 0; i < o->count && tried < ROOTS; i++) {
    if (!may_follow(o, from, i)) continue;
    tried++;
    descent_copy(o, &s->trial, from);
    descend(o, &s->trial, i);
    int64_t left = left_at(s, &s->trial, from);
    if (best == SIZE_MAX || left < *out_left) best = i, *out_left = left;
  }
  return best;
}

/* What is left after the root and those that from there leave less than before, one after another. */
static int64_t left_ahead(const ordering *o, search *s, size_t root) {
  descent_copy(o, &s->ahead, &s->here);
  for (size_t next = root; next != SIZE_MAX;) {
    descend(o, &s->ahead, next);
    int64_t left = 0;
    next = root_of_least(o, s, &s->ahead, &left);
    if (left >= live_but_common(&s->ahead.at)) next = SIZE_MAX;
  }
  return left_at(s, &s->ahead, &s->here);
}

/* Of many roots, which take long to try, SIZE_MAX. */
static size_t root_of_least_ahead(const ordering *o, search *s) {
  size_t best = SIZE_MAX, count = 0;
  int64_t least = 0;
  for (size_t i = 0; i < o->count; i++) count += may_follow(o, &s->here, i);
  for (size_t i = 0; i < o->count && count <= AHEAD; i++) {
    if (!may_follow(o, &s->here, i)) continue;
    int64_t left = left_ahead(o, s, i);
    if (best == SIZE_MAX || left < least) best = i, least = left;
  }
  return best;
}

/* Depth first, so that little lives at once: of the next roots, which are what nothing reads and sums that grow in place, the one that leaves least, and takes
 * least more than was taken before. Where each leaves more than there is, what it lets others free counts as well: in attention's backward, a block's
 * probabilities are there until it has added to dV, and the gradient of its scores until it has added to dK. */
static schedule schedule_deep_by(const ordering *o, bool looks_ahead, bool peaks) {
  search s = {descent_start(o), descent_start(o), descent_start(o), looks_ahead, peaks};
  while (s.here.count < o->count) {
    int64_t left = 0;
    size_t next = root_of_least(o, &s, &s.here, &left);
    HCT_BUG_ON(next == SIZE_MAX, "operations in a circle");
    size_t ahead = looks_ahead && left > live_but_common(&s.here.at) ? root_of_least_ahead(o, &s) : SIZE_MAX;
    descend(o, &s.here, ahead == SIZE_MAX ? next : ahead);
  }
  return (schedule){s.here.placed, s.here.at.peak, 0};
}

/* The roots as written, each just after all that it needs: first sums that grow in place, so that attention that works head by head (hct-block-attention) is
 * done with one before the next; then, of what is left by then, sums over all heads. */
static schedule schedule_rooted(const ordering *o) {
  descent d = descent_start(o);
  for (int others = 0; others < 2; others++)
    for (size_t i = 0; i < o->count; i++)
      if (o->nodes[i].root && (o->nodes[i].sum || others) && !d.at.placed[i]) descend(o, &d, i);
  return (schedule){d.placed, d.at.peak, 0};
}

/* What any order takes: a node's result beside all that it reads. */
static int64_t peak_least(const ordering *o) {
  int64_t least = 0;
  for (size_t i = 0; i < o->count; i++) {
    const order_node *n = &o->nodes[i];
    int64_t bytes = n->bytes;
    for (size_t k = 0; k < n->reads.count; k++)
      if (n->reads.items[k].node != i) bytes += o->nodes[n->reads.items[k].node].bytes;
    if (bytes > least) least = bytes;
  }
  return least;
}

/* Looks ahead where neither fits in `room`, and some order may, which takes longer. What is taken in between has to be taken once in any case where it is the same for all blocks, and should then not count. */
static schedule schedule_deep(const ordering *o, int64_t room) {
  schedule best = schedule_deep_by(o, false, true);
  for (int way = 0; way < 3 && best.peak > room && peak_least(o) <= room; way++) {
    schedule next = way ? schedule_deep_by(o, true, way == 1) : schedule_rooted(o);
    if (next.peak < best.peak) best = next;
  }
  return best;
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
  progress trial;
  int64_t room;
  const policy *by;
} fallback;

/* Whether the rest of the base fits when `node` comes now. From where all nodes up to one are placed, it does in any case. */
static bool stays_safe(const ordering *o, fallback *f, const progress *at, size_t node) {
  size_t end = f->position[node] + 1 > f->end ? f->position[node] + 1 : f->end;
  if (at->live + taken_by(o, at, &o->nodes[node], false) > f->room) return false;
  if (f->position[node] == f->next && end == f->next + 1) return true;
  progress_copy(o, &f->trial, at);
  f->trial.peak = 0;
  node_place(o, &f->trial, node, NULL);
  for (size_t p = f->next; p < end && f->trial.peak <= f->room; p++)
    if (!f->trial.placed[f->base->nodes[p]]) node_place(o, &f->trial, f->base->nodes[p], NULL);
  return f->trial.peak <= f->room;
}

/* When each is free, the sequencer comes to what is next, and each node is ready. */
typedef struct engines { double free[ENGINES], load_free, issue, *ready; tile_room room; } engines;

static double load_seconds(const ordering *o, const progress *at, const order_node *n) {
  double seconds = 0;
  for (size_t k = 0; k < n->loads.count; k++) {
    const order_load *load = loaded_for(o, at, n, k);
    if (load) seconds += load->seconds;
  }
  return seconds;
}

/* Loads go one after another, and not long before the MXU comes to what they are for: what waits for them waits in its engine's queue, before others. */
static double start_of(const ordering *o, const progress *at, const engines *e, const policy *by, size_t node) {
  const order_node *n = &o->nodes[node];
  double start = e->ready[node] > e->issue ? e->ready[node] : e->issue, loads = load_seconds(o, at, n), mxu = e->free[0];
  for (int k = 0; k < ENGINES; k++)
    if ((n->cost.engines >> k & 1) && e->free[k] > start) start = e->free[k];
  if (loads > 0 && start < mxu - (double)LOAD_LEAD * loads) start = mxu - (double)LOAD_LEAD * loads;
  if (loads > 0 && start < e->load_free + loads) start = e->load_free + loads;
  bool early = start < mxu && (n->cost.engines & (TILE_ENGINE_ROW | TILE_ENGINE_COL)) && growth_of(o, at, node) > 0;
  if (early && start < mxu - by->lead * n->cost.seconds) start = mxu - by->lead * n->cost.seconds;
  return tile_room_from(&e->room, at->live, taken_by(o, at, n, false), start);
}

/* The place in `ready` of the node that starts first, of these the one with the longest path after it, without which the rest does not fit; SIZE_MAX: of few tried, none. */
static size_t pick(const ordering *o, const progress *at, fallback *f, const engines *e, const index_list *ready, double *starts) {
  for (size_t i = 0; i < ready->count; i++) {
    const order_node *n = &o->nodes[ready->items[i]];
    bool fits = at->live + taken_by(o, at, n, false) <= f->room && f->position[ready->items[i]] - f->next < f->by->window;
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
  engines e = {.ready = HCT_NEW_ARRAY(o->arena, double, o->count + 1), .room = {.arena = o->arena, .bytes = room_of(o, o->single ? FILL_UNDER_WAY_SINGLE : FILL_UNDER_WAY)}};
  double *starts = HCT_NEW_ARRAY(o->arena, double, o->count + 1);
  progress at = progress_start(o);
  fallback f = {.base = base, .position = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1), .trial = progress_start(o), .room = room, .by = by};
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
    tile_room_release(&e.room, end, freed_by(o, &at, n, false));
    for (int k = 0; k < ENGINES; k++)
      if (n->cost.engines >> k & 1) e.free[k] = end;
    for (size_t k = 0; k < n->after.count; k++)
      if (end > e.ready[n->after.items[k]]) e.ready[n->after.items[k]] = end;
    ready.items[picked] = ready.items[--ready.count];
    if (f.position[node] + 1 > f.end) f.end = f.position[node] + 1;
    node_place(o, &at, s.nodes[count] = node, &ready);
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
static size_t peak_find(const ordering *o, const schedule *s, progress *at) {
  progress whole = progress_start(o);
  size_t peak = 0;
  int64_t most = -1;
  for (size_t i = 0; i < o->count; i++) {
    int64_t live = whole.live + taken_by(o, &whole, &o->nodes[s->nodes[i]], false);
    if (live > most) most = live, peak = i;
    node_place(o, &whole, s->nodes[i], NULL);
  }
  for (size_t i = 0; i < peak; i++) node_place(o, at, s->nodes[i], NULL);
  return peak;
}

static size_t next_reader(const ordering *o, const schedule *s, size_t node, size_t from) {
  while (from < o->count && !read_find(&o->nodes[s->nodes[from]], node)) from++;
  return from;
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
  for (size_t k = 0; k < n->before.count; k++) depend(o, n->before.items[k], copy);
  for (size_t k = 0; k < n->reads.count; k++) {
    HCT_PUSH(o->arena, &o->nodes[copy].reads, n->reads.items[k]);
    o->nodes[n->reads.items[k].node].readers_all += n->reads.items[k].times;
  }
  for (size_t k = 0; k < n->loads.count; k++) {
    HCT_PUSH(o->arena, &o->nodes[copy].loads, n->loads.items[k]);
    o->loads.items[n->loads.items[k]].readers_all++;
  }
  return copy;
}

/* The readers of `node` from place `from` of the schedule on read a copy of it, which comes just before the first of them. */
static void gather_again(ordering *o, schedule *s, size_t node, size_t from) {
  size_t count = o->count, copy = node_copy(o, node);
  for (size_t i = from; i < count; i++) {
    order_node *reader = &o->nodes[s->nodes[i]];
    read_of *read = read_find(reader, node);
    if (!read) continue;
    size_t times = read->times, waits = times_in(&reader->before, node);
    read->node = copy;
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
    progress at = progress_start(o);
    size_t peak = peak_find(o, s, &at), best = SIZE_MAX, furthest = 0;
    for (size_t i = 0; i < o->count; i++) {
      if (!o->nodes[i].again || !at.placed[i] || !at.readers[i]) continue;
      size_t next = next_reader(o, s, i, peak);
      if (next > peak && next < o->count && next > furthest) best = i, furthest = next;
    }
    if (best == SIZE_MAX) break;
    gather_again(o, s, best, furthest);
    s->peak = schedule_peak(o, s);
  }
}

/* ---- stages that are alike ---- */
typedef struct words { uint64_t *items; size_t count, capacity; } words;

static void put_list(const ordering *o, words *w, const index_list *list) {
  HCT_PUSH(o->arena, w, list->count);
  for (size_t i = 0; i < list->count; i++) HCT_PUSH(o->arena, w, list->items[i]);
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
    put_list(o, w, &n->before), put_list(o, w, &n->loads);
    HCT_PUSH(o->arena, w, n->reads.count);
    for (size_t k = 0; k < n->reads.count; k++) HCT_PUSH(o->arena, w, n->reads.items[k].node * (HCT_MAX_VARIADIC + 1) + n->reads.items[k].times);
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

/* *o: with double buffers; becomes `single`, without, where they take too much. */
static schedule order_find(ordering **o, ordering *single) {
  schedule written = schedule_written(*o), deep = schedule_deep(*o, room_of(*o, FILL));
  if ((written.peak < deep.peak ? written.peak : deep.peak) > room_of(*o, FILL)) *o = single, written = schedule_written(single), deep = schedule_deep(single, room_of(single, FILL_SINGLE));
  int64_t room = room_of(*o, (*o)->single ? FILL_SINGLE : FILL), most = room_of(*o, MOST_FILL);
  schedule *base = written.peak <= room || written.peak < deep.peak ? &written : &deep;
  if (base->peak > most) gathers_spread(*o, base, room);
  return base->peak > most ? *base : schedule_best(*o, base, room_within(*o, room, base->peak));
}

void tile_order(lowering *l, size_t **order, size_t *count) {
  if (strcmp(hct_pass_option(l->pass, "overlap", "ring"), "ring")) return;
  ordering o = ordering_make(l, *order, *count, false), single = ordering_make(l, *order, *count, true);
  int64_t all = o.fixed;
  for (size_t i = 0; i < *count; i++) all += o.nodes[i].bytes;
  for (size_t i = 0; i < o.loads.count; i++) all += o.loads.items[i].bytes;
  if (all > (int64_t)l->pass->package.sram_bytes / 2) {
    words key = {0};
    put_problem(&o, &key), put_problem(&single, &key);
    const hct_known_order *known = order_known(l->orders, &key);
    if (!known) {
      ordering *chosen = &o;
      schedule found = order_find(&chosen, &single);
      known = order_keep(l->orders, &key, chosen, &found);
    }
    *order = HCT_NEW_ARRAY(l->arena, size_t, known->count + 1);
    if (known->count) memcpy(*order, known->order, known->count * sizeof **order);
    *count = known->count;
  }
  hct_arena_destroy(o.arena);
  hct_arena_destroy(single.arena);
}
