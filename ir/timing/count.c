/* What a program counts, without running it: an instruction's counts, once for each time that its loops run it. Where no trip count inside a
 * loop depends on the loop's counter, all its iterations count the same, and are counted at once. */
#include "ir/timing/stats.h"

typedef struct trip_uses {
  unsigned read_levels; /* levels whose counter some trip count depends on */
  bool own;             /* some trip count depends on the die */
  size_t first;         /* die that runs the stream; SIZE_MAX: none has been seen */
} trip_uses;

typedef struct counting {
  hct_stats *stats;
  size_t die;
  const hct_stream *stream;
  const trip_uses *trips;
  hct_die_state state;
} counting;

static trip_uses trips_inspect(const hct_stream *stream) {
  trip_uses uses = {.first = SIZE_MAX};
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    for (int t = 0; instr->opcode == HCT_OP_LOOP && t < instr->values[0].term_count; t++) {
      const hct_term *term = &instr->values[0].terms[t];
      if (term->level < HCT_MAX_LOOPS) uses.read_levels |= 1u << term->level;
      if (term->kind != HCT_TERM_LOOP) uses.own = true;
    }
  }
  return uses;
}

/* Counts from `at` up to the END of a loop open at `depth` - 1, or the end of the stream; returns the position after that. */
static size_t count_from(counting *c, size_t at, unsigned depth, uint64_t times) {
  while (at < c->stream->count) {
    const hct_instr *instr = &c->stream->items[at++];
    if (instr->opcode == HCT_OP_HALT) return c->stream->count;
    if (instr->opcode == HCT_OP_END) return at;
    if (instr->opcode != HCT_OP_LOOP) {
      if (times && instr->engine != HCT_ENGINE_SEQ) hct_stats_count(c->stats, c->die, instr, times);
      continue;
    }
    HCT_BUG_ON(depth >= HCT_MAX_LOOPS, "loops nest too deep");
    int64_t trips = hct_addr_evaluate(&instr->values[0], &c->state);
    uint64_t runs = trips > 0 ? (uint64_t)trips : 0;
    bool each = runs > 1 && times && (c->trips->read_levels >> depth & 1);
    size_t after = at;
    for (c->state.counter[depth] = 0; c->state.counter[depth] < (each ? trips : 1); c->state.counter[depth]++) after = count_from(c, at, depth + 1, each ? times : times * runs);
    c->state.counter[depth] = 0;
    at = after;
  }
  return at;
}

static void die_copy(hct_stats *stats, size_t from, size_t to) {
  stats->dies[to] = stats->dies[from];
  for (size_t s = 0; s < stats->source_count; s++) *hct_stats_of(stats, to, s) = *hct_stats_of(stats, from, s);
}

void hct_stats_count_image(hct_stats *stats, const hct_image *image) {
  hct_arena *scratch = hct_arena_create();
  trip_uses *uses = HCT_NEW_ARRAY(scratch, trip_uses, image->stream_count + 1);
  for (size_t s = 0; s < image->stream_count; s++) uses[s] = trips_inspect(&image->streams[s]);
  hct_stats_clear(stats);
  for (size_t die = 0; die < stats->die_count; die++) {
    uint32_t stream = image->die_stream[die];
    counting c = {.stats = stats, .die = die, .stream = &image->streams[stream], .trips = &uses[stream], .state = {.row = (int64_t)die / image->cols, .col = (int64_t)die % image->cols, .rows = image->rows, .cols = image->cols}};
    if (uses[stream].first != SIZE_MAX && !uses[stream].own) {
      die_copy(stats, uses[stream].first, die);
      continue;
    }
    count_from(&c, 0, 0, 1);
    uses[stream].first = die;
  }
  hct_arena_destroy(scratch);
}
