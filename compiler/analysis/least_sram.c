#include "compiler/analysis/least_sram.h"

#include <string.h>

#include "compiler/analysis/workload.h"

typedef struct bound { const hct_flow *flow; const bool *sampled; int64_t samples, batch, dies; } bound;

static int64_t die_bytes(const bound *b, size_t value) {
  int64_t bytes = hct_flow_value_bytes(&b->flow->values[value]);
  return (b->sampled[value] ? bytes / b->batch * b->samples : bytes) / b->dies;
}

static bool is_view(const char *name) { return !strcmp(name, "reshape") || !strcmp(name, "transpose") || !strcmp(name, "slice") || !strcmp(name, "broadcast"); }

/* What the value is a view of, and of those on the way the one that takes least. */
static size_t root_of(const bound *b, size_t value, size_t *out_view, int64_t *out_bytes) {
  *out_bytes = die_bytes(b, value), *out_view = value;
  for (const hct_flow_op *op; b->flow->values[value].op != SIZE_MAX && is_view((op = &b->flow->ops[b->flow->values[value].op])->name);) {
    value = op->operands[0];
    int64_t bytes = die_bytes(b, value);
    if (bytes < *out_bytes) *out_bytes = bytes, *out_view = value;
  }
  return value;
}

static bool is_constant(const bound *b, size_t value) { return b->flow->values[value].op != SIZE_MAX && !strcmp(b->flow->ops[b->flow->values[value].op].name, "constant"); }

/* Two views of one value may be of the same elements. */
static void value_add(const bound *b, hct_least_sram *sum, size_t value) {
  int64_t bytes;
  size_t view, root = root_of(b, value, &view, &bytes);
  if (is_constant(b, root)) return;
  for (size_t i = 0; i < sum->value_count; i++) {
    if (sum->values[i].value != root) continue;
    if (bytes > sum->values[i].bytes) sum->bytes += bytes - sum->values[i].bytes, sum->values[i].bytes = bytes, sum->values[i].view = view;
    return;
  }
  sum->values[sum->value_count].value = root, sum->values[sum->value_count].view = view, sum->values[sum->value_count++].bytes = bytes;
  sum->bytes += bytes;
}

static bool is_parameter(const bound *b, size_t value) {
  MlirAttribute role = value < b->flow->arg_count ? hct_function_arg_attr(b->flow->function, value, "hct.role") : mlirAttributeGetNull();
  return !mlirAttributeIsNull(role) && (!strcmp(hct_attr_text(role), "param") || !strcmp(hct_attr_text(role), "copy"));
}

hct_least_sram hct_least_sram_find(const hct_flow *flow, const bool *sampled, int64_t samples, int64_t batch, int64_t dies) {
  const bound b = {flow, sampled, samples, batch, dies};
  hct_least_sram most = {.op = SIZE_MAX};
  for (size_t i = 0; i < flow->op_count; i++) {
    const hct_flow_op *op = &flow->ops[i];
    hct_least_sram sum = {.op = i, .samples = samples, .batch = batch};
    if (strcmp(op->name, "contract")) continue;
    for (size_t k = 0; k < op->operand_count; k++) value_add(&b, &sum, op->operands[k]);
    value_add(&b, &sum, op->results[0]);
    sum.parameter_bytes = most.parameter_bytes;
    for (size_t k = 0; k < sum.value_count; k++)
      if (sum.values[k].bytes > sum.parameter_bytes && is_parameter(&b, sum.values[k].value)) sum.parameter_bytes = sum.values[k].bytes;
    if (most.op == SIZE_MAX || sum.bytes > most.bytes) most = sum;
    most.parameter_bytes = sum.parameter_bytes;
  }
  return most;
}
