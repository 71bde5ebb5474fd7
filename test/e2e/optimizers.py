#!/usr/bin/env python3
"""Optimizers, clipping, schedules and loss scales over 20 steps of a two-layer network, against their equations in NumPy's f64.

usage: optimizers.py BIN_DIRECTORY WORK_DIRECTORY CHECK[,CHECK...]
CHECK: optimizers, clipping, schedules, scales, f16, refusals

The network and its gradients are written out here: y = tanh(x W1 + b1) W2 + b2, loss = mean (y - t)^2. The optimizers' equations are those of
torch.optim.SGD (momentum, nesterov), Adam and AdamW, of torch.nn.utils.clip_grad_norm_ and of torch.amp.GradScaler.
"""
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BATCH, INPUTS, HIDDEN, OUTPUTS, STEPS = 6, 10, 12, 5, 20
NAMES = ("W1", "b1", "W2", "b2")
DEFAULTS = {"lr": 1e-3, "momentum": 0.9, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight-decay": 0.0}


def run(*args, fails=False):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if done.returncode != int(fails):
        raise SystemExit(f"{' '.join(map(str, args))}\nexit status {done.returncode}\n{done.stderr}")
    return done.stderr if fails else done.stdout


# ---- the model, and its gradients in f64 ----
def weights_make():
    rng = np.random.default_rng(5)
    shapes = ((INPUTS, HIDDEN), (HIDDEN,), (HIDDEN, OUTPUTS), (OUTPUTS,))
    return {name: (rng.standard_normal(shape) * 0.5).astype(np.float32) for name, shape in zip(NAMES, shapes)}


def model_write(path, factor=1.0):
    nodes = [helper.make_node("MatMul", ["x", "W1"], ["h0"]), helper.make_node("Add", ["h0", "b1"], ["h1"]), helper.make_node("Tanh", ["h1"], ["h"]),
             helper.make_node("MatMul", ["h", "W2"], ["y0"]), helper.make_node("Add", ["y0", "b2"], ["y"]), helper.make_node("Sub", ["y", "t"], ["d"]),
             helper.make_node("Mul", ["d", "d"], ["dd"]), helper.make_node("ReduceMean", ["dd"], ["mean"], keepdims=0),
             helper.make_node("Mul", ["mean", "factor"], ["loss"])]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [BATCH, w]) for n, w in (("x", INPUTS), ("t", OUTPUTS))]
    graph = helper.make_graph(nodes, "g", values, [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])], [numpy_helper.from_array(a, n) for n, a in weights_make().items()] + [numpy_helper.from_array(np.array(factor, np.float32), "factor")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def data_make(steps):
    rng = np.random.default_rng(6)
    return rng.standard_normal((steps, BATCH, INPUTS)).astype(np.float32), (3 * rng.standard_normal((steps, BATCH, OUTPUTS))).astype(np.float32)


def loss_and_gradients(w, x, t):
    h = np.tanh(x @ w["W1"] + w["b1"])
    d = h @ w["W2"] + w["b2"] - t
    dy = 2 * d / d.size
    dh = dy @ w["W2"].T * (1 - h * h)
    return np.mean(d * d), {"W1": x.T @ dh, "b1": dh.sum(0), "W2": h.T @ dy, "b2": dy.sum(0)}


# ---- optimizers in f64 ----
def clip(gradients, most):
    norm = math.sqrt(sum(float((g * g).sum()) for g in gradients.values()))
    return {n: g * min(most / (norm + 1e-6), 1.0) for n, g in gradients.items()}, norm


def update(kind, s, w, g, state, step):
    """One parameter. `state` is changed; `step` counts from 0."""
    if kind == "adamw":
        w = w * (1 - s["lr"] * s["weight-decay"])
    else:
        g = g + s["weight-decay"] * w
    if kind == "sgd":
        return w - s["lr"] * g
    if kind in ("momentum", "nesterov"):
        state["m"] = g if step == 0 else s["momentum"] * state["m"] + g
        return w - s["lr"] * (g + s["momentum"] * state["m"] if kind == "nesterov" else state["m"])
    state["m"] = s["beta1"] * state.get("m", 0) + (1 - s["beta1"]) * g
    state["v"] = s["beta2"] * state.get("v", 0) + (1 - s["beta2"]) * g * g
    m, v = state["m"] / (1 - s["beta1"] ** (step + 1)), state["v"] / (1 - s["beta2"] ** (step + 1))
    return w - s["lr"] * m / (np.sqrt(v) + s["eps"])


class Scaler:
    """torch.amp.GradScaler, but for what overflows: the sum of squares of all gradients, in f32."""

    def __init__(self, scale, interval):
        self.scale, self.interval, self.good, self.scales = scale, interval, 0, []

    def overflows(self, norm):
        self.scales.append(self.scale)
        too_large = (norm * self.scale) ** 2 > np.finfo(np.float32).max
        self.good = 0 if too_large else self.good + 1
        if too_large:
            self.scale /= 2
        elif self.good == self.interval:
            self.scale, self.good = self.scale * 2, 0
        return too_large


def train(kind, settings, rate=None, steps=STEPS, scaler=None, factor=1.0):
    """Losses, trained weights, norms of gradients. rate(step): the learning rate."""
    s = {**DEFAULTS, **({"weight-decay": 0.01} if kind == "adamw" else {}), **settings}
    w, states = {n: a.astype(np.float64) for n, a in weights_make().items()}, {n: {} for n in NAMES}
    xs, ts = data_make(steps)
    losses, norms, done = [], [], 0
    for step in range(steps):
        loss, gradients = loss_and_gradients(w, xs[step].astype(np.float64), ts[step].astype(np.float64))
        loss, gradients = loss * factor, {n: g * factor for n, g in gradients.items()}
        clipped, norm = clip(gradients, s.get("clip-norm", math.inf))
        if rate:
            s["lr"] = rate(step)
        if not (scaler and scaler.overflows(norm)):
            w = {n: update(kind, s, w[n], clipped[n], states[n], done) for n in NAMES}
            done += 1
        losses.append(loss), norms.append(norm)
    return np.array(losses), w, np.array(norms)


# ---- the same by the tools ----
class Tools:
    def __init__(self, binaries, work):
        self.bin, self.work = Path(binaries), Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.model, self.image = self.work / "model.onnx", self.work / "program.hct"
        model_write(self.model)
        for name, data in zip("xt", data_make(STEPS)):
            np.save(self.work / f"{name}.npy", data)

    def compile(self, *options, fails=False):
        return run(self.bin / "hecaton-compile", self.model, "--frozen=factor", *options, "-o", self.image, fails=fails)

    def command(self, *options, steps=STEPS):
        outputs = [a for n in NAMES for a in ("--output", f"param:{n}={self.work / n}.npy")]
        inputs = [a for n in "xt" for a in ("--input", f"{n}={self.work / n}.npy")]
        return (self.bin / "hecaton-sim", self.image, "--mode=functional", f"--steps={steps}", *inputs, *outputs, "--report", self.work / "report.json", *(a for o in options for a in ("--set", o)))

    def simulate(self, *options, steps=STEPS):
        run(*self.command(*options, steps=steps))
        return np.array(json.loads((self.work / "report.json").read_text())["loss"]), {n: np.load(self.work / f"{n}.npy") for n in NAMES}


def compare(what, got, want, weights_within=1e-4):
    """Property 1's bounds: losses within 1e-4, weights within 1e-4 of the tensor's largest entry."""
    losses = np.abs(got[0] / want[0] - 1).max()
    weights = max(np.abs(got[1][n] - want[1][n]).max() / np.abs(want[1][n]).max() for n in NAMES)
    moved = min(np.abs(want[1][n] - a).max() / np.abs(a).max() for n, a in weights_make().items())
    assert len(got[0]) == len(want[0]) and losses <= 1e-4 and weights <= weights_within, f"{what}: losses off by {losses:.1e}, weights by {weights:.1e}"
    assert moved > 30 * weights_within, f"{what}: weights hardly moved ({moved:.1e})"
    print(f"ok {what}: losses off by {losses:.1e}, weights by {weights:.1e}")


TARGETS = {"1x1": ["--mesh=1x1", "--micro-batch=6"], "2x2": ["--mesh=2x2", "--micro-batch=2"], "2x3 uneven": ["--mesh=2x3", "--micro-batch=4", "--strategy=megatron-ring"],
           "3x1 layerwise": ["--mesh=3x1", "--micro-batch=1", "--schedule=layerwise"], "2x2 pieces": ["--mesh=2x2", "--micro-batch=3", "--strategy=optimus", "--update-chunk=8"], "host": ["--backend=host"]}
KINDS = {"sgd": {"lr": 0.05}, "momentum": {"lr": 0.02}, "nesterov": {"lr": 0.02, "momentum": 0.8}, "adam": {"lr": 0.02}, "adamw": {"lr": 0.02}}


def check_optimizers(tools):
    for number, (kind, settings) in enumerate(KINDS.items()):
        for decay in ({}, {"weight-decay": 0.1}):
            want = train(kind, {**settings, **decay})
            for place in ("1x1", "2x2", "host"):
                tools.compile(f"--optimizer={kind}", *TARGETS[place])
                compare(f"{kind} {place} {decay}", tools.simulate(*(f"{n}={v}" for n, v in {**settings, **decay}.items())), want)


def check_clipping(tools):
    for kind, settings in KINDS.items():
        for place, target in TARGETS.items():
            if kind not in ("sgd", "adamw") and place not in ("2x2", "host"):
                continue
            tools.compile(f"--optimizer={kind}", "--clip-norm=4.5", *target)
            for most in (4.5, 0.5, 1e9):  # the setting changes without a new compile
                want = train(kind, {**settings, "clip-norm": most})
                assert most != 4.5 or 0 < (want[2] > most).sum() < STEPS, f"some norms are to be above {most}, some below: {want[2]}"
                compare(f"clip {kind} {place} to {most}", tools.simulate(f"clip-norm={most}", *(f"{n}={v}" for n, v in settings.items())), want)


def check_schedules(tools):
    """Warm-up and decay as in Hugging Face's transformers (get_cosine_schedule_with_warmup and so on), and one value a step from a file."""
    peak, warm, total, floor = 0.05, 4, 15, 0.004
    values = np.linspace(0.05, 0.01, STEPS).astype(np.float32)
    np.save(tools.work / "lr.npy", values)
    ramp = lambda step: step / max(1, warm)
    done = lambda step: (step - warm) / max(1, total - warm)
    cosine = lambda step: 0.0 if step >= total else max(0.0, 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * done(step))))
    rates = {
        f"lr={tools.work}/lr.npy": lambda step: float(values[step]),
        f"lr=constant:{peak}": lambda step: peak,
        f"lr=constant:{peak},{warm}": lambda step: peak * (ramp(step) if step < warm else 1),
        f"lr=linear:{peak},{warm},{total}": lambda step: peak * (ramp(step) if step < warm else max(0.0, (total - step) / max(1, total - warm))),
        f"lr=cosine:{peak},{warm},{total}": lambda step: peak * (ramp(step) if step < warm else cosine(step)),
        f"lr=cosine:{peak},{warm},{total},{floor}": lambda step: peak * ramp(step) if step < warm else floor + (peak - floor) * cosine(step),
    }
    for kind in ("sgd", "adamw"):
        tools.compile(f"--optimizer={kind}", *TARGETS["2x2"])
        for text, rate in rates.items():
            compare(f"{kind} {text.rpartition('/')[2]}", tools.simulate(text), train(kind, {}, rate))
    tools.compile("--optimizer=sgd", *TARGETS["host"])
    compare("host cosine", tools.simulate(f"lr=cosine:{peak},{warm},{total}"), train("sgd", {}, rates[f"lr=cosine:{peak},{warm},{total}"]))


