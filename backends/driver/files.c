#include <string.h>

#include "backends/driver/output.h"
#include "ir/dialect/data.h"

typedef struct finder {
  const hct_pass_context *pass;
  hct_file_uses *uses;
  hct_map *found;
} finder;

static void reference_add(finder *f, MlirAttribute attribute, const char *what) {
  hct_data_reference reference;
  if (mlirAttributeIsNull(attribute) || !mlirAttributeIsAString(attribute) || !hct_data_reference_parse(f->pass->arena, hct_attr_text(attribute), &reference)) return;
  if (hct_map_has(f->found, reference.file)) return;
  hct_map_put(f->found, reference.file, f);
  hct_file_use use = {.what = what, .path = hct_path_join(f->pass->arena, f->pass->directory ? f->pass->directory : ".", reference.file)};
  HCT_PUSH(f->pass->arena, f->uses, use);
}

hct_status hct_driver_files_check(const hct_pass_context *pass, MlirModule module, hct_file_uses *uses) {
  finder f = {.pass = pass, .uses = uses, .found = hct_map_create(pass->arena)};
  MlirOperation function = hct_module_function(module);
  intptr_t arguments = mlirBlockGetNumArguments(hct_function_body(function));
  reference_add(&f, mlirOperationGetAttributeByName(mlirModuleGetOperation(module), hct_ref("hct.model_file")), "the model that it was imported from");
  for (intptr_t a = 0; a < arguments; a++) reference_add(&f, hct_function_arg_attr(function, (size_t)a, "hct.data"), "a file of the model's weights");
  return hct_file_uses_check(pass->diags, uses);
}
