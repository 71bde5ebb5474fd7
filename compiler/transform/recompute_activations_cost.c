#include "compiler/transform/recompute_activations.h"

#include <math.h>
#include <string.h>

#include "compiler/analysis/recompute.h"
#include "compiler/transform/partition.h"
#include "ir/isa/instr.h"

static int64_t ps_of(double seconds) {
  double ps = ceil(seconds * 1e12), most = (double)(HCT_RECOMPUTE_NEVER >> 20);
  return ps < most ? (int64_t)ps : HCT_RECOMPUTE_NEVER >> 20;
}

recompute_costs recompute_costs_of(const hct_pass_context *pass, const hct_flow *flow) {
  int64_t size, batch = partition_batch(flow);
  bool given = hct_parse_i64(hct_pass_option(pass, "micro-batch", "auto"), &size) && size >= 1 && size < batch;
  return (recompute_costs){.package = &pass->package, .flow = flow, .micro_batches = given ? (batch + size - 1) / size : 1};
}

static double elements_of(const recompute_costs *c, size_t value) { return (double)hct_shape_elements(&c->flow->values[value].shape); }
static double bytes_of(const recompute_costs *c, size_t value) { return elements_of(c, value) * (double)hct_dtype_bytes(c->flow->values[value].shape.dtype); }
static double dies_of(const recompute_costs *c) { return (double)(c->package->rows * c->package->cols); }

int64_t recompute_move_ps(const recompute_costs *c, size_t value, int moves) {
  const hct_package *p = c->package;
  double bandwidth = (double)p->dram_channels * p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency;
  return ps_of(moves * (bytes_of(c, value) / bandwidth + (double)c->micro_batches * p->dram_latency_s));
}

/* A ring of sqrt(dies) on one axis, the value split over the other: each die receives all parts but its own, `rounds` times. */
static double ring_seconds(const recompute_costs *c, double bytes, int rounds) {
  double dies = dies_of(c), side = sqrt(dies);
  return rounds * ((side - 1) / dies * bytes / c->package->link_bandwidth_bytes_per_s + (double)c->micro_batches * (side - 1) * c->package->link_latency_s);
}

static MlirAttribute argument_attribute(const recompute_costs *c, size_t value, const char *name) {
  while (c->flow->values[value].op != SIZE_MAX && c->flow->ops[c->flow->values[value].op].operand_count == 1) value = c->flow->ops[c->flow->values[value].op].operands[0];
  return value < c->flow->arg_count ? hct_function_arg_attr(c->flow->function, value, name) : mlirAttributeGetNull();
}

static bool is_param(const recompute_costs *c, size_t value) {
  MlirAttribute role = argument_attribute(c, value, "hct.role");
  return !mlirAttributeIsNull(role) && !strcmp(hct_attr_text(role), "param");
}

static double contract_seconds(const recompute_costs *c, const hct_flow_op *op) {
  const hct_package *p = c->package;
  op_rule rule;
  bool f32 = c->flow->values[op->operands[0]].shape.dtype == HCT_F32;
  double work = 1, seconds = 0;
  if (partition_rule(c->flow, op, &rule))
    for (int l = 0; l < rule.label_count; l++) work *= (double)rule.labels[l].size;
  for (size_t k = 0; k < 2; k++) {
    if (!is_param(c, op->operands[k])) continue;
    seconds += ring_seconds(c, bytes_of(c, op->results[0]), 1);
    if (mlirAttributeIsNull(argument_attribute(c, op->operands[k], "hct.trainable"))) seconds += ring_seconds(c, bytes_of(c, op->operands[1 - k]), 1);
    break;
  }
  return seconds + work / (dies_of(c) * (double)(p->mxu_arrays * p->mxu_rows * p->mxu_cols) * (f32 ? p->mxu_f32_rate : 1) * p->clock_hz);
}

static bool is_transcendental(const hct_flow_op *op) {
  const char *table = !strcmp(op->name, "map1") ? "MAP1" : "MAP2";
  const hct_function_info *fn = hct_function_by_name(table, hct_op_str_or(op->op, "fn", ""));
  return !strncmp(op->name, "softmax", 7) || !strcmp(op->name, "dropout") || (fn && fn->cost == HCT_COST_TRANSCENDENTAL);
}

static bool reduces_features(const recompute_costs *c, const hct_flow_op *op) {
  int64_t axes[HCT_MAX_RANK];
  size_t rank = c->flow->values[op->operands[0]].shape.rank, count = strcmp(op->name, "reduce") ? 0 : hct_op_i64s(op->op, "axes", axes, HCT_MAX_RANK);
  for (size_t i = 0; i < count; i++)
    if (axes[i] + 1 == (int64_t)rank) return true;
  return !strcmp(op->name, "pick");
}

int64_t recompute_operator_ps(const recompute_costs *c, const hct_flow_op *op) {
  const hct_package *p = c->package;
  if (!strcmp(op->name, "contract")) return ps_of(contract_seconds(c, op));
  bool gather = !strcmp(op->name, "gather_rows");
  double widest = 0, bytes = 0, cycles = is_transcendental(op) ? (double)p->vpu_transcendental_cycles : 1;
  for (size_t k = 0; k <= op->operand_count; k++) {
    size_t value = k < op->operand_count ? op->operands[k] : op->results[0];
    if (gather && k == 0) value = op->results[0]; /* of the table, the rows that are looked up */
    if (elements_of(c, value) > widest) widest = elements_of(c, value);
    bytes += bytes_of(c, value);
  }
  double compute = widest * cycles / (double)p->vpu_lanes, sram = bytes / (double)p->sram_bytes_per_cycle;
  double seconds = (compute > sram ? compute : sram) / (dies_of(c) * p->clock_hz);
  if (gather) seconds += ring_seconds(c, bytes_of(c, op->results[0]), 1);
  if (reduces_features(c, op)) seconds += ring_seconds(c, bytes_of(c, op->results[0]), 2);
  return ps_of(seconds);
}
