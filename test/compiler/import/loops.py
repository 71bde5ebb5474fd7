#!/usr/bin/env python3
"""Loop and Scan compute what NumPy computes from what ONNX says of them, iteration by iteration, and those whose iterations are not known when compiling are
refused.

usage: loops.py BIN_DIRECTORY WORK_DIRECTORY
"""
import numpy as np
import one_graph
from one_graph import WORK, array, body, check, compiled, continues, finish, info, refused, run, BIN
from onnx import TensorProto as T
from onnx import helper

node = helper.make_node
numbers = np.random.default_rng(3)
X, S, W = (numbers.standard_normal(shape).astype(np.float32) for shape in ((5, 4, 3), (4, 3), (3, 3)))
XS = [("x", X), ("s", S)]


def model(name, nodes, inputs=XS, *outputs, **more):
    return one_graph.model(name, nodes, inputs, *outputs, **more)


def computes(name, path, wanted, inputs=XS, **more):
    one_graph.computes(name, path, wanted, inputs, **more)


# ---- Scan ----
# A recurrent layer: weights of the graph around it, a state, and an output an iteration; more iterations than a Concat takes parts.
cell = body(["h", "v"], [node("MatMul", ["h", "w"], ["r"]), node("Add", ["r", "v"], ["a"], name="sum"), node("Tanh", ["a"], ["t"]), node("Neg", ["t"], ["out"])], ["t", "out"])
long = numbers.standard_normal((37, 4, 3)).astype(np.float32)


def recurrent(x, s=S):
    states = [s]
    for v in x:
        states.append(np.tanh(states[-1] @ W + v))
    return states[-1], -np.stack(states[1:])


rnn = [node("Scan", ["s", "x"], ["y", "z"], name="rnn", body=cell, num_scan_inputs=1)]
y, z = recurrent(X)
path = model("rnn", rnn, initializers=[array("w", W)])
for mesh in ("1x1", "2x3"):
    computes("a recurrent layer", path, {"y": y, "z": z}, mesh=mesh)
y, z = recurrent(long)
computes("37 iterations", model("long", rnn, [("x", long), ("s", S)], initializers=[array("w", W)]), {"y": y, "z": z}, [("x", long), ("s", S)])
computes("no outputs of iterations", model("last", [node("Scan", ["s", "x"], ["y"], body=cell, num_scan_inputs=1)], outputs=["y"], initializers=[array("w", W)]), {"y": recurrent(X)[0]})
computes("no states", model("stateless", [node("Scan", ["s", "x"], ["", "z"], body=cell, num_scan_inputs=1)], outputs=["z"], initializers=[array("w", W)]), {"z": recurrent(X)[1]})

done = compiled(path, "--mesh=1x1", "--emit=graph", "-o", "-")
check("names of iterations", "\"node 0 'rnn[3]/sum'\"" in done.stdout and "rnn[5]" not in done.stdout, done.stdout + done.stderr)

# Two inputs along other axes, one of them backward; outputs along other axes, the second of them backward. Initializers of the body.
both = body(["h", "v", "u"], [node("Add", ["h", "v"], ["a"]), node("Mul", ["a", "two"], ["g"]), node("Sub", ["g", "u"], ["o"])], ["g", "a", "o"], [array("two", np.float32(2))])
U = numbers.standard_normal((4, 5, 3)).astype(np.float32)
V = numbers.standard_normal((4, 3, 5)).astype(np.float32)
h, plus, minus = S, [], []
for t in range(5):
    plus.append(h + U[:, t])
    h = 2 * plus[-1]
    minus.append(h - V[:, :, 4 - t])
for axes in ((1, 2), (-2, -1)):
    scan = node("Scan", ["s", "u", "v"], ["h", "y", "z"], body=both, num_scan_inputs=2, scan_input_axes=axes, scan_input_directions=[0, 1], scan_output_axes=axes, scan_output_directions=[0, 1])
    computes("axes and directions", model("axes", [scan], [("s", S), ("u", U), ("v", V)], ["h", "y", "z"]), {"h": h, "y": np.stack(plus, 1), "z": np.stack(minus[::-1], 2)}, [("s", S), ("u", U), ("v", V)])

# A Scan in a Scan, of which both have values of one name, and an If in it.
inner = body(["c", "v"], [node("Mul", ["v", "a"], ["b"]), node("Add", ["c", "b"], ["d"])], ["d"], name="inner")
branch = lambda op: helper.make_graph([node(op, ["a"], ["b"])], op, [], [info("b")])
outer = body(["c", "r"], [node("Add", ["c", "r"], ["a"]), node("Scan", ["c", "r"], ["d"], name="in", body=inner, num_scan_inputs=1), node("If", ["no"], ["e"], then_branch=branch("Exp"), else_branch=branch("Neg")), node("Add", ["d", "e"], ["f"])], ["f", "d"])
rows = numbers.standard_normal((3, 2, 4)).astype(np.float32)
start = numbers.standard_normal(4).astype(np.float32)
c, collected = start, []
for r in rows:
    a, d = c + r, np.broadcast_to(c, (2, 4))
    for v in r:
        d = d + v * a
    c = (d - a)
    collected.append(d)
