// A number of blocks that does not divide the queries, or is none, or more than may be, is refused with its place and what would do.
// RUN: %hecaton-opt --hct-block-attention --split-input-file --verify-diagnostics %s
module attributes {hct.options = {"attention-blocks" = "3"}} {
  func.func @step(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    // expected-error@+2 {{--attention-blocks=3 does not divide the 4 queries of this attention}}
    // expected-hint@+1 {{--attention-blocks=auto takes what divides them}}
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %2 : tensor<3x4x8xf32>
  }
}
// -----
// expected-error@unknown {{--attention-blocks=none: it must be 'auto' or a whole number from 1 to 16}}
module attributes {hct.options = {"attention-blocks" = "none"}} {
  func.func @step(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %2 : tensor<3x4x8xf32>
  }
}
// -----
// expected-error@unknown {{--head-blocks=17: it must be 'auto' or a whole number from 1 to 16}}
module attributes {hct.options = {"head-blocks" = "17"}} {
  func.func @step(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %2 : tensor<3x4x8xf32>
  }
}
// -----
module attributes {hct.options = {"key-blocks" = "3"}} {
  func.func @step(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    // expected-error@+2 {{--key-blocks=3 does not divide the 4 keys of this attention}}
    // expected-hint@+1 {{--key-blocks=auto takes what divides them}}
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %2 : tensor<3x4x8xf32>
  }
}
// -----
// expected-error@unknown {{--key-blocks=65: it must be 'auto' or a whole number from 1 to 64}}
module attributes {hct.options = {"key-blocks" = "65"}} {
  func.func @step(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %2 : tensor<3x4x8xf32>
  }
}
// -----
// Blocks that do not begin and end together.
module attributes {hct.options = {"key-blocks" = "2", "attention-blocks" = "3"}} {
  func.func @step(%q: tensor<3x12x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x12x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x12x8xf32>, tensor<3x12x8xf32>) -> tensor<3x12x12xf32>
    // expected-error@+2 {{--key-blocks=2: of 3 blocks of queries and 1 of tokens, each must be a multiple of it, or it of them}}
    // expected-hint@+1 {{--key-blocks=3}}
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x12x12xf32>) -> tensor<3x12x12xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<3x12x12xf32>, tensor<3x12x8xf32>) -> tensor<3x12x8xf32>
    return %2 : tensor<3x12x8xf32>
  }
}
