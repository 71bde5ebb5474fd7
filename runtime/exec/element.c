#include <math.h>
#include <string.h>

#include "runtime/exec/exec.h"

__extension__ typedef _Float16 half;

static float bf16_to_f32(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

static uint16_t f32_to_bf16(float value) { /* round to nearest even; NaN stays NaN */
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (isnan(value)) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

double exec_load(hct_dtype dtype, const uint8_t *at) {
  switch (dtype) {
    case HCT_F32: { float v; memcpy(&v, at, sizeof v); return (double)v; }
    case HCT_BF16: { uint16_t v; memcpy(&v, at, sizeof v); return (double)bf16_to_f32(v); }
    case HCT_F16: { half v; memcpy(&v, at, sizeof v); return (double)v; }
    case HCT_F64: { double v; memcpy(&v, at, sizeof v); return v; }
    case HCT_I64: { int64_t v; memcpy(&v, at, sizeof v); return (double)v; }
    case HCT_I32: { int32_t v; memcpy(&v, at, sizeof v); return (double)v; }
    case HCT_BOOL: return *at ? 1 : 0;
  }
  return 0;
}

void exec_store(hct_dtype dtype, uint8_t *at, double value) {
  switch (dtype) {
    case HCT_F32: { float v = (float)value; memcpy(at, &v, sizeof v); break; }
    case HCT_BF16: { uint16_t v = f32_to_bf16((float)value); memcpy(at, &v, sizeof v); break; }
    case HCT_F16: { half v = (half)value; memcpy(at, &v, sizeof v); break; }
    case HCT_F64: memcpy(at, &value, sizeof value); break;
    case HCT_I64: { int64_t v = isnan(value) ? 0 : value >= 0x1p63 ? INT64_MAX : value < -0x1p63 ? INT64_MIN : (int64_t)value; memcpy(at, &v, sizeof v); break; }
    case HCT_I32: { int32_t v = isnan(value) ? 0 : value >= 0x1p31 ? INT32_MAX : value < -0x1p31 ? INT32_MIN : (int32_t)value; memcpy(at, &v, sizeof v); break; }
    case HCT_BOOL: *at = value != 0; break;
  }
}
