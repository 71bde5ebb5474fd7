#include "ir/package/package.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <string.h>
#include <unistd.h>

enum { MAX_XML_BYTES = 1 << 20 };

typedef enum quantity_kind { QUANTITY_INT, QUANTITY_REAL } quantity_kind;
typedef struct quantity {
  const char *path, *attribute;
  size_t offset;
  quantity_kind kind;
  double low, high;
} quantity;

static const quantity quantities[] = {
#define HCT_QUANTITY(path, attribute, field, kind, low, high) {path, attribute, offsetof(hct_package, field), QUANTITY_##kind, (double)low, (double)high},
#include "ir/package/package.def"
};

typedef struct choice {
  const char *path, *attribute;
  size_t offset;
  int64_t number;
  const char *value;
} choice;

static const choice choices[] = {
#define HCT_CHOICE(path, attribute, field, number, value) {path, attribute, offsetof(hct_package, field), number, value},
#include "ir/package/package.def"
};

typedef struct xml_messages {
  hct_diags *diags;
  const char *file;
  bool any;
} xml_messages;

static hct_loc node_location(hct_arena *arena, const char *file, const xmlNode *node) {
  return (hct_loc){file, hct_arena_printf(arena, "%ld", xmlGetLineNo((xmlNode *)(uintptr_t)node))};
}

static void on_xml_error(void *user, xmlErrorPtr error) {
  xml_messages *messages = user;
  if (messages->any) return; /* the first says it; what follows is usually its echo */
  messages->any = true;
  char where[32], text[400];
  snprintf(where, sizeof where, "%d", error->line > 0 ? error->line : 1);
  snprintf(text, sizeof text, "%s", error->message ? error->message : "not well-formed");
  text[strcspn(text, "\n")] = '\0';
  hct_error(messages->diags, HCT_E_PACKAGE, (hct_loc){messages->file, where}, "%s", text);
}

/* ---- one attribute ---- */
static xmlNode *child_named(const xmlNode *parent, const char *name, size_t length) {
  for (xmlNode *child = parent->children; child; child = child->next)
    if (child->type == XML_ELEMENT_NODE && strlen((const char *)child->name) == length && !strncmp((const char *)child->name, name, length)) return child;
  return NULL;
}

static xmlNode *node_at(xmlNode *root, const char *path) {
  xmlNode *node = root;
  for (const char *at = strchr(path, '/'); node && at; at = strchr(at, '/')) {
    at++;
    node = child_named(node, at, strcspn(at, "/"));
  }
  return node;
}

static hct_status quantity_read(hct_diags *diags, hct_arena *arena, const char *file, xmlNode *root, const quantity *q, hct_package *package) {
  xmlNode *node = node_at(root, q->path);
  const char *element = strrchr(q->path, '/') ? strrchr(q->path, '/') + 1 : q->path;
  if (!node) return hct_error(diags, HCT_E_PACKAGE, node_location(arena, file, root), "element <%s> is missing", element);
  xmlChar *found = xmlGetProp(node, (const xmlChar *)q->attribute);
  hct_loc loc = node_location(arena, file, node);
  if (!found) return hct_error(diags, HCT_E_PACKAGE, loc, "<%s>: attribute '%s' is missing", element, q->attribute);
  const char *text = hct_arena_strdup(arena, (const char *)found);
  xmlFree(found);
  int64_t integer = 0;
  double real = 0;
  bool parsed = q->kind == QUANTITY_INT ? hct_parse_i64(text, &integer) : hct_parse_f64(text, &real);
  if (q->kind == QUANTITY_INT) real = (double)integer;
  if (!parsed || !(real >= q->low && real <= q->high)) {
    const char *kind = q->kind == QUANTITY_INT ? "a whole number" : "a number";
    return hct_error(diags, HCT_E_PACKAGE, loc, "<%s>: attribute '%s' is '%.60s'; it must be %s from %.16g to %.16g", element, q->attribute, text, kind, q->low, q->high);
  }
  char *field = (char *)package + q->offset;
  if (q->kind == QUANTITY_INT) memcpy(field, &integer, sizeof integer);
  else memcpy(field, &real, sizeof real);
  return HCT_OK;
}

/* What the schema allows; the field stays as it is where the attribute is something else. */
static void choice_read(xmlNode *root, const choice *c, hct_package *package) {
  xmlNode *node = node_at(root, c->path);
  xmlChar *found = node ? xmlGetProp(node, (const xmlChar *)c->attribute) : NULL;
  if (found && !strcmp((const char *)found, c->value)) memcpy((char *)package + c->offset, &c->number, sizeof c->number);
  if (found) xmlFree(found);
}

