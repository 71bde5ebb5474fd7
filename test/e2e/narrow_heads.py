#!/usr/bin/env python3
"""One head of few features, which strategies that take all dies as one axis split over both axes of the mesh: its gradients are summed over columns and scattered over
what rows split above them. Loss and gradients of every parameter equal the host oracle's.

usage: narrow_heads.py BIN_DIRECTORY WORK_DIRECTORY
Of each model a third of mesh, strategy and orientation; all of them in a thorough run.
"""
import re
import sys
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))
from checks import check, done, finish, share  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, TOKENS, VOCABULARY = 2, 16, 11
MODELS = (("tinyllama-1.1b", ["--hidden=4", "--kv-heads=1"]), ("tinyllama-1.1b", ["--hidden=6", "--kv-heads=1"]), ("bert-base", ["--hidden=5"]), ("gpt2", ["--hidden=5"]))
CASES = [(mesh, strategy, o) for mesh in ("2x2", "2x3", "3x3", "3x2") for strategy in ("megatron-ring", "megatron-torus", "megatron-sequence", "optimus", "hecaton") for o in ("columns", "rows")]


def gradients(names, *options):
    """Loss, and gradients by parameter."""
    files = {name: WORK / f"{i}.npy" for i, name in enumerate(names)}
    done(BIN / "hecaton-compile", WORK / "m.onnx", "--optimizer=none", "--micro-batch=2", "--token-blocks=1", "--weights=resident", *options, "-o", WORK / "program")
    said = done(BIN / "hecaton-sim", WORK / "program", "--mode=functional", *[f"--input={n}={WORK / n}.npy" for n in ("ids", "labels")], *[f"--output=grad:{n}={f}" for n, f in files.items()]).stdout
    return float(re.search(r"loss +(\S+)", said)[1]), {n: np.load(f) for n, f in files.items()}


numbers = np.random.default_rng(7)
for name in ("ids", "labels"):
    np.save(WORK / f"{name}.npy", numbers.integers(0, VOCABULARY, (BATCH, TOKENS)))
for m, (family, sizes) in enumerate(MODELS):
    done(BIN / "hecaton-model", family, "--layers=1", "--heads=1", *sizes, f"--vocab={VOCABULARY}", f"--seq={TOKENS}", f"--batch={BATCH}", "--seed=1", "-o", WORK / "m.onnx")
    names = [i.name for i in onnx.load(WORK / "m.onnx").graph.initializer if i.data_type == onnx.TensorProto.FLOAT and i.dims and i.name.endswith((".weight", ".bias"))]
    loss, wanted = gradients(names, "--backend=host")
    largest = max(np.abs(g).max() for g in wanted.values())
    for mesh, strategy, orientation in share(CASES, 3, m):
        label = f"{family} {sizes} on {mesh}, {strategy}, {orientation}"
        got_loss, got = gradients(names, f"--mesh={mesh}", f"--strategy={strategy}", f"--orientation={orientation}")
        check(f"{label}: loss {got_loss}, host {loss}", abs(got_loss - loss) <= 1e-5 * loss)
        for name, gradient in wanted.items():
            error = np.abs(got[name] - gradient).max()
            check(f"{label}: {name} is off by {error}", error <= 1e-5 * np.abs(gradient).max() + 1e-7 * largest)
finish()
