#include "ir/isa/inspect.h"

int main(int argc, char **argv) { return hct_as_main(argc, argv); }
