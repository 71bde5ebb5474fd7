/* hct-canonicalize
 *
 *   %0 = "hct_graph.transpose"(%w) ...   (read through by the contraction that used it: no user left)
 * goes. */
#include "compiler/pass.h"

hct_status hct_pass_canonicalize(hct_pass_context *pass, MlirModule module) {
  (void)pass;
  hct_function_eliminate_dead(hct_module_function(module));
  return HCT_OK;
}
