/* Loops over f32 are as accurate as libm in double within 2 ULP, give an element the same bits wherever in a row, in whatever steps and in place or not, and round as double does; what is copied or transposed is all there. */
#include <float.h>
#include <math.h>

#include "runtime/exec/f32.h"
#include "runtime/exec/functions.h"
#include "test/unit/check.h"

enum { MOST = 70 };

static const struct { uint8_t fn; double (*exact)(double); double low, high; } functions[] = {
    {HCT_FN_MAP1_EXP, exp, -80, 80}, {HCT_FN_MAP1_LOG, log, 1e-3, 50}, {HCT_FN_MAP1_TANH, tanh, -9, 9}, {HCT_FN_MAP1_ERF, erf, -4, 4}, {HCT_FN_MAP1_SIN, sin, -30, 30},
    {HCT_FN_MAP1_COS, cos, -30, 30}, {HCT_FN_MAP1_TAN, tan, -1.5, 1.5}, {HCT_FN_MAP1_EXPM1, expm1, -5, 20}, {HCT_FN_MAP1_LOG1P, log1p, -0.9, 50}, {HCT_FN_MAP1_LOG1P, log1p, 1e8, 3.4e38}, {HCT_FN_MAP1_SQRT, sqrt, 0, 1e6},
    {HCT_FN_MAP1_ABS, fabs, -3, 3}, {HCT_FN_MAP1_FLOOR, floor, -9, 9},
};

static void test_accuracy(uint8_t fn, double (*exact)(double), double low, double high) {
  float a[1000], d[1000];
  for (int i = 0; i < 1000; i++) a[i] = (float)(low + (high - low) * i / 999);
  exec_f32_map1(fn, (uint8_t *)d, 4, (uint8_t *)a, 4, 0, 1000);
  for (int i = 0; i < 1000; i++) {
    double right = exact((double)a[i]);
    CHECK(fabs((double)d[i] - right) <= 2 * FLT_EPSILON * fabs(right) + FLT_MIN);
  }
}

/* Every count from every place, steps of 4 and 8 bytes, in place too: as the whole row at once. */
static void test_places(uint8_t fn, double low, double high) {
  float a[MOST], whole[MOST];
  for (int i = 0; i < MOST; i++) a[i] = (float)(low + (high - low) * (i + 0.3) / (int)MOST);
  exec_f32_map1(fn, (uint8_t *)whole, 4, (uint8_t *)a, 4, 0, MOST);
  for (int at = 0; at < MOST; at += 3)
    for (int count = 1; at + count <= MOST; count += 4) {
      float d[MOST], apart[2 * MOST], same[MOST];
      exec_f32_map1(fn, (uint8_t *)d, 4, (uint8_t *)(a + at), 4, 0, count);
      exec_f32_map1(fn, (uint8_t *)apart, 8, (uint8_t *)(a + at), 4, 0, count);
      memcpy(same, a, sizeof same);
      exec_f32_map1(fn, (uint8_t *)(same + at), 4, (uint8_t *)(same + at), 4, 0, count);
      for (int i = 0; i < count; i++) CHECK(!memcmp(&d[i], &whole[at + i], 4) && !memcmp(&apart[2 * i], &whole[at + i], 4) && !memcmp(&same[at + i], &whole[at + i], 4));
      for (int i = 0; i < MOST; i++) CHECK((i >= at && i < at + count) || !memcmp(&same[i], &a[i], 4));
    }
}

static void test_map2(void) {
  float a[MOST], b[MOST], d[2 * MOST];
  for (int i = 0; i < MOST; i++) a[i] = (float)i / 7, b[i] = (float)(MOST - i) / 3;
  for (int count = 0; count <= MOST; count++)
    for (int steps = 0; steps < 8; steps++) {
      int sd = steps & 4 ? 2 : 1, sa = !(steps & 1), sb = !(steps & 2);
      for (int i = 0; i < 2 * MOST; i++) d[i] = -1;
      exec_f32_map2(HCT_FN_MAP2_SUB, (uint8_t *)d, 4 * sd, (uint8_t *)a, 4 * sa, (uint8_t *)b, 4 * sb, count);
      for (int i = 0; i < count; i++) CHECK(d[i * sd] == a[i * sa] - b[i * sb]);
      for (int i = count * sd; i < 2 * MOST; i++) CHECK(d[i] == -1);
    }
}

/* What is computed in f32 is what double rounded to f32 gives, subnormal results among them. */
static void test_map2_rounding(void) {
  static const uint8_t fns[] = {HCT_FN_MAP2_ADD, HCT_FN_MAP2_SUB, HCT_FN_MAP2_MUL, HCT_FN_MAP2_DIV, HCT_FN_MAP2_MAX, HCT_FN_MAP2_MIN};
  enum { COUNT = 64 };
  uint32_t bits = 1;
  for (int round = 0; round < 3000; round++) {
    float a[COUNT], b[COUNT], d[COUNT];
    for (int i = 0; i < 2 * COUNT; i++) { /* of every exponent, or of few in every second round; infinities and NaNs among them */
      bits = bits * 1664525u + 1013904223u;
      uint32_t word = round % 2 ? bits : (bits & 0x81ffffffu) | 0x1e000000u;
      memcpy(i < COUNT ? &a[i] : &b[i - COUNT], &word, sizeof word);
    }
    for (size_t f = 0; f < HCT_COUNT(fns); f++) {
      exec_f32_map2(fns[f], (uint8_t *)d, 4, (const uint8_t *)a, 4, (const uint8_t *)b, 4, COUNT);
      for (int i = 0; i < COUNT; i++) {
        float right = (float)exec_map2(fns[f], (double)a[i], (double)b[i]);
        CHECK(!memcmp(&right, &d[i], sizeof right) || (isnan(right) && isnan(d[i])));
      }
    }
  }
}

