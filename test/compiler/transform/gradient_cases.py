"""Cases of gradients.py: ONNX nodes on a few small parameters, and what they compute in NumPy."""
from collections import namedtuple

import numpy as np

# nodes: (operator, inputs, outputs, attributes); parameters are p0, p1, ..., constants c0, ..., results y0, ...; `_`: an input left out
Case = namedtuple("Case", "name opset nodes parameters constants function")
Graph = namedtuple("Graph", "inputs nodes outputs")  # an attribute
CASES = []
numbers = np.random.default_rng(5)


def f32(*shape):
    return numbers.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return (numbers.random(shape) + 0.5).astype(np.float32)


def chain(name, nodes, parameters, function, constants=(), opset=18):
    CASES.append(Case(name, opset, nodes, parameters, constants, function))


def one(op, parameters, function, constants=(), opset=18, inputs=None, outputs="y0", **attributes):
    given = inputs or " ".join([f"p{k}" for k in range(len(parameters))] + [f"c{k}" for k in range(len(constants))])
    chain(f"{op} {attributes}", [(op, given, outputs, attributes)], parameters, function, constants, opset)


def through(nodes, function, x=None, constants=()):
    """x times nodes from `p0` to `t` that are constant almost everywhere: back through them nothing flows."""
    x = f32(3, 4) if x is None else x
    chain(" ".join(op for op, *_ in nodes), [*nodes, ("Cast", "t", "t_float", {"to": 1}), ("Mul", "p0 t_float", "y0", {})], [x], lambda x: x * function(x), constants)


# ---- elementwise ----
one("Add", [f32(3, 4), f32(4)], lambda a, b: a + b)
one("Sub", [f32(3, 1), f32(2, 1, 4)], lambda a, b: a - b)
one("Mul", [f32(3, 4), f32(3, 1)], lambda a, b: a * b)
one("Mul", [f32(3, 4)], lambda a: a * a, inputs="p0 p0")
one("Div", [f32(3, 4), positive(4)], lambda a, b: a / b)
one("Pow", [positive(3, 4), f32(4)], lambda a, b: a**b)
one("Pow", [f32(3, 4)], lambda a: a**3, [np.float32(3)])
one("Max", [f32(3, 4), f32(4)], np.maximum)
one("Max", [np.array([1, 2, 3], np.float32), np.array([1, 2.5, 3], np.float32)], np.maximum)  # equal: half each, which is the central difference
one("Min", [np.array([1, 2, 3], np.float32), np.array([1, 2.5, 3], np.float32)], np.minimum)
one("Mod", [f32(3, 4), positive(4)], np.fmod, fmod=1)
for op, function in {"Neg": np.negative, "Exp": np.exp, "Tanh": np.tanh, "Relu": lambda a: np.maximum(a, 0), "Sigmoid": lambda a: 1 / (1 + np.exp(-a)), "Identity": lambda a: a}.items():
    one(op, [f32(3, 4)], function)
for op, function in {"Log": np.log, "Sqrt": np.sqrt, "Reciprocal": np.reciprocal}.items():
    one(op, [positive(3, 4)], function)
one("Cast", [f32(3, 4)], lambda a: a, to=1)
one("CastLike", [f32(3, 4)], lambda a: a, [f32(1)])
for to in (17, 20, 23):  # straight through, what saturates too
    chain(f"Cast to type {to}", [("Cast", "p0", "t0", {"to": to}), ("Cast", "t0", "y0", {"to": 1})], [1e3 * f32(3, 4)], lambda a: a, opset=25)
