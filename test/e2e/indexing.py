#!/usr/bin/env python3
"""Reductions, indexing and arrangement on dies against NumPy: values of each form, and gradients of those that have one, which are central
differences of the NumPy function in double precision.

usage: indexing.py BIN_DIRECTORY WORK_DIRECTORY MESH
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))
from checks import share_sanitized  # noqa: E402

BIN, WORK, MESH = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
WORK.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(7)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def ids(low, high, *shape, dtype=np.int64):
    return rng.integers(low, high, shape).astype(dtype)


def distinct(low, high, *shape, axis):
    return np.apply_along_axis(lambda row: rng.permutation(np.arange(low, high))[: len(row)], axis, np.zeros(shape)).astype(np.int64)


def const(**values):
    return {name: np.array(v, np.int64) for name, v in values.items()}


def scatter_nd(x, i, u, fold=None):
    y = x.copy()
    for at in np.ndindex(i.shape[:-1]):
        key = tuple(i[at])
        y[key] = u[at] if fold is None else fold(y[key], u[at])
    return y


def scatter_elements(x, i, u, axis, fold=None):
    y = x.copy()
    for at in np.ndindex(i.shape):
        key = at[:axis] + (int(i[at]),) + at[axis + 1:]
        y[key] = u[at] if fold is None else fold(y[key], u[at])
    return y


def top(x, k, axis, sign):
    order = np.argsort(-sign * x, axis=axis, kind="stable")
    at = np.take(order, np.arange(k), axis=axis)
    return np.take_along_axis(x, at, axis), at


def reversed_rows(x, n):
    y = x.copy()
    for b, length in enumerate(n):
        y[b, :length] = x[b, :length][::-1]
    return y


def placed(cache, update, first, circular):
    y = cache.copy()
    for b in range(cache.shape[0]):
        for l in range(update.shape[2]):
            at = first[b] + l
            y[b, :, at % cache.shape[2] if circular else at] = update[b, :, l]
    return y


X = f32(4, 6, 5)
S = f32(5, 4, 3)
LONG = ids(-9, 9, 4, 6)
# (name, operator, opset, attributes, x, other run-time inputs, constant inputs, f(x, others), has a gradient); inputs are x, the constants (None: absent), the others
CASES = [
    ("gather_axis1", "Gather", 13, {"axis": 1}, X, [ids(-6, 6, 2, 3)], [], lambda x, i: np.take(x, i, 1), True),
    ("gather_axis2_i32", "Gather", 13, {"axis": -1}, X, [ids(-5, 5, 4, dtype=np.int32)], [], lambda x, i: np.take(x, i, 2), True),
    ("gather_scalar", "Gather", 13, {"axis": 0}, X, [np.array(-2)], [], lambda x, i: x[-2], True),
    ("gather_known", "Gather", 13, {"axis": 1}, X, [], [np.array([0, 2, 4, 5, -1, 1, 1, 1])], lambda x: x[:, [0, 2, 4, 5, -1, 1, 1, 1]], True),
    ("gather_known_rank2", "Gather", 13, {"axis": 2}, X, [], [np.array([[0, -1], [3, 3]])], lambda x: x[:, :, [[0, -1], [3, 3]]], True),
    ("gather_elements", "GatherElements", 13, {"axis": 1}, X, [ids(-6, 6, 3, 9, 5)], [], lambda x, i: np.take_along_axis(x[:3], i, 1), True),
    ("gather_nd", "GatherND", 13, {}, X, [np.stack([ids(-4, 4, 2, 3), ids(-6, 6, 2, 3)], -1)], [], lambda x, i: x[i[..., 0], i[..., 1]], True),
    ("gather_nd_batch", "GatherND", 13, {"batch_dims": 1}, X, [ids(0, 6, 4, 2, 1)], [], lambda x, i: np.stack([x[b][i[b, :, 0]] for b in range(4)]), True),
    ("scatter", "Scatter", 9, {"axis": 1}, X, [distinct(-6, 0, 4, 3, 5, axis=1), f32(4, 3, 5)], [], lambda x, i, u: scatter_elements(x, i, u, 1), True),
    ("scatter_elements_part", "ScatterElements", 18, {"axis": 0}, X, [distinct(0, 4, 2, 6, 3, axis=0), f32(2, 6, 3)], [], lambda x, i, u: scatter_elements(x, i, u, 0), True),
    ("scatter_elements_add", "ScatterElements", 18, {"axis": 2, "reduction": "add"}, X, [ids(0, 5, 4, 6, 7), f32(4, 6, 7)], [], lambda x, i, u: scatter_elements(x, i, u, 2, np.add), True),
    ("scatter_elements_mul", "ScatterElements", 18, {"axis": 1, "reduction": "mul"}, X, [ids(0, 6, 4, 5, 5), f32(4, 5, 5)], [], lambda x, i, u: scatter_elements(x, i, u, 1, np.multiply), True),
    ("scatter_nd_set", "ScatterND", 18, {}, X, [np.array([[1, 2], [-1, 5], [0, 0]]), f32(3, 5)], [], scatter_nd, True),
    ("scatter_nd_add", "ScatterND", 18, {"reduction": "add"}, X, [np.array([[[1], [1]], [[-3], [0]]]), f32(2, 2, 6, 5)], [], lambda x, i, u: scatter_nd(x, i, u, np.add), True),
    ("scatter_nd_max", "ScatterND", 18, {"reduction": "max"}, X, [np.array([[1, 2, 3], [1, 2, 3], [0, 0, 0]]), f32(3)], [], lambda x, i, u: scatter_nd(x, i, u, np.maximum), True),
    ("scatter_nd_min_i64", "ScatterND", 18, {"reduction": "min"}, LONG, [np.array([[1], [1], [3]]), ids(-9, 9, 3, 6)], [], lambda x, i, u: scatter_nd(x, i, u, np.minimum), False),
    ("scatter_nd_set_i32", "ScatterND", 18, {}, LONG.astype(np.int32), [np.array([[2], [-1]]), ids(-9, 9, 2, 6, dtype=np.int32)], [], scatter_nd, False),
    ("tensor_scatter", "TensorScatter", 24, {"mode": "circular"}, f32(3, 2, 7, 4), [f32(3, 2, 3, 4), np.array([0, 3, 6])], [], lambda x, u, n: placed(x, u, n, True), True),
    ("one_hot", "OneHot", 11, {"axis": 1}, ids(-9, 9, 4, 3), [np.array([2.5, -1], np.float32)], [np.array(5)], lambda x, v: np.where(np.where(x < 0, x + 5, x)[:, None] == np.arange(5)[:, None], v[1], v[0]), False),
    ("reverse_sequence", "ReverseSequence", 10, {"batch_axis": 0, "time_axis": 1}, X, [np.array([1, 6, 3, 2])], [], reversed_rows, True),
    ("top_k", "TopK", 11, {"axis": 1}, X, [], [np.array([4])], lambda x: top(x, 4, 1, 1), True),
    ("top_k_smallest_ties", "TopK", 11, {"largest": 0}, LONG % 3, [], [np.array([5])], lambda x: top(x, 5, 1, -1), False),
    ("top_k_attribute", "TopK", 9, {"axis": 0, "k": 2}, X, [], [], lambda x: top(x, 2, 0, 1), True),
    ("cum_sum", "CumSum", 14, {}, X, [], [np.array(1)], lambda x: np.cumsum(x, 1), True),
    ("cum_sum_exclusive_reverse", "CumSum", 14, {"exclusive": 1, "reverse": 1}, X, [], [np.array(-1)], lambda x: np.flip(np.cumsum(np.flip(x, 2), 2), 2) - x, True),
    ("cum_sum_i64", "CumSum", 14, {"exclusive": 1}, LONG, [], [np.array(0)], lambda x: np.cumsum(x, 0) - x, False),
    ("arg_max_last", "ArgMax", 13, {"axis": 1, "select_last_index": 1, "keepdims": 0}, LONG % 4, [], [], lambda x: 5 - np.argmax(x[:, ::-1], 1), False),
    ("arg_min", "ArgMin", 13, {"axis": -1}, X, [], [], lambda x: np.argmin(x, 2)[..., None], False),
    ("hardmax_9", "Hardmax", 9, {"axis": 1}, X, [], [], lambda x: (np.arange(30) == x.reshape(4, 30).argmax(1)[:, None]).astype(np.float32).reshape(x.shape), False),
    ("prod", "ReduceProd", 18, {}, X, [], [np.array([1, -1])], lambda x: np.prod(x, (1, 2), keepdims=True), True),
    ("prod_i64", "ReduceProd", 13, {"axes": [1], "keepdims": 0}, LONG, [], [], lambda x: np.prod(x, 1), False),
    ("l1", "ReduceL1", 13, {"axes": [0, 2]}, X, [], [], lambda x: np.abs(x).sum((0, 2), keepdims=True), True),
    ("l2", "ReduceL2", 18, {"keepdims": 0}, X, [], [np.array([1])], lambda x: np.sqrt((x * x).sum(1)), True),
    ("sum_square_noop", "ReduceSumSquare", 18, {"noop_with_empty_axes": 1}, X, [], [np.array([], np.int64)], lambda x: x * x, True),
    ("log_sum_exp", "ReduceLogSumExp", 18, {"keepdims": 0}, 90 * X, [], [np.array([2])], lambda x: x.max(2) + np.log(np.exp(x - x.max(2, keepdims=True)).sum(2)), True),
    ("log_sum", "ReduceLogSum", 13, {"axes": [-1]}, np.abs(X) + 1, [], [], lambda x: np.log(x.sum(2, keepdims=True)), True),
    ("mean_all", "ReduceMean", 13, {"keepdims": 0}, X, [], [], lambda x: x.mean(), True),
    ("mean_f16", "ReduceMean", 13, {"axes": [1]}, (900 * X).astype(np.float16), [], [], lambda x: x.astype(np.float64).mean(1, keepdims=True), False),
    ("l2_f16", "ReduceL2", 13, {"axes": [1]}, (900 * X).astype(np.float16), [], [], lambda x: np.sqrt((x.astype(np.float64) ** 2).sum(1, keepdims=True)), False),
    ("mean_i32", "ReduceMean", 13, {"axes": [1]}, ids(0, 90, 4, 6, dtype=np.int32), [], [], lambda x: x.sum(1, keepdims=True) // 6, False),
    ("max_bool", "ReduceMax", 20, {}, LONG > 5, [], [np.array([1])], lambda x: x.max(1, keepdims=True), False),
    ("min_u8", "ReduceMin", 20, {}, LONG.astype(np.uint8), [], [np.array([0])], lambda x: x.min(0, keepdims=True), False),
    ("max", "ReduceMax", 13, {"axes": [1]}, X, [], [], lambda x: x.max(1, keepdims=True), True),
    ("pad_reflect", "Pad", 19, {"mode": "reflect"}, X, [], [np.array([1, 0, 4, 2, 0, 3])], lambda x: np.pad(x, ((1, 2), (0, 0), (4, 3)), "reflect"), True),
    ("pad_edge_axes", "Pad", 19, {"mode": "edge"}, X, [], [np.array([2, 1]), None, np.array([-2])], lambda x: np.pad(x, ((0, 0), (2, 1), (0, 0)), "edge"), True),
    ("pad_wrap", "Pad", 19, {"mode": "wrap"}, X, [], [np.array([0, 7, 0, 0, 2, 0])], lambda x: x[:, np.arange(-7, 8) % 6], True),
    ("pad_value", "Pad", 13, {}, X, [np.array(2.5, np.float32)], [np.array([0, 1, -2, 0, 2, 1])], lambda x, v: np.pad(x[:, :, 2:], ((0, 0), (1, 2), (0, 1)), constant_values=2.5), True),
    ("pad_attribute", "Pad", 9, {"pads": [0, 0, 1, 0, -1, 0], "value": -1.0}, X, [], [], lambda x: np.pad(x[:, :-1], ((0, 0), (0, 0), (1, 0)), constant_values=-1), True),
    ("tile", "Tile", 13, {}, X, [], [np.array([2, 1, 3])], lambda x: np.tile(x, (2, 1, 3)), True),
    ("slice_9", "Slice", 9, {"starts": [1, -4], "ends": [100, -1], "axes": [0, 1]}, X, [], [], lambda x: x[1:, -4:-1], True),
    ("slice_steps", "Slice", 13, {}, X, [], [np.array([-1, 0]), np.array([-100, 2**31 - 1]), np.array([1, 2]), np.array([-2, 3])], lambda x: x[:, ::-2, ::3], True),
    ("trilu", "Trilu", 14, {"upper": 0}, X, [], [np.array(-1)], lambda x: np.tril(x, -1), True),
    ("trilu_bool", "Trilu", 14, {}, LONG > 0, [], [], np.triu, False),
    ("depth_to_space_crd", "DepthToSpace", 13, {"blocksize": 2, "mode": "CRD"}, f32(2, 8, 3, 2), [], [], lambda x: x.reshape(2, 2, 2, 2, 3, 2).transpose(0, 1, 4, 2, 5, 3).reshape(2, 2, 6, 4), True),
    ("space_to_depth", "SpaceToDepth", 13, {"blocksize": 2}, f32(2, 2, 4, 6), [], [], lambda x: x.reshape(2, 2, 2, 2, 3, 2).transpose(0, 3, 5, 1, 2, 4).reshape(2, 8, 2, 3), True),
    ("compress", "Compress", 11, {"axis": 1}, X, [], [np.array([False, True, True, False, True])], lambda x: x[:, [1, 2, 4]], True),
    ("center_crop_pad", "CenterCropPad", 18, {"axes": [1, 2]}, X, [], [np.array([3, 8])], lambda x: np.pad(x[:, 1:4], ((0, 0), (0, 0), (1, 2))), True),
    ("split_uneven", "Split", 18, {"axis": 2, "num_outputs": 2}, X, [], [], lambda x: (x[:, :, :3], x[:, :, 3:]), True),
    ("split_attribute", "Split", 11, {"axis": 2, "split": [1, 4]}, S.transpose(0, 2, 1).repeat(2, 2)[:, :, :5], [], [], lambda x: (x[:, :, :1], x[:, :, 1:]), True),
    ("flatten", "Flatten", 13, {"axis": -1}, X, [], [], lambda x: x.reshape(24, 5), True),
    ("transpose", "Transpose", 13, {}, X, [], [], lambda x: x.transpose(), True),
]


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, args))}\n{done.stderr}"


def model(case, loss):
    """The operator on `x`, a run-time input; with `loss`, x a parameter, and the loss the sum of what the first output is times an input `w`."""
    name, op, opset, attributes, x, others, constants, f, _ = case
    outputs = f(x, *others)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    runtime = {f"o{k}": a for k, a in enumerate(others)}
    inputs = ["x", *("" if c is None else f"c{k}" for k, c in enumerate(constants)), *runtime]
    initializers = [numpy_helper.from_array(np.asarray(c), f"c{k}") for k, c in enumerate(constants) if c is not None]
    nodes = [helper.make_node(op, inputs, [f"y{k}" for k in range(len(outputs))], **attributes)]
    given = runtime if loss else {"x": x, **runtime}
    graph_inputs = [helper.make_tensor_value_info(n, numpy_helper.from_array(np.asarray(a)).data_type, np.shape(a)) for n, a in given.items()]
    results = [helper.make_tensor_value_info(f"y{k}", T.FLOAT, None) for k in range(len(outputs))]
    if loss:
        initializers.append(numpy_helper.from_array(x, "x"))
        graph_inputs.append(helper.make_tensor_value_info("w", T.FLOAT, np.shape(outputs[0])))
        nodes += [helper.make_node("Mul", ["y0", "w"], ["p"])]
        nodes += [helper.make_node("ReduceSum", ["p"], ["loss"], keepdims=0)]
        results = [helper.make_tensor_value_info("loss", T.FLOAT, [])]
    made = helper.make_model(helper.make_graph(nodes, name, graph_inputs, results, initializers), opset_imports=[helper.make_opsetid("", opset)])
    path = WORK / f"{name}.onnx"
    onnx.save(made, path)
    return path, runtime, outputs


def feed(arrays):
    flags = []
    for name, array in arrays.items():
        np.save(WORK / f"{name}.npy", array)
        flags += ["--input", f"{name}={WORK / f'{name}.npy'}"]
    return flags


def check_values(case):
    path, runtime, outputs = model(case, False)
    run(BIN / "hecaton-compile", path, "--mode=infer", f"--mesh={MESH}", "-o", WORK / "m.hct")
    run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=functional", *feed({"x": case[4], **runtime}), *[f for k in range(len(outputs)) for f in ("--output", f"y{k}={WORK / f'y{k}.npy'}")])
    for k, y in enumerate(outputs):
        got, half = np.load(WORK / f"y{k}.npy"), case[4].dtype == np.float16
        assert got.shape == np.shape(y), f"{case[0]}: output {k} has shape {got.shape}, not {np.shape(y)}"
        np.testing.assert_allclose(got.astype(np.float64), np.asarray(y, np.float64), 1e-3 if half else 2e-5, 1e-3 if half else 2e-6, err_msg=f"{case[0]}, output {k}")


def check_gradient(case):
    path, runtime, outputs = model(case, True)
    w = f32(*np.shape(outputs[0]))
    run(BIN / "hecaton-compile", path, f"--mesh={MESH}", "--optimizer=none", "--loss=loss", "-o", WORK / "m.hct")
    run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=functional", *feed({**runtime, "w": w}), "--output", f"grad:x={WORK / 'g.npy'}")
    x, others, f = case[4].astype(np.float64), case[5], case[7]
    gradient = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        sides = []
        for step in (1e-5, -1e-5):
            moved = x.copy()
            moved[at] += step
            y = f(moved, *others)
            sides.append(float(np.sum((y[0] if isinstance(y, tuple) else y) * w)))
        gradient[at] = (sides[0] - sides[1]) / 2e-5
    largest = max(np.abs(gradient).max(), 1e-3)
    np.testing.assert_allclose(np.load(WORK / "g.npy"), gradient, 0, 1e-4 * largest, err_msg=f"gradient of {case[0]}")


def main():
    failed = []
    cases = share_sanitized(CASES, 2, MESH != "1x1")
    for case in cases:
        for check in (check_values, check_gradient) if case[8] else (check_values,):
            try:
                check(case)
            except AssertionError as why:
                failed.append(f"{check.__name__} {case[0]}: {why}")
    print("\n".join(failed) or f"{len(cases)} forms, {sum(c[8] for c in cases)} with gradients, on {MESH}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
