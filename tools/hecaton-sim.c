#include "runtime/driver/sim.h"

int main(int argc, char **argv) { return hct_sim_main(argc, argv); }
