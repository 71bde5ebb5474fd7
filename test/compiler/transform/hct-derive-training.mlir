// A training step returns the loss and the updated parameters; an inference step is the graph as it was.
// RUN: %hecaton-opt --hct-derive-training --split-input-file %s 2>&1 | FileCheck %s

// d loss / d w = sum over the batch of x, since loss = sum(x w); sgd takes w, the gradient, the settings and the step.
// CHECK-LABEL: func.func @train
// CHECK-SAME: %[[X:arg[0-9]+]]: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}
// CHECK-SAME: %[[W:arg[0-9]+]]: tensor<8xf32> {hct.name = "w", hct.role = "param", hct.trainable}
// CHECK-SAME: hct.name = "spare", hct.role = "param"}
// CHECK-SAME: %[[SETTINGS:arg[0-9]+]]: tensor<10xf32> {hct.data = dense<[2.500000e-01, 0.899999976, 0.899999976, 9.990000e-01, 9.99999993E-9, 0.000000e+00, 0.000000e+00, 0.000000e+00, 2.000000e+03, 1.000000e+00]> : tensor<10xf32>, hct.name = "settings", hct.role = "setting"}
// CHECK-SAME: %[[STEP:arg[0-9]+]]: tensor<f32> {hct.name = "step", hct.role = "state"}
// CHECK-SAME: -> (tensor<f32> {hct.name = "loss", hct.role = "loss"}, tensor<8xf32> {hct.name = "w", hct.role = "param"}, tensor<f32> {hct.name = "step", hct.role = "state"})
// CHECK-NEXT: "hct_graph.map2"(%[[X]], %[[W]]) {fn = "mul"}
// CHECK-NEXT: "hct_graph.reduce"
// CHECK-NEXT: %[[LOSS:.+]] = "hct_graph.reshape"
// CHECK-NEXT: %[[ONE:.+]] = "hct_graph.constant"() {hct.pass = "backward", value = dense<1.000000e+00> : tensor<f32>}
// CHECK-NEXT: %[[SEED:.+]] = "hct_graph.reshape"(%[[ONE]])
// CHECK-NEXT: %[[DY:.+]] = "hct_graph.map2"(%[[SEED]], %[[X]]) {fn = "mul", hct.pass = "backward"}
// CHECK-NEXT: %[[SUM:.+]] = "hct_graph.reduce"(%[[DY]]) {axes = array<i64: 0>, hct.pass = "backward", kind = "sum"} : (tensor<4x8xf32>) -> tensor<1x8xf32>
// CHECK-NEXT: %[[DW:.+]] = "hct_graph.reshape"(%[[SUM]])
// CHECK-NEXT: %[[NEW:.+]] = "hct_graph.update"(%[[W]], %[[DW]], %[[SETTINGS]], %[[STEP]]) {{.*}}hct.pass = "update", kind = "sgd"
// CHECK-NEXT: %[[NEXT:.+]] = "hct_graph.map1"(%[[STEP]]) {fn = "adds", {{.*}}scalar = 1.000000e+00
// CHECK-NEXT: return %[[LOSS]], %[[NEW]], %[[NEXT]] :
module attributes {hct.options = {"optimizer" = "sgd", "lr" = "0.25"}} {
  func.func @train(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "param"}, %s: tensor<8xf32> {hct.name = "spare", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "sum", axes = array<i64: 0, 1>} : (tensor<4x8xf32>) -> tensor<1x1xf32>
    %2 = "hct_graph.reshape"(%1) : (tensor<1x1xf32>) -> tensor<f32>
    return %2, %0 : tensor<f32>, tensor<4x8xf32>
  }
}
// -----
// Without an optimizer the gradients are results, and with --keep-output the model's other output is one too.
// CHECK-LABEL: func.func @gradients
// CHECK-SAME: -> (tensor<f32> {hct.name = "loss", hct.role = "loss"}, tensor<4x8xf32> {hct.name = "y", hct.role = "output"}, tensor<8xf32> {hct.name = "w", hct.role = "gradient"})
// CHECK-NOT: hct_graph.update
// CHECK: return
module attributes {hct.options = {"optimizer" = "none", "keep-output" = "y"}} {
  func.func @gradients(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "sum", axes = array<i64: 0, 1>} : (tensor<4x8xf32>) -> tensor<1x1xf32>
    %2 = "hct_graph.reshape"(%1) : (tensor<1x1xf32>) -> tensor<f32>
    return %2, %0 : tensor<f32>, tensor<4x8xf32>
  }
}
// -----
// In infer mode nothing is added, and outputs stay outputs.
// CHECK-LABEL: func.func @infer
// CHECK-SAME: (%[[X:arg[0-9]+]]: tensor<4x8xf32> {{.*}}, %[[W:arg[0-9]+]]: tensor<8xf32> {hct.name = "w", hct.role = "param"} {{[^%]*}}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"})
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.map2"(%[[X]], %[[W]]) {fn = "mul"}
// CHECK-NEXT: return %[[Y]] :
module attributes {hct.options = {"mode" = "infer"}} {
  func.func @infer(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// What two fusion groups add to one weight's gradient each adds up itself: so all micro-batches go into one sum in each.
// CHECK-LABEL: func.func @tied
// CHECK-SAME: %[[X:arg[0-9]+]]: tensor<4x8xf32> {{.*}}%[[W:arg[0-9]+]]: tensor<8xf32>
// CHECK: %[[D1:.+]] = "hct_graph.reshape"{{.*}}hct.group = 1 : i64{{.*}}-> tensor<8xf32>
// CHECK: %[[D2:.+]] = "hct_graph.reshape"{{.*}}hct.group = 1 : i64{{.*}}-> tensor<8xf32>
// CHECK: %[[D3:.+]] = "hct_graph.reshape"{{.*}}hct.group = 0 : i64{{.*}}-> tensor<8xf32>
// CHECK: %[[D4:.+]] = "hct_graph.reshape"{{.*}}hct.group = 0 : i64{{.*}}-> tensor<8xf32>
// CHECK-NEXT: %[[S1:.+]] = "hct_graph.map2"(%[[D1]], %[[D2]]) {fn = "add", hct.group = 1 : i64, hct.pass = "backward"}
// CHECK-NEXT: %[[S0:.+]] = "hct_graph.map2"(%[[D3]], %[[D4]]) {fn = "add", hct.group = 0 : i64, hct.pass = "backward"}
// CHECK-NEXT: %[[DW:.+]] = "hct_graph.map2"(%[[S1]], %[[S0]]) {fn = "add", hct.group = 0 : i64, hct.pass = "backward"}
// CHECK-NEXT: "hct_graph.update"(%[[W]], %[[DW]],
module attributes {hct.options = {"optimizer" = "sgd"}} {
  func.func @tied(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<f32> {hct.name = "loss", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul", hct.group = 0 : i64} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.map2"(%0, %w) {fn = "add", hct.group = 0 : i64} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.map2"(%1, %w) {fn = "mul", hct.group = 1 : i64} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %3 = "hct_graph.map2"(%2, %w) {fn = "add", hct.group = 1 : i64} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 0, 1>, hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<1x1xf32>
    %5 = "hct_graph.reshape"(%4) {hct.group = 1 : i64} : (tensor<1x1xf32>) -> tensor<f32>
    return %5 : tensor<f32>
  }
}
// -----
// Clipping puts the norm of all gradients before the updates, which take settings whose last is what gradients are scaled by.
// CHECK-LABEL: func.func @clipped
// CHECK-SAME: %[[SETTINGS:arg[0-9]+]]: tensor<10xf32> {hct.data = dense<[{{.*}}5.000000e-01, 0.000000e+00, 2.000000e+03, 1.000000e+00]>
// CHECK: %[[Q:.+]] = "hct_graph.map2"(%[[DW:.+]], %[[DW]]) {fn = "mul", hct.pass = "update"}
// CHECK-NEXT: %[[S:.+]] = "hct_graph.reduce"(%[[Q]]) {axes = array<i64: 0>, hct.pass = "update", kind = "sum"}
// CHECK-NEXT: %[[SUM:.+]] = "hct_graph.reshape"(%[[S]])
// CHECK: %[[NORM:.+]] = "hct_graph.map1"(%[[SUM]]) {fn = "sqrt"
// CHECK: %[[RATIO:.+]] = "hct_graph.map2"({{.*}}) {fn = "div"
// CHECK: %[[SCALE:.+]] = "hct_graph.map2"({{.*}}, %[[RATIO]]) {fn = "min"
// CHECK: %[[LAST:.+]] = "hct_graph.reshape"(%[[SCALE]]) {{.*}} -> tensor<1xf32>
// CHECK: %[[GIVEN:.+]] = "hct_graph.concat"({{.*}}, %[[LAST]]) {{.*}} -> tensor<10xf32>
// CHECK: "hct_graph.update"({{.*}}, %[[DW]], %[[GIVEN]], {{.*}}hct.waits
module attributes {hct.options = {"optimizer" = "sgd", "clip-norm" = "0.5"}} {
  func.func @clipped(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<f32> {hct.name = "loss", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "sum", axes = array<i64: 0, 1>} : (tensor<4x8xf32>) -> tensor<1x1xf32>
    %2 = "hct_graph.reshape"(%1) : (tensor<1x1xf32>) -> tensor<f32>
    return %2 : tensor<f32>
  }
}
// -----
// Squares join their sum in the order in which gradients are made, that of the last parameter first; a fixed scale of the loss waits for none.
// CHECK-LABEL: func.func @chained
// CHECK-SAME: %[[W:arg[0-9]+]]: tensor<8xf32> {hct.name = "w"{{.*}} %[[V:arg[0-9]+]]: tensor<8xf32> {hct.name = "v"
// CHECK: %[[QV:.+]] = "hct_graph.map2"(%[[DV:.+]], %[[DV]]) {fn = "mul", hct.pass = "update"}
// CHECK: %[[SV:.+]] = "hct_graph.reshape"
// CHECK: %[[QW:.+]] = "hct_graph.map2"(%[[DW:.+]], %[[DW]]) {fn = "mul", hct.pass = "update"}
// CHECK: %[[SW:.+]] = "hct_graph.reshape"
// CHECK-NEXT: %[[SUM:.+]] = "hct_graph.map2"(%[[SV]], %[[SW]]) {fn = "add", hct.pass = "update"}
// CHECK: "hct_graph.update"(%[[W]], %[[DW]], {{.*}}hct.waits
// CHECK: "hct_graph.update"(%[[V]], %[[DV]], {{.*}}hct.waits
module attributes {hct.options = {"optimizer" = "sgd", "loss-scale" = "auto"}} {
  func.func @chained(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<8xf32> {hct.name = "v", hct.role = "param"}) -> (tensor<f32> {hct.name = "loss", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.map2"(%0, %v) {fn = "mul"} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.reduce"(%1) {kind = "sum", axes = array<i64: 0, 1>} : (tensor<4x8xf32>) -> tensor<1x1xf32>
    %3 = "hct_graph.reshape"(%2) : (tensor<1x1xf32>) -> tensor<f32>
    return %3 : tensor<f32>
  }
}
// -----
// CHECK-LABEL: func.func @scaled
// CHECK-NOT: hct.waits
// CHECK: return
module attributes {hct.options = {"optimizer" = "sgd", "loss-scale" = "8"}} {
  func.func @scaled(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<f32> {hct.name = "loss", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "sum", axes = array<i64: 0, 1>} : (tensor<4x8xf32>) -> tensor<1x1xf32>
    %2 = "hct_graph.reshape"(%1) : (tensor<1x1xf32>) -> tensor<f32>
    return %2 : tensor<f32>
  }
}
// -----
// The gradient of a dropout is the same dropout: of the seed, a setting, and of the step, which is counted without an optimizer too.
// CHECK-LABEL: func.func @dropped
// CHECK-SAME: %[[SEED:arg[0-9]+]]: tensor<i64> {hct.data = dense<5> : tensor<i64>, hct.name = "seed", hct.role = "setting"}
// CHECK-SAME: %[[STEP:arg[0-9]+]]: tensor<f32> {hct.name = "step", hct.role = "state"}
// CHECK: %[[XW:.+]] = "hct_graph.map2"
// CHECK-NEXT: "hct_graph.dropout"(%[[XW]], %[[SEED]], %[[STEP]]) {index = array<i64: 8, 1, 0>, ratio = 5.000000e-01 : f64, stream = 3 : i64}
// CHECK: %[[DY:.+]] = "hct_graph.broadcast"
// CHECK-NEXT: %[[DXW:.+]] = "hct_graph.dropout"(%[[DY]], %[[SEED]], %[[STEP]]) {hct.pass = "backward", index = array<i64: 8, 1, 0>, ratio = 5.000000e-01 : f64, stream = 3 : i64}
// CHECK-NEXT: "hct_graph.map2"(%[[DXW]], %arg0) {fn = "mul"
// CHECK: "hct_graph.map1"(%[[STEP]]) {fn = "adds"
module attributes {hct.options = {"optimizer" = "none", "seed" = "5"}} {
  func.func @dropped(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<f32> {hct.name = "loss", hct.role = "output"}) {
    %seed = "hct_graph.constant"() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %step = "hct_graph.constant"() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.dropout"(%0, %seed, %step) {ratio = 0.5, stream = 3 : i64, index = array<i64: 8, 1, 0>} : (tensor<4x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x8xf32>
    %2 = "hct_graph.reduce"(%1) {kind = "sum", axes = array<i64: 0, 1>} : (tensor<4x8xf32>) -> tensor<1x1xf32>
    %3 = "hct_graph.reshape"(%2) : (tensor<1x1xf32>) -> tensor<f32>
    return %3 : tensor<f32>
  }
}
// -----
// Without training it is of step 0.
// CHECK-LABEL: func.func @inferred
// CHECK-SAME: %[[SEED:arg[0-9]+]]: tensor<i64> {hct.data = dense<0> : tensor<i64>, hct.name = "seed", hct.role = "setting"}
// CHECK: %[[STEP:.+]] = "hct_graph.constant"() {value = dense<0.000000e+00> : tensor<f32>}
// CHECK-NEXT: "hct_graph.dropout"(%arg0, %[[SEED]], %[[STEP]])
module attributes {hct.options = {"mode" = "infer"}} {
  func.func @inferred(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %seed = "hct_graph.constant"() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %step = "hct_graph.constant"() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
    %0 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = 3 : i64, index = array<i64: 8, 1, 0>} : (tensor<4x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// A detached value is that of its first operand, with the gradient of the second; what is for backward alone, and what is made of it, goes to before its first reader there, or goes.
// CHECK-LABEL: func.func @detached
// CHECK-SAME: %[[X:arg[0-9]+]]: tensor<4x8xf32> {hct.name = "x"{{[^%]*}}%[[W:arg[0-9]+]]: tensor<4x8xf32> {hct.name = "w"
// CHECK-NEXT: %[[U:.+]] = "hct_graph.map2"(%[[W]], %[[W]]) {fn = "add"}
// CHECK-NEXT: %[[SUM:.+]] = "hct_graph.reduce"(%[[U]])
// CHECK-NEXT: %[[LOSS:.+]] = "hct_graph.reshape"(%[[SUM]])
// CHECK-NEXT: "hct_graph.constant"() {hct.pass = "backward"
// CHECK-NEXT: %[[DY:.+]] = "hct_graph.reshape"
// CHECK-NEXT: %[[Z:.+]] = "hct_graph.map2"(%[[W]], %[[X]]) {fn = "exp_sub", hct.pass = "backward", hct.recomputed}
// CHECK-NEXT: %[[R:.+]] = "hct_graph.map1"(%[[Z]]) {fn = "exp", hct.pass = "backward", hct.recomputed}
// CHECK-NEXT: %[[DZ:.+]] = "hct_graph.map2"(%[[DY]], %[[R]]) {fn = "mul", hct.pass = "backward"}
// CHECK-NEXT: %[[DW:.+]] = "hct_graph.map2"(%[[DZ]], %[[Z]]) {fn = "mul", hct.pass = "backward"}
// CHECK-NEXT: return %[[LOSS]], %[[DW]]
module attributes {hct.options = {"optimizer" = "none"}} {
  func.func @detached(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4x8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<f32> {hct.name = "loss", hct.role = "output"}) {
    %still = "hct_graph.detach"(%x) {operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %0 = "hct_graph.map2"(%w, %still) {fn = "exp_sub", hct.recomputed} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.map1"(%0) {fn = "exp"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %unread = "hct_graph.map1"(%0) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.map2"(%w, %w) {fn = "add"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %3 = "hct_graph.detach"(%2, %1) {operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 0, 1>} : (tensor<4x8xf32>) -> tensor<1x1xf32>
    %5 = "hct_graph.reshape"(%4) : (tensor<1x1xf32>) -> tensor<f32>
    return %5 : tensor<f32>
  }
}
