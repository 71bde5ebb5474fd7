/* Operators that move or make: shapes, slices, gathers, constants. */
#include <math.h>
#include <string.h>

#include "compiler/import/import_internal.h"

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

hct_status import_shape(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t dims[] = {(int64_t)a->shape.rank};
  host_tensor t = host_create(im->arena, HCT_I64, 1, dims);
  memcpy(t.i, a->shape.dims, a->shape.rank * sizeof *t.i);
  return import_output_host(im, 0, t);
}

hct_status import_range(importer *im) {
  import_value *start = import_input(im, 0), *limit = import_input(im, 1), *delta = import_input(im, 2);
  if (!start->known || !limit->known || !delta->known) return import_refuse(im, HCT_E_UNSUPPORTED, "a range that depends on run-time data");
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
  if (!known_ints(import_input(im, 1), dims, HCT_MAX_RANK, &rank)) return import_refuse(im, HCT_E_UNSUPPORTED, "a shape that depends on run-time data, or of rank above %d", HCT_MAX_RANK);
  for (size_t d = 0; d < rank; d++) {
    if (dims[d] == 0 && !import_int(im, "allowzero", 0) && d < a->shape.rank) dims[d] = a->shape.dims[d];
    if (dims[d] == -1) inferred = (int64_t)d;
    else if (dims[d] < 0 || !hct_mul_i64(known, dims[d], &known)) return import_refuse(im, HCT_E_ONNX_SHAPE, "dimension %lld", (long long)dims[d]);
  }
  if (inferred >= 0) dims[inferred] = known ? hct_shape_elements(&a->shape) / known : 0;
  return reshaped(im, a, rank, dims);
}

hct_status import_flatten(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t axis = import_int(im, "axis", 1), dims[2] = {1, 1};
  if (axis < 0) axis += (int64_t)a->shape.rank;
  for (size_t d = 0; d < a->shape.rank; d++) dims[(int64_t)d < axis ? 0 : 1] *= a->shape.dims[d];
  return reshaped(im, a, 2, dims);
}

/* Squeeze and Unsqueeze. */
hct_status import_squeeze(importer *im) {
  import_value *a = import_input(im, 0);
  bool add = im->node->op_type[0] == 'U', at[HCT_MAX_RANK] = {false};
  int64_t axes[HCT_MAX_RANK], dims[HCT_MAX_RANK];
  size_t count = 0, rank = 0, from = 0;
  bool given = import_ints(im, "axes", 1, axes, HCT_MAX_RANK, &count);
  size_t whole = a->shape.rank + (add ? count : 0);
  if (whole > HCT_MAX_RANK || (add && !given)) return import_refuse(im, HCT_E_ONNX_SHAPE, "axes are missing or give rank %zu", whole);
  for (size_t i = 0; i < count; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], whole, &axis));
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
  if (!import_ints(im, "perm", SIZE_MAX, perm, HCT_MAX_RANK, &count))
    for (count = 0; count < a->shape.rank; count++) perm[count] = (int64_t)(a->shape.rank - 1 - count);
  if (count != a->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "perm has %zu entries for rank %zu", count, a->shape.rank);
  hct_shape shape = a->shape;
  host_strides(&a->shape, strides);
  for (size_t d = 0; d < count; d++) {
    if (perm[d] < 0 || perm[d] >= (int64_t)count) return import_refuse(im, HCT_E_ONNX_SHAPE, "perm names dimension %lld", (long long)perm[d]);
    shape.dims[d] = a->shape.dims[perm[d]];
    permuted[d] = strides[perm[d]];
  }
  if (a->known) return import_output_host(im, 0, host_view(im->arena, &a->host, count, shape.dims, 0, permuted));
  hct_named attributes[] = {{"perm", hct_attr_i64s(im->context, count, perm)}};
  return import_output_value(im, 0, build_op(im, "hct_graph.transpose", 1, &a->value, &shape, 1, attributes));
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

static int64_t clamp(int64_t value, int64_t low, int64_t high) { return value < low ? low : value > high ? high : value; }

