/* Any bytes give a module, which verifies at the onnx and the graph level, or a diagnostic. */
#include <onnx.pb-c.h>

#include "compiler/import/import.h"
#include "compiler/import/wire.h"
#include "compiler/pipeline.h"
#include "test/fuzz/fuzz_file.h"
#include "test/fuzz/mutate_model.h"

/* Most mutations keep a model a model. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t capacity, unsigned seed) {
  size_t made = seed % 8 && wire_nests(&onnx__model_proto__descriptor, data, bytes, WIRE_MAX_LEVELS) ? mutate_message(&onnx__model_proto__descriptor, data, bytes, capacity, seed) : 0;
  return made ? made : LLVMFuzzerMutate(data, bytes, capacity);
}

static void import_hold(hct_pass_context *pass, const char *path) {
  MlirModule module;
  size_t errors = hct_diags_error_count(pass->diags);
  hct_status status = hct_import_onnx(pass, path, &module);
  if (status == HCT_OK) {
    if (hct_module_verify(pass->diags, module, "import") != HCT_OK) abort(); /* what it makes is its own affair */
    hct_op_set(mlirModuleGetOperation(module), "hct.model", hct_attr_str(pass->context, "fuzz"));
    status = hct_pipeline_run(pass, module, HCT_LEVEL_GRAPH);
    mlirModuleDestroy(module);
  }
  if (status != HCT_OK && hct_diags_error_count(pass->diags) == errors) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static MlirContext context; /* making one takes much longer than an import; it keeps all types and attributes, and is made anew now and then */
  static unsigned uses;
  static hct_diags *context_diags;
  char path[64];
  if (uses++ % 512 == 0) {
    if (uses > 1) hct_context_destroy(context), hct_diags_destroy(context_diags);
    context = hct_context_create(context_diags = hct_diags_create(NULL));
  }
  int fd = fuzz_file_open(data, bytes, path, sizeof path);
  hct_pass_context pass = {.diags = context_diags, .arena = hct_arena_create(), .context = context, .directory = "/", .import_bytes = 64 << 20};
  pass.options = hct_map_create(pass.arena);
  if (bytes % 2) hct_map_put(pass.options, "mode", "infer");
  hct_map_put(pass.options, "dim", "batch=2\n");
  import_hold(&pass, path);
  hct_arena_destroy(pass.arena);
  close(fd);
  return 0;
}
