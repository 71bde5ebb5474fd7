#!/usr/bin/env python3
"""QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear against NumPy in f32: every type, scales of a tensor, of an axis and of blocks.

usage: quantize.py BIN_DIRECTORY WORK_DIRECTORY MESH|host
"""
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

sys.dont_write_bytecode = True
BIN, WORK, MESH = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
sys.path.insert(0, str(Path(__file__).parent.parent))
import checks  # noqa: E402
import element_formats as low  # noqa: E402
from checks import check, done, run, target  # noqa: E402

checks.tools_from(BIN)
WORK.mkdir(parents=True, exist_ok=True)
TARGET = target(MESH)
numbers = np.random.default_rng(7)
WHOLE = {"UINT8": (2, 8, False), "INT8": (3, 8, True), "UINT16": (4, 16, False), "INT16": (5, 16, True), **low.INTEGERS}
X = np.concatenate([40 * numbers.standard_normal((5, 7, 6)).astype(np.float32), np.array([np.inf, -np.inf, 1e9, -1e9, 0.75, -0.75], np.float32) * np.ones((1, 7, 6), np.float32)])  # with ties, of a scale of 0.5


def held(values, number):
    """an initializer of whole numbers, or of floats that are values of the type"""
    if number not in low.BITS:
        return numpy_helper.from_array(values.astype({2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16}[number]))
    codes = values.astype(np.int64).astype(np.uint8)
    for f in low.FLOATS.values():
        if f.number == number:
            codes = np.array([np.flatnonzero(f.values == v)[0] for v in values.ravel()], np.uint8).reshape(values.shape)
    return TensorProto(data_type=number, dims=values.shape, raw_data=low.pack(codes, low.BITS[number]))


def named(proto, name):
    proto.name = name
    return proto


def compiled(nodes, inputs, outputs, initializers):
    infos = [[helper.make_tensor_value_info(n, number, shape) for n, number, shape in values] for values in (inputs, outputs)]
    model = helper.make_model(helper.make_graph(nodes, "q", *infos, initializers), opset_imports=[helper.make_opsetid("", 25)])
    model.ir_version = 13
    (WORK / "q.onnx").write_bytes(model.SerializeToString())
    return run("hecaton-compile", WORK / "q.onnx", "--mode=infer", *TARGET, "-o", WORK / "q.hct")


def computed(nodes, inputs, outputs, initializers):
    result = compiled(nodes, [(n, 1, a.shape) for n, a in inputs.items()], outputs, initializers)
    if result.returncode:
        raise SystemExit(result.stderr)
    files = []
    for name, array in inputs.items():
        np.save(WORK / f"{name}.npy", array)
        files += ["--input", f"{name}={WORK / name}.npy"]
    done("hecaton-sim", WORK / "q.hct", "--mode=functional", *files, *(f for n, *_ in outputs for f in ("--output", f"{n}={WORK / n}.npy")))
    return [np.load(WORK / f"{n}.npy") for n, *_ in outputs]


def grains():
    """(name, attributes, shape of the scale, scale or zero point as the input's shape)"""
    yield "a tensor", {}, (), lambda s: s
    yield "axis 1", {}, (7,), lambda s: s[:, None]
    yield "axis -1", {"axis": -1}, (6,), lambda s: s
    yield "axis 0", {"axis": 0}, (6,), lambda s: s[:, None, None]
    yield "blocks of 3 of axis 1", {"axis": 1, "block_size": 3}, (6, 3, 6), lambda s: np.repeat(s, 3, 1)[:, :7]
    yield "blocks of 2 of axis 2", {"axis": 2, "block_size": 2}, (6, 7, 3), lambda s: np.repeat(s, 2, 2)


def whole():
    for name, (number, bits, signed) in WHOLE.items():
        low_end, high_end = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        for grain, attributes, shape, wide in grains():
            scale = np.float32(0.5) if shape == () else (0.3 + numbers.random(shape)).astype(np.float32)
            zero = numbers.integers(low_end, high_end + 1, shape)
            with_zero = [named(numpy_helper.from_array(np.asarray(scale)), "s"), named(held(np.asarray(zero), number), "z")]
            nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **attributes), helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], **attributes),
                     helper.make_node("QuantizeLinear", ["x", "s"], ["q0"], output_dtype=number, **attributes), helper.make_node("DequantizeLinear", ["q0", "s"], ["d0"], **attributes)]
            q, d, q0, d0 = computed(nodes, {"x": X}, [("q", number, X.shape), ("d", 1, X.shape), ("q0", number, X.shape), ("d0", 1, X.shape)], with_zero)
            places = np.rint(X / wide(scale))
            want, want0 = np.clip(places + wide(zero), low_end, high_end), np.clip(places, low_end, high_end)
            kind = np.dtype(f"{'i' if signed else 'u'}{max(bits // 8, 1)}")
            for what, got, w in (("", q, want), (", no zero point", q0, want0)):
                check(f"{MESH} {name} by {grain}{what}", got.dtype == kind and np.array_equal(got, w), f"{got.dtype} {got[got != w][:4]} {w[got != w][:4]}")
            for what, got, w in (("", d, (want - wide(zero)).astype(np.float32) * wide(scale)), (", no zero point", d0, want0.astype(np.float32) * wide(scale))):
                check(f"{MESH} {name} back by {grain}{what}", got.dtype == np.float32 and np.array_equal(got, w), f"{got[got != w][:4]} {w[got != w][:4]}")


