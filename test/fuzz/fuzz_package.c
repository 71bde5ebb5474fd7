/* Any bytes give a package or a diagnostic. */
#include "ir/package/package.h"
#include "test/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  hct_diags *diags = hct_diags_create(NULL);
  hct_package package;
  if (hct_package_parse(diags, "fuzz.xml", (const char *)data, bytes, &package) != HCT_OK && hct_diags_error_count(diags) == 0) abort();
  hct_diags_destroy(diags);
  return 0;
}
