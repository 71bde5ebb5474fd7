#include "runtime/loader/save_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct hct_saved_model {
  hct_diags *diags;
  hct_arena *arena;
  const hct_image *image;
  const char *path, *folder; /* of the model; its folder without symbolic links */
  Onnx__ModelProto *proto;
  int64_t external_bytes;    /* that will be inside */
};

static hct_loc initializer_loc(const hct_saved_model *m, const Onnx__TensorProto *tensor) {
  return (hct_loc){.file = m->path, .where = hct_arena_printf(m->arena, "tensor '%s'", tensor->name ? tensor->name : "")};
}

/* ---- external data goes inside: the copy may lie elsewhere ---- */
static const char *entry_of(const Onnx__TensorProto *tensor, const char *key, const char *fallback) {
  for (size_t i = 0; i < tensor->n_external_data; i++)
    if (tensor->external_data[i]->key && tensor->external_data[i]->value && !strcmp(tensor->external_data[i]->key, key)) return tensor->external_data[i]->value;
  return fallback;
}

static bool is_external(const Onnx__TensorProto *tensor) { return tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL; }

static void data_put(Onnx__TensorProto *tensor, uint8_t *data, size_t bytes) {
  tensor->n_float_data = tensor->n_double_data = tensor->n_int32_data = tensor->n_int64_data = tensor->n_uint64_data = tensor->n_external_data = 0;
  tensor->has_data_location = 0;
  tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT;
  tensor->has_raw_data = 1;
  tensor->raw_data = (ProtobufCBinaryData){.len = bytes, .data = data};
}

static hct_status tensor_inline(hct_saved_model *m, Onnx__TensorProto *tensor) {
  hct_loc loc = initializer_loc(m, tensor);
  const char *location = entry_of(tensor, "location", NULL), *real = location ? hct_path_resolve(m->arena, hct_path_join(m->arena, m->folder, location)) : NULL;
  int64_t offset, length = -1;
  const char *length_text = entry_of(tensor, "length", NULL);
  size_t folder_length = strlen(m->folder);
  if (!real) return hct_error(m->diags, HCT_E_MODEL, loc, "its external data '%s' is not there", location ? location : "");
  if (strncmp(real, m->folder, folder_length) || (folder_length > 1 && real[folder_length] != '/')) return hct_error(m->diags, HCT_E_MODEL, loc, "its external data '%s' is outside of the model's folder", location);
  if (!hct_parse_i64(entry_of(tensor, "offset", "0"), &offset) || offset < 0 || (length_text && (!hct_parse_i64(length_text, &length) || length < 0))) return hct_error(m->diags, HCT_E_MODEL, loc, "its external data has no place that is a number of bytes");
  hct_file file;
  HCT_TRY(hct_file_map(m->diags, real, &file));
  hct_status status = HCT_OK;
  if ((uint64_t)offset > file.bytes || (length >= 0 && (uint64_t)length > file.bytes - (uint64_t)offset)) {
    status = hct_error(m->diags, HCT_E_MODEL, loc, "its external data '%s' has been cut to %zu bytes", location, file.bytes);
  } else {
    size_t bytes = length >= 0 ? (size_t)length : file.bytes - (size_t)offset;
    uint8_t *data = hct_arena_alloc(m->arena, bytes + 1);
    memcpy(data, file.data + offset, bytes);
    data_put(tensor, data, bytes);
  }
  hct_file_unmap(&file);
  return status;
}

/* What a visit does with each tensor of the model that is no parameter of the program. */
typedef hct_status (*tensor_visit)(hct_saved_model *m, Onnx__TensorProto *tensor);

static hct_status graph_visit(hct_saved_model *m, Onnx__GraphProto *graph, bool top, tensor_visit visit);

static hct_status sparse_visit(hct_saved_model *m, Onnx__SparseTensorProto *sparse, tensor_visit visit) {
  if (sparse->values) HCT_TRY(visit(m, sparse->values));
  return sparse->indices ? visit(m, sparse->indices) : HCT_OK;
}

static hct_status node_visit(hct_saved_model *m, Onnx__NodeProto *node, tensor_visit visit) {
  for (size_t i = 0; i < node->n_attribute; i++) {
    Onnx__AttributeProto *a = node->attribute[i];
    if (a->t) HCT_TRY(visit(m, a->t));
    if (a->g) HCT_TRY(graph_visit(m, a->g, false, visit));
    if (a->sparse_tensor) HCT_TRY(sparse_visit(m, a->sparse_tensor, visit));
    for (size_t k = 0; k < a->n_tensors; k++) HCT_TRY(visit(m, a->tensors[k]));
    for (size_t k = 0; k < a->n_graphs; k++) HCT_TRY(graph_visit(m, a->graphs[k], false, visit));
    for (size_t k = 0; k < a->n_sparse_tensors; k++) HCT_TRY(sparse_visit(m, a->sparse_tensors[k], visit));
  }
  return HCT_OK;
}

