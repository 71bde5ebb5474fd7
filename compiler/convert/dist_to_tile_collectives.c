#include <string.h>

#include "compiler/convert/dist_to_tile.h"

bool tile_is_collective(const char *name) {
  return !strcmp(name, "hct_graph.all_gather") || !strcmp(name, "hct_graph.reduce_scatter") || !strcmp(name, "hct_graph.all_reduce") ||
         !strcmp(name, "hct_graph.shard_slice");
}

static bool is_flat(const char *axis) { return axis[0] == 'r' && axis[1] == 'c'; }
static hct_axis axis_of(const char *text) { return text[0] == 'r' ? HCT_AXIS_ROW : text[0] == 'c' ? HCT_AXIS_COL : HCT_AXIS_TIME; }

static int64_t axis_size(const lowering *l, const char *axis) {
  int64_t rows = l->pass->package.rows, cols = l->pass->package.cols;
  return axis[0] == 'f' || is_flat(axis) ? rows * cols : axis[0] == 'r' ? rows : cols;
}

static bool has_axis(const hct_factor *factor, hct_axis axis) {
  for (int a = 0; a < factor->axis_count; a++)
    if (factor->axes[a] == axis) return true;
  return false;
}

/* The factor that `split` splits over `axis`; -1 when none. */
static int factor_over(const hct_layout *split, const char *axis) {
  for (int f = 0; f < split->factor_count; f++)
    if (has_axis(&split->factors[f], axis_of(axis)) && (!is_flat(axis) || has_axis(&split->factors[f], HCT_AXIS_COL))) return f;
  return -1;
}

static hct_layout without_axis(const hct_layout *layout, int factor, const char *axis) {
  hct_layout whole = tile_layout_stored(layout);
  hct_factor *at = &whole.factors[factor];
  int kept = 0;
  for (int a = 0; a < at->axis_count; a++)
    if (at->axes[a] != axis_of(axis) && !(is_flat(axis) && at->axes[a] == HCT_AXIS_COL)) at->axes[kept++] = at->axes[a];
  at->axis_count = (uint8_t)kept;
  return whole;
}

/* One ring pass of a collective: who takes part, over what. */
typedef struct ring_pass {
  const char *step, *axis;   /* gather_step or scatter_step; r, c, f0, f1 */
  int lane;                  /* 0: whole parts; 1, 2: half of each */
  const char *within;        /* NULL, or the axis whose own part is divided further */
} ring_pass;

/* `scf.for %s = 0 to trips { hct_tile.STEP(buffer, %s) }`; `over` is the axis that reports name. */
static void emit_ring(lowering *l, const ring_pass *ring, MlirValue buffer, const char *collective, const char *over, int64_t factor, const char *kind) {
  hct_builder body, *outer = l->at;
  MlirValue counter = tile_loop_open(l, 0, axis_size(l, ring->axis) - 1, &body);
  l->at = &body;
  tile_attrs attrs = {0};
  tile_attr(&attrs, "axis", hct_attr_str(l->context, ring->axis));
  tile_attr(&attrs, "factor", hct_attr_i64(l->context, factor));
  if (!strcmp(ring->step, "scatter_step")) tile_attr(&attrs, "kind", hct_attr_str(l->context, kind));
  if (ring->lane) tile_attr(&attrs, "lane", hct_attr_i64(l->context, ring->lane));
  if (ring->within) tile_attr(&attrs, "within", hct_attr_str(l->context, ring->within));
  tile_attr(&attrs, "hct.collective", hct_attr_str(l->context, collective));
  if (strcmp(over, ring->axis)) tile_attr(&attrs, "hct.over", hct_attr_str(l->context, over));
  MlirValue operands[2] = {buffer, counter};
  tile_emit(l, ring->step, 2, operands, &attrs);
  l->at = outer;
  tile_loop_close(l, &body);
}

/* Along one axis; along the flat ring, half of each part in either direction, at once. */
static void emit_rings(lowering *l, const char *step, MlirValue buffer, const char *collective, const char *axis, int64_t factor, const char *kind) {
  if (!is_flat(axis)) {
    emit_ring(l, &(ring_pass){step, axis, 0, NULL}, buffer, collective, axis, factor, kind);
    return;
  }
  emit_ring(l, &(ring_pass){step, "f0", 1, NULL}, buffer, collective, axis, factor, kind);
  emit_ring(l, &(ring_pass){step, "f1", 2, NULL}, buffer, collective, axis, factor, kind);
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
  if (!only || !made_here || !tile_view_is_whole(&view, &info->layout)) view = tile_view_copy(l, &view, &info->layout, info->shape.dtype);
  return tile_view_conform(l, &view, &info->layout, wanted, info->shape.dtype);
}

void tile_part_take(lowering *l, const tile_view *whole, const tile_view *part, const char *axis, int factor) { emit_copy_part(l, whole, part, axis, factor, "out"); }

void tile_parts_gather(lowering *l, const tile_view *whole, const tile_view *part, const char *axis, int factor, const char *collective) {
  emit_copy_part(l, whole, part, axis, factor, "in");
  emit_rings(l, "gather_step", whole->buffer, collective, axis, factor, NULL);
}

static void lower_all_gather(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *from = tile_info(l, op->operands[0]), *to = tile_info(l, op->results[0]);
  int factor = factor_over(&from->layout, axis);
  HCT_BUG_ON(factor < 0, "all_gather of a value that is not split");
  hct_layout whole_layout = without_axis(&from->layout, factor, axis);
  tile_view part = tile_value(l, op->operands[0]);
  part = tile_view_dense(l, &part, &from->layout, from->shape.dtype);
  tile_view whole = tile_view_fresh(l, &whole_layout, to->shape.dtype);
  tile_parts_gather(l, &whole, &part, axis, factor, "all_gather");
  tile_view result = tile_view_conform(l, &whole, &whole_layout, &to->layout, to->shape.dtype);
  tile_value_set(l, op->results[0], &result);
}

