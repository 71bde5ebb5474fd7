/* hct-recompute-activations: what backward reads of its group's forward is stored, or computed again (--recompute).
 *
 *   before  %h = contract(%x, %w) {forward, group 1}     %a = map1(%h) {forward, group 1}      ...      backward of group 1 reads %h and %a
 *   after   the same, and before the first reader
 *           %b = map1(%h) {fn = "tanh", hct.group = 1, hct.pass = "backward", hct.recomputed}           backward of group 1 reads %h and %b
 *
 * A value that crosses groups in forward is stored, and lies in DRAM in any case where these are in different stages (hct-fuse-groups). Of the others, `all` makes every one again, from group inputs
 * on; `none` makes none; `auto` makes those again for which that takes less time than storing and loading, all of a group's values taken together:
 * exactly, under the costs of recompute_activations.h, as compiler/analysis/recompute.h says; and more, those that save least a byte, where
 * DRAM has no room for the others. What is the same for all samples (masks, the
 * count of labels) stays in SRAM and costs nothing. Clones are the same operators on the same operands, so numbers are the same to the bit. */
#include "compiler/transform/recompute_activations.h"

#include <math.h>
#include <string.h>

#include "compiler/analysis/recompute.h"
#include "compiler/pass.h"
#include "compiler/schedule/program.h"
#include "compiler/transform/partition.h"

typedef enum recompute_mode { RECOMPUTE_NONE, RECOMPUTE_AUTO, RECOMPUTE_ALL } recompute_mode;
static const char *const mode_names[] = {"none", "auto", "all"};

typedef enum op_kind { OP_OTHER, OP_FORWARD, OP_BACKWARD } op_kind;
typedef struct op_state {
  op_kind kind;
  int64_t group;
  int64_t end;         /* of a checkpoint's copy: the group in whose backward it is; -1 of others */
  bool view;
  bool again;         /* cloned where a clone of a reader, or a reader, needs it */
  size_t first_reader; /* index of the operator before which the clone goes; SIZE_MAX: nothing reads it */
  MlirOperation clone;
} op_state;

typedef struct recompute {
  hct_pass_context *pass;
  hct_arena *arena;
  hct_flow flow;
  op_state *ops;
  size_t *kept;   /* by value: what backward reads for it: a checkpoint's copy, or itself */
  bool *sampled;  /* by value: differs from sample to sample, and comes from forward */
  bool *crossing; /* by value: read outside its group's forward and backward */
  bool *written;  /* by value: read in another stage of forward, and so in DRAM whatever backward does */
  int64_t *stages; /* by unit (hct.stages); NULL: each group's forward and backward are stages of their own */
  size_t units;
  bool cut;       /* the batch is cut into micro-batches: forward's values go through DRAM */
  recompute_costs costs;
  double store_price; /* times what storing takes: more than 1 where DRAM has no room for all that is worth it */
} recompute;

/* ---- what there is ---- */
static size_t root_of(const recompute *r, size_t value) {
  while (r->flow.values[value].op != SIZE_MAX && r->ops[r->flow.values[value].op].view) value = r->flow.ops[r->flow.values[value].op].operands[0];
  return value;
}

/* Of what backward reads, where checkpoints have made it again. */
static size_t kept_root(const recompute *r, size_t value) {
  for (value = r->kept[value]; r->flow.values[value].op != SIZE_MAX && r->ops[r->flow.values[value].op].view;) value = r->kept[r->flow.ops[r->flow.values[value].op].operands[0]];
  return value;
}

static void read_operators(recompute *r) {
  r->ops = HCT_NEW_ARRAY(r->arena, op_state, r->flow.op_count + 1);
  for (size_t i = 0; i < r->flow.op_count; i++) {
    MlirOperation op = r->flow.ops[i].op;
    const char *pass = hct_op_str_or(op, "hct.pass", "forward");
    op_kind kind = !strcmp(pass, "forward") ? OP_FORWARD : !strcmp(pass, "backward") ? OP_BACKWARD : OP_OTHER;
    r->ops[i] = (op_state){.kind = kind, .group = hct_op_i64_or(op, "hct.group", 0), .end = -1, .view = hct_dist_op_is_view(hct_op_name(op)), .first_reader = SIZE_MAX};
  }
}

