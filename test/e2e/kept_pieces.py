#!/usr/bin/env python3
"""A head's weight in pieces (--weight-pieces) where the scores are an output, so that the pieces of them are put together beside the loss that reads each: loss,
scores and, in training, the head's weights after the step equal the host oracle's.

usage: kept_pieces.py BIN_DIRECTORY WORK_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import share_sanitized  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
SIZES = ["--layers=1", "--hidden=48", "--heads=4", "--ffn=72", "--seq=8", "--batch=4", "--vocab=60", "--seed=3"]
CASES = (("gpt2", "2x2", 2, ["--micro-batch=2", "--groups=blocks"]), ("gpt2", "2x3", 2, ["--micro-batch=3", "--token-blocks=2"]), ("tinyllama-1.1b", "2x2", 3, ["--micro-batch=1", "--groups=blocks"]),
         ("tinyllama-1.1b", "3x1", 2, ["--strategy=megatron-ring"]), ("gpt2", "2x2", 5, ["--strategy=optimus", "--micro-batch=2"]))


def run(*arguments):
    result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    assert result.returncode == 0, f"{arguments}: {result.stderr}"
    return result.stdout


def results(program, names):
    """Loss, and arrays by name."""
    files = {name: WORK / f"{i}.npy" for i, name in enumerate(names)}
    said = run(BIN / "hecaton-sim", program, *[f"--input={n}={WORK / n}.npy" for n in ("ids", "labels")], *[f"--output={n}={f}" for n, f in files.items()])
    return float(re.search(r"loss +(\S+)", said)[1]), [np.load(f) for f in files.values()]


numbers = np.random.default_rng(5)
for name in ("ids", "labels"):
    np.save(WORK / f"{name}.npy", numbers.integers(0, 60, (4, 8)))
for family, mesh, pieces, options in share_sanitized(CASES, 2):
    run(BIN / "hecaton-model", family, *SIZES, "-o", WORK / "m.onnx")
    for mode, names in (["--mode=infer"], ("logits",)), (["--keep-output=logits", "--optimizer=sgd", "--lr=0.5"], ("logits", "param:head.weight")):
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--backend=host", *mode, "-o", WORK / "host.so")
        run(BIN / "hecaton-compile", WORK / "m.onnx", f"--mesh={mesh}", f"--weight-pieces={pieces}", *options, *mode, "-o", WORK / "m.hct")
        (wanted, arrays), (have, found) = results(WORK / "host.so", names), results(WORK / "m.hct", names)
        assert abs(have - wanted) <= 1e-5 * abs(wanted), f"{family} on {mesh}, {options}, {mode}: loss {have}, host {wanted}"
        for name, one, other in zip(names, arrays, found):
            assert one.shape == other.shape and np.abs(one - other).max() <= 1e-5 * np.abs(one).max(), f"{family} on {mesh}, {options}, {mode}: {name}"
        print("ok", family, mesh, *options, *mode)
