/* Links between neighbouring dies and the DRAM channels: who holds them until when (system.md). */
#ifndef HCT_RUNTIME_TIMING_NOC_H
#define HCT_RUNTIME_TIMING_NOC_H

#include "ir/package/package.h"

typedef struct hct_noc {
  const hct_package *package;
  int64_t *link_free_ps, *link_busy_ps;       /* [die * 4 + direction], directed: north, east, south, west */
  int64_t *channel_free_ps, *channel_busy_ps;
  int64_t *home;                              /* by die: its channel */
  uint64_t link_bytes, dram_transit_bytes;
} hct_noc;

void hct_noc_init(hct_noc *noc, hct_arena *arena, const hct_package *package);
/* A message from die to die: reserves its XY path (columns first) as a whole from `now` on, first come first served. When it has arrived. */
int64_t hct_noc_send(hct_noc *noc, int64_t from, int64_t to, int64_t bytes, int64_t now, double stretch);
/* A DRAM access of `die`: its home channel, then (cut through) the mesh where the channel is at another die. When it is done. */
int64_t hct_noc_dram(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, double stretch);

#endif
