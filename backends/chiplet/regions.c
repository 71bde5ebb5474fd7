/* What has been touched, by place: a region is the bytes of an access, and for each engine the latest item that read them and the latest
 * that wrote them. */
#include "backends/chiplet/chiplet.h"

static bool same_bytes(const chiplet_access *a, const chiplet_access *b) {
  return a->twin == b->twin && a->lane_of == b->lane_of && a->lane == b->lane && a->moves == b->moves && a->at == b->at && a->at_end == b->at_end;
}

static chiplet_region *region_at(hct_arena *arena, chiplet_regions *regions, const chiplet_access *access) {
  hct_span range = {access->start, access->end};
  hct_span_cursor cursor = {0};
  for (chiplet_region *region; (region = (chiplet_region *)hct_spans_next_equal(&regions->spans[access->space], range, &cursor));)
    if (same_bytes(&region->access, access)) return region;
  chiplet_region *made = regions->unused ? regions->unused : HCT_NEW(arena, chiplet_region);
  regions->unused = made->next;
  *made = (chiplet_region){.span = range, .access = *access};
  hct_spans_add(arena, &regions->spans[access->space], &made->span);
  return made;
}

void chiplet_regions_add(hct_arena *arena, chiplet_regions *regions, const chiplet_access *access, hct_engine engine, size_t number, size_t item) {
  chiplet_latest *latest = &region_at(arena, regions, access)->latest[engine][access->write];
  if (latest->end < number + 1) *latest = (chiplet_latest){number + 1, item};
}

static bool region_drop(void *user, hct_span *span) {
  chiplet_regions *regions = user;
  chiplet_region *region = (chiplet_region *)span;
  region->next = regions->unused;
  regions->unused = region;
  return true;
}

void chiplet_regions_forget(chiplet_regions *regions, const chiplet_access *access) {
  hct_spans_drop(&regions->spans[access->space], (hct_span){access->start, access->end}, region_drop, regions);
}

void chiplet_regions_clear(chiplet_regions *regions) {
  for (size_t space = 0; space < HCT_COUNT(regions->spans); space++) hct_spans_drop(&regions->spans[space], (hct_span){INT64_MIN, INT64_MAX}, region_drop, regions);
}

const chiplet_region *chiplet_regions_next(const chiplet_regions *regions, const chiplet_access *access, hct_span_cursor *cursor) {
  return (const chiplet_region *)hct_spans_next(&regions->spans[access->space], (hct_span){access->start, access->end}, cursor);
}
