#!/usr/bin/env python3
"""ONNX models that break ONNX's rules, or are made to harm: each is refused with a located diagnostic and exit status 1, in bounded time and memory, and
leaves no file behind. Models whose data come in every form that ONNX has are taken, with the values that they say.

usage: onnx_inputs.py BIN_DIRECTORY WORK_DIRECTORY
"""
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
node, failures = helper.make_node, 0
slow = 10 if os.environ.get("HECATON_SANITIZED") else 1


def model(name, nodes, inputs, outputs, initializers=(), opset=17, change=None):
    info = lambda v: helper.make_tensor_value_info(*v)
    made = helper.make_model(helper.make_graph(nodes, "g", [info(i) for i in inputs], [info(o) for o in outputs], list(initializers)), opset_imports=[helper.make_opsetid("", opset)])
    if change:
        change(made)
    path = WORK / f"{name}.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def processor_s():
    """of programs that were run: others may be running beside them"""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(path, *options):
    out = WORK / "out"
    out.unlink(missing_ok=True)
    start = processor_s()
    done = subprocess.run([BIN / "hecaton-compile", path, "--mode=infer", "-o", out, *options], capture_output=True, text=True, errors="replace", timeout=300)
    return done, out, processor_s() - start


def fail(name, done, why):
    global failures
    failures += 1
    print(f"FAIL {name}: {why}, exit status {done.returncode}\n{done.stderr[:1000]}")


def refused(name, wanted, path, *options, where=None, within_s=None):
    done, out, seconds = run(path, *options)
    left = [p.name for p in WORK.iterdir() if ".tmp." in p.name]
    missing = [w for w in [where or path.name, "error[E", *wanted] if w not in done.stderr]
    if done.returncode != 1 or missing or left or out.exists():
        fail(name, done, f"without {missing}, left {left}")
    if within_s and seconds > within_s:
        fail(name, done, f"{seconds:.1f} s")


def taken(name, path, *options, within_s=None):
    done, out, seconds = run(path, "--mesh=1x1", *options)
    if done.returncode or (within_s and seconds > within_s):
        fail(name, done, f"{seconds:.1f} s")
    return out


def value_of(path, feeds=()):
    image = taken(path.stem, path)
    feeds = [a for n, v in feeds for a in ("--input", f"{n}={np.save(WORK / f'{n}.npy', v) or WORK / f'{n}.npy'}")]
    done = subprocess.run([BIN / "hecaton-sim", image, *feeds, "--output", f"y={WORK / 'y.npy'}"], capture_output=True, text=True)
    if done.returncode:
        fail(path.stem, done, "not run")
        return None
    return np.load(WORK / "y.npy")


F, x2, y2 = T.FLOAT, ("x", T.FLOAT, [2]), ("y", T.FLOAT, [2])
add = [node("Add", ["x", "w"], ["y"], name="sum")]

# ---- dimensions ----
for size in (0, -1, 1 << 62):
    refused(f"input {size}", ["input 'x'", f"dimension 1 is {size}"], model("dimension", [node("Neg", ["x"], ["y"])], [("x", F, [2, size])], [("y", F, None)]))
for size in (-1, 1 << 62):
    refused(f"initializer {size}", ["initializer 'w'", f"dimension 0 is {size}"], model("dimension", add, [x2], [y2], [T(name="w", data_type=F, dims=[size], raw_data=b"")]))
refused("initializer 0", ["node 0 'sum'", "do not broadcast"], model("empty_weight", add, [x2], [y2], [T(name="w", data_type=F, dims=[0], raw_data=b"")]))
refused("product", ["initializer 'w'", "more than"], model("product", add, [x2], [y2], [T(name="w", data_type=F, dims=[1 << 30, 1 << 30, 1 << 30], raw_data=b"")]))
refused("input product", ["input 'x'", "bytes"], model("huge_input", [node("Neg", ["x"], ["y"])], [("x", F, [1 << 30] * 3)], [("y", F, None)]))
refused("empty operand", ["node 1 'product'", "input 0 has no elements"],
        model("empty_operand", [node("Slice", ["x", "a", "a"], ["e"], name="cut"), node("MatMul", ["e", "w"], ["y"], name="product")], [x2], [("y", F, None)],
              [numpy_helper.from_array(np.array([1]), "a"), T(name="w", data_type=F, dims=[0, 3], raw_data=b"")]))
