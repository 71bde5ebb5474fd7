#!/usr/bin/env python3
"""A small GPT learns text for 300 steps in f32, bf16 and f16: all reach the same loss, within 2 %.

usage: long_training.py BIN_DIRECTORY TEXT WORK_DIRECTORY DTYPE[,DTYPE...]

Each step takes other windows of the text, characters modulo 64. AdamW with warm-up, cosine decay and clipping by norm 1; f16 with a loss scale that adapts.
The loss reached is the mean of the last 20 steps' (that of one step depends on its windows).
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

STEPS, BATCH, SEQ, VOCAB = 300, 8, 16, 64


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, args))}\nexit status {done.returncode}\n{done.stderr}")


def main():
    binaries, text, work = Path(sys.argv[1]), np.fromfile(sys.argv[2], np.uint8).astype(np.int64) % VOCAB, Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    starts = np.random.default_rng(4).integers(0, len(text) - SEQ - 1, (STEPS, BATCH))
    for name, shift in (("ids", 0), ("labels", 1)):
        np.save(work / f"{name}.npy", text[starts[..., None] + shift + np.arange(SEQ)])
    shape = ("--layers=2", "--hidden=32", "--heads=2", f"--vocab={VOCAB}", f"--seq={SEQ}", f"--batch={BATCH}", "--seed=1")
    run(binaries / "hecaton-model", "gpt2", *shape, "-o", work / "model.onnx")
    frequencies = np.bincount(text, minlength=VOCAB) / len(text)
    alone = -(frequencies[frequencies > 0] * np.log(frequencies[frequencies > 0])).sum()  # the loss of who knows how often characters come, and no more
    reached = {}
    for dtype in sys.argv[4].split(","):
        scale = ["--loss-scale=auto"] if dtype == "f16" else []
        run(binaries / "hecaton-compile", work / "model.onnx", "--mesh=2x2", "--micro-batch=4", f"--dtype={dtype}", "--clip-norm=1", *scale, "-o", work / "program.hct")
        run(binaries / "hecaton-sim", work / "program.hct", "--mode=functional", f"--steps={STEPS}", "--set", f"lr=cosine:0.01,20,{STEPS}", "--report", work / "report.json",
            *(a for n in ("ids", "labels") for a in ("--input", f"{n}={work / n}.npy")))
        losses = np.array(json.loads((work / "report.json").read_text())["loss"])
        reached[dtype] = losses[-20:].mean()
        print(f"{dtype}: loss {losses[0]:.4f} at first, {reached[dtype]:.4f} over the last 20 of {STEPS} steps, {reached[dtype] / reached['f32'] - 1:+.2%} of f32's; {alone:.4f} without context")
        assert len(losses) == STEPS and np.isfinite(losses).all()
        assert reached[dtype] < 0.85 * alone, "it learns what comes after what"
        assert abs(reached[dtype] / reached["f32"] - 1) <= 0.02, "within 2 % of f32"
        assert dtype == "f32" or reached[dtype] != reached["f32"], "nothing was rounded"


if __name__ == "__main__":
    main()
