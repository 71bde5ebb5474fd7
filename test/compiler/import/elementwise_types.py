#!/usr/bin/env python3
"""Elementwise operators of ONNX on every element type: conversions of each type to each other, and arithmetic, order, choice and bits of integers
at the edges of their ranges, are NumPy's, on one die, on four, and on the host.

usage: elementwise_types.py BIN_DIRECTORY WORK_DIRECTORY
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BF16 = "bfloat16"
INTEGERS = [np.dtype(f"{sign}int{bits}") for bits in (8, 16, 32, 64) for sign in ("", "u")]
TYPES = {**{d: helper.np_dtype_to_tensor_dtype(d) if hasattr(helper, "np_dtype_to_tensor_dtype") else onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[d]
            for d in [*INTEGERS, np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64), np.dtype(bool)]}, BF16: TensorProto.BFLOAT16}
failures = 0


def round_bf16(a):
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def as_type(a, dtype):
    return round_bf16(a.astype(np.float32)) if dtype == BF16 else a.astype(dtype)


def read(dtype):
    """Values for conversions, of which every type holds the integral part."""
    fractions = np.array([0, 1, 2.75, 100.5, 127, 0.5, 64.25, 3])
    return as_type(fractions if dtype == BF16 or dtype.kind == "f" else np.floor(fractions), dtype)


def check(name, got, want):
    global failures
    if got.shape != want.shape or not np.array_equal(got.astype(np.float64) if got.dtype.kind == "f" else got, want.astype(np.float64) if want.dtype.kind == "f" else want):
        failures += 1
        print(f"FAIL {name}: {got}\n  expected {want}")


def tensor_file(array, dtype, path):
    if dtype == BF16:
        tensor = TensorProto(data_type=TensorProto.BFLOAT16, dims=array.shape, raw_data=(array.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    else:
        tensor = numpy_helper.from_array(array)
    path.write_bytes(tensor.SerializeToString())


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def run_model(nodes, inputs, outputs):
    """inputs: {name: (array, type)}; outputs: {name: (expected, type)}"""
    value = lambda name, array, dtype: helper.make_tensor_value_info(name, TYPES[dtype], array.shape)
    graph = helper.make_graph(nodes, "types", [value(n, *v) for n, v in inputs.items()], [value(n, *v) for n, v in outputs.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), WORK / "m.onnx")
    for name, (array, dtype) in inputs.items():
        tensor_file(array, dtype, WORK / f"{name}.pb")
    for how in ("--mesh=1x1", "--mesh=2x2", "--backend=host"):
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--mode=infer", how, "-o", WORK / "m.out")
        run(BIN / "hecaton-sim", WORK / "m.out", "--mode=functional", *(f"--input={n}={WORK / n}.pb" for n in inputs), *(f"--output={n}={WORK / n}.npy" for n in outputs))
        for name, (want, _) in outputs.items():
            check(f"{how} {name}", np.load(WORK / f"{name}.npy"), want)


def name_of(dtype):
    return str(dtype)


for source in TYPES:
    wanted = {f"{name_of(source)}_to_{name_of(t)}": (as_type(read(source), t), t) for t in TYPES if t != source}
    run_model([helper.make_node("Cast", ["x"], [f"{name_of(source)}_to_{name_of(t)}"], to=TYPES[t]) for t in TYPES if t != source], {"x": (read(source), source)}, wanted)

for dtype in INTEGERS:
    low, high, unsigned = np.iinfo(dtype).min, np.iinfo(dtype).max, dtype.kind == "u"
    a = np.array([low, low + 1, high, high - 1, 0, 7, 100, 13, high // 3, 1, low, 5, low], dtype)
    b = np.array([high, 3, 2, high, 5, 3, 7, 13, 4, high, high, 0, 0], dtype) if unsigned else np.array([high, -3, 2, low, -5, -3, 7, 13, -4, -1, -1, 0, 0], dtype)
    shifts = np.array([0, 1, 3, 7, 2, 5, 6, 4, 1, 7, 3, 2, 1], dtype)
    with np.errstate(over="ignore", divide="ignore"):
        quotients = [int(y) and abs(int(x)) // abs(int(y)) * (1 if (x < 0) == (y < 0) else -1) for x, y in zip(a, b)]  # cut, not floored; by 0 it is 0
        quotient = np.array([(q - int(low)) % 2 ** (8 * dtype.itemsize) + int(low) for q in quotients], dtype)
        cases = [("Add", {}, ["a", "b"], a + b), ("Sub", {}, ["a", "b"], a - b), ("Mul", {}, ["a", "b"], a * b), ("Div", {}, ["a", "b"], quotient), ("Mod", {}, ["a", "b"], np.mod(a, b)),
                 ("Mod", {"fmod": 1}, ["a", "b"], np.fmod(a, b)), ("Max", {}, ["a", "b", "s"], np.maximum(np.maximum(a, b), shifts)), ("Min", {}, ["a", "b"], np.minimum(a, b)),
                 ("Clip", {}, ["a", "low", "high"], np.clip(a, 3, 99)), ("Abs", {}, ["a"], np.abs(a)), ("Sign", {}, ["a"], np.sign(a)), ("Where", {}, ["c", "a", "b"], np.where(a > b, a, b)),
                 ("BitwiseAnd", {}, ["a", "b"], a & b), ("BitwiseOr", {}, ["a", "b"], a | b), ("BitwiseXor", {}, ["a", "b"], a ^ b), ("BitwiseNot", {}, ["a"], ~a),
                 ("Equal", {}, ["a", "b"], a == b), ("Less", {}, ["a", "b"], a < b), ("LessOrEqual", {}, ["a", "b"], a <= b), ("Greater", {}, ["a", "b"], a > b),
                 ("GreaterOrEqual", {}, ["a", "b"], a >= b)]
        if unsigned:
            cases += [("BitShift", {"direction": "LEFT"}, ["a", "s"], a << shifts), ("BitShift", {"direction": "RIGHT"}, ["a", "s"], a >> shifts)]
        else:
            cases += [("Neg", {}, ["a"], -a), ("Relu", {}, ["a"], np.maximum(a, 0))]
        if dtype.itemsize >= 4 and not unsigned:
            cases.append(("Pow", {}, ["a", "s"], a**shifts))
    inputs = {"a": (a, dtype), "b": (b, dtype), "s": (shifts, dtype), "low": (np.array(3, dtype), dtype), "high": (np.array(99, dtype), dtype), "c": (a > b, np.dtype(bool))}
    nodes = [helper.make_node(op, operands, [f"{dtype}_{op}_{n}"], **attributes) for n, (op, attributes, operands, _) in enumerate(cases)]
    run_model(nodes, inputs, {f"{dtype}_{op}_{n}": (want, want.dtype) for n, (op, _, _, want) in enumerate(cases)})
sys.exit(failures > 0)
