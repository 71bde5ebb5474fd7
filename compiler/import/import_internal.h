/* Shared by the files of the importer. */
#ifndef HCT_COMPILER_IMPORT_INTERNAL_H
#define HCT_COMPILER_IMPORT_INTERNAL_H

#include <onnx.pb-c.h>

#include "compiler/import/import.h"
#include "ir/data/array.h"
#include "ir/isa/image.h"

typedef struct host_tensor { /* a value known at compile time */
  hct_shape shape;
  int64_t *i; /* integers and bools */
  float *f;   /* floats: f32 holds what any of them is computed with in */
  hct_dtype element; /* where it is for interchange alone (hct_dtype_computed): that; else 0 */
} host_tensor;

typedef struct import_value {
  bool known;
  host_tensor host;
  MlirValue value; /* null until built, when known */
  MlirAttribute attribute; /* what a known value was read from, or made; null: nothing yet */
  hct_shape shape;
  hct_dtype element; /* as host_tensor's */
} import_value;

typedef struct import_site { /* of a node: where the model has it, or the call of a function that it is of */
  const char *name; /* of a node of a function: the calls', then its own */
  size_t index;     /* in the model's graph */
  int64_t opset;    /* a function has its own */
} import_site;

typedef struct importer {
  hct_pass_context *pass;
  hct_arena *arena;
  MlirContext context;
  const char *file; /* base name of the model, for locations */
  Onnx__GraphProto *graph; /* calls of functions are replaced by their nodes, an If by the branch taken (import_if.c) */
  import_site *sites; /* by node */
  size_t node_index, node_capacity; /* of the node being imported, and of the graph's nodes */
  int64_t opset, model_opset; /* of the node being imported, and of the model */
  int64_t dropouts; /* imported so far */
  const char *path, *reference; /* of the model, as given, and relative to the pass's directory */
  hct_map *values;   /* ONNX name -> import_value * */
  hct_map *externals; /* location -> its file (import_external.c) */
  hct_map *loops;     /* number of a node that goes on with a Loop -> what it has done (import_loop.c) */
  hct_map *untrained; /* names of initializers of which that was said (import_body.c) */
  int64_t expanded;   /* nodes that functions and loops have come to */
  hct_entry_list arguments; /* attributes of the function's */
  hct_builder builder;
  MlirBlock body;
  MlirOperation trial; /* the function that `body` is of */
  MlirModule module;
  Onnx__NodeProto *node; /* being imported */
  hct_loc loc;
} importer;

typedef hct_status (*import_function)(importer *im);

/* ---- nodes ---- */
import_value *import_input(importer *im, size_t index); /* NULL when absent */
hct_status import_output(importer *im, size_t index, import_value value);
hct_status import_output_value(importer *im, size_t index, MlirValue value);
hct_status import_output_host(importer *im, size_t index, host_tensor host);
int64_t import_int(const importer *im, const char *name, int64_t fallback);
float import_float(const importer *im, const char *name, float fallback);
const char *import_string(importer *im, const char *name, const char *fallback);
const Onnx__AttributeProto *import_attribute(const importer *im, const char *name);
/* Integers from attribute `name`, or from input `index` when it is known; false when neither is there. */
bool import_ints(importer *im, const char *name, size_t index, int64_t *out_values, size_t capacity, size_t *out_count);
/* The same of what may be left out: refused where it is there and is not known, or is of more than `capacity`. */
hct_status import_ints_optional(importer *im, const char *name, size_t index, int64_t *out_values, size_t capacity, size_t *out_count, bool *out_given);
hct_status import_refuse(importer *im, hct_diag_code code, const char *fmt, ...) HCT_PRINTF(3, 4);
hct_status import_floats(importer *im, size_t count); /* refused: one of the first `count` inputs is there and has no float type */
/* Refused: an operand of an element type for interchange alone, of an operator that ONNX does not give it to (import_check.c). */
hct_status import_check_elements(importer *im);
bool import_moves_elements(const importer *im); /* the result's elements are those of its first input */
hct_status import_refuse_size(importer *im, size_t bytes); /* known values take more than that: what hct_arena_limit is for */
hct_status import_axis(importer *im, int64_t axis, size_t rank, size_t *out_axis);

hct_loc import_node_loc(importer *im, size_t index);
hct_loc import_site_loc(importer *im, const import_site *site);
/* What ONNX asks of every model, graph (those inside of it, too) and node (import_check.c). */
hct_status import_check_model(importer *im, const Onnx__ModelProto *model); /* sets im->model_opset */
hct_status import_check_graph(importer *im, const Onnx__GraphProto *graph);
hct_status import_check_node(importer *im); /* im->node; its inputs are made */
bool import_domain_is_onnx(const char *domain);
/* Makes im->graph, a graph without calls of the model's functions, and im->sites. Refused: calls that nest too deeply or do not fit, functions
 * that are defined twice (import_function.c). */
