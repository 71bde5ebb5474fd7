/* The host backend: a graph-level module to a shared object that runs one step on this machine. */
#include <string.h>

#include "backends/backend.h"
#include "backends/host/host.h"
#include "ir/dialect/data.h"
#include "ir/isa/host_program.h"
#include "ir/isa/image.h"

typedef struct host_program {
  hct_pass_context *pass;
  hct_arena *arena;
  MlirModule module;
  const char *out_path;
  host_plan plan;
  hct_text kernels, step, metadata, data;
  hct_map *known; /* kernel signature and body -> name */
  struct { const char **items; size_t count, capacity; } locations;
  int next; /* SSA number in the step function */
} host_program;

/* ---- kernels and their calls ---- */

typedef struct call_operand { const char *name, *type; int64_t offset; } call_operand;
typedef struct call_operands { call_operand *items; size_t count, capacity; } call_operands;

static const char *view_type(host_program *p, size_t buffer) {
  host_kernel k = {.arena = p->arena};
  return host_memref(&k, &p->plan.buffers.items[buffer].shape);
}

static void push_buffer(host_program *p, call_operands *list, const char *name, size_t buffer) {
  call_operand operand = {name, view_type(p, buffer), p->plan.buffers.items[buffer].offset};
  HCT_PUSH(p->arena, list, operand);
}

static const char *kernel_name(host_program *p, const call_operands *operands, const char *body, bool aliased, bool faults) {
  hct_text text = {0};
  for (size_t i = 0; i < operands->count; i++)
    hct_text_printf(&text, "%s%%%s: %s%s", i ? ", " : "", operands->items[i].name, operands->items[i].type, aliased ? "" : " {llvm.noalias}");
  if (faults) hct_text_printf(&text, ", %%id: i64");
  hct_text_printf(&text, ") attributes {llvm.linkage = #llvm.linkage<internal>, passthrough = [\"noinline\"]} {\n%s  return\n}\n", body);
  const char *name = hct_map_get(p->known, text.data);
  if (!name) {
    name = hct_arena_printf(p->arena, "k%zu", hct_map_count(p->known));
    hct_map_put(p->known, text.data, (void *)(uintptr_t)name);
    hct_text_printf(&p->kernels, "func.func @%s(%s", name, text.data);
  }
  hct_text_fini(&text);
  return name;
}

static void emit_call(host_program *p, const char *kernel, const call_operands *operands, int64_t id) {
  int first = p->next;
  for (size_t i = 0; i < operands->count; i++) {
    const call_operand *o = &operands->items[i];
    hct_text_printf(&p->step, "  %%c%d = arith.constant %lld : index\n", p->next, (long long)o->offset);
    if (!strncmp(o->type, "memref<3xi64>", 13) && !strcmp(o->name, "f")) hct_text_printf(&p->step, "  %%b%d = memref.view %%arena[%%c%d][] : memref<%lldxi8> to memref<3xi64>\n", p->next, p->next, (long long)p->plan.arena_bytes);
    else hct_text_printf(&p->step, "  %%b%d = memref.view %%arena[%%c%d][] : memref<%lldxi8> to %s\n", p->next, p->next, (long long)p->plan.arena_bytes, o->type);
    p->next++;
  }
  if (id >= 0) hct_text_printf(&p->step, "  %%id%d = arith.constant %lld : i64\n", first, (long long)id);
  hct_text_printf(&p->step, "  func.call @%s(", kernel);
  for (size_t i = 0; i < operands->count; i++) hct_text_printf(&p->step, "%s%%b%d", i ? ", " : "", first + (int)i);
  if (id >= 0) hct_text_printf(&p->step, ", %%id%d", first);
  hct_text_printf(&p->step, ") : (");
  for (size_t i = 0; i < operands->count; i++) hct_text_printf(&p->step, "%s%s", i ? ", " : "", operands->items[i].type);
  hct_text_printf(&p->step, "%s) -> ()\n", id >= 0 ? ", i64" : "");
}

