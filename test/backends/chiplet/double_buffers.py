#!/usr/bin/env python3
"""Loops for whose double buffers SRAM has room have them, whatever others of the program do without.

In less and less SRAM, the transfers of a stream that alternate between two places become fewer, but some still do; the remark
says the same; and training gives the losses of a program with all of them, to the last bit.

usage: double_buffers.py BIN_DIRECTORY WORK_DIRECTORY
"""
import re
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from checks import check, done, finish, tools_from

tools_from(sys.argv[1])
work = Path(sys.argv[2])
package = (Path(sys.argv[1]).parent / "share/hecaton/packages/hecaton-4x4.xml").read_text()


def compiled(sram_bytes):
    """The remark's numbers of loops without double buffers and of all, and how many of the stream's transfers of a micro-batch alternate, and do not."""
    (work / "p.xml").write_text(re.sub(r'(<sram bytes)="\d+"', rf'\1="{sram_bytes}"', package))
    run = done("hecaton-compile", work / "m.onnx", f"--package={work}/p.xml", "--micro-batch=1", "--schedule=layerwise", "--optimizer=sgd", "--lr=0.1", "-o", work / "p.hct")
    remark = re.search(r"no room for double buffers in (\d+) of (\d+) loops", run.stderr)
    moves = [line for line in done("hecaton-objdump", work / "p.hct", "-d", "--die=0,0").stdout.splitlines() if re.match(r"\s*\d+ +(ld|st) .*loop\(0,\+,0,0\)", line)]
    alternate = sum("loop(0,+,0,2)" in line for line in moves)
    return tuple(map(int, remark.groups())) if remark else (0, 0), alternate, len(moves) - alternate


def losses():
    text = done("hecaton-sim", work / "p.hct", "--mode=functional", "--steps=2", "--input", f"ids={work}/ids.npy", "--input", f"labels={work}/labels.npy").stdout
    return [line.split()[-1] for line in text.splitlines() if line.startswith("step ") and " loss " in line]


done("hecaton-model", "gpt2", "--layers=2", "--hidden=256", "--heads=4", "--vocab=256", "--seq=64", "--batch=8", "-o", work / "m.onnx")
numbers = np.random.default_rng(1)
for name in ("ids", "labels"):
    np.save(work / f"{name}.npy", numbers.integers(0, 256, (8, 64)).astype(np.int64))
seen, before, wanted = [], None, None
for kib in 4096, 300, 280:
    (without, loops), alternate, other = compiled(kib << 10)
    seen.append((kib, without, loops, alternate, other))
    got = losses()
    wanted = wanted or got
    check(f"{kib} KiB: the losses are those of the first", len(wanted) == 2 and got == wanted, f"{wanted}, {got}")
    check(f"{kib} KiB: no more transfers alternate than in more SRAM", before is None or alternate <= before, str(seen))
    before = alternate
check("in much SRAM all loops have double buffers", seen[0][1] == 0 and seen[0][3] > 0, str(seen))
check("in little SRAM some do, and others do not", all(0 < without < loops and 0 < alternate < seen[0][3] for _, without, loops, alternate, _ in seen[1:]), str(seen))
finish()
