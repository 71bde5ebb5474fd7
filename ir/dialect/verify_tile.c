#include <string.h>

#include "ir/dialect/verify.h"
#include "ir/isa/settings.h"
#include "ir/isa/image.h"

/* Operands of each operator: s a buffer, d a DRAM tensor, i an index; ? makes the one before optional, + repeats it. */
static const struct { const char *name, *operands; } signatures[] = {
    {"dram", ""}, {"alloc", ""}, {"alias", "s"}, {"load", "sdi?"}, {"store", "dsi?"}, {"matmul", "sss"}, {"map", "s+"}, {"fill", "s"}, {"reduce", "ss"},
    {"rows", "s+"}, {"dropout", "ssssi?"}, {"update", "s+i?"}, {"cast", "ss"}, {"gather_step", "si"}, {"scatter_step", "si"}, {"copy_part", "ssi?"},
};
enum { MAX_OPERANDS = 8 };

static bool made_by(MlirValue value, const char *a, const char *b) {
  if (!mlirValueIsAOpResult(value)) return false;
  MlirOperation maker = mlirOpResultGetOwner(value);
  return hct_op_is(maker, a) || hct_op_is(maker, b);
}

static bool operand_fits(MlirValue value, char letter) {
  if (letter == 's') return made_by(value, "hct_tile.alloc", "hct_tile.alias");
  if (letter == 'd') return made_by(value, "hct_tile.dram", "hct_tile.dram");
  return mlirTypeIsAIndex(mlirValueGetType(value));
}

static bool check_operands(hct_verifier *v, MlirOperation op, const char *letters) {
  size_t count = (size_t)mlirOperationGetNumOperands(op), used = 0;
  if (count > MAX_OPERANDS) {
    hct_verify_refuse(v, op, "%zu operands, of at most %d", count, MAX_OPERANDS);
    return false;
  }
  for (const char *at = letters; *at; at++) {
    bool optional = at[1] == '?', repeated = at[1] == '+';
    if (used == count && optional) break;
    do {
      if (used == count || !operand_fits(hct_op_operand(op, used), *at)) {
        hct_verify_refuse(v, op, "operand %zu is missing, or no %s", used, *at == 's' ? "buffer (hct_tile.alloc)" : *at == 'd' ? "tensor (hct_tile.dram)" : "index");
        return false;
      }
      used++;
    } while (repeated && used < count && (at[2] == '\0' || operand_fits(hct_op_operand(op, used), *at)));
    at += optional || repeated;
  }
  if (used == count) return true;
  hct_verify_refuse(v, op, "%zu operands, of at most %zu", count, used);
  return false;
}

static size_t buffer_count(MlirOperation op) { /* operands without an index at the end */
  size_t count = (size_t)mlirOperationGetNumOperands(op);
  return count && mlirTypeIsAIndex(mlirValueGetType(hct_op_operand(op, count - 1))) ? count - 1 : count;
}

static bool is_one_of(const char *text, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(text, list[i])) return true;
  return false;
}