/* A checkpoint's copy is to backward what the operator of forward was. */
static void read_checkpoints(recompute *r, const recompute_checkpoints *c) {
  size_t *copied = HCT_NEW_ARRAY(r->arena, size_t, c->count + 1), at;
  r->kept = HCT_NEW_ARRAY(r->arena, size_t, r->flow.value_count + 1);
  for (size_t i = 0; i < r->flow.op_count; i++) {
    if (!hct_index_map_get(c->by_copy, r->flow.ops[i].op.ptr, &at)) continue;
    r->ops[i].kind = OP_FORWARD, r->ops[i].group = c->items[at].group, r->ops[i].end = c->items[at].end;
    copied[at] = r->flow.ops[i].results[0];
  }
  for (size_t v = 0; v < r->flow.value_count; v++) r->kept[v] = hct_index_map_get(c->by_value, hct_value_key(r->flow.values[v].value), &at) ? copied[at] : v;
}

static bool is_input(const recompute *r, size_t value) {
  MlirAttribute role = value < r->flow.arg_count ? hct_function_arg_attr(r->flow.function, value, "hct.role") : mlirAttributeGetNull();
  return !mlirAttributeIsNull(role) && !strcmp(hct_attr_text(role), "input");
}

/* Where the batch is not cut nothing is accumulated over it, and whatever comes from an input may be made again. */
static void find_sampled(recompute *r) {
  int64_t batch = partition_batch(&r->flow);
  int *time = HCT_NEW_ARRAY(r->arena, int, r->flow.value_count);
  bool *from_input = HCT_NEW_ARRAY(r->arena, bool, r->flow.value_count);
  r->cut = !partition_find_mixing(&r->flow, batch, time) && batch > 1;
  r->sampled = HCT_NEW_ARRAY(r->arena, bool, r->flow.value_count);
  for (size_t a = 0; a < r->flow.arg_count; a++) from_input[a] = is_input(r, a);
  for (size_t i = 0; i < r->flow.op_count; i++) {
    const hct_flow_op *op = &r->flow.ops[i];
    bool depends = false;
    for (size_t k = 0; k < op->operand_count; k++) depends |= from_input[op->operands[k]];
    for (size_t k = 0; k < op->result_count; k++) {
      from_input[op->results[k]] = depends;
      r->sampled[op->results[k]] = r->ops[i].kind == OP_FORWARD && op->result_count == 1 && (r->cut ? time[op->results[k]] != 0 : depends);
    }
  }
}

/* Of an operator's group, in forward or backward. */
static int64_t stage_of(const recompute *r, const op_state *op, bool backward) {
  size_t group = (size_t)(op->end < 0 ? op->group : op->end);
  backward |= op->end >= 0;
  if (!r->stages || group >= r->units / 2) return backward ? INT64_MAX - (int64_t)group : (int64_t)group;
  return r->stages[backward ? r->units - 1 - group : group];
}

/* Forward's values of such a group are there in backward: nothing is stored. */
static bool turns(const recompute *r, const op_state *op) { return stage_of(r, op, false) == stage_of(r, op, true); }

static void read_stages(recompute *r, MlirModule module) {
  MlirOperation top = mlirModuleGetOperation(module);
  if (!hct_op_has(top, "hct.stages")) return;
  r->units = hct_op_i64s(top, "hct.stages", NULL, 0);
  r->stages = HCT_NEW_ARRAY(r->arena, int64_t, r->units + 1);
  hct_op_i64s(top, "hct.stages", r->stages, r->units);
}

