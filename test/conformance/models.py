#!/usr/bin/env python3
"""Models that other people's exporters wrote, forward through hecaton-compile and hecaton-sim, against their stored outputs.

usage: models.py BIN_DIRECTORY MODELS_DIRECTORY MESH [--only=GLOB] [--jobs=N] [--option=COMPILER_OPTION ...]
MODELS_DIRECTORY: folders with model.onnx and test_data_set_0, at any depth. Inputs are bound by the name that their file holds, else by index.
Tolerance: 1e-4 absolute plus 1e-4 relative, 2e-3 of each where the stored output is of 16 bits. NOT_PASSING says which do not meet it, and why;
one that is there and passes is an error.
"""
import fnmatch
import multiprocessing
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from onnx_suite import Broken, Failure, read_tensor, run

NOT_PASSING = {
    "attention_cuts/attention_mask2d_fp32": "scores reach 158 and values 14: one rounding of a score to f32 moves outputs by 1e-4. Computed in f64, the stored output is off by "
                                            "1.7e-4 itself, ours by 1.4e-4",
}

# What these drop came from another generator: every element is the residual input, where there is one, alone or plus the sum of the other inputs / (1 - ratio), in
# the shares expected. By output, its residual.
DROPPED_RATIO = 0.8
DROPPED = {f"fusion_cuts/bias_dropout_{name}": residuals for name, residuals in {
    "fusion1": {"C": None}, "fusion_dim_is_param": {"C_unk": None}, "same_shape_fusion_dim_is_param": {"C_unk": None}, "residual_fusion2": {"C": "R"}, "residual_fusion_mismatch": {"C": "R"},
    "residual_fusion_multiple_consumers2": {"C": "R", "D": None}, "residual_same_shape_fusion_dim_is_param": {"C_unk": "R_unk"}}.items()}


def check_close(name, got, want):
    tolerance = 2e-3 if want.dtype.itemsize == 2 else 1e-4
    if got.shape != want.shape:
        raise Failure(f"'{name}' has shape {got.shape}, expected {want.shape}")
    worst = np.max(np.abs(got.astype(np.float64) - want) - tolerance * np.abs(want.astype(np.float64)), initial=0)
    if not worst <= tolerance:
        raise Failure(f"'{name}' is off by {worst:.3g} more than {tolerance} of itself")


def check_dropped(name, got, stored, inputs, residuals):
    others = sum(value.astype(np.float64) for key, value in inputs.items() if not key.startswith("R"))
    without = np.broadcast_to(inputs[residuals[name]] if residuals[name] else 0, stored.shape)
    kept = np.abs(got - without) > np.abs(others) / 2
    check_close(name, got, (without + kept * others / (1 - np.float32(DROPPED_RATIO).astype(float))).astype(np.float32))
    if abs(kept.mean() - (1 - DROPPED_RATIO)) > 4 * (DROPPED_RATIO * (1 - DROPPED_RATIO) / kept.size) ** 0.5:
        raise Failure(f"of '{name}' a share of {kept.mean():.3g} is kept, expected {1 - DROPPED_RATIO:.3g}")


def bind_inputs(graph, data):
    initializers = {i.name for i in graph.initializer}
    names = [i.name for i in graph.input if i.name not in initializers]
    files = {}
    for k, path in enumerate(sorted(data.glob("input_*.pb"), key=lambda p: int(p.stem.split("_")[1]))):
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        files[tensor.name if tensor.name in names else names[k]] = path
    return files


def check(task):
    binaries, folder, mesh, options = task
    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    data = folder / "test_data_set_0"
    files = bind_inputs(graph, data)
    shapes = [f"--shape={name}={','.join(map(str, a.shape))}" for name, a in ((n, read_tensor(p)) for n, p in files.items()) if a.ndim]
    outputs = [o.name for o in graph.output]
    residuals = DROPPED.get(f"{folder.parent.name}/{folder.name}")
    try:
        with tempfile.TemporaryDirectory() as work:
            image = Path(work) / "model.img"
            run(binaries / "hecaton-compile", folder / "model.onnx", "--mode=infer", f"--mesh={mesh}", *shapes, *options, "-o", image)
            flags = [f for name, path in files.items() for f in ("--input", f"{name}={path}")]
            flags += [f for k, name in enumerate(outputs) for f in ("--output", f"{name}={work}/{k}.npy")]
            run(binaries / "hecaton-sim", image, "--mode=functional", *flags)
            for k, name in enumerate(outputs):
                got, want = np.load(f"{work}/{k}.npy"), read_tensor(data / f"output_{k}.pb")
                if residuals:
                    check_dropped(name, got, want, {key: read_tensor(path) for key, path in files.items()}, residuals)
                else:
                    check_close(name, got, want)
    except (Failure, Broken) as why:
        return folder, str(why)
    return folder, None


def main():
    flags = [a.lstrip("-").partition("=")[::2] for a in sys.argv[1:] if a.startswith("--")]
    binaries, models, mesh = [a for a in sys.argv[1:] if not a.startswith("--")]
    only = dict(flags).get("only", "*")
    folders = sorted(m.parent for m in Path(models).rglob("model.onnx") if fnmatch.fnmatch(str(m.parent.relative_to(models)), only))
    with multiprocessing.Pool(int(dict(flags).get("jobs", 1))) as pool:
        results = pool.map(check, [(Path(binaries), f, mesh, [v for k, v in flags if k == "option"]) for f in folders], chunksize=1)
    wrong = 0
    for folder, why in results:
        name = str(folder.relative_to(models))
        if why or name in NOT_PASSING:
            print(f"{name}: {why or 'passes'}" + (f" (listed: {NOT_PASSING[name]})" if name in NOT_PASSING else ""))
        wrong += (why is None) == (name in NOT_PASSING)
    print(f"{sum(why is None for _, why in results)} of {len(results)} pass on {mesh}")
    return wrong > 0 or not results


if __name__ == "__main__":
    sys.exit(main())
