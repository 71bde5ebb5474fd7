/* Timing rules are equations: each is held against the equation or a printed figure of another simulator. */
#include <stdlib.h>

#include "ir/timing/noc.h"
#include "ir/timing/rules.h"
#include "test/unit/check.h"

/* SCALE-Sim v2, output-stationary, GEMM M x N x K: it prints the formula less one. */
static void test_mxu_alone_is_scale_sim_plus_one(void) {
  CHECK(hct_mxu_cycles_alone(64, 64, 64, 8, 8) == 4991 + 1);
  CHECK(hct_mxu_cycles_alone(64, 64, 64, 32, 32) == 503 + 1);
  CHECK(hct_mxu_cycles_alone(128, 256, 96, 8, 8) == 56319 + 1);
  CHECK(hct_mxu_cycles_alone(128, 256, 96, 32, 32) == 5055 + 1);
  CHECK(hct_mxu_cycles_alone(100, 70, 50, 8, 8) == 7487 + 1);
  CHECK(hct_mxu_cycles_alone(100, 70, 50, 32, 32) == 1343 + 1);
}

static hct_package package(void) {
  hct_package p;
  hct_diags *diags = hct_diags_create(stderr);
  CHECK(hct_package_find(diags, "hecaton-4x4", &p) == HCT_OK);
  hct_diags_destroy(diags);
  return p;
}

static void test_mxu_pipelines_fill_and_drain(void) {
  hct_package p = package();
  /* 8 arrays of 32 x 32 share 256 columns: one pass of K cycles, and one fill and drain */
  CHECK(hct_mxu_cycles(&p, 32, 256, 100, false) == 100 + 62);
  CHECK(hct_mxu_cycles(&p, 33, 256, 100, false) == 200 + 62);
  CHECK(hct_mxu_cycles(&p, 32, 257, 100, false) == 200 + 62);
  CHECK(hct_mxu_cycles(&p, 32, 256, 100, true) == 400 + 62); /* f32 at a quarter of the rate */
}

static void test_link_is_latency_plus_bytes_over_bandwidth(void) {
  hct_package p = package();
  hct_arena *arena = hct_arena_create();
  hct_noc noc;
  hct_noc_init(&noc, arena, &p, 0);
  CHECK(hct_noc_send(&noc, 0, 1, 64000, 0, 1) == 1000000 + 8000);        /* 64 kB at 64 GB/s, one stop */
  CHECK(hct_noc_send(&noc, 4, 12, 64000, 0, 1) == 1000000 + 8000 + 4000); /* one die passed */
  CHECK(hct_noc_send(&noc, 0, 1, 64000, 0, 1) == 2000000 + 8000);        /* waits for the first */
  CHECK(hct_noc_send(&noc, 1, 0, 64000, 0, 1) == 1000000 + 8000);        /* the other direction is free */
  CHECK(noc.link_bytes == 64000 * 5);
  hct_arena_destroy(arena);
}

/* One access at a time, looked at when it says. */
static int64_t dram_done(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now) {
  int64_t done = now;
  for (int64_t at = hct_noc_dram_start(noc, die, bytes, load, now, 1); at >= 0; at = hct_noc_dram_look(noc, die, load, at, 1)) done = at;
  return done;
}

static void test_dram_streams_at_peak_times_efficiency(void) {
  hct_package p = package();
  hct_arena *arena = hct_arena_create();
  hct_noc noc;
  hct_noc_init(&noc, arena, &p, 0);
  int64_t last = 0, bytes = 47104, count = 100; /* 1 us each at 51.2 GB/s x 0.92 */
  for (int64_t i = 0; i < count; i++) last = dram_done(&noc, 0, bytes, true, 0);
  CHECK(last == count * 1000000 + 60000);
  hct_arena_destroy(arena);
}

/* Die 5 = (1,1), whose channel is at die 1 = (0,1): the link between them, down for loads and up for stores, is taken when there is something to carry. */
static void test_dram_takes_links_in_its_turn(void) {
  hct_package p = package();
  p.link_arbitration = HCT_ARBITRATION_FIRST_COME;
  hct_arena *arena = hct_arena_create();
  hct_noc noc;
  hct_noc_init(&noc, arena, &p, 0);
  int64_t bytes = 47104, wire = 736000 /* at 64 GB/s */;
  CHECK(hct_noc_dram_start(&noc, 1, bytes, true, 0, 1) == 1060000);                       /* at home: the channel is all */
  CHECK(hct_noc_dram_start(&noc, 5, bytes, true, 0, 1) == 1060000);                       /* waits for it */
  CHECK(hct_noc_send(&noc, 1, 5, 64000, 0, 1) == 1000000 + 8000);                         /* and not yet for the link */
  CHECK(hct_noc_dram_look(&noc, 5, true, 1060000, 1) == 2060000);                         /* the channel is slower than the link */
  CHECK(hct_noc_send(&noc, 1, 5, 64000, 1060000, 1) == 1060000 + wire + 1000000 + 8000); /* now it waits */
  CHECK(noc.dram_transit_bytes == (uint64_t)bytes && hct_noc_dram_look(&noc, 5, true, 2060000, 1) == -1);
  hct_noc_init(&noc, arena, &p, 0);
  CHECK(hct_noc_dram_start(&noc, 5, bytes, false, 0, 1) == 8000); /* a store: the link first */
  CHECK(hct_noc_dram_look(&noc, 5, false, 8000, 1) == 8000 + 60000 + 1000000);
  hct_arena_destroy(arena);
}