hct_status import_inline(importer *im, const Onnx__ModelProto *model);
enum { IMPORT_MAX_NODES = 1 << 17 };
/* Counts nodes that functions and loops come to; refused above IMPORT_MAX_NODES of the whole model. */
hct_status import_count_nodes(importer *im, int64_t times, int64_t nodes);
bool import_is_operator(const Onnx__NodeProto *node); /* of those that are imported */
hct_status import_node(importer *im, size_t index);
void import_node_add(importer *im, Onnx__NodeProto *node); /* to im->graph, as part of the node being imported */
/* Runs all nodes, in an order in which their inputs are made (import_order.c). `out_order`: without those that others stand for, as an If's branch
 * does for it. Refused: values that no node makes, and cycles. */
hct_status import_nodes(importer *im, hct_index_list *out_order);
hct_status import_run(importer *im); /* im->node through its function of onnx_ops.def; refused when there is none */

/* ---- nodes of our own, and graphs inside of operators (import_body.c) ---- */
/* Named label/op_type; label NULL: without a name. */
Onnx__NodeProto *import_node_create(importer *im, const char *op_type, const char *label, size_t input_count, char *const *inputs, char *output);
void import_node_set_int(importer *im, Onnx__NodeProto *node, const char *name, int64_t value);
void import_node_set_ints(importer *im, Onnx__NodeProto *node, const char *name, size_t count, const int64_t *values);
/* Adds nodes of an operator of any number of inputs, each of HCT_MAX_VARIADIC at most, to make `to` of 1 or more values. `axis` NULL: it has none. */
void import_joined_add(importer *im, const char *op_type, const int64_t *axis, const char *label, const char *scope, size_t count, char *const *values, char *to);
char *import_name_next(importer *im, const char *scope); /* another one after each import_node_add */
char *import_name_known(importer *im, const char *name, host_tensor host); /* makes `name` the name of a known value */
char *import_name_number(importer *im, const char *scope, hct_dtype dtype, size_t rank, int64_t number); /* of a number; rank 1: in a vector */

typedef struct import_body {
  const Onnx__GraphProto *graph;
  const char *attribute, *own, *scope; /* own: name of the operator; scope: of the values */
  hct_map *constants; /* its initializers -> char *, known values of the model; they are no parameters */
  int64_t nodes;      /* that count for each time that it is added */
} import_body;
/* Attribute `attribute` of im->node, a graph of so many inputs and outputs. */
hct_status import_body_read(importer *im, const char *attribute, size_t inputs, size_t outputs, import_body *out_body);
/* Adds its nodes, once more. `suffix`: of its names, "[3]". `inputs`: names of values, one an input; out_outputs: likewise. */
hct_status import_body_add(importer *im, const import_body *body, const char *suffix, char *const *inputs, char **out_outputs);

/* ---- functions of modules ---- */
MlirOperation import_function_create(MlirContext context, MlirLocation location, MlirBlock *out_body); /* @step(), empty */
/* Arguments' and results' attributes as `like` has them; its type; without what nothing needs. */
void import_function_finish(MlirOperation function, MlirOperation like);
/* The onnx level of what a trial made of the nodes, in their order, into `module` (import_level.c). */
hct_status import_level_write(importer *im, MlirOperation trial, const size_t *order, size_t count, MlirModule module);

/* ---- known tensors (import_host.c) ---- */
host_tensor host_create(hct_arena *arena, hct_dtype dtype, size_t rank, const int64_t *dims);
bool host_is_float(const host_tensor *t);
double host_get(const host_tensor *t, int64_t index);
void host_set(host_tensor *t, int64_t index, double value);
/* Type and dimensions, with as many bytes as an image can hold. */
hct_status host_shape_from_proto(importer *im, const Onnx__TensorProto *proto, hct_shape *out_shape, int64_t *out_bytes);
hct_status host_from_proto(importer *im, const Onnx__TensorProto *proto, host_tensor *out_tensor);
/* What a value of a declared type is computed with: floats of every width in f32; --dtype says what is stored. Arguments and results keep theirs. */
hct_dtype import_dtype(hct_dtype declared);
hct_dtype import_element(hct_dtype declared); /* where it is for interchange alone: that; else 0 */
hct_shape import_declared(const import_value *value); /* its shape, of its element type */
void host_from_bytes(host_tensor *t, hct_dtype dtype, const uint8_t *data); /* elements of `dtype`, row-major */
/* Element (i0, i1, ...) of the result is that of `from` at offset + sum i_d * strides[d]. */
host_tensor host_view(hct_arena *arena, const host_tensor *from, size_t rank, const int64_t *dims, int64_t offset, const int64_t *strides);
void host_strides(const hct_shape *shape, int64_t *out_strides);
MlirAttribute host_attribute(importer *im, const host_tensor *t, hct_dtype dtype); /* dense, of elements of `dtype` */
MlirAttribute known_attribute(importer *im, import_value *value, hct_dtype dtype); /* the same of a known value, made once */
bool host_from_attribute(importer *im, MlirAttribute attribute, host_tensor *out_tensor); /* false: not dense, or of another type */

