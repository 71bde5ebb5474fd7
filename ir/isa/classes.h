/* Dies that do the same at the same time, as far as order and time go: those of a class run one stream, of which no trip count depends on
 * the die, and the next and the previous die on each ring that is used are of one class as well. So a run of one die for each class, where a
 * message to the next die goes to that die's class, is a run of all dies in step: an SPMD program on a ring is one die that sends to itself. */
#ifndef HCT_ISA_CLASSES_H
#define HCT_ISA_CLASSES_H

#include "ir/isa/image.h"

typedef struct hct_die_class {
  size_t first, size; /* its first die, and how many dies it has */
  size_t next[HCT_RING_COUNT], previous[HCT_RING_COUNT]; /* classes */
} hct_die_class;
typedef struct hct_die_classes {
  hct_die_class *items; /* in order of their first dies */
  size_t count;
} hct_die_classes;

/* The coarsest classes: one for an image of one stream, one a die at worst. */
hct_die_classes hct_die_classes_find(hct_arena *arena, const hct_image *image);

#endif