static void check_words(hct_verifier *v, MlirOperation op, const char *name) {
  static const char *const axes[] = {"r", "c", "rc", "f0", "f1", "t"}, *const directions[] = {"in", "out"}, *const withins[] = {"", "r", "c"};
  static const char *const rows[] = {"softmax", "softmax_grad", "gather", "scatter", "pick", "place"};
  hct_dtype dtype;
  hct_role role;
  const char *text;
  if ((text = hct_op_str_or(op, "dtype", NULL)) && !hct_dtype_parse(text, &dtype)) hct_verify_refuse(v, op, "dtype '%s' is not known", text);
  if ((text = hct_op_str_or(op, "role", NULL)) && !hct_role_parse(text, &role)) hct_verify_refuse(v, op, "role '%s' is not known", text);
  if ((text = hct_op_str_or(op, "axis", NULL)) && !is_one_of(text, axes, HCT_COUNT(axes))) hct_verify_refuse(v, op, "axis '%s' is none of r, c, rc, f0, f1, t", text);
  if ((text = hct_op_str_or(op, "within", NULL)) && !is_one_of(text, withins, HCT_COUNT(withins))) hct_verify_refuse(v, op, "within '%s' is neither r nor c", text);
  if ((text = hct_op_str_or(op, "direction", NULL)) && !is_one_of(text, directions, HCT_COUNT(directions))) hct_verify_refuse(v, op, "direction '%s' is neither in nor out", text);
  if (!strcmp(name, "map") && (text = hct_op_str(op, "fn")) && !hct_verify_is_function("MAP1", text) && !hct_verify_is_function("MAP2", text) && !hct_verify_is_function("MAP3", text))
    hct_verify_refuse(v, op, "fn '%s' is no elementwise function", text);
  if (!strcmp(name, "rows") && !is_one_of(hct_op_str(op, "fn"), rows, HCT_COUNT(rows))) hct_verify_refuse(v, op, "fn '%s' is no row-wise operator", hct_op_str(op, "fn"));
  if ((text = hct_op_str_or(op, "kind", NULL)) && (strcmp(name, "update") ? !hct_verify_is_function("RED", text) : !hct_optimizer_find(text))) hct_verify_refuse(v, op, "kind '%s' is not known", text);
  int64_t run[2];
  if (!strcmp(name, "rows") && hct_op_has(op, "run") && (hct_op_i64s(op, "run", run, 2) != 2 || run[0] < 0 || run[0] > run[1] - hct_op_i64_or(op, "classes", 0)))
    hct_verify_refuse(v, op, "run is not the first of %lld rows in a table, and the number of that table's rows", (long long)hct_op_i64_or(op, "classes", 0));
  if (!strcmp(name, "update") && v->status == HCT_OK) {
    size_t states = hct_optimizer_find(text)->states, count = buffer_count(op);
    if (count != 4 + states) hct_verify_refuse(v, op, "%s has %zu operands, and needs %zu", text, count, 4 + states);
  }
  if (!strcmp(name, "map") && v->status == HCT_OK) {
    text = hct_op_str(op, "fn");
    size_t sources = hct_verify_is_function("MAP1", text) ? 1 : hct_verify_is_function("MAP2", text) ? 2 : 3, count = (size_t)mlirOperationGetNumOperands(op);
    if (count != sources + 1) hct_verify_refuse(v, op, "%s has %zu operands, and needs %zu", text, count, sources + 1);
  }
}

/* Of the buffer `value`; false where its maker was refused. */
static bool buffer_layout(MlirValue value, hct_layout *out_layout) { return hct_layout_parse(hct_op_str_or(mlirOpResultGetOwner(value), "layout", ""), out_layout); }

static void check_numbers(hct_verifier *v, MlirOperation op) {
  int64_t section = hct_op_i64_or(op, "section", -1), lane = hct_op_i64_or(op, "lane", 0), factor = hct_op_i64_or(op, "factor", -1);
  hct_layout layout;
  if (section < -1 || section > 1) hct_verify_refuse(v, op, "section %lld is none of -1, 0, 1", (long long)section);
  if (lane < 0 || lane > 2) hct_verify_refuse(v, op, "lane %lld is none of 0, 1, 2", (long long)lane);
  if (hct_op_has(op, "factor") && buffer_layout(hct_op_operand(op, 0), &layout) && (factor < -1 || factor >= layout.factor_count))
    hct_verify_refuse(v, op, "factor %lld is none of the %u of the buffer", (long long)factor, layout.factor_count);
}

/* ---- element types: messages, transfers and copies of parts convert nothing; a product's inputs are of one type ---- */
static const char *dtype_of(MlirValue value) {
  if (!mlirValueIsAOpResult(value)) return "";
  MlirOperation maker = mlirOpResultGetOwner(value);
  while (hct_op_is(maker, "hct_tile.alias") && mlirValueIsAOpResult(hct_op_operand(maker, 0))) maker = mlirOpResultGetOwner(hct_op_operand(maker, 0));
  return hct_op_str_or(maker, "dtype", "");
}

