#include <math.h>
#include <string.h>

#include "ir/support/support.h"

double hct_element_get(hct_dtype dtype, const uint8_t *at) {
  switch (dtype) {
    case HCT_F32: { float v; memcpy(&v, at, sizeof v); return (double)v; }
    case HCT_BF16: { uint16_t v; memcpy(&v, at, sizeof v); return (double)hct_f32_of_bf16(v); }
    case HCT_F16: { uint16_t v; memcpy(&v, at, sizeof v); return (double)hct_f32_of_f16(v); }
    case HCT_F64: { double v; memcpy(&v, at, sizeof v); return v; }
    case HCT_U64: { uint64_t v; memcpy(&v, at, sizeof v); return (double)v; }
    default: return hct_dtype_format(dtype) ? hct_format_decode(dtype, *at) : (double)hct_element_get_int(dtype, at);
  }
}

static int64_t whole(double value) { return isnan(value) ? 0 : value >= 0x1p63 ? INT64_MAX : value < -0x1p63 ? INT64_MIN : (int64_t)value; }

void hct_element_set(hct_dtype dtype, uint8_t *at, double value) {
  switch (dtype) {
    case HCT_F32: { float v = (float)value; memcpy(at, &v, sizeof v); break; }
    case HCT_BF16: { uint16_t v = hct_bf16_of_f32((float)value); memcpy(at, &v, sizeof v); break; }
    case HCT_F16: { uint16_t v = hct_f16_of_f32((float)value); memcpy(at, &v, sizeof v); break; }
    case HCT_F64: memcpy(at, &value, sizeof value); break;
    case HCT_BOOL: *at = value != 0; break;
    case HCT_I32: { int64_t v = whole(value); hct_element_set_int(dtype, at, v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v); break; }
    case HCT_U64: { uint64_t v = value >= 0x1p63 && value < 0x1p64 ? (uint64_t)value : (uint64_t)whole(value); memcpy(at, &v, sizeof v); break; }
    default:
      if (hct_dtype_format(dtype)) *at = hct_format_encode((hct_narrowing){.dtype = dtype}, value);
      else hct_element_set_int(dtype, at, whole(value));
  }
}

int64_t hct_element_get_int(hct_dtype dtype, const uint8_t *at) {
  switch (dtype) {
    case HCT_I64: case HCT_U64: { int64_t v; memcpy(&v, at, sizeof v); return v; }
    case HCT_I32: { int32_t v; memcpy(&v, at, sizeof v); return v; }
    case HCT_U32: { uint32_t v; memcpy(&v, at, sizeof v); return v; }
    case HCT_I16: { int16_t v; memcpy(&v, at, sizeof v); return v; }
    case HCT_U16: { uint16_t v; memcpy(&v, at, sizeof v); return v; }
    case HCT_I8: case HCT_I4: case HCT_I2: return (int8_t)*at;
    case HCT_U8: case HCT_U4: case HCT_U2: return *at;
    case HCT_BOOL: return *at != 0;
    default: return whole(hct_element_get(dtype, at));
  }
}

void hct_element_set_int(hct_dtype dtype, uint8_t *at, int64_t value) {
  switch (dtype) {
    case HCT_I64: case HCT_U64: memcpy(at, &value, sizeof value); break;
    case HCT_I32: case HCT_U32: { uint32_t v = (uint32_t)(uint64_t)value; memcpy(at, &v, sizeof v); break; }
    case HCT_I16: case HCT_U16: { uint16_t v = (uint16_t)(uint64_t)value; memcpy(at, &v, sizeof v); break; }
    case HCT_I8: case HCT_U8: *at = (uint8_t)(uint64_t)value; break;
    case HCT_I4: case HCT_U4: case HCT_I2: case HCT_U2: *at = (uint8_t)(uint64_t)hct_narrow_int((hct_narrowing){.dtype = dtype}, value); break;
    case HCT_BOOL: *at = value != 0; break;
    default: hct_element_set(dtype, at, (double)value);
  }
}
