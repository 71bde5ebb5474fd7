// With --schedule=layerwise what is the same for all micro-batches goes through DRAM too, from the group that makes it to those that read it.
// RUN: %hecaton-opt --hct-lower-to-tile %s | FileCheck %s
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64, hct.package = "hecaton-2x2", hct.options = {schedule = "layerwise"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,8@c]"})
      -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.reduce"(%x) {kind = "sum", axes = array<i64: 0>, hct.group = 0 : i64, hct.sharding = ["[1,8@c] sum(t)"]} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    %1 = "hct_graph.all_reduce"(%0) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.sharding = ["[1,8@c]"]} : (tensor<1x8xf32>) -> tensor<1x8xf32>
    %2 = "hct_graph.map2"(%x, %1) {fn = "sub", hct.group = 1 : i64, hct.sharding = ["[4@t,8@c]"]} : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
    return %2 : tensor<4x8xf32>
  }
}
// Rows of dies hold the same sum, and each row stores it or a part of it.
// CHECK: %[[SPILL:.+]] = "hct_tile.dram"() {{.*}}name = "spill.{{[0-9]+}}", role = "spill"
// CHECK: scf.for
// CHECK: "hct_tile.reduce"(%[[SUM:.+]], %{{.+}}) {{.*}}accumulate = true
// CHECK: "hct_tile.store"(%[[SPILL]], %{{.+}})
// CHECK: "hct_tile.load"(%[[AGAIN:.+]], %[[SPILL]])
// CHECK: scf.for
// CHECK: "hct_tile.map"(%{{.+}}, %{{.+}}, %[[AGAIN]])
