/* hct-fuse-groups: which units of the step, forward and backward of each fusion group of hct-assign-layers, are one stage (--groups).
 *
 *   before  module { ... hct.group = 0 ... hct.group = 1 ... backward of both ... }
 *   after   module attributes {hct.stages = array<i64: 0, 1, 1, 2>} { the same }       forward of group 1 and its backward are one stage
 *
 * A unit has at least the layers between two points of the residual stream. `auto` takes the plan of least cost of those that are estimated to
 * fit, exactly (compiler/analysis/fusion.h), `N%` likewise of N percent of the SRAM, so that the driver can ask for less where a plan does not fit after all;
 * `blocks` leaves each unit alone, and a list has the first unit of each stage. Whether its weights and sums are resident or streamed is part of a plan: --weights
 * allows one of these for all stages, says it for each, or leaves it to the choice (auto); module attribute hct.streamed has it by unit (residency.def). With --schedule=layerwise nothing is put together. Where the batch is
 * not cut in time, activations stay in SRAM in any case. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/fusion.h"
#include "compiler/analysis/least_sram.h"
#include "compiler/pass.h"
#include "compiler/transform/partition.h"
#include "compiler/transform/recompute_activations.h"

typedef struct fuse {
  hct_pass_context *pass;
  hct_flow flow;
  hct_units units;
  size_t *stages; /* by unit */
  bool cut, single;         /* the batch is, in time; it is one micro-batch */
  hct_fusion_stages all;    /* that could be */
} fuse;

/* What may be in SRAM of a stage: --weights, where it is one word; several, by stage, are in `text`. */
typedef struct weights { bool allowed[HCT_RESIDENCIES]; const char *list; } weights;

/* False where the batch is not cut in time. */
static bool find_sampled(const fuse *f, bool *out_sampled) {
  int64_t batch = partition_batch(&f->flow);
  int *time = HCT_NEW_ARRAY(f->pass->arena, int, f->flow.value_count + 1);
  if (partition_find_mixing(&f->flow, batch, time)) return false;
  for (size_t v = 0; v < f->flow.value_count; v++) out_sampled[v] = time[v] != 0;
  return batch > 1;
}

static hct_fusion_goal goal_of(const hct_pass_context *pass) {
  const char *objective = hct_pass_option(pass, "objective", "time");
  return !strcmp(objective, "dram") ? HCT_FUSION_DRAM : !strcmp(objective, "energy") ? HCT_FUSION_ENERGY : HCT_FUSION_TIME;
}

static hct_fusion_stages stages_find(fuse *f, int64_t percent, const weights *w) {
  const hct_package *p = &f->pass->package;
  recompute_costs costs = recompute_costs_of(f->pass, &f->flow);
  int64_t *compute_ps = HCT_NEW_ARRAY(f->pass->arena, int64_t, f->flow.op_count + 1), batch = partition_batch(&f->flow);
  if (!f->cut) costs.micro_batches = 1;
  f->single = costs.micro_batches == 1;
  for (size_t i = 0; i < f->flow.op_count; i++)
    if (hct_units_of(&f->units, i) != SIZE_MAX) compute_ps[i] = recompute_operator_ps(&costs, &f->flow.ops[i]);
  double dies = (double)(p->rows * p->cols);
  hct_fusion_costs fusion = {
      .goal = goal_of(f->pass), .dram_bytes_per_s = (double)p->dram_channels * p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency, .dram_j_per_byte = 8 * p->dram_energy_j_per_bit,
      .static_w = dies * p->static_w_per_die, .sram_bytes = dies * (double)p->sram_bytes * (double)percent / 100,
      .in_flight = (double)((batch + costs.micro_batches - 1) / costs.micro_batches) / (double)batch, .gathered = sqrt(dies), .piece_elements = dies * (double)hct_pass_update_chunk(f->pass), .compute_ps = compute_ps, .micro_batches = (double)costs.micro_batches,
  };
  memcpy(fusion.allowed, w->allowed, sizeof fusion.allowed);
  return hct_fusion_stages_find(&f->units, &fusion);
}

