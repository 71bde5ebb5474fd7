// Activations keep their features split over columns, and where a die holds all there is no collective at all.
// RUN: %hecaton-opt --hct-partition --split-input-file %s | FileCheck %s

// A reduction over the split features leaves partial sums, which are resolved at once.
// CHECK: hct.batch = 4 : i64, {{.*}}hct.micro_batch = 4 : i64
// CHECK: shard.grid @mesh(shape = 2x2)
// CHECK-LABEL: func.func @reduced
// CHECK: %[[Y:.+]] = "hct_graph.contract"(%{{.+}}, %{{.+}}) {hct.sharding = ["[4@t,8@r] sum(c)"]
// CHECK-NEXT: %[[S:.+]] = "hct_graph.reduce_scatter"(%[[Y]]) {axis = "c", {{.*}}hct.sharding = ["[4@tc,8@r]"]
// CHECK-NEXT: %[[P:.+]] = "hct_graph.reduce"(%[[S]]) {{.*}}hct.sharding = ["[4@tc,1] sum(r)"]
// CHECK-NEXT: %[[R:.+]] = "hct_graph.all_reduce"(%[[P]]) {axis = "r", {{.*}}hct.sharding = ["[4@tc,1]"], kind = "sum"
// CHECK-NEXT: return %[[R]] :
module attributes {hct.package = "hecaton-2x2"} {
  func.func @reduced(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x8xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "sum", axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    return %1 : tensor<4x1xf32>
  }
}
// -----
// Elementwise operators of inputs alone have nothing to split: each die does all, and no collective appears.
// CHECK-LABEL: func.func @whole
// CHECK-SAME: hct.sharding = "[4@t,8]"
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.map1"{{.*}}hct.sharding = ["[4@t,8]"]
// CHECK-NEXT: return %[[Y]] :
module attributes {hct.package = "hecaton-2x2"} {
  func.func @whole(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// What mixes samples keeps the whole batch in flight, whatever --micro-batch says.
// CHECK: hct.micro_batch = 4 : i64
// CHECK-LABEL: func.func @mixing
// CHECK-NOT: @t
// CHECK: return
module attributes {hct.package = "hecaton-2x2", hct.options = {"micro-batch" = "2"}} {
  func.func @mixing(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.softmax"(%x) {axis = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// A run-time vector that a broadcast repeats for all samples is repeated by micro-batch.
// CHECK-LABEL: func.func @repeated
// CHECK: %[[B:.+]] = "hct_graph.broadcast"(%arg1) {hct.sharding = ["[4@t,8]"]}
// CHECK: "hct_graph.pick"(%[[B]], %arg2) {hct.sharding = ["[4@t]"]}
module attributes {hct.package = "hecaton-2x2"} {
  func.func @repeated(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8xf32> {hct.name = "w", hct.role = "input"}, %ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"})
      -> (tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.pick"(%x, %ids) : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<4xf32>
    %1 = "hct_graph.broadcast"(%w) : (tensor<8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.pick"(%1, %ids) : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<4xf32>
    %3 = "hct_graph.map2"(%0, %2) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    return %3 : tensor<4xf32>
  }
}
// -----
// An input that is the same for all samples, and is summed along their loop, cannot be cut as they are: the whole batch is in flight.
// CHECK-LABEL: func.func @summed
// CHECK-NOT: @t
// CHECK: "hct_graph.contract"
// CHECK-NOT: shard_slice
module attributes {hct.package = "hecaton-2x2"} {
  func.func @summed(%a: tensor<4x8xf32> {hct.name = "a", hct.role = "input"}, %b: tensor<6x4xf32> {hct.name = "b", hct.role = "input"})
      -> (tensor<8x6xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%a, %b) {spec = "km,nk->mn"} : (tensor<4x8xf32>, tensor<6x4xf32>) -> tensor<8x6xf32>
    return %0 : tensor<8x6xf32>
  }
}
