# lit configuration. HECATON_BUILD names the build folder; HECATON_SANITIZED is set for the sanitizer run, which leaves the long tests out; HECATON_THOROUGH=1 runs
# whole what tests take a share of else (checks.py).
import os
import sys

source = os.path.dirname(os.path.abspath(__file__))
build = os.environ.get("HECATON_BUILD", os.path.join(os.path.dirname(source), "build"))
shared = os.path.join(os.path.dirname(os.path.dirname(source)), "shared")

sys.path.insert(0, source)
import alone # lit's workers know a class by its module

config.name = "hecaton"
config.test_format = alone.Alone(True)
config.suffixes = [".mlir", ".test"]
config.test_source_root = source
config.test_exec_root = os.path.join(build, "test")
config.environment["PATH"] = os.pathsep.join([os.path.join(build, "bin"), "/usr/lib/llvm-22/bin", os.environ["PATH"]])
config.environment["ASAN_OPTIONS"] = "detect_leaks=0:quarantine_size_mb=32" # of 256, freed memory is never used again by these short runs: a sixth of their time
if os.path.isdir(os.path.join(shared, "goldens")):
    config.available_features.add("shared")
testdata = "/usr/share/libonnx-testdata/data" # Debian's, of ONNX
if os.path.isdir(testdata):
    config.available_features.add("onnx-testdata")
if os.environ.get("HECATON_SANITIZED"):
    config.environment["HECATON_SANITIZED"] = "1" # bounds on time are wider
else:
    config.available_features.add("long")
if os.environ.get("HECATON_THOROUGH"):
    config.environment["HECATON_THOROUGH"] = os.environ["HECATON_THOROUGH"]
fuzz = os.path.join(os.path.dirname(source), "build-fuzz", "fuzz")
if os.access(os.path.join(fuzz, "fuzz_import"), os.X_OK):
    config.available_features.add("fuzz")
for tool in ("hecaton-compile", "hecaton-opt", "hecaton-sim", "hecaton-objdump", "hecaton-as", "hecaton-model"):
    config.substitutions.append(("%" + tool, os.path.join(build, "bin", tool)))
config.substitutions += [("%python", "/usr/bin/python3"), ("%shared", shared), ("%bin", os.path.join(build, "bin")), ("%unit", os.path.join(build, "unit")), ("%src", source), ("%fuzz", fuzz), ("%onnx-testdata", testdata),
                         ("%irdl", os.path.join(build, "share", "hecaton", "hecaton.irdl.mlir"))]
