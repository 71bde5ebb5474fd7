/* The arena: arguments, constants and scratch have places of their own; other values share the rest by first fit over their
 * lifetimes. A reshape is another view of the same bytes; an optimizer update works in place when nothing reads the old parameter
 * afterwards. */
#include <string.h>

#include "backends/host/host.h"
#include "ir/isa/host_program.h"

static int64_t align(int64_t bytes) { return (bytes + HCT_HOST_ALIGNMENT - 1) / HCT_HOST_ALIGNMENT * HCT_HOST_ALIGNMENT; }

size_t host_plan_buffer(const host_plan *plan, MlirValue value) {
  size_t i = 0;
  HCT_BUG_ON(!hct_index_map_get(plan->index, hct_value_key(value), &i), "host backend: a value without a buffer");
  return i;
}

static size_t buffer_create(host_plan *plan, MlirValue value, const hct_shape *shape, bool fixed) {
  size_t i = plan->buffers.count;
  int64_t bytes = hct_shape_elements(shape) * (int64_t)hct_dtype_bytes(shape->dtype);
  host_buffer buffer = {.value = value, .shape = *shape, .offset = -1, .bytes = bytes, .root = i, .fixed = fixed};
  HCT_PUSH(plan->arena, &plan->buffers, buffer);
  if (!mlirValueIsNull(value)) hct_index_map_put(plan->index, hct_value_key(value), i);
  return i;
}

static void create_buffers(host_plan *plan, MlirBlock body) {
  hct_shape shape;
  for (size_t i = 0; i < plan->argument_count; i++) {
    MlirValue value = mlirBlockGetArgument(body, (intptr_t)i);
    HCT_BUG_ON(!hct_value_shape(value, &shape), "host backend: argument %zu", i);
    buffer_create(plan, value, &shape, true);
  }
  for (size_t i = 0; i < plan->op_count; i++) {
    MlirOperation op = plan->ops[i];
    for (intptr_t r = 0; r < mlirOperationGetNumResults(op); r++) {
      HCT_BUG_ON(!hct_value_shape(mlirOperationGetResult(op, r), &shape), "host backend: a result of %s", hct_op_name(op));
      size_t b = buffer_create(plan, mlirOperationGetResult(op, r), &shape, hct_op_is(op, "hct_graph.constant"));
      if (hct_op_is(op, "hct_graph.reshape")) plan->buffers.items[b].root = plan->buffers.items[host_plan_buffer(plan, hct_op_operand(op, 0))].root;
    }
  }
}

static void find_last_uses(host_plan *plan, MlirOperation terminator) {
  for (size_t i = 0; i < plan->op_count; i++) {
    for (intptr_t r = 0; r < mlirOperationGetNumResults(plan->ops[i]); r++) /* a result that nobody reads lives as long as its operation */
      plan->buffers.items[plan->buffers.items[host_plan_buffer(plan, mlirOperationGetResult(plan->ops[i], r))].root].last_use = i;
    for (intptr_t o = 0; o < mlirOperationGetNumOperands(plan->ops[i]); o++) {
      host_buffer *operand = &plan->buffers.items[host_plan_buffer(plan, mlirOperationGetOperand(plan->ops[i], o))];
      plan->buffers.items[operand->root].last_use = i;
    }
  }
  for (intptr_t o = 0; o < mlirOperationGetNumOperands(terminator); o++)
    plan->buffers.items[plan->buffers.items[host_plan_buffer(plan, mlirOperationGetOperand(terminator, o))].root].last_use = SIZE_MAX;
}

/* An update's results take the places of its parameter and states where those are arguments that nothing reads later. */
static void update_in_place(host_plan *plan) {
  for (size_t i = 0; i < plan->op_count; i++) {
    MlirOperation op = plan->ops[i];
    if (!hct_op_is(op, "hct_graph.update")) continue;
    for (intptr_t r = 0; r < mlirOperationGetNumResults(op); r++) {
      size_t operand = host_plan_buffer(plan, hct_op_operand(op, r == 0 ? 0 : (size_t)r + 1)); /* p, g, states... */
      host_buffer *from = &plan->buffers.items[operand], *to = &plan->buffers.items[host_plan_buffer(plan, hct_op_result(op, (size_t)r))];
      if (operand < plan->argument_count && from->last_use == i) {
        from->last_use = to->last_use;
        to->root = operand;
      }
    }
  }
}

static const char *argument_text(const host_plan *plan, bool result, size_t i, const char *name) {
  MlirAttribute attribute = result ? hct_function_result_attr(plan->function, i, name) : hct_function_arg_attr(plan->function, i, name);
  const char *text = mlirAttributeIsNull(attribute) ? NULL : hct_attr_text(attribute);
  return text ? text : "";
}

static size_t find_argument(const host_plan *plan, const char *role, const char *name) {
  for (size_t i = 0; i < plan->argument_count; i++)
    if (!strcmp(argument_text(plan, false, i, "hct.name"), name) && !strcmp(argument_text(plan, false, i, "hct.role"), role)) return i;
  HCT_BUG_ON(true, "host backend: no argument '%s' of role %s", name, role);
  return 0;
}

