#include <stdlib.h>

#include "ir/isa/image.h"

static int by_offset(const void *a, const void *b) {
  const hct_tensor *x = *(const hct_tensor *const *)a, *y = *(const hct_tensor *const *)b;
  return x->dram_offset < y->dram_offset ? -1 : x->dram_offset > y->dram_offset;
}

int64_t hct_dram_role_bytes(const hct_tensor *tensors, size_t count, hct_role role) {
  hct_arena *scratch = hct_arena_create();
  const hct_tensor **order = HCT_NEW_ARRAY(scratch, const hct_tensor *, count + 1);
  size_t found = 0;
  int64_t sum = 0, end = 0;
  for (size_t i = 0; i < count; i++)
    if (tensors[i].role == role) order[found++] = &tensors[i];
  if (found) qsort(order, found, sizeof *order, by_offset);
  for (size_t i = 0; i < found; i++) {
    int64_t start = order[i]->dram_offset > end ? order[i]->dram_offset : end, last = order[i]->dram_offset + order[i]->tile_bytes;
    if (last > start) sum += last - start, end = last;
  }
  hct_arena_destroy(scratch);
  return sum;
}

size_t hct_dram_largest(const hct_tensor *tensors, size_t count, size_t limit, size_t *out_numbers) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    size_t at = kept;
    while (at > 0 && tensors[out_numbers[at - 1]].tile_bytes < tensors[i].tile_bytes) at--;
    if (at == limit) continue;
    if (kept < limit) kept++;
    for (size_t k = kept - 1; k > at; k--) out_numbers[k] = out_numbers[k - 1];
    out_numbers[at] = i;
  }
  return kept;
}
