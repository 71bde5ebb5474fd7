/* hct-block-tokens: the tokens in flight as blocks that flow through consecutive layers one by one (method.md, "Time").
 *
 *   before  %x = gather_rows(%table, %ids : [4,16]) : [4,16,8];  %y = contract(%x, %w) {spec = "amk,kn->amn"} : [4,16,8]
 *   after   %i0 = slice(%ids) : [4,8];  %x0 = gather_rows(%table, %i0) : [4,8,8];  %y0 = contract(%x0, %w) : [4,8,8]
 *           %i1 = slice(%ids) : [4,8];  ...
 *
 * The sequence is dimension 1 of the inputs. Going forward, an operator that treats it as one of its loops is written once a block; a sum over it
 * adds the blocks' sums; where an operator needs it whole (keys and values of attention), the blocks are put together. Slices and concats at
 * the blocks' borders, as hct-block-attention makes them, take and make blocks. --token-blocks=N, which must divide the sequence; 1 changes
 * nothing. Blocks are independent but for what is whole, so that one's collectives run while another computes, and what is gathered for
 * one product is a block's.
 *
 * Rows of a table are looked up for several blocks at once, as many as take at most a sixteenth of SRAM: where its rows are on several dies, what these find is
 * added up in as few steps of a ring as for one block.
 *
 *           %i = reshape(slice(%ids) : [4,8]) : [4,2,4];  %x = gather_rows(%table, %i) : [4,2,4,8];  %x0 = mov(reshape(slice(%x) : [4,1,4,8]) : [4,4,8]); ... */
#include <string.h>

#include "compiler/transform/dropout.h"
#include "compiler/transform/partition.h"

enum { LOOKUP_SHARE = 8 }; /* of SRAM, one in so many */

typedef struct blocked {
  MlirValue whole;    /* null: not put together yet */
  MlirValue *blocks;  /* NULL: none */
  size_t dim;         /* that they are cut along */
  bool made_so;       /* blocks came first */
} blocked;

typedef struct blocking {
  hct_pass_context *pass;
  hct_arena *arena;
  hct_flow flow;
  hct_builder builder;
  int64_t sequence, count; /* tokens of a sample; blocks */
  blocked *values;
} blocking;

static int64_t block_size(const blocking *b) { return b->sequence / b->count; }

/* ---- values ---- */
static hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "hct-block-tokens: a value that is no static tensor");
  return shape;
}

static MlirType type_of(const blocking *b, const hct_shape *shape) { return hct_type_tensor(b->builder.context, shape->dtype, shape->rank, shape->dims); }

static MlirType part_type(const blocking *b, MlirValue value, size_t dim, int64_t size) {
  hct_shape shape = shape_of(value);
  shape.dims[dim] = size;
  return type_of(b, &shape);
}

static MlirType block_type(const blocking *b, MlirValue value, size_t dim) { return part_type(b, value, dim, block_size(b)); }

/* Attributes that every operator bears, of the one that is being written in blocks. */
static size_t marks_of(const hct_flow_op *op, hct_named marks[4]) {
  static const char *const names[] = {"hct.layer", "hct.pass", "hct.group"};
  size_t count = 0;
  for (size_t i = 0; i < HCT_COUNT(names); i++)
    if (hct_op_has(op->op, names[i])) marks[count++] = (hct_named){names[i], mlirOperationGetAttributeByName(op->op, hct_ref(names[i]))};
  return count;
}

static MlirValue slice_make(blocking *b, const hct_flow_op *user, MlirValue whole, size_t dim, int64_t first, int64_t size) {
  MlirType type = part_type(b, whole, dim, size);
  MlirOperation maker = mlirValueIsAOpResult(whole) ? mlirOpResultGetOwner(whole) : (MlirOperation){NULL};
  hct_shape shape = shape_of(whole);
  MlirAttribute part = {NULL};
  if (!mlirOperationIsNull(maker) && hct_op_is(maker, "hct_graph.constant")) part = hct_attr_part(mlirOperationGetAttributeByName(maker, hct_ref("value")), shape.rank, shape.dims, dim, first, size, type);
  hct_named attributes[8];
  size_t count = marks_of(user, attributes);
  if (!mlirAttributeIsNull(part)) {
    attributes[count++] = (hct_named){"value", part};
    return hct_build_value(&b->builder, "hct_graph.constant", 0, NULL, type, count, attributes);
  }
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK];
  for (size_t d = 0; d < shape.rank; d++) steps[d] = 1;
  starts[dim] = first;
  attributes[count++] = (hct_named){"starts", hct_attr_i64s(b->builder.context, shape.rank, starts)};
  attributes[count++] = (hct_named){"steps", hct_attr_i64s(b->builder.context, shape.rank, steps)};
  return hct_build_value(&b->builder, "hct_graph.slice", 1, &whole, type, count, attributes);
}

