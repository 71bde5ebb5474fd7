// An onnx operator becomes what the importer makes of its node; known operands fold, and a module of the graph level is left alone.
// RUN: %hecaton-opt --hct-convert-onnx-to-graph --split-input-file %s | FileCheck %s
// CHECK-LABEL: func.func @step(%arg0: tensor<4x8xf32>
// CHECK: %[[P:.*]] = "hct_graph.contract"(%arg0, %arg1) {{.*}}spec
// CHECK-SAME: tensor<4x16xf32>
// CHECK: %[[R:.*]] = "hct_graph.reshape"(%[[P]])
// CHECK-SAME: tensor<8x8xf32>
// CHECK-NOT: onnx.
// CHECK: return %[[R]]
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x16xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<8x8xf32> {hct.name = "y", hct.role = "output"}) {
    %s = "onnx.constant"() {value = dense<[8, -1]> : tensor<2xi64>} : () -> tensor<2xi64>
    %p = "onnx.mat_mul"(%x, %w) {operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
    %y = "onnx.reshape"(%p, %s) {operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x16xf32>, tensor<2xi64>) -> tensor<8x8xf32>
    return %y : tensor<8x8xf32>
  }
}
// -----
// CHECK-LABEL: func.func @step(%arg0: tensor<4xf32>
// CHECK-NEXT: %[[N:.*]] = "hct_graph.map1"(%arg0) {fn = "neg"}
// CHECK-NEXT: return %[[N]]
module {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %y = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
}
