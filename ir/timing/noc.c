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
      .arena = arena,
      .package = package,
      .link_free_ps = HCT_NEW_ARRAY(arena, int64_t, dies * 4),
      .link_busy_ps = HCT_NEW_ARRAY(arena, int64_t, dies * 4),
      .memory_asked_ps = HCT_NEW_ARRAY(arena, int64_t, dies * 4),
      .memory_served_ps = HCT_NEW_ARRAY(arena, int64_t, dies * 4),
      .memory_at_ps = HCT_NEW_ARRAY(arena, int64_t, dies * 4),
      .accesses = HCT_NEW_ARRAY(arena, hct_dram_access, dies * 2),
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

static int64_t stretched(double seconds, double stretch) {
  int64_t ps = hct_ps_of_seconds(seconds);
  return stretch == 1 ? ps : (int64_t)llround((double)ps * stretch);
}

static int64_t path_latency(const hct_noc *noc, size_t count, double stretch) {
  return stretched(noc->package->link_latency_s + noc->package->link_bypass_latency_s * (double)(count - 1), stretch);
}

/* Until now: messages between dies have the link to link_free_ps, memory traffic has the rest. */
static void link_settle(hct_noc *noc, int64_t link, int64_t now) {
  int64_t left = noc->memory_asked_ps[link] - noc->memory_served_ps[link];
  if (left > 0) {
    int64_t from = noc->memory_at_ps[link] > noc->link_free_ps[link] ? noc->memory_at_ps[link] : noc->link_free_ps[link], gap = now > from ? now - from : 0;
    noc->memory_served_ps[link] += gap < left ? gap : left;
  }
  noc->memory_at_ps[link] = now;
}

/* Holds all links of the path from when the last of them is free; returns when the message's tail has arrived. */
static int64_t path_hold(hct_noc *noc, const int64_t *links, size_t count, int64_t hold, int64_t now, double stretch) {
  int64_t start = now;
  for (size_t i = 0; i < count; i++)
    if (noc->link_free_ps[links[i]] > start) start = noc->link_free_ps[links[i]];
  for (size_t i = 0; i < count; i++) {
    if (noc->memory_asked_ps[links[i]] > noc->memory_served_ps[links[i]]) link_settle(noc, links[i], now);
    noc->link_free_ps[links[i]] = start + hold;
    noc->link_busy_ps[links[i]] += hold;
  }
  return start + hold + path_latency(noc, count, stretch);
}

int64_t hct_noc_send(hct_noc *noc, int64_t from, int64_t to, int64_t bytes, int64_t now, double stretch) {
  int64_t links[MAX_PATH];
  if (from == to) return now;
  size_t count = path_find(noc, from, to, links);
  noc->link_bytes += (uint64_t)bytes * count;
  return path_hold(noc, links, count, stretched((double)bytes / noc->package->link_bandwidth_bytes_per_s, stretch), now, stretch);
}

/* Takes the channel from `now` on; when its last byte is through. *out_first: when its first is. */
static int64_t channel_hold(hct_noc *noc, int64_t channel, int64_t bytes, int64_t now, double stretch, int64_t *out_first) {
  const hct_package *p = noc->package;
  int64_t hold = stretched((double)bytes / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency), stretch);
  int64_t start = noc->channel_free_ps[channel] > now ? noc->channel_free_ps[channel] : now;
  noc->channel_free_ps[channel] = start + hold;
  noc->channel_busy_ps[channel] += hold;
  *out_first = start + stretched(p->dram_latency_s, stretch);
  return *out_first + hold;
}

/* ---- memory traffic on a virtual channel of its own ---- */
/* When the access's head can be on all links of its path, or its tail will be through them, if no more messages come; `now` if that is so. */
static int64_t path_served(hct_noc *noc, const hct_dram_access *a, bool head, int64_t now) {
  int64_t at = now;
  for (size_t i = 0; i < a->count; i++) {
    int64_t link = a->links[i];
    link_settle(noc, link, now);
    int64_t left = a->targets[i] - (head ? a->work_ps : 0) - noc->memory_served_ps[link], from = noc->link_free_ps[link] > now ? noc->link_free_ps[link] : now;
    if (left > 0) from += left;
    if ((left > 0 || head) && from > at) at = from;
  }
  return at;
}

