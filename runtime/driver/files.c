#include <string.h>

#include "runtime/driver/sim_internal.h"

static void add(sim_job *job, hct_file_uses *uses, hct_file_use use) {
  if (use.path) HCT_PUSH(job->arena, uses, use);
}

static void bindings_add(sim_job *job, hct_file_uses *uses, const bindings *list, const char *option, bool written) {
  for (size_t i = 0; i < list->count; i++) add(job, uses, (hct_file_use){hct_arena_printf(job->arena, "--%s %s", option, list->items[i].name), list->items[i].file, written, 0});
}

static bool is_file(const char *setting) {
  size_t length = strlen(setting);
  return length > 4 && !strcmp(setting + length - 4, ".npy");
}

/* What the image names lies beside it. */
static void image_files_add(sim_job *job, hct_file_uses *uses) {
  const char *folder = hct_path_folder(job->arena, job->program), *model = hct_image_meta(&job->image, HCT_META_MODEL_FILE), *before = "";
  if (model) add(job, uses, (hct_file_use){"the model that the program was compiled from", hct_path_join(job->arena, folder, model), false, 0});
  for (size_t i = 0; i < job->image.tensor_count; i++) {
    const char *file = job->image.tensors[i].data_file;
    if (!file || !strcmp(file, before)) continue;
    before = file;
    add(job, uses, (hct_file_use){"a file of the program's weights", hct_path_join(job->arena, folder, file), false, 0});
  }
}

hct_status hct_sim_files_check(sim_job *job) {
  enum { CHECKPOINTS = 1 };
  hct_file_uses uses = {0};
  const char *previous = job->checkpoint && strcmp(job->checkpoint, "-") ? hct_arena_printf(job->arena, "%s.previous", job->checkpoint) : NULL;
  add(job, &uses, (hct_file_use){"the program", job->program, false, 0});
  add(job, &uses, (hct_file_use){"--report", job->report, true, 0});
  add(job, &uses, (hct_file_use){"--save-model", job->save_model, true, 0});
  add(job, &uses, (hct_file_use){"--checkpoint", job->checkpoint, true, CHECKPOINTS});
  add(job, &uses, (hct_file_use){"--checkpoint (FILE.previous)", previous, true, CHECKPOINTS});
  add(job, &uses, (hct_file_use){"--resume", job->resume, false, CHECKPOINTS});
  bindings_add(job, &uses, &job->inputs, "input", false);
  bindings_add(job, &uses, &job->outputs, "output", true);
  for (size_t i = 0; i < job->settings.count; i++)
    if (is_file(job->settings.items[i].file)) add(job, &uses, (hct_file_use){hct_arena_printf(job->arena, "--set %s", job->settings.items[i].name), job->settings.items[i].file, false, 0});
  image_files_add(job, &uses);
  return hct_file_uses_check(job->diags, &uses);
}

bool hct_sim_writes_stdout(const sim_job *job) {
  const char *const paths[] = {job->report, job->save_model, job->checkpoint};
  bool writes = false;
  for (size_t i = 0; i < HCT_COUNT(paths); i++) writes |= paths[i] && !strcmp(paths[i], "-");
  for (size_t i = 0; i < job->outputs.count; i++) writes |= !strcmp(job->outputs.items[i].file, "-");
  return writes;
}
