#!/usr/bin/env python3
"""Weak scaling by strategy: hidden size times 2 on 4 times the dies, at constant tokens, on the timing simulator.

One row a strategy and size:
    mxu     time that a die's MXU is busy, mean over dies
    nop     time that a die's collectives take on their links, one after another, without latency: bytes received over link bandwidth; a flat ring and
            a torus send half each way at once
    link    time that the busiest link is busy: its collectives, and DRAM traffic of dies further in that crosses it
    dram    time that the busiest DRAM channel is busy
    step    time of the step
    mxu/nop, mxu/link   raw, and with what rings of this size leave out taken out: a ring of a dies carries (a-1)/a of the whole, a = side of the
            mesh for hecaton and optimus, all dies for megatron. It tends to 1 as dies are added, and would look like a loss of its own.
    kept    the second mxu/nop over that of the strategy's first row
    linears the same of the MACs and bytes of the linear layers of the blocks alone, which is what the method promises: 1 where weak scaling holds

The MXU's time is that of the whole step: attention, and the head, whose vocabulary does not grow, fall as 1/s a die, and so does `kept` by their share of
the first row. DRAM channels sit at the edges: s times as many for s^2 dies, so `dram` and the DRAM part of `link` grow with s; no strategy changes that.
With --full, real models: their FFN and key heads do not scale exactly with hidden size, nor do `kept` and `linears` then tell more than the models do.

usage: weak_scaling.py BIN_DIRECTORY [options]
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2] / "tools/packages"
STRATEGIES = "hecaton,megatron-ring,megatron-torus,optimus"
REAL = (("tinyllama-1.1b", 4), ("llama2-7b", 8), ("llama2-70b", 16), ("llama3.1-405b", 32))  # hidden 2048, 4096, 8192, 16384
COLUMNS = "{:<15} {:<15} {:>6} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9} {:>6} {:>8} {:>9} {:>7}"
HEADER = ("model", "strategy", "mesh", "micro", "mxu ms", "nop ms", "link ms", "dram ms", "step ms", "mxu/nop", "(a-1)/a", "mxu/link", "(a-1)/a", "kept", "linears", "fallbacks", "wall s")


class Refused(Exception):
    pass


def run(options, *command):
    """Runs a tool; raises Refused with the tool's own first error."""
    name = Path(command[0]).name
    try:
        done = subprocess.run([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=options.timeout)
    except subprocess.TimeoutExpired:
        raise Refused(f"{name} took over {options.timeout} s") from None
    if done.returncode:
        lines = done.stderr.splitlines()
        raise Refused(f"{name} refused: " + next((line for line in lines if "error" in line), lines[-1] if lines else f"status {done.returncode}"))


def cases(options):
    """(label, arguments of hecaton-model, side of the mesh), sizes ascending."""
    tokens = [f"--seq={options.seq}", f"--batch={options.batch}", "--seed=1"]
    layers = [f"--layers={options.layers}"] if options.layers else []
    if options.full:
        vocabulary = [f"--vocab={options.vocab}"] if options.vocab else []
        return [(name, [name, "--no-weights", *layers, *vocabulary, *tokens], side) for name, side in REAL if side <= options.largest]
    made, s = [], 1
    while 2 * s <= options.largest:
        hidden = options.hidden * s
        sizes = {"hidden": hidden, "heads": hidden // options.head_width, "kv-heads": hidden // options.head_width, "ffn": hidden * 11 // 4, "vocab": options.vocab}
        made.append((f"hidden {hidden}", ["tinyllama-1.1b", *(f"--{k}={v}" for k, v in sizes.items()), *layers, *tokens], 2 * s))
        s *= 2
    return made


def nop_time(report, bandwidth):
    """Seconds; by the report's axes: a row's or a column's ring goes one way round, flat ring and torus both ways with half of the data each."""
    ways = {"row": 1, "col": 1, "flat": 2, "torus": 2}
    return sum(row["received_bytes_per_die_max"] / ways[row["axis"]] for row in report["collectives"]) / bandwidth


def linears_ratio(report):
    """MACs over bytes received, of an average die, in the linear layers of the blocks; activations stored in parts and gathered again are left out."""
    linear = re.compile(r"layers\.\d+\.(q|k|v|o|gate|up|down)").fullmatch
    macs = sum(row["macs"] for row in report["per_layer"] if linear(row["name"])) / (report["package"]["rows"] * report["package"]["cols"])
    received = sum(row["received_bytes_per_die_min"] + row["received_bytes_per_die_max"] for row in report["collectives"] if linear(row["layer"]) and row["kind"] != "restore") / 2
    return macs / received


def measure(options, work, onnx, strategy, side):
    package, image, out = PACKAGES / f"hecaton-{side}x{side}.xml", work / "model.hct", work / "report.json"
    began = time.monotonic()
    try:
        run(options, options.bin / "hecaton-compile", onnx, f"--package={package}", f"--strategy={strategy}", f"--micro-batch={options.micro_batch}", "--recompute=none", "-o", image)
        run(options, options.bin / "hecaton-sim", image, "--mode=timing", "--report", out)
    finally:
        image.unlink(missing_ok=True)
    report = json.loads(out.read_text())
    nop = nop_time(report, float(xml.parse(package).find("link").get("bandwidth_bytes_per_s")))
    return report, nop, time.monotonic() - began


def row_print(label, strategy, side, report, nop, wall, first):
    ring = side * side if strategy.startswith("megatron") else side
    whole, t = (ring - 1) / ring, report["time"]
    by_nop, by_link = t["mxu_s"] / nop, t["mxu_s"] / t["busiest_link_s"]
    now = (by_nop * whole, linears_ratio(report) * whole)
    kept = [a / b for a, b in zip(now, first.setdefault(strategy, now))]
    ms = [f"{1e3 * x:.3f}" for x in (t["mxu_s"], nop, t["busiest_link_s"], t["busiest_channel_s"], t["step_s"])]
    ratios = [f"{x:.3f}" for x in (by_nop, by_nop * whole, by_link, by_link * whole, *kept)]
    print(COLUMNS.format(label, strategy, f"{side}x{side}", report["program"]["micro_batch"], *ms, *ratios, report["program"]["fallbacks"], f"{wall:.1f}"), flush=True)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("bin", type=Path, help="folder of the tools, build/bin")
    p.add_argument("--full", action="store_true", help="real models without weights: " + ", ".join(f"{name} on {side}x{side}" for name, side in REAL))
    p.add_argument("--largest", type=int, default=None, metavar="SIDE", help="side of the largest mesh (16; 32 with --full)")
    p.add_argument("--strategies", default=STRATEGIES, help=STRATEGIES)
    p.add_argument("--layers", type=int, default=None, help="layers of each model (2; all with --full)")
    p.add_argument("--hidden", type=int, default=256, help="hidden size on 2x2 (256)")
    p.add_argument("--head-width", type=int, default=32, help="hidden size of a head (32)")
    p.add_argument("--vocab", type=int, default=None, help="vocabulary (512; the model's with --full)")
    p.add_argument("--seq", type=int, default=None, help="tokens of a sample (128; 2048 with --full)")
    p.add_argument("--batch", type=int, default=None, help="samples (16; 32 with --full)")
    p.add_argument("--micro-batch", default="auto", help="samples in flight (auto)")
    p.add_argument("--timeout", type=float, default=1800, help="seconds that one tool may take (1800)")
    options = p.parse_args()
    for name, small, real in (("largest", 16, 32), ("layers", 2, None), ("vocab", 512, None), ("seq", 128, 2048), ("batch", 16, 32)):
        if getattr(options, name) is None:
            setattr(options, name, real if options.full else small)
    return options


def main():
    options, first, refused = arguments(), {}, 0
    print(f"{options.batch} samples of {options.seq} tokens")
    print(COLUMNS.format(*HEADER))
    for label, model, side in cases(options):
        with tempfile.TemporaryDirectory(prefix="weak_scaling.") as folder:
            work = Path(folder)
            strategies = options.strategies.split(",")
            try:
                run(options, options.bin / "hecaton-model", *model, "-o", work / "model.onnx")
            except Refused as reason:
                print(f"{label:<15} no model, none of its {len(strategies)} rows: {reason}", flush=True)
                refused += len(strategies)
                continue
            for strategy in strategies:
                try:
                    row_print(label, strategy, side, *measure(options, work, work / "model.onnx", strategy, side), first)
                except Refused as reason:
                    print(f"{label:<15} {strategy:<15} {side}x{side}: {reason}", flush=True)
                    refused += 1
    if refused:
        print(f"{refused} rows are missing")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
