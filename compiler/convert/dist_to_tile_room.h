/* Bytes of SRAM that come free over time, as operations of a schedule end. */
#ifndef HCT_COMPILER_CONVERT_DIST_TO_TILE_ROOM_H
#define HCT_COMPILER_CONVERT_DIST_TO_TILE_ROOM_H

#include "ir/support/support.h"

typedef struct tile_release { double at; int64_t bytes; } tile_release; /* seconds */
typedef struct tile_room {
  hct_arena *arena;
  struct { tile_release *items; size_t count, capacity; } releases; /* by time: bytes of what is not done */
  int64_t bytes; /* there are, in all */
} tile_room;

/* From when on, `start` at the earliest, there are `bytes` beside the `live` that the schedule has not freed. */
double tile_room_from(const tile_room *room, int64_t live, int64_t bytes, double start);
void tile_room_release(tile_room *room, double at, int64_t bytes);

#endif
