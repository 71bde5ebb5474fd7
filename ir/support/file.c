#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/support.h"

hct_status hct_file_map(hct_diags *diags, const char *path, hct_file *out_file) {
  hct_loc loc = {.file = path};
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer would not open otherwise */
  if (fd < 0) return hct_error(diags, HCT_E_IO, loc, "cannot open: %s", strerror(errno));
  struct stat info;
  hct_status status = HCT_OK;
  hct_file file = {0};
  if (fstat(fd, &info) != 0) {
    status = hct_failure(diags, HCT_E_IO, loc, "cannot read: %s", strerror(errno));
  } else if (!S_ISREG(info.st_mode)) {
    status = hct_error(diags, HCT_E_IO, loc, "not a regular file");
  } else if (info.st_size > 0) {
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
      status = hct_failure(diags, HCT_E_IO, loc, "cannot map %lld bytes: %s", (long long)info.st_size, strerror(errno));
    else
      file = (hct_file){data, (size_t)info.st_size};
  } else {
    file = (hct_file){(const uint8_t *)"", 0};
  }
  close(fd);
  if (status == HCT_OK) *out_file = file;
  return status;
}

void hct_file_unmap(hct_file *file) {
  if (file->bytes) munmap((void *)(uintptr_t)file->data, file->bytes);
  *file = (hct_file){0};
}

struct hct_output {
  char *path, *temporary;
  FILE *stream;
  bool copied; /* to a device, a pipe or standard output, which no file takes the place of */
};

static bool is_stdout(const char *path) { return !strcmp(path, "-"); }
static hct_loc output_loc(const char *path) { return (hct_loc){.file = is_stdout(path) ? "<stdout>" : path}; }

hct_status hct_output_open(hct_diags *diags, const char *path, hct_output **out_output) {
  hct_loc loc = output_loc(path);
  struct stat info;
  bool there = !is_stdout(path) && stat(path, &info) == 0;
  if (there && S_ISDIR(info.st_mode)) return hct_error(diags, HCT_E_IO, loc, "cannot write: it is a directory");
  bool copied = is_stdout(path) || (there && !S_ISREG(info.st_mode));
  const char *folder = copied ? hct_temporary_base() : "", *beside = copied ? "/hecaton" : path;
  size_t length = strlen(folder) + strlen(beside) + 16;
  char *temporary = malloc(length);
  hct_output *output = calloc(1, sizeof *output);
  HCT_BUG_ON(!temporary || !output, "out of memory");
  output->copied = copied;
  snprintf(temporary, length, "%s%s.tmp.XXXXXX", folder, beside);
  int fd = mkostemp(temporary, O_CLOEXEC);
  if (fd < 0) {
    hct_status status = hct_error(diags, HCT_E_IO, copied ? (hct_loc){.file = temporary} : loc, "cannot write: %s", strerror(errno));
    free(temporary);
    free(output);
    return status;
  }
  mode_t mask = umask(0);
  umask(mask);
  fchmod(fd, 0666 & ~mask);
  output->path = strdup(path);
  output->temporary = temporary;
  output->stream = fdopen(fd, "wb");
  HCT_BUG_ON(!output->stream || !output->path, "out of memory");
  *out_output = output;
  return HCT_OK;
}

FILE *hct_output_stream(hct_output *output) { return output->stream; }

static void output_release(hct_output *output) {
  free(output->path);
  free(output->temporary);
  free(output);
}

