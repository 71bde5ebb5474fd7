#include <math.h>
#include <string.h>

#include "runtime/exec/exec.h"

double exec_load(hct_dtype dtype, const uint8_t *at) {
  switch (dtype) {
    case HCT_F32: { float v; memcpy(&v, at, sizeof v); return (double)v; }
    case HCT_BF16: { uint16_t v; memcpy(&v, at, sizeof v); return (double)hct_f32_of_bf16(v); }
    case HCT_F16: { uint16_t v; memcpy(&v, at, sizeof v); return (double)hct_f32_of_f16(v); }
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
    case HCT_BF16: { uint16_t v = hct_bf16_of_f32((float)value); memcpy(at, &v, sizeof v); break; }
    case HCT_F16: { uint16_t v = hct_f16_of_f32((float)value); memcpy(at, &v, sizeof v); break; }
    case HCT_F64: memcpy(at, &value, sizeof value); break;
    case HCT_I64: { int64_t v = isnan(value) ? 0 : value >= 0x1p63 ? INT64_MAX : value < -0x1p63 ? INT64_MIN : (int64_t)value; memcpy(at, &v, sizeof v); break; }
    case HCT_I32: { int32_t v = isnan(value) ? 0 : value >= 0x1p31 ? INT32_MAX : value < -0x1p31 ? INT32_MIN : (int32_t)value; memcpy(at, &v, sizeof v); break; }
    case HCT_BOOL: *at = value != 0; break;
  }
}
