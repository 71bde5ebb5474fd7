#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/support.h"

char *hct_path_folder(hct_arena *arena, const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? hct_arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path)) : hct_arena_strdup(arena, ".");
}

char *hct_path_join(hct_arena *arena, const char *folder, const char *path) {
  if (path[0] == '/' || !strcmp(folder, ".")) return hct_arena_strdup(arena, path);
  return hct_arena_printf(arena, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", path);
}

char *hct_path_resolve(hct_arena *arena, const char *path) {
  char *found = realpath(path, NULL);
  if (!found) return NULL;
  char *copy = hct_arena_strdup(arena, found);
  free(found);
  return copy;
}

char *hct_path_resolve_existing(hct_arena *arena, const char *path) {
  char *real = hct_path_resolve(arena, path);
  if (real) return real;
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  if (slash == path || !name[0]) return hct_arena_strdup(arena, path);
  return hct_path_join(arena, hct_path_resolve_existing(arena, hct_path_folder(arena, path)), name);
}

char *hct_path_relative(hct_arena *arena, const char *path, const char *folder) {
  const char *real_folder = hct_path_resolve(arena, folder), *real = hct_path_resolve_existing(arena, path);
  if (!real_folder || real[0] != '/') return hct_arena_strdup(arena, path);
  size_t common = 0, at = 0;
  for (; real[at] && real[at] == real_folder[at]; at++)
    if (real[at] == '/') common = at;
  if (!real_folder[at] && real[at] == '/') common = at;
  hct_text text = {0};
  for (const char *up = real_folder + common; *up; up++)
    if (*up == '/' && up[1]) hct_text_printf(&text, "../");
  hct_text_printf(&text, "%s", real + common + 1);
  char *relative = hct_arena_strdup(arena, text.data);
  hct_text_fini(&text);
  return relative;
}
