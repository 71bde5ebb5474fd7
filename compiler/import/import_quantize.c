/* QuantizeLinear and DequantizeLinear: by one scale, by one a place along an axis, or by one a block of it. Divisions and products are of f32. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_views.h"

/* Each element `times` times, one after the other, and of those the first `count`. */
static MlirValue stretched(importer *im, MlirValue a, size_t axis, int64_t times, int64_t count) {
  int64_t groups = shape_of(a).dims[axis], apart[] = {groups, 1}, joined[] = {groups * times};
  MlirValue column = build_dims_replaced(im, a, axis, 1, 2, apart);
  hct_shape shape = shape_of(column);
  shape.dims[axis + 1] = times;
  return build_cut(im, build_dims_replaced(im, build_broadcast(im, column, &shape), axis, 2, 1, joined), axis, 0, count);
}

static hct_status by_block(importer *im, const hct_shape *x, size_t axis, int64_t block, const import_value *given, import_value **out_value) {
  const hct_shape *s = &given->shape;
  bool fits = block > 0 && block <= INT32_MAX && x->rank < HCT_MAX_RANK;
  for (size_t d = 0; d < x->rank && fits; d++) fits = s->dims[d] == (d == axis ? (x->dims[d] + block - 1) / block : x->dims[d]);
  if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "a scale or zero point of rank %zu, which is none of blocks of %lld along axis %zu", s->rank, (long long)block, axis);
  import_value *v = HCT_NEW(im->arena, import_value), copy = *given;
  *v = (import_value){.value = stretched(im, build_value(im, &copy), axis, block, x->dims[axis])};
  v->shape = shape_of(v->value);
  *out_value = v;
  return HCT_OK;
}

/* A scale or zero point in f32 under a shape that broadcasts to the input's. */
static hct_status spread(importer *im, const hct_shape *x, const import_value *given, import_value **out_value) {
  import_value *v = HCT_NEW(im->arena, import_value);
  int64_t block = import_int(im, "block_size", 0);
  size_t axis = 0;
  *v = *given;
  if (hct_shape_elements(&v->shape) == 1 && v->shape.rank <= x->rank && v->shape.rank <= 1) {
    *out_value = value_map1(im, "mov", v, HCT_F32);
    return HCT_OK;
  }
  HCT_TRY(import_axis(im, import_int(im, "axis", 1), x->rank, &axis));
  if (block || v->shape.rank != 1) {
    if (v->shape.rank != x->rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "a scale or zero point of rank %zu; it must be a scalar, a vector, or of the input's rank, %zu, with block_size", v->shape.rank, x->rank);
    HCT_TRY(by_block(im, x, axis, block, given, &v));
  } else if (v->shape.dims[0] != x->dims[axis]) {
    return import_refuse(im, HCT_E_ONNX_SHAPE, "a scale or zero point of %lld elements; the input has %lld along axis %zu", (long long)v->shape.dims[0], (long long)x->dims[axis], axis);
  } else if (v->known) {
    v->value = (MlirValue){NULL};
    for (v->shape.rank = 1; v->shape.rank < x->rank - axis;) v->shape.dims[v->shape.rank++] = 1;
    v->host.shape = v->shape;
  } else {
    v->value = build_along(im, v->value, axis, x->rank);
    v->shape = shape_of(v->value);
  }
  *out_value = value_map1(im, "mov", v, HCT_F32);
  return HCT_OK;
}

static bool is_quantized(hct_dtype dtype) { return import_element(dtype) || dtype == HCT_I8 || dtype == HCT_U8 || dtype == HCT_I16 || dtype == HCT_U16; }

static hct_status check_scale(importer *im, const import_value *scale, const import_value *zero, hct_dtype quantized) {
  int64_t precision = import_int(im, "precision", 0);
  if (!scale || !hct_dtype_is_float(scale->shape.dtype) || (scale->element && scale->element != HCT_F8E8M0)) return import_refuse(im, HCT_E_ONNX_TYPE, "a scale of %s; floats are supported", scale ? hct_dtype_name(import_declared(scale).dtype) : "no tensor");
  if (precision && precision != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) return import_refuse(im, HCT_E_UNSUPPORTED, "precision %lld; it is computed in f32", (long long)precision);
  if (!zero) return HCT_OK;
  if (import_declared(zero).dtype != quantized) return import_refuse(im, HCT_E_ONNX_TYPE, "a zero point of %s; what is quantized is of %s", hct_dtype_name(import_declared(zero).dtype), hct_dtype_name(quantized));
  bool alike = zero->shape.rank == scale->shape.rank;
  for (size_t d = 0; d < zero->shape.rank && alike; d++) alike = zero->shape.dims[d] == scale->shape.dims[d];
  return alike || hct_shape_elements(&zero->shape) == 1 ? HCT_OK : import_refuse(im, HCT_E_ONNX_SHAPE, "scale and zero point are of different shapes");
}

