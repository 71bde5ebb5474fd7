/* One structured operation on one die: its loops with extents and strides as numbers; loops that walk memory as one become one; the
 * largest stay inside the instruction, the others become sequencer loops around it. */
#include <string.h>

#include "backends/chiplet/chiplet.h"

typedef struct nest_loop {
  int64_t extent;
  int64_t stride[8]; /* elements, by operand */
  int group;         /* loops are put in the order of their groups, and join others of their group only */
} nest_loop;
typedef struct nest {
  int count;
  nest_loop loops[HCT_MAX_FACTORS];
  size_t operand_count;
  hct_addr base[8]; /* by operand */
  hct_dtype dtype[8];
  bool empty;
} nest;

static int64_t extent_at(const chiplet_stream *s, const hct_factor *factor, int64_t section, int64_t row, int64_t col) {
  hct_place place = chiplet_place(s->program, section, row, col);
  return hct_factor_range(factor, &place).length;
}

/* Parts shrink from the first to the last: where the corners of the mesh have the same, all dies have. */
int64_t chiplet_extent(const chiplet_stream *s, const hct_factor *factor, int64_t section) {
  int64_t bottom = s->program->rows - 1, right = s->program->cols - 1;
  if (s->depends && factor->axis_count) {
    int64_t corners[4] = {extent_at(s, factor, section, 0, 0), extent_at(s, factor, section, 0, right), extent_at(s, factor, section, bottom, 0), extent_at(s, factor, section, bottom, right)};
    s->depends->row |= corners[0] != corners[2] || corners[1] != corners[3];
    s->depends->col |= corners[0] != corners[1] || corners[2] != corners[3];
  }
  return extent_at(s, factor, section, s->row, s->col);
}

int64_t chiplet_stride(const chiplet_stream *s, const chiplet_buffer *buffer, int factor) {
  int64_t stride = 1;
  for (int f = factor + 1; f < buffer->layout->factor_count; f++) stride *= chiplet_extent(s, &buffer->layout->factors[f], buffer->section);
  return stride;
}

int64_t chiplet_elements(const chiplet_stream *s, const chiplet_buffer *buffer) {
  int64_t elements = 1;
  for (int f = 0; f < buffer->layout->factor_count; f++) elements *= chiplet_extent(s, &buffer->layout->factors[f], buffer->section);
  return chiplet_piece_elements(buffer, elements);
}

hct_instr chiplet_instr(const chiplet_stream *s, const chiplet_op *op, uint8_t opcode) {
  hct_instr instr = hct_instr_make(s->arena, opcode);
  instr.source = op->source;
  return instr;
}

hct_instr chiplet_loop(const chiplet_stream *s, unsigned level, int64_t trips, uint32_t source) {
  hct_instr loop = hct_instr_make(s->arena, HCT_OP_LOOP);
  loop.level = (uint8_t)level, loop.source = source;
  loop.values[0].base = trips;
  return loop;
}

/* ---- making ---- */
static nest nest_make(const chiplet_stream *s, const chiplet_op *op) {
  nest n = {.operand_count = op->operand_count};
  for (size_t k = 0; k < op->operand_count; k++) {
    const chiplet_operand *operand = &op->operands[k];
    const chiplet_buffer *buffer = &s->program->buffers.items[operand->buffer];
    int64_t at = 0;
    for (int f = 0; f < operand->fix_count; f++) at += operand->fixes[f].index * chiplet_stride(s, buffer, operand->fixes[f].factor);
    for (int i = 0; i < op->loop_count; i++)
      if (operand->walks[i].factor >= 0) at += operand->walks[i].start * chiplet_stride(s, buffer, operand->walks[i].factor);
    n.dtype[k] = buffer->dtype;
    n.base[k] = chiplet_addr(s, buffer, at * (int64_t)hct_dtype_bytes(buffer->dtype));
  }
  for (int i = 0; i < op->loop_count; i++) {
    nest_loop loop = {.extent = chiplet_extent(s, &op->loops[i], op->section)};
    if (loop.extent == 0) n.empty = true;
    for (size_t k = 0; k < op->operand_count; k++) {
      const chiplet_walk *walk = &op->operands[k].walks[i];
      loop.stride[k] = walk->factor < 0 ? 0 : walk->step * chiplet_stride(s, &s->program->buffers.items[op->operands[k].buffer], walk->factor);
    }
    n.loops[n.count++] = loop;
  }
  return n;
}

