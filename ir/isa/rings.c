/* Rings of dies (method.md, "Rings on a mesh without wrap-around links"). */
#include <stdlib.h>
#include <string.h>

#include "ir/isa/instr.h"

int64_t hct_ring_index_at(int64_t size, int64_t position) {
  int64_t even = (size + 1) / 2; /* indices 0, 2, 4, ... come first, then the odd ones downwards */
  return position < even ? 2 * position : 2 * (size - 1 - position) + 1;
}

int64_t hct_ring_position_of(int64_t size, int64_t index) { return index % 2 == 0 ? index / 2 : size - 1 - (index - 1) / 2; }

/* ---- the flat ring: a Hamiltonian cycle ---- */
/* An even number of rows: along row 0, back and forth through columns 1.. of the others, up column 0. */
static int64_t even_position(int64_t rows, int64_t cols, int64_t row, int64_t col) {
  if (row == 0) return col;
  if (col == 0) return rows * cols - row;
  return cols + (row - 1) * (cols - 1) + (row % 2 ? cols - 1 - col : col - 1);
}

static int64_t even_die(int64_t rows, int64_t cols, int64_t position, bool transposed) {
  int64_t row = 0, col = position;
  if (position > rows * cols - rows) {
    row = rows * cols - position, col = 0;
  } else if (position >= cols) {
    int64_t at = position - cols, along = at % (cols - 1);
    row = 1 + at / (cols - 1);
    col = row % 2 ? cols - 1 - along : 1 + along;
  }
  return transposed ? col * rows + row : row * cols + col;
}

/* Two odd sides have no Hamiltonian cycle of single links. From 3 x 5 dies on there is one with a single hop of two links, no directed link
 * of which any other edge uses, in either direction; 3 x 3 has none, and shares one link there. Larger ones are grown by two columns, then two
 * rows at a time: the cycle leaves at an edge of the border, covers what was added, and comes back. Pairs are row, column. */
static const uint8_t odd_3x5[] = {0, 2, 2, 2, 2, 3, 2, 4, 1, 4, 0, 4, 0, 3, 1, 3, 1, 2, 1, 1, 2, 1, 2, 0, 1, 0, 0, 0, 0, 1};
static const uint8_t odd_3x3[] = {0, 0, 0, 1, 0, 2, 1, 2, 2, 2, 2, 1, 1, 1, 1, 0, 2, 0};

typedef struct spot { int64_t row, col; } spot;

static size_t grow(spot *cycle, size_t count, spot from, spot to, const spot *detour, size_t added) {
  for (size_t i = 0; i < count; i++) {
    size_t next = (i + 1) % count;
    bool forward = cycle[i].row == from.row && cycle[i].col == from.col && cycle[next].row == to.row && cycle[next].col == to.col;
    bool backward = cycle[i].row == to.row && cycle[i].col == to.col && cycle[next].row == from.row && cycle[next].col == from.col;
    if (!forward && !backward) continue;
    memmove(&cycle[i + 1 + added], &cycle[i + 1], (count - i - 1) * sizeof *cycle);
    for (size_t k = 0; k < added; k++) cycle[i + 1 + k] = detour[forward ? k : added - 1 - k];
    return count + added;
  }
  hct_bug(__FILE__, __LINE__, "a cycle without the edge it grows at");
}

