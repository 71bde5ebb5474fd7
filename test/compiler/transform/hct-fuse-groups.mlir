// Units of the step that are one stage are written on the module, by unit: forward of groups 0 and 1, backward of 1 and 0. Operators stay as they are.
// RUN: %hecaton-opt --hct-fuse-groups --split-input-file %s | FileCheck %s
// RUN: %hecaton-opt --hct-fuse-groups --split-input-file %s 2>&1 >/dev/null | FileCheck --check-prefix=SAID --implicit-check-not=remark %s

// Stages as they are given, by their first units.
// SAID: remark: --groups=0,1,3: the 4 units of 2 fusion groups, forward and backward, run as stages that begin at 0,1,3
// CHECK: module attributes {{.*}}hct.stages = array<i64: 0, 1, 1, 2>
// CHECK: func.func @given
// CHECK-COUNT-5: "hct_graph.contract"
// CHECK-NEXT: return
module attributes {hct.package = "hecaton-2x2", hct.options = {groups = "0,1,3"}} {
  func.func @given(%x: tensor<8x64xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x64xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<64x64xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<64x64xf32> {hct.name = "v", hct.role = "gradient"}, tensor<64x64xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    return %dv, %dw : tensor<64x64xf32>, tensor<64x64xf32>
  }
}
// -----
// Everything fits: forward and backward of both are one stage, and nothing is written or read but arguments and results. The batch is one micro-batch: sums are not to wait for its end.
// SAID: remark: --groups=auto: the 4 units of 2 fusion groups, forward and backward, run as stages that begin at 0
// CHECK: module attributes {{.*}}hct.stages = array<i64: 0, 0, 0, 0>, hct.streamed = array<i64: 2, 2, 2, 2>
// CHECK: func.func @small
module attributes {hct.package = "hecaton-2x2", hct.options = {objective = "dram", weights = "auto"}} {
  func.func @small(%x: tensor<8x64xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x64xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<64x64xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<64x64xf32> {hct.name = "v", hct.role = "gradient"}, tensor<64x64xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    return %dv, %dw : tensor<64x64xf32>, tensor<64x64xf32>
  }
}
// -----
// Two weights of 4 MiB and their gradients, in 10 of 128 MiB: there is room for group 1 forward and backward, not for group 0 beside it.
// SAID: remark: --groups=8%: the 4 units of 2 fusion groups, forward and backward, run as stages that begin at 0,1,3
// CHECK: module attributes {{.*}}hct.stages = array<i64: 0, 1, 1, 2>
// CHECK: func.func @share
module attributes {hct.package = "hecaton-2x2", hct.options = {objective = "dram", groups = "8%", weights = "resident"}} {
  func.func @share(%x: tensor<8x1024xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<1024x1024xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<1024x1024xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<1024x1024xf32> {hct.name = "v", hct.role = "gradient"}, tensor<1024x1024xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    return %dv, %dw : tensor<1024x1024xf32>, tensor<1024x1024xf32>
  }
}
// -----
// In 1 percent not even two weights fit.
// CHECK: module attributes
// CHECK-NOT: hct.streamed
// CHECK-NOT: hct.stages
// CHECK: func.func @none
module attributes {hct.package = "hecaton-2x2", hct.options = {objective = "dram", groups = "1%", weights = "resident"}} {
  func.func @none(%x: tensor<8x1024xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<1024x1024xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<1024x1024xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<1024x1024xf32> {hct.name = "v", hct.role = "gradient"}, tensor<1024x1024xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    return %dv, %dw : tensor<1024x1024xf32>, tensor<1024x1024xf32>
  }
}
// -----
// Each unit alone.
// CHECK-NOT: hct.stages
// CHECK: func.func @blocks
module attributes {hct.package = "hecaton-2x2", hct.options = {groups = "blocks"}} {
  func.func @blocks(%x: tensor<8x64xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x64xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<64x64xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<64x64xf32> {hct.name = "v", hct.role = "gradient"}, tensor<64x64xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    return %dv, %dw : tensor<64x64xf32>, tensor<64x64xf32>
  }
}
// -----
// Layerwise keeps every layer to itself.
// CHECK-NOT: hct.stages
// CHECK: func.func @layerwise
module attributes {hct.package = "hecaton-2x2", hct.options = {schedule = "layerwise"}} {
  func.func @layerwise(%x: tensor<8x64xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x64xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<64x64xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<64x64xf32> {hct.name = "v", hct.role = "gradient"}, tensor<64x64xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    return %dv, %dw : tensor<64x64xf32>, tensor<64x64xf32>
  }
}
// -----
// One sample: nothing is cut in time, and stays in SRAM in any case.
// CHECK-NOT: hct.stages
// CHECK: func.func @one
module attributes {hct.package = "hecaton-2x2", hct.options = {objective = "dram"}} {
  func.func @one(%x: tensor<1x64xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x64xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<64x64xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<64x64xf32> {hct.name = "v", hct.role = "gradient"}, tensor<64x64xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<1x64xf32>, tensor<64x64xf32>) -> tensor<1x64xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<1x64xf32>, tensor<64x64xf32>) -> tensor<1x64xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<64x64xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<1x64xf32>, tensor<64x64xf32>) -> tensor<1x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<64x64xf32>
    return %dv, %dw : tensor<64x64xf32>, tensor<64x64xf32>
  }
}
// -----
// The host's values are in memory, all of them.
// CHECK-NOT: hct.stages
// CHECK: func.func @host
module attributes {hct.package = "hecaton-2x2", hct.options = {backend = "host"}} {
  func.func @host(%x: tensor<8x64xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<64x64xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<64x64xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<64x64xf32> {hct.name = "v", hct.role = "gradient"}, tensor<64x64xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<64x64xf32>
    return %dv, %dw : tensor<64x64xf32>, tensor<64x64xf32>
  }
}
// -----
// The same weights in 8 percent, where sums may be streamed: of one micro-batch a weight is there until it is read last, and a gradient is done with before the next. All units are one stage.
// SAID: remark: --groups=8%: the 4 units of 2 fusion groups, forward and backward, run as stages that begin at 0
// CHECK: module attributes {{.*}}hct.stages = array<i64: 0, 0, 0, 0>, hct.streamed = array<i64: 2, 2, 2, 2>
// CHECK: func.func @one_micro_batch
module attributes {hct.package = "hecaton-2x2", hct.options = {objective = "dram", groups = "8%", weights = "auto"}} {
  func.func @one_micro_batch(%x: tensor<8x1024xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<1024x1024xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<1024x1024xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<1024x1024xf32> {hct.name = "v", hct.role = "gradient"}, tensor<1024x1024xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    return %dv, %dw : tensor<1024x1024xf32>, tensor<1024x1024xf32>
  }
}
// -----
// As it is asked, stage by stage.
// SAID: remark: --groups=0,1,3: the 4 units of 2 fusion groups, forward and backward, run as stages that begin at 0,1,3
// CHECK: module attributes {{.*}}hct.stages = array<i64: 0, 1, 1, 2>, hct.streamed = array<i64: 1, 3, 3, 0>
// CHECK: func.func @asked
module attributes {hct.package = "hecaton-2x2", hct.options = {groups = "0,1,3", weights = "weights,streamed,resident"}} {
  func.func @asked(%x: tensor<8x1024xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<1024x1024xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<1024x1024xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<1024x1024xf32> {hct.name = "v", hct.role = "gradient"}, tensor<1024x1024xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    return %dv, %dw : tensor<1024x1024xf32>, tensor<1024x1024xf32>
  }
}
// -----
// Of eight micro-batches all units are one stage, in SRAM for that, with weights resident.
// SAID: remark: --groups=auto: the 4 units of 2 fusion groups, forward and backward, run as stages that begin at 0
// CHECK: module attributes {{.*}}hct.stages = array<i64: 0, 0, 0, 0>} {
// CHECK: func.func @several
module attributes {hct.package = "hecaton-2x2", hct.options = {objective = "dram", "micro-batch" = "1", weights = "auto"}} {
  func.func @several(%x: tensor<8x1024xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<1024x1024xf32> {hct.name = "w", hct.role = "param"}, %v: tensor<1024x1024xf32> {hct.name = "v", hct.role = "param"})
      -> (tensor<1024x1024xf32> {hct.name = "v", hct.role = "gradient"}, tensor<1024x1024xf32> {hct.name = "w", hct.role = "gradient"}) {
    %h = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn", hct.group = 0 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %p = "hct_graph.contract"(%h, %v) {spec = "bk,nk->bn", hct.group = 1 : i64, hct.pass = "forward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dv = "hct_graph.contract"(%p, %h) {spec = "bn,bk->nk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    %dh = "hct_graph.contract"(%p, %v) {spec = "bn,nk->bk", hct.group = 1 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<1024x1024xf32>) -> tensor<8x1024xf32>
    %dw = "hct_graph.contract"(%dh, %x) {spec = "bn,bk->nk", hct.group = 0 : i64, hct.pass = "backward"} : (tensor<8x1024xf32>, tensor<8x1024xf32>) -> tensor<1024x1024xf32>
    return %dv, %dw : tensor<1024x1024xf32>, tensor<1024x1024xf32>
  }
}
