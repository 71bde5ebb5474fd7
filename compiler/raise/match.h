/* Matching of what exporters spell in many ways: values followed back through the primitive operators of the graph level. */
#ifndef HCT_COMPILER_RAISE_MATCH_H
#define HCT_COMPILER_RAISE_MATCH_H

#include "ir/dialect/ir.h"

enum { MATCH_MAX_OPS = 96, MATCH_MAX_FACTORS = 8 };

/* One attempt: the operators that it has gone through, its root first, and roundings to f16 or bf16 between them. An alternative that fails sets `count` back to what it was. */
typedef struct match {
  MlirOperation ops[MATCH_MAX_OPS];
  size_t count;
} match;

hct_shape match_shape(MlirValue value);
bool match_scalar(MlirValue value, double *out_scalar); /* a float constant whose elements are all the same */
bool match_same(MlirValue a, MlirValue b);              /* one value, or the same operators on the same values */
/* Whether `value` is made by operator `name`, and, where `fn` is not NULL, by this fn or kind of it. */
bool match_op(match *m, MlirValue value, const char *name, const char *fn, MlirOperation *out_op);

/* A value as a product: coefficient * factors / denominators. Powers 2 and 3 are factors two and three times. */
typedef struct product {
  double coefficient;
  MlirValue factors[MATCH_MAX_FACTORS], denominators[MATCH_MAX_FACTORS];
  size_t factor_count, denominator_count;
} product;
bool match_product(match *m, MlirValue value, product *out_product); /* false: too many factors */
/* A value as c0 + c1 x + c2 x^2 + c3 x^3, whatever sums, products and powers spell it. */
bool match_polynomial(match *m, MlirValue value, MlirValue x, double out_coefficients[4]);
/* A value as constant + coefficient * function(argument), function of MAP1. */
bool match_affine(match *m, MlirValue value, const char *fn, double *out_constant, double *out_coefficient, MlirValue *out_argument);
bool match_near(double value, double expected); /* within what rounding a constant to f32, or writing it with five digits, does to it */
/* The mean over `axes`, ascending: what it is of. */
bool match_mean(match *m, MlirValue value, MlirValue *out_of, int64_t *out_axes, size_t *out_axis_count);
bool match_is_rounding(MlirOperation op); /* to f16 or bf16 */
bool match_is_parameter(MlirValue value); /* one of the model's weights */
bool match_is_given(MlirValue value); /* an argument or a constant, or one of these under another shape */

#endif
