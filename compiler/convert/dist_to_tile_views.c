#include <string.h>

#include "compiler/convert/dist_to_tile.h"

hct_layout tile_layout_stored(const hct_layout *layout) {
  hct_layout stored = *layout;
  stored.partial = HCT_PARTIAL_NONE;
  stored.partial_axes = 0;
  return stored;
}

static MlirAttribute layout_attr(lowering *l, const hct_layout *layout) {
  hct_text text = {0};
  hct_layout_print(layout, &text);
  MlirAttribute attribute = hct_attr_str(l->context, text.data);
  hct_text_fini(&text);
  return attribute;
}

MlirValue tile_alloc(lowering *l, const hct_layout *layout, hct_dtype dtype) {
  hct_layout stored = tile_layout_stored(layout);
  hct_named attributes[] = {
      {"dtype", hct_attr_str(l->context, hct_dtype_name(dtype))},
      {"layout", layout_attr(l, &stored)},
      {"section", hct_attr_i64(l->context, l->section)},
  };
  return hct_build_value(l->at, "hct_tile.alloc", 0, NULL, l->sram, HCT_COUNT(attributes), attributes);
}

MlirValue tile_alloc_piece(lowering *l, const hct_layout *layout, hct_dtype dtype, int64_t first, int64_t elements) {
  MlirValue piece = tile_alloc(l, layout, dtype);
  hct_op_set(mlirOpResultGetOwner(piece), "range", hct_attr_i64s(l->context, 2, (int64_t[]){first, elements}));
  return piece;
}

tile_view tile_view_whole(MlirValue buffer, const hct_layout *layout) {
  tile_view view = {.buffer = buffer, .buffer_layout = tile_layout_stored(layout), .step_count = layout->factor_count};
  for (int f = 0; f < layout->factor_count; f++) view.steps[f] = (tile_step){f, 0, 1};
  return view;
}

tile_view tile_view_fresh(lowering *l, const hct_layout *layout, hct_dtype dtype) { return tile_view_whole(tile_alloc(l, layout, dtype), layout); }

bool tile_view_is_whole(const tile_view *view, const hct_layout *layout) {
  if (view->step_count != view->buffer_layout.factor_count || view->fix_count) return false;
  for (int f = 0; f < view->step_count; f++)
    if (view->steps[f].factor != f || view->steps[f].start != 0 || view->steps[f].step != 1 || !tile_factors_equal(&layout->factors[f], &view->buffer_layout.factors[f])) return false;
  return true;
}

tile_view tile_view_copy(lowering *l, const tile_view *view, const hct_layout *layout, hct_dtype dtype) {
  tile_view copy = tile_view_fresh(l, layout, dtype);
  tile_loops loops = {.count = layout->factor_count};
  memcpy(loops.factors, layout->factors, sizeof loops.factors);
  tile_operand operands[2] = {{.buffer = copy.buffer, .view = &copy}, {.buffer = view->buffer, .view = view}};
  memcpy(operands[0].steps, copy.steps, sizeof copy.steps);
  memcpy(operands[1].steps, view->steps, sizeof view->steps);
  tile_attrs attrs = {0};
  tile_attr(&attrs, "fn", hct_attr_str(l->context, "mov"));
  tile_emit_loops(l, "map", &loops, 2, operands, &attrs);
  return copy;
}

tile_view tile_view_dense(lowering *l, const tile_view *view, const hct_layout *layout, hct_dtype dtype) {
  return tile_view_is_whole(view, layout) ? *view : tile_view_copy(l, view, layout, dtype);
}

bool tile_factors_equal(const hct_factor *a, const hct_factor *b) {
  return a->size == b->size && a->axis_count == b->axis_count && memcmp(a->axes, b->axes, a->axis_count) == 0;
}

static bool dims_equal(const hct_layout *a, unsigned dim_a, const hct_layout *b, unsigned dim_b) {
  int count = a->dim_first[dim_a + 1] - a->dim_first[dim_a];
  if (count != b->dim_first[dim_b + 1] - b->dim_first[dim_b]) return false;
  for (int k = 0; k < count; k++)
    if (!tile_factors_equal(&a->factors[a->dim_first[dim_a] + k], &b->factors[b->dim_first[dim_b] + k])) return false;
  return true;
}