static const hct_tensor *parameter_of(const hct_saved_model *m, const Onnx__TensorProto *tensor) { return tensor->name ? hct_image_tensor(m->image, HCT_ROLE_PARAM, tensor->name) : NULL; }

static hct_status graph_visit(hct_saved_model *m, Onnx__GraphProto *graph, bool top, tensor_visit visit) {
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (!top || !parameter_of(m, graph->initializer[i])) HCT_TRY(visit(m, graph->initializer[i]));
  for (size_t i = 0; i < graph->n_sparse_initializer; i++) HCT_TRY(sparse_visit(m, graph->sparse_initializer[i], visit));
  for (size_t i = 0; i < graph->n_node; i++) HCT_TRY(node_visit(m, graph->node[i], visit));
  return HCT_OK;
}

static hct_status model_visit(hct_saved_model *m, tensor_visit visit) {
  HCT_TRY(graph_visit(m, m->proto->graph, true, visit));
  for (size_t f = 0; f < m->proto->n_functions; f++)
    for (size_t i = 0; i < m->proto->functions[f]->n_node; i++) HCT_TRY(node_visit(m, m->proto->functions[f]->node[i], visit));
  return HCT_OK;
}

static hct_status visit_inline(hct_saved_model *m, Onnx__TensorProto *tensor) { return is_external(tensor) ? tensor_inline(m, tensor) : HCT_OK; }

/* A file that is not there is found when it is read. */
static hct_status visit_size(hct_saved_model *m, Onnx__TensorProto *tensor) {
  hct_dtype dtype;
  int64_t bytes = 1;
  for (size_t d = 0; is_external(tensor) && d < tensor->n_dims; d++)
    if (tensor->dims[d] < 0 || !hct_mul_i64(bytes, tensor->dims[d], &bytes)) bytes = -1;
  if (bytes < 0 || (hct_dtype_from_onnx(tensor->data_type, &dtype) && !hct_dtype_file_bytes(dtype, bytes, &bytes))) return hct_error(m->diags, HCT_E_MODEL, initializer_loc(m, tensor), "its dimensions are no sizes");
  if (is_external(tensor) && !hct_add_i64(m->external_bytes, bytes, &m->external_bytes)) m->external_bytes = INT64_MAX;
  return HCT_OK;
}

/* ---- reading ---- */
static void *arena_alloc(void *arena, size_t bytes) { return hct_arena_alloc(arena, bytes + 1); }
static void arena_free(void *arena, void *memory) { (void)arena, (void)memory; }

static hct_status model_read(hct_saved_model *m, uint64_t checksum) {
  hct_loc loc = {.file = m->path};
  hct_file file;
  hct_status status = hct_file_map(m->diags, m->path, &file);
  if (status == HCT_OK) {
    ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = m->arena};
    if (hct_checksum(file.data, file.bytes) != checksum) status = hct_error(m->diags, HCT_E_MODEL, loc, "the model has changed since the program was compiled from it");
    else m->proto = onnx__model_proto__unpack(&allocator, file.bytes, file.data);
    if (status == HCT_OK && (!m->proto || !m->proto->graph)) status = hct_error(m->diags, HCT_E_MODEL, loc, "not an ONNX model");
    hct_file_unmap(&file);
  }
  if (status == HCT_OK) return HCT_OK;
  hct_note(m->diags, "--save-model puts trained weights into the model that the program was compiled from");
  hct_hint(m->diags, "compile the model again, or --output param:NAME=FILE.npy");
  return status;
}

static hct_status size_check(const hct_saved_model *m) {
  uint64_t bytes = onnx__model_proto__get_packed_size(m->proto) + (uint64_t)m->external_bytes;
  if (bytes <= INT32_MAX) return HCT_OK;
  hct_error(m->diags, HCT_E_MODEL, (hct_loc){.file = m->path}, "with all data inside it would be of %" PRIu64 " bytes; an ONNX file has less than 2 GiB", bytes);
  hct_hint(m->diags, "--output param:NAME=FILE.npy writes a trained weight by itself");
  return HCT_REFUSED;
}

static Onnx__TensorProto *initializer_of(const hct_saved_model *m, const char *name) {
  for (size_t i = 0; i < m->proto->graph->n_initializer; i++) {
    Onnx__TensorProto *tensor = m->proto->graph->initializer[i];
    if (tensor->name && !strcmp(tensor->name, name)) return tensor;
  }
  return NULL;
}

