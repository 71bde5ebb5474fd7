// What is gathered is gathered as it is fewest: kv heads before they are repeated for their query heads, parts that are put together one by one; scores keep their rows whole; Megatron splits heads before their features.
// RUN: %hecaton-opt --hct-partition --split-input-file %s | FileCheck %s

// One sample on two columns of dies: the queries are split over them, the two kv heads gathered, not the four of the queries.
// CHECK: hct.fallbacks = 0
// CHECK-LABEL: func.func @repeated
// CHECK: %[[Q:.+]] = "hct_graph.transpose"{{.*}}"[2@t,4@r,8@c,4]"
// CHECK: %[[K:.+]] = "hct_graph.reshape"{{.*}}"[2@t,2@r,1,8@c,4]"
// CHECK-NEXT: %[[G:.+]] = "hct_graph.all_gather"(%[[K]]) {axis = "c", hct.sharding = ["[2@t,2@r,1,8,4]"]}
// CHECK-NEXT: %[[B:.+]] = "hct_graph.broadcast"(%[[G]]) {hct.sharding = ["[2@t,2@r,2,8,4]"]}
// CHECK-NEXT: %[[R:.+]] = "hct_graph.reshape"(%[[B]])
// CHECK-NEXT: %[[S:.+]] = "hct_graph.contract"(%[[Q]], %[[R]]) {hct.sharding = ["[2@t,4@r,8@c,8]"]
// CHECK-NEXT: "hct_graph.softmax"(%[[S]])
module attributes {hct.package = "hecaton-2x2", hct.options = {"micro-batch" = "1"}} {
  func.func @repeated(%x: tensor<2x8x4xf32> {hct.name = "x", hct.role = "input"}, %wq: tensor<4x16xf32> {hct.name = "wq", hct.role = "param"}, %wk: tensor<4x8xf32> {hct.name = "wk", hct.role = "param"})
      -> (tensor<2x4x8x8xf32> {hct.name = "y", hct.role = "output"}) {
    %q0 = "hct_graph.contract"(%x, %wq) {spec = "amk,kn->amn"} : (tensor<2x8x4xf32>, tensor<4x16xf32>) -> tensor<2x8x16xf32>
    %q1 = "hct_graph.reshape"(%q0) : (tensor<2x8x16xf32>) -> tensor<2x8x4x4xf32>
    %q = "hct_graph.transpose"(%q1) {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x8x4x4xf32>) -> tensor<2x4x8x4xf32>
    %k0 = "hct_graph.contract"(%x, %wk) {spec = "amk,kn->amn"} : (tensor<2x8x4xf32>, tensor<4x8xf32>) -> tensor<2x8x8xf32>
    %k1 = "hct_graph.reshape"(%k0) : (tensor<2x8x8xf32>) -> tensor<2x8x2x4xf32>
    %k2 = "hct_graph.transpose"(%k1) {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x8x2x4xf32>) -> tensor<2x2x8x4xf32>
    %k3 = "hct_graph.reshape"(%k2) : (tensor<2x2x8x4xf32>) -> tensor<2x2x1x8x4xf32>
    %k4 = "hct_graph.broadcast"(%k3) : (tensor<2x2x1x8x4xf32>) -> tensor<2x2x2x8x4xf32>
    %k = "hct_graph.reshape"(%k4) : (tensor<2x2x2x8x4xf32>) -> tensor<2x4x8x4xf32>
    %s = "hct_graph.contract"(%q, %k) {spec = "abmk,abnk->abmn"} : (tensor<2x4x8x4xf32>, tensor<2x4x8x4xf32>) -> tensor<2x4x8x8xf32>
    %y = "hct_graph.softmax"(%s) {axis = 3 : i64} : (tensor<2x4x8x8xf32>) -> tensor<2x4x8x8xf32>
    return %y : tensor<2x4x8x8xf32>
  }
}
// -----
// Each part goes round once, whichever of the values put together reads it.
// CHECK-LABEL: func.func @parts
// CHECK: %[[KG:.+]] = "hct_graph.all_gather"({{.*}}"[2@t,8,4@r]"
// CHECK: %[[QG:.+]] = "hct_graph.all_gather"({{.*}}"[2@t,8,4@r]"
// CHECK-NEXT: "hct_graph.concat"(%[[KG]], %[[QG]])
// CHECK-NOT: "hct_graph.all_gather"
// CHECK: return
module attributes {hct.package = "hecaton-2x2", hct.options = {"micro-batch" = "1"}} {
  func.func @parts(%x: tensor<2x8x4xf32> {hct.name = "x", hct.role = "input"}, %wq: tensor<4x4xf32> {hct.name = "wq", hct.role = "param"})
      -> (tensor<2x8x8xf32> {hct.name = "y", hct.role = "output"}, tensor<2x8x16xf32> {hct.name = "z", hct.role = "output"}) {
    %q = "hct_graph.contract"(%x, %wq) {spec = "amk,kn->amn"} : (tensor<2x8x4xf32>, tensor<4x4xf32>) -> tensor<2x8x4xf32>
    %k = "hct_graph.map1"(%q) {fn = "neg"} : (tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
    %both = "hct_graph.concat"(%k, %q) {axis = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<2x8x4xf32>, tensor<2x8x4xf32>) -> tensor<2x16x4xf32>
    %s = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<2x8x4xf32>, tensor<2x8x4xf32>) -> tensor<2x8x8xf32>
    %y = "hct_graph.softmax"(%s) {axis = 2 : i64} : (tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
    %t = "hct_graph.contract"(%q, %both) {spec = "amk,ank->amn"} : (tensor<2x8x4xf32>, tensor<2x16x4xf32>) -> tensor<2x8x16xf32>
    %z = "hct_graph.softmax"(%t) {axis = 2 : i64} : (tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    return %y, %z : tensor<2x8x8xf32>, tensor<2x8x16xf32>
  }
}
// -----
// Two heads of four features on four dies: a head a row, its features over columns.
// CHECK-LABEL: func.func @heads
// CHECK-SAME: hct.name = "wq", {{.*}}hct.sharding = "[4,2@r*4@c]"
module attributes {hct.package = "hecaton-2x2", hct.options = {"micro-batch" = "1", "strategy" = "megatron-ring"}} {
  func.func @heads(%x: tensor<2x8x4xf32> {hct.name = "x", hct.role = "input"}, %wq: tensor<4x8xf32> {hct.name = "wq", hct.role = "param"}) -> (tensor<2x8x2x4xf32> {hct.name = "y", hct.role = "output"}) {
    %q = "hct_graph.contract"(%x, %wq) {spec = "amk,kn->amn"} : (tensor<2x8x4xf32>, tensor<4x8xf32>) -> tensor<2x8x8xf32>
    %y = "hct_graph.reshape"(%q) : (tensor<2x8x8xf32>) -> tensor<2x8x2x4xf32>
    return %y : tensor<2x8x2x4xf32>
  }
}
