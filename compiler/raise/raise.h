/* hct-raise, inside: one function a family of patterns. Each tries to match what `root` gives, and builds the composite operator. */
#ifndef HCT_COMPILER_RAISE_RAISE_H
#define HCT_COMPILER_RAISE_RAISE_H

#include "compiler/raise/match.h"

/* A composite operator, as matched. */
typedef struct composite {
  const char *name; /* "hct_graph.gelu" */
  MlirValue operands[5];
  size_t operand_count;
  hct_named attributes[6];
  size_t attribute_count;
} composite;

typedef bool (*raise_function)(MlirContext context, match *m, MlirValue root, composite *out_composite);
bool raise_layer_norm(MlirContext context, match *m, MlirValue root, composite *out_composite);
bool raise_rms_norm(MlirContext context, match *m, MlirValue root, composite *out_composite);
bool raise_gelu(MlirContext context, match *m, MlirValue root, composite *out_composite);
bool raise_silu(MlirContext context, match *m, MlirValue root, composite *out_composite);
bool raise_softmax(MlirContext context, match *m, MlirValue root, composite *out_composite);
bool raise_rope(MlirContext context, match *m, MlirValue root, composite *out_composite);
bool raise_attention(MlirContext context, match *m, MlirValue root, composite *out_composite);
bool raise_linear(MlirContext context, match *m, MlirValue root, composite *out_composite);

#endif
