/* The layers that a short model leaves out (hct_layers_shorten), put back into its program: the opposite of fold.c, so that passes need not see each of many
 * equal layers.
 *
 * A repeat of forward rises from layer to layer, that of backward falls, and that of steps which wait for all gradients rises again. What takes the place of one
 * buffer, tensor or source in the next layer makes a chain of each, which gets as many more as layers are left out; periods are copied for these, and all that an
 * operation touches is moved along its chain by as many as layers have come in below it. Names go on evenly ("layers.2.q", "layers.3.q"); a tensor that is no
 * activation must so arrive at the name that follows in the short model, a parameter at those that were left out, else nothing is done. So do the numbers of
 * dropouts' streams. Nor is anything done where some layer would then be used as none was before. */
#include <stdlib.h>
#include <string.h>

#include "backends/chiplet/chiplet.h"

enum { NONE = -1, FEWEST = 3 };

/* ---- names ---- */
/* `a` with each of its numbers gone on `steps` times as far as to that of `b`; NULL: they differ in more than numbers. */
static const char *text_advance(hct_arena *arena, const char *a, const char *b, int64_t steps) {
  hct_text text = {0};
  bool alike = true;
  while (alike && (*a || *b)) {
    bool digits = *a >= '0' && *a <= '9' && *b >= '0' && *b <= '9';
    if (digits) {
      char *a_end, *b_end;
      long long x = strtoll(a, &a_end, 10), y = strtoll(b, &b_end, 10);
      hct_text_printf(&text, "%lld", x + steps * (y - x));
      a = a_end, b = b_end;
    } else {
      alike = *a == *b;
      hct_text_append(&text, a, 1);
      a++, b++;
    }
  }
  const char *made = alike ? hct_arena_strdup(arena, text.data ? text.data : "") : NULL;
  hct_text_fini(&text);
  return made;
}

/* ---- chains ---- */
typedef struct chains {
  int64_t *up, *down;           /* by item: its like in the next layer, and in the one before */
  size_t *members, *first, *at; /* items chain by chain; by item: where its chain begins there, and its place in it */
  size_t *length, *cut, *fresh; /* by item that begins a chain: members; new ones come behind this place; the first new item */
  size_t count, total;          /* items before, and with the new ones */
} chains;

static chains chains_make(hct_arena *arena, size_t count) {
  chains c = {.count = count, .total = count, .up = HCT_NEW_ARRAY(arena, int64_t, count + 1), .down = HCT_NEW_ARRAY(arena, int64_t, count + 1)};
  size_t **arrays[] = {&c.members, &c.first, &c.at, &c.length, &c.cut, &c.fresh};
  for (size_t i = 0; i < HCT_COUNT(arrays); i++) *arrays[i] = HCT_NEW_ARRAY(arena, size_t, count + 1);
  for (size_t i = 0; i <= count; i++) c.up[i] = c.down[i] = NONE;
  return c;
}

/* False: something has two likes. */
static bool chains_add(chains *c, const int64_t *next, bool rising) {
  for (size_t i = 0; i < c->count; i++) {
    if (next[i] < 0 || next[i] == (int64_t)i) continue;
    int64_t lower = rising ? (int64_t)i : next[i], upper = rising ? next[i] : (int64_t)i;
    if ((c->up[lower] != NONE && c->up[lower] != upper) || (c->down[upper] != NONE && c->down[upper] != lower)) return false;
    c->up[lower] = upper, c->down[upper] = lower;
  }
  return true;
}

static void chains_close(chains *c, size_t layers) {
  size_t placed = 0;
  for (size_t i = 0; i < c->count; i++) {
    if (c->down[i] != NONE || c->up[i] == NONE) continue;
    size_t first = placed;
    for (int64_t m = (int64_t)i; m != NONE; m = c->up[m]) {
      c->first[m] = first, c->at[m] = placed - first;
      c->members[placed++] = (size_t)m;
    }
    c->length[i] = placed - first;
    c->fresh[i] = c->total;
    c->total += layers;
  }
}

static bool in_chain(const chains *c, size_t item) { return item < c->count && (c->up[item] != NONE || c->down[item] != NONE); }
static size_t chain_of(const chains *c, size_t item) { return c->members[c->first[item]]; }

