#!/usr/bin/env python3
"""Streamed weights (--weights): losses and trained weights are those of resident ones, bit by bit, under every strategy and on several meshes, with one micro-batch and several,
in f32 and bf16, with clipping, tied tables, token blocks, pieces and layers that are left out; what the compiler predicts of DRAM the simulator counts. Where SRAM is too small
for weights of one micro-batch to be resident in large groups, weights that may be streamed, as they may where --weights is not given, take fewer bytes and less time than pieces do; a single sample needs less SRAM.

usage: streamed_weights.py BIN_DIRECTORY WORK_DIRECTORY MODEL... [little]
little: where SRAM is small, too
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import share  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
PACKAGE = (Path(__file__).resolve().parents[2] / "tools/packages/hecaton-2x2.xml").read_text()
WORK.mkdir(parents=True, exist_ok=True)
SIZES = ["--hidden=48", "--heads=4", "--ffn=72", "--vocab=37", "--seq=8", "--batch=5", "--seed=3"]
MODELS = {"gpt2": ["gpt2", "--layers=2"], "llama": ["tinyllama-1.1b", "--layers=2", "--kv-heads=2"], "bloom": ["bloom-1.7b", "--layers=1"], "bert": ["bert-base", "--layers=1"], "deep": ["gpt2", "--layers=18"]}
WEIGHTS = {"gpt2": ("embed.weight", "position.weight", "layers.1.mlp.fc.weight"), "llama": ("embed.weight", "head.weight", "layers.0.k.weight"), "bloom": ("embed.weight",), "bert": ("embed.weight",), "deep": ("layers.9.mlp.fc.weight",)}
CASES = [
    ("gpt2", "1x1", "--micro-batch=1 --optimizer=momentum"), ("gpt2", "2x2", "--micro-batch=2 --clip-norm=0.3"), ("gpt2", "2x3", "--micro-batch=3 --dtype=bf16 --groups=blocks"),
    ("gpt2", "3x1", "--micro-batch=5 --optimizer=sgd --overlap=none"), ("gpt2", "2x2", "--micro-batch=4 --schedule=layerwise --update-chunk=64"), ("gpt2", "2x2", "--micro-batch=2 --token-blocks=2 --recompute=all"),
    ("llama", "2x2", "--micro-batch=1 --dtype=bf16 --clip-norm=0.3"), ("llama", "2x3", "--micro-batch=5 --dtype=bf16"), ("llama", "1x4", "--micro-batch=2 --weight-pieces=2 --units=layers"),
    ("bloom", "2x2", "--micro-batch=2"), ("bloom", "2x2", "--micro-batch=5 --weight-pieces=2"), ("bert", "2x2", "--micro-batch=3 --attention-blocks=2"),
    ("deep", "2x2", "--micro-batch=2 --groups=blocks"), ("deep", "2x2", "--micro-batch=5 --groups=blocks --dtype=bf16"),
] + [("llama", "2x2", f"--micro-batch={size} --strategy={s}") for s in ("megatron-ring", "megatron-torus", "megatron-sequence", "optimus") for size in (2, 5)]


def run(*arguments, refused=False):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    assert done.returncode == 0 or (refused and done.returncode == 1), f"{arguments}: {done.stderr}"
    return done


def traffic(report):
    have = json.loads((WORK / report).read_text())
    return have["traffic"]["dram_read_bytes"], have["traffic"]["dram_write_bytes"], have["time"]["step_s"], have["sram"]["peak_bytes"]


def trained(names, *options):
    """Losses of three steps, the weights after them, and what was counted; predicted and counted bytes are equal."""
    run(BIN / "hecaton-compile", WORK / "m.onnx", *options, "-o", WORK / "m.hct", "--report", WORK / "p.json")
    done = run(BIN / "hecaton-sim", WORK / "m.hct", "--steps=3", f"--input=ids={WORK / 'ids.npy'}", f"--input=labels={WORK / 'labels.npy'}", "--report", WORK / "s.json", *[f"--output=param:{n}={WORK / n}.npy" for n in names])
    assert traffic("p.json")[:2] == traffic("s.json")[:2], options
    return re.findall(r"^step +\d+ +loss (\S+)$", done.stdout, re.M), [np.load(WORK / f"{n}.npy") for n in names], traffic("s.json")


def model(arguments, batch, seq, vocab):
    run(BIN / "hecaton-model", *arguments, "-o", WORK / "m.onnx")
    numbers = np.random.default_rng(1)
    for name in ("ids", "labels"):
        np.save(WORK / f"{name}.npy", numbers.integers(0, vocab, (batch, seq)))


for name in [name for name in sys.argv[3:] if name in MODELS]:
    arguments = MODELS[name]
    model([*arguments, *SIZES], 5, 8, 37)
    for turn, (mesh, options) in enumerate((m, o) for n, m, o in CASES if n == name):
        options = [f"--mesh={mesh}", "--lr=0.05", *options.split()]
        losses, weights, resident = trained(WEIGHTS[name], "--weights=resident", *options)
        assert len(losses) == 3 and len(set(losses)) == 3, losses
        for way in ("streamed", *share(("weights", "sums"), 2, turn)):
            got_losses, got_weights, got = trained(WEIGHTS[name], f"--weights={way}", *options)
            assert got_losses == losses and all(np.array_equal(a, b) for a, b in zip(got_weights, weights)), f"{name}, {options}, {way}: {got_losses}, resident {losses}"
            assert "--micro-batch=5" in options or way == "sums" or got[0] > resident[0], f"{name}, {options}, {way}: reads {got[0]} bytes, resident weights {resident[0]}"
        print(f"ok {name} {' '.join(options)}")

# a gradient of one micro-batch that lies as a tensor of other dimensions than its parameter's
numbers = np.random.default_rng(1)
table, x = (numbers.standard_normal((4, 4)).astype(np.float32) for _ in range(2))
nodes = [("MatMul", ["x", "eye"], "product"), ("Add", ["product", "table"], "sum"), ("Reshape", ["sum", "shape"], "parts"), ("Mul", ["parts", "parts"], "squares"), ("ReduceMean", ["squares"], "loss")]
graph = helper.make_graph([helper.make_node(op, read, [made], **({"keepdims": 0} if op == "ReduceMean" else {})) for op, read, made in nodes], "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])],
                          [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])], [numpy_helper.from_array(np.eye(4, dtype=np.float32), "eye"), numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([4, 2, 2]), "shape")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), WORK / "r.onnx")
np.save(WORK / "x.npy", x)
run(BIN / "hecaton-compile", WORK / "r.onnx", "--loss=loss", "--mesh=2x1", "--micro-batch=4", "--optimizer=momentum", "--lr=0.5", "--weights=streamed", "-o", WORK / "r.hct")
run(BIN / "hecaton-sim", WORK / "r.hct", f"--input=x={WORK / 'x.npy'}", f"--output=param:table={WORK / 'table.npy'}")
assert np.allclose(np.load(WORK / "table.npy"), table - 0.5 * 2 / 16 * (x + table), rtol=1e-6, atol=1e-6)

if "little" not in sys.argv[3:]:
    sys.exit()

# little SRAM: pieces, and small groups, or weights that are streamed
model(["gpt2", "--layers=3", "--hidden=128", "--heads=4", "--vocab=96", "--seq=16", "--batch=2", "--seed=1"], 2, 16, 96)


def package(sram):
    (WORK / "p.xml").write_text(re.sub(r'(<sram bytes=")\d+', rf"\g<1>{sram}", PACKAGE))
    return f"--package={WORK / 'p.xml'}"


for sram, bytes_less in ((450000, False), (2000000, True)):
    options = (package(sram), "--micro-batch=2", "--lr=0.05")
    losses, _, resident = trained((), "--weights=resident", *options)
    got, _, streamed = trained((), *options)
    print(f"{sram} bytes of SRAM: {sum(resident[:2])} DRAM bytes, {resident[2] * 1e6:.1f} us with resident weights; {sum(streamed[:2])}, {streamed[2] * 1e6:.1f} us")
    assert np.allclose([float(x) for x in got], [float(x) for x in losses], rtol=1e-5, atol=0), (got, losses)
    assert streamed[2] < resident[2] and (not bytes_less or sum(streamed[:2]) < sum(resident[:2])) and streamed[3] <= sram, (streamed, resident)

# one sample: the order in which its layers come keeps all weights and gradients, unless they are streamed
model(["gpt2", "--layers=3", "--hidden=128", "--heads=4", "--vocab=96", "--seq=16", "--batch=1", "--seed=1"], 1, 16, 96)
losses, _, plenty = trained((), "--mesh=2x2", "--weights=resident")
options = (package(1000000), "--token-blocks=1")
assert "E0402" in run(BIN / "hecaton-compile", WORK / "m.onnx", *options, "--weights=resident", "-o", WORK / "m.hct", refused=True).stderr
got, _, little = trained((), *options)
assert got == losses and little[3] <= 1000000 < plenty[3], (got, losses, little, plenty)
print(f"one sample in {little[3]} bytes of SRAM, resident weights take {plenty[3]}")

# where nothing fits, streaming is a hint to who asked for resident weights alone
for objective in ("time", "dram"):
    for weights, hinted in (((), False), (("--weights=resident",), True)):
        said = run(BIN / "hecaton-compile", WORK / "m.onnx", package(50000), f"--objective={objective}", "--units=blocks", "--token-blocks=1", "--weight-pieces=1", *weights, "-o", WORK / "m.hct", refused=True).stderr
        assert "E0402" in said and ("--weights=auto" in said) == hinted, f"{objective}, {weights}: {said}"
