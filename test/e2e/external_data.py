#!/usr/bin/env python3
"""Parameters in files of their own: the image names file, offset, length and checksum, and runs as one that holds them; what does not fit is refused.

usage: external_data.py BIN_DIRECTORY WORK_DIRECTORY
"""
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import check, done, finish, run, tools_from  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
tools_from(BIN)
shutil.rmtree(WORK, ignore_errors=True)
MODELS, OUT, FAR = WORK / "models", WORK / "out", WORK / "far" / "away"
for folder in (MODELS, OUT, FAR):
    folder.mkdir(parents=True)


def refused(name, result, *wanted):
    check(name, result.returncode == 1 and "error[E" in result.stderr and all(w in result.stderr for w in wanted), f"exit status {result.returncode}\n{result.stderr}")


# ---- one model three times: data inside, outside, and outside but gone ----
inside, outside = MODELS / "inside.onnx", MODELS / "outside.onnx"
done("hecaton-model", "gpt2", "--layers=1", "--hidden=16", "--heads=2", "--vocab=24", "--seq=4", "--batch=4", "--seed=3", "-o", inside)
onnx.save(onnx.load(str(inside)), str(outside), save_as_external_data=True, location="outside.bin", size_threshold=0, convert_attribute=True)
data = MODELS / "outside.bin"
parameters = [t.name for t in onnx.load(str(inside)).graph.initializer]
ids, labels = WORK / "ids.npy", WORK / "labels.npy"
tokens = np.arange(17, dtype=np.int64) * 7 % 24
np.save(ids, tokens[:16].reshape(4, 4)), np.save(labels, tokens[1:].reshape(4, 4))
inputs = ["--input", f"ids={ids}", "--input", f"labels={labels}"]
target = ["--package=hecaton-2x2", "--micro-batch=2"]


def results(program):
    outputs = [a for i, n in enumerate(parameters) for a in ("--output", f"param:{n}={WORK}/{i}.npy")]
    text = done("hecaton-sim", program, "--mode=functional", "--steps=3", *inputs, *outputs).stdout
    return [line for line in text.splitlines() if line.startswith("step ")][:3], [np.load(WORK / f"{i}.npy").tobytes() for i in range(len(parameters))]


for backend in ("chiplet", "host"):
    options = [f"--backend={backend}", *target]
    for model in (inside, outside):
        done("hecaton-compile", model, "-o", OUT / f"{model.stem}.{backend}", *options)
    check(f"{backend}: the same losses and trained weights", results(OUT / f"inside.{backend}") == results(OUT / f"outside.{backend}"))
    sizes = [(OUT / f"{m.stem}.{backend}").stat().st_size for m in (inside, outside)]
    check(f"{backend}: the image is without the data", sizes[0] - sizes[1] > data.stat().st_size // 2, sizes)
image = OUT / "outside.chiplet"
text, again = OUT / "outside.hctasm", OUT / "again.hct"
text.write_text(done("hecaton-objdump", "--text", image).stdout)
rows = [line for line in text.read_text().splitlines() if '"role":"param"' in line]
check("each parameter names its place", len(rows) == len(parameters) and all('"file":"../models/outside.bin","offset":' in r and '"xxh3":' in r and '"hex"' not in r for r in rows))
done("hecaton-as", text, "-o", again)
check("text and back", again.read_bytes() == image.read_bytes())
for level in ("onnx", "graph", "dist", "tile"):
    dump = FAR / f"{level}.mlir"
    done("hecaton-compile", outside, "-o", dump, *target, f"--emit={level}")
    check(f"{level} dump names the file from its folder", '"../../models/outside.bin|' in dump.read_text())
    done("hecaton-opt", dump, "--emit=image", "-o", again)
    check(f"{level} dump gives the same image in another folder", again.read_bytes() == image.read_bytes())

# ---- data that changes after the model was compiled ----
whole = data.read_bytes()
first, host = rows[0].split('"name":"')[1].split('"')[0], OUT / "outside.host"
for program in (image, host):
    data.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    refused("changed", run("hecaton-sim", program, "--mode=functional", *inputs), f"outside.bin: error[E0701]: the data of '{first}' has changed", str(program), "hint: ")
    data.write_bytes(whole[:100])
    refused("cut", run("hecaton-sim", program, "--mode=functional", *inputs), "outside.bin: error[E0701]", "has no", str(program))
    data.rename(WORK / "kept")
    refused("gone", run("hecaton-sim", program, "--mode=functional", *inputs), "outside.bin: error[E0101]: cannot open", str(program))
    (WORK / "kept").rename(data)
    data.write_bytes(whole)
data.rename(WORK / "kept")
check("timing needs no data", run("hecaton-sim", image, "--mode=timing").returncode == 0)

# ---- data that is absent from the start ----
refused("a mask is needed to compile", run("hecaton-compile", outside, "-o", OUT / "no", *target), "Constant", "the values of 'value' are needed", "outside.bin")
onnx.save(onnx.load(str(inside)), str(outside), save_as_external_data=True, location="outside.bin", size_threshold=0, convert_attribute=False)
there = OUT / "there.hct"
done("hecaton-compile", outside, "-o", there, *target)
data.unlink()
absent = OUT / "absent.hct"
said = done("hecaton-compile", outside, "-o", absent, *target).stderr
check("one remark", said.count("without data") == 1 and f"{len(parameters)} parameters" in said and "outside.bin is not there" in said, said)
listed = done("hecaton-objdump", "--text", absent).stdout
check("no data for parameters", all('"file"' not in line and '"hex"' not in line for line in listed.splitlines() if '"role":"param"' in line))
check("it is timed by default", "step time" in done("hecaton-sim", absent).stdout)
strip = lambda text: [line for line in text.splitlines() if "time" in line or "DRAM" in line or "NoP" in line]
check("with the same time", strip(done("hecaton-sim", absent).stdout) == strip(done("hecaton-sim", there, "--mode=timing").stdout))
for mode in ("functional", "both"):
    refused(f"{mode} without weights", run("hecaton-sim", absent, f"--mode={mode}", *inputs), "absent.hct: error[E0701]: parameter '", "without data", "--mode=timing")
done("hecaton-compile", outside, "-o", OUT / "absent.so", "--backend=host")
refused("host without weights", run("hecaton-sim", OUT / "absent.so", *inputs), "absent.so: error[E0701]: parameter '", "without data")
done("hecaton-compile", outside, "-o", FAR / "absent.mlir", *target, "--emit=dist")
done("hecaton-opt", FAR / "absent.mlir", "--emit=image", "-o", again)
check("a dump of it gives the same image", again.read_bytes() == absent.read_bytes())

# ---- places and lengths that do not fit ----
(MODELS / "good.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
(WORK / "secret.bin").write_bytes(bytes(64))
(MODELS / "out.bin").symlink_to("../secret.bin")
(MODELS / "up").symlink_to("..")
(MODELS / "loop").symlink_to("loop")
(MODELS / "inner.bin").symlink_to("good.bin")
(MODELS / "folder").mkdir()
os.mkfifo(MODELS / "pipe")


def small(name, dims=(4,), kind=TensorProto.FLOAT, node=("Add", ["x", "w"]), **entries):
    weight = TensorProto(name="w", data_type=kind, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        weight.external_data.add(key=key, value=str(value))
    graph = helper.make_graph([helper.make_node(*node, ["y"]), helper.make_node("ReduceSum", ["y"], ["loss"], keepdims=0)], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])], [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])], [weight])
    path = MODELS / f"{name}.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    return run("hecaton-compile", path, "-o", OUT / f"{name}.hct", "--package=hecaton-2x2", "--mode=infer")


