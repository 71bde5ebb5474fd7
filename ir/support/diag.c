#include <stdlib.h>

#include "ir/support/support.h"

struct hct_diags {
  FILE *out;
  hct_text text;
  size_t errors;
  hct_diag_sink sink;
  void *sink_user;
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

void hct_diags_set_sink(hct_diags *diags, hct_diag_sink sink, void *user) {
  diags->sink = sink;
  diags->sink_user = user;
}

size_t hct_diags_error_count(const hct_diags *diags) { return diags->errors; }

const char *hct_diags_text(const hct_diags *diags) { return diags->text.data ? diags->text.data : ""; }

long hct_loc_line(hct_loc loc) {
  char *end;
  if (!loc.where || loc.where[0] < '0' || loc.where[0] > '9') return 0;
  long line = strtol(loc.where, &end, 10);
  return *end == ':' || !*end ? line : 0;
}

static void prefix_print(hct_text *text, const hct_diag *diag) {
  static const char *const kinds[] = {"error", "warning", "remark", "note", "hint"};
  if (diag->kind >= HCT_DIAG_NOTE) {
    hct_text_printf(text, "  %s: ", kinds[diag->kind]);
    return;
  }
  if (diag->loc.file) hct_text_printf(text, "%s:%s", diag->loc.file, hct_loc_line(diag->loc) ? "" : " ");
  if (diag->loc.where) hct_text_printf(text, "%s: ", diag->loc.where);
  hct_text_printf(text, "%s", kinds[diag->kind]);
  if (diag->kind == HCT_DIAG_ERROR) hct_text_printf(text, "[E%04d]", (int)diag->code);
  hct_text_printf(text, ": ");
}

static void emit(hct_diags *diags, hct_diag diag, const char *fmt, va_list args) {
  size_t start = diags->text.length, message;
  prefix_print(&diags->text, &diag);
  message = diags->text.length;
  hct_text_vprintf(&diags->text, fmt, args);
  diags->errors += diag.kind == HCT_DIAG_ERROR;
  diag.message = diags->text.data + message;
  if (diags->sink) diags->sink(diags->sink_user, &diag);
  hct_text_append(&diags->text, "\n", 1);
  if (!diags->out) return;
  fputs(diags->text.data + start, diags->out);
  fflush(diags->out);
}

hct_status hct_error(hct_diags *diags, hct_diag_code code, hct_loc loc, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  emit(diags, (hct_diag){.kind = HCT_DIAG_ERROR, .code = code, .loc = loc}, fmt, args);
  va_end(args);
  return HCT_REFUSED;
}

hct_status hct_failure(hct_diags *diags, hct_diag_code code, hct_loc loc, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  emit(diags, (hct_diag){.kind = HCT_DIAG_ERROR, .code = code, .loc = loc}, fmt, args);
  va_end(args);
  return HCT_FAILED;
}

void hct_remark(hct_diags *diags, hct_loc loc, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  emit(diags, (hct_diag){.kind = HCT_DIAG_REMARK, .loc = loc}, fmt, args);
  va_end(args);
}

void hct_warning(hct_diags *diags, hct_loc loc, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  emit(diags, (hct_diag){.kind = HCT_DIAG_WARNING, .loc = loc}, fmt, args);
  va_end(args);
}

void hct_note(hct_diags *diags, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  emit(diags, (hct_diag){.kind = HCT_DIAG_NOTE}, fmt, args);
  va_end(args);
}

void hct_hint(hct_diags *diags, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  emit(diags, (hct_diag){.kind = HCT_DIAG_HINT}, fmt, args);
  va_end(args);
}
