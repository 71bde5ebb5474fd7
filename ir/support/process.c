#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ir/support/support.h"

extern char **environ;

const char *hct_temporary_base(void) {
  const char *base = getenv("TMPDIR");
  return base && base[0] ? base : "/tmp";
}

hct_status hct_temporary_folder(hct_diags *diags, hct_arena *arena, char **out_path) {
  char *path = hct_arena_printf(arena, "%s/hecaton-XXXXXX", hct_temporary_base());
  if (!mkdtemp(path)) return hct_failure(diags, HCT_E_IO, (hct_loc){.file = path}, "it cannot be made: %s", strerror(errno));
  *out_path = path;
  return HCT_OK;
}

hct_status hct_process_run(hct_diags *diags, const hct_process *process, int *out_code) {
  posix_spawn_file_actions_t actions;
  fflush(NULL);
  posix_spawn_file_actions_init(&actions);
  if (process->folder) posix_spawn_file_actions_addchdir_np(&actions, process->folder);
  if (process->output) posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, process->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (process->errors) posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, process->errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child;
  int status = 0, failed = posix_spawnp(&child, process->arguments[0], &actions, NULL, process->arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return hct_failure(diags, HCT_E_IO, (hct_loc){.file = process->arguments[0]}, "it cannot be run: %s", strerror(failed));
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  *out_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return HCT_OK;
}
