/* Floats of 8 bits and less, by their parameters: dtypes.def. Everything is exact in double but the one rounding. */
#include <math.h>

#include "ir/support/support.h"

static const hct_float_format formats[] = { /* by code */
#define HCT_FLOAT_FORMAT(name, mlir, exponent, mantissa, bias, specials) [HCT_##name] = {exponent, mantissa, bias, HCT_SPECIAL_##specials},
#include "ir/support/dtypes.def"
#undef HCT_FLOAT_FORMAT
};

const hct_float_format *hct_dtype_format(hct_dtype dtype) { return (size_t)dtype < HCT_COUNT(formats) && formats[dtype].specials != HCT_SPECIAL_NO_FORMAT ? &formats[dtype] : NULL; }

static const hct_float_format *format_of(hct_dtype dtype) {
  const hct_float_format *f = hct_dtype_format(dtype);
  HCT_BUG_ON(!f, "element type %d has no format", (int)dtype);
  return f;
}

static bool is_exponent_alone(const hct_float_format *f) { return f->mantissa_bits == 0; }
static unsigned sign_of(const hct_float_format *f) { return is_exponent_alone(f) ? 0 : 1u << (f->exponent_bits + f->mantissa_bits); }
static unsigned last_of(const hct_float_format *f) { return (1u << (f->exponent_bits + f->mantissa_bits)) - 1; } /* of the codes without a sign */

static unsigned largest_of(const hct_float_format *f) {
  unsigned specials = f->specials == HCT_SPECIAL_IEEE ? 1u << f->mantissa_bits : f->specials == HCT_SPECIAL_LAST;
  return last_of(f) - specials;
}

static unsigned nan_of(const hct_float_format *f, bool negative) {
  if (f->specials == HCT_SPECIAL_MINUS || f->specials == HCT_SPECIAL_NONE) return sign_of(f);
  return last_of(f) | (negative ? sign_of(f) : 0);
}

/* `units`: a magnitude in units of the last place. */
static double units_round(const hct_float_format *f, double units, hct_rounding rounding) {
  if (!is_exponent_alone(f)) return nearbyint(units);
  return rounding == HCT_ROUND_UP ? ceil(units) : rounding == HCT_ROUND_DOWN ? floor(units) : floor(units + 0.5);
}

uint8_t hct_format_encode(hct_narrowing narrowing, double value) {
  const hct_float_format *f = format_of(narrowing.dtype);
  int exponent, least = is_exponent_alone(f) ? -f->bias : 1 - f->bias; /* of numbers that are not subnormal */
  bool negative = signbit(value), saturate = narrowing.saturate || f->specials == HCT_SPECIAL_NONE;
  double magnitude = fabs(value);
  if (isnan(value) || (isinf(value) && is_exponent_alone(f))) return (uint8_t)nan_of(f, negative);
  unsigned code = largest_of(f) + 1;
  frexp(magnitude, &exponent);
  exponent = exponent - 1 < least ? least : exponent - 1;
  if (magnitude == 0) exponent = least;
  if (!isinf(value) && exponent + f->bias <= 1 << f->exponent_bits) {
    double units = units_round(f, ldexp(magnitude, f->mantissa_bits - exponent), narrowing.rounding);
    double place = ldexp(exponent + f->bias - 1, f->mantissa_bits) + units; /* a carry into the exponent is right */
    code = place < 0 ? 0 : (unsigned)place;
  }
  if (code > largest_of(f)) {
    if (!saturate && f->specials != HCT_SPECIAL_IEEE) return (uint8_t)nan_of(f, negative);
    code = largest_of(f) + !saturate;
  }
  if (code == 0 && f->specials == HCT_SPECIAL_MINUS) return 0;
  return (uint8_t)(code | (negative ? sign_of(f) : 0));
}

double hct_format_decode(hct_dtype dtype, uint8_t code) {
  const hct_float_format *f = format_of(dtype);
  unsigned magnitude = code & last_of(f), exponent = magnitude >> f->mantissa_bits, mantissa = magnitude & ((1u << f->mantissa_bits) - 1);
  double sign = code & sign_of(f) ? -1 : 1;
  if (f->specials == HCT_SPECIAL_MINUS && code == sign_of(f)) return NAN;
  if (f->specials == HCT_SPECIAL_IEEE && magnitude == largest_of(f) + 1) return sign * HUGE_VAL;
  if (f->specials != HCT_SPECIAL_NONE && f->specials != HCT_SPECIAL_MINUS && magnitude > largest_of(f)) return NAN;
  if (exponent == 0 && !is_exponent_alone(f)) return sign * ldexp(mantissa, 1 - f->bias - f->mantissa_bits);
  return sign * ldexp((1u << f->mantissa_bits) | mantissa, (int)exponent - f->bias - f->mantissa_bits);
}

/* ---- narrowing ---- */
enum { SATURATES = 256, ROUNDING_UNIT = 512, ROUNDINGS = 3 };

double hct_narrowing_code(hct_narrowing n) { return (double)((unsigned)n.dtype + n.saturate * SATURATES + (unsigned)n.rounding * ROUNDING_UNIT); }

bool hct_narrowing_parse(double code, hct_narrowing *out_narrowing) {
  if (!(code >= 0 && code < ROUNDINGS * ROUNDING_UNIT) || code != floor(code)) return false;
  unsigned bits = (unsigned)code;
  hct_narrowing n = {.dtype = (hct_dtype)(bits % SATURATES), .saturate = bits / SATURATES % 2, .rounding = (hct_rounding)(bits / ROUNDING_UNIT)};
  if (hct_dtype_computed(n.dtype) == n.dtype && !hct_dtype_is_half(n.dtype)) return false;
  *out_narrowing = n;
  return true;
}

double hct_narrow(hct_narrowing narrowing, double value) {
  if (narrowing.dtype == HCT_F16) return (double)hct_f32_of_f16(hct_f16_of_f32((float)value));
  if (narrowing.dtype == HCT_BF16) return (double)hct_f32_of_bf16(hct_bf16_of_f32((float)value));
  return hct_format_decode(narrowing.dtype, hct_format_encode(narrowing, value));
}

int64_t hct_narrow_int(hct_narrowing narrowing, int64_t value) {
  uint64_t values = UINT64_C(1) << hct_dtype_bits(narrowing.dtype), rest = (uint64_t)value & (values - 1);
  bool negative = !hct_dtype_is_unsigned(narrowing.dtype) && rest >= values / 2;
  return (int64_t)(negative ? rest - values : rest);
}
