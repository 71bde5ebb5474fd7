#!/usr/bin/env python3
"""Casts to f16 and bf16 and back in the middle of a graph: values are those of NumPy's f16, and of bf16 as its bits say.

usage: half_casts.py BIN_DIRECTORY WORK_DIRECTORY MESH|host
"""
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

BIN, WORK, MESH = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402
from checks import check, done, finish, target  # noqa: E402

checks.tools_from(BIN)
WORK.mkdir(parents=True, exist_ok=True)
F32, F16, BF16, I32 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT32
node = helper.make_node


def bf16(values):
    """to nearest, ties to even, of the upper half of the bits; NaN stays NaN"""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    upper, rest = bits >> np.uint64(16), bits & np.uint64(0xFFFF)
    upper += (rest > 0x8000) | ((rest == 0x8000) & (upper & np.uint64(1) == 1))
    return np.where(np.isnan(values), np.float32(np.nan), (upper << np.uint64(16)).astype(np.uint32).view(np.float32))


def f16(values):
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


HALVES = ((F16, f16), (BF16, bf16))


def model(name, nodes, inputs, outputs, initializers=(), opset=21):
    infos = [[helper.make_tensor_value_info(*v) for v in values] for values in (inputs, outputs)]
    made = helper.make_model(helper.make_graph(nodes, name, *infos, [numpy_helper.from_array(a, n) for n, a in initializers]), opset_imports=[helper.make_opsetid("", opset)])
    (WORK / f"{name}.onnx").write_bytes(made.SerializeToString())
    return WORK / f"{name}.onnx"


def results(path, feeds, outputs, *options):
    done("hecaton-compile", path, *target(MESH), *options, "-o", WORK / "m.out")
    files = [f for name, array in feeds for f in ("--input", f"{name}={np.save(WORK / f'{name}.npy', array) or WORK / f'{name}.npy'}")] + [f for i, name in enumerate(outputs) for f in ("--output", f"{name}={WORK / f'{i}.npy'}")]
    done("hecaton-sim", WORK / "m.out", "--mode=functional", *files)
    return [np.load(WORK / f"{i}.npy") for i in range(len(outputs))]


def equal(name, got, want):
    same = (got == want) & (np.signbit(got) == np.signbit(want)) | (np.isnan(got) & np.isnan(want))
    check(f"{MESH} {name}", got.shape == want.shape and same.all(), f"{got[~same][:8]}, expected {want[~same][:8]}")


def there_and_back(to):
    return [node("Cast", ["x"], ["h"], to=to), node("Cast", ["h"], ["y"], to=F32)]