static int64_t crossing(hct_noc *noc, hct_dram_access *a, int64_t now, double stretch) {
  int64_t latency = path_latency(noc, a->count, stretch), at = path_served(noc, a, a->stage == HCT_DRAM_QUEUED, now);
  if (a->stage == HCT_DRAM_QUEUED) {
    if (at > now) return at;
    a->stage = HCT_DRAM_HALFWAY;
    return now + latency;
  }
  if (at > now) return at > a->least_ps - latency ? at : a->least_ps - latency;
  a->stage = HCT_DRAM_ARRIVES;
  return now + latency > a->least_ps ? now + latency : a->least_ps;
}

/* ---- DRAM ---- */
static hct_dram_access *access_of(hct_noc *noc, int64_t die, bool load) {
  hct_dram_access *a = &noc->accesses[die * 2 + (load ? 0 : 1)];
  hct_channel_site site = hct_package_channel_site(noc->package, noc->home[die]);
  int64_t at = site.row * noc->package->cols + site.col;
  if (at == die || a->links) return a;
  a->count = (size_t)hct_noc_links(noc, die, at);
  a->links = HCT_NEW_ARRAY(noc->arena, int64_t, a->count);
  a->targets = HCT_NEW_ARRAY(noc->arena, int64_t, a->count);
  path_find(noc, load ? at : die, load ? die : at, a->links);
  return a;
}

static int64_t access_work(const hct_noc *noc, const hct_dram_access *a, double stretch) { return stretched((double)a->bytes / noc->package->link_bandwidth_bytes_per_s, stretch); }

static int64_t mesh_ask(hct_noc *noc, hct_dram_access *a, bool load, int64_t now, double stretch) {
  a->work_ps = access_work(noc, a, stretch);
  noc->dram_transit_bytes += (uint64_t)a->bytes * a->count;
  if (noc->package->link_arbitration == HCT_ARBITRATION_FIRST_COME) {
    int64_t arrived = path_hold(noc, a->links, a->count, a->work_ps, now, stretch);
    if (a->least_ps < arrived) a->least_ps = arrived;
    a->stage = load ? HCT_DRAM_ARRIVES : HCT_DRAM_HALFWAY;
    return load ? a->least_ps : arrived - a->work_ps;
  }
  for (size_t i = 0; i < a->count; i++) {
    int64_t link = a->links[i];
    link_settle(noc, link, now);
    a->targets[i] = noc->memory_asked_ps[link] += a->work_ps;
    noc->link_busy_ps[link] += a->work_ps;
  }
  a->stage = load ? HCT_DRAM_CROSSES : HCT_DRAM_QUEUED;
  return crossing(noc, a, now, stretch);
}

int64_t hct_noc_dram_start(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, double stretch) {
  hct_dram_access *a = access_of(noc, die, load);
  int64_t first;
  a->bytes = bytes;
  a->least_ps = 0;
  if (a->count && !load) return mesh_ask(noc, a, load, now, stretch);
  a->least_ps = channel_hold(noc, noc->home[die], bytes, now, stretch, &first);
  a->stage = a->count ? HCT_DRAM_HALFWAY : HCT_DRAM_ARRIVES;
  return a->count ? first : a->least_ps;
}

int64_t hct_noc_dram_look(hct_noc *noc, int64_t die, bool load, int64_t now, double stretch) {
  hct_dram_access *a = &noc->accesses[die * 2 + (load ? 0 : 1)];
  if (a->stage == HCT_DRAM_ARRIVES) {
    a->stage = HCT_DRAM_NONE;
    return -1;
  }
  if (a->stage != HCT_DRAM_HALFWAY) return crossing(noc, a, now, stretch);
  if (load) return mesh_ask(noc, a, load, now, stretch);
  int64_t first, done = channel_hold(noc, noc->home[die], a->bytes, now, stretch, &first);
  if (a->least_ps < done) a->least_ps = done;
  bool reserved = noc->package->link_arbitration == HCT_ARBITRATION_FIRST_COME;
  a->stage = reserved ? HCT_DRAM_ARRIVES : HCT_DRAM_CROSSES;
  return reserved ? a->least_ps : crossing(noc, a, now, stretch);
}

