#!/usr/bin/env python3
"""Elementwise operators of ONNX, on dies and on the host: values are those of their definitions in double precision, and gradients are central
differences of these definitions, also where |x| is so large that e^x is infinite.

usage: elementwise_gradients.py BIN_DIRECTORY WORK_DIRECTORY
"""
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
erf = np.vectorize(math.erf)
ANY = [-3.3, -1.7, -0.6, -0.2, 0.1, 0.4, 0.9, 1.3, 2.6, 4.2]
FAR = [-1000, -95, -30, -3.3, -1.2, -0.3, 0.2, 0.7, 1.4, 3.7, 30, 95, 1000]
INSIDE = [-0.93, -0.7, -0.4, -0.1, 0.05, 0.3, 0.5, 0.85]
AWAY = [1.07, 1.3, 2.0, 4.5, 9.0]


def expm1_below(x, width=1.0):
    return np.expm1(np.minimum(x, 0) / width)


def sigmoid(x):
    return np.where(x < 0, np.exp(np.minimum(x, 0)) / (1 + np.exp(np.minimum(x, 0))), 1 / (1 + np.exp(-np.maximum(x, 0))))


# operator, attributes, points, definition, more operands
CASES = [
    ("Tan", {}, INSIDE, np.tan), ("Asin", {}, INSIDE, np.arcsin), ("Acos", {}, INSIDE, np.arccos), ("Atan", {}, FAR, np.arctan), ("Sinh", {}, ANY, np.sinh), ("Cosh", {}, ANY, np.cosh),
    ("Asinh", {}, FAR, np.arcsinh), ("Acosh", {}, AWAY, np.arccosh), ("Atanh", {}, INSIDE, np.arctanh), ("Sin", {}, ANY, np.sin), ("Cos", {}, ANY, np.cos), ("Erf", {}, ANY, erf),
    ("Ceil", {}, ANY, np.ceil), ("Floor", {}, ANY, np.floor), ("Round", {}, ANY, np.rint), ("Sign", {}, ANY, np.sign), ("Abs", {}, ANY, np.abs),
    ("LeakyRelu", {"alpha": 0.1}, FAR, lambda x: np.where(x > 0, x, 0.1 * x)), ("Elu", {"alpha": 1.5}, FAR, lambda x: np.where(x > 0, x, 1.5 * expm1_below(x))),
    ("Selu", {"alpha": 2.0, "gamma": 1.5}, FAR, lambda x: 1.5 * np.where(x > 0, x, 2.0 * expm1_below(x))), ("Celu", {"alpha": 2.0}, FAR, lambda x: np.where(x > 0, x, 2.0 * expm1_below(x, 2.0))),
    ("Gelu", {}, FAR, lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))),
    ("Gelu", {"approximate": "tanh"}, FAR, lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    ("Swish", {"alpha": 1.5}, FAR, lambda x: x * sigmoid(1.5 * x)), ("Mish", {}, FAR, lambda x: x * np.tanh(np.logaddexp(0, x))), ("Softplus", {}, FAR, lambda x: np.logaddexp(0, x)),
    ("HardSigmoid", {"alpha": 0.25, "beta": 0.4}, ANY, lambda x: np.clip(0.25 * x + 0.4, 0, 1)), ("HardSwish", {}, ANY, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    ("Softsign", {}, FAR, lambda x: x / (1 + np.abs(x))), ("ThresholdedRelu", {"alpha": 0.5}, ANY, lambda x: np.where(x > 0.5, x, 0)),
    ("Shrink", {"lambd": 0.5, "bias": 0.3}, ANY, lambda x: np.where(x < -0.5, x + 0.3, np.where(x > 0.5, x - 0.3, 0))),
    ("PRelu", {}, ANY, lambda x, b: np.where(x > 0, x, b * x), [0.3]), ("Mod", {"fmod": 1}, ANY, np.fmod, [0.73]), ("Mod", {}, ANY, np.mod, [0.73]),
    ("Clip", {}, ANY, lambda x, low, high: np.clip(x, low, high), [-1.0], [1.5]), ("Pow", {}, AWAY, np.power, [1.7]),
    ("Max", {}, ANY, lambda x, b, c: np.maximum(np.maximum(x, b), c), [0.3], [-2.0]), ("Min", {}, ANY, lambda x, b, c: np.minimum(np.minimum(x, b), c), [0.3], [2.0]),
    ("Mean", {}, ANY, lambda x, b, c: (x + b + c) / 3, [0.3], [-2.0]), ("Sum", {}, ANY, lambda x, b, c: x + b + c, [0.3], [-2.0]),
]
failures = 0


def check(name, got, want, rtol=2e-5, atol=2e-6):
    global failures
    if got.shape != want.shape or not np.allclose(got, want, rtol, atol):
        failures += 1
        print(f"FAIL {name}:\n  {got}\nexpected\n  {want}")


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def weights():
    return {f"{'abc'[k]}{n}": np.array(points, np.float32) for n, case in enumerate(CASES) for k, points in enumerate((case[2], *case[4:]))}


def write_model(path):
    """loss = sum over cases of sum(g * y); g differs from element to element."""
    nodes, given, totals = [], [numpy_helper.from_array(array, name) for name, array in weights().items()], []
    for n, (op, attributes, points, _, *more) in enumerate(CASES):
        given.append(numpy_helper.from_array(slopes(n).astype(np.float32), f"g{n}"))
        nodes.append(helper.make_node(op, [f"{'abc'[k]}{n}" for k in range(1 + len(more))], [f"y{n}"], name=op, **attributes))
        nodes += [helper.make_node("Mul", [f"y{n}", f"g{n}"], [f"p{n}"]), helper.make_node("ReduceSum", [f"p{n}"], [f"s{n}"], keepdims=0)]
        totals.append(f"s{n}")
    for n in range(1, len(totals)):
        nodes.append(helper.make_node("Add", [totals[0] if n == 1 else f"t{n - 1}", totals[n]], [f"t{n}" if n + 1 < len(totals) else "loss"]))
    outputs = [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])] + [helper.make_tensor_value_info(f"y{n}", TensorProto.FLOAT, [len(c[2])]) for n, c in enumerate(CASES)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "elementwise", [], outputs, given), opset_imports=[helper.make_opsetid("", 24)]), path)


