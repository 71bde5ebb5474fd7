#!/usr/bin/env python3
"""Compile time and memory by layers and by dies.

usage: compile_scale.py BIN_DIRECTORY [--layers=2,8,20,80] [--meshes=2x2,4x4,8x8,16x16,32x32] [--model=llama2-70b] [--timeout=600]

Layers: the model with as many, without weights, batch 64, 512 tokens a sequence, bf16, micro-batches of one sample, on hecaton-16x16 with 1 GiB
of SRAM a die (what the schedule needs of it is not asked here). Dies: a GPT of two layers, hidden 256, on each mesh. Seconds are of CPU, and of
the clock in brackets; the peak is of resident memory.
"""
import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2] / "tools" / "packages"


def measured(command, limit):
    """CPU seconds, seconds of the clock, MB, and why it was refused."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    timed = ["/usr/bin/time", "-f", "peak %M", *map(str, command)]
    try:
        done = subprocess.run(timed, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None, f"not done after {limit} s"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        return None, next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-200:])
    return (cpu, time.monotonic() - begun, int(re.search(r"peak (\d+)", done.stderr)[1]) / 1e3), None


def row(name, command, limit):
    figures, why = measured(command, limit)
    print(f"| {name} | " + (f"{figures[0]:.2f} ({figures[1]:.2f}) | {figures[2]:.0f} |" if figures else f"{why} | |"), flush=True)
    return figures is not None


def wide_package(work, mesh):
    text = (PACKAGES / f"hecaton-{mesh}.xml").read_text()
    path = work / f"{mesh}.xml"
    path.write_text(re.sub(r'(<sram bytes=")\d+', rf"\g<1>{1 << 30}", text))
    return path


def model(bin_directory, path, *options):
    subprocess.run([bin_directory / "hecaton-model", *options, "-o", path], check=True, capture_output=True)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=Path)
    parser.add_argument("--layers", default="2,8,20,80")
    parser.add_argument("--meshes", default="2x2,4x4,8x8,16x16,32x32")
    parser.add_argument("--model", default="llama2-70b")
    parser.add_argument("--timeout", type=float, default=600)
    options = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        print("| compile | CPU s (clock) | peak MB |\n| --- | --- | --- |")
        package = wide_package(work, "16x16")
        for layers in filter(None, options.layers.split(",")):
            onnx = model(options.bin, work / "layers.onnx", options.model, f"--layers={layers}", "--no-weights", "--batch=64", "--seq=512")
            command = [options.bin / "hecaton-compile", onnx, "-o", work / "out.hct", f"--package={package}", "--dtype=bf16", "--micro-batch=1"]
            fine &= row(f"{options.model}, {layers} layers, 16x16", command, options.timeout)
        onnx = model(options.bin, work / "dies.onnx", "gpt2", "--layers=2", "--hidden=256", "--heads=8", "--vocab=512", "--seq=128", "--batch=16")
        for mesh in filter(None, options.meshes.split(",")):
            command = [options.bin / "hecaton-compile", onnx, "-o", work / "out.hct", f"--package=hecaton-{mesh}", "--micro-batch=2"]
            fine &= row(f"gpt2, 2 layers, {mesh}", command, options.timeout)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