static hct_status text_read(hct_diags *diags, hct_arena *arena, const char *file, xmlNode *node, const char *attribute, char *out, size_t capacity) {
  xmlChar *found = node ? xmlGetProp(node, (const xmlChar *)attribute) : NULL;
  size_t length = found ? strlen((const char *)found) : 0;
  bool fits = length > 0 && length < capacity;
  if (fits) memcpy(out, found, length + 1);
  if (found) xmlFree(found);
  if (fits) return HCT_OK;
  return hct_error(diags, HCT_E_PACKAGE, node ? node_location(arena, file, node) : (hct_loc){.file = file}, "attribute '%s' must be a text of 1 to %zu characters", attribute, capacity - 1);
}

/* ---- the schema: which elements and attributes there may be ---- */
static hct_status schema_check(hct_diags *diags, const char *file, xmlDoc *document) {
  char path[4096];
  snprintf(path, sizeof path, "%s/packages/package.xsd", hct_share_directory());
  xmlSchemaParserCtxt *parser = access(path, R_OK) == 0 ? xmlSchemaNewParserCtxt(path) : NULL;
  xmlSchema *schema = parser ? xmlSchemaParse(parser) : NULL;
  hct_status status = HCT_OK;
  if (!schema) {
    status = hct_failure(diags, HCT_E_PACKAGE, (hct_loc){.file = path}, "the schema of package descriptions cannot be read");
  } else {
    xmlSchemaValidCtxt *validator = xmlSchemaNewValidCtxt(schema);
    xml_messages messages = {diags, file, false};
    xmlSchemaSetValidStructuredErrors(validator, on_xml_error, &messages);
    if (xmlSchemaValidateDoc(validator, document) != 0) {
      if (!messages.any) hct_error(diags, HCT_E_PACKAGE, (hct_loc){.file = file}, "it does not follow package.xsd");
      status = HCT_REFUSED;
    }
    xmlSchemaFreeValidCtxt(validator);
    xmlSchemaFree(schema);
  }
  if (parser) xmlSchemaFreeParserCtxt(parser);
  return status;
}

static hct_status document_read(hct_diags *diags, hct_arena *arena, const char *file, xmlDoc *document, hct_package *out_package) {
  xmlNode *root = xmlDocGetRootElement(document);
  if (!root || strcmp((const char *)root->name, "package")) return hct_error(diags, HCT_E_PACKAGE, (hct_loc){.file = file}, "the root element is not <package>");
  hct_package package = {0};
  HCT_TRY(text_read(diags, arena, file, root, "name", package.name, sizeof package.name));
  for (size_t i = 0; i < HCT_COUNT(quantities); i++) HCT_TRY(quantity_read(diags, arena, file, root, &quantities[i], &package));
  for (size_t i = 0; i < HCT_COUNT(choices); i++) choice_read(root, &choices[i], &package);
  HCT_TRY(text_read(diags, arena, file, node_at(root, "package/dram"), "kind", package.dram_kind, sizeof package.dram_kind));
  HCT_TRY(schema_check(diags, file, document));
  if (package.dram_channels != 2 * (package.rows + package.cols)) {
    hct_loc loc = node_location(arena, file, node_at(root, "package/dram"));
    return hct_error(diags, HCT_E_PACKAGE, loc, "<dram>: attribute 'channels' is %lld; a %lldx%lld package has one a position on its edge: %lld", (long long)package.dram_channels,
                     (long long)package.rows, (long long)package.cols, (long long)(2 * (package.rows + package.cols)));
  }
  *out_package = package;
  return HCT_OK;
}

hct_status hct_package_parse(hct_diags *diags, const char *file_name, const char *xml, size_t bytes, hct_package *out_package) {
  hct_loc loc = {.file = file_name};
  if (bytes > MAX_XML_BYTES) return hct_error(diags, HCT_E_PACKAGE, loc, "%zu bytes; a package description has at most %d", bytes, MAX_XML_BYTES);
  xmlParserCtxt *parser = xmlNewParserCtxt();
  HCT_BUG_ON(!parser, "out of memory");
  xml_messages messages = {diags, file_name, false};
  xmlSetStructuredErrorFunc(&messages, on_xml_error);
  /* no network, no entity substitution, no DTD loading; XML_PARSE_HUGE stays off, so depth and sizes are limited */
  xmlDoc *document = xmlCtxtReadMemory(parser, xml, (int)bytes, file_name, NULL, XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_BIG_LINES);
  hct_status status = HCT_REFUSED;
  hct_arena *arena = hct_arena_create();
  if (!document) {
    if (!messages.any) hct_error(diags, HCT_E_PACKAGE, loc, "not XML");
  } else if (document->intSubset || document->extSubset) {
    hct_error(diags, HCT_E_PACKAGE, loc, "a document type declaration is not allowed: entities are never expanded");
    hct_hint(diags, "remove <!DOCTYPE ...>");
  } else {
    status = document_read(diags, arena, file_name, document, out_package);
  }
  hct_arena_destroy(arena);
  if (document) xmlFreeDoc(document);
  xmlSetStructuredErrorFunc(NULL, NULL);
  xmlFreeParserCtxt(parser);
  return status;
}

