#!/usr/bin/env python3
"""Products of ONNX on dies are those of NumPy: einsum in all its forms, products that broadcast, and integers, which are exact modulo their range.

usage: products.py BIN_DIRECTORY WORK_DIRECTORY
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, mapping

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
numbers = np.random.default_rng(1)
failures = 0


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"


def check(name, node, arrays, wanted, meshes=("1x1", "2x2")):
    global failures
    infos = [helper.make_tensor_value_info(n, mapping.NP_TYPE_TO_TENSOR_TYPE[a.dtype], a.shape) for n, a in arrays.items()]
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", infos[0].type.tensor_type.elem_type, None)])
    (WORK / "m.onnx").write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    for n, a in arrays.items():
        np.save(WORK / f"{n}.npy", a)
    for mesh in meshes:
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--mode=infer", f"--mesh={mesh}", "-o", WORK / "m.hct")
        run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=functional", *(f for n in arrays for f in ("--input", f"{n}={WORK / n}.npy")), "--output", f"y={WORK / 'y.npy'}")
        got = np.load(WORK / "y.npy")
        exact = wanted.dtype.kind in "iu"
        if got.shape != wanted.shape or not (np.array_equal(got, wanted) if exact else np.allclose(got, wanted, 1e-4, 1e-5)):
            failures += 1
            print(f"FAIL {name} on {mesh}: shapes {got.shape} and {wanted.shape}\n{got}\n{wanted}")


def einsum(equation, *shapes):
    arrays = {chr(ord("a") + k): numbers.standard_normal(s).astype(np.float32) for k, s in enumerate(shapes)}
    check(equation, helper.make_node("Einsum", list(arrays), ["y"], equation=equation), arrays, np.einsum(equation, *arrays.values()))


einsum("ab,bc->ac", (3, 4), (4, 5))
einsum("ab,cb->cab", (3, 4), (2, 4))
einsum("ba,cd,bdf->af", (3, 4), (2, 6), (3, 6, 5))
einsum("ab,a,b", (3, 4), (3,), (4,))
einsum("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 6))
einsum("i...,...i->...", (3, 4), (4, 3))
einsum("b...ii,i->b...", (2, 3, 4, 4), (4,))
einsum("iij,jk->ki", (3, 3, 4), (4, 2))
einsum("iii,i->i", (3, 3, 3), (3,))
einsum("ab,->ba", (3, 4), ())
einsum("a b , b -> a", (3, 4), (1,))
einsum("abc->b", (2, 3, 4))
einsum("ij,kl->jk", (2, 3), (4, 5))
einsum("Ab,bC", (3, 4), (4, 2))
einsum("a,b,c,d->dcba", (2,), (3,), (4,), (2,))

for type_ in (np.int32, np.int64, np.uint32, np.uint64, np.int8):
    low, high = np.iinfo(type_).min // 4, np.iinfo(type_).max // 4
    arrays = {"a": numbers.integers(low, high, (3, 40), type_), "b": numbers.integers(low, high, (40, 5), type_)}
    check(type_.__name__, helper.make_node("MatMul", ["a", "b"], ["y"]), arrays, arrays["a"] @ arrays["b"])
matmul = helper.make_node("MatMul", ["a", "b"], ["y"])
for a, b in (((4,), (4,)), ((4,), (3, 4, 2)), ((2, 3, 4), (4,)), ((2, 1, 3, 4), (5, 4, 2)), ((1, 3, 4), (2, 4, 5)), ((3, 4), (2, 2, 4, 1)), ((1, 1), (1, 1))):
    arrays = {"a": numbers.standard_normal(a).astype(np.float32), "b": numbers.standard_normal(b).astype(np.float32)}
    check(f"{a} {b}", matmul, arrays, arrays["a"] @ arrays["b"])
sys.exit(failures > 0)