/* What stands `shift` places further in the longer chain. */
static size_t moved(const chains *c, size_t item, size_t shift, size_t layers) {
  if (!in_chain(c, item)) return item;
  size_t chain = chain_of(c, item), place = c->at[item] + shift;
  if (place <= c->cut[chain]) return c->members[c->first[item] + place];
  if (place <= c->cut[chain] + layers) return c->fresh[chain] + (place - c->cut[chain] - 1);
  return c->members[c->first[item] + place - layers];
}

/* ---- the longer program ---- */
typedef struct unfolding {
  chiplet_program *program;
  size_t layers; /* left out */
  chains buffers, tensors, sources, streams;
  op_list ops;
} unfolding;

static chiplet_op op_moved(unfolding *u, const chiplet_op *op, size_t shift) {
  chiplet_op copy = *op;
  copy.operands = chiplet_operands_copy(u->program->arena, op);
  for (size_t k = 0; k < op->operand_count; k++) copy.operands[k].buffer = moved(&u->buffers, op->operands[k].buffer, shift, u->layers);
  if (op->kind == CHIPLET_LOAD || op->kind == CHIPLET_STORE) copy.tensor = moved(&u->tensors, op->tensor, shift, u->layers);
  if (op->kind == CHIPLET_DROPOUT) copy.stream = moved(&u->streams, op->stream, shift, u->layers);
  copy.copy_of = op;
  copy.source = (uint32_t)moved(&u->sources, op->source, shift, u->layers);
  if (!op->body_count) return copy;
  copy.body = HCT_NEW_ARRAY(u->program->arena, chiplet_op, op->body_count);
  for (size_t i = 0; i < op->body_count; i++) copy.body[i] = op_moved(u, &op->body[i], shift);
  return copy;
}

static void ops_move(unfolding *u, size_t from, size_t end, size_t shift) {
  for (size_t i = from; i < end; i++) {
    chiplet_op op = op_moved(u, &u->program->ops[i], shift);
    HCT_PUSH(u->program->arena, &u->ops, op);
  }
}

/* Forward's repeat, and that of steps that wait for all gradients; the other is backward's. */
static bool is_rising(size_t repeat) { return repeat != 1; }

/* Copies of the second period of each repeat. What comes between two repeats is as far up as the first of them ends. */
static void ops_make(unfolding *u, const repeat_list *repeats) {
  size_t from = 0, shift = 0;
  u->ops.capacity = u->program->op_count;
  for (size_t n = 0; n < repeats->count; n++) u->ops.capacity += u->layers * repeats->items[n].period;
  u->ops.items = HCT_NEW_ARRAY(u->program->arena, chiplet_op, u->ops.capacity);
  for (size_t n = 0; n < repeats->count; n++) {
    size_t period = repeats->items[n].period, end = repeats->items[n].first + 2 * period;
    ops_move(u, from, end, shift);
    for (size_t j = 1; j <= u->layers; j++) ops_move(u, end - period, end, is_rising(n) ? j : u->layers - j);
    from = end, shift = is_rising(n) ? u->layers : 0;
  }
  ops_move(u, from, u->program->op_count, shift);
}

/* New buffers are as those of the second layer of their chain; an alias has its storage as many places further as itself. */
static void buffers_make(unfolding *u) {
  const chains *c = &u->buffers;
  chiplet_buffer *items = HCT_NEW_ARRAY(u->program->arena, chiplet_buffer, c->total + 1);
  for (size_t b = 0; b < c->count; b++) {
    const chiplet_buffer *old = &u->program->buffers.items[b];
    bool chained = in_chain(c, b);
    size_t stays = chained && c->at[b] > c->cut[chain_of(c, b)] ? u->layers : 0;
    items[b] = *old;
    if (old->storage != b) items[b].storage = moved(c, old->storage, stays, u->layers);
    if (!chained || chain_of(c, b) != b) continue;
    const chiplet_buffer *like = &u->program->buffers.items[c->members[c->first[b] + c->cut[b]]];
    for (size_t j = 0; j < u->layers; j++) {
      items[c->fresh[b] + j] = *like;
      items[c->fresh[b] + j].storage = moved(c, like->storage, j + 1, u->layers);
    }
  }
  u->program->buffers.items = items;
  u->program->buffers.count = u->program->buffers.capacity = c->total;
}

/* ---- what has a name ---- */
static const char *tensor_name(const unfolding *u, size_t chain, size_t place) { return u->program->tensors.items[u->tensors.members[u->tensors.first[chain] + place]].name; }

