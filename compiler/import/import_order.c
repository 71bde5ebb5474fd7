/* The order in which nodes are run: that of repeated sweeps over the file, each of which runs what is ready when it comes by. A file in
 * topological order keeps its order. Linear in nodes, inputs and outputs (Kahn's algorithm says in which sweep a node is run). */
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct node_order {
  importer *im;
  bool *left_out;
  hct_map *producers;     /* value -> its place in graph->node */
  size_t *pending;        /* inputs of each node that are still to be made */
  size_t *sweep;
  hct_index_list made_by, read_by; /* edges */
} node_order;

static size_t producer_of(const node_order *o, const char *name) {
  Onnx__NodeProto **place = hct_map_get(o->producers, name);
  return place ? (size_t)(place - o->im->graph->node) : SIZE_MAX;
}

static hct_status refuse_at(importer *im, size_t index, const char *fmt, const char *name) {
  im->node = NULL;
  im->loc = import_node_loc(im, index);
  return import_refuse(im, HCT_E_ONNX_INVALID, fmt, name);
}

/* Exporters that merge files write Constant nodes of one name; of those the last one counts. Other values that are made twice are refused. */
static void constants_leave_out(node_order *o) {
  importer *im = o->im;
  size_t replaced = 0;
  hct_map *last = hct_map_create(im->arena);
  for (size_t n = im->graph->n_node; n-- > 0;) {
    const Onnx__NodeProto *node = im->graph->node[n];
    if (strcmp(node->op_type, "Constant") || node->n_output != 1) continue;
    o->left_out[n] = hct_map_has(last, node->output[0]);
    replaced += o->left_out[n];
    if (!o->left_out[n]) hct_map_put(last, node->output[0], im->graph->node[n]);
  }
  if (replaced) hct_remark(im->pass->diags, (hct_loc){.file = im->file}, "%zu Constant nodes make a value that a later Constant node makes again; the last one of each name is taken", replaced);
}

static hct_status producers_find(node_order *o) {
  const Onnx__GraphProto *graph = o->im->graph;
  for (size_t n = 0; n < graph->n_node; n++)
    for (size_t k = 0; !o->left_out[n] && k < graph->node[n]->n_output; k++) {
      const char *name = graph->node[n]->output[k];
      if (!name[0]) continue;
      if (hct_map_has(o->producers, name) || hct_map_has(o->im->values, name)) return refuse_at(o->im, n, "the value '%s' is made twice", name);
      hct_map_put(o->producers, name, &graph->node[n]);
    }
  return HCT_OK;
}

static hct_status edges_find(node_order *o) {
  const Onnx__GraphProto *graph = o->im->graph;
  for (size_t n = 0; n < graph->n_node; n++)
    for (size_t k = 0; !o->left_out[n] && k < graph->node[n]->n_input; k++) {
      const char *name = graph->node[n]->input[k];
      if (!name[0] || hct_map_has(o->im->values, name)) continue;
      size_t producer = producer_of(o, name);
      if (producer == SIZE_MAX) return refuse_at(o->im, n, "its input '%s' is made by no node, input or initializer", name);
      HCT_PUSH(o->im->arena, &o->made_by, producer);
      HCT_PUSH(o->im->arena, &o->read_by, n);
      o->pending[n]++;
    }
  return HCT_OK;
}

/* Every node that is left waits for one that is left: following them comes to a cycle. */
static hct_status refuse_cycle(const node_order *o) {
  const Onnx__GraphProto *graph = o->im->graph;
  bool *seen = HCT_NEW_ARRAY(o->im->arena, bool, graph->n_node);
  const char *awaited = "";
  size_t at = 0;
  while (!o->pending[at]) at++;
  while (!seen[at]) {
    size_t from = SIZE_MAX;
    seen[at] = true;
    for (size_t k = 0; from == SIZE_MAX && k < graph->node[at]->n_input; k++) {
      size_t producer = graph->node[at]->input[k][0] ? producer_of(o, graph->node[at]->input[k]) : SIZE_MAX;
      if (producer == SIZE_MAX || !o->pending[producer]) continue;
      awaited = graph->node[at]->input[k];
      from = producer;
    }
    at = from;
  }
  return refuse_at(o->im, at, "its output '%s' depends on itself: the graph has a cycle", awaited);
}

/* `out_done`: how many nodes can be run. */
static size_t sweeps_find(node_order *o, size_t *out_sweep_count) {
  hct_arena *arena = o->im->arena;
  size_t count = o->im->graph->n_node, ready = 0, *queue = HCT_NEW_ARRAY(arena, size_t, count + 1), done = 0;
  hct_groups readers = hct_groups_create(arena, count, o->made_by.count, o->made_by.items, o->read_by.items);
  *out_sweep_count = 1;
  for (size_t n = 0; n < count; n++)
    if (!o->left_out[n] && !o->pending[n]) queue[ready++] = n;
  for (; done < ready; done++) {
    size_t n = queue[done];
    if (o->sweep[n] >= *out_sweep_count) *out_sweep_count = o->sweep[n] + 1;
    for (size_t e = readers.first[n]; e < readers.first[n + 1]; e++) {
      size_t reader = readers.items[e], earliest = o->sweep[n] + (n > reader);
      if (o->sweep[reader] < earliest) o->sweep[reader] = earliest;
      if (!--o->pending[reader]) queue[ready++] = reader;
    }
  }
  return done;
}

hct_status import_order(importer *im, size_t *out_order, size_t *out_count) {
  size_t count = im->graph->n_node, kept = 0, sweep_count;
  node_order o = {.im = im, .producers = hct_map_create(im->arena), .left_out = HCT_NEW_ARRAY(im->arena, bool, count + 1), .pending = HCT_NEW_ARRAY(im->arena, size_t, count + 1),
                  .sweep = HCT_NEW_ARRAY(im->arena, size_t, count + 1)};
  constants_leave_out(&o);
  HCT_TRY(producers_find(&o));
  HCT_TRY(edges_find(&o));
  for (size_t n = 0; n < count; n++) kept += !o.left_out[n];
  if (sweeps_find(&o, &sweep_count) < kept) return refuse_cycle(&o);
  for (size_t n = 0; n < count; n++)
    if (o.left_out[n]) o.sweep[n] = SIZE_MAX;
  hct_groups sweeps = hct_groups_create(im->arena, sweep_count, count, o.sweep, NULL);
  if (kept) memcpy(out_order, sweeps.items, kept * sizeof *out_order);
  *out_count = kept;
  return HCT_OK;
}
