/* The text form of an image: what hecaton-as reads.
 *
 *   .hecaton 1
 *   .header {"rows":2, ...}          .package "<package .../>"          .meta {"meta":[...],"sources":[...]}
 *   .tensor {"name":"w", ... ,"hex":"0000803f..."}
 *   .stream 0
 *     ld shape=... d=... a=...
 *     halt
 *
 * Empty lines and those that start with # are passed over. */
#include <string.h>

#include "ir/isa/image_json.h"

static void line_print(hct_text *text, const char *directive, json_t *json) {
  char *dump = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
  HCT_BUG_ON(!dump, "a table of the image is not UTF-8");
  hct_text_printf(text, "%s ", directive);
  hct_text_append(text, dump, strlen(dump));
  hct_text_append(text, "\n", 1);
  free(dump);
  json_decref(json);
}

void hct_image_print(const hct_image *image, hct_text *text) {
  hct_text_printf(text, ".hecaton 1\n");
  line_print(text, ".header", hct_json_header(image));
  line_print(text, ".package", json_string(image->package_xml));
  line_print(text, ".meta", hct_json_meta(image));
  json_t *tensors = hct_json_tensors(image, true);
  for (size_t i = 0; i < json_array_size(tensors); i++) line_print(text, ".tensor", json_incref(json_array_get(tensors, i)));
  json_decref(tensors);
  for (size_t s = 0; s < image->stream_count; s++) {
    hct_text_printf(text, ".stream %zu\n", s);
    unsigned depth = 0;
    for (size_t i = 0; i < image->streams[s].count; i++) {
      const hct_instr *instr = &image->streams[s].items[i];
      if (instr->opcode == HCT_OP_END && depth) depth--;
      hct_text_printf(text, "%*s", (int)(2 + 2 * depth), "");
      hct_instr_print(instr, text);
      hct_text_append(text, "\n", 1);
      if (instr->opcode == HCT_OP_LOOP) depth++;
    }
  }
}

typedef struct text_parser {
  hct_json_reader reader;
  hct_image *image;
  json_t *tensors;
  hct_stream *stream;
  bool has_header, has_package, has_meta;
} text_parser;

static hct_status bad_line(text_parser *p, const char *what) { return hct_error(p->reader.diags, HCT_E_ASSEMBLY, p->reader.loc, "%s", what); }

static hct_status directive_read(text_parser *p, const char *name, json_t *json) {
  if (!strcmp(name, ".header")) return p->has_header = true, hct_json_header_read(&p->reader, json, p->image);
  if (!strcmp(name, ".meta")) return p->has_meta = true, hct_json_meta_read(&p->reader, json, p->image);
  if (!strcmp(name, ".tensor")) return json_array_append(p->tensors, json), HCT_OK;
  if (strcmp(name, ".package") || !json_is_string(json)) return bad_line(p, "not a directive");
  p->has_package = true;
  p->image->package_xml = hct_arena_strdup(p->reader.arena, json_string_value(json));
  return HCT_OK;
}

static hct_status line_read(text_parser *p, const char *line) {
  line += strspn(line, " \t");
  if (!*line || *line == '#') return HCT_OK;
  if (*line != '.') {
    hct_instr instr;
    if (!p->stream) return bad_line(p, "an instruction before .stream");
    HCT_TRY(hct_instr_parse(p->reader.diags, p->reader.arena, p->reader.loc, line, &instr));
    HCT_PUSH(p->reader.arena, p->stream, instr);
    return HCT_OK;
  }
  const char *space = strchr(line, ' ');
  if (!space) return bad_line(p, "a directive without a value");
  const char *name = hct_arena_strndup(p->reader.arena, line, (size_t)(space - line));
  int64_t number;
  if (!strcmp(name, ".hecaton")) return strcmp(space, " 1") ? bad_line(p, "not version 1") : HCT_OK;
  if (!strcmp(name, ".stream")) {
    if (!p->has_header || !hct_parse_i64(space + 1, &number) || number < 0 || (size_t)number >= p->image->stream_count) return bad_line(p, "no such stream in .header");
    p->stream = &p->image->streams[number];
    return HCT_OK;
  }
  json_error_t error;
  json_t *json = json_loads(space + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
  if (!json) return hct_error(p->reader.diags, HCT_E_ASSEMBLY, p->reader.loc, "%s: %s", name, error.text);
  hct_status status = directive_read(p, name, json);
  json_decref(json);
  return status;
}

static hct_status text_read(text_parser *p, const char *file, const char *text) {
  for (size_t number = 1; *text; number++) {
    size_t length = strcspn(text, "\n");
    char *line = hct_arena_strndup(p->reader.arena, text, length);
    if (length && line[length - 1] == '\r') line[length - 1] = '\0';
    p->reader.loc = (hct_loc){file, hct_arena_printf(p->reader.arena, "%zu", number)};
    HCT_TRY(line_read(p, line));
    text += length + (text[length] == '\n');
  }
  p->reader.loc = (hct_loc){file, NULL};
  if (!p->has_header || !p->has_package || !p->has_meta) return bad_line(p, ".header, .package or .meta is missing");
  HCT_TRY(hct_json_tensors_read(&p->reader, p->tensors, p->image));
  return hct_image_check(p->reader.diags, p->reader.loc, p->image);
}

hct_status hct_image_parse(hct_diags *diags, hct_arena *arena, const char *file, const char *text, hct_image *out_image) {
  hct_image image = {0};
  text_parser parser = {.reader = {.diags = diags, .arena = arena}, .image = &image, .tensors = json_array()};
  hct_status status = text_read(&parser, file, text);
  json_decref(parser.tensors);
  if (status == HCT_OK) *out_image = image;
  return status;
}
