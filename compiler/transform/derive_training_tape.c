/* Reverse-mode differentiation over the straight-line body of the step function: which values carry gradients, the sweep from
 * the loss back to the parameters, and the sum of each value's gradient.
 *
 * A value carries a gradient when it is of a float type, depends on a wanted parameter, and the loss depends on it. Nothing is
 * built for any other value, so frozen parameters and integer paths cost nothing. A value's summands are added as soon as the
 * last of its uses was differentiated: the sum then stands beside the earliest use, in that use's layer and fusion group, but for what other
 * groups make several of, which they add themselves. Those of slices
 * that overlap (the keys of blocks of queries), or of what is computed again block by block (with blocks of keys), are added one by one, so that they need not all be kept. */
#include <string.h>

#include "compiler/transform/derive_training.h"

static hct_tape_entry *entry_of(const hct_tape *tape, MlirValue value) {
  size_t i;
  return hct_index_map_get(tape->index, hct_value_key(value), &i) ? &tape->entries.items[i] : NULL;
}

bool hct_tape_wants(const hct_tape *tape, MlirValue value) { return entry_of(tape, value) != NULL; }

void hct_tape_at(hct_tape *tape, MlirOperation op, const char *pass) {
  tape->builder.location = mlirOperationGetLocation(op);
  tape->layer = hct_op_str_or(op, "hct.layer", NULL);
  tape->group = hct_op_i64_or(op, "hct.group", -1);
  tape->pass = pass;
}

/* ---- summands ---- */

static bool shape_fits_in(const hct_shape *small, const hct_shape *large) {
  if (small->rank != large->rank) return false;
  for (size_t i = 0; i < small->rank; i++)
    if (small->dims[i] != large->dims[i] && small->dims[i] != 1) return false;
  return true;
}

static MlirValue add_to(hct_tape *tape, MlirValue sum, MlirValue summand) {
  return mlirValueIsNull(sum) ? summand : hct_tape_map2(tape, "add", sum, summand);
}

static void summand_add(hct_tape *tape, hct_tape_entry *entry, const hct_tape_summand *summand) {
  if (!entry->overlaps) {
    HCT_PUSH(tape->arena, &entry->summands, *summand);
    return;
  }
  MlirValue whole = summand->sliced ? hct_tape_pad(tape, summand->gradient, summand->starts, entry->shape.dims) : summand->gradient;
  hct_shape shape = hct_tape_shape(whole);
  if (!mlirValueIsNull(entry->total)) shape = entry->shape;
  entry->total = add_to(tape, entry->total, hct_tape_broadcast(tape, whole, &shape));
}

void hct_tape_add(hct_tape *tape, MlirValue value, MlirValue gradient) {
  hct_tape_entry *entry = entry_of(tape, value);
  if (!entry) return;
  gradient = hct_tape_convert(tape, gradient, entry->shape.dtype);
  hct_shape shape = hct_tape_shape(gradient);
  if (!shape_fits_in(&shape, &entry->shape)) gradient = hct_tape_to_shape(tape, gradient, &entry->shape);
  summand_add(tape, entry, &(hct_tape_summand){.gradient = gradient, .group = tape->group});
}

void hct_tape_add_slice(hct_tape *tape, MlirValue value, MlirValue gradient, const int64_t *starts) {
  hct_tape_entry *entry = entry_of(tape, value);
  if (!entry) return;
  hct_tape_summand summand = {.gradient = hct_tape_convert(tape, gradient, entry->shape.dtype), .sliced = true};
  memcpy(summand.starts, starts, entry->shape.rank * sizeof(*starts));
  summand_add(tape, entry, &summand);
}

/* The one dim along which all sliced summands differ from the whole, or -1 when there are none or several such dims. */
static int64_t sliced_dim(const hct_tape_entry *entry) {
  int64_t dim = -1;
  for (size_t k = 0; k < entry->summands.count; k++) {
    const hct_tape_summand *s = &entry->summands.items[k];
    if (!s->sliced) continue;
    hct_shape shape = hct_tape_shape(s->gradient);
    for (size_t d = 0; d < shape.rank; d++) {
      if (shape.dims[d] == entry->shape.dims[d]) continue;
      if (dim >= 0 && dim != (int64_t)d) return -1;
      dim = (int64_t)d;
    }
  }
  return dim;
}

