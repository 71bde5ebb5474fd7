/* The optimizer step. A tile of more than --update-chunk elements is updated piece by piece, so that of a parameter, its states and its low
 * copy a piece at a time lies in SRAM, and only the gradient as a whole (method.md, "Schedule"):
 *
 *   scf.for %i = %c0 to %c31 step %c1 {
 *     %p = "hct_tile.alloc"() {layout = "[32000@r,256@c]", range = array<i64: 0, 65536>}   (and its states)
 *     "hct_tile.load"(%p, %P, %i)
 *     "hct_tile.update"(%p, %g, %m, %v, %settings, %step, %i)
 *     "hct_tile.store"(%P, %p, %i)
 *   }
 *
 * and then, by pieces without an index, what dies have beyond the pieces that all of them fill. A parameter that is in SRAM anyway, for the
 * backward pass, is updated there and stored as a whole. */
#include <string.h>

#include "compiler/convert/dist_to_tile.h"

enum { MAX_OPERANDS = 6 /* p, g, two states, settings, step */, PARAMETER = 0, GRADIENT = 1 };

typedef struct update {
  const hct_dist_op *op;
  const hct_layout *layout;        /* of the parameter */
  int64_t elements;                /* of a piece */
  MlirValue buffers[MAX_OPERANDS]; /* of those that are whole */
  MlirValue tensors[MAX_OPERANDS]; /* of those in pieces; else null */
  const hct_dist_op *copy;         /* makes the low copy of a parameter in pieces; NULL: none */
} update;

static size_t state_end(const hct_dist_op *op) { return op->operand_count - 2; }
static size_t result_of(const hct_dist_op *op, size_t operand) { return op->results[operand == PARAMETER ? 0 : operand - 1]; }

/* ---- may it go by pieces? ---- */
/* Whether `value` can go over its argument now, piece by piece: nothing reads the old contents later. */
static bool can_replace(const lowering *l, const update *u, size_t value, size_t argument) {
  const hct_dist_value *old = tile_info(l, argument), *new = tile_info(l, value);
  hct_layout as = tile_layout_stored(u->layout), before = tile_layout_stored(&old->layout), after = tile_layout_stored(&new->layout);
  return old->op == SIZE_MAX && old->last_stage <= l->stage && hct_layout_equal(&as, &before) && hct_layout_equal(&as, &after);
}

/* Of a parameter in pieces nothing is left to read but the low copy, which is made piece by piece too. */
static bool find_copy(const lowering *l, update *u) {
  size_t parameter = u->op->results[0];
  if (tile_info(l, parameter)->uses == 1) return true;
  const hct_groups *readers = &l->program->readers;
  for (size_t r = readers->first[parameter]; r < readers->first[parameter + 1] && !u->copy; r++) {
    const hct_dist_op *op = &l->program->ops[readers->items[r]];
    if (op->operand_count == 1) u->copy = op;
  }
  if (!u->copy || tile_info(l, parameter)->uses != 2 || u->copy->stage != l->stage || strcmp(u->copy->name, "hct_graph.map1") || strcmp(hct_op_str(u->copy->op, "fn"), "mov")) return false;
  size_t low = u->copy->results[0], argument = tile_info(l, low)->replaces;
  return argument != SIZE_MAX && tile_info(l, low)->uses == 1 && can_replace(l, u, low, argument);
}

static int64_t tile_elements(const lowering *l, const hct_layout *layout, int64_t row, int64_t col) {
  hct_place place = {.rows = l->pass->package.rows, .cols = l->pass->package.cols, .row = row, .col = col};
  return hct_layout_tile_elements(layout, &place);
}

static bool plan_pieces(lowering *l, update *u) {
  u->elements = hct_pass_update_chunk(l->pass);
  bool one_of_many = u->op->waits || !tile_is_here(l, u->op->operands[GRADIENT]); /* whose tiles would all be in SRAM until the stage ends */
  if (u->op->when != HCT_AFTER_LOOP || (tile_elements(l, u->layout, 0, 0) <= u->elements && !one_of_many)) return false;
  size_t pieces = 0;
  for (size_t k = 0; k < state_end(u->op); k++) {
    size_t operand = u->op->operands[k], result = result_of(u->op, k);
    if (k == GRADIENT || (k == PARAMETER && tile_is_here(l, operand))) continue;
    if (tile_info(l, result)->replaces != operand || !can_replace(l, u, result, operand)) return false;
    if (k == PARAMETER ? !find_copy(l, u) : tile_info(l, result)->uses != 1) return false;
    u->tensors[k] = tile_tensor(l, operand);
    pieces++;
  }
  return pieces > 0;
}

