#include "runtime/loader/checkpoint.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 1, DIFFERENCES_SHOWN = 4 };
static const char MAGIC[8] = "HCTCKPT";

typedef struct header {
  char magic[8];
  uint32_t version, zero;
  uint64_t table_offset, table_bytes, table_checksum, checksum; /* the last: of what is before it */
} header;
_Static_assert(sizeof(header) == 48, "the header is a part of the format");

typedef struct entry { const char *name; hct_role role; hct_array array; } entry;
typedef struct checkpoint {
  hct_file file;
  const char *model, *optimizer;
  int64_t steps;
  entry *entries;
  size_t entry_count;
} checkpoint;

static const char *meta_or_empty(const hct_image *image, const char *key) { return hct_image_meta(image, key) ? hct_image_meta(image, key) : ""; }

/* The first piece stands for all of a tensor. */
static bool is_kept(const hct_image *image, const hct_tensor *tensor) {
  return (tensor->role == HCT_ROLE_PARAM || tensor->role == HCT_ROLE_STATE) && hct_image_tensor(image, tensor->role, tensor->name) == tensor;
}

/* ---- writing ---- */
typedef struct writer {
  FILE *stream;
  json_t *rows;
  uint64_t offset;
} writer;

static void tensor_write(writer *w, const char *name, hct_role role, const hct_array *array) {
  char checksum[24];
  json_t *shape = json_array();
  for (size_t d = 0; d < array->rank; d++) json_array_append_new(shape, json_integer((json_int_t)array->dims[d]));
  snprintf(checksum, sizeof checksum, "%016llx", (unsigned long long)hct_checksum(array->data, array->bytes));
  json_array_append_new(w->rows, json_pack("{s:s,s:s,s:s,s:o,s:I,s:I,s:s}", "name", name, "role", hct_role_name(role), "dtype", hct_dtype_name(array->dtype), "shape", shape, "offset",
                                           (json_int_t)w->offset, "bytes", (json_int_t)array->bytes, "xxh3", checksum));
  if (array->bytes) fwrite(array->data, 1, array->bytes, w->stream);
  w->offset += array->bytes;
}

static hct_status tensors_write(hct_diags *diags, writer *w, const hct_image *image, const hct_memory *memories) {
  for (size_t i = 0; i < image->tensor_count; i++) {
    const hct_tensor *tensor = &image->tensors[i];
    if (!is_kept(image, tensor)) continue;
    hct_array array = hct_tensor_shape(tensor);
    uint8_t *data = malloc(array.bytes + 1);
    HCT_BUG_ON(!data, "out of memory");
    array.data = data;
    bool equal = hct_loader_assemble(image, memories, tensor, data);
    if (equal) tensor_write(w, tensor->name, tensor->role, &array);
    free(data);
    if (!equal) return hct_error(diags, HCT_E_FAULT, (hct_loc){0}, "copies of '%s' on different dies differ", tensor->name);
  }
  return HCT_OK;
}

/* Rows go to the table. */
static void table_write(writer *w, const hct_image *image, int64_t steps) {
  json_t *table = json_pack("{s:s,s:s,s:I,s:O}", "model", meta_or_empty(image, "model"), "optimizer", meta_or_empty(image, "optimizer"), "steps", (json_int_t)steps, "tensors", w->rows);
  char *text = json_dumps(table, JSON_COMPACT);
  HCT_BUG_ON(!text, "out of memory");
  header h = {.version = VERSION, .table_offset = w->offset, .table_bytes = strlen(text), .table_checksum = hct_checksum(text, strlen(text))};
  memcpy(h.magic, MAGIC, sizeof MAGIC);
  h.checksum = hct_checksum(&h, offsetof(header, checksum));
  fwrite(text, 1, strlen(text), w->stream);
  if (fseek(w->stream, 0, SEEK_SET) == 0) fwrite(&h, 1, sizeof h, w->stream); /* else it has no magic, and is not whole */
  free(text);
  json_decref(table);
}

static const char *whole_map(hct_arena *arena, const char *path, checkpoint *out_checkpoint);

