#!/usr/bin/env python3
"""--recompute=auto stores what is worth it as far as DRAM has room: the less a channel holds, the less is stored, and the program fits; so where gradients
lie in DRAM too, until the norm of all is known.

usage: dram_room.py BIN_DIRECTORY WORK_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
PACKAGE = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"
    return done.stdout + done.stderr


def stored(capacity, *options):
    """Bytes of activations that backward reads, of all dies; and of DRAM a die, of which each has a channel of its own."""
    (WORK / "p.xml").write_text(re.sub(r'channel_capacity_bytes="\d+"', f'channel_capacity_bytes="{capacity}"', PACKAGE))
    text = run(BIN / "hecaton-compile", WORK / "m.onnx", f"--package={WORK / 'p.xml'}", "--micro-batch=2", "--groups=blocks", "--token-blocks=1", *options, "-o", WORK / "m.hct")
    region = int(re.search(r"DRAM region (\d+) bytes", run(BIN / "hecaton-objdump", "-h", WORK / "m.hct"))[1])
    return int(re.search(r"--recompute=auto: backward reads \d+ activations \((\d+) bytes\)", text)[1]), region


run(BIN / "hecaton-model", "tinyllama-1.1b", "--layers=8", "--hidden=256", "--heads=8", "--kv-heads=2", "--ffn=512", "--vocab=256", "--seq=32", "--batch=8", "--no-weights", "-o", WORK / "m.onnx")
for options in ((), ("--clip-norm=1",)):
    if options:
        PACKAGE = re.sub(r'sram bytes="\d+"', 'sram bytes="4000000"', PACKAGE)
    most, region = stored(1 << 36, *options)
    least = most
    for share in (0.97, 0.93, 0.87):
        capacity = int(share * region)
        now, held = stored(capacity, *options)
        assert now < least and held <= capacity, f"{options}, {capacity} bytes a channel: {now} bytes stored, {least} with more; {held} held"
        least = now
    print(f"{options}: {most} bytes stored in regions of {region}, down to {least}")
