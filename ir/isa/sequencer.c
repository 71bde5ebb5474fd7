#include "ir/isa/sequencer.h"

void hct_sequencer_init(hct_sequencer *sequencer, const hct_image *image, int64_t row, int64_t col) {
  *sequencer = (hct_sequencer){
      .stream = &image->streams[image->die_stream[row * image->cols + col]],
      .state = {.row = row, .col = col, .rows = image->rows, .cols = image->cols},
  };
}

/* Position after the END that closes the loop whose body starts at `body`. */
static size_t loop_skip(const hct_stream *stream, size_t body) {
  unsigned depth = 1;
  while (body < stream->count && depth) {
    uint8_t opcode = stream->items[body++].opcode;
    if (opcode == HCT_OP_LOOP) depth++;
    if (opcode == HCT_OP_END) depth--;
  }
  return body;
}

static void loop_open(hct_sequencer *s, const hct_instr *instr) {
  int64_t trips = hct_addr_evaluate(&instr->values[0], &s->state);
  if (trips <= 0 || s->depth == HCT_MAX_LOOPS) {
    s->position = loop_skip(s->stream, s->position);
    return;
  }
  s->loops[s->depth].body = s->position;
  int64_t limit = s->limits ? s->limits[s->position - 1] : 0;
  s->loops[s->depth].trips = limit && trips > limit ? limit : trips;
  s->state.counter[s->depth++] = 0;
}

static void loop_close(hct_sequencer *s) {
  if (s->depth == 0) return;
  unsigned level = s->depth - 1;
  if (level < s->lowest_closed) s->lowest_closed = level;
  if (++s->state.counter[level] < s->loops[level].trips) {
    s->position = s->loops[level].body;
    s->again |= 1u << level;
  } else {
    s->state.counter[level] = 0;
    s->depth--;
    if (level < s->lowest_ended) s->lowest_ended = level;
  }
}

const hct_instr *hct_sequencer_next(hct_sequencer *sequencer) {
  sequencer->again = 0;
  while (sequencer->position < sequencer->stream->count) {
    const hct_instr *instr = &sequencer->stream->items[sequencer->position];
    if (sequencer->position >= sequencer->furthest) sequencer->furthest = sequencer->position + 1;
    if (instr->opcode == HCT_OP_HALT) return NULL;
    sequencer->position++;
    if (instr->opcode == HCT_OP_LOOP) loop_open(sequencer, instr);
    else if (instr->opcode == HCT_OP_END) loop_close(sequencer);
    else return instr;
  }
  return NULL;
}

void hct_issue(const hct_instr *instr, const hct_die_state *state, hct_issued *out_issued) {
  const hct_opcode_info *info = hct_opcode_lookup(instr->opcode);
  out_issued->instr = instr;
  for (int v = 0; v < info->view_count; v++) out_issued->addr[v] = hct_addr_evaluate(&instr->views[v].addr, state);
  for (int v = 0; v < info->value_count; v++) out_issued->value[v] = hct_addr_evaluate(&instr->values[v], state);
}
