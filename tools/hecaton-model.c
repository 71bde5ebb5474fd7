#include "compiler/model/model.h"

int main(int argc, char **argv) { return hct_model_main(argc, argv); }
