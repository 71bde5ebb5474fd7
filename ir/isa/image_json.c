#include "ir/isa/image_json.h"

#include <string.h>

static const char *const role_names[] = {"", "input", "param", "state", "setting", "constant", "loss", "output", "gradient", "spill", "copy"};

const char *hct_role_name(hct_role role) { return (size_t)role < HCT_COUNT(role_names) ? role_names[role] : "?"; }

bool hct_role_parse(const char *name, hct_role *out_role) {
  for (size_t i = 1; i < HCT_COUNT(role_names); i++)
    if (!strcmp(role_names[i], name)) return *out_role = (hct_role)i, true;
  return false;
}

bool hct_data_fits(hct_dtype tensor, hct_dtype said, int64_t elements, int64_t bytes, hct_dtype *out_data) {
  if (said) {
    *out_data = said;
    return hct_dtype_is_float(said) == hct_dtype_is_float(tensor) && bytes == elements * (int64_t)hct_dtype_bytes(said);
  }
  bool same = bytes == elements * (int64_t)hct_dtype_bytes(tensor), wider = hct_dtype_is_half(tensor) && bytes == elements * (int64_t)hct_dtype_bytes(HCT_F32);
  if (same || wider) *out_data = same ? tensor : HCT_F32;
  return same || wider;
}

const char *hct_image_meta(const hct_image *image, const char *key) {
  for (size_t i = 0; i < image->meta_count; i++)
    if (!strcmp(image->meta[i].key, key)) return image->meta[i].value;
  return NULL;
}

/* ---- writing ---- */
json_t *hct_json_header(const hct_image *image) {
  json_t *dies = json_array();
  for (int64_t d = 0; d < image->rows * image->cols; d++) json_array_append_new(dies, json_integer(image->die_stream[d]));
  return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "rows", (json_int_t)image->rows, "cols", (json_int_t)image->cols, "batch", (json_int_t)image->batch,
                   "micro_batch", (json_int_t)image->micro_batch, "sram_bytes", (json_int_t)image->sram_bytes_used, "dram_bytes",
                   (json_int_t)image->dram_bytes_used, "streams", (json_int_t)image->stream_count, "die_stream", dies);
}

bool hct_image_holds_text(const char *text) {
  json_t *json = json_string(text);
  json_decref(json);
  return json != NULL;
}

static char hex_digit(unsigned value) { return "0123456789abcdef"[value & 15]; }

static json_t *hex_write(const uint8_t *data, size_t bytes) {
  hct_text text = {0};
  hct_text_append(&text, "", 0);
  for (size_t i = 0; i < bytes; i++) {
    char pair[2] = {hex_digit(data[i] >> 4), hex_digit(data[i])};
    hct_text_append(&text, pair, 2);
  }
  json_t *json = json_string(text.data);
  hct_text_fini(&text);
  return json;
}

json_t *hct_json_tensors(const hct_image *image, bool inline_data) {
  json_t *array = json_array();
  size_t offset = 0;
  for (size_t i = 0; i < image->tensor_count; i++) {
    const hct_tensor *t = &image->tensors[i];
    hct_text layout = {0};
    hct_layout_print(&t->layout, &layout);
    json_t *row = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "name", t->name, "role", hct_role_name(t->role), "dtype", hct_dtype_name(t->dtype), "layout", layout.data,
                            "dram_offset", (json_int_t)t->dram_offset, "tile_bytes", (json_int_t)t->tile_bytes, "micro_batch_stride", (json_int_t)t->micro_batch_stride);
    hct_text_fini(&layout);
    if (t->data) {
      if (inline_data) json_object_set_new(row, "hex", hex_write(t->data, t->data_bytes));
      else json_object_set_new(row, "offset", json_integer((json_int_t)offset));
      json_object_set_new(row, "bytes", json_integer((json_int_t)t->data_bytes));
      offset += t->data_bytes;
    } else if (t->data_file) {
      char checksum[24];
      snprintf(checksum, sizeof checksum, "%016llx", (unsigned long long)t->data_checksum);
      json_object_set_new(row, "file", json_string(t->data_file));
      json_object_set_new(row, "offset", json_integer((json_int_t)t->data_offset));
      json_object_set_new(row, "bytes", json_integer((json_int_t)t->data_bytes));
      json_object_set_new(row, "xxh3", json_string(checksum));
    }
    if (t->data_dtype) json_object_set_new(row, "data_dtype", json_string(hct_dtype_name(t->data_dtype)));
    json_array_append_new(array, row);
  }
  return array;
}