/* Parameters and states end in the buffers of their arguments. Whatever else lies in an argument's buffer moves out first. */
static void place_results(host_plan *plan, MlirOperation terminator) {
  plan->result_count = (size_t)mlirOperationGetNumOperands(terminator);
  plan->results = HCT_NEW_ARRAY(plan->arena, size_t, plan->result_count + 1);
  struct { host_copy *items; size_t count, capacity; } updates = {0};
  for (size_t i = 0; i < plan->result_count; i++) {
    const char *role = argument_text(plan, true, i, "hct.role");
    bool update = hct_role_replaces(role);
    size_t from = host_plan_buffer(plan, hct_op_operand(terminator, i));
    size_t to = update ? find_argument(plan, role, argument_text(plan, true, i, "hct.name")) : from;
    plan->results[i] = to;
    if (update && plan->buffers.items[from].root == to) continue;
    if (plan->buffers.items[from].root < plan->argument_count) {
      hct_shape shape = plan->buffers.items[from].shape;
      size_t moved = buffer_create(plan, (MlirValue){NULL}, &shape, true);
      host_copy copy = {from, moved};
      HCT_PUSH(plan->arena, &plan->copies, copy);
      from = moved;
      if (!update) plan->results[i] = moved;
    }
    host_copy copy = {from, to};
    if (update) HCT_PUSH(plan->arena, &updates, copy);
  }
  for (size_t i = 0; i < updates.count; i++) HCT_PUSH(plan->arena, &plan->copies, updates.items[i]);
}

/* ---- places ---- */

static int64_t place_fixed(host_plan *plan) {
  int64_t at = HCT_HOST_ALIGNMENT; /* the head is for faults */
  for (size_t i = 0; i < plan->buffers.count; i++) {
    host_buffer *b = &plan->buffers.items[i];
    if (!b->fixed || b->root != i) continue;
    b->offset = at;
    at += align(b->bytes);
  }
  for (size_t i = 0; i < plan->op_count; i++) {
    int64_t bytes = host_scratch_bytes(plan->ops[i]);
    if (bytes > plan->scratch_bytes) plan->scratch_bytes = bytes;
  }
  plan->scratch_offset = at;
  return at + align(plan->scratch_bytes);
}

/* First gap between live buffers, which `live` lists by offset. */
static void place_first_fit(host_plan *plan, size_t buffer, size_t *live, size_t *count, int64_t floor) {
  host_buffer *b = &plan->buffers.items[buffer];
  int64_t at = floor;
  size_t k = 0;
  for (; k < *count; k++) {
    const host_buffer *other = &plan->buffers.items[live[k]];
    if (other->offset - at >= align(b->bytes)) break;
    at = other->offset + align(other->bytes);
  }
  b->offset = at;
  memmove(live + k + 1, live + k, (*count - k) * sizeof(*live));
  live[k] = buffer;
  (*count)++;
  if (at + align(b->bytes) > plan->arena_bytes) plan->arena_bytes = at + align(b->bytes);
}

static void place_temporaries(host_plan *plan, int64_t floor) {
  size_t *live = HCT_NEW_ARRAY(plan->arena, size_t, plan->buffers.count + 1), count = 0;
  plan->arena_bytes = floor;
  for (size_t i = 0; i < plan->op_count; i++) {
    for (intptr_t r = 0; r < mlirOperationGetNumResults(plan->ops[i]); r++) {
      size_t b = host_plan_buffer(plan, mlirOperationGetResult(plan->ops[i], r));
      if (plan->buffers.items[b].root == b && !plan->buffers.items[b].fixed) place_first_fit(plan, b, live, &count, floor);
    }
    size_t kept = 0;
    for (size_t k = 0; k < count; k++)
      if (plan->buffers.items[live[k]].last_use > i) live[kept++] = live[k];
    count = kept;
  }
  for (size_t i = 0; i < plan->buffers.count; i++) {
    host_buffer *b = &plan->buffers.items[i];
    b->offset = plan->buffers.items[b->root].offset;
    HCT_BUG_ON(b->offset < 0, "host backend: buffer %zu has no place", i);
  }
}

void host_plan_make(hct_arena *arena, MlirOperation function, host_plan *out_plan) {
  MlirBlock body = hct_function_body(function);
  MlirOperation terminator = hct_block_terminator(body);
  host_plan plan = {.arena = arena, .function = function, .index = hct_index_map_create(arena)};
  plan.argument_count = (size_t)mlirBlockGetNumArguments(body);
  plan.op_count = hct_block_operations(arena, body, &plan.ops) - 1;
  create_buffers(&plan, body);
  find_last_uses(&plan, terminator);
  update_in_place(&plan);
  place_results(&plan, terminator);
  place_temporaries(&plan, place_fixed(&plan));
  *out_plan = plan;
}
