#!/usr/bin/env python3
"""Element types below f16 and i8: every code, every rounding, files that pack them, and what ONNX does not let them do.

usage: low_types.py BIN_DIRECTORY WORK_DIRECTORY MESH|host
"""
import re
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

sys.dont_write_bytecode = True
BIN, WORK, MESH = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
sys.path.insert(0, str(Path(__file__).parent.parent))
import checks  # noqa: E402
import element_formats as low  # noqa: E402
from checks import check, done, run, share_sanitized, target  # noqa: E402

checks.tools_from(BIN)
WORK.mkdir(parents=True, exist_ok=True)
TARGET = target(MESH)
FLOAT, INT8, UINT8 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8
NUMBERS = {**{name: f.number for name, f in low.FLOATS.items()}, **{name: row[0] for name, row in low.INTEGERS.items()}}


def tensor(name, number, codes, raw=True):
    """a TensorProto of codes: packed raw data, or packed numbers"""
    proto = TensorProto(name=name, data_type=number, dims=codes.shape)
    data = low.pack(codes, low.BITS[number])
    if raw:
        proto.raw_data = data
    else:
        proto.int32_data.extend(data)
    return proto


def save(name, nodes, inputs, outputs, initializers=(), external=False):
    infos = [[helper.make_tensor_value_info(n, number, shape) for n, number, shape in values] for values in (inputs, outputs)]
    model = helper.make_model(helper.make_graph(nodes, name, *infos, initializers), opset_imports=[helper.make_opsetid("", 25)])
    model.ir_version = 13
    path = WORK / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def pb(name, proto):
    path = WORK / f"{name}.pb"
    path.write_bytes(proto.SerializeToString())
    return path


def npy(name, array):
    np.save(WORK / f"{name}.npy", array)
    return WORK / f"{name}.npy"


def results(model, inputs, outputs, *options):
    done("hecaton-compile", model, "--mode=infer", *TARGET, *options, "-o", WORK / "m.out")
    files = [f for name, path in inputs.items() for f in ("--input", f"{name}={path}")] + [f for name in outputs for f in ("--output", f"{name}={WORK / name}.npy")]
    done("hecaton-sim", WORK / "m.out", "--mode=functional", *files)
    return [np.load(WORK / f"{name}.npy") for name in outputs]


def equal(name, got, want):
    """the same numbers, NaNs where NaNs are, zeros of the same sign"""
    same = got.dtype == want.dtype and got.shape == want.shape
    bad = np.flatnonzero(~((got == want) & (np.signbit(got) == np.signbit(want)) | (np.isnan(got) & np.isnan(want)) if want.dtype.kind == "f" else got == want)) if same else None
    check(f"{MESH} {name}", same and not bad.size, f"{got.dtype} {got.shape}, expected {want.dtype} {want.shape}" if not same else f"{[(int(i), got.ravel()[i], want.ravel()[i]) for i in bad[:8]]}")


def every_code():
    """each code of each type, in order and moved, is what the format says"""
    for name, number in share_sanitized(NUMBERS.items(), 2, MESH == "host"):
        codes = np.arange(1 << low.BITS[number], dtype=np.uint8).reshape(-1, 2)
        to = FLOAT if name in low.FLOATS else INT8 if name.startswith("INT") else UINT8
        nodes = [helper.make_node("Cast", ["x"], ["y"], to=to), helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]), helper.make_node("Identity", ["t"], ["z"])]
        model = save("codes", nodes, [("x", number, codes.shape)], [("y", to, codes.shape), ("z", number, codes.T.shape)])
        for raw in (True, False):
            y, z = results(model, {"x": pb("x", tensor("x", number, codes, raw))}, ["y", "z"])
            equal(f"codes of {name}", y, low.decode(number, codes))
            equal(f"codes of {name}, moved", z, low.decode(number, codes).T)
        y, = results(model, {"x": npy("x", low.decode(number, codes))}, ["y"])
        equal(f"codes of {name}, given as .npy", y, low.decode(number, codes))


def hard_numbers(f):
    """what is on, between and next to the format's values, and outside of them"""
    values = np.sort(np.abs(f.values[np.isfinite(f.values)]))
    between = (values[:-1] + values[1:]) / 2
    last = np.append(values[-1], values[-1] + (values[-1] - values[-2]) * np.array([0.25, 0.5, 0.75, 1, 2, 8])) if f.number != 24 else values[-1:] * np.array([1, 1.25, 1.5, 1.75])
    points = np.concatenate([values, between, last, values[:1] * np.array([0.5, 0.25, 0.75, 0.1])]).astype(np.float32)
    points = points[points > 0]
    points = np.concatenate([points, np.nextafter(points, np.float32(0)), np.nextafter(points, np.float32(np.inf)), np.random.default_rng(3).standard_normal(64).astype(np.float32)])
    return np.concatenate([points, -points, np.array([0, -0.0, np.inf, -np.inf, np.nan, 3e38, -3e38], np.float32)])


