// A number of blocks that is none is refused; one that does not divide the sequence, or a model without one, leaves a remark and the tokens whole.
// RUN: %hecaton-opt --hct-block-tokens --split-input-file --verify-diagnostics %s
// expected-error@unknown {{--token-blocks=many: it must be a whole number from 1 to 16}}
module attributes {hct.options = {"token-blocks" = "many"}} {
  func.func @step(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) { return %x : tensor<4x6xf32> }
}
// -----
// expected-remark@unknown {{--token-blocks=4 does not divide the sequence of 6: tokens are not cut}}
module attributes {hct.options = {"token-blocks" = "4"}} {
  func.func @step(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) { return %x : tensor<4x6xf32> }
}
// -----
// expected-remark@unknown {{--token-blocks=2: no input has a sequence, its second dimension: tokens are not cut}}
module attributes {hct.options = {"token-blocks" = "2"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4xf32> {hct.name = "y", hct.role = "output"}) { return %x : tensor<4xf32> }
}
