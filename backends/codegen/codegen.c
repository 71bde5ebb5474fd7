#include "backends/codegen/codegen.h"

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <mlir-c/Diagnostics.h>
#include <mlir-c/Pass.h>
#include <mlir-c/RegisterEverything.h>
#include <mlir-c/Target/LLVMIR.h>
#include <string.h>

static const char pipeline[] =
    "builtin.module(lower-affine,arith-expand{include-bf16=true},convert-math-to-funcs,convert-scf-to-cf,convert-math-to-llvm,convert-math-to-libm,convert-func-to-llvm{use-bare-ptr-memref-call-conv=1},"
    "finalize-memref-to-llvm,convert-arith-to-llvm,convert-index-to-llvm,convert-cf-to-llvm,reconcile-unrealized-casts)";

/* ---- MLIR to LLVM ---- */

static void append(MlirStringRef part, void *text) { hct_text_append(text, part.data, part.length); }

/* MLIR's errors as ours; what it says beside them is not for users. */
static MlirLogicalResult on_diagnostic(MlirDiagnostic diagnostic, void *diags) {
  if (mlirDiagnosticGetSeverity(diagnostic) != MlirDiagnosticError) return mlirLogicalResultSuccess();
  hct_text text = {0};
  mlirLocationPrint(mlirDiagnosticGetLocation(diagnostic), append, &text);
  hct_text_printf(&text, ": ");
  mlirDiagnosticPrint(diagnostic, append, &text);
  hct_error(diags, HCT_E_IR_INVALID, (hct_loc){0}, "%s", text.data);
  hct_text_fini(&text);
  return mlirLogicalResultSuccess();
}

static void no_delete(void *user) { (void)user; }

/* Runs the pipeline on `module`. */
static hct_status lower(hct_diags *diags, const char *path, MlirContext context, MlirModule module) {
  hct_text messages = {0};
  MlirPassManager passes = mlirPassManagerCreate(context);
  MlirLogicalResult parsed = mlirParsePassPipeline(mlirPassManagerGetAsOpPassManager(passes), mlirStringRefCreateFromCString(pipeline), append, &messages);
  HCT_BUG_ON(mlirLogicalResultIsFailure(parsed), "its pipeline does not parse: %s", messages.data ? messages.data : "");
  mlirPassManagerEnableVerifier(passes, false); /* after each pass: a sixth of all; once, in the end, will do */
  MlirLogicalResult run = mlirPassManagerRunOnOp(passes, mlirModuleGetOperation(module));
  bool lowered = mlirLogicalResultIsSuccess(run) && mlirOperationVerify(mlirModuleGetOperation(module));
  mlirPassManagerDestroy(passes);
  hct_text_fini(&messages);
  return lowered ? HCT_OK : hct_error(diags, HCT_E_IR_INVALID, (hct_loc){.file = path}, "it does not lower to LLVM's dialect");
}

static MlirContext context_create(hct_diags *diags) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  mlirRegisterAllDialects(registry);
  mlirRegisterAllPasses();
  MlirContext context = mlirContextCreateWithRegistry(registry, false);
  mlirDialectRegistryDestroy(registry);
  mlirContextAttachDiagnosticHandler(context, on_diagnostic, diags, no_delete);
  mlirRegisterAllLLVMTranslations(context);
  return context;
}

static hct_status translate(hct_diags *diags, const char *path, LLVMContextRef llvm, LLVMModuleRef *out_module) {
  MlirContext context = context_create(diags);
  hct_status status = HCT_OK;
  MlirModule module = mlirModuleCreateParseFromFile(context, mlirStringRefCreateFromCString(path));
  if (mlirModuleIsNull(module)) {
    status = hct_error(diags, HCT_E_SYNTAX, (hct_loc){.file = path}, "it is no module of MLIR");
  } else {
    status = lower(diags, path, context, module);
    if (status == HCT_OK) *out_module = mlirTranslateModuleToLLVMIR(mlirModuleGetOperation(module), llvm);
    if (status == HCT_OK && !*out_module) status = hct_error(diags, HCT_E_IR_INVALID, (hct_loc){.file = path}, "it does not translate to LLVM IR");
    mlirModuleDestroy(module);
  }
  mlirContextDestroy(context);
  return status;
}

/* ---- LLVM to an object file ---- */

static hct_status llvm_failure(hct_diags *diags, char *message) {
  hct_status status = hct_failure(diags, HCT_E_IO, (hct_loc){0}, "native code cannot be made: %s", message ? message : "LLVM gives no reason");
  LLVMDisposeMessage(message);
  return status;
}