static json_t *sram_write(const hct_sram_map *sram) {
  json_t *peaks = json_array(), *buffers = json_array();
  for (size_t i = 0; i < sram->peaks.count; i++) {
    const hct_sram_peak *p = &sram->peaks.items[i];
    json_array_append_new(peaks, json_pack("[I,I,I]", (json_int_t)p->bytes, (json_int_t)p->dies, (json_int_t)p->first_die));
  }
  for (size_t i = 0; i < sram->buffers.count; i++) {
    const hct_sram_buffer *b = &sram->buffers.items[i];
    hct_text layout = {0};
    hct_layout_print(&b->layout, &layout);
    json_array_append_new(buffers, json_pack("[I,I,s,s,s]", (json_int_t)b->addr, (json_int_t)b->bytes, hct_dtype_name(b->dtype), layout.data, b->made_for));
    hct_text_fini(&layout);
  }
  return json_pack("{s:I,s:I,s:o,s:o}", "live_bytes", (json_int_t)sram->live_bytes, "live_buffers", (json_int_t)sram->live_buffers, "peaks", peaks, "buffers", buffers);
}

json_t *hct_json_meta(const hct_image *image) {
  json_t *pairs = json_array(), *sources = json_array();
  for (size_t i = 0; i < image->meta_count; i++) json_array_append_new(pairs, json_pack("[s,s]", image->meta[i].key, image->meta[i].value));
  for (size_t i = 0; i < image->source_count; i++) {
    const hct_source *s = &image->sources[i];
    json_array_append_new(sources, json_pack("[s,s,s,s,s]", s->location, s->layer, s->pass, s->collective, s->axis));
  }
  json_t *json = json_pack("{s:o,s:o}", "meta", pairs, "sources", sources);
  if (image->sram.peaks.count) json_object_set_new(json, "sram", sram_write(&image->sram));
  return json;
}

/* ---- reading ---- */
static hct_status bad(hct_json_reader *r, const char *what) { return hct_error(r->diags, HCT_E_IMAGE, r->loc, "%s", what); }

static bool integer_get(json_t *object, const char *key, int64_t low, int64_t high, int64_t *out_value) {
  json_t *value = json_object_get(object, key);
  if (!json_is_integer(value)) return false;
  *out_value = json_integer_value(value);
  return *out_value >= low && *out_value <= high;
}

static const char *string_get(hct_json_reader *r, json_t *value) { return json_is_string(value) ? hct_arena_strdup(r->arena, json_string_value(value)) : NULL; }

enum { MAX_SIDE = 1024, MAX_STREAMS = 1 << 20 };

hct_status hct_json_header_read(hct_json_reader *r, json_t *json, hct_image *image) {
  int64_t streams;
  bool fits = integer_get(json, "rows", 1, MAX_SIDE, &image->rows) && integer_get(json, "cols", 1, MAX_SIDE, &image->cols) &&
              integer_get(json, "batch", 1, INT32_MAX, &image->batch) && integer_get(json, "micro_batch", 1, INT32_MAX, &image->micro_batch) &&
              integer_get(json, "sram_bytes", 0, HCT_MAX_TENSOR_BYTES, &image->sram_bytes_used) && integer_get(json, "dram_bytes", 0, HCT_MAX_TENSOR_BYTES, &image->dram_bytes_used) &&
              integer_get(json, "streams", 1, MAX_STREAMS, &streams) && image->micro_batch <= image->batch;
  json_t *dies = json_object_get(json, "die_stream");
  if (!fits || !json_is_array(dies) || (int64_t)json_array_size(dies) != image->rows * image->cols) return bad(r, "the table of dies is incomplete or out of range");
  image->stream_count = (size_t)streams;
  image->streams = HCT_NEW_ARRAY(r->arena, hct_stream, image->stream_count);
  image->die_stream = HCT_NEW_ARRAY(r->arena, uint32_t, json_array_size(dies));
  for (size_t d = 0; d < json_array_size(dies); d++) {
    json_t *stream = json_array_get(dies, d);
    if (!json_is_integer(stream) || json_integer_value(stream) < 0 || json_integer_value(stream) >= streams) return bad(r, "a die names a stream that does not exist");
    image->die_stream[d] = (uint32_t)json_integer_value(stream);
  }
  return HCT_OK;
}

