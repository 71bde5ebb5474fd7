#!/usr/bin/env python3
"""Weights in pieces, forced (--weight-pieces) or as small SRAM asks for: losses and trained weights equal the host oracle's, under every strategy, with tied
tables, and sizes that the mesh does not divide; what the compiler predicts of DRAM the simulator counts; a die holds less than a whole weight.

usage: weight_pieces.py BIN_DIRECTORY WORK_DIRECTORY
In a thorough run each family has each vocabulary, and with it each way to cut weights; else two of the three, and with each two of the five.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import THOROUGH, share  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
PACKAGE = (Path(__file__).resolve().parents[2] / "tools/packages/hecaton-2x2.xml").read_text()
WORK.mkdir(parents=True, exist_ok=True)
SIZES = ["--layers=2", "--hidden=48", "--heads=4", "--ffn=72", "--seq=8", "--batch=4", "--seed=3"]
FAMILIES = {"gpt2": ("embed.weight", "head.weight", "layers.0.mlp.fc.weight"), "tinyllama-1.1b": ("embed.weight", "head.weight", "layers.1.down.weight"),
            "bert-base": ("embed.weight", "layers.0.mlp.fc.weight"), "bloom-1.7b": ("embed.weight",)}
BIASES = {"bert-base": ("head.bias",)}  # of heads: cut as these are
SGD = ["--optimizer=momentum", "--lr=0.1"]  # whose steps grow with gradients: Adam makes steps of full size of the noise of those that are nearly zero
STRATEGIES = ("hecaton", "megatron-ring", "megatron-torus", "megatron-sequence", "optimus")
CASES = [("2x2", ["--weight-pieces=2", "--groups=blocks", "--units=layers", "--micro-batch=1"]), ("2x3", ["--weight-pieces=2", "--groups=blocks", "--micro-batch=3"]),
         ("3x1", ["--weight-pieces=2", "--schedule=layerwise", "--micro-batch=2"]), ("2x2", ["--weight-pieces=3", "--token-blocks=2", "--micro-batch=2"]),
         ("1x2", ["--weight-pieces=2", "--recompute=all", "--micro-batch=2", "--overlap=none"])]


def run(*arguments):
    result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    assert result.returncode == 0, f"{arguments}: {result.stderr}"
    return result


def trained(program, names, *options):
    """Losses of three steps, and the weights after them."""
    files = {name: WORK / f"{i}.npy" for i, name in enumerate(names)}
    result = run(BIN / "hecaton-sim", program, "--steps=3", f"--input=ids={WORK / 'ids.npy'}", f"--input=labels={WORK / 'labels.npy'}", *[f"--output=param:{n}={f}" for n, f in files.items()], *options)
    return [float(x) for x in re.findall(r"^step +\d+ +loss (\S+)$", result.stdout, re.M)], {n: np.load(f) for n, f in files.items()}


def check(what, names, wanted, *options, pieces, beside=(), of_losses=1e-5, of_weights=1e-4):
    result = run(BIN / "hecaton-compile", WORK / "m.onnx", *SGD, *options, "-o", WORK / "m.hct", "--report", WORK / "p.json")
    split = set(re.findall(r"'(\S+)' is split into", result.stderr))
    assert split >= set(names) if pieces else not split, f"{what}: split are {split}"
    losses, weights = trained(WORK / "m.hct", (*names, *beside), "--report", WORK / "s.json")
    assert len(losses) == 3 and all(abs(a - b) <= of_losses * abs(b) for a, b in zip(losses, wanted[0])), f"{what}: {losses}, host {wanted[0]}"
    for name in weights:
        error = np.abs(weights[name] - wanted[1][name]).max() / np.abs(wanted[1][name]).max()
        assert error <= of_weights, f"{what}: {name} is off by {error:.1e}"
    predicted, counted = (json.loads((WORK / f"{f}.json").read_text()) for f in "ps")
    for field in ("dram_read_bytes", "dram_write_bytes"):
        assert predicted["traffic"][field] == counted["traffic"][field] > 0, f"{what}: {field}"
    return result.stderr


def package(sram):
    (WORK / "p.xml").write_text(re.sub(r'(<sram bytes=")\d+', rf"\g<1>{sram}", PACKAGE))
    return f"--package={WORK / 'p.xml'}"


def save(classes):
    """Inputs, with labels that are ignored."""
    labels = numbers.integers(0, classes, (4, 8))
    labels[1, 2:4] = -100
    np.save(WORK / "labels.npy", labels)
    np.save(WORK / "ids.npy", numbers.integers(0, classes, (4, 8)))


def refuses_labels(what, classes):
    """The program compiled last, of labels that name no class."""
    for wrong in (classes, -1):
        labels = np.load(WORK / "labels.npy")
        labels[0, 0] = wrong
        np.save(WORK / "wrong.npy", labels)
        done = subprocess.run([str(BIN / "hecaton-sim"), str(WORK / "m.hct"), f"--input=ids={WORK / 'ids.npy'}", f"--input=labels={WORK / 'wrong.npy'}"], capture_output=True, text=True)
        assert done.returncode == 1 and str(wrong) in done.stderr and "class" in done.stderr, f"{what}: {done.stderr}"


def refuses_ids(what, rows):
    """The program compiled last, of tokens that are no rows; those below zero count from the end."""
    def simulate(number):
        ids = np.load(WORK / "ids.npy")
        ids[0, 0] = number
        np.save(WORK / "wrong.npy", ids)
        done = subprocess.run([str(BIN / "hecaton-sim"), str(WORK / "m.hct"), f"--input=ids={WORK / 'wrong.npy'}", f"--input=labels={WORK / 'labels.npy'}"], capture_output=True, text=True)
        return done.returncode, re.findall(r"loss (\S+)", done.stdout), done.stderr
    for wrong in (rows, -rows - 1):
        status, _, message = simulate(wrong)
        assert status == 1 and f"index {wrong} of token" in message and f"table of {rows} rows" in message, f"{what}: {message}"
    assert simulate(-1)[:2] == simulate(rows - 1)[:2] == (0, simulate(-1)[1]), what


numbers = np.random.default_rng(1)
for f, (family, names) in enumerate(FAMILIES.items()):
    # 37: rows that dies do not divide: cut along features; 60: along rows, where no table is looked up, so that a head's classes come in pieces; 61: these are runs of any length. Bloom's
    # and BERT's head is the table: runs of rows, which lookups read, too; BERT's scores have a bias
    vocabularies, beside = (37, 60, 61), BIASES.get(family, ())
    for v, vocabulary in enumerate(vocabularies):
        if not THOROUGH and v == f % 2:
            continue
        run(BIN / "hecaton-model", family, *SIZES, f"--vocab={vocabulary}", "-o", WORK / "m.onnx")
        save(vocabulary)
        run(BIN / "hecaton-compile", WORK / "m.onnx", *SGD, "--backend=host", "-o", WORK / "host.so")
        wanted = trained(WORK / "host.so", (*names, *beside))
        some = CASES if THOROUGH else [case for c, case in enumerate(CASES) if (c + f + v) % 5 < 2]
        strategies = [STRATEGIES[0], *share(STRATEGIES[1:], 2, f)] if vocabulary == vocabularies[-1] else []
        cases = some + [("2x2", ["--weight-pieces=2", "--groups=blocks", "--micro-batch=2", f"--strategy={s}"]) for s in strategies]
        for mesh, options in cases:
            check(f"{family} of {vocabulary} on {mesh}, {' '.join(options)}", names, wanted, f"--mesh={mesh}", *options, pieces=True, beside=beside)
        if beside and vocabulary == vocabularies[-1]:
            for s in ("hecaton", "megatron-ring", "optimus"):  # scores are rounded to 8 bits, once by the product and once with their bias
                check(f"{family} of {vocabulary} in bf16, {s}", names, wanted, "--mesh=2x2", "--weight-pieces=3", "--dtype=bf16", f"--strategy={s}", pieces=True, beside=beside, of_losses=2**-8, of_weights=2**-6)
        refuses_labels(f"{family} of {vocabulary}", vocabulary)
        refuses_ids(f"{family} of {vocabulary}", vocabulary)
        runs = re.findall(r"^param .*#\d+\+\d+\S* +(\S+)$", run(BIN / "hecaton-objdump", "-t", WORK / "m.hct").stdout, re.M)
        wanted_runs = {"gpt2": {"head.weight": 61}, "tinyllama-1.1b": {"head.weight": 61}, "bloom-1.7b": {"embed.weight": 60}, "bert-base": {"embed.weight": 60, "head.bias": 60}}[family]
        assert set(runs) == {n for n, least in wanted_runs.items() if vocabulary >= least}, f"{family} of {vocabulary}: runs are {runs}"
    # a die's share of the table takes 36,864 bytes with its gradient, more than all its SRAM
    run(BIN / "hecaton-model", family, *SIZES, "--vocab=384", "-o", WORK / "m.onnx")
    save(384)
    run(BIN / "hecaton-compile", WORK / "m.onnx", *SGD, "--backend=host", "-o", WORK / "host.so")
    check(f"{family} in little SRAM", names[:1], trained(WORK / "host.so", names), package(32768), pieces=True)
    if THOROUGH or f % 2:
        check(f"{family} in enough SRAM", names[:1], trained(WORK / "host.so", names), package(98304), pieces=False)

# q, k and v of one weight, whose pieces are no heads: a part of them is cut across the factors that dies see
run(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=32", "--heads=4", "--vocab=48", "--seq=8", "--batch=4", "--seed=27", "-o", WORK / "m.onnx")
save(48)
run(BIN / "hecaton-compile", WORK / "m.onnx", *SGD, "--backend=host", "-o", WORK / "host.so")
wanted = trained(WORK / "host.so", ("layers.0.attn.qkv.weight",))
for mesh, pieces, strategy in ("4x1", 3, "hecaton"), ("2x2", 6, "hecaton"), ("2x2", 3, "megatron-ring"), ("4x4", 3, "optimus"):
    check(f"qkv in {pieces} pieces on {mesh}, {strategy}", ("layers.0.attn.qkv.weight",), wanted, f"--mesh={mesh}", f"--strategy={strategy}", f"--weight-pieces={pieces}", pieces=True)

# where nothing fits else, in smaller pieces than SRAM asks for by itself
run(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=64", "--heads=4", "--vocab=32", "--seq=8", "--batch=4", "--seed=4", "-o", WORK / "m.onnx")
save(32)
run(BIN / "hecaton-compile", WORK / "m.onnx", *SGD, "--backend=host", "-o", WORK / "host.so")
names = ("layers.0.mlp.fc.weight", "layers.0.mlp.proj.weight")
wanted, little = trained(WORK / "host.so", names), [package(12000), "--micro-batch=1", "--token-blocks=1"]
for objective in "time", "dram":
    said = check(f"in very little SRAM, least {objective}", names, wanted, *little, f"--objective={objective}", pieces=True)
    assert "--weight-pieces=auto: taken is --weight-pieces=50%, since nothing fits in SRAM else" in said, said
check("in half as much SRAM as auto takes", names, wanted, *little, "--weight-pieces=50%", pieces=True)
refused = subprocess.run([BIN / "hecaton-compile", WORK / "m.onnx", *SGD, *little, "--weight-pieces=100%", "-o", WORK / "no.hct"], capture_output=True, text=True)
assert refused.returncode == 1 and "E0402" in refused.stderr and not (WORK / "no.hct").exists(), refused.stderr

# pieces along a dimension that factors of a gradient do not divide: it is seen in those of the weight
run(BIN / "hecaton-model", "bloom-1.7b", "--layers=1", "--hidden=32", "--heads=4", "--ffn=128", "--vocab=50", "--seq=8", "--batch=1", "--seed=15", "-o", WORK / "m.onnx")
for name in ("ids", "labels"):
    np.save(WORK / f"{name}.npy", numbers.integers(0, 50, (1, 8)).astype(np.int64))
run(BIN / "hecaton-compile", WORK / "m.onnx", *SGD, "--backend=host", "-o", WORK / "host.so")
check("bloom of one sample in 3 pieces", ("embed.weight",), trained(WORK / "host.so", ("embed.weight",)), "--mesh=1x1", "--weight-pieces=3", pieces=True)

# dies that do not talk to each other for a while are not in one loop: the prediction must not take them to be
run(BIN / "hecaton-model", "gpt2-xl", "--layers=1", "--batch=24", "--no-weights", "-o", WORK / "m.onnx")
run(BIN / "hecaton-compile", WORK / "m.onnx", "--package=hecaton-4x4", "--dtype=bf16", "--micro-batch=1", "--token-blocks=4", "--groups=blocks", "--weight-pieces=4", "-o", WORK / "m.hct", "--report", WORK / "p.json")
run(BIN / "hecaton-sim", WORK / "m.hct", "--mode=timing", "--report", WORK / "s.json")
predicted, timed = (json.loads((WORK / f"{f}.json").read_text())["time"]["step_s"] for f in "ps")
assert abs(predicted - timed) <= 0.1 * timed, f"predicted {predicted}, simulated {timed}"
