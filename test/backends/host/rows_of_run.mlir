// Tables that are pieces of larger ones have no native code: no weight of the host's is in pieces.
// RUN: not %hecaton-opt %s --emit=image -o %t.so 2>&1 | FileCheck %s
// CHECK: rows_of_run.mlir:[[# @LINE + 3]]:{{[0-9]+}}: error[E0802]: the host backend has no hct_graph.gather_rows with 'run'
module attributes {hct.package = "hecaton-2x2", hct.options = {backend = "host", mode = "infer"}} {
  func.func @step(%ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %w: tensor<4x6xf32> {hct.name = "w", hct.role = "input"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.gather_rows"(%w, %ids) {run = array<i64: 4, 9>} : (tensor<4x6xf32>, tensor<4xi64>) -> tensor<4x6xf32>
    return %0 : tensor<4x6xf32>
  }
}
