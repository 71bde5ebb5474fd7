#ifndef HCT_RUNTIME_DRIVER_SIM_H
#define HCT_RUNTIME_DRIVER_SIM_H

/* hecaton-sim behind its main: 0 done, 1 refused, 2 command-line syntax. */
int hct_sim_main(int argc, char **argv);

#endif
