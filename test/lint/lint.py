#!/usr/bin/env python3
"""Rules of the house that a compiler does not check: dependencies run one way, hecaton-sim links no MLIR, CHECK lines are read by
FileCheck, each pass has its tests, each unit test is run, what is built has one order, the top level is what the owner asked for, files stay small.

usage: lint.py SOURCE_DIRECTORY BIN_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

SOURCE, BIN = Path(sys.argv[1]), Path(sys.argv[2])
# A folder may include the folders named, and itself.
MAY = {
    "ir/support": [], "ir/isa": ["ir/support"], "ir/package": ["ir/support"], "ir/timing": ["ir/support", "ir/isa", "ir/package"], "ir/report": ["ir/support", "ir/isa", "ir/package", "ir/timing"], "ir/dialect": ["ir/support", "ir/isa", "ir/package"],
    "compiler": ["ir/support", "ir/isa", "ir/package", "ir/dialect"], "backends": ["ir/support", "ir/isa", "ir/package", "ir/timing", "ir/report", "ir/dialect", "compiler"],
    "runtime": ["ir/support", "ir/isa", "ir/package", "ir/timing", "ir/report"], "tools": ["ir", "compiler", "backends", "runtime"],
}
TOP = {"compiler", "ir", "backends", "runtime", "test", "tools", "CMakeLists.txt", "README.md", "LICENSE", "CMakePresets.json"}
faults = []


def folder_of(path):
    return next((f for f in sorted(MAY, key=len, reverse=True) if path == f or path.startswith(f + "/")), None)


files = [Path(f) for f in subprocess.run(["git", "-C", SOURCE, "ls-files"], capture_output=True, text=True).stdout.split()]
for path in files:
    if path.parts[0] not in TOP and not path.parts[0].startswith("."):
        faults.append(f"{path}: not of the top level")
    if path.suffix not in (".c", ".h", ".def", ".mlir", ".test", ".py") or not (SOURCE / path).exists():
        continue
    text = (SOURCE / path).read_text()
    if text.count("\n") > 800:
        faults.append(f"{path}: {text.count(chr(10))} lines")
    if path.parts[0] == "test" and path.suffix in (".mlir", ".test"):
        lines = re.findall(r"^(?://|#) *([A-Z][A-Z0-9_-]*?)(?:-NEXT|-SAME|-DAG|-NOT|-LABEL|-COUNT-\d+|-EMPTY)?: ", text, re.M)
        read = {"CHECK"} if re.search(r"RUN:.*FileCheck(?!.*--check-prefix)", text) else set()
        read.update(re.findall(r"RUN:.*--check-prefix=(\S+)", text))
        for prefix in sorted(set(lines) - read - {"RUN", "REQUIRES", "UNSUPPORTED", "XFAIL"}):
            faults.append(f"{path}: {prefix} lines that no FileCheck reads")
        if "expected-" in text and "--verify-diagnostics" not in text:
            faults.append(f"{path}: expected diagnostics that no --verify-diagnostics reads")
    home = folder_of(str(path.parent))
    for included in re.findall(r'^#include "([^"]+)"', text, re.M) if home else []:
        target = folder_of(str(Path(included).parent))
        if target and target != home and not any(target == m or target.startswith(m + "/") for m in MAY[home]):
            faults.append(f"{path}: {home} includes {included}")
    if path.parts[0] == "tools" and path.suffix == ".c" and text.count("\n") > 150:
        faults.append(f"{path}: a main of over 150 lines")

# Each pass has tests named after it, in the folder of its source: what it does and leaves alone, and what it refuses.
for flag in re.findall(r'^HCT_PASS\("([^"]+)"', (SOURCE / "compiler/passes.def").read_text(), re.M):
    for stem, needs in ((flag, "FileCheck"), (flag + "-refused", "--verify-diagnostics")):
        tests = [f for f in files if f.name == stem + ".mlir" and f.parts[:2] == ("test", "compiler")]
        if not any(re.search(rf"RUN:.*--{flag}\b(?=.*{needs})", (SOURCE / f).read_text()) for f in tests):
            faults.append(f"compiler/passes.def: no test/compiler/**/{stem}.mlir runs --{flag} under {needs}")
for path in files:
    if path.parts[0] == "test" and path.suffix in (".mlir", ".test") and (SOURCE / path).exists():
        first = (SOURCE / path).read_text().split("\n", 1)[0]
        if not re.match(r"(//|#) [A-Z0-9].*\w", first):
            faults.append(f"{path}: the first line is no sentence")

# Each unit test is run.
run = (SOURCE / "test/unit/unit.test").read_text().split()
for path in files:
    if path.parts[:2] == ("test", "unit") and path.name.startswith("test_") and f"%unit/{path.stem}" not in run:
        faults.append(f"{path}: test/unit/unit.test does not run it")

# C leaves open in which order arguments of a call are evaluated, and parts of a list: one of them at most builds operations, appends to a list, or takes a next number.
CALL = r"\b(?!(?:if|for|while|switch|return|sizeof)\b)(\w+)\("
bodies, lines = {}, {}  # by file, or "" where it is not static, and name
for path in files:
    if path.suffix == ".c" and path.parts[0] in ("compiler", "backends", "ir") and (SOURCE / path).exists():
        text = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', lambda m: re.sub(r"[^\n]", " ", m[0]), (SOURCE / path).read_text(), flags=re.S)
        for found in re.finditer(r"^(static )?\w[\w *]*?(\w+)\([^;{}]*\) (\{(?:.*\}$|(?s:.*?)^\}))", text, re.M):
            place = (str(path) if found[1] else "", found[2])
            bodies[place], lines[place] = found[3], (str(path), text.count("\n", 0, found.start(3)) + 1)
builders = {place for place, body in bodies.items() if re.search(r"\b(mlirBlockAppendOwnedOperation|host_value_new|HCT_PUSH)\(", body)} | {("", "host_value_new")}


def builds(path, code):
    return any(((path, name) if (path, name) in bodies else ("", name)) in builders for name in re.findall(CALL, code))


while more := {place for place, body in bodies.items() if place not in builders and builds(lines[place][0], body)}:
    builders |= more
for place, body in bodies.items():
    path, first = lines[place]
    for call in re.finditer(CALL + r"|(?<== )\{", body):
        depth, at, parts = 1, call.end(), [""]
        while depth and at < len(body):
            depth += (body[at] in "({[") - (body[at] in ")}]")
            parts = [*parts, ""] if body[at] == "," and depth == 1 else [*parts[:-1], parts[-1] + body[at]]
            at += 1
        if sum(builds(path, part) for part in parts) > 1:
            faults.append(f"{path}:{first + body.count(chr(10), 0, call.start())}: which part of {call[1] or 'a list'} comes first is the C compiler's choice; name them before, in an order")


def links(tool, libraries):
    return re.search(libraries, subprocess.run(["ldd", BIN / tool], capture_output=True, text=True).stdout)


if links("hecaton-sim", "MLIR|LLVM") or b"mlirContextCreate" in (BIN / "hecaton-sim").read_bytes():
    faults.append("hecaton-sim links MLIR or LLVM")
for tool in ("hecaton-compile", "hecaton-opt", "hecaton-model", "hecaton-irdl"):  # these take longer to start than a small model to compile
    if links(tool, "libMLIR|libLLVM"):
        faults.append(f"{tool} links libMLIR.so or libLLVM.so")
print("\n".join(faults) or "ok")
sys.exit(1 if faults else 0)
