#include "compiler/analysis/fusion.h"

#include <math.h>
#include <string.h>

#include "compiler/analysis/workload.h"

typedef struct fusion {
  const hct_units *units;
  const hct_fusion_costs *costs;
  hct_arena *arena;
  double *compute_ps, *own; /* by unit: time; bytes of what it makes, at the moment when most of it is live */
  struct { size_t *items; size_t count, capacity; } *updates; /* by unit: operators */
} fusion;

static double bytes_of(const fusion *f, size_t value) { return (double)hct_flow_value_bytes(&f->units->flow->values[value]); }

/* ---- one unit ---- */
/* By value: the last operator of the unit that makes it to read it, or its maker. Read in later units, it stays to the end of this one. */
static size_t *find_last_readers(const fusion *f) {
  const hct_flow *flow = f->units->flow;
  size_t *last = HCT_NEW_ARRAY(f->arena, size_t, flow->value_count + 1);
  for (size_t i = 0; i < flow->op_count; i++) {
    size_t at = hct_units_of(f->units, i);
    for (size_t k = 0; k < flow->ops[i].result_count; k++) last[flow->ops[i].results[k]] = i;
    for (size_t k = 0; at != SIZE_MAX && k < flow->ops[i].operand_count; k++) {
      size_t value = hct_units_root(f->units, flow->ops[i].operands[k]);
      if (f->units->unit_of[value] == at) last[value] = i;
    }
  }
  return last;
}

/* A product with a parameter reads its activations whole along one axis, and makes parts of sums as large. */
static double gathered_bytes(const fusion *f, const hct_flow_op *op) {
  double bytes = 0;
  bool parameter = false;
  if (strcmp(op->name, "contract")) return 0;
  for (size_t k = 0; k < op->operand_count; k++) {
    bool sampled = f->units->sampled[op->operands[k]];
    parameter |= !sampled;
    if (sampled) bytes += bytes_of(f, op->operands[k]);
  }
  if (f->units->sampled[op->results[0]]) bytes += bytes_of(f, op->results[0]);
  else parameter = true; /* a gradient of one */
  return parameter ? bytes * (f->costs->gathered - 1) : 0;
}

static void measure_units(fusion *f) {
  const hct_units *units = f->units;
  const size_t *last = find_last_readers(f);
  double *live = HCT_NEW_ARRAY(f->arena, double, units->count);
  f->compute_ps = HCT_NEW_ARRAY(f->arena, double, units->count);
  f->own = HCT_NEW_ARRAY(f->arena, double, units->count);
  f->updates = hct_arena_array(f->arena, units->count, sizeof *f->updates);
  for (size_t i = 0; i < units->flow->op_count; i++) {
    const hct_flow_op *op = &units->flow->ops[i];
    size_t at = hct_units_of(units, i);
    if (at == SIZE_MAX) continue;
    f->compute_ps[at] += (double)f->costs->compute_ps[i];
    if (!strcmp(op->name, "update")) HCT_PUSH(f->arena, &f->updates[at], i);
    for (size_t k = 0; k < op->result_count; k++)
      if (units->sampled[op->results[k]]) live[at] += bytes_of(f, op->results[k]);
    if (live[at] + gathered_bytes(f, op) > f->own[at]) f->own[at] = live[at] + gathered_bytes(f, op);
    for (size_t k = 0; k < op->operand_count + op->result_count; k++) {
      size_t value = k < op->operand_count ? hct_units_root(units, op->operands[k]) : op->results[k - op->operand_count];
      bool seen = false; /* twice in one operator */
      for (size_t other = 0; other < k && other < op->operand_count; other++) seen |= hct_units_root(units, op->operands[other]) == value;
      if (!seen && units->sampled[value] && units->unit_of[value] == at && units->flow->values[value].op != SIZE_MAX && last[value] == i && units->last[value] == at) live[at] -= bytes_of(f, value);
    }
  }
}

/* ---- stages of several ---- */
typedef struct flight { /* of the stage that grows */
  double *carried;  /* by unit: made before it in the stage, and read in it or later in the stage */
  double *loaded;   /* by unit: of earlier stages */
  double *step;     /* by unit: of its optimizer steps, the most that one has at once */
  double *held;     /* by unit: weights that steps will take as they are there, after the last unit that reads them */
  double *kept;     /* by unit: matrices of weights, from the first unit that reads them to the last */
  size_t *reaches;  /* by value: the last unit of the stage known to read it */
  size_t *stamp;    /* by value: stage for which `reaches` holds */
  size_t *unit;     /* by value: unit that counted it as loaded, plus one */
  double states, piece; /* bytes that optimizer steps have at once; of those that go by pieces, the most that one has */
} flight;

