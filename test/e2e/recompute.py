#!/usr/bin/env python3
"""What --recompute=all saves of DRAM, and costs in products, computed from the sizes of a Llama alone; and that auto takes the shorter step.

Backward of one layer needs, besides the layer's and the feed-forward part's inputs, which are stored in any case:
    attention     rms [T], x / rms, its product with the gain [T, hidden]; q [T, hidden], k, v [T, kv]; probabilities [batch, heads, seq, seq];
                  context [T, hidden]
    feed-forward  rms, x / rms, the product; gate, sigmoid, silu, up and silu x up [T, ffn]
and, once, the embedding [T, hidden]; of the head rms, x / rms, the product; exponentials [T, vocab], their sum and the labels' mask [T].
Stored, each of these is written once and read once. Computed again, the causal mask [seq, seq] is read by each layer's backward, and all
products are made again but those whose result only the residual stream takes: the context's and the last one of the feed-forward part.
On R x R dies what has no features, [T], lies on R dies each, and masks, which come from inputs and constants alone, on all.

All with each group's forward and backward a stage of its own (--groups=blocks): within a stage nothing is stored.

usage: recompute.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
F32 = 4


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def model(family, **sizes):
    run(BIN / "hecaton-model", family, *(f"--{k.replace('_', '-')}={v}" for k, v in sizes.items()), "--seed=1", "-o", WORK / "m.onnx")


def report(*options):
    said = run(BIN / "hecaton-compile", WORK / "m.onnx", "-o", WORK / "m.hct", "--groups=blocks", *options)
    run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=timing", "--report", WORK / "m.json")
    return json.loads((WORK / "m.json").read_text()), said


def check_sizes(side, batch, seq, hidden, heads, kv_heads, ffn, vocab, layers):
    model("tinyllama-1.1b", layers=layers, hidden=hidden, heads=heads, kv_heads=kv_heads, ffn=ffn, vocab=vocab, seq=seq, batch=batch)
    tokens, kv = batch * seq, hidden // heads * kv_heads
    statistic = side * tokens
    norm = 2 * tokens * hidden + statistic
    attention = norm + 2 * tokens * hidden + 2 * tokens * kv + batch * heads * seq * seq
    feed_forward = norm + 5 * tokens * ffn
    stored = layers * (attention + feed_forward) + tokens * hidden + norm + tokens * vocab + statistic + side * side * tokens
    products = layers * (tokens * hidden * (hidden + 2 * kv) + 2 * batch * seq * seq * hidden + 2 * tokens * hidden * ffn) + tokens * hidden * vocab
    none, _ = report(f"--mesh={side}x{side}", f"--micro-batch={batch // 2}", "--recompute=none")
    again, _ = report(f"--mesh={side}x{side}", f"--micro-batch={batch // 2}", "--recompute=all")
    got = {
        "DRAM bytes written": (none["traffic"]["dram_write_bytes"] - again["traffic"]["dram_write_bytes"], F32 * stored),
        "DRAM bytes read": (none["traffic"]["dram_read_bytes"] - again["traffic"]["dram_read_bytes"], F32 * (stored - layers * side * side * seq * seq)),
        "multiplications": (again["compute"]["macs"] - none["compute"]["macs"], products),
        "FLOPs of the model": (again["compute"]["model_flops"] - none["compute"]["model_flops"], 0),
        "compulsory bytes": (again["traffic"]["dram_compulsory_bytes"] - none["traffic"]["dram_compulsory_bytes"], 0),
    }
    for what, (counted, computed) in got.items():
        assert counted == computed, f"{side}x{side}, {layers} layers: {what} differ by {counted}, and should by {computed}"
    assert none["program"]["recompute"] == "none" and again["program"]["recompute"] == "all"


def check_frozen():
    """A table that is only looked up: its rows are compulsory once, and not once more where the lookup is made again."""
    model("tinyllama-1.1b", layers=1, hidden=32, heads=4, kv_heads=4, ffn=32, vocab=1000, seq=8, batch=4)
    none, again = (report("--mesh=1x1", "--micro-batch=2", "--frozen=embed.weight", f"--recompute={how}")[0]["traffic"]["dram_compulsory_bytes"] for how in ("none", "all"))
    assert none == again, f"compulsory bytes {none}, computed again {again}"


def check_choice():
    model("gpt2", layers=2, hidden=64, heads=4, vocab=96, seq=32, batch=8)
    none, auto = (report("--micro-batch=4", f"--recompute={how}")[0] for how in ("none", "auto"))
    assert auto["time"]["step_s"] < none["time"]["step_s"], "auto is no faster than none"
    assert auto["program"]["recompute"] == "auto"


check_sizes(1, 8, 16, 64, 4, 2, 96, 128, 1)
check_sizes(2, 8, 16, 64, 4, 2, 96, 128, 2)
check_sizes(2, 16, 8, 32, 8, 8, 64, 48, 3)
check_frozen()
check_choice()
