#!/usr/bin/env python3
"""The fusion groups that --objective=dram chooses against all ways to cut the step into stages, each compiled and simulated: its DRAM bytes are the
least that any of them counts, in packages of little SRAM to enough for the whole step. RESIDENCIES, if given, are what each stage may stream (--weights), and plans are all ways to cut the step with
each of these for each stage.

A chain of linear layers with ReLU, in which layer i is a fusion group: units are forward of 0 ... L-1, then backward of L-1 ... 0.

usage: fusion.py BIN_DIRECTORY WORK_DIRECTORY WIDTH,WIDTH,... BATCH MICRO_BATCH SRAM,SRAM,... [RESIDENCY,...]
"""
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import chain

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WIDTHS, BATCH, MICRO_BATCH, SRAM = [int(w) for w in sys.argv[3].split(",")], int(sys.argv[4]), sys.argv[5], [int(s) for s in sys.argv[6].split(",")]
RESIDENCIES = sys.argv[7].split(",") if len(sys.argv) > 7 else ["resident"]
WORK.mkdir(parents=True, exist_ok=True)
LAYERS = len(WIDTHS) - 1


def counted(groups, weights, sram):
    """DRAM bytes of a step; None: it does not fit."""
    package = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (WORK / "p.xml").write_text(re.sub(r'sram bytes="\d+"', f'sram bytes="{sram}"', package))
    command = [BIN / "hecaton-compile", WORK / "m.onnx", f"--package={WORK / 'p.xml'}", "--mesh=1x1", "--optimizer=sgd", "--recompute=none", f"--micro-batch={MICRO_BATCH}", "--overlap=none", "--objective=dram", "--weight-pieces=1",
               f"--groups={groups}", f"--weights={weights}", "-o", WORK / "m.hct"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        assert done.returncode == 1 and "E0402" in done.stderr, done.stderr
        return None, done.stderr
    subprocess.run([BIN / "hecaton-sim", WORK / "m.hct", "--mode=timing", "--report", WORK / "r.json"], check=True, stdout=subprocess.DEVNULL)
    traffic = json.loads((WORK / "r.json").read_text())["traffic"]
    return traffic["dram_read_bytes"] + traffic["dram_write_bytes"], done.stderr


def plans():
    for cuts in itertools.product((False, True), repeat=2 * LAYERS - 1):
        groups = ["0"] + [str(u) for u, cut in enumerate(cuts, 1) if cut]
        for weights in itertools.product(RESIDENCIES, repeat=len(groups)):
            yield ",".join(groups), ",".join(weights)


chain.write(WORK / "m.onnx", WIDTHS, BATCH)
seen = set()
for sram in SRAM:
    all_of = {plan: counted(*plan, sram)[0] for plan in plans()}
    fitting = {plan: have for plan, have in all_of.items() if have is not None}
    have, said = counted("auto", "auto" if len(RESIDENCIES) > 1 else "resident", sram)
    best = min(fitting, key=fitting.get)
    print(f"{sram} bytes of SRAM: {len(fitting)} of {len(all_of)} plans fit, best {fitting[best]} by {best}; chosen {have}", re.findall(r"remark: (--groups.*|--weights.*)", said))
    assert have == fitting[best], f"{sram} bytes of SRAM: {have} DRAM bytes, the best of all plans, {best}, has {fitting[best]}"
    seen.add(have)
assert len(seen) > 1, f"these capacities do not tell plans apart: {seen}"
