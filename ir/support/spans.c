#include "ir/support/spans.h"

#include <string.h>

static unsigned class_of(hct_span span) {
  unsigned class = 0;
  for (int64_t length = span.end - span.start; length > 3; length >>= 2) class++;
  return class < HCT_SPAN_CLASSES ? class : HCT_SPAN_CLASSES - 1;
}

static size_t first_from(hct_span *const *items, size_t count, int64_t start) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (items[middle]->start < start) low = middle + 1;
    else high = middle;
  }
  return low;
}

void hct_spans_add(hct_arena *arena, hct_spans *spans, hct_span *span) {
  unsigned class = class_of(*span);
  size_t at = first_from(spans->lists[class].items, spans->lists[class].count, span->start);
  HCT_PUSH(arena, &spans->lists[class], span);
  memmove(&spans->lists[class].items[at + 1], &spans->lists[class].items[at], (spans->lists[class].count - 1 - at) * sizeof span);
  spans->lists[class].items[at] = span;
  spans->used |= UINT64_C(1) << class;
  spans->count++;
}

hct_span *hct_spans_next(const hct_spans *spans, hct_span range, hct_span_cursor *cursor) {
  for (; spans->used >> cursor->class; cursor->class++, cursor->begun = false) {
    hct_span *const *items = spans->lists[cursor->class].items;
    size_t count = spans->lists[cursor->class].count;
    if (!cursor->begun) cursor->at = first_from(items, count, range.start - (INT64_C(4) << 2 * cursor->class)), cursor->begun = true;
    while (cursor->at < count && items[cursor->at]->start < range.end)
      if (range.start < items[cursor->at++]->end) return items[cursor->at - 1];
  }
  return NULL;
}

hct_span *hct_spans_next_equal(const hct_spans *spans, hct_span range, hct_span_cursor *cursor) {
  unsigned class = class_of(range);
  hct_span *const *items = spans->lists[class].items;
  if (!cursor->begun) cursor->at = first_from(items, spans->lists[class].count, range.start), cursor->begun = true;
  while (cursor->at < spans->lists[class].count && items[cursor->at]->start == range.start)
    if (items[cursor->at++]->end == range.end) return items[cursor->at - 1];
  return NULL;
}

void hct_spans_drop(hct_spans *spans, hct_span range, bool (*drops)(void *user, hct_span *span), void *user) {
  for (unsigned class = 0; spans->used >> class; class++) {
    hct_span **items = spans->lists[class].items;
    size_t count = spans->lists[class].count, at = first_from(items, count, range.start), kept = at;
    for (; at < count && items[at]->start < range.end; at++)
      if (items[at]->end > range.end || !drops(user, items[at])) items[kept++] = items[at];
    if (kept == at) continue;
    memmove(&items[kept], &items[at], (count - at) * sizeof *items);
    spans->lists[class].count -= at - kept;
    spans->count -= at - kept;
  }
}