def check_scales(tools):
    """A scale that is a power of two changes nothing in f32; one that adapts leaves steps out, halves and doubles."""
    for place in ("1x1", "2x2", "host"):
        for clipped in ({}, {"clip-norm": 4.5}):
            options = [f"--{n}={v}" for n, v in clipped.items()]
            tools.compile("--optimizer=adamw", "--loss-scale=1024", *options, *TARGETS[place])
            want = train("adamw", {"lr": 0.02, **clipped})
            compare(f"scale 1024 {place} {clipped}", tools.simulate("lr=0.02"), want)
            compare(f"scale 4 {place} {clipped}", tools.simulate("lr=0.02", "loss-scale=4"), want)
            for kind in ("adamw", "momentum"):
                tools.compile(f"--optimizer={kind}", "--loss-scale=auto", *options, *TARGETS[place])
                compare(f"scale auto {kind} {place} {clipped}", tools.simulate("lr=0.02"), train(kind, {"lr": 0.02, **clipped}))
                scaler = Scaler(2.0**65, 3)
                want = train(kind, {"lr": 0.02, **clipped}, scaler=scaler)
                steps = {b / a for a, b in zip(scaler.scales, scaler.scales[1:])}
                assert steps == {0.5, 1, 2}, f"the scale is to fall, stay and rise: {scaler.scales}"
                compare(f"scale from 2^65 {kind} {place} {clipped}", tools.simulate("lr=0.02", f"loss-scale={2.0**65}", "loss-scale-interval=3"), want)