# ---- every exponent, ties, neighbours of ties, subnormal numbers, what is too large ----
random = np.random.default_rng(3)
bits = random.integers(0, 1 << 32, 6000, np.uint64).astype(np.uint32)
codes = np.arange(0, 1 << 16, 37, np.uint16).view(np.float16).astype(np.float32)
codes = codes[np.isfinite(codes)]
ties = (codes[:-1].astype(np.float64) + codes[1:]) / 2
near = np.array([65504, 65519, 65520, 65536, 2.0**-24, 2.0**-25, 2.0**-25 * 1.0001, 3.3895314e38, 3.4e38, 0, np.inf, np.nan], np.float32)
hard = np.concatenate([bits.view(np.float32), codes, ties.astype(np.float32), random.standard_normal(300).astype(np.float32), near, -near])
hard = hard[: hard.size // 6 * 6].reshape(6, -1)
for to, rounded in HALVES:
    path = model("hard", there_and_back(to), [("x", F32, hard.shape)], [("y", F32, hard.shape)])
    equal(f"rounding to {to}", results(path, [("x", hard)], ["y"], "--mode=infer")[0], rounded(hard))

# ---- of integers, like another, of known values, dequantized, moved and computed with between ----
x, w = random.standard_normal((4, 6)).astype(np.float32), random.standard_normal((6, 5)).astype(np.float32)
whole = random.integers(-100000, 100000, (4, 6), np.int32)
for to, rounded in HALVES:
    of_ints = model("ints", there_and_back(to), [("x", I32, x.shape)], [("y", F32, x.shape)])
    equal(f"integers to {to}", results(of_ints, [("x", whole)], ["y"], "--mode=infer")[0], rounded(whole.astype(np.float32)))
    nodes = [node("CastLike", ["x", "l"], ["h"]), node("Transpose", ["h"], ["t"], perm=[1, 0]), node("Cast", ["t"], ["u"], to=F32), node("Cast", ["k"], ["m"], to=to), node("CastLike", ["x", "m"], ["v"]),
             node("Cast", ["v"], ["n"], to=F32), node("Transpose", ["n"], ["o"], perm=[1, 0]), node("Add", ["u", "o"], ["y"])]
    like = model("like", nodes, [("x", F32, x.shape), ("l", F16, (1,)), ("k", F32, (1,))], [("y", F32, (6, 4))])
    equal(f"like {to}", results(like, [("x", x), ("l", np.float16([1])), ("k", np.float32([1]))], ["y"], "--mode=infer")[0], f16(x).T + rounded(x).T)
    known = model("known", [node("Cast", ["k"], ["h"], to=to), node("Cast", ["h"], ["f"], to=F32), node("Mul", ["x", "f"], ["y"])], [("x", F32, x.shape)], [("y", F32, x.shape)], [("k", np.float32(1 / 3))])
    equal(f"known value to {to}", results(known, [("x", x)], ["y"], "--mode=infer")[0], x * rounded(np.float32([1 / 3])))
    scale = np.float32(0.1)
    quantized = model("quantized", [node("DequantizeLinear", ["x", "s"], ["h"], output_dtype=to), node("Cast", ["h"], ["y"], to=F32)], [("x", TensorProto.INT8, x.shape)], [("y", F32, x.shape)], [("s", scale)], opset=23)
    small = (whole % 200 - 100).astype(np.int8)
    equal(f"dequantized to {to}", results(quantized, [("x", small)], ["y"], "--mode=infer")[0], rounded(small.astype(np.float32) * scale))
    nodes = [node("Cast", ["x"], ["xh"], to=to), node("Cast", ["xh"], ["xf"], to=F32), node("Cast", ["w"], ["wh"], to=to), node("Cast", ["wh"], ["wf"], to=F32), node("MatMul", ["xf", "wf"], ["y"])]
    product = model("product", nodes, [("x", F32, x.shape)], [("y", F32, (4, 5))], [("w", w)])
    got, want = results(product, [("x", x)], ["y"], "--mode=infer")[0], rounded(x).astype(np.float64) @ rounded(w)
    check(f"{MESH} product of values rounded to {to}", np.abs(got - want).max() < 2e-6, str(np.abs(got - want).max()))

# ---- a step of training: the loss is of rounded numbers, gradients go straight through ----
for to, rounded in HALVES:
    nodes = [node("Cast", ["w"], ["wh"], to=to), node("Cast", ["wh"], ["wf"], to=F32), node("MatMul", ["x", "wf"], ["p"]), node("Cast", ["p"], ["ph"], to=to), node("Cast", ["ph"], ["pf"], to=F32),
             node("Mul", ["pf", "pf"], ["s"]), node("ReduceMean", ["s"], ["loss"], keepdims=0)]
    trained = model("trained", nodes, [("x", F32, x.shape)], [("loss", F32, ())], [("w", w)])
    loss, gradient = results(trained, [("x", x)], ["loss", "grad:w"], "--optimizer=none")
    p = rounded((x.astype(np.float64) @ rounded(w)).astype(np.float32)).astype(np.float64)
    check(f"{MESH} loss through {to}", abs(loss - (p * p).mean()) < 1e-5 * (p * p).mean(), f"{loss}, expected {(p * p).mean()}")
    want = x.astype(np.float64).T @ (2 * p / p.size)
    check(f"{MESH} gradient through {to}", np.abs(gradient - want).max() < 1e-5 * np.abs(want).max(), str(np.abs(gradient - want).max()))

# ---- what is f16 already is not rounded again; inside of a composite operator nothing is, unless nothing is raised ----
nodes = [node("Cast", ["x"], ["f"], to=F32), node("Pow", ["f", "two"], ["q"]), node("ReduceMean", ["q"], ["v"], axes=[-1]), node("Add", ["v", "eps"], ["e"]), node("Sqrt", ["e"], ["r"]), node("Div", ["f", "r"], ["n"]),
         node("Cast", ["n"], ["h"], to=F16), node("Mul", ["h", "g"], ["o"]), node("Cast", ["o"], ["p"], to=F32), node("Cast", ["p"], ["y"], to=F16), node("Cast", ["x"], ["z"], to=F16)]
gain = random.standard_normal(6).astype(np.float16)
rms = model("rms", nodes, [("x", F16, x.shape)], [("y", F16, x.shape), ("z", F16, x.shape)], [("two", np.float32(2)), ("eps", np.float32(1e-5)), ("g", gain)], opset=17)
for options, composites, roundings in (((), 1, 1), (("--no-raise",), 0, 2)):
    text = done("hecaton-compile", rms, "--mode=infer", "--emit=graph", *options, "-o", "-").stdout
    check(f"{options}", text.count('"hct_graph.rms_norm"') == composites and text.count('fn = "narrow"') == roundings, text)
got = results(rms, [("x", x.astype(np.float16))], ["y", "z"], "--mode=infer", "--no-raise")
f = x.astype(np.float16).astype(np.float64)
check(f"{MESH} f16 result", np.abs(got[0] - (f / np.sqrt((f * f).mean(-1, keepdims=True) + 1e-5)).astype(np.float16).astype(np.float64) * gain).max() < 4e-3)
equal("f16 as it is", got[1], x.astype(np.float16))
finish()