static MlirValue concat_make(blocking *b, const hct_flow_op *user, const MlirValue *parts, size_t count, size_t dim, MlirType type) {
  hct_named attributes[8];
  size_t marks = marks_of(user, attributes);
  attributes[marks++] = (hct_named){"axis", hct_attr_i64(b->builder.context, (int64_t)dim)};
  return hct_build_value(&b->builder, "hct_graph.concat", count, parts, type, marks, attributes);
}

static MlirValue whole_of(blocking *b, const hct_flow_op *user, size_t value) {
  blocked *v = &b->values[value];
  if (mlirValueIsNull(v->whole)) v->whole = concat_make(b, user, v->blocks, (size_t)b->count, v->dim, mlirValueGetType(b->flow.values[value].value));
  return v->whole;
}

static const MlirValue *blocks_of(blocking *b, const hct_flow_op *user, size_t value, size_t dim) {
  blocked *v = &b->values[value];
  if (v->blocks && v->dim == dim) return v->blocks;
  MlirValue whole = whole_of(b, user, value);
  v->blocks = HCT_NEW_ARRAY(b->arena, MlirValue, (size_t)b->count);
  v->dim = dim;
  for (int64_t i = 0; i < b->count; i++) v->blocks[i] = slice_make(b, user, whole, dim, i * block_size(b), block_size(b));
  return v->blocks;
}

/* ---- operators ---- */
typedef struct plan {
  int operand[MAX_OPERANDS]; /* dimension along which it is taken in blocks; -1: whole */
  int result;                /* -1: the blocks' results are folded */
  label_kind kind;
} plan;

/* The labels of a dimension's factors as a set; 0 where one of more than a unit has none. */
static uint64_t labels_in(const hct_flow_value *value, size_t dim, const int *labels) {
  size_t at = hct_flow_factor_at(value, dim);
  uint64_t set = 0;
  for (int f = 0; f < value->dims[dim].count; f++) {
    if (value->dims[dim].sizes[f] == 1) continue;
    if (labels[at + (size_t)f] < 0) return 0;
    set |= UINT64_C(1) << labels[at + (size_t)f];
  }
  return set;
}

/* The one dimension whose loops are exactly `set`; -1: none has any of them; -2: they stand otherwise. */
static int dim_of(const blocking *b, const hct_flow_value *value, const int *labels, uint64_t set) {
  int found = -1;
  for (size_t d = 0; d < value->shape.rank; d++) {
    uint64_t in = labels_in(value, d, labels);
    if (!(in & set)) continue;
    if (in != set || found >= 0 || value->shape.dims[d] != b->sequence) return -2;
    found = (int)d;
  }
  return found;
}

static bool plan_make(const blocking *b, const hct_flow_op *op, plan *out_plan) {
  op_rule rule;
  uint64_t set = 0;
  if (op->result_count != 1 || op->operand_count > MAX_OPERANDS || hct_op_has(op->op, "hct.whole") || !partition_rule(&b->flow, op, &rule)) return false;
  for (size_t k = 0; k < op->operand_count && !set; k++)
    if (b->values[op->operands[k]].made_so) set = labels_in(&b->flow.values[op->operands[k]], b->values[op->operands[k]].dim, rule.operand[k]);
  if (!set) return false;
  plan p = {.kind = LABEL_WHOLE};
  for (int l = 0; l < rule.label_count; l++) {
    if (!(set >> l & 1)) continue;
    if (p.kind != LABEL_WHOLE && p.kind != rule.labels[l].kind) return false;
    p.kind = rule.labels[l].kind;
  }
  for (size_t k = 0; k < op->operand_count; k++)
    if ((p.operand[k] = dim_of(b, &b->flow.values[op->operands[k]], rule.operand[k], set)) == -2) return false;
  p.result = dim_of(b, &b->flow.values[op->results[0]], rule.result, set);
  *out_plan = p;
  if (p.kind == LABEL_PARALLEL) return p.result >= 0;
  return (p.kind == LABEL_SUM || p.kind == LABEL_MAX) && p.result == -1;
}

