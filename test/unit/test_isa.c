/* Instructions survive encoding and text exactly; damaged words are refused; rings and layouts are what their pages say. */
#include <string.h>

#include "ir/isa/image.h"
#include "test/unit/check.h"

static uint64_t state = 1;
static uint64_t random_below(uint64_t bound) {
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (state >> 33) % bound;
}

static hct_addr random_addr(hct_arena *arena) {
  hct_addr addr = {.base = (int64_t)random_below(1 << 20) - 1000};
  for (uint64_t left = random_below(HCT_MAX_TERMS + 1); left; left--) {
    hct_term term, *t = &term;
    *t = (hct_term){.kind = (uint8_t)(1 + random_below(3)), .level = HCT_NO_LEVEL, .sign = 1, .stride = (int64_t)random_below(1 << 16) - 9};
    if (t->kind != HCT_TERM_INDEX) t->sign = random_below(2) ? 1 : -1, t->offset = (int32_t)random_below(50) - 25, t->level = (uint8_t)random_below(HCT_MAX_LOOPS);
    if (t->kind == HCT_TERM_LOOP) t->size = (int32_t)random_below(9);
    if (t->kind != HCT_TERM_LOOP) t->ring = (uint8_t)random_below(HCT_RING_COUNT);
    hct_addr_add(arena, &addr, term);
  }
  return addr;
}

static hct_instr random_instr(hct_arena *arena) {
  const hct_opcode_info *info = hct_opcode_at(random_below(hct_opcode_count()));
  hct_instr instr = hct_instr_make(arena, info->code);
  instr.source = (uint32_t)random_below(99);
  if (info->code == HCT_OP_SYNC) instr.engine = (uint8_t)(1 + random_below(HCT_ENGINE_COUNT - 1));
  bool receive = info->code == HCT_OP_RECV || info->code == HCT_OP_RECVR;
  if (info->code == HCT_OP_SEND || receive) instr.ring = (uint8_t)random_below(2), instr.engine = (uint8_t)((receive ? HCT_ENGINE_RECV0 : HCT_ENGINE_SEND0) + 2 * instr.ring);
  if (info->code == HCT_OP_LOOP || info->code == HCT_OP_END) instr.level = (uint8_t)random_below(HCT_MAX_LOOPS);
  while (strcmp(info->function_table, "NONE") && !hct_function_lookup(info->function_table, instr.fn)) instr.fn = (uint8_t)random_below(20);
  for (int d = 0; d < info->dims; d++) instr.shape[d] = (int64_t)random_below(100);
  for (int v = 0; v < info->view_count; v++) {
    instr.views[v] = (hct_view){.dtype = info->views[v].space != HCT_SPACE_NUMBER && random_below(2) ? HCT_F32 : HCT_I64, .addr = random_addr(arena)};
    for (int d = 0; d < info->dims; d++) instr.views[v].stride[d] = (int64_t)random_below(1000) - 3;
    if (info->views[v].access == HCT_ACCESS_IF_ACCUMULATE) instr.accumulate = random_below(2) != 0;
  }
  for (int v = 0; v < info->value_count; v++) instr.values[v] = random_addr(arena);
  if (instr.engine != HCT_ENGINE_SEQ) {
    instr.wait_count = (uint8_t)random_below(5), instr.signal_count = (uint8_t)random_below(5);
    for (int i = 0; i < instr.wait_count; i++) instr.waits[i] = (hct_sync){(uint8_t)random_below(HCT_SEMAPHORES), (uint8_t)(1 + random_below(255))};
    for (int i = 0; i < instr.signal_count; i++) instr.signals[i] = (hct_sync){(uint8_t)random_below(HCT_SEMAPHORES), (uint8_t)(1 + random_below(255))};
  }
  return instr;
}

static bool same_words(const hct_instr *a, const hct_instr *b) {
  uint64_t x[HCT_MAX_INSTR_WORDS], y[HCT_MAX_INSTR_WORDS];
  size_t n = hct_instr_encode(a, x, HCT_MAX_INSTR_WORDS), m = hct_instr_encode(b, y, HCT_MAX_INSTR_WORDS);
  return n && n == m && !memcmp(x, y, n * sizeof *x);
}