tile_view tile_view_alias(lowering *l, const tile_view *whole, const hct_layout *layout) {
  hct_layout stored = tile_layout_stored(layout);
  hct_named attributes[] = {{"layout", layout_attr(l, &stored)}, {"section", hct_attr_i64(l->context, l->section)}};
  MlirValue buffer = hct_build_value(l->at, "hct_tile.alias", 1, &whole->buffer, l->sram, HCT_COUNT(attributes), attributes);
  return tile_view_whole(buffer, &stored);
}

tile_view tile_view_conform(lowering *l, const tile_view *view, const hct_layout *layout, const hct_layout *wanted, hct_dtype dtype) {
  bool same = layout->rank == wanted->rank;
  for (unsigned d = 0; same && d < layout->rank; d++) same = dims_equal(layout, d, wanted, d);
  if (same) return *view;
  tile_view dense = tile_view_dense(l, view, layout, dtype);
  return tile_view_alias(l, &dense, wanted);
}

/* Element `index` of the step's factor is taken, whatever the loops; index 0 of the buffer is what an unmapped factor gives anyway. */
static void fix_add(tile_view *view, const tile_step *at, int64_t index) {
  if (at->factor == HCT_ABSENT || at->start + index * at->step == 0) return;
  view->fixes[view->fix_count].factor = at->factor;
  view->fixes[view->fix_count++].index = at->start + index * at->step;
}

/* Matches the factors of both layouts in order, size-1 factors aside: then a reshape moves nothing. */
static bool reshape_matches(const tile_view *operand, const hct_layout *from, const hct_layout *to, tile_view *out_view) {
  tile_view view = *operand;
  view.step_count = to->factor_count;
  int f = 0;
  for (int g = 0; g < to->factor_count; g++) {
    if (to->factors[g].size == 1) {
      view.steps[g] = (tile_step){HCT_ABSENT, 0, 1};
      continue;
    }
    for (; f < from->factor_count && from->factors[f].size == 1; f++) fix_add(&view, &operand->steps[f], 0);
    if (f == from->factor_count || !tile_factors_equal(&from->factors[f], &to->factors[g])) return false;
    view.steps[g] = operand->steps[f++];
  }
  for (; f < from->factor_count && from->factors[f].size == 1; f++) fix_add(&view, &operand->steps[f], 0);
  if (f != from->factor_count) return false;
  *out_view = view;
  return true;
}

static tile_view view_reshape(lowering *l, const tile_view *operand, const hct_layout *from, const hct_layout *to, hct_dtype dtype) {
  tile_view view;
  if (reshape_matches(operand, from, to, &view)) return view;
  tile_view dense = tile_view_dense(l, operand, from, dtype);
  return tile_view_alias(l, &dense, to);
}

static tile_view view_transpose(const hct_dist_op *op, const tile_view *operand, const hct_layout *from) {
  int64_t perm[HCT_MAX_RANK];
  size_t rank = hct_op_i64s(op->op, "perm", perm, HCT_MAX_RANK);
  tile_view view = *operand;
  int next = 0;
  for (size_t d = 0; d < rank; d++)
    for (int f = from->dim_first[perm[d]]; f < from->dim_first[perm[d] + 1]; f++) view.steps[next++] = operand->steps[f];
  return view;
}

static tile_view view_broadcast(const tile_view *operand, const hct_layout *from, const hct_layout *to) {
  tile_view view = *operand;
  view.step_count = to->factor_count;
  unsigned lead = to->rank - from->rank;
  for (unsigned d = 0; d < to->rank; d++) {
    bool kept = d >= lead && dims_equal(from, d - lead, to, d);
    if (d >= lead && !kept) fix_add(&view, &operand->steps[from->dim_first[d - lead]], 0);
    for (int f = to->dim_first[d]; f < to->dim_first[d + 1]; f++)
      view.steps[f] = kept ? operand->steps[from->dim_first[d - lead] + f - to->dim_first[d]] : (tile_step){HCT_ABSENT, 0, 1};
  }
  return view;
}

static void steps_erase(tile_view *view, int at) {
  memmove(&view->steps[at], &view->steps[at + 1], sizeof(tile_step) * (size_t)(view->step_count - at - 1));
  view->step_count--;
}

