#include "runtime/exec/f32.h"

#include <math.h>
#include <string.h>

/* Vector forms of libm's functions are SLEEF's, of 1 ULP; a compiler that does not take these declarations calls libm an element at a time. */
#define VECTOR_FUNCTION _Pragma("omp declare simd notinbranch")
VECTOR_FUNCTION float expf(float);
VECTOR_FUNCTION float logf(float);
VECTOR_FUNCTION float tanhf(float);
VECTOR_FUNCTION float erff(float);
VECTOR_FUNCTION float sinf(float);
VECTOR_FUNCTION float cosf(float);
VECTOR_FUNCTION float tanf(float);
VECTOR_FUNCTION float expm1f(float);
VECTOR_FUNCTION float log1pf(float);
VECTOR_FUNCTION float powf(float, float);

#include "runtime/exec/functions.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { LANES = 16, STAGE = 4 * LANES };

/* Kernels take `count` elements, a multiple of LANES, of which so many at a time are known to the compiler: no element is left over, nor done before others to align them. */
#define FOR_LANES(count, statement)                                 \
  for (int64_t first = 0; first < (count); first += LANES) {        \
    _Pragma("omp simd") for (int64_t i = first; i < first + LANES; i++) statement; \
  }

typedef void map1_kernel(float *d, const float *a, float scalar, int64_t count);
typedef void map2_kernel(float *d, const float *a, const float *b, bool one_a, bool one_b, int64_t count); /* one_: element 0 alone */

#define KERNEL_MAP1(name) \
  HCT_VECTORS static void map1_##name(float *d, const float *a, float scalar, int64_t count) { FOR_LANES(count, d[i] = exec_map1(HCT_FN_MAP1_##name, a[i], scalar)) }