static void loop_erase(nest *n, int at) {
  memmove(&n->loops[at], &n->loops[at + 1], sizeof(nest_loop) * (size_t)(n->count - at - 1));
  n->count--;
}

/* Stable order by group, loops of one iteration dropped, neighbours of a group joined where every operand walks them as one. */
static void nest_simplify(nest *n) {
  for (int i = 1; i < n->count; i++)
    for (int j = i; j > 0 && n->loops[j].group < n->loops[j - 1].group; j--) {
      nest_loop swap = n->loops[j];
      n->loops[j] = n->loops[j - 1];
      n->loops[j - 1] = swap;
    }
  for (int i = n->count; i-- > 0;)
    if (n->loops[i].extent == 1) loop_erase(n, i);
  for (int i = n->count - 1; i > 0; i--) {
    nest_loop *outer = &n->loops[i - 1], *inner = &n->loops[i];
    bool joined = outer->group == inner->group;
    for (size_t k = 0; joined && k < n->operand_count; k++) joined = outer->stride[k] == inner->stride[k] * inner->extent;
    if (!joined) continue;
    for (size_t k = 0; k < n->operand_count; k++) outer->stride[k] = inner->stride[k];
    outer->extent *= inner->extent;
    loop_erase(n, i);
  }
}

/* ---- emitting ---- */
static size_t nest_accesses(const chiplet_stream *s, const chiplet_op *op, chiplet_access *out_accesses, unsigned written) {
  for (size_t k = 0; k < op->operand_count; k++) {
    const chiplet_buffer *buffer = &s->program->buffers.items[op->operands[k].buffer];
    out_accesses[k] = chiplet_access_of(s, buffer, (written >> k & 1) != 0);
  }
  return op->operand_count;
}

/* The instruction inside sequencer loops over `outer`, as one item. */
static void item_emit(chiplet_stream *s, chiplet_item *item, hct_instr instr, const nest *n, const int *outer, int outer_count, const int *operand_of_view, int views) {
  HCT_BUG_ON(s->depth + (unsigned)outer_count > HCT_MAX_LOOPS, "an operation needs %d loops inside %u", outer_count, s->depth);
  const hct_opcode_info *info = hct_opcode_lookup(instr.opcode);
  for (int v = 0; v < views; v++)
    for (int i = 0; i < outer_count; i++) {
      int k = operand_of_view[v];
      int64_t stride = n->loops[outer[i]].stride[k] * hct_view_unit(info, v, n->dtype[k]);
      if (!stride) continue;
      hct_addr_add(s->arena, &instr.views[v].addr, (hct_term){.kind = HCT_TERM_LOOP, .level = (uint8_t)(s->depth + (unsigned)i), .sign = 1, .stride = stride});
    }
  for (int i = 0; i < outer_count; i++)
    chiplet_item_push(s, item, chiplet_loop(s, s->depth + (unsigned)i, n->loops[outer[i]].extent, instr.source));
  chiplet_item_push(s, item, instr);
  for (int i = outer_count; i-- > 0;) chiplet_item_push(s, item, (hct_instr){.opcode = HCT_OP_END, .engine = HCT_ENGINE_SEQ, .level = (uint8_t)(s->depth + (unsigned)i), .source = instr.source});
}

static void view_set(hct_instr *instr, int view, const nest *n, int operand, const int *inner, int dims) {
  hct_view *v = &instr->views[view];
  v->dtype = n->dtype[operand];
  v->addr = n->base[operand];
  for (int d = 0; d < dims; d++) v->stride[d] = inner[d] < 0 ? 0 : n->loops[inner[d]].stride[operand];
}

static void shape_set(hct_instr *instr, const nest *n, const int *inner, int dims) {
  for (int d = 0; d < dims; d++) instr->shape[d] = inner[d] < 0 ? 1 : n->loops[inner[d]].extent;
}

