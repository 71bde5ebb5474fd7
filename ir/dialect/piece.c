#include "ir/dialect/piece.h"

#include <string.h>

bool hct_piece_parse(hct_arena *arena, const char *name, hct_piece *out_piece) {
  const char *mark = strrchr(name, '#'), *at = mark ? mark + 1 : "";
  static const char separators[] = "+/@*";
  int64_t numbers[5] = {0, 1};
  for (size_t i = 0; i < HCT_COUNT(numbers); i++) {
    size_t length = strcspn(at, separators), next = i == 0 && at[length] == '/' ? 1 : i; /* without a number of units: of one */
    if (!hct_parse_i64(hct_arena_strndup(arena, at, length), &numbers[i]) || at[length] != separators[next]) return false;
    at += length + 1, i = next;
  }
  hct_piece p = {hct_arena_strndup(arena, name, (size_t)(mark - name)), numbers[3], numbers[4], numbers[2], numbers[0], numbers[1]};
  *out_piece = p;
  return p.dim >= 0 && p.dim < HCT_MAX_RANK && p.parts > 0 && p.first >= 0 && p.count > 0 && p.count <= p.size && p.first <= p.size - p.count;
}

const char *hct_piece_name(hct_arena *arena, const hct_piece *p) {
  const char *units = p->count > 1 ? hct_arena_printf(arena, "%lld+%lld", (long long)p->first, (long long)p->count) : hct_arena_printf(arena, "%lld", (long long)p->first);
  return hct_arena_printf(arena, "%s#%s/%lld@%lld*%lld", p->whole, units, (long long)p->size, (long long)p->dim, (long long)p->parts);
}

static bool factor_add(hct_layout *layout, hct_factor factor) {
  if (layout->factor_count == HCT_MAX_FACTORS) return false;
  layout->factors[layout->factor_count++] = factor;
  return true;
}

/* The factor in two, of which the outer has the axes. */
static bool factor_divide(const hct_factor *factor, int64_t outer, const hct_package *package, hct_factor out_factors[2]) {
  int64_t dies = 1;
  for (int a = 0; a < factor->axis_count; a++) dies *= factor->axes[a] == HCT_AXIS_ROW ? package->rows : package->cols;
  out_factors[0] = out_factors[1] = *factor;
  out_factors[0].size = outer, out_factors[1].size = factor->size / outer, out_factors[1].axis_count = 0;
  return factor->size % outer == 0 && outer % dies == 0;
}

static bool run_layout(const hct_piece *piece, const hct_layout *layout, hct_layout *out_whole) {
  if (piece->dim >= layout->rank || layout->dim_first[piece->dim + 1] != layout->dim_first[piece->dim] + 1) return false;
  *out_whole = *layout;
  hct_factor *factor = &out_whole->factors[layout->dim_first[piece->dim]];
  bool fits = factor->size == piece->count && piece->parts == 1;
  factor->size = piece->size, factor->first = piece->first, factor->count = piece->count;
  return fits;
}

bool hct_piece_layout(const hct_piece *piece, const hct_layout *layout, const hct_package *package, hct_layout *out_whole) {
  if (piece->count > 1) return run_layout(piece, layout, out_whole);
  const hct_factor own = {.size = piece->size, .first = piece->first, .count = 1};
  hct_layout whole = *layout;
  whole.factor_count = 0;
  for (unsigned d = 0; d < layout->rank; d++) {
    int64_t outer = d == piece->dim ? piece->parts : 1; /* of its units, those that come before the piece's factor */
    bool placed = d != piece->dim;
    whole.dim_first[d] = whole.factor_count;
    for (int f = layout->dim_first[d]; f < layout->dim_first[d + 1]; f++) {
      hct_factor factor = layout->factors[f], parts[2];
      if (!placed && outer == 1) placed = factor_add(&whole, own);
      bool before = !placed && outer % factor.size == 0;
      if (placed || before) {
        if (!factor_add(&whole, factor)) return false;
        if (before) outer /= factor.size;
        continue;
      }
      if (!factor_divide(&factor, outer, package, parts) || !factor_add(&whole, parts[0]) || !factor_add(&whole, own) || !factor_add(&whole, parts[1])) return false;
      placed = true;
    }
    if (!placed && (outer != 1 || !factor_add(&whole, own))) return false;
  }
  whole.dim_first[layout->rank] = whole.factor_count;
  *out_whole = whole;
  return piece->dim < layout->rank;
}
