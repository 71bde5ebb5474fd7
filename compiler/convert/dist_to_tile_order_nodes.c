/* What there is to order in a stage (dist_to_tile_order.h): what waits for what, and takes how much of SRAM for how long. */
#include <string.h>

#include "compiler/convert/dist_to_tile_order.h"

static int64_t value_bytes(const ordering *o, size_t value) { return tile_value_bytes(o->l, value, &o->place); }

/* ---- dependences ---- */
void tile_order_depend(ordering *o, size_t before, size_t after) {
  HCT_PUSH(o->arena, &o->nodes[before].after, after);
  HCT_PUSH(o->arena, &o->nodes[after].before, before);
  o->nodes[after].waits_all++;
}

static void reside(ordering *o, size_t value, int64_t times) {
  if (o->resident[value]) return;
  o->resident[value] = true;
  o->fixed += times * value_bytes(o, value);
}

static read_of *list_find(const read_list *list, size_t of) {
  for (size_t k = 0; k < list->count; k++)
    if (list->items[k].of == of) return &list->items[k];
  return NULL;
}

read_of *tile_order_read(const order_node *n, size_t node) { return list_find(&n->reads, node); }

static void list_read(ordering *o, read_list *list, size_t of) {
  read_of *same = list_find(list, of);
  if (same) same->times++;
  else HCT_PUSH(o->arena, list, ((read_of){of, 1}));
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
  list_read(o, &o->nodes[node].loads, o->load_of[value] - 1);
}

static void result_read(ordering *o, size_t node, size_t of) {
  list_read(o, &o->nodes[node].reads, of);
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
  tile_order_depend(o, o->made_by[root] - 1, node);
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
  if (last_sum[sum]) tile_order_depend(o, last_sum[sum] - 1, node);
  last_sum[sum] = node + 1;
}

static int64_t least_growth_of(const ordering *o, const order_node *n) {
  int64_t growth = n->readers_all ? n->bytes : 0;
  for (size_t k = 0; k < n->reads.count; k++) growth -= o->nodes[n->reads.items[k].of].bytes;
  for (size_t k = 0; k < n->loads.count; k++) growth -= o->loads.items[n->loads.items[k].of].bytes;
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

static void nodes_make(ordering *o, const size_t *written, size_t count, size_t extra) {
  size_t *last_sum = HCT_NEW_ARRAY(o->arena, size_t, o->l->program->value_count + 1);
  o->room = count + extra;
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
    n->common |= n->readers_all >= TILE_ORDER_COMMON;
  }
  gates_find(o);
}

ordering tile_ordering_make(lowering *l, const size_t *written, size_t count, size_t extra, bool single) {
  const hct_package *p = &l->pass->package;
  ordering o = {.l = l, .arena = hct_arena_create(), .place = {.rows = p->rows, .cols = p->cols, .micro_batch_size = l->program->micro_batch}, .single = single};
  size_t values = l->program->value_count + 1;
  o.made_by = HCT_NEW_ARRAY(o.arena, size_t, values), o.held_by = HCT_NEW_ARRAY(o.arena, size_t, values), o.load_of = HCT_NEW_ARRAY(o.arena, size_t, values), o.first_of = HCT_NEW_ARRAY(o.arena, size_t, values);
  o.resident = HCT_NEW_ARRAY(o.arena, bool, values);
  nodes_make(&o, written, count, extra);
  return o;
}

int64_t tile_order_room(const ordering *o, double share) { return (int64_t)(share * (double)((int64_t)o->l->pass->package.sram_bytes - o->fixed)); }

int64_t tile_order_peak_least(const ordering *o) {
  int64_t least = 0;
  for (size_t i = 0; i < o->count; i++) {
    const order_node *n = &o->nodes[i];
    int64_t bytes = n->bytes;
    for (size_t k = 0; k < n->reads.count; k++)
      if (n->reads.items[k].of != i) bytes += o->nodes[n->reads.items[k].of].bytes;
    if (bytes > least) least = bytes;
  }
  return least;
}

/* ---- how far an order has come ---- */
order_progress tile_progress_start(const ordering *o) {
  order_progress at = {HCT_NEW_ARRAY(o->arena, uint32_t, o->count + 1), HCT_NEW_ARRAY(o->arena, uint32_t, o->count + 1), HCT_NEW_ARRAY(o->arena, uint32_t, o->loads.count + 1), HCT_NEW_ARRAY(o->arena, bool, o->count + 1), 0, 0, 0};
  for (size_t i = 0; i < o->count; i++) at.waits[i] = (uint32_t)o->nodes[i].waits_all, at.readers[i] = (uint32_t)o->nodes[i].readers_all;
  for (size_t i = 0; i < o->loads.count; i++) at.load_readers[i] = (uint32_t)o->loads.items[i].readers_all;
  return at;
}

