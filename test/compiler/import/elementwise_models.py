#!/usr/bin/env python3
"""Models of one operator each, for elementwise.test.

usage: elementwise_models.py DIRECTORY
"""
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

FOLDER = Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)
F32, F16, I32, U8, BOOL, I64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.UINT8, TensorProto.BOOL, TensorProto.INT64


def write(name, nodes, inputs, dtype, opset=20):
    """inputs: {name: (element type, dims)}; the result is y, of the first one's dims and `dtype`."""
    given = [helper.make_tensor_value_info(n, *v) for n, v in inputs.items()]
    result = helper.make_tensor_value_info("y", dtype, next(iter(inputs.values()))[1])
    onnx.save(helper.make_model(helper.make_graph(nodes, name, given, [result]), opset_imports=[helper.make_opsetid("", opset)]), FOLDER / f"{name}.onnx")


def one(name, op, inputs, dtype=F32, opset=20, **attributes):
    write(name, [helper.make_node(op, list(inputs), ["y"], name=name, **attributes)], inputs, dtype, opset)


X = {"x": (F32, [4])}
one("ceil", "Ceil", X)
one("softplus", "Softplus", X)
one("softplus_f16", "Softplus", {"x": (F16, [4])}, F16)
one("clip_attributes", "Clip", X, opset=9, min=-1.0, max=2.0)
one("clip_inputs", "Clip", {**X, "low": (F32, []), "high": (F32, [])})
one("greater", "Greater", {**X, "b": (F32, [4])}, BOOL)
one("shift", "BitShift", {"x": (U8, [4]), "n": (U8, [4])}, U8, direction="RIGHT")
one("pow", "Pow", {"x": (I32, [4]), "e": (F32, [4])}, I32)
one("sum", "Sum", {**X, "b": (F32, [4]), "c": (F32, [1])})
one("before_7", "Add", {"x": (F32, [2, 3, 4]), "b": (F32, [3])}, opset=6, axis=1, broadcast=1)

constant = lambda name, **attributes: helper.make_node("Constant", [], [name], **attributes)
sparse = onnx.SparseTensorProto(values=helper.make_tensor("v", F32, [2], [5.0, 6.0]), indices=helper.make_tensor("i", I64, [2], [0, 3]), dims=[4])
write("known", [constant("a", value_floats=[-1.5, 0.5, 2.5, 7.0]), constant("s", sparse_value=sparse), constant("k", value_float=3.0), helper.make_node("Round", ["a"], ["r"]), helper.make_node("Mod", ["r", "k"], ["m"]),
                helper.make_node("Max", ["m", "s"], ["c"]), helper.make_node("Mul", ["x", "c"], ["y"])], X, F32)
write("dropout", [constant("ratio", value_float=0.0), constant("training", value=helper.make_tensor("t", BOOL, [], [True])), helper.make_node("Dropout", ["x", "ratio", "training"], ["d", "mask"]),
                  helper.make_node("Where", ["mask", "d", "x"], ["y"])], X, F32)

one("cast_string", "Cast", X, TensorProto.FLOAT, to=8)
one("types", "Add", {**X, "b": (I32, [4])})
one("shapes", "Max", {**X, "b": (F32, [3])})
one("signed_shift", "BitShift", {"x": (I32, [4]), "n": (I32, [4])}, I32, direction="LEFT")
one("direction", "BitShift", {"x": (U8, [4]), "n": (U8, [4])}, U8, direction="UP")
one("bits_of_floats", "BitwiseAnd", {**X, "b": (F32, [4])})
one("sine_of_integers", "Sin", {"x": (I32, [4])}, I32)
one("gelu", "Gelu", X, approximate="fast")
one("slope", "PRelu", {**X, "s": (F32, [2, 4])})
one("bound", "Clip", {**X, "low": (F32, [4])})
one("condition", "Where", {"x": (I32, [4]), "a": (F32, [4]), "b": (F32, [4])})
write("string", [constant("s", value_string="a"), helper.make_node("Identity", ["x"], ["y"])], X, F32)
