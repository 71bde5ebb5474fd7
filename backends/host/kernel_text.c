/* Writing of kernel text: loops, element loads and stores, constants, conversions, elementwise functions. */
#include <string.h>

#include "backends/host/host.h"

void host_indent(host_kernel *k) { hct_text_printf(&k->text, "%*s", 2 + 2 * k->depth, ""); }

hct_dtype host_compute_type(hct_dtype dtype) { return hct_dtype_is_float(dtype) && dtype != HCT_F64 ? HCT_F32 : dtype; }

const char *host_memref(host_kernel *k, const hct_shape *shape) {
  hct_text text = {0};
  hct_text_printf(&text, "memref<");
  for (size_t i = 0; i < shape->rank; i++) hct_text_printf(&text, "%lldx", (long long)shape->dims[i]);
  hct_text_printf(&text, "%s>", hct_dtype_name(shape->dtype));
  const char *copy = hct_arena_strdup(k->arena, text.data);
  hct_text_fini(&text);
  return copy;
}

host_value host_value_new(host_kernel *k, hct_dtype type) { return (host_value){k->next++, type}; }

host_value host_float(host_kernel *k, hct_dtype type, double value) {
  host_value v = host_value_new(k, type);
  uint64_t wide;
  uint32_t narrow;
  float single = (float)value;
  memcpy(&wide, &value, sizeof wide);
  memcpy(&narrow, &single, sizeof narrow);
  /* floats by their bits: exact, and infinities have no other form */
  if (type == HCT_F64) HOST_LINE(k, "%%v%d = arith.constant 0x%016llX : f64", v.id, (unsigned long long)wide);
  else if (type == HCT_F32) HOST_LINE(k, "%%v%d = arith.constant 0x%08X : f32", v.id, narrow);
  else HOST_LINE(k, "%%v%d = arith.constant %lld : %s", v.id, (long long)value, hct_dtype_name(type));
  return v;
}

host_value host_unary(host_kernel *k, const char *instruction, host_value a) {
  host_value v = host_value_new(k, a.type);
  HOST_LINE(k, "%%v%d = %s %%v%d : %s", v.id, instruction, a.id, hct_dtype_name(a.type));
  return v;
}

host_value host_binary(host_kernel *k, const char *instruction, host_value a, host_value b) {
  host_value v = host_value_new(k, a.type);
  HOST_LINE(k, "%%v%d = %s %%v%d, %%v%d : %s", v.id, instruction, a.id, b.id, hct_dtype_name(a.type));
  return v;
}

static host_value compare(host_kernel *k, const char *predicate, host_value a, host_value b) {
  host_value v = host_value_new(k, HCT_BOOL);
  HOST_LINE(k, "%%v%d = arith.%s %s, %%v%d, %%v%d : %s", v.id, hct_dtype_is_float(a.type) ? "cmpf" : "cmpi", predicate, a.id, b.id, hct_dtype_name(a.type));
  return v;
}

static host_value cast(host_kernel *k, const char *instruction, host_value a, hct_dtype type) {
  host_value v = host_value_new(k, type);
  HOST_LINE(k, "%%v%d = arith.%s %%v%d : %s to %s", v.id, instruction, a.id, hct_dtype_name(a.type), hct_dtype_name(type));
  return v;
}

host_value host_convert(host_kernel *k, host_value a, hct_dtype type) {
  if (a.type == type) return a;
  if (type == HCT_BOOL) return compare(k, hct_dtype_is_float(a.type) ? "une" : "ne", a, host_float(k, a.type, 0));
  bool wider = hct_dtype_bytes(type) > hct_dtype_bytes(a.type);
  if (hct_dtype_is_float(a.type) && hct_dtype_is_float(type)) return cast(k, wider ? "extf" : "truncf", a, type);
  if (hct_dtype_is_float(a.type)) return cast(k, "fptosi", a, type);
  if (hct_dtype_is_float(type)) return cast(k, a.type == HCT_BOOL ? "uitofp" : "sitofp", a, type);
  return cast(k, !wider ? "trunci" : a.type == HCT_BOOL ? "extui" : "extsi", a, type);
}

