#!/usr/bin/env python3
"""Clipping by global norm of whole transformers: the same step on every mesh, strategy, schedule and micro-batch, and at no more traffic than the norm's.

usage: clipping.py BIN_DIRECTORY WORK_DIRECTORY

The step wanted is made here, in f64, of the gradients that a program without an optimizer gives (host backend): w - lr g min(1, most / (norm + 1e-6)), as
torch.nn.utils.clip_grad_norm_ and torch.optim.SGD have it.
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

MOST, RATE = 0.25, 0.5
MODELS = {"gpt": ("gpt2", "--layers=2", "--hidden=24", "--heads=4", "--vocab=20", "--seq=8", "--batch=4", "--seed=1"),
          "llama": ("tinyllama-1.1b", "--layers=2", "--hidden=24", "--heads=6", "--kv-heads=2", "--ffn=28", "--vocab=20", "--seq=8", "--batch=4", "--seed=2"),
          "deep": ("gpt2", "--layers=18", "--hidden=8", "--heads=2", "--vocab=12", "--seq=4", "--batch=2", "--seed=3")}
TIGHT = "--package=tight.xml"  # whose SRAM does not hold the gradients of all layers: some are compiled, the others put back
VARIANTS = [
    ("gpt", "--mesh=1x1", "--micro-batch=3"), ("gpt", "--mesh=2x2", "--micro-batch=1"), ("gpt", "--mesh=3x2", "--micro-batch=4", "--schedule=layerwise"),
    ("gpt", "--mesh=2x2", "--strategy=megatron-ring", "--micro-batch=2", "--update-chunk=16"), ("gpt", "--mesh=2x2", "--strategy=megatron-torus", "--micro-batch=2"),
    ("gpt", "--mesh=2x2", "--strategy=megatron-sequence", "--micro-batch=2"), ("gpt", "--mesh=2x3", "--strategy=optimus", "--micro-batch=2", "--groups=blocks"),
    ("gpt", "--mesh=2x2", "--micro-batch=2", "--weight-pieces=2", "--token-blocks=2"), ("gpt", "--mesh=1x2", "--micro-batch=2", "--recompute=all", "--checkpoint=2", "--loss-scale=1024"),
    ("llama", "--mesh=2x2", "--micro-batch=2"), ("llama", "--mesh=4x1", "--micro-batch=1", "--overlap=none"), ("llama", "--mesh=2x4", "--strategy=megatron-ring", "--loss-scale=auto"),
    ("llama", "--backend=host"), ("deep", "--mesh=2x2", "--micro-batch=1"), ("deep", "--mesh=2x2", "--micro-batch=1", "--schedule=layerwise"),
    ("deep", TIGHT, "--mesh=2x2", "--micro-batch=1", "--groups=blocks"), ("deep", TIGHT, "--mesh=1x2", "--micro-batch=2", "--groups=blocks", "--recompute=all", "--loss-scale=auto"), ("deep", "--backend=host", "--loss-scale=auto")]


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, args))}\nexit status {done.returncode}\n{done.stderr}")
    return done.stderr


class Model:
    def __init__(self, binaries, work, name):
        self.bin, self.work, self.file = binaries, work, work / f"{name}.onnx"
        run(binaries / "hecaton-model", *MODELS[name], "-o", self.file)
        model = onnx.load(self.file)
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        vocabulary = int(next(o for o in MODELS[name] if "--vocab" in o).partition("=")[2])
        tokens = np.random.default_rng(1).integers(0, vocabulary, (shape[0], shape[1] + 1))
        np.save(work / "ids.npy", tokens[:, :-1]), np.save(work / "labels.npy", tokens[:, 1:])
        self.gradients = self.outputs("grad", [i.name for i in model.graph.initializer if i.data_type == onnx.TensorProto.FLOAT and i.dims], "--backend=host", "--optimizer=none")
        self.norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in self.gradients.values()))
        weights = {i.name: numpy_helper.to_array(i).astype(np.float64) for i in model.graph.initializer if i.name in self.gradients}
        self.moves = {n: -RATE * g.astype(np.float64) * min(1, MOST / (self.norm + 1e-6)) for n, g in self.gradients.items()}
        self.want = {n: w + self.moves[n] for n, w in weights.items()}

    def outputs(self, kind, names, *options, more=()):
        options = [f"--package={self.work}/tight.xml" if o == TIGHT else o for o in options]
        said = run(self.bin / "hecaton-compile", self.file, *options, "-o", self.work / "program.hct")
        assert all("tight.xml" not in o for o in options) or "compiled are 6 of" in said, said
        found = {n: self.work / f"{i}.npy" for i, n in enumerate(names)}
        inputs = [a for n in ("ids", "labels") for a in ("--input", f"{n}={self.work / n}.npy")]
        run(self.bin / "hecaton-sim", self.work / "program.hct", *inputs, *(a for n, f in found.items() for a in ("--output", f"{kind}:{n}={f}")), *more)
        return {n: np.load(f) for n, f in found.items()}

    def check(self, options):
        got = self.outputs("param", list(self.want), "--optimizer=sgd", f"--lr={RATE}", f"--clip-norm={MOST}", *options)
        largest = max(np.abs(m).max() for m in self.moves.values())
        off = max(np.abs(got[n] - w).max() / max(np.abs(self.moves[n]).max(), 1e-2 * largest, 1e-3 * np.abs(w).max()) for n, w in self.want.items())
        print(f"{self.file.stem} {' '.join(options)}: norm {self.norm:.4f}, weights off by {off:.1e} of how far they move")
        assert self.norm > 2 * MOST and off < 2e-4


def received(report):
    """By kind, axis and pass of collectives: the most bytes that a die receives."""
    counts = {}
    for c in json.loads(report.read_text())["collectives"]:
        key = (c["kind"], c["axis"], c["pass"])
        counts[key] = counts.get(key, 0) + c["received_bytes_per_die_max"]
    return counts


def check_bytes(model):
    """Clipping adds all-reduces of one f32 alone: a die receives 4 bytes an axis and parameter at most, of 2 x 2."""
    plain, clipped = model.work / "plain.json", model.work / "clipped.json"
    for report, options in ((plain, []), (clipped, [f"--clip-norm={MOST}"])):
        model.outputs("param", [], "--optimizer=sgd", "--mesh=2x2", "--micro-batch=2", *options, more=("--report", report))
    before, after = received(plain), received(clipped)
    assert {k: v for k, v in after.items() if k[2] != "update"} == {k: v for k, v in before.items() if k[2] != "update"}
    added = {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}
    assert added and all(kind == "all_reduce" and 0 < v <= 4 * len(model.want) for (kind, _, _), v in added.items()), added
    print(f"ok bytes: clipping adds {added}")


def check_sram(model):
    """Steps that wait for the norm do not have their parameters and states in SRAM until the last is done."""
    peaks = []
    for options in ([], [f"--clip-norm={MOST}"]):
        model.outputs("param", [], "--optimizer=adamw", "--mesh=2x2", "--micro-batch=1", "--schedule=layerwise", "--overlap=none", *options, more=("--report", model.work / "report.json"))
        peaks.append(json.loads((model.work / "report.json").read_text())["sram"]["worst_moment"]["live_bytes"])
    assert peaks[1] <= peaks[0] + 256, f"SRAM without and with clipping: {peaks}"
    print(f"ok SRAM: {peaks[0]} bytes, with clipping {peaks[1]}")


def main():
    binaries, work = Path(sys.argv[1]), Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    package = (binaries.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (work / "tight.xml").write_text(package.replace('bytes="33554432"', 'bytes="20000"'))
    for name in MODELS:
        model = Model(binaries, work, name)
        for variant in VARIANTS:
            if variant[0] == name:
                model.check(variant[1:])
        if name == "gpt":
            check_bytes(model)
        if name == "deep":
            check_sram(model)


if __name__ == "__main__":
    main()
