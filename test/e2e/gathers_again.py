#!/usr/bin/env python3
"""Where SRAM is too small for what attention's backward gathers of all blocks of tokens, that is gathered again block by block: the plan fits in less than with
everything kept, sends more between dies and moves no other bytes of DRAM, as predicted, and three training steps give the losses of the host oracle.

usage: gathers_again.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
TOKENS, HIDDEN, BATCH, VOCABULARY, SIDE = 128, 256, 2, 40, 4
MODEL = ["tinyllama-1.1b", "--layers=1", f"--hidden={HIDDEN}", "--heads=16", "--kv-heads=4", "--ffn=48", f"--vocab={VOCABULARY}", f"--seq={TOKENS}", f"--batch={BATCH}", "--seed=5"]
SGD = ["--optimizer=sgd", "--lr=0.1"]
OPTIONS = [f"--mesh={SIDE}x{SIDE}", "--micro-batch=1", "--token-blocks=16", "--attention-blocks=16", "--units=blocks", "--groups=blocks", "--recompute=all"]
GATHERED_BYTES = 4 * TOKENS * HIDDEN // SIDE  # f32, of the normalized input of one layer: all tokens, a die's features


def run(*arguments, fits=True):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 or (not fits and "bytes of SRAM on a die" in done.stderr), (arguments, done.stderr)
    return done.stdout if done.returncode == 0 else None


def compiled(sram_bytes):
    """The compiler's report; None where that does not fit."""
    text = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (WORK / "p.xml").write_text(text.replace('bytes="33554432"', f'bytes="{sram_bytes}"').replace('name="hecaton-2x2"', 'name="tight"'))
    if run(BIN / "hecaton-compile", WORK / "m.onnx", f"--package={WORK}/p.xml", *SGD, *OPTIONS, "-o", WORK / "t.hct", "--report", WORK / "p.json", fits=False) is None:
        return None
    (WORK / "t.hct").rename(WORK / "m.hct")
    return json.loads((WORK / "p.json").read_text())


def losses(program):
    text = run(BIN / "hecaton-sim", program, "--steps=3", "--input", f"ids={WORK}/ids.npy", "--input", f"labels={WORK}/labels.npy", "--report", WORK / "s.json")
    return [float(x) for x in re.findall(r"^step +\d+ +loss (\S+)$", text, re.M)]


def traffic(report):
    return {f: report["traffic"][f] for f in ("dram_read_bytes", "dram_write_bytes", "nop_injected_bytes")}


run(BIN / "hecaton-model", *MODEL, "-o", WORK / "m.onnx")
numbers = np.random.default_rng(3)
for name in ("ids", "labels"):
    np.save(WORK / f"{name}.npy", numbers.integers(0, VOCABULARY, (BATCH, TOKENS)))
run(BIN / "hecaton-compile", WORK / "m.onnx", *SGD, "--backend=host", "-o", WORK / "host.so")
want = losses(WORK / "host.so")
ample = kept = least = compiled(33554432)
for sram_bytes in range(230000, 180000, -20000):
    least = compiled(sram_bytes) or least
    if traffic(least) == traffic(ample):
        kept = least
print(f"all gathered kept: {traffic(kept)} in {kept['sram']['peak_bytes']} bytes; least SRAM: {traffic(least)} in {least['sram']['peak_bytes']}; gathered are {GATHERED_BYTES}")
assert traffic(least)["nop_injected_bytes"] > traffic(kept)["nop_injected_bytes"]
assert least["sram"]["peak_bytes"] < kept["sram"]["peak_bytes"] - GATHERED_BYTES // 2
assert all(traffic(least)[f] == traffic(kept)[f] for f in ("dram_read_bytes", "dram_write_bytes"))
got = losses(WORK / "m.hct")
assert traffic(json.loads((WORK / "s.json").read_text())) == traffic(least)
assert len(got) == 3 and all(abs(a - b) <= 1e-5 * abs(b) for a, b in zip(got, want)), (got, want)
print("as the host")
