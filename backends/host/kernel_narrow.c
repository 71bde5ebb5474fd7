/* Numbers of element types for interchange, in upstream's arithmetic on the bits of f32 and f64: what dies do with them is written in another way. */
#include <math.h>

#include "backends/host/host.h"

enum { F32_MANTISSA = 23, F32_BIAS = 127, F64_MANTISSA = 52 };

static bool is_exponent_alone(const hct_float_format *f) { return f->mantissa_bits == 0; }

/* The largest finite number. */
static double largest_of(const hct_float_format *f) {
  int exponent = (1 << f->exponent_bits) - 1 - f->bias - (f->specials == HCT_SPECIAL_IEEE || is_exponent_alone(f));
  int last = (1 << (f->mantissa_bits + 1)) - 1 - (f->specials == HCT_SPECIAL_LAST && !is_exponent_alone(f)); /* of the mantissa, with its 1 */
  return ldexp(last, exponent - f->mantissa_bits);
}

/* The bits of a normal f64 >= 0, with those beyond `mantissa_bits` rounded away: a carry goes into the exponent, as it should. */
static host_value bits_round(host_kernel *k, host_value bits, const hct_float_format *f, hct_rounding rounding) {
  int dropped = F64_MANTISSA - f->mantissa_bits;
  host_value shift = host_float(k, HCT_I64, dropped), one = host_float(k, HCT_I64, 1);
  double half = ldexp(1, dropped - 1), more = is_exponent_alone(f) ? (rounding == HCT_ROUND_UP ? 2 * half - 1 : rounding == HCT_ROUND_DOWN ? 0 : half) : half - 1;
  host_value sum = host_binary(k, "arith.addi", bits, host_float(k, HCT_I64, more));
  if (!is_exponent_alone(f)) sum = host_binary(k, "arith.addi", sum, host_binary(k, "arith.andi", host_binary(k, "arith.shrui", bits, shift), one)); /* ties to even */
  return host_binary(k, "arith.andi", sum, host_float(k, HCT_I64, -2 * half));
}

/* |a| rounded, of any size. Below the least normal number the places of a number that is added and taken away again are those of the format. */
static host_value magnitude_round(host_kernel *k, host_value a, const hct_float_format *f, hct_rounding rounding) {
  double least = ldexp(1, (is_exponent_alone(f) ? 0 : 1) - f->bias);
  host_value floor = host_float(k, HCT_F64, least), small = host_compare(k, "cmpf olt", a, floor);
  host_value rounded = host_cast(k, "bitcast", bits_round(k, host_cast(k, "bitcast", a, HCT_I64), f, rounding), HCT_F64);
  host_value places = host_float(k, HCT_F64, ldexp(least, F64_MANTISSA - f->mantissa_bits)), below = floor;
  if (!is_exponent_alone(f)) below = host_binary(k, "arith.subf", host_binary(k, "arith.addf", a, places), places);
  return host_select(k, small, below, rounded);
}

static host_value integer_narrow(host_kernel *k, host_value a, hct_dtype dtype) {
  int bits = (int)hct_dtype_bits(dtype);
  if (hct_dtype_is_unsigned(dtype)) return host_binary(k, "arith.andi", a, host_float(k, a.type, (1 << bits) - 1));
  host_value shift = host_float(k, a.type, 8 - bits);
  return host_binary(k, "arith.shrsi", host_binary(k, "arith.shli", a, shift), shift);
}

static const hct_float_format *format_of(hct_dtype dtype) {
  static const hct_float_format f16 = {5, 10, 15, HCT_SPECIAL_IEEE}, bf16 = {8, 7, 127, HCT_SPECIAL_IEEE};
  return dtype == HCT_F16 ? &f16 : dtype == HCT_BF16 ? &bf16 : hct_dtype_format(dtype);
}

host_value host_narrow(host_kernel *k, host_value a, hct_narrowing narrowing) {
  const hct_float_format *f = format_of(narrowing.dtype);
  if (!f) return integer_narrow(k, a, narrowing.dtype);
  host_value wide = host_convert(k, a, HCT_F64), magnitude = host_unary(k, "math.absf", wide), nan = host_float(k, HCT_F64, NAN), zero = host_float(k, HCT_F64, 0);
  host_value r = magnitude_round(k, magnitude, f, narrowing.rounding), largest = host_float(k, HCT_F64, largest_of(f));
  bool saturate = narrowing.saturate || f->specials == HCT_SPECIAL_NONE;
  host_value beyond = saturate ? largest : f->specials == HCT_SPECIAL_IEEE ? host_float(k, HCT_F64, HUGE_VAL) : nan;
  r = host_select(k, host_compare(k, "cmpf ogt", r, largest), beyond, r);
  if (is_exponent_alone(f)) r = host_select(k, host_compare(k, "cmpf oeq", magnitude, host_float(k, HCT_F64, HUGE_VAL)), nan, r);
  else r = host_binary(k, "math.copysign", r, wide);
  if (f->specials == HCT_SPECIAL_MINUS) r = host_select(k, host_compare(k, "cmpf oeq", r, zero), zero, r);
  if (f->specials == HCT_SPECIAL_NONE) nan = host_float(k, HCT_F64, -0.0);
  r = host_select(k, host_compare(k, "cmpf uno", wide, wide), nan, r);
  return host_convert(k, r, HCT_F32);
}

