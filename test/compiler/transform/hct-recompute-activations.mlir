// Backward's clones of forward's operators lie before their first reader, in its pass and their group; nothing else changes.
// RUN: %hecaton-opt --hct-recompute-activations --split-input-file %s | FileCheck %s
// RUN: %hecaton-opt --hct-recompute-activations --split-input-file %s 2>&1 >/dev/null | FileCheck --check-prefix=SAID --implicit-check-not=remark %s

// All: of group 1, its input %h alone is stored. What backward reads is made again from there, in order; %z, which it does not need, is not.
// SAID: remark: --recompute=all: backward reads 1 activations (128 bytes) of forward's, and computes 2 (256 bytes) again
// CHECK-LABEL: func.func @all
// CHECK-SAME: %[[X:arg[0-9]+]]: tensor<4x8xf32> {{[^%]*}}, %[[W:arg[0-9]+]]: tensor<8x8xf32> {{[^%]*}}, %[[V:arg[0-9]+]]: tensor<8x8xf32>
// CHECK-NEXT: %[[H:.+]] = "hct_graph.contract"(%[[X]], %[[W]])
// CHECK-NEXT: %[[P:.+]] = "hct_graph.contract"(%[[H]], %[[V]])
// CHECK-NEXT: %[[T:.+]] = "hct_graph.map1"(%[[P]]) {fn = "tanh"
// CHECK-NEXT: %[[R:.+]] = "hct_graph.transpose"(%[[T]])
// CHECK-NEXT: %[[Z:.+]] = "hct_graph.map1"(%[[T]]) {fn = "neg"
// CHECK-NEXT: %[[S:.+]] = "hct_graph.map1"(%[[X]]) {fn = "neg", hct.group = 1 : i64, hct.pass = "backward"}
// CHECK-NEXT: %[[P2:.+]] = "hct_graph.contract"(%[[H]], %[[V]]) {hct.group = 1 : i64, hct.layer = "b", hct.pass = "backward", hct.recomputed, spec = "bk,nk->bn"}
// CHECK-NEXT: %[[T2:.+]] = "hct_graph.map1"(%[[P2]]) {fn = "tanh", hct.group = 1 : i64, hct.layer = "b", hct.pass = "backward", hct.recomputed}
// CHECK-NEXT: %[[DP:.+]] = "hct_graph.map2"(%[[S]], %[[T2]])
// CHECK-NEXT: %[[R2:.+]] = "hct_graph.transpose"(%[[T2]]) {hct.group = 1 : i64, hct.pass = "backward", hct.recomputed
// CHECK-NEXT: %[[DV:.+]] = "hct_graph.contract"(%[[R2]], %[[H]])
// CHECK-NEXT: %[[DW:.+]] = "hct_graph.contract"(%[[DP]], %[[X]])
// CHECK-NEXT: return %[[Z]], %[[DV]], %[[DW]] :
module attributes {hct.options = {"recompute" = "all"}} {
  func.func @all(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x8xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<8x8xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<4x8xf32> {hct.name = "z", hct.role = "output"}, tensor<8x8xf32> {hct.name = "v", hct.role = "gradient"}, tensor<8x8xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.layer = "b", hct.pass = "forward"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %t = "hct_graph.map1"(%p) {fn = "tanh", hct.group = 1 : i64, hct.layer = "b", hct.pass = "forward"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %r = "hct_graph.transpose"(%t) {perm = array<i64: 1, 0>, hct.group = 1 : i64, hct.pass = "forward"} : (tensor<4x8xf32>) -> tensor<8x4xf32>
    %z = "hct_graph.map1"(%t) {fn = "neg", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %s = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %dp = "hct_graph.map2"(%s, %t) {fn = "mul", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %dv = "hct_graph.contract"(%r, %h) {spec = "nb,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x4xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
    %dw = "hct_graph.contract"(%dp, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
    return %z, %dv, %dw : tensor<4x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>
  }
}
// -----
// Auto: a product over 4096 features costs more than its storage, the function of its result less.
// SAID: remark: --recompute=auto: backward reads 1 activations (1048576 bytes) of forward's, and computes 1 (1048576 bytes) again
// CHECK-LABEL: func.func @deep
// CHECK-NEXT: %[[H:.+]] = "hct_graph.contract"
// CHECK-NEXT: "hct_graph.map1"(%[[H]])
// CHECK-NEXT: %[[T:.+]] = "hct_graph.map1"(%[[H]]) {fn = "tanh", hct.group = 0 : i64, hct.pass = "backward", hct.recomputed}
// CHECK-NEXT: "hct_graph.map2"(%[[T]], %[[H]])
module attributes {hct.package = "hecaton-4x4", hct.options = {"recompute" = "auto"}} {
  func.func @deep(%x: tensor<4096x4096xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x4096xf32> {hct.name = "w", hct.role = "param", hct.trainable})
      -> (tensor<4096x64xf32> {hct.name = "t", hct.role = "output"}, tensor<64x4096xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4096x4096xf32>, tensor<64x4096xf32>) -> tensor<4096x64xf32>
    %t = "hct_graph.map1"(%h) {fn = "tanh", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4096x64xf32>) -> tensor<4096x64xf32>
    %dh = "hct_graph.map2"(%t, %h) {fn = "mul", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4096x64xf32>, tensor<4096x64xf32>) -> tensor<4096x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4096x64xf32>, tensor<4096x4096xf32>) -> tensor<64x4096xf32>
    return %t, %dw : tensor<4096x64xf32>, tensor<64x4096xf32>
  }
}
// -----
// One over 16, which needs no collective since no parameter is part of it, costs less.
// SAID: remark: --recompute=auto: backward reads 0 activations (0 bytes) of forward's, and computes 2 (2097152 bytes) again
// CHECK-LABEL: func.func @shallow
// CHECK: %[[H:.+]] = "hct_graph.contract"{{.*}}hct.recomputed
// CHECK-NEXT: %[[T:.+]] = "hct_graph.map1"(%[[H]]) {{.*}}hct.recomputed
// CHECK-NEXT: "hct_graph.map2"(%[[T]], %[[H]])
module attributes {hct.package = "hecaton-4x4", hct.options = {"recompute" = "auto"}} {
  func.func @shallow(%x: tensor<4096x16xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x16xf32> {hct.name = "w", hct.role = "input"})
      -> (tensor<4096x64xf32> {hct.name = "t", hct.role = "output"}, tensor<64x16xf32> {hct.name = "w", hct.role = "output"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4096x16xf32>, tensor<64x16xf32>) -> tensor<4096x64xf32>
    %t = "hct_graph.map1"(%h) {fn = "tanh", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4096x64xf32>) -> tensor<4096x64xf32>
    %dh = "hct_graph.map2"(%t, %h) {fn = "mul", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4096x64xf32>, tensor<4096x64xf32>) -> tensor<4096x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4096x64xf32>, tensor<4096x16xf32>) -> tensor<64x16xf32>
    return %t, %dw : tensor<4096x64xf32>, tensor<64x16xf32>
  }
}
// -----
// None: nothing changes.
// SAID: remark: --recompute=none: backward reads 2 activations (2097152 bytes) of forward's, and computes 0 (0 bytes) again
// CHECK-LABEL: func.func @none
// CHECK-NOT: hct.recomputed
// CHECK: return
module attributes {hct.package = "hecaton-4x4", hct.options = {"recompute" = "none"}} {
  func.func @none(%x: tensor<4096x16xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x16xf32> {hct.name = "w", hct.role = "param", hct.trainable})
      -> (tensor<4096x64xf32> {hct.name = "t", hct.role = "output"}, tensor<64x16xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4096x16xf32>, tensor<64x16xf32>) -> tensor<4096x64xf32>
    %t = "hct_graph.map1"(%h) {fn = "tanh", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4096x64xf32>) -> tensor<4096x64xf32>
    %dh = "hct_graph.map2"(%t, %h) {fn = "mul", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4096x64xf32>, tensor<4096x64xf32>) -> tensor<4096x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4096x64xf32>, tensor<4096x16xf32>) -> tensor<64x16xf32>
    return %t, %dw : tensor<4096x64xf32>, tensor<64x16xf32>
  }
}
// -----
// With one sample nothing is cut in time, so that forward's values stay in SRAM, and storing costs nothing.
// SAID: remark: --recompute=auto: backward reads 2 activations (512 bytes) of forward's, and computes 0 (0 bytes) again
// CHECK-LABEL: func.func @one
// CHECK-NOT: hct.recomputed
// CHECK: return
module attributes {hct.package = "hecaton-4x4", hct.options = {"recompute" = "auto"}} {
  func.func @one(%x: tensor<1x16xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x16xf32> {hct.name = "w", hct.role = "param", hct.trainable})
      -> (tensor<1x64xf32> {hct.name = "t", hct.role = "output"}, tensor<64x16xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<1x16xf32>, tensor<64x16xf32>) -> tensor<1x64xf32>
    %t = "hct_graph.map1"(%h) {fn = "tanh", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<1x64xf32>) -> tensor<1x64xf32>
    %dh = "hct_graph.map2"(%t, %h) {fn = "mul", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<1x64xf32>, tensor<1x16xf32>) -> tensor<64x16xf32>
    return %t, %dw : tensor<1x64xf32>, tensor<64x16xf32>
  }
}
// -----
// The host's values are in memory, all of them.
// CHECK-LABEL: func.func @host
// CHECK-NOT: hct.recomputed
// CHECK: return
module attributes {hct.package = "hecaton-4x4", hct.options = {"recompute" = "all", "backend" = "host"}} {
  func.func @host(%x: tensor<4096x16xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x16xf32> {hct.name = "w", hct.role = "param", hct.trainable})
      -> (tensor<4096x64xf32> {hct.name = "t", hct.role = "output"}, tensor<64x16xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4096x16xf32>, tensor<64x16xf32>) -> tensor<4096x64xf32>
    %t = "hct_graph.map1"(%h) {fn = "tanh", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4096x64xf32>) -> tensor<4096x64xf32>
    %dh = "hct_graph.map2"(%t, %h) {fn = "mul", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4096x64xf32>, tensor<4096x64xf32>) -> tensor<4096x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4096x64xf32>, tensor<4096x16xf32>) -> tensor<64x16xf32>
    return %t, %dw : tensor<4096x64xf32>, tensor<64x16xf32>
  }
}
// -----
// A sum over the samples is not made again, which would be one more loop over the batch, nor is what follows from it alone.
// SAID: remark: --recompute=all: backward reads 0 activations (0 bytes) of forward's, and computes 1 (128 bytes) again
// CHECK-LABEL: func.func @summed
// CHECK: %[[N:.+]] = "hct_graph.map1"(%[[S:.+]]) {fn = "neg"
// CHECK-NEXT: %[[E:.+]] = "hct_graph.map1"(%{{arg[0-9]+}}) {{.*}}hct.recomputed
// CHECK-NEXT: "hct_graph.map2"(%[[E]], %[[N]])
module attributes {hct.options = {"recompute" = "all"}} {
  func.func @summed(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %e = "hct_graph.map1"(%x) {fn = "exp", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %s = "hct_graph.reduce"(%e) {kind = "sum", axes = array<i64: 0>, hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    %n = "hct_graph.map1"(%s) {fn = "neg", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<1x8xf32>) -> tensor<1x8xf32>
    %y = "hct_graph.map2"(%e, %n) {fn = "mul", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
    return %y : tensor<4x8xf32>
  }
}
// -----
// Without backward there is nothing to do, or to say.
// CHECK-LABEL: func.func @forward
// CHECK-NEXT: "hct_graph.map1"
// CHECK-NEXT: return
module attributes {hct.options = {"recompute" = "all"}} {
  func.func @forward(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %e = "hct_graph.map1"(%x) {fn = "exp", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %e : tensor<4x8xf32>
  }
}