/* Along `dim`; of any number of parts, that are overwritten. */
static MlirValue concat(hct_tape *tape, size_t count, MlirValue *parts, int64_t dim) {
  hct_named axis = {"axis", hct_attr_i64(tape->builder.context, dim)};
  while (count > 1) {
    size_t made = 0;
    for (size_t at = 0; at < count; at += HCT_MAX_VARIADIC) {
      size_t joined = count - at < HCT_MAX_VARIADIC ? count - at : HCT_MAX_VARIADIC;
      hct_shape shape = hct_tape_shape(parts[at]);
      for (size_t k = 1; k < joined; k++) shape.dims[dim] += hct_tape_shape(parts[at + k]).dims[dim];
      parts[made++] = joined == 1 ? parts[at] : hct_tape_emit(tape, "hct_graph.concat", joined, parts + at, &shape, 1, &axis);
    }
    count = made;
  }
  return parts[0];
}

/* Gradients of slices that tile the value along one dim, in any order (the q, k, v of one fused linear layer, the halves of a
 * rotary embedding), are one concatenation; slices of the same range are added first. Null when they do not tile. */
static MlirValue concat_slices(hct_tape *tape, const hct_tape_entry *entry) {
  MlirValue none = {NULL};
  int64_t dim = sliced_dim(entry), next = 0;
  if (dim < 0) return none;
  struct { MlirValue *items; size_t count, capacity; } parts = {0};
  while (next < entry->shape.dims[dim]) {
    MlirValue part = none;
    for (size_t k = 0; k < entry->summands.count; k++) {
      const hct_tape_summand *s = &entry->summands.items[k];
      if (!s->sliced || s->starts[dim] != next) continue;
      if (!mlirValueIsNull(part) && hct_tape_shape(part).dims[dim] != hct_tape_shape(s->gradient).dims[dim]) return none;
      part = mlirValueIsNull(part) ? s->gradient : hct_tape_map2(tape, "add", part, s->gradient);
    }
    if (mlirValueIsNull(part)) return none;
    next += hct_tape_shape(part).dims[dim];
    HCT_PUSH(tape->arena, &parts, part);
  }
  for (size_t k = 0; k < entry->summands.count; k++) { /* one that starts inside a part was not seen */
    const hct_tape_summand *s = &entry->summands.items[k];
    int64_t start = 0;
    bool found = !s->sliced;
    for (size_t p = 0; p < parts.count && !found; p++) found = s->starts[dim] == start, start += hct_tape_shape(parts.items[p]).dims[dim];
    if (!found) return none;
  }
  return concat(tape, parts.count, parts.items, dim);
}

/* Summand k and those after it of its fusion group, none of them slices, added where they are made: a weight that two groups read has one sum in each, which
 * accumulates there while all micro-batches go through. Null: an earlier one has them. */
static MlirValue group_sum(hct_tape *tape, const hct_tape_entry *entry, size_t k) {
  const hct_tape_summand *items = entry->summands.items;
  MlirValue sum = items[k].gradient;
  int64_t group = tape->group;
  for (size_t i = 0; i < k; i++)
    if (!items[i].sliced && items[i].group == items[k].group) return (MlirValue){NULL};
  tape->group = items[k].group;
  for (size_t i = k + 1; i < entry->summands.count; i++)
    if (!items[i].sliced && items[i].group == items[k].group) sum = add_to(tape, sum, items[i].gradient);
  tape->group = group;
  return sum;
}

