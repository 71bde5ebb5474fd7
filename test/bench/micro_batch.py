#!/usr/bin/env python3
"""Simulated step time of --micro-batch=auto beside that of every fixed micro-batch, for pairs of a model and a package.

usage: micro_batch.py BIN_DIRECTORY [--cases=NAME,...] [--limit=1.03] [--timeout=600]

`ratio` is auto's time over that of the best fixed value. Exit status 1: of some case it is above the limit, or nothing could be measured.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

# name: model, batch, options of hecaton-model, options of hecaton-compile
CASES = {
    "tiny": ("gpt2", 4, ["--layers=1", "--hidden=32", "--heads=4", "--vocab=64", "--seq=16"], ["--package=hecaton-2x2"]),
    "example": ("gpt2", 8, ["--layers=2", "--hidden=64", "--heads=4", "--vocab=96", "--seq=32"], ["--package=hecaton-4x4"]),
    "uneven": ("gpt2", 7, ["--layers=2", "--hidden=96", "--heads=6", "--vocab=200", "--seq=64"], ["--mesh=2x3"]),
    "odd-mesh": ("gpt2", 8, ["--layers=2", "--hidden=96", "--heads=6", "--vocab=200", "--seq=64"], ["--mesh=3x3"]),
    "odd-mesh-9": ("tinyllama-1.1b", 9, ["--layers=2", "--hidden=192", "--heads=6", "--kv-heads=3", "--ffn=512", "--vocab=300", "--seq=64"], ["--mesh=3x2", "--overlap=none"]),
    "row": ("gpt2", 10, ["--layers=1", "--hidden=80", "--heads=5", "--vocab=200", "--seq=40"], ["--mesh=5x1"]),
    "optimus": ("gpt2", 8, ["--layers=1", "--hidden=96", "--heads=6", "--vocab=200", "--seq=64"], ["--mesh=3x3", "--strategy=optimus"]),
    "side": ("gpt2", 6, ["--layers=1", "--hidden=48", "--heads=6", "--vocab=100", "--seq=32"], ["--mesh=5x3", "--strategy=megatron-torus", "--weights=resident"]),
    "torus-5x3": ("gpt2", 16, ["--layers=1", "--hidden=96", "--heads=6", "--vocab=200", "--seq=64"], ["--mesh=5x3", "--strategy=megatron-torus"]),
    "gpt2": ("gpt2", 8, ["--layers=2", "--seq=256"], ["--package=hecaton-4x4"]),
    "gpt2-bf16": ("gpt2", 8, ["--layers=2", "--seq=512"], ["--package=hecaton-4x4", "--dtype=bf16"]),
    "bert": ("bert-base", 8, ["--layers=2", "--seq=128"], ["--package=hecaton-4x4-advanced", "--dtype=bf16"]),
    "torus": ("tinyllama-1.1b", 8, ["--layers=2", "--seq=256"], ["--package=hecaton-4x4", "--dtype=bf16", "--strategy=megatron-torus"]),
    "tinyllama": ("tinyllama-1.1b", 8, ["--layers=2", "--seq=512"], ["--package=hecaton-4x4", "--dtype=bf16"]),
    "llama2-7b": ("llama2-7b", 8, ["--layers=2", "--seq=512"], ["--package=hecaton-8x8", "--dtype=bf16"]),
    "layerwise": ("gpt2", 8, ["--layers=2", "--hidden=256", "--heads=8", "--vocab=512", "--seq=128"], ["--package=hecaton-4x4", "--schedule=layerwise"]),
}


class Refused(Exception):
    pass


def run(limit, *command):
    name = Path(command[0]).name
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise Refused(f"{name} took over {limit} s") from None
    if done.returncode:
        raise Refused("does not fit" if "error[E0402]" in done.stderr else next((line for line in done.stderr.splitlines() if "error" in line), name))


def measure(options, work, size, compile_options):
    """Milliseconds of a step, and the program's account."""
    run(options.timeout, options.bin / "hecaton-compile", work / "m.onnx", f"--micro-batch={size}", *compile_options, "-o", work / "p.hct")
    run(options.timeout, options.bin / "hecaton-sim", work / "p.hct", "--mode=timing", "--report", work / "r.json")
    report = json.loads((work / "r.json").read_text())
    return report["time"]["step_s"] * 1e3, report["program"]


def case(options, work, name):
    """Prints a row; auto's ratio to the best, None where there is none."""
    model, batch, sizes, compile_options = CASES[name]
    fixed, cells = {}, []
    try:
        run(options.timeout, options.bin / "hecaton-model", model, *sizes, f"--batch={batch}", "--no-weights", "-o", work / "m.onnx")
        auto, program = measure(options, work, "auto", compile_options)
    except Refused as reason:
        print(f"| {name} | {reason} | | | |", flush=True)
        return None
    for size in range(1, batch + 1):
        try:
            fixed[size], account = measure(options, work, size, compile_options)
            cells.append(f"{size}: {fixed[size]:.4g}" + (f" in {account['token_blocks']} blocks" if account["token_blocks"] > 1 else ""))
        except Refused as reason:
            cells.append(f"{size}: {reason}")
    blocks = f" in {program['token_blocks']} blocks" if program["token_blocks"] > 1 else ""
    if not fixed:
        print(f"| {name} | {auto:.4g}, {program['micro_batch']}{blocks} | {'; '.join(cells)} | | |", flush=True)
        return None
    best = min(fixed, key=fixed.get)
    print(f"| {name} | {auto:.4g}, {program['micro_batch']}{blocks} | {'; '.join(cells)} | {best} | {auto / fixed[best]:.3f} |", flush=True)
    return auto / fixed[best]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=Path)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--limit", type=float, default=1.03)
    parser.add_argument("--timeout", type=float, default=600)
    options = parser.parse_args()
    print("| case | auto: ms, micro-batch | fixed: ms | best | ratio |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="micro_batch.") as folder:
        ratios = [case(options, Path(folder), name) for name in options.cases.split(",")]
    sys.exit(0 if all(r is not None and r <= options.limit for r in ratios) else 1)


if __name__ == "__main__":
    main()
