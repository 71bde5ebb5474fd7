// What a stage does not keep in SRAM (hct.streamed) is loaded for each micro-batch: weights (1) where a unit first reads them; sums (2), which the first micro-batch begins and the last one uses up.
// RUN: %hecaton-opt --hct-lower-to-tile --split-input-file %s | FileCheck %s
// Both: forward and backward load the weight in each micro-batch; the sum lies in DRAM between them, is no more stored in the last, and updates the weight as soon as backward has read that.
// CHECK-LABEL: module
// CHECK-DAG: %[[W:.+]] = "hct_tile.dram"() {{.*}}name = "w", role = "param"
// CHECK-DAG: %[[G:.+]] = "hct_tile.dram"() {{.*}}name = "sum.{{[0-9]+}}", role = "spill"
// CHECK-NOT: scf.for
// CHECK: "hct_tile.load"(%[[W0:.+]], %[[W]])
// CHECK: "hct_tile.matmul"(%[[H:[^ ,]+]], {{.*}}%[[W0]]
// CHECK: %[[S0:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[4,6]"
// CHECK-NEXT: "hct_tile.fill"(%[[S0]]) {{.*}}scalar = 0.0
// CHECK-NEXT: "hct_tile.matmul"(%[[S0]], {{.*}}accumulate = true
// CHECK-NEXT: "hct_tile.store"(%[[G]], %[[S0]])
// CHECK: "hct_tile.load"(%[[W1:.+]], %[[W]])
// CHECK: "hct_tile.matmul"({{.*}}%[[W1]]
// CHECK: scf.for %[[T:.+]] = %c1 to %c3
// CHECK: "hct_tile.load"(%{{.+}}, %[[W]])
// CHECK: "hct_tile.load"(%[[S1:[^ ,]+]], %[[G]])
// CHECK-NEXT: "hct_tile.matmul"(%[[S1]], {{.*}}accumulate = true
// CHECK-NEXT: "hct_tile.store"(%[[G]], %[[S1]])
// CHECK: "hct_tile.load"(%{{.+}}, %[[W]])
// CHECK: {{^ +[}]}}
// CHECK: "hct_tile.load"(%[[S2:[^ ,]+]], %[[G]])
// CHECK-NEXT: "hct_tile.matmul"(%[[S2]], {{.*}}accumulate = true
// CHECK-NOT: "hct_tile.store"(%[[G]]
// CHECK: "hct_tile.load"(%[[W2:[^ ,]+]], %[[W]])
// CHECK: "hct_tile.matmul"({{.*}}%[[W2]]
// CHECK: "hct_tile.update"(%[[W2]], %[[S2]]
// CHECK-NEXT: "hct_tile.store"(%[[W]], %[[W2]])
// CHECK: return
module attributes {hct.batch = 8 : i64, hct.micro_batch = 2 : i64, hct.package = "hecaton-2x2", hct.stages = array<i64: 0, 0>, hct.streamed = array<i64: 3, 3>, hct.options = {overlap = "none"}} {
  func.func @step(%x: tensor<8x4xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[8@t,4]"}, %w: tensor<4x6xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[4,6]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"})
      -> (tensor<4x6xf32> {hct.name = "w", hct.role = "param"}, tensor<8x4xf32> {hct.name = "dx", hct.role = "output"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[8@t,6]"]} : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x6xf32>
    %p = "hct_graph.contract"(%x, %h) {spec = "bk,bn->kn", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4,6] sum(t)"]} : (tensor<8x4xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
    %g = "hct_graph.all_reduce"(%p) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4,6]"]} : (tensor<4x6xf32>) -> tensor<4x6xf32>
    %dx = "hct_graph.contract"(%h, %w) {spec = "bn,kn->bk", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[8@t,4]"]} : (tensor<8x6xf32>, tensor<4x6xf32>) -> tensor<8x4xf32>
    %u = "hct_graph.update"(%w, %g, %settings, %step) {kind = "sgd", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[4,6]"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<10xf32>, tensor<f32>) -> tensor<4x6xf32>
    return %u, %dx : tensor<4x6xf32>, tensor<8x4xf32>
  }
}
// -----
// With one micro-batch the sum never leaves SRAM, and there is no loop.
// CHECK-LABEL: module
// CHECK-NOT: name = "sum.
// CHECK-NOT: scf.for
// CHECK: "hct_tile.fill"(%[[S:[^ ,)]+]])
// CHECK-NEXT: "hct_tile.matmul"(%[[S]]
// CHECK: "hct_tile.update"(%{{.+}}, %[[S]]
// CHECK: return
module attributes {hct.batch = 8 : i64, hct.micro_batch = 8 : i64, hct.package = "hecaton-2x2", hct.stages = array<i64: 0, 0>, hct.streamed = array<i64: 3, 3>, hct.options = {overlap = "none"}} {
  func.func @step(%x: tensor<8x4xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[8@t,4]"}, %w: tensor<4x6xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[4,6]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"})
      -> (tensor<4x6xf32> {hct.name = "w", hct.role = "param"}, tensor<8x4xf32> {hct.name = "dx", hct.role = "output"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[8@t,6]"]} : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x6xf32>
    %p = "hct_graph.contract"(%x, %h) {spec = "bk,bn->kn", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4,6] sum(t)"]} : (tensor<8x4xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
    %g = "hct_graph.all_reduce"(%p) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4,6]"]} : (tensor<4x6xf32>) -> tensor<4x6xf32>
    %dx = "hct_graph.contract"(%h, %w) {spec = "bn,kn->bk", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[8@t,4]"]} : (tensor<8x6xf32>, tensor<4x6xf32>) -> tensor<8x4xf32>
    %u = "hct_graph.update"(%w, %g, %settings, %step) {kind = "sgd", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[4,6]"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<10xf32>, tensor<f32>) -> tensor<4x6xf32>
    return %u, %dx : tensor<4x6xf32>, tensor<8x4xf32>
  }
}
// -----
// Weights alone: the sum is made before the loop, and the step comes after it, of a weight that is loaded once more.
// CHECK-LABEL: module
// CHECK-NOT: name = "sum.
// CHECK: %[[W:.+]] = "hct_tile.dram"() {{.*}}name = "w", role = "param"
// CHECK-NOT: "hct_tile.load"({{.+}}, %[[W]])
// CHECK: "hct_tile.fill"(%[[S:[^ ,)]+]])
// CHECK: scf.for
// CHECK-COUNT-2: "hct_tile.load"(%{{.+}}, %[[W]])
// CHECK: {{^ +[}]}}
// CHECK: "hct_tile.update"(%{{.+}}, %[[S]]
// CHECK: return
module attributes {hct.batch = 8 : i64, hct.micro_batch = 2 : i64, hct.package = "hecaton-2x2", hct.stages = array<i64: 0, 0>, hct.streamed = array<i64: 1, 1>, hct.options = {overlap = "none"}} {
  func.func @step(%x: tensor<8x4xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[8@t,4]"}, %w: tensor<4x6xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[4,6]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"})
      -> (tensor<4x6xf32> {hct.name = "w", hct.role = "param"}, tensor<8x4xf32> {hct.name = "dx", hct.role = "output"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[8@t,6]"]} : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x6xf32>
    %p = "hct_graph.contract"(%x, %h) {spec = "bk,bn->kn", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4,6] sum(t)"]} : (tensor<8x4xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
    %g = "hct_graph.all_reduce"(%p) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4,6]"]} : (tensor<4x6xf32>) -> tensor<4x6xf32>
    %dx = "hct_graph.contract"(%h, %w) {spec = "bn,kn->bk", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[8@t,4]"]} : (tensor<8x6xf32>, tensor<4x6xf32>) -> tensor<8x4xf32>
    %u = "hct_graph.update"(%w, %g, %settings, %step) {kind = "sgd", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[4,6]"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<10xf32>, tensor<f32>) -> tensor<4x6xf32>
    return %u, %dx : tensor<4x6xf32>, tensor<8x4xf32>
  }
}
// -----
// Sums alone: the weight is loaded once, before the first micro-batch.
// CHECK-LABEL: module
// CHECK: %[[W:.+]] = "hct_tile.dram"() {{.*}}name = "w", role = "param"
// CHECK: "hct_tile.load"(%[[W0:.+]], %[[W]])
// CHECK-NOT: "hct_tile.load"({{.+}}, %[[W]])
// CHECK: "hct_tile.update"(%[[W0]],
// CHECK: return
module attributes {hct.batch = 8 : i64, hct.micro_batch = 4 : i64, hct.package = "hecaton-2x2", hct.stages = array<i64: 0, 0>, hct.streamed = array<i64: 2, 2>, hct.options = {overlap = "none"}} {
  func.func @step(%x: tensor<8x4xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[8@t,4]"}, %w: tensor<4x6xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[4,6]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"})
      -> (tensor<4x6xf32> {hct.name = "w", hct.role = "param"}, tensor<8x4xf32> {hct.name = "dx", hct.role = "output"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[8@t,6]"]} : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x6xf32>
    %p = "hct_graph.contract"(%x, %h) {spec = "bk,bn->kn", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4,6] sum(t)"]} : (tensor<8x4xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
    %g = "hct_graph.all_reduce"(%p) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4,6]"]} : (tensor<4x6xf32>) -> tensor<4x6xf32>
    %dx = "hct_graph.contract"(%h, %w) {spec = "bn,kn->bk", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[8@t,4]"]} : (tensor<8x6xf32>, tensor<4x6xf32>) -> tensor<8x4xf32>
    %u = "hct_graph.update"(%w, %g, %settings, %step) {kind = "sgd", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[4,6]"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<10xf32>, tensor<f32>) -> tensor<4x6xf32>
    return %u, %dx : tensor<4x6xf32>, tensor<8x4xf32>
  }
}
