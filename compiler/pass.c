#include "compiler/pass.h"

#include <fnmatch.h>
#include <string.h>

const char *hct_pass_option(const hct_pass_context *pass, const char *name, const char *fallback) {
  const char *text = pass->options ? hct_map_get(pass->options, name) : NULL;
  return text ? text : fallback;
}

bool hct_pass_trains(const hct_pass_context *pass, const char *name) {
  const char *rules = hct_pass_option(pass, "trainable", "");
  bool trains = !*rules || *rules == '-';
  hct_arena *arena = hct_arena_create();
  while (*rules) {
    size_t length = strcspn(rules, "\n"), sign = *rules == '-' || *rules == '+';
    if (!fnmatch(hct_arena_strndup(arena, rules + sign, length - sign), name, 0)) trains = *rules != '-';
    rules += length + (rules[length] == '\n');
  }
  hct_arena_destroy(arena);
  return trains && strcmp(hct_pass_option(pass, "mode", "train"), "infer");
}

int64_t hct_pass_update_chunk(const hct_pass_context *pass) {
  int64_t chunk = 1 << 16, most = (int64_t)pass->package.sram_bytes / 4 / 32, given;
  if (hct_parse_i64(hct_pass_option(pass, "update-chunk", "auto"), &given) && given >= 1) return given;
  while (chunk > 1 && chunk > most) chunk /= 2;
  return chunk;
}

void hct_pass_sram_hint(const hct_pass_context *pass, bool fewer, bool updates) {
  bool resident = !strcmp(hct_pass_option(pass, "weights", "auto"), "resident");
  hct_hint(pass->diags, "%s%sother --token-blocks, more --weight-pieces, %sa larger --mesh, or a package with more SRAM", fewer ? "a smaller --micro-batch, " : "", resident ? "--weights=auto, " : "", updates ? "a smaller --update-chunk, " : "");
}
