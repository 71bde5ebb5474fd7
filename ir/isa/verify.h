/* Inside the verifier (verify.c): proofs in files of their own. */
#ifndef HCT_ISA_VERIFY_H
#define HCT_ISA_VERIFY_H

#include "ir/isa/image.h"

/* Of the first die of each stream. */
hct_status hct_verify_races(hct_diags *diags, const hct_image *image);

#endif
