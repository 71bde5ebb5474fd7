#!/usr/bin/env python3
"""Forms that exporters seldom write, against NumPy.

usage: forms.py BIN_DIRECTORY WORK_DIRECTORY
"""
import numpy as np
from one_graph import WORK, array, check, compiled, computes, finish, model, refused
from onnx import TensorProto as T
from onnx import helper

node = helper.make_node
X = np.random.default_rng(5).standard_normal((4, 3, 5, 2)).astype(np.float32)
x = [("x", X)]

# Before opset 13 a softmax is over all dimensions from its axis on, whichever it is.
for opset, axis in ((9, 0), (9, 1), (11, 2), (11, 3), (11, -4), (12, -2)):
    rows = X.reshape(int(np.prod(X.shape[: axis % 4])), -1).astype(np.float64)
    e = np.exp(rows - rows.max(-1, keepdims=True))
    p = (e / e.sum(-1, keepdims=True)).reshape(X.shape)
    path = model("softmax", [node("Softmax", ["x"], ["y"], axis=axis), node("LogSoftmax", ["x"], ["z"], axis=axis)], x, opset=opset)
    for mesh in ("1x1", "2x3"):
        computes(f"softmax over {axis} of opset {opset}", path, {"y": p, "z": np.log(p)}, x, mesh=mesh)

# A softmax over dimensions that a transpose or a slice has taken apart, and a reshape put together.
for name, first, reordered in (("transpose", [node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2])], X.swapaxes(2, 3)), ("slice", [node("Slice", ["x"], ["t"], axes=[2], starts=[1], ends=[4])], X[:, :, 1:4])):
    rows = reordered.reshape(12, -1).astype(np.float64)
    e = np.exp(rows - rows.max(-1, keepdims=True))
    path = model("reordered", [*first, node("Reshape", ["t", "s"], ["r"]), node("Softmax", ["r"], ["y"], axis=1)], x, ["y"], [array("s", [12, -1])], opset=9)
    for mesh in ("1x1", "2x3"):
        computes(f"softmax of a reshaped {name}", path, {"y": e / e.sum(-1, keepdims=True)}, x, mesh=mesh)

# Sums over the batch in 16 bits, of the whole batch at once.
Y = np.random.default_rng(6).standard_normal((4, 3, 5, 4)).astype(np.float32)
both = [("x", X), ("u", Y)]
path = model("batch", [node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=0), node("Add", ["x", "m"], ["y"]), node("Einsum", ["x", "u"], ["z"], equation="abcd,abce->de")], both, ["m", "y", "z"])
mean = X.astype(np.float64).mean(0)
for dtype, tolerance in (("bf16", 0.03), ("f16", 0.004)):
    for mesh in ("1x1", "2x3"):
        computes(f"sums over the batch in {dtype}", path, {"m": mean, "y": X + mean, "z": np.einsum("abcd,abce->de", X, Y)}, both, [f"--dtype={dtype}"], mesh, tolerance)
done = compiled(path, "--mesh=1x1", "--dtype=bf16", "--micro-batch=2", "-o", WORK / "refused.hct")
check("sums over micro-batches in bf16", done.returncode == 1 and "node 0 'ReduceMean': error[E0802]" in done.stderr and "--micro-batch of the whole batch needs none" in done.stderr, done.stderr)

# Parts without number or elements.
parts = [f"p{i}" for i in range(100)]
long = np.arange(200, dtype=np.float32).reshape(100, 2)
computes("100 parts", model("parts", [node("Split", ["x"], parts, axis=-2), node("Concat", parts[::-1], ["y"], axis=0)], [("x", long)], ["y"], opset=13), {"y": long[::-1]}, [("x", long)])
computes("100 parts of opset 9", model("parts9", [node("Split", ["x"], ["", *parts[1:]], axis=0, name="split"), node("Max", parts[1:], ["y"]), node("Sum", parts[1:], ["z"])], [("x", long)], opset=9), {"y": long[99:], "z": long[1:].sum(0, keepdims=True)}, [("x", long)], mesh="2x3")
refused("an input among 100 that does not fit", model("unfit", [node("Split", ["x"], parts, axis=0), node("Concat", [*parts[:40], "x", *parts[40:99], "s"], ["y"], axis=-2)], [("x", long)], ["y"], [array("s", np.ones((1, 3), np.float32))]), "node 1 'Concat'", "input 100 does not fit the others")
refused("parts that are too long", model("long_part", [node("Split", ["x", "s"], ["y", "z"], axis=1)], x, initializers=[array("s", [2, 2**63 - 1])]), "sizes exceed the dimension of 3")
computes("parts without elements", model("empty", [node("Split", ["x", "s"], ["a", "b", "c"], axis=-2), node("Concat", ["c", "b", "a"], ["y"], axis=-2)], x, ["y"], [array("s", [2, 0, 3])]), {"y": np.concatenate([X[:, :, 2:], X[:, :, :2]], 2)}, x)

# More entries than there can be dimensions are no entries that are left out.
for op, attribute, opset, more in (("Transpose", "perm", 17, {}), ("Squeeze", "axes", 11, {}), ("ReduceSum", "axes", 11, {}), ("Slice", "axes", 9, {"starts": [0], "ends": [1]}), ("Split", "split", 11, {})):
    refused(f"{attribute} of {op}", model("many", [node(op, ["x"], ["y"], **{attribute: list(range(300))}, **more)], x, ["y"], opset=opset), f"{attribute} has 300 entries")

# Graphs without nodes; outputs that are inputs, initializers, or known.
computes("an output that is an input", model("input", [], x, ["x"]), {"x": X}, x)
path = model("outputs", [node("Relu", ["x"], ["y"]), node("Shape", ["x"], ["s"])], x, ["x", "y", "w", helper.make_tensor_value_info("s", T.INT64, [4])], [array("w", X[0])])
for mesh in ("1x1", "2x3"):
    computes("outputs of any making", path, {"x": X, "y": np.maximum(X, 0), "w": X[0], "s": np.array(X.shape)}, x, mesh=mesh)
refused("no outputs", model("none", [node("Relu", ["x"], ["y"])], x, []), "its graph has no outputs")

# Names of any letters, in the model and on the command line.
odd = "a=b 'c' \"d\"\\é→\t%s"
computes("odd names", model("odd", [node("Relu", [odd], ["y=z"], name=odd)], [(odd, X)], ["y=z"]), {"y=z": np.maximum(X, 0)}, [(odd, X)])

# What the command line names is there.
path = model("symbols", [node("Relu", ["x"], ["y"])], [], ["y"], more=[helper.make_tensor_value_info("x", T.FLOAT, ["N=", 2])])
for option, why in (("--dim=M=5", "the model has no such symbolic dimension"), ("--dim=N", "the model has no such symbolic dimension"), ("--shape=z=4,2", "the model has no such input"), ("--constant=z=none.npy", "the model has no such input")):
    done = compiled(path, "--mesh=1x1", "--dim=N==4", option, "-o", WORK / "refused.hct")
    check(option, done.returncode == 1 and f"symbols.onnx: error[E0801]: {option}: {why}" in done.stderr and "hint: --" in done.stderr, done.stderr)
done = compiled(path, "--mesh=1x1", "--dim=N==4", "-o", WORK / "taken.hct")
check("a dimension of any letters", done.returncode == 0, done.stderr)
finish()
