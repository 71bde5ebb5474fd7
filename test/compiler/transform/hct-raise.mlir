// However a layer is spelled, one operator comes of it; where a value within is needed elsewhere, nothing does.
// RUN: %hecaton-opt --hct-raise --split-input-file %s | FileCheck %s

// x * 0.5 * (1 + erf(x / sqrt 2)): three orders of its factors, a division among them.
// CHECK-LABEL: func.func @gelu
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<2x8xf32>
// CHECK-NEXT: "hct_graph.gelu"(%[[X]]) {approximate = "none"}
// CHECK-NEXT: "hct_graph.gelu"(%[[X]]) {approximate = "none"}
// CHECK-NEXT: "hct_graph.gelu"(%[[X]]) {approximate = "tanh"}
module {
  func.func @gelu(%x: tensor<2x8xf32> {hct.name = "x", hct.role = "input"})
      -> (tensor<2x8xf32> {hct.name = "a", hct.role = "output"}, tensor<2x8xf32> {hct.name = "b", hct.role = "output"}, tensor<2x8xf32> {hct.name = "c", hct.role = "output"}) {
    %root = "hct_graph.constant"() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
    %one = "hct_graph.constant"() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
    %0 = "hct_graph.map2"(%x, %root) {fn = "div"} : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
    %1 = "hct_graph.map1"(%0) {fn = "erf"} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %2 = "hct_graph.map2"(%1, %one) {fn = "add"} : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
    %3 = "hct_graph.map2"(%x, %2) {fn = "mul"} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    %4 = "hct_graph.map1"(%3) {fn = "muls", scalar = 0.5} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %5 = "hct_graph.map1"(%x) {fn = "muls", scalar = 0.70710677} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %6 = "hct_graph.map1"(%5) {fn = "erf"} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %7 = "hct_graph.map1"(%6) {fn = "adds", scalar = 1.0} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %8 = "hct_graph.map1"(%x) {fn = "muls", scalar = 0.5} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %9 = "hct_graph.map2"(%7, %8) {fn = "mul"} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    %10 = "hct_graph.map2"(%x, %x) {fn = "mul"} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    %11 = "hct_graph.map1"(%10) {fn = "muls", scalar = 0.044715} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %12 = "hct_graph.map1"(%11) {fn = "adds", scalar = 1.0} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %13 = "hct_graph.map1"(%x) {fn = "muls", scalar = 0.7978845608} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %14 = "hct_graph.map2"(%13, %12) {fn = "mul"} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    %15 = "hct_graph.map1"(%14) {fn = "tanh"} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %16 = "hct_graph.map1"(%15) {fn = "adds", scalar = 1.0} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %half = "hct_graph.map1"(%x) {fn = "muls", scalar = 0.5} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %17 = "hct_graph.map2"(%half, %16) {fn = "mul"} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    return %4, %9, %17 : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>
  }
}
// -----
// The difference from the mean is written twice, as PyTorch did; gain and bias may stand on either side. The location is that of all nodes.
// CHECK-LABEL: func.func @layer_norm
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<2x8xf32> {{.*}}, %[[G:[a-z0-9]+]]: tensor<8xf32> {{.*}}, %[[B:[a-z0-9]+]]: tensor<8xf32>
// CHECK-NEXT: "hct_graph.layer_norm"(%[[X]], %[[G]], %[[B]]) {axis = 1 : i64, bias = true, eps = 1.000000e-05 : f64, gain = true,{{.*}} loc(#[[L:.+]])
// CHECK-NEXT: return
module {
  func.func @layer_norm(%x: tensor<2x8xf32> {hct.name = "x", hct.role = "input"}, %g: tensor<8xf32> {hct.name = "g", hct.role = "param"}, %b: tensor<8xf32> {hct.name = "b", hct.role = "param"})
      -> (tensor<2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.reduce"(%x) {kind = "sum", axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
    %1 = "hct_graph.map1"(%0) {fn = "muls", scalar = 0.125} : (tensor<2x1xf32>) -> tensor<2x1xf32>
    %2 = "hct_graph.map2"(%x, %1) {fn = "sub"} : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
    %3 = "hct_graph.map2"(%x, %1) {fn = "sub"} : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
    %4 = "hct_graph.map2"(%3, %3) {fn = "mul"} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    %5 = "hct_graph.reduce"(%4) {kind = "sum", axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
    %6 = "hct_graph.map1"(%5) {fn = "muls", scalar = 0.125} : (tensor<2x1xf32>) -> tensor<2x1xf32>
    %7 = "hct_graph.map1"(%6) {fn = "adds", scalar = 1.0e-5} : (tensor<2x1xf32>) -> tensor<2x1xf32>
    %8 = "hct_graph.map1"(%7) {fn = "sqrt"} : (tensor<2x1xf32>) -> tensor<2x1xf32>
    %9 = "hct_graph.map2"(%2, %8) {fn = "div"} : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
    %10 = "hct_graph.map2"(%g, %9) {fn = "mul"} : (tensor<8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    %11 = "hct_graph.map2"(%b, %10) {fn = "add"} : (tensor<8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    return %11 : tensor<2x8xf32>
  }
}
// CHECK: #[[L]] = loc(fused[
// -----
// Almost SiLU: the sigmoid is of another value. And SiLU whose sigmoid is an output too: it stays open.
// CHECK-LABEL: func.func @neither
// CHECK-NOT: hct_graph.silu
// CHECK: return
module {
  func.func @neither(%x: tensor<2x8xf32> {hct.name = "x", hct.role = "input"}, %z: tensor<2x8xf32> {hct.name = "z", hct.role = "input"})
      -> (tensor<2x8xf32> {hct.name = "a", hct.role = "output"}, tensor<2x8xf32> {hct.name = "b", hct.role = "output"}, tensor<2x8xf32> {hct.name = "c", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%z) {fn = "sigmoid"} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %1 = "hct_graph.map2"(%x, %0) {fn = "mul"} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    %2 = "hct_graph.map1"(%x) {fn = "sigmoid"} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %3 = "hct_graph.map2"(%x, %2) {fn = "mul"} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    return %1, %2, %3 : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>
  }
}
// -----
// Queries and keys from linear layers, scaled scores, a mask that is added.
// CHECK-LABEL: func.func @attention
// CHECK: %[[Q:.+]] = "hct_graph.linear"(%{{.+}}, %{{.+}}) {{.*}}spec = "bsk,kn->bsn"}
// CHECK: "hct_graph.attention"(%[[Q]], %{{.+}}, %{{.+}}, %{{.+}}) {mask = "add", mix = "bst,btd->bsd",{{.*}} scale = 5.000000e-01 : f64, scores = "bsd,btd->bst"}
// CHECK-NEXT: return
module {
  func.func @attention(%x: tensor<2x3x4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4x4xf32> {hct.name = "w", hct.role = "param"}, %m: tensor<3x3xf32> {hct.name = "m", hct.role = "input"})
      -> (tensor<2x3x4xf32> {hct.name = "y", hct.role = "output"}) {
    %two = "hct_graph.constant"() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
    %0 = "hct_graph.contract"(%x, %w) {spec = "bsk,kn->bsn"} : (tensor<2x3x4xf32>, tensor<4x4xf32>) -> tensor<2x3x4xf32>
    %1 = "hct_graph.contract"(%0, %x) {spec = "bsd,btd->bst"} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x3xf32>
    %2 = "hct_graph.map2"(%1, %two) {fn = "div"} : (tensor<2x3x3xf32>, tensor<f32>) -> tensor<2x3x3xf32>
    %3 = "hct_graph.map2"(%m, %2) {fn = "add"} : (tensor<3x3xf32>, tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
    %4 = "hct_graph.softmax"(%3) {axis = 2 : i64} : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
    %5 = "hct_graph.contract"(%4, %x) {spec = "bst,btd->bsd"} : (tensor<2x3x3xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    return %5 : tensor<2x3x4xf32>
  }
}
