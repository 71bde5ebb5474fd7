/* Sums with pads, as the gradient of what is cut into slices has: a block of attention gives a part of the keys' gradient, padded to all keys. Neither the
 * padded part nor each further sum is made: the part is added to the running sum, where that lies. Sums keep their order. */
#include <string.h>

#include "compiler/convert/dist_to_tile.h"

bool tile_is_add(const hct_dist_op *op) { return !strcmp(op->name, "hct_graph.map2") && !strcmp(hct_op_str(op->op, "fn"), "add"); }

static bool is_zero_pad(const hct_dist_op *op) { return !strcmp(op->name, "hct_graph.pad") && hct_op_f64_or(op->op, "value", 0) == 0; }

static const hct_dist_op *maker_of(const lowering *l, size_t value) { return tile_info(l, value)->op == SIZE_MAX ? NULL : &l->program->ops[tile_info(l, value)->op]; }

/* Made beside `op`, for it alone, in a buffer of its own that has the result's form. */
static bool dies_in(const lowering *l, const hct_dist_op *op, size_t operand) {
  const hct_dist_value *info = tile_info(l, operand), *result = tile_info(l, op->results[0]);
  const hct_dist_op *maker = maker_of(l, operand);
  if (!maker || maker->view || maker->accumulate || hct_dist_is_constant(l->program, operand)) return false;
  return info->uses == 1 && !info->spilled && maker->stage == op->stage && maker->when == HCT_IN_LOOP && info->shape.dtype == result->shape.dtype && hct_layout_equal(&info->layout, &result->layout);
}

static bool is_sum(const hct_dist_op *op) { return tile_is_add(op) && op->when == HCT_IN_LOOP; }

size_t tile_sum_held(const lowering *l, const hct_dist_op *op) {
  if (!is_sum(op) || tile_accumulates_directly(l, op) || op->operands[0] == op->operands[1]) return SIZE_MAX;
  for (size_t k = 0; k < 2; k++) {
    size_t pad = op->operands[1 - k];
    if (dies_in(l, op, op->operands[k]) && dies_in(l, op, pad) && is_zero_pad(maker_of(l, pad))) return op->operands[k];
  }
  return SIZE_MAX;
}

bool tile_pad_joins(const lowering *l, const hct_dist_op *op) {
  size_t result = op->results[0], user = tile_info(l, result)->uses == 1 ? tile_info(l, result)->only_user : SIZE_MAX;
  if (user == SIZE_MAX || !is_zero_pad(op)) return false;
  const hct_dist_op *sum = &l->program->ops[user];
  if (!is_sum(sum) || !dies_in(l, sum, result)) return false;
  if (tile_accumulates_directly(l, sum)) return true;
  size_t held = tile_sum_held(l, sum);
  return held != SIZE_MAX && held != result;
}

void tile_sum_pad(lowering *l, const hct_dist_op *pad, const tile_view *sum) {
  int64_t starts[HCT_MAX_RANK] = {0};
  hct_op_i64s(pad->op, "low", starts, HCT_MAX_RANK);
  tile_write_part(l, pad->operands[0], sum, &tile_info(l, pad->results[0])->layout, starts, "add");
}

void tile_sum_lower(lowering *l, const hct_dist_op *op) {
  size_t held = tile_sum_held(l, op), pad = op->operands[op->operands[0] == held];
  tile_view sum = tile_value(l, held);
  HCT_BUG_ON(!tile_view_is_whole(&sum, &tile_info(l, held)->layout), "a sum that is a part of its buffer");
  tile_sum_pad(l, maker_of(l, pad), &sum);
  tile_value_set(l, op->results[0], &sum);
}
