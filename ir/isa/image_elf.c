/* ELF64 by libelf: .text.K the streams, .hecaton.dies, .hecaton.package, .hecaton.tensors, .hecaton.meta, .data.weights,
 * .hecaton.checksums (XXH3-64 of every other section, by name), and a symbol for every stream and every tensor with data. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

#include "ir/isa/image_json.h"

enum { IMAGE_ABI_VERSION = 1, IMAGE_MACHINE = 0x4843 /* "HC": not assigned by anyone */ };

typedef struct section {
  char name[32];
  const void *data;
  size_t bytes;
  Elf64_Word type;
  Elf64_Xword flags;
} section;
typedef struct section_list {
  section *items;
  size_t count, capacity;
} section_list;

/* ---- writing ---- */
typedef struct symbol_list {
  Elf64_Sym *items;
  size_t count, capacity;
} symbol_list;

static void section_add(hct_arena *arena, section_list *list, const char *name, const void *data, size_t bytes, Elf64_Word type, Elf64_Xword flags) {
  section s = {.data = bytes ? data : "", .bytes = bytes, .type = type, .flags = flags};
  snprintf(s.name, sizeof s.name, "%s", name);
  HCT_PUSH(arena, list, s);
}

static const char *json_text(hct_arena *arena, json_t *json) {
  char *text = json_dumps(json, JSON_COMPACT);
  json_decref(json);
  HCT_BUG_ON(!text, "a table of the image is not UTF-8");
  const char *copy = hct_arena_strdup(arena, text);
  free(text);
  return copy;
}

static void text_section_add(hct_arena *arena, section_list *list, const char *name, const char *text) { section_add(arena, list, name, text, strlen(text), SHT_PROGBITS, 0); }

static void stream_add(hct_arena *arena, section_list *list, size_t index, const hct_stream *stream) {
  struct { uint64_t *items; size_t count, capacity; } words = {0};
  for (size_t i = 0; i < stream->count; i++) {
    uint64_t buffer[HCT_MAX_INSTR_WORDS];
    size_t count = hct_instr_encode(&stream->items[i], buffer, HCT_COUNT(buffer));
    for (size_t w = 0; w < count; w++) HCT_PUSH(arena, &words, buffer[w]);
  }
  char name[32];
  snprintf(name, sizeof name, ".text.%zu", index);
  section_add(arena, list, name, words.items, words.count * sizeof(uint64_t), SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR);
}

static void weights_add(hct_arena *arena, section_list *list, const hct_image *image) {
  size_t bytes = 0;
  for (size_t i = 0; i < image->tensor_count; i++) bytes += image->tensors[i].data ? image->tensors[i].data_bytes : 0;
  uint8_t *data = hct_arena_alloc(arena, bytes + 1);
  size_t at = 0;
  for (size_t i = 0; i < image->tensor_count; i++) {
    const hct_tensor *t = &image->tensors[i];
    if (!t->data) continue;
    if (t->data_bytes) memcpy(data + at, t->data, t->data_bytes);
    at += t->data_bytes;
  }
  section_add(arena, list, ".data.weights", data, bytes, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE);
}

static void checksums_add(hct_arena *arena, section_list *list) {
  json_t *json = json_object();
  for (size_t i = 0; i < list->count; i++) {
    char text[24];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hct_checksum(list->items[i].data, list->items[i].bytes));
    json_object_set_new(json, list->items[i].name, json_string(text));
  }
  text_section_add(arena, list, ".hecaton.checksums", json_text(arena, json));
}

static void symbol_add(hct_arena *arena, symbol_list *symbols, hct_text *names, const char *name, unsigned type, size_t section_index, size_t value, size_t bytes) {
  Elf64_Sym symbol = {.st_name = (Elf64_Word)names->length, .st_info = (unsigned char)ELF64_ST_INFO(STB_GLOBAL, type), .st_shndx = (Elf64_Half)section_index, .st_value = value, .st_size = bytes};
  hct_text_append(names, name, strlen(name) + 1);
  HCT_PUSH(arena, symbols, symbol);
}