static void find_crossing(recompute *r) {
  r->crossing = HCT_NEW_ARRAY(r->arena, bool, r->flow.value_count);
  r->written = HCT_NEW_ARRAY(r->arena, bool, r->flow.value_count);
  for (size_t i = 0; i < r->flow.op_count; i++) {
    if (r->ops[i].view) continue;
    for (size_t k = 0; k < r->flow.ops[i].operand_count; k++) {
      size_t operand = r->flow.ops[i].operands[k], value = r->ops[i].kind == OP_BACKWARD ? kept_root(r, operand) : root_of(r, operand), maker = r->flow.values[value].op;
      if (maker != SIZE_MAX && (r->ops[i].kind == OP_OTHER || r->ops[i].group != r->ops[maker].group)) r->crossing[value] = true;
      if (maker != SIZE_MAX && r->ops[i].kind != OP_BACKWARD && stage_of(r, &r->ops[i], false) != stage_of(r, &r->ops[maker], false)) r->written[value] = true;
    }
  }
  for (size_t v = 0; v < r->flow.value_count; v++)
    if (r->crossing[v]) r->crossing[r->kept[v]] = true;
}

/* ---- the choice ---- */
static void choose_all(recompute *r) {
  for (size_t i = 0; i < r->flow.op_count; i++) {
    if (r->flow.ops[i].result_count != 1 || r->ops[i].view) continue;
    size_t value = r->flow.ops[i].results[0];
    r->ops[i].again = r->sampled[value] && !r->crossing[value];
  }
}

typedef struct group_problem {
  int64_t group;
  struct { hct_recompute_value *items; size_t count, capacity; } values;
  struct { size_t *items; size_t count, capacity; } makers; /* by value: operator */
  hct_index_map *index; /* value of the function -> value here */
} group_problem;

/* The value's place in the problem, made where there is none; SIZE_MAX: free. Views cost nothing and are looked through. What crosses groups
 * costs its load alone. */
static size_t problem_value(recompute *r, group_problem *g, size_t value) {
  size_t at, root = kept_root(r, value), maker = r->flow.values[root].op;
  if (maker == SIZE_MAX || !r->sampled[root] || r->ops[maker].end == g->group) return SIZE_MAX; /* a checkpoint's copy is there where it is made */
  if (hct_index_map_get(g->index, &r->flow.values[root], &at)) return at;
  double price = r->written[root] || r->ops[maker].end >= 0 ? 1 : r->store_price;
  hct_recompute_value made = {.store_ps = (int64_t)(price * (double)recompute_move_ps(&r->costs, root, r->written[root] ? 1 : 2)), .compute_ps = HCT_RECOMPUTE_NEVER};
  hct_index_map_put(g->index, &r->flow.values[root], g->values.count);
  HCT_PUSH(r->arena, &g->values, made);
  HCT_PUSH(r->arena, &g->makers, maker);
  return g->values.count - 1;
}

static void problem_add_forward(recompute *r, group_problem *g, size_t index) {
  const hct_flow_op *op = &r->flow.ops[index];
  size_t value = problem_value(r, g, op->results[0]), *operands = HCT_NEW_ARRAY(r->arena, size_t, op->operand_count), count = 0;
  if (value == SIZE_MAX || r->crossing[op->results[0]]) return;
  for (size_t k = 0; k < op->operand_count; k++) {
    operands[count] = problem_value(r, g, op->operands[k]);
    count += operands[count] != SIZE_MAX;
  }
  hct_recompute_value *made = &g->values.items[value];
  made->compute_ps = recompute_operator_ps(&r->costs, op);
  made->operands = operands;
  made->operand_count = count;
}