static void entry_finish(hct_tape *tape, hct_tape_entry *entry) {
  MlirValue sum = entry->total, tiled = concat_slices(tape, entry);
  for (size_t k = 0; k < entry->summands.count; k++) {
    const hct_tape_summand *s = &entry->summands.items[k];
    MlirValue part = s->sliced ? (MlirValue){NULL} : group_sum(tape, entry, k);
    if (!mlirValueIsNull(part)) sum = add_to(tape, sum, part);
    else if (!s->sliced) continue;
    else if (mlirValueIsNull(tiled)) sum = add_to(tape, sum, hct_tape_pad(tape, s->gradient, s->starts, entry->shape.dims));
  }
  if (!mlirValueIsNull(tiled)) sum = add_to(tape, sum, tiled);
  if (!mlirValueIsNull(sum)) sum = hct_tape_broadcast(tape, sum, &entry->shape);
  entry->total = sum;
}

/* ---- activity ---- */

/* Whether two ranges that slices take of `value` along one dim meet, without being the same. */
static bool slices_overlap(MlirValue value, const hct_shape *shape) {
  for (MlirOpOperand a = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(a); a = mlirOpOperandGetNextUse(a))
    for (MlirOpOperand b = mlirOpOperandGetNextUse(a); !mlirOpOperandIsNull(b); b = mlirOpOperandGetNextUse(b)) {
      MlirOperation ops[2] = {mlirOpOperandGetOwner(a), mlirOpOperandGetOwner(b)};
      if (!hct_op_is(ops[0], "hct_graph.slice") || !hct_op_is(ops[1], "hct_graph.slice")) continue;
      int64_t starts[2][HCT_MAX_RANK];
      hct_shape parts[2];
      bool meet = true, same = true;
      for (size_t k = 0; k < 2; k++) hct_op_i64s(ops[k], "starts", starts[k], HCT_MAX_RANK), parts[k] = hct_tape_shape(hct_op_result(ops[k], 0));
      for (size_t d = 0; d < shape->rank; d++) {
        meet = meet && starts[0][d] < starts[1][d] + parts[1].dims[d] && starts[1][d] < starts[0][d] + parts[0].dims[d];
        same = same && starts[0][d] == starts[1][d] && parts[0].dims[d] == parts[1].dims[d];
      }
      if (meet && !same) return true;
    }
  return false;
}

/* Whether some of several readers are computed again for backward, block by block. */
static bool feeds_blocks(MlirValue value) {
  size_t again = 0;
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) again += hct_op_has(mlirOpOperandGetOwner(use), "hct.recomputed");
  return again > 1;
}

static void entry_create(hct_tape *tape, MlirValue value) {
  hct_tape_entry entry = {.value = value, .shape = hct_tape_shape(value)};
  entry.overlaps = slices_overlap(value, &entry.shape) || feeds_blocks(value);
  if (!hct_dtype_is_float(entry.shape.dtype) || hct_tape_wants(tape, value)) return;
  hct_index_map_put(tape->index, hct_value_key(value), tape->entries.count);
  HCT_PUSH(tape->arena, &tape->entries, entry);
}

/* Marks what `loss` depends on: by value key in `needed`. */
static void mark_needed(hct_index_map *needed, MlirValue loss, const MlirOperation *ops, size_t count) {
  hct_index_map_put(needed, hct_value_key(loss), 0);
  for (size_t i = count; i-- > 0;) {
    size_t unused;
    bool live = false;
    for (intptr_t r = 0; r < mlirOperationGetNumResults(ops[i]); r++)
      live = live || hct_index_map_get(needed, hct_value_key(mlirOperationGetResult(ops[i], r)), &unused);
    for (intptr_t o = 0; live && o < mlirOperationGetNumOperands(ops[i]); o++)
      hct_index_map_put(needed, hct_value_key(mlirOperationGetOperand(ops[i], o)), 0);
  }
}

