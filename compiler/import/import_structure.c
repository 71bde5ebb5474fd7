/* Operators that make constants, or give the same elements under another shape, or parts of them. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_views.h"

hct_status import_identity(importer *im) { return import_output(im, 0, *import_input(im, 0)); }

static bool known_ints(const import_value *value, int64_t *out, size_t capacity, size_t *out_count) {
  if (!value || !value->known || !value->host.i || hct_shape_elements(&value->shape) > (int64_t)capacity) return false;
  *out_count = (size_t)hct_shape_elements(&value->shape);
  memcpy(out, value->host.i, *out_count * sizeof *out);
  return true;
}

hct_status import_constant_of_shape(importer *im) {
  int64_t dims[HCT_MAX_RANK];
  size_t rank;
  if (!known_ints(import_input(im, 0), dims, HCT_MAX_RANK, &rank)) return import_refuse(im, HCT_E_UNSUPPORTED, "a shape that depends on run-time data");
  host_tensor fill = host_create(im->arena, HCT_F32, 0, NULL);
  const Onnx__AttributeProto *value = import_attribute(im, "value");
  if (value && value->t) HCT_TRY(host_from_proto(im, value->t, &fill));
  int64_t strides[HCT_MAX_RANK] = {0}, count = 1;
  for (size_t d = 0; d < rank; d++)
    if (dims[d] < 0 || !hct_mul_i64(count, dims[d], &count) || count > INT32_MAX) return import_refuse(im, HCT_E_ONNX_SHAPE, "dimension %lld", (long long)dims[d]);
  return import_output_host(im, 0, host_view(im->arena, &fill, rank, dims, 0, strides));
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) { return value < low ? low : value > high ? high : value; }

hct_status import_shape(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t rank = (int64_t)a->shape.rank, start = import_int(im, "start", 0), end = import_int(im, "end", rank);
  start = clamp(start < 0 ? start + rank : start, 0, rank);
  end = clamp(end < 0 ? end + rank : end, start, rank);
  int64_t dims[] = {end - start};
  host_tensor t = host_create(im->arena, HCT_I64, 1, dims);
  memcpy(t.i, a->shape.dims + start, (size_t)dims[0] * sizeof *t.i);
  return import_output_host(im, 0, t);
}

hct_status import_size(importer *im) {
  host_tensor t = host_create(im->arena, HCT_I64, 0, NULL);
  t.i[0] = hct_shape_elements(&import_input(im, 0)->shape);
  return import_output_host(im, 0, t);
}

hct_status import_range(importer *im) {
  import_value *start = import_input(im, 0), *limit = import_input(im, 1), *delta = import_input(im, 2);
  if (!limit || !delta || !start->known || !limit->known || !delta->known) return import_refuse(im, HCT_E_UNSUPPORTED, "a range that depends on run-time data; constants are supported");
  double first = host_get(&start->host, 0), step = host_get(&delta->host, 0), count = ceil((host_get(&limit->host, 0) - first) / step);
  if (!(count >= 0 && count < 1e8)) return import_refuse(im, HCT_E_ONNX_SHAPE, "a range of %g elements", count);
  int64_t dims[] = {(int64_t)count};
  host_tensor t = host_create(im->arena, start->shape.dtype, 1, dims);
  for (int64_t n = 0; n < dims[0]; n++) host_set(&t, n, first + step * (double)n);
  return import_output_host(im, 0, t);
}

/* ---- the same elements under another shape ---- */
static hct_status reshaped(importer *im, import_value *a, size_t rank, const int64_t *dims) {
  hct_shape shape = {.dtype = a->shape.dtype, .rank = rank};
  for (size_t d = 0; d < rank; d++) shape.dims[d] = dims[d];
  if (hct_shape_elements(&shape) != hct_shape_elements(&a->shape)) return import_refuse(im, HCT_E_ONNX_SHAPE, "%lld elements into a shape of %lld", (long long)hct_shape_elements(&a->shape), (long long)hct_shape_elements(&shape));
  if (!a->known) return import_output_value(im, 0, build_reshape(im, a->value, rank, dims));
  host_tensor t = a->host;
  t.shape = shape;
  return import_output_host(im, 0, t);
}

hct_status import_reshape(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t dims[HCT_MAX_RANK], known = 1, inferred = -1;
  size_t rank;
  if (!import_ints(im, "shape", 1, dims, HCT_MAX_RANK, &rank)) return import_refuse(im, HCT_E_UNSUPPORTED, "a shape that depends on run-time data, or of rank above %d", HCT_MAX_RANK);
  for (size_t d = 0; d < rank; d++) {
    if (dims[d] == 0 && !import_int(im, "allowzero", 0) && d < a->shape.rank) dims[d] = a->shape.dims[d];
    if (dims[d] == -1 && inferred >= 0) return import_refuse(im, HCT_E_ONNX_SHAPE, "two dimensions of -1");
    if (dims[d] == -1) inferred = (int64_t)d;
    else if (dims[d] < 0 || !hct_mul_i64(known, dims[d], &known)) return import_refuse(im, HCT_E_ONNX_SHAPE, "dimension %lld", (long long)dims[d]);
  }
  if (inferred >= 0) dims[inferred] = known ? hct_shape_elements(&a->shape) / known : 0;
  return reshaped(im, a, rank, dims);
}

