/* Elements and rows by index, read and written. Indices of the run time are rows of a table: several of them, and what is around their
 * axis, make one row number, so that each operator is one gather_rows or scatter_rows on a reshaped operand. */
#include <string.h>

#include "compiler/import/import_views.h"

enum { MAX_TAKEN = 4096, MAX_PARTS = 16 };

static hct_status gather_known(importer *im, const import_value *a, const import_value *ids, size_t axis) {
  hct_shape shape = {.dtype = a->shape.dtype};
  int64_t inner = 1, count = hct_shape_elements(&ids->shape), n = a->shape.dims[axis];
  for (size_t d = 0; d < axis; d++) shape.dims[shape.rank++] = a->shape.dims[d];
  for (size_t d = 0; d < ids->shape.rank; d++) shape.dims[shape.rank++] = ids->shape.dims[d];
  for (size_t d = axis + 1; d < a->shape.rank; d++) shape.dims[shape.rank++] = a->shape.dims[d], inner *= a->shape.dims[d];
  host_tensor t = host_create(im->arena, shape.dtype, shape.rank, shape.dims);
  for (int64_t at = 0; at < hct_shape_elements(&shape); at++) {
    int64_t id = ids->host.i[at / inner % count], outer = at / (inner * count);
    int64_t from = (outer * n + (id < 0 ? id + n : id)) * inner + at % inner;
    if (t.i) t.i[at] = a->host.i[from];
    else t.f[at] = a->host.f[from];
  }
  return import_output_host(im, 0, t);
}

/* Indices that are known, each `keys` of them into dimensions of these sizes. What the run time brings is not checked but for its row number. */
static hct_status ids_check(importer *im, const import_value *ids, size_t keys, const int64_t *sizes) {
  for (int64_t k = 0; ids->known && k < hct_shape_elements(&ids->shape); k++) {
    int64_t size = sizes[(size_t)k % keys];
    if (ids->host.i[k] < -size || ids->host.i[k] >= size) return import_refuse(im, HCT_E_ONNX_DATA, "index %lld outside of %lld", (long long)ids->host.i[k], (long long)size);
  }
  return HCT_OK;
}

/* Few enough, in few enough runs, to be slices: then counted from 0. */
static bool ids_are_parts(const import_value *ids, int64_t size, int64_t *out_ids, size_t *out_count) {
  *out_count = (size_t)hct_shape_elements(&ids->shape);
  if (!ids->known || ids->shape.rank > 1 || *out_count == 0 || *out_count > MAX_TAKEN) return false;
  for (size_t k = 0; k < *out_count; k++) out_ids[k] = ids->host.i[k] < 0 ? ids->host.i[k] + size : ids->host.i[k];
  return take_parts(*out_count, out_ids) <= MAX_PARTS;
}