def slopes(n):
    return np.linspace(0.5, 1.5, len(CASES[n][2])) * (-1) ** n


def differences(n, k):
    """of the definition in operand k, at the float32 points, times g; summed where the operand broadcasts"""
    operands = [np.array(points, np.float32).astype(np.float64) for points in (CASES[n][2], *CASES[n][4:])]
    up, down = list(operands), list(operands)
    h = 1e-6
    up[k], down[k] = operands[k] + h, operands[k] - h
    d = slopes(n) * (CASES[n][3](*up) - CASES[n][3](*down)) / (2 * h)
    return d if operands[k].size == d.size else d.sum(keepdims=True)


def main():
    write_model(WORK / "m.onnx")
    names = [name for name in weights() if CASES[int(name[1:])][0] not in ("Ceil", "Floor", "Round", "Sign")]  # constant almost everywhere: no gradient flows
    for how in (["--mesh=1x1"], ["--mesh=2x2"], ["--backend=host"]):
        where, program = how[0].lstrip("-"), WORK / "m.out"
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--mode=infer", *how, "-o", program)
        run(BIN / "hecaton-sim", program, "--mode=functional", *(f"--output=y{n}={WORK}/y{n}.npy" for n in range(len(CASES))))
        for n, (op, attributes, *_) in enumerate(CASES):
            operands = [np.array(points, np.float32).astype(np.float64) for points in (CASES[n][2], *CASES[n][4:])]
            check(f"{where} {op} {attributes}", np.load(WORK / f"y{n}.npy"), CASES[n][3](*operands))
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--loss=loss", "--optimizer=none", *how, "-o", program)
        run(BIN / "hecaton-sim", program, "--mode=functional", *(f"--output=grad:{name}={WORK}/{name}.npy" for name in names))
        for name in names:
            n, k = int(name[1:]), "abc".index(name[0])
            check(f"{where} gradient of operand {k} of {CASES[n][0]} {CASES[n][1]}", np.load(WORK / f"{name}.npy"), differences(n, k), 1e-4, 1e-5)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
