/* What every pass gets, and the passes by name. A pass is `hct_status hct_pass_NAME(hct_pass_context *, MlirModule)`; its flag is
 * `hct-NAME` with dashes (passes.def). It changes the module in place; on failure a diagnostic says why. */
#ifndef HCT_COMPILER_PASS_H
#define HCT_COMPILER_PASS_H

#include "ir/dialect/ir.h"
#include "ir/package/package.h"

typedef struct hct_interleaving {
  bool known, joined;
  int64_t at_once;      /* micro-batches */
  int prefetch_percent; /* of SRAM, that may be live while loads wait for what reads them */
} hct_interleaving;

/* Of many equal layers only some are compiled, and the backend puts the others back. */
typedef struct hct_left_out {
  int64_t count; /* layers */
  double whole;  /* bytes of all parameters over those of the layers that are there */
  hct_map *data; /* names of the parameters left out -> their hct.data, "" for none */
  bool back;     /* the backend has put them back */
} hct_left_out;

/* Orders found for the operations of stages, by all that they follow from (compiler/convert/dist_to_tile_order.c). */
typedef struct hct_known_order { uint64_t *words; size_t word_count; size_t *order; size_t count; } hct_known_order;
typedef struct hct_known_orders { hct_arena *arena; hct_known_order *items; size_t count, capacity; } hct_known_orders;

typedef struct hct_pass_context {
  hct_diags *diags;
  hct_arena *arena;           /* lives as long as the compilation; in a pass, as long as that */
  MlirContext context;
  const char *directory;      /* that files of data references (data.h) are relative to */
  hct_map *options;           /* option name without dashes -> text; also the module's attribute hct.options, from which hecaton-opt
                                 restores them. Repeated options are joined by newlines; --trainable and --frozen are one list,
                                 "trainable", of "+GLOB" and "-GLOB" in command-line order. */
  size_t import_bytes;        /* that known values of a model may take; 0: HCT_IMPORT_BYTES (import.h) */
  const char *report;         /* NULL, or where the backend writes what it predicts of the program (cli.md, "The report") */
  bool streams_only;          /* a trial: weights are not read, the program is not written */
  bool unordered;             /* a trial of which only is asked what it moves and needs: operations of stages stay as they are written */
  int64_t least_sram_bytes;   /* of a trial: what its stages take, the one that takes most, in any order; unless unordered, of those that take more than half of SRAM, as far as it got */
  int64_t product_sram_bytes; /* what the product that takes most of SRAM does in any plan (hct-fuse-groups); more than there is: nothing fits */
  int64_t parameter_sram_bytes; /* likewise, its parameter alone */
  bool crowded;               /* of an unordered trial: some stage fits in no order of those that are found soonest */
  bool dram_full;             /* of a trial: its tensors take more than DRAM has */
  hct_interleaving interleaving; /* what the chiplet backend found best for these options: not tried again */
  struct { hct_map **items; size_t count, capacity; } fallbacks; /* options of choices that are next best, where the program does not fit with `options` */
  hct_left_out *left_out;     /* NULL: nothing is */
  struct hct_built *built;    /* NULL, or a trial's program (backends/backend.h) */
  hct_known_orders *orders;   /* NULL: each lowering has its own; else trials of one module and package share them */
  hct_package package;        /* from the module's attribute hct.package; mesh included */
} hct_pass_context;

const char *hct_pass_option(const hct_pass_context *pass, const char *name, const char *fallback);
/* Whether the step trains the parameter that the model has under this name, if the loss depends on it: rules are "+GLOB", which trains, and "-GLOB", which freezes, in the order of the
 * command line, and the last match wins. Without rules all are trained; a first rule that trains starts from none. */
bool hct_pass_trains(const hct_pass_context *pass, const char *name);

/* Elements of a parameter that an optimizer step has in SRAM at a time (--update-chunk): where that is auto, at most 65536, and so few that 32 bytes for each, parameter, states
 * and low copy twice, take no more than a quarter of SRAM; a power of two. */
int64_t hct_pass_update_chunk(const hct_pass_context *pass);
/* What may help where SRAM is too small; `fewer`: a smaller micro-batch could be; `updates`: parameters that are updated take some of it. */
void hct_pass_sram_hint(const hct_pass_context *pass, bool fewer, bool updates);

#define HCT_PASS(flag, function, level, doc) hct_status function(hct_pass_context *pass, MlirModule module);
#include "compiler/passes.def"
#undef HCT_PASS

#endif
