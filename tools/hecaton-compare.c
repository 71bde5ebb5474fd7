#include "backends/compare/compare.h"

int main(int argc, char **argv) { return hct_compare_main(argc, argv); }