def floats():
    for name in ("FLOAT8E4M3FN", "FLOAT8E5M2FNUZ", "FLOAT4E2M1"):
        number, scale = low.FLOATS[name].number, (0.3 + numbers.random(6)).astype(np.float32)
        for saturate in (0, 1):
            nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=2, saturate=saturate), helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=2)]
            q, d = computed(nodes, {"x": X}, [("q", number, X.shape), ("d", 1, X.shape)], [named(numpy_helper.from_array(scale), "s"), named(held(np.zeros(6), number), "z")])
            want = low.narrow(X / scale, name, bool(saturate))
            check(f"{MESH} {name}, saturate={saturate}", np.array_equal(q, want, equal_nan=True))
            check(f"{MESH} {name} back, saturate={saturate}", np.array_equal(d, want * scale, equal_nan=True))


def microscaling():
    """float4 in blocks of 2 whose scales are powers of two (OCP's MX formats)"""
    scale, number = 2.0 ** numbers.integers(-3, 4, (6, 7, 3)).astype(np.float32), low.FLOATS["FLOAT4E2M1"].number
    attributes = {"axis": 2, "block_size": 2}
    nodes = [helper.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=number, **attributes), helper.make_node("DequantizeLinear", ["q", "s"], ["d"], output_dtype=1, **attributes)]
    q, d = computed(nodes, {"x": X}, [("q", number, X.shape), ("d", 1, X.shape)], [named(held(scale, 24), "s")])
    want = low.narrow(X / np.repeat(scale, 2, 2), "FLOAT4E2M1")
    check(f"{MESH} blocks of float4", np.array_equal(q, want) and np.array_equal(d, want * np.repeat(scale, 2, 2)))


def dynamic():
    for x in (X[:5], np.abs(X[:5]) + 3, -np.abs(X[:5]) - 3):
        q, s, z = computed([helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])], {"x": x}, [("q", 2, x.shape), ("s", 1, ()), ("z", 2, ())], [])
        least, most = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
        scale = (most - least) / np.float32(255)
        zero = np.rint(np.clip(-least / scale, 0, 255))
        want = np.clip(np.rint(x / scale) + zero, 0, 255)
        check(f"{MESH} dynamic, {x.min():.0f} to {x.max():.0f}", s == scale and z == zero and q.dtype == z.dtype == np.uint8 and np.array_equal(q, want), f"{s} {scale} {z} {zero}")


def linear_layer():
    """as exporters write it: int8 weights by column, int4 ones by block, activations of one scale"""
    x, scale = numbers.standard_normal((12, 8)).astype(np.float32), (0.01 + 0.02 * numbers.random(10)).astype(np.float32)
    w, v, blocks = numbers.integers(-128, 128, (8, 10)), numbers.integers(-8, 8, (10, 3)), (0.1 + numbers.random((4, 3))).astype(np.float32)
    initializers = [named(held(w, 3), "w"), named(numpy_helper.from_array(scale), "ws"), named(held(v, 22), "v"), named(numpy_helper.from_array(blocks), "vs"), named(numpy_helper.from_array(np.float32(0.03)), "xs"), named(held(np.array(3), 3), "xz")]
    nodes = [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), helper.make_node("DequantizeLinear", ["q", "xs", "xz"], ["d"]), helper.make_node("DequantizeLinear", ["w", "ws"], ["wd"], axis=1),
             helper.make_node("DequantizeLinear", ["v", "vs"], ["vd"], axis=0, block_size=3), helper.make_node("MatMul", ["d", "wd"], ["h"]), helper.make_node("MatMul", ["h", "vd"], ["y"])]
    y, = computed(nodes, {"x": x}, [("y", 1, (12, 3))], initializers)
    d = (np.clip(np.rint(x / np.float32(0.03)) + 3, -128, 127) - 3).astype(np.float64) * np.float32(0.03)
    want = d @ (w * scale.astype(np.float64)) @ (v * np.repeat(blocks, 3, 0)[:10].astype(np.float64))
    check(f"{MESH} linear layers", np.abs(y - want).max() <= 1e-5 * np.abs(want).max(), f"off by {np.abs(y - want).max()} of {np.abs(want).max()}")


def refused(name, said, op="QuantizeLinear", number=3, scale=np.float32(1), x=1, zero=(), **attributes):
    initializers = [named(numpy_helper.from_array(np.asarray(scale)), "s"), named(held(np.zeros(zero), number), "z")]
    result = compiled([helper.make_node(op, ["x", "s", "z"], ["y"], **attributes)], [("x", x, [4, 6])], [("y", 1, [4, 6])], initializers)
    check(f"{MESH} {name} is refused", result.returncode == 1 and said in result.stderr, result.stderr)


def refusals():
    refused("a scale of another size", "a scale or zero point of 3 elements; the input has 6 along axis 1", scale=np.ones(3, np.float32))
    refused("a scale of another rank", "a scale or zero point of rank 3", scale=np.ones((1, 2, 3), np.float32))
    refused("a block that does not fit", "none of blocks of 4 along axis 1", scale=np.ones((4, 3), np.float32), axis=1, block_size=4)
    refused("a zero point of another shape", "scale and zero point are of different shapes", scale=np.ones(6, np.float32), zero=(4,))
    refused("a zero point of another type", "a zero point of i8; what is quantized is of ui8", op="DequantizeLinear", x=2)
    refused("a precision", "precision 10; it is computed in f32", precision=10)
    refused("two types", "output_dtype 2, which is unknown or not the zero point's", output_dtype=2)
    refused("a scale of integers", "a scale of i64; floats are supported", scale=np.int64(1))
    refused("quantized bools", "an input of i1; floats and i32 are supported", x=9)
    refused("an axis that is not there", "axis 2 of a value of rank 2", scale=np.ones(6, np.float32), axis=2)


for part in (whole, floats, microscaling, dynamic, linear_layer, refusals):
    part()
print(f"{checks.failures} failures on {MESH}")
sys.exit(checks.failures > 0)
