/* Walks one die's stream as the hardware's sequencer does: runs loops, keeps counters, yields every other instruction.
 * Shared by the verifier and both simulators, so that there is one meaning of a loop. */
#ifndef HCT_ISA_SEQUENCER_H
#define HCT_ISA_SEQUENCER_H

#include "ir/isa/image.h"

typedef struct hct_sequencer {
  const hct_stream *stream;
  size_t position;                      /* of the next instruction */
  unsigned depth;                       /* loops open */
  struct { size_t body; int64_t trips; } loops[HCT_MAX_LOOPS];
  hct_die_state state;
  int64_t outer_limit;                  /* iterations of an outermost loop at most; 0: as many as it has */
} hct_sequencer;

void hct_sequencer_init(hct_sequencer *sequencer, const hct_image *image, int64_t row, int64_t col);
/* The next instruction that is not LOOP or END (FENCE included), its address terms to be evaluated with `state` as it is now
 * (copy what is needed: it changes at the next call); NULL at HALT. */
const hct_instr *hct_sequencer_next(hct_sequencer *sequencer);

#endif