static int hex_value(char digit) { return digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1; }

static bool hex_read(hct_json_reader *r, const char *text, hct_tensor *t) {
  if (strlen(text) != t->data_bytes * 2) return false;
  uint8_t *data = hct_arena_alloc(r->arena, t->data_bytes + 1);
  for (size_t i = 0; i < t->data_bytes; i++) {
    int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    data[i] = (uint8_t)(high << 4 | low);
  }
  t->data = data;
  return true;
}

/* Data of a tensor: inline text, a range of .data.weights, or a range of another file. */
static bool data_read(hct_json_reader *r, json_t *row, hct_tensor *t) {
  int64_t bytes, offset;
  if (!json_object_get(row, "bytes")) return true;
  hct_dtype unused;
  const char *type = json_string_value(json_object_get(row, "data_dtype"));
  if (type && !hct_dtype_parse(type, &t->data_dtype)) return false;
  if (!integer_get(row, "bytes", 0, HCT_MAX_TENSOR_BYTES, &bytes) || !hct_data_fits(t->dtype, t->data_dtype, hct_layout_elements(&t->layout), bytes, &unused)) return false;
  t->data_bytes = (size_t)bytes;
  json_t *hex = json_object_get(row, "hex");
  if (hex) return json_is_string(hex) && hex_read(r, json_string_value(hex), t);
  if (!integer_get(row, "offset", 0, HCT_MAX_TENSOR_BYTES, &offset)) return false;
  if (!json_object_get(row, "file")) {
    if ((uint64_t)offset > r->weight_bytes || t->data_bytes > r->weight_bytes - (size_t)offset) return false;
    t->data = r->weights + offset;
    return true;
  }
  t->data_file = string_get(r, json_object_get(row, "file"));
  const char *checksum = json_string_value(json_object_get(row, "xxh3"));
  unsigned long long value;
  if (!t->data_file || !checksum || sscanf(checksum, "%16llx", &value) != 1) return false;
  t->data_checksum = value;
  t->data_offset = (uint64_t)offset;
  return true;
}

static bool tensor_read(hct_json_reader *r, json_t *row, hct_tensor *t) {
  t->name = string_get(r, json_object_get(row, "name"));
  const char *role = json_string_value(json_object_get(row, "role")), *dtype = json_string_value(json_object_get(row, "dtype"));
  const char *layout = json_string_value(json_object_get(row, "layout"));
  if (!t->name || !role || !dtype || !layout) return false;
  if (!hct_role_parse(role, &t->role) || !hct_dtype_parse(dtype, &t->dtype) || !hct_layout_parse(layout, &t->layout) || t->layout.partial) return false;
  if (hct_layout_elements(&t->layout) > HCT_MAX_TENSOR_BYTES / 8) return false;
  return integer_get(row, "dram_offset", 0, HCT_MAX_TENSOR_BYTES, &t->dram_offset) && integer_get(row, "tile_bytes", 0, HCT_MAX_TENSOR_BYTES, &t->tile_bytes) &&
         integer_get(row, "micro_batch_stride", 0, HCT_MAX_TENSOR_BYTES, &t->micro_batch_stride) && data_read(r, row, t);
}

hct_status hct_json_tensors_read(hct_json_reader *r, json_t *json, hct_image *image) {
  if (!json_is_array(json)) return bad(r, "the table of tensors is no array");
  image->tensor_count = json_array_size(json);
  image->tensors = HCT_NEW_ARRAY(r->arena, hct_tensor, image->tensor_count);
  for (size_t i = 0; i < image->tensor_count; i++)
    if (!tensor_read(r, json_array_get(json, i), &image->tensors[i])) return hct_error(r->diags, HCT_E_IMAGE, r->loc, "tensor %zu is incomplete or out of range", i);
  return HCT_OK;
}

