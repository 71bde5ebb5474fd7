// Operators are named after the parameter they use, or the layer that they lead to or follow, and each group has its linear layers.
// RUN: %hecaton-opt --hct-assign-layers --split-input-file %s | FileCheck %s
// RUN: sed 's/schedule = "layerwise"/units = "layers"/' %s > %t.mlir && %hecaton-opt --hct-assign-layers --split-input-file %t.mlir | FileCheck %s
// RUN: %hecaton-opt --hct-assign-layers --hct-assign-layers --split-input-file %s | FileCheck %s

// The residual stream %0 is used twice: the embedding's group ends there. The softmax in front of a linear layer takes that layer's
// name, the activation behind one keeps it, and the sum takes that of the layer which leads into it.
// CHECK-LABEL: func.func @block
// CHECK: "hct_graph.contract"{{.*}} {hct.group = 0 : i64, hct.layer = "wte", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.softmax"{{.*}}hct.group = 1 : i64, hct.layer = "h.0.up", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 1 : i64, hct.layer = "h.0.up", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.map1"{{.*}}hct.group = 1 : i64, hct.layer = "h.0.up", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 1 : i64, hct.layer = "h.0.down", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.map2"{{.*}}hct.group = 1 : i64, hct.layer = "h.0.down", hct.pass = "forward"
module {
  func.func @block(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %e: tensor<8x8xf32> {hct.name = "wte.weight", hct.role = "param"},
                   %u: tensor<16x8xf32> {hct.name = "h.0.up.weight", hct.role = "param"}, %d: tensor<8x16xf32> {hct.name = "h.0.down.weight", hct.role = "param"})
      -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %e) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.contract"(%1, %u) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>
    %3 = "hct_graph.map1"(%2) {fn = "relu"} : (tensor<4x16xf32>) -> tensor<4x16xf32>
    %4 = "hct_graph.contract"(%3, %d) {spec = "bk,nk->bn"} : (tensor<4x16xf32>, tensor<8x16xf32>) -> tensor<4x8xf32>
    %5 = "hct_graph.map2"(%0, %4) {fn = "add"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    return %5 : tensor<4x8xf32>
  }
}
// -----
// A weight that is read through a view belongs to the layer that uses the view, and to its group, though it stands before the others.
// CHECK-LABEL: func.func @view
// CHECK: "hct_graph.transpose"{{.*}}hct.group = 1 : i64, hct.layer = "b"
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 0 : i64, hct.layer = "a"
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 1 : i64, hct.layer = "b"
module {
  func.func @view(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %a: tensor<8x8xf32> {hct.name = "a.weight", hct.role = "param"}, %b: tensor<8x8xf32> {hct.name = "b.weight", hct.role = "param"})
      -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.transpose"(%b) {perm = array<i64: 1, 0>} : (tensor<8x8xf32>) -> tensor<8x8xf32>
    %1 = "hct_graph.contract"(%x, %a) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.contract"(%1, %0) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    return %2 : tensor<4x8xf32>
  }
}
// -----
// A value with several readers ends a group before a later value with one, though both stand alone between the linear layers.
// CHECK-LABEL: func.func @stream
// CHECK: "hct_graph.contract"{{.*}}hct.group = 0 : i64
// CHECK-NEXT: "hct_graph.map1"{{.*}}hct.group = 1 : i64
// CHECK-NEXT: "hct_graph.map2"{{.*}}hct.group = 1 : i64
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 1 : i64
module {
  func.func @stream(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %a: tensor<8x8xf32> {hct.name = "a.weight", hct.role = "param"}, %b: tensor<8x8xf32> {hct.name = "b.weight", hct.role = "param"})
      -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %a) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.map1"(%0) {fn = "sigmoid"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "mul"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %3 = "hct_graph.contract"(%2, %b) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    return %3 : tensor<4x8xf32>
  }
}
// -----
// With --schedule=layerwise, and with --units=layers, each layer is a group; what stands between layers under their common name is another each time that it comes back.
// CHECK-LABEL: func.func @layerwise
// CHECK: "hct_graph.contract"{{.*}} {hct.group = 0 : i64, hct.layer = "m.in", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.contract"{{.*}} {hct.group = 1 : i64, hct.layer = "m.a", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.contract"{{.*}} {hct.group = 2 : i64, hct.layer = "m.b", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.map1"{{.*}}hct.group = 1 : i64, hct.layer = "m.a", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.map2"{{.*}}hct.group = 3 : i64, hct.layer = "m", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 4 : i64, hct.layer = "m.c", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 5 : i64, hct.layer = "m.d", hct.pass = "forward"
// CHECK-NEXT: "hct_graph.map2"{{.*}}hct.group = 6 : i64, hct.layer = "m", hct.pass = "forward"
module attributes {hct.options = {schedule = "layerwise"}} {
  func.func @layerwise(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %e: tensor<8x8xf32> {hct.name = "m.in.weight", hct.role = "param"},
                       %a: tensor<8x8xf32> {hct.name = "m.a.weight", hct.role = "param"}, %b: tensor<8x8xf32> {hct.name = "m.b.weight", hct.role = "param"},
                       %c: tensor<8x8xf32> {hct.name = "m.c.weight", hct.role = "param"}, %d: tensor<8x8xf32> {hct.name = "m.d.weight", hct.role = "param"})
      -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %e) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.contract"(%0, %a) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.contract"(%0, %b) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %3 = "hct_graph.map1"(%1) {fn = "sigmoid"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %4 = "hct_graph.map2"(%2, %3) {fn = "mul"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %5 = "hct_graph.contract"(%4, %c) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %6 = "hct_graph.contract"(%4, %d) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %7 = "hct_graph.map2"(%5, %6) {fn = "mul"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    return %7 : tensor<4x8xf32>
  }
}
// -----
// A table that takes, with its gradient, a quarter of the SRAM of all dies or more (here 32 MiB of 128) is looked up in a group of its own.
// CHECK-LABEL: func.func @large
// CHECK: "hct_graph.gather_rows"{{.*}}hct.group = 0 : i64
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 1 : i64
// CHECK-NEXT: "hct_graph.map2"{{.*}}hct.group = 1 : i64
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 2 : i64
module {
  func.func @large(%ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %e: tensor<700000x8xf32> {hct.name = "m.embed.weight", hct.role = "param"},
                    %a: tensor<8x8xf32> {hct.name = "m.a.weight", hct.role = "param"}, %b: tensor<8x8xf32> {hct.name = "m.b.weight", hct.role = "param"})
      -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.gather_rows"(%e, %ids) : (tensor<700000x8xf32>, tensor<4xi64>) -> tensor<4x8xf32>
    %1 = "hct_graph.contract"(%0, %a) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.map2"(%1, %0) {fn = "add"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %3 = "hct_graph.contract"(%2, %b) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    return %3 : tensor<4x8xf32>
  }
}
// -----
// A smaller one shares the group of the first layer.
// CHECK-LABEL: func.func @small
// CHECK: "hct_graph.gather_rows"{{.*}}hct.group = 0 : i64
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 0 : i64
// CHECK-NEXT: "hct_graph.map2"{{.*}}hct.group = 0 : i64
// CHECK-NEXT: "hct_graph.contract"{{.*}}hct.group = 1 : i64
module {
  func.func @small(%ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %e: tensor<690000x8xf32> {hct.name = "m.embed.weight", hct.role = "param"},
                    %a: tensor<8x8xf32> {hct.name = "m.a.weight", hct.role = "param"}, %b: tensor<8x8xf32> {hct.name = "m.b.weight", hct.role = "param"})
      -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.gather_rows"(%e, %ids) : (tensor<690000x8xf32>, tensor<4xi64>) -> tensor<4x8xf32>
    %1 = "hct_graph.contract"(%0, %a) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.map2"(%1, %0) {fn = "add"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %3 = "hct_graph.contract"(%2, %b) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    return %3 : tensor<4x8xf32>
  }
}
// -----
// Without operators there is nothing to name.
// CHECK-LABEL: func.func @empty
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<4x8xf32>
// CHECK-NOT: hct.layer
// CHECK: return %[[X]] :
module {
  func.func @empty(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    return %x : tensor<4x8xf32>
  }
}