/* The place behind which names go on only after as many as layers are left out. */
static bool cut_find(unfolding *u, size_t chain) {
  for (size_t i = 2; i < u->tensors.length[chain]; i++) {
    const char *next = text_advance(u->program->arena, tensor_name(u, chain, 0), tensor_name(u, chain, 1), (int64_t)i), *name = tensor_name(u, chain, i);
    if (next && !strcmp(next, name)) continue;
    next = text_advance(u->program->arena, tensor_name(u, chain, 0), tensor_name(u, chain, 1), (int64_t)(i + u->layers));
    u->tensors.cut[chain] = i - 1;
    return next && !strcmp(next, name);
  }
  return false;
}

/* Activations and constants: their names have a number of no meaning. */
static bool is_numbered(const hct_tensor *tensor) { return tensor->role == HCT_ROLE_SPILL || tensor->role == HCT_ROLE_CONSTANT; }

/* Whether all of the chain have the same contents, where those are known here. */
static bool contents_alike(const unfolding *u, size_t chain) {
  const hct_tensor *first = &u->program->tensors.items[chain];
  for (size_t i = 1; i < u->tensors.length[chain]; i++) {
    const hct_tensor *other = &u->program->tensors.items[u->tensors.members[u->tensors.first[chain] + i]];
    if (!first->data != !other->data || first->data_bytes != other->data_bytes || (first->data && memcmp(first->data, other->data, first->data_bytes) != 0)) return false;
  }
  return true;
}

static hct_status tensor_make(unfolding *u, size_t chain, size_t number, hct_tensor *out_tensor) {
  size_t cut = u->tensors.cut[chain];
  *out_tensor = u->program->tensors.items[u->tensors.members[u->tensors.first[chain] + cut]];
  if (is_numbered(out_tensor)) {
    out_tensor->name = hct_arena_printf(u->program->arena, "%s.%zu", out_tensor->name, number + 1);
    return HCT_OK;
  }
  out_tensor->name = text_advance(u->program->arena, tensor_name(u, chain, 0), tensor_name(u, chain, 1), (int64_t)(cut + 1 + number));
  if (out_tensor->role != HCT_ROLE_PARAM) return HCT_OK;
  const char *data = hct_map_get(u->program->pass->left_out->data, out_tensor->name);
  out_tensor->data = NULL, out_tensor->data_file = NULL;
  return data && data[0] ? chiplet_tensor_data(u->program, data, out_tensor) : HCT_OK;
}

/* False: names do not go on. */
static bool tensors_named(unfolding *u) {
  size_t parameters = 0;
  for (size_t t = 0; t < u->tensors.count; t++) {
    const hct_tensor *tensor = &u->program->tensors.items[t];
    if (!in_chain(&u->tensors, t) || chain_of(&u->tensors, t) != t) continue;
    if (tensor->role != HCT_ROLE_PARAM && !contents_alike(u, t)) return false;
    if (is_numbered(tensor)) continue;
    if (!cut_find(u, t)) return false;
    for (size_t j = 0; tensor->role == HCT_ROLE_PARAM && j < u->layers; j++, parameters++)
      if (!hct_map_has(u->program->pass->left_out->data, text_advance(u->program->arena, tensor_name(u, t, 0), tensor_name(u, t, 1), (int64_t)(u->tensors.cut[t] + 1 + j)))) return false;
  }
  return parameters == hct_map_count(u->program->pass->left_out->data);
}

static hct_status tensors_make(unfolding *u) {
  const chains *c = &u->tensors;
  hct_tensor *items = HCT_NEW_ARRAY(u->program->arena, hct_tensor, c->total + 1);
  for (size_t t = 0; t < c->count; t++) {
    items[t] = u->program->tensors.items[t];
    for (size_t j = 0; in_chain(c, t) && chain_of(c, t) == t && j < u->layers; j++) HCT_TRY(tensor_make(u, t, j, &items[c->fresh[t] + j]));
  }
  u->program->tensors.items = items;
  u->program->tensors.count = u->program->tensors.capacity = c->total;
  return HCT_OK;
}