static flight flight_create(const fusion *f) {
  size_t values = f->units->flow->value_count + 1;
  return (flight){HCT_NEW_ARRAY(f->arena, double, f->units->count), HCT_NEW_ARRAY(f->arena, double, f->units->count), HCT_NEW_ARRAY(f->arena, double, f->units->count), HCT_NEW_ARRAY(f->arena, double, f->units->count), HCT_NEW_ARRAY(f->arena, double, f->units->count), HCT_NEW_ARRAY(f->arena, size_t, values), HCT_NEW_ARRAY(f->arena, size_t, values), HCT_NEW_ARRAY(f->arena, size_t, values), 0, 0};
}

/* The value is there from unit `from` of the stage to `to`, as far as that is not known. */
static void reach(const fusion *f, flight *in, const hct_stage_need *stage, double *there, size_t value, size_t from, size_t to) {
  if (in->stamp[value] == stage->number) from = in->reaches[value] + 1;
  for (size_t u = from; u <= to; u++) there[u] += bytes_of(f, value);
  in->stamp[value] = stage->number, in->reaches[value] = to;
}

/* What an optimizer step reads beside the gradient, and the parameter where the stage has it as a weight. */
static void flight_update(const fusion *f, flight *in, const hct_stage_need *stage, size_t unit, const hct_flow_op *op) {
  enum { PARAMETER = 0, GRADIENT = 1 };
  double bytes = 0, elements = (double)hct_shape_elements(&f->units->flow->values[op->operands[PARAMETER]].shape);
  bool weighed = stage->weighed[op->operands[PARAMETER]] == stage->number;
  if (weighed && in->stamp[op->operands[PARAMETER]] == stage->number) reach(f, in, stage, in->held, op->operands[PARAMETER], 0, unit);
  for (size_t k = weighed ? GRADIENT : PARAMETER; k + 2 < op->operand_count; k++) /* without settings and step */
    if (k != GRADIENT) bytes += bytes_of(f, op->operands[k]);
  in->step[unit] = fmax(in->step[unit], elements > f->costs->piece_elements ? bytes / elements * f->costs->piece_elements : bytes);
  if (elements > f->costs->piece_elements) in->piece = fmax(in->piece, bytes / elements * f->costs->piece_elements);
  else in->states += bytes;
}

static void flight_extend(const fusion *f, flight *in, const hct_stage_need *stage, size_t unit) {
  const hct_unit *next = &f->units->items[unit];
  in->carried[unit] = in->loaded[unit] = in->kept[unit] = in->held[unit] = in->step[unit] = 0;
  if (unit == stage->first) in->states = in->piece = 0;
  for (size_t k = 0; k < next->reads.count; k++) {
    size_t value = next->reads.items[k].value, maker = f->units->unit_of[value];
    if (hct_units_is_matrix(f->units, &next->reads.items[k])) reach(f, in, stage, in->kept, value, unit, unit);
    if (!f->units->sampled[value]) continue;
    size_t mark = stage->number * f->units->count + unit + 1;
    if (f->units->flow->values[value].op == SIZE_MAX || maker < stage->first) {
      if (in->unit[value] != mark) in->loaded[unit] += bytes_of(f, value);
      in->unit[value] = mark;
      continue;
    }
    reach(f, in, stage, in->carried, value, maker + 1, unit);
  }
  for (size_t k = 0; k < f->updates[unit].count; k++) flight_update(f, in, stage, unit, &f->units->flow->ops[f->updates[unit].items[k]]);
}

/* All that the stage has in SRAM: throughout, and, of its loop over micro-batches and what comes after it, the most at once. */
static double sram_of(const fusion *f, const flight *in, const hct_stage_need *stage, size_t last, hct_residency residency) {
  bool weights = residency & HCT_STREAM_WEIGHTS, sums = residency & HCT_STREAM_SUMS, once = !weights && sums && f->costs->micro_batches <= 1; /* without a loop, weights are there while they are of use */
  double throughout = (double)(stage->resident_bytes - (weights || once ? stage->matrix_bytes : 0) - (sums ? stage->sum_bytes : 0)), loop = 0;
  for (size_t u = stage->first; u <= last; u++) {
    const hct_unit *unit = &f->units->items[u];
    double streamed = (weights ? (double)unit->matrices + in->held[u] : once ? in->kept[u] + in->held[u] : 0) + (sums ? (double)unit->accumulators + in->step[u] : 0);
    loop = fmax(loop, (in->carried[u] + in->loaded[u] + f->own[u]) * f->costs->in_flight + streamed);
  }
  return throughout + (sums ? loop : fmax(loop, in->states + in->piece));
}