static bool is_whole(hct_arena *arena, const char *path) {
  checkpoint there;
  bool whole = !whole_map(arena, path, &there);
  if (whole) hct_file_unmap(&there.file);
  return whole;
}

hct_status hct_checkpoint_write(hct_diags *diags, const hct_image *image, const hct_memory *memories, const char *path, const hct_checkpoint_progress *progress) {
  hct_output *output;
  hct_output_sweep(path);
  HCT_TRY(hct_output_open(diags, path, &output));
  const header blank = {0};
  writer w = {.stream = hct_output_stream(output), .rows = json_array(), .offset = sizeof blank};
  fwrite(&blank, 1, sizeof blank, w.stream);
  hct_array losses = {.dtype = HCT_F64, .rank = 1, .dims = {(int64_t)progress->loss_count}, .data = (const uint8_t *)progress->losses, .bytes = progress->loss_count * sizeof(double)};
  hct_status status = tensors_write(diags, &w, image, memories);
  if (status == HCT_OK) {
    tensor_write(&w, "loss", HCT_ROLE_LOSS, &losses);
    table_write(&w, image, progress->steps);
  }
  json_decref(w.rows);
  if (status != HCT_OK) return hct_output_abandon(output), status;
  hct_arena *arena = hct_arena_create();
  const char *previous = is_whole(arena, path) ? hct_arena_printf(arena, "%s.previous", path) : NULL; /* a corrupt one must not take a good one's place */
  status = hct_output_commit_keeping(diags, output, previous);
  hct_arena_destroy(arena);
  return status;
}

/* ---- reading: each returns what is wrong, or NULL ---- */
static const char *entry_read(hct_arena *arena, const json_t *row, const uint8_t *file, uint64_t end, uint64_t *offset, entry *out_entry) {
  const char *name = json_string_value(json_object_get(row, "name")), *role = json_string_value(json_object_get(row, "role"));
  const char *dtype = json_string_value(json_object_get(row, "dtype")), *checksum = json_string_value(json_object_get(row, "xxh3"));
  const json_t *shape = json_object_get(row, "shape");
  entry e = {.array = {.rank = json_array_size(shape)}};
  if (!name || !role || !dtype || !checksum || e.array.rank > HCT_MAX_RANK || !hct_role_parse(role, &e.role) || !hct_dtype_parse(dtype, &e.array.dtype)) return "its table is not understood";
  int64_t bytes = (int64_t)hct_dtype_bytes(e.array.dtype);
  for (size_t d = 0; d < e.array.rank; d++) {
    e.array.dims[d] = json_integer_value(json_array_get(shape, d));
    if (e.array.dims[d] < 0 || !hct_mul_i64(bytes, e.array.dims[d], &bytes)) return "its table is not understood";
  }
  if (json_integer_value(json_object_get(row, "offset")) != (json_int_t)*offset || json_integer_value(json_object_get(row, "bytes")) != bytes || (uint64_t)bytes > end - *offset) return "its table does not fit its data";
  e.name = hct_arena_strdup(arena, name);
  e.array.bytes = (size_t)bytes;
  e.array.data = file + *offset;
  if (hct_checksum(e.array.data, e.array.bytes) != strtoull(checksum, NULL, 16)) return hct_arena_printf(arena, "it is corrupt: the data of '%s' has another checksum", name);
  *offset += (uint64_t)bytes;
  *out_entry = e;
  return NULL;
}

static const char *table_read(hct_arena *arena, const json_t *table, uint64_t end, checkpoint *c) {
  const json_t *rows = json_object_get(table, "tensors");
  const char *model = json_string_value(json_object_get(table, "model")), *optimizer = json_string_value(json_object_get(table, "optimizer"));
  uint64_t offset = sizeof(header);
  c->steps = json_integer_value(json_object_get(table, "steps"));
  if (!model || !optimizer || c->steps < 1 || !json_array_size(rows)) return "its table is not understood";
  c->model = hct_arena_strdup(arena, model);
  c->optimizer = hct_arena_strdup(arena, optimizer);
  c->entries = HCT_NEW_ARRAY(arena, entry, json_array_size(rows));
  for (; c->entry_count < json_array_size(rows); c->entry_count++) {
    const char *wrong = entry_read(arena, json_array_get(rows, c->entry_count), c->file.data, end, &offset, &c->entries[c->entry_count]);
    if (wrong) return wrong;
  }
  const entry *losses = &c->entries[c->entry_count - 1];
  if (offset != end || losses->role != HCT_ROLE_LOSS || losses->array.dtype != HCT_F64 || losses->array.rank != 1 || (losses->array.dims[0] && losses->array.dims[0] != c->steps)) return "its table does not fit its data";
  return NULL;
}