static void check_types(hct_verifier *v, MlirOperation op, const char *name) {
  static const struct { const char *name; size_t first, second; } alike[] = {{"load", 0, 1}, {"store", 0, 1}, {"copy_part", 0, 1}, {"matmul", 1, 2}};
  for (size_t i = 0; i < HCT_COUNT(alike); i++) {
    if (strcmp(alike[i].name, name)) continue;
    const char *a = dtype_of(hct_op_operand(op, alike[i].first)), *b = dtype_of(hct_op_operand(op, alike[i].second));
    if (strcmp(a, b)) hct_verify_refuse(v, op, "operand %zu is of %s, operand %zu of %s", alike[i].first, a, alike[i].second, b);
  }
  for (size_t k = 0; !strcmp(name, "update") && k < buffer_count(op); k++)
    if (strcmp(dtype_of(hct_op_operand(op, k)), "f32")) hct_verify_refuse(v, op, "operand %zu is of %s, and the optimizer works in f32", k, dtype_of(hct_op_operand(op, k)));
}

/* ---- nests: loops, and for each operand how they and fixed indices walk its factors ---- */
static bool entries_read(MlirAttribute all, size_t operand, int64_t *out_values, size_t capacity, size_t *out_count) {
  if (!mlirAttributeIsAArray(all) || mlirArrayAttrGetNumElements(all) <= (intptr_t)operand) return false;
  MlirAttribute array = mlirArrayAttrGetElement(all, (intptr_t)operand);
  if (!mlirAttributeIsADenseI64Array(array) || mlirDenseArrayGetNumElements(array) > (intptr_t)capacity) return false;
  *out_count = (size_t)mlirDenseArrayGetNumElements(array);
  for (size_t i = 0; i < *out_count; i++) out_values[i] = mlirDenseI64ArrayGetElement(array, (intptr_t)i);
  return true;
}

static bool loops_fit(hct_verifier *v, MlirOperation op, size_t *out_count) {
  const char *texts[HCT_MAX_FACTORS];
  *out_count = hct_op_strs(op, "loops", texts, HCT_MAX_FACTORS);
  if (*out_count > HCT_MAX_FACTORS) {
    hct_verify_refuse(v, op, "%zu loops, of at most %d", *out_count, HCT_MAX_FACTORS);
    return false;
  }
  for (size_t i = 0; i < *out_count; i++) {
    hct_layout layout;
    if (strlen(texts[i]) < 60 && hct_layout_parse(hct_arena_printf(v->arena, "[%s]", texts[i]), &layout) && layout.rank == 1 && layout.factor_count == 1) continue;
    hct_verify_refuse(v, op, "loop '%s' is no factor of a layout", texts[i]);
    return false;
  }
  return true;
}

/* ---- pieces ---- */
/* The range of a buffer that is a piece. */
static bool piece_range(MlirValue value, int64_t out_range[2]) { 
  if (!made_by(value, "hct_tile.alloc", "hct_tile.alloc")) return false;
  MlirOperation maker = mlirOpResultGetOwner(value);
  MlirAttribute range = mlirOperationGetAttributeByName(maker, hct_ref("range"));
  return !mlirAttributeIsNull(range) && mlirAttributeIsADenseI64Array(range) && hct_op_i64s(maker, "range", out_range, 2) == 2;
}

static bool layouts_equal(MlirValue a, MlirValue b) {
  hct_layout x, y;
  return buffer_layout(a, &x) && buffer_layout(b, &y) && hct_layout_equal(&x, &y);
}

/* Of what tiles have alone, and with factors that no axis splits joined to those before them in their dimension. */
static hct_layout layout_runs(const hct_layout *layout) {
  hct_layout runs = *layout;
  runs.factor_count = 0;
  for (unsigned d = 0; d < layout->rank; d++) {
    runs.dim_first[d] = runs.factor_count;
    for (int f = layout->dim_first[d]; f < layout->dim_first[d + 1]; f++) {
      hct_factor factor = layout->factors[f];
      if (factor.count == 1 && !factor.axis_count) continue;
      if (factor.count) factor.size = factor.count, factor.first = factor.count = 0;
      if (!factor.axis_count && runs.factor_count > runs.dim_first[d]) runs.factors[runs.factor_count - 1].size *= factor.size;
      else runs.factors[runs.factor_count++] = factor;
    }
  }
  runs.dim_first[layout->rank] = runs.factor_count;
  return runs;
}

