/* Checkpoints of a training run: parameters and optimizer state as whole tensors, the steps done and their losses. One may be resumed on
 * another mesh, strategy or --dtype; bits are equal to those of a run in one piece where the program is the same.
 *
 *   header   48 bytes: "HCTCKPT" and 0; version, 0 (u32); offset, size and XXH3-64 of the table (u64); XXH3-64 of the 40 bytes before
 *   data     tensors, row-major, one after the other without gaps
 *   table    JSON: { "model", "optimizer", "steps": N, "tensors": [{"name", "role", "dtype", "shape": [...], "offset", "bytes", "xxh3"}] }
 *
 * Little-endian; every byte is under a checksum. Roles are param, state, and loss: f64 [N], one a step. The table comes last, so that
 * tensors are assembled once, one at a time. */
#ifndef HCT_RUNTIME_LOADER_CHECKPOINT_H
#define HCT_RUNTIME_LOADER_CHECKPOINT_H

#include "runtime/loader/loader.h"

typedef struct hct_checkpoint_progress {
  int64_t steps;
  double *losses; /* one a step, or none where the program has no loss */
  size_t loss_count;
} hct_checkpoint_progress;

/* Written whole or not at all; the one that was at `path` is PATH.previous then, if it is whole. */
hct_status hct_checkpoint_write(hct_diags *diags, const hct_image *image, const hct_memory *memories, const char *path, const hct_checkpoint_progress *progress);
/* Restores parameters, their low copies, and states. Where `path` is missing or corrupt and PATH.previous is whole that one is used, with a
 * warning. Refused: neither is whole; other tensors, shapes, types or another optimizer than the program's; more than `most_steps` steps. */
hct_status hct_checkpoint_resume(hct_diags *diags, hct_arena *arena, const hct_image *image, hct_memory *memories, const char *path, int64_t most_steps, hct_checkpoint_progress *out_progress);

#endif
