// Repeated heads are found in shapes, so a product or a broadcast whose shapes do not fit is refused.
// RUN: %hecaton-opt --hct-group-heads --split-input-file --verify-diagnostics %s
module {
  func.func @step(%q: tensor<4x3xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<2x3xf32> {hct.name = "k", hct.role = "input"}) {
    // expected-error@+1 {{'a' of spec 'ak,ak->a' is 4 in one place, 2 in another}}
    %0 = "hct_graph.contract"(%q, %k) {spec = "ak,ak->a"} : (tensor<4x3xf32>, tensor<2x3xf32>) -> tensor<2xf32>
    return
  }
}
// -----
module {
  func.func @step(%k: tensor<2x1x4xf32> {hct.name = "k", hct.role = "input"}) {
    // expected-error@+1 {{hct_graph.broadcast}}
    %0 = "hct_graph.broadcast"(%k) : (tensor<2x1x4xf32>) -> tensor<3x4x4xf32>
    return
  }
}