static void symbols_add(hct_arena *arena, section_list *list, const hct_image *image, size_t weights_index) {
  symbol_list symbols = {0};
  hct_text names = {0};
  hct_text_append(&names, "", 1);
  HCT_PUSH(arena, &symbols, (Elf64_Sym){0});
  for (size_t s = 0; s < image->stream_count; s++) {
    char name[32];
    snprintf(name, sizeof name, "stream%zu", s);
    symbol_add(arena, &symbols, &names, name, STT_FUNC, s + 1, 0, list->items[s].bytes);
  }
  size_t at = 0;
  for (size_t i = 0; i < image->tensor_count; i++) {
    if (!image->tensors[i].data) continue;
    symbol_add(arena, &symbols, &names, image->tensors[i].name, STT_OBJECT, weights_index, at, image->tensors[i].data_bytes);
    at += image->tensors[i].data_bytes;
  }
  section_add(arena, list, ".symtab", symbols.items, symbols.count * sizeof(Elf64_Sym), SHT_SYMTAB, 0);
  section_add(arena, list, ".strtab", hct_arena_strndup(arena, names.data, names.length), names.length, SHT_STRTAB, 0);
  hct_text_fini(&names);
}

static section_list sections_make(hct_arena *arena, const hct_image *image) {
  section_list list = {0};
  for (size_t s = 0; s < image->stream_count; s++) stream_add(arena, &list, s, &image->streams[s]);
  text_section_add(arena, &list, ".hecaton.dies", json_text(arena, hct_json_header(image)));
  text_section_add(arena, &list, ".hecaton.package", image->package_xml);
  text_section_add(arena, &list, ".hecaton.tensors", json_text(arena, hct_json_tensors(image, false)));
  text_section_add(arena, &list, ".hecaton.meta", json_text(arena, hct_json_meta(image)));
  weights_add(arena, &list, image);
  size_t weights_index = list.count;
  checksums_add(arena, &list);
  symbols_add(arena, &list, image, weights_index);
  return list;
}

static bool section_emit(Elf *elf, hct_text *names, const section *s, size_t strtab_index) {
  Elf_Scn *scn = elf_newscn(elf);
  Elf_Data *data = scn ? elf_newdata(scn) : NULL;
  Elf64_Shdr *header = scn ? elf64_getshdr(scn) : NULL;
  if (!data || !header) return false;
  bool symbols = s->type == SHT_SYMTAB;
  *data = (Elf_Data){.d_buf = (void *)(uintptr_t)s->data, .d_size = s->bytes, .d_align = 16, .d_type = symbols ? ELF_T_SYM : ELF_T_BYTE, .d_version = EV_CURRENT};
  header->sh_name = (Elf64_Word)names->length;
  header->sh_type = s->type;
  header->sh_flags = s->flags;
  header->sh_entsize = symbols ? sizeof(Elf64_Sym) : 0;
  header->sh_link = symbols ? (Elf64_Word)strtab_index : 0;
  header->sh_info = symbols ? 1 : 0;
  hct_text_append(names, s->name, strlen(s->name) + 1);
  return true;
}

static bool elf_emit(hct_arena *arena, section_list *list, int fd) {
  if (elf_version(EV_CURRENT) == EV_NONE) return false;
  Elf *elf = elf_begin(fd, ELF_C_WRITE, NULL);
  Elf64_Ehdr *header = elf ? elf64_newehdr(elf) : NULL;
  if (!header) return false;
  header->e_ident[EI_DATA] = ELFDATA2LSB;
  header->e_ident[EI_ABIVERSION] = IMAGE_ABI_VERSION;
  header->e_type = ET_EXEC;
  header->e_machine = IMAGE_MACHINE;
  header->e_version = EV_CURRENT;
  hct_text names = {0};
  hct_text_append(&names, "", 1);
  bool good = true;
  for (size_t i = 0; i < list->count; i++) good = good && section_emit(elf, &names, &list->items[i], list->count);
  section shstrtab = {.name = ".shstrtab", .type = SHT_STRTAB};
  size_t length = names.length + sizeof ".shstrtab";
  char *all = hct_arena_alloc(arena, length);
  memcpy(all, names.data, names.length);
  memcpy(all + names.length, ".shstrtab", sizeof ".shstrtab");
  shstrtab.data = all;
  shstrtab.bytes = length;
  good = good && section_emit(elf, &names, &shstrtab, 0);
  header->e_shstrndx = (Elf64_Half)(list->count + 1);
  good = good && elf_update(elf, ELF_C_WRITE) >= 0;
  elf_end(elf);
  hct_text_fini(&names);
  return good;
}

