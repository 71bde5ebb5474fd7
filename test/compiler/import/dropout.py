#!/usr/bin/env python3
"""Models of Dropout, for dropout.test.

usage: dropout.py DIRECTORY
"""
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

FOLDER = Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)
F32, BOOL = TensorProto.FLOAT, TensorProto.BOOL


def write(name, nodes, opset, given=None, initializers=()):
    """From x, 4 x 3, to y; `given`: further inputs, {name: element type} of scalars; `initializers`: {name: number}."""
    inputs = [helper.make_tensor_value_info("x", F32, [4, 3])] + [helper.make_tensor_value_info(n, t, []) for n, t in (given or {}).items()]
    numbers = [helper.make_tensor(n, BOOL if isinstance(v, bool) else F32, [], [v]) for n, v in dict(initializers).items()]
    graph = helper.make_graph(nodes, name, inputs, [helper.make_tensor_value_info("y", F32, [4, 3])], numbers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), FOLDER / f"{name}.onnx")


def drop(name, *inputs, outputs=("y",), **attributes):
    return helper.make_node("Dropout", list(inputs), list(outputs), name=name, **attributes)


MODE = {"ratio": 0.25, "training": True}
write("two", [drop("first", "x", "ratio", "training", outputs=["a"]), drop("second", "a", "ratio", "training")], 22, initializers=MODE)
write("default", [drop("default", "x", "", "training")], 13, initializers={"training": True})
write("mask", [drop("mask", "x", "ratio", "training", outputs=["a", "kept"]), helper.make_node("Where", ["kept", "a", "x"], ["y"])], 13, initializers=MODE)
write("off", [drop("off", "x", "ratio")], 13, initializers={"ratio": 0.25})
write("old", [drop("old", "x", ratio=0.125)], 10)
write("share", [drop("share", "x", "ratio", "training")], 13, initializers={"ratio": 1.5, "training": True})
write("mode", [drop("mode", "x", "ratio", "training")], 13, {"training": BOOL}, {"ratio": 0.25})
write("ratio", [drop("ratio", "x", "ratio", "training")], 13, {"ratio": F32}, {"training": True})
