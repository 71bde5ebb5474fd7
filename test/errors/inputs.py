#!/usr/bin/env python3
"""Bad input of each kind gives one clear located error and exit status 1: never a crash, never a partly written file.

usage: inputs.py BIN_DIRECTORY WORK_DIRECTORY
"""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
failures = 0


def refused(name, wanted, status, *args, output=None):
    """Runs, and holds the exit status, the text wanted on standard error, and that `output` does not exist."""
    global failures
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    leftovers = [p for p in WORK.iterdir() if ".tmp." in p.name]
    good = done.returncode == status and all(w in done.stderr for w in wanted) and not leftovers and (output is None or not output.exists())
    if status == 1:
        good = good and "error[E" in done.stderr
    if not good:
        failures += 1
        print(f"FAIL {name}: exit status {done.returncode}, leftovers {leftovers}\n{done.stderr}")


def model(name, nodes, inputs, outputs, initializers=(), opset=17):
    info = lambda n, t, s: helper.make_tensor_value_info(n, t, s)
    graph = helper.make_graph(nodes, "g", [info(*i) for i in inputs], [info(*o) for o in outputs], list(initializers))
    path = WORK / f"{name}.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString())
    return path


def compile_refused(name, wanted, path, *options, status=1):
    out = WORK / f"{name}.out"
    out.unlink(missing_ok=True)
    refused(name, wanted, status, BIN / "hecaton-compile", path, "-o", out, *options, output=out)


F, I = TensorProto.FLOAT, TensorProto.INT64
node = helper.make_node