hct_status hct_image_write(hct_diags *diags, const hct_image *image, const char *path) {
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  hct_arena *arena = hct_arena_create();
  section_list list = sections_make(arena, image);
  errno = 0;
  bool good = elf_emit(arena, &list, fileno(hct_output_stream(output)));
  int reason = errno; /* libelf says that a write failed, and not why */
  hct_arena_destroy(arena);
  if (good) return hct_output_commit(diags, output);
  hct_output_abandon(output);
  return hct_failure(diags, HCT_E_IO, (hct_loc){.file = path}, "cannot write the image: %s", reason ? strerror(reason) : elf_errmsg(-1));
}

/* ---- reading ---- */
static section_list sections_read(hct_arena *arena, Elf *elf) {
  section_list list = {0};
  size_t names;
  if (elf_getshdrstrndx(elf, &names) != 0) return list;
  for (Elf_Scn *scn = elf_nextscn(elf, NULL); scn; scn = elf_nextscn(elf, scn)) {
    GElf_Shdr header;
    if (!gelf_getshdr(scn, &header)) continue;
    const char *name = elf_strptr(elf, names, header.sh_name);
    Elf_Data *data = header.sh_type == SHT_NOBITS ? NULL : elf_rawdata(scn, NULL);
    if (!name || strlen(name) >= sizeof((section *)NULL)->name || !data || (data->d_size && !data->d_buf)) continue;
    section_add(arena, &list, name, data->d_buf, data->d_size, header.sh_type, 0);
  }
  return list;
}

static const section *section_find(const section_list *list, const char *name) {
  for (size_t i = 0; i < list->count; i++)
    if (!strcmp(list->items[i].name, name)) return &list->items[i];
  return NULL;
}

static json_t *section_json(hct_json_reader *r, const section_list *list, const char *name) {
  const section *s = section_find(list, name);
  json_error_t error;
  json_t *json = s ? json_loadb(s->data, s->bytes, JSON_REJECT_DUPLICATES, &error) : NULL;
  if (!s) hct_error(r->diags, HCT_E_IMAGE, r->loc, "section %s is missing", name);
  else if (!json) hct_error(r->diags, HCT_E_IMAGE, r->loc, "section %s: %s", name, error.text);
  return json;
}

static hct_status checksums_check(hct_json_reader *r, const section_list *list) {
  json_t *json = section_json(r, list, ".hecaton.checksums");
  if (!json) return HCT_REFUSED;
  hct_status status = HCT_OK;
  for (size_t i = 0; i < list->count && status == HCT_OK; i++) {
    const section *s = &list->items[i];
    if (strncmp(s->name, ".text.", 6) && strncmp(s->name, ".hecaton.", 9) && strcmp(s->name, ".data.weights")) continue;
    if (!strcmp(s->name, ".hecaton.checksums")) continue;
    char text[24];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hct_checksum(s->data, s->bytes));
    const char *wanted = json_string_value(json_object_get(json, s->name));
    if (!wanted || strcmp(wanted, text)) status = hct_error(r->diags, HCT_E_IMAGE, r->loc, "section %s: its checksum is %s, not %s: the file is damaged", s->name, text, wanted ? wanted : "(none)");
  }
  json_decref(json);
  return status;
}

static hct_status stream_read(hct_json_reader *r, const section_list *list, size_t index, hct_stream *stream) {
  char name[32], where[64];
  snprintf(name, sizeof name, ".text.%zu", index);
  const section *s = section_find(list, name);
  if (!s || s->bytes % 8) return hct_error(r->diags, HCT_E_IMAGE, r->loc, "section %s is missing or no whole number of words", name);
  uint64_t *words = HCT_NEW_ARRAY(r->arena, uint64_t, s->bytes / 8 + 1);
  if (s->bytes) memcpy(words, s->data, s->bytes);
  snprintf(where, sizeof where, "stream %zu", index);
  hct_loc loc = {r->loc.file, where};
  for (size_t at = 0; at < s->bytes / 8;) {
    hct_instr instr;
    HCT_TRY(hct_instr_decode(r->diags, r->arena, loc, words, s->bytes / 8, &at, &instr));
    HCT_PUSH(r->arena, stream, instr);
  }
  return HCT_OK;
}

