/* Of many equal layers a module may hold some; bounds of the whole step need the units of all. Two layers are alike where their groups read, make and sum
 * up the same bytes in the same order: what one makes in some place corresponds to what the next makes there. So a layer's units are copied, and what it
 * reads of the layer before or after it is what its copy's neighbour makes in that place. */
#include <string.h>

#include "compiler/analysis/units.h"
#include "compiler/analysis/workload.h"

enum { LAYERS_ALIKE = 5 }; /* show what a layer is */

typedef struct repetition {
  const hct_units *from;
  hct_units *to;
  hct_flow *flow;
  size_t groups, first, length, copies; /* of `from`: groups; of the layer that is copied, the first and how many */
  size_t *before, *after; /* by value that a neighbour of the layer makes: what the layer makes in its place; SIZE_MAX: nothing */
  size_t *own;            /* by value of the layer's own: which it is, plus one */
  size_t own_count;
} repetition;

static size_t unit_at(const hct_units *u, size_t group, bool backward) { return backward ? u->count - 1 - group : group; }
static size_t group_of(const hct_units *u, size_t unit) { return unit < u->count / 2 ? unit : u->count - 1 - unit; }

/* ---- which layer ---- */
static bool units_alike(const hct_units *u, const hct_unit *a, const hct_unit *b) {
  if (a->reads.count != b->reads.count || a->made.count != b->made.count || a->accumulators != b->accumulators) return false;
  for (size_t i = 0; i < a->made.count; i++)
    if (hct_flow_value_bytes(&u->flow->values[a->made.items[i]]) != hct_flow_value_bytes(&u->flow->values[b->made.items[i]])) return false;
  return true;
}

static bool groups_alike(const hct_units *u, size_t a, size_t b) { return units_alike(u, &u->items[a], &u->items[b]) && units_alike(u, &u->items[u->count - 1 - a], &u->items[u->count - 1 - b]); }

/* The longest run of groups that go on as so many before them. */
bool hct_units_find_layer(const hct_units *u, hct_layer_units *out_layer) {
  size_t groups = u->count / 2, longest = 0;
  for (size_t length = 1; length * LAYERS_ALIKE <= groups; length++)
    for (size_t first = 0, run = 0; first + length < groups; first++) {
      run = groups_alike(u, first, first + length) ? run + 1 : 0;
      if (run < (LAYERS_ALIKE - 1) * length || run <= longest) continue;
      longest = run;
      *out_layer = (hct_layer_units){first + 1 - run + 2 * length, length};
    }
  return longest > 0;
}

/* ---- what stands for what ---- */
static bool in_layer(const repetition *r, size_t group) { return group >= r->first && group < r->first + r->length; }

bool hct_units_in_layer(const hct_units *u, const hct_layer_units *layer, size_t value) {
  size_t group = hct_units_group(u, u->flow->values[value].op);
  return group >= layer->first && group < layer->first + layer->length;
}

static void neighbours_pair(repetition *r) {
  for (size_t g = r->first; g < r->first + r->length; g++)
    for (int backward = 0; backward < 2; backward++) {
      const hct_unit *own = &r->from->items[unit_at(r->from, g, backward)], *lower = &r->from->items[unit_at(r->from, g - r->length, backward)], *upper = &r->from->items[unit_at(r->from, g + r->length, backward)];
      for (size_t i = 0; i < own->made.count; i++) r->before[lower->made.items[i]] = r->after[upper->made.items[i]] = own->made.items[i];
    }
}

/* Activations that the layer makes, and arguments that nothing else reads; its optimizer steps may be in a later unit. */
static void own_find(repetition *r) {
  bool *elsewhere = HCT_NEW_ARRAY(r->to->arena, bool, r->from->flow->value_count + 1);
  for (size_t u = 0; u < r->from->count; u++)
    for (size_t i = 0; i < r->from->items[u].reads.count; i++)
      if (!in_layer(r, r->from->items[u].reads.items[i].group)) elsewhere[r->from->items[u].reads.items[i].value] = true;
  for (size_t u = 0; u < r->from->count; u++) {
    const hct_unit *unit = &r->from->items[u];
    for (size_t i = 0; i < unit->made.count && in_layer(r, group_of(r->from, u)); i++) r->own[unit->made.items[i]] = ++r->own_count;
    for (size_t i = 0; i < unit->reads.count; i++) {
      size_t value = unit->reads.items[i].value;
      if (in_layer(r, unit->reads.items[i].group) && r->from->flow->values[value].op == SIZE_MAX && !elsewhere[value] && !r->own[value]) r->own[value] = ++r->own_count;
    }
  }
}

/* The layer's value in its copy; copy 0 is the layer itself. */
static size_t value_in(const repetition *r, size_t value, size_t copy) { return copy && r->own[value] ? r->from->flow->value_count + (copy - 1) * r->own_count + r->own[value] - 1 : value; }

