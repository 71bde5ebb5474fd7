/* Kernels of contractions. Loops run over the result's letters, then over those that are summed, and innermost over the result's
 * last letter, which LLVM turns into vectors. The operand that has that letter is packed so that it is contiguous there; four rows
 * of the result and four summands go together, so that what is loaded is used several times. Sums are f32, in order. */
#include <stdio.h>
#include <string.h>

#include "backends/host/host.h"

enum { BLOCK = 4, PANEL = 512 }; /* rows and summands that go together; columns that stay in the first cache */

typedef struct contraction {
  host_kernel *k;
  char m[HCT_MAX_RANK + 1], n[HCT_MAX_RANK + 1], c[HCT_MAX_RANK + 1]; /* letters: operand without the last letter, operand with it, result */
  char summed[2 * HCT_MAX_RANK + 1];
  char last, row, sum; /* innermost letter; result letter of m alone that goes in fours; summed letter that goes in fours; 0: none */
  int64_t extent[128];
  hct_shape m_shape, n_shape, c_shape;
  const char *m_name, *n_name;
  bool packed; /* n is read from scratch */
} contraction;

static void read_letters(MlirOperation op, char letters[3][HCT_MAX_RANK + 1]) {
  const char *spec = hct_op_str(op, "spec"), *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  HCT_BUG_ON(!comma || !arrow, "contraction '%s'", spec);
  snprintf(letters[0], HCT_MAX_RANK + 1, "%.*s", (int)(comma - spec), spec);
  snprintf(letters[1], HCT_MAX_RANK + 1, "%.*s", (int)(arrow - comma - 1), comma + 1);
  snprintf(letters[2], HCT_MAX_RANK + 1, "%s", arrow + 2);
}

static hct_shape shape_of(MlirValue value) {
  hct_shape shape;
  HCT_BUG_ON(!hct_value_shape(value, &shape), "host backend: a value that is no static ranked tensor");
  return shape;
}

static bool has(const char *letters, char letter) { return letter && strchr(letters, letter); }

/* Moves the last letter to the end, in a copy of the letters and the shape. */
static void pack_order(contraction *c, char letters[HCT_MAX_RANK + 1], hct_shape *shape) {
  size_t at = 0;
  for (size_t i = 0; c->n[i]; i++)
    if (c->n[i] != c->last) letters[at] = c->n[i], shape->dims[at++] = c->extent[(unsigned char)c->n[i]];
  letters[at] = c->last, shape->dims[at] = c->extent[(unsigned char)c->last];
  letters[at + 1] = 0;
}

static contraction analyze(host_kernel *k, MlirOperation op) {
  contraction c = {.k = k, .m_name = "a0", .n_name = "a1"};
  char letters[3][HCT_MAX_RANK + 1] = {{0}};
  read_letters(op, letters);
  hct_shape shapes[3] = {shape_of(hct_op_operand(op, 0)), shape_of(hct_op_operand(op, 1)), shape_of(hct_op_result(op, 0))};
  for (int t = 0; t < 3; t++)
    for (size_t i = 0; letters[t][i]; i++) c.extent[(unsigned char)letters[t][i]] = shapes[t].dims[i];
  c.last = letters[2][0] ? letters[2][strlen(letters[2]) - 1] : 0;
  bool swap = c.last && !has(letters[1], c.last); /* a product commutes */
  memcpy(c.m, letters[swap], sizeof c.m), memcpy(c.n, letters[!swap], sizeof c.n), memcpy(c.c, letters[2], sizeof c.c);
  c.m_shape = shapes[swap], c.n_shape = shapes[!swap], c.c_shape = shapes[2];
  if (swap) c.m_name = "a1", c.n_name = "a0";
  size_t summed = 0;
  for (size_t i = 0; c.m[i]; i++)
    if (!has(c.c, c.m[i])) c.summed[summed++] = c.m[i];
  for (size_t i = 0; c.n[i]; i++)
    if (!has(c.c, c.n[i]) && !has(c.m, c.n[i])) c.summed[summed++] = c.n[i];
  c.packed = c.last && !has(c.m, c.last) && c.n[strlen(c.n) - 1] != c.last;
  for (size_t i = 0; c.c[i]; i++)
    if (has(c.m, c.c[i]) && !has(c.n, c.c[i])) c.row = c.c[i];
  for (size_t i = 0; i < summed; i++)
    if (has(c.m, c.summed[i]) && has(c.n, c.summed[i])) c.sum = c.summed[i];
  if (!c.row || !c.sum || c.extent[(unsigned char)c.row] < BLOCK || c.extent[(unsigned char)c.sum] < BLOCK) c.row = c.sum = 0;
  if (has(c.m, c.last) || !c.row) c.row = c.sum = 0;
  return c;
}