/* Numbers in f32 that may be fractions: to nearest, ties to even, `zero` added, cut to the type's ends. */
static import_value *to_integers(importer *im, import_value *y, import_value *zero, hct_dtype dtype) {
  double values = ldexp(1, (int)hct_dtype_bits(dtype)), low = hct_dtype_is_unsigned(dtype) ? 0 : -values / 2;
  y = value_map1(im, "round", y, HCT_F32);
  if (zero) y = value_map2(im, "add", y, zero);
  y = value_map2(im, "min", value_map2(im, "max", y, value_number(im, HCT_F32, low)), value_number(im, HCT_F32, low + values - 1));
  if (import_element(dtype)) return value_narrow(im, (hct_narrowing){.dtype = dtype}, y);
  return value_map1(im, "mov", y, dtype);
}

hct_status import_quantize(importer *im) {
  import_value *x = import_input(im, 0), *scale = import_input(im, 1), *zero = import_input(im, 2);
  hct_dtype dtype = zero ? import_declared(zero).dtype : HCT_U8, said;
  int64_t to = import_int(im, "output_dtype", 0);
  if (to && (!hct_dtype_from_onnx((int32_t)to, &said) || (zero && said != dtype))) return import_refuse(im, HCT_E_ONNX_TYPE, "output_dtype %lld, which is unknown or not the zero point's", (long long)to);
  if (to) dtype = said;
  if (!is_quantized(dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "quantized to %s; integers of 2 to 16 bits, float8 and float4 are supported", hct_dtype_name(dtype));
  if (x->element || (!hct_dtype_is_float(x->shape.dtype) && x->shape.dtype != HCT_I32)) return import_refuse(im, HCT_E_ONNX_TYPE, "an input of %s; floats and i32 are supported", hct_dtype_name(import_declared(x).dtype));
  HCT_TRY(check_scale(im, scale, zero, dtype));
  HCT_TRY(spread(im, &x->shape, scale, &scale));
  if (zero) HCT_TRY(spread(im, &x->shape, zero, &zero));
  import_value *y = value_map2(im, "div", value_map1(im, "mov", x, HCT_F32), scale);
  if (!hct_dtype_is_float(dtype)) return import_output(im, 0, *to_integers(im, y, zero, dtype));
  if (zero) y = value_map2(im, "add", y, zero);
  return import_output(im, 0, *value_narrow(im, (hct_narrowing){.dtype = dtype, .saturate = import_int(im, "saturate", 1) != 0}, y));
}

hct_status import_dequantize(importer *im) {
  import_value *x = import_input(im, 0), *scale = import_input(im, 1), *zero = import_input(im, 2);
  hct_dtype dtype = import_declared(x).dtype, result = HCT_F32;
  int64_t to = import_int(im, "output_dtype", 0);
  if (to && (!hct_dtype_from_onnx((int32_t)to, &result) || !hct_dtype_is_float(result) || import_element(result))) return import_refuse(im, HCT_E_ONNX_TYPE, "output_dtype %lld; f16, bf16 and f32 are supported", (long long)to);
  if (!to && scale && scale->element) return import_refuse(im, HCT_E_ONNX_TYPE, "a result of the scale's type, %s; output_dtype must say another", hct_dtype_name(scale->element));
  if (!is_quantized(dtype) && dtype != HCT_I32) return import_refuse(im, HCT_E_ONNX_TYPE, "an input of %s; integers of 2 to 16 bits, i32, float8 and float4 are supported", hct_dtype_name(dtype));
  HCT_TRY(check_scale(im, scale, zero, dtype));
  HCT_TRY(spread(im, &x->shape, scale, &scale));
  if (zero) HCT_TRY(spread(im, &x->shape, zero, &zero));
  import_value *y = value_map1(im, "mov", x, HCT_F32);
  if (zero) y = value_map2(im, "sub", y, zero);
  y = value_map2(im, "mul", y, scale);
  return import_output(im, 0, hct_dtype_is_half(result) ? *value_narrow(im, (hct_narrowing){.dtype = result}, y) : *y);
}

/* To ui8, of a range that holds 0. */
hct_status import_dynamic_quantize(importer *im) {
  import_value *x = import_input(im, 0);
  int64_t axes[HCT_MAX_RANK];
  HCT_TRY(import_floats(im, 1));
  for (size_t d = 0; d < x->shape.rank; d++) axes[d] = (int64_t)d;
  MlirValue value = build_value(im, x), zero = build_scalar(im, HCT_F32, 0), most = build_scalar(im, HCT_F32, 255);
  MlirValue lowest = x->shape.rank ? build_reshape(im, build_reduce(im, "min", value, x->shape.rank, axes), 0, NULL) : value, highest = x->shape.rank ? build_reshape(im, build_reduce(im, "max", value, x->shape.rank, axes), 0, NULL) : value;
  lowest = build_map2(im, "min", lowest, zero);
  import_value scale = {.value = build_map2(im, "div", build_map2(im, "sub", build_map2(im, "max", highest, zero), lowest), most), .shape = {.dtype = HCT_F32}};
  MlirValue place = build_map2(im, "sub", zero, build_map2(im, "div", lowest, scale.value));
  place = build_map1(im, "round", build_map2(im, "min", build_map2(im, "max", place, zero), most), HCT_F32);
  import_value point = {.value = place, .shape = {.dtype = HCT_F32}};
  HCT_TRY(import_output(im, 0, *to_integers(im, value_map2(im, "div", x, &scale), &point, HCT_U8)));
  HCT_TRY(import_output(im, 1, scale));
  return import_output_value(im, 2, build_cast(im, place, HCT_U8));
}
