/* A program image in memory, and as an ELF64 file (libelf). Written by the chiplet backend and hecaton-as, read by
 * hecaton-objdump, the verifier and hecaton-sim. The reader checks every offset, count and code: any bytes give an image or
 * a diagnostic. */
#ifndef HCT_ISA_IMAGE_H
#define HCT_ISA_IMAGE_H

#include "ir/isa/instr.h"
#include "ir/isa/layout.h"

#define HCT_MAX_TENSOR_BYTES (INT64_C(1) << 50)

typedef enum hct_role {
  HCT_ROLE_INPUT = 1,   /* given at run time */
  HCT_ROLE_PARAM = 2,   /* a float initializer; trained ones are updated in place */
  HCT_ROLE_STATE = 3,   /* optimizer state, step counter, state of the loss scale: starts at zero */
  HCT_ROLE_SETTING = 4, /* run-time scalars: an f32 tensor "settings", settings.h; an i64 "seed" [] of random numbers */
  HCT_ROLE_CONSTANT = 5,
  HCT_ROLE_LOSS = 6,    /* scalar f32 */
  HCT_ROLE_OUTPUT = 7,  /* kept model output */
  HCT_ROLE_GRADIENT = 8,/* named after its initializer; user writes grad:NAME */
  HCT_ROLE_SPILL = 9,   /* activations between fusion groups */
  HCT_ROLE_COPY = 10,   /* of the parameter of its name, in the storage type of --dtype: made by the loader, then by each update */
} hct_role;
enum { HCT_ROLE_COUNT = HCT_ROLE_COPY + 1 };
const char *hct_role_name(hct_role role);
bool hct_role_parse(const char *name, hct_role *out_role);

typedef struct hct_tensor {
  const char *name;      /* ONNX name without prefix */
  hct_role role;
  hct_dtype dtype;       /* in DRAM */
  hct_layout layout;     /* how dies hold it; never partial */
  int64_t dram_offset;   /* byte offset in each die's DRAM region, the same on all dies */
  int64_t tile_bytes;    /* bytes reserved there, the largest over dies (all micro-batches) */
  int64_t micro_batch_stride; /* bytes from one micro-batch's tile to the next when layout uses time, else 0 */
  /* initial contents of PARAM and CONSTANT: inline bytes (row-major, global order), or a range of a file; of data_dtype, or where
   * that is 0 of the tensor's type, or f32 where that is bf16 or f16: the loader converts */
  const uint8_t *data;   /* NULL when external or none */
  size_t data_bytes;
  const char *data_file; /* relative to the image's folder; NULL when inline or none */
  uint64_t data_offset, data_checksum;
  hct_dtype data_dtype;
} hct_tensor;

/* What tensors of `role` take of each die's DRAM region, alignment aside; bytes that several take, one after the other, once. */
int64_t hct_dram_role_bytes(const hct_tensor *tensors, size_t count, hct_role role);
/* Numbers of the tensors that take most there, the largest first, equal ones in their order; how many, `limit` at most. */
size_t hct_dram_largest(const hct_tensor *tensors, size_t count, size_t limit, size_t *out_numbers);

/* Whether `bytes` of initial contents are those of a tensor of so many elements, and of which type they are. `said`: data_dtype. */
bool hct_data_fits(hct_dtype tensor, hct_dtype said, int64_t elements, int64_t bytes, hct_dtype *out_data);

/* Where an instruction comes from, for reports and faults. */
typedef struct hct_source {
  const char *location;   /* ONNX node: "gpt2.onnx: node 14 'h.0/attn/MatMul'" */
  const char *layer;      /* per_layer name, e.g. "layers.0.q" or "" */
  const char *pass;       /* "forward", "backward", "update" */
  const char *collective; /* "all_gather", "reduce_scatter", "all_reduce", or "" */
  const char *axis;       /* "row", "col", "flat" (all dies on the flat ring), "torus" (through rows and columns at once), "" */
} hct_source;

