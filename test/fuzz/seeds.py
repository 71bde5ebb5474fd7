#!/usr/bin/env python3
"""Writes small ONNX models for the fuzzers of the importer to begin with: every operator kind, data in every form.

usage: seeds.py FOLDER
"""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

FOLDER = Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)
node = helper.make_node


def model(name, nodes, inputs, outputs, initializers=(), opset=17, functions=()):
    info = lambda v: helper.make_tensor_value_info(*v)
    graph = helper.make_graph(nodes, "g", [info(i) for i in inputs], [info(o) for o in outputs], list(initializers))
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in sorted({f.domain for f in functions})]
    (FOLDER / f"{name}.onnx").write_bytes(helper.make_model(graph, opset_imports=imports, functions=list(functions)).SerializeToString())


ints = lambda name, *values: numpy_helper.from_array(np.array(values, np.int64), name)
reals = lambda name, *dims: numpy_helper.from_array(np.linspace(-1, 1, int(np.prod(dims)), dtype=np.float32).reshape(dims), name)
x, y = ("x", T.FLOAT, [2, 3, 4]), ("y", T.FLOAT, None)

for group, names in {"unary": ["Abs", "Erf", "Exp", "Neg", "Relu", "Sigmoid", "Sqrt", "Tanh", "Identity"], "activation": ["Softmax", "LogSoftmax", "Elu", "HardSigmoid", "LeakyRelu", "Selu", "Softplus", "Hardmax"]}.items():
    model(group, [node(n, [f"v{i}" if i else "x"], [f"v{i + 1}" if i + 1 < len(names) else "y"]) for i, n in enumerate(names)], [x], [y])
for n in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Mean", "PRelu"):
    model(f"binary_{n}", [node(n, ["x", "w"], ["y"])], [x], [y], [reals("w", 3, 1)])
    model(f"known_{n}", [node(n, ["w", "w"], ["v"]), node("Add", ["x", "v"], ["y"])], [x], [y], [reals("w", 3, 1)])
model("logic", [node("Less", ["x", "w"], ["a"]), node("Not", ["a"], ["b"]), node("And", ["a", "b"], ["c"]), node("Where", ["c", "x", "w"], ["y"])], [x], [y], [reals("w", 4)])
for n in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp", "ArgMax", "CumSum"):
    second, attributes, kept = ([], {}, {"axes": [1]}) if n.startswith("Reduce") and n != "ReduceSum" else (["a"], {}, {}) if n != "ArgMax" else ([], {}, {"axis": 1})
    model(f"reduce_{n}", [node(n, ["x"] + second, ["y"], **attributes, **kept)], [x], [y], [ints("a", 1)] if n == "ReduceSum" else [numpy_helper.from_array(np.array(1), "a")])
model("shapes", [node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["n"]), node("Unsqueeze", ["n", "z"], ["u"]), node("Concat", ["u", "m"], ["r"], axis=0), node("Reshape", ["x", "r"], ["y"])],
      [("x", T.FLOAT, ["batch", 3, 4])], [y], [numpy_helper.from_array(np.array(0), "i"), ints("z", 0), ints("m", -1)])
model("slices", [node("Slice", ["x", "f", "t", "a", "b"], ["p"]), node("Split", ["p", "h"], ["q", "r"], axis=2), node("Concat", ["r", "q"], ["c"], axis=2), node("Transpose", ["c"], ["y"], perm=[2, 0, 1])],
      [x], [y], [ints("f", 0, 2), ints("t", 9, 0), ints("a", 0, 1), ints("b", 1, -1), ints("h", 1, 3)])
model("folded", [node("Range", ["a", "b", "c"], ["r"]), node("ConstantOfShape", ["s"], ["o"]), node("Trilu", ["o"], ["t"], upper=0), node("Expand", ["r", "s"], ["e"]), node("Cast", ["e"], ["f"], to=T.FLOAT),
                 node("Add", ["t", "f"], ["m"]), node("Tile", ["m", "n"], ["u"]), node("MatMul", ["x", "u"], ["y"])], [x], [y],
      [numpy_helper.from_array(np.array(v), k) for k, v in (("a", 0), ("b", 4), ("c", 1))] + [ints("s", 4, 4), ints("n", 1, 2)])
model("indices", [node("Gather", ["w", "i"], ["a"]), node("GatherElements", ["a", "e"], ["b"], axis=1), node("ScatterND", ["b", "n", "u"], ["y"])], [("i", T.INT64, [3])], [y],
      [reals("w", 5, 4), numpy_helper.from_array(np.zeros((3, 4), np.int64), "e"), numpy_helper.from_array(np.array([[0]]), "n"), reals("u", 1, 4)])
model("more_indices", [node("OneHot", ["i", "d", "v"], ["a"]), node("Pad", ["a", "p"], ["b"]), node("TopK", ["b", "k"], ["y", "at"])], [("i", T.INT64, [3])], [y],
      [numpy_helper.from_array(np.array(4), "d"), numpy_helper.from_array(np.array([0, 1], np.float32), "v"), ints("p", 0, 1, 0, 1), ints("k", 2)])
model("products", [node("Gemm", ["x", "w", "b"], ["h"], transB=1, alpha=0.5), node("MatMul", ["h", "v"], ["o"]), node("Einsum", ["o", "o"], ["y"], equation="ij,kj->ik")], [("x", T.FLOAT, [2, 4])], [y],
      [reals("w", 3, 4), reals("b", 3), reals("v", 3, 5)])