/* ---- external data (import_external.c) ---- */
typedef struct import_bytes {
  const uint8_t *data; /* mapped until the import ends; NULL: its file is not there */
  size_t bytes;
  const char *file;    /* relative to the pass's directory */
  int64_t offset;
} import_bytes;
/* `bytes`: what the tensor's shape needs. Refused: a place that is not in the model's folder, another length, a file that is too short. */
hct_status import_external(importer *im, const Onnx__TensorProto *tensor, int64_t bytes, import_bytes *out_bytes);
void import_externals_end(importer *im, bool imported); /* one remark, if files are absent; unmaps the others */

/* ---- building (import_build.c) ---- */
MlirValue build_value(importer *im, import_value *value); /* the constant of a known one */
import_value import_argument(importer *im, MlirValue argument); /* converted to what it is computed with in */
MlirValue build_op(importer *im, const char *name, size_t operand_count, const MlirValue *operands, const hct_shape *result, size_t attribute_count, const hct_named *attributes);
MlirValue build_map1(importer *im, const char *fn, MlirValue a, hct_dtype result);
MlirValue build_scaled(importer *im, const char *fn, MlirValue a, double scalar); /* adds, muls, pows */
MlirValue build_map2(importer *im, const char *fn, MlirValue a, MlirValue b);
MlirValue build_reduce(importer *im, const char *kind, MlirValue a, size_t count, const int64_t *axes);
MlirValue build_reshape(importer *im, MlirValue a, size_t rank, const int64_t *dims);
MlirValue build_broadcast(importer *im, MlirValue a, const hct_shape *to);
MlirValue build_slice(importer *im, MlirValue a, const int64_t *starts, const int64_t *steps, const int64_t *dims);
MlirValue build_part(importer *im, MlirValue a, size_t axis, int64_t start, int64_t step, int64_t count); /* a slice along one dimension */
MlirValue build_transpose(importer *im, MlirValue a, const int64_t *perm); /* `a` itself where nothing moves */
MlirValue build_concat(importer *im, size_t axis, size_t count, const MlirValue *parts); /* any number of parts, of one element type */
MlirValue build_pad(importer *im, MlirValue a, const int64_t *low, const int64_t *dims, double value);
MlirValue build_softmax(importer *im, MlirValue a, size_t axis);
MlirValue build_log_softmax(importer *im, MlirValue a, size_t axis);
MlirValue build_select(importer *im, MlirValue condition, MlirValue a, MlirValue b); /* operands broadcast */
MlirValue build_scalar(importer *im, hct_dtype dtype, double value); /* of rank 0 */
MlirValue build_known(importer *im, host_tensor host);
MlirValue build_cast(importer *im, MlirValue a, hct_dtype dtype); /* `a` itself where it is of the type */
MlirValue build_along(importer *im, MlirValue a, size_t axis, size_t rank); /* a vector under the shape that broadcasts along `axis` of `rank` dimensions */
MlirValue build_mean(importer *im, MlirValue a, size_t count, const int64_t *axes); /* axes stay with size 1 */
/* Product over letters; operands that are transposes are read through. */
MlirValue build_contract(importer *im, const char *a_letters, const char *b_letters, const char *result_letters, MlirValue a, MlirValue b);
MlirValue build_contract_as(importer *im, const char *a_letters, const char *b_letters, const char *result_letters, MlirValue a, MlirValue b, hct_dtype result);
hct_shape shape_of(MlirValue value);
bool broadcast_shape(const hct_shape *a, const hct_shape *b, hct_shape *out_shape);

/* ---- elementwise functions (isa_functions.def) of values, known where all operands are (import_fold.c) ---- */
import_value *value_number(importer *im, hct_dtype dtype, double number); /* a scalar */
import_value *value_map1(importer *im, const char *fn, import_value *a, hct_dtype result); /* mov to the type it has: a itself */
import_value *value_scaled(importer *im, const char *fn, import_value *a, double scalar); /* adds, muls, pows, of floats */
import_value *value_map2(importer *im, const char *fn, import_value *a, import_value *b); /* of one type, of shapes that broadcast */
import_value *value_select(importer *im, import_value *c, import_value *a, import_value *b);
/* Converted to what the element type (for interchange, f16 or bf16) is computed with as, each element a value of that type. */
import_value *value_narrow(importer *im, hct_narrowing narrowing, import_value *a);
hct_dtype value_half(const import_value *a); /* f16 or bf16, where a Cast rounded it to that, or it is an argument of that; else 0 */
import_value *value_wide(importer *im, import_value *a); /* f16 and bf16 as f32, for what is composed of several functions */

#define HCT_ONNX_OP(name, opset, function) hct_status function(importer *im);
#include "ir/dialect/onnx_ops.def"
#undef HCT_ONNX_OP

#endif
