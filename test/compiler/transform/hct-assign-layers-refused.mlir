// Layers come from names and roles, so a function without them, or with layers that are no text, is refused.
// RUN: %hecaton-opt --hct-assign-layers --split-input-file --verify-diagnostics %s
module {
  // expected-error@+1 {{argument 'w': hct.role '' is not one of arguments}}
  func.func @step(%w: tensor<4xf32> {hct.name = "w"}) { return }
}
// -----
module {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) {
    // expected-error@+1 {{hct_graph.map1: hct.layer is no text}}
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.layer = 3 : i64} : (tensor<4xf32>) -> tensor<4xf32>
    // expected-error@+1 {{hct_graph.map1: hct.group is no number of a fusion group}}
    %1 = "hct_graph.map1"(%0) {fn = "neg", hct.group = -1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
    return
  }
}
