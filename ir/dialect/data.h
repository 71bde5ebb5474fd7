/* References to data that lies in files: the text of hct.data, of a tensor's data at tile level, and of a module's hct.model_file (the model as a whole).
 *
 *   FILE|OFFSET|BYTES|XXH3            travels inside the program
 *   FILE|OFFSET|BYTES|XXH3|external   the program refers to it too
 *   FILE|OFFSET|BYTES|absent          external, and not there when the model was imported: the program has no data for it
 *
 * with |f16, |bf16 or |f64 after it where the data is of that type and the tensor, computed with in f32, is not. FILE is relative to the folder of the text (hct_pass_context.directory); XXH3 is XXH3-64 of the bytes, in hex. */
#ifndef HCT_DIALECT_DATA_H
#define HCT_DIALECT_DATA_H

#include "ir/support/support.h"

typedef enum hct_data_kind { HCT_DATA_INSIDE, HCT_DATA_EXTERNAL, HCT_DATA_ABSENT } hct_data_kind;
typedef struct hct_data_reference {
  const char *file;
  int64_t offset, bytes;
  uint64_t checksum; /* 0 when absent */
  hct_data_kind kind;
  hct_dtype dtype; /* of the data, where it says one; else 0 */
} hct_data_reference;

char *hct_data_reference_print(hct_arena *arena, const hct_data_reference *reference);
bool hct_data_reference_parse(hct_arena *arena, const char *text, hct_data_reference *out_reference);
/* Maps `path`, and holds that it has the bytes of the reference, unchanged: then they are at out_file->data + reference->offset. `name`: of
 * the tensor. Refused: no such file, too short, another checksum. */
hct_status hct_data_reference_map(hct_diags *diags, const char *path, const hct_data_reference *reference, const char *name, hct_file *out_file);

#endif
