/* Products: each is a contraction, which says by letters which dimensions meet. */
#include <ctype.h>
#include <string.h>

#include "compiler/import/import_internal.h"

enum { LETTERS = 64, MAX_OPERANDS = HCT_MAX_VARIADIC };

typedef struct factor { /* an operand and a letter a dimension */
  MlirValue value;
  char letters[2 * HCT_MAX_RANK + 1];
} factor;

static char *letter_of(factor *f, char letter) { return strchr(f->letters, letter); }

static void letter_drop(char *letters, size_t at) { memmove(letters + at, letters + at + 1, strlen(letters + at)); }

/* Without its dimension `at`, which has size 1. */
static void factor_squeeze(importer *im, factor *f, size_t at) {
  hct_shape shape = shape_of(f->value);
  memmove(shape.dims + at, shape.dims + at + 1, (shape.rank - at - 1) * sizeof *shape.dims);
  f->value = build_reshape(im, f->value, shape.rank - 1, shape.dims);
  letter_drop(f->letters, at);
}

/* A size of 1 that meets another broadcasts: that operand goes without the letter. False: sizes differ otherwise. */
static bool factors_broadcast(importer *im, factor *factors, size_t count, char *out_letter) {
  int64_t sizes[128] = {0};
  for (size_t k = 0; k < count; k++) {
    hct_shape shape = shape_of(factors[k].value);
    for (size_t d = 0; d < shape.rank; d++) {
      int64_t *size = &sizes[(unsigned char)factors[k].letters[d]];
      *out_letter = factors[k].letters[d];
      if (*size > 1 && shape.dims[d] != 1 && *size != shape.dims[d]) return false;
      if (*size <= 1) *size = shape.dims[d];
    }
  }
  for (size_t k = 0; k < count; k++)
    for (size_t d = strlen(factors[k].letters); d-- > 0;)
      if (shape_of(factors[k].value).dims[d] == 1 && sizes[(unsigned char)factors[k].letters[d]] != 1) factor_squeeze(im, &factors[k], d);
  return true;
}

/* What is in neither `keep` nor `other` is summed before the product. */
static void factor_sum(importer *im, factor *f, const char *keep, const char *other) {
  int64_t axes[HCT_MAX_RANK];
  size_t count = 0;
  for (size_t d = 0; f->letters[d]; d++)
    if (!strchr(keep, f->letters[d]) && !strchr(other, f->letters[d])) axes[count++] = (int64_t)d;
  if (!count) return;
  f->value = build_reduce(im, "sum", f->value, count, axes);
  while (count-- > 0) factor_squeeze(im, f, (size_t)axes[count]);
}

/* The product of two factors under the letters `keep`, each of which one of them has. */
static factor factors_multiply(importer *im, factor *a, factor *b, const char *keep) {
  factor product = {0};
  factor_sum(im, a, keep, b->letters);
  factor_sum(im, b, keep, a->letters);
  snprintf(product.letters, sizeof product.letters, "%s", keep);
  if (!a->letters[0] || !b->letters[0]) {
    factor *whole = a->letters[0] ? a : b; /* a scalar scales */
    int64_t perm[HCT_MAX_RANK];
    for (size_t d = 0; keep[d]; d++) perm[d] = letter_of(whole, keep[d]) - whole->letters;
    product.value = build_transpose(im, build_map2(im, "mul", a->value, b->value), perm);
    return product;
  }
  product.value = build_contract(im, a->letters, b->letters, keep, a->value, b->value);
  return product;
}

static hct_status check_one_type(importer *im, MlirValue a, MlirValue b) {
  hct_dtype x = shape_of(a).dtype, y = shape_of(b).dtype;
  if (x == HCT_BOOL) return import_refuse(im, HCT_E_ONNX_TYPE, "operands of bools; integers and floats are supported");
  return x == y ? HCT_OK : import_refuse(im, HCT_E_ONNX_TYPE, "operands of types %s and %s; they must be of one", hct_dtype_name(x), hct_dtype_name(y));
}

