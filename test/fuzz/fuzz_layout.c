/* A sharding text that parses prints back to a text that parses to the same. */
#include <string.h>

#include "ir/isa/layout.h"
#include "test/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  char text[256];
  if (bytes >= sizeof text) return 0;
  memcpy(text, data, bytes);
  text[bytes] = '\0';
  hct_layout layout, again;
  if (!hct_layout_parse(text, &layout)) return 0;
  hct_text printed = {0};
  hct_layout_print(&layout, &printed);
  if (!hct_layout_parse(printed.data, &again) || !hct_layout_equal(&layout, &again)) abort();
  hct_text_fini(&printed);
  return 0;
}
