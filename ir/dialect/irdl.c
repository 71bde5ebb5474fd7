#include <string.h>

#include "ir/dialect/ir.h"

typedef struct dialect_op {
  const char *dialect, *name;
  int operands, results;
  bool pure;
  const char *attributes, *doc;
} dialect_op;

#define PURE true
#define EFFECT false
static const dialect_op dialect_ops[] = {
#define HCT_DIALECT_OP(dialect, name, operands, results, effects, attributes, doc) {#dialect, #name, operands, results, effects, attributes, doc},
#include "ir/dialect/ops.def"
#undef HCT_DIALECT_OP
};
#undef PURE
#undef EFFECT

/* One IRDL constraint stands for one type, so operands of several types need one each: "any number" is MAX_VARIADIC optional ones, and
 * an attribute that says which are there (hct_build adds it). Results of any number are of one type. */
static void optional_operands_print(hct_text *text) {
  for (int i = 0; i < HCT_MAX_VARIADIC; i++) hct_text_printf(text, "    %%o%d = irdl.any\n", i);
  hct_text_printf(text, "    irdl.operands(");
  for (int i = 0; i < HCT_MAX_VARIADIC; i++) hct_text_printf(text, "%so%d: optional %%o%d", i ? ", " : "", i, i);
  hct_text_printf(text, ")\n");
}

bool hct_dialect_is_variadic(const char *op_name) {
  for (size_t i = 0; i < HCT_COUNT(dialect_ops); i++) {
    size_t length = strlen(dialect_ops[i].dialect);
    if (dialect_ops[i].operands < 0 && !strncmp(op_name, dialect_ops[i].dialect, length) && op_name[length] == '.' && !strcmp(op_name + length + 1, dialect_ops[i].name)) return true;
  }
  return false;
}

static void group_print(hct_text *text, const char *group, const char *letter, int count) {
  if (count == 0) return;
  hct_text_printf(text, "    irdl.%s(", group);
  if (count < 0) hct_text_printf(text, "%ss: variadic %%%s0", letter, letter);
  for (int i = 0; i < count; i++) hct_text_printf(text, "%s%s%d: %%%s%d", i ? ", " : "", letter, i, letter, i);
  hct_text_printf(text, ")\n");
}

/* IRDL requires the attributes that it names, and one constraint value means one attribute value: a fresh one each. Kinds are
 * checked in C (verify.c), whose messages are for people. */
static void attributes_print(hct_text *text, const char *attributes) {
  hct_text names = {0};
  int count = 0;
  for (const char *at = attributes; *at;) {
    size_t length = strcspn(at, " "), name = strcspn(at, ":");
    if (at[length - 1] != '?') {
      hct_text_printf(text, "    %%a%d = irdl.any\n", count);
      hct_text_printf(&names, "%s\"%.*s\" = %%a%d", count ? ", " : "", (int)name, at, count);
      count++;
    }
    at += length;
    while (*at == ' ') at++;
  }
  if (count) hct_text_printf(text, "    irdl.attributes {%s}\n", names.data);
  hct_text_fini(&names);
}

static void op_print(hct_text *text, const dialect_op *op) {
  hct_text_printf(text, "  irdl.operation @%s {\n", op->name);
  int operands = op->operands < 0 ? 0 : op->operands, results = op->results < 0 ? 1 : op->results;
  for (int i = 0; i < operands; i++) hct_text_printf(text, "    %%o%d = irdl.any\n", i);
  for (int i = 0; i < results; i++) hct_text_printf(text, "    %%r%d = irdl.any\n", i);
  attributes_print(text, op->attributes);
  if (op->operands < 0) optional_operands_print(text);
  else group_print(text, "operands", "o", op->operands);
  group_print(text, "results", "r", op->results);
  hct_text_printf(text, "  }\n");
}

/* Inputs and outputs of a node may be absent in the middle: optional ones, and attributes that say which are there. */
static void onnx_print(hct_text *text) {
  hct_text_printf(text, "irdl.dialect @onnx {\n");
  for (size_t i = 0; i < hct_onnx_op_type_count(); i++) {
    char name[HCT_ONNX_NAME_BYTES];
    hct_onnx_op_name(hct_onnx_op_type_at(i), name);
    hct_text_printf(text, "  irdl.operation @%s {\n", name + strlen("onnx."));
    if (!strcmp(name, "onnx.constant")) {
      hct_text_printf(text, "    %%r0 = irdl.any\n    %%a0 = irdl.any\n    irdl.attributes {\"value\" = %%a0}\n    irdl.results(r0: %%r0)\n  }\n");
      continue;
    }
    optional_operands_print(text);
    for (int r = 0; r < HCT_MAX_VARIADIC; r++) hct_text_printf(text, "    %%r%d = irdl.any\n", r);
    hct_text_printf(text, "    irdl.results(");
    for (int r = 0; r < HCT_MAX_VARIADIC; r++) hct_text_printf(text, "%sr%d: optional %%r%d", r ? ", " : "", r, r);
    hct_text_printf(text, ")\n  }\n");
  }
  hct_text_printf(text, "}\n");
}

void hct_dialect_irdl_print(hct_text *text) {
  static const char *const dialects[] = {"hct_graph", "hct_tile"};
  onnx_print(text);
  for (size_t d = 0; d < HCT_COUNT(dialects); d++) {
    hct_text_printf(text, "irdl.dialect @%s {\n", dialects[d]);
    if (!strcmp(dialects[d], "hct_tile")) hct_text_printf(text, "  irdl.type @sram\n  irdl.type @tensor\n");
    for (size_t i = 0; i < HCT_COUNT(dialect_ops); i++)
      if (!strcmp(dialect_ops[i].dialect, dialects[d])) op_print(text, &dialect_ops[i]);
    hct_text_printf(text, "}\n");
  }
}

/* ---- the tables of the dialect pages ---- */
static void cell_print(hct_text *text, const char *cell) { /* | would end the cell */
  for (; *cell; cell++) hct_text_printf(text, *cell == '|' ? "\\%c" : "%c", *cell);
}

static void count_print(hct_text *text, int count) {
  if (count < 0) hct_text_printf(text, "any");
  else hct_text_printf(text, "%d", count);
}

void hct_dialect_docs_print(const char *dialect, hct_text *text) {
  hct_text_printf(text, "| operator | operands | results | attributes | effect | what it says |\n| --- | --- | --- | --- | --- | --- |\n");
  for (size_t i = 0; i < HCT_COUNT(dialect_ops); i++) {
    const dialect_op *op = &dialect_ops[i];
    if (strcmp(op->dialect, dialect) != 0) continue;
    hct_text_printf(text, "| `%s.%s` | ", op->dialect, op->name);
    count_print(text, op->operands);
    hct_text_printf(text, " | ");
    count_print(text, op->results);
    hct_text_printf(text, " | %s%s%s | %s | ", op->attributes[0] ? "`" : "", op->attributes, op->attributes[0] ? "`" : "", op->pure ? "none" : "yes");
    cell_print(text, op->doc);
    hct_text_printf(text, " |\n");
  }
}
