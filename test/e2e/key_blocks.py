#!/usr/bin/env python3
"""Attention in blocks of keys, with a running softmax, against NumPy in double precision, and where the scores of a block of queries with all keys do not fit.

usage: key_blocks.py BIN_DIRECTORY WORK_DIRECTORY CASE[,CASE...]
CASE: values (losses and gradients of an attention layer, with masks of every kind, on meshes and on the host; in a thorough run each on every target), empty (rows without any key), precision (bf16, f16),
      skipped (blocks of keys that a window leaves out), long (1,024 tokens in 768 KiB of SRAM)
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import share, share_sanitized  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, TOKENS, HEADS, WIDTH = 3, 16, 2, 12
DEPTH = WIDTH // HEADS
rng = np.random.default_rng(7)
WEIGHTS = {name: rng.standard_normal((WIDTH, WIDTH)).astype(np.float32) / 2 for name in ("wq", "wk", "wv")} | {"gain": rng.standard_normal((HEADS, 1, 1)).astype(np.float32)}
WEIGHTS["bias"] = np.random.default_rng(8).standard_normal((HEADS, TOKENS, TOKENS)).astype(np.float32)
X = rng.standard_normal((BATCH, TOKENS, WIDTH)).astype(np.float32)
SLOPE = rng.standard_normal((BATCH, HEADS, TOKENS, DEPTH)).astype(np.float32)
row, key = np.ogrid[:TOKENS, :TOKENS]
INFINITE = np.float32(-np.inf)
LEAST, LOW = np.finfo(np.float32).min, np.float32(-1e9)
NONE = np.float32(0)


def padded(low, *first):
    """A mask of which each sample has other keys, from the number of `first` on; 16: of a sample none."""
    return np.where(key < np.array(first)[:, None, None, None], np.float32(low), NONE).repeat(TOKENS, 2)


def process(*arguments, status=0):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (arguments, done.stderr)
    return done


def run(*arguments, status=0):
    done = process(*arguments, status=status)
    return done.stdout if status == 0 else done.stderr


def compile_cut(*arguments):
    """Compiles, where each attention has to be cut."""
    said = process(BIN / "hecaton-compile", *arguments).stderr
    assert "not cut by keys" not in said, (arguments, said)


# ---- an attention layer ----
class Layer:
    """mask: what is added to scores, a constant or the input `mask`; keep: where they stay, else `low`, a constant or the input `keep` (given: both; "keep": that alone); there: of each sample the keys that are there, an input of which
    a mask is made, 0 or `low`; bias: by head and pair, trained; cap: c tanh(s / c); gain: by head, after the softmax."""

    def __init__(self, mask=None, keep=None, there=None, low=LOW, bias=False, cap=None, gain=False, given=False):
        self.mask, self.keep, self.there, self.low, self.bias, self.cap, self.gain, self.given = mask, keep, there, low, bias, cap, gain, given

    def inputs(self):
        given = {"x": X, "mask": self.mask if self.given is True else None, "keep": self.keep if self.given else None, "there": self.there}
        return {n: v for n, v in given.items() if v is not None}

    def weights(self):
        return [n for n in WEIGHTS if (n != "gain" or self.gain) and (n != "bias" or self.bias)]

    def masked(self, scores):
        """Sums in f32, as the model has them: beside -1e9 nothing is left of a score."""
        if self.bias:
            scores = scores + WEIGHTS["bias"]
        for mask in (self.mask, None if self.there is None else np.where(self.there, NONE, self.low)[:, None, None, :]):
            scores = scores if mask is None else (scores.astype(np.float32) + mask).astype(float)
        return scores if self.keep is None else np.where(self.keep, scores, self.low)

    def write(self, path):
        constants = {"heads": np.array([BATCH, TOKENS, HEADS, DEPTH]), "scale": np.float32(DEPTH**-0.5), "slope": SLOPE}
        nodes = []

        def node(op, inputs, output, **attributes):
            nodes.append(helper.make_node(op, inputs.split(), [output], **attributes))
            return output

        for name, perm in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3))):
            node("MatMul", f"x w{name}", f"{name}l")
            node("Reshape", f"{name}l heads", f"{name}h")
            node("Transpose", f"{name}h", name, perm=perm)
        node("MatMul", "q k", "products")
        scores = node("Mul", "products scale", "scores")
        if self.cap:
            constants["cap"] = np.float32(self.cap)
            node("Div", f"{scores} cap", "shares")
            node("Tanh", "shares", "bounded")
            scores = node("Mul", "bounded cap", "capped")
        if self.bias:
            scores = node("Add", f"{scores} bias", "biased")
        if self.mask is not None:
            scores = node("Add", f"{scores} mask", "masked")
        if self.there is not None:
            constants |= {"middle": np.array([1, 2]), "one": np.float32(1), "low": self.low}
            node("Cast", "there", "there_f32", to=T.FLOAT)
            node("Unsqueeze", "there_f32 middle", "there_by_key")
            node("Sub", "one there_by_key", "absent")
            node("Mul", "absent low", "absent_low")
            scores = node("Add", f"{scores} absent_low", "there_alone")
        if self.keep is not None:
            constants |= {"low": self.low} | ({} if self.given else {"keep": self.keep})
            scores = node("Where", f"keep {scores} low", "kept")
        probabilities = node("Softmax", scores, "probabilities", axis=-1)
        if self.gain:
            probabilities = node("Mul", f"{probabilities} gain", "gained")
        node("MatMul", f"{probabilities} v", "y")
        node("Mul", "y slope", "sloped")
        node("ReduceSum", "sloped", "loss", keepdims=0)
        weights = {n: WEIGHTS[n] for n in self.weights()}
        if self.mask is not None and self.given is not True:
            constants["mask"] = self.mask
        inputs = [helper.make_tensor_value_info(n, {"f": T.FLOAT, "b": T.BOOL}[v.dtype.kind], v.shape) for n, v in self.inputs().items()]
        outputs = [helper.make_tensor_value_info("loss", T.FLOAT, []), helper.make_tensor_value_info("y", T.FLOAT, list(SLOPE.shape))]
        graph = helper.make_graph(nodes, "layer", inputs, outputs, [numpy_helper.from_array(np.asarray(v), n) for n, v in (weights | constants).items()])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)

    def reference(self):
        """Loss, the result, and gradients, by hand."""
        x, slope, w = X.astype(float), SLOPE.astype(float), {n: v.astype(float) for n, v in WEIGHTS.items()}
        q, k, v = ((x @ w[f"w{n}"]).reshape(BATCH, TOKENS, HEADS, DEPTH).transpose(0, 2, 1, 3) for n in "qkv")
        scores = q @ k.swapaxes(2, 3) / DEPTH**0.5
        bound = self.cap * np.tanh(scores / self.cap) if self.cap else scores
        masked = self.masked(bound)
        with np.errstate(invalid="ignore"):
            p = np.exp(masked - masked.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        gain = w["gain"] if self.gain else np.ones((HEADS, 1, 1))
        y = p * gain @ v
        dp = slope @ v.swapaxes(2, 3)
        dgain = (dp * p).sum((0, 2, 3)).reshape(HEADS, 1, 1)
        ds = p * (dp * gain - (p * dp * gain).sum(-1, keepdims=True))
        ds = ds if self.keep is None else np.where(self.keep, ds, 0)
        dbias = ds.sum(0)
        ds = ds * (1 - (bound / self.cap) ** 2 if self.cap else 1) / DEPTH**0.5
        flat = {"wq": ds @ k, "wk": ds.swapaxes(2, 3) @ q, "wv": (p * gain).swapaxes(2, 3) @ slope}
        gradients = {n: np.einsum("bsi,bhsd->ihd", x, g).reshape(WIDTH, WIDTH) for n, g in flat.items()} | {"gain": dgain, "bias": dbias}
        return (y * slope).sum(), y, gradients


CAUSAL, WINDOW = key <= row, (key <= row) & (key > row - 3)
THERE = np.arange(TOKENS) < np.array([16, 7, 0])[:, None]  # padding behind, of a sample nothing else
LAYERS = {
    "full": Layer(), "causal": Layer(mask=np.where(CAUSAL, NONE, INFINITE)), "window": Layer(mask=np.where(WINDOW, NONE, INFINITE)), "window -1e9": Layer(mask=np.where(WINDOW, NONE, LOW)),
    "kept": Layer(keep=CAUSAL), "kept in some rows": Layer(keep=WINDOW & (row % 5 != 2)), "given": Layer(mask=padded(-np.inf, 0, 5, 9), given=True), "given -1e9": Layer(mask=padded(LOW, 0, 5, 16), given=True),
    "given -1e4": Layer(mask=padded(-1e4, 0, 5, 16), given=True), "given least": Layer(mask=padded(LEAST, 0, 5, 16), given=True), "kept as given": Layer(keep=padded(1, 0, 5, 16) == 0, given=True),
    "kept as given, causal": Layer(keep=padded(1, 0, 5, 16) == 0, mask=np.where(CAUSAL, NONE, LOW), given="keep"), "there, before": Layer(there=THERE[:, ::-1], mask=np.where(CAUSAL, NONE, INFINITE)), "there": Layer(there=THERE),
    "there least": Layer(there=THERE, low=LEAST), "there, causal": Layer(there=THERE[:, ::-1], mask=np.where(CAUSAL, NONE, LOW)), "biased": Layer(bias=True, mask=np.where(CAUSAL, NONE, LEAST)),
    "capped": Layer(cap=2.0, keep=CAUSAL), "gained": Layer(gain=True),
}
TARGETS = [
    "--backend=host --attention-blocks=2 --key-blocks=4", "--mesh=1x1 --key-blocks=4", "--mesh=1x1 --attention-blocks=8 --key-blocks=2 --micro-batch=1", "--mesh=2x2 --attention-blocks=2 --key-blocks=16 --micro-batch=2",
    "--mesh=2x3 --attention-blocks=4 --key-blocks=4 --micro-batch=1 --recompute=all", "--mesh=3x2 --attention-blocks=4 --key-blocks=2 --recompute=none --overlap=none", "--mesh=2x2 --strategy=optimus --attention-blocks=2 --key-blocks=4",
    "--mesh=1x4 --strategy=megatron-ring --attention-blocks=2 --key-blocks=4 --schedule=layerwise --micro-batch=1", "--mesh=1x2 --strategy=megatron-sequence --attention-blocks=2 --key-blocks=4",
    "--mesh=2x1 --strategy=megatron-torus --token-blocks=4 --attention-blocks=4 --key-blocks=4 --micro-batch=1", "--mesh=1x1 --head-blocks=2 --attention-blocks=2 --key-blocks=4 --micro-batch=1",
]


def simulate(layer, program, outputs, *options):
    for name, value in layer.inputs().items():
        np.save(WORK / f"{name}.npy", value)
    given = [a for n in layer.inputs() for a in ("--input", f"{n}={WORK / n}.npy")]
    files = {name: WORK / f"out{i}.npy" for i, name in enumerate(outputs)}
    run(BIN / "hecaton-sim", program, *given, *(a for n, f in files.items() for a in ("--output", f"{n}={f}")), *options)
    return {n: np.load(f) for n, f in files.items()}


def gradients_of(layer, options):
    layer.write(WORK / "m.onnx")
    trained = [f"--trainable={w}" for w in layer.weights()]
    compile_cut(WORK / "m.onnx", "--optimizer=none", "--loss=loss", *trained, "--keep-output=y", *options, "-o", WORK / "m.out")
    return simulate(layer, WORK / "m.out", ["loss", "y", *(f"grad:{w}" for w in layer.weights())])


def errors_of(layer, options):
    """Of loss, result and each gradient, relative to what is largest in it."""
    loss, y, gradients = layer.reference()
    got = gradients_of(layer, options)
    return {"loss": abs(float(got["loss"]) / loss - 1), "y": np.abs(got["y"] - y).max() / np.abs(y).max(), **{w: np.abs(got[f"grad:{w}"] - gradients[w]).max() / np.abs(gradients[w]).max() for w in layer.weights()}}


def values():
    """Each layer on one or two of the targets, beginning elsewhere."""
    count = 0
    for i, (name, layer) in enumerate(LAYERS.items()):
        layer.write(WORK / "m.onnx")
        compile_cut(WORK / "m.onnx", "--mode=infer", "--mesh=1x1", "--key-blocks=4", "--emit=step", "-o", WORK / "m.mlir")
        assert "hct_graph.softmax" not in (WORK / "m.mlir").read_text(), name
        for options in share(TARGETS, 6, i):
            errors = errors_of(layer, options.split())
            assert errors["loss"] <= 1e-5 and max(errors.values()) <= 2e-5, (name, options, errors)
            count += 1
    print(f"{count} layers cut, as NumPy has them")


# ---- rows without any key ----
def empty():
    """What the softmax of all keys gives, where -inf is all that a row has: no number, there and in gradients that it is summed into, and nowhere else."""
    for layer in Layer(mask=np.where((key <= row) & (row % 5 != 2), NONE, INFINITE)), Layer(mask=padded(-np.inf, 0, 5, 16), given=True):
        _, y, gradients = layer.reference()
        nothing = np.isnan(y)
        assert 0 < nothing.mean() < 1
        for options in ("--key-blocks=1 --mesh=1x1", "--key-blocks=4 --attention-blocks=2 --mesh=1x1", "--key-blocks=4 --mesh=2x2", "--key-blocks=4 --mesh=2x2 --dtype=bf16", "--key-blocks=4 --mesh=1x2 --dtype=f16"):
            got = gradients_of(layer, options.split())
            assert (np.isnan(got["y"]) == nothing).all(), options
            assert np.abs(np.where(nothing, 0, got["y"] - np.nan_to_num(y))).max() < (0.1 if "dtype" in options else 2e-5), options
            for w in layer.weights():
                assert (np.isnan(got[f"grad:{w}"]) == np.isnan(gradients[w])).all(), (options, w)
    print("rows without keys have no number")


# ---- bf16 and f16 ----
UNITS = {"bf16": 2.0**-8, "f16": 2.0**-11}  # from 1 to the next number, half of it, is what rounding is off by at most


def precision():
    """Numbers are off by some roundings, also where a finite mask leaves a row no key, and no further than those of the softmax of all keys, whose probabilities are rounded once: within half as much again, of
    rounding by chance. (That softmax has no numbers for rows that are masked by what its type does not hold.)"""
    for dtype, unit in UNITS.items():
        worst = {}
        for name, layer in share_sanitized(LAYERS.items(), 2, dtype == "f16"):
            options = [f"--dtype={dtype}", "--mesh=2x2", "--micro-batch=1", "--attention-blocks=2"]
            many = errors_of(layer, [*options, "--key-blocks=4"])
            del many["loss"]  # a sum of both signs
            assert max(many.values()) <= 16 * unit, (dtype, name, many)
            worst[name] = max(many.values())
            if dtype == "bf16" and name in ("full", "causal", "window", "gained"):
                one = errors_of(layer, [*options, "--key-blocks=1"])
                assert all(error <= 1.5 * one[what] for what, error in many.items()), (name, one, many)
        print(f"{dtype}: off by {min(worst.values()):.1e} to {max(worst.values()):.1e}")


# ---- blocks that are left out ----
def skipped():
    """Of blocks of 2 queries and 2 keys those are computed that have a pair which is not masked, in front of a window too; and pairs are counted as they are. Where keys may also be masked at run time by a finite
    number, constant ones that are finite exclude none."""
    for name, allowed in {"full": CAUSAL | True, "causal": CAUSAL, "window": WINDOW, "window -1e9": WINDOW, "kept": CAUSAL, "there, before": CAUSAL, "there, causal": CAUSAL | True}.items():
        LAYERS[name].write(WORK / "m.onnx")
        compile_cut(WORK / "m.onnx", "--mode=infer", "--mesh=1x1", "--attention-blocks=8", "--key-blocks=8", "--emit=step", "-o", WORK / "m.mlir")
        scores = re.findall(r'"hct_graph.contract"(.*) -> tensor<3x2x2x2xf32>', (WORK / "m.mlir").read_text())
        pairs = sum(int(m[1]) if (m := re.search(r"hct.pairs = array<i64: (\d+), 4>", line)) else 4 for line in scores)
        blocks = int(allowed.reshape(8, 2, 8, 2).any((1, 3)).sum())
        assert (len(scores), pairs) == (blocks, allowed.sum()), (name, len(scores), blocks, pairs, allowed.sum())
        print(f"{name}: {blocks} blocks")
    for name, allowed in {"causal": CAUSAL, "window": WINDOW, "window -1e9": WINDOW}.items():  # with all keys at once each block of queries has those from its first to its last
        LAYERS[name].write(WORK / "m.onnx")
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--mode=infer", "--mesh=1x1", "--attention-blocks=8", "--key-blocks=1", "--emit=step", "-o", WORK / "m.mlir")
        keys = [int(n) for n in re.findall(r'"hct_graph.softmax".* -> tensor<3x2x2x(\d+)xf32>', (WORK / "m.mlir").read_text())]
        wanted = [2 * (np.flatnonzero(b)[-1] - np.flatnonzero(b)[0] + 1) for b in allowed.reshape(8, 2, 8, 2).any((1, 3))]
        assert keys == wanted, (name, keys, wanted)
        errors = errors_of(LAYERS[name], ["--mesh=2x2", "--attention-blocks=8", "--key-blocks=1"])
        assert max(errors.values()) <= 2e-5, (name, errors)
        print(f"{name}: {sum(keys)} keys")


# ---- a long context ----
LONG, MODEL = 1024, {"layers": 2, "hidden": 32, "heads": 4, "kv-heads": 2, "ffn": 48, "vocab": 40, "batch": 2}
SRAM = 786432


def largest_result(dump):
    """Elements of the largest result that is no constant."""
    return max(np.prod([int(n) for n in m[1].split("x")[:-1]]) for m in re.finditer(r'= "hct_graph\.(?!constant).*-> tensor<((?:\d+x)+\w+)>', dump))


def long():
    run(BIN / "hecaton-model", "tinyllama-1.1b", *(f"--{n}={v}" for n, v in MODEL.items()), f"--seq={LONG}", "--seed=5", "-o", WORK / "m.onnx")
    package = (BIN.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
    (WORK / "p.xml").write_text(package.replace('bytes="33554432"', f'bytes="{SRAM}"').replace('name="hecaton-2x2"', 'name="tight"'))
    for name in ("ids", "labels"):
        np.save(WORK / f"{name}.npy", rng.integers(0, MODEL["vocab"], (MODEL["batch"], LONG)))
    options = [WORK / "m.onnx", f"--package={WORK / 'p.xml'}", "--micro-batch=1", "--token-blocks=16", "--groups=blocks", "--weights=resident", "--optimizer=sgd"]
    needed = int(re.search(r"the plan needs (\d+) bytes of SRAM", run(BIN / "hecaton-compile", *options, "--key-blocks=1", "-o", WORK / "m.out", status=1))[1])
    run(BIN / "hecaton-compile", *options, "-o", WORK / "m.out")
    run(BIN / "hecaton-compile", WORK / "m.onnx", "--backend=host", "--optimizer=sgd", "-o", WORK / "host.so")
    given = [*("--input ids=%s/ids.npy --input labels=%s/labels.npy" % (WORK, WORK)).split(), "--steps=3"]
    losses = [[float(v) for v in re.findall(r"^step +\d+ +loss (\S+)$", run(BIN / "hecaton-sim", program, *given, "--report", WORK / "r.json"), re.M)] for program in (WORK / "host.so", WORK / "m.out")]
    report = json.loads((WORK / "r.json").read_text())
    assert len(losses[1]) == 3 and np.abs(np.divide(*losses) - 1).max() <= 1e-5, losses
    scores_bytes = 4 * MODEL["heads"] * LONG * LONG  # of one sample
    largest, spilled, peak = max(t["bytes"] for t in report["dram"]["largest_tensors"]), report["dram"]["by_role"]["spill"], report["sram"]["peak_bytes"]
    assert needed > 2 * SRAM >= 2 * peak and spilled < scores_bytes // 4 and largest <= 4 * LONG * MODEL["hidden"], (needed, peak, spilled, largest)
    run(BIN / "hecaton-compile", *options, "--emit=step", "-o", WORK / "m.mlir")
    elements, all_keys = largest_result((WORK / "m.mlir").read_text()), MODEL["batch"] * MODEL["heads"] * LONG * LONG // 16
    assert elements < all_keys, (elements, all_keys)  # of one block of queries
    weights = MODEL["layers"] * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48) + 32 * 40
    flops = MODEL["batch"] * (6 * LONG * weights + 12 * MODEL["layers"] * MODEL["hidden"] * LONG * (LONG + 1) // 2)
    assert report["compute"]["model_flops"] == flops, (report["compute"], flops)
    print(f"{needed} bytes of SRAM with all keys at once, {peak} with blocks of keys; {spilled} bytes of activations in DRAM, of which {largest} in one; scores of a sample take {scores_bytes}")


for case in sys.argv[3].split(","):
    {"values": values, "empty": empty, "precision": precision, "skipped": skipped, "long": long}[case]()
