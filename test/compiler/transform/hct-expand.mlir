// Composite operators become primitive ones in one spelling each: rows are multiplied by 1 / sqrt, scores are scaled before they are masked.
// RUN: %hecaton-opt --hct-expand --split-input-file %s | FileCheck %s

// CHECK-LABEL: func.func @norm
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<2x8xf32> {{.*}}, %[[G:[a-z0-9]+]]: tensor<8xf32>
// CHECK-NEXT: %[[S:.+]] = "hct_graph.map2"(%[[X]], %[[X]]) {fn = "mul"}
// CHECK-NEXT: %[[R:.+]] = "hct_graph.reduce"(%[[S]]) {axes = array<i64: 1>, kind = "sum"}
// CHECK-NEXT: %[[M:.+]] = "hct_graph.map1"(%[[R]]) {fn = "muls", scalar = 1.250000e-01 : f64}
// CHECK-NEXT: %[[V:.+]] = "hct_graph.map1"(%[[M]]) {fn = "adds", scalar = 1.000000e-05 : f64}
// CHECK-NEXT: %[[I:.+]] = "hct_graph.map1"(%[[V]]) {fn = "rsqrt"}
// CHECK-NEXT: %[[N:.+]] = "hct_graph.map2"(%[[X]], %[[I]]) {fn = "mul"}
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.map2"(%[[N]], %[[G]]) {fn = "mul"}
// CHECK-NEXT: return %[[Y]]
module {
  func.func @norm(%x: tensor<2x8xf32> {hct.name = "x", hct.role = "input"}, %g: tensor<8xf32> {hct.name = "g", hct.role = "param"}) -> (tensor<2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.rms_norm"(%x, %g) {axis = 1 : i64, eps = 1.0e-5, gain = true, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
    return %0 : tensor<2x8xf32>
  }
}
// -----
// CHECK-LABEL: func.func @attention
// CHECK-NEXT: %[[S:.+]] = "hct_graph.contract"(%{{.+}}, %{{.+}}) {spec = "bsd,btd->bst"}
// CHECK-NEXT: %[[T:.+]] = "hct_graph.map1"(%[[S]]) {fn = "muls", scalar = 5.000000e-01 : f64}
// CHECK-NEXT: %[[F:.+]] = "hct_graph.constant"() {value = dense<-1.000000e+04> : tensor<f32>}
// CHECK-NEXT: %[[M:.+]] = "hct_graph.select"(%{{.+}}, %[[T]], %[[F]])
// CHECK-NEXT: %[[P:.+]] = "hct_graph.softmax"(%[[M]]) {axis = 2 : i64}
// CHECK-NEXT: "hct_graph.contract"(%[[P]], %{{.+}}) {spec = "bst,btd->bsd"}
module {
  func.func @attention(%x: tensor<2x3x4xf32> {hct.name = "x", hct.role = "input"}, %m: tensor<3x3xi1> {hct.name = "m", hct.role = "input"}) -> (tensor<2x3x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.attention"(%x, %x, %x, %m) {mask = "keep", fill = -1.0e4, mix = "bst,btd->bsd", scale = 0.5, scores = "bsd,btd->bst", operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<3x3xi1>) -> tensor<2x3x4xf32>
    return %0 : tensor<2x3x4xf32>
  }
}
