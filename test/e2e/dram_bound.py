#!/usr/bin/env python3
"""Two layers of llama3.1-8b on its package, with as many token blocks, and as much recomputed, as --objective=dram finds by itself: DRAM bytes are at most 1.5
times what any schedule of the class needs, and those that the simulator counts. The head, whose weight and gradient are more than SRAM, comes in pieces; their scores
never reach DRAM: all that moves beyond what is compulsory is less than storing and loading them once.

usage: dram_bound.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, TOKENS, CLASSES, MOST = 64, 8192, 128256, 1.5
OPTIONS = ["--package=hecaton-8x8", "--dtype=bf16", "--objective=dram", "--micro-batch=1", "--token-blocks=16", "--recompute=all", "--groups=blocks"]


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (arguments, done.stderr)


run(BIN / "hecaton-model", "llama3.1-8b", "--no-weights", "--layers=2", f"--batch={BATCH}", "-o", WORK / "m.onnx")
run(BIN / "hecaton-compile", WORK / "m.onnx", *OPTIONS, "-o", WORK / "m.hct", "--report", WORK / "p.json")
run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=timing", "--report", WORK / "s.json")
predicted, counted = (json.loads((WORK / f"{f}.json").read_text())["traffic"] for f in "ps")
moved, bound = counted["dram_read_bytes"] + counted["dram_write_bytes"], counted["dram_relaxed_bytes"]
print(f"{moved} bytes, {moved / bound:.3f} x {bound}")
assert counted["dram_compulsory_bytes"] < bound <= moved <= MOST * bound
assert moved < counted["dram_compulsory_bytes"] + 2 * 2 * BATCH * TOKENS * CLASSES  # bf16 scores, stored and loaded once
assert all(predicted[f] == counted[f] for f in ("dram_read_bytes", "dram_write_bytes", "dram_relaxed_bytes"))
