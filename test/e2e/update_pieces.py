#!/usr/bin/env python3
"""The optimizer step piece by piece (--update-chunk) gives what it gives on whole tiles, bit by bit: losses and trained weights of the goldens,
under every optimizer, in f32 and bf16, on even and uneven tiles; DRAM bytes are the same. Of a large table it leaves only the gradient whole in SRAM.

usage: update_pieces.py BIN_DIRECTORY SHARED_DIRECTORY WORK_DIRECTORY sram|MODEL...
"""
import json
import subprocess
import sys
from pathlib import Path

from goldens import Golden, same_bits

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import share  # noqa: E402

WHOLE, STEPS = 1000000000, 3
TRAININGS = (("sgd", "f32"), ("sgd", "bf16"), ("momentum", "f32"), ("adam", "bf16"), ("adamw", "f32"), ("adamw", "bf16"))


def updates(golden, image):
    """Optimizer instructions of die 0."""
    lines = golden.run(golden.bin / "hecaton-objdump", "-d", "--die=0,0", image).splitlines()
    return sum(line.split()[1:2] == ["update"] for line in lines)


def train(golden, mesh, micro_batch, options, chunk):
    image = golden.compile(mesh, micro_batch, *options, f"--update-chunk={chunk}")
    losses, weights = golden.simulate(image, [f"param:{n}" for n in golden.gradients], f"--steps={STEPS}", "--report", golden.work / "report.json")
    traffic = json.loads((golden.work / "report.json").read_text())["traffic"]
    return losses, weights, (traffic["dram_read_bytes"], traffic["dram_write_bytes"]), updates(golden, image)


def check_golden(golden, mesh, micro_batch, optimizer, dtype, chunk):
    # what backward computes again may want parameters in SRAM, and so may forward in the same stage: they are then updated there as a whole
    options = [f"--optimizer={optimizer}", "--recompute=none", "--groups=blocks", "--lr=0.01", "--momentum=0.9", f"--dtype={dtype}"]
    whole, pieces = train(golden, mesh, micro_batch, options, WHOLE), train(golden, mesh, micro_batch, options, chunk)
    what = f"{golden.model} {mesh} micro-batch {micro_batch} {optimizer} {dtype} --update-chunk={chunk}"
    assert whole[0] == pieces[0] and len(whole[0]) == STEPS, f"{what}: losses {pieces[0]}, on whole tiles {whole[0]}"
    for name, want in whole[1].items():
        assert same_bits(pieces[1][name], want), f"{what}: {name} differs"
    assert whole[2] == pieces[2], f"{what}: DRAM bytes read and written {pieces[2]}, on whole tiles {whole[2]}"
    assert whole[3] == len(golden.gradients) < pieces[3], f"{what}: {pieces[3]} instructions of the optimizer, on whole tiles {whole[3]}, of {len(golden.gradients)} parameters"


def check_goldens(binaries, shared, work, model):
    golden = Golden(binaries, shared, work, model, [])
    for turn, (mesh, micro_batch, chunk) in enumerate((("1x1", 2, 100), ("2x3", 3, 7), ("4x4", 1, 16)), model == "llama"):
        for optimizer, dtype in share(TRAININGS, 2, turn):
            check_golden(golden, mesh, micro_batch, optimizer, dtype, chunk)


# ---- SRAM ----
ROWS, COLS, HIDDEN, CHUNK = 2, 2, 256, 65536


def most_live(binaries, work, vocabulary, chunk, dtype):
    """Of a model whose largest tile in training is that of its embedding; None when SRAM is too small for it."""
    model, image, report = work / "model.onnx", work / "program.hct", work / "report.json"
    subprocess.run([binaries / "hecaton-model", "gpt2", "--layers=1", f"--hidden={HIDDEN}", "--heads=4", f"--vocab={vocabulary}", "--seq=4", "--batch=2", "--no-weights", "-o", model], check=True)
    done = subprocess.run([binaries / "hecaton-compile", model, f"--mesh={ROWS}x{COLS}", "--micro-batch=1", "--groups=blocks", "--overlap=none", "--recompute=none", "--frozen=head.weight", "--weight-pieces=1", f"--dtype={dtype}", f"--update-chunk={chunk}", "-o", image],
                          capture_output=True, text=True)
    if done.returncode:
        assert "bytes of SRAM" in done.stderr, done.stderr
        return None
    subprocess.run([binaries / "hecaton-sim", image, "--mode=timing", "--report", report], check=True, capture_output=True)
    return json.loads(report.read_text())["sram"]["worst_moment"]["live_bytes"]


def check_sram(binaries, work):
    for vocabulary in (32000, 48000):
        gradient = vocabulary // ROWS * HIDDEN // COLS * 4
        for dtype, low in (("f32", 0), ("bf16", 2)):
            pieces = 2 * CHUNK * (3 * 4 + low)  # parameter, two states and the low copy, double-buffered
            beside = most_live(binaries, work, 8, CHUNK, dtype)  # all the rest of the model, which may be there at that moment
            whole, got = most_live(binaries, work, vocabulary, WHOLE, dtype), most_live(binaries, work, vocabulary, CHUNK, dtype)
            assert gradient < got <= gradient + pieces + beside, f"{dtype}, vocabulary {vocabulary}: {got} bytes of SRAM; the gradient takes {gradient}, pieces {pieces}, the rest {beside}"
            assert whole is None or whole >= 4 * gradient, f"{dtype}, vocabulary {vocabulary}: {whole} bytes of SRAM on whole tiles of {gradient} bytes"
            print(f"{dtype}, vocabulary {vocabulary}: {got} bytes of SRAM at most, of them gradient {gradient}, pieces {pieces}, rest up to {beside}; on whole tiles {whole}")


def main():
    binaries, shared, work, *what = sys.argv[1:]
    Path(work).mkdir(parents=True, exist_ok=True)
    for name in what:
        try:
            if name == "sram":
                check_sram(Path(binaries), Path(work))
            else:
                check_goldens(binaries, shared, work, name)
        except AssertionError as error:
            raise SystemExit(f"FAIL {error}")
        print(f"ok {name}")


main()
