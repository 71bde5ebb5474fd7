#include "ir/support/support.h"

typedef struct index_slot {
  const void *key;
  size_t index;
} index_slot;

struct hct_index_map {
  hct_arena *arena;
  index_slot *slots;
  size_t slot_count, used;
};

hct_index_map *hct_index_map_create(hct_arena *arena) {
  hct_index_map *map = HCT_NEW(arena, hct_index_map);
  map->arena = arena;
  map->slot_count = 64;
  map->slots = HCT_NEW_ARRAY(arena, index_slot, map->slot_count);
  return map;
}

static index_slot *slot_find(const hct_index_map *map, const void *key) {
  uint64_t hash = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);
  size_t at = (size_t)(hash >> 32) & (map->slot_count - 1);
  while (map->slots[at].key && map->slots[at].key != key) at = (at + 1) & (map->slot_count - 1);
  return &map->slots[at];
}

static void grow(hct_index_map *map) {
  index_slot *old = map->slots;
  size_t old_count = map->slot_count;
  map->slot_count *= 2;
  map->slots = HCT_NEW_ARRAY(map->arena, index_slot, map->slot_count);
  for (size_t i = 0; i < old_count; i++)
    if (old[i].key) *slot_find(map, old[i].key) = old[i];
}

void hct_index_map_put(hct_index_map *map, const void *key, size_t index) {
  if ((map->used + 1) * 2 > map->slot_count) grow(map);
  index_slot *slot = slot_find(map, key);
  if (!slot->key) map->used++;
  *slot = (index_slot){key, index};
}

bool hct_index_map_get(const hct_index_map *map, const void *key, size_t *out_index) {
  const index_slot *slot = slot_find(map, key);
  if (!slot->key) return false;
  *out_index = slot->index;
  return true;
}