hct_status import_matmul(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  if (!a || !b || !a->shape.rank || !b->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "operands of rank %zu and %zu; both must have 1 or more", a ? a->shape.rank : 0, b ? b->shape.rank : 0);
  int64_t x = a->shape.dims[a->shape.rank - 1], y = b->shape.dims[b->shape.rank == 1 ? 0 : b->shape.rank - 2];
  if (x != y) return import_refuse(im, HCT_E_ONNX_SHAPE, "inner dimensions are %lld and %lld", (long long)x, (long long)y);
  MlirValue left = build_value(im, a), right = build_value(im, b);
  factor factors[2] = {{.value = left}, {.value = right}};
  HCT_TRY(check_one_type(im, factors[0].value, factors[1].value));
  size_t batch_a = a->shape.rank > 2 ? a->shape.rank - 2 : 0, batch_b = b->shape.rank > 2 ? b->shape.rank - 2 : 0, batch = batch_a > batch_b ? batch_a : batch_b;
  char keep[HCT_MAX_RANK + 1] = {0};
  for (size_t d = 0; d < batch; d++) {
    char letter = (char)('a' + d);
    keep[d] = letter;
    if (d + batch_a >= batch) factors[0].letters[d + batch_a - batch] = letter;
    if (d + batch_b >= batch) factors[1].letters[d + batch_b - batch] = letter;
  }
  strcat(factors[0].letters, a->shape.rank > 1 ? "mk" : "k"), strcat(factors[1].letters, b->shape.rank > 1 ? "kn" : "k");
  strcat(keep, a->shape.rank > 1 ? "m" : ""), strcat(keep, b->shape.rank > 1 ? "n" : "");
  char wrong;
  if (!factors_broadcast(im, factors, 2, &wrong)) return import_refuse(im, HCT_E_ONNX_SHAPE, "batch dimensions do not broadcast");
  return import_output_value(im, 0, build_contract(im, factors[0].letters, factors[1].letters, keep, factors[0].value, factors[1].value));
}

hct_status import_gemm(importer *im) {
  import_value *a = import_input(im, 0), *b = import_input(im, 1), *c = import_input(im, 2);
  if (!a || !b || a->shape.rank != 2 || b->shape.rank != 2) return import_refuse(im, HCT_E_ONNX_SHAPE, "operands must be matrices");
  bool ta = import_int(im, "transA", 0) != 0, tb = import_int(im, "transB", 0) != 0;
  int64_t x = a->shape.dims[ta ? 0 : 1], y = b->shape.dims[tb ? 1 : 0];
  if (x != y) return import_refuse(im, HCT_E_ONNX_SHAPE, "inner dimensions are %lld and %lld", (long long)x, (long long)y);
  hct_shape shape = {.dtype = a->shape.dtype, .rank = 2, .dims = {a->shape.dims[ta ? 1 : 0], b->shape.dims[tb ? 0 : 1]}}, with;
  if (c && (!broadcast_shape(&shape, &c->shape, &with) || with.rank != 2 || memcmp(with.dims, shape.dims, 2 * sizeof *with.dims))) return import_refuse(im, HCT_E_ONNX_SHAPE, "C does not broadcast to the product's shape, %lldx%lld", (long long)shape.dims[0], (long long)shape.dims[1]);
  MlirValue right = build_value(im, b), left = build_value(im, a);
  HCT_TRY(check_one_type(im, left, right));
  MlirValue product = build_contract(im, ta ? "km" : "mk", tb ? "nk" : "kn", "mn", left, right);
  double alpha = (double)import_float(im, "alpha", 1), beta = (double)import_float(im, "beta", 1);
  if (alpha != 1) product = build_scaled(im, "muls", product, alpha);
  if (c) {
    MlirValue bias = build_value(im, c);
    product = build_map2(im, "add", product, beta == 1 ? bias : build_scaled(im, "muls", bias, beta));
  }
  return import_output_value(im, 0, product);
}

/* ---- einsum ---- */
typedef struct einsum {
  char terms[MAX_OPERANDS + 1][LETTERS]; /* of operands, then of the result; without blanks */
  size_t operands;
  bool explicit_result;
} einsum;

