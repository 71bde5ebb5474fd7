#include "backends/driver/expect.h"

#include <stdlib.h>
#include <string.h>

typedef struct expectation {
  hct_diag_kind kind;
  long written, line; /* where it is written; the diagnostic's line, 0: none */
  const char *text;
  bool met;
} expectation;

struct hct_expectations {
  hct_diags *report;
  hct_arena *arena;
  const char *file;
  struct { expectation *items; size_t count, capacity; } list;
  struct { const char **items; size_t count, capacity; } lines;
  long last_line; /* of the error, warning or remark that notes belong to */
  hct_status status;
};

static const char *const kinds[] = {"error", "warning", "remark", "note", "hint"};
static const char prefix[] = "expected-";

static void complain(hct_expectations *e, long line, const char *fmt, ...) HCT_PRINTF(3, 4);
static void complain(hct_expectations *e, long line, const char *fmt, ...) {
  hct_text text = {0};
  va_list args;
  va_start(args, fmt);
  hct_text_vprintf(&text, fmt, args);
  va_end(args);
  e->status = hct_error(e->report, HCT_E_EXPECTATION, (hct_loc){.file = e->file, .where = line ? hct_arena_printf(e->arena, "%ld", line) : NULL}, "%s", text.data);
  hct_text_fini(&text);
}

/* The first expectation in a line's comment, NULL when there is none. */
static const char *find(const char *line) {
  const char *comment = strstr(line, "//");
  return comment ? strstr(comment, prefix) : NULL;
}

static const char *line_text(const hct_expectations *e, long line) { return line >= 1 && line <= (long)e->lines.count ? e->lines.items[line - 1] : ""; }

/* Reads "@+1" and the like at *at; false when it is none of them. */
static bool place_read(const hct_expectations *e, const char **at, long here, long *out_line) {
  *out_line = here;
  if (**at != '@') return true;
  const char *word = *at + 1;
  size_t length = strcspn(word, " {");
  *at = word + length;
  if (length == 7 && !strncmp(word, "unknown", length)) return *out_line = 0, true;
  if (length == 5 && (!strncmp(word, "below", length) || !strncmp(word, "above", length))) {
    long step = word[0] == 'b' ? 1 : -1, line = here + step;
    while (find(line_text(e, line))) line += step;
    return *out_line = line, line >= 1;
  }
  char *end;
  long offset = strtol(word, &end, 10);
  *out_line = here + offset;
  return (*word == '+' || *word == '-') && end == *at && *out_line >= 1;
}

static const char *expectation_read(hct_expectations *e, const char *at, long here) {
  const char *start = at;
  expectation new = {.written = here};
  at += strlen(prefix);
  size_t kind = 0;
  while (kind < HCT_COUNT(kinds) && strncmp(at, kinds[kind], strlen(kinds[kind])) != 0) kind++;
  if (kind < HCT_COUNT(kinds)) {
    new.kind = (hct_diag_kind)kind;
    at += strlen(kinds[kind]);
    bool placed = place_read(e, &at, here, &new.line);
    while (*at == ' ') at++;
    const char *close = strstr(at, "}}");
    if (placed && !strncmp(at, "{{", 2) && close) {
      new.text = hct_arena_strndup(e->arena, at + 2, (size_t)(close - at - 2));
      HCT_PUSH(e->arena, &e->list, new);
      return close + 2;
    }
  }
  complain(e, here, "'%s' is not of the form expected-error@+1 {{text}}", start);
  return at;
}

hct_status hct_expectations_create(hct_diags *report, hct_arena *arena, const char *file, const char *text, hct_expectations **out_expectations) {
  hct_expectations *e = HCT_NEW(arena, hct_expectations);
  *e = (hct_expectations){.report = report, .arena = arena, .file = file};
  for (const char *at = text; *at;) {
    size_t length = strcspn(at, "\n");
    HCT_PUSH(arena, &e->lines, hct_arena_strndup(arena, at, length));
    at += length + (at[length] == '\n');
  }
  for (size_t i = 0; i < e->lines.count; i++)
    for (const char *at = find(e->lines.items[i]); at; at = strstr(at, prefix)) at = expectation_read(e, at, (long)i + 1);
  *out_expectations = e;
  return e->status;
}

void hct_expectations_meet(void *expectations, const hct_diag *diag) {
  hct_expectations *e = expectations;
  bool attached = diag->kind == HCT_DIAG_NOTE || diag->kind == HCT_DIAG_HINT;
  if (attached && !strncmp(diag->message, "see current operation", 21)) return; /* MLIR's: the line says as much */
  if (!attached) e->last_line = diag->loc.file && !strcmp(diag->loc.file, e->file) ? hct_loc_line(diag->loc) : 0;
  for (size_t i = 0; i < e->list.count; i++) {
    expectation *wanted = &e->list.items[i];
    if (wanted->met || wanted->kind != diag->kind || wanted->line != e->last_line || !strstr(diag->message, wanted->text)) continue;
    wanted->met = true;
    return;
  }
  complain(e, e->last_line, "unexpected %s: %s", kinds[diag->kind], diag->message);
}

hct_status hct_expectations_finish(const hct_expectations *expectations) {
  hct_expectations e = *expectations;
  for (size_t i = 0; i < e.list.count; i++) {
    const expectation *wanted = &e.list.items[i];
    if (wanted->met) continue;
    if (wanted->line) complain(&e, wanted->written, "expected %s '%s' did not come at line %ld", kinds[wanted->kind], wanted->text, wanted->line);
    else complain(&e, wanted->written, "expected %s '%s' did not come without a line", kinds[wanted->kind], wanted->text);
  }
  return e.status;
}