static bool integer_at(json_t *array, size_t index, int64_t high, int64_t *out_value) {
  json_t *value = json_array_get(array, index);
  if (!json_is_integer(value)) return false;
  *out_value = json_integer_value(value);
  return *out_value >= 0 && *out_value <= high;
}

static bool sram_buffer_read(hct_json_reader *r, json_t *row, hct_sram_buffer *b) {
  const char *dtype = json_string_value(json_array_get(row, 2)), *layout = json_string_value(json_array_get(row, 3));
  b->made_for = string_get(r, json_array_get(row, 4));
  return integer_at(row, 0, HCT_MAX_TENSOR_BYTES, &b->addr) && integer_at(row, 1, HCT_MAX_TENSOR_BYTES, &b->bytes) && dtype && layout && b->made_for && hct_dtype_parse(dtype, &b->dtype) && hct_layout_parse(layout, &b->layout);
}

static bool sram_read(hct_json_reader *r, json_t *json, hct_sram_map *sram) {
  const int64_t dies = (int64_t)MAX_SIDE * MAX_SIDE;
  json_t *peaks = json_object_get(json, "peaks"), *buffers = json_object_get(json, "buffers");
  if (!integer_get(json, "live_bytes", 0, HCT_MAX_TENSOR_BYTES, &sram->live_bytes) || !integer_get(json, "live_buffers", 0, HCT_MAX_TENSOR_BYTES, &sram->live_buffers)) return false;
  for (size_t i = 0; i < json_array_size(peaks); i++) {
    json_t *row = json_array_get(peaks, i);
    hct_sram_peak peak;
    if (!integer_at(row, 0, HCT_MAX_TENSOR_BYTES, &peak.bytes) || !integer_at(row, 1, dies, &peak.dies) || !integer_at(row, 2, dies - 1, &peak.first_die)) return false;
    HCT_PUSH(r->arena, &sram->peaks, peak);
  }
  for (size_t i = 0; i < json_array_size(buffers); i++) {
    hct_sram_buffer buffer;
    if (!sram_buffer_read(r, json_array_get(buffers, i), &buffer)) return false;
    HCT_PUSH(r->arena, &sram->buffers, buffer);
  }
  return sram->peaks.count > 0;
}

hct_status hct_json_meta_read(hct_json_reader *r, json_t *json, hct_image *image) {
  json_t *pairs = json_object_get(json, "meta"), *sources = json_object_get(json, "sources");
  if (!json_is_array(pairs) || !json_is_array(sources)) return bad(r, "the table of options and locations is incomplete");
  image->meta_count = json_array_size(pairs);
  image->meta = HCT_NEW_ARRAY(r->arena, hct_meta, image->meta_count);
  for (size_t i = 0; i < image->meta_count; i++) {
    image->meta[i].key = string_get(r, json_array_get(json_array_get(pairs, i), 0));
    image->meta[i].value = string_get(r, json_array_get(json_array_get(pairs, i), 1));
    if (!image->meta[i].key || !image->meta[i].value) return bad(r, "an option is not a pair of texts");
  }
  image->source_count = json_array_size(sources);
  image->sources = HCT_NEW_ARRAY(r->arena, hct_source, image->source_count);
  for (size_t i = 0; i < image->source_count; i++) {
    json_t *row = json_array_get(sources, i);
    hct_source *s = &image->sources[i];
    const char **fields[] = {&s->location, &s->layer, &s->pass, &s->collective, &s->axis};
    for (size_t f = 0; f < HCT_COUNT(fields); f++)
      if (!(*fields[f] = string_get(r, json_array_get(row, f)))) return bad(r, "a location is not five texts");
  }
  json_t *sram = json_object_get(json, "sram");
  return !sram || sram_read(r, sram, &image->sram) ? HCT_OK : bad(r, "the map of SRAM is incomplete or out of range");
}

