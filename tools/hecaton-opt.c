#include "backends/driver/driver.h"

int main(int argc, char **argv) { return hct_opt_main(argc, argv); }
