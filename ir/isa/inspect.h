/* hecaton-objdump and hecaton-as behind their mains: 0 done, 1 refused, 2 command-line syntax. */
#ifndef HCT_ISA_INSPECT_H
#define HCT_ISA_INSPECT_H

int hct_objdump_main(int argc, char **argv);
int hct_as_main(int argc, char **argv);

#endif
