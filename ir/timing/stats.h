/* Counters of a run. One function counts for both simulators, each for the instructions that it retires itself, so that their
 * agreement, die by die, says that they ran the same instructions. */
#ifndef HCT_TIMING_STATS_H
#define HCT_TIMING_STATS_H

#include "ir/isa/image.h"
#include "ir/timing/rules.h"

typedef struct hct_die_stats {
#define HCT_STAT(field, text) uint64_t field;
#include "ir/timing/stats.def"
#undef HCT_STAT
} hct_die_stats;

/* Of the instructions of one source (layer, collective) on one die. */
typedef struct hct_source_stats {
  uint64_t received_bytes, messages, macs, dram_bytes;
} hct_source_stats;

typedef struct hct_stats {
  size_t die_count, source_count;
  hct_die_stats *dies;
  hct_source_stats *sources; /* hct_stats_of; dies that are in step count the same source, so what they count lies together */
} hct_stats;
static inline hct_source_stats *hct_stats_of(const hct_stats *stats, size_t die, size_t source) { return &stats->sources[source * stats->die_count + die]; }

void hct_stats_init(hct_stats *stats, hct_arena *arena, const hct_image *image);
void hct_stats_clear(hct_stats *stats);
/* What one retirement of an instruction is worth: they are the same each time, and looked up by those that retire many. */
typedef struct hct_instr_counts { uint64_t elements, sram_bytes, moved_bytes; } hct_instr_counts;
hct_instr_counts hct_instr_count(const hct_instr *instr);
void hct_stats_add(hct_stats *stats, size_t die, const hct_instr *instr, const hct_instr_counts *counts, uint64_t times);
void hct_stats_count(hct_stats *stats, size_t die, const hct_instr *instr, uint64_t times);
void hct_stats_count_image(hct_stats *stats, const hct_image *image); /* what a run of it counts, without one (count.c) */
hct_die_stats hct_stats_total(const hct_stats *stats); /* over all dies */
/* False, and a text that names the first difference, when two runs did not count the same. */
bool hct_stats_agree(const hct_stats *a, const hct_stats *b, hct_text *out_difference);

#endif