/* The same die and link where messages between dies go first: they never wait for memory traffic, which has what they leave of the link. */
static void test_collectives_go_first(void) {
  hct_package p = package();
  p.link_arbitration = HCT_ARBITRATION_COLLECTIVES_FIRST;
  hct_arena *arena = hct_arena_create();
  hct_noc noc;
  hct_noc_init(&noc, arena, &p, 0);
  int64_t bytes = 47104, wire = 736000, latency = 8000;
  CHECK(dram_done(&noc, 5, bytes, true, 0) == 1060000); /* nobody else: as before */
  hct_noc_init(&noc, arena, &p, 0);
  CHECK(hct_noc_dram_start(&noc, 5, bytes, true, 0, 1) == 60000);
  CHECK(hct_noc_dram_look(&noc, 5, true, 60000, 1) == 1060000 - latency);            /* as the channel is slower, no sooner */
  CHECK(hct_noc_send(&noc, 1, 5, 64000, 100000, 1) == 100000 + 1000000 + latency);   /* at once */
  int64_t through = 60000 + wire + 1000000;                                            /* the load was stopped for as long */
  CHECK(hct_noc_dram_look(&noc, 5, true, 1060000 - latency, 1) == through);
  CHECK(hct_noc_send(&noc, 1, 5, 6400, through - 1000, 1) == through - 1000 + 100000 + latency);
  CHECK(hct_noc_dram_look(&noc, 5, true, through, 1) == through + 100000);            /* stopped again with 1 ns to go */
  CHECK(hct_noc_dram_look(&noc, 5, true, through + 100000, 1) == through + 100000 + latency);
  CHECK(hct_noc_dram_look(&noc, 5, true, through + 100000 + latency, 1) == -1);
  CHECK(noc.link_busy_ps[1 * 4 + 2] == wire + 1100000 && through + 100000 - 60000 == noc.link_busy_ps[1 * 4 + 2]); /* the link did nothing twice */
  /* A store's channel is asked for when its head is there. */
  hct_noc_init(&noc, arena, &p, 0);
  CHECK(hct_noc_send(&noc, 5, 1, 64000, 0, 1) == 1000000 + latency);
  CHECK(hct_noc_dram_start(&noc, 5, bytes, false, 0, 1) == 1000000);
  CHECK(hct_noc_dram_look(&noc, 5, false, 1000000, 1) == 1000000 + latency);
  CHECK(hct_noc_dram_look(&noc, 5, false, 1000000 + latency, 1) == 1000000 + 60000 + 1000000);
  CHECK(hct_noc_dram_look(&noc, 5, false, 1000000 + 60000 + 1000000, 1) == 1000000 + latency + 60000 + 1000000);
  CHECK(noc.channel_busy_ps[1] == 1000000);
  /* On 8 x 8 dies, 10 = (1,2) and 18 = (2,2) store over the link from (1,2) to (0,2): the second when the first is through. */
  p.rows = p.cols = 8, p.dram_channels = 32;
  hct_noc_init(&noc, arena, &p, 0);
  CHECK(hct_noc_dram_start(&noc, 10, bytes, false, 0, 1) == latency);
  CHECK(hct_noc_dram_start(&noc, 18, bytes, false, 0, 1) == wire);
  CHECK(hct_noc_dram_look(&noc, 18, false, wire, 1) == wire + latency + 4000);
  hct_arena_destroy(arena);
}

static void put_word(void *user, uint64_t word) { *(uint64_t *)user = (*(uint64_t *)user ^ word) * UINT64_C(0x100000001b3) + 1; }
static uint64_t state_of(hct_noc *noc, int64_t now) {
  uint64_t hash = 0;
  hct_noc_state(noc, now, put_word, &hash);
  return hash;
}

