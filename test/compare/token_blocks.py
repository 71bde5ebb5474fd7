#!/usr/bin/env python3
"""--token-blocks=fit takes one block where that fits, else the fewest that do, and says so, or more where those (or one) fit only with all activations stored; auto is within 3 % of the best number, all simulated.
What fits trains to the host's losses.

usage: token_blocks.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
PACKAGE = (Path(__file__).resolve().parents[2] / "tools/packages/hecaton-2x2.xml").read_text()
BLOCKS = (1, 2, 4, 8, 16)
WORK.mkdir(parents=True, exist_ok=True)


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True)


def compile_model(model, sram, *options):
    (WORK / "p.xml").write_text(re.sub(r'(sram bytes=")\d+', rf"\g<1>{sram}", PACKAGE))
    return run(BIN / "hecaton-compile", WORK / model, f"--package={WORK / 'p.xml'}", "-o", WORK / "p.hct", *options)


def report_of(*options):
    done = run(BIN / "hecaton-sim", WORK / "p.hct", "--report", WORK / "r.json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads((WORK / "r.json").read_text())


def model_write(name, *sizes):
    done = run(BIN / "hecaton-model", "tinyllama-1.1b", "--layers=1", "--vocab=64", *sizes, "-o", WORK / name)
    assert done.returncode == 0, done.stderr


def check_fit():
    model_write("fit.onnx", "--hidden=16", "--heads=4", "--kv-heads=4", "--ffn=128", "--seq=128", "--batch=2", "--seed=1")
    numbers, inputs = np.random.default_rng(1), [f"--input={n}={WORK}/{n}.npy" for n in ("ids", "labels")]
    for name in ("ids", "labels"):
        np.save(WORK / f"{name}.npy", numbers.integers(0, 64, (2, 128)))
    assert run(BIN / "hecaton-compile", WORK / "fit.onnx", "--backend=host", "-o", WORK / "host.so").returncode == 0
    host = run(BIN / "hecaton-sim", WORK / "host.so", *inputs).stdout
    want = float(re.search(r"loss (\S+)$", host, re.M)[1])
    given, seen = ("--micro-batch=1", "--recompute=none", "--units=blocks", "--weights=resident", "--weight-pieces=1"), set() # weights are streamed, or cut, where none of these fits
    needed = {b: int(re.search(r"the plan needs (\d+) bytes of SRAM", compile_model("fit.onnx", 24000, *given, f"--token-blocks={b}").stderr)[1]) for b in (1, 16)}
    print(f"bytes of SRAM by blocks: {needed}")
    for sram in sorted({needs + extra for needs in needed.values() for extra in (0, -64)} | {1 << 20}):
        fewest = next((b for b in BLOCKS if compile_model("fit.onnx", sram, *given, f"--token-blocks={b}").returncode == 0), None)
        chosen = compile_model("fit.onnx", sram, *given)
        assert (chosen.returncode == 0) == bool(fewest), f"SRAM {sram}: {fewest} blocks fit\n{chosen.stderr}"
        if not fewest:
            assert chosen.returncode == 1 and "error[E0402]" in chosen.stderr and "hint:" in chosen.stderr, chosen.stderr
            continue
        report = report_of(*inputs)
        seen.add(report["program"]["token_blocks"])
        assert report["program"]["token_blocks"] == fewest, f"SRAM {sram}: {report['program']['token_blocks']} chosen, {fewest} fit"
        assert abs(report["loss"][0] - want) <= 2e-6 * want, f"SRAM {sram}: loss {report['loss']}, the host's {want}"
        if fewest > 1:
            assert re.search(rf", {fewest} token blocks(, groups \S+)?: a step of", chosen.stderr) and "hecaton with micro-batch 1: does not fit" in chosen.stderr, chosen.stderr
    assert 1 in seen and len(seen) > 1, seen


def check_auto():
    best_at = set()
    for sizes in (("--hidden=32", "--heads=4", "--kv-heads=4", "--ffn=64", "--seq=8", "--batch=2"), ("--hidden=256", "--heads=8", "--kv-heads=8", "--ffn=1024", "--seq=512", "--batch=1")):
        model_write("auto.onnx", *sizes, "--no-weights")
        steps = {}
        for b in (*BLOCKS, "auto"):
            done = compile_model("auto.onnx", 1 << 25, f"--token-blocks={b}")
            assert done.returncode == 0, done.stderr
            steps[b] = report_of("--mode=timing")["time"]["step_s"]
        best = min(BLOCKS, key=steps.get)
        print(f"{' '.join(sizes)}: {steps}")
        assert steps["auto"] <= 1.03 * steps[best], f"{steps}"
        best_at.add(best)
    assert len(best_at) > 1, f"{best_at} best everywhere: nothing was shown"


def check_fit_goes_on():
    """Four blocks fit only with all activations stored; more, with some computed again, are better."""
    done = run(BIN / "hecaton-model", "llama2-7b", "--layers=1", "--batch=2", "--no-weights", "-o", WORK / "more.onnx")
    assert done.returncode == 0, done.stderr
    done = run(BIN / "hecaton-compile", WORK / "more.onnx", "--package=hecaton-8x8", "--dtype=bf16", "--micro-batch=1", "-o", WORK / "p.hct")
    assert done.returncode == 0, done.stderr
    steps = {int(blocks): float(seconds) for blocks, seconds in re.findall(r", (\d+) token blocks[^:]*: (?:a step of )?([\d.]+) s", done.stderr)}
    chosen = int(re.search(r", (\d+) token blocks[^:]*: a step of", done.stderr).group(1))
    assert chosen > min(steps) and steps[chosen] == min(steps.values()) < 0.95 * steps[min(steps)], done.stderr


def header(name):
    return re.search(rf"^{name} +(\S+)", run(BIN / "hecaton-objdump", "-h", WORK / "p.hct").stdout, re.M)[1]


def check_fit_leaves_one():
    """Where one block fits only with all activations stored, more are taken if that is better; where it fits as it is, one is."""
    model_write("one.onnx", "--layers=2", "--hidden=256", "--heads=8", "--kv-heads=8", "--ffn=1024", "--seq=256", "--batch=4", "--no-weights")
    left = 0
    for sram in (3300000, 3500000, 1 << 25):
        steps, stored = {}, False
        for blocks in ("1", "fit"):
            done = compile_model("one.onnx", sram, "--micro-batch=1", f"--token-blocks={blocks}")
            assert done.returncode == 0, done.stderr
            steps[blocks] = float(header("predicted_step_s"))
            stored |= blocks == "1" and "since computing some again does not fit in SRAM" in done.stderr
        chosen = int(header("token_blocks"))
        print(f"SRAM {sram}, one block stores everything: {stored}, {chosen} chosen: {steps}")
        assert steps["fit"] <= steps["1"] and (stored or chosen == 1), f"SRAM {sram}"
        left += chosen > 1
    assert left, "one block is best everywhere: nothing was shown"


check_fit()
check_auto()
check_fit_leaves_one()
check_fit_goes_on()
