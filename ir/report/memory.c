#include "ir/report/memory.h"

#include <stdlib.h>

enum { LISTED = 12 };

/* ---- figures ---- */
static int64_t die_count(const hct_image *image) { return image->rows * image->cols; }

typedef struct channels { int64_t *dies, count, fullest; } channels; /* by channel: how many dies have their regions there */

static channels channels_of(hct_arena *arena, const hct_image *image, const hct_package *package) {
  channels c = {.dies = HCT_NEW_ARRAY(arena, int64_t, (size_t)package->dram_channels), .count = package->dram_channels};
  int64_t *channel = HCT_NEW_ARRAY(arena, int64_t, (size_t)die_count(image));
  hct_package_channels(arena, package, image->dram_bytes_used, channel);
  for (int64_t die = 0; die < die_count(image); die++)
    if (++c.dies[channel[die]] > c.dies[c.fullest]) c.fullest = channel[die];
  return c;
}

static int64_t role_bytes(const hct_image *image, hct_role role) { return hct_dram_role_bytes(image->tensors, image->tensor_count, role) * die_count(image); }

/* ---- JSON ---- */
json_t *hct_memory_sram_json(const hct_image *image, const hct_package *package) {
  const hct_sram_map *map = &image->sram;
  json_t *json = json_pack("{s:I,s:I}", "peak_bytes", (json_int_t)image->sram_bytes_used, "capacity_bytes", (json_int_t)package->sram_bytes);
  if (!map->peaks.count) return json;
  json_t *dies = json_array(), *buffers = json_array();
  for (size_t i = 0; i < map->peaks.count; i++) {
    const hct_sram_peak *p = &map->peaks.items[i];
    json_array_append_new(dies, json_pack("{s:I,s:I,s:[I,I]}", "peak_bytes", (json_int_t)p->bytes, "dies", (json_int_t)p->dies, "first_die", (json_int_t)(p->first_die / image->cols), (json_int_t)(p->first_die % image->cols)));
  }
  for (size_t i = 0; i < map->buffers.count; i++) {
    const hct_sram_buffer *b = &map->buffers.items[i];
    hct_text layout = {0};
    hct_layout_print(&b->layout, &layout);
    json_array_append_new(buffers, json_pack("{s:I,s:I,s:s,s:s,s:s}", "bytes", (json_int_t)b->bytes, "address", (json_int_t)b->addr, "dtype", hct_dtype_name(b->dtype), "layout", layout.data, "made_for", b->made_for));
    hct_text_fini(&layout);
  }
  json_object_set_new(json, "dies", dies);
  json_object_set_new(json, "worst_moment", json_pack("{s:I,s:I,s:o}", "live_bytes", (json_int_t)map->live_bytes, "live_buffers", (json_int_t)map->live_buffers, "largest_buffers", buffers));
  return json;
}

json_t *hct_memory_dram_json(const hct_image *image, const hct_package *package) {
  hct_arena *arena = hct_arena_create();
  channels c = channels_of(arena, image, package);
  json_t *roles = json_object(), *rows = json_array(), *tensors = json_array();
  for (int role = 1; role < HCT_ROLE_COUNT; role++)
    if (role_bytes(image, (hct_role)role)) json_object_set_new(roles, hct_role_name((hct_role)role), json_integer((json_int_t)role_bytes(image, (hct_role)role)));
  for (int64_t i = 0; i < c.count; i++)
    json_array_append_new(rows, json_pack("{s:I,s:I,s:I}", "channel", (json_int_t)i, "dies", (json_int_t)c.dies[i], "used_bytes", (json_int_t)(c.dies[i] * image->dram_bytes_used)));
  size_t largest[LISTED], listed = hct_dram_largest(image->tensors, image->tensor_count, LISTED, largest);
  for (size_t i = 0; i < listed; i++) {
    const hct_tensor *t = &image->tensors[largest[i]];
    json_array_append_new(tensors, json_pack("{s:s,s:s,s:s,s:I}", "name", t->name, "role", hct_role_name(t->role), "dtype", hct_dtype_name(t->dtype), "bytes", (json_int_t)(t->tile_bytes * die_count(image))));
  }
  json_t *json = json_pack("{s:I,s:I,s:I,s:I,s:o,s:o,s:o}", "peak_bytes", (json_int_t)(image->dram_bytes_used * die_count(image)), "capacity_bytes", (json_int_t)(package->dram_channel_capacity_bytes * package->dram_channels),
                           "region_bytes", (json_int_t)image->dram_bytes_used, "channel_capacity_bytes", (json_int_t)package->dram_channel_capacity_bytes, "by_role", roles, "largest_tensors", tensors, "channels", rows);
  hct_arena_destroy(arena);
  return json;
}

/* ---- text ---- */
const char *hct_bytes_text(double bytes, char buffer[32]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
  snprintf(buffer, 32, "%.4g %s", bytes, units[unit]);
  return buffer;
}

void hct_memory_print(const hct_image *image, const hct_package *package, FILE *out) {
  char a[32], b[32];
  fprintf(out, "SRAM           %s of %s a die", hct_bytes_text((double)image->sram_bytes_used, a), hct_bytes_text((double)package->sram_bytes, b));
  if (image->sram.peaks.count) fprintf(out, "; at the worst moment %s in %lld buffers", hct_bytes_text((double)image->sram.live_bytes, a), (long long)image->sram.live_buffers);
  hct_arena *arena = hct_arena_create();
  channels c = channels_of(arena, image, package);
  int64_t most = c.dies[c.fullest];
  fprintf(out, "\nDRAM held      %s", hct_bytes_text((double)(image->dram_bytes_used * die_count(image)), a));
  static const hct_role shown[] = {HCT_ROLE_PARAM, HCT_ROLE_COPY, HCT_ROLE_STATE, HCT_ROLE_GRADIENT, HCT_ROLE_SPILL};
  const char *before = " (";
  for (size_t i = 0; i < HCT_COUNT(shown); i++) {
    if (!role_bytes(image, shown[i])) continue;
    fprintf(out, "%s%s %s", before, hct_role_name(shown[i]), hct_bytes_text((double)role_bytes(image, shown[i]), a));
    before = ", ";
  }
  fprintf(out, "%s; fullest channel %s of %s, %lld dies\n", before[0] == ',' ? ")" : "", hct_bytes_text((double)(most * image->dram_bytes_used), a), hct_bytes_text((double)package->dram_channel_capacity_bytes, b), (long long)most);
  hct_arena_destroy(arena);
}
