#!/usr/bin/env python3
"""Models of one operator each, for the tests of how reductions, indexing and structure are imported.

usage: index_models.py DIRECTORY
"""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

WORK = Path(sys.argv[1])
WORK.mkdir(parents=True, exist_ok=True)
X, I = ("x", T.FLOAT, [4, 6, 5]), ("i", T.INT64, [2, 3])


def info(name, dtype=T.FLOAT, shape=None):
    return helper.make_tensor_value_info(name, dtype, shape)


def save(name, nodes, inputs, outputs=("y",), constants=None, opset=18):
    initializers = [numpy_helper.from_array(np.array(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, name, [info(*i) for i in inputs], [info(o) for o in outputs], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), WORK / f"{name}.onnx")


def node(op, *inputs, outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name=f"the {op}", **attributes)


def branch(name, nodes, output, initializers=()):
    return helper.make_graph(nodes, name, [], [info(output)], list(initializers))


save("gather", [node("Gather", "x", "i", axis=1)], [X, I])
save("gather_known", [node("Gather", "x", "k", axis=1)], [X], constants={"k": [1, 3, 5, -6]})
save("gather_elements", [node("GatherElements", "x", "i", axis=1)], [("x", T.FLOAT, [4, 6]), ("i", T.INT32, [4, 2])])
save("scatter_nd", [node("ScatterND", "x", "i", "u", reduction="add")], [X, ("i", T.INT64, [3, 2]), ("u", T.FLOAT, [3, 5])])
save("arg_max", [node("ArgMax", "x", axis=1, keepdims=0)], [X])
save("cum_sum", [node("CumSum", "x", "k")], [("x", T.FLOAT, [4, 5])], constants={"k": 1})
save("prod", [node("ReduceProd", "x", "k", keepdims=0)], [("x", T.INT32, [4, 5])], constants={"k": [1]})
save("folded", [helper.make_node("Shape", ["x"], ["s"], start=1), helper.make_node("ReduceProd", ["s"], ["n"], keepdims=1), helper.make_node("Concat", ["minus", "n"], ["to"], axis=0), node("Reshape", "x", "to")], [X], constants={"minus": [-1]})
save("scalars", [helper.make_node("Concat", ["four", "rest"], ["to"], axis=0), node("Reshape", "x", "to")], [X], constants={"four": 4, "rest": [-1]})

# If, within an If, whose branches use names of the graph around them, and one name for two things
inner = helper.make_node("If", ["no"], ["in"], then_branch=branch("a", [helper.make_node("Neg", ["t"], ["v"])], "v"), else_branch=branch("b", [helper.make_node("Add", ["t", "x"], ["v"])], "v"))
taken = branch("then", [helper.make_node("Mul", ["x", "two"], ["t"]), inner, helper.make_node("Identity", ["in"], ["out"])], "out", [numpy_helper.from_array(np.array(2, np.float32), "two")])
other = branch("else", [helper.make_node("NoSuchOperator", ["x"], ["t"])], "t")
save("if", [node("If", "yes", then_branch=taken, else_branch=other)], [X], constants={"yes": True, "no": False})
save("refused_if_run_time", [node("If", "c", then_branch=taken, else_branch=other)], [("c", T.BOOL, [])] + [X], constants={"no": False})
save("refused_if_bad_branch", [node("If", "no", then_branch=taken, else_branch=other)], [X], constants={"no": False})
save("refused_map", [node("SequenceMap", "x", body=branch("body", [], "x"))], [X])

save("refused_axis", [node("ReduceSum", "x", "k")], [X], constants={"k": [3]})
save("refused_axes", [node("ReduceMax", "x", "k")], [X, ("k", T.INT64, [1])])
save("refused_k", [node("TopK", "x", "k", outputs=("y", "z"))], [X], constants={"k": [6]})
save("refused_k_run_time", [node("TopK", "x", "k", outputs=("y", "z"))], [X, ("k", T.INT64, [1])])
save("refused_index", [node("Gather", "x", "k", axis=1)], [("x", T.FLOAT, [2, 3])], constants={"k": [0, 3]}, opset=13)
save("refused_keys", [node("GatherND", "x", "i")], [X, ("i", T.INT64, [2, 4])])
save("refused_updates", [node("ScatterElements", "x", "i", "u", axis=1)], [X, ("i", T.INT64, [4, 2, 5]), ("u", T.FLOAT, [4, 3, 5])])
save("refused_reduction", [node("ScatterND", "x", "i", "u", reduction="first")], [X, ("i", T.INT64, [3, 2]), ("u", T.FLOAT, [3, 5])])
save("refused_mode", [node("Pad", "x", "k", mode="mirror")], [X], constants={"k": [0, 0, 1, 0, 0, 1]})
save("refused_pads", [node("Pad", "x", "k")], [X], constants={"k": [0, 1]})
save("refused_repeats", [node("Tile", "x", "k")], [X], constants={"k": [2, 2]})
save("refused_split", [node("Split", "x", "k", outputs=("y", "z"), axis=1)], [X], outputs=("y", "z"), constants={"k": [2, 3]})
save("refused_squeeze", [node("Squeeze", "x", "k")], [X], constants={"k": [1]})
save("refused_steps", [node("Slice", "x", "a", "b", "c", "d")], [X], constants={"a": [0], "b": [9], "c": [1], "d": [0]})
save("refused_concat", [node("Concat", "x", "i", axis=0)], [X, ("i", T.FLOAT, [4, 5, 5])])
save("refused_block", [node("SpaceToDepth", "x", blocksize=2)], [("x", T.FLOAT, [1, 2, 3, 4])])
save("refused_condition", [node("Compress", "x", "c", axis=1)], [X, ("c", T.BOOL, [6])])
save("refused_non_zero", [node("NonZero", "x")], [X])
