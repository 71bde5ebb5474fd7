#!/usr/bin/python3
"""Trains a character-level GPT on a licence text, on the simulated dies of a package, and lets it write.

usage: char_gpt.py BIN_DIRECTORY WORK_DIRECTORY [--steps=N] [--hidden=N] [--characters=N] [--package=NAME]

Needs NumPy. Prints every command that it runs. In WORK_DIRECTORY afterwards: the model before and after, its programs, the checkpoint, report.json, and
loss.svg, the loss over the steps. Exit status 1 where the loss did not fall below the entropy of single characters.
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

BATCH, WINDOW, TEMPERATURE = 16, 64, 0.5
LICENCES, HERE = Path("/usr/share/common-licenses"), Path(__file__).resolve().parents[2]


def text_read():
    """The GPL of Debian's base-files, else what the project ships; the last tenth is kept for the test."""
    files = [LICENCES / "GPL-3"] if (LICENCES / "GPL-3").exists() else [HERE / "LICENSE", HERE / "README.md"]
    text = "".join(f.read_text() for f in files)
    return text[:len(text) * 9 // 10], text[len(text) * 9 // 10:], " and ".join(f.name for f in files)


def entropy(text):
    """Nats a character of one who knows how frequent each character is, and nothing else: the least loss without context."""
    counts = np.unique(list(text), return_counts=True)[1] / len(text)
    return float(-(counts * np.log(counts)).sum())


def run(bin_directory, *command, quiet=False):
    if not quiet:
        print("$", *command, flush=True)
    result = subprocess.run([str(bin_directory / command[0]), *command[1:]], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}\n{result.stderr}")


def picture_write(path, losses, floor, text_name):
    """The loss of each step, and the entropy of single characters as a dashed line."""
    width, height, left, top = 640, 320, 50, 30
    high = max(max(losses), floor) * 1.05
    x = lambda step: left + width * step / max(len(losses) - 1, 1)
    y = lambda loss: top + height * (1 - loss / high)
    line = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(losses))
    marks = "".join(f'<text x="{left - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v}</text><path d="M{left} {y(v):.1f}h{width}" stroke="#ddd"/>' for v in range(int(high) + 1))
    ends = "".join(f'<text x="{x(s):.1f}" y="{top + height + 16}" text-anchor="middle">{s}</text>' for s in (0, len(losses) // 2, len(losses) - 1))
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + left + 20}" height="{height + top + 40}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>{marks}{ends}'
                    f'<path d="M{left} {y(floor):.1f}h{width}" stroke="#c40" stroke-dasharray="6 4"/><text x="{left + width}" y="{y(floor) - 5:.1f}" text-anchor="end" fill="#c40">entropy of single characters, {floor:.2f}</text>'
                    f'<polyline points="{line}" fill="none" stroke="#04c" stroke-width="1.5"/><text x="{left}" y="18">loss (nats a character) over steps, {text_name}</text></svg>\n')


class Writer:
    """The saved model, compiled for inference on one die: one run of the simulator a character."""

    def __init__(self, bin_directory, characters):
        self.bin, self.characters = bin_directory, characters
        run(self.bin, "hecaton-compile", "trained.onnx", "-o", "infer.hct", "--mode=infer", "--mesh=1x1")

    def loss(self, tokens):
        """Mean over one batch of windows of text that was not trained on."""
        windows = np.stack([tokens[i * WINDOW:(i + 1) * WINDOW + 1] for i in np.arange(BATCH) % ((len(tokens) - 1) // WINDOW)])
        np.save("test_ids.npy", windows[:, :-1]), np.save("test_labels.npy", windows[:, 1:])
        run(self.bin, "hecaton-sim", "infer.hct", "--mode=functional", "--input", "ids=test_ids.npy", "--input", "labels=test_labels.npy", "--output", "loss=test_loss.npy")
        return float(np.load("test_loss.npy"))

    def next(self, written, rng):
        ids = np.zeros((BATCH, WINDOW), np.int64)
        seen = written[-WINDOW:]
        ids[0, :len(seen)] = seen  # what comes after a position does not change its logits
        np.save("ids.npy", ids)
        run(self.bin, "hecaton-sim", "infer.hct", "--mode=functional", "--input", "ids=ids.npy", "--input", "labels=ids.npy", "--output", "logits=logits.npy", quiet=True)
        scores = np.load("logits.npy").reshape(BATCH, WINDOW, -1)[0, len(seen) - 1] / TEMPERATURE
        chances = np.exp(scores - scores.max())
        return int(rng.choice(len(chances), p=chances / chances.sum()))


def train(bin_directory, tokens, count, options):
    starts = np.random.default_rng(1).integers(0, len(tokens) - WINDOW, (options.steps, BATCH))
    windows = tokens[starts[:, :, None] + np.arange(WINDOW + 1)]
    np.save("train_ids.npy", windows[:, :, :-1]), np.save("train_labels.npy", windows[:, :, 1:])
    run(bin_directory, "hecaton-model", "gpt2", "--layers=2", f"--hidden={options.hidden}", "--heads=4", f"--vocab={count}", f"--seq={WINDOW}", f"--batch={BATCH}", "--seed=1", "-o", "gpt.onnx")
    run(bin_directory, "hecaton-compile", "gpt.onnx", "-o", "train.hct", f"--package={options.package}", "--lr=0.006")
    command = ["hecaton-sim", "train.hct", "--mode=functional", "--input", "ids=train_ids.npy", "--input", "labels=train_labels.npy", "--checkpoint=train.ck"]
    first = options.steps * 3 // 4
    run(bin_directory, *command, f"--steps={first}")
    run(bin_directory, *command, f"--steps={options.steps}", "--resume=train.ck", "--set", "lr=0.0015", "--save-model", "trained.onnx", "--report", "report.json")
    return json.loads(Path("report.json").read_text())["loss"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin", type=Path), parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=600), parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--characters", type=int, default=200), parser.add_argument("--package", default="hecaton-4x4")
    options = parser.parse_args()
    bin_directory = options.bin.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    text, test, name = text_read()
    characters = sorted(set(text + test))
    encode = {c: i for i, c in enumerate(characters)}
    tokens, test_tokens = (np.array([encode[c] for c in t]) for t in (text, test))
    floor = entropy(text)
    print(f"{name}: {len(text)} characters of {len(characters)} kinds, {floor:.3f} nats a character each by itself", flush=True)
    losses = train(bin_directory, tokens, len(characters), options)
    picture_write(Path("loss.svg"), losses, floor, name)
    last = float(np.mean(losses[-10:]))
    writer = Writer(bin_directory, characters)
    test_loss = writer.loss(test_tokens)
    print(f"loss {losses[0]:.3f} at first, {last:.3f} over the last 10 of {len(losses)} steps, {test_loss:.3f} on text that it was not trained on; see loss.svg")
    rng, written = np.random.default_rng(1), [encode[c] for c in "  The "]
    for _ in range(options.characters):
        written.append(writer.next(written, rng))
    print("".join(characters[t] for t in written))
    sys.exit(0 if max(last, test_loss) < floor else f"the loss is not below {floor:.3f}, the entropy of single characters")


if __name__ == "__main__":
    main()
