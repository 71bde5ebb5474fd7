#include "backends/codegen/codegen.h"

int main(int argc, char **argv) { return hct_codegen_main(argc, argv); }
