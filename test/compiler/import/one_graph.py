"""ONNX graphs that are compiled and run against what NumPy computes, or are refused."""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[2]))
from checks import check, finish, run  # noqa: E402, F401

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)


def array(name, value):
    return numpy_helper.from_array(np.array(value), name)


def info(name, dtype=T.FLOAT, shape=None):
    return helper.make_tensor_value_info(name, dtype, shape)


def body(inputs, nodes, outputs, initializers=(), name="body"):
    return helper.make_graph(nodes, name, [info(i) for i in inputs], [o if isinstance(o, onnx.ValueInfoProto) else info(o) for o in outputs], list(initializers))


def model(name, nodes, inputs, outputs=("y", "z"), initializers=(), opset=17, more=()):
    """`inputs`: (name, value); `more`: inputs without a value"""
    types = {np.dtype(np.float32): T.FLOAT, np.dtype(np.int64): T.INT64, np.dtype(bool): T.BOOL}
    graph = helper.make_graph(nodes, "g", [info(n, types[np.asarray(v).dtype], np.shape(v)) for n, v in inputs] + list(more), [o if isinstance(o, onnx.ValueInfoProto) else info(o) for o in outputs], list(initializers))
    path = WORK / f"{name}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.preview", 1)]), path)
    return path


def compiled(path, *options):
    return run(BIN / "hecaton-compile", path, "--mode=infer", *options)


def computes(name, path, wanted, inputs, options=(), mesh="1x1", tolerance=1e-5):
    flags = []
    for key, value in inputs:
        np.save(WORK / f"{key}.npy", value)
        flags += ["--input", f"{key}={WORK / key}.npy"]
    for key in wanted:
        flags += ["--output", f"{key}={WORK / key}.out.npy"]
    done = compiled(path, f"--mesh={mesh}", *options, "-o", WORK / "m.hct")
    if not done.returncode:
        done = run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=functional", *flags)
    check(name, done.returncode == 0, done.stderr)
    for key, value in wanted.items() if done.returncode == 0 else ():
        got = np.load(WORK / f"{key}.out.npy")
        off = np.abs(got - value).max(initial=0) if got.shape == np.shape(value) else f"{got.shape}, not {np.shape(value)}"
        check(f"{name} on {mesh}, {key}", got.shape == np.shape(value) and np.allclose(got, value, tolerance, tolerance), f"off by {off}")


def refused(name, path, *wanted):
    done = compiled(path, "--mesh=1x1", "-o", WORK / "refused.hct")
    check(name, done.returncode == 1 and all(w in done.stderr for w in ("error[E", *wanted)), f"exit status {done.returncode}\n{done.stderr}\nexpected {wanted}")


def continues(name, path):
    """A dump of the onnx level gives the image that the model gives."""
    for command in ([BIN / "hecaton-compile", path, "--mode=infer", "--mesh=1x1", "-o", WORK / "a.hct"], [BIN / "hecaton-compile", path, "--mode=infer", "--mesh=1x1", "--emit=onnx", "-o", WORK / "a.mlir"],
                    [BIN / "hecaton-opt", WORK / "a.mlir", "--emit=image", "-o", WORK / "b.hct"]):
        done = run(*command)
        check(name, done.returncode == 0, done.stderr)
    check(name, (WORK / "a.hct").read_bytes() == (WORK / "b.hct").read_bytes(), "a dump of the onnx level gives another image")
    return (WORK / "a.mlir").read_text()
