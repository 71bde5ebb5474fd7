/* Ranges of numbers (bytes, say), found by what they overlap. They lie in lists by the power of four of their length, by start: those that
 * overlap a range are few neighbours in each list, however many there are. Spans may overlap and be equal. */
#ifndef HCT_SUPPORT_SPANS_H
#define HCT_SUPPORT_SPANS_H

#include "ir/support/support.h"

enum { HCT_SPAN_CLASSES = 30 };
typedef struct hct_span { int64_t start, end; } hct_span; /* the first member of what is kept; not changed while it is */
typedef struct hct_spans { /* all zero: empty */
  struct { hct_span **items; size_t count, capacity; } lists[HCT_SPAN_CLASSES]; /* from 4^class long on */
  uint64_t used; /* bit c: list c may have spans */
  size_t count;
} hct_spans;
typedef struct hct_span_cursor { unsigned class; size_t at; bool begun; } hct_span_cursor; /* all zero: before the first */

void hct_spans_add(hct_arena *arena, hct_spans *spans, hct_span *span); /* span->start <= span->end */
/* The next span that overlaps `range`, NULL after the last; nothing may be added or dropped in between. */
hct_span *hct_spans_next(const hct_spans *spans, hct_span range, hct_span_cursor *cursor);
hct_span *hct_spans_next_equal(const hct_spans *spans, hct_span range, hct_span_cursor *cursor);
/* Calls `drops` for every span inside of `range`; those for which it holds are dropped. */
void hct_spans_drop(hct_spans *spans, hct_span range, bool (*drops)(void *user, hct_span *span), void *user);

#endif