refused("rank", ["input 'x'", "rank"], model("rank", [node("Neg", ["x"], ["y"])], [("x", F, [1] * 9)], [("y", F, None)]))
refused("matrix", ["node 0 'product'"], model("matrix", [node("Gemm", ["x", "w"], ["y"], name="product")], [x2], [y2], [numpy_helper.from_array(np.ones((2, 2), np.float32), "w")]))

# ---- graphs ----
refused("cycle", ["node 0 'a'", "'va' depends on itself", "cycle"],
        model("cycle", [node("Add", ["x", "vc"], ["va"], name="a"), node("Neg", ["va"], ["vb"], name="b"), node("Neg", ["vb"], ["vc"], name="c"), node("Neg", ["vc"], ["y"], name="d")], [x2], [y2]))
refused("own output", ["node 0 'a'", "cycle"], model("own_output", [node("Add", ["x", "y"], ["y"], name="a")], [x2], [y2]))
refused("twice", ["node 1 'again'", "'y' is made twice"], model("twice", [node("Neg", ["x"], ["y"]), node("Exp", ["x"], ["y"], name="again")], [x2], [y2]))
refused("two inputs", ["two inputs are named 'x'"], model("two_inputs", [node("Neg", ["x"], ["y"])], [x2, x2], [y2]))
refused("initializers of one name", ["initializer 'w'", "taken"], model("two_initializers", add, [x2], [y2], [numpy_helper.from_array(np.ones(2, np.float32), "w")] * 2))
refused("node makes an input", ["node 0 'n'", "'x' is made twice"], model("makes_input", [node("Neg", ["x"], ["x"], name="n")], [x2], [("x", F, [2])]))
refused("nowhere", ["node 1 'n'", "'nowhere'"], model("nowhere", [node("Neg", ["x"], ["y"]), node("Add", ["y", "nowhere"], ["z"], name="n")], [x2], [y2]))
refused("no output", ["output 'z'", "no node makes it"], model("no_output", [node("Neg", ["x"], ["y"])], [x2], [("z", F, [2])]))
refused("too few inputs", ["node 0 'n'", "1 inputs; it needs 2"], model("few_inputs", [node("MatMul", ["x"], ["y"], name="n")], [x2], [y2]))
refused("too many inputs", ["node 0 'n'", "2 inputs; it has at most 1"], model("many_inputs", [node("Neg", ["x", "x"], ["y"], name="n")], [x2], [y2]))
refused("no inputs", ["node 0 'n'", "no inputs"], model("no_inputs", [node("Gelu", [], ["y"], name="n")], [x2], [y2], opset=20))
refused("depth", ["node 0 'n'", "a depth of -inf"], model("depth", [node("OneHot", ["i", "d", "v"], ["y"], name="n")], [("i", T.INT64, [2])], [("y", F, None)],
        [numpy_helper.from_array(np.float32(-np.inf), "d"), numpy_helper.from_array(np.array([0, 1], np.float32), "v")]))
refused("reduced elements", ["input 'x'", "bytes"], model("reduced", [node("ReduceLogSumExp", ["x"], ["y"])], [("x", F, [2147483647, 2147483647, 4, 2, 2])], [("y", F, None)]))
refused("gap", ["node 0 'n'", "input 1 is missing"], model("gap", [node("Where", ["x", "", "x"], ["y"], name="n")], [("x", T.BOOL, [2])], [y2]))
refused("attribute type", ["node 0 'n'", "'axis' is of AttributeType 3; it must be 2"], model("attribute_type", [node("Softmax", ["x"], ["y"], name="n", axis="last")], [x2], [y2]))
refused("attribute twice", ["node 0 'n'", "'axis' is given twice"],
        model("attribute_twice", [node("Softmax", ["x"], ["y"], name="n", axis=0)], [x2], [y2], change=lambda m: m.graph.node[0].attribute.add(name="axis", type=2, i=0)))
refused("attribute name", ["node 0 'n'", "no name of an attribute"],
        model("attribute_name", [node("Neg", ["x"], ["y"], name="n")], [x2], [y2], change=lambda m: m.graph.node[0].attribute.add(name="operandSegmentSizes", type=2, i=0)))
