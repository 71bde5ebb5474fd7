#!/usr/bin/env python3
"""Orders of operations keep the MXU busy: links are waited for no longer than when orders were made by one rule.

A tinyllama of four layers with the weights left out, on 4x4 dies: 10.1 % of the simulated step was waiting for links when a collective that takes room
always began as the MXU ran out of work, and anything could come before its turn; 8.8 % since several such rules are tried and the shortest order taken.

usage: order.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from checks import check, done, finish, tools_from

tools_from(sys.argv[1])
work = Path(sys.argv[2])

MOST_WAITING = 0.095

done("hecaton-model", "tinyllama-1.1b", "--layers=4", "--no-weights", "--batch=16", "-o", work / "m.onnx")
done("hecaton-compile", work / "m.onnx", "--package=hecaton-4x4", "--dtype=bf16", "--micro-batch=1", "-o", work / "m.hct")
done("hecaton-sim", work / "m.hct", "--mode=timing", "--report", work / "r.json")
time = json.loads((work / "r.json").read_text())["time"]
waiting = time["exposed_nop_s"] / time["step_s"]
check(f"links are waited for during at most {MOST_WAITING:.1%} of the step", waiting < MOST_WAITING, f"{waiting:.1%}")
finish()