/* First units of stages, from 0 on, in order. */
static bool stages_parse(const fuse *f, const char *text) {
  size_t stage = 0, from = 0;
  for (const char *at = text; *at;) {
    char *end;
    long unit = strtol(at, &end, 10);
    if (end == at || unit < 0 || (size_t)unit >= f->units.count || (at == text ? unit != 0 : (size_t)unit <= from)) return false;
    stage += at != text;
    from = (size_t)unit;
    for (size_t u = from; u < f->units.count; u++) f->stages[u] = stage;
    if (*end && (*end != ',' || !end[1])) return false;
    at = *end ? end + 1 : end;
  }
  return text[0] != 0;
}

static hct_status stages_decide(fuse *f, const weights *w) {
  const char *groups = hct_pass_option(f->pass, "groups", "auto");
  int64_t percent = 100;
  bool any = !strcmp(groups, "auto") || hct_parse_percent(groups, &percent);
  f->all = stages_find(f, percent, w);
  if (any) return hct_cuts_choose(&f->all.costs, f->stages), HCT_OK;
  if (!strcmp(groups, "blocks")) {
    for (size_t u = 0; u < f->units.count; u++) f->stages[u] = u;
    return HCT_OK;
  }
  if (stages_parse(f, groups)) return HCT_OK;
  hct_error(f->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--groups=%s: it must be auto, blocks, a share of SRAM such as 50%%, or the first units of stages, such as 0,%zu", groups, f->units.count / 2);
  hct_note(f->pass->diags, "there are %zu units: forward of %zu groups, 0 to %zu, then their backward, in reverse, %zu to %zu", f->units.count, f->units.count / 2, f->units.count / 2 - 1, f->units.count / 2, f->units.count - 1);
  return HCT_REFUSED;
}

static void say(const fuse *f) {
  hct_text starts = {0};
  for (size_t u = 0; u < f->units.count; u++)
    if (!u || f->stages[u] != f->stages[u - 1]) hct_text_printf(&starts, "%s%zu", u ? "," : "", u);
  hct_remark(f->pass->diags, (hct_loc){0}, "--groups=%s: the %zu units of %zu fusion groups, forward and backward, run as stages that begin at %s", hct_pass_option(f->pass, "groups", "auto"), f->units.count, f->units.count / 2, starts.data);
  hct_text_fini(&starts);
}

/* ---- weights ---- */
static const struct { const char *name; hct_residency residency; } residencies[] = {
#define HCT_RESIDENCY(symbol, number, name) {name, HCT_##symbol},
#include "compiler/schedule/residency.def"
#undef HCT_RESIDENCY
};

static bool residency_parse(const char *text, size_t length, hct_residency *out) {
  for (size_t i = 0; i < HCT_COUNT(residencies); i++)
    if (strlen(residencies[i].name) == length && !strncmp(residencies[i].name, text, length)) return *out = residencies[i].residency, true;
  return false;
}

static hct_status weights_refuse(const fuse *f, const char *text) {
  hct_error(f->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--weights=%s: it must be auto, resident, streamed, weights or sums, or one of the last four for each stage, such as resident,streamed", text);
  hct_note(f->pass->diags, "weights: these alone are streamed; sums: gradients, and what else is summed over the batch, alone; streamed: both");
  return HCT_REFUSED;
}

static hct_status weights_miscounted(const fuse *f, const char *text, size_t stages) {
  size_t given = 1;
  for (const char *at = text; (at = strchr(at, ',')) != NULL; at++) given++;
  return hct_error(f->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--weights=%s: %zu are given, one for each stage, in the order of --groups, and there %s %zu", text, given, stages == 1 ? "is" : "are", stages);
}

static hct_status weights_read(const fuse *f, weights *out) {
  const char *text = hct_pass_option(f->pass, "weights", "auto");
  hct_residency one;
  *out = (weights){.list = strchr(text, ',') ? text : NULL};
  for (const char *at = text; strcmp(text, "auto");) {
    size_t length = strcspn(at, ",");
    if (!residency_parse(at, length, &one)) return weights_refuse(f, text);
    if (!out->list) out->allowed[one] = true;
    if (!at[length]) break;
    at += length + 1;
  }
  for (size_t r = 0; r < HCT_RESIDENCIES && (out->list || !strcmp(text, "auto")); r++) out->allowed[r] = true;
  return HCT_OK;
}

/* Where the stage of the unit ends. */
static size_t stage_end(const size_t *stages, size_t count, size_t unit) {
  size_t end = unit + 1;
  while (end < count && stages[end] == stages[unit]) end++;
  return end;
}

static size_t stage_count(const size_t *stages, size_t count) {
  size_t found = 0;
  for (size_t u = 0; u < count; u = stage_end(stages, count, u)) found++;
  return found;
}

/* By unit. Of a stage that fits in no way, the one that takes least SRAM. */
static hct_status residencies_choose(const fuse *f, const weights *w, const size_t *stages, int64_t *out_residency) {
  const char *at = w->list;
  size_t stage = 0;
  for (size_t u = 0, end; u < f->units.count; u = end, stage++) {
    end = stage_end(stages, f->units.count, u);
    hct_residency own = HCT_STREAM_ALL;
    if (hct_cut_cost_at(&f->all.costs, u, end)->first != HCT_CUT_NEVER) own = f->all.residency[hct_fusion_stage_at(&f->all, u, end)];
    else while (!w->allowed[own]) own--;
    if (w->list && !residency_parse(at, strcspn(at, ","), &own)) return weights_miscounted(f, w->list, stage_count(stages, f->units.count));
    for (size_t k = u; k < end; k++) out_residency[k] = own;
    if (w->list) at += strcspn(at, ","), at += *at == ',';
  }
  return w->list && *at ? weights_miscounted(f, w->list, stage_count(stages, f->units.count)) : HCT_OK;
}

/* Whether weights that may be streamed make a plan that costs less, or one that fits where there is none. Of one micro-batch sums that are streamed cost nothing. */
static bool streaming_pays(fuse *f, const size_t *stages) {
  const weights any = {.allowed = {true, true, true, true}}, none = {.allowed = {[HCT_RESIDENT] = true}};
  if (f->single && strcmp(hct_pass_option(f->pass, "mode", "train"), "infer")) return true;
  hct_fusion_stages with = stages_find(f, 100, &any), without = stages_find(f, 100, &none);
  for (size_t u = 0, end; u < f->units.count; u = end) {
    end = stage_end(stages, f->units.count, u);
    size_t at = hct_fusion_stage_at(&with, u, end);
    if (with.fits[at] && !without.fits[at]) return true;
  }
  size_t *unused = HCT_NEW_ARRAY(f->pass->arena, size_t, f->units.count + 1);
  return f->cut && hct_cut_less(hct_cuts_choose(&with.costs, unused), hct_cuts_choose(&without.costs, unused));
}

static hct_status streamed_mark(fuse *f, const weights *w, MlirModule module) {
  bool any = false, layerwise = !strcmp(hct_pass_option(f->pass, "schedule", "fused"), "layerwise");
  size_t *stages = HCT_NEW_ARRAY(f->pass->arena, size_t, f->units.count + 1);
  int64_t *residency = HCT_NEW_ARRAY(f->pass->arena, int64_t, f->units.count + 1);
  for (size_t u = 0; u < f->units.count; u++) stages[u] = layerwise ? u : f->cut ? f->stages[u] : 0;
  HCT_TRY(residencies_choose(f, w, stages, residency));
  for (size_t u = 0; u < f->units.count; u++) any |= residency[u] != HCT_RESIDENT;
  MlirOperation top = mlirModuleGetOperation(module);
  if (any) hct_op_set(top, "hct.streamed", hct_attr_i64s(mlirModuleGetContext(module), f->units.count, residency));
  if (!any && w->allowed[HCT_RESIDENT] && !w->list && streaming_pays(f, stages)) hct_op_set(top, "hct.streaming_pays", mlirUnitAttrGet(mlirModuleGetContext(module)));
  return HCT_OK;
}

/* ---- what fits in no plan ---- */
static const char *value_name(const fuse *f, size_t value) {
  const hct_flow_value *v = &f->flow.values[value];
  if (v->op != SIZE_MAX) return hct_loc_of(f->pass->arena, f->flow.ops[v->op].op).where;
  MlirAttribute name = hct_function_arg_attr(f->flow.function, value, "hct.name");
  return mlirAttributeIsNull(name) ? "" : hct_attr_text(name);
}

static hct_status product_refuse(const fuse *f, const bool *sampled, const hct_least_sram *least) {
  hct_pass_context *pass = f->pass;
  hct_error(pass->diags, HCT_E_SRAM_FULL, hct_loc_of(pass->arena, f->flow.ops[least->op].op), "the plan needs %lld bytes of SRAM on a die that has %lld, or more: this product alone takes them, however it is scheduled",
            (long long)least->bytes, (long long)pass->package.sram_bytes);
  for (size_t i = 0; i < least->value_count; i++) {
    size_t view = least->values[i].view;
    const char *part = sampled[view] && least->samples < least->batch ? hct_arena_printf(pass->arena, ", %lld of %lld samples", (long long)least->samples, (long long)least->batch) : "";
    hct_note(pass->diags, "%12lld bytes  a die's part of %s%s  %s", (long long)least->values[i].bytes, hct_shape_text(pass->arena, &f->flow.values[view].shape), part, value_name(f, least->values[i].value));
  }
  hct_pass_sram_hint(pass, least->samples > 1, false);
  return HCT_REFUSED;
}

/* A trial, or a deep model, that needs too much is not compiled any further; others are, for the map of all that they have in SRAM. */
static hct_status products_check(fuse *f, const bool *sampled) {
  hct_pass_context *pass = f->pass;
  recompute_costs costs = recompute_costs_of(pass, &f->flow);
  int64_t batch = partition_batch(&f->flow), samples = (batch + costs.micro_batches - 1) / costs.micro_batches, sram = (int64_t)pass->package.sram_bytes;
  hct_least_sram least = hct_least_sram_find(&f->flow, sampled, samples, batch, (int64_t)(pass->package.rows * pass->package.cols));
  pass->product_sram_bytes = least.bytes, pass->parameter_sram_bytes = least.parameter_bytes;
  if (least.bytes <= sram || (!pass->streams_only && !pass->left_out)) return HCT_OK;
  pass->least_sram_bytes = least.bytes;
  return product_refuse(f, sampled, &least);
}

hct_status hct_pass_fuse_groups(hct_pass_context *pass, MlirModule module) {
  fuse f = {.pass = pass, .flow = hct_flow_read(pass->arena, module)};
  bool host = !strcmp(hct_pass_option(pass, "backend", "chiplet"), "host"), *sampled = HCT_NEW_ARRAY(pass->arena, bool, f.flow.value_count + 1);
  hct_flow_factorize(&f.flow);
  f.cut = find_sampled(&f, sampled);
  if (!host) HCT_TRY(products_check(&f, sampled));
  f.units = hct_units_read(pass->arena, &f.flow, sampled, true);
  f.stages = HCT_NEW_ARRAY(pass->arena, size_t, f.units.count);
  weights w;
  HCT_TRY(weights_read(&f, &w));
  HCT_TRY(stages_decide(&f, &w));
  if (host) return HCT_OK;
  HCT_TRY(streamed_mark(&f, &w, module));
  if (!f.cut || !strcmp(hct_pass_option(pass, "schedule", "fused"), "layerwise")) return HCT_OK;
  int64_t *stages = HCT_NEW_ARRAY(pass->arena, int64_t, f.units.count);
  bool fused = false;
  for (size_t u = 0; u < f.units.count; u++) stages[u] = (int64_t)f.stages[u], fused |= f.stages[u] != u;
  if (!fused) return HCT_OK;
  hct_op_set(mlirModuleGetOperation(module), "hct.stages", hct_attr_i64s(mlirModuleGetContext(module), f.units.count, stages));
  say(&f);
  return HCT_OK;
}
