#!/usr/bin/env python3
"""Bytes that the simulator counts for each collective equal the closed forms of the method, which are computed here from the
model's sizes alone.

For a linear layer [k, n] whose input is split [tokens over a, features over b] (a, b: numbers of dies along the two mesh axes):
    forward   all-gather X over a          (a-1)/ab T k      reduce-scatter Y over b   (b-1)/ab T n
    backward  all-gather dY over b         (b-1)/ab T n      reduce-scatter dX over a  (a-1)/ab T k
              all-gather X over a again    (a-1)/ab T k
Layers that read one input share its gathers and the reduce-scatter of its gradient. Embedding lookup is a reduce-scatter over rows,
its gradient an all-gather. Everything else (norm statistics, loss, gradients of gains and biases) is all-reduced.

usage: closed_forms.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

F32 = 4


def linear(total, axes, tokens, mesh, k, outputs):
    """Adds one group of linear layers that share an input of k features. axes: (token axis, feature axis) of the input."""
    (ta, fa), (a, b) = axes, (mesh[axes[0]], mesh[axes[1]])
    n = sum(outputs)
    total["all_gather", ta] += 2 * (a - 1) * tokens * k / (a * b)
    total["reduce_scatter", fa] += (b - 1) * tokens * n / (a * b)
    total["all_gather", fa] += (b - 1) * tokens * n / (a * b)
    total["reduce_scatter", ta] += (a - 1) * tokens * k / (a * b)


def expected(model, mesh, tokens, hidden, ffn, vocab, layers, kv_hidden):
    """Elements that one die receives in a step, by (kind, mesh axis)."""
    rc, cr = ("row", "col"), ("col", "row")
    total = defaultdict(float)
    r, c = mesh["row"], mesh["col"]
    total["reduce_scatter", "row"] += (r - 1) * tokens * hidden / (r * c)
    total["all_gather", "row"] += (r - 1) * tokens * hidden / (r * c)
    for _ in range(layers):
        linear(total, rc, tokens, mesh, hidden, [hidden, kv_hidden, kv_hidden])
        linear(total, cr, tokens, mesh, hidden, [hidden])
        linear(total, rc, tokens, mesh, hidden, [ffn, ffn] if model == "llama" else [ffn])
        linear(total, cr, tokens, mesh, ffn, [hidden])
    linear(total, rc, tokens, mesh, hidden, [vocab])
    return total


def counted(report, axis_sizes):
    """Sum over the report's rows; every die must have received the same."""
    total = defaultdict(float)
    for row in report["collectives"]:
        if row["kind"] == "all_reduce":
            continue
        low, high = row["received_bytes_per_die_min"], row["received_bytes_per_die_max"]
        assert low == high, f"dies received different amounts where sizes divide: {row}"
        total[row["kind"], row["axis"]] += low / F32
    return total


def check(bin_directory, work, name, mesh, micro_batch, sizes):
    batch, seq, hidden, heads, kv, ffn, vocab, layers = sizes
    model = "llama" if name.startswith("llama") else "gpt2"
    onnx, image, report = (work / f"{name}.{e}" for e in ("onnx", "hct", "json"))
    overrides = [f"--{k}={v}" for k, v in (("batch", batch), ("seq", seq), ("hidden", hidden), ("heads", heads), ("kv-heads", kv),
                                            ("ffn", ffn), ("vocab", vocab), ("layers", layers), ("seed", 1))]
    run = lambda *a: subprocess.run([str(x) for x in a], check=True, stdout=subprocess.DEVNULL)
    architecture = "tinyllama-1.1b" if model == "llama" else "gpt2"
    run(bin_directory / "hecaton-model", architecture, *overrides, "-o", onnx)
    run(bin_directory / "hecaton-compile", onnx, "--package=hecaton-4x4", f"--mesh={mesh['row']}x{mesh['col']}",
        f"--micro-batch={micro_batch}", "--optimizer=sgd", "-o", image)
    run(bin_directory / "hecaton-sim", image, "--mode=timing", "--report", report)
    got = json.loads(report.read_text())
    assert got["program"]["fallbacks"] == 0, got["program"]
    want = expected(model, mesh, batch * seq, hidden, ffn, vocab, layers, hidden * kv // heads)
    have = counted(got, mesh)
    for key in sorted(set(want) | set(have)):
        if want[key] != have[key]:
            print(f"FAIL {name} {mesh['row']}x{mesh['col']} micro-batch {micro_batch}: {key}: counted {have[key]:.1f} elements, closed form {want[key]:.1f}")
            return False
    print(f"ok {name} {mesh['row']}x{mesh['col']} micro-batch {micro_batch}: {sum(want.values()):.0f} elements a die")
    return True


def main():
    bin_directory, work = Path(sys.argv[1]), Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    #        batch seq hidden heads kv ffn vocab layers
    gpt2, llama = (8, 8, 48, 12, 12, 192, 96, 2), (8, 8, 48, 12, 12, 96, 96, 2)
    good = True
    for rows, cols, micro_batch in ((1, 1, 8), (2, 2, 8), (2, 2, 4), (4, 2, 4), (2, 4, 8), (4, 4, 4), (1, 4, 4), (4, 1, 8)):
        for name, sizes in (("gpt2", gpt2), ("llama", llama)):
            good &= check(bin_directory, work, name, {"row": rows, "col": cols}, micro_batch, sizes)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
