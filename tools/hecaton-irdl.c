/* Prints the IRDL of our dialects; run by the build. */
#include "ir/dialect/ir.h"

int main(void) {
  hct_text text = {0};
  hct_dialect_irdl_print(&text);
  fputs(text.data, stdout);
  hct_text_fini(&text);
  return 0;
}
