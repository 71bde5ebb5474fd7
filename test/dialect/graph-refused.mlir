// Operators on whole tensors whose shapes or words do not fit together are refused, each at its line.
// RUN: %hecaton-opt --verify-diagnostics --split-input-file %s
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}) {
    // expected-error@+1 {{hct_graph.softmax: axis 2 is none of the 2 of the result}}
    %0 = "hct_graph.softmax"(%x) {axis = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.map1: hct.waits is no unit}}
    %w0 = "hct_graph.map1"(%x) {fn = "neg", hct.waits = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.map1: hct.wide is no unit}}
    %w1 = "hct_graph.map1"(%x) {fn = "neg", hct.wide = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.detach: operand 1 (4xi64) is not of the result's shape (4x8xf32)}}
    %d0 = "hct_graph.detach"(%x, %ids) {operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.detach: 3 operands: a value is needed, and what has its gradient if anything}}
    %d1 = "hct_graph.detach"(%x, %x, %x) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.map1: fn '' is no function of MAP1}}
    %1 = "hct_graph.map1"(%x) {fn = ""} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.map1: scalar 1 says no element type for interchange (hct_narrowing)}}
    %n0 = "hct_graph.map1"(%x) {fn = "narrow", scalar = 1.0} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.map1: 4x8xf32 cannot narrow to i4}}
    %n1 = "hct_graph.map1"(%x) {fn = "narrow", scalar = 20.0} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.map2: operand 1 (4xi64) does not broadcast to the result (4x8xf32)}}
    %2 = "hct_graph.map2"(%x, %ids) {fn = "add"} : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.pad: 4x8xf32 at these offsets is not inside 4x8xf32}}
    %3 = "hct_graph.pad"(%x) {low = array<i64: 1, 0>, value = 0.0} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.slice: starts and steps leave 4x8xf32 for a result 4x8xf32}}
    %4 = "hct_graph.slice"(%x) {starts = array<i64: 0, 1>, steps = array<i64: 1, 9223372036854775807>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.reduce: kind 'mean' is none of sum, max, min}}
    %5 = "hct_graph.reduce"(%x) {kind = "mean", axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    // expected-error@+1 {{hct_graph.contract: spec 'ab,ab' is not of the form bsk,nk->bsn}}
    %6 = "hct_graph.contract"(%x, %x) {spec = "ab,ab"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.gather_rows: operand 1 (4x8xf32) is no tensor of integers}}
    %7 = "hct_graph.gather_rows"(%x, %x) : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8x8xf32>
    // expected-error@+1 {{hct_graph.gather_rows: rows 4x7xf32 are not those of a table 4x8xf32 at 4xi64}}
    %8 = "hct_graph.gather_rows"(%x, %ids) : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<4x7xf32>
    // expected-error@+1 {{hct_graph.gather_rows: run is not the first of the 4 rows of 4x8xf32 in a table, and the number of that table's rows}}
    %run0 = "hct_graph.gather_rows"(%x, %ids) {run = array<i64: 5, 8>} : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.scatter_rows: run is not the first of the 4 rows of 4x8xf32 in a table, and the number of that table's rows}}
    %run1 = "hct_graph.scatter_rows"(%x, %ids) {run = array<i64: 5>} : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.pick: 4x8xf32 with ids 4xi64 and 8xf32}}
    %9 = "hct_graph.pick"(%x, %ids) : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<8xf32>
    // expected-error@+1 {{hct_graph.constant: attribute 'value' is not of the result's type}}
    %10 = "hct_graph.constant"() {value = dense<1.0> : tensor<3xf32>} : () -> tensor<4xf32>
    // expected-error@+1 {{hct_graph.update: sgd has 2 operands and 1 results, and needs 4 and 1}}
    %11 = "hct_graph.update"(%x, %x) {kind = "sgd", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.broadcast: result 0 (9223372036854775807x4x8xf32) has too many elements}}
    %12 = "hct_graph.broadcast"(%x) : (tensor<4x8xf32>) -> tensor<9223372036854775807x4x8xf32>
    return
  }
}
// -----
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %seed: tensor<i64> {hct.name = "seed", hct.role = "setting"},
                  %step: tensor<f32> {hct.name = "step", hct.role = "state"}) {
    %0 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = 0 : i64, index = array<i64: 8, 1, 0>} : (tensor<4x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.dropout: ratio 1.5 is not from 0 to 1}}
    %1 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 1.5, stream = 0 : i64, index = array<i64: 8, 1, 0>} : (tensor<4x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.dropout: stream -1 is not of 32 bits}}
    %2 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = -1 : i64, index = array<i64: 8, 1, 0>} : (tensor<4x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.dropout: index is not a number of 63 bits for each dimension of 4x8xf32, and one for its first element}}
    %3 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = 0 : i64, index = array<i64: 8, 1>} : (tensor<4x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.dropout: index is not a number of 63 bits for each dimension of 4x8xf32, and one for its first element}}
    %4 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = 0 : i64, index = array<i64: 4611686018427387904, 1, 0>} : (tensor<4x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.dropout: the last operands (f32, i64) are not the seed, an i64, and the step, an f32}}
    %5 = "hct_graph.dropout"(%x, %step, %seed) {ratio = 0.5, stream = 0 : i64, index = array<i64: 8, 1, 0>} : (tensor<4x8xf32>, tensor<f32>, tensor<i64>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.dropout: operand 0 (4x8xf32) is not of the result's shape (8x4xf32)}}
    %6 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = 0 : i64, index = array<i64: 4, 1, 0>} : (tensor<4x8xf32>, tensor<i64>, tensor<f32>) -> tensor<8x4xf32>
    // expected-error@+1 {{hct_graph.dropout: the result (4xi64) is not of floats}}
    %7 = "hct_graph.dropout"(%ids, %seed, %step) {ratio = 0.5, stream = 0 : i64, index = array<i64: 1, 0>} : (tensor<4xi64>, tensor<i64>, tensor<f32>) -> tensor<4xi64>
    return
  }
}
