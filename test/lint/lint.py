#!/usr/bin/env python3
"""Rules of the house that a compiler does not check: dependencies run one way, hecaton-sim links no MLIR, CHECK lines are read by
FileCheck, the top level is what the owner asked for, files stay small.

usage: lint.py SOURCE_DIRECTORY BIN_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

SOURCE, BIN = Path(sys.argv[1]), Path(sys.argv[2])
# A folder may include the folders named, and itself.
MAY = {
    "ir/support": [], "ir/isa": ["ir/support"], "ir/package": ["ir/support"], "ir/timing": ["ir/support", "ir/isa", "ir/package"], "ir/dialect": ["ir/support", "ir/isa", "ir/package"],
    "compiler": ["ir/support", "ir/isa", "ir/package", "ir/dialect"], "backends": ["ir/support", "ir/isa", "ir/package", "ir/timing", "ir/dialect", "compiler"],
    "runtime": ["ir/support", "ir/isa", "ir/package", "ir/timing"], "tools": ["ir", "compiler", "backends", "runtime"],
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
    if path.suffix == ".mlir" and re.search(r"^// *CHECK", text, re.M) and not re.search(r"RUN:.*FileCheck", text):
        faults.append(f"{path}: CHECK lines that no FileCheck reads")
    home = folder_of(str(path.parent))
    for included in re.findall(r'^#include "([^"]+)"', text, re.M) if home else []:
        target = folder_of(str(Path(included).parent))
        if target and target != home and not any(target == m or target.startswith(m + "/") for m in MAY[home]):
            faults.append(f"{path}: {home} includes {included}")
    if path.parts[0] == "tools" and path.suffix == ".c" and text.count("\n") > 150:
        faults.append(f"{path}: a main of over 150 lines")

linked = subprocess.run(["ldd", BIN / "hecaton-sim"], capture_output=True, text=True).stdout
if re.search("MLIR|LLVM", linked):
    faults.append("hecaton-sim links MLIR or LLVM")
print("\n".join(faults) or "ok")
sys.exit(1 if faults else 0)