static void test_round_trips(hct_diags *diags) {
  for (int i = 0; i < 20000; i++) {
    hct_arena *arena = hct_arena_create();
    hct_instr instr = random_instr(arena), decoded, parsed, copy = hct_instr_copy(arena, &instr);
    uint64_t words[HCT_MAX_INSTR_WORDS];
    size_t count = hct_instr_encode(&instr, words, HCT_MAX_INSTR_WORDS), position = 0;
    hct_text text = {0};
    CHECK(count && same_words(&instr, &copy));
    CHECK(hct_instr_decode(diags, arena, (hct_loc){0}, words, count, &position, &decoded) == HCT_OK && position == count && same_words(&instr, &decoded));
    hct_instr_print(&instr, &text);
    CHECK(hct_instr_parse(diags, arena, (hct_loc){0}, text.data, &parsed) == HCT_OK && same_words(&instr, &parsed));
    hct_text_fini(&text);
    hct_arena_destroy(arena);
  }
  CHECK(hct_diags_error_count(diags) == 0);
}

/* A flipped bit gives another instruction, or is refused; a cut one is always refused. */
static void test_damage(hct_diags *diags) {
  for (int i = 0; i < 5000; i++) {
    hct_arena *arena = hct_arena_create();
    hct_instr instr = random_instr(arena), decoded;
    uint64_t words[HCT_MAX_INSTR_WORDS];
    size_t count = hct_instr_encode(&instr, words, HCT_MAX_INSTR_WORDS), position = 0, errors = hct_diags_error_count(diags);
    CHECK(hct_instr_decode(diags, arena, (hct_loc){0}, words, random_below(count), &position, &decoded) == HCT_REFUSED && position == 0);
    CHECK(hct_diags_error_count(diags) == errors + 1);
    words[random_below(count)] ^= UINT64_C(1) << random_below(64);
    if (hct_instr_decode(diags, arena, (hct_loc){0}, words, count, &position, &decoded) == HCT_OK) CHECK(!same_words(&instr, &decoded));
    hct_arena_destroy(arena);
  }
}

/* Folded ring: every hop passes at most one die, and the ring visits all. */
static void test_rings(void) {
  const int64_t six[] = {0, 2, 4, 5, 3, 1};
  for (int64_t p = 0; p < 6; p++) CHECK(hct_ring_index_at(6, p) == six[p]);
  for (int64_t size = 1; size < 40; size++)
    for (int64_t p = 0; p < size; p++) {
      int64_t hop = hct_ring_index_at(size, p) - hct_ring_index_at(size, (p + 1) % size);
      CHECK(hop >= -2 && hop <= 2 && hct_ring_position_of(size, hct_ring_index_at(size, p)) == p);
    }
}

/* Routes a message as the machine does, columns first, and counts it on the directed links it crosses. */
static int route(int *links, int64_t cols, int64_t from, int64_t to) {
  int64_t row = from / cols, col = from % cols;
  int hops = 0;
  for (; col != to % cols; hops++) {
    bool east = col < to % cols;
    links[(row * cols + col) * 4 + east]++;
    col += east ? 1 : -1;
  }
  for (; row != to / cols; hops++) {
    bool south = row < to / cols;
    links[(row * cols + col) * 4 + 2 + south]++;
    row += south ? 1 : -1;
  }
  return hops;
}

/* Flat rings visit every die once; both directions at once, no directed link carries two edges, and at most one hop has two links. On 3 x 3
 * dies no such cycle exists: there two edges share links. */
static void test_flat_rings(void) {
  for (int64_t rows = 2; rows < 12; rows++)
    for (int64_t cols = 2; cols < 12; cols++) {
      int links[12 * 12 * 4] = {0}, most = 0, long_hops = 0;
      for (int ring = HCT_RING_FLAT0; ring <= HCT_RING_FLAT1; ring++) {
        bool seen[12 * 12] = {false};
        for (int64_t p = 0; p < rows * cols; p++) {
          int64_t die = hct_ring_die((hct_ring)ring, rows, cols, 0, 0, p), next = hct_ring_die((hct_ring)ring, rows, cols, 0, 0, p + 1);
          CHECK(die >= 0 && die < rows * cols && !seen[die]);
          seen[die] = true;
          CHECK(hct_ring_position((hct_ring)ring, rows, cols, die / cols, die % cols) == p);
          long_hops += route(links, cols, die, next) != 1;
        }
      }
      for (size_t i = 0; i < HCT_COUNT(links); i++)
        if (links[i] > most) most = links[i];
      bool odd = rows % 2 && cols % 2;
      CHECK(long_hops == (odd ? 2 : 0)); /* one in each direction */
      CHECK(most == (rows == 3 && cols == 3 ? 2 : 1));
    }
}

