/* Walks one die's stream as the hardware's sequencer does: runs loops, keeps counters, yields every other instruction.
 * Shared by the verifier and the machine, so that there is one meaning of a loop. */
#ifndef HCT_ISA_SEQUENCER_H
#define HCT_ISA_SEQUENCER_H

#include "ir/isa/image.h"

typedef struct hct_sequencer {
  const hct_stream *stream;
  size_t position;                      /* of the next instruction */
  unsigned depth;                       /* loops open */
  unsigned again;                       /* bit L: the last call began another iteration of the loop of level L */
  /* Since whoever wants to know set them to HCT_MAX_LOOPS and `position`: the lowest level of a loop that began another iteration, or ended; the
   * lowest of one that ended; and how far the stream was read. */
  unsigned lowest_closed, lowest_ended;
  size_t furthest;
  struct { size_t body; int64_t trips; } loops[HCT_MAX_LOOPS];
  hct_die_state state;
  const uint8_t *limits;                /* by instruction: how many iterations a LOOP runs at most; 0: as many as it has; NULL: all do */
} hct_sequencer;

void hct_sequencer_init(hct_sequencer *sequencer, const hct_image *image, int64_t row, int64_t col);
/* The next instruction that is not LOOP or END (FENCE included), its address terms to be evaluated with `state` as it is now
 * (copy what is needed: it changes at the next call); NULL at HALT. */
const hct_instr *hct_sequencer_next(hct_sequencer *sequencer);

/* An instruction as the sequencer handed it out: addresses and values are those of that moment. */
typedef struct hct_issued {
  const hct_instr *instr;
  int64_t addr[HCT_MAX_VIEWS];   /* bytes */
  int64_t value[HCT_MAX_VALUES];
} hct_issued;
void hct_issue(const hct_instr *instr, const hct_die_state *state, hct_issued *out_issued);

#endif
