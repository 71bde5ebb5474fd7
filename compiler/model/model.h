#ifndef HCT_COMPILER_MODEL_H
#define HCT_COMPILER_MODEL_H

/* hecaton-model behind its main: 0 done, 1 refused, 2 command-line syntax. */
int hct_model_main(int argc, char **argv);

#endif
