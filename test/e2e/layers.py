#!/usr/bin/env python3
"""Layers that repeat are a loop in the streams: 24 of them take as many instructions as 14, give the losses of native code, are counted as
predicted, layer by layer what the model's sizes give, and timed alike with and without --no-recurrence.

usage: layers.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
SIZES = {"hidden": 32, "heads": 4, "kv-heads": 2, "ffn": 48, "vocab": 24, "seq": 8, "batch": 6}
numbers = np.random.default_rng(3)
for name in ("ids", "labels"):
    np.save(WORK / f"{name}.npy", numbers.integers(0, SIZES["vocab"], (SIZES["batch"], SIZES["seq"])).astype(np.int64))


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"
    return done.stdout


def compile_to(path, layers, *options):
    run(BIN / "hecaton-compile", WORK / f"{layers}.onnx", "--optimizer=sgd", "--lr=0.1", "-o", path, *options)


def losses(program):
    text = run(BIN / "hecaton-sim", program, "--mode=functional", "--steps=3", "--input", f"ids={WORK}/ids.npy", "--input", f"labels={WORK}/labels.npy")
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith("step ") and " loss " in line]


def report(program, *options):
    run(BIN / "hecaton-sim", program, "--mode=timing", "--report", WORK / "r.json", *options)
    whole = json.loads((WORK / "r.json").read_text())
    return whole, whole.pop("simulator")


def length(program):
    return len(run(BIN / "hecaton-objdump", "-d", program).splitlines())


def layer_macs(whole, of):
    """MACs of the layers `of` (a predicate on numbers), from rows named layers.N... or layers.N... .. layers.M..."""
    return sum(row["macs"] for row in whole["per_layer"] if row["name"].startswith("layers.") and of(int(row["name"].split(".")[1])))


for layers in (14, 24):
    run(BIN / "hecaton-model", "tinyllama-1.1b", f"--layers={layers}", *(f"--{k}={v}" for k, v in SIZES.items()), "--seed=5", "-o", WORK / f"{layers}.onnx")
compile_to(WORK / "host.so", 24, "--backend=host")
want = losses(WORK / "host.so")
assert len(want) == 3, want

for options in (["--micro-batch=1", "--strategy=hecaton"], ["--micro-batch=1", "--overlap=none"], ["--micro-batch=2", "--recompute=all", "--mesh=2x3"], ["--micro-batch=6", "--strategy=megatron-ring"],
                ["--micro-batch=1", "--schedule=layerwise", "--strategy=optimus"], ["--micro-batch=4", "--strategy=megatron-torus", "--mesh=2x3"]):
    options = ["--mesh=2x2", "--groups=blocks", *options]  # or the whole step would be one group
    name = " ".join(options)
    for layers in (14, 24):
        compile_to(WORK / f"{layers}.hct", layers, *options, "--report", WORK / "predicted.json")
    assert length(WORK / "14.hct") == length(WORK / "24.hct"), f"{name}: {length(WORK / '14.hct')} and {length(WORK / '24.hct')} instructions"
    got = losses(WORK / "24.hct")
    assert all(abs(a - b) <= 1e-5 * abs(b) for a, b in zip(got, want)), f"{name}: {got}, native code {want}"
    looped, simulator = report(WORK / "24.hct")
    every, _ = report(WORK / "24.hct", "--no-recurrence")
    assert looped == every, f"{name}: recurrence changes the report"
    predicted = json.loads((WORK / "predicted.json").read_text())
    for field in ("dram_read_bytes", "dram_write_bytes", "nop_injected_bytes"):
        assert predicted["traffic"][field] == looped["traffic"][field], f"{name}: {field}"
    assert predicted["simulator"]["instructions"] == simulator["instructions"], name
    # What 24 layers have more than 14: ten times the products of one, which the first has alone in its row.
    fewer, _ = report(WORK / "14.hct")
    first = layer_macs(fewer, lambda n: n == 0)
    assert first and looped["compute"]["macs"] - fewer["compute"]["macs"] == 10 * first, f"{name}: {looped['compute']['macs']} - {fewer['compute']['macs']}, {first} a layer"
    assert layer_macs(looped, lambda n: True) == 24 * first, name
    assert any(" .. " in row["name"] for row in looped["per_layer"]), f"{name}: no row of several layers"
    print(f"{name}: {length(WORK / '24.hct')} instructions, {simulator['instructions']} run")
print("ok")