def check_f16(tools):
    """Gradients below the least f16 are lost without a scale, and kept with one; a scale that is too large is halved until they fit."""
    model_write(tools.model, 1e-6)

    def off(options, *sets, left_out=0):
        """How far weights are from f64's, as a part of how far they moved, where so many steps at the start are left out."""
        tools.compile("--optimizer=sgd", "--dtype=f16", *TARGETS["2x2"], *options)
        rate = lambda step: 0.0 if step < left_out else 5e4
        want = train("sgd", {}, rate, factor=1e-6)[1]
        weights = tools.simulate("lr=5e4", *sets)[1]
        return max(np.abs(weights[n] - want[n]).max() / np.abs(want[n] - a).max() for n, a in weights_make().items())

    lost, kept, found = off([]), off(["--loss-scale=65536"]), off(["--loss-scale=auto"])
    print(f"f16, gradients of 1e-7: weights off by {lost:.1e} of what they moved; loss scale 65536: {kept:.1e}; auto: {found:.1e}")
    assert lost > 0.2 and kept < 0.02 and found < 0.02
    falls = [off(["--loss-scale=auto"], f"loss-scale={2.0**40}", left_out=k) for k in range(8)]
    print(f"from 2^40, by number of steps left out: {', '.join(f'{f:.1e}' for f in falls)}")
    assert min(falls) < 0.02 and falls[0] > 0.2 and np.argmin(falls) > 0