static MlirValue block_write(blocking *b, const hct_flow_op *op, const plan *p, const MlirValue *const *blocks, int64_t index) {
  MlirOperation clone = mlirOperationClone(op->op);
  mlirBlockInsertOwnedOperationBefore(b->builder.block, op->op, clone);
  for (size_t k = 0; k < op->operand_count; k++) mlirOperationSetOperand(clone, (intptr_t)k, blocks[k] ? blocks[k][index] : b->values[op->operands[k]].whole);
  MlirValue result = hct_op_result(clone, 0);
  if (p->result >= 0) hct_dropout_begin_at(clone, (size_t)p->result, index * block_size(b));
  if (p->result >= 0) mlirValueSetType(result, block_type(b, hct_op_result(op->op, 0), (size_t)p->result));
  return result;
}

static void op_block(blocking *b, const hct_flow_op *op, const plan *p) {
  const MlirValue *blocks[MAX_OPERANDS] = {NULL};
  for (size_t k = 0; k < op->operand_count; k++) {
    if (p->operand[k] >= 0) blocks[k] = blocks_of(b, op, op->operands[k], (size_t)p->operand[k]);
    else whole_of(b, op, op->operands[k]);
  }
  blocked result = {.blocks = HCT_NEW_ARRAY(b->arena, MlirValue, (size_t)b->count), .dim = p->result >= 0 ? (size_t)p->result : 0, .made_so = p->result >= 0};
  for (int64_t i = 0; i < b->count; i++) result.blocks[i] = block_write(b, op, p, blocks, i);
  if (p->result < 0) {
    hct_named attributes[8];
    size_t count = marks_of(op, attributes);
    attributes[count++] = (hct_named){"fn", hct_attr_str(b->builder.context, p->kind == LABEL_SUM ? "add" : "max")};
    result.whole = result.blocks[0];
    for (int64_t i = 1; i < b->count; i++) {
      MlirValue both[2] = {result.whole, result.blocks[i]};
      result.whole = hct_build_value(&b->builder, "hct_graph.map2", 2, both, mlirValueGetType(result.whole), count, attributes);
    }
    result.blocks = NULL;
  }
  b->values[op->results[0]] = result;
}

/* ---- tables ---- */
static MlirValue reshape_make(blocking *b, const hct_flow_op *user, MlirValue value, const hct_shape *shape) {
  hct_named attributes[4];
  size_t count = marks_of(user, attributes);
  return hct_build_value(&b->builder, "hct_graph.reshape", 1, &value, type_of(b, shape), count, attributes);
}

/* Blocks, of samples in flight, whose rows take at most their share of SRAM where features are split over one side of the mesh. */
static int64_t lookups_at_once(const blocking *b, const hct_flow_op *op) {
  const hct_package *package = &b->pass->package;
  hct_shape rows = b->flow.values[op->results[0]].shape;
  int64_t samples = rows.dims[0], given, side = package->rows < package->cols ? package->rows : package->cols, best = 1;
  if (hct_parse_i64(hct_pass_option(b->pass, "micro-batch", "auto"), &given) && given > 0 && given < samples) samples = given;
  double low = strcmp(hct_pass_option(b->pass, "dtype", "f32"), "f32") ? 2 : 4;
  double bytes = low * (double)hct_shape_elements(&rows) / (double)rows.dims[0] * (double)samples / (double)side / (double)b->count;
  for (int64_t blocks = 2; blocks <= b->count; blocks++)
    if (b->count % blocks == 0 && bytes * (double)(blocks * LOOKUP_SHARE) <= (double)package->sram_bytes) best = blocks;
  return best;
}