# The state grows from [4] to [2, 4] in the first iteration.
computes("within one another", model("within", [node("Scan", ["s", "x"], ["y", "z"], name="out", body=outer, num_scan_inputs=1)], [("x", rows), ("s", start)], initializers=[array("no", False)]), {"y": c, "z": np.stack(collected)}, [("x", rows), ("s", start)])
done = compiled(WORK / "within.onnx", "--mesh=1x1", "--emit=graph", "-o", "-")
check("names within one another", "'out[2]/in[1]/Mul'" in done.stdout and "'out[2]/If/Neg'" in done.stdout, done.stdout + done.stderr)

# Opset 8: samples, each of which is scanned for itself; backward.
summed = body(["h", "v"], [node("Add", ["h", "v"], ["a"]), node("Identity", ["a"], ["o"])], ["a", "o"])
samples, first = numbers.standard_normal((2, 3, 4)).astype(np.float32), numbers.standard_normal((2, 4)).astype(np.float32)
feeds = [("x", samples), ("s", first)]
scan8 = lambda lengths: [node("Scan", [lengths, "s", "x"], ["y", "z"], body=summed, num_scan_inputs=1, directions=[1])]
sums = first[:, None] + np.cumsum(samples[:, ::-1], 1)
for lengths, given in (("", []), ("n", [array("n", [3, 3])])):
    computes("samples", model("samples", scan8(lengths), feeds, initializers=given, opset=8), {"y": sums[:, -1], "z": sums}, feeds)
refused("lengths", model("lengths", scan8("n"), feeds, initializers=[array("n", [3, 2])], opset=8), "node 0 'Scan'", "lengths of samples (input 0) other than 3")

scan = lambda inputs, outputs=("y", "z"), body=cell, **more: [node("Scan", inputs, outputs, name="scan", body=body, **{"num_scan_inputs": 1, **more})]
weights = [array("w", W)]
refused("slices", model("slices", scan(["s", "x", "u"], body=both, num_scan_inputs=2), [("s", S), ("x", X), ("u", U)]), "node 0 'scan'", "input 2 has 4 slices along axis 0, those before it 5")
refused("inputs", model("inputs", scan(["s", "x"], num_scan_inputs=3), initializers=weights), "num_scan_inputs is 3, of 2 inputs")
refused("states", model("states", scan(["s", "s", "x"]), initializers=weights), "its body has 2 inputs and 2 outputs; it needs 3 and 2")
refused("outputs", model("outputs", scan(["s", "x"], ["y", "z", "q"]), initializers=weights), "its body has 2 inputs and 2 outputs; it needs 2 and 3")
refused("no body", model("no_body", [node("Scan", ["s", "x"], ["y", "z"], num_scan_inputs=1)]), "its body is missing")
refused("axis", model("axis", scan(["s", "x"], scan_input_axes=[3]), initializers=weights), "axis 3 of a value of rank 3")
refused("axes", model("axes", scan(["s", "x"], scan_output_axes=[0, 1]), initializers=weights), "scan_output_axes has 2 entries; it needs 1")
refused("direction", model("direction", scan(["s", "x"], scan_input_directions=[2]), initializers=weights), "scan_input_directions has a direction 2")
refused("shapes", model("shapes", scan(["s", "x"]), initializers=[array("w", W[:2])]), "node 0 'scan[0]/MatMul'")
refused("operator", model("operator", scan(["s", "x"], body=body(["h", "v"], [node("StringNormalizer", ["h"], ["a"])], ["a", "v"]))), "node 0 'scan'", "operator StringNormalizer in its body is not supported")

# Weights of a body are not trained, which is said once; a level of the compiler that a Scan cannot be at refuses it.
trained = [*scan(["s", "x"], body=body(["h", "v"], [node("MatMul", ["h", "u"], ["a"]), node("Add", ["a", "v"], ["b"]), node("MatMul", ["b", "w"], ["c"])], ["c", "a"], [array("u", W)])), node("ReduceSum", ["y"], ["loss"], keepdims=0)]
done = run(BIN / "hecaton-compile", model("trained", trained, outputs=["loss"], initializers=weights), "--mesh=1x1", "-o", WORK / "trained.hct")
check("weights of a body", done.returncode == 0 and done.stderr.count("node 0 'scan': remark: initializer 'u' of its body is a constant and not trained") == 1, done.stderr)
text = continues("a dump", path := model("dump", rnn, initializers=weights))
for op in ("scan", "loop", "flex_attention"):
    (WORK / "inside.mlir").write_text(text.replace('"onnx.mat_mul"', f'"onnx.{op}"'))
    done = run(BIN / "hecaton-opt", WORK / "inside.mlir", "--emit=image", "-o", WORK / "inside.hct")
    check(f"{op} in a dump", done.returncode == 1 and "error[E" in done.stderr, f"exit status {done.returncode}\n{done.stderr}")

