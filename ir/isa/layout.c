#include "ir/isa/layout.h"

#include <string.h>

char hct_axis_letter(hct_axis axis) { return "trc"[axis]; }

hct_range hct_split_balanced(int64_t units, int64_t parts, int64_t part) {
  int64_t each = units / parts, extra = units % parts;
  return (hct_range){part * each + (part < extra ? part : extra), each + (part < extra)};
}

hct_range hct_factor_range(const hct_factor *factor, const hct_place *place) {
  hct_range range = factor->count ? (hct_range){factor->first, factor->count} : (hct_range){0, factor->size};
  for (int a = 0; a < factor->axis_count; a++) {
    if (factor->axes[a] == HCT_AXIS_TIME) {
      if (place->micro_batch_size == 0) continue;
      int64_t left = range.length - place->micro_batch_start;
      if (left < 0) left = 0;
      range.start += place->micro_batch_start;
      range.length = left < place->micro_batch_size ? left : place->micro_batch_size;
      continue;
    }
    bool row = factor->axes[a] == HCT_AXIS_ROW;
    hct_range part = hct_split_balanced(range.length, row ? place->rows : place->cols, row ? place->row : place->col);
    range = (hct_range){range.start + part.start, part.length};
  }
  return range;
}

int64_t hct_layout_tile_elements(const hct_layout *layout, const hct_place *place) {
  int64_t elements = 1;
  for (int f = 0; f < layout->factor_count; f++) elements *= hct_factor_range(&layout->factors[f], place).length;
  return elements;
}

int64_t hct_layout_dim_size(const hct_layout *layout, unsigned dim) {
  int64_t size = 1;
  for (int f = layout->dim_first[dim]; f < layout->dim_first[dim + 1]; f++) size *= layout->factors[f].size;
  return size;
}

int64_t hct_layout_elements(const hct_layout *layout) {
  int64_t elements = 1;
  for (int f = 0; f < layout->factor_count; f++) elements *= layout->factors[f].size;
  return elements;
}

bool hct_layout_uses_axis(const hct_layout *layout, hct_axis axis) {
  for (int f = 0; f < layout->factor_count; f++)
    for (int a = 0; a < layout->factors[f].axis_count; a++)
      if (layout->factors[f].axes[a] == axis) return true;
  return false;
}

hct_layout hct_layout_plain(unsigned rank, const int64_t *shape) {
  hct_layout layout = {.rank = (uint8_t)rank, .factor_count = (uint8_t)rank};
  HCT_BUG_ON(rank > HCT_MAX_RANK, "a tensor of rank %u", rank);
  for (unsigned d = 0; d < rank; d++) {
    layout.dim_first[d] = (uint8_t)d;
    layout.factors[d].size = shape[d];
  }
  layout.dim_first[rank] = (uint8_t)rank;
  return layout;
}

bool hct_layout_equal(const hct_layout *a, const hct_layout *b) {
  if (a->rank != b->rank || a->factor_count != b->factor_count || a->partial != b->partial || a->partial_axes != b->partial_axes) return false;
  if (memcmp(a->dim_first, b->dim_first, (size_t)a->rank + 1) != 0) return false;
  for (int f = 0; f < a->factor_count; f++) {
    const hct_factor *x = &a->factors[f], *y = &b->factors[f];
    if (x->size != y->size || x->first != y->first || x->count != y->count || x->axis_count != y->axis_count || memcmp(x->axes, y->axes, x->axis_count) != 0) return false;
  }
  return true;
}

/* ---- text ---- */
static const char *const partial_names[] = {"", "sum", "max"};

void hct_layout_print(const hct_layout *layout, hct_text *text) {
  hct_text_append(text, "[", 1);
  for (unsigned d = 0; d < layout->rank; d++)
    for (int f = layout->dim_first[d]; f < layout->dim_first[d + 1]; f++) {
      const hct_factor *factor = &layout->factors[f];
      hct_text_printf(text, "%s%lld", f > layout->dim_first[d] ? "*" : d ? "," : "", (long long)factor->size);
      if (factor->count) hct_text_printf(text, "#%lld", (long long)factor->first);
      if (factor->count > 1) hct_text_printf(text, "+%lld", (long long)factor->count);
      if (factor->axis_count) hct_text_append(text, "@", 1);
      for (int a = 0; a < factor->axis_count; a++) hct_text_printf(text, "%c", hct_axis_letter((hct_axis)factor->axes[a]));
    }
  hct_text_append(text, "]", 1);
  if (layout->partial == HCT_PARTIAL_NONE) return;
  hct_text_printf(text, " %s(", partial_names[layout->partial]);
  for (int axis = 0; axis < 3; axis++)
    if (layout->partial_axes & (1u << axis)) hct_text_printf(text, "%c", hct_axis_letter((hct_axis)axis));
  hct_text_append(text, ")", 1);
}