static const char *location_text(host_program *p, MlirOperation op) {
  hct_loc loc = hct_loc_of(p->arena, op);
  return hct_arena_printf(p->arena, "%s%s%s", loc.file ? loc.file : "", loc.file && loc.where ? ": " : "", loc.where ? loc.where : "");
}

static hct_status emit_operation(host_program *p, MlirOperation op) {
  if (hct_op_is(op, "hct_graph.constant") || hct_op_is(op, "hct_graph.reshape")) return HCT_OK;
  bool faults = hct_op_is(op, "hct_graph.gather_rows") || hct_op_is(op, "hct_graph.scatter_rows"), aliased = hct_op_is(op, "hct_graph.update");
  call_operands operands = {0};
  for (intptr_t r = 0; r < mlirOperationGetNumResults(op); r++) push_buffer(p, &operands, hct_arena_printf(p->arena, "o%d", (int)r), host_plan_buffer(&p->plan, mlirOperationGetResult(op, r)));
  for (intptr_t o = 0; o < mlirOperationGetNumOperands(op); o++) {
    size_t buffer = host_plan_buffer(&p->plan, mlirOperationGetOperand(op, o));
    push_buffer(p, &operands, hct_arena_printf(p->arena, "a%d", (int)o), buffer);
    for (intptr_t before = 0; before < o; before++) aliased = aliased || mlirValueEqual(mlirOperationGetOperand(op, before), mlirOperationGetOperand(op, o));
  }
  int64_t scratch = host_scratch_bytes(op), id = -1;
  call_operand extra = {"s", hct_arena_printf(p->arena, "memref<%lldxi8>", (long long)scratch), p->plan.scratch_offset};
  if (scratch) HCT_PUSH(p->arena, &operands, extra);
  if (faults) {
    call_operand fault = {"f", "memref<3xi64>", 0};
    HCT_PUSH(p->arena, &operands, fault);
    HCT_PUSH(p->arena, &p->locations, location_text(p, op));
    id = (int64_t)p->locations.count;
  }
  host_kernel k = {.arena = p->arena};
  bool known = host_kernel_emit(&k, op);
  if (known) emit_call(p, kernel_name(p, &operands, k.text.data ? k.text.data : "", aliased, faults), &operands, id);
  hct_text_fini(&k.text);
  if (known) return HCT_OK;
  const char *fn = hct_op_has(op, "run") ? "with 'run'" : hct_op_str_or(op, "fn", "");
  return hct_error(p->pass->diags, HCT_E_UNSUPPORTED, hct_loc_of(p->arena, op), "the host backend has no %s %s for these element types", hct_op_name(op), fn);
}

static void emit_copy(host_program *p, host_copy copy) {
  const hct_shape *shape = &p->plan.buffers.items[copy.from].shape;
  call_operands operands = {0};
  push_buffer(p, &operands, "o0", copy.to);
  push_buffer(p, &operands, "a0", copy.from);
  host_kernel k = {.arena = p->arena};
  host_open(&k, "i", shape->rank, shape->dims);
  host_store(&k, host_load(&k, "a0", shape, host_index(&k, "i", shape->rank)), "o0", shape, host_index(&k, "i", shape->rank));
  host_close(&k, shape->rank);
  emit_call(p, kernel_name(p, &operands, k.text.data, false, false), &operands, -1);
  hct_text_fini(&k.text);
}

/* ---- metadata ---- */

static void json_string(hct_text *text, const char *value) {
  hct_text_printf(text, "\"");
  for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
    if (*c == '"' || *c == '\\') hct_text_printf(text, "\\%c", *c);
    else if (*c < 0x20) hct_text_printf(text, "\\u%04x", *c);
    else hct_text_append(text, (const char *)c, 1);
  }
  hct_text_printf(text, "\"");
}

