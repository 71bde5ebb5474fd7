/* Parts of the host backend: the plan of the arena, kernels as upstream MLIR text, and the way to a shared object.
 *
 * Every operation becomes one function over memrefs (affine loops, arith, math); equal ones are kept once. The step function views
 * the arena at each tensor's offset and calls them in order. It is the oracle of the chiplet path, so it shares no code with
 * partitioner, schedule or simulator, and works in the plainest way that is not slow: no fusion, whole tensors. */
#ifndef HCT_HOST_HOST_H
#define HCT_HOST_HOST_H

#include "compiler/pass.h"

/* ---- plan: where each value lies (plan.c) ---- */
typedef struct host_buffer {
  MlirValue value;
  hct_shape shape;
  int64_t offset, bytes;
  size_t root;     /* index of the buffer whose bytes these are: itself, or another through reshape or update in place */
  size_t last_use; /* of a root: index of the last operation that reads it, also through aliases; SIZE_MAX when the caller reads it */
  bool fixed;      /* a root with a place of its own: arguments and constants */
} host_buffer;

typedef struct host_copy { size_t from, to; } host_copy; /* buffers, after the last operation */

typedef struct host_plan {
  hct_arena *arena;
  MlirOperation function;
  MlirOperation *ops; /* without the terminator */
  size_t op_count, argument_count;
  struct { host_buffer *items; size_t count, capacity; } buffers;
  hct_index_map *index; /* value -> buffer */
  size_t *results;      /* buffer that holds result i after the step */
  size_t result_count;
  struct { host_copy *items; size_t count, capacity; } copies;
  int64_t arena_bytes, scratch_offset, scratch_bytes;
} host_plan;

void host_plan_make(hct_arena *arena, MlirOperation function, host_plan *out_plan);
size_t host_plan_buffer(const host_plan *plan, MlirValue value);
/* Bytes that the operation needs beside its operands and results (a packed operand of a contraction). */
int64_t host_scratch_bytes(MlirOperation op);

/* ---- kernels: text of one function body (kernels*.c) ---- */
typedef struct host_kernel {
  hct_arena *arena;
  hct_text text;
  int next;  /* number of the next SSA value */
  int depth; /* open loops */
} host_kernel;
typedef struct host_value { int id; hct_dtype type; } host_value; /* type of computation: f32 or f64 for floats, the element type for others */

#define HOST_LINE(kernel, ...) (host_indent(kernel), hct_text_printf(&(kernel)->text, __VA_ARGS__), hct_text_printf(&(kernel)->text, "\n"))
void host_indent(host_kernel *k);
const char *host_type_name(hct_dtype dtype); /* MLIR's; integers are signless */
const char *host_memref(host_kernel *k, const hct_shape *shape);
host_value host_value_new(host_kernel *k, hct_dtype type);
host_value host_float(host_kernel *k, hct_dtype type, double value); /* arith.constant; also integers and i1 */
/* Loads element `index` (affine expressions, comma-separated) of %NAME, widened to its type of computation. */
host_value host_load(host_kernel *k, const char *name, const hct_shape *shape, const char *index);
void host_store(host_kernel *k, host_value value, const char *name, const hct_shape *shape, const char *index);
/* Loops `%PREFIX0`..: one a dim. host_close ends as many. */
void host_open(host_kernel *k, const char *prefix, size_t rank, const int64_t *dims);
void host_close(host_kernel *k, size_t count);
const char *host_index(host_kernel *k, const char *prefix, size_t rank);                              /* "%i0, %i1" */
const char *host_index_broadcast(host_kernel *k, const char *prefix, size_t rank, const hct_shape *operand); /* right-aligned, 0 where size 1 */
hct_dtype host_compute_type(hct_dtype dtype);
host_value host_extreme(host_kernel *k, hct_dtype type, bool largest); /* of a type: an infinity of floats */
host_value host_select(host_kernel *k, host_value condition, host_value a, host_value b); /* condition: i1 */
host_value host_binary(host_kernel *k, const char *instruction, host_value a, host_value b); /* arith.addf, ... */
host_value host_unary(host_kernel *k, const char *instruction, host_value a);
host_value host_convert(host_kernel *k, host_value a, hct_dtype type);
/* Elementwise functions; id -1 when the host has none for this type. */
host_value host_map1(host_kernel *k, const char *fn, host_value a, double scalar, hct_dtype result);
/* Numbers of float8, float4 and integers of 4 and 2 bits (kernel_narrow.c). */
host_value host_narrow(host_kernel *k, host_value a, hct_narrowing narrowing); /* to values of the type: of f32, or of i8 and ui8 */
host_value host_decode(host_kernel *k, host_value code, hct_dtype dtype); /* a code, an i8, to f32 */
host_value host_encode(host_kernel *k, host_value a, hct_dtype dtype); /* an f32 to the code, an i8, of the value of the type next to it */
host_value host_compare(host_kernel *k, const char *predicate, host_value a, host_value b); /* "cmpf olt": i1 */
host_value host_cast(host_kernel *k, const char *instruction, host_value a, hct_dtype type); /* arith's, without "arith." */
host_value host_map2(host_kernel *k, const char *fn, host_value a, host_value b);

/* The body for `op`; operands are %a0.., results %o0.., scratch %s, faults %f with the operation's number %id. False: the host
 * backend does not know it. */
bool host_kernel_emit(host_kernel *k, MlirOperation op);
void host_emit_contract(host_kernel *k, MlirOperation op);
bool host_emit_rows(host_kernel *k, MlirOperation op);   /* softmax, gather_rows and the like */
bool host_emit_update(host_kernel *k, MlirOperation op);
bool host_emit_dropout(host_kernel *k, MlirOperation op);

/* ---- from text to a shared object (object.c) ---- */
/* Upstream MLIR text to a shared object, written to `out`, with metadata and data beside the code. Fails where temporary files or the linker do; what
 * `out` does not take is for who commits it. */
hct_status host_object_write(hct_diags *diags, const hct_text *mlir, const hct_text *metadata, const hct_text *data, FILE *out);

#endif