static void choose_group(recompute *r, const size_t *ops, size_t count) {
  if (!count || turns(r, &r->ops[ops[0]])) return;
  group_problem g = {.group = r->ops[ops[0]].group, .index = hct_index_map_create(r->arena)};
  for (size_t i = 0; i < count; i++)
    if (r->ops[ops[i]].kind == OP_FORWARD && !r->ops[ops[i]].view && r->flow.ops[ops[i]].result_count == 1 && r->kept[r->flow.ops[ops[i]].results[0]] == r->flow.ops[ops[i]].results[0]) problem_add_forward(r, &g, ops[i]);
  for (size_t i = 0; i < count; i++) {
    if (r->ops[ops[i]].kind != OP_BACKWARD || r->ops[ops[i]].view) continue;
    for (size_t k = 0; k < r->flow.ops[ops[i]].operand_count; k++) {
      size_t value = problem_value(r, &g, r->flow.ops[ops[i]].operands[k]);
      if (value != SIZE_MAX) g.values.items[value].target = true;
    }
  }
  bool *again = HCT_NEW_ARRAY(r->arena, bool, g.values.count + 1);
  hct_recompute_choose(r->arena, g.values.items, g.values.count, again);
  for (size_t v = 0; v < g.values.count; v++)
    if (again[v]) r->ops[g.makers.items[v]].again = true;
}

static int64_t group_count(const recompute *r) {
  int64_t groups = 0;
  for (size_t i = 0; i < r->flow.op_count; i++)
    if (r->ops[i].group >= groups) groups = r->ops[i].group + 1;
  return groups;
}

/* Operators by group, in order. */
static void choose_groups(recompute *r) {
  int64_t groups = group_count(r);
  size_t *start = HCT_NEW_ARRAY(r->arena, size_t, (size_t)groups + 2), *ordered = HCT_NEW_ARRAY(r->arena, size_t, r->flow.op_count + 1);
  for (size_t i = 0; i < r->flow.op_count; i++) start[r->ops[i].group + 2]++;
  for (int64_t g = 0; g < groups; g++) start[g + 2] += start[g + 1];
  for (size_t i = 0; i < r->flow.op_count; i++) ordered[start[r->ops[i].group + 1]++] = i;
  for (size_t i = 0; i < r->flow.op_count; i++) r->ops[i].again = false;
  for (int64_t g = 0; g < groups; g++) choose_group(r, ordered + start[g], start[g + 1] - start[g]);
}

static int64_t bytes_of(const recompute *r, size_t value) { return hct_shape_elements(&r->flow.values[value].shape) * (int64_t)hct_dtype_bytes(r->flow.values[value].shape.dtype); }

/* Of what an operator reads, what it has from DRAM since backward has it there, or other groups of forward; SIZE_MAX: nothing. */
static size_t stored_operand(const recompute *r, size_t op, size_t operand) {
  bool backward = r->ops[op].kind == OP_BACKWARD || r->ops[op].again;
  size_t value = backward ? kept_root(r, operand) : root_of(r, operand), maker = r->flow.values[value].op;
  if (maker == SIZE_MAX || !r->sampled[value] || r->ops[maker].again) return SIZE_MAX;
  return backward || r->ops[op].end >= 0 || (r->written[value] && r->kept[value] == value) ? value : SIZE_MAX;
}

/* Of a model that is compiled by some of its layers: how much larger the whole is. */
static double share_of(const recompute *r) { return r->pass->left_out ? r->pass->left_out->whole : 1; }

/* What lies in DRAM for backward and for other groups of forward. Checkpoints' copies, and gradients, are there for a few groups at a time: those of the
 * group that has most. */
static int64_t stored_bytes(const recompute *r) {
  enum { BOUNDARIES = 3 }; /* forward's and gradients', from group to group */
  bool *seen = HCT_NEW_ARRAY(r->arena, bool, r->flow.value_count + 1);
  int64_t sum = 0, most = 0, *passing = HCT_NEW_ARRAY(r->arena, int64_t, (size_t)group_count(r) + 1);
  for (size_t i = 0; i < r->flow.op_count; i++) {
    for (size_t k = 0; !r->ops[i].view && k < r->flow.ops[i].operand_count; k++) {
      size_t value = stored_operand(r, i, r->flow.ops[i].operands[k]);
      if (value == SIZE_MAX || seen[value]) continue;
      const op_state *maker = &r->ops[r->flow.values[value].op];
      int64_t bytes = bytes_of(r, value), *passes = &passing[maker->group];
      seen[value] = true;
      if (maker->end >= 0) *passes += bytes;
      else sum += bytes, *passes += r->written[value] ? BOUNDARIES * bytes : 0;
      if (*passes > most) most = *passes;
    }
  }
  return sum + (int64_t)((double)most / share_of(r));
}

