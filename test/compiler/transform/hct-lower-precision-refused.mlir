// A type that is no storage type is refused, and so are results of mixed types that an operator cannot have.
// RUN: %hecaton-opt --hct-lower-precision --split-input-file --verify-diagnostics %s
// expected-error@unknown {{--dtype=i64: it must be f32, bf16 or f16}}
module attributes {hct.options = {"dtype" = "i64"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4xf32> {hct.name = "y", hct.role = "output"}) { return %x : tensor<4xf32> }
}
// -----
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<6x8xbf16> {hct.name = "w", hct.role = "param"}, %i: tensor<4x8xi64> {hct.name = "i", hct.role = "input"}) {
    // expected-error@+1 {{hct_graph.contract: operand 1 (6x8xbf16) is not of the element type of operand 0 (4x8xf32)}}
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,nk->bn"} : (tensor<4x8xf32>, tensor<6x8xbf16>) -> tensor<4x6xf32>
    // expected-error@+1 {{hct_graph.reshape: the result (32xbf16) is not of the element type of operand 0 (4x8xf32)}}
    %1 = "hct_graph.reshape"(%x) : (tensor<4x8xf32>) -> tensor<32xbf16>
    // expected-error@+1 {{hct_graph.all_reduce: the result (4x8xbf16) is not of the element type of operand 0 (4x8xf32)}}
    %2 = "hct_graph.all_reduce"(%x) {axis = "r", kind = "sum"} : (tensor<4x8xf32>) -> tensor<4x8xbf16>
    // expected-error@+1 {{hct_graph.map2: operand 1 (4x8xi64) is neither of the element type of the operand before (4x8xf32), nor are both floats}}
    %3 = "hct_graph.map2"(%x, %i) {fn = "add"} : (tensor<4x8xf32>, tensor<4x8xi64>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.contract: the result (4x4xf32) is neither of the element type of the operand before (4x8xi64), nor are both floats}}
    %4 = "hct_graph.contract"(%i, %i) {spec = "ak,bk->ab"} : (tensor<4x8xi64>, tensor<4x8xi64>) -> tensor<4x4xf32>
    return
  }
}
// -----
module {
  func.func @step(%w: tensor<6xbf16> {hct.name = "w", hct.role = "param"}, %g: tensor<6xf32> {hct.name = "g", hct.role = "input"}, %s: tensor<10xf32> {hct.name = "settings", hct.role = "setting"}, %t: tensor<f32> {hct.name = "step", hct.role = "state"}) {
    // expected-error@+1 {{hct_graph.update: operand 0 (6xbf16) is not f32, and the optimizer works in f32}}
    %0 = "hct_graph.update"(%w, %g, %s, %t) {kind = "sgd", operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<6xbf16>, tensor<6xf32>, tensor<10xf32>, tensor<f32>) -> tensor<6xf32>
    return
  }
}