def check_refusals(tools):
    np.save(tools.work / "short.npy", np.ones(STEPS - 1, np.float32))
    np.save(tools.work / "wide.npy", np.ones((STEPS, 2), np.float32))
    np.save(tools.work / "wrong.npy", np.array([1.0] * STEPS + [-1.0], np.float32))
    tools.compile("--optimizer=sgd", "--mesh=1x1")
    for given, message in (
        (f"lr={tools.work}/short.npy", "the file has values for 19 steps; --steps=20 asks for more"),
        (f"lr={tools.work}/wide.npy", "a vector of f32 or f64, one value a step, is needed; the file has f32 of rank 2"),
        (f"lr={tools.work}/wrong.npy", "value 20 is -1; it must be 0 at least, and finite in f32"),
        (f"lr={tools.work}/none.npy", "none.npy"),
        ("lr=fast", "it must be a number, a schedule, or a file *.npy of one value a step"),
        ("lr=-1", "it must be 0 at least"),
        ("lr=nan", "it must be"),
        ("lr=cosine:1,2", "it must be cosine:PEAK,WARMUP,TOTAL[,FLOOR], numbers that are not negative"),
        ("lr=linear:1,2,2", "it must be of a TOTAL above WARMUP"),
        ("lr=cosine:1,2,3,4", "it must be of a FLOOR that is not above PEAK"),
        ("lr=constant:1,2,3", "it must be constant:PEAK,WARMUP"),
        ("rate=1", "there is no such setting; settings are lr, momentum"),
        ("beta1=1", "it must be 0 at least, and below 1"),
        ("beta2=0.99999999999", "it must be 0 at least, and below 1"),
        ("beta1=constant:1,0", "it must be 0 at least, and below 1, in every step"),
        ("lr=1e39", "it must be 0 at least, and finite in f32"),
        ("clip-norm=1", "the program was compiled without --clip-norm"),
        ("loss-scale-interval=5", "the program was compiled without --loss-scale"),
    ):
        error = run(*tools.command(given), fails=True)
        assert "error[" in error and message in error, f"--set {given}:\n{error}\nwanted: {message}"
    for options, message in ((["--clip-norm=0"], "--clip-norm=0: a number from 1e-30 to 3.4e+38 is needed"), (["--loss-scale=often"], "--loss-scale=often: a number from 1e-30 to 3.4e+38 is needed"), (["--lr=1e39"], "--lr=1e39: a number from 0 to 3.4e+38 is needed"), (["--beta2=1"], "--beta2=1: a number of 0 to less than 1 is needed"),
                             (["--optimizer=none", "--clip-norm=1"], "--clip-norm=1: there is no optimizer step that it would be part of")):
        error = tools.compile(*options, fails=True)
        assert "error[" in error and message in error, f"{options}:\n{error}\nwanted: {message}"
    tools.compile("--clip-norm=1", "--loss-scale=8", "--mesh=1x1")
    for given in ("loss-scale=constant:8,1", "loss-scale=linear:8,0,2", "clip-norm=cosine:1,0,5"):
        error = run(*tools.command(given), fails=True)
        assert f"--set {given}: it must be 1e-30 at least, and finite in f32, in every step" in error, error
    error = run(*tools.command("clip-norm=0"), fails=True)
    assert "it must be 1e-30 at least" in error, error
    print("ok refusals")


def main():
    tools = Tools(*sys.argv[1:3])
    for check in sys.argv[3].split(","):
        globals()[f"check_{check}"](tools)


if __name__ == "__main__":
    main()
