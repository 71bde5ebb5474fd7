#!/usr/bin/env python3
"""Adagrad, Adam and Momentum of ai.onnx.preview.training: two tensors at once, at counts 0 and 3, against their documented equations in f64; and refusals.

usage: optimizers.py BIN_DIRECTORY WORK_DIRECTORY
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
DOMAIN, SHAPES = "ai.onnx.preview.training", ((4, 6), (5,))


def adagrad(r, t, x, g, h, *, norm_coefficient, decay_factor, epsilon):
    g = norm_coefficient * x + g
    h = h + g * g
    return x - r / (1 + t * decay_factor) * g / (np.sqrt(h) + epsilon), h


def adam(r, t, x, g, v, h, *, norm_coefficient, norm_coefficient_post, alpha, beta, epsilon):
    g = norm_coefficient * x + g
    v, h = alpha * v + (1 - alpha) * g, beta * h + (1 - beta) * g * g
    r = r * np.sqrt(1 - beta**t) / (1 - alpha**t) if t > 0 else r
    return (1 - norm_coefficient_post) * (x - r * v / (np.sqrt(h) + epsilon)), v, h


def momentum(r, t, x, g, v, *, norm_coefficient, alpha, beta, mode):
    g = norm_coefficient * x + g
    v = alpha * v + (beta if t > 0 else 1) * g
    return x - r * (g + alpha * v if mode == "nesterov" else v), v


# Differences of values up to 3, in f32: a few roundings of 1e-7 each.
CASES = [("Adagrad", adagrad, {"norm_coefficient": 0.1, "decay_factor": 0.2, "epsilon": 1e-3}),
         ("Adam", adam, {"norm_coefficient": 0.1, "norm_coefficient_post": 0.05, "alpha": 0.8, "beta": 0.9, "epsilon": 1e-3}),
         ("Momentum", momentum, {"norm_coefficient": 0.1, "alpha": 0.8, "beta": 0.6, "mode": "standard"}),
         ("Momentum", momentum, {"norm_coefficient": 0.1, "alpha": 0.8, "beta": 0.6, "mode": "nesterov"})]


def run(*args, code=0):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == code, f"{' '.join(map(str, args))}\nexit status {done.returncode}\n{done.stderr}"
    return done.stderr


def write(op, states, attributes, shapes=SHAPES, domain=DOMAIN, left_out=0, count=TensorProto.INT64):
    letters = ["X", "G", *(["V", "H"] if states == 2 else ["V"])]
    names = [f"{letter}{i}" for letter in letters for i in range(len(shapes))]
    infos = [helper.make_tensor_value_info("R", TensorProto.FLOAT, []), helper.make_tensor_value_info("T", count, [])]
    infos += [helper.make_tensor_value_info(n, TensorProto.FLOAT, shapes[int(n[1])]) for n in names]
    results = [f"{letter}{i}_new" for letter in letters if letter != "G" for i in range(len(shapes))]
    node = helper.make_node(op, ["R", "T", *names[: len(names) - left_out]], results, domain=domain, **attributes)
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info(n, TensorProto.FLOAT, shapes[int(n[1])]) for n in results])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]), WORK / "model.onnx")
    return names, results


rng = np.random.default_rng(3)
for op, equation, attributes in CASES:
    states = 2 if op == "Adam" else 1
    names, results = write(op, states, attributes)
    run(BIN / "hecaton-compile", WORK / "model.onnx", "--mode=infer", "--emit=onnx", "-o", WORK / "level.mlir")
    run(BIN / "hecaton-opt", WORK / "level.mlir", "--emit=graph", "-o", WORK / "graph.mlir")  # the level says all there is to say
    for mesh in ("1x1", "2x3"):
        run(BIN / "hecaton-compile", WORK / "model.onnx", "--mode=infer", f"--mesh={mesh}", "-o", WORK / "p.hct")
        for count in (0, 3):
            data = {n: np.abs(rng.standard_normal(SHAPES[int(n[1])])).astype(np.float32) for n in names} | {"R": np.float32(0.3), "T": np.int64(count)}
            for n, a in data.items():
                np.save(WORK / f"{n}.npy", a)
            inputs = [a for n in data for a in ("--input", f"{n}={WORK / n}.npy")]
            run(BIN / "hecaton-sim", WORK / "p.hct", "--mode=functional", *inputs, *(a for n in results for a in ("--output", f"{n}={WORK / n}.npy")))
            for i in range(len(SHAPES)):
                want = equation(0.3, count, *(data[n].astype(np.float64) for n in names if n[1] == str(i)), **attributes)
                for n, w in zip((r for r in results if r[1] == str(i)), want):
                    got = np.load(WORK / f"{n}.npy")
                    assert got.shape == w.shape and np.allclose(got, w, 2e-6, 1e-6), f"{op} {mesh} {count} {n}: off by {np.abs(got - w).max():.1e}"
    print(f"ok {op} {attributes.get('mode', '')}")

GIVEN = dict(CASES[2][2])
for change, message in ((dict(left_out=1), "inputs and 4 outputs; it takes R, T and 3 for each tensor, and gives 2 for each"), (dict(count=TensorProto.FLOAT), "T is no scalar of integer type"),
                        (dict(domain=""), "operator Momentum of opset 17 is not supported"), (dict(attributes=GIVEN | {"mode": "fast"}), "mode 'fast' is neither standard nor nesterov")):
    write("Momentum", 1, **({"attributes": GIVEN} | change))
    error = run(BIN / "hecaton-compile", WORK / "model.onnx", "--mode=infer", "--mesh=1x1", "-o", WORK / "p.hct", code=1)
    assert message in error, error
print("ok refusals")
