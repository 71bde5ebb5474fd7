#!/usr/bin/env python3
"""The choice of --strategy=auto is within 3 % of the best of all that it could have made, all simulated.

usage: choose.py BIN_DIRECTORY WORK_DIRECTORY (which holds m.onnx and the image auto.hct chosen for 4 x 4 dies)
"""
import json
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])


def step(image):
    subprocess.run([BIN / "hecaton-sim", image, "--mode=timing", "--report", WORK / "r.json"], check=True, stdout=subprocess.DEVNULL)
    return json.loads((WORK / "r.json").read_text())["time"]["step_s"]


times = {}
for strategy in ("hecaton", "megatron-ring", "megatron-torus", "megatron-sequence", "optimus"):
    for size in (8, 4, 2, 1):
        command = [BIN / "hecaton-compile", WORK / "m.onnx", "--mesh=4x4", f"--strategy={strategy}", f"--micro-batch={size}", "-o", WORK / "one.hct"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        times[strategy, size] = step(WORK / "one.hct")
best = min(times, key=times.get)
chosen = step(WORK / "auto.hct")
print(f"chosen {chosen:.4g} s, best {times[best]:.4g} s by {best}")
sys.exit(0 if chosen <= 1.03 * times[best] else 1)