typedef struct cover { int seen[64]; int64_t next; } cover;
static void cover_visit(void *user, int64_t tile, int64_t global) {
  cover *c = user;
  CHECK(tile == c->next++);
  c->seen[global]++;
}

/* Tiles of all dies and micro-batches cover each element once, and so do those of the pieces of a tensor. */
static void check_prints(const hct_layout *layout, const char *wanted) {
  hct_text text = {0};
  hct_layout_print(layout, &text);
  CHECK(!strcmp(text.data, wanted));
  hct_text_fini(&text);
}

static void test_layouts_cover(void) {
  hct_layout layout;
  CHECK(hct_layout_parse("[5@tr,3,2@c*2]", &layout) && hct_layout_elements(&layout) == 60);
  cover c = {0};
  for (int64_t die = 0; die < 6; die++)
    for (int64_t start = 0; start < 5; start += 3) {
      hct_place place = {.rows = 2, .cols = 3, .row = die / 3, .col = die % 3, .micro_batch_start = start, .micro_batch_size = 3};
      c.next = 0;
      hct_layout_for_each(&layout, &place, cover_visit, &c);
      CHECK(c.next == hct_layout_tile_elements(&layout, &place));
    }
  for (int i = 0; i < 60; i++) CHECK(c.seen[i] == 1);
  c = (cover){0};
  const char *const pieces[] = {"[5@c*3#0*2,2@r]", "[5@c*3#1*2,2@r]", "[5@c*3#2*2,2@r]"}; /* of one tensor: each is a third of every tile */
  for (int64_t at = 0; at < 18; at++) {
    hct_place place = {.rows = 2, .cols = 3, .row = at / 3 % 2, .col = at % 3};
    CHECK(hct_layout_parse(pieces[at / 6], &layout) && hct_layout_elements(&layout) == 60);
    check_prints(&layout, pieces[at / 6]);
    c.next = 0;
    hct_layout_for_each(&layout, &place, cover_visit, &c);
    CHECK(c.next == hct_layout_tile_elements(&layout, &place) && c.next == (place.col < 2 ? 4 : 2));
  }
  for (int i = 0; i < 60; i++) CHECK(c.seen[i] == 1);
  c = (cover){0};
  const char *const runs[] = {"[2@r,30#0+14@c]", "[2@r,30#14+11@c]", "[2@r,30#25+5@c]"}; /* each is split for itself: in 5, 5 and 4; 4, 4 and 3; 2, 2 and 1 */
  for (int64_t at = 0; at < 18; at++) {
    static const int64_t elements[3][3] = {{5, 5, 4}, {4, 4, 3}, {2, 2, 1}};
    hct_place place = {.rows = 2, .cols = 3, .row = at / 3 % 2, .col = at % 3};
    CHECK(hct_layout_parse(runs[at / 6], &layout) && hct_layout_elements(&layout) == 60 && hct_layout_dim_size(&layout, 1) == 30);
    check_prints(&layout, runs[at / 6]);
    c.next = 0;
    hct_layout_for_each(&layout, &place, cover_visit, &c);
    CHECK(c.next == hct_layout_tile_elements(&layout, &place) && c.next == elements[at / 6][place.col]);
  }
  for (int i = 0; i < 60; i++) CHECK(c.seen[i] == 1);
  const char *const bad[] = {"", "[", "[4", "[4]x", "[4@q]", "[4@rr]", "[4@rt]", "[4@r,2@r]", "[4] sum(", "[4@r] sum(r)", "[99999999999999999999]", "[4#4]", "[4#]", "[4#1@r]", "[4@r#1]", "[4#1+@r]", "[4#1+0]", "[4#2+3@r]", "[4#5+1]"};
  for (size_t i = 0; i < HCT_COUNT(bad); i++) CHECK(!hct_layout_parse(bad[i], &layout));
}

int main(void) {
  hct_diags *diags = hct_diags_create(NULL);
  test_round_trips(diags);
  test_damage(diags);
  test_rings();
  test_flat_rings();
  test_layouts_cover();
  hct_diags_destroy(diags);
  return 0;
}
