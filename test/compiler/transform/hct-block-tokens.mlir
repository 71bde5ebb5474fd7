// Operators that treat the sequence as a loop are written once a block, a sum over it adds the blocks' sums, keys are put together; one block changes nothing.
// RUN: %hecaton-opt --hct-block-tokens --split-input-file %s | FileCheck %s

// CHECK-LABEL: func.func @blocks
// CHECK-SAME: (%[[IDS:.+]]: tensor<4x6xi64> {{.*}}, %[[TABLE:.+]]: tensor<9x8xf32> {{.*}}, %[[W:.+]]: tensor<8x8xf32>
// CHECK: %[[I0:.+]] = "hct_graph.slice"(%[[IDS]]) {{{.*}}starts = array<i64: 0, 0>{{.*}}} : (tensor<4x6xi64>) -> tensor<4x3xi64>
// CHECK: %[[I1:.+]] = "hct_graph.slice"(%[[IDS]]) {{{.*}}starts = array<i64: 0, 3>{{.*}}} : (tensor<4x6xi64>) -> tensor<4x3xi64>
// CHECK: %[[X0:.+]] = "hct_graph.gather_rows"(%[[TABLE]], %[[I0]]) {{{.*}}hct.layer = "embed"{{.*}}-> tensor<4x3x8xf32>
// CHECK: %[[X1:.+]] = "hct_graph.gather_rows"(%[[TABLE]], %[[I1]])
// The table of positions is cut at compile time.
// CHECK: %[[P0:.+]] = "hct_graph.constant"() {{{.*}}value = dense<{{.*}}0.0{{.*}}> : tensor<3x1xf32>
// CHECK: %[[P1:.+]] = "hct_graph.constant"() {{{.*}}value = dense<{{.*}}5.0{{.*}}> : tensor<3x1xf32>
// CHECK: %[[Y0:.+]] = "hct_graph.map2"(%[[X0]], %[[P0]])
// CHECK: %[[Y1:.+]] = "hct_graph.map2"(%[[X1]], %[[P1]])
// CHECK: %[[Q0:.+]] = "hct_graph.contract"(%[[Y0]], %[[W]]) {{.*}} -> tensor<4x3x8xf32>
// CHECK: %[[Q1:.+]] = "hct_graph.contract"(%[[Y1]], %[[W]])
// Keys are wanted whole.
// CHECK: %[[K:.+]] = "hct_graph.concat"(%[[Y0]], %[[Y1]]) {axis = 1 : i64{{.*}} -> tensor<4x6x8xf32>
// CHECK: %[[S0:.+]] = "hct_graph.contract"(%[[Q0]], %[[K]]) {{.*}} -> tensor<4x3x6xf32>
// CHECK: %[[S1:.+]] = "hct_graph.contract"(%[[Q1]], %[[K]])
// CHECK: %[[R0:.+]] = "hct_graph.reduce"(%[[S0]]) {axes = array<i64: 1, 2>{{.*}} -> tensor<4x1x1xf32>
// CHECK: %[[R1:.+]] = "hct_graph.reduce"(%[[S1]])
// CHECK: %[[R:.+]] = "hct_graph.map2"(%[[R0]], %[[R1]]) {fn = "add"
// The first block of all rows, and a row of both.
// CHECK-NOT: "hct_graph.slice"
// CHECK: %[[OUT:.+]] = "hct_graph.concat"(%[[Q0]], %[[Q1]])
// CHECK: return %[[R]], %[[Y0]], %[[OUT]] :
module attributes {hct.options = {"token-blocks" = "2"}} {
  func.func @blocks(%ids: tensor<4x6xi64> {hct.name = "ids", hct.role = "input"}, %table: tensor<9x8xf32> {hct.name = "t", hct.role = "param"}, %w: tensor<8x8xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1x1xf32> {hct.name = "r", hct.role = "output"}, tensor<4x3x8xf32> {hct.name = "first", hct.role = "output"}, tensor<4x6x8xf32> {hct.name = "q", hct.role = "output"}) {
    %x = "hct_graph.gather_rows"(%table, %ids) {hct.layer = "embed"} : (tensor<9x8xf32>, tensor<4x6xi64>) -> tensor<4x6x8xf32>
    %p = "hct_graph.constant"() {value = dense<[[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]> : tensor<6x1xf32>} : () -> tensor<6x1xf32>
    %y = "hct_graph.map2"(%x, %p) {fn = "add"} : (tensor<4x6x8xf32>, tensor<6x1xf32>) -> tensor<4x6x8xf32>
    %q = "hct_graph.contract"(%y, %w) {spec = "amk,kn->amn"} : (tensor<4x6x8xf32>, tensor<8x8xf32>) -> tensor<4x6x8xf32>
    %s = "hct_graph.contract"(%q, %y) {spec = "amk,ank->amn"} : (tensor<4x6x8xf32>, tensor<4x6x8xf32>) -> tensor<4x6x6xf32>
    %r = "hct_graph.reduce"(%s) {kind = "sum", axes = array<i64: 1, 2>} : (tensor<4x6x6xf32>) -> tensor<4x1x1xf32>
    %first = "hct_graph.slice"(%y) {starts = array<i64: 0, 0, 0>, steps = array<i64: 1, 1, 1>} : (tensor<4x6x8xf32>) -> tensor<4x3x8xf32>
    return %r, %first, %q : tensor<4x1x1xf32>, tensor<4x3x8xf32>, tensor<4x6x8xf32>
  }
}
// -----
// CHECK-LABEL: func.func @one
// CHECK-NOT: "hct_graph.slice"
// CHECK: "hct_graph.map1"(%{{.+}}) {fn = "neg"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
module attributes {hct.options = {"token-blocks" = "1"}} {
  func.func @one(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
    return %0 : tensor<4x6xf32>
  }
}
// -----
// Each block of a dropout goes on with the numbers that its elements have in the whole: 3 tokens of 8 features further.
// CHECK-LABEL: func.func @dropped
// CHECK: "hct_graph.dropout"({{.*}}) {index = array<i64: 48, 8, 1, 0>, ratio = 5.000000e-01 : f64, stream = 3 : i64} : (tensor<4x3x8xf32>,
// CHECK-NEXT: "hct_graph.dropout"({{.*}}) {index = array<i64: 48, 8, 1, 24>, ratio = 5.000000e-01 : f64, stream = 3 : i64} : (tensor<4x3x8xf32>,
module attributes {hct.options = {"token-blocks" = "2"}} {
  func.func @dropped(%x: tensor<4x6x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6x8xf32> {hct.name = "y", hct.role = "output"}) {
    %seed = "hct_graph.constant"() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %step = "hct_graph.constant"() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
    %0 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = 3 : i64, index = array<i64: 48, 8, 1, 0>} : (tensor<4x6x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x6x8xf32>
    return %0 : tensor<4x6x8xf32>
  }
}
// -----
// All keys, as the last block of queries reads them: one buffer for all blocks, and so whole, though a sum over them could go by blocks.
// CHECK-LABEL: func.func @keys
// CHECK: %[[K:.+]] = "hct_graph.concat"({{.*}} -> tensor<4x6x8xf32>
// CHECK-NEXT: %[[ALL:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.contract"(%{{.+}}, %[[ALL]])
// CHECK-NEXT: return %[[Y]]
module attributes {hct.options = {"token-blocks" = "2"}} {
  func.func @keys(%x: tensor<4x6x8xf32> {hct.name = "x", hct.role = "input"}, %p: tensor<4x2x6xf32> {hct.name = "p", hct.role = "param"}) -> (tensor<4x2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x6x8xf32>) -> tensor<4x6x8xf32>
    %1 = "hct_graph.slice"(%0) {starts = array<i64: 0, 0, 0>, steps = array<i64: 1, 1, 1>, hct.whole = 1 : i64} : (tensor<4x6x8xf32>) -> tensor<4x6x8xf32>
    %2 = "hct_graph.contract"(%p, %1) {spec = "amn,ank->amk"} : (tensor<4x2x6xf32>, tensor<4x6x8xf32>) -> tensor<4x2x8xf32>
    return %2 : tensor<4x2x8xf32>
  }
}
