// Fewer kv heads than the mesh has parts of heads: the weight's heads are copied as often as it takes, and what is left is broadcast as before.
// RUN: %hecaton-opt --hct-replicate-heads --split-input-file %s | FileCheck %s

// 2 kv heads for 8 query heads on 4 rows: 2 copies of each, a group of 2 left. The bias is copied too; the parameters keep their shapes.
// CHECK-LABEL: func.func @keys
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<4x3x16xf32> {{.*}}, %[[W:[a-z0-9]+]]: tensor<16x8xf32> {{.*}}, %[[B:[a-z0-9]+]]: tensor<8xf32>
// CHECK: %[[WH:.+]] = "hct_graph.reshape"(%[[W]]) {hct.layer = "k"} : (tensor<16x8xf32>) -> tensor<16x2x4xf32>
// CHECK-NEXT: %[[E:.+]] = "hct_graph.constant"() {{.*}}dense<{{\[\[}}1.000000e+00, 0.000000e+00], [1.000000e+00, 0.000000e+00], [0.000000e+00, 1.000000e+00], [0.000000e+00, 1.000000e+00]]>
// CHECK-NEXT: %[[WC:.+]] = "hct_graph.contract"(%[[WH]], %[[E]]) {hct.layer = "k", spec = "abc,db->adc"} : (tensor<16x2x4xf32>, tensor<4x2xf32>) -> tensor<16x4x4xf32>
// CHECK-NEXT: %[[WK:.+]] = "hct_graph.reshape"(%[[WC]]) {hct.layer = "k"} : (tensor<16x4x4xf32>) -> tensor<16x16xf32>
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.contract"(%[[X]], %[[WK]]) {{.*}}-> tensor<4x3x16xf32>
// CHECK: %[[BC:.+]] = "hct_graph.contract"({{.*}}spec = "ab,ca->cb"} : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<4x4xf32>
// CHECK-NEXT: %[[BK:.+]] = "hct_graph.reshape"(%[[BC]]) {{.*}}-> tensor<16xf32>
// CHECK-NEXT: %[[Z:.+]] = "hct_graph.map2"(%[[Y]], %[[BK]])
// CHECK-NEXT: %[[H:.+]] = "hct_graph.reshape"(%[[Z]]) : (tensor<4x3x16xf32>) -> tensor<4x3x4x4xf32>
// CHECK-NEXT: %[[T:.+]] = "hct_graph.transpose"(%[[H]]) {{.*}}-> tensor<4x4x3x4xf32>
// CHECK-NEXT: %[[L:.+]] = "hct_graph.slice"(%[[T]]) {{.*}}-> tensor<4x4x3x2xf32>
// CHECK-NEXT: %[[U:.+]] = "hct_graph.reshape"(%[[L]]) : (tensor<4x4x3x2xf32>) -> tensor<4x4x1x3x2xf32>
// CHECK-NEXT: %[[G:.+]] = "hct_graph.broadcast"(%[[U]]) : (tensor<4x4x1x3x2xf32>) -> tensor<4x4x2x3x2xf32>
// CHECK-NEXT: %[[Q:.+]] = "hct_graph.reshape"(%[[G]]) : (tensor<4x4x2x3x2xf32>) -> tensor<4x8x3x2xf32>
// CHECK-NEXT: return %[[Q]] :
module attributes {hct.package = "hecaton-4x4"} {
  func.func @keys(%x: tensor<4x3x16xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<16x8xf32> {hct.name = "w", hct.role = "param"}, %b: tensor<8xf32> {hct.name = "b", hct.role = "param"})
      -> (tensor<4x8x3x2xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bsk,kn->bsn", hct.layer = "k"} : (tensor<4x3x16xf32>, tensor<16x8xf32>) -> tensor<4x3x8xf32>
    %1 = "hct_graph.map2"(%0, %b) {fn = "add"} : (tensor<4x3x8xf32>, tensor<8xf32>) -> tensor<4x3x8xf32>
    %2 = "hct_graph.reshape"(%1) : (tensor<4x3x8xf32>) -> tensor<4x3x2x4xf32>
    %3 = "hct_graph.transpose"(%2) {perm = array<i64: 0, 2, 1, 3>} : (tensor<4x3x2x4xf32>) -> tensor<4x2x3x4xf32>
    %4 = "hct_graph.slice"(%3) {starts = array<i64: 0, 0, 0, 2>, steps = array<i64: 1, 1, 1, 1>} : (tensor<4x2x3x4xf32>) -> tensor<4x2x3x2xf32>
    %5 = "hct_graph.reshape"(%4) : (tensor<4x2x3x2xf32>) -> tensor<4x2x1x3x2xf32>
    %6 = "hct_graph.broadcast"(%5) : (tensor<4x2x1x3x2xf32>) -> tensor<4x2x4x3x2xf32>
    %7 = "hct_graph.reshape"(%6) : (tensor<4x2x4x3x2xf32>) -> tensor<4x8x3x2xf32>
    return %7 : tensor<4x8x3x2xf32>
  }
}
// -----
// One kv head, and Megatron over 4 dies for 4 query heads: each head gets its own copy, and nothing is left to broadcast.
// CHECK-LABEL: func.func @multi_query
// CHECK: "hct_graph.contract"({{.*}}spec = "abc,db->adc"} : (tensor<8x1x4xf32>, tensor<4x1xf32>) -> tensor<8x4x4xf32>
// CHECK: %[[U:.+]] = "hct_graph.reshape"({{.*}} -> tensor<4x3x4x1x4xf32>
// CHECK-NEXT: "hct_graph.reshape"(%[[U]]) : (tensor<4x3x4x1x4xf32>) -> tensor<4x3x4x4xf32>
module attributes {hct.package = "hecaton-2x2", hct.options = {strategy = "megatron-ring"}} {
  func.func @multi_query(%x: tensor<4x3x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x4xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x3x4x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bsk,kn->bsn"} : (tensor<4x3x8xf32>, tensor<8x4xf32>) -> tensor<4x3x4xf32>
    %1 = "hct_graph.reshape"(%0) : (tensor<4x3x4xf32>) -> tensor<4x3x1x1x4xf32>
    %2 = "hct_graph.broadcast"(%1) : (tensor<4x3x1x1x4xf32>) -> tensor<4x3x1x4x4xf32>
    %3 = "hct_graph.reshape"(%2) : (tensor<4x3x1x4x4xf32>) -> tensor<4x3x4x4xf32>
    return %3 : tensor<4x3x4x4xf32>
  }
}
// -----
// The mesh divides the kv heads as they are: nothing to do.
// CHECK-LABEL: func.func @divides
// CHECK-NOT: hct_graph.constant
// CHECK: "hct_graph.broadcast"(%{{.+}}) : (tensor<4x3x2x1x4xf32>) -> tensor<4x3x2x4x4xf32>
module attributes {hct.package = "hecaton-2x2"} {
  func.func @divides(%x: tensor<4x3x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x8xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x3x8x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bsk,kn->bsn"} : (tensor<4x3x8xf32>, tensor<8x8xf32>) -> tensor<4x3x8xf32>
    %1 = "hct_graph.reshape"(%0) : (tensor<4x3x8xf32>) -> tensor<4x3x2x1x4xf32>
    %2 = "hct_graph.broadcast"(%1) : (tensor<4x3x2x1x4xf32>) -> tensor<4x3x2x4x4xf32>
    %3 = "hct_graph.reshape"(%2) : (tensor<4x3x2x4x4xf32>) -> tensor<4x3x8x4xf32>
    return %3 : tensor<4x3x8x4xf32>
  }
}
// -----
// Heads that come from an input, not from a weight, stay as they are; so do 6 query heads that 4 rows do not divide.
// CHECK-LABEL: func.func @others
// CHECK-NOT: hct_graph.constant
// CHECK: "hct_graph.broadcast"(%{{.+}}) : (tensor<4x3x2x1x4xf32>) -> tensor<4x3x2x4x4xf32>
// CHECK-NOT: hct_graph.constant
// CHECK: "hct_graph.broadcast"(%{{.+}}) : (tensor<4x3x2x1x4xf32>) -> tensor<4x3x2x3x4xf32>
module attributes {hct.package = "hecaton-4x4"} {
  func.func @others(%x: tensor<4x3x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x8xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x3x8x4xf32> {hct.name = "y", hct.role = "output"}, tensor<4x3x6x4xf32> {hct.name = "z", hct.role = "output"}) {
    %1 = "hct_graph.reshape"(%x) : (tensor<4x3x8xf32>) -> tensor<4x3x2x1x4xf32>
    %2 = "hct_graph.broadcast"(%1) : (tensor<4x3x2x1x4xf32>) -> tensor<4x3x2x4x4xf32>
    %3 = "hct_graph.reshape"(%2) : (tensor<4x3x2x4x4xf32>) -> tensor<4x3x8x4xf32>
    %4 = "hct_graph.contract"(%x, %w) {spec = "bsk,kn->bsn"} : (tensor<4x3x8xf32>, tensor<8x8xf32>) -> tensor<4x3x8xf32>
    %5 = "hct_graph.reshape"(%4) : (tensor<4x3x8xf32>) -> tensor<4x3x2x1x4xf32>
    %6 = "hct_graph.broadcast"(%5) : (tensor<4x3x2x1x4xf32>) -> tensor<4x3x2x3x4xf32>
    %7 = "hct_graph.reshape"(%6) : (tensor<4x3x2x3x4xf32>) -> tensor<4x3x6x4xf32>
    return %3, %7 : tensor<4x3x8x4xf32>, tensor<4x3x6x4xf32>
  }
}
