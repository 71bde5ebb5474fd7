/* Support library of every layer: status, diagnostics, arenas, checked sizes, text, files.
 *
 * Ownership: an object named `hct_X_create` is released by `hct_X_destroy`; memory from an arena lives until the arena is
 * destroyed and is never freed on its own. Outputs come last and are named `out_...`; on failure they are untouched.
 *
 * Three kinds of failure, never mixed (style.md): the user's input is wrong -> a diagnostic was emitted and HCT_REFUSED is
 * returned; the environment failed (file, memory) -> a diagnostic with the system's reason and HCT_FAILED; a bug of ours ->
 * HCT_BUG_ON, which prints where and aborts. */
#ifndef HCT_SUPPORT_SUPPORT_H
#define HCT_SUPPORT_SUPPORT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HCT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define HCT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- status ---- */
typedef enum hct_status {
  HCT_OK = 0,
  HCT_REFUSED, /* the input was wrong; at least one diagnostic says what */
  HCT_FAILED,  /* the environment failed; a diagnostic says what */
} hct_status;
#define HCT_TRY(expr)                     \
  do {                                    \
    hct_status hct_try_status_ = (expr);  \
    if (hct_try_status_ != HCT_OK) return hct_try_status_; \
  } while (0)

_Noreturn void hct_bug(const char *file, int line, const char *fmt, ...) HCT_PRINTF(3, 4);
#define HCT_BUG_ON(cond, ...)                              \
  do {                                                     \
    if (cond) hct_bug(__FILE__, __LINE__, __VA_ARGS__);    \
  } while (0)

/* ---- diagnostics: `FILE: WHERE: error[E0102]: message`, then indented notes and hints ---- */
typedef enum hct_diag_code {
#define HCT_DIAG(name, number, summary) HCT_E_##name = number,
#include "ir/support/diag_codes.def"
#undef HCT_DIAG
} hct_diag_code;

typedef struct hct_diags hct_diags; /* collects and prints; one per tool run */
typedef struct hct_loc {
  const char *file;  /* file name as the user gave it, or NULL */
  const char *where; /* "node 14 'h.0/attn/MatMul'", "12:3", or NULL */
} hct_loc;

/* `out` receives the text as it is emitted (standard error in tools), and from then on a write beyond the process's limit on sizes of files fails, where it
 * would end the process; NULL keeps the text only in memory (hct_diags_text). */
hct_diags *hct_diags_create(FILE *out);
void hct_diags_destroy(hct_diags *diags);
void hct_diags_repeat(hct_diags *diags, const hct_diags *from); /* the text of another, which was kept in memory */
size_t hct_diags_error_count(const hct_diags *diags);
const char *hct_diags_text(const hct_diags *diags);
/* Every diagnostic, one at a time, beside the text: what --verify-diagnostics listens to. A note or hint has no place of its own:
 * it belongs to the error, warning or remark before it. */
typedef enum hct_diag_kind { HCT_DIAG_ERROR, HCT_DIAG_WARNING, HCT_DIAG_REMARK, HCT_DIAG_NOTE, HCT_DIAG_HINT } hct_diag_kind;
typedef struct hct_diag {
  hct_diag_kind kind;
  hct_diag_code code;  /* of errors */
  hct_loc loc;
  const char *message; /* until the sink returns */
} hct_diag;
typedef void (*hct_diag_sink)(void *user, const hct_diag *diag);
void hct_diags_set_sink(hct_diags *diags, hct_diag_sink sink, void *user);
long hct_loc_line(hct_loc loc); /* of a `where` that is a line, or LINE:COLUMN; else 0 */
/* Each returns the status to return, so that `return hct_error(...)` reads naturally. */
hct_status hct_error(hct_diags *diags, hct_diag_code code, hct_loc loc, const char *fmt, ...) HCT_PRINTF(4, 5);
hct_status hct_failure(hct_diags *diags, hct_diag_code code, hct_loc loc, const char *fmt, ...) HCT_PRINTF(4, 5);
void hct_remark(hct_diags *diags, hct_loc loc, const char *fmt, ...) HCT_PRINTF(3, 4);
void hct_warning(hct_diags *diags, hct_loc loc, const char *fmt, ...) HCT_PRINTF(3, 4);
/* What a long run is doing: one line, rewritten, on a terminal (or where HECATON_PROGRESS is set, and not 0), from two seconds after the
 * start on. Diagnostics take its place; it is gone at the end, and before other output after hct_progress_end. */
