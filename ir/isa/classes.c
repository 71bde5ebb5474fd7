#include "ir/isa/classes.h"

#include <string.h>

enum { NEIGHBOURS = 2 * HCT_RING_COUNT };

typedef struct search {
  const hct_image *image;
  size_t die_count;
  size_t (*neighbours)[NEIGHBOURS]; /* by die: next on each ring, then previous */
  bool used[HCT_RING_COUNT];
} search;

/* Whether a trip count differs from die to die; notes the rings that the stream uses. */
static bool stream_look(search *s, const hct_stream *stream) {
  bool differs = false;
  for (size_t i = 0; i < stream->count; i++) {
    const hct_instr *instr = &stream->items[i];
    if (instr->opcode == HCT_OP_SEND || instr->opcode == HCT_OP_RECV || instr->opcode == HCT_OP_RECVR) s->used[instr->ring] = true;
    for (int t = 0; instr->opcode == HCT_OP_LOOP && t < instr->values[0].term_count; t++) differs |= instr->values[0].terms[t].kind != HCT_TERM_LOOP;
  }
  return differs;
}

static void neighbours_find(search *s, hct_arena *arena) {
  int64_t rows = s->image->rows, cols = s->image->cols;
  s->neighbours = hct_arena_array(arena, s->die_count, sizeof *s->neighbours);
  for (size_t d = 0; d < s->die_count; d++)
    for (int ring = 0; ring < HCT_RING_COUNT; ring++) {
      int64_t row = (int64_t)d / cols, col = (int64_t)d % cols, position = hct_ring_position((hct_ring)ring, rows, cols, row, col);
      s->neighbours[d][ring] = (size_t)hct_ring_die((hct_ring)ring, rows, cols, row, col, position + 1);
      s->neighbours[d][HCT_RING_COUNT + ring] = (size_t)hct_ring_die((hct_ring)ring, rows, cols, row, col, position - 1);
    }
}

static bool alike(const search *s, const size_t *of, size_t a, size_t b) {
  if (of[a] != of[b]) return false;
  for (int n = 0; n < NEIGHBOURS; n++)
    if (s->used[n % HCT_RING_COUNT] && of[s->neighbours[a][n]] != of[s->neighbours[b][n]]) return false;
  return true;
}

/* Classes whose dies have neighbours of different classes fall apart; how many there are then. `first` and `of` are written anew. */
static size_t refine(const search *s, const size_t *of, size_t *out_of, size_t *first) {
  size_t count = 0;
  for (size_t d = 0; d < s->die_count; d++) {
    size_t c = 0;
    while (c < count && !alike(s, of, first[c], d)) c++;
    if (c == count) first[count++] = d;
    out_of[d] = c;
  }
  return count;
}

hct_die_classes hct_die_classes_find(hct_arena *arena, const hct_image *image) {
  search s = {.image = image, .die_count = (size_t)(image->rows * image->cols)};
  size_t *of = HCT_NEW_ARRAY(arena, size_t, s.die_count), *finer = HCT_NEW_ARRAY(arena, size_t, s.die_count), *first = HCT_NEW_ARRAY(arena, size_t, s.die_count);
  bool *differs = HCT_NEW_ARRAY(arena, bool, image->stream_count + 1);
  for (size_t k = 0; k < image->stream_count; k++) differs[k] = stream_look(&s, &image->streams[k]);
  for (size_t d = 0; d < s.die_count; d++) of[d] = differs[image->die_stream[d]] ? image->stream_count + d : image->die_stream[d];
  neighbours_find(&s, arena);
  size_t count = 0;
  for (size_t before = SIZE_MAX; count != before;) {
    before = count;
    count = refine(&s, of, finer, first);
    size_t *swapped = of;
    of = finer, finer = swapped;
  }
  hct_die_classes classes = {.items = HCT_NEW_ARRAY(arena, hct_die_class, count), .count = count};
  for (size_t d = 0; d < s.die_count; d++) classes.items[of[d]].size++;
  for (size_t c = 0; c < count; c++) {
    classes.items[c].first = first[c];
    for (int ring = 0; ring < HCT_RING_COUNT; ring++) {
      classes.items[c].next[ring] = of[s.neighbours[first[c]][ring]];
      classes.items[c].previous[ring] = of[s.neighbours[first[c]][HCT_RING_COUNT + ring]];
    }
  }
  return classes;
}