static hct_status parameters_check(hct_saved_model *m) {
  for (size_t i = 0; i < m->image->tensor_count; i++) {
    const hct_tensor *tensor = &m->image->tensors[i];
    if (tensor->role != HCT_ROLE_PARAM) continue;
    Onnx__TensorProto *initializer = initializer_of(m, tensor->name);
    if (!initializer) return hct_error(m->diags, HCT_E_MODEL, (hct_loc){.file = m->path}, "it has no initializer '%s', which is a parameter of the program", tensor->name);
    hct_dtype dtype;
    int64_t elements = 1;
    for (size_t d = 0; d < initializer->n_dims; d++)
      if (!hct_mul_i64(elements, initializer->dims[d], &elements)) elements = -1;
    if (!hct_dtype_from_onnx(initializer->data_type, &dtype) || !hct_dtype_is_float(dtype) || elements != hct_layout_elements(&tensor->layout))
      return hct_error(m->diags, HCT_E_MODEL, initializer_loc(m, initializer), "it is not of the %lld floats that the program's parameter has", (long long)hct_layout_elements(&tensor->layout));
    if (hct_image_tensor(m->image, HCT_ROLE_PARAM, tensor->name) == tensor) HCT_TRY(visit_size(m, initializer));
  }
  return HCT_OK;
}

hct_status hct_saved_model_open(hct_diags *diags, hct_arena *arena, const hct_image *image, const char *image_path, hct_saved_model **out_model) {
  const char *file = hct_image_meta(image, HCT_META_MODEL_FILE), *checksum = hct_image_meta(image, HCT_META_MODEL_CHECKSUM);
  if (!file || !checksum) return hct_error(diags, HCT_E_MODEL, (hct_loc){.file = image_path}, "--save-model: the program does not say what model it was compiled from");
  hct_saved_model *m = HCT_NEW(arena, hct_saved_model);
  *m = (hct_saved_model){.diags = diags, .arena = arena, .image = image, .path = hct_path_join(arena, hct_path_folder(arena, image_path), file)};
  HCT_TRY(model_read(m, strtoull(checksum, NULL, 16)));
  m->folder = hct_path_resolve(arena, hct_path_folder(arena, m->path));
  if (!m->folder) return hct_error(diags, HCT_E_IO, (hct_loc){.file = m->path}, "its folder cannot be read");
  HCT_TRY(parameters_check(m));
  HCT_TRY(model_visit(m, visit_size));
  HCT_TRY(size_check(m));
  HCT_TRY(model_visit(m, visit_inline));
  *out_model = m;
  return HCT_OK;
}

/* ---- writing ---- */
static hct_status weights_put(hct_saved_model *m, const hct_memory *memories, const hct_tensor *tensor) {
  Onnx__TensorProto *initializer = initializer_of(m, tensor->name);
  hct_array array = hct_tensor_shape(tensor);
  uint8_t *data = hct_arena_alloc(m->arena, array.bytes + 1);
  if (!hct_loader_assemble(m->image, memories, tensor, data)) return hct_error(m->diags, HCT_E_FAULT, (hct_loc){0}, "copies of '%s' on different dies differ", tensor->name);
  array.data = data;
  hct_dtype dtype;
  HCT_BUG_ON(!hct_dtype_from_onnx(initializer->data_type, &dtype), "type of '%s'", tensor->name);
  hct_array_convert(m->arena, &array, dtype);
  data_put(initializer, (uint8_t *)(uintptr_t)array.data, array.bytes);
  return HCT_OK;
}

typedef struct stream_buffer { ProtobufCBuffer base; FILE *stream; } stream_buffer;
static void stream_append(ProtobufCBuffer *buffer, size_t bytes, const uint8_t *data) { fwrite(data, 1, bytes, ((stream_buffer *)buffer)->stream); }

hct_status hct_saved_model_write(hct_diags *diags, hct_saved_model *m, const hct_memory *memories, const char *path) {
  for (size_t i = 0; i < m->image->tensor_count; i++) {
    const hct_tensor *tensor = &m->image->tensors[i];
    if (tensor->role == HCT_ROLE_PARAM && hct_image_tensor(m->image, HCT_ROLE_PARAM, tensor->name) == tensor) HCT_TRY(weights_put(m, memories, tensor));
  }
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  stream_buffer buffer = {{stream_append}, hct_output_stream(output)};
  onnx__model_proto__pack_to_buffer(m->proto, &buffer.base);
  return hct_output_commit(diags, output);
}
