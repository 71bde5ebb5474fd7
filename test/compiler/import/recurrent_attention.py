#!/usr/bin/env python3
"""LinearAttention is a recurrence over tokens, here in double precision, whatever the chunks are that it is computed in; FlexAttention is attention between two
graphs; what does not fit is refused.

usage: recurrent_attention.py BIN_DIRECTORY WORK_DIRECTORY
"""
import numpy as np
from one_graph import WORK, array, body, check, compiled, computes, continues, finish, model, refused
from onnx import helper

node = helper.make_node
numbers = np.random.default_rng(7)


def normal(*shape):
    return numbers.standard_normal(shape).astype(np.float32)


# ---- LinearAttention ----
def recurrence(q, k, v, past=None, decay=None, beta=None, heads=1, scale=0.0):
    """q: [batch, tokens, query heads, key]; k, v: likewise of `heads`; decay: [batch, tokens, heads, 1 or key]; beta: [batch, tokens, heads or 1]"""
    batch, tokens, query_heads, key = q.shape
    state = np.zeros((batch, heads, key, v.shape[3])) if past is None else past.astype(np.float64)
    read = np.zeros((batch, tokens, query_heads, v.shape[3]))
    for t in range(tokens):
        for b in range(batch):
            for h in range(heads):
                s, u = state[b, h], v[b, t, h].astype(np.float64)
                if decay is not None:
                    s = s * np.exp(decay[b, t, h].astype(np.float64))[:, None]
                if beta is not None:
                    u = beta[b, t, h % beta.shape[2]] * (u - k[b, t, h] @ s)
                state[b, h] = s + np.outer(k[b, t, h], u)
                for g in range(query_heads // heads):
                    at = h * (query_heads // heads) + g
                    read[b, t, at] = (scale or key**-0.5) * (q[b, t, at] @ state[b, h])
    return read.reshape(batch, tokens, -1), state


def linear(rule, batch, tokens, query_heads, heads, key, value, past=False, decays=0, betas=0, mesh="1x1", same=None, **more):
    """decays: numbers a head; betas: heads; same: beta of all tokens, whose keys are one"""
    q, k, v = normal(batch, tokens, query_heads, key), normal(batch, tokens, heads, key), normal(batch, tokens, heads, value)
    if same:
        k[:] = k[:, :1]
    k /= np.linalg.norm(k, axis=3, keepdims=True)
    given = {"past": normal(batch, heads, key, value) if past else None, "decay": -numbers.exponential(0.3, (batch, tokens, heads, decays)).astype(np.float32) if decays else None,
             "beta": numbers.random((batch, tokens, betas)).astype(np.float32) if betas else None}
    if same:
        given["beta"][:] = same
    read, state = recurrence(q, k, v, heads=heads, **given, **more)
    flat = lambda a: a.reshape(batch, tokens, -1)
    inputs = [("q", flat(q)), ("k", flat(k)), ("v", flat(v))] + [(n, a if n == "past" else flat(a)) for n, a in given.items() if a is not None]
    names = ["q", "k", "v", *(n if a is not None else "" for n, a in given.items())]
    name = f"{rule} {tokens} tokens, {query_heads} on {heads} heads, {decays} decays, {betas} betas"
    attention = node("LinearAttention", names, ["y", "s"], name="the recurrence", update_rule=rule, q_num_heads=query_heads, kv_num_heads=heads, **more)
    computes(name, model("linear", [attention], inputs, ["y", "s"], opset=27), {"y": read, "s": state}, inputs, mesh=mesh, tolerance=2e-5)


linear("linear", 2, 150, 4, 2, 8, 6)
linear("linear", 2, 70, 2, 2, 8, 6, past=True, scale=0.3)
linear("gated", 2, 131, 4, 2, 8, 6, decays=1)
linear("gated", 2, 70, 2, 2, 8, 6, past=True, decays=8)
linear("delta", 2, 39, 4, 2, 8, 6, betas=2)
linear("delta", 2, 21, 2, 2, 8, 6, past=True, betas=1)
linear("gated_delta", 2, 21, 4, 2, 8, 6, decays=1, betas=2)
linear("gated_delta", 2, 21, 3, 1, 8, 6, past=True, decays=8, betas=1)
linear("gated_delta", 2, 39, 2, 1, 8, 6, decays=1, betas=1)
linear("gated_delta", 2, 1, 4, 2, 8, 6, past=True, decays=8, betas=2)
for beta in (1, 2):  # each token replaces what the one before wrote, or its opposite: what solves that by powers of large matrices has no digits left
    linear("delta", 2, 32, 1, 1, 8, 6, betas=1, same=beta)
for mesh in ("2x2", "2x3"):
    linear("gated", 4, 70, 4, 2, 8, 6, decays=1, mesh=mesh)
    linear("gated_delta", 4, 21, 4, 2, 8, 6, decays=8, betas=2, mesh=mesh)

Q, K, V, G, B = normal(2, 5, 8), normal(2, 5, 8), normal(2, 5, 8), -normal(2, 5, 2) ** 2, normal(2, 5, 2) ** 2
FEEDS = [("q", Q), ("k", K), ("v", V), ("g", G), ("b", B)]


def refused_linear(why, names, *wanted, feeds=FEEDS, **attributes):
    attributes = {"q_num_heads": 2, "kv_num_heads": 2, **attributes}
    refused(why, model("refused", [node("LinearAttention", names.split(","), ["y", "s"], name="linear", **attributes)], feeds, ["y", "s"], opset=27), "node 0 'linear'", *wanted)


refused_linear("rule", "q,k,v,,g,b", "update_rule 'gated_twice'; linear, gated, delta and gated_delta are there", update_rule="gated_twice")
refused_linear("no decay", "q,k,v,,,b", "update_rule 'gated_delta' without decay (input 4) and with beta (input 5)")
refused_linear("decay", "q,k,v,,g", "update_rule 'linear' with decay (input 4) and without beta (input 5)", update_rule="linear")
refused_linear("heads", "q,k,v,,g,b", "3 query heads (q_num_heads) of 2 heads (kv_num_heads)", q_num_heads=3)
refused_linear("no heads", "q,k,v,,g,b", "0 heads (kv_num_heads)", kv_num_heads=0)
refused_linear("tokens", "q,k,v", "input 1 (key) is not [batch, tokens, 2 heads * size]", feeds=[("q", Q), ("k", K[:, :3]), ("v", V)], update_rule="linear")
refused_linear("keys", "q,k,v", "keys of 3 elements for queries of 4", feeds=[("q", Q), ("k", K[:, :, :6]), ("v", V)], update_rule="linear")
refused_linear("past", "q,k,v,p", "past_state is not [2, 2, 4, 4]", feeds=[*FEEDS[:3], ("p", normal(2, 2, 4, 3))], update_rule="linear")
refused_linear("decays", "q,k,v,,g", "decay of 3 numbers a head; 1 and 4 are supported", feeds=[*FEEDS[:3], ("g", normal(2, 5, 6))], update_rule="gated")
refused_linear("betas", "q,k,v,,,b", "beta of 2 numbers a head; it is one", feeds=[*FEEDS[:3], ("b", normal(2, 5, 4))], update_rule="delta")
refused_linear("more inputs", "q,k,v,,g,b,b", "7 inputs; six are supported")
refused_linear("nodes", "q,k,v,,,b", "more than 131072 nodes", feeds=[(n, np.broadcast_to(np.float32(0), (1, 30000, 2))) for n in "qkvb"], update_rule="delta")


# ---- FlexAttention ----
def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def flex(name, score=None, prob=None, scale=None, heads=4, key_heads=2, mesh="1x1", **attributes):
    q, k, v = normal(2, heads, 5, 8), normal(2, key_heads, 7, 8), normal(2, key_heads, 7, 6)
    scores = np.einsum("bhmk,bhnk->bhmn", q, np.repeat(k, heads // key_heads, 1)) * (scale or 8**-0.5)
    p = softmax(score(scores) if score else scores)
    y = np.einsum("bhmn,bhnk->bhmk", prob(p) if prob else p, np.repeat(v, heads // key_heads, 1))
    if scale:
        attributes["scale"] = scale
    inputs = [("q", q), ("k", k), ("v", v)]
    path = model("flex", [node("FlexAttention", ["q", "k", "v"], ["y"], name="flex", domain="ai.onnx.preview", **attributes)], inputs, ["y"], [array("ahead", np.float32(0.25))], opset=26)
    computes(name, path, {"y": y}, inputs, mesh=mesh)
    return path


continues("a dump of LinearAttention", WORK / "linear.onnx")
flex("heads that are shared")
flex("as many heads", key_heads=4, scale=0.5, softmax_precision=1)
cap = body(["s"], [node("Div", ["s", "c"], ["t"]), node("Tanh", ["t"], ["h"], name="cap"), node("Mul", ["h", "c"], ["s2"])], ["s2"], [array("c", np.float32(2))])
# Names of one graph are those of the other; one reads a value of the graph around it.
part = body(["s"], [node("Mul", ["s", "c"], ["t"]), node("Add", ["t", "ahead"], ["s2"])], ["s2"], [array("c", np.float32(3))])
for mesh in ("1x1", "2x2", "2x3"):
    path = flex("both graphs", lambda s: 2 * np.tanh(s / 2), lambda p: 3 * p + 0.25, score_mod=cap, prob_mod=part, mesh=mesh)
done = compiled(path, "--mesh=1x1", "--emit=graph", "-o", "-")
check("names of its graphs", "'flex/score_mod/cap'" in done.stdout, done.stdout + done.stderr)
path = flex("a graph of nothing", score_mod=body(["s"], [], ["s"]))
done = compiled(path, "--mesh=1x1", "--emit=graph", "-o", "-")
check("attention", '"hct_graph.attention"' in done.stdout, done.stdout + done.stderr)


def refused_flex(why, *wanted, feeds=(("q", normal(2, 4, 5, 8)), ("k", normal(2, 2, 7, 8)), ("v", normal(2, 2, 7, 6))), **attributes):
    refused(why, model("refused", [node("FlexAttention", ["q", "k", "v"], ["y"], name="flex", domain="ai.onnx.preview", **attributes)], feeds, ["y"], opset=26), "node 0 'flex", *wanted)


refused_flex("inputs of a graph", "its score_mod has 2 inputs and 1 outputs; it needs 1 and 1", score_mod=body(["s", "b"], [], ["s"]))
refused_flex("no graph", "attribute 'prob_mod' is of AttributeType 2; it must be 5", prob_mod=3)
refused_flex("precision", "softmax_precision 6; it is computed in f32", softmax_precision=6)
refused_flex("heads", "K and V do not fit Q: 4 query heads of 8, 3 key heads of 8", feeds=[("q", normal(2, 4, 5, 8)), ("k", normal(2, 3, 7, 8)), ("v", normal(2, 3, 7, 6))])
refused_flex("rank", "Q, K and V must be there, [batch, heads, tokens, size] each", feeds=[(n, normal(2, 4, 8)) for n in "qkv"])
refused_flex("what a graph does", "'flex/score_mod/MatMul'", score_mod=body(["s"], [node("MatMul", ["s", "s"], ["t"])], ["t"]))
finish()
