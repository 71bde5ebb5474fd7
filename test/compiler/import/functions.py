#!/usr/bin/env python3
"""Functions of models compute what NumPy computes from what they say, and calls that cannot be replaced are refused.

usage: functions.py BIN_DIRECTORY WORK_DIRECTORY
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, TensorProto, helper, numpy_helper

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
failures = 0
node, opset = helper.make_node, helper.make_opsetid
X = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)


def reference(node_made, inner, outer, kind):
    """The attribute `inner` of a node is the call's `outer`."""
    node_made.attribute.append(AttributeProto(name=inner, ref_attr_name=outer, type=kind))
    return node_made


def function(name, inputs, outputs, nodes, attributes=(), version=17, domain="local", defaults=(), overload=""):
    made = helper.make_function(domain, name, inputs, outputs, nodes, [opset("", version), opset("local", 1)], attributes)
    data = made.SerializeToString()
    for value in defaults:  # FunctionProto.attribute_proto, which ONNX 1.12 does not know
        data += field(11, value.SerializeToString())
    return data + (field(13, overload.encode()) if overload else b"")


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def field(tag, data):
    return varint(tag << 3 | 2) + varint(len(data)) + data


def model(name, nodes, outputs, functions, version=17, inputs=(("x", [2, 3, 4]),)):
    info = lambda n, s: helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
    graph = helper.make_graph(nodes, "g", [info(*i) for i in inputs], [info(o, None) for o in outputs])
    data = helper.make_model(graph, opset_imports=[opset("", version), opset("local", 1)]).SerializeToString()
    path = WORK / f"{name}.onnx"
    path.write_bytes(data + b"".join(field(25, f) for f in functions))
    return path


def fail(name, text):
    global failures
    failures += 1
    print(f"FAIL {name}: {text}")


def computes(name, path, wanted, mesh="1x1"):
    image, out = WORK / f"{name}.hct", WORK / f"{name}.npy"
    np.save(WORK / "x.npy", X)
    for command in ([BIN / "hecaton-compile", path, "--mode=infer", f"--mesh={mesh}", "-o", image],
                    [BIN / "hecaton-sim", image, "--mode=functional", "--input", f"x={WORK / 'x.npy'}", "--output", f"y={out}"]):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode:
            return fail(name, f"exit status {done.returncode}\n{done.stderr}")
    got = np.load(out)
    if got.shape != wanted.shape or not np.allclose(got, wanted, 1e-5, 1e-6):
        fail(name, f"off by {np.abs(got - wanted).max() if got.shape == wanted.shape else got.shape}")


def refused(name, path, *wanted):
    done = subprocess.run([str(BIN / "hecaton-compile"), str(path), "--mode=infer", "--mesh=1x1", "-o", str(WORK / "refused.hct")], capture_output=True, text=True)
    if done.returncode != 1 or "error[E" not in done.stderr or not all(w in done.stderr for w in wanted):
        fail(name, f"exit status {done.returncode}\n{done.stderr}")


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


call = lambda f, i, o, **kw: node(f, i, o, domain="local", **kw)
FLOAT, INT = AttributeProto.FLOAT, AttributeProto.INT

# An attribute of the call; names inside that are also names outside; a function within a function; two calls of one function.
scaled = function("Scaled", ["a"], ["y"], [reference(node("Constant", [], ["x"]), "value_float", "by", FLOAT), node("Mul", ["a", "x"], ["y"])], ["by"])
twice = function("Twice", ["x"], ["z"], [call("Scaled", ["x"], ["y"], by=3.0, name="in"), node("Exp", ["y"], ["t"]), reference(call("Scaled", ["t"], ["z"]), "by", "factor", FLOAT)], ["factor"])
nodes = [call("Twice", ["x"], ["t"], factor=0.5, name="first"), call("Scaled", ["x"], ["first#0/y"], by=-1.0), node("Add", ["t", "first#0/y"], ["y"])]
computes("nested", model("nested", nodes, ["y"], [scaled, twice]), 0.5 * np.exp(3 * X) - X)
computes("nested_2x2", WORK / "nested.onnx", 0.5 * np.exp(3 * X) - X, "2x2")

