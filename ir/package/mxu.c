#include "ir/package/package.h"

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t hct_mxu_cycles_alone(int64_t M, int64_t N, int64_t K, int64_t r, int64_t c) { return ceil_div(M, r) * ceil_div(N, c) * (K + r + c - 2); }

double hct_mxu_cycles(const hct_package *package, int64_t M, int64_t N, int64_t K, bool f32) {
  int64_t r = package->mxu_rows, c = package->mxu_cols;
  int64_t passes = ceil_div(M, r) * ceil_div(ceil_div(N, c), package->mxu_arrays);
  return (double)(passes * K) / (f32 ? package->mxu_f32_rate : 1.0) + (double)(r + c - 2);
}
