/* The event queue gives events by time, then place, as a search through all of them does; those pushed for the present moment included. */
#include "ir/timing/events.h"
#include "test/unit/check.h"

enum { DIES = 70, MOST = 4096 };
typedef struct pending { event items[MOST]; size_t count; } pending;

static event pending_pop(pending *p) {
  size_t least = 0;
  for (size_t i = 1; i < p->count; i++)
    if (event_before(&p->items[i], &p->items[least])) least = i;
  event e = p->items[least];
  p->items[least] = p->items[--p->count];
  return e;
}

static bool pending_has(const pending *p, event e) {
  for (size_t i = 0; i < p->count; i++)
    if (p->items[i].time_ps == e.time_ps && p->items[i].place == e.place) return true;
  return false;
}

static bool pending_is_at(const pending *p, int64_t time_ps, size_t die) {
  for (size_t i = 0; i < p->count; i++)
    if (p->items[i].time_ps == time_ps && event_die(&p->items[i]) == die) return true;
  return false;
}

static uint32_t random_below(uint64_t *state, uint32_t below) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(*state >> 33) % below;
}

static void both_push(event_queue *q, pending *p, uint64_t *random, int64_t now, uint32_t spread) {
  event e = event_at(now + random_below(random, spread), random_below(random, DIES), (int)random_below(random, 14));
  if (p->count == MOST || pending_has(p, e)) return;
  p->items[p->count++] = e;
  event_push(q, e);
}

/* `spread` in ps: few values make crowded moments, many make lonely ones. */
static void check_order(uint32_t spread) {
  hct_arena *arena = hct_arena_create();
  static pending p;
  p.count = 0;
  event_queue q;
  event_queue_init(&q, arena, DIES);
  uint64_t random = spread;
  int64_t now = 0;
  for (int i = 0; i < 500; i++) both_push(&q, &p, &random, now, spread);
  for (int step = 0; p.count; step++) {
    size_t ahead = event_die_ahead(&q);
    event want = pending_pop(&p), got;
    CHECK(ahead == event_die(&want) || pending_is_at(&p, want.time_ps, ahead)); /* of the next moment */
    CHECK(event_pop(&q, &got));
    CHECK(got.time_ps == want.time_ps && got.place == want.place);
    now = got.time_ps;
    for (int i = 0; step < 3000 && i < 2 - (int)random_below(&random, 3); i++) both_push(&q, &p, &random, now, spread);
    if (step % 500 != 499) continue;
    event_queue_shift(&q, 12345);
    for (size_t i = 0; i < p.count; i++) p.items[i].time_ps += 12345;
    now += 12345;
    event *all = HCT_NEW_ARRAY(arena, event, event_queue_list(&q, NULL));
    size_t count = event_queue_list(&q, all);
    CHECK(count == p.count);
    for (size_t i = 0; i < count; i++) CHECK(pending_has(&p, all[i]));
  }
  event none;
  CHECK(!event_pop(&q, &none));
  hct_arena_destroy(arena);
}

static void test_events_come_in_order(void) {
  check_order(3);
  check_order(100);
  check_order(1000000);
}

/* An event that is pushed twice for one moment is one. */
static void test_twice_is_once(void) {
  hct_arena *arena = hct_arena_create();
  event_queue q;
  event e;
  event_queue_init(&q, arena, 1);
  event_push(&q, event_at(5, 0, 13));
  event_push(&q, event_at(7, 0, 13));
  event_push(&q, event_at(5, 0, 13));
  CHECK(event_pop(&q, &e) && e.time_ps == 5);
  CHECK(event_pop(&q, &e) && e.time_ps == 7);
  CHECK(!event_pop(&q, &e));
  hct_arena_destroy(arena);
}

/* Nothing of what was due or was to come is left, and time may have gone on. */
static void test_cleared_has_none(void) {
  hct_arena *arena = hct_arena_create();
  event_queue q;
  event e;
  event_queue_init(&q, arena, 2);
  event_push(&q, event_at(5, 0, 1));
  event_push(&q, event_at(5, 1, 1));
  event_push(&q, event_at(9, 0, 1));
  CHECK(event_pop(&q, &e) && e.time_ps == 5 && event_die(&e) == 0);
  event_queue_clear(&q, 20);
  CHECK(!event_pop(&q, &e));
  event_push(&q, event_at(23, 1, 2));
  event_push(&q, event_at(20, 0, 3));
  CHECK(event_pop(&q, &e) && e.time_ps == 20 && event_engine(&e) == 3);
  CHECK(event_pop(&q, &e) && e.time_ps == 23 && event_die(&e) == 1);
  CHECK(!event_pop(&q, &e));
  hct_arena_destroy(arena);
}

int main(void) {
  test_events_come_in_order();
  test_twice_is_once();
  test_cleared_has_none();
  return 0;
}
