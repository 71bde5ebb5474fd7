#include <string.h>

#include "compiler/convert/dist_to_tile.h"

bool tile_is_collective(const char *name) {
  return !strcmp(name, "hct_graph.all_gather") || !strcmp(name, "hct_graph.reduce_scatter") || !strcmp(name, "hct_graph.all_reduce") ||
         !strcmp(name, "hct_graph.shard_slice");
}

static hct_axis axis_of(const char *text) { return text[0] == 'r' ? HCT_AXIS_ROW : text[0] == 'c' ? HCT_AXIS_COL : HCT_AXIS_TIME; }

static int64_t axis_size(const lowering *l, hct_axis axis) { return axis == HCT_AXIS_ROW ? l->pass->package.rows : l->pass->package.cols; }

/* The factor that `split` splits over `axis`; -1 when none. */
static int factor_over(const hct_layout *split, hct_axis axis) {
  for (int f = 0; f < split->factor_count; f++)
    for (int a = 0; a < split->factors[f].axis_count; a++)
      if (split->factors[f].axes[a] == axis) return f;
  return -1;
}

static hct_layout without_axis(const hct_layout *layout, int factor, hct_axis axis) {
  hct_layout whole = tile_layout_stored(layout);
  hct_factor *at = &whole.factors[factor];
  int kept = 0;
  for (int a = 0; a < at->axis_count; a++)
    if (at->axes[a] != axis) at->axes[kept++] = at->axes[a];
  at->axis_count = (uint8_t)kept;
  return whole;
}

/* `scf.for %s = 0 to trips { hct_tile.STEP(buffer, %s) }` */
static void emit_ring(lowering *l, const char *step, MlirValue buffer, int64_t trips, const char *collective, const char *axis, int64_t factor, const char *kind) {
  hct_builder body, *outer = l->at;
  MlirValue counter = tile_loop_open(l, trips, &body);
  l->at = &body;
  tile_attrs attrs = {0};
  tile_attr(&attrs, "axis", hct_attr_str(l->context, axis));
  tile_attr(&attrs, "factor", hct_attr_i64(l->context, factor));
  if (kind) tile_attr(&attrs, "kind", hct_attr_str(l->context, kind));
  tile_attr(&attrs, "hct.collective", hct_attr_str(l->context, collective));
  MlirValue operands[2] = {buffer, counter};
  tile_emit(l, step, 2, operands, &attrs);
  l->at = outer;
  tile_loop_close(l, &body);
}

static void emit_copy_part(lowering *l, const tile_view *whole, const tile_view *part, const char *axis, int factor, const char *direction) {
  tile_attrs attrs = {0};
  tile_attr(&attrs, "axis", hct_attr_str(l->context, axis));
  tile_attr(&attrs, "factor", hct_attr_i64(l->context, factor));
  tile_attr(&attrs, "section", hct_attr_i64(l->context, l->section));
  tile_attr(&attrs, "direction", hct_attr_str(l->context, direction));
  MlirValue operands[3] = {whole->buffer, part->buffer, l->micro_batch};
  tile_emit(l, "copy_part", axis[0] == 't' ? 3 : 2, operands, &attrs);
}

/* A ring reduction works in place: on the operand's own buffer when nothing else will read it, else on a copy. */
static tile_view operand_owned(lowering *l, size_t value, const hct_layout *wanted) {
  const hct_dist_value *info = tile_info(l, value);
  tile_view view = tile_value(l, value);
  size_t root = value;
  bool only = tile_info(l, root)->uses == 1;
  while (only && tile_info(l, root)->op != SIZE_MAX && l->program->ops[tile_info(l, root)->op].view) {
    root = l->program->ops[tile_info(l, root)->op].operands[0];
    only = tile_info(l, root)->uses == 1;
  }
  bool made_here = tile_info(l, root)->op != SIZE_MAX && !tile_info(l, root)->spilled && !hct_dist_is_constant(l->program, root);
  if (!only || !made_here || !tile_view_is_whole(&view)) view = tile_view_copy(l, &view, &info->layout, info->shape.dtype);
  return tile_view_conform(l, &view, &info->layout, wanted, info->shape.dtype);
}

