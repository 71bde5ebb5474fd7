// The MXU's arrays share a tile's columns: of a product with few columns the transposes are multiplied, so that no array is idle.
// RUN: %hecaton-opt --hct-lower-to-tile --split-input-file %s | FileCheck %s

// 512 rows and 128 columns: the weight comes first. Rows and columns of the result lie as they did.
// CHECK-DAG: %[[X:.+]] = "hct_tile.dram"() {{.*}}name = "x"
// CHECK-DAG: %[[W:.+]] = "hct_tile.dram"() {{.*}}name = "w"
// CHECK-DAG: "hct_tile.load"(%[[XS:[0-9]+]], %[[X]])
// CHECK-DAG: "hct_tile.load"(%[[WS:[0-9]+]], %[[W]])
// CHECK: "hct_tile.matmul"(%{{.+}}, %[[WS]], %[[XS]]) {{.*}}loops = ["512", "128", "64"], maps = [array<i64: 0, 0, 1, 1, 0, 1, -1, 0, 1>, array<i64: -1, 0, 1, 0, 0, 1, 1, 0, 1>, array<i64: 0, 0, 1, -1, 0, 1, 1, 0, 1>]
module attributes {hct.package = "hecaton-2x2", hct.batch = 1 : i64, hct.micro_batch = 1 : i64} {
  func.func @step(%x: tensor<512x64xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[512,64]"}, %w: tensor<128x64xf32> {hct.name = "w", hct.role = "param", hct.sharding = "[128,64]"}) -> (tensor<512x128xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "mk,nk->mn", hct.sharding = ["[512,128]"]} : (tensor<512x64xf32>, tensor<128x64xf32>) -> tensor<512x128xf32>
    return %0 : tensor<512x128xf32>
  }
}
// -----
// 512 rows and 512 columns take as long either way, and stay.
// CHECK-DAG: %[[A:.+]] = "hct_tile.dram"() {{.*}}name = "a"
// CHECK-DAG: "hct_tile.load"(%[[AS:[0-9]+]], %[[A]])
// CHECK: "hct_tile.matmul"(%{{.+}}, %[[AS]], %{{.+}}) {{.*}}loops = ["512", "512", "64"]
module attributes {hct.package = "hecaton-2x2", hct.batch = 1 : i64, hct.micro_batch = 1 : i64} {
  func.func @step(%a: tensor<512x64xf32> {hct.name = "a", hct.role = "input", hct.sharding = "[512,64]"}, %b: tensor<512x64xf32> {hct.name = "b", hct.role = "param", hct.sharding = "[512,64]"}) -> (tensor<512x512xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%a, %b) {spec = "mk,nk->mn", hct.sharding = ["[512,512]"]} : (tensor<512x64xf32>, tensor<512x64xf32>) -> tensor<512x512xf32>
    return %0 : tensor<512x512xf32>
  }
}
// -----
// Summed over heads and tokens, of which one operand has tokens first: it is small, and copied, so that one instruction sums over both, into bf16 at once.
// CHECK-DAG: %[[DY:.+]] = "hct_tile.dram"() {{.*}}name = "dy"
// CHECK-DAG: "hct_tile.load"(%[[DYS:[0-9]+]], %[[DY]])
// CHECK: %[[COPY:[0-9]+]] = "hct_tile.alloc"() {dtype = "bf16", layout = "[4,16,8]"
// CHECK: "hct_tile.map"(%[[COPY]], %[[DYS]]) {{.*}}fn = "mov"
// CHECK: %[[DV:[0-9]+]] = "hct_tile.alloc"() {dtype = "bf16", layout = "[256,8]"
// CHECK-NEXT: "hct_tile.matmul"(%[[DV]], {{.*}}%[[COPY]]{{.*}}
// CHECK-NOT: dtype = "f32"
module attributes {hct.package = "hecaton-2x2", hct.batch = 1 : i64, hct.micro_batch = 1 : i64} {
  func.func @step(%p: tensor<4x16x256xbf16> {hct.name = "p", hct.role = "input", hct.sharding = "[4,16,256]"}, %dy: tensor<16x4x8xbf16> {hct.name = "dy", hct.role = "input", hct.sharding = "[16,4,8]"}) -> (tensor<256x8xbf16> {hct.name = "dv", hct.role = "output"}) {
    %0 = "hct_graph.transpose"(%dy) {perm = array<i64: 1, 0, 2>, hct.sharding = ["[4,16,8]"]} : (tensor<16x4x8xbf16>) -> tensor<4x16x8xbf16>
    %1 = "hct_graph.contract"(%0, %p) {spec = "cmn,cmk->kn", hct.sharding = ["[256,8]"]} : (tensor<4x16x8xbf16>, tensor<4x16x256xbf16>) -> tensor<256x8xbf16>
    return %1 : tensor<256x8xbf16>
  }
}
