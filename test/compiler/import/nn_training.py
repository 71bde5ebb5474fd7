#!/usr/bin/env python3
"""A model of convolutions, Attention, RotaryEmbedding, normalisations, SwiGLU, a pool and a loss with class weights and ignored labels trains: on
any mesh its gradients are the slopes of its loss, taken by central differences of the loss that inference computes.

usage: nn_training.py BIN_DIRECTORY WORK_DIRECTORY
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
numbers = np.random.default_rng(0)
node = helper.make_node
SHAPES = {"patch": (8, 3, 2, 2), "patch.bias": (8,), "rms": (8,), "wq": (8, 8), "wk": (8, 4), "wv": (8, 4), "wo": (8, 8), "gain": (4,), "bias": (4,), "up": (8, 12), "gate": (8, 12),
          "down": (12, 8), "conv": (5, 8, 3)}
WEIGHTS = {name: (numbers.standard_normal(shape) * 0.4).astype(np.float32) for name, shape in SHAPES.items()}
CONSTANTS = {"tokens": np.array([0, 8, -1]), "weights": np.array([1, 2, 0.5, 1.5, 1], np.float32), "cos": np.cos(np.arange(8)).reshape(4, 2).astype(np.float32),
             "sin": np.sin(np.arange(8)).reshape(4, 2).astype(np.float32), "positions": np.tile(np.arange(4), (4, 1))}
NODES = [node("Conv", ["image", "patch", "patch.bias"], ["p"], strides=[2, 2]), node("Reshape", ["p", "tokens"], ["p2"]), node("Transpose", ["p2"], ["x"], perm=[0, 2, 1]),
         node("RMSNormalization", ["x", "rms"], ["h"]), node("MatMul", ["h", "wq"], ["q"]), node("MatMul", ["h", "wk"], ["k"]), node("MatMul", ["h", "wv"], ["v"]),
         node("RotaryEmbedding", ["q", "cos", "sin", "positions"], ["q2"], num_heads=2), node("RotaryEmbedding", ["k", "cos", "sin", "positions"], ["k2"], num_heads=1, interleaved=1),
         node("Attention", ["q2", "k2", "v"], ["a"], q_num_heads=2, kv_num_heads=1, is_causal=1, softcap=3.0), node("MatMul", ["a", "wo"], ["o"]), node("Add", ["x", "o"], ["x2"]),
         node("GroupNormalization", ["x2", "gain", "bias"], ["n"], num_groups=2), node("MatMul", ["n", "up"], ["u"]), node("MatMul", ["n", "gate"], ["g"]), node("SwiGLU", ["g", "u"], ["s"]),
         node("MatMul", ["s", "down"], ["d"]), node("Add", ["x2", "d"], ["x3"]), node("Transpose", ["x3"], ["x4"], perm=[0, 2, 1]), node("Conv", ["x4", "conv"], ["c"], pads=[1, 1]),
         node("AveragePool", ["c"], ["z"], kernel_shape=[2], strides=[1], pads=[1, 0]),
         node("SoftmaxCrossEntropyLoss", ["z", "labels", "weights"], ["loss"], reduction="mean", ignore_index=2)]


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"


def write(path, weights):
    constants = [node("Constant", [], [name], value=numpy_helper.from_array(value)) for name, value in CONSTANTS.items()]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [4, 3, 4, 4]), helper.make_tensor_value_info("labels", TensorProto.INT64, [4, 4])]
    graph = helper.make_graph(constants + NODES, "g", inputs, [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])], [numpy_helper.from_array(w, n) for n, w in weights.items()])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)]).SerializeToString())


DATA = {"image": numbers.standard_normal((4, 3, 4, 4)).astype(np.float32), "labels": numbers.integers(0, 5, (4, 4))}
for name, value in DATA.items():
    np.save(WORK / f"{name}.npy", value)
INPUTS = [f for name in DATA for f in ("--input", f"{name}={WORK / name}.npy")]


def loss(weights):
    write(WORK / "moved.onnx", weights)
    run(BIN / "hecaton-compile", WORK / "moved.onnx", "--mode=infer", "--mesh=1x1", "-o", WORK / "moved.hct")
    run(BIN / "hecaton-sim", WORK / "moved.hct", "--mode=functional", *INPUTS, "--output", f"loss={WORK / 'loss.npy'}")
    return float(np.load(WORK / "loss.npy"))


STEP = 1e-2
slopes = {}
for name, weight in WEIGHTS.items():
    way = numbers.standard_normal(weight.shape).astype(np.float32)
    way /= np.linalg.norm(way)
    slopes[name] = way, (loss({**WEIGHTS, name: weight + STEP * way}) - loss({**WEIGHTS, name: weight - STEP * way})) / (2 * STEP)
write(WORK / "model.onnx", WEIGHTS)
for mesh in ("1x1", "2x2", "2x3"):
    run(BIN / "hecaton-compile", WORK / "model.onnx", f"--mesh={mesh}", "--optimizer=none", "-o", WORK / "model.hct")
    outputs = [f for name in WEIGHTS for f in ("--output", f"grad:{name}={WORK / name}.npy")]
    run(BIN / "hecaton-sim", WORK / "model.hct", "--mode=functional", *INPUTS, *outputs)
    for name, (way, slope) in slopes.items():
        got = float((np.load(WORK / f"{name}.npy").astype(np.float64) * way).sum())
        print(f"{mesh} {name}: {got:.6f} and {slope:.6f}")
        assert abs(got - slope) < 2e-5 + 2e-3 * abs(slope), f"{mesh}: the gradient of {name} has slope {got} where the loss has {slope}"