hct_status import_gather(importer *im) {
  import_value *a = import_input(im, 0), *ids = import_input(im, 1);
  size_t axis, count;
  if (!ids || hct_dtype_is_float(ids->shape.dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "indices are missing, or no integers");
  HCT_TRY(import_axis(im, import_int(im, "axis", 0), a->shape.rank, &axis));
  if (a->shape.rank - 1 + ids->shape.rank > HCT_MAX_RANK) return import_refuse(im, HCT_E_ONNX_SHAPE, "its result has more than %d dimensions", HCT_MAX_RANK);
  HCT_TRY(ids_check(im, ids, 1, &a->shape.dims[axis]));
  if (a->known && ids->known) return gather_known(im, a, ids, axis);
  int64_t *from = HCT_NEW_ARRAY(im->arena, int64_t, MAX_TAKEN);
  if (ids_are_parts(ids, a->shape.dims[axis], from, &count)) {
    MlirValue part = build_take(im, build_value(im, a), axis, count, from);
    return import_output_value(im, 0, ids->shape.rank ? part : build_dims_replaced(im, part, axis, 1, 0, NULL));
  }
  int64_t perm[HCT_MAX_RANK];
  size_t rank = a->shape.rank - 1 + ids->shape.rank;
  for (size_t d = 0; d < rank; d++) perm[d] = (int64_t)(d < axis ? ids->shape.rank + d : d < axis + ids->shape.rank ? d - axis : d);
  MlirValue at = build_value(im, ids), rows = build_gather_rows(im, build_axis_moved(im, build_value(im, a), axis, 0), at);
  return import_output_value(im, 0, build_transpose(im, rows, perm));
}

/* ---- row numbers ---- */
/* The number of the element of `shape` at (i0, ..., ids along axis, ...), for ids of the same rank: [ids' dims] in i64. */
static MlirValue element_numbers(importer *im, const hct_shape *shape, MlirValue ids, size_t axis) {
  int64_t strides[HCT_MAX_RANK];
  hct_shape of = shape_of(ids);
  host_strides(shape, strides);
  MlirValue at = build_ids(im, ids, build_scalar(im, HCT_I64, (double)shape->dims[axis]));
  if (strides[axis] != 1) at = build_map2(im, "mul", at, build_scalar(im, HCT_I64, (double)strides[axis]));
  host_tensor around = host_create(im->arena, HCT_I64, of.rank, of.dims);
  bool counts = false;
  for (int64_t n = 0; n < hct_shape_elements(&of); n++)
    for (int64_t rest = n, d = (int64_t)of.rank - 1; d >= 0; rest /= of.dims[d--]) {
      around.i[n] += d == (int64_t)axis ? 0 : rest % of.dims[d] * strides[d];
      counts = counts || around.i[n];
    }
  return counts ? build_map2(im, "add", at, build_known(im, around)) : at;
}

/* The row of `shape`, taken as rows of its last dimensions, that ids [b..., i..., K] name along K dimensions from the `batch`-th on: [b..., i...]. */
static MlirValue row_numbers(importer *im, const hct_shape *shape, MlirValue ids, size_t batch) {
  hct_shape of = shape_of(ids), rows = {.rank = batch + (size_t)of.dims[of.rank - 1]};
  int64_t strides[HCT_MAX_RANK], last[] = {(int64_t)of.rank - 1};
  size_t keys = rows.rank - batch;
  memcpy(rows.dims, shape->dims, rows.rank * sizeof *rows.dims);
  host_strides(&rows, strides);
  MlirValue at = build_ids(im, ids, build_vector(im, HCT_I64, keys, shape->dims + batch));
  at = keys == 1 ? at : build_reduce(im, "sum", build_map2(im, "mul", at, build_vector(im, HCT_I64, keys, strides + batch)), 1, last);
  at = build_dims_replaced(im, at, of.rank - 1, 1, 0, NULL);
  for (size_t d = 0; d < batch; d++) {
    MlirValue stride = build_scalar(im, HCT_I64, (double)strides[d]), sample = build_map2(im, "mul", build_iota(im, HCT_I64, of.rank - 1, d, shape->dims[d]), stride);
    at = build_map2(im, "add", at, sample);
  }
  return at;
}

static bool types_match(const import_value *a, const import_value *b) { return a->shape.dtype == b->shape.dtype || (hct_dtype_is_float(a->shape.dtype) && hct_dtype_is_float(b->shape.dtype)); }

static MlirValue flattened(importer *im, MlirValue a) {
  hct_shape shape = shape_of(a);
  int64_t dims[] = {hct_shape_elements(&shape)};
  return build_reshape(im, a, 1, dims);
}

hct_status import_gather_elements(importer *im) {
  import_value *a = import_input(im, 0), *ids = import_input(im, 1);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", 0), a->shape.rank, &axis));
  if (!ids || ids->shape.rank != a->shape.rank || hct_dtype_is_float(ids->shape.dtype)) return import_refuse(im, HCT_E_ONNX_SHAPE, "indices must be integers of the data's rank, %zu", a->shape.rank);
  for (size_t d = 0; d < a->shape.rank; d++)
    if (d != axis && ids->shape.dims[d] > a->shape.dims[d]) return import_refuse(im, HCT_E_ONNX_SHAPE, "dimension %zu of the indices is %lld, of the data %lld", d, (long long)ids->shape.dims[d], (long long)a->shape.dims[d]);
  HCT_TRY(ids_check(im, ids, 1, &a->shape.dims[axis]));
  MlirValue at = element_numbers(im, &a->shape, build_value(im, ids), axis);
  return import_output_value(im, 0, build_gather_rows(im, flattened(im, build_value(im, a)), at));
}

/* How many dimensions of the data the last one of `ids` names, after `batch` that both have. */
static hct_status keys_of(importer *im, const import_value *a, const import_value *ids, size_t batch, size_t *out_keys) {
  if (!ids || !ids->shape.rank || hct_dtype_is_float(ids->shape.dtype)) return import_refuse(im, HCT_E_ONNX_SHAPE, "indices are missing, scalar, or no integers");
  int64_t keys = ids->shape.dims[ids->shape.rank - 1];
  bool fits = batch < ids->shape.rank && keys >= 1 && keys <= (int64_t)(a->shape.rank - batch) && a->shape.rank >= batch;
  for (size_t d = 0; fits && d < batch; d++) fits = ids->shape.dims[d] == a->shape.dims[d];
  if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "indices of rank %zu that name %lld dimensions of data of rank %zu, after %zu of the batch", ids->shape.rank, (long long)keys, a->shape.rank, batch);
  if (ids->shape.rank - 1 + a->shape.rank - batch - (size_t)keys > HCT_MAX_RANK) return import_refuse(im, HCT_E_UNSUPPORTED, "more than %d dimensions", HCT_MAX_RANK);
  *out_keys = (size_t)keys;
  return ids_check(im, ids, *out_keys, a->shape.dims + batch);
}

