// Options and packages that the partition cannot follow are refused, and what it changes of them it says.
// RUN: %hecaton-opt --hct-partition --split-input-file --verify-diagnostics %s
// expected-error@unknown {{--strategy=cannon: it must be one of hecaton}}
module attributes {hct.options = {"strategy" = "cannon"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--micro-batch=half: it must be 'auto' or a whole number of at least 1}}
module attributes {hct.options = {"micro-batch" = "half"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--micro-batch=0: it must be 'auto' or a whole number of at least 1}}
module attributes {hct.options = {"micro-batch" = "0"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// Too large is no error, but said.
// expected-remark@unknown {{--micro-batch=9: the batch has 4 samples, all of them are in flight}}
module attributes {hct.options = {"micro-batch" = "9"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
module attributes {hct.options = {"micro-batch" = "2"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    // expected-remark@+1 {{softmax mixes samples: the whole batch of 4 is in flight}}
    %0 = "hct_graph.softmax"(%x) {axis = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{hecaton-3x7}}
// expected-hint@unknown {{shipped: hecaton-2x2}}
module attributes {hct.package = "hecaton-3x7"} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// Options are texts.
// expected-error@below {{hct.options is no dictionary of texts}}
module attributes {hct.options = {"micro-batch" = 2 : i64}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
