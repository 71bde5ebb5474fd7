#!/usr/bin/env python3
"""Writes NAME.onnx for each of the models that nn.test reads.

usage: nn_models.py WORK_DIRECTORY
"""
import sys
from pathlib import Path

from onnx import TensorProto, helper

WORK = Path(sys.argv[1])
WORK.mkdir(parents=True, exist_ok=True)
F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def model(name, op, inputs, outputs=("y",), version=17, **attributes):
    """One node; inputs: name -> shape, or (shape, element type); None: absent."""
    infos = [helper.make_tensor_value_info(n, s[1] if isinstance(s, tuple) else F, s[0] if isinstance(s, tuple) else s) for n, s in inputs.items() if s is not None]
    made = helper.make_node(op, [n if s is not None else "" for n, s in inputs.items()], list(outputs), name=name, **attributes)
    results = [helper.make_tensor_value_info(o, F, None) for o in outputs if o]
    graph = helper.make_graph([made], "g", infos, results)
    (WORK / f"{name}.onnx").write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)]).SerializeToString())


# Products
model("matmul_one", "MatMul", {"a": [3, 4, 5], "b": [1, 5, 6]})
model("matmul_vector", "MatMul", {"a": [2, 3, 4], "b": [4]})
model("gemm", "Gemm", {"a": [4, 3], "b": [5, 4], "c": [5]}, transA=1, transB=1, alpha=0.5, beta=0.25)
model("einsum_three", "Einsum", {"a": [2, 3], "b": [3, 4], "c": [4, 5]}, equation="ab,bc,cd->ad")
model("einsum_implicit", "Einsum", {"a": [6, 2, 3], "b": [6, 3, 4]}, equation="... i j, ...jk")
model("einsum_diagonal", "Einsum", {"a": [2, 4, 4], "b": [4]}, equation="bii,i->b")
model("matmul_inner", "MatMul", {"a": [2, 3], "b": [4, 5]})
model("matmul_batch", "MatMul", {"a": [2, 3, 4], "b": [5, 4, 6]})
model("gemm_c", "Gemm", {"a": [2, 3], "b": [3, 4], "c": [3]})
model("einsum_terms", "Einsum", {"a": [2, 3], "b": [3, 4]}, equation="ab->a")
model("einsum_sizes", "Einsum", {"a": [2, 3], "b": [4, 5]}, equation="ab,bc->ac")
model("einsum_result", "Einsum", {"a": [2, 3], "b": [3, 4]}, equation="ab,bc->az")
# Normalisations
model("softmax_flat", "Softmax", {"a": [2, 3, 4]}, version=11, axis=1)
model("layernorm", "LayerNormalization", {"a": [2, 3, 4], "g": [3, 4]}, ("y", "mean", "inv"), axis=1)
model("rms", "RMSNormalization", {"a": [2, 3, 4], "g": [4]}, version=23)
model("group18", "GroupNormalization", {"a": [2, 4, 3], "g": [2], "b": [2]}, version=18, num_groups=2)
model("group21", "GroupNormalization", {"a": [2, 4, 3], "g": [4], "b": [4]}, version=21, num_groups=2)
model("group_scale", "GroupNormalization", {"a": [2, 4, 3], "g": [2], "b": [2]}, version=21, num_groups=2)
model("layernorm_stash", "LayerNormalization", {"a": [2, 4], "g": [4]}, stash_type=10)
model("layernorm_gain", "LayerNormalization", {"a": [2, 4], "g": [3]})
model("lp", "LpNormalization", {"a": [2, 4]}, p=3)
model("layernorm_type", "LayerNormalization", {"a": ([2, 4], I), "g": [4]})
# Attention
model("causal", "Attention", {"q": [2, 4, 3, 8], "k": [2, 2, 3, 8], "v": [2, 2, 3, 8]}, version=23, is_causal=1, softcap=2.0)
model("masked", "Attention", {"q": [2, 3, 8], "k": [2, 5, 8], "v": [2, 5, 8], "m": ([3, 4], B)}, version=23, q_num_heads=2, kv_num_heads=2)
model("heads", "Attention", {"q": [2, 3, 8], "k": [2, 5, 8], "v": [2, 5, 8]}, version=23, q_num_heads=3, kv_num_heads=3)
model("mask_shape", "Attention", {"q": [2, 2, 3, 8], "k": [2, 2, 5, 8], "v": [2, 2, 5, 8], "m": ([4, 5], B)}, version=23)
model("rotary", "RotaryEmbedding", {"x": [2, 3, 8], "c": [5, 2], "s": [5, 2], "p": ([2, 3], I)}, version=23, num_heads=2, interleaved=1)
model("rotary_width", "RotaryEmbedding", {"x": [2, 2, 3, 4], "c": [2, 3, 2], "s": [2, 3, 2]}, version=23, rotary_embedding_dim=6)
model("swiglu", "SwiGLU", {"a": [2, 4], "b": [2, 4]}, version=28, alpha=0.5)
# Convolutions and pools
model("patches", "Conv", {"x": [2, 3, 8, 8], "w": [5, 3, 4, 4], "b": [5]}, strides=[4, 4])
model("depthwise", "Conv", {"x": [2, 3, 8], "w": [3, 1, 3]}, group=3, pads=[1, 1])
model("upward", "ConvTranspose", {"x": [1, 2, 3], "w": [2, 1, 3]}, strides=[2])
model("average", "AveragePool", {"x": [1, 1, 4]}, kernel_shape=[3], pads=[1, 1])
model("groups", "Conv", {"x": [2, 3, 8], "w": [4, 1, 3]}, group=2)
model("kernel", "Conv", {"x": [2, 3, 2], "w": [4, 3, 3]})
model("strides", "Conv", {"x": [2, 3, 8], "w": [4, 3, 3]}, strides=[0])
model("rank", "Conv", {"x": [2, 3, 4, 4, 4, 4], "w": [2, 3, 1, 1, 1, 1]})
model("indices", "MaxPool", {"x": [1, 1, 4]}, ("y", "i"), kernel_shape=[2])
# Losses
model("nll", "NegativeLogLikelihoodLoss", {"x": [2, 5, 3], "t": ([2, 3], I), "w": [5]}, reduction="sum", ignore_index=1)
model("nll_shape", "NegativeLogLikelihoodLoss", {"x": [2, 5, 3], "t": ([2, 4], I)})
model("nll_weights", "NegativeLogLikelihoodLoss", {"x": [2, 5], "t": ([2], I), "w": [4]})
model("reduction", "SoftmaxCrossEntropyLoss", {"x": [2, 5], "t": ([2], I)}, reduction="most")
model("causal_conv", "CausalConvWithState", {"x": [2, 3, 5], "w": [3, 1, 4], "b": None, "p": [2, 3, 3]}, ("y", "state"), version=27, activation="silu")
model("causal_state", "CausalConvWithState", {"x": [2, 3, 5], "w": [3, 1, 4], "b": None, "p": [2, 3, 2]}, ("y", "state"), version=27)
