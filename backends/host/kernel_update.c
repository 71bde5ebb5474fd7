/* Kernels of optimizer steps, after PyTorch's torch.optim (SGD, Adam, AdamW; weight decay of the first three is added to the
 * gradient). Scalars are computed in f64 and rounded once; elements in f32. Operands: p, g, states..., settings, step. */
#include <string.h>

#include "backends/host/host.h"
#include "ir/isa/settings.h"

typedef struct update {
  host_kernel *k;
  hct_shape shape;
  const char *index;
  host_value scale, skipped; /* of gradients, f32; whether the step is left out */
} update;

static host_value add(update *u, host_value a, host_value b) { return host_binary(u->k, "arith.addf", a, b); }
static host_value sub(update *u, host_value a, host_value b) { return host_binary(u->k, "arith.subf", a, b); }
static host_value mul(update *u, host_value a, host_value b) { return host_binary(u->k, "arith.mulf", a, b); }
static host_value divide(update *u, host_value a, host_value b) { return host_binary(u->k, "arith.divf", a, b); }
static host_value single(update *u, host_value a) { return host_convert(u->k, a, HCT_F32); }
static host_value element(update *u, const char *name) { return host_load(u->k, name, &u->shape, u->index); }

typedef struct settings { host_value at[HCT_SETTING_COUNT], step; } settings; /* f64 */

static settings load_settings(host_kernel *k, size_t states) {
  hct_shape shape = {.dtype = HCT_F32, .rank = 1, .dims = {HCT_SETTING_COUNT}}, scalar = {.dtype = HCT_F32};
  settings s;
  for (int i = 0; i < HCT_SETTING_COUNT; i++) s.at[i] = host_convert(k, host_load(k, hct_arena_printf(k->arena, "a%zu", states + 2), &shape, hct_arena_printf(k->arena, "%d", i)), HCT_F64);
  s.step = host_convert(k, host_load(k, hct_arena_printf(k->arena, "a%zu", states + 3), &scalar, ""), HCT_F64);
  return s;
}

static host_value compare(host_kernel *k, const char *how, host_value a, host_value b) {
  host_value is = host_value_new(k, HCT_BOOL);
  HOST_LINE(k, "%%v%d = arith.cmpf %s, %%v%d, %%v%d : f64", is.id, how, a.id, b.id);
  return is;
}

/* The gradient's element, scaled. */
static host_value gradient(update *u) { return mul(u, u->scale, element(u, "a1")); }

/* A new element of `to`, or where the step is left out, the old one, of `from`. */
static void set(update *u, const char *to, const char *from, host_value value) { host_store(u->k, host_select(u->k, u->skipped, element(u, from), value), to, &u->shape, u->index); }

static void emit_sgd(update *u, const settings *s, bool momentum, bool nesterov) {
  host_value lr = single(u, s->at[HCT_SETTING_LR]), decay = single(u, s->at[HCT_SETTING_WEIGHT_DECAY]), keep = single(u, s->at[HCT_SETTING_MOMENTUM]);
  host_value first = compare(u->k, "oeq", s->step, host_float(u->k, HCT_F64, 0));
  host_open(u->k, "i", u->shape.rank, u->shape.dims);
  host_value p = element(u, "a0"), decayed = mul(u, decay, p), g = add(u, gradient(u), decayed);
  if (momentum) {
    host_value v = host_select(u->k, first, g, add(u, mul(u, keep, element(u, "a2")), g));
    set(u, "o1", "a2", v);
    g = nesterov ? add(u, g, mul(u, keep, v)) : v;
  }
  set(u, "o0", "a0", sub(u, p, mul(u, lr, g)));
  host_close(u->k, u->shape.rank);
}

static void emit_adam(update *u, const settings *s, bool decoupled) {
  host_kernel *k = u->k;
  host_value one = host_float(k, HCT_F64, 1), t = add(u, s->step, one);
  host_value correction1 = sub(u, one, host_binary(k, "math.powf", s->at[HCT_SETTING_BETA1], t)), correction2 = sub(u, one, host_binary(k, "math.powf", s->at[HCT_SETTING_BETA2], t));
  host_value rate = single(u, divide(u, s->at[HCT_SETTING_LR], correction1)), root = single(u, host_unary(k, "math.sqrt", correction2));
  host_value shrink = single(u, sub(u, one, mul(u, s->at[HCT_SETTING_LR], s->at[HCT_SETTING_WEIGHT_DECAY]))), decay = single(u, s->at[HCT_SETTING_WEIGHT_DECAY]), eps = single(u, s->at[HCT_SETTING_EPS]);
  host_value b1 = single(u, s->at[HCT_SETTING_BETA1]), b2 = single(u, s->at[HCT_SETTING_BETA2]), c1 = single(u, sub(u, one, s->at[HCT_SETTING_BETA1])), c2 = single(u, sub(u, one, s->at[HCT_SETTING_BETA2]));
  host_open(k, "i", u->shape.rank, u->shape.dims);
  host_value p = element(u, "a0"), g = gradient(u);
  if (decoupled) p = mul(u, p, shrink);
  else g = add(u, g, mul(u, decay, p));
  host_value new_m = mul(u, c1, g), m = add(u, mul(u, b1, element(u, "a2")), new_m);
  host_value new_v = mul(u, c2, mul(u, g, g)), v = add(u, mul(u, b2, element(u, "a3")), new_v);
  set(u, "o1", "a2", m);
  set(u, "o2", "a3", v);
  host_value below = add(u, divide(u, host_unary(k, "math.sqrt", v), root), eps);
  set(u, "o0", "a0", sub(u, p, mul(u, rate, divide(u, m, below))));
  host_close(k, u->shape.rank);
}

bool host_emit_update(host_kernel *k, MlirOperation op) {
  const char *kind = hct_op_str(op, "kind");
  size_t states = (size_t)mlirOperationGetNumOperands(op) - 4;
  update u = {.k = k};
  HCT_BUG_ON(!hct_value_shape(hct_op_result(op, 0), &u.shape), "host backend: an update's parameter");
  u.index = host_index(k, "i", u.shape.rank);
  settings s = load_settings(k, states);
  u.scale = single(&u, s.at[HCT_SETTING_GRADIENT_SCALE]);
  u.skipped = compare(k, "olt", s.at[HCT_SETTING_GRADIENT_SCALE], host_float(k, HCT_F64, 0));
  bool nesterov = !strcmp(kind, "nesterov");
  if (!strcmp(kind, "sgd")) emit_sgd(&u, &s, false, false);
  else if (nesterov || !strcmp(kind, "momentum")) emit_sgd(&u, &s, true, nesterov);
  else if (!strcmp(kind, "adam")) emit_adam(&u, &s, false);
  else if (!strcmp(kind, "adamw")) emit_adam(&u, &s, true);
  else return false;
  return true;
}
