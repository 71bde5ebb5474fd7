/* The tables of an image as JSON (jansson): sections .hecaton.* of the ELF file and lines of the text form share them. Inside ir/isa only. */
#ifndef HCT_ISA_IMAGE_JSON_H
#define HCT_ISA_IMAGE_JSON_H

#include <jansson.h>

#include "ir/isa/image.h"

json_t *hct_json_header(const hct_image *image);
json_t *hct_json_tensors(const hct_image *image, bool inline_data); /* data as "offset" into .data.weights, or as "hex" */
json_t *hct_json_meta(const hct_image *image);

typedef struct hct_json_reader {
  hct_diags *diags;
  hct_loc loc;
  hct_arena *arena;
  const uint8_t *weights; /* .data.weights, for tensors with "offset" */
  size_t weight_bytes;
} hct_json_reader;
hct_status hct_json_header_read(hct_json_reader *reader, json_t *json, hct_image *image);
hct_status hct_json_tensors_read(hct_json_reader *reader, json_t *json, hct_image *image);
hct_status hct_json_meta_read(hct_json_reader *reader, json_t *json, hct_image *image);
/* What the parts must satisfy together: streams named by dies, sources named by instructions, tensors inside the DRAM region. */
hct_status hct_image_check(hct_diags *diags, hct_loc loc, const hct_image *image);

#endif