refused("no op_type", ["node 0 'n'", "no op_type"], model("no_op_type", [node("Neg", ["x"], ["y"], name="n")], [x2], [y2], change=lambda m: m.graph.node[0].ClearField("op_type")))
refused("no name", ["output 0", "no name"], model("no_name", [node("Neg", ["x"], ["y"], name="n")], [x2], [y2], change=lambda m: m.graph.output[0].ClearField("name")))
for opset, name, held in ((17, "axes", "axis"), (18, "to", "axis"), (28, "Axis", "axis")):
    refused(f"unknown attribute {name}", ["node 0 'n'", f"attribute '{name}' is not known: Softmax of opset {opset} has {held}"], model("attribute_unknown", [node("Softmax", ["x"], ["y"], name="n", **{name: 0})], [x2], [y2], opset=opset))
refused("attribute of none", ["node 0 'n'", "attribute 'alpha' is not known: Mish of opset 18 has none"], model("attribute_of_none", [node("Mish", ["x"], ["y"], name="n", alpha=1.0)], [x2], [y2], opset=18))
refused("attribute twice, of a newer operator", ["node 0 'n'", "'alpha' is given twice"],
        model("attribute_twice", [node("Swish", ["x"], ["y"], name="n", alpha=1.0)], [x2], [y2], opset=24, change=lambda m: m.graph.node[0].attribute.add(name="alpha", type=1, f=2)))
refused("type of a newer attribute", ["node 0 'n'", "'alpha' is of AttributeType 2; it must be 1"], model("attribute_newer", [node("Swish", ["x"], ["y"], name="n", alpha=1)], [x2], [y2], opset=24))
cast = [node("Cast", ["x"], ["c"], name="n", to=T.FLOAT16, saturate=1), node("Cast", ["c"], ["y"], to=F)]
refused("attribute of a later opset", ["node 0 'n'", "attribute 'saturate' is not known: Cast of opset 18 has to", "hint: it came with a later opset"], model("attribute_later", cast, [x2], [y2], opset=18))
taken("attribute of that opset", model("attribute_now", cast, [x2], [y2], opset=19))
refused("no opset", ["opset 0"], model("no_opset", [node("Neg", ["x"], ["y"], name="n")], [x2], [y2], opset=0))
for opset in (29, 999):
    refused(f"opset {opset}", [f"it imports opset {opset} of ai.onnx; what operators mean is known up to opset 28", "hint: export it with opset 28"], model("opset", [node("Neg", ["x"], ["y"])], [x2], [y2], opset=opset))
taken("opset 28", model("opset_28", [node("Neg", ["x"], ["y"])], [x2], [y2], opset=28))
refused("two opsets", ["it imports opset 17 of ai.onnx, and opset 13"], model("two_opsets", [node("Neg", ["x"], ["y"])], [x2], [y2], change=lambda m: m.opset_import.add(domain="ai.onnx", version=13)))
refused("no opset of ai.onnx", ["imports no opset of ai.onnx"], model("other_opset", [node("Neg", ["x"], ["y"])], [x2], [y2], change=lambda m: setattr(m.opset_import[0], "domain", "elsewhere")))


def call(opset):
    def change(m):
        m.functions.add().CopyFrom(helper.make_function("own", "f", ["a"], ["b"], [node("Neg", ["a"], ["b"])], [helper.make_opsetid("", opset)]))
        m.opset_import.add(domain="own", version=1)
    return model("function_opset", [node("f", ["x"], ["y"], domain="own")], [x2], [y2], change=change)


refused("opset of a function", ["function 'f'", "opset 999 of ai.onnx"], call(999))
taken("opset of a function", call(13))
taken("no axes", model("no_axes", [node("ReduceSum", ["x"], ["y"])], [x2], [("y", F, None)], opset=11, change=lambda m: m.graph.node[0].attribute.add(name="axes", type=7)))

