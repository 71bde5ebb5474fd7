/* What hct_graph.detach and hct.recomputed leave to do once gradients are derived.
 *
 *   before  %p = map1(%s) {hct.recomputed};  %z = contract(%p, %v) {hct.recomputed};  %y' = detach(%y, %z)            and in backward  %g = contract(%dy, %p)
 *   after   %y' is %y;  %z is gone;  in backward  %p = map1(%s) {hct.pass = "backward", hct.recomputed};  %g = contract(%dy, %p) */
#include "compiler/transform/derive_training.h"

/* Of operators that are for backward alone, and what other passes made of them: those that nothing reads go, the others are moved to before the first that reads them. */
static void move_to_reader(MlirOperation op, MlirBlock body, MlirContext context) {
  MlirOperation first = {NULL};
  for (MlirOpOperand use = mlirValueGetFirstUse(hct_op_result(op, 0)); !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (mlirOperationIsNull(first) || mlirOperationIsBeforeInBlock(user, first)) first = user;
  }
  if (mlirOperationIsNull(first)) {
    mlirOperationDestroy(op);
    return;
  }
  mlirOperationRemoveFromParent(op);
  mlirBlockInsertOwnedOperationBefore(body, first, op);
  hct_op_set(op, "hct.recomputed", mlirUnitAttrGet(context));
  hct_op_set(op, "hct.pass", hct_attr_str(context, "backward"));
}

static bool reads_marked(const hct_index_map *marked, MlirOperation op) {
  size_t unused;
  for (intptr_t k = 0; k < mlirOperationGetNumOperands(op); k++)
    if (hct_index_map_get(marked, hct_value_key(mlirOperationGetOperand(op, k)), &unused)) return true;
  return false;
}

void hct_training_settle(hct_tape *tape, size_t count, MlirOperation *forward) {
  hct_index_map *marked = hct_index_map_create(tape->arena); /* by value */
  size_t moved = 0, kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (hct_op_is(forward[i], "hct_graph.detach")) {
      hct_value_replace(hct_op_result(forward[i], 0), hct_op_operand(forward[i], 0));
      mlirOperationDestroy(forward[i]);
    } else forward[kept++] = forward[i];
  }
  for (size_t i = 0; i < kept; i++) {
    if (mlirOperationGetNumResults(forward[i]) != 1 || !(hct_op_has(forward[i], "hct.recomputed") || reads_marked(marked, forward[i]))) continue;
    hct_index_map_put(marked, hct_value_key(hct_op_result(forward[i], 0)), moved);
    forward[moved++] = forward[i];
  }
  while (moved-- > 0) move_to_reader(forward[moved], tape->body, tape->builder.context);
}
