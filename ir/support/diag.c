#include <stdlib.h>

#include "ir/support/support.h"

struct hct_diags {
  FILE *out;
  hct_text text;
  size_t errors;
};

hct_diags *hct_diags_create(FILE *out) {
  hct_diags *diags = calloc(1, sizeof *diags);
  HCT_BUG_ON(!diags, "out of memory");
  diags->out = out;
  return diags;
}

void hct_diags_destroy(hct_diags *diags) {
  if (!diags) return;
  hct_text_fini(&diags->text);
  free(diags);
}

size_t hct_diags_error_count(const hct_diags *diags) { return diags->errors; }

const char *hct_diags_text(const hct_diags *diags) { return diags->text.data ? diags->text.data : ""; }

static void line_vprintf(hct_diags *diags, const char *prefix, const char *fmt, va_list args) {
  size_t start = diags->text.length;
  hct_text_append(&diags->text, prefix, __builtin_strlen(prefix));
  hct_text_vprintf(&diags->text, fmt, args);
  hct_text_append(&diags->text, "\n", 1);
  if (!diags->out) return;
  fputs(diags->text.data + start, diags->out);
  fflush(diags->out);
}

static void located_vprintf(hct_diags *diags, hct_loc loc, const char *kind, const char *fmt, va_list args) {
  hct_text prefix = {0};
  if (loc.file) hct_text_printf(&prefix, "%s:%s", loc.file, loc.where && loc.where[0] >= '0' && loc.where[0] <= '9' ? "" : " ");
  if (loc.where) hct_text_printf(&prefix, "%s: ", loc.where);
  hct_text_printf(&prefix, "%s: ", kind);
  line_vprintf(diags, prefix.data, fmt, args);
  hct_text_fini(&prefix);
}

static void error_vprintf(hct_diags *diags, hct_diag_code code, hct_loc loc, const char *fmt, va_list args) {
  char kind[32];
  snprintf(kind, sizeof kind, "error[E%04d]", (int)code);
  located_vprintf(diags, loc, kind, fmt, args);
  diags->errors++;
}

hct_status hct_error(hct_diags *diags, hct_diag_code code, hct_loc loc, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  error_vprintf(diags, code, loc, fmt, args);
  va_end(args);
  return HCT_REFUSED;
}

hct_status hct_failure(hct_diags *diags, hct_diag_code code, hct_loc loc, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  error_vprintf(diags, code, loc, fmt, args);
  va_end(args);
  return HCT_FAILED;
}

void hct_remark(hct_diags *diags, hct_loc loc, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  located_vprintf(diags, loc, "remark", fmt, args);
  va_end(args);
}

void hct_warning(hct_diags *diags, hct_loc loc, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  located_vprintf(diags, loc, "warning", fmt, args);
  va_end(args);
}

void hct_note(hct_diags *diags, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  line_vprintf(diags, "  note: ", fmt, args);
  va_end(args);
}

void hct_hint(hct_diags *diags, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  line_vprintf(diags, "  hint: ", fmt, args);
  va_end(args);
}
