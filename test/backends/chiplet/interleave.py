#!/usr/bin/env python3
"""--overlap=ring against --overlap=none: the same gradients bit for bit, the same bytes, a shorter step, less exposed NoP time.

Micro-batches that the number at once does not divide, a smaller last one, all strategies; with as little SRAM as one alone needs, none more
is taken; --jitter changes no number.

usage: interleave.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
NAMES = ("embed.weight", "layers.0.attn.qkv.weight", "layers.1.mlp.fc.bias", "head.weight")


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"
    return done.stdout


def simulate(options, *sim):
    run(BIN / "hecaton-compile", WORK / "m.onnx", "--optimizer=none", "--recompute=none", *options, "-o", WORK / "m.hct")
    outputs = [f"--output=grad:{name}={WORK}/{i}.npy" for i, name in enumerate(NAMES)]
    run(BIN / "hecaton-sim", WORK / "m.hct", f"--input=ids={WORK}/ids.npy", f"--input=labels={WORK}/labels.npy", "--report", WORK / "r.json", *outputs, *sim)
    report = json.loads((WORK / "r.json").read_text())
    return [np.load(WORK / f"{i}.npy").tobytes() for i in range(len(NAMES))], report


batch, seq, vocab = 22, 16, 64
run(BIN / "hecaton-model", "gpt2", "--layers=2", "--hidden=64", "--heads=4", f"--vocab={vocab}", f"--seq={seq}", f"--batch={batch}", "--seed=3", "-o", WORK / "m.onnx")
tokens = np.random.default_rng(1).integers(0, vocab, (batch, seq + 1))
np.save(WORK / "ids.npy", tokens[:, :-1].astype(np.int64))
np.save(WORK / "labels.npy", tokens[:, 1:].astype(np.int64))
numbers = {}
for strategy, mesh, micro_batch in (("hecaton", "4x4", 2), ("hecaton", "2x3", 3), ("megatron-ring", "2x2", 2), ("megatron-torus", "2x2", 2), ("megatron-sequence", "2x2", 3), ("optimus", "2x2", 4)):
    options = [f"--strategy={strategy}", f"--mesh={mesh}", f"--micro-batch={micro_batch}"]
    one, none = simulate([*options, "--overlap=none"])
    several, ring = simulate([*options, "--overlap=ring"])
    assert one == several, f"{options}: gradients differ"
    assert none["collectives"] == ring["collectives"] and none["traffic"] == ring["traffic"] and none["compute"]["macs"] == ring["compute"]["macs"], f"{options}: traffic differs"
    assert ring["program"]["micro_batches_at_once"] > 1 and none["program"]["micro_batches_at_once"] == 1, options
    assert ring["time"]["step_s"] < 0.97 * none["time"]["step_s"] and ring["time"]["exposed_nop_s"] < 0.9 * none["time"]["exposed_nop_s"], f"{options}: {none['time']} {ring['time']}"
    assert simulate([*options, "--overlap=ring"], "--jitter=7")[0] == one, f"{options}: --jitter changes gradients"
    print(f"{strategy} {mesh}: {ring['program']['micro_batches_at_once']} at once, step {ring['time']['step_s'] / none['time']['step_s']:.3f}, exposed NoP {ring['time']['exposed_nop_s'] / none['time']['exposed_nop_s']:.3f}")

# SRAM for one micro-batch and a little: the same program as without overlap, or one at once.
package = (BIN / "../share/hecaton/packages/hecaton-2x2.xml").read_text()
needed = none["sram"]["peak_bytes"]
(WORK / "tight.xml").write_text(re.sub(r'sram bytes="\d+"', f'sram bytes="{needed}"', package))
tight, report = simulate([f"--package={WORK}/tight.xml", "--strategy=optimus", "--micro-batch=4"])
assert tight == one and report["program"]["micro_batches_at_once"] <= 2 and report["sram"]["peak_bytes"] <= needed
print("ok")
