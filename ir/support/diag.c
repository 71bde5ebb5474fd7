#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ir/support/support.h"

struct hct_diags {
  FILE *out;
  hct_text text;
  size_t errors;
  hct_diag_sink sink;
  void *sink_user;
  bool shows_progress, line_shown;
  double started_s, shown_s;
};

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

hct_diags *hct_diags_create(FILE *out) {
  hct_diags *diags = calloc(1, sizeof *diags);
  HCT_BUG_ON(!diags, "out of memory");
  diags->out = out;
  if (out) signal(SIGXFSZ, SIG_IGN); /* a limit on the sizes of files is an error of writing */
  const char *asked = getenv("HECATON_PROGRESS");
  diags->shows_progress = out && (asked ? strcmp(asked, "0") != 0 : isatty(fileno(out)) != 0);
  diags->started_s = now_s();
  return diags;
}

static void line_clear(hct_diags *diags) {
  if (!diags->line_shown) return;
  fputs("\r\033[K", diags->out);
  fflush(diags->out);
  diags->line_shown = false;
}

void hct_progress(hct_diags *diags, const char *fmt, ...) {
  if (!diags->shows_progress) return;
  double now = now_s();
  if (now - diags->started_s < 2 || now - diags->shown_s < 0.2) return;
  va_list args;
  va_start(args, fmt);
  fputs("\r\033[K", diags->out);
  vfprintf(diags->out, fmt, args);
  fflush(diags->out);
  va_end(args);
  diags->shown_s = now;
  diags->line_shown = true;
}

void hct_progress_end(hct_diags *diags) { line_clear(diags); }

void hct_diags_destroy(hct_diags *diags) {
  if (!diags) return;
  line_clear(diags);
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
  line_clear(diags);
  fputs(diags->text.data + start, diags->out);
  fflush(diags->out);
}

void hct_diags_repeat(hct_diags *diags, const hct_diags *from) {
  hct_text_append(&diags->text, hct_diags_text(from), from->text.length);
  diags->errors += from->errors;
  if (!diags->out) return;
  line_clear(diags);
  fputs(hct_diags_text(from), diags->out);
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
