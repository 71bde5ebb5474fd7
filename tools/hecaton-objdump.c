#include <string.h>

#include "ir/isa/inspect.h"
#include "ir/package/package.h"

static hct_status limits(hct_diags *diags, const hct_image *image, hct_verify_limits *out_limits) {
  hct_package package;
  HCT_TRY(hct_package_parse(diags, ".hecaton.package", image->package_xml, strlen(image->package_xml), &package));
  *out_limits = (hct_verify_limits){.sram_bytes = package.sram_bytes, .queue_depth = package.queue_depth};
  return HCT_OK;
}

int main(int argc, char **argv) { return hct_objdump_main(argc, argv, limits); }