def every_rounding():
    """through a format and back is rounding to it, whatever comes between"""
    for name, f in share_sanitized(low.FLOATS.items(), 2, MESH == "host"):
        x = hard_numbers(f)
        x = np.append(x, np.zeros(-x.size % 6, np.float32)).reshape(-1, 6)
        modes = ["up", "down", "nearest"] if name == "FLOAT8E8M0" else ["up"]
        kinds = [(saturate, mode) for saturate in (0, 1) for mode in modes]
        nodes, outputs = [], []
        for k, (saturate, mode) in enumerate(kinds):
            nodes += [helper.make_node("Cast", ["x"], [f"q{k}"], to=f.number, saturate=saturate, round_mode=mode), helper.make_node("Cast", [f"q{k}"], [f"y{k}"], to=FLOAT)]
            outputs += [(f"q{k}", f.number, x.shape), (f"y{k}", FLOAT, x.shape)]
        model = save("rounding", nodes, [("x", FLOAT, x.shape)], outputs)
        got = results(model, {"x": npy("x", x)}, [n for n, *_ in outputs])
        for k, (saturate, mode) in enumerate(kinds):
            want = low.narrow(x, name, bool(saturate), mode)
            equal(f"rounding to {name}, saturate={saturate} {mode}", got[2 * k], want)
            equal(f"rounding to {name} and back, saturate={saturate} {mode}", got[2 * k + 1], want)


def every_wrap():
    """integers are cut to their width, floats after they are cut to whole numbers"""
    whole, part = np.arange(-128, 128, dtype=np.int8).reshape(32, 8), np.arange(-20, 20.5, 0.75, np.float32)
    for name, (number, bits, signed) in low.INTEGERS.items():
        to, kind = (INT8, np.int8) if signed else (UINT8, np.uint8)
        nodes = [helper.make_node("Cast", ["x"], ["a"], to=number), helper.make_node("Cast", ["a"], ["y"], to=to), helper.make_node("Cast", ["f"], ["z"], to=number), helper.make_node("Cast", ["a"], ["w"], to=FLOAT)]
        model = save("wrap", nodes, [("x", INT8, whole.shape), ("f", FLOAT, part.shape)], [("y", to, whole.shape), ("z", number, part.shape), ("w", FLOAT, whole.shape)])
        y, z, w = results(model, {"x": npy("x", whole), "f": npy("f", part)}, ["y", "z", "w"])
        want = low.wrap(whole, bits, signed)
        equal(f"{name} of INT8", y, want.astype(kind))
        equal(f"{name} of FLOAT", z, low.wrap(np.trunc(part), bits, signed).astype(kind))
        equal(f"FLOAT of {name}", w, want.astype(np.float32))


