#!/usr/bin/env python3
"""Of more than 16 equal layers the compiler sees six; dram_compulsory_bytes and dram_relaxed_bytes are those of all: the same as of the module in which all
layers are (--emit=dist).

usage: relaxed_layers.py BIN_DIRECTORY WORK_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
PACKAGE = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
(WORK / "small.xml").write_text(PACKAGE.replace('bytes="33554432"', 'bytes="120000"'))
MODEL = ["tinyllama-1.1b", "--hidden=64", "--heads=4", "--kv-heads=2", "--ffn=96", "--vocab=64", "--seq=16", "--batch=8", "--no-weights"]
COMMON = ["--groups=blocks", "--micro-batch=2", "--dtype=bf16"]
CASES = ((18, []), (24, ["--recompute=none"]), (20, ["--recompute=all", "--checkpoint=2"]), (24, ["--schedule=layerwise"]), (19, [f"--package={WORK}/small.xml", "--token-blocks=2"]),
         (21, [f"--package={WORK}/small.xml", "--clip-norm=1"]), (19, [f"--package={WORK}/small.xml", "--loss-scale=auto", "--schedule=layerwise"]))


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout + done.stderr


failures = 0
for layers, options in CASES:
    run(BIN / "hecaton-model", *MODEL, f"--layers={layers}", "-o", WORK / "m.onnx")
    said = run(BIN / "hecaton-compile", WORK / "m.onnx", "--mesh=2x2", *COMMON, *options, "-o", WORK / "m.hct")
    assert "compiled are 6 of" in said, said
    run(BIN / "hecaton-compile", WORK / "m.onnx", "--mesh=2x2", *COMMON, *options, "--emit=dist", "-o", WORK / "m.mlir")
    got = re.findall(r"(dram_(?:relaxed|compulsory)_bytes) +(\d+)", run(BIN / "hecaton-objdump", "-h", WORK / "m.hct"))
    want = re.findall(r"hct\.(dram_(?:relaxed|compulsory)_bytes) = (\d+)", (WORK / "m.mlir").read_text())
    if len(got) != 2 or sorted(got) != sorted(want):
        failures += 1
        print("FAIL", layers, options, got, want)
sys.exit(1 if failures else 0)
