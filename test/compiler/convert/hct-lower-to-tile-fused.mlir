// Forward and backward in one stage: one loop, in which activations stay in SRAM, and before it one that counts what it divides by, which depends on inputs alone.
// RUN: %hecaton-opt --hct-lower-to-tile --split-input-file %s | FileCheck %s
// CHECK: %[[M:.+]] = "hct_tile.dram"() {{.*}}name = "m", role = "input"
// CHECK: %[[W:.+]] = "hct_tile.dram"() {{.*}}name = "w", role = "param"
// CHECK: %[[X:.+]] = "hct_tile.dram"() {{.*}}name = "x", role = "input"
// CHECK-NOT: spill
// CHECK: %[[G:.+]] = "hct_tile.dram"() {{.*}}name = "w", role = "gradient"
// CHECK: scf.for
// CHECK: "hct_tile.load"(%{{.+}}, %[[M]], %{{.+}})
// CHECK-NOT: "hct_tile.load"
// CHECK: "hct_tile.reduce"
// The weight, once for forward and backward.
// CHECK: "hct_tile.load"(%{{.+}}, %[[W]])
// CHECK: scf.for
// CHECK: "hct_tile.load"(%{{.+}}, %[[X]], %{{.+}})
// CHECK: "hct_tile.matmul"
// CHECK-NOT: "hct_tile.store"
// CHECK: "hct_tile.matmul"
// CHECK: "hct_tile.store"(%[[G]], %{{.+}})
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64, hct.package = "hecaton-2x2", hct.stages = array<i64: 0, 0>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,8]"}, %m: tensor<4x8xf32> {hct.name = "m", hct.role = "input", hct.sharding = "[4@t,8]"},
                  %w: tensor<8x8xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[8,8]"}) -> (tensor<8x8xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[4@t,8]"]} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %s = "hct_graph.reduce"(%m) {kind = "sum", axes = array<i64: 0>, hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[1,8] sum(t)"]} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    %n = "hct_graph.all_reduce"(%s) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[1,8]"]} : (tensor<1x8xf32>) -> tensor<1x8xf32>
    %r = "hct_graph.map1"(%n) {fn = "reciprocal", hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[1,8]"]} : (tensor<1x8xf32>) -> tensor<1x8xf32>
    %b = "hct_graph.broadcast"(%r) {shape = array<i64: 4, 8>, hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[4@t,8]"]} : (tensor<1x8xf32>) -> tensor<4x8xf32>
    %g = "hct_graph.map2"(%h, %b) {fn = "mul", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[4@t,8]"]} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %p = "hct_graph.contract"(%g, %x) {spec = "bn,bk->kn", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[8,8] sum(t)"]} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
    %dw = "hct_graph.all_reduce"(%p) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[8,8]"]} : (tensor<8x8xf32>) -> tensor<8x8xf32>
    return %dw : tensor<8x8xf32>
  }
}
// -----
// Two stages without it: what is multiplied lies in DRAM between them.
// CHECK: name = "{{.*}}", role = "spill"
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,8]"}, %w: tensor<8x8xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[8,8]"}) -> (tensor<8x8xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64, hct.pass = "forward", hct.sharding = ["[4@t,8]"]} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %p = "hct_graph.contract"(%h, %x) {spec = "bn,bk->kn", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[8,8] sum(t)"]} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
    %dw = "hct_graph.all_reduce"(%p) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.pass = "backward", hct.sharding = ["[8,8]"]} : (tensor<8x8xf32>) -> tensor<8x8xf32>
    return %dw : tensor<8x8xf32>
  }
}
