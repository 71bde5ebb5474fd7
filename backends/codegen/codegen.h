/* The tool hecaton-host-codegen: upstream MLIR text (func, arith, math, affine, scf, memref) through MLIR's passes and LLVM to an object file for this machine.
 *
 * It alone needs all of MLIR's dialects and LLVM's code generator, so it alone links libMLIR.so, which takes longer to start than a small model takes to
 * compile; hecaton-compile --backend=host runs it as it runs the linker. */
#ifndef HCT_CODEGEN_CODEGEN_H
#define HCT_CODEGEN_CODEGEN_H

#include "ir/support/support.h"

/* hecaton-host-codegen's main: 0 when the object file is written, 1 when the text is refused or a file cannot be read or written, 2 for arguments that are not understood. */
int hct_codegen_main(int argc, char **argv);

#endif
