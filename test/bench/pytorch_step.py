#!/usr/bin/env python3
"""A training step of a GPT-2 on the functional simulator beside PyTorch's, on the same number of threads, in one run.

usage: pytorch_step.py BIN_DIRECTORY [--layers=4] [--hidden=768] [--heads=12] [--vocab=50257] [--batch=4] [--seq=256] [--mesh=2x2] [--threads=1]
       [--rounds=3]

Rounds alternate, so that other work on the machine meets both; a step of the simulator is (a run of 3 steps - a run of 1) / 2, without start-up and
loading; of PyTorch it is the least of 3. Both have the same model, parameter for parameter. Prints seconds a step, of the clock, of processor time and of that
in user mode alone, and their ratios. Where other work runs beside, the clock's is not to be read; processor time is what the clock shows where none does.
Needs Debian's python3-torch; without it, says so and measures the simulator alone.
"""
import argparse
import json
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np


def seconds(who):
    used = resource.getrusage(who)
    return np.array([time.monotonic(), used.ru_utime + used.ru_stime, used.ru_utime])


def timed(work, who):
    """Seconds of the clock, of processor time and of user mode that `work` takes of `who`."""
    start = seconds(who)
    work()
    return seconds(who) - start


def simulator_step(options, image, inputs):
    def run(steps):
        command = [options.bin / "hecaton-sim", image, "--mode=functional", f"--steps={steps}", f"--threads={options.threads}", *inputs]
        return timed(lambda: subprocess.run(command, check=True, capture_output=True), resource.RUSAGE_CHILDREN)
    return (run(3) - run(1)) / 2


def pytorch_model(options, parameters):
    """The step as a function: GPT-2 with pre-norm blocks, tanh GELU, a head of its own as hecaton-model has it, mean cross-entropy, AdamW."""
    import torch
    from torch import nn
    torch.set_num_threads(options.threads)
    hidden, heads = options.hidden, options.heads

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
            self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
            self.up, self.down, self.act = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden), nn.GELU(approximate="tanh")

        def forward(self, x, mask):
            b, s, _ = x.shape
            q, k, v = (t.view(b, s, heads, hidden // heads).transpose(1, 2) for t in self.qkv(self.first(x)).split(hidden, dim=2))
            weights = torch.softmax(q @ k.transpose(2, 3) * (hidden // heads) ** -0.5 + mask, dim=3)
            x = x + self.out((weights @ v).transpose(1, 2).reshape(b, s, hidden))
            return x + self.down(self.act(self.up(self.second(x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions, self.last = nn.Embedding(options.vocab, hidden), nn.Embedding(options.seq, hidden), nn.LayerNorm(hidden)
            self.blocks, self.head = nn.ModuleList(Block() for _ in range(options.layers)), nn.Linear(hidden, options.vocab, bias=False)

        def forward(self, ids, mask):
            x = self.tokens(ids) + self.positions.weight
            for block in self.blocks:
                x = block(x, mask)
            return self.head(self.last(x))

    model = Model()
    assert sum(p.numel() for p in model.parameters()) == parameters
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(options.vocab, (options.batch, options.seq))
    mask = torch.full((options.seq, options.seq), float("-inf")).triu(1)

    def step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(ids, mask).view(-1, options.vocab), ids.view(-1)).backward()
        optimizer.step()
    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=Path)
    for name, value in (("layers", 4), ("hidden", 768), ("heads", 12), ("vocab", 50257), ("batch", 4), ("seq", 256), ("threads", 1), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--mesh", default="2x2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        model, image, report = Path(work) / "m.onnx", Path(work) / "m.hct", Path(work) / "m.json"
        sizes = [f"--{n}={getattr(options, n)}" for n in ("layers", "hidden", "heads", "vocab", "batch", "seq")]
        subprocess.run([options.bin / "hecaton-model", "gpt2", *sizes, "-o", model], check=True)
        subprocess.run([options.bin / "hecaton-compile", model, f"--mesh={options.mesh}", "-o", image, "--report", report], check=True, capture_output=True)
        inputs = []
        for name in ("ids", "labels"):
            np.save(Path(work) / f"{name}.npy", np.random.default_rng(0).integers(0, options.vocab, (options.batch, options.seq)))
            inputs += ["--input", f"{name}={work}/{name}.npy"]
        try:
            step = pytorch_model(options, json.loads(report.read_text())["program"]["parameters"])
            step()  # warm-up
        except ImportError:
            step = None
            print("python3-torch is not installed: the simulator alone")
        for _ in range(options.rounds):
            ours = simulator_step(options, image, inputs)
            theirs = np.min([timed(step, resource.RUSAGE_SELF) for _ in range(3)], axis=0) if step else np.full(3, np.nan)
            print(f"simulator {ours[0]:.3f} s, PyTorch {theirs[0]:.3f} s a step, {options.threads} threads: {ours[0] / theirs[0]:.2f}; "
                  f"processor time {ours[1]:.3f} s and {theirs[1]:.3f} s: {ours[1] / theirs[1]:.2f}; user mode {ours[2]:.3f} s and {theirs[2]:.3f} s: {ours[2] / theirs[2]:.2f}", flush=True)


if __name__ == "__main__":
    main()
