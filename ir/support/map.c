#include <string.h>

#include "ir/support/support.h"

/* Open addressing over indices into the entries, which keep the order of insertion. */
typedef struct map_entry {
  const char *key;
  void *value;
} map_entry;

struct hct_map {
  hct_arena *arena;
  struct { map_entry *items; size_t count, capacity; } entries;
  uint32_t *slots; /* entry index + 1; 0 is free */
  size_t slot_count;
};

hct_map *hct_map_create(hct_arena *arena) {
  hct_map *map = HCT_NEW(arena, hct_map);
  map->arena = arena;
  map->slot_count = 16;
  map->slots = HCT_NEW_ARRAY(arena, uint32_t, map->slot_count);
  return map;
}

static uint32_t *slot_find(const hct_map *map, const char *key) {
  size_t at = hct_checksum(key, strlen(key)) & (map->slot_count - 1);
  while (map->slots[at] && strcmp(map->entries.items[map->slots[at] - 1].key, key) != 0) at = (at + 1) & (map->slot_count - 1);
  return &map->slots[at];
}

static void grow(hct_map *map) {
  map->slot_count *= 2;
  map->slots = HCT_NEW_ARRAY(map->arena, uint32_t, map->slot_count);
  for (size_t i = 0; i < map->entries.count; i++) *slot_find(map, map->entries.items[i].key) = (uint32_t)(i + 1);
}

void hct_map_put(hct_map *map, const char *key, void *value) {
  uint32_t *slot = slot_find(map, key);
  if (*slot) {
    map->entries.items[*slot - 1].value = value;
    return;
  }
  map_entry entry = {hct_arena_strdup(map->arena, key), value};
  HCT_PUSH(map->arena, &map->entries, entry);
  *slot = (uint32_t)map->entries.count;
  if (map->entries.count * 2 > map->slot_count) grow(map);
}

void *hct_map_get(const hct_map *map, const char *key) {
  uint32_t slot = *slot_find(map, key);
  return slot ? map->entries.items[slot - 1].value : NULL;
}

bool hct_map_has(const hct_map *map, const char *key) { return *slot_find(map, key) != 0; }
size_t hct_map_count(const hct_map *map) { return map->entries.count; }
const char *hct_map_key_at(const hct_map *map, size_t index) { return map->entries.items[index].key; }
void *hct_map_value_at(const hct_map *map, size_t index) { return map->entries.items[index].value; }
