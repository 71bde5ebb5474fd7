// An activation that all dies hold goes to DRAM in parts where that is faster, and is gathered again by the stage that reads it; a small one goes whole.
// RUN: %hecaton-opt --hct-lower-to-tile %s | FileCheck %s
module attributes {hct.batch = 2 : i64, hct.micro_batch = 1 : i64, hct.package = "hecaton-4x4"} {
  func.func @step(%x: tensor<2x4096xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[2@t,4096]"}, %z: tensor<2x2xf32> {hct.name = "z", hct.role = "input", hct.sharding = "[2@t,2]"})
      -> (tensor<2x4096xf32> {hct.name = "y", hct.role = "output"}, tensor<2x2xf32> {hct.name = "w", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "exp", hct.group = 0 : i64, hct.sharding = ["[2@t,4096]"]} : (tensor<2x4096xf32>) -> tensor<2x4096xf32>
    %1 = "hct_graph.map1"(%z) {fn = "exp", hct.group = 0 : i64, hct.sharding = ["[2@t,2]"]} : (tensor<2x2xf32>) -> tensor<2x2xf32>
    %2 = "hct_graph.map1"(%0) {fn = "neg", hct.group = 1 : i64, hct.sharding = ["[2@t,4096]"]} : (tensor<2x4096xf32>) -> tensor<2x4096xf32>
    %3 = "hct_graph.map1"(%1) {fn = "neg", hct.group = 1 : i64, hct.sharding = ["[2@t,2]"]} : (tensor<2x2xf32>) -> tensor<2x2xf32>
    return %2, %3 : tensor<2x4096xf32>, tensor<2x2xf32>
  }
}
// CHECK: %[[PARTS:.+]] = "hct_tile.dram"() {{.*}}layout = "[2@t,4096@rc]"{{.*}}role = "spill"
// CHECK: %[[WHOLE:.+]] = "hct_tile.dram"() {{.*}}layout = "[2@t,2]"{{.*}}role = "spill"
// The first stage stores its own part of the one, and all of the other.
// CHECK: "hct_tile.copy_part"(%{{.+}}, %[[PART:[^ ,]+]]) {axis = "rc", direction = "out"
// CHECK: "hct_tile.store"(%[[PARTS]], %[[PART]], %{{.+}})
// CHECK: "hct_tile.store"(%[[WHOLE]], %{{.+}}, %{{.+}})
// The second gathers the parts, along the flat ring in both directions.
// CHECK: "hct_tile.load"(%[[READ:.+]], %[[PARTS]], %{{.+}})
// CHECK: "hct_tile.copy_part"(%[[AGAIN:.+]], %[[READ]]) {axis = "rc", direction = "in"
// CHECK: "hct_tile.gather_step"(%[[AGAIN]], %{{.+}}) {axis = "f0", {{.*}}hct.collective = "restore"{{.*}}lane = 1
// CHECK: "hct_tile.gather_step"(%[[AGAIN]], %{{.+}}) {axis = "f1", {{.*}}hct.collective = "restore"{{.*}}lane = 2
// CHECK: "hct_tile.load"(%{{.+}}, %[[WHOLE]], %{{.+}})
