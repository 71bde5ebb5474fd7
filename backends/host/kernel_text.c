/* Writing of kernel text: loops, element loads and stores, constants, conversions, elementwise functions. */
#include <math.h>
#include <string.h>

#include "backends/host/host.h"

void host_indent(host_kernel *k) { hct_text_printf(&k->text, "%*s", 2 + 2 * k->depth, ""); }

hct_dtype host_compute_type(hct_dtype dtype) { return hct_dtype_is_float(dtype) && dtype != HCT_F64 ? HCT_F32 : hct_dtype_computed(dtype); }

const char *host_type_name(hct_dtype dtype) {
  if (hct_dtype_format(dtype) || hct_dtype_bits(dtype) < 8) return "i8"; /* in memory */
  return hct_dtype_name(dtype) + (hct_dtype_is_unsigned(dtype) ? strlen("u") : 0);
}

const char *host_memref(host_kernel *k, const hct_shape *shape) {
  hct_text text = {0};
  hct_text_printf(&text, "memref<");
  for (size_t i = 0; i < shape->rank; i++) hct_text_printf(&text, "%lldx", (long long)shape->dims[i]);
  hct_text_printf(&text, "%s>", host_type_name(shape->dtype));
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
  else HOST_LINE(k, "%%v%d = arith.constant %lld : %s", v.id, (long long)value, host_type_name(type));
  return v;
}

host_value host_extreme(host_kernel *k, hct_dtype type, bool largest) {
  if (hct_dtype_is_float(type)) return host_float(k, type, largest ? HUGE_VAL : -HUGE_VAL);
  host_value v = host_value_new(k, type);
  unsigned bits = 8 * (unsigned)hct_dtype_bytes(type);
  int64_t least = hct_dtype_is_unsigned(type) ? 0 : INT64_MIN >> (64 - bits); /* the largest is its complement */
  HOST_LINE(k, "%%v%d = arith.constant %lld : %s", v.id, (long long)(largest ? ~least : least), host_type_name(type));
  return v;
}

host_value host_select(host_kernel *k, host_value condition, host_value a, host_value b) {
  host_value v = host_value_new(k, a.type);
  HOST_LINE(k, "%%v%d = arith.select %%v%d, %%v%d, %%v%d : %s", v.id, condition.id, a.id, b.id, host_type_name(a.type));
  return v;
}

host_value host_unary(host_kernel *k, const char *instruction, host_value a) {
  host_value v = host_value_new(k, a.type);
  HOST_LINE(k, "%%v%d = %s %%v%d : %s", v.id, instruction, a.id, host_type_name(a.type));
  return v;
}

host_value host_binary(host_kernel *k, const char *instruction, host_value a, host_value b) {
  host_value v = host_value_new(k, a.type);
  HOST_LINE(k, "%%v%d = %s %%v%d, %%v%d : %s", v.id, instruction, a.id, b.id, host_type_name(a.type));
  return v;
}

host_value host_compare(host_kernel *k, const char *predicate, host_value a, host_value b) {
  host_value v = host_value_new(k, HCT_BOOL);
  HOST_LINE(k, "%%v%d = arith.%s, %%v%d, %%v%d : %s", v.id, predicate, a.id, b.id, host_type_name(a.type));
  return v;
}

host_value host_cast(host_kernel *k, const char *instruction, host_value a, hct_dtype type) {
  host_value v = host_value_new(k, type);
  HOST_LINE(k, "%%v%d = arith.%s %%v%d : %s to %s", v.id, instruction, a.id, host_type_name(a.type), host_type_name(type));
  return v;
}