/* The last four loops inside, the others around. */
static void emit_four(chiplet_stream *s, const chiplet_op *op, hct_instr instr, const nest *n) {
  int inner[4], outer[HCT_MAX_FACTORS], outer_count = n->count > 4 ? n->count - 4 : 0, operands[8];
  for (int d = 0; d < 4; d++) inner[d] = n->count - 4 + d >= 0 ? n->count - 4 + d : -1;
  for (int i = 0; i < outer_count; i++) outer[i] = i;
  shape_set(&instr, n, inner, 4);
  for (size_t k = 0; k < n->operand_count; k++) {
    view_set(&instr, (int)k, n, (int)k, inner, 4);
    operands[k] = (int)k;
  }
  chiplet_access accesses[8];
  size_t count = nest_accesses(s, op, accesses, 1);
  item_emit(s, chiplet_item_add(s, HCT_ENGINE_VPU, count, accesses), instr, n, outer, outer_count, operands, (int)n->operand_count);
}

static hct_addr value_of(double scalar) {
  hct_addr value = {0};
  memcpy(&value.base, &scalar, sizeof scalar);
  return value;
}

static void emit_map(chiplet_stream *s, const chiplet_op *op) {
  static const uint8_t opcodes[] = {0, 0, HCT_OP_MAP1, HCT_OP_MAP2, HCT_OP_MAP3};
  nest n = nest_make(s, op);
  if (n.empty) return;
  nest_simplify(&n);
  hct_instr instr = chiplet_instr(s, op, opcodes[op->operand_count]);
  const hct_opcode_info *info = hct_opcode_lookup(instr.opcode);
  const hct_function_info *fn = hct_function_by_name(info->function_table, op->fn);
  HCT_BUG_ON(!fn, "no function '%s' of %s", op->fn, info->mnemonic);
  instr.fn = fn->code;
  if (info->value_count) instr.values[0] = value_of(op->scalar);
  emit_four(s, op, instr, &n);
}

/* Adds the number of the first unit that the die has of a factor, in this micro-batch, times `stride`: terms where parts are even, so that streams are shared. */
static void first_unit_add(const chiplet_stream *s, const chiplet_op *op, const hct_factor *factor, int64_t stride, hct_addr *addr) {
  hct_place place = chiplet_place(s->program, op->section, s->row, s->col);
  int64_t length = factor->size;
  for (int a = 0; a < factor->axis_count; a++) {
    if (factor->axes[a] == HCT_AXIS_TIME) {
      if (place.micro_batch_size == 0) continue;
      chiplet_index_add(s, op, addr, s->program->micro_batch * stride);
      length = place.micro_batch_size;
      continue;
    }
    bool row = factor->axes[a] == HCT_AXIS_ROW;
    hct_ring ring = row ? HCT_RING_ROW : HCT_RING_COL;
    int64_t parts = row ? s->program->rows : s->program->cols;
    hct_range part = hct_split_balanced(length, parts, row ? s->row : s->col);
    if (length % parts) addr->base += part.start * stride, chiplet_depend(s, ring);
    else if (parts > 1) hct_addr_add(s->arena, addr, (hct_term){.kind = HCT_TERM_INDEX, .level = HCT_NO_LEVEL, .ring = (uint8_t)ring, .sign = 1, .stride = part.length * stride});
    length = part.length;
  }
}

static void emit_dropout(chiplet_stream *s, const chiplet_op *op) {
  nest n = nest_make(s, op);
  size_t index = n.operand_count++;
  if (n.empty) return;
  n.dtype[index] = HCT_I64;
  n.base[index] = (hct_addr){.base = op->numbers[op->loop_count]};
  for (int i = 0; i < op->loop_count; i++) {
    n.loops[i].stride[index] = op->numbers[i];
    first_unit_add(s, op, &op->loops[i], op->numbers[i], &n.base[index]);
  }
  nest_simplify(&n);
  hct_instr instr = chiplet_instr(s, op, HCT_OP_DROP);
  instr.values[0] = value_of(op->scalar);
  instr.values[1].base = s->program->streams.items[op->stream];
  if (op->layer_stride) hct_addr_add(s->arena, &instr.values[1], (hct_term){.kind = HCT_TERM_LOOP, .level = (uint8_t)s->layer_level, .sign = 1, .stride = op->layer_stride});
  emit_four(s, op, instr, &n);
}

static void emit_fill_nest(chiplet_stream *s, const chiplet_op *op, const nest *n, double scalar) {
  chiplet_op fill = *op;
  hct_instr instr = chiplet_instr(s, op, HCT_OP_FILL);
  fill.operand_count = 1;
  instr.values[0] = value_of(scalar);
  emit_four(s, &fill, instr, n);
}