hct_status import_flatten(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t axis = import_int(im, "axis", 1), dims[2] = {1, 1}, rank = (int64_t)a->shape.rank;
  if (axis < -rank || axis > rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "axis %lld of a value of rank %zu", (long long)axis, a->shape.rank);
  if (axis < 0) axis += rank;
  for (size_t d = 0; d < a->shape.rank; d++) dims[(int64_t)d < axis ? 0 : 1] *= a->shape.dims[d];
  return reshaped(im, a, 2, dims);
}

/* Squeeze and Unsqueeze. */
hct_status import_squeeze(importer *im) {
  import_value *a = import_input(im, 0);
  bool add = im->node->op_type[0] == 'U', at[HCT_MAX_RANK] = {false};
  int64_t axes[HCT_MAX_RANK], dims[HCT_MAX_RANK];
  size_t count = 0, rank = 0, from = 0;
  bool given;
  HCT_TRY(import_ints_optional(im, "axes", 1, axes, HCT_MAX_RANK, &count, &given));
  size_t whole = a->shape.rank + (add ? count : 0);
  if (whole > HCT_MAX_RANK || (add && !given)) return import_refuse(im, HCT_E_ONNX_SHAPE, "axes are missing or give rank %zu", whole);
  for (size_t i = 0; i < count; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], whole, &axis));
    if (at[axis]) return import_refuse(im, HCT_E_ONNX_INVALID, "axis %zu is there twice", axis);
    if (!add && a->shape.dims[axis] != 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "dimension %zu is %lld, not 1", axis, (long long)a->shape.dims[axis]);
    at[axis] = true;
  }
  for (size_t d = 0; d < whole; d++) {
    if (add) dims[rank++] = at[d] ? 1 : a->shape.dims[from++];
    else if (given ? !at[d] : a->shape.dims[d] != 1) dims[rank++] = a->shape.dims[d];
  }
  return reshaped(im, a, rank, dims);
}

hct_status import_transpose(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t perm[HCT_MAX_RANK], strides[HCT_MAX_RANK], permuted[HCT_MAX_RANK];
  size_t count;
  bool given;
  HCT_TRY(import_ints_optional(im, "perm", SIZE_MAX, perm, HCT_MAX_RANK, &count, &given));
  if (!given)
    for (count = 0; count < a->shape.rank; count++) perm[count] = (int64_t)(a->shape.rank - 1 - count);
  if (count != a->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "perm has %zu entries for rank %zu", count, a->shape.rank);
  hct_shape shape = a->shape;
  bool seen[HCT_MAX_RANK] = {false};
  host_strides(&a->shape, strides);
  for (size_t d = 0; d < count; d++) {
    if (perm[d] < 0 || perm[d] >= (int64_t)count || seen[perm[d]]) return import_refuse(im, HCT_E_ONNX_SHAPE, "perm names dimension %lld, which is not there or was named before", (long long)perm[d]);
    seen[perm[d]] = true;
    shape.dims[d] = a->shape.dims[perm[d]];
    permuted[d] = strides[perm[d]];
  }
  if (a->known) return import_output_host(im, 0, host_view(im->arena, &a->host, count, shape.dims, 0, permuted));
  return import_output_value(im, 0, build_transpose(im, a->value, perm));
}

hct_status import_expand(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t strides[HCT_MAX_RANK], walked[HCT_MAX_RANK];
  hct_shape wanted = {.dtype = a->shape.dtype}, shape;
  if (!known_ints(import_input(im, 1), wanted.dims, HCT_MAX_RANK, &wanted.rank)) return import_refuse(im, HCT_E_UNSUPPORTED, "a shape that depends on run-time data");
  if (!broadcast_shape(&a->shape, &wanted, &shape)) return import_refuse(im, HCT_E_ONNX_SHAPE, "its input does not expand to the shape asked for");
  if (!a->known) return import_output_value(im, 0, build_broadcast(im, a->value, &shape));
  host_strides(&a->shape, strides);
  for (size_t d = 0; d < shape.rank; d++) {
    size_t lead = shape.rank - a->shape.rank;
    walked[d] = d < lead || a->shape.dims[d - lead] == 1 ? 0 : strides[d - lead];
  }
  return import_output_host(im, 0, host_view(im->arena, &a->host, shape.rank, shape.dims, 0, walked));
}

