#include <mlir-c/Diagnostics.h>
#include <mlir-c/Dialect/Arith.h>
#include <mlir-c/Dialect/Func.h>
#include <mlir-c/Dialect/IRDL.h>
#include <mlir-c/Dialect/SCF.h>
#include <mlir-c/Dialect/Shard.h>
#include <mlir-c/Dialect/Tensor.h>
#include <string.h>

#include "ir/dialect/ir.h"

static void text_append(MlirStringRef part, void *text) { hct_text_append(text, part.data, part.length); }

static void notes_add(hct_diags *diags, MlirDiagnostic diagnostic) {
  for (intptr_t i = 0; i < mlirDiagnosticGetNumNotes(diagnostic); i++) {
    hct_text note = {0};
    mlirDiagnosticPrint(mlirDiagnosticGetNote(diagnostic, i), text_append, &note);
    if (note.data && note.length < 400) hct_note(diags, "%s", note.data);
    hct_text_fini(&note);
  }
}

/* MLIR's own messages (parse errors, IRDL violations) become ours. */
static MlirLogicalResult on_diagnostic(MlirDiagnostic diagnostic, void *user) {
  hct_diags *diags = user;
  hct_arena *arena = hct_arena_create();
  hct_text message = {0};
  hct_loc loc = hct_loc_of_location(arena, mlirDiagnosticGetLocation(diagnostic));
  mlirDiagnosticPrint(diagnostic, text_append, &message);
  const char *text = message.data ? message.data : "";
  MlirDiagnosticSeverity severity = mlirDiagnosticGetSeverity(diagnostic);
  if (severity == MlirDiagnosticError) hct_error(diags, HCT_E_IR_INVALID, loc, "%s", text);
  else if (severity == MlirDiagnosticWarning) hct_warning(diags, loc, "%s", text);
  else hct_remark(diags, loc, "%s", text);
  notes_add(diags, diagnostic);
  hct_text_fini(&message);
  hct_arena_destroy(arena);
  return mlirLogicalResultSuccess();
}

static void no_delete(void *user) { (void)user; }

MlirContext hct_context_create(hct_diags *diags) {
  MlirContext context = mlirContextCreateWithThreading(false);
  mlirContextAttachDiagnosticHandler(context, on_diagnostic, diags, no_delete);
  MlirDialectHandle handles[] = {mlirGetDialectHandle__func__(),   mlirGetDialectHandle__arith__(), mlirGetDialectHandle__scf__(),
                                 mlirGetDialectHandle__tensor__(), mlirGetDialectHandle__shard__(), mlirGetDialectHandle__irdl__()};
  for (size_t i = 0; i < HCT_COUNT(handles); i++) {
    mlirDialectHandleRegisterDialect(handles[i], context);
    mlirDialectHandleLoadDialect(handles[i], context);
  }
  hct_text text = {0};
  hct_dialect_irdl_print(&text);
  MlirModule module = mlirModuleCreateParse(context, hct_ref(text.data));
  HCT_BUG_ON(mlirModuleIsNull(module), "the IRDL made from ops.def does not parse"); /* loading a null module would crash (ir.md) */
  HCT_BUG_ON(mlirLogicalResultIsFailure(mlirLoadIRDLDialects(module)), "the IRDL made from ops.def does not load");
  mlirModuleDestroy(module);
  hct_text_fini(&text);
  return context;
}

void hct_context_destroy(MlirContext context) { mlirContextDestroy(context); }

hct_status hct_module_parse(hct_diags *diags, MlirContext context, const char *file_name, const char *text, MlirModule *out_module) {
  size_t errors = hct_diags_error_count(diags);
  if (hct_text_nesting(text, strlen(text)) > HCT_MOST_NESTING) return hct_error(diags, HCT_E_SYNTAX, (hct_loc){.file = file_name}, "it is nested more than %d deep", HCT_MOST_NESTING);
  MlirOperation op = mlirOperationCreateParse(context, hct_ref(text), hct_ref(file_name)); /* locations: lines of `text` */
  if (mlirOperationIsNull(op)) {
    if (hct_diags_error_count(diags) == errors) hct_error(diags, HCT_E_SYNTAX, (hct_loc){.file = file_name}, "not an MLIR module");
    return HCT_REFUSED;
  }
  MlirModule module = mlirModuleFromOperation(op);
  if (mlirModuleIsNull(module)) {
    mlirOperationDestroy(op);
    return hct_error(diags, HCT_E_SYNTAX, (hct_loc){.file = file_name}, "the top operation is not a module");
  }
  *out_module = module;
  return HCT_OK;
}

void hct_module_print(MlirModule module, hct_text *text) {
  MlirOpPrintingFlags flags = mlirOpPrintingFlagsCreate();
  mlirOpPrintingFlagsEnableDebugInfo(flags, true, false);
  mlirOperationPrintWithFlags(mlirModuleGetOperation(module), flags, text_append, text);
  mlirOpPrintingFlagsDestroy(flags);
}
