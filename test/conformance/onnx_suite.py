#!/usr/bin/env python3
"""ONNX's own operator tests through hecaton-compile and hecaton-sim, against a list of those that do not pass.

usage: onnx_suite.py BIN_DIRECTORY SUITE_DIRECTORY MESH LIST [--only=GLOB] [--share=N] [--jobs=N] [--verbose]
SUITE_DIRECTORY: folders KIND/TEST with model.onnx and test_data_set_K, as in ONNX's backend tests
LIST: sections of names, `[why these do not pass]`, one KIND/TEST a line; a test that passes but is listed, or fails but is not, is an error
--share=N: of each operator's tests one of N, spread evenly, and at least one; all in a thorough run
Inputs are given at run time; but an input that decides shapes (axes, pads, a shape) is given to the compiler, which cannot do without:
CONSTANTS says of which operators' inputs that holds, and inputs without elements are given so too. A test whose inputs all do is not run: nothing of it would be left for the dies.
Tolerances are ONNX's own (relative 1e-3, absolute 1e-7), 2e-3 of each for types of 16 bits.
"""
import fnmatch
import multiprocessing
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).parents[1]))
import element_formats  # noqa: E402
from checks import share  # noqa: E402

REDUCTIONS = {f"Reduce{kind}" for kind in ("Sum", "Mean", "Max", "Min", "Prod", "SumSquare", "L1", "L2", "LogSum", "LogSumExp")}
CONSTANTS = {"Reshape": {1}, "Expand": {1}, "Tile": {1}, "Slice": {1, 2, 3, 4}, "Pad": {1, 3}, "Unsqueeze": {1}, "Squeeze": {1}, "Split": {1}, "TopK": {1}, "OneHot": {1},
             "CumSum": {1}, "Trilu": {1}, "Dropout": {1, 2}, "Range": {0, 1, 2}, "ConstantOfShape": {0}, "Compress": {1}, "CenterCropPad": {1}, "If": {0}, "Loop": {0, 1}, **{op: {1} for op in REDUCTIONS}}


class Failure(Exception):
    """A test that does not pass, and why."""


class Broken(Exception):
    """A tool that neither works nor refuses."""


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, errors="replace", timeout=120)
    if done.returncode == 1:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        raise Failure(f"refused: {lines[0] if lines else done.stderr.strip()}")
    if done.returncode:
        raise Broken(f"{' '.join(map(str, args))}\nexit status {done.returncode}\n{done.stderr}")


def read_tensor(path):
    tensor = onnx.TensorProto()
    try:
        tensor.ParseFromString(path.read_bytes())
        if tensor.data_type in element_formats.BITS:
            bits, count = element_formats.BITS[tensor.data_type], int(np.prod(tensor.dims))
            return element_formats.decode(tensor.data_type, element_formats.unpack(tensor.raw_data, bits, count)).reshape(tensor.dims)
        if not tensor.data_type or tensor.data_type > onnx.TensorProto.BFLOAT16:
            raise ValueError(f"element type {tensor.data_type}")
        return numpy_helper.to_array(tensor)
    except Exception as why:
        raise Failure(f"data: {path.name} is no tensor of the types that are read here ({why})") from why


def as_bf16(path, wanted, work):
    """Some versions of ONNX wrote data of bf16 as uint16: the same bits under the type that the model says."""
    tensor = onnx.TensorProto()
    if wanted != onnx.TensorProto.BFLOAT16:
        return path
    tensor.ParseFromString(path.read_bytes())
    if tensor.data_type == onnx.TensorProto.UINT16:
        tensor.data_type = wanted
    (work / path.name).write_bytes(tensor.SerializeToString())
    return work / path.name


def decides_shapes(graph):
    return {name for node in graph.node for k, name in enumerate(node.input) if k in CONSTANTS.get(node.op_type, ())}


def compare(name, got, want):
    if got.shape != want.shape:
        raise Failure(f"wrong: '{name}' has shape {got.shape}, expected {want.shape}")
    if want.dtype.kind not in "fc":
        if not np.array_equal(got, want):
            raise Failure(f"wrong: '{name}' differs in {np.count_nonzero(got != want)} of {want.size} elements")
        return
    rtol, atol = (2e-3, 2e-3) if want.dtype.itemsize == 2 else (1e-3, 1e-7)
    if not np.allclose(got.astype(np.float64), want.astype(np.float64), rtol, atol, equal_nan=True):
        with np.errstate(invalid="ignore"):
            raise Failure(f"wrong: '{name}' is off by up to {np.nanmax(np.abs(got.astype(np.float64) - want.astype(np.float64))):.3g}")


