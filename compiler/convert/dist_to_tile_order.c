/* The order of a stage's operations in its loop, for --overlap=ring: a list schedule over MXU, VPU and the rings of both axes, within SRAM. While one
 * block of tokens computes, the next one's tiles travel on the rings of one axis and the sums of the one before on those of the other.
 *
 * The backend schedules again, with exact times and without a limit, where all that fits in SRAM. This order is for what does not: an operation
 * whose result has no room waits for others to free some, and a collective that takes room starts no earlier than the MXU runs out of work: issued
 * before, it fills its ring's queue, and what is issued after it waits with it. Sums into one accumulator keep their order, so that numbers do not depend on this one. */
#include <string.h>

#include "compiler/convert/dist_to_tile.h"

enum { ENGINE_MXU = 1, ENGINE_VPU = 2, ENGINE_ROW = 4, ENGINE_COL = 8, ENGINES = 4, TRIES = 8 };
static const double FILL = 0.9; /* of the room, since what is live does not lie without gaps */

typedef struct index_list { size_t *items; size_t count, capacity; } index_list;
typedef struct order_node {
  size_t at; /* in the stage */
  unsigned engines;
  double seconds, path;
  int64_t bytes;      /* its result takes, until the last reader */
  index_list after, reads; /* nodes; nodes whose results it reads, one entry an operand */
  size_t waits_all, readers_all;
  size_t waits, readers; /* left, in the schedule being made */
  double ready;
} order_node;

typedef struct ordering {
  lowering *l;
  hct_arena *arena;
  hct_place place;
  order_node *nodes;
  size_t count;
  size_t *made_by;    /* by value: its node plus one */
  bool *resident;     /* by value: counted in `fixed` */
  int64_t fixed;      /* bytes throughout the loop: weights, accumulators, what DMA moves (twice, for two iterations) */
} ordering;

typedef struct schedule { size_t *order; int64_t peak; } schedule;

/* ---- costs ---- */
static int64_t value_bytes(const ordering *o, size_t value) {
  const hct_dist_value *info = tile_info(o->l, value);
  return hct_layout_tile_elements(&info->layout, &o->place) * (int64_t)hct_dtype_bytes(info->shape.dtype);
}

static double elements(const ordering *o, size_t value) { return (double)hct_layout_tile_elements(&tile_info(o->l, value)->layout, &o->place); }

static double contract_seconds(const ordering *o, const hct_dist_op *op) {
  const hct_package *p = &o->l->pass->package;
  return tile_contract_cycles(o->l, op, &o->place) / p->clock_hz;
}

static double collective_seconds(const ordering *o, const hct_dist_op *op, const char *axis) {
  const hct_package *p = &o->l->pass->package;
  double from = (double)value_bytes(o, op->operands[0]), to = (double)value_bytes(o, op->results[0]), moved = from > to ? from - to : to - from;
  double steps = (double)(axis[1] ? p->rows * p->cols : axis[0] == 'r' ? p->rows : p->cols);
  if (!strcmp(op->name, "hct_graph.all_reduce")) moved = 2 * to, steps *= 2;
  return moved / p->link_bandwidth_bytes_per_s + steps * p->link_latency_s;
}

static void node_cost(const ordering *o, const hct_dist_op *op, order_node *n) {
  const hct_package *p = &o->l->pass->package;
  const char *axis = tile_is_collective(op->name) ? hct_op_str(op->op, "axis") : "";
  n->engines = ENGINE_VPU;
  if (op->accumulate) return;
  if (axis[0] && strcmp(op->name, "hct_graph.shard_slice")) {
    n->engines = (strchr(axis, 'r') ? ENGINE_ROW : 0u) | (strchr(axis, 'c') ? ENGINE_COL : 0u);
    n->seconds = collective_seconds(o, op, axis);
  } else if (!strcmp(op->name, "hct_graph.contract")) {
    n->engines = ENGINE_MXU;
    n->seconds = contract_seconds(o, op);
  } else {
    double most = elements(o, op->results[0]);
    for (size_t k = 0; k < op->operand_count && !strcmp(op->name, "hct_graph.reduce"); k++) most = elements(o, op->operands[k]);
    bool slow = !strcmp(op->name, "hct_graph.softmax") || !strcmp(op->name, "hct_graph.map1");
    n->seconds = most / (double)p->vpu_lanes * (slow ? (double)p->vpu_transcendental_cycles : 1) / p->clock_hz;
  }
}