compile_refused("absent", ["cannot open"], WORK / "nothing.onnx")
garbage = WORK / "garbage.onnx"
garbage.write_bytes(bytes(range(256)) * 8)
compile_refused("garbage", ["garbage.onnx", "not an ONNX model"], garbage)
empty = WORK / "empty.onnx"
empty.write_bytes(b"")
compile_refused("empty", ["not an ONNX model"], empty)
good = WORK / "good.onnx"
subprocess.run([BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=16", "--heads=2", "--vocab=16", "--seq=4", "--batch=2", "-o", good], check=True)
whole = good.read_bytes()
for cut in (1, len(whole) // 3, len(whole) - 1):
    (WORK / "cut.onnx").write_bytes(whole[:cut])
    compile_refused(f"cut{cut}", ["cut.onnx", "cut short"], WORK / "cut.onnx")
two = model("two", [node("Fancy", ["x"], ["a"], name="first"), node("StringNormalizer", ["a"], ["b"], name="second"), node("Neg", ["x"], ["y"])], [("x", F, [2])], [("y", F, [2])])
compile_refused("unknown", ["node 0 'first'", "Fancy", "node 1 'second'", "StringNormalizer", "opset 17"], two)
symbolic = model("symbolic", [node("Neg", ["x"], ["y"])], [("x", F, ["batch", 4])], [("y", F, None)])
compile_refused("unbound", ["input 'x'", "'batch'", "--dim=batch=N"], symbolic)
compile_refused("zero", ["dimension 0"], symbolic, "--dim=batch=0")
compile_refused("rank", ["rank 1"], symbolic, "--shape=x=4")
cycle = model("cycle", [node("Add", ["x", "b"], ["a"], name="one"), node("Neg", ["a"], ["b"], name="other")], [("x", F, [2])], [("b", F, [2])])
compile_refused("cycle", ["cycle"], cycle)
missing = model("missing", [node("Neg", ["nowhere"], ["y"], name="n")], [("x", F, [2])], [("y", F, [2])])
compile_refused("missing", ["node 0 'n'", "'nowhere'"], missing)
twice = model("twice", [node("Neg", ["x"], ["y"]), node("Exp", ["x"], ["y"])], [("x", F, [2])], [("y", F, [2])])
compile_refused("twice", ["made twice"], twice)
unfit = model("unfit", [node("Add", ["x", "z"], ["y"], name="sum")], [("x", F, [2]), ("z", F, [3])], [("y", F, [2])])
compile_refused("unfit", ["node 0 'sum'", "do not broadcast"], unfit)
short = TensorProto(name="w", data_type=F, dims=[4], raw_data=bytes(8))
compile_refused("short", ["initializer 'w'", "4 elements"], model("short", [node("Add", ["x", "w"], ["y"])], [("x", F, [4])], [("y", F, [4])], [short]))
compile_refused("noloss", ["E0302"], model("noloss", [node("Neg", ["x"], ["y"])], [("x", F, [4])], [("y", F, [4])]))
compile_refused("mesh", ["--mesh=0x4"], good, "--mesh=0x4")
compile_refused("micro", ["--micro-batch=0"], good, "--micro-batch=0")
compile_refused("optimizer", ["--optimizer=fast", "sgd"], good, "--optimizer=fast")
compile_refused("schedule", ["--schedule=none: the value must be one of fused|layerwise"], good, "--schedule=none")
compile_refused("report of IR", ["error[E", "--report", "no modelled time", "hint: --emit=image"], good, "--emit=dist", f"--report={WORK / 'r.json'}")
compile_refused("report of native code", ["error[E", "--report", "no modelled time", "hint: --backend=chiplet"], good, "--backend=host", f"--report={WORK / 'r.json'}")
compile_refused("strategy name", ["--strategy=optimum: the value must be one of hecaton|megatron-ring|megatron-torus|megatron-sequence|optimus|auto"], good, "--strategy=optimum")
compile_refused("package", ["hecaton-9x9", "shipped"], good, "--package=hecaton-9x9")
for option in ("dim", "shape", "constant", "loss", "keep-output", "trainable", "report", "print-ir-after"):
    compile_refused(f"empty {option}", [f"--{option}=: its value is missing"], good, f"--{option}=")
for shape in ("2,,4", "2,4,", ",4", ","):
    compile_refused(f"shape {shape}", [f"--shape=ids={shape}: '' is no dimension"], good, f"--shape=ids={shape}")
for seed in ("1.5", "1e3", "x"):
    compile_refused(f"seed {seed}", [f"--seed={seed}: the value must be a whole number"], good, f"--seed={seed}")
compile_refused("a pass that is none", ["--print-ir-after=hct-fly: there is no such pass", "hint: --print-pipeline"], good, "--print-ir-after=hct-fly")
compile_refused("option", ["unrecognized option"], good, "--nonsense", status=2)

package = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()


def xml(name, text, wanted):
    path = WORK / f"{name}.xml"
    path.write_text(text)
    compile_refused(name, [f"{name}.xml", *wanted], good, f"--package={path}")


xml("entity", package.replace("<package", '<!DOCTYPE package [<!ENTITY e SYSTEM "file:///etc/passwd">]><package', 1), ["document type"])
xml("notxml", "hello", [])
xml("rows", package.replace('rows="2"', 'rows="-1"', 1), ["'rows'", "'-1'", "from 1 to 1024"])
xml("rows2", package.replace('rows="2"', 'rows="two"', 1), ["'rows'", "'two'"])
xml("absent2", package.replace(' efficiency="0.92"', ""), ["'efficiency' is missing"])
xml("capacity", package.replace('channel_capacity_bytes="68719476736"', 'channel_capacity_bytes="1000"'), ["'channel_capacity_bytes'", "from 1048576 to 1125899906842624"])
xml("extra", package.replace("<queue ", '<turbo on="1"/><queue '), ["turbo"])
xml("channels", package.replace('channels="8"', 'channels="9"'), ["channels"])

image = WORK / "good.hct"
subprocess.run([BIN / "hecaton-compile", good, "-o", image, "--package=hecaton-2x2"], check=True, capture_output=True)
ids, labels = WORK / "ids.npy", WORK / "labels.npy"
np.save(ids, np.zeros((2, 4), np.int64)), np.save(labels, np.zeros((2, 4), np.int64))
sim = lambda name, wanted, *a, program=image, status=1: refused(name, wanted, status, BIN / "hecaton-sim", program, *a)
sim("noinput", ["input 'ids'", "i64[2,4]"])
np.save(WORK / "wrong.npy", np.zeros((2, 5), np.int64))
sim("shape", ["i64[2,5]", "i64[2,4]"], "--input", f"ids={WORK}/wrong.npy", "--input", f"labels={labels}")
sim("name", ["there is no input 'idz'"], "--input", f"idz={ids}")
sim("notnpy", ["garbage.onnx"], "--input", f"ids={garbage}", "--input", f"labels={labels}")
np.save(WORK / "high.npy", np.full((2, 4), 99, np.int64))
sim("token", ["index 99", "16 rows"], "--input", f"ids={WORK}/high.npy", "--input", f"labels={labels}")
bad = np.zeros((2, 4), np.int64)
bad[0, 1], bad[0, 3], bad[1, 0], bad[1, 2] = 70, 71, 72, 73
np.save(WORK / "many.npy", bad)
first = {subprocess.run([str(BIN / "hecaton-sim"), str(image), "--input", f"ids={WORK}/many.npy", "--input", f"labels={labels}", f"--threads={t}"], capture_output=True, text=True).stderr for t in [1] + [2, 3, 4] * 5}
if len(first) != 1 or not any("error[E0703]" in text for text in first):
    failures += 1
    print("FAIL the first fault depends on the number of threads:", first)
# Labels that name no class, by both backends and where the loss is appended; those that are ignored and the last class are taken.
host, flat = WORK / "good.so", model("flat", [node("Identity", ["x"], ["y"]), node("MatMul", ["y", "w"], ["logits"])], [("x", F, [3, 5])], [("logits", F, [3, 7])], [numpy_helper.from_array(np.ones((5, 7), np.float32), "w")])
appended = WORK / "appended.hct"
subprocess.run([BIN / "hecaton-compile", good, "-o", host, "--backend=host"], check=True, capture_output=True)
subprocess.run([BIN / "hecaton-compile", flat, "-o", appended, "--mesh=1x2", "--loss=cross-entropy:logits"], check=True, capture_output=True)
np.save(WORK / "x.npy", np.ones((3, 5), np.float32))
for program, given, shape, classes in ((image, f"ids={ids}", (2, 4), 16), (host, f"ids={ids}", (2, 4), 16), (appended, f"x={WORK}/x.npy", (3,), 7)):
    for value, fits in ((classes, False), (-1, False), (classes - 1, True), (-100, True)):
        some = np.zeros((2, *shape), np.int64)
        some[(1, *(d - 1 for d in shape))] = value
        np.save(WORK / "some.npy", some)
        options = ["--input", given, "--input", f"labels={WORK}/some.npy", "--steps=2", "--mode=functional"]
        at = ",".join(str(d - 1) for d in shape)
        if not fits:
            sim(f"label {value}", [f"some.npy: error[E0701]: input 'labels' has {value} at [{at}] in step 1; it names classes, which are 0 to {classes - 1}", "-100 is ignored"], *options, program=program)
        elif subprocess.run([BIN / "hecaton-sim", program, *options], capture_output=True).returncode:
            failures += 1
            print(f"FAIL label {value} of {program} is refused")
# Labels that are shifted by a slice, or by a padding and a slice, as causal language models do: those that the loss reads, and no others.
ints = lambda name, *values: numpy_helper.from_array(np.array(values), name)
tail = [node("Reshape", ["kept", "flat"], ["rows"]), node("Reshape", ["shifted", "all"], ["named"]), node("SoftmaxCrossEntropyLoss", ["rows", "named"], ["loss"], ignore_index=-100)]
constants = [numpy_helper.from_array(np.ones((5, 7), np.float32), "w"), ints("one", 1), ints("two", 2), ints("three", 3), ints("zero", 0), ints("end", 99), ints("flat", -1, 7), ints("all", -1), ints("pads", 0, 0, 0, 1),
             numpy_helper.from_array(np.int64(-100), "ignored")]
product = node("MatMul", ["x", "w"], ["logits"])
shifts = {"slice": [product, node("Slice", ["logits", "zero", "three", "one"], ["kept"]), node("Slice", ["labels", "one", "end", "one"], ["shifted"])],
          "padding": [product, node("Identity", ["logits"], ["kept"]), node("Pad", ["labels", "pads", "ignored"], ["longer"]), node("Slice", ["longer", "one", "end", "one"], ["shifted"])],
          "steps": [product, node("Slice", ["logits", "zero", "two", "one"], ["kept"]), node("Slice", ["labels", "zero", "end", "one", "two"], ["shifted"])]}
for kind, nodes in shifts.items():
    path = model(f"shift_{kind}", [*nodes, *tail], [("x", F, [2, 4, 5]), ("labels", I, [2, 4])], [("loss", F, [])], constants)
    for target, program in ((["--mesh=1x2"], WORK / "shift.hct"), (["--backend=host"], WORK / "shift.so")):
        subprocess.run([BIN / "hecaton-compile", path, "-o", program, *target], check=True, capture_output=True)
        np.save(WORK / "x.npy", np.ones((2, 4, 5), np.float32))
        for column in range(4):
            some = np.zeros((2, 4), np.int64)
            some[1, column] = 7
            np.save(WORK / "some.npy", some)
            options = ["--input", f"x={WORK}/x.npy", "--input", f"labels={WORK}/some.npy", "--mode=functional"]
            if column % 2 == 0 if kind == "steps" else column > 0:
                sim(f"label shifted by a {kind}, {program.suffix}", [f"input 'labels' has 7 at [1,{column}] in step 0; it names classes, which are 0 to 6"], *options, program=program)
            elif subprocess.run([BIN / "hecaton-sim", program, *options], capture_output=True).returncode:
                failures += 1
                print(f"FAIL label {column}, which the {kind} leaves out, is refused")
sim("output", ["there is no output 'grad:nothing'"], "--input", f"ids={ids}", "--input", f"labels={labels}", "--output", f"grad:nothing={WORK}/g.npy")
sim("mode", ["--mode=fast"], "--mode=fast")
sim("output of a timing run", [f"--output loss={WORK}/l.npy: a timing run has no numbers; --mode=functional"], "--mode=timing", "--output", f"loss={WORK}/l.npy")
sim("set", ["--set colour=1"], "--input", f"ids={ids}", "--input", f"labels={labels}", "--set", "colour=1")
sim("usage", ["unrecognized option"], "--nonsense", status=2)
sim("onnx", ["not a Hecaton program image"], program=good)
# Where writing fails for want of room, that is said; what is no file is written to, and not replaced.
given = ["--input", f"ids={ids}", "--input", f"labels={labels}", "--mode=functional"]
little = ["/bin/bash", "-c", 'ulimit -f 4; exec "$@"', "-"]
for option in ("--checkpoint", "--save-model", "--report"):
    path = WORK / "large"
    refused(f"{option} of too many bytes", ["large: error[E0101]: cannot write: File too large"], 1, *little, BIN / "hecaton-sim", image, *given, option, path, output=path)
refused("a dump of too many bytes", ["large: error[E0101]: cannot write: File too large"], 1, *little, BIN / "hecaton-compile", good, "--emit=dist", "-o", path, output=path)
refused("an image of too many bytes", ["large: error[E0101]: cannot write the image: File too large"], 1, *little, BIN / "hecaton-compile", good, "-o", path, output=path)
pipe = WORK / "pipe"
pipe.unlink(missing_ok=True)
os.mkfifo(pipe)
for options, begins in ((["hecaton-sim", image, *given, f"--report={pipe}"], b"{"), (["hecaton-compile", good, "--emit=dist", "-o", pipe], b"#loc")):
    reader = subprocess.Popen(["cat", str(pipe)], stdout=(WORK / "piped").open("wb"))
    done = subprocess.run([str(BIN / options[0]), *(str(o) for o in options[1:])], capture_output=True, text=True)
    if done.returncode or not pipe.is_fifo():
        reader.kill()
    reader.wait()
    if done.returncode or not pipe.is_fifo() or not (WORK / "piped").read_bytes().startswith(begins):
        failures += 1
        print(f"FAIL {options[0]} to a pipe: exit status {done.returncode}\n{done.stderr}")
pipe.unlink()
data = bytearray(image.read_bytes())
for at in list(range(0, 64, 7)) + list(range(64, len(data), max(1, len(data) // 60))):
    for value in (0x00, 0xFF):
        broken = bytearray(data)
        if broken[at] == value:
            continue
        broken[at] = value
        path = WORK / "broken.hct"
        path.write_bytes(broken)
        done = subprocess.run([str(BIN / "hecaton-sim"), str(path), "--mode=timing"], capture_output=True, text=True, timeout=60)
        if done.returncode not in (0, 1) or (done.returncode == 1 and "error[E" not in done.stderr):
            failures += 1
            print(f"FAIL byte {at} = {value}: exit status {done.returncode}\n{done.stderr[:300]}")
for cut in range(0, len(data), max(1, len(data) // 40)):
    (WORK / "broken.hct").write_bytes(data[:cut])
    sim(f"cut image {cut}", ["broken.hct"], program=WORK / "broken.hct")
print("failures:", failures)
sys.exit(1 if failures else 0)
