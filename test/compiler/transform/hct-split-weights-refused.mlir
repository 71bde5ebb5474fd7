// A number of pieces that is none, and a parameter whose name says that it is a piece already, are refused; a weight that is too large and cannot be split is said.
// RUN: %hecaton-opt --hct-split-weights --split-input-file --verify-diagnostics %s
// expected-error@unknown {{--weight-pieces=many: it must be auto, a whole number from 1 to 16, or 1% to 100%}}
module attributes {hct.options = {"weight-pieces" = "many"}} {
  func.func @step(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) { return %x : tensor<4x6xf32> }
}
// -----
// expected-error@unknown {{--weight-pieces=0%: it must be auto, a whole number from 1 to 16, or 1% to 100%}}
module attributes {hct.options = {"weight-pieces" = "0%"}} {
  func.func @step(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) { return %x : tensor<4x6xf32> }
}
// -----
// expected-error@unknown {{--weight-pieces=17: it must be auto, a whole number from 1 to 16, or 1% to 100%}}
module attributes {hct.options = {"weight-pieces" = "17"}} {
  func.func @step(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) { return %x : tensor<4x6xf32> }
}
// -----
module {
  // expected-hint@+2 {{another name}}
  // expected-error@+1 {{parameter 'w#0/2@0*2' has the name of a piece of 'w'}}
  func.func @step(%w: tensor<8x6xf32> {hct.name = "w#0/2@0*2", hct.role = "param"}) -> (tensor<8x6xf32> {hct.name = "y", hct.role = "output"}) { return %w : tensor<8x6xf32> }
}
// -----
// expected-remark@unknown {{'w' is not split, though a die's share takes 134217728 bytes of SRAM with its gradient: other operators than products and lookups read it, or pieces and dies do not divide its features}}
module {
  func.func @step(%w: tensor<8192x8192xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<8192x8192xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%w) {fn = "neg"} : (tensor<8192x8192xf32>) -> tensor<8192x8192xf32>
    return %0 : tensor<8192x8192xf32>
  }
}
