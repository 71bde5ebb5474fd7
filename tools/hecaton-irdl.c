/* Prints what is made of ops.def and onnx_ops.def: the IRDL of our dialects (run by the build), or the table of operators of a dialect. */
#include <string.h>

#include "ir/dialect/ir.h"

int main(int argc, char **argv) {
  hct_text text = {0};
  const char *dialect = argc == 2 && !strncmp(argv[1], "--docs=", 7) ? argv[1] + 7 : NULL;
  if (dialect && (!strcmp(dialect, "hct_graph") || !strcmp(dialect, "hct_tile"))) {
    hct_dialect_docs_print(dialect, &text);
  } else if (dialect && !strcmp(dialect, "onnx")) {
    hct_onnx_docs_print(&text);
  } else if (argc == 1) {
    hct_dialect_irdl_print(&text);
  } else {
    bool help = argc == 2 && !strcmp(argv[1], "--help"), version = argc == 2 && !strcmp(argv[1], "--version");
    if (version) printf("hecaton-irdl %s\n", HCT_VERSION);
    else fprintf(help ? stdout : stderr, "usage: hecaton-irdl [--docs=hct_graph|hct_tile|onnx]\n\nPrints the IRDL of the dialects, or a dialect's operators as a Markdown table; onnx: those of ONNX that are imported.\n");
    return help || version ? 0 : 2;
  }
  fputs(text.data, stdout);
  hct_text_fini(&text);
  return 0;
}