/* A chain's place where locations leave layers out, as cut_find; where they do not go on evenly, layers share what is said of the second. */
static void sources_make(unfolding *u) {
  chains *c = &u->sources;
  hct_source *items = HCT_NEW_ARRAY(u->program->arena, hct_source, c->total + 1), *old = u->program->sources.items;
  for (size_t s = 0; s < c->count; s++) {
    items[s] = old[s];
    if (!in_chain(c, s) || chain_of(c, s) != s) continue;
    const hct_source *zero = &old[s], *one = &old[c->members[c->first[s] + 1]];
    size_t cut = 1;
    while (cut + 1 < c->length[s]) {
      const char *next = text_advance(u->program->arena, zero->location, one->location, (int64_t)(cut + 1));
      if (!next || strcmp(next, old[c->members[c->first[s] + cut + 1]].location)) break;
      cut++;
    }
    c->cut[s] = cut;
    for (size_t j = 0; j < u->layers; j++) {
      hct_source *made = &items[c->fresh[s] + j];
      const char *location = text_advance(u->program->arena, zero->location, one->location, (int64_t)(cut + 1 + j)), *layer = text_advance(u->program->arena, zero->layer, one->layer, (int64_t)(cut + 1 + j));
      *made = *one;
      if (location && layer) made->location = location, made->layer = layer;
    }
  }
  u->program->sources.items = items;
  u->program->sources.count = u->program->sources.capacity = c->total;
}

/* Numbers of streams, that go on evenly too: false where they do not. */
static bool streams_make(unfolding *u) {
  chains *c = &u->streams;
  const int64_t *old = u->program->streams.items;
  int64_t *items = HCT_NEW_ARRAY(u->program->arena, int64_t, c->total + 1), layers = (int64_t)u->layers;
  for (size_t s = 0; s < c->count; s++) {
    items[s] = old[s];
    if (!in_chain(c, s) || chain_of(c, s) != s) continue;
    const size_t *members = &c->members[c->first[s]];
    int64_t step = old[members[1]] - old[s], left_out = 0;
    for (int64_t i = 2; i < (int64_t)c->length[s]; i++) {
      if (!left_out && old[members[i]] != old[s] + i * step) left_out = layers, c->cut[s] = (size_t)i - 1;
      if (old[members[i]] != old[s] + (i + left_out) * step) return false;
    }
    if (!left_out) return false;
    for (int64_t j = 0; j < layers; j++) items[c->fresh[s] + (size_t)j] = old[s] + ((int64_t)c->cut[s] + 1 + j) * step;
  }
  u->program->streams.items = items;
  u->program->streams.count = u->program->streams.capacity = c->total;
  return true;
}

/* Tensors in the order in which they are first touched: those of a layer lie as far from those of the next everywhere. */
static void tensors_note(const chiplet_op *op, size_t *place, size_t *placed) {
  if ((op->kind == CHIPLET_LOAD || op->kind == CHIPLET_STORE) && place[op->tensor] == SIZE_MAX) place[op->tensor] = (*placed)++;
  for (size_t i = 0; i < op->body_count; i++) tensors_note(&op->body[i], place, placed);
}

static void tensors_renumber(chiplet_op *op, const size_t *place) {
  if (op->kind == CHIPLET_LOAD || op->kind == CHIPLET_STORE) op->tensor = place[op->tensor];
  for (size_t i = 0; i < op->body_count; i++) tensors_renumber(&op->body[i], place);
}

static void tensors_sort(chiplet_program *program) {
  size_t placed = 0, *place = HCT_NEW_ARRAY(program->arena, size_t, program->tensors.count + 1);
  hct_tensor *items = HCT_NEW_ARRAY(program->arena, hct_tensor, program->tensors.count + 1);
  for (size_t t = 0; t < program->tensors.count; t++) place[t] = SIZE_MAX;
  for (size_t i = 0; i < program->op_count; i++) tensors_note(&program->ops[i], place, &placed);
  for (size_t t = 0; t < program->tensors.count; t++) {
    if (place[t] == SIZE_MAX) place[t] = placed++;
    items[place[t]] = program->tensors.items[t];
  }
  for (size_t i = 0; i < program->op_count; i++) tensors_renumber(&program->ops[i], place);
  program->tensors.items = items;
}

/* Sources of many layers may be one; what has no like of its own stays. */
static void sources_add(chains *c, const int64_t *next, bool rising) {
  for (size_t s = 1; s < c->count; s++) {
    size_t lower = rising ? s : (size_t)next[s], upper = rising ? (size_t)next[s] : s;
    if (next[s] <= 0 || lower == upper || c->up[lower] != NONE || c->down[upper] != NONE) continue;
    c->up[lower] = (int64_t)upper, c->down[upper] = (int64_t)lower;
  }
}

