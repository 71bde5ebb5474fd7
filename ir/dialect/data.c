#include "ir/dialect/data.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

char *hct_data_reference_print(hct_arena *arena, const hct_data_reference *r) {
  const char *bar = r->dtype ? "|" : "", *type = r->dtype ? hct_dtype_name(r->dtype) : "";
  if (r->kind == HCT_DATA_ABSENT) return hct_arena_printf(arena, "%s|%" PRId64 "|%" PRId64 "|absent%s%s", r->file, r->offset, r->bytes, bar, type);
  return hct_arena_printf(arena, "%s|%" PRId64 "|%" PRId64 "|%016" PRIx64 "%s%s%s", r->file, r->offset, r->bytes, r->checksum, r->kind == HCT_DATA_EXTERNAL ? "|external" : "", bar, type);
}

/* Cuts the last part off: a name may hold bars itself. */
static char *last_part(char *text) {
  char *bar = strrchr(text, '|');
  if (!bar) return NULL;
  *bar = '\0';
  return bar + 1;
}

static bool hex_parse(const char *text, uint64_t *out_value) {
  if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) return false;
  *out_value = strtoull(text, NULL, 16);
  return true;
}

bool hct_data_reference_parse(hct_arena *arena, const char *text, hct_data_reference *out_reference) {
  hct_data_reference r = {.kind = HCT_DATA_INSIDE};
  char *rest = hct_arena_strdup(arena, text), *checksum = last_part(rest);
  if (checksum && hct_dtype_parse(checksum, &r.dtype)) checksum = last_part(rest);
  if (checksum && !strcmp(checksum, "external")) r.kind = HCT_DATA_EXTERNAL, checksum = last_part(rest);
  else if (checksum && !strcmp(checksum, "absent")) r.kind = HCT_DATA_ABSENT;
  char *bytes = last_part(rest), *offset = last_part(rest);
  if (!checksum || !bytes || !offset || !rest[0] || !hct_parse_i64(offset, &r.offset) || !hct_parse_i64(bytes, &r.bytes) || r.offset < 0 || r.bytes < 0) return false;
  if (r.kind != HCT_DATA_ABSENT && !hex_parse(checksum, &r.checksum)) return false;
  r.file = rest;
  *out_reference = r;
  return true;
}

hct_status hct_data_reference_map(hct_diags *diags, const char *path, const hct_data_reference *r, const char *name, hct_file *out_file) {
  hct_file file;
  HCT_TRY(hct_file_map(diags, path, &file));
  hct_status status = HCT_OK;
  if ((uint64_t)r->offset > file.bytes || (uint64_t)r->bytes > file.bytes - (uint64_t)r->offset)
    status = hct_error(diags, HCT_E_ONNX_DATA, (hct_loc){.file = path}, "it has no %" PRId64 " bytes at %" PRId64 " for '%s'", r->bytes, r->offset, name);
  else if (hct_checksum(file.data + r->offset, (size_t)r->bytes) != r->checksum)
    status = hct_error(diags, HCT_E_ONNX_DATA, (hct_loc){.file = path}, "the data of '%s' has changed since it was imported", name);
  if (status == HCT_OK) *out_file = file;
  else hct_file_unmap(&file);
  return status;
}