void hct_progress(hct_diags *diags, const char *fmt, ...) HCT_PRINTF(2, 3);
void hct_progress_end(hct_diags *diags);
/* Attach to the diagnostic emitted last: where a demand comes from; an action that exists. */
void hct_note(hct_diags *diags, const char *fmt, ...) HCT_PRINTF(2, 3);
void hct_hint(hct_diags *diags, const char *fmt, ...) HCT_PRINTF(2, 3);

/* ---- arena: allocation never returns NULL (out of memory prints and exits through hct_bug); memory is zeroed ---- */
typedef struct hct_arena hct_arena;
hct_arena *hct_arena_create(void);
void hct_arena_destroy(hct_arena *arena);
void hct_arena_adopt(hct_arena *arena, hct_arena *from); /* all that is in `from`, which is gone, lives as long as `arena` */
void *hct_arena_alloc(hct_arena *arena, size_t bytes);
void *hct_arena_array(hct_arena *arena, size_t count, size_t element_bytes); /* overflow-checked */
char *hct_arena_strdup(hct_arena *arena, const char *text);
char *hct_arena_strndup(hct_arena *arena, const char *text, size_t length);
char *hct_arena_printf(hct_arena *arena, const char *fmt, ...) HCT_PRINTF(2, 3);
/* What an arena holds may depend on what users wrote: beyond `bytes` from now on, `*exceeded` is jumped to, with 1. NULL: no limit again. */
void hct_arena_limit(hct_arena *arena, size_t bytes, jmp_buf *exceeded);
#define HCT_NEW(arena, type) ((type *)hct_arena_alloc((arena), sizeof(type)))
#define HCT_NEW_ARRAY(arena, type, count) ((type *)hct_arena_array((arena), (count), sizeof(type)))

/* ---- growing array in an arena: `struct { T *items; size_t count, capacity; } v; HCT_PUSH(arena, &v, item);` ---- */
void *hct_vec_grow(hct_arena *arena, void *items, size_t count, size_t *capacity, size_t element_bytes);
#define HCT_PUSH(arena, vec, item)                                                                                      \
  do {                                                                                                                  \
    if ((vec)->count == (vec)->capacity)                                                                                \
      (vec)->items = hct_vec_grow((arena), (vec)->items, (vec)->count, &(vec)->capacity, sizeof(*(vec)->items));         \
    (vec)->items[(vec)->count++] = (item);                                                                              \
  } while (0)

/* ---- growing text on the heap ---- */
typedef struct hct_text {
  char *data; /* NUL-terminated once anything was appended; NULL before */
  size_t length, capacity;
} hct_text;
void hct_text_append(hct_text *text, const char *bytes, size_t length);
void hct_text_printf(hct_text *text, const char *fmt, ...) HCT_PRINTF(2, 3);
void hct_text_vprintf(hct_text *text, const char *fmt, va_list args);
void hct_text_fini(hct_text *text);
/* How deep brackets of MLIR text are nested, not counting those in strings and comments. MLIR's parser recurs, and has no limit of its own but the stack. */
size_t hct_text_nesting(const char *text, size_t bytes);
enum { HCT_MOST_NESTING = 1000 };

/* ---- string -> pointer map in an arena, insertion-ordered iteration ---- */
typedef struct hct_map hct_map;
hct_map *hct_map_create(hct_arena *arena);
void hct_map_put(hct_map *map, const char *key, void *value); /* replaces */
void *hct_map_get(const hct_map *map, const char *key);       /* NULL when absent */
bool hct_map_has(const hct_map *map, const char *key);
size_t hct_map_count(const hct_map *map);
const char *hct_map_key_at(const hct_map *map, size_t index);
void *hct_map_value_at(const hct_map *map, size_t index);

/* ---- pointer -> index map in an arena (MLIR values and operations by their address); never iterated ---- */
typedef struct hct_index_map hct_index_map;
hct_index_map *hct_index_map_create(hct_arena *arena);
void hct_index_map_put(hct_index_map *map, const void *key, size_t index); /* replaces; key is not NULL */
bool hct_index_map_get(const hct_index_map *map, const void *key, size_t *out_index);

