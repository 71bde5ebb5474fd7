// Products with kv heads that are repeated for a group of query heads become products over kv heads and groups, and the heads are repeated no more.
// RUN: %hecaton-opt --hct-group-heads --split-input-file %s | FileCheck %s

// Scores against a part of the keys, which stays a part of all heads; the values' product on the other side.
// CHECK-LABEL: func.func @step
// CHECK-SAME: (%[[Q:[a-z0-9]+]]: tensor<4x4x3x8xf32> {{.*}}, %[[K:[a-z0-9]+]]: tensor<4x2x6x8xf32>
// CHECK-NEXT: %[[KP:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 2 : i64, starts = array<i64: 0, 0, 3, 0>, {{.*}} -> tensor<4x2x3x8xf32>
// CHECK-NEXT: %[[QG:.+]] = "hct_graph.reshape"(%[[Q]]) {hct.layer = "l"} : (tensor<4x4x3x8xf32>) -> tensor<4x2x2x3x8xf32>
// CHECK-NEXT: %[[S:.+]] = "hct_graph.contract"(%[[QG]], %[[KP]]) {hct.layer = "l", spec = "abcmk,abnk->abcmn"} : {{.*}} -> tensor<4x2x2x3x3xf32>
// CHECK-NEXT: %[[SH:.+]] = "hct_graph.reshape"(%[[S]]) {hct.layer = "l"} : (tensor<4x2x2x3x3xf32>) -> tensor<4x4x3x3xf32>
// CHECK-NEXT: %[[P:.+]] = "hct_graph.softmax"(%[[SH]])
// CHECK-NEXT: %[[PG:.+]] = "hct_graph.reshape"(%[[P]]) {{.*}} -> tensor<4x2x2x3x3xf32>
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.contract"(%[[KP]], %[[PG]]) {spec = "abnk,abcmn->abcmk"} : {{.*}} -> tensor<4x2x2x3x8xf32>
// CHECK-NEXT: %[[YH:.+]] = "hct_graph.reshape"(%[[Y]]) {{.*}} -> tensor<4x4x3x8xf32>
// CHECK-NEXT: return %[[YH]]
module attributes {hct.package = "hecaton-2x2"} {
  func.func @step(%q: tensor<4x4x3x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<4x2x6x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<4x4x3x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.reshape"(%k) : (tensor<4x2x6x8xf32>) -> tensor<4x2x1x6x8xf32>
    %1 = "hct_graph.broadcast"(%0) : (tensor<4x2x1x6x8xf32>) -> tensor<4x2x2x6x8xf32>
    %2 = "hct_graph.reshape"(%1) : (tensor<4x2x2x6x8xf32>) -> tensor<4x4x6x8xf32>
    %3 = "hct_graph.slice"(%2) {starts = array<i64: 0, 0, 3, 0>, steps = array<i64: 1, 1, 1, 1>, hct.whole = 2 : i64} : (tensor<4x4x6x8xf32>) -> tensor<4x4x3x8xf32>
    %4 = "hct_graph.contract"(%q, %3) {spec = "abmk,abnk->abmn", hct.layer = "l"} : (tensor<4x4x3x8xf32>, tensor<4x4x3x8xf32>) -> tensor<4x4x3x3xf32>
    %5 = "hct_graph.softmax"(%4) {axis = 3 : i64} : (tensor<4x4x3x3xf32>) -> tensor<4x4x3x3xf32>
    %6 = "hct_graph.contract"(%3, %5) {spec = "abnk,abmn->abmk"} : (tensor<4x4x3x8xf32>, tensor<4x4x3x3xf32>) -> tensor<4x4x3x8xf32>
    return %6 : tensor<4x4x3x8xf32>
  }
}
// -----
// Two kv heads do not divide over four rows, which split the four query heads: nothing changes.
// CHECK-LABEL: func.func @uneven
// CHECK: "hct_graph.contract"(%{{.+}}, %{{.+}}) {spec = "abmk,abnk->abmn"}
module attributes {hct.package = "hecaton-4x4"} {
  func.func @uneven(%q: tensor<4x4x3x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<4x2x1x5x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<4x4x3x5xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.broadcast"(%k) : (tensor<4x2x1x5x8xf32>) -> tensor<4x2x2x5x8xf32>
    %1 = "hct_graph.reshape"(%0) : (tensor<4x2x2x5x8xf32>) -> tensor<4x4x5x8xf32>
    %2 = "hct_graph.contract"(%q, %1) {spec = "abmk,abnk->abmn"} : (tensor<4x4x3x8xf32>, tensor<4x4x5x8xf32>) -> tensor<4x4x3x5xf32>
    return %2 : tensor<4x4x3x5xf32>
  }
}
// -----
// Nor does it where a product reads a part of the heads.
// CHECK-LABEL: func.func @part
// CHECK: "hct_graph.contract"(%{{.+}}, %{{.+}}) {spec = "abmk,abnk->abmn"}
module attributes {hct.package = "hecaton-2x2"} {
  func.func @part(%q: tensor<4x2x3x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<4x2x1x5x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<4x2x3x5xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.broadcast"(%k) : (tensor<4x2x1x5x8xf32>) -> tensor<4x2x2x5x8xf32>
    %1 = "hct_graph.reshape"(%0) : (tensor<4x2x2x5x8xf32>) -> tensor<4x4x5x8xf32>
    %2 = "hct_graph.slice"(%1) {starts = array<i64: 0, 1, 0, 0>, steps = array<i64: 1, 1, 1, 1>} : (tensor<4x4x5x8xf32>) -> tensor<4x2x5x8xf32>
    %3 = "hct_graph.contract"(%q, %2) {spec = "abmk,abnk->abmn"} : (tensor<4x2x3x8xf32>, tensor<4x2x5x8xf32>) -> tensor<4x2x3x5xf32>
    return %3 : tensor<4x2x3x5xf32>
  }
}
