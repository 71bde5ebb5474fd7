#include "compiler/pass.h"

const char *hct_pass_option(const hct_pass_context *pass, const char *name, const char *fallback) {
  const char *text = pass->options ? hct_map_get(pass->options, name) : NULL;
  return text ? text : fallback;
}