/* Whose access the channel serves, and in which order two accesses have a link, is part of the state; when is not. */
static void test_state_tells_accesses_apart(void) {
  hct_package p = package();
  p.rows = p.cols = 8, p.dram_channels = 32, p.link_arbitration = HCT_ARBITRATION_COLLECTIVES_FIRST;
  hct_arena *arena = hct_arena_create();
  hct_noc a, b;
  int64_t bytes = 47104, later = 123456;
  hct_noc_init(&a, arena, &p, 0), hct_noc_init(&b, arena, &p, 0);
  CHECK(state_of(&a, 0) == state_of(&b, 0));
  hct_noc_dram_start(&a, 10, bytes, true, 0, 1), hct_noc_dram_start(&b, 18, bytes, true, 0, 1);
  CHECK(state_of(&a, 0) != state_of(&b, 0));
  hct_noc_init(&a, arena, &p, 0), hct_noc_init(&b, arena, &p, 0);
  hct_noc_dram_start(&a, 10, bytes, false, 0, 1), hct_noc_dram_start(&a, 18, bytes, false, 0, 1);
  hct_noc_dram_start(&b, 18, bytes, false, 0, 1), hct_noc_dram_start(&b, 10, bytes, false, 0, 1);
  for (int64_t link = 0; link < 8 * 8 * 4; link++) CHECK(a.links[link].memory_asked_ps == b.links[link].memory_asked_ps);
  CHECK(state_of(&a, 0) != state_of(&b, 0));
  uint64_t before = state_of(&a, 5000);
  hct_noc_shift(&a, later);
  CHECK(state_of(&a, 5000 + later) == before);
  hct_arena_destroy(arena);
}

typedef struct word_list { uint64_t items[4096]; size_t count, read; } word_list;
static void word_push(void *user, uint64_t word) {
  word_list *list = user;
  list->items[list->count++] = word;
}
static uint64_t word_next(void *user) {
  word_list *list = user;
  return list->items[list->read++];
}

/* A state read back at another time goes on as the one that was written: a load and a store under way, of which messages take the links. */
static void test_state_is_read_back(void) {
  hct_package p = package();
  for (int first_come = 0; first_come < 2; first_come++) {
    p.link_arbitration = first_come ? HCT_ARBITRATION_FIRST_COME : HCT_ARBITRATION_COLLECTIVES_FIRST;
    hct_arena *arena = hct_arena_create();
    hct_noc a, b;
    word_list words = {.count = 0};
    int64_t bytes = 47104, later = 5000000, now = 60000;
    hct_noc_init(&a, arena, &p, 0), hct_noc_init(&b, arena, &p, 0);
    CHECK(hct_noc_dram_start(&a, 5, bytes, true, 0, 1) == now);
    int64_t head = hct_noc_dram_start(&a, 6, bytes, false, 0, 1), store = hct_noc_dram_look(&a, 6, false, head, 1);
    int64_t load = hct_noc_dram_look(&a, 5, true, now, 1);
    CHECK(head < now && store > now && load > now);
    hct_noc_send(&a, 1, 5, 6400, now, 1), hct_noc_send(&a, 6, 2, 6400, now, 1);
    hct_noc_dram_start(&b, 9, bytes, true, 0, 1), hct_noc_send(&b, 0, 1, bytes, 0, 1); /* none of that is left */
    hct_noc_state(&a, now, word_push, &words);
    hct_noc_restore(&b, now + later, word_next, &words);
    CHECK(words.read == words.count && state_of(&a, now) == state_of(&b, now + later));
    for (int looks = 0; looks < 16 && (load >= 0 || store >= 0); looks++) {
      bool is_load = store < 0 || (load >= 0 && load <= store);
      int64_t *at = is_load ? &load : &store, next = hct_noc_dram_look(&a, is_load ? 5 : 6, is_load, *at, 1);
      CHECK(hct_noc_dram_look(&b, is_load ? 5 : 6, is_load, *at + later, 1) == (next < 0 ? next : next + later));
      *at = next;
    }
    CHECK(load == -1 && store == -1);
    hct_arena_destroy(arena);
  }
}

static void test_channels_attach_clockwise(void) {
  hct_package p = package();
  const hct_channel_site wanted[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 3}, {1, 3}, {2, 3}, {3, 3}, {3, 3}, {3, 2}, {3, 1}, {3, 0}, {3, 0}, {2, 0}, {1, 0}, {0, 0}};
  for (int64_t c = 0; c < 16; c++) {
    hct_channel_site site = hct_package_channel_site(&p, c);
    CHECK(site.row == wanted[c].row && site.col == wanted[c].col);
  }
  CHECK(hct_package_home_channel(&p, 1, 1) == 1); /* (0,1) and (1,0) are as near: the lower row */
  CHECK(hct_package_home_channel(&p, 2, 2) == 6);  /* (2,3) before (3,2) */
}