/* Rows of a table for `count` blocks from `first` on. */
static void lookup_write(blocking *b, const hct_flow_op *op, size_t dim, int64_t first, int64_t count, MlirValue *out_blocks) {
  const blocked *ids = &b->values[op->operands[1]];
  hct_shape apart = b->flow.values[op->operands[1]].shape, rows = b->flow.values[op->results[0]].shape;
  MlirValue whole = ids->whole, part;
  if (mlirValueIsNull(whole)) part = concat_make(b, op, ids->blocks + first, (size_t)count, dim, part_type(b, b->flow.values[op->operands[1]].value, dim, count * block_size(b)));
  else part = count == b->count ? whole : slice_make(b, op, whole, dim, first * block_size(b), count * block_size(b));
  for (hct_shape *shape = &apart; shape; shape = shape == &apart ? &rows : NULL) {
    for (size_t d = shape->rank++; d > dim; d--) shape->dims[d] = shape->dims[d - 1];
    shape->dims[dim] = count, shape->dims[dim + 1] = block_size(b);
  }
  MlirOperation clone = mlirOperationClone(op->op);
  mlirOperationSetOperand(clone, 0, whole_of(b, op, op->operands[0]));
  mlirOperationSetOperand(clone, 1, reshape_make(b, op, part, &apart));
  mlirValueSetType(hct_op_result(clone, 0), type_of(b, &rows));
  mlirBlockInsertOwnedOperationBefore(b->builder.block, op->op, clone);
  hct_shape block = shape_of(b->flow.values[op->results[0]].value);
  block.dims[dim] = block_size(b);
  hct_named attributes[4];
  size_t marks = marks_of(op, attributes);
  attributes[marks++] = (hct_named){"fn", hct_attr_str(b->builder.context, "mov")};
  for (int64_t i = 0; i < count; i++) {
    MlirValue view = reshape_make(b, op, slice_make(b, op, hct_op_result(clone, 0), dim, i, 1), &block);
    out_blocks[i] = hct_build_value(&b->builder, "hct_graph.map1", 1, &view, type_of(b, &block), marks, attributes); /* what stores or reads one takes no others with it */
  }
}

/* Rows of a table that is whole, for ids in blocks. */
static bool op_look_up(blocking *b, const hct_flow_op *op, const plan *p) {
  if (strcmp(op->name, "gather_rows") || p->operand[0] >= 0 || p->operand[1] != p->result || p->result < 1 || b->flow.values[op->results[0]].shape.rank == HCT_MAX_RANK) return false;
  int64_t at_once = lookups_at_once(b, op);
  if (at_once == 1) return false;
  blocked result = {.blocks = HCT_NEW_ARRAY(b->arena, MlirValue, (size_t)b->count), .dim = (size_t)p->result, .made_so = true};
  for (int64_t i = 0; i < b->count; i += at_once) lookup_write(b, op, (size_t)p->result, i, at_once, result.blocks + i);
  b->values[op->results[0]] = result;
  return true;
}

/* Whole blocks of a value in blocks, all else of it: no operator is needed. */
static bool slice_of_blocks(blocking *b, const hct_flow_op *op) {
  if (strcmp(op->name, "slice") || hct_op_has(op->op, "hct.whole") || !b->values[op->operands[0]].made_so) return false; /* keys of which several blocks of queries read parts: one buffer for all */
  const blocked *from = &b->values[op->operands[0]];
  const hct_shape *whole = &b->flow.values[op->operands[0]].shape, *part = &b->flow.values[op->results[0]].shape;
  int64_t starts[HCT_MAX_RANK], steps[HCT_MAX_RANK], size = block_size(b);
  hct_op_i64s(op->op, "starts", starts, HCT_MAX_RANK);
  hct_op_i64s(op->op, "steps", steps, HCT_MAX_RANK);
  for (size_t d = 0; d < whole->rank; d++)
    if (steps[d] != 1 || (d != from->dim && whole->dims[d] != part->dims[d])) return false;
  int64_t first = starts[from->dim], length = part->dims[from->dim];
  if (first % size || length % size || length == b->sequence) return false;
  MlirValue taken = from->blocks[first / size];
  if (length > size) taken = concat_make(b, op, from->blocks + first / size, (size_t)(length / size), from->dim, mlirValueGetType(hct_op_result(op->op, 0)));
  b->values[op->results[0]] = (blocked){.whole = taken};
  return true;
}

/* A concat of as many parts as there are blocks, each of a block's size, along the sequence. */
static bool concat_to_blocks(blocking *b, const hct_flow_op *op) {
  if (strcmp(op->name, "concat") || (int64_t)op->operand_count != b->count) return false;
  size_t axis = (size_t)hct_op_i64(op->op, "axis");
  for (size_t k = 0; k < op->operand_count; k++)
    if (b->flow.values[op->operands[k]].shape.dims[axis] != block_size(b)) return false;
  blocked result = {.blocks = HCT_NEW_ARRAY(b->arena, MlirValue, (size_t)b->count), .dim = axis, .made_so = true};
  for (size_t k = 0; k < op->operand_count; k++) result.blocks[k] = whole_of(b, op, op->operands[k]);
  b->values[op->results[0]] = result;
  return true;
}