host_value host_load(host_kernel *k, const char *name, const hct_shape *shape, const char *index) {
  host_value v = host_value_new(k, shape->dtype);
  HOST_LINE(k, "%%v%d = affine.load %%%s[%s] : %s", v.id, name, index, host_memref(k, shape));
  return host_convert(k, v, host_compute_type(shape->dtype));
}

void host_store(host_kernel *k, host_value value, const char *name, const hct_shape *shape, const char *index) {
  host_value v = host_convert(k, value, shape->dtype);
  HOST_LINE(k, "affine.store %%v%d, %%%s[%s] : %s", v.id, name, index, host_memref(k, shape));
}

void host_open(host_kernel *k, const char *prefix, size_t rank, const int64_t *dims) {
  for (size_t i = 0; i < rank; i++) {
    HOST_LINE(k, "affine.for %%%s%zu = 0 to %lld {", prefix, i, (long long)dims[i]);
    k->depth++;
  }
}

void host_close(host_kernel *k, size_t count) {
  for (size_t i = 0; i < count; i++) {
    k->depth--;
    HOST_LINE(k, "}");
  }
}

const char *host_index(host_kernel *k, const char *prefix, size_t rank) {
  const char *index = "";
  for (size_t i = 0; i < rank; i++) index = hct_arena_printf(k->arena, "%s%s%%%s%zu", index, i ? ", " : "", prefix, i);
  return index;
}

const char *host_index_broadcast(host_kernel *k, const char *prefix, size_t rank, const hct_shape *operand) {
  const char *index = "";
  for (size_t i = 0; i < operand->rank; i++) {
    const char *comma = i ? ", " : "";
    if (operand->dims[i] == 1) index = hct_arena_printf(k->arena, "%s%s0", index, comma);
    else index = hct_arena_printf(k->arena, "%s%s%%%s%zu", index, comma, prefix, rank - operand->rank + i);
  }
  return index;
}

/* ---- elementwise functions ---- */

static host_value choose(host_kernel *k, host_value condition, host_value a, host_value b) {
  host_value v = host_value_new(k, a.type);
  HOST_LINE(k, "%%v%d = arith.select %%v%d, %%v%d, %%v%d : %s", v.id, condition.id, a.id, b.id, hct_dtype_name(a.type));
  return v;
}

static host_value sign(host_kernel *k, host_value a) {
  bool floats = hct_dtype_is_float(a.type);
  host_value zero = host_float(k, a.type, 0), one = host_float(k, a.type, 1), minus = host_float(k, a.type, -1);
  host_value below = choose(k, compare(k, floats ? "olt" : "slt", a, zero), minus, a);
  return choose(k, compare(k, floats ? "ogt" : "sgt", a, zero), one, below);
}

static host_value float_map1(host_kernel *k, const char *fn, host_value a, double scalar) {
  static const struct { const char *fn, *instruction; } direct[] = {
      {"neg", "arith.negf"}, {"abs", "math.absf"}, {"exp", "math.exp"}, {"log", "math.log"}, {"sqrt", "math.sqrt"}, {"tanh", "math.tanh"},
      {"erf", "math.erf"},   {"sin", "math.sin"},  {"cos", "math.cos"}, {"floor", "math.floor"},
      {"round", "math.roundeven"}, {"tan", "math.tan"}, {"asin", "math.asin"}, {"acos", "math.acos"}, {"atan", "math.atan"}, {"sinh", "math.sinh"}, {"cosh", "math.cosh"},
      {"asinh", "math.asinh"}, {"acosh", "math.acosh"}, {"atanh", "math.atanh"}, {"expm1", "math.expm1"}, {"log1p", "math.log1p"}};
  for (size_t i = 0; i < HCT_COUNT(direct); i++)
    if (!strcmp(direct[i].fn, fn)) return host_unary(k, direct[i].instruction, a);
  host_value one = host_float(k, a.type, 1);
  if (!strcmp(fn, "rsqrt")) return host_binary(k, "arith.divf", one, host_unary(k, "math.sqrt", a));
  if (!strcmp(fn, "reciprocal")) return host_binary(k, "arith.divf", one, a);
  if (!strcmp(fn, "sigmoid")) {
    host_value e = host_unary(k, "math.exp", host_unary(k, "arith.negf", a));
    return host_binary(k, "arith.divf", one, host_binary(k, "arith.addf", one, e));
  }
  if (!strcmp(fn, "sign")) return sign(k, a);
  if (!strcmp(fn, "relu")) return host_binary(k, "arith.maximumf", a, host_float(k, a.type, 0));
  host_value s = host_float(k, a.type, scalar);
  if (!strcmp(fn, "adds")) return host_binary(k, "arith.addf", a, s);
  if (!strcmp(fn, "muls")) return host_binary(k, "arith.mulf", a, s);
  if (!strcmp(fn, "pows")) return host_binary(k, "math.powf", a, s);
  return (host_value){-1, a.type};
}

