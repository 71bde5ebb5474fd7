// An onnx operator that no node could mean is refused where it stands.
// RUN: %hecaton-opt --hct-convert-onnx-to-graph --split-input-file --verify-diagnostics %s
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<9x16xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x16xf32> {hct.name = "y", hct.role = "output"}) {
    // expected-error@+1 {{MatMul: }}
    %y = "onnx.mat_mul"(%x, %w) {operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>, tensor<9x16xf32>) -> tensor<4x16xf32>
    return %y : tensor<4x16xf32>
  }
}
// -----
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x16xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x17xf32> {hct.name = "y", hct.role = "output"}) {
    // expected-error@+1 {{MatMul: the type of result 0 is not what its operands give}}
    %y = "onnx.mat_mul"(%x, %w) {operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x17xf32>
    return %y : tensor<4x17xf32>
  }
}
