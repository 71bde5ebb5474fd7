// What is no module with one function of whole tensors, or a composite operator that is not what its attributes say, is refused.
// RUN: %hecaton-opt --hct-expand --split-input-file --verify-diagnostics %s
// expected-error@+1 {{the module has 0 functions, and needs one}}
module {
}
// -----
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) {
    // expected-error@+1 {{hct_graph.layer_norm: 1 operands, which its attributes do not ask for}}
    %0 = "hct_graph.layer_norm"(%x) {axis = 1 : i64, eps = 1.0e-5, gain = true, bias = true, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return
  }
}
