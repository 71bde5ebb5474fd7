#!/usr/bin/env python3
"""What each exporter's model is understood as: which composite operators --emit=graph has, and how many; with --no-raise none.

usage: raised.py BIN_DIRECTORY MODELS_DIRECTORY
"""
import collections
import re
import sys
import tempfile
from pathlib import Path

import onnx

from models import bind_inputs
from onnx_suite import read_tensor, run

NORM, GELU, RMS = {"layer_norm": 1}, {"gelu": 1}, {"rms_norm": 1}
BERT = {"attention": 12, "gelu": 12, "layer_norm": 25, "linear": 73}
EXPECTED = {
    "bert_squad_pytorch_opset11": BERT, "bert_squad_pytorch_opset11_rank0_concat": BERT,
    "bert_toy_opset12": {"attention": 5, "gelu": 6, "layer_norm": 12, "linear": 34},
    "gpt2_megatron_one_layer_opset12": {"attention": 1, "gelu": 1, "layer_norm": 3, "linear": 5},
    "gpt2_past_pytorch_opset11": {"attention": 12, "gelu": 12, "layer_norm": 25, "linear": 48},
    "hf_classifier_two_layers_opset11": {"attention": 2, "gelu": 2, "layer_norm": 5, "linear": 14},
    "attention_cuts/attention_mask2d_fp32": {"attention": 1, "linear": 1}, "attention_cuts/attention_past_state": {"attention": 1, "linear": 1},
    **{f"fusion_cuts/{name}": GELU for name in ("bias_gelu_fusion_format_2", "fast_gelu", "fast_gelu2_use_graph_input", "fast_gelu2_with_bias_use_graph_input", "fast_gelu_use_graph_input",
                                                "fast_gelu_with_bias_use_graph_input", "gelu_format2_0", "gelu_format2_1", "gelu_opset20")},
    **{f"fusion_cuts/{name}": NORM for name in ("layer_norm", "layer_norm_with_cast_2", "layer_norm_with_cast_4", "skip_layer_norm_format1", "skip_layer_norm_format1_graph_output_with_cast",
                                                "skip_layer_norm_format1_partial_with_cast", "skip_layer_norm_format2", "skip_layer_norm_format2_graph_output_with_cast",
                                                "skip_layer_norm_format2_partial_with_cast", "skip_layer_norm_format3", "skip_layer_norm_format3_graph_output_with_cast",
                                                "skip_layer_norm_format3_no_fusion_with_cast")},
    **{f"fusion_cuts/{name}": RMS for name in ("layer_norm_t5", "simplified_layer_norm_with_casts")},
    "fusion_cuts/layer_norm_shared_input": {"layer_norm": 2}, "fusion_cuts/skip_layer_norm_input_output_check": {"layer_norm": 1, "linear": 1},
}
EXPECTED["bert_mrpc_keras2onnx_opset10"] = {"attention": 12, "gelu": 12, "layer_norm": 25, "linear": 74}
COMPOSITE = re.compile(r'"hct_graph\.(linear|attention|layer_norm|rms_norm|gelu|silu|rope)"')


def composites(binaries, folder, *options):
    files = bind_inputs(onnx.load(folder / "model.onnx", load_external_data=False).graph, folder / "test_data_set_0")
    shapes = [f"--shape={n}={','.join(map(str, a.shape))}" for n, a in ((n, read_tensor(p)) for n, p in files.items()) if a.ndim]
    with tempfile.TemporaryDirectory() as work:
        run(binaries / "hecaton-compile", folder / "model.onnx", "--mode=infer", "--mesh=1x1", *shapes, *options, "--emit=graph", "-o", Path(work) / "g.mlir")
        return dict(collections.Counter(COMPOSITE.findall((Path(work) / "g.mlir").read_text())))


def main():
    binaries, models = map(Path, sys.argv[1:])
    wrong = 0
    for name, expected in EXPECTED.items():
        got, left = composites(binaries, models / name), composites(binaries, models / name, "--no-raise")
        if got != expected or left:
            wrong += 1
            print(f"{name}: {got}, expected {expected}; with --no-raise {left}")
    print(f"{len(EXPECTED) - wrong} of {len(EXPECTED)} as expected")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