static LLVMTargetMachineRef machine_create(hct_diags *diags, char *triple, hct_status *out_status) {
  LLVMTargetRef target;
  char *message = NULL, *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
  LLVMTargetMachineRef machine = NULL;
  if (LLVMInitializeNativeTarget() || LLVMInitializeNativeAsmPrinter()) *out_status = llvm_failure(diags, LLVMCreateMessage("no native target"));
  else if (LLVMGetTargetFromTriple(triple, &target, &message)) *out_status = llvm_failure(diags, message);
  else machine = LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
  return machine;
}

/* To memory: where LLVM cannot write a file it ends the process. */
static hct_status optimise_and_emit(hct_diags *diags, LLVMModuleRef module, LLVMMemoryBufferRef *out_object) {
  hct_status status = HCT_OK;
  char *triple = LLVMGetDefaultTargetTriple(), *message = NULL;
  LLVMTargetMachineRef machine = machine_create(diags, triple, &status);
  if (machine) {
    LLVMSetTarget(module, triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMPassBuilderOptionsSetLoopVectorization(options, true);
    LLVMPassBuilderOptionsSetSLPVectorization(options, true);
    LLVMPassBuilderOptionsSetLoopUnrolling(options, false); /* sizes are constants: all small loops would be unrolled, which doubles the time to compile and makes no step faster */
    LLVMErrorRef error = LLVMRunPasses(module, "default<O2>", machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (error) {
      char *text = LLVMGetErrorMessage(error);
      status = hct_failure(diags, HCT_E_IO, (hct_loc){0}, "native code cannot be made: %s", text);
      LLVMDisposeErrorMessage(text);
    } else if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &message, out_object)) {
      status = llvm_failure(diags, message);
    }
    LLVMDisposeTargetMachine(machine);
  }
  LLVMDisposeMessage(triple);
  return status;
}

static hct_status object_write(hct_diags *diags, LLVMMemoryBufferRef object, const char *path) {
  hct_output *output;
  HCT_TRY(hct_output_open(diags, path, &output));
  fwrite(LLVMGetBufferStart(object), 1, LLVMGetBufferSize(object), hct_output_stream(output)); /* what cannot be written is found when that is committed */
  return hct_output_commit(diags, output);
}

static hct_status files_check(hct_diags *diags, const char *input, const char *output) {
  hct_file_use uses[] = {{.what = "the MLIR", .path = input}, {.what = "-o", .path = output, .written = true}};
  HCT_TRY(hct_file_uses_check(diags, &(hct_file_uses){.items = uses, .count = HCT_COUNT(uses)}));
  hct_file text;
  HCT_TRY(hct_file_map(diags, input, &text));
  bool deep = hct_text_nesting((const char *)text.data, text.bytes) > HCT_MOST_NESTING;
  hct_file_unmap(&text);
  return deep ? hct_error(diags, HCT_E_SYNTAX, (hct_loc){.file = input}, "it is nested more than %d deep", HCT_MOST_NESTING) : HCT_OK;
}

static hct_status generate(hct_diags *diags, const char *input, const char *output) {
  LLVMModuleRef module = NULL;
  LLVMMemoryBufferRef object = NULL;
  HCT_TRY(files_check(diags, input, output));
  LLVMContextRef llvm = LLVMContextCreate();
  hct_status status = translate(diags, input, llvm, &module);
  if (status == HCT_OK) status = optimise_and_emit(diags, module, &object);
  if (status == HCT_OK) status = object_write(diags, object, output);
  if (object) LLVMDisposeMemoryBuffer(object);
  if (module) LLVMDisposeModule(module);
  LLVMContextDispose(llvm);
  return status;
}

int hct_codegen_main(int argc, char **argv) {
  static const char usage[] = "usage: hecaton-host-codegen INPUT.mlir -o OUTPUT.o\n\n"
                              "Upstream MLIR (func, arith, math, affine, scf, memref) to an object file for this machine. hecaton-compile --backend=host runs it.\n";
  const char *input = NULL, *output = NULL;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--help")) return fputs(usage, stdout), 0;
    if (!strcmp(argv[i], "--version")) return printf("hecaton-host-codegen %s\n", HCT_VERSION), 0;
    if (!strcmp(argv[i], "-o") && i + 1 < argc && !output) output = argv[++i];
    else if (argv[i][0] != '-' && !input) input = argv[i];
    else return fprintf(stderr, "hecaton-host-codegen: '%s' is not understood\n%s", argv[i], usage), 2;
  }
  if (!input || !output) return fputs(usage, stderr), 2;
  hct_diags *diags = hct_diags_create(stderr);
  hct_status status = generate(diags, input, output);
  hct_diags_destroy(diags);
  return status == HCT_OK ? 0 : 1;
}
