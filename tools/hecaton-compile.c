#include "backends/driver/driver.h"

int main(int argc, char **argv) { return hct_compile_main(argc, argv); }
