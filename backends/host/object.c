/* Upstream MLIR text through MLIR's passes and LLVM to an object file, and through the system's linker to a shared object. */
#include <errno.h>
#include <limits.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <mlir-c/Diagnostics.h>
#include <mlir-c/Pass.h>
#include <mlir-c/RegisterEverything.h>
#include <mlir-c/Target/LLVMIR.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/host/host.h"
#include "ir/isa/host_program.h"

static const char pipeline[] =
    "builtin.module(lower-affine,convert-math-to-funcs,convert-scf-to-cf,convert-math-to-llvm,convert-math-to-libm,convert-func-to-llvm{use-bare-ptr-memref-call-conv=1},"
    "finalize-memref-to-llvm,convert-arith-to-llvm,convert-index-to-llvm,convert-cf-to-llvm,reconcile-unrealized-casts)";

static void append(MlirStringRef part, void *text) { hct_text_append(text, part.data, part.length); }

static MlirLogicalResult on_diagnostic(MlirDiagnostic diagnostic, void *text) {
  hct_text_printf(text, "\n  ");
  mlirLocationPrint(mlirDiagnosticGetLocation(diagnostic), append, text);
  hct_text_printf(text, ": ");
  mlirDiagnosticPrint(diagnostic, append, text);
  return mlirLogicalResultSuccess();
}

/* ---- MLIR to LLVM ---- */

static LLVMModuleRef translate(const hct_text *mlir, LLVMContextRef llvm) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  mlirRegisterAllDialects(registry);
  mlirRegisterAllPasses();
  MlirContext context = mlirContextCreateWithRegistry(registry, false);
  hct_text messages = {0};
  mlirContextAttachDiagnosticHandler(context, on_diagnostic, &messages, NULL);
  mlirRegisterAllLLVMTranslations(context);
  MlirModule module = mlirModuleCreateParse(context, mlirStringRefCreate(mlir->data, mlir->length));
  HCT_BUG_ON(mlirModuleIsNull(module), "host backend: its MLIR does not parse%s", messages.data ? messages.data : "");
  MlirPassManager passes = mlirPassManagerCreate(context);
  MlirLogicalResult parsed = mlirParsePassPipeline(mlirPassManagerGetAsOpPassManager(passes), hct_ref(pipeline), append, &messages);
  HCT_BUG_ON(mlirLogicalResultIsFailure(parsed), "host backend: its pipeline does not parse: %s", messages.data ? messages.data : "");
  MlirLogicalResult run = mlirPassManagerRunOnOp(passes, mlirModuleGetOperation(module));
  HCT_BUG_ON(mlirLogicalResultIsFailure(run), "host backend: its MLIR does not lower%s", messages.data ? messages.data : "");
  LLVMModuleRef translated = mlirTranslateModuleToLLVMIR(mlirModuleGetOperation(module), llvm);
  HCT_BUG_ON(!translated, "host backend: its MLIR does not translate%s", messages.data ? messages.data : "");
  mlirPassManagerDestroy(passes);
  mlirModuleDestroy(module);
  mlirContextDestroy(context);
  mlirDialectRegistryDestroy(registry);
  hct_text_fini(&messages);
  return translated;
}

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
  else machine = LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelAggressive, LLVMRelocPIC, LLVMCodeModelDefault);
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
  return machine;
}

static hct_status optimise_and_emit(hct_diags *diags, LLVMModuleRef module, const char *object_path) {
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
    LLVMErrorRef error = LLVMRunPasses(module, "default<O3>", machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (error) {
      char *text = LLVMGetErrorMessage(error);
      status = hct_failure(diags, HCT_E_IO, (hct_loc){0}, "native code cannot be made: %s", text);
      LLVMDisposeErrorMessage(text);
    } else if (LLVMTargetMachineEmitToFile(machine, module, object_path, LLVMObjectFile, &message)) {
      status = llvm_failure(diags, message);
    }
    LLVMDisposeTargetMachine(machine);
  }
  LLVMDisposeMessage(triple);
  return status;
}

