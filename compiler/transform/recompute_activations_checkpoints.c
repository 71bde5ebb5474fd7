/* Checkpoints of hct-recompute-activations (--checkpoint=N): of N consecutive fusion groups only what the first reads is kept for backward. Forward of
 * all but the last is copied into backward of the last, which runs first, and makes again what the last reads.
 *
 *   before  %a = group 1 (%x)    %b = group 2 (%a)    ...    backward of group 2 reads %a    backward of group 1 reads %x and what is inside of group 1
 *   after   the same, and before backward of group 2
 *           %c = group 1 (%x) {hct.group = 2, hct.pass = "backward", hct.recomputed}         backward of both groups reads that instead
 *
 * The copies are for backward what forward's operators were: what of them backward of their own group reads is stored, for as long as it takes to get there, or
 * computed once more, by the same choice. Groups are counted from the end, without the last one, whose backward follows its forward at once: the
 * layers before it alternate evenly, and what is left over is at the beginning. What a group behind the chain reads is stored for that, and not copied. */
#include <string.h>

#include "compiler/schedule/program.h"
#include "compiler/transform/recompute_activations.h"

static bool is_forward(MlirOperation op) { return !strcmp(hct_op_str_or(op, "hct.pass", "forward"), "forward"); }

/* The last group of the chain whose forward, but this group's, is made again; -1: a group of no chain, or the last of one. */
static int64_t chain_end(int64_t group, int64_t groups, int64_t length) {
  int64_t end = groups - 2 - (groups - 2 - group) / length * length;
  return group < groups - 1 && group != end && end - length + 1 >= 0 ? end : -1;
}

static int64_t groups_of(const hct_flow *flow) {
  int64_t groups = 0;
  for (size_t i = 0; i < flow->op_count; i++) {
    int64_t group = hct_op_i64_or(flow->ops[i].op, "hct.group", 0);
    if (group >= groups) groups = group + 1;
  }
  return groups;
}

/* By group that ends a chain: the first operator in backward of any of the chain; null where there is none. */
static MlirOperation *backward_starts(hct_arena *arena, const hct_flow *flow, int64_t groups, int64_t length) {
  MlirOperation *starts = HCT_NEW_ARRAY(arena, MlirOperation, (size_t)groups + 1);
  for (size_t i = flow->op_count; i-- > 0;) {
    int64_t group = hct_op_i64_or(flow->ops[i].op, "hct.group", 0), end = chain_end(group, groups, length);
    if (!strcmp(hct_op_str_or(flow->ops[i].op, "hct.pass", "forward"), "backward")) starts[end < 0 ? group : end] = flow->ops[i].op;
  }
  return starts;
}

/* Read by a group behind the chain, itself or a view of it, and stored for that: its backward comes before the chain's. */
static bool is_read_later(const hct_flow *flow, size_t value, int64_t end) {
  size_t count;
  const size_t *readers = hct_flow_readers(flow, value, &count);
  for (size_t i = 0; i < count; i++)
    if (hct_op_i64_or(flow->ops[readers[i]].op, "hct.group", 0) > end || (hct_dist_op_is_view(hct_op_name(flow->ops[readers[i]].op)) && is_read_later(flow, flow->ops[readers[i]].results[0], end))) return true;
  return false;
}

static void operands_redirect(const recompute_checkpoints *c, MlirOperation copy) {
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(copy); k++) {
    size_t at;
    if (hct_index_map_get(c->by_value, hct_value_key(mlirOperationGetOperand(copy, k)), &at)) mlirOperationSetOperand(copy, k, hct_op_result(c->items[at].copy, 0));
  }
}

recompute_checkpoints recompute_checkpoints_make(hct_arena *arena, const hct_flow *flow, const bool *sampled, int64_t length) {
  recompute_checkpoints c = {.by_value = hct_index_map_create(arena), .by_copy = hct_index_map_create(arena)};
  int64_t groups = groups_of(flow);
  MlirBlock body = hct_function_body(flow->function);
  MlirContext context = mlirOperationGetContext(flow->function);
  MlirOperation *starts = backward_starts(arena, flow, groups, length > 1 ? length : 1);
  for (size_t i = 0; i < flow->op_count && length > 1; i++) {
    const hct_flow_op *op = &flow->ops[i];
    int64_t group = hct_op_i64_or(op->op, "hct.group", 0), end = chain_end(group, groups, length);
    if (end < 0 || !is_forward(op->op) || op->result_count != 1 || !sampled[op->results[0]] || mlirOperationIsNull(starts[end]) || is_read_later(flow, op->results[0], end)) continue;
    recompute_checkpoint made = {.copy = mlirOperationClone(op->op), .group = group, .end = end};
    mlirBlockInsertOwnedOperationBefore(body, starts[end], made.copy);
    hct_op_set(made.copy, "hct.pass", hct_attr_str(context, "backward"));
    hct_op_set(made.copy, "hct.group", hct_attr_i64(context, end));
    hct_op_set(made.copy, "hct.recomputed", mlirUnitAttrGet(context));
    operands_redirect(&c, made.copy);
    hct_index_map_put(c.by_value, hct_value_key(flow->values[op->results[0]].value), c.count);
    hct_index_map_put(c.by_copy, made.copy.ptr, c.count);
    HCT_PUSH(arena, &c, made);
  }
  return c;
}