#define KERNEL_MAP2(name)                                                                                                                       \
  HCT_VECTORS static void map2_##name(float *d, const float *a, const float *b, bool one_a, bool one_b, int64_t count) {                        \
    float x = a[0], y = b[0];                                                                                                                   \
    if (one_a) FOR_LANES(count, d[i] = exec_map2_f32(HCT_FN_MAP2_##name, x, b[i]))                                                              \
    else if (one_b) FOR_LANES(count, d[i] = exec_map2_f32(HCT_FN_MAP2_##name, a[i], y))                                                         \
    else FOR_LANES(count, d[i] = exec_map2_f32(HCT_FN_MAP2_##name, a[i], b[i]))                                                                 \
  }
#define KERNEL_MAP3(name)
#define KERNEL_RED(name)
#define KERNEL_UPDATE(name)
#define HCT_FN(table, name, code, text, cost, meaning) KERNEL_##table(name)
#include "ir/isa/isa_functions.def"
#undef HCT_FN
#undef KERNEL_MAP1
#undef KERNEL_MAP2

#define KERNEL_MAP1(name) [HCT_FN_MAP1_##name] = map1_##name,
#define KERNEL_MAP2(name)
#define HCT_FN(table, name, code, text, cost, meaning) KERNEL_##table(name)
static map1_kernel *const map1_kernels[] = {
#include "ir/isa/isa_functions.def"
};
#undef HCT_FN
#undef KERNEL_MAP1
#undef KERNEL_MAP2
#define KERNEL_MAP1(name)
#define KERNEL_MAP2(name) [HCT_FN_MAP2_##name] = map2_##name,
#define HCT_FN(table, name, code, text, cost, meaning) KERNEL_##table(name)
static map2_kernel *const map2_kernels[] = {
#include "ir/isa/isa_functions.def"
};
#undef HCT_FN

/* The same elements, or none in common. */
static bool is_apart(const uint8_t *d, const uint8_t *a, int64_t count) {
  intptr_t distance = (intptr_t)d - (intptr_t)a;
  return distance == 0 || distance >= count * 4 || -distance >= count * 4;
}
static int64_t to_lanes(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

/* Lanes after the last element are ones. */
static void stage_in(float stage[STAGE], const uint8_t *a, int64_t stride, int64_t count) {
  for (int64_t i = 0; i < count; i++) stage[i] = *(const float *)(const void *)(a + i * stride);
  for (int64_t i = count; i < to_lanes(count); i++) stage[i] = 1;
}
static void stage_out(uint8_t *d, int64_t stride, const float stage[STAGE], int64_t count) {
  for (int64_t i = 0; i < count; i++) *(float *)(void *)(d + i * stride) = stage[i];
}

void exec_f32_map1(uint8_t fn, uint8_t *d, int64_t d_stride, const uint8_t *a, int64_t a_stride, float scalar, int64_t count) {
  map1_kernel *kernel = map1_kernels[fn];
  int64_t done = 0;
  if (d_stride == 4 && a_stride == 4 && is_apart(d, a, count)) kernel((float *)(void *)d, (const float *)(const void *)a, scalar, done = count / LANES * LANES);
  for (int64_t n; done < count; done += n) {
    float from[STAGE], to[STAGE];
    n = count - done < STAGE ? count - done : STAGE;
    stage_in(from, a + done * a_stride, a_stride, n);
    kernel(to, from, scalar, to_lanes(n));
    stage_out(d + done * d_stride, d_stride, to, n);
  }
}

void exec_f32_map2(uint8_t fn, uint8_t *d, int64_t d_stride, const uint8_t *a, int64_t a_stride, const uint8_t *b, int64_t b_stride, int64_t count) {
  map2_kernel *kernel = map2_kernels[fn];
  int64_t done = 0;
  bool one_a = a_stride == 0, one_b = b_stride == 0 && !one_a;
  bool a_fits = one_a || (a_stride == 4 && is_apart(d, a, count)), b_fits = one_b || (b_stride == 4 && is_apart(d, b, count));
  if (d_stride == 4 && a_fits && b_fits) kernel((float *)(void *)d, (const float *)(const void *)a, (const float *)(const void *)b, one_a, one_b, done = count / LANES * LANES);
  for (int64_t n; done < count; done += n) {
    float from[2][STAGE], to[STAGE];
    n = count - done < STAGE ? count - done : STAGE;
    stage_in(from[0], a + done * a_stride, a_stride, n);
    stage_in(from[1], b + done * b_stride, b_stride, n);
    kernel(to, from[0], from[1], false, false, to_lanes(n));
    stage_out(d + done * d_stride, d_stride, to, n);
  }
}

bool exec_f32_is_test(uint8_t fn) { return fn == HCT_FN_MAP2_EQ || fn == HCT_FN_MAP2_LT || fn == HCT_FN_MAP2_LE || fn == HCT_FN_MAP2_AND || fn == HCT_FN_MAP2_OR; }

HCT_VECTORS static void bools_of(uint8_t *d, const float *a, int64_t count) {
  for (int64_t i = 0; i < count; i++) d[i] = a[i] != 0;
}

void exec_f32_test(uint8_t fn, uint8_t *d, int64_t d_stride, const uint8_t *a, int64_t a_stride, const uint8_t *b, int64_t b_stride, int64_t count) {
  enum { MOST = 16 * STAGE };
  for (int64_t done = 0, n; done < count; done += n) {
    float numbers[MOST];
    uint8_t bytes[MOST];
    n = count - done < MOST ? count - done : MOST;
    exec_f32_map2(fn, (uint8_t *)numbers, 4, a + done * a_stride, a_stride, b + done * b_stride, b_stride, n);
    bools_of(bytes, numbers, n);
    for (int64_t i = 0; d_stride != 1 && i < n; i++) d[(done + i) * d_stride] = bytes[i];
    if (d_stride == 1) memcpy(d + done, bytes, (size_t)n);
  }
}

HCT_VECTORS void exec_f32_of_bools(float *d, const uint8_t *a, int64_t count) {
  for (int64_t i = 0; i < count; i++) d[i] = a[i] ? 1.0f : 0.0f;
}

static inline double lanes_sum(double lane[LANES]) {
  for (int half = LANES / 2; half; half /= 2)
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];
  return lane[0];
}

/* Element i into lane i mod LANES. */
#define REDUCE(type, initial, combined)                                                    \
  type lane[LANES];                                                                        \
  int64_t whole = count / LANES * LANES;                                                   \
  for (int l = 0; l < LANES; l++) lane[l] = initial;                                       \
  for (int64_t first = 0; first < whole; first += LANES)                                   \
    for (int l = 0; l < LANES; l++) {                                                      \
      int64_t i = first + l;                                                               \
      lane[l] = combined;                                                                  \
    }                                                                                      \
  for (int l = 0; l < count - whole; l++) {                                                \
    int64_t i = whole + l;                                                                 \
    lane[l] = combined;                                                                    \
  }

HCT_VECTORS double exec_f32_sum(const float *a, int64_t count) {
  REDUCE(double, 0, lane[l] + (double)a[i])
  return lanes_sum(lane);
}

HCT_VECTORS double exec_f32_dot(const float *a, const float *b, int64_t count) {
  REDUCE(double, 0, lane[l] + (double)a[i] * (double)b[i])
  return lanes_sum(lane);
}

HCT_VECTORS float exec_f32_max(const float *a, int64_t count) {
  REDUCE(float, -INFINITY, exec_max(lane[l], a[i]))
  for (int l = 1; l < LANES; l++) lane[0] = exec_max(lane[0], lane[l]);
  return lane[0];
}

HCT_VECTORS float exec_f32_min(const float *a, int64_t count) {
  REDUCE(float, INFINITY, exec_min(lane[l], a[i]))
  for (int l = 1; l < LANES; l++) lane[0] = exec_min(lane[0], lane[l]);
  return lane[0];
}

HCT_VECTORS void exec_f32_sum_rows(double *sums, const float *a, int64_t count) {
  for (int64_t i = 0; i < count; i++) sums[i] += (double)a[i];
}

HCT_VECTORS void exec_f32_divide(float *d, const float *a, double by, int64_t count) {
  for (int64_t i = 0; i < count; i++) d[i] = (float)((double)a[i] / by);
}

HCT_VECTORS void exec_f32_softmax_grad(float *d, const float *y, const float *g, double dot, int64_t count) {
  for (int64_t i = 0; i < count; i++) d[i] = (float)((double)y[i] * ((double)g[i] - dot));
}

enum { BLOCK = 16 };
typedef float block_row __attribute__((vector_size(BLOCK * sizeof(float))));

/* Four rounds of interleaving rows of the upper half with those of the lower one: each moves a bit of an element's row number into its column number. */
HCT_INLINE void transpose_block(float *d, int64_t d_leading, const float *a, int64_t a_leading) {
  block_row row[BLOCK], next[BLOCK];
  for (int i = 0; i < BLOCK; i++) memcpy(&row[i], a + i * a_leading, sizeof row[i]);
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < BLOCK / 2; i++) {
      next[2 * i] = __builtin_shufflevector(row[i], row[i + BLOCK / 2], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] = __builtin_shufflevector(row[i], row[i + BLOCK / 2], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    memcpy(row, next, sizeof row);
  }
  for (int i = 0; i < BLOCK; i++) memcpy(d + i * d_leading, &row[i], sizeof row[i]);
}

HCT_VECTORS void exec_f32_transpose(float *d, int64_t d_leading, const float *a, int64_t a_leading, int64_t rows, int64_t cols) {
  int64_t whole_rows = rows / BLOCK * BLOCK, whole_cols = cols / BLOCK * BLOCK;
  for (int64_t i = 0; i < whole_rows; i += BLOCK)
    for (int64_t j = 0; j < whole_cols; j += BLOCK) transpose_block(d + j * d_leading + i, d_leading, a + i * a_leading + j, a_leading);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = i < whole_rows ? whole_cols : 0; j < cols; j++) d[j * d_leading + i] = a[i * a_leading + j];
}

void exec_copy_streamed(uint8_t *to, const uint8_t *from, size_t bytes) {
#ifdef __SSE2__
  enum { LINE = 64, PIECE = sizeof(__m128i) };
  size_t before = (size_t)(-(uintptr_t)to % LINE);
  if (bytes < before + LINE) before = bytes;
  memcpy(to, from, before);
  for (to += before, from += before, bytes -= before; bytes >= LINE; to += LINE, from += LINE, bytes -= LINE)
    for (size_t i = 0; i < LINE; i += PIECE) _mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
  _mm_sfence(); /* before another thread is told */
#endif
  memcpy(to, from, bytes);
}