static void lower_all_gather(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *from = tile_info(l, op->operands[0]), *to = tile_info(l, op->results[0]);
  int factor = factor_over(&from->layout, axis_of(axis));
  HCT_BUG_ON(factor < 0, "all_gather of a value that is not split");
  hct_layout whole_layout = without_axis(&from->layout, factor, axis_of(axis));
  tile_view part = tile_value(l, op->operands[0]);
  part = tile_view_dense(l, &part, &from->layout, from->shape.dtype);
  tile_view whole = tile_view_fresh(l, &whole_layout, to->shape.dtype);
  emit_copy_part(l, &whole, &part, axis, factor, "in");
  emit_ring(l, "gather_step", whole.buffer, axis_size(l, axis_of(axis)) - 1, "all_gather", axis, factor, NULL);
  tile_view result = tile_view_conform(l, &whole, &whole_layout, &to->layout, to->shape.dtype);
  tile_value_set(l, op->results[0], &result);
}

static void lower_reduce_scatter(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *to = tile_info(l, op->results[0]);
  int factor = factor_over(&to->layout, axis_of(axis));
  HCT_BUG_ON(factor < 0, "reduce_scatter to a value that is not split");
  hct_layout whole_layout = without_axis(&to->layout, factor, axis_of(axis));
  tile_view whole = operand_owned(l, op->operands[0], &whole_layout);
  emit_ring(l, "scatter_step", whole.buffer, axis_size(l, axis_of(axis)) - 1, "reduce_scatter", axis, factor, hct_op_str(op->op, "kind"));
  tile_view part = tile_view_fresh(l, &to->layout, to->shape.dtype);
  emit_copy_part(l, &whole, &part, axis, factor, "out");
  tile_value_set(l, op->results[0], &part);
}

static void lower_all_reduce(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *to = tile_info(l, op->results[0]);
  tile_view whole = operand_owned(l, op->operands[0], &to->layout);
  int64_t trips = axis_size(l, axis_of(axis)) - 1;
  emit_ring(l, "scatter_step", whole.buffer, trips, "all_reduce", axis, HCT_ABSENT, hct_op_str(op->op, "kind"));
  emit_ring(l, "gather_step", whole.buffer, trips, "all_reduce", axis, HCT_ABSENT, NULL);
  tile_value_set(l, op->results[0], &whole);
}

static void lower_shard_slice(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *from = tile_info(l, op->operands[0]), *to = tile_info(l, op->results[0]);
  int factor = factor_over(&to->layout, axis_of(axis));
  HCT_BUG_ON(factor < 0, "shard_slice to a value that is not split");
  hct_layout whole_layout = without_axis(&to->layout, factor, axis_of(axis));
  tile_view whole = tile_value(l, op->operands[0]);
  whole = tile_view_dense(l, &whole, &from->layout, from->shape.dtype);
  whole = tile_view_conform(l, &whole, &from->layout, &whole_layout, from->shape.dtype);
  tile_view part = tile_view_fresh(l, &to->layout, to->shape.dtype);
  emit_copy_part(l, &whole, &part, axis, factor, "out");
  tile_value_set(l, op->results[0], &part);
}

hct_status tile_lower_collective(lowering *l, const hct_dist_op *op) {
  const char *axis = hct_op_str(op->op, "axis"), *name = op->name + strlen("hct_graph.");
  if (!strcmp(name, "all_gather")) lower_all_gather(l, op, axis);
  else if (!strcmp(name, "reduce_scatter")) lower_reduce_scatter(l, op, axis);
  else if (!strcmp(name, "all_reduce")) lower_all_reduce(l, op, axis);
  else lower_shard_slice(l, op, axis);
  return HCT_OK;
}