/* Steps of dims before `dim` are as in `part` already (dims are narrowed in order), so `part->dim_first[dim]` is where this one's begin. */
bool tile_view_narrow(tile_view *view, const hct_layout *whole, unsigned dim, const hct_layout *part, int64_t start, int64_t step) {
  const hct_factor *w = &whole->factors[whole->dim_first[dim]], *p = &part->factors[part->dim_first[dim]];
  int wn = whole->dim_first[dim + 1] - whole->dim_first[dim], pn = part->dim_first[dim + 1] - part->dim_first[dim];
  int at = part->dim_first[dim];
  if (start == 0 && step == 1 && dims_equal(whole, dim, part, dim)) return true;
  int64_t inner = 1;
  if (pn == wn) { /* a range of the major factor; the others whole */
    for (int k = 1; k < wn; k++) {
      if (!tile_factors_equal(&w[k], &p[k])) return false;
      inner *= w[k].size;
    }
    if (start % inner != 0 || w[0].axis_count || p[0].axis_count || (step != 1 && inner != 1)) return false;
    tile_step *major = &view->steps[at];
    major->start += start / inner * major->step;
    major->step *= step;
    return true;
  }
  if (step != 1 || pn >= wn) return false;
  int lead = wn - pn; /* leading factors take one index each */
  for (int k = lead; k < wn; k++) {
    if (!tile_factors_equal(&w[k], &p[k - lead])) return false;
    inner *= w[k].size;
  }
  if (start % inner != 0) return false;
  int64_t index = start / inner;
  for (int k = lead - 1; k >= 0; k--) {
    if (w[k].axis_count) return false;
    fix_add(view, &view->steps[at + k], index % w[k].size);
    index /= w[k].size;
    steps_erase(view, at + k);
  }
  return index == 0;
}

hct_layout tile_layout_merged(const hct_layout *layout, unsigned dim) {
  hct_layout merged = {.rank = layout->rank, .partial = layout->partial, .partial_axes = layout->partial_axes};
  for (unsigned d = 0; d < layout->rank; d++) {
    merged.dim_first[d] = merged.factor_count;
    int f = layout->dim_first[d], end = layout->dim_first[d + 1];
    int64_t size = 1;
    if (d == dim) { /* as far as dies have all of it */
      for (; f < end && !layout->factors[f].axis_count; f++) size *= layout->factors[f].size;
      if (f > layout->dim_first[d] || f == end) merged.factors[merged.factor_count++] = (hct_factor){.size = size};
    }
    for (; f < end; f++) merged.factors[merged.factor_count++] = layout->factors[f];
  }
  merged.dim_first[layout->rank] = merged.factor_count;
  return merged;
}

static tile_view view_slice(lowering *l, const hct_dist_op *op, const tile_view *operand, const hct_layout *from, const hct_layout *to, hct_dtype dtype) {
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK];
  size_t rank = hct_op_i64s(op->op, "starts", starts, HCT_MAX_RANK);
  hct_op_i64s(op->op, "steps", steps, HCT_MAX_RANK);
  tile_view view = *operand;
  hct_layout whole = *from;
  for (unsigned d = 0; d < rank; d++) {
    if (tile_view_narrow(&view, &whole, d, to, starts[d], steps[d])) continue;
    /* not a box of factors: once more with the dim as one factor in a dense buffer, and the part regrouped afterwards */
    hct_layout merged = *from, part = *to;
    for (unsigned e = 0; e < rank; e++) {
      if (dims_equal(from, e, to, e) && starts[e] == 0 && steps[e] == 1) continue;
      merged = tile_layout_merged(&merged, e);
      part = tile_layout_merged(&part, e);
    }
    tile_view dense = tile_view_conform(l, operand, from, &merged, dtype);
    for (unsigned e = 0; e < rank; e++)
      HCT_BUG_ON(!tile_view_narrow(&dense, &merged, e, &part, starts[e], steps[e]), "slice of a split dimension reached tile lowering");
    return tile_view_conform(l, &dense, &part, to, dtype);
  }
  return view;
}

tile_view tile_view_apply(lowering *l, const hct_dist_op *op, const tile_view *operand) {
  const hct_dist_value *from = tile_info(l, op->operands[0]), *to = tile_info(l, op->results[0]);
  if (!strcmp(op->name, "hct_graph.reshape")) return view_reshape(l, operand, &from->layout, &to->layout, to->shape.dtype);
  if (!strcmp(op->name, "hct_graph.transpose")) return view_transpose(op, operand, &from->layout);
  if (!strcmp(op->name, "hct_graph.slice")) return view_slice(l, op, operand, &from->layout, &to->layout, to->shape.dtype);
  HCT_BUG_ON(strcmp(op->name, "hct_graph.broadcast") != 0, "%s is no view", op->name);
  return view_broadcast(operand, &from->layout, &to->layout);
}