/* Dies whose routes to memory, XY as the simulator has them, go over a link: most over all links. */
static int64_t most_on_a_link(const hct_package *p, const int64_t *channels) {
  int64_t loads[1024 * 4] = {0}, most = 0;
  for (int64_t d = 0; d < p->rows * p->cols; d++) {
    hct_channel_site site = hct_package_channel_site(p, channels[d]);
    for (int64_t row = d / p->cols, col = d % p->cols; row != site.row || col != site.col;) {
      int turn = col < site.col ? 0 : col > site.col ? 1 : row < site.row ? 2 : 3;
      if (++loads[(row * p->cols + col) * 4 + turn] > most) most = loads[(row * p->cols + col) * 4 + turn];
      col += turn == 0 ? 1 : turn == 1 ? -1 : 0, row += turn == 2 ? 1 : turn == 3 ? -1 : 0;
    }
  }
  return most;
}

static int64_t hops_to(const hct_package *p, int64_t die, int64_t channel) {
  hct_channel_site site = hct_package_channel_site(p, channel);
  return llabs(site.row - die / p->cols) + llabs(site.col - die % p->cols);
}

/* Where those of a channel do not fit, others take them; none holds more than it can, and routes to memory do not meet on a link. */
static void test_full_channels_pass_dies_on(void) {
  static const struct { int64_t rows, cols, holds; } cases[] = {{8, 8, 2}, {8, 8, 3}, {16, 16, 4}, {16, 16, 6}, {32, 32, 8}, {12, 8, 3}, {8, 16, 3}};
  hct_arena *arena = hct_arena_create();
  for (size_t i = 0; i < HCT_COUNT(cases); i++) {
    hct_package p = package();
    p.rows = cases[i].rows, p.cols = cases[i].cols, p.dram_channels = 2 * (p.rows + p.cols);
    int64_t channels[1024], served[128] = {0}, moved = 0;
    CHECK(hct_package_channels(arena, &p, p.dram_channel_capacity_bytes / cases[i].holds, channels));
    for (int64_t d = 0; d < p.rows * p.cols; d++) {
      CHECK(++served[channels[d]] <= cases[i].holds);
      moved += channels[d] != hct_package_home_channel(&p, d / p.cols, d % p.cols);
    }
    CHECK(moved > 0 && most_on_a_link(&p, channels) <= cases[i].holds);
  }
  hct_package p = package();
  p.rows = p.cols = 8, p.dram_channels = 32;
  int64_t channels[64];
  CHECK(hct_package_channels(arena, &p, p.dram_channel_capacity_bytes / 4, channels));
  for (int64_t d = 0; d < 64; d++) CHECK(channels[d] == hct_package_home_channel(&p, d / 8, d % 8));
  CHECK(!hct_package_channels(arena, &p, p.dram_channel_capacity_bytes / 2 + 1, channels));
  hct_arena_destroy(arena);
}

/* Least hops over all ways to give the dies from `die` on a channel each at the ends of their rows and columns, of which each holds one. */
static int64_t least_hops(const hct_package *p, int64_t die, uint64_t taken) {
  int64_t least = INT64_MAX / 2;
  if (die == p->rows * p->cols) return 0;
  for (int64_t channel = 0; channel < p->dram_channels; channel++) {
    bool top_or_bottom = channel < p->cols || (channel >= p->cols + p->rows && channel < 2 * p->cols + p->rows);
    hct_channel_site site = hct_package_channel_site(p, channel);
    if ((taken >> channel & 1) || (top_or_bottom ? site.col != die % p->cols : site.row != die / p->cols)) continue;
    int64_t rest = hops_to(p, die, channel) + least_hops(p, die + 1, taken | 1ull << channel);
    if (rest < least) least = rest;
  }
  return least;
}

static void test_full_channels_pass_dies_on_not_far(void) {
  static const struct { int64_t rows, cols; } cases[] = {{3, 3}, {2, 5}, {4, 3}};
  hct_arena *arena = hct_arena_create();
  for (size_t i = 0; i < HCT_COUNT(cases); i++) {
    hct_package p = package();
    p.rows = cases[i].rows, p.cols = cases[i].cols, p.dram_channels = 2 * (p.rows + p.cols);
    int64_t channels[16], hops = 0;
    CHECK(hct_package_channels(arena, &p, p.dram_channel_capacity_bytes, channels));
    for (int64_t d = 0; d < p.rows * p.cols; d++) hops += hops_to(&p, d, channels[d]);
    CHECK(hops == least_hops(&p, 0, 0));
  }
  hct_arena_destroy(arena);
}

int main(void) {
  test_mxu_alone_is_scale_sim_plus_one();
  test_mxu_pipelines_fill_and_drain();
  test_link_is_latency_plus_bytes_over_bandwidth();
  test_dram_streams_at_peak_times_efficiency();
  test_dram_takes_links_in_its_turn();
  test_collectives_go_first();
  test_state_tells_accesses_apart();
  test_state_is_read_back();
  test_channels_attach_clockwise();
  test_full_channels_pass_dies_on();
  test_full_channels_pass_dies_on_not_far();
  return 0;
}
