#include <string.h>

#include "backends/compare/compare.h"

typedef enum column_format { SECONDS, JOULES, BYTES, PERCENT, SHARE, COUNT } column_format;
static const struct { const char *title, *object, *field; column_format format; } columns[] = {
#define HCT_COLUMN(title, object, field, format) {title, object, field, format},
#include "backends/compare/columns.def"
#undef HCT_COLUMN
};
enum { COLUMNS = sizeof columns / sizeof columns[0], CELL = 48 };

static double field_of(const json_t *report, const char *object, const char *field) { return json_number_value(json_object_get(json_object_get(report, object), field)); }

/* Three digits and a unit of the size. */
static void scaled(char *cell, double value, double step, const char *const *units, size_t unit_count) {
  size_t unit = 0;
  while (unit + 1 < unit_count && value >= step) value /= step, unit++;
  snprintf(cell, CELL, "%.*f %s", value >= 100 ? 0 : value >= 10 ? 1 : 2, value, units[unit]);
}

static void cell_format(char *cell, const json_t *report, size_t column) {
  static const char *const times[] = {"ns", "us", "ms", "s"}, *const energies[] = {"nJ", "uJ", "mJ", "J", "kJ"}, *const bytes[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = field_of(report, columns[column].object, columns[column].field), step = field_of(report, "time", "step_s");
  switch (columns[column].format) {
    case SECONDS: scaled(cell, value * 1e9, 1000, times, HCT_COUNT(times)); break;
    case JOULES: scaled(cell, value * 1e9, 1000, energies, HCT_COUNT(energies)); break;
    case BYTES: scaled(cell, value, 1024, bytes, HCT_COUNT(bytes)); break;
    case PERCENT: snprintf(cell, CELL, "%.1f %%", value * 100); break;
    case SHARE: snprintf(cell, CELL, "%.1f %%", step > 0 ? value / step * 100 : 0); break;
    case COUNT: snprintf(cell, CELL, "%.0f", value); break;
  }
}

static double first_step(const compare_table *table) {
  for (size_t i = 0; i < table->count; i++)
    if (table->runs[i].report) return field_of(table->runs[i].report, "time", "step_s");
  return 0;
}

static void ratio_format(char *cell, const compare_table *table, const compare_run *run) {
  double first = first_step(table);
  snprintf(cell, CELL, "%.3f", first > 0 ? field_of(run->report, "time", "step_s") / first : 0);
}

static const char *package_of(const compare_run *run) {
  const char *name = run->report ? json_string_value(json_object_get(json_object_get(run->report, "package"), "name")) : NULL;
  return name ? name : run->package;
}

typedef struct table_row { char cells[COLUMNS + 3][CELL]; } table_row; /* strategy, package, ratio, columns */
enum { FIRST = 3 };
static const char *title_of(size_t cell) {
  static const char *const names[FIRST] = {"strategy", "package", "ratio"};
  return cell < FIRST ? names[cell] : columns[cell - FIRST].title;
}

/* Of a refused run only the first two. */
static table_row row_make(const compare_table *table, const compare_run *run) {
  table_row r = {0};
  snprintf(r.cells[0], CELL, "%s", run->strategy);
  snprintf(r.cells[1], CELL, "%s", package_of(run));
  if (!run->report) return r;
  ratio_format(r.cells[2], table, run);
  for (size_t c = 0; c < COLUMNS; c++) cell_format(r.cells[FIRST + c], run->report, c);
  return r;
}

/* Names to the left, numbers to the right. */
static void print_padded(const char *text, size_t cell, size_t width, FILE *out) { fprintf(out, "%s%*s", cell ? "  " : "", cell < 2 ? -(int)width : (int)width, text); }

static void print_aligned(const compare_table *table, FILE *out) {
  size_t widths[COLUMNS + FIRST];
  for (size_t c = 0; c < HCT_COUNT(widths); c++) {
    widths[c] = strlen(title_of(c));
    for (size_t i = 0; i < table->count; i++) {
      table_row r = row_make(table, &table->runs[i]);
      if (strlen(r.cells[c]) > widths[c]) widths[c] = strlen(r.cells[c]);
    }
  }
  for (size_t c = 0; c < HCT_COUNT(widths); c++) print_padded(title_of(c), c, widths[c], out);
  fprintf(out, "\n");
  for (size_t i = 0; i < table->count; i++) {
    table_row r = row_make(table, &table->runs[i]);
    bool refused = !table->runs[i].report;
    for (size_t c = 0; c < (refused ? 2 : HCT_COUNT(widths)); c++) print_padded(r.cells[c], c, widths[c], out);
    if (refused) fprintf(out, "  refused: %s", table->runs[i].refusal);
    fprintf(out, "\n");
  }
}

static void print_json(const compare_table *table, FILE *out) {
  json_t *rows = json_array();
  for (size_t i = 0; i < table->count; i++) {
    const compare_run *run = &table->runs[i];
    json_t *row = json_pack("{s:s,s:s}", "strategy", run->strategy, "package", package_of(run));
    double first = first_step(table);
    if (run->report && first > 0) json_object_set_new(row, "ratio", json_real(field_of(run->report, "time", "step_s") / first));
    if (run->report) json_object_set(row, "report", run->report);
    else json_object_set_new(row, "refused", json_string(run->refusal));
    json_array_append_new(rows, row);
  }
  json_t *top = json_pack("{s:s,s:s,s:o}", "schema", "hecaton-compare/1", "model", table->model, "runs", rows);
  json_dumpf(top, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
  fprintf(out, "\n");
  json_decref(top);
}

static void print_markdown(const compare_table *table, FILE *out) {
  fprintf(out, "|");
  for (size_t c = 0; c < COLUMNS + FIRST; c++) fprintf(out, " %s |", title_of(c));
  fprintf(out, "\n|");
  for (size_t c = 0; c < COLUMNS + FIRST; c++) fprintf(out, c < 2 ? " --- |" : " ---: |");
  fprintf(out, "\n");
  for (size_t i = 0; i < table->count; i++) {
    table_row r = row_make(table, &table->runs[i]);
    bool refused = !table->runs[i].report;
    fprintf(out, "|");
    for (size_t c = 0; c < (refused ? 2 : COLUMNS + FIRST); c++) fprintf(out, " %s |", r.cells[c]);
    if (refused) fprintf(out, " refused: %s |", table->runs[i].refusal);
    fprintf(out, "\n");
  }
}

static void print_escaped(const char *text, FILE *out) {
  for (; *text; text++) {
    if (*text == '<') fputs("&lt;", out);
    else if (*text == '>') fputs("&gt;", out);
    else if (*text == '&') fputs("&amp;", out);
    else fputc(*text, out);
  }
}

/* What the step's time went to, as a bar whose length is the ratio to the slowest. */
static void print_bar(const compare_run *run, double slowest, FILE *out) {
  static const struct { const char *field, *colour; } parts[] = {
      {"mxu_s", "#3b6ea5"}, {"vpu_s", "#6fa8dc"}, {"exposed_nop_s", "#e0803a"}, {"exposed_dram_s", "#b5443c"}, {"idle_s", "#cccccc"},
  };
  double at = 0;
  fprintf(out, "<svg width=\"320\" height=\"14\">");
  for (size_t p = 0; p < HCT_COUNT(parts); p++) {
    double width = slowest > 0 ? field_of(run->report, "time", parts[p].field) / slowest * 320 : 0;
    fprintf(out, "<rect x=\"%.2f\" width=\"%.2f\" height=\"14\" fill=\"%s\"/>", at, width, parts[p].colour);
    at += width;
  }
  fprintf(out, "</svg>");
}

static void print_html(const compare_table *table, FILE *out) {
  double slowest = 0;
  for (size_t i = 0; i < table->count; i++)
    if (table->runs[i].report && field_of(table->runs[i].report, "time", "step_s") > slowest) slowest = field_of(table->runs[i].report, "time", "step_s");
  fprintf(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
  print_escaped(table->model, out);
  fprintf(out, "</title><style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:.3em .7em;border-bottom:1px solid #ddd;text-align:right}"
               "td:nth-child(-n+3),th:nth-child(-n+3),.refused{text-align:left}i{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}</style></head>\n<body><h1>");
  print_escaped(table->model, out);
  fprintf(out, "</h1>\n<p>Time of a step:<i style=\"background:#3b6ea5\"></i>MXU<i style=\"background:#6fa8dc\"></i>VPU<i style=\"background:#e0803a\"></i>exposed NoP"
               "<i style=\"background:#b5443c\"></i>exposed DRAM<i style=\"background:#ccc\"></i>idle</p>\n<table><tr><th>time</th>");
  for (size_t c = 0; c < COLUMNS + FIRST; c++) fprintf(out, "<th>%s</th>", title_of(c));
  fprintf(out, "</tr>\n");
  for (size_t i = 0; i < table->count; i++) {
    const compare_run *run = &table->runs[i];
    table_row r = row_make(table, run);
    fprintf(out, "<tr><td>");
    if (run->report) print_bar(run, slowest, out);
    fprintf(out, "</td>");
    for (size_t c = 0; c < (run->report ? COLUMNS + FIRST : 2); c++) {
      fprintf(out, "<td>");
      print_escaped(r.cells[c], out);
      fprintf(out, "</td>");
    }
    if (!run->report) {
      fprintf(out, "<td class=\"refused\" colspan=\"%d\">refused: ", COLUMNS + 1);
      print_escaped(run->refusal, out);
      fprintf(out, "</td>");
    }
    fprintf(out, "</tr>\n");
  }
  fprintf(out, "</table></body></html>\n");
}

void hct_compare_print(const compare_table *table, compare_format format, FILE *out) {
  switch (format) {
    case COMPARE_TEXT: print_aligned(table, out); break;
    case COMPARE_JSON: print_json(table, out); break;
    case COMPARE_MARKDOWN: print_markdown(table, out); break;
    case COMPARE_HTML: print_html(table, out); break;
  }
}