/* ---- parts ---- */
static hct_status sliced(importer *im, size_t output, import_value *a, const int64_t *starts, const int64_t *steps, const int64_t *dims) {
  if (!a->known) return import_output_value(im, output, build_slice(im, a->value, starts, steps, dims));
  int64_t strides[HCT_MAX_RANK], offset = 0;
  host_strides(&a->shape, strides);
  for (size_t d = 0; d < a->shape.rank; d++) {
    offset += starts[d] * strides[d];
    strides[d] *= steps[d];
  }
  return import_output_host(im, output, host_view(im->arena, &a->host, a->shape.rank, dims, offset, strides));
}

/* From attribute `name` or input `index`; `fallback` + i * step where neither is there. Refused: not known, or not `count` of them. */
static hct_status slice_ints(importer *im, const char *name, size_t index, int64_t fallback, int64_t step, size_t count, int64_t out[HCT_MAX_RANK]) {
  size_t found = count;
  bool given;
  HCT_TRY(import_ints_optional(im, name, index, out, HCT_MAX_RANK, &found, &given));
  for (size_t i = 0; i < count && !given; i++) out[i] = fallback + step * (int64_t)i;
  if (found != count) return import_refuse(im, HCT_E_ONNX_SHAPE, "%zu %s for %zu starts", found, name, count);
  return HCT_OK;
}

hct_status import_slice(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t from[HCT_MAX_RANK], to[HCT_MAX_RANK], axes[HCT_MAX_RANK], by[HCT_MAX_RANK], starts[HCT_MAX_RANK], steps[HCT_MAX_RANK], dims[HCT_MAX_RANK];
  size_t count;
  if (!import_ints(im, "starts", 1, from, HCT_MAX_RANK, &count)) return import_refuse(im, HCT_E_UNSUPPORTED, "starts that are missing, depend on run-time data, or are more than %d", HCT_MAX_RANK);
  if (!import_attribute(im, "ends") && !import_input(im, 2)) return import_refuse(im, HCT_E_ONNX_INVALID, "its ends are missing");
  HCT_TRY(slice_ints(im, "ends", 2, 0, 0, count, to));
  HCT_TRY(slice_ints(im, "axes", 3, 0, 1, count, axes));
  HCT_TRY(slice_ints(im, "steps", 4, 1, 0, count, by));
  for (size_t d = 0; d < a->shape.rank; d++) starts[d] = 0, steps[d] = 1, dims[d] = a->shape.dims[d];
  for (size_t i = 0; i < count; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], a->shape.rank, &axis));
    int64_t n = a->shape.dims[axis], step = by[i], start = from[i] < 0 ? from[i] + n : from[i], end = to[i] < 0 && to[i] > INT64_MIN + n ? to[i] + n : to[i];
    if (step == 0 || step == INT64_MIN) return import_refuse(im, HCT_E_ONNX_INVALID, "a step of %lld", (long long)step);
    start = clamp(start, 0, step > 0 ? n : n - 1);
    end = step > 0 ? clamp(end, 0, n) : clamp(end, -1, n - 1);
    int64_t length = step > 0 && end > start ? (end - start - 1) / step + 1 : step < 0 && start > end ? (start - end - 1) / -step + 1 : 0;
    starts[axis] = start, steps[axis] = length > 1 ? step : 1, dims[axis] = length;
  }
  return sliced(im, 0, a, starts, steps, dims);
}

/* One part of a Split of more outputs than an operator has. */
static void slice_add(importer *im, size_t output, int64_t axis, int64_t start, int64_t size) {
  const Onnx__NodeProto *split = im->node;
  char *to = split->output[output];
  const int64_t end = start + size;
  bool by_input = im->opset >= 10; /* attributes before */
  char *from = import_name_number(im, to, HCT_I64, 1, start), *until = import_name_number(im, to, HCT_I64, 1, end), *along = import_name_number(im, to, HCT_I64, 1, axis);
  char *inputs[] = {split->input[0], from, until, along};
  Onnx__NodeProto *node = import_node_create(im, "Slice", im->sites[im->node_index].name, by_input ? HCT_COUNT(inputs) : 1, inputs, to);
  if (!by_input) {
    import_node_set_ints(im, node, "starts", 1, &start);
    import_node_set_ints(im, node, "ends", 1, &end);
    import_node_set_ints(im, node, "axes", 1, &axis);
  }
  import_node_add(im, node);
}