one("DequantizeLinear", [f32(4)], lambda s: np.array([[1, -2, 3, 4], [5, 6, 7, -8]]) * s, [np.array([[1, -2, 3, 4], [5, 6, 7, -8]], np.int8)], inputs="c0 p0")
one("DynamicQuantizeLinear", [f32(3, 4)], lambda x: (max(x.max(), 0) - min(x.min(), 0)) / 255, outputs="t0 y0 t1")
chain("QuantizeLinear to float8", [("QuantizeLinear", "p0 c0", "t0", {"output_dtype": 17}), ("DequantizeLinear", "t0 c0", "y0", {})], [f32(3, 4)], lambda a: a, [np.float32(0.25)], opset=25)
one("Dropout", [f32(3, 4)], lambda a: a)
one("Where", [f32(3, 4), f32(4)], lambda a, b: np.where([[True], [False], [True]], a, b), [np.array([[True], [False], [True]])], inputs="c0 p0 p1")
through([("Less", "p0 c0", "t0", {}), ("Not", "t0", "t", {})], lambda x: x >= 0.1, constants=[np.float32(0.1)])
for op, function in {"Greater": np.greater, "GreaterOrEqual": np.greater_equal, "Less": np.less, "LessOrEqual": np.less_equal}.items():
    through([(op, "p0 c0", "t", {})], lambda x, f=function: f(x, 0.1), constants=[np.float32(0.1)])
for op, function in {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}.items():
    through([("Less", "p0 c0", "t0", {}), ("Less", "p0 c1", "t1", {}), (op, "t0 t1", "t", {})], lambda x, f=function: f(x < 0.4, x < -0.3), constants=[np.float32(0.4), np.float32(-0.3)])
for op, function in {"BitwiseAnd": np.bitwise_and, "BitwiseOr": np.bitwise_or, "BitwiseXor": np.bitwise_xor}.items():
    through([("Cast", "p0", "t0", {"to": 6}), (op, "t0 c0", "t", {})], lambda x, f=function: f(np.trunc(x).astype(np.int32), 5), 4 * f32(3, 4), [np.array(5, np.int32)])
through([("Cast", "p0", "t0", {"to": 6}), ("BitwiseNot", "t0", "t", {})], lambda x: ~np.trunc(x).astype(np.int32), 4 * f32(3, 4))
through([("Floor", "p0", "t0", {}), ("Equal", "t0 c0", "t", {})], lambda x: np.floor(x) == 0, constants=[np.float32(0)])
for op, function in {"Floor": np.floor, "Round": np.rint, "Ceil": np.ceil, "Sign": np.sign, "IsNaN": np.isnan, "IsInf": np.isinf}.items():
    through([(op, "p0", "t", {})], function, 3 * f32(3, 4))
for op, function in {"ArgMax": np.argmax, "ArgMin": np.argmin}.items():
    through([(op, "p0", "t", {"axis": 1})], lambda x, f=function: f(x, 1)[:, None])
through([("Hardmax", "p0", "t", {})], lambda x: x == x.max(1, keepdims=True))

# ---- shape ----
one("Reshape", [f32(3, 4)], lambda a: a.reshape(2, 6), [np.array([2, -1])])
one("Flatten", [f32(2, 3, 2)], lambda a: a.reshape(2, 6))
one("Squeeze", [f32(3, 1, 4)], lambda a: a[:, 0], [np.array([1])])
one("Unsqueeze", [f32(3, 4)], lambda a: a[:, None], [np.array([1])])
one("Transpose", [f32(2, 3, 4)], lambda a: a.transpose(2, 0, 1), perm=[2, 0, 1])
one("Expand", [f32(3, 1)], lambda a: np.broadcast_to(a, (2, 3, 4)), [np.array([2, 3, 4])])
one("Concat", [f32(3, 2), f32(3, 4), f32(3, 1)], lambda a, b, c: np.concatenate([a, b, c], 1), axis=1)
one("Split", [f32(3, 6)], lambda a: (a[:, :2], a[:, 2:3], a[:, 3:]), [np.array([2, 1, 3])], outputs="y0 y1 y2", axis=1)
one("Slice", [f32(5, 6)], lambda a: a[4:0:-2, 1:6:3], [np.array([4, 1]), np.array([0, 6]), np.array([0, 1]), np.array([-2, 3])])
chain("overlapping slices", [("Slice", "p0 c0 c1", "y0", {}), ("Slice", "p0 c2 c3", "y1", {})], [f32(6, 2)], lambda a: (a[0:4], a[2:6]), [np.array([0]), np.array([4]), np.array([2]), np.array([6])])
one("Pad", [f32(3, 4)], lambda a: np.pad(a, ((1, 0), (0, 2))), [np.array([1, 0, 0, 2])])
one("If", [f32(3, 4)], lambda a: -a, [np.array(False)], inputs="c0", then_branch=Graph("", [("Exp", "p0", "a0", {})], "a0"), else_branch=Graph("", [("Neg", "p0", "b0", {})], "b0"))

