#!/usr/bin/env python3
"""The choice of --strategy=auto is within 3 % of the best of all that it could have made, all simulated.

usage: choose.py BIN_DIRECTORY WORK_DIRECTORY MESH (the work directory holds m.onnx and the image auto.hct chosen for the mesh)
"""
import json
import subprocess
import sys
from pathlib import Path

BIN, WORK, MESH = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]


def step(image):
    subprocess.run([BIN / "hecaton-sim", image, "--mode=timing", "--report", WORK / "r.json"], check=True, stdout=subprocess.DEVNULL)
    return json.loads((WORK / "r.json").read_text())["time"]["step_s"]


times = {}
ROWS, COLS = MESH.split("x")
for strategy in ("hecaton", "megatron-ring", "megatron-torus", "megatron-sequence", "optimus"):
    for size in (8, 4, 2, 1):
        for orientation in ("columns", "rows") if ROWS != COLS else ("columns",):
            options = [f"--mesh={MESH}", f"--strategy={strategy}", f"--orientation={orientation}", f"--micro-batch={size}"]
            subprocess.run([BIN / "hecaton-compile", WORK / "m.onnx", *options, "-o", WORK / "one.hct"], check=True, stderr=subprocess.DEVNULL)
            times[strategy, orientation, size] = step(WORK / "one.hct")
best = min(times, key=times.get)
chosen = step(WORK / "auto.hct")
print(f"chosen {chosen:.4g} s, best {times[best]:.4g} s by {best}")
sys.exit(0 if chosen <= 1.03 * times[best] else 1)
