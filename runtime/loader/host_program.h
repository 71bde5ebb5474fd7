/* Host programs (ir/isa/host_program.h): opened as shared objects, seen as an image of one die whose DRAM region is the arena, so
 * that inputs, outputs and settings work as for chiplet programs. */
#ifndef HCT_RUNTIME_LOADER_HOST_PROGRAM_H
#define HCT_RUNTIME_LOADER_HOST_PROGRAM_H

#include "runtime/loader/loader.h"

typedef struct hct_host_program hct_host_program;

/* Whether the file is a shared object with a host program's metadata; does not load it. */
bool hct_host_program_is(const char *path);
/* Loading runs no step. `out_image` gets tensors, meta and arena size, no streams; it lives in the arena and as long as the program. */
hct_status hct_host_program_open(hct_diags *diags, hct_arena *arena, const char *path, hct_host_program **out_program, hct_image *out_image);
void hct_host_program_close(hct_host_program *program); /* NULL is fine */
/* One step over the arena. HCT_REFUSED: an index was outside of its table. */
hct_status hct_host_program_step(hct_diags *diags, const hct_host_program *program, hct_memory *memory);

#endif