def every_place():
    """an initializer, a constant, external data and --constant, of a number of elements that ends within a byte; and CastLike of what was cast or moved"""
    for name, number in share_sanitized(NUMBERS.items(), 2, MESH == "host"):
        bits, codes = low.BITS[number], np.array([[1, 0, 3], [2, 1, 0], [3, 3, 2], [1, 2, 1], [0, 1, 3]], np.uint8) * (5 if low.BITS[number] == 4 else 1)
        values = low.decode(number, codes).astype(np.float32)
        outside = TensorProto(name="e", data_type=number, dims=codes.shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", "outside.bin"), ("offset", "3"), ("length", str(len(low.pack(codes, bits))))):
            outside.external_data.add(key=key, value=value)
        (WORK / "outside.bin").write_bytes(b"xyz" + low.pack(codes, bits) + b"xyz")
        nodes = [helper.make_node("Constant", [], ["c"], value=tensor("", number, codes)), helper.make_node("Unsqueeze", ["k", "axes"], ["k1"]), helper.make_node("CastLike", ["f", "k1"], ["l"])]
        nodes += [node for v in "iecl" for node in (helper.make_node("Cast", [v], [f"{v}f"], to=FLOAT), helper.make_node("Mul", [f"{v}f", "f"], [f"{v}y"]))]
        axes = helper.make_tensor("axes", TensorProto.INT64, [1], [0])
        model = save("places", nodes, [("f", FLOAT, codes.shape), ("k", number, codes.shape)], [(f"{v}y", FLOAT, codes.shape) for v in "iecl"], [tensor("i", number, codes), outside, axes])
        f = np.linspace(-1.9, 7.3, 15, dtype=np.float32).reshape(5, 3)
        got = results(model, {"f": npy("f", f)}, [f"{v}y" for v in "iecl"], f"--constant=k={pb('k', tensor('k', number, codes))}")
        if MESH != "host":
            given = ["--mode=infer", "--mesh=2x2", f"--constant=k={WORK / 'k.pb'}"]
            done("hecaton-compile", model, *given, "-o", WORK / "straight.hct")
            done("hecaton-compile", model, *given, "--emit=onnx", "-o", WORK / "onnx.mlir")
            done("hecaton-opt", WORK / "onnx.mlir", "--emit=image", "-o", WORK / "again.hct")
            check(f"a dump with constants of {name}", (WORK / "again.hct").read_bytes() == (WORK / "straight.hct").read_bytes())
        for which, y in zip(["initializer", "external data", "constant"], got):
            equal(f"{which} of {name}", y, values * f)
        like = low.narrow(f, name) if name in low.FLOATS else low.wrap(np.trunc(f), *low.INTEGERS[name][1:]).astype(np.float32)
        equal(f"CastLike of a constant of {name}", got[3], like * f)
        as_npy = values if name in low.FLOATS else values.astype(np.int8 if low.INTEGERS[name][2] else np.uint8)
        got = results(model, {"f": npy("f", f)}, ["ly"], f"--constant=k={npy('k', as_npy)}")
        equal(f"CastLike of a constant of {name}, given as .npy", got[0], like * f)


def levels():
    """a dump of any level continues to the same program"""
    nodes = [helper.make_node("Cast", ["x"], ["q"], to=17), helper.make_node("Reshape", ["q", "shape"], ["r"]), helper.make_node("CastLike", ["w", "r"], ["s"]), helper.make_node("Cast", ["s"], ["y"], to=FLOAT)]
    initializers = [helper.make_tensor("shape", TensorProto.INT64, [2], [2, 6])]
    model = save("levels", nodes, [("x", FLOAT, [3, 4]), ("w", 22, [3, 4])], [("y", FLOAT, [3, 4]), ("r", 17, [2, 6])], initializers)
    w, x = tensor("w", 22, np.arange(12, dtype=np.uint8).reshape(3, 4)), np.linspace(-3, 500, 12, dtype=np.float32).reshape(3, 4)
    done("hecaton-compile", model, "--mode=infer", *TARGET, "-o", WORK / "straight.hct")
    for level in ("onnx", "graph", "dist", "tile") if MESH != "host" else ():
        done("hecaton-compile", model, "--mode=infer", *TARGET, f"--emit={level}", "-o", WORK / f"{level}.mlir")
        done("hecaton-opt", WORK / f"{level}.mlir", "--emit=image", "-o", WORK / "again.hct")
        check(f"{MESH} from {level}", (WORK / "again.hct").read_bytes() == (WORK / "straight.hct").read_bytes())
    y, r = results(model, {"x": npy("x", x), "w": pb("w", w)}, ["y", "r"])
    equal("through Reshape", r, low.narrow(x, "FLOAT8E4M3FN").reshape(2, 6))
    equal("INT4 as FLOAT8E4M3FN", y, low.decode(22, np.arange(12, dtype=np.uint8)).astype(np.float32).reshape(3, 4))


def training():
    """weights and activations that pass through float8 each step: the loss and gradients are those of the rounded numbers, straight through"""
    numbers = np.random.default_rng(4)
    x, w = numbers.standard_normal((16, 8)).astype(np.float32), numbers.standard_normal((8, 6)).astype(np.float32)
    nodes = [helper.make_node("Cast", ["w"], ["wq"], to=17), helper.make_node("Cast", ["x"], ["xq"], to=19), helper.make_node("Cast", ["wq"], ["wf"], to=FLOAT), helper.make_node("Cast", ["xq"], ["xf"], to=FLOAT)]
    nodes += [helper.make_node("MatMul", ["xf", "wf"], ["y"]), helper.make_node("Mul", ["y", "y"], ["z"]), helper.make_node("ReduceMean", ["z"], ["loss"], keepdims=0)]
    model = save("training", nodes, [("x", FLOAT, x.shape)], [("loss", FLOAT, [])], [helper.make_tensor("w", FLOAT, w.shape, w.ravel())])
    done("hecaton-compile", model, "--optimizer=none", *TARGET, "-o", WORK / "m.out")
    done("hecaton-sim", WORK / "m.out", "--mode=functional", "--input", f"x={npy('x', x)}", "--output", f"loss={WORK / 'loss.npy'}", "--output", f"grad:w={WORK / 'grad.npy'}")
    xf, wf = low.narrow(x, "FLOAT8E5M2").astype(np.float64), low.narrow(w, "FLOAT8E4M3FN").astype(np.float64)
    loss, gradient = ((xf @ wf) ** 2).mean(), xf.T @ (2 * xf @ wf / (16 * 6))
    got, grad = np.load(WORK / "loss.npy"), np.load(WORK / "grad.npy")
    check(f"{MESH} loss through float8", abs(got - loss) <= 1e-5 * loss, f"{got}, expected {loss}")
    check(f"{MESH} gradient through float8", np.abs(grad - gradient).max() <= 2e-5 * np.abs(gradient).max(), f"{grad}, expected {gradient}")


def faults():
    """a program whose `narrow` says no element type is at fault, and no bug"""
    if MESH == "host":
        return
    model = save("fault", [helper.make_node("Cast", ["x"], ["y"], to=17)], [("x", FLOAT, [12, 4])], [("y", 17, [12, 4])])
    done("hecaton-compile", model, "--mode=infer", *TARGET, "-o", WORK / "m.out")
    text = done("hecaton-objdump", "--text", WORK / "m.out").stdout
    for scalar, said in ((0, "0"), (20, "20"), (1e300, "inf"), (float("nan"), "nan")):
        (WORK / "fault.hctasm").write_text(re.sub(r"(map1 fn=narrow .* v0=)\d+", rf"\g<1>{struct.unpack('<q', struct.pack('<d', scalar))[0]}", text))
        done("hecaton-as", WORK / "fault.hctasm", "-o", WORK / "fault.hct")
        result = run("hecaton-sim", WORK / "fault.hct", "--mode=functional", "--input", f"x={npy('x', np.ones((12, 4), np.float32))}")
        check(f"{MESH} narrow with scalar {scalar}", result.returncode == 1 and f"'narrow' with scalar {said}, which says no narrowing of its operand" in result.stderr, result.stderr)


def refused(name, model, said, *options):
    result = run("hecaton-compile", model, "--mode=infer", *TARGET, *options, "-o", WORK / "m.out")
    check(f"{MESH} {name} is refused", result.returncode == 1 and all(s in result.stderr for s in said), f"exit status {result.returncode}\n{result.stderr}")


def refusals():
    """arithmetic, modes that there are not, and data of another size"""
    for number, name in ((17, "f8E4M3FN"), (22, "i4")):
        model = save("sum", [helper.make_node("Add", ["x", "x"], ["y"])], [("x", number, [3])], [("y", number, [3])])
        refused(f"Add of {name}", model, [f"input 0 is of {name}, which is for interchange alone", "hint: a Cast"])
    model = save("mode", [helper.make_node("Cast", ["x"], ["y"], to=24, round_mode="odd")], [("x", FLOAT, [3])], [("y", 24, [3])])
    refused("round_mode odd", model, ["round_mode 'odd'; up, down and nearest are possible"])
    model = save("eye", [helper.make_node("EyeLike", ["x"], ["y"], dtype=17)], [("x", FLOAT, [3, 3])], [("y", 17, [3, 3])])
    refused("EyeLike of float8", model, ["EyeLike: element type 17"])
    short = tensor("w", 22, np.zeros(5, np.uint8))
    short.raw_data = short.raw_data[:-1]
    model = save("short", [helper.make_node("Cast", ["w"], ["y"], to=FLOAT), helper.make_node("Add", ["x", "y"], ["z"])], [("x", FLOAT, [5])], [("z", FLOAT, [5])], [short])
    refused("INT4 of too few bytes", model, ["its data does not hold the 5 elements"])
    short.ClearField("raw_data")
    short.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "five.bin"), ("length", "5")):
        short.external_data.add(key=key, value=value)
    (WORK / "five.bin").write_bytes(b"12345")
    model = save("long", [helper.make_node("Cast", ["w"], ["y"], to=FLOAT), helper.make_node("Add", ["x", "y"], ["z"])], [("x", FLOAT, [5])], [("z", FLOAT, [5])], [short])
    refused("external INT4 of a byte an element", model, ["has 5 bytes; its shape needs 3"])


for part in (every_code, every_rounding, every_wrap, every_place, levels, training, faults, refusals):
    part()
print(f"{checks.failures} failures on {MESH}")
sys.exit(checks.failures > 0)
