/* If, on a condition that is known: the nodes of the branch join those of the graph. */
#include "compiler/import/import_internal.h"

hct_status import_if(importer *im) {
  const Onnx__NodeProto *node = im->node;
  import_value *condition = node->n_input ? import_input(im, 0) : NULL;
  if (!condition || hct_shape_elements(&condition->shape) != 1) return import_refuse(im, HCT_E_ONNX_SHAPE, "its condition is missing, or not one element");
  if (!condition->known) {
    import_refuse(im, HCT_E_UNSUPPORTED, "a condition that depends on run-time data; a constant is supported, whose branch is taken");
    hct_hint(im->pass->diags, "where '%s' is an input of the model, --constant=%s=FILE.npy", node->input[0], node->input[0]);
    return HCT_REFUSED;
  }
  import_body branch;
  HCT_TRY(import_body_read(im, host_get(&condition->host, 0) != 0 ? "then_branch" : "else_branch", 0, node->n_output, &branch));
  HCT_TRY(import_count_nodes(im, 1, branch.nodes));
  char **outputs = HCT_NEW_ARRAY(im->arena, char *, node->n_output + 1);
  HCT_TRY(import_body_add(im, &branch, "", NULL, outputs));
  for (size_t o = 0; o < node->n_output; o++)
    if (node->output[o][0]) import_node_add(im, import_node_create(im, "Identity", branch.own, 1, &outputs[o], node->output[o]));
  return HCT_OK;
}
