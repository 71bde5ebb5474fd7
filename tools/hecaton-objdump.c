#include "ir/isa/inspect.h"

int main(int argc, char **argv) { return hct_objdump_main(argc, argv); }