static MlirValue as_rows(importer *im, MlirValue a, size_t leading) {
  hct_shape shape = shape_of(a);
  int64_t rows[] = {1};
  for (size_t d = 0; d < leading; d++) rows[0] *= shape.dims[d];
  return build_dims_replaced(im, a, 0, leading, 1, rows);
}

hct_status import_gather_nd(importer *im) {
  import_value *a = import_input(im, 0), *ids = import_input(im, 1);
  int64_t batch = import_int(im, "batch_dims", 0);
  size_t keys;
  if (batch < 0 || batch >= (int64_t)a->shape.rank) return import_refuse(im, HCT_E_ONNX_SHAPE, "batch_dims is %lld for data of rank %zu", (long long)batch, a->shape.rank);
  HCT_TRY(keys_of(im, a, ids, (size_t)batch, &keys));
  MlirValue at = row_numbers(im, &a->shape, build_value(im, ids), (size_t)batch);
  return import_output_value(im, 0, build_gather_rows(im, as_rows(im, build_value(im, a), (size_t)batch + keys), at));
}

/* ---- writing ---- */
/* Every row of the result takes all updates, and `other` for those that are not its own: as many elements as rows times updates. */
static MlirValue combine_all(importer *im, const char *fn, MlirValue rows, MlirValue ids, MlirValue updates) {
  hct_shape r = shape_of(rows), u = shape_of(updates);
  int64_t count[] = {u.dims[0], 1}, one[] = {1}, axes[] = {1};
  bool product = !strcmp(fn, "mul");
  MlirValue other = product ? build_scalar(im, u.dtype, 1) : build_extreme(im, u.dtype, !strcmp(fn, "min"));
  MlirValue row = build_iota(im, HCT_I64, 3, 0, r.dims[0]), own = build_map2(im, "eq", build_reshape(im, ids, 2, count), row);
  MlirValue spread = build_select(im, own, build_dims_replaced(im, updates, 0, 0, 1, one), other);
  MlirValue all = product ? build_folded(im, fn, spread, 1) : build_reduce(im, fn, spread, 1, axes);
  return build_map2(im, fn, rows, build_dims_replaced(im, all, 1, 1, 0, NULL));
}

/* rows [v, f], ids [n] from 0 to v, updates [n, f]: rows with the updates written or combined. Of those to one row, without a reduction, ONNX says that there is one. */
static hct_status scatter_build(importer *im, MlirValue rows, MlirValue ids, MlirValue updates, MlirValue *out_rows) {
  const char *kind = import_string(im, "reduction", "none");
  hct_shape r = shape_of(rows), u = shape_of(updates);
  if (!strcmp(kind, "add")) {
    *out_rows = build_map2(im, "add", rows, build_scatter_rows(im, updates, ids, r.dims[0]));
  } else if (!strcmp(kind, "mul") || !strcmp(kind, "max") || !strcmp(kind, "min")) {
    *out_rows = combine_all(im, kind, rows, ids, updates);
  } else if (!strcmp(kind, "none")) {
    hct_shape mark = {.dtype = HCT_I32, .rank = 2, .dims = {u.dims[0], 1}};
    MlirValue ones = build_broadcast(im, build_scalar(im, HCT_I32, 1), &mark);
    MlirValue marks = build_scatter_rows(im, ones, ids, r.dims[0]), written = build_map2(im, "lt", build_scalar(im, HCT_I32, 0), marks);
    *out_rows = build_select(im, written, build_scatter_rows(im, updates, ids, r.dims[0]), rows);
  } else {
    return import_refuse(im, HCT_E_UNSUPPORTED, "reduction '%s'; none, add, mul, max and min are supported", kind);
  }
  return HCT_OK;
}

