/* Links between neighbouring dies and the DRAM channels: who holds them until when (system.md). */
#ifndef HCT_RUNTIME_TIMING_NOC_H
#define HCT_RUNTIME_TIMING_NOC_H

#include "ir/package/package.h"

typedef struct hct_link {
  int64_t free_ps;
  /* With HCT_ARBITRATION_COLLECTIVES_FIRST: the time that DRAM accesses have asked for, and what of it they had until memory_at_ps. */
  int64_t memory_asked_ps, memory_served_ps, memory_at_ps;
} hct_link;
enum { HCT_PATH_NEAR = 8 };
typedef struct hct_path { /* XY, columns first; a line of the cache */
  int64_t latency_ps;  /* of a message's head */
  int64_t held_ps;     /* by messages: each of its links, and not yet in link_busy_ps (hct_noc_count_held) */
  uint32_t count;
  uint32_t near[HCT_PATH_NEAR]; /* its links, if they are so few */
  uint32_t *far;                /* if they are more */
} hct_path;
static inline const uint32_t *hct_path_links(const hct_path *path) { return path->count > HCT_PATH_NEAR ? path->far : path->near; }

/* A DRAM access under way. */
typedef enum hct_dram_stage {
  HCT_DRAM_NONE,
  HCT_DRAM_QUEUED,  /* a store waits for its turn on the mesh */
  HCT_DRAM_HALFWAY, /* a load's first byte is out of its channel, a store's at its channel */
  HCT_DRAM_CROSSES, /* on the mesh */
  HCT_DRAM_ARRIVES,
} hct_dram_stage;
typedef struct hct_dram_access {
  hct_dram_stage stage;
  int64_t bytes, least_ps, work_ps; /* it is not done before least_ps; holds each link for work_ps */
  hct_path path;
  int64_t *targets;                 /* by link of the path; it is through that when memory_served_ps has come to its target */
} hct_dram_access;

typedef struct hct_noc {
  hct_arena *arena;
  const hct_package *package;
  hct_link *links;       /* [die * 4 + direction], directed: north, east, south, west */
  int64_t *link_busy_ps; /* of each */
  int64_t *channel_free_ps, *channel_busy_ps;
  hct_dram_access *accesses;            /* [die * 2 + (load ? 0 : 1)] */
  int64_t *home;                        /* by die: its channel */
  int64_t sharing;                      /* dies of the channel that has most */
  int64_t home_links;                   /* from all dies to their channels */
  uint64_t link_bytes, dram_transit_bytes;
} hct_noc;

/* `region_bytes` of DRAM a die say which channels serve whom (hct_package_channels). */
void hct_noc_init(hct_noc *noc, hct_arena *arena, const hct_package *package, int64_t region_bytes);
/* A message from die to die: reserves its XY path (columns first) as a whole from `now` on, first come first served. When it has arrived. */
int64_t hct_noc_send(hct_noc *noc, int64_t from, int64_t to, int64_t bytes, int64_t now, double stretch);
/* The same of a path that is found once, with the time that the bytes take on a link. */
hct_path hct_noc_path(const hct_noc *noc, int64_t from, int64_t to);
int64_t hct_noc_wire_ps(const hct_noc *noc, int64_t bytes);
int64_t hct_noc_send_along(hct_noc *noc, hct_path *path, int64_t bytes, int64_t wire_ps, int64_t now, double stretch);
void hct_noc_count_held(hct_noc *noc, hct_path *path); /* for link_busy_ps to be right */
/* A DRAM access of `die`, one load and one store at a time: a load takes its home channel and then, as data comes out of it, the mesh to the die; a
 * store the mesh and then, as data comes in, the channel. Each is asked for when its turn comes, so that nobody waits for a link that a later
 * message will need. On the mesh, by the package's link_arbitration:
 * - first come: its path is reserved as that of any message;
 * - collectives first: memory traffic has a virtual channel of its own, whose flits go on where and while no other message holds the link, in order of
 *   arrival; the tail is through when the slowest link of the path has carried it. Messages between dies never wait for it.
 * `start`: when to look at the access. `look`, at that time: when to look again, or -1: it is done. */
int64_t hct_noc_dram_start(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, double stretch);
int64_t hct_noc_dram_look(hct_noc *noc, int64_t die, bool load, int64_t now, double stretch);
/* The same where every die does it at once, as long as it takes all dies of the fullest channel; `number`, below the number of channels, says
 * which accesses follow each other. The mesh is not looked at: a channel is slower than the links that lead from it. Counts the bytes of `dies` dies. */
int64_t hct_noc_dram_alike(hct_noc *noc, int64_t number, int64_t dies, int64_t bytes, int64_t now);
int64_t hct_noc_links(const hct_noc *noc, int64_t from, int64_t to); /* that a message crosses */
/* What later times depend on, relative to `now`, is given to `put` word by word; the same words, the same future. */
void hct_noc_state(hct_noc *noc, int64_t now, void (*put)(void *user, uint64_t word), void *user);
void hct_noc_restore(hct_noc *noc, int64_t now, uint64_t (*get)(void *user), void *user); /* from the words that hct_noc_state gave */
void hct_noc_shift(hct_noc *noc, int64_t by_ps); /* all times */

#endif
