/* Any bytes give an image or a diagnostic; an image that reads is verified without crashing, too. */
#include "ir/isa/image.h"
#include "test/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  char path[64];
  int fd = fuzz_file_open(data, bytes, path, sizeof path);
  hct_diags *diags = hct_diags_create(NULL);
  hct_arena *arena = hct_arena_create();
  hct_image image;
  hct_status status = hct_image_read(diags, arena, path, &image);
  if (status != HCT_OK && hct_diags_error_count(diags) == 0) abort();
  if (status == HCT_OK) hct_image_verify(diags, &image, &(hct_verify_limits){.sram_bytes = 1 << 20, .queue_depth = 4});
  hct_arena_destroy(arena);
  hct_diags_destroy(diags);
  close(fd);
  return 0;
}