typedef struct hct_stream {
  hct_instr *items;
  size_t count, capacity;
} hct_stream;

typedef struct hct_meta { /* key = value, compiler options and figures, in order */
  const char *key, *value;
} hct_meta;

/* What lies in SRAM at the worst moment, when most bytes are live at once, the largest buffers first, and how high dies reach. Sizes are
 * those on die (0, 0), whose tiles are largest. */
typedef struct hct_sram_buffer {
  int64_t addr, bytes;   /* both copies of a double buffer, alignment included */
  hct_dtype dtype;
  hct_layout layout;
  const char *made_for;  /* location of the operation that it is made for */
} hct_sram_buffer;
typedef struct hct_sram_peak { int64_t bytes, dies, first_die; } hct_sram_peak; /* the end of the highest buffer, of so many dies */
typedef struct hct_sram_map {
  int64_t live_bytes, live_buffers;          /* at the worst moment, those included that are not listed */
  struct { hct_sram_buffer *items; size_t count, capacity; } buffers;
  struct { hct_sram_peak *items; size_t count, capacity; } peaks; /* in the order of first dies */
} hct_sram_map;

typedef struct hct_image {
  int64_t rows, cols, batch, micro_batch;
  int64_t sram_bytes_used, dram_bytes_used;  /* a die's scratchpad, and its DRAM region, as allocated */
  hct_stream *streams;
  size_t stream_count;
  uint32_t *die_stream;                      /* [rows*cols], row-major: which stream a die runs */
  hct_tensor *tensors;
  size_t tensor_count;
  hct_source *sources;                       /* [0] is "none" */
  size_t source_count;
  hct_meta *meta;
  size_t meta_count;
  hct_sram_map sram;                         /* no peaks: not known (an image written by hand) */
  const char *package_xml;                   /* the package description used, mesh included */
} hct_image;
/* meta keys every compiler-made image has: model, strategy, schedule, overlap, objective, recompute, dtype, mode, optimizer,
 * tokens_per_step, parameters, fallbacks, model_flops, dram_compulsory_bytes, dram_relaxed_bytes, version. Where it was compiled from a file: that, relative to the program's folder, and XXH3-64 of it in 16 hex digits. */
#define HCT_META_MODEL_FILE "model_file"
#define HCT_META_LABELS "labels" /* a line an input that names classes: their number, how many other values are ignored, these, which elements, and the input's name.
                                     Elements: *, or along each dimension start:step:count, joined by commas; those outside of the input are none of it */
#define HCT_META_MODEL_CHECKSUM "model_xxh3"
const char *hct_image_meta(const hct_image *image, const char *key); /* NULL when absent */
hct_image hct_image_copy(hct_arena *arena, const hct_image *image); /* all of it, initial contents included */
bool hct_image_holds_text(const char *text); /* UTF-8, as names and locations of images are */

hct_status hct_image_read(hct_diags *diags, hct_arena *arena, const char *path, hct_image *out_image);
hct_status hct_image_write(hct_diags *diags, const hct_image *image, const char *path); /* atomic: temporary, then rename */
/* Whether the file is a chiplet image by its sections (a host program is another ELF). */
bool hct_image_is(const char *path);

/* Text form of a whole image (`--emit=isa`, hecaton-as, hecaton-objdump --text): exact round trip. */
void hct_image_print(const hct_image *image, hct_text *text);
hct_status hct_image_parse(hct_diags *diags, hct_arena *arena, const char *file, const char *text, hct_image *out_image);

/* Proves the properties in isa.md on the streams alone. Limits come from the package in the image (package.h is above this
 * layer, so they are passed in). HCT_REFUSED with one diagnostic a violation. */
typedef struct hct_verify_limits { int64_t sram_bytes, queue_depth; } hct_verify_limits;
hct_status hct_image_verify(hct_diags *diags, const hct_image *image, const hct_verify_limits *limits);

#endif