static hct_status equation_read(importer *im, const char *equation, einsum *out) {
  size_t term = 0, length = 0;
  for (const char *at = equation; *at; at++) {
    if (*at == ' ') continue;
    bool arrow = at[0] == '-' && at[1] == '>', ellipsis = !strncmp(at, "...", 3);
    if (arrow || *at == ',') {
      if (out->explicit_result || ++term + !arrow > MAX_OPERANDS) {
        term = SIZE_MAX;
        break;
      }
      out->explicit_result = arrow;
      length = 0;
      at += arrow;
      continue;
    }
    if (length + 4 > LETTERS || (!ellipsis && !isalpha((unsigned char)*at)) || (ellipsis && strchr(out->terms[term], '.'))) {
      term = SIZE_MAX;
      break;
    }
    out->terms[term][length++] = *at; /* one dot stands for an ellipsis */
    at += ellipsis ? 2 : 0;
  }
  out->operands = term == SIZE_MAX ? 0 : out->explicit_result ? term : term + 1;
  if (out->operands != im->node->n_input) return import_refuse(im, HCT_E_ONNX_INVALID, "equation '%s' is not of the form ab,bc->ac with a term for each of the %zu inputs (at most %d)", equation, im->node->n_input, MAX_OPERANDS);
  return HCT_OK;
}

/* "0123" stand for the dimensions of ellipses, right-aligned. */
static void ellipsis_spell(char *to, const char *term, size_t dims, size_t widest) {
  for (; *term; term++) {
    if (*term != '.') *to++ = *term;
    else for (size_t d = widest - dims; d < widest; d++) *to++ = (char)('0' + d);
  }
  *to = '\0';
}

/* Of a letter that is there twice, the diagonal: both dimensions together, in steps of one row and one column. */
static hct_status diagonals_take(importer *im, factor *f) {
  for (size_t i = 0; f->letters[i]; i++) {
    char *again = strchr(f->letters + i + 1, f->letters[i]);
    if (!again) continue;
    hct_shape shape = shape_of(f->value);
    size_t j = (size_t)(again - f->letters), kept = 0;
    int64_t n = shape.dims[i], perm[HCT_MAX_RANK], dims[HCT_MAX_RANK];
    if (shape.dims[j] != n) return import_refuse(im, HCT_E_ONNX_SHAPE, "'%c' is %lld and %lld in one operand", f->letters[i], (long long)n, (long long)shape.dims[j]);
    for (size_t d = 0; d < shape.rank; d++)
      if (d != i && d != j) dims[kept] = shape.dims[d], perm[kept++] = (int64_t)d;
    dims[kept] = n * n, perm[kept] = (int64_t)i, perm[kept + 1] = (int64_t)j;
    MlirValue flat = build_reshape(im, build_transpose(im, f->value, perm), kept + 1, dims);
    f->value = build_part(im, flat, kept, 0, n + 1, n);
    char letter = f->letters[i];
    letter_drop(f->letters, j), letter_drop(f->letters, i);
    f->letters[kept] = letter, f->letters[kept + 1] = '\0';
    i = SIZE_MAX; /* from the first again */
  }
  return HCT_OK;
}

static hct_status factors_read(importer *im, const einsum *e, factor *out_factors, size_t *out_widest) {
  size_t hidden[MAX_OPERANDS], widest = 0;
  for (size_t k = 0; k < e->operands; k++) {
    import_value *operand = import_input(im, k);
    if (!operand) return import_refuse(im, HCT_E_ONNX_INVALID, "input %zu is missing", k);
    bool dots = strchr(e->terms[k], '.') != NULL;
    size_t named = strlen(e->terms[k]) - dots;
    if (dots ? named > operand->shape.rank : named != operand->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "term '%s' of the equation is for another rank than %zu", e->terms[k], operand->shape.rank);
    MlirValue given = build_value(im, operand);
    HCT_TRY(check_one_type(im, build_value(im, import_input(im, 0)), given));
    hidden[k] = operand->shape.rank - named;
    if (hidden[k] > widest) widest = hidden[k];
  }
  for (size_t k = 0; k < e->operands; k++) {
    ellipsis_spell(out_factors[k].letters, e->terms[k], hidden[k], widest);
    out_factors[k].value = build_value(im, import_input(im, k));
    HCT_TRY(diagonals_take(im, &out_factors[k]));
  }
  *out_widest = widest;
  return HCT_OK;
}

/* Without an arrow: ellipses, then the letters that are there once, in the order of the alphabet. */
static void result_implied(const einsum *e, size_t widest, char *out_letters) {
  size_t seen[128] = {0}, at = 0;
  for (size_t k = 0; k < e->operands; k++)
    for (const char *c = e->terms[k]; *c; c++) seen[(unsigned char)*c]++;
  for (size_t d = 0; d < widest; d++) out_letters[at++] = (char)('0' + d);
  for (int c = 'A'; c <= 'z'; c++)
    if (seen[c] == 1 && at < HCT_MAX_RANK) out_letters[at++] = (char)c;
  out_letters[at] = '\0';
}