/* Names in a folder outlast a loss of power once the folder itself is written. */
static bool folder_sync(const char *path) {
  hct_arena *arena = hct_arena_create();
  int fd = open(hct_path_folder(arena, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool done = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  hct_arena_destroy(arena);
  return done;
}

/* Of a stream of which a write has failed some time ago: why the next one does. */
static int write_again(FILE *stream) {
  enum { MORE = 1 << 16 }; /* than the room that is left where a write has failed */
  clearerr(stream);
  errno = 0;
  if (fseek(stream, 0, SEEK_END) == 0)
    for (int i = 0; i < MORE && !ferror(stream); i++) fputc(0, stream);
  if (!ferror(stream)) fflush(stream);
  return errno ? errno : EIO;
}

static bool file_move(const char *from, const char *to) {
  char data[1 << 14];
  if (is_stdout(to) && fflush(stdout) != 0) return false;
  int in = open(from, O_RDONLY | O_CLOEXEC), out = is_stdout(to) ? dup(STDOUT_FILENO) : open(to, O_WRONLY | O_CLOEXEC);
  bool done = in >= 0 && out >= 0;
  unlink(from); /* a pipe that nobody reads ends the process */
  for (ssize_t held; done && (held = read(in, data, sizeof data)) != 0;) {
    done = held > 0;
    for (ssize_t at = 0, written; done && at < held; at += written) done = (written = write(out, data + at, (size_t)(held - at))) > 0;
  }
  int reason = errno;
  if (in >= 0) close(in);
  if (out >= 0 && close(out) != 0 && done) done = false, reason = errno;
  errno = reason;
  return done;
}

/* The temporary becomes what `path` names. */
static bool output_place(const hct_output *output, bool durable) {
  if (output->copied) return file_move(output->temporary, output->path);
  return rename(output->temporary, output->path) == 0 && (!durable || folder_sync(output->path));
}

static hct_status output_commit(hct_diags *diags, hct_output *output, bool durable, const char *previous) {
  int reason = ferror(output->stream) ? write_again(output->stream) : 0;
  bool failed = reason != 0;
  if (!failed && (fflush(output->stream) != 0 || (durable && fsync(fileno(output->stream)) != 0))) failed = true, reason = errno;
  if (fclose(output->stream) != 0 && !failed) failed = true, reason = errno;
  if (output->copied) previous = NULL;
  if (!failed && previous && rename(output->path, previous) != 0 && errno != ENOENT) failed = true, reason = errno;
  if (!failed && !output_place(output, durable)) failed = true, reason = errno;
  hct_status status = HCT_OK;
  if (failed) {
    status = hct_failure(diags, HCT_E_IO, output_loc(output->path), "cannot write: %s", strerror(reason));
    unlink(output->temporary);
  }
  output_release(output);
  return status;
}

hct_status hct_output_commit(hct_diags *diags, hct_output *output) { return output_commit(diags, output, false, NULL); }
hct_status hct_output_commit_keeping(hct_diags *diags, hct_output *output, const char *previous) { return output_commit(diags, output, true, previous); }

void hct_output_sweep(const char *path) {
  enum { RANDOM = 6 };
  hct_arena *arena = hct_arena_create();
  const char *folder = hct_path_folder(arena, path), *slash = strrchr(path, '/');
  const char *prefix = hct_arena_printf(arena, "%s.tmp.", slash ? slash + 1 : path);
  DIR *listing = opendir(folder);
  for (struct dirent *entry; listing && (entry = readdir(listing));)
    if (!strncmp(entry->d_name, prefix, strlen(prefix)) && strlen(entry->d_name) == strlen(prefix) + RANDOM) unlinkat(dirfd(listing), entry->d_name, 0);
  if (listing) closedir(listing);
  hct_arena_destroy(arena);
}

void hct_output_abandon(hct_output *output) {
  if (!output) return;
  fclose(output->stream);
  unlink(output->temporary);
  output_release(output);
}

/* BUILD/bin/TOOL -> BUILD, PREFIX/bin/TOOL -> PREFIX; unit tests live in BUILD/unit. "." where the system does not say where it is. */
static void prefix_read(char prefix[PATH_MAX]) {
  ssize_t length = readlink("/proc/self/exe", prefix, PATH_MAX - 1);
  if (length <= 0) prefix[0] = '.', length = 1;
  prefix[length] = '\0';
  for (int up = 0; up < 2; up++) {
    char *slash = strrchr(prefix, '/');
    if (slash) *slash = '\0';
  }
}

const char *hct_share_directory(void) {
  static _Thread_local char directory[PATH_MAX];
  char prefix[PATH_MAX];
  prefix_read(prefix);
  int written = snprintf(directory, sizeof directory, "%s/share/hecaton", prefix);
  HCT_BUG_ON(written < 0 || (size_t)written >= sizeof directory, "path of the executable is too long");
  return directory;
}

char *hct_tool_path(hct_arena *arena, const char *name) {
  char prefix[PATH_MAX];
  prefix_read(prefix);
  return hct_arena_printf(arena, "%s/bin/%s", prefix, name);
}