/* ---- dependences ---- */
static void depend(ordering *o, size_t before, size_t after) {
  HCT_PUSH(o->arena, &o->nodes[before].after, after);
  o->nodes[after].waits_all++;
}

static void reside(ordering *o, size_t value, int64_t times) {
  if (o->resident[value]) return;
  o->resident[value] = true;
  o->fixed += times * value_bytes(o, value);
}

static void node_read(ordering *o, size_t node, size_t operand) {
  size_t root = hct_dist_view_root(o->l->program, operand);
  if (!o->made_by[root]) {
    if (!hct_dist_is_constant(o->l->program, root)) reside(o, root, tile_info(o->l, root)->timed ? 2 : 1);
    return;
  }
  depend(o, o->made_by[root] - 1, node);
  HCT_PUSH(o->arena, &o->nodes[node].reads, o->made_by[root] - 1);
  o->nodes[o->made_by[root] - 1].readers_all++;
}

static void node_results(ordering *o, size_t node, const hct_dist_op *op, size_t *last_sum) {
  bool direct = tile_accumulates_directly(o->l, op);
  for (size_t k = 0; k < op->result_count; k++) {
    const hct_dist_value *result = tile_info(o->l, op->results[k]);
    o->made_by[op->results[k]] = node + 1;
    if (op->accumulate) reside(o, op->results[k], 1);
    else if (result->spilled && result->timed) reside(o, op->results[k], 2);
    else if (!direct) o->nodes[node].bytes += value_bytes(o, op->results[k]);
  }
  if (!direct) return;
  size_t sum = tile_accumulator_of(o->l, op)->results[0];
  if (last_sum[sum]) depend(o, last_sum[sum] - 1, node);
  last_sum[sum] = node + 1;
}

static void nodes_make(ordering *o, const size_t *written, size_t count) {
  size_t *last_sum = HCT_NEW_ARRAY(o->arena, size_t, o->l->program->value_count + 1);
  o->nodes = HCT_NEW_ARRAY(o->arena, order_node, count + 1);
  for (size_t i = 0; i < count; i++) {
    const hct_dist_op *op = tile_stage_op(o->l, written[i]);
    o->nodes[i].at = written[i];
    for (size_t k = 0; k < op->operand_count; k++) node_read(o, i, op->operands[k]);
    node_cost(o, op, &o->nodes[i]);
    node_results(o, i, op, last_sum);
  }
  o->count = count;
  for (size_t i = count; i-- > 0;) {
    order_node *n = &o->nodes[i];
    for (size_t k = 0; k < n->after.count; k++)
      if (o->nodes[n->after.items[k]].path > n->path) n->path = o->nodes[n->after.items[k]].path;
    n->path += n->seconds;
  }
}

/* ---- schedules ---- */
/* Bytes that the node frees when it is done: results of which it is the last reader, its own where nothing reads it. */
static int64_t freed_by(const ordering *o, const order_node *n) {
  int64_t bytes = n->readers_all ? 0 : n->bytes;
  for (size_t k = 0; k < n->reads.count; k++) {
    size_t here = 0, first = k;
    for (size_t j = 0; j < n->reads.count; j++)
      if (n->reads.items[j] == n->reads.items[k]) here++, first = j < first ? j : first;
    if (first == k && o->nodes[n->reads.items[k]].readers == here) bytes += o->nodes[n->reads.items[k]].bytes;
  }
  return bytes;
}

static void nodes_reset(ordering *o) {
  for (size_t i = 0; i < o->count; i++) o->nodes[i].waits = o->nodes[i].waits_all, o->nodes[i].readers = o->nodes[i].readers_all, o->nodes[i].ready = 0;
}

static void node_place(ordering *o, size_t index, double end, int64_t *live, schedule *s) {
  order_node *n = &o->nodes[index];
  *live += n->bytes;
  if (*live > s->peak) s->peak = *live;
  *live -= freed_by(o, n);
  for (size_t k = 0; k < n->reads.count; k++) o->nodes[n->reads.items[k]].readers--;
  for (size_t k = 0; k < n->after.count; k++) {
    order_node *next = &o->nodes[n->after.items[k]];
    if (end > next->ready) next->ready = end;
    next->waits--;
  }
}

