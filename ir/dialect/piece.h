/* A parameter of which hct-split-weights made several: each piece is an argument of its own, and so are its states, its low copy and its gradient. The
 * name says which part of the whole it is, "head.weight#1/4@0*2": along dimension 0, seen as [2, 4, rest], index 1 of the 4. So a mesh axis that
 * splits the dimension in 2 gives a part of each piece to all dies, and where pieces are put together nothing moves. Pieces that need not be put together may be
 * runs of any lengths, "head.weight#20+17/37@0*1": along dimension 0, of its 37 units the 17 from 20 on. In DRAM, from tile level on, the pieces are tensors of
 * the whole's name and shape, each with its part of every tile, or of runs what the mesh gives a die of them. */
#ifndef HCT_DIALECT_PIECE_H
#define HCT_DIALECT_PIECE_H

#include "ir/dialect/ir.h"
#include "ir/package/package.h"

typedef struct hct_piece {
  const char *whole; /* name */
  int64_t dim, parts, size, first, count; /* the dimension as [parts, size, rest], of which `count` from `first` on; rest is 1 where that is several */
} hct_piece;

bool hct_piece_parse(hct_arena *arena, const char *name, hct_piece *out_piece); /* false: the name of no piece */
const char *hct_piece_name(hct_arena *arena, const hct_piece *piece);
/* The whole's layout, with the piece's part alone, from that of the piece as a tensor. False: the mesh does not split it in equal runs of its parts; or a run of
 * several units is of several factors. */
bool hct_piece_layout(const hct_piece *piece, const hct_layout *layout, const hct_package *package, hct_layout *out_whole);

#endif
