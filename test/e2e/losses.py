#!/usr/bin/env python3
"""Losses in every form, trained on dies: loss and gradients are those of NumPy in double precision over the whole batch, whether micro-batches divide
it or not, and however the labels that count are spread over them.

usage: losses.py BIN_DIRECTORY WORK_DIRECTORY MESH[,MESH...] MICRO_BATCH[,...] [OPTION...]
OPTION: further ones of hecaton-compile
"""
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))
from checks import share_sanitized  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, TOKENS, WIDTH, CLASSES = 6, 3, 4, 5
numbers = np.random.default_rng(3)
node = helper.make_node
PARAMETERS = {"w": numbers.standard_normal((WIDTH, CLASSES)).astype(np.float32), "b": numbers.standard_normal(CLASSES).astype(np.float32)}
X = numbers.standard_normal((BATCH, TOKENS, WIDTH)).astype(np.float32)
T = numbers.standard_normal((BATCH, TOKENS, CLASSES)).astype(np.float32)
LABELS = numbers.integers(0, CLASSES, (BATCH, TOKENS))
HOLES = np.where(numbers.random((BATCH, TOKENS)) < 0.4, -100, LABELS)
HOLES[2], HOLES[5], HOLES[0, 1] = -100, LABELS[5], LABELS[0, 1]  # one sample of which nothing counts, one of which all does
MASK = (HOLES >= 0).astype(np.float32)
WEIGHTS = np.array([1, 0.25, 2, 0, 1.5], np.float32)
KNOWN = {"tokens": np.array([-1, CLASSES]), "all": np.array([-1]), "class_weights": WEIGHTS, "two": np.array(2, np.float32), "count": np.array(T.size, np.float32),
         "rows": np.array([0, 1]), "columns": np.array([-1]), "one": np.array([1]), "zero": np.array(0, np.int64)}


def logits(w, b):
    return X.astype(np.float64) @ w + b


def per_token(z, labels, weights=None, ignore=None):
    """What each label costs and the weight that it has; classes along the last dimension."""
    top = z.max(-1, keepdims=True)
    log_probability = z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))
    at = np.where((labels < 0) | (labels >= CLASSES), 0, labels)
    weight = np.ones(labels.shape) if weights is None else weights.astype(np.float64)[at]
    if ignore is not None:
        weight = np.where(labels == ignore, 0, weight)
    return -np.take_along_axis(log_probability, at[..., None], -1)[..., 0] * weight, weight


def reduced(cost, weight, reduction):
    return cost.sum() / weight.sum() if reduction == "mean" else cost.sum()


FORMS = {}  # name: nodes from `z` [batch, tokens, classes] to `loss`, inputs other than x, the same of logits in NumPy


def add(name, nodes, given, function, option=None):
    FORMS[name] = nodes, given, function, option


FLAT = [node("Reshape", ["z", "tokens"], ["rows_of_z"]), node("Reshape", ["labels", "all"], ["rows_of_labels"])]
APART = [node("Transpose", ["z"], ["classes_second"], perm=[0, 2, 1])]
for reduction in ("mean", "sum"):
    for weights in (None, WEIGHTS):
        for ignore, labels in ((None, LABELS), (-100, HOLES), (2, LABELS)):
            options = {"reduction": reduction, **({} if ignore is None else {"ignore_index": ignore})}
            more = [] if weights is None else ["class_weights"]
            function = lambda z, labels=labels, weights=weights, ignore=ignore, reduction=reduction: reduced(*per_token(z, labels, weights, ignore), reduction)
            name = f"{reduction}{' weights' if more else ''}{'' if ignore is None else f' ignore {ignore}'}"
            add(f"cross-entropy {name}", [*FLAT, node("SoftmaxCrossEntropyLoss", ["rows_of_z", "rows_of_labels", *more], ["loss"], **options)], {"labels": labels}, function)
            add(f"cross-entropy of more dimensions {name}", [*APART, node("SoftmaxCrossEntropyLoss", ["classes_second", "labels", *more], ["loss", "log_probability"], **options)], {"labels": labels}, function)
            add(f"likelihood {name}", [*APART, node("LogSoftmax", ["classes_second"], ["p"], axis=1), node("NegativeLogLikelihoodLoss", ["p", "labels", *more], ["loss"], **options)], {"labels": labels}, function)
