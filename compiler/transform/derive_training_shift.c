/* Recognises the shift of a log-sum-exp or softmax written in primitives:
 *
 *   m = max z;  d = z - m;  e = exp d;  s = sum e;  l = log s
 *
 * where m is used only in d and in l + m, d only in e and in d - l, e only in s and in e / s, and l only as said. Each of these
 * results is the same for every m, so the gradient of m is zero in theory; deriving it would compute rounding noise, and
 * exchange it between the dies that share a vocabulary. Reshapes on the way do not matter. */
#include <string.h>

#include "compiler/transform/derive_training.h"

static bool fn_is(MlirOperation op, const char *name, const char *fn) {
  return hct_op_is(op, name) && !strcmp(hct_op_str_or(op, "fn", ""), fn);
}

/* The value before reshapes. */
static MlirValue strip(MlirValue value) {
  while (mlirValueIsAOpResult(value) && hct_op_is(mlirOpResultGetOwner(value), "hct_graph.reshape"))
    value = hct_op_operand(mlirOpResultGetOwner(value), 0);
  return value;
}

typedef struct chain { /* values of the pattern, null until found */
  MlirValue z, m, d, e, s, l;
} chain;

static bool same(MlirValue a, MlirValue b) { return !mlirValueIsNull(b) && mlirValueEqual(strip(a), b); }

static bool is_pair(MlirOperation op, MlirValue a, MlirValue b) {
  return same(hct_op_operand(op, 0), a) && same(hct_op_operand(op, 1), b);
}

/* Counts the users of `value` (through reshapes) that are `name` with `fn`; the last one's result to *out_result. */
static size_t find_users(MlirValue value, const char *name, const char *fn, MlirValue *out_result) {
  size_t count = 0;
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (hct_op_is(user, "hct_graph.reshape")) count += find_users(hct_op_result(user, 0), name, fn, out_result);
    if (!fn_is(user, name, fn)) continue;
    *out_result = hct_op_result(user, 0);
    count++;
  }
  return count;
}

static MlirValue only_user(MlirValue value, const char *name, const char *fn) {
  MlirValue found = {NULL};
  return find_users(value, name, fn, &found) == 1 ? found : (MlirValue){NULL};
}

static bool same_axes(MlirOperation a, MlirOperation b) {
  int64_t left[HCT_MAX_RANK], right[HCT_MAX_RANK];
  size_t count = hct_op_i64s(a, "axes", left, HCT_MAX_RANK);
  return count == hct_op_i64s(b, "axes", right, HCT_MAX_RANK) && !memcmp(left, right, count * sizeof(*left));
}

static bool user_fits(const chain *c, MlirOperation user) {
  if (fn_is(user, "hct_graph.map2", "sub"))
    return is_pair(user, c->z, c->m) ? mlirValueEqual(hct_op_result(user, 0), c->d) : is_pair(user, c->d, c->l);
  if (fn_is(user, "hct_graph.map2", "add")) return is_pair(user, c->l, c->m) || is_pair(user, c->m, c->l);
  if (fn_is(user, "hct_graph.map2", "div")) return is_pair(user, c->e, c->s);
  if (fn_is(user, "hct_graph.map1", "exp")) return mlirValueEqual(hct_op_result(user, 0), c->e);
  if (fn_is(user, "hct_graph.map1", "log")) return !mlirValueIsNull(c->l) && mlirValueEqual(hct_op_result(user, 0), c->l);
  return hct_op_is(user, "hct_graph.reduce") && mlirValueEqual(hct_op_result(user, 0), c->s);
}

static bool users_fit(const chain *c, MlirValue value) {
  if (mlirValueIsNull(value)) return true;
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    bool fits = hct_op_is(user, "hct_graph.reshape") ? users_fit(c, hct_op_result(user, 0)) : user_fits(c, user);
    if (!fits) return false;
  }
  return true;
}

bool hct_training_is_shift(MlirOperation op) {
  if (!hct_op_is(op, "hct_graph.reduce") || strcmp(hct_op_str(op, "kind"), "max")) return false;
  chain c = {.z = strip(hct_op_operand(op, 0)), .m = hct_op_result(op, 0)};
  if (!mlirValueEqual(c.z, hct_op_operand(op, 0))) return false;
  c.d = only_user(c.m, "hct_graph.map2", "sub");
  if (mlirValueIsNull(c.d) || !is_pair(mlirOpResultGetOwner(c.d), c.z, c.m)) return false;
  c.e = only_user(c.d, "hct_graph.map1", "exp");
  if (mlirValueIsNull(c.e)) return false;
  c.s = only_user(c.e, "hct_graph.reduce", "");
  if (mlirValueIsNull(c.s)) return false;
  MlirOperation sum = mlirOpResultGetOwner(c.s);
  if (strcmp(hct_op_str(sum, "kind"), "sum") || !same_axes(op, sum)) return false;
  c.l = only_user(c.s, "hct_graph.map1", "log");
  return users_fit(&c, c.m) && users_fit(&c, c.d) && users_fit(&c, c.e) && users_fit(&c, c.s) && users_fit(&c, c.l);
}