model("normal", [node("LayerNormalization", ["x", "g", "b"], ["l"], axis=-1), node("BatchNormalization", ["l", "c", "c", "c", "c"], ["n"]), node("InstanceNormalization", ["n", "c", "c"], ["y"])], [x], [y],
      [reals("g", 4), reals("b", 4), reals("c", 3)])
model("conv", [node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3], pads=[1, 1], strides=[2]), node("MaxPool", ["c"], ["m"], kernel_shape=[2]), node("GlobalAveragePool", ["m"], ["y"])], [("x", T.FLOAT, [1, 2, 8])], [y],
      [reals("w", 4, 2, 3), reals("b", 4)])
model("attention", [node("Attention", ["q", "k", "v"], ["y"], q_num_heads=2, kv_num_heads=1), node("RMSNormalization", ["y", "g"], ["z"]), node("Gelu", ["z"], ["u"])],
      [("q", T.FLOAT, [1, 4, 8]), ("k", T.FLOAT, [1, 4, 4]), ("v", T.FLOAT, [1, 4, 4])], [("u", T.FLOAT, None)], [reals("g", 8)], opset=23)
model("loss", [node("MatMul", ["x", "w"], ["z"]), node("SoftmaxCrossEntropyLoss", ["z", "t"], ["y"], reduction="mean", ignore_index=-100)], [("x", T.FLOAT, [2, 4]), ("t", T.INT64, [2])], [("y", T.FLOAT, [])], [reals("w", 4, 5)])
model("dropout", [node("Dropout", ["x", "r"], ["d", "mask"]), node("Neg", ["d"], ["y"])], [x], [y], [numpy_helper.from_array(np.float32(0.5), "r")])
model("if", [node("If", ["c"], ["y"], then_branch=helper.make_graph([node("Neg", ["x"], ["a"])], "t", [], [helper.make_tensor_value_info("a", T.FLOAT, None)]),
                  else_branch=helper.make_graph([node("Add", ["x", "k"], ["a"])], "e", [], [helper.make_tensor_value_info("a", T.FLOAT, None)], [reals("k", 4)]))], [x], [y],
      [numpy_helper.from_array(np.array(True), "c")])
def body(nodes, inputs, outputs, initializers=()):
    return helper.make_graph(nodes, "b", [helper.make_tensor_value_info(i, T.FLOAT, None) for i in inputs], [helper.make_tensor_value_info(o, T.FLOAT, None) for o in outputs], list(initializers))


model("loop", [node("Loop", ["n", "c", "x"], ["y", "z"], body=body([node("Add", ["h", "k"], ["a"]), node("Less", ["i", "m"], ["more"])], ["i", "go", "h"], ["more", "a", "h"], [reals("k", 4)]))], [x], [y, ("z", T.FLOAT, None)],
      [numpy_helper.from_array(np.array(3), "n"), numpy_helper.from_array(np.array(2), "m"), numpy_helper.from_array(np.array(True), "c")])
model("scan", [node("Scan", ["s", "x"], ["h", "y"], num_scan_inputs=1, scan_input_axes=[1], scan_input_directions=[1], scan_output_axes=[-1], scan_output_directions=[1], body=body([node("Mul", ["g", "v"], ["a"])], ["g", "v"], ["a", "v"]))],
      [x, ("s", T.FLOAT, [2, 4])], [("h", T.FLOAT, None), y])
model("samples", [node("Scan", ["", "s", "x"], ["h", "y"], num_scan_inputs=1, directions=[1], body=body([node("Mul", ["g", "v"], ["a"])], ["g", "v"], ["a", "v"]))], [x, ("s", T.FLOAT, [2, 4])], [("h", T.FLOAT, None), y], opset=8)
model("linear_attention", [node("LinearAttention", ["x", "x", "x", "", "d", "b"], ["y"], q_num_heads=2, kv_num_heads=2)], [x, ("d", T.FLOAT, [2, 3, 2]), ("b", T.FLOAT, [2, 3, 1])], [y], opset=27)
scale = body([node("Mul", ["s", "k"], ["t"])], ["s"], ["t"], [reals("k", 1)])
model("flex_attention", [node("FlexAttention", ["q", "k", "k"], ["y"], domain="ai.onnx.preview", scale=0.5, score_mod=scale, prob_mod=scale)], [("q", T.FLOAT, [1, 4, 2, 4]), ("k", T.FLOAT, [1, 2, 3, 4])], [y], opset=26)
inner = helper.make_function("own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)])
model("function", [node("Twice", ["x"], ["h"], domain="own"), node("Twice", ["h"], ["y"], domain="own")], [x], [y], functions=[inner])
typed = [helper.make_tensor(f"w{n}", t, [2], [1, 2]) for n, t in enumerate((T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16, T.INT8, T.UINT8, T.INT16, T.UINT16, T.INT32, T.INT64, T.UINT32, T.UINT64, T.BOOL))]
model("data", [node("Cast", [t.name], [f"c{n}"], to=T.FLOAT) for n, t in enumerate(typed)] + [node("Sum", ["x"] + [f"c{n}" for n in range(len(typed))], ["y"])], [("x", T.FLOAT, [2])], [y], typed)
away = onnx.TensorProto(name="w", data_type=T.FLOAT, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
for key, value in (("location", "w.bin"), ("offset", "16"), ("length", "16")):
    away.external_data.add(key=key, value=value)
model("external", [node("Add", ["x", "w"], ["y"])], [x], [y], [away])
