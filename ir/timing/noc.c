#include "ir/timing/noc.h"

#include <math.h>

#include "ir/timing/rules.h"

enum { NORTH, EAST, SOUTH, WEST, MAX_PATH = 4096 };

int64_t hct_noc_links(const hct_noc *noc, int64_t from, int64_t to) {
  int64_t cols = noc->package->cols, rows_apart = from / cols - to / cols, cols_apart = from % cols - to % cols;
  return (rows_apart < 0 ? -rows_apart : rows_apart) + (cols_apart < 0 ? -cols_apart : cols_apart);
}

void hct_noc_init(hct_noc *noc, hct_arena *arena, const hct_package *package, int64_t region_bytes) {
  size_t dies = (size_t)(package->rows * package->cols), channels = (size_t)package->dram_channels;
  *noc = (hct_noc){
      .package = package,
      .link_free_ps = HCT_NEW_ARRAY(arena, int64_t, dies * 4),
      .link_busy_ps = HCT_NEW_ARRAY(arena, int64_t, dies * 4),
      .channel_free_ps = HCT_NEW_ARRAY(arena, int64_t, channels),
      .channel_busy_ps = HCT_NEW_ARRAY(arena, int64_t, channels),
      .home = HCT_NEW_ARRAY(arena, int64_t, dies),
  };
  int64_t *served = HCT_NEW_ARRAY(arena, int64_t, channels);
  hct_package_channels(arena, package, region_bytes, noc->home);
  for (int64_t d = 0; d < package->rows * package->cols; d++) {
    if (++served[noc->home[d]] > noc->sharing) noc->sharing = served[noc->home[d]];
    hct_channel_site site = hct_package_channel_site(package, noc->home[d]);
    noc->home_links += hct_noc_links(noc, d, site.row * package->cols + site.col);
  }
}

static size_t path_find(const hct_noc *noc, int64_t from, int64_t to, int64_t *out_links) {
  int64_t cols = noc->package->cols, row = from / cols, col = from % cols, to_row = to / cols, to_col = to % cols;
  size_t count = 0;
  while (col != to_col) {
    out_links[count++] = (row * cols + col) * 4 + (col < to_col ? EAST : WEST);
    col += col < to_col ? 1 : -1;
  }
  while (row != to_row) {
    out_links[count++] = (row * cols + col) * 4 + (row < to_row ? SOUTH : NORTH);
    row += row < to_row ? 1 : -1;
  }
  return count;
}

/* Holds all links of the path from when the last of them is free; returns when the message's tail has arrived. */
static int64_t path_hold(hct_noc *noc, const int64_t *links, size_t count, int64_t bytes, int64_t now, double stretch) {
  const hct_package *p = noc->package;
  int64_t start = now, hold = (int64_t)llround((double)hct_ps_of_seconds((double)bytes / p->link_bandwidth_bytes_per_s) * stretch);
  for (size_t i = 0; i < count; i++)
    if (noc->link_free_ps[links[i]] > start) start = noc->link_free_ps[links[i]];
  for (size_t i = 0; i < count; i++) {
    noc->link_free_ps[links[i]] = start + hold;
    noc->link_busy_ps[links[i]] += hold;
  }
  double latency = p->link_latency_s + p->link_bypass_latency_s * (double)(count - 1);
  return start + hold + (int64_t)llround((double)hct_ps_of_seconds(latency) * stretch);
}

int64_t hct_noc_send(hct_noc *noc, int64_t from, int64_t to, int64_t bytes, int64_t now, double stretch) {
  int64_t links[MAX_PATH];
  if (from == to) return now;
  size_t count = path_find(noc, from, to, links);
  noc->link_bytes += (uint64_t)bytes * count;
  return path_hold(noc, links, count, bytes, now, stretch);
}

/* Takes the channel from `now` on; when its last byte is through. *out_first: when its first is. */
static int64_t channel_hold(hct_noc *noc, int64_t channel, int64_t bytes, int64_t now, double stretch, int64_t *out_first) {
  const hct_package *p = noc->package;
  int64_t hold = (int64_t)llround((double)hct_ps_of_seconds((double)bytes / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency)) * stretch);
  int64_t start = noc->channel_free_ps[channel] > now ? noc->channel_free_ps[channel] : now;
  noc->channel_free_ps[channel] = start + hold;
  noc->channel_busy_ps[channel] += hold;
  *out_first = start + (int64_t)llround((double)hct_ps_of_seconds(p->dram_latency_s) * stretch);
  return *out_first + hold;
}

static int64_t site_of(const hct_noc *noc, int64_t die) {
  hct_channel_site site = hct_package_channel_site(noc->package, noc->home[die]);
  return site.row * noc->package->cols + site.col;
}

/* The mesh between the die and its channel; when the message's tail is through, and when its head is. */
static int64_t transit(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, double stretch, int64_t *out_first) {
  int64_t links[MAX_PATH], at = site_of(noc, die);
  size_t count = load ? path_find(noc, at, die, links) : path_find(noc, die, at, links);
  noc->dram_transit_bytes += (uint64_t)bytes * count;
  int64_t arrived = path_hold(noc, links, count, bytes, now, stretch);
  *out_first = arrived - (int64_t)llround((double)hct_ps_of_seconds((double)bytes / noc->package->link_bandwidth_bytes_per_s) * stretch);
  return arrived;
}

int64_t hct_noc_dram_first(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, double stretch, int64_t *out_least) {
  int64_t first;
  if (site_of(noc, die) == die) {
    *out_least = -1;
    return channel_hold(noc, noc->home[die], bytes, now, stretch, &first);
  }
  *out_least = load ? channel_hold(noc, noc->home[die], bytes, now, stretch, &first) : transit(noc, die, bytes, load, now, stretch, &first);
  return first;
}

int64_t hct_noc_dram_second(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, int64_t least, double stretch) {
  int64_t first, done = load ? transit(noc, die, bytes, load, now, stretch, &first) : channel_hold(noc, noc->home[die], bytes, now, stretch, &first);
  return done > least ? done : least;
}

int64_t hct_noc_dram_alike(hct_noc *noc, int64_t number, int64_t dies, int64_t bytes, int64_t now) {
  const hct_package *p = noc->package;
  int64_t start = noc->channel_free_ps[number] > now ? noc->channel_free_ps[number] : now;
  noc->dram_transit_bytes += (uint64_t)(bytes * noc->home_links / (p->rows * p->cols) * dies);
  noc->channel_free_ps[number] = start + hct_ps_of_seconds((double)(bytes * noc->sharing) / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency));
  return noc->channel_free_ps[number] + hct_ps_of_seconds(p->dram_latency_s);
}
