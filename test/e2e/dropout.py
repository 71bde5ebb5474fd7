#!/usr/bin/env python3
"""Dropout against NumPy, with a Philox of its own: values, losses and gradients of a small transformer layer with dropout on its embeddings, on its attention's
probabilities and on its output, and what the random numbers are like.

usage: dropout.py BIN_DIRECTORY WORK_DIRECTORY CASE [COMPILER_OPTION ...]
CASE: train, infer, steps, deep or statistics; all but the last take sets of options, separated by `+`.
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

BIN, WORK, CASE = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
WORK.mkdir(parents=True, exist_ok=True)
BATCH, SEQUENCE, HEADS, WIDTH, VOCABULARY = 5, 8, 2, 12, 11
RATIOS = {"embedding": 0.1, "attention": 0.25, "output": 0.5}
rng = np.random.default_rng(3)


def philox(counter, key):
    """Philox4x32-10 of arrays of 32-bit words, in the wider words of NumPy."""
    low = np.uint64(0xFFFFFFFF)
    c, k = [np.asarray(w, np.uint64) for w in counter], [np.uint64(w) for w in key]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & low, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return c


assert [int(w) for w in philox((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0))] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def kept(shape, ratio, stream, seed, step):
    number = np.arange(np.prod(shape), dtype=np.uint64)
    block = number >> np.uint64(2)
    words = philox((block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), np.full_like(block, step), np.full_like(block, stream)), (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    return (np.choose((number & np.uint64(3)).astype(int), words).reshape(shape) >= ratio * 2.0**32).astype(float)


def dropped(x, name, stream, seed, step):
    ratio = float(np.float32(RATIOS[name]))
    return x * kept(x.shape, ratio, stream, seed, step) / (1 - ratio)


# ---- the model, and what NumPy says of it ----
def weights(layers):
    shapes = {"table": (VOCABULARY, WIDTH), "head": (WIDTH, VOCABULARY), **{f"layers.{n}.{w}": (WIDTH, WIDTH) for n in range(layers) for w in ("wq", "wk", "wv", "wo")}}
    return {name: (rng.standard_normal(shape) / 2).astype(np.float32) for name, shape in shapes.items()}


MASK = np.where(np.tril(np.ones((SEQUENCE, SEQUENCE))) > 0, 0, -1e9).astype(np.float32)


def model(path, opset, layers=1):
    given = weights(layers)
    nodes, count = [], iter(range(1000))

    def node(kind, *inputs, **attributes):
        name = f"v{next(count)}"
        nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def dropout(x, name):
        return node("Dropout", x, f"ratio.{name}", "training") if opset >= 12 else node("Dropout", x, ratio=RATIOS[name])

    def heads(x, order):
        return node("Transpose", node("Reshape", x, "apart"), perm=order)

    x = dropout(node("Gather", "table", "ids"), "embedding")
    for n in range(layers):
        q, v, k = [heads(node("MatMul", x, f"layers.{n}.{w}"), order) for w, order in (("wq", [0, 2, 1, 3]), ("wv", [0, 2, 1, 3]), ("wk", [0, 2, 3, 1]))]
        p = node("Softmax", node("Add", node("Mul", node("MatMul", q, k), "scale"), "mask"), axis=3)
        mixed = node("Reshape", node("Transpose", node("MatMul", dropout(p, "attention"), v), perm=[0, 2, 1, 3]), "joined")
        x = node("Add", x, dropout(node("MatMul", mixed, f"layers.{n}.wo"), "output"))
    nodes.append(helper.make_node("MatMul", [x, "head"], ["logits"]))
    constants = {"apart": np.array([0, 0, HEADS, WIDTH // HEADS]), "joined": np.array([0, 0, WIDTH]), "training": np.array(True), "mask": MASK, "scale": np.float32((WIDTH // HEADS) ** -0.5),
                 **{f"ratio.{name}": np.float32(ratio) for name, ratio in RATIOS.items()}}
    nodes = [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value))) for name, value in constants.items() if name[:5] != "ratio"] + nodes
    initializers = [numpy_helper.from_array(value, name) for name, value in given.items()] + [numpy_helper.from_array(constants[n], n) for n in constants if n[:5] == "ratio" and opset >= 12]
    graph = helper.make_graph(nodes, "layer", [helper.make_tensor_value_info("ids", T.INT64, [BATCH, SEQUENCE])], [helper.make_tensor_value_info("logits", T.FLOAT, [BATCH, SEQUENCE, VOCABULARY])], initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    onnx.checker.check_model(made)
    onnx.save(made, path)
    return {name: value.astype(float) for name, value in given.items()}


def logits_of(w, ids, seed, step):
    def heads(x):
        return x.reshape(BATCH, SEQUENCE, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)

    x = dropped(w["table"][ids], "embedding", 0, seed, step)
    for n in range(sum(name.endswith("wq") for name in w)):
        q, k, v, o = [w[f"layers.{n}.{name}"] for name in ("wq", "wk", "wv", "wo")]
        scores = heads(x @ q) @ heads(x @ k).transpose(0, 1, 3, 2) * (WIDTH // HEADS) ** -0.5 + MASK
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p = dropped(p / p.sum(-1, keepdims=True), "attention", 1 + 2 * n, seed, step)
        mixed = (p @ heads(x @ v)).transpose(0, 2, 1, 3).reshape(BATCH, SEQUENCE, WIDTH)
        x = x + dropped(mixed @ o, "output", 2 + 2 * n, seed, step)
    return x @ w["head"]


def loss_of(w, ids, labels, seed, step):
    z = logits_of(w, ids, seed, step)
    z = z - z.max(-1, keepdims=True)
    return -np.mean(np.take_along_axis(z - np.log(np.exp(z).sum(-1, keepdims=True)), labels[..., None], -1))


# ---- runs ----
def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout


def simulate(inputs, outputs, *options):
    flags = [f for name, value in inputs.items() for f in ("--input", f"{name}={WORK / name}.npy")]
    for name, value in inputs.items():
        np.save(WORK / f"{name}.npy", value)
    out = run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=functional", *flags, *[f for n in outputs for f in ("--output", f"{n}={WORK / n.replace(':', '.')}.npy")], *options)
    losses = [float(line.split()[-1]) for line in out.splitlines() if line.startswith("step ") and " loss " in line]
    return losses, [np.load(WORK / f"{n.replace(':', '.')}.npy").astype(float) for n in outputs]


def close(what, got, want, tolerance):
    worst = np.max(np.abs(np.asarray(got) - want))
    if not worst <= tolerance * max(np.max(np.abs(want)), 1e-3):
        sys.exit(f"{what}: off by {worst:.3g} of {np.max(np.abs(want)):.3g}")


def option_sets():
    sets = [[]]
    for option in sys.argv[4:]:
        if option == "+":
            sets.append([])
        else:
            sets[-1].append(option)
    return sets


def train():
    ids, labels = rng.integers(0, VOCABULARY, (2, BATCH, SEQUENCE))
    w = model(WORK / "m.onnx", 13)
    tables = {name: np.linalg.norm(value) for name, value in w.items()}
    want, seed, steps = {}, 0x123456789A, 2
    for name in w:  # along directions, central differences of the second step's loss
        direction = rng.standard_normal((3, *w[name].shape)) / tables[name]
        ahead = [loss_of({**w, name: w[name] + 1e-5 * d}, ids, labels, seed, 1) for d in direction]
        back = [loss_of({**w, name: w[name] - 1e-5 * d}, ids, labels, seed, 1) for d in direction]
        want[name] = direction, (np.array(ahead) - back) / 2e-5
    losses = [loss_of(w, ids, labels, seed, step) for step in range(steps)]
    for options in option_sets():
        low = any(o.startswith("--dtype") for o in options)
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--loss=cross-entropy:logits", "--optimizer=none", *options, "-o", WORK / "m.hct")
        got, gradients = simulate({"ids": ids, "labels": labels}, [f"grad:{n}" for n in w], "--steps=2", f"--seed={seed}")
        close(f"{options}: losses", got, losses, 3e-2 if low else 1e-5)
        for name, gradient in zip(w, gradients):
            close(f"{options}: gradient of {name}", np.sum(gradient * want[name][0], axis=tuple(range(1, gradient.ndim + 1))), want[name][1], 6e-2 if low else 1e-4)
        print("train", " ".join(options))


def infer():
    """Before opset 12 dropout is training's alone; since then it is where training_mode is true, of step 0."""
    ids = rng.integers(0, VOCABULARY, (BATCH, SEQUENCE))
    for options in option_sets():
        for opset in (11, 13):
            w = model(WORK / "m.onnx", opset)
            run(BIN / "hecaton-compile", WORK / "m.onnx", "--mode=infer", "--seed=-7", *options, "-o", WORK / "m.hct")
            ratios = dict(RATIOS)
            RATIOS.update({name: 0 for name in RATIOS if opset < 12})
            close(f"{options}: logits, opset {opset}", simulate({"ids": ids}, ["logits"])[1][0], logits_of(w, ids, -7 & (1 << 64) - 1, 0), 1e-5)
            RATIOS.update(ratios)
            if opset < 12:
                refused = subprocess.run([BIN / "hecaton-sim", WORK / "m.hct", "--mode=functional", "--seed=3", "--input", f"ids={WORK}/ids.npy"], capture_output=True, text=True)
                if refused.returncode != 1 or "--seed=3: the program draws no random numbers (no dropout)" not in refused.stderr:
                    sys.exit(f"--seed without dropout: exit status {refused.returncode}, {refused.stderr}")
        print("infer", " ".join(options))
    w = model(WORK / "m.onnx", 11)
    run(BIN / "hecaton-compile", WORK / "m.onnx", "--loss=cross-entropy:logits", "--optimizer=none", "--seed=5", "--mesh=2x2", "-o", WORK / "m.hct")
    close("loss, opset 11", simulate({"ids": ids, "labels": ids}, [])[0], [loss_of(w, ids, ids, 5, 0)], 1e-5)


