#!/usr/bin/env python3
"""DRAM bytes of --schedule=layerwise on a residual block, from the sizes of its layers, and by how much they exceed those of --schedule=fused.

    u = x Win;   h = u Wa, r = relu(h);   z = u + r Wb;   o = z Wc, loss = mean(relu(o))        layers: in, a, b, c; d features of u and z, f of h and r

Fused, a and b are one group, and with --groups=blocks none is put together with another. Layerwise they are two, and through DRAM go besides: u once more, read for the sum behind b; r once more, read by b; the gradient
of z once more, read by b and again by a, where it is added to that of h; the gradient of r, written by b and read by a. That is 2 d + 3 f elements a sample.

usage: layerwise.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
N, D, F, O, F32 = 16, 24, 40, 12, 4
SETTINGS = 10 * F32


def model(path, batch):
    sizes = {"in": (N, D), "a": (D, F), "b": (F, D), "c": (D, O)}
    weights = [numpy_helper.from_array(np.random.default_rng(i).normal(size=s).astype(np.float32), f"{n}.weight") for i, (n, s) in enumerate(sizes.items())]
    node, info = helper.make_node, helper.make_tensor_value_info
    nodes = [node("MatMul", ["x", "in.weight"], ["u"]), node("MatMul", ["u", "a.weight"], ["h"]), node("Relu", ["h"], ["r"]), node("MatMul", ["r", "b.weight"], ["y"]), node("Add", ["u", "y"], ["z"]),
             node("MatMul", ["z", "c.weight"], ["o"]), node("Relu", ["o"], ["s"]), node("ReduceMean", ["s"], ["loss"], keepdims=0)]
    graph = helper.make_graph(nodes, "block", [info("x", TensorProto.FLOAT, [batch, N])], [info("loss", TensorProto.FLOAT, [])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return sum(a * b for a, b in sizes.values())


def layerwise(batch, parameters, dies):
    """All bytes of a step: SGD, activations stored."""
    uses = {  # elements a sample: times written and read; an input lies on every die
        "x": N * 2 * dies, "u": D * (1 + 3), "h": F * (1 + 1), "r": F * (1 + 2), "z": D * (1 + 2), "o": O * (1 + 1),
        "gradient of z": D * (1 + 2), "gradient of r": F * (1 + 1), "gradient of u": D * (1 + 1)}
    step = (1 + 4 + 1) * F32 + 4 * SETTINGS  # the step's number: counted up, and with the settings read for each layer's update
    return F32 * batch * sum(uses.values()) + 3 * F32 * parameters + dies * (step + F32)


def counted(batch, schedule, mesh, micro_batch, *options):
    image, predicted, simulated = WORK / "m.hct", WORK / "p.json", WORK / "s.json"
    subprocess.run([BIN / "hecaton-compile", WORK / f"{batch}.onnx", f"--mesh={mesh}", f"--micro-batch={micro_batch}", f"--schedule={schedule}", "--optimizer=sgd", "--recompute=none",
                    "-o", image, "--report", predicted, *options], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([BIN / "hecaton-sim", image, "--mode=timing", "--report", simulated], check=True, stdout=subprocess.DEVNULL)
    reports = [json.loads(f.read_text()) for f in (predicted, simulated)]
    for report in reports:
        assert report["program"]["schedule"] == schedule, report["program"]
    bytes_of = lambda r: r["traffic"]["dram_read_bytes"] + r["traffic"]["dram_write_bytes"]
    assert bytes_of(reports[0]) == bytes_of(reports[1]) >= reports[0]["traffic"]["dram_relaxed_bytes"], [r["traffic"] for r in reports]
    return bytes_of(reports[1])


for batch, mesh, micro_batch in ((8, "1x1", 2), (8, "1x1", 8), (7, "1x1", 3), (8, "2x2", 4), (1, "1x1", 1)):
    parameters, dies = model(WORK / f"{batch}.onnx", batch), {"1x1": 1, "2x2": 4}[mesh]
    have, fused = counted(batch, "layerwise", mesh, micro_batch), counted(batch, "fused", mesh, micro_batch, "--groups=blocks")
    wanted = layerwise(batch, parameters, dies)
    assert have == wanted, f"batch {batch}, {mesh}, micro-batch {micro_batch}: {have} bytes, from the layers' sizes {wanted}"
    more = F32 * batch * (2 * D + 3 * F) + dies * (F32 + SETTINGS)  # and settings and step's number for one more group
    if batch > 1:  # of a single sample, fused keeps everything in SRAM
        assert have - fused == more, f"batch {batch}, {mesh}, micro-batch {micro_batch}: {have - fused} bytes more than fused, from the layers' sizes {more}"
    else:
        assert have - fused > more, (have, fused)
    print(f"ok batch {batch}, {mesh}, micro-batch {micro_batch}: {have} bytes, {have - fused} more than fused")
