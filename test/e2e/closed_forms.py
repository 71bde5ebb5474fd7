#!/usr/bin/env python3
"""Bytes that the simulator counts for each collective equal the closed forms of the method, which are computed here from the
model's sizes alone.

For a linear layer [k, n] whose input is split [tokens over a, features over b] (a, b: numbers of dies along the two mesh axes):
    forward   all-gather X over a          (a-1)/ab T k      reduce-scatter Y over b   (b-1)/ab T n
    backward  all-gather dY over b         (b-1)/ab T n      reduce-scatter dX over a  (a-1)/ab T k
              all-gather X over a again    (a-1)/ab T k
Layers that read one input share its gathers and the reduce-scatter of its gradient. Embedding lookup is a reduce-scatter over rows,
its gradient an all-gather. Everything else (norm statistics, loss, gradients of gains and biases) is all-reduced.

Megatron, N dies as one axis: an all-reduce of the activations, 2(N-1)/N T hidden, after each second linear layer, of the gradient before each
first one, of the embedding and of the gradient at the head; with split sequences an all-gather and a reduce-scatter, (N-1)/N T hidden each, in
its place, and the inputs of first layers and the head gathered once more for the gradients of their weights.

Optimus, [k, n]: forward X over columns (C-1)/RC T k and W over rows (R-1)/RC k n are gathered; backward W and X again, and dX over columns
and dW over rows are reduce-scattered. Weights move once a batch, whatever the micro-batch.

Fewer kv heads than the mesh has parts of heads: the least m that makes them divide, and copies of k's and v's weights [k, kv], m of each head. The
projections have m kv outputs; each weight is gathered twice (forward, backward) over the axes that split heads, and its gradient scattered once.

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


def megatron(mesh, tokens, hidden, layers, strategy):
    n, total = mesh["row"] * mesh["col"], defaultdict(float)
    part = (n - 1) * tokens * hidden / n
    if strategy == "megatron-sequence":
        total["all_gather", "flat"] = (6 * layers + 3) * part
        total["reduce_scatter", "flat"] = (4 * layers + 2) * part
    else:
        total["all_reduce", "torus" if strategy == "megatron-torus" else "flat"] = (4 * layers + 2) * 2 * part
    return total


def summa(total, mesh, tokens, k, outputs):
    r, c = mesh["row"], mesh["col"]
    x, w = (c - 1) * tokens * k / (r * c), (r - 1) * k * sum(outputs) / (r * c)
    total["all_gather", "col"] += 2 * x
    total["reduce_scatter", "col"] += x
    total["all_gather", "row"] += 2 * w
    total["reduce_scatter", "row"] += w


def optimus(model, mesh, tokens, hidden, ffn, vocab, layers, kv_hidden):
    total = defaultdict(float)
    embedding = (mesh["row"] - 1) * tokens * hidden / (mesh["row"] * mesh["col"])
    total["reduce_scatter", "row"] += embedding
    total["all_gather", "row"] += embedding
    for _ in range(layers):
        for k, outputs in ((hidden, [hidden, kv_hidden, kv_hidden]), (hidden, [hidden]), (hidden, [ffn, ffn] if model == "llama" else [ffn]), (ffn, [hidden])):
            summa(total, mesh, tokens, k, outputs)
    summa(total, mesh, tokens, hidden, [vocab])
    return total


def copies(strategy, mesh, heads, kv):
    """Copies of each kv head."""
    parts = {"hecaton": mesh["row"], "optimus": mesh["col"]}.get(strategy, mesh["row"] * mesh["col"])
    return next(m for m in range(1, heads // kv + 1) if heads // kv % m == 0 and kv * m % parts == 0)


def copied_weights(total, strategy, mesh, weight, times):
    """Weights of k and v, `weight` elements each, copied `times` times, in one layer."""
    r, c = mesh["row"], mesh["col"]
    if times == 1:
        return
    if strategy in ("hecaton", "optimus"):
        axis = "row" if strategy == "hecaton" else "col"
        part = (mesh[axis] - 1) * weight / (r * c)
        total["all_gather", axis] += 2 * 2 * part
        total["reduce_scatter", axis] += 2 * part
    else:
        total["all_gather", "flat"] += 2 * 2 * (r * c - 1) * weight / (r * c)
        total["reduce_scatter", "row"] += 2 * (r - 1) * weight / r
        total["reduce_scatter", "col"] += 2 * (c - 1) * weight / (r * c)


def expected(strategy, model, mesh, tokens, hidden, ffn, vocab, layers, kv_hidden, times):
    """Elements that one die receives in a step, by (kind, mesh axis)."""
    total = bare(strategy, model, mesh, tokens, hidden, ffn, vocab, layers, kv_hidden * times)
    for _ in range(layers):
        copied_weights(total, strategy, mesh, hidden * kv_hidden, times)
    return total


def bare(strategy, model, mesh, tokens, hidden, ffn, vocab, layers, kv_hidden):
    """The same without exchanges of weights for their copies."""
    if strategy.startswith("megatron"):
        return megatron(mesh, tokens, hidden, layers, strategy)
    if strategy == "optimus":
        return optimus(model, mesh, tokens, hidden, ffn, vocab, layers, kv_hidden)
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
        if row["kind"] == "restore":
            continue  # stored activations, gathered again: the schedule's doing
        if row["kind"] == "all_reduce" and row["axis"] not in ("flat", "torus"):
            continue
        if row["layer"] == "position" and row["axis"] != "flat" and report["program"]["strategy"] == "megatron-sequence":
            continue  # the gradient of the position embedding, a sum over tokens
        low, high = row["received_bytes_per_die_min"], row["received_bytes_per_die_max"]
        assert low == high, f"dies received different amounts where sizes divide: {row}"
        total[row["kind"], row["axis"]] += low / F32
    return total


def check(bin_directory, work, name, mesh, micro_batch, sizes, strategy):
    batch, seq, hidden, heads, kv, ffn, vocab, layers = sizes
    model = "llama" if name.startswith("llama") else "gpt2"
    onnx, image, report = (work / f"{name}.{e}" for e in ("onnx", "hct", "json"))
    overrides = [f"--{k}={v}" for k, v in (("batch", batch), ("seq", seq), ("hidden", hidden), ("heads", heads), ("kv-heads", kv),
                                            ("ffn", ffn), ("vocab", vocab), ("layers", layers), ("seed", 1))]
    run = lambda *a: subprocess.run([str(x) for x in a], check=True, stdout=subprocess.DEVNULL)
    architecture = "tinyllama-1.1b" if model == "llama" else "gpt2"
    run(bin_directory / "hecaton-model", architecture, *overrides, "-o", onnx)
    run(bin_directory / "hecaton-compile", onnx, "--package=hecaton-4x4", f"--mesh={mesh['row']}x{mesh['col']}",
        f"--micro-batch={micro_batch}", "--optimizer=sgd", f"--strategy={strategy}", "--recompute=none", "-o", image)
    run(bin_directory / "hecaton-sim", image, "--mode=timing", "--report", report)
    got = json.loads(report.read_text())
    assert got["program"]["fallbacks"] == 0, got["program"]
    traffic, program = got["traffic"], got["program"]  # SGD: each weight in and out, ids and labels (int64) in, loss out, step counter in and out
    assert traffic["dram_compulsory_bytes"] == 2 * F32 * program["parameters"] + 2 * 8 * program["tokens_per_step"] + 3 * F32, traffic
    assert traffic["dram_read_bytes"] + traffic["dram_write_bytes"] >= traffic["dram_relaxed_bytes"] >= traffic["dram_compulsory_bytes"], traffic
    if strategy in ("megatron-ring", "megatron-torus"):  # one after each second layer, one before each first one, embedding, head; in each micro-batch
        count = sum(row["count"] for row in got["collectives"] if row["kind"] == "all_reduce" and row["axis"] in ("flat", "torus"))
        assert count == (4 * layers + 2) * (batch // micro_batch), f"{count} all-reduces over all dies"
    want = expected(strategy, model, mesh, batch * seq, hidden, ffn, vocab, layers, hidden * kv // heads, copies(strategy, mesh, heads, kv))
    have = counted(got, mesh)
    for key in sorted(set(want) | set(have)):
        if want[key] != have[key]:
            print(f"FAIL {strategy} {name} {mesh['row']}x{mesh['col']} micro-batch {micro_batch}: {key}: counted {have[key]:.1f} elements, closed form {want[key]:.1f}")
            return False
    print(f"ok {strategy} {name} {mesh['row']}x{mesh['col']} micro-batch {micro_batch}: {sum(want.values()):.0f} elements a die")
    return True


def main():
    bin_directory, work = Path(sys.argv[1]), Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    #        batch seq hidden heads kv ffn vocab layers
    gpt2, llama = (8, 8, 48, 12, 12, 192, 96, 2), (8, 8, 48, 12, 12, 96, 96, 2)
    good = True
    for rows, cols, micro_batch in ((1, 1, 8), (2, 2, 8), (2, 2, 4), (4, 2, 4), (2, 4, 8), (4, 4, 4), (1, 4, 4), (4, 1, 8)):
        for name, sizes in (("gpt2", gpt2), ("llama", llama)):
            good &= check(bin_directory, work, name, {"row": rows, "col": cols}, micro_batch, sizes, "hecaton")
    gpt2, llama = (16, 8, 64, 16, 16, 256, 96, 2), (16, 8, 64, 16, 16, 128, 96, 2)  # heads and samples that all dies divide
    for strategy in ("megatron-ring", "megatron-torus", "megatron-sequence", "optimus"):
        for rows, cols, micro_batch in ((2, 2, 16), (2, 2, 4), (4, 2, 16), (2, 4, 8), (4, 4, 16)):
            for name, sizes in (("gpt2", gpt2), ("llama", llama)):
                good &= check(bin_directory, work, name, {"row": rows, "col": cols}, micro_batch, sizes, strategy)
    for strategy in ("megatron-ring", "megatron-torus"):  # attention that costs as much as exchanges do: whole heads on each die still move nothing
        good &= check(bin_directory, work, "llama", {"row": 4, "col": 4}, 16, (16, 128, 64, 16, 16, 128, 96, 1), strategy)
    for kv, meshes in ((2, ((4, 2, 8), (4, 4, 16), (2, 4, 16))), (1, ((2, 2, 4), (2, 4, 16), (4, 4, 16)))):  # kv heads fewer than dies
        for rows, cols, micro_batch in meshes:
            for strategy in ("hecaton", "megatron-ring", "megatron-torus", "megatron-sequence", "optimus"):
                good &= check(bin_directory, work, "llama", {"row": rows, "col": cols}, micro_batch, (16, 8, 256, 16, kv, 128, 96, 2), strategy)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