def steps():
    """Three optimizer steps, whose masks differ: the losses of the host backend, whatever dies do."""
    ids, labels = rng.integers(0, VOCABULARY, (2, BATCH, SEQUENCE))
    w = model(WORK / "m.onnx", 13)
    want = None
    for options in [["--backend=host"]] + option_sets():
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--loss=cross-entropy:logits", "--lr=0.01", "--seed=11", *options, "-o", WORK / "m.hct")
        got = simulate({"ids": ids, "labels": labels}, [], "--steps=3")[0]
        close(f"{options}: the first loss", got[:1], [loss_of(w, ids, labels, 11, 0)], 1e-5)
        want = want or got
        close(f"{options}: losses", got, want, 1e-5)
        print("steps", " ".join(options))


def deep():
    """Of more equal layers than passes see, those left out, and those that are a loop in the streams, have the numbers of their nodes."""
    ids, labels = rng.integers(0, VOCABULARY, (2, BATCH, SEQUENCE))
    w = model(WORK / "m.onnx", 13, layers=24)
    direction = rng.standard_normal(w["table"].shape) / 10
    ahead, back = [loss_of({**w, "table": w["table"] + h * direction}, ids, labels, 9, 0) for h in (1e-5, -1e-5)]
    for options in option_sets():
        run(BIN / "hecaton-compile", WORK / "m.onnx", "--loss=cross-entropy:logits", "--optimizer=none", "--seed=9", *options, "-o", WORK / "m.hct")
        got, gradients = simulate({"ids": ids, "labels": labels}, ["grad:table"])
        close(f"{options}: loss", got, [loss_of(w, ids, labels, 9, 0)], 1e-5)
        close(f"{options}: gradient", np.sum(gradients[0] * direction), (ahead - back) / 2e-5, 1e-3)
        looped = sum("v1=" in line and "loop(" in line.split("v1=")[1].split()[0] for line in run(BIN / "hecaton-objdump", "--text", WORK / "m.hct").splitlines() if line.strip().startswith("drop "))
        print("deep", " ".join(options), "loops" if looped else "unrolled")