# ---- Loop ----
# Iterations that are counted: the number of the iteration, a carried value, an output of each iteration.
counted = body(["i", "go", "h"], [node("Gather", ["x", "i"], ["v"]), node("Add", ["h", "v"], ["a"]), node("Mul", ["a", "half"], ["o"])], ["go", "a", "o"], [array("half", np.float32(0.5))])
loop = lambda inputs, outputs=("y", "z"), body=counted: [node("Loop", inputs, outputs, name="loop", body=body)]
sums = S + np.cumsum(X, 0)
for trips in (1, 3, 5):
    for opset in (11, 17):
        computes(f"{trips} iterations", model("counted", loop(["n", "", "s"]), initializers=[array("n", trips)], opset=opset), {"y": sums[trips - 1], "z": sums[:trips] / 2})
computes("on a mesh", WORK / "counted.onnx", {"y": sums[4], "z": sums / 2}, mesh="2x2")
computes("a condition that is false", model("never", loop(["n", "no", "s"], ["y"]), outputs=["y"], initializers=[array("n", 3), array("no", False)]), {"y": S}, [("s", S)])
computes("fewer than no iterations", model("negative", loop(["n", "", "s"], ["y"]), outputs=["y"], initializers=[array("n", -3)]), {"y": S}, [("s", S)])
np.save(WORK / "n.npy", np.array([4]))
path = model("given", loop(["n", "", "s"]), [("x", X), ("s", S), ("n", np.array([4]))])
computes("iterations given when compiling", path, {"y": sums[3], "z": sums[:4] / 2}, options=[f"--constant=n={WORK / 'n.npy'}"])
refused("iterations at run time", path, "node 0 'loop'", "its number of iterations, 'n', depends on run-time data", "--constant=INPUT=FILE.npy")

# Without a number: while i^2 < 10, of which all is known; the condition of the last iteration says that there are no more.
square = body(["i", "go", "k", "h"], [node("Add", ["k", "one"], ["k1"]), node("Mul", ["k1", "k1"], ["kk"]), node("Less", ["kk", "ten"], ["more"]), node("Exp", ["h"], ["e"]), node("Tanh", ["e"], ["t"])], ["more", "k1", "t", "k"])
path = model("while", [node("Loop", ["", "yes", "zero", "s"], ["k", "y", "z"], name="while", body=square)], [("s", S)], initializers=[array("yes", True), array("zero", 0), array("one", 1), array("ten", 10)])
wanted = S
for _ in range(4):
    wanted = np.tanh(np.exp(wanted))
computes("a condition of each iteration", path, {"y": wanted, "z": np.arange(4)}, [("s", S)])

# A condition of the run time is refused where it is first needed: not after the last of the iterations.
sums_up = body(["i", "go", "h"], [node("Add", ["h", "h"], ["a"]), node("ReduceSum", ["a"], ["r"], keepdims=0), node("Less", ["r", "limit"], ["more"])], ["more", "a"])
limit = [array("limit", np.float32(1))]
refused("a condition at run time", model("run_time", loop(["n", "", "s"], ["y"], sums_up), [("s", S)], ["y"], [array("n", 2), *limit]), "node 0 'loop'", "its condition after 1 iterations", "loop.0.body[0]/more", "depends on run-time data")
computes("a condition that is not needed", model("once", loop(["n", "", "s"], ["y"], sums_up), [("s", S)], ["y"], [array("n", 1), *limit]), {"y": 2 * S}, [("s", S)])
path = model("input_condition", loop(["n", "c", "s"]), [("x", X), ("s", S), ("c", np.array(True))], initializers=[array("n", 2)])
refused("a condition that is an input", path, "its condition after 0 iterations, 'c', depends on run-time data")

# A Loop in a Loop; of no iterations, whose result has the shape that the body says; values that grow.
inside = body(["j", "g", "d"], [node("Add", ["i", "j"], ["ij"]), node("Cast", ["ij"], ["f"], to=T.FLOAT), node("Mul", ["d", "f"], ["m"])], ["g", "m", info("f", T.FLOAT, [])], name="inside")
around = body(["i", "go", "h"], [node("Loop", ["i", "", "h"], ["d", "p"], name="in", body=inside), node("ReduceSum", ["p"], ["q"], keepdims=0), node("Concat", ["d", "s"], ["e"], axis=0)], ["go", "e", "q"])
h, q = S, []
for i in range(3):
    factors = [np.float32(i + j) for j in range(i)]
    h = np.concatenate([h * np.prod(factors, initial=1, dtype=np.float32), S])
    q.append(sum(factors))
computes("a Loop in a Loop", model("loop_in_loop", loop(["n", "", "s"], body=around), [("s", S)], initializers=[array("n", 3)]), {"y": h, "z": np.array(q, np.float32)}, [("s", S)])
refused("no iterations of no shape", model("unshaped", loop(["n", "", "s"]), initializers=[array("n", 0)]), "the shape of 'o' is not said by its body")
refused("outputs of a Loop", model("loop_outputs", loop(["n", "", "s", "x"], ["y"]), initializers=[array("n", 1)], outputs=["y"]), "1 outputs for 2 values that it carries")
refused("a body that needs more", model("loop_body", loop(["n", "", "s"], ["y", "z"], cell), initializers=[array("n", 1)]), "its body has 2 inputs and 2 outputs; it needs 3 and 3")
finish()