/* Of data as `rows` of the rest, at ids, which are one a row of updates. */
static hct_status scatter_output(importer *im, MlirValue data, int64_t rows, MlirValue ids, MlirValue updates) {
  hct_shape shape = shape_of(data), of = shape_of(ids);
  int64_t count = hct_shape_elements(&of), width = hct_shape_elements(&shape) / rows, table[] = {rows, width}, given[] = {count, width};
  MlirValue new_rows = build_reshape(im, updates, 2, given), at = build_reshape(im, ids, 1, &count), made;
  HCT_TRY(scatter_build(im, build_reshape(im, data, 2, table), at, new_rows, &made));
  return import_output_value(im, 0, build_reshape(im, made, shape.rank, shape.dims));
}

hct_status import_scatter_elements(importer *im) { /* and Scatter, its name before opset 11 */
  import_value *a = import_input(im, 0), *ids = import_input(im, 1), *updates = import_input(im, 2);
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", 0), a->shape.rank, &axis));
  if (!ids || !updates || hct_dtype_is_float(ids->shape.dtype)) return import_refuse(im, HCT_E_ONNX_TYPE, "indices or updates are missing, or indices no integers");
  bool fits = ids->shape.rank == a->shape.rank && updates->shape.rank == a->shape.rank && types_match(updates, a);
  for (size_t d = 0; fits && d < a->shape.rank; d++) fits = ids->shape.dims[d] == updates->shape.dims[d] && (d == axis || ids->shape.dims[d] <= a->shape.dims[d]);
  if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "updates, of the indices' shape, must be of the data's type and rank, and no larger beside axis %zu", axis);
  HCT_TRY(ids_check(im, ids, 1, &a->shape.dims[axis]));
  MlirValue at = element_numbers(im, &a->shape, build_value(im, ids), axis), given = build_value(im, updates);
  return scatter_output(im, build_value(im, a), hct_shape_elements(&a->shape), at, given);
}

hct_status import_scatter_nd(importer *im) {
  import_value *a = import_input(im, 0), *ids = import_input(im, 1), *updates = import_input(im, 2);
  size_t keys;
  HCT_TRY(keys_of(im, a, ids, 0, &keys));
  size_t leading = ids->shape.rank - 1;
  bool fits = updates && types_match(updates, a) && updates->shape.rank == leading + a->shape.rank - keys;
  for (size_t d = 0; fits && d < updates->shape.rank; d++) fits = updates->shape.dims[d] == (d < leading ? ids->shape.dims[d] : a->shape.dims[d - leading + keys]);
  if (!fits) return import_refuse(im, HCT_E_ONNX_SHAPE, "updates must be of the data's type, with the indices' dimensions but the last, then the data's from dimension %zu on", keys);
  int64_t rows = 1;
  for (size_t d = 0; d < keys; d++) rows *= a->shape.dims[d];
  MlirValue given = build_value(im, updates), at = row_numbers(im, &a->shape, build_value(im, ids), 0);
  return scatter_output(im, build_value(im, a), rows, at, given);
}

/* Rows of the axis, from a run-time one of each sample on, are those of the update. */
hct_status import_tensor_scatter(importer *im) {
  import_value *a = import_input(im, 0), *update = import_input(im, 1), *first = import_input(im, 2);
  const char *mode = import_string(im, "mode", "linear");
  size_t axis;
  HCT_TRY(import_axis(im, import_int(im, "axis", -2), a->shape.rank, &axis));
  bool circular = !strcmp(mode, "circular"), fits = update && axis > 0 && update->shape.rank == a->shape.rank && types_match(update, a);
  if (!circular && strcmp(mode, "linear")) return import_refuse(im, HCT_E_UNSUPPORTED, "mode '%s'; linear and circular are supported", mode);
  for (size_t d = 0; fits && d < a->shape.rank; d++) fits = d == axis ? update->shape.dims[d] <= a->shape.dims[d] : update->shape.dims[d] == a->shape.dims[d];
  if (!fits || (first && (first->shape.rank != 1 || first->shape.dims[0] != a->shape.dims[0]))) return import_refuse(im, HCT_E_ONNX_SHAPE, "the update must be of the cache's type and shape but along axis %zu, and write_indices one a sample", axis);
  int64_t size = a->shape.dims[axis], length = update->shape.dims[axis], samples = a->shape.dims[0], column[] = {samples, 1}, rows = samples * size;
  int64_t zero = 0;
  MlirValue from = first ? build_cast(im, build_value(im, first), HCT_I64) : build_broadcast(im, build_vector(im, HCT_I64, 1, &zero), &(hct_shape){.rank = 1, .dims = {samples}});
  MlirValue row = build_iota(im, HCT_I64, 2, 1, length), at = build_map2(im, "add", build_reshape(im, from, 2, column), row);
  MlirValue limit = build_scalar(im, HCT_I64, (double)size), around = circular ? build_map2(im, "sub", at, limit) : at;
  if (circular) at = build_select(im, build_map2(im, "le", limit, at), around, at);
  at = build_map2(im, "add", at, build_map2(im, "mul", build_iota(im, HCT_I64, 2, 0, samples), limit));
  MlirValue cache = build_axis_moved(im, build_value(im, a), axis, 1), moved = build_axis_moved(im, build_value(im, update), axis, 1), made;
  hct_shape shape = shape_of(cache);
  int64_t width = hct_shape_elements(&shape) / rows, table[] = {rows, width}, given[] = {samples * length, width};
  moved = build_reshape(im, moved, 2, given), at = build_reshape(im, at, 1, given);
  HCT_TRY(scatter_build(im, build_reshape(im, cache, 2, table), at, moved, &made));
  return import_output_value(im, 0, build_axis_moved(im, build_reshape(im, made, shape.rank, shape.dims), 1, axis));
}

