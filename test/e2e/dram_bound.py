#!/usr/bin/env python3
"""A layer or two of large models on their packages, with as many token blocks, and as much recomputed, as --objective=dram finds by itself, and all that it finds by itself of models that compile soon: DRAM bytes are at most 1.5 times
what any schedule of the class needs, and those that the simulator counts. Heads, whose weights and gradients are more than SRAM, come in pieces; their scores
never reach DRAM: all that moves beyond what is compulsory is less than storing and loading them once.

usage: dram_bound.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from checks import THOROUGH  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, MOST = 64, 1.5
OPTIONS = ["--dtype=bf16", "--objective=dram"]
GIVEN = ["--micro-batch=1", "--token-blocks=16", "--recompute=all"]
# name, layers, package, options, tokens, classes; beside the first, which has four heads of which one has keys a die: a head that is the embedding table, too; five heads
# a die, whose keys, values and gradients fill SRAM; a head with a bias. The last but one of these has few classes, and much else to store. Then what the compiler finds by
# itself: for few layers, and classes that dies do not divide, and for so many layers that choices are made by some of them, of which several make a group.
CASES = [("llama3.1-8b", 2, "8x8", [*GIVEN, "--groups=blocks"], 8192, 128256), ("bloom-1.7b", 1, "4x4", GIVEN, 2048, 250880), ("llama2-13b", 1, "8x8", [*GIVEN, "--groups=blocks"], 4096, None),
         ("bert-base", 1, "2x2", GIVEN, 512, 30522), ("gpt2", 2, "2x2", [], 1024, 50257), ("bert-large", 24, "4x4", [], 512, None)]
if THOROUGH:  # what the compiler finds for it by itself is there in each run
    CASES.append(("gpt2", 2, "2x2", GIVEN, 1024, 50257))


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (arguments, done.stderr)


for name, layers, package, options, tokens, classes in CASES:
    run(BIN / "hecaton-model", name, "--no-weights", f"--layers={layers}", f"--batch={BATCH}", "-o", WORK / "m.onnx")
    run(BIN / "hecaton-compile", WORK / "m.onnx", f"--package=hecaton-{package}", *OPTIONS, *options, "-o", WORK / "m.hct", "--report", WORK / "p.json")
    run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=timing", "--report", WORK / "s.json")
    predicted, counted = (json.loads((WORK / f"{f}.json").read_text())["traffic"] for f in "ps")
    moved, bound = counted["dram_read_bytes"] + counted["dram_write_bytes"], counted["dram_relaxed_bytes"]
    print(f"{name} on {package}: {moved} bytes, {moved / bound:.3f} x {bound}")
    assert counted["dram_compulsory_bytes"] < bound <= moved <= MOST * bound
    assert not classes or moved < counted["dram_compulsory_bytes"] + 2 * 2 * BATCH * tokens * classes  # bf16 scores, stored and loaded once
    assert all(predicted[f] == counted[f] for f in ("dram_read_bytes", "dram_write_bytes", "dram_relaxed_bytes"))
