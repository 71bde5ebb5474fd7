#include "ir/isa/image.h"

int64_t hct_dram_role_bytes(const hct_tensor *tensors, size_t count, hct_role role) {
  int64_t sum = 0;
  for (size_t i = 0; i < count; i++)
    if (tensors[i].role == role) sum += tensors[i].tile_bytes;
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
