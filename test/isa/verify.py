#!/usr/bin/env python3
"""The verifier accepts what the compiler makes, and refuses each kind of damage with a message that says which.

usage: verify.py BIN_DIRECTORY WORK_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)


def run(*args):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True)


model, image = WORK / "m.onnx", WORK / "m.hct"
assert run(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=16", "--heads=2", "--vocab=16", "--seq=4", "--batch=4", "-o", model).returncode == 0
assert run(BIN / "hecaton-compile", model, "-o", image, "--package=hecaton-2x2", "--micro-batch=2", "--overlap=none").returncode == 0
accepted = run(BIN / "hecaton-objdump", "--verify", image)
assert accepted.returncode == 0, accepted.stderr
lines = run(BIN / "hecaton-objdump", "--text", image).stdout.splitlines()


def first(pattern, after=0):
    return next(i for i in range(after, len(lines)) if re.search(pattern, lines[i]))


def refused(name, wanted, edited):
    text, damaged = WORK / f"{name}.s", WORK / f"{name}.hct"
    text.write_text("\n".join(edited) + "\n")
    made = run(BIN / "hecaton-as", text, "-o", damaged)
    assert made.returncode == 0, (name, made.stderr)
    done = run(BIN / "hecaton-objdump", "--verify", damaged)
    assert done.returncode == 1 and wanted in done.stderr, f"{name}: {done.returncode}\n{done.stderr}"


def changed(index, pattern, replacement):
    edited = list(lines)
    edited[index] = re.sub(pattern, replacement, edited[index], count=1)
    assert edited[index] != lines[index]
    return edited


send = first(r"^\s*send ")
refused("lost", "cannot go on", lines[:send] + lines[send + 1:])
refused("size", "meets a send", changed(send, r"shape=(\d+),(\d+),(\d+),(\d+)", r"shape=\1,\2,\3,1"))
refused("sram", "scratchpad", changed(first(r"^\s*mm "), r"c=f32:\d+", "c=f32:99999999"))
refused("dram", "DRAM region", changed(first(r"^\s*ld "), r"a=f32:\d+", "a=f32:99999999"))
used = int(re.search(r'"sram_bytes":(\d+)', "\n".join(lines))[1])
refused("settings", "operand 'settings' reaches", changed(first(r"^\s*update "), r"settings=f32:\d+", f"settings=f32:{used - 8}"))
for stride in (-1 << 63, (1 << 63) - 1, (1 << 50) + 1):
    (WORK / "stride.s").write_text("\n".join(changed(first(r"^\s*mm "), r"c=f32:(\d[^:]*):-?\d+", rf"c=f32:\g<1>:{stride}")))
    done = run(BIN / "hecaton-as", WORK / "stride.s", "-o", WORK / "stride.hct")
    assert done.returncode == 1 and "instruction 'mm': a stride is out of range" in done.stderr and not (WORK / "stride.hct").exists(), done.stderr
loop = first(r"^\s*loop ")
refused("loop", "loop's body", changed(first(r" signal=", loop), r" signal=\S+", ""))
outside = first(r" signal=")
assert outside < loop
refused("unsignalled", "leaves semaphore", changed(outside, r" signal=\S+", ""))

# One die with a stream of its own: the same instructions are accepted; one more, or one fewer, iteration of a loop with messages is not, however
# many iterations are run to see it.
assert run(BIN / "hecaton-compile", model, "-o", image, "--package=hecaton-2x2", "--micro-batch=1", "--overlap=none").returncode == 0
lines = run(BIN / "hecaton-objdump", "--text", image).stdout.splitlines()
header, stream, = first(r"^\.header "), first(r"^\.stream 0")
end = next((i for i in range(stream + 1, len(lines)) if lines[i].startswith(".")), len(lines))
assert '"streams":1' in lines[header], lines[header][:400]


def with_own_stream(own):
    edited = list(lines)
    edited[header] = re.sub(r'"die_stream":\[0,0,0,0\]', '"die_stream":[0,0,0,1]', edited[header].replace('"streams":1', '"streams":2'))
    assert edited[header] != lines[header]
    return edited[:end] + [".stream 1", *own] + edited[end:]


copy = lines[stream + 1:end]
text, apart = WORK / "apart.s", WORK / "apart.hct"
text.write_text("\n".join(with_own_stream(copy)) + "\n")
assert run(BIN / "hecaton-as", text, "-o", apart).returncode == 0
accepted = run(BIN / "hecaton-objdump", "--verify", apart)
assert accepted.returncode == 0, accepted.stderr
ends = [i for i, line in enumerate(copy) if re.search(r"^\s*end level=0\b", line)]
loops = [i for i, line in enumerate(copy) if re.search(r"^\s*loop level=0 v0=4\b", line)]
outer = next(i for i in loops if any(re.search(r"^\s*send ", line) for line in copy[i:min(e for e in ends if e > i)]))
for trips in (3, 5):
    refused(f"trips{trips}", "die", with_own_stream(copy[:outer] + [copy[outer].replace("v0=4", f"v0={trips}")] + copy[outer + 1:]))
print("ok")