/* Bytes of DRAM that parameters, their state, inputs, and gradients that wait for their norm leave: a die lies at one channel, with as many others as there
 * must be; some are lost where sizes do not divide. */
static int64_t dram_room(const recompute *r) {
  const hct_package *p = &r->pass->package;
  int64_t dies = p->rows * p->cols, sharing = (dies + p->dram_channels - 1) / p->dram_channels;
  double room = 0.97 * (double)dies * (double)(p->dram_channel_capacity_bytes / sharing) / share_of(r);
  for (size_t a = 0; a < r->flow.arg_count; a++) room -= (double)bytes_of(r, a);
  for (size_t i = 0; i < r->flow.op_count; i++)
    if (hct_op_has(r->flow.ops[i].op, "hct.waits")) room -= (double)bytes_of(r, r->flow.ops[i].operands[1]);
  return room > 0 ? (int64_t)room : 0;
}

/* Two choices of which `fuller` stores more, and how they are mixed: whole groups, or, where layers stay alike since they stand for others, as many
 * values of every group. */
typedef struct mixture {
  const bool *fuller, *fits; /* by operator: made again */
  int64_t *rank, *count;     /* by operator, of those in which they differ its number in its group; by group how many there are; NULL: whole groups */
  int64_t steps;
} mixture;

static mixture mixture_make(const recompute *r, const bool *fuller, const bool *fits) {
  mixture m = {.fuller = fuller, .fits = fits, .steps = group_count(r)};
  if (!r->pass->left_out) return m;
  m.rank = HCT_NEW_ARRAY(r->arena, int64_t, r->flow.op_count + 1), m.count = HCT_NEW_ARRAY(r->arena, int64_t, (size_t)m.steps + 1);
  m.steps = 0;
  for (size_t i = 0; i < r->flow.op_count; i++) {
    if (fuller[i] == fits[i]) continue;
    m.rank[i] = m.count[r->ops[i].group]++;
    if (m.count[r->ops[i].group] > m.steps) m.steps = m.count[r->ops[i].group];
  }
  return m;
}

static void mixture_take(recompute *r, const mixture *m, int64_t step) {
  for (size_t i = 0; i < r->flow.op_count; i++) {
    bool first = m->rank ? m->rank[i] * m->steps < step * m->count[r->ops[i].group] : r->ops[i].group < step;
    r->ops[i].again = first ? m->fuller[i] : m->fits[i];
  }
}

static bool *choice_at(recompute *r, double price) {
  bool *again = HCT_NEW_ARRAY(r->arena, bool, r->flow.op_count + 1);
  r->store_price = price;
  choose_groups(r);
  for (size_t i = 0; i < r->flow.op_count; i++) again[i] = r->ops[i].again;
  return again;
}

/* Where all that is worth storing does not fit, storing is made dearer until it does: then what saves the most time a byte is kept. Groups that
 * are alike give up the same at the same price: as many of them as fit keep what the price before let them. */
static void choose_auto(recompute *r, MlirModule module) {
  static const double finest = 1.1, dearest = 4096;
  int64_t room = dram_room(r), low = 0;
  double price = 1, before = 1;
  bool *fits = choice_at(r, price), *fuller = NULL;
  while (stored_bytes(r) > room && price < dearest) {
    before = price, fuller = fits;
    fits = choice_at(r, price *= 2);
  }
  if (!fuller) return;
  hct_op_set(mlirModuleGetOperation(module), "hct.dram_short", mlirUnitAttrGet(r->pass->context));
  if (stored_bytes(r) > room) {
    choose_all(r);
    return;
  }
  while (price / before > finest) {
    double middle = sqrt(price * before);
    bool *choice = choice_at(r, middle);
    if (stored_bytes(r) > room) before = middle, fuller = choice;
    else price = middle, fits = choice;
  }
  mixture mix = mixture_make(r, fuller, fits);
  for (int64_t high = mix.steps; low < high;) {
    int64_t middle = (low + high + 1) / 2;
    mixture_take(r, &mix, middle);
    if (stored_bytes(r) > room) high = middle - 1;
    else low = middle;
  }
  mixture_take(r, &mix, low);
}

