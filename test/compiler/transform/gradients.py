#!/usr/bin/env python3
"""Every rule of gradients.def, and every differentiable operator of onnx_ops.def, has a case; its gradients on dies, or on the host, are central
differences of a NumPy definition in double precision. Elementwise operators have their cases in elementwise_gradients.py, indexing ones in indexing.py.

usage: gradients.py BIN_DIRECTORY WORK_DIRECTORY MESH|host SOURCE_DIRECTORY [OPTION...]
OPTION: further ones of hecaton-compile
"""
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.dont_write_bytecode = True
BIN, WORK, MESH, SOURCE = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
sys.path += [str(SOURCE / "test/compiler/import"), str(SOURCE / "test/e2e")]
import elementwise_gradients  # noqa: E402
import indexing  # noqa: E402
from gradient_cases import CASES, ELSEWHERE, NO_GRADIENT, PLANTED, Graph  # noqa: E402

WORK.mkdir(parents=True, exist_ok=True)
numbers = np.random.default_rng(11)


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, args))}\n{done.stderr}"
    return done.stdout


def values(function, parameters):
    y = function(*parameters)
    return list(y) if isinstance(y, tuple) else [y]


def names(n, text):
    """of values of case n, which are its own"""
    return ["" if v == "_" else f"{v[0]}{n}.{v[1:]}" for v in text.split()]


def node(n, op, inputs, outputs, name="", **attributes):
    for key, value in attributes.items():
        if isinstance(value, Graph):
            infos = [[helper.make_tensor_value_info(v, TensorProto.FLOAT, None) for v in names(n, text)] for text in (value.inputs, value.outputs)]
            attributes[key] = helper.make_graph([node(n, op, inputs, outputs, **more) for op, inputs, outputs, more in value.nodes], key, *infos)
    return helper.make_node(op, names(n, inputs), names(n, outputs), name=name, **attributes)


TARGET = [*(["--backend=host"] if MESH == "host" else [f"--mesh={MESH}"]), *sys.argv[5:]]
TRAINING = [*TARGET, "--optimizer=none", "--trainable=p*"]


def differences(function, parameters, k, slopes):
    """of sum(slope * result) over the function's results in parameter k, central"""
    exact = [p.astype(np.float64) for p in parameters]
    gradient = np.zeros(exact[k].shape)
    for at in np.ndindex(gradient.shape):
        sides = []
        for step in (1e-6, -1e-6):
            moved = list(exact)
            moved[k] = exact[k].copy()
            moved[k][at] += step
            sides.append(sum(float(np.sum(y * slope)) for y, slope in zip(values(function, moved), slopes)))
        gradient[at] = (sides[0] - sides[1]) / 2e-6
    return gradient


def fault(name, parameter, want):
    """what is wrong with a gradient that was computed"""
    got = np.load(WORK / f"{parameter}.npy")
    error, allowed = np.abs(got - want).max(), 2e-5 * max(np.abs(want).max(), 1e-2)
    return [] if error <= allowed else [f"FAIL {MESH} {name}, gradient of {parameter}: off by {error:.2e}, allowed {allowed:.2e}\n{got}\nexpected\n{want}"]


def simulate(program, parameters):
    run(BIN / "hecaton-sim", program, "--mode=functional", *(f for p in parameters for f in ("--output", f"grad:{p}={WORK / p}.npy")))


class Model:
    """All cases of one opset; loss = sum over cases and outputs of sum(slope * output)."""

    def __init__(self, opset):
        self.opset, self.path = opset, WORK / f"opset{opset}.onnx"
        self.cases = [c for c in CASES if c.opset == opset]
        self.parameters, self.slopes, nodes, given, totals = {}, {}, [], [], []
        for n, case in enumerate(self.cases):
            own = {f"p{n}.{k}": p for k, p in enumerate(case.parameters)}
            self.parameters.update(own)
            constants = {f"c{n}.{k}": c for k, c in enumerate(case.constants)}
            given += [numpy_helper.from_array(np.asarray(a), name) for name, a in {**own, **constants}.items()]
            nodes += [node(n, op, inputs, outputs, f"{case.name} {op}", **attributes) for op, inputs, outputs, attributes in case.nodes]
            for k, y in enumerate(values(case.function, [p.astype(np.float64) for p in case.parameters])):
                self.slopes[n, k] = numbers.standard_normal(np.shape(y)).astype(np.float32)
                given.append(numpy_helper.from_array(self.slopes[n, k], f"w{n}.{k}"))
                nodes += [helper.make_node("Mul", [f"y{n}.{k}", f"w{n}.{k}"], [f"m{n}.{k}"]), helper.make_node("ReduceSum", [f"m{n}.{k}"], [f"s{n}.{k}"], keepdims=0)]
                totals.append(f"s{n}.{k}")
        sums = [totals[0], *(f"t{k}" for k in range(1, len(totals)))]
        nodes += [helper.make_node("Add", [sums[k - 1], totals[k]], [sums[k]]) for k in range(1, len(totals))]
        nodes.append(helper.make_node("Identity", [sums[-1]], ["loss"]))
        graph = helper.make_graph(nodes, "gradients", [], [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])], given)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.preview", 1)]), self.path)

    def check(self):
        run(BIN / "hecaton-compile", self.path, *TRAINING, "-o", WORK / "m.out")
        simulate(WORK / "m.out", self.parameters)
        failed = []
        for name in self.parameters:
            n, k = map(int, name[1:].split("."))
            case = self.cases[n]
            failed += fault(case.name, name, differences(case.function, case.parameters, k, [slope for (m, _), slope in self.slopes.items() if m == n]))
        return failed