hct_status import_split(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK], dims[HCT_MAX_RANK];
  size_t axis, count = 0, parts = im->node->n_output;
  bool given;
  HCT_TRY(import_axis(im, import_int(im, "axis", 0), a->shape.rank, &axis));
  if (parts == 0) return import_refuse(im, HCT_E_ONNX_INVALID, "it has no outputs");
  int64_t *sizes = HCT_NEW_ARRAY(im->arena, int64_t, parts);
  HCT_TRY(import_ints_optional(im, "split", 1, sizes, parts, &count, &given));
  if (import_int(im, "num_outputs", (int64_t)parts) != (int64_t)parts) return import_refuse(im, HCT_E_ONNX_INVALID, "num_outputs is %lld, and it has %zu", (long long)import_int(im, "num_outputs", 0), parts);
  int64_t each = (a->shape.dims[axis] + (int64_t)parts - 1) / (int64_t)parts, left = a->shape.dims[axis];
  for (size_t p = 0; !given && p < parts; p++) {
    sizes[p] = left < each ? left : each;
    left -= sizes[p];
  }
  if (given && count != parts) return import_refuse(im, HCT_E_ONNX_SHAPE, "%zu sizes for %zu outputs", count, parts);
  for (size_t d = 0; d < a->shape.rank; d++) steps[d] = 1, dims[d] = a->shape.dims[d];
  for (size_t p = 0; p < parts; p++) {
    dims[axis] = sizes[p];
    if (sizes[p] < 0 || sizes[p] > a->shape.dims[axis] - starts[axis]) return import_refuse(im, HCT_E_ONNX_SHAPE, "sizes exceed the dimension of %lld", (long long)a->shape.dims[axis]);
    if (parts <= HCT_MAX_VARIADIC) HCT_TRY(sliced(im, p, a, starts, steps, dims));
    else if (im->node->output[p][0]) slice_add(im, p, (int64_t)axis, starts[axis], sizes[p]);
    starts[axis] += sizes[p];
  }
  if (starts[axis] != a->shape.dims[axis]) return import_refuse(im, HCT_E_ONNX_SHAPE, "sizes that add up to %lld, of %lld", (long long)starts[axis], (long long)a->shape.dims[axis]);
  return HCT_OK;
}

static hct_status concat_known(importer *im, const hct_shape *shape, size_t axis) {
  host_tensor t = host_create(im->arena, shape->dtype, shape->rank, shape->dims);
  int64_t inner = 1, at = 0, outer = 1;
  for (size_t d = 0; d < shape->rank; d++)
    if (d < axis) outer *= shape->dims[d];
    else if (d > axis) inner *= shape->dims[d];
  for (int64_t o = 0; o < outer; o++)
    for (size_t k = 0; k < im->node->n_input; k++) {
      import_value *part = import_input(im, k);
      int64_t run = (part->shape.rank ? part->shape.dims[axis] : 1) * inner;
      for (int64_t n = 0; n < run; n++, at++) {
        if (t.i) t.i[at] = part->host.i[o * run + n];
        else t.f[at] = part->host.f[o * run + n];
      }
    }
  return import_output_host(im, 0, t);
}

/* Old exporters concatenate scalars with vectors: a scalar is a vector of one. */
hct_status import_concat(importer *im) {
  import_value *first = import_input(im, 0);
  size_t axis, count = im->node->n_input;
  static const hct_shape vector = {.rank = 1, .dims = {1}};
  hct_shape shape = first->shape.rank ? first->shape : vector;
  shape.dtype = first->shape.dtype;
  HCT_TRY(import_axis(im, import_int(im, "axis", im->opset < 4 ? 1 : 0), shape.rank, &axis));
  shape.dims[axis] = 0;
  bool known = true;
  for (size_t k = 0; k < count; k++) {
    import_value *part = import_input(im, k);
    hct_shape of = part && part->shape.rank ? part->shape : vector;
    bool fits = part && of.rank == shape.rank && (part->shape.dtype == shape.dtype || (hct_dtype_is_float(part->shape.dtype) && hct_dtype_is_float(shape.dtype))); /* f64 is f32 once it is built */
    for (size_t d = 0; fits && d < shape.rank; d++) fits = d == axis || of.dims[d] == shape.dims[d];
    if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "input %zu does not fit the others", k);
    shape.dims[axis] += of.dims[axis];
    known = known && part->known;
  }
  if (known) return concat_known(im, &shape, axis);
  if (count > HCT_MAX_VARIADIC) {
    import_joined_add(im, "Concat", &(int64_t){(int64_t)axis}, im->sites[im->node_index].name, im->node->output[0], count, im->node->input, im->node->output[0]);
    return HCT_OK;
  }
  MlirValue *parts = HCT_NEW_ARRAY(im->arena, MlirValue, count);
  size_t made = 0;
  for (size_t k = 0; k < count; k++) {
    hct_shape of = import_input(im, k)->shape;
    MlirValue part = build_value(im, import_input(im, k));
    if (of.rank && of.dims[axis] == 0 && (made || k + 1 < count)) continue;
    parts[made++] = of.rank ? part : build_reshape(im, part, 1, vector.dims);
  }
  return import_output_value(im, 0, build_concat(im, axis, made, parts));
}
