// What --recompute does not know is refused, whatever the graph.
// RUN: %hecaton-opt --hct-recompute-activations --split-input-file --verify-diagnostics %s
// expected-error@unknown {{--recompute=some: it must be one of none, auto, all}}
module attributes {hct.options = {"recompute" = "some"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
module {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    // expected-error@+1 {{hct_graph.map1: hct.recomputed is no unit}}
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.recomputed = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
