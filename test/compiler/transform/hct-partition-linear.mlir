// Two linear layers: the first takes [tokens over rows, features over columns] to the transposed layout, the second takes it back; the
// first's input is gathered over rows, its sum scattered over columns.
// RUN: %hecaton-opt --hct-partition %s | FileCheck %s
module attributes {hct.package = "hecaton-2x2", hct.options = {"micro-batch" = "2"}} {
  func.func @step(%ids: tensor<4x8xi64> {hct.name = "ids", hct.role = "input"}, %e: tensor<6x4xf32> {hct.name = "e", hct.role = "param"},
                  %u: tensor<10x4xf32> {hct.name = "u", hct.role = "param"}, %v: tensor<4x10xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<4x8x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.gather_rows"(%e, %ids) : (tensor<6x4xf32>, tensor<4x8xi64>) -> tensor<4x8x4xf32>
    %1 = "hct_graph.contract"(%0, %u) {spec = "bsk,nk->bsn"} : (tensor<4x8x4xf32>, tensor<10x4xf32>) -> tensor<4x8x10xf32>
    %2 = "hct_graph.map1"(%1) {fn = "tanh"} : (tensor<4x8x10xf32>) -> tensor<4x8x10xf32>
    %3 = "hct_graph.contract"(%2, %v) {spec = "bsk,nk->bsn"} : (tensor<4x8x10xf32>, tensor<4x10xf32>) -> tensor<4x8x4xf32>
    return %3 : tensor<4x8x4xf32>
  }
}
// CHECK: hct.fallbacks = 0
// CHECK: func.func @step(%{{.+}}: tensor<4x8xi64> {{.*}}hct.sharding = "[4@t,8]"
// CHECK-SAME: hct.name = "e", {{.*}}hct.sharding = "[6@r,4@c]"
// CHECK-SAME: hct.name = "u", {{.*}}hct.sharding = "[10@r,4@c]"
// CHECK-SAME: hct.name = "v", {{.*}}hct.sharding = "[4@c,10@r]"
// CHECK: "hct_graph.gather_rows"{{.*}}"[4@t,8,4@c] sum(r)"
// CHECK-NEXT: "hct_graph.reduce_scatter"{{.*}}axis = "r"{{.*}}"[4@tr,8,4@c]"
// CHECK-NEXT: "hct_graph.all_gather"{{.*}}axis = "r"{{.*}}"[4@t,8,4@c]"
// CHECK-NEXT: "hct_graph.contract"{{.*}}"[4@t,8,10@r] sum(c)"
// CHECK-NEXT: "hct_graph.reduce_scatter"{{.*}}axis = "c"{{.*}}"[4@tc,8,10@r]"
// CHECK-NEXT: "hct_graph.map1"{{.*}}"[4@tc,8,10@r]"
// CHECK-NEXT: "hct_graph.all_gather"{{.*}}axis = "c"{{.*}}"[4@t,8,10@r]"
// CHECK-NEXT: "hct_graph.contract"{{.*}}"[4@t,8,4@c] sum(r)"
// CHECK-NEXT: "hct_graph.reduce_scatter"{{.*}}axis = "r"{{.*}}"[4@tr,8,4@c]"