NONE = [*APART, node("SoftmaxCrossEntropyLoss", ["classes_second", "labels", "class_weights"], ["costs"], reduction="none", ignore_index=-100)]
add("none, mean", [*NONE, node("ReduceMean", ["costs"], ["loss"], keepdims=0)], {"labels": HOLES}, lambda z: per_token(z, HOLES, WEIGHTS, -100)[0].mean())
add("none, sum", [*NONE, node("ReduceSum", ["costs"], ["loss"], keepdims=0)], {"labels": HOLES}, lambda z: per_token(z, HOLES, WEIGHTS, -100)[0].sum())
add("none, mean of sums", [*NONE, node("ReduceSum", ["costs", "one"], ["s"], keepdims=0), node("ReduceMean", ["s"], ["loss"], keepdims=0)], {"labels": HOLES},
    lambda z: per_token(z, HOLES, WEIGHTS, -100)[0].sum(1).mean())
add("likelihood none, masked mean", [*FLAT, node("LogSoftmax", ["rows_of_z"], ["p"], axis=1), node("NegativeLogLikelihoodLoss", ["p", "rows_of_labels"], ["c"], reduction="none"),
                                     node("Reshape", ["mask", "all"], ["m"]), node("Mul", ["c", "m"], ["cm"]), node("ReduceSum", ["cm"], ["s"], keepdims=0),
                                     node("ReduceSum", ["m"], ["n"], keepdims=0), node("Div", ["s", "n"], ["loss"])],
    {"labels": LABELS, "mask": MASK}, lambda z: (per_token(z, LABELS)[0] * MASK).sum() / MASK.sum())
DIFFERENCE = [node("Sub", ["z", "target"], ["d"])]
SQUARES = {"pow": node("Pow", ["d", "two"], ["q"]), "product": node("Mul", ["d", "d"], ["q"])}
TARGET = {"target": T}
for spelling, square in SQUARES.items():
    add(f"squared error, mean, {spelling}", [*DIFFERENCE, square, node("ReduceMean", ["q"], ["loss"], keepdims=0)], TARGET, lambda z: ((z - T) ** 2).mean())
    add(f"squared error, mean kept, {spelling}", [*DIFFERENCE, square, node("ReduceMean", ["q"], ["k"], keepdims=1), node("Reshape", ["k", "scalar"], ["loss"])], TARGET, lambda z: ((z - T) ** 2).mean())
    add(f"squared error, axes one by one, {spelling}", [*DIFFERENCE, square, node("ReduceMean", ["q", "columns"], ["s"], keepdims=0), node("ReduceMean", ["s", "rows"], ["loss"], keepdims=0)], TARGET,
        lambda z: ((z - T) ** 2).mean())
    add(f"squared error, batch last, {spelling}", [*DIFFERENCE, square, node("ReduceSum", ["q", "columns"], ["s"], keepdims=0), node("ReduceMean", ["s", "one"], ["r"], keepdims=0), node("ReduceMean", ["r"], ["loss"], keepdims=0)], TARGET,
        lambda z: ((z - T) ** 2).sum(2).mean())
    add(f"squared error, sum over a count, {spelling}", [*DIFFERENCE, square, node("ReduceSum", ["q"], ["s"], keepdims=0), node("Div", ["s", "count"], ["loss"])], TARGET, lambda z: ((z - T) ** 2).mean())
    add(f"squared error, masked, {spelling}", [*DIFFERENCE, square, node("ReduceMean", ["q", "columns"], ["c"], keepdims=0), node("Mul", ["c", "mask"], ["cm"]), node("ReduceSum", ["cm"], ["s"], keepdims=0),
                                               node("ReduceSum", ["mask"], ["n"], keepdims=0), node("Div", ["s", "n"], ["loss"])],
        {**TARGET, "mask": MASK}, lambda z: (((z - T) ** 2).mean(2) * MASK).sum() / MASK.sum())
add("mean of squares of an output", [node("Mul", ["z", "z"], ["q"]), node("ReduceMean", ["q"], ["loss"], keepdims=0)], {}, lambda z: (z * z).mean())
add("mean of squares of a flat output", [node("Reshape", ["z", "tokens"], ["f"]), node("Mul", ["f", "f"], ["q"]), node("ReduceMean", ["q"], ["loss"], keepdims=0)], {}, lambda z: (z * z).mean())
add("sum of squares", [*DIFFERENCE, node("ReduceSumSquare", ["d"], ["loss"], keepdims=0)], TARGET, lambda z: ((z - T) ** 2).sum())
add("root of the mean square", [*DIFFERENCE, SQUARES["product"], node("ReduceMean", ["q"], ["m"], keepdims=0), node("Sqrt", ["m"], ["loss"])], TARGET, lambda z: np.sqrt(((z - T) ** 2).mean()))
add("absolute error", [*DIFFERENCE, node("Abs", ["d"], ["a"]), node("ReduceMean", ["a"], ["loss"], keepdims=0)], TARGET, lambda z: np.abs(z - T).mean())
add("binary cross-entropy", [node("Softplus", ["z"], ["s"]), node("Mul", ["z", "target"], ["zt"]), node("Sub", ["s", "zt"], ["c"]), node("ReduceMean", ["c"], ["loss"], keepdims=0)], TARGET,
    lambda z: (np.logaddexp(0, z) - z * T).mean())
