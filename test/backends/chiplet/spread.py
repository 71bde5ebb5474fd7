#!/usr/bin/env python3
"""Buffers lie apart where SRAM has room: what writes bytes that a product still reads would wait for it, and hold up what is queued behind.

In every stream, of fused and layerwise programs, no instruction between one product and the next begins to write where the first one's operands
begin, loads aside.

usage: spread.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from checks import check, done, finish, tools_from

tools_from(sys.argv[1])
work = Path(sys.argv[2])


def shares(image):
    """Products, and writes to operands of the one before, in the stream of the first die."""
    products, writes, read = 0, [], set()
    for line in done("hecaton-objdump", image, "-d", "--die=0,0").stdout.splitlines():
        instruction = re.match(r"\s*\d+\s+(\w+)", line)
        if not instruction:
            continue
        if instruction.group(1) == "mm":
            products += 1
            read = set(re.findall(r" [ab]=\w+:(\d+)", line))
        elif instruction.group(1) != "ld" and (written := re.search(r" d=\w+:(\d+)", line)) and written.group(1) in read:
            writes.append(line.strip())
    return products, writes


done("hecaton-model", "gpt2", "--layers=2", "--hidden=256", "--heads=4", "--vocab=256", "--seq=64", "--batch=8", "-o", work / "m.onnx")
for schedule in "fused", "layerwise":
    image = work / f"{schedule}.hct"
    options = ["--mesh=4x4", "--micro-batch=1", f"--schedule={schedule}"]
    done("hecaton-compile", work / "m.onnx", *options, "-o", image)
    products, writes = shares(image)
    check(f"{schedule}: no product's operand is written before the next", products > 100 and not writes, f"{products} products; {writes[:5]}")
    done("hecaton-sim", image, "--mode=timing", "--report", work / "r.json")
    sram = json.loads((work / "r.json").read_text())["sram"]
    check(f"{schedule}: there is room", sram["peak_bytes"] < sram["capacity_bytes"] // 2, str(sram["peak_bytes"]))
finish()