static size_t data_begin(host_program *p) {
  static const char zeros[HCT_HOST_ALIGNMENT];
  hct_text_append(&p->data, zeros, (HCT_HOST_ALIGNMENT - p->data.length % HCT_HOST_ALIGNMENT) % HCT_HOST_ALIGNMENT);
  return p->data.length;
}

static void data_dense(host_program *p, MlirAttribute attribute, const hct_shape *shape) {
  size_t size = hct_dtype_bytes(shape->dtype), count = (size_t)hct_shape_elements(shape);
  bool splat = mlirDenseElementsAttrIsSplat(attribute);
  const char *raw = mlirDenseElementsAttrGetRawData(attribute);
  if (shape->dtype != HCT_BOOL && !splat) {
    hct_text_append(&p->data, raw, count * size);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    char truth = shape->dtype == HCT_BOOL && (splat ? mlirDenseElementsAttrGetBoolSplatValue(attribute) : mlirDenseElementsAttrGetBoolValue(attribute, (intptr_t)i));
    hct_text_append(&p->data, shape->dtype == HCT_BOOL ? &truth : raw, size);
  }
}

static const char *file_open_path(const host_program *p, const char *file) { return hct_path_join(p->arena, p->pass->directory ? p->pass->directory : ".", file); }
/* As seen from the program's folder. */
static const char *file_place(const host_program *p, const char *file) { return hct_path_relative(p->arena, file_open_path(p, file), hct_path_folder(p->arena, p->out_path)); }

/* What the metadata say of a tensor whose contents lie in a file, or in the data of the program after being copied there. */
static hct_status describe_reference(host_program *p, const char *name, const char *text, const hct_shape *shape) {
  hct_data_reference reference;
  int64_t elements = hct_shape_elements(shape), bytes = elements * (int64_t)hct_dtype_bytes(shape->dtype);
  if (!hct_data_reference_parse(p->arena, text, &reference) || reference.bytes != (reference.dtype ? elements * (int64_t)hct_dtype_bytes(reference.dtype) : bytes))
    return hct_error(p->pass->diags, HCT_E_IR_INVALID, (hct_loc){.file = name}, "'%s' is no reference to data of %lld bytes", text, (long long)bytes);
  if (reference.kind == HCT_DATA_ABSENT) return HCT_OK;
  const char *path = file_open_path(p, reference.file);
  size_t at = (size_t)reference.offset;
  if (reference.kind == HCT_DATA_EXTERNAL && !reference.dtype) {
    hct_text_printf(&p->metadata, ", \"data_file\": ");
    json_string(&p->metadata, file_place(p, reference.file));
    hct_text_printf(&p->metadata, ", \"data_xxh3\": \"%016llx\"", (unsigned long long)reference.checksum);
  } else {
    hct_file file;
    HCT_TRY(hct_data_reference_map(p->pass->diags, path, &reference, name, &file));
    at = data_begin(p);
    const uint8_t *from = file.data + reference.offset;
    if (!reference.dtype) hct_text_append(&p->data, (const char *)from, (size_t)bytes);
    for (int64_t i = 0; reference.dtype && i < elements; i++) {
      uint8_t element[8];
      hct_element_set(shape->dtype, element, hct_element_get(reference.dtype, from + (size_t)i * hct_dtype_bytes(reference.dtype)));
      hct_text_append(&p->data, (const char *)element, hct_dtype_bytes(shape->dtype));
    }
    hct_file_unmap(&file);
  }
  hct_text_printf(&p->metadata, ", \"data_offset\": %zu, \"data_bytes\": %lld", at, (long long)bytes);
  return HCT_OK;
}

