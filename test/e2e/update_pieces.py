#!/usr/bin/env python3
"""The optimizer step piece by piece (--update-chunk) gives what it gives on whole tiles, bit by bit: losses and trained weights of the goldens,
under every optimizer, in f32 and bf16, on even and uneven tiles. It moves the same bytes, and leaves of a large table only the gradient whole in SRAM.

usage: update_pieces.py BIN_DIRECTORY SHARED_DIRECTORY WORK_DIRECTORY [MODEL...]
With models: the goldens of these names; without: bytes and SRAM of models of hecaton-model.
"""
import itertools
import json
import sys
from pathlib import Path

from goldens import Golden, same_bits

WHOLE, STEPS = "--update-chunk=1000000000", 3
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")


def instructions(golden, image, mnemonic):
    return sum(line.split()[1:2] == [mnemonic] for line in golden.run(golden.bin / "hecaton-objdump", "-d", image).splitlines())


def train(golden, mesh, micro_batch, options, chunk):
    image = golden.compile(mesh, micro_batch, *options, chunk)
    losses, weights = golden.simulate(image, [f"param:{n}" for n in golden.gradients], f"--steps={STEPS}", "--report", golden.work / "report.json")
    traffic = json.loads((golden.work / "report.json").read_text())["traffic"]
    return losses, weights, (traffic["dram_read_bytes"], traffic["dram_write_bytes"])


def check_golden(golden, mesh, micro_batch, optimizer, dtype, chunk):
    options = [f"--optimizer={optimizer}", "--lr=0.01", "--momentum=0.9", f"--dtype={dtype}"]
    whole, pieces = train(golden, mesh, micro_batch, options, WHOLE), train(golden, mesh, micro_batch, options, f"--update-chunk={chunk}")
    what = f"{golden.model} {mesh} micro-batch {micro_batch} {optimizer} {dtype} --update-chunk={chunk}"
    assert whole[0] == pieces[0] and len(whole[0]) == STEPS, f"{what}: losses {pieces[0]}, on whole tiles {whole[0]}"
    for name, want in whole[1].items():
        assert same_bits(pieces[1][name], want), f"{what}: {name} differs"
    assert whole[2] == pieces[2], f"{what}: DRAM bytes read and written {pieces[2]}, on whole tiles {whole[2]}"


def main():
    binaries, shared, work, *models = sys.argv[1:]
    Path(work).mkdir(parents=True, exist_ok=True)
    for model in models:
        golden = Golden(binaries, shared, work, model, [])
        for mesh, micro_batch, chunk in (("1x1", 2, 100), ("2x3", 3, 7), ("4x4", 1, 16)):
            for optimizer, dtype in itertools.product(OPTIMIZERS, ("f32", "bf16")):
                check_golden(golden, mesh, micro_batch, optimizer, dtype, chunk)
        print(f"{model}: ok")


main()
