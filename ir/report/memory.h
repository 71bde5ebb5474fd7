/* What SRAM and DRAM hold, for the report: groups "sram" and "dram" of its JSON, lines of its text. */
#ifndef HCT_REPORT_MEMORY_H
#define HCT_REPORT_MEMORY_H

#include <jansson.h>

#include "ir/isa/image.h"
#include "ir/package/package.h"

json_t *hct_memory_sram_json(const hct_image *image, const hct_package *package);
json_t *hct_memory_dram_json(const hct_image *image, const hct_package *package);
void hct_memory_print(const hct_image *image, const hct_package *package, FILE *out);

/* "12.5 MiB"; returns `buffer`. */
const char *hct_bytes_text(double bytes, char buffer[32]);

#endif
