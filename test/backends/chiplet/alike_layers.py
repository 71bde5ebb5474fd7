#!/usr/bin/env python3
"""Layers beside a loop over layers are the same instructions as those in it, but for where they find things in DRAM.

Of 16 layers some are written one by one. Their loops over micro-batches, forward and backward, are those of other layers: buffers lie at the same
addresses and so the same instructions wait for each other, but where what comes before or after them differs.

usage: alike_layers.py BIN_DIRECTORY WORK_DIRECTORY
"""
import collections
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from checks import check, done, finish, tools_from

tools_from(sys.argv[1])
work = Path(sys.argv[2])


def without_dram(words):
    """An instruction without its source, its place among loops, and its address in DRAM."""
    text = re.sub(r"src=\d+|level=\d|(?<=loop\()\d", "", " ".join(words))
    far = {"ld": "a", "st": "d"}.get(words[0])
    return re.sub(rf" {far}=(\w+):\S+", r" \1", text) if far else text


def bodies(image):
    """Of each loop of more than a few instructions, these."""
    lines = [line.split()[1:] for line in done("hecaton-objdump", image, "-d", "--die=0,0").stdout.splitlines() if re.match(r"\s*\d+ ", line)]
    begun, found = [], []
    for at, words in enumerate(lines):
        if words[0] == "loop":
            begun.append(at)
        elif words[0] == "end":
            first = begun.pop() + 1
            if at - first > 60:
                found.append([without_dram(line) for line in lines[first:at]])
    return found


done("hecaton-model", "llama2-7b", "--layers=16", "--hidden=256", "--heads=4", "--kv-heads=4", "--ffn=512", "--vocab=2048", "--seq=64", "--batch=8", "-o", work / "m.onnx")
done("hecaton-compile", work / "m.onnx", "--mesh=2x2", "--micro-batch=1", "--groups=blocks", "-o", work / "m.hct")
kinds = collections.defaultdict(list)
for body in bodies(work / "m.hct"):
    kinds[tuple(sorted(collections.Counter(line.split()[0] for line in body if not line.startswith("sync")).items()))].append("\n".join(body))
layers = [loops for loops in kinds.values() if len(loops) >= 4]
check("four kinds of loops are those of layers: attention and FFN, forward and backward", len(layers) == 4, str([len(loops) for loops in kinds.values()]))
for loops in layers:
    check(f"{len(loops)} loops of layers: at most half are of their own", len(set(loops)) <= len(loops) // 2, f"{len(set(loops))} of {len(loops)} differ")
finish()
