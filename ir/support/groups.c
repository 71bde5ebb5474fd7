#include "ir/support/support.h"

hct_groups hct_groups_create(hct_arena *arena, size_t group_count, size_t count, const size_t *groups, const size_t *items) {
  hct_groups made = {HCT_NEW_ARRAY(arena, size_t, group_count + 2), HCT_NEW_ARRAY(arena, size_t, count + 1)};
  size_t *next = made.first + 1; /* where a group's next one goes: in the end the first of the group after it */
  for (size_t i = 0; i < count; i++)
    if (groups[i] != SIZE_MAX) next[groups[i] + 1]++;
  for (size_t g = 0; g < group_count; g++) next[g + 1] += next[g];
  for (size_t i = 0; i < count; i++)
    if (groups[i] != SIZE_MAX) made.items[next[groups[i]]++] = items ? items[i] : i;
  return made;
}
