#include <string.h>

#include "compiler/convert/dist_to_tile.h"

int64_t tile_value_bytes(const lowering *l, size_t value, const hct_place *place) {
  const hct_dist_value *info = tile_info(l, value);
  return hct_layout_tile_elements(&info->layout, place) * (int64_t)hct_dtype_bytes(info->shape.dtype);
}

static double elements(const lowering *l, size_t value, const hct_place *place) { return (double)hct_layout_tile_elements(&tile_info(l, value)->layout, place); }

static double dies_along(const hct_package *p, const char *axis) { return (double)(axis[1] ? p->rows * p->cols : axis[0] == 'r' ? p->rows : p->cols); }

static tile_op_cost collective_cost(const lowering *l, const hct_dist_op *op, const char *axis, const hct_place *place) {
  const hct_package *p = &l->pass->package;
  bool twice = !strcmp(op->name, "hct_graph.all_reduce");
  double from = (double)tile_value_bytes(l, op->operands[0], place), to = (double)tile_value_bytes(l, op->results[0], place), moved = from > to ? from - to : to - from;
  double dies = dies_along(p, axis), steps = (dies - 1) * (twice ? 2 : 1);
  double seconds = (twice ? 2 * to : moved) / p->link_bandwidth_bytes_per_s + dies * (twice ? 2 : 1) * p->link_latency_s;
  return (tile_op_cost){(strchr(axis, 'r') ? TILE_ENGINE_ROW : 0u) | (strchr(axis, 'c') ? TILE_ENGINE_COL : 0u), seconds, steps > (double)p->queue_depth ? seconds * (1 - (double)p->queue_depth / steps) : 0};
}

static double vector_seconds(const lowering *l, const hct_dist_op *op, const hct_place *place) {
  const hct_package *p = &l->pass->package;
  double most = elements(l, op->results[0], place);
  for (size_t k = 0; k < op->operand_count && !strcmp(op->name, "hct_graph.reduce"); k++) most = elements(l, op->operands[k], place);
  bool slow = !strcmp(op->name, "hct_graph.softmax") || !strcmp(op->name, "hct_graph.dropout") || !strcmp(op->name, "hct_graph.map1") || !strcmp(hct_op_str_or(op->op, "fn", ""), "exp_sub");
  return most / (double)p->vpu_lanes * (slow ? (double)p->vpu_transcendental_cycles : 1) / p->clock_hz;
}

tile_op_cost tile_order_cost(const lowering *l, const hct_dist_op *op, const hct_place *place) {
  const char *axis = tile_is_collective(op->name) ? hct_op_str(op->op, "axis") : "";
  if (op->accumulate) return (tile_op_cost){TILE_ENGINE_VPU, 0, 0};
  if (axis[0] && strcmp(op->name, "hct_graph.shard_slice")) return collective_cost(l, op, axis, place);
  if (!strcmp(op->name, "hct_graph.contract")) return (tile_op_cost){TILE_ENGINE_MXU, tile_contract_cycles(l, op, place) / l->pass->package.clock_hz, 0};
  return (tile_op_cost){TILE_ENGINE_VPU, vector_seconds(l, op, place), 0};
}
