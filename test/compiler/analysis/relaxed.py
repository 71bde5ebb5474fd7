#!/usr/bin/env python3
"""dram_relaxed_bytes of a chain of linear layers, against all ways to cut its step into stages, tried one by one from the layers' sizes.

Layer i: h[i] = a[i-1] W[i], a[i] = relu(h[i]); the loss is the mean of the last. Units: forward 0 ... L-1, then backward L-1 ... 0, which reads h[i], the gradient
of a[i] and a[i-1], and updates W[i] by SGD. What the schedule class needs is in compiler/analysis/workload_relaxed.h.

usage: relaxed.py BIN_DIRECTORY WORK_DIRECTORY
"""
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import chain

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, WIDTHS, F32 = 8, [24, 48, 16, 40, 32], 4
LAYERS = len(WIDTHS) - 1


def weight(i):
    return F32 * WIDTHS[i] * WIDTHS[i + 1]


def activations():
    """(bytes, unit that makes it, units that read it) of everything there is once a sample."""
    back = lambda i: 2 * LAYERS - 1 - i
    for i in range(LAYERS):
        size = F32 * BATCH * WIDTHS[i + 1]
        yield size, i, {i, back(i)}  # h[i]
        if i + 1 < LAYERS:
            yield size, i, {i + 1, back(i + 1)}      # a[i]
            yield size, back(i + 1), {back(i)}       # its gradient


def needed(stages):
    """Bytes of one way to cut: `stages` are sets of units."""
    total = sum(weight(i) for i in range(LAYERS)) + F32 + F32  # weights, the loss and the step's number out
    last = 2 * LAYERS - 1
    for stage in stages:
        total += sum(weight(i) for i in range(LAYERS) if i in stage or last - i in stage)
        total += F32 * BATCH * WIDTHS[0] if stage & {0, last} else 0
        total += F32 if 0 in stage or max(stage) >= LAYERS else 0  # the step's number, to be counted up and for updates
        for size, made, read in activations():
            total += size if made not in stage and stage & read else 0
            total += size if made in stage and read - stage else 0
    return total


def held(stage):
    last = 2 * LAYERS - 1
    weights = sum(weight(i) for i in range(LAYERS) if i in stage or (last - i in stage and i > 0))  # the first layer's gradient of x is not wanted
    return weights + sum(weight(last - u) for u in stage if u >= LAYERS) + (F32 if LAYERS - 1 in stage else 0)


def cuts():
    for ends in itertools.product((False, True), repeat=2 * LAYERS - 1):
        stages = [{0}]
        for u, cut in enumerate(ends, 1):
            stages.append({u}) if cut else stages[-1].add(u)
        yield stages


def wanted(sram):
    return min(needed(stages) for stages in cuts() if all(len(stage) == 1 or held(stage) <= sram for stage in stages))


def compiled(sram, *options):
    package = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (WORK / "p.xml").write_text(re.sub(r'sram bytes="\d+"', f'sram bytes="{sram}"', package))
    subprocess.run([BIN / "hecaton-compile", WORK / "m.onnx", f"--package={WORK / 'p.xml'}", "--optimizer=sgd", "--recompute=none", "--micro-batch=1", "--weight-pieces=1", *options], check=True, stderr=subprocess.DEVNULL)


chain.write(WORK / "m.onnx", WIDTHS, BATCH)
seen = set()
for sram in (1024, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 8192, 12288, 1 << 20):
    compiled(sram, "--emit=dist", "-o", WORK / "m.mlir")
    have = int(re.search(r"hct.dram_relaxed_bytes = (\d+)", (WORK / "m.mlir").read_text())[1])
    assert have == wanted(4 * sram), f"4 dies of {sram} bytes: {have}, the best of all cuts needs {wanted(4 * sram)}"
    seen.add(have)
assert len(seen) > 4, f"these capacities do not tell schedules apart: {seen}"
compiled(1 << 20, "-o", WORK / "m.hct", "--report", WORK / "r.json")
traffic = json.loads((WORK / "r.json").read_text())["traffic"]
assert traffic["dram_relaxed_bytes"] == min(seen) == traffic["dram_compulsory_bytes"] <= traffic["dram_read_bytes"] + traffic["dram_write_bytes"], traffic
print(f"ok: {sorted(seen)}")
