// Under --dtype activations and matmul inputs are low, and what the optimizer, statistics and losses need stays f32.
// RUN: %hecaton-opt --hct-lower-precision --split-input-file %s | FileCheck %s

// The parameter keeps f32 for its update, and gets a copy that is read and written beside it; the gradient is f32 from bf16 inputs.
// CHECK-LABEL: func.func @trained
// CHECK-SAME: (%[[X:arg[0-9]+]]: tensor<4x8xf32> {{[^%]*}}%[[W:arg[0-9]+]]: tensor<6x8xf32> {hct.name = "w", hct.role = "param"}
// CHECK-SAME: %[[S:arg[0-9]+]]: tensor<10xf32> {{[^%]*}}%[[T:arg[0-9]+]]: tensor<f32> {{[^%]*}}%[[C:arg[0-9]+]]: tensor<6x8xbf16> {hct.name = "w", hct.role = "copy"}
// CHECK-SAME: tensor<6x8xf32> {hct.name = "w", hct.role = "param"}, tensor<6x8xbf16> {hct.name = "w", hct.role = "copy"})
// CHECK-NEXT: %[[XL:.+]] = "hct_graph.map1"(%[[X]]) {fn = "mov", hct.layer = "l"} : (tensor<4x8xf32>) -> tensor<4x8xbf16>
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.contract"(%[[XL]], %[[C]]) {{.*}} -> tensor<4x6xbf16>
// CHECK-NEXT: %[[XB:.+]] = "hct_graph.map1"(%[[X]]) {fn = "mov"}
// CHECK-NEXT: %[[G:.+]] = "hct_graph.contract"(%[[Y]], %[[XB]]) {{.*}} : (tensor<4x6xbf16>, tensor<4x8xbf16>) -> tensor<6x8xf32>
// CHECK-NEXT: %[[N:.+]] = "hct_graph.update"(%[[W]], %[[G]], %[[S]], %[[T]])
// CHECK-NEXT: %[[NL:.+]] = "hct_graph.map1"(%[[N]]) {fn = "mov"{{.*}}} : (tensor<6x8xf32>) -> tensor<6x8xbf16>
// CHECK-NEXT: return %[[N]], %[[NL]] :
module attributes {hct.options = {"dtype" = "bf16"}} {
  func.func @trained(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<6x8xf32> {hct.name = "w", hct.role = "param"},
                     %s: tensor<10xf32> {hct.name = "settings", hct.role = "setting"}, %t: tensor<f32> {hct.name = "step", hct.role = "state"}) -> (tensor<6x8xf32> {hct.name = "w", hct.role = "param"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.layer = "l"} : (tensor<4x8xf32>, tensor<6x8xf32>) -> tensor<4x6xf32>
    %1 = "hct_graph.contract"(%0, %x) {spec = "bn,bk->nk"} : (tensor<4x6xf32>, tensor<4x8xf32>) -> tensor<6x8xf32>
    %2 = "hct_graph.update"(%w, %1, %s, %t) {kind = "sgd", operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<10xf32>, tensor<f32>) -> tensor<6x8xf32>
    return %2 : tensor<6x8xf32>
  }
}
// -----
// A parameter that nothing updates is stored low; the statistic of a row, an exponential's argument and the loss are f32, the exponential
// itself is not; a kept output is widened at the end.
// CHECK-LABEL: func.func @statistics
// CHECK-SAME: %[[W:arg[0-9]+]]: tensor<4x8xf16> {hct.name = "w", hct.role = "param"}
// CHECK-NEXT: %[[Z:.+]] = "hct_graph.map1"(%[[W]]) {fn = "tanh"} : (tensor<4x8xf16>) -> tensor<4x8xf16>
// CHECK-NEXT: %[[M:.+]] = "hct_graph.reduce"(%[[Z]]) {{.*}} -> tensor<4x1xf32>
// CHECK-NEXT: %[[D:.+]] = "hct_graph.map2"(%[[Z]], %[[M]]) {fn = "sub"} : (tensor<4x8xf16>, tensor<4x1xf32>) -> tensor<4x8xf32>
// CHECK-NEXT: %[[E:.+]] = "hct_graph.map1"(%[[D]]) {fn = "exp"} : (tensor<4x8xf32>) -> tensor<4x8xf16>
// CHECK-NEXT: %[[S:.+]] = "hct_graph.reduce"(%[[E]]) {axes = array<i64: 1>, kind = "sum"} : (tensor<4x8xf16>) -> tensor<4x1xf32>
// CHECK-NEXT: %[[L:.+]] = "hct_graph.map1"(%[[S]]) {fn = "log"} : (tensor<4x1xf32>) -> tensor<4x1xf32>
// CHECK-NEXT: %[[N:.+]] = "hct_graph.reduce"(%[[L]]) {{.*}} -> tensor<1x1xf32>
// CHECK-NEXT: %[[LOSS:.+]] = "hct_graph.reshape"(%[[N]]) : (tensor<1x1xf32>) -> tensor<f32>
// CHECK-NEXT: %[[H:.+]] = "hct_graph.reduce"(%[[E]]) {axes = array<i64: 0>, kind = "sum"} : (tensor<4x8xf16>) -> tensor<1x8xf16>
// CHECK-NEXT: %[[O:.+]] = "hct_graph.map1"(%[[H]]) {fn = "mov"} : (tensor<1x8xf16>) -> tensor<1x8xf32>
// CHECK-NEXT: return %[[LOSS]], %[[O]] : tensor<f32>, tensor<1x8xf32>
module attributes {hct.options = {"dtype" = "f16"}} {
  func.func @statistics(%w: tensor<4x8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<f32> {hct.name = "loss", hct.role = "loss"}, tensor<1x8xf32> {hct.name = "h", hct.role = "output"}) {
    %z = "hct_graph.map1"(%w) {fn = "tanh"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %m = "hct_graph.reduce"(%z) {kind = "max", axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    %d = "hct_graph.map2"(%z, %m) {fn = "sub"} : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
    %e = "hct_graph.map1"(%d) {fn = "exp"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %s = "hct_graph.reduce"(%e) {kind = "sum", axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    %l = "hct_graph.map1"(%s) {fn = "log"} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %n = "hct_graph.reduce"(%l) {kind = "sum", axes = array<i64: 0, 1>} : (tensor<4x1xf32>) -> tensor<1x1xf32>
    %loss = "hct_graph.reshape"(%n) : (tensor<1x1xf32>) -> tensor<f32>
    %h = "hct_graph.reduce"(%e) {kind = "sum", axes = array<i64: 0>} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    return %loss, %h : tensor<f32>, tensor<1x8xf32>
  }
}
// -----
// A table that low values are made with is rounded to nearest even, and stays finite; a scalar is no table. 1 + 2^-8 lies between two bf16,
// 1 and 1 + 2^-7, and 1 + 3 2^-8 between 1 + 2^-7 and 1 + 2^-6: to the even ones. The lowest f32 would round to minus infinity.
// CHECK-LABEL: func.func @constants
// CHECK-NEXT: %[[T:.+]] = "hct_graph.constant"() {value = dense<[1.000000e+00, 1.015630e+00, -3.389530e+38, 0xFF80]> : tensor<4xbf16>}
// CHECK-NEXT: %[[H:.+]] = "hct_graph.constant"() {value = dense<5.000000e-01> : tensor<f32>}
// CHECK-NEXT: "hct_graph.map2"({{.*}}, %[[T]]) {fn = "mul"} : (tensor<4xbf16>, tensor<4xbf16>) -> tensor<4xbf16>
module attributes {hct.options = {"dtype" = "bf16"}} {
  func.func @constants(%w: tensor<4xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %t = "hct_graph.constant"() {value = dense<[1.00390625, 1.01171875, 0xFF7FFFFF, 0xFF800000]> : tensor<4xf32>} : () -> tensor<4xf32>
    %h = "hct_graph.constant"() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
    %0 = "hct_graph.map2"(%w, %t) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.map2"(%0, %h) {fn = "mul"} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    return %1 : tensor<4xf32>
  }
}
// -----
// In f32, the default, nothing changes.
// CHECK-LABEL: func.func @plain
// CHECK-SAME: tensor<6x8xf32> {hct.name = "w", hct.role = "param"}
// CHECK-NOT: xbf16
// CHECK: "hct_graph.contract"(%{{.*}}, %{{.*}}) {{.*}} : (tensor<4x8xf32>, tensor<6x8xf32>) -> tensor<4x6xf32>
// CHECK-NEXT: return
module attributes {hct.options = {}} {
  func.func @plain(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<6x8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<6x8xf32>) -> tensor<4x6xf32>
    return %0 : tensor<4x6xf32>
  }
}
// -----
// What is marked wide stays f32, with low inputs of a product, and so does nothing else.
// CHECK-LABEL: func.func @wide
// CHECK: %[[P:.+]] = "hct_graph.contract"({{.*}}) {hct.wide, {{.*}} : (tensor<4x8xbf16>, tensor<6x8xbf16>) -> tensor<4x6xf32>
// CHECK-NEXT: %[[S:.+]] = "hct_graph.map2"(%[[P]], %[[P]]) {fn = "add", hct.wide} : {{.*}} -> tensor<4x6xf32>
// CHECK-NEXT: "hct_graph.map1"(%[[S]]) {fn = "neg"} : (tensor<4x6xf32>) -> tensor<4x6xbf16>
module attributes {hct.options = {"dtype" = "bf16"}} {
  func.func @wide(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<6x8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.wide} : (tensor<4x8xf32>, tensor<6x8xf32>) -> tensor<4x6xf32>
    %1 = "hct_graph.map2"(%0, %0) {fn = "add", hct.wide} : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
    %2 = "hct_graph.map1"(%1) {fn = "neg"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
    return %2 : tensor<4x6xf32>
  }
}
// -----
// So does a constant that it reads: a mask of -1e9 would be -inf in f16, or -65504, beside which scores are not lost.
// CHECK-LABEL: func.func @wide_mask
// CHECK: %[[M:.+]] = "hct_graph.constant"() {value = dense<{{.*}}-1.000000e+09{{.*}}> : tensor<1x6xf32>}
// CHECK: "hct_graph.map2"(%{{.*}}, %[[M]]) {fn = "add", hct.wide} : (tensor<4x6xf16>, tensor<1x6xf32>) -> tensor<4x6xf32>
module attributes {hct.options = {"dtype" = "f16"}} {
  func.func @wide_mask(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<6x8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) {
    %m = "hct_graph.constant"() {value = dense<[[0.0, 0.0, -1.0e9, 0.0, 0.0, 0.0]]> : tensor<1x6xf32>} : () -> tensor<1x6xf32>
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<6x8xf32>) -> tensor<4x6xf32>
    %1 = "hct_graph.map2"(%0, %m) {fn = "add", hct.wide} : (tensor<4x6xf32>, tensor<1x6xf32>) -> tensor<4x6xf32>
    %2 = "hct_graph.map1"(%1) {fn = "neg"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
    return %2 : tensor<4x6xf32>
  }
}
// -----
// A product with a constant (copies of one kv head) rounds that, though it holds one number for all its elements.
// CHECK-LABEL: func.func @copies
// CHECK: %[[C:.+]] = "hct_graph.constant"() {value = dense<1.000000e+00> : tensor<1x4xbf16>}
// CHECK: "hct_graph.contract"(%{{.+}}, %[[C]])
module attributes {hct.options = {dtype = "bf16"}} {
  func.func @copies(%x: tensor<3x8x1xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4x8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<3x8xf32> {hct.name = "y", hct.role = "output"}) {
    %c = "hct_graph.constant"() {value = dense<1.0> : tensor<1x4xf32>} : () -> tensor<1x4xf32>
    %0 = "hct_graph.contract"(%w, %c) {spec = "mk,nm->nk"} : (tensor<4x8xf32>, tensor<1x4xf32>) -> tensor<1x8xf32>
    %1 = "hct_graph.contract"(%x, %0) {spec = "akn,nk->ak"} : (tensor<3x8x1xf32>, tensor<1x8xf32>) -> tensor<3x8xf32>
    return %1 : tensor<3x8xf32>
  }
}
