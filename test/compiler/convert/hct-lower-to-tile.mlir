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

// -----

// Rows of a table that are not first in its buffer are copied to one where they are, and gathered from there.
// CHECK-LABEL: func.func @step()
// CHECK: %[[X:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[5,4]",
// CHECK: %[[ROWS:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[4,5]",
// CHECK: "hct_tile.map"(%[[ROWS]], %[[X]]) {{.*}}fn = "mov", {{.*}}loops = ["4", "5"], maps = [array<i64: 0, 0, 1, 1, 0, 1>, array<i64: 1, 0, 1, 0, 0, 1>]
// CHECK: "hct_tile.rows"(%{{.+}}, %[[ROWS]], %{{.+}}) {classes = 4 : i64, {{.*}}fn = "gather"
module attributes {hct.batch = 1 : i64, hct.micro_batch = 1 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<5x4xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[5,4]"}, %i: tensor<2xi64> {hct.name = "i", hct.role = "input", hct.sharding = "[2]"}) -> (tensor<2x5xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.transpose"(%x) {perm = array<i64: 1, 0>, hct.sharding = ["[4,5]"]} : (tensor<5x4xf32>) -> tensor<4x5xf32>
    %1 = "hct_graph.gather_rows"(%0, %i) {hct.sharding = ["[2,5]"]} : (tensor<4x5xf32>, tensor<2xi64>) -> tensor<2x5xf32>
    return %1 : tensor<2x5xf32>
  }
}

// -----

// Of a table that is a run of a larger one's rows, instructions get which.
// CHECK-LABEL: func.func @step()
// CHECK: "hct_tile.rows"({{.*}}classes = 5 : i64, {{.*}}fn = "gather", {{.*}}run = array<i64: 4, 9>{{.*}}table_axes = "r"
module attributes {hct.batch = 1 : i64, hct.micro_batch = 1 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<5x4xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[5@r,4]"}, %i: tensor<2xi64> {hct.name = "i", hct.role = "input", hct.sharding = "[2]"}) -> (tensor<2x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.gather_rows"(%x, %i) {run = array<i64: 4, 9>, hct.sharding = ["[2,4] sum(r)"]} : (tensor<5x4xf32>, tensor<2xi64>) -> tensor<2x4xf32>
    %1 = "hct_graph.all_reduce"(%0) {axis = "r", kind = "sum", hct.sharding = ["[2,4]"]} : (tensor<2x4xf32>) -> tensor<2x4xf32>
    return %1 : tensor<2x4xf32>
  }
}

// -----

// Rows in several factors, read and written, are one factor of the same bytes to the instruction.
// CHECK-LABEL: func.func @step()
// CHECK: %[[X:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[3,2]",
// CHECK: %[[ROWS:.+]] = "hct_tile.alias"(%[[X]]) {layout = "[6]",
// CHECK: "hct_tile.rows"(%[[G:.+]], %[[ROWS]], %{{.+}}) {classes = 6 : i64, {{.*}}fn = "gather"
// CHECK: %[[S:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[6]",
// CHECK: "hct_tile.fill"(%[[S]])
// CHECK: "hct_tile.rows"(%[[S]], %[[G]], %{{.+}}) {classes = 6 : i64, {{.*}}fn = "scatter"
// CHECK: %[[Y:.+]] = "hct_tile.alias"(%[[S]]) {layout = "[3*2]",
module attributes {hct.batch = 1 : i64, hct.micro_batch = 1 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<3x2xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[3,2]"}, %i: tensor<4xi64> {hct.name = "i", hct.role = "input", hct.sharding = "[4]"}) -> (tensor<3x2xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.reshape"(%x) {hct.sharding = ["[3*2]"]} : (tensor<3x2xf32>) -> tensor<6xf32>
    %1 = "hct_graph.gather_rows"(%0, %i) {hct.sharding = ["[4]"]} : (tensor<6xf32>, tensor<4xi64>) -> tensor<4xf32>
    %2 = "hct_graph.scatter_rows"(%1, %i) {hct.sharding = ["[3*2]"]} : (tensor<4xf32>, tensor<4xi64>) -> tensor<6xf32>
    %3 = "hct_graph.reshape"(%2) {hct.sharding = ["[3,2]"]} : (tensor<6xf32>) -> tensor<3x2xf32>
    return %3 : tensor<3x2xf32>
  }
}
