// An optimizer step goes by pieces of --update-chunk elements where a tile has more: in a loop as far as all dies have them, the rest behind it.
// RUN: %hecaton-opt --hct-lower-to-tile --split-input-file %s | FileCheck %s
// Rows of dies have 7 and 6 rows of 8: three pieces of 16 each, and on the first 8 elements more.
// CHECK-LABEL: module
// CHECK-DAG: %[[P:.+]] = "hct_tile.dram"() {{.*}}name = "p", role = "param"
// CHECK-DAG: %[[M:.+]] = "hct_tile.dram"() {{.*}}name = "m", role = "state"
// CHECK-DAG: %[[V:.+]] = "hct_tile.dram"() {{.*}}name = "v", role = "state"
// CHECK-DAG: %[[THREE:.+]] = arith.constant 3 : index
// CHECK: %[[G:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[1,13@r,8]", section = -1 : i64}
// CHECK: "hct_tile.fill"(%[[G]])
// CHECK: scf.for %[[I:.+]] = %{{.+}} to %[[THREE]]
// CHECK-NEXT: %[[PP:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[1,13@r,8]", range = array<i64: 0, 16>, section = -1 : i64}
// CHECK-NEXT: "hct_tile.load"(%[[PP]], %[[P]], %[[I]])
// CHECK-NEXT: %[[PM:.+]] = "hct_tile.alloc"() {{.*}}range = array<i64: 0, 16>
// CHECK-NEXT: "hct_tile.load"(%[[PM]], %[[M]], %[[I]])
// CHECK-NEXT: %[[PV:.+]] = "hct_tile.alloc"() {{.*}}range = array<i64: 0, 16>
// CHECK-NEXT: "hct_tile.load"(%[[PV]], %[[V]], %[[I]])
// CHECK-NEXT: "hct_tile.update"(%[[PP]], %[[G]], %[[PM]], %[[PV]], %{{.+}}, %{{.+}}, %[[I]]) {{.*}}kind = "adamw"
// CHECK-NEXT: "hct_tile.store"(%[[P]], %[[PP]], %[[I]])
// CHECK-NEXT: "hct_tile.store"(%[[M]], %[[PM]], %[[I]])
// CHECK-NEXT: "hct_tile.store"(%[[V]], %[[PV]], %[[I]])
// CHECK-NEXT: {{^ +[}]}}
// CHECK-NEXT: %[[RP:.+]] = "hct_tile.alloc"() {{.*}}range = array<i64: 48, 16>
// CHECK-NEXT: "hct_tile.load"(%[[RP]], %[[P]])
// CHECK: "hct_tile.update"(%[[RP]], %[[G]], %{{[^ ,]+}}, %{{[^ ,]+}}, %{{[^ ,]+}}, %{{[^ ,]+}}) {{.*}}kind = "adamw"
// CHECK-NEXT: "hct_tile.store"(%[[P]], %[[RP]])
// CHECK-NOT: "hct_tile.store"(%[[P]]
// CHECK: return
module attributes {hct.batch = 4 : i64, hct.micro_batch = 4 : i64, hct.package = "hecaton-2x2", hct.options = {"update-chunk" = "16"}} {
  func.func @step(%x: tensor<4x13x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,13@r,8]"}, %p: tensor<1x13x8xf32> {hct.name = "p", hct.role = "param", hct.sharding = "[1,13@r,8]"}, %m: tensor<1x13x8xf32> {hct.name = "m", hct.role = "state", hct.sharding = "[1,13@r,8]"}, %v: tensor<1x13x8xf32> {hct.name = "v", hct.role = "state", hct.sharding = "[1,13@r,8]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"})
      -> (tensor<1x13x8xf32> {hct.name = "p", hct.role = "param"}, tensor<1x13x8xf32> {hct.name = "m", hct.role = "state"}, tensor<1x13x8xf32> {hct.name = "v", hct.role = "state"}) {
    %0 = "hct_graph.reduce"(%x) {kind = "sum", axes = array<i64: 0>, hct.group = 0 : i64, hct.sharding = ["[1,13@r,8] sum(t)"]} : (tensor<4x13x8xf32>) -> tensor<1x13x8xf32>
    %g = "hct_graph.all_reduce"(%0) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.sharding = ["[1,13@r,8]"]} : (tensor<1x13x8xf32>) -> tensor<1x13x8xf32>
    %u:3 = "hct_graph.update"(%p, %g, %m, %v, %settings, %step) {kind = "adamw", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[1,13@r,8]", "[1,13@r,8]", "[1,13@r,8]"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<10xf32>, tensor<f32>) -> (tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>)
    return %u#0, %u#1, %u#2 : tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>
  }
}
// -----
// A tile that is no larger stays whole.
// CHECK-LABEL: module
// CHECK-NOT: range =
// CHECK: "hct_tile.update"({{[^,]+, [^,]+, [^,]+, [^,]+, [^,]+, [^,)]+}}) {
// CHECK-NOT: range =
// CHECK: return
module attributes {hct.batch = 4 : i64, hct.micro_batch = 4 : i64, hct.package = "hecaton-2x2", hct.options = {"update-chunk" = "56"}} {
  func.func @step(%x: tensor<4x13x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,13@r,8]"}, %p: tensor<1x13x8xf32> {hct.name = "p", hct.role = "param", hct.sharding = "[1,13@r,8]"}, %m: tensor<1x13x8xf32> {hct.name = "m", hct.role = "state", hct.sharding = "[1,13@r,8]"}, %v: tensor<1x13x8xf32> {hct.name = "v", hct.role = "state", hct.sharding = "[1,13@r,8]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"})
      -> (tensor<1x13x8xf32> {hct.name = "p", hct.role = "param"}, tensor<1x13x8xf32> {hct.name = "m", hct.role = "state"}, tensor<1x13x8xf32> {hct.name = "v", hct.role = "state"}) {
    %0 = "hct_graph.reduce"(%x) {kind = "sum", axes = array<i64: 0>, hct.group = 0 : i64, hct.sharding = ["[1,13@r,8] sum(t)"]} : (tensor<4x13x8xf32>) -> tensor<1x13x8xf32>
    %g = "hct_graph.all_reduce"(%0) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.sharding = ["[1,13@r,8]"]} : (tensor<1x13x8xf32>) -> tensor<1x13x8xf32>
    %u:3 = "hct_graph.update"(%p, %g, %m, %v, %settings, %step) {kind = "adamw", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[1,13@r,8]", "[1,13@r,8]", "[1,13@r,8]"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<10xf32>, tensor<f32>) -> (tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>)
    return %u#0, %u#1, %u#2 : tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>
  }
}
// -----
// A parameter that the stage has in SRAM anyway is updated there, with its states by pieces, and stored as a whole; no byte is loaded twice.
// CHECK-LABEL: module
// CHECK: %[[P:.+]] = "hct_tile.dram"() {{.*}}name = "p", role = "param"
// CHECK: "hct_tile.load"(%[[WHOLE:[^ ,]+]], %[[P]])
// CHECK-NOT: "hct_tile.load"({{.+}}, %[[P]]
// CHECK: "hct_tile.update"(%[[WHOLE]], %{{[^ ,]+}}, %[[PIECE:[^ ,]+]], {{.*}}%{{[^ ,]+}}) {
// CHECK-NEXT: "hct_tile.store"(%{{.+}}, %[[PIECE]], %{{.+}})
// CHECK-NOT: "hct_tile.load"({{.+}}, %[[P]]
// CHECK: {{^ +[}]}}
// CHECK: "hct_tile.store"(%[[P]], %[[WHOLE]]) {
// CHECK: return
module attributes {hct.batch = 4 : i64, hct.micro_batch = 4 : i64, hct.package = "hecaton-2x2", hct.options = {"update-chunk" = "16"}} {
  func.func @step(%x: tensor<4x13x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,13@r,8]"}, %p: tensor<1x13x8xf32> {hct.name = "p", hct.role = "param", hct.sharding = "[1,13@r,8]"}, %m: tensor<1x13x8xf32> {hct.name = "m", hct.role = "state", hct.sharding = "[1,13@r,8]"}, %v: tensor<1x13x8xf32> {hct.name = "v", hct.role = "state", hct.sharding = "[1,13@r,8]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"})
      -> (tensor<1x13x8xf32> {hct.name = "p", hct.role = "param"}, tensor<1x13x8xf32> {hct.name = "m", hct.role = "state"}, tensor<1x13x8xf32> {hct.name = "v", hct.role = "state"}, tensor<4x13x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.reduce"(%x) {kind = "sum", axes = array<i64: 0>, hct.group = 0 : i64, hct.sharding = ["[1,13@r,8] sum(t)"]} : (tensor<4x13x8xf32>) -> tensor<1x13x8xf32>
    %g = "hct_graph.all_reduce"(%0) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.sharding = ["[1,13@r,8]"]} : (tensor<1x13x8xf32>) -> tensor<1x13x8xf32>
    %u:3 = "hct_graph.update"(%p, %g, %m, %v, %settings, %step) {kind = "adamw", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[1,13@r,8]", "[1,13@r,8]", "[1,13@r,8]"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<10xf32>, tensor<f32>) -> (tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>)
    %y = "hct_graph.map2"(%x, %p) {fn = "add", hct.group = 0 : i64, hct.sharding = ["[4@t,13@r,8]"]} : (tensor<4x13x8xf32>, tensor<1x13x8xf32>) -> tensor<4x13x8xf32>
    return %u#0, %u#1, %u#2, %y : tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<4x13x8xf32>
  }
}
// -----
// A step waits for the last stage that reads what it replaces, here the low copy, which is made by pieces too.
// CHECK-LABEL: module
// CHECK-DAG: %[[C:.+]] = "hct_tile.dram"() {{.*}}dtype = "bf16"{{.*}}name = "p", role = "copy"
// CHECK-NOT: "hct_tile.update"
// CHECK: "hct_tile.load"(%[[OLD:[^ ,]+]], %[[C]])
// CHECK: "hct_tile.map"(%{{[^ ,]+}}, %{{[^ ,]+}}, %[[OLD]])
// CHECK: scf.for %[[I:.+]] = 
// CHECK: "hct_tile.update"(%[[PP:[^ ,]+]],
// CHECK: %[[LOW:.+]] = "hct_tile.alloc"() {dtype = "bf16", {{.*}}range = array<i64: 0, 16>
// CHECK-NEXT: "hct_tile.cast"(%[[LOW]], %[[PP]])
// CHECK-NEXT: "hct_tile.store"(%[[C]], %[[LOW]], %[[I]])
// CHECK: return
module attributes {hct.batch = 4 : i64, hct.micro_batch = 4 : i64, hct.package = "hecaton-2x2", hct.options = {"update-chunk" = "16"}} {
  func.func @step(%x: tensor<4x13x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,13@r,8]"}, %p: tensor<1x13x8xf32> {hct.name = "p", hct.role = "param", hct.sharding = "[1,13@r,8]"}, %m: tensor<1x13x8xf32> {hct.name = "m", hct.role = "state", hct.sharding = "[1,13@r,8]"}, %v: tensor<1x13x8xf32> {hct.name = "v", hct.role = "state", hct.sharding = "[1,13@r,8]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"}, %c: tensor<1x13x8xbf16> {hct.name = "p", hct.role = "copy", hct.sharding = "[1,13@r,8]"})
      -> (tensor<1x13x8xf32> {hct.name = "p", hct.role = "param"}, tensor<1x13x8xf32> {hct.name = "m", hct.role = "state"}, tensor<1x13x8xf32> {hct.name = "v", hct.role = "state"}, tensor<1x13x8xbf16> {hct.name = "p", hct.role = "copy"}, tensor<4x13x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.reduce"(%x) {kind = "sum", axes = array<i64: 0>, hct.group = 0 : i64, hct.sharding = ["[1,13@r,8] sum(t)"]} : (tensor<4x13x8xf32>) -> tensor<1x13x8xf32>
    %g = "hct_graph.all_reduce"(%0) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.sharding = ["[1,13@r,8]"]} : (tensor<1x13x8xf32>) -> tensor<1x13x8xf32>
    %u:3 = "hct_graph.update"(%p, %g, %m, %v, %settings, %step) {kind = "adamw", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[1,13@r,8]", "[1,13@r,8]", "[1,13@r,8]"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<10xf32>, tensor<f32>) -> (tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>)
    %low = "hct_graph.map1"(%u#0) {fn = "mov", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[1,13@r,8]"]} : (tensor<1x13x8xf32>) -> tensor<1x13x8xbf16>
    %y = "hct_graph.map2"(%x, %c) {fn = "add", hct.group = 1 : i64, hct.sharding = ["[4@t,13@r,8]"]} : (tensor<4x13x8xf32>, tensor<1x13x8xbf16>) -> tensor<4x13x8xf32>
    return %u#0, %u#1, %u#2, %low, %y : tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xf32>, tensor<1x13x8xbf16>, tensor<4x13x8xf32>
  }
}
// -----
// Steps that wait for the norm of all gradients come one after the other: what one updates in SRAM is stored before the next.
// CHECK-LABEL: module
// CHECK-DAG: %[[P:.+]] = "hct_tile.dram"() {{.*}}name = "p", role = "param"
// CHECK-DAG: %[[Q:.+]] = "hct_tile.dram"() {{.*}}name = "q", role = "param"
// CHECK-DAG: "hct_tile.load"(%[[WP:[^ ,]+]], %[[P]])
// CHECK-DAG: "hct_tile.load"(%[[WQ:[^ ,]+]], %[[Q]])
// CHECK: "hct_tile.update"(%[[WP]],
// CHECK-NEXT: "hct_tile.store"(%[[P]], %[[WP]])
// CHECK: "hct_tile.update"(%[[WQ]],
// CHECK-NEXT: "hct_tile.store"(%[[Q]], %[[WQ]])
// CHECK-NOT: "hct_tile.store"
// CHECK: return
module attributes {hct.batch = 4 : i64, hct.micro_batch = 4 : i64, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,8@r]"}, %p: tensor<1x8xf32> {hct.name = "p", hct.role = "param", hct.sharding = "[1,8@r]"}, %q: tensor<1x8xf32> {hct.name = "q", hct.role = "param", hct.sharding = "[1,8@r]"}, %settings: tensor<10xf32> {hct.name = "settings", hct.role = "setting", hct.sharding = "[10]"}, %step: tensor<f32> {hct.name = "step", hct.role = "setting", hct.sharding = "[]"})
      -> (tensor<1x8xf32> {hct.name = "p", hct.role = "param"}, tensor<1x8xf32> {hct.name = "q", hct.role = "param"}) {
    %0 = "hct_graph.map2"(%x, %p) {fn = "mul", hct.group = 0 : i64, hct.sharding = ["[4@t,8@r]"]} : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
    %1 = "hct_graph.map2"(%0, %q) {fn = "mul", hct.group = 0 : i64, hct.sharding = ["[4@t,8@r]"]} : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
    %2 = "hct_graph.reduce"(%1) {kind = "sum", axes = array<i64: 0>, hct.group = 0 : i64, hct.sharding = ["[1,8@r] sum(t)"]} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    %g = "hct_graph.all_reduce"(%2) {axis = "t", kind = "sum", hct.group = 0 : i64, hct.sharding = ["[1,8@r]"]} : (tensor<1x8xf32>) -> tensor<1x8xf32>
    %a = "hct_graph.update"(%p, %g, %settings, %step) {kind = "sgd", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[1,8@r]"], hct.waits, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<1x8xf32>, tensor<1x8xf32>, tensor<10xf32>, tensor<f32>) -> tensor<1x8xf32>
    %b = "hct_graph.update"(%q, %g, %settings, %step) {kind = "sgd", hct.group = 0 : i64, hct.pass = "update", hct.sharding = ["[1,8@r]"], hct.waits, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<1x8xf32>, tensor<1x8xf32>, tensor<10xf32>, tensor<f32>) -> tensor<1x8xf32>
    return %a, %b : tensor<1x8xf32>, tensor<1x8xf32>
  }
}