static void lower_reduce_scatter(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *to = tile_info(l, op->results[0]);
  int factor = factor_over(&to->layout, axis);
  HCT_BUG_ON(factor < 0, "reduce_scatter to a value that is not split");
  hct_layout whole_layout = without_axis(&to->layout, factor, axis);
  tile_view whole = operand_owned(l, op->operands[0], &whole_layout);
  emit_rings(l, "scatter_step", whole.buffer, "reduce_scatter", axis, factor, hct_op_str(op->op, "kind"));
  tile_view part = tile_view_fresh(l, &to->layout, to->shape.dtype);
  emit_copy_part(l, &whole, &part, axis, factor, "out");
  tile_value_set(l, op->results[0], &part);
}

/* Reduce-scatter along one axis, all-reduce of the own part along the other, all-gather along the first: half of each part with rows
 * first, the other half with columns first, at once. */
static void emit_torus(lowering *l, MlirValue buffer, const char *kind) {
  static const ring_pass passes[] = {
      {"scatter_step", "c", 1, NULL}, {"scatter_step", "r", 2, NULL}, {"scatter_step", "r", 1, "c"}, {"scatter_step", "c", 2, "r"},
      {"gather_step", "r", 1, "c"},   {"gather_step", "c", 2, "r"},   {"gather_step", "c", 1, NULL}, {"gather_step", "r", 2, NULL},
  };
  for (size_t i = 0; i < HCT_COUNT(passes); i++) emit_ring(l, &passes[i], buffer, "all_reduce", "torus", HCT_ABSENT, kind);
}

/* `layout` with a first dimension of one place a die of the axis: split over it, or whole. */
static hct_layout layout_of_places(const lowering *l, const hct_layout *layout, const char *axis, bool split) {
  hct_layout places = {.rank = (uint8_t)(layout->rank + 1), .factor_count = (uint8_t)(layout->factor_count + 1), .dim_first = {0}, .factors = {{.size = axis_size(l, axis)}}};
  for (unsigned d = 0; d <= layout->rank; d++) places.dim_first[d + 1] = (uint8_t)(layout->dim_first[d] + 1);
  memcpy(&places.factors[1], layout->factors, layout->factor_count * sizeof *layout->factors);
  hct_factor *first = &places.factors[0];
  if (split) first->axes[first->axis_count++] = (uint8_t)axis_of(axis);
  if (split && is_flat(axis)) first->axes[first->axis_count++] = HCT_AXIS_COL;
  return places;
}

/* Of die (0, 0), which has most. */
static int64_t elements_a_die(const lowering *l, const hct_layout *layout) {
  int64_t size = l->program->micro_batch, full = l->program->batch / size * size;
  hct_place place = {.rows = l->pass->package.rows, .cols = l->pass->package.cols};
  if (l->section == HCT_SECTION_FULL) place.micro_batch_size = size;
  if (l->section == HCT_SECTION_REST) place.micro_batch_start = full, place.micro_batch_size = l->program->batch - full;
  return hct_layout_tile_elements(layout, &place);
}

/* Fewer elements than dies, such as a loss, or the statistics of a few tokens: they have no parts to scatter. Every die gathers all summands and adds them
 * up in one order: half as many steps, of a few bytes each. */
static void all_reduce_few(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *from = tile_info(l, op->operands[0]), *to = tile_info(l, op->results[0]);
  hct_layout stored = tile_layout_stored(&to->layout), part_layout = layout_of_places(l, &stored, axis, true), whole_layout = layout_of_places(l, &stored, axis, false);
  tile_view part = tile_value(l, op->operands[0]);
  part = tile_view_dense(l, &part, &from->layout, from->shape.dtype);
  part = tile_view_alias(l, &part, &part_layout);
  tile_view whole = tile_view_fresh(l, &whole_layout, to->shape.dtype), result = tile_view_fresh(l, &stored, to->shape.dtype);
  tile_parts_gather(l, &whole, &part, axis, 0, "all_reduce");
  tile_reduce_first(l, &result, &whole, &whole_layout, hct_op_str(op->op, "kind"));
  tile_value_set(l, op->results[0], &result);
}

static void lower_all_reduce(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *to = tile_info(l, op->results[0]);
  if (elements_a_die(l, &to->layout) < axis_size(l, axis) && to->layout.rank < HCT_MAX_RANK && to->layout.factor_count < HCT_MAX_FACTORS) {
    all_reduce_few(l, op, axis);
    return;
  }
  tile_view whole = operand_owned(l, op->operands[0], &to->layout);
  const char *kind = hct_op_str(op->op, "kind");
  if (is_flat(axis) && !strcmp(hct_op_str_or(op->op, "algorithm", "ring"), "torus")) {
    emit_torus(l, whole.buffer, kind);
  } else {
    emit_rings(l, "scatter_step", whole.buffer, "all_reduce", axis, HCT_ABSENT, kind);
    emit_rings(l, "gather_step", whole.buffer, "all_reduce", axis, HCT_ABSENT, kind);
  }
  tile_value_set(l, op->results[0], &whole);
}

static void lower_shard_slice(lowering *l, const hct_dist_op *op, const char *axis) {
  const hct_dist_value *from = tile_info(l, op->operands[0]), *to = tile_info(l, op->results[0]);
  int factor = factor_over(&to->layout, axis);
  HCT_BUG_ON(factor < 0, "shard_slice to a value that is not split");
  hct_layout whole_layout = without_axis(&to->layout, factor, axis);
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
