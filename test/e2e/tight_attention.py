#!/usr/bin/env python3
"""Backward of attention in blocks of queries adds each block to both dV and dK before the next: where SRAM is too small, the plan needs less than in the
order written by the probabilities of all blocks. With heads in parts, it is done with the keys and values of one part, and their gradients, before the next.

usage: tight_attention.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
HEADS, TOKENS, BLOCKS, BATCH, DIES = 4, 256, 16, 2, 2
MODEL = ["tinyllama-1.1b", "--layers=1", "--hidden=16", f"--heads={HEADS}", f"--kv-heads={HEADS}", "--ffn=24", "--vocab=40", f"--seq={TOKENS}", f"--batch={BATCH}", "--seed=5"]
OPTIONS = ["--optimizer=sgd", "--lr=0.1", "--mesh=1x2", "--micro-batch=1", "--token-blocks=4", f"--attention-blocks={BLOCKS}", "--key-blocks=1", "--units=blocks", "--groups=blocks", "--recompute=all"]
PAIRS = TOKENS * TOKENS * (BLOCKS + 1) // (2 * BLOCKS)  # of queries and keys, in all blocks
PROBABILITY_BYTES = 4 * HEADS * PAIRS // DIES  # f32, of one sample


def run(status, *arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (arguments, done.stderr)
    return done.stderr


def sram_needed(sram_bytes, *options):
    """In a die of so little SRAM that the plan is refused."""
    text = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (WORK / "p.xml").write_text(text.replace('bytes="33554432"', f'bytes="{sram_bytes}"').replace('name="hecaton-2x2"', 'name="tight"'))
    errors = run(1, BIN / "hecaton-compile", WORK / "m.onnx", f"--package={WORK}/p.xml", *OPTIONS, *options, "-o", WORK / "p.hct")
    return int(re.search(r"the plan needs (\d+) bytes of SRAM", errors).group(1))


run(0, BIN / "hecaton-model", *MODEL, "-o", WORK / "m.onnx")
run(0, BIN / "hecaton-compile", WORK / "m.onnx", "--package=hecaton-2x2", "--overlap=none", *OPTIONS, "-o", WORK / "p.hct", "--report", WORK / "p.json")
written = json.loads((WORK / "p.json").read_text())["sram"]["peak_bytes"]  # there is room for it
for overlap in ("none", "ring"):
    ordered = sram_needed(PROBABILITY_BYTES // 2, f"--overlap={overlap}")
    print(f"{written} bytes in the order written, {ordered} bytes with --overlap={overlap}; probabilities of all blocks take {PROBABILITY_BYTES}")
    assert ordered < written - PROBABILITY_BYTES
print("less by all probabilities")

run(0, BIN / "hecaton-model", "tinyllama-1.1b", "--layers=1", "--hidden=64", "--heads=8", "--kv-heads=8", "--ffn=24", "--vocab=40", "--seq=1024", f"--batch={BATCH}", "--seed=5", "-o", WORK / "m.onnx")
KEY_BYTES = 1024 * 64 * 4  # f32, of one sample: heads lie on rows, of which there is one
all_heads, in_parts = (sram_needed(4 * KEY_BYTES, f"--head-blocks={n}") for n in (1, 4))
print(f"{all_heads} bytes with all heads at once, {in_parts} bytes with a quarter; keys take {KEY_BYTES}")
assert in_parts < min(all_heads - 4 * KEY_BYTES * 3 // 4, all_heads / 2)
print("less by keys, values, and their gradients, and less than half")
