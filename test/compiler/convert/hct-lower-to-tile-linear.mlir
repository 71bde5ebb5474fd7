// A linear layer over 2 x 2 dies gathers its tokens over rows, multiplies, and reduce-scatters over columns, once a micro-batch.
// RUN: %hecaton-opt --hct-lower-to-tile %s | FileCheck %s
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<4x16x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@tr,16,8@c]"},
                  %w: tensor<6x8xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[6@r,8@c]"})
      -> (tensor<4x16x6xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.all_gather"(%x) {axis = "r", hct.sharding = ["[4@t,16,8@c]"]} : (tensor<4x16x8xf32>) -> tensor<4x16x8xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "bsk,nk->bsn", hct.sharding = ["[4@t,16,6@r] sum(c)"]} : (tensor<4x16x8xf32>, tensor<6x8xf32>) -> tensor<4x16x6xf32>
    %2 = "hct_graph.reduce_scatter"(%1) {axis = "c", kind = "sum", hct.sharding = ["[4@tc,16,6@r]"]} : (tensor<4x16x6xf32>) -> tensor<4x16x6xf32>
    return %2 : tensor<4x16x6xf32>
  }
}
// CHECK-DAG: %[[X:.+]] = "hct_tile.dram"() {{.*}}layout = "[4@tr,16,8@c]", name = "x", role = "input"
// CHECK-DAG: %[[W:.+]] = "hct_tile.dram"() {{.*}}layout = "[6@r,8@c]", name = "w", role = "param"
// CHECK-DAG: %[[Y:.+]] = "hct_tile.dram"() {{.*}}layout = "[4@tc,16,6@r]", name = "y", role = "output"
// The weight is loaded once, before the loop.
// CHECK: %[[WS:.+]] = "hct_tile.alloc"
// CHECK: "hct_tile.load"(%[[WS]], %[[W]])
// CHECK: scf.for %[[T:.+]] =
// CHECK: "hct_tile.load"(%{{.+}}, %[[X]], %[[T]])
// CHECK: %[[WHOLE:.+]] = "hct_tile.alloc"() {{.*}}layout = "[4@t,16,8@c]"
// CHECK: "hct_tile.copy_part"(%[[WHOLE]], %{{.+}}) {{.*}}direction = "in"
// CHECK: scf.for %[[S:.+]] =
// CHECK: "hct_tile.gather_step"(%[[WHOLE]], %[[S]]) {{.*}}axis = "r"
// CHECK: "hct_tile.matmul"(%[[P:.+]], %[[WHOLE]], %[[WS]]) {{.*}}accumulate = false
// CHECK: "hct_tile.scatter_step"(%[[P]], %{{.+}}) {{.*}}axis = "c"
// CHECK: "hct_tile.copy_part"(%[[P]], %[[PART:.+]]) {{.*}}direction = "out"
// CHECK: "hct_tile.store"(%[[Y]], %[[PART]], %[[T]])