/* ---- lists of indices, one a group, in one array ---- */
typedef struct hct_index_list { size_t *items; size_t count, capacity; } hct_index_list;
typedef struct hct_groups { size_t *first, *items; } hct_groups; /* of group g: items [first[g], first[g + 1]) */
/* Those of item i (i itself where `items` is NULL) for all i in `groups[i]`, in order; SIZE_MAX: of none. */
hct_groups hct_groups_create(hct_arena *arena, size_t group_count, size_t count, const size_t *groups, const size_t *items);

/* ---- checked sizes: false on overflow ---- */
bool hct_mul_i64(int64_t a, int64_t b, int64_t *out_product);
bool hct_add_i64(int64_t a, int64_t b, int64_t *out_sum);
bool hct_parse_i64(const char *text, int64_t *out_value); /* whole string, base 10 */
bool hct_parse_percent(const char *text, int64_t *out_percent); /* whole string, "1%" to "100%" */
bool hct_parse_f64(const char *text, double *out_value);  /* whole string, finite, C locale */

/* ---- element types, shared by all levels ---- */
typedef enum hct_dtype {
#define HCT_DTYPE(name, code, bytes, bits, mlir, kind, npy, onnx) HCT_##name = code,
#include "ir/support/dtypes.def"
#undef HCT_DTYPE
} hct_dtype;
size_t hct_dtype_bytes(hct_dtype dtype);     /* 0 for an unknown code */
size_t hct_dtype_bits(hct_dtype dtype);      /* in files, where elements of fewer than 8 bits are packed; 0 for an unknown code */
bool hct_dtype_file_bytes(hct_dtype dtype, int64_t elements, int64_t *out_bytes); /* of an array in a file; false on overflow */
const char *hct_dtype_name(hct_dtype dtype); /* "f32" */
bool hct_dtype_parse(const char *name, hct_dtype *out_dtype);
const char *hct_dtype_npy(hct_dtype dtype);  /* NumPy's descr, "<f4"; empty where NumPy has no such type */
bool hct_dtype_from_npy(const char *descr, hct_dtype *out_dtype);
bool hct_dtype_from_onnx(int32_t data_type, hct_dtype *out_dtype); /* TensorProto.DataType */
bool hct_dtype_is_float(hct_dtype dtype);
bool hct_dtype_is_unsigned(hct_dtype dtype); /* i1 is not */
bool hct_dtype_is_half(hct_dtype dtype); /* bf16 or f16: two bytes, computed with in f32 */
/* For interchange alone (dtypes.def): what it is computed with as, i8, ui8 or f32; any other type is its own. */
hct_dtype hct_dtype_computed(hct_dtype dtype);
/* IEEE 754: to nearest, ties to even; too large is infinite; NaN stays NaN. */
uint16_t hct_bf16_of_f32(float value);
uint16_t hct_f16_of_f32(float value);
float hct_f32_of_bf16(uint16_t bits);
float hct_f32_of_f16(uint16_t bits);
/* One element in memory, of any alignment. As a number: exact but for 64-bit integers above 2^53; stored numbers are rounded to nearest (floats),
 * or cut to whole ones, i32 and i64 to their ends and others modulo 2^bits. As an integer: exact (ui64: its bits); floats are cut; stored modulo 2^bits. */
double hct_element_get(hct_dtype dtype, const uint8_t *at);
void hct_element_set(hct_dtype dtype, uint8_t *at, double value);
int64_t hct_element_get_int(hct_dtype dtype, const uint8_t *at);
void hct_element_set_int(hct_dtype dtype, uint8_t *at, int64_t value);

/* ---- floats of 8 bits and less (element_format.c) ---- */
typedef enum hct_rounding { HCT_ROUND_UP, HCT_ROUND_DOWN, HCT_ROUND_NEAREST } hct_rounding; /* of magnitudes, ties up */
/* How a value comes to be of an element type for interchange, or, to nearest without saturation, of f16 or bf16. Floats: to nearest, ties to even, exponents alone as `rounding` says; what is too large
 * `saturates`, or is infinite, or NaN where the format has no infinity. Integers: modulo 2^bits, of either sign as the type is. */