int64_t host_scratch_bytes(MlirOperation op) {
  if (!hct_op_is(op, "hct_graph.contract")) return 0;
  contraction c = analyze(NULL, op);
  return c.packed ? hct_shape_elements(&c.n_shape) * (int64_t)hct_dtype_bytes(c.n_shape.dtype) : 0;
}

/* ---- text ---- */

static void open_letter(contraction *c, char letter) {
  HOST_LINE(c->k, "affine.for %%L%c = 0 to %lld {", letter, (long long)c->extent[(unsigned char)letter]);
  c->k->depth++;
}

static void open_range(contraction *c, char letter, int64_t from, int64_t to, int64_t step) {
  HOST_LINE(c->k, "affine.for %%L%c = %lld to %lld step %lld {", letter, (long long)from, (long long)to, (long long)step);
  c->k->depth++;
}

/* "%a, %b + 2": the index of an element, where the letters of the blocks are offset. */
static const char *index_of(contraction *c, const char *letters, int row_offset, int sum_offset) {
  const char *index = "";
  for (size_t i = 0; letters[i]; i++) {
    int offset = letters[i] == c->row ? row_offset : letters[i] == c->sum ? sum_offset : 0;
    index = hct_arena_printf(c->k->arena, "%s%s%%L%c + %d", index, i ? ", " : "", letters[i], offset);
  }
  return index;
}

static void emit_pack(contraction *c) {
  char letters[HCT_MAX_RANK + 1];
  hct_shape shape = c->n_shape;
  pack_order(c, letters, &shape);
  HOST_LINE(c->k, "%%zero_index = arith.constant 0 : index");
  HOST_LINE(c->k, "%%p = memref.view %%s[%%zero_index][] : memref<%lldxi8> to %s", (long long)(hct_shape_elements(&shape) * (int64_t)hct_dtype_bytes(shape.dtype)), host_memref(c->k, &shape));
  for (size_t i = 0; c->n[i]; i++) open_letter(c, c->n[i]);
  host_store(c->k, host_load(c->k, c->n_name, &c->n_shape, index_of(c, c->n, 0, 0)), "p", &shape, index_of(c, letters, 0, 0));
  host_close(c->k, strlen(c->n));
  c->n_shape = shape;
  c->n_name = "p";
  memcpy(c->n, letters, sizeof c->n);
}

static host_value multiply_add(host_kernel *k, host_value a, host_value b, host_value sum) {
  host_value product = host_value_new(k, a.type), v = host_value_new(k, a.type);
  const char *type = host_type_name(a.type);
  HOST_LINE(k, "%%v%d = arith.mulf %%v%d, %%v%d fastmath<contract> : %s", product.id, a.id, b.id, type);
  HOST_LINE(k, "%%v%d = arith.addf %%v%d, %%v%d fastmath<contract> : %s", v.id, sum.id, product.id, type);
  return v;
}

