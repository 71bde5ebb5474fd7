#!/usr/bin/env python3
"""Training goldens through hecaton-compile and hecaton-sim: property 1 of the method, against what PyTorch computed.

usage: goldens.py BIN_DIRECTORY SHARED_DIRECTORY WORK_DIRECTORY MODEL MESH[,MESH...] MICRO_BATCH[,...] CHECK[,CHECK...] [OPTION...]
MESH: RxC, or host for the host backend, to which the micro-batch does not apply. Meshes take turns at the micro-batches; in a thorough run each has all.
CHECK: gradients (loss, every gradient, the same image again; on a mesh also that numbers and reports are the same for any number of
threads, and numbers for any jitter), sgd (20 losses), adamw
(20 losses, trained weights); quick: loss and gradients alone; numbers: quick, sgd and adamw; recompute: these, to the bit the same however --recompute is set
OPTION: further ones of hecaton-compile
"""
import fnmatch
import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import share  # noqa: E402

OPTIONS = {"llama_symbolic": ["--dim=batch=4", "--dim=sequence=8"], "llama_lora": ["--trainable=*.lora_?"]}
# Gradients that are zero in theory: what a key's bias adds to the scores is the same for all keys of a query, and softmax does not see it. PyTorch's values are rounding, further from zero
# than the tolerance, so that zero itself would not pass; these have to be no further from it than PyTorch's are.
ZERO = {"bert": "*.key.bias"}


def same_bits(a, b):
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def load(path):
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