static void emit_fill(chiplet_stream *s, const chiplet_op *op) {
  const chiplet_buffer *buffer = &s->program->buffers.items[op->operands[0].buffer];
  nest n = {.count = 1, .operand_count = 1, .loops = {{.extent = chiplet_elements(s, buffer), .stride = {1}}}, .base = {chiplet_addr(s, buffer, 0)}, .dtype = {buffer->dtype}};
  if (n.loops[0].extent) emit_fill_nest(s, op, &n, op->scalar);
}

static void fill_result(chiplet_stream *s, const chiplet_op *op, nest n, double scalar) {
  for (int i = n.count; i-- > 0;)
    if (n.loops[i].group) loop_erase(&n, i);
  n.operand_count = 1;
  nest_simplify(&n);
  emit_fill_nest(s, op, &n, scalar);
}

static double neutral_of(const chiplet_op *op) { return !strcmp(op->fn, "sum") ? 0 : !strcmp(op->fn, "max") ? -3.4028234663852886e38 : 3.4028234663852886e38; }

/* Reduced loops go inside: an element of the result is then finished by one instruction, while there are at most four. */
static void emit_reduce(chiplet_stream *s, const chiplet_op *op) {
  nest n = nest_make(s, op);
  bool result_empty = false;
  int reduced = 0;
  for (int i = 0; i < n.count; i++) {
    n.loops[i].group = op->operands[0].walks[i].factor < 0;
    result_empty |= n.loops[i].extent == 0 && !n.loops[i].group;
  }
  if (result_empty || (n.empty && op->accumulate)) return;
  nest result = n;
  if (n.empty) { /* a sum of nothing */
    fill_result(s, op, result, neutral_of(op));
    return;
  }
  nest_simplify(&n);
  for (int i = 0; i < n.count; i++) reduced += n.loops[i].group;
  bool in_parts = reduced > 4 && !op->accumulate;
  if (in_parts) fill_result(s, op, result, neutral_of(op));
  hct_instr instr = chiplet_instr(s, op, HCT_OP_RED);
  instr.fn = hct_function_by_name("RED", op->fn)->code;
  instr.accumulate = op->accumulate || in_parts;
  emit_four(s, op, instr, &n);
}

/* ---- matrix products ---- */
enum { GROUP_BATCH, GROUP_M, GROUP_N, GROUP_K };

static int matmul_group(const nest_loop *loop, const chiplet_walk *c, const chiplet_walk *a, const chiplet_walk *b) {
  (void)loop;
  if (c->factor < 0) return GROUP_K;
  if (a->factor >= 0 && b->factor >= 0) return GROUP_BATCH;
  return a->factor >= 0 ? GROUP_M : GROUP_N;
}

static int largest_of(const nest *n, int group) {
  int best = -1;
  for (int i = 0; i < n->count; i++)
    if (n->loops[i].group == group && (best < 0 || n->loops[i].extent > n->loops[best].extent)) best = i;
  return best;
}

static void emit_matmul(chiplet_stream *s, const chiplet_op *op) {
  nest n = nest_make(s, op);
  bool result_empty = false;
  for (int i = 0; i < n.count; i++) {
    n.loops[i].group = matmul_group(&n.loops[i], &op->operands[0].walks[i], &op->operands[1].walks[i], &op->operands[2].walks[i]);
    result_empty |= n.loops[i].extent == 0 && n.loops[i].group != GROUP_K;
  }
  if (result_empty || (n.empty && op->accumulate)) return;
  nest c = n; /* the result's own loops, for a fill */
  for (int i = c.count; i-- > 0;)
    if (c.loops[i].group == GROUP_K) loop_erase(&c, i);
  c.operand_count = 1;
  nest_simplify(&c);
  if (n.empty) {
    emit_fill_nest(s, op, &c, 0);
    return;
  }
  nest_simplify(&n);
  int inner[3] = {largest_of(&n, GROUP_M), largest_of(&n, GROUP_N), largest_of(&n, GROUP_K)}, outer[HCT_MAX_FACTORS], outer_count = 0;
  bool accumulate = op->accumulate, outer_sum = false;
  for (int i = 0; i < n.count; i++) {
    if (i == inner[0] || i == inner[1] || i == inner[2]) continue;
    outer[outer_count++] = i;
    outer_sum |= n.loops[i].group == GROUP_K;
  }
  if (outer_sum && !accumulate) {
    emit_fill_nest(s, op, &c, 0);
    accumulate = true;
  }
  hct_instr instr = chiplet_instr(s, op, HCT_OP_MM);
  instr.accumulate = accumulate;
  shape_set(&instr, &n, inner, 3);
  static const int operands[3] = {0, 1, 2};
  for (int v = 0; v < 3; v++) view_set(&instr, v, &n, v, inner, 3);
  chiplet_access accesses[8];
  size_t count = nest_accesses(s, op, accesses, 1);
  item_emit(s, chiplet_item_add(s, HCT_ENGINE_MXU, count, accesses), instr, &n, outer, outer_count, operands, 3);
}

