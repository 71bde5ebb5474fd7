#!/usr/bin/env python3
"""A weight that is expanded to the batch's samples (ONNX's Expand) and multiplied by values of theirs: a micro-batch's copies of it are made where it is read, whatever
the mesh splits there. Loss and, in training, weights after the step equal the host oracle's, and the loss NumPy's.

usage: repeated.py BIN_DIRECTORY WORK_DIRECTORY
"""
import re
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))
from checks import check, done, finish, share_sanitized  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
SAMPLES, ROWS, IN, OUT = 3, 8, 16, 4
OPTIONS = (["--groups=blocks"], ["--groups=auto"], ["--groups=blocks", "--strategy=megatron-ring"], ["--groups=blocks", "--strategy=optimus"])
CASES = [(mesh, micro_batch, options) for mesh in ("2x2", "2x3", "1x4") for micro_batch in (1, 2, SAMPLES) for options in OPTIONS]
rng = np.random.default_rng(11)
x = rng.standard_normal((SAMPLES, ROWS, IN)).astype(np.float32)
weights = {"first": rng.standard_normal((IN, OUT)).astype(np.float32), "repeated": rng.standard_normal((1, ROWS, 3)).astype(np.float32)}


def model_save():
    """Scores of x's rows among themselves, times a weight that every sample has, times itself."""
    node = helper.make_node
    nodes = [node("MatMul", ["x", "first"], ["a"]), node("Transpose", ["a"], ["at"], perm=[0, 2, 1]), node("MatMul", ["a", "at"], ["scores"]),
             node("Expand", ["repeated", "shape"], ["each"]), node("MatMul", ["scores", "each"], ["b"]), node("Relu", ["b"], ["c"]),
             node("Transpose", ["c"], ["ct"], perm=[0, 2, 1]), node("MatMul", ["b", "ct"], ["d"]), node("Mul", ["d", "d"], ["squares"]), node("ReduceMean", ["squares"], ["loss"], keepdims=0)]
    initializers = [numpy_helper.from_array(v, k) for k, v in weights.items()] + [numpy_helper.from_array(np.array([SAMPLES, ROWS, 3], np.int64), "shape")]
    graph = helper.make_graph(nodes, "repeated", [helper.make_tensor_value_info("x", T.FLOAT, x.shape)], [helper.make_tensor_value_info("loss", T.FLOAT, [])], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), WORK / "m.onnx")


def loss_numpy():
    a = x.astype(np.float64) @ weights["first"]
    b = a @ a.transpose(0, 2, 1) @ weights["repeated"]
    return np.mean((b @ np.maximum(b, 0).transpose(0, 2, 1)) ** 2)


def results(options, trains):
    outputs = [f"param:{name}" for name in weights] if trains else []
    done(BIN / "hecaton-compile", WORK / "m.onnx", *options, *(["--optimizer=sgd", "--lr=1e-7"] if trains else ["--mode=infer"]), "-o", WORK / "program")
    said = done(BIN / "hecaton-sim", WORK / "program", f"--input=x={WORK / 'x.npy'}", *[f"--output={name}={WORK / f'{i}.npy'}" for i, name in enumerate(outputs)]).stdout
    return float(re.search(r"loss +(\S+)", said)[1]), [np.load(WORK / f"{i}.npy") for i in range(len(outputs))]


model_save()
np.save(WORK / "x.npy", x)
wanted = loss_numpy()
for trains in (False, True):
    host_loss, host_weights = results(["--backend=host"], trains)
    check(f"host: loss {host_loss}, NumPy {wanted}", abs(host_loss - wanted) <= 1e-5 * wanted)
    for name, a in zip(weights, host_weights):
        check(f"host: {name} is trained", np.abs(a - weights[name]).max() > 1e-3)
    for mesh, micro_batch, options in share_sanitized(CASES, 5, trains):
        label = f"{mesh}, micro-batch {micro_batch}, {options}, {'trained' if trains else 'inferred'}"
        loss, found = results([f"--mesh={mesh}", f"--micro-batch={micro_batch}", "--token-blocks=1", "--weights=resident", *options], trains)
        check(f"{label}: loss {loss}, NumPy {wanted}", abs(loss - wanted) <= 1e-5 * wanted)
        for name, a, b in zip(weights, host_weights, found):
            check(f"{label}: {name}", np.abs(a - b).max() <= 1e-5 * np.abs(a - weights[name]).max() + 1e-7 * np.abs(a).max())
finish()
