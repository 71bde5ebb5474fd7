#!/usr/bin/env python3
"""A SYNC takes no time on any engine, those of DRAM included: a program that waits through one is as long as with any other.

usage: sync.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
CYCLE_S = 1e-9  # of a 1 GHz package; it has 256 lanes


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"
    return done.stdout


run(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=32", "--heads=4", "--vocab=64", "--seq=16", "--batch=4", "-o", WORK / "m.onnx")
run(BIN / "hecaton-compile", WORK / "m.onnx", "--mesh=2x3", "-o", WORK / "m.hct")
text = run(BIN / "hecaton-objdump", "--text", WORK / "m.hct")
steps = {}
for engine in ("mxu", "load", "store", "send.row"):
    # a vector operation, a SYNC that waits for it and one that waits for that
    body = f"""  map1 fn=mov shape=1,1,1,8192 d=f32:32768:0,0,0,1 a=f32:0:0,0,0,1 v0=0 signal=0:1
  sync engine={engine} wait=0:1 signal=1:1
  sync engine=vpu wait=1:1
  fence
"""
    program = re.sub(r"^(\.stream \d+\n).*?^( *halt[^\n]*)$", lambda m: m[1] + body + m[2], text, flags=re.M | re.S)
    (WORK / "s.s").write_text(program)
    run(BIN / "hecaton-as", WORK / "s.s", "-o", WORK / "s.hct")
    run(BIN / "hecaton-sim", WORK / "s.hct", "--mode=timing", "--report", WORK / "r.json")
    steps[engine] = json.loads((WORK / "r.json").read_text())["time"]["step_s"]
    print(f"{engine}: {steps[engine]} s")
assert steps["mxu"] > 8192 / 256 * CYCLE_S, "shorter than its vector operation"
assert set(steps.values()) == {steps["mxu"]}, "a SYNC takes time"
