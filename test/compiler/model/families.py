#!/usr/bin/env python3
"""Each family of hecaton-model is the architecture of its name: its loss is that of the formulas below, on the host and on dies, and its
parameters are as many as its authors count.

usage: families.py BIN_DIRECTORY WORK_DIRECTORY
"""
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).parents[2]))
from checks import share_sanitized  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
BATCH, SEQ, VOCAB = 4, 8, 40
failures = 0
erf = np.vectorize(math.erf)


def check(name, good, said=""):
    global failures
    if not good:
        failures += 1
        print(f"FAIL {name}: {said}")


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gelu_tanh(u):
    return 0.5 * u * (1 + np.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))


class Model:
    """Formulas in double precision over the weights that the model carries."""

    def __init__(self, path, heads):
        self.w = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in onnx.load(str(path)).graph.initializer}
        self.heads, self.used = heads, set()

    def get(self, name):
        self.used.add(name)
        return self.w[name]

    def linear(self, x, name, bias=True):
        return x @ self.get(f"{name}.weight") + (self.get(f"{name}.bias") if bias else 0)

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * self.get(f"{name}.weight") + self.get(f"{name}.bias")

    def mix(self, q, k, v, bias):
        """q, k, v: [batch, sequence, head, width]."""
        scores = np.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1]) + bias
        return np.einsum("bhij,bjhd->bihd", softmax(scores), v).reshape(*q.shape[:2], -1)

    def layers(self):
        return sorted({n.split(".")[1] for n in self.w if n.startswith("layers.")}, key=int)

    def loss(self, ids, labels):
        logits = self.logits(ids)
        top = logits.max(-1, keepdims=True)
        log_sum = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
        each = log_sum - np.take_along_axis(logits, np.maximum(labels, 0)[..., None], -1)[..., 0]
        check("every weight is used", self.used == set(self.w), set(self.w) - self.used)
        return each[labels != -100].mean()


class Bert(Model):  # Devlin et al., 2019: masked language model, one segment
    def logits(self, ids):
        split = lambda x: x.reshape(*x.shape[:2], self.heads, -1)
        x = self.norm(self.get("embed.weight")[ids] + self.get("position.weight")[: ids.shape[1]] + self.get("type.weight")[0], "embed_norm")
        for layer in self.layers():
            p = f"layers.{layer}."
            y = self.mix(*(split(self.linear(x, f"{p}attn.{n}")) for n in "qkv"), 0)
            x = self.norm(x + self.linear(y, f"{p}attn.out"), f"{p}attn.norm")
            u = self.linear(x, f"{p}mlp.fc")
            x = self.norm(x + self.linear(0.5 * u * (1 + erf(u / math.sqrt(2))), f"{p}mlp.out"), f"{p}mlp.norm")
        u = self.linear(x, "head.dense")
        return self.norm(0.5 * u * (1 + erf(u / math.sqrt(2))), "head.norm") @ self.get("embed.weight").T + self.get("head.bias")


class Bloom(Model):  # BigScience, 2022; ALiBi: Press et al., 2022
    def slopes(self, n):
        if n & (n - 1) == 0:
            return [2 ** (-8 * (i + 1) / n) for i in range(n)]
        low = 1 << (n.bit_length() - 1)
        return self.slopes(low) + self.slopes(2 * low)[0::2][: n - low]

    def logits(self, ids):
        n = ids.shape[1]
        i, j = np.arange(n)[:, None], np.arange(n)[None, :]
        bias = np.where(j > i, -np.inf, -np.array(self.slopes(self.heads))[:, None, None] * (i - j))
        x = self.norm(self.get("embed.weight")[ids], "embed_norm")
        for layer in self.layers():
            p = f"layers.{layer}."
            qkv = self.linear(self.norm(x, f"{p}input_norm"), f"{p}attn.qkv").reshape(*ids.shape, self.heads, 3, -1)
            x = x + self.linear(self.mix(*(qkv[:, :, :, part] for part in range(3)), bias), f"{p}attn.out")
            x = x + self.linear(gelu_tanh(self.linear(self.norm(x, f"{p}post_norm"), f"{p}mlp.fc")), f"{p}mlp.out")
        return self.norm(x, "norm") @ self.get("embed.weight").T


tokens = np.arange(BATCH * SEQ + 1, dtype=np.int64) * 11 % VOCAB
ids, labels = tokens[:-1].reshape(BATCH, SEQ), tokens[1:].reshape(BATCH, SEQ).copy()
labels[:, ::3] = -100
np.save(WORK / "ids.npy", ids), np.save(WORK / "labels.npy", labels)


def simulated(path, *options):
    program = WORK / "program"
    subprocess.run([str(BIN / "hecaton-compile"), str(path), "-o", str(program), "--optimizer=sgd", "--lr=0.1", *options], check=True, capture_output=True)
    out = subprocess.run([str(BIN / "hecaton-sim"), str(program), "--mode=functional", "--steps=3", "--input", f"ids={WORK}/ids.npy", "--input", f"labels={WORK}/labels.npy"], check=True, capture_output=True, text=True).stdout
    return np.array([float(line.split()[-1]) for line in out.splitlines() if line.startswith("step ") and " loss " in line])


for number, (name, reference, hidden, heads) in enumerate((("bert-base", Bert, 16, 4), ("bert-large", Bert, 24, 2), ("bloom-1.7b", Bloom, 16, 4), ("bloom-1.7b", Bloom, 24, 6))):
    path = WORK / f"{name}-{heads}.onnx"
    subprocess.run([str(BIN / "hecaton-model"), name, "--layers=2", f"--hidden={hidden}", f"--heads={heads}", f"--vocab={VOCAB}", f"--seq={SEQ}", f"--batch={BATCH}", "--seed=5", "-o", str(path)], check=True)
    onnx.checker.check_model(str(path), full_check=True)
    # gains of one and biases of zero say little: every weight gets noise of its own
    model = onnx.load(str(path))
    random = np.random.default_rng(7)
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array((value + random.normal(0, 0.2, value.shape)).astype(np.float32), tensor.name))
    onnx.save(model, str(path))
    want = reference(path, heads).loss(ids, labels)
    host = simulated(path, "--backend=host")
    check(f"{name}, {heads} heads: the host's loss", abs(host[0] / want - 1) < 1e-5, (host[0], want))
    check(f"{name}: it trains", host[-1] < host[0], host)
    for mesh, micro_batch in share_sanitized((("2x2", 2), ("2x3", 4), ("3x2", 1)), 3, number):
        dies = simulated(path, f"--mesh={mesh}", f"--micro-batch={micro_batch}")
        check(f"{name}, {heads} heads, {mesh}: the dies' losses", np.abs(dies / host - 1).max() < 1e-5, (dies, host))

# As transformers counts BertForMaskedLM (base, large) and BloomForCausalLM (1b7).
for name, count in {"bert-base": 109_514_298, "bert-large": 335_174_458, "bloom-1.7b": 1_722_408_960}.items():
    path = WORK / f"{name}.onnx"
    subprocess.run([str(BIN / "hecaton-model"), name, "--no-weights", "-o", str(path)], check=True)
    have = sum(math.prod(t.dims) for t in onnx.load(str(path), load_external_data=False).graph.initializer)
    check(f"{name}: parameters", have == count, f"{have}, and not {count}")
print("failures:", failures)
sys.exit(1 if failures else 0)
