// A dropout numbers elements of the whole tensor, whatever die and micro-batch has them: a unit of the two that columns divide is four elements.
// RUN: %hecaton-opt --hct-lower-to-tile %s | FileCheck %s
// RUN: %hecaton-opt %s --emit=isa -o %t.s && FileCheck %s --check-prefix=ISA < %t.s
module attributes {hct.done = "hct-partition", hct.batch = 5 : i64, hct.micro_batch = 2 : i64, hct.options = {"overlap" = "none"}, hct.package = "hecaton-2x2"} {
  func.func @step(%x: tensor<5x6x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[5@tr,6,2@c*4]"}, %seed: tensor<i64> {hct.name = "seed", hct.role = "setting", hct.data = dense<1> : tensor<i64>, hct.sharding = "[]"},
                  %step: tensor<f32> {hct.name = "step", hct.role = "state", hct.sharding = "[]"}) -> (tensor<5x6x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = 3 : i64, index = array<i64: 48, 8, 1, 100>, hct.sharding = ["[5@tr,6,2@c*4]"]} : (tensor<5x6x8xf32>, tensor<i64>, tensor<f32>) -> tensor<5x6x8xf32>
    return %0 : tensor<5x6x8xf32>
  }
}
// CHECK: %[[SEED:.+]] = "hct_tile.alloc"() {dtype = "i64", layout = "[]"
// CHECK: %[[STEP:.+]] = "hct_tile.alloc"() {dtype = "f32", layout = "[]"
// CHECK: scf.for %[[T:.+]] =
// CHECK: "hct_tile.dropout"(%{{.+}}, %{{.+}}, %[[SEED]], %[[STEP]], %[[T]]) {{.*}}index = array<i64: 48, 8, 4, 1, 100>, loops = ["5@tr", "6", "2@c", "4"], {{.*}}ratio = 5.000000e-01 : f64, section = 0 : i64, stream = 3 : i64}
// CHECK: "hct_tile.dropout"(%{{.+}}, %{{.+}}, %[[SEED]], %[[STEP]], %c2) {{.*}}section = 1 : i64

// A full micro-batch is two samples of 48, one a row; a die's features begin 4 further a column. The last sample is the first row's.
// ISA: loop level=0 v0=2
// ISA: drop shape=1,1,6,4 {{.*}} index=i64:100+loop(0,+,0,0)*96+index(row)*48+index(col)*4:0,0,8,1 v0=4602678819172646912 v1=3
// ISA: drop shape=1,1,6,4 {{.*}} index=i64:292+index(col)*4:0,0,8,1
