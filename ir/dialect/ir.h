/* The MLIR side of every pass, in one header: contexts with our dialects loaded, building and reading operations, walking,
 * locations, diagnostics. Wraps the MLIR C API where it crashes or is wordy (ir.md); nothing else includes mlir-c for these. */
#ifndef HCT_DIALECT_IR_H
#define HCT_DIALECT_IR_H

#include <mlir-c/BuiltinAttributes.h>
#include <mlir-c/BuiltinTypes.h>
#include <mlir-c/IR.h>

#include "ir/isa/layout.h"
#include "ir/support/support.h"

/* A context with builtin, func, arith, scf, tensor, shard and our IRDL dialects. MLIR's own diagnostics go to `diags`. */
MlirContext hct_context_create(hct_diags *diags);
void hct_context_destroy(MlirContext context);
/* The IRDL module of our dialects, as written to BUILD/share/hecaton/hecaton.irdl.mlir. */
void hct_dialect_irdl_print(hct_text *text);
/* The operators of "hct_graph" or "hct_tile" as a Markdown table, for the pages beside this file. */
void hct_dialect_docs_print(const char *dialect, hct_text *text);
enum { HCT_MAX_VARIADIC = 16 };
bool hct_dialect_is_variadic(const char *op_name); /* takes any number of operands, up to HCT_MAX_VARIADIC */

/* ---- text ---- */
static inline MlirStringRef hct_ref(const char *text) { return mlirStringRefCreateFromCString(text); }
/* Parses and verifies; `file_name` names the text in diagnostics. Null module on failure (diagnosed). */
hct_status hct_module_parse(hct_diags *diags, MlirContext context, const char *file_name, const char *text, MlirModule *out_module);
/* Generic form with locations (`loc`), deterministic. */
void hct_module_print(MlirModule module, hct_text *text);
hct_status hct_module_verify(hct_diags *diags, MlirModule module, const char *after); /* MLIR's verifier, then ops.def's own */

/* ---- building ---- */
typedef struct hct_builder { /* appends at the end of `block`, or before `before` when that is not null */
  MlirContext context;
  MlirBlock block;
  MlirOperation before;
  MlirLocation location;
} hct_builder;
typedef struct hct_named { const char *name; MlirAttribute value; } hct_named;
MlirOperation hct_build(hct_builder *builder, const char *op_name, size_t operand_count, const MlirValue *operands, size_t result_count,
                        const MlirType *results, size_t attribute_count, const hct_named *attributes);
/* One-result operations: the result. */
MlirValue hct_build_value(hct_builder *builder, const char *op_name, size_t operand_count, const MlirValue *operands, MlirType result,
                          size_t attribute_count, const hct_named *attributes);
MlirAttribute hct_attr_str(MlirContext context, const char *text);
MlirAttribute hct_attr_i64(MlirContext context, int64_t value);
MlirAttribute hct_attr_f64(MlirContext context, double value);
MlirAttribute hct_attr_bool(MlirContext context, bool value);
MlirAttribute hct_attr_i64s(MlirContext context, size_t count, const int64_t *values);
MlirAttribute hct_attr_strs(MlirContext context, size_t count, const char *const *values);
MlirType hct_type_scalar(MlirContext context, hct_dtype dtype);
MlirType hct_type_tensor(MlirContext context, hct_dtype dtype, size_t rank, const int64_t *shape);
MlirType hct_type_parse(MlirContext context, const char *text);

/* ---- reading ---- */
const char *hct_op_name(MlirOperation op); /* "hct_graph.map1"; lives as long as the context */
bool hct_op_is(MlirOperation op, const char *name);
/* Attributes; the `_or` forms give a default when absent. A missing or mistyped attribute in the others is a bug of ours:
 * IRDL and the verifier have checked it. Strings live as long as the context. */
const char *hct_op_str(MlirOperation op, const char *name);
const char *hct_op_str_or(MlirOperation op, const char *name, const char *fallback);
int64_t hct_op_i64(MlirOperation op, const char *name);
int64_t hct_op_i64_or(MlirOperation op, const char *name, int64_t fallback);
double hct_op_f64_or(MlirOperation op, const char *name, double fallback);
bool hct_op_bool_or(MlirOperation op, const char *name, bool fallback);
size_t hct_op_i64s(MlirOperation op, const char *name, int64_t *out_values, size_t capacity); /* number of values */
size_t hct_op_strs(MlirOperation op, const char *name, const char **out_values, size_t capacity);
const char *hct_attr_text(MlirAttribute attribute); /* of a string attribute; NULL for another kind */
const float *hct_attr_f32s(MlirAttribute dense); /* the elements of a dense f32 constant, row-major; NULL: a splat, or another type */
/* Of a constant seen as the shape that has dims[0 .. rank): `count` from `first` on along `dim`, of the type given. Null: not dense, or of bits. */
MlirAttribute hct_attr_part(MlirAttribute constant, size_t rank, const int64_t *dims, size_t dim, int64_t first, int64_t count, MlirType type);
bool hct_op_has(MlirOperation op, const char *name);
void hct_op_set(MlirOperation op, const char *name, MlirAttribute value);
MlirValue hct_op_result(MlirOperation op, size_t index);
MlirValue hct_op_operand(MlirOperation op, size_t index);