host_value host_convert(host_kernel *k, host_value a, hct_dtype type) {
  if (a.type == type) return a;
  if (hct_dtype_format(a.type)) return host_convert(k, host_decode(k, (host_value){a.id, HCT_I8}, a.type), type);
  if (hct_dtype_format(type)) return (host_value){host_encode(k, host_convert(k, a, HCT_F32), type).id, type};
  if (type == HCT_BOOL) return host_compare(k, hct_dtype_is_float(a.type) ? "cmpf une" : "cmpi ne", a, host_float(k, a.type, 0));
  bool wider = hct_dtype_bytes(type) > hct_dtype_bytes(a.type);
  if (hct_dtype_is_float(a.type) && hct_dtype_is_float(type)) return host_cast(k, wider ? "extf" : "truncf", a, type);
  if (hct_dtype_is_float(a.type) && type == HCT_U64) return host_cast(k, "fptoui", a, type);
  bool direct = type == HCT_I64 || type == HCT_I32; /* fptosi to a type that lacks the number gives whatever the processor does */
  if (hct_dtype_is_float(a.type)) return host_convert(k, host_cast(k, "fptosi", a, direct ? type : HCT_I64), type);
  bool natural = a.type == HCT_BOOL || hct_dtype_is_unsigned(a.type);
  if (hct_dtype_is_float(type)) return host_cast(k, natural ? "uitofp" : "sitofp", a, type);
  if (hct_dtype_bytes(type) == hct_dtype_bytes(a.type) && a.type != HCT_BOOL) return (host_value){a.id, type}; /* the same bits */
  return host_cast(k, !wider && a.type != HCT_BOOL ? "trunci" : natural ? "extui" : "extsi", a, type);
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

static host_value sign(host_kernel *k, host_value a) {
  bool floats = hct_dtype_is_float(a.type);
  host_value zero = host_float(k, a.type, 0), one = host_float(k, a.type, 1), minus = host_float(k, a.type, -1);
  host_value below = host_select(k, host_compare(k, floats ? "cmpf olt" : "cmpi slt", a, zero), minus, a);
  return host_select(k, host_compare(k, floats ? "cmpf ogt" : "cmpi sgt", a, zero), one, below);
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
  hct_narrowing narrowing;
  if (!strcmp(fn, "narrow") && hct_narrowing_parse(scalar, &narrowing)) return host_narrow(k, a, narrowing);
  host_value s = host_float(k, a.type, scalar);
  if (!strcmp(fn, "adds")) return host_binary(k, "arith.addf", a, s);
  if (!strcmp(fn, "muls")) return host_binary(k, "arith.mulf", a, s);
  if (!strcmp(fn, "pows")) return host_binary(k, "math.powf", a, s);
  return (host_value){-1, a.type};
}

static host_value integer_map1(host_kernel *k, const char *fn, host_value a, double scalar) {
  if (!strcmp(fn, "not")) {
    host_value one = host_float(k, HCT_BOOL, 1);
    return host_binary(k, "arith.xori", host_convert(k, a, HCT_BOOL), one);
  }
  if (a.type == HCT_BOOL) return (host_value){-1, a.type};
  if (!strcmp(fn, "neg")) return host_binary(k, "arith.subi", host_float(k, a.type, 0), a);
  if (!strcmp(fn, "abs")) return host_unary(k, "math.absi", a);
  if (!strcmp(fn, "sign")) return sign(k, a);
  if (!strcmp(fn, "relu")) return host_binary(k, "arith.maxsi", a, host_float(k, a.type, 0));
  if (!strcmp(fn, "floor") || !strcmp(fn, "round")) return a;
  hct_narrowing narrowing;
  if (!strcmp(fn, "narrow") && hct_narrowing_parse(scalar, &narrowing)) return host_narrow(k, a, narrowing);
  if (!strcmp(fn, "adds")) return host_binary(k, "arith.addi", a, host_float(k, a.type, scalar));
  if (!strcmp(fn, "muls")) return host_binary(k, "arith.muli", a, host_float(k, a.type, scalar));
  return (host_value){-1, a.type};
}

host_value host_map1(host_kernel *k, const char *fn, host_value a, double scalar, hct_dtype result) {
  host_value v = !strcmp(fn, "mov") ? a : hct_dtype_is_float(a.type) ? float_map1(k, fn, a, scalar) : integer_map1(k, fn, a, scalar);
  return v.id < 0 ? v : host_convert(k, v, host_compute_type(result));
}

/* Quotient or remainder, without the operands on which a processor traps: by 0 both are 0, and by -1 the quotient is -a modulo 2^bits. */
static host_value integer_division(host_kernel *k, const char *instruction, bool quotient, host_value a, host_value b) {
  host_value zero = host_float(k, a.type, 0), one = host_float(k, a.type, 1), by_zero = host_compare(k, "cmpi eq", b, zero), divisor = host_select(k, by_zero, one, b);
  if (hct_dtype_is_unsigned(a.type)) return host_select(k, by_zero, zero, host_binary(k, instruction, a, divisor));
  host_value by_minus_one = host_compare(k, "cmpi eq", b, host_float(k, a.type, -1));
  host_value result = host_binary(k, instruction, a, host_select(k, by_minus_one, one, divisor));
  if (quotient) result = host_select(k, by_minus_one, host_binary(k, "arith.subi", zero, a), result);
  return host_select(k, by_zero, zero, result);
}

host_value host_map2(host_kernel *k, const char *fn, host_value a, host_value b) {
  static const struct { const char *fn, *floats, *integers, *naturals; } direct[] = {
      {"add", "arith.addf", "arith.addi", "arith.addi"},       {"sub", "arith.subf", "arith.subi", "arith.subi"},       {"mul", "arith.mulf", "arith.muli", "arith.muli"},
      {"div", "arith.divf", "arith.divsi", "arith.divui"},     {"fmod", "arith.remf", "arith.remsi", "arith.remui"},    {"max", "arith.maximumf", "arith.maxsi", "arith.maxui"},
      {"min", "arith.minimumf", "arith.minsi", "arith.minui"}, {"pow", "math.powf", "math.ipowi", "math.ipowi"},        {"and", NULL, "arith.andi", "arith.andi"},
      {"or", NULL, "arith.ori", "arith.ori"},                  {"bit_and", NULL, "arith.andi", "arith.andi"},           {"bit_or", NULL, "arith.ori", "arith.ori"},
      {"bit_xor", NULL, "arith.xori", "arith.xori"},           {"eq", "cmpf oeq", "cmpi eq", "cmpi eq"},                {"lt", "cmpf olt", "cmpi slt", "cmpi ult"},
      {"le", "cmpf ole", "cmpi sle", "cmpi ule"}};
  bool natural = hct_dtype_is_unsigned(a.type) || a.type == HCT_BOOL; /* true is above false */
  if (!strcmp(fn, "exp_sub")) return host_map1(k, "exp", host_binary(k, "arith.subf", a, b), 0, a.type);
  for (size_t i = 0; i < HCT_COUNT(direct); i++) {
    const char *instruction = hct_dtype_is_float(a.type) ? direct[i].floats : natural ? direct[i].naturals : direct[i].integers;
    if (strcmp(direct[i].fn, fn) || !instruction) continue;
    bool quotient = !strcmp(fn, "div");
    if (!hct_dtype_is_float(a.type) && (quotient || !strcmp(fn, "fmod"))) return integer_division(k, instruction, quotient, a, b);
    return strncmp(instruction, "cmp", 3) ? host_binary(k, instruction, a, b) : host_compare(k, instruction, a, b);
  }
  return (host_value){-1, a.type};
}
