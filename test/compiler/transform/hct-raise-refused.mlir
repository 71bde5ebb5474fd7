// What is no module with one function of whole tensors, or a composite operator that is not what its attributes say, is refused.
// RUN: %hecaton-opt --hct-raise --split-input-file --verify-diagnostics %s
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
// -----
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) {
    // expected-error@+1 {{hct_graph.rms_norm: axis 2 is none of the 2 of the result}}
    %0 = "hct_graph.rms_norm"(%x) {axis = 2 : i64, eps = 1.0e-5, gain = false, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return
  }
}
// -----
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x2xf32> {hct.name = "w", hct.role = "param"}) {
    // expected-error@+1 {{hct_graph.linear: its products do not give 4x3xf32: mk,kn->mn}}
    %0 = "hct_graph.linear"(%x, %w) {spec = "mk,kn->mn", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>, tensor<8x2xf32>) -> tensor<4x3xf32>
    return
  }
}
// -----
module {
  func.func @step(%x: tensor<2x3x4xf32> {hct.name = "x", hct.role = "input"}) {
    // expected-error@+1 {{hct_graph.attention: mask 'some' is none of none, add, keep, drop, blend}}
    %0 = "hct_graph.attention"(%x, %x, %x, %x) {mask = "some", mix = "bst,btd->bsd", scale = 1.0, scores = "bsd,btd->bst", operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    return
  }
}
