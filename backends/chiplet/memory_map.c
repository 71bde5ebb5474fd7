/* Where memory goes: SRAM at the worst moment, die by die; DRAM by role. What an image says of itself, and a refusal of a plan that does not fit. */
#include <stdlib.h>
#include <string.h>

#include "backends/chiplet/chiplet.h"

enum { LISTED = 12 };

typedef struct buffer_list { const chiplet_buffer **items; size_t count; } buffer_list;

static int64_t taken(const chiplet_buffer *buffer) { return chiplet_pitch(buffer) * (buffer->twin ? 2 : 1); }

static int64_t end_of(const chiplet_buffer *buffer) { return buffer->addr + taken(buffer); }

static int by_taken(const void *a, const void *b) {
  const chiplet_buffer *x = *(const chiplet_buffer *const *)a, *y = *(const chiplet_buffer *const *)b;
  if (taken(x) != taken(y)) return taken(x) > taken(y) ? -1 : 1;
  return x < y ? -1 : x > y; /* both in one array */
}

static int by_end(const void *a, const void *b) {
  const chiplet_buffer *x = *(const chiplet_buffer *const *)a, *y = *(const chiplet_buffer *const *)b;
  return end_of(x) > end_of(y) ? -1 : end_of(x) < end_of(y);
}

/* Those with bytes of their own. */
static buffer_list buffers_placed(const chiplet_program *program, hct_arena *arena) {
  buffer_list list = {HCT_NEW_ARRAY(arena, const chiplet_buffer *, program->buffers.count + 1), 0};
  for (size_t b = 0; b < program->buffers.count; b++)
    if (program->buffers.items[b].storage == b && program->buffers.items[b].first != SIZE_MAX) list.items[list.count++] = &program->buffers.items[b];
  return list;
}

/* Whether the buffer, or one that is to lie at its address, is live. NULL: always. */
static bool is_live(const chiplet_program *program, const chiplet_buffer *buffer, size_t at) {
  while (buffer && (at < buffer->first || at > buffer->last)) {
    if (buffer->next_alike == SIZE_MAX) return false;
    buffer = &program->buffers.items[buffer->next_alike];
  }
  return true;
}

/* Leaves in the list what is live when most bytes are, while `buffer` is, the largest first. Returns how many bytes those are. */
static int64_t worst_moment(const chiplet_program *program, const chiplet_buffer *buffer, buffer_list *list, hct_arena *arena) {
  size_t end = 0, worst = 0, kept = 0;
  int64_t live = 0, most = 0;
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i]->last > end) end = list->items[i]->last;
  int64_t *change = HCT_NEW_ARRAY(arena, int64_t, end + 2);
  for (size_t i = 0; i < list->count; i++) {
    change[list->items[i]->first] += taken(list->items[i]);
    change[list->items[i]->last + 1] -= taken(list->items[i]);
  }
  for (size_t at = 0; at <= end; at++)
    if ((live += change[at]) > most && is_live(program, buffer, at)) most = live, worst = at;
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i]->first <= worst && worst <= list->items[i]->last) list->items[kept++] = list->items[i];
  list->count = kept;
  qsort(list->items, list->count, sizeof *list->items, by_taken);
  return most;
}

/* `by_end`: the highest buffers first, so that few are looked at. */
static int64_t die_peak(const chiplet_program *program, const buffer_list *highest, int64_t row, int64_t col) {
  int64_t peak = 0;
  for (size_t i = 0; i < highest->count && end_of(highest->items[i]) > peak; i++) {
    const chiplet_buffer *buffer = highest->items[i];
    hct_place place = chiplet_place(program, buffer->section, row, col);
    chiplet_buffer here = *buffer;
    here.bytes = chiplet_piece_elements(buffer, hct_layout_tile_elements(buffer->layout, &place)) * (int64_t)hct_dtype_bytes(buffer->dtype);
    int64_t end = buffer->addr + (buffer->twin ? chiplet_pitch(buffer) : 0) + chiplet_pitch(&here);
    if (here.bytes && end > peak) peak = end;
  }
  return peak;
}

static void peaks_find(const chiplet_program *program, buffer_list *list, hct_sram_map *map) {
  qsort(list->items, list->count, sizeof *list->items, by_end);
  for (int64_t die = 0; die < program->rows * program->cols; die++) {
    hct_sram_peak peak = {.bytes = die_peak(program, list, die / program->cols, die % program->cols), .first_die = die};
    size_t at = 0;
    while (at < map->peaks.count && map->peaks.items[at].bytes != peak.bytes) at++;
    if (at == map->peaks.count) HCT_PUSH(program->arena, &map->peaks, peak);
    map->peaks.items[at].dies++;
  }
}