static void op_keep(blocking *b, const hct_flow_op *op) {
  for (size_t k = 0; k < op->operand_count; k++) mlirOperationSetOperand(op->op, (intptr_t)k, whole_of(b, op, op->operands[k]));
  for (size_t r = 0; r < op->result_count; r++) b->values[op->results[r]] = (blocked){.whole = hct_op_result(op->op, r)};
}

/* ---- the pass ---- */
static bool is_input(const blocking *b, size_t arg) {
  MlirAttribute role = hct_function_arg_attr(b->flow.function, arg, "hct.role");
  return !mlirAttributeIsNull(role) && !strcmp(hct_attr_text(role), "input") && b->flow.values[arg].shape.rank >= 2;
}

static hct_status count_choose(blocking *b) {
  const char *text = hct_pass_option(b->pass, "token-blocks", "1");
  if (!strcmp(text, "fit") || !strcmp(text, "auto")) text = "1"; /* where nothing is chosen: the host, the pass alone */
  if (!hct_parse_i64(text, &b->count) || b->count < 1 || b->count > HCT_MAX_VARIADIC)
    return hct_error(b->pass->diags, HCT_E_OPTION, (hct_loc){0}, "--token-blocks=%s: it must be a whole number from 1 to %d", text, HCT_MAX_VARIADIC);
  b->sequence = 0;
  for (size_t a = 0; a < b->flow.arg_count; a++)
    if (is_input(b, a) && !b->sequence) b->sequence = b->flow.values[a].shape.dims[1];
  if (b->count == 1 || (b->sequence && b->sequence % b->count == 0)) return HCT_OK;
  if (!b->sequence) hct_remark(b->pass->diags, (hct_loc){0}, "--token-blocks=%lld: no input has a sequence, its second dimension: tokens are not cut", (long long)b->count);
  else hct_remark(b->pass->diags, (hct_loc){0}, "--token-blocks=%lld does not divide the sequence of %lld: tokens are not cut", (long long)b->count, (long long)b->sequence);
  b->count = 1;
  return HCT_OK;
}

static void arguments_block(blocking *b) {
  for (size_t v = 0; v < b->flow.arg_count; v++) {
    b->values[v].whole = b->flow.values[v].value;
    if (!is_input(b, v) || b->flow.values[v].shape.dims[1] != b->sequence || !b->flow.op_count) continue;
    hct_flow_op none = {.op = b->flow.ops[0].op};
    for (size_t i = b->flow.op_count; i-- > 0;)
      for (size_t k = 0; k < b->flow.ops[i].operand_count; k++)
        if (b->flow.ops[i].operands[k] == v) none.op = b->flow.ops[i].op; /* the first that reads it */
    b->builder.location = mlirOperationGetLocation(none.op);
    blocks_of(b, &none, v, 1);
    b->values[v].made_so = true;
  }
}

hct_status hct_pass_block_tokens(hct_pass_context *pass, MlirModule module) {
  blocking b = {.pass = pass, .arena = pass->arena, .flow = hct_flow_read(pass->arena, module)};
  HCT_TRY(count_choose(&b));
  if (b.count == 1) return HCT_OK;
  hct_flow_factorize(&b.flow);
  b.values = HCT_NEW_ARRAY(b.arena, blocked, b.flow.value_count + 1);
  b.builder = (hct_builder){.context = mlirModuleGetContext(module), .block = hct_function_body(b.flow.function), .before = b.flow.op_count ? b.flow.ops[0].op : (MlirOperation){NULL}};
  arguments_block(&b);
  for (size_t i = 0; i < b.flow.op_count; i++) {
    const hct_flow_op *op = &b.flow.ops[i];
    plan p;
    b.builder.before = op->op;
    b.builder.location = mlirOperationGetLocation(op->op);
    if (slice_of_blocks(&b, op) || concat_to_blocks(&b, op)) continue;
    if (!plan_make(&b, op, &p)) op_keep(&b, op);
    else if (!op_look_up(&b, op, &p)) op_block(&b, op, &p);
  }
  MlirOperation end = hct_block_terminator(b.builder.block);
  b.builder.before = end;
  for (size_t r = 0; r < b.flow.returned_count; r++) {
    size_t value = b.flow.returned[r], maker = b.flow.values[value].op;
    hct_flow_op none = {.op = maker == SIZE_MAX ? end : b.flow.ops[maker].op};
    b.builder.location = mlirOperationGetLocation(none.op);
    mlirOperationSetOperand(end, (intptr_t)r, whole_of(&b, &none, value));
  }
  hct_function_eliminate_dead(b.flow.function);
  return HCT_OK;
}