typedef struct hct_narrowing { hct_dtype dtype; bool saturate; hct_rounding rounding; } hct_narrowing;
/* As a whole number, the scalar of the function `narrow`. False: it says none. */
double hct_narrowing_code(hct_narrowing narrowing);
bool hct_narrowing_parse(double code, hct_narrowing *out_narrowing);
double hct_narrow(hct_narrowing narrowing, double value); /* of floats; to f16 or bf16, of an f32 */
int64_t hct_narrow_int(hct_narrowing narrowing, int64_t value); /* of integers */
/* The parameters of dtypes.def. */
typedef enum hct_special_values { HCT_SPECIAL_NO_FORMAT, HCT_SPECIAL_IEEE, HCT_SPECIAL_LAST, HCT_SPECIAL_MINUS, HCT_SPECIAL_NONE } hct_special_values;
typedef struct hct_float_format { int exponent_bits, mantissa_bits, bias; hct_special_values specials; } hct_float_format;
const hct_float_format *hct_dtype_format(hct_dtype dtype); /* NULL: it has none */
uint8_t hct_format_encode(hct_narrowing narrowing, double value);
double hct_format_decode(hct_dtype dtype, uint8_t code);

/* ---- files ---- */
typedef struct hct_file { /* a file mapped read-only */
  const uint8_t *data;
  size_t bytes;
} hct_file;
hct_status hct_file_map(hct_diags *diags, const char *path, hct_file *out_file);
void hct_file_unmap(hct_file *file);
/* What a run reads and what it writes, told by device and inode, or where a file is not there yet by its path. Devices and pipes may be given twice. */
typedef struct hct_file_use {
  const char *what, *path; /* "the program", "--report" */
  bool written;            /* then `path` may be "-" */
  int series;              /* not 0: of files that may be one, as a checkpoint that a run goes on from and writes */
} hct_file_use;
typedef struct hct_file_uses { hct_file_use *items; size_t count, capacity; } hct_file_uses;
/* Refused: a file that is written, and read or written as something else too, or that cannot be written where it is to lie. Called before the run. */
hct_status hct_file_uses_check(hct_diags *diags, const hct_file_uses *uses);
/* An output that appears under `path` only when committed: a temporary beside the target, renamed. To a device or pipe, and to standard output, which is
 * "-", it is copied then. */
typedef struct hct_output hct_output;
hct_status hct_output_open(hct_diags *diags, const char *path, hct_output **out_output);
FILE *hct_output_stream(hct_output *output);
hct_status hct_output_commit(hct_diags *diags, hct_output *output); /* releases `output` in any case */
/* As hct_output_commit, through a loss of power too; what was there before is `previous` now (NULL: gone). At any moment one of the two is whole. */
hct_status hct_output_commit_keeping(hct_diags *diags, hct_output *output, const char *previous);
/* Removes temporaries of `path` that processes left which were killed; it must have no other writer. */
void hct_output_sweep(const char *path);
void hct_output_abandon(hct_output *output);                        /* removes the temporary; NULL is fine */
/* Directory of this executable's build tree or installation: holds packages and dialect files. */
const char *hct_share_directory(void);
/* Where the tool `name` of the same build tree or installation is. */
char *hct_tool_path(hct_arena *arena, const char *name);
/* ---- paths ---- */
char *hct_path_folder(hct_arena *arena, const char *path);                   /* "." for a bare name */
char *hct_path_join(hct_arena *arena, const char *folder, const char *path); /* `path` itself when it is absolute */
/* `path` as seen from `folder`; both are resolved as far as they exist, and `path` is as given where `folder` does not. */
char *hct_path_relative(hct_arena *arena, const char *path, const char *folder);
/* The absolute path of what exists, without symbolic links; NULL with errno where it does not. */
char *hct_path_resolve(hct_arena *arena, const char *path);
char *hct_path_resolve_existing(hct_arena *arena, const char *path); /* what exists of it resolved, the rest as it is */
/* TMPDIR, or /tmp. */
const char *hct_temporary_base(void);
/* A new folder under TMPDIR, or /tmp; its user empties and removes it. */
hct_status hct_temporary_folder(hct_diags *diags, hct_arena *arena, char **out_path);

/* ---- other programs ---- */
typedef struct hct_process {
  char *const *arguments;       /* the program, looked for in PATH, and what it is given; ends in NULL */
  const char *folder;           /* it runs in; NULL: this one */
  const char *output, *errors;  /* files for what it writes; NULL: ours */
} hct_process;
/* Runs it to its end. `out_code`: its exit status, or 128 and the number of the signal that ended it. */
hct_status hct_process_run(hct_diags *diags, const hct_process *process, int *out_code);

uint64_t hct_checksum(const void *data, size_t bytes); /* XXH3-64 */

#endif