add("two losses", [*DIFFERENCE, SQUARES["product"], node("ReduceMean", ["q"], ["e"], keepdims=0), *FLAT, node("SoftmaxCrossEntropyLoss", ["rows_of_z", "rows_of_labels"], ["ce"], ignore_index=-100),
                   node("Mul", ["e", "two"], ["e2"]), node("Add", ["ce", "e2"], ["loss"])], {**TARGET, "labels": HOLES},
    lambda z: reduced(*per_token(z, HOLES, None, -100), "mean") + 2 * ((z - T) ** 2).mean())
add("appended to the output", [], {"labels": HOLES}, lambda z: reduced(*per_token(z, HOLES, None, -100), "mean"), "--loss=cross-entropy:z")
add("appended to rows", [node("Reshape", ["z", "tokens"], ["f"])], {"labels": HOLES.reshape(-1)}, lambda z: reduced(*per_token(z, HOLES, None, -100), "mean"), "--loss=cross-entropy:f")
KNOWN["scalar"] = np.array([], np.int64)


def write(name):
    nodes, given, _, option = FORMS[name]
    body = [node("MatMul", ["x", "w"], ["product"]), node("Add", ["product", "b"], ["z"]), *nodes]
    used = {i for n in body for i in n.input}
    constants = [node("Constant", [], [k], value=numpy_helper.from_array(v, k)) for k, v in KNOWN.items() if k in used]
    arrays = {"x": X, **({} if option else given)}
    infos = [helper.make_tensor_value_info(k, numpy_helper.from_array(a).data_type, a.shape) for k, a in arrays.items()]
    output = option.split(":")[1] if option else "loss"
    results = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None if option else [])]
    graph = helper.make_graph(constants + body, "losses", infos, results, [numpy_helper.from_array(v, k) for k, v in PARAMETERS.items()])
    (WORK / "model.onnx").write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    for k, a in {"x": X, **given}.items():
        np.save(WORK / f"{k}.npy", a)
    return [f for k in {"x": X, **given} for f in ("--input", f"{k}={WORK / k}.npy")]


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def differences(function):
    """of the loss in each parameter, central, and the loss"""
    exact = {k: v.astype(np.float64) for k, v in PARAMETERS.items()}
    slopes = {k: np.zeros(v.shape) for k, v in exact.items()}
    for k, v in exact.items():
        for at in np.ndindex(v.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = v.copy()
                moved[at] += step
                sides.append(function(logits(**{**exact, k: moved})))
            slopes[k][at] = (sides[0] - sides[1]) / 2e-6
    return function(logits(**exact)), slopes


def check(name, mesh, micro_batch, inputs, loss, slopes):
    run(BIN / "hecaton-compile", WORK / "model.onnx", f"--mesh={mesh}", f"--micro-batch={micro_batch}", "--optimizer=none", *sys.argv[5:], *filter(None, [FORMS[name][3]]), "-o", WORK / "model.hct")
    text = run(BIN / "hecaton-sim", WORK / "model.hct", *inputs, *(f for k in PARAMETERS for f in ("--output", f"grad:{k}={WORK / f'{k}.gradient.npy'}")))
    got = float(next(line for line in text.splitlines() if line.startswith("step ")).split()[-1])
    assert abs(got - loss) <= 1e-5 * abs(loss), f"loss {got}, not {loss}"
    for k, want in slopes.items():
        error, largest = np.abs(np.load(WORK / f"{k}.gradient.npy") - want).max(), np.abs(want).max()
        assert error <= 2e-5 * largest, f"gradient of {k}: off by {error:.2e}, its largest is {largest:.2e}"


failed = 0
targets = list(itertools.product(sys.argv[3].split(","), sys.argv[4].split(",")))
for number, name in enumerate(FORMS):
    inputs, (loss, slopes) = write(name), differences(FORMS[name][2])
    for mesh, micro_batch in share_sanitized(targets, len(targets), number):
        try:
            check(name, mesh, micro_batch, inputs, loss, slopes)
        except AssertionError as why:
            failed += 1
            print(f"FAIL {name}, {mesh}, micro-batch {micro_batch}: {why}")
print(f"{len(FORMS)} losses")
sys.exit(failed > 0)
