#!/usr/bin/env python3
"""Programs made of pieces that are alike but for one thing take as long, and count the same under each source, whether what is known of a piece is replayed or not.

Pieces are copied, each copy perhaps with one difference: in the code, in what is under way when it begins, or in the loops around it. Random, of fixed seeds.

usage: replay.py BIN_DIRECTORY WORK_DIRECTORY
"""
import random
import re

from timed import BIN, WORK, report, run

PROGRAMS, SOURCES = 40, 6


def vector(n, wait="", signal="", source=0):
    return f"map1 fn=mov shape=1,1,1,{n} d=f32:32768:0,0,0,1 a=f32:0:0,0,0,1 v0=0{wait}{signal} src={source}"


def load(n, wait="", signal="", source=0):
    return f"ld shape=1,1,1,{n} d=f32:65536:0,0,0,1 a=f32:0:0,0,0,1{wait}{signal} src={source}"


def store(n, source=0):
    return f"st shape=1,1,1,{n} d=f32:0:0,0,0,1 a=f32:98304:0,0,0,1 src={source}"


def message(ring, n, source=0):
    return [f"send ring={ring} shape=1,1,1,{n} a=f32:0:0,0,0,1 src={source}", f"recv ring={ring} shape=1,1,1,{n} d=f32:131072:0,0,0,1 signal=2:1 src={source}",
            f"sync engine=vpu wait=2:1 src={source}"]


def piece(random, base):
    """Lines of a loop's body, of 16 instructions and more, with a loop too short to look at."""
    lines = []
    for _ in range(random.randint(6, 10)):
        kind, source = random.randrange(5), base + random.randrange(2)
        if kind == 0:
            lines += [vector(random.choice((64, 512, 4096)), signal=" signal=0:1", source=source), f"sync engine=load wait=0:1 src={source}"]
        elif kind == 1:
            lines += [load(random.choice((256, 2048)), signal=" signal=1:1", source=source), f"sync engine=vpu wait=1:1 src={source}"]
        elif kind == 4:
            lines += [vector(1, source=source)] * 12
        elif kind == 2:
            lines += [store(random.choice((128, 1024)), source)] * 2
        else:
            lines += message(random.choice(("row", "col")), random.choice((64, 1024)), source)
    at = random.randrange(len(lines) - 1)
    return lines + [f"loop v0={random.randint(10, 30)}", vector(128, source=base), store(64, base), "end"], at


def differ(random, lines, at):
    """One thing of `lines` is another."""
    lines = list(lines)
    kind = random.randrange(6)
    if kind == 0:
        return lines  # nothing
    if kind == 1:  # what one instruction takes
        lines[-3] = lines[-3].replace("shape=1,1,1,128", "shape=1,1,1,1152")
    elif kind == 5:  # that, and nothing that it counts
        lines[-3] = lines[-3].replace("fn=mov", "fn=exp")
    elif kind == 2:  # a trip count
        lines[-4] = "loop v0=9"
    elif kind == 3:  # of one column of dies only
        lines[-4] = "loop v0=9+index(col)*1"
    else:  # sources, of all instructions
        lines = [re.sub(r"src=(\d+)", lambda m: f"src={(int(m[1]) + 2) % SOURCES}", line) for line in lines]
    return lines


MANY, UNHEARD = [store(8192, 1)] * 8, [line.replace(" signal=2:1", "") for ring in ("row", "col") for line in message(ring, 3072, 1)[:2] * 4]
# What is under way, or has been left in a semaphore, where a piece begins.
BEFORE = ([], ["fence"], MANY + [store(128, 1)] * 4, MANY + [store(2048, 1)] * 4, MANY + [store(128, 2)] * 4, UNHEARD, [store(8192, 1)], [load(8192, source=1)], [vector(30000, source=1)],
          [vector(1, signal=" signal=5:1", source=1), "fence"])


def program(random):
    lines, pieces = [], [piece(random, base) for base in (0, 2)]
    for _ in range(random.randint(3, 5)):
        lines += random.choice(BEFORE)
        body, at = random.choice(pieces)
        body, trips = differ(random, body, at), random.choice((3, 7, 7, 7, 12))
        if random.random() < 0.5:
            lines += [f"loop v0={trips}", *body, "end"]
        else:
            if random.random() < 0.4:  # what the outer loop's iterations take depends on its counter
                body[-4] = "loop v0=9+loop(0,+,0,0)*2"
            lines += [f"loop v0={random.randint(2, 5)}", *random.choice(BEFORE), f"loop v0={trips}", *body, "end", "end"]
    return lines


# Looks are taken for a share of the events simulated: so many that none is missed after it.
LONG = ["loop v0=1500", vector(1), store(1), "end"]


def twice(first, second):
    """A piece that does not wait for its stores, where `first` is under way, and again where `second` is."""
    body = [vector(20000 + 64 * n, source=0) for n in range(20)] + [f"sync engine=mxu src={n % 2}" for n in range(4)] + [store(64)]
    return [*LONG, "fence", *first, "loop v0=12", *body, "end", "fence", *second, "loop v0=12", *body, "end"]


def levelled(lines):
    depth, out = 0, []
    for line in lines:
        depth -= line == "end"
        out.append("  " * (depth + 1) + (f"{line} level={depth}" if line == "end" else line.replace("loop ", f"loop level={depth} ")))
        depth += line.startswith("loop")
    return "\n".join(out)


run(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=32", "--heads=4", "--vocab=64", "--seq=16", "--batch=4", "-o", WORK / "m.onnx")
run(BIN / "hecaton-compile", WORK / "m.onnx", "--mesh=2x3", "-o", WORK / "m.hct")
text = run(BIN / "hecaton-objdump", "--text", WORK / "m.hct")
instructions = replayed = 0
programs = {f"seed {seed}": program(random.Random(seed)) for seed in range(PROGRAMS)} | {f"{a}, {b}": twice(BEFORE[a], BEFORE[b]) for a in range(len(BEFORE)) for b in range(len(BEFORE))}
for name, lines in programs.items():
    code = levelled([*lines, "fence"])
    (WORK / "p.s").write_text(re.sub(r"^(\.stream \d+\n).*?^( *halt[^\n]*)$", lambda m: f"{m[1]}{code}\n{m[2]}", text, flags=re.M | re.S))
    run(BIN / "hecaton-as", WORK / "p.s", "-o", WORK / "p.hct")
    (every, looked), (known, skipped) = report(WORK / "p.hct", "--no-recurrence"), report(WORK / "p.hct")
    for section in every:
        assert every[section] == known[section], f"{name}: {section} differs: {WORK / 'p.s'}"
    assert looked["instructions"] == skipped["instructions"]
    instructions += skipped["instructions"]
    replayed += skipped["instructions_skipped_by_recurrence"]
print(f"{100 * replayed / instructions:.0f} % of {instructions} instructions skipped or replayed")
assert replayed > instructions / 10
print("ok")
