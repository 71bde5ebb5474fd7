#!/usr/bin/env python3
"""Where SRAM has no room for two micro-batches at once, the beginning of each is done inside the one before it (backends/chiplet/rotate.c), and loads come
before what they are for (prefetch.c). SRAM in steps of 4 % from the least that holds the program: it trains to the losses of the host oracle, and takes the
same time with and without the recurrence shortcut; loops of one iteration less show that they are rotated.

usage: tight_loops.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, STEPS = 8, 5
MODELS = (["tinyllama-1.1b", "--layers=2", "--hidden=32", "--heads=4", "--kv-heads=2", "--ffn=48", "--vocab=40", "--seq=32", "--seed=5"], ["gpt2", "--layers=2", "--hidden=32", "--heads=4", "--vocab=40", "--seq=32", "--seed=6"])
CASES = ((0, "2x2", ["--token-blocks=4", "--attention-blocks=2", "--groups=blocks", "--weights=resident"]), (0, "2x3", ["--token-blocks=4", "--recompute=all", "--groups=blocks"]),
         (1, "2x2", ["--token-blocks=2", "--strategy=optimus", "--groups=blocks", "--weights=resident"]), (1, "4x1", ["--token-blocks=4", "--strategy=megatron-sequence", "--groups=blocks", "--recompute=none"]))


def run(*arguments, refused=False):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 or (refused and done.returncode == 1), (arguments, done.stderr)
    return None if done.returncode else done.stdout


def compile_within(sram_bytes, mesh, *options):
    text = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (WORK / "p.xml").write_text(text.replace('bytes="33554432"', f'bytes="{sram_bytes}"'))
    return run(BIN / "hecaton-compile", WORK / "m.onnx", "--optimizer=sgd", "--lr=0.1", "--micro-batch=1", "--weight-pieces=1", f"--package={WORK}/p.xml", f"--mesh={mesh}", *options, "-o", WORK / "p.hct", refused=True) is not None


def losses(program):
    text = run(BIN / "hecaton-sim", WORK / program, "--mode=functional", "--steps=3", "--input", f"ids={WORK}/ids.npy", "--input", f"labels={WORK}/labels.npy")
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith("step ") and " loss " in line]


def timed(*options):
    run(BIN / "hecaton-sim", WORK / "p.hct", "--mode=timing", "--report", WORK / "r.json", *options)
    return {k: v for k, v in json.loads((WORK / "r.json").read_text()).items() if k not in ("simulator", "program")}


def least_sram(mesh, options):
    low, high = 1 << 12, 1 << 19
    while high > 1.02 * low:
        middle = (low + high) // 2
        low, high = (low, middle) if compile_within(middle, mesh, *options) else (middle, high)
    return high


numbers = np.random.default_rng(3)
failures = 0
for which, mesh, options in CASES:
    run(BIN / "hecaton-model", *MODELS[which], f"--batch={BATCH}", "-o", WORK / "m.onnx")
    for name in ("ids", "labels"):
        np.save(WORK / f"{name}.npy", numbers.integers(0, 40, (BATCH, 32)).astype(np.int64))
    run(BIN / "hecaton-compile", WORK / "m.onnx", "--optimizer=sgd", "--lr=0.1", "--backend=host", "-o", WORK / "host.so")
    want, rotated, ran = losses("host.so"), 0, 0
    least = least_sram(mesh, options)
    for step in range(STEPS):
        if not compile_within(int(least * 1.04**step), mesh, *options):
            continue
        ran += 1
        trips = re.findall(r"\bloop level=0 v0=(\d+)", run(BIN / "hecaton-objdump", "-d", WORK / "p.hct"))
        rotated += str(BATCH - 1) in trips
        got = losses("p.hct")
        if len(got) != 3 or any(abs(a - b) > 1e-5 * abs(b) for a, b in zip(got, want)):
            failures += 1
            print("FAIL", MODELS[which][0], mesh, options, step, got, want)
        if timed() != timed("--no-recurrence"):
            failures += 1
            print("FAIL recurrence", MODELS[which][0], mesh, options, step)
    print(MODELS[which][0], mesh, *options, f"least {least} bytes, {ran} of {STEPS} run, {rotated} with loops of {BATCH - 1}")
    failures += not rotated
sys.exit(1 if failures else 0)