static double dram_of(const fusion *f, const hct_stage_need *stage, hct_residency residency) {
  double bytes = (double)(stage->read_bytes + stage->pending_bytes);
  if (residency & HCT_STREAM_WEIGHTS) bytes += f->costs->micro_batches * (double)stage->unit_matrix_bytes - (double)stage->matrix_bytes;
  if (residency & HCT_STREAM_SUMS) bytes += 2 * (f->costs->micro_batches - 1) * (double)stage->sum_bytes;
  return bytes;
}

static hct_cut_cost cost_of(const hct_fusion_costs *costs, double bytes, double compute_ps) {
  double ps = fmax(bytes / costs->dram_bytes_per_s * 1e12, compute_ps);
  double pj = bytes * costs->dram_j_per_byte * 1e12 + costs->static_w * ps;
  int64_t first = llround(costs->goal == HCT_FUSION_TIME ? ps : costs->goal == HCT_FUSION_DRAM ? bytes : pj);
  return (hct_cut_cost){first, llround(costs->goal == HCT_FUSION_DRAM ? ps : bytes)};
}

size_t hct_fusion_stage_at(const hct_fusion_stages *stages, size_t first, size_t end) { return (size_t)(hct_cut_cost_at(&stages->costs, first, end) - stages->costs.items); }

/* Whether it fits in some way that is allowed. A stage of one unit may be a plan where it does not. */
static bool stage_choose(const fusion *f, const flight *in, const hct_stage_need *stage, size_t last, double compute_ps, hct_fusion_stages *all) {
  static const hct_residency orders[][HCT_RESIDENCIES] = {{HCT_RESIDENT, HCT_STREAM_SUMS, HCT_STREAM_WEIGHTS, HCT_STREAM_ALL}, {HCT_STREAM_SUMS, HCT_RESIDENT, HCT_STREAM_ALL, HCT_STREAM_WEIGHTS}};
  const hct_residency *order = orders[f->costs->micro_batches <= 1]; /* of those that cost the same the first: of one micro-batch, steps of sums that are streamed come at once */
  size_t at = hct_fusion_stage_at(all, stage->first, last + 1);
  hct_cut_cost *best = &all->costs.items[at];
  double least = INFINITY;
  for (size_t k = 0; k < HCT_RESIDENCIES; k++) {
    if (!f->costs->allowed[order[k]]) continue;
    double sram = sram_of(f, in, stage, last, order[k]);
    bool fits = sram <= f->costs->sram_bytes;
    if (all->fits[at] ? !fits : !fits && (last > stage->first || sram >= least)) continue;
    hct_cut_cost cost = cost_of(f->costs, dram_of(f, stage, order[k]), compute_ps);
    if (all->fits[at] && !hct_cut_less(cost, *best)) continue;
    *best = cost, all->residency[at] = order[k], all->fits[at] = fits, least = sram;
  }
  return all->fits[at];
}

hct_fusion_stages hct_fusion_stages_find(const hct_units *units, const hct_fusion_costs *costs) {
  fusion f = {.units = units, .costs = costs, .arena = hct_arena_create()};
  hct_fusion_stages all = {.costs = hct_cut_costs_create(units->arena, units->count)};
  hct_stage_need stage = hct_stage_need_create(units);
  size_t stages = units->count * (units->count + 1) + 1;
  all.residency = HCT_NEW_ARRAY(units->arena, hct_residency, stages), all.fits = HCT_NEW_ARRAY(units->arena, bool, stages);
  measure_units(&f);
  flight in = flight_create(&f);
  for (size_t i = 0; i < units->count; i++) {
    double compute_ps = 0;
    hct_stage_begin(units, &stage, i);
    for (size_t j = i; j < units->count; j++) {
      hct_stage_extend(units, &stage, j);
      flight_extend(&f, &in, &stage, j);
      compute_ps += f.compute_ps[j];
      if (!stage_choose(&f, &in, &stage, j, compute_ps, &all) && j > i) break;
    }
  }
  hct_arena_destroy(f.arena);
  return all;
}
