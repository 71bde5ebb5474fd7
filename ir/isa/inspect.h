/* hecaton-objdump and hecaton-as behind their mains: 0 done, 1 refused, 2 command-line syntax. */
#ifndef HCT_ISA_INSPECT_H
#define HCT_ISA_INSPECT_H

#include "ir/isa/image.h"

/* Limits that --verify holds an image against: from its package description, which is read above this layer. */
typedef hct_status (*hct_limits_function)(hct_diags *diags, const hct_image *image, hct_verify_limits *out_limits);

int hct_objdump_main(int argc, char **argv, hct_limits_function limits);
int hct_as_main(int argc, char **argv);

#endif