# Its own opset: before 13, softmax is over all dimensions from its axis on. The opset also goes through a dump of the onnx level.
flat = function("Flat", ["a"], ["y"], [node("Softmax", ["a"], ["y"], axis=1)], version=11)
path = model("opset", [call("Flat", ["x"], ["f"]), node("Softmax", ["x"], ["s"], axis=1), node("Add", ["f", "s"], ["y"])], ["y"], [flat])
wanted = softmax(X.reshape(2, 12), 1).reshape(X.shape) + softmax(X, 1)
computes("opset", path, wanted)
subprocess.run([BIN / "hecaton-compile", path, "--mode=infer", "--mesh=1x1", "--emit=onnx", "-o", WORK / "opset.mlir"], check=True)
subprocess.run([BIN / "hecaton-opt", WORK / "opset.mlir", "--emit=image", "-o", WORK / "opset2.hct"], check=True)
if (WORK / "opset2.hct").read_bytes() != (WORK / "opset.hct").read_bytes():
    fail("opset", "its dump of the onnx level gives another image")

# Defaults of attributes, and what is absent without one; overloads; a function instead of an operator of its name.
axis = function("Soft", ["a"], ["y"], [reference(node("Softmax", ["a"], ["y"]), "axis", "axis", INT)], defaults=[helper.make_attribute("axis", 1)])
computes("default", model("default", [call("Soft", ["x"], ["y"])], ["y"], [axis]), softmax(X, 1))
computes("given", model("given", [call("Soft", ["x"], ["y"], axis=2)], ["y"], [axis]), softmax(X, 2))
bare = function("Soft", ["a"], ["y"], [reference(node("Softmax", ["a"], ["y"]), "axis", "axis", INT)], ["axis"])
computes("absent", model("absent", [call("Soft", ["x"], ["y"])], ["y"], [bare]), softmax(X, -1))
loud = onnx.NodeProto.FromString(call("F", ["x"], ["y"]).SerializeToString() + field(8, b"loud"))
functions = [function("F", ["a"], ["y"], [node("Neg", ["a"], ["y"])]), function("F", ["a"], ["y"], [node("Exp", ["a"], ["y"])], overload="loud")]
computes("overload", model("overload", [loud], ["y"], functions), np.exp(X))
computes("no_overload", model("no_overload", [call("F", ["x"], ["y"])], ["y"], functions), -X)
computes("instead", model("instead", [node("Relu", ["x"], ["y"])], ["y"], [function("Relu", ["a"], ["y"], [node("Neg", ["a"], ["y"])], domain="")]), -X)

# Absent inputs and outputs; outputs that are an input, or the same value twice.
parts = function("Parts", ["a", "b"], ["n", "a", "n2"], [node("Neg", ["a"], ["n"]), node("Clip", ["n", "b"], ["n2"])])
clip = function("Clip", ["a", "b"], ["y"], [node("Identity", ["a"], ["y"])], domain="")
nodes = [call("Parts", ["x"], ["", "same", "m"]), node("Mul", ["same", "m"], ["y"])]
computes("absent_input", model("absent_input", nodes, ["y"], [parts, clip]), -X * X)

# Graphs that operators of functions hold: their names are the function's, an attribute of theirs is the call's; calls within graphs of the model, and within
# those of functions; a graph that is an attribute of the call, whose names are the call's.
def held(inputs, nodes, outputs):
    info = lambda n: helper.make_tensor_value_info(n, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, "held", [info(i) for i in inputs], [info(o) for o in outputs])


step = [node("MatMul", ["h", "w"], ["m"]), reference(call("Scaled", ["m"], ["a"]), "by", "by", FLOAT), node("Add", ["a", "v"], ["h2"])]
scans = function("Scans", ["x", "w", "s"], ["y"], [node("Scan", ["s", "x"], ["e", "y"], body=held(["h", "v"], [*step, node("Tanh", ["h2"], ["o"])], ["h2", "o"]), num_scan_inputs=1)], ["by"])
eye = node("Constant", [], ["h"], value=numpy_helper.from_array(np.roll(np.eye(4, dtype=np.float32), 1, 1)))
zero = node("Constant", [], ["w"], value=numpy_helper.from_array(np.ones((3, 4), np.float32)))
h, states = np.ones((3, 4), np.float32), []
for v in X:
    h = 0.5 * np.roll(h, 1, 1) + v
    states.append(np.tanh(h))
for mesh in ("1x1", "2x2"):
    computes("scan", model("scan", [eye, zero, call("Scans", ["x", "h", "w"], ["y"], by=0.5, name="top")], ["y"], [scans, scaled]), np.stack(states), mesh)