hct_status import_slice(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t from[HCT_MAX_RANK], to[HCT_MAX_RANK], axes[HCT_MAX_RANK], by[HCT_MAX_RANK], starts[HCT_MAX_RANK], steps[HCT_MAX_RANK], dims[HCT_MAX_RANK];
  size_t count, other;
  if (!known_ints(import_input(im, 1), from, HCT_MAX_RANK, &count) || !known_ints(import_input(im, 2), to, HCT_MAX_RANK, &other) || other != count)
    return import_refuse(im, HCT_E_UNSUPPORTED, "bounds that depend on run-time data, or do not match");
  if (!known_ints(import_input(im, 3), axes, HCT_MAX_RANK, &other))
    for (size_t i = 0; i < count; i++) axes[i] = (int64_t)i;
  if (!known_ints(import_input(im, 4), by, HCT_MAX_RANK, &other))
    for (size_t i = 0; i < count; i++) by[i] = 1;
  for (size_t d = 0; d < a->shape.rank; d++) starts[d] = 0, steps[d] = 1, dims[d] = a->shape.dims[d];
  for (size_t i = 0; i < count; i++) {
    size_t axis;
    HCT_TRY(import_axis(im, axes[i], a->shape.rank, &axis));
    int64_t n = a->shape.dims[axis], step = by[i], start = from[i] < 0 ? from[i] + n : from[i], end = to[i] < 0 && to[i] > INT64_MIN + n ? to[i] + n : to[i];
    if (step == 0) return import_refuse(im, HCT_E_ONNX_INVALID, "a step of 0");
    start = clamp(start, 0, step > 0 ? n : n - 1);
    end = step > 0 ? clamp(end, 0, n) : clamp(end, -1, n - 1);
    int64_t length = step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
    starts[axis] = start, steps[axis] = step, dims[axis] = length > 0 ? length : 0;
  }
  return sliced(im, 0, a, starts, steps, dims);
}

hct_status import_split(importer *im) {
  import_value *a = import_input(im, 0);
  int64_t sizes[64], starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK], dims[HCT_MAX_RANK];
  size_t axis, count = 0, parts = im->node->n_output;
  HCT_TRY(import_axis(im, import_int(im, "axis", 0), a->shape.rank, &axis));
  if (parts == 0 || parts > HCT_COUNT(sizes)) return import_refuse(im, HCT_E_UNSUPPORTED, "%zu outputs", parts);
  bool given = import_ints(im, "split", 1, sizes, HCT_COUNT(sizes), &count);
  int64_t each = (a->shape.dims[axis] + (int64_t)parts - 1) / (int64_t)parts, left = a->shape.dims[axis];
  for (size_t p = 0; !given && p < parts; p++) {
    sizes[p] = left < each ? left : each;
    left -= sizes[p];
  }
  if (given && count != parts) return import_refuse(im, HCT_E_ONNX_SHAPE, "%zu sizes for %zu outputs", count, parts);
  for (size_t d = 0; d < a->shape.rank; d++) steps[d] = 1, dims[d] = a->shape.dims[d];
  for (size_t p = 0; p < parts; p++) {
    dims[axis] = sizes[p];
    if (sizes[p] < 0 || starts[axis] + sizes[p] > a->shape.dims[axis]) return import_refuse(im, HCT_E_ONNX_SHAPE, "sizes exceed the dimension of %lld", (long long)a->shape.dims[axis]);
    HCT_TRY(sliced(im, p, a, starts, steps, dims));
    starts[axis] += sizes[p];
  }
  return HCT_OK;
}

hct_status import_concat(importer *im) {
  import_value *first = import_input(im, 0);
  size_t axis, count = im->node->n_input;
  HCT_TRY(import_axis(im, import_int(im, "axis", 0), first->shape.rank, &axis));
  hct_shape shape = first->shape;
  shape.dims[axis] = 0;
  bool known = true;
  MlirValue *operands = HCT_NEW_ARRAY(im->arena, MlirValue, count);
  for (size_t k = 0; k < count; k++) {
    import_value *part = import_input(im, k);
    bool fits = part && part->shape.rank == shape.rank;
    for (size_t d = 0; fits && d < shape.rank; d++) fits = d == axis || part->shape.dims[d] == shape.dims[d];
    if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "input %zu does not fit the others", k);
    shape.dims[axis] += part->shape.dims[axis];
    known = known && part->known;
  }
  if (!known) {
    for (size_t k = 0; k < count; k++) operands[k] = build_value(im, import_input(im, k));
    hct_named attributes[] = {{"axis", hct_attr_i64(im->context, (int64_t)axis)}};
    return import_output_value(im, 0, build_op(im, "hct_graph.concat", count, operands, &shape, 1, attributes));
  }
  host_tensor t = host_create(im->arena, shape.dtype, shape.rank, shape.dims);
  int64_t inner = 1, at = 0, outer = 1;
  for (size_t d = 0; d < shape.rank; d++)
    if (d < axis) outer *= shape.dims[d];
    else if (d > axis) inner *= shape.dims[d];
  for (int64_t o = 0; o < outer; o++)
    for (size_t k = 0; k < count; k++) {
      import_value *part = import_input(im, k);
      int64_t run = part->shape.dims[axis] * inner;
      for (int64_t n = 0; n < run; n++, at++) {
        if (t.i) t.i[at] = part->host.i[o * run + n];
        else t.f[at] = part->host.f[o * run + n];
      }
    }
  return import_output_host(im, 0, t);
}

