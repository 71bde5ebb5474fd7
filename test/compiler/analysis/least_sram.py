#!/usr/bin/env python3
"""Of 11 equal layers, with SRAM for one byte less than a product takes whatever the plan, the product is named, with what it takes: its operands and its result, of one
micro-batch and block of tokens, over all dies, as found here from sizes of the model; with that much SRAM it is not. Where the compiler chooses, few candidates are compiled before a piece of a
weight that takes too much is given up. Of one layer the program is planned, and refused with a map of all that is in SRAM.

usage: least_sram.py BIN_DIRECTORY WORK_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
PACKAGE = (Path(__file__).resolve().parents[3] / "tools/packages/hecaton-2x2.xml").read_text()
WORK.mkdir(parents=True, exist_ok=True)
HIDDEN, FFN, SEQUENCE, BATCH, DIES = 16, 128, 32, 4, 4
ALONE = re.compile(r"error\[E0402\]: the plan needs (\d+) bytes of SRAM on a die that has (\d+), or more: this product alone")


def compiled(model, sram_bytes, *options):
    text, found = re.subn(r'(<sram\b[^>]*\bbytes=")[^"]*', rf"\g<1>{sram_bytes}", PACKAGE)
    assert found == 1, "the package has no SRAM"
    (WORK / "p.xml").write_text(text)
    image = WORK / "p.hct"
    result = subprocess.run([BIN / "hecaton-compile", WORK / f"{model}.onnx", f"--package={WORK / 'p.xml'}", "-o", image, *options], capture_output=True, text=True)
    assert result.returncode in (0, 1) and image.exists() == (result.returncode == 0), result.stderr
    image.unlink(missing_ok=True)
    return result.stderr


def largest_product(samples, blocks, pieces, element_bytes, trains):
    """Of the feed-forward layer: tokens of HIDDEN, of FFN, and a weight, or its gradient in float32."""
    tokens, features = samples * SEQUENCE // blocks, FFN // pieces
    weight_bytes = 4 if trains else element_bytes
    return tokens * HIDDEN * element_bytes // DIES + tokens * features * element_bytes // DIES + HIDDEN * features * weight_bytes // DIES


for name, layers, hidden, ffn in ((1, 1, HIDDEN, FFN), (12, 12, HIDDEN, FFN), ("wide", 12, 64, 1024)):
    sizes = [f"--layers={layers}", f"--hidden={hidden}", "--heads=4", "--kv-heads=4", f"--ffn={ffn}", "--vocab=16", f"--seq={SEQUENCE}", f"--batch={BATCH}", "--seed=1"]
    subprocess.run([BIN / "hecaton-model", "tinyllama-1.1b", *sizes, "-o", WORK / f"{name}.onnx"], check=True, capture_output=True)

for samples, blocks, pieces, dtype, mode in ((1, 1, 1, "f32", "train"), (2, 2, 4, "f32", "train"), (1, 2, 2, "bf16", "train"), (2, 1, 1, "bf16", "infer")):
    options = [f"--micro-batch={samples}", f"--token-blocks={blocks}", f"--weight-pieces={pieces}", f"--dtype={dtype}", f"--mode={mode}", "--groups=blocks", "--attention-blocks=8", "--weights=streamed"]
    least = largest_product(samples, blocks, pieces, 2 if dtype == "bf16" else 4, mode == "train")
    said = compiled(12, least - 1, *options)
    found = ALONE.search(said)
    assert found and [int(n) for n in found.groups()] == [least, least - 1], f"{options}: {least}\n{said}"
    shares = [int(n) for n in re.findall(r"^  note: +(\d+) bytes  a die's part of ", said, re.M)]
    assert len(shares) == 3 and sum(shares) == least and ("hint: a smaller --micro-batch" in said) == (samples > 1) and (f", {samples} of {BATCH} samples" in said), said
    print("ok", *options, least)

# with one byte more it is planned, as is a model of one layer in any case
for model, sram_bytes in ((12, least), (1, least - 1)):
    said = compiled(model, sram_bytes, *options)
    assert not ALONE.search(said), f"{options}: {least}\n{said}"
assert "the worst moment" in said, said

said = compiled("wide", 2000, "--dtype=bf16", "--weights=streamed", "--weight-pieces=16")  # a piece of a weight, of the most there may be, takes more
assert ALONE.search(said) and int(ALONE.search(said)[1]) > 2000, said