static int64_t tensor_extent(const hct_image *image, const hct_tensor *t) {
  int64_t parts = t->micro_batch_stride ? (image->batch + image->micro_batch - 1) / image->micro_batch : 1;
  int64_t largest = 0, bytes = (int64_t)hct_dtype_bytes(t->dtype);
  for (int64_t part = 0; part < parts; part += parts > 1 ? parts - 1 : 1) {
    hct_place place = {.rows = image->rows, .cols = image->cols, .micro_batch_start = part * image->micro_batch,
                       .micro_batch_size = hct_layout_uses_axis(&t->layout, HCT_AXIS_TIME) ? image->micro_batch : 0};
    int64_t end = part * t->micro_batch_stride + hct_layout_tile_elements(&t->layout, &place) * bytes; /* die (0, 0) holds most */
    if (end > largest) largest = end;
  }
  return largest;
}

/* Instructions that a stream issues, loops run: what makes a damaged trip count a diagnostic instead of a run without end. */
#define MAX_ISSUED 1e13
static double issued(const hct_image *image, const hct_stream *stream) {
  double total = 0, times[HCT_MAX_LOOPS + 1] = {1};
  unsigned depth = 0;
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    total += times[depth];
    if (instr->opcode == HCT_OP_END) depth--;
    if (instr->opcode != HCT_OP_LOOP) continue;
    hct_die_state state = {.rows = image->rows, .cols = image->cols};
    for (unsigned level = 0; level < depth; level++) state.counter[level] = INT32_MAX / 2;
    int64_t trips = hct_addr_evaluate(&instr->values[0], &state);
    times[depth + 1] = times[depth] * (trips > 0 ? (double)trips : 0);
    depth++;
  }
  return total;
}

hct_status hct_image_check(hct_diags *diags, hct_loc loc, const hct_image *image) {
  for (size_t i = 0; i < image->tensor_count; i++) {
    const hct_tensor *t = &image->tensors[i];
    bool timed = hct_layout_uses_axis(&t->layout, HCT_AXIS_TIME);
    int64_t parts = image->batch / image->micro_batch + 1;
    if (t->micro_batch_stride > HCT_MAX_TENSOR_BYTES / parts || (timed && image->batch > image->micro_batch && t->micro_batch_stride == 0 && hct_layout_elements(&t->layout) > 0))
      return hct_error(diags, HCT_E_IMAGE, loc, "tensor '%s': its micro-batch stride does not fit", t->name);
    if (t->tile_bytes > image->dram_bytes_used || t->dram_offset > image->dram_bytes_used - t->tile_bytes || tensor_extent(image, t) > t->tile_bytes)
      return hct_error(diags, HCT_E_IMAGE, loc, "tensor '%s' lies outside of the dies' DRAM regions", t->name);
  }
  for (size_t s = 0; s < image->stream_count; s++) {
    unsigned depth = 0;
    const hct_stream *stream = &image->streams[s];
    for (size_t i = 0; i < stream->count; i++) {
      const hct_instr *instr = &stream->items[i];
      bool nested = true;
      if (instr->opcode == HCT_OP_LOOP) nested = instr->level == depth++;
      if (instr->opcode == HCT_OP_END) nested = depth > 0 && instr->level == --depth;
      if (!nested || depth > HCT_MAX_LOOPS) return hct_error(diags, HCT_E_IMAGE, loc, "stream %zu, instruction %zu: loops are not nested", s, i);
      if (instr->source >= image->source_count && instr->source) return hct_error(diags, HCT_E_IMAGE, loc, "stream %zu, instruction %zu: names a location that does not exist", s, i);
      if (instr->opcode == HCT_OP_HALT && (i + 1 != stream->count || depth)) return hct_error(diags, HCT_E_IMAGE, loc, "stream %zu, instruction %zu: halt inside the stream", s, i);
    }
    if (depth || stream->count == 0 || stream->items[stream->count - 1].opcode != HCT_OP_HALT)
      return hct_error(diags, HCT_E_IMAGE, loc, "stream %zu does not end in halt", s);
    if (issued(image, stream) > MAX_ISSUED) return hct_error(diags, HCT_E_IMAGE, loc, "stream %zu would issue %.2g instructions", s, issued(image, stream));
  }
  return HCT_OK;
}
