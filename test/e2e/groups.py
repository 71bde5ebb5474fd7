#!/usr/bin/env python3
"""Fusion groups of a small GPT on one die: with SRAM for the whole step, DRAM bytes are the compulsory ones and a few that follow from its sizes; with
too little for a residual block, groups are made of layers; and losses are those of blocks that are not fused.

Beyond what is compulsory, a step of one stage reads the labels twice, since they are counted before the loss divides by their number; which of them
count goes through DRAM between the two. Besides it reads constants, which with one block of tokens are the causal mask [seq, seq] and one number, and the settings.

usage: groups.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import share_sanitized  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, SEQ, VOCAB, F32, I64, SETTINGS = 8, 32, 96, 4, 8, 10
TOKENS = BATCH * SEQ


def compiled(sram, *options):
    package = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (WORK / "p.xml").write_text(re.sub(r'sram bytes="\d+"', f'sram bytes="{sram}"', package))
    done = subprocess.run([BIN / "hecaton-compile", WORK / "m.onnx", f"--package={WORK / 'p.xml'}", "--mesh=1x1", "-o", WORK / "m.hct", "--report", WORK / "p.json", *options], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0, done.stderr


def run():
    """DRAM bytes of a step, and the losses of three."""
    subprocess.run([BIN / "hecaton-sim", WORK / "m.hct", "--steps=3", "--input", f"ids={WORK}/ids.npy", "--input", f"labels={WORK}/labels.npy", "--report", WORK / "s.json"], check=True, stdout=subprocess.DEVNULL)
    predicted, simulated = (json.loads((WORK / f"{name}.json").read_text()) for name in "ps")
    for name in ("dram_read_bytes", "dram_write_bytes", "dram_compulsory_bytes"):
        assert predicted["traffic"][name] == simulated["traffic"][name], name
    traffic = simulated["traffic"]
    return traffic["dram_read_bytes"] + traffic["dram_write_bytes"], traffic["dram_compulsory_bytes"], simulated["loss"]


subprocess.run([BIN / "hecaton-model", "gpt2", "--layers=2", "--hidden=64", "--heads=4", f"--vocab={VOCAB}", f"--seq={SEQ}", f"--batch={BATCH}", "--seed=1", "-o", WORK / "m.onnx"], check=True)
for i, name in enumerate(("ids", "labels")):
    np.save(WORK / f"{name}.npy", np.random.default_rng(i).integers(0, VOCAB, (BATCH, SEQ)))

assert compiled(1 << 25, "--groups=blocks", "--micro-batch=2")[0]
apart, compulsory, losses = run()
for micro_batch in share_sanitized((1, 2, 3, 8), 4, 2):
    fits, said = compiled(1 << 25, "--objective=dram", "--token-blocks=1", f"--micro-batch={micro_batch}", "--recompute=none")
    assert fits and "run as stages that begin at 0\n" in said, said
    have, _, got = run()
    wanted = compulsory + TOKENS * (I64 + 2 * F32) + (SEQ * SEQ + 1 + SETTINGS) * F32
    assert have == wanted < apart, f"micro-batch {micro_batch}: {have} DRAM bytes, from sizes {wanted}; not fused {apart}"
    assert np.allclose(got, losses, rtol=1e-5, atol=0), (got, losses)
    print(f"ok micro-batch {micro_batch}: {have} DRAM bytes, not fused {apart}")

SMALL = 450000
SMALL_OPTIONS = ["--micro-batch=1", "--weights=resident", "--weight-pieces=1", "--update-chunk=65536"]
fits, said = compiled(SMALL, *SMALL_OPTIONS, "--units=blocks")
assert not fits and "E0402" in said, said
fits, said = compiled(SMALL, *SMALL_OPTIONS)
assert fits and "remark: --units=auto: fusion groups are made of layers" in said, said
have, _, got = run()
assert np.allclose(got, losses, rtol=1e-5, atol=0), (got, losses)
print(f"ok {SMALL} bytes of SRAM: {have} DRAM bytes, groups are made of layers")
