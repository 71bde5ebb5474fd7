#!/usr/bin/env python3
"""--dtype=bf16 and f16: training stays near PyTorch's f32, and time, energy and bytes are those of two-byte elements.

usage: precision.py BIN_DIRECTORY SHARED_DIRECTORY WORK_DIRECTORY CHECK[,CHECK...]
CHECK: goldens (needs SHARED_DIRECTORY), conversions, accumulation, timing, bytes

How far a gradient may be off. A stored value is off by at most u (half a unit in the last place: 2^-9 of bf16, 2^-12 of f16), evenly
distributed, so u / sqrt(3) rms. A gradient's entry comes through at most R stored values one after the other, R being the longest chain
of low results in the graph; independent errors add as sqrt(R). Largest of the entries: three standard deviations. Relative to the
tensor's largest entry: 3 sqrt(R) u / sqrt(3) = sqrt(3 R) u.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from goldens import Golden, load

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import THOROUGH  # noqa: E402

ROUNDING = {"bf16": 2.0**-9, "f16": 2.0**-12}
VIEWS = ("reshape", "transpose", "slice", "broadcast")


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, args))}\nexit status {done.returncode}\n{done.stderr}")
    return done.stdout


def longest_chain(graph, dtype):
    """Low results one after the other in a dump of the graph level; views store nothing."""
    depth = {}
    for line in graph.splitlines():
        found = re.match(r'\s*(%\w+) = "hct_graph\.(\w+)"\(([^)]*)\)', line)
        if not found:
            continue
        stored = f"x{dtype}>" in line.rsplit("->", 1)[1] and found[2] not in VIEWS
        depth[found[1]] = max((depth.get(o, 0) for o in re.findall(r"%\w+", found[3])), default=0) + stored
    return max(depth.values())


def is_low(values, dtype):
    """Whether all values are of the low type."""
    return np.array_equal(values, (values.view(np.uint32) & 0xFFFF0000).view(np.float32) if dtype == "bf16" else values.astype(np.float16).astype(np.float32))


# ---- training ----
def chain_of(golden, work, dtype):
    dump = work / "graph.mlir"
    run(golden.bin / "hecaton-compile", golden.dir / "model.onnx", f"--dtype={dtype}", "--optimizer=none", "--emit=step", "-o", dump)
    return longest_chain(dump.read_text(), dtype)


def check_golden(binaries, shared, work, model, mesh, dtype, chains, repeated):
    golden = Golden(binaries, shared, work, model, [f"--dtype={dtype}"])
    chain = chains[dtype] = chains.get(dtype) or chain_of(golden, work, dtype)
    allowed = (3 * chain) ** 0.5 * ROUNDING[dtype]
    image = golden.compile(mesh, 2, "--optimizer=none")
    names = [f"grad:{n}" for n in golden.gradients]
    losses, got = golden.simulate(image, names)
    errors = {n: np.abs(got[f"grad:{n}"] - g).max() / np.abs(g).max() for n, g in golden.gradients.items()}
    worst = max(errors, key=errors.get)
    assert all(got[n].dtype == np.float32 for n in names), "gradients are f32"
    assert errors[worst] <= allowed, f"gradient of {worst}: off by {errors[worst]:.2e} of its largest entry, allowed {allowed:.2e}"
    assert max(errors.values()) > ROUNDING[dtype] / 4, "nothing was rounded"
    if repeated:
        golden.check_repeats(image, names, losses, got)
    image = golden.compile(mesh, 2, "--optimizer=adamw")
    settings = [a for s in ("lr=0.001", "beta1=0.9", "beta2=0.95", "eps=1e-8", "weight-decay=0.1") for a in ("--set", s)]
    trained, weights = golden.simulate(image, [f"param:{n}" for n in golden.gradients], "--steps=20", "--mode=functional", *settings)
    want = load(golden.dir / "adamw" / "losses.pb")
    off = np.abs(np.array(trained) / want - 1)
    assert len(trained) == 20 and losses[0] == trained[0] and off.max() <= 0.01, f"losses off by {off.max():.2e}"
    low = [n for n, values in (*got.items(), *weights.items()) if is_low(values, dtype)]
    assert not low, f"these have no more bits than a {dtype}: {low}"
    print(f"ok {model} {mesh} {dtype}: loss off by {off[0]:.1e}, after 20 steps {off[-1]:.1e}, gradients by at most {errors[worst]:.2e} ({worst}), allowed {allowed:.2e} ({chain} roundings)")


def check_goldens(binaries, shared, work):
    for model in ("llama", "gpt2", "gpt2_tied"):
        chains = {}  # a graph is the same on all meshes
        for mesh, dtype, often in (("1x1", "bf16", False), ("2x2", "bf16", False), ("2x3", "bf16", True), ("2x2", "f16", model == "llama")):
            check_golden(binaries, shared, work, model, mesh, dtype, chains, THOROUGH or often)


# ---- conversions ----
def to_bf16(values):
    """The nearer of the two bf16 around each f32, by distance; the even one of two as near. Independent of any bit trick of rounding."""
    bits = values.view(np.uint32)
    below = (bits & 0xFFFF0000).view(np.float32)
    above = ((bits & 0xFFFF0000) + np.uint32(0x10000)).view(np.float32)
    exact, low, high = values.astype(np.float64), below.astype(np.float64), above.astype(np.float64)
    high = np.where(np.isinf(high), np.copysign(2.0**128, exact), high)  # where the next would be, were exponents larger
    near, far = np.abs(exact - low), np.abs(high - exact)
    up = (far < near) | ((far == near) & ((bits >> 16) & 1 == 1))
    return np.where(np.isfinite(values) & up, above, np.where(np.isfinite(values), below, values))


def samples():
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, 40000, dtype=np.uint32)
    ties = (rng.integers(0, 2**16, 4000, dtype=np.uint32) << 16) | 0x8000
    ties16 = (rng.integers(0, 2**19, 4000, dtype=np.uint32) << 13) | 0x1000
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4028235e38, -3.4028235e38, 1e-45, 65504, 65519.99, 65520, 6e-8, 2.9802322e-8, 2.9802326e-8], np.float32).view(np.uint32)
    values = np.concatenate([special, [np.uint32(0x7F800001), np.uint32(0xFFFFFFFF)], ties, ties + 1, ties - 1, ties16, bits]).astype(np.uint32)
    return values[: len(values) // 64 * 64].view(np.float32).reshape(-1, 64)


def check_conversions(binaries, shared, work):
    """An input is rounded by the first operator, a weight by the loader; both come back as outputs, which widen exactly."""
    values = samples()
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, values.shape)
    nodes = [helper.make_node("Abs", ["x"], ["y"]), helper.make_node("Abs", ["w"], ["z"])]
    graph = helper.make_graph(nodes, "conversions", [value("x")], [value("y"), value("z")], [numpy_helper.from_array(values, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), work / "model.onnx")
    np.save(work / "x.npy", values)
    for dtype, reference in (("bf16", to_bf16), ("f16", lambda v: v.astype(np.float16).astype(np.float32))):
        run(binaries / "hecaton-compile", work / "model.onnx", "--mode=infer", "--mesh=1x2", f"--dtype={dtype}", "-o", work / "program.hct")
        run(binaries / "hecaton-sim", work / "program.hct", "--input", f"x={work}/x.npy", "--output", f"y={work}/y.npy", "--output", f"z={work}/z.npy")
        with np.errstate(all="ignore"):
            want = np.abs(reference(values))
        for name in ("y", "z"):
            got = np.load(work / f"{name}.npy")
            assert got.dtype == np.float32 and np.array_equal(got, want, equal_nan=True), f"{dtype} {name}: {np.count_nonzero(~((got == want) | (np.isnan(got) & np.isnan(want))))} differ"
        assert np.isnan(want).sum() > 2 and np.isinf(want).sum() > 1
        print(f"ok {dtype}: {values.size} values round to nearest even, twice")


def check_accumulation(binaries, shared, work):
    """A sum over heads and features that do not lie side by side takes an instruction a head (features are more), and is still rounded once:
    head 0 gives 256, each other one 0.75, which 256, whose neighbours in bf16 are 2 apart, would lose one by one; 258.25 in all rounds to 258."""
    batch, heads, tokens, features, columns = 2, 4, 4, 8, 8
    weight = np.full((heads, features, columns), 0.75 / features, np.float32)
    weight[0] = 256 / features
    nodes = [helper.make_node("Abs", ["x"], ["a"]), helper.make_node("Transpose", ["a"], ["t"], perm=[0, 2, 1, 3]), helper.make_node("Reshape", ["t", "shape"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"])]
    constants = [numpy_helper.from_array(np.array([batch, tokens, heads * features], np.int64), "shape"), numpy_helper.from_array(weight.reshape(heads * features, columns), "w")]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "heads", [info("x", TensorProto.FLOAT, (batch, heads, tokens, features))], [info("y", TensorProto.FLOAT, (batch, tokens, columns))], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), work / "model.onnx")
    np.save(work / "x.npy", np.ones((batch, heads, tokens, features), np.float32))
    run(binaries / "hecaton-compile", work / "model.onnx", "--mode=infer", "--mesh=1x1", "--dtype=bf16", "-o", work / "program.hct")
    run(binaries / "hecaton-sim", work / "program.hct", "--input", f"x={work}/x.npy", "--output", f"y={work}/y.npy")
    got = np.load(work / "y.npy")
    assert (got == 258).all(), got
    print(f"ok accumulation: 258.25 is {got.flat[0]} in bf16")


# ---- time and energy ----
def check_timing(binaries, shared, work):
    """One product [m, k] x [k, n] on one die: passes x K cycles, by the rate of the inputs' type, and one fill and drain (system.md)."""
    m, k, n = 64, 192, 512
    values = np.random.default_rng(2).standard_normal((k, n)).astype(np.float32)
    info = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "product", [info("x", TensorProto.FLOAT, (m, k))], [info("y", TensorProto.FLOAT, (m, n))], [numpy_helper.from_array(values, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), work / "model.onnx")
    arrays, rows, cols, clock, joules = 8, 32, 32, 1e9, {"f32": 2.2e-12, "bf16": 0.6e-12, "f16": 0.6e-12}  # hecaton-4x4.xml
    reports = {}
    for dtype in ("f32", "bf16", "f16"):
        run(binaries / "hecaton-compile", work / "model.onnx", "--mode=infer", "--mesh=1x1", f"--dtype={dtype}", f"--micro-batch={m}", "-o", work / "program.hct")
        run(binaries / "hecaton-sim", work / "program.hct", "--mode=timing", "--report", work / "report.json")
        report = reports[dtype] = json.loads((work / "report.json").read_text())
        passes, rate = -(-m // rows) * -(-(-(-n // cols)) // arrays), 0.25 if dtype == "f32" else 1
        seconds = (passes * k / rate + rows + cols - 2) / clock
        assert abs(report["time"]["mxu_s"] - seconds) < 1e-12, f"{dtype}: {report['time']['mxu_s']} s, equation {seconds}"
        assert report["compute"]["macs"] == m * n * k and abs(report["energy"]["mac_j"] / (m * n * k * joules[dtype]) - 1) < 1e-9, report["energy"]
        peak = 2 * arrays * rows * cols * rate * clock
        assert abs(report["compute"]["mxu_utilization"] * peak * report["time"]["step_s"] / (2 * m * n * k) - 1) < 1e-6, report["compute"]
    fill = (rows + cols - 2) / clock
    ratio = (reports["f32"]["time"]["mxu_s"] - fill) / (reports["bf16"]["time"]["mxu_s"] - fill)
    assert abs(ratio - 4) < 1e-6, ratio
    print(f"ok timing: {reports['f32']['time']['mxu_s']:.3e} s in f32, {reports['bf16']['time']['mxu_s']:.3e} s in bf16, {ratio:.4f} times fill and drain aside")


# ---- bytes ----
def tensors(binaries, image):
    rows = [line.split(None, 5) for line in run(binaries / "hecaton-objdump", "-t", image).splitlines()]
    return [{"role": r[0], "dtype": r[1], "bytes": int(r[3]), "layout": r[4], "name": r[5]} for r in rows if len(r) == 6 and r[2].isdigit()]


def is_statistic(tensor):
    """No features: the last dimension is of one element, or there are only tokens."""
    dims = re.match(r"\[(.*)\]", tensor["layout"])[1].split(",")
    return len(dims) < 3 or dims[-1] == "1"


def check_bytes(binaries, shared, work):
    sizes = ["--batch=8", "--seq=8", "--hidden=48", "--heads=12", "--kv-heads=12", "--ffn=96", "--vocab=96", "--layers=2", "--seed=1"]
    run(binaries / "hecaton-model", "tinyllama-1.1b", *sizes, "-o", work / "model.onnx")
    for mesh, strategy in (("1x1", "hecaton"), ("2x2", "hecaton"), ("4x2", "hecaton"), ("2x2", "megatron-ring"), ("2x2", "optimus")):
        bytes_of, reports, stored = {}, {}, {}
        for dtype in ("f32", "bf16"):
            image = work / f"{dtype}.hct"
            run(binaries / "hecaton-compile", work / "model.onnx", "--groups=blocks", f"--mesh={mesh}", "--micro-batch=4", f"--strategy={strategy}", f"--dtype={dtype}", "-o", image)
            run(binaries / "hecaton-sim", image, "--mode=timing", "--report", work / "report.json")
            report = reports[dtype] = json.loads((work / "report.json").read_text())
            stored[dtype] = tensors(binaries, image)
            bytes_of[dtype] = {}
            for row in report["collectives"]:
                key = (row["kind"], row["axis"], row["layer"], row["pass"])
                assert key not in bytes_of[dtype], key
                bytes_of[dtype][key] = row["received_bytes_per_die_max"]
        assert reports["bf16"]["program"]["dtype"] == "bf16"
        parameters = {t["name"]: t for t in stored["bf16"] if t["role"] == "param"}
        copies = {t["name"]: t for t in stored["bf16"] if t["role"] == "copy"}
        states = sum(t["bytes"] for t in stored["bf16"] if t["role"] == "state" and t["name"] != "step")
        held = sum(t["bytes"] for t in parameters.values())
        assert set(parameters) == set(copies) and all(t["dtype"] == "f32" for t in parameters.values())
        assert all(copies[n]["dtype"] == "bf16" and 2 * copies[n]["bytes"] == parameters[n]["bytes"] for n in copies)
        assert (held + states + sum(t["bytes"] for t in copies.values())) * 4 == 14 * held, "14 bytes a parameter"
        if mesh == "1x1":
            assert held == 4 * reports["bf16"]["program"]["parameters"]
        spills = {d: [t for t in stored[d] if t["role"] == "spill"] for d in stored}
        assert all(t["dtype"] == "bf16" or is_statistic(t) for t in spills["bf16"]), [t for t in spills["bf16"] if t["dtype"] != "bf16"]
        wide = {d: sum(t["bytes"] for t in spills[d] if not is_statistic(t)) for d in spills}
        assert wide["f32"] == 2 * wide["bf16"] > 0, wide
        halved = 0
        for key, count in bytes_of["f32"].items():
            if key[0] not in ("all_gather", "reduce_scatter") and key[1] not in ("flat", "torus"):
                continue  # all-reduces along one axis: statistics and gradients of gains, f32
            if key[3] == "update":  # gradients of weights, which Optimus sums over rows: f32
                assert strategy == "optimus" and count == bytes_of["bf16"][key], key
                continue
            assert count == 2 * bytes_of["bf16"].get(key, -1), f"{mesh} {strategy} {key}: {count} bytes in f32, {bytes_of['bf16'].get(key)} in bf16"
            halved += count
        assert mesh == "1x1" or halved > 0
        traffic = {d: reports[d]["traffic"]["dram_read_bytes"] + reports[d]["traffic"]["dram_write_bytes"] for d in reports}
        assert all(traffic[d] >= reports[d]["traffic"]["dram_compulsory_bytes"] for d in traffic), traffic
        print(f"ok bytes {mesh} {strategy}: activations {wide['f32']} and {wide['bf16']} bytes in DRAM, {halved} and {halved // 2} over the NoP; {14 * held // 4} bytes of weights and states")


def main():
    binaries, shared, work = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    for check in sys.argv[4].split(","):
        globals()[f"check_{check}"](binaries, shared, work)


if __name__ == "__main__":
    main()
