/* GELU (Hendrycks and Gimpel, arXiv 1606.08415), exact and by tanh, and SiLU (Elfwing et al., arXiv 1702.03118). */
#include <math.h>

#include "compiler/raise/raise.h"

/* x / 2 (1 + erf(x / sqrt 2)), or x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
static bool match_gelu(match *m, MlirValue root, const char *fn, MlirValue *out_x) {
  product p;
  if (!match_product(m, root, &p) || p.factor_count != 2 || p.denominator_count) return false;
  for (size_t k = 0; k < 2; k++) {
    double constant, coefficient, c[4];
    MlirValue x = p.factors[1 - k], argument;
    size_t before = m->count;
    bool exact = fn[0] == 'e';
    double first = exact ? M_SQRT1_2 : M_SQRT2 * M_2_SQRTPI / 2, third = exact ? 0 : first * 0.044715;
    if (match_affine(m, p.factors[k], fn, &constant, &coefficient, &argument) && match_near(constant * p.coefficient, 0.5) && match_near(coefficient * p.coefficient, 0.5) &&
        match_polynomial(m, argument, x, c) && c[0] == 0 && c[2] == 0 && match_near(c[1], first) && (exact ? c[3] == 0 : match_near(c[3], third))) {
      *out_x = x;
      return true;
    }
    m->count = before;
  }
  return false;
}

bool raise_gelu(MlirContext context, match *m, MlirValue root, composite *out) {
  static const char *const fns[] = {"erf", "tanh"}, *const names[] = {"none", "tanh"};
  for (size_t i = 0; i < HCT_COUNT(fns); i++) {
    MlirValue x;
    size_t before = m->count;
    if (match_gelu(m, root, fns[i], &x)) {
      *out = (composite){.name = "hct_graph.gelu", .operands = {x}, .operand_count = 1, .attributes = {{"approximate", hct_attr_str(context, names[i])}}, .attribute_count = 1};
      return true;
    }
    m->count = before;
  }
  return false;
}

/* x sigmoid(x), or x / (1 + e^-x). */
bool raise_silu(MlirContext context, match *m, MlirValue root, composite *out) {
  (void)context;
  product p;
  if (!match_product(m, root, &p) || !match_near(p.coefficient, 1) || p.factor_count + p.denominator_count != 2 || p.factor_count == 0) return false;
  bool divided = p.denominator_count == 1;
  for (size_t k = 0; k < p.factor_count; k++) {
    MlirValue x = p.factors[k], other = divided ? p.denominators[0] : p.factors[1 - k], argument;
    MlirOperation op;
    double constant, coefficient, c[4];
    size_t before = m->count;
    bool fits = divided ? match_affine(m, other, "exp", &constant, &coefficient, &argument) && constant == 1 && coefficient == 1 && match_polynomial(m, argument, x, c) && c[0] == 0 && c[1] == -1 && c[2] == 0 && c[3] == 0
                        : match_op(m, other, "hct_graph.map1", "sigmoid", &op) && match_same(hct_op_operand(op, 0), x);
    if (fits) {
      *out = (composite){.name = "hct_graph.silu", .operands = {x}, .operand_count = 1};
      return true;
    }
    m->count = before;
  }
  return false;
}