/* ---- row-wise operators ---- */
static const struct { const char *fn; uint8_t opcode; } row_opcodes[] = {
    {"softmax", HCT_OP_SOFTMAX}, {"softmax_grad", HCT_OP_SOFTMAXG}, {"gather", HCT_OP_GATHER}, {"scatter", HCT_OP_SCATTER}, {"pick", HCT_OP_PICK}, {"place", HCT_OP_PLACE},
};

/* First class that the die holds, and how many: terms of the die's index where the split is even, so that streams are shared. */
static hct_addr class_start(const chiplet_stream *s, const chiplet_op *op, int64_t *out_held) {
  hct_addr value = {0};
  *out_held = op->classes;
  if (!op->table_axes[0]) return value;
  hct_ring ring = op->table_axes[1] ? HCT_RING_FLAT0 : op->table_axes[0] == 'r' ? HCT_RING_ROW : HCT_RING_COL;
  int64_t parts = hct_ring_size(ring, s->program->rows, s->program->cols);
  hct_range range = chiplet_part_range(s, ring, op->classes, hct_ring_index(ring, s->program->cols, s->row * s->program->cols + s->col));
  *out_held = range.length;
  if (op->classes % parts) value.base = range.start, chiplet_depend(s, ring);
  else hct_addr_add(s->arena, &value, (hct_term){.kind = HCT_TERM_INDEX, .level = HCT_NO_LEVEL, .ring = (uint8_t)ring, .sign = 1, .stride = op->classes / parts});
  return value;
}

static void emit_rows(chiplet_stream *s, const chiplet_op *op) {
  size_t row = 0;
  while (row < HCT_COUNT(row_opcodes) && strcmp(row_opcodes[row].fn, op->fn)) row++;
  HCT_BUG_ON(row == HCT_COUNT(row_opcodes), "row-wise function '%s'", op->fn);
  hct_instr instr = chiplet_instr(s, op, row_opcodes[row].opcode);
  bool table = instr.opcode == HCT_OP_GATHER || instr.opcode == HCT_OP_SCATTER, classes = instr.opcode == HCT_OP_PICK || instr.opcode == HCT_OP_PLACE;
  int table_operand = instr.opcode == HCT_OP_GATHER ? 1 : 0;
  nest n = nest_make(s, op);
  for (int i = 0; i < n.count; i++) n.loops[i].group = i >= op->row_loops;
  int64_t held = op->classes;
  hct_addr start = {0};
  if (table || classes) start = class_start(s, op, &held);
  bool row_empty = false;
  for (int i = 0; i < n.count; i++) row_empty |= n.loops[i].extent == 0 && !n.loops[i].group;
  if (n.empty && instr.opcode == HCT_OP_PICK && !row_empty) { /* among no classes nothing is picked: zeros, and an empty instruction would write none */
    fill_result(s, op, n, 0);
    return;
  }
  if (n.empty) return;
  nest_simplify(&n);
  int inner[2] = {-1, -1}, outer[HCT_MAX_FACTORS], outer_count = 0, operands[8];
  for (int i = 0; i < n.count; i++)
    if (inner[n.loops[i].group] < 0 || n.loops[i].extent > n.loops[inner[n.loops[i].group]].extent) inner[n.loops[i].group] = i;
  for (int i = 0; i < n.count; i++)
    if (i != inner[0] && i != inner[1]) outer[outer_count++] = i;
  for (int i = 0; i < outer_count; i++) HCT_BUG_ON(n.loops[outer[i]].group && !table, "'%s' over columns that are not one run", op->fn);
  shape_set(&instr, &n, inner, 2);
  for (size_t k = 0; k < op->operand_count; k++) {
    view_set(&instr, (int)k, &n, (int)k, inner, 2);
    operands[k] = (int)k;
  }
  if (table) {
    const chiplet_buffer *buffer = &s->program->buffers.items[op->operands[table_operand].buffer];
    instr.views[table_operand].stride[0] = chiplet_stride(s, buffer, 0);
    instr.values[1].base = held;
    instr.values[2].base = op->run_of;
    start.base += op->run_first;
  }
  if (table || classes) instr.values[0] = start;
  chiplet_access accesses[8];
  size_t count = nest_accesses(s, op, accesses, 1);
  item_emit(s, chiplet_item_add(s, HCT_ENGINE_VPU, count, accesses), instr, &n, outer, outer_count, operands, (int)op->operand_count);
}