static hct_status describe_tensor(host_program *p, const char *name, const char *role, size_t buffer, MlirAttribute data) {
  const host_buffer *b = &p->plan.buffers.items[buffer];
  hct_text *m = &p->metadata;
  hct_text_printf(m, "%s\n  {\"name\": ", m->data[m->length - 1] == '[' ? "" : ",");
  json_string(m, name);
  hct_text_printf(m, ", \"role\": \"%s\", \"dtype\": \"%s\", \"shape\": [", role, hct_dtype_name(b->shape.dtype));
  for (size_t d = 0; d < b->shape.rank; d++) hct_text_printf(m, "%s%lld", d ? ", " : "", (long long)b->shape.dims[d]);
  hct_text_printf(m, "], \"offset\": %lld", (long long)b->offset);
  if (!mlirAttributeIsNull(data) && hct_attr_text(data)) {
    HCT_TRY(describe_reference(p, name, hct_attr_text(data), &b->shape));
  } else if (!mlirAttributeIsNull(data)) {
    if (!mlirAttributeIsADenseElements(data)) return hct_error(p->pass->diags, HCT_E_UNSUPPORTED, (hct_loc){.file = name}, "the host backend reads dense elements and file references only");
    size_t at = data_begin(p);
    data_dense(p, data, &b->shape);
    hct_text_printf(m, ", \"data_offset\": %zu, \"data_bytes\": %zu", at, p->data.length - at);
  }
  hct_text_printf(m, "}");
  return HCT_OK;
}

static const char *text_of(MlirAttribute attribute) { return mlirAttributeIsNull(attribute) ? "" : hct_attr_text(attribute); }

static hct_status describe_tensors(host_program *p) {
  MlirOperation function = p->plan.function;
  for (size_t i = 0; i < p->plan.argument_count; i++) {
    const char *name = text_of(hct_function_arg_attr(function, i, "hct.name")), *role = text_of(hct_function_arg_attr(function, i, "hct.role"));
    HCT_TRY(describe_tensor(p, name, role, i, hct_function_arg_attr(function, i, "hct.data")));
  }
  for (size_t i = 0; i < p->plan.op_count; i++) {
    if (!hct_op_is(p->plan.ops[i], "hct_graph.constant")) continue;
    MlirAttribute value = mlirOperationGetAttributeByName(p->plan.ops[i], hct_ref("value"));
    HCT_TRY(describe_tensor(p, hct_arena_printf(p->arena, "constant:%zu", i), "constant", host_plan_buffer(&p->plan, hct_op_result(p->plan.ops[i], 0)), value));
  }
  for (size_t i = 0; i < p->plan.result_count; i++) {
    const char *name = text_of(hct_function_result_attr(function, i, "hct.name")), *role = text_of(hct_function_result_attr(function, i, "hct.role"));
    if (!strcmp(role, "param") || !strcmp(role, "state")) continue; /* their arguments' buffers */
    HCT_TRY(describe_tensor(p, name, role, p->plan.results[i], (MlirAttribute){NULL}));
  }
  return HCT_OK;
}

static int64_t batch_of(const host_program *p) {
  for (size_t i = 0; i < p->plan.argument_count; i++)
    if (!strcmp(text_of(hct_function_arg_attr(p->plan.function, i, "hct.role")), "input") && p->plan.buffers.items[i].shape.rank) return p->plan.buffers.items[i].shape.dims[0];
  return 1;
}

static hct_status describe(host_program *p) {
  static const char *const options[] = {"mode", "optimizer", "dtype"}, *const fallbacks[] = {"train", "adamw", "f32"};
  hct_text *m = &p->metadata;
  hct_text_printf(m, "{\"schema\": \"%s\", \"arena_bytes\": %lld, \"batch\": %lld,\n \"meta\": {\"model\": ", HCT_HOST_SCHEMA, (long long)p->plan.arena_bytes, (long long)batch_of(p));
  json_string(m, hct_op_str_or(mlirModuleGetOperation(p->module), "hct.model", ""));
  hct_data_reference model;
  if (hct_data_reference_parse(p->arena, hct_op_str_or(mlirModuleGetOperation(p->module), "hct.model_file", ""), &model)) {
    hct_text_printf(m, ", \"%s\": \"%016llx\", \"%s\": ", HCT_META_MODEL_CHECKSUM, (unsigned long long)model.checksum, HCT_META_MODEL_FILE);
    json_string(m, file_place(p, model.file));
  }
  if (hct_op_has(mlirModuleGetOperation(p->module), "hct.labels")) {
    hct_text_printf(m, ", \"%s\": ", HCT_META_LABELS);
    json_string(m, hct_op_str(mlirModuleGetOperation(p->module), "hct.labels"));
  }
  for (size_t i = 0; i < HCT_COUNT(options); i++) {
    hct_text_printf(m, ", \"%s\": ", options[i]);
    json_string(m, hct_pass_option(p->pass, options[i], fallbacks[i]));
  }
  hct_text_printf(m, ", \"version\": \"%s\"},\n \"tensors\": [", HCT_VERSION);
  HCT_TRY(describe_tensors(p));
  hct_text_printf(m, "],\n \"locations\": [");
  for (size_t i = 0; i < p->locations.count; i++) {
    if (i) hct_text_printf(m, ", ");
    json_string(m, p->locations.items[i]);
  }
  hct_text_printf(m, "]}\n");
  return HCT_OK;
}

