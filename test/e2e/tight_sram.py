#!/usr/bin/env python3
"""Where SRAM has room for the order written and little more, operations are ordered within it: the program fits, its order
differs from the one without overlap, it is faster, and three training steps give the losses of the host oracle.

usage: tight_sram.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
MODEL = ["tinyllama-1.1b", "--layers=2", "--hidden=32", "--heads=4", "--kv-heads=2", "--ffn=48", "--vocab=40", "--seq=64", "--batch=3", "--seed=5"]


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def compile_model(out, *options):
    run(BIN / "hecaton-compile", WORK / "m.onnx", "--optimizer=sgd", "--lr=0.1", *options, "-o", WORK / out)


def simulate(program, *options):
    text = run(BIN / "hecaton-sim", WORK / program, "--steps=3", "--input", f"ids={WORK}/ids.npy", "--input", f"labels={WORK}/labels.npy", *options)
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith("step ") and " loss " in line]


def report(program):
    run(BIN / "hecaton-sim", WORK / program, "--mode=timing", "--report", WORK / "r.json")
    return json.loads((WORK / "r.json").read_text())


def package(sram_bytes):
    text = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (WORK / "p.xml").write_text(text.replace('bytes="33554432"', f'bytes="{sram_bytes}"').replace('name="hecaton-2x2"', 'name="tight"'))


def order(*options):
    compile_model("p.mlir", f"--package={WORK}/p.xml", "--emit=tile", *options)
    return [line for line in (WORK / "p.mlir").read_text().splitlines() if "hct.options" not in line]


run(BIN / "hecaton-model", *MODEL, "-o", WORK / "m.onnx")
numbers = np.random.default_rng(3)
for name in ("ids", "labels"):
    np.save(WORK / f"{name}.npy", numbers.integers(0, 40, (3, 64)).astype(np.int64))
compile_model("host.so", "--backend=host")
want = simulate("host.so", "--mode=functional")
for options in (["--token-blocks=4", "--attention-blocks=2"], ["--token-blocks=8"], ["--token-blocks=4", "--recompute=all", "--strategy=optimus"]):
    options = [*options, "--micro-batch=1"]
    compile_model("written.hct", "--package=hecaton-2x2", "--overlap=none", *options)
    written = report("written.hct")
    package(written["sram"]["peak_bytes"])
    assert order("--overlap=ring", *options) != order("--overlap=none", *options), options
    compile_model("ordered.hct", f"--package={WORK}/p.xml", *options)
    ordered, got = report("ordered.hct"), simulate("ordered.hct", "--mode=functional")
    print(options, f"{written['time']['step_s'] * 1e6:.1f} us in the order written, {ordered['time']['step_s'] * 1e6:.1f} us")
    assert ordered["time"]["step_s"] < written["time"]["step_s"], options
    assert ordered["sram"]["peak_bytes"] <= ordered["sram"]["capacity_bytes"], options
    assert len(got) == 3 and all(abs(a - b) <= 1e-4 * abs(b) for a, b in zip(got, want)), (options, got, want)
print("as the host")
