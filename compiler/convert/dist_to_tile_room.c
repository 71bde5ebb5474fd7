#include "compiler/convert/dist_to_tile_room.h"

double tile_room_from(const tile_room *room, int64_t live, int64_t bytes, double start) {
  int64_t taken = live + bytes;
  size_t i = room->releases.count;
  if (!bytes) return start;
  while (i > 0 && room->releases.items[i - 1].at > start) taken += room->releases.items[--i].bytes;
  for (; taken > room->bytes && i < room->releases.count; i++) {
    taken -= room->releases.items[i].bytes;
    start = room->releases.items[i].at;
  }
  return start;
}

void tile_room_release(tile_room *room, double at, int64_t bytes) {
  if (!bytes) return;
  HCT_PUSH(room->arena, &room->releases, ((tile_release){at, bytes}));
  for (size_t i = room->releases.count - 1; i > 0 && room->releases.items[i - 1].at > at; i--) {
    tile_release later = room->releases.items[i - 1];
    room->releases.items[i - 1] = room->releases.items[i];
    room->releases.items[i] = later;
  }
}
