/* Effects of instructions, in the order in which the event loop completes them, on one thread or several.
 *
 * Each die has one queue and is worked on by one thread at a time, so its effects run in order. A message goes through a buffer that the
 * sender's effect fills; the receiver's effect is put off until it is full. What a queue waits for was handed over earlier, so the oldest
 * effect can always run: no order of threads blocks. A die's memory is written by its own queue only, therefore numbers do not depend on
 * the number of threads. No effect decides a time or an address, so the event loop runs ahead; it waits when a queue or the messages
 * under way grow too long, and works on queues itself meanwhile: N threads are the event loop's and N - 1 more. */
#ifndef HCT_RUNTIME_EXEC_EFFECTS_H
#define HCT_RUNTIME_EXEC_EFFECTS_H

#include "ir/timing/machine.h"
#include "runtime/exec/exec.h"

typedef struct hct_effects hct_effects;

typedef struct hct_effect_fault {
  size_t die;
  const hct_instr *instr;
  char text[256];
} hct_effect_fault;

/* `memories`: one a die. One thread: every effect runs when it is handed over. More threads than dies and one are not started. */
hct_effects *hct_effects_create(const hct_memory *memories, size_t dies, size_t threads);
void hct_effects_destroy(hct_effects *effects); /* NULL is fine */
size_t hct_effects_threads(const hct_effects *effects);

/* Copies what it is given. False: an effect has faulted by now, and nothing more needs to be handed over. */
bool hct_effects_run(hct_effects *effects, size_t die, const hct_issued *issued);
/* Moves a message. Sender and receiver may be one die. */
bool hct_effects_transfer(hct_effects *effects, size_t sender, const hct_issued *send, size_t receiver, const hct_issued *receive);
/* The two above, as the machine calls them. */
hct_machine_effects hct_effects_hooks(hct_effects *effects);
/* Waits for all effects. False: `out_fault` is the fault that came first in the order of handing over, whatever the threads did. */
bool hct_effects_finish(hct_effects *effects, hct_effect_fault *out_fault);

#endif