/* Both sides odd and at least 3. `cycle` and `detour` have room for all dies. */
static void odd_cycle(int64_t rows, int64_t cols, spot *cycle, spot *detour) {
  if (cols < rows) {
    odd_cycle(cols, rows, cycle, detour);
    for (int64_t i = 0; i < rows * cols; i++) cycle[i] = (spot){cycle[i].col, cycle[i].row};
    return;
  }
  const uint8_t *base = cols >= 5 ? odd_3x5 : odd_3x3;
  size_t count = cols >= 5 ? 15 : 9;
  for (size_t i = 0; i < count; i++) cycle[i] = (spot){base[2 * i], base[2 * i + 1]};
  for (int64_t c = 5; c < cols; c += 2) {
    size_t added = 0;
    detour[added++] = (spot){0, c};
    for (int64_t r = 0; r < 3; r++) detour[added++] = (spot){r, c + 1};
    for (int64_t r = 2; r > 0; r--) detour[added++] = (spot){r, c};
    count = grow(cycle, count, (spot){0, c - 1}, (spot){1, c - 1}, detour, added);
  }
  for (int64_t r = 3; r < rows; r += 2) {
    size_t added = 0;
    detour[added++] = (spot){r, 0};
    for (int64_t c = 0; c < cols; c++) detour[added++] = (spot){r + 1, c};
    for (int64_t c = cols - 1; c > 0; c--) detour[added++] = (spot){r, c};
    count = grow(cycle, count, (spot){r - 1, 0}, (spot){r - 1, 1}, detour, added);
  }
}

/* Position of a die, or with row -1 the die at `position`. */
static int64_t odd_find(int64_t rows, int64_t cols, int64_t row, int64_t col, int64_t position) {
  size_t dies = (size_t)(rows * cols);
  spot *cycle = calloc(2 * dies, sizeof *cycle);
  HCT_BUG_ON(!cycle, "no memory for a cycle of %zu dies", dies);
  odd_cycle(rows, cols, cycle, cycle + dies);
  int64_t found = row < 0 ? cycle[position].row * cols + cycle[position].col : 0;
  for (size_t i = 0; row >= 0 && i < dies; i++)
    if (cycle[i].row == row && cycle[i].col == col) found = (int64_t)i;
  free(cycle);
  return found;
}

static int64_t flat_position(int64_t rows, int64_t cols, int64_t row, int64_t col) {
  if (rows == 1 || cols == 1) return hct_ring_position_of(rows * cols, rows == 1 ? col : row);
  if (rows % 2 == 0) return even_position(rows, cols, row, col);
  if (cols % 2 == 0) return even_position(cols, rows, col, row);
  return odd_find(rows, cols, row, col, 0);
}

static int64_t flat_die(int64_t rows, int64_t cols, int64_t position) {
  if (rows == 1 || cols == 1) return hct_ring_index_at(rows * cols, position);
  if (rows % 2 == 0) return even_die(rows, cols, position, false);
  if (cols % 2 == 0) return even_die(cols, rows, position, true);
  return odd_find(rows, cols, -1, 0, position);
}

/* ---- all rings ---- */
int64_t hct_ring_size(hct_ring ring, int64_t rows, int64_t cols) { return ring == HCT_RING_ROW ? rows : ring == HCT_RING_COL ? cols : rows * cols; }

int64_t hct_ring_position(hct_ring ring, int64_t rows, int64_t cols, int64_t row, int64_t col) {
  if (ring == HCT_RING_ROW) return hct_ring_position_of(rows, row);
  if (ring == HCT_RING_COL) return hct_ring_position_of(cols, col);
  int64_t position = flat_position(rows, cols, row, col);
  return ring == HCT_RING_FLAT0 ? position : (rows * cols - position) % (rows * cols);
}

int64_t hct_ring_die(hct_ring ring, int64_t rows, int64_t cols, int64_t row, int64_t col, int64_t position) {
  int64_t size = hct_ring_size(ring, rows, cols), at = (position % size + size) % size;
  if (ring == HCT_RING_ROW) return hct_ring_index_at(rows, at) * cols + col;
  if (ring == HCT_RING_COL) return row * cols + hct_ring_index_at(cols, at);
  return flat_die(rows, cols, ring == HCT_RING_FLAT0 ? at : (size - at) % size);
}

int64_t hct_ring_index(hct_ring ring, int64_t cols, int64_t die) { return ring == HCT_RING_ROW ? die / cols : ring == HCT_RING_COL ? die % cols : die; }