/* Whether a tile of the buffer is what the tensor has of one: of a piece of a parameter, the tensor's layout is the whole's (piece.h). */
static bool layouts_of_one_tile(MlirValue buffer, MlirValue tensor) {
  hct_layout b, t;
  if (!buffer_layout(buffer, &b) || !buffer_layout(tensor, &t)) return false;
  b = layout_runs(&b), t = layout_runs(&t);
  return hct_layout_equal(&b, &t);
}

static void check_range(hct_verifier *v, MlirOperation op) {
  int64_t range[2];
  hct_layout layout;
  if (!hct_op_has(op, "range")) return;
  if (hct_op_i64s(op, "range", range, 2) != 2 || range[0] < 0 || range[1] < 1) hct_verify_refuse(v, op, "range is not a first element and a number of elements");
  if (buffer_layout(hct_op_result(op, 0), &layout) && hct_layout_uses_axis(&layout, HCT_AXIS_TIME)) hct_verify_refuse(v, op, "a piece of a micro-batch: layout '%s' has t", hct_op_str(op, "layout"));
}

/* Operands from `first` on, before `end`, that are pieces are of one range and layout; whole ones, where there may be any, are whole tiles of that layout. */
static bool pieces_agree(hct_verifier *v, MlirOperation op, size_t first, size_t end) {
  int64_t one[2], other[2];
  size_t piece = first;
  while (piece < end && !piece_range(hct_op_operand(op, piece), one)) piece++;
  for (size_t k = first; piece < end && k < end; k++) {
    bool same = layouts_equal(hct_op_operand(op, piece), hct_op_operand(op, k));
    if (same && piece_range(hct_op_operand(op, k), other)) same = one[0] == other[0] && one[1] == other[1];
    if (!same) hct_verify_refuse(v, op, "operand %zu is of another tile or range than the piece, operand %zu", k, piece);
  }
  return piece < end;
}

/* Transfers, updates and casts work on pieces; every other operator on whole buffers. */
static void check_pieces(hct_verifier *v, MlirOperation op, const char *name) {
  int64_t range[2];
  size_t count = (size_t)mlirOperationGetNumOperands(op), buffers = buffer_count(op);
  bool load = !strcmp(name, "load"), store = !strcmp(name, "store"), update = !strcmp(name, "update"), cast = !strcmp(name, "cast");
  if (load || store) {
    if (piece_range(hct_op_operand(op, store), range) && !layouts_of_one_tile(hct_op_operand(op, store), hct_op_operand(op, !store))) hct_verify_refuse(v, op, "the piece is of another layout than the tensor");
    return;
  }
  if (update && !pieces_agree(v, op, 0, buffers - 2) && buffers < count) hct_verify_refuse(v, op, "an index, and no piece that it is of");
  if (update && piece_range(hct_op_operand(op, 1), range)) hct_verify_refuse(v, op, "operand 1, the gradient, is a piece");
  if (cast && (!piece_range(hct_op_operand(op, 0), range) || !piece_range(hct_op_operand(op, 1), range))) hct_verify_refuse(v, op, "an operand is no piece");
  else if (cast) pieces_agree(v, op, 0, 2);
  for (size_t k = update ? buffers - 2 : 0; !cast && k < buffers; k++)
    if (piece_range(hct_op_operand(op, k), range)) hct_verify_refuse(v, op, "operand %zu is a piece, where a whole buffer is needed", k);
}