/* ---- the clones ---- */
static op_state *maker_again(recompute *r, size_t value) {
  size_t maker = r->flow.values[r->kept[value]].op;
  return maker != SIZE_MAX && r->ops[maker].again ? &r->ops[maker] : NULL;
}

/* What backward reads in place of `value` is not the same value. */
static bool is_new(recompute *r, size_t value) { return maker_again(r, value) || r->kept[value] != value; }

/* Each clone goes before the first that reads it, so that it lives in SRAM no longer than it must. Readers come after what they read. */
static void place_clones(recompute *r) {
  for (size_t i = 0; i < r->flow.op_count; i++) /* a view of what is made again is made again */
    if (r->ops[i].view && r->ops[i].kind == OP_FORWARD) r->ops[i].again = is_new(r, r->flow.ops[i].operands[0]);
  for (size_t i = r->flow.op_count; i-- > 0;) {
    size_t reader = r->ops[i].kind == OP_BACKWARD ? i : r->ops[i].again ? r->ops[i].first_reader : SIZE_MAX;
    for (size_t k = 0; reader != SIZE_MAX && k < r->flow.ops[i].operand_count; k++) {
      op_state *maker = maker_again(r, r->flow.ops[i].operands[k]);
      if (maker && reader < maker->first_reader) maker->first_reader = reader;
    }
  }
}

static void redirect(recompute *r, const hct_flow_op *op, MlirOperation to) {
  for (size_t k = 0; k < op->operand_count; k++) {
    size_t value = op->operands[k];
    op_state *maker = maker_again(r, value);
    if (maker || r->kept[value] != value) mlirOperationSetOperand(to, (intptr_t)k, maker ? hct_op_result(maker->clone, 0) : r->flow.values[r->kept[value]].value);
  }
}

static void make_clones(recompute *r) {
  MlirBlock body = hct_function_body(r->flow.function);
  MlirContext context = mlirOperationGetContext(r->flow.function);
  for (size_t i = 0; i < r->flow.op_count; i++) {
    op_state *state = &r->ops[i];
    if (state->kind == OP_BACKWARD) redirect(r, &r->flow.ops[i], r->flow.ops[i].op);
    if (!state->again || state->first_reader == SIZE_MAX) continue;
    state->clone = mlirOperationClone(r->flow.ops[i].op);
    mlirBlockInsertOwnedOperationBefore(body, r->flow.ops[state->first_reader].op, state->clone);
    hct_op_set(state->clone, "hct.pass", hct_attr_str(context, "backward"));
    hct_op_set(state->clone, "hct.group", hct_attr_i64(context, state->group));
    hct_op_set(state->clone, "hct.recomputed", mlirUnitAttrGet(context));
    redirect(r, &r->flow.ops[i], state->clone);
  }
}

/* ---- what was done ---- */
typedef struct tally { size_t count; int64_t bytes; } tally;

static void tally_add(const recompute *r, tally *t, size_t value) {
  t->count++;
  t->bytes += bytes_of(r, value);
}