/* What the layer's copy reads where the layer reads `value`. */
static size_t value_read(const repetition *r, size_t value, size_t copy) {
  if (r->own[value]) return value_in(r, value, copy);
  if (copy && r->before[value] != SIZE_MAX) return value_in(r, r->before[value], copy - 1);
  if (copy < r->copies && r->after[value] != SIZE_MAX) return value_in(r, r->after[value], copy + 1);
  return value;
}

/* ---- the units ---- */
static void unit_copy(repetition *r, size_t from_unit, size_t to_group, bool backward, size_t copy, bool layer, bool above) {
  const hct_unit *from = &r->from->items[from_unit];
  size_t at = unit_at(r->to, to_group, backward), values = r->from->flow->value_count;
  hct_unit *to = &r->to->items[at];
  to->accumulators = from->accumulators;
  to->matrices = from->matrices;
  for (size_t i = 0; i < from->reads.count; i++) {
    hct_unit_read one = from->reads.items[i];
    bool whole = one.key == one.value, activation = r->from->flow->values[one.value].op != SIZE_MAX;
    if (layer) one.value = value_read(r, one.value, copy);
    else if (above && activation) one.value = value_in(r, one.value, r->copies);
    one.key = whole ? one.value : one.key - values + r->flow->value_count;
    HCT_PUSH(r->to->arena, &to->reads, one);
    if (r->flow->values[one.value].op != SIZE_MAX && at > r->to->last[one.value]) r->to->last[one.value] = at;
    for (size_t more = 1; !layer && in_layer(r, one.group) && more <= r->copies; more++) { /* steps of its copies wait beside its own */
      hct_unit_read waits = one;
      waits.value = waits.key = value_in(r, one.value, more);
      HCT_PUSH(r->to->arena, &to->reads, waits);
    }
  }
  for (size_t i = 0; i < from->made.count; i++) {
    size_t value = layer ? value_in(r, from->made.items[i], copy) : from->made.items[i];
    HCT_PUSH(r->to->arena, &to->made, value);
    r->to->unit_of[value] = at;
    if (at > r->to->last[value]) r->to->last[value] = at;
  }
}

static void units_copy(repetition *r) {
  for (size_t g = 0; g < r->groups; g++)
    for (int backward = 0; backward < 2; backward++) {
      bool layer = in_layer(r, g), above = g >= r->first + r->length;
      for (size_t copy = 0; copy <= (layer ? r->copies : 0); copy++)
        unit_copy(r, unit_at(r->from, g, backward), g + (above ? r->copies : copy) * r->length, backward, copy, layer, above);
    }
  for (size_t u = 0; u < r->to->count; u++)
    for (size_t k = 0; k < r->to->items[u].made.count; k++) HCT_PUSH(r->to->arena, &r->to->items[r->to->last[r->to->items[u].made.items[k]]].last_read, r->to->items[u].made.items[k]);
}

static void values_copy(repetition *r) {
  size_t count = r->from->flow->value_count;
  *r->flow = *r->from->flow;
  r->flow->value_count = count + r->copies * r->own_count;
  r->flow->values = HCT_NEW_ARRAY(r->to->arena, hct_flow_value, r->flow->value_count + 1);
  memcpy(r->flow->values, r->from->flow->values, count * sizeof *r->flow->values);
  for (size_t v = 0; v < count; v++)
    for (size_t copy = 1; r->own[v] && copy <= r->copies; copy++) r->flow->values[value_in(r, v, copy)] = r->from->flow->values[v];
}

hct_units hct_units_repeat(const hct_units *units, const hct_layer_units *layer, size_t copies) {
  hct_units made = {.arena = units->arena, .lowered = units->lowered, .lookups = units->lookups};
  hct_arena *arena = units->arena;
  repetition r = {.from = units, .to = &made, .flow = HCT_NEW(arena, hct_flow), .groups = units->count / 2, .first = layer->first, .length = layer->length, .copies = copies};
  size_t count = units->flow->value_count + 1;
  made.flow = r.flow;
  r.before = HCT_NEW_ARRAY(arena, size_t, count), r.after = HCT_NEW_ARRAY(arena, size_t, count), r.own = HCT_NEW_ARRAY(arena, size_t, count);
  for (size_t v = 0; v < count; v++) r.before[v] = r.after[v] = SIZE_MAX;
  neighbours_pair(&r);
  own_find(&r);
  values_copy(&r);
  made.count = units->count + 2 * copies * r.length;
  made.items = HCT_NEW_ARRAY(arena, hct_unit, made.count);
  made.unit_of = HCT_NEW_ARRAY(arena, size_t, r.flow->value_count + 1);
  made.last = HCT_NEW_ARRAY(arena, size_t, r.flow->value_count + 1);
  made.returned = HCT_NEW_ARRAY(arena, bool, r.flow->value_count + 1);
  memcpy(made.returned, units->returned, units->flow->value_count * sizeof *units->returned);
  units_copy(&r);
  return made;
}
