/* Names of the onnx dialect: IRDL allows no capitals, so the operator of LayerNormalization is onnx.layer_normalization. */
#include <ctype.h>
#include <string.h>

#include "ir/dialect/ir.h"

static const char *const op_types[] = {
#define HCT_ONNX_OP(name, opset, function) #name,
#include "ir/dialect/onnx_ops.def"
#undef HCT_ONNX_OP
};
static const int64_t op_opsets[] = {
#define HCT_ONNX_OP(name, opset, function) opset,
#include "ir/dialect/onnx_ops.def"
#undef HCT_ONNX_OP
};

void hct_onnx_docs_print(hct_text *text) {
  hct_text_printf(text, "| ONNX operator | from opset | operator of the onnx level |\n| --- | --- | --- |\n");
  for (size_t i = 0; i < HCT_COUNT(op_types); i++) {
    char name[HCT_ONNX_NAME_BYTES];
    hct_onnx_op_name(op_types[i], name);
    hct_text_printf(text, "| %s | %lld | `%s` |\n", op_types[i], (long long)op_opsets[i], name);
  }
}

size_t hct_onnx_op_type_count(void) { return HCT_COUNT(op_types); }
const char *hct_onnx_op_type_at(size_t index) { return op_types[index]; }

void hct_onnx_op_name(const char *op_type, char out_name[HCT_ONNX_NAME_BYTES]) {
  size_t length = (size_t)snprintf(out_name, HCT_ONNX_NAME_BYTES, "onnx.");
  for (size_t i = 0; op_type[i] && length + 2 < HCT_ONNX_NAME_BYTES; i++) {
    bool capital = isupper((unsigned char)op_type[i]), starts = capital && i && (!isupper((unsigned char)op_type[i - 1]) || islower((unsigned char)op_type[i + 1]));
    if (starts) out_name[length++] = '_';
    out_name[length++] = (char)tolower((unsigned char)op_type[i]);
  }
  out_name[length] = '\0';
}

const char *hct_onnx_op_type(const char *op_name) {
  for (size_t i = 0; i < HCT_COUNT(op_types); i++) {
    char name[HCT_ONNX_NAME_BYTES];
    hct_onnx_op_name(op_types[i], name);
    if (!strcmp(name, op_name)) return op_types[i];
  }
  return NULL;
}
