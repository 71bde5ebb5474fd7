/* Upstream MLIR text through MLIR's passes and LLVM to an object file, and through the system's linker to a shared object. */
#include <errno.h>
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
    "builtin.module(lower-affine,arith-expand{include-bf16=true},convert-math-to-funcs,convert-scf-to-cf,convert-math-to-llvm,convert-math-to-libm,convert-func-to-llvm{use-bare-ptr-memref-call-conv=1},"
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

/* ---- linking ---- */

static hct_status file_write(hct_diags *diags, const char *path, const void *data, size_t bytes) {
  FILE *file = fopen(path, "wb");
  bool written = file && fwrite(data, 1, bytes, file) == bytes;
  int reason = errno;
  if (file && fclose(file) && written) written = false, reason = errno;
  if (written) return HCT_OK;
  hct_failure(diags, HCT_E_IO, (hct_loc){.file = path}, "cannot write: %s", strerror(reason));
  hct_note(diags, "it is a temporary file of --backend=host; TMPDIR says where these are");
  return HCT_FAILED;
}

static const char assembly[] =
    ".section .rodata\n"
    ".globl " HCT_HOST_METADATA "\n" HCT_HOST_METADATA ":\n.incbin \"metadata\"\n.byte 0\n"
    ".p2align 6\n.globl " HCT_HOST_DATA "\n" HCT_HOST_DATA ":\n.incbin \"data\"\n.byte 0\n"
    ".section .note.GNU-stack,\"\",@progbits\n";

static void linker_tell(hct_diags *diags, const char *path) {
  hct_diags *quiet = hct_diags_create(NULL);
  hct_file file;
  if (hct_file_map(quiet, path, &file) == HCT_OK) {
    for (size_t at = 0, length; at < file.bytes; at += length + 1) {
      const char *line = (const char *)file.data + at, *end = memchr(line, '\n', file.bytes - at);
      length = end ? (size_t)(end - line) : file.bytes - at;
      hct_note(diags, "%.*s", (int)length, line);
    }
    hct_file_unmap(&file);
  }
  hct_diags_destroy(quiet);
}

static hct_status link_program(hct_diags *diags, const char *folder, const char *errors) {
  char *const arguments[] = {"cc", "-shared", "-s", "-Wl,--build-id=none", "-o", "program", "step.o", "data.s", "-lm", NULL};
  int code = 0;
  hct_status status = hct_process_run(diags, &(hct_process){.arguments = arguments, .folder = folder, .errors = errors}, &code);
  if (status != HCT_OK) hct_hint(diags, "Debian's package gcc has it");
  if (status != HCT_OK || code == 0) return status;
  status = hct_failure(diags, HCT_E_IO, (hct_loc){.file = folder}, "%s, which links host programs there, failed with status %d", arguments[0], code);
  linker_tell(diags, errors);
  return status;
}

static hct_status program_copy(hct_diags *diags, const char *from, FILE *out) {
  hct_file file;
  HCT_TRY(hct_file_map(diags, from, &file));
  fwrite(file.data, 1, file.bytes, out); /* what cannot be written is found when that is committed */
  hct_file_unmap(&file);
  return HCT_OK;
}

enum { OBJECT, METADATA, DATA, ASSEMBLY, PROGRAM, ERRORS, PARTS };
static const char *const parts[PARTS] = {"step.o", "metadata", "data", "data.s", "program", "errors"};

static hct_status write_in(hct_diags *diags, const char *folder, char *const names[PARTS], const hct_text *mlir, const hct_text *metadata, const hct_text *data, FILE *out) {
  LLVMContextRef llvm = LLVMContextCreate();
  LLVMModuleRef module = translate(mlir, llvm);
  LLVMMemoryBufferRef object = NULL;
  hct_status status = optimise_and_emit(diags, module, &object);
  LLVMDisposeModule(module);
  LLVMContextDispose(llvm);
  if (status != HCT_OK) return status;
  status = file_write(diags, names[OBJECT], LLVMGetBufferStart(object), LLVMGetBufferSize(object));
  LLVMDisposeMemoryBuffer(object);
  if (status != HCT_OK) return status;
  HCT_TRY(file_write(diags, names[METADATA], metadata->data, metadata->length));
  HCT_TRY(file_write(diags, names[DATA], data->data ? data->data : "", data->length));
  HCT_TRY(file_write(diags, names[ASSEMBLY], assembly, sizeof assembly - 1));
  HCT_TRY(link_program(diags, folder, names[ERRORS]));
  return program_copy(diags, names[PROGRAM], out);
}

hct_status host_object_write(hct_diags *diags, const hct_text *mlir, const hct_text *metadata, const hct_text *data, FILE *out) {
  hct_arena *arena = hct_arena_create();
  char *folder, *names[PARTS];
  hct_status status = hct_temporary_folder(diags, arena, &folder);
  if (status == HCT_OK) {
    for (size_t i = 0; i < PARTS; i++) names[i] = hct_path_join(arena, folder, parts[i]);
    status = write_in(diags, folder, names, mlir, metadata, data, out);
    for (size_t i = 0; i < PARTS; i++) unlink(names[i]);
    rmdir(folder);
  }
  hct_arena_destroy(arena);
  return status;
}