# ---- shapes that would take all memory ----
shape = lambda *dims: numpy_helper.from_array(np.array(dims), "s")
for name, nodes in {"fill": [node("ConstantOfShape", ["s"], ["w"], name="big")], "range": [node("Range", ["a", "s1", "b"], ["w"], name="big")],
                    "doubling": [node("ConstantOfShape", ["t"], ["v0"])] + [node("Concat", [f"v{i}"] * 2, [f"v{i + 1}"], name="big", axis=0) for i in range(40)] + [node("Identity", ["v40"], ["w"])]}.items():
    scalars = [numpy_helper.from_array(np.array(v), n) for n, v in (("a", 0), ("b", 1), ("s1", 1 << 50))] + [numpy_helper.from_array(np.array([1 << 20]), "t")]
    refused(name, ["'big'"], model(name, nodes + add, [x2], [y2], [shape(1 << 20, 1 << 10, 1 << 10), *scalars]))

# ---- data ----
refused("short", ["initializer 'w'", "2 elements"], model("short", add, [x2], [y2], [T(name="w", data_type=F, dims=[2], raw_data=bytes(7))]))
refused("long", ["initializer 'w'", "2 elements"], model("long", add, [x2], [y2], [T(name="w", data_type=F, dims=[2], raw_data=bytes(9))]))
refused("typed", ["initializer 'w'", "2 elements"], model("typed", add, [x2], [y2], [T(name="w", data_type=F, dims=[2], float_data=[1, 2, 3])]))
refused("wrong field", ["initializer 'w'", "2 elements"], model("field", add, [x2], [y2], [T(name="w", data_type=F, dims=[2], int64_data=[1, 2])]))
refused("nothing", ["initializer 'w'", "elements"], model("nothing", add, [x2], [y2], [T(name="w", data_type=F, dims=[1 << 30])]))
refused("complex", ["initializer 'w'", "element type 14"], model("complex", add, [x2], [y2], [T(name="w", data_type=T.COMPLEX64, dims=[2], raw_data=bytes(16))]))
refused("sparse", ["initializer 'w'", "sparse initializers are not supported", "hint:"], model("sparse", add, [x2], [y2], change=lambda m: m.graph.sparse_initializer.add().CopyFrom(
    helper.make_sparse_tensor(helper.make_tensor("w", F, [1], [1.0]), helper.make_tensor("i", T.INT64, [1], [0]), [2]))))
words = T(name="words", data_type=T.STRING, dims=[1], string_data=[b"a"])
taken("unread strings", model("unread_strings", [node("Neg", ["x"], ["y"])], [x2], [y2], [words]))
refused("strings", ["node 0 'n'", "'words'", "strings"], model("strings", [node("Identity", ["words"], ["y"], name="n")], [x2], [y2], [words]))


def away(location, offset=0, length=8, dims=(2,)):
    tensor = T(name="w", data_type=F, dims=dims, data_location=T.EXTERNAL)
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    return tensor


(WORK.parent / "outside.bin").write_bytes(bytes(8))
(WORK / "w.bin").write_bytes(np.array([1, 2], np.float32).tobytes())
(WORK / "inside").mkdir(exist_ok=True)
for link, target in ((WORK / "link.bin", WORK.parent / "outside.bin"), (WORK / "folder", WORK.parent), (WORK / "inside" / "good.bin", WORK / "w.bin"), (WORK / "loop.bin", WORK / "loop.bin")):
    link.is_symlink() or os.symlink(target, link)
for location in ("../outside.bin", "/etc/passwd", "inside/../../outside.bin", "link.bin", "folder/outside.bin", "loop.bin", "inside", ""):
    refused(f"external '{location}'", ["initializer 'w'", f"'{location}'" if location != "inside" else "not a regular file"], model("external", add, [x2], [y2], [away(location)]))
for offset, length in ((4, 8), (-1, 8), (0, 7), (0, 1 << 62), (1 << 62, 8), ("x", 8)):
    refused(f"external at {offset}, {length}", ["initializer 'w'", "external data"], model("external", add, [x2], [y2], [away("w.bin", offset, length)]))
for place in ("w.bin", "inside/good.bin"):
    value = value_of(model("external", add, [x2], [y2], [away(place)]), [("x", np.array([1, 1], np.float32))])
    if value is None or not np.array_equal(value, [2, 3]):
        failures += 1
        print(f"FAIL external data in {place}: {value}")
with open(WORK / "large.bin", "wb") as large:  # beyond 2 and 4 GiB, of which the file system keeps a page
    large.seek((5 << 30) + 64)
    large.write(np.array([3, 4], np.float32).tobytes())