/* rows x sums products into the result, for one position of all outer loops. */
static void emit_inner(contraction *c, int rows, int sums, const char *panel) {
  host_kernel *k = c->k;
  host_value a[BLOCK][BLOCK], b[BLOCK];
  for (int r = 0; r < rows; r++)
    for (int s = 0; s < sums; s++) a[r][s] = host_load(k, c->m_name, &c->m_shape, index_of(c, c->m, r, s));
  if (panel) {
    HOST_LINE(k, "affine.for %%L%c = affine_map<(d0) -> (d0)>(%s) to min affine_map<(d0) -> (d0 + %d, %lld)>(%s) {", c->last, panel, PANEL, (long long)c->extent[(unsigned char)c->last], panel);
    k->depth++;
  } else {
    open_letter(c, c->last);
  }
  for (int s = 0; s < sums; s++) b[s] = host_load(k, c->n_name, &c->n_shape, index_of(c, c->n, 0, s));
  for (int r = 0; r < rows; r++) {
    host_value sum = host_load(k, "o0", &c->c_shape, index_of(c, c->c, r, 0));
    for (int s = 0; s < sums; s++) sum = multiply_add(k, a[r][s], b[s], sum);
    host_store(k, sum, "o0", &c->c_shape, index_of(c, c->c, r, 0));
  }
  host_close(k, 1);
}

static void emit_blocked(contraction *c) {
  host_kernel *k = c->k;
  int64_t rows = c->extent[(unsigned char)c->row], sums = c->extent[(unsigned char)c->sum], row_end = rows / BLOCK * BLOCK, sum_end = sums / BLOCK * BLOCK;
  size_t outer = 0;
  for (size_t i = 0; c->c[i]; i++)
    if (c->c[i] != c->row && c->c[i] != c->last) open_letter(c, c->c[i]), outer++;
  bool panels = c->extent[(unsigned char)c->last] > PANEL;
  if (panels) {
    HOST_LINE(k, "affine.for %%panel = 0 to %lld step %d {", (long long)c->extent[(unsigned char)c->last], PANEL);
    k->depth++, outer++;
  }
  for (int part = 0; part < 2; part++) { /* fours, then the rest */
    if (part ? row_end == rows : row_end == 0) continue;
    open_range(c, c->row, part ? row_end : 0, part ? rows : row_end, part ? 1 : BLOCK);
    size_t others = 0;
    for (size_t i = 0; c->summed[i]; i++)
      if (c->summed[i] != c->sum) open_letter(c, c->summed[i]), others++;
    for (int rest = 0; rest < 2; rest++) {
      if (rest ? sum_end == sums : sum_end == 0) continue;
      open_range(c, c->sum, rest ? sum_end : 0, rest ? sums : sum_end, rest ? 1 : BLOCK);
      emit_inner(c, part ? 1 : BLOCK, rest ? 1 : BLOCK, panels ? "%panel" : NULL);
      host_close(k, 1);
    }
    host_close(k, others + 1);
  }
  host_close(k, outer);
}

static void emit_plain(contraction *c) {
  size_t open = 0;
  for (size_t i = 0; c->c[i]; i++)
    if (c->c[i] != c->last) open_letter(c, c->c[i]), open++;
  for (size_t i = 0; c->summed[i]; i++) open_letter(c, c->summed[i]), open++;
  if (c->last) open_letter(c, c->last), open++;
  host_value a = host_load(c->k, c->m_name, &c->m_shape, index_of(c, c->m, 0, 0)), b = host_load(c->k, c->n_name, &c->n_shape, index_of(c, c->n, 0, 0));
  host_value sum = host_load(c->k, "o0", &c->c_shape, index_of(c, c->c, 0, 0));
  host_store(c->k, multiply_add(c->k, a, b, sum), "o0", &c->c_shape, index_of(c, c->c, 0, 0));
  host_close(c->k, open);
}

void host_emit_contract(host_kernel *k, MlirOperation op) {
  contraction c = analyze(k, op);
  host_value zero = host_float(k, host_compute_type(c.c_shape.dtype), 0);
  for (size_t i = 0; c.c[i]; i++) open_letter(&c, c.c[i]);
  host_store(k, zero, "o0", &c.c_shape, index_of(&c, c.c, 0, 0));
  host_close(k, strlen(c.c));
  if (c.packed) emit_pack(&c);
  if (c.row) emit_blocked(&c);
  else emit_plain(&c);
}
