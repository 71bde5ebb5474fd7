/* Kernels of optimizer steps, after PyTorch's torch.optim (SGD, Adam, AdamW; weight decay of the first three is added to the
 * gradient). Scalars are computed in f64 and rounded once; elements in f32. Operands: p, g, states..., settings, step. */
#include <string.h>

#include "backends/host/host.h"

typedef struct update {
  host_kernel *k;
  hct_shape shape;
  const char *index;
} update;

static host_value add(update *u, host_value a, host_value b) { return host_binary(u->k, "arith.addf", a, b); }
static host_value sub(update *u, host_value a, host_value b) { return host_binary(u->k, "arith.subf", a, b); }
static host_value mul(update *u, host_value a, host_value b) { return host_binary(u->k, "arith.mulf", a, b); }
static host_value divide(update *u, host_value a, host_value b) { return host_binary(u->k, "arith.divf", a, b); }
static host_value single(update *u, host_value a) { return host_convert(u->k, a, HCT_F32); }
static host_value element(update *u, const char *name) { return host_load(u->k, name, &u->shape, u->index); }
static void set(update *u, const char *name, host_value value) { host_store(u->k, value, name, &u->shape, u->index); }

typedef struct settings { host_value lr, momentum, beta1, beta2, eps, decay, step; } settings; /* f64 */

static settings load_settings(host_kernel *k, size_t states) {
  hct_shape six = {.dtype = HCT_F32, .rank = 1, .dims = {6}}, scalar = {.dtype = HCT_F32};
  host_value v[7];
  for (int i = 0; i < 7; i++) {
    const char *name = hct_arena_printf(k->arena, "a%zu", states + (i < 6 ? 2 : 3));
    host_value loaded = i < 6 ? host_load(k, name, &six, hct_arena_printf(k->arena, "%d", i)) : host_load(k, name, &scalar, "");
    v[i] = host_convert(k, loaded, HCT_F64);
  }
  return (settings){v[0], v[1], v[2], v[3], v[4], v[5], v[6]};
}

static void emit_sgd(update *u, const settings *s, bool momentum) {
  host_value lr = single(u, s->lr), decay = single(u, s->decay), keep = single(u, s->momentum);
  host_value first = host_value_new(u->k, HCT_BOOL), zero = host_float(u->k, HCT_F64, 0);
  HOST_LINE(u->k, "%%v%d = arith.cmpf oeq, %%v%d, %%v%d : f64", first.id, s->step.id, zero.id);
  host_open(u->k, "i", u->shape.rank, u->shape.dims);
  host_value p = element(u, "a0"), g = add(u, element(u, "a1"), mul(u, decay, p));
  if (momentum) {
    host_value v = add(u, mul(u, keep, element(u, "a2")), g), chosen = host_value_new(u->k, HCT_F32);
    HOST_LINE(u->k, "%%v%d = arith.select %%v%d, %%v%d, %%v%d : f32", chosen.id, first.id, g.id, v.id);
    set(u, "o1", chosen);
    g = chosen;
  }
  set(u, "o0", sub(u, p, mul(u, lr, g)));
  host_close(u->k, u->shape.rank);
}

static void emit_adam(update *u, const settings *s, bool decoupled) {
  host_kernel *k = u->k;
  host_value one = host_float(k, HCT_F64, 1), t = add(u, s->step, one);
  host_value correction1 = sub(u, one, host_binary(k, "math.powf", s->beta1, t)), correction2 = sub(u, one, host_binary(k, "math.powf", s->beta2, t));
  host_value rate = single(u, divide(u, s->lr, correction1)), root = single(u, host_unary(k, "math.sqrt", correction2));
  host_value shrink = single(u, sub(u, one, mul(u, s->lr, s->decay))), decay = single(u, s->decay), eps = single(u, s->eps);
  host_value b1 = single(u, s->beta1), b2 = single(u, s->beta2), c1 = single(u, sub(u, one, s->beta1)), c2 = single(u, sub(u, one, s->beta2));
  host_open(k, "i", u->shape.rank, u->shape.dims);
  host_value p = element(u, "a0"), g = element(u, "a1");
  if (decoupled) p = mul(u, p, shrink);
  else g = add(u, g, mul(u, decay, p));
  host_value m = add(u, mul(u, b1, element(u, "a2")), mul(u, c1, g));
  host_value v = add(u, mul(u, b2, element(u, "a3")), mul(u, c2, mul(u, g, g)));
  set(u, "o1", m);
  set(u, "o2", v);
  host_value below = add(u, divide(u, host_unary(k, "math.sqrt", v), root), eps);
  set(u, "o0", sub(u, p, mul(u, rate, divide(u, m, below))));
  host_close(k, u->shape.rank);
}

bool host_emit_update(host_kernel *k, MlirOperation op) {
  const char *kind = hct_op_str(op, "kind");
  size_t states = (size_t)mlirOperationGetNumOperands(op) - 4;
  update u = {.k = k};
  HCT_BUG_ON(!hct_value_shape(hct_op_result(op, 0), &u.shape), "host backend: an update's parameter");
  u.index = host_index(k, "i", u.shape.rank);
  settings s = load_settings(k, states);
  if (!strcmp(kind, "sgd")) emit_sgd(&u, &s, false);
  else if (!strcmp(kind, "momentum")) emit_sgd(&u, &s, true);
  else if (!strcmp(kind, "adam")) emit_adam(&u, &s, false);
  else if (!strcmp(kind, "adamw")) emit_adam(&u, &s, true);
  else return false;
  return true;
}