void tile_progress_copy(const ordering *o, order_progress *to, const order_progress *from) {
  memcpy(to->waits, from->waits, o->count * sizeof *to->waits);
  memcpy(to->readers, from->readers, o->count * sizeof *to->readers);
  memcpy(to->load_readers, from->load_readers, o->loads.count * sizeof *to->load_readers);
  memcpy(to->placed, from->placed, o->count * sizeof *to->placed);
  to->live = from->live, to->peak = from->peak, to->common = from->common;
}

const order_load *tile_order_loaded(const ordering *o, const order_progress *at, const order_node *n, size_t k) {
  const order_load *load = &o->loads.items[n->loads.items[k].of];
  return at->load_readers[n->loads.items[k].of] == load->readers_all ? load : NULL;
}

static void bytes_add(order_bytes *to, int64_t bytes, bool common) {
  to->all += bytes;
  if (common) to->common += bytes;
}

static bool load_is_common(const order_load *load) { return load->readers_all >= TILE_ORDER_COMMON; }

order_bytes tile_order_taken(const ordering *o, const order_progress *at, const order_node *n) {
  order_bytes taken = {0, 0};
  bytes_add(&taken, n->bytes, n->common);
  for (size_t k = 0; k < n->loads.count; k++) {
    const order_load *load = tile_order_loaded(o, at, n, k);
    if (load) bytes_add(&taken, load->bytes, load_is_common(load));
  }
  return taken;
}

order_bytes tile_order_freed(const ordering *o, const order_progress *at, const order_node *n) {
  order_bytes freed = {0, 0};
  if (!n->readers_all) bytes_add(&freed, n->bytes, n->common);
  for (size_t k = 0; k < n->reads.count; k++) {
    const order_node *read = &o->nodes[n->reads.items[k].of];
    if (at->readers[n->reads.items[k].of] == n->reads.items[k].times) bytes_add(&freed, read->bytes, read->common);
  }
  for (size_t k = 0; k < n->loads.count; k++) {
    const order_load *load = &o->loads.items[n->loads.items[k].of];
    if (at->load_readers[n->loads.items[k].of] == n->loads.items[k].times) bytes_add(&freed, load->bytes, load_is_common(load));
  }
  return freed;
}

int64_t tile_order_growth(const ordering *o, const order_progress *at, size_t node) { return tile_order_taken(o, at, &o->nodes[node]).all - tile_order_freed(o, at, &o->nodes[node]).all; }

void tile_order_place(const ordering *o, order_progress *at, size_t node, index_list *out_ready) {
  const order_node *n = &o->nodes[node];
  order_bytes taken = tile_order_taken(o, at, n), freed = tile_order_freed(o, at, n);
  if (at->live + taken.all > at->peak) at->peak = at->live + taken.all;
  at->live += taken.all - freed.all;
  at->common += taken.common - freed.common;
  at->placed[node] = true;
  for (size_t k = 0; k < n->reads.count; k++) at->readers[n->reads.items[k].of] -= (uint32_t)n->reads.items[k].times;
  for (size_t k = 0; k < n->loads.count; k++) at->load_readers[n->loads.items[k].of] -= (uint32_t)n->loads.items[k].times;
  for (size_t k = 0; k < n->after.count; k++)
    if (--at->waits[n->after.items[k]] == 0 && out_ready) HCT_PUSH(o->arena, out_ready, n->after.items[k]);
}

void tile_order_unplace(const ordering *o, order_progress *at, size_t node) {
  const order_node *n = &o->nodes[node];
  at->placed[node] = false;
  for (size_t k = 0; k < n->reads.count; k++) at->readers[n->reads.items[k].of] += (uint32_t)n->reads.items[k].times;
  for (size_t k = 0; k < n->loads.count; k++) at->load_readers[n->loads.items[k].of] += (uint32_t)n->loads.items[k].times;
  for (size_t k = 0; k < n->after.count; k++) at->waits[n->after.items[k]]++;
}

int64_t tile_order_peak(const ordering *o, const schedule *s) {
  order_progress at = tile_progress_start(o);
  for (size_t i = 0; i < o->count; i++) tile_order_place(o, &at, s->nodes[i], NULL);
  return at.peak;
}
