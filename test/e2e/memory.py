#!/usr/bin/env python3
"""SRAM from 1 KiB to 1 MiB a die, in powers of two, or four (in a thorough run two): a toy model either trains to the losses of the host oracle, all its accesses proved to be inside
of the SRAM there is and the report's peak being the least SRAM that holds them, or is refused with a map of the worst moment and a hint.
DRAM: what the report says by role and channel follows from the image's tensors and the rule of the nearest channel; channels that are too small are refused.

usage: memory.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import THOROUGH  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
PACKAGE = (Path(__file__).resolve().parents[2] / "tools/packages/hecaton-2x2.xml").read_text()
WORK.mkdir(parents=True, exist_ok=True)
numbers = np.random.default_rng(1)
SIZES = ["--layers=1", "--hidden=16", "--heads=4", "--vocab=32", "--seq=8", "--batch=4", "--seed=3"]
CASES = (("gpt2", [], "2x2", []), ("tinyllama-1.1b", ["--kv-heads=2", "--ffn=24"], "2x3", ["--token-blocks=1"]), ("bert-base", [], "3x1", ["--schedule=layerwise", "--token-blocks=1", "--weight-pieces=1"]),
         ("tinyllama-1.1b", ["--kv-heads=4", "--ffn=40"], "2x2", ["--strategy=auto", "--token-blocks=1", "--weight-pieces=1"]), ("gpt2", [], "1x2", ["--strategy=optimus", "--recompute=all", "--token-blocks=2", "--weight-pieces=1"]))


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True)


def done(*arguments):
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    return result


def simulate(program, *options):
    """Losses of three steps."""
    inputs = [f"--input={n}={WORK}/{n}.npy" for n in ("ids", "labels")]
    return [float(x) for x in re.findall(r"^step +\d+ +loss (\S+)$", done(BIN / "hecaton-sim", program, "--steps=3", *inputs, *options).stdout, re.M)]


def model(family, sizes):
    done(BIN / "hecaton-model", family, *SIZES, *sizes, "-o", WORK / "m.onnx")
    for name in ("ids", "labels"):
        np.save(WORK / f"{name}.npy", numbers.integers(0, 32, (4, 8)))
    done(BIN / "hecaton-compile", WORK / "m.onnx", "--backend=host", "-o", WORK / "host.so")
    return simulate(WORK / "host.so")


def package(**attributes):
    text = PACKAGE
    for name, value in attributes.items():
        element, attribute = name.split("_", 1)
        text, found = re.subn(rf'(<{element}\b[^>]*\b{attribute}=")[^"]*', rf"\g<1>{value}", text)
        assert found == 1, name
    (WORK / "p.xml").write_text(text)
    return f"--package={WORK / 'p.xml'}"


def verified_within(image, limit):
    """Whether all accesses are proved to be inside of `limit` bytes of SRAM."""
    text = done(BIN / "hecaton-objdump", "--text", image).stdout
    text = re.sub(r'(<sram bytes=\\")\d+', rf"\g<1>{limit}", re.sub(r'("sram_bytes":)\d+', rf"\g<1>{limit}", text))
    (WORK / "limited.hctasm").write_text(text)
    done(BIN / "hecaton-as", WORK / "limited.hctasm", "-o", WORK / "limited.hct")
    result = run(BIN / "hecaton-objdump", "--verify", WORK / "limited.hct")
    assert result.returncode == 0 or "outside of the scratchpad" in result.stderr, result.stderr
    return result.returncode == 0


def sram_check(what, sram, image, mesh, capacity):
    rows, cols = map(int, mesh.split("x"))
    peak, moment = sram["peak_bytes"], sram["worst_moment"]
    listed = moment["largest_buffers"]
    assert sram["capacity_bytes"] == capacity and 0 < moment["live_bytes"] <= peak <= capacity, f"{what}: {sram}"
    assert sum(d["dies"] for d in sram["dies"]) == rows * cols and max(d["peak_bytes"] for d in sram["dies"]) == peak, f"{what}: {sram['dies']}"
    assert len(listed) == min(12, moment["live_buffers"]) and all(a["bytes"] >= b["bytes"] for a, b in zip(listed, listed[1:])), f"{what}: {listed}"
    assert sum(b["bytes"] for b in listed) + (moment["live_buffers"] - len(listed)) * listed[-1]["bytes"] >= moment["live_bytes"] >= sum(b["bytes"] for b in listed), f"{what}: {moment}"
    spans = sorted((b["address"], b["address"] + b["bytes"]) for b in listed)
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:])) and spans[-1][1] <= peak, f"{what}: buffers live at once overlap: {spans}"
    assert verified_within(image, peak) and not verified_within(image, peak - 64), f"{what}: the peak is not what streams reach"


def dram_check(what, report, image, mesh):
    rows, cols = map(int, mesh.split("x"))
    dram, dies = report["dram"], rows * cols
    taken = {}
    for line in done(BIN / "hecaton-objdump", "-t", image).stdout.splitlines()[1:]:
        role, _, offset, tile = line.split()[:4]
        taken.setdefault(role, np.zeros(dram["region_bytes"], bool))[int(offset):int(offset) + int(tile)] = True
    roles = {role: int(held.sum()) * dies for role, held in taken.items() if held.any()}
    assert dram["by_role"] == roles, f"{what}: {dram['by_role']}, the image's tensors take {roles}"
    assert sum(roles.values()) <= dram["peak_bytes"] == dram["region_bytes"] * dies, f"{what}: {dram}"
    sites = [(0, c) for c in range(cols)] + [(r, cols - 1) for r in range(rows)] + [(rows - 1, c) for c in reversed(range(cols))] + [(r, 0) for r in reversed(range(rows))]
    served = [0] * len(sites)
    for die in range(dies):
        hops = [(abs(r - die // cols) + abs(c - die % cols), r, c, n) for n, (r, c) in enumerate(sites)]
        served[min(hops)[3]] += 1
    assert [(c["dies"], c["used_bytes"]) for c in dram["channels"]] == [(n, n * dram["region_bytes"]) for n in served], f"{what}: {dram['channels']}, nearest {served}"
    state = dram["by_role"]["param"] + dram["by_role"]["state"] + dram["by_role"].get("copy", 0)
    assert state >= 12 * report["program"]["parameters"], f"{what}: {state} bytes of weights and optimizer state"


def ladder(family, sizes, mesh, options, step):
    want, outcomes = model(family, sizes), []
    for capacity in (1 << k for k in range(10, 21, step)):
        what, image = f"{family} {mesh} {' '.join(options)} SRAM {capacity}", WORK / "p.hct"
        image.unlink(missing_ok=True)
        result = run(BIN / "hecaton-compile", WORK / "m.onnx", package(sram_bytes=capacity), f"--mesh={mesh}", *options, "-o", image)
        outcomes.append(result.returncode == 0)
        if result.returncode:
            needed = re.search(r"error\[E0402\]: the plan needs (\d+) bytes of SRAM on a die that has (\d+)\n(?:  note: no gap .*\n)?  note: the worst moment(?: of its life)?: (\d+) bytes in \d+ buffers\n(  note: +\d+ bytes  .*\n)+  hint: .*--mesh", result.stderr)
            assert result.returncode == 1 and needed and int(needed[1]) > int(needed[2]) == capacity and not image.exists(), f"{what}: {result.returncode}\n{result.stderr}"
            continue
        got = simulate(image, f"--report={WORK / 'r.json'}")
        assert len(got) == 3 and np.allclose(got, want, rtol=2e-6, atol=0), f"{what}: losses {got}, the host's {want}"
        report = json.loads((WORK / "r.json").read_text())
        sram_check(what, report["sram"], image, mesh, capacity)
        dram_check(what, report, image, mesh)
    assert outcomes == sorted(outcomes) and not outcomes[0] and outcomes[-1], f"{family} {mesh}: {outcomes}"
    print(f"ok {family} {mesh} {' '.join(options)}: {outcomes.count(False)} refused, {outcomes.count(True)} run")


def gaps():
    """Where buffers that live at once would fit but lie with gaps between them, the map is of the moment of the one that found no place."""
    done(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=34", "--heads=1", "--ffn=99", "--vocab=11", "--seq=19", "--batch=5", "--no-weights", "-o", WORK / "m.onnx")
    plan = [WORK / "m.onnx", "--mesh=2x3", "--micro-batch=1", "--token-blocks=1", "--recompute=all", "--groups=blocks", "--units=blocks", "--weights=resident", "--weight-pieces=1", "-o", WORK / "p.hct"] # one plan: weights that are streamed fit
    found = 0
    for capacity in range(24000, 27000, 100):
        result = run(BIN / "hecaton-compile", *plan, package(sram_bytes=capacity))
        needed = re.search(r"the plan needs (\d+) bytes of SRAM on a die that has \d+\n  note: no gap between those that live beside it has room for (\d+ bytes  .*)\n  note: the worst moment of its life: (\d+) bytes in \d+ buffers\n((?:  note: +\d+ bytes  .*\n)+)", result.stderr)
        if needed:
            rows = [line.removeprefix("  note:").strip() for line in needed[4].splitlines()]
            assert int(needed[3]) <= capacity < int(needed[1]) and needed[2] in rows and result.returncode == 1, result.stderr
            found += 1
    assert found, "every plan that was refused has too many bytes live at once"
    print(f"ok gaps: {found} refused")


def full_channels():
    """Of 2 x 2 dies and 8 channels: a channel that holds one region suffices for four dies; one byte less does not."""
    done(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=128", "--heads=4", "--vocab=4096", "--seq=8", "--batch=4", "--no-weights", "-o", WORK / "m.onnx")
    plan = [WORK / "m.onnx", "--micro-batch=2", "--recompute=none", "--token-blocks=1", "--groups=blocks", "-o", WORK / "p.hct"]
    done(BIN / "hecaton-compile", *plan, package(), f"--report={WORK / 'r.json'}")
    region = json.loads((WORK / "r.json").read_text())["dram"]["region_bytes"]
    done(BIN / "hecaton-compile", *plan, package(dram_channel_capacity_bytes=region))
    (WORK / "p.hct").unlink()
    result = run(BIN / "hecaton-compile", *plan, package(dram_channel_capacity_bytes=region - 1))
    wanted = rf"error\[E0403\]: the plan needs {region} bytes of DRAM on each of 4 dies; 8 channels of {region - 1} bytes hold 0 such regions\n(  note: +\d+ bytes a die  (input|param|state|constant|setting|loss|spill)\n)+  note: the largest of \d+ tensors:\n(  note: +\d+ bytes a die  \w+ f32  .*\n)+  hint: .*--mesh"
    assert result.returncode == 1 and re.search(wanted, result.stderr) and not (WORK / "p.hct").exists(), result.stderr
    print("ok full channels")


for number, case in enumerate(CASES):
    ladder(*case, 1 if THOROUGH or number in (2, 4) else 2)  # the others search longest where least fits
gaps()
full_channels()
