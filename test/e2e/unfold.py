#!/usr/bin/env python3
"""Of more than 16 equal layers six are compiled, and the backend puts the others back: every layer's parameters are trained as native code
trains them; what is said of the program is, for each layer more, as much more as from 7 layers to 8, which are compiled as they are; tensors and
rows of the report have the layers' names. So where optimizer steps wait for the norm of all gradients, which lie in DRAM meanwhile: then it is, to the picosecond and
byte, the program that comes of a dump of all layers.

usage: unfold.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
SIZES = {"hidden": 32, "heads": 4, "kv-heads": 2, "ffn": 48, "vocab": 24, "seq": 8, "batch": 4}
LAYERS = 22
WEIGHTS = ("input_norm", "q", "k", "v", "o", "post_norm", "gate", "up", "down")
numbers = np.random.default_rng(3)
for name in ("ids", "labels"):
    np.save(WORK / f"{name}.npy", numbers.integers(0, SIZES["vocab"], (SIZES["batch"], SIZES["seq"])).astype(np.int64))


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"
    return done.stdout + done.stderr


def compile_to(path, layers, *options):
    return run(BIN / "hecaton-compile", WORK / f"{layers}.onnx", "-o", path, *options)


def trained(program):
    outputs = [f"--output=param:layers.{n}.{w}.weight={WORK}/{n}.{w}.npy" for n in range(LAYERS) for w in WEIGHTS]
    run(BIN / "hecaton-sim", program, "--mode=functional", f"--input=ids={WORK}/ids.npy", f"--input=labels={WORK}/labels.npy", *outputs)
    return {(n, w): np.load(WORK / f"{n}.{w}.npy") for n in range(LAYERS) for w in WEIGHTS}


def figures(program):
    run(BIN / "hecaton-sim", program, "--mode=timing", "--report", WORK / "r.json")
    r = json.loads((WORK / "r.json").read_text())
    got = {"model_flops": r["compute"]["model_flops"], "parameters": r["program"]["parameters"], "fallbacks": r["program"]["fallbacks"], "macs": r["compute"]["macs"]}
    got |= {field: r["traffic"][field] for field in ("dram_compulsory_bytes", "dram_relaxed_bytes", "dram_read_bytes", "dram_write_bytes", "nop_injected_bytes")}
    return got | {role: r["dram"]["by_role"][role] for role in ("param", "state", "spill")}, r


def check_growth(options, whole):
    for layers in (7, 8):
        assert "equal layers, which" not in compile_to(WORK / f"{layers}.hct", layers, *options)
    (fewer, _), (some, _) = (figures(WORK / f"{layers}.hct") for layers in (7, 8))
    for field, value in whole.items():
        due = some[field] + (LAYERS - 8) * (some[field] - fewer[field])
        assert value == due, f"{options}: {field} is {value}, and should be {due}"


def check_dumped(options, r):
    """Against the program that a dump gives, which has all layers."""
    compile_to(WORK / "tile.mlir", LAYERS, *options, "--emit=tile")
    run(BIN / "hecaton-opt", WORK / "tile.mlir", "--emit=image", "-o", WORK / "dumped.hct")
    _, dumped = figures(WORK / "dumped.hct")
    for one in (r, dumped):  # named are some of many that are equal
        del one["dram"]["largest_tensors"], one["sram"]["worst_moment"]["largest_buffers"]
    for part in ("time", "energy", "traffic", "compute", "sram", "dram"):
        assert r[part] == dumped[part], f"{options}: {part} is {r[part]}, and of all layers {dumped[part]}"


def check(options, want):
    said = compile_to(WORK / "whole.hct", LAYERS, *options)
    assert "remark: compiled are 6 of" in said, said
    got = trained(WORK / "whole.hct") if want else {}
    for key, value in want.items():
        assert np.abs(got[key] - value).max() <= 2e-5 * np.abs(value).max(), f"{options}: layer {key[0]}, {key[1]}"
    whole, r = figures(WORK / "whole.hct")
    if SMALL in options or MIDDLE in options:
        check_dumped(options, r)
    else:
        check_growth(options, whole)
    rows = [row["name"] for row in r["per_layer"]]
    ranges = [name for name in rows if " .. " in name and name.split(" .. ")[0].split(".")[2:] != name.split(" .. ")[1].split(".")[2:]]
    assert not ranges and any(" .. " in name for name in rows), rows
    table = run(BIN / "hecaton-objdump", "-t", WORK / "whole.hct")
    for n in range(LAYERS):
        assert f"layers.{n}.down.weight" in table, f"no layers.{n}.down.weight"


for layers in (7, 8, LAYERS):
    run(BIN / "hecaton-model", "tinyllama-1.1b", f"--layers={layers}", *(f"--{k}={v}" for k, v in SIZES.items()), "--seed=5", "-o", WORK / f"{layers}.onnx")
package = (BIN / "../share/hecaton/packages/hecaton-2x2.xml").read_text()
for name, sram_bytes in (("small", 40000), ("middle", 160000)):  # neither has room for gradients of all layers; the second has for those of six
    (WORK / f"{name}.xml").write_text(re.sub(r'sram bytes="\d+"', f'sram bytes="{sram_bytes}"', package))
SMALL, MIDDLE = (f"--package={WORK}/{name}.xml" for name in ("small", "middle"))
OPTIONS = {  # of training, and with each some that do not change the result
    ("--optimizer=sgd", "--lr=0.1"): (("--micro-batch=1",), ("--micro-batch=2", "--recompute=all", "--checkpoint=2", "--mesh=2x3"), (SMALL, "--micro-batch=1", "--recompute=none", "--loss-scale=auto")),
    ("--optimizer=sgd", "--lr=5", "--clip-norm=0.1"): (
        (SMALL, "--micro-batch=1", "--recompute=none"), (SMALL, "--micro-batch=2", "--recompute=all", "--checkpoint=2"), (SMALL, "--micro-batch=1", "--recompute=all", "--overlap=none", "--strategy=megatron-ring"),
        (MIDDLE, "--micro-batch=1", "--recompute=none"),
        (SMALL, "--micro-batch=1", "--recompute=all", "--objective=dram", "--token-blocks=2", "--update-chunk=16"), (SMALL, "--micro-batch=3", "--recompute=none", "--loss-scale=auto")),
    ("--optimizer=adamw",): (("--micro-batch=2", "--recompute=none"), (SMALL, "--micro-batch=1", "--recompute=none", "--clip-norm=0.1", "--loss-scale=auto", "--dtype=f16")),
}
for training, others in OPTIONS.items():
    sgd = "--optimizer=sgd" in training
    if sgd:
        compile_to(WORK / "host.so", LAYERS, "--backend=host", *training)
        want = trained(WORK / "host.so")
    for options in others:
        check(("--mesh=2x2", "--groups=blocks", *training, *options), want if sgd else {})
print("ok")