static hct_status table_read(hct_json_reader *r, const section_list *list, const char *name, hct_status (*read)(hct_json_reader *, json_t *, hct_image *), hct_image *image) {
  json_t *json = section_json(r, list, name);
  if (!json) return HCT_REFUSED;
  hct_status status = read(r, json, image);
  json_decref(json);
  return status;
}

static hct_status image_read(hct_json_reader *r, const section_list *list, hct_image *image) {
  HCT_TRY(checksums_check(r, list));
  HCT_TRY(table_read(r, list, ".hecaton.dies", hct_json_header_read, image));
  const section *weights = section_find(list, ".data.weights"), *package = section_find(list, ".hecaton.package");
  if (!weights || !package) return hct_error(r->diags, HCT_E_IMAGE, r->loc, "section %s is missing", weights ? ".hecaton.package" : ".data.weights");
  uint8_t *data = hct_arena_alloc(r->arena, weights->bytes + 1);
  if (weights->bytes) memcpy(data, weights->data, weights->bytes);
  r->weights = data;
  r->weight_bytes = weights->bytes;
  image->package_xml = hct_arena_strndup(r->arena, package->data, package->bytes);
  HCT_TRY(table_read(r, list, ".hecaton.tensors", hct_json_tensors_read, image));
  HCT_TRY(table_read(r, list, ".hecaton.meta", hct_json_meta_read, image));
  for (size_t s = 0; s < image->stream_count; s++) HCT_TRY(stream_read(r, list, s, &image->streams[s]));
  return hct_image_check(r->diags, r->loc, image);
}

/* The file as an ELF of ours; NULL when it is none. `data` must stay mapped. */
static Elf *elf_open(const hct_file *file) {
  if (file->bytes < sizeof(Elf64_Ehdr) || elf_version(EV_CURRENT) == EV_NONE) return NULL;
  Elf *elf = elf_memory((char *)(uintptr_t)file->data, file->bytes);
  GElf_Ehdr header;
  if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getclass(elf) == ELFCLASS64 && gelf_getehdr(elf, &header) && header.e_machine == IMAGE_MACHINE) return elf;
  if (elf) elf_end(elf);
  return NULL;
}

hct_status hct_image_read(hct_diags *diags, hct_arena *arena, const char *path, hct_image *out_image) {
  hct_file file;
  HCT_TRY(hct_file_map(diags, path, &file));
  hct_json_reader reader = {.diags = diags, .loc = {.file = path}, .arena = arena};
  hct_image image = {0};
  /* libelf may write into the memory that it is given: a private copy, so that a read-only map never faults */
  uint8_t *copy = hct_arena_alloc(arena, file.bytes + 1);
  if (file.bytes) memcpy(copy, file.data, file.bytes);
  hct_file memory = {copy, file.bytes};
  hct_file_unmap(&file);
  Elf *elf = elf_open(&memory);
  if (!elf) {
    hct_error(diags, HCT_E_IMAGE, reader.loc, "not a Hecaton program image");
    hct_hint(diags, "hecaton-compile MODEL.onnx -o OUT writes one");
    return HCT_REFUSED;
  }
  section_list list = sections_read(arena, elf);
  hct_status status = image_read(&reader, &list, &image);
  elf_end(elf);
  if (status == HCT_OK) *out_image = image;
  return status;
}

bool hct_image_is(const char *path) {
  unsigned char head[20];
  FILE *file = fopen(path, "rb");
  if (!file) return false;
  bool read = fread(head, 1, sizeof head, file) == sizeof head;
  fclose(file);
  return read && !memcmp(head, ELFMAG, SELFMAG) && (head[18] | head[19] << 8) == IMAGE_MACHINE;
}