hct_status hct_package_read(hct_diags *diags, const char *path, hct_package *out_package) {
  hct_file file;
  HCT_TRY(hct_file_map(diags, path, &file));
  hct_status status = hct_package_parse(diags, path, (const char *)file.data, file.bytes, out_package);
  hct_file_unmap(&file);
  return status;
}

static bool name_is_plain(const char *name) { return name[0] && !strchr(name, '/') && !strchr(name, '.'); }

bool hct_package_locate(const char *name_or_file, char out_path[PATH_MAX]) {
  snprintf(out_path, PATH_MAX, "%s/packages/%s.xml", hct_share_directory(), name_or_file);
  if (name_is_plain(name_or_file) && access(out_path, R_OK) == 0) return true;
  snprintf(out_path, PATH_MAX, "%s", name_or_file);
  return access(name_or_file, F_OK) == 0;
}

hct_status hct_package_find(hct_diags *diags, const char *name_or_file, hct_package *out_package) {
  char path[PATH_MAX];
  if (hct_package_locate(name_or_file, path)) return hct_package_read(diags, path, out_package);
  hct_error(diags, HCT_E_PACKAGE_UNKNOWN, (hct_loc){0}, "'%s' is neither a shipped package nor a file", name_or_file);
  hct_hint(diags, "shipped: hecaton-2x2, hecaton-4x4, hecaton-8x8, hecaton-16x16, hecaton-32x32, each also with -advanced");
  return HCT_REFUSED;
}

hct_status hct_package_remesh(hct_diags *diags, hct_package *package, int64_t rows, int64_t cols) {
  if (rows < 1 || cols < 1 || rows > 1024 || cols > 1024)
    return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "a mesh of %lldx%lld dies; each side must be from 1 to 1024", (long long)rows, (long long)cols);
  if (rows == package->rows && cols == package->cols) return HCT_OK;
  char *at = strchr(package->name, '@');
  if (at) *at = '\0';
  size_t length = strlen(package->name);
  snprintf(package->name + length, sizeof package->name - length, "@%lldx%lld", (long long)rows, (long long)cols);
  package->rows = rows;
  package->cols = cols;
  package->dram_channels = 2 * (rows + cols);
  return HCT_OK;
}

static void element_print(const hct_package *package, const char *path, hct_text *text) {
  for (size_t i = 0; i < HCT_COUNT(quantities); i++) {
    if (strcmp(quantities[i].path, path) != 0) continue;
    const char *field = (const char *)package + quantities[i].offset;
    int64_t integer;
    double real;
    memcpy(&integer, field, sizeof integer);
    memcpy(&real, field, sizeof real);
    if (quantities[i].kind == QUANTITY_INT) hct_text_printf(text, " %s=\"%lld\"", quantities[i].attribute, (long long)integer);
    else hct_text_printf(text, " %s=\"%.17g\"", quantities[i].attribute, real);
  }
  for (size_t i = 0; i < HCT_COUNT(choices); i++) {
    int64_t number;
    memcpy(&number, (const char *)package + choices[i].offset, sizeof number);
    if (!strcmp(choices[i].path, path) && number && choices[i].number == number) hct_text_printf(text, " %s=\"%s\"", choices[i].attribute, choices[i].value);
  }
}

void hct_package_print(const hct_package *package, hct_text *text) {
  hct_text_printf(text, "<package name=\"%s\"", package->name);
  element_print(package, "package", text);
  hct_text_printf(text, ">\n  <die");
  element_print(package, "package/die", text);
  hct_text_printf(text, ">\n");
  static const char *const units[] = {"mxu", "vpu", "sram", "queue"};
  for (size_t i = 0; i < HCT_COUNT(units); i++) {
    char path[32];
    snprintf(path, sizeof path, "package/die/%s", units[i]);
    hct_text_printf(text, "    <%s%s", units[i], i ? "" : " dataflow=\"output-stationary\"");
    element_print(package, path, text);
    hct_text_printf(text, "/>\n");
  }
  hct_text_printf(text, "  </die>\n  <link");
  element_print(package, "package/link", text);
  hct_text_printf(text, "/>\n  <dram kind=\"%s\"", package->dram_kind);
  element_print(package, "package/dram", text);
  hct_text_printf(text, "/>\n  <energy");
  element_print(package, "package/energy", text);
  hct_text_printf(text, "/>\n</package>\n");
}
