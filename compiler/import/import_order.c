/* The order in which nodes are run: that of repeated sweeps over the file, each of which runs what is ready when it comes by. A file in
 * topological order keeps its order. Kahn's algorithm by value, with the ready nodes in a heap: n log n in nodes, inputs and outputs. */
#include <string.h>

#include "compiler/import/import_internal.h"

typedef struct ready_node { size_t sweep, index; } ready_node;
typedef struct wait { size_t node; struct wait *next; } wait;
typedef struct node_queue {
  importer *im;
  hct_map *waits;   /* value -> wait *, of the nodes that read it */
  struct { size_t *items; size_t count, capacity; } pending; /* inputs of each node that are still to be made */
  struct { ready_node *items; size_t count, capacity; } heap; /* the next first */
  size_t left;      /* nodes */
} node_queue;

static bool before(const ready_node *a, const ready_node *b) { return a->sweep < b->sweep || (a->sweep == b->sweep && a->index < b->index); }

static void ready_swap(ready_node *a, ready_node *b) {
  ready_node kept = *a;
  *a = *b;
  *b = kept;
}

static void ready_push(node_queue *q, ready_node node) {
  HCT_PUSH(q->im->arena, &q->heap, node);
  for (size_t at = q->heap.count - 1; at && before(&q->heap.items[at], &q->heap.items[(at - 1) / 2]); at = (at - 1) / 2) ready_swap(&q->heap.items[at], &q->heap.items[(at - 1) / 2]);
}

static ready_node ready_pop(node_queue *q) {
  ready_node first = q->heap.items[0], *items = q->heap.items;
  items[0] = items[--q->heap.count];
  for (size_t at = 0, child; (child = 2 * at + 1) < q->heap.count; at = child) {
    if (child + 1 < q->heap.count && before(&items[child + 1], &items[child])) child++;
    if (!before(&items[child], &items[at])) break;
    ready_swap(&items[child], &items[at]);
  }
  return first;
}

/* Exporters that merge files write Constant nodes of one name; of those the last one counts. Other values that are made twice are refused. */
static bool *constants_replaced(importer *im) {
  size_t replaced = 0;
  hct_map *last = hct_map_create(im->arena);
  bool *out = HCT_NEW_ARRAY(im->arena, bool, im->graph->n_node + 1);
  for (size_t n = im->graph->n_node; n-- > 0;) {
    const Onnx__NodeProto *node = im->graph->node[n];
    if (strcmp(node->op_type, "Constant") || node->n_output != 1) continue;
    out[n] = hct_map_has(last, node->output[0]);
    replaced += out[n];
    if (!out[n]) hct_map_put(last, node->output[0], im->graph->node[n]);
  }
  if (replaced) hct_remark(im->pass->diags, (hct_loc){.file = im->file}, "%zu Constant nodes make a value that a later Constant node makes again; the last one of each name is taken", replaced);
  return out;
}

static void node_enter(node_queue *q, size_t index, size_t sweep) {
  const Onnx__NodeProto *node = q->im->graph->node[index];
  q->left++;
  for (size_t k = 0; k < node->n_input; k++) {
    if (!node->input[k][0] || hct_map_has(q->im->values, node->input[k])) continue;
    wait *kept = HCT_NEW(q->im->arena, wait);
    *kept = (wait){index, hct_map_get(q->waits, node->input[k])};
    hct_map_put(q->waits, node->input[k], kept);
    q->pending.items[index]++;
  }
  if (!q->pending.items[index]) ready_push(q, (ready_node){sweep, index});
}

static void outputs_made(node_queue *q, ready_node made) {
  const Onnx__NodeProto *node = q->im->graph->node[made.index];
  for (size_t o = 0; o < node->n_output; o++) {
    if (!node->output[o][0] || !hct_map_has(q->im->values, node->output[o])) continue;
    for (const wait *w = hct_map_get(q->waits, node->output[o]); w; w = w->next)
      if (!--q->pending.items[w->node]) ready_push(q, (ready_node){made.sweep + (w->node < made.index), w->node});
    hct_map_put(q->waits, node->output[o], NULL);
  }
}

static hct_status refuse_at(importer *im, size_t index, const char *fmt, const char *name) {
  im->node = NULL;
  im->loc = import_node_loc(im, index);
  return import_refuse(im, HCT_E_ONNX_INVALID, fmt, name);
}

/* The first input of a node that is still to be made. */
static const char *input_awaited(const importer *im, size_t index) {
  const Onnx__NodeProto *node = im->graph->node[index];
  for (size_t k = 0; k < node->n_input; k++)
    if (node->input[k][0] && !hct_map_has(im->values, node->input[k])) return node->input[k];
  return NULL;
}

static bool is_string(const Onnx__GraphProto *graph, const char *name) {
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (!strcmp(graph->initializer[i]->name, name)) return graph->initializer[i]->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
  return false;
}

/* A node that is left waits for a node that is left, which waits in turn: this ends at a value that no node makes, or in a cycle. */
static hct_status refuse_left(const node_queue *q) {
  importer *im = q->im;
  hct_map *producers = hct_map_create(im->arena);
  bool *seen = HCT_NEW_ARRAY(im->arena, bool, im->graph->n_node);
  for (size_t n = 0; n < im->graph->n_node; n++)
    for (size_t o = 0; o < im->graph->node[n]->n_output; o++) hct_map_put(producers, im->graph->node[n]->output[o], &im->graph->node[n]);
  size_t at = 0;
  while (!q->pending.items[at]) at++;
  for (;;) {
    const char *awaited = input_awaited(im, at);
    Onnx__NodeProto **producer = hct_map_get(producers, awaited);
    if (!producer && is_string(im->graph, awaited)) return refuse_at(im, at, "its input '%s' is an initializer of strings, which are not supported", awaited);
    if (!producer) return refuse_at(im, at, "its input '%s' is made by no node, input or initializer", awaited);
    size_t from = (size_t)(producer - im->graph->node);
    if (!q->pending.items[from]) return refuse_at(im, from, "its output '%s' is not supported, and another node reads it", awaited);
    if (seen[from]) return refuse_at(im, from, "its output '%s' depends on itself: the graph has a cycle", awaited);
    seen[at] = true;
    at = from;
  }
}

hct_status import_nodes(importer *im, hct_index_list *out_order) {
  node_queue q = {.im = im, .waits = hct_map_create(im->arena)};
  const bool *replaced = constants_replaced(im);
  size_t known = im->graph->n_node;
  for (size_t n = 0; n < known; n++) {
    HCT_PUSH(im->arena, &q.pending, 0);
    if (!replaced[n]) node_enter(&q, n, 0);
  }
  while (q.heap.count) {
    ready_node next = ready_pop(&q);
    HCT_TRY(import_node(im, next.index));
    q.left--;
    bool replaced_by_nodes = im->graph->n_node > known;
    for (; known < im->graph->n_node; known++) {
      HCT_PUSH(im->arena, &q.pending, 0);
      node_enter(&q, known, next.sweep);
    }
    outputs_made(&q, next);
    if (!replaced_by_nodes) HCT_PUSH(im->arena, out_order, next.index);
  }
  return q.left ? refuse_left(&q) : HCT_OK;
}
