#!/usr/bin/env python3
"""What hecaton-compile finds by itself: how long that takes, the step, and DRAM bytes beside dram_relaxed_bytes.

usage: choices.py BIN_DIRECTORY [--models=gpt2:2x2,bert-base:2x2,...] [--layers=N] [--batch=64] [--options=--dtype=bf16,--objective=dram] [--timeout=1800]

All layers, without weights, at the models' own context, on the hecaton package of that mesh. Seconds are of CPU; steps and bytes are as predicted.
"""
import argparse
import json
import sys
import tempfile
from pathlib import Path

from compile_scale import measured, model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=Path)
    parser.add_argument("--models", default="gpt2:2x2,bert-base:2x2,bert-large:4x4,tinyllama-1.1b:4x4,gpt2-xl:4x4,bloom-1.7b:4x4,gpt3-6.7b:8x8,llama2-7b:8x8")
    parser.add_argument("--layers")
    parser.add_argument("--batch", default="64")
    parser.add_argument("--options", default="--dtype=bf16,--objective=dram")
    parser.add_argument("--timeout", type=float, default=1800)
    options = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        print("| model, mesh | CPU s | step ms | DRAM GB | of relaxed |\n| --- | --- | --- | --- | --- |")
        for name, mesh in (m.split(":") for m in options.models.split(",")):
            onnx = model(options.bin, work / "m.onnx", name, "--no-weights", f"--batch={options.batch}", *([f"--layers={options.layers}"] if options.layers else []))
            command = [options.bin / "hecaton-compile", onnx, "-o", work / "m.hct", f"--package=hecaton-{mesh}", "--report", work / "p.json", *options.options.split(",")]
            figures, why = measured(command, options.timeout)
            fine &= figures is not None
            if not figures:
                print(f"| {name}, {mesh} | {why} | | | |", flush=True)
                continue
            report = json.loads((work / "p.json").read_text())
            moved = report["traffic"]["dram_read_bytes"] + report["traffic"]["dram_write_bytes"]
            print(f"| {name}, {mesh} | {figures[0]:.1f} | {report['time']['step_s'] * 1e3:.4g} | {moved / 1e9:.4g} | {moved / report['traffic']['dram_relaxed_bytes']:.3f} |", flush=True)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
