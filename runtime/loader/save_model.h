/* The model that a program was compiled from, with trained weights. */
#ifndef HCT_RUNTIME_LOADER_SAVE_MODEL_H
#define HCT_RUNTIME_LOADER_SAVE_MODEL_H

#include "runtime/loader/loader.h"

typedef struct hct_saved_model hct_saved_model;
/* Reads the model, before a run of which the result may not be lost for want of it; in the arena. Refused: the program names no model; the model, or
 * a file of its external data, is gone or has changed; a parameter is no initializer of it; 2 GiB and more as one file, which ONNX's format cannot be. */
hct_status hct_saved_model_open(hct_diags *diags, hct_arena *arena, const hct_image *image, const char *image_path, hct_saved_model **out_model);
/* Every parameter of the program replaces its initializer, rounded to the element type that it has there; all data is inside the file. */
hct_status hct_saved_model_write(hct_diags *diags, hct_saved_model *model, const hct_memory *memories, const char *path);

#endif