int64_t hct_noc_dram_alike(hct_noc *noc, int64_t number, int64_t dies, int64_t bytes, int64_t now) {
  const hct_package *p = noc->package;
  int64_t start = noc->channel_free_ps[number] > now ? noc->channel_free_ps[number] : now;
  noc->dram_transit_bytes += (uint64_t)(bytes * noc->home_links / (p->rows * p->cols) * dies);
  noc->channel_free_ps[number] = start + hct_ps_of_seconds((double)(bytes * noc->sharing) / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency));
  return noc->channel_free_ps[number] + hct_ps_of_seconds(p->dram_latency_s);
}

/* ---- recurrence ---- */
void hct_noc_state(hct_noc *noc, int64_t now, void (*put)(void *user, uint64_t word), void *user) {
  size_t dies = (size_t)(noc->package->rows * noc->package->cols);
  for (size_t link = 0; link < dies * 4; link++) {
    link_settle(noc, (int64_t)link, now);
    put(user, noc->link_free_ps[link] > now ? (uint64_t)(noc->link_free_ps[link] - now) : 0);
    put(user, (uint64_t)(noc->memory_asked_ps[link] - noc->memory_served_ps[link]));
  }
  for (int64_t c = 0; c < noc->package->dram_channels; c++) put(user, noc->channel_free_ps[c] > now ? (uint64_t)(noc->channel_free_ps[c] - now) : 0);
  for (size_t i = 0; i < dies * 2; i++) {
    const hct_dram_access *a = &noc->accesses[i];
    put(user, (uint64_t)a->stage);
    if (a->stage == HCT_DRAM_NONE) continue;
    put(user, (uint64_t)a->bytes);
    put(user, a->least_ps > now ? (uint64_t)(a->least_ps - now) : 0);
    for (size_t l = 0; l < a->count; l++) put(user, a->targets[l] > noc->memory_served_ps[a->links[l]] ? (uint64_t)(a->targets[l] - noc->memory_served_ps[a->links[l]]) : 0);
  }
}

void hct_noc_restore(hct_noc *noc, int64_t now, uint64_t (*get)(void *user), void *user) {
  size_t dies = (size_t)(noc->package->rows * noc->package->cols);
  for (size_t link = 0; link < dies * 4; link++) {
    noc->link_free_ps[link] = now + (int64_t)get(user);
    noc->memory_asked_ps[link] = (int64_t)get(user);
    noc->memory_served_ps[link] = 0;
    noc->memory_at_ps[link] = now;
  }
  for (int64_t c = 0; c < noc->package->dram_channels; c++) noc->channel_free_ps[c] = now + (int64_t)get(user);
  for (size_t i = 0; i < dies * 2; i++) {
    hct_dram_access *a = access_of(noc, (int64_t)(i / 2), i % 2 == 0);
    a->stage = (hct_dram_stage)get(user);
    if (a->stage == HCT_DRAM_NONE) continue;
    a->bytes = (int64_t)get(user);
    a->least_ps = now + (int64_t)get(user);
    a->work_ps = access_work(noc, a, 1);
    for (size_t l = 0; l < a->count; l++) a->targets[l] = (int64_t)get(user);
  }
}

static void shift(int64_t *times, size_t count, int64_t by) {
  for (size_t i = 0; i < count; i++) times[i] += by;
}

void hct_noc_shift(hct_noc *noc, int64_t by_ps) {
  size_t dies = (size_t)(noc->package->rows * noc->package->cols);
  shift(noc->link_free_ps, dies * 4, by_ps);
  shift(noc->memory_at_ps, dies * 4, by_ps);
  shift(noc->channel_free_ps, (size_t)noc->package->dram_channels, by_ps);
  for (size_t i = 0; i < dies * 2; i++) noc->accesses[i].least_ps += by_ps;
}
