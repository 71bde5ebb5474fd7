#include "ir/timing/noc.h"

#include <math.h>

#include "ir/timing/rules.h"

enum { NORTH, EAST, SOUTH, WEST };

int64_t hct_noc_links(const hct_noc *noc, int64_t from, int64_t to) {
  int64_t cols = noc->package->cols, rows_apart = from / cols - to / cols, cols_apart = from % cols - to % cols;
  return (rows_apart < 0 ? -rows_apart : rows_apart) + (cols_apart < 0 ? -cols_apart : cols_apart);
}

void hct_noc_init(hct_noc *noc, hct_arena *arena, const hct_package *package, int64_t region_bytes) {
  size_t dies = (size_t)(package->rows * package->cols), channels = (size_t)package->dram_channels;
  *noc = (hct_noc){
      .arena = arena,
      .package = package,
      .links = HCT_NEW_ARRAY(arena, hct_link, dies * 4),
      .link_busy_ps = HCT_NEW_ARRAY(arena, int64_t, dies * 4),
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

hct_path hct_noc_path(const hct_noc *noc, int64_t from, int64_t to) {
  int64_t cols = noc->package->cols, row = from / cols, col = from % cols, to_row = to / cols, to_col = to % cols;
  hct_path path = {.count = (uint32_t)hct_noc_links(noc, from, to)};
  if (path.count > HCT_PATH_NEAR) path.far = HCT_NEW_ARRAY(noc->arena, uint32_t, path.count);
  uint32_t *link = path.count > HCT_PATH_NEAR ? path.far : path.near;
  while (col != to_col) {
    *link++ = (uint32_t)((row * cols + col) * 4 + (col < to_col ? EAST : WEST));
    col += col < to_col ? 1 : -1;
  }
  while (row != to_row) {
    *link++ = (uint32_t)((row * cols + col) * 4 + (row < to_row ? SOUTH : NORTH));
    row += row < to_row ? 1 : -1;
  }
  if (path.count) path.latency_ps = hct_ps_of_seconds(noc->package->link_latency_s + noc->package->link_bypass_latency_s * (double)(path.count - 1));
  return path;
}

static int64_t stretched(int64_t ps, double stretch) { return stretch == 1 ? ps : (int64_t)llround((double)ps * stretch); }

int64_t hct_noc_wire_ps(const hct_noc *noc, int64_t bytes) { return hct_ps_of_seconds((double)bytes / noc->package->link_bandwidth_bytes_per_s); }

/* Until now: messages between dies have the link to link_free_ps, memory traffic has the rest. */
static void link_settle(hct_link *link, int64_t now) {
  int64_t left = link->memory_asked_ps - link->memory_served_ps;
  if (left > 0) {
    int64_t from = link->memory_at_ps > link->free_ps ? link->memory_at_ps : link->free_ps, gap = now > from ? now - from : 0;
    link->memory_served_ps += gap < left ? gap : left;
  }
  link->memory_at_ps = now;
}

/* Holds all links of the path from when the last of them is free; returns when the message's tail has arrived. */
static int64_t path_hold(hct_noc *noc, hct_path *path, int64_t hold, int64_t now, double stretch) {
  const uint32_t *links = hct_path_links(path);
  int64_t start = now;
  for (uint32_t i = 0; i < path->count; i++)
    if (noc->links[links[i]].free_ps > start) start = noc->links[links[i]].free_ps;
  for (uint32_t i = 0; i < path->count; i++) {
    hct_link *link = &noc->links[links[i]];
    if (link->memory_asked_ps > link->memory_served_ps) link_settle(link, now);
    link->free_ps = start + hold;
  }
  path->held_ps += hold;
  return start + hold + stretched(path->latency_ps, stretch);
}

void hct_noc_count_held(hct_noc *noc, hct_path *path) {
  for (uint32_t i = 0; path->held_ps && i < path->count; i++) noc->link_busy_ps[hct_path_links(path)[i]] += path->held_ps;
  path->held_ps = 0;
}

int64_t hct_noc_send_along(hct_noc *noc, hct_path *path, int64_t bytes, int64_t wire_ps, int64_t now, double stretch) {
  if (!path->count) return now;
  noc->link_bytes += (uint64_t)bytes * path->count;
  return path_hold(noc, path, stretched(wire_ps, stretch), now, stretch);
}

int64_t hct_noc_send(hct_noc *noc, int64_t from, int64_t to, int64_t bytes, int64_t now, double stretch) {
  hct_path path = hct_noc_path(noc, from, to);
  int64_t arrived = hct_noc_send_along(noc, &path, bytes, hct_noc_wire_ps(noc, bytes), now, stretch);
  hct_noc_count_held(noc, &path);
  return arrived;
}

/* Takes the channel from `now` on; when its last byte is through. *out_first: when its first is. */
static int64_t channel_hold(hct_noc *noc, int64_t channel, int64_t bytes, int64_t now, double stretch, int64_t *out_first) {
  const hct_package *p = noc->package;
  int64_t hold = stretched(hct_ps_of_seconds((double)bytes / (p->dram_channel_bandwidth_bytes_per_s * p->dram_efficiency)), stretch);
  int64_t start = noc->channel_free_ps[channel] > now ? noc->channel_free_ps[channel] : now;
  noc->channel_free_ps[channel] = start + hold;
  noc->channel_busy_ps[channel] += hold;
  *out_first = start + stretched(hct_ps_of_seconds(p->dram_latency_s), stretch);
  return *out_first + hold;
}

/* ---- memory traffic on a virtual channel of its own ---- */
/* When the access's head can be on all links of its path, or its tail will be through them, if no more messages come; `now` if that is so. */
static int64_t path_served(hct_noc *noc, const hct_dram_access *a, bool head, int64_t now) {
  int64_t at = now;
  for (size_t i = 0; i < a->path.count; i++) {
    hct_link *link = &noc->links[hct_path_links(&a->path)[i]];
    link_settle(link, now);
    int64_t left = a->targets[i] - (head ? a->work_ps : 0) - link->memory_served_ps, from = link->free_ps > now ? link->free_ps : now;
    if (left > 0) from += left;
    if ((left > 0 || head) && from > at) at = from;
  }
  return at;
}

static int64_t crossing(hct_noc *noc, hct_dram_access *a, int64_t now, double stretch) {
  int64_t latency = stretched(a->path.latency_ps, stretch), at = path_served(noc, a, a->stage == HCT_DRAM_QUEUED, now);
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
  if (at == die || a->path.count) return a;
  a->path = hct_noc_path(noc, load ? at : die, load ? die : at);
  a->targets = HCT_NEW_ARRAY(noc->arena, int64_t, a->path.count);
  return a;
}

static int64_t access_work(const hct_noc *noc, const hct_dram_access *a, double stretch) { return stretched(hct_noc_wire_ps(noc, a->bytes), stretch); }

static int64_t mesh_ask(hct_noc *noc, hct_dram_access *a, bool load, int64_t now, double stretch) {
  a->work_ps = access_work(noc, a, stretch);
  noc->dram_transit_bytes += (uint64_t)a->bytes * a->path.count;
  if (noc->package->link_arbitration == HCT_ARBITRATION_FIRST_COME) {
    int64_t arrived = path_hold(noc, &a->path, a->work_ps, now, stretch);
    hct_noc_count_held(noc, &a->path);
    if (a->least_ps < arrived) a->least_ps = arrived;
    a->stage = load ? HCT_DRAM_ARRIVES : HCT_DRAM_HALFWAY;
    return load ? a->least_ps : arrived - a->work_ps;
  }
  for (size_t i = 0; i < a->path.count; i++) {
    hct_link *link = &noc->links[hct_path_links(&a->path)[i]];
    link_settle(link, now);
    a->targets[i] = link->memory_asked_ps += a->work_ps;
    noc->link_busy_ps[hct_path_links(&a->path)[i]] += a->work_ps;
  }
  a->stage = load ? HCT_DRAM_CROSSES : HCT_DRAM_QUEUED;
  return crossing(noc, a, now, stretch);
}

int64_t hct_noc_dram_start(hct_noc *noc, int64_t die, int64_t bytes, bool load, int64_t now, double stretch) {
  hct_dram_access *a = access_of(noc, die, load);
  int64_t first;
  a->bytes = bytes;
  a->least_ps = 0;
  if (a->path.count && !load) return mesh_ask(noc, a, load, now, stretch);
  a->least_ps = channel_hold(noc, noc->home[die], bytes, now, stretch, &first);
  a->stage = a->path.count ? HCT_DRAM_HALFWAY : HCT_DRAM_ARRIVES;
  return a->path.count ? first : a->least_ps;
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
    hct_link *l = &noc->links[link];
    link_settle(l, now);
    put(user, l->free_ps > now ? (uint64_t)(l->free_ps - now) : 0);
    put(user, (uint64_t)(l->memory_asked_ps - l->memory_served_ps));
  }
  for (int64_t c = 0; c < noc->package->dram_channels; c++) put(user, noc->channel_free_ps[c] > now ? (uint64_t)(noc->channel_free_ps[c] - now) : 0);
  for (size_t i = 0; i < dies * 2; i++) {
    const hct_dram_access *a = &noc->accesses[i];
    put(user, (uint64_t)a->stage);
    if (a->stage == HCT_DRAM_NONE) continue;
    put(user, (uint64_t)a->bytes);
    put(user, a->least_ps > now ? (uint64_t)(a->least_ps - now) : 0);
    for (size_t l = 0; l < a->path.count; l++) put(user, a->targets[l] > noc->links[hct_path_links(&a->path)[l]].memory_served_ps ? (uint64_t)(a->targets[l] - noc->links[hct_path_links(&a->path)[l]].memory_served_ps) : 0);
  }
}

void hct_noc_restore(hct_noc *noc, int64_t now, uint64_t (*get)(void *user), void *user) {
  size_t dies = (size_t)(noc->package->rows * noc->package->cols);
  for (size_t link = 0; link < dies * 4; link++) {
    hct_link *l = &noc->links[link];
    l->free_ps = now + (int64_t)get(user);
    l->memory_asked_ps = (int64_t)get(user);
    l->memory_served_ps = 0;
    l->memory_at_ps = now;
  }
  for (int64_t c = 0; c < noc->package->dram_channels; c++) noc->channel_free_ps[c] = now + (int64_t)get(user);
  for (size_t i = 0; i < dies * 2; i++) {
    hct_dram_access *a = access_of(noc, (int64_t)(i / 2), i % 2 == 0);
    a->stage = (hct_dram_stage)get(user);
    if (a->stage == HCT_DRAM_NONE) continue;
    a->bytes = (int64_t)get(user);
    a->least_ps = now + (int64_t)get(user);
    a->work_ps = access_work(noc, a, 1);
    for (size_t l = 0; l < a->path.count; l++) a->targets[l] = (int64_t)get(user);
  }
}

static void shift(int64_t *times, size_t count, int64_t by) {
  for (size_t i = 0; i < count; i++) times[i] += by;
}

void hct_noc_shift(hct_noc *noc, int64_t by_ps) {
  size_t dies = (size_t)(noc->package->rows * noc->package->cols);
  for (size_t i = 0; i < dies * 4; i++) noc->links[i].free_ps += by_ps, noc->links[i].memory_at_ps += by_ps;
  shift(noc->channel_free_ps, (size_t)noc->package->dram_channels, by_ps);
  for (size_t i = 0; i < dies * 2; i++) noc->accesses[i].least_ps += by_ps;
}