def statistics():
    """What two nodes keep of ones, at two steps and for two seeds: the share, and how far any two masks agree, are within four standard deviations of chance."""
    size, ratio = (64, 32, 48), 0.3
    nodes = [helper.make_node("Dropout", ["x", "ratio", "training"], [name]) for name in ("a", "b")]
    nodes += [helper.make_node("MatMul", ["x", "w"], ["scaled"]), helper.make_node("ReduceMean", ["scaled"], ["loss"], keepdims=0)]
    initializers = [numpy_helper.from_array(v, n) for n, v in {"ratio": np.float32(ratio), "training": np.array(True), "w": np.ones((48, 1), np.float32)}.items()]
    values = [helper.make_tensor_value_info(n, T.FLOAT, s) for n, s in (("a", size), ("b", size), ("loss", ()))]
    graph = helper.make_graph(nodes, "ones", [helper.make_tensor_value_info("x", T.FLOAT, size)], values, initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), WORK / "m.onnx")
    run(BIN / "hecaton-compile", WORK / "m.onnx", "--loss=loss", "--optimizer=sgd", "--keep-output=a", "--keep-output=b", "--mesh=2x3", "--micro-batch=16", "-o", WORK / "m.hct")
    ones = {"x": np.ones(size, np.float32)}
    masks = {}
    for seed in (0, 1, 1 << 32):
        for count in (1, 2):
            for name, value in zip("ab", simulate(ones, "ab", f"--seed={seed}", f"--steps={count}")[1]):
                masks[seed, count, name] = value.ravel() != 0
                close("what is kept", value.ravel()[masks[seed, count, name]], 1 / (1 - ratio), 1e-6)
    elements, share, chance = np.prod(size), 1 - ratio, (1 - ratio) ** 2
    for key, mask in masks.items():
        for what, got, want in [("share", mask.mean(), share)] + [(other, (mask & masks[other]).mean(), chance) for other in masks if other > key] + [
                (f"itself {lag} on", (mask[lag:] & mask[:-lag]).mean(), chance) for lag in (1, 2, 4, 48)]:
            if abs(got - want) > 4 * (want * (1 - want) / elements) ** 0.5:
                sys.exit(f"{key}, {what}: {got}, expected {want}")
    print(f"statistics of {len(masks)} masks")


{"train": train, "infer": infer, "steps": steps, "deep": deep, "statistics": statistics}[CASE]()