value = value_of(model("large", add, [x2], [y2], [away("large.bin", (5 << 30) + 64)]), [("x", np.array([1, 1], np.float32))])
(WORK / "large.bin").unlink()
if value is None or not np.array_equal(value, [4, 5]):
    failures += 1
    print(f"FAIL external data beyond 4 GiB: {value}")

# ---- every element type, as raw data and in its field ----
halves = {T.FLOAT16: np.array([1.5, -2], np.float16).view(np.uint16), T.BFLOAT16: (np.array([1.5, -2], np.float32).view(np.uint32) >> 16).astype(np.uint16)}
kinds = {T.FLOAT: (np.float32, "float_data"), T.DOUBLE: (np.float64, "double_data"), T.INT8: (np.int8, "int32_data"), T.INT16: (np.int16, "int32_data"), T.INT32: (np.int32, "int32_data"), T.INT64: (np.int64, "int64_data"),
         T.UINT8: (np.uint8, "int32_data"), T.UINT16: (np.uint16, "int32_data"), T.UINT32: (np.uint32, "uint64_data"), T.UINT64: (np.uint64, "uint64_data"), T.BOOL: (np.bool_, "int32_data"),
         T.FLOAT16: (None, "int32_data"), T.BFLOAT16: (None, "int32_data")}
for kind, (dtype, field) in kinds.items():
    array = halves[kind] if dtype is None else np.array([1, 0] if kind == T.BOOL else [3, 250] if np.issubdtype(dtype, np.unsignedinteger) else [3, -5], dtype)
    expected = np.array([1.5, -2], np.float32) if dtype is None else array.astype(np.float32)
    for form in ("raw", "field"):
        tensor = T(name="w", data_type=kind, dims=[2])
        if form == "raw":
            tensor.raw_data = array.tobytes()
        else:
            getattr(tensor, field).extend(array.tolist())
        value = value_of(model("kind", [node("Cast", ["w"], ["c"], to=F), node("Add", ["x", "c"], ["y"])], [x2], [y2], [tensor]), [("x", np.zeros(2, np.float32))])
        if value is None or not np.array_equal(value, expected):
            failures += 1
            print(f"FAIL {T.DataType.Name(kind)} as {form}: {value}, not {expected}")

# ---- size ----
for name, content in (("random", np.random.default_rng(1).bytes(100 << 20)), ("zeros", bytes(100 << 20))):
    (WORK / f"{name}.onnx").write_bytes(content)
    refused(name, ["not an ONNX model"], WORK / f"{name}.onnx")
    (WORK / f"{name}.onnx").unlink()


def field(number, content):
    length, prefix = len(content), b""
    while length > 127:
        prefix, length = prefix + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + prefix + bytes([length]) + content


deep = b""  # GraphProto.node, NodeProto.attribute, AttributeProto.g, and again
for _ in range(30000):
    deep = field(1, field(5, field(6, deep)))
(WORK / "deep.onnx").write_bytes(field(7, deep))
refused("deep", ["nested"], WORK / "deep.onnx")


# ---- loops ----
def loop_body(nodes, inputs=("i", "go", "h"), outputs=("go", "r"), initializers=()):
    info = lambda v: helper.make_tensor_value_info(v, F, None)
    return helper.make_graph(nodes, "body", [info(i) for i in inputs], [info(o) for o in outputs], list(initializers))


def loop(body, trips="", name="loop", outputs=("y",), carried=("x",)):
    return node("Loop", [trips, "", *carried], outputs, name=name, body=body)


def bounded(name, wanted, path):
    refused(name, wanted, path, within_s=15 * slow)


