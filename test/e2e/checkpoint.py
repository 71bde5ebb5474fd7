#!/usr/bin/env python3
"""--checkpoint=2 keeps the input of a layer alone, and not that of its feed-forward part: what that saves of DRAM and costs in products, from the
sizes of a Llama alone; and that numbers stay those of --checkpoint=1, to the bit, and of native code.

With --recompute=all, backward of the feed-forward part makes the attention part again: its products (the context's, whose result the feed-forward part reads, among
them), from its weights, the causal mask and the tables of rotary positions [seq, head], which are read once more. The input of a layer is read where that of
the feed-forward part was; but the first layer shares its group with the embedding, and has the table and the tokens' numbers (8 bytes) instead.

usage: checkpoint.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import THOROUGH  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
F32 = 4


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def model(family, **sizes):
    run(BIN / "hecaton-model", family, *(f"--{k.replace('_', '-')}={v}" for k, v in sizes.items()), "--seed=1", "-o", WORK / "m.onnx")
    tokens = np.random.default_rng(1).integers(0, sizes["vocab"], (sizes["batch"], sizes["seq"] + 1), dtype=np.int64)
    np.save(WORK / "ids.npy", tokens[:, :-1])
    np.save(WORK / "labels.npy", tokens[:, 1:])


def step(*options, steps=1):
    said = run(BIN / "hecaton-compile", WORK / "m.onnx", "-o", WORK / "m.hct", *options)
    run(BIN / "hecaton-sim", WORK / "m.hct", f"--input=ids={WORK / 'ids.npy'}", f"--input=labels={WORK / 'labels.npy'}", f"--steps={steps}", "--report", WORK / "m.json")
    return json.loads((WORK / "m.json").read_text()), said


def check_sizes(side, batch, seq, hidden, heads, kv_heads, ffn, vocab, layers):
    model("tinyllama-1.1b", layers=layers, hidden=hidden, heads=heads, kv_heads=kv_heads, ffn=ffn, vocab=vocab, seq=seq, batch=batch)
    tokens, kv = batch * seq, hidden // heads * kv_heads
    options = (f"--mesh={side}x{side}", f"--micro-batch={batch // 4}", "--groups=blocks", "--recompute=all")
    (one, _), (two, said) = (step(*options, f"--checkpoint={n}") for n in (1, 2))
    weights = 2 * hidden * hidden + 2 * hidden * kv
    got = {
        "multiplications": (two["compute"]["macs"] - one["compute"]["macs"], layers * (tokens * weights + 2 * batch * seq * seq * hidden)),
        "DRAM bytes read": (two["traffic"]["dram_read_bytes"] - one["traffic"]["dram_read_bytes"], F32 * layers * (weights + side * hidden + side * side * (seq * seq + 2 * seq * hidden // heads)) + F32 * (vocab * hidden - tokens * hidden) + 8 * side * side * tokens),
        "DRAM bytes written": (two["traffic"]["dram_write_bytes"] - one["traffic"]["dram_write_bytes"], 0),
        "FLOPs of the model": (two["compute"]["model_flops"] - one["compute"]["model_flops"], 0),
        "compulsory bytes": (two["traffic"]["dram_compulsory_bytes"] - one["traffic"]["dram_compulsory_bytes"], 0),
    }
    for what, (counted, computed) in got.items():
        assert counted == computed, f"{side}x{side}, {layers} layers: {what} differ by {counted}, and should by {computed}"
    held = [r["dram"]["by_role"]["spill"] for r in (one, two)]
    assert held[0] - held[1] >= (layers - 2) * F32 * tokens * hidden, f"DRAM holds {held}"
    assert "--checkpoint=2: of every 2 fusion groups" in said, said


def check_numbers():
    model("tinyllama-1.1b", layers=3, hidden=64, heads=4, kv_heads=1, ffn=96, vocab=80, seq=16, batch=8)
    host, _ = step("--backend=host", steps=3)
    for options in (("--mesh=2x2", "--micro-batch=2"), ("--mesh=2x4", "--micro-batch=1", "--token-blocks=2", "--attention-blocks=2"), ("--mesh=1x3", "--micro-batch=3", "--units=layers", "--token-blocks=2", "--attention-blocks=2"), ("--mesh=2x2", "--micro-batch=2", "--groups=auto")):
        turn = (2, 7) if "2x4" in options[0] else (7, 2)  # each with each --recompute, once or twice
        for k, recompute in enumerate(("none", "auto", "all")):
            losses = [step("--groups=blocks", *options, f"--recompute={recompute}", f"--checkpoint={n}", steps=3)[0]["loss"] for n in ((1, 2, 7) if THOROUGH else (1, turn[k % 2]))]
            assert all(other == losses[0] for other in losses), f"{options}, --recompute={recompute}: losses {losses}"
            assert np.allclose(losses[0], host["loss"], rtol=1e-5, atol=0), f"{options}: losses {losses[0]}, of native code {host['loss']}"


check_sizes(1, 8, 16, 64, 4, 2, 96, 128, 4)
check_sizes(2, 8, 16, 64, 4, 2, 96, 128, 3)
check_numbers()