/* ---- is it the program of a deeper model? ---- */
typedef struct uses { size_t *buffers, *loads, *stores; } uses; /* by buffer, by tensor: operations */

static void uses_add(uses *u, const chiplet_op *op) {
  for (size_t k = 0; k < op->operand_count; k++) u->buffers[op->operands[k].buffer]++;
  if (op->kind == CHIPLET_LOAD) u->loads[op->tensor]++;
  if (op->kind == CHIPLET_STORE) u->stores[op->tensor]++;
  for (size_t i = 0; i < op->body_count; i++) uses_add(u, &op->body[i]);
}

static uses uses_count(const unfolding *u, const chiplet_op *ops, size_t count) {
  hct_arena *arena = u->program->arena;
  uses found = {HCT_NEW_ARRAY(arena, size_t, u->buffers.total + 1), HCT_NEW_ARRAY(arena, size_t, u->tensors.total + 1), HCT_NEW_ARRAY(arena, size_t, u->tensors.total + 1)};
  for (size_t i = 0; i < count; i++) uses_add(&found, &ops[i]);
  return found;
}

/* Members of a chain that is longer now: as they were up to the one at `place`, then more like that, then as they were. */
static bool chain_grew(const chains *c, size_t chain, size_t place, size_t layers, const size_t *before, const size_t *after) {
  for (size_t v = 0; v < c->length[chain] + layers; v++) {
    size_t like = v < place ? v : v < place + layers ? place : v - layers;
    if (after[moved(c, chain, v, layers)] != before[c->members[c->first[chain] + like]]) return false;
  }
  return true;
}

static bool chains_grew(const chains *c, size_t layers, const size_t *before, const size_t *after) {
  for (size_t i = 0; i < c->count; i++) {
    bool grew = !in_chain(c, i) || chain_of(c, i) != i;
    for (size_t place = 0; !grew && place < c->length[i]; place++) grew = chain_grew(c, i, place, layers, before, after);
    if (!grew) return false;
  }
  return true;
}

/* Whether all that came in is used just as its like of some layer, and the rest as before: else something outside of the repeats is of a layer that moved. */
static bool is_deeper(const unfolding *u) {
  uses before = uses_count(u, u->program->ops, u->program->op_count), after = uses_count(u, u->ops.items, u->ops.count);
  return chains_grew(&u->buffers, u->layers, before.buffers, after.buffers) && chains_grew(&u->tensors, u->layers, before.loads, after.loads) && chains_grew(&u->tensors, u->layers, before.stores, after.stores);
}

hct_status chiplet_unfold(chiplet_program *program, bool *out_unfolded) {
  unfolding u = {.program = program, .layers = (size_t)program->pass->left_out->count};
  repeat_list repeats = {0};
  chiplet_repeats_find(program, program->arena, FEWEST, &repeats);
  const chiplet_program before = *program;
  *out_unfolded = false;
  bool trains = strcmp(hct_pass_option(program->pass, "mode", "train"), "infer") != 0;
  if (trains ? repeats.count < 2 : repeats.count != 1) return HCT_OK;
  u.buffers = chains_make(program->arena, program->buffers.count), u.tensors = chains_make(program->arena, program->tensors.count), u.sources = chains_make(program->arena, program->sources.count);
  u.streams = chains_make(program->arena, program->streams.count);
  for (size_t n = 0; n < repeats.count; n++) {
    const chiplet_repeat *r = &repeats.items[n];
    if (!chains_add(&u.buffers, r->next_buffer, is_rising(n)) || !chains_add(&u.tensors, r->next_tensor, is_rising(n)) || !chains_add(&u.streams, r->next_stream, is_rising(n))) return HCT_OK;
    sources_add(&u.sources, r->next_source, is_rising(n));
  }
  chains_close(&u.buffers, u.layers), chains_close(&u.tensors, u.layers), chains_close(&u.sources, u.layers), chains_close(&u.streams, u.layers);
  if (!tensors_named(&u) || !streams_make(&u)) return HCT_OK;
  HCT_TRY(tensors_make(&u));
  sources_make(&u);
  buffers_make(&u);
  ops_make(&u, &repeats);
  if (!is_deeper(&u)) {
    *program = before;
    return HCT_OK;
  }
  program->ops = u.ops.items, program->op_count = u.ops.count;
  tensors_sort(program);
  chiplet_number(program);
  *out_unfolded = true;
  return HCT_OK;
}
