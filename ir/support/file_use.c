#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/support.h"

typedef struct identity { /* of a file: by device and inode where it is there, else by name */
  bool regular;
  dev_t device;
  ino_t inode;
  const char *name; /* NULL: by device and inode */
} identity;

static identity identity_of(hct_arena *arena, const hct_file_use *use) {
  struct stat info;
  if (!strcmp(use->path, "-")) return (identity){.regular = use->written, .name = use->path};
  if (stat(use->path, &info) == 0) return (identity){.regular = S_ISREG(info.st_mode), .device = info.st_dev, .inode = info.st_ino};
  return (identity){.regular = true, .name = hct_path_resolve_existing(arena, use->path)};
}

static bool identity_equal(const identity *a, const identity *b) {
  if (!a->regular || !b->regular || !a->name != !b->name) return false;
  return a->name ? !strcmp(a->name, b->name) : a->device == b->device && a->inode == b->inode;
}

static hct_status use_refuse(hct_diags *diags, const hct_file_use *written, const hct_file_use *other) {
  hct_loc loc = {.file = strcmp(written->path, "-") ? written->path : "<stdout>"};
  if (other->written) hct_error(diags, HCT_E_OPTION, loc, "%s is to write this file, and so is %s", written->what, other->what);
  else hct_error(diags, HCT_E_OPTION, loc, "%s is to write this file, which is %s", written->what, other->what);
  if (strcmp(written->path, other->path)) hct_note(diags, "%s is given as '%s', the same file", other->what, other->path);
  hct_hint(diags, "another file for %s", written->what);
  return HCT_REFUSED;
}

/* As far as can be told before the run. */
static hct_status writable_check(hct_diags *diags, hct_arena *arena, const hct_file_use *use) {
  struct stat info;
  hct_loc loc = {.file = use->path};
  if (!strcmp(use->path, "-")) return HCT_OK;
  if (!use->path[0]) return hct_error(diags, HCT_E_OPTION, (hct_loc){0}, "%s: the name of its file is empty", use->what);
  bool there = stat(use->path, &info) == 0;
  if (there && S_ISDIR(info.st_mode)) return hct_error(diags, HCT_E_IO, loc, "cannot write: it is a directory");
  if (there && !S_ISREG(info.st_mode)) return HCT_OK;
  if (access(hct_path_folder(arena, use->path), W_OK | X_OK) == 0) return HCT_OK;
  hct_error(diags, HCT_E_IO, loc, "cannot write: %s", strerror(errno));
  hct_note(diags, "%s is to write it", use->what);
  return HCT_REFUSED;
}

hct_status hct_file_uses_check(hct_diags *diags, const hct_file_uses *uses) {
  hct_arena *arena = hct_arena_create();
  identity *identities = HCT_NEW_ARRAY(arena, identity, uses->count + 1);
  hct_status status = HCT_OK;
  for (size_t i = 0; i < uses->count; i++) identities[i] = identity_of(arena, &uses->items[i]);
  for (size_t i = 0; i < uses->count && status == HCT_OK; i++) {
    const hct_file_use *use = &uses->items[i];
    if (use->written) status = writable_check(diags, arena, use);
    for (size_t k = 0; k < uses->count && use->written && status == HCT_OK; k++) {
      const hct_file_use *other = &uses->items[k];
      bool one_series = use->series && use->series == other->series;
      if (k != i && !one_series && (k > i || !other->written) && identity_equal(&identities[i], &identities[k])) status = use_refuse(diags, use, other);
    }
  }
  hct_arena_destroy(arena);
  return status;
}