class Planted:
    """A graph in which one operator was replaced."""

    def __init__(self, name, pattern, instead, function):
        self.name, self.function, self.text = name, function, WORK / f"{name}.mlir"
        self.parameter, self.slope = np.array([0.5, 2, 1], np.float32), numbers.standard_normal((3, 5)).astype(np.float32)
        nodes = [("Unsqueeze", ["p", "one"], ["u"]), ("Expand", ["u", "shape"], ["y"]), ("Exp", ["y"], ["e"]), ("Mul", ["e", "w"], ["m"])]
        nodes = [helper.make_node(*n) for n in nodes] + [helper.make_node("ReduceSum", ["m"], ["loss"], keepdims=0)]
        given = {"p": self.parameter, "w": self.slope, "one": np.array([1]), "shape": np.array([3, 5])}
        graph = helper.make_graph(nodes, name, [], [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])], [numpy_helper.from_array(a, n) for n, a in given.items()])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), WORK / f"{name}.onnx")
        run(BIN / "hecaton-compile", WORK / f"{name}.onnx", *TRAINING, "--emit=graph", "-o", self.text)
        text, count = re.subn(pattern, instead, self.text.read_text())
        assert count == 1, f"the graph of {name} has the pattern {count} times"
        self.text.write_text(text)

    def check(self):
        run(BIN / "hecaton-opt", self.text, "--emit=image", "-o", WORK / "m.out")
        simulate(WORK / "m.out", ["p"])
        return fault(self.name, "p", differences(self.function, [self.parameter], 0, [self.slope]))


# ---- what has a case ----

def forward(path):
    return run(BIN / "hecaton-compile", path, "--mode=infer", "--mesh=1x1", "--no-raise", "--emit=step", "--loss=loss", "-o", "-")


def rules_met(text, parameters):
    """(operator, fn) on the way from parameters, whose names match, to the loss."""
    varied = {m[1] for m in re.finditer(r'(%arg\d+): tensor<[^>]*> \{[^}]*hct\.name = "([^"]*)"', text) if re.fullmatch(parameters, m[2])}
    ops = [(m[1], m[2], re.findall(r"%\w+", m[3]), m[0]) for m in re.finditer(r'(%\w+)(?::\d+)? = "([\w.]+)"\(([^)]*)\).*', text)]
    needed, met = set(re.findall(r"%\w+", re.search(r"return ([^:]*):", text)[1])), set()
    for result, _, operands, _ in reversed(ops):
        if result in needed:
            needed.update(operands)
    for result, op, operands, line in ops:
        if result in needed and varied.intersection(operands):
            varied.add(result)
            fn = re.search(r'\b(?:fn|kind) = "(\w+)"', line)
            met.add((op, fn[1] if fn else ""))
    return met


def uncovered(models, planted):
    met = set().union(*(rules_met(m.text.read_text(), "p") for m in planted))
    met |= set().union(*(rules_met(forward(m.path), "p.*") for m in models))
    elementwise_gradients.write_model(WORK / "elementwise.onnx")
    met |= rules_met(forward(WORK / "elementwise.onnx"), "[abc].*")
    met |= set().union(*(rules_met(forward(indexing.model(c, True)[0]), "x") for c in indexing.CASES if c[8]))
    missing = []
    for op, fn in re.findall(r'^HCT_GRADIENT\("([^"]+)", "([^"]*)"', (SOURCE / "compiler/transform/gradients.def").read_text(), re.M):
        if op in ELSEWHERE and (SOURCE / ELSEWHERE[op]).exists():
            continue
        kinds = [fn] if fn or op != "hct_graph.reduce" else ["sum", "max", "min"]
        missing += [f"gradients.def: no case meets {op} {kind}" for kind in kinds if not any(m[0] == op and kind in ("", m[1]) for m in met)]
    cases = {op for c in CASES for op, *_ in c.nodes} | {c[0] for c in elementwise_gradients.CASES} | {c[1] for c in indexing.CASES if c[8]}
    known = set(re.findall(r"^HCT_ONNX_(?:PREVIEW_)?OP\((\w+)", (SOURCE / "ir/dialect/onnx_ops.def").read_text(), re.M))
    missing += [f"onnx_ops.def: {op} has neither a case nor a reason to have no gradient" for op in sorted(known - cases - set(NO_GRADIENT))]
    return missing + [f"{op} is said to have no gradient, and is unknown" for op in sorted(set(NO_GRADIENT) - known)]


made, planted = [Model(opset) for opset in sorted({c.opset for c in CASES})], [Planted(*p) for p in PLANTED]
failures = [f for m in made + planted for f in m.check()] + (uncovered(made, planted) if MESH == "1x1" else [])
print("\n".join(failures) or f"{len(CASES) + len(PLANTED)} cases, {sum(len(m.parameters) for m in made) + len(PLANTED)} gradients, on {MESH}")
sys.exit(bool(failures))
