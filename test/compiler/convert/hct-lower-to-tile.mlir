// Each operator becomes loads, nests over buffers and stores; what is returned as it came needs nothing.
// RUN: %hecaton-opt --hct-lower-to-tile --split-input-file %s | FileCheck %s

// A slice of features is no operator: the map reads its buffer from column 4 on.
// CHECK-LABEL: func.func @step()
// CHECK-DAG: %[[X:.+]] = "hct_tile.dram"() {{.*}}name = "x", role = "input"
// CHECK-DAG: %[[Y:.+]] = "hct_tile.dram"() {{.*}}name = "y", role = "output"
// CHECK: scf.for %[[T:.+]] =
// CHECK: %[[XS:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[2@t,8]", section = 0 : i64}
// CHECK: "hct_tile.load"(%[[XS]], %[[X]], %[[T]])
// CHECK: %[[YS:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[2@t,4]", section = 0 : i64}
// CHECK: "hct_tile.map"(%[[YS]], %[[XS]]) {{.*}}fn = "neg", {{.*}}loops = ["2@t", "4"], maps = [array<i64: 0, 0, 1, 1, 0, 1>, array<i64: 0, 0, 1, 1, 4, 1>]
// CHECK: "hct_tile.store"(%[[Y]], %[[YS]], %[[T]])
module attributes {hct.batch = 2 : i64, hct.micro_batch = 1 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<2x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[2@t,8]"}) -> (tensor<2x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.slice"(%x) {starts = array<i64: 0, 4>, steps = array<i64: 1, 1>, hct.sharding = ["[2@t,4]"]} : (tensor<2x8xf32>) -> tensor<2x4xf32>
    %1 = "hct_graph.map1"(%0) {fn = "neg", hct.sharding = ["[2@t,4]"]} : (tensor<2x4xf32>) -> tensor<2x4xf32>
    return %1 : tensor<2x4xf32>
  }
}
// -----
// A parameter returned as it came is in its place already: no load, no store, no loop.
// CHECK-LABEL: func.func @step()
// CHECK-NOT: {{hct_tile|scf}}
// CHECK: return
module attributes {hct.batch = 2 : i64, hct.micro_batch = 2 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%w: tensor<8xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[8@c]"}) -> (tensor<8xf32> {hct.name = "w", hct.role = "param"}) {
    return %w : tensor<8xf32>
  }
}
