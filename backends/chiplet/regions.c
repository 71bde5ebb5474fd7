/* What has been touched, by place: a region is the bytes of an access, and for each engine the latest item that read them and the latest
 * that wrote them. Regions lie in lists by the power of two of their length, by start: those that overlap an access are few neighbours of
 * it in each list, however many there are. */
#include <string.h>

#include "backends/chiplet/chiplet.h"

static unsigned class_of(const chiplet_access *access) {
  unsigned class = 0;
  for (int64_t length = access->end - access->start; length > 1; length >>= 1) class++;
  return class;
}

static size_t first_from(const chiplet_region_list *list, int64_t start) {
  size_t low = 0, high = list->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (list->items[middle]->access.start < start) low = middle + 1;
    else high = middle;
  }
  return low;
}

static bool same_bytes(const chiplet_access *a, const chiplet_access *b) {
  return a->start == b->start && a->end == b->end && a->twin == b->twin && a->lane_of == b->lane_of && a->lane == b->lane;
}

static chiplet_region *region_at(hct_arena *arena, chiplet_regions *regions, const chiplet_access *access) {
  unsigned class = class_of(access);
  chiplet_region_list *list = &regions->lists[access->space][class];
  size_t at = first_from(list, access->start);
  for (; at < list->count && list->items[at]->access.start == access->start; at++)
    if (same_bytes(&list->items[at]->access, access)) return list->items[at];
  chiplet_region *made = regions->unused ? regions->unused : HCT_NEW(arena, chiplet_region);
  regions->unused = made->next;
  *made = (chiplet_region){.access = *access};
  regions->used[access->space] |= UINT64_C(1) << class;
  HCT_PUSH(arena, list, made);
  memmove(&list->items[at + 1], &list->items[at], (list->count - 1 - at) * sizeof *list->items);
  list->items[at] = made;
  return made;
}

void chiplet_regions_add(hct_arena *arena, chiplet_regions *regions, const chiplet_access *access, hct_engine engine, size_t number, size_t item) {
  chiplet_latest *latest = &region_at(arena, regions, access)->latest[engine][access->write];
  if (latest->end < number + 1) *latest = (chiplet_latest){number + 1, item};
}

static void region_drop(chiplet_regions *regions, chiplet_region *region) {
  region->next = regions->unused;
  regions->unused = region;
}

void chiplet_regions_forget(chiplet_regions *regions, const chiplet_access *access) {
  for (unsigned class = 0; class <= class_of(access); class++) {
    chiplet_region_list *list = &regions->lists[access->space][class];
    size_t at = first_from(list, access->start), kept = at;
    for (; at < list->count && list->items[at]->access.start < access->end; at++)
      if (list->items[at]->access.end <= access->end) region_drop(regions, list->items[at]);
      else list->items[kept++] = list->items[at];
    if (kept == at) continue;
    memmove(&list->items[kept], &list->items[at], (list->count - at) * sizeof *list->items);
    list->count -= at - kept;
  }
}

void chiplet_regions_clear(chiplet_regions *regions) {
  for (int space = 0; space < 2; space++)
    for (unsigned class = 0; regions->used[space] >> class; class++) {
      chiplet_region_list *list = &regions->lists[space][class];
      while (list->count) region_drop(regions, list->items[--list->count]);
    }
}

const chiplet_region *chiplet_regions_next(const chiplet_regions *regions, const chiplet_access *access, chiplet_cursor *cursor) {
  for (; cursor->class < CHIPLET_REGION_CLASSES && regions->used[access->space] >> cursor->class; cursor->class++, cursor->begun = false) {
    const chiplet_region_list *list = &regions->lists[access->space][cursor->class];
    if (!cursor->begun) cursor->at = first_from(list, access->start - (INT64_C(2) << cursor->class)), cursor->begun = true;
    while (cursor->at < list->count && list->items[cursor->at]->access.start < access->end) {
      const chiplet_region *region = list->items[cursor->at++];
      if (access->start < region->access.end) return region;
    }
  }
  return NULL;
}