static void find_active(hct_tape *tape, MlirValue loss, const MlirOperation *ops, size_t count, size_t parameter_count,
                        const MlirValue *parameters) {
  hct_index_map *needed = hct_index_map_create(tape->arena);
  size_t unused;
  mark_needed(needed, loss, ops, count);
  for (size_t i = 0; i < parameter_count; i++)
    if (hct_index_map_get(needed, hct_value_key(parameters[i]), &unused)) entry_create(tape, parameters[i]);
  for (size_t i = 0; i < count; i++) {
    bool varied = false;
    for (intptr_t o = hct_op_is(ops[i], "hct_graph.detach"); o < mlirOperationGetNumOperands(ops[i]); o++)
      varied = varied || hct_tape_wants(tape, mlirOperationGetOperand(ops[i], o));
    if (!varied || hct_gradient_is_zero(ops[i]) || hct_training_is_shift(ops[i])) continue;
    for (intptr_t r = 0; r < mlirOperationGetNumResults(ops[i]); r++) {
      MlirValue result = mlirOperationGetResult(ops[i], r);
      if (hct_index_map_get(needed, hct_value_key(result), &unused)) entry_create(tape, result);
    }
  }
}

static bool op_is_active(const hct_tape *tape, MlirOperation op) {
  return mlirOperationGetNumResults(op) == 1 && hct_tape_wants(tape, mlirOperationGetResult(op, 0));
}

static hct_status check_rules(const hct_tape *tape, const MlirOperation *ops, size_t count) {
  hct_status status = HCT_OK;
  for (size_t i = 0; i < count; i++) {
    if (!op_is_active(tape, ops[i]) || hct_gradient_rule_find(ops[i])) continue;
    const char *fn = hct_op_str_or(ops[i], "fn", NULL);
    status = hct_error(tape->diags, HCT_E_GRADIENT, hct_loc_of(tape->arena, ops[i]), "no gradient is known for %s%s%s",
                       hct_op_name(ops[i]), fn ? " " : "", fn ? fn : "");
    hct_note(tape->diags, "the loss depends on a trained parameter through this operator");
    hct_hint(tape->diags, "--frozen=GLOB leaves the parameters before it untrained");
  }
  return status;
}

static void count_uses(hct_tape *tape, const MlirOperation *ops, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!op_is_active(tape, ops[i])) continue;
    for (intptr_t o = 0; o < mlirOperationGetNumOperands(ops[i]); o++) {
      hct_tape_entry *entry = entry_of(tape, mlirOperationGetOperand(ops[i], o));
      if (entry) entry->pending++;
    }
  }
}

hct_status hct_tape_differentiate(hct_tape *tape, MlirValue loss, size_t count, const MlirValue *parameters, MlirValue *out_gradients) {
  MlirOperation *ops;
  size_t op_count = hct_block_operations(tape->arena, tape->body, &ops);
  find_active(tape, loss, ops, op_count, count, parameters);
  HCT_TRY(check_rules(tape, ops, op_count));
  count_uses(tape, ops, op_count);
  hct_tape_entry *seed = entry_of(tape, loss);
  if (seed) {
    if (mlirValueIsAOpResult(loss)) hct_tape_at(tape, mlirOpResultGetOwner(loss), "backward");
    hct_tape_add(tape, loss, hct_tape_to_shape(tape, mlirValueIsNull(tape->seed) ? hct_tape_scalar(tape, 1) : tape->seed, &seed->shape));
    if (seed->pending == 0) entry_finish(tape, entry_of(tape, loss));
  }
  for (size_t i = op_count; i-- > 0;) {
    if (!op_is_active(tape, ops[i])) continue;
    hct_tape_at(tape, ops[i], "backward");
    MlirValue dy = entry_of(tape, mlirOperationGetResult(ops[i], 0))->total;
    if (!mlirValueIsNull(dy)) hct_gradient_rule_find(ops[i])(tape, ops[i], dy);
    for (intptr_t o = 0; o < mlirOperationGetNumOperands(ops[i]); o++) {
      hct_tape_entry *entry = entry_of(tape, mlirOperationGetOperand(ops[i], o));
      if (entry && --entry->pending == 0) entry_finish(tape, entry);
    }
  }
  for (size_t i = 0; i < count; i++) {
    hct_tape_entry *entry = entry_of(tape, parameters[i]);
    out_gradients[i] = entry ? entry->total : (MlirValue){NULL};
  }
  return HCT_OK;
}
