#!/usr/bin/env python3
"""Models of random small sizes, on random meshes, under random strategies, micro-batches, stages of fusion groups and recomputation: three training steps give the
losses of the host oracle. Sizes are chosen to fit nothing: fewer classes, heads, samples and tokens than dies, odd ones, one of each.

usage: differential.py BIN_DIRECTORY WORK_DIRECTORY SEED MODELS
"""
import random
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
random.seed(int(sys.argv[3]))
numbers = np.random.default_rng(int(sys.argv[3]))
stages = random.Random(int(sys.argv[3]))
failures = 0


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=120)


def compile_model(layers, *options):
    """Steps of deep models are small: large ones make of rounding what is no rounding any more."""
    return run(BIN / "hecaton-compile", WORK / "m.onnx", "--optimizer=sgd", f"--lr={0.1 if layers < 3 else 0.01}", *options)


def losses(program):
    done = run(BIN / "hecaton-sim", program, "--mode=functional", "--steps=3", "--input", f"ids={WORK}/ids.npy", "--input", f"labels={WORK}/labels.npy")
    return [float(line.split()[-1]) for line in done.stdout.splitlines() if line.startswith("step ") and " loss " in line], done.stderr


def draw(n):
    family, heads = random.choice(("gpt2", "tinyllama-1.1b")), random.randint(1, 5)
    kv = heads if family == "gpt2" else random.choice([h for h in range(1, heads + 1) if heads % h == 0])
    sizes = {"batch": random.choice((1, 2, 3, 5)), "seq": random.choice((1, 2, 3, 7, 8)), "vocab": random.choice((2, 7, 16, 33)), "layers": random.choice((1, 2, 2, 7, 12)),
             "hidden": heads * random.choice((2, 4, 6)), "heads": heads, "kv-heads": kv, "ffn": random.choice((3, 8, 17)), "seed": n}
    return family, sizes, [(random.choice(("hecaton", "megatron-ring", "megatron-torus", "megatron-sequence", "optimus")), f"{random.randint(1, 5)}x{random.randint(1, 5)}",
                            random.randint(1, sizes["batch"])) for _ in range(4)]


SCHEDULES = {"recompute": ("none", "auto", "all"), "overlap": ("ring", "none"), "schedule": ("fused", "fused", "layerwise"), "token-blocks": (1, 2, 4), "update-chunk": (65536, 7)}
# Found by longer runs: a sum that was split over the axis it is partial over.
FOUND = [("tinyllama-1.1b", {"batch": 5, "seq": 7, "vocab": 7, "layers": 2, "hidden": 16, "heads": 4, "kv-heads": 2, "ffn": 3, "seed": 24}, [("optimus", "2x4", 3)])]

for family, sizes, runs in FOUND + [draw(n) for n in range(int(sys.argv[4]))]:
    options = [f"--{k}={v}" for k, v in sizes.items()]
    done = run(BIN / "hecaton-model", family, *options, "-o", WORK / "m.onnx")
    assert done.returncode == 0, done.stderr
    for name in ("ids", "labels"):
        np.save(WORK / f"{name}.npy", numbers.integers(0, sizes["vocab"], (sizes["batch"], sizes["seq"])).astype(np.int64))
    done = compile_model(sizes["layers"], "--backend=host", "-o", WORK / "host.so")
    assert done.returncode == 0, done.stderr
    want = losses(WORK / "host.so")[0]
    for strategy, mesh, micro_batch in runs:
        how = [f"--strategy={strategy}", f"--mesh={mesh}", f"--micro-batch={micro_batch}", f"--orientation={random.choice(('columns', 'rows'))}"]
        how += [f"--{name}={random.choice(values)}" for name, values in SCHEDULES.items()]
        how += [f"--attention-blocks={random.choice(('auto', 2 - sizes['seq'] % 2))}"]
        cuts = ",".join(["0"] + [str(unit) for unit in range(1, 6) if stages.random() < 0.5])  # two groups a layer, and the head's: at least six units
        how += [f"--groups={stages.choice(('auto', 'blocks', cuts, cuts))}", f"--units={stages.choice(('auto', 'blocks', 'layers'))}"]
        done = compile_model(sizes["layers"], *how, "-o", WORK / "p.hct")
        got, text = losses(WORK / "p.hct") if done.returncode == 0 else ([], done.stderr)
        if len(got) != 3 or len(want) != 3 or any(abs(a - b) > 1e-4 * max(abs(b), 1e-3) for a, b in zip(got, want)):
            failures += 1
            print("FAIL", family, *options, *how, got, want, text[-400:])
print(f"{failures} failures")
sys.exit(1 if failures else 0)