static host_value integer_map1(host_kernel *k, const char *fn, host_value a, double scalar) {
  if (!strcmp(fn, "not")) return host_binary(k, "arith.xori", host_convert(k, a, HCT_BOOL), host_float(k, HCT_BOOL, 1));
  if (a.type == HCT_BOOL) return (host_value){-1, a.type};
  if (!strcmp(fn, "neg")) return host_binary(k, "arith.subi", host_float(k, a.type, 0), a);
  if (!strcmp(fn, "abs")) return host_unary(k, "math.absi", a);
  if (!strcmp(fn, "sign")) return sign(k, a);
  if (!strcmp(fn, "relu")) return host_binary(k, "arith.maxsi", a, host_float(k, a.type, 0));
  if (!strcmp(fn, "floor") || !strcmp(fn, "round")) return a;
  if (!strcmp(fn, "adds")) return host_binary(k, "arith.addi", a, host_float(k, a.type, scalar));
  if (!strcmp(fn, "muls")) return host_binary(k, "arith.muli", a, host_float(k, a.type, scalar));
  return (host_value){-1, a.type};
}

host_value host_map1(host_kernel *k, const char *fn, host_value a, double scalar, hct_dtype result) {
  host_value v = !strcmp(fn, "mov") ? a : hct_dtype_is_float(a.type) ? float_map1(k, fn, a, scalar) : integer_map1(k, fn, a, scalar);
  return v.id < 0 ? v : host_convert(k, v, host_compute_type(result));
}

host_value host_map2(host_kernel *k, const char *fn, host_value a, host_value b) {
  static const struct { const char *fn, *floats, *integers; } direct[] = {
      {"add", "arith.addf", "arith.addi"},     {"sub", "arith.subf", "arith.subi"},     {"mul", "arith.mulf", "arith.muli"}, {"div", "arith.divf", "arith.divsi"},
      {"max", "arith.maximumf", "arith.maxsi"}, {"min", "arith.minimumf", "arith.minsi"}, {"pow", "math.powf", "math.ipowi"},
      {"and", NULL, "arith.andi"},             {"or", NULL, "arith.ori"},                {"fmod", "arith.remf", "arith.remsi"},
      {"bit_and", NULL, "arith.andi"},         {"bit_or", NULL, "arith.ori"},            {"bit_xor", NULL, "arith.xori"}};
  static const struct { const char *fn, *floats, *integers; } predicates[] = {{"eq", "oeq", "eq"}, {"lt", "olt", "slt"}, {"le", "ole", "sle"}};
  for (size_t i = 0; i < HCT_COUNT(predicates); i++)
    if (!strcmp(predicates[i].fn, fn)) {
      if (a.type == HCT_BOOL) a = host_convert(k, a, HCT_I32), b = host_convert(k, b, HCT_I32); /* true is above false */
      return compare(k, hct_dtype_is_float(a.type) ? predicates[i].floats : predicates[i].integers, a, b);
    }
  for (size_t i = 0; i < HCT_COUNT(direct); i++) {
    const char *instruction = hct_dtype_is_float(a.type) ? direct[i].floats : direct[i].integers;
    if (!strcmp(direct[i].fn, fn) && instruction) return host_binary(k, instruction, a, b);
  }
  return (host_value){-1, a.type};
}
