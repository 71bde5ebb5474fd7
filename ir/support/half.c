/* bf16 and f16. */
#include <math.h>
#include <string.h>

#include "ir/support/support.h"

__extension__ typedef _Float16 half; /* conversions by the compiler: IEEE's */

float hct_f32_of_bf16(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

uint16_t hct_bf16_of_f32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (isnan(value)) return (uint16_t)(bits >> 16 | 0x40); /* quiet: the payload's upper bits may be zero */
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float hct_f32_of_f16(uint16_t bits) {
  half value;
  memcpy(&value, &bits, sizeof value);
  return (float)value;
}

uint16_t hct_f16_of_f32(float value) {
  half rounded = (half)value;
  uint16_t bits;
  memcpy(&bits, &rounded, sizeof bits);
  return bits;
}
