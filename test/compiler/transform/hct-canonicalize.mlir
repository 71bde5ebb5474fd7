// Operators that nothing needs go, in chains and whatever they are made of; what the results need stays as it is.
// RUN: %hecaton-opt --hct-canonicalize --split-input-file %s | FileCheck %s

// The last of the chain is unused, so the whole chain goes; the scaled value has another reader and stays.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<4x3xf32>
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.map1"(%[[X]]) {fn = "muls", scalar = 2.000000e+00 : f64}
// CHECK-NEXT: return %[[Y]] :
module {
  func.func @chain(%x: tensor<4x3xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<3x4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x3xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "muls", scalar = 2.0} : (tensor<4x3xf32>) -> tensor<4x3xf32>
    %1 = "hct_graph.transpose"(%0) {perm = array<i64: 1, 0>} : (tensor<4x3xf32>) -> tensor<3x4xf32>
    %2 = "hct_graph.map2"(%1, %w) {fn = "add"} : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    %3 = "hct_graph.softmax"(%2) {axis = 1 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
    return %0 : tensor<4x3xf32>
  }
}
// -----
// Nothing to remove: each operator stays, in its place, with its attributes; an argument that nothing reads stays too.
// CHECK-LABEL: func.func @kept
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<4x3xf32> {{.*}}, %{{[a-z0-9]+}}: tensor<7xf32> {{.*}}hct.name = "spare"
// CHECK-NEXT: %[[A:.+]] = "hct_graph.transpose"(%[[X]]) {hct.layer = "a", perm = array<i64: 1, 0>}
// CHECK-NEXT: %[[B:.+]] = "hct_graph.softmax"(%[[A]]) {axis = 0 : i64}
// CHECK-NEXT: %[[C:.+]] = "hct_graph.map2"(%[[A]], %[[B]]) {fn = "sub"}
// CHECK-NEXT: return %[[C]] :
module {
  func.func @kept(%x: tensor<4x3xf32> {hct.name = "x", hct.role = "input"}, %s: tensor<7xf32> {hct.name = "spare", hct.role = "param"})
      -> (tensor<3x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.transpose"(%x) {hct.layer = "a", perm = array<i64: 1, 0>} : (tensor<4x3xf32>) -> tensor<3x4xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 0 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "sub"} : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    return %2 : tensor<3x4xf32>
  }
}
// -----
// Positions and a mask that are written out for each of two samples are looked up and added once: the elementwise operators repeat them.
// CHECK-LABEL: func.func @repeated
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<2x3x4xf32> {{.*}}, %[[T:[a-z0-9]+]]: tensor<8x4xf32>
// CHECK-NEXT: %[[IDS:.+]] = "hct_graph.constant"() {value = dense<{{\[\[}}0, 1, 2]]> : tensor<1x3xi64>}
// CHECK-NEXT: %[[ROWS:.+]] = "hct_graph.gather_rows"(%[[T]], %[[IDS]]) : (tensor<8x4xf32>, tensor<1x3xi64>) -> tensor<1x3x4xf32>
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.map2"(%[[X]], %[[ROWS]]) {fn = "add"}
// CHECK-NEXT: return %[[Y]] :
module {
  func.func @repeated(%x: tensor<2x3x4xf32> {hct.name = "x", hct.role = "input"}, %t: tensor<8x4xf32> {hct.name = "t", hct.role = "param"})
      -> (tensor<2x3x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.constant"() {value = dense<[[0, 1, 2], [0, 1, 2]]> : tensor<2x3xi64>} : () -> tensor<2x3xi64>
    %1 = "hct_graph.gather_rows"(%t, %0) : (tensor<8x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
    %2 = "hct_graph.map2"(%x, %1) {fn = "add"} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    return %2 : tensor<2x3x4xf32>
  }
}
// -----
// Rows that differ, and a sum that only the repeated operand gives its shape, stay as they are.
// CHECK-LABEL: func.func @needed
// CHECK: "hct_graph.constant"() {value = dense<{{\[\[}}0, 1, 2], [0, 1, 3]]> : tensor<2x3xi64>}
// CHECK: "hct_graph.constant"() {value = dense<{{\[\[}}1.000000e+00, 2.000000e+00], [1.000000e+00, 2.000000e+00]]> : tensor<2x2xf32>}
module {
  func.func @needed(%x: tensor<1x2xf32> {hct.name = "x", hct.role = "input"}, %t: tensor<8x4xf32> {hct.name = "t", hct.role = "param"})
      -> (tensor<2x3x4xf32> {hct.name = "y", hct.role = "output"}, tensor<2x2xf32> {hct.name = "z", hct.role = "output"}) {
    %0 = "hct_graph.constant"() {value = dense<[[0, 1, 2], [0, 1, 3]]> : tensor<2x3xi64>} : () -> tensor<2x3xi64>
    %1 = "hct_graph.gather_rows"(%t, %0) : (tensor<8x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
    %2 = "hct_graph.constant"() {value = dense<[[1.0, 2.0], [1.0, 2.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
    %3 = "hct_graph.map2"(%x, %2) {fn = "add"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    return %1, %3 : tensor<2x3x4xf32>, tensor<2x2xf32>
  }
}
