"""A chain of linear layers without biases, each followed by Relu, with the mean of the last one's outputs as loss."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write(path, widths, batch):
    layers, nodes, weights = len(widths) - 1, [], []
    for i in range(layers):
        weights.append(numpy_helper.from_array(np.ones((widths[i], widths[i + 1]), np.float32), f"layers.{i}.weight"))
        nodes += [helper.make_node("MatMul", [f"a{i - 1}" if i else "x", f"layers.{i}.weight"], [f"h{i}"]), helper.make_node("Relu", [f"h{i}"], [f"a{i}"])]
    nodes.append(helper.make_node("ReduceMean", [f"a{layers - 1}"], ["loss"], keepdims=0))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "chain", [info("x", TensorProto.FLOAT, [batch, widths[0]])], [info("loss", TensorProto.FLOAT, [])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