y_any, count = ("y", F, None), lambda n: [numpy_helper.from_array(np.array(n), "n")]
negate = [node("Neg", ["h"], ["r"], name="negate")]
limit = "functions and loops that make more than 131072 nodes"
bounded("2^62 iterations", ["node 0 'loop'", limit], model("iterations", [loop(loop_body(negate), "n")], [x2], [y_any], count(1 << 62)))
bounded("iterations without end", ["node 0 'loop'", limit], model("endless", [loop(loop_body(negate))], [x2], [y_any]))
bounded("iterations of nothing", ["node 0 'loop'", limit], model("idle", [loop(loop_body([], outputs=("go", "h")))], [x2], [y_any]))
scan = lambda body: [node("Scan", ["s", "x"], ["y"], name="scan", body=body, num_scan_inputs=1)]
added = loop_body([node("Add", ["h", "v"], ["r"])], ("h", "v"), ("r",))
bounded("a Scan of 2^40", ["input 'x'", f"dimension 0 is {1 << 40}"], model("scan", scan(added), [("x", F, [1 << 40, 2]), ("s", F, [2])], [y_any]))
bounded("a Scan of 2^31", ["node 0 'scan'", limit, "note: here 2147483647 iterations of "], model("scan", scan(added), [("x", F, [(1 << 31) - 1, 2]), ("s", F, [2])], [y_any]))
bounded("many carried values", ["node 0 'loop'", limit], model("carried", [loop(loop_body([], ["i", "go", *(f"h{k}" for k in range(20000))], ["go", *(f"h{k}" for k in range(20000))]), outputs=[f"y{k}" for k in range(20000)], carried=["x"] * 20000)], [x2], [("y0", F, None)]))
inside = negate
for level in range(20):
    inside = [loop(loop_body(inside), "n", f"level{level}", ["r"], ["h"])]
bounded("loops in loops", ["level19[0]/level18[0]", limit], model("loops", [loop(loop_body(inside), "n", "top")], [x2], [y_any], count(1000)))
deep = b""  # GraphProto.node, NodeProto.attribute, AttributeProto.g of a Scan, and again
for _ in range(1000):
    deep = field(1, field(4, b"Scan") + field(5, field(1, b"body") + field(6, deep)))
(WORK / "deep_scan.onnx").write_bytes(field(7, deep))
refused("bodies 1,000 deep", ["nested"], WORK / "deep_scan.onnx")
doubled = [node("ConstantOfShape", ["t"], ["c"]), loop(loop_body([node("Concat", ["h", "h"], ["r"], name="double", axis=0)]), "n", outputs=["w"], carried=["c"]), *add]
if slow == 1:  # with sanitizers the other doubling is enough
    bounded("doubling in a loop", ["double"], model("doubled", doubled, [x2], [y_any], [*count(60), numpy_helper.from_array(np.array([1 << 20]), "t")]))
large = numpy_helper.from_array(np.zeros(4 << 20, np.float32), "z")
kept = loop_body([loop(loop_body([node("Add", ["h", "z"], ["r"])], initializers=[large]), "n", "inner", ["r"], ["h"])])
if slow == 1:
    bounded("an initializer for each iteration", ["inner"], model("initializers", [loop(kept, "n")], [("x", F, [1])], [y_any], count(1000)))
refused("a body that reads its loop", ["node 0 'loop[0]/Add'", "depends on itself"], model("reads_loop", [loop(loop_body([node("Add", ["h", "y"], ["r"])]), "n")], [x2], [y_any], count(3)))
refused("a body that reads its Scan", ["depends on itself", "cycle"], model("reads_scan", scan(loop_body([node("Add", ["h", "y"], ["r"])], ("h", "v"), ("r",))), [("x", F, [3, 2]), ("s", F, [2])], [y_any]))
refused("a body that reads what it makes", ["node 0 'loop[0]/sum'", "depends on itself"], model("reads_itself", [loop(loop_body([node("Add", ["h", "r"], ["r"], name="sum")]), "n")], [x2], [y_any], count(3)))
refused("a body that reads nothing", ["node 0 'loop[0]/Add'", "'nowhere' is made by no node"], model("reads_nothing", [loop(loop_body([node("Add", ["h", "nowhere"], ["r"])]), "n")], [x2], [y_any], count(3)))
refused("a body that makes nothing", ["node 0 'loop'", "'r'"], model("makes_nothing", [loop(loop_body([]), "n")], [x2], [y_any], count(3)))
refused("a Loop of nothing", ["node 0 'loop'", "its body is missing"], model("no_body", [node("Loop", ["n", "", "x"], ["y"], name="loop")], [x2], [y_any], count(3)))
refused("no inputs of a Scan", ["node 0 'scan'"], model("no_scan", [node("Scan", ["", ""], ["y"], name="scan", body=added, num_scan_inputs=1)], [x2], [y_any]))


