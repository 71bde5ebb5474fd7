#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/support/support.h"

bool hct_mul_i64(int64_t a, int64_t b, int64_t *out_product) { return !__builtin_mul_overflow(a, b, out_product); }
bool hct_add_i64(int64_t a, int64_t b, int64_t *out_sum) { return !__builtin_add_overflow(a, b, out_sum); }

bool hct_parse_i64(const char *text, int64_t *out_value) {
  char *end;
  if (!text[0] || text[0] == ' ' || text[0] == '\t') return false;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno || *end) return false;
  *out_value = value;
  return true;
}

bool hct_parse_percent(const char *text, int64_t *out_percent) {
  char digits[4]; /* of 100 */
  size_t length = strlen(text);
  if (length < 2 || length > sizeof digits || text[length - 1] != '%') return false;
  memcpy(digits, text, length - 1);
  digits[length - 1] = 0;
  return hct_parse_i64(digits, out_percent) && *out_percent >= 1 && *out_percent <= 100;
}

bool hct_parse_f64(const char *text, double *out_value) {
  char *end;
  if (!text[0] || text[0] == ' ' || text[0] == '\t') return false;
  double value = strtod(text, &end); /* tools never call setlocale: this is the C locale */
  if (*end || !isfinite(value)) return false;
  *out_value = value;
  return true;
}

uint64_t hct_checksum(const void *data, size_t bytes) { return XXH3_64bits(data, bytes); }

typedef enum dtype_kind { FLOAT, SIGNED, UNSIGNED, LOGICAL } dtype_kind;
typedef struct dtype_row {
  hct_dtype dtype;
  size_t bytes, bits;
  const char *name;
  dtype_kind kind;
  const char *npy;
  int32_t onnx;
} dtype_row;

static const dtype_row dtypes[] = { /* by code */
#define HCT_DTYPE(name, code, bytes, bits, mlir, kind, npy, onnx) [code] = {HCT_##name, bytes, bits, mlir, kind, npy, onnx},
#include "ir/support/dtypes.def"
#undef HCT_DTYPE
};

static const dtype_row *row_of(hct_dtype dtype) { return (size_t)dtype < HCT_COUNT(dtypes) && dtypes[dtype].bytes ? &dtypes[dtype] : NULL; }

size_t hct_dtype_bytes(hct_dtype dtype) { return row_of(dtype) ? row_of(dtype)->bytes : 0; }
size_t hct_dtype_bits(hct_dtype dtype) { return row_of(dtype) ? row_of(dtype)->bits : 0; }
const char *hct_dtype_name(hct_dtype dtype) { return row_of(dtype) ? row_of(dtype)->name : "?"; }
const char *hct_dtype_npy(hct_dtype dtype) { return row_of(dtype) ? row_of(dtype)->npy : ""; }
bool hct_dtype_is_half(hct_dtype dtype) { return dtype == HCT_BF16 || dtype == HCT_F16; }
bool hct_dtype_is_float(hct_dtype dtype) { return row_of(dtype) && row_of(dtype)->kind == FLOAT; }
bool hct_dtype_is_unsigned(hct_dtype dtype) { return row_of(dtype) && row_of(dtype)->kind == UNSIGNED; }

hct_dtype hct_dtype_computed(hct_dtype dtype) {
  if (!row_of(dtype) || row_of(dtype)->bytes > 1 || (row_of(dtype)->bits == 8 && row_of(dtype)->kind != FLOAT)) return dtype;
  return row_of(dtype)->kind == FLOAT ? HCT_F32 : row_of(dtype)->kind == SIGNED ? HCT_I8 : HCT_U8;
}

bool hct_dtype_file_bytes(hct_dtype dtype, int64_t elements, int64_t *out_bytes) {
  int64_t bits;
  if (hct_dtype_bits(dtype) >= 8) return hct_mul_i64(elements, (int64_t)hct_dtype_bits(dtype) / 8, out_bytes);
  if (!hct_mul_i64(elements, (int64_t)hct_dtype_bits(dtype), &bits) || !hct_add_i64(bits, 7, &bits)) return false;
  *out_bytes = bits / 8;
  return true;
}

bool hct_dtype_parse(const char *name, hct_dtype *out_dtype) {
  for (size_t i = 0; i < HCT_COUNT(dtypes); i++) {
    if (!dtypes[i].bytes || strcmp(dtypes[i].name, name) != 0) continue;
    *out_dtype = dtypes[i].dtype;
    return true;
  }
  return false;
}

bool hct_dtype_from_npy(const char *descr, hct_dtype *out_dtype) {
  for (size_t i = 0; i < HCT_COUNT(dtypes); i++) {
    if (!dtypes[i].bytes || !dtypes[i].npy[0] || strcmp(dtypes[i].npy, descr) != 0) continue;
    *out_dtype = dtypes[i].dtype;
    return true;
  }
  return false;
}

bool hct_dtype_from_onnx(int32_t data_type, hct_dtype *out_dtype) {
  for (size_t i = 0; i < HCT_COUNT(dtypes); i++) {
    if (!dtypes[i].bytes || dtypes[i].onnx != data_type) continue;
    *out_dtype = dtypes[i].dtype;
    return true;
  }
  return false;
}