/* Of every count and step, as double has it; NaNs, infinities and both zeros among the numbers. */
static void test_bools(void) {
  enum { COUNT = 1100 };
  static const uint8_t fns[] = {HCT_FN_MAP2_EQ, HCT_FN_MAP2_LT, HCT_FN_MAP2_LE, HCT_FN_MAP2_AND, HCT_FN_MAP2_OR};
  static const float numbers[] = {0, -0.0f, 1, -1, INFINITY, -INFINITY, NAN, FLT_TRUE_MIN, FLT_MAX};
  enum { KINDS = HCT_COUNT(numbers) };
  float a[COUNT], b[COUNT], of[COUNT];
  uint8_t d[2 * COUNT];
  for (int i = 0; i < COUNT; i++) a[i] = numbers[i % KINDS], b[i] = numbers[i / KINDS % KINDS];
  for (size_t f = 0; f < HCT_COUNT(fns); f++)
    for (int steps = 0; steps < 8; steps++)
      for (int count = steps; count <= COUNT; count += count < 40 ? 1 : 177) {
        int sd = steps & 4 ? 2 : 1, sa = !(steps & 1), sb = !(steps & 2);
        memset(d, 7, sizeof d);
        exec_f32_test(fns[f], d, sd, (uint8_t *)a, 4 * sa, (uint8_t *)b, 4 * sb, count);
        for (int i = 0; i < 2 * COUNT; i++) {
          bool written = i % sd == 0 && i / sd < count;
          CHECK(d[i] == (written ? exec_map2(fns[f], (double)a[i / sd * sa], (double)b[i / sd * sb]) : 7));
        }
      }
  CHECK(exec_f32_is_test(HCT_FN_MAP2_LE) && !exec_f32_is_test(HCT_FN_MAP2_SUB));
  for (int i = 0; i < COUNT; i++) d[i] = (uint8_t)(i % 3);
  exec_f32_of_bools(of, d, COUNT);
  for (int i = 0; i < COUNT; i++) CHECK(of[i] == (i % 3 ? 1 : 0));
}

static void test_copy_streamed(void) {
  enum { BYTES = 400 };
  uint8_t from[BYTES], to[BYTES];
  for (int i = 0; i < BYTES; i++) from[i] = (uint8_t)(i * 7 + i / 256 + 1);
  for (int at = 0; at < 70; at++)
    for (int count = 0; count <= 200; count++) {
      memset(to, 0, sizeof to);
      exec_copy_streamed(to + at, from + count / 2, (size_t)count);
      for (int i = 0; i < BYTES; i++) CHECK(to[i] == (i >= at && i < at + count ? from[count / 2 + i - at] : 0));
    }
}

static void test_reductions(void) {
  float a[MOST];
  for (int i = 0; i < MOST; i++) a[i] = (float)((i * 37) % MOST) - 30.25f;
  for (int count = 1; count <= MOST; count++) {
    double sum = 0, dot = 0;
    float high = -INFINITY, low = INFINITY;
    for (int i = 0; i < count; i++) sum += (double)a[i], dot += (double)a[i] * (double)a[i], high = fmaxf(high, a[i]), low = fminf(low, a[i]);
    CHECK(exec_f32_sum(a, count) == sum && exec_f32_dot(a, a, count) == dot); /* quarters: exact in any order */
    CHECK(exec_f32_max(a, count) == high && exec_f32_min(a, count) == low);
  }
  for (int at = 0; at < MOST; at++) {
    float kept = a[at];
    a[at] = NAN;
    CHECK(isnan(exec_f32_max(a, MOST)) && isnan(exec_f32_min(a, MOST)) && isnan(exec_f32_sum(a, MOST)));
    a[at] = kept;
  }
}

static void test_transpose(void) {
  enum { SIDE = 19 };
  float a[SIDE * SIDE], d[SIDE * SIDE];
  for (int i = 0; i < SIDE * SIDE; i++) a[i] = (float)i;
  for (int rows = 0; rows <= SIDE; rows++)
    for (int cols = 0; cols <= SIDE; cols++) {
      for (int i = 0; i < SIDE * SIDE; i++) d[i] = -1;
      exec_f32_transpose(d, SIDE, a, SIDE, rows, cols);
      for (int i = 0; i < SIDE * SIDE; i++) CHECK(d[i] == (i / SIDE < cols && i % SIDE < rows ? a[i % SIDE * SIDE + i / SIDE] : -1));
    }
}

int main(void) {
  for (size_t i = 0; i < HCT_COUNT(functions); i++) {
    test_accuracy(functions[i].fn, functions[i].exact, functions[i].low, functions[i].high);
    test_places(functions[i].fn, functions[i].low, functions[i].high);
  }
  test_map2();
  test_reductions();
  test_map2_rounding();
  test_bools();
  test_copy_streamed();
  test_transpose();
  return 0;
}