def check_data_set(binaries, test, work, mesh, model, data):
    initializers = {i.name for i in model.graph.initializer}
    inputs = [i.name for i in model.graph.input if i.name not in initializers]
    types = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}
    files = {name: data / f"input_{k}.pb" for k, name in enumerate(inputs)}
    files = {name: as_bf16(path, types[name], work) for name, path in files.items() if path.exists()}
    arrays = {name: read_tensor(path) for name, path in files.items()}
    shaping = (decides_shapes(model.graph) & set(inputs)) | {name for name, a in arrays.items() if a.size == 0}
    if inputs and not set(inputs) - shaping:
        raise Failure("constant: all of its inputs decide shapes")
    options = [f"--constant={name}={files[name]}" for name in shaping if name in files]
    options += [f"--shape={name}={','.join(map(str, a.shape))}" for name, a in arrays.items() if name not in shaping and a.ndim]
    image = work / "test.img"
    run(binaries / "hecaton-compile", test / "model.onnx", "--mode=infer", f"--mesh={mesh}", *options, "-o", image)
    outputs = [o.name for o in model.graph.output]
    flags = [f for name in files if name not in shaping for f in ("--input", f"{name}={files[name]}")]
    flags += [f for k, name in enumerate(outputs) for f in ("--output", f"{name}={work / f'{k}.npy'}")]
    run(binaries / "hecaton-sim", image, "--mode=functional", *flags)
    for k, name in enumerate(outputs):
        compare(name, np.load(work / f"{k}.npy"), read_tensor(as_bf16(data / f"output_{k}.pb", types[name], work)))


def check(task):
    binaries, suite, name, mesh = task
    test = suite / name
    try:
        model = onnx.load(test / "model.onnx", load_external_data=False)
        sets = sorted(test.glob("test_data_set_*"))
        if not sets:
            raise Failure("data: it has no data sets")
        for data in sets:
            with tempfile.TemporaryDirectory() as work:
                check_data_set(binaries, test, Path(work), mesh, model, data)
    except Failure as why:
        return name, "fails", str(why)
    except Broken as why:
        return name, "broken", str(why)
    return name, "passes", None


def read_list(path):
    listed, reason = {}, None
    for line in Path(path).read_text().splitlines():
        if line.startswith("["):
            reason = line.strip("[]")
        elif line.strip() and not line.startswith("#"):
            assert reason and line not in listed, f"{path}: {line} has no reason, or is listed twice"
            listed[line] = reason
    return listed


def shared_out(suite, names, of):
    """Tests of a graph whose last node is of the same operator are alike."""
    alike = {}
    for name in names:
        nodes = onnx.load(suite / name / "model.onnx", load_external_data=False).graph.node
        alike.setdefault(nodes[-1].op_type if nodes else "", []).append(name)
    return sorted(name for kind in alike.values() for name in share(kind, of))


def main():
    flags = dict(a.lstrip("-").partition("=")[::2] for a in sys.argv[1:] if a.startswith("--"))
    binaries, suite, mesh, list_path = [a for a in sys.argv[1:] if not a.startswith("--")]
    suite, listed = Path(suite), read_list(list_path)
    names = sorted(str(m.parent.relative_to(suite)) for m in suite.rglob("model.onnx"))
    names = [n for n in names if fnmatch.fnmatch(n, flags.get("only", "*"))]
    there = set(names)
    if "share" in flags:
        names = shared_out(suite, names, int(flags["share"]))
    with multiprocessing.Pool(int(flags.get("jobs", 1))) as pool:
        results = pool.map(check, [(Path(binaries), suite, n, mesh) for n in names], chunksize=8)
    wrong = 0
    for name, how, why in results:
        if "verbose" in flags and why:
            print(f"{name}: {why}")
        if how == "broken" or (how == "passes") == (name in listed):
            wrong += 1
            print(f"{name} {how}" + (f", but is listed: {listed[name]}" if how == "passes" else f": {why}"))
    if "only" not in flags and set(listed) - there:
        wrong += 1
        print(f"listed, but no such test: {sorted(set(listed) - there)}")
    print(f"{sum(how == 'passes' for _, how, _ in results)} of {len(results)} pass on {mesh}")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
