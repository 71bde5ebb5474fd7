/* Loops over f32, compiled for several widths of vectors and chosen among when the program starts. Numbers depend on neither width nor
 * place in a row: an element of a shorter row, or a strided one, goes through the same instructions as others. Strides are in bytes,
 * counts in elements; operands are aligned to 4 bytes and may be the same, or overlap. */
#ifndef HCT_RUNTIME_EXEC_F32_H
#define HCT_RUNTIME_EXEC_F32_H

#include "runtime/exec/exec.h"

#if defined __x86_64__ && !defined __SANITIZE_ADDRESS__ && !defined __clang__
#define HCT_VECTORS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HCT_VECTORS
#endif

/* d = fn(a), of isa_functions.def's MAP1 */
void exec_f32_map1(uint8_t fn, uint8_t *d, int64_t d_stride, const uint8_t *a, int64_t a_stride, float scalar, int64_t count);
/* d = fn(a, b), of MAP2 */
void exec_f32_map2(uint8_t fn, uint8_t *d, int64_t d_stride, const uint8_t *a, int64_t a_stride, const uint8_t *b, int64_t b_stride, int64_t count);
/* d = fn(a, b) as bytes of 0 and 1, of MAP2's functions that give these alone: comparisons, and, or */
void exec_f32_test(uint8_t fn, uint8_t *d, int64_t d_stride, const uint8_t *a, int64_t a_stride, const uint8_t *b, int64_t b_stride, int64_t count);
bool exec_f32_is_test(uint8_t fn);
/* d = 1 where a is not 0, else 0: contiguous elements */
void exec_f32_of_bools(float *d, const uint8_t *a, int64_t count);
/* Reductions of contiguous elements, in 16 lanes: sums in double. A NaN among them is the maximum and minimum. */
double exec_f32_sum(const float *a, int64_t count);
double exec_f32_dot(const float *a, const float *b, int64_t count);
float exec_f32_max(const float *a, int64_t count);
float exec_f32_min(const float *a, int64_t count);
/* sums[i] += a[i] */
void exec_f32_sum_rows(double *sums, const float *a, int64_t count);
/* d[i] = a[i] / by, rounded once */
void exec_f32_divide(float *d, const float *a, double by, int64_t count);
/* d[i] = y[i] (g[i] - dot), rounded once */
void exec_f32_softmax_grad(float *d, const float *y, const float *g, double dot, int64_t count);
/* d[j d_leading + i] = a[i a_leading + j], i < rows, j < cols: leading dimensions in elements. They do not overlap. */
void exec_f32_transpose(float *d, int64_t d_leading, const float *a, int64_t a_leading, int64_t rows, int64_t cols);
/* memcpy past the caches, where the processor has such stores. */
void exec_copy_streamed(uint8_t *to, const uint8_t *from, size_t bytes);

#endif
