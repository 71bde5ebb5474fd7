/* What functions of isa_functions.def do to one element. Inlined where `fn` is a constant, as in loops that are made one a function. */
#ifndef HCT_RUNTIME_EXEC_FUNCTIONS_H
#define HCT_RUNTIME_EXEC_FUNCTIONS_H

#include <math.h>

#include "runtime/exec/exec.h"

static inline hct_narrowing exec_narrowing(double scalar) {
  hct_narrowing narrowing;
  HCT_BUG_ON(!hct_narrowing_parse(scalar, &narrowing), "narrow with scalar %g", scalar);
  return narrowing;
}

static inline float exec_max(float a, float b) { return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }
static inline float exec_min(float a, float b) { return isnan(a) || isnan(b) ? NAN : a < b ? a : b; }

HCT_INLINE float exec_map1(uint8_t fn, float a, float scalar) {
  switch (fn) {
    case HCT_FN_MAP1_MOV: return a;
    case HCT_FN_MAP1_NEG: return -a;
    case HCT_FN_MAP1_ABS: return fabsf(a);
    case HCT_FN_MAP1_EXP: return expf(a);
    case HCT_FN_MAP1_LOG: return logf(a);
    case HCT_FN_MAP1_SQRT: return sqrtf(a);
    case HCT_FN_MAP1_RSQRT: return 1.0f / sqrtf(a);
    case HCT_FN_MAP1_RECIPROCAL: return 1.0f / a;
    case HCT_FN_MAP1_TANH: return tanhf(a);
    case HCT_FN_MAP1_ERF: return erff(a);
    case HCT_FN_MAP1_SIGMOID: return 1.0f / (1.0f + expf(-a));
    case HCT_FN_MAP1_RELU: return isnan(a) || a > 0 ? a : 0.0f;
    case HCT_FN_MAP1_SIN: return sinf(a);
    case HCT_FN_MAP1_COS: return cosf(a);
    case HCT_FN_MAP1_NOT: return a == 0;
    case HCT_FN_MAP1_ADDS: return a + scalar;
    case HCT_FN_MAP1_MULS: return a * scalar;
    case HCT_FN_MAP1_POWS: return scalar == 2.0f ? a * a : scalar == 3.0f ? a * a * a : powf(a, scalar);
    case HCT_FN_MAP1_FLOOR: return floorf(a);
    case HCT_FN_MAP1_ROUND: return nearbyintf(a);
    case HCT_FN_MAP1_SIGN: return a > 0 ? 1.0f : a < 0 ? -1.0f : a;
    case HCT_FN_MAP1_TAN: return tanf(a);
    case HCT_FN_MAP1_ASIN: return asinf(a);
    case HCT_FN_MAP1_ACOS: return acosf(a);
    case HCT_FN_MAP1_ATAN: return atanf(a);
    case HCT_FN_MAP1_SINH: return sinhf(a);
    case HCT_FN_MAP1_COSH: return coshf(a);
    case HCT_FN_MAP1_ASINH: return asinhf(a);
    case HCT_FN_MAP1_ACOSH: return acoshf(a);
    case HCT_FN_MAP1_ATANH: return atanhf(a);
    case HCT_FN_MAP1_EXPM1: return expm1f(a);
    case HCT_FN_MAP1_LOG1P: return a > 0x1p30f ? logf(a) : log1pf(a); /* SLEEF has infinity above 1e38 */
    case HCT_FN_MAP1_NARROW: return (float)hct_narrow(exec_narrowing((double)scalar), (double)a);
    default: hct_bug(__FILE__, __LINE__, "map1 function %d", fn);
  }
}

HCT_INLINE double exec_map2(uint8_t fn, double a, double b) {
  switch (fn) {
    case HCT_FN_MAP2_ADD: return a + b;
    case HCT_FN_MAP2_SUB: return a - b;
    case HCT_FN_MAP2_MUL: return a * b;
    case HCT_FN_MAP2_DIV: return a / b;
    case HCT_FN_MAP2_MAX: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case HCT_FN_MAP2_MIN: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case HCT_FN_MAP2_POW: return (double)powf((float)a, (float)b);
    case HCT_FN_MAP2_EQ: return a == b;
    case HCT_FN_MAP2_LT: return a < b;
    case HCT_FN_MAP2_LE: return a <= b;
    case HCT_FN_MAP2_AND: return a != 0 && b != 0;
    case HCT_FN_MAP2_OR: return a != 0 || b != 0;
    case HCT_FN_MAP2_FMOD: return fmod(a, b);
    case HCT_FN_MAP2_EXP_SUB: return (double)expf((float)(a - b));
    default: hct_bug(__FILE__, __LINE__, "map2 function %d", fn);
  }
}

/* Sum, difference, product and quotient of two f32 rounded to double and then to f32 are those rounded once (Figueroa, "When is double rounding innocuous?", 1995): the same bits in half the lanes. */
HCT_INLINE float exec_map2_f32(uint8_t fn, float a, float b) {
  switch (fn) {
    case HCT_FN_MAP2_ADD: return a + b;
    case HCT_FN_MAP2_SUB: return a - b;
    case HCT_FN_MAP2_MUL: return a * b;
    case HCT_FN_MAP2_DIV: return a / b;
    case HCT_FN_MAP2_MAX: return exec_max(a, b);
    case HCT_FN_MAP2_MIN: return exec_min(a, b);
    case HCT_FN_MAP2_EQ: return a == b;
    case HCT_FN_MAP2_LT: return a < b;
    case HCT_FN_MAP2_LE: return a <= b;
    case HCT_FN_MAP2_AND: return a != 0 && b != 0;
    case HCT_FN_MAP2_OR: return a != 0 || b != 0;
    case HCT_FN_MAP2_EXP_SUB: return expf(a - b);
    default: return (float)exec_map2(fn, (double)a, (double)b);
  }
}

#endif