class Golden:
    def __init__(self, binaries, shared, work, model, options):
        self.options = options
        self.bin, self.dir, self.work, self.model = Path(binaries), Path(shared) / "goldens" / model, Path(work), model
        self.gradients = {p.stem: load(p) for p in sorted((self.dir / "gradients").glob("*.pb"))}
        self.inputs = [i.name for i in onnx.load(self.dir / "model.onnx").graph.input]
        self.largest = max(np.abs(g).max() for g in self.gradients.values())

    def run(self, *args):
        done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, args))}\nexit status {done.returncode}\n{done.stderr}")
        return done.stdout

    def compile(self, mesh, micro_batch, *options):
        image = self.work / "program.hct"
        target = ["--backend=host"] if mesh == "host" else [f"--mesh={mesh}", f"--micro-batch={micro_batch}"]
        self.run(self.bin / "hecaton-compile", self.dir / "model.onnx", *OPTIONS.get(self.model, []), *self.options, *target, *options, "-o", image)
        return image

    def simulate(self, image, outputs, *options):
        """Losses of the steps, and the arrays named in `outputs`."""
        files = {name: self.work / f"{i}.npy" for i, name in enumerate(outputs)}
        inputs = [a for i, name in enumerate(self.inputs) for a in ("--input", f"{name}={self.dir}/test_data_set_0/input_{i}.pb")]
        text = self.run(self.bin / "hecaton-sim", image, *inputs, *(a for n, f in files.items() for a in ("--output", f"{n}={f}")), *options)
        losses = [float(line.split()[-1]) for line in text.splitlines() if line.startswith("step ") and " loss " in line]
        return losses, {n: np.load(f) for n, f in files.items()}

    def check_first_step(self, losses, got):
        want = float(load(self.dir / "test_data_set_0" / "output_0.pb"))
        assert abs(losses[0] - want) <= 1e-5 * abs(want), f"loss {losses[0]}, PyTorch {want}"
        for name, gradient in self.gradients.items():
            error, allowed = np.abs(got[f"grad:{name}"] - gradient).max(), 2e-5 * max(np.abs(gradient).max(), 1e-5 * self.largest)
            if fnmatch.fnmatch(name, ZERO.get(self.model, "")):
                error, allowed = np.abs(got[f"grad:{name}"]).max(), np.abs(gradient).max()
                assert allowed <= 1e-8 * self.largest, f"PyTorch's gradient of {name} is not rounding: {allowed:.2e}"
            assert error <= allowed, f"gradient of {name}: off by {error:.2e}, allowed {allowed:.2e}"

    def check_recompute(self, mesh, micro_batch):
        names = [f"grad:{n}" for n in self.gradients]
        stored = self.simulate(self.compile(mesh, micro_batch, "--optimizer=none", "--recompute=none"), names)
        self.check_first_step(*stored)
        for how in ("auto", "all"):
            again = self.simulate(self.compile(mesh, micro_batch, "--optimizer=none", f"--recompute={how}"), names)
            assert again[0] == stored[0] and all(same_bits(again[1][n], stored[1][n]) for n in names), f"--recompute={how} changed numbers"

    def check_quick(self, mesh, micro_batch):
        self.check_gradients(mesh, micro_batch, False)

    def check_gradients(self, mesh, micro_batch, thorough=True):
        image = self.compile(mesh, micro_batch, "--optimizer=none")
        again = image.read_bytes()
        if thorough:
            self.compile(mesh, micro_batch, "--optimizer=none")
            assert again == image.read_bytes(), "the same compilation twice gave different images"
        names = [f"grad:{n}" for n in self.gradients]
        losses, got = self.simulate(image, names)  # mode both: instruction and byte counts agree die by die, or it fails
        self.check_first_step(losses, got)
        if mesh != "host" and thorough:
            self.check_repeats(image, names, losses, got)

    def check_repeats(self, image, names, losses, got):
        seed = zlib.crc32(image.read_bytes())  # each program has jitters of its own
        for jitter, numbers_of_threads in (([], (1, 2, 4)), ([f"--jitter={seed % 1000 + 1}"], (1, 4)), ([f"--jitter={seed % 997 + 2}"], (3,))):
            reports = set()
            for threads in numbers_of_threads:
                report = self.work / "report.json"
                other = self.simulate(image, names, f"--threads={threads}", *jitter, "--report", report)
                assert other[0] == losses and all(same_bits(other[1][n], got[n]) for n in names), f"--threads={threads} {jitter} changed numbers"
                reports.add(json.dumps({k: v for k, v in json.loads(report.read_text()).items() if k != "simulator"}))
            assert len(reports) == 1, f"reports differ by the number of threads, {jitter}"

    def check_numbers(self, mesh, micro_batch):
        for check in (self.check_quick, self.check_sgd, self.check_adamw):
            check(mesh, micro_batch)

    def check_losses(self, losses, folder):
        want = load(self.dir / folder / "losses.pb")
        worst = np.abs(np.array(losses) / want - 1).max()
        assert len(losses) == len(want) and worst <= 1e-4, f"{folder} losses: off by {worst:.2e} relative"

    def check_sgd(self, mesh, micro_batch):
        image = self.compile(mesh, micro_batch, "--optimizer=sgd", "--lr=0.01")
        self.check_losses(self.simulate(image, [], "--steps=20", "--mode=functional")[0], "sgd")

    def check_adamw(self, mesh, micro_batch):
        image = self.compile(mesh, micro_batch, "--optimizer=adamw")
        settings = [a for s in ("lr=0.001", "beta1=0.9", "beta2=0.95", "eps=1e-8", "weight-decay=0.1") for a in ("--set", s)]
        losses, got = self.simulate(image, [f"param:{n}" for n in self.gradients], "--steps=20", "--mode=functional", *settings)
        self.check_losses(losses, "adamw")
        for name, gradient in self.gradients.items():
            want = load(self.dir / "adamw" / f"{name}.pb")
            counted = (np.abs(gradient) >= 1e-4 * np.abs(gradient).max()) & (np.abs(gradient) >= 1e-5 * self.largest)
            error = np.abs(got[f"param:{name}"] - want)[counted].max(initial=0)
            assert error <= 1e-4 * np.abs(want).max(), f"trained weight {name}: off by {error:.2e}, largest entry {np.abs(want).max():.2e}"


def main():
    binaries, shared, work, model, meshes, micro_batches, checks = sys.argv[1:8]
    Path(work).mkdir(parents=True, exist_ok=True)
    golden = Golden(binaries, shared, work, model, sys.argv[8:])
    turns = micro_batches.split(",")
    for turn, mesh in enumerate(meshes.split(","), zlib.crc32(model.encode())):  # models begin elsewhere
        for micro_batch in share(turns, len(turns), turn):
            for check in checks.split(","):
                try:
                    getattr(golden, f"check_{check}")(mesh, micro_batch)
                except AssertionError as error:
                    raise SystemExit(f"FAIL {model} {mesh} micro-batch {micro_batch} {check}: {error}")
                print(f"ok {model} {mesh} micro-batch {micro_batch} {check}")


if __name__ == "__main__":
    main()