static const char *content_read(hct_arena *arena, checkpoint *c) {
  header h;
  size_t bytes = c->file.bytes;
  if (bytes < sizeof h) return hct_arena_printf(arena, "it is no checkpoint, or cut short (%zu bytes)", bytes);
  memcpy(&h, c->file.data, sizeof h);
  if (memcmp(h.magic, MAGIC, sizeof MAGIC) != 0) return "it is no checkpoint, or its first bytes are corrupt";
  if (h.checksum != hct_checksum(&h, offsetof(header, checksum))) return "it is corrupt: its header has another checksum";
  if (h.version != VERSION || h.zero) return hct_arena_printf(arena, "it is of version %u; this program reads version %d", h.version, VERSION);
  if (h.table_offset < sizeof h || h.table_offset > bytes || h.table_bytes != bytes - h.table_offset)
    return hct_arena_printf(arena, "it has %zu bytes; its header says %llu", bytes, (unsigned long long)(h.table_offset + h.table_bytes));
  if (h.table_checksum != hct_checksum(c->file.data + h.table_offset, h.table_bytes)) return "it is corrupt: its table has another checksum";
  json_t *table = json_loadb((const char *)c->file.data + h.table_offset, h.table_bytes, 0, NULL);
  const char *wrong = table_read(arena, table, h.table_offset, c);
  json_decref(table);
  return wrong;
}

static const char *whole_map(hct_arena *arena, const char *path, checkpoint *out_checkpoint) {
  checkpoint c = {0};
  if (access(path, R_OK) != 0) return hct_arena_printf(arena, "cannot open: %s", strerror(errno));
  hct_diags *quiet = hct_diags_create(NULL);
  hct_status status = hct_file_map(quiet, path, &c.file);
  hct_diags_destroy(quiet);
  if (status != HCT_OK) return "it is not a regular file";
  const char *wrong = content_read(arena, &c);
  if (wrong) hct_file_unmap(&c.file);
  else *out_checkpoint = c;
  return wrong;
}

/* ---- whether it is of this program ---- */
static const entry *entry_find(const checkpoint *c, const hct_tensor *tensor) {
  for (size_t i = 0; i < c->entry_count; i++)
    if (c->entries[i].role == tensor->role && !strcmp(c->entries[i].name, tensor->name)) return &c->entries[i];
  return NULL;
}

static bool same_shape(const hct_array *a, const hct_array *b) {
  bool same = a->dtype == b->dtype && a->rank == b->rank;
  for (size_t d = 0; same && d < a->rank; d++) same = a->dims[d] == b->dims[d];
  return same;
}

static const char *shape_text(hct_arena *arena, const hct_array *array) {
  const char *text = hct_arena_printf(arena, "%s[", hct_dtype_name(array->dtype));
  for (size_t d = 0; d < array->rank; d++) text = hct_arena_printf(arena, "%s%s%lld", text, d ? "," : "", (long long)array->dims[d]);
  return hct_arena_printf(arena, "%s]", text);
}

/* What differs, one text each. */
typedef struct differences { const char **items; size_t count, capacity; } differences;

