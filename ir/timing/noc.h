/* Links between neighbouring dies and the DRAM channels: who holds them until when (system.md). */
#ifndef HCT_RUNTIME_TIMING_NOC_H
#define HCT_RUNTIME_TIMING_NOC_H

#include "ir/package/package.h"

typedef struct hct_noc {
  const hct_package *package;
  int64_t *link_free_ps, *link_busy_ps;       /* [die * 4 + direction], directed: north, east, south, west */
  int64_t *channel_free_ps, *channel_busy_ps;
  int64_t *home;                              /* by die: its channel */
  int64_t sharing;                            /* dies of the channel that has most */
  int64_t home_links;                         /* from all dies to their channels */
  uint64_t link_bytes, dram_transit_bytes;
} hct_noc;

/* `region_bytes` of DRAM a die say which channels serve whom (hct_package_channels). */
void hct_noc_init(hct_noc *noc, hct_arena *arena, const hct_package *package, int64_t region_bytes);
/* A message from die to die: reserves its XY path (columns first) as a whole from `now` on, first come first served. When it has arrived. */
int64_t hct_noc_send(hct_noc *noc, int64_t from, int64_t to, int64_t bytes, int64_t now, double stretch);
/* A DRAM access of `die`, in two legs: a load takes its home channel and then, as data comes out of it, the mesh to the die; a store the mesh and
 * then, as data comes in, the channel. Each leg is asked for when its turn comes, so that nobody waits for a link that a later message will
 * need. The first: when the second is to be asked for, and before when it cannot be done (`out_least`); where the channel is at the die
 * itself there is no second, *out_least is negative, and it is done then. */
int64_t hct_noc_dram_first(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, double stretch, int64_t *out_least);
int64_t hct_noc_dram_second(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, int64_t least, double stretch);
/* The same where every die does it at once, as long as it takes all dies of the fullest channel; `number`, below the number of channels, says
 * which accesses follow each other. The mesh is not looked at: a channel is slower than the links that lead from it. Counts the bytes of `dies` dies. */
int64_t hct_noc_dram_alike(hct_noc *noc, int64_t number, int64_t dies, int64_t bytes, int64_t now);
int64_t hct_noc_links(const hct_noc *noc, int64_t from, int64_t to); /* that a message crosses */

#endif
