/* Products of f32 equal sums in double whatever the strides: of either sign, zero, transposed or apart, on either side of what libraries take, added or not; to the same bits at every address. */
#include <math.h>

#include "runtime/exec/exec.h"
#include "test/unit/check.h"

enum { MOST = 1 << 18, WAYS = 9 };

typedef struct matrix { int64_t rows, cols, down, across, first, size; } matrix; /* in elements; `first`: where element (0, 0) is */

static matrix matrix_of(int64_t rows, int64_t cols, int way) {
  const int64_t strides[WAYS][2] = {{cols, 1}, {1, rows + 3}, {cols + 5, -1}, {-1, rows}, {-cols, 1}, {1, -rows}, {3 * cols, 3}, {0, 1}, {1, 0}};
  matrix m = {.rows = rows, .cols = cols, .down = strides[way][0], .across = strides[way][1]};
  int64_t down = m.down * (rows - 1), across = m.across * (cols - 1);
  m.first = (down < 0 ? -down : 0) + (across < 0 ? -across : 0);
  m.size = 1 + (down < 0 ? -down : down) + (across < 0 ? -across : across);
  return m;
}
static int64_t at(const matrix *m, int64_t row, int64_t col) { return m->first + row * m->down + col * m->across; }

/* Integers, of which sums are exact in any order. */
static void fill(float *data, int64_t size, int seed) {
  for (int64_t i = 0; i < size; i++) data[i] = (float)((i * 31 + i / 7 * 5 + seed) % 9 - 4);
}

static void view_set(exec_operand *view, float *data, const matrix *m, int row, int col) {
  *view = (exec_operand){.data = (uint8_t *)(data + m->first), .dtype = HCT_F32};
  view->stride[row] = m->down * 4, view->stride[col] = m->across * 4;
}

static void test_product(int64_t M, int64_t N, int64_t K, const int ways[3], bool accumulate, int shift) {
  static float data[3][MOST + 16], before[MOST + 16];
  matrix c = matrix_of(M, N, ways[0]), a = matrix_of(M, K, ways[1]), b = matrix_of(K, N, ways[2]);
  CHECK(c.size <= MOST && a.size <= MOST && b.size <= MOST);
  float *at_c = data[0] + shift, *at_a = data[1] + 3 * shift % 7, *at_b = data[2] + 5 * shift % 11;
  fill(at_c, c.size, 1), fill(at_a, a.size, 2), fill(at_b, b.size, 3);
  if (!accumulate) at_c[at(&c, 0, 0)] = NAN;
  memcpy(before, at_c, (size_t)c.size * sizeof *before);
  hct_instr instr = {.opcode = HCT_OP_MM, .accumulate = accumulate};
  exec_frame frame = {.instr = &instr, .shape = (const int64_t[]){M, N, K}};
  view_set(&frame.view[0], at_c, &c, 0, 1), view_set(&frame.view[1], at_a, &a, 0, 2), view_set(&frame.view[2], at_b, &b, 2, 1);
  CHECK(exec_matmul(&frame));
  for (int64_t m = 0; m < M; m++)
    for (int64_t n = 0; n < N; n++) {
      double sum = accumulate ? (double)before[at(&c, m, n)] : 0;
      for (int64_t k = 0; k < K; k++) sum += (double)at_a[at(&a, m, k)] * (double)at_b[at(&b, k, n)];
      CHECK((double)at_c[at(&c, m, n)] == sum);
      before[at(&c, m, n)] = at_c[at(&c, m, n)];
    }
  CHECK(!memcmp(before, at_c, (size_t)c.size * sizeof *before)); /* nothing between the elements of c */
}

static void test_strides(void) {
  const int64_t shapes[][3] = {{1, 1, 1}, {3, 5, 2}, {17, 63, 65}, {65, 33, 31}, {20, 70, 300}, {70, 20, 300}, {1, 300, 220}, {129, 1, 520}, {257, 260, 1}};
  for (size_t s = 0; s < HCT_COUNT(shapes); s++)
    for (int way = 0; way < WAYS * WAYS * 7; way++)
      for (int accumulate = 0; accumulate < 2; accumulate++)
        test_product(shapes[s][0], shapes[s][1], shapes[s][2], (const int[]){way / (WAYS * WAYS), way / WAYS % WAYS, way % WAYS}, accumulate, way % 16);
}

/* Sums that do round: the same at every address. */
static void test_addresses(void) {
  enum { M = 33, N = 65, K = 48 };
  static float a[M * K + 16], b[K * N + 16], c[M * N + 16], right[M * N];
  for (int transposed = 0; transposed < 4; transposed++)
    for (int shift = 0; shift < 16; shift++) {
      matrix ms[3] = {matrix_of(M, N, 0), matrix_of(M, K, 0), matrix_of(K, N, 0)};
      if (transposed & 1) ms[1].down = 1, ms[1].across = M;
      if (transposed & 2) ms[2].down = 1, ms[2].across = K;
      for (int i = 0; i < M * K; i++) a[i + shift] = sinf((float)i);
      for (int i = 0; i < K * N; i++) b[i + shift / 2] = cosf((float)i);
      hct_instr instr = {.opcode = HCT_OP_MM};
      exec_frame frame = {.instr = &instr, .shape = (const int64_t[]){M, N, K}};
      view_set(&frame.view[0], c + shift / 3, &ms[0], 0, 1), view_set(&frame.view[1], a + shift, &ms[1], 0, 2), view_set(&frame.view[2], b + shift / 2, &ms[2], 2, 1);
      CHECK(exec_matmul(&frame));
      if (shift == 0) memcpy(right, c, sizeof right);
      CHECK(!memcmp(right, c + shift / 3, sizeof right));
    }
}

int main(void) {
  test_strides();
  test_addresses();
  return 0;
}