static void check_nest(hct_verifier *v, MlirOperation op) {
  size_t loops, count;
  if (!loops_fit(v, op, &loops)) return;
  int64_t row_loops = hct_op_i64_or(op, "row_loops", 0), values[3 * HCT_MAX_FACTORS];
  if (row_loops < 0 || row_loops > (int64_t)loops) hct_verify_refuse(v, op, "row_loops is %lld, of %zu loops", (long long)row_loops, loops);
  MlirAttribute maps = mlirOperationGetAttributeByName(op, hct_ref("maps")), fixes = mlirOperationGetAttributeByName(op, hct_ref("fixes"));
  for (size_t k = 0; k < buffer_count(op); k++) {
    hct_layout layout;
    if (!buffer_layout(hct_op_operand(op, k), &layout)) return;
    bool fits = entries_read(maps, k, values, HCT_COUNT(values), &count) && count == 3 * loops;
    for (size_t i = 0; fits && i < loops; i++) fits = values[3 * i] >= -1 && values[3 * i] < layout.factor_count;
    if (!fits) hct_verify_refuse(v, op, "maps of operand %zu: not one (factor, start, step) for each of %zu loops", k, loops);
    fits = entries_read(fixes, k, values, 2 * HCT_MAX_FACTORS, &count) && count % 2 == 0;
    for (size_t i = 0; fits && i < count; i += 2) fits = values[i] >= 0 && values[i] < layout.factor_count && values[i + 1] >= 0 && values[i + 1] < layout.factors[values[i]].size;
    if (!fits) hct_verify_refuse(v, op, "fixes of operand %zu: not pairs of a factor and its index", k);
  }
}

/* A number for each loop and the first element, none negative; an index of the micro-batch if, and only if, a loop is cut over time. */
static void check_dropout(hct_verifier *v, MlirOperation op) {
  int64_t index[HCT_MAX_FACTORS + 1], stream = hct_op_i64(op, "stream");
  const char *loops[HCT_MAX_FACTORS];
  size_t count = hct_op_i64s(op, "index", index, HCT_COUNT(index)), loop_count = hct_op_strs(op, "loops", loops, HCT_MAX_FACTORS);
  bool fits = loop_count <= HCT_MAX_FACTORS && count == loop_count + 1, timed = false, given = buffer_count(op) < (size_t)mlirOperationGetNumOperands(op);
  for (size_t i = 0; fits && i < count; i++) fits = index[i] >= 0;
  for (size_t i = 0; fits && i < loop_count; i++) timed |= strchr(loops[i], 't') != NULL;
  if (!fits) hct_verify_refuse(v, op, "index is not a number for each of %zu loops, and one for the first element", loop_count);
  else if (timed != given) hct_verify_refuse(v, op, timed ? "a loop is cut over t, and no index of the micro-batch is given" : "an index of a micro-batch, and no loop is cut over t");
  if (!(hct_op_f64_or(op, "ratio", -1) >= 0 && hct_op_f64_or(op, "ratio", -1) <= 1)) hct_verify_refuse(v, op, "ratio %g is not from 0 to 1", hct_op_f64_or(op, "ratio", -1));
  if (stream < 0 || stream > UINT32_MAX) hct_verify_refuse(v, op, "stream %lld is not of 32 bits", (long long)stream);
  if (strcmp(dtype_of(hct_op_operand(op, 2)), "i64") || strcmp(dtype_of(hct_op_operand(op, 3)), "f32")) hct_verify_refuse(v, op, "operands 2 and 3 are of %s and %s, and the seed is an i64, the step an f32", dtype_of(hct_op_operand(op, 2)), dtype_of(hct_op_operand(op, 3)));
}

void hct_verify_tile_op(hct_verifier *v, MlirOperation op) {
  const char *name = hct_op_name(op) + strlen("hct_tile."), *layout_text = hct_op_str_or(op, "layout", NULL);
  hct_layout layout;
  for (size_t i = 0; i < HCT_COUNT(signatures); i++)
    if (!strcmp(signatures[i].name, name) && !check_operands(v, op, signatures[i].operands)) return;
  if (layout_text && !hct_verify_layout(v, op, "layout", layout_text, NULL, &layout)) return;
  const char *type = !strcmp(name, "dram") ? "!hct_tile.tensor" : "!hct_tile.sram";
  if (mlirOperationGetNumResults(op) == 1 && !mlirTypeEqual(mlirValueGetType(hct_op_result(op, 0)), hct_type_parse(mlirOperationGetContext(op), type)))
    hct_verify_refuse(v, op, "the result is no %s", type);
  check_words(v, op, name);
  check_numbers(v, op);
  check_range(v, op);
  if (v->status == HCT_OK) check_types(v, op, name);
  if (v->status == HCT_OK) check_pieces(v, op, name);
  if (v->status == HCT_OK && hct_op_has(op, "loops")) check_nest(v, op);
  if (v->status == HCT_OK && !strcmp(name, "dropout")) check_dropout(v, op);
}
