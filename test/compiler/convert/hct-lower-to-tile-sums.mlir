// A pad of zeros that is only added to something is not made: what it pads is added in place, in the order of the sums.
// RUN: %hecaton-opt --hct-lower-to-tile --split-input-file %s | FileCheck %s

// Three padded parts of one value: the first is made whole, the others are added to it, each to its place.
// CHECK: scf.for
// CHECK: %[[SUM:[0-9]+]] = "hct_tile.alloc"() {{.*}}layout = "[4@t,16]"
// CHECK-NEXT: "hct_tile.fill"(%[[SUM]])
// CHECK: "hct_tile.map"(%[[SUM]], %{{[0-9]+}}) {{.*}}fn = "mov"
// CHECK-NOT: hct_tile.alloc"() {{.*}}layout = "[4@t,16]"
// CHECK: "hct_tile.map"(%[[SUM]], %[[SUM]], %[[B:[0-9]+]]) {{.*}}fn = "add", {{.*}}loops = ["4@t", "8"], maps = [array<i64: 0, 0, 1, 1, 8, 1>, array<i64: 0, 0, 1, 1, 8, 1>, array<i64: 0, 0, 1, 1, 0, 1>]
// CHECK-NOT: hct_tile.alloc"() {{.*}}layout = "[4@t,16]"
// CHECK: "hct_tile.map"(%[[SUM]], %[[SUM]], %[[C:[0-9]+]]) {{.*}}fn = "add", {{.*}}loops = ["4@t", "4"], maps = [array<i64: 0, 0, 1, 1, 4, 1>, array<i64: 0, 0, 1, 1, 4, 1>, array<i64: 0, 0, 1, 1, 0, 1>]
// CHECK-NOT: hct_tile.alloc
// CHECK: "hct_tile.store"(%{{.+}}, %[[SUM]], %{{.+}})
module attributes {hct.package = "hecaton-2x2", hct.batch = 4 : i64, hct.micro_batch = 1 : i64} {
  func.func @step(%a: tensor<4x8xf32> {hct.name = "a", hct.role = "input", hct.sharding = "[4@t,8]"}, %b: tensor<4x8xf32> {hct.name = "b", hct.role = "input", hct.sharding = "[4@t,8]"}, %c: tensor<4x4xf32> {hct.name = "c", hct.role = "input", hct.sharding = "[4@t,4]"}) -> (tensor<4x16xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.pad"(%a) {low = array<i64: 0, 0>, value = 0.0 : f64, hct.sharding = ["[4@t,16]"]} : (tensor<4x8xf32>) -> tensor<4x16xf32>
    %1 = "hct_graph.pad"(%b) {low = array<i64: 0, 8>, value = 0.0 : f64, hct.sharding = ["[4@t,16]"]} : (tensor<4x8xf32>) -> tensor<4x16xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "add", hct.sharding = ["[4@t,16]"]} : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    %3 = "hct_graph.pad"(%c) {low = array<i64: 0, 4>, value = 0.0 : f64, hct.sharding = ["[4@t,16]"]} : (tensor<4x4xf32>) -> tensor<4x16xf32>
    %4 = "hct_graph.map2"(%2, %3) {fn = "add", hct.sharding = ["[4@t,16]"]} : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    return %4 : tensor<4x16xf32>
  }
}
// -----
// What the pad is added to is an input, or has another reader: it stays, and the sum has a buffer of its own.
// CHECK: scf.for
// CHECK: %[[PAD:[0-9]+]] = "hct_tile.alloc"() {{.*}}layout = "[4@t,16]"
// CHECK-NEXT: "hct_tile.fill"(%[[PAD]])
// CHECK: "hct_tile.map"(%[[OWN:[0-9]+]], %{{[0-9]+}}, %[[PAD]]) {{.*}}fn = "add"
// CHECK: %[[PAD2:[0-9]+]] = "hct_tile.alloc"() {{.*}}layout = "[4@t,16]"
// CHECK-NEXT: "hct_tile.fill"(%[[PAD2]])
// CHECK: %[[OWN2:[0-9]+]] = "hct_tile.alloc"() {{.*}}layout = "[4@t,16]"
// CHECK-NEXT: "hct_tile.map"(%[[OWN2]], %[[OWN]], %[[PAD2]]) {{.*}}fn = "add"
module attributes {hct.package = "hecaton-2x2", hct.batch = 4 : i64, hct.micro_batch = 1 : i64} {
  func.func @step(%a: tensor<4x16xf32> {hct.name = "a", hct.role = "input", hct.sharding = "[4@t,16]"}, %b: tensor<4x8xf32> {hct.name = "b", hct.role = "input", hct.sharding = "[4@t,8]"}) -> (tensor<4x16xf32> {hct.name = "y", hct.role = "output"}, tensor<4x16xf32> {hct.name = "z", hct.role = "output"}) {
    %0 = "hct_graph.pad"(%b) {low = array<i64: 0, 8>, value = 0.0 : f64, hct.sharding = ["[4@t,16]"]} : (tensor<4x8xf32>) -> tensor<4x16xf32>
    %1 = "hct_graph.map2"(%a, %0) {fn = "add", hct.sharding = ["[4@t,16]"]} : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    %2 = "hct_graph.pad"(%b) {low = array<i64: 0, 0>, value = 0.0 : f64, hct.sharding = ["[4@t,16]"]} : (tensor<4x8xf32>) -> tensor<4x16xf32>
    %3 = "hct_graph.map2"(%1, %2) {fn = "add", hct.sharding = ["[4@t,16]"]} : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    return %1, %3 : tensor<4x16xf32>, tensor<4x16xf32>
  }
}
// -----
// Summed over micro-batches: the accumulator takes it, and no pad is made.
// CHECK: %[[ALL:[0-9]+]] = "hct_tile.alloc"() {{.*}}layout = "[16]"
// CHECK: scf.for
// CHECK-NOT: layout = "[16]"
// CHECK: "hct_tile.map"(%[[ALL]], %[[ALL]], %{{[0-9]+}}) {{.*}}fn = "add", {{.*}}loops = ["8"], maps = [array<i64: 0, 8, 1>
module attributes {hct.package = "hecaton-2x2", hct.batch = 4 : i64, hct.micro_batch = 1 : i64} {
  func.func @step(%a: tensor<4x8xf32> {hct.name = "a", hct.role = "input", hct.sharding = "[4@t,8]"}) -> (tensor<16xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.reduce"(%a) {axes = array<i64: 0>, kind = "sum", hct.sharding = ["[1,8] sum(t)"]} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    %1 = "hct_graph.reshape"(%0) {hct.sharding = ["[8] sum(t)"]} : (tensor<1x8xf32>) -> tensor<8xf32>
    %2 = "hct_graph.pad"(%1) {low = array<i64: 8>, value = 0.0 : f64, hct.sharding = ["[16] sum(t)"]} : (tensor<8xf32>) -> tensor<16xf32>
    %3 = "hct_graph.pad"(%1) {low = array<i64: 0>, value = 0.0 : f64, hct.sharding = ["[16] sum(t)"]} : (tensor<8xf32>) -> tensor<16xf32>
    %4 = "hct_graph.map2"(%2, %3) {fn = "add", hct.sharding = ["[16] sum(t)"]} : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
    %5 = "hct_graph.all_reduce"(%4) {axis = "t", kind = "sum", hct.sharding = ["[16]"]} : (tensor<16xf32>) -> tensor<16xf32>
    return %5 : tensor<16xf32>
  }
}
