/* ONNX to the onnx level (protobuf-c). Shape arithmetic and masks whose inputs are known are folded on the way; what depends on
 * run-time inputs or on float initializers stays an onnx operator a node. Symbolic dimensions are bound by --dim and --shape. */
#ifndef HCT_COMPILER_IMPORT_IMPORT_H
#define HCT_COMPILER_IMPORT_IMPORT_H

#include "compiler/pass.h"

/* What is known at compile time is computed there: this bounds what a small model can make of itself. A causal mask of 8192 tokens takes 1 GiB. */
#define HCT_IMPORT_BYTES (UINT64_C(4) << 30)

/* Reads `path`. Parameters' data is referred to (data.h) by files relative to the pass's directory. External data must lie in the model's folder; where
 * its file is not there, one remark says so, and parameters are without data. Refused: not ONNX, truncated, unsupported operators (all
 * of them at once), unbound dimensions, shapes or data that do not fit, cycles, external data elsewhere, or absent where values are needed. */
hct_status hct_import_onnx(hct_pass_context *pass, const char *path, MlirModule *out_module);

#endif
