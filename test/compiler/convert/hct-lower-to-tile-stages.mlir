// What needs the whole batch waits for the end of the loop that accumulates it; what is partial over time is accumulated in place.
// RUN: %hecaton-opt --hct-lower-to-tile %s | FileCheck %s
module attributes {hct.batch = 5 : i64, hct.micro_batch = 2 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<5x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[5@t,8@c]"})
      -> (tensor<1x8xf32> {hct.name = "s", hct.role = "output"}) {
    %0 = "hct_graph.reduce"(%x) {kind = "sum", axes = array<i64: 0>, hct.sharding = ["[1,8@c] sum(t)"]} : (tensor<5x8xf32>) -> tensor<1x8xf32>
    %1 = "hct_graph.all_reduce"(%0) {axis = "t", kind = "sum", hct.sharding = ["[1,8@c]"]} : (tensor<1x8xf32>) -> tensor<1x8xf32>
    return %1 : tensor<1x8xf32>
  }
}
// CHECK: %[[S:.+]] = "hct_tile.dram"() {{.*}}name = "s", role = "output"
// CHECK: %[[SUM:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[1,8@c]", section = -1 : i64}
// CHECK: "hct_tile.fill"(%[[SUM]])
// Two full micro-batches in the loop.
// CHECK: scf.for
// CHECK: "hct_tile.reduce"(%[[SUM]], %{{.+}}) {{.*}}accumulate = true{{.*}}section = 0
// The last one, of a single sample, behind it.
// CHECK: "hct_tile.reduce"(%[[SUM]], %{{.+}}) {{.*}}accumulate = true{{.*}}section = 1
// CHECK: "hct_tile.store"(%[[S]], %[[SUM]])
