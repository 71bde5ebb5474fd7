/* Which DRAM channel serves which die. */
#include "ir/package/package.h"

enum { ENDS = 4 /* of a die's row and column */ };

hct_channel_site hct_package_channel_site(const hct_package *package, int64_t channel) {
  int64_t rows = package->rows, cols = package->cols;
  if (channel < cols) return (hct_channel_site){0, channel};
  channel -= cols;
  if (channel < rows) return (hct_channel_site){channel, cols - 1};
  channel -= rows;
  if (channel < cols) return (hct_channel_site){rows - 1, cols - 1 - channel};
  channel -= cols;
  return (hct_channel_site){rows - 1 - channel, 0};
}

static int64_t distance(int64_t a, int64_t b) { return a < b ? b - a : a - b; }

/* The nearest channel with room (NULL: all have), and how far it is; -1: there is none. */
static int64_t nearest(const hct_package *package, int64_t row, int64_t col, const int64_t *room, int64_t *out_hops) {
  int64_t best = -1, best_hops = INT64_MAX;
  hct_channel_site best_site = {0, 0};
  for (int64_t channel = 0; channel < package->dram_channels; channel++) {
    if (room && !room[channel]) continue;
    hct_channel_site site = hct_package_channel_site(package, channel);
    int64_t hops = distance(site.row, row) + distance(site.col, col);
    bool earlier = site.row < best_site.row || (site.row == best_site.row && site.col < best_site.col);
    if (hops > best_hops || (hops == best_hops && !earlier)) continue;
    best = channel;
    best_hops = hops;
    best_site = site;
  }
  *out_hops = best_hops;
  return best;
}

int64_t hct_package_home_channel(const hct_package *package, int64_t row, int64_t col) {
  int64_t hops;
  return nearest(package, row, col, NULL, &hops);
}

/* ---- where homes are full ---- */
/* Dies are given channels one after another, each in the cheapest way, in which it may displace others: what is given so far has the least hops
 * (successive shortest paths of the minimum-cost flow). */
typedef struct assignment {
  const hct_package *package;
  int64_t *channels;           /* by die; -1: none yet */
  int64_t *room;               /* by channel: for how many dies more */
  int64_t *cost, *via, *next;  /* by channel: the hops that a place there adds elsewhere, the die that leaves it, and the channel that one goes to; -1: none leaves, it has room */
} assignment;

/* At the ends of a die's row and column: top, right, bottom, left. */
static int64_t end_of(const hct_package *p, int64_t die, int end, int64_t *out_hops) {
  int64_t row = die / p->cols, col = die % p->cols;
  const int64_t channels[ENDS] = {col, p->cols + row, p->cols + p->rows + (p->cols - 1 - col), 2 * p->cols + p->rows + (p->rows - 1 - row)};
  const int64_t hops[ENDS] = {row, p->cols - 1 - col, p->rows - 1 - row, col};
  *out_hops = hops[end];
  return channels[end];
}

/* One round: a die at a full channel may leave it for another end of its row or column. */
static bool costs_relax(assignment *a) {
  bool changed = false;
  for (int64_t die = 0; die < a->package->rows * a->package->cols; die++) {
    int64_t from = a->channels[die], hops_from = 0;
    if (from < 0) continue;
    for (int end = 0; end < ENDS; end++) {
      int64_t hops;
      if (end_of(a->package, die, end, &hops) == from) hops_from = hops;
    }
    for (int end = 0; end < ENDS; end++) {
      int64_t hops, to = end_of(a->package, die, end, &hops);
      if (to == from || a->cost[to] == INT64_MAX || a->cost[to] + hops - hops_from >= a->cost[from]) continue;
      a->cost[from] = a->cost[to] + hops - hops_from, a->via[from] = die, a->next[from] = to;
      changed = true;
    }
  }
  return changed;
}

/* False: no channel at the ends of its row and column can be freed for it. */
static bool die_assign(assignment *a, int64_t die) {
  int64_t best = -1, best_cost = INT64_MAX;
  for (int64_t channel = 0; channel < a->package->dram_channels; channel++) a->cost[channel] = a->room[channel] ? 0 : INT64_MAX, a->next[channel] = -1;
  while (costs_relax(a)) {}
  for (int end = 0; end < ENDS; end++) {
    int64_t hops, channel = end_of(a->package, die, end, &hops);
    if (a->cost[channel] == INT64_MAX || a->cost[channel] + hops >= best_cost) continue;
    best = channel, best_cost = a->cost[channel] + hops;
  }
  if (best < 0) return false;
  for (int64_t to; (to = a->next[best]) >= 0; best = to) {
    a->channels[die] = best;
    die = a->via[best];
  }
  a->channels[die] = best;
  a->room[best]--;
  return true;
}

bool hct_package_channels(hct_arena *scratch, const hct_package *package, int64_t region_bytes, int64_t *out_channels) {
  int64_t dies = package->rows * package->cols, holds = region_bytes > 0 ? package->dram_channel_capacity_bytes / region_bytes : dies, unused;
  size_t channels = (size_t)package->dram_channels;
  assignment a = {package, out_channels, HCT_NEW_ARRAY(scratch, int64_t, channels), HCT_NEW_ARRAY(scratch, int64_t, channels), HCT_NEW_ARRAY(scratch, int64_t, channels), HCT_NEW_ARRAY(scratch, int64_t, channels)};
  bool fits = true;
  for (size_t channel = 0; channel < channels; channel++) a.room[channel] = holds;
  for (int64_t die = 0; die < dies; die++) {
    out_channels[die] = hct_package_home_channel(package, die / package->cols, die % package->cols);
    if (--a.room[out_channels[die]] < 0) fits = false;
  }
  if (fits) return true;
  for (size_t channel = 0; channel < channels; channel++) a.room[channel] = holds;
  for (int64_t die = 0; die < dies; die++) out_channels[die] = -1;
  for (int64_t die = 0; die < dies; die++) die_assign(&a, die);
  fits = true;
  for (int64_t die = 0; die < dies; die++) {
    if (out_channels[die] >= 0) continue;
    int64_t channel = nearest(package, die / package->cols, die % package->cols, a.room, &unused);
    if (channel < 0) fits = false, channel = hct_package_home_channel(package, die / package->cols, die % package->cols);
    else a.room[channel]--;
    out_channels[die] = channel;
  }
  return fits;
}