static void say(recompute *r, recompute_mode mode, int64_t length) {
  tally stored = {0}, again = {0};
  bool *seen = HCT_NEW_ARRAY(r->arena, bool, r->flow.value_count), trains = false;
  for (size_t i = 0; i < r->flow.op_count; i++) {
    const op_state *state = &r->ops[i];
    bool cloned = state->again && state->first_reader != SIZE_MAX;
    trains |= state->kind == OP_BACKWARD;
    if (state->view || (!cloned && state->kind != OP_BACKWARD)) continue;
    if (cloned) tally_add(r, &again, r->flow.ops[i].results[0]);
    for (size_t k = 0; k < r->flow.ops[i].operand_count; k++) {
      size_t value = kept_root(r, r->flow.ops[i].operands[k]);
      if (seen[value] || !r->sampled[value] || maker_again(r, value)) continue;
      seen[value] = true;
      tally_add(r, &stored, value);
    }
  }
  if (trains) hct_remark(r->pass->diags, (hct_loc){0}, "--recompute=%s: backward reads %zu activations (%lld bytes) of forward's, and computes %zu (%lld bytes) again", mode_names[mode], stored.count, (long long)stored.bytes, again.count, (long long)again.bytes);
  if (trains && length > 1) hct_remark(r->pass->diags, (hct_loc){0}, "--checkpoint=%lld: of every %lld fusion groups backward has the input of the first, and makes again that of the others", (long long)length, (long long)length);
}

static hct_status read_options(recompute *r, recompute_mode *out_mode) {
  const char *name = hct_pass_option(r->pass, "recompute", "auto"), *checkpoint = hct_pass_option(r->pass, "checkpoint", "auto");
  int64_t length;
  if (strcmp(checkpoint, "auto") != 0 && !(hct_parse_i64(checkpoint, &length) && length >= 1)) return hct_error(r->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--checkpoint=%s: it must be auto, or a number of fusion groups, at least 1", checkpoint);
  r->costs = recompute_costs_of(r->pass, &r->flow);
  for (size_t m = 0; m < HCT_COUNT(mode_names); m++)
    if (!strcmp(mode_names[m], name)) return *out_mode = (recompute_mode)m, HCT_OK;
  return hct_error(r->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--recompute=%s: it must be one of none, auto, all", name);
}

static void read_flow(recompute *r, const recompute_checkpoints *copies) {
  hct_flow_factorize(&r->flow);
  read_operators(r);
  read_checkpoints(r, copies);
  find_sampled(r);
  find_crossing(r);
}

/* --checkpoint: groups from one input that is kept to the next; `auto`: as few as it takes for these inputs to fit in DRAM. */
static int64_t checkpoint_length(recompute *r, recompute_mode mode) {
  int64_t length;
  if (hct_parse_i64(hct_pass_option(r->pass, "checkpoint", "auto"), &length)) return length;
  if (mode == RECOMPUTE_NONE) return 1;
  choose_all(r);
  int64_t bytes = stored_bytes(r), room = dram_room(r);
  for (size_t i = 0; i < r->flow.op_count; i++) r->ops[i].again = false;
  return room > 0 && bytes > room ? (bytes + room - 1) / room : 1;
}

hct_status hct_pass_recompute_activations(hct_pass_context *pass, MlirModule module) {
  recompute r = {.pass = pass, .arena = pass->arena, .flow = hct_flow_read(pass->arena, module)};
  recompute_mode mode = RECOMPUTE_NONE;
  HCT_TRY(read_options(&r, &mode));
  if (!strcmp(hct_pass_option(pass, "backend", "chiplet"), "host")) return HCT_OK; /* its values all stay in memory */
  read_stages(&r, module);
  read_flow(&r, &(recompute_checkpoints){.by_value = hct_index_map_create(pass->arena), .by_copy = hct_index_map_create(pass->arena)});
  int64_t length = r.cut ? checkpoint_length(&r, mode) : 1;
  if (length > 1) {
    recompute_checkpoints copies = recompute_checkpoints_make(pass->arena, &r.flow, r.sampled, length);
    r.flow = hct_flow_read(pass->arena, module);
    r.costs.flow = &r.flow;
    read_flow(&r, &copies);
  }
  if (mode == RECOMPUTE_ALL) choose_all(&r);
  if (mode == RECOMPUTE_AUTO && r.cut) choose_auto(&r, module);
  place_clones(&r);
  make_clones(&r);
  if (length > 1) hct_function_eliminate_dead(r.flow.function); /* copies that nothing reads after all */
  say(&r, mode, length);
  return HCT_OK;
}
