/* How a tensor is cut into tiles: the one description of shardings, shared by the partitioner (dialect attributes), the
 * chiplet backend, the program image and the loader. No MLIR here.
 *
 * A tensor dimension is an ordered product of *factors* (major to minor); each factor may be split over time (micro-batches)
 * and over mesh axes. Text form, used as the attribute of every value at `dist` level and in the image:
 *
 *     [4@tr,16,4@c*16]            a [4,16,64] tensor; dim 0 split over time, then rows; dim 2 is 4 x 16, the 4 over columns
 *     [4@tr,16,64] sum(c)         the same unsplit in its last dim, and each die along a row holds one summand
 *     [2@c*4#1*8,16]              a [64,16] tensor, 2 x 4 x 8 in dim 0, of which only index 1 of the 4 is there: a piece of a parameter (piece.h)
 *     [37#20+17@c,16]             a [37,16] tensor, of which only rows 20 to 36 are there, split over columns
 *     []                          a scalar, replicated
 *
 * A split is balanced: part i of p over n units has n/p + (i < n%p) units and starts at i*(n/p) + min(i, n%p); parts may be
 * empty. Several mesh axes on one factor apply major to minor, over the range that the one before left. Time comes first:
 * micro-batch k of size m holds units [k*m, min(n, (k+1)*m)). */
#ifndef HCT_ISA_LAYOUT_H
#define HCT_ISA_LAYOUT_H

#include "ir/support/support.h"

enum { HCT_MAX_FACTORS = 16, HCT_MAX_RANK = 8, HCT_MAX_AXES = 3 };

typedef enum hct_axis { HCT_AXIS_TIME = 0, HCT_AXIS_ROW = 1, HCT_AXIS_COL = 2 } hct_axis;
/* HCT_AXIS_ROW: which row of the mesh a die is in selects its part (collectives over it run along columns of dies);
 * written 'r'. HCT_AXIS_COL likewise 'c'; time is 't'. */
char hct_axis_letter(hct_axis axis);

typedef struct hct_factor {
  int64_t size;               /* units, >= 1 unless the tensor is empty */
  uint8_t axis_count;
  uint8_t axes[HCT_MAX_AXES]; /* hct_axis, major to minor */
  int64_t first, count;       /* the only units that tiles have, which the axes then split where there are several; count 0: all */
} hct_factor;

typedef enum hct_partial_kind { HCT_PARTIAL_NONE = 0, HCT_PARTIAL_SUM = 1, HCT_PARTIAL_MAX = 2 } hct_partial_kind;

typedef struct hct_layout {
  uint8_t rank;
  uint8_t factor_count;                  /* over all dims */
  uint8_t dim_first[HCT_MAX_RANK + 1];   /* factors of dim d: dim_first[d] .. dim_first[d+1]-1; a dim of size 1 has one factor */
  hct_factor factors[HCT_MAX_FACTORS];
  hct_partial_kind partial;              /* over the axes in partial_axes */
  uint8_t partial_axes;                  /* bit mask, 1 << hct_axis */
} hct_layout;

typedef struct hct_range { int64_t start, length; } hct_range;

/* Where a tile is asked for. Time: a factor split over time has extent `micro_batch_size` here, whose samples start at
 * `micro_batch_start`; set size to 0 for "the whole batch" (no time split applied). */
typedef struct hct_place {
  int64_t rows, cols, row, col;
  int64_t micro_batch_start, micro_batch_size;
} hct_place;

hct_range hct_split_balanced(int64_t units, int64_t parts, int64_t part);
/* Range of `factor`'s units, in the factor's own (global) numbering, that the die at `place` holds. */
hct_range hct_factor_range(const hct_factor *factor, const hct_place *place);
int64_t hct_layout_tile_elements(const hct_layout *layout, const hct_place *place); /* product of factor extents */
int64_t hct_layout_dim_size(const hct_layout *layout, unsigned dim);                /* global */
int64_t hct_layout_elements(const hct_layout *layout);                              /* global */
/* True when some factor is split over `axis`. */
bool hct_layout_uses_axis(const hct_layout *layout, hct_axis axis);
/* A layout with one unsplit factor a dim. */
hct_layout hct_layout_plain(unsigned rank, const int64_t *shape);
bool hct_layout_equal(const hct_layout *a, const hct_layout *b);
bool hct_layout_parse(const char *text, hct_layout *out_layout); /* false: not of the form above, or over the limits */
void hct_layout_print(const hct_layout *layout, hct_text *text);

/* Visits every element of a tile in storage order (row-major over factors): calls with the element's flat global index. */
typedef void (*hct_layout_visit)(void *context, int64_t tile_index, int64_t global_index);
void hct_layout_for_each(const hct_layout *layout, const hct_place *place, hct_layout_visit visit, void *context);

#endif
