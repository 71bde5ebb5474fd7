#!/usr/bin/env python3
"""Property 1 of the method (loss and gradients equal PyTorch's) for option settings of which every two values of any two options occur together.

The settings are a covering array, made greedily: each new one takes, option by option, the value that covers most pairs that no earlier one
has. Models take turns. Every pair's presence is checked before anything runs.

usage: pairwise.py BIN_DIRECTORY SHARED_DIRECTORY WORK_DIRECTORY
"""
import itertools
import random
import subprocess
import sys
from pathlib import Path

GOLDENS = Path(__file__).with_name("goldens.py")
MODELS = ("llama", "gpt2", "gpt2_tied", "llama_symbolic")
OPTIONS = {
    "mesh": ("1x1", "2x2", "2x3", "1x4", "4x1", "3x3"),
    "strategy": ("hecaton", "megatron-ring", "megatron-torus", "megatron-sequence", "optimus"),
    "micro-batch": ("1", "2", "3", "4"),
    "schedule": ("fused", "layerwise"),
    "objective": ("time", "dram", "energy"),
    "overlap": ("ring", "none"),
    "recompute": ("none", "auto", "all"),
    "orientation": ("columns", "rows"),
    "token-blocks": ("1", "2"),
    "attention-blocks": ("auto", "2"),
    "key-blocks": ("auto", "2", "4"),
    "groups": ("auto", "blocks"),
}


def pairs_of(setting):
    return {((a, setting[a]), (b, setting[b])) for a, b in itertools.combinations(OPTIONS, 2) if a in setting and b in setting}


def covering_array(seed):
    rng = random.Random(seed)
    names = list(OPTIONS)
    wanted = {((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in OPTIONS[a] for y in OPTIONS[b]}
    missing, settings = set(wanted), []
    while missing:
        best = None
        for _ in range(20):
            (a, x), (b, y) = rng.choice(sorted(missing))
            setting = {a: x, b: y}
            for name in rng.sample(names, len(names)):
                if name not in setting:
                    values = rng.sample(OPTIONS[name], len(OPTIONS[name]))
                    setting[name] = max(values, key=lambda v: len(pairs_of({**setting, name: v}) & missing))
            covered = pairs_of(setting) & missing
            if best is None or len(covered) > len(best[1]):
                best = setting, covered
        settings.append(best[0])
        missing -= best[1]
    assert set().union(*map(pairs_of, settings)) == wanted
    return settings


settings, failures = covering_array(1), 0
for number, setting in enumerate(settings):
    model = MODELS[number % len(MODELS)]
    options = [f"--{name}={value}" for name, value in setting.items() if name not in ("mesh", "micro-batch")]
    done = subprocess.run([sys.executable, GOLDENS, sys.argv[1], sys.argv[2], sys.argv[3], model, setting["mesh"], setting["micro-batch"], "quick", *options], capture_output=True, text=True)
    if done.returncode or "ok" not in done.stdout:
        failures += 1
        print("FAIL", model, setting, done.stdout[-300:], done.stderr[-600:])
print(f"{len(settings)} settings hold every pair of values; {failures} failures")
sys.exit(1 if failures else 0)
