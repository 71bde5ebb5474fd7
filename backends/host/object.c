/* Upstream MLIR text through hecaton-host-codegen to an object file, and through the system's linker to a shared object. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/host/host.h"
#include "ir/isa/host_program.h"

static hct_status file_write(hct_diags *diags, const char *path, const void *data, size_t bytes) {
  FILE *file = fopen(path, "wb");
  bool written = file && fwrite(data, 1, bytes, file) == bytes;
  int reason = errno;
  if (file && fclose(file) && written) written = false, reason = errno;
  if (written) return HCT_OK;
  hct_failure(diags, HCT_E_IO, (hct_loc){.file = path}, "cannot write: %s", strerror(reason));
  hct_note(diags, "it is a temporary file of --backend=host; TMPDIR says where these are");
  return HCT_FAILED;
}

static const char assembly[] =
    ".section .rodata\n"
    ".globl " HCT_HOST_METADATA "\n" HCT_HOST_METADATA ":\n.incbin \"metadata\"\n.byte 0\n"
    ".p2align 6\n.globl " HCT_HOST_DATA "\n" HCT_HOST_DATA ":\n.incbin \"data\"\n.byte 0\n"
    ".section .note.GNU-stack,\"\",@progbits\n";

/* What a program that failed wrote. */
static void errors_tell(hct_diags *diags, const char *path) {
  hct_diags *quiet = hct_diags_create(NULL);
  hct_file file;
  if (hct_file_map(quiet, path, &file) == HCT_OK) {
    for (size_t at = 0, length; at < file.bytes; at += length + 1) {
      const char *line = (const char *)file.data + at, *end = memchr(line, '\n', file.bytes - at);
      length = end ? (size_t)(end - line) : file.bytes - at;
      hct_note(diags, "%.*s", (int)length, line);
    }
    hct_file_unmap(&file);
  }
  hct_diags_destroy(quiet);
}

/* One step on the way: `purpose` is what its program does, `missing` what helps where there is none. */
static hct_status step_run(hct_diags *diags, char *const *arguments, const char *purpose, const char *missing, const char *folder, const char *errors) {
  const char *slash = strrchr(arguments[0], '/'), *name = slash ? slash + 1 : arguments[0];
  int code = 0;
  hct_status status = hct_process_run(diags, &(hct_process){.arguments = arguments, .folder = folder, .errors = errors}, &code);
  if (status != HCT_OK) hct_hint(diags, "%s", missing);
  if (status != HCT_OK || code == 0) return status;
  status = hct_failure(diags, HCT_E_IO, (hct_loc){.file = folder}, "%s, which %s there, failed with status %d", name, purpose, code);
  errors_tell(diags, errors);
  return status;
}

static hct_status object_generate(hct_diags *diags, const char *folder, const char *errors) {
  hct_arena *arena = hct_arena_create();
  char *const arguments[] = {hct_tool_path(arena, "hecaton-host-codegen"), "step.mlir", "-o", "step.o", NULL};
  hct_status status = step_run(diags, arguments, "makes native code", "it is built beside hecaton-compile, which needs it there", folder, errors);
  hct_arena_destroy(arena);
  return status;
}

static hct_status link_program(hct_diags *diags, const char *folder, const char *errors) {
  char *const arguments[] = {"cc", "-shared", "-s", "-Wl,--build-id=none", "-o", "program", "step.o", "data.s", "-lm", NULL};
  return step_run(diags, arguments, "links host programs", "Debian's package gcc has it", folder, errors);
}

static hct_status program_copy(hct_diags *diags, const char *from, FILE *out) {
  hct_file file;
  HCT_TRY(hct_file_map(diags, from, &file));
  fwrite(file.data, 1, file.bytes, out); /* what cannot be written is found when that is committed */
  hct_file_unmap(&file);
  return HCT_OK;
}

enum { MLIR, OBJECT, METADATA, DATA, ASSEMBLY, PROGRAM, ERRORS, PARTS };
static const char *const parts[PARTS] = {"step.mlir", "step.o", "metadata", "data", "data.s", "program", "errors"};

static hct_status write_in(hct_diags *diags, const char *folder, char *const names[PARTS], const hct_text *mlir, const hct_text *metadata, const hct_text *data, FILE *out) {
  HCT_TRY(file_write(diags, names[MLIR], mlir->data, mlir->length));
  HCT_TRY(object_generate(diags, folder, names[ERRORS]));
  HCT_TRY(file_write(diags, names[METADATA], metadata->data, metadata->length));
  HCT_TRY(file_write(diags, names[DATA], data->data ? data->data : "", data->length));
  HCT_TRY(file_write(diags, names[ASSEMBLY], assembly, sizeof assembly - 1));
  HCT_TRY(link_program(diags, folder, names[ERRORS]));
  return program_copy(diags, names[PROGRAM], out);
}

hct_status host_object_write(hct_diags *diags, const hct_text *mlir, const hct_text *metadata, const hct_text *data, FILE *out) {
  hct_arena *arena = hct_arena_create();
  char *folder, *names[PARTS];
  hct_status status = hct_temporary_folder(diags, arena, &folder);
  if (status == HCT_OK) {
    for (size_t i = 0; i < PARTS; i++) names[i] = hct_path_join(arena, folder, parts[i]);
    status = write_in(diags, folder, names, mlir, metadata, data, out);
    for (size_t i = 0; i < PARTS; i++) unlink(names[i]);
    rmdir(folder);
  }
  hct_arena_destroy(arena);
  return status;
}