# ---- reductions, products, rows ----
one("ReduceSum", [f32(3, 4)], lambda a: a.sum(1, keepdims=True), [np.array([1])])
one("ReduceMean", [f32(2, 3, 4)], lambda a: a.mean((0, 2)), [np.array([0, 2])], keepdims=0)
one("ReduceMax", [f32(3, 4)], lambda a: a.max(1), [np.array([1])], keepdims=0)
one("ReduceMin", [f32(3, 4)], lambda a: a.min(0), [np.array([0])], keepdims=0)
one("MatMul", [f32(2, 3, 4), f32(4, 5)], np.matmul)
one("MatMul", [f32(2, 1, 3, 4), f32(3, 4, 2)], np.matmul)
one("MatMul", [f32(4), f32(4, 3)], np.matmul)
one("Gemm", [f32(4, 3), f32(5, 4), f32(5)], lambda a, b, c: 0.5 * a.T @ b.T + 0.25 * c, transA=1, transB=1, alpha=0.5, beta=0.25)
one("Einsum", [f32(2, 3), f32(3, 4), f32(4)], lambda a, b, c: np.einsum("ab,bc,c->ca", a, b, c), equation="ab,bc,c->ca")
one("Einsum", [f32(2, 3), f32(4, 5)], lambda a, b: np.einsum("ij,kl->jk", a, b), equation="ij,kl->jk")
one("Einsum", [f32(2, 3, 3)], lambda a: np.einsum("bii->b", a), equation="bii->b")
one("OneHot", [f32(2)], lambda v: np.where(np.arange(4) == [[1], [3], [0]], v[1], v[0]), [np.array([1, 3, 0]), np.array(4)], inputs="c0 c1 p0")
one("Gather", [f32(5, 3)], lambda a: a[[[1, 1, -1], [0, 4, 1]]], [np.array([[1, 1, -1], [0, 4, 1]])])
IDS = np.array([3, 0, -1], np.float32)  # known at run time alone, so that rows are scattered there
chain("ScatterND of updates", [("Cast", "c0", "t0", {"to": 7}), ("Unsqueeze", "t0 c1", "t1", {}), ("ScatterND", "p0 t1 p1", "y0", {"reduction": "add"})], [f32(4, 2), f32(3, 2)],
      lambda a, u: a + np.stack([u[1], 0 * u[0], 0 * u[0], u[0] + u[2]]), [IDS, np.array([1])])


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(z, axis=-1):
    z = z - z.max(axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis, keepdims=True))


one("Softmax", [f32(3, 4)], softmax)
one("Softmax", [f32(2, 3, 4)], lambda z: softmax(z, 1), axis=1)
one("LogSoftmax", [f32(3, 4)], log_softmax)
LABELS = np.array([[1, 0, 4], [2, 2, 3]])
CLASS_WEIGHTS = np.array([1, 0.5, 2, 0.25, 1.5], np.float32)


def likelihood(p, reduction, weights=None, ignore=None):
    weight = (np.ones(5) if weights is None else weights.astype(np.float64))[LABELS] * (LABELS != ignore)
    cost = -np.take_along_axis(p, LABELS[:, None], 1)[:, 0] * weight
    return {"none": cost, "sum": cost.sum(), "mean": cost.sum() / weight.sum()}[reduction]