/* ---- the whole ---- */

static hct_status build(host_program *p, hct_text *out_mlir) {
  host_plan_make(p->arena, hct_module_function(p->module), &p->plan);
  for (size_t i = 0; i < p->plan.op_count; i++) HCT_TRY(emit_operation(p, p->plan.ops[i]));
  for (size_t i = 0; i < p->plan.copies.count; i++) emit_copy(p, p->plan.copies.items[i]);
  HCT_TRY(describe(p));
  if (p->kernels.length) hct_text_append(out_mlir, p->kernels.data, p->kernels.length);
  hct_text_printf(out_mlir, "func.func @%s(%%arena: memref<%lldxi8>) {\n", HCT_HOST_STEP, (long long)p->plan.arena_bytes);
  if (p->step.length) hct_text_append(out_mlir, p->step.data, p->step.length);
  hct_text_printf(out_mlir, "  return\n}\n");
  return HCT_OK;
}

static hct_status text_write(hct_pass_context *pass, const hct_text *text, const char *path) {
  hct_output *output;
  HCT_TRY(hct_output_open(pass->diags, path, &output));
  fwrite(text->data, 1, text->length, hct_output_stream(output));
  return hct_output_commit(pass->diags, output);
}

static hct_status object_write(hct_pass_context *pass, const host_program *p, const hct_text *mlir, const char *path) {
  hct_output *output;
  HCT_TRY(hct_output_open(pass->diags, path, &output));
  hct_status status = host_object_write(pass->diags, mlir, &p->metadata, &p->data, hct_output_stream(output));
  if (status == HCT_OK) return hct_output_commit(pass->diags, output);
  hct_output_abandon(output);
  return status;
}

static hct_status host_emit(hct_pass_context *pass, MlirModule module, bool text, const char *out_path) {
  const char *dtype = hct_pass_option(pass, "dtype", "f32");
  if (strcmp(dtype, "f32")) { /* its products would add up in the type of their results */
    hct_error(pass->diags, HCT_E_UNSUPPORTED, (hct_loc){0}, "--dtype=%s does not work yet with --backend=host", dtype);
    hct_hint(pass->diags, "--backend=chiplet, with --mesh=1x1 for a single die");
    return HCT_REFUSED;
  }
  host_program p = {.pass = pass, .arena = hct_arena_create(), .module = module, .out_path = out_path};
  hct_text mlir = {0};
  p.known = hct_map_create(p.arena);
  hct_status status = build(&p, &mlir);
  if (status == HCT_OK) status = text ? text_write(pass, &mlir, out_path) : object_write(pass, &p, &mlir, out_path);
  hct_text *const texts[] = {&mlir, &p.kernels, &p.step, &p.metadata, &p.data};
  for (size_t i = 0; i < HCT_COUNT(texts); i++) hct_text_fini(texts[i]);
  hct_arena_destroy(p.arena);
  return status;
}

const hct_backend hct_backend_host = {"host", host_emit};