def chain(count, order):
    nodes = [node("Neg" if i % 2 else "Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(count)]
    order(nodes)
    return model("chain", nodes, [("v0", F, [4])], [(f"v{count}", F, [4])])


# ---- names that no image can hold ----
for name, made, where in (("input", model("latin", [node("Relu", ["xyz"], ["y"])], [("xyz", F, [2])], [y2]), "input 0"), ("node", model("latin_node", [node("Relu", ["x"], ["y"], name="xyz")], [x2], [y2]), "node 0"),
                          ("initializer", model("latin_initializer", [node("Add", ["x", "xyz"], ["y"])], [x2], [y2], [numpy_helper.from_array(np.ones(2, np.float32), "xyz")]), "initializer 0")):
    made.write_bytes(made.read_bytes().replace(b"xyz", b"x\xe9z"))
    refused(f"a name that is not UTF-8, of an {name}", [where, "is not UTF-8", "hint: strings of protobuf are UTF-8"], made)
path = WORK / os.fsdecode(b"latin\xe9.onnx")
path.write_bytes(model("ascii", [node("Relu", ["x"], ["y"])], [x2], [y2]).read_bytes())
refused("a path that is not UTF-8", ["its path is not UTF-8"], path, where="latin")
path.unlink()

# ---- large models ----
def huge(name, grown):
    """a model of an initializer that makes it `grown` bytes, of which the file has none: it is sparse"""
    tag = lambda field, size: bytes([field << 3 | 2]) + varint(size)
    varint = lambda n: bytes([n & 127 | 128]) + varint(n >> 7) if n >= 128 else bytes([n])
    small = model(name, [node("Relu", ["x"], ["y"])], [x2], [y2])
    made = onnx.load(small)
    tensor = T(name="w", data_type=F, dims=[grown // 4]).SerializeToString() + tag(9, grown)
    initializer = tag(5, len(tensor) + grown) + tensor
    graph = made.graph.SerializeToString() + initializer
    made.ClearField("graph")
    small.write_bytes(made.SerializeToString() + tag(7, len(graph) + grown) + graph)
    os.truncate(small, small.stat().st_size + grown)
    return small


path = huge("huge", 2**31)
refused("a model of 2 GiB", [f"{path.stat().st_size} bytes; a protobuf message has less than 2 GiB", "hint: weights of larger models are external data"], path, within_s=slow)
path.unlink()
taken("a model whose initializer is sparse in its file", path := huge("less_huge", 2**20))

# ---- inputs that are known when compiling ----
shaped = model("shaped", [node("Reshape", ["x", "s"], ["y"])], [x2, ("s", T.INT64, [2])], [("y", F, None)])
np.save(WORK / "s.npy", np.array([1, 2])), np.save(WORK / "nine.npy", np.ones((1,) * 9, np.int64))
taken("constant", shaped, f"--constant=s={WORK / 's.npy'}")
refused("constant is missing", ["Reshape"], shaped)
refused("constant without a file", ["cannot open"], shaped, f"--constant=s={WORK / 'none.npy'}", where="none.npy")
np.save(WORK / "real.npy", np.ones(2, np.float32))
refused("constant of another type", ["an array of f32; the model's input is of i64"], shaped, f"--constant=s={WORK / 'real.npy'}", where="real.npy")
refused("constant of rank 9", ["rank 9"], shaped, f"--constant=s={WORK / 'nine.npy'}", where="nine.npy")


def untyped(made):
    for attribute in made.graph.node[0].attribute:
        attribute.ClearField("type")


index = value_of(model("untyped", [node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)], [("x", F, [2, 3])], [("y", T.INT64, None)], change=untyped), [("x", np.float32([[0, 5, 1], [7, 2, 3]]))])
if index is None or index.tolist() != [1, 0]:
    failures += 1
    print(f"FAIL attributes without a type: got {index}")

taken("3000 nodes", chain(3000, lambda nodes: None), "--emit=onnx", within_s=2 * slow)
count = 100000 if slow == 1 else 20000  # with sanitizers a fifth
taken(f"{count} nodes in any order", chain(count, random.Random(1).shuffle), "--emit=onnx", within_s=30 * slow)
refused("a long cycle", ["cycle"], model("long_cycle", [node("Neg", [f"v{i}"], [f"v{(i + 1) % 20000}"]) for i in range(20000)], [x2], [("v0", F, [2])]))
print("failures:", failures)
sys.exit(1 if failures else 0)
