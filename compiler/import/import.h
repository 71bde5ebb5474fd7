/* ONNX to the onnx level (protobuf-c). Shape arithmetic and masks whose inputs are known are folded on the way; what depends on
 * run-time inputs or on float initializers stays an onnx operator a node. Symbolic dimensions are bound by --dim and --shape. */
#ifndef HCT_COMPILER_IMPORT_IMPORT_H
#define HCT_COMPILER_IMPORT_IMPORT_H

#include "compiler/pass.h"

/* Reads `path`. Initializer data is referred to as "FILE|OFFSET|BYTES|XXH3HEX" with `reference` for FILE. Refused: not ONNX, truncated,
 * unsupported operators (all of them at once), unbound dimensions, shapes or data that do not fit, cycles. */
hct_status hct_import_onnx(hct_pass_context *pass, const char *path, const char *reference, MlirModule *out_module);

#endif
