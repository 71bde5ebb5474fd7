/* Parts of the verifier: the module and its function, the operators of hct_graph, those of hct_tile. They hold what passes and
 * backends take for granted, and say it in terms of the text. */
#ifndef HCT_DIALECT_VERIFY_H
#define HCT_DIALECT_VERIFY_H

#include "ir/dialect/ir.h"

typedef struct hct_verifier {
  hct_diags *diags;
  hct_arena *arena;
  const char *after; /* the pass that ran last, or NULL */
  hct_status status; /* HCT_REFUSED from the first refusal on */
} hct_verifier;

void hct_verify_refuse(hct_verifier *v, MlirOperation op, const char *fmt, ...) HCT_PRINTF(3, 4);
void hct_verify_refuse_at(hct_verifier *v, hct_loc loc, const char *fmt, ...) HCT_PRINTF(3, 4);
/* One function of one block, with operators of one level; attributes of module, arguments and results. */
void hct_verify_module(hct_verifier *v, MlirModule module);
/* hct.sharding, hct.layer, hct.pass, hct.group where an operator bears them. */
void hct_verify_discardable(hct_verifier *v, MlirOperation op);
/* `op` has the operands, results and attributes that ops.def says. */
void hct_verify_graph_op(hct_verifier *v, MlirOperation op);
void hct_verify_tile_op(hct_verifier *v, MlirOperation op);
/* Names of isa_functions.def: `table` MAP1, MAP2, MAP3 or RED. */
bool hct_verify_is_function(const char *table, const char *name);
/* A sharding or layout of a value of this shape; says what is wrong, and gives false. */
bool hct_verify_layout(hct_verifier *v, MlirOperation op, const char *what, const char *text, const hct_shape *shape, hct_layout *out_layout);

#endif
