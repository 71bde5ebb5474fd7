/* What hecaton-compile and hecaton-opt do, behind their mains. Exit statuses: 0 done, 1 refused, 2 command-line syntax (cli.md). */
#ifndef HCT_BACKENDS_DRIVER_H
#define HCT_BACKENDS_DRIVER_H

int hct_compile_main(int argc, char **argv);
int hct_opt_main(int argc, char **argv);

#endif