for reduction in ("none", "sum", "mean"):
    one("NegativeLogLikelihoodLoss", [f32(2, 5, 3)], lambda p, r=reduction: likelihood(p, r, CLASS_WEIGHTS, 2), [LABELS, CLASS_WEIGHTS], reduction=reduction, ignore_index=2)
    one("SoftmaxCrossEntropyLoss", [f32(2, 5, 3)], lambda z, r=reduction: likelihood(log_softmax(z, 1), r), [LABELS], reduction=reduction)
one("SoftmaxCrossEntropyLoss", [f32(2, 5, 3)], lambda z: (likelihood(log_softmax(z, 1), "mean", CLASS_WEIGHTS), log_softmax(z, 1)), [LABELS, CLASS_WEIGHTS], outputs="y0 y1")

# ---- normalisations ----


def standard(x, axes, epsilon=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def per_channel(a, rank):
    return a.reshape(-1, *[1] * (rank - 2))


one("LayerNormalization", [f32(2, 3, 4), f32(4), f32(4)], lambda x, g, b: standard(x, (2,)) * g + b)
one("LayerNormalization", [f32(2, 3, 4), f32(3, 4)], lambda x, g: standard(x, (1, 2), 0.1) * g, axis=1, epsilon=0.1)
one("RMSNormalization", [f32(2, 3, 4), f32(4)], lambda x, g: x / np.sqrt((x * x).mean(2, keepdims=True) + 1e-5) * g, opset=23)
one("GroupNormalization", [f32(2, 4, 3), f32(4), f32(4)], lambda x, g, b: standard(x.reshape(2, 2, 6), (2,)).reshape(2, 4, 3) * per_channel(g, 3) + per_channel(b, 3), opset=21, num_groups=2)
one("InstanceNormalization", [f32(2, 3, 5), f32(3), f32(3)], lambda x, g, b: standard(x, (2,)) * per_channel(g, 3) + per_channel(b, 3))
one("BatchNormalization", [f32(2, 3, 2), f32(3), f32(3), f32(3), positive(3)],
    lambda x, g, b, m, v: (x - per_channel(m, 3)) / np.sqrt(per_channel(v, 3) + 1e-5) * per_channel(g, 3) + per_channel(b, 3))
one("MeanVarianceNormalization", [f32(2, 3, 2, 2)], lambda x: standard(x, (0, 2, 3), 0))
one("LpNormalization", [f32(3, 4)], lambda x: x / np.sqrt((x * x).sum(1, keepdims=True)))
one("LpNormalization", [f32(3, 4)], lambda x: x / np.abs(x).sum(0, keepdims=True), p=1, axis=0)


def across_channels(x, size, alpha, beta, bias):
    squares = np.stack([(x[:, max(0, c - (size - 1) // 2): c + size // 2 + 1] ** 2).sum(1) for c in range(x.shape[1])], 1)
    return x / (bias + alpha / size * squares) ** beta


one("LRN", [f32(2, 5, 3)], lambda x: across_channels(x, 3, 0.5, 0.75, 1.5), size=3, alpha=0.5, beta=0.75, bias=1.5)

# ---- attention ----


def attention(q, k, v, mask=None, cap=0.0):
    """[batch, heads, tokens, features]; heads of k and v are repeated."""
    k, v = (np.repeat(a, q.shape[1] // a.shape[1], 1) for a in (k, v))
    scores = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[3])
    scores = cap * np.tanh(scores / cap) if cap else scores
    return softmax(scores if mask is None else np.where(mask, scores, -1e30)) @ v


def split_heads(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


one("Attention", [f32(2, 2, 3, 4), f32(2, 1, 5, 4), f32(2, 1, 5, 4)], attention, opset=23)
one("Attention", [f32(2, 3, 8), f32(2, 3, 4), f32(2, 3, 4)],
    lambda q, k, v: attention(split_heads(q, 2), split_heads(k, 1), split_heads(v, 1), np.tri(3, dtype=bool), 2.0).swapaxes(1, 2).reshape(2, 3, 8), opset=23, q_num_heads=2, kv_num_heads=1, is_causal=1, softcap=2.0)
one("Attention", [f32(1, 2, 2, 4), f32(1, 2, 3, 4), f32(1, 2, 3, 4), f32(2, 3)], lambda q, k, v, m: softmax(q @ k.swapaxes(2, 3) / 2 + m) @ v, opset=23)


def rotated(x, cos, sin, interleaved):
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else np.split(x, 2, -1)
    pair = a * cos - b * sin, a * sin + b * cos
    return np.stack(pair, -1).reshape(x.shape) if interleaved else np.concatenate(pair, -1)


for interleaved in (0, 1):
    one("RotaryEmbedding", [f32(2, 2, 3, 4), f32(2, 3, 2), f32(2, 3, 2)], lambda x, c, s, i=interleaved: rotated(x, c[:, None], s[:, None], i), opset=23, interleaved=interleaved)
one("SwiGLU", [f32(3, 4), f32(3, 4)], lambda a, b: a / (1 + np.exp(-a)) * b, opset=28)

# ---- convolutions and pools ----


def conv(x, w, strides, pads, groups=1, dilations=(1, 1)):
    """[batch, channels, height, width]; pads: those before, those after"""
    x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    high, wide = ((x.shape[2 + d] - dilations[d] * (w.shape[2 + d] - 1) - 1) // strides[d] + 1 for d in (0, 1))
    y = np.zeros((x.shape[0], w.shape[0], high, wide))
    inside, outside = x.shape[1] // groups, w.shape[0] // groups
    for g in range(groups):
        for i, j in np.ndindex(w.shape[2:]):
            part = x[:, g * inside:(g + 1) * inside, i * dilations[0]:, j * dilations[1]:][:, :, ::strides[0], ::strides[1]][:, :, :high, :wide]
            y[:, g * outside:(g + 1) * outside] += np.einsum("bchw,oc->bohw", part, w[g * outside:(g + 1) * outside, :, i, j])
    return y


def conv_transpose(x, w, strides):
    y = np.zeros((x.shape[0], w.shape[1], *((x.shape[2 + d] - 1) * strides[d] + w.shape[2 + d] for d in (0, 1))))
    for (h, v), (i, j) in ((a, b) for a in np.ndindex(x.shape[2:]) for b in np.ndindex(w.shape[2:])):
        y[:, :, h * strides[0] + i, v * strides[1] + j] += np.einsum("bc,co->bo", x[:, :, h, v], w[:, :, i, j])
    return y


def windows(x, size, stride):
    return np.stack([x[:, :, i:][:, :, ::stride][:, :, : (x.shape[2] - size) // stride + 1] for i in range(size)])


one("Conv", [f32(1, 2, 5, 4), f32(3, 2, 3, 2), f32(3)], lambda x, w, b: conv(x, w, (2, 1), (1, 0, 1, 1)) + b[:, None, None], strides=[2, 1], pads=[1, 0, 1, 1])
one("Conv", [f32(2, 2, 5, 3), f32(4, 1, 2, 2)], lambda x, w: conv(x, w, (1, 1), (0,) * 4, 2, (2, 1)), group=2, dilations=[2, 1])
one("ConvTranspose", [f32(2, 2, 3, 2), f32(2, 3, 2, 3), f32(3)], lambda x, w, b: conv_transpose(x, w, (2, 1)) + b[:, None, None], strides=[2, 1])
one("CausalConvWithState", [f32(2, 3, 4), f32(3, 1, 3), f32(3), f32(2, 3, 2)],
    lambda x, w, b, p: (conv(np.concatenate([p, x], 2)[..., None], w[..., None], (1, 1), (0,) * 4, 3)[..., 0] + b[:, None], np.concatenate([p, x], 2)[:, :, -2:]), opset=27, outputs="y0 y1")
one("AveragePool", [f32(2, 2, 7)], lambda x: windows(x, 3, 2).mean(0), kernel_shape=[3], strides=[2])
one("MaxPool", [f32(2, 2, 7)], lambda x: windows(x, 3, 2).max(0), kernel_shape=[3], strides=[2])
one("GlobalAveragePool", [f32(2, 3, 2, 2)], lambda x: x.mean((2, 3), keepdims=True))
one("GlobalMaxPool", [f32(2, 3, 2, 2)], lambda x: x.max((2, 3), keepdims=True))

# ---- loops and recurrences ----
def recurrent(h, x, w, last_first):
    states, order = [], range(len(x))[::-1] if last_first else range(len(x))
    for t in order:
        h = np.tanh(h @ w + x[t])
        states.append(h * x[t])
    return h, np.stack(states)


CELL = [("MatMul", "h0 p2", "a0", {}), ("Add", "a0 v0", "a1", {}), ("Tanh", "a1", "h1", {}), ("Mul", "h1 v0", "o0", {})]
one("Scan", [f32(1, 2), f32(18, 1, 2), f32(2, 2)], lambda h, x, w: recurrent(h, x, w, True), inputs="p0 p1", outputs="y0 y1", num_scan_inputs=1, scan_input_directions=[1], body=Graph("h0 v0", CELL, "h1 o0"))
one("Loop", [f32(2, 3), f32(4, 2, 3), f32(3, 3)], lambda h, x, w: recurrent(h, x, w, False), [np.array(4)], inputs="c0 _ p0", outputs="y0 y1",
    body=Graph("i0 g0 h0", [("Gather", "p1 i0", "v0", {}), *CELL], "g0 h1 o0"))


def linear_attention(q, k, v, past=None, decay=None, beta=None):
    """Of one sample, two query heads and one head; decay: [tokens, 1 or key]; beta: [tokens, 1]"""
    state, read = np.zeros((k.shape[2], v.shape[2])) if past is None else past[0, 0], []
    for t in range(k.shape[1]):
        state = state * (1 if decay is None else np.exp(decay[0, t])[:, None])
        state = state + np.outer(k[0, t], v[0, t] if beta is None else beta[0, t] * (v[0, t] - k[0, t] @ state))
        read.append(np.concatenate([query @ state for query in q[0, t].reshape(2, -1)]) / np.sqrt(k.shape[2]))
    return np.stack(read)[None], state[None, None]


QKV, HEADS = [f32(1, 3, 4), f32(1, 3, 2), f32(1, 3, 3)], {"opset": 27, "outputs": "y0 y1", "q_num_heads": 2, "kv_num_heads": 1}
one("LinearAttention", QKV, linear_attention, update_rule="linear", **HEADS)
one("LinearAttention", [*QKV, f32(1, 1, 2, 3), -positive(1, 3, 1)], linear_attention, update_rule="gated", **HEADS)
one("LinearAttention", [*QKV, f32(1, 1, 2, 3), -positive(1, 3, 2)], linear_attention, update_rule="gated", **HEADS)
one("LinearAttention", [*QKV, positive(1, 3, 1)], lambda q, k, v, b: linear_attention(q, k, v, beta=b), inputs="p0 p1 p2 _ _ p3", update_rule="delta", **HEADS)
one("LinearAttention", [f32(1, 6, 2), f32(1, 6, 1), f32(1, 6, 2), f32(1, 1, 1, 2), -positive(1, 6, 1), positive(1, 6, 1)], linear_attention, **HEADS)
one("LinearAttention", [*QKV, f32(1, 1, 2, 3), -positive(1, 3, 2), positive(1, 3, 1)], linear_attention, **HEADS)
one("FlexAttention", [f32(1, 2, 3, 4), f32(1, 1, 5, 4), f32(1, 1, 5, 2), f32(3, 5), f32(5)], lambda q, k, v, a, b: softmax(np.tanh(q @ k.swapaxes(2, 3) / 2) + a) * b @ v, opset=26, inputs="p0 p1 p2", domain="ai.onnx.preview",
    score_mod=Graph("s0", [("Tanh", "s0", "t0", {}), ("Add", "t0 p3", "t1", {})], "t1"), prob_mod=Graph("s0", [("Mul", "s0 p4", "t0", {})], "t0"))

# Rules of graph operators that no ONNX operator becomes: in the graph of sum(exp(each element of p0, 5 times) * slope), a pattern and what takes its place, and what is then summed.
EXPONENTIAL = r'(%\w+) = "hct_graph.map1"\((%\w+)\) .*fn = "exp".*(loc\(.*)'


def operands(count):
    """of an operator that may have up to 16"""
    return "{operandSegmentSizes = array<i32: " + ", ".join("1" if k < count else "0" for k in range(16)) + ">}"


PLANTED = [
    ("rsqrt", r'fn = "exp"', 'fn = "rsqrt"', lambda p: 1 / np.sqrt(np.repeat(p[:, None], 5, 1))),
    ("exp_sub", EXPONENTIAL, r'%square = "hct_graph.map2"(\2, \2) {fn = "mul"} : (tensor<3x5xf32>, tensor<3x5xf32>) -> tensor<3x5xf32> \3\n'
     r'\1 = "hct_graph.map2"(%square, \2) {fn = "exp_sub"} : (tensor<3x5xf32>, tensor<3x5xf32>) -> tensor<3x5xf32> \3', lambda p: np.exp(np.repeat((p * p - p)[:, None], 5, 1))),
    # the value is 0; the gradient that of e^a times a number, which is a
    ("detach", EXPONENTIAL, r'%still = "hct_graph.detach"(\2) ' + operands(1) + r' : (tensor<3x5xf32>) -> tensor<3x5xf32> \3\n%e = "hct_graph.map1"(\2) {fn = "exp"} : (tensor<3x5xf32>) -> tensor<3x5xf32> \3\n'
     r'%times = "hct_graph.map2"(%e, %still) {fn = "mul"} : (tensor<3x5xf32>, tensor<3x5xf32>) -> tensor<3x5xf32> \3\n'
     r'%zero = "hct_graph.map2"(\2, \2) {fn = "sub"} : (tensor<3x5xf32>, tensor<3x5xf32>) -> tensor<3x5xf32> \3\n'
     r'\1 = "hct_graph.detach"(%zero, %times) ' + operands(2) + r' : (tensor<3x5xf32>, tensor<3x5xf32>) -> tensor<3x5xf32> \3', lambda p: np.repeat(((p - 1) * np.exp(p))[:, None], 5, 1)),
    ("place", r'(%\w+) = "hct_graph.broadcast"\(%\w+\).*(loc\(.*)', r'%ids = "hct_graph.constant"() {value = dense<[4, 0, 7]> : tensor<3xi64>} : () -> tensor<3xi64> \2\n'
     r'\1 = "hct_graph.place"(%arg0, %ids) : (tensor<3xf32>, tensor<3xi64>) -> tensor<3x5xf32> \2', lambda p: np.exp(p[:, None] * (np.arange(5) == [[4], [0], [7]]))),
]

# Rules whose cases are elsewhere, in a test of their own.
ELSEWHERE = {"hct_graph.dropout": "test/e2e/dropout.py"} # its masks are random: the test has the generator too

# Operators through which no gradient flows to a float operand, and why.
NO_GRADIENT = {
    **dict.fromkeys(("NonZero", "Shape", "Size"), "results are known when compiling, or refused"),
    **dict.fromkeys(("Constant", "ConstantOfShape", "EyeLike", "Range"), "no operand's values are in the result, or only known ones"),
    "BitShift": "operands are unsigned integers, which no float becomes but by a cast",
}