static bool axis_parse(char letter, uint8_t *out_axis) {
  const char *at = letter ? strchr("trc", letter) : NULL;
  if (!at) return false;
  *out_axis = (uint8_t)(at - "trc");
  return true;
}

static bool number_parse(const char **text, int64_t *out_number) {
  int64_t number = 0;
  const char *at = *text;
  if (*at < '0' || *at > '9') return false;
  for (; *at >= '0' && *at <= '9'; at++)
    if (!hct_mul_i64(number, 10, &number) || !hct_add_i64(number, *at - '0', &number)) return false;
  *text = at;
  *out_number = number;
  return true;
}

/* After '#'. */
static bool units_parse(const char **text, hct_factor *factor) {
  factor->count = 1;
  if (!number_parse(text, &factor->first)) return false;
  if (**text == '+') {
    ++*text;
    if (!number_parse(text, &factor->count)) return false;
  }
  return factor->count > 0 && factor->count <= factor->size && factor->first <= factor->size - factor->count;
}

static bool factor_parse(const char **text, hct_layout *layout, unsigned *axes_seen) {
  if (layout->factor_count == HCT_MAX_FACTORS) return false;
  hct_factor *factor = &layout->factors[layout->factor_count++];
  if (!number_parse(text, &factor->size)) return false;
  if (**text == '#') {
    ++*text;
    if (!units_parse(text, factor)) return false;
    if (factor->count == 1) return true;
  }
  if (**text != '@') return true;
  for (++*text; **text >= 'a' && **text <= 'z'; ++*text) {
    uint8_t axis;
    if (!axis_parse(**text, &axis) || factor->axis_count == HCT_MAX_AXES || (*axes_seen & (1u << axis))) return false;
    if (axis == HCT_AXIS_TIME && factor->axis_count) return false; /* time comes first */
    *axes_seen |= 1u << axis;
    factor->axes[factor->axis_count++] = axis;
  }
  return factor->axis_count > 0;
}

static bool partial_parse(const char *text, hct_layout *layout, unsigned axes_seen) {
  if (!*text) return true;
  if (!strncmp(text, " sum(", 5)) layout->partial = HCT_PARTIAL_SUM;
  else if (!strncmp(text, " max(", 5)) layout->partial = HCT_PARTIAL_MAX;
  else return false;
  for (text += 5; *text && *text != ')'; text++) {
    uint8_t axis;
    if (!axis_parse(*text, &axis) || ((layout->partial_axes | axes_seen) & (1u << axis))) return false;
    layout->partial_axes |= (uint8_t)(1u << axis);
  }
  return layout->partial_axes && text[0] == ')' && !text[1];
}

bool hct_layout_parse(const char *text, hct_layout *out_layout) {
  hct_layout layout = {0};
  unsigned axes_seen = 0;
  if (*text++ != '[') return false;
  if (*text == ']') {
    text++;
  } else {
    for (bool more = true; more;) {
      if (layout.rank == HCT_MAX_RANK) return false;
      layout.dim_first[layout.rank++] = layout.factor_count;
      if (!factor_parse(&text, &layout, &axes_seen)) return false;
      while (*text == '*') {
        text++;
        if (!factor_parse(&text, &layout, &axes_seen)) return false;
      }
      more = *text == ',';
      if (!more && *text != ']') return false;
      text++;
    }
  }
  layout.dim_first[layout.rank] = layout.factor_count;
  int64_t elements = 1;
  for (int f = 0; f < layout.factor_count; f++)
    if (!hct_mul_i64(elements, layout.factors[f].size, &elements)) return false;
  if (!partial_parse(text, &layout, axes_seen)) return false;
  *out_layout = layout;
  return true;
}

/* ---- tiles ---- */
void hct_layout_for_each(const hct_layout *layout, const hct_place *place, hct_layout_visit visit, void *context) {
  hct_range ranges[HCT_MAX_FACTORS];
  int64_t strides[HCT_MAX_FACTORS], index[HCT_MAX_FACTORS] = {0}, stride = 1, global = 0;
  for (int f = layout->factor_count - 1; f >= 0; f--) {
    ranges[f] = hct_factor_range(&layout->factors[f], place);
    if (ranges[f].length == 0) return;
    strides[f] = stride;
    stride *= layout->factors[f].size;
    global += ranges[f].start * strides[f];
  }
  for (int64_t tile = 0;; tile++) {
    visit(context, tile, global);
    int f = layout->factor_count - 1;
    for (; f >= 0; f--) {
      global += strides[f];
      if (++index[f] < ranges[f].length) break;
      global -= strides[f] * ranges[f].length;
      index[f] = 0;
    }
    if (f < 0) return;
  }
}