static differences differences_find(hct_arena *arena, const hct_image *image, const checkpoint *c) {
  differences list = {0};
  for (size_t i = 0; i < image->tensor_count; i++) {
    const hct_tensor *tensor = &image->tensors[i];
    if (!is_kept(image, tensor)) continue;
    const entry *e = entry_find(c, tensor);
    hct_array wanted = hct_tensor_shape(tensor);
    if (!e) HCT_PUSH(arena, &list, (const char *)hct_arena_printf(arena, "it has no %s '%s'", hct_role_name(tensor->role), tensor->name));
    else if (!same_shape(&e->array, &wanted)) HCT_PUSH(arena, &list, (const char *)hct_arena_printf(arena, "%s '%s' is %s; the program's is %s", hct_role_name(tensor->role), tensor->name, shape_text(arena, &e->array), shape_text(arena, &wanted)));
  }
  for (size_t i = 0; i + 1 < c->entry_count; i++)
    if (!hct_image_tensor(image, c->entries[i].role, c->entries[i].name)) HCT_PUSH(arena, &list, (const char *)hct_arena_printf(arena, "it has %s '%s'; the program has none", hct_role_name(c->entries[i].role), c->entries[i].name));
  return list;
}

static hct_status check_program(hct_diags *diags, hct_arena *arena, const hct_image *image, const char *path, const checkpoint *c, int64_t most_steps) {
  const char *optimizer = meta_or_empty(image, "optimizer");
  hct_loc loc = {.file = path};
  if (strcmp(optimizer, c->optimizer)) return hct_error(diags, HCT_E_CHECKPOINT, loc, "it is of another program: of --optimizer=%s, and this one is of --optimizer=%s", c->optimizer, optimizer);
  differences list = differences_find(arena, image, c);
  if (list.count) {
    hct_error(diags, HCT_E_CHECKPOINT, loc, "it is of another program, of the model '%s'; this one is of '%s'", c->model, meta_or_empty(image, "model"));
    for (size_t i = 0; i < list.count && i < DIFFERENCES_SHOWN; i++) hct_note(diags, "%s", list.items[i]);
    if (list.count > DIFFERENCES_SHOWN) hct_note(diags, "and %zu more differences", list.count - DIFFERENCES_SHOWN);
    return HCT_REFUSED;
  }
  if (c->steps <= most_steps) return HCT_OK;
  hct_error(diags, HCT_E_CHECKPOINT, loc, "%lld steps are done; --steps=%lld counts from the beginning of the run", (long long)c->steps, (long long)most_steps);
  hct_hint(diags, "--steps=%lld goes on for one step", (long long)c->steps + 1);
  return HCT_REFUSED;
}

static void restore(hct_arena *arena, const hct_image *image, hct_memory *memories, const checkpoint *c, hct_checkpoint_progress *out_progress) {
  const hct_array *losses = &c->entries[c->entry_count - 1].array;
  for (size_t i = 0; i < image->tensor_count; i++)
    if (is_kept(image, &image->tensors[i])) hct_loader_restore(image, memories, &image->tensors[i], entry_find(c, &image->tensors[i])->array.data);
  *out_progress = (hct_checkpoint_progress){.steps = c->steps, .losses = HCT_NEW_ARRAY(arena, double, (size_t)c->steps), .loss_count = (size_t)losses->dims[0]};
  if (losses->bytes) memcpy(out_progress->losses, losses->data, losses->bytes);
}

hct_status hct_checkpoint_resume(hct_diags *diags, hct_arena *arena, const hct_image *image, hct_memory *memories, const char *path, int64_t most_steps, hct_checkpoint_progress *out_progress) {
  checkpoint c;
  const char *used = path, *wrong = whole_map(arena, path, &c);
  if (wrong) {
    used = hct_arena_printf(arena, "%s.previous", path);
    const char *wrong_too = whole_map(arena, used, &c);
    if (wrong_too) {
      hct_error(diags, HCT_E_CHECKPOINT, (hct_loc){.file = path}, "%s", wrong);
      hct_note(diags, "nor is there one before it: %s: %s", used, wrong_too);
      return HCT_REFUSED;
    }
    hct_warning(diags, (hct_loc){.file = path}, "%s; the run goes on from %s, after %lld steps", wrong, used, (long long)c.steps);
  }
  hct_status status = check_program(diags, arena, image, used, &c, most_steps);
  if (status == HCT_OK) restore(arena, image, memories, &c, out_progress);
  hct_file_unmap(&c.file);
  return status;
}