static hct_status gather_known(importer *im, const import_value *a, const import_value *ids, size_t axis) {
  hct_shape shape = {.dtype = a->shape.dtype};
  int64_t inner = 1, count = hct_shape_elements(&ids->shape), n = a->shape.dims[axis];
  for (size_t d = 0; d < axis; d++) shape.dims[shape.rank++] = a->shape.dims[d];
  for (size_t d = 0; d < ids->shape.rank; d++) shape.dims[shape.rank++] = ids->shape.dims[d];
  for (size_t d = axis + 1; d < a->shape.rank; d++) shape.dims[shape.rank++] = a->shape.dims[d], inner *= a->shape.dims[d];
  host_tensor t = host_create(im->arena, shape.dtype, shape.rank, shape.dims);
  for (int64_t at = 0; at < hct_shape_elements(&shape); at++) {
    int64_t id = ids->host.i[at / inner % count], outer = at / (inner * count);
    if (id < -n || id >= n) return import_refuse(im, HCT_E_ONNX_DATA, "index %lld outside of %lld", (long long)id, (long long)n);
    int64_t from = (outer * n + (id < 0 ? id + n : id)) * inner + at % inner;
    if (t.i) t.i[at] = a->host.i[from];
    else t.f[at] = a->host.f[from];
  }
  return import_output_host(im, 0, t);
}

static bool consecutive(const host_tensor *ids) {
  for (int64_t n = 1; n < hct_shape_elements(&ids->shape); n++)
    if (ids->i[n] != ids->i[0] + n) return false;
  return hct_shape_elements(&ids->shape) > 0 && ids->i[0] >= 0;
}

hct_status import_gather(importer *im) {
  import_value *a = import_input(im, 0), *ids = import_input(im, 1);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", 0), a->shape.rank, &axis));
  if (a->shape.rank - 1 + ids->shape.rank > HCT_MAX_RANK) return import_refuse(im, HCT_E_ONNX_SHAPE, "its result has more than %d dimensions", HCT_MAX_RANK);
  if (a->known && ids->known) return gather_known(im, a, ids, axis);
  if (ids->known && ids->shape.rank <= 1 && consecutive(&ids->host) && ids->host.i[0] + hct_shape_elements(&ids->shape) <= a->shape.dims[axis]) {
    int64_t starts[HCT_MAX_RANK] = {0}, steps[HCT_MAX_RANK], dims[HCT_MAX_RANK], kept[HCT_MAX_RANK];
    size_t rank = 0;
    for (size_t d = 0; d < a->shape.rank; d++) steps[d] = 1, dims[d] = a->shape.dims[d];
    starts[axis] = ids->host.i[0];
    dims[axis] = hct_shape_elements(&ids->shape);
    MlirValue part = build_slice(im, build_value(im, a), starts, steps, dims);
    for (size_t d = 0; d < a->shape.rank; d++)
      if (d != axis || ids->shape.rank == 1) kept[rank++] = dims[d];
    return import_output_value(im, 0, build_reshape(im, part, rank, kept));
  }
  if (axis != 0) return import_refuse(im, HCT_E_UNSUPPORTED, "a gather along dimension %zu by run-time indices; dimension 0 is supported", axis);
  hct_shape shape = {.dtype = a->shape.dtype};
  for (size_t d = 0; d < ids->shape.rank; d++) shape.dims[shape.rank++] = ids->shape.dims[d];
  for (size_t d = 1; d < a->shape.rank; d++) shape.dims[shape.rank++] = a->shape.dims[d];
  MlirValue operands[] = {build_value(im, a), build_value(im, ids)};
  return import_output_value(im, 0, build_op(im, "hct_graph.gather_rows", 2, operands, &shape, 0, NULL));
}

hct_status import_trilu(importer *im) {
  import_value *a = import_input(im, 0), *k = import_input(im, 1);
  if (!a->known || (k && !k->known) || a->shape.rank < 2) return import_refuse(im, HCT_E_UNSUPPORTED, "a triangle of run-time data");
  bool upper = import_int(im, "upper", 1) != 0;
  int64_t shift = k ? k->host.i[0] : 0, rows = a->shape.dims[a->shape.rank - 2], cols = a->shape.dims[a->shape.rank - 1];
  host_tensor t = host_create(im->arena, a->shape.dtype, a->shape.rank, a->shape.dims);
  for (int64_t first = 0, row = 0; cols > 0 && first < hct_shape_elements(&a->shape); first += cols, row = (row + 1) % rows) {
    int64_t edge = row + shift, from = !upper || edge < 0 ? 0 : edge, end = upper || edge >= cols ? cols : edge + 1; /* columns kept */
    for (int64_t n = first + from; t.i && n < first + end; n++) t.i[n] = a->host.i[n];
    for (int64_t n = first + from; t.f && n < first + end; n++) t.f[n] = a->host.f[n];
  }
  return import_output_host(im, 0, t);
}