void chiplet_sram_map(const chiplet_program *program, hct_sram_map *out_map) {
  hct_arena *scratch = hct_arena_create();
  hct_sram_map map = {0};
  buffer_list list = buffers_placed(program, scratch);
  peaks_find(program, &list, &map);
  map.live_bytes = worst_moment(program, NULL, &list, scratch);
  map.live_buffers = (int64_t)list.count;
  for (size_t i = 0; i < list.count && i < LISTED; i++) {
    const chiplet_buffer *b = list.items[i];
    hct_sram_buffer row = {.addr = b->addr, .bytes = taken(b), .dtype = b->dtype, .layout = *b->layout, .made_for = b->made_for};
    HCT_PUSH(program->arena, &map.buffers, row);
  }
  hct_arena_destroy(scratch);
  *out_map = map;
}

static void buffer_note(hct_diags *diags, const char *what, int width, const chiplet_buffer *buffer) {
  hct_text layout = {0};
  hct_layout_print(buffer->layout, &layout);
  hct_note(diags, "%s%*lld bytes  %s %s  %s", what, width, (long long)taken(buffer), hct_dtype_name(buffer->dtype), layout.data, buffer->made_for);
  hct_text_fini(&layout);
}

hct_status chiplet_refuse_sram(const chiplet_program *program, int64_t needed, const chiplet_buffer *without_place) {
  hct_diags *diags = program->pass->diags;
  hct_arena *scratch = hct_arena_create();
  buffer_list list = buffers_placed(program, scratch);
  int64_t live = worst_moment(program, without_place, &list, scratch);
  hct_error(diags, HCT_E_SRAM_FULL, (hct_loc){0}, "the plan needs %lld bytes of SRAM on a die that has %lld", (long long)needed, (long long)program->pass->package.sram_bytes);
  if (without_place) buffer_note(diags, "no gap between those that live beside it has room for ", 0, without_place);
  hct_note(diags, "the worst moment%s: %lld bytes in %zu buffers", without_place ? " of its life" : "", (long long)live, list.count);
  for (size_t i = 0; i < list.count && i < LISTED; i++) buffer_note(diags, "", 12, list.items[i]);
  hct_pass_sram_hint(program->pass, program->micro_batch > 1, true);
  hct_arena_destroy(scratch);
  return HCT_REFUSED;
}

hct_status chiplet_refuse_dram(const chiplet_program *program) {
  hct_diags *diags = program->pass->diags;
  const hct_package *package = &program->pass->package;
  const hct_tensor *tensors = program->tensors.items;
  size_t count = program->tensors.count, largest[LISTED];
  long long dies = (long long)(program->rows * program->cols);
  hct_error(diags, HCT_E_DRAM_FULL, (hct_loc){0}, "the plan needs %lld bytes of DRAM on each of %lld dies; %lld channels of %lld bytes hold %lld such regions", (long long)program->dram_bytes, dies, (long long)package->dram_channels,
            (long long)package->dram_channel_capacity_bytes, (long long)(package->dram_channel_capacity_bytes / program->dram_bytes * package->dram_channels));
  for (int role = 1; role < HCT_ROLE_COUNT; role++) {
    int64_t bytes = hct_dram_role_bytes(tensors, count, (hct_role)role);
    if (bytes) hct_note(diags, "%14lld bytes a die  %s", (long long)bytes, hct_role_name((hct_role)role));
  }
  size_t listed = hct_dram_largest(tensors, count, HCT_COUNT(largest), largest);
  hct_note(diags, "the largest of %zu tensors:", count);
  for (size_t i = 0; i < listed; i++) hct_note(diags, "%14lld bytes a die  %s %s  %s", (long long)tensors[largest[i]].tile_bytes, hct_role_name(tensors[largest[i]].role), hct_dtype_name(tensors[largest[i]].dtype), tensors[largest[i]].name);
  bool spills = hct_dram_role_bytes(tensors, count, HCT_ROLE_SPILL) > 0 && strcmp(hct_pass_option(program->pass, "recompute", "auto"), "all") != 0;
  hct_hint(diags, "%sa larger --mesh, or a package with more DRAM", spills ? "--recompute=all, " : "");
  return HCT_REFUSED;
}
