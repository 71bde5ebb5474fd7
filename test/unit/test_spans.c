/* Spans: what overlaps a range, what equals it and what lies inside it is what a search through all of them finds. */
#include "ir/support/spans.h"

#include "test/unit/check.h"

typedef struct item { hct_span span; bool kept, seen; } item;
enum { ITEMS = 400, LONGEST = 300 };

static uint64_t state = 7;
static int64_t random_below(uint64_t bound) {
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (int64_t)((state >> 33) % bound);
}

static hct_span random_span(void) {
  int64_t start = random_below(1000) - 200;
  return (hct_span){start, start + random_below(random_below(2) ? LONGEST : 4)};
}

static void check_found(item *items, const hct_spans *spans, hct_span range, bool equal) {
  hct_span_cursor cursor = {0};
  for (size_t i = 0; i < ITEMS; i++) items[i].seen = false;
  for (item *found; (found = (item *)(equal ? hct_spans_next_equal : hct_spans_next)(spans, range, &cursor));) {
    CHECK(!found->seen);
    found->seen = true;
  }
  for (size_t i = 0; i < ITEMS; i++) {
    const hct_span *s = &items[i].span;
    bool wanted = equal ? s->start == range.start && s->end == range.end : s->start < range.end && range.start < s->end;
    CHECK(items[i].seen == (items[i].kept && wanted));
  }
}

static bool drop_even(void *user, hct_span *span) {
  (void)user;
  bool drop = span->start % 2 == 0;
  if (drop) ((item *)span)->kept = false;
  return drop;
}

int main(void) {
  static item items[ITEMS];
  hct_arena *arena = hct_arena_create();
  hct_spans spans = {0};
  for (size_t i = 0; i < ITEMS; i++) {
    items[i] = (item){.span = random_span(), .kept = true};
    hct_spans_add(arena, &spans, &items[i].span);
  }
  for (int round = 0; round < 300; round++) {
    check_found(items, &spans, random_span(), false);
    check_found(items, &spans, items[random_below(ITEMS)].span, true);
    if (round % 30 == 0) hct_spans_drop(&spans, random_span(), drop_even, NULL);
    size_t kept = 0;
    for (size_t i = 0; i < ITEMS; i++) kept += items[i].kept;
    CHECK(spans.count == kept);
  }
  CHECK(spans.count < ITEMS);
  hct_spans_drop(&spans, (hct_span){INT64_MIN, INT64_MAX}, drop_even, NULL);
  for (size_t i = 0; i < ITEMS; i++) CHECK(!items[i].kept || items[i].span.start % 2);
  hct_arena_destroy(arena);
  return 0;
}
