/* Places tensors in the dies' DRAM regions and assembles them again. A die has its own tile of every tensor and nothing else. */
#ifndef HCT_RUNTIME_LOADER_LOADER_H
#define HCT_RUNTIME_LOADER_LOADER_H

#include "ir/isa/image.h"
#include "runtime/exec/exec.h"
#include "ir/data/array.h"

const hct_tensor *hct_image_parameter_without_data(const hct_image *image); /* the first, of a model compiled without weights; NULL: none */
/* One memory a die; regions are zero, then hold parameters, constants and settings. Refused: a parameter without data, or whose file is
 * absent or has changed. Released with the process or hct_loader_destroy. */
hct_status hct_loader_create(hct_diags *diags, hct_arena *arena, const hct_image *image, const char *image_path, hct_memory **out_memories);
void hct_loader_destroy(const hct_image *image, hct_memory *memories);
/* `data`: row-major, of the tensor's element type and whole size. */
void hct_loader_place(const hct_image *image, hct_memory *memories, const hct_tensor *tensor, const uint8_t *data);
/* As hct_loader_place, in all pieces of a parameter or state, and in a parameter's low copies, rounded. */
void hct_loader_restore(const hct_image *image, hct_memory *memories, const hct_tensor *tensor, const uint8_t *data);
/* With all pieces, where the tensor is one of them. False, when two dies that hold the same element differ (`out_data` then has the first one's). */
bool hct_loader_assemble(const hct_image *image, const hct_memory *memories, const hct_tensor *tensor, uint8_t *out_data);
const hct_tensor *hct_image_tensor(const hct_image *image, hct_role role, const char *name); /* NULL: none; name NULL: the first of the role */
hct_array hct_tensor_shape(const hct_tensor *tensor); /* without data */

#endif
