/* What a backend is: from a module at the level that it starts from to a file that runs. */
#ifndef HCT_BACKENDS_BACKEND_H
#define HCT_BACKENDS_BACKEND_H

#include "compiler/pass.h"
#include "ir/isa/image.h"
#include "ir/timing/estimate.h"

typedef struct hct_backend {
  const char *name;
  /* Writes the program, or with `text` its assembly, atomically; where a report is asked for, that too. */
  hct_status (*emit)(hct_pass_context *pass, MlirModule module, bool text, const char *out_path);
} hct_backend;

/* A program that a trial made, which need not be made again: of a module with layers left out, they are back in it. */
typedef struct hct_built {
  hct_map *options;  /* that were chosen for it; NULL: nothing is built */
  MlirModule module; /* at tile level */
  hct_image image;   /* parameters have no contents yet, and it says nothing of itself (meta, package_xml) */
  hct_interleaving interleaving;
  hct_estimate estimate;
  hct_arena *arena;  /* that the image is in */
  hct_diags *diags;  /* what passes said */
  hct_left_out *left_out; /* NULL: nothing was */
  size_t layers;     /* equal ones of the whole, where some were left out */
} hct_built;

extern const hct_backend hct_backend_chiplet; /* from tile level */
extern const hct_backend hct_backend_host;    /* from graph level; its assembly is upstream MLIR */

#endif
