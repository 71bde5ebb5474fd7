#!/usr/bin/env python3
"""What is frozen costs nothing: LoRA as PyTorch exports it has gradients, optimizer states and their DRAM traffic for its adapters alone, and the
products of backward that frozen weights would need are not computed.

usage: fine_tuning.py BIN_DIRECTORY SHARED_DIRECTORY WORK_DIRECTORY MESH[,MESH...]
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

BIN, GOLDEN, WORK = Path(sys.argv[1]), Path(sys.argv[2]) / "goldens/llama_lora", Path(sys.argv[3])
WORK.mkdir(parents=True, exist_ok=True)
ADAPTERS = "--trainable=*.lora_?"
model = onnx.load(GOLDEN / "model.onnx")
SHAPES = {i.name: numpy_helper.to_array(i).shape for i in model.graph.initializer if i.data_type == onnx.TensorProto.FLOAT and i.dims}
TRAINED = {n for n in SHAPES if n[-2:] in ("_a", "_b")}
BATCH, TOKENS = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
INPUTS = [f for k, i in enumerate(model.graph.input) for f in ("--input", f"{i.name}={GOLDEN}/test_data_set_0/input_{k}.pb")]


def run(*args, status=0):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == status, f"{' '.join(map(str, args))}\n{done.stderr}"
    return done


def report(mesh, *options):
    """of one step: as predicted, and as counted"""
    run(BIN / "hecaton-compile", GOLDEN / "model.onnx", f"--mesh={mesh}", "--micro-batch=2", *options, "-o", WORK / "m.hct", "--report", WORK / "predicted.json")
    run(BIN / "hecaton-sim", WORK / "m.hct", *INPUTS, "--report", WORK / "counted.json")
    predicted, counted = (json.loads((WORK / f"{n}.json").read_text()) for n in ("predicted", "counted"))
    assert predicted["dram"]["by_role"] == counted["dram"]["by_role"] and predicted["traffic"] == counted["traffic"]
    return counted


def nbytes(names):
    return sum(4 * int(np.prod(SHAPES[n])) for n in names)


def tiles(role, names):
    """bytes of the largest tiles, which is what each die has room for"""
    lines = [line.split() for line in run(BIN / "hecaton-objdump", "-t", WORK / "m.hct").stdout.splitlines()]
    sizes = {line[-1]: int(line[3]) for line in lines if line[0] == role}
    return sum(sizes[n] for n in names)


def saved_macs():
    """The gradients of frozen weights; and all that reaches nothing but them: gradients of the first layer's input, and of its keys."""
    rows, hidden, rank = BATCH * TOKENS, SHAPES["layers.0.k.weight"][0], SHAPES["layers.0.q.lora_a"][1]
    frozen = sum(rows * int(np.prod(s)) for n, s in SHAPES.items() if n not in TRAINED and len(s) == 2 and n != "embed.weight")
    return frozen + 3 * rows * hidden * hidden + 2 * rows * hidden * rank + rows * TOKENS * hidden


for mesh in sys.argv[4].split(","):
    dies = int(np.prod([int(n) for n in mesh.split("x")]))
    adamw, room = report(mesh, ADAPTERS), dies * tiles("param", TRAINED)
    held, trained, scalar = adamw["dram"]["by_role"], nbytes(TRAINED), 4 * dies
    sgd, none, every = report(mesh, ADAPTERS, "--optimizer=sgd"), report(mesh, ADAPTERS, "--optimizer=none"), report(mesh)
    assert held["state"] == 2 * room + scalar, f"{mesh}: {held['state']} bytes of state for {room} of trained parameters"
    assert "gradient" not in held and none["dram"]["by_role"]["gradient"] == room, f"{mesh}: {none['dram']['by_role']}"
    assert every["dram"]["by_role"]["state"] == 2 * every["dram"]["by_role"]["param"] + scalar
    for name in ("dram_read_bytes", "dram_write_bytes"):
        more = adamw["traffic"][name] - sgd["traffic"][name]
        assert more == 2 * trained, f"{mesh}: {more} bytes of {name} for states of {trained} of trained parameters"
    written = {"adamw": (adamw, 3 * trained + 2 * scalar), "sgd": (sgd, trained + 2 * scalar), "none": (none, trained + scalar)}
    for name, (made, least) in written.items():
        assert made["traffic"]["dram_write_bytes"] == least + made["dram"]["by_role"].get("spill", 0), f"{mesh} {name}: {made['traffic']['dram_write_bytes']} bytes written, {least} and what is spilled are to be"
    less = every["compute"]["macs"] - adamw["compute"]["macs"]
    assert less == saved_macs(), f"{mesh}: freezing saves {less} MACs, not {saved_macs()}"
    print(f"{mesh}: {held['state']} bytes of state, {adamw['traffic']['dram_write_bytes']} written, {every['traffic']['dram_write_bytes']} where all is trained, {less} MACs less")
run(BIN / "hecaton-compile", GOLDEN / "model.onnx", "--mesh=1x1", ADAPTERS, "--optimizer=none", "-o", WORK / "m.hct")
refused = run(BIN / "hecaton-sim", WORK / "m.hct", *INPUTS, "--output", f"grad:layers.0.k.weight={WORK / 'g.npy'}", status=1)
assert "there is no output 'grad:layers.0.k.weight'" in refused.stderr and not (WORK / "g.npy").exists(), refused.stderr
