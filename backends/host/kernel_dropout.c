/* The kernel of dropout: an element's number among all gives four words of Philox4x32-10, of which one decides. Operands: x, seed, step. */
#include <math.h>

#include "backends/host/host.h"

static host_value word(host_kernel *k, uint32_t bits) { return host_float(k, HCT_I32, (double)(int32_t)bits); }
static host_value exclusive(host_kernel *k, host_value a, host_value b) { return host_binary(k, "arith.xori", a, b); }

/* Low or high word of 64 bits. */
static host_value half_of(host_kernel *k, host_value a, bool high) {
  host_value shifted = high ? host_binary(k, "arith.shrui", a, host_float(k, HCT_I64, 32)) : a, v = host_value_new(k, HCT_I32);
  HOST_LINE(k, "%%v%d = arith.trunci %%v%d : i64 to i32", v.id, shifted.id);
  return v;
}

/* The two words of a product. */
static void multiply(host_kernel *k, uint32_t by, host_value a, host_value *out_low, host_value *out_high) {
  host_value constant = word(k, by);
  *out_low = host_value_new(k, HCT_I32), *out_high = host_value_new(k, HCT_I32);
  HOST_LINE(k, "%%v%d, %%v%d = arith.mului_extended %%v%d, %%v%d : i32", out_low->id, out_high->id, constant.id, a.id);
}

/* Rounds of Philox: words 1 and 3 of the counter are mixed with products of words 2 and 0; the key's words grow by constants in between. */
static void philox(host_kernel *k, host_value w[4], const host_value key[2]) {
  for (uint32_t round = 0; round < 10; round++) {
    host_value low0, high0, low2, high2;
    host_value left = host_binary(k, "arith.addi", key[0], word(k, round * UINT32_C(0x9E3779B9))), right = host_binary(k, "arith.addi", key[1], word(k, round * UINT32_C(0xBB67AE85)));
    multiply(k, UINT32_C(0xD2511F53), w[0], &low0, &high0);
    multiply(k, UINT32_C(0xCD9E8D57), w[2], &low2, &high2);
    w[0] = exclusive(k, exclusive(k, high2, w[1]), left);
    w[2] = exclusive(k, exclusive(k, high0, w[3]), right);
    w[1] = low2;
    w[3] = low0;
  }
}

/* first + sum of %i d * index[d], as an i64. */
static host_value number_of(host_kernel *k, size_t rank, const int64_t *index) {
  const char *dims = "", *sum = hct_arena_printf(k->arena, "%lld", (long long)index[rank]);
  for (size_t d = 0; d < rank; d++) {
    dims = hct_arena_printf(k->arena, "%s%sd%zu", dims, d ? ", " : "", d);
    sum = hct_arena_printf(k->arena, "%s + d%zu * %lld", sum, d, (long long)index[d]);
  }
  host_value v = host_value_new(k, HCT_I64);
  HOST_LINE(k, "%%n = affine.apply affine_map<(%s) -> (%s)>(%s)", dims, sum, host_index(k, "i", rank));
  HOST_LINE(k, "%%v%d = arith.index_cast %%n : index to i64", v.id);
  return v;
}

bool host_emit_dropout(host_kernel *k, MlirOperation op) {
  hct_shape shape, seed_shape = {.dtype = HCT_I64}, step_shape = {.dtype = HCT_F32};
  int64_t index[HCT_MAX_RANK + 1];
  double ratio = hct_op_f64_or(op, "ratio", 0);
  HCT_BUG_ON(!hct_value_shape(hct_op_result(op, 0), &shape), "host backend: the result of a dropout");
  hct_op_i64s(op, "index", index, HCT_COUNT(index));
  host_value seed = host_load(k, "a1", &seed_shape, ""), step = half_of(k, host_convert(k, host_load(k, "a2", &step_shape, ""), HCT_I64), false);
  host_value key0 = half_of(k, seed, false), key1 = half_of(k, seed, true);
  const host_value key[2] = {key0, key1};
  host_open(k, "i", shape.rank, shape.dims);
  host_value number = number_of(k, shape.rank, index), block = host_binary(k, "arith.shrui", number, host_float(k, HCT_I64, 2));
  host_value lane = host_binary(k, "arith.andi", number, host_float(k, HCT_I64, 3));
  host_value low = half_of(k, block, false), high = half_of(k, block, true), w[4] = {low, high, step, word(k, (uint32_t)hct_op_i64(op, "stream"))};
  philox(k, w, key);
  host_value drawn = w[0];
  for (int i = 1; i < 4; i++) drawn = host_select(k, host_map2(k, "eq", lane, host_float(k, HCT_I64, i)), w[i], drawn);
  host_value wide = host_value_new(k, HCT_I64);
  HOST_LINE(k, "%%v%d = arith.extui %%v%d : i32 to i64", wide.id, drawn.id);
  host_value kept = host_map2(k, "le", host_float(k, HCT_I64, ceil(ldexp(ratio, 32))), wide);
  host_value x = host_load(k, "a0", &shape, host_index(k, "i", shape.rank)), scaled = host_binary(k, "arith.mulf", x, host_float(k, x.type, 1 / (1 - ratio)));
  host_store(k, host_select(k, kept, scaled, host_float(k, x.type, 0)), "o0", &shape, host_index(k, "i", shape.rank));
  host_close(k, shape.rank);
  return true;
}
