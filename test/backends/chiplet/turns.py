#!/usr/bin/env python3
"""--overlap=none: what collectives take adds to a step as a whole. With links of a quarter of the bandwidth a step is longer by what each die receives over the
difference, since nothing hides any of it: half of that where two rings carry half the data each. With --overlap=ring it is longer by less.

usage: turns.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
SLOWER = 4


def run(*args, status=0):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == status, f"{args}\n{done.stderr}"
    return done.stdout


def package(name, slower=1):
    """The shipped 2x2 with slower links, whose bandwidth in bytes/s comes second."""
    text = (BIN / "../share/hecaton/packages/hecaton-2x2.xml").read_text()
    link = float(re.search(r'<link bandwidth_bytes_per_s="([^"]+)"', text)[1])
    text = re.sub(r'(<link bandwidth_bytes_per_s=)"[^"]+"', rf'\1"{link / slower}"', text)
    (WORK / name).write_text(text)
    return WORK / name, link / slower


def step(overlap, options, slower=1):
    """Seconds of a step, bytes that a die receives in it, and the link's bandwidth."""
    path, link = package("p.xml", slower)
    run(BIN / "hecaton-compile", WORK / "m.onnx", f"--package={path}", f"--overlap={overlap}", *options, "-o", WORK / "m.hct")
    run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=timing", "--report", WORK / "r.json")
    report = json.loads((WORK / "r.json").read_text())
    return report["time"]["step_s"], sum(c["received_bytes_per_die_max"] for c in report["collectives"]), link


def added(overlap, options):
    """What slower links add to a step over what they add to what a die receives."""
    fast, received, link = step(overlap, options)
    slow, _, slower = step(overlap, options, SLOWER)
    return (slow - fast) / (received / slower - received / link)


run(BIN / "hecaton-model", "gpt2", "--layers=2", "--hidden=256", "--heads=8", "--vocab=256", "--seq=128", "--batch=8", "--seed=3", "-o", WORK / "m.onnx")
for share, options in ((1, ["--micro-batch=2", "--token-blocks=1"]), (1, ["--micro-batch=2", "--token-blocks=4"]), (0.5, ["--micro-batch=4", "--token-blocks=2", "--strategy=megatron-sequence"])):
    none, ring = (added(overlap, options) for overlap in ("none", "ring"))
    print(f"{' '.join(options)}: added {none:.4f} of what is received, with --overlap=ring {ring:.4f}")
    assert abs(none / share - 1) < 0.01 and ring < 0.5 * share, options
