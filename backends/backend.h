/* What a backend is: from a module at the level that it starts from to a file that runs. */
#ifndef HCT_BACKENDS_BACKEND_H
#define HCT_BACKENDS_BACKEND_H

#include "compiler/pass.h"

typedef struct hct_backend {
  const char *name;
  /* Writes the program, or with `text` its assembly, atomically; where a report is asked for, that too. */
  hct_status (*emit)(hct_pass_context *pass, MlirModule module, bool text, const char *out_path);
} hct_backend;

extern const hct_backend hct_backend_chiplet; /* from tile level */
extern const hct_backend hct_backend_host;    /* from graph level; its assembly is upstream MLIR */

#endif