/* Elements in order, whatever the layout. */
static void emit_cast(chiplet_stream *s, const chiplet_op *op) {
  nest n = {.count = 1, .operand_count = 2};
  for (size_t k = 0; k < 2; k++) {
    const chiplet_buffer *buffer = &s->program->buffers.items[op->operands[k].buffer];
    n.loops[0].extent = chiplet_elements(s, buffer);
    n.loops[0].stride[k] = 1;
    n.base[k] = chiplet_addr(s, buffer, 0);
    n.dtype[k] = buffer->dtype;
  }
  if (n.loops[0].extent == 0) return;
  hct_instr instr = chiplet_instr(s, op, HCT_OP_MAP1);
  instr.fn = HCT_FN_MAP1_MOV;
  emit_four(s, op, instr, &n);
}

/* The operand in pieces, that says which elements of the whole ones are meant; the parameter when none is. */
static const chiplet_buffer *update_piece(const chiplet_stream *s, const chiplet_op *op) {
  for (size_t k = 0; k < op->operand_count; k++)
    if (s->program->buffers.items[op->operands[k].buffer].piece_elements) return &s->program->buffers.items[op->operands[k].buffer];
  return &s->program->buffers.items[op->operands[0].buffer];
}

/* (p, g, states..., settings, step): states that the kind lacks are read nowhere and name p. */
void chiplet_update(chiplet_stream *s, const chiplet_op *op) {
  hct_instr instr = chiplet_instr(s, op, HCT_OP_UPDATE);
  instr.fn = hct_function_by_name("UPDATE", op->fn)->code;
  size_t states = op->operand_count - 4;
  const size_t operand_of[6] = {0, 1, states > 0 ? 2 : 0, states > 1 ? 3 : 0, op->operand_count - 2, op->operand_count - 1};
  const chiplet_buffer *piece = update_piece(s, op);
  instr.shape[0] = chiplet_elements(s, piece);
  if (instr.shape[0] == 0) return;
  for (int v = 0; v < 6; v++) {
    const chiplet_buffer *buffer = &s->program->buffers.items[op->operands[operand_of[v]].buffer];
    instr.views[v] = (hct_view){.dtype = buffer->dtype, .addr = chiplet_addr(s, buffer, 0), .stride = {v < 4 ? 1 : 0}};
    if (v < 4 && !buffer->piece_elements) chiplet_piece_add(s, op, piece, (int64_t)hct_dtype_bytes(buffer->dtype), &instr.views[v].addr);
  }
  chiplet_access accesses[8];
  size_t count = nest_accesses(s, op, accesses, 1u | ((1u << states) - 1) << 2);
  chiplet_item_push(s, chiplet_item_add(s, HCT_ENGINE_VPU, count, accesses), instr);
}

void chiplet_nest(chiplet_stream *s, const chiplet_op *op) {
  switch (op->kind) {
    case CHIPLET_MATMUL: emit_matmul(s, op); break;
    case CHIPLET_MAP: emit_map(s, op); break;
    case CHIPLET_FILL: emit_fill(s, op); break;
    case CHIPLET_CAST: emit_cast(s, op); break;
    case CHIPLET_REDUCE: emit_reduce(s, op); break;
    case CHIPLET_ROWS: emit_rows(s, op); break;
    case CHIPLET_DROPOUT: emit_dropout(s, op); break;
    default: hct_bug(__FILE__, __LINE__, "operation kind %d", op->kind);
  }
}