/* ---- comparisons with an index ---- */
hct_status import_one_hot(importer *im) {
  import_value *ids = import_input(im, 0), *depth = import_input(im, 1), *values = import_input(im, 2);
  size_t axis, rank = ids->shape.rank + 1;
  if (!depth || !depth->known || hct_shape_elements(&depth->shape) != 1) return import_refuse(im, HCT_E_UNSUPPORTED, "a depth that depends on run-time data; a constant is supported");
  if (!values || values->shape.rank != 1 || values->shape.dims[0] != 2 || rank > HCT_MAX_RANK) return import_refuse(im, HCT_E_ONNX_SHAPE, "values are not two, or the result has more than %d dimensions", HCT_MAX_RANK);
  HCT_TRY(import_axis(im, import_int(im, "axis", -1), rank, &axis));
  double deep = host_get(&depth->host, 0);
  if (!(deep >= 1 && deep <= INT32_MAX)) return import_refuse(im, HCT_E_ONNX_SHAPE, "a depth of %g", deep);
  int64_t classes = (int64_t)deep, one[] = {1};
  MlirValue size = build_scalar(im, HCT_I64, (double)classes), at = build_ids(im, build_value(im, ids), size), number = build_iota(im, HCT_I64, rank, axis, classes);
  MlirValue hit = build_map2(im, "eq", build_dims_replaced(im, at, axis, 0, 1, one), number), both = build_value(im, values);
  MlirValue off = build_reshape(im, build_cut(im, both, 0, 0, 1), 0, NULL), on = build_reshape(im, build_cut(im, both, 0, 1, 1), 0, NULL);
  return import_output_value(im, 0, build_select(im, hit, on, off));
}

hct_status import_reverse_sequence(importer *im) {
  import_value *a = import_input(im, 0), *lengths = import_input(im, 1);
  size_t batch, time;
  if (a->shape.rank < 2) return import_refuse(im, HCT_E_ONNX_SHAPE, "a value of rank %zu; at least 2 is needed", a->shape.rank);
  HCT_TRY(import_axis(im, import_int(im, "batch_axis", 1), a->shape.rank, &batch));
  HCT_TRY(import_axis(im, import_int(im, "time_axis", 0), a->shape.rank, &time));
  if (batch > 1 || time > 1 || batch == time) return import_refuse(im, HCT_E_ONNX_INVALID, "batch_axis %zu and time_axis %zu are not 0 and 1", batch, time);
  if (!lengths || lengths->shape.rank != 1 || lengths->shape.dims[0] != a->shape.dims[batch]) return import_refuse(im, HCT_E_ONNX_SHAPE, "sequence_lens is not one length for each of %lld", (long long)a->shape.dims[batch]);
  int64_t samples = a->shape.dims[batch], steps = a->shape.dims[time], column[] = {samples, 1};
  MlirValue x = build_axis_moved(im, build_value(im, a), batch, 0), t = build_iota(im, HCT_I64, 2, 1, steps);
  MlirValue length = build_reshape(im, build_cast(im, build_value(im, lengths), HCT_I64), 2, column);
  MlirValue mirrored = build_map2(im, "sub", build_scaled(im, "adds", length, -1), t);
  MlirValue at = build_select(im, build_map2(im, "lt", t, length), mirrored, t);
  MlirValue stride = build_scalar(im, HCT_I64, (double)steps);
  at = build_map2(im, "add", at, build_map2(im, "mul", build_iota(im, HCT_I64, 2, 0, samples), stride));
  MlirValue rows = build_gather_rows(im, as_rows(im, x, 2), at);
  return import_output_value(im, 0, build_axis_moved(im, rows, 0, batch));
}