/* ---- by pieces ---- */
static MlirValue piece_of(lowering *l, const update *u, size_t value, int64_t first) { return tile_alloc_piece(l, u->layout, tile_info(l, value)->shape.dtype, first, u->elements); }

static void emit_update(lowering *l, const update *u, const MlirValue *buffers, MlirValue index) {
  MlirValue operands[MAX_OPERANDS + 1];
  size_t count = u->op->operand_count;
  memcpy(operands, buffers, count * sizeof *operands);
  if (!mlirValueIsNull(index)) operands[count++] = index;
  tile_attrs attrs = {0};
  tile_attr(&attrs, "kind", hct_attr_str(l->context, hct_op_str(u->op->op, "kind")));
  tile_emit(l, "update", count, operands, &attrs);
}

/* index null: none. */
static void emit_piece(lowering *l, const update *u, int64_t first, MlirValue index) {
  MlirValue buffers[MAX_OPERANDS];
  for (size_t k = 0; k < u->op->operand_count; k++) {
    buffers[k] = u->buffers[k];
    if (mlirValueIsNull(u->tensors[k])) continue;
    buffers[k] = piece_of(l, u, u->op->operands[k], first);
    tile_move(l, "load", buffers[k], u->tensors[k], index);
  }
  emit_update(l, u, buffers, index);
  for (size_t k = 0; k < u->op->operand_count; k++)
    if (!mlirValueIsNull(u->tensors[k])) tile_move(l, "store", u->tensors[k], buffers[k], index);
  if (!u->copy) return;
  size_t low = u->copy->results[0];
  MlirValue cast[2] = {piece_of(l, u, low, first), buffers[PARAMETER]};
  tile_emit(l, "cast", 2, cast, NULL);
  tile_move(l, "store", tile_tensor(l, tile_info(l, low)->replaces), cast[0], index);
}

/* In a loop those that every die fills (the first die has most, the last one least), then the rest. */
static void emit_pieces(lowering *l, const update *u) {
  int64_t rows = l->pass->package.rows, cols = l->pass->package.cols, whole = tile_elements(l, u->layout, rows - 1, cols - 1) / u->elements, most = tile_elements(l, u->layout, 0, 0);
  if (whole > 1) {
    hct_builder body, *outer = l->at;
    MlirValue counter = tile_loop_open(l, 0, whole, &body);
    l->at = &body;
    emit_piece(l, u, 0, counter);
    l->at = outer;
    tile_loop_close(l, &body);
  }
  for (int64_t first = whole > 1 ? whole * u->elements : 0; first < most; first += u->elements) emit_piece(l, u, first, (MlirValue){NULL});
}

/* (p, g, states..., settings, step) -> (p', states'...), in place. */
void tile_lower_update(lowering *l, const hct_dist_op *op) {
  HCT_BUG_ON(op->operand_count > MAX_OPERANDS, "update with %zu operands", op->operand_count);
  tile_view views[MAX_OPERANDS];
  update u = {.op = op, .layout = &tile_info(l, op->operands[PARAMETER])->layout};
  bool pieces = plan_pieces(l, &u);
  const hct_layout stored = tile_layout_stored(u.layout);
  for (size_t k = 0; k < op->operand_count; k++) {
    if (pieces && !mlirValueIsNull(u.tensors[k])) continue;
    const hct_dist_value *info = tile_info(l, op->operands[k]);
    bool tile = k < state_end(op);
    views[k] = tile_value(l, op->operands[k]);
    if (tile) views[k] = tile_view_conform(l, &views[k], &info->layout, u.layout, info->shape.dtype);
    views[k] = tile_view_dense(l, &views[k], tile ? u.layout : &info->layout, info->shape.dtype);
    if (pieces && tile && !hct_layout_equal(&views[k].buffer_layout, &stored)) views[k] = tile_view_alias(l, &views[k], u.layout); /* the same bytes as a tensor of other dimensions */
    u.buffers[k] = views[k].buffer;
  }
  if (pieces) emit_pieces(l, &u);
  else emit_update(l, &u, u.buffers, (MlirValue){NULL});
  for (size_t k = 0; k < state_end(op); k++) {
    size_t result = result_of(op, k), argument = tile_info(l, result)->replaces;
    if (k == GRADIENT) continue;
    if (pieces && !mlirValueIsNull(u.tensors[k])) {
      l->stored[result] = true;
      continue;
    }
    tile_value_set(l, result, &views[k]);
    if (!op->waits || argument == SIZE_MAX || tile_info(l, argument)->last_stage > l->stage) continue;
    tile_value_store(l, result, tile_tensor(l, argument), false); /* one step after the other */
    l->stored[result] = true;
  }
  if (pieces && u.copy) l->stored[u.copy->results[0]] = true;
}