names = subprocess.run([BIN / "hecaton-compile", WORK / "scan.onnx", "--mode=infer", "--emit=graph", "-o", "-"], capture_output=True, text=True).stdout
if "node 2 'top/Scan[1]/Scaled/Mul'" not in names:
    fail("names in graphs of functions", names)
loop = node("Loop", ["n", "", "x"], ["y"], body=held(["i", "go", "h"], [call("Scaled", ["h"], ["y"], by=2.0), node("Neg", ["y"], ["h2"])], ["go", "h2"]))
computes("call in a loop", model("call_in_loop", [node("Constant", [], ["n"], value_int=3), loop], ["y"], [scaled]), -8 * X)
chosen = function("Chosen", ["x", "c"], ["y"], [reference(node("If", ["c"], ["y"]), "then_branch", "what", AttributeProto.GRAPH)], ["what"])
chosen = FunctionProto.FromString(chosen)
chosen.node[0].attribute.append(helper.make_attribute("else_branch", held([], [node("Exp", ["x"], ["t"])], ["t"])))
for yes, wanted in ((1, -2 * X), (0, np.exp(2 * X))):
    given = [node("Constant", [], ["n"], value_int=yes), node("Cast", ["n"], ["c"], to=TensorProto.BOOL), node("Add", ["x", "x"], ["t"]), call("Chosen", ["t", "c"], ["y"], what=held([], [node("Neg", ["t"], ["o"])], ["o"]))]
    computes("a graph that is given", model("given_graph", given, ["y"], [chosen.SerializeToString()]), wanted)
old = function("Old", ["a"], ["y"], [node("Neg", ["a"], ["y"])], version=11)
inner = node("Loop", ["n", "", "x"], ["y"], body=held(["i", "go", "h"], [call("Old", ["h"], ["h2"])], ["go", "h2"]))
refused("opset_inside", model("opset_inside", [node("Constant", [], ["n"], value_int=3), inner], ["y"], [old]), "a function of opset 11 inside of a graph of opset 17")
endless = function("E", ["a"], ["y"], [node("Loop", ["n", "", "a"], ["y"], body=held(["i", "go", "h"], [call("E", ["h"], ["h2"])], ["go", "h2"]))])
refused("itself_in_a_loop", model("itself_in_a_loop", [call("E", ["x"], ["y"])], ["y"], [endless]), "64 deep, or themselves")

# What cannot be replaced.
missing = function("Parts", ["a", "b"], ["n", "b"], [node("Neg", ["a"], ["n"])])
refused("absent_output", model("absent_output", [call("Parts", ["x"], ["m", "y"])], ["y"], [missing]), "node 0 'Parts'", "input that is absent")
refused("inside", model("inside", [call("G", ["x"], ["y"], name="top")], ["y"], [function("G", ["a"], ["y"], [node("StringNormalizer", ["a"], ["y"], name="inner")], version=13)]), "node 0 'top/inner'", "StringNormalizer", "opset 13")
refused("inputs", model("inputs", [call("G", ["x", "x"], ["y"])], ["y"], [function("G", ["a"], ["y"], [node("Neg", ["a"], ["y"])])]), "2 inputs and 1 outputs for a function of 1 and 1")
refused("type", model("type", [call("Scaled", ["x"], ["y"], by=2)], ["y"], [scaled]), "'by' is of another type")
refused("defined_twice", model("defined_twice", [call("F", ["x"], ["y"])], ["y"], [functions[0], functions[0]]), "function 'F'", "defined twice")
refused("itself", model("itself", [call("R", ["x"], ["y"])], ["y"], [function("R", ["a"], ["y"], [call("R", ["a"], ["y"])])]), "64 deep, or themselves")
chain = [function(f"C{k}", ["a"], ["y"], [call(f"C{k + 1}", ["a"], ["y"]) if k < 9999 else node("Neg", ["a"], ["y"])]) for k in range(10000)]
refused("deep", model("deep", [call("C0", ["x"], ["y"])], ["y"], chain), "64 deep")
many = [function(f"M{k}", ["a"], ["y"], [call(f"M{k + 1}", ["a"], ["t"]), call(f"M{k + 1}", ["t"], ["y"])]) for k in range(50)] + [function("M50", ["a"], ["a"], [])]
refused("many", model("many", [call("M0", ["x"], ["y"])], ["y"], many), "more than 131072 nodes")
sys.exit(failures > 0)