/* The bits that follow the sign, where f32 has its own, are the number but for the exponents' bias. */
host_value host_decode(host_kernel *k, host_value code, hct_dtype dtype) {
  const hct_float_format *f = hct_dtype_format(dtype);
  int width = f->exponent_bits + f->mantissa_bits, last = (1 << width) - 1, sign = is_exponent_alone(f) ? 0 : 1 << width;
  host_value bits = host_cast(k, "extui", code, HCT_I32), magnitude = host_binary(k, "arith.andi", bits, host_float(k, HCT_I32, last));
  host_value placed = host_cast(k, "bitcast", host_binary(k, "arith.shli", magnitude, host_float(k, HCT_I32, F32_MANTISSA - f->mantissa_bits)), HCT_F32);
  host_value v = host_binary(k, "arith.mulf", placed, host_float(k, HCT_F32, ldexp(1, F32_BIAS - f->bias)));
  if (is_exponent_alone(f)) {
    host_value least = host_float(k, HCT_F32, ldexp(1, -f->bias));
    v = host_select(k, host_compare(k, "cmpi eq", magnitude, host_float(k, HCT_I32, 0)), least, v);
  }
  if (f->specials == HCT_SPECIAL_IEEE) {
    host_value infinite = host_float(k, HCT_F32, HUGE_VAL);
    v = host_select(k, host_compare(k, "cmpi uge", magnitude, host_float(k, HCT_I32, last + 1 - (1 << f->mantissa_bits))), infinite, v);
  }
  int least_nan = f->specials == HCT_SPECIAL_IEEE ? last + 2 - (1 << f->mantissa_bits) : last;
  host_value nan = host_float(k, HCT_F32, NAN);
  if (f->specials == HCT_SPECIAL_IEEE || f->specials == HCT_SPECIAL_LAST) v = host_select(k, host_compare(k, "cmpi uge", magnitude, host_float(k, HCT_I32, least_nan)), nan, v);
  if (sign) {
    host_value minus = host_unary(k, "arith.negf", v);
    v = host_select(k, host_compare(k, "cmpi uge", bits, host_float(k, HCT_I32, sign)), minus, v);
  }
  if (f->specials == HCT_SPECIAL_MINUS) v = host_select(k, host_compare(k, "cmpi eq", bits, host_float(k, HCT_I32, sign)), nan, v);
  return v;
}

host_value host_encode(host_kernel *k, host_value a, hct_dtype dtype) {
  const hct_float_format *f = hct_dtype_format(dtype);
  int width = f->exponent_bits + f->mantissa_bits, last = (1 << width) - 1, sign = is_exponent_alone(f) ? 0 : 1 << width;
  host_value r = host_narrow(k, a, (hct_narrowing){.dtype = dtype}), shift = host_float(k, HCT_I32, F32_MANTISSA - f->mantissa_bits);
  host_value scale = host_float(k, HCT_F32, ldexp(1, f->bias - F32_BIAS)), scaled = host_binary(k, "arith.mulf", host_unary(k, "math.absf", r), scale);
  host_value code = host_binary(k, "arith.shrui", host_cast(k, "bitcast", scaled, HCT_I32), shift);
  if (f->specials == HCT_SPECIAL_IEEE) {
    host_value infinite = host_float(k, HCT_I32, last + 1 - (1 << f->mantissa_bits));
    code = host_select(k, host_compare(k, "cmpf oeq", scaled, host_float(k, HCT_F32, HUGE_VAL)), infinite, code);
  }
  if (sign) {
    host_value zero = host_float(k, HCT_I32, 0), below = host_compare(k, "cmpi slt", host_cast(k, "bitcast", r, HCT_I32), zero);
    code = host_select(k, below, host_binary(k, "arith.ori", code, host_float(k, HCT_I32, sign)), code);
  }
  if (f->specials != HCT_SPECIAL_NONE) {
    host_value nan = host_float(k, HCT_I32, f->specials == HCT_SPECIAL_MINUS ? sign : last);
    code = host_select(k, host_compare(k, "cmpf uno", r, r), nan, code);
  }
  return host_cast(k, "trunci", code, HCT_I8);
}
