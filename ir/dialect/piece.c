#include "ir/dialect/piece.h"

#include <string.h>

bool hct_piece_parse(hct_arena *arena, const char *name, hct_piece *out_piece) {
  const char *mark = strrchr(name, '#');
  static const char separators[] = "/@*";
  int64_t numbers[4];
  const char *at = mark ? mark + 1 : "";
  for (size_t i = 0; i < HCT_COUNT(numbers); i++) {
    size_t length = i < 3 ? strcspn(at, "/@*") : strlen(at);
    if (!hct_parse_i64(hct_arena_strndup(arena, at, length), &numbers[i]) || (i < 3 && at[length] != separators[i])) return false;
    at += length + (i < 3);
  }
  *out_piece = (hct_piece){hct_arena_strndup(arena, name, (size_t)(mark - name)), numbers[2], numbers[3], numbers[1], numbers[0]};
  return out_piece->dim >= 0 && out_piece->dim < HCT_MAX_RANK && out_piece->parts > 0 && out_piece->index >= 0 && out_piece->index < out_piece->count;
}

const char *hct_piece_name(hct_arena *arena, const hct_piece *p) {
  return hct_arena_printf(arena, "%s#%lld/%lld@%lld*%lld", p->whole, (long long)p->index, (long long)p->count, (long long)p->dim, (long long)p->parts);
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

bool hct_piece_layout(const hct_piece *piece, const hct_layout *layout, const hct_package *package, hct_layout *out_whole) {
  const hct_factor own = {.size = piece->count, .fixed = piece->index + 1};
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