static hct_status result_check(importer *im, const factor *factors, size_t count, const char *result) {
  if (strlen(result) > HCT_MAX_RANK) return import_refuse(im, HCT_E_UNSUPPORTED, "a result of rank %zu; at most %d is supported", strlen(result), HCT_MAX_RANK);
  for (const char *c = result; *c; c++) {
    bool made = false;
    for (size_t k = 0; k < count; k++) made |= strchr(factors[k].letters, *c) != NULL;
    if (!made || strchr(c + 1, *c)) return import_refuse(im, HCT_E_ONNX_INVALID, "'%c' is in the result %s", *c, made ? "twice" : "and in no operand");
  }
  return HCT_OK;
}

/* Letters that the product of the first two needs to have: those of the result or of a later operand. */
static hct_status letters_needed(importer *im, const factor *factors, size_t at, size_t count, const char *result, char *out_keep) {
  size_t kept = 0;
  for (size_t k = at; k < at + 2; k++)
    for (const char *c = factors[k].letters; *c; c++) {
      bool needed = strchr(result, *c) != NULL && !memchr(out_keep, *c, kept);
      for (size_t later = at + 2; later < count; later++) needed |= strchr(factors[later].letters, *c) && !memchr(out_keep, *c, kept);
      if (!needed) continue;
      if (kept == HCT_MAX_RANK) return import_refuse(im, HCT_E_UNSUPPORTED, "a partial product of more than %d dimensions", HCT_MAX_RANK);
      out_keep[kept++] = *c;
    }
  out_keep[kept] = '\0';
  return HCT_OK;
}

static host_tensor outer_product(importer *im, const host_tensor *a, const host_tensor *b) {
  int64_t dims[] = {a->shape.dims[0], b->shape.dims[0]};
  host_tensor t = host_create(im->arena, a->shape.dtype, 2, dims);
  for (int64_t i = 0; i < dims[0]; i++)
    for (int64_t j = 0; j < dims[1]; j++) host_set(&t, i * dims[1] + j, host_get(a, i) * host_get(b, j));
  return t;
}

hct_status import_einsum(importer *im) {
  einsum e = {0};
  HCT_TRY(equation_read(im, import_string(im, "equation", ""), &e));
  import_value *a = import_input(im, 0), *b = import_input(im, 1);
  bool outer = e.operands == 2 && !strcmp(e.terms[0], "i") && !strcmp(e.terms[1], "j") && !strcmp(e.terms[2], "ij");
  if (outer && b && a->known && b->known && a->shape.rank == 1 && b->shape.rank == 1) return import_output_host(im, 0, outer_product(im, &a->host, &b->host)); /* angles of rotary embeddings */
  factor factors[MAX_OPERANDS] = {0};
  char result[LETTERS + HCT_MAX_RANK] = {0}, wrong = 0;
  size_t widest = 0;
  HCT_TRY(factors_read(im, &e, factors, &widest));
  if (e.explicit_result) ellipsis_spell(result, e.terms[e.operands], widest, widest);
  else result_implied(&e, widest, result);
  HCT_TRY(result_check(im, factors, e.operands, result));
  if (!factors_broadcast(im, factors, e.operands, &wrong)) return import_refuse(im, HCT_E_ONNX_SHAPE, "sizes of '%c' differ", wrong);
  for (size_t at = 0; at + 1 < e.operands; at++) {
    char keep[HCT_MAX_RANK + 1] = {0};
    HCT_TRY(letters_needed(im, factors, at, e.operands, result, keep));
    bool last = at + 2 == e.operands;
    factors[at + 1] = factors_multiply(im, &factors[at], &factors[at + 1], last ? result : keep);
  }
  factor *all = &factors[e.operands - 1];
  factor_sum(im, all, result, "");
  int64_t perm[HCT_MAX_RANK];
  for (size_t d = 0; result[d]; d++) perm[d] = letter_of(all, result[d]) - all->letters;
  return import_output_value(im, 0, build_transpose(im, all->value, perm));
}