typedef struct hct_shape { hct_dtype dtype; size_t rank; int64_t dims[HCT_MAX_RANK]; } hct_shape;
/* Ranked static tensors of a supported element type and rank <= HCT_MAX_RANK; false otherwise. */
bool hct_value_shape(MlirValue value, hct_shape *out_shape);
bool hct_type_shape(MlirType type, hct_shape *out_shape); /* the same of a type */
int64_t hct_shape_elements(const hct_shape *shape);
const char *hct_shape_text(hct_arena *arena, const hct_shape *shape); /* 2x3xf32 */
bool hct_value_unused(MlirValue value);
void hct_value_replace(MlirValue old_value, MlirValue new_value);
/* Dense key of a value or operation for maps: pointers are stable while the operation lives. Never iterate by it. */
static inline const void *hct_value_key(MlirValue value) { return value.ptr; }

/* The only function of a module, "step" at graph, dist and tile, "main" at onnx; and its entry block and terminator. */
MlirOperation hct_module_function(MlirModule module);
MlirBlock hct_function_body(MlirOperation function);
MlirOperation hct_block_terminator(MlirBlock block);
/* Operations of a block, in order, as an array in the arena (safe to change the block while going over it). */
size_t hct_block_operations(hct_arena *arena, MlirBlock block, MlirOperation **out_operations);
/* Argument and result attributes of the function (`hct.name`, `hct.role`, ...); null attribute when absent. They are one array a function, written
 * as a whole: all that a pass sets goes in one call, entries of one argument or result beside each other. */
typedef struct hct_entry { size_t index; const char *name; MlirAttribute value; } hct_entry;
typedef struct hct_entry_list { hct_entry *items; size_t count, capacity; } hct_entry_list;
MlirAttribute hct_function_arg_attr(MlirOperation function, size_t index, const char *name);
void hct_function_set_arg_attrs(MlirOperation function, size_t count, const hct_entry *entries);
MlirAttribute hct_function_result_attr(MlirOperation function, size_t index, const char *name);
void hct_function_set_result_attrs(MlirOperation function, size_t count, const hct_entry *entries);
void hct_function_erase_args(MlirOperation function, const bool *erased); /* by argument; nothing reads them */
/* Whether a result of this role is the new value of the argument of its name and role: param, state, copy. */
bool hct_role_replaces(const char *role);
/* By result: the first argument of its name and role, whose new value it is; SIZE_MAX: its role replaces none, or there is none. All have names and roles. */
size_t *hct_function_replaced(hct_arena *arena, MlirOperation function);
/* Recomputes the function type from its block arguments and the terminator's operands. */
void hct_function_update_type(MlirOperation function);
/* Erases unused PURE operations (ops.def), repeatedly. Number erased. */
size_t hct_function_eliminate_dead(MlirOperation function);

/* linear, attention, norms, ...: what hct-raise makes and hct-expand takes apart. `name`: without hct_graph. */
bool hct_graph_is_composite(const char *name);

/* ---- locations ---- */
/* name location "node 14 'h.0/attn/MatMul'" over file location "gpt2.onnx":14:0; fused ones give their first. */
MlirLocation hct_location_node(MlirContext context, const char *file, int64_t index, const char *node_name);
hct_loc hct_loc_of(hct_arena *arena, MlirOperation op);
hct_loc hct_loc_of_location(hct_arena *arena, MlirLocation location);

/* ---- the onnx dialect (onnx_ops.def): ONNX's op_type and the operator's name, "onnx.layer_normalization" ---- */
enum { HCT_ONNX_NAME_BYTES = 96 };
void hct_onnx_op_name(const char *op_type, char out_name[HCT_ONNX_NAME_BYTES]);
const char *hct_onnx_op_type(const char *op_name); /* NULL: no such operator */
void hct_onnx_docs_print(hct_text *text); /* the supported operators, as a Markdown table */
size_t hct_onnx_op_type_count(void);
const char *hct_onnx_op_type_at(size_t index);

#endif
