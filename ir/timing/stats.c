#include "ir/timing/stats.h"

#include <string.h>

void hct_stats_init(hct_stats *stats, hct_arena *arena, const hct_image *image) {
  stats->die_count = (size_t)(image->rows * image->cols);
  stats->source_count = image->source_count ? image->source_count : 1;
  stats->dies = HCT_NEW_ARRAY(arena, hct_die_stats, stats->die_count);
  stats->sources = HCT_NEW_ARRAY(arena, hct_source_stats, stats->die_count * stats->source_count);
}

void hct_stats_clear(hct_stats *stats) {
  memset(stats->dies, 0, stats->die_count * sizeof *stats->dies);
  memset(stats->sources, 0, stats->die_count * stats->source_count * sizeof *stats->sources);
}

hct_instr_counts hct_instr_count(const hct_instr *instr) {
  bool load = instr->opcode == HCT_OP_LD, moves = load || instr->opcode == HCT_OP_ST || instr->opcode == HCT_OP_SEND || instr->opcode == HCT_OP_RECV || instr->opcode == HCT_OP_RECVR;
  return (hct_instr_counts){.elements = (uint64_t)hct_instr_elements(instr), .sram_bytes = (uint64_t)hct_instr_sram_bytes(instr), .moved_bytes = moves ? (uint64_t)hct_view_bytes(instr, load ? 1 : 0) : 0};
}

void hct_stats_add(hct_stats *stats, size_t die, const hct_instr *instr, const hct_instr_counts *counts, uint64_t times) {
  hct_die_stats *d = &stats->dies[die];
  hct_source_stats *s = hct_stats_of(stats, die, instr->source < stats->source_count ? instr->source : 0);
  uint64_t elements = times * counts->elements, bytes = times * counts->moved_bytes;
  d->instructions += times;
  d->sram_bytes += times * counts->sram_bytes;
  switch (instr->opcode) {
    case HCT_OP_MM:
      d->macs += elements;
      s->macs += elements;
      if (instr->views[1].dtype == HCT_F32) d->macs_f32 += elements;
      break;
    case HCT_OP_LD:
      d->dram_read_bytes += bytes;
      s->dram_bytes += bytes;
      break;
    case HCT_OP_ST:
      d->dram_write_bytes += bytes;
      s->dram_bytes += bytes;
      break;
    case HCT_OP_SEND: d->sent_bytes += bytes; break;
    case HCT_OP_RECV:
    case HCT_OP_RECVR:
      d->received_bytes += bytes;
      s->received_bytes += bytes;
      d->messages += times;
      s->messages += times;
      break;
    default:
      if (instr->engine == HCT_ENGINE_VPU) d->vector_ops += elements;
  }
}

void hct_stats_count(hct_stats *stats, size_t die, const hct_instr *instr, uint64_t times) {
  hct_instr_counts counts = hct_instr_count(instr);
  hct_stats_add(stats, die, instr, &counts, times);
}

hct_die_stats hct_stats_total(const hct_stats *stats) {
  hct_die_stats all = {0};
  for (size_t die = 0; die < stats->die_count; die++) {
#define HCT_STAT(field, text) all.field += stats->dies[die].field;
#include "ir/timing/stats.def"
#undef HCT_STAT
  }
  return all;
}

bool hct_stats_agree(const hct_stats *a, const hct_stats *b, hct_text *out_difference) {
  for (size_t die = 0; die < a->die_count; die++) {
#define HCT_STAT(field, text)                                                                                                       \
  if (a->dies[die].field != b->dies[die].field) {                                                                                   \
    hct_text_printf(out_difference, "die %zu: %llu and %llu %s", die, (unsigned long long)a->dies[die].field, (unsigned long long)b->dies[die].field, text); \
    return false;                                                                                                                   \
  }
#include "ir/timing/stats.def"
#undef HCT_STAT
  }
  size_t rows = a->die_count * a->source_count;
  if (memcmp(a->sources, b->sources, rows * sizeof *a->sources) == 0) return true;
  hct_text_printf(out_difference, "counts by layer and collective differ");
  return false;
}
