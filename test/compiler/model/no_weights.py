#!/usr/bin/env python3
"""hecaton-model --no-weights at any size: parameters are external data in a file that is not there.

usage: no_weights.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import onnx
from onnx import TensorProto

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
failures = 0


def check(name, good, said=""):
    global failures
    if not good:
        failures += 1
        print(f"FAIL {name}: {said}")


def make(name, path, *options):
    return subprocess.run([str(BIN / "hecaton-model"), name, "--no-weights", "-o", str(path), *options], capture_output=True, text=True)


# Billions of parameters as the models' authors give them; the architectures here leave out biases and tied tables that are far below the tolerance.
for name, billions in {"tinyllama-1.1b": 1.100, "llama2-7b": 6.738, "llama2-13b": 13.016, "llama2-70b": 68.977, "llama3.1-8b": 8.030, "llama3.1-70b": 70.554, "llama3.1-405b": 405.85}.items():
    path = WORK / f"{name}.onnx"
    made = make(name, path)
    check(name, made.returncode == 0, made.stderr)
    graph = onnx.load(str(path), load_external_data=False).graph
    end = 0
    for tensor in graph.initializer:
        entries = {e.key: e.value for e in tensor.external_data}
        offset, length = int(entries["offset"]), int(entries["length"])
        check(f"{name} {tensor.name}", tensor.data_location == TensorProto.EXTERNAL and not tensor.raw_data and entries["location"] == f"{path.name}.data", entries)
        check(f"{name} {tensor.name}: its place", offset % 4096 == 0 and offset >= end and length == 4 * math.prod(tensor.dims), entries)
        end = offset + length
    total = sum(math.prod(t.dims) for t in graph.initializer)
    check(f"{name}: parameters", abs(total / 1e9 - billions) < 0.001 * billions + 0.0005, total)
    check(f"{name}: the file is small", path.stat().st_size < 20e6 and not Path(f"{path}.data").exists(), path.stat().st_size)
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
check("memory", memory < 512 * 1024, f"{memory} KiB at most")

taken = WORK / "taken.onnx"
Path(f"{taken}.data").write_bytes(b"old")
made = make("gpt2", taken)
check("a file that is there", made.returncode == 1 and "taken.onnx.data: error[E0101]" in made.stderr and "hint: remove it" in made.stderr and not taken.exists(), made.stderr)
made = make("llama2-7b", WORK / "never.onnx", "--layers=1000000", "--hidden=1000000", "--heads=1", "--ffn=1000000")
check("more bytes than can be counted", made.returncode == 1 and "error[E0801]" in made.stderr, made.stderr)
made = make("llama2-7b", WORK / "never.onnx", "--seq=1000000", "--hidden=1000000", "--heads=1")
check("a table too large", made.returncode == 1 and "--seq 1000000: a table" in made.stderr, made.stderr)
made = subprocess.run([str(BIN / "hecaton-model"), "llama2-7b", "-o", str(WORK / "never.onnx")], capture_output=True, text=True)
check("too large with weights", made.returncode == 1 and "error[E0802]" in made.stderr and "--no-weights" in made.stderr and not (WORK / "never.onnx").exists(), made.stderr)

# A cut of it compiles and is timed; the report counts the parameters of the whole tensors.
small = WORK / "small.onnx"
check("small", make("llama2-7b", small, "--layers=1", "--seq=64", "--batch=2", "--vocab=512").returncode == 0)
subprocess.run([str(BIN / "hecaton-compile"), str(small), "-o", str(WORK / "small.hct"), "--package=hecaton-8x8", "--micro-batch=1"], check=True, capture_output=True)
timed = subprocess.run([str(BIN / "hecaton-sim"), str(WORK / "small.hct"), "--report", str(WORK / "report.json")], check=True, capture_output=True, text=True)
report = json.loads((WORK / "report.json").read_text())
layer = 4 * 4096 * 4096 + 3 * 4096 * 11008 + 2 * 4096
check("it is timed", report["program"]["parameters"] == layer + 2 * 512 * 4096 + 4096 and report["time"]["step_s"] > 0 and report.get("loss", []) == [], report["program"])
print("failures:", failures)
sys.exit(1 if failures else 0)