static double start_of(const order_node *n, const double free[ENGINES], int64_t growth) {
  double at = n->ready;
  for (int e = 0; e < ENGINES; e++)
    if ((n->engines >> e & 1) && free[e] > at) at = free[e];
  bool early = growth > 0 && (n->engines & (ENGINE_ROW | ENGINE_COL));
  return early && at < free[0] ? free[0] : at;
}

static schedule schedule_make(ordering *o, int64_t room) {
  schedule s = {.order = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1)};
  double free[ENGINES] = {0};
  int64_t live = 0;
  index_list ready = {0};
  nodes_reset(o);
  for (size_t i = 0; i < o->count; i++)
    if (!o->nodes[i].waits) HCT_PUSH(o->arena, &ready, i);
  for (size_t placed = 0; placed < o->count; placed++) {
    size_t best = SIZE_MAX;
    int64_t best_growth = 0;
    double best_start = 0;
    bool best_fits = false;
    for (size_t i = 0; i < ready.count; i++) {
      const order_node *n = &o->nodes[ready.items[i]], *b = best == SIZE_MAX ? NULL : &o->nodes[ready.items[best]];
      int64_t growth = n->bytes - freed_by(o, n);
      bool fits = live + n->bytes <= room, better;
      double start = start_of(n, free, growth);
      if (!b || fits != best_fits) better = !b || fits;
      else if (!fits) better = growth != best_growth ? growth < best_growth : n < b;
      else better = start != best_start ? start < best_start : n->path != b->path ? n->path > b->path : n < b;
      if (better) best = i, best_growth = growth, best_start = start, best_fits = fits;
    }
    size_t index = ready.items[best];
    order_node *n = &o->nodes[index];
    double end = best_start + n->seconds;
    for (int e = 0; e < ENGINES; e++)
      if (n->engines >> e & 1) free[e] = end;
    ready.items[best] = ready.items[--ready.count];
    node_place(o, index, end, &live, &s);
    for (size_t k = 0; k < n->after.count; k++) { /* an operation that depends twice is ready once */
      size_t next = n->after.items[k];
      bool again = false;
      for (size_t j = 0; j < k; j++) again |= n->after.items[j] == next;
      if (!again && !o->nodes[next].waits) HCT_PUSH(o->arena, &ready, next);
    }
    s.order[placed] = n->at;
  }
  return s;
}

static schedule schedule_written(ordering *o) {
  schedule s = {.order = HCT_NEW_ARRAY(o->arena, size_t, o->count + 1)};
  int64_t live = 0;
  nodes_reset(o);
  for (size_t i = 0; i < o->count; i++) {
    node_place(o, i, 0, &live, &s);
    s.order[i] = o->nodes[i].at;
  }
  return s;
}

void tile_order(lowering *l, size_t *order, size_t count) {
  if (strcmp(hct_pass_option(l->pass, "overlap", "ring"), "ring")) return;
  const hct_package *p = &l->pass->package;
  ordering o = {.l = l, .arena = hct_arena_create(), .place = {.rows = p->rows, .cols = p->cols, .micro_batch_size = l->program->micro_batch}};
  o.made_by = HCT_NEW_ARRAY(o.arena, size_t, l->program->value_count + 1);
  o.resident = HCT_NEW_ARRAY(o.arena, bool, l->program->value_count + 1);
  nodes_make(&o, order, count);
  int64_t all = o.fixed, room = (int64_t)(FILL * (double)((int64_t)p->sram_bytes - o.fixed));
  for (size_t i = 0; i < count; i++) all += o.nodes[i].bytes;
  if (all > (int64_t)p->sram_bytes / 2) {
    schedule best = schedule_written(&o);
    int64_t limit = best.peak > room ? best.peak : room;
    for (int t = 0; t < TRIES; t++) {
      schedule s = schedule_make(&o, room * (TRIES - t) / TRIES);
      if (s.peak > limit) continue;
      best = s;
      break;
    }
    memcpy(order, best.order, count * sizeof *order);
  }
  hct_arena_destroy(o.arena);
}