for name, entries in {"plain": {"location": "good.bin"}, "whole": {"location": "good.bin", "offset": 0, "length": 16}, "link": {"location": "inner.bin"}, "dots": {"location": "./good.bin"},
                      "later": {"location": "nothing.bin", "offset": 1 << 40, "length": 16}}.items():
    result = small(name, **entries)
    check(name, result.returncode == 0, result.stderr)
for name, wanted, entries in [
        ("nowhere", ["no location"], {}),
        ("empty", ["no path inside"], {"location": ""}),
        ("parent", ["'../secret.bin'", "no path inside", "folder of the model"], {"location": "../secret.bin"}),
        ("inner parent", ["no path inside"], {"location": "folder/../../secret.bin"}),
        ("absolute", ["no path inside"], {"location": f"{WORK}/secret.bin"}),
        ("linked", ["'out.bin'", "leads out"], {"location": "out.bin"}),
        ("linked folder", ["leads out"], {"location": "up/secret.bin"}),
        ("loop", ["cannot be opened"], {"location": "loop"}),
        ("folder", ["not a regular file"], {"location": "folder"}),
        ("pipe", ["not a regular file"], {"location": "pipe"}),
        ("length", ["has 12 bytes; its shape needs 16"], {"location": "good.bin", "length": 12}),
        ("absent length", ["has 12 bytes; its shape needs 16"], {"location": "nothing.bin", "length": 12}),
        ("offset", ["16 bytes at 4", "which has 16"], {"location": "good.bin", "offset": 4}),
        ("far offset", ["which has 16"], {"location": "good.bin", "offset": (1 << 63) - 1}),
        ("minus", ["offset '-4'"], {"location": "good.bin", "offset": -4}),
        ("words", ["length 'all'"], {"location": "good.bin", "length": "all"}),
]:
    refused(name, small(name, **entries), f"{name}.onnx: initializer 'w': error[E" if "regular" not in wanted[0] else "error[E", *wanted)
    check(f"{name}: nothing is written", not (OUT / f"{name}.hct").exists())
refused("overflow", small("overflow", dims=(1 << 30, 1 << 30, 1 << 30), location="nothing.bin"), "initializer 'w'", "more than")
refused("minus dims", small("minus dims", dims=(-1,), location="nothing.bin"), "dimension 0 is -1")
refused("shape", small("shape", dims=(1,), kind=TensorProto.INT64, node=("Reshape", ["x", "w"]), location="nothing.bin"), "initializer 'w'", "the values of 'w' are needed to compile", "byte 0 of", "nothing.bin")
large = small("large", dims=(1 << 29, 4), location="nothing.bin")  # 8 GiB
check("over 2 GiB it is the plan that does not fit", "error[E0402]" in large.stderr or "error[E0403]" in large.stderr, large.stderr)
finish()