/* ---- linking ---- */

static hct_status file_write(hct_diags *diags, const char *path, const void *data, size_t bytes) {
  FILE *file = fopen(path, "wb");
  bool written = file && fwrite(data, 1, bytes, file) == bytes;
  if (file && fclose(file)) written = false;
  return written ? HCT_OK : hct_failure(diags, HCT_E_IO, (hct_loc){.file = path}, "it cannot be written: %s", strerror(errno));
}

static const char assembly[] =
    ".section .rodata\n"
    ".globl " HCT_HOST_METADATA "\n" HCT_HOST_METADATA ":\n.incbin \"metadata\"\n.byte 0\n"
    ".p2align 6\n.globl " HCT_HOST_DATA "\n" HCT_HOST_DATA ":\n.incbin \"data\"\n.byte 0\n"
    ".section .note.GNU-stack,\"\",@progbits\n";

static hct_status link_program(hct_diags *diags, const char *folder) {
  char *const arguments[] = {"cc", "-shared", "-s", "-Wl,--build-id=none", "-o", "program", "step.o", "data.s", "-lm", NULL};
  int code = 0;
  hct_status status = hct_process_run(diags, &(hct_process){.arguments = arguments, .folder = folder}, &code);
  if (status == HCT_OK && code != 0) status = hct_failure(diags, HCT_E_IO, (hct_loc){0}, "%s, which links host programs, failed with status %d", arguments[0], code);
  if (status != HCT_OK) hct_hint(diags, "Debian's package gcc has it");
  return status;
}

static hct_status program_copy(hct_diags *diags, const char *from, const char *path) {
  hct_file file;
  HCT_TRY(hct_file_map(diags, from, &file));
  hct_status status = file_write(diags, path, file.data, file.bytes);
  hct_file_unmap(&file);
  return status;
}

static hct_status write_in(hct_diags *diags, const char *folder, const hct_text *mlir, const hct_text *metadata, const hct_text *data, const char *path) {
  char name[4][PATH_MAX];
  static const char *const parts[] = {"step.o", "metadata", "data", "data.s"};
  for (size_t i = 0; i < HCT_COUNT(parts); i++) snprintf(name[i], sizeof name[i], "%s/%s", folder, parts[i]);
  LLVMContextRef llvm = LLVMContextCreate();
  LLVMModuleRef module = translate(mlir, llvm);
  hct_status status = optimise_and_emit(diags, module, name[0]);
  LLVMDisposeModule(module);
  LLVMContextDispose(llvm);
  if (status != HCT_OK) return status;
  HCT_TRY(file_write(diags, name[1], metadata->data, metadata->length));
  HCT_TRY(file_write(diags, name[2], data->data ? data->data : "", data->length));
  HCT_TRY(file_write(diags, name[3], assembly, sizeof assembly - 1));
  HCT_TRY(link_program(diags, folder));
  snprintf(name[0], sizeof name[0], "%s/program", folder);
  return program_copy(diags, name[0], path);
}

hct_status host_object_write(hct_diags *diags, const hct_text *mlir, const hct_text *metadata, const hct_text *data, const char *path) {
  hct_arena *arena = hct_arena_create();
  char *folder, name[PATH_MAX];
  hct_status made = hct_temporary_folder(diags, arena, &folder);
  if (made != HCT_OK) {
    hct_arena_destroy(arena);
    return made;
  }
  hct_status status = write_in(diags, folder, mlir, metadata, data, path);
  static const char *const parts[] = {"step.o", "metadata", "data", "data.s", "program"};
  for (size_t i = 0; i < HCT_COUNT(parts); i++) {
    snprintf(name, sizeof name, "%s/%s", folder, parts[i]);
    unlink(name);
  }
  rmdir(folder);
  hct_arena_destroy(arena);
  return status;
}
